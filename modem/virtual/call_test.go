package virtual

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pageData is n octets with plenty of DLEs, flags and control characters.
func pageData(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		switch r.IntN(4) {
		case 0:
			b[i] = []byte{0x10, 0x03, 0x11, 0x13, 0x7E, 0x1A, '\r', 0xFF}[r.IntN(8)]
		default:
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

func TestCall_WholeFaxByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{Delay: 30 * time.Millisecond})
		defer done()
		connectPair(a, b)
		go func() {
			a.cmd("AT+FTH=3", "CONNECT")
			a.sendFrames(frameTSI, frameDCS)
			a.cmd("AT+FTS=8", "OK")
			a.cmd("AT+FTM=96", "CONNECT")
			a.send(shielded(make([]byte, 1800)))
			a.result("OK")
			a.send("AT+FRH=3\r")
		}()
		b.cmd("AT+FRH=3", "CONNECT")
		if f := b.recvFrame(); f != frameTSI {
			t.Fatalf("% x", f)
		}
		b.cmd("AT+FRH=3", "CONNECT")
		if f := b.recvFrame(); f != frameDCS {
			t.Fatalf("% x", f)
		}
		b.cmd("AT+FRM=96", "CONNECT")
		if tcf := b.data(); !bytes.Equal(tcf, make([]byte, 1800)) {
			t.Fatalf("TCF of %d octets", len(tcf))
		}
		b.result("NO CARRIER")
		b.cmd("AT+FTS=8", "OK")
		b.cmd("AT+FTH=3", "CONNECT")
		b.sendFrames(frameCFR)
		a.result("CONNECT")
		if f := a.recvFrame(); f != frameCFR {
			t.Fatalf("% x", f)
		}
		want := pageData(40000)
		go func() {
			a.cmd("AT+FTM=96", "CONNECT")
			a.send(shielded(want))
			a.result("OK")
			a.cmd("AT+FTS=8;+FTH=3", "CONNECT")
			a.sendFrames(frameEOP)
			a.send("AT+FRH=3\r")
		}()
		b.cmd("AT+FRM=96", "CONNECT")
		start := time.Now()
		if got := b.data(); !bytes.Equal(got, want) {
			t.Fatal("page data differ")
		}
		if took := time.Since(start); took < 33*time.Second || took > 34*time.Second {
			t.Errorf("40000 octets at 9600 bit/s took %v, want 33.3 s", took)
		}
		b.result("NO CARRIER")
		b.cmd("AT+FRH=3", "CONNECT")
		if f := b.recvFrame(); f != frameEOP {
			t.Fatalf("% x", f)
		}
		b.cmd("AT+FTH=3", "CONNECT")
		b.sendFrames(frameMCF)
		a.result("CONNECT")
		if f := a.recvFrame(); f != frameMCF {
			t.Fatalf("% x", f)
		}
		a.cmd("ATH", "OK")
		b.quiet(2 * time.Second) // silent in command state
		b.cmd("AT+FRH=3", "ERROR")
	})
}

// TestPage_EachRateBothWays sends a page at every modulation from the caller and from the answerer.
func TestPage_EachRateBothWays(t *testing.T) {
	for _, mod := range modulations[1:] {
		for _, class := range []string{"1", "1.0"} {
			t.Run(fmt.Sprint(mod.name, " class ", class), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					_, a, b, done := pair(t, Options{})
					defer done()
					connectPair(a, b)
					a.cmd("AT+FCLASS="+class, "OK")
					b.cmd("AT+FCLASS="+class, "OK")
					want := pageData(9000)
					for _, way := range [][2]*dte{{a, b}, {b, a}} {
						from, to := way[0], way[1]
						if mod.short {
							onePage(from, to, mod.code-1, want[:10])
						}
						if got := onePage(from, to, mod.code, want); !bytes.Equal(got, want) {
							t.Fatal("page data differ")
						}
					}
				})
			})
		}
	}
}

func onePage(from, to *dte, code int, data []byte) []byte {
	to.send(fmt.Sprintf("AT+FRM=%d\r", code))
	from.cmd(fmt.Sprintf("AT+FTM=%d", code), "CONNECT")
	go func() {
		from.send(shielded(data))
		from.result("OK")
	}()
	to.result("CONNECT")
	got := to.data()
	to.result("NO CARRIER")
	time.Sleep(100 * time.Millisecond)
	return got
}

func TestDial_Outcomes(t *testing.T) {
	for _, c := range []struct {
		outcome   Outcome
		dial      string
		want      string
		min, most time.Duration
	}{
		{Busy, "ATDT5550199", "BUSY", 2 * time.Second, 10 * time.Second},
		{NoAnswer, "ATS7=40DT5550199", "NO ANSWER", 40 * time.Second, 50 * time.Second},
		{NoDialTone, "ATDT5550199", "NO DIALTONE", time.Second, 5 * time.Second},
		{Voice, "ATS7=30DT5550199", "NO CARRIER", 36 * time.Second, 50 * time.Second},
		{Unknown, "ATDT5550199", "NO CARRIER", 4 * time.Second, 15 * time.Second},
		{Normal, "ATDT5550198", "NO CARRIER", 4 * time.Second, 15 * time.Second}, // nobody has this number
		{Busy, "ATX0DT5550199", "NO CARRIER", 60 * time.Second, 70 * time.Second},
		{Busy, "ATDP555,0199", "BUSY", 9 * time.Second, 30 * time.Second},
	} {
		t.Run(c.dial+" "+c.outcome.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ex, a, _, done := pair(t, Options{})
				defer done()
				ex.Script("555-0199", c.outcome)
				start := time.Now()
				a.cmd(c.dial, c.want)
				if took := time.Since(start); took < c.min || took > c.most {
					t.Errorf("took %v, want %v to %v", took, c.min, c.most)
				}
				a.cmd("AT+FTM=96", "ERROR") // on hook again
			})
		})
	}
}

func TestScript_OneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex, a, b, done := pair(t, Options{})
		defer done()
		ex.Script("5550101", Busy, Busy, Normal)
		a.cmd("ATDT5550101", "BUSY")
		a.cmd("ATDT5550101", "BUSY")
		connectPair(a, b)
		if ex.Calls() != 3 {
			t.Errorf("%d calls, want 3", ex.Calls())
		}
	})
}

func TestRing_CadenceCallerIDAndDialedDigits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex, a, _, done := pair(t, Options{})
		defer done()
		c := openDTE(t, ex.NewModem("5550102", ModemOptions{CallerID: true, DialedDigits: true, Numbers: []string{"5550177"}}))
		defer c.close()
		c.cmd("AT+VCID=1", "OK")
		a.send("ATDT555-0177\r")
		c.until("\r\nRING\r\n", time.Minute)
		first := time.Now()
		id := c.until("\r\nRING\r\n", time.Minute)
		if d := time.Since(first).Round(100 * time.Millisecond); d != ringCycle {
			t.Errorf("rings %v apart, want %v", d, ringCycle)
		}
		for _, want := range []string{"\r\nDATE = ", "\r\nTIME = ", "\r\nNMBR = 5550100\r\n", "\r\nNDID = 5550177\r\n"} {
			if !strings.Contains(id, want) {
				t.Errorf("caller ID %q lacks %q", id, want)
			}
		}
		if s := c.cmd("ATS1?", "OK"); !strings.Contains(s, "002") {
			t.Errorf("S1 after two rings: %q", s)
		}
		a.send("x") // aborts dialing: the ringing stops
		a.result("NO CARRIER")
		c.quiet(20 * time.Second)
		c.cmd("ATA", "NO CARRIER")
	})
}

func TestAnswer_ByS0(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		b.cmd("ATS0=2", "OK")
		a.send("ATDT5550101\r")
		b.result("RING")
		b.result("RING")
		start := time.Now()
		b.result("CONNECT")
		if d := time.Since(start); d < 4*time.Second || d > 7*time.Second {
			t.Errorf("first signal %v after the answer, want 1.8-2.5 s + CED + 75 ms", d)
		}
		b.sendFrames(frameDIS)
		a.result("CONNECT")
		a.recvFrame()
	})
}

func TestCall_BusyLineAndGlare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex, a, b, done := pair(t, Options{})
		defer done()
		c := openDTE(t, ex.NewModem("5550102", ModemOptions{}))
		defer c.close()
		connectPair(a, b)
		c.cmd("ATDT5550101", "BUSY")
		c.cmd("ATDT5550102", "BUSY") // itself
		a.cmd("ATH", "OK")
		time.Sleep(time.Second)

		// Glare: b dials while the exchange is already seizing its line.
		a.send("ATS7=30DT5550101\r")
		b.result("RING")
		b.send("ATX3S7=20DT5550199\r")
		b.result("NO CARRIER") // two callers on one line: nobody sends V.21
		a.result("NO CARRIER")

		// The same by a modem that waits for dial tone: there is none.
		a.send("ATDT5550101\r")
		b.result("RING")
		b.send("ATX4DT5550199\r")
		b.result("NO DIALTONE")
		a.result("NO CARRIER")
	})
}

// TestPage_BeginsWithLineFeed: a line feed right after the command line is part of it, one after CONNECT is data.
func TestPage_BeginsWithLineFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		for _, end := range []string{"\r", "\r\n"} {
			b.send("AT+FRM=96\r")
			a.send("AT+FTM=96" + end)
			a.result("CONNECT")
			want := []byte("\n\r\n then the page")
			a.send(shielded(want))
			a.result("OK")
			b.result("CONNECT")
			if got := b.data(); !bytes.Equal(got, want) {
				t.Errorf("after %q: got %q, want %q", end, got, want)
			}
			b.result("NO CARRIER")
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// TestData_EndAndResultCodeInOneRead: DLE ETX and its result code are never parted, whatever the length of the data, even
// when the serial line is slower than the page.
func TestData_EndAndResultCodeInOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := NewExchange(Options{})
		a := openDTE(t, ex.NewModem("5550100", ModemOptions{}))
		b := openDTE(t, ex.NewModem("5550101", ModemOptions{Baud: 9600}))
		defer ex.Close()
		defer a.close()
		defer b.close()
		for _, d := range []*dte{a, b} {
			d.cmd("ATE0", "OK")
			d.cmd("AT+FCLASS=1", "OK")
		}
		connectPair(a, b)
		for n := 1; n <= 140; n++ {
			onePage(a, b, 145, make([]byte, 600+n))
		}
		for n := 1; n < 70; n += 3 {
			b.send("AT+FRH=3\r")
			a.cmd("AT+FTH=3", "CONNECT")
			a.sendFrames("\xff\x13" + strings.Repeat("\x20", n))
			b.result("CONNECT")
			b.recvFrame()
			time.Sleep(100 * time.Millisecond)
		}
		b.send("AT+FRM=96\r")
		a.cmd("AT+FTM=96", "CONNECT")
		b.result("CONNECT")
		b.send("x") // aborts
		b.data()
		b.result("OK")
		a.send(shielded(nil))
		a.result("OK")
		ends := 0
		for _, r := range b.reads {
			if i := strings.LastIndex(r, "\x10\x03"); i >= 0 {
				ends++
				if rest := r[i+2:]; rest != "\r\nNO CARRIER\r\n" && rest != "\r\nOK\r\n" {
					t.Errorf("a read ends in %q", r[i:])
				}
			}
		}
		if want := 140 + 23 + 1; ends != want {
			t.Errorf("%d ends of data in one read, want %d", ends, want)
		}
	})
}

// TestDial_CutLineLeavesTheScript: a call that never left the modem uses up no scripted outcome.
func TestDial_CutLineLeavesTheScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex, a, _, done := pair(t, Options{})
		defer done()
		ex.Script("5550199", Busy, NoAnswer)
		ex.modems[0].CutLine(true)
		a.cmd("ATDT5550199", "NO DIALTONE")
		ex.modems[0].CutLine(false)
		a.cmd("ATDT5550199", "BUSY")
	})
}

// TestPage_AtOnceAfterAFrame: a DTE that sends its page as soon as it has the far end's frame, as efax does, begins while the
// far modem still sends closing flags.
func TestPage_AtOnceAfterAFrame(t *testing.T) {
	for _, code := range []int{146, 145, 96, 48} {
		synctest.Test(t, func(t *testing.T) {
			_, a, b, done := pair(t, Options{})
			defer done()
			connectPair(a, b)
			onePage(a, b, 145, make([]byte, 300)) // so that short training can be
			want := pageData(3000)
			go func() {
				a.cmd("AT+FRH=3", "CONNECT")
				if f := a.recvFrame(); f != frameCFR {
					t.Errorf("% x", f)
				}
				a.cmd(fmt.Sprint("AT+FTM=", code), "CONNECT")
				a.send(shielded(want))
				a.result("OK")
			}()
			b.cmd("AT+FTH=3", "CONNECT")
			b.sendFrames(frameCFR)
			b.cmd(fmt.Sprint("AT+FRM=", code), "CONNECT")
			if got := b.data(); !bytes.Equal(got, want) {
				t.Errorf("+FRM=%d: page data differ", code)
			}
			b.result("NO CARRIER")
			time.Sleep(time.Second)
		})
	}
}
