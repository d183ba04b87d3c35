package control

import (
	"context"
	"net/http"
	"time"
)

// Connectors looks at the send and receive connectors.
type Connectors interface {
	// TestConnector walks what a connector depends on, from DNS to a real message; it may take minutes. ErrNotFound if there is
	// no such connector.
	TestConnector(ctx context.Context, q ConnectorQuestion) (ConnectorTest, error)
	// SignIn begins the sign-in of a send connector by device code, or returns the one that is under way. The person then has to
	// open the address and type the code; SignInState says what came of it. ErrConflict when the connector does not sign in so.
	SignIn(ctx context.Context, connector string) (SignIn, error)
	// SignInState is the last sign-in of a send connector by device code.
	SignInState(ctx context.Context, connector string) (SignIn, error)
	// Refusals are what the receive connectors refused in the last day, oldest first, 500 at most.
	Refusals(ctx context.Context) ([]Refusal, error)
}

// Refusal is one command of a client that was refused.
type Refusal struct {
	At        time.Time `json:"at"`
	Connector string    `json:"connector"`
	Client    string    `json:"client"`            // IP address
	Command   string    `json:"command,omitempty"` // what the client said last, without secrets; of one that talks on several connections perhaps another's
	Reply     string    `json:"reply"`
}

// ConnectorQuestion asks for a walk.
type ConnectorQuestion struct {
	Name    string `json:"name"`
	To      string `json:"to,omitempty"`      // mailbox for the message; "": the fallback mailbox
	Address string `json:"address,omitempty"` // our IP address as the Internet sees it; "": found out where possible
}

// ConnectorTest is what a walk found.
type ConnectorTest struct {
	Connector string          `json:"connector"`
	Kind      string          `json:"kind"` // "send", "receive"
	OK        bool            `json:"ok"`   // no step failed
	Steps     []ConnectorStep `json:"steps"`
}

// ConnectorStep is one thing that was looked at.
type ConnectorStep struct {
	Name       string   `json:"name"`
	State      string   `json:"state"` // "ok", "warning", "failed", "not run"
	Found      string   `json:"found"`
	Details    []string `json:"details,omitempty"`
	Remedy     string   `json:"remedy,omitempty"`
	PowerShell string   `json:"powershell,omitempty"` // for Exchange Online PowerShell
	Record     string   `json:"record,omitempty"`     // DNS record that is missing
}

// SignIn is a sign-in by device code (RFC 8628).
type SignIn struct {
	Connector string    `json:"connector"`
	Mailbox   string    `json:"mailbox"`        // who has to sign in
	State     string    `json:"state"`          // "none", "waiting" for the person, "signed in", "failed"
	URL       string    `json:"url,omitempty"`  // to open on any device
	Code      string    `json:"code,omitempty"` // to type there
	Expires   time.Time `json:"expires,omitzero"`
	Text      string    `json:"text,omitempty"` // why it failed, and what to do
}

// The states of a SignIn.
const (
	SignInNone    = "none"
	SignInWaiting = "waiting"
	SignInDone    = "signed in"
	SignInFailed  = "failed"
)

func connectorRoutes(mux *http.ServeMux, a Connectors) {
	mux.Handle("POST /connector/test", body(func(r *http.Request, q ConnectorQuestion) (any, error) { return a.TestConnector(r.Context(), q) }))
	mux.Handle("GET /connector/refusals", answer(func(r *http.Request) (any, error) { return a.Refusals(r.Context()) }))
	mux.Handle("POST /connector/signin", body(func(r *http.Request, q ConnectorQuestion) (any, error) { return a.SignIn(r.Context(), q.Name) }))
	mux.Handle("POST /connector/signin/state", body(func(r *http.Request, q ConnectorQuestion) (any, error) { return a.SignInState(r.Context(), q.Name) }))
}

// TestConnector implements [Connectors].
func (c *Client) TestConnector(ctx context.Context, q ConnectorQuestion) (ConnectorTest, error) {
	return call[ConnectorTest](ctx, c, http.MethodPost, "/connector/test", nil, q)
}

// SignIn implements [Connectors].
func (c *Client) SignIn(ctx context.Context, connector string) (SignIn, error) {
	return call[SignIn](ctx, c, http.MethodPost, "/connector/signin", nil, ConnectorQuestion{Name: connector})
}

// SignInState implements [Connectors].
func (c *Client) SignInState(ctx context.Context, connector string) (SignIn, error) {
	return call[SignIn](ctx, c, http.MethodPost, "/connector/signin/state", nil, ConnectorQuestion{Name: connector})
}

// Refusals implements [Connectors].
func (c *Client) Refusals(ctx context.Context) ([]Refusal, error) {
	return call[[]Refusal](ctx, c, http.MethodGet, "/connector/refusals", nil, nil)
}
