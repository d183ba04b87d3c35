package control

import (
	"context"
	"net/http"
)

// Rules changes what may be dialed, on top of the configuration's dial.allow and dial.deny.
type Rules interface {
	// DialRules lists the rules of the configuration and of the database; the former have the ids dial.allow and dial.deny.
	DialRules(ctx context.Context) ([]DialRule, error)
	// AddDialRule stores a rule and returns it with its id. ErrInvalid when it makes no sense or is there already.
	AddDialRule(ctx context.Context, r DialRule) (DialRule, error)
	// RemoveDialRule takes a stored rule out. ErrNotFound if there is none.
	RemoveDialRule(ctx context.Context, id string) error
}

// DialRule permits or denies numbers. The longest pattern that fits decides, a denial wins a tie.
type DialRule struct {
	ID      string `json:"id"`
	Pattern string `json:"pattern"` // first digits, "+1900*"; "*": all numbers
	Deny    bool   `json:"deny,omitempty"`
	Note    string `json:"note,omitempty"` // shown when it denies
}

func ruleRoutes(mux *http.ServeMux, a Rules) {
	mux.Handle("GET /rules", answer(func(r *http.Request) (any, error) { return a.DialRules(r.Context()) }))
	mux.Handle("POST /rules", body(func(r *http.Request, rule DialRule) (any, error) { return a.AddDialRule(r.Context(), rule) }))
	mux.Handle("DELETE /rules/{id}", byID(func(r *http.Request, id string) (any, error) { return nil, a.RemoveDialRule(r.Context(), id) }))
}

// DialRules implements [Rules].
func (c *Client) DialRules(ctx context.Context) ([]DialRule, error) {
	return call[[]DialRule](ctx, c, http.MethodGet, "/rules", nil, nil)
}

// AddDialRule implements [Rules].
func (c *Client) AddDialRule(ctx context.Context, r DialRule) (DialRule, error) {
	return call[DialRule](ctx, c, http.MethodPost, "/rules", nil, r)
}

// RemoveDialRule implements [Rules].
func (c *Client) RemoveDialRule(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, item("rules", id), nil)
}
