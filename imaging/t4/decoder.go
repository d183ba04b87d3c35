package t4

import (
	"math/bits"

	"github.com/tipring/tipring/imaging"
)

// A Decoder decodes a page while its data arrives. It never fails: see imaging.Quality. It keeps two lines and the octets of the
// line that is not complete yet, at most maxPending of them.
type Decoder struct {
	f     Format
	width int
	emit  func(row []uint64)
	limit int  // lines to decode
	lossy bool // the limit is ours, not the container's
	br    bitReader
	final bool // no more data will come
	done  bool // the rest is ignored

	cur, ref []int32
	fits     bool     // in lineChanges
	white    packed   // a white line; 0: it takes more code words
	row      []uint64 // the last line emitted

	state   state
	zeros   int  // 0 bits passed while an EOL is sought
	oneDim  bool // MR's tag bit: the line is one-dimensional
	eols    int  // EOLs since the last line
	eolSeen bool
	refBad  bool // MR: the reference line was bad
	retry   int  // octets pending that are worth another try
	badRun  int
	room    room
	q       imaging.Quality
}

// state is what a Decoder expects next.
type state uint8

const (
	atLine   state = iota // a line, or another EOL
	atEOL                 // an EOL, anything before it ignored
	atRepeat              // 0 bits stood where a line should: an EOL behind them
	atTag                 // MR's tag bit
)

const (
	// maxPending is the most octets of one line; no line of MaxWidth pels is as long.
	maxPending = 64 << 10
	// rtcEOLs is how many EOLs one after another end the page: RTC has six, some of which a hit may have destroyed, but a
	// hit also makes two out of one.
	rtcEOLs = 3
	// longRunOrEOL is what an EOL with one wrong bit and the make-up code word of longRun, with a 1 behind, have in common.
	longRunOrEOL = 0b000000010001
	longRun      = 1792
	// repeatZeros is the most 0 bits of an EOL that directly follows another; AlignEOL may add seven to eleven. More are
	// a line wiped out.
	repeatZeros = 18
)

// NewDecoder returns a decoder of lines of width pels. emit, unless nil, is called with each line, as imaging.Bitmap.AppendRow takes
// it; the row is valid during the call. ErrFormat if width or coding are out of range.
func NewDecoder(width int, f Format, emit func(row []uint64)) (*Decoder, error) {
	if err := f.check(width); err != nil {
		return nil, err
	}
	if emit == nil {
		emit = func([]uint64) {}
	}
	d := &Decoder{f: f.normal(), width: width, emit: emit, cur: newChanges(width), ref: newChanges(width), row: make([]uint64, (width+63)/64)}
	d.fits = len(d.cur) == lineRoom+1
	if width <= maxRun {
		d.white = wholeRuns[0][width]
	}
	d.Limit(0)
	d.Reset()
	return d, nil
}

// Reset makes d ready for another page of the same format and limit; a TIFF strip counts as a page.
func (d *Decoder) Reset() {
	d.br = bitReader{data: d.br.data[:0]}
	d.final, d.done, d.oneDim, d.eolSeen, d.refBad = false, false, false, false, false
	d.zeros, d.eols, d.retry, d.badRun, d.room, d.q = 0, 0, 0, 0, room{}, imaging.Quality{}
	d.endLine(first)
	d.cur, d.ref = d.ref, d.cur
	clear(d.row)
	d.state = atLine
	if d.f.Coding == imaging.MR {
		d.state = atEOL
	}
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
	if d.done {
		return len(p), nil
	}
	d.room.passed += int64(d.br.pos) * 8
	d.br.refill(p, d.f.Order)
	if len(d.br.data) >= d.retry {
		d.run(false)
	}
	return len(p), nil
}

// Quality returns what was found in all complete lines so far.
func (d *Decoder) Quality() imaging.Quality {
	d.run(d.final)
	return d.q
}

// Close decodes the last line, which no EOL ends, and returns what was found in the page.
func (d *Decoder) Close() imaging.Quality {
	d.run(true)
	d.done = true
	if d.eols > 1 {
		d.q.Ended = true
	}
	return d.q
}

// run decodes all complete lines, or with final all lines.
func (d *Decoder) run(final bool) {
	d.final = final
	for !d.done {
		mark := d.br.place()
		if !d.step() {
			d.br.back(mark)
			break
		}
		if d.q.Lines >= d.limit {
			d.done = true
			d.q.Lost = d.lossy && !d.br.empty()
		}
	}
	pending := len(d.br.data) - d.br.pos
	d.retry = pending + max(pending/2, 32)
	if pending > maxPending && !d.done {
		d.dropPending()
	}
}

// dropPending gives up a line that does not end.
func (d *Decoder) dropPending() {
	d.emitBad()
	d.br.acc, d.br.n, d.br.pos = 0, 0, len(d.br.data)
	if !d.f.EOL {
		d.done, d.q.Lost = true, true
	}
	d.seek(atEOL)
}

// step does one thing: a line, an EOL, a tag bit. It returns false if the data does not suffice; then nothing has changed
// but br.
func (d *Decoder) step() bool {
	switch d.state {
	case atEOL, atRepeat:
		return d.findEOL()
	case atTag:
		d.br.need()
		if d.br.n < 1 {
			return false
		}
		d.oneDim = d.br.acc>>63 != 0
		d.br.skip(1)
		d.state = atLine
		return true
	}
	switch {
	case d.f.Coding == imaging.MMR:
		return d.stepMMR()
	case d.f.EOL:
		return d.stepEOL()
	}
	return d.stepPlain()
}

// seek makes the decoder look for an EOL next.
func (d *Decoder) seek(s state) { d.state, d.zeros = s, 0 }

// findEOL passes bits up to and with an EOL, or all there are.
func (d *Decoder) findEOL() bool {
	r := &d.br
	r.need()
	if r.n <= 0 {
		return false
	}
	z := bits.LeadingZeros64(r.acc)
	if z >= r.n {
		d.zeros += r.n
		r.skip(r.n)
		return true
	}
	r.skip(z + 1)
	z += d.zeros
	d.zeros = 0
	if z < eolBits-1 {
		return true
	}
	d.eolFound(z)
	return true
}

// eolFound counts an EOL that began with so many 0 bits.
func (d *Decoder) eolFound(zeros int) {
	damaged := d.eols == rtcEOLs-1 && zeros == 2*eolBits-1 // an EOL of RTC without its 1, and the next
	if d.state == atRepeat && d.f.EOL && d.eols > 0 && zeros > repeatZeros && !damaged {
		d.emptyLines()
		d.emitBad() // a line wiped out
	}
	d.eols++
	d.eolSeen = true
	if d.eols >= rtcEOLs {
		d.q.Ended, d.done = true, true
	}
	d.state = atLine
	if d.f.Coding == imaging.MR {
		d.state = atTag
	}
}

// stepEOL decodes a line that an EOL follows.
func (d *Decoder) stepEOL() bool {
	r := &d.br
	r.need()
	if r.n <= 0 {
		return false
	}
	if r.acc>>(64-eolBits+1) == 0 {
		if r.n < eolBits-1 {
			return false // end of data, or more zeros to come
		}
		d.seek(atRepeat)
		return true
	}
	if d.eols == rtcEOLs-1 {
		if r.n < eolBits && !d.final {
			return false
		}
		if d.damagedEOL() && (d.width < longRun || r.acc>>(64-eolBits) != longRunOrEOL) {
			r.skip(eolBits)
			d.eolFound(eolBits - 1)
			return true
		}
	}
	start := r.place()
	res := lineBad
	switch {
	case d.f.Coding == imaging.MH || d.oneDim:
		res = d.line1D()
	case !d.refBad:
		res = d.line2D()
	}
	if res == lineOK {
		res = d.checkEOL()
	}
	switch {
	case res == lineMore:
		return false
	case res == lineOK:
		d.emptyLines()
		d.countMissing(start.taken(), r.taken())
		d.emitGood()
		switch {
		case r.acc>>(64-eolBits) == 1 && r.n >= eolBits, d.damagedEOL():
			r.skip(eolBits)
			d.eolFound(eolBits - 1)
		case d.eolSeen || d.f.Coding == imaging.MR:
			d.seek(atEOL)
		}
	case !d.eolSeen && d.q.Lines == 0:
		d.restart(start) // what stands before the first EOL is no line
	default:
		d.emptyLines()
		d.emitBad()
		d.restart(start)
	}
	return true
}

// restart looks for an EOL from a bad line's start on: its last code word may have taken 0 bits of the EOL.
func (d *Decoder) restart(start place) {
	d.br.back(start)
	d.seek(atEOL)
}

// checkEOL tells whether a line that has the page's width is followed by an EOL, or by the end of the data. Until the first
// EOL was seen there may be none at all.
func (d *Decoder) checkEOL() lineResult {
	r := &d.br
	r.need()
	switch {
	case r.acc>>(64-eolBits+1) == 0 && r.n >= eolBits-1:
		return lineOK
	case r.n < eolBits:
		if d.final {
			return lineOK
		}
		return lineMore
	case d.eolSeen && !d.damagedEOL():
		return lineBad
	}
	return lineOK
}

// damagedEOL tells whether the next bits are an EOL but for a single wrong bit. Behind a line of the page's width it is no
// chance.
func (d *Decoder) damagedEOL() bool {
	return d.eolSeen && d.br.n >= eolBits && bits.OnesCount64(d.br.acc>>(64-eolBits)^1) == 1 && d.br.acc>>(64-eolBits) != 0
}

// emptyLines counts a line for each EOL beyond one that stood before the line now decoded.
func (d *Decoder) emptyLines() {
	for ; d.eols > 1; d.eols-- {
		d.emitBad()
	}
	d.eols = 0
}

// stepPlain decodes an MH line without EOLs. Where an EOL stands all the same, it is passed.
func (d *Decoder) stepPlain() bool {
	r := &d.br
	if d.f.AlignLines {
		r.align()
	}
	r.need()
	if r.n <= 0 {
		return false
	}
	if r.acc>>(64-eolBits+1) == 0 {
		if r.n < eolBits-1 {
			return false
		}
		d.seek(atRepeat)
		return true
	}
	start := r.taken()
	switch d.line1D() {
	case lineMore:
		return false
	case lineOK:
		d.emitGood()
	default:
		d.emitBad()
		if r.taken() == start {
			r.skip(1)
		}
	}
	d.eols = 0
	return true
}

// eofb is T.6's end of facsimile block, two EOLs.
const eofb = 0x001001

// stepMMR decodes a T.6 line, or EOFB.
func (d *Decoder) stepMMR() bool {
	r := &d.br
	if d.f.AlignLines {
		r.align()
	}
	r.need()
	if r.n <= 0 {
		return false
	}
	if r.acc>>(64-eolBits+1) == 0 {
		switch {
		case r.n >= 2*eolBits && r.acc>>(64-2*eolBits) == eofb:
			d.done, d.q.Ended = true, true
			return true
		case r.n < 2*eolBits && (!d.final || r.acc>>(64-eolBits) <= 1):
			return false // more to come, or the last octet's padding
		}
	}
	switch d.line2D() {
	case lineMore:
		return false
	case lineOK:
		d.emitGood()
	default:
		d.emitBad()
		d.done, d.q.Lost = true, true
	}
	return true
}

// emitGood emits the line in cur.
func (d *Decoder) emitGood() {
	if d.q.Lines >= d.limit {
		return
	}
	if !sameChanges(d.cur, d.ref, d.width) {
		paint(d.row, d.cur, d.width)
	}
	d.cur, d.ref = d.ref, d.cur
	d.q.Lines++
	d.badRun, d.refBad = 0, false
	d.emit(d.row)
}

// emitBad emits the line before once more.
func (d *Decoder) emitBad() {
	if d.q.Lines >= d.limit {
		return
	}
	d.q.Lines++
	d.q.BadLines++
	d.badRun++
	d.q.LongestBad = max(d.q.LongestBad, d.badRun)
	d.refBad = true
	d.emit(d.row)
}
