package srs

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRing_KeysTurnAndAddressesLeadBackForTheirTime(t *testing.T) {
	for _, age := range []time.Duration{0, day, 500 * day} {
		synctest.Test(t, func(t *testing.T) {
			var kept []Key
			saves := 0
			save := func(keys []Key) error { saves++; kept = append([]Key{}, keys...); return nil }
			cfg := Config{Domain: "bounce.example.com", MaxAge: age}
			r, err := OpenRing(cfg, nil, save)
			if err != nil {
				t.Fatal(err)
			}
			good := age
			if good == 0 {
				good = 21 * day
			}
			type made struct {
				address string
				at      time.Time
			}
			var list []made
			for d := range 1200 {
				if d%50 == 0 { // a restart
					if r, err = OpenRing(cfg, kept, save); err != nil {
						t.Fatal(err)
					}
				}
				if len(kept) > maxKeys {
					t.Fatalf("%d keys", len(kept))
				}
				if d%9 == 0 {
					a, err := r.Forward("ann@example.org")
					if err != nil {
						t.Fatal(err)
					}
					list = append(list, made{a, time.Now()})
				}
				for _, m := range list {
					back, err := r.Reverse(m.address)
					switch old := time.Since(m.at); {
					case old <= good && (err != nil || back != "ann@example.org"):
						t.Fatalf("after %v: %q, %v", old, back, err)
					case old > good+day && old < 900*day && !errors.Is(err, ErrExpired) && !errors.Is(err, ErrForged):
						t.Fatalf("after %v it still leads back: %q, %v", old, back, err)
					}
				}
				time.Sleep(day)
			}
			if saves < 1200/90 || saves > 1200/30+1 {
				t.Errorf("%d keys in 1200 days", saves)
			}
			if string(kept[0].Secret) == string(kept[len(kept)-1].Secret) && len(kept) > 1 || len(kept[0].Secret) < 16 {
				t.Error("the keys are not worth their name")
			}
		})
	}
}

func TestRing_AKeyThatCannotBeKeptIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		if _, err := OpenRing(Config{Domain: "b.example.com"}, nil, func([]Key) error { return full }); !errors.Is(err, full) {
			t.Errorf("the first key: %v", err)
		}
		var fail error
		var kept []Key
		r, err := OpenRing(Config{Domain: "b.example.com"}, nil, func(k []Key) error {
			if fail == nil {
				kept = k
			}
			return fail
		})
		if err != nil {
			t.Fatal(err)
		}
		fail = full
		time.Sleep(40 * day)
		a, err := r.Forward("ann@example.org")
		if err != nil {
			t.Fatal(err)
		}
		again, err := OpenRing(Config{Domain: "b.example.com"}, kept, func([]Key) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if back, err := again.Reverse(a); err != nil || back != "ann@example.org" {
			t.Errorf("made with a key that was never kept: %q, %v", back, err)
		}
		if len(kept) != 1 {
			t.Errorf("%d keys", len(kept))
		}
	})
}
