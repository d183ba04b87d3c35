//go:build peers && soak

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

// officeServer answers as Gotenberg does (POST /forms/libreoffice/convert, form field "files"), by LibreOffice. While status is not 0 it
// refuses with that.
type officeServer struct {
	t         *testing.T
	dir       string
	status    atomic.Int32
	asked     atomic.Int32
	converted atomic.Int32
}

func (o *officeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.asked.Add(1)
	if s := int(o.status.Load()); s != 0 {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, http.StatusText(s), s)
		return
	}
	form, head, err := r.FormFile("files")
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/forms/libreoffice/convert" {
		o.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	defer form.Close()
	data, err := io.ReadAll(form)
	name := filepath.Join(o.dir, filepath.Base(head.Filename))
	if err == nil {
		err = os.WriteFile(name, data, 0o600)
	}
	if err == nil {
		err = o.soffice("pdf", name)
	}
	pdf, err2 := os.ReadFile(strings.TrimSuffix(name, filepath.Ext(name)) + ".pdf")
	if err != nil || err2 != nil {
		http.Error(w, "LibreOffice failed to process a document", http.StatusBadRequest)
		return
	}
	o.converted.Add(1)
	w.Header().Set("Content-Type", "application/pdf")
	_, _ = w.Write(pdf)
}

func (o *officeServer) soffice(to, file string, options ...string) error {
	args := append([]string{"--headless", "-env:UserInstallation=file://" + o.dir + "/lo"}, options...)
	cmd := exec.Command("soffice", append(args, "--convert-to", to, "--outdir", o.dir, file)...)
	cmd.Dir = o.dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("soffice: %w: %s", err, said)
	}
	return nil
}

// Office documents through the whole of serve: what the converter refuses its sender is told; while it is busy a fax waits, but a Word
// document is drawn by our own reader; what it converts becomes pages.
func TestServe_OfficeDocuments(t *testing.T) {
	t.Parallel()
	need(t, "soffice")
	o := &officeServer{t: t, dir: t.TempDir()}
	server := httptest.NewServer(o)
	defer server.Close()
	page := filepath.Join(o.dir, "page.html")
	if err := os.WriteFile(page, []byte(pageHTML), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"odt", "docx:MS Word 2007 XML"} {
		if err := o.soffice(to, page, "--infilter=HTML (StarWriter)"); err != nil {
			t.Fatal(err)
		}
	}
	s := newSink(t)
	b := newBox(t, filepath.Join(t.TempDir(), "no-modem"), s.addr, fmt.Sprintf("[render]\ngotenberg = %q\ngotenberg_docx = true\n", server.URL))
	b.start()
	post := func(subject, file string) {
		t.Helper()
		if out, ok := b.swaks("--to", "5550100@fax.example.org", "--header", "Subject: "+subject, "--body", " ", "--attach-type", "application/octet-stream", "--attach", "@"+filepath.Join(o.dir, file)); !ok {
			t.Fatalf("%s: %s", subject, out)
		}
	}

	o.status.Store(http.StatusBadRequest)
	post("refused", "page.odt")
	m := s.waitMail(2*time.Minute, "notice about a refused document", func(m sunk) bool { return strings.Contains(m.subject(), "refused") })
	mentions(t, m, "NOT sent", "page.odt", "damaged", "LibreOffice cannot open it")

	o.status.Store(http.StatusServiceUnavailable)
	asked := o.asked.Load()
	post("late", "page.odt")
	waitFor(t, 2*time.Minute, "the converter asked", func() bool { return o.asked.Load() > asked })
	waitFor(t, 2*time.Minute, "alarm about the converter", func() bool { return strings.Contains(b.get("/status.json"), "office-converter") })
	if n := len(noticesOf(s.mails())); n != 1 {
		t.Errorf("%d notices while the converter is busy, want that about the refused one", n)
	}
	rendered := func(subject string) {
		t.Helper()
		b.waitJob(4*time.Minute, subject+" rendered", func(j control.Job) bool { return j.Subject == subject && !j.State.Final() && j.Pages == 1 })
	}
	post("own reader", "page.docx")
	rendered("own reader")
	o.status.Store(0)
	rendered("late")
	post("word", "page.docx")
	rendered("word")
	if n := o.converted.Load(); n != 2 {
		t.Errorf("%d documents converted, want the late one and the second Word one", n)
	}
	waitFor(t, 2*time.Minute, "the alarm to end", func() bool { return !strings.Contains(b.get("/status.json"), "office-converter") })
	files, err := filepath.Glob(filepath.Join(b.data, "spool", "doc", "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("documents %q, %v, want three", files, err)
	}
	for _, f := range files {
		if p := libtiffPages(t, f); len(p) != 1 || ink(p[0], 100, p[0].h) < 2000 {
			t.Errorf("%s: %d pages, or no words on it", f, len(p))
		}
	}
}
