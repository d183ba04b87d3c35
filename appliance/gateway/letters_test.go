package gateway

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io"
	"log/slog"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/t30"
)

// deliverTo gives a received fax its recipients.
func (b *bench) deliverTo(f queue.Fax, to ...string) {
	b.t.Helper()
	if err := b.q.UpdateOut(f.Delivery, func(o *queue.Out) error {
		o.To, o.State = to, queue.OutPending
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
}

var received = t30.Report{Code: t30.CodeOK, Received: 2}

// A received fax is a letter with the first page in it, and the text says the same.
func TestFaxMail_IsALetter(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Picture = true })
	b.deliverTo(b.receiveFax(t30.Good, received), "desk@example.org")
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	m, files := b.mails[0].parsed(t)
	wantWords(t, b.mails[0].text, "multipart/alternative", "multipart/related", `cid:page1`)
	picture, err := png.Decode(strings.NewReader(files["page1.png"]))
	if err != nil || picture.Bounds().Dx() != pictureWidth {
		t.Errorf("%v, %v", picture, err)
	}
	inline := slices.ContainsFunc(m.Attachments, func(p message.Part) bool { return p.Name == "page1.png" && p.Inline })
	if len(files) != 2 || !inline {
		t.Errorf("%d files, picture inline: %v", len(files), inline)
	}
	for _, once := range []string{"From", "Date", "Message-Id", "Subject", "Content-Class", "X-Faxnumberofpages", "X-Callingtelephonenumber", "X-Callid", "X-Attachmentorder"} {
		if once == "X-Callid" { // no call record in this test
			continue
		}
		if n := len(m.Header.Values(once)); n != 1 {
			t.Errorf("%s stands there %d times", once, n)
		}
	}
	if m.Header.Get("Content-Class") != "fax" || m.Header.Get("X-FaxNumberOfPages") != "2" || m.Header.Get("X-CallingTelephoneNumber") != "5550142" ||
		m.Header.Get("Auto-Submitted") != "auto-generated" || m.Date.IsZero() {
		t.Errorf("%+v", m.Header)
	}
}

// For privacy a fax can stay where it is: it is kept until it was fetched, whatever the retention.
func TestFaxMail_WithoutContent(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Picture, o.NoContent = true, true })
	fax := b.receiveFax(t30.Good, received)
	b.deliverTo(fax, "desk@example.org")
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	if _, files := b.mails[0].parsed(t); len(files) != 0 {
		t.Errorf("the mail has %d files", len(files))
	}
	wantWords(t, b.mails[0].body(t), "For privacy the fax is not in this mail", "stays there until it is fetched", string(fax.ID))
	much := time.Now().Add(1000 * time.Hour)
	retention := queue.Retention{Faxes: time.Minute}
	if err := b.q.Purge(much, retention); err != nil {
		t.Fatal(err)
	}
	f, err := b.q.Fax(fax.ID)
	if err != nil || !f.Delivered.IsZero() || f.Told.IsZero() {
		t.Fatalf("%+v, %v", f, err)
	}
	if err := b.g.watchUnfetched(much, time.Hour); err != nil || !b.alarmed("faxes-unfetched") {
		t.Errorf("%v, %+v", err, b.g.alarms.List())
	}
	// Half a file is no fax.
	r, err := b.g.OpenFax(fax.ID, "pdf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, r, 100); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if f, _ := b.q.Fax(fax.ID); !f.Delivered.IsZero() {
		t.Error("fetched by half")
	}
	r, err = b.g.OpenFax(fax.ID, "pdf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if f, _ := b.q.Fax(fax.ID); f.Delivered.IsZero() {
		t.Error("not fetched")
	}
	if err := b.g.watchUnfetched(much, time.Hour); err != nil || b.alarmed("faxes-unfetched") {
		t.Errorf("%v, %+v", err, b.g.alarms.List())
	}
	if err := b.q.Purge(much, retention); err != nil {
		t.Fatal(err)
	}
	if _, err := b.q.Fax(fax.ID); err == nil {
		t.Error("kept for good")
	}
}

// The same item gives the same mail, octet by octet.
func TestFaxMail_IsStable(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Picture = true })
	fax := b.receiveFax(t30.Good, received)
	b.deliverTo(fax, "desk@example.org")
	o, err := b.q.Out(fax.Delivery)
	if err != nil {
		t.Fatal(err)
	}
	var first bytes.Buffer
	for i := range 2 {
		m, err := b.g.faxMail(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var w bytes.Buffer
		if _, err := m.WriteTo(&w); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = w
		} else if !bytes.Equal(first.Bytes(), w.Bytes()) {
			t.Error("the second mail differs")
		}
	}
}

func TestNotice_ShowsTheFirstPage(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Picture = true })
	if _, err := b.post(simple("1", "Plan", "Text."), "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	if err := b.q.FailJob(b.allJobs()[0].ID, "No."); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	if _, files := b.mails[0].parsed(t); files["page1.png"] == "" {
		t.Errorf("no picture in\n%s", b.mails[0].text)
	}
}

// hostile are values that come from strangers: a subject, a name, a far end's identification.
var hostile = []string{
	"x\r\nBcc: victim@example.org", "x\nBcc: victim@example.org\n\nbody", "x\rBcc: victim@example.org", "=?utf-8?B?DQpCY2M6IHZpY3RpbUBleGFtcGxlLm9yZw==?=",
	"</td><script>alert(1)</script>", "\u202egnp.exe", "x\u2028Bcc: victim@example.org", "\x00\x01\x1b[31m", strings.Repeat("a", 5000), "x\xff\xfe", "--=_tipring_m",
	"Job:            1m8212a5h\nFax sent",
}

// Nothing in a value becomes a header field, a line of its own in the text, or markup.
func TestNotice_HostileValues(t *testing.T) {
	b := newBench(t, nil)
	for _, v := range hostile {
		n := queue.Notice{Job: "j1", State: queue.Failed, Number: v, Name: v, Subject: v, Text: v, RemoteID: v, MessageID: v, Omitted: []string{v}, Repeated: []string{v},
			Address: v, Notify: "FAILURE", OriginalRecipient: v, EnvelopeID: v, Mail: queue.MailID(v), Pages: 1, Calls: 1}
		fax := queue.Fax{ID: "f1", NewFax: queue.NewFax{RemoteID: v, Caller: v, CallerName: v, Dialed: v, Subaddress: v, Line: v}, Text: v, State: queue.FaxPartial, Pages: make([]queue.FaxPage, 1)}
		summary := queue.Summary{MessageID: v, Subject: v, Jobs: []queue.Notice{n, n}, Open: []queue.OpenJob{{Number: v, Name: v, Text: v, State: queue.Held}}, Repeated: []string{v}}
		for kind, make := range map[string]func(o queue.Out) (message.Outgoing, error){
			"notice":  func(o queue.Out) (message.Outgoing, error) { o.Payload = asJSON(t, n); return b.g.noticeMail(o) },
			"summary": func(o queue.Out) (message.Outgoing, error) { o.Payload = asJSON(t, summary); return b.g.summaryMail(o) },
			"fax": func(o queue.Out) (message.Outgoing, error) {
				m := b.g.mail(o)
				m.Subject, m.Fax = faxSubject(fax, queue.Delivery{}), &message.Fax{Caller: v, CallerName: v, CallID: v}
				b.g.setLetter(&m, b.g.faxLetter(fax, queue.Delivery{}, false), nil)
				return m, nil
			},
		} {
			m, err := make(queue.Out{ID: "o1", To: []string{"anna@example.org"}, MessageID: "<o1@box.example>", Created: time.Now()})
			if err != nil {
				t.Errorf("%s, %.40q: %v", kind, v, err)
				continue
			}
			checkHarmless(t, kind+" "+v[:min(len(v), 30)], m)
		}
	}
}

func asJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkHarmless(t *testing.T, what string, m message.Outgoing) {
	t.Helper()
	var w bytes.Buffer
	if _, err := m.WriteTo(&w); err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	text := strings.ReplaceAll(w.String(), "\r\n", "\n")
	if strings.Contains(text, "\r") || strings.ContainsRune(text, 0) {
		t.Errorf("%s: bare CR or NUL", what)
	}
	head, _, _ := strings.Cut(text, "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		if strings.HasPrefix(line, "Bcc:") || strings.HasPrefix(line, "Fax sent") || len(line) > 998 {
			t.Errorf("%s: field %.100q", what, line)
		}
	}
	parsed, err := mail.ReadMessage(&w)
	if err != nil || len(parsed.Header["From"]) != 1 || len(parsed.Header["Bcc"]) != 0 || len(parsed.Header["To"]) != 1 {
		t.Errorf("%s: %v, %+v", what, err, parsed)
	}
	if strings.Contains(m.HTML, "<script") || strings.ContainsAny(m.HTML+m.Text, "\u202e\u2028\x1b") {
		t.Errorf("%s: %s\n%s", what, m.Text, m.HTML)
	}
	for line := range strings.Lines(m.Text) {
		if strings.HasPrefix(line, "Bcc:") || strings.HasPrefix(line, "Fax sent") || strings.HasPrefix(line, "body") {
			t.Errorf("%s: line of its own: %q", what, line)
		}
	}
}

// Whatever became of a fax, its notice names what the sender can do.
func TestNotice_SaysWhatToDo(t *testing.T) {
	for code := t30.Code(0); code < 200; code++ {
		for _, calls := range []int{0, 1, 5} {
			for _, s := range []queue.State{queue.Failed, queue.Unknown, queue.Canceled} {
				text := noticeLetter(queue.Notice{State: s, Code: code, Calls: calls, Number: "5550100", Pages: 1}).Text()
				if !strings.Contains(strings.ToLower(text), "please") {
					t.Errorf("%s, code %d: %s", s, code, text)
				}
			}
		}
	}
}

// A template that fails on a letter costs the HTML, not the notice.
func TestNotice_TemplateFails(t *testing.T) {
	lt, err := message.ParseLetterTemplate(`{{if eq (printf "%.7s" .Title) "Fax NOT"}}{{index .Paragraphs 99}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(o *Options) { o.Letter = lt })
	b.failedJob()
	b.work()
	if len(b.mails) != 1 || !b.alarmed("mail-letter") {
		t.Fatalf("%d mails, alarms %+v", len(b.mails), b.g.alarms.List())
	}
	wantWords(t, b.mails[0].body(t), "The reason.")
	if strings.Contains(b.mails[0].text, "text/html") {
		t.Error(b.mails[0].text)
	}
}

// A mail to very many makes a notice too large for HTML, which goes as text.
func TestSummary_OfThousands(t *testing.T) {
	b := newBench(t, nil)
	s := queue.Summary{}
	for range 5000 {
		s.Jobs = append(s.Jobs, queue.Notice{State: queue.Failed, Number: "5550100", Text: "The number was busy.", Calls: 5})
	}
	m, err := b.g.summaryMail(queue.Out{ID: "o1", To: []string{"anna@example.org"}, MessageID: "<o1@box.example>", Created: time.Now(), Payload: asJSON(t, s)})
	if err != nil || m.HTML != "" || strings.Count(m.Text, "was busy") < 5000 {
		t.Errorf("%d octets of text, %d of HTML, %v", len(m.Text), len(m.HTML), err)
	}
}

// A page that is metres long, or of no size, has a picture that fits all the same.
func TestFitWidth(t *testing.T) {
	for _, c := range []struct{ w, h int }{{1728, 2200}, {1728, 200000}, {2432, 10}, {1, 60000}, {1728, 0}, {0, 0}} {
		p := imaging.Page{Bitmap: imaging.New(c.w, c.h), Resolution: imaging.Standard}
		got := imaging.Thumbnail(p.Bitmap, p.Resolution, fitWidth(p)).Bounds()
		if got.Dx() > pictureWidth || got.Dy() > pictureHeight && c.w > 1 {
			t.Errorf("%d x %d gives %v", c.w, c.h, got)
		}
	}
}

// FuzzNotice: whatever a sender and a far end call themselves, the notice is one mail with our fields and our lines.
func FuzzNotice(f *testing.F) {
	for _, v := range hostile {
		f.Add(v, v, v)
	}
	st, err := store.Open(f.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		f.Fatal(err)
	}
	defer st.Close()
	q, _, err := queue.Open(st, queue.Options{Domain: "box.example"})
	if err != nil {
		f.Fatal(err)
	}
	alarms, err := OpenAlarms(st, nil)
	if err != nil {
		f.Fatal(err)
	}
	g := New(q, alarms, Options{Hostname: "box.example", From: "fax@example.org", Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, subject, name, far string) {
		n := queue.Notice{Job: "j1", State: queue.Failed, Number: far, Name: name, Subject: subject, Text: name, RemoteID: far, MessageID: subject, Omitted: []string{name}, Repeated: []string{far},
			Address: name, Notify: "FAILURE", OriginalRecipient: subject, EnvelopeID: name, Pages: 1, Calls: 1}
		m, err := g.noticeMail(queue.Out{ID: "o1", To: []string{"anna@example.org"}, MessageID: "<o1@box.example>", Created: time.Now(), Payload: asJSON(t, n)})
		if err != nil {
			t.Fatal(err)
		}
		checkHarmless(t, "notice", m)
	})
}
