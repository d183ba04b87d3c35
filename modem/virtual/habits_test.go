package virtual

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// habitPair is two modems in Class 1 and a call between them in phase B; the first has the habits.
func habitPair(t *testing.T, o ModemOptions) (m *Modem, a, b *dte, done func()) {
	t.Helper()
	ex := NewExchange(Options{})
	o.Buffer = 1024
	m = ex.NewModem("5550100", o)
	a, b = openDTE(t, m), openDTE(t, ex.NewModem("5550101", ModemOptions{}))
	for _, d := range []*dte{a, b} {
		d.cmd("ATE0", "OK")
		d.cmd("AT+FCLASS=1", "OK")
	}
	return m, a, b, func() { a.close(); b.close(); ex.Close() }
}

// TestHabits_TrainingCheck: what comes after an early CONNECT is lost, save what waits 400 ms; the first octet is spoilt.
func TestHabits_TrainingCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		h    Class1Habits
		wait time.Duration
		good bool
	}{
		{"by the book", Class1Habits{}, 0, true},
		{"early", Class1Habits{EarlyConnect: 400 * time.Millisecond}, 0, false},
		{"early and waited for", Class1Habits{EarlyConnect: 400 * time.Millisecond}, 410 * time.Millisecond, true},
		{"spoilt", Class1Habits{SpoiltFirst: true}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b, done := habitPair(t, ModemOptions{Class1Habits: c.h})
				defer done()
				connectPair(a, b)
				a.cmd("AT+FTH=3", "CONNECT")
				b.send("AT+FRH=3\r")
				a.sendFrames(frameDCS)
				b.result("CONNECT")
				b.recvFrame()
				b.send("AT+FRM=96\r")
				a.cmd("AT+FTS=8;+FTM=96", "CONNECT")
				time.Sleep(c.wait)
				zeros := make([]byte, 1800)
				a.send(shielded(zeros))
				b.result("CONNECT")
				got := withoutOnes(b.data()) // ones until the first octet
				if bytes.Equal(got, zeros) != c.good {
					t.Errorf("%d octets of %d, beginning % x", len(got), len(zeros), got[:4])
				}
			})
		})
	}
}

func TestHabits_Commands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b, done := habitPair(t, ModemOptions{Class1Habits: Class1Habits{Hides: []string{"1.0"}, NamesButRefuses: []string{"2"}, DeafAfterResult: 100 * time.Millisecond, ResetOnFRS: true}})
		defer done()
		if s := strings.TrimSpace(a.cmd("AT+FCLASS=?", "OK")); s != "0,1,2" {
			t.Errorf("classes %q", s)
		}
		a.cmd("AT+FCLASS=1.0", "OK")
		a.cmd("AT+FCLASS=2", "ERROR")
		a.cmd("ATH1", "OK")
		a.send("AT+FTS=1\r") // too soon
		a.quiet(time.Second)
		a.cmd("AT+FTS=1", "OK")
		time.Sleep(time.Second)
		a.send("AT+FRS=1\r")
		a.quiet(time.Second)
		a.send("AT\r")
		a.until("\r\nOK\r\n", time.Minute) // with echo again
		if m.offHook {
			t.Error("still off hook")
		}
		b.cmd("AT", "OK")
	})
}

// TestHabits_Reception: no doubled DLE, no check sequence, ERROR for a wrong carrier.
func TestHabits_Reception(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := habitPair(t, ModemOptions{Class1Habits: Class1Habits{BareDLE: true, NoFCS: true, WrongCarrierIsError: true}})
		defer done()
		a.send("ATDT5550101\r")
		b.result("RING")
		b.send("ATA\r")
		b.result("CONNECT")
		b.sendFrames(frameNSF, frameDIS)
		a.result("CONNECT")
		want := frameNSF + "\x00\x00\x10\x03"
		if s := a.until("\r\nOK\r\n", time.Minute); s != want+"\r\nOK\r\n" {
			t.Errorf("frame % x, want % x", s, want)
		}
		a.send("AT+FRM=96\r")
		b.cmd("AT+FTH=3", "CONNECT")
		b.sendFrames(frameDIS)
		a.result("ERROR")
	})
}

// TestHabits_FlowControl: with XON/XOFF a DTE that goes on into a full buffer loses data, and so does one that stops at XOFF where the modem
// breaks that; RTS/CTS keeps all, once its command was given.
func TestHabits_FlowControl(t *testing.T) {
	usr, lucent, early := SerialHabits{ForcesXonXoff: true, RTSCommand: "&H1"}, SerialHabits{StartsXonXoff: true, BreaksXonXoff: true}, SerialHabits{StartsXonXoff: true, RTSCommand: "&E4"}
	for _, c := range []struct {
		name    string
		h       SerialHabits
		command string
		stops   bool // at XOFF
		whole   bool
	}{
		{"by the book", SerialHabits{}, "", false, true},
		{"forced", usr, "", false, false},
		{"forced, at XOFF", usr, "", true, true},
		{"forced, &K3", usr, "&K3", false, false},
		{"forced, &H1", usr, "&H1", false, true},
		{"Lucent", lucent, "", false, false},
		{"Lucent, at XOFF", lucent, "", true, false},
		{"Lucent, +IFC", lucent, "+IFC=2,2", false, true},
		{"Lucent, &K3", lucent, "&K3", false, true},
		{"early MultiTech, &K3", early, "&K3", false, false},
		{"early MultiTech, at XOFF", early, "", true, true},
		{"early MultiTech, &E4", early, "&E4", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, a, b, done := habitPair(t, ModemOptions{SerialHabits: c.h})
				defer done()
				if c.command != "" {
					a.cmd("AT"+c.command, "OK")
				}
				connectPair(a, b)
				a.cmd("AT+FTM=96", "CONNECT")
				if page := shielded(pageData(20000)); c.stops {
					a.sendStopping(page)
				} else {
					a.send(page)
				}
				if s := strings.Trim(a.until("\r\nOK\r\n", time.Minute), "\x11\x13"); s != "\r\nOK\r\n" {
					t.Errorf("%q", s)
				}
				if lost := m.Stats().Lost; (lost == 0) != c.whole {
					t.Errorf("%d octets lost", lost)
				}
			})
		})
	}
}

// TestPersonality_Table: each can be made, tells who it is and has the classes it names.
func TestPersonality_Table(t *testing.T) {
	for _, name := range Personalities() {
		synctest.Test(t, func(t *testing.T) {
			o, err := Personality(name)
			if err != nil || Describe(name) == "" {
				t.Fatalf("%s: %v %q", name, err, Describe(name))
			}
			ex := NewExchange(Options{})
			m := ex.NewModem("5550100", o)
			d := openDTE(t, m)
			defer ex.Close()
			defer d.close()
			d.cmd("ATE0", "OK")
			model := "AT+FMM?"
			if o.OldIdentity {
				d.cmd(model, "ERROR")
				model = "AT+FMDL?"
			}
			if s := d.cmd(model, "OK"); o.Model != "" && !strings.Contains(s, o.Model) {
				t.Errorf("%s: %s tells %q", name, model, s)
			}
			for _, k := range m.classes() {
				d.cmd("AT+FCLASS="+k, "OK")
			}
			told := strings.Split(strings.TrimSpace(d.cmd("AT+FCLASS=?", "OK")), ",")
			for _, k := range m.classes() {
				if slices.Contains(told, k) == slices.Contains(o.Hides, k) {
					t.Errorf("%s: classes %q", name, told)
				}
			}
		})
	}
	if _, err := Personality("amstrad"); err == nil {
		t.Error("no error for a modem that nobody knows")
	}
}
