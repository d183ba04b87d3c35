package virtual

import (
	"testing"
	"testing/synctest"
	"time"
)

// habitual is an exchange with a plain modem and one with habits.
func habitual(t *testing.T, h LineHabits) (ex *Exchange, m *Modem, a, b *dte, done func()) {
	t.Helper()
	ex = NewExchange(Options{})
	m = ex.NewModem("5550101", ModemOptions{Numbers: []string{"5550102"}, CallerID: true, LineHabits: h})
	a, b = openDTE(t, ex.NewModem("5550100", ModemOptions{})), openDTE(t, m)
	a.cmd("ATE0", "OK")
	b.cmd("ATE0", "OK")
	return ex, m, a, b, func() { a.close(); b.close(); ex.Close() }
}

func TestTelephone_LineStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m, a, b, done := habitual(t, LineHabits{LineStatus: "LINE-IN-USE"})
		defer done()
		m.LiftTelephone(true)
		b.cmd("ATDT5550100", "NO DIALTONE")
		b.cmd("AT-STE=1", "OK")
		b.cmd("ATDT5550100", "LINE-IN-USE")
		a.cmd("ATDT5550101", "BUSY")
		m.CutLine(true)
		b.cmd("ATDT5550100", "NO LINE")
		b.cmd("AT%V0", "OK")
		b.cmd("ATDT5550100", "NO DIALTONE")
		m.CutLine(false)
		if n := m.Stats().Grabs; n != 0 {
			t.Errorf("%d grabs", n)
		}
		b.cmd("ATX3DT5550100", "NO CARRIER")
		if n := m.Stats().Grabs; n != 1 {
			t.Errorf("%d grabs by a blind dial", n)
		}
	})
}

func TestTelephone_Reports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, a, b, done := habitual(t, LineHabits{ReportFirst: true, Report: func(caller, dialed string) []string { return []string{"CID: " + caller} },
			Patterns: map[string][]string{"5550101": {"RING A"}, "5550102": {"DRON=8", "DROF=4"}}})
		defer done()
		b.cmd("AT+VCID=1", "OK")
		a.send("ATDT5550101\r")
		b.result("CID: 5550100")
		b.result("RING A")
		b.result("RING A")
		a.send("x")
		a.result("NO CARRIER")
		time.Sleep(10 * time.Second)
		a.send("ATDT5550102\r")
		b.result("CID: 5550100")
		b.result("DRON=8")
		b.result("DROF=4")
		b.result("RING")
	})
}

func TestTelephone_AdaptiveInClass2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := NewExchange(Options{})
		o, err := Personality("class2")
		if err != nil {
			t.Fatal(err)
		}
		a, b := openDTE(t, ex.NewModem("5550100", ModemOptions{})), openDTE(t, ex.NewModem("5550101", o))
		defer func() { a.close(); b.close(); ex.Close() }()
		a.cmd("ATE0", "OK")
		b.cmd("ATE0+FCLASS=2", "OK")
		b.cmd("AT+FAA=1", "OK")
		a.send("ATS7=30DT5550101\r")
		b.result("RING")
		b.send("ATA\r")
		b.result("+FDM")
		b.result("CONNECT 9600")
		a.result("NO CARRIER")
	})
}

func TestTelephone_CountryAndAdaptive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, a, b, done := habitual(t, LineHabits{Countries: []string{"B5", "42"}, Adaptive: true})
		defer done()
		a.cmd("AT+GCI=42", "ERROR")
		b.cmd("AT+GCI?", "+GCI: B5")
		b.result("OK")
		b.cmd("AT+GCI=3D", "ERROR")
		b.cmd("AT+GCI=42", "OK")
		b.cmd("AT+GCI?", "+GCI: 42")
		b.result("OK")
		b.cmd("AT+FCLASS=1;+FAE=1", "OK")
		a.send("ATS7=30DT5550101\r")
		b.result("RING")
		b.send("ATA\r")
		b.result("DATA")
		b.result("CONNECT 9600")
		a.result("NO CARRIER")
	})
}

// TestTelephone_RefusesToDial: BLACKLISTED and DELAYED.
func TestTelephone_RefusesToDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex, m, a, b, done := habitual(t, LineHabits{Blacklist: 2, RedialPause: 5 * time.Second})
		defer done()
		ex.Script("5550199", Busy)
		b.cmd("ATDT5550199", "BUSY")
		b.cmd("ATDT5550199", "DELAYED")
		time.Sleep(6 * time.Second)
		b.cmd("ATDT5550199", "BUSY")
		time.Sleep(6 * time.Second)
		b.cmd("ATDT5550199", "BLACKLISTED")
		if n := ex.Calls(); n != 2 {
			t.Errorf("%d calls", n)
		}
		b.cmd("AT+FCLASS=1", "OK")
		a.cmd("AT+FCLASS=1", "OK")
		b.send("ATDT5550100\r") // others are dialed all the same
		a.result("RING")
		a.send("ATA\r")
		a.result("CONNECT")
		if _, ok := m.tries["5550100"]; ok {
			t.Error("an answered number is held against the modem")
		}
	})
}
