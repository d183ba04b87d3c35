package send

import (
	"fmt"
	"slices"
	"strings"
)

// DSN says which delivery status notifications are asked for (RFC 3461). Where the server lacks the extension they are
// left out.
type DSN struct {
	Return     string            // RET: "FULL", "HDRS" or "" (4.3)
	EnvelopeID string            // ENVID, printable ASCII, at most 100 octets (4.4)
	Notify     []string          // "NEVER" alone, or of "SUCCESS", "FAILURE", "DELAY" (4.1)
	Original   map[string]string // ORCPT by recipient as in Message.To: the address first written, for rfc822 (4.2)
}

const (
	maxEnvelopeID = 100
	maxORCPT      = 500
)

// Check says what of the parameters RFC 3461 does not allow.
func (n *DSN) Check() error {
	if n.Return != "" && n.Return != "FULL" && n.Return != "HDRS" {
		return fmt.Errorf("send: DSN: RET=%.20q", n.Return)
	}
	if len(n.EnvelopeID) > maxEnvelopeID || !printable(n.EnvelopeID) {
		return fmt.Errorf("send: DSN: ENVID is not printable or longer than %d octets", maxEnvelopeID)
	}
	for _, k := range n.Notify {
		if !slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, k) || k == "NEVER" && len(n.Notify) > 1 {
			return fmt.Errorf("send: DSN: NOTIFY=%.40q", strings.Join(n.Notify, ","))
		}
	}
	for _, o := range n.Original {
		if o == "" || len(o) > maxORCPT || !printable(o) {
			return fmt.Errorf("send: DSN: ORCPT is empty, not printable or longer than %d octets", maxORCPT)
		}
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func (n *DSN) mailParameters() (s string) {
	if n.Return != "" {
		s += " RET=" + n.Return
	}
	if n.EnvelopeID != "" {
		s += " ENVID=" + xtext(n.EnvelopeID)
	}
	return s
}

func (n *DSN) rcptParameters(to string) (s string) {
	if len(n.Notify) > 0 {
		s += " NOTIFY=" + strings.Join(n.Notify, ",")
	}
	if o := n.Original[to]; o != "" {
		s += " ORCPT=rfc822;" + xtext(o)
	}
	return s
}

// xtext encodes what a parameter cannot have as "+" and two hexadecimal digits (RFC 3461 4).
func xtext(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < '!' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
