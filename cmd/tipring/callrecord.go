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

// trace returns what a modem's Trace is to be; nil when nobody wants events.
func (k *callKeeper) trace() func(t30.Event) {
	if k.dir == "" {
		return k.then
	}
	return func(e t30.Event) {
		k.mu.Lock()
		k.log.Add(e)
		k.mu.Unlock()
		if k.then != nil {
			k.then(e)
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
