package appliance

import (
	"fmt"
	"net"
	"testing"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// Postfix hands a mail in with NOTIFY=, ENVID= and ORCPT=: the one notice about both its faxes is the report it asked for.
func TestRun_PostfixAsksForReports(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	_, port, err := net.SplitHostPort(r.app.SMTPAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	p := smtptest.StartPostfix(t, nil, "relayhost = [127.0.0.1]:"+port, "smtp_tls_security_level = may")
	p.Sendmail(fmt.Sprintf("From: anna@example.org\nTo: %s@%s\nSubject: asked\nMessage-ID: <asked@example.org>\n\nWords.\n", demoReceiver, demoFax),
		"-f", "anna@example.org", "-N", "success,failure", "-V", "envelope-4711", demoReceiver+"@"+demoFax, demoBusy+"@"+demoFax)
	r.waitState("asked", demoReceiver, queue.Sent)
	r.waitState("asked", demoBusy, queue.Failed)
	eventually(t, "the notice and the fax", func() bool { return r.with("") == 2 })
	if r.with("multipart/report; report-type=delivery-status", "Original-Envelope-Id: envelope-4711", "Original-Recipient: rfc822;"+demoReceiver+"@"+demoFax, "Action: delivered",
		"Original-Recipient: rfc822;"+demoBusy+"@"+demoFax, "Action: failed\r\nStatus: 4.4.1", "1 of 2 faxes sent, 1 NOT sent", "Subject: asked") != 1 {
		t.Errorf("mails: %v\n%s", r.mails, p.Log())
	}
}
