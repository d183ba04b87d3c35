// Package gotenberg has Office documents turned into PDF by a Gotenberg server of the office, for those who have one: what comes back goes
// the way of any other PDF. The documents stay in files; nothing of them is kept here.
package gotenberg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/imaging/raster"
)

// ErrUnavailable is returned when the server cannot be reached, is busy or broken, or is not set up as it should be: later it may convert
// the document. Its text says which.
var ErrUnavailable = errors.New("the converter for Office documents cannot be used at the moment")

// Options say how to use the server.
type Options struct {
	URL     string        // of the server, http or https; may hold a user and a password
	Timeout time.Duration // for one document, from connecting to the last octet; 0: 2 min
	DOCX    bool          // Word documents (DOCX) too; else our own reader draws them
	// Tell hears after each use whether the server could be used: nil or an ErrUnavailable. It may be nil.
	Tell func(error)
}

// Converter is one server. Its methods may be called concurrently.
type Converter struct {
	o        Options
	endpoint string // without user and password
	shown    string // scheme and host, for logs and alarms
	user     *url.Userinfo
	client   *http.Client
	limit    int64 // octets of an answer

	mu    sync.Mutex
	fails int
	rests time.Time // until then nothing is tried
	why   error
}

const (
	maxPDF      = 128 << 20 // octets of an answer
	maxComplain = 500       // octets that are kept of an answer that is none
	connectTime = 10 * time.Second
)

// ParseURL checks the address of a server. The error says what to write instead; it never holds a password.
func ParseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("no address: use http://host:3000")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("use http:// or https://")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("use an address without ? and #")
	}
	return u, nil
}

// New makes the converter; nothing is connected to yet.
func New(o Options) (*Converter, error) {
	u, err := ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("gotenberg: %w", err)
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	c := &Converter{o: o, user: u.User, shown: u.Scheme + "://" + u.Host, limit: maxPDF}
	u.User = nil
	c.endpoint = u.JoinPath("forms", "libreoffice", "convert").String()
	c.client = &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: connectTime}).DialContext, TLSHandshakeTimeout: connectTime, ForceAttemptHTTP2: true,
			MaxIdleConns: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // documents go where it was said, nowhere else
	}
	return c, nil
}

// Job returns job with a PDF in place of each Office document, in files without a name in the folder dir, which done closes. Errors:
// ErrUnavailable, a *raster.PartError (this document cannot be converted), or a fault of ours. A DOCX is left to our own reader when the
// server cannot be used.
func (c *Converter) Job(ctx context.Context, job raster.Job, dir string) (converted raster.Job, done func(), err error) {
	var made []*os.File
	done = func() {
		for _, f := range made {
			f.Close()
		}
	}
	if job.Options.FaxPages { // nothing else is wanted
		return job, done, nil
	}
	converted = job
	converted.Inputs = append([]raster.Input(nil), job.Inputs...)
	for i, in := range job.Inputs {
		doc, name, ext, ok := c.wants(in)
		if !ok {
			continue
		}
		out, err := c.pdf(ctx, doc, ext, dir)
		var cannot *raster.Failure
		switch {
		case err == nil:
			made = append(made, out)
			converted.Inputs[i] = raster.Input{File: out, Name: in.Name, MIME: "application/pdf"}
		case errors.Is(err, ErrUnavailable) && name == raster.TypeDOCX.String():
		case errors.As(err, &cannot):
			return converted, done, &raster.PartError{Input: i, Name: in.Name, Err: err}
		default:
			return converted, done, err
		}
	}
	return converted, done, nil
}

// wants tells whether an input is for the server.
func (c *Converter) wants(in raster.Input) (doc raster.Document, name, ext string, ok bool) {
	if in.Cover != nil || in.File == nil {
		return doc, "", "", false
	}
	info, err := in.File.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return doc, "", "", false // the renderer will say so
	}
	doc = raster.Document{R: in.File, Size: info.Size(), Name: in.Name, MIME: in.MIME}
	name, ext, ok = raster.Office(doc)
	return doc, name, ext, ok && (c.o.DOCX || name != raster.TypeDOCX.String())
}

// pdf has one document converted.
func (c *Converter) pdf(ctx context.Context, doc raster.Document, ext, dir string) (*os.File, error) {
	if err := c.resting(); err != nil {
		return nil, err
	}
	ask, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	out, err := c.post(ask, doc, ext, dir)
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	c.settle(err)
	return out, err
}

// resting returns why nothing is tried at the moment: all documents of a morning must not wait for a dead server one after another.
func (c *Converter) resting() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.rests) {
		return c.why
	}
	return nil
}

// settle draws the lesson of a try.
func (c *Converter) settle(err error) {
	away := errors.Is(err, ErrUnavailable)
	c.mu.Lock()
	if away {
		c.fails++
		c.why, c.rests = err, time.Now().Add(min(5*time.Second<<min(c.fails, 10), 2*time.Minute))
	} else {
		c.fails, c.rests = 0, time.Time{}
	}
	c.mu.Unlock()
	if c.o.Tell == nil {
		return
	}
	if !away {
		err = nil
	}
	c.o.Tell(err)
}

// post sends the document (a form with one file, named by its kind only) and keeps the answer.
func (c *Converter) post(ctx context.Context, doc raster.Document, ext, dir string) (*os.File, error) {
	const boundary = "tipring-5f1c0b7a9d3e4826" // no Office format is text that could hold it by chance
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"files\"; filename=\"document" + ext + "\"\r\nContent-Type: application/octet-stream\r\n\r\n"
	tail := "\r\n--" + boundary + "--\r\n"
	body := io.MultiReader(strings.NewReader(head), io.NewSectionReader(doc.R, 0, doc.Size), strings.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, io.NopCloser(body))
	if err != nil {
		return nil, fmt.Errorf("gotenberg: %w", err)
	}
	req.ContentLength = int64(len(head)) + doc.Size + int64(len(tail))
	req.Header.Set("Content-Type", mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": boundary}))
	if c.user != nil {
		password, _ := c.user.Password()
		req.SetBasicAuth(c.user.Username(), password)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, c.unavailable("does not answer: " + cause(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, c.refused(resp)
	}
	return c.keep(resp.Body, dir)
}

// cause is what went wrong, without the address.
func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "it took too long"
		}
		err = u.Err
	}
	return err.Error()
}

func (c *Converter) unavailable(what string) error {
	return fmt.Errorf("%w: %s %s", ErrUnavailable, c.shown, what)
}

// keep writes an answer into a file without a name.
func (c *Converter) keep(body io.Reader, dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".office-*")
	if err != nil {
		return nil, fmt.Errorf("gotenberg: %w", err)
	}
	fail := func(err error) (*os.File, error) {
		f.Close()
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return fail(fmt.Errorf("gotenberg: %w", err))
	}
	from := &reading{r: io.LimitReader(body, c.limit+1)}
	n, err := io.Copy(f, from)
	switch {
	case from.err != nil:
		return fail(c.unavailable("broke off its answer: " + cause(from.err)))
	case err != nil:
		return fail(fmt.Errorf("gotenberg: keep the PDF: %w", err))
	case n > c.limit:
		return fail(&raster.Failure{Err: raster.ErrTooLarge, What: "as PDF"})
	}
	var magic [5]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil || string(magic[:]) != "%PDF-" {
		return fail(c.unavailable("gave an answer that is no PDF: is it Gotenberg?"))
	}
	return f, nil
}

// reading tells errors of the network from those of the disk.
type reading struct {
	r   io.Reader
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// refused says what a status means (gotenberg.dev, "Errors").
func (c *Converter) refused(resp *http.Response) error {
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplain)) // what there is
	words := strings.Join(strings.Fields(strings.Map(printable, strings.ToValidUTF8(string(said), "?"))), " ")
	switch s := resp.StatusCode; {
	case s == http.StatusRequestEntityTooLarge:
		return &raster.Failure{Err: raster.ErrTooLarge, What: "for the converter of Office documents"}
	case s == http.StatusBadRequest, s == http.StatusConflict, s == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %s answered %d: %s", &raster.Failure{Err: raster.ErrBroken, What: "LibreOffice cannot open it"}, c.shown, s, words)
	case s == http.StatusUnauthorized:
		return c.unavailable("wants a user and password (status 401), in its address: http://user:password@host:3000")
	case s == http.StatusTooManyRequests, s >= 500:
		return c.unavailable(fmt.Sprintf("is busy or broken (status %d): %s", s, words))
	default:
		return c.unavailable(fmt.Sprintf("is not set up for this (status %d): %s", s, words))
	}
}

func printable(r rune) rune {
	if r < 0x20 || r >= 0x7f && r < 0xa0 {
		return ' '
	}
	return r
}
