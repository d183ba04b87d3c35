package virtual

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/tipring/tipring/t30"
)

// ReceiveFrame implements t30.Line.
func (l *air) ReceiveFrame(ctx context.Context, wait time.Duration) (t30.Frame, error) {
	if len(l.replay) > 0 {
		f := l.replay[0]
		l.replay = l.replay[1:]
		return f, nil
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		l.f.m.ex.mu.Lock()
		frame, err, busy := l.nextFrame()
		ch := l.f.changed
		l.f.m.ex.mu.Unlock()
		if frame != nil || err != nil {
			return frame, err
		}
		expired := late.C
		if busy {
			expired = nil
		}
		select {
		case <-ch:
		case <-expired:
			return nil, t30.ErrTimeout
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// nextFrame looks for a frame in what the ear has. busy: a signal is on the line. The exchange is locked.
func (l *air) nextFrame() (frame t30.Frame, err error, busy bool) {
	if !l.connected() {
		return nil, t30.ErrHungUp, false
	}
	if l.r == nil && !l.pick() {
		return nil, nil, false
	}
	r := l.r
	if !r.ended && (r.def.flags >= flagsToConnect || len(r.items) > 0) {
		l.f.connectTold()
	}
	if l.final == nil {
		frame, err = l.read(r)
	}
	switch {
	case l.final != nil && r.ended:
		return l.giveFinal(), nil, true
	case l.final != nil || frame != nil || err != nil:
		return frame, err, true
	case !r.ended:
		return nil, nil, true
	}
	l.f.m.ear.remove(r)
	l.r = nil
	if r.def.synced || r.def.flags > 0 || l.frames > 0 {
		return nil, t30.ErrCarrierLost, false
	}
	return nil, nil, false
}

// giveFinal ends a signal with its last frame.
func (l *air) giveFinal() t30.Frame {
	f := l.final
	l.f.m.ear.remove(l.r)
	l.r, l.final = nil, nil
	l.f.heard(f)
	l.signal = append(l.signal[:len(l.signal):len(l.signal)], f)
	return l.f.answered(f)
}

// read takes the next frame off r. The last one is kept until the carrier is off.
func (l *air) read(r *reception) (t30.Frame, error) {
	for i, it := range r.items {
		if it < endGood {
			continue
		}
		octets := r.items[:i]
		r.items = r.items[i+1:]
		l.frames++
		if it == endBad || len(octets) < 4 {
			return nil, t30.ErrFCS
		}
		frame := make(t30.Frame, len(octets)-2)
		for j := range frame {
			frame[j] = byte(octets[j])
		}
		if frame.Final() {
			l.final = frame
			l.f.m.ex.after(finalTail, func() {
				if l.r == r && l.final != nil {
					r.ended = true
				}
				l.f.notify()
			})
			return nil, nil
		}
		l.f.heard(frame)
		l.signal = append(l.signal[:len(l.signal):len(l.signal)], frame)
		return frame, nil
	}
	return nil, nil
}

// pick looks for a V.21 signal to read, as +FRH=3 does.
func (l *air) pick() bool {
	e := &l.f.m.ear
	for _, r := range append([]*reception(nil), e.list...) {
		switch {
		case r.sig.mod != v21:
		case r.ended && len(r.items) == 0:
			e.remove(r)
		default:
			if !r.locked && !e.fresh(r) { // in the middle of it: from the next flag on
				r.items, r.skip = nil, false
				r.def.reset()
				if r.ended {
					e.remove(r)
					continue
				}
			}
			r.locked = true
			l.r, l.frames, l.final, l.signal = r, 0, nil, nil
			return true
		}
	}
	return false
}

// pickCarrier looks for a carrier of mod, as +FRM does; v21: a V.21 signal is in its place. The exchange is locked.
func (l *air) pickCarrier(mod *modulation) (found *reception, isV21 bool) {
	e := &l.f.m.ear
	for _, r := range e.list {
		switch {
		case r.ended && r.sig.mod == v21:
		case r.sig.mod == v21:
			need := flagsToConnect
			if r.locked {
				need = flagsToRefuse
			}
			if r.def.flags >= need || r.def.count > 0 {
				return nil, true
			}
		case r.sig.mod != mod || r.missed || !e.fresh(r) || mod.short && !e.longTrained:
		default:
			r.locked = true
			return r, false
		}
	}
	return nil, false
}

// receive gives the octets of one carrier to sink as they come.
func (l *air) receive(ctx context.Context, m t30.Modulation, wait time.Duration, sink func([]byte) error) error {
	mod, err := modulationFor(m)
	if err != nil {
		return err
	}
	late := time.NewTimer(wait + l.f.m.ex.wall(mod.train))
	defer late.Stop()
	var r *reception
	trained := false
	for {
		var b []byte
		var ended, wrong, gone bool
		l.f.m.ex.mu.Lock()
		if gone = !l.connected(); !gone && r == nil {
			r, wrong = l.pickCarrier(mod)
		}
		if r != nil {
			if r.trained && !trained {
				trained = true
				l.f.m.ear.longTrained = l.f.m.ear.longTrained || mod.v17 && !mod.short
				if !l.tcf {
					l.f.carrierUp()
				}
			}
			b, r.octets, ended = r.octets, nil, r.ended
		}
		ch := l.f.changed
		l.f.m.ex.mu.Unlock()
		if len(b) > 0 {
			if err := sink(b); err != nil {
				return err
			}
		}
		switch {
		case wrong:
			return t30.ErrV21
		case ended:
			l.f.with(func() { l.f.m.ear.remove(r) })
			if trained {
				return nil
			}
			r = nil
			continue
		case gone:
			return t30.ErrHungUp
		}
		expired := late.C
		if r != nil {
			expired = nil
		}
		select {
		case <-ch:
		case <-expired:
			return t30.ErrTimeout
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// withoutOnes is b without the octets of ones that it begins with.
func withoutOnes(b []byte) []byte {
	for len(b) > 0 && b[0] == 0xFF {
		b = b[1:]
	}
	return b
}

// ReceivePage implements t30.Line.
func (l *air) ReceivePage(ctx context.Context, m t30.Modulation, wait time.Duration, w io.Writer) error {
	strict, began, spoilt := false, false, false
	l.f.with(func() { strict = l.tcf && l.f.m.opts.StrictTCF })
	return l.receive(ctx, m, wait, func(b []byte) error {
		if strict {
			if !began {
				b = withoutOnes(b) // until the far end's first data
			}
			began = began || len(b) > 0
			if spoilt = spoilt || len(bytes.Trim(b, "\x00")) > 0; spoilt {
				b = bytes.Repeat([]byte{0x55}, len(b))
			}
		}
		_, err := w.Write(b)
		return err
	})
}

// maxBlockFrame is the longest frame of a block that is taken: 256 octets of data, four of header, the check sequence.
const maxBlockFrame = 300

// ReceiveBlock implements t30.Line.
func (l *air) ReceiveBlock(ctx context.Context, m t30.Modulation, wait time.Duration, f func(t30.Frame)) error {
	var frame []byte
	var d deframer
	d.octet = func(b byte) {
		if len(frame) < maxBlockFrame {
			frame = append(frame, b)
		}
	}
	d.end = func(good bool) {
		if good && len(frame) >= 4 && len(frame) < maxBlockFrame {
			f(t30.Frame(frame[:len(frame)-2]))
		}
		frame = frame[:0]
	}
	return l.receive(ctx, m, wait, func(b []byte) error {
		for _, c := range b {
			d.push(c)
		}
		return nil
	})
}
