package t4

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// naivePels codes line[from:to] in uncompressed mode; tag "" ends it with the line, without an exit code.
func naivePels(line []int, from, to int, tag string) string {
	s, white := "", 0
	for _, pel := range line[from:to] {
		switch {
		case pel == 1:
			s, white = s+strings.Repeat("0", white)+"1", 0
		case white == 4:
			s, white = s+"000001", 0
		default:
			white++
		}
	}
	if tag == "" {
		if white == 0 {
			return s
		}
		tag = "0" // white pels at the end are told by an exit code only
	}
	return s + strings.Repeat("0", 6+white) + "1" + tag
}

func tagOf(line []int, x int) string {
	if x < len(line) && line[x] == 1 {
		return "1"
	}
	return "0"
}

// naiveMixed is naive1D, or with ref naive2D, with stretches of uncompressed mode in it. eol: an EOL follows, so the exit code may be
// left out at the line's end.
func naiveMixed(line, ref []int, eol bool, r *rand.Rand) string {
	s := ""
	for a0, color := -1, 0; a0 < len(line); {
		x := max(a0, 0)
		if ref == nil && x == len(line) {
			break
		}
		if r.IntN(3) == 0 {
			to := min(x+r.IntN(30), len(line))
			tag := tagOf(line, to)
			if to == len(line) && eol && r.IntN(2) == 0 {
				tag = ""
			}
			if ref == nil {
				s += "00"
			}
			s += "0000001111" + naivePels(line, x, to, tag)
			if to > 0 {
				a0 = to
			}
			if color = 0; tag == "1" {
				color = 1
			}
			continue
		}
		a1 := endOfRun(line, x, color)
		if ref == nil {
			s += naiveRun(color, a1-x)
			a0, color = a1, 1-color
			continue
		}
		b1 := nextChange(ref, a0, color)
		b2 := endOfRun(ref, b1, 1-color)
		if b2 < a1 {
			s += "0001"
			a0 = b2
			continue
		}
		a2 := endOfRun(line, a1, 1-color)
		s += "001" + naiveRun(color, a1-x) + naiveRun(1-color, a2-a1)
		a0 = a2
	}
	return s
}

func naiveUncompressed(b *imaging.Bitmap, c imaging.Coding, r *rand.Rand) string {
	const eol = "000000000001"
	s := ""
	for y := range b.Height {
		line, ref := naiveLine(b, y), naiveLine(b, y-1)
		switch {
		case c == imaging.MMR:
			s += naiveMixed(line, ref, false, r)
		case c == imaging.MH:
			s += eol + naiveMixed(line, nil, true, r)
		case y%4 == 0:
			s += eol + "1" + naiveMixed(line, nil, true, r)
		default:
			s += eol + "0" + naiveMixed(line, ref, true, r)
		}
	}
	switch c {
	case imaging.MH:
		s += strings.Repeat(eol, 6)
	case imaging.MR:
		s += strings.Repeat(eol+"1", 6)
	default:
		s += eol + eol
	}
	return pad(s, 8)
}

// TestDecode_UncompressedMode: lines partly in uncompressed mode are decoded, at once and in pieces.
func TestDecode_UncompressedMode(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 4))
	for _, width := range []int{1, 5, 64, 131, 1728, 8200} {
		for page, b := range testPages(width, 6) {
			for _, c := range []imaging.Coding{imaging.MH, imaging.MR, imaging.MMR} {
				data, f := octets(naiveUncompressed(b, c, r), MSBFirst), File(c, imaging.Fine)
				want := imaging.Quality{Lines: 6, Ended: true}
				got, q, err := Decode(data, width, 0, f)
				if err != nil || q != want || !got.Equal(b) {
					t.Fatalf("%s, width %d, %v: %+v, %d lines differ, %v", page, width, c, q, differing(got, b), err)
				}
				pieces := imaging.New(width, 0)
				d, _ := NewDecoder(width, f, pieces.AppendRow)
				for piece := range slices.Chunk(data, 1+len(data)/100) {
					d.Write(piece)
					if q := d.Quality(); q.BadLines > 0 {
						t.Fatalf("%s, width %d, %v: a bad line while data comes", page, width, c)
					}
				}
				if q := d.Close(); q != want || !pieces.Equal(b) {
					t.Fatalf("%s, width %d, %v in pieces: %+v", page, width, c, q)
				}
			}
		}
	}
}

// TestDecode_UncompressedModeDamaged: what cannot be is a bad line: pels beyond the line, an exit code too long, another extension.
func TestDecode_UncompressedModeDamaged(t *testing.T) {
	white := naiveRun(0, 20)
	const eol, enter = "000000000001", "000000001111"
	for name, c := range map[string]struct {
		bad string
		mmr bool // bad there too: elsewhere the next code could be a line of its own
	}{
		"beyond":        {enter + strings.Repeat("1", 21), false},
		"white beyond":  {enter + strings.Repeat("000001", 3) + "1111" + "001", true},
		"exit beyond":   {enter + strings.Repeat("1", 18) + "0000000001" + "0", true},
		"no such exit":  {enter + "1" + "000000000001", true},
		"exit too soon": {enter + "1" + "0000001" + "0", false},
		"extension":     {"000000001110" + strings.Repeat("1", 20), true},
	} {
		s := eol + white + eol + c.bad + eol + white + strings.Repeat(eol, 6)
		_, q, err := Decode(octets(pad(s, 8), MSBFirst), 20, 0, File(imaging.MH, imaging.Fine))
		if err != nil || q.BadLines < 1 || q.BadLines != q.Lines-2 || !q.Ended {
			t.Errorf("mh, %s: %+v, %v", name, q, err)
		}
		// MMR has nothing to go on from.
		s = "1" + c.bad[2:] + "1" + eol + eol
		_, q, err = Decode(octets(pad(s, 8), MSBFirst), 20, 0, File(imaging.MMR, imaging.Fine))
		if c.mmr && (err != nil || q.Lines != 2 || q.BadLines != 1 || !q.Lost) {
			t.Errorf("mmr, %s: %+v, %v", name, q, err)
		}
	}
}
