package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// TokenSource yields access tokens for Microsoft Graph (client credentials, scope https://graph.microsoft.com/.default).
// Its errors must not hold secrets. It is safe for concurrent use.
type TokenSource interface {
	// Token returns a token that is good now.
	Token(ctx context.Context) (string, error)
	// Reject gives up a token that the service did not take: the next Token is another.
	Reject(token string)
}

// GraphConfig describes a Microsoft 365 tenant.
type GraphConfig struct {
	Name   string       // of the source; "": "graph"
	Base   string       // "": https://graph.microsoft.com/v1.0; national clouds have their own
	Tokens TokenSource  // the application needs User.Read.All and GroupMember.Read.All
	Client *http.Client // nil: one with sensible time limits
	// Patience is how long a throttled or failing request is tried again; 0: 10 s.
	Patience time.Duration
}

// Graph is a tenant's directory as a Source, asked through Microsoft Graph.
type Graph struct {
	c    GraphConfig
	base *url.URL

	mu    sync.Mutex
	until time.Time // throttled: not to be asked before
}

// NewGraph checks the configuration; it does not connect.
func NewGraph(c GraphConfig) (*Graph, error) {
	if c.Name == "" {
		c.Name = "graph"
	}
	if c.Base == "" {
		c.Base = "https://graph.microsoft.com/v1.0"
	}
	if c.Patience <= 0 {
		c.Patience = 10 * time.Second
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 20 * time.Second}
	}
	// A redirect would carry the token along.
	client := *c.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Client = &client
	base, err := url.Parse(strings.TrimSuffix(c.Base, "/"))
	if err != nil || base.Host == "" || base.Scheme != "https" && !loopback(base) {
		return nil, fmt.Errorf("directory: %s: address %q: write one like https://graph.microsoft.com/v1.0", c.Name, c.Base)
	}
	if c.Tokens == nil {
		return nil, fmt.Errorf("directory: %s: no source of tokens", c.Name)
	}
	return &Graph{c: c, base: base}, nil
}

func loopback(u *url.URL) bool { return u.Scheme == "http" && u.Hostname() == "127.0.0.1" }

// Name implements [Source].
func (g *Graph) Name() string { return g.c.Name }

// graphObject is a user, group or contact as far as it was selected.
type graphObject struct {
	Type    string   `json:"@odata.type"` // only in lists of mixed types
	ID      string   `json:"id"`
	Display *string  `json:"displayName"`
	Mail    *string  `json:"mail"`
	UPN     *string  `json:"userPrincipalName"`
	Proxies []string `json:"proxyAddresses"`
}

const graphSelect = "id,displayName,mail,proxyAddresses"

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (o graphObject) mailbox() string { return primaryAddress(o.Proxies, text(o.Mail)) }

// has tells whether an address is one of the object's.
func (o graphObject) has(address string) bool {
	return strings.EqualFold(text(o.Mail), address) || strings.EqualFold(text(o.UPN), address) ||
		slices.ContainsFunc(o.Proxies, func(p string) bool { return strings.EqualFold(p, "smtp:"+address) })
}

// Lookup implements [Source]. The group of an address is resolved by the service itself, with all groups in it
// ("List group transitive members").
func (g *Graph) Lookup(ctx context.Context, address string) (Result, error) {
	u, err := g.find(ctx, "users", address, "")
	if err == nil && u.mailbox() != "" {
		return Result{Address: u.mailbox(), Name: text(u.Display), Mailboxes: []string{u.mailbox()}, Source: g.c.Name}, nil
	}
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Result{}, err
	}
	group, err := g.find(ctx, "groups", address, "")
	if err != nil {
		return Result{}, err
	}
	res := Result{Address: group.mailbox(), Name: text(group.Display), Group: true, Source: g.c.Name}
	err = g.list(ctx, g.url("groups/"+url.PathEscape(group.ID)+"/transitiveMembers", "$select", graphSelect, "$top", "999"), func(m graphObject) error {
		return g.addMember(&res, m)
	})
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

// addMember takes a user or contact of a group into the result. Members whose type the application may not read come
// with all properties null ("List group members"): nobody may take that for a group without mailboxes.
func (g *Graph) addMember(res *Result, m graphObject) error {
	if m.Type != "#microsoft.graph.user" && m.Type != "#microsoft.graph.orgContact" {
		return nil
	}
	if m.Display == nil && m.Mail == nil && len(m.Proxies) == 0 {
		return &Failure{Source: g.c.Name, Remedy: graphRights, Err: fmt.Errorf("the members of %s come without their properties", res.Address)}
	}
	box := m.mailbox()
	if box == "" || slices.Contains(res.Mailboxes, box) {
		return nil
	}
	if res.Mailboxes = append(res.Mailboxes, box); len(res.Mailboxes) > maxMailboxes {
		return &Failure{Source: g.c.Name, Remedy: tooManyMembers, Err: fmt.Errorf("group %s is too large", res.Address)}
	}
	return nil
}

// Member implements [Source] ("List a user's direct and transitive memberships").
func (g *Graph) Member(ctx context.Context, address string) (Member, error) {
	u, err := g.find(ctx, "users", address, "userPrincipalName")
	if err != nil {
		return Member{}, err
	}
	m := Member{Address: u.mailbox(), Name: text(u.Display), Source: g.c.Name}
	if m.Address == "" {
		m.Address = address
	}
	err = g.list(ctx, g.url("users/"+url.PathEscape(u.ID)+"/transitiveMemberOf", "$select", graphSelect, "$top", "999"), func(o graphObject) error {
		if o.Type != "#microsoft.graph.group" {
			return nil // roles and administrative units
		}
		if text(o.Display) == "" && text(o.Mail) == "" {
			return &Failure{Source: g.c.Name, Remedy: graphRights, Err: fmt.Errorf("the groups of %s come without their names", address)}
		}
		m.Groups = joinGroups(m.Groups, slices.DeleteFunc([]string{text(o.Display), o.mailbox()}, func(n string) bool { return n == "" }))
		if len(m.Groups) > 2*maxGroupsOf {
			return &Failure{Source: g.c.Name, Err: fmt.Errorf("%s is in more than %d groups", address, maxGroupsOf)}
		}
		return nil
	})
	if err != nil {
		return Member{}, err
	}
	slices.Sort(m.Groups)
	return m, nil
}

// find returns the one user or group with an address. Errors: ErrUnknown.
func (g *Graph) find(ctx context.Context, kind, address, further string) (graphObject, error) {
	quoted := strings.ReplaceAll(address, "'", "''") // "Use query parameters": single quotes are doubled
	filter := fmt.Sprintf("mail eq '%s' or proxyAddresses/any(p:p eq 'smtp:%s')", quoted, quoted)
	fields := graphSelect
	if further != "" {
		filter += fmt.Sprintf(" or %s eq '%s'", further, quoted)
		fields += "," + further
	}
	var found []graphObject
	err := g.list(ctx, g.url(kind, "$filter", filter, "$select", fields), func(o graphObject) error {
		if o.ID != "" && o.has(address) && len(found) < 3 { // the service is not trusted to have filtered
			found = append(found, o)
		}
		return nil
	})
	switch {
	case err != nil:
		return graphObject{}, err
	case len(found) == 0:
		return graphObject{}, fmt.Errorf("%w: %s", ErrUnknown, address)
	case len(found) == 1:
		return found[0], nil
	}
	// The one whose mailbox it is, over those that only sign in by it or write it under mail.
	owner := slices.DeleteFunc(slices.Clone(found), func(o graphObject) bool { return !strings.EqualFold(o.mailbox(), address) })
	if len(owner) == 1 {
		return owner[0], nil
	}
	return graphObject{}, &Failure{Source: g.c.Name, Remedy: "Several " + kind + " have the address " + address + ": take it from all but one.",
		Err: fmt.Errorf("%s is ambiguous", address)}
}

// url makes an address below the base; query is names and values.
func (g *Graph) url(path string, query ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	// "+" for a space is not what OData reads.
	return g.base.String() + "/" + path + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}
