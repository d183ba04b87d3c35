package virtual

import (
	"bytes"
	"testing"
)

// collect deframes b.
func collect(b []byte) (good [][]byte, bad int) {
	var cur []byte
	d := deframer{}
	d.octet = func(c byte) { cur = append(cur, c) }
	d.end = func(ok bool) {
		if ok {
			good = append(good, cur[:len(cur)-2])
		} else {
			bad++
		}
		cur = nil
	}
	for _, c := range b {
		d.push(c)
	}
	return good, bad
}

func TestHDLC_FCSOfKnownFrame(t *testing.T) {
	// "123456789" has the CRC-16/X-25 0x906E.
	if c := fcs([]byte("123456789")); c != 0x906E {
		t.Errorf("fcs = %04x, want 906e", c)
	}
	if c := naiveFCS([]byte("123456789")); c != [2]byte{0x6E, 0x90} {
		t.Errorf("naive FCS = % x", c)
	}
}

func TestHDLC_FramesSurviveAnyBitPhase(t *testing.T) {
	frames := [][]byte{[]byte(frameDIS), bytes.Repeat([]byte{0xFF}, 50), {0x7E, 0x7E, 0x7E}, bytes.Repeat([]byte{0}, 9)}
	for phase := range 8 {
		var p bitPacker
		for range phase {
			p.bit(true)
		}
		p.octet(flagOctet)
		for _, f := range frames {
			p.frame(f)
		}
		for range 16 {
			p.bit(true)
		}
		good, bad := collect(p.full)
		if bad != 0 || len(good) != len(frames) {
			t.Fatalf("phase %d: %d good, %d bad", phase, len(good), bad)
		}
		for i, f := range frames {
			if !bytes.Equal(good[i], f) {
				t.Errorf("phase %d: frame % x, want % x", phase, good[i], f)
			}
		}
	}
}

func TestHDLC_EveryBitErrorIsSeen(t *testing.T) {
	var p bitPacker
	p.octet(flagOctet)
	p.octet(flagOctet)
	p.frame([]byte(frameDCS))
	p.octet(flagOctet)
	for bit := 16; bit < len(p.full)*8-16; bit++ {
		b := bytes.Clone(p.full)
		b[bit/8] ^= 1 << (bit % 8)
		good, _ := collect(b)
		for _, f := range good {
			if bytes.Equal(f, []byte(frameDCS)) {
				continue // a flag was hit
			}
			t.Errorf("bit %d: passed as % x", bit, f)
		}
	}
}

func TestShield_BothClasses(t *testing.T) {
	data := []byte{1, dle, 2, dle, dle, 3, dle, dle, dle, etx, xon, dle, xof, dle, dle, dle, xon}
	for _, s := range []shielding{{}, {pairs: true}, {flow: true}, {true, true}} {
		u := unshield{shielding: s}
		var out []byte
		for _, b := range s.shield(nil, data) {
			var end bool
			if out, end = u.octet(out, b); end {
				t.Fatal("DLE ETX inside data")
			}
		}
		if !bytes.Equal(out, data) {
			t.Errorf("%+v: % x", s, out)
		}
	}
}

func FuzzDeframer(f *testing.F) {
	var p bitPacker
	p.octet(flagOctet)
	p.frame([]byte(frameDIS))
	f.Add(p.full)
	f.Add([]byte{0x7E, 0xFF, 0xFF, 0x7E, 0, 0, 0x7E})
	f.Fuzz(func(t *testing.T, b []byte) {
		good, _ := collect(b)
		for _, g := range good {
			if len(g) == 0 {
				t.Fatal("empty frame passed")
			}
		}
	})
}
