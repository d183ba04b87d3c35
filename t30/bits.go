package t30

import "time"

// fif is the information field of DIS, DTC and DCS: bit 1 of T.30 Table 2 is the lowest bit of the first octet. Bits
// beyond its end read as 0 (T.30 Table 2 note: absent extension octets).
type fif []byte

// maxDISOctets bounds what is looked at; Table 2 ends at bit 128.
const maxDISOctets = 16

func (f fif) bit(n int) bool {
	i := (n - 1) / 8
	return i < len(f) && f[i]>>((n-1)%8)&1 != 0
}

// set sets bit n, lengthening the field and its extend bits (24, 32, 40, ...) as far as needed.
func (f *fif) set(n int) {
	for i := (n - 1) / 8; i >= len(*f); {
		if l := len(*f); l >= 3 {
			(*f)[l-1] |= 0x80
		}
		*f = append(*f, 0)
	}
	(*f)[(n-1)/8] |= 1 << ((n - 1) % 8)
}

func (f *fif) setIf(cond bool, n int) {
	if cond {
		f.set(n)
	}
}

// Bits of T.30 Table 2. Where DIS/DTC and DCS differ, both are named.
const (
	bitV8               = 6  // DIS
	bitFrame64Preferred = 7  // DIS
	bitPollDocument     = 9  // DIS: has a document to be polled
	bitReceive          = 10 // DIS: can receive; DCS: receive
	bitFine             = 15 // 8 x 7.7 line/mm and/or 200 x 200
	bitMR               = 16
	bitB4               = 17
	bitA3               = 18
	bitLengthB4         = 19
	bitUnlimited        = 20
	bitECM              = 27
	bitFrame64          = 28 // DCS
	bitMMR              = 31
	bitSuperfine        = 41 // 8 x 15.4
	bit300              = 42
	bitR16              = 43 // 16 x 15.4 and/or 400 x 400
	bitInch             = 44 // DIS: inch preferred; DCS: resolution is in inches
	bitMetric           = 45 // DIS: metric preferred
	bitSEP              = 47 // DIS
	bitSUB              = 49
	bitPWD              = 50 // DCS: SID
	bitJBIG             = 78 // T.85 basic: 128 lines a stripe
	bitJBIGL0           = 79 // T.85 optional L0: any
	bit600              = 105
)

// rateBits are bits 11-14 (T.30 Table 2), bit 11 lowest.
func (f fif) rateBits() byte {
	if len(f) < 2 {
		return 0
	}
	return f[1] >> 2 & 0x0f
}

// schemesOf reads bits 11-14 of DIS or DTC; reserved values mean V.27ter, the least that all can (T.30 Table 2 note 3).
func schemesOf(bits byte) (Schemes, int) {
	switch bits {
	case 0b0000:
		return Schemes(V27ter), 2400
	case 0b0001:
		return Schemes(V29), 9600
	case 0b0011, 0b0111:
		return Schemes(V27ter | V29), 9600
	case 0b1011:
		return Schemes(V27ter | V29 | V17), 14400
	}
	return Schemes(V27ter), 4800
}

func schemeBits(s Schemes, maxRate int) byte {
	switch {
	case s.Has(V17) && s.Has(V29) && s.Has(V27ter):
		return 0b1011
	case s.Has(V29) && s.Has(V27ter):
		return 0b0011
	case s.Has(V29):
		return 0b0001
	case maxRate != 0 && maxRate < 4800:
		return 0b0000
	}
	return 0b0010
}

// dcsRates are bits 11-14 of DCS (T.30 Table 2).
var dcsRates = map[byte]Modulation{
	0b0000: {Scheme: V27ter, Rate: 2400}, 0b0010: {Scheme: V27ter, Rate: 4800},
	0b0001: {Scheme: V29, Rate: 9600}, 0b0011: {Scheme: V29, Rate: 7200},
	0b1000: {Scheme: V17, Rate: 14400}, 0b1010: {Scheme: V17, Rate: 12000},
	0b1001: {Scheme: V17, Rate: 9600}, 0b1011: {Scheme: V17, Rate: 7200},
}

// scanTimes are bits 21-23 (bit 21 lowest): least time of one coded line at 3.85 and at 7.7 line/mm.
var scanTimes = [8][2]time.Duration{
	0b000: {20 * time.Millisecond, 20 * time.Millisecond},
	0b001: {5 * time.Millisecond, 5 * time.Millisecond},
	0b010: {10 * time.Millisecond, 10 * time.Millisecond},
	0b011: {20 * time.Millisecond, 10 * time.Millisecond},
	0b100: {40 * time.Millisecond, 40 * time.Millisecond},
	0b101: {40 * time.Millisecond, 20 * time.Millisecond},
	0b110: {10 * time.Millisecond, 5 * time.Millisecond},
	0b111: {0, 0},
}

func (f fif) scanBits() byte {
	if len(f) < 3 {
		return 0
	}
	return f[2] >> 4 & 7
}

// scanBitsFor finds the bits whose times are at least standard and fine, the shortest such; a DCS has only the values
// where both are equal (onlyEqual).
func scanBitsFor(standard, fine time.Duration, onlyEqual bool) byte {
	best := byte(0b100)
	for i, t := range scanTimes {
		if onlyEqual && t[0] != t[1] || t[0] < standard || t[1] < fine {
			continue
		}
		if b := scanTimes[best]; t[0] < b[0] || t[0] == b[0] && t[1] < b[1] {
			best = byte(i)
		}
	}
	return best
}
