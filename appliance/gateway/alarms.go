package gateway

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/store"
)

// Alarms is the short list of what an operator must see to. It lasts over restarts; an alarm stays until its cause is
// gone or somebody clears it.
type Alarms struct {
	st     *store.Store
	mailed func(control.Alarm) // told of each new alarm; may be nil

	mu  sync.Mutex
	now map[string]control.Alarm
}

var alarmTable = store.NewTable[control.Alarm]("alarms")

// maxAlarms bounds the list: codes carry names of lines, so a few dozen are already many.
const maxAlarms = 200

// alarmRest is the least time between two writes of an alarm that is only seen again.
const alarmRest = time.Minute

// OpenAlarms reads the list. tell, which may be nil, hears of each alarm that was not on the list before.
func OpenAlarms(st *store.Store, tell func(control.Alarm)) (*Alarms, error) {
	a := &Alarms{st: st, mailed: tell, now: map[string]control.Alarm{}}
	err := st.View(func(tx *store.Tx) error {
		return alarmTable.Each(tx, func(code string, v control.Alarm) error {
			a.now[code] = v
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: alarms: %w", err)
	}
	return a, nil
}

// Raise puts an alarm on the list, or marks it as seen again. Codes are stable words like "line-lost/east"; text says
// what is wrong, remedy what to do. A list that cannot be stored (the disk is full) is kept in memory.
func (a *Alarms) Raise(code, text, remedy string) {
	now := time.Now()
	a.mu.Lock()
	v, known := a.now[code]
	if !known && len(a.now) >= maxAlarms {
		a.mu.Unlock()
		return
	}
	write := !known || v.Text != text || now.Sub(v.Last) >= alarmRest
	if !known {
		v.Since = now
	}
	v.Code, v.Text, v.Remedy, v.Last = code, text, remedy, now
	v.Count++
	a.now[code] = v
	a.mu.Unlock()
	if write {
		_ = a.st.Update(func(tx *store.Tx) error { return alarmTable.Put(tx, code, v) })
	}
	if !known && a.mailed != nil {
		a.mailed(v)
	}
}

// Clear takes an alarm off the list and tells whether it was there.
func (a *Alarms) Clear(code string) bool {
	a.mu.Lock()
	_, ok := a.now[code]
	delete(a.now, code)
	a.mu.Unlock()
	if ok {
		// Left in the database by a disk that cannot be written it would only come back after a restart.
		_ = a.st.Update(func(tx *store.Tx) error { return alarmTable.Delete(tx, code) })
	}
	return ok
}

// List returns the alarms, oldest first.
func (a *Alarms) List() []control.Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]control.Alarm, 0, len(a.now))
	for _, v := range a.now {
		list = append(list, v)
	}
	sort.Slice(list, func(i, j int) bool {
		if !list[i].Since.Equal(list[j].Since) {
			return list[i].Since.Before(list[j].Since)
		}
		return list[i].Code < list[j].Code
	})
	return list
}

// CheckDisk raises or clears the alarm about disk space.
func (a *Alarms) CheckDisk() {
	err := a.st.Room(diskWarning)
	switch {
	case errors.Is(err, store.ErrDiskFull):
		a.Raise("disk-full", "The disk is nearly full: new mail and calls are refused when it is.",
			"Delete received faxes that are no longer needed, shorten the retention times, or add disk space.")
	case err == nil:
		a.Clear("disk-full")
	}
}

// diskWarning is the free space, in octets beyond the store's reserve, below which the alarm is raised.
const diskWarning = 64 << 20
