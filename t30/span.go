package t30

import "time"

// Kind says what a stretch of a call was.
type Kind string

// The kinds.
const (
	KindDial    Kind = "dialing"   // from off hook to the far end's first signal
	KindAnswer  Kind = "answering" // from off hook to the end of CED
	KindFrames  Kind = "frames"    // one V.21 signal, or what was heard of it
	KindSpoilt  Kind = "spoilt"    // a V.21 signal that could not be read
	KindTCF     Kind = "tcf"
	KindPage    Kind = "page"  // a carrier of page data without ECM
	KindBlock   Kind = "block" // a carrier of ECM frames
	KindSilence Kind = "silence"
	KindWait    Kind = "waiting" // nothing came until the time was up
	KindHangup  Kind = "hang-up"
	KindMerged  Kind = "merged" // the middle of a long call, many spans in one
)

// Span is one stretch of a call: one signal of either side, a silence or a wait. The spans of a [Report] follow one
// another without a gap: each begins Before before its Start, where the one before ended.
type Span struct {
	Start      time.Time     `json:"start"`
	Before     time.Duration `json:"before,omitempty"` // since the span before: the host at work, the line silent
	Duration   time.Duration `json:"duration"`
	Dir        Dir           `json:"dir"` // Out: our signal; In: theirs, or waiting for it; Note: neither's
	Kind       Kind          `json:"kind"`
	Text       string        `json:"text,omitempty"`      // the frames; how it failed
	Octets     int64         `json:"octets,omitempty"`    // of page data or TCF, with ECM of all frames' data fields
	Modulation Modulation    `json:"modulation,omitzero"` // of a carrier
	Again      bool          `json:"again,omitempty"`     // repeats what was sent before: lost, refused or spoilt
	Shares     []Share       `json:"shares,omitempty"`    // where Before and Duration went; their times add up to both
	Merged     int           `json:"merged,omitempty"`    // spans in a merged one
}

// Share is a part of a span's time.
type Share struct {
	Part  PartName      `json:"part"`
	Dir   Dir           `json:"dir"` // on whose account
	Time  time.Duration `json:"time"`
	Least time.Duration `json:"least,omitempty"` // what the recommendations demand at least; 0: could be done without
}

// maxSpans bounds the spans of a report: the first half of them and the last are kept, the middle is merged into one,
// whose shares still add up.
const maxSpans = 1000

// maxSpanText bounds a span's text, in octets: a far end may send frame after frame in one signal.
const maxSpanText = 2000

// spanList keeps the spans of a call.
type spanList struct {
	head   []Span
	merged Span
	tail   []Span
}

// add appends s.
func (l *spanList) add(s Span) {
	if len(l.head) < maxSpans/2 {
		l.head = append(l.head, s)
		return
	}
	if len(l.tail) >= maxSpans { // half of it goes at a time
		for _, old := range l.tail[:maxSpans/2] {
			l.merge(old)
		}
		l.tail = append(l.tail[:0], l.tail[maxSpans/2:]...)
	}
	l.tail = append(l.tail, s)
}

func (l *spanList) merge(s Span) {
	m := &l.merged
	if m.Merged == 0 {
		*m = Span{Start: s.Start, Before: s.Before, Duration: s.Duration, Dir: Note, Kind: KindMerged}
	} else {
		m.Duration += s.Before + s.Duration
	}
	m.Merged++
	m.Octets += s.Octets
	for _, sh := range s.Shares {
		m.Shares = addShare(m.Shares, sh)
	}
}

// addShare adds s to the share of its part and side.
func addShare(list []Share, s Share) []Share {
	for i := range list {
		if list[i].Part == s.Part && list[i].Dir == s.Dir {
			list[i].Time += s.Time
			list[i].Least += s.Least
			return list
		}
	}
	return append(list, s)
}

// last returns the span added last, nil before the first.
func (l *spanList) last() *Span {
	switch {
	case len(l.tail) > 0:
		return &l.tail[len(l.tail)-1]
	case len(l.head) > 0:
		return &l.head[len(l.head)-1]
	}
	return nil
}

// all returns the spans in order.
func (l *spanList) all() []Span {
	out := append([]Span(nil), l.head...)
	if l.merged.Merged > 0 {
		out = append(out, l.merged)
	}
	return append(out, l.tail...)
}

// offHook puts the time from start to the first span, in which the modem dialed or answered, before the spans. It
// replaces what was put there before.
func (r *Report) offHook(start time.Time, k Kind) {
	r.Start = start
	end := r.Connect
	if end.IsZero() {
		end = r.End
	}
	if len(r.Spans) > 0 && (r.Spans[0].Kind == KindDial || r.Spans[0].Kind == KindAnswer) {
		r.Spans = r.Spans[1:]
	}
	d := end.Sub(start)
	if d <= 0 {
		return
	}
	s := Span{Start: start, Duration: d, Dir: Note, Kind: k, Shares: []Share{{Part: PartDial, Dir: Note, Time: d}}}
	if k == KindAnswer {
		s.Dir = Out
		s.Shares = []Share{{Part: PartAnswer, Dir: Out, Time: d, Least: leastAnswer}}
	}
	r.Spans = append([]Span{s}, r.Spans...)
}
