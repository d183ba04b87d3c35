package virtual

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// connect2 makes a call b in Class 2, up to OK on either side: a has +FDIS, b +FDCS once a orders +FDT, which it does not yet.
func connect2(a, b *dte) {
	a.t.Helper()
	a.send("ATDT5550101\r")
	b.result("RING")
	b.send("ATA\r")
	a.until("\r\nOK\r\n", time.Minute)
	a.cmd("AT+FDIS=1,5,0,2,0,0,0,0", "OK")
}

// startPage2 orders +FDT and brings both sides to the page's data.
func startPage2(a, b *dte) {
	a.t.Helper()
	a.send("AT+FDT\r")
	b.until("\r\nOK\r\n", time.Minute)
	b.send("AT+FDR\r")
	a.until("CONNECT\r\n\x11", time.Minute)
}

// take2 takes the data of a page after CONNECT, and what is told of it up to OK.
func (d *dte) take2() (page []byte, told string) {
	d.t.Helper()
	d.until("CONNECT\r\n", time.Minute)
	d.send("\x11")
	page = d.data()
	return page, d.until("\r\nOK\r\n", time.Minute)
}

// class2Call runs f with a pair in Class 2 that is connected.
func class2Call(t *testing.T, o Options, f func(t *testing.T, ex *Exchange, a, b *dte)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ex, a, b, done := classPair(t, o, "2", "2")
		defer done()
		connect2(a, b)
		f(t, ex, a, b)
	})
}

func TestClass2_RefusedPageComesAgain(t *testing.T) {
	class2Call(t, Options{}, func(t *testing.T, _ *Exchange, a, b *dte) {
		bad, good := mhPage(100), mhPage(150)
		startPage2(a, b)
		a.send(shielded(bad))
		a.expect("OK")
		a.send("AT+FET=0\r")
		if _, told := b.take2(); told != "\r\n+FPTS: 1,100,0,0\r\n\r\n+FET: 0\r\n\r\nOK\r\n" {
			t.Errorf("told %q", told)
		}
		b.cmd("AT+FPTS=2", "OK")
		b.send("AT+FDR\r")
		a.expect("OK", "+FPTS: 2")
		a.cmd("AT+FDIS=0,1", "OK") // the DTE may go on with other parameters
		a.send("AT+FDT\r")
		a.expect("CONNECT", "+FDCS: 0,4,0,2,0,0,0,0")
		a.one()
		a.send(shielded(good))
		a.expect("OK")
		a.send("AT+FET=2\r")
		page, told := b.take2()
		if !bytes.HasPrefix(page, good) || !strings.Contains(told, "+FET: 2") {
			t.Errorf("%d octets of %d, %q", len(page), len(good), told)
		}
		b.send("AT+FDR\r")
		a.expect("OK", "+FPTS: 1", "+FHNG: 0")
		b.expect("OK", "+FHNG: 0")
	})
}

func TestClass2_TwoDocumentsThenPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := classPair(t, Options{}, "2", "2")
		defer done()
		a.cmd("AT+FSPL=1", "OK")
		a.cmd(`AT+FCIG="4711"`, "OK")
		b.cmd("AT+FLPL=1", "OK")
		a.send("ATDT5550101\r")
		b.result("RING")
		b.send("ATA\r")
		if s := a.until("\r\nOK\r\n", time.Minute); !strings.Contains(s, "\r\n+FPOLL\r\n") {
			t.Fatalf("no +FPOLL in %q", s)
		}
		first, second, polled := mhPage(50), mhPage(60), mhPage(70)
		for i, doc := range [][]byte{first, second} {
			if i == 0 {
				startPage2(a, b)
			} else {
				b.send("AT+FDR\r")
				a.until("+FPTS: 1\r\n\r\nOK\r\n", time.Minute)
				a.send("AT+FDT\r")
				if s := a.until("CONNECT\r\n\x11", time.Minute); !strings.Contains(s, "+FDIS: ") || !strings.Contains(s, "+FDCS: ") {
					t.Errorf("after EOM %q", s)
				}
			}
			a.send(shielded(doc))
			a.expect("OK")
			a.send("AT+FET=1\r")
			page, told := b.take2()
			if !bytes.HasPrefix(page, doc) || !strings.Contains(told, "+FET: 1") {
				t.Errorf("document %d: %d octets, %q", i, len(page), told)
			}
		}
		b.send("AT+FDR\r")
		a.until("+FPTS: 1\r\n\r\nOK\r\n", time.Minute)
		a.send("AT+FDR\r")
		if s := b.until("\r\nOK\r\n", time.Minute); !strings.Contains(s, "+FDTC: ") || !strings.Contains(s, "4711") {
			t.Fatalf("asked with %q", s)
		}
		b.send("AT+FDT\r")
		b.until("CONNECT\r\n\x11", time.Minute)
		b.send(shielded(polled))
		b.expect("OK")
		b.send("AT+FET=2\r")
		page, _ := a.take2()
		if !bytes.HasPrefix(page, polled) {
			t.Errorf("polled %d octets", len(page))
		}
		a.send("AT+FDR\r")
		b.expect("OK", "+FPTS: 1", "+FHNG: 0")
		a.expect("OK", "+FHNG: 0")
	})
}

func TestClass2_HangUpCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		do   func(a, b *dte)
		want [2]string
	}{
		{"+FK after +FDIS", Options{}, func(a, b *dte) { a.send("AT+FK\r") }, [2]string{"+FHNG: 2", "+FHNG: 70"}},
		{"+FK of the receiver", Options{}, func(a, b *dte) {
			a.send("AT+FDT\r")
			b.until("\r\nOK\r\n", time.Minute)
			b.send("AT+FK\r")
		}, [2]string{"+FHNG: 20", "+FHNG: 2"}},
		{"+FK inside a page", Options{}, func(a, b *dte) {
			startPage2(a, b)
			a.send(shielded(mhPage(2000)))
			a.expect("OK")
			a.send("AT+FK\r")
			b.until("CONNECT\r\n", time.Minute)
			b.send("\x11")
			b.data()
		}, [2]string{"+FHNG: 2", "+FHNG: 100"}},
		{"CAN in reception", Options{}, func(a, b *dte) {
			startPage2(a, b)
			a.send(string(shielded(mhPage(2000))[:4000]))
			b.until("CONNECT\r\n", time.Minute)
			b.send("\x11\x18")
			b.data()
		}, [2]string{"+FHNG: 40", "+FHNG: 2"}},
		{"no rate trains", Options{Faults: Faults{TrainRate: 1200}}, func(a, b *dte) { a.send("AT+FDT\r") }, [2]string{"+FHNG: 27", "+FHNG: 70"}},
		{"line drops while the DTE thinks", Options{Faults: Faults{DropAfter: 20 * time.Second}}, func(a, b *dte) {
			time.Sleep(time.Minute)
			a.send("AT+FDT\r")
		}, [2]string{"+FHNG: 20", "+FHNG: 70"}},
		{"line drops in the page", Options{Faults: Faults{DropPage: 1, DropPageAfter: 2 * time.Second}}, func(a, b *dte) {
			startPage2(a, b)
			a.send(shielded(mhPage(2000)))
			b.until("CONNECT\r\n", time.Minute)
			b.send("\x11")
			b.data()
		}, [2]string{"+FHNG: 40", "+FHNG: 90"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			class2Call(t, c.o, func(t *testing.T, _ *Exchange, a, b *dte) {
				c.do(a, b)
				for i, d := range []*dte{a, b} {
					if s := d.until("\r\nOK\r\n", 5*time.Minute); !strings.Contains(s, c.want[i]+"\r\n") {
						t.Errorf("side %d: %q, want %s", i, s, c.want[i])
					}
					d.cmd("AT+FCLASS?", "OK")
				}
			})
		})
	}
}

func TestClass2_NoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex, a, b, done := classPair(t, Options{}, "2", "2.0")
		defer done()
		for outcome, want := range map[Outcome]string{Busy: "BUSY", NoAnswer: "NO ANSWER", NoDialTone: "NO DIALTONE", Voice: "NO CARRIER", Unknown: "NO CARRIER"} {
			ex.Script("5550199", outcome)
			a.cmd("ATS7=30DT5550199", want)
			b.cmd("ATS7=30DT5550199", want)
		}
		for _, cmd := range []string{"AT+FDT", "AT+FDR", "AT+FET=2", "AT+FTM=96", "AT+FRH=3", "AT+FIS?", "AT+FLI?"} {
			a.cmd(cmd, "ERROR")
		}
		a.cmd("AT+FK", "OK")
		b.cmd("AT+FDIS?", "ERROR")
	})
}

func TestClass2_ReceiverThatMayNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := classPair(t, Options{}, "2", "2.0")
		defer done()
		b.cmd("AT+FCR=0", "OK")
		connect2(a, b)
		a.send("AT+FDT\r")
		a.expect("OK", "+FHNG: 21")
	})
}

// TestClass2_Habits: triggers, bit order, XON and return to control of the personalities, and each of them switched off.
func TestClass2_Habits(t *testing.T) {
	for _, c := range []struct {
		name            string
		sender, taker   Class2Habits
		trigger         string
		reversed, noRTC bool
		noXON           bool
	}{
		{name: "plain", trigger: "\x11"},
		{name: "DC2", taker: Class2Habits{Trigger: dc2}, trigger: "\x12"},
		{name: "reversed", taker: Class2Habits{ReversedReceive: true}, trigger: "\x12", reversed: true},
		{name: "no RTC", sender: Class2Habits{NoRTC: true}, trigger: "\x11", noRTC: true},
		{name: "no XON", sender: Class2Habits{NoXON: true}, trigger: "\x11", noXON: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ex := NewExchange(Options{})
				defer ex.Close()
				var d [2]*dte
				for i, h := range []Class2Habits{c.sender, c.taker} {
					d[i] = openDTE(t, ex.NewModem(fmt.Sprintf("555010%d", i), ModemOptions{Classes: []string{"0", "2"}, Class2Habits: h}))
					defer d[i].close()
					d[i].cmd("ATE0+FCLASS=2", "OK")
					d[i].cmd("AT+FCR=1", "OK")
				}
				a, b := d[0], d[1]
				connect2(a, b)
				a.send("AT+FDT\r")
				b.until("\r\nOK\r\n", time.Minute)
				b.send("AT+FDR\r")
				a.until("CONNECT\r\n", time.Minute)
				want := mhPage(40)
				if !c.noXON {
					a.one()
				}
				a.send(shielded(want))
				a.expect("OK") // and no XON, where there is to be none
				a.send("AT+FET=2\r")
				b.until("CONNECT\r\n", time.Minute)
				if c.trigger == "\x12" && c.taker.Trigger != 0 {
					b.send("\x11")
				}
				b.quiet(5 * time.Second)
				b.send(c.trigger)
				got := b.data()
				if c.reversed {
					for i := range got {
						got[i] = bits.Reverse8(got[i])
					}
				}
				if !bytes.HasPrefix(got, want) || bytes.HasPrefix(got[len(want):], rtcMH) == c.noRTC {
					t.Errorf("%d octets of %d: % x", len(got), len(want), got[len(want):])
				}
				b.expect("OK", "+FPTS: 1,40,0,0", "+FET: 2")
				b.send("AT+FDR\r")
				b.expect("OK", "+FHNG: 0")
				a.expect("OK", "+FPTS: 1", "+FHNG: 0")
			})
		})
	}
}

// TestClass2_Underrun: a DTE that stalls inside a page is counted, as in Class 1.
func TestClass2_Underrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := NewExchange(Options{})
		defer ex.Close()
		o, err := Personality("class2")
		if err != nil {
			t.Fatal(err)
		}
		m := ex.NewModem("5550100", o)
		a, b := openDTE(t, m), openDTE(t, ex.NewModem("5550101", o))
		defer a.close()
		defer b.close()
		for _, d := range []*dte{a, b} {
			d.cmd("ATE0+FCLASS=2", "OK")
			d.cmd("AT+FCR=1", "OK")
		}
		connect2(a, b)
		startPage2(a, b)
		data := shielded(mhPage(1500))
		a.send(data[:6000])
		time.Sleep(10 * time.Second)
		a.send(data[6000:])
		a.expect("OK")
		if n := m.Stats().Underruns; n != 1 {
			t.Errorf("%d underruns", n)
		}
		a.cmd("ATH", "OK")
	})
}

// TestClass2_LargeBlocks: pages of more than one ECM block at a slow port: the carrier begins before the block is whole.
func TestClass2_LargeBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, done := classPair(t, Options{}, "2", "2")
		defer done()
		for _, d := range []*dte{a, b} {
			d.cmd("AT+FDCC=1,5,2,2,3,2,0,0", "OK")
		}
		connect2(a, b)
		a.cmd("AT+FDIS=1,5,0,2,3,2,0,0", "OK")
		want := pageData(150_000)
		startPage2(a, b)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			a.send(shielded(want))
			a.expect("OK")
			a.send("AT+FET=2\r")
			a.expect("OK", "+FPTS: 1", "+FHNG: 0")
		}()
		got, _ := b.take2()
		if !bytes.HasPrefix(got, want) {
			t.Errorf("%d octets of %d differ", len(got), len(want))
		}
		b.send("AT+FDR\r")
		b.expect("OK", "+FHNG: 0")
		<-sent
	})
}
