package virtual_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// TestPersonality_Workarounds: with a quirk of its profile switched off, the driver does worse with the personality: no fax at all,
// or one that takes longer, or octets lost. With it on, it does as it should.
func TestPersonality_Workarounds(t *testing.T) {
	for _, c := range []struct {
		name, class, table, quirk string
		off                       any
		faults                    virtual.Faults
	}{
		{"lucent", "1", "class1", "tcf_delay", "0s", virtual.Faults{}},
		{"si2435", "1", "phone", "command_gap", "0s", virtual.Faults{}},
		{"usr", "1", "phone", "after_class", []any{}, virtual.Faults{}},
		{"usr", "1", "class1", "host_silence", false, virtual.Faults{}},
		{"zyxel", "1", "class1", "error_is_wrong_carrier", false, virtual.Faults{ControlBER: 3e-3, Seed: 1}},
		{"rockwell", "2", "class2", "trigger", "dc1", virtual.Faults{}},
		{"rockwell", "2", "class2", "received_bits", "direct", virtual.Faults{}},
		{"multitech-early", "2", "class2", "received_bits", "reversed", virtual.Faults{}},
	} {
		t.Run(c.name+" "+c.quirk, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				with, without := faxBothWays(t, c.name, c.class, c.faults, nil), faxBothWays(t, c.name, c.class, c.faults, map[string]any{c.table: map[string]any{c.quirk: c.off}})
				t.Logf("with %+v, without %+v", with, without)
				if with.pages != 4 || with.lost != 0 {
					t.Errorf("with it: %+v", with)
				}
				if without.pages == 4 && without.lost == 0 && without.took <= with.took {
					t.Errorf("without it nothing is worse: %+v", without)
				}
			})
		})
	}
}

type bothWays struct {
	pages int // confirmed as received
	lost  int64
	took  time.Duration
}

// faxBothWays lets a personality and a plain modem fax each other two pages.
func faxBothWays(t *testing.T, name, class string, faults virtual.Faults, quirks map[string]any) (sum bothWays) {
	t.Helper()
	ex := virtual.NewExchange(virtual.Options{Delay: 20 * time.Millisecond, Faults: faults})
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
		mo := modem.Options{}
		if i == 0 {
			mo.Class, mo.Quirks = class, quirks
		}
		if m[i], err = modem.New(t.Context(), port, mo); err != nil {
			t.Fatal(err)
		}
		defer m[i].Close()
	}
	start := time.Now()
	for i, to := range []string{calleeNumber, callerNumber} {
		doc, sink := t30test.NewDocument(uint64(i), 2, 600), &t30test.Sink{}
		answered := make(chan t30.Report, 1)
		go func() {
			var got t30.Report
			if ring, err := m[1-i].WaitCall(t.Context()); err == nil {
				got, _ = ring.Answer(t.Context(), t30.AnswerFax, t30.Session{Me: t30.Station{ID: "2"}, Sink: sink, NoECM: true})
			}
			answered <- got
		}()
		_, _ = m[i].Call(t.Context(), to, t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(doc), NoECM: true})
		got := <-answered
		sum.pages += got.Received
	}
	sum.took = time.Since(start)
	sum.lost = vm[0].Stats().Lost
	return sum
}
