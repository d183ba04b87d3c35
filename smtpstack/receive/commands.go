package receive

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// command returns the line as go-smtp shall see it, or "" when it is answered here. What go-smtp does not know never
// reaches it: it answers such with codes of its own and hangs up at the fourth.
func (w *wire) command(line string) (string, error) {
	verb, arg, _ := strings.Cut(line, " ")
	if isPrintable(verb) { // letters beyond ASCII have upper cases in it
		verb = strings.ToUpper(verb)
	}
	arg = strings.TrimSpace(arg)
	var refusal *smtpstack.Reply
	switch verb {
	case "EHLO", "HELO":
		arg, refusal = w.hello(verb, arg)
	case "MAIL":
		arg, refusal = w.mail(arg)
	case "RCPT":
		arg, refusal = w.rcpt(arg)
	case "DATA":
		refusal = w.session.open(arg)
	case "BDAT":
		return w.bdat(arg)
	case "STARTTLS":
		return "", w.startTLS(arg)
	case "AUTH", "ETRN":
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

// hello notes what go-smtp does not tell: whether it was EHLO. It also takes anything for a name.
func (w *wire) hello(verb, arg string) (string, *smtpstack.Reply) {
	name, _, _ := strings.Cut(arg, " ")
	if name == "" || len(name) > 255 || !isPrintable(name) || strings.ContainsAny(name, "()<>\"\\;,") {
		return "", smtpstack.Refuse(501, "5.5.4", "say your host name")
	}
	w.helo, w.esmtp = name, verb == "EHLO"
	return name, nil
}

// mail checks what go-smtp answers wrongly: parameters not offered get 555 (RFC 5321 4.1.1.11), and SIZE beyond 32 bits
// is too large, not malformed.
func (w *wire) mail(arg string) (string, *smtpstack.Reply) {
	path, params, ok := cutPath(arg, "FROM:")
	if !ok {
		return "", smtpstack.Refuse(501, "5.5.4", "the form is MAIL FROM:<address>")
	}
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		switch strings.ToUpper(key) {
		case "SIZE": // RFC 1870
			n, err := strconv.ParseInt(value, 10, 64)
			if errors.Is(err, strconv.ErrRange) && value[0] != '-' || n > math.MaxUint32 {
				return "", w.cfg.tooLarge()
			}
		case "BODY": // RFC 6152
		default:
			return "", smtpstack.Refuse(555, "5.5.4", "parameter %.30s is not known here", key)
		}
	}
	return strings.Join(append([]string{"FROM:" + wrapPath(path)}, params...), " "), nil
}

func (w *wire) rcpt(arg string) (string, *smtpstack.Reply) {
	path, params, ok := cutPath(arg, "TO:")
	if !ok || path == "" {
		return "", smtpstack.Refuse(501, "5.5.4", "the form is RCPT TO:<address>")
	}
	if len(params) > 0 {
		return "", smtpstack.Refuse(555, "5.5.4", "parameter %.30s is not known here", params[0])
	}
	return "TO:" + wrapPath(path), nil
}

// bdat looks at a chunk's announcement (RFC 3030 2). When its length is not known, what follows cannot be told from
// commands: go-smtp would take it for such.
func (w *wire) bdat(arg string) (string, error) {
	f := strings.Fields(arg)
	last := len(f) == 2 && strings.EqualFold(f[1], "LAST")
	size, err := strconv.ParseUint(strings.Join(f[:min(1, len(f))], ""), 10, 63)
	switch {
	case err != nil || len(f) > 2 || len(f) == 2 && !last:
		w.say(smtpstack.Refuse(501, "5.5.4", "the form is BDAT size [LAST]"))
		return "", errHangUp
	case size > math.MaxUint32 || int64(size) > w.floodLimit():
		w.say(w.cfg.tooLarge())
		return "", errHangUp
	case size == 0 && !last: // go-smtp would begin a message nobody waits for
		if !w.session.hasRecipients() {
			w.say(smtpstack.Refuse(503, "5.5.1", "no recipient was taken"))
		} else {
			w.say(smtpstack.Refuse(250, "2.0.0", "0 octets taken"))
		}
		return "", nil
	}
	w.verb, w.last, w.left, w.whole = "BDAT", last, int64(size), last && size == 0
	if size > 0 {
		w.phase = chunk
		w.conn.beginData(w.cfg.ReadTimeout, w.cfg.DataTimeout)
	}
	if last {
		return fmt.Sprintf("BDAT %d LAST", size), nil
	}
	return fmt.Sprintf("BDAT %d", size), nil
}

// passes tells whether a command goes to go-smtp as it is; the last ones it calls not implemented.
func passes(verb string) bool {
	return slices.Contains([]string{"RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "SEND", "SOML", "SAML", "TURN"}, verb)
}
