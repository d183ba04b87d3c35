package t30

// Limits of a page without ECM. Beyond them it is confirmed as poor (RTP) or refused (RTN). T.30 leaves them open; these are the
// field's: a twentieth of the lines, or 1.3 mm of paper in a row, is what users are not to be left with.
const (
	poorPercent = 2 // bad lines, of all
	badPercent  = 5 // bad lines, of all
	poorRun     = 3 // bad lines in a row at 3.85 line/mm
	badRun      = 5 // bad lines in a row at 3.85 line/mm
)

// Empty tells that nothing was decoded, good or bad: such a page is neither confirmed nor refused. Field: after RTN some
// senders go on with the next page; of this one nothing would be left, and nobody would know. DCN makes them send it again.
func (q Quality) Empty() bool { return q.Lines == 0 && q.BadLines == 0 }

// Verdict judges a page without ECM at a resolution: Good, Poor or BadKept.
func (q Quality) Verdict(r Resolution) Verdict {
	_, dpi := r.DPI()
	scale := max(1, (dpi+49)/98) // lines for one at 3.85 line/mm
	switch {
	case q.Lines == 0, q.BadLines*100 > q.Lines*badPercent, q.LongestBad > badRun*scale:
		return BadKept
	case q.BadLines*100 > q.Lines*poorPercent, q.LongestBad > poorRun*scale:
		return Poor
	}
	return Good
}
