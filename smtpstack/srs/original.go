package srs

import (
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// Original reads the first sender out of an address that anybody rewrote, without proof that it is true: for showing, and
// for finding a person whose identity something else proves. false says that it is no rewritten address.
//
// It reads SRS0 and SRS1, and the form of Exchange Online, which is "mailbox+SRS=hash=stamp=domain=user@tenant"
// (Microsoft, "Sender Rewriting Scheme (SRS) in Microsoft 365"). Its "bounces+SRS=hash=stamp@tenant" names nobody.
func Original(address string) (string, bool) {
	local, _, err := smtpstack.SplitAddress(address)
	if err != nil {
		return "", false
	}
	body, ok := tagged(local, "SRS0")
	if !ok {
		if body, ok = tagged(local, "SRS1"); ok {
			p := strings.SplitN(body, "=", 3)
			if len(p) != 3 {
				return "", false
			}
			body, ok = tagged("SRS0"+p[2], "SRS0")
		}
	}
	if !ok {
		const mark = "+srs="
		at := strings.LastIndex(string(lower(local)), mark)
		if at <= 0 {
			return "", false
		}
		body = local[at+len(mark):]
	}
	p := strings.SplitN(body, "=", 4)
	if len(p) != 4 || p[2] == "" || p[3] == "" || !strings.Contains(p[2], ".") {
		return "", false
	}
	original, err := join(p[3], strings.ToLower(p[2]))
	return original, err == nil
}

// Nameless tells whether an address is of Exchange Online's form for relayed mail, "bounces+SRS=hash=stamp@tenant": it is
// rewritten, and only who rewrote it knows whose it was.
func Nameless(address string) bool {
	local, _, err := smtpstack.SplitAddress(address)
	if err != nil {
		return false
	}
	body, ok := strings.CutPrefix(string(lower(local)), "bounces+srs=")
	hash, stamp, two := strings.Cut(body, "=")
	return ok && two && hash != "" && stamp != "" && !strings.Contains(stamp, "=")
}
