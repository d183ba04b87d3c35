package virtual

import (
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/t30"
)

// params are the session parameters of Class 2, 2.0 and 2.1: VR, BR, WD, LN, DF, EC, BF, ST (T.32 Table 21).
type params [8]int

const (
	paramVR = iota // 0 standard, 1 fine; Class 2.1: a set of vr bits
	paramBR        // 2400, 4800, 7200, 9600, 12000, 14400 bit/s
	paramWD        // 1728, 2048, 2432 pels
	paramLN        // A4, B4, unlimited
	paramDF        // MH, MR, uncompressed, MMR
	paramEC        // none, ECM with frames of 64 octets, of 256
	paramBF        // binary file transfer
	paramST        // least time of a scan line, of scanTimes
)

// The resolutions of Class 2.1, beyond standard.
const (
	vrFine      = 0x01 // 8 x 7.7 per mm
	vrSuperfine = 0x02 // 8 x 15.4
	vrR16       = 0x04 // 16 x 15.4
	vr200       = 0x10
	vr400       = 0x20
	vr300       = 0x40
)

var vrResolutions = []struct {
	bit int
	r   t30.Resolution
}{
	{vr400, t30.Res400}, {vr300, t30.Res300}, {vrR16, t30.R16}, {vrSuperfine, t30.Superfine}, {vr200, t30.Res200}, {vrFine, t30.Fine},
}

var bitRates = [...]int{2400, 4800, 7200, 9600, 12000, 14400}

// scanTimes are the values of ST: at standard resolution, and at fine.
var scanTimes = [...][2]time.Duration{
	{0, 0}, {5, 5}, {10, 5}, {10, 10}, {20, 10}, {20, 20}, {40, 20}, {40, 40},
}

// stOf turns T.30 bits 21-23 of DIS and DCS, bit 21 lowest, into ST.
var stOf = [8]int{0b000: 5, 0b001: 1, 0b010: 3, 0b011: 4, 0b100: 7, 0b101: 6, 0b110: 2, 0b111: 0}

// most is what the modem itself can do.
func (m *Modem) most(d *dialect) params {
	p := params{1, 5, 2, 2, 1, 0, 0, 7}
	for p[paramBR] > 0 && (bitRates[p[paramBR]] > m.opts.MaxRate || m.opts.NoV17 && bitRates[p[paramBR]] > 9600) {
		p[paramBR]--
	}
	if d.wide {
		p[paramVR] = vrFine | vrSuperfine | vrR16 | vr200 | vr400 | vr300
	}
	if m.opts.ECM {
		p[paramDF], p[paramEC] = 3, 2
	}
	return p
}

// ranges words what the modem can do, for =?.
func (m *Modem) ranges(d *dialect) string {
	p := m.most(d)
	list := func(n int) string {
		if n == 0 {
			return "(0)"
		}
		return "(0-" + strconv.Itoa(n) + ")"
	}
	out := []string{"(0,1)", list(p[paramBR]), list(p[paramWD]), list(p[paramLN]), "(0,1)", list(p[paramEC]), "(0)", list(p[paramST])}
	if d.wide {
		out[paramVR] = "(0-" + strconv.FormatInt(int64(p[paramVR]), 16) + ")"
	}
	if m.opts.ECM {
		out[paramDF] = "(0,1,3)"
	}
	if m.hex(d) {
		out[paramBR] = "(0-D)"
	}
	return strings.Join(out, ",")
}

// hex tells whether all parameters are in hexadecimal.
func (m *Modem) hex(d *dialect) bool { return m.opts.Hex && !d.inband }

// parse sets what s tells of p: values separated by commas, an empty one leaves its parameter as it is. ok is false for one beyond what the modem can.
func (m *Modem) parse(p *params, s string, d *dialect) (ok bool) {
	was, most := *p, m.most(d)
	for i, v := range strings.Split(s, ",") {
		v = strings.TrimSpace(v)
		if v == "" {
			continue
		}
		base := 10
		if d.wide && i == paramVR || m.hex(d) {
			base = 16
		}
		n, err := strconv.ParseUint(v, base, 8)
		if i >= len(p) && err == nil { // T.32's amendments have more of them
			continue
		}
		if m.hex(d) && i == paramBR && n <= 0xD { // V.34's, which this line has not
			n = min(n, uint64(most[i]))
		}
		beyond := err != nil || int(n) > most[i]
		if !beyond && d.wide && i == paramVR {
			beyond = int(n)&^most[i] != 0
		}
		if beyond || i == paramDF && n == 2 {
			*p = was
			return false
		}
		p[i] = int(n)
	}
	return true
}

// limit is p as the most that a call may use.
func (p params) limit() t30.Capabilities {
	c := t30.Capabilities{
		MaxRate: bitRates[p[paramBR]], Codings: t30.Codings(t30.MH), Resolutions: p.resolutions(),
		Widths: t30.Widths(t30.WidthA4), Length: t30.Length(p[paramLN]), ECM64: p[paramEC] == 1,
		MinScanLine: scanTimes[p[paramST]][0] * time.Millisecond, MinScanLineFine: scanTimes[p[paramST]][1] * time.Millisecond,
	}
	if p[paramDF] >= 1 {
		c.Codings |= t30.Codings(t30.MR)
	}
	if p[paramDF] == 3 {
		c.Codings |= t30.Codings(t30.MMR)
	}
	if p[paramWD] >= 1 {
		c.Widths |= t30.Widths(t30.WidthB4)
	}
	if p[paramWD] >= 2 {
		c.Widths |= t30.Widths(t30.WidthA3)
	}
	return c
}

func (p params) resolutions() t30.Resolutions {
	r := t30.Resolutions(t30.Standard)
	for _, v := range vrResolutions {
		if p[paramVR]&v.bit != 0 {
			r |= t30.Resolutions(v.r)
		}
	}
	return r
}

// format is p as the format of a page, within what the far end can take.
func (p params) format(l t30.PageLimit) t30.PageFormat {
	f := t30.PageFormat{Resolution: t30.Standard, Width: t30.WidthA4, Coding: t30.MH, Length: min(t30.Length(p[paramLN]), l.Length)}
	for _, v := range vrResolutions {
		if p[paramVR]&v.bit != 0 && l.Resolutions.Has(v.r) {
			f.Resolution = v.r
			break
		}
	}
	if w := t30.Width(1 << p[paramWD]); l.Widths.Has(w) {
		f.Width = w
	}
	if c := [...]t30.Coding{t30.MH, t30.MR, t30.MH, t30.MMR}[p[paramDF]]; l.Codings.Has(c) {
		f.Coding = c
	}
	return f
}

// The bits of DIS, DTC and DCS that the reports need (T.30 Table 2); the first is 1.
const (
	disPoll      = 9
	disReceive   = 10
	disFine      = 15
	disMR        = 16
	disB4        = 17
	disA3        = 18
	disLengthB4  = 19
	disUnlimited = 20
	disECM       = 27
	disFrame64   = 28 // DCS; in DIS the same bit of octet 4 is reserved
	disMMR       = 31
	disSuperfine = 41
	dis300       = 42
	disR16       = 43
	disInch      = 44
)

// dis is the field of a DIS, DTC or DCS.
type dis []byte

func (d dis) bit(n int) bool {
	return (n-1)/8 < len(d) && d[(n-1)/8]>>((n-1)%8)&1 != 0
}

// bits are n bits from first on, first lowest.
func (d dis) bits(first, n int) (v int) {
	for i := range n {
		v |= b2i(d.bit(first+i)) << i
	}
	return v
}

// dcsRates are bits 11-14 of DCS, bit 11 lowest, as BR.
var dcsRates = map[int]int{0b0000: 0, 0b0010: 1, 0b0011: 2, 0b1011: 2, 0b0001: 3, 0b1001: 3, 0b1010: 4, 0b1000: 5}

// dcsModulations are the same bits as codes of T.31 Table 3, of a page's carrier.
var dcsModulations = map[int]int{0b0000: 24, 0b0010: 48, 0b0011: 72, 0b0001: 96, 0b1000: 146, 0b1010: 122, 0b1001: 98, 0b1011: 74}

// params reads a DIS or DTC, or with dcs a DCS, as the reports word it.
func (d dis) params(dcs, wide bool) (p params) {
	switch r := d.bits(11, 4); {
	case dcs:
		p[paramBR] = dcsRates[r]
	case r == 0b1011 || r == 0b0111: // V.17 or V.33 too
		p[paramBR] = 5
	case r&0b0001 != 0: // V.29
		p[paramBR] = 3
	case r == 0b0010:
		p[paramBR] = 1
	}
	p[paramVR] = d.vr(dcs, wide)
	switch {
	case d.bit(disA3):
		p[paramWD] = 2
	case d.bit(disB4):
		p[paramWD] = 1
	}
	switch {
	case d.bit(disUnlimited):
		p[paramLN] = 2
	case d.bit(disLengthB4):
		p[paramLN] = 1
	}
	switch {
	case d.bit(disMMR):
		p[paramDF] = 3
	case d.bit(disMR):
		p[paramDF] = 1
	}
	if d.bit(disECM) {
		p[paramEC] = 2
		if d.bit(disFrame64) && dcs {
			p[paramEC] = 1
		}
	}
	p[paramST] = stOf[d.bits(21, 3)]
	return p
}

// vr are the resolutions; Class 2 and 2.0 know fine only.
func (d dis) vr(dcs, wide bool) (v int) {
	if !wide {
		return b2i(d.bit(disFine))
	}
	inch, metric := d.bit(disInch), !d.bit(disInch) || !dcs && d.bit(disInch+1)
	for _, b := range []struct {
		n  int
		ok bool
		v  int
	}{
		{disFine, metric, vrFine}, {disFine, inch, vr200}, {disSuperfine, true, vrSuperfine}, {dis300, true, vr300},
		{disR16, metric, vrR16}, {disR16, inch, vr400},
	} {
		if b.ok && d.bit(b.n) {
			v |= b.v
		}
	}
	return v
}
