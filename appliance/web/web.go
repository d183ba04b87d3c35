// Package web is the status page: lines with their live calls, the queue, the last received faxes as pictures. It works
// without JavaScript (the page reloads itself); with it the page is refreshed in place. It only shows; what changes the
// appliance goes through the local socket.
package web

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

//go:embed page.html style.css page.js
var files embed.FS

var pages = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"clock": clock, "seconds": seconds, "ago": ago, "took": took, "percent": percent, "count": count, "list": strings.Join,
}).ParseFS(files, "page.html"))

// thumbWidth is the width of a page's picture on the overview, in pixels; pageWidth that on a fax's own page.
const (
	thumbWidth = 420
	pageWidth  = 864
)

// lastFaxes and lastJobs bound the overview.
const (
	lastFaxes = 8
	lastJobs  = 20
)

// server renders pages from what a View shows.
type server struct {
	view control.View
	log  *slog.Logger
}

// Handler serves the status page of view.
func Handler(view control.View, log *slog.Logger) http.Handler {
	s := &server{view: view, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.overview)
	mux.HandleFunc("GET /faxes/{id}", s.fax)
	mux.HandleFunc("GET /faxes/{id}/pages/{n}", s.page)
	mux.HandleFunc("GET /faxes/{id}/file", s.file)
	mux.HandleFunc("GET /jobs/{id}", s.job)
	mux.HandleFunc("GET /calls/{id}", s.call)
	mux.HandleFunc("GET /mail", s.mails)
	mux.HandleFunc("GET /mail/{id}", s.mail)
	mux.HandleFunc("GET /lines/{name}", s.line)
	mux.HandleFunc("GET /status.json", s.status)
	mux.Handle("GET /style.css", http.FileServerFS(files))
	mux.Handle("GET /page.js", http.FileServerFS(files))
	return guard(mux)
}

// guard answers only to hosts named by address or localhost: a stranger's web page that points its own name at us
// (DNS rebinding) reads nothing. It also keeps browsers from running or framing anything foreign.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "localhost" {
			http.Error(w, "call this page by its address", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// model is what page.html shows; Kind picks the part.
type model struct {
	Kind       string // "overview", "fax", "job", "call", "line", "mails", "mail"
	Title      string
	Refresh    int // seconds until the page reloads itself, 0 never
	Status     control.Status
	Jobs       []control.Job
	Faxes      []control.Fax
	Mail       []control.Mail
	Item       control.Mail
	Job        control.Job
	Fax        control.Fax
	Call       control.CallRecord
	Line       control.Line
	Events     []control.Event
	ThumbWidth int
	PageWidth  int
}

func (s *server) overview(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	m := model{Kind: "overview", Title: "Tipring", Refresh: 2, ThumbWidth: thumbWidth}
	var err error
	if m.Status, err = s.view.Status(ctx); err == nil {
		if m.Jobs, err = s.view.Jobs(ctx, control.JobFilter{Limit: lastJobs}); err == nil {
			if m.Faxes, err = s.view.Faxes(ctx, lastFaxes); err == nil {
				m.Mail, err = s.view.Mail(ctx)
			}
		}
	}
	s.show(w, m, err)
}

func (s *server) fax(w http.ResponseWriter, r *http.Request) {
	m := model{Kind: "fax", PageWidth: pageWidth}
	id, err := pathID(r)
	if err == nil {
		m.Fax, err = s.view.Fax(r.Context(), id)
		m.Title = fmt.Sprintf("Received fax %s", id)
	}
	s.show(w, m, err)
}

func (s *server) job(w http.ResponseWriter, r *http.Request) {
	m := model{Kind: "job"}
	id, err := pathID(r)
	if err == nil {
		m.Job, err = s.view.Job(r.Context(), id)
		m.Title = fmt.Sprintf("Fax job %s", id)
		if !m.Job.State.Final() {
			m.Refresh = 2
		}
	}
	s.show(w, m, err)
}

func (s *server) call(w http.ResponseWriter, r *http.Request) {
	m := model{Kind: "call"}
	id, err := pathID(r)
	if err == nil {
		m.Call, err = s.view.CallRecord(r.Context(), id, false)
		m.Title = fmt.Sprintf("Call %s", id)
	}
	s.show(w, m, err)
}

func (s *server) line(w http.ResponseWriter, r *http.Request) {
	m := model{Kind: "line", Title: "Line " + r.PathValue("name"), Refresh: 2}
	status, err := s.view.Status(r.Context())
	if err == nil {
		err = control.ErrNotFound
		for _, l := range status.Lines {
			if l.Name == r.PathValue("name") {
				m.Line = l
				m.Events, err = s.view.Transcript(r.Context(), l.Name)
			}
		}
	}
	s.show(w, m, err)
}

func (s *server) page(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	n, err2 := pathNumber(r, "n")
	width, _ := strconv.Atoi(r.FormValue("width")) // anything odd is full size
	if err = errors.Join(err, err2); err != nil {
		s.fail(w, err)
		return
	}
	width = min(max(width, 0), 4096)
	s.stream(w, "image/png", func(ctx context.Context) (io.ReadCloser, error) {
		return s.view.OpenPage(ctx, id, int(min(n, 1<<30)), width)
	}, r)
}

func (s *server) file(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	as, media := control.PDF, "application/pdf"
	if r.FormValue("as") == string(control.TIFF) {
		as, media = control.TIFF, "image/tiff"
	}
	w.Header().Set("Content-Disposition", fmt.Sprintf(`inline; filename="fax-%s.%s"`, id, as))
	s.stream(w, media, func(ctx context.Context) (io.ReadCloser, error) { return s.view.OpenFax(ctx, id, as) }, r)
}

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.view.Status(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(st) // a reader that left is no fault of ours
}

func (s *server) stream(w http.ResponseWriter, media string, open func(context.Context) (io.ReadCloser, error), r *http.Request) {
	f, err := open(r.Context())
	if err != nil {
		w.Header().Del("Content-Disposition")
		s.fail(w, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", media)
	if _, err := io.Copy(w, f); err != nil {
		panic(http.ErrAbortHandler) // a broken transfer, not a short file
	}
}

func (s *server) show(w http.ResponseWriter, m model, err error) {
	var b bytes.Buffer
	if err == nil {
		err = pages.Execute(&b, m)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func (s *server) fail(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, control.ErrNotFound):
		http.Error(w, "There is nothing by this name.", http.StatusNotFound)
	case errors.Is(err, control.ErrInvalid):
		http.Error(w, "This address makes no sense.", http.StatusBadRequest)
	case errors.Is(err, context.Canceled):
	default:
		s.log.Error("status page", "err", err)
		http.Error(w, "The appliance cannot show this now; its log says why.", http.StatusInternalServerError)
	}
}

// pathID returns the ID in the path; one that cannot be ours is not found by the view.
func pathID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if id == "" || len(id) > 32 || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		return "", fmt.Errorf("%w: %q is no ID", control.ErrInvalid, id)
	}
	return id, nil
}

func pathNumber(r *http.Request, key string) (uint64, error) {
	n, err := strconv.ParseUint(r.PathValue(key), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is no number", control.ErrInvalid, r.PathValue(key))
	}
	return n, nil
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func seconds(x float64) string { return fmt.Sprintf("%.3f", x) }

// ago says how long before now t was, coarsely.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in " + coarse(-d)
	case d < 2*time.Second:
		return "now"
	}
	return coarse(d) + " ago"
}

func took(from, to time.Time) string { return coarse(to.Sub(from)) }

func coarse(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// percent is how much of a job's pages is confirmed, 0 to 100.
func percent(done, all int) int {
	if all <= 0 {
		return 0
	}
	return min(100*done/all, 100)
}

// count gives 1..n for a range loop over page numbers, bounded for a page that stays readable.
func count(n int) []int {
	list := make([]int, 0, min(max(n, 0), 200))
	for i := 1; i <= cap(list); i++ {
		list = append(list, i)
	}
	return list
}
