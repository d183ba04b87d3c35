package t30

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// String decodes the frame for a transcript: "DCS v17/14400 mmr fine ecm/256", "TSI +49 30 1234567", "PPS-EOP page 1
// block 0 frames 37".
func (f Frame) String() string {
	if !f.Valid() {
		return "bad frame " + hex.EncodeToString(f[:min(len(f), 40)])
	}
	name := f.FCF().String()
	fi := f.FIF()
	switch fcf := f.FCF(); fcf {
	case FcfDIS, FcfDTC:
		return name + " " + describeDIS(fi)
	case FcfDCS:
		s, ok := decodeDCS(fi)
		if !ok {
			return name + " unknown rate " + hex.EncodeToString(fi)
		}
		return name + " " + s.String()
	case FcfCSI, FcfTSI, FcfCIG, FcfSUB, FcfSEP, FcfPSA:
		return name + " " + decodeIdent(fi)
	case FcfPWD, FcfSID:
		return name + " (hidden)"
	case FcfPPS, FcfEOR:
		return describePartial(name, fi)
	case FcfPPR:
		return name + " " + describePPR(fi)
	case FcfCTC:
		if len(fi) >= 2 {
			return fmt.Sprintf("%s %v", name, dcsRates[fif(fi).rateBits()])
		}
	case FcfFCD:
		if len(fi) > 0 {
			return fmt.Sprintf("FCD %d, %d octets", fi[0], len(fi)-1)
		}
	}
	if len(fi) > 0 {
		return name + " " + hex.EncodeToString(fi[:min(len(fi), 40)])
	}
	return name
}

func describeDIS(b []byte) string {
	c, receive, poll := decodeDIS(b)
	var s []string
	for _, m := range []Scheme{V27ter, V29, V17} {
		if c.Schemes.Has(m) {
			s = append(s, m.String())
		}
	}
	for _, m := range []Coding{MR, MMR, JBIG} {
		if c.Codings.Has(m) {
			s = append(s, m.String())
		}
	}
	for r := Standard; r <= Res600; r <<= 1 {
		if c.Resolutions.Has(r) {
			s = append(s, r.String())
		}
	}
	for _, x := range []struct {
		ok   bool
		text string
	}{
		{c.ECM, "ecm"}, {c.Widths.Has(WidthB4), "B4"}, {c.Widths.Has(WidthA3), "A3"}, {c.Subaddress, "sub"},
		{c.SelectivePoll, "sep"}, {c.Password, "pwd"}, {!receive, "cannot receive"}, {poll, "has a document"},
	} {
		if x.ok {
			s = append(s, x.text)
		}
	}
	s = append(s, fmt.Sprintf("%v/line", c.MinScanLine))
	return strings.Join(s, " ")
}

func describePartial(name string, fi []byte) string {
	if len(fi) == 0 {
		return name
	}
	name += "-" + fcfOf(fi[0]).String()
	if len(fi) >= 4 {
		return fmt.Sprintf("%s page %d block %d frames %d", name, fi[1], fi[2], int(fi[3])+1)
	}
	return name
}

func describePPR(fi []byte) string {
	n := 0
	for i := range min(len(fi), 32) * 8 {
		n += int(fi[i/8] >> (i % 8) & 1)
	}
	return fmt.Sprintf("%d frames missing or unused", n)
}
