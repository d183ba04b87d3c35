package t30

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// timed is a Line that records what each stretch of a call was. The engine knows nothing of it.
type timed struct {
	Line

	mu     sync.Mutex // Hangup may come from any goroutine
	spans  spanList
	end    time.Time // of the span before
	hungUp bool
	turn   turn
}

func newTimed(l Line, connect time.Time) *timed {
	t := &timed{Line: l, end: connect}
	t.turn.v34 = begunV34(l)
	return t
}

// add ends a span that began at start: fill says where its time went.
func (t *timed) add(start time.Time, s Span, fill func(*Span)) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if start.Before(t.end) { // Hangup ended a running method
		start = t.end
	}
	s.Start, s.Before, s.Duration = start, start.Sub(t.end), now.Sub(start)
	t.end = now
	fill(&s)
	if len(s.Text) > maxSpanText {
		s.Text = s.Text[:maxSpanText] + "..."
	}
	t.spans.add(s)
}

// report returns the spans and the end of the last.
func (t *timed) report() (end time.Time, list []Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.end, t.spans.all()
}

// failure says in a word how a span ended, "" for well.
func failure(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrTimeout):
		return "nothing heard"
	case errors.Is(err, ErrFCS):
		return "bad FCS"
	case errors.Is(err, ErrCarrierLost):
		return "carrier lost"
	case errors.Is(err, ErrHungUp):
		return "line dropped"
	case errors.Is(err, ErrV21):
		return "V.21 in its place"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	}
	return "failed: " + err.Error()
}

// withFailure appends how a span ended.
func withFailure(text string, err error) string {
	f := failure(err)
	switch {
	case f == "":
		return text
	case text == "":
		return f
	}
	return text + " (" + f + ")"
}

// framesText is a signal's frames for a transcript.
func (t *timed) framesText(frames []Frame) string {
	var list []string
	for _, f := range frames {
		list = append(list, frameText(t.turn.v34, f))
	}
	return strings.Join(list, ", ")
}

// SendFrames implements [Line].
func (t *timed) SendFrames(ctx context.Context, frames ...Frame) error {
	start := time.Now()
	err := t.Line.SendFrames(ctx, frames...)
	if len(frames) == 0 {
		return err
	}
	s := Span{Dir: Out, Kind: KindFrames, Text: withFailure(t.framesText(frames), err)}
	t.add(start, s, func(s *Span) { t.turn.sentFrames(s, frames, err == nil) })
	return err
}

// ReceiveFrame implements [Line]. The frames of one signal make one span.
func (t *timed) ReceiveFrame(ctx context.Context, wait time.Duration) (Frame, error) {
	start := time.Now()
	f, err := t.Line.ReceiveFrame(ctx, wait)
	switch {
	case err == nil && t.extend(f):
	case err == nil:
		t.add(start, Span{Dir: In, Kind: KindFrames, Text: frameText(t.turn.v34, f)}, func(s *Span) { t.turn.gotFrame(s, f) })
	case errors.Is(err, ErrFCS), errors.Is(err, ErrCarrierLost):
		t.add(start, Span{Dir: In, Kind: KindSpoilt, Text: failure(err)}, func(s *Span) { t.turn.gotNothing(s, PartSpoilt) })
	default:
		t.add(start, Span{Dir: In, Kind: KindWait, Text: failure(err)}, func(s *Span) { t.turn.gotNothing(s, PartWaiting) })
	}
	return f, err
}

// extend adds f to the last span if it belongs to the signal that began there.
func (t *timed) extend(f Frame) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.spans.last()
	if s == nil || !t.turn.inSignal {
		return false
	}
	d := now.Sub(t.end)
	t.end = now
	s.Duration += d
	if len(s.Text) < maxSpanText {
		s.Text += ", " + frameText(t.turn.v34, f)
	}
	t.turn.gotMore(s, f, d)
	return true
}

// SendTCF implements [Line].
func (t *timed) SendTCF(ctx context.Context, m Modulation, d time.Duration) error {
	start := time.Now()
	err := t.Line.SendTCF(ctx, m, d)
	s := Span{Dir: Out, Kind: KindTCF, Text: failure(err), Modulation: m}
	t.add(start, s, func(s *Span) { t.turn.sentTCF(s, d, err == nil) })
	return err
}

// SendPage implements [Line].
func (t *timed) SendPage(ctx context.Context, m Modulation, r io.Reader) error {
	start := time.Now()
	in := &counted{r: r}
	err := t.Line.SendPage(ctx, m, in)
	s := Span{Dir: Out, Kind: KindPage, Text: failure(err), Modulation: m, Octets: in.n}
	t.add(start, s, func(s *Span) { t.turn.sentPage(s, err == nil) })
	return err
}

// SendBlock implements [Line].
func (t *timed) SendBlock(ctx context.Context, m Modulation, frames []Frame) error {
	start := time.Now()
	err := t.Line.SendBlock(ctx, m, frames)
	var b blockBits
	for _, f := range frames {
		b.add(f)
	}
	s := Span{Dir: Out, Kind: KindBlock, Text: withFailure(b.String(), err), Modulation: m, Octets: b.octets}
	t.add(start, s, func(s *Span) { t.turn.sentBlock(s, b, err == nil) })
	return err
}

// arrivals notes when a received carrier's data came.
type arrivals struct {
	w           io.Writer
	n           int64
	first, last time.Time
}

func (a *arrivals) note() {
	a.last = time.Now()
	if a.first.IsZero() {
		a.first = a.last
	}
}

func (a *arrivals) Write(p []byte) (int, error) {
	a.note()
	a.n += int64(len(p))
	return a.w.Write(p)
}

// ReceivePage implements [Line].
func (t *timed) ReceivePage(ctx context.Context, m Modulation, wait time.Duration, w io.Writer) error {
	start := time.Now()
	in := &arrivals{w: w}
	err := t.Line.ReceivePage(ctx, m, wait, in)
	s := Span{Dir: In, Kind: KindPage, Text: failure(err), Modulation: m, Octets: in.n}
	t.add(start, s, func(s *Span) { t.turn.gotPage(s, *in, err) })
	return err
}

// ReceiveBlock implements [Line].
func (t *timed) ReceiveBlock(ctx context.Context, m Modulation, wait time.Duration, f func(Frame)) error {
	start := time.Now()
	var in arrivals
	var b blockBits
	err := t.Line.ReceiveBlock(ctx, m, wait, func(fr Frame) {
		in.note()
		b.add(fr)
		f(fr)
	})
	s := Span{Dir: In, Kind: KindBlock, Text: withFailure(b.String(), err), Modulation: m, Octets: b.octets}
	t.add(start, s, func(s *Span) { t.turn.gotBlock(s, in, b, err) })
	return err
}

// Silence implements [Line].
func (t *timed) Silence(ctx context.Context, d time.Duration) error {
	start := time.Now()
	err := t.Line.Silence(ctx, d)
	t.add(start, Span{Dir: Note, Kind: KindSilence, Text: failure(err)}, func(s *Span) { t.turn.silent(s, d) })
	return err
}

// Hangup implements [Line].
func (t *timed) Hangup() error {
	start := time.Now()
	err := t.Line.Hangup()
	t.mu.Lock()
	first := !t.hungUp
	t.hungUp = true
	t.mu.Unlock()
	if first {
		t.add(start, Span{Dir: Out, Kind: KindHangup, Text: failure(err)}, t.turn.hungUp)
	}
	return err
}
