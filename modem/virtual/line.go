package virtual

import (
	"encoding/hex"
	"time"
)

// signal is one signal on one direction of a line: a tone, a V.21 signal or a high-speed carrier.
type signal struct {
	mod   *modulation
	from  subscriber
	start time.Duration // line time, carrier on
	noise *noise
	octs  int
	ones  int // octets of an image that are not zero, as far as counted
	page  int // image number, once it is known to be one
	log   [][]byte
}

// lineEventKind is what a receiver notices of a signal.
type lineEventKind int

const (
	carrierOn lineEventKind = iota
	trained                 // training or the first flags can begin to be used
	lineData
	carrierOff
)

// lineEvent is one of them, on its way through the line.
type lineEvent struct {
	due  time.Duration
	kind lineEventKind
	sig  *signal
	data []byte
}

// v21Latency is what a V.21 receiver's filters take. With startUp it is why software that answers a frame at once, without
// T.30's 75 ms, does not talk into the far end's closing flags.
const v21Latency = 20 * time.Millisecond

// imageOctets is how many octets with ones make a carrier an image; a TCF may begin with one or a few.
const imageOctets = 16

// wire is one direction of a call.
type wire struct {
	ex      *Exchange
	call    *call
	dir     int
	to      subscriber // nil: nobody listens
	signals int
	queue   []lineEvent
	timer   *timer
}

// begin starts a signal.
func (w *wire) begin(m subscriber, mod *modulation) *signal {
	w.signals++
	s := &signal{mod: mod, from: m, start: w.ex.now()}
	s.noise = newNoise(&w.call.faults, w.call.id, w.dir, w.signals, mod)
	w.send(lineEvent{kind: carrierOn, sig: s})
	return s
}

// data sends octets of a signal; it keeps b.
func (w *wire) data(s *signal, b []byte) {
	s.octs += len(b)
	if !s.mod.ctl && s.page == 0 {
		for _, c := range b {
			if c != 0 {
				s.ones++
			}
		}
		if s.ones > imageOctets {
			w.call.images++
			s.page = w.call.images
			s.from.trace(Event{Kind: EventImage, Page: s.page, Text: s.mod.name})
			if f := &w.call.faults; f.DropPage == s.page {
				w.call.dropIn(f.DropPageAfter)
			}
		}
	}
	s.noise.spoil(b, s.page)
	w.send(lineEvent{kind: lineData, sig: s, data: b})
}

// end ends a signal.
func (w *wire) end(s *signal) {
	w.send(lineEvent{kind: carrierOff, sig: s})
	e := Event{Kind: EventSignal, Text: s.mod.name, Seconds: (w.ex.now() - s.start).Seconds(), Octets: s.octs, Page: s.page}
	for _, f := range s.log {
		e.Frames = append(e.Frames, hex.EncodeToString(f))
	}
	s.from.trace(e)
}

// send puts an event on the line. Events leave it in order, after the propagation time.
func (w *wire) send(e lineEvent) {
	if w.to == nil {
		return
	}
	late := w.ex.opts.Delay
	if e.sig.mod == v21 && !w.to.at().prompt {
		late += v21Latency
	}
	if late <= 0 && len(w.queue) == 0 {
		w.to.hear(e)
		return
	}
	e.due = w.ex.now() + late
	w.queue = append(w.queue, e)
	if w.timer == nil {
		w.timer = w.ex.after(late, w.deliver)
	}
}

// deliver hands over what has come through.
func (w *wire) deliver() {
	w.timer = nil
	now := w.ex.now()
	for len(w.queue) > 0 && w.queue[0].due <= now {
		e := w.queue[0]
		w.queue = w.queue[1:]
		if w.to != nil {
			w.to.hear(e)
		}
	}
	if len(w.queue) > 0 && w.to != nil {
		w.timer = w.ex.after(w.queue[0].due-now, w.deliver)
	}
}

// cut empties the line.
func (w *wire) cut() {
	w.timer.stop()
	w.timer, w.queue, w.to = nil, nil, nil
}
