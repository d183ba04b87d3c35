package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/netip"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
)

// Submit takes a fax handed over locally: it becomes a mail in the spool and goes the way of every mail. When it
// returns the fax is on disk.
func (g *Gateway) Submit(s control.Submission) (queue.JobID, error) {
	number, err := smtpstack.ParseNumber(s.To)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", control.ErrInvalid, s.To, err)
	}
	res, err := g.Permit(number)
	if err != nil {
		return "", err
	}
	if !res.Allowed {
		return "", fmt.Errorf("%w: %s", control.ErrInvalid, res.Reason)
	}
	if s.From != "" {
		if a, err := mail.ParseAddress(s.From); err != nil || a.Address != s.From {
			return "", fmt.Errorf("%w: %q is no mail address", control.ErrInvalid, s.From)
		}
	}
	total := len(s.Text)
	for _, f := range s.Files {
		total += len(f.Data)
	}
	switch {
	case total == 0:
		return "", fmt.Errorf("%w: there is nothing to fax", control.ErrInvalid)
	case total > control.MaxSubmission:
		return "", fmt.Errorf("%w: more than %d MB", control.ErrInvalid, control.MaxSubmission>>20)
	}
	f, size, err := g.submissionMail(s)
	if err != nil {
		return "", err
	}
	env := smtpstack.Envelope{From: s.From, Client: netip.IPv6Loopback(), Helo: "local", Received: time.Now(),
		To: []smtpstack.Recipient{{Address: number, Fax: smtpstack.FaxAddress{Number: number}}}}
	id, err := g.accept(f, size, env, "", sender{address: s.From})
	if err != nil {
		return "", err
	}
	m, err := g.q.Mail(id)
	if err != nil {
		return "", err
	}
	jobs, err := g.expand(m)
	if err != nil {
		return "", err
	}
	if len(jobs) != 1 {
		return "", fmt.Errorf("gateway: mail %s made %d jobs", id, len(jobs))
	}
	return jobs[0], nil
}

func (g *Gateway) submissionMail(s control.Submission) (*store.File, int64, error) {
	from := s.From
	if from == "" {
		from = g.o.From
	}
	m := message.Outgoing{ID: fmt.Sprintf("submit.%d", time.Now().UnixNano()), Domain: g.o.Hostname, Date: time.Now(),
		From: mail.Address{Address: from}, To: []mail.Address{{Address: g.o.From}}, Subject: s.Subject, Text: s.Text}
	for _, f := range s.Files {
		m.Attachments = append(m.Attachments, message.File{Name: f.Name, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(f.Data)), nil
		}})
	}
	f, err := g.st.Create(store.Mails)
	if err != nil {
		return nil, 0, err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	size, err := m.WriteTo(w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("gateway: submit: %w", err), f.Abort())
	}
	return f, size, nil
}
