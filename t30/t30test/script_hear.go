package t30test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/t30"
)

// String tells a signal in one line.
func (s *Signal) String() string {
	switch s.Kind {
	case SignalV21:
		if len(s.Frames) == 0 {
			return "flags"
		}
		var names []string
		for _, f := range s.Frames {
			n := frameName(f.Frame)
			if len(f.Frame) > 3 {
				n += fmt.Sprintf(" [% X]", onLine(f.Frame[3:min(len(f.Frame), 12)]))
			}
			if f.Bad {
				n += " (bad FCS)"
			}
			names = append(names, n)
		}
		return strings.Join(names, ", ")
	case SignalBlock:
		return fmt.Sprintf("%v block of %d frames", s.Mod, len(s.Frames))
	case SignalCarrier:
		return fmt.Sprintf("%v carrier with %d octets", s.Mod, len(s.Octets))
	}
	return s.Kind.String()
}

// expected is the window for the beginning of the signal that a step waits for, and since when.
func (p *player) expected(st *step) (from time.Time, w window) {
	since := func(t time.Time) time.Time {
		if t.IsZero() {
			return p.began
		}
		return t
	}
	var farEnd time.Time
	if p.far != nil {
		farEnd = p.far.End
	}
	switch {
	case st.within.set:
		return since(p.own), st.within
	case st.gap.set:
		return since(farEnd), st.gap
	case p.own.IsZero() && p.far == nil:
		return p.began, firstWindow
	case p.own.After(farEnd):
		return p.own, answerWindow
	case p.far.Kind == SignalV21 && st.do == hearFrames:
		return farEnd, repeatWindow
	}
	return farEnd, turnWindow
}

// hear waits for what a step wants.
func (p *player) hear(st *step) error {
	for {
		from, w := p.expected(st)
		limit := from.Add(w.to + p.t.Grain())
		s, err := p.t.Hear(p.ctx, max(0, time.Until(limit))+time.Millisecond)
		switch {
		case errors.Is(err, t30.ErrTimeout):
			return fmt.Errorf("expected it after %v, seen nothing", w)
		case errors.Is(err, t30.ErrHungUp):
			return fmt.Errorf("expected it, seen the device hang up after %v", time.Since(from))
		case err != nil:
			return err
		}
		p.note("<", s)
		p.far = s
		seen := s.Start.Sub(from)
		if r := p.rule(st, s); r != nil {
			if err := p.answer(r); err != nil {
				return err
			}
			continue
		}
		if err := p.matches(st, s); err != nil {
			return err
		}
		if s.Kind == SignalV21 {
			p.took(s)
		}
		return p.inWindow("it", seen, w, true)
	}
}

// answer gives a rule's answer, if it has one.
func (p *player) answer(r *step) error {
	if r.reply == nil {
		return nil
	}
	p.pause(p.last().Add(turnTime))
	return p.put(p.frames(r.reply, 0), false)
}

// rule finds the whenever step for a signal that is not the one wanted.
func (p *player) rule(st *step, s *Signal) *step {
	if st.do == hearFrames && p.matches(st, s) == nil {
		return nil
	}
	for i := range p.rules {
		if p.framesMatch(p.rules[i].frames[0], s) == nil {
			return &p.rules[i]
		}
	}
	return nil
}

// matches tells what is wrong with a signal, nil for nothing.
func (p *player) matches(st *step, s *Signal) error {
	want := SignalV21
	switch st.do {
	case hearTone:
		want = st.tone
	case hearTCF, hearPage:
		want = SignalCarrier
	case hearBlock:
		want = SignalBlock
	}
	if s.Kind != want {
		return fmt.Errorf("expected %v, seen %v", want, s)
	}
	switch st.do {
	case hearTone:
		return p.inWindow("a length of", s.End.Sub(s.Start), st.tone2, st.tone2.set)
	case hearTCF:
		return p.matchTCF(st, s)
	case hearPage:
		return p.matchPage(st, s)
	case hearBlock:
		return p.matchBlock(st, s)
	}
	w := st.preamb
	if !w.set {
		w = preambleTimes
	}
	if err := p.inWindow("a preamble of", s.Lead, w, s.Lead > 0); err != nil {
		return err
	}
	var err error
	for _, specs := range st.frames {
		if err = p.framesMatch(specs, s); err == nil {
			return nil
		}
	}
	if len(st.frames) > 1 {
		return fmt.Errorf("expected one of %d signals, seen %v; of the last: %w", len(st.frames), s, err)
	}
	return err
}

// took keeps what a signal changes: who heard the last DIS has the X bit; PPS and MCF lead to the next block.
func (p *player) took(s *Signal) {
	name := frameName(s.Frames[len(s.Frames)-1].Frame)
	if name == "DIS" {
		p.x = true
	}
	p.rx.commanded(name)
	p.tx.answered(name)
}

// framesMatch holds a V.21 signal against the frames wanted.
func (p *player) framesMatch(specs []frameSpec, s *Signal) error {
	if s.Kind != SignalV21 || len(s.Frames) == 0 {
		return fmt.Errorf("expected frames, seen %v", s)
	}
	i := 0
	for n, f := range s.Frames {
		last := n == len(s.Frames)-1
		if err := framing(f, last); err != nil {
			return err
		}
		name := frameName(f.Frame)
		for i < len(specs) && specs[i].absent {
			i++
		}
		for _, a := range specs {
			if a.absent && a.name == name {
				return fmt.Errorf("expected no %s, seen %v", name, s)
			}
		}
		if i < len(specs) && specs[i].matchesName(name) && (last == (i == len(specs)-1)) {
			if err := specs[i].matches(f.Frame, !p.x); err != nil {
				return err
			}
			i++
			continue
		}
		if last || !freeFrames[name] {
			return fmt.Errorf("expected %s, seen %v", specs[min(i, len(specs)-1)].name, s)
		}
	}
	if i < len(specs) {
		return fmt.Errorf("expected %s, seen %v", specs[i].name, s)
	}
	return nil
}

// framing holds the HDLC fields of a frame against T.30 5.3.4 to 5.3.6.
func framing(f SignalFrame, last bool) error {
	control := byte(0x03)
	if last {
		control = 0x13
	}
	switch fr := f.Frame; {
	case f.Bad:
		return fmt.Errorf("expected a good FCS, seen a bad one in %s", frameName(fr))
	case len(fr) < 3:
		return fmt.Errorf("expected address, control and FCF, seen % X", onLine(fr))
	case fr[0] != 0xff:
		return fmt.Errorf("expected address FF, seen %X", onLine(fr[:1]))
	case fr[1] != control:
		return fmt.Errorf("expected control %X, seen %X in %s", onLine([]byte{control}), onLine(fr[1:2]), frameName(fr))
	}
	return nil
}

// matchesName: PPS alone stands for each PPS.
func (f *frameSpec) matchesName(name string) bool {
	return f.name == name || (f.name == "PPS" || f.name == "EOR") && strings.HasPrefix(name, f.name+"-")
}

// matchTCF holds a training check against T.30 5.3.6.1.3: zeros for 1.5 s. Ones from the end of the training may
// come first.
func (p *player) matchTCF(st *step, s *Signal) error {
	if s.Mod != st.image.mod.mod {
		return fmt.Errorf("expected %v, seen %v", st.image.mod.mod, s.Mod)
	}
	zeros := len(s.Octets) - len(bytes.TrimLeft(withoutOnes(s.Octets), "\x00"))
	zeros -= len(s.Octets) - len(withoutOnes(s.Octets))
	w := st.tone2
	if !w.set {
		w = tcfTimes
	}
	octets := func(n int) time.Duration { return bitTime(n, s.Mod.Rate) }
	if err := p.inWindow("zeros", octets(zeros), w, true); err != nil {
		return err
	}
	return p.inWindow("the TCF's end", octets(len(s.Octets)), w, true)
}

// farDocument is page n of the device's documents.
func (p *player) farDocument(n int) ([]byte, error) {
	if n > len(p.d.pages) {
		return nil, fmt.Errorf("the device has no page %d", n)
	}
	return p.d.pages[n-1].Data, nil
}

func (p *player) matchPage(st *step, s *Signal) error {
	if s.Mod != st.image.mod.mod {
		return fmt.Errorf("expected %v, seen %v", st.image.mod.mod, s.Mod)
	}
	data, err := p.farDocument(pageNumber(st.image, &p.farPage))
	if err != nil || st.image.any {
		return err
	}
	got := bytes.TrimRight(withoutOnes(s.Octets), "\x00")
	if want := bytes.TrimRight(withoutOnes(data), "\x00"); !bytes.Equal(got, want) {
		return fmt.Errorf("expected page %d with %d octets, seen another with %d", p.farPage, len(want), len(got))
	}
	return nil
}

// matchBlock holds an ECM block against T.30 A.3: the frames asked for, in order, with the page's data, then RCP.
func (p *player) matchBlock(st *step, s *Signal) error {
	im := st.image
	if s.Mod != im.mod.mod {
		return fmt.Errorf("expected %v, seen %v", im.mod.mod, s.Mod)
	}
	page, block := p.rx.next(im)
	data, err := p.farDocument(page)
	if err != nil {
		return err
	}
	next, rcp := 0, 0
	for _, f := range s.Frames {
		fr := f.Frame
		switch {
		case f.Bad || len(fr) < 3 || fr[0] != 0xff || fr[1] != 0x03:
			return fmt.Errorf("expected frames of A.3, seen % X", onLine(fr[:min(len(fr), 4)]))
		case fr[2] == 0x86 && len(fr) == 3:
			rcp++
		case fr[2] != 0x06 || len(fr) < 4 || rcp > 0:
			return fmt.Errorf("expected FCD and then RCP, seen FCF %X", onLine(fr[2:3]))
		case next == len(im.list) || int(fr[3]) != im.list[next]:
			return fmt.Errorf("expected frames %v, seen frame %d after %d of them", im.list, fr[3], next)
		default:
			if err := im.dataMatches(fr[4:], data, block, im.list[next]); err != nil {
				return err
			}
			next++
		}
	}
	if next < len(im.list) {
		return fmt.Errorf("expected frames %v, seen the first %d of them", im.list, next)
	}
	if rcp != im.rcp {
		return fmt.Errorf("expected %d RCP, seen %d", im.rcp, rcp)
	}
	return nil
}

// dataMatches holds one frame's data against the page; after the page's end it is filled with zeros, or short.
func (im imageSpec) dataMatches(got, page []byte, block, n int) error {
	if len(got) > im.size {
		return fmt.Errorf("expected %d octets in frame %d, seen %d", im.size, n, len(got))
	}
	if im.any {
		return nil
	}
	from, to := im.blockOctets(block, n)
	want := page[min(from, len(page)):min(to, len(page))]
	if len(got) < len(want) || !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) > 0 {
		return fmt.Errorf("expected the page's octets %d to %d in frame %d, seen others", from, to, n)
	}
	return nil
}

// withoutOnes is b without the octets of ones that it begins with.
func withoutOnes(b []byte) []byte {
	for len(b) > 0 && b[0] == 0xFF {
		b = b[1:]
	}
	return b
}
