package t30test

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"

	"github.com/tipring/tipring/t30"
)

// matches holds one frame heard against its spec. x is the X bit that the device has.
func (f *frameSpec) matches(fr t30.Frame, x bool) error {
	if f.x >= 0 {
		x = f.x == 1
	}
	code := bits.Reverse8(fr[2])
	if want := withX(f.code, x); code != want {
		return fmt.Errorf("expected %s %02X (X bit %t), seen %02X", f.name, want, x, code)
	}
	fif := onLine(fr[3:])
	if f.hasRaw {
		if !bytes.Equal(fif, f.raw) && !(f.rawOpen && bytes.HasPrefix(fif, f.raw)) {
			return fmt.Errorf("expected %s [% X], seen [% X]", f.name, f.raw, fif)
		}
		return nil
	}
	return f.matchesField(fif, x)
}

// fieldOctets are the lengths of information fields that are not 0.
var fieldOctets = map[string]int{"PPS": 4, "EOR": 1, "CTC": 2, "PPR": 32}

func (f *frameSpec) matchesField(fif []byte, x bool) error {
	base := f.base()
	switch {
	case base == "DIS" || base == "DTC" || base == "DCS":
		return f.matchesWords(fif)
	case base == "NSF" || base == "NSC" || base == "NSS":
		return nil
	case identFrames[base]:
		if len(fif) != 20 || f.hasIdent && !bytes.Equal(fif, identField(f.ident)) {
			return fmt.Errorf("expected %s [% X], seen [% X]", base, identField(f.ident), fif)
		}
		return nil
	}
	if len(fif) != fieldOctets[base] {
		return fmt.Errorf("expected %d octets in the FIF of %s, seen %d", fieldOctets[base], base, len(fif))
	}
	switch base {
	case "PPS":
		for i, key := range []string{"page", "block", "frames"} {
			got := int(bits.Reverse8(fif[i+1]))
			if key == "frames" {
				got++
			}
			if want, ok := f.nums[key]; ok && got != want {
				return fmt.Errorf("expected %s=%d in %s, seen %d", key, want, f.name, got)
			}
		}
		fallthrough
	case "EOR":
		if f.name != base && fif[0] != withX(f.end, x) {
			return fmt.Errorf("expected second field %02X in %s, seen %02X", withX(f.end, x), f.name, fif[0])
		}
	case "CTC":
		if got := fields(fif).run(11, 4); f.mod.name != "" && got != f.mod.bits {
			return fmt.Errorf("expected CTC %s, seen bits 11-14 %04b", f.mod.name, got)
		}
	case "PPR":
		if want := f.request(); f.missing != nil && !bytes.Equal(fif, want) {
			return fmt.Errorf("expected PPR [% X], seen [% X]", want, fif)
		}
	}
	return nil
}

// matchesWords holds DIS, DTC or DCS against the words of the script.
func (f *frameSpec) matchesWords(fif []byte) error {
	table := disFields
	if f.base() == "DCS" {
		table = dcsFields
	}
	got := fields(fif)
	if !got.extended() {
		return fmt.Errorf("expected extend bits that agree with the length, seen %s [% X]", f.name, fif)
	}
	for _, w := range f.words {
		name, no := strings.CutPrefix(w, "!")
		if table[name].is(got) == no {
			return fmt.Errorf("expected %s with %s, seen [% X]", f.name, w, fif)
		}
	}
	return nil
}
