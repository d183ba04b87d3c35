package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/gotenberg"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack/message"
)

// RenderFunc makes a multi-page TIFF of a mail's parts: [raster.Child]'s Render.
type RenderFunc func(ctx context.Context, job raster.Job, out *os.File) (raster.Result, error)

const (
	// maxPrepareRuns bounds how often a document is tried that our program fails at.
	maxPrepareRuns = 3
	// maxUnendedRuns bounds how often the program may go down while it makes a document, until that document is taken for the cause.
	// A power cut looks the same, and a loose plug makes several in a row, which must not cost anybody a fax.
	maxUnendedRuns = 10
)

// workRoom is the disk that must be free before a document is made: no job fails because the disk is full.
const workRoom = 64 << 20

// Prepare makes the documents of jobs, one mail at a time, until ctx ends.
func (g *Gateway) Prepare(ctx context.Context) error {
	var from queue.JobID
	for {
		changed := g.q.Changed()
		waiting, next, due := g.converter.look(time.Now())
		if due {
			from = "" // those that waited are older than what came since
		}
		list, err := g.q.PreparingJobs(from, waiting)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			g.converter.clean()
			if err := g.idle(ctx, changed, next); err != nil {
				return err
			}
			continue
		}
		from = list[0].ID
		if errors.Is(g.st.Room(workRoom), store.ErrDiskFull) {
			g.alarms.CheckDisk()
			if err := g.idle(ctx, changed, time.Now().Add(time.Minute)); err != nil {
				return err
			}
			continue
		}
		if err := g.prepareMail(ctx, sameDocument(list)); err != nil {
			return err
		}
	}
}

// sameDocument returns the jobs of the first one's mail that want its pages made alike: they share one document.
func sameDocument(list []queue.Job) []queue.Job {
	var same []queue.Job
	for _, j := range list {
		if first := list[0]; j.Mail == first.Mail && j.Name == first.Name && j.Resolution == first.Resolution && j.Cover == first.Cover {
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
	if runs > maxUnendedRuns {
		g.o.Log.Error("document given up: the program went down each time it was made", "mail", jobs[0].Mail, "runs", runs-1)
		return g.failAll(jobs, "The document could not be turned into fax pages: it made our program fail several times. Please send it as a PDF made anew.")
	}
	doc, err := g.tryDocument(ctx, jobs)
	if !errors.Is(err, gotenberg.ErrUnavailable) {
		g.converter.forget(jobs)
	}
	var bad *badMail
	switch {
	case errors.As(err, &bad):
		g.o.Log.Info("document refused", "mail", jobs[0].Mail, "why", bad.reason)
		return g.failAll(jobs, bad.reason)
	case err != nil && ctx.Err() != nil:
		return errors.Join(ctx.Err(), g.stopPrepare(jobs))
	case errors.Is(err, gotenberg.ErrUnavailable):
		return g.awaitConverter(jobs, err)
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
		if err := g.releaseJob(ctx, j, doc); err != nil {
			return err
		}
	}
	g.o.Log.Info("document made", "mail", jobs[0].Mail, "pages", doc.pages, "as_is", doc.asIs)
	return nil
}

// stopPrepare takes a run back that the program's own stop cut short: it says nothing about the document.
func (g *Gateway) stopPrepare(jobs []queue.Job) error {
	for _, j := range jobs {
		if err := g.q.PausePrepare(j.ID, j.Text); err != nil && !errors.Is(err, queue.ErrState) {
			return err
		}
	}
	return nil
}

// releaseJob gives a job its document, if its sender may still fax so many pages today.
func (g *Gateway) releaseJob(ctx context.Context, j queue.Job, doc document) error {
	refused, err := g.reserveSoon(ctx, j, doc.pages)
	switch {
	case errors.Is(err, directory.ErrUnavailable):
		err = g.awaitDirectory(ctx, j, doc, err)
	case err != nil:
		return fmt.Errorf("gateway: job %s: %w", j.ID, err)
	case refused != "":
		g.o.Log.Info("sender not permitted", "job", j.ID, "from", j.Sender, "pages", doc.pages, "why", refused)
		err = g.q.FailJob(j.ID, refused)
	default:
		err = g.q.SetDocument(j.ID, doc.file, doc.pages, doc.omitted...)
	}
	if errors.Is(err, queue.ErrState) { // canceled meanwhile
		return g.o.People.Release(string(j.ID))
	}
	return err
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

// document is what was made of a mail.
type document struct {
	file    string // committed, in the spool
	pages   int
	omitted []string // what of the mail is not in it
	asIs    bool     // the mail was a fax already
}

// tryDocument is makeDocument with a panic as an error: it is known then which document is the cause.
func (g *Gateway) tryDocument(ctx context.Context, jobs []queue.Job) (doc document, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return g.makeDocument(ctx, jobs)
}

// makeDocument turns a mail into a committed spool file with all pages.
func (g *Gateway) makeDocument(ctx context.Context, jobs []queue.Job) (document, error) {
	j := jobs[0]
	if slices.ContainsFunc(jobs, func(o queue.Job) bool { return o.Number != j.Number }) {
		j.Number = "" // the cover page is everybody's: nobody's number stands on another's fax
	}
	m, err := g.q.Mail(j.Mail)
	if err != nil {
		return document{}, err
	}
	dir, err := os.MkdirTemp(filepath.Join(g.st.Dir(), "spool", "tmp"), "mail")
	if err != nil {
		return document{}, err
	}
	defer removeAll(dir)
	msg, err := g.unpack(m, dir)
	if err != nil {
		return document{}, err
	}
	doc := document{omitted: omittedLines(msg)}
	out, err := os.OpenFile(filepath.Join(dir, "out.tif"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return doc, err
	}
	defer out.Close()
	if doc.pages, doc.asIs, err = g.passFax(ctx, j, msg, out); err == nil && !doc.asIs {
		var boxes []string
		doc.pages, boxes, err = g.renderMail(ctx, j, m, msg, out)
		doc.omitted = append(doc.omitted, boxes...)
	}
	if err != nil {
		return doc, err
	}
	doc.file, err = g.keepDocument(out)
	return doc, err
}

// renderMail draws a mail's pages. boxes are sentences for its sender about characters that could not be shown.
func (g *Gateway) renderMail(ctx context.Context, j queue.Job, m queue.Mail, msg *message.Message, out *os.File) (pages int, boxes []string, err error) {
	job, err := g.renderJob(j, m, msg)
	defer closeInputs(job)
	if err != nil {
		return 0, nil, err
	}
	res, err := g.o.Render(ctx, job, out)
	if err == nil && len(res.Failed) > 0 {
		err = &res.Failed[0] // a fax with a document missing must not go out unnoticed
	}
	if err == nil && len(res.Pages) == 0 {
		err = raster.ErrEmpty
	}
	if err != nil {
		g.o.Log.Info("render", "mail", m.ID, "err", err, "detail", raster.Detail(err))
		return 0, nil, sentence(err, job)
	}
	return len(res.Pages), boxLines(res.Notes, job), nil
}

// keepDocument copies the rendered file into the spool.
func (g *Gateway) keepDocument(out *os.File) (string, error) {
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	f, err := g.st.Create(store.Documents)
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(f, out); err != nil {
		return "", errors.Join(err, f.Abort())
	}
	return f.Name(), f.Commit()
}

func closeInputs(job raster.Job) {
	for _, in := range job.Inputs {
		if in.File != nil {
			in.File.Close()
		}
	}
}

// unpack parses a mail, its attachments becoming files in dir.
func (g *Gateway) unpack(m queue.Mail, dir string) (*message.Message, error) {
	f, err := g.st.OpenFile(m.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	msg, err := message.Parse(bufio.NewReaderSize(f, 64<<10), message.Limits{}, func(p *message.Part) (io.WriteCloser, error) {
		if p.Unsupported != "" {
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

// renderJob chooses what of a mail is faxed: its words as a cover page, then its attachments. A damaged or unsupported
// attachment fails the mail.
func (g *Gateway) renderJob(j queue.Job, m queue.Mail, msg *message.Message) (raster.Job, error) {
	job := raster.Job{Options: g.o.RenderOptions}
	if res, ok := g.o.Resolutions[j.Resolution]; ok {
		job.Options.Resolution = res
	}
	text, html := bodyOf(msg)
	asked := j.Cover == "yes"
	if asked || g.o.CoverText && j.Cover != "no" && (text != "" || html != "") {
		cover := &raster.CoverFields{To: j.Name, ToNumber: j.Number, From: m.From, Subject: j.Subject, Date: m.Received.Local(), Text: text, HTML: showPictures(html, msg.Attachments)}
		if msg.From != nil {
			from := msg.From.Address
			if msg.From.Name != "" {
				from = msg.From.Name + " <" + from + ">"
			}
			cover.From = short(from, 80)
		}
		job.Inputs = append(job.Inputs, raster.Input{Cover: cover})
	}
	for _, p := range msg.Attachments {
		var err error
		switch {
		case p.Inline:
		case p.Unsupported != "":
			return job, &badMail{fmt.Sprintf("The attachment %s cannot be faxed: %s. Please send it as PDF.", p.Name, p.Unsupported)}
		case p.Damaged:
			return job, &badMail{fmt.Sprintf("The attachment %s arrived damaged. Please send it again.", p.Name)}
		default:
			err = addFile(&job, p)
		}
		if err != nil {
			return job, err
		}
	}
	if len(job.Inputs) > 0 {
		return job, nil
	}
	for _, p := range msg.Attachments { // a mail that is nothing but pictures shown in it: a phone's photo of a page
		if p.Inline && !p.Damaged {
			if err := addFile(&job, p); err != nil {
				return job, err
			}
		}
	}
	if len(job.Inputs) == 0 {
		return job, &badMail{"There is nothing in the mail to fax: it has neither text nor an attachment."}
	}
	return job, nil
}

func addFile(job *raster.Job, p message.Part) error {
	f, err := os.Open(p.Path)
	if err != nil {
		return fmt.Errorf("gateway: attachment: %w", err)
	}
	job.Inputs = append(job.Inputs, raster.Input{File: f, Name: p.Name, MIME: p.Type, Charset: p.Charset})
	return nil
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
	{raster.ErrNoFont, "Please send it as a PDF that contains its fonts, or ask the administrator of this appliance to add such a font ([render] fonts)."},
	{raster.ErrEncrypted, "Please remove the password and send it again."},
	{raster.ErrBroken, "Please open it on your computer to check it, and send it again as a new PDF."},
	{raster.ErrTooLarge, "Please make it smaller, for example by scanning in black and white, and send it again."},
	{raster.ErrTooManyPages, "Please divide it into several faxes."},
	{raster.ErrEmpty, "Please check that it is the right document."},
	{raster.ErrTimeout, "Please make it simpler, for example by printing it to a new PDF, and send it again."},
	{raster.ErrMemory, "Please make it simpler, for example by printing it to a new PDF, and send it again."},
}

// sentence makes of a renderer's error what the sender is told; a fault of ours stays as it is.
func sentence(err error, job raster.Job) error {
	for _, a := range advice {
		if !errors.Is(err, a.err) {
			continue
		}
		what, cause := "The mail cannot be faxed", err
		var part *raster.PartError
		if errors.As(err, &part) {
			cause = part.Err
			what = "The mail's text cannot be faxed"
			if part.Input >= 0 && part.Input < len(job.Inputs) && job.Inputs[part.Input].Cover == nil {
				what = "The attachment " + part.Name + " cannot be faxed"
			}
		}
		return &badMail{strings.TrimSpace(what + ": " + plain(cause) + ". " + a.what)}
	}
	return err
}

// plain is a failure's own sentence, without the decoder's words.
func plain(err error) string {
	var f *raster.Failure
	if errors.As(err, &f) {
		return f.Error()
	}
	for _, a := range advice {
		if errors.Is(err, a.err) {
			return a.err.Error()
		}
	}
	return err.Error()
}
