package virtual_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// profiles are those that personalities must be recognized as.
var profiles = map[string]string{
	"generic": "generic", "superg3": "generic", "class2": "generic", "class2.0": "generic", "class2.1": "generic",
	"rockwell": "rockwell", "usr": "usr-courier", "usr5637": "usr-5637", "multitech": "multitech-5634", "mt9234": "multitech-9234", "multitech-early": "multitech-early",
	"conexant": "conexant", "si2435": "silabs", "lucent": "lucent", "zyxel": "zyxel", "zoom": "zoom", "iaxmodem": "spandsp", // as it says; only its port tells
}

func TestPersonalities_AreRecognized(t *testing.T) {
	for _, name := range virtual.Personalities() {
		synctest.Test(t, func(t *testing.T) {
			ex := virtual.NewExchange(virtual.Options{})
			defer ex.Close()
			o, err := virtual.Personality(name)
			if err != nil {
				t.Fatal(err)
			}
			port, err := ex.NewModem(callerNumber, o).Open()
			if err != nil {
				t.Fatal(err)
			}
			m, err := modem.New(t.Context(), port, modem.Options{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer m.Close()
			if id := m.Identity(); id.Profile != profiles[name] || id.Class != "1" || !strings.HasPrefix(id.Why, "Class 1: ") {
				t.Errorf("%s is taken for %q, class %q: %s", name, id.Profile, id.Class, id.Why)
			}
		})
	}
}

// habitCall sends a fax from a modem with these options to a plain one and one back, with one quirk perhaps switched off, and tells
// whether all of it went well, at the highest rate.
func habitCall(t *testing.T, o virtual.ModemOptions, mo modem.Options, faults virtual.Faults, noECM bool) (ok bool, why string) {
	t.Helper()
	f := &office{t: t, ex: virtual.NewExchange(virtual.Options{Faults: faults})}
	defer f.ex.Close()
	port, err := f.ex.NewModem(callerNumber, o).Open()
	if err != nil {
		t.Fatal(err)
	}
	if f.caller, err = modem.New(t.Context(), port, mo); err != nil {
		return false, err.Error()
	}
	defer f.caller.Close()
	_, f.callee = f.open(calleeNumber)
	defer f.callee.Close()
	for i, way := range []struct {
		from, to *modem.Modem
		number   string
	}{{f.caller, f.callee, calleeNumber}, {f.callee, f.caller, callerNumber}} {
		doc, sink := t30test.NewDocument(uint64(i+1), 2, 300), &t30test.Sink{}
		sent, got := f.call(way.from, way.to, way.number, t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(doc), NoECM: noECM},
			t30.Session{Me: t30.Station{ID: "2"}, Sink: sink, NoECM: noECM})
		full := sent.Modulation.Rate == 14400 || faults.BER+faults.ControlBER > 0
		if !sent.OK() || !got.OK() || sent.Sent != 2 || got.Received != 2 || !full {
			return false, fmt.Sprintf("call %d at %v: %s / %s", i+1, sent.Modulation, sent.Text, got.Text)
		}
	}
	return true, ""
}

// A class that the modem keeps quiet about can be had, and one that it names and then refuses is passed over with a word on it.
func TestHabits_ClassesNotAsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, err := virtual.Personality("si2435")
		if err != nil {
			t.Fatal(err)
		}
		if ok, why := habitCall(t, o, modem.Options{Class: "1.0"}, virtual.Faults{}, false); !ok {
			t.Error(why)
		}
	})
	for _, c := range []struct {
		classes, refuses string
		want, says       string
	}{
		{"0 1.0", "1", "1.0", "It refused Class 1, which comes first."},
		{"0 2.1", "1 1.0", "2.1", "It refused Class 1 and Class 1.0, which come first."},
	} {
		synctest.Test(t, func(t *testing.T) {
			ex := virtual.NewExchange(virtual.Options{})
			defer ex.Close()
			port, err := ex.NewModem(callerNumber, virtual.ModemOptions{Classes: strings.Fields(c.classes),
				Class1Habits: virtual.Class1Habits{NamesButRefuses: strings.Fields(c.refuses)}}).Open()
			if err != nil {
				t.Fatal(err)
			}
			m, err := modem.New(t.Context(), port, modem.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if id := m.Identity(); id.Class != c.want || !strings.Contains(id.Why, c.says) {
				t.Errorf("class %s: %s", id.Class, id.Why)
			}
		})
	}
}

// In Class 1.0 two DLEs are one code, in both directions.
func TestDriver_Class10BothWays(t *testing.T) {
	for _, noECM := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			if ok, why := habitCall(t, virtual.ModemOptions{}, modem.Options{Class: "1.0"}, virtual.Faults{BER: 1e-6, Seed: 3}, noECM); !ok {
				t.Errorf("after %v: %s", time.Since(start), why)
			}
		})
	}
}
