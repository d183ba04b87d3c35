package virtual

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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

// coder makes pages of MH and MR line by line, written from T.4 for these tests.
type coder struct {
	k   bitPacker
	mr  bool
	ref []int
}

func (c *coder) put(words ...string) {
	for _, w := range words {
		for _, b := range w {
			c.k.bit(b == '1')
		}
	}
}

// runWords words a run.
func runWords(colour, n int) (out []string) {
	words := strings.Fields([]string{whiteWords + longWords, blackWords + longWords}[colour])
	for ; n > 2560; n -= 2560 {
		out = append(out, words[len(words)-1])
	}
	if n >= 64 {
		out = append(out, words[63+n/64])
	}
	return append(out, words[n%64])
}

const eolWord = "000000000001"

// line puts a line, the places of whose colour changes are given, the last one being the line's end.
func (c *coder) line(changes []int, twoD bool) {
	c.put(eolWord)
	if c.mr {
		c.put(map[bool]string{true: "0", false: "1"}[twoD])
	}
	at := 0
	if !twoD {
		for i, x := range changes {
			c.put(runWords(i%2, x-at)...)
			at = x
		}
	} else {
		c.line2D(changes)
	}
	c.ref = changes
}

// line2D is T.4 4.2.1.3.4.
func (c *coder) line2D(changes []int) {
	width := changes[len(changes)-1]
	modes := strings.Fields(modeWords)
	after := func(list []int, a, colour int) (int, int) { // the first change to the colour right of a, and the one after it
		for i := range list {
			if i%2 == colour && list[i] > a {
				return list[i], append(slices.Clone(list[i+1:]), width)[0]
			}
		}
		return width, width
	}
	for a0, colour := -1, 0; max(a0, 0) < width; {
		a1, a2 := width, width
		for i, x := range changes {
			if i%2 == colour && x >= max(a0, 0) && (x > a0 || i == 0) {
				a1, a2 = x, append(slices.Clone(changes[i+1:]), width)[0]
				break
			}
		}
		b1, b2 := after(c.ref, a0, colour)
		switch d := a1 - b1; {
		case b2 < a1:
			c.put(modes[modePass])
			a0 = b2
		case d >= -3 && d <= 3:
			c.put(modes[modeVertical0+d])
			a0, colour = a1, colour^1
		default:
			c.put(modes[modeHorizontal])
			c.put(runWords(colour, a1-max(a0, 0))...)
			c.put(runWords(colour^1, a2-a1)...)
			a0 = a2
		}
	}
}

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

// randomLine has changes in a line of width, some close to those of the line before.
func randomLine(r *rand.Rand, before []int, width int) []int {
	var out []int
	for x := r.IntN(60); x < width; x += 1 + r.IntN(200) {
		out = append(out, x)
	}
	if len(before) > 0 && r.IntN(3) > 0 {
		out = nil
		for _, x := range before[:len(before)-1] {
			x += r.IntN(9) - 4
			if x > 0 && x < width && (len(out) == 0 || x > out[len(out)-1]) {
				out = append(out, x)
			}
		}
	}
	return append(out, width)
}

// TestCopyCheck_Pages: pages without a fault have no bad line; lines that are spoilt are counted, with MR those after one up to the next of
// one dimension.
func TestCopyCheck_Pages(t *testing.T) {
	for _, mr := range []bool{false, true} {
		for _, width := range []int{1728, 2048, 2432} {
			for _, spoilt := range []int{0, 1, 12} {
				t.Run(fmt.Sprintf("mr %v width %d spoilt %d", mr, width, spoilt), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(width), uint64(spoilt)))
					c := &coder{mr: mr}
					var line []int
					for i := range 400 {
						line = randomLine(r, line, width)
						c.line(line, mr && i%4 != 0)
						if i%8 == 3 && i/8 < spoilt { // the last one before one of one dimension
							c.put("1111")
						}
					}
					page := c.page()
					if q, want := checkCopy(page, mr, width), (copyQuality{400, spoilt, min(spoilt, 1)}); q != want {
						t.Errorf("%+v, want %+v", q, want)
					}
				})
			}
		}
	}
	c := &coder{mr: true}
	for i := range 8 {
		c.line([]int{100, 200, 1728}, i%4 != 0)
		if i == 4 {
			c.put("1111")
		}
	}
	if q, want := checkCopy(c.page(), true, 1728), (copyQuality{8, 4, 4}); q != want {
		t.Errorf("after a bad line of one dimension: %+v, want %+v", q, want)
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
					k.line([]int{300, 310, 1728}, false)
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
