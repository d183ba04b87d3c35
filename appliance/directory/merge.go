package directory

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tipring/tipring/appliance/store"
)

// merge works out what a file makes of the table, before anything is written.
type merge struct {
	faults *ImportError
	old    map[string]Entry // the table as it is, by key
	now    map[string]Entry // as it will be
	lines  map[string]int   // of the file, by key
}

func (m *merge) load(tx *store.Tx) error {
	return entries.Each(tx, func(k string, e Entry) error { m.old[k] = e; return nil })
}

// apply puts the rows over the table, or in place of it.
func (m *merge) apply(rows []row, instead bool) {
	if !instead {
		maps.Copy(m.now, m.old)
	}
	for _, r := range rows {
		e, err := m.entry(r)
		if err != nil {
			m.faults.add(r.line, "%w", err)
			continue
		}
		if first, twice := m.lines[e.key()]; twice {
			m.faults.add(r.line, "%s stands in line %d already", e.Ref(), first)
			continue
		}
		m.lines[e.key()], m.now[e.key()] = r.line, e
	}
	if len(m.now) > maxEntries {
		m.faults.add(1, "more than %d entries", maxEntries)
	}
}

// entry is the old entry of a row's name with the row's cells put over it.
func (m *merge) entry(r row) (Entry, error) {
	e, err := Entry{Kind: r.kind, Name: r.name}.canonical()
	if err != nil {
		return e, err
	}
	name := e.Name
	if old, have := m.old[e.key()]; have {
		e = old
		e.Name = name // a group's capitals may change
		if e.Permission != nil {
			p := *e.Permission
			e.Permission = &p
		}
	}
	for i, cell := range r.cells {
		if cell == nil || columns[i].set == nil {
			continue
		}
		if err := columns[i].set(&e, *cell); err != nil {
			return e, fmt.Errorf("column %s: %w", columns[i].name, err)
		}
	}
	return e.canonical()
}

// checkAddresses finds addresses that two entries would have.
func (m *merge) checkAddresses() {
	owner := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(m.now)) {
		e := m.now[k]
		addresses := e.Aliases
		if e.Kind == User {
			addresses = append([]string{e.Name}, e.Aliases...)
		}
		for _, a := range addresses {
			other, taken := owner[a]
			if !taken {
				owner[a] = k
				continue
			}
			line, with := m.lines[k], other
			if line < m.lines[other] {
				line, with = m.lines[other], k // tell of the later line; entries of the table have none
			}
			m.faults.add(line, "address %s: %s has it already", a, m.now[with].Ref())
		}
	}
}

// write makes the table so.
func (m *merge) write(tx *store.Tx) (ImportResult, error) {
	var res ImportResult
	var changed []Entry
	for _, k := range slices.Sorted(maps.Keys(m.now)) {
		e := m.now[k]
		old, had := m.old[k]
		switch {
		case !had:
			res.Added++
		case same(old, e):
			res.Same++
			continue
		default:
			res.Changed++
			// First all old aliases go: one may move from entry to entry.
			if err := drop(tx, k); err != nil {
				return res, err
			}
		}
		changed = append(changed, e)
	}
	for k := range m.old {
		if _, stays := m.now[k]; !stays {
			res.Removed++
			if err := drop(tx, k); err != nil && !errors.Is(err, ErrNotFound) {
				return res, err
			}
		}
	}
	for _, e := range changed {
		if err := replace(tx, e); err != nil {
			return res, err
		}
	}
	return res, nil
}
