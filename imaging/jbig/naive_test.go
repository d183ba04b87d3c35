package jbig

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// naive is the arithmetic encoder as mathematics has it: the interval's base is one long number, and no octet leaves before the end.
type naive struct {
	base  *big.Int
	a     int64
	shift uint // of base
	index [contexts]int
	mps   [contexts]int
}

func (n *naive) encode(cx, pel int) {
	p := probabilities[n.index[cx]]
	lsz := int64(p.lsz)
	n.a -= lsz
	lower, upper := n.a, lsz // the more probable symbol has the lower part
	if n.a < lsz {
		// it is to have the larger part, but parts keep their places
		if pel == n.mps[cx] {
			n.base.Add(n.base, big.NewInt(lower))
			n.a = upper
		}
	} else if pel != n.mps[cx] {
		n.base.Add(n.base, big.NewInt(lower))
		n.a = upper
	}
	if pel != n.mps[cx] {
		n.mps[cx] ^= int(p.swtch)
		n.index[cx] = int(p.nlps)
	} else if n.a < 0x8000 {
		n.index[cx] = int(p.nmps)
	}
	for n.a < 0x8000 {
		n.a *= 2
		n.base.Lsh(n.base, 1)
		n.shift++
	}
}

// octets returns the number in the interval with the most 0 bits at its end, without the 0 octets there.
func (n *naive) octets() []byte {
	end := new(big.Int).Add(n.base, big.NewInt(n.a-1))
	low := big.NewInt(0xffff)
	code := new(big.Int).AndNot(end, low)
	if code.Cmp(n.base) < 0 {
		code.Add(code, big.NewInt(0x8000))
	}
	bits := n.shift + 16
	code.Lsh(code, (8-bits%8)%8)
	out := make([]byte, (bits+7)/8)
	return bytes.TrimRight(code.FillBytes(out), "\x00")
}

// context reads the template pel by pel.
func context(b *imaging.Bitmap, x, y int, twoLine bool) (cx int) {
	type pel struct{ x, y int }
	places := []pel{{-1, -2}, {0, -2}, {1, -2}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {2, -1}, {-2, 0}, {-1, 0}}
	if twoLine {
		places = []pel{{-3, -1}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {2, -1}, {-4, 0}, {-3, 0}, {-2, 0}, {-1, 0}}
	}
	for _, p := range places {
		cx *= 2
		if px, py := x+p.x, y+p.y; px >= 0 && px < b.Width && py >= 0 && b.Black(px, py) {
			cx++
		}
	}
	return cx
}

// naiveStripe codes a page as one stripe, without its stuffing.
func naiveStripe(b *imaging.Bitmap, f Format) []byte {
	n := &naive{base: new(big.Int), a: 0x10000}
	was, pseudo := false, 0x0e5
	if f.TwoLine {
		pseudo = 0x195
	}
	for y := range b.Height {
		if !f.NoTypical {
			same := true
			for x := range b.Width {
				above := y > 0 && b.Black(x, y-1)
				same = same && b.Black(x, y) == above
			}
			pel := 0
			if same == was {
				pel = 1
			}
			n.encode(pseudo, pel)
			if was = same; same {
				continue
			}
		}
		for x := range b.Width {
			pel := 0
			if b.Black(x, y) {
				pel = 1
			}
			n.encode(context(b, x, y, f.TwoLine), pel)
		}
	}
	return n.octets()
}

// TestEncode_AsTheNaiveTwin codes random pages, from nearly white over screens to nearly black.
func TestEncode_AsTheNaiveTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(82, 85))
	for range 150 {
		b := randomPage(r, 1+r.IntN(200), 1+r.IntN(40))
		f := Format{StripeLines: 100, TwoLine: r.IntN(2) == 0, NoTypical: r.IntN(3) == 0}
		data, err := Append(nil, b, f)
		if err != nil {
			t.Fatal(err)
		}
		stripe := bytes.ReplaceAll(data[HeaderLen:len(data)-2], []byte{escape, markerStuff}, []byte{escape})
		if got := bytes.TrimRight(stripe, "\x00"); !bytes.Equal(got, naiveStripe(b, f)) {
			t.Fatalf("%d x %d, %+v: not the twin's octets", b.Width, b.Height, f)
		}
	}
}

// randomPage draws noise of any density, with repeated lines and white and black bars.
func randomPage(r *rand.Rand, width, height int) *imaging.Bitmap {
	b := imaging.New(width, height)
	black := r.IntN(101)
	for y := range height {
		switch kind := r.IntN(6); {
		case kind == 0 && y > 0:
			copy(b.Row(y), b.Row(y-1))
			continue
		case kind == 1:
			continue
		}
		solid := r.IntN(width + 1)
		for x := range width {
			if x < solid && r.IntN(100) < black {
				b.SetBlack(x, y)
			}
		}
	}
	return b
}

// TestRoundTrip_RandomPages: what is coded in any format is decoded, at once and in pieces.
func TestRoundTrip_RandomPages(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 85))
	for range 2000 {
		b := randomPage(r, 1+r.IntN(300), 1+r.IntN(60))
		f := Format{StripeLines: 1 + r.IntN(30), TwoLine: r.IntN(2) == 0, NoTypical: r.IntN(3) == 0, MX: r.IntN(MaxMX + 1), Reset: r.IntN(2) == 0}
		data := stream(t, b, f)
		if r.IntN(2) == 0 {
			data, _ = Append(nil, b, f)
		}
		got := imaging.New(b.Width, 0)
		d, err := NewDecoder(b.Width, got.AppendRow)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(data); {
			k := min(1+r.IntN(40), len(data)-n)
			d.Write(data[n : n+k])
			n += k
		}
		if q := d.Close(); !got.Equal(b) || q != (imaging.Quality{Lines: b.Height, Ended: true}) {
			t.Fatalf("%d x %d, %+v: %+v", b.Width, b.Height, f, q)
		}
	}
}
