package directory

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

// graphTenant is a Microsoft 365 tenant behind Microsoft Graph, as far as the pages say how it behaves that are named
// at each place. It is its own http.RoundTripper, so that tests can run in virtual time.
type graphTenant struct {
	mu       sync.Mutex
	objects  map[string]map[string]any // by id
	members  map[string][]string       // of groups
	valid    string                    // the token that is good now
	rights   map[string]bool
	pageSize int
	budget   int // requests in each window; 0: no limit
	window   time.Duration
	spent    int
	opened   time.Time
	failing  func(n int) int // HTTP status of the n-th request instead of an answer; 0: none
	requests int
}

func newTenant() *graphTenant {
	return &graphTenant{objects: map[string]map[string]any{}, members: map[string][]string{}, valid: "token 1",
		rights: map[string]bool{"User.Read.All": true, "GroupMember.Read.All": true}, pageSize: 100}
}

func (g *graphTenant) add(kind, id, display, mail string, proxies ...string) {
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
func (g *graphTenant) Token(context.Context) (string, error) { return g.valid, nil }
func (g *graphTenant) Reject(string)                         {}

// RoundTrip implements [http.RoundTripper].
func (g *graphTenant) RoundTrip(r *http.Request) (*http.Response, error) {
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
func (g *graphTenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests++
	if r.URL.Host != "graph.test" || r.Header.Get("Authorization") != "Bearer "+g.valid {
		fail(w, http.StatusUnauthorized, "InvalidAuthenticationToken")
		return
	}
	if g.failing != nil {
		if status := g.failing(g.requests); status != 0 {
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
		g.related(w, r, path[1], func(id string) []string { return g.members[id] })
	case len(path) == 3 && path[0] == "users" && path[2] == "transitiveMemberOf":
		g.related(w, r, path[1], func(id string) (of []string) {
			for group, members := range g.members {
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

func (g *graphTenant) throttle() time.Duration {
	if g.budget == 0 {
		return 0
	}
	if time.Since(g.opened) >= g.window {
		g.opened, g.spent = time.Now(), 0
	}
	if g.spent++; g.spent > g.budget {
		return g.window - time.Since(g.opened)
	}
	return 0
}

// clause is one comparison of a filter and what follows it; a quote inside a value is doubled ("Use query parameters").
var clause = regexp.MustCompile(`^(?:(mail|userPrincipalName) eq '((?:[^']|'')*)'|proxyAddresses/any\(p:p eq '((?:[^']|'')*)'\))( or |$)`)

// filtered serves "List users" and "List groups" with the operators that "user resource type" allows for each property.
func (g *graphTenant) filtered(w http.ResponseWriter, r *http.Request, kind string) {
	if kind == "user" && !g.rights["User.Read.All"] || kind == "group" && !g.rights["GroupMember.Read.All"] {
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
func (g *graphTenant) related(w http.ResponseWriter, r *http.Request, id string, next func(string) []string) {
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
func (g *graphTenant) list(w http.ResponseWriter, r *http.Request, ids []string, mixed bool) {
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
			if mixed && strings.HasSuffix(o["@odata.type"].(string), ".user") && !g.rights["User.Read.All"] && name != "id" {
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
