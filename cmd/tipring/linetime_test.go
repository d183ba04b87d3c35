//go:build peers && bench

package main

import (
	"bytes"
	"encoding/hex"
	"math/bits"
	"os"
	"slices"
	"sort"
	"testing"

	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

// What a call did with the line, read from softline's log, and what the standard makes unavoidable of it.

// lineSignal is one transmission: everything between a carrier's beginning and its end. Times are seconds of line time.
type lineSignal struct {
	station, kind, use string // A or B; ced, cng, v21, v27ter, v29, v17; tcf, image
	rate               int    // bit/s
	start, end         float64
	frames             [][]byte // V.21 frames without FCS, as a passive receiver at the transmitter took them
}

// lineCall is one call: connect to the modem station's on-hook.
type lineCall struct {
	connect, onhook float64
	signals         []lineSignal // without CNG, which costs no time: the caller waits for the called station
}

// readCall reads the one call of a softline whose station A is the modem under test.
func readCall(t *testing.T, s *softline) lineCall {
	t.Helper()
	var c lineCall
	num := func(e map[string]any, k string) float64 { f, _ := e[k].(float64); return f }
	str := func(e map[string]any, k string) string { x, _ := e[k].(string); return x }
	for _, e := range s.events("connect") {
		c.connect = num(e, "t")
	}
	for _, e := range s.eventsOf("A", "onhook") {
		c.onhook = num(e, "t")
	}
	for _, e := range s.events("carrier") {
		if k := str(e, "kind"); k != "cng" {
			begin := num(e, "start")
			c.signals = append(c.signals, lineSignal{station: str(e, "st"), kind: k, use: str(e, "use"), rate: int(num(e, "rate")), start: begin, end: begin + num(e, "dur")})
		}
	}
	sort.Slice(c.signals, func(i, j int) bool { return c.signals[i].start < c.signals[j].start })
	for _, e := range s.events("frame") {
		if e["src"] != "line" || num(e, "ok") != 1 {
			continue
		}
		frame, err := hex.DecodeString(str(e, "hex"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.signals {
			x := &c.signals[i]
			if x.kind == "v21" && x.station == str(e, "st") && num(e, "t") > x.start && num(e, "t") < x.end+0.1 {
				x.frames = append(x.frames, frame)
			}
		}
	}
	if c.connect == 0 || c.onhook <= c.connect || len(c.signals) < 6 {
		t.Fatalf("no whole call in softline's log: %+v", c)
	}
	return c
}

// repeated tells whether part of a page was sent again.
func (c lineCall) repeated() bool {
	return slices.ContainsFunc(c.signals, func(s lineSignal) bool {
		return slices.ContainsFunc(s.frames, func(f []byte) bool { return t30.Frame(f).FCF() == t30.FcfPPR })
	})
}

// part is one kind of line time of one station.
type part struct {
	name, clause string
	n            int
	least, took  float64 // seconds, of all n; least is what the clause and the octets make unavoidable
}

// budget is the line time of one call. Whatever stands between two signals belongs to the station that sends the second.
type budget struct {
	total float64 // connect to on-hook
	own   []part
	far   float64 // the far end's signals and the pauses before them
}

func (b *budget) add(name, clause string, least, took float64) {
	for i := range b.own {
		if p := &b.own[i]; p.name == name {
			p.n, p.least, p.took = p.n+1, p.least+least, p.took+took
			return
		}
	}
	b.own = append(b.own, part{name, clause, 1, least, took})
}

// due is the part's least, or what it took where that was less: nothing is saved up for the other parts.
func (p part) due() float64 { return min(p.least, p.took) }

// byModem is what the V.21 preambles took over their least: a Class 1 modem makes them by itself, the same for every program.
func (b *budget) byModem() (over float64) {
	for _, p := range b.own {
		if p.name == preambles {
			over += p.took - p.due()
		}
	}
	return over
}

const preambles = "V.21 preambles"

// sums adds up the station's own parts: what was due, and what they took.
func (b *budget) sums() (due, took float64) {
	for _, p := range b.own {
		due, took = due+p.due(), took+p.took
	}
	return due, took
}

const (
	answerLeast   = 1.8              // T.30 4.1.2: CED begins 1.8 to 2.5 s after the station is connected to the line
	cedLeast      = 2.6              // T.30 4.1.2: 2.6 to 4.0 s
	pauseLeast    = 0.075 - 0.020    // T.30 4.1, 5.3.2: 75 ± 20 ms between two signals
	preambleLeast = 1.0 * (1 - 0.15) // T.30 5.3.1: 1 s ± 15 % of flags
	tcfLeast      = 1.5 * (1 - 0.10) // T.30 5.3.6.1.4: 1.5 s ± 10 %
	v17Long       = 1.393            // V.17 table 3: 3342 symbol intervals at 2400 baud
	v17Short      = 0.142            // V.17 table 4: 342 symbol intervals
	clearLeast    = 0.800            // T.24, the sender's test procedures: 0.8 to 1.2 s from DCN to on-hook
	ecmLeadLeast  = 0.200            // T.4 A.3.1: flags for 200 ms +100 ms
)

// account splits a call between station A and the far end. pages are A's coded pages in the order of its image carriers, for
// V.17 with ECM; nil when A does not send, or sends otherwise (then an image's least time is what it took).
func account(c lineCall, pages [][]byte) budget {
	b := budget{total: c.onhook - c.connect}
	at, n := c.connect, 0
	for i, s := range c.signals {
		pause := max(s.start-at, 0)
		took := s.end - max(s.start, at)
		at = max(at, s.end)
		if s.station != "A" {
			b.far += pause + took
			continue
		}
		switch {
		case s.kind == "ced": // softline counts the silence before it and the rest after it as part of it
		case i > 0 && c.signals[i-1].kind == "ced":
			b.own[len(b.own)-1].took += pause
		default:
			b.add("pauses before our signals", "T.30 5.3.2, 75 - 20 ms", pauseLeast, pause)
		}
		switch {
		case s.kind == "ced":
			b.add("silence, CED and the rest after it", "T.30 4.1.2: 1.8 s, 2.6 s, 75 - 20 ms", answerLeast+cedLeast+pauseLeast, pause+took)
		case s.kind == "v21":
			b.addCommand(s, took)
		case s.use == "tcf":
			b.add("training and TCF", "V.17 long training 1.393 s, T.30 5.3.6.1.4: 1.5 s - 10 %", v17Long+tcfLeast, took)
		case n < len(pages):
			b.add("pages", imageClause, v17Short+ecmSeconds(pages[n], s.rate), took)
			n++
		default:
			b.add("pages, other coding", "not itemised", took, took)
		}
	}
	if last := c.signals[len(c.signals)-1]; last.station == "A" {
		b.add("our DCN to on-hook", "T.24 test procedures: the line is cleared 0.8 to 1.2 s after DCN", clearLeast, c.onhook-at)
	} else {
		b.add("their DCN to on-hook", "none", 0, c.onhook-at)
	}
	return b
}

const imageClause = "V.17 short training 142 ms, T.4 Annex A framing, octets x 8 / rate"

// addCommand counts a V.21 transmission: preamble and frames apart.
func (b *budget) addCommand(s lineSignal, took float64) {
	name, frames := "", 0.0
	for _, f := range s.frames {
		frames += float64(frameBits(f)) / 300
		if name != "" {
			name += ", "
		}
		name += t30.Frame(f).FCF().String()
	}
	b.add(preambles, "T.30 5.3.1, 1 s - 15 %", preambleLeast, took-frames)
	b.add("frames: "+name, "octets x 8 / 300, with zero insertion, FCS and flag", frames, frames)
}

// frameBits is how many bits frame takes on the line with its FCS, inserted zeros and one closing flag.
func frameBits(frame []byte) int {
	n, ones := 8, 0
	for _, octet := range hdlc.AppendFCS(bytes.Clone(frame)) {
		for range 8 {
			n++
			if octet&1 == 0 {
				ones = 0
			} else if ones++; ones == 5 {
				n, ones = n+1, 0
			}
			octet >>= 1
		}
	}
	return n
}

// checkFrameBits holds frameBits against what is sent: octets of the encoder that ECM pages go through.
func checkFrameBits(t *testing.T, page []byte) {
	t.Helper()
	var enc hdlc.Encoder
	var sent []byte
	want := 0
	for len(page) >= 256 {
		f := append([]byte{0xff, 0x03, 0x06, byte(want)}, page[:256]...)
		page, sent, want = page[256:], enc.Frame(sent, f), want+frameBits(f)
	}
	if got := 8 * len(sent); want == 0 || want < got || want > got+7 {
		t.Fatalf("%d bits counted, %d octets sent", want, len(sent))
	}
}

// ecmSeconds is the least time for a page in ECM at rate: flags, frames of 256 octets (the last one short), three RCPs.
func ecmSeconds(page []byte, rate int) float64 {
	n := 0
	for i := 0; len(page) > 0; i++ {
		size := min(256, len(page))
		n += frameBits(append([]byte{0xff, 0x03, 0x06, byte(i)}, page[:size]...))
		page = page[size:]
	}
	n += 3 * frameBits([]byte{0xff, 0x03, 0x86})
	return ecmLeadLeast + float64(n)/float64(rate)
}

// codedPages gives the coded octets of a one-strip fax TIFF's pages, the first bit of each octet on the line the lowest.
func codedPages(t *testing.T, file string) [][]byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tiff.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var pages [][]byte
	for i := range f.NumPages() {
		c, err := f.Raw(i + 1)
		if err != nil {
			t.Fatal(err)
		}
		page := bytes.Clone(c.Data)
		for j := 0; j < len(page) && c.Format.Order == t4.MSBFirst; j++ {
			page[j] = bits.Reverse8(page[j])
		}
		pages = append(pages, page)
	}
	return pages
}
