package class1

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/t30"
)

// carrier is one modulation as Class 1 names it (T.31 Table 10, +FTM and +FRM).
type carrier struct {
	m     t30.Modulation
	code  int
	train time.Duration // duration of the training signal (V.27ter 2.5.1, V.29 8, V.17 5), with echo protection tone
}

var carriers = []carrier{
	{t30.Modulation{Scheme: t30.V27ter, Rate: 2400}, 24, 1158 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V27ter, Rate: 4800}, 48, 923 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V29, Rate: 7200}, 72, 253 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V29, Rate: 9600}, 96, 253 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 7200}, 73, 1393 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 7200, Short: true}, 74, 142 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 9600}, 97, 1393 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 9600, Short: true}, 98, 142 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 12000}, 121, 1393 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 12000, Short: true}, 122, 142 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 14400}, 145, 1393 * time.Millisecond},
	{t30.Modulation{Scheme: t30.V17, Rate: 14400, Short: true}, 146, 142 * time.Millisecond},
}

// find returns the carrier for m. Only V.17 has a short training of its own: for the others Short does not matter.
func find(m t30.Modulation) (carrier, error) {
	if m.Scheme != t30.V17 {
		m.Short = false
	}
	for _, c := range carriers {
		if c.m == m {
			return c, nil
		}
	}
	return carrier{}, fmt.Errorf("class1: no carrier %v", m)
}

// airTime is how long octets take at rate bit/s.
func airTime(octets int64, rate int) time.Duration {
	return time.Duration(octets) * 8 * time.Second / time.Duration(rate)
}

// parseCodes reads the answer to +FTM=? or +FRM=?: "(24,48,72-74)", "+FTM: 24,48", "24,48". It takes nothing from what it
// does not understand.
func parseCodes(lines []string) map[int]bool {
	codes := map[int]bool{}
	for _, s := range lines {
		if _, after, ok := strings.Cut(s, ":"); ok {
			s = after
		}
		if after, ok := strings.CutPrefix(strings.ToUpper(s), "+FTM="); ok {
			s = after
		} else if after, ok := strings.CutPrefix(strings.ToUpper(s), "+FRM="); ok {
			s = after
		}
		for f := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune("(),; \t\"", r) }) {
			lo, hi, isRange := strings.Cut(f, "-")
			if !isRange {
				hi = lo
			}
			a, err1 := strconv.Atoi(lo)
			b, err2 := strconv.Atoi(hi)
			if err1 != nil || err2 != nil || a < 0 || b > 255 {
				continue
			}
			for ; a <= b; a++ {
				codes[a] = true
			}
		}
	}
	return codes
}

// capabilities is what both directions can do. ECM is the host's work and always there.
func capabilities(tx, rx map[int]bool) t30.Capabilities {
	caps := t30.Capabilities{ECM: true}
	for _, c := range carriers {
		if !tx[c.code] || !rx[c.code] {
			continue
		}
		if c.m.Scheme == t30.V17 && !c.m.Short && !(tx[c.code+1] && rx[c.code+1]) {
			continue // V.17 without its short training is no use after CFR
		}
		caps.Schemes |= t30.Schemes(c.m.Scheme)
		caps.MaxRate = max(caps.MaxRate, c.m.Rate)
	}
	return caps
}
