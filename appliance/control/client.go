package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Client speaks to a running appliance over its socket. It implements [Appliance].
type Client struct {
	http *http.Client
	base string
}

var _ Appliance = (*Client)(nil)

// Dial connects to the appliance that runs in dataDir. ErrNotRunning if none does.
func Dial(dataDir string) (*Client, error) {
	path := filepath.Join(dataDir, SocketName)
	c, err := net.DialTimeout("unix", path, 5*time.Second)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w (%s)", ErrNotRunning, path)
	case err != nil:
		return nil, fmt.Errorf("control: %w", err)
	}
	c.Close()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConns: 2}}, base: "http://tipring"}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// maxAnswer bounds a JSON answer, in octets.
const maxAnswer = 16 << 20

func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any) (*http.Response, error) {
	var r io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
		r = bytes.NewReader(b)
	}
	u := c.base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, r)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, readFailure(resp)
	}
	return resp, nil
}

// remoteError is a failure that the appliance told of; errors.Is finds its sentinel.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

func readFailure(resp *http.Response) error {
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&f); err != nil || f.Error == "" {
		return fmt.Errorf("control: answer %s", resp.Status)
	}
	e := &remoteError{text: f.Error}
	for _, k := range kinds {
		if k.kind == f.Kind {
			e.kind = k.err
		}
	}
	return e
}

func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (T, error) {
	var out T
	resp, err := c.send(ctx, method, path, query, in)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return out, fmt.Errorf("control: answer to %s %s: %w", method, path, err)
	}
	return out, nil
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values) error {
	_, err := call[any](ctx, c, method, path, query, nil)
	return err
}

func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func item(folder string, id string) string { return "/" + folder + "/" + url.PathEscape(id) }

// Status implements [View].
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/status", nil, nil)
}

// Jobs implements [View].
func (c *Client) Jobs(ctx context.Context, f JobFilter) ([]Job, error) {
	q := url.Values{"active": {strconv.FormatBool(f.Active)}, "limit": {strconv.Itoa(f.Limit)}}
	return call[[]Job](ctx, c, http.MethodGet, "/jobs", q, nil)
}

// Job implements [View].
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	return call[Job](ctx, c, http.MethodGet, item("jobs", id), nil, nil)
}

// Faxes implements [View].
func (c *Client) Faxes(ctx context.Context, limit int) ([]Fax, error) {
	return call[[]Fax](ctx, c, http.MethodGet, "/faxes", url.Values{"limit": {strconv.Itoa(limit)}}, nil)
}

// Fax implements [View].
func (c *Client) Fax(ctx context.Context, id string) (Fax, error) {
	return call[Fax](ctx, c, http.MethodGet, item("faxes", id), nil, nil)
}

// Mail implements [View].
func (c *Client) Mail(ctx context.Context) ([]Mail, error) {
	return call[[]Mail](ctx, c, http.MethodGet, "/mail", nil, nil)
}

// MailItem implements [View].
func (c *Client) MailItem(ctx context.Context, id string) (Mail, error) {
	return call[Mail](ctx, c, http.MethodGet, item("mail", id), nil, nil)
}

// SentMail implements [View].
func (c *Client) SentMail(ctx context.Context, limit int) ([]Mail, error) {
	return call[[]Mail](ctx, c, http.MethodGet, "/mail/all", url.Values{"limit": {strconv.Itoa(limit)}}, nil)
}

// OpenFax implements [View].
func (c *Client) OpenFax(ctx context.Context, id string, as FileType) (io.ReadCloser, error) {
	return c.open(ctx, item("faxes", id)+"/file", url.Values{"as": {string(as)}})
}

// OpenPage implements [View].
func (c *Client) OpenPage(ctx context.Context, id string, n, width int) (io.ReadCloser, error) {
	return c.open(ctx, item("faxes", id)+"/pages/"+strconv.Itoa(n), url.Values{"width": {strconv.Itoa(width)}})
}

// Transcript implements [View].
func (c *Client) Transcript(ctx context.Context, line string) ([]Event, error) {
	return call[[]Event](ctx, c, http.MethodGet, "/transcript", url.Values{"line": {line}}, nil)
}

// Submit implements [Control].
func (c *Client) Submit(ctx context.Context, s Submission) (Job, error) {
	return call[Job](ctx, c, http.MethodPost, "/jobs", nil, s)
}

// CancelJob implements [Control].
func (c *Client) CancelJob(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, item("jobs", id)+"/cancel", nil)
}

// RetryJob implements [Control].
func (c *Client) RetryJob(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, item("jobs", id)+"/retry", nil)
}

// DeleteFax implements [Control].
func (c *Client) DeleteFax(ctx context.Context, id string, force bool) error {
	return c.do(ctx, http.MethodDelete, item("faxes", id), url.Values{"force": {strconv.FormatBool(force)}})
}

// GiveUpMail implements [Control].
func (c *Client) GiveUpMail(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, item("mail", id)+"/giveup", nil)
}

// RetryMail implements [Control].
func (c *Client) RetryMail(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/mail/retry", nil)
}

// Routes implements [Control].
func (c *Client) Routes(ctx context.Context) ([]Route, error) {
	return call[[]Route](ctx, c, http.MethodGet, "/routes", nil, nil)
}

// AddRoute implements [Control].
func (c *Client) AddRoute(ctx context.Context, r Route) (Route, error) {
	return call[Route](ctx, c, http.MethodPost, "/routes", nil, r)
}

// RemoveRoute implements [Control].
func (c *Client) RemoveRoute(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, item("routes", id), nil)
}

// TestRule implements [Control].
func (c *Client) TestRule(ctx context.Context, number string) (RuleResult, error) {
	return call[RuleResult](ctx, c, http.MethodGet, "/rule", url.Values{"number": {number}}, nil)
}

// TestRoute implements [Control].
func (c *Client) TestRoute(ctx context.Context, dialed, caller string) (RouteResult, error) {
	return call[RouteResult](ctx, c, http.MethodGet, "/route", url.Values{"dialed": {dialed}, "caller": {caller}}, nil)
}

// ClearAlarm implements [Control].
func (c *Client) ClearAlarm(ctx context.Context, code string) error {
	return c.do(ctx, http.MethodDelete, "/alarms", url.Values{"code": {code}})
}
