package jbig

import (
	"encoding/binary"
	"fmt"

	"github.com/tipring/tipring/imaging"
)

// A Decoder decodes a page while its data arrives. It never fails: see imaging.Quality. It keeps three lines and the octets of the line that is
// not complete yet.
type Decoder struct {
	width int // of the lines emitted
	emit  func(row []uint64)
	limit int  // lines to decode
	lossy bool // the limit is ours, not the container's
	most  int  // lines of this page: the limit, or what its own width leaves of maxPels

	qm    qmDecoder
	state decoderState
	head  Header
	skip  int64 // octets of a comment still to be passed
	retry int   // octets pending that are worth another try

	height  int64 // lines in all, as far as known
	newLen  bool  // NEWLEN was seen: height is final
	tmpl    template
	moves   []move
	rows    [3][]uint64 // the line and the two above it, each with a word of 0 behind it
	out     []uint64    // a line as it is emitted, if its width is another
	typical bool        // the line above was typical

	stripe  int  // lines of this stripe that are decoded
	overran bool // its lines took more data than it has, as hardly any sound one does
	openEnd bool // it has ended, and whether NEWLEN follows is not known
	passed  int  // octets behind what the lines took
	excess  int  // of these, up to the last that is not 0
	saved   qmState
	q       imaging.Quality
	badRun  int
}

// move is an ATMOVE: the adaptive pixel's place from line y of the stripe on.
type move struct {
	y  uint32
	tx int
}

// decoderState is what a Decoder expects next.
type decoderState uint8

const (
	atHeader  decoderState = iota
	atMarkers              // what stands before a stripe's data
	atComment              // the rest of one
	atLines                // a stripe's data
	atEnd                  // what a stripe's lines left over, and the marker behind
	atDone                 // the rest is ignored
)

const (
	// maxMoves is the most moves of the adaptive pixel in a stripe, more than any encoder makes.
	maxMoves = 64
	// slack is how many bits of a stripe's data its lines may leave over: encoders fill up octets.
	slack = 40
	// farBeyond is how many bits behind the end of a stripe's data the rest of its lines is white: no picture goes as far.
	farBeyond = 1 << 16
	// maxWider is how many times as wide as it should be a page may be: what is cut off costs time like the rest.
	maxWider = 8
	// maxPeek is the longest comment behind a stripe beyond which NEWLEN is looked for.
	maxPeek = 64 << 10
)

// NewDecoder returns a decoder that emits lines of width pels: what the data has more is cut off on the right (up to eight times as
// much), what it has less is white. emit, unless nil, is called with each line, as imaging.Bitmap.AppendRow takes it; the row is valid during the call.
// ErrFormat if width is out of range.
func NewDecoder(width int, emit func(row []uint64)) (*Decoder, error) {
	if width < 1 || width > MaxWidth {
		return nil, fmt.Errorf("%w: %d pels a line", ErrFormat, width)
	}
	if emit == nil {
		emit = func([]uint64) {}
	}
	d := &Decoder{width: width, emit: emit, out: make([]uint64, (width+63)/64)}
	d.Limit(0)
	return d, nil
}

// Reset makes d ready for another page with the same limit; a TIFF strip counts as a page.
func (d *Decoder) Reset() {
	*d = Decoder{width: d.width, emit: d.emit, out: d.out, limit: d.limit, lossy: d.lossy, rows: d.rows,
		moves: d.moves[:0], qm: qmDecoder{data: d.qm.data[:0]}}
}

// Limit ends the decoding after so many lines in all; 0 is as many as there may be.
func (d *Decoder) Limit(lines int) {
	d.limit = min(MaxLines, maxPels/d.width)
	d.lossy = lines < 1 || lines > d.limit
	if !d.lossy {
		d.limit = lines
	}
}

// Write decodes what p completes. It never fails and never keeps p.
func (d *Decoder) Write(p []byte) (int, error) {
	if d.state == atDone {
		return len(p), nil
	}
	n := copy(d.qm.data, d.qm.data[d.qm.pos:])
	d.qm.data, d.qm.pos = append(d.qm.data[:n], p...), 0
	if len(d.qm.data) >= d.retry {
		d.run(false)
	}
	return len(p), nil
}

// Quality returns what was found in all complete lines so far. A stripe's lines are judged when it has ended.
func (d *Decoder) Quality() imaging.Quality {
	d.run(d.qm.final)
	return d.q
}

// Close decodes what no marker ends, and returns what was found in the page.
func (d *Decoder) Close() imaging.Quality {
	d.run(true)
	switch {
	case d.state == atDone:
	case d.state == atEnd:
		d.judge()
		if !d.finished() {
			d.lose()
		}
	default:
		d.lose()
	}
	return d.q
}

// run decodes all complete lines, or with final all lines.
func (d *Decoder) run(final bool) {
	d.qm.final = final
	for d.state != atDone {
		if !d.step() {
			break
		}
	}
	pending := len(d.qm.data) - d.qm.pos
	d.retry = pending + pending/2
}

// step does one thing: a head, a marker, a line. It returns false if the data does not suffice; then nothing has changed.
func (d *Decoder) step() bool {
	switch d.state {
	case atHeader:
		return d.header()
	case atMarkers:
		return d.markers()
	case atComment:
		n := min(d.skip, int64(len(d.qm.data)-d.qm.pos))
		d.qm.pos += int(n)
		if d.skip -= n; d.skip == 0 {
			d.state = atMarkers
		}
		return n > 0
	case atLines:
		return d.line()
	}
	return d.endStripe()
}

// lose gives the rest up.
func (d *Decoder) lose() { d.state, d.q.Lost = atDone, true }

func (d *Decoder) left() []byte { return d.qm.data[d.qm.pos:] }

func (d *Decoder) header() bool {
	if len(d.left()) < HeaderLen {
		return false
	}
	h, err := ParseHeader(d.left())
	if err != nil {
		d.lose()
		return true
	}
	if h.Width > maxWider*d.width+64 {
		d.lose()
		return true
	}
	d.head, d.height, d.most = h, int64(h.Height), min(d.limit, maxPels/h.Width)
	d.qm.pos += HeaderLen
	d.tmpl = newTemplate(h.TwoLine, 0)
	for i, r := range d.rows {
		if words := (h.Width+63)/64 + 1; len(r) != words {
			d.rows[i] = make([]uint64, words)
		} else {
			clear(r)
		}
	}
	d.state = atMarkers
	return true
}

// markers takes one marker before a stripe's data, or begins with the data.
func (d *Decoder) markers() bool {
	p := d.left()
	if len(p) < 2 && !d.qm.final || len(p) == 0 {
		return false
	}
	if p[0] != escape || len(p) < 2 {
		return d.beginStripe()
	}
	n := markerLen(p[1])
	switch {
	case n == 0:
		return d.beginStripe()
	case len(p) < n:
		return false
	}
	d.qm.pos += n
	switch p[1] {
	case markerComment:
		d.skip = int64(binary.BigEndian.Uint32(p[2:]))
		if d.skip > 0 {
			d.state = atComment
		}
	case markerNewLen:
		d.shorten(p)
		d.finished()
	case markerATMove:
		d.move(p)
	case markerAbort:
		d.lose()
	}
	return true
}

// markerLen is the length of a marker that may stand between stripes; 0: it is none of these.
func markerLen(code byte) int {
	switch code {
	case markerComment, markerNewLen:
		return 6
	case markerATMove:
		return 8
	case markerAbort:
		return 2
	}
	return 0
}

// shorten takes a NEWLEN: the height can but become smaller, once (T.82 6.2.6.2).
func (d *Decoder) shorten(p []byte) {
	n := int64(binary.BigEndian.Uint32(p[2:]))
	if d.newLen || !d.head.Variable {
		return
	}
	d.newLen = true
	d.height = max(min(d.height, n), int64(d.q.Lines))
}

// move takes an ATMOVE. T.85 has no moves to other lines.
func (d *Decoder) move(p []byte) {
	m := move{binary.BigEndian.Uint32(p[2:]), int(p[6])}
	if len(d.moves) == maxMoves || p[7] != 0 || m.tx > d.head.MX || m.tx > 0 && m.tx < minMove(d.head.TwoLine) {
		d.lose()
		return
	}
	d.moves = append(d.moves, m)
}
