package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/directorytest"
	"github.com/tipring/tipring/smtpstack/token"
)

func contosoTenant() *directorytest.Tenant {
	g := directorytest.NewTenant()
	g.Add("user", "u1", "Ann Smith", "ann@contoso.test", "SMTP:Ann.Smith@contoso.test", "smtp:a.smith@contoso.test", "x500:/o=contoso")
	g.Add("user", "u2", "Bob O'Neil", "bob.o'neil@contoso.test", "SMTP:bob.o'neil@contoso.test")
	g.Add("user", "u3", "No Mail", "")
	g.Add("user", "u4", "Twin", "twin1@contoso.test", "SMTP:twin1@contoso.test", "smtp:twins@contoso.test")
	g.Add("user", "u5", "Twin", "twin2@contoso.test", "SMTP:twin2@contoso.test", "smtp:twins@contoso.test")
	g.Add("user", "u6", "Squatter", "a.smith@contoso.test", "SMTP:squatter@contoso.test")
	g.Add("group", "g1", "Sales", "sales@contoso.test", "SMTP:sales@contoso.test", "smtp:verkauf@contoso.test")
	g.Add("group", "g2", "West", "")
	g.Add("group", "g3", "Large", "large@contoso.test", "SMTP:large@contoso.test")
	g.Add("orgContact", "c1", "Lawyer", "lawyer@law.test", "SMTP:lawyer@law.test")
	g.Add("device", "d1", "Laptop", "")
	g.Add("directoryRole", "r1", "Helpdesk", "")
	g.Members["g1"] = []string{"u1", "g2", "d1", "u3"}
	g.Members["g2"] = []string{"u2", "c1", "g1"} // a circle
	g.Members["r1"] = []string{"u1"}
	for i := range 350 {
		id := fmt.Sprintf("m%03d", i)
		g.Add("user", id, id, id+"@contoso.test", "SMTP:"+id+"@contoso.test")
		g.Members["g3"] = append(g.Members["g3"], id)
	}
	return g
}

func graphSource(t *testing.T, g *directorytest.Tenant) *Graph {
	t.Helper()
	s, err := NewGraph(GraphConfig{Base: "https://graph.test/v1.0/", Tokens: g, Client: &http.Client{Transport: g}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGraph_Lookup(t *testing.T) {
	g := contosoTenant()
	s := graphSource(t, g)
	for address, want := range map[string][]string{
		"ann@contoso.test":        {"ann.smith@contoso.test"},
		"bob.o'neil@contoso.test": {"bob.o'neil@contoso.test"},
		"verkauf@contoso.test":    {"ann.smith@contoso.test", "bob.o'neil@contoso.test", "lawyer@law.test"},
	} {
		got, err := s.Lookup(t.Context(), address)
		slices.Sort(got.Mailboxes)
		if err != nil || !slices.Equal(got.Mailboxes, want) || got.Group != (len(want) > 1) {
			t.Errorf("%s: %+v, %v, want %v", address, got, err, want)
		}
	}
	if got, err := s.Lookup(t.Context(), "large@contoso.test"); err != nil || len(got.Mailboxes) != 350 || got.Mailboxes[349] != "m349@contoso.test" {
		t.Errorf("a group of several pages: %d members, %v", len(got.Mailboxes), err)
	}
	for _, address := range []string{"nobody@contoso.test", "u3@contoso.onmicrosoft.test", "' or mail ne '@contoso.test", "x' or 'a' eq 'a@contoso.test"} {
		if got, err := s.Lookup(t.Context(), address); !errors.Is(err, ErrUnknown) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %+v, %v, want ErrUnknown", address, got, err)
		}
	}
	for _, address := range []string{"twins@contoso.test", "a.smith@contoso.test"} {
		var f *Failure
		if got, err := s.Lookup(t.Context(), address); !errors.As(err, &f) || f.Remedy == "" || errors.Is(err, ErrUnknown) {
			t.Errorf("%s, an address of two: %+v, %v", address, got, err)
		}
	}
}

func TestGraph_Member(t *testing.T) {
	s := graphSource(t, contosoTenant())
	m, err := s.Member(t.Context(), "u1@contoso.onmicrosoft.test")
	if err != nil || m.Address != "ann.smith@contoso.test" || m.Name != "Ann Smith" || !slices.Equal(m.Groups, []string{"Sales", "West", "sales@contoso.test"}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := s.Member(t.Context(), "u3@contoso.onmicrosoft.test"); err != nil || m.Address != "u3@contoso.onmicrosoft.test" || len(m.Groups) != 3 {
		t.Errorf("without a mailbox: %+v, %v", m, err)
	}
	if _, err := s.Member(t.Context(), "sales@contoso.test"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a group sends: %v", err)
	}
}

// TestGraph_Faults: what hinders an answer never makes an address unknown.
func TestGraph_Faults(t *testing.T) {
	tests := []struct {
		name     string
		spoil    func(*directorytest.Tenant)
		address  string
		ok       bool
		remedy   string
		requests int           // at most
		lasts    time.Duration // at least
	}{
		{name: "token revoked once", spoil: func(g *directorytest.Tenant) {
			g.Failing = func(n int) int { return map[bool]int{true: 401}[n == 1] }
		}, address: "ann@contoso.test", ok: true, requests: 2},
		{name: "token never good", spoil: func(g *directorytest.Tenant) { g.Failing = func(int) int { return 401 } }, address: "nobody@contoso.test", remedy: "does not take our token", requests: 2},
		{name: "no right to read users", spoil: func(g *directorytest.Tenant) { g.Rights["User.Read.All"] = false }, address: "nobody@contoso.test", remedy: "User.Read.All", requests: 1},
		{name: "no right to read groups", spoil: func(g *directorytest.Tenant) { g.Rights["GroupMember.Read.All"] = false }, address: "nobody@contoso.test", remedy: "GroupMember.Read.All", requests: 2},
		{name: "fails twice", spoil: func(g *directorytest.Tenant) {
			g.Failing = func(n int) int { return map[bool]int{true: 503}[n <= 2] }
		}, address: "ann@contoso.test", ok: true, requests: 3, lasts: 3 * firstPause},
		{name: "fails always", spoil: func(g *directorytest.Tenant) { g.Failing = func(int) int { return 500 } }, address: "nobody@contoso.test", requests: maxGraphTries, lasts: 3 * firstPause},
		{name: "bad request", spoil: func(g *directorytest.Tenant) { g.Failing = func(int) int { return 400 } }, address: "nobody@contoso.test", requests: 1},
		{name: "throttled for a while", spoil: func(g *directorytest.Tenant) { g.Budget, g.Window = 1, 4*time.Second }, address: "verkauf@contoso.test", ok: true, requests: 5, lasts: 8 * time.Second},
		{name: "throttled for long", spoil: func(g *directorytest.Tenant) { g.Budget, g.Window = 1, 5*time.Minute }, address: "verkauf@contoso.test", requests: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := contosoTenant()
				tt.spoil(g)
				began := time.Now()
				_, err := graphSource(t, g).Lookup(t.Context(), tt.address)
				var f *Failure
				switch {
				case tt.ok:
					if err != nil {
						t.Error(err)
					}
				case !errors.As(err, &f) || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown):
					t.Errorf("%v, want a *Failure", err)
				case (f.Remedy == "") != (tt.remedy == "") || !strings.Contains(f.Remedy, tt.remedy):
					t.Errorf("remedy %q, want %q", f.Remedy, tt.remedy)
				case strings.Contains(err.Error(), tt.address), strings.Contains(err.Error(), "token-1"), strings.Contains(err.Error(), "words for people"):
					t.Errorf("too much is told: %v", err)
				}
				if lasted := time.Since(began); g.Requests > tt.requests || lasted < tt.lasts || lasted > 15*time.Second {
					t.Errorf("%d requests in %v, want at most %d in %v", g.Requests, lasted, tt.requests, tt.lasts)
				}
			})
		})
	}
}

func TestGraph_LeavesAThrottlingServiceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := contosoTenant()
		s := graphSource(t, g)
		g.Budget, g.Window = 1, 5*time.Minute
		for range 10 {
			_, err := s.Lookup(t.Context(), "verkauf@contoso.test")
			var f *Failure
			if !errors.As(err, &f) || f.RetryAfter <= 0 || f.RetryAfter > 5*time.Minute {
				t.Fatalf("%v, %+v", err, f)
			}
		}
		if g.Requests != 2 {
			t.Errorf("%d requests to a service that asked us to wait", g.Requests)
		}
		g.Budget = 0
		time.Sleep(5 * time.Minute)
		if _, err := s.Lookup(t.Context(), "verkauf@contoso.test"); err != nil {
			t.Errorf("after the wait: %v", err)
		}
	})
}

// TestGraph_MembersWithoutProperties: the application may read the group but not the users in it.
func TestGraph_MembersWithoutProperties(t *testing.T) {
	g := contosoTenant()
	g.Failing = func(n int) int {
		g.Rights["User.Read.All"] = n == 1
		return 0
	}
	var f *Failure
	if got, err := graphSource(t, g).Lookup(t.Context(), "large@contoso.test"); !errors.As(err, &f) || !strings.Contains(f.Remedy, "User.Read.All") {
		t.Errorf("%+v, %v", got, err)
	}
}

// answers is a transport that says the same to everybody.
type answers struct {
	status int
	header http.Header
	body   string
	asked  []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked = append(a.asked, r.URL.Host)
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func TestGraph_HostileAnswers(t *testing.T) {
	endless := `{"value":[],"@odata.nextLink":"https://graph.test/v1.0/users?x"}`
	for name, a := range map[string]*answers{
		"no JSON":            {status: 200, body: "<html>sign in to the WLAN</html>"},
		"no list":            {status: 200, body: "{}"},
		"pages without end":  {status: 200, body: endless},
		"a page elsewhere":   {status: 200, body: strings.Replace(endless, "graph.test", "evil.test", 1)},
		"a page in clear":    {status: 200, body: strings.Replace(endless, "https", "http", 1)},
		"redirect":           {status: 302, header: http.Header{"Location": {"https://evil.test/"}}},
		"longer than memory": {status: 200, body: `{"value":[` + strings.Repeat(" ", maxGraphBody) + `]}`},
	} {
		s, err := NewGraph(GraphConfig{Base: "https://graph.test/v1.0", Tokens: directorytest.NewTenant(), Client: &http.Client{Transport: a}, Patience: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Lookup(t.Context(), "ann@contoso.test"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if slices.ContainsFunc(a.asked, func(h string) bool { return h != "graph.test" }) || len(a.asked) > maxGraphPages+1 {
			t.Errorf("%s: asked %v", name, a.asked)
		}
	}
}

func TestNewGraph_RefusesWhatCannotWork(t *testing.T) {
	for _, c := range []GraphConfig{{}, {Base: "http://graph.test/v1.0", Tokens: directorytest.NewTenant()}, {Base: "graph", Tokens: directorytest.NewTenant()}} {
		if _, err := NewGraph(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

type brokenTokens struct{ err error }

func (b brokenTokens) Token(context.Context) (string, error) { return "", b.err }
func (brokenTokens) Reject(string)                           {}

func TestGraph_NoToken(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		remedy string
	}{
		"refused":      {&token.Error{Code: "invalid_client", Number: "AADSTS7000222", Status: 401}, "secret has expired"},
		"out of reach": {errors.New("no route to host"), ""},
		"its fault":    {&token.Error{Code: "server_error", Status: 503}, ""},
	} {
		s, err := NewGraph(GraphConfig{Tokens: brokenTokens{c.err}})
		if err != nil {
			t.Fatal(err)
		}
		var f *Failure
		if _, err := s.Member(t.Context(), "ann@contoso.test"); !errors.As(err, &f) || !strings.Contains(f.Remedy, c.remedy) || (f.Remedy == "") != (c.remedy == "") {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for v, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-7": 0, "999999": time.Hour, "soon": 0,
			time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second, "Sun, 06 Nov 1994 08:49:37 GMT": 0} {
			if got := retryAfter(v); got != want {
				t.Errorf("%q: %v, want %v", v, got, want)
			}
		}
	})
}
