package jbig

import "math/bits"

// statistics counts, for each place of the adaptive pixel, the pels that are like it (T.82 Annex C).
type statistics struct {
	all     int
	like    [MaxMX + 1]int // by tx; 0: the pixel in its place
	decided bool           // no more is counted in this stripe
}

// enough is the number of pels after which the place is decided: T.82 Annex C.
const enough = 2048

// count adds a line.
func (s *statistics) count(cur, up []uint64, width, mx int, twoLine bool) {
	for w := mx >> 6; w*64 < width; w++ {
		// Pels from mx on and up to the last but two: all places are in the line.
		mask := ^uint64(0)
		if w == mx>>6 {
			mask >>= uint(mx) & 63
		}
		if left := width - 2 - w*64; left < 64 {
			mask &^= ^uint64(0) >> max(left, 0)
		}
		n := bits.OnesCount64(mask)
		if n == 0 {
			continue
		}
		s.all += n
		s.like[0] += n - bits.OnesCount64((cur[w]^word(up, w, 2))&mask)
		for t := minMove(twoLine); t <= mx; t++ {
			s.like[t] += n - bits.OnesCount64((cur[w]^behind(cur, w, uint(t)))&mask)
		}
	}
}

// decide returns the place for the next stripes; tx is where the pixel is. It needs enough pels.
func (s *statistics) decide(tx, mx int, twoLine bool) int {
	least, most, best := s.all, 0, 0
	for t := minMove(twoLine); t <= mx; t++ {
		most, least = max(most, s.like[t]), min(least, s.like[t])
		if s.like[t] > s.like[best] {
			best = t
		}
	}
	rest := s.all - most // pels that are unlike even the best
	gain, unlike := most-s.like[tx], most-(s.all-s.like[tx])
	whole := max(most, s.like[0]) - min(least, s.like[0])
	if rest < s.all>>3 && gain > rest && gain > s.all>>4 && unlike > rest && unlike > s.all>>4 && most-least > s.all>>2 &&
		(tx != 0 || whole > s.all>>3) {
		return best
	}
	return tx
}
