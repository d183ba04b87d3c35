package gateway

import (
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// Keeper puts the pages of one incoming call into the spool and the queue. Make one for each call.
type Keeper struct {
	call.Spool
	q   *queue.Queue
	fax queue.NewFax

	mu sync.Mutex
	id queue.FaxID
}

// NewKeeper returns the keeper of a call; n is what is known of it so far.
func (g *Gateway) NewKeeper(n queue.NewFax) *Keeper {
	if n.Started.IsZero() {
		n.Started = time.Now()
	}
	return &Keeper{Spool: call.Spool{Store: g.st}, q: g.q, fax: n}
}

var _ call.Keeper = (*Keeper)(nil)

// PutPage records a page; the first one makes the fax.
func (k *Keeper) PutPage(far t30.Remote, n int, p call.Page) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.id != "" {
		return k.q.PutPage(k.id, n, queue.FaxPage(p))
	}
	k.fax.RemoteID, k.fax.Subaddress = far.ID, far.Subaddress
	id, err := k.q.BeginFax(k.fax, queue.FaxPage(p))
	if err != nil {
		return err
	}
	k.id = id
	return nil
}

// DropPage takes the last page out again.
func (k *Keeper) DropPage(n int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.q.DropPage(k.id, n)
}

// ID returns the fax's id, "" while no page was recorded.
func (k *Keeper) ID() queue.FaxID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.id
}

// Finish ends the fax, which makes its delivery. ok is false when the call brought no page.
func (k *Keeper) Finish(r t30.Report) (f queue.Fax, ok bool, err error) {
	id := k.ID()
	if id == "" {
		return queue.Fax{}, false, nil
	}
	text := ""
	if !call.Complete(r) {
		text = r.Code.String()
	}
	f, err = k.q.FinishFax(id, queue.FaxEnd{Code: r.Code, Text: text, RemoteID: r.Remote.ID, Complete: call.Complete(r)})
	return f, err == nil && len(f.Pages) > 0, err
}
