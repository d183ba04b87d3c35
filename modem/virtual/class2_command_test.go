package virtual

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
)

func TestClass2_Parameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := classPair(t, Options{}, "2", "2.1")
		defer done()
		for _, c := range []struct{ cmd, result, info string }{
			{"AT+FDCC=?", "OK", "(0,1),(0-5),(0-2),(0-2),(0,1,3),(0-2),(0),(0-7)"},
			{"AT+FDCC=1,3,0,2", "OK", ""},
			{"AT+FDIS?", "OK", "1,3,0,2,1,0,0,0"}, // follows +FDCC
			{"AT+FDIS=,,,,3,2", "OK", ""},
			{"AT+FDIS?", "OK", "1,3,0,2,3,2,0,0"},
			{"AT+FDIS=2", "ERROR", ""},
			{"AT+FDIS=1,6", "ERROR", ""},
			{"AT+FDIS=1,-1", "ERROR", ""},
			{"AT+FDIS=1,3,0,2,2", "ERROR", ""}, // no uncompressed mode
			{"AT+FDIS?", "OK", "1,3,0,2,3,2,0,0"},
			{`AT+FLID="a;b +FK 1"`, "OK", ""}, // neither ends a command between quotation marks
			{"AT+FLID?", "OK", `"a;b +FK 1"`},
			{`AT+FLID="123456789012345678901"`, "ERROR", ""},
			{"AT+FAA=1+FCR=0", "OK", ""}, // the semicolon may be left out
			{"AT+FCR?", "OK", "0"},
			{"AT+FPHCTO=30;+FBOR=1", "OK", ""},
			{"AT+FBOR?", "OK", "1"},
			{"AT+FBOR=4", "ERROR", ""},
			{"AT+FBUF?", "OK", "4096,3072,1024,0"},
			{"AT+FPTS=6", "ERROR", ""},
			{"AT+FMFR?", "OK", "Tipring"},
			{"AT+FCQ=?", "OK", "(0)"},
			{"AT+FSA=\"1\"", "ERROR", ""},
			{"AT+FKS", "ERROR", ""},
			{"AT+FCLASS=2.0", "OK", ""},
			{"AT+FPS?", "OK", "0"},
			{"AT+FDIS?", "ERROR", ""},
		} {
			if got := strings.TrimSpace(a.cmd(c.cmd, c.result)); got != c.info {
				t.Errorf("%s tells %q, want %q", c.cmd, got, c.info)
			}
		}
		for _, c := range []struct{ cmd, result, info string }{
			{"AT+FCC=?", "OK", "(0-77),(0-5),(0-2),(0-2),(0,1,3),(0-2),(0),(0-7)"},
			{"AT+FIS=7F", "ERROR", ""},
			{"AT+FIS=42,5", "OK", ""},
			{"AT+FIS?", "OK", "42,5,2,2,1,0,0,0"},
			{"AT+FNR?", "OK", "1,1,1,1"},
			{"AT+FNR=1,2", "ERROR", ""},
			{"AT+FAP=?", "OK", "(0,1),(0,1),(0,1)"},
			{`AT+FSA="4711"`, "OK", ""},
			{"AT+FSA?", "OK", `"4711"`},
		} {
			if got := strings.TrimSpace(b.cmd(c.cmd, c.result)); got != c.info {
				t.Errorf("%s tells %q, want %q", c.cmd, got, c.info)
			}
		}
	})
}

// TestClass2_AdaptiveInClass0: mgetty sets a modem up in class 0 and answers there.
func TestClass2_AdaptiveInClass0(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := classPair(t, Options{}, "2", "2")
		defer done()
		b.cmd("AT+FCLASS=0", "OK")
		b.cmd("AT+FAA=1;+FCR=1", "OK")
		b.cmd(`AT+FLID="5550333"`, "OK")
		b.cmd("AT+FDCC=1,5,0,2,0,0,0,0", "OK")
		a.send("ATDT5550101\r")
		b.result("RING")
		b.send("ATA\r")
		a.expect("OK", "+FCON", `+FCSI: "             5550333"`, "+FDIS: 1,5,0,2,0,0,0,0")
		a.send("AT+FDT\r")
		b.expect("OK", "+FCON", `+FTSI: "             5550100"`, "+FDCS: 1,5,0,2,0,0,0,0")
		if s := strings.TrimSpace(b.cmd("AT+FCLASS?", "OK")); s != "2" {
			t.Errorf("in class %s", s)
		}
		b.cmd("AT+FK", "OK")
		a.until("\r\nOK\r\n", time.Minute)
	})
}

func TestDIS_Params(t *testing.T) {
	for _, c := range []struct {
		fif  []byte
		dcs  bool
		wide bool
		want string
	}{
		{[]byte{0, 0x02, 0x00}, false, false, "0,0,0,0,0,0,0,5"},
		{[]byte{0, 0x6e, 0xfa, 0x44}, false, false, "1,5,2,2,3,2,0,0"},
		{[]byte{0, 0x22, 0x70}, true, false, "0,5,0,0,0,0,0,0"},
		{[]byte{0, 0xea, 0xf8, 0x4c, 0, 0x01}, true, true, "03,4,0,2,3,1,0,0"},
		{nil, true, false, "0,0,0,0,0,0,0,5"},
	} {
		d := dialectOf("2")
		if c.wide {
			d = dialectOf("2.1")
		}
		if got := d.numbers(dis(c.fif).params(c.dcs, c.wide), false); got != c.want {
			t.Errorf("% x: %s, want %s", c.fif, got, c.want)
		}
	}
}

func TestHangUpCodes(t *testing.T) {
	d2, d20 := dialectOf("2"), dialectOf("2.0")
	for _, c := range []struct {
		code    t30.Code
		sending bool
		follow  t30.FCF
		two     string
		twoZero string
	}{
		{t30.CodeOK, true, 0, "+FHNG: 0", "+FHS:00"},
		{t30.CodeTraining, true, 0, "+FHNG: 27", "+FHS:27"},
		{t30.CodeNoReplyPage, true, t30.FcfMPS, "+FHNG: 52", "+FHS:52"},
		{t30.CodeNoReplyPage, true, t30.FcfEOP, "+FHNG: 54", "+FHS:54"},
		{t30.CodeDCNAfterPage, true, t30.FcfEOM, "+FHNG: 57", "+FHS:57"},
		{t30.CodePageLost, false, 0, "+FHNG: 73", "+FHS:73"},
		{t30.CodeNoPostMessage, false, 0, "+FHNG: 102", "+FHS:A2"},
		{t30.CodePageRefused, false, 0, "+FHNG: 100", "+FHS:A0"},
		{t30.CodeCannotReceive, true, 0, "+FHNG: 21", "+FHS:21"},
	} {
		h := hangCodeOf(c.code, c.sending, c.follow)
		if a, b := d2.hangUp(h), d20.hangUp(h); a != c.two || b != c.twoZero {
			t.Errorf("%v: %s and %s, want %s and %s", c.code, a, b, c.two, c.twoZero)
		}
	}
}

func TestEOLScan(t *testing.T) {
	page := mhPage(30)
	for _, c := range []struct {
		name             string
		data             []byte
		lines            int
		begins, returned bool
	}{
		{"whole", append(append([]byte(nil), page...), rtcMH...), 30, true, true},
		{"without return to control", page, 30, true, false},
		{"fill behind it", append(append(append([]byte(nil), page...), rtcMH...), 0, 0, 0), 30, true, true},
		{"no code of T.4", []byte("anything at all"), 0, false, false},
		{"nothing", nil, 0, false, false},
	} {
		var e eolScan
		e.push(c.data)
		if e.lines() != c.lines || e.begins != c.begins || e.returned() != c.returned {
			t.Errorf("%s: %d lines, begins %v, returned %v", c.name, e.lines(), e.begins, e.returned())
		}
	}
}

// FuzzDIS reads what a far end may send in place of DIS and DCS.
func FuzzDIS(f *testing.F) {
	f.Add([]byte{0, 0x6e, 0xfa, 0x44}, true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, dcs bool) {
		for _, wide := range []bool{false, true} {
			p := dis(b).params(dcs, wide)
			_ = p.limit()
			if s := dialectOf("2").numbers(p, false); strings.Count(s, ",") != 7 {
				t.Errorf("% x: %s", b, s)
			}
		}
	})
}
