package queue

import (
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// FaxState is where a received fax is.
type FaxState string

const (
	FaxReceiving FaxState = "receiving"
	FaxComplete  FaxState = "complete" // the caller ended the call as it should be
	FaxPartial   FaxState = "partial"  // the call or the program ended before; the pages that came are kept
)

// NewFax is what is known when the first page of a call is stored.
type NewFax struct {
	Line       string    `json:"line"`
	Caller     string    `json:"caller,omitempty"`      // calling number as the exchange told it
	CallerName string    `json:"caller_name,omitempty"` // likewise
	Dialed     string    `json:"dialed,omitempty"`      // digits dialed to reach us
	RemoteID   string    `json:"remote_id,omitempty"`   // TSI
	Subaddress string    `json:"subaddress,omitempty"`  // SUB
	Started    time.Time `json:"started"`
	Call       CallID    `json:"call,omitempty"`
}

// Fax is one received fax.
type Fax struct {
	ID FaxID `json:"id"`
	NewFax
	State     FaxState  `json:"state"`
	Ended     time.Time `json:"ended,omitzero"`
	Code      t30.Code  `json:"code"`
	Text      string    `json:"text,omitempty"`
	Pages     []FaxPage `json:"pages,omitempty"`
	Document  string    `json:"document,omitempty"` // spool file of all pages, a TIFF; "" until SetFaxDocument
	Delivery  OutID     `json:"delivery,omitempty"`
	Delivered time.Time `json:"delivered,omitzero"` // by the mail server's word, or when somebody fetched it
	Bare      bool      `json:"bare,omitempty"`     // a mail about it does not hold it: it stays until it is fetched
	Told      time.Time `json:"told,omitzero"`      // when the last such mail was accepted
}

// FaxPage is one received page: a spool file of coded data as it came off the line.
type FaxPage struct {
	File       string         `json:"file"`
	Resolution t30.Resolution `json:"resolution"`
	Width      int            `json:"width_pels"`
	Coding     t30.Coding     `json:"coding"`
	ECM        bool           `json:"ecm"`
	Octets     int64          `json:"octets"`
	Lines      int            `json:"lines,omitempty"`
	BadLines   int            `json:"bad_lines,omitempty"`
	Open       bool           `json:"open,omitempty"`      // still growing; after a crash: as much as was synced
	Confirmed  bool           `json:"confirmed,omitempty"` // MCF or RTP followed
	Poor       bool           `json:"poor,omitempty"`      // RTP
	Damaged    bool           `json:"damaged,omitempty"`   // RTN: a better copy may follow
	At         time.Time      `json:"at"`
}

// FaxEnd tells how the call of a received fax ended.
type FaxEnd struct {
	Code     t30.Code
	Text     string
	RemoteID string // when it came late
	Call     CallID // the call's record; "" none
	Complete bool   // the caller sent all it wanted
}

// BeginFax records a received fax with its first page, whose file is published in the spool.
func (q *Queue) BeginFax(n NewFax, first FaxPage) (FaxID, error) {
	var id FaxID
	err := q.update("begin fax", func(tx *store.Tx) error {
		s, err := tx.NewID(time.Now())
		if err != nil {
			return err
		}
		id = FaxID(s)
		return faxes.Put(tx, s, Fax{ID: id, NewFax: n, State: FaxReceiving, Pages: []FaxPage{first}})
	})
	return id, err
}

// PutPage records page n (from 1): a new one behind the last, or how a page recorded already goes on. For a page that
// is to be confirmed it runs before the MCF. A page whose file changes loses the file before.
func (q *Queue) PutPage(id FaxID, n int, p FaxPage) error {
	return q.changeFax("put page", id, func(tx *store.Tx, f *Fax) error {
		switch {
		case f.State != FaxReceiving:
			return fmt.Errorf("%w: fax %s is %s", ErrState, id, f.State)
		case n == len(f.Pages)+1:
			f.Pages = append(f.Pages, p)
		case n >= 1 && n <= len(f.Pages):
			if old := f.Pages[n-1].File; old != p.File {
				q.remove(tx, old)
			}
			f.Pages[n-1] = p
		default:
			return fmt.Errorf("%w: page %d of a fax with %d", ErrState, n, len(f.Pages))
		}
		return nil
	})
}

// DropPage takes the last page out again: nothing of it could be used.
func (q *Queue) DropPage(id FaxID, n int) error {
	return q.changeFax("drop page", id, func(tx *store.Tx, f *Fax) error {
		if f.State != FaxReceiving || n != len(f.Pages) || n < 1 {
			return fmt.Errorf("%w: page %d of fax %s with %d pages, %s", ErrState, n, id, len(f.Pages), f.State)
		}
		q.remove(tx, f.Pages[n-1].File)
		f.Pages = f.Pages[:n-1]
		return nil
	})
}

// FinishFax ends a fax and makes its delivery in the outbox in the same transaction. One without any page is taken out.
func (q *Queue) FinishFax(id FaxID, e FaxEnd) (Fax, error) {
	var f Fax
	err := q.update("finish fax", func(tx *store.Tx) (err error) {
		if f, err = faxes.Get(tx, string(id)); err != nil {
			return err
		}
		return q.finishFax(tx, &f, e)
	})
	return f, err
}

func (q *Queue) finishFax(tx *store.Tx, f *Fax, e FaxEnd) error {
	if f.State != FaxReceiving {
		return fmt.Errorf("%w: fax %s is %s", ErrState, f.ID, f.State)
	}
	if len(f.Pages) == 0 {
		return faxes.Delete(tx, string(f.ID))
	}
	f.State, f.Ended, f.Code, f.Text = FaxPartial, time.Now(), e.Code, e.Text
	if e.Complete {
		f.State = FaxComplete
	}
	if e.RemoteID != "" {
		f.RemoteID = e.RemoteID
	}
	if e.Call != "" {
		f.Call = e.Call
	}
	var to []string
	if q.o.Route != nil {
		to = q.o.Route(tx, *f)
	}
	id, err := q.addOut(tx, NewOut{Kind: KindFax, To: to, Fax: f.ID, Payload: Delivery{State: f.State, Pages: len(f.Pages)}})
	if err != nil {
		return err
	}
	f.Delivery = id
	if err := count(tx, countReceived); err != nil {
		return err
	}
	return faxes.Put(tx, string(f.ID), *f)
}

// SetFaxDocument gives a finished fax the spool file with all its pages in one document. The page files stay until the
// fax is deleted.
func (q *Queue) SetFaxDocument(id FaxID, file string) error {
	return q.changeFax("set fax document", id, func(tx *store.Tx, f *Fax) error {
		if f.Document != "" && f.Document != file {
			q.remove(tx, f.Document)
		}
		f.Document = file
		return nil
	})
}

func (q *Queue) changeFax(op string, id FaxID, change func(tx *store.Tx, f *Fax) error) error {
	return q.update(op, func(tx *store.Tx) error {
		f, err := faxes.Get(tx, string(id))
		if err != nil {
			return err
		}
		if err := change(tx, &f); err != nil {
			return err
		}
		return faxes.Put(tx, string(id), f)
	})
}

// Fax returns one received fax. Errors: ErrNotFound.
func (q *Queue) Fax(id FaxID) (Fax, error) {
	var f Fax
	err := q.view("fax", func(tx *store.Tx) (err error) {
		f, err = faxes.Get(tx, string(id))
		return err
	})
	return f, err
}

// Faxes returns the newest received faxes, newest first, at most limit (0: all).
func (q *Queue) Faxes(limit int) ([]Fax, error) {
	var list []Fax
	err := q.view("faxes", func(tx *store.Tx) error {
		return faxes.EachBack(tx, func(_ string, f Fax) error {
			if list = append(list, f); len(list) == limit {
				return store.ErrStop
			}
			return nil
		})
	})
	return list, err
}

// DeleteFax removes a received fax and its files by hand, delivered or not; a delivery still on its way is dropped.
func (q *Queue) DeleteFax(id FaxID) error {
	return q.update("delete fax", func(tx *store.Tx) error {
		f, err := faxes.Get(tx, string(id))
		if err != nil {
			return err
		}
		if f.State == FaxReceiving {
			return fmt.Errorf("%w: fax %s is being received", ErrState, id)
		}
		left, err := deliveriesOf(tx, f.ID)
		if err != nil {
			return err
		}
		for _, o := range left {
			o.State, o.Ended, o.LastReply = OutDropped, time.Now(), "the fax was deleted by hand"
			if err := putOut(tx, o); err != nil {
				return err
			}
		}
		return q.deleteFax(tx, f)
	})
}

func (q *Queue) deleteFax(tx *store.Tx, f Fax) error {
	for _, p := range f.Pages {
		q.remove(tx, p.File)
	}
	q.remove(tx, f.Document)
	return faxes.Delete(tx, string(f.ID))
}

// markDelivered notes in the fax that a mail with it, or with a part of it, was accepted; a fax deleted meanwhile is no
// error. It is delivered with the last part, unless it has to be fetched.
func markDelivered(tx *store.Tx, o Out) error {
	f, err := faxes.Get(tx, string(o.Fax))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Bare = f.Bare || o.Bare
	left, err := deliveriesOf(tx, f.ID)
	if err != nil {
		return err
	}
	switch {
	case len(left) > 0:
	case f.Bare:
		f.Told = time.Now()
	default:
		f.Delivered = time.Now()
	}
	return faxes.Put(tx, string(f.ID), f)
}

// deliveriesOf returns the mails with a fax or its parts that are not done.
func deliveriesOf(tx *store.Tx, id FaxID) (list []Out, err error) {
	err = eachUnsent(tx, func(o Out) error {
		if o.Kind == KindFax && o.Fax == id {
			list = append(list, o)
		}
		return nil
	})
	return list, err
}

// FetchedFax notes that somebody has got the fax whole from here. One that was only told of by mail is thereby delivered.
func (q *Queue) FetchedFax(id FaxID) error {
	return q.changeFax("fetched fax", id, func(_ *store.Tx, f *Fax) error {
		if !f.Told.IsZero() && f.Delivered.IsZero() {
			f.Delivered = time.Now()
		}
		return nil
	})
}
