package t4

// room is what tells how many lines a damaged stretch had room for.
type room struct {
	passed int64    // bits of the page that are no longer in the decoder's buffer
	end    int64    // where the last good line ended; 0: there was none
	lines  [4]int64 // bits of the last good lines, with their EOLs: of one run of MR
	n      int
}

const (
	// beyondDoubt is how many of the lines around must find room in a stretch before lines are missing, half as many of the
	// longest of them: one damaged line may well be a few times as long as its neighbours.
	beyondDoubt = 4
	// leastGap is the least damage, in bits, that can have taken lines whole: what a single wrong bit spoils is shorter.
	leastGap = 300
	// eolAndTag is what stands between two lines of MR.
	eolAndTag = eolBits + 1
)

// countMissing takes note of a good line that begins and ends at these bits of the buffer. Bad lines before it are held
// against the room they took; the lines around say how much room a line needs.
func (d *Decoder) countMissing(start, end int64) {
	m := &d.room
	start, end = start+m.passed, end+m.passed
	length := end - start + eolAndTag
	if d.badRun > 0 && m.n > 0 {
		longest, sum, n := length, int64(0), int64(min(m.n, len(m.lines)))
		for _, l := range m.lines[:n] {
			longest, sum = max(longest, l), sum+l
		}
		// Where text ends and white begins, or the other way round, the shorter kind is what there were many of.
		each := min(length, sum/n)
		gap := start - m.end - eolAndTag
		if lost := int(gap/each) - d.badRun; lost > 0 && gap > leastGap && gap > beyondDoubt*each && 2*gap > beyondDoubt*longest {
			d.q.Missing += lost
			d.q.MissingRun = max(d.q.MissingRun, d.badRun+lost)
		}
	}
	m.end = end
	m.lines[m.n%len(m.lines)] = length
	m.n++
}
