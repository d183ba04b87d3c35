package phone

import "testing"

func TestMatchPattern(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		match     bool
	}{
		{"A", "A", true}, {"a", "A", true}, {"A", "B", false}, {"2", "2", true}, {"2", "3", false}, {"A", "", false},
		{"8-4-8", "DRON=8/DROF=4/DRON=8", true}, {"8-4-8", "DRON=9/DROF=3/DRON=7", true}, {"8-4-8", "DRON=8/DROF=4", false},
		{"8-4-8", "DRON=11/DROF=4/DRON=8", false}, {"20-0", "DRON=20", true}, {"20-0", "DRON=20/DROF=40", false}, {"8-4", "A", false},
	} {
		if got := MatchPattern(tt.want, tt.got); got != tt.match {
			t.Errorf("%q and %q: %v", tt.want, tt.got, got)
		}
	}
}

func TestValidPattern(t *testing.T) {
	for s, want := range map[string]bool{"A": true, "3": true, "8-4-8": true, "20-0": true, "": false, "AB": false, "8-": false, "-8": false, "8-x": false, "100-1": false, "*": false} {
		if got := ValidPattern(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
