package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

// view is an appliance with one live call, one received fax and one failed job.
type view struct {
	control.View // what a page must not ask for is nil, and so is noticed
	now          time.Time
}

func (v view) Status(context.Context) (control.Status, error) {
	return control.Status{Hostname: "fax.example", Now: v.now, Started: v.now.Add(-time.Hour), Version: "test",
		Lines: []control.Line{
			{Name: "east", Number: "5550100", State: control.LineCalling, Call: &control.Call{
				Direction: "out", Number: "5550199", Phase: "sending", Page: 2, Pages: 3, Confirmed: 1, Rows: 612, Modulation: "v17", RateBPS: 14400, ECM: true,
				Transcript: []control.Event{{At: v.now, Layer: "frame", Dir: "<", Text: "MCF"}}}},
			{Name: "west", State: control.LineOpening, Error: "the modem does not answer"},
		},
		SignIns: []control.SignIn{{Connector: "submission", Mailbox: "fax@contoso.com", URL: "https://microsoft.com/devicelogin", Code: "AB12CD34E", Expires: v.now}},
		Alarms:  []control.Alarm{{Code: "line-lost/west", Text: "Line west has lost its modem.", Remedy: "Plug it in again.", Since: v.now}},
	}, nil
}

func (v view) Jobs(context.Context, control.JobFilter) ([]control.Job, error) {
	j, err := v.Job(context.Background(), "7")
	return []control.Job{j}, err
}

func (v view) Job(_ context.Context, id string) (control.Job, error) {
	if id != "7" {
		return control.Job{}, control.ErrNotFound
	}
	return control.Job{ID: "7", Number: "5550123", From: "anna@contoso.com", State: control.JobFailed, Pages: 2, Text: "<b>busy</b> five times",
		Attempts: []control.Attempt{{Start: v.now, Line: "east", Text: "busy", CallID: "5"}}}, nil
}

func (v view) Faxes(context.Context, int) ([]control.Fax, error) {
	f, err := v.Fax(context.Background(), "3")
	return []control.Fax{f}, err
}

func (v view) Fax(_ context.Context, id string) (control.Fax, error) {
	if id != "3" {
		return control.Fax{}, control.ErrNotFound
	}
	return control.Fax{ID: "3", Line: "east", RemoteID: "+1 555 0142", Pages: 2, At: v.now.Add(-time.Minute), To: []string{"desk@contoso.com"}}, nil
}

func (v view) Mail(ctx context.Context) ([]control.Mail, error) { return v.SentMail(ctx, 0) }

func (v view) SentMail(context.Context, int) ([]control.Mail, error) {
	m, err := v.MailItem(context.Background(), "9")
	return []control.Mail{m}, err
}

func (v view) MailItem(_ context.Context, id string) (control.Mail, error) {
	if id != "9" {
		return control.Mail{}, control.ErrNotFound
	}
	return control.Mail{ID: "9", Kind: "notice", To: []string{"anna@contoso.com"}, Subject: "Fax <b>sent</b>", Held: true, State: "held", Tries: 1,
		Attempts: []control.MailAttempt{{At: v.now, Outcome: "held", Reply: "550 5.7.68 Direct Send", Remedy: "Create a connector.", Transcript: []string{"> MAIL FROM:<fax@contoso.com>"}}}}, nil
}

func (v view) OpenPage(_ context.Context, id string, n, width int) (io.ReadCloser, error) {
	if id != "3" || n != 1 || width != 420 {
		return nil, control.ErrNotFound
	}
	return io.NopCloser(strings.NewReader("png")), nil
}

func (v view) Transcript(context.Context, string) ([]control.Event, error) {
	return []control.Event{{At: v.now, Layer: "at", Dir: ">", Text: "AT+FTH=3"}}, nil
}

func (v view) Calls(context.Context, int) ([]control.CallRecord, error) { return nil, nil }

func (v view) CallRecord(_ context.Context, id string, _ bool) (control.CallRecord, error) {
	if id != "5" {
		return control.CallRecord{}, control.ErrNotFound
	}
	return control.CallRecord{ID: id, Direction: "out", Number: "5550142", Start: v.now, Seconds: 26.4, Text: "ok", JobID: "7",
		Jobs:    []control.CallJob{{ID: "7", Text: "ok", Pages: 2}, {ID: "8", Text: "far end hung up", Pages: 1}},
		Signals: []control.Signal{{At: 1.5, Seconds: 2, Dir: ">", Kind: "frames", Text: "TSI <b>, DCS v17/14400"}},
		Parts:   []control.Part{{Name: "page data", Side: control.Ours, Seconds: 10.7, Least: 10.6, Clause: "octets x 8 / rate"}}}, nil
}

func get(t *testing.T, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if !strings.HasPrefix(target, "http") {
		r.Host = "127.0.0.1:8080"
	}
	Handler(view{now: time.Unix(1e9, 0)}, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	return w
}

func TestPages_SayWhatGoesOn(t *testing.T) {
	for _, c := range []struct {
		path   string
		status int
		words  []string
	}{
		{"/", 200, []string{"Sign in as fax@contoso.com", "https://microsoft.com/devicelogin", "AB12CD34E", "Call to 5550199", "page 2 of 3, 612 lines, v17 14400 bit/s, error correction", "MCF", "the modem does not answer",
			"Plug it in again.", "Fax 3 received", "60 s ago", "from &#43;1 555 0142", `src="/faxes/3/pages/1?width=420"`, "Not delivered yet",
			"5550123", "&lt;b&gt;busy&lt;/b&gt; five times", `http-equiv="refresh"`}},
		{"/faxes/3", 200, []string{"for desk@contoso.com", `src="/faxes/3/pages/2?width=864"`}},
		{"/jobs/7", 200, []string{"Fax job 7 to 5550123", "east", "busy", `href="/calls/5"`}},
		{"/calls/5", 200, []string{"to 5550142", "0 pages in 26.400 s", `href="/jobs/7">Job 7`, `<a href="/jobs/8">8</a><td>1<td>far end hung up`, "1.500    2.000 &gt; TSI &lt;b&gt;, DCS v17/14400", "<td>page data<td>10.700<td>10.600<td>octets x 8 / rate"}},
		{"/calls/6", 404, nil},
		{"/calls/X", 400, nil},
		{"/mail", 200, []string{`href="/mail/9"`, "Fax &lt;b&gt;sent&lt;/b&gt;", "held"}},
		{"/mail/9", 200, []string{"550 5.7.68 Direct Send", "Create a connector.", "&gt; MAIL FROM:&lt;fax@contoso.com&gt;"}},
		{"/mail/8", 404, nil},
		{"/lines/east", 200, []string{"AT&#43;FTH=3"}},
		{"/faxes/3/pages/1?width=420", 200, []string{"png"}},
		{"/status.json", 200, []string{`"hostname":"fax.example"`}},
		{"/style.css", 200, []string{"font"}},
		{"/faxes/4", 404, nil},
		{"/jobs/X", 400, nil},
		{"/lines/north", 404, nil},
		{"/faxes/3/pages/9", 404, nil},
		{"/nowhere", 404, nil},
		{"http://evil.example/", 421, nil},
		{"http://localhost:8080/", 200, nil},
		{"http://[::1]:8080/", 200, nil},
	} {
		w := get(t, c.path)
		if w.Code != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.path, w.Code, c.status, w.Body)
		}
		for _, words := range c.words {
			if !strings.Contains(w.Body.String(), words) {
				t.Errorf("%s does not say %q:\n%s", c.path, words, w.Body)
			}
		}
	}
}

func TestPages_MayNotRunForeignScripts(t *testing.T) {
	if csp := get(t, "/").Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
}
