package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/send"
)

// relayLifetime is how long a mail is tried to be passed on (RFC 5321 4.5.4.1: four to five days at least). Mail that is held for the
// configuration's sake does not grow old.
const relayLifetime = 5 * 24 * time.Hour

// settleRelay is settle for a mail that is passed on: whoever is refused for good does not get it, and those who should know are
// told in the same transaction.
func (g *Gateway) settleRelay(o queue.Out, results []send.Result, a *queue.OutAttempt, stopped bool) error {
	r, err := relayOf(o)
	if err != nil {
		return err
	}
	expired := !stopped && time.Since(o.Created) > relayLifetime
	var failed []queue.RelayRecipient
	var open []send.Result
	for _, res := range results {
		switch late := expired && res.Class != smtpstack.Configuration && res.Class != smtpstack.Delivered; {
		case res.Class == smtpstack.BadRecipient || res.Class == smtpstack.Permanent || late:
			failed = append(failed, failedRecipient(res, late))
		default:
			open = append(open, res)
		}
	}
	v := g.judge(open)
	if len(open) > 0 {
		g.note(o, v, nil)
	}
	var also []queue.NewOut
	if len(failed) > 0 {
		also = g.reportOf(o, r, failed)
		if v.text == "" {
			v.text = failed[0].Reply
		}
	}
	a.Reply, a.Remedy = v.text, v.remedy
	pause := max(v.pause, backoff(o.Attempts))
	if stopped {
		pause = 0
	}
	err = g.q.SettleOut(o.ID, a, func(x *queue.Out) error {
		x.Done, x.To, x.LastReply = append(x.Done, v.done...), slices.Clone(v.left), v.text
		switch {
		case v.hold:
			x.State, x.HeldBy, x.HeldAt, a.Outcome = queue.OutHeld, v.heldBy, time.Now(), "held"
		case len(x.To) > 0:
			x.State, x.NotBefore, a.Outcome = queue.OutPending, time.Now().Add(pause), "waits"
		case len(x.Done) == 0:
			x.State, a.Outcome = queue.OutDropped, "refused"
		default:
			x.State, a.Outcome = queue.OutDone, "delivered"
		}
		return nil
	}, also...)
	if err != nil {
		return err
	}
	return g.afterProbe(o, v)
}

// failedRecipient says what a report says of a recipient.
func failedRecipient(res send.Result, late bool) queue.RelayRecipient {
	f := queue.RelayRecipient{Address: res.To, Status: "5.0.0", Reply: res.Text(), Host: res.Host}
	if strings.HasPrefix(res.Reply.Enhanced, "5.") {
		f.Status = res.Reply.Enhanced
	}
	if res.Reply.Code != 0 {
		f.Reply = res.Reply.String()
	}
	if late {
		f.Status = "4.4.7" // delivery time expired (RFC 3463 3.5)
	}
	return f
}

// reportOf is the report on recipients who do not get a mail: to its sender, unless that is a machine or the very address that is
// refused, and to the operators' mailbox; without that, or beyond a number of them an hour, there is an alarm.
func (g *Gateway) reportOf(o queue.Out, r queue.Relay, failed []queue.RelayRecipient) []queue.NewOut {
	g.o.Log.Warn("mail not passed on", "out", o.ID, "connector", r.Connector, "from", r.Sender, "recipients", len(failed), "reply", failed[0].Reply)
	var to []string
	dead := func(f queue.RelayRecipient) bool { return strings.EqualFold(f.Address, r.Sender) }
	if r.Sender != "" && !r.Silent && !slices.ContainsFunc(failed, dead) && g.reports.allow(strings.ToLower(r.Sender), reportsToSender) {
		to = append(to, r.Sender)
	}
	told := g.o.Fallback != "" && slices.ContainsFunc(to, func(a string) bool { return strings.EqualFold(a, g.o.Fallback) })
	if !told && g.o.Fallback != "" && g.reports.allow(strings.ToLower(g.o.Fallback), reportsToOperators) {
		to, told = append(to, g.o.Fallback), true
	}
	if !told {
		g.alarms.Raise("relay-refused/"+r.Connector, fmt.Sprintf("Mail that %s handed in for %s was not delivered: %s.", r.Client, failed[0].Address, failed[0].Reply),
			"Correct the address in the device's address book and send again. With mail.fallback each such mail is reported there, up to 100 an hour. Clear the alarm when it is seen to.")
	}
	if len(to) == 0 {
		return nil
	}
	return []queue.NewOut{{Kind: queue.KindReport, To: to, Payload: queue.RelayReport{Relay: r, Mail: o.Mail, Recipients: failed, Head: g.headOf(o.Mail)}}}
}

// GiveUp ends a mail that waits to be passed on, by an operator's hand; those who should know are told. Errors: queue.ErrNotFound, and
// queue.ErrState of a mail of another kind, on its way or ended.
func (g *Gateway) GiveUp(id queue.OutID) error {
	o, err := g.q.Out(id)
	if err != nil {
		return err
	}
	if o.Kind != queue.KindRelay {
		return fmt.Errorf("%w: mail %s is none that is passed on for a device; notices and faxes are never given up", queue.ErrState, id)
	}
	r, err := relayOf(o)
	if err != nil {
		return err
	}
	var failed []queue.RelayRecipient
	for _, to := range o.To {
		failed = append(failed, queue.RelayRecipient{Address: to, Status: "5.0.0", Reply: "given up by an operator; before: " + o.LastReply})
	}
	var also []queue.NewOut
	if len(failed) > 0 {
		also = g.reportOf(o, r, failed)
	}
	if err := g.q.DropOut(id, "given up by an operator", also...); err != nil {
		return err
	}
	g.alarms.Clear("mail-compose/" + string(id))
	held, err := g.q.HeldBy()
	if err == nil && len(held) == 0 {
		g.alarms.Clear("mail-held")
	}
	return err
}

// maxHeadKept bounds the header that a report brings back, in octets.
const maxHeadKept = 16 << 10

// headOf is a mail's header, whole fields of it; "" when it cannot be read any more.
func (g *Gateway) headOf(id queue.MailID) string {
	m, err := g.q.Mail(id)
	if err != nil {
		return ""
	}
	f, err := g.st.OpenFile(m.File)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, maxHeadKept)
	n, _ := io.ReadFull(f, head) // as much as there is
	head = head[:n]
	if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
		return strings.ToValidUTF8(string(head[:i+2]), "?")
	}
	return strings.ToValidUTF8(string(head[:bytes.LastIndexByte(head, '\n')+1]), "?")
}

func reportSubject(r queue.RelayReport) string {
	s := "Mail NOT delivered"
	if r.Subject != "" {
		s += ": " + r.Subject
	}
	return s
}

// reportMail writes the report on a mail that was not delivered (RFC 3464).
func (g *Gateway) reportMail(o queue.Out) (message.Outgoing, error) {
	var r queue.RelayReport
	if err := json.Unmarshal(o.Payload, &r); err != nil {
		return message.Outgoing{}, fmt.Errorf("gateway: report %s: %w", o.ID, err)
	}
	m := g.mail(o)
	m.Auto = true
	m.Subject = reportSubject(r)
	d := &message.DeliveryReport{ReportingMTA: g.o.Hostname, EnvelopeID: r.EnvelopeID, ReceivedFrom: r.Client, Arrival: r.Received}
	if r.Head != "" {
		d.Original = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(r.Head)), nil }
	}
	var b strings.Builder
	fmt.Fprintf(&b, "A mail that %s (%s) handed in at %s was NOT delivered to:\n\n", r.Sender, r.Client, r.Received.Local().Format(timeFormat))
	for _, f := range r.Recipients {
		fmt.Fprintf(&b, "  %s\n    %s\n", f.Address, smtpstack.OneLine(f.Reply))
		rec := message.ReportedRecipient{Final: f.Address, Action: message.Failed, Status: f.Status, RemoteMTA: f.Host, Diagnostic: f.Reply, LastAttempt: o.Created}
		if orig := r.Original[f.Address]; orig != "" {
			rec.Original = "rfc822;" + orig
		}
		d.Recipients = append(d.Recipients, rec)
	}
	b.WriteString("\nIt is not tried again. Please check the address in the device's address book, and send the mail again.\n\n")
	if r.Subject != "" {
		fmt.Fprintf(&b, "Subject: %s\n", r.Subject)
	}
	fmt.Fprintf(&b, "Mail: %s\n", r.Mail)
	m.Text, m.Report = b.String(), d
	return m, nil
}

// fromDomain is the domain of a finished mail's From; "" when it cannot be told.
func fromDomain(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head, err := message.CheckFixUp(io.LimitReader(f, maxHeader))
	if err != nil {
		return ""
	}
	list, err := head.Addresses("From")
	if err != nil || len(list) != 1 {
		return ""
	}
	return list[0].Address[strings.LastIndexByte(list[0].Address, '@')+1:]
}
