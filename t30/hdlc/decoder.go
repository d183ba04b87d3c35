package hdlc

import "errors"

var (
	// ErrFCS is given to the callback for a frame whose check sequence is wrong.
	ErrFCS = errors.New("hdlc: frame check sequence wrong")
	// ErrAborted is given for a frame that ended in seven ones in a row (ISO/IEC 13239 4.5.2).
	ErrAborted = errors.New("hdlc: frame aborted")
	// ErrTooLong is given for a frame longer than the decoder's limit.
	ErrTooLong = errors.New("hdlc: frame too long")
	// ErrNotOctets is given for a frame that is no whole number of octets.
	ErrNotOctets = errors.New("hdlc: frame is not whole octets")
	// ErrCutOff is given by Close for a frame that the end of the data cut off.
	ErrCutOff = errors.New("hdlc: frame cut off")
)

// MinFrame is the least length of a frame without its FCS: address, control, facsimile control field (T.30 5.3).
// Anything shorter is line noise between flags and is dropped without a word.
const MinFrame = 3

// Decoder finds frames in line octets. It holds at most one frame of the limit's size, whatever it is fed.
type Decoder struct {
	max   int // octets of a frame with its FCS
	f     func(frame []byte, err error)
	frame []byte
	cur   byte // octet being collected
	nbits uint // bits in cur
	ones  int  // ones in a row
	in    bool // a flag came: bits belong to a frame
	long  bool // this frame exceeded max
}

// NewDecoder returns a decoder that calls f for each frame of MinFrame to max octets, FCS checked and removed, and
// with an error for each that is bad. A frame given with ErrFCS is what came; with other errors it is nil. f must not
// keep the frame.
func NewDecoder(max int, f func(frame []byte, err error)) *Decoder {
	return &Decoder{max: max + 2, f: f, frame: make([]byte, 0, max+2)}
}

// Write takes line octets. It never fails.
func (d *Decoder) Write(p []byte) (int, error) {
	for _, c := range p {
		for range 8 {
			d.bit(c & 1)
			c >>= 1
		}
	}
	return len(p), nil
}

// Close ends the data. A frame whose closing flag is missing is given if its FCS is right: some modems cut the
// carrier in the last flag. The decoder is then as new.
func (d *Decoder) Close() {
	if d.in && len(d.frame) >= MinFrame+2 {
		switch n := len(d.frame); {
		case d.nbits < 8 && Good(d.frame) && !d.long:
			d.f(d.frame[:n-2], nil)
		default:
			d.f(nil, ErrCutOff)
		}
	}
	d.in, d.ones = false, 0
	d.reset()
}

func (d *Decoder) reset() { d.frame, d.cur, d.nbits, d.long = d.frame[:0], 0, 0, false }

func (d *Decoder) bit(b byte) {
	if b == 1 {
		d.ones++
		if d.ones == 7 { // abort or idle: wait for the next flag
			if d.in && len(d.frame) >= MinFrame {
				d.f(nil, ErrAborted)
			}
			d.in = false
			d.reset()
		}
		if d.ones >= 7 {
			d.ones = 7
			return
		}
		d.push(1)
		return
	}
	ones := d.ones
	d.ones = 0
	switch {
	case ones == 5: // inserted zero
	case ones == 6: // flag
		d.end()
		d.in = true
		d.reset()
	case ones < 5:
		d.push(0)
	}
}

func (d *Decoder) push(b byte) {
	if !d.in {
		return
	}
	d.cur |= b << d.nbits
	if d.nbits++; d.nbits < 8 {
		return
	}
	if len(d.frame) < d.max {
		d.frame = append(d.frame, d.cur)
	} else {
		d.long = true
	}
	d.cur, d.nbits = 0, 0
}

// end handles the closing flag. Of the flag itself a zero and six ones are already pushed: whole octets leave 7 bits.
func (d *Decoder) end() {
	n := len(d.frame)
	switch {
	case !d.in || n < MinFrame+2:
	case d.long:
		d.f(nil, ErrTooLong)
	case d.nbits != 7:
		d.f(nil, ErrNotOctets)
	case !Good(d.frame):
		d.f(d.frame[:n-2], ErrFCS)
	default:
		d.f(d.frame[:n-2], nil)
	}
}
