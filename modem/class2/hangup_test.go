package class2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/t30"
)

// The codes of SP-2388-A (Rockwell's manual, Table 6-5; 128 to 135 are Everex's) and of T.32 (MultiTech's guide, Table 3.4).
var (
	codesOf2 = []int{0, 1, 2, 3, 10, 11, 20, 21, 22, 23, 24, 25, 26, 27, 28, 40, 43, 50, 51, 52, 53, 54, 55, 56, 57, 58, 70, 71, 72, 73, 74,
		90, 91, 92, 93, 94, 100, 101, 102, 103, 128, 129, 130, 131, 132, 133, 134, 135}
	codesOf20 = []int{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x40, 0x41, 0x42,
		0x43, 0x44, 0x45, 0x46, 0x47, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x70, 0x71, 0x72, 0x73, 0x74, 0x90, 0x91, 0x92, 0x93,
		0xa0, 0xa1, 0xa2, 0xa3}
)

func TestHangup_EveryCodeHasItsLine(t *testing.T) {
	for class, codes := range map[string][]int{"2": codesOf2, "2.0": codesOf20, "2.1": codesOf20} {
		d := dialects[class]
		for _, n := range codes {
			text := fmt.Sprint(n)
			if d.hex {
				text = fmt.Sprintf("%02X", n)
			}
			h := d.parseHangup(" " + text)
			if h.text == "" || h.code == t30.CodeNone || strings.HasPrefix(h.text, "hang-up code") || (h.code == t30.CodeOK) != (n == 0) {
				t.Errorf("Class %s, code %s: %+v", class, text, h)
			}
			if ours := h.code == t30.CodeModem || h.code == t30.CodeSource; ours != h.fault {
				t.Errorf("Class %s, code %s is a fault %v, %v", class, text, h.fault, h.code)
			}
		}
	}
	for _, h := range hangups {
		if h.class2 >= 0 && !slices.Contains(codesOf2, h.class2) || h.t32 >= 0 && !slices.Contains(codesOf20, h.t32) {
			t.Errorf("%+v is in no list of this test", h)
		}
	}
}

func TestHangup_Meaning(t *testing.T) {
	for _, c := range []struct {
		class, code string
		want        t30.Code
	}{
		{"2", "25", t30.CodeNoReplyDCS}, {"2.0", "25", t30.CodeNoReplyDCS}, {"2", "027", t30.CodeTraining}, {"2", "94", t30.CodePageLost},
		{"2.0", "92", t30.CodePageLost}, {"2", "100", t30.CodeNoPostMessage}, {"2.0", "A0", t30.CodeNoPostMessage}, {"2.1", "a3", t30.CodeInterrupted},
		{"2", "000", t30.CodeOK}, {"2.0", "00,1", t30.CodeOK},
		// In no table: by the phase that the number is of.
		{"2", "19", t30.CodeNoCarrier}, {"2", "39", t30.CodeHungUpB}, {"2.0", "2F", t30.CodeHungUpB}, {"2", "49", t30.CodeHungUpC}, {"2.0", "4F", t30.CodeHungUpC},
		{"2", "69", t30.CodeNoReplyPage}, {"2.0", "6F", t30.CodeNoReplyPage}, {"2.0", "89", t30.CodeNoDocument}, {"2.0", "9A", t30.CodePageLost},
		{"2.0", "BF", t30.CodeNoPostMessage}, {"2", "255", t30.CodeHungUpC}, {"2.0", "FF", t30.CodeHungUpC}, {"2", "", t30.CodeHungUpC}, {"2", "x", t30.CodeHungUpC},
		{"2", "99999999999999", t30.CodeHungUpC},
	} {
		h := dialects[c.class].parseHangup(c.code)
		if h.code != c.want || h.text == "" {
			t.Errorf("Class %s, %q: %v %q, want %v", c.class, c.code, h.code, h.text, c.want)
		}
	}
}
