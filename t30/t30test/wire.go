// Package t30test has a simulated telephone line with faults, pages and a sink in memory, for tests of the T.30 engine
// and of what is built on it. It keeps line time with package time: run it in a testing/synctest bubble, where
// a call of minutes takes milliseconds.
package t30test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tipring/tipring/t30"
)

// Direction tells the two ways of a wire apart.
type Direction int

const (
	FromCaller Direction = iota
	FromAnswerer
)

// Fault is what happens to one frame or carrier.
type Fault int

const (
	None    Fault = iota
	Drop          // a frame vanishes; a carrier never trains
	Corrupt       // a frame's FCS is wrong; a carrier's data has wrong octets
	Cut           // the carrier is lost in the middle
	HangUp        // the line drops in the middle
)

// Item is what a fault is chosen for.
type Item struct {
	Dir   Direction
	N     int            // counts the items of a direction, from 0
	Frame t30.Frame      // V.21 frame, or FCD or RCP of a block; nil: a whole carrier
	Kind  string         // of a carrier: "tcf", "page", "block"
	Mod   t30.Modulation // of a carrier and of a block's frames
}

// Config says what a wire is like.
type Config struct {
	// Seed and the probabilities choose faults by (Seed, direction, number), so that a seed always replays.
	Seed         uint64
	DropFrame    float64 // V.21 or FCD frames
	CorruptFrame float64
	CorruptPage  float64 // carriers without ECM that have wrong octets
	CutCarrier   float64
	DropCarrier  float64 // a carrier that does not train
	HangUp       float64
	// Choose, when set, chooses faults in place of the probabilities.
	Choose func(Item) Fault
	// MaxRate is the highest rate that trains, in bit/s; 0: all do.
	MaxRate int
	// Delay is the one-way delay.
	Delay time.Duration
}

// Wire is one call between two Lines.
type Wire struct {
	cfg  Config
	mu   sync.Mutex
	n    [2]int
	ends [2]*End
}

// Pair returns the two ends of a wire: the caller's and the answerer's.
func Pair(cfg Config, caller, answerer t30.Capabilities) (*End, *End) {
	w := &Wire{cfg: cfg}
	for i, caps := range []t30.Capabilities{caller, answerer} {
		w.ends[i] = &End{w: w, dir: Direction(i), caps: caps, wake: make(chan struct{}, 1), gone: make(chan struct{}), hung: make(chan struct{})}
	}
	return w.ends[0], w.ends[1]
}

// All is a modem that can do all.
var All = t30.Capabilities{
	Schemes: t30.Schemes(t30.V27ter | t30.V29 | t30.V17), MaxRate: 14400, ECM: true,
	Codings: t30.Codings(t30.MH | t30.MR | t30.MMR),
}

// fault counts an item and chooses what happens to it.
func (w *Wire) fault(it Item) Fault {
	w.mu.Lock()
	it.N = w.n[it.Dir]
	w.n[it.Dir]++
	w.mu.Unlock()
	if w.cfg.Choose != nil {
		return w.cfg.Choose(it)
	}
	if w.cfg.Seed == 0 {
		return None
	}
	rng := rand.New(rand.NewPCG(w.cfg.Seed, uint64(it.Dir)<<32|uint64(it.N)))
	p := rng.Float64()
	type chance struct {
		p float64
		f Fault
	}
	chances := []chance{{w.cfg.DropFrame, Drop}, {w.cfg.CorruptFrame, Corrupt}, {w.cfg.HangUp / 8, HangUp}}
	if it.Frame == nil {
		chances = []chance{{w.cfg.DropCarrier, Drop}, {w.cfg.CutCarrier, Cut}, {w.cfg.HangUp, HangUp}}
		if it.Kind != "block" {
			chances = append(chances, chance{w.cfg.CorruptPage, Corrupt})
		}
	}
	for _, c := range chances {
		if p < c.p {
			return c.f
		}
		p -= c.p
	}
	return None
}

// rng is the generator for the details of a fault.
func (w *Wire) rng(dir Direction, n int) *rand.Rand {
	return rand.New(rand.NewPCG(w.cfg.Seed^0x5eed, uint64(dir)<<32|uint64(n)))
}

// piece is a stretch of a signal: a V.21 frame, an ECM frame or some page octets.
type piece struct {
	from, to time.Duration // since the signal's start
	frame    t30.Frame
	bad      bool // FCS wrong
	octets   []byte
}

// sound is one signal on its way to the other end.
type sound struct {
	kind   SignalKind
	v21    bool
	mod    t30.Modulation
	silent bool // does not train
	cut    bool // ends in a lost carrier
	start  time.Time
	ready  time.Duration // preamble or training is over
	length time.Duration
	pieces []piece
	next   int // piece to be read
}

func (s *sound) end() time.Time { return s.start.Add(s.length) }

// End is one end of a wire: a t30.Line.
type End struct {
	w    *Wire
	dir  Direction
	caps t30.Capabilities

	mu    sync.Mutex
	inbox []*sound
	wake  chan struct{}
	gone  chan struct{} // on hook, or the drop was noticed
	once  sync.Once
	hung  chan struct{} // on hook
	hang  sync.Once
}

var _ t30.Line = (*End)(nil)

// Capabilities implements t30.Line.
func (e *End) Capabilities() t30.Capabilities { return e.caps }

func (e *End) peer() *End { return e.w.ends[1-e.dir] }

// drop makes this end see the line dropped.
func (e *End) drop() { e.once.Do(func() { close(e.gone) }) }

// Hangup implements t30.Line. The other end notices a little later.
func (e *End) Hangup() error {
	e.drop()
	e.hang.Do(func() { close(e.hung) })
	p := e.peer()
	time.AfterFunc(e.w.cfg.Delay+300*time.Millisecond, p.drop)
	return nil
}

// HungUp tells whether this end is on hook or has noticed that the line was dropped.
func (e *End) HungUp() bool {
	select {
	case <-e.gone:
		return true
	default:
		return false
	}
}

// sleep lets line time pass.
func (e *End) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	if e.HungUp() {
		return t30.ErrHungUp
	}
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.gone:
		return t30.ErrHungUp
	}
}

// Silence implements t30.Line.
func (e *End) Silence(ctx context.Context, d time.Duration) error { return e.sleep(ctx, d) }
