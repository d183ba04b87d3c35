package receive

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/smtpstack"
)

// Write takes go-smtp's replies.
func (w *wire) Write(b []byte) (int, error) {
	w.reply = append(w.reply, b...)
	for {
		line, rest, ended := bytes.Cut(w.reply, crlf)
		if !ended {
			return len(b), nil
		}
		w.forward(string(line))
		w.reply = rest
	}
}

// forward sends one line of go-smtp's answer, bettered where it is not what RFC 5321 or 3463 has.
func (w *wire) forward(line string) {
	first := !w.replied
	w.replied = true
	code := line[:min(3, len(line))]
	switch {
	case w.verb == "" && w.resumed:
		return // the greeting of the second conversation: the client waits for none after STARTTLS
	case first && (w.verb == "EHLO" || w.verb == "HELO") && len(line) > 3:
		line = line[:4] + w.cfg.Hostname // our name, where go-smtp says hello
	case w.verb == "EHLO" && strings.HasSuffix(line, "SIZE"):
		w.offer()
		line += " " + strconv.FormatInt(w.cfg.MaxSize, 10)
	case w.verb == "BDAT" && (code == "354" || w.held != ""):
		return // it was not DATA that came, or not to its end
	case w.verb == "MAIL" && code == "250":
		line = "250 2.1.0 sender noted"
	case w.verb == "RCPT" && code == "250":
		line = "250 2.1.5 recipient taken"
	case strings.HasPrefix(line, "502 5.5.1") && (w.verb == "MAIL" || w.verb == "RCPT" || w.verb == "DATA"):
		line = "503" + line[3:] // a command out of order is not an unknown one (RFC 5321 4.2.2)
	}
	w.put(line)
	if code == "354" {
		w.beginData()
	}
}

// say sends a reply of our own.
func (w *wire) say(r *smtpstack.Reply) { w.put(r.String()) }

// put queues one reply line.
func (w *wire) put(line string) {
	if w.over {
		return
	}
	if strings.HasPrefix(line, "5") {
		w.countError()
	}
	if len(line) > 500 { // RFC 5321 4.5.3.1.5: 512 with CR LF
		line = strings.ToValidUTF8(line[:500], "")
	}
	w.session.trace(">", line)
	_, _ = w.w.WriteString(line + "\r\n") // an error stays in the writer until it is flushed
}

// offer adds what go-smtp has no part in to EHLO's answer.
func (w *wire) offer() {
	w.put("250-SMTPUTF8")
	w.put("250-DSN")
	if w.offersAuth() {
		w.put("250-AUTH PLAIN LOGIN")
	}
}

// countError counts a refusal, for this connection and for the client.
func (w *wire) countError() {
	w.errors++
	if !w.session.spend(badReply, w.cfg.Limits.ErrorsPerHour, time.Hour) {
		w.errors = max(w.errors, maxErrors+1)
	}
}

// redact keeps secrets out of the transcript: what follows AUTH, and after that whatever is no command, for a client
// that does not wait for our answers.
func (w *wire) redact(line string) string {
	verb, arg := splitCommand(line)
	switch {
	case len(line) >= 4 && strings.EqualFold(line[:4], "AUTH"):
		mechanism, _, _ := strings.Cut(arg, " ")
		if m := strings.ToUpper(mechanism); m != "PLAIN" && m != "LOGIN" {
			mechanism = ""
		}
		return strings.TrimSpace("AUTH "+mechanism) + " ..."
	case w.hideUnknown && !isCommand(verb):
		return fmt.Sprintf("(%d octets that are no command)", len(line))
	}
	return smtpstack.OneLine(line)
}

// failure is the answer to an error of the backend or the connection.
func (s *session) failure(what string, err error) *smtpstack.Reply {
	var r *smtpstack.Reply
	switch {
	case errors.As(err, &r) && r.Code >= 400 && r.Code < 600:
		return r
	case errors.Is(err, errTooLarge):
		return s.cfg.tooLarge()
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		r = smtpstack.Refuse(452, "4.3.1", "no room for more mail, try again later")
	default:
		r = smtpstack.Refuse(451, "4.3.0", "local trouble, try again later")
	}
	s.trace("!", what+": "+smtpstack.OneLine(err.Error()))
	return r
}

// answer is a reply as go-smtp takes it.
func answer(r *smtpstack.Reply) *smtp.SMTPError {
	e := &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.NoEnhancedCode, Message: smtpstack.OneLine(r.Text)}
	var code smtp.EnhancedCode
	if n, _ := fmt.Sscanf(r.Enhanced, "%d.%d.%d", &code[0], &code[1], &code[2]); n == 3 {
		e.EnhancedCode = code
	}
	return e
}

// traceLog takes what go-smtp logs: panics of the backend.
type traceLog struct{ trace func(dir, text string) }

func (l traceLog) Printf(format string, v ...any) {
	l.trace("!", smtpstack.OneLine(fmt.Sprintf("%.2000s", fmt.Sprintf(format, v...))))
}

func (l traceLog) Println(v ...any) { l.Printf("%s", fmt.Sprint(v...)) }
