package at

import (
	"bytes"
	"slices"
	"testing"
)

// v34Said is what a decoder made of octets: the codes, each with the octets before it.
type v34Said struct {
	octets []byte
	code   V34Code
}

func (a v34Said) equal(b v34Said) bool { return a.code == b.code && bytes.Equal(a.octets, b.octets) }

// decodeV34 gives b to a decoder size octets at a time.
func decodeV34(b []byte, size int) (said []v34Said) {
	var d V34Decoder
	var octets []byte
	for len(b) > 0 {
		piece := b[:min(size, len(b))]
		out, n, code := d.Decode(octets, piece)
		octets, b = out, b[n:]
		if code != V34None {
			said, octets = append(said, v34Said{octets, code}), nil
		}
	}
	return append(said, v34Said{octets, V34None})
}

func TestV34Decoder(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []v34Said
	}{
		{"\x10\x6d\x10\x7d\x10\x6f", []v34Said{{nil, V34Control}, {nil, V34Rate33600}, {nil, V34Control2400}, {}}},
		{"ab\x10\x03cd\x10\x07\x10\x04", []v34Said{{[]byte("ab"), V34FrameEnd}, {[]byte("cd"), V34BadFrame}, {nil, V34EOT}, {}}},
		{"a\x10\x10b\x10\x1ac\x10\x51\x10\x53\x10\x03", []v34Said{{[]byte("a\x10b\x10\x10c\x11\x13"), V34FrameEnd}, {}}},
		{"a\x10\x7eb\x10\x00c\x10\x6b\x10", []v34Said{{[]byte("abc"), V34Primary}, {}}}, // what is in no table goes with its DLE
		{"\x10\x10\x03", []v34Said{{[]byte("\x10\x03"), V34None}}},
		{"\x10\x69", []v34Said{{nil, V34Retrain}, {}}},
	} {
		for size := 1; size <= len(c.in); size++ {
			if got := decodeV34([]byte(c.in), size); !slices.EqualFunc(got, c.want, v34Said.equal) {
				t.Errorf("%x in pieces of %d: %v, want %v", c.in, size, got, c.want)
			}
		}
	}
}

func TestV34Code(t *testing.T) {
	for c, want := range map[V34Code][2]int{0x6d: {}, 0x6e: {0, 1200}, 0x6f: {0, 2400}, 0x70: {2400, 0}, 0x77: {19200, 0}, 0x7d: {33600, 0}, 0x7e: {}} {
		if got := [2]int{c.PrimaryRate(), c.ControlRate()}; got != want {
			t.Errorf("%v: rates %v, want %v", c, got, want)
		}
		if want[0] > 0 && V34RateCode(want[0]) != c {
			t.Errorf("code of %d: %v", want[0], V34RateCode(want[0]))
		}
	}
}

// FuzzV34Decoder: pieces make no difference, nothing is made up, and a frame as we send it comes back as it was.
func FuzzV34Decoder(f *testing.F) {
	f.Add([]byte("a\x10\x10\x10\x1a\x10\x51\x10\x03\x10\x6b\x10\x7drest"), 3)
	f.Add([]byte{dle}, 1)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = 1 + (size&0x7fffffff)%64
		got, whole := decodeV34(b, size), decodeV34(b, len(b)+1)
		if !slices.EqualFunc(got, whole, v34Said.equal) {
			t.Errorf("pieces give %v, the whole %v", got, whole)
		}
		n := 0
		for _, s := range whole {
			n += len(s.octets)
		}
		if n > len(b) {
			t.Errorf("%d octets out of %d", n, len(b))
		}
		sent := append(Shield(nil, b), dle, byte(V34FrameEnd))
		if back := decodeV34(sent, size); len(back) != 2 || back[0].code != V34FrameEnd || !bytes.Equal(back[0].octets, b) {
			t.Errorf("% x comes back as %v", b, back)
		}
	})
}
