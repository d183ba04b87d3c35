package main

import (
	"fmt"
	"sync"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// callKeeper keeps the records of one-off calls in the data folder of --data, where `calls` finds them; without a folder
// it keeps nothing.
type callKeeper struct {
	dir  string
	then func(t30.Event) // --trace, or nil

	mu  sync.Mutex
	log *call.Transcript
}

func newCallKeeper(dir string, then func(t30.Event)) *callKeeper {
	return &callKeeper{dir: dir, then: then, log: &call.Transcript{}}
}

// trace returns what a modem's Trace is to be, nil when nobody wants events: the AT lines, also those outside of calls.
func (k *callKeeper) trace() func(t30.Event) {
	if k.dir == "" && k.then == nil {
		return nil
	}
	return func(e t30.Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.dir != "" {
			k.log.Add(e)
		}
		if k.then != nil {
			k.then(e)
		}
	}
}

// session returns what a session's Trace is to be: what trace has not from the modem.
func (k *callKeeper) session() func(t30.Event) {
	all := k.trace()
	if all == nil {
		return nil
	}
	return func(e t30.Event) {
		if e.Layer != t30.LayerAT {
			all(e)
		}
	}
}

// keep records a call that has ended and begins a new transcript. A record that cannot be kept changes nothing about the
// call: it is only told.
func (k *callKeeper) keep(s streams, outgoing bool, number string, r t30.Report) {
	if k.dir == "" {
		return
	}
	k.mu.Lock()
	events := k.log.Events()
	k.log = &call.Transcript{}
	k.mu.Unlock()
	err := withFolder(k.dir, func(st *store.Store) error {
		_, err := queue.NewCallLog(st).Record(queue.CallOf("", outgoing, number, r), events)
		return err
	})
	if err != nil {
		fmt.Fprintln(s.err, "tipring: no record of this call:", err)
	}
}
