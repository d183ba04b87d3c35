package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/message"
)

// Summaries makes the notices about mails of which some faxes have ended for an hour and others go on, until ctx ends.
func (g *Gateway) Summaries(ctx context.Context) error {
	for {
		changed, now := g.q.Changed(), time.Now()
		if _, err := g.q.ReportDue(now); err != nil {
			return err
		}
		next, err := g.q.NextReportAt(now)
		if err != nil {
			return err
		}
		if err := g.idle(ctx, changed, next); err != nil {
			return err
		}
	}
}

// summaryMail writes the notice about several faxes of one mail.
func (g *Gateway) summaryMail(o queue.Out) (message.Outgoing, error) {
	var s queue.Summary
	if err := json.Unmarshal(o.Payload, &s); err != nil {
		return message.Outgoing{}, fmt.Errorf("gateway: summary %s: %w", o.ID, err)
	}
	if len(s.Jobs) == 0 {
		return message.Outgoing{}, fmt.Errorf("gateway: summary %s names no job", o.ID)
	}
	m := g.answer(o, s.MessageID, s.Jobs)
	m.Subject = summarySubject(s)
	last := s.Jobs[len(s.Jobs)-1] // the one most likely to have pages
	g.setLetter(&m, g.redirected(o, last.Job, summaryLetter(s)), g.jobPicture(last.Job))
	return m, nil
}

// countStates counts the faxes of a summary by their final state.
func countStates(s queue.Summary) map[queue.State]int {
	n := map[queue.State]int{}
	for _, j := range s.Jobs {
		n[j.State]++
	}
	return n
}

// summarySubject: "2 of 3 faxes sent, 1 NOT sent: Plan".
func summarySubject(s queue.Summary) string {
	n, total := countStates(s), len(s.Jobs)
	var parts []string
	switch {
	case n[queue.Sent] == total:
		parts = append(parts, faxes(total)+" sent")
	case n[queue.Failed] == total:
		parts = append(parts, faxes(total)+" NOT sent")
	case n[queue.Sent] > 0:
		parts = append(parts, fmt.Sprintf("%d of %s sent", n[queue.Sent], faxes(total)))
	}
	if f := n[queue.Failed]; f > 0 && f < total {
		parts = append(parts, fmt.Sprintf("%d NOT sent", f))
	}
	if u := n[queue.Unknown]; u > 0 {
		parts = append(parts, fmt.Sprintf("%d to be checked", u))
	}
	if c := n[queue.Canceled]; c > 0 {
		parts = append(parts, fmt.Sprintf("%d canceled", c))
	}
	if n[queue.Sent] == 0 && n[queue.Failed] < total {
		parts[0] = "Faxes: " + parts[0]
	}
	if o := len(s.Open); o > 0 {
		parts = append(parts, fmt.Sprintf("%d still under way", o))
	}
	text := strings.Join(parts, ", ")
	if s.Before > 0 {
		text += fmt.Sprintf(" (%d reported before)", s.Before)
	}
	if s.Subject != "" {
		text += ": " + s.Subject
	}
	return text
}

func faxes(n int) string {
	if n == 1 {
		return "1 fax"
	}
	return fmt.Sprintf("%d faxes", n)
}

// summaryLetter tells of what was not sent first, then lists every recipient.
func summaryLetter(s queue.Summary) message.Letter {
	l := message.Letter{Title: summarySubject(s), Tone: message.Good}
	var omitted []string
	for _, n := range s.Jobs {
		if tone := noticeLetter(n).Tone; tone == message.Bad || tone == message.Warning && l.Tone == message.Good {
			l.Tone = tone
		}
		if n.State != queue.Sent || n.Poor > 0 {
			l.Paragraphs = append(l.Paragraphs, strings.Join(outcome(n), " "))
		}
		omitted = addMissing(omitted, n.Omitted...)
	}
	if n := countStates(s)[queue.Sent]; n > 0 && n < len(s.Jobs) {
		l.Paragraphs = append(l.Paragraphs, "The faxes listed as sent were confirmed page by page by the other side. When you send the mail again, please address it only to those who did not get it.")
	} else if n > 0 {
		l.Paragraphs = append(l.Paragraphs, "The other side confirmed every page of each fax.")
	}
	for _, o := range s.Open {
		l.Paragraphs = append(l.Paragraphs, openWords(o))
	}
	l.Paragraphs = append(append(l.Paragraphs, leftOut(omitted)...), repeated(s.Repeated)...)
	l.Facts = summaryFacts(s)
	return l
}

// openWords tells of a fax that is not over.
func openWords(o queue.OpenJob) string {
	text := "The fax to " + partyOf(o.Number, o.Name) + " is still under way"
	if o.State == queue.Held {
		text = "The fax to " + partyOf(o.Number, o.Name) + " is held"
	}
	if why := strings.TrimSuffix(o.Text, "."); why != "" {
		text += " (" + why + ")"
	}
	text += ". Another notice tells how it ended."
	if o.State == queue.Held {
		text += " Please ask whoever runs the fax appliance."
	}
	return text
}

// summaryFacts has a line for each recipient.
func summaryFacts(s queue.Summary) []message.Fact {
	f := factList{}
	f.add("Subject", s.Subject)
	for _, n := range s.Jobs {
		f.add(party(n), recipientLine(n))
	}
	for _, o := range s.Open {
		state := "still under way"
		if o.State == queue.Held {
			state = "held"
		}
		f.add(partyOf(o.Number, o.Name), state)
	}
	first := slices.MinFunc(s.Jobs, func(a, b queue.Notice) int { return a.Created.Compare(b.Created) })
	f.add("Handed over", first.Created.Local().Format(timeFormat))
	return f
}

var stateWords = map[queue.State]string{queue.Sent: "sent", queue.Failed: "NOT sent", queue.Unknown: "may not have arrived", queue.Canceled: "canceled"}

// recipientLine is one fax in a line: "sent, 3 of 3 pages confirmed, ..., job 1m8212a5h".
func recipientLine(n queue.Notice) string {
	parts := []string{stateWords[n.State]}
	if n.Pages > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s confirmed", n.Confirmed, pages(n.Pages)))
	}
	if why := strings.TrimSuffix(n.Text, "."); why != "" {
		parts = append(parts, why)
	}
	if n.RemoteID != "" {
		parts = append(parts, "answered as "+n.RemoteID)
	}
	return strings.Join(append(parts, n.Ended.Local().Format(timeFormat), "job "+string(n.Job)), ", ")
}
