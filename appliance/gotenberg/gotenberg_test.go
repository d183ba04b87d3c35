package gotenberg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging/raster"
)

const rtf = `{\rtf1 hello}`

// server answers as gotenberg.dev says, and keeps what it was given.
type server struct {
	*httptest.Server
	status   int
	answer   string
	name     string // of the file it got
	data     string
	auth     string
	requests int
}

func newServer(t *testing.T) *server {
	s := &server{status: 200, answer: "%PDF-1.7\nhello"}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests++
		if user, password, ok := r.BasicAuth(); ok {
			s.auth = user + ":" + password
		}
		f, h, err := r.FormFile("files")
		if r.Method != http.MethodPost || r.URL.Path != "/base/forms/libreoffice/convert" || err != nil || r.ContentLength <= 0 {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
			w.WriteHeader(400)
			return
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Error(err)
		}
		s.name, s.data = h.Filename, string(data)
		if s.status == 200 {
			w.Header().Set("Content-Type", "application/pdf")
		}
		if s.status == 302 {
			w.Header().Set("Location", "http://192.0.2.1/")
		}
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) converter(t *testing.T, change func(*Options)) *Converter {
	t.Helper()
	o := Options{URL: s.URL + "/base/", Timeout: 20 * time.Second}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func file(t *testing.T, name, data string) raster.Input {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return raster.Input{File: f, Name: name}
}

// Office documents become PDFs, the rest stays as it is, and nothing is left in the folder.
func TestJob_Converts(t *testing.T) {
	s := newServer(t)
	var told []error
	c := s.converter(t, func(o *Options) {
		o.URL = strings.Replace(o.URL, "http://", "http://fax:sec%20ret@", 1)
		o.Tell = func(err error) { told = append(told, err) }
	})
	job := raster.Job{Inputs: []raster.Input{{Cover: &raster.CoverFields{}}, file(t, "plain.txt", "hello"), file(t, "Brief an\r\n\"Jürgen\".rtf", rtf), {Data: []byte(rtf)}}}
	dir := t.TempDir()
	got, done, err := c.Job(context.Background(), job, dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.data != rtf || s.name != "document.rtf" || s.auth != "fax:sec ret" || s.requests != 1 {
		t.Errorf("the server got %q as %q from %q, %d requests", s.data, s.name, s.auth, s.requests)
	}
	pdf, err := io.ReadAll(io.NewSectionReader(got.Inputs[2].File, 0, 1<<20))
	if err != nil || string(pdf) != s.answer || got.Inputs[2].Name != job.Inputs[2].Name || got.Inputs[2].MIME != "application/pdf" {
		t.Errorf("%q, %+v, %v", pdf, got.Inputs[2], err)
	}
	for _, i := range []int{0, 1, 3} {
		if got.Inputs[i].File != job.Inputs[i].File || got.Inputs[i].Cover != job.Inputs[i].Cover {
			t.Errorf("input %d was changed", i)
		}
	}
	if job.Inputs[2].MIME != "" {
		t.Error("the job itself was changed")
	}
	done()
	if _, err := got.Inputs[2].File.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after done: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if len(told) != 1 || told[0] != nil {
		t.Errorf("told %v", told)
	}
	fax := job
	fax.Options.FaxPages = true
	if _, done, err := c.Job(context.Background(), fax, dir); err != nil || s.requests != 1 {
		t.Errorf("fax pages: %v, %d requests", err, s.requests)
	} else {
		done()
	}
}

// What a status means: a fault of the document, which is final, or of the server, which may pass.
func TestJob_Statuses(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		want   error
		says   string
	}{
		{400, "LibreOffice failed\x00 to process a document\nwith secrets", raster.ErrBroken, "LibreOffice cannot open it"},
		{409, "Conflict", raster.ErrBroken, ""}, {413, "too large", raster.ErrTooLarge, "converter"},
		{401, "", ErrUnavailable, "user and password"}, {403, "no", ErrUnavailable, "status 403"}, {404, "Not Found", ErrUnavailable, "not set up"},
		{415, "", ErrUnavailable, "status 415"}, {302, "", ErrUnavailable, "status 302"}, {429, "queue full", ErrUnavailable, "busy"},
		{500, "", ErrUnavailable, "status 500"}, {503, "Service Unavailable", ErrUnavailable, "Service Unavailable"}, {504, "", ErrUnavailable, "status 504"},
		{200, "<html>It works!</html>", ErrUnavailable, "is it Gotenberg?"}, {200, "", ErrUnavailable, "no PDF"}, {204, "", ErrUnavailable, "status 204"},
	} {
		s := newServer(t)
		s.status, s.answer = c.status, c.answer
		var told error
		conv := s.converter(t, func(o *Options) { o.Tell = func(err error) { told = err } })
		_, done, err := conv.Job(context.Background(), raster.Job{Inputs: []raster.Input{file(t, "a.rtf", rtf)}}, t.TempDir())
		done()
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%d: %v", c.status, err)
		}
		var part *raster.PartError
		if errors.As(err, &part) == (c.want == ErrUnavailable) || part != nil && part.Name != "a.rtf" {
			t.Errorf("%d: %+v", c.status, part)
		}
		if (told != nil) != (c.want == ErrUnavailable) {
			t.Errorf("%d: told %v", c.status, told)
		}
		if strings.Contains(fmt.Sprint(err, told), "\r") {
			t.Errorf("%d: control characters", c.status)
		}
	}
}

// A server that is not there, or hangs, or breaks off is unavailable, and is left in peace for a while; its password is nowhere.
func TestJob_Unavailable(t *testing.T) {
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	defer hang.Close()
	defer close(release)
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "%PDF-1.7")
	}))
	defer half.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct{ url, says string }{
		"gone": {gone.URL, "does not answer"}, "hangs": {hang.URL, "too long"}, "breaks off": {half.URL, "broke off"},
	} {
		conv, err := New(Options{URL: strings.Replace(c.url, "http://", "http://me:geheim@", 1), Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		job := raster.Job{Inputs: []raster.Input{file(t, "a.rtf", rtf)}}
		for range 2 {
			_, done, err := conv.Job(context.Background(), job, t.TempDir())
			done()
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if conv.fails != 1 {
			t.Errorf("%s: tried %d times at once", name, conv.fails)
		}
		conv.rests = time.Time{}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, done, err := conv.Job(ctx, job, t.TempDir()); !errors.Is(err, context.Canceled) || conv.fails != 1 {
			t.Errorf("%s, canceled: %v", name, err)
			done()
		}
	}
}

// A Word document is left to our own reader unless it is asked for, and when the server cannot be used.
func TestJob_DOCX(t *testing.T) {
	docx := "PK\x03\x04" + strings.Repeat("\x00", 26) + "word/document.xml"
	s := newServer(t)
	job := raster.Job{Inputs: []raster.Input{file(t, "a.docx", docx)}}
	for _, c := range []struct {
		docx     bool
		status   int
		requests int
		pdf      bool
	}{{false, 200, 0, false}, {true, 503, 1, false}, {true, 200, 2, true}} {
		s.status = c.status
		got, done, err := s.converter(t, func(o *Options) { o.DOCX = c.docx }).Job(context.Background(), job, t.TempDir())
		if err != nil || s.requests != c.requests || (got.Inputs[0].MIME == "application/pdf") != c.pdf {
			t.Errorf("%+v: %d requests, %+v, %v", c, s.requests, got.Inputs[0], err)
		}
		done()
	}
}

func TestParseURL(t *testing.T) {
	for _, good := range []string{"http://gotenberg:3000", "https://u:p@host/base/", "http://[::1]:3000"} {
		if _, err := ParseURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "gotenberg:3000", "http://", "http://:3000", "ftp://host", "http://host/?a=b", "http://host/#x", "http://u:geheim@host:port", "//host"} {
		if _, err := ParseURL(bad); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", bad, err)
		}
		if _, err := New(Options{URL: bad}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// What is over the limit is not kept.
func TestKeep_Bounded(t *testing.T) {
	c := newServer(t).converter(t, nil)
	c.limit = 1 << 20
	dir := t.TempDir()
	if _, err := c.keep(io.MultiReader(strings.NewReader("%PDF-"), &zeros{1 << 20}), dir); !errors.Is(err, raster.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if _, err := c.keep(bytes.NewReader([]byte("%PDF-")), filepath.Join(dir, "none")); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("no folder: %v", err)
	}
}

type zeros struct{ n int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.n)
	clear(p[:n])
	z.n -= n
	return n, nil
}
