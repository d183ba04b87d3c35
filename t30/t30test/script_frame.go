package t30test

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"

	"github.com/tipring/tipring/t30"
)

// frameCodes are the facsimile control fields as T.30 5.3.6.1 prints them, the first bit on the line leftmost and X as 0.
var frameCodes = map[string]byte{
	"DIS": 0x01, "CSI": 0x02, "NSF": 0x04,
	"DTC": 0x81, "CIG": 0x82, "NSC": 0x84, "PWD": 0x83, "SEP": 0x85, "PSA": 0x86,
	"DCS": 0x41, "TSI": 0x42, "NSS": 0x44, "SUB": 0x43, "SID": 0x45, "CTC": 0x48,
	"CFR": 0x21, "FTT": 0x22, "CTR": 0x23,
	"EOM": 0x71, "MPS": 0x72, "EOP": 0x74, "PRI-EOM": 0x79, "PRI-MPS": 0x7a, "PRI-EOP": 0x7c,
	"EOR": 0x73, "PPS": 0x7d, "RR": 0x76,
	"MCF": 0x31, "RTN": 0x32, "RTP": 0x33, "PIN": 0x34, "PIP": 0x35, "RNR": 0x37, "ERR": 0x38, "PPR": 0x3d, "FDM": 0x3f,
	"DCN": 0x5f, "CRP": 0x58, "FNV": 0x53, "TNR": 0x57, "TR": 0x56,
}

// partialEnds are the second fields of PPS and EOR (T.30 A.4.3).
var partialEnds = map[string]byte{
	"NULL": 0x00, "EOM": 0x71, "MPS": 0x72, "EOP": 0x74, "PRI-EOM": 0x79, "PRI-MPS": 0x7a, "PRI-EOP": 0x7c,
}

// identFrames have 20 characters (T.30 5.3.6.2.4 and following).
var identFrames = map[string]bool{"CSI": true, "TSI": true, "CIG": true, "SUB": true, "SEP": true, "PSA": true, "PWD": true, "SID": true}

// freeFrames may stand before the last frame of a signal without being named.
var freeFrames = map[string]bool{"NSF": true, "NSC": true, "NSS": true, "CSI": true, "TSI": true, "CIG": true, "SUB": true, "SEP": true, "PSA": true, "PWD": true, "SID": true}

// hasX tells whether the field has an X bit: those of DIS and of DTC have none.
func hasX(code byte) bool { return code&0x70 != 0 }

// onLine turns octets as T.30 prints them into a Frame's octets, and back.
func onLine(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = bits.Reverse8(c)
	}
	return out
}

// frameName names a frame heard.
func frameName(f t30.Frame) string {
	if len(f) < 3 {
		return "frame"
	}
	code := bits.Reverse8(f[2])
	if hasX(code) {
		code &^= 0x80
	}
	for name, c := range frameCodes {
		if c != code {
			continue
		}
		if (name == "PPS" || name == "EOR") && len(f) > 3 {
			return name + "-" + partialEnd(bits.Reverse8(f[3]))
		}
		return name
	}
	return fmt.Sprintf("FCF %02X", code)
}

func partialEnd(code byte) string {
	if hasX(code) {
		code &^= 0x80
	}
	for name, c := range partialEnds {
		if c == code {
			return name
		}
	}
	return fmt.Sprintf("%02X", code)
}

// frameSpec is one frame of a step, to be sent or to be heard.
type frameSpec struct {
	name   string // PPS and EOR with their second field
	code   byte
	end    byte // second field of PPS and EOR
	absent bool // heard: must not be there
	whole  []byte

	raw      []byte
	hasRaw   bool
	rawOpen  bool // heard: the FIF may go on
	ident    string
	hasIdent bool
	words    []string // of DIS, DTC, DCS, in order; "!" negates
	mod      modulation
	nums     map[string]int // of PPS: page, block, frames
	missing  []int          // of PPR
	of       int            // of PPR

	badFCS, more, final, clipped bool
	x                            int // -1: by the rule
}

// newFrameSpec makes the spec for a frame's name; ok is false for a word that is none.
func newFrameSpec(word string) (f frameSpec, ok bool) {
	f = frameSpec{name: strings.TrimPrefix(word, "!"), x: -1, of: 256, nums: map[string]int{}}
	f.absent = f.name != word
	if f.code, ok = frameCodes[f.name]; ok && f.name != "PPS" && f.name != "EOR" {
		return f, true
	}
	first, end, _ := strings.Cut(f.name, "-")
	if first != "PPS" && first != "EOR" {
		return f, false
	}
	f.code = frameCodes[first]
	f.end, ok = partialEnds[end]
	return f, ok || end == ""
}

func (f *frameSpec) base() string {
	if i := strings.IndexByte(f.name, '-'); i > 0 && (f.name[:i] == "PPS" || f.name[:i] == "EOR") {
		return f.name[:i]
	}
	return f.name
}

// word takes one word of the frame's fields.
func (f *frameSpec) word(w string) (err error) {
	key, value, _ := strings.Cut(w, "=")
	switch base := f.base(); {
	case w == "bad-fcs":
		f.badFCS = true
	case w == "more":
		f.more = true
	case w == "final":
		f.final = true
	case w == "clipped":
		f.clipped = true
	case key == "x":
		f.x, err = number(value, 0, 1)
	case w[0] == '[':
		err = f.takeRaw(w)
	case w[0] == '"' && identFrames[base]:
		f.ident, err = quoted(w)
		f.hasIdent = true
		if err == nil && len(f.ident) > 20 {
			err = fmt.Errorf("%s has more than 20 characters", w)
		}
	case base == "DIS" || base == "DTC" || base == "DCS":
		table := disFields
		if base == "DCS" {
			table = dcsFields
		}
		if _, ok := table[strings.TrimPrefix(w, "!")]; !ok {
			return fmt.Errorf("%s has no %q", base, w)
		}
		f.words = append(f.words, w)
	case base == "CTC":
		f.mod, err = modulationOf(w, false)
	case base == "PPS" && (key == "page" || key == "block"):
		f.nums[key], err = number(value, 0, 255)
	case base == "PPS" && key == "frames":
		f.nums[key], err = number(value, 1, 256)
	case base == "PPR" && key == "missing":
		f.missing, err = numbers(value, 0, 255)
	case base == "PPR" && key == "of":
		f.of, err = number(value, 1, 256)
	default:
		return fmt.Errorf("%s has no %q", f.name, w)
	}
	return err
}

// takeRaw reads [00 06 70] or [00 06 ..].
func (f *frameSpec) takeRaw(w string) error {
	in := strings.TrimSpace(strings.Trim(w, "[]"))
	in, f.rawOpen = strings.CutSuffix(in, "..")
	b, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
	if err != nil || len(b) > 250 {
		return fmt.Errorf("%s are no octets", w)
	}
	f.raw, f.hasRaw = b, true
	return nil
}

// fif makes the information field as T.30 prints it. x is the X bit.
func (f *frameSpec) fif(x bool) []byte {
	switch base := f.base(); {
	case f.hasRaw:
		return f.raw
	case identFrames[base]:
		return identField(f.ident)
	case base == "DIS" || base == "DTC" || base == "DCS":
		return f.capabilities()
	case base == "CTC":
		out := make(fields, 2)
		out.putRun(11, 4, f.mod.bits)
		return out
	case base == "EOR" && f.name != base:
		return []byte{withX(f.end, x)}
	case base == "PPS" && f.name != base:
		frames, ok := f.nums["frames"]
		if !ok {
			frames = 1
		}
		return []byte{withX(f.end, x), bits.Reverse8(byte(f.nums["page"])), bits.Reverse8(byte(f.nums["block"])), bits.Reverse8(byte(frames - 1))}
	case base == "PPR":
		return f.request()
	}
	return nil
}

func withX(code byte, x bool) byte {
	if x && hasX(code) {
		return code | 0x80
	}
	return code
}

// identField is a text as T.30 Table 3 sends it: the last character first, spaces behind it.
func identField(s string) []byte {
	out := make([]byte, 20)
	for i := range out {
		out[i] = bits.Reverse8(' ')
		if i < len(s) {
			out[i] = bits.Reverse8(s[len(s)-1-i])
		}
	}
	return out
}

// capabilities makes the FIF of DIS, DTC or DCS.
func (f *frameSpec) capabilities() []byte {
	out := make(fields, 3)
	table := disFields
	if f.base() == "DCS" {
		table = dcsFields
	}
	table["receive"].set(&out)
	for _, w := range f.words {
		if name, no := strings.CutPrefix(w, "!"); !no {
			table[w].set(&out)
		} else if name == "receive" {
			out.put(10, false)
		}
	}
	out.extend()
	return out
}

// request makes the FIF of PPR (T.30 A.4.4): 1 for each frame missing and for those beyond the block.
func (f *frameSpec) request() []byte {
	out := make(fields, 32)
	for _, n := range f.missing {
		out.put(n+1, true)
	}
	for n := f.of; n < 256; n++ {
		out.put(n+1, true)
	}
	return out
}

// build makes the frame to be sent. last: it ends its signal.
func (f *frameSpec) build(x, last bool) SignalFrame {
	s := SignalFrame{Bad: f.badFCS || f.clipped, Clip: f.clipped}
	if f.whole != nil {
		s.Frame = onLine(f.whole)
		return s
	}
	if f.x >= 0 {
		x = f.x == 1
	}
	control := byte(0xc0)
	if last && !f.more || f.final {
		control = 0xc8
	}
	s.Frame = onLine(append([]byte{0xff, control, withX(f.code, x)}, f.fif(x)...))
	return s
}
