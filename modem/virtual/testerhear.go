package virtual

import (
	"context"
	"fmt"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// maxTesterOctets bounds what a tester keeps of one carrier.
const maxTesterOctets = 16 << 20

// Hear implements t30test.Tester. Times are those of the line: what a modem's filters and buffers would add is not in them.
func (t *Tester) Hear(ctx context.Context, wait time.Duration) (*t30test.Signal, error) {
	deadline := time.Now().Add(wait)
	for {
		t.ex.mu.Lock()
		var s *t30test.Signal
		if len(t.heard) > 0 {
			s = t.heard[0]
			t.heard = t.heard[1:]
		}
		begun, through := len(t.hearing) > 0, t.connected()
		t.ex.mu.Unlock()
		switch {
		case s != nil:
			return s, nil
		case !through && !begun:
			return nil, fmt.Errorf("virtual: tester: %w", t30.ErrHungUp)
		}
		if err := t.pause(ctx, deadline, begun); err != nil {
			return nil, err
		}
	}
}

// pause waits for news, until the deadline unless a signal has begun that may end.
func (t *Tester) pause(ctx context.Context, deadline time.Time, begun bool) error {
	var expired <-chan time.Time
	if !begun {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-t.wake:
		return nil
	case <-expired:
		return t30.ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hearing is a signal being heard.
type hearing struct {
	t30test.Signal
	sig     *signal
	def     deframer
	trained time.Time // training over
	bits    int64     // of data so far
	current []byte    // octets of the frame so far
}

// hear takes what comes off the line.
func (t *Tester) hear(e lineEvent) {
	now := time.Now()
	if e.kind == carrierOn {
		h := &hearing{sig: e.sig, trained: now}
		h.Kind, h.Mod = signalKind(e.sig.mod)
		h.Start = now
		h.def.octet, h.def.end = h.octet, h.frameEnd
		t.hearing = append(t.hearing, h)
		t.news()
		return
	}
	for i, h := range t.hearing {
		if h.sig != e.sig {
			continue
		}
		switch e.kind {
		case trained:
			h.trained = now
			if h.Kind == t30test.SignalCarrier {
				h.Lead = now.Sub(h.Start)
			}
		case lineData:
			h.data(e.data)
		case carrierOff:
			t.hearing = append(t.hearing[:i], t.hearing[i+1:]...)
			t.heard = append(t.heard, h.end(now))
			t.news()
		}
		return
	}
}

// signalKind tells what a signal is; a block is known by its frames only.
func signalKind(mod *modulation) (t30test.SignalKind, t30.Modulation) {
	switch mod {
	case toneCED:
		return t30test.SignalCED, t30.Modulation{}
	case toneCNG:
		return t30test.SignalCNG, t30.Modulation{}
	case noiseSignal:
		return t30test.SignalNoise, t30.Modulation{}
	case v21:
		return t30test.SignalV21, t30.Modulation{}
	}
	m := t30.Modulation{Scheme: t30.V27ter, Rate: mod.rate, Short: mod.short}
	switch mod.name[:3] {
	case "v17":
		m.Scheme = t30.V17
	case "v29":
		m.Scheme = t30.V29
	}
	return t30test.SignalCarrier, m
}

// data takes octets of the signal.
func (h *hearing) data(b []byte) {
	if h.Kind == t30test.SignalCarrier && len(h.Octets)+len(b) <= maxTesterOctets {
		h.Octets = append(h.Octets, b...)
	}
	for _, c := range b {
		for i := range 8 {
			h.bits++
			h.def.bit(c >> i & 1)
		}
	}
}

// octet takes one octet of a frame.
func (h *hearing) octet(b byte) {
	if h.Kind == t30test.SignalV21 && h.Lead == 0 {
		h.Lead = time.Duration((h.bits - 8) * int64(time.Second) / int64(h.sig.mod.rate))
	}
	if len(h.current) <= maxFrame {
		h.current = append(h.current, b)
	}
}

// frameEnd takes the end of a frame, its FCS off.
func (h *hearing) frameEnd(good bool) {
	f := h.current
	h.current = nil
	h.Frames = append(h.Frames, t30test.SignalFrame{Frame: t30.Frame(f[:max(0, len(f)-2)]), Bad: !good})
}

// end completes the signal.
func (h *hearing) end(now time.Time) *t30test.Signal {
	if len(h.current) > 0 {
		h.frameEnd(false)
	}
	h.End = now
	if h.Kind == t30test.SignalCarrier {
		if hasECMFrame(h.Frames) {
			h.Kind, h.Octets = t30test.SignalBlock, nil
		} else {
			h.Frames = nil
		}
	}
	return &h.Signal
}

// hasECMFrame tells whether a carrier carried HDLC: in other data no frame comes out with a good FCS and T.30's address.
func hasECMFrame(frames []t30test.SignalFrame) bool {
	for _, f := range frames {
		if !f.Bad && f.Frame.Valid() {
			return true
		}
	}
	return false
}
