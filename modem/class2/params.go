package class2

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/t30"
)

// Subparameters of a T.30 session, in the order in which the commands have them (T.32 Table 21).
const (
	pVR = iota // vertical resolution
	pBR        // bit rate
	pWD        // page width
	pLN        // page length
	pDF        // data compression format
	pEC        // error correction
	pBF        // binary file transfer
	pST        // scan time of a line
	nParams
)

// params are the values of one +FDCC, +FDIS or +FDCS.
type params [nParams]int

// maxParam bounds each value.
const maxParam = 0xff

// parseParams reads "0,5,0,2,0,0,0,0". Values that are missing or left empty are 0; more than eight are passed over. ok is false
// when there is not even a resolution and a rate, or something that is no number.
func parseParams(s string, hex bool) (p params, ok bool) {
	base := 10
	if hex {
		base = 16
	}
	fields := strings.SplitN(s, ",", nParams+1)
	if len(fields) <= pBR {
		return params{}, false
	}
	for i, f := range fields[:min(len(fields), nParams)] {
		f = strings.Trim(f, " \t\"()")
		if f == "" {
			continue
		}
		n, err := strconv.ParseUint(f, base, 16)
		if err != nil || n > maxParam {
			return params{}, false
		}
		p[i] = int(n)
	}
	return p, true
}

// format writes p as commands take it.
func (p params) format(hex bool) string {
	verb := "%d"
	if hex {
		verb = "%X"
	}
	var b strings.Builder
	for i, n := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, verb, n)
	}
	return b.String()
}

// choices are the values that a modem can do of one subparameter.
type choices [4]uint64

func (c *choices) add(n int)     { c[n/64] |= 1 << (n % 64) }
func (c choices) has(n int) bool { return n >= 0 && n <= maxParam && c[n/64]>>(n%64)&1 != 0 }

// highest is the largest choice up to most, 0 if there is none.
func (c choices) highest(most int) int {
	for n := min(most, maxParam); n > 0; n-- {
		if c.has(n) {
			return n
		}
	}
	return 0
}

// all is the choices taken for sets of bits.
func (c choices) all() (set int) {
	for n := range maxParam + 1 {
		if c.has(n) {
			set |= n
		}
	}
	return set
}

// offered is what +FDCC=? or +FCC=? names.
type offered [nParams]choices

// parseOffered reads "(0,1),(0-5),(0-2),(0-2),(0,1),(0),(0),(0-7)", also with the command's name in front and without
// parentheses. ok is false when it names no rate.
func parseOffered(lines []string, hex bool) (o offered, ok bool) {
	base := 10
	if hex {
		base = 16
	}
	s := strings.Join(lines, "")
	if i := strings.LastIndexAny(s, ":="); i >= 0 {
		s = s[i+1:]
	}
	s = strings.ReplaceAll(s, "\"", "")
	n := 0
	for _, group := range groups(s) {
		if n == nParams {
			break
		}
		for f := range strings.SplitSeq(group, ",") {
			lo, hi, isRange := strings.Cut(strings.TrimSpace(f), "-")
			if !isRange {
				hi = lo
			}
			a, err1 := strconv.ParseUint(strings.TrimSpace(lo), base, 16)
			b, err2 := strconv.ParseUint(strings.TrimSpace(hi), base, 16)
			if err1 != nil || err2 != nil || a > b || b > maxParam {
				continue
			}
			for ; a <= b; a++ {
				o[n].add(int(a))
			}
			ok = ok || n == pBR
		}
		n++
	}
	return o, ok
}

// groups cuts at commas outside of parentheses.
func groups(s string) (out []string) {
	depth, from := 0, 0
	for i, c := range s {
		switch {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ',' && depth == 0 && len(out) < nParams:
			out = append(out, strings.Trim(s[from:i], "() "))
			from = i + 1
		}
	}
	return append(out, strings.Trim(s[from:], "() "))
}

// least is what every modem of these classes can do, for those that do not answer.
func least() (o offered) {
	o[pVR].add(1)
	for n := range 4 {
		o[pBR].add(n)
	}
	o[pLN].add(2)
	return o
}

// vrBits are the bits of VR in 2.0 and 2.1 (T.32 Table 21). 200x100 (08) and 200x400 (20) are in no format of ours.
var vrBits = []struct {
	bit int
	res t30.Resolution
}{{0x01, t30.Fine}, {0x02, t30.Superfine}, {0x04, t30.R16}, {0x10, t30.Res200}, {0x40, t30.Res300}}

func (d *dialect) resolutions(vr int) t30.Resolutions {
	set := t30.Resolutions(t30.Standard)
	for _, v := range vrBits {
		if d.vrMask && vr&v.bit != 0 || !d.vrMask && v.bit == 1 && vr >= 1 {
			set |= t30.Resolutions(v.res)
		}
	}
	return set
}

// vr is the inverse of resolutions.
func (d *dialect) vr(set t30.Resolutions) (vr int) {
	for _, v := range vrBits {
		if set.Has(v.res) && (d.vrMask || v.bit == 1) {
			vr |= v.bit
		}
	}
	return vr
}

// resolution is the one resolution of a DCS: the finest of its bits, of which there should be one.
func (d *dialect) resolution(vr int) t30.Resolution {
	set := d.resolutions(vr) &^ t30.Resolutions(t30.Standard)
	if set == 0 {
		return t30.Standard
	}
	return t30.Resolution(1 << (bits.Len16(uint16(set)) - 1))
}

// rates are BR's modulations. 7200 and 9600 bit/s may be V.17 as well: the classes do not tell.
var rates = []t30.Modulation{
	{Scheme: t30.V27ter, Rate: 2400}, {Scheme: t30.V27ter, Rate: 4800}, {Scheme: t30.V29, Rate: 7200}, {Scheme: t30.V29, Rate: 9600},
	{Scheme: t30.V17, Rate: 12000}, {Scheme: t30.V17, Rate: 14400},
}

// modulation is BR's; above 14400 bit/s it is V.34, in steps of 2400.
func modulation(br int) t30.Modulation {
	if br >= 0 && br < len(rates) {
		return rates[br]
	}
	return t30.Modulation{Scheme: t30.V34, Rate: min(br+1, 14) * 2400}
}

// schemes are those that a station with BR as its highest rate can do.
func schemes(br int) t30.Schemes {
	s := t30.Schemes(t30.V27ter)
	if br >= 2 {
		s |= t30.Schemes(t30.V29)
	}
	if br >= 4 {
		s |= t30.Schemes(t30.V17)
	}
	return s
}

// br is the highest BR within a rate and schemes.
func br(maxRate int, s t30.Schemes) int {
	n := 0
	for i, m := range rates {
		if (maxRate == 0 || m.Rate <= maxRate) && s.Has(m.Scheme) {
			n = i
		}
	}
	return n
}

// codings are those that a station with DF as its highest format can do. 2 is T.4's uncompressed mode, which nobody uses.
func codings(df int) t30.Codings {
	set := t30.Codings(t30.MH)
	if df >= 1 {
		set |= t30.Codings(t30.MR)
	}
	if df >= 3 {
		set |= t30.Codings(t30.MMR)
	}
	if df == 4 {
		set |= t30.Codings(t30.JBIG)
	}
	return set
}

var dfCodings = map[t30.Coding]int{t30.MH: 0, t30.MR: 1, t30.MMR: 3, t30.JBIG: 4}

// df is the highest format of a set.
func df(set t30.Codings) (n int) {
	for c, v := range dfCodings {
		if set.Has(c) {
			n = max(n, v)
		}
	}
	return n
}

// coding is the one coding of a DCS.
func coding(df int) t30.Coding {
	switch {
	case df >= 4:
		return t30.JBIG
	case df == 3:
		return t30.MMR
	case df >= 1:
		return t30.MR
	}
	return t30.MH
}

func widths(wd int) t30.Widths {
	set := t30.Widths(t30.WidthA4)
	if wd >= 1 {
		set |= t30.Widths(t30.WidthB4)
	}
	if wd >= 2 {
		set |= t30.Widths(t30.WidthA3)
	}
	return set
}

func wd(set t30.Widths) int {
	switch {
	case set.Has(t30.WidthA3):
		return 2
	case set.Has(t30.WidthB4):
		return 1
	}
	return 0
}

func width(wd int) t30.Width { return []t30.Width{t30.WidthA4, t30.WidthB4, t30.WidthA3}[min(wd, 2)] }

// scanTimes are ST: least time of one coded line at 3.85 line/mm and at 7.7.
var scanTimes = [8][2]time.Duration{
	{0, 0}, {5 * time.Millisecond, 5 * time.Millisecond}, {10 * time.Millisecond, 5 * time.Millisecond},
	{10 * time.Millisecond, 10 * time.Millisecond}, {20 * time.Millisecond, 10 * time.Millisecond},
	{20 * time.Millisecond, 20 * time.Millisecond}, {40 * time.Millisecond, 20 * time.Millisecond},
	{40 * time.Millisecond, 40 * time.Millisecond},
}

// ec is EC's value for error correction, of a modem that offers o: the longest frames.
func (d *dialect) ec(on bool, o choices) int {
	switch {
	case !on:
		return 0
	case d.ecmSizes && o.has(2):
		return 2
	}
	return 1
}

// capabilities is what params announce: of a modem, of a DIS or a DTC.
func (d *dialect) decode(p params) t30.Capabilities {
	c := t30.Capabilities{
		Schemes: schemes(p[pBR]), MaxRate: modulation(p[pBR]).Rate, Codings: codings(p[pDF]), Resolutions: d.resolutions(p[pVR]),
		Widths: widths(p[pWD]), Length: t30.Length(min(p[pLN], 2)), ECM: p[pEC] > 0, ECM64: d.ecmSizes && p[pEC] == 1,
	}
	st := scanTimes[min(p[pST], len(scanTimes)-1)]
	c.MinScanLine, c.MinScanLineFine = st[0], st[1]
	return c
}

// pageFormat is the format that a DCS commands.
func (d *dialect) pageFormat(p params) t30.PageFormat {
	return t30.PageFormat{Resolution: d.resolution(p[pVR]), Width: width(p[pWD]), Coding: coding(p[pDF]), Length: t30.Length(min(p[pLN], 2))}
}
