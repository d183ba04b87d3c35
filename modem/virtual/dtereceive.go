package virtual

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/tipring/tipring/t30"
)

// dteSink gives received pages to the DTE: each after its +FDR.
type dteSink struct{ f *faxCall }

// inPage is one received page. Guarded by ex.mu.
type inPage struct {
	f       *faxCall
	told    bool   // CONNECT given
	trigger bool   // the DTE wants the data
	buf     []byte // waits for that
	post    t30.FCF
	asked   bool // the DTE knows the post-message command, and has answered
	eols    eolScan
	format  t30.PageFormat
	checked []byte // of a page whose lines are to be judged
}

// BeginPage implements t30.PageSink. For the first page the DTE is told of the sender, and its +FDR lets CFR go.
func (s *dteSink) BeginPage(ctx context.Context, _ t30.Remote, format t30.PageFormat) (t30.PageWriter, error) {
	f := s.f
	p := &inPage{f: f, eols: eolScan{mr: format.Coding == t30.MR}, format: format}
	f.with(func() {
		f.in = p
		if !f.fdr && f.current() {
			if _, ok := f.m.act.(*waiting); ok {
				f.tell()
				f.m.finish(resOK)
			}
		}
	})
	if err := f.await(ctx, func() bool { return f.fdr }); err != nil {
		return nil, err
	}
	return p, nil
}

// carrierUp is called when a page's carrier has trained: CONNECT. The exchange is locked.
func (f *faxCall) carrierUp() {
	p := f.in
	if p == nil || p.told || !f.fdr || !f.current() {
		return
	}
	p.told = true
	f.tell()
	f.m.act = &dteReceives{p: p}
	f.m.result(resConnect)
}

// postMessage takes notice of a post-message command. The exchange is locked.
func (f *faxCall) postMessage(c t30.FCF) {
	if f.in != nil && f.in.told {
		f.in.post = c
	}
}

// portRoom is how much the modem has on its way to the DTE at most before it takes more off the line.
const portRoom = 16 << 10

// Write implements t30.PageWriter.
func (p *inPage) Write(b []byte) (int, error) {
	f := p.f
	for n := 0; n < len(b); {
		piece := b[n:min(len(b), n+4096)]
		err := f.until(f.ctx, 0, f.stopped, func() bool {
			if p.trigger && f.m.port != nil && f.m.port.unread > portRoom {
				return false
			}
			p.take(piece)
			return true
		})
		if err != nil {
			return n, err
		}
		n += len(piece)
	}
	return len(b), nil
}

// take takes octets off the line. The exchange is locked.
func (p *inPage) take(b []byte) {
	p.eols.push(b)
	if len(p.buf)+len(b) > maxOctets {
		p.f.m.stats.Overruns += int64(len(b))
		return
	}
	p.buf = append(p.buf, b...)
	if p.checks() {
		p.checked = append(p.checked, b...)
	}
	if p.trigger {
		p.flush()
	}
}

// flush gives the DTE what there is. The exchange is locked.
func (p *inPage) flush() {
	m := p.f.m
	reverse := (m.set.t2.bor&1 != 0) != (m.opts.ReversedReceive && !p.f.d.inband)
	out := make([]byte, 0, len(p.buf)+len(p.buf)/64)
	for _, c := range p.buf {
		if reverse {
			c = bits.Reverse8(c)
		}
		if c == dle && !m.opts.BareDLE {
			out = append(out, dle)
		}
		out = append(out, c)
	}
	p.buf = p.buf[:0]
	m.emit(out)
}

// ask ends the page's data, tells the DTE of it and of the post-message command, and waits for its +FDR; +FPTS before it may refuse the page.
func (p *inPage) ask(ctx context.Context) error {
	f := p.f
	p.asked = true
	err := f.await(ctx, func() bool { return p.trigger })
	if err != nil {
		return err
	}
	f.with(func() {
		if !f.current() {
			return
		}
		if p.eols.returned() { // what a demodulator makes of a carrier's end; see pageTail
			p.buf = append(p.buf, make([]byte, pageTail)...)
		}
		p.flush()
		f.fdr = false
		m := f.m
		q := p.judge()
		m.held = []byte{dle, etx}
		m.info(fmt.Sprintf("%s%d,%d,%d,%d", f.d.ptsTold, m.set.t2.pts, q.lines, q.bad, q.longest))
		m.info(fmt.Sprintf("%s%d", f.d.et, followNumber(p.post)))
		if f.d.inband && m.set.t2.pts == 2 { // T.32: the result tells of a bad page
			m.finish(resError)
			return
		}
		m.finish(resOK)
	})
	return f.await(ctx, func() bool { return f.fdr })
}

// checks tells whether the lines are judged: of MH and MR (MMR comes with error correction only), and with 8 elements per mm.
func (p *inPage) checks() bool {
	m, r := p.f.m, p.format.Resolution
	return m.opts.ChecksCopy && m.set.t2.remembered("+FCQ", 0) > 0 && p.format.Coding <= t30.MR && len(p.checked) < maxPage &&
		(r == t30.Standard || r == t30.Fine || r == t30.Superfine)
}

// maxPage bounds what is judged of a page, in octets.
const maxPage = 2 << 20

// Judgement of the modem's own (SP-2388 8.5.2.4, 8.5.2.5): RTN for one bad line in 20, or 10 in a row.
const (
	badMultiplier = 20
	badLinesInRow = 10
)

// judge sets the page status that the modem thinks right. The exchange is locked.
func (p *inPage) judge() copyQuality {
	t := &p.f.m.set.t2
	t.pts = 1
	if p.checked == nil {
		return copyQuality{lines: p.eols.lines()}
	}
	q := checkCopy(p.checked, p.format.Coding == t30.MR, pels(p.format.Width))
	t.pts = q.verdict(t.remembered("+FBADMUL", badMultiplier), t.remembered("+FBADLIN", badLinesInRow))
	return q
}

// pels are the picture elements of a line at 8 per mm (T.4 Table 1).
func pels(w t30.Width) int {
	return map[t30.Width]int{t30.WidthA4: 1728, t30.WidthB4: 2048, t30.WidthA3: 2432}[w]
}

// Sync implements t30.PageWriter.
func (p *inPage) Sync(context.Context) error { return nil }

// Quality implements t30.PageWriter: what the DTE makes of the page, once its post-message command is in.
func (p *inPage) Quality() t30.Quality {
	f := p.f
	var asks bool
	f.with(func() { asks = p.post != 0 && !p.asked })
	if asks {
		if err := p.ask(f.ctx); err != nil {
			return t30.Quality{Lines: 1}
		}
	}
	status := 1
	f.with(func() { status = f.m.set.t2.pts })
	q := t30.Quality{Lines: 100}
	switch status {
	case 2, 4: // RTN, PIN
		q.BadLines, q.LongestBad = 50, 50
	case 3: // RTP
		q.BadLines = 4
	}
	return q
}

// Finish implements t30.PageWriter. With ECM the DTE is asked here; meanwhile the engine answers RNR.
func (p *inPage) Finish(ctx context.Context, v t30.Verdict) error {
	f := p.f
	var asks bool
	f.with(func() { asks = p.post != 0 && !p.asked && v == t30.Good })
	var err error
	switch {
	case asks && f.m.opts.DeadECM:
		return errDeadECM
	case asks:
		err = p.ask(ctx)
	}
	f.with(func() {
		if f.in == p && (p.asked || !p.told) {
			f.in = nil
		}
	})
	return err
}

// errDeadECM ends a call in which a modem would have to confirm a page received with error correction.
var errDeadECM = errors.New("virtual: no confirmation with error correction")

// dteReceives is the activity of a DTE that takes page data after +FDR.
type dteReceives struct{ p *inPage }

// input: DC1 or DC2 starts the data, CAN ends the call.
func (a *dteReceives) input(b []byte) int {
	f := a.p.f
	for _, c := range b {
		switch {
		case c == can:
			f.aborted = true
			f.hungUp(hangAborted)
			return len(b)
		case f.m.triggers(f.d, c):
			a.p.trigger = true
			a.p.flush()
			f.notify()
		}
	}
	return len(b)
}

func (a *dteReceives) heard()   {}
func (a *dteReceives) dropped() {}
func (a *dteReceives) stop()    {}

// Triggers of reception.
const (
	dc1 = xon
	dc2 = 0x12
)

// triggers tells whether c starts the data of a received page.
func (m *Modem) triggers(d *dialect, c byte) bool {
	if t := m.opts.Trigger; t != 0 && !d.inband {
		return c == t
	}
	return c == dc2 || c == dc1 && !d.inband
}
