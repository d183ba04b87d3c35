package t30_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// hostile is a Line whose far end is made of fuzz input: whatever we do, its next signal is the next one of the input. When
// there is no more the line drops.
type hostile struct {
	t      *testing.T
	opened []sound // sent before those of in
	in     []byte
	sounds int

	next *sound
	said func(frames []t30.Frame) // our V.21 signals
	gave func(frames []t30.Frame) // ECM frames given to the engine
}

// sound is one signal of the far end.
type sound struct {
	frames []t30.Frame // V.21, or with carrier an ECM block
	octets []byte      // page or TCF
	high   bool        // high-speed carrier
	err    error       // how it ends, or what is heard in its place
	after  time.Duration
}

// maxSounds bounds one fuzz call; the engine's own limits must end it long before.
const maxSounds = 2000

// soundErrors is what a Line may say of a signal.
var soundErrors = []error{nil, t30.ErrTimeout, t30.ErrFCS, t30.ErrCarrierLost, t30.ErrV21, t30.ErrHungUp, nil, nil}

// commonFCF are the fields that a first octet of the input stands for, so that the fuzzer need not find them.
var commonFCF = []t30.FCF{
	t30.FcfPPS, t30.FcfRR, t30.FcfEOR, t30.FcfCTC, t30.FcfDCS, t30.FcfCRP, t30.FcfDCN, t30.FcfMPS, t30.FcfEOM, t30.FcfEOP, t30.FcfPRP,
	t30.FcfDTC, t30.FcfDIS, t30.FcfCFR, t30.FcfFTT, t30.FcfMCF, t30.FcfPPR, t30.FcfRNR, t30.FcfRTN, t30.FcfRTP, t30.FcfCTR, t30.FcfERR,
	t30.FcfPIP, t30.FcfPIN, t30.FcfTSI, t30.FcfSUB, t30.FcfPWD, t30.FcfNSF, t30.FcfTNR, t30.FcfFDM, t30.FcfFCD, t30.FcfRCP,
}

// octet takes one octet of the input.
func (h *hostile) octet() byte {
	if len(h.in) == 0 {
		return 0
	}
	b := h.in[0]
	h.in = h.in[1:]
	return b
}

func (h *hostile) take(n int) []byte {
	n = min(n, len(h.in))
	b := h.in[:n]
	h.in = h.in[n:]
	return b
}

// peek returns the next signal without taking it; nil: the line has dropped.
func (h *hostile) peek() *sound {
	if h.next != nil {
		return h.next
	}
	if h.sounds++; h.sounds > maxSounds {
		h.t.Fatal("the call does not end")
	}
	if len(h.opened) > 0 {
		h.next, h.opened = &h.opened[0], h.opened[1:]
		return h.next
	}
	if len(h.in) == 0 {
		return nil
	}
	h.next = h.parse()
	return h.next
}

// parse makes a signal of the input: its kind, then lengths and octets.
func (h *hostile) parse() *sound {
	kind := h.octet()
	s := &sound{after: time.Duration(kind>>6) * 1100 * time.Millisecond}
	switch kind & 7 {
	case 0: // any octets as a V.21 frame
		s.frames = []t30.Frame{t30.Frame(bytes.Clone(h.take(int(h.octet()))))}
	case 1, 2, 3: // a known field with any FIF
		fcf := commonFCF[int(h.octet())%len(commonFCF)]
		s.frames = []t30.Frame{t30.NewFrame(fcf, kind&8 != 0, kind&16 == 0, h.take(int(h.octet()&63))...)}
	case 4, 5: // an ECM block: runs of frames with any number and length
		s.high, s.err = true, soundErrors[h.octet()&3]
		if errors.Is(s.err, t30.ErrTimeout) || errors.Is(s.err, t30.ErrFCS) {
			s.err = nil
		}
		for range h.octet() & 7 {
			from, count, size, fill := int(h.octet()), int(h.octet()), int(h.octet()), h.octet()
			if size > 250 {
				size += int(h.octet())
			} else if size%3 == 0 {
				size = 256
			} else if size%3 == 1 {
				size = 64
			}
			for i := range count + 1 {
				f := append([]byte{byte(from + i)}, bytes.Repeat([]byte{fill}, size)...)
				s.frames = append(s.frames, t30.NewFrame(t30.FcfFCD, false, false, f...))
			}
		}
		s.frames = append(s.frames, t30.Frame(bytes.Clone(h.take(int(h.octet()&7)))))
	case 6: // a page or TCF
		s.high, s.err = true, soundErrors[h.octet()&3]
		if errors.Is(s.err, t30.ErrTimeout) || errors.Is(s.err, t30.ErrFCS) {
			s.err = nil
		}
		s.octets = bytes.Repeat([]byte{h.octet()}, 8*int(h.octet()))
		s.octets = append(s.octets, t30test.MakePage(1, int(h.octet()&7))...)
	default:
		s.err = soundErrors[h.octet()&7]
		if s.err == nil {
			s.high, s.octets = true, make([]byte, 3000)
		}
	}
	return s
}

// Capabilities implements t30.Line.
func (h *hostile) Capabilities() t30.Capabilities { return t30test.All }

func (h *hostile) pass(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SendFrames implements t30.Line.
func (h *hostile) SendFrames(ctx context.Context, frames ...t30.Frame) error {
	for _, f := range frames {
		if !f.Valid() || len(f) > t30.MaxV21Frame {
			h.t.Errorf("sends a bad frame % x", []byte(f))
		}
	}
	if h.said != nil {
		h.said(frames)
	}
	return h.pass(ctx, time.Second)
}

// ReceiveFrame implements t30.Line.
func (h *hostile) ReceiveFrame(ctx context.Context, wait time.Duration) (t30.Frame, error) {
	s := h.peek()
	if s == nil {
		return nil, t30.ErrHungUp
	}
	if err := h.pass(ctx, min(wait, s.after)); err != nil {
		return nil, err
	}
	switch {
	case s.after > wait:
		s.after -= wait
		return nil, t30.ErrTimeout
	case s.high, len(s.frames) == 0 && s.err == nil:
		h.next = nil
		return nil, t30.ErrTimeout
	case len(s.frames) == 0:
		h.next = nil
		if errors.Is(s.err, t30.ErrTimeout) {
			return nil, errors.Join(h.pass(ctx, wait), s.err)
		}
		return nil, s.err
	}
	f := s.frames[0]
	if s.frames = s.frames[1:]; len(s.frames) == 0 {
		h.next = nil
	}
	return f, h.pass(ctx, 500*time.Millisecond)
}

// carrier takes the next signal as a carrier.
func (h *hostile) carrier(ctx context.Context, wait time.Duration) (*sound, error) {
	s := h.peek()
	switch {
	case s == nil:
		return nil, t30.ErrHungUp
	case s.after > wait, errors.Is(s.err, t30.ErrTimeout):
		h.next = nil
		return nil, errors.Join(h.pass(ctx, wait), t30.ErrTimeout)
	case !s.high && len(s.frames) > 0:
		return nil, t30.ErrV21
	}
	h.next = nil
	if err := h.pass(ctx, s.after+time.Second); err != nil {
		return nil, err
	}
	if errors.Is(s.err, t30.ErrFCS) {
		s.err = t30.ErrCarrierLost
	}
	return s, nil
}

// ReceivePage implements t30.Line.
func (h *hostile) ReceivePage(ctx context.Context, _ t30.Modulation, wait time.Duration, w io.Writer) error {
	s, err := h.carrier(ctx, wait)
	if err != nil {
		return err
	}
	if _, err := w.Write(s.octets); err != nil {
		return err
	}
	return s.err
}

// ReceiveBlock implements t30.Line.
func (h *hostile) ReceiveBlock(ctx context.Context, _ t30.Modulation, wait time.Duration, f func(t30.Frame)) error {
	s, err := h.carrier(ctx, wait)
	if err != nil {
		return err
	}
	if h.gave != nil {
		h.gave(s.frames)
	}
	for _, fr := range s.frames {
		buf := bytes.Clone(fr)
		f(buf)
		clear(buf) // f must not keep it
	}
	return s.err
}

// SendTCF implements t30.Line.
func (h *hostile) SendTCF(ctx context.Context, _ t30.Modulation, d time.Duration) error {
	return h.pass(ctx, d)
}

// SendPage implements t30.Line.
func (h *hostile) SendPage(ctx context.Context, _ t30.Modulation, r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return h.pass(ctx, time.Second)
}

// SendBlock implements t30.Line.
func (h *hostile) SendBlock(ctx context.Context, _ t30.Modulation, frames []t30.Frame) error {
	for _, f := range frames {
		if !f.Valid() || len(f) > 4+256 || f.FCF() != t30.FcfFCD && f.FCF() != t30.FcfRCP {
			h.t.Errorf("a block has the frame % x", []byte(f[:min(len(f), 8)]))
		}
	}
	return h.pass(ctx, time.Second)
}

// Silence implements t30.Line.
func (h *hostile) Silence(ctx context.Context, d time.Duration) error { return h.pass(ctx, d) }

// Hangup implements t30.Line.
func (h *hostile) Hangup() error { return nil }

// fuzzCall runs one call over h in virtual time and checks what holds for every far end.
func fuzzCall(t *testing.T, h *hostile, s t30.Session, run func(context.Context, t30.Line, t30.Session) (t30.Report, error)) (rep t30.Report) {
	synctest.Test(t, func(t *testing.T) {
		h.t = t
		var log []string
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(log, "\n"))
			}
		}()
		s.Trace = func(e t30.Event) { // not the recorder: what only a fuzz input takes is no tested transition
			log = append(log, string(e.Dir)+" "+e.Text)
			if e.Layer == t30.LayerPlace && strings.Contains(e.Text, "is in no chart") {
				t.Errorf("transition %s", e.Text)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		var err error
		if rep, err = run(ctx, h, s); err != nil {
			t.Errorf("a far end makes a fault of our own: %v", err)
		}
		if ctx.Err() != nil || rep.Code == t30.CodeNone {
			t.Errorf("%v after %v", rep.Code, rep.End.Sub(rep.Start))
		}
	})
	return rep
}

// confirmOracle keeps what the engine was given of an ECM block, and knows what it may confirm.
type confirmOracle struct {
	t     *testing.T
	have  map[byte]bool // frames since the last confirmed block
	pps   []byte        // FIF of the last PPS
	heard t30.FCF       // last command
	done  []byte        // that of the last confirmed
	size  int           // of a frame, by the last DCS
	dcs   bool          // it is not answered with CFR yet
	plain bool          // it is without ECM
}

func (o *confirmOracle) gave(frames []t30.Frame) {
	for _, f := range frames {
		if f.Valid() && f.FCF() == t30.FcfFCD && len(f.FIF()) > 0 && len(f.FIF())-1 <= o.size {
			o.have[f.FIF()[0]] = true
		}
	}
}

func (o *confirmOracle) said(frames []t30.Frame) {
	switch frames[len(frames)-1].FCF() {
	case t30.FcfCFR:
		if o.dcs { // else repeated
			o.have, o.done, o.dcs = map[byte]bool{}, nil, false
		}
	case t30.FcfMCF:
		if o.plain {
			return // FuzzReceive judges pages without ECM
		}
		if len(o.have) == 0 && o.done != nil && (o.heard != t30.FcfPPS || bytes.Equal(o.done, o.pps[:3])) {
			return // confirmed before
		}
		for i := range int(o.pps[3]) + 1 {
			if !o.have[byte(i)] {
				o.t.Errorf("MCF to PPS % x, but frame %d never came", o.pps, i)
				break
			}
		}
		o.have, o.done = map[byte]bool{}, bytes.Clone(o.pps[:3])
	case t30.FcfERR:
		o.have, o.done = map[byte]bool{}, nil
	}
}

// FuzzReceiveECM: blocks, PPS, EOR, CTC, RR and all else that a sender may say after a good training with ECM. What is confirmed
// has come, and each page is finished once.
func FuzzReceiveECM(f *testing.F) {
	block := func(from, count byte) []byte { return []byte{4, 0, 1, from, count - 1, 0, 0x55, 0} }
	pps := func(second t30.FCF, page, blk, count byte) []byte {
		return []byte{1, 0, 4, byte(second), page, blk, count - 1}
	}
	cmd := func(i byte, fif ...byte) []byte { return append([]byte{1, i, byte(len(fif))}, fif...) }
	add := func(small bool, parts ...[]byte) { f.Add(small, bytes.Join(parts, nil)) }
	add(false, block(0, 10), pps(t30.FcfEOP, 0, 0, 10), cmd(6))
	add(true, block(0, 10), pps(t30.FcfNULL, 0, 0, 12), block(10, 2), pps(t30.FcfNULL, 0, 0, 2), block(0, 3), pps(t30.FcfMPS, 0, 1, 3), block(0, 2), pps(t30.FcfEOM, 1, 0, 2))
	add(false, block(0, 10), pps(t30.FcfEOP, 0, 0, 12), cmd(1), cmd(3, 0, 4), block(10, 2), pps(t30.FcfEOP, 0, 0, 2), cmd(1), cmd(6))
	add(false, block(0, 10), pps(t30.FcfEOM, 0, 0, 12), cmd(2, byte(t30.FcfEOM)), cmd(4, 0, 6, 0x70, 0x44), []byte{7, 0}, block(0, 2), pps(t30.FcfEOP, 1, 0, 2))
	add(false, block(250, 10), cmd(0), cmd(0, 1), cmd(2), []byte{0, 4, 0xff, 0x13, 0xbe, 0}, pps(t30.FcfPRP, 0, 0, 0), cmd(5), cmd(1))
	f.Fuzz(func(t *testing.T, small bool, in []byte) {
		if len(in) > 2048 {
			return
		}
		dcs := []byte{0, 0x06, 0x70, 0x44}
		o := &confirmOracle{have: map[byte]bool{}, pps: make([]byte, 4)}
		if small {
			dcs = []byte{0, 0x06, 0x70, 0x4c}
		}
		sink := &t30test.Sink{}
		h := &hostile{in: in, said: o.said, gave: o.gave, opened: []sound{
			{frames: []t30.Frame{t30.NewFrame(t30.FcfDCS, true, true, dcs...)}},
			{high: true, octets: make([]byte, 1800)},
		}}
		s := station("1")
		s.Sink = sink
		watch := &ppsWatch{Line: h, o: o}
		rep := fuzzCall(t, h, s, func(ctx context.Context, _ t30.Line, s t30.Session) (t30.Report, error) {
			o.t = h.t
			return t30.Answer(ctx, watch, s)
		})
		checkSink(t, sink, rep)
	})
}

// ppsWatch lets the oracle see each PPS and DCS that the engine hears.
type ppsWatch struct {
	t30.Line
	o *confirmOracle
}

func (w *ppsWatch) ReceiveFrame(ctx context.Context, wait time.Duration) (t30.Frame, error) {
	f, err := w.Line.ReceiveFrame(ctx, wait)
	if err != nil || !f.Valid() {
		return f, err
	}
	if f.Final() {
		w.o.heard = f.FCF()
	}
	switch fif := f.FIF(); {
	case f.FCF() == t30.FcfPPS && len(fif) >= 4:
		w.o.pps = bytes.Clone(fif)
		w.o.pps[0] = byte(t30.NewFrame(t30.FCF(fif[0]), false, true).FCF())
	case f.FCF() == t30.FcfDCS:
		w.o.size, w.o.dcs = 256, true
		w.o.plain = len(fif) <= 3 || fif[3]&0x04 == 0 // Table 2 bit 27: ECM
		if len(fif) > 3 && fif[3]&0x08 != 0 {         // Table 2 bit 28
			w.o.size = 64
		}
	}
	return f, nil
}

// checkSink holds the pages kept against the report.
func checkSink(t *testing.T, sink *t30test.Sink, rep t30.Report) {
	t.Helper()
	for i, p := range sink.Pages() {
		if !p.Done {
			t.Errorf("page %d was never finished", i+1)
		}
	}
	if n := len(sink.Kept()); n != rep.Received {
		t.Errorf("%d pages kept, report says %d (%v %s)", n, rep.Received, rep.Code, rep.Text)
	}
}

// FuzzReceive: everything a caller may say and send, from the first signal on.
func FuzzReceive(f *testing.F) {
	dcs := []byte{1, 4, 3, 0, 0x06, 0x70}
	tcf := []byte{7, 0}
	page := []byte{6, 0, 0, 0, 5}
	cmd := func(i byte) []byte { return []byte{1, i, 0} }
	for _, parts := range [][][]byte{
		{dcs, tcf, page, cmd(7), page, cmd(9), cmd(6)},
		{dcs, tcf, {6, 0, 0x99, 200, 0}, cmd(7), dcs, tcf, page, cmd(8), dcs, tcf, page, cmd(8), cmd(11)},
		{dcs, {6, 0, 1, 200, 0}, dcs, tcf, cmd(5), page, cmd(9), cmd(9), cmd(6)},
		{{1 | 16, 24, 4, '1', '2', '3', '4'}, dcs, tcf, page, cmd(10)},
		{{1, 11, 3, 0, 0x0e, 0xf0}, cmd(13), cmd(15), cmd(15)},
	} {
		f.Add(bytes.Join(parts, nil))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 2048 {
			return
		}
		sink, doc := &t30test.Sink{}, t30test.NewDocument(1, 2, 20)
		s := station("1")
		s.Sink, s.Send = sink, t30test.Docs(doc)
		rep := fuzzCall(t, &hostile{in: in}, s, t30.Answer)
		checkSink(t, sink, rep)
		if len(doc.ConfirmedPages()) != rep.Sent || len(doc.Ended()) > 1 {
			t.Errorf("confirmed %v, report says %d, ended %d times", doc.ConfirmedPages(), rep.Sent, len(doc.Ended()))
		}
	})
}

// FuzzSend: everything a receiver may answer, with and without ECM. Pages are confirmed in order, and nothing counts as sent
// that the far end did not confirm.
func FuzzSend(f *testing.F) {
	dis := []byte{1, 12, 4, 0, 0x0e, 0xf0, 0x04}
	plain := []byte{1, 12, 3, 0, 0x0e, 0xf0}
	cmd := func(i byte, fif ...byte) []byte { return append([]byte{1, i, byte(len(fif))}, fif...) }
	for _, parts := range [][][]byte{
		{dis, cmd(13), cmd(15), cmd(15), cmd(15)},
		{dis, cmd(14), cmd(13), cmd(16, 1), cmd(16, 1), cmd(16, 1), cmd(16, 1), cmd(20), cmd(15)},
		{dis, cmd(13), cmd(17), cmd(17), cmd(15), cmd(18), cmd(13), cmd(15)},
		{plain, cmd(13), cmd(18), cmd(13), cmd(19), cmd(13), cmd(22), cmd(15)},
		{plain, cmd(14), cmd(14), cmd(14), cmd(5), cmd(23), cmd(6)},
	} {
		f.Add(bytes.Join(parts, nil))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 2048 {
			return
		}
		mcf := 0
		docs := []*t30test.Document{t30test.NewDocument(1, 2, 40), t30test.NewDocument(2, 1, 40)}
		sink := &t30test.Sink{}
		s := station("1")
		s.Send, s.Sink, s.Poll = t30test.Docs(docs...), sink, &t30.Poll{}
		h := &hostile{in: in}
		rep := fuzzCall(t, h, s, func(ctx context.Context, l t30.Line, s t30.Session) (t30.Report, error) {
			return t30.Originate(ctx, &countMCF{Line: l, n: &mcf}, s)
		})
		checkSink(t, sink, rep)
		confirmed := 0
		for _, d := range docs {
			confirmed += len(d.ConfirmedPages())
			through := append(d.ConfirmedPages(), d.RefusedPages()...)
			slices.Sort(through)
			for i, n := range through {
				if n != i+1 {
					t.Errorf("pages %v are through", through)
				}
			}
			if len(d.Ended()) > 1 {
				t.Errorf("ended %d times", len(d.Ended()))
			}
		}
		if confirmed != rep.Sent || rep.Sent > mcf {
			t.Errorf("%d pages confirmed by %d signals, report says %d", confirmed, mcf, rep.Sent)
		}
	})
}

// countMCF counts the signals that may confirm a page.
type countMCF struct {
	t30.Line
	n *int
}

func (c *countMCF) ReceiveFrame(ctx context.Context, wait time.Duration) (t30.Frame, error) {
	f, err := c.Line.ReceiveFrame(ctx, wait)
	switch {
	case err != nil:
	case f.FCF() == t30.FcfMCF, f.FCF() == t30.FcfRTP, f.FCF() == t30.FcfPIP:
		*c.n++
	}
	return f, err
}
