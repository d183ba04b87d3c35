package virtual

import (
	"context"
	"errors"
	"io"
	"math/bits"

	"github.com/tipring/tipring/t30"
)

// dteDocuments are the documents that the DTE sends: +FET=1 parts them.
type dteDocuments struct {
	f     *faxCall
	given int
}

// Next implements t30.Documents.
func (d *dteDocuments) Next(ctx context.Context, _ t30.Remote) (t30.PageSource, error) {
	f := d.f
	if d.given == 0 {
		if f.caller {
			d.given++
			return &dteDocument{f: f}, nil
		}
		return d.polled(ctx)
	}
	var follow t30.FCF
	if err := f.until(ctx, 0, f.stopped, func() bool { follow = f.follow; return follow != 0 }); err != nil {
		return nil, err
	}
	if follow != t30.FcfEOM {
		return nil, io.EOF
	}
	d.given++
	return &dteDocument{f: f}, nil
}

// polled tells the DTE that the caller asks for its document.
func (d *dteDocuments) polled(ctx context.Context) (t30.PageSource, error) {
	f := d.f
	f.with(func() {
		if f.current() {
			f.sending = true
			f.tell()
			f.m.finish(resOK)
		}
	})
	if err := f.await(ctx, func() bool { return f.fdt }); err != nil {
		return nil, err
	}
	d.given++
	return &dteDocument{f: f}, nil
}

// dteDocument is one of them.
type dteDocument struct {
	f    *faxCall
	page *outPage // opened last
}

// Page implements t30.PageSource: the page that the DTE's next +FDT brings. While page n is on the line it is asked for page n+1, and for one that
// waits again when the rate has changed; for page n again if the far end began anew in place of an answer.
func (d *dteDocument) Page(ctx context.Context, n int, limit t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	f := d.f
	next := &outPage{f: f, n: n}
	switch before := d.page; {
	case before == nil:
	case n == before.n && !before.connected:
		next.format = before.format
	case n == before.n+1:
		var follow t30.FCF
		if err := f.until(ctx, 0, f.stopped, func() bool { follow = f.follow; return f.out == before && follow != 0 }); err != nil {
			return t30.PageFormat{}, nil, err
		}
		if follow != t30.FcfMPS {
			return t30.PageFormat{}, nil, io.EOF
		}
		next.format = before.format
	default:
		f.with(func() { f.pageEnded(2) })
	}
	d.page = next
	if err := f.await(ctx, func() bool { return next.format != (t30.PageFormat{}) && !f.retrain || f.fdt || f.turn }); err != nil {
		return t30.PageFormat{}, nil, err
	}
	if f.turns() {
		return t30.PageFormat{}, nil, errTurned
	}
	f.with(func() {
		if f.fdt { // a DCS goes before it, with what the DTE's +FDT asks for
			next.format = f.m.set.t2.is.format(limit)
		}
	})
	return next.format, &pageReader{ctx: ctx, p: next}, nil
}

// errTurned ends a run of the engine, not the call: the DTE polls after it has sent.
var errTurned = errors.New("virtual: the DTE polls now")

// turns tells whether the DTE wants to receive, and takes the line from the engine.
func (f *faxCall) turns() (yes bool) {
	f.with(func() {
		if yes = f.turn; yes {
			f.line.off = true
		}
	})
	return yes
}

// Sent implements t30.PageSource.
func (d *dteDocument) Sent(int) error { return nil }

// Confirmed implements t30.PageSource.
func (d *dteDocument) Confirmed(_ int, r t30.PageResult) error {
	f := d.f
	f.with(func() {
		switch {
		case f.refused:
			f.pageEnded(2)
		case r.Poor:
			f.pageEnded(3)
		default:
			f.pageEnded(1)
		}
	})
	return nil
}

// Refused implements t30.PageSource.
func (d *dteDocument) Refused(int, t30.PageResult) error {
	d.f.with(func() { d.f.pageEnded(2) })
	return nil
}

// End implements t30.PageSource.
func (d *dteDocument) End(t30.Report) error { return nil }

// pageEnded tells the DTE what became of its page: 1 MCF, 2 RTN, 3 RTP. After the last page the hang-up follows. The exchange is locked.
func (f *faxCall) pageEnded(ppr int) {
	if _, ok := f.m.act.(*waiting); !ok || !f.current() {
		return
	}
	f.ppr, f.m.set.t2.ppr = ppr, ppr
	if !f.d.inband {
		f.m.info(f.d.ptsTold + string(rune('0'+ppr)))
	}
	switch {
	case f.d.inband && ppr == 2: // T.32: the result code tells; of a hang-up the DTE hears with its next order
		f.m.finish(resError)
	case f.follow != t30.FcfEOP:
		f.m.finish(resOK)
	}
}

// outPage is one page of the DTE's.
type outPage struct {
	f      *faxCall
	n      int // in its document
	format t30.PageFormat

	// Guarded by ex.mu.
	connected bool // CONNECT given
	ended     bool // the DTE has sent all of it
	acked     bool // and knows that it was taken
	closed    bool // return to control is added
	buf       []byte
	eols      eolScan
}

// pageReader is the engine's side of it.
type pageReader struct {
	ctx context.Context
	p   *outPage
}

func (r *pageReader) Close() error { return nil }

// Read brings CONNECT about, and then what the DTE sends. It ends once the DTE has said what follows the page.
func (r *pageReader) Read(b []byte) (n int, err error) {
	p, f := r.p, r.p.f
	if len(b) == 0 {
		return 0, nil
	}
	eof := false
	err = f.await(r.ctx, func() bool {
		if f.stopped() != nil || !p.connected && !p.connect() {
			return false
		}
		if n = copy(b, p.buf); n > 0 {
			p.buf = append(p.buf[:0], p.buf[n:]...)
			if p.format.Coding == t30.MMR && f.m.opts.CorruptMMR {
				b[n/2] ^= 0x5A
			}
			f.m.pace(len(p.buf))
			f.m.wake()
			return true
		}
		eof = p.finished()
		if n = copy(b, p.buf); n > 0 { // return to control
			p.buf = p.buf[n:]
			eof = false
		}
		return n > 0 || eof
	})
	if eof {
		err = io.EOF
	}
	return n, err
}

// connect answers +FDT. The exchange is locked.
func (p *outPage) connect() bool {
	f := p.f
	if !f.fdt {
		return false
	}
	f.fdt, f.follow, f.out, p.connected = false, 0, p, true
	f.retrain, f.refused = false, false
	p.eols.mr = p.format.Coding == t30.MR
	f.tell()
	p.takes()
	if f.carrier != nil {
		f.line.beginBlock(f.carrier)
	}
	return true
}

// takes lets the DTE send page data. The exchange is locked.
func (p *outPage) takes() {
	f := p.f
	a := &dteSends{p: p, un: pageUnshield{inband: f.d.inband}}
	f.m.act, f.m.xoff = a, false
	f.m.result(resConnect)
	if f.d.xon && !f.m.opts.NoXON {
		f.m.emit([]byte{xon})
	}
	a.rearm()
}

// resume is +FDT after the end of data that no post-message command followed: more of the same page. The exchange is locked.
func (p *outPage) resume() {
	p.ended, p.acked = false, false
	p.takes()
	p.f.notify()
}

// finished goes on when the page's last octet has been taken: true when there is nothing more. The exchange is locked.
func (p *outPage) finished() bool {
	f := p.f
	if !p.ended {
		return false
	}
	if !p.acked {
		p.acked = true
		if f.follow != 0 {
			f.m.start(&waiting{f: f})
		} else {
			f.m.finish(resOK)
		}
	}
	if f.follow == 0 {
		return false
	}
	if !p.closed {
		p.closed = true
		p.buf = p.returnToControl()
	}
	return len(p.buf) == 0
}

// pageTail is the zeros after return to control. Field: efax takes a page for cut off that ends in the very bit of it.
const pageTail = 3

// returnToControl is what the modem ends a page of MH or MR with (T.4 4.1.4), unless the DTE did.
func (p *outPage) returnToControl() []byte {
	if p.format.Coding == t30.MMR || !p.eols.begins {
		return nil
	}
	var k bitPacker
	for range 6 {
		if p.f.m.opts.NoRTC || p.eols.returned() {
			break
		}
		for range 11 {
			k.bit(false)
		}
		k.bit(true)
		if p.format.Coding == t30.MR {
			k.bit(true)
		}
	}
	for k.n > 0 {
		k.bit(false)
	}
	return append(k.full, make([]byte, pageTail)...)
}

// blockBuffer is a modem's buffer with ECM: a block is on the line while the DTE sends the next one.
const blockBuffer = 128 << 10

// dteSends is the activity of a DTE that sends page data after +FDT.
type dteSends struct {
	p     *outPage
	un    pageUnshield
	timer *timer
}

// rearm watches for a DTE that does not go on.
func (a *dteSends) rearm() {
	f := a.p.f
	a.timer.stop()
	a.timer = f.m.ex.afterWall(phaseCLimit, func() {
		if len(a.p.buf) > 0 {
			a.rearm()
			return
		}
		f.cause, f.aborted = hangUnderflow, true
		f.notify()
	})
}

// input takes page data.
func (a *dteSends) input(b []byte) int {
	p, f := a.p, a.p.f
	n := 0
	room := f.m.opts.Buffer
	if f.carrier != nil {
		room = max(room, blockBuffer)
	}
	for n < len(b) && !p.ended && (len(p.buf) < room || f.m.loses(len(p.buf))) {
		had, lost := len(p.buf), f.m.loses(len(p.buf))
		var end byte
		p.buf, end = a.un.octet(p.buf, b[n])
		if lost {
			f.m.stats.Lost += int64(len(p.buf) - had)
			p.buf = p.buf[:had]
		}
		for i := had; i < len(p.buf); i++ {
			if f.m.set.t2.bor&1 != 0 {
				p.buf[i] = bits.Reverse8(p.buf[i])
			}
		}
		p.eols.push(p.buf[had:])
		n++
		if end != 0 {
			p.end(end)
		}
	}
	if n > 0 {
		f.m.pace(len(p.buf))
		f.notify()
		if p.ended {
			a.timer.stop()
		} else {
			a.rearm()
		}
	}
	return n
}

func (a *dteSends) heard()   {}
func (a *dteSends) dropped() {}
func (a *dteSends) stop()    { a.timer.stop() }

// end takes the end of the page's data. The exchange is locked.
func (p *outPage) end(how byte) {
	p.ended = true
	if !p.f.d.inband {
		return
	}
	switch how {
	case ppmMPS:
		p.f.follow = t30.FcfMPS
	case ppmEOM:
		p.f.follow = t30.FcfEOM
	case ppmEOP:
		p.f.follow = t30.FcfEOP
	}
}

// pageUnshield takes the shielding from page data: DLE DLE, and the ends of SP-2388 or T.32 8.3.3.7.
type pageUnshield struct {
	inband  bool
	escaped bool
}

// octet takes one octet of the DTE and appends what it stands for to out; end is the one after DLE that ended the page, else 0.
func (u *pageUnshield) octet(out []byte, b byte) (_ []byte, end byte) {
	if !u.escaped {
		if b == dle {
			u.escaped = true
			return out, 0
		}
		return append(out, b), 0
	}
	u.escaped = false
	switch {
	case b == dle:
		return append(out, dle), 0
	case b == sub && u.inband:
		return append(out, dle, dle), 0
	case b == etx, u.inband && (b == ppmMPS || b == ppmEOM || b == ppmEOP):
		return out, b
	}
	return out, 0
}
