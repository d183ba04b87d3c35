package t30test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/tipring/tipring/t30"
)

const (
	preamble   = time.Second // V.21, T.30 5.3.1
	maxOctets  = 64 << 20    // of one page
	pieceBytes = 512
)

// training is how long a carrier trains (V.27ter 2.5, V.29 8, V.17 5).
func training(m t30.Modulation) time.Duration {
	switch {
	case m.Scheme == t30.V17 && m.Short:
		return 142 * time.Millisecond
	case m.Scheme == t30.V17:
		return 1393 * time.Millisecond
	case m.Scheme == t30.V29:
		return 253 * time.Millisecond
	case m.Rate == 2400:
		return 943 * time.Millisecond
	}
	return 708 * time.Millisecond
}

func bitTime(octets, rate int) time.Duration {
	return time.Duration(octets) * 8 * time.Second / time.Duration(rate)
}

// play puts a signal on the line and waits until it is over.
func (e *End) play(ctx context.Context, s *sound, hangAt time.Duration) error {
	if e.HungUp() {
		return t30.ErrHungUp
	}
	s.start = time.Now().Add(e.w.cfg.Delay)
	p := e.peer()
	p.mu.Lock()
	p.inbox = append(p.inbox, s)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	if hangAt > 0 {
		if err := e.sleep(ctx, hangAt); err != nil {
			return err
		}
		e.drop()
		p.drop()
		return t30.ErrHungUp
	}
	return e.sleep(ctx, s.length)
}

// SendFrames implements t30.Line.
func (e *End) SendFrames(ctx context.Context, frames ...t30.Frame) error {
	if len(frames) == 0 {
		return errors.New("t30test: no frames to send")
	}
	s := &sound{v21: true, ready: preamble, length: preamble}
	var hangAt time.Duration
	for _, f := range frames {
		to := s.length + bitTime(len(f)+3, 300)
		p := piece{from: s.length, to: to, frame: bytes.Clone(f)}
		switch e.w.fault(Item{Dir: e.dir, Frame: f}) {
		case Drop:
			p.frame = nil
		case Corrupt:
			p.bad = true
		case HangUp:
			hangAt = to - time.Millisecond
		}
		if p.frame != nil {
			s.pieces = append(s.pieces, p)
		}
		s.length = to
	}
	s.length += 20 * time.Millisecond // closing flags
	return e.play(ctx, s, hangAt)
}

// SendTCF implements t30.Line.
func (e *End) SendTCF(ctx context.Context, m t30.Modulation, d time.Duration) error {
	return e.sendOctets(ctx, "tcf", m, make([]byte, int(d.Seconds()*float64(m.Rate)/8)))
}

// SendPage implements t30.Line.
func (e *End) SendPage(ctx context.Context, m t30.Modulation, r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxOctets))
	if err != nil {
		return err
	}
	return e.sendOctets(ctx, "page", m, data)
}

// carrier makes the sound of a carrier that lasts for octets.
func (e *End) carrier(m t30.Modulation, octets int) *sound {
	s := &sound{kind: SignalCarrier, mod: m, ready: training(m)}
	s.length = s.ready + bitTime(octets, m.Rate) + 10*time.Millisecond
	s.silent = e.w.cfg.MaxRate > 0 && m.Rate > e.w.cfg.MaxRate
	return s
}

func (e *End) sendOctets(ctx context.Context, kind string, m t30.Modulation, data []byte) error {
	s := e.carrier(m, len(data))
	var hangAt time.Duration
	n := e.w.count(e.dir)
	switch e.w.fault(Item{Dir: e.dir, Kind: kind, Mod: m}) {
	case Drop:
		s.silent = true
	case Corrupt:
		rng := e.w.rng(e.dir, n)
		data = bytes.Clone(data)
		for i := 0; i < len(data); i += 1 + rng.IntN(200) {
			data[i] ^= byte(1 + rng.IntN(255))
		}
	case Cut:
		s.cut = true
		data = data[:len(data)/2]
	case HangUp:
		hangAt = s.length / 2
	}
	for at := 0; at < len(data); at += pieceBytes {
		d := data[at:min(at+pieceBytes, len(data))]
		s.pieces = append(s.pieces, piece{from: s.ready + bitTime(at, m.Rate), to: s.ready + bitTime(at+len(d), m.Rate), octets: d})
	}
	if s.cut {
		s.length = s.ready + bitTime(len(data), m.Rate)
	}
	return e.play(ctx, s, hangAt)
}

// count is the number that the next item of a direction gets.
func (w *Wire) count(d Direction) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n[d]
}

// SendBlock implements t30.Line.
func (e *End) SendBlock(ctx context.Context, m t30.Modulation, frames []t30.Frame) error {
	octets := 0
	for _, f := range frames {
		octets += len(f) + 3
	}
	s := e.carrier(m, octets)
	s.kind = SignalBlock
	var hangAt time.Duration
	cutAt := len(frames)
	switch e.w.fault(Item{Dir: e.dir, Kind: "block", Mod: m}) {
	case Drop:
		s.silent = true
	case Cut:
		s.cut, cutAt = true, len(frames)/2
	case HangUp:
		hangAt = s.length / 2
	}
	at := 0
	for i, f := range frames {
		p := piece{from: s.ready + bitTime(at, m.Rate), frame: bytes.Clone(f)}
		at += len(f) + 3
		p.to = s.ready + bitTime(at, m.Rate)
		switch e.w.fault(Item{Dir: e.dir, Frame: f, Mod: m}) {
		case Drop, Corrupt:
			p.bad = true
		}
		if !p.bad && i < cutAt {
			s.pieces = append(s.pieces, p)
		}
	}
	if s.cut {
		s.length = (s.ready + s.length) / 2
	}
	return e.play(ctx, s, hangAt)
}
