package t30

import (
	"time"

	"github.com/tipring/tipring/t30/hdlc"
)

// What the recommendations demand at least, where they give a tolerance; the values without "least" are the nominal ones.
const (
	preambleTime  = time.Second // V.21 flags before the first frame: 1 s ± 15 % (T.30 5.3.1)
	leastPreamble = 850 * time.Millisecond
	leastPause    = 55 * time.Millisecond   // between V.21 and another modulation: 75 ± 20 ms (T.30 5, notes 3 and 4)
	leastTCF      = 1350 * time.Millisecond // 1.5 s ± 10 % (T.30 5.3.6.1.3)
	leastAnswer   = 4400 * time.Millisecond // 1.8 s to 2.5 s of silence, CED of 2.6 s to 4 s (T.30 4)
	blockFlags    = 200 * time.Millisecond  // flags before the first frame of a block: 200 ms + 100 ms (T.4 A.3.1)
	v21Rate       = 300                     // bit/s
)

// trainingTime is how long a carrier of m trains before its first data bit: V.27ter 2.5.1 (long, without protection against
// talker echo), V.29 8, V.17 5 (long, or short: resynchronization).
func trainingTime(m Modulation) time.Duration {
	switch {
	case m.Scheme == V17 && m.Short:
		return 142 * time.Millisecond
	case m.Scheme == V17:
		return 1393 * time.Millisecond
	case m.Scheme == V29:
		return 253 * time.Millisecond
	case m.Scheme == V27ter && m.Rate == 2400:
		return 943 * time.Millisecond
	case m.Scheme == V27ter:
		return 708 * time.Millisecond
	}
	return 0
}

// bitsTime is how long bits take at rate bit/s.
func bitsTime(bits int64, rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(bits) * time.Second / time.Duration(rate)
}

// frameBits is what f takes on the line: its octets and FCS with inserted zeros, and the closing flag (T.30 5.3.3).
func frameBits(f Frame) int64 {
	const flag = 8
	n, ones := int64(flag), 0
	var fcs [2]byte
	sum := hdlc.FCS(f)
	fcs[0], fcs[1] = byte(sum), byte(sum>>8)
	for _, part := range [2][]byte{f, fcs[:]} {
		for _, c := range part {
			s := &stuffing[ones][c]
			n += 8 + int64(s.zeros)
			ones = int(s.ones)
		}
	}
	return n
}

// stuffing says, for the ones that ended what came before (0 to 4) and an octet, how many zeros are inserted and how
// many ones end it.
var stuffing = makeStuffing()

type stuffed struct{ zeros, ones uint8 }

func makeStuffing() (t [5][256]stuffed) {
	for before := range t {
		for c := range t[before] {
			ones, zeros := uint8(before), uint8(0)
			for b := range 8 {
				if c>>b&1 == 0 {
					ones = 0
				} else if ones++; ones == 5 {
					ones = 0
					zeros++
				}
			}
			t[before][c] = stuffed{zeros, ones}
		}
	}
	return t
}
