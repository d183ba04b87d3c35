package virtual

import (
	"bytes"
	"math/bits"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAbort_AnyCharacter: T.31 8.3: an octet of the DTE ends every state in which the modem waits.
func TestAbort_AnyCharacter(t *testing.T) {
	for _, c := range []struct{ line, want, then string }{
		{"AT+FRS=200", "\r\nOK\r\n", "OK"},
		{"AT+FRH=3", "\r\nOK\r\n", "OK"},
		{"AT+FRM=96", "\r\nOK\r\n", "OK"},
		{"AT+FRM=146", "\r\nOK\r\n", "OK"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, a, b, done := pair(t, Options{})
			defer done()
			connectPair(a, b)
			time.Sleep(time.Second)
			a.send(c.line + "\r\n") // the line feed is no abort
			a.quiet(500 * time.Millisecond)
			a.send("\x11\x13") // nor are XON and XOFF
			if !strings.Contains(c.line, "FRS") {
				a.quiet(500 * time.Millisecond)
			}
			a.send("\x18")
			a.until(c.want, time.Second)
			a.cmd("AT+FTS=1", c.then)
		})
	}
}

func TestAbort_InDataGivesDLEETX(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		b.send("AT+FRM=96\r")
		a.cmd("AT+FTM=96", "CONNECT")
		go func() {
			a.send(shielded(pageData(20000)))
			a.result("OK")
		}()
		b.result("CONNECT")
		time.Sleep(3 * time.Second)
		b.send("\x18")
		if got := b.data(); len(got) < 2500 || len(got) > 3700 {
			t.Errorf("%d octets in 3 s of 9600 bit/s", len(got))
		}
		b.result("OK")
		b.quiet(time.Second)
		b.send("AT+FRM=96\r")     // the same carrier cannot be got into again
		b.quiet(30 * time.Second) // and its end is not heard
		b.send("\x18")
		b.result("OK")
	})
}

func TestDialing_AbortedByCharacter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		a.send("ATDT5550101\r")
		b.result("RING")
		a.send(" ")
		a.result("NO CARRIER")
		b.quiet(10 * time.Second)
		// and while CED is sent
		a.send("ATDT5550101\r")
		b.result("RING")
		b.send("ATA\r")
		time.Sleep(3 * time.Second)
		b.send(" ")
		b.result("NO CARRIER")
		a.result("NO CARRIER") // the exchange drops the caller
		a.cmd("AT+FTM=96", "ERROR")
	})
}

// TestHangup_InEachState: the far end hangs up while this one is in every state there is.
func TestHangup_InEachState(t *testing.T) {
	for _, c := range []struct{ name, line, first, want string }{
		{"command", "", "", ""},
		{"FRH", "AT+FRH=3", "", "\r\nNO CARRIER\r\n"},
		{"FRM", "AT+FRM=96", "", "\r\nNO CARRIER\r\n"},
		{"FRS", "AT+FRS=255", "", "\r\nNO CARRIER\r\n"},
		{"FTS", "AT+FTS=255", "", "\r\nNO CARRIER\r\n"},
		{"FTH", "AT+FTH=3", "CONNECT", "\r\nNO CARRIER\r\n"},
		{"FTM", "AT+FTM=96", "CONNECT", "\r\nNO CARRIER\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b, done := pair(t, Options{})
				defer done()
				connectPair(a, b)
				time.Sleep(time.Second)
				switch {
				case c.first != "":
					a.cmd(c.line, c.first)
				case c.line != "":
					a.send(c.line + "\r")
				}
				start := time.Now()
				b.cmd("ATH", "OK")
				if c.want == "" {
					a.quiet(5 * time.Second)
				} else {
					a.until(c.want, 3*time.Second)
					if d := time.Since(start); d < 300*time.Millisecond {
						t.Errorf("noticed after %v", d)
					}
				}
				a.cmd("AT+FRH=3", "ERROR")
				connectPair(a, b) // both can call again
			})
		})
	}
}

// TestHangup_InPageKeepsCommandState: a DTE that goes on sending page data must not have it taken for commands.
func TestHangup_InPageKeepsCommandState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		b.send("AT+FRM=96\r")
		a.cmd("AT+FTM=96", "CONNECT")
		go func() {
			time.Sleep(4 * time.Second)
			b.port.Close()
		}()
		a.send(shielded(bytes.Repeat([]byte("xATI3\r"), 4000)))
		a.result("NO CARRIER")
		a.quiet(10 * time.Second)
		a.cmd("AT+FTM=96", "ERROR")
	})
}

func TestDTR_DropHangsUpBySetting(t *testing.T) {
	for _, c := range []struct {
		set  string
		gone bool
	}{{"AT&D2", true}, {"AT&D3", true}, {"AT&D0", false}} {
		synctest.Test(t, func(t *testing.T) {
			_, a, b, done := pair(t, Options{})
			defer done()
			b.cmd(c.set, "OK")
			connectPair(a, b)
			a.send("AT+FRH=3\r")
			if err := b.port.SetDTR(false); err != nil {
				t.Fatal(err)
			}
			if _, gone := a.tryUntil("NO CARRIER", 5*time.Second); gone != c.gone {
				t.Errorf("%s: caller dropped %v, want %v", c.set, gone, c.gone)
			}
		})
	}
}

func TestTransmit_FiveSecondsWithoutData(t *testing.T) {
	for _, line := range []string{"AT+FTH=3", "AT+FTM=96"} {
		synctest.Test(t, func(t *testing.T) {
			_, a, b, done := pair(t, Options{})
			defer done()
			connectPair(a, b)
			a.cmd(line, "CONNECT")
			start := time.Now()
			a.result("ERROR")
			if d := time.Since(start).Round(100 * time.Millisecond); d != dteTimeout {
				t.Errorf("%s: ERROR after %v, want %v", line, d, dteTimeout)
			}
			a.cmd("AT+FTS=1", "OK") // still off hook
		})
	}
}

func TestTransmit_NullFrameAndLateFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		b.send("AT+FRH=3\r")
		a.cmd("AT+FTH=3", "CONNECT")
		time.Sleep(500 * time.Millisecond)
		a.send("\x10\x03") // null frame: carrier off
		a.result("OK")
		b.result("CONNECT") // flags only: a false start
		b.data()
		b.result("NO CARRIER")
		b.send("AT+FRH=3\r")
		a.cmd("AT+FTH=3", "CONNECT")
		time.Sleep(3 * time.Second) // flags meanwhile
		a.sendFrames(frameTSI, frameDCS)
		b.result("CONNECT")
		b.recvFrame()
		b.cmd("AT+FRH=3", "CONNECT")
		if f := b.recvFrame(); f != frameDCS {
			t.Errorf("% x", f)
		}
		b.send("AT+FRH=3\r") // nothing more: waits, without limit
		b.quiet(2 * time.Minute)
	})
}

func TestUnderrun_FillsWithZerosAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		b.send("AT+FRM=96\r")
		a.cmd("AT+FTM=96", "CONNECT")
		first, second := bytes.Repeat([]byte{0xA5}, 600), bytes.Repeat([]byte{0x5A}, 600)
		go func() {
			a.send(string(first))
			time.Sleep(2 * time.Second) // the first is gone after 0.25 + 0.5 s
			a.send(shielded(second))
			a.result("OK")
		}()
		b.result("CONNECT")
		got := b.data()
		fill := len(got) - 1200
		if fill < 1200 || fill > 1700 || !bytes.Equal(got, slicesJoin(first, make([]byte, fill), second)) {
			t.Errorf("%d octets, fill of %d", len(got), fill)
		}
		st := a.m().Stats()
		if st.Underruns != 1 || st.UnderrunOctets != int64(fill) {
			t.Errorf("stats %+v, want one underrun of %d", st, fill)
		}
		if st := b.m().Stats(); st != (Stats{}) {
			t.Errorf("receiver's stats %+v", st)
		}
	})
}

func slicesJoin(b ...[]byte) []byte { return bytes.Join(b, nil) }

func TestUnderrun_ByTheLetterEndsTheCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex, _, b, done := pair(t, Options{})
		defer done()
		a := openDTE(t, ex.NewModem("5550103", ModemOptions{StopOnUnderrun: true}))
		defer a.close()
		a.cmd("ATE0", "OK")
		a.cmd("AT+FCLASS=1", "OK")
		connectPair(a, b)
		b.send("AT+FRM=96\r")
		a.cmd("AT+FTM=96", "CONNECT")
		a.send(strings.Repeat("\x55", 600))
		a.result("OK")
		b.result("CONNECT")
		if got := b.data(); len(got) != 600 {
			t.Errorf("%d octets", len(got))
		}
	})
}

func TestReceive_WrongCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		b.send("AT+FRM=96\r") // V.21 comes
		a.cmd("AT+FTH=3", "CONNECT")
		b.result("+FCERROR")
		b.send("AT+FRH=3\r")
		a.sendFrames(frameDCS)
		b.result("CONNECT")
		if f := b.recvFrame(); f != frameDCS {
			t.Errorf("% x", f)
		}
		b.cmd("AT+FAR=1", "OK")
		b.send("AT+FRM=96\r")
		a.cmd("AT+FTH=3", "CONNECT")
		a.sendFrames(frameEOP)
		b.result("+FRH:3")
		b.result("CONNECT")
		if f := b.recvFrame(); f != frameEOP {
			t.Errorf("% x", f)
		}
		for _, rx := range []string{"AT+FRM=97", "AT+FRM=72", "AT+FRM=98", "AT+FRH=3"} { // another modulation: nothing is heard
			b.send(rx + "\r")
			a.cmd("AT+FTM=96", "CONNECT")
			a.send(shielded(make([]byte, 600)))
			a.result("OK")
			b.quiet(time.Second)
			b.send("\x18")
			b.result("OK")
		}
	})
}

func TestReceive_LateForTheTraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		a.cmd("AT+FTM=96", "CONNECT")
		time.Sleep(100 * time.Millisecond) // V.29 trains for 253 ms
		b.send("AT+FRM=96\r")
		a.send(shielded(pageData(2000)))
		a.result("OK")
		b.quiet(5 * time.Second)
	})
}

func TestReceive_SilenceWaitsForTheCarriersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		a.cmd("AT+FTM=96", "CONNECT")
		b.send("AT+FRS=20\r")
		a.send(shielded(make([]byte, 2400))) // 2 s
		b.quiet(2 * time.Second)
		a.result("OK")
		b.result("OK")
	})
}

func TestReceive_BadFCSIsERROR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{Faults: Faults{Seed: 3, ControlBER: 0.02}})
		defer done()
		a.send("ATDT5550101\r")
		b.result("RING")
		b.send("ATA\r")
		b.result("CONNECT")
		b.sendFrames(strings.Repeat(frameDIS, 20))
		a.result("CONNECT")
		a.data()
		if s := a.until("\r\n", time.Second) + a.until("\r\n", time.Second); s != "\r\nERROR\r\n" {
			t.Errorf("after a damaged frame: %q", s)
		}
	})
}

func TestFaults_BERReplaysAndDrops(t *testing.T) {
	page := make([]byte, 20000)
	for i := range page {
		page[i] = 0x55
	}
	damage := func(f Faults) (n int) {
		synctest.Test(t, func(t *testing.T) {
			_, a, b, done := pair(t, Options{Faults: f})
			defer done()
			connectPair(a, b)
			for i, c := range onePage(a, b, 96, page) {
				n += bits.OnesCount8(c ^ page[i])
			}
		})
		return n
	}
	if n := damage(Faults{}); n != 0 {
		t.Errorf("clean line: %d bit errors", n)
	}
	n := damage(Faults{Seed: 1, BER: 1e-3})
	if n < 110 || n > 220 { // 160 expected
		t.Errorf("BER 1e-3: %d errors in 160000 bits", n)
	}
	if again := damage(Faults{Seed: 1, BER: 1e-3}); again != n {
		t.Errorf("same seed: %d errors, then %d", n, again)
	}
	if n := damage(Faults{TrainRate: 7200}); n < 10000 {
		t.Errorf("9600 on a line for 7200: only %d errors", n)
	}
	if n := damage(Faults{Hits: []Hit{{Page: 1, At: time.Second, Length: 100 * time.Millisecond}}}); n < 300 || n > 700 {
		t.Errorf("hit of 120 octets: %d bit errors", n)
	}
	if n := damage(Faults{Hits: []Hit{{Page: 2, At: 0, Length: time.Second}}}); n != 0 {
		t.Errorf("hit of another page: %d bit errors", n)
	}

	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{Faults: Faults{DropPage: 1, DropPageAfter: 5 * time.Second}})
		defer done()
		connectPair(a, b)
		onePage(a, b, 96, make([]byte, 1800)) // TCF is no page
		b.send("AT+FRM=96\r")
		a.cmd("AT+FTM=96", "CONNECT")
		go a.send(shielded(page))
		b.result("CONNECT")
		if got := b.data(); len(got) < 5500 || len(got) > 6500 {
			t.Errorf("%d octets before the drop after 5 s", len(got))
		}
		b.result("NO CARRIER")
		a.until("NO CARRIER", time.Second)
		a.cmd("AT+FTS=1", "ERROR")
		b.cmd("AT+FTS=1", "ERROR")
	})
}

func TestLine_CutInACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		a.send("AT+FRH=3\r")
		b.send("AT+FRH=3\r")
		a.m().CutLine(true)
		a.result("NO CARRIER")
		b.result("NO CARRIER")
		a.cmd("ATDT5550101", "NO DIALTONE")
		b.cmd("ATDT5550100", "BUSY")
		a.m().CutLine(false)
		connectPair(b.as(a), a.as(b))
	})
}

// as swaps the roles in connectPair, which dials 5550101: give that number to the other modem.
func (d *dte) as(other *dte) *dte {
	ex := d.m().ex
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if m := other.m(); m.number == "5550100" {
		ex.numbers["5550101"] = []subscriber{m}
	}
	return d
}

// TestWrite_WaitsForTheModemsBuffer: flow control, and Purge lets go of a write that waits.
func TestWrite_WaitsForTheModemsBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		a.cmd("AT+FTM=24", "CONNECT")
		start := time.Now()
		a.send(strings.Repeat("\x55", 4096+600)) // 600 octets at 2400 bit/s: 2 s
		if d := time.Since(start); d < 2*time.Second || d > 3500*time.Millisecond {
			t.Errorf("write took %v, want 0.9 s training + 2 s", d)
		}
		wrote := make(chan int)
		go func() {
			n, err := a.port.Write(make([]byte, 100000))
			if err != nil {
				t.Error(err)
			}
			wrote <- n
		}()
		time.Sleep(time.Second)
		if err := a.port.(*Port).Purge(); err != nil {
			t.Error(err)
		}
		if n := <-wrote; n != 100000 {
			t.Errorf("purged write returned %d", n)
		}
	})
}

// TestPort_CloseLetsGo: Close ends a blocked Read and a blocked Write.
func TestPort_CloseLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := pair(t, Options{})
		defer done()
		connectPair(a, b)
		a.cmd("AT+FTM=24", "CONNECT")
		failed := make(chan error)
		go func() {
			_, err := a.port.Write(make([]byte, 100000))
			failed <- err
		}()
		time.Sleep(3 * time.Second)
		a.close()
		if err := <-failed; err == nil {
			t.Error("write on a closed port succeeded")
		}
	})
}

// TestWrite_PacedWithSlack: octets take their time on the serial line, but what this program came too late for is made good.
func TestWrite_PacedWithSlack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _, done := pair(t, Options{})
		defer done()
		for _, c := range []struct{ idle, want time.Duration }{
			{0, 100 * time.Millisecond}, {60 * time.Millisecond, 40 * time.Millisecond}, {time.Second, 100 * time.Millisecond},
		} {
			a.send(strings.Repeat("x", 64))
			time.Sleep(c.idle)
			start := time.Now()
			a.send(strings.Repeat("x", 1152)) // 100 ms at 115200 bit/s
			if took := time.Since(start).Round(time.Millisecond); took != c.want {
				t.Errorf("after %v idle 1152 octets took %v, want %v", c.idle, took, c.want)
			}
			time.Sleep(time.Second)
		}
	})
}
