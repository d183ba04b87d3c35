package virtual

import (
	"math"
	"math/rand/v2"
	"time"
)

// Faults are what is wrong with a line. The zero value is a perfect line. What happens depends only on Seed, the
// number of the call, the direction and the number of the signal in that direction, so a seed replays.
type Faults struct {
	Seed uint64
	// BER is the bit error rate of high-speed carriers, 0 to 0.5.
	BER float64
	// ControlBER is that of V.21 signals, and of V.34's control channel.
	ControlBER float64
	// TrainRate, if not 0, is the highest rate (bit/s) that the line carries: data at higher rates arrive as noise, so
	// that every TCF fails.
	TrainRate int
	// Hits are bursts of noise in images.
	Hits []Hit
	// DropAfter, if not 0, drops the line so long after the answer.
	DropAfter time.Duration
	// DropPage, if not 0, drops the line DropPageAfter after the beginning of that image of the call, from 1. An image
	// is a high-speed carrier with more than a few ones in it; TCF is none, each try of a page is one.
	DropPage      int
	DropPageAfter time.Duration
}

// Hit is a burst of noise in an image.
type Hit struct {
	Page   int           // image of the call, from 1; 0: every image
	At     time.Duration // from the first octet of the carrier's data
	Length time.Duration
}

// noise spoils the data of one signal.
type noise struct {
	f      *Faults
	rng    *rand.Rand
	mod    *modulation
	octets int64 // passed so far
	gap    int64 // bits until the next error; negative: none
	ber    float64
}

func newNoise(f *Faults, call, dir, signal int, mod *modulation) *noise {
	n := &noise{f: f, mod: mod, ber: f.BER}
	if mod.ctl {
		n.ber = f.ControlBER
	} else if f.TrainRate > 0 && mod.rate > f.TrainRate {
		n.ber = 0.25
	}
	n.rng = rand.New(rand.NewPCG(f.Seed, uint64(call)<<32|uint64(dir)<<31|uint64(signal)))
	n.gap = n.nextGap()
	return n
}

// nextGap draws the number of good bits before the next bad one: the geometric distribution.
func (n *noise) nextGap() int64 {
	if n.ber <= 0 {
		return -1
	}
	u := 1 - n.rng.Float64() // (0,1]
	return int64(math.Min(math.Log(u)/math.Log1p(-math.Min(n.ber, 0.5)), 1e15))
}

// spoil changes b in place. page is the image's number, 0 if it is none (yet).
func (n *noise) spoil(b []byte, page int) {
	for bits := int64(len(b)) * 8; n.gap >= 0 && n.gap < bits; n.gap += 1 + n.nextGap() {
		b[n.gap/8] ^= 1 << (n.gap % 8)
	}
	if n.gap >= 0 {
		n.gap -= int64(len(b)) * 8
	}
	for _, h := range n.f.Hits {
		if page == 0 || h.Page != 0 && h.Page != page {
			continue
		}
		from, to := n.mod.octets(h.At)-n.octets, n.mod.octets(h.At+h.Length)-n.octets
		for i := max(from, 0); i < min(to, int64(len(b))); i++ {
			b[i] = byte(n.rng.Uint32())
		}
	}
	n.octets += int64(len(b))
}
