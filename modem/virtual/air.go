package virtual

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tipring/tipring/t30"
)

// air is the line as the firmware of a Class 2 modem has it: a t30.Line made of the modem's own modulator and ear.
type air struct {
	f      *faxCall
	replay []t30.Frame // heard before, given to the engine first

	// Guarded by ex.mu.
	r      *reception  // V.21 signal being read
	frames int         // read of it so far
	final  t30.Frame   // its last frame, given when the carrier is off
	tcf    bool        // a DCS came: the next carrier is its training check
	signal []t30.Frame // the last signal heard, as far as it has come
	off    bool        // the engine is to end, the call is not
	early  *blockSource
	start  *timer // of early
}

var (
	_ t30.Line     = (*air)(nil)
	_ t30.Listener = (*air)(nil)
)

// finalTail is how long a signal may go on after its last frame before that is told.
const finalTail = 300 * time.Millisecond

// airGrain is how much of a page is in the modulator's hands.
const airGrain = 1024

// Capabilities implements t30.Line: what the modem can do at most, the session's limits apart.
func (l *air) Capabilities() t30.Capabilities {
	o := &l.f.m.opts
	c := t30.Capabilities{Schemes: t30.Schemes(t30.V27ter | t30.V29), MaxRate: o.MaxRate, ECM: o.ECM}
	if !o.NoV17 {
		c.Schemes |= t30.Schemes(t30.V17)
	}
	return c
}

// connected: the exchange is locked.
func (l *air) connected() bool {
	return !l.off && l.f.dropped() == nil && l.f.m.call != nil && l.f.m.call.state == connected
}

// octets is a source of octets that are all there.
type octets struct {
	b   []byte
	log []t30.Frame
	m   *Modem
}

// next implements octetSource.
func (s *octets) next(n int) ([]byte, bool) {
	if sig := s.m.tx.sig; sig != nil {
		for _, f := range s.log {
			sig.log = append(sig.log, f)
		}
	}
	s.log = nil
	n = min(n, len(s.b))
	out := append([]byte(nil), s.b[:n]...)
	s.b = s.b[n:]
	return out, len(s.b) == 0
}

// send puts a signal on the line and waits until it is over. Half duplex: it lets the far end finish first.
func (l *air) send(ctx context.Context, mod *modulation, src octetSource, feed func() error) error {
	f, over := l.f, false
	if err := l.awaitQuiet(ctx); err != nil {
		return err
	}
	var tx *transmitter
	f.with(func() {
		if l.connected() {
			l.r = nil
			tx = f.m.transmit(mod, src, func() { over = true; f.notify() })
		}
	})
	if tx == nil {
		return t30.ErrHungUp
	}
	var err error
	if feed != nil {
		err = feed()
	}
	if err == nil {
		err = f.until(ctx, 0, f.dropped, func() bool { return over })
	}
	if err != nil {
		f.with(tx.stop)
	}
	return err
}

// talkOver is the longest that a far end's signal is waited for before one of ours.
const talkOver = 4 * time.Second

// awaitQuiet waits for the end of a V.21 signal: after a pause that the DTE made, the far end may be repeating its command.
func (l *air) awaitQuiet(ctx context.Context) error {
	err := l.f.until(ctx, l.f.m.ex.wall(talkOver), l.f.dropped, func() bool {
		return !slices.ContainsFunc(l.f.m.ear.list, func(r *reception) bool { return r.sig.mod == v21 && !r.ended })
	})
	if err == t30.ErrTimeout {
		return nil
	}
	return err
}

// SendFrames implements t30.Line.
func (l *air) SendFrames(ctx context.Context, frames ...t30.Frame) error {
	var p bitPacker
	for range preambleFlags {
		p.octet(flagOctet)
	}
	for _, f := range frames {
		p.frame(f)
	}
	p.octet(flagOctet)
	for p.n > 0 {
		p.bit(true)
	}
	last := frames[len(frames)-1]
	if err := l.f.mayTrain(ctx, last); err != nil {
		return err
	}
	l.f.with(func() { l.tcf = false; l.f.sent(last) })
	err := l.send(ctx, v21, &octets{b: p.full, log: frames, m: l.f.m}, nil)
	if err != nil {
		return fmt.Errorf("virtual: send %v: %w", last.FCF(), err)
	}
	l.f.with(func() { l.f.sentOut(last) })
	return nil
}

// SendTCF implements t30.Line.
func (l *air) SendTCF(ctx context.Context, m t30.Modulation, d time.Duration) error {
	mod, err := modulationFor(m)
	if err != nil {
		return err
	}
	return l.send(ctx, mod, &octets{b: make([]byte, mod.octets(d)), m: l.f.m}, nil)
}

// blockLead and blockTail are the flags before and after the frames of a block (T.4 A.3.1).
const (
	blockLead = 220 * time.Millisecond
	blockTail = 50 * time.Millisecond
)

// blockSource is an ECM block. Until its frames are there it sends flags: the DTE takes seconds for a block, in which the far end's T2 would run
// out.
type blockSource struct {
	lead   int64 // flags to send at least
	frames []byte
	whole  bool // frames are there
	over   bool
}

// next implements octetSource.
func (s *blockSource) next(n int) ([]byte, bool) {
	b := make([]byte, 0, n)
	for len(b) < n && (s.lead > 0 || !s.whole) {
		b = append(b, flagOctet)
		s.lead--
	}
	k := min(n-len(b), len(s.frames))
	b = append(b, s.frames[:k]...)
	s.frames = s.frames[k:]
	return b, s.lead <= 0 && s.whole && len(s.frames) == 0
}

// beginBlock switches the carrier of a page's first block on, as soon as T.30's pause allows. The exchange is locked.
func (l *air) beginBlock(mod *modulation) {
	s := &blockSource{lead: max(2, mod.octets(blockLead))}
	l.early = s
	l.start = l.f.m.ex.after(beforeCarrier, func() {
		if l.early == s && l.connected() {
			l.r = nil
			l.f.m.transmit(mod, s, func() { s.over = true; l.f.notify() })
		}
	})
}

// beforeCarrier is the pause before a carrier (T.30 5.3.1).
const beforeCarrier = 75 * time.Millisecond

// SendBlock implements t30.Line.
func (l *air) SendBlock(ctx context.Context, m t30.Modulation, frames []t30.Frame) error {
	mod, err := modulationFor(m)
	if err != nil {
		return err
	}
	var p bitPacker
	for _, f := range frames {
		p.frame(f)
	}
	for range max(2, mod.octets(blockTail)) {
		p.octet(flagOctet)
	}
	var s *blockSource
	l.f.with(func() {
		if s = l.early; s != nil && !l.start.dead {
			l.start.stop()
			s = nil
		}
		l.early = nil
		if s != nil {
			s.frames, s.whole = p.full, true
		}
	})
	if s == nil {
		return l.send(ctx, mod, &blockSource{lead: max(2, mod.octets(blockLead)), frames: p.full, whole: true}, nil)
	}
	return l.f.until(ctx, 0, l.f.dropped, func() bool { return s.over })
}

// pageSource hands a page to the modulator.
type pageSource struct {
	f     *faxCall
	buf   []byte
	ended bool
	late  time.Time // since when the line waits for data
	dry   bool
}

// next implements octetSource. A page that runs dry is filled with zeros; it is an underrun while the DTE has not ended its page.
func (s *pageSource) next(n int) ([]byte, bool) {
	k := min(n, len(s.buf))
	out := make([]byte, k, n)
	copy(out, s.buf)
	s.buf = append(s.buf[:0], s.buf[k:]...)
	s.f.notify()
	if k == n || s.ended {
		return out, s.ended && len(s.buf) == 0
	}
	if p := s.f.out; p != nil && !p.ended {
		if k > 0 {
			s.late = time.Time{}
		}
		if s.f.m.ex.waits(&s.late) {
			return out, false
		}
		if !s.dry {
			s.f.m.stats.Underruns++
			s.f.m.trace(Event{Kind: EventUnder})
		}
		s.dry = true
		s.f.m.stats.UnderrunOctets += int64(n - k)
	}
	return append(out, make([]byte, n-k)...), false
}

// SendPage implements t30.Line. The carrier begins once some of the page is there.
func (l *air) SendPage(ctx context.Context, m t30.Modulation, r io.Reader) error {
	mod, err := modulationFor(m)
	if err != nil {
		return err
	}
	buf := make([]byte, airGrain)
	n, rerr := io.ReadFull(r, buf)
	if rerr != nil && rerr != io.EOF && rerr != io.ErrUnexpectedEOF {
		return rerr
	}
	src := &pageSource{f: l.f, buf: append([]byte(nil), buf[:n]...), ended: rerr != nil}
	return l.send(ctx, mod, src, func() error {
		for rerr == nil {
			if err := l.f.until(ctx, 0, l.f.dropped, func() bool { return len(src.buf) < airGrain }); err != nil {
				return err
			}
			n, rerr = r.Read(buf[:airGrain/2])
			l.f.with(func() {
				src.buf = append(src.buf, buf[:n]...)
				src.dry = src.dry && n == 0
				src.ended = rerr == io.EOF
			})
		}
		if rerr != io.EOF && rerr != io.ErrUnexpectedEOF {
			return rerr
		}
		return nil
	})
}

// Silence implements t30.Line.
func (l *air) Silence(ctx context.Context, d time.Duration) error {
	err := l.f.until(ctx, max(l.f.m.ex.wall(d), 1), l.f.dropped, func() bool { return false })
	if err == t30.ErrTimeout {
		return nil
	}
	return err
}

// Quiet implements t30.Listener.
func (l *air) Quiet(context.Context) (quiet bool, err error) {
	l.f.with(func() {
		quiet = !slices.ContainsFunc(l.f.m.ear.list, func(r *reception) bool { return !r.ended })
	})
	return quiet, nil
}

// Hangup implements t30.Line.
func (l *air) Hangup() error {
	l.f.with(func() {
		if l.f.current() && !l.f.closing && !l.off {
			l.f.closing = true
			l.f.m.hangup()
			l.f.notify()
		}
	})
	return nil
}
