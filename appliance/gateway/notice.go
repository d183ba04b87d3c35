package gateway

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/message"
)

// noticeMail writes a job's final notice. It is made of the outbox item alone, so every attempt writes the same mail.
func (g *Gateway) noticeMail(o queue.Out) (message.Outgoing, error) {
	var n queue.Notice
	if err := json.Unmarshal(o.Payload, &n); err != nil {
		return message.Outgoing{}, fmt.Errorf("gateway: notice %s: %w", o.ID, err)
	}
	m := g.mail(o)
	m.Auto = true
	m.InReplyTo = n.MessageID
	m.Subject = noticeSubject(n)
	m.Text = noticeText(n)
	if j, err := g.q.Job(n.Job); err == nil && !slices.Contains(o.To, j.Sender) {
		m.Text = "This notice is for " + j.Sender + ", whose mail server did not take it.\n\n" + m.Text
	}
	m.Extra = []message.Field{{Name: "X-Tipring-Job", Value: string(n.Job)}, {Name: "X-Tipring-Outcome", Value: string(n.State)}}
	return m, nil
}

// mail is what all our mails have in common.
func (g *Gateway) mail(o queue.Out) message.Outgoing {
	id, domain, _ := strings.Cut(strings.Trim(o.MessageID, "<>"), "@")
	m := message.Outgoing{ID: id, Domain: domain, Date: o.Created, From: mail.Address{Name: g.o.FromName, Address: g.o.From}}
	for _, to := range o.To {
		m.To = append(m.To, mail.Address{Address: to})
	}
	return m
}

// party is whom the fax was for, as the sender wrote it.
func party(n queue.Notice) string {
	if n.Name != "" {
		return n.Name + " (" + n.Number + ")"
	}
	return n.Number
}

func noticeSubject(n queue.Notice) string {
	s := map[queue.State]string{
		queue.Sent:     "Fax sent to ",
		queue.Failed:   "Fax NOT sent to ",
		queue.Unknown:  "Please check: fax to ",
		queue.Canceled: "Fax canceled: ",
	}[n.State] + party(n)
	if n.State == queue.Unknown {
		s += " may not have arrived"
	}
	if n.Subject != "" {
		s += ": " + n.Subject
	}
	return s
}

// noticeText says what happened and what is to be done, in sentences for somebody who sends faxes, not for somebody
// who runs fax machines.
func noticeText(n queue.Notice) string {
	var b strings.Builder
	switch n.State {
	case queue.Sent:
		sentText(&b, n)
	case queue.Unknown:
		which := "the last page"
		if n.Doubt > 0 && n.Doubt != n.Pages {
			which = fmt.Sprintf("page %d", n.Doubt)
		}
		fmt.Fprintf(&b, "All %s of your fax to %s went out, but it is not known whether %s arrived: the call ended before the other side could confirm it.\n\n", pages(n.Pages), party(n), which)
		b.WriteString("The fax will not be sent again by itself, because it may have arrived. Please ask the recipient whether the fax is complete, and send it again if it is not.\n")
	case queue.Canceled:
		fmt.Fprintf(&b, "Your fax to %s was canceled", party(n))
		if n.Text != "" && !strings.HasPrefix(n.Text, "The fax was canceled") {
			fmt.Fprintf(&b, ": %s", n.Text)
		}
		b.WriteString(".\n\n")
		arrived(&b, n)
		b.WriteString("Nothing more will be sent.\n")
	default:
		failedText(&b, n)
	}
	b.WriteString("\n")
	facts(&b, n)
	return b.String()
}

func sentText(b *strings.Builder, n queue.Notice) {
	fmt.Fprintf(b, "Your fax to %s was sent. The other side confirmed %s.\n", party(n), allPages(n.Pages))
	switch {
	case n.Poor == 1:
		b.WriteString("\nOne page was confirmed as received in poor quality. If it matters, ask the recipient whether it can be read.\n")
	case n.Poor > 1:
		fmt.Fprintf(b, "\n%d pages were confirmed as received in poor quality. If it matters, ask the recipient whether they can be read.\n", n.Poor)
	}
}

func failedText(b *strings.Builder, n queue.Notice) {
	fmt.Fprintf(b, "Your fax to %s was NOT sent", party(n))
	if n.Confirmed > 0 {
		b.WriteString(" completely")
	}
	b.WriteString(".\n\n")
	if n.Text != "" {
		fmt.Fprintf(b, "What happened: %s\n\n", n.Text)
	}
	arrived(b, n)
	switch {
	case n.Calls == 0:
		b.WriteString("The number was not called. Nothing more will be tried: please put right what is said above and send the mail again.\n")
	case n.Calls == 1:
		b.WriteString("The number was called once. It will not be called again for this fax: please check the number with the recipient and send the mail again.\n")
	default:
		fmt.Fprintf(b, "The number was called %d times. It will not be called again for this fax: please check the number with the recipient and send the mail again later.\n", n.Calls)
	}
}

// arrived tells of the pages that the other side has all the same.
func arrived(b *strings.Builder, n queue.Notice) {
	rest := ", the others did not"
	if n.Doubt > 0 {
		rest = ""
	}
	switch {
	case len(n.Arrived) == 1:
		fmt.Fprintf(b, "Page %s of %d arrived at the other side%s.", listed(n.Arrived), n.Pages, rest)
	case len(n.Arrived) > 1:
		fmt.Fprintf(b, "Pages %s of %d arrived at the other side%s.", listed(n.Arrived), n.Pages, rest)
	case n.Confirmed == 1:
		fmt.Fprintf(b, "Page 1 of %d arrived at the other side.", n.Pages)
	case n.Confirmed > 1:
		fmt.Fprintf(b, "Pages 1 to %d of %d arrived at the other side.", n.Confirmed, n.Pages)
	}
	if n.Doubt > 0 {
		if n.Confirmed > 0 {
			b.WriteString(" ")
		}
		fmt.Fprintf(b, "Page %d may have arrived as well.", n.Doubt)
	}
	if n.Confirmed > 0 || n.Doubt > 0 {
		b.WriteString("\n\n")
	}
}

// listed writes page numbers in order, runs of three and more as one: "1, 3 to 6 and 9".
func listed(pages []int) string {
	var parts []string
	for i := 0; i < len(pages); {
		j := i
		for j+1 < len(pages) && pages[j+1] == pages[j]+1 {
			j++
		}
		if j < i+2 {
			parts = append(parts, fmt.Sprint(pages[i]))
			i++
			continue
		}
		parts = append(parts, fmt.Sprintf("%d to %d", pages[i], pages[j]))
		i = j + 1
	}
	last := len(parts) - 1
	if last < 1 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

func facts(b *strings.Builder, n queue.Notice) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "%-14s %s\n", name+":", value)
		}
	}
	line("Number", n.Number)
	line("Recipient", n.Name)
	line("Subject", n.Subject)
	if n.Pages > 0 {
		line("Pages", fmt.Sprintf("%d of %d confirmed", n.Confirmed, n.Pages))
	}
	line("Answered as", n.RemoteID)
	if n.Calls > 0 {
		line("Calls", fmt.Sprint(n.Calls))
	}
	line("Handed over", n.Created.Local().Format(timeFormat))
	line("Finished", n.Ended.Local().Format(timeFormat))
	line("Job", string(n.Job))
}

// timeFormat is unambiguous everywhere.
const timeFormat = "2 January 2006, 15:04:05 -0700"

func pages(n int) string {
	if n == 1 {
		return "1 page"
	}
	return fmt.Sprintf("%d pages", n)
}

func allPages(n int) string {
	if n == 1 {
		return "its one page"
	}
	return fmt.Sprintf("all %d pages", n)
}

// alarmMail writes an alarm to the operator.
func (g *Gateway) alarmMail(o queue.Out) (message.Outgoing, error) {
	var a queue.Alarm
	if err := json.Unmarshal(o.Payload, &a); err != nil {
		return message.Outgoing{}, fmt.Errorf("gateway: alarm %s: %w", o.ID, err)
	}
	m := g.mail(o)
	m.Generated = true
	m.Subject = "[" + g.o.Hostname + "] " + a.Subject
	m.Text = a.Text + "\n\nThis is the fax appliance " + g.o.Hostname + ". Its alarms are on its status page and in \"tipring status\".\n\nSince: " +
		o.Created.Local().Format(timeFormat) + "\n"
	return m, nil
}

// OutSubject is the subject of an outbox item's mail, for lists.
func (g *Gateway) OutSubject(o queue.Out) string {
	switch o.Kind {
	case queue.KindNotice:
		var n queue.Notice
		if json.Unmarshal(o.Payload, &n) == nil {
			return noticeSubject(n)
		}
	case queue.KindAlarm:
		var a queue.Alarm
		if json.Unmarshal(o.Payload, &a) == nil {
			return a.Subject
		}
	case queue.KindFax:
		if f, err := g.q.Fax(o.Fax); err == nil {
			return faxSubject(f)
		}
	case queue.KindRelay, queue.KindReport:
		return relaySubject(o)
	}
	return ""
}

// backoff is the pause after the n-th failed delivery (from 1): short at first, for a mail server that restarts.
func backoff(n int) time.Duration {
	steps := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute}
	return steps[min(max(n, 1), len(steps))-1]
}
