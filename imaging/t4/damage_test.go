package t4

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// differing returns how many lines of a and b differ.
func differing(a, b *imaging.Bitmap) int {
	n := 0
	for y := range min(a.Height, b.Height) {
		for i, w := range a.Row(y) {
			if w != b.Row(y)[i] {
				n++
				break
			}
		}
	}
	return n
}

// flip inverts n bits from bit at on.
func flip(data []byte, at, n int) {
	for i := at; i < min(at+n, len(data)*8); i++ {
		data[i/8] ^= 1 << (i % 8)
	}
}

// TestDecode_OneHit: one flipped bit damages few lines, and passes unseen only where it makes another line of the same width.
func TestDecode_OneHit(t *testing.T) {
	const lines = 100
	b := testPages(1728, lines)["text"]
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name    string
		f       Format
		maxBad  int
		maxMiss int // lines too few or too many
		unseen  int // percent of the hits that may pass unseen: two-dimensional codes of the same length abound
	}{
		{"mh", Line(imaging.MH, imaging.Fine), 2, 1, 5},
		{"mr", Line(imaging.MR, imaging.Fine), 6, 1, 20},
		{"mr standard", Line(imaging.MR, imaging.Standard), 4, 1, 20},
	} {
		good, err := Append(nil, b, c.f)
		if err != nil {
			t.Fatal(err)
		}
		unseen := 0
		const tries = 600
		for range tries {
			data := bytes.Clone(good)
			flip(data, r.IntN(len(data)*8-100), 1)
			got, q, _ := Decode(data, 1728, 0, c.f)
			if q.BadLines > c.maxBad || q.LongestBad > q.BadLines || q.Lost {
				t.Fatalf("%s: %+v", c.name, q)
			}
			if d := q.Lines - lines; d < -c.maxMiss || d > c.maxMiss || got.Height != q.Lines {
				t.Fatalf("%s: %+v, bitmap of %d lines", c.name, q, got.Height)
			}
			if q.BadLines == 0 && (got.Height != lines || differing(got, b) > 0) {
				unseen++
			}
			if got.Height == lines && differing(got, b) > c.maxBad+4 {
				t.Fatalf("%s: %d lines differ, %+v", c.name, differing(got, b), q)
			}
		}
		if unseen*100 > tries*c.unseen {
			t.Errorf("%s: %d of %d hits unseen", c.name, unseen, tries)
		}
	}
}

func TestDecode_Bursts(t *testing.T) {
	const lines = 60
	r := rand.New(rand.NewPCG(3, 4))
	for page, b := range testPages(1728, lines) {
		for name, f := range formats() {
			good, _ := Append(nil, b, f)
			for range 20 {
				data := bytes.Clone(good)
				for range 1 + r.IntN(4) {
					flip(data, r.IntN(len(data)*8), 1+r.IntN(300))
				}
				if r.IntN(3) == 0 {
					data = data[:r.IntN(len(data))]
				}
				got, q, err := Decode(data, 1728, lines, f)
				if err != nil || got.Height != q.Lines || q.Lines > lines || q.BadLines > q.Lines || q.LongestBad > q.BadLines {
					t.Fatalf("%s, %s: %d lines, %+v, %v", page, name, got.Height, q, err)
				}
				// In pieces the same comes out.
				again := imaging.New(1728, 0)
				d, _ := NewDecoder(1728, f, again.AppendRow)
				d.Limit(lines)
				for rest := data; len(rest) > 0; {
					n := min(1+r.IntN(200), len(rest))
					d.Write(rest[:n])
					rest = rest[n:]
				}
				if q2 := d.Close(); q2 != q || !again.Equal(got) {
					t.Fatalf("%s, %s: %+v at once, %+v in pieces", page, name, q, q2)
				}
			}
		}
	}
}

func TestDecode_Places(t *testing.T) {
	b := testPages(1728, 40)["text"]
	line := func(c imaging.Coding) ([]byte, Format) {
		f := Line(c, imaging.Fine)
		data, _ := Append(nil, b, f)
		return data, f
	}
	mh, mhLine := line(imaging.MH)
	mr, mrLine := line(imaging.MR)
	mmr, mmrLine := line(imaging.MMR)
	ones := bytes.Repeat([]byte{0xff}, 50)
	zeros := make([]byte, 5000)
	for _, c := range []struct {
		name string
		data []byte
		f    Format
		want imaging.Quality
	}{
		{"nothing", nil, mhLine, imaging.Quality{}},
		{"zeros", zeros, mhLine, imaging.Quality{}},
		{"zeros mr", zeros, mrLine, imaging.Quality{}},
		{"zeros mmr", zeros, mmrLine, imaging.Quality{Lines: 1, BadLines: 1, LongestBad: 1, Lost: true}},
		{"ones mh", ones, mhLine, imaging.Quality{}},
		{"garbage before mh", append(bytes.Clone(ones), mh...), mhLine, imaging.Quality{Lines: 40, Ended: true}},
		{"garbage before mr", append(bytes.Clone(ones), mr...), mrLine, imaging.Quality{Lines: 40, Ended: true}},
		{"fill before mh", append(bytes.Clone(zeros), mh...), mhLine, imaging.Quality{Lines: 40, Ended: true}},
		{"garbage behind mh", append(bytes.Clone(mh), ones...), mhLine, imaging.Quality{Lines: 40, Ended: true}},
		{"garbage behind mr", append(bytes.Clone(mr), ones...), mrLine, imaging.Quality{Lines: 40, Ended: true}},
		{"garbage behind mmr", append(bytes.Clone(mmr), ones...), mmrLine, imaging.Quality{Lines: 40, Ended: true}},
		{"half the rtc", mh[:len(mh)-6], mhLine, imaging.Quality{Lines: 40, Ended: true}},
		{"two pages", append(bytes.Clone(mh), mh...), mhLine, imaging.Quality{Lines: 40, Ended: true}},
	} {
		if _, q, err := Decode(c.data, 1728, 0, c.f); q != c.want || err != nil {
			t.Errorf("%s: %+v, want %+v (%v)", c.name, q, c.want, err)
		}
	}
}

// TestDecode_WipedLine: a line of which only zeros came is a bad line, and MR's next ones are until one stands by itself.
func TestDecode_WipedLine(t *testing.T) {
	b := testPages(1728, 12)["noise"]
	for _, c := range []struct {
		coding imaging.Coding
		wipe   int // line
		bad    int
	}{{imaging.MH, 5, 1}, {imaging.MR, 4, 4}, {imaging.MR, 6, 2}} {
		f := File(c.coding, imaging.Fine)
		s, starts := naiveLines(b, f)
		from, to := starts[c.wipe], starts[c.wipe+1]
		wiped := []byte(s)
		for i := from + 12; i < to; i++ {
			wiped[i] = '0'
		}
		got, q, _ := Decode(octets(string(wiped), MSBFirst), 1728, 0, f)
		if q.Lines != 12 || q.BadLines != c.bad || q.LongestBad != c.bad || differing(got, b) != c.bad {
			t.Errorf("%v line %d: %+v, %d lines differ", c.coding, c.wipe, q, differing(got, b))
		}
		if got.Height > c.wipe && differing(row(got, c.wipe), row(b, c.wipe-1)) != 0 {
			t.Errorf("%v: line %d is not the one before", c.coding, c.wipe)
		}
	}
}

// TestDecode_DamagedEOL: one wrong bit in an EOL costs nothing; its last is the exception.
func TestDecode_DamagedEOL(t *testing.T) {
	b := testPages(1728, 12)["noise"]
	for _, c := range []imaging.Coding{imaging.MH, imaging.MR} {
		f := File(c, imaging.Fine)
		s, starts := naiveLines(b, f)
		for bit := range 12 {
			hit := []byte(s)
			hit[starts[4]+bit] ^= 1
			got, q, _ := Decode(octets(string(hit), MSBFirst), 1728, 0, f)
			if bit < 11 && (q.BadLines > 0 || !got.Equal(b)) {
				t.Errorf("%v, bit %d: %+v, %d lines differ", c, bit, q, differing(got, b))
			}
			if q.Lines < 11 || q.Lines > 12 || q.BadLines > 4 {
				t.Errorf("%v, bit %d: %+v", c, bit, q)
			}
		}
	}
}

// TestDecode_DamagedRTC: one wrong bit in RTC does not make lines.
func TestDecode_DamagedRTC(t *testing.T) {
	b := testPages(1728, 12)["noise"]
	for _, c := range []imaging.Coding{imaging.MH, imaging.MR} {
		f := Line(c, imaging.Fine)
		s := naiveEncode(b, f)
		rtc := strings.LastIndex(s, "1"+strings.Repeat("0", 11)) // of the last EOL; five stand before it
		for bit := rtc - 5*13; bit < len(s); bit++ {
			hit := []byte(s)
			hit[bit] ^= 1
			_, q, _ := Decode(octets(string(hit), LSBFirst), 1728, 0, f)
			if q.Lines < 11 || q.Lines > 13 || q.BadLines > 4 || !q.Ended {
				t.Errorf("%v, bit %d of %d: %+v", c, bit, len(s), q)
			}
		}
	}
}

func row(b *imaging.Bitmap, y int) *imaging.Bitmap {
	r := imaging.New(b.Width, 0)
	r.AppendRow(b.Row(y))
	return r
}

// TestDecoder_BoundedMemory feeds a line that never ends.
func TestDecoder_BoundedMemory(t *testing.T) {
	none := "00110101" + "0000110111" // a white and a black run of no pels: four times that is whole octets
	for _, c := range []struct {
		coding imaging.Coding
		lead   string
		cycle  string
	}{
		{imaging.MH, "000000000001" + "0000", none + none + none + none},
		{imaging.MR, "0000000000011" + "000", none + none + none + none},
		{imaging.MMR, "", strings.Repeat("001"+none, 8)},
		{imaging.MH, "", "00000000"},
		{imaging.MMR, "", "00000000"},
	} {
		f := File(c.coding, imaging.Fine)
		d, err := NewDecoder(1728, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		d.Write(octets(c.lead, MSBFirst))
		endless := bytes.Repeat(octets(c.cycle, MSBFirst), 4096/(len(c.cycle)/8))
		for range 400 {
			d.Write(endless)
			if n := cap(d.br.data); n > 4*maxPending {
				t.Fatalf("%v: %d octets kept", c.coding, n)
			}
		}
		if q := d.Close(); q.Lines != q.BadLines || q.Lines > 2 {
			t.Errorf("%v: %+v", c.coding, q)
		}
	}
}

func TestDecode_TooManyLines(t *testing.T) {
	data := bytes.Repeat([]byte{0xff}, 10000) // MMR: 80,000 white lines
	got, q, err := Decode(data, 100, 0, File(imaging.MMR, imaging.Fine))
	if err != nil || got.Height != MaxLines || !q.Lost || q.BadLines != 0 {
		t.Errorf("%d lines, %+v, %v", got.Height, q, err)
	}
	if _, q, _ := Decode(data, MaxWidth, 0, File(imaging.MMR, imaging.Fine)); q.Lines > maxPels/MaxWidth || !q.Lost {
		t.Errorf("wide: %+v", q)
	}
	if _, q, _ := Decode(data, 100, 500, File(imaging.MMR, imaging.Fine)); q.Lines != 500 || q.Lost {
		t.Errorf("500 asked for: %+v", q)
	}
}
