package virtual

import (
	"context"
	"errors"
	"time"

	"github.com/tipring/tipring/t30"
)

// faxCall is a call in Class 2, 2.0 or 2.1: the modem's firmware runs T.30, here the engine of package t30 in a goroutine of its own, and
// the DTE steers it with orders: +FDT, +FDR, +FET, +FK. The engine's sources and sinks wait for them.
type faxCall struct {
	m      *Modem
	d      *dialect
	caller bool
	ctx    context.Context
	cancel context.CancelFunc
	line   *air
	cng    *tone

	// All below is guarded by ex.mu; changed is closed, and made anew, with each change.
	changed chan struct{}
	gone    bool // the exchange dropped the line
	aborted bool // +FK, CAN
	closing bool // the engine has hung up
	cause   hangCode
	told    bool // +FCON given
	sending bool // the modem sends pages
	fdt     bool // ordered and not yet answered with CONNECT
	fdr     bool
	reports []string // of the signal that is acted on, not yet told
	far     heardStation

	out     *outPage
	retrain bool        // RTN or RTP came: a DCS goes before the next page, once the DTE orders it
	refused bool        // it was RTN
	follow  t30.FCF     // the post-message command ordered last
	turn    bool        // after EOM the DTE wants to receive
	carrier *modulation // with ECM, that of the blocks being sent
	ppr     int         // what became of the page sent last: +FPTS
	in      *inPage
}

var (
	errAborted = errors.New("virtual: the DTE gave the call up")
	errNoDTE   = errors.New("virtual: the DTE did not go on in time")
)

// phaseCLimit is the least that the modem waits for its DTE between two orders, wall time: on a busy machine +FPHCTO's 3 s are no time.
const phaseCLimit = 30 * time.Second

// waiting is the activity of a modem whose DTE has to wait for the call: for +FCON, for CONNECT, for +FPTS.
type waiting struct{ f *faxCall }

// input: before the answer any octet aborts dialing; later what comes is thrown away.
func (a *waiting) input(b []byte) int {
	if a.f.caller && !a.f.told {
		m := a.f.m
		m.hangup()
		m.finish(resNoCarrier)
		return 1
	}
	return len(b)
}

func (a *waiting) heard()   {}
func (a *waiting) dropped() {} // the engine finds out and ends the call
func (a *waiting) stop()    {}

// startFax begins a call that is through, for the caller after the answer, for the answerer after CED.
func (m *Modem) startFax(d *dialect, caller bool, left time.Duration) {
	f := &faxCall{m: m, d: d, caller: caller, changed: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.line = &air{f: f}
	m.fax = f
	m.hung = nil
	m.set.class = d.class // after an adaptive answer it is not yet
	m.start(&waiting{f: f})
	m.set.t2.is = m.set.t2.cc.within(m.set.t2.is)
	if caller {
		f.cng = &tone{m: m, mod: toneCNG, on: cngOn, cycle: cngCycle}
		f.cng.start()
		go f.originate(left)
		return
	}
	go f.answer()
}

// notify tells all that wait of a change. The exchange is locked.
func (f *faxCall) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// with runs do with the exchange locked.
func (f *faxCall) with(do func()) {
	f.m.ex.mu.Lock()
	defer f.m.ex.mu.Unlock()
	do()
}

// current tells whether the call is still the modem's. The exchange is locked.
func (f *faxCall) current() bool { return f.m.fax == f }

// stopped is why nobody is to wait any more. The exchange is locked.
func (f *faxCall) stopped() error {
	switch {
	case f.aborted:
		return errAborted
	case f.gone, f.closing, !f.current():
		return t30.ErrHungUp
	}
	return nil
}

// dropped is stopped for what goes on when the DTE has given the call up: its last signals. The exchange is locked.
func (f *faxCall) dropped() error {
	if f.gone || f.closing || !f.current() {
		return t30.ErrHungUp
	}
	return nil
}

// until waits until cond holds or stop returns an error; both are called with the exchange locked. d bounds the wait, 0: for ever; then
// t30.ErrTimeout.
func (f *faxCall) until(ctx context.Context, d time.Duration, stop func() error, cond func() bool) error {
	var late <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		late = t.C
	}
	for {
		f.m.ex.mu.Lock()
		ok, err, ch := cond(), stop(), f.changed
		f.m.ex.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ch:
		case <-late:
			return t30.ErrTimeout
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// await waits for something that the DTE is to do.
func (f *faxCall) await(ctx context.Context, cond func() bool) error {
	var d time.Duration
	f.with(func() { d = max(phaseCLimit, time.Duration(f.m.set.t2.cto)*100*time.Millisecond) })
	err := f.until(ctx, d, f.stopped, cond)
	if err == t30.ErrTimeout {
		f.with(func() { f.cause = f.slowCause() })
		return errNoDTE
	}
	return err
}

// slowCause is the code for a DTE that let the modem wait too long.
func (f *faxCall) slowCause() hangCode {
	switch {
	case !f.sending:
		return hangRcvPhaseC
	case f.out != nil && !f.out.ended:
		return hangUnderflow
	}
	return hangPhaseD
}

// connectTold reports the fax connection, once. The exchange is locked.
func (f *faxCall) connectTold() {
	if f.told || !f.current() {
		return
	}
	f.told = true
	f.cng.stop()
	f.cng = nil
	f.m.info(f.d.con)
}

// tell gives the reports that are due. The exchange is locked.
func (f *faxCall) tell() {
	for _, r := range f.reports {
		f.m.info(r)
	}
	f.reports = nil
}

// originate identifies the called station and then, as the DTE orders, sends or polls. left is the time that S7 leaves.
func (f *faxCall) originate(left time.Duration) {
	frames, err := f.identify(left)
	if err != nil {
		f.notFax(err)
		return
	}
	var receive bool
	f.with(func() {
		if f.current() {
			f.tell()
			f.m.finish(resOK)
		}
	})
	err = f.until(f.ctx, 0, f.stopped, func() bool { receive = f.fdr; return f.fdt || f.fdr })
	if err != nil {
		f.refuse(err)
		return
	}
	s := f.pollSession()
	if !receive {
		f.with(func() {
			s = f.session()
			s.Send, f.sending = &dteDocuments{f: f}, true
		})
	}
	f.line.replay = frames
	rep, _ := t30.Originate(f.ctx, f.line, s)
	if f.turned() {
		rep, _ = t30.Originate(f.ctx, f.line, f.pollSession())
	}
	f.end(rep)
}

// turned makes the call one in which the modem polls: the engine begins anew with the DIS that came after EOM.
func (f *faxCall) turned() (ok bool) {
	f.with(func() {
		if ok = f.turn && f.dropped() == nil; ok {
			f.line = &air{f: f, replay: f.line.signal}
			f.turn, f.sending, f.follow, f.out = false, false, 0, nil
		}
	})
	return ok
}

// pollSession is the session of a call in which the modem polls.
func (f *faxCall) pollSession() (s t30.Session) {
	f.with(func() {
		s = f.session()
		s.Poll, s.Sink = &t30.Poll{Selective: f.m.set.t2.sep, Password: f.m.set.t2.pwd}, &dteSink{f: f}
		s.Me.ID = f.m.set.t2.pid
	})
	return s
}

// answer runs the answering side.
func (f *faxCall) answer() {
	var s t30.Session
	f.with(func() {
		s = f.session()
		if f.m.set.t2.receive {
			s.Sink = &dteSink{f: f}
		}
		if f.m.set.t2.offer {
			s.Send = &dteDocuments{f: f}
		}
	})
	rep, _ := t30.Answer(f.ctx, f.line, s)
	f.end(rep)
}

// session is what the DTE's parameters ask for. The exchange is locked.
func (f *faxCall) session() t30.Session {
	t := &f.m.set.t2
	return t30.Session{
		Me:    t30.Station{ID: t.lid, Subaddress: t.sub, Password: t.pwd},
		Limit: t.is.limit(), NoECM: t.is[paramEC] == 0,
		Trace: f.trace,
	}
}

// trace puts the engine's flow into the exchange's.
func (f *faxCall) trace(e t30.Event) {
	if e.Layer != t30.LayerFrame {
		return
	}
	f.with(func() { f.m.trace(Event{Kind: EventFrame, Text: string(e.Dir) + " " + e.Text}) })
}

// identify listens for the called station's DIS (T.30 5.4.3.1) and returns the frames of its signal.
func (f *faxCall) identify(left time.Duration) (frames []t30.Frame, err error) {
	deadline := time.Now().Add(f.m.ex.wall(left))
	for {
		d := time.Until(deadline)
		if d <= 0 {
			return nil, t30.ErrTimeout
		}
		fr, err := f.line.ReceiveFrame(f.ctx, d)
		switch {
		case errors.Is(err, t30.ErrFCS), errors.Is(err, t30.ErrCarrierLost):
			frames = nil
			continue
		case err != nil:
			return nil, err
		case !fr.Valid():
			continue
		}
		if frames = append(frames, fr); !fr.Final() {
			continue
		}
		switch fr.FCF() {
		case t30.FcfDIS:
			return frames, nil
		case t30.FcfDCN:
			return nil, errAborted
		}
		frames = nil
	}
}

// notFax ends a call in which no DIS came.
func (f *faxCall) notFax(err error) {
	f.with(func() {
		if !f.current() {
			return
		}
		switch {
		case !f.told: // nobody there, or no fax
			f.finished()
			f.m.finish(resNoCarrier)
		case errors.Is(err, t30.ErrTimeout):
			f.hungUp(hangT1)
		default:
			f.hungUp(hangPhaseB)
		}
	})
}

// refuse ends a call that the DTE gave up before it ordered anything, or did not go on with.
func (f *faxCall) refuse(err error) {
	if errors.Is(err, errAborted) {
		_ = f.line.SendFrames(f.ctx, t30.NewFrame(t30.FcfDCN, true, true)) // the line may be gone meanwhile
	}
	f.with(func() {
		c := hangAborted
		if errors.Is(err, t30.ErrHungUp) {
			c = hangPhaseB
		}
		f.hungUp(c)
	})
}

// end reports how the call ended.
func (f *faxCall) end(rep t30.Report) {
	f.with(func() {
		c := hangCodeOf(rep.Code, f.sending, f.follow)
		if c == hangRcvPhaseB && f.in != nil && f.in.told {
			c = hangRcvPhaseC
		}
		switch {
		case f.cause != 0:
			c = f.cause
		case f.aborted:
			c = hangAborted
		case f.refused && c == hangNormal: // RTN to EOP, of which the engine has made RTP
			c = hangPhaseD
		case f.gone && rep.Code == t30.CodeSource:
			c = hangPhaseD
		}
		f.hungUp(c)
	})
}

// finished takes the call off the modem. The exchange is locked.
func (f *faxCall) finished() {
	f.closing = true
	f.m.hangup()
	f.m.fax = nil
	f.cancel()
	f.notify()
}

// hungUp ends the call and tells the DTE, at once if it waits, else in answer to its next order. The exchange is locked.
func (f *faxCall) hungUp(c hangCode) {
	m := f.m
	if !f.current() {
		return
	}
	f.finished()
	m.set.t2.is = m.set.t2.cc
	m.trace(Event{Kind: EventOutcome, Text: f.d.hangUp(c)})
	switch a := m.act.(type) {
	case *dteSends:
		if !a.p.ended {
			m.dump.startFor(f.d.inband)
		}
	case *dteReceives:
		a.p.flush()
		m.held = []byte{dle, etx}
	case nil:
		m.hung = &hungUp{f.d, c}
		return
	}
	m.info(f.d.hangUp(c))
	m.finish(resOK)
}

// hungUp is an end of a call that the DTE does not know of yet.
type hungUp struct {
	d *dialect
	c hangCode
}

// order hands an order of the DTE to the call, which answers later. The exchange is locked.
func (f *faxCall) order(set func()) status {
	set()
	f.m.start(&waiting{f: f})
	f.notify()
	return pending
}

// lineGone is called when the exchange has dropped the line.
func (f *faxCall) lineGone() {
	f.gone = true
	f.cng.stop()
	f.notify()
}

// stop ends the call without a word: the modem went on hook by another command. The exchange is locked.
func (f *faxCall) stop() {
	f.closing = true
	f.cng.stop()
	f.cancel()
	f.notify()
}
