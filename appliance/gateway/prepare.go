package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack/message"
)

// RenderRequest is one fax to be made of a mail.
type RenderRequest struct {
	Cover *raster.CoverFields // first pages; nil: none
	Files []RenderFile
	Out   *store.File // takes the multi-page TIFF
}

// RenderFile is one attachment in a working folder.
type RenderFile struct {
	Path    string
	Name    string // as its sender named it
	Type    string // media type as declared
	Charset string
}

// RenderFunc makes a fax document and returns its number of pages. Its errors are a *RenderError for what the document
// itself is to blame for, the context's, or a fault of ours, after which it is tried again.
type RenderFunc func(ctx context.Context, r RenderRequest) (pages int, err error)

// RenderError says which part of a mail cannot be faxed.
type RenderError struct {
	File int   // index into RenderRequest.Files; -1: the mail's text, or the whole
	Err  error // a sentinel of package raster
}

func (e *RenderError) Error() string {
	if e.File < 0 {
		return "gateway: the mail's text: " + e.Err.Error()
	}
	return "gateway: attachment " + strconv.Itoa(e.File+1) + ": " + e.Err.Error()
}

func (e *RenderError) Unwrap() error { return e.Err }

// maxPrepareRuns bounds how often a document is tried that takes the program down with it, or the renderer fails at.
const maxPrepareRuns = 3

// Prepare makes the documents of jobs, one mail at a time, until ctx ends.
func (g *Gateway) Prepare(ctx context.Context) error {
	for {
		changed := g.q.Changed()
		list, err := g.q.ActiveJobs(queue.Preparing)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			if err := g.idle(ctx, changed, time.Time{}); err != nil {
				return err
			}
			continue
		}
		if err := g.prepareMail(ctx, sameMail(list)); err != nil {
			return err
		}
	}
}

// sameMail returns the jobs of the first one's mail: they share one document.
func sameMail(list []queue.Job) []queue.Job {
	var same []queue.Job
	for _, j := range list {
		if j.Mail == list[0].Mail {
			same = append(same, j)
		}
	}
	return same
}

// prepareMail makes the document of one mail's jobs, or fails them with a reason for their sender.
func (g *Gateway) prepareMail(ctx context.Context, jobs []queue.Job) error {
	runs := 0
	for _, j := range jobs {
		j, err := g.q.BeginPrepare(j.ID)
		if errors.Is(err, queue.ErrState) {
			continue // canceled meanwhile
		}
		if err != nil {
			return err
		}
		runs = max(runs, j.PrepareRuns)
	}
	if runs > maxPrepareRuns {
		return g.failAll(jobs, "The document could not be turned into fax pages: it made our program fail several times. Please send it as a PDF made anew.")
	}
	file, pages, err := g.makeDocument(ctx, jobs[0])
	var bad *badMail
	switch {
	case errors.As(err, &bad):
		g.o.Log.Info("document refused", "mail", jobs[0].Mail, "why", bad.reason)
		return g.failAll(jobs, bad.reason)
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, store.ErrDiskFull):
		g.alarms.CheckDisk()
		return err
	case err != nil && runs >= maxPrepareRuns:
		g.o.Log.Error("render", "mail", jobs[0].Mail, "err", err)
		return g.failAll(jobs, "The document could not be turned into fax pages because our program failed. Please send it again, or as a PDF.")
	case err != nil:
		return fmt.Errorf("gateway: mail %s: %w", jobs[0].Mail, err)
	}
	for _, j := range jobs {
		if err := g.q.SetDocument(j.ID, file, pages); err != nil && !errors.Is(err, queue.ErrState) {
			return err
		}
	}
	g.o.Log.Info("document made", "mail", jobs[0].Mail, "pages", pages)
	return nil
}

func (g *Gateway) failAll(jobs []queue.Job, reason string) error {
	for _, j := range jobs {
		if err := g.q.FailJob(j.ID, reason); err != nil && !errors.Is(err, queue.ErrState) {
			return err
		}
	}
	return nil
}

// badMail is a fault of the mail, in a sentence for its sender.
type badMail struct{ reason string }

func (e *badMail) Error() string { return "gateway: " + e.reason }

// makeDocument turns a mail into a committed spool file with all pages.
func (g *Gateway) makeDocument(ctx context.Context, j queue.Job) (name string, pages int, err error) {
	m, err := g.q.Mail(j.Mail)
	if err != nil {
		return "", 0, err
	}
	dir, err := os.MkdirTemp(filepath.Join(g.st.Dir(), "spool", "tmp"), "mail")
	if err != nil {
		return "", 0, err
	}
	defer removeAll(dir)
	msg, err := g.unpack(m, dir)
	if err != nil {
		return "", 0, err
	}
	req, err := g.request(j, m, msg)
	if err != nil {
		return "", 0, err
	}
	if req.Out, err = g.st.Create(store.Documents); err != nil {
		return "", 0, err
	}
	pages, err = g.o.Render(ctx, req)
	if err == nil && pages < 1 {
		err = &RenderError{File: -1, Err: raster.ErrEmpty}
	}
	if err != nil {
		return "", 0, errors.Join(sentence(err, req.Files), req.Out.Abort())
	}
	if err := req.Out.Commit(); err != nil {
		return "", 0, err
	}
	return req.Out.Name(), pages, nil
}

// unpack parses a mail, its attachments becoming files in dir.
func (g *Gateway) unpack(m queue.Mail, dir string) (*message.Message, error) {
	f, err := g.st.OpenFile(m.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	msg, err := message.Parse(bufio.NewReaderSize(f, 64<<10), message.Limits{}, func(p *message.Part) (io.WriteCloser, error) {
		if p.Unsupported != "" || p.Inline {
			return nil, nil
		}
		p.Path = filepath.Join(dir, strconv.Itoa(p.Index))
		return os.OpenFile(p.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	})
	switch {
	case errors.Is(err, message.ErrTooManyParts), errors.Is(err, message.ErrTooDeep):
		return nil, &badMail{"The mail has too many parts. Please send fewer attachments in one mail."}
	case errors.Is(err, message.ErrTooLarge), errors.Is(err, message.ErrHeaderTooLarge):
		return nil, &badMail{"The mail is too large. Please send smaller attachments."}
	case errors.Is(err, message.ErrMalformed):
		return nil, &badMail{"The mail is damaged and cannot be read. Please send it again."}
	case err != nil:
		return nil, fmt.Errorf("gateway: mail %s: %w", m.ID, err)
	}
	return msg, nil
}

// request chooses what of a mail is faxed. A damaged or unsupported attachment fails the mail: a fax with a page
// missing must not go out unnoticed.
func (g *Gateway) request(j queue.Job, m queue.Mail, msg *message.Message) (RenderRequest, error) {
	var r RenderRequest
	for _, p := range msg.Attachments {
		switch {
		case p.Inline:
			continue
		case p.Unsupported != "":
			return r, &badMail{fmt.Sprintf("The attachment %s cannot be faxed: %s. Please send it as PDF.", p.Name, p.Unsupported)}
		case p.Damaged:
			return r, &badMail{fmt.Sprintf("The attachment %s arrived damaged. Please send it again.", p.Name)}
		}
		r.Files = append(r.Files, RenderFile{Path: p.Path, Name: p.Name, Type: p.Type, Charset: p.Charset})
	}
	if text, html := bodyOf(msg); g.o.CoverText && (text != "" || html != "") {
		r.Cover = &raster.CoverFields{To: j.Name, ToNumber: j.Number, From: m.From, Subject: msg.Subject, Date: m.Received, Text: text, HTML: html}
		if msg.From != nil {
			r.Cover.From = short(strings.TrimSpace(msg.From.Name+" <"+msg.From.Address+">"), 80)
		}
	}
	if r.Cover == nil && len(r.Files) == 0 {
		return r, &badMail{"There is nothing in the mail to fax: it has neither text nor an attachment."}
	}
	return r, nil
}

// bodyOf returns the words of a mail, as plain text or, where it has none, as HTML.
func bodyOf(msg *message.Message) (text, html string) {
	text, all := msg.PlainText()
	if strings.TrimSpace(text) != "" && all {
		return text, ""
	}
	for _, t := range msg.Body {
		if t.HTML && strings.TrimSpace(t.Text) != "" {
			html += t.Text
		}
	}
	return strings.TrimSpace(text), html
}

// advice is what the sender can do about each failure of the renderer.
var advice = []struct {
	err  error
	what string
}{
	{raster.ErrUnsupported, ""},
	{raster.ErrEncrypted, "Please remove the password and send it again."},
	{raster.ErrBroken, "Please open it on your computer to check it, and send it again as a new PDF."},
	{raster.ErrTooLarge, "Please make it smaller, for example by scanning in black and white, and send it again."},
	{raster.ErrTooManyPages, "Please divide it into several faxes."},
	{raster.ErrEmpty, "Please check that it is the right document."},
	{raster.ErrTimeout, "Please make it simpler, for example by printing it to a new PDF, and send it again."},
	{raster.ErrMemory, "Please make it simpler, for example by printing it to a new PDF, and send it again."},
}

// sentence makes of a renderer's error what the sender is told; a fault of ours stays as it is.
func sentence(err error, files []RenderFile) error {
	var r *RenderError
	if !errors.As(err, &r) {
		return err
	}
	for _, a := range advice {
		if !errors.Is(r.Err, a.err) {
			continue
		}
		what := "The mail's text cannot be faxed"
		if r.File >= 0 && r.File < len(files) {
			what = "The attachment " + files[r.File].Name + " cannot be faxed"
		}
		return &badMail{strings.TrimSpace(what + ": " + r.Err.Error() + ". " + a.what)}
	}
	return err
}
