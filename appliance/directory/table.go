package directory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/tipring/tipring/appliance/store"
)

var (
	entries = store.NewTable[Entry]("directory")
	owners  = store.NewTable[string]("directory aliases") // address to the key of the entry whose alias it is
)

// List returns the entries of the given kinds, or all, sorted by kind and name.
func (d *Directory) List(kinds ...Kind) ([]Entry, error) {
	list := []Entry{}
	err := d.st.View(func(tx *store.Tx) error {
		return entries.Each(tx, func(_ string, e Entry) error {
			if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
				list = append(list, e)
			}
			return nil
		})
	})
	return list, wrap("list", err)
}

// Get returns one entry; a user also by an alias, in any spelling. Errors: ErrNotFound.
func (d *Directory) Get(k Kind, name string) (e Entry, err error) {
	err = d.st.View(func(tx *store.Tx) error {
		e, err = find(tx, k, name)
		return err
	})
	return e, wrap("get", err)
}

func find(tx *store.Tx, k Kind, name string) (Entry, error) {
	switch {
	case k == Everyone:
		name = "*"
	case k == User:
		if n, err := Normalize(name); err == nil {
			name = n
		}
		if e, err := byAddress(tx, name); err == nil && e.Kind == User {
			return e, nil
		}
	}
	return entries.Get(tx, key(k, name))
}

// byAddress returns the user or group that has a normalized address. Errors: ErrNotFound.
func byAddress(tx *store.Tx, address string) (Entry, error) {
	k := key(User, address)
	if !entries.Has(tx, k) {
		owner, err := owners.Get(tx, address)
		if err != nil {
			return Entry{}, err
		}
		k = owner
	}
	return entries.Get(tx, k)
}

// Put stores an entry in place of the one of its kind and name, and returns it as stored. Errors: ErrEntry.
func (d *Directory) Put(e Entry) (Entry, error) {
	e, err := e.canonical()
	if err != nil {
		return e, err
	}
	err = d.st.Update(func(tx *store.Tx) error {
		if !entries.Has(tx, e.key()) && entries.Len(tx) >= maxEntries {
			return fmt.Errorf("%w: there are %d entries already", ErrEntry, maxEntries)
		}
		if err := free(tx, e); err != nil {
			return err
		}
		return replace(tx, e)
	})
	return e, wrap("put", err)
}

// free tells whether nobody else has the entry's addresses.
func free(tx *store.Tx, e Entry) error {
	addresses := e.Aliases
	if e.Kind == User {
		addresses = append([]string{e.Name}, e.Aliases...)
	}
	for _, a := range addresses {
		have, err := byAddress(tx, a)
		if err == nil && have.key() != e.key() {
			return fmt.Errorf("%w: %s: %s has the address %s already", ErrEntry, e.Ref(), have.Ref(), a)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// replace stores a canonical entry whose addresses are free.
func replace(tx *store.Tx, e Entry) error {
	if err := drop(tx, e.key()); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, a := range e.Aliases {
		if err := owners.Put(tx, a, e.key()); err != nil {
			return err
		}
	}
	return entries.Put(tx, e.key(), e)
}

// Delete takes an entry out. The users of a deleted group still name it. Errors: ErrNotFound.
func (d *Directory) Delete(k Kind, name string) error {
	return wrap("delete", d.st.Update(func(tx *store.Tx) error {
		e, err := find(tx, k, name)
		if err != nil {
			return err
		}
		return drop(tx, e.key())
	}))
}

func drop(tx *store.Tx, k string) error {
	e, err := entries.Get(tx, k)
	if err != nil {
		return err
	}
	for _, a := range e.Aliases {
		if err := owners.Delete(tx, a); err != nil {
			return err
		}
	}
	return entries.Delete(tx, k)
}

// Active tells whether any entry has a permission: before the first one is made, nobody is asked to have one.
func (d *Directory) Active() (active bool, err error) {
	err = d.st.View(func(tx *store.Tx) error {
		return entries.Each(tx, func(_ string, e Entry) error {
			if active = e.Permission != nil; active {
				return store.ErrStop
			}
			return nil
		})
	})
	return active, wrap("list", err)
}

// Table returns the table as a Source of mailboxes and groups. A user's address and aliases resolve to the user, a
// group's aliases to the users that name the group.
func (d *Directory) Table() Source { return tableSource{d.st} }

type tableSource struct{ st *store.Store }

func (tableSource) Name() string { return "table" }

// Lookup implements [Source].
func (t tableSource) Lookup(_ context.Context, address string) (res Result, err error) {
	err = t.entry(address, func(tx *store.Tx, e Entry) error {
		res = Result{Address: e.Name, Name: e.Display, Mailboxes: []string{e.Name}, Source: t.Name()}
		if e.Kind == User {
			return nil
		}
		res.Address, res.Name, res.Group, res.Mailboxes = e.Aliases[0], e.Name, true, nil
		return entries.Each(tx, func(_ string, u Entry) error {
			if u.Kind == User && u.in(e.Name) {
				res.Mailboxes = append(res.Mailboxes, u.Name)
			}
			return nil
		})
	})
	if err == nil && len(res.Mailboxes) > maxMailboxes {
		err = &Failure{Source: t.Name(), Remedy: tooManyMembers, Err: fmt.Errorf("group %s has %d members", res.Name, len(res.Mailboxes))}
	}
	return res, err
}

// Member implements [Source].
func (t tableSource) Member(_ context.Context, address string) (m Member, err error) {
	err = t.entry(address, func(_ *store.Tx, e Entry) error {
		if e.Kind != User {
			return fmt.Errorf("%w: %s is a group", ErrUnknown, address)
		}
		m = Member{Address: e.Name, Name: e.Display, Groups: e.Groups, Source: t.Name()}
		return nil
	})
	return m, err
}

func (t tableSource) entry(address string, f func(*store.Tx, Entry) error) error {
	n, err := Normalize(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	err = t.st.View(func(tx *store.Tx) error {
		e, err := byAddress(tx, n)
		if err != nil {
			return err
		}
		return f(tx, e)
	})
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %s", ErrUnknown, n)
	}
	return err
}

// in tells whether a user names a group.
func (e Entry) in(group string) bool {
	return slices.ContainsFunc(e.Groups, func(g string) bool { return fold(g) == fold(group) })
}

// same tells whether two canonical entries say the same.
func same(a, b Entry) bool { return reflect.DeepEqual(a, b) }

func wrap(op string, err error) error {
	if err == nil || errors.Is(err, ErrEntry) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("directory: %s: %w", op, err)
}
