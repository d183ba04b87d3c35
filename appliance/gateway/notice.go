package gateway

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
)

// noticeMail writes a job's final notice. It is made of the outbox item alone, so every attempt writes the same mail; only the
// picture and the original's header go when the job's files do.
func (g *Gateway) noticeMail(o queue.Out) (message.Outgoing, error) {
	var n queue.Notice
	if err := json.Unmarshal(o.Payload, &n); err != nil {
		return message.Outgoing{}, fmt.Errorf("gateway: notice %s: %w", o.ID, err)
	}
	m := g.answer(o, n.MessageID, []queue.Notice{n})
	m.Subject = noticeSubject(n)
	g.setLetter(&m, g.redirected(o, n.Job, noticeLetter(n)), g.jobPicture(n.Job))
	return m, nil
}

// answer is what all notices about faxes have in common.
func (g *Gateway) answer(o queue.Out, to string, list []queue.Notice) message.Outgoing {
	m := g.mail(o)
	m.Auto = true
	m.InReplyTo = to
	for _, n := range list {
		m.Extra = append(m.Extra, message.Field{Name: "X-Tipring-Job", Value: string(n.Job)}, message.Field{Name: "X-Tipring-Outcome", Value: string(n.State)})
	}
	if r := g.deliveryReport(list); r != nil {
		m.Report = r
	}
	return m
}

// party is whom the fax was for, as the sender wrote it.
func party(n queue.Notice) string { return partyOf(n.Number, n.Name) }

func partyOf(number, name string) string {
	if name != "" {
		return name + " (" + number + ")"
	}
	return number
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

var tones = map[queue.State]message.Tone{queue.Sent: message.Good, queue.Failed: message.Bad, queue.Unknown: message.Warning, queue.Canceled: message.Warning}

// noticeLetter says what happened and what is to be done, in sentences for somebody who sends faxes, not for somebody
// who runs fax machines.
func noticeLetter(n queue.Notice) message.Letter {
	l := message.Letter{Title: noticeSubject(n), Tone: tones[n.State], Facts: facts(n)}
	l.Paragraphs = append(outcome(n), leftOut(n.Omitted)...)
	l.Paragraphs = append(l.Paragraphs, repeated(n.Repeated)...)
	if n.State == queue.Sent && n.Poor > 0 {
		l.Tone = message.Warning
	}
	return l
}

// outcome is what became of one fax and what its sender can do.
func outcome(n queue.Notice) []string {
	switch n.State {
	case queue.Sent:
		return sentWords(n)
	case queue.Unknown:
		which := "the last page"
		if n.Doubt > 0 && n.Doubt != n.Pages {
			which = fmt.Sprintf("page %d", n.Doubt)
		}
		return []string{
			fmt.Sprintf("All %s of your fax to %s went out, but it is not known whether %s arrived: the call ended before the other side could confirm it.", pages(n.Pages), party(n), which),
			"The fax will not be sent again by itself, because it may have arrived. Please ask the recipient whether the fax is complete, and send it again if it is not."}
	case queue.Canceled:
		s := "Your fax to " + party(n) + " was canceled"
		if n.Text != "" && !strings.HasPrefix(n.Text, "The fax was canceled") {
			s += ": " + strings.TrimSuffix(n.Text, ".")
		}
		return append(append([]string{s + "."}, arrived(n)...), "Nothing more will be sent. If it is to go out after all, please send the mail again.")
	}
	return failedWords(n)
}

func sentWords(n queue.Notice) []string {
	list := []string{fmt.Sprintf("Your fax to %s was sent. The other side confirmed %s.", party(n), allPages(n.Pages))}
	switch {
	case n.Poor == 1:
		list = append(list, "One page was confirmed as received in poor quality. If it matters, ask the recipient whether it can be read.")
	case n.Poor > 1:
		list = append(list, fmt.Sprintf("%d pages were confirmed as received in poor quality. If it matters, ask the recipient whether they can be read.", n.Poor))
	}
	return list
}

func failedWords(n queue.Notice) []string {
	s := "Your fax to " + party(n) + " was NOT sent"
	if n.Confirmed > 0 {
		s += " completely"
	}
	list := []string{s + "."}
	if n.Text != "" {
		list = append(list, "What happened: "+n.Text)
	}
	return append(append(list, arrived(n)...), called(n)+" "+advise(n))
}

func called(n queue.Notice) string {
	switch n.Calls {
	case 0:
		return "The number was not called, and nothing more will be tried."
	case 1:
		return "The number was called once. It will not be called again for this fax."
	}
	return fmt.Sprintf("The number was called %d times. It will not be called again for this fax.", n.Calls)
}

// advise is what the sender of a failed fax can do about it.
func advise(n queue.Notice) string {
	if n.Calls == 0 {
		return "Please put right what is said above and send the mail again."
	}
	switch queue.ClassOf(n.Code) {
	case queue.ClassBusy, queue.ClassModemWait:
		return "Please send the mail again later, when the other side's line may be free."
	case queue.ClassNoNumber, queue.ClassNoFax:
		return "Please check the number with the recipient and send the mail again."
	case queue.ClassNoAnswer:
		return "Please check the number with the recipient, and that the fax machine there is switched on, and send the mail again later."
	case queue.ClassCannot:
		return "Please ask the recipient to look after the fax machine (paper, memory), and send the mail again."
	case queue.ClassRefused:
		return "Please ask the recipient what the fax machine there accepts, and send the mail again."
	case queue.ClassFailure:
		return "Please send the mail again later; if it fails again, ask the recipient whether other faxes arrive there."
	}
	return "Please check the number with the recipient and send the mail again later."
}

// arrived tells of the pages that the other side has all the same.
func arrived(n queue.Notice) []string {
	rest := ", the others did not"
	if n.Doubt > 0 {
		rest = ""
	}
	s := ""
	switch {
	case len(n.Arrived) == 1:
		s = fmt.Sprintf("Page %s of %d arrived at the other side%s.", listed(n.Arrived), n.Pages, rest)
	case len(n.Arrived) > 1:
		s = fmt.Sprintf("Pages %s of %d arrived at the other side%s.", listed(n.Arrived), n.Pages, rest)
	case n.Confirmed == 1:
		s = fmt.Sprintf("Page 1 of %d arrived at the other side.", n.Pages)
	case n.Confirmed > 1:
		s = fmt.Sprintf("Pages 1 to %d of %d arrived at the other side.", n.Confirmed, n.Pages)
	}
	if n.Doubt > 0 {
		s = strings.TrimSpace(fmt.Sprintf("%s Page %d may have arrived as well.", s, n.Doubt))
	}
	if s == "" {
		return nil
	}
	return []string{s}
}

// leftOut names what of the mail is not on the fax, see omittedLines.
func leftOut(omitted []string) []string {
	var parts, list, boxes []string
	for _, s := range omitted {
		if strings.HasPrefix(s, boxWords) {
			boxes = append(boxes, s)
		} else if strings.HasSuffix(s, ".") { // a sentence about damage
			list = append(list, s)
		} else {
			parts = append(parts, s)
		}
	}
	if len(list) > 0 {
		list = []string{"The mail could not be read whole: " + strings.Join(list, " ") + " Please check what was faxed, and send it again if something is missing."}
	}
	if len(parts) > 0 {
		list = append([]string{"Not on the fax: " + strings.Join(parts, "; ") + ". If it belongs there, please send it again as PDF."}, list...)
	}
	return append(list, boxes...)
}

// boxWords begin a sentence about characters that no font here has: they are on the fax, but nobody can read them.
const boxWords = "Shown as boxes on the fax, "

// boxLines names the characters that stand as boxes on a fax, a sentence for each part of the mail.
func boxLines(notes []raster.Note, job raster.Job) []string {
	const most = 5
	var list []string
	for _, n := range notes[:min(len(notes), most)] {
		where := "in the mail's text"
		if n.Input >= 0 && n.Input < len(job.Inputs) && job.Inputs[n.Input].Cover == nil {
			where = "in " + short(smtpstack.OneLine(n.Name), 80)
		}
		list = append(list, boxWords+"because this appliance has no font for them: "+smtpstack.OneLine(n.Boxes)+" ("+where+").")
	}
	return list
}

// repeated names the recipients of a mail to whom nothing was sent for it.
func repeated(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return []string{"Nothing was sent for " + strings.Join(list, ", ") + ": the number stands twice in the mail, or this same mail went there before. If a second copy is wanted, please send a new mail."}
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

func facts(n queue.Notice) []message.Fact {
	f := factList{}
	f.add("Number", n.Number)
	f.add("Recipient", n.Name)
	f.add("Subject", n.Subject)
	if n.Pages > 0 {
		f.add("Pages", fmt.Sprintf("%d of %d confirmed", n.Confirmed, n.Pages))
	}
	f.add("Answered as", n.RemoteID)
	if n.Calls > 0 {
		f.add("Calls", fmt.Sprint(n.Calls))
	}
	f.add("Handed over", n.Created.Local().Format(timeFormat))
	f.add("Finished", n.Ended.Local().Format(timeFormat))
	f.add("Job", string(n.Job))
	return f
}

// factList leaves out what is empty.
type factList []message.Fact

func (f *factList) add(name, value string) {
	if value != "" {
		*f = append(*f, message.Fact{Name: name, Value: value})
	}
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
