package control

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// People shows and changes who may send faxes, and proves senders.
type People interface {
	// People lists the directory: users, groups, mail domains, everyone.
	People(ctx context.Context) ([]Person, error)
	// PutPerson stores p in place of the entry of its kind and name, and returns it as stored.
	PutPerson(ctx context.Context, p Person) (Person, error)
	// RemovePerson takes an entry out. ErrNotFound if there is none.
	RemovePerson(ctx context.Context, kind, name string) error
	// ImportPeople reads a CSV file, all of it or nothing: ErrInvalid names every line that is wrong.
	ImportPeople(ctx context.Context, f PeopleFile) (PeopleChange, error)
	// ExportPeople writes the directory as CSV.
	ExportPeople(ctx context.Context) (PeopleFile, error)
	// TestPermission says whether a sender may fax to a number now, and why.
	TestPermission(ctx context.Context, who, number string) (PermissionResult, error)
	// LookUp says what each directory knows of a mail address, from memory where that is still good; fresh asks anew.
	LookUp(ctx context.Context, address string, fresh bool) (LookupResult, error)
	// CheckSender says what a receive connector makes of a message's sender; nothing is kept of it.
	CheckSender(ctx context.Context, q SenderQuestion) (SenderResult, error)
	// DKIMRecords returns the TXT records that the keys of our mail need in DNS.
	DKIMRecords(ctx context.Context) ([]TXTRecord, error)
}

// TXTRecord is a record for DNS.
type TXTRecord struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Person is one entry of the directory and what it may fax.
type Person struct {
	Kind    string   `json:"kind"` // user, group, domain, everyone
	Name    string   `json:"name"` // mail address, name of the group, domain, "*"
	Aliases []string `json:"aliases,omitempty"`
	Display string   `json:"display,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Note    string   `json:"note,omitempty"`
	Rules   bool     `json:"rules"` // false: the entry says nothing of its own about faxing, and the rest is empty
	Deny    bool     `json:"deny,omitempty"`
	To      []string `json:"to,omitempty"`     // first digits of numbers; empty: all
	NotTo   []string `json:"not_to,omitempty"` // likewise: denied ones
	Hours   string   `json:"hours,omitempty"`  // "Mon-Fri 08:00-18:00"; empty: always
	Zone    string   `json:"zone,omitempty"`   // IANA time zone of Hours
	// Limits; 0: none.
	MaxPages    int `json:"max_pages,omitempty"`     // of one fax
	PagesPerDay int `json:"pages_per_day,omitempty"` // of a user
	FaxesPerDay int `json:"faxes_per_day,omitempty"` // of a user
}

// PeopleFile is a CSV file of the directory.
type PeopleFile struct {
	CSV     []byte `json:"csv"`
	Replace bool   `json:"replace,omitempty"` // entries that the file does not name are taken out
	DryRun  bool   `json:"dry_run,omitempty"` // only look at what would change
}

// PeopleChange counts what an import changed, or would change.
type PeopleChange struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Removed int `json:"removed"`
	Same    int `json:"same"`
}

// PermissionResult says whether a sender may fax to a number.
type PermissionResult struct {
	Allowed bool     `json:"allowed"`
	Reason  string   `json:"reason,omitempty"`
	Rule    string   `json:"rule,omitempty"` // the entry that decided
	Steps   []string `json:"steps"`          // how it came to this
}

// LookupResult is what is known of an address.
type LookupResult struct {
	Address   string         `json:"address"`
	Mailboxes []string       `json:"mailboxes"` // where mail for it goes, by the first directory that knows it
	Answers   []LookupAnswer `json:"answers"`
}

// LookupAnswer is what one directory knows of an address.
type LookupAnswer struct {
	Source    string   `json:"source"`
	Known     bool     `json:"known"`
	Group     bool     `json:"group,omitempty"`
	Address   string   `json:"address,omitempty"` // primary address
	Name      string   `json:"name,omitempty"`
	Mailboxes []string `json:"mailboxes,omitempty"`
	Groups    []string `json:"groups,omitempty"`  // it belongs to
	Trouble   string   `json:"trouble,omitempty"` // why the directory cannot be asked
	Remedy    string   `json:"remedy,omitempty"`  // what an administrator must change
}

// SenderQuestion is a message and how it came.
type SenderQuestion struct {
	Connector string `json:"connector"`
	Client    string `json:"client"` // IP address of the sending host
	Helo      string `json:"helo"`
	From      string `json:"from"` // MAIL FROM
	Message   []byte `json:"message"`
}

// SenderResult is what a connector makes of a sender.
type SenderResult struct {
	Taken  bool     `json:"taken"`
	Reply  string   `json:"reply,omitempty"` // what the sending host would be told
	Proofs []string `json:"proofs"`          // each proof with its result and reason, a line each
}

func peopleRoutes(mux *http.ServeMux, a People) {
	mux.Handle("GET /people", answer(func(r *http.Request) (any, error) { return a.People(r.Context()) }))
	mux.Handle("POST /people", body(func(r *http.Request, p Person) (any, error) { return a.PutPerson(r.Context(), p) }))
	mux.Handle("DELETE /people", answer(func(r *http.Request) (any, error) {
		return nil, a.RemovePerson(r.Context(), r.FormValue("kind"), r.FormValue("name"))
	}))
	mux.Handle("GET /people/file", answer(func(r *http.Request) (any, error) { return a.ExportPeople(r.Context()) }))
	mux.Handle("POST /people/file", body(func(r *http.Request, f PeopleFile) (any, error) { return a.ImportPeople(r.Context(), f) }))
	mux.Handle("GET /permission", answer(func(r *http.Request) (any, error) {
		return a.TestPermission(r.Context(), r.FormValue("who"), r.FormValue("number"))
	}))
	mux.Handle("GET /lookup", answer(func(r *http.Request) (any, error) {
		return a.LookUp(r.Context(), r.FormValue("address"), r.FormValue("fresh") == "true")
	}))
	mux.Handle("GET /dkim", answer(func(r *http.Request) (any, error) { return a.DKIMRecords(r.Context()) }))
	mux.Handle("POST /sender", body(func(r *http.Request, q SenderQuestion) (any, error) { return a.CheckSender(r.Context(), q) }))
}

// People implements [People].
func (c *Client) People(ctx context.Context) ([]Person, error) {
	return call[[]Person](ctx, c, http.MethodGet, "/people", nil, nil)
}

// PutPerson implements [People].
func (c *Client) PutPerson(ctx context.Context, p Person) (Person, error) {
	return call[Person](ctx, c, http.MethodPost, "/people", nil, p)
}

// RemovePerson implements [People].
func (c *Client) RemovePerson(ctx context.Context, kind, name string) error {
	return c.do(ctx, http.MethodDelete, "/people", url.Values{"kind": {kind}, "name": {name}})
}

// ImportPeople implements [People].
func (c *Client) ImportPeople(ctx context.Context, f PeopleFile) (PeopleChange, error) {
	return call[PeopleChange](ctx, c, http.MethodPost, "/people/file", nil, f)
}

// ExportPeople implements [People].
func (c *Client) ExportPeople(ctx context.Context) (PeopleFile, error) {
	return call[PeopleFile](ctx, c, http.MethodGet, "/people/file", nil, nil)
}

// TestPermission implements [People].
func (c *Client) TestPermission(ctx context.Context, who, number string) (PermissionResult, error) {
	return call[PermissionResult](ctx, c, http.MethodGet, "/permission", url.Values{"who": {who}, "number": {number}}, nil)
}

// LookUp implements [People].
func (c *Client) LookUp(ctx context.Context, address string, fresh bool) (LookupResult, error) {
	return call[LookupResult](ctx, c, http.MethodGet, "/lookup", url.Values{"address": {address}, "fresh": {strconv.FormatBool(fresh)}}, nil)
}

// CheckSender implements [People].
func (c *Client) CheckSender(ctx context.Context, q SenderQuestion) (SenderResult, error) {
	return call[SenderResult](ctx, c, http.MethodPost, "/sender", nil, q)
}

// DKIMRecords implements [People].
func (c *Client) DKIMRecords(ctx context.Context) ([]TXTRecord, error) {
	return call[[]TXTRecord](ctx, c, http.MethodGet, "/dkim", nil, nil)
}
