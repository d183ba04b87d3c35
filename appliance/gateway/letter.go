package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/smtpstack/message"
)

// mail is what all our mails have in common.
func (g *Gateway) mail(o queue.Out) message.Outgoing {
	id, domain, _ := strings.Cut(strings.Trim(o.MessageID, "<>"), "@")
	m := message.Outgoing{ID: id, Domain: domain, Date: o.Created, From: mail.Address{Name: g.o.FromName, Address: g.o.From}}
	for _, to := range o.To {
		m.To = append(m.To, mail.Address{Address: to})
	}
	return m
}

// redirected says in a notice for whom it was when its sender's mailbox did not take it.
func (g *Gateway) redirected(o queue.Out, id queue.JobID, l message.Letter) message.Letter {
	if j, err := g.q.Job(id); err == nil && j.Sender != "" && !slices.Contains(o.To, j.Sender) {
		l.Paragraphs = append([]string{"This notice is for " + j.Sender + ", whose mail server did not take it."}, l.Paragraphs...)
	}
	return l
}

// Pictures are shown pictureWidth pixels wide; none has more than pictureHeight rows.
const (
	pictureWidth  = 600
	pictureHeight = 960
)

// setLetter makes the letter the mail's text and HTML, with the picture of a first page; nil: none. No notice is lost over a
// template: what it cannot fill goes as text alone.
func (g *Gateway) setLetter(m *message.Outgoing, l message.Letter, picture []byte) {
	var page *message.File
	if picture != nil {
		page = &message.File{Name: "page1.png", Type: "image/png", Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(picture)), nil
		}}
	}
	if l.Footer == "" {
		l.Footer = "Fax appliance " + g.o.Hostname
	}
	err := m.SetLetter(g.o.Letter, l, page, "First page of the fax", 0)
	switch {
	case err == nil:
		g.alarms.Clear("mail-letter")
	case g.o.Letter == nil: // longer than HTML may be
		g.o.Log.Warn("letter goes as text", "mail", m.ID, "err", err)
	default:
		g.o.Log.Error("letter goes as text", "mail", m.ID, "err", err)
		g.alarms.Raise("mail-letter", "Mail goes out without its HTML part: "+err.Error()+".", "Correct the template that mail.letter names, or take it out, and restart the program.")
	}
}

// jobPicture draws the first page of a job's document; nil when there is none, or none is to be in the mail.
func (g *Gateway) jobPicture(id queue.JobID) []byte {
	j, err := g.q.Job(id)
	if err != nil || j.Document == "" {
		return nil
	}
	return g.picture(j.Document)
}

// picture draws the first page of a document of the spool as PNG. A mail is as good without it: what fails gives nil.
func (g *Gateway) picture(document string) []byte {
	if !g.o.Picture || g.o.NoContent {
		return nil
	}
	f, t, err := g.openTIFF(document)
	if err != nil {
		return nil
	}
	defer f.Close()
	drawing.Lock()
	defer drawing.Unlock()
	page, _, err := t.Decode(1)
	if err != nil {
		return nil
	}
	var b bytes.Buffer
	if err := png.Encode(&b, imaging.Thumbnail(page.Bitmap, page.Resolution, fitWidth(page))); err != nil {
		return nil
	}
	return b.Bytes()
}

// fitWidth is how wide a page's picture may be so that it is neither too wide nor, of a page that is metres long, too high.
func fitWidth(p imaging.Page) int {
	x, y := max(p.Resolution.X, 1), max(p.Resolution.Y, 1)
	high := float64(p.Height) / float64(y) * float64(x) // in pels that are as high as wide
	if high <= 0 {
		return pictureWidth
	}
	return max(1, min(pictureWidth, int(float64(p.Width)*pictureHeight/high)))
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
	m.Text = a.Text + "\n\nThis is the fax appliance " + g.o.Hostname + ". Its alarms are on its status page.\n\nSince: " +
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
	case queue.KindRelay, queue.KindReport:
		return relaySubject(o)
	case queue.KindReceipt:
		var n queue.Notice
		if json.Unmarshal(o.Payload, &n) == nil {
			return receiptSubject(n)
		}
	case queue.KindSummary:
		var s queue.Summary
		if json.Unmarshal(o.Payload, &s) == nil {
			return summarySubject(s)
		}
	case queue.KindAlarm:
		var a queue.Alarm
		if json.Unmarshal(o.Payload, &a) == nil {
			return a.Subject
		}
	case queue.KindFax:
		if f, err := g.q.Fax(o.Fax); err == nil {
			d, err := deliveryOf(o)
			if err != nil {
				return faxSubject(f, queue.Delivery{})
			}
			return faxSubject(f, d)
		}
	}
	return ""
}

// backoff is the pause after the n-th failed delivery (from 1): short at first, for a mail server that restarts.
func backoff(n int) time.Duration {
	steps := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute}
	return steps[min(max(n, 1), len(steps))-1]
}
