package jbig

import "encoding/binary"

// beginStripe begins with a stripe's data, if there is enough of it.
func (d *Decoder) beginStripe() bool {
	pos := d.qm.pos
	d.qm.begin()
	if d.qm.dry {
		d.qm.pos = pos
		return false
	}
	d.stripe, d.overran, d.openEnd, d.passed, d.excess = 0, false, false, 0, 0
	d.state = atLines
	return true
}

// line decodes a line of a stripe.
func (d *Decoder) line() bool {
	qm := &d.qm
	if qm.ended && !d.settled() {
		return false
	}
	if int64(d.q.Lines) >= d.height || int64(d.stripe) >= int64(d.head.StripeLines) {
		d.state = atEnd
		return true
	}
	if d.overran && qm.leftOver() < -farBeyond {
		clear(d.rows[0])
		d.emitLine()
		return true
	}
	waits := !qm.final && !qm.ended
	if waits {
		d.saved = qm.qmState
	}
	typical := d.decodeLine()
	switch {
	case qm.dry:
		qm.qmState = d.saved
		return false
	case d.cut() && qm.leftOver() < 0:
		d.lose()
		return true
	}
	d.overran = d.overran || qm.overrun()
	d.typical = typical
	d.emitLine()
	return true
}

// decodeLine decodes into the first of the rows, and returns whether the line is typical.
func (d *Decoder) decodeLine() bool {
	for _, m := range d.moves {
		if int64(m.y) == int64(d.stripe) {
			d.tmpl = newTemplate(d.head.TwoLine, m.tx)
		}
	}
	typical := false
	if d.head.Typical {
		typical = d.typical == (d.qm.decode(d.tmpl.typical()) != 0)
	}
	if typical {
		copy(d.rows[0], d.rows[1])
	} else {
		d.qm.line(&d.tmpl, d.rows[0], d.rows[1], d.rows[2], d.head.Width)
	}
	return typical
}

// cut tells that all data has ended, and no marker did it, or none that tells how many lines there are.
func (d *Decoder) cut() bool {
	return d.qm.final && d.qm.ended && (len(d.left()) < 2 || d.openEnd)
}

// settled looks behind the marker that ends a stripe's data for a NEWLEN, which may say that the stripe has fewer lines (T.82
// 6.2.6.2). It returns false if the data does not suffice.
func (d *Decoder) settled() bool {
	d.openEnd = false
	if d.newLen || !d.head.Variable {
		return true
	}
	p := d.left()
	for i := 2; ; {
		switch {
		case i+2 > len(p):
			d.openEnd = d.height == unknownHeight
			return d.qm.final
		case p[i] != escape:
			return true
		}
		n := markerLen(p[i+1])
		switch {
		case n == 0 || p[i+1] == markerAbort:
			return true
		case i+n > len(p):
			d.openEnd = d.height == unknownHeight
			return d.qm.final
		case p[i+1] == markerNewLen:
			d.shorten(p[i:])
			return true
		case p[i+1] == markerComment:
			skip := binary.BigEndian.Uint32(p[i+2:])
			if skip > maxPeek {
				return true
			}
			n += int(skip)
		}
		i += n
	}
}

// emitLine emits the first of the rows, which becomes the line above.
func (d *Decoder) emitLine() {
	row := d.rows[0]
	d.rows[0], d.rows[1], d.rows[2] = d.rows[2], d.rows[0], d.rows[1]
	d.stripe++
	d.q.Lines++
	if d.head.Width != d.width {
		clear(d.out)
		copy(d.out, row)
		d.out[len(d.out)-1] &= lastMask(d.width)
		d.emit(d.out)
	} else {
		d.emit(row[:len(d.out)])
	}
	if int64(d.q.Lines) < d.height && d.q.Lines >= d.most {
		d.finished()
	}
}

// endStripe passes what a stripe's lines left over of its data, and the marker behind it.
func (d *Decoder) endStripe() bool {
	qm := &d.qm
	for p := d.left(); len(p) > 0; p = d.left() {
		n, value := 1, p[0]
		if p[0] == escape {
			if len(p) < 2 {
				return false
			}
			n = 2
			if p[1] != markerStuff && d.endMarker(p[1]) {
				qm.pos += n
				return true
			}
		}
		qm.pos += n
		d.passed++
		if value != 0 {
			d.excess = d.passed
		}
	}
	return false
}

// endMarker takes the marker that ends a stripe; false: it is none.
func (d *Decoder) endMarker(code byte) bool {
	switch {
	case code == markerSDNorm:
	case code == markerSDRst:
		d.qm.st = [contexts]uint8{}
		d.tmpl, d.typical = newTemplate(d.head.TwoLine, 0), false
		for _, r := range d.rows {
			clear(r)
		}
	case code == markerAbort:
		d.judge()
		d.lose()
		return true
	case d.bad():
		return false // one of damaged data
	}
	d.judge()
	d.moves = d.moves[:0]
	d.state = atMarkers
	d.finished()
	return true
}

// bad tells whether a stripe's lines used up other data than it has.
func (d *Decoder) bad() bool {
	return d.overran || d.excess > 0 && d.qm.leftOver()+8*d.excess > slack
}

// judge counts the lines of a stripe that has ended.
func (d *Decoder) judge() {
	if d.bad() {
		d.badRun += d.stripe
		d.q.BadLines += d.stripe
		d.q.LongestBad = max(d.q.LongestBad, d.badRun)
	} else if d.stripe > 0 {
		d.badRun = 0
	}
	d.stripe = 0
}

// finished ends the page if all its lines are there.
func (d *Decoder) finished() bool {
	switch {
	case int64(d.q.Lines) >= d.height:
		d.q.Ended = true
	case d.q.Lines >= d.most:
		d.q.Lost = d.lossy || d.most < d.limit
	default:
		return false
	}
	d.state = atDone
	return true
}
