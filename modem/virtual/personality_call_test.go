package virtual_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// TestPersonality_Calls: the product's own drivers, with the profile that each modem's identity brings, fax both ways with every personality.
func TestPersonality_Calls(t *testing.T) {
	for _, name := range virtual.Personalities() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ex := virtual.NewExchange(virtual.Options{Delay: 20 * time.Millisecond})
				defer ex.Close()
				o, err := virtual.Personality(name)
				if err != nil {
					t.Fatal(err)
				}
				var vm [2]*virtual.Modem
				var m [2]*modem.Modem
				for i, o := range []virtual.ModemOptions{o, {}} {
					vm[i] = ex.NewModem([]string{callerNumber, calleeNumber}[i], o)
					port, err := vm[i].Open()
					if err != nil {
						t.Fatal(err)
					}
					var mo modem.Options
					if name == "iaxmodem" && i == 0 { // its identity is spandsp's
						mo.Profile = name
					}
					if m[i], err = modem.New(t.Context(), port, mo); err != nil {
						t.Fatal(err)
					}
					defer m[i].Close()
				}
				if p := m[0].Identity().Profile; (p == "generic") != (o.Model == "") {
					t.Errorf("profile %s", p)
				}
				for i, to := range []string{calleeNumber, callerNumber} {
					doc, sink := t30test.NewDocument(uint64(i), 2, 300), &t30test.Sink{}
					var got t30.Report
					var wg sync.WaitGroup
					wg.Go(func() {
						ring, err := m[1-i].WaitCall(t.Context())
						if err == nil {
							got, err = ring.Answer(t.Context(), t30.AnswerFax, t30.Session{Me: t30.Station{ID: "2"}, Sink: sink})
						}
						if err != nil {
							t.Errorf("answering: %v", err)
						}
					})
					sent, err := m[i].Call(t.Context(), to, t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(doc)})
					wg.Wait()
					if err != nil || !sent.OK() || !got.OK() || sent.Sent != 2 || got.Received != 2 {
						t.Fatalf("way %d: sent %v %q %v, received %v %q", i, sent.Code, sent.Text, err, got.Code, got.Text)
					}
					if n := vm[i].Stats().Lost + int64(vm[i].Stats().Underruns); n != 0 {
						t.Errorf("way %d: %+v", i, vm[i].Stats())
					}
				}
			})
		})
	}
}
