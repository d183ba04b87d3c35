package t30

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// sound is what sort of signal was on the line last.
type sound int

const (
	soundNone sound = iota
	soundV21
	soundCarrier
)

// turn follows a call's signals and divides the time of each span among its parts. It sees what the Line sees, nothing
// of the engine.
type turn struct {
	last      sound
	pauseLeft time.Duration // of the pause after the last signal, not yet accounted for
	inSignal  bool          // the far end's V.21 signal has not had its final frame
	tcf       bool          // a DCS came: the next carrier is its TCF
	retrain   bool          // after FTT, until CFR
	resend    bool          // after RTN or PPR, until the page or block is confirmed
	refusals  int           // RTN since a confirmation
	again     bool          // the last V.21 signal repeated one: so does its TCF
	ours      Frame         // final frame of our last V.21 signal since the last page or block
	theirs    Frame         // theirs
	v34       V34Line       // nil: the call is none of V.34
}

// nominal is a part of a signal and how long it is.
type nominal struct {
	part        PartName
	want, least time.Duration
}

// account hands out the time of one span.
type account struct {
	s    *Span
	left time.Duration
}

func (a *account) take(p PartName, d Dir, want, least time.Duration) {
	want = max(0, min(want, a.left))
	a.left -= want
	if a.s.Again {
		least = 0
	}
	if want > 0 || least > 0 {
		a.s.Shares = addShare(a.s.Shares, Share{Part: p, Dir: d, Time: want, Least: least})
	}
}

func (a *account) rest(p PartName, d Dir) { a.take(p, d, a.left, 0) }

// send hands out the time of a signal of ours: in order when it was cut off; in proportion when it took less than it
// should (a preamble at the short end, a simulated line that runs faster). What is left is the modem's.
func (a *account) send(whole bool, list ...nominal) {
	if whole {
		a.shrink(list)
	}
	for _, n := range list {
		a.take(n.part, Out, n.want, n.least)
	}
	a.rest(PartModem, Out)
}

// shrink makes list fit into what is left, in proportion.
func (a *account) shrink(list []nominal) {
	total := time.Duration(0)
	for _, n := range list {
		total += n.want
	}
	if total <= a.left {
		return
	}
	rest := a.left
	for i, n := range list[1:] {
		list[i+1].want = time.Duration(float64(n.want) / float64(total) * float64(a.left))
		rest -= list[i+1].want
	}
	list[0].want = rest
}

// hearCarrier is hear for a carrier: all of it was heard, so that one shorter than it should be ran faster.
func (a *account) hearCarrier(before nominal, list ...nominal) {
	a.shrink(list)
	a.hear(append([]nominal{before}, list...)...)
}

// hear hands out the time of a signal of theirs from its end back: its beginning may have come before we listened. What is
// left was before it.
func (a *account) hear(list ...nominal) {
	for i := len(list) - 1; i >= 0; i-- {
		a.take(list[i].part, In, list[i].want, list[i].least)
	}
	a.rest(PartThinking, In)
}

// leastPauseBefore is what must part a signal from the last one.
func (u *turn) leastPauseBefore(next sound) time.Duration {
	if u.last == soundNone || u.last == next || u.v34 != nil {
		return 0
	}
	return leastPause
}

// begin accounts for the silence before a signal of ours and returns the account of the signal itself.
func (u *turn) begin(s *Span, next sound) *account {
	a := &account{s, s.Before}
	a.take(PartPause, Out, u.pauseLeft, u.leastPauseBefore(next))
	a.rest(PartThinking, Out)
	a.left = s.Duration
	return a
}

// ended notes that a signal has ended.
func (u *turn) ended(what sound) {
	u.last, u.pauseLeft, u.inSignal = what, pause, false
	if u.v34 != nil {
		u.pauseLeft = 0
	}
}

// framesTime is what frames of so many bits take: in V.34 on the control channel, else by V.21 and its preamble.
func (u *turn) framesTime(bits int64) []nominal {
	if u.v34 != nil {
		_, rate := u.v34.V34()
		d := bitsTime(bits, rate)
		return []nominal{{PartControl, d, d}}
	}
	d := bitsTime(bits, v21Rate)
	return []nominal{{PartPreamble, preambleTime, leastPreamble}, {PartFrames, d, d}}
}

// message notes that a page or block, not a TCF, was on the line: what follows is no repetition.
func (u *turn) message() {
	u.ended(soundCarrier)
	u.ours, u.theirs = nil, nil
}

// final notes a signal's final frame, of either side.
func (u *turn) final(f Frame) {
	switch f.FCF() {
	case FcfFTT:
		u.retrain = true
	case FcfCFR:
		u.retrain = false
	case FcfPPR:
		u.resend = true
	case FcfRTN: // refused as often as a page is sent, the next one follows
		u.refusals = (u.refusals + 1) % (maxResends + 1)
		u.resend = u.refusals > 0
	case FcfMCF, FcfRTP, FcfPIP, FcfERR, FcfDIS, FcfDTC, FcfDCN:
		u.retrain, u.resend, u.refusals = false, false, 0
	}
}

func (u *turn) sentFrames(s *Span, frames []Frame, whole bool) {
	last := frames[len(frames)-1]
	s.Again = u.retrain || u.resend || bytes.Equal(last, u.ours)
	bits := int64(0)
	for _, f := range frames {
		bits += frameBits(f)
	}
	u.begin(s, soundV21).send(whole, u.framesTime(bits)...)
	u.ended(soundV21)
	u.ours, u.tcf, u.again = bytes.Clone(last), false, s.Again
	u.final(last)
}

func (u *turn) gotFrame(s *Span, f Frame) {
	s.Again = u.retrain || u.resend || u.repeated(f)
	a := &account{s, s.Before + s.Duration}
	a.hear(append([]nominal{u.pauseBefore(soundV21)}, u.framesTime(frameBits(f))...)...)
	u.heard(s, f)
}

// gotMore adds a further frame of the signal that s is; d is the time since the frame before.
func (u *turn) gotMore(s *Span, f Frame, d time.Duration) {
	list := u.framesTime(frameBits(f))
	frames := list[len(list)-1]
	share := Share{Part: frames.part, Dir: In, Time: d}
	switch {
	case s.Again:
	case u.repeated(f):
		s.Again = true
		for i := range s.Shares {
			s.Shares[i].Least = 0
		}
	default:
		share.Least = frames.least
	}
	s.Shares = addShare(s.Shares, share)
	u.heard(s, f)
}

func (u *turn) repeated(f Frame) bool { return f.Final() && bytes.Equal(f, u.theirs) }

func (u *turn) heard(s *Span, f Frame) {
	u.ended(soundV21)
	u.again = s.Again
	if u.inSignal = !f.Final(); u.inSignal {
		return
	}
	u.theirs, u.tcf = bytes.Clone(f), f.FCF() == FcfDCS
	u.final(f)
}

// pauseBefore is the pause of theirs before a signal.
func (u *turn) pauseBefore(next sound) nominal {
	if u.last == soundNone || u.v34 != nil {
		return nominal{part: PartPause}
	}
	return nominal{PartPause, pause, u.leastPauseBefore(next)}
}

// gotNothing accounts for a wait without a frame.
func (u *turn) gotNothing(s *Span, p PartName) {
	a := &account{s, s.Before + s.Duration}
	a.rest(p, In)
	u.pauseLeft, u.inSignal = 0, false
	if p == PartSpoilt {
		u.ended(soundV21)
	}
}

func (u *turn) sentTCF(s *Span, d time.Duration, whole bool) {
	s.Again = u.retrain || u.resend || u.again
	s.Octets = bitsIn(d, s.Modulation.Rate) / 8
	t := trainingTime(s.Modulation)
	u.begin(s, soundCarrier).send(whole, nominal{PartTraining, t, t}, nominal{PartTCF, d, min(d, leastTCF)})
	u.ended(soundCarrier)
}

// bitsIn is how many bits rate bit/s sends in d.
func bitsIn(d time.Duration, rate int) int64 { return int64(d) * int64(rate) / int64(time.Second) }

func (u *turn) sentPage(s *Span, whole bool) {
	s.Again = u.retrain || u.resend
	t, d := trainingTime(s.Modulation), bitsTime(s.Octets*8, s.Modulation.Rate)
	u.begin(s, soundCarrier).send(whole, nominal{PartTraining, t, t}, nominal{PartData, d, d})
	u.message()
}

// blockBits counts what an ECM carrier brings.
type blockBits struct {
	frames      int   // FCD
	octets      int64 // of their data
	bits, first int64 // of all frames; of the first one
}

func (b *blockBits) add(f Frame) {
	n := frameBits(f)
	if b.bits == 0 {
		b.first = n
	}
	b.bits += n
	if f.FCF() == FcfFCD && len(f) > 4 {
		b.frames++
		b.octets += int64(len(f) - 4)
	}
}

func (b blockBits) String() string { return fmt.Sprintf("%d frames", b.frames) }

// parts divides the time of all frames into page data and what ECM puts around it.
func (b blockBits) parts(rate int) (data, framing time.Duration) {
	data = bitsTime(b.octets*8, rate)
	return data, bitsTime(b.bits, rate) - data
}

func (u *turn) sentBlock(s *Span, b blockBits, whole bool) {
	s.Again = u.retrain || u.resend
	t := trainingTime(s.Modulation)
	data, framing := b.parts(s.Modulation.Rate)
	framing += blockFlags
	u.begin(s, soundCarrier).send(whole, nominal{PartTraining, t, t}, nominal{PartFraming, framing, framing}, nominal{PartData, data, data})
	u.message()
}

// noCarrier accounts for a receive to which no carrier came.
func (u *turn) noCarrier(s *Span, err error) {
	p := PartWaiting
	if errors.Is(err, ErrV21) { // that signal is theirs: they took their time until it
		p = PartThinking
	}
	u.gotNothing(s, p)
	u.tcf = false
}

// tail is the time from the end of what a carrier brought, want long, to the end of the receive: the modem's. What came in
// larger pieces than it was sent leaves none.
func tail(end time.Time, in arrivals, want time.Duration) time.Duration {
	return max(0, end.Sub(in.first)-want)
}

func (u *turn) gotPage(s *Span, in arrivals, err error) {
	if u.tcf {
		s.Kind = KindTCF
	}
	if in.n == 0 {
		u.noCarrier(s, err)
		return
	}
	s.Again = u.retrain || u.resend || u.tcf && u.again
	a := &account{s, s.Before + s.Duration}
	d := bitsTime(in.n*8, s.Modulation.Rate)
	a.take(PartModem, Out, tail(s.Start.Add(s.Duration), in, d), 0)
	t := trainingTime(s.Modulation)
	before, training := u.pauseBefore(soundCarrier), nominal{PartTraining, t, t}
	if u.tcf {
		a.hearCarrier(before, training, nominal{PartTCF, d, min(d, leastTCF)})
		u.ended(soundCarrier)
	} else {
		a.hearCarrier(before, training, nominal{PartData, d, d})
		u.message()
	}
	u.tcf = false
}

// gotBlock takes the time between the frames that came for that of the frames that were lost among them.
func (u *turn) gotBlock(s *Span, in arrivals, b blockBits, err error) {
	if b.bits == 0 {
		u.noCarrier(s, err)
		return
	}
	s.Again = u.retrain || u.resend
	a := &account{s, s.Before + s.Duration}
	m := s.Modulation
	data, framing := b.parts(m.Rate)
	least := framing + blockFlags
	span := in.last.Sub(in.first) + bitsTime(b.first, m.Rate)
	framing += max(0, span-data-framing)
	a.take(PartModem, Out, s.Start.Add(s.Duration).Sub(in.last), 0)
	t := trainingTime(m)
	a.hearCarrier(u.pauseBefore(soundCarrier), nominal{PartTraining, t, t}, nominal{PartFraming, framing + blockFlags, least}, nominal{PartData, data, data})
	u.message()
	u.tcf = false
}

// silent accounts for a silence of d that we made.
func (u *turn) silent(s *Span, d time.Duration) {
	a := &account{s, s.Before}
	a.rest(PartThinking, Out)
	if u.ours != nil && u.ours.FCF() == FcfDCN { // what is left is for the line to be cleared
		a.left = s.Duration
		a.rest(PartHangup, Out)
		return
	}
	a.left = min(s.Duration, d)
	before := a.left
	a.take(PartPause, Out, u.pauseLeft, 0)
	u.pauseLeft -= before - a.left
	a.rest(PartThinking, Out)
	a.left = max(0, s.Duration-d)
	a.rest(PartModem, Out)
}

func (u *turn) hungUp(s *Span) {
	a := &account{s, s.Before}
	a.rest(PartThinking, Out)
	a.left = s.Duration
	a.rest(PartHangup, Out)
}
