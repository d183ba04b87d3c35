package t30test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/t30"
)

// tokens splits a line at spaces, keeping "..." and [...] together, and drops a comment.
func tokens(line string) ([]string, error) {
	var out []string
	var cur strings.Builder
	closer := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case closer != 0:
			cur.WriteByte(c)
			if c == closer {
				closer = 0
			}
		case c == '#':
			i = len(line)
		case c == ' ' || c == '\t':
			if cur.Len() > 0 {
				out = append(out, cur.String())
				cur.Reset()
			}
		default:
			cur.WriteByte(c)
			if c == '"' {
				closer = '"'
			} else if c == '[' {
				closer = ']'
			}
		}
	}
	if closer != 0 {
		return nil, fmt.Errorf("no closing %c", closer)
	}
	if cur.Len() > 0 {
		out = append(out, cur.String())
	}
	return out, nil
}

// quoted takes the quotes off.
func quoted(s string) (string, error) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", fmt.Errorf("%s is not in quotes", s)
	}
	return s[1 : len(s)-1], nil
}

// maxSpan bounds each time in a script.
const maxSpan = 10 * time.Minute

func span(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxSpan {
		return 0, fmt.Errorf("%q is not a time of 0 to %v", s, maxSpan)
	}
	return d, nil
}

// spanOrWindow reads "2s..3s", or "2s", which is from 0 to it.
func spanOrWindow(s string) (w window, err error) {
	a, b, two := strings.Cut(s, "..")
	if !two {
		w.to, err = span(a)
		w.set = true
		return w, err
	}
	if w.from, err = span(a); err != nil {
		return w, err
	}
	w.to, err = span(b)
	if err == nil && w.to < w.from {
		err = fmt.Errorf("%q ends before it begins", s)
	}
	w.set = true
	return w, err
}

// number reads an integer of lo to hi.
func number(s string, lo, hi int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < lo || n > hi {
		return 0, fmt.Errorf("%q is not a number of %d to %d", s, lo, hi)
	}
	return n, nil
}

// numbers reads "0,5-9": each of lo to hi.
func numbers(s string, lo, hi int) ([]int, error) {
	var out []int
	for _, part := range strings.Split(s, ",") {
		a, b, two := strings.Cut(part, "-")
		from, err := number(a, lo, hi)
		if err != nil {
			return nil, err
		}
		to := from
		if two {
			if to, err = number(b, from, hi); err != nil {
				return nil, err
			}
		}
		if len(out)+to-from > 1024 {
			return nil, fmt.Errorf("%q has too many numbers", s)
		}
		for n := from; n <= to; n++ {
			out = append(out, n)
		}
	}
	return out, nil
}

func share(s string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !strings.HasSuffix(s, "%") || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("%q is not a share of 0%% to 100%%", s)
	}
	return n / 100, nil
}

// modulation is one row of the rates of DCS (T.30 Table 2, bits 11-14, written bit 11 first).
type modulation struct {
	name string
	bits byte
	mod  t30.Modulation
}

var modulationTable = []modulation{
	{"v27ter/2400", 0b0000, t30.Modulation{Scheme: t30.V27ter, Rate: 2400}},
	{"v27ter/4800", 0b0100, t30.Modulation{Scheme: t30.V27ter, Rate: 4800}},
	{"v29/9600", 0b1000, t30.Modulation{Scheme: t30.V29, Rate: 9600}},
	{"v29/7200", 0b1100, t30.Modulation{Scheme: t30.V29, Rate: 7200}},
	{"v17/14400", 0b0001, t30.Modulation{Scheme: t30.V17, Rate: 14400}},
	{"v17/12000", 0b0101, t30.Modulation{Scheme: t30.V17, Rate: 12000}},
	{"v17/9600", 0b1001, t30.Modulation{Scheme: t30.V17, Rate: 9600}},
	{"v17/7200", 0b1101, t30.Modulation{Scheme: t30.V17, Rate: 7200}},
}

// modulationOf reads a modulation. V.17 trains short for a page unless "/long" is said, and long for a TCF.
func modulationOf(s string, short bool) (modulation, error) {
	name, long := strings.CutSuffix(s, "/long")
	for _, m := range modulationTable {
		if m.name == name {
			m.mod.Short = m.mod.Scheme == t30.V17 && short && !long
			return m, nil
		}
	}
	return modulation{}, fmt.Errorf("%q is no modulation", s)
}
