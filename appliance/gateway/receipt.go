package gateway

import (
	"encoding/json"
	"fmt"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/message"
)

// receiptFor is who gets a receipt for one recipient of a mail (RFC 8098 2.1): its sender, who asked for one, if receipts are
// allowed here and the mail may be answered by a machine; "": nobody.
func (g *Gateway) receiptFor(m queue.Mail, head *message.Message, r recipient) string {
	if !g.o.Receipts || r.Silent {
		return ""
	}
	a, err := message.ReceiptAddress(head.Header, message.CheckLoop(head.Header, m.From), m.From)
	if err != nil {
		return ""
	}
	return a.Address
}

func receiptSubject(n queue.Notice) string {
	s := "Receipt: fax to " + party(n)
	if n.Subject != "" {
		s += ": " + n.Subject
	}
	return s
}

// receiptMail writes the receipt for a fax that was sent. The notice tells of it too: a receipt is for who asked.
func (g *Gateway) receiptMail(o queue.Out) (message.Outgoing, error) {
	var n queue.Notice
	if err := json.Unmarshal(o.Payload, &n); err != nil {
		return message.Outgoing{}, fmt.Errorf("gateway: receipt %s: %w", o.ID, err)
	}
	m := g.mail(o)
	m.InReplyTo = n.MessageID
	m.Subject = receiptSubject(n)
	m.Report = &message.Receipt{ReportingUA: g.o.Hostname, Recipient: g.reported(n).Final, OriginalID: n.MessageID, Disposition: message.Dispatched, Original: g.original(n.Mail)}
	l := message.Letter{Title: m.Subject, Paragraphs: []string{
		"This is the receipt you asked for: your mail was sent as a fax to " + party(n) + ", and the other side confirmed " + allPages(n.Pages) + ".",
		"It does not say that anybody has read it."}}
	g.setLetter(&m, l, nil)
	return m, nil
}
