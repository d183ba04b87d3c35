package appliance

import (
	"context"
	"errors"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// sendMemory is what the send connectors remember over restarts: [send.Store] in the database.
type sendMemory struct{ st *store.Store }

// remembered is one value; it is purged after Expires.
type remembered struct {
	Value   []byte    `json:"value"`
	Expires time.Time `json:"expires"`
}

var rememberedTable = store.NewTable[remembered]("send memory")

// Get implements send.Store.
func (m sendMemory) Get(bucket, key string) ([]byte, error) {
	var r remembered
	err := m.st.View(func(tx *store.Tx) (err error) {
		r, err = rememberedTable.Get(tx, bucket+"\x00"+key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !time.Now().Before(r.Expires) {
		return nil, nil
	}
	return r.Value, err
}

// Put implements send.Store.
func (m sendMemory) Put(bucket, key string, value []byte, expires time.Time) error {
	return m.st.Update(func(tx *store.Tx) error {
		return rememberedTable.Put(tx, bucket+"\x00"+key, remembered{value, expires})
	})
}

// purge takes out what has expired.
func (m sendMemory) purge(now time.Time) error {
	return m.st.Update(func(tx *store.Tx) error {
		var old []string
		err := rememberedTable.Each(tx, func(key string, r remembered) error {
			if !now.Before(r.Expires) {
				old = append(old, key)
			}
			return nil
		})
		for _, key := range old {
			err = errors.Join(err, rememberedTable.Delete(tx, key))
		}
		return err
	})
}

// housekeep purges once a day, until ctx ends.
func (m sendMemory) housekeep(ctx context.Context) error {
	for {
		if err := m.purge(time.Now()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(24 * time.Hour):
		}
	}
}
