package phone

import (
	"errors"
	"testing"
)

func TestDialString(t *testing.T) {
	for in, want := range map[string]string{
		"555-0100": "5550100", "+49 (30) 123.45": "493012345", "0,W1!2@*9#": "0,W1!2@*9#", "a1": "A1", "9p1t2": "9P1T2",
		"": "", "-": "", "12;34": "", "1+2": "", "555\rATH": "", "٣": "", "1\n": "1", "E5": "",
	} {
		got, err := dialString(in)
		if got != want || (want == "") != errors.Is(err, ErrNumber) {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}
