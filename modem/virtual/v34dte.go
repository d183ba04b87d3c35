package virtual

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

// What follows a DLE between modem and DTE in a call over V.34 (T.31 Amendment 1, Table B.1).
const (
	inEOT     = 0x04
	inBadFCS  = 0x07
	inPri     = 0x6B
	inNewRate = 0x6C // PPH
	inCtrl    = 0x6D
	inC12     = 0x6E // control channel at 1200 bit/s; 2400 is next
	inP24     = 0x70 // primary channel at 2400 bit/s; faster ones follow, up to 33600
	inP336    = 0x7D
)

// v34Item is a frame or a code of the DTE, in the order in which they came.
type v34Item struct {
	frame []byte
	code  byte
}

// v34Input takes the DTE's octets apart.
type v34Input struct {
	escaped bool
	frame   []byte
}

// octet takes one octet; ok tells that it completed an item.
func (in *v34Input) octet(b byte) (it v34Item, ok bool) {
	if !in.escaped {
		if in.escaped = b == dle; !in.escaped {
			in.frame = append(in.frame, b)
		}
		return it, false
	}
	in.escaped = false
	switch {
	case b == dle:
		in.frame = append(in.frame, dle)
	case b == sub:
		in.frame = append(in.frame, dle, dle)
	case b == 0x51:
		in.frame = append(in.frame, xon)
	case b == 0x53:
		in.frame = append(in.frame, xof)
	case b == etx:
		it.frame, in.frame = in.frame, nil
		return it, len(it.frame) > 0
	default:
		in.frame = nil
		return v34Item{code: b}, true
	}
	return it, false
}

// input implements activity. Before CONNECT any octet aborts (V.250 5.6.1).
func (l *v34Link) input(b []byte) int {
	if !l.told {
		l.m.hangup()
		l.m.finish(resNoCarrier)
		return 1
	}
	n := 0
	for n < len(b) && l.queued+len(l.in.frame) < l.m.opts.Buffer {
		it, ok := l.in.octet(b[n])
		n++
		if !ok {
			continue
		}
		if it.code == inEOT {
			l.clearDown()
			return n
		}
		l.queue = append(l.queue, it)
		l.queued += len(it.frame)
	}
	return n
}

// take is the DTE's next frame for the line. Codes before it are carried out; one that changes the channel holds up what comes after it.
func (l *v34Link) take() (frame []byte, turn bool) {
	for len(l.queue) > 0 {
		it := l.queue[0]
		l.queue = l.queue[1:]
		switch {
		case it.frame != nil:
			l.queued -= len(it.frame)
			l.m.wake()
			return it.frame, false
		case it.code == inNewRate:
			l.renew = true
		case it.code >= inP24 && it.code <= inP336:
			l.limit = int(it.code-inP24) + 1
		case it.code == inPri && l.source && l.state == v34Control, it.code == inCtrl && l.source && l.state == v34Primary:
			return nil, true
		}
	}
	return nil, false
}

// channelTold tells the DTE which channel it has now, at which rates; the first time with +F34: and CONNECT before it.
func (l *v34Link) channelTold(control bool) {
	if !l.told {
		l.told = true
		l.m.info("+F34:" + itoa(l.primary) + "," + itoa(l.control))
		l.m.result(resConnect)
	}
	b := []byte{dle, inPri, dle, byte(inP24 + l.primary - 1)}
	if control {
		b[1] = inCtrl
		b = append(b, dle, byte(inC12+l.control-1))
	}
	l.m.emit(b)
}

// frameEnd gives the DTE a received frame with its check sequence.
func (l *v34Link) frameEnd(good bool) {
	f := l.frame
	l.frame = nil
	if len(f) < 3 || !l.told {
		return
	}
	end := byte(etx)
	if !good {
		end = inBadFCS
	}
	l.m.emit(append(l.m.shielded(l.m.unchecked(f)), dle, end))
}

// v34Sender makes what goes out on either channel: flags when there is nothing to say.
type v34Sender struct {
	l            *v34Link
	pk           bitPacker
	pri          bool  // the primary channel
	lead         int64 // flags before its first frame
	began        bool  // the DTE was told of it
	ending, turn bool
}

func (s *v34Sender) begin() { *s = v34Sender{l: s.l} }

func (s *v34Sender) beginPrimary(mod *modulation) {
	*s = v34Sender{l: s.l, pri: true, lead: mod.octets(firstFlags)}
}

// next implements octetSource.
func (s *v34Sender) next(n int) ([]byte, bool) {
	if s.pri && !s.began {
		s.began = true
		s.l.channelTold(false)
	}
	for len(s.pk.full) < n && !s.ending {
		switch {
		case s.turn:
			s.pk.full = append(s.pk.full, 0xFF)
		case s.lead > 0:
			s.lead--
			s.pk.octet(flagOctet)
		case s.l.state == v34Back || s.l.state == v34Starting: // the far end is not there yet
			s.pk.octet(flagOctet)
		default:
			s.more()
		}
	}
	k := min(n, len(s.pk.full))
	b := append([]byte(nil), s.pk.full[:k]...)
	s.pk.full = append(s.pk.full[:0], s.pk.full[k:]...)
	return b, s.ending && len(s.pk.full) == 0
}

// more packs the next frame, a flag, or what begins a change of the channel.
func (s *v34Sender) more() {
	frame, turn := s.l.take()
	switch {
	case frame != nil:
		if sig := s.l.m.tx.sig; sig != nil && !s.pri {
			sig.log = append(sig.log, frame)
		}
		s.pk.octet(flagOctet)
		s.pk.frame(frame)
	case !turn:
		s.pk.octet(flagOctet)
	default:
		s.pk.octet(flagOctet)
		for s.pk.n > 0 {
			s.pk.bit(true)
		}
		if s.turn, s.ending = !s.pri, s.pri; s.turn {
			s.l.state = v34Turning
		}
	}
}
