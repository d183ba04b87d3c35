package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	graphRights = "Grant the application User.Read.All and GroupMember.Read.All (application permissions) for Microsoft Graph, with an administrator's consent."

	maxGraphBody  = 8 << 20 // octets of one answer
	maxGraphPages = 50
	maxGraphTries = 4
	firstPause    = 500 * time.Millisecond // doubles
)

// graphPage is one answer with a list ("Paging Microsoft Graph data in your app").
type graphPage struct {
	Value *[]graphObject `json:"value"`
	Next  string         `json:"@odata.nextLink"`
}

// list reads a list to its end.
func (g *Graph) list(ctx context.Context, address string, each func(graphObject) error) error {
	for range maxGraphPages {
		var page graphPage
		if err := g.get(ctx, address, &page); err != nil {
			return err
		}
		if page.Value == nil { // some other service answers: that is not an empty list
			return &Failure{Source: g.c.Name, Err: errors.New("the answer holds no list")}
		}
		for _, o := range *page.Value {
			if err := each(o); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		next, err := url.Parse(page.Next)
		if err != nil || next.Scheme != g.base.Scheme || next.Host != g.base.Host {
			return &Failure{Source: g.c.Name, Err: errors.New("the next page is on another server, which is not given our token")}
		}
		address = page.Next
	}
	return &Failure{Source: g.c.Name, Err: fmt.Errorf("a list of more than %d pages", maxGraphPages)}
}

// graphError is an answer that is no success.
type graphError struct {
	status int
	code   string // of the body's error object, like "Authorization_RequestDenied"
	after  time.Duration
}

func (e *graphError) Error() string {
	if e.code == "" {
		return fmt.Sprintf("HTTP %d", e.status)
	}
	return fmt.Sprintf("HTTP %d %s", e.status, e.code)
}

// passes tells of an error that may be gone the next time ("Microsoft Graph throttling guidance", "error responses").
func (e *graphError) passes() bool {
	return e.status == http.StatusTooManyRequests || e.status == http.StatusRequestTimeout || e.status >= 500 && e.status != http.StatusNotImplemented
}

// get reads one answer; what passes is tried again for as long as patience lasts.
func (g *Graph) get(ctx context.Context, address string, into *graphPage) error {
	if wait := g.throttled(); wait > 0 {
		return &Failure{Source: g.c.Name, RetryAfter: wait, Err: errors.New("the service asked us to wait")}
	}
	ctx, cancel := context.WithTimeout(ctx, g.c.Patience)
	defer cancel()
	rejected, pause := false, firstPause
	var last error
	for range maxGraphTries {
		token, err := g.c.Tokens.Token(ctx)
		if err != nil {
			return g.noToken(err)
		}
		*into = graphPage{}
		last = g.once(ctx, address, token, into)
		var answer *graphError
		switch {
		case last == nil:
			return nil
		case errors.As(last, &answer) && answer.status == http.StatusUnauthorized && !rejected:
			rejected = true // expired or revoked: a new one, once
			g.c.Tokens.Reject(token)
			continue
		case errors.As(last, &answer) && !answer.passes():
			return g.refused(answer)
		}
		wait := pause
		pause *= 2
		if answer != nil && answer.after > 0 {
			wait = answer.after
		}
		if until, _ := ctx.Deadline(); time.Until(until) <= wait {
			break
		}
		if err := sleep(ctx, wait); err != nil {
			break
		}
	}
	return g.gaveUp(last)
}

// noToken tells what the token endpoint knows of the cause. An endpoint that is only out of reach has no remedy here.
func (g *Graph) noToken(err error) error {
	f := &Failure{Source: g.c.Name, Err: fmt.Errorf("token: %w", err)}
	var refused interface {
		error
		Remedy() string
		Temporary() bool
	}
	if errors.As(err, &refused) && !refused.Temporary() {
		if f.Remedy = refused.Remedy(); f.Remedy == "" {
			f.Remedy = "No token could be had: check tenant, application and its secret or certificate."
		}
	}
	return f
}

// gaveUp says that the service could not be asked, and leaves it alone for as long as it wants.
func (g *Graph) gaveUp(last error) error {
	f := &Failure{Source: g.c.Name, Err: last}
	var answer *graphError
	if errors.As(last, &answer) {
		f.RetryAfter = answer.after
	}
	if f.RetryAfter > 0 {
		g.mu.Lock()
		g.until = time.Now().Add(f.RetryAfter)
		g.mu.Unlock()
	}
	return f
}

// throttled returns how long the service is not to be asked.
func (g *Graph) throttled() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(time.Until(g.until), 0)
}

// refused makes the error of an answer that will be the same the next time. None of them says that an address does not
// exist: that is an empty list.
func (g *Graph) refused(e *graphError) error {
	f := &Failure{Source: g.c.Name, Err: e}
	switch e.status {
	case http.StatusUnauthorized:
		f.Remedy = "Microsoft Graph does not take our token: check the application, its tenant, and that the token is for https://graph.microsoft.com."
	case http.StatusForbidden:
		f.Remedy = graphRights
	}
	return f
}

// once sends one request.
func (g *Graph) once(ctx context.Context, address, token string, into *graphPage) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	res, err := g.c.Client.Do(req)
	if err != nil {
		// The error's text has the address asked for, which is a person's.
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err
		}
		return fmt.Errorf("request: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxGraphBody+1))
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return &graphError{status: res.StatusCode, code: errorCode(body), after: retryAfter(res.Header.Get("Retry-After"))}
	}
	if len(body) > maxGraphBody {
		return fmt.Errorf("answer of more than %d MiB", maxGraphBody>>20)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// errorCode reads the code of an error's body; its message may quote the request and is left out.
func errorCode(body []byte) string {
	var e struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil || len(e.Error.Code) > 80 || strings.Trim(strings.ToLower(e.Error.Code), "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
		return ""
	}
	return e.Error.Code
}

// retryAfter reads the header's seconds or date (RFC 9110 10.2.3), at most an hour.
func retryAfter(v string) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(v); err == nil {
		d = time.Duration(min(max(n, 0), 3600)) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), time.Hour)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
