package message

import (
	"fmt"
	"mime"
	"regexp"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// MaxReceived is the number of Received fields at which a mail is taken for looping (RFC 5321 6.3 wants at least 100;
// Exchange Online cuts at 20, and a mail to a fax never has far to go).
const MaxReceived = 20

// LoopField stands in every mail that Tipring made by itself, with the host name of who made it: a second appliance
// knows it as well as the first.
const LoopField = "X-Tipring-Loop"

// LoopVerdict says what may be done with a mail without machines talking to each other for ever.
type LoopVerdict struct {
	Fax    bool   // may be faxed
	Answer bool   // may be answered by a machine: a notice, a report, a receipt
	Rule   string // short name of the rule that forbids: "null-sender", "auto-submitted", "report", "list", ...; "" when both are allowed
	Reason string // the same in a sentence
}

// CheckLoop applies the loop rules (RFC 3834 2, RFC 5321 4.5.5 and 6.3, [MS-OXCMAIL] "X-Auto-Response-Suppress") to a
// mail's header and reverse-path (MAIL FROM without angle brackets, "" is the null sender). What a machine wrote is
// neither faxed nor answered; X-Auto-Response-Suppress and a reverse-path that a machine reads forbid only the answer:
// programs that want a fax sent set the first to be spared out-of-office replies. "noreply" addresses are no rule: their
// owner still is told, by whatever reads that mailbox, what became of the fax.
func CheckLoop(h Header, returnPath string) LoopVerdict {
	if returnPath == "" {
		return LoopVerdict{Rule: "null-sender", Reason: "The mail is a bounce or an automatic reply (null sender)."}
	}
	for _, rule := range []func(Header) (string, string){loopOwn, loopAutoSubmitted, loopReturnPath, loopReport, loopList, loopPrecedence, loopVacation, loopReceived} {
		if name, reason := rule(h); name != "" {
			return LoopVerdict{Rule: name, Reason: reason}
		}
	}
	for _, rule := range []func() (string, string){func() (string, string) { return loopSuppress(h) }, func() (string, string) { return loopRobot(returnPath) }} {
		if name, reason := rule(); name != "" {
			return LoopVerdict{Fax: true, Rule: name, Reason: reason}
		}
	}
	return LoopVerdict{Fax: true, Answer: true}
}

// LoopReason says in a sentence why a mail must be neither faxed nor answered by its header; "" means it may be faxed.
// The null sender is a matter of the envelope: see [CheckLoop].
func LoopReason(h Header) string {
	if v := CheckLoop(h, "unknown"); !v.Fax {
		return v.Reason
	}
	return ""
}

func loopOwn(h Header) (name, reason string) {
	if h.Has(LoopField) {
		return "own", "The mail was made by a fax appliance like this one and has come back."
	}
	return "", ""
}

// loopAutoSubmitted: any field that says other than "no" counts, if there are several (RFC 3834 5).
func loopAutoSubmitted(h Header) (name, reason string) {
	for _, v := range h.Values("Auto-Submitted") {
		kind, _, _ := strings.Cut(v, ";")
		kind, _, _ = strings.Cut(kind, "(")
		if kind = strings.TrimSpace(kind); kind != "" && !strings.EqualFold(kind, "no") {
			return "auto-submitted", "The mail was sent automatically (Auto-Submitted: " + headerWord(kind) + ")."
		}
	}
	return "", ""
}

func loopReturnPath(h Header) (name, reason string) {
	for _, v := range h.Values("Return-Path") {
		if strings.TrimSpace(v) == "<>" {
			return "null-sender", "The mail is a bounce (empty Return-Path)."
		}
	}
	return "", ""
}

func loopReport(h Header) (name, reason string) {
	switch t, _ := mediaType(h); t {
	case "multipart/report", "message/delivery-status", "message/disposition-notification", "message/global-delivery-status",
		"message/global-disposition-notification", "message/feedback-report", "message/tracking-status":
		return "report", "The mail is a delivery or read report (" + t + ")."
	}
	return "", ""
}

var listField = regexp.MustCompile(`(?i)^List-(Id|Help|Subscribe|Unsubscribe|Unsubscribe-Post|Post|Owner|Archive)$`)

func loopList(h Header) (name, reason string) {
	for f := h.h.Fields(); f.Next(); {
		if listField.MatchString(f.Key()) {
			return "list", "The mail comes from a mailing list (" + f.Key() + ")."
		}
	}
	return "", ""
}

// loopPrecedence: never standardized, but what list servers and auto-responders of old set.
func loopPrecedence(h Header) (name, reason string) {
	for _, field := range []string{"Precedence", "X-Precedence"} {
		switch v := strings.ToLower(strings.TrimSpace(h.Get(field))); v {
		case "bulk", "list", "junk", "auto_reply", "auto-reply":
			return "precedence", "The mail was sent automatically or in bulk (" + field + ": " + v + ")."
		}
	}
	return "", ""
}

// loopVacation: auto-responders older than RFC 3834.
func loopVacation(h Header) (name, reason string) {
	for _, field := range []string{"X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply-From", "X-Mail-Autoreply"} {
		if v := strings.TrimSpace(h.Get(field)); v != "" && !strings.EqualFold(v, "no") {
			return "auto-reply", "The mail is an automatic reply (" + field + ")."
		}
	}
	return "", ""
}

func loopReceived(h Header) (name, reason string) {
	if n := ReceivedCount(h); n >= MaxReceived {
		return "received", fmt.Sprintf("The mail has passed %d servers: it is going in circles.", n)
	}
	return "", ""
}

// loopSuppress: OOF, RN, NRN and the like leave our notice allowed; AutoReply, DR, NDR and All do not.
func loopSuppress(h Header) (name, reason string) {
	for _, v := range h.Values("X-Auto-Response-Suppress") {
		for _, word := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\t' }) {
			switch strings.ToLower(word) {
			case "all", "autoreply", "dr", "ndr":
				return "suppress", "The sender wants no automatic answers (X-Auto-Response-Suppress: " + headerWord(word) + ")."
			}
		}
	}
	return "", ""
}

// loopRobot: local parts behind which a machine reads (RFC 3834 2).
func loopRobot(returnPath string) (name, reason string) {
	local, _, _ := strings.Cut(strings.ToLower(returnPath), "@")
	robot := strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner") ||
		strings.HasSuffix(local, "-bounces")
	if robot || local == "mailer-daemon" {
		return "robot", "Nobody reads answers at the sender's address."
	}
	return "", ""
}

// headerWord makes a word of a stranger's header fit for a sentence.
func headerWord(s string) string {
	s = smtpstack.OneLine(s)
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "")
	}
	return mime.QEncoding.Encode("utf-8", s)
}

// ReceivedCount is the number of servers the mail has passed.
func ReceivedCount(h Header) int { return len(h.Values("Received")) }
