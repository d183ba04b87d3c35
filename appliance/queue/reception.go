package queue

import "github.com/tipring/tipring/t30"

// Reception records the pages of one incoming call as a fax, which begins with the first page. It is the record half
// of a page sink's keeper and is used by one goroutine at a time.
type Reception struct {
	q   *Queue
	new NewFax
	id  FaxID
}

// Reception prepares for the pages of one call.
func (q *Queue) Reception(n NewFax) *Reception { return &Reception{q: q, new: n} }

// ID returns the fax's id; "" before its first page.
func (r *Reception) ID() FaxID { return r.id }

// PutPage records page n (from 1) of the call; far completes what is known of the caller.
func (r *Reception) PutPage(far t30.Remote, n int, p FaxPage) error {
	if r.id != "" {
		return r.q.PutPage(r.id, n, p)
	}
	if far.ID != "" {
		r.new.RemoteID = far.ID
	}
	if far.Subaddress != "" {
		r.new.Subaddress = far.Subaddress
	}
	if far.Dialed != "" {
		r.new.Dialed = far.Dialed
	}
	id, err := r.q.BeginFax(r.new, p)
	if err != nil {
		return err
	}
	r.id = id
	return nil
}

// DropPage takes the last page out again.
func (r *Reception) DropPage(n int) error { return r.q.DropPage(r.id, n) }

// Finish ends the fax, if a page came, and makes its delivery;
// false: no page came.
func (r *Reception) Finish(e FaxEnd) (Fax, bool, error) {
	if r.id == "" {
		return Fax{}, false, nil
	}
	f, err := r.q.FinishFax(r.id, e)
	return f, err == nil && len(f.Pages) > 0, err
}

// Journal records how far a job's document is: the Journal of a document that is being sent.
type Journal struct {
	q  *Queue
	id JobID
}

// Journal returns the job's journal.
func (q *Queue) Journal(id JobID) Journal { return Journal{q, id} }

// PageStarted is Queue.PageStarted.
func (j Journal) PageStarted(n int) error { return j.q.PageStarted(j.id, n) }

// PageSent is Queue.PageSent.
func (j Journal) PageSent(n int) error { return j.q.PageSent(j.id, n) }

// ConfirmPage is Queue.ConfirmPage.
func (j Journal) ConfirmPage(n int, r t30.PageResult) error { return j.q.ConfirmPage(j.id, n, r) }

// RefusePage is Queue.RefusePage.
func (j Journal) RefusePage(n int, r t30.PageResult) error { return j.q.RefusePage(j.id, n, r) }
