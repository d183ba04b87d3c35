package class2

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// bitString packs bits, the first one lowest, and fills up with zeros.
func bitString(s string) []byte {
	var b []byte
	n := 0
	for _, c := range s {
		if c == ' ' {
			continue
		}
		if n%8 == 0 {
			b = append(b, 0)
		}
		if c == '1' {
			b[n/8] |= 1 << (n % 8)
		}
		n++
	}
	return b
}

const (
	eol   = "000000000001"
	line  = "00110101 011011010011 0000110011 10" // something without eleven zeros in a row
	eolMR = eol + "1"
)

func TestCutRTC(t *testing.T) {
	repeat := func(s string, n int) (out string) {
		for range n {
			out += s
		}
		return out
	}
	for _, c := range []struct{ name, page, rtc, fill string }{
		{"MH", eol + line + eol + line, repeat(eol, 6), ""},
		{"MH with fill behind it", eol + line + eol + line, repeat(eol, 6), "0000000000000000000000000"},
		{"MH, twice", eol + line, repeat(eol, 12), "000"},
		{"MR", eolMR + line + eol + "0" + line, repeat(eolMR, 6), "000"},
		{"MR, last line one-dimensional", eolMR + line + eolMR + line, repeat(eolMR, 6), ""},
		{"a run that ends in a one", eol + line + "1", repeat(eol, 6), ""},
		{"nothing but RTC", "", repeat(eol, 6), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := bitString(c.page)
			got := cutRTC(bitString(c.page + c.rtc + c.fill))
			if !bytes.Equal(bytes.TrimRight(got, "\x00"), bytes.TrimRight(want, "\x00")) || len(got) > len(want)+1 {
				t.Errorf("got  %08b\nwant %08b", got, want)
			}
			if again := cutRTC(bytes.Clone(got)); !bytes.Equal(again, got) {
				t.Errorf("cut again: %08b", again)
			}
		})
	}
	for _, s := range []string{"", eol, eol + line + eol + line, eol + line + eol, "0000000000000000000000000000"} {
		if b := bitString(s); !bytes.Equal(cutRTC(bytes.Clone(b)), b) {
			t.Errorf("%s was cut", s)
		}
	}
}

// A page of any length comes out of the reader as it would in one piece, however it is read.
func TestRTCCutter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	rtc := bitString(eol + eol + eol + eol + eol + eol)
	for _, n := range []int{0, 1, 10, 63, 64, 65, 4095, 4096, 4097, 9000} {
		page := make([]byte, n)
		for i := range page {
			page[i] = byte(rng.Uint32()) | 0x81
		}
		for name, r := range map[string]io.Reader{
			"whole": &rtcCutter{r: bytes.NewReader(append(bytes.Clone(page), rtc...))},
			"bytes": &rtcCutter{r: iotest.OneByteReader(bytes.NewReader(append(bytes.Clone(page), rtc...)))},
		} {
			got, err := io.ReadAll(iotest.OneByteReader(r))
			if err != nil || !bytes.Equal(got, page) {
				t.Errorf("%d octets, %s: %d came, %v", n, name, len(got), err)
			}
		}
	}
	if _, err := io.ReadAll(&rtcCutter{r: iotest.ErrReader(io.ErrClosedPipe)}); err != io.ErrClosedPipe {
		t.Errorf("error %v", err)
	}
}

func FuzzCutRTC(f *testing.F) {
	f.Add(bitString(eol + line + eol + eol + eol))
	f.Add([]byte{0, 0x08, 0x80, 0, 0x08, 0x80, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		out := cutRTC(b)
		if len(out) > len(in) || !bytes.HasPrefix(in, out[:max(0, len(out)-1)]) {
			t.Fatalf("%x became %x", in, out)
		}
	})
}
