package appliance

import (
	"context"
	"errors"
	"fmt"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
)

// callout verifies recipients at the mail server that would get their mail: a [directory.Lookup].
type callout struct {
	router *send.Router
	by     map[*send.Sender]*send.Callout
}

// newCallout asks by the send connectors, each address by the one that its mail goes by.
func newCallout(c Config, router *send.Router, memory send.Store) *callout {
	o := &callout{router: router, by: map[*send.Sender]*send.Callout{}}
	if router == nil {
		return o
	}
	for _, s := range c.Send {
		cc := send.CalloutConfig{}
		if s.Username != "" {
			cc.Sender = c.Mail.From // who is signed in may not send as nobody
		}
		sender := router.Connector(s.Name)
		o.by[sender] = send.NewCallout(cc, sender, memory)
	}
	return o
}

// Lookup implements [directory.Lookup]. A server that gives no clear answer makes an address neither known nor unknown.
func (o *callout) Lookup(ctx context.Context, address string) (directory.Result, error) {
	by, err := o.of(address)
	if err != nil {
		return directory.Result{}, err
	}
	switch a := by.Verify(ctx, address); a.Verdict {
	case send.Good:
		return directory.Result{Address: address, Mailboxes: []string{address}, Source: askCallout}, nil
	case send.Bad:
		return directory.Result{}, fmt.Errorf("%w: %s: %s", directory.ErrUnknown, address, a.Text)
	default:
		return directory.Result{}, &directory.Failure{Source: askCallout, Err: errors.New(a.Text)}
	}
}

// Remembers implements [directory.Remembering]: answers last 31 days, refusals 3.
func (o *callout) Remembers() {}

// of returns the callout of an address's connector.
func (o *callout) of(address string) (*send.Callout, error) {
	_, domain, err := smtpstack.SplitAddress(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", directory.ErrUnknown, err)
	}
	if o.router != nil {
		if by := o.by[o.router.For(domain)]; by != nil {
			return by, nil
		}
	}
	return nil, &directory.Failure{Source: askCallout, Err: fmt.Errorf("no send connector that can be asked leads to %s", domain)}
}

// Forget drops what is remembered of an address.
func (o *callout) Forget(address string) error {
	by, err := o.of(address)
	if err != nil {
		return nil // nothing can be remembered of it
	}
	return by.Forget(address)
}
