//go:build peers

package main

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

func final(j control.Job) bool { return j.State.Final() }

// noticesOf counts the mails to the sender: the final notices.
func noticesOf(list []sunk) []sunk {
	var n []sunk
	for _, m := range list {
		if strings.Contains(m.to, "anna@example.org") {
			n = append(n, m)
		}
	}
	return n
}

// oneNotice waits for the final notice and then a while longer, for a second one that must not come.
func oneNotice(t *testing.T, s *sink, d time.Duration) sunk {
	t.Helper()
	m := s.waitMail(d, "notice", func(m sunk) bool { return strings.Contains(m.to, "anna@example.org") })
	time.Sleep(3 * time.Second)
	if n := len(noticesOf(s.mails())); n != 1 {
		t.Errorf("%d notices, want 1", n)
	}
	return m
}

func mentions(t *testing.T, m sunk, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(strings.ToLower(m.subject()+"\n"+m.text), strings.ToLower(w)) {
			t.Errorf("notice does not say %q:\n%s\n\n%s", w, m.subject(), m.text)
		}
	}
}

func TestServe_MailBecomesFax(t *testing.T) {
	t.Parallel()
	got := filepath.Join(t.TempDir(), "got.tif")
	line := startSoftline(t, "fax:answer,out="+got+",ident=5550100", "--calls", "0")
	s := newSink(t)
	b := newBox(t, line.pty, s.addr, "")
	b.start()
	out, ok := b.swaks("--to", "5550100@fax.example.org", "--body", "Dear office,\nplease find two documents.\n",
		"--attach-type", "application/pdf", "--attach", "@"+repoFile(t, "testdata/pages/invoice.pdf"),
		"--attach-type", "image/png", "--attach", "@"+pngFile(t, "plan.png"))
	if !ok {
		t.Fatalf("swaks: %s", out)
	}
	m := oneNotice(t, s, 4*time.Minute)
	mentions(t, m, "5550100", "3 pages", "Test fax")
	pages := libtiffPages(t, got)
	if len(pages) != 3 {
		t.Fatalf("%d pages, want cover text, PDF, PNG", len(pages))
	}
	for i, p := range pages {
		if ink(p, 0, 60) == 0 {
			t.Errorf("page %d has no header line", i+1)
		}
		if ink(p, 100, p.h) < 500 {
			t.Errorf("page %d is empty below the header line", i+1)
		}
	}
	if string(pages[0].rows[:60*216]) == string(pages[1].rows[:60*216]) {
		t.Error("header lines of page 1 and 2 are the same: no page number?")
	}
	if peak := b.peakRSS(); peak > 200<<20 {
		t.Errorf("serve used %d MB", peak>>20)
	}
}

// ink counts black pels in rows y0 to y1.
func ink(p pbm, y0, y1 int) int {
	stride, n := (p.w+7)/8, 0
	for _, b := range p.rows[min(y0, p.h)*stride : min(y1, p.h)*stride] {
		for ; b != 0; b &= b - 1 {
			n++
		}
	}
	return n
}

func TestServe_FailuresAreToldOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		far     string   // far station's options
		options []string // softline's
		dials   int
		words   []string // in the notice
	}{
		{"Busy", "", []string{"--script", "busy"}, 2, []string{"busy", "was NOT sent"}},
		{"NoAnswer", "", []string{"--script", "noanswer", "--noanswer", "20"}, 2, []string{"answer", "was NOT sent"}},
		{"NoFax", "", []string{"--script", "silent"}, 2, []string{"by a fax machine", "was NOT sent"}},
		// The first call is cut off in page 2, the others find the line busy: page 1 is confirmed, the rest is not.
		{"HangUpInPage2", ",hangup-page=2+4", []string{"--script", "ok,busy"}, 3, []string{"busy", "1 of 3"}},
		{"HangUpInPage1", ",hangup-page=1+4", nil, 2, []string{"cut off", "was NOT sent"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := startSoftline(t, "fax:answer,out="+filepath.Join(t.TempDir(), "got%d.tif")+c.far, append(c.options, "--calls", "0")...)
			s := newSink(t)
			b := newBox(t, line.pty, s.addr, quick)
			b.start()
			b.mailLetter()
			m := oneNotice(t, s, 6*time.Minute)
			mentions(t, m, append(c.words, "5550100")...)
			if j := b.waitJob(5*time.Second, "ended job", final); j.State != control.JobFailed {
				t.Errorf("job ended as %s", j.State)
			}
			if n := len(line.events("dial")); n != c.dials {
				t.Errorf("dialed %d times, want %d", n, c.dials)
			}
		})
	}
}

// mailLetter sends the three page letter as a mail of its own, without a cover page.
func (b *box) mailLetter() {
	b.t.Helper()
	if out, ok := b.swaks("--to", "5550100@fax.example.org", "--body", " ", "--attach-type", "image/tiff", "--attach", "@"+repoFile(b.t, letter)); !ok {
		b.t.Fatalf("swaks: %s", out)
	}
}

// TestServe_GoesOnWhereTheCallWasCut: the far end hangs up in the second carrier with a page of each call. The job goes on at the first page
// that was not confirmed, sends none twice, and ends well.
func TestServe_GoesOnWhereTheCallWasCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := startSoftline(t, "fax:answer,out="+filepath.Join(dir, "got%d.tif")+",hangup-page=2+4", "--calls", "0")
	s := newSink(t)
	b := newBox(t, line.pty, s.addr, strings.Replace(quick, "failed_tries = 2", "failed_tries = 6", 1))
	b.start()
	b.mailLetter()
	mentions(t, oneNotice(t, s, 8*time.Minute), "5550100", "3 pages")
	j := b.waitJob(5*time.Second, "ended job", final)
	if j.State != control.JobSent || j.Confirmed != 3 {
		t.Fatalf("job %s, %d pages confirmed in %d calls", j.State, j.Confirmed, len(j.Attempts))
	}
	want, next := libtiffPages(t, repoFile(t, letter)), 0
	for i, a := range j.Attempts {
		if a.Pages == 0 && line.repeated(i+1) { // on a machine too busy for a soft modem its carriers have holes
			t.Logf("call %d: a carrier had to be repeated, and it was cut in that one", i+1)
			continue
		}
		if a.Pages != 1 {
			t.Fatalf("%d pages confirmed in call %d: %s", a.Pages, i+1, a.Text)
		}
		got := libtiffPages(t, filepath.Join(dir, fmt.Sprintf("got%d.tif", i+1)))
		if err := samePage(want[next], got[0], 120); err != nil { // below the header line
			t.Errorf("call %d did not begin with page %d: %v", i+1, next+1, err)
		}
		next++
	}
}

// repeated tells whether a call, the first being 1, was trained twice or frames were asked for again.
func (s *softline) repeated(call int) bool {
	trainings := 0
	for _, e := range s.transmissions() {
		switch {
		case e["call"] != float64(call):
		case e["frame"] == "PPR", e["frame"] == "FTT":
			return true
		case e["use"] == "tcf":
			trainings++
		}
	}
	return trainings > 1
}

func TestServe_FaxBecomesMail(t *testing.T) {
	t.Parallel()
	line := startSoftlineAs(t, "nmbr=5550142", "fax:call,in="+repoFile(t, letter)+",ident=5550142,delay=3")
	s := newSink(t) // gets alarms too: the modem goes when softline ends
	b := newBox(t, line.pty, s.addr, "")
	s.stop() // the mail server is down while the fax comes
	b.start()
	line.wait(4 * time.Minute)
	waitFor(t, 20*time.Second, "received fax in the list", func() bool {
		out, _ := exec.Command(tipringBin, "faxes", "--data", b.data).Output()
		return strings.Contains(string(out), "5550142")
	})
	time.Sleep(2 * time.Second)
	if n := len(s.mails()); n != 0 {
		t.Fatalf("%d mails while the server was down", n)
	}
	s.start()
	if out, _, status := tipring(t, 10*time.Second, "queue", "retry-mail", "--data", b.data); status != exitOK {
		t.Fatalf("retry-mail: %s", out)
	}
	m := s.waitMail(90*time.Second, "mail with the fax", func(m sunk) bool { return strings.Contains(m.to, "desk@example.org") })
	mentions(t, m, "5550142", "3 pages")
	if len(m.files) != 1 || len(m.inline) != 1 {
		t.Fatalf("%d attachments, %d pictures", len(m.files), len(m.inline))
	}
	for name, data := range m.files {
		if !strings.HasSuffix(name, ".pdf") || !strings.HasPrefix(string(data), "%PDF-") {
			t.Errorf("attachment %s", name)
		}
		samePDF(t, data, repoFile(t, letter))
	}
	time.Sleep(3 * time.Second)
	n := 0
	for _, m := range s.mails() {
		if strings.Contains(m.to, "desk@example.org") && len(m.files) > 0 {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d mails with the fax, want 1", n)
	}
}

// samePDF compares a PDF's pictures, taken out by poppler, with the pages of a TIFF.
func samePDF(t *testing.T, pdf []byte, tif string) {
	t.Helper()
	need(t, "pdfimages")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f.pdf"), pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("pdfimages", filepath.Join(dir, "f.pdf"), filepath.Join(dir, "p")).CombinedOutput(); err != nil {
		t.Fatalf("pdfimages: %v %s", err, out)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "p-*.pbm"))
	want := libtiffPages(t, tif)
	if len(names) != len(want) {
		t.Fatalf("%d pictures in the PDF, want %d", len(names), len(want))
	}
	for i, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := samePage(want[i], parsePBM(t, b), 0); err != nil {
			t.Errorf("PDF page %d: %v", i+1, err)
		}
	}
}

// TestServe_BadInput: each bad thing gets its clear error, and the next fax works.
func TestServe_BadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := startSoftline(t, "fax:answer,out="+filepath.Join(dir, "got%d.tif")+",ident=5550100", "--calls", "0")
	s := newSink(t)
	b := newBox(t, line.pty, s.addr, quick)
	b.start()

	if out, ok := b.swaks("--to", "reception@fax.example.org", "--body", "x"); ok || !strings.Contains(out, "550 5.1") && !strings.Contains(out, "553 5.1") {
		t.Errorf("a RCPT that is no number: %s", out)
	}
	if out, ok := b.swaks("--to", "5550100@elsewhere.example", "--body", "x"); ok || !strings.Contains(out, "5.7.1") {
		t.Errorf("relaying: %s", out)
	}
	if out, ok := b.swaks("--to", "112@fax.example.org", "--body", "x"); ok || !strings.Contains(out, "550") {
		t.Errorf("an emergency number: %s", out)
	}
	if out, ok := b.swaks("--from", "eve@evil.example", "--to", "5550100@fax.example.org", "--body", "x"); ok || !strings.Contains(out, "5.7.1") {
		t.Errorf("a sender not listed: %s", out)
	}
	if reply := b.bigMail(200 << 20); !strings.HasPrefix(reply, "552 5.3.4") {
		t.Errorf("a mail of 200 MB: %q", reply)
	}

	seen := map[string]bool{}
	for _, c := range []struct {
		name  string
		args  []string
		words []string
	}{
		{"truncated TIFF", []string{"--attach-type", "image/tiff", "--attach", "@" + cutFile(t, repoFile(t, letter), "cut.tif", 9000)}, []string{"cut.tif"}},
		{"huge PNG", []string{"--attach-type", "image/png", "--attach", "@" + hugePNG(t, "huge.png")}, []string{"huge.png", "large"}},
		{"encrypted PDF", []string{"--attach-type", "application/pdf", "--attach", "@" + encryptedPDF(t, "secret.pdf")}, []string{"secret.pdf", "password"}},
		{"empty mail", []string{"--body", " "}, []string{"nothing"}},
	} {
		subject := "Subject: bad " + c.name
		if out, ok := b.swaks(append([]string{"--to", "5550100@fax.example.org", "--header", subject, "--body", " "}, c.args...)...); !ok {
			t.Errorf("%s: not taken: %s", c.name, out)
			continue
		}
		m := s.waitMail(60*time.Second, "notice about the "+c.name, func(m sunk) bool {
			id := m.header.Get("Message-ID")
			return strings.Contains(m.to, "anna@") && strings.Contains(m.subject()+m.text, "bad "+c.name) && !seen[id]
		})
		seen[m.header.Get("Message-ID")] = true
		mentions(t, m, c.words...)
	}
	if n := len(line.events("dial")); n != 0 {
		t.Errorf("%d calls for mails that cannot be faxed", n)
	}

	if out, ok := b.swaks("--to", "5550100@fax.example.org", "--body", "A good one."); !ok {
		t.Fatalf("the next mail: %s", out)
	}
	s.waitMail(2*time.Minute, "success notice", func(m sunk) bool { return !seen[m.header.Get("Message-ID")] })
	j := b.waitJob(5*time.Second, "sent job", func(j control.Job) bool { return j.State == control.JobSent })
	if j.Pages != 1 {
		t.Errorf("%d pages", j.Pages)
	}
	if peak := b.peakRSS(); peak > 200<<20 {
		t.Errorf("serve used %d MB", peak>>20)
	}
}

// TestServe_PulledModem: the port vanishes in the middle of a page. The job waits and goes on when the modem is back.
func TestServe_PulledModem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	port := filepath.Join(dir, "modem")
	line := startSoftline(t, "fax:answer,out="+filepath.Join(dir, "lost.tif"), "--calls", "0")
	if err := os.Symlink(line.pty, port); err != nil {
		t.Fatal(err)
	}
	s := newSink(t)
	b := newBox(t, port, s.addr, quick)
	b.start()
	b.mailLetter()
	waitFor(t, time.Minute, "a page on the line", func() bool { return strings.Contains(line.readLog(), `"use":"tcf"`) })
	time.Sleep(4 * time.Second)
	os.Remove(port) // first: the number of its pty may go to another test's modem at once
	line.cmd.Process.Kill()
	<-line.done
	waitFor(t, time.Minute, "alarm about the line", func() bool {
		return strings.Contains(b.get("/status.json"), `"alarms":[{`)
	})
	got := filepath.Join(dir, "got.tif")
	again := startSoftline(t, "fax:answer,out="+got, "--calls", "0")
	if err := os.Symlink(again.pty, port); err != nil {
		t.Fatal(err)
	}
	m := oneNotice(t, s, 4*time.Minute)
	mentions(t, m, "5550100", "3 pages")
	if n := len(libtiffPages(t, got)); n < 1 {
		t.Errorf("%d pages on the second line", n)
	}
}

// bigMail sends a mail of so many octets without telling its size before, and returns the last reply.
func (b *box) bigMail(octets int) string {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.smtp)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	r := textproto.NewReader(bufio.NewReader(conn))
	for _, cmd := range []string{"", "EHLO mail.example.org", "MAIL FROM:<anna@example.org>", "RCPT TO:<5550100@fax.example.org>", "DATA"} {
		if cmd != "" {
			fmt.Fprintf(conn, "%s\r\n", cmd)
		}
		code, text, err := r.ReadResponse(0)
		if err != nil || code >= 400 {
			b.t.Fatalf("%s: %d %s %v", cmd, code, text, err)
		}
	}
	answered := make(chan string, 1)
	go func() {
		line, _ := r.ReadLine()
		answered <- line
	}()
	block := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1000))
	fmt.Fprint(conn, "Subject: big\r\n\r\n")
	for sent := 0; sent < octets; sent += len(block) {
		if _, err := conn.Write(block); err != nil {
			break // it may hang up on us: the reply counts
		}
	}
	fmt.Fprint(conn, "\r\n.\r\n")
	return <-answered
}

func cutFile(t *testing.T, from, name string, n int) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	f := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(f, b[:n], 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func encryptedPDF(t *testing.T, name string) string {
	t.Helper()
	need(t, "qpdf")
	f := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("qpdf", "--encrypt", "user", "owner", "256", "--", repoFile(t, "testdata/pages/invoice.pdf"), f).CombinedOutput(); err != nil {
		t.Fatalf("qpdf: %v %s", err, out)
	}
	return f
}
