package receive

import (
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// command returns the line as go-smtp shall see it, or "" when it is answered here. What go-smtp does not know never
// reaches it: it answers such with codes of its own and hangs up at the fourth.
func (w *wire) command(line string) (string, error) {
	verb, arg := splitCommand(line)
	var refusal *smtpstack.Reply
	switch verb {
	case "EHLO", "HELO":
		arg, refusal = w.hello(verb, arg)
	case "MAIL":
		arg, refusal = w.mail(arg)
	case "RCPT":
		arg, refusal = w.rcpt(arg)
	case "DATA":
		if arg == "" && w.session.hasRecipients() {
			refusal = w.session.open()
		}
	case "BDAT":
		return w.bdat(arg)
	case "STARTTLS":
		return "", w.startTLS(arg)
	case "AUTH":
		return "", w.auth(arg)
	case "ETRN":
		refusal = smtpstack.Refuse(502, "5.5.1", "%s is not implemented", verb)
	default:
		if !passes(verb) {
			refusal = smtpstack.Refuse(500, "5.5.1", "unknown command")
		}
	}
	if refusal != nil {
		w.say(refusal)
		return "", nil
	}
	w.verb = verb
	return strings.TrimSpace(verb + " " + arg), nil
}

func splitCommand(line string) (verb, arg string) {
	verb, arg, _ = strings.Cut(line, " ")
	if isPrintable(verb) { // letters beyond ASCII have upper cases in it
		verb = strings.ToUpper(verb)
	}
	return verb, strings.Trim(arg, " \t")
}

// hello notes what go-smtp does not tell: whether it was EHLO.
func (w *wire) hello(verb, arg string) (string, *smtpstack.Reply) {
	name, refusal := helloName(arg)
	if refusal == nil {
		w.helo, w.esmtp = name, verb == "EHLO"
	}
	return name, refusal
}

// helloName checks the client's name, for which go-smtp takes anything.
func helloName(arg string) (string, *smtpstack.Reply) {
	name, _, _ := strings.Cut(arg, " ")
	if name == "" || len(name) > 255 || !isPrintable(name) || strings.ContainsAny(name, "()<>\"\\;,") {
		return "", smtpstack.Refuse(501, "5.5.4", "say your host name")
	}
	return name, nil
}

// mail reads the parameters, of which go-smtp sees none: one not known gets 555 (RFC 5321 4.1.1.11).
func (w *wire) mail(arg string) (string, *smtpstack.Reply) {
	path, params, ok := cutPath(arg, "FROM:")
	if !ok {
		return "", smtpstack.Refuse(501, "5.5.4", "the form is MAIL FROM:<address>")
	}
	m, refusal := w.cfg.mailParams(params)
	if refusal == nil {
		refusal = checkPath(path)
	}
	if refusal != nil {
		return "", refusal
	}
	w.mailParams = m
	return "FROM:" + wrapPath(path), nil
}

// checkPath refuses what go-smtp could read otherwise than we do, or what must not stand in a reply or a notice.
func checkPath(path string) *smtpstack.Reply {
	for _, c := range []byte(path) {
		if c < ' ' || c == 0x7f {
			return smtpstack.Refuse(501, "5.5.4", "control character in an address")
		}
	}
	if !isText(path) {
		return smtpstack.Refuse(553, "5.6.7", "the address is no UTF-8 text")
	}
	return nil
}

func (w *wire) rcpt(arg string) (string, *smtpstack.Reply) {
	path, params, ok := cutPath(arg, "TO:")
	if !ok || path == "" {
		return "", smtpstack.Refuse(501, "5.5.4", "the form is RCPT TO:<address>")
	}
	r, refusal := readRcptParams(params)
	if refusal == nil {
		refusal = checkPath(path)
	}
	if refusal != nil {
		return "", refusal
	}
	w.rcptParams = r
	return "TO:" + wrapPath(path), nil
}

// isCommand tells whether a word is a command of SMTP.
func isCommand(verb string) bool {
	return passes(verb) || slices.Contains([]string{"EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "STARTTLS", "AUTH", "ETRN"}, verb)
}

// passes tells whether a command goes to go-smtp as it is; the last ones it calls not implemented.
func passes(verb string) bool {
	return slices.Contains([]string{"RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "SEND", "SOML", "SAML", "TURN"}, verb)
}
