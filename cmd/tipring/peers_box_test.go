//go:build peers

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// box is one appliance: `tipring serve` with a config and a data folder of its own.
type box struct {
	t         *testing.T
	dir, data string
	smtp, web string // addresses
	config    string
	p         *proc
}

// newBox writes a configuration for one line on the device; mail goes out to smartHost. extra is more TOML.
func newBox(t *testing.T, device, smartHost, extra string) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir(), smtp: smtptest.FreeAddr(t), web: smtptest.FreeAddr(t)}
	b.data, b.config = filepath.Join(b.dir, "data"), filepath.Join(b.dir, "tipring.toml")
	text := fmt.Sprintf(`
data = %q
hostname = "box.example.org"
fax_domains = ["fax.example.org"]
[[line]]
name = "one"
device = %q
number = "5550199"
header = "Box Clinic"
[[receive]]
name = "in"
listen = [%q]
networks = ["127.0.0.0/8"]
senders = ["example.org"]
[[send]]
name = "out"
host = %q
[mail]
from = "fax@box.example.org"
[routes]
default = ["desk@example.org"]
[dial]
country = "DE"
allow = ["*"]
[web]
listen = %q
%s`, b.data, device, b.smtp, smartHost, b.web, extra)
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(b.data, "cache"), os.DirFS(pdfCache)); err != nil {
		t.Fatal(err)
	}
	return b
}

// quick shortens the retry intervals; the country's own pauses between calls stay.
const quick = `
[retry]
busy_tries = 2
busy_intervals = ["5s"]
no_answer_tries = 2
failed_tries = 2
interval = "5s"
`

func (b *box) start() {
	b.t.Helper()
	b.p = start(b.t, tipringBin, "serve", "--config", b.config)
	waitFor(b.t, 30*time.Second, "mail port of serve", func() bool {
		c, err := net.DialTimeout("tcp", b.smtp, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill ends serve without warning.
func (b *box) kill() {
	b.p.cmd.Process.Kill()
	<-b.p.done
}

// peakRSS is serve's largest resident set so far, in octets.
func (b *box) peakRSS() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.p.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, l := range strings.Split(string(text), "\n") {
		if f := strings.Fields(l); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	b.t.Fatal("no VmHWM")
	return 0
}

// get reads from the status page.
func (b *box) get(path string) string {
	r, err := http.Get("http://" + b.web + path)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return string(text)
}

func (b *box) jobs() []control.Job {
	out, err := exec.Command(tipringBin, "queue", "list", "--all", "--json", "--data", b.data).Output()
	if err != nil {
		return nil // not up yet
	}
	var jobs []control.Job
	if err := json.Unmarshal(out, &jobs); err != nil {
		b.t.Fatalf("queue list --json: %v: %s", err, out)
	}
	return jobs
}

func (b *box) waitJob(d time.Duration, what string, ok func(control.Job) bool) control.Job {
	b.t.Helper()
	var found control.Job
	waitFor(b.t, d, what, func() bool {
		for _, j := range b.jobs() {
			if ok(j) {
				found = j
				return true
			}
		}
		time.Sleep(200 * time.Millisecond)
		return false
	})
	return found
}

// swaks hands a mail to the box; it returns swaks's output and whether the mail was taken.
func (b *box) swaks(args ...string) (string, bool) {
	b.t.Helper()
	need(b.t, "swaks")
	all := append([]string{"--server", b.smtp, "--from", "anna@example.org", "--ehlo", "mail.example.org", "--header", "Subject: Test fax"}, args...)
	out, err := exec.Command("swaks", all...).CombinedOutput()
	return string(out), err == nil
}

// sink is Postfix's smtp-sink, which takes all mail and keeps each in a file.
type sink struct {
	t    *testing.T
	addr string
	dir  string
	p    *proc
}

func newSink(t *testing.T) *sink {
	t.Helper()
	need(t, "smtp-sink")
	s := &sink{t: t, addr: smtptest.FreeAddr(t), dir: t.TempDir()}
	s.start()
	return s
}

func (s *sink) start() {
	s.t.Helper()
	args := []string{"-d", filepath.Join(s.dir, "m."), s.addr, "50"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "root"}, args...)
	}
	s.p = start(s.t, "smtp-sink", args...)
	waitFor(s.t, 5*time.Second, "smtp-sink", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *sink) stop() {
	s.p.cmd.Process.Kill()
	<-s.p.done
}

// sunk is one mail that the sink has taken.
type sunk struct {
	header mail.Header
	to     string
	text   string            // first text part
	files  map[string][]byte // attachments by name
	inline []string          // names of the pictures shown in the text
}

func (m sunk) subject() string {
	s, _ := new(mime.WordDecoder).DecodeHeader(m.header.Get("Subject"))
	return s
}

// mails returns all whole mails, in the order they came.
func (s *sink) mails() []sunk {
	s.t.Helper()
	names, _ := filepath.Glob(filepath.Join(s.dir, "m.*"))
	var list []sunk
	age := map[string]time.Time{}
	for _, n := range names {
		if i, err := os.Stat(n); err == nil {
			age[n] = i.ModTime()
		}
	}
	sort.Slice(names, func(i, j int) bool { return age[names[i]].Before(age[names[j]]) })
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			s.t.Fatal(err)
		}
		if m, ok := parseMail(s.t, b); ok {
			list = append(list, m)
		}
	}
	return list
}

func (s *sink) waitMail(d time.Duration, what string, ok func(sunk) bool) sunk {
	s.t.Helper()
	var found sunk
	waitFor(s.t, d, what, func() bool {
		for _, m := range s.mails() {
			if ok(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func parseMail(t *testing.T, b []byte) (sunk, bool) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return sunk{}, false // still being written
	}
	s := sunk{header: m.Header, to: m.Header.Get("X-Rcpt-Args"), files: map[string][]byte{}}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return sunk{}, false
	}
	if !strings.HasPrefix(media, "multipart/") {
		body, err := decodePart(m.Header.Get("Content-Transfer-Encoding"), m.Body)
		s.text = string(body)
		return s, err == nil
	}
	return s, s.addParts(m.Body, params["boundary"]) == nil
}

func (s *sunk) addParts(r io.Reader, boundary string) error {
	for parts := multipart.NewReader(r, boundary); ; {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		media, params, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if strings.HasPrefix(media, "multipart/") {
			if err := s.addParts(p, params["boundary"]); err != nil {
				return err
			}
			continue
		}
		body, err := decodePart(p.Header.Get("Content-Transfer-Encoding"), p)
		if err != nil {
			return err
		}
		if name := p.FileName(); strings.HasPrefix(p.Header.Get("Content-Disposition"), "inline") {
			s.inline = append(s.inline, name)
		} else if name != "" {
			s.files[name] = body
		} else if s.text == "" && media == "text/plain" {
			s.text = string(body)
		}
	}
}

func decodePart(encoding string, r io.Reader) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "base64":
		return io.ReadAll(base64.NewDecoder(base64.StdEncoding, r))
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(r))
	}
	return io.ReadAll(r)
}

// pngFile makes a small picture: a black frame with a diagonal.
func pngFile(t *testing.T, name string) string {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 400, 300))
	for y := range 300 {
		for x := range 400 {
			c := color.Gray{Y: 255}
			if x < 8 || y < 8 || x >= 392 || y >= 292 || x*3/4 == y {
				c.Y = 0
			}
			img.SetGray(x, y, c)
		}
	}
	f := filepath.Join(t.TempDir(), name)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}
