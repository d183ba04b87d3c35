package virtual

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

const (
	// testerStep is the length of the pieces in which a tester's signal comes to the line.
	testerStep = 20 * time.Millisecond
	// testerPreamble is the flags before a tester's first V.21 frame (T.30 5.3.1: 1 s ± 15 %).
	testerPreamble = time.Second
	// testerLead is the flags before its first ECM frame (T.4 A.3.1: 200 to 300 ms).
	testerLead = 220 * time.Millisecond
	// testerTail is the flags after the last frame of either, unless SetTail says otherwise.
	testerTail = 2
)

// Send implements t30test.Tester.
func (t *Tester) Send(ctx context.Context, s *t30test.Signal) error {
	switch s.Kind {
	case t30test.SignalCED:
		return t.transmit(ctx, toneCED, nil, 0, s.Length)
	case t30test.SignalCNG:
		return t.transmit(ctx, toneCNG, nil, 0, s.Length)
	case t30test.SignalNoise:
		return t.transmit(ctx, noiseSignal, nil, 0, s.Length)
	case t30test.SignalV21:
		lead := s.Lead
		if lead == 0 {
			lead = testerPreamble
		}
		return t.transmit(ctx, v21, cutTo(hdlcOctets(v21.rate, lead, t.tail, s.Frames), s.Cut), 0, 0)
	}
	mod, err := modulationFor(s.Mod)
	if err != nil {
		return err
	}
	octets := s.Octets
	if s.Kind == t30test.SignalBlock {
		octets = hdlcOctets(mod.rate, testerLead, testerTail, s.Frames)
	}
	train := mod.train
	if s.Lead != 0 {
		train = s.Lead
	}
	if octets = cutTo(octets, s.Cut); s.Untrained {
		return t.transmit(ctx, mod, nil, 0, train+mod.duration(int64(len(octets))))
	}
	return t.transmit(ctx, mod, octets, train, 0)
}

// modulationFor finds the row of T.31 Table 3: it is named as t30.Modulation prints it.
func modulationFor(m t30.Modulation) (*modulation, error) {
	if m.Scheme != t30.V17 {
		m.Short = false
	}
	for i := range modulations {
		if x := &modulations[i]; x.name == m.String() {
			return x, nil
		}
	}
	return nil, fmt.Errorf("virtual: tester: no modulation %v", m)
}

// cutTo leaves that share of b; 0: all.
func cutTo(b []byte, share float64) []byte {
	if share > 0 {
		return b[:int(share*float64(len(b)))]
	}
	return b
}

// hdlcOctets are lead of flags, the frames with a flag after each, and tail flags more.
func hdlcOctets(rate int, lead time.Duration, tail int, frames []t30test.SignalFrame) []byte {
	var p bitPacker
	for range (int64(lead)*int64(rate) + int64(8*time.Second) - 1) / int64(8*time.Second) {
		p.octet(flagOctet)
	}
	for _, f := range frames {
		switch {
		case f.Clip:
			return p.clipped(f.Frame)
		case f.Bad:
			p.frameWith(f.Frame, ^fcs(f.Frame))
		default:
			p.frame(f.Frame)
		}
	}
	for range tail {
		p.octet(flagOctet)
	}
	for p.n > 0 {
		p.bit(true)
	}
	return p.full
}

// clipped appends a frame that ends in the second octet of its FCS; nothing follows it.
func (p *bitPacker) clipped(frame []byte) []byte {
	p.frame(frame)
	const gone = 12 // bits: the flag and half an octet
	return p.full[:(8*len(p.full)+int(p.n)-gone)/8]
}

// transmit sends a signal: training and octets, or without octets something that lasts for d.
func (t *Tester) transmit(ctx context.Context, mod *modulation, octets []byte, train, d time.Duration) error {
	w, s := t.carrierOn(mod)
	if s == nil {
		return fmt.Errorf("virtual: tester: %w", t30.ErrHungUp)
	}
	start := time.Now()
	err := t.sleep(ctx, start, train+d)
	if err == nil && len(octets) > 0 {
		err = t.with(s, func() { w.send(lineEvent{kind: trained, sig: s}) })
	}
	sent := int64(0)
	for err == nil && sent < int64(len(octets)) {
		next := min(int64(len(octets)), sent+max(1, mod.octets(testerStep)))
		if err = t.sleep(ctx, start, train+mod.duration(next)); err == nil {
			piece := append([]byte(nil), octets[sent:next]...)
			err = t.with(s, func() { w.data(s, piece) })
		}
		if err == nil {
			sent = next
		}
	}
	if werr := t.with(s, t.carrierOff); err == nil {
		err = werr
	}
	if mod == v21 && sent >= int64(len(octets)-t.tail-1) && errors.Is(err, t30.ErrHungUp) {
		return nil // it had all of the frames
	}
	return err
}

// carrierOn begins a signal; nil: not connected.
func (t *Tester) carrierOn(mod *modulation) (*wire, *signal) {
	t.ex.mu.Lock()
	defer t.ex.mu.Unlock()
	if t.call == nil || t.call.wire(t) == nil {
		return nil, nil
	}
	w := t.call.wire(t)
	t.sending = w.begin(t, mod)
	return w, t.sending
}

// carrierOff ends it. The exchange is locked.
func (t *Tester) carrierOff() {
	if t.sending == nil {
		return
	}
	if t.call != nil {
		if w := t.call.wire(t); w != nil {
			w.end(t.sending)
		}
	}
	t.sending = nil
}

// with runs f with the exchange locked if s is still on the line.
func (t *Tester) with(s *signal, f func()) error {
	t.ex.mu.Lock()
	defer t.ex.mu.Unlock()
	if t.sending != s {
		return fmt.Errorf("virtual: tester: %w", t30.ErrHungUp)
	}
	f()
	return nil
}

// sleep waits until line time d after start.
func (t *Tester) sleep(ctx context.Context, start time.Time, d time.Duration) error {
	timer := time.NewTimer(time.Until(start.Add(t.ex.wall(d))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
