package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/send"
)

// bench is a gateway with a store, a renderer and a mail server of the test's.
type bench struct {
	t  *testing.T
	st *store.Store
	q  *queue.Queue
	g  *Gateway

	mu      sync.Mutex
	jobs    []raster.Job
	texts   []string // what the inputs held
	notes   []raster.Note
	render  func(raster.Job) (raster.Result, error)
	replies map[string][]smtpstack.Reply // for each recipient, in order; then 250
	mails   []sent

	connector string // that post's mails come by
}

type sent struct {
	to   []string
	text string
	from string
	dsn  *send.DSN
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, replies: map[string][]smtpstack.Reply{}}
	b.open(t.TempDir(), change)
	return b
}

func (b *bench) open(dir string, change func(*Options)) {
	b.t.Helper()
	st, err := store.Open(dir, store.Options{Reserve: -1})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { st.Close() })
	q, _, err := queue.Open(st, queue.Options{Domain: "box.example", AlarmTo: []string{"ops@example.org"}})
	if err != nil {
		b.t.Fatal(err)
	}
	alarms, err := OpenAlarms(st, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	o := Options{Hostname: "box.example", From: "fax@example.org", CoverText: true, DialTable: routing.DialTable{{ID: "dial.allow"}, {ID: "dial.deny", Prefix: "1900", Deny: true}},
		Render: b.renderJob, Deliver: b.deliver, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	b.st, b.q, b.g = st, q, New(q, alarms, o)
}

// renderJob stands for the render child: two pages of any job, unless the test says otherwise.
func (b *bench) renderJob(_ context.Context, job raster.Job, out *os.File) (raster.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs = append(b.jobs, job)
	for _, in := range job.Inputs {
		if in.File != nil {
			text, err := io.ReadAll(in.File)
			if err != nil {
				b.t.Error(err)
			}
			b.texts = append(b.texts, string(text))
		}
	}
	if b.render != nil {
		return b.render(job)
	}
	w := tiff.NewWriter(out, tiff.Meta{})
	for range 2 {
		if err := w.AddPage(imaging.Page{Bitmap: imaging.New(1728, 20), Resolution: imaging.Fine}, t4.File(imaging.MMR, imaging.Fine)); err != nil {
			b.t.Error(err)
		}
	}
	return raster.Result{Pages: make([]raster.PageInfo, 2), Notes: b.notes}, w.Close()
}

// deliver stands for the next mail server.
func (b *bench) deliver(_ context.Context, m send.Message) send.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rep send.Report
	var taken []string
	for _, to := range m.To {
		r := smtpstack.Reply{Code: 250, Text: "ok"}
		if list := b.replies[to]; len(list) > 0 {
			r, b.replies[to] = list[0], list[1:]
		}
		res := send.Result{To: to, Class: smtpstack.Classify(r.Code, r.Enhanced, r.Text), Reply: r, Host: "mx", Remedy: smtpstack.Remedy(r.Code, r.Enhanced, r.Text)}
		if res.Class == smtpstack.Delivered {
			taken = append(taken, to)
		}
		rep.Results = append(rep.Results, res)
	}
	if len(taken) > 0 {
		r, err := m.Open()
		if err != nil {
			b.t.Error(err)
			return rep
		}
		defer r.Close()
		text, _ := io.ReadAll(r)
		if int64(len(text)) != m.Size {
			b.t.Errorf("size %d announced, %d sent", m.Size, len(text))
		}
		b.mails = append(b.mails, sent{taken, string(text), m.From, m.DSN})
	}
	return rep
}

// post hands a mail in as the SMTP server does. The error is the refusal.
func (b *bench) post(mail string, from string, to ...string) (queue.MailID, error) {
	b.t.Helper()
	ctx := context.Background()
	env := smtpstack.Envelope{From: from, Connector: b.connector, Client: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example", Received: time.Now()}
	for _, a := range to {
		a, notify, _ := strings.Cut(a, " NOTIFY=")
		r := smtpstack.Recipient{Address: a}
		r.Notify, _ = smtpstack.ParseNotify(notify)
		if a == "postmaster" {
			r.Postmaster = true
		} else {
			local, _, err := smtpstack.SplitAddress(a)
			if err != nil {
				b.t.Fatal(err)
			}
			if r.Fax, err = smtpstack.ParseFaxAddress(local); err != nil {
				b.t.Fatal(err)
			}
		}
		if err := b.g.Backend().Recipient(ctx, env, r); err != nil {
			return "", err
		}
		env.To = append(env.To, r)
	}
	s, err := b.g.Backend().Begin(ctx, env)
	if err != nil {
		return "", err
	}
	for _, piece := range strings.SplitAfter(strings.ReplaceAll(mail, "\n", "\r\n"), "\r") { // awkward pieces
		if _, err := io.WriteString(s, piece); err != nil {
			s.Abort()
			return "", err
		}
	}
	id, err := s.Commit(ctx)
	return queue.MailID(id), err
}

// work lets the workers run until nothing is left to do.
func (b *bench) work() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, f := range []func(context.Context) error{b.g.Expand, b.g.Prepare, b.g.Deliver} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
					time.Sleep(5 * time.Millisecond) // as the supervisor: again, a little later
				}
			}
		})
	}
	end := time.Now().Add(10 * time.Second)
	for quiet := 0; quiet < 3; time.Sleep(10 * time.Millisecond) {
		quiet++
		if b.busy() {
			quiet = 0
		}
		if time.Now().After(end) {
			b.t.Fatal("the workers do not come to rest")
		}
	}
	cancel()
	wg.Wait()
}

func (b *bench) busy() bool {
	mails, err := b.q.PendingMails(0)
	jobs, err2 := b.q.ActiveJobs(queue.Preparing)
	outs, err3 := b.q.Unsent()
	if err := errors.Join(err, err2, err3); err != nil {
		b.t.Fatal(err)
	}
	now := time.Now()
	due := func(o queue.Out) bool { return o.State == queue.OutPending && !o.NotBefore.After(now) } // on its way too
	return len(mails) > 0 || len(jobs) > 0 || slices.ContainsFunc(outs, due)
}

func (b *bench) allJobs() []queue.Job {
	b.t.Helper()
	jobs, err := b.q.Jobs(0)
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Reverse(jobs)
	return jobs
}

// parsed reads a delivered mail.
func (s sent) parsed(t *testing.T) (m *message.Message, files map[string]string) {
	t.Helper()
	files = map[string]string{}
	m, err := message.Parse(strings.NewReader(s.text), message.Limits{}, func(p *message.Part) (io.WriteCloser, error) {
		return &collect{files: files, name: p.Name}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, files
}

type collect struct {
	bytes.Buffer
	files map[string]string
	name  string
}

func (c *collect) Close() error { c.files[c.name] = c.String(); return nil }

func (s sent) body(t *testing.T) string {
	m, _ := s.parsed(t)
	text, _ := m.PlainText()
	return m.Subject + "\n" + strings.ReplaceAll(text, "\r\n", "\n")
}

func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}

func simple(id, subject, body string) string {
	return fmt.Sprintf("From: Anna <anna@example.org>\nTo: x@fax.example\nSubject: %s\nMessage-ID: <%s@example.org>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\n%s\n", subject, id, body)
}
