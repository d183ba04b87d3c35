package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack"
)

func TestMailIn_OneJobForEachRecipientOneDocument(t *testing.T) {
	b := newBench(t, nil)
	id, err := b.post(simple("1", "Hello", "words"), "anna@example.org", "5550100@fax.example", "+1-555-0101@fax.example", "FAX=5550100/T33S=7@fax.example")
	if err != nil {
		t.Fatal(err)
	}
	b.work()
	jobs := b.allJobs()
	if len(jobs) != 3 || len(b.jobs) != 1 {
		t.Fatalf("%d jobs, %d renderings", len(jobs), len(b.jobs))
	}
	for i, want := range []string{"5550100", "+15550101", "5550100"} {
		j := jobs[i]
		if j.Number != want || j.State != queue.Waiting || j.Pages != 2 || j.Document != jobs[0].Document || j.Mail != id ||
			j.Sender != "anna@example.org" || j.Subject != "Hello" || j.MessageID != "<1@example.org>" {
			t.Errorf("job %d: %+v", i, j)
		}
	}
	if jobs[2].Subaddress != "7" {
		t.Errorf("subaddress %q", jobs[2].Subaddress)
	}
	cover := b.jobs[0].Inputs[0].Cover
	if cover != nil && cover.ToNumber != "" {
		t.Errorf("the number %s stands on everybody's cover page", cover.ToNumber)
	}
	if len(b.jobs[0].Inputs) != 1 || cover == nil || strings.TrimSpace(cover.Text) != "words" || cover.Subject != "Hello" || !strings.Contains(cover.From, "anna@example.org") {
		t.Errorf("cover %+v", cover)
	}
}

// What a person asks for in the address or the subject is done, for each recipient by itself; the address comes first.
func TestMailIn_Options(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Resolutions = map[string]imaging.Resolution{"fine": imaging.Fine, "superfine": imaging.Superfine}
	})
	if _, err := b.post(simple("1", "Order [fax: superfine, to=Dr. Doe]", "words"), "anna@example.org",
		"5550100@fax.example", "5550101.fine.nocover@fax.example", "5550102.to=Ann_Lee@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	jobs := b.allJobs()
	if len(jobs) != 3 {
		t.Fatalf("%d jobs", len(jobs))
	}
	for i, want := range []struct{ name, resolution, cover string }{{"Dr. Doe", "superfine", ""}, {"Dr. Doe", "fine", "no"}, {"Ann Lee", "superfine", ""}} {
		j := jobs[i]
		if j.Name != want.name || j.Resolution != want.resolution || j.Cover != want.cover || j.Subject != "Order" {
			t.Errorf("job %d: %+v", i, j)
		}
	}
	if len(b.jobs) != 2 { // the second has neither cover nor attachment
		t.Fatalf("%d renderings", len(b.jobs))
	}
	for i, want := range []struct{ to, number string }{{"Dr. Doe", "5550100"}, {"Ann Lee", "5550102"}} {
		r := b.jobs[i]
		if c := r.Inputs[0].Cover; r.Options.Resolution != imaging.Superfine || c.Subject != "Order" || c.To != want.to || c.ToNumber != want.number {
			t.Errorf("rendered at %v, cover %+v", r.Options.Resolution, c)
		}
	}
	if jobs[1].State != queue.Failed {
		t.Errorf("nothing but a text that is not to be faxed: %v %s", jobs[1].State, jobs[1].Text)
	}
}

// NOTIFY=NEVER: whoever says so hears nothing of the fax (RFC 3461 4.1).
func TestMailIn_NotifyNever(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.post(simple("1", "Hello", "words"), "anna@example.org", "5550100@fax.example NOTIFY=NEVER", "5550101@fax.example NOTIFY=FAILURE")
	if err != nil {
		t.Fatal(err)
	}
	b.work()
	if jobs := b.allJobs(); len(jobs) != 2 || jobs[0].Sender != "" || jobs[1].Sender != "anna@example.org" {
		t.Errorf("%+v", jobs)
	}
}

func TestMailIn_Refusals(t *testing.T) {
	head := func(lines string) string { return lines + "\n" + simple("2", "s", "b") }
	tests := []struct {
		name, mail, to, want string
	}{
		{"emergency", simple("1", "s", "b"), "911@fax.example", "550 5.7.1 Emergency numbers"},
		{"denied", simple("1", "s", "b"), "19005550100@fax.example", "550 5.7.1 Rule dial.deny"},
		{"auto-submitted", head("Auto-Submitted: auto-replied"), "5550100@fax.example", "550 5.7.1 The mail was sent automatically"},
		{"list", head("List-Id: <l.example.org>"), "5550100@fax.example", "550 5.7.1 The mail comes from a mailing list"},
		{"report", head("Content-Type: multipart/report; boundary=x"), "5550100@fax.example", "550 5.7.1 The mail is a delivery"},
		{"circle", head(strings.TrimSuffix(strings.Repeat("Received: from a by b; x\n", 25), "\n")), "5550100@fax.example", "550 5.7.1 The mail has passed"},
		{"option", simple("1", "s [fax: finest]", "b"), "5550100@fax.example", "550 5.6.0 the subject"},
		{"no header", "no header at all, one line\n", "5550100@fax.example", "554 5.6.0"},
		{"endless header", strings.Repeat("X-A: b\n", 60000), "5550100@fax.example", "554 5.6.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, nil)
			_, err := b.post(tt.mail, "anna@example.org", tt.to)
			var r *smtpstack.Reply
			if !errors.As(err, &r) || !strings.HasPrefix(r.String(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			b.work()
			if jobs := b.allJobs(); len(jobs) != 0 || len(b.mails) != 0 {
				t.Errorf("%d jobs, %d mails of a refused mail", len(jobs), len(b.mails))
			}
			if found, err := b.st.Sweep(func(*store.Tx, func(string)) error { return nil }, store.Mails); err != nil || len(found) != 0 {
				t.Errorf("left in the spool: %v, %v", found, err)
			}
		})
	}
}

func TestMailIn_PrefixCannotMakeAnEmergencyNumber(t *testing.T) {
	b := newBench(t, func(o *Options) { o.DialPrefix = "9" })
	if _, err := b.post(simple("1", "s", "b"), "anna@example.org", "11@fax.example"); err == nil {
		t.Error("9 and 11 would dial 911")
	}
	if res, err := b.g.Permit("5550100"); err != nil || !res.Allowed || res.Dial != "95550100" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestMailIn_RepeatIsDropped(t *testing.T) {
	b := newBench(t, nil)
	for range 2 {
		if _, err := b.post(simple("same", "s", "b"), "anna@example.org", "5550100@fax.example", "5550100@fax.example"); err != nil {
			t.Fatal(err)
		}
		b.work()
	}
	if _, err := b.post(simple("same", "s", "b"), "anna@example.org", "5550101@fax.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.post(simple("other", "s", "b"), "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	if jobs := b.allJobs(); len(jobs) != 3 {
		t.Fatalf("%d jobs, want 3", len(jobs))
	}
}

// A crash between any two steps leaves the mail where the next run finds it, and makes no second job.
func TestMailIn_ExpandAgainAfterACrash(t *testing.T) {
	b := newBench(t, nil)
	id, err := b.post(simple("1", "s", "b"), "anna@example.org", "5550100@fax.example", "5550101@fax.example")
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.q.Mail(id)
	if err != nil {
		t.Fatal(err)
	}
	// The Message-ID was marked, then the power went.
	if _, err := b.g.firstTime(m, []recipient{{Number: "5550100"}, {Number: "5550101"}}); err != nil {
		t.Fatal(err)
	}
	dir := b.st.Dir()
	b.st.Close()
	b.open(dir, nil)
	b.work()
	if jobs := b.allJobs(); len(jobs) != 2 {
		t.Fatalf("%d jobs, want 2", len(jobs))
	}
	if ids, err := b.g.expand(m); err != nil || len(ids) != 2 {
		t.Errorf("expanded again: %v, %v", ids, err)
	}
	if jobs := b.allJobs(); len(jobs) != 2 {
		t.Fatalf("%d jobs after a second expansion", len(jobs))
	}
}

func TestMailIn_DocumentsThatCannotBeFaxed(t *testing.T) {
	attach := func(name, kind, body string) string {
		return fmt.Sprintf("From: a@example.org\nSubject: Plans\nMessage-ID: <%s@x>\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSee below.\n--b\nContent-Type: %s\nContent-Disposition: attachment; filename=%q\n\n%s\n--b--\n", name, kind, name, body)
	}
	partError := func(err error) func(raster.Job) (raster.Result, error) {
		return func(job raster.Job) (raster.Result, error) {
			i := len(job.Inputs) - 1
			e := raster.PartError{Input: i, Name: job.Inputs[i].Name, Err: err}
			return raster.Result{Pages: make([]raster.PageInfo, 1), Failed: []raster.PartError{e}}, nil
		}
	}
	tests := []struct {
		name   string
		mail   string
		render func(raster.Job) (raster.Result, error)
		words  []string
	}{
		{"empty mail", simple("1", "Plans", " "), nil, []string{"There is nothing in the mail to fax"}},
		{"encrypted", attach("secret.pdf", "application/pdf", "x"), partError(raster.ErrEncrypted), []string{"The attachment secret.pdf cannot be faxed: the document is protected by a password", "remove the password"}},
		{"one of two broken", attach("cut.tif", "image/tiff", "x"), partError(raster.ErrBroken), []string{"The attachment cut.tif", "damaged"}},
		{"too many pages", attach("book.pdf", "application/pdf", "x"), func(raster.Job) (raster.Result, error) { return raster.Result{}, raster.ErrTooManyPages }, []string{"The mail cannot be faxed", "more pages", "several faxes"}},
		{"no font", attach("brief.txt", "application/pdf", "x"), partError(&raster.Failure{Err: raster.ErrNoFont, What: "Chinese, Japanese or Korean"}),
			[]string{"The attachment brief.txt cannot be faxed: this appliance has no font for a writing in the document (Chinese, Japanese or Korean). Please send it as a PDF that contains its fonts, or ask the administrator of this appliance to add such a font ([render] fonts)."}},
		{"memory", attach("bomb.pdf", "application/pdf", "x"), partError(raster.ErrMemory), []string{"bomb.pdf", "too much memory"}},
		{"our own fault", attach("a.pdf", "application/pdf", "x"), func(raster.Job) (raster.Result, error) { return raster.Result{}, errors.New("exec format error") }, []string{"our program failed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, nil)
			b.render = tt.render
			if _, err := b.post(tt.mail, "anna@example.org", "5550100@fax.example"); err != nil {
				t.Fatal(err)
			}
			b.work()
			jobs := b.allJobs()
			if len(jobs) != 1 || jobs[0].State != queue.Failed {
				t.Fatalf("jobs %+v", jobs)
			}
			if len(b.mails) != 1 {
				t.Fatalf("%d notices, want 1", len(b.mails))
			}
			text := b.mails[0].body(t)
			wantWords(t, text, append(tt.words, "Fax NOT sent to 5550100: Plans", "The number was not called")...)
			if strings.Contains(text, "exec format") {
				t.Error("the notice tells of our inner workings")
			}
		})
	}
}

func TestMailIn_AttachmentsInOrder(t *testing.T) {
	b := newBench(t, nil)
	mail := "From: a@example.org\nSubject: s\nMessage-ID: <1@x>\nContent-Type: multipart/mixed; boundary=b\n\n" +
		"--b\nContent-Type: application/pdf; name=one.pdf\nContent-Disposition: attachment\n\nfirst\n" +
		"--b\nContent-Type: image/png\nContent-Disposition: attachment; filename=two.png\nContent-Transfer-Encoding: base64\n\nc2Vjb25k\n--b--\n"
	if _, err := b.post(mail, "a@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.jobs) != 1 || len(b.jobs[0].Inputs) != 2 || b.jobs[0].Inputs[0].Name != "one.pdf" || b.jobs[0].Inputs[1].MIME != "image/png" ||
		strings.TrimSpace(b.texts[0]) != "first" || b.texts[1] != "second" {
		t.Errorf("%+v %q", b.jobs, b.texts)
	}
}

// A document whose making takes the whole program down is given up after a number of starts, which power cuts do not reach soon.
func TestMailIn_DocumentThatKillsUs(t *testing.T) {
	for name, c := range map[string]struct {
		ends    int // times that the program went down
		state   queue.State
		renders int
	}{
		"power cuts in a row":  {maxUnendedRuns - 1, queue.Waiting, 1},
		"a document that does": {maxUnendedRuns, queue.Failed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			if _, err := b.post(simple("1", "s", "b"), "anna@example.org", "5550100@fax.example"); err != nil {
				t.Fatal(err)
			}
			m, _ := b.q.PendingMails(0)
			ids, err := b.g.expand(m[0])
			if err != nil {
				t.Fatal(err)
			}
			for range c.ends {
				if _, err := b.q.BeginPrepare(ids[0]); err != nil {
					t.Fatal(err)
				}
			}
			b.work()
			if j := b.allJobs()[0]; j.State != c.state || len(b.jobs) != c.renders {
				t.Errorf("%s (%s) after %d renderings", j.State, j.Text, len(b.jobs))
			}
		})
	}
}

// A document that our program fails at, or panics at, is given up after maxPrepareRuns tries.
func TestMailIn_DocumentThatWeFailAt(t *testing.T) {
	for name, render := range map[string]func(raster.Job) (raster.Result, error){
		"fails":  func(raster.Job) (raster.Result, error) { return raster.Result{}, errors.New("the renderer is gone") },
		"panics": func(raster.Job) (raster.Result, error) { panic("index out of range") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.render = render
			if _, err := b.post(simple("1", "s", "b"), "anna@example.org", "5550100@fax.example"); err != nil {
				t.Fatal(err)
			}
			b.work()
			if j := b.allJobs()[0]; j.State != queue.Failed || len(b.jobs) != maxPrepareRuns {
				t.Errorf("%s (%s) after %d renderings", j.State, j.Text, len(b.jobs))
			}
		})
	}
}

// An orderly stop while a document is made is not held against the document.
func TestMailIn_StoppedWhileRendering(t *testing.T) {
	b := newBench(t, nil)
	began := make(chan bool, 1)
	b.g.o.Render = func(ctx context.Context, _ raster.Job, _ *os.File) (raster.Result, error) {
		began <- true
		<-ctx.Done()
		return raster.Result{}, ctx.Err()
	}
	if _, err := b.post(simple("1", "s", "b"), "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	stop := b.run(b.g.Expand, b.g.Prepare)
	<-began
	stop()
	if j := b.allJobs()[0]; j.State != queue.Preparing || j.PrepareRuns != 0 {
		t.Errorf("%s after %d runs", j.State, j.PrepareRuns)
	}
}

func TestSubmit(t *testing.T) {
	b := newBench(t, nil)
	id, err := b.g.Submit(control.Submission{To: "+1 555 0100", From: "anna@example.org", Subject: "Plan", Files: []control.SubmissionFile{{Name: "plan.pdf", Data: []byte("%PDF\r\n\x00\xff\n.\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	b.work()
	j, err := b.q.Job(id)
	if err != nil || j.Number != "+15550100" || j.State != queue.Waiting || j.Sender != "anna@example.org" || j.Subject != "Plan" {
		t.Errorf("%+v, %v", j, err)
	}
	if len(b.texts) != 1 || b.texts[0] != "%PDF\r\n\x00\xff\n.\n" || b.jobs[0].Inputs[0].Name != "plan.pdf" || b.jobs[0].Inputs[0].Cover != nil {
		t.Errorf("rendered %q of %+v", b.texts, b.jobs)
	}
	for name, s := range map[string]control.Submission{
		"no number":   {To: "office", Text: "x"},
		"emergency":   {To: "112", Text: "x"},
		"nothing":     {To: "5550100"},
		"bad address": {To: "5550100", Text: "x", From: "anna"},
		"denied":      {To: "19005550100", Text: "x"},
	} {
		if _, err := b.g.Submit(s); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(b.allJobs()); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

func TestPostmasterMailGoesToTheOperator(t *testing.T) {
	b := newBench(t, nil)
	if _, err := b.post(simple("1", "Your relay", "is broken"), "someone@elsewhere.example", "postmaster"); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.mails) != 1 || b.mails[0].to[0] != "ops@example.org" || len(b.allJobs()) != 0 {
		t.Fatalf("%+v", b.mails)
	}
	wantWords(t, b.mails[0].body(t), "Your relay", "is broken", "someone@elsewhere.example")
}
