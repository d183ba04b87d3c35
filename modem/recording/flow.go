package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"
)

const (
	dle = 0x10
	etx = 0x03
)

// flow is the data in one direction that is gathered for one line.
type flow struct {
	on    bool          // in a data phase
	frame bool          // of an HDLC frame; else of a page or a training check
	dle   bool          // the last octet was an odd DLE
	page  bool          // longer than a training check, or too few zeros
	buf   []byte        // of the line, unless page data is left out
	since time.Duration // beginning of the line
	n     int           // octets of it
	zeros int           // of them
	hash  hash.Hash
}

// take takes octets up to the end of the phase, and tells how many they are and whether it was reached. A Class 2.0 page ends in
// DLE and a character for what follows it (T.32 8.3.3.7).
func (f *flow) take(b []byte, toModem bool) (n int, over bool) {
	for i, c := range b {
		if f.dle {
			f.dle = false
			over = c == etx || toModem && !f.frame && (c == 0x2c || c == 0x3b || c == 0x2e)
		} else {
			f.dle = c == dle
		}
		if c == 0 {
			f.zeros++
		}
		if over {
			f.add(b[:i+1])
			return i + 1, true
		}
	}
	f.add(b)
	return len(b), false
}

func (f *flow) add(b []byte) {
	if f.hash == nil {
		f.hash = sha256.New()
	}
	f.hash.Write(b)
	f.n += len(b)
	if !f.page {
		f.buf = append(f.buf, b...)
	}
}

// end puts out what is left, and ends the phase.
func (f *flow) end(r *Recorder, k Kind) {
	if f.on && f.n > 0 {
		f.put(r, k)
	}
	*f = flow{}
}

// part puts out what came so far of page data.
func (f *flow) part(r *Recorder) {
	f.put(r, FromModem)
	*f = flow{on: true, dle: f.dle, since: r.last}
}

func (f *flow) put(r *Recorder, k Kind) {
	switch {
	case f.frame && k == FromModem:
		r.event(Event{Kind: k, Data: blotReceived(f.buf, r.o.Numbers), Any: -1})
	case f.frame:
		e := Event{Kind: k, Data: f.buf, Any: blotSent(f.buf, r.o.Numbers)}
		if e.Any >= 0 {
			e.Data = append(f.buf[:e.Any:e.Any], f.buf[len(f.buf)-2:]...)
		}
		r.event(e)
	case !f.page && f.n <= textOctets && isText(f.buf): // a result code: there was no data
		r.event(Event{Kind: k, Data: blotText(f.buf, r.o.Numbers), Any: -1})
	case r.o.Pages || f.training():
		r.event(Event{Kind: k, Data: f.buf, Any: -1})
	default:
		r.event(Event{Kind: k, Page: f.n, SHA: hex.EncodeToString(f.hash.Sum(nil)), Any: -1})
	}
}

// bound keeps no more octets than may have to be told; a frame that does not end is cut off.
func (f *flow) bound() {
	if len(f.buf) > maxTCF || f.frame && len(f.buf) > maxFrame {
		f.page, f.frame, f.buf = true, false, nil
	}
}

// training tells whether it was a training check: nearly all zeros.
func (f *flow) training() bool { return !f.page && f.n <= maxTCF && f.zeros*10 >= f.n*9 }
