package t30test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/t30"
)

// Default windows; see testdata/t30/README.md.
var (
	firstWindow   = window{0, 40 * time.Second, true}                              // T1
	answerWindow  = window{55 * time.Millisecond, 2550 * time.Millisecond, true}   // T4 at its shortest
	turnWindow    = window{55 * time.Millisecond, 95 * time.Millisecond, true}     // 75 ms +- 20 ms
	repeatWindow  = window{2550 * time.Millisecond, 3450 * time.Millisecond, true} // T4
	onHookWindow  = window{0, 2 * time.Second, true}
	preambleTimes = window{850 * time.Millisecond, 1150 * time.Millisecond, true}
	tcfTimes      = window{1350 * time.Millisecond, 1650 * time.Millisecond, true}
)

// turnTime is the tester's pause before each of its signals.
const turnTime = 75 * time.Millisecond

// player is one run of a script.
type player struct {
	s   *Script
	d   *Device
	t   Tester
	ctx context.Context

	began    time.Time
	own      time.Time // end of the tester's last signal; zero: none yet
	far      *Signal   // the device's last signal
	x        bool      // the tester's X bit; the device has the other
	rules    []step    // of whenever
	page     int       // the tester's last page
	farPage  int       // the device's last page
	tx, rx   partial   // ECM: what the tester sends, what the device sends
	gone     bool      // the tester is on hook
	hook     bool      // the device is on hook, and may be
	hookTime time.Time
	log      []string
}

// Play plays the script's steps up to the last. The error says at which line the device did what it must not, with what was expected
// and seen, and the last signals on the line. The device runs beside it; d is from [Script.Device].
func (s *Script) Play(ctx context.Context, t Tester, d *Device) error {
	// The station that heard the last DIS has X set; at first that is the caller.
	p := &player{s: s, d: d, t: t, ctx: ctx, began: time.Now(), x: s.Answers}
	for i := range s.steps {
		st := s.steps[i]
		if err := p.step(&st); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return fmt.Errorf("%s:%d: %s: %w\n  %s", s.Name, st.line, st.text, err, strings.Join(p.log[max(0, len(p.log)-12):], "\n  "))
		}
	}
	return nil
}

// note keeps a signal for the error's history.
func (p *player) note(dir string, s *Signal) {
	p.log = append(p.log, fmt.Sprintf("%9.3f %s %v", s.Start.Sub(p.began).Seconds(), dir, s))
}

// step does one step.
func (p *player) step(st *step) error {
	switch st.do {
	case sendFrames, sendEcho, sendTCF, sendPage, sendBlock, sendTone:
		return p.send(st)
	case sendHangup:
		p.wait(st)
		p.own, p.gone = time.Now(), true
		return p.t.Hangup()
	case sendSilence:
		return p.nothing(window{0, st.length, true})
	case sendWait:
		return p.pass(st.length)
	case whenever:
		p.rules = append(p.rules, *st)
		return nil
	case hearNothing:
		return p.nothing(st.within)
	case hearOnHook:
		return p.onHook(st)
	case hearTone:
		if !p.t.Tones() {
			return nil
		}
	}
	return p.hear(st)
}

// last is when the last signal of either side ended.
func (p *player) last() time.Time {
	last := p.own
	if p.far != nil && p.far.End.After(last) {
		last = p.far.End
	}
	if last.IsZero() {
		return p.began
	}
	return last
}

// pause lets time pass up to a moment.
func (p *player) pause(until time.Time) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

// wait makes the pause before a signal of the tester.
func (p *player) wait(st *step) {
	after := st.after
	if after < 0 {
		after = turnTime
	}
	p.pause(p.last().Add(after))
}

// pass lets time pass and forgets what the device does in it.
func (p *player) pass(d time.Duration) error {
	until := p.last().Add(d)
	for {
		s, err := p.t.Hear(p.ctx, time.Until(until))
		switch {
		case errors.Is(err, t30.ErrTimeout):
			return nil
		case errors.Is(err, t30.ErrHungUp):
			p.hook, p.hookTime = true, time.Now()
			p.pause(until)
			return nil
		case err != nil:
			return err
		}
		p.note("<", s)
		p.far = s
	}
}

// nothing wants no signal for a time.
func (p *player) nothing(w window) error {
	from := p.last()
	until := from.Add(w.to)
	s, err := p.t.Hear(p.ctx, time.Until(until))
	switch {
	case errors.Is(err, t30.ErrTimeout):
		return nil
	case errors.Is(err, t30.ErrHungUp):
		p.hook, p.hookTime = true, time.Now()
		p.pause(until)
		return nil
	case err != nil:
		return err
	}
	p.note("<", s)
	return fmt.Errorf("expected no signal, seen %v after %v", s, s.Start.Sub(from))
}

// onHook wants the device to hang up.
func (p *player) onHook(st *step) error {
	w := st.within
	if !w.set {
		w = onHookWindow
	}
	from := p.last()
	if p.hook { // seen before, where it was allowed
		return p.inWindow("on-hook", p.hookTime.Sub(from), w, st.within.set)
	}
	s, err := p.t.Hear(p.ctx, max(0, time.Until(from.Add(w.to+p.t.Grain())))+time.Millisecond)
	switch {
	case errors.Is(err, t30.ErrHungUp):
		p.hook, p.hookTime = true, time.Now()
		return p.inWindow("on-hook", p.hookTime.Sub(from), w, true)
	case errors.Is(err, t30.ErrTimeout):
		return fmt.Errorf("expected on-hook within %v, seen none", w)
	case err != nil:
		return err
	}
	p.note("<", s)
	if p.gone { // it had begun, or had not noticed yet
		p.far = s
		return p.onHook(st)
	}
	return fmt.Errorf("expected on-hook, seen %v", s)
}

func (p *player) inWindow(what string, d time.Duration, w window, judge bool) error {
	if judge && !w.has(d, p.t.Grain()) {
		return fmt.Errorf("expected %s after %v, seen after %v", what, w, d)
	}
	return nil
}
