package t4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
)

// testPages returns pages of many kinds, width pels wide.
func testPages(width, height int) map[string]*imaging.Bitmap {
	r := rand.New(rand.NewPCG(uint64(width), 4))
	set := func(black func(x, y int) bool) *imaging.Bitmap {
		b := imaging.New(width, height)
		for y := range height {
			for x := range width {
				if black(x, y) {
					b.SetBlack(x, y)
				}
			}
		}
		return b
	}
	pages := map[string]*imaging.Bitmap{
		"white":  imaging.New(width, height),
		"black":  set(func(x, y int) bool { return true }),
		"ruled":  set(func(x, y int) bool { return y%7 == 3 || x%61 == 5 }),
		"checks": set(func(x, y int) bool { return (x^y)&1 != 0 }),
		"noise":  set(func(x, y int) bool { return r.IntN(2) == 0 }),
		"dust":   set(func(x, y int) bool { return r.IntN(50) == 0 }),
		"disc":   set(func(x, y int) bool { return (x-width/2)*(x-width/2)/40+(y-height/2)*(y-height/2) < 200 }),
	}
	text := imaging.New(width, height) // blobs with slanted edges, as letters have
	for range width * height / 300 {
		x0, y0, w, h, slant := r.IntN(width), r.IntN(height), 1+r.IntN(9), 2+r.IntN(12), r.IntN(5)-2
		for y := y0; y < min(y0+h, height); y++ {
			for x := x0 + (y-y0)*slant; x < x0+(y-y0)*slant+w; x++ {
				if x >= 0 && x < width {
					text.SetBlack(x, y)
				}
			}
		}
	}
	pages["text"] = text
	return pages
}

func formats() map[string]Format {
	return map[string]Format{
		"mh line":      Line(imaging.MH, imaging.Fine),
		"mr line":      Line(imaging.MR, imaging.Fine),
		"mr standard":  Line(imaging.MR, imaging.Standard),
		"mmr line":     Line(imaging.MMR, imaging.Fine),
		"mh file":      File(imaging.MH, imaging.Fine),
		"mr file":      File(imaging.MR, imaging.Fine),
		"mmr file":     File(imaging.MMR, imaging.Fine),
		"mh fill":      {Coding: imaging.MH, EOL: true, End: true, Order: LSBFirst, MinLineBits: 288, K: 4},
		"mr fill":      {Coding: imaging.MR, EOL: true, End: true, Order: LSBFirst, MinLineBits: 576, K: 4},
		"mh bytes":     {Coding: imaging.MH, AlignLines: true},
		"mh plain":     {Coding: imaging.MH},
		"mh align eol": {Coding: imaging.MH, EOL: true, AlignEOL: true, End: true},
		"mr align eol": {Coding: imaging.MR, EOL: true, AlignEOL: true, K: 2, End: true},
		"mmr bytes":    {Coding: imaging.MMR, AlignLines: true, End: true},
		"mmr no end":   {Coding: imaging.MMR},
	}
}

func TestAppend_AsTheTwin(t *testing.T) {
	for _, width := range []int{1, 8, 63, 64, 65, 131, 1728} {
		for page, b := range testPages(width, 11) {
			for name, f := range formats() {
				got, err := Append(nil, b, f)
				if err != nil {
					t.Fatal(err)
				}
				if f.K == 0 {
					f.K = 2
				}
				if want := octets(naiveEncode(b, f), f.Order); !bytes.Equal(got, want) {
					t.Errorf("%s, width %d, %s: %d octets, the twin has %d", page, width, name, len(got), len(want))
				}
			}
		}
	}
}

func TestDecode_RoundTrip(t *testing.T) {
	for _, width := range []int{1, 8, 63, 64, 65, 131, 1728, 7296} {
		for page, b := range testPages(width, 20) {
			for name, f := range formats() {
				data, err := Append(nil, b, f)
				if err != nil {
					t.Fatal(err)
				}
				// Without an end mark padding may look like lines: MMR codes a white line in one bit, but 0 is none.
				got, q, err := Decode(data, width, 0, f)
				if err != nil || !got.Equal(b) || q.BadLines != 0 || q.Lines != 20 || q.Lost {
					t.Errorf("%s, width %d, %s: %d lines, equal %v, %+v, %v", page, width, name, got.Height, got.Equal(b), q, err)
				}
				if q.Ended != f.End {
					t.Errorf("%s, width %d, %s: end seen %v, want %v", page, width, name, q.Ended, f.End)
				}
			}
		}
	}
}

func TestDecoder_InPieces(t *testing.T) {
	for page, b := range testPages(1728, 15) {
		for name, f := range formats() {
			data, _ := Append(nil, b, f)
			for _, piece := range []int{1, 3, 100} {
				got := imaging.New(1728, 0)
				d, err := NewDecoder(1728, f, got.AppendRow)
				if err != nil {
					t.Fatal(err)
				}
				for rest := data; len(rest) > 0; {
					n := min(piece, len(rest))
					if k, err := d.Write(rest[:n]); k != n || err != nil {
						t.Fatal(k, err)
					}
					rest = rest[n:]
					if piece > 1 && d.Quality().BadLines > 0 {
						t.Fatalf("%s, %s, by %d: bad line while data comes", page, name, piece)
					}
				}
				if q := d.Close(); q.Lines != 15 || q.BadLines != 0 || q.Ended != f.End || !got.Equal(b) {
					t.Errorf("%s, %s, by %d: %+v", page, name, piece, q)
				}
			}
		}
	}
}

func TestDecoder_QualityKnowsCompleteLines(t *testing.T) {
	b := testPages(1728, 50)["text"]
	f := Line(imaging.MH, imaging.Fine)
	data, _ := Append(nil, b, f)
	d, err := NewDecoder(1728, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range data[:len(data)-20] {
		if _, err := d.Write([]byte{o}); err != nil {
			t.Fatal(err)
		}
	}
	if q := d.Quality(); q.Lines < 48 || q.BadLines > 0 {
		t.Errorf("short before the end: %+v", q)
	}
}

// encodeTo codes line by line.
func encodeTo(w io.Writer, b *imaging.Bitmap, f Format) error {
	e, err := NewEncoder(w, b.Width, f)
	if err != nil {
		return err
	}
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			return err
		}
	}
	return e.Close()
}

// TestEncoder_Interfaces: line by line and page after page the same comes out as of a page.
func TestEncoder_Interfaces(t *testing.T) {
	for name, f := range formats() {
		pe, err := NewPageEncoder(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, width := range []int{2432, 70, 9000, 2432} {
			b := testPages(width, 50)["noise"]
			want, err := Append([]byte("x"), b, f)
			if err != nil || want[0] != 'x' {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			if err := encodeTo(&buf, b, f); err != nil || !bytes.Equal(buf.Bytes(), want[1:]) {
				t.Errorf("%s, width %d: Encoder differs from Append (%v)", name, width, err)
			}
			if got, err := pe.Encode(b); err != nil || !bytes.Equal(got, want[1:]) {
				t.Errorf("%s, width %d: PageEncoder differs from Append (%v)", name, width, err)
			}
		}
		if _, err := pe.Encode(imaging.New(0, 3)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: no pels: %v", name, err)
		}
	}
}

func TestEncoder_Errors(t *testing.T) {
	for _, c := range []struct {
		width  int
		coding imaging.Coding
	}{{0, imaging.MH}, {-5, imaging.MMR}, {MaxWidth + 1, imaging.MR}, {1728, imaging.JBIG}, {1728, -1}} {
		f := Format{Coding: c.coding}
		if _, err := NewEncoder(io.Discard, c.width, f); !errors.Is(err, ErrFormat) {
			t.Errorf("NewEncoder(%d, %v): %v", c.width, c.coding, err)
		}
		if _, err := NewDecoder(c.width, f, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("NewDecoder(%d, %v): %v", c.width, c.coding, err)
		}
		if _, _, err := Decode(nil, c.width, 0, f); !errors.Is(err, ErrFormat) {
			t.Errorf("Decode(%d, %v): %v", c.width, c.coding, err)
		}
	}
	e, err := NewEncoder(io.Discard, 1728, Line(imaging.MH, imaging.Fine))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.EncodeLine(make([]uint64, 26)); !errors.Is(err, ErrFormat) {
		t.Errorf("short row: %v", err)
	}
	full := errors.New("disk full")
	pr, pw := io.Pipe()
	pr.CloseWithError(full)
	if err := encodeTo(pw, testPages(1728, 9)["noise"], Line(imaging.MH, imaging.Fine)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestLineBits(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		rate int
		want int
	}{{20 * time.Millisecond, 14400, 288}, {5 * time.Millisecond, 2400, 12}, {5 * time.Millisecond, 9700, 49}, {0, 9600, 0}, {time.Second, 0, 0}} {
		if got := LineBits(c.d, c.rate); got != c.want {
			t.Errorf("LineBits(%v, %d) = %d, want %d", c.d, c.rate, got, c.want)
		}
	}
}

func TestCodes_NoneBeginsAnother(t *testing.T) {
	for color, words := range [][91]string{whiteWords, blackWords} {
		all := append(append([]string{"00000000000"}, words[:]...), longWords[:]...) // with the EOL's zeros
		for i, a := range all {
			for k, b := range all {
				if i != k && len(a) <= len(b) && b[:len(a)] == a {
					t.Errorf("colour %d: %s begins %s", color, a, b)
				}
			}
		}
	}
}

func TestDecode_NoAllocationPerLine(t *testing.T) {
	for name, f := range formats() {
		data := map[int][]byte{}
		for _, lines := range []int{10, 400} {
			data[lines], _ = Append(nil, testPages(1728, lines)["text"], f)
		}
		allocs := func(lines int) float64 {
			return testing.AllocsPerRun(3, func() {
				if _, _, err := Decode(data[lines], 1728, lines, f); err != nil {
					t.Fatal(err)
				}
			})
		}
		if few, many := allocs(10), allocs(400); many > few {
			t.Errorf("%s: %v allocations for 10 lines, %v for 400", name, few, many)
		}
	}
}

// TestPages_NoAllocations: coding and decoding page after page, only the first takes room.
func TestPages_NoAllocations(t *testing.T) {
	for name, f := range formats() {
		for page, b := range testPages(1728, 200) {
			e, err := NewPageEncoder(f)
			if err != nil {
				t.Fatal(err)
			}
			data, err := e.Encode(b)
			if err != nil {
				t.Fatal(err)
			}
			data = bytes.Clone(data)
			if n := testing.AllocsPerRun(2, func() { _, _ = e.Encode(b) }); n > 0 {
				t.Errorf("%s, %s, encoding: %v allocations a page", page, name, n)
			}
			got := imaging.New(1728, 0)
			d, err := NewDecoder(1728, f, got.AppendRow)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(2, func() {
				got.Words, got.Height = got.Words[:0], 0
				d.Reset()
				d.Write(data)
				d.Close()
			}); n > 0 {
				t.Errorf("%s, %s, decoding: %v allocations a page", page, name, n)
			}
			if !got.Equal(b) {
				t.Errorf("%s, %s: another page", page, name)
			}
		}
	}
}

func ExampleDecode() {
	page := imaging.New(1728, 2)
	page.SetBlack(100, 1)
	f := Line(imaging.MMR, imaging.Fine)
	data, _ := Append(nil, page, f)
	got, quality, _ := Decode(data, 1728, 0, f)
	fmt.Println(len(data), got.Equal(page), quality.Lines, quality.BadLines)
	// Output: 6 true 2 0
}

func TestDecodeMMR_AsTheTwin(t *testing.T) {
	for _, width := range []int{1, 8, 65, 131} {
		r := rand.New(rand.NewPCG(uint64(width), 6))
		for page, b := range testPages(width, 20) {
			s := naiveEncode(b, Line(imaging.MMR, imaging.Fine))
			for range 40 {
				// Damage makes codes that no encoder would send; both must read the same lines out of them.
				bad := []byte(s)
				for range r.IntN(3) {
					bad[r.IntN(len(bad))] ^= 1
				}
				want := naiveDecodeMMR(string(bad), width)
				got, q, err := Decode(octets(string(bad), MSBFirst), width, 0, File(imaging.MMR, imaging.Fine))
				if err != nil || q.Lines-q.BadLines != len(want) {
					t.Fatalf("%s, width %d: %+v, the twin has %d lines (%v)", page, width, q, len(want), err)
				}
				for y, line := range want {
					for x, pel := range line {
						if int(got.ColorIndexAt(x, y)) != pel {
							t.Fatalf("%s, width %d: pel %d, %d differs", page, width, x, y)
						}
					}
				}
			}
		}
	}
}
