package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
)

// Recipients finds out in which mailboxes the mail for an address ends.
type Recipients interface {
	directory.Lookup
	// Forget drops what is remembered of an address.
	Forget(address string) error
}

const (
	lookUpTime  = 20 * time.Second       // for all addresses of one fax
	hurriedTime = 500 * time.Millisecond // likewise, while a directory is down: what is remembered is there at once
	restTime    = time.Minute            // that long after a failure
	// byRecipients stands for the connector in items that are held for a recipient nobody knows: one of them is looked up
	// again every probeInterval, and all when one was found.
	byRecipients = "(recipients)"
)

// address finds out the mailboxes of a received fax and records them before anything is sent, so that whatever is tried
// again goes to the same ones. ready is false when there is nobody to send to now; the item is settled then.
//
// An address that nobody knows goes to the fallback mailbox; without one the fax is held for it. One that cannot be
// looked up waits for Options.RecipientWait and is then mailed to as it stands: it is what an administrator wrote, and
// the mail server looks at it too. The fax's other recipients never wait for either.
func (g *Gateway) address(ctx context.Context, o queue.Out) (_ queue.Out, ready bool, err error) {
	if o.Kind != queue.KindFax || g.o.Recipients == nil || o.Route != nil && len(o.Waiting) == 0 {
		return o, true, nil
	}
	route, name, err := g.routeNow(o)
	if err != nil {
		return o, false, err
	}
	l := g.lookUp(ctx, toFind(o, route), time.Since(o.Created) < g.o.RecipientWait)
	if ctx.Err() != nil {
		return o, false, g.q.RetryOut(o.ID, time.Now(), "the program was stopped")
	}
	g.tellUnknown(o, l, name)
	if g.o.Fallback != "" && len(l.unknown) > 0 {
		l.boxes = addBoxes(l.boxes, nil, g.o.Fallback)
	}
	o, err = g.q.AmendOut(o.ID, func(x *queue.Out) {
		if x.Route == nil {
			x.To = nil
		}
		x.Route = route
		x.To, x.Waiting, x.Unknown = addBoxes(x.To, slices.Concat(x.Done, x.Parted), l.boxes...), l.waiting, addMissing(x.Unknown, l.unknown...)
		if g.o.Fallback == "" {
			x.Waiting = append(x.Waiting, l.unknown...)
		}
	})
	if err != nil || len(o.To) > 0 {
		return o, err == nil, err
	}
	return o, false, g.nobody(o, l)
}

// nobody settles an item that has no mailbox now.
func (g *Gateway) nobody(o queue.Out, l lookedUp) error {
	if g.probes.at(byRecipients).IsZero() {
		g.probes.set(byRecipients, probeInterval) // it was looked up just now
	}
	return g.q.UpdateOut(o.ID, func(x *queue.Out) error {
		switch {
		case len(x.Waiting) == 0 && len(x.Done) == 0 && len(x.Parted) > 0:
			x.State = queue.OutSplit // the parts are the others' delivery
		case len(x.Waiting) == 0: // every mailbox was served before
			x.State = queue.OutDone
		case len(l.waiting) > 0:
			x.State, x.NotBefore, x.LastReply = queue.OutPending, time.Now().Add(backoff(x.Attempts)), "cannot be looked up: "+l.why
		default:
			x.State, x.HeldBy, x.HeldAt = queue.OutHeld, byRecipients, time.Now()
			x.LastReply = "nobody knows " + strings.Join(l.unknown, ", ")
		}
		return nil
	})
}

// routeNow is the fax's route: as it was when the fax came, until an address turned out to lead nowhere; then as it is
// now, since somebody may have corrected it.
func (g *Gateway) routeNow(o queue.Out) (to []string, name string, err error) {
	was := o.Route
	if was == nil {
		was = o.To
	}
	if g.o.Route == nil {
		return was, "", nil
	}
	f, err := g.q.Fax(o.Fax)
	if errors.Is(err, queue.ErrNotFound) {
		return was, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	to, name, err = g.o.Route(f)
	if err != nil || o.Route == nil || len(to) == 0 {
		return was, name, err
	}
	return to, name, nil
}

// toFind are the addresses of a route that are to be looked up: all at first, later those that wait and those that are new
// in it. Those that were taken out of it meanwhile are none of them any more, but there is always somebody to send to.
func toFind(o queue.Out, route []string) []string {
	if o.Route == nil {
		return route
	}
	var list []string
	for _, a := range route {
		if slices.Contains(o.Waiting, a) || !slices.Contains(o.Route, a) {
			list = append(list, a)
		}
	}
	if len(list)+len(o.To)+len(o.Done)+len(o.Parted) == 0 {
		return o.Waiting
	}
	return list
}

// lookedUp is what became of some addresses.
type lookedUp struct {
	boxes   []string // mailboxes, each once
	known   []string // addresses that lead to some
	unknown []string // that nobody knows, and groups without anybody in them
	waiting []string // that cannot be looked up now
	why     string
}

// lookUp asks for the mailboxes of addresses. Without patience one that cannot be looked up stands for itself.
func (g *Gateway) lookUp(ctx context.Context, addresses []string, patience bool) lookedUp {
	limit := lookUpTime
	if time.Now().UnixNano() < g.rests.Load() {
		limit = hurriedTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var l lookedUp
	for _, a := range addresses {
		res, err := g.o.Recipients.Lookup(ctx, a)
		switch {
		case errors.Is(err, directory.ErrUnknown) && !errors.Is(err, directory.ErrUnavailable), err == nil && len(res.Mailboxes) == 0:
			l.unknown = append(l.unknown, a)
		case err == nil:
			boxes := res.Mailboxes
			if n, err := directory.Normalize(a); err == nil && len(boxes) == 1 && boxes[0] == n {
				boxes = []string{a} // it is a mailbox itself: as it was written, capitals and quotes included
			}
			l.known, l.boxes = append(l.known, a), addBoxes(l.boxes, nil, boxes...)
		default:
			g.rests.Store(time.Now().Add(restTime).UnixNano())
			l.why = strings.ReplaceAll(err.Error(), "\n", "; ")
			if patience {
				l.waiting = append(l.waiting, a)
				continue
			}
			g.o.Log.Warn("recipient cannot be looked up, the fax is mailed to the address as it stands", "err", err)
			l.boxes = addBoxes(l.boxes, nil, a)
		}
	}
	return l
}

// addBoxes adds mailboxes to a list that neither it nor done has; capitals do not count.
func addBoxes(list, done []string, more ...string) []string {
	for _, a := range more {
		same := func(b string) bool { return strings.EqualFold(a, b) }
		if !slices.ContainsFunc(list, same) && !slices.ContainsFunc(done, same) {
			list = append(list, a)
		}
	}
	return list
}

// tellUnknown raises and clears the alarms about addresses of routes.
func (g *Gateway) tellUnknown(o queue.Out, l lookedUp, route string) {
	for _, a := range l.known {
		g.alarms.Clear(RecipientAlarm + a)
	}
	if route == "" {
		route = "of the route"
	}
	for _, a := range l.unknown {
		g.o.Log.Error("nobody knows a recipient", "fax", o.Fax, "route", route)
		text, remedy := "Its faxes go to "+g.o.Fallback+" instead.", "Correct the route (tipring route list), or make the address."
		if g.o.Fallback == "" {
			text = "Its faxes are held."
			remedy += " Then release the mail: tipring queue retry-mail. With mail.fallback set, such faxes would go there."
			if err := g.o.Recipients.Forget(a); err != nil { // so that the next look is a fresh one
				g.o.Log.Warn("forget a recipient", "err", err)
			}
		}
		g.alarms.Raise(RecipientAlarm+a, fmt.Sprintf("Nobody knows the address %s, to which %s leads. %s", a, route, text),
			remedy+" If it is new, this makes it known: tipring user lookup --fresh "+a)
	}
}

// RecipientAlarm and an address of a route are the code of the alarm that nobody knows it.
const RecipientAlarm = "recipient/"

// forgetRefused drops what is remembered of addresses whose mailbox a mail server does not know: the next fax is looked up
// anew.
func (g *Gateway) forgetRefused(o queue.Out, refused []string) {
	if g.o.Recipients == nil || o.Kind != queue.KindFax || len(refused) == 0 {
		return
	}
	for _, a := range addMissing(slices.Clone(refused), o.Route...) {
		if err := g.o.Recipients.Forget(a); err != nil {
			g.o.Log.Warn("forget a recipient", "err", err)
		}
	}
}
