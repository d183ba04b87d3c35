package queue

import (
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// Retention is how long finished things are kept; 0: for good.
type Retention struct {
	Jobs  time.Duration // ended jobs, with their documents and mails
	Faxes time.Duration // received faxes, from their delivery on; undelivered ones are always kept
	Outs  time.Duration // outbox items that are done
	Calls time.Duration // call records, with their transcripts
}

// Purge removes what is over its retention, dial ledger entries older than a day or the rule's lock, and what is
// remembered of numbers that told nothing for half a year. A received fax goes only when its delivery succeeded.
func (q *Queue) Purge(now time.Time, r Retention) error {
	return q.update("purge", func(tx *store.Tx) error {
		if r.Jobs > 0 {
			if err := q.purgeJobs(tx, now.Add(-r.Jobs)); err != nil {
				return err
			}
		}
		if r.Faxes > 0 {
			if err := q.purgeFaxes(tx, now.Add(-r.Faxes)); err != nil {
				return err
			}
		}
		if r.Outs > 0 {
			if err := purge(tx, outs, func(o Out) bool { return o.State.final() && o.Ended.Before(now.Add(-r.Outs)) }); err != nil {
				return err
			}
		}
		if err := purgeOutLogs(tx, now); err != nil {
			return err
		}
		if r.Calls > 0 {
			if err := q.CallLog().purge(tx, now.Add(-r.Calls)); err != nil {
				return err
			}
		}
		old := now.Add(-max(24*time.Hour, q.o.Dial.Lock, q.o.Dial.Gap))
		if err := purge(tx, ledger, func(d dialed) bool { return !d.Open && d.Last.Before(old) }); err != nil {
			return err
		}
		return purge(tx, farEnds, func(f FarEnd) bool { return f.Last.Before(now.Add(-lifetime)) })
	})
}

// purge deletes the records that are old.
func purge[V any](tx *store.Tx, t store.Table[V], old func(V) bool) error {
	var keys []string
	err := t.Each(tx, func(key string, v V) error {
		if old(v) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := t.Delete(tx, k); err != nil {
			return err
		}
	}
	return nil
}

// purgeJobs takes out old jobs, then the mails none of whose jobs is left, then the documents that nothing names.
func (q *Queue) purgeJobs(tx *store.Tx, before time.Time) error {
	var gone []string
	kept := map[string]bool{}
	err := purge(tx, jobs, func(j Job) bool {
		told := j.Sender == "" || j.Notice != ""
		old := j.State.Final() && told && j.Ended.Before(before)
		if old {
			gone = append(gone, j.Document)
		} else {
			kept[j.Document] = true
		}
		return old
	})
	if err != nil {
		return err
	}
	err = purge(tx, mails, func(m Mail) bool {
		if m.State != MailExpanded || !m.Received.Before(before) {
			return false
		}
		for _, id := range m.Jobs {
			if jobs.Has(tx, string(id)) {
				return false
			}
		}
		if relaying(tx, m) {
			return false
		}
		gone = append(gone, m.File)
		return true
	})
	if err != nil {
		return err
	}
	for _, name := range gone {
		if !kept[name] {
			q.remove(tx, name)
		}
	}
	return nil
}

func (q *Queue) purgeFaxes(tx *store.Tx, before time.Time) error {
	var old []Fax
	err := faxes.Each(tx, func(_ string, f Fax) error {
		if f.State != FaxReceiving && !f.Delivered.IsZero() && f.Delivered.Before(before) {
			old = append(old, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range old {
		if err := q.deleteFax(tx, f); err != nil {
			return err
		}
	}
	return nil
}
