package jbig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// stripes returns the offset behind each stripe's data.
func stripes(data []byte) (ends []int) {
	for i := HeaderLen; i+1 < len(data); i++ {
		if data[i] == escape && (data[i+1] == markerSDNorm || data[i+1] == markerSDRst) {
			ends = append(ends, i)
		}
	}
	return ends
}

// TestDamage_CostsItsStripe: where each stripe has its own statistics, a hit costs the stripe's lines and no others, and is noticed.
func TestDamage_CostsItsStripe(t *testing.T) {
	const lines = 50
	b := textPage(1728, 6*lines)
	good, err := Append(nil, b, Format{StripeLines: lines, Reset: true, MX: 8})
	if err != nil {
		t.Fatal(err)
	}
	ends := stripes(good)
	r := rand.New(rand.NewPCG(4, 4))
	unseen := 0
	const tries = 300
	for range tries {
		hit := 1 + r.IntN(4) // not the first or last stripe
		at := ends[hit-1] + 2 + r.IntN(ends[hit]-ends[hit-1]-20)
		data := bytes.Clone(good)
		data[at] ^= 1 << r.IntN(8)
		if data[at] == escape || data[at-1] == escape || good[at] == escape {
			continue // markers come and go
		}
		got, q, _ := Decode(data, 0, 0)
		if q.Lines != b.Height || !q.Ended || q.BadLines != 0 && (q.BadLines != lines || q.LongestBad != lines) {
			t.Fatalf("hit at %d: %+v", at, q)
		}
		for y := range b.Height {
			if y/lines != hit && !bytes.Equal(got.AppendPacked(nil, y), b.AppendPacked(nil, y)) {
				t.Fatalf("hit in stripe %d: line %d differs", hit, y)
			}
		}
		if q.BadLines == 0 {
			unseen++
		}
	}
	if unseen*50 > tries {
		t.Errorf("%d of %d hits unseen", unseen, tries)
	}
}

// TestDamage_EveryBit flips each bit of a page in turn: never a panic, a hang, or more lines than the page says; but for its height, what
// stays unseen is rare.
func TestDamage_EveryBit(t *testing.T) {
	b := textPage(400, 90)
	good, err := Append(nil, b, Format{StripeLines: 30, MX: 8})
	if err != nil {
		t.Fatal(err)
	}
	unseen := 0
	for i := range len(good) * 8 {
		data := bytes.Clone(good)
		data[i/8] ^= 1 << (i % 8)
		got, q, err := Decode(data, b.Width, b.Height)
		if err != nil || got.Height != q.Lines || q.Lines > b.Height || q.BadLines > q.Lines || q.LongestBad > q.BadLines {
			t.Fatalf("bit %d: %+v, %v", i, q, err)
		}
		if i > HeaderLen*8 && q.Ended && q.BadLines == 0 && !got.Equal(b) {
			unseen++
		}
	}
	if unseen*25 > len(good)*8 {
		t.Errorf("%d of %d hits unseen", unseen, len(good)*8)
	}
}

// TestDamage_Bursts: as above, for bursts and pieces cut out.
func TestDamage_Bursts(t *testing.T) {
	b := screenPage(500, 150, 7)
	r := rand.New(rand.NewPCG(9, 9))
	for _, f := range []Format{{MX: 20, StripeLines: 40}, {Reset: true, StripeLines: 20}, {TwoLine: true}} {
		good := stream(t, b, f)
		for range 250 {
			data := bytes.Clone(good)
			at, n := r.IntN(len(data)), 1+r.IntN(60)
			if r.IntN(2) == 0 {
				data = append(data[:at], data[min(at+n, len(data)):]...)
			} else {
				for i := at; i < min(at+n, len(data)); i++ {
					data[i] = byte(r.Uint32())
				}
			}
			got, q, err := Decode(data, b.Width, 300)
			if err != nil || got.Height != q.Lines || q.Lines > 300 || q.BadLines > q.Lines || q.LongestBad > q.BadLines {
				t.Fatalf("%d octets at %d: %+v, %v", n, at, q, err)
			}
		}
	}
}

// TestTruncated_KeepsWhatCame cuts a page everywhere: the lines that are there are the page's.
func TestTruncated_KeepsWhatCame(t *testing.T) {
	b := textPage(500, 200)
	whole, err := Append(nil, b, Format{StripeLines: 64})
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{whole, stream(t, b, Format{StripeLines: 64})} {
		last := 0
		for n := 0; n < len(data); n += 3 {
			got, q, _ := Decode(data[:n], 500, 0)
			if q.Ended && n < len(data)-16 || q.Lines < last-14 || q.Lines > b.Height {
				t.Fatalf("%d of %d octets: %+v, before %d lines", n, len(data), q, last)
			}
			last = q.Lines
			for y := range max(q.Lines-2, 0) { // the last may be a guess
				if !bytes.Equal(got.AppendPacked(nil, y), b.AppendPacked(nil, y)) {
					t.Fatalf("%d of %d octets: line %d of %d differs", n, len(data), y, q.Lines)
				}
			}
		}
		if last < 150 {
			t.Errorf("%d lines without the last three octets", last)
		}
	}
}

// TestDecoder_Markers: comments, ABORT, marks of stripes that are not to be, moves out of bounds, trailing padding.
func TestDecoder_Markers(t *testing.T) {
	b := textPage(300, 60)
	good, err := Append(nil, b, Format{StripeLines: 20, MX: 8})
	if err != nil {
		t.Fatal(err)
	}
	ends := stripes(good)
	insert := func(at int, p ...byte) []byte {
		return append(append(bytes.Clone(good[:at]), p...), good[at:]...)
	}
	for name, c := range map[string]struct {
		data []byte
		want imaging.Quality
	}{
		"comment":            {insert(ends[0]+2, escape, markerComment, 0, 0, 0, 3, 1, escape, markerAbort), imaging.Quality{Lines: 60, Ended: true}},
		"padding":            {append(bytes.Clone(good), 0, 0, 0), imaging.Quality{Lines: 60, Ended: true}},
		"more":               {append(bytes.Clone(good), good...), imaging.Quality{Lines: 60, Ended: true}},
		"abort":              {insert(ends[0]+2, escape, markerAbort), imaging.Quality{Lines: 20, Lost: true}},
		"endless comment":    {insert(ends[0]+2, escape, markerComment, 255, 255, 255, 255), imaging.Quality{Lines: 20, Lost: true}},
		"move up":            {insert(ends[1]+2, escape, markerATMove, 0, 0, 0, 0, 4, 1), imaging.Quality{Lines: 40, Lost: true}},
		"move too far":       {insert(ends[1]+2, escape, markerATMove, 0, 0, 0, 0, 9, 0), imaging.Quality{Lines: 40, Lost: true}},
		"NEWLEN not allowed": {insert(ends[1]+2, escape, markerNewLen, 0, 0, 0, 40), imaging.Quality{Lines: 60, Ended: true}},
		"no stripes":         {good[:HeaderLen], imaging.Quality{Lost: true}},
		"nothing":            {nil, imaging.Quality{Lost: true}},
		"no head":            {bytes.Repeat([]byte{7}, 100), imaging.Quality{Lost: true}},
	} {
		got, q, err := Decode(c.data, 300, 0)
		if err != nil || q != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, q, err, c.want)
		}
		for y := range got.Height {
			if !bytes.Equal(got.AppendPacked(nil, y), b.AppendPacked(nil, y)) {
				t.Errorf("%s: line %d differs", name, y)
				break
			}
		}
	}
}

// TestDecode_OtherWidth cuts or fills with white on the right.
func TestDecode_OtherWidth(t *testing.T) {
	b := noisePage(200, 40, 3)
	data, err := Append(nil, b, Page(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{17, 63, 64, 130, 199, 201, 300} {
		got, q, err := Decode(data, width, 0)
		r := b.Bounds()
		r.Max.X = width
		if err != nil || !q.Ended || !got.Equal(b.Crop(r)) {
			t.Errorf("width %d: %+v, %v", width, q, err)
		}
	}
}

// TestDecode_Bomb: a few octets that say 65,535 x 65,535 pels.
func TestDecode_Bomb(t *testing.T) {
	h := Header{Width: MaxWidth, Height: 1 << 31, StripeLines: 1 << 31, Typical: true}
	data := append(h.append(nil), 0x12, 0x34, escape, markerSDNorm)
	lines := 0
	d, err := NewDecoder(MaxWidth, func([]uint64) { lines++ })
	if err != nil {
		t.Fatal(err)
	}
	d.Write(data)
	if q := d.Close(); !q.Lost || lines > maxPels/MaxWidth || q.Lines != lines {
		t.Errorf("%+v, %d lines", q, lines)
	}
	// What is emitted may be narrow: what is decoded counts.
	for width, most := range map[int]int{MaxWidth / 8: maxPels / MaxWidth, 1728: 0, 1: 0} {
		if b, q, err := Decode(data, width, 0); err != nil || !q.Lost || q.Lines > most || b.Height > most {
			t.Errorf("width %d: %+v, %v", width, q, err)
		}
	}
}

func TestEncoder_Errors(t *testing.T) {
	for _, width := range []int{0, -1, MaxWidth + 1} {
		if _, err := NewEncoder(io.Discard, width, Format{}); !errors.Is(err, ErrFormat) {
			t.Errorf("width %d: %v", width, err)
		}
		if _, err := NewDecoder(width, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("width %d: %v", width, err)
		}
	}
	for _, f := range []Format{{MX: 128}, {MX: -1}, {Height: -1}, {StripeLines: -1}} {
		if _, err := NewEncoder(io.Discard, 100, f); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if _, err := Append(nil, imaging.New(100, 0), Format{}); !errors.Is(err, ErrFormat) {
		t.Errorf("no lines: %v", err)
	}
	e, _ := NewEncoder(io.Discard, 100, Format{Height: 2})
	row := make([]uint64, 2)
	if err := e.EncodeLine(row[:1]); !errors.Is(err, ErrFormat) {
		t.Errorf("short line: %v", err)
	}
	if err := e.EncodeLine(row); err != nil {
		t.Error(err)
	}
	if err := e.Close(); !errors.Is(err, ErrFormat) {
		t.Errorf("one line missing: %v", err)
	}
	if err := errors.Join(e.EncodeLine(row), e.Close()); err != nil {
		t.Error(err)
	}
	if err := e.EncodeLine(row); !errors.Is(err, ErrFormat) {
		t.Errorf("a line more: %v", err)
	}
	full := errors.New("disk full")
	pr, pw := io.Pipe()
	pr.CloseWithError(full)
	e, _ = NewEncoder(pw, 3000, Format{Height: 100, StripeLines: 1})
	b := noisePage(3000, 100, 2)
	for y := range b.Height {
		_ = e.EncodeLine(b.Row(y))
	}
	if err := e.Close(); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

// TestStream_NoAllocations: neither coder allocates per line.
func TestStream_NoAllocations(t *testing.T) {
	b := textPage(1728, 400)
	e, err := NewEncoder(io.Discard, 1728, Page(0))
	if err != nil {
		t.Fatal(err)
	}
	y := 0
	line := func() {
		if err := e.EncodeLine(b.Row(y % 400)); err != nil {
			t.Fatal(err)
		}
		y++
	}
	for range 800 { // its buffer has grown
		line()
	}
	if n := testing.AllocsPerRun(400, line); n > 0 {
		t.Errorf("encoding: %v allocations a line", n)
	}
	pe := NewPageEncoder(Page(0))
	whole := func() {
		if _, err := pe.Encode(b); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(2, whole); n > 0 {
		t.Errorf("encoding: %v allocations a page", n)
	}
	data, err := Append(nil, b, Page(0))
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(1728, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Write(data)
	page := func() {
		d.Reset()
		for n := 0; n < len(data); n += 256 {
			d.Write(data[n:min(n+256, len(data))])
		}
		if q := d.Close(); !q.Ended {
			t.Fatalf("%+v", q)
		}
	}
	if n := testing.AllocsPerRun(5, page); n > 0 {
		t.Errorf("decoding: %v allocations a page", n)
	}
}

func TestParseHeader(t *testing.T) {
	want := Header{Width: 1728, Height: 2376, StripeLines: 128, MX: 127, TwoLine: true, Variable: true, Typical: true}
	if got, err := ParseHeader(want.append(nil)); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for i, v := range map[int]byte{0: 1, 1: 1, 2: 2, 3: 1, 4: 1, 16: 128, 19: 0x80} {
		data := want.append(nil)
		data[i] = v
		if _, err := ParseHeader(data); !errors.Is(err, ErrFormat) {
			t.Errorf("octet %d is %d: %v", i, v, err)
		}
	}
	for _, at := range []int{4, 8, 12} {
		data := want.append(nil)
		binary.BigEndian.PutUint32(data[at:], 0)
		if _, err := ParseHeader(data); !errors.Is(err, ErrFormat) {
			t.Errorf("0 at %d: %v", at, err)
		}
	}
}
