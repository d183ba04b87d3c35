package virtual

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// V.34 fax octet by octet at the port (T.31 Amendment 1, Annex B), without the product's driver.

// v34Pair is two modems in a call over V.34 that has come to its control channel: a called b.
func v34Pair(t *testing.T, o Options) (a, b *dte, done func()) {
	t.Helper()
	ex := NewExchange(o)
	a = openDTE(t, ex.NewModem("5550100", ModemOptions{V34: 33600}))
	b = openDTE(t, ex.NewModem("5550101", ModemOptions{V34: 31200}))
	for _, d := range []*dte{a, b} {
		d.cmd("ATE0", "OK")
		d.cmd("AT+FCLASS=1.0", "OK")
		d.cmd("AT+F34=14,1,2", "OK")
	}
	a.send("ATDT5550101\r")
	b.result("RING")
	b.send("ATA\r")
	for _, d := range []*dte{a, b} {
		if s := d.until("\r\nCONNECT\r\n", time.Minute); s != "\r\n+F34:13,2\r\n\r\nCONNECT\r\n" {
			t.Fatalf("%q", s)
		}
		d.says("\x10\x6d\x10\x7c\x10\x6f")
	}
	return a, b, func() {
		a.close()
		b.close()
		_ = ex.Close()
	}
}

// says holds what comes next against want.
func (d *dte) says(want string) {
	d.t.Helper()
	if s := d.until(want, time.Minute); s != want {
		d.t.Fatalf("said %q, want %q", s, want)
	}
}

// v34Wire is a whole frame as a modem gives it.
func v34Wire(frame string) string {
	fcs := naiveFCS([]byte(frame))
	return strings.ReplaceAll(shielded(append([]byte(frame), fcs[:]...)), "\x10\x10\x10\x10", "\x10\x1a")
}

func TestV34_Port(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, done := v34Pair(t, Options{Delay: 10 * time.Millisecond})
		defer done()
		dis, dcs, cfr, coded := "\xff\x13\x80\x10\x11\x13\x03", "\xff\x13\x83\x10\x10", "\xff\x13\x84", "\xff\x03\x06\x00"+strings.Repeat("\x10\x10\x51\x1a\x11", 50)
		exchange := func(from, to *dte, frame string) {
			t.Helper()
			from.send(shielded([]byte(frame)))
			to.says(v34Wire(frame))
		}
		exchange(b, a, dis)
		exchange(a, b, dcs)
		exchange(b, a, cfr)
		exchange(a, b, "\x11\x10\x10\x10\x13") // no frame of T.30: nothing to a modem

		a.send("\x10\x6b")
		for _, d := range []*dte{a, b} {
			d.says("\x10\x6b\x10\x7c")
		}
		a.send("\x10\x74\x10\x6c") // P120 and PPH: new rates, this one at most, when the control channel comes back
		exchange(a, b, coded)
		exchange(a, b, coded[:20])
		a.send("\x10\x6d")
		for _, d := range []*dte{a, b} {
			d.says("\x10\x6d\x10\x74\x10\x6f")
		}
		exchange(a, b, dcs)
		exchange(b, a, cfr)

		b.send("\x10\x6b") // the recipient cannot have the primary channel
		b.quiet(2 * time.Second)
		a.send("\x10\x04")
		a.says("\x10\x04\r\nOK\r\n")
		a.cmd("ATH", "OK")
		b.says("\x10\x04\r\nNO CARRIER\r\n")
		b.quiet(time.Minute)
		b.cmd("ATH", "OK")
	})
}

// TestV34_PortSpoilt: a frame with errors ends with DLE FERR.
func TestV34_PortSpoilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, done := v34Pair(t, Options{Faults: Faults{ControlBER: 0.002, Seed: 1}})
		defer done()
		frame, spoilt := "\xff\x13\x80"+strings.Repeat("\x55", 30), 0
		for range 50 {
			b.send(shielded([]byte(frame)))
			s := a.until("\x10", time.Minute)
			switch end := a.one(); {
			case end == 0x03 && s+"\x03" != v34Wire(frame), end != 0x03 && end != 0x07:
				t.Fatalf("%q DLE %02x", s, end)
			case end == 0x07:
				spoilt++
			}
			time.Sleep(time.Second)
			a.mu.Lock()
			a.buf = nil // what was left of a frame in pieces
			a.mu.Unlock()
		}
		if spoilt < 5 || spoilt > 45 {
			t.Errorf("%d of 50 frames spoilt", spoilt)
		}
	})
}

// FuzzV34Port lets a DTE say whatever it likes in a call over V.34, '~' for a pause: neither modem panics or hangs, the other one says what the tables
// have, a frame passed as right has its check sequence, and both take commands afterwards.
func FuzzV34Port(f *testing.F) {
	f.Add(true, shielded([]byte("\xff\x13\x83\x00"))+"~\x10\x6b~"+shielded([]byte("\xff\x03\x06\x00data"))+"\x10\x6d~\x10\x04")
	f.Add(true, "\x10\x6b~\x10\x70\x10\x6c\x10\x6d~~\x10\x6b\x10\x6d\x10\x6b\x10\x6d~\x10\x69\x10\x7e\x10\x00")
	f.Add(false, "\x10\x03\x10\x03\x10\x10\x1a\x10\x1a\x10\x51\x10\x53\x10\x03~\x10\x6b~\x10\x6d\x10\x04\x10\x04AT\r")
	f.Add(false, "AT+FCLASS=0\r~\x10")
	f.Fuzz(func(t *testing.T, calls bool, say string) {
		if len(say) > 600 || strings.Count(say, "~") > 20 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			a, b, done := v34Pair(t, Options{})
			defer done()
			if !calls {
				a, b = b, a
			}
			for i, piece := range strings.Split(say, "~") {
				if i > 0 {
					time.Sleep(2 * time.Second)
					b.send("\xff\x13\x21\x10\x03")
				}
				a.send(piece)
			}
			time.Sleep(5 * time.Second)
			if err := a.port.SetDTR(false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			b.mu.Lock()
			said := string(b.buf)
			b.mu.Unlock()
			if err := v34Said(said); err != nil {
				t.Errorf("%v: %q", err, said)
			}
			if err := b.port.SetDTR(false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			for _, d := range []*dte{a, b} {
				if err := d.port.SetDTR(true); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				d.send("ATZE0\r")
				time.Sleep(time.Second)
				d.mu.Lock()
				d.buf = nil
				d.mu.Unlock()
				d.cmd("ATI0", "OK")
			}
		})
	})
}

// v34Said holds what a modem said in a call over V.34 against Table B.1.
func v34Said(s string) error {
	var frame []byte
	for i := 0; i < len(s); i++ {
		if s[i] != 0x10 {
			frame = append(frame, s[i])
			continue
		}
		if i++; i == len(s) {
			return fmt.Errorf("a DLE alone")
		}
		switch c := s[i]; {
		case c == 0x10:
			frame = append(frame, c)
		case c == 0x1a:
			frame = append(frame, 0x10, 0x10)
		case c == 0x03:
			n := len(frame) - 2
			if n < 1 || naiveFCS(frame[:n]) != [2]byte{frame[n], frame[n+1]} {
				return fmt.Errorf("frame % x passed as right", frame)
			}
			frame = nil
		case c == 0x04:
			switch s[i+1:] {
			case "\r\nOK\r\n", "\r\nNO CARRIER\r\n":
				return nil
			}
			return fmt.Errorf("behind the end %q", s[i+1:])
		case c == 0x07, c >= 0x6b && c <= 0x7d && c != 0x6c:
			frame = nil
		default:
			return fmt.Errorf("DLE %02x", c)
		}
	}
	return fmt.Errorf("no end")
}
