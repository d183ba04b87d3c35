package t30_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// disLine is a line whose far end sends one DIS, hears what answers it and disconnects.
type disLine struct {
	t30.Line // nil: a page is not come to
	dis      t30.Frame
	said     []t30.Frame
}

func (l *disLine) Capabilities() t30.Capabilities                               { return t30test.All }
func (l *disLine) Silence(context.Context, time.Duration) error                 { return nil }
func (l *disLine) SendTCF(context.Context, t30.Modulation, time.Duration) error { return nil }
func (l *disLine) Hangup() error                                                { return nil }
func (l *disLine) SendFrames(_ context.Context, frames ...t30.Frame) error {
	l.said = frames
	return nil
}
func (l *disLine) ReceiveFrame(_ context.Context, _ time.Duration) (t30.Frame, error) {
	if l.said == nil {
		return l.dis, nil
	}
	return t30.NewFrame(t30.FcfDCN, false, true), nil
}

// table2 is a FIF with the bit numbers of T.30 Table 2; what is absent is 0.
type table2 []byte

func (f table2) bit(n int) bool { return (n-1)/8 < len(f) && f[(n-1)/8]>>((n-1)%8)&1 != 0 }

// bits are bits first and following as T.30 prints them.
func (f table2) bits(first, n int) (s string) {
	for i := range n {
		s += map[bool]string{true: "1", false: "0"}[f.bit(first+i)]
	}
	return s
}

// Rates that a DIS offers (bits 11-14, T.30 Table 2), by the bits that command them in a DCS. Values that are reserved offer
// the fall-back that every station has.
var (
	v27Rates   = "0000 0100"
	ratesOfDIS = map[string]string{"0000": "0000", "0100": v27Rates, "1000": "1000 1100", "1100": v27Rates + " 1000 1100", "1110": v27Rates + " 1000 1100",
		"1101": v27Rates + " 1000 1100 0001 0101 1001 1101"}
	// Least scan line times in ms, at standard resolution and at the finer ones (bits 21-23).
	scanOfDIS = map[string][2]int{"000": {20, 20}, "001": {40, 40}, "010": {10, 10}, "100": {5, 5}, "011": {10, 5}, "110": {20, 10}, "101": {40, 20}, "111": {0, 0}}
)

// beyond tells what a DCS commands that the DIS does not offer (T.30 5.3.6.1.3, Table 2), "" for nothing.
func beyond(dis, dcs table2) string {
	rates, ok := ratesOfDIS[dis.bits(11, 4)]
	if !ok {
		rates = v27Rates
	}
	inch, metric := dis.bit(44), !dis.bit(44) || dis.bit(45)
	ecm := dcs.bit(27)
	scan := scanOfDIS[dis.bits(21, 3)][0]
	if dcs.bit(15) || dcs.bit(41) || dcs.bit(42) || dcs.bit(43) || dcs.bit(105) {
		scan = scanOfDIS[dis.bits(21, 3)][1]
	}
	allowed := func(n int) bool { return !dcs.bit(n) || dis.bit(n) }
	switch {
	case !dcs.bit(10):
		return "bit 10 is to be 1"
	case !contains(rates, dcs.bits(11, 4)):
		return "rate " + dcs.bits(11, 4)
	case !allowed(15) || !allowed(16) || !allowed(27) || !allowed(31) || !allowed(41) || !allowed(42) || !allowed(43) || !allowed(78) || !allowed(105):
		return "a coding, a resolution or ECM"
	case (dcs.bit(15) || dcs.bit(43)) && (dcs.bit(44) && !inch || !dcs.bit(44) && !metric):
		return "inch or metric"
	case dcs.bit(31) && !ecm || dcs.bit(78) && !ecm:
		return "MMR or JBIG without ECM"
	case dcs.bits(17, 2) == "10" && dis.bits(17, 2) == "00", dcs.bits(17, 2) == "01" && !dis.bit(18), dcs.bits(17, 2) == "11":
		return "width " + dcs.bits(17, 2)
	case dcs.bits(19, 2) == "10" && dis.bits(19, 2) == "00", dcs.bits(19, 2) == "01" && !dis.bit(20), dcs.bits(19, 2) == "11":
		return "length " + dcs.bits(19, 2)
	case !ecm && scanOfDIS[dcs.bits(21, 3)][0] < scan:
		return fmt.Sprintf("lines faster than %d ms", scan)
	case dcs.bit(9) || dcs.bit(47):
		return "a bit that is not for DCS"
	}
	return ""
}

func contains(list, word string) bool {
	for i := 0; i+4 <= len(list); i += 5 {
		if list[i:i+4] == word {
			return true
		}
	}
	return false
}

// TestNegotiate_DCSKeepsToAnyDIS: whatever bits a DIS has and however long it is, the DCS commands nothing that it does not offer.
func TestNegotiate_DCSKeepsToAnyDIS(t *testing.T) {
	resolutions := []t30.Resolution{t30.Standard, t30.Fine, t30.Superfine, t30.R16, t30.Res200, t30.Res300, t30.Res400, t30.Res600}
	answered := 0
	for seed := range uint64(5000) {
		rng := rand.New(rand.NewPCG(seed, 0xd15))
		fif := make([]byte, rng.IntN(16))
		for i := range fif {
			fif[i] = byte(rng.Uint32())
		}
		if len(fif) > 1 {
			fif[1] |= 2 // can receive
		}
		page := t30test.Page{Data: t30test.MakePage(seed, 4), Format: t30.PageFormat{
			Resolution: resolutions[rng.IntN(len(resolutions))], Width: []t30.Width{t30.WidthA4, t30.WidthB4, t30.WidthA3}[rng.IntN(3)],
			Coding: []t30.Coding{t30.MH, t30.MR, t30.MMR}[rng.IntN(3)], Length: t30.LengthUnlimited,
		}}
		l := &disLine{dis: t30.NewFrame(t30.FcfDIS, false, true, fif...)}
		_, err := t30.Originate(t.Context(), l, t30.Session{
			Send:  t30test.Docs(&t30test.Document{Pages: []t30test.Page{page}}),
			Limit: t30.Capabilities{Resolutions: ^t30.Resolutions(0)}, NoECM: rng.IntN(2) == 0,
		})
		if err != nil && err != io.EOF {
			t.Fatalf("seed %d: %v", seed, err)
		}
		last := l.said[len(l.said)-1]
		if last.FCF() != t30.FcfDCS {
			continue // DCN
		}
		answered++
		if why := beyond(table2(fif), table2(last.FIF())); why != "" {
			t.Errorf("seed %d: DCS % 08b\nfor DIS % 08b:\n%s", seed, last.FIF(), fif, why)
		}
	}
	if answered < 4000 {
		t.Errorf("%d of 5000 DIS were answered with DCS", answered)
	}
}
