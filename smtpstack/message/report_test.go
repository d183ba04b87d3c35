package message

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var reportTime = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

const originalMail = "Received: from a\n\tby b\nFrom: jane@example.com\nSubject: =?utf-8?q?=C3=A4?=\nX-Raw: \xe4\n\nThe secret content.\n"

func original() OpenOriginal { return content(originalMail) }

func deliveryReport() *DeliveryReport {
	return &DeliveryReport{ReportingMTA: "fax.example.com", EnvelopeID: "env-1", ReceivedFrom: "mail.example.com", Arrival: reportTime,
		Recipients: []ReportedRecipient{
			{Original: "rfc822;5551234@fax.example.com", Final: "5551234@fax.example.com", Action: Failed, Status: "5.1.1", Diagnostic: "busy", FaxCode: true, LastAttempt: reportTime},
			{Final: "777@fax.example.com", Action: Delayed, Status: "4.4.1", RemoteMTA: "mx.example.com", Diagnostic: "451 try later", RetryUntil: reportTime},
		}, Original: original()}
}

func TestDeliveryReport(t *testing.T) {
	o := outgoing()
	o.Report = deliveryReport()
	wire := write(t, o)
	for _, want := range []string{
		"Content-Type: multipart/report; report-type=delivery-status;\r\n", "Auto-Submitted: auto-replied\r\n", "Content-Type: message/delivery-status\r\n\r\n",
		"Original-Envelope-Id: env-1\r\nReporting-MTA: dns; fax.example.com\r\nReceived-From-MTA: dns; mail.example.com\r\nArrival-Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n",
		"Original-Recipient: rfc822;5551234@fax.example.com\r\nFinal-Recipient: rfc822; 5551234@fax.example.com\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: x-fax; busy\r\nLast-Attempt-Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nFinal-Recipient: ",
		"Action: delayed\r\nStatus: 4.4.1\r\nRemote-MTA: dns; mx.example.com\r\nDiagnostic-Code: smtp; 451 try later\r\nWill-Retry-Until: ",
	} {
		if !strings.Contains(wire, want) {
			t.Errorf("lacks %q in\n%s", want, wire)
		}
	}
	if strings.Contains(wire, "secret") || !strings.Contains(wire, "Subject: =3D?utf-8?q?=3DC3=3DA4?=3D") {
		t.Errorf("original header:\n%s", wire)
	}
	m, err := Parse(strings.NewReader(wire), Limits{}, nil)
	if err != nil || CheckLoop(m.Header, "a@b").Fax || len(m.Notes) != 0 {
		t.Errorf("%v, %q", err, m.Notes)
	}
}

func TestReceipt(t *testing.T) {
	o := outgoing()
	o.Report = &Receipt{ReportingUA: "fax.example.com", Recipient: "5551234@fax.example.com", OriginalID: "<a@b>", Disposition: Processed, Error: "busy\r\nX: y", Original: original()}
	wire := write(t, o)
	want := "Reporting-UA: fax.example.com; Tipring\r\nFinal-Recipient: rfc822; 5551234@fax.example.com\r\nOriginal-Message-ID: <a@b>\r\n" +
		"Disposition: automatic-action/MDN-sent-automatically; processed/error\r\nError: busy X: y\r\n\r\n--"
	if !strings.Contains(wire, want) || !strings.Contains(wire, "report-type=disposition-notification;") {
		t.Errorf("lacks %q in\n%s", want, wire)
	}
}

func TestReport_Refuses(t *testing.T) {
	rec := func(change func(*ReportedRecipient)) *DeliveryReport {
		d := deliveryReport()
		change(&d.Recipients[0])
		return d
	}
	for name, r := range map[string]Report{
		"no host": &DeliveryReport{Recipients: deliveryReport().Recipients}, "no recipient": &DeliveryReport{ReportingMTA: "a"},
		"action": rec(func(r *ReportedRecipient) { r.Action = "failed\r\nX: y" }), "status": rec(func(r *ReportedRecipient) { r.Status = "5.1.1\r\nX: y" }),
		"final": rec(func(r *ReportedRecipient) { r.Final = "\r\n" }), "disposition": &Receipt{Recipient: "a@b", Disposition: "displayed"},
		"receipt without recipient": &Receipt{Disposition: Deleted},
	} {
		o := outgoing()
		o.Report = r
		if _, err := o.WriteTo(io.Discard); !errors.Is(err, ErrReport) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := outgoing()
	o.Report, o.Attachments = deliveryReport(), []File{{Name: "x", Open: content("x")}}
	if _, err := o.WriteTo(io.Discard); !errors.Is(err, ErrField) {
		t.Errorf("attachment: %v", err)
	}
	for _, open := range []OpenOriginal{
		func() (io.ReadCloser, error) { return nil, errDisk },
		func() (io.ReadCloser, error) { return io.NopCloser(errReader{}), nil },
	} {
		d := deliveryReport()
		d.Original = open
		o := outgoing()
		o.Report = d
		if _, err := o.WriteTo(io.Discard); !errors.Is(err, errDisk) {
			t.Errorf("original: %v", err)
		}
	}
}

// TestReport_NoInjection: line breaks in every field of a report make no field, no recipient and no part more.
func TestReport_NoInjection(t *testing.T) {
	lines := func(s string) int { return strings.Count(s, "\r\n") }
	o := outgoing()
	o.Report = deliveryReport()
	want := lines(write(t, o))
	for _, br := range []string{"\r\n", "\n", "\r", "\r\n\r\n", "\u2028", "\x00"} {
		evil := br + "Action: delivered" + br + br + "--=_tipring_r"
		d := deliveryReport()
		d.ReportingMTA += evil
		d.EnvelopeID += evil
		d.ReceivedFrom += evil
		for i := range d.Recipients {
			r := &d.Recipients[i]
			r.Final += evil
			r.Diagnostic += evil + "ü"
			if r.Original != "" {
				r.Original += evil
			}
			if r.RemoteMTA != "" {
				r.RemoteMTA += evil
			}
		}
		o := outgoing()
		o.Report = d
		if wire := write(t, o); lines(wire) != want || strings.Contains(wire, "\r\nAction: delivered") || strings.Contains(wire, "\r\n--=_tipring_r\r\n") {
			t.Errorf("%q: %d lines instead of %d\n%s", br, lines(wire), want, wire)
		}
	}
}

func TestReport_LongOriginal(t *testing.T) {
	d := deliveryReport()
	d.Original = content("X: " + strings.Repeat("x", 1<<20) + "\n\nbody")
	o := outgoing()
	o.Report = d
	if n, err := o.Size(); err != nil || n > 80<<10 {
		t.Errorf("%d octets, %v", n, err)
	}
}

// TestPeer_PythonReport: the email package of Python reads the report's fields.
func TestPeer_PythonReport(t *testing.T) {
	o := outgoing()
	o.Report = deliveryReport()
	cmd := exec.Command(debianPython(t, "email", "python3"), "-c", `
import sys, email, email.policy
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
assert not any(p.defects for p in m.walk()), [p.defects for p in m.walk()]
status = list(m.iter_parts())[1]
print(m.get_param("report-type"), [(b["Action"], b["Status"]) for b in status.get_payload()], [p.get_content_type() for p in m.iter_parts()])
`)
	cmd.Stdin = strings.NewReader(write(t, o))
	out, err := cmd.CombinedOutput()
	want := "delivery-status [(None, None), ('failed', '5.1.1'), ('delayed', '4.4.1')] ['text/plain', 'message/delivery-status', 'text/rfc822-headers']\n"
	if err != nil || string(out) != want {
		t.Errorf("%v: got\n%swant\n%s", err, out, want)
	}
}

func TestReceiptAddress(t *testing.T) {
	const ask = "Disposition-Notification-To: Jane <jane@example.com>"
	tests := []struct {
		name, header, from string
		want               bool
	}{
		{"asked", ask, "jane@EXAMPLE.com", true},
		{"not asked", "X: y", "jane@example.com", false},
		{"to somebody else", ask, "bob@example.com", false},
		{"other case of the user", ask, "Jane@example.com", false},
		{"null sender", ask, "", false},
		{"list", ask + "\nList-Id: <x>", "jane@example.com", false},
		{"suppressed", ask + "\nX-Auto-Response-Suppress: All", "jane@example.com", false},
		{"two addresses", ask + ", bob@example.com", "jane@example.com", false},
		{"two requests", ask + "\n" + ask, "jane@example.com", false},
		{"no address", "Disposition-Notification-To: please", "jane@example.com", false},
		{"unknown option", ask + "\nDisposition-Notification-Options: x=required,y", "jane@example.com", false},
	}
	for _, tt := range tests {
		m, _ := parse(t, "From: a@b\n"+tt.header+"\n\nhi\n")
		a, err := ReceiptAddress(m.Header, CheckLoop(m.Header, tt.from), tt.from)
		if tt.want != (err == nil) || (!tt.want && !errors.Is(err, ErrNoReceipt)) || (tt.want && a.Address != "jane@example.com") {
			t.Errorf("%s: %v, %v", tt.name, a, err)
		}
	}
}

// FuzzReport: whatever stands in a report's fields and in the original's header, it reads back as three parts.
func FuzzReport(f *testing.F) {
	f.Add("fax.example.com", "a@b", "busy", "Subject: x\n\nbody")
	f.Add("\r\n", "a\r\nAction: delivered", "\u2028--=_tipring_r", "X: \xff\r\n--=_tipring_r\r\n\n")
	f.Fuzz(func(t *testing.T, mta, final, diagnostic, head string) {
		if len(mta)+len(final)+len(diagnostic)+len(head) > 10000 {
			return
		}
		o := outgoing()
		o.Report = &DeliveryReport{ReportingMTA: mta, EnvelopeID: diagnostic, Original: content(head),
			Recipients: []ReportedRecipient{{Final: final, Action: Failed, Status: "5.0.0", Diagnostic: diagnostic}}}
		var b strings.Builder
		if _, err := o.WriteTo(&b); err != nil {
			if !errors.Is(err, ErrReport) {
				t.Fatal(err)
			}
			return
		}
		checkWire(t, b.String())
		machine, _, _ := strings.Cut(b.String(), "\r\nContent-Type: text/rfc822-headers;")
		if n := strings.Count(machine, "\r\nAction: "); n != 1 {
			t.Errorf("%d actions", n)
		}
		m, err := Parse(strings.NewReader(b.String()), Limits{}, nil)
		if err != nil || len(m.Skipped) != 2 || len(m.Body) != 1 || len(m.Notes) != 0 {
			t.Fatalf("%v, %+v", err, m)
		}
	})
}
