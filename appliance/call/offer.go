package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/tipring/tipring/t30"
)

// Offer is a document that callers may poll (T.30 5.3.6.1.2: DTC).
type Offer struct {
	// Selective is the address (SEP) by which a poller asks for it; "": the document of those who give none.
	Selective string
	Password  string // PWD that a poller must give; "": none
	// Open returns the document for this poller.
	Open func(far t30.Remote) (t30.PageSource, error)
}

// Offers are the documents of one call that may be polled: its [t30.Session]'s Send. Make new ones for each call.
type Offers struct {
	list []Offer

	mu      sync.Mutex
	given   bool
	refused string
}

// NewOffers returns the documents that one call offers.
func NewOffers(list ...Offer) *Offers { return &Offers{list: list} }

// Next implements [t30.Documents]: the one document that the poller asked for, then io.EOF. A poller that gives an unknown
// address or a wrong password gets none; see Refused.
func (o *Offers) Next(ctx context.Context, far t30.Remote) (t30.PageSource, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.given {
		return nil, io.EOF
	}
	offer, err := o.find(far)
	if err != nil {
		o.refused = err.Error()
		return nil, io.EOF
	}
	o.given = true
	src, err := offer.Open(far)
	if err != nil {
		return nil, fmt.Errorf("call: offered document: %w", err)
	}
	return src, nil
}

var (
	errSelective = errors.New("the poller asked for a document that is not offered (SEP)")
	errPassword  = errors.New("the poller gave no or a wrong password (PWD)")
)

func (o *Offers) find(far t30.Remote) (Offer, error) {
	for _, e := range o.list {
		if strings.TrimSpace(e.Selective) != strings.TrimSpace(far.Selective) {
			continue
		}
		if e.Password != "" && strings.TrimSpace(far.Password) != e.Password {
			return Offer{}, errPassword
		}
		return e, nil
	}
	return Offer{}, errSelective
}

// Refused says why a poller got nothing; "": none was refused.
func (o *Offers) Refused() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.given {
		return ""
	}
	return o.refused
}
