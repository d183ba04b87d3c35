package virtual

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/imagingtest"
	"github.com/tipring/tipring/imaging/t4"
)

// TestCopyCheck_Words: the code words are prefix-free and use up what T.4 gives them, so that a slip in the table shows.
func TestCopyCheck_Words(t *testing.T) {
	for i, c := range []struct {
		list  string
		words int
	}{{whiteWords + longWords, 104}, {blackWords + longWords, 104}, {modeWords, 9}} {
		words := strings.Fields(c.list)
		if len(words) != c.words {
			t.Errorf("list %d: %d words", i, len(words))
		}
		slices.Sort(words)
		for k := 1; k < len(words); k++ {
			if strings.HasPrefix(words[k], words[k-1]) {
				t.Errorf("list %d: %s begins with %s", i, words[k], words[k-1])
			}
		}
	}
}

// coder makes a page of MH or MR line by line.
type coder struct {
	k  bitPacker
	mr bool
}

func (c *coder) put(words ...string) {
	for _, w := range words {
		for _, b := range w {
			c.k.bit(b == '1')
		}
	}
}

const eolWord = "000000000001"

// line puts a line of one dimension: 300 white, 10 black, 1418 white.
func (c *coder) line() {
	c.put(eolWord)
	if c.mr {
		c.put("1")
	}
	c.put("0110111", "00101101", "0000100", "011011011", "00111")
}

// same puts a line of two dimensions, equal to that one: V0 for each of its changes and its end.
func (c *coder) same() { c.put(eolWord, "0", "111") }

// page ends with return to control.
func (c *coder) page() []byte {
	for range 6 {
		c.put(eolWord)
		if c.mr {
			c.put("1")
		}
	}
	for c.k.n > 0 {
		c.k.bit(false)
	}
	return c.k.full
}

// TestCopyCheck_GoodPages: pages that the product's encoder makes have no bad line.
func TestCopyCheck_GoodPages(t *testing.T) {
	for _, coding := range []imaging.Coding{imaging.MH, imaging.MR} {
		for _, width := range []int{1728, 2048, 2432} {
			for _, kind := range []string{"white", "black", "text", "noise", "dust", "stripes", "bars", "screen", "diffused", "mixed"} {
				r := rand.New(rand.NewPCG(uint64(width), 7))
				page := imagingtest.Random(r, width, 200, kind)
				var b bytes.Buffer
				e, err := t4.NewEncoder(&b, width, t4.Line(coding, imaging.Fine))
				if err != nil {
					t.Fatal(err)
				}
				for y := range page.Height {
					if err := e.EncodeLine(page.Row(y)); err != nil {
						t.Fatal(err)
					}
				}
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				if q, want := checkCopy(b.Bytes(), coding == imaging.MR, width), (copyQuality{lines: page.Height}); q != want {
					t.Errorf("%v, %d wide, %s: %+v", coding, width, kind, q)
				}
				if q := checkCopy(b.Bytes(), coding == imaging.MR, width-1); q.bad < page.Height/2 {
					t.Errorf("%v, %d wide, %s: %d of %d lines are bad where all have another length", coding, width, kind, q.bad, q.lines)
				}
			}
		}
	}
}

// TestCopyCheck_SpoiltLines: lines that are spoilt are counted, in MR those after one, too, up to the next of one dimension.
func TestCopyCheck_SpoiltLines(t *testing.T) {
	for _, mr := range []bool{false, true} {
		for spoilt, want := range map[int]copyQuality{-1: {40, 0, 0}, 5: {40, 1, 1}, 4: {40, 1, 1}} {
			c := &coder{mr: mr}
			for i := range 40 {
				if mr && i%4 != 0 {
					c.same()
				} else {
					c.line()
				}
				if i == spoilt {
					c.put("1111")
				}
			}
			if mr && spoilt >= 0 {
				want.bad, want.longest = 8-spoilt, 8-spoilt
			}
			if q := checkCopy(c.page(), mr, 1728); q != want {
				t.Errorf("mr %v, line %d spoilt: %+v, want %+v", mr, spoilt, q, want)
			}
		}
	}
}

func FuzzCopyCheck(f *testing.F) {
	f.Add(mhPage(5), true, 1728)
	f.Fuzz(func(t *testing.T, page []byte, mr bool, width int) {
		if q := checkCopy(page, mr, width%5000); q.bad > q.lines || q.longest > q.bad {
			t.Errorf("%+v", q)
		}
	})
}

// TestCopyCheck_Told: with +FCQ=1 the page status tells of bad lines, and asks for RTP or RTN, which the DTE may overrule; the sender hears of it.
func TestCopyCheck_Told(t *testing.T) {
	for _, c := range []struct {
		name, setup string
		bad         int // lines of 200
		told        string
		own         string // page status of the DTE
		want        string // that the sender is told
	}{
		{"not asked for", "AT", 50, "1,200,0,0", "", "+FPTS: 1"},
		{"good", "AT+FCQ=1", 0, "1,200,0,0", "", "+FPTS: 1"},
		{"poor", "AT+FCQ=1", 8, "3,200,8,1", "", "+FPTS: 3"},
		{"bad", "AT+FCQ=1", 20, "2,200,20,1", "", "+FPTS: 2"},
		{"another limit", "AT+FCQ=1;+FBADMUL=6", 20, "3,200,20,1", "", "+FPTS: 3"},
		{"overruled", "AT+FCQ=1", 20, "2,200,20,1", "1", "+FPTS: 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ex := NewExchange(Options{})
				defer ex.Close()
				o := ModemOptions{Classes: []string{"0", "2"}, Class2Habits: Class2Habits{ChecksCopy: true}}
				a, b := openDTE(t, ex.NewModem("5550100", o)), openDTE(t, ex.NewModem("5550101", o))
				defer a.close()
				defer b.close()
				for _, d := range []*dte{a, b} {
					d.cmd("ATE0+FCLASS=2;+FCR=1", "OK")
				}
				b.cmd(c.setup, "OK")
				k := &coder{}
				for i := range 200 {
					k.line()
					if i%2 == 1 && i/2 < c.bad {
						k.put("1111")
					}
				}
				page := k.page()
				got := make(chan string, 1)
				go func() {
					b.until("RING", time.Minute)
					b.cmd("ATA", "OK")
					b.send("AT+FDR\r")
					b.until("CONNECT\r\n", time.Minute)
					b.send("\x11")
					b.until("\x10\x03", 5*time.Minute)
					s := b.until("OK\r\n", time.Minute)
					if c.own != "" {
						b.cmd("AT+FPTS="+c.own, "OK")
					}
					b.send("AT+FDR\r")
					got <- s
				}()
				a.cmd("AT+FDIS=0,5,0,2,0,0,0,0", "OK")
				a.cmd("ATDT5550101", "OK")
				a.send("AT+FDT\r")
				a.until("CONNECT\r\n\x11", time.Minute)
				a.send(shielded(page))
				a.until("OK\r\n", 5*time.Minute)
				a.send("AT+FET=2\r")
				told := <-got
				if s := a.until("OK\r\n", 5*time.Minute); !strings.Contains(s, c.want) {
					t.Errorf("the sender is told %q, want %s", s, c.want)
				}
				if !strings.Contains(told, "+FPTS: "+c.told+"\r\n") {
					t.Errorf("told %q, want %s", told, c.told)
				}
			})
		})
	}
}
