package gateway

import (
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// Keeper puts the pages of one incoming call into the spool and the queue. Make one for each call.
type Keeper struct {
	call.Spool
	rec *queue.Reception
}

var _ call.Keeper = (*Keeper)(nil)

// NewKeeper returns the keeper of a call; n is what is known of it so far.
func (g *Gateway) NewKeeper(n queue.NewFax) *Keeper {
	if n.Started.IsZero() {
		n.Started = time.Now()
	}
	return &Keeper{Spool: call.Spool{Store: g.st}, rec: g.q.Reception(n)}
}

// PutPage records a page; the first one makes the fax.
func (k *Keeper) PutPage(far t30.Remote, n int, p call.Page) error {
	return k.rec.PutPage(far, n, queue.FaxPage(p))
}

// DropPage takes the last page out again.
func (k *Keeper) DropPage(n int) error { return k.rec.DropPage(n) }

// Finish ends the fax, which makes its delivery. ok is false when the call brought no page.
func (k *Keeper) Finish(r t30.Report) (f queue.Fax, ok bool, err error) {
	end := queue.FaxEnd{Code: r.Code, RemoteID: r.Remote.ID, Complete: call.Complete(r)}
	if !end.Complete {
		end.Text = r.Code.String()
	}
	return k.rec.Finish(end)
}
