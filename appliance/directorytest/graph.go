package directorytest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Tenant is a Microsoft 365 tenant behind Microsoft Graph, as far as the pages say how it behaves that are named
// at each place. It is its own http.RoundTripper, so that tests can run in virtual time.
type Tenant struct {
	mu       sync.Mutex
	objects  map[string]map[string]any // by id
	Members  map[string][]string       // of groups
	valid    string                    // the token that is good now
	Rights   map[string]bool
	pageSize int
	Budget   int // requests in each window; 0: no limit
	Window   time.Duration
	spent    int
	opened   time.Time
	Failing  func(n int) int // HTTP status of the n-th request instead of an answer; 0: none
	Requests int
}

// NewTenant is empty and grants the application what it needs.
func NewTenant() *Tenant {
	return &Tenant{objects: map[string]map[string]any{}, Members: map[string][]string{}, valid: "token-1",
		Rights: map[string]bool{"User.Read.All": true, "GroupMember.Read.All": true}, pageSize: 100}
}

// Add makes a user, group, orgContact, device or directoryRole; proxies are as in proxyAddresses.
func (g *Tenant) Add(kind, id, display, mail string, proxies ...string) {
	o := map[string]any{"@odata.type": "#microsoft.graph." + kind, "id": id, "displayName": display, "mail": nil, "proxyAddresses": proxies, "accountEnabled": true}
	if mail != "" {
		o["mail"] = mail
	}
	if kind == "user" {
		o["userPrincipalName"] = id + "@contoso.onmicrosoft.test"
	}
	g.objects[id] = o
}

// Token and Reject make the tenant its own source of tokens.
func (g *Tenant) Token(context.Context) (string, error) { return g.valid, nil }

// Reject implements directory.TokenSource.
func (g *Tenant) Reject(string) {}

// Change runs f while no request is served.
func (g *Tenant) Change(f func(*Tenant)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

// Expire ends the token that is good now, before its time.
func (g *Tenant) Expire() { g.valid += "x" }

// The application that may sign in, and where: any tenant's name will do.
const (
	Authority    = "https://login.test"
	Base         = "https://graph.test/v1.0"
	ClientID     = "11111111-2222-3333-4444-555555555555"
	ClientSecret = "the application's secret"
)

// token serves the token endpoint ("Microsoft identity platform and the OAuth 2.0 client credentials flow").
func (g *Tenant) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(code, number, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(map[bool]int{true: http.StatusUnauthorized, false: http.StatusBadRequest}[code == "invalid_client"])
		fmt.Fprintf(w, `{"error":%q,"error_description":"AADSTS%s: %s","error_codes":[%s]}`, code, number, text, number)
	}
	_ = r.ParseForm()
	client, secret := r.FormValue("client_id"), r.FormValue("client_secret")
	if user, password, ok := r.BasicAuth(); ok { // RFC 6749 2.3.1
		client, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	switch {
	case r.FormValue("grant_type") != "client_credentials":
		refuse("unsupported_grant_type", "70003", "The app requested an unsupported grant type.")
	case client != ClientID:
		refuse("unauthorized_client", "700016", "Application was not found in the directory.")
	case secret != ClientSecret:
		refuse("invalid_client", "7000215", "Invalid client secret provided.")
	case r.FormValue("scope") != "https://graph.test/.default":
		refuse("invalid_scope", "70011", "The provided value for scope is not valid.")
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3599,"access_token":%q}`, g.valid)
	}
}

// RoundTrip implements [http.RoundTripper].
func (g *Tenant) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ServeHTTP(w, r)
	return w.Result(), nil
}

// fail writes an error as "Microsoft Graph error responses and resource types" has it.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":"words for people","innerError":{"request-id":"1"}}}`, code)
}

// ServeHTTP implements [http.Handler].
func (g *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Host == "login.test" && strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		g.token(w, r)
		return
	}
	g.Requests++
	if r.URL.Host != "graph.test" || r.Header.Get("Authorization") != "Bearer "+g.valid {
		fail(w, http.StatusUnauthorized, "InvalidAuthenticationToken")
		return
	}
	if g.Failing != nil {
		if status := g.Failing(g.Requests); status != 0 {
			fail(w, status, "serviceNotAvailable")
			return
		}
	}
	if wait := g.throttle(); wait > 0 { // "Microsoft Graph throttling guidance"
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		fail(w, http.StatusTooManyRequests, "TooManyRequests")
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1.0/"), "/")
	switch {
	case len(path) == 1 && (path[0] == "users" || path[0] == "groups"):
		g.filtered(w, r, strings.TrimSuffix(path[0], "s"))
	case len(path) == 3 && path[0] == "groups" && path[2] == "transitiveMembers":
		g.related(w, r, path[1], func(id string) []string { return g.Members[id] })
	case len(path) == 3 && path[0] == "users" && path[2] == "transitiveMemberOf":
		g.related(w, r, path[1], func(id string) (of []string) {
			for group, members := range g.Members {
				if slices.Contains(members, id) {
					of = append(of, group)
				}
			}
			return of
		})
	default:
		fail(w, http.StatusBadRequest, "BadRequest")
	}
}

func (g *Tenant) throttle() time.Duration {
	if g.Budget == 0 {
		return 0
	}
	if time.Since(g.opened) >= g.Window {
		g.opened, g.spent = time.Now(), 0
	}
	if g.spent++; g.spent > g.Budget {
		return g.Window - time.Since(g.opened)
	}
	return 0
}

// clause is one comparison of a filter and what follows it; a quote inside a value is doubled ("Use query parameters").
var clause = regexp.MustCompile(`^(?:(mail|userPrincipalName) eq '((?:[^']|'')*)'|proxyAddresses/any\(p:p eq '((?:[^']|'')*)'\))( or |$)`)

// filtered serves "List users" and "List groups" with the operators that "user resource type" allows for each property.
func (g *Tenant) filtered(w http.ResponseWriter, r *http.Request, kind string) {
	if kind == "user" && !g.Rights["User.Read.All"] || kind == "group" && !g.Rights["GroupMember.Read.All"] {
		fail(w, http.StatusForbidden, "Authorization_RequestDenied")
		return
	}
	var wants []func(map[string]any) bool
	for rest := r.URL.Query().Get("$filter"); ; {
		m := clause.FindStringSubmatch(rest)
		if m == nil || kind == "group" && m[1] == "userPrincipalName" {
			fail(w, http.StatusBadRequest, "Request_UnsupportedQuery")
			return
		}
		want := strings.ReplaceAll(m[2]+m[3], "''", "'")
		wants = append(wants, func(o map[string]any) bool {
			if m[1] != "" {
				v, _ := o[m[1]].(string)
				return strings.EqualFold(v, want)
			}
			return slices.ContainsFunc(o["proxyAddresses"].([]string), func(p string) bool { return strings.EqualFold(p, want) })
		})
		if m[4] == "" {
			break
		}
		rest = rest[len(m[0]):]
	}
	var ids []string
	for id, o := range g.objects {
		if o["@odata.type"] == "#microsoft.graph."+kind && slices.ContainsFunc(wants, func(f func(map[string]any) bool) bool { return f(o) }) {
			ids = append(ids, id)
		}
	}
	g.list(w, r, ids, false)
}

// related serves "List group transitive members" and "List a user's transitive memberships".
func (g *Tenant) related(w http.ResponseWriter, r *http.Request, id string, next func(string) []string) {
	if g.objects[id] == nil {
		fail(w, http.StatusNotFound, "Request_ResourceNotFound")
		return
	}
	var all []string
	for level := []string{id}; len(level) > 0; {
		var more []string
		for _, id := range level {
			for _, m := range next(id) {
				if m != id && !slices.Contains(all, m) {
					all, more = append(all, m), append(more, m)
				}
			}
		}
		level = more
	}
	g.list(w, r, all, true)
}

// list serves one page ("Paging Microsoft Graph data in your app"). A member of a type that the application may not
// read comes with its type and id alone ("List group members").
func (g *Tenant) list(w http.ResponseWriter, r *http.Request, ids []string, mixed bool) {
	slices.Sort(ids)
	q := r.URL.Query()
	size := g.pageSize
	if top := q.Get("$top"); top != "" {
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 || n > 999 {
			fail(w, http.StatusBadRequest, "Request_UnsupportedQuery")
			return
		}
		size = min(size, n)
	}
	skip, _ := strconv.Atoi(q.Get("$skiptoken"))
	page := map[string]any{"@odata.context": "https://graph.test/v1.0/$metadata", "value": []any{}}
	for i := skip; i < len(ids) && i < skip+size; i++ {
		o := g.objects[ids[i]]
		out := map[string]any{}
		for _, name := range strings.Split(q.Get("$select"), ",") {
			v, known := o[name]
			if mixed && strings.HasSuffix(o["@odata.type"].(string), ".user") && !g.Rights["User.Read.All"] && name != "id" {
				v = nil
			}
			if known {
				out[name] = v
			}
		}
		if mixed {
			out["@odata.type"] = o["@odata.type"]
		}
		page["value"] = append(page["value"].([]any), out)
	}
	if skip+size < len(ids) {
		q.Set("$skiptoken", strconv.Itoa(skip+size))
		page["@odata.nextLink"] = (&url.URL{Scheme: "https", Host: "graph.test", Path: r.URL.Path, RawQuery: q.Encode()}).String()
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(page)
}
