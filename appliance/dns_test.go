package appliance

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// A resolver that should validate and does not raises the alarm; silence of DNS does not, nor does it clear it.
func TestWatchDNS_AlarmsWhenNobodyValidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		alarms, err := gateway.OpenAlarms(st, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			fail      error
			authentic bool
			alarms    int
		}{{resolve.ErrTemporary, false, 0}, {nil, false, 1}, {resolve.ErrTemporary, false, 1}, {nil, true, 0}, {nil, false, 1}} {
			a := &Appliance{alarms: alarms, names: &resolve.Fake{Fail: map[string]error{"": c.fail}, Authentic: map[string]bool{"": c.authentic}}}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- a.watchDNS(ctx) }()
			time.Sleep(2 * validatingCheck)
			synctest.Wait()
			cancel()
			<-done
			if got := alarms.List(); len(got) != c.alarms || c.alarms == 1 && (got[0].Code != "dns-validating" || got[0].Remedy == "") {
				t.Errorf("%+v: %+v", c, got)
			}
		}
	})
}
