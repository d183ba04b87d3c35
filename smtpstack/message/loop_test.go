package message

import (
	"strings"
	"testing"
)

func TestCheckLoop(t *testing.T) {
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("Received: x\n", n), "\n") }
	const neither, faxOnly, both = 0, 1, 2
	tests := []struct {
		header, from string
		want         int
		rule         string
	}{
		{"Subject: hi", "jane@example.com", both, ""},
		{"Subject: hi", "", neither, "null-sender"},
		{"Return-Path: <>", "x@y", neither, "null-sender"},
		{"Return-Path: <a@b>", "x@y", both, ""},
		{"Auto-Submitted: no", "x@y", both, ""}, {"Auto-Submitted: No; x=y", "x@y", both, ""}, {"Auto-Submitted: no (a person)", "x@y", both, ""},
		{"Auto-Submitted: auto-generated", "x@y", neither, "auto-submitted"}, {"auto-submitted: AUTO-REPLIED", "x@y", neither, "auto-submitted"},
		{"Auto-Submitted: auto-notified; owner-email=x", "x@y", neither, "auto-submitted"},
		{"Auto-Submitted: no\nAuto-Submitted: auto-replied", "x@y", neither, "auto-submitted"},
		{"Content-Type: multipart/report; report-type=delivery-status; boundary=x", "x@y", neither, "report"},
		{"Content-Type: message/disposition-notification", "x@y", neither, "report"},
		{"Content-Type: multipart/mixed; boundary=x", "x@y", both, ""},
		{"List-Id: <x>", "x@y", neither, "list"}, {"LIST-UNSUBSCRIBE: <x>", "x@y", neither, "list"}, {"List-Price: 7", "x@y", both, ""},
		{"Precedence: bulk", "x@y", neither, "precedence"}, {"Precedence:  Junk ", "x@y", neither, "precedence"}, {"precedence: list", "x@y", neither, "precedence"},
		{"Precedence: first-class", "x@y", both, ""},
		{"X-Autoreply: yes", "x@y", neither, "auto-reply"}, {"X-Autorespond: 1", "x@y", neither, "auto-reply"}, {"X-Autoreply: no", "x@y", both, ""},
		{"X-Tipring-Loop: other.example.com", "x@y", neither, "own"},
		{many(19), "x@y", both, ""}, {many(20), "x@y", neither, "received"},
		{"X-Auto-Response-Suppress: All", "x@y", faxOnly, "suppress"}, {"X-Auto-Response-Suppress: OOF, AutoReply", "x@y", faxOnly, "suppress"},
		{"X-Auto-Response-Suppress: DR;RN", "x@y", faxOnly, "suppress"}, {"X-Auto-Response-Suppress: OOF, RN, NRN", "x@y", both, ""},
		{"Subject: hi", "MAILER-DAEMON@example.com", faxOnly, "robot"}, {"Subject: hi", "owner-list@example.com", faxOnly, "robot"},
		{"Subject: hi", "list-request@example.com", faxOnly, "robot"}, {"Subject: hi", "noreply@example.com", both, ""},
		{"X-Auto-Response-Suppress: All\nList-Id: <x>", "x@y", neither, "list"},
	}
	for _, tt := range tests {
		m, _ := parse(t, "From: a@b\n"+tt.header+"\n\n--x--\n")
		v := CheckLoop(m.Header, tt.from)
		if v.Fax != (tt.want != neither) || v.Answer != (tt.want == both) || v.Rule != tt.rule || (v.Reason == "") != (tt.want == both) {
			t.Errorf("%.60q from %q: %+v", tt.header, tt.from, v)
		}
		if strings.ContainsAny(v.Reason, "\r\n") || len(v.Reason) > 200 {
			t.Errorf("reason %q", v.Reason)
		}
	}
}

// TestCheckLoop_OurOwnMail: nothing that we write by ourselves may be faxed or answered, whoever sends it back.
func TestCheckLoop_OurOwnMail(t *testing.T) {
	for name, change := range map[string]func(*Outgoing){
		"notice": func(o *Outgoing) { o.Auto = true }, "fax": func(o *Outgoing) { o.Generated = true },
		"report":  func(o *Outgoing) { o.Report = deliveryReport() },
		"receipt": func(o *Outgoing) { o.Report = &Receipt{Recipient: "a@b", Disposition: Processed} },
	} {
		o := outgoing()
		change(o)
		m, err := Parse(strings.NewReader(write(t, o)), Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v := CheckLoop(m.Header, "jane@example.com"); v.Fax || v.Answer || v.Rule != "own" {
			t.Errorf("%s: %+v", name, v)
		}
		stripped := Header{m.Header.h.Copy()}
		stripped.h.Del(LoopField)
		if v := CheckLoop(stripped, "jane@example.com"); v.Fax || v.Answer {
			t.Errorf("%s without the loop field: %+v", name, v)
		}
	}
}
