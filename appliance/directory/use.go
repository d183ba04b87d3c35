package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// use is what a user sent on the last day that something was sent.
type use struct {
	Day   string `json:"day"` // of the directory's zone: 2006-01-02
	Faxes int    `json:"faxes"`
	Pages int    `json:"pages"`
}

// reservation is one job's share of a user's day.
type reservation struct {
	User   string `json:"user"`
	Day    string `json:"day"`
	Number string `json:"number"`
	Pages  int    `json:"pages"`
	Rule   string `json:"rule"`
}

// keeping is what is known of the two tables without walking them.
type keeping struct {
	Pruned string `json:"pruned"` // day
	Count  int    `json:"count"`  // reservations, at least
}

var (
	uses         = store.NewTable[use]("directory use") // by the user's primary address
	reservations = store.NewTable[reservation]("directory reservations")
	keepings     = store.NewTable[keeping]("directory keeping")
)

const (
	reservationsFor = 31 // days; no job lives longer
	maxReservations = 100000
	keepingKey      = "use"
)

// Reserve is May for a job whose pages are counted, and takes them off the user's day when it is allowed, in one
// transaction. The job is the key: asking again for the same job, as after a crash, counts nothing twice and is allowed
// as before; with other pages or another number the job's old share is given back first. Errors: ErrUnavailable.
func (d *Directory) Reserve(ctx context.Context, job, who, number string, pages int, at time.Time) (Decision, error) {
	id, perms, err := d.identify(ctx, who)
	if err != nil {
		return Decision{}, err
	}
	var dec Decision
	err = d.st.Update(func(tx *store.Tx) error {
		old, err := reservations.Get(tx, job)
		if err == nil && old.Number == number && old.Pages == pages && old.User == id.Address {
			dec = Decision{Allowed: true, Rule: old.Rule, Identity: id, Reason: "The fax is counted already."}
			return nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if dec = d.judge(id, perms, number, pages, at); !dec.Allowed {
			return release(tx, job)
		}
		if err := release(tx, job); err != nil {
			return err
		}
		if err := d.underLimits(tx, &dec, perms, number, pages, at); err != nil || !dec.Allowed {
			return err
		}
		return d.reserve(tx, job, dec, number, pages, at)
	})
	return dec, wrap("reserve", err)
}

// Release gives back what a job reserved: it was canceled, or failed before anything was dialed. There need be nothing.
func (d *Directory) Release(job string) error {
	return wrap("release", d.st.Update(func(tx *store.Tx) error { return release(tx, job) }))
}

// Used tells what a user sent on the day of at. who is an address of the table's user, or of a sender as counted.
func (d *Directory) Used(who string, at time.Time) (faxes, pages int, err error) {
	address, err := Normalize(who)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	err = d.st.View(func(tx *store.Tx) error {
		if e, err := byAddress(tx, address); err == nil && e.Kind == User {
			address = e.Name
		}
		u, err := d.today(tx, address, at)
		faxes, pages = u.Faxes, u.Pages
		return err
	})
	return faxes, pages, wrap("used", err)
}

// today returns a user's day. When the clock went back to the day before, the later day goes on: setting the
// clock gives nobody a second allowance. A day further in the future was a wrong clock's.
func (d *Directory) today(tx *store.Tx, user string, at time.Time) (use, error) {
	day := at.In(d.o.Zone).Format(time.DateOnly)
	u, err := uses.Get(tx, user)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return u, err
	}
	if u.Day != day && u.Day != at.In(d.o.Zone).AddDate(0, 0, 1).Format(time.DateOnly) {
		return use{Day: day}, nil
	}
	return u, nil
}

// underLimits refuses what goes over the daily limits of the permissions that permit number.
func (d *Directory) underLimits(tx *store.Tx, dec *Decision, perms []Entry, number string, pages int, at time.Time) error {
	scratch := Decision{}
	deciding, _ := scratch.destination(perms, number)
	u, err := d.today(tx, dec.Identity.Address, at)
	if err != nil {
		return err
	}
	for _, e := range deciding {
		p := e.Permission
		if p.FaxesPerDay > 0 {
			dec.step("%s: %d of %d faxes of the day are used.", e.Ref(), u.Faxes, p.FaxesPerDay)
		}
		if p.PagesPerDay > 0 {
			dec.step("%s: %d of %d pages of the day are used.", e.Ref(), u.Pages, p.PagesPerDay)
		}
		switch {
		case p.FaxesPerDay > 0 && u.Faxes+1 > p.FaxesPerDay:
			dec.refuse(e.Ref(), "%s may send at most %d faxes a day, and they are used up.", subject(e), p.FaxesPerDay)
		case p.PagesPerDay > 0 && pages > p.PagesPerDay:
			dec.refuse(e.Ref(), "%s may send at most %d pages a day; this fax alone has %d.", subject(e), p.PagesPerDay, pages)
			return nil // not tomorrow either
		case p.PagesPerDay > 0 && u.Pages+max(pages, 1) > p.PagesPerDay:
			dec.refuse(e.Ref(), "%s may send at most %d pages a day; %d are left.", subject(e), p.PagesPerDay, max(p.PagesPerDay-u.Pages, 0))
		default:
			continue
		}
		dec.Temporary = true
		return nil
	}
	return nil
}

// reserve counts an allowed fax.
func (d *Directory) reserve(tx *store.Tx, job string, dec Decision, number string, pages int, at time.Time) error {
	user := dec.Identity.Address
	u, err := d.today(tx, user, at)
	if err != nil {
		return err
	}
	u.Faxes++
	u.Pages += pages
	if err := uses.Put(tx, user, u); err != nil {
		return err
	}
	if err := d.keep(tx, at); err != nil {
		return err
	}
	return reservations.Put(tx, job, reservation{User: user, Day: u.Day, Number: number, Pages: pages, Rule: dec.Rule})
}

func release(tx *store.Tx, job string) error {
	r, err := reservations.Get(tx, job)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	u, err := uses.Get(tx, r.User)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil && u.Day == r.Day {
		u.Faxes, u.Pages = max(u.Faxes-1, 0), max(u.Pages-r.Pages, 0)
		if err := uses.Put(tx, r.User, u); err != nil {
			return err
		}
	}
	return reservations.Delete(tx, job)
}

// keep prunes both tables: once a day what is too old, and the oldest tenth of the reservations when there are too many.
func (d *Directory) keep(tx *store.Tx, at time.Time) error {
	k, err := keepings.Get(tx, keepingKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	today := at.In(d.o.Zone).Format(time.DateOnly)
	if k.Pruned != today || k.Count >= d.maxReservations {
		if k.Count, err = d.prune(tx, at.In(d.o.Zone)); err != nil {
			return err
		}
		k.Pruned = today
	}
	k.Count++
	return keepings.Put(tx, keepingKey, k)
}

// prune returns how many reservations are left.
func (d *Directory) prune(tx *store.Tx, at time.Time) (int, error) {
	from, until := at.AddDate(0, 0, -reservationsFor).Format(time.DateOnly), at.AddDate(0, 0, 1).Format(time.DateOnly)
	old := func(day string) bool { return day < from || day > until }
	var drop, stay []string // jobs; their ids sort by age
	err := reservations.Each(tx, func(job string, r reservation) error {
		if old(r.Day) {
			drop = append(drop, job)
		} else {
			stay = append(stay, job)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if surplus := len(stay) - d.maxReservations + d.maxReservations/10; len(stay) >= d.maxReservations {
		drop, stay = append(drop, stay[:surplus]...), stay[surplus:]
	}
	for _, job := range drop {
		if err := reservations.Delete(tx, job); err != nil {
			return 0, err
		}
	}
	var users []string
	err = uses.Each(tx, func(user string, u use) error {
		if old(u.Day) {
			users = append(users, user)
		}
		return nil
	})
	for _, user := range users {
		err = errors.Join(err, uses.Delete(tx, user))
	}
	return len(stay), err
}
