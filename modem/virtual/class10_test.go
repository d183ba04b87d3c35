package virtual

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// TestClass10_Codes: two DLE are DLE SUB in Class 1.0 and with +FDD=1; XON and XOFF are shielded in Class 1.0 with +FLO=1. From the DTE Class 1.0
// takes all of these.
func TestClass10_Codes(t *testing.T) {
	page := strings.Repeat("\x00\x11\x10\x10\x13\x10\x22", 200)
	for _, c := range []struct {
		name, setup, dle2, xon, xof string
	}{
		{"Class 1", "AT+FCLASS=1;+FLO=1", "\x10\x10\x10\x10", "\x11", "\x13"},
		{"Class 1, +FDD=1", "AT+FDD=1", "\x10\x1a", "\x11", "\x13"},
		{"Class 1.0", "AT+FCLASS=1.0", "\x10\x1a", "\x11", "\x13"},
		{"Class 1.0, +FLO=1", "AT+FCLASS=1.0;+FLO=1", "\x10\x1a", "\x10\x51", "\x10\x53"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b, done := habitPair(t, ModemOptions{})
				defer done()
				b.cmd(c.setup, "OK")
				coded := strings.NewReplacer("\x10\x10", c.dle2, "\x10", "\x10\x10", "\x11", c.xon, "\x13", c.xof).Replace(page)
				connectPair(a, b)
				b.send("AT+FRM=96\r")
				a.cmd("AT+FTM=96", "CONNECT")
				a.send(shielded([]byte(page)))
				b.result("CONNECT")
				got := string(withoutOnes([]byte(b.until("\x10\x03", time.Minute))))
				if n := strings.Count(got, "\x10\x10\x10\x10"); n > 20 && c.dle2 == "\x10\x1a" { // a few are parted by what comes at a time
					t.Errorf("%d pairs doubled", n)
				}
				if got = strings.ReplaceAll(got, "\x10\x10\x10\x10", c.dle2); got != coded+"\x10\x03" {
					t.Errorf("got % x", got[:40])
				}
				b.result("NO CARRIER")
				a.result("OK")
				a.send("AT+FRM=96\r")
				b.cmd("AT+FTM=96", "CONNECT")
				b.send(coded + "\x10\x03")
				a.result("CONNECT")
				if got := string(withoutOnes([]byte(a.until("\x10\x03", time.Minute)))); got != shielded([]byte(page)) {
					t.Errorf("sent so: % x", got[:40])
				}
			})
		})
	}
}

// TestClass10_BadFrame: DLE BEL in place of DLE ETX tells in the data that a frame is spoilt.
func TestClass10_BadFrame(t *testing.T) {
	for class, want := range map[string]string{"1": "\x10\x03\r\nERROR\r\n", "1.0": "\x10\x07\r\nERROR\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			ex := NewExchange(Options{})
			defer ex.Close()
			far, a := ex.NewTester("5550101"), openDTE(t, ex.NewModem("5550100", ModemOptions{}))
			defer a.close()
			a.cmd("ATE0+FCLASS="+class, "OK")
			a.send("ATDT5550101\r")
			if err := far.Answer(t.Context()); err != nil {
				t.Fatal(err)
			}
			frame := t30test.SignalFrame{Frame: t30.NewFrame(t30.FcfDIS, false, true, 0, 0x0e, 0), Bad: true}
			if err := far.Send(t.Context(), &t30test.Signal{Kind: t30test.SignalV21, Frames: []t30test.SignalFrame{frame}}); err != nil {
				t.Fatal(err)
			}
			if s := a.until("ERROR\r\n", time.Minute); !strings.HasSuffix(s, want) {
				t.Errorf("Class %s: % x", class, s)
			}
		})
	}
}
