package control

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Devices shows and changes the devices that may sign in to hand in mail.
type Devices interface {
	// Devices lists them by name. Passwords are never shown.
	Devices(ctx context.Context) ([]Device, error)
	// PutDevice stores d in place of one of its name, with d.Password, or for "" one made up, which the answer has this once.
	PutDevice(ctx context.Context, d Device) (Device, error)
	// RemoveDevice takes one out. ErrNotFound if there is none.
	RemoveDevice(ctx context.Context, name string) error
}

// Device is a printer, scanner or program that signs in to hand in mail.
type Device struct {
	Name     string    `json:"name"`    // user name of the sign-in
	Senders  []string  `json:"senders"` // addresses and domains it may send as; "*": any that its connector takes
	Note     string    `json:"note,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Password string    `json:"password,omitempty"`
}

func deviceRoutes(mux *http.ServeMux, a Devices) {
	mux.Handle("GET /devices", answer(func(r *http.Request) (any, error) { return a.Devices(r.Context()) }))
	mux.Handle("POST /devices", body(func(r *http.Request, d Device) (any, error) { return a.PutDevice(r.Context(), d) }))
	mux.Handle("DELETE /devices", answer(func(r *http.Request) (any, error) { return nil, a.RemoveDevice(r.Context(), r.FormValue("name")) }))
}

// Devices implements [Devices].
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	return call[[]Device](ctx, c, http.MethodGet, "/devices", nil, nil)
}

// PutDevice implements [Devices].
func (c *Client) PutDevice(ctx context.Context, d Device) (Device, error) {
	return call[Device](ctx, c, http.MethodPost, "/devices", nil, d)
}

// RemoveDevice implements [Devices].
func (c *Client) RemoveDevice(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/devices", url.Values{"name": {name}})
}
