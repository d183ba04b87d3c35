package appliance

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/appliance/store"
)

// LookUp implements [control.People].
func (a *Appliance) LookUp(ctx context.Context, address string, fresh bool) (control.LookupResult, error) {
	res := control.LookupResult{Address: address, Answers: []control.LookupAnswer{}}
	if fresh {
		if err := a.forgetAddress(address); err != nil {
			return res, wrongAddress(err)
		}
	}
	list, err := a.lookup.Ask(ctx, address)
	if err != nil {
		return res, wrongAddress(err)
	}
	for _, one := range list {
		v := answerView(one)
		if v.Known && res.Mailboxes == nil {
			res.Mailboxes = v.Mailboxes
		}
		res.Answers = append(res.Answers, v)
	}
	if len(res.Mailboxes) > 0 {
		a.alarms.Clear(gateway.RecipientAlarm + address)
	}
	return res, nil
}

func wrongAddress(err error) error {
	if errors.Is(err, directory.ErrUnknown) {
		return fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	return err
}

// answerView joins what a source says of an address as a recipient and as a sender.
func answerView(a directory.Answer) control.LookupAnswer {
	v := control.LookupAnswer{Source: a.Source, Group: a.Result.Group, Address: a.Result.Address, Name: a.Result.Name, Mailboxes: a.Result.Mailboxes,
		Groups: a.Member.Groups, Known: a.LookupErr == nil || a.MemberErr == nil}
	if v.Address == "" {
		v.Address, v.Name = a.Member.Address, a.Member.Name
	}
	for _, err := range []error{a.LookupErr, a.MemberErr} {
		if err != nil && !errors.Is(err, directory.ErrUnknown) && v.Trouble == "" {
			v.Trouble, v.Remedy = oneLine(err), directory.Remedy(err)
		}
	}
	return v
}

// forgetAddress drops what is remembered of an address anywhere.
func (a *Appliance) forgetAddress(address string) error {
	if n, err := directory.Normalize(address); err == nil && a.callout != nil {
		if err := a.callout.Forget(n); err != nil { // the chain asks it for addresses in that form
			return err
		}
	}
	return a.lookup.Forget(address)
}

// recipientLookup is what the gateway asks for the mailboxes of addresses.
type recipientLookup struct{ a *Appliance }

// Lookup implements [directory.Lookup].
func (r recipientLookup) Lookup(ctx context.Context, address string) (directory.Result, error) {
	return r.a.recipients.Lookup(ctx, address)
}

// Forget implements [gateway.Recipients].
func (r recipientLookup) Forget(address string) error { return r.a.forgetAddress(address) }

// gatewayRecipients is nil when nobody is to be asked.
func (a *Appliance) gatewayRecipients() gateway.Recipients {
	if a.recipients == nil {
		return nil
	}
	return recipientLookup{a}
}

// routeOf says where a received fax goes now, and which route says so.
func (a *Appliance) routeOf(f queue.Fax) (to []string, route string, err error) {
	to, route = a.cfg.Routes.Default, "routes.default of the configuration"
	err = a.st.View(func(tx *store.Tx) error {
		table, err := routing.Routes(tx)
		if r, ok := table.Find(incoming(f)); ok {
			to, route = r.To, "route "+r.ID
		}
		return err
	})
	return to, route, err
}

// oneLine writes an error, which may be several joined, in one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// remedies is what is known to help.
func remedies(err error) []string {
	if r := directory.Remedy(err); r != "" {
		return []string{r}
	}
	return []string{}
}

// checkRecipients looks up the addresses of a route to be: one that nobody knows is refused, as its faxes would go to the
// fallback mailbox. Without verification it is a warning where there are directories to ask.
func (a *Appliance) checkRecipients(ctx context.Context, to []string) (warnings []string, err error) {
	chain := a.recipients
	if chain == nil && len(a.watched) > 0 {
		chain = a.lookup
	}
	if chain == nil {
		return nil, nil
	}
	for _, address := range to {
		res, err := chain.Lookup(ctx, address)
		switch {
		case errors.Is(err, directory.ErrUnknown) && a.recipients != nil:
			return nil, fmt.Errorf("%w: nobody knows the address %s; if it is new: tipring user lookup --fresh %s", control.ErrInvalid, address, address)
		case errors.Is(err, directory.ErrUnknown):
			warnings = append(warnings, fmt.Sprintf("no directory knows the address %s", address))
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("%s could not be looked up: %s", address, oneLine(err)))
		case len(res.Mailboxes) == 0:
			warnings = append(warnings, fmt.Sprintf("the group %s has no mailbox in it", address))
		}
	}
	return warnings, nil
}

// destinations says where addresses of a route lead; nil when they are mailed to as they stand.
func (a *Appliance) destinations(ctx context.Context, to []string) []control.Destination {
	if a.recipients == nil {
		return nil
	}
	elsewhere := "the fax would be held"
	if a.cfg.Mail.Fallback != "" {
		elsewhere = "the fax would go to " + a.cfg.Mail.Fallback
	}
	var list []control.Destination
	for _, address := range to {
		d := control.Destination{Address: address}
		res, err := a.recipients.Lookup(ctx, address)
		switch {
		case errors.Is(err, directory.ErrUnknown):
			d.Trouble = "nobody knows this address: " + elsewhere
		case err != nil:
			d.Trouble = "it cannot be looked up now: " + oneLine(err) + " " + directory.Remedy(err)
		case len(res.Mailboxes) == 0:
			d.Trouble = "the group has no mailbox in it: " + elsewhere
		default:
			d.Mailboxes, d.Source = res.Mailboxes, res.Source
		}
		list = append(list, d)
	}
	return list
}
