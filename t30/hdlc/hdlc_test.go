package hdlc

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// TestFCS_KnownFrames holds the FCS against the check value of CRC-16/X-25 and a DIS-like frame's residue.
func TestFCS_KnownFrames(t *testing.T) {
	if got := FCS([]byte("123456789")); got != 0x906e {
		t.Errorf("FCS = %04x, want 906e", got)
	}
	b := AppendFCS([]byte{0xff, 0x13, 0x80, 0x00, 0xee, 0xf8})
	if !Good(b) {
		t.Errorf("% x is not good", b)
	}
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if Good(b) {
			t.Errorf("bit %d flipped: still good", i)
		}
		b[i/8] ^= 1 << (i % 8)
	}
}

// collect decodes in pieces of at most n octets.
func collect(line []byte, max, n int) (good [][]byte, bad []error) {
	d := NewDecoder(max, func(f []byte, err error) {
		if err != nil {
			bad = append(bad, err)
			return
		}
		good = append(good, bytes.Clone(f))
	})
	for len(line) > 0 {
		k := min(n, len(line))
		d.Write(line[:k])
		line = line[k:]
	}
	d.Close()
	return good, bad
}

func TestEncodeDecode_RoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var e Encoder
		line := e.Flags(nil, 1+rng.IntN(4))
		var want [][]byte
		for range 1 + rng.IntN(5) {
			f := make([]byte, 3+rng.IntN(270))
			for i := range f {
				f[i] = byte(rng.Uint32() | rng.Uint32()) // many ones: much stuffing
			}
			want = append(want, f)
			line = e.Frame(line, f)
			line = e.Flags(line, rng.IntN(3))
		}
		line = e.Flush(line)
		good, bad := collect(line, 300, 1+rng.IntN(40))
		if len(bad) != 0 || len(good) != len(want) {
			t.Fatalf("%d frames, errors %v, want %d", len(good), bad, len(want))
		}
		for i := range want {
			if !bytes.Equal(good[i], want[i]) {
				t.Fatalf("frame %d: % x, want % x", i, good[i], want[i])
			}
		}
	}
}

func TestDecoder_OddBitOffset(t *testing.T) {
	var e Encoder
	line := e.Flush(e.Frame(e.Flags(nil, 2), []byte{0xff, 0x13, 0xff, 0xff, 0xff}))
	for shift := range 8 {
		var out []byte
		acc := uint32(0x55) & (1<<shift - 1)
		for _, c := range append(bytes.Clone(line), flag) {
			acc |= uint32(c) << shift
			out = append(out, byte(acc))
			acc >>= 8
		}
		good, bad := collect(out, 20, 1)
		if len(good) != 1 || len(bad) != 0 {
			t.Errorf("shift %d: %d frames, errors %v", shift, len(good), bad)
		}
	}
}

func TestDecoder_BadFrames(t *testing.T) {
	one := func(f []byte) []byte { var e Encoder; return e.Flush(e.Frame(e.Flags(nil, 2), f)) }
	spoilt := one([]byte{0xff, 0x13, 0x00, 0x55, 0x55})
	spoilt[5] ^= 0x04
	whole := one([]byte{0xff, 0x13, 0x00, 0x55, 0x55})
	for _, c := range []struct {
		name string
		line []byte
		want error
	}{
		{"bad FCS", spoilt, ErrFCS},
		{"too long", one(make([]byte, 21)), ErrTooLong},
		{"aborted", append(bytes.Clone(whole[:7]), 0xff, 0xff), ErrAborted},
		{"cut off", whole[:8], ErrCutOff},
		{"not octets", []byte{flag, 0xff >> 4, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe0, 0xe7, 0xe7, 0x07}, ErrNotOctets},
	} {
		good, bad := collect(c.line, 20, 3)
		if len(good) != 0 || len(bad) != 1 || !errors.Is(bad[0], c.want) {
			t.Errorf("%s: %d frames, errors %v, want %v", c.name, len(good), bad, c.want)
		}
	}
	if good, bad := collect(whole[:len(whole)-1], 20, 1); len(good) != 1 || len(bad) != 0 {
		t.Errorf("missing closing flag: %d frames, errors %v", len(good), bad)
	}
	if good, bad := collect(one(make([]byte, 20)), 20, 1); len(good) != 1 || len(bad) != 0 {
		t.Errorf("longest frame: %d frames, errors %v", len(good), bad)
	}
	if good, bad := collect(one([]byte{0xff, 0x13}), 20, 1); len(good)+len(bad) != 0 {
		t.Errorf("two octets: %d frames, errors %v", len(good), bad)
	}
}

func FuzzDecoder(f *testing.F) {
	var e Encoder
	f.Add(e.Flush(e.Frame(e.Flags(nil, 2), []byte{0xff, 0x03, 0x06, 1, 2, 3, 0xff, 0xff})), 20)
	f.Add([]byte{flag, flag, 0xff, 0x00, flag}, 3)
	f.Fuzz(func(t *testing.T, line []byte, max int) {
		if max < MinFrame || max > 1000 {
			max = 260
		}
		good, _ := collect(line, max, 7)
		var e Encoder
		again := e.Flags(nil, 1)
		for _, g := range good {
			if len(g) < MinFrame || len(g) > max {
				t.Fatalf("frame of %d octets, limit %d", len(g), max)
			}
			again = e.Frame(again, g)
		}
		got, bad := collect(e.Flush(again), max, 5)
		if len(bad) != 0 || len(got) != len(good) {
			t.Fatalf("%d frames decoded again as %d, %v", len(good), len(got), bad)
		}
	})
}
