package virtual

import (
	"errors"
	"io"
	"time"
)

// DTE is the computer's end of a modem's serial port.
type DTE interface {
	io.ReadWriteCloser
	// SetDTR raises or drops DTR; dropping it does what AT&D says, by default hang up.
	SetDTR(on bool) error
}

var (
	errClosed = errors.New("virtual: port closed")
	errPurged = errors.New("virtual: write purged")
)

// maxUnread is how many octets for the DTE the modem keeps; more are lost and counted.
const maxUnread = 64 << 10

// serialSlack is what a serial line makes good that this program came too late for, wall time: on a busy machine the pauses
// between pieces get longer, but a UART would not have waited.
const serialSlack = 100 * time.Millisecond

// Port is a [DTE]: paced like the serial line it stands for. Read and Write may be called from different goroutines;
// Close ends both.
type Port struct {
	m    *Modem
	done chan struct{} // closed by shut
	rd   chan struct{} // something to read, maybe
	wr   chan struct{} // room to write, maybe
	turn chan struct{} // held by the one writer; a mutex would stop a synctest bubble's clock

	// Guarded by ex.mu.
	err    error // after shut
	dtr    bool
	out    []outChunk
	unread int
	outEnd time.Time // when the last octet to the DTE has gone
	inEnd  time.Time // the same for octets from the DTE
	purged int       // calls of Purge
}

type outChunk struct {
	due  time.Time
	data []byte
}

// Open opens the modem's serial port and raises DTR. It can be opened again after Close.
func (m *Modem) Open() (DTE, error) {
	m.ex.mu.Lock()
	defer m.ex.mu.Unlock()
	switch {
	case m.ex.closed:
		return nil, errClosed
	case m.unplugged:
		return nil, ErrUnplugged
	case m.port != nil:
		return nil, ErrOpen
	}
	p := &Port{m: m, done: make(chan struct{}), rd: make(chan struct{}, 1), wr: make(chan struct{}, 1), turn: make(chan struct{}, 1), dtr: true}
	m.port = p
	m.reader = lineReader{}
	m.trace(Event{Kind: EventOpen})
	return p, nil
}

// octetTime is the wall time of n octets, ten bits each.
func (p *Port) octetTime(n int) time.Duration {
	return p.m.ex.wall(time.Duration(n) * 10 * time.Second / time.Duration(p.m.opts.Baud))
}

// piece is how many octets are handed over at a time: about 6 ms of wall time at most, so that pacing needs no
// timer for every octet.
func (p *Port) piece() int {
	return max(64, min(1024, int(64*p.m.ex.opts.Speed)))
}

// Write sends b to the modem. It returns when the modem has taken everything, so it waits while the modem's buffer is
// full (flow control).
func (p *Port) Write(b []byte) (int, error) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.m.ex.mu.Lock()
	purged := p.purged
	p.m.ex.mu.Unlock()
	sent := 0
	for sent < len(b) {
		n, err := p.writePiece(b[sent:min(len(b), sent+p.piece())], purged)
		sent += n
		if err == errPurged {
			return len(b), nil
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// Purge discards what a running Write still has to hand over; that Write returns as if all had been sent. What is in
// the modem's own buffer stays.
func (p *Port) Purge() error {
	p.m.ex.mu.Lock()
	defer p.m.ex.mu.Unlock()
	p.purged++
	p.wakeWriter()
	return p.err
}

func (p *Port) writePiece(b []byte, purged int) (int, error) {
	mu := &p.m.ex.mu
	mu.Lock()
	if now := time.Now(); now.Sub(p.inEnd) > serialSlack {
		p.inEnd = now
	}
	p.inEnd = p.inEnd.Add(p.octetTime(len(b)))
	wait := time.Until(p.inEnd)
	mu.Unlock()
	if !p.sleep(max(wait, 0), nil) { // a time that has passed meanwhile is no "for ever"
		return 0, p.closed()
	}
	sent := 0
	for {
		mu.Lock()
		if p.err != nil {
			mu.Unlock()
			return sent, p.closed()
		}
		if p.purged != purged {
			mu.Unlock()
			return sent, errPurged
		}
		sent += p.m.input(b[sent:])
		mu.Unlock()
		if sent == len(b) {
			return sent, nil
		}
		if !p.sleep(-1, p.wr) {
			return sent, p.closed()
		}
	}
}

// Read returns what the modem has sent, at the serial line's pace.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		p.m.ex.mu.Lock()
		n, wait := p.take(b)
		p.m.ex.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if !p.sleep(wait, p.rd) {
			return 0, p.closed()
		}
	}
}

// take copies what has arrived, or tells how long the next octets take; -1: none are on their way. A chunk is parted only
// when b is too small for all of it.
func (p *Port) take(b []byte) (n int, wait time.Duration) {
	now := time.Now()
	for len(p.out) > 0 && n < len(b) {
		c := &p.out[0]
		if d := c.due.Sub(now); d > 0 {
			return p.taken(n), d
		}
		if n > 0 && len(c.data) > len(b)-n {
			break
		}
		k := copy(b[n:], c.data)
		n += k
		if c.data = c.data[k:]; len(c.data) == 0 {
			p.out = p.out[1:]
		}
	}
	return p.taken(n), -1
}

func (p *Port) taken(n int) int {
	p.unread -= n
	if f := p.m.fax; f != nil && n > 0 {
		f.notify()
	}
	return n
}

// sleep waits for d (negative: for ever) or c; false: the port was closed.
func (p *Port) sleep(d time.Duration, c chan struct{}) bool {
	var expired <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-p.done:
		return false
	case <-expired:
	case <-c:
	}
	return true
}

// closed is the error of a closed port.
func (p *Port) closed() error {
	p.m.ex.mu.Lock()
	defer p.m.ex.mu.Unlock()
	return p.err
}

// SetDTR raises or drops DTR.
func (p *Port) SetDTR(on bool) error {
	p.m.ex.mu.Lock()
	defer p.m.ex.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if p.dtr && !on {
		p.dtr = false
		p.m.dtrDropped()
	}
	p.dtr = on
	return nil
}

// Close closes the port and drops DTR, which hangs up. Closing twice is no error.
func (p *Port) Close() error {
	p.m.ex.mu.Lock()
	defer p.m.ex.mu.Unlock()
	if p.err == nil {
		p.shut(io.ErrClosedPipe)
		p.m.dtrDropped()
	}
	return nil
}

// shut ends the port: later calls fail with err.
func (p *Port) shut(err error) {
	if p.err == nil {
		p.m.trace(Event{Kind: EventClose})
		p.err = err
		p.out, p.unread = nil, 0
		p.m.port = nil
		close(p.done)
	}
}

// emit queues octets for the DTE. Up to 64 stay together, as in a UART's FIFO or a USB packet.
func (p *Port) emit(b []byte) {
	if !p.dtr || len(b) == 0 {
		return
	}
	if p.unread+len(b) > maxUnread {
		p.m.stats.Overruns += int64(len(b))
		return
	}
	p.unread += len(b)
	for len(b) > 0 {
		k := min(len(b), p.piece())
		now := time.Now()
		p.outEnd = later(p.outEnd, now).Add(p.octetTime(k))
		if n := len(p.out); n > 0 && p.out[n-1].due.After(now) && len(p.out[n-1].data)+k <= p.piece() {
			p.out[n-1].data = append(p.out[n-1].data, b[:k]...)
			p.out[n-1].due = p.outEnd
		} else {
			p.out = append(p.out, outChunk{p.outEnd, append([]byte(nil), b[:k]...)})
		}
		b = b[k:]
	}
	select {
	case p.rd <- struct{}{}:
	default:
	}
}

func (p *Port) wakeWriter() {
	select {
	case p.wr <- struct{}{}:
	default:
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dtrDropped does what AT&D says about DTR going off (V.250 circuit 108/2).
func (m *Modem) dtrDropped() {
	switch m.set.dtr {
	case 0:
	case 3:
		m.reset()
	default:
		m.abort()
		m.hangup()
		m.reader, m.rest = lineReader{}, nil
	}
}

// dump swallows what is left of a page that the DTE is still sending while the modem has already left the transmit
// state: until DLE ETX, a command line or a pause.
type dump struct {
	on    bool
	un    unshield
	until time.Time
	buf   []byte
	ppm   *pageUnshield // in Class 2, 2.0 and 2.1
	v34   bool          // frame after frame: no DLE ETX is the last
}

const dumpPause = 100 * time.Millisecond

// startFor is start for a page of Class 2, or with inband 2.0.
func (d *dump) startFor(inband bool) {
	d.start()
	d.ppm = &pageUnshield{inband: inband}
}

func (d *dump) start() { *d = dump{on: true, until: time.Now().Add(dumpPause)} }

// begin is called with each piece of input.
func (d *dump) begin(p []byte) {
	if !d.on {
		return
	}
	now := time.Now()
	if now.After(d.until) || len(p) > 1 && p[0]|0x20 == 'a' && p[1]|0x20 == 't' {
		d.on = false
	}
	d.until = now.Add(dumpPause)
}

func (d *dump) takes(b byte) bool {
	if !d.on {
		return false
	}
	if d.v34 {
		return true
	}
	if d.ppm != nil {
		var end byte
		if d.buf, end = d.ppm.octet(d.buf[:0], b); end != 0 {
			d.on = false
		}
		return true
	}
	var end bool
	if d.buf, end = d.un.octet(d.buf[:0], b); end {
		d.on = false
	}
	return true
}
