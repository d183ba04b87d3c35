package control

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Numbers shows and changes what is remembered of far ends.
type Numbers interface {
	// Remembered lists the numbers whose calls begin otherwise than at the best, by number.
	Remembered(ctx context.Context) ([]Number, error)
	// Forget drops what is remembered of a number, in any spelling: the next call begins at the best. ErrNotFound if
	// nothing is.
	Forget(ctx context.Context, number string) error
}

// Number is what is remembered of one number.
type Number struct {
	Number  string    `json:"number"`             // digits
	Begins  string    `json:"begins"`             // how its calls begin, in words; "" at the best: nothing is certain yet
	MaxRate int       `json:"max_rate,omitempty"` // bit/s, 0: no limit
	NoECM   bool      `json:"no_ecm,omitempty"`
	Alone   bool      `json:"alone,omitempty"` // one document a call only
	Since   time.Time `json:"since,omitzero"`
	Last    time.Time `json:"last"` // the last call that told something
}

func numberRoutes(mux *http.ServeMux, a Numbers) {
	mux.Handle("GET /numbers", answer(func(r *http.Request) (any, error) { return a.Remembered(r.Context()) }))
	mux.Handle("DELETE /numbers", answer(func(r *http.Request) (any, error) { return nil, a.Forget(r.Context(), r.FormValue("number")) }))
}

// Remembered implements [Numbers].
func (c *Client) Remembered(ctx context.Context) ([]Number, error) {
	return call[[]Number](ctx, c, http.MethodGet, "/numbers", nil, nil)
}

// Forget implements [Numbers].
func (c *Client) Forget(ctx context.Context, number string) error {
	return c.do(ctx, http.MethodDelete, "/numbers", url.Values{"number": {number}})
}
