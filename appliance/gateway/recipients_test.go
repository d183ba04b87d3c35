package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/t30"
)

// people is a directory of mailboxes; down are the addresses it cannot tell of.
type people struct {
	mu        sync.Mutex
	boxes     map[string][]string
	down      map[string]bool
	forgotten []string
}

func (p *people) Lookup(_ context.Context, address string) (directory.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down[address] {
		return directory.Result{}, fmt.Errorf("chain: %w", &directory.Failure{Source: "ad", Err: errors.New("no answer")})
	}
	boxes, known := p.boxes[strings.ToLower(address)]
	if !known {
		return directory.Result{}, fmt.Errorf("%w: %s", directory.ErrUnknown, address)
	}
	return directory.Result{Address: address, Mailboxes: boxes, Source: "ad"}, nil
}

func (p *people) Forget(address string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgotten = append(p.forgotten, address)
	return nil
}

func (p *people) set(address string, boxes ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boxes[address] = boxes
	delete(p.down, address)
}

// faxTo is a bench with a directory and a received fax for some addresses.
func faxTo(t *testing.T, change func(*Options), to ...string) (*bench, *people, queue.OutID) {
	t.Helper()
	p := &people{down: map[string]bool{}, boxes: map[string][]string{
		"sales@contoso.test": {"ann.smith@contoso.test", "bob@contoso.test"}, "a.smith@contoso.test": {"ann.smith@contoso.test"},
		"bob@contoso.test": {"bob@contoso.test"}, "empty@contoso.test": nil}}
	b := newBench(t, func(o *Options) {
		o.Recipients, o.RecipientWait = p, 10*time.Minute
		if change != nil {
			change(o)
		}
	})
	fax := b.receiveFax(t30.Good, t30.Report{Code: t30.CodeOK, Received: 2})
	err := b.q.UpdateOut(fax.Delivery, func(o *queue.Out) error {
		o.To, o.State = to, queue.OutPending
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, p, fax.Delivery
}

// served are all mailboxes that got the fax, in order; one that got it twice stands twice.
func (b *bench) served() []string {
	var all []string
	for _, m := range b.mails {
		all = append(all, m.to...)
	}
	slices.Sort(all)
	return all
}

func (b *bench) out(id queue.OutID) queue.Out {
	b.t.Helper()
	o, err := b.q.Out(id)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

func TestRecipients_AliasesAndGroupsAreMailboxesEachOnce(t *testing.T) {
	b, _, id := faxTo(t, nil, "a.smith@contoso.test", "sales@contoso.test", "Bob@contoso.test")
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"ann.smith@contoso.test", "bob@contoso.test"}) {
		t.Errorf("served: %q", got)
	}
	if o := b.out(id); o.State != queue.OutDone || len(o.Route) != 3 || len(o.Waiting)+len(o.Unknown) != 0 {
		t.Errorf("%+v", o)
	}
}

// What is tried again goes to the mailboxes that were found first, whatever the directory says by then.
func TestRecipients_StayTheSameOverRetries(t *testing.T) {
	b, p, id := faxTo(t, nil, "sales@contoso.test")
	b.replies["bob@contoso.test"] = []smtpstack.Reply{later}
	b.work()
	p.set("sales@contoso.test", "ann.new@contoso.test", "eve@contoso.test")
	if _, err := b.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"ann.smith@contoso.test", "bob@contoso.test"}) || b.out(id).State != queue.OutDone {
		t.Errorf("served: %q, %+v", got, b.out(id))
	}
}

func TestRecipients_UnknownGoesToTheFallbackMailbox(t *testing.T) {
	b, _, id := faxTo(t, func(o *Options) { o.Fallback = "ops@contoso.test" }, "gone@contoso.test", "empty@contoso.test", "bob@contoso.test")
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"bob@contoso.test", "ops@contoso.test"}) {
		t.Errorf("served: %q", got)
	}
	if o := b.out(id); o.State != queue.OutDone || !slices.Equal(o.Unknown, []string{"gone@contoso.test", "empty@contoso.test"}) {
		t.Errorf("%+v", o)
	}
	wantWords(t, b.mails[0].body(t), "Nobody knows the address gone@contoso.test, empty@contoso.test")
	if !b.alarmed("recipient/gone@contoso.test") || !b.alarmed("recipient/empty@contoso.test") {
		t.Errorf("alarms: %+v", b.g.alarms.List())
	}
}

func TestRecipients_UnknownIsHeldWithoutAFallback(t *testing.T) {
	var routed []string
	b, p, id := faxTo(t, func(o *Options) {
		o.Route = func(queue.Fax) ([]string, string, error) { return routed, "route 7", nil }
	}, "gone@contoso.test", "bob@contoso.test")
	routed = []string{"gone@contoso.test", "bob@contoso.test"}
	b.work()
	if _, err := b.q.ReleaseOuts(); err != nil { // the pause before it is looked up again
		t.Fatal(err)
	}
	b.work()
	o := b.out(id)
	if got := b.served(); !slices.Equal(got, []string{"bob@contoso.test"}) || o.State != queue.OutHeld || !slices.Equal(o.Waiting, []string{"gone@contoso.test"}) {
		t.Fatalf("served: %q, %+v", got, o)
	}
	if f, err := b.q.Fax(o.Fax); err != nil || !f.Delivered.IsZero() {
		t.Errorf("a fax that is held counts as delivered: %v", err)
	}
	if !slices.Contains(p.forgotten, "gone@contoso.test") || !slices.ContainsFunc(b.g.alarms.List(), func(a control.Alarm) bool {
		return a.Code == "recipient/gone@contoso.test" && strings.Contains(a.Text, "route 7") && strings.Contains(a.Remedy, "retry-mail")
	}) {
		t.Errorf("forgotten %q, alarms %+v", p.forgotten, b.g.alarms.List())
	}
	t.Run("then it exists", func(t *testing.T) {
		p.set("gone@contoso.test", "gone@contoso.test")
		b.g.probes = probes{} // half an hour later
		b.work()
		if got := b.served(); !slices.Equal(got, []string{"bob@contoso.test", "gone@contoso.test"}) || b.out(id).State != queue.OutDone || b.alarmed("recipient/") {
			t.Errorf("served: %q, %+v, %+v", got, b.out(id), b.g.alarms.List())
		}
	})
}

// Somebody corrects the route, and releases what was held: it goes where the route leads now, and nobody has it twice.
func TestRecipients_TheRouteIsCorrected(t *testing.T) {
	var routed []string
	b, _, id := faxTo(t, func(o *Options) {
		o.Route = func(queue.Fax) ([]string, string, error) { return routed, "route 7", nil }
	}, "gone@contoso.test", "bob@contoso.test")
	routed = []string{"gone@contoso.test", "bob@contoso.test"}
	for range 2 {
		b.work()
		if _, err := b.q.ReleaseOuts(); err != nil {
			t.Fatal(err)
		}
	}
	routed = []string{"sales@contoso.test", "bob@contoso.test"}
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"ann.smith@contoso.test", "bob@contoso.test"}) || b.out(id).State != queue.OutDone {
		t.Errorf("served: %q, %+v", got, b.out(id))
	}
}

// The address that is taken out of a route altogether leaves a fax that somebody has; it never leaves one that nobody has.
func TestRecipients_TheRouteLosesAnAddress(t *testing.T) {
	for name, to := range map[string][]string{"somebody has it": {"gone@contoso.test", "bob@contoso.test"}, "nobody has it": {"gone@contoso.test"}} {
		var routed []string
		b, _, id := faxTo(t, func(o *Options) {
			o.Route = func(queue.Fax) ([]string, string, error) { return routed, "route 7", nil }
		}, to...)
		routed = to
		for range 2 {
			b.work()
			if _, err := b.q.ReleaseOuts(); err != nil {
				t.Fatal(err)
			}
		}
		routed = to[1:]
		b.work()
		want := map[bool]queue.OutState{true: queue.OutDone, false: queue.OutHeld}[len(to) > 1]
		if o := b.out(id); o.State != want {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestRecipients_WhoCannotBeLookedUpWaitsAndIsMailedToInTheEnd(t *testing.T) {
	b, p, id := faxTo(t, nil, "late@contoso.test", "bob@contoso.test", "a.smith@contoso.test")
	p.down["late@contoso.test"], p.down["a.smith@contoso.test"] = true, true
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"bob@contoso.test"}) {
		t.Fatalf("the others wait with it: %q", got)
	}
	o := b.out(id)
	if o.State != queue.OutPending || !o.NotBefore.After(time.Now()) || !slices.Equal(o.Waiting, []string{"late@contoso.test", "a.smith@contoso.test"}) || b.alarmed("recipient/") {
		t.Fatalf("%+v, %+v", o, b.g.alarms.List())
	}
	p.set("a.smith@contoso.test", "bob@contoso.test") // who has it already
	b.g.o.RecipientWait = 0
	if _, err := b.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"bob@contoso.test", "late@contoso.test"}) || b.out(id).State != queue.OutDone {
		t.Errorf("served: %q, %+v", got, b.out(id))
	}
}

// While nobody can be looked up the item only waits: no attempt is made with an empty list.
func TestRecipients_AllWait(t *testing.T) {
	b, p, id := faxTo(t, nil, "late@contoso.test")
	p.down["late@contoso.test"] = true
	b.work()
	if o := b.out(id); len(b.mails) != 0 || o.State != queue.OutPending || !strings.Contains(o.LastReply, "cannot be looked up") || !o.NotBefore.After(time.Now()) {
		t.Fatalf("%+v", o)
	}
	p.set("late@contoso.test", "late@contoso.test")
	if _, err := b.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"late@contoso.test"}) {
		t.Errorf("served: %q", got)
	}
}

// A mailbox that the mail server does not know after all is looked up anew for the next fax.
func TestRecipients_RefusedOnesAreForgotten(t *testing.T) {
	b, p, id := faxTo(t, func(o *Options) { o.Fallback = "ops@contoso.test" }, "sales@contoso.test")
	b.replies["bob@contoso.test"] = []smtpstack.Reply{noMailbox}
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"ann.smith@contoso.test", "ops@contoso.test"}) || b.out(id).State != queue.OutDone {
		t.Errorf("served: %q, %+v", got, b.out(id))
	}
	if !slices.Contains(p.forgotten, "bob@contoso.test") || !slices.Contains(p.forgotten, "sales@contoso.test") {
		t.Errorf("forgotten: %q", p.forgotten)
	}
}

// Notices and alarms are for whom they are for.
func TestRecipients_OnlyOfFaxes(t *testing.T) {
	b, _, _ := faxTo(t, nil, "bob@contoso.test")
	b.failedJob()
	b.work()
	if got := b.served(); !slices.Contains(got, "anna@example.org") {
		t.Errorf("the notice to a sender whom the directory does not know: %q", got)
	}
}

// The power goes between the look-up and the mail, or between two mailboxes: what was found is what is served after it.
func TestRecipients_PowerCut(t *testing.T) {
	b, p, id := faxTo(t, nil, "sales@contoso.test", "late@contoso.test")
	p.down["late@contoso.test"] = true
	o, ok, err := b.q.NextOut(time.Now())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ready, err := b.g.address(t.Context(), o); err != nil || !ready {
		t.Fatal(ready, err)
	}
	again := func() {
		dir := b.st.Dir()
		if err := b.st.Close(); err != nil {
			t.Fatal(err)
		}
		b.open(dir, func(o *Options) { o.Recipients, o.RecipientWait = p, 10*time.Minute })
	}
	again()
	p.set("sales@contoso.test", "eve@contoso.test")
	b.replies["bob@contoso.test"] = []smtpstack.Reply{later}
	b.work()
	again()
	p.set("late@contoso.test", "ann.smith@contoso.test", "late@contoso.test") // one of whom has it
	if _, err := b.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"ann.smith@contoso.test", "bob@contoso.test", "late@contoso.test"}) || b.out(id).State != queue.OutDone {
		t.Errorf("served: %q, %+v", got, b.out(id))
	}
}
