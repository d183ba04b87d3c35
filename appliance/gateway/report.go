package gateway

import (
	"io"
	"slices"
	"strings"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
)

// deliveryReport is the machine-readable half of a notice (RFC 3464), for those of its faxes whose sending server asked for
// one by NOTIFY=; nil: none did. A server that only names the mail (ENVID=, ORCPT=), as many do with every mail, gets the
// notice for people alone. The notice itself comes in any case but NOTIFY=NEVER: servers write NOTIFY=FAILURE by
// themselves, and who sends a fax wants to know that it arrived.
func (g *Gateway) deliveryReport(list []queue.Notice) *message.DeliveryReport {
	r := &message.DeliveryReport{ReportingMTA: g.o.Hostname}
	for _, n := range list {
		asked, _ := smtpstack.ParseNotify(n.Notify)
		line := g.reported(n)
		event := smtpstack.NotifySuccess
		if line.Action == message.Failed {
			event = smtpstack.NotifyFailure
		}
		if n.Notify == "" || asked&event == 0 {
			continue
		}
		r.Recipients = append(r.Recipients, line)
		r.EnvelopeID, r.Arrival = n.EnvelopeID, n.Created
		if r.Original == nil {
			r.Original = g.original(n.Mail)
		}
	}
	if len(r.Recipients) == 0 {
		return nil
	}
	return r
}

// reported is one fax in a delivery report. One of which it is not known whether it arrived was handed on without its
// arrival being confirmed, which is "relayed" (RFC 3464 2.3.3): "failed" would have machines send it a second time.
func (g *Gateway) reported(n queue.Notice) message.ReportedRecipient {
	final := n.Address
	if _, _, err := smtpstack.SplitAddress(final); err != nil {
		final = n.Number + "@" + g.o.Hostname
		if len(g.o.FaxDomains) > 0 {
			final = n.Number + "@" + g.o.FaxDomains[0]
		}
	}
	r := message.ReportedRecipient{Original: n.OriginalRecipient, Final: final, Action: message.Failed, Status: faxStatus(n), FaxCode: true,
		Diagnostic: strings.TrimSpace(n.Code.String() + ": " + n.Text), LastAttempt: n.Ended}
	switch n.State {
	case queue.Sent:
		r.Action, r.Status, r.Diagnostic = message.Delivered, "2.1.5", allPages(n.Pages)+" confirmed"
	case queue.Unknown:
		r.Action, r.Status = message.Relayed, "2.0.0"
	}
	return r
}

// faxStatus is a failed fax's status code (RFC 3463 3): a busy line is a system that does not answer (X.4.1), a broken
// call a bad connection (X.4.2). What could pass by itself is 4, though given up.
func faxStatus(n queue.Notice) string {
	switch queue.ClassOf(n.Code) {
	case queue.ClassBusy, queue.ClassNoAnswer, queue.ClassModemWait:
		return "4.4.1"
	case queue.ClassFailure:
		return "4.4.2"
	case queue.ClassCannot:
		return "4.3.1"
	case queue.ClassNoNumber:
		return "5.1.1"
	case queue.ClassNoFax:
		return "5.1.2"
	case queue.ClassRefused, queue.ClassSource:
		return "5.6.3"
	}
	return "5.0.0"
}

// original opens a mail for its header to be returned, also with RET=FULL: the content is confidential, and RFC 3461 4.3 lets
// a report have less. nil when the mail is gone.
func (g *Gateway) original(id queue.MailID) message.OpenOriginal {
	m, err := g.q.Mail(id)
	if err != nil {
		return nil
	}
	f, err := g.st.OpenFile(m.File)
	if err != nil {
		return nil
	}
	f.Close()
	return func() (io.ReadCloser, error) { return g.st.OpenFile(m.File) }
}

// omittedLines are what a notice says of what is not on the fax, in bounds: parts as "name: reason", damage in sentences.
func omittedLines(msg *message.Message) []string {
	const most = 20
	list := slices.Concat(msg.Omitted(), msg.Notes)
	if len(list) > most {
		list = append(list[:most], "More was found that is not listed here.")
	}
	for i, s := range list {
		list[i] = short(smtpstack.OneLine(s), 200)
	}
	return list
}
