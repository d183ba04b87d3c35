package t30

import (
	"fmt"
	"strings"
	"time"
)

// encodeDIS makes the FIF of DIS or DTC from what we can receive (T.30 Table 2). receive: bit 10; poll: bit 9.
func encodeDIS(c Capabilities, receive, poll bool) []byte {
	f := make(fif, 3, maxDISOctets)
	f.setIf(c.Schemes.Has(V34), bitV8)
	f.setIf(poll, bitPollDocument)
	f.setIf(receive, bitReceive)
	f[1] |= schemeBits(c.Schemes, c.MaxRate) << 2
	f.setIf(c.Resolutions.Has(Fine) || c.Resolutions.Has(Res200), bitFine)
	f.setIf(c.Codings.Has(MR), bitMR)
	switch {
	case c.Widths.Has(WidthA3):
		f.set(bitA3)
	case c.Widths.Has(WidthB4):
		f.set(bitB4)
	}
	f.setIf(c.Length == LengthB4, bitLengthB4)
	f.setIf(c.Length == LengthUnlimited, bitUnlimited)
	f[2] |= scanBitsFor(c.MinScanLine, c.MinScanLineFine, false) << 4
	f.setIf(c.ECM, bitECM)
	f.setIf(c.ECM && c.ECM64, bitFrame64Preferred)
	f.setIf(c.ECM && c.Codings.Has(MMR), bitMMR)
	if c.ECM && c.Codings.Has(JBIG) {
		f.set(bitJBIG)
		f.set(bitJBIGL0)
	}
	f.setIf(c.Resolutions.Has(Superfine), bitSuperfine)
	f.setIf(c.Resolutions.Has(Res300), bit300)
	f.setIf(c.Resolutions.Has(R16) || c.Resolutions.Has(Res400), bitR16)
	if inch := c.Resolutions.Has(Res200) || c.Resolutions.Has(Res400); inch {
		f.set(bitInch)
		f.setIf(c.Resolutions.Has(Fine) || c.Resolutions.Has(R16), bitMetric)
	}
	f.setIf(c.Resolutions.Has(Res600), bit600)
	f.setIf(c.SelectivePoll, bitSEP)
	f.setIf(c.Subaddress, bitSUB)
	f.setIf(c.Password, bitPWD)
	return f
}

// decodeDIS reads the FIF of DIS or DTC, of any length.
func decodeDIS(b []byte) (c Capabilities, receive, poll bool) {
	f := fif(b[:min(len(b), maxDISOctets)])
	c.Schemes, c.MaxRate = schemesOf(f.rateBits())
	c.ECM = f.bit(bitECM)
	c.ECM64 = c.ECM && f.bit(bitFrame64Preferred)
	c.Codings = Codings(MH)
	add := func(n int, x Coding, ok bool) {
		if ok && f.bit(n) {
			c.Codings |= Codings(x)
		}
	}
	add(bitMR, MR, true)
	add(bitMMR, MMR, c.ECM)
	add(bitJBIG, JBIG, c.ECM)
	c.Resolutions = decodeResolutions(f)
	c.Widths = Widths(WidthA4)
	if f.bit(bitB4) || f.bit(bitA3) {
		c.Widths |= Widths(WidthB4)
	}
	if f.bit(bitA3) { // (1,1) is invalid and read as (0,1): Table 2 note 7
		c.Widths |= Widths(WidthA3)
	}
	c.Length = lengthOf(f)
	t := scanTimes[f.scanBits()]
	c.MinScanLine, c.MinScanLineFine = t[0], t[1]
	c.SelectivePoll, c.Subaddress, c.Password = f.bit(bitSEP), f.bit(bitSUB), f.bit(bitPWD)
	return c, f.bit(bitReceive), f.bit(bitPollDocument)
}

// decodeResolutions reads DIS: bits 15 and 43 stand for metric, inch or both, told apart by bits 44 and 45.
func decodeResolutions(f fif) Resolutions {
	r := Resolutions(Standard)
	inch := f.bit(bitInch)
	metric := !inch || f.bit(bitMetric)
	for _, b := range []struct {
		n  int
		ok bool
		r  Resolution
	}{
		{bitFine, metric, Fine}, {bitFine, inch, Res200}, {bitSuperfine, true, Superfine}, {bit300, true, Res300},
		{bitR16, metric, R16}, {bitR16, inch, Res400}, {bit600, true, Res600},
	} {
		if b.ok && f.bit(b.n) {
			r |= Resolutions(b.r)
		}
	}
	return r
}

func lengthOf(f fif) Length {
	switch {
	case f.bit(bitUnlimited):
		return LengthUnlimited
	case f.bit(bitLengthB4):
		return LengthB4
	}
	return LengthA4
}

// settings is what a DCS commands.
type settings struct {
	Modulation Modulation
	Format     PageFormat
	ECM        bool
	Frame64    bool // ECM frames of 64 octets in place of 256
	MinScan    time.Duration
}

// frameSize returns the octets of data in one ECM frame.
func (s settings) frameSize() int {
	if s.Frame64 {
		return 64
	}
	return 256
}

// rateBitsOf returns bits 11-14 of a DCS for m.
func rateBitsOf(m Modulation) byte {
	for bits, r := range dcsRates {
		if r.Scheme == m.Scheme && r.Rate == m.Rate {
			return bits
		}
	}
	return 0
}

// encodeDCS makes the FIF of DCS; octets without a set bit at the end are left out (T.30 5.3.6.2.1).
func encodeDCS(s settings) []byte {
	f := make(fif, 3, maxDISOctets)
	f.set(bitReceive)
	f[1] |= rateBitsOf(s.Modulation) << 2
	switch s.Format.Resolution {
	case Fine:
		f.set(bitFine)
	case Res200:
		f.set(bitFine)
		f.set(bitInch)
	case Superfine:
		f.set(bitSuperfine)
	case Res300:
		f.set(bit300)
	case R16:
		f.set(bitR16)
	case Res400:
		f.set(bitR16)
		f.set(bitInch)
	case Res600:
		f.set(bit600)
	}
	f.setIf(s.Format.Coding == MR, bitMR)
	f.setIf(s.Format.Coding == MMR, bitMMR)
	f.setIf(s.Format.Coding == JBIG, bitJBIG)
	f.setIf(s.Format.Width == WidthB4, bitB4)
	f.setIf(s.Format.Width == WidthA3, bitA3)
	f.setIf(s.Format.Length == LengthB4, bitLengthB4)
	f.setIf(s.Format.Length == LengthUnlimited, bitUnlimited)
	f[2] |= scanBitsFor(s.MinScan, s.MinScan, true) << 4
	f.setIf(s.ECM, bitECM)
	f.setIf(s.ECM && s.Frame64, bitFrame64)
	return f
}

// decodeDCS reads the FIF of DCS, of any length. ok is false for a data signalling rate that is missing or not in the table.
func decodeDCS(b []byte) (s settings, ok bool) {
	f := fif(b[:min(len(b), maxDISOctets)])
	s.Modulation, ok = dcsRates[f.rateBits()]
	ok = ok && len(f) >= 2
	s.ECM = f.bit(bitECM)
	s.Frame64 = s.ECM && f.bit(bitFrame64)
	inch := f.bit(bitInch)
	pick := func(metric, inches Resolution) Resolution {
		if inch {
			return inches
		}
		return metric
	}
	switch {
	case f.bit(bit600):
		s.Format.Resolution = Res600
	case f.bit(bitR16):
		s.Format.Resolution = pick(R16, Res400)
	case f.bit(bit300):
		s.Format.Resolution = Res300
	case f.bit(bitSuperfine):
		s.Format.Resolution = Superfine
	case f.bit(bitFine):
		s.Format.Resolution = pick(Fine, Res200)
	default:
		s.Format.Resolution = Standard
	}
	switch {
	case f.bit(bitJBIG), f.bit(bitJBIGL0):
		s.Format.Coding = JBIG
	case f.bit(bitMMR):
		s.Format.Coding = MMR
	case f.bit(bitMR):
		s.Format.Coding = MR
	default:
		s.Format.Coding = MH
	}
	switch {
	case f.bit(bitA3):
		s.Format.Width = WidthA3
	case f.bit(bitB4):
		s.Format.Width = WidthB4
	default:
		s.Format.Width = WidthA4
	}
	s.Format.Length = lengthOf(f)
	s.MinScan = scanTimes[f.scanBits()][0]
	return s, ok
}

func (s settings) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v %v", s.Modulation, s.Format.Coding, s.Format.Resolution)
	switch s.Format.Width {
	case WidthB4:
		b.WriteString(" B4")
	case WidthA3:
		b.WriteString(" A3")
	}
	if s.ECM {
		fmt.Fprintf(&b, " ecm/%d", s.frameSize())
	} else if s.MinScan > 0 {
		fmt.Fprintf(&b, " %v/line", s.MinScan)
	}
	return b.String()
}
