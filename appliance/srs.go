package appliance

import (
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack/srs"
)

// SRSConfig rewrites the senders of mail that is sent on (the Sender Rewriting Scheme).
type SRSConfig struct {
	Domain string   `toml:"domain"`  // of the rewritten addresses: its MX leads here, its SPF record names who sends our mail; empty: nothing is rewritten
	MaxAge Duration `toml:"max_age"` // how long a bounce finds back, in whole days
}

func (c Config) validateSRS(v *faults) {
	v.need(c.SRS.Domain == "" || validHost(c.SRS.Domain), "srs.domain: %q is no domain", c.SRS.Domain)
	age := time.Duration(c.SRS.MaxAge)
	v.need(age >= 24*time.Hour && age <= 100*24*time.Hour, "srs.max_age: use 1d to 100d")
}

var srsKeys = store.NewTable[[]srs.Key]("srs keys")

const srsKeyName = "keys"

// openSRS makes the rewriter with the keys of the database; nil when none is configured.
func (a *Appliance) openSRS() (*srs.Ring, error) {
	if a.cfg.SRS.Domain == "" {
		return nil, nil
	}
	var keys []srs.Key
	err := a.st.View(func(tx *store.Tx) (err error) {
		keys, err = srsKeys.Get(tx, srsKeyName)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("srs: %w", err)
	}
	save := func(keys []srs.Key) error {
		return a.st.Update(func(tx *store.Tx) error { return srsKeys.Put(tx, srsKeyName, keys) })
	}
	return srs.OpenRing(srs.Config{Domain: a.cfg.SRS.Domain, MaxAge: time.Duration(a.cfg.SRS.MaxAge)}, keys, save)
}

// senderLists are the senders that each receive connector takes.
func (c Config) senderLists() map[string][]string {
	all := map[string][]string{}
	for _, r := range c.Receive {
		all[r.Name] = r.Senders
	}
	return all
}
