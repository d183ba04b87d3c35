package virtual

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// These are dialogues of SP-2388, TIA-592 and T.32 between two DTEs, each with a modem that runs T.30 itself.

// classPair is two modems with the given classes and an open port each, in that class, without echo.
func classPair(t testing.TB, o Options, ca, cb string) (ex *Exchange, a, b *dte, done func()) {
	t.Helper()
	ex = NewExchange(o)
	all := []string{"0", "1", "1.0", "2", "2.0", "2.1"}
	ma := ex.NewModem("5550100", ModemOptions{Classes: all, ECM: true})
	mb := ex.NewModem("5550101", ModemOptions{Classes: all, ECM: true})
	a, b = openDTE(t, ma), openDTE(t, mb)
	for i, d := range []*dte{a, b} {
		class := []string{ca, cb}[i]
		d.cmd("ATE0", "OK")
		d.cmd("AT+FCLASS="+class, "OK")
		if class[0] == '2' {
			d.cmd("AT"+map[bool]string{true: "+FLID", false: "+FLI"}[class == "2"]+fmt.Sprintf(`="55501%02d"`, i), "OK")
			d.cmd("AT+FCR=1", "OK")
			if class != "2" {
				d.cmd("AT+FNR=1,1,1,1", "OK")
			}
		}
	}
	return ex, a, b, func() {
		t.Helper()
		a.close()
		b.close()
		for _, m := range []*Modem{ma, mb} {
			if n := m.Stats().Underruns; n != 0 {
				t.Errorf("%v: %d underruns", m, n)
			}
		}
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
	}
}

// mhPage is n lines of MH, each of white and black runs, LSB first as on the line, without RTC.
func mhPage(n int) []byte {
	var k bitPacker
	put := func(s string) {
		for _, c := range s {
			k.bit(c == '1')
		}
	}
	for i := range n {
		put("000000000001")
		if i%3 == 0 {
			put("010011011" + "00110101") // 1728 white
			continue
		}
		put("0111" + "11" + "010011010" + "000011001100" + "01011" + "0001011") // some of each; nobody here decodes it
	}
	for k.n > 0 {
		k.bit(false)
	}
	return k.full
}

// rtcMH is what the modem ends an MH page with.
var rtcMH = []byte{0x00, 0x08, 0x80, 0x00, 0x08, 0x80, 0x00, 0x08, 0x80}

// expect reads lines until a result code, and fails unless they are those wanted.
func (d *dte) expect(result string, lines ...string) {
	d.t.Helper()
	s := d.until("\r\n"+result+"\r\n", 5*time.Minute)
	var got []string
	for _, l := range strings.Split(strings.TrimSuffix(s, "\r\n"+result+"\r\n"), "\r\n") {
		if l != "" {
			got = append(got, l)
		}
	}
	if strings.Join(got, "|") != strings.Join(lines, "|") {
		d.t.Fatalf("before %s came\n%q, want\n%q", result, got, lines)
	}
}

// sendPage2 sends a page after +FDT in Class 2 and what follows it.
func (d *dte) sendPage2(data []byte, follow int, lines ...string) {
	d.t.Helper()
	if x := d.one(); x != xon {
		d.t.Fatalf("%02x in place of XON", x)
	}
	d.send(shielded(data))
	d.expect("OK")
	d.send(fmt.Sprintf("AT+FET=%d\r", follow))
	d.expect("OK", lines...)
}

func TestClass2_SendAndReceive(t *testing.T) {
	for _, ec := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("ecm ", ec), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b, done := classPair(t, Options{Delay: 20 * time.Millisecond}, "2", "2")
				defer done()
				for _, d := range []*dte{a, b} {
					d.cmd(fmt.Sprintf("AT+FDCC=1,5,2,2,1,%d,0,0", ec), "OK")
				}
				told := map[int]int{0: 0, 1: 2, 2: 2}[ec]
				pages := [][]byte{mhPage(400), mhPage(700)}
				a.send("ATDT5550101\r")
				b.result("RING")
				b.send("ATA\r")
				a.expect("OK", "+FCON", `+FCSI: "             5550101"`, fmt.Sprintf("+FDIS: 1,5,2,2,1,%d,0,0", told))
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					a.send("AT+FDIS=1,3,0,2,0," + fmt.Sprint(ec) + ",0,0\r")
					a.expect("OK")
					a.send("AT+FDT\r")
					a.expect("CONNECT", fmt.Sprintf("+FDCS: 1,3,0,2,0,%d,0,0", ec))
					a.sendPage2(pages[0], 0, "+FPTS: 1")
					a.send("AT+FDT\r")
					a.expect("CONNECT")
					a.sendPage2(pages[1], 2, "+FPTS: 1", "+FHNG: 0")
				}()
				b.expect("OK", "+FCON", `+FTSI: "             5550100"`, fmt.Sprintf("+FDCS: 1,3,0,2,0,%d,0,0", ec))
				for i, want := range pages {
					b.send("AT+FDR\r")
					if i == 0 {
						b.expect("CONNECT", "+FCFR")
					} else {
						b.expect("CONNECT")
					}
					b.send("\x11")
					got := b.data()
					if !bytes.HasPrefix(got, append(bytes.Clone(want), rtcMH...)) {
						t.Fatalf("page %d differs: %d octets, want %d", i+1, len(got), len(want))
					}
					b.expect("OK", fmt.Sprintf("+FPTS: 1,%d,0,0", []int{400, 700}[i]), "+FET: "+[]string{"0", "2"}[i])
				}
				b.send("AT+FDR\r")
				b.expect("OK", "+FHNG: 0")
				<-sent
			})
		})
	}
}

// sendPage20 sends a page after +FDT in Class 2.0 with the post-message command after it.
func (d *dte) sendPage20(data []byte, ppm byte, result string, lines ...string) {
	d.t.Helper()
	s := shielded(data)
	d.send(s[:len(s)-1] + string(rune(ppm)))
	d.expect(result, lines...)
}

func TestClass20_SendAndReceive(t *testing.T) {
	for _, class := range []string{"2.0", "2.1"} {
		t.Run(class, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b, done := classPair(t, Options{Delay: 20 * time.Millisecond}, class, class)
				defer done()
				vr := map[string]string{"2.0": "1", "2.1": "01"}[class]
				pages := [][]byte{mhPage(400), mhPage(700)}
				most := map[string]string{"2.0": "1", "2.1": "77"}[class]
				a.send("ATDT5550101\r")
				b.result("RING")
				b.send("ATA\r")
				a.expect("OK", "+FCO", `+FCI:"             5550101"`, "+FIS:"+most+",5,2,2,1,0,0,0")
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					a.cmd("AT+FIS=1,5,0,2,0,0,0,0", "OK")
					a.send("AT+FDT\r")
					a.expect("CONNECT", "+FCS:"+vr+",5,0,2,0,0,0,0")
					a.sendPage20(pages[0], ',', "OK")
					if s := a.cmd("AT+FPS?", "OK"); strings.TrimSpace(s) != "1" {
						t.Errorf("+FPS? tells %q", s)
					}
					a.send("AT+FDT\r")
					a.expect("CONNECT")
					a.sendPage20(pages[1], '.', "OK", "+FHS:00")
				}()
				b.expect("OK", "+FCO", `+FTI:"             5550100"`, "+FCS:"+vr+",5,0,2,0,0,0,0")
				for i, want := range pages {
					b.send("AT+FDR\r")
					b.expect("CONNECT")
					b.send("\x12")
					got := b.data()
					if !bytes.HasPrefix(got, append(bytes.Clone(want), rtcMH...)) {
						t.Fatalf("page %d differs: %d octets, want %d", i+1, len(got), len(want))
					}
					b.expect("OK", fmt.Sprintf("+FPS:1,%d,0,0", []int{400, 700}[i]), "+FET:"+[]string{"0", "2"}[i])
				}
				b.send("AT+FDR\r")
				b.expect("OK", "+FHS:00")
				<-sent
			})
		})
	}
}
