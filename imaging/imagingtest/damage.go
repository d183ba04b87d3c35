package imagingtest

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// Flip inverts bit at of data.
func Flip(data []byte, at int) { data[at/8] ^= 1 << (at % 8) }

// burst spoils so many bits from a random place behind head octets on: each becomes a random one.
func burst(r *rand.Rand, data []byte, head, bits int) {
	at := 8*head + r.IntN(8*(len(data)-head))
	for i := at; i < min(at+bits, 8*len(data)); i++ {
		if r.IntN(2) == 0 {
			Flip(data, i)
		}
	}
}

// Spoil returns data as a bad line or a bad disk leaves it: with one to four bursts of up to 300 bits, and one time in four cut or with a
// piece missing.
func Spoil(r *rand.Rand, good []byte) []byte {
	data := bytes.Clone(good)
	for range 1 + r.IntN(4) {
		burst(r, data, 0, 1+r.IntN(300))
	}
	at := r.IntN(len(data))
	switch r.IntN(8) {
	case 0:
		data = data[:at]
	case 1:
		data = append(data[:at], data[min(at+1+r.IntN(200), len(data)):]...)
	}
	return data
}

// damage is what is bad in a page of so many lines: lines bad or not there, and the longest run of them. Lines that are not there count as
// one run where the decoder gave up, as what reads a file counts them.
func damage(q imaging.Quality, height int) (lines, run int) {
	missing := max(height-q.Lines, 0)
	run = max(q.LongestBad, q.MissingRun)
	if q.Lost || !q.Ended {
		run = max(run, missing)
	}
	return q.BadLines + missing, run
}

// QualityRises checks that the figures of a page's quality tell the damage: none without any, and on the average over seeds more bad lines and
// longer runs of them with every doubling of the bursts, of 24 bits each. The bursts of one seed remain when others come to them. The first
// head octets of the data are spared.
func QualityRises(t *testing.T, name string, good []byte, head, height, seeds int, decode func(data []byte) imaging.Quality) {
	t.Helper()
	lastLines, lastRun := -1, -1
	for _, bursts := range []int{0, 1, 2, 4, 8, 16, 32} {
		lines, run := 0, 0
		for seed := range seeds {
			r := rand.New(rand.NewPCG(uint64(seed), 24))
			data := bytes.Clone(good)
			for range bursts {
				burst(r, data, head, 24)
			}
			n, longest := damage(decode(data), height)
			lines, run = lines+n, run+longest
		}
		if bursts == 0 && (lines != 0 || run != 0) {
			t.Errorf("%s: a sound page has %d bad lines", name, lines)
		}
		if lines <= lastLines || run <= lastRun {
			t.Errorf("%s: %d bursts: %.2f bad lines on the average, longest run %.2f; with half of them %.2f and %.2f", name, bursts,
				float64(lines)/float64(seeds), float64(run)/float64(seeds), float64(lastLines)/float64(seeds), float64(lastRun)/float64(seeds))
		}
		lastLines, lastRun = lines, run
	}
	t.Logf("%s: at last %.1f bad lines of %d, longest run %.1f", name, float64(lastLines)/float64(seeds), height, float64(lastRun)/float64(seeds))
}
