package phone

import (
	"strconv"
	"strings"
)

// A ringing pattern is the letter or number that a modem shows (RING A, RING2), or the durations of ringing and silence in
// units of 0.1 s (V.253 DRON and DROF), which exchanges keep to within some 0.2 s only.
const (
	patternSlack    = 2  // units of 0.1 s
	maxPatternSteps = 8  // durations
	maxDuration     = 99 // units of 0.1 s
)

// ValidPattern tells whether s is a pattern to compare with: "A", "2", "8-4-8".
func ValidPattern(s string) bool {
	if strings.Contains(s, "-") {
		_, ok := durations(s)
		return ok
	}
	return len(s) == 1 && (s[0] >= '0' && s[0] <= '9' || s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 'a' && s[0] <= 'z')
}

// MatchPattern tells whether a ring's pattern, as [t30.Ring] has it, is the one that want names. A single duration ("20-0") has
// a silence of 0.
func MatchPattern(want, got string) bool {
	if got == "" || want == "" {
		return false
	}
	w, cadence := durations(want)
	g, told := durations(strings.NewReplacer("DRON=", "", "DROF=", "", "/", "-").Replace(strings.ToUpper(got)))
	if !cadence || !told || !strings.Contains(want, "-") {
		return strings.EqualFold(want, got)
	}
	for len(w) > len(g) && w[len(w)-1] == 0 {
		w = w[:len(w)-1]
	}
	for len(g) > len(w) && g[len(g)-1] == 0 {
		g = g[:len(g)-1]
	}
	if len(w) != len(g) {
		return false
	}
	for i := range w {
		if d := w[i] - g[i]; d > patternSlack || d < -patternSlack {
			return false
		}
	}
	return true
}

func durations(s string) (list []int, ok bool) {
	for f := range strings.SplitSeq(s, "-") {
		n, err := strconv.Atoi(f)
		if err != nil || n < 0 || n > maxDuration || len(list) == maxPatternSteps {
			return nil, false
		}
		list = append(list, n)
	}
	return list, len(list) > 0
}
