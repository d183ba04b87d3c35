package imaging

import "io"

// Decoder decodes a page's coded data while it arrives: a t4.Decoder or a jbig.Decoder. It emits each line when it is complete.
type Decoder interface {
	io.Writer // never fails
	// Quality returns what was found in all complete lines so far.
	Quality() Quality
	// Close decodes what no mark ends, and returns what was found in the page.
	Close() Quality
	// Reset makes it ready for another page of the same kind and limit.
	Reset()
	// Limit ends the decoding after so many lines in all; 0 is as many as there may be.
	Limit(lines int)
}

// Quality is what a decoder found in a page: what T.30's copy quality needs (T.30 5.3.6.1.7).
type Quality struct {
	Lines      int // lines decoded, bad ones included
	BadLines   int // of these: that did not decode to the page's width and were replaced; with JBIG the lines of damaged stripes
	LongestBad int // most bad lines one after another
	// Missing is an estimate of the lines that are not there at all, with MH and MR: a hit also takes EOLs, and what lies between the two that
	// are left is one bad line, but may have been a hand's breadth of white. MissingRun is the most lines, bad and missing,
	// between two good ones. Both count only where the damaged stretch was long beyond doubt.
	Missing, MissingRun int
	Ended               bool // RTC or EOFB was seen; with JBIG all lines that the data announces are there
	// Lost: the decoder could not go on although there was more data (MMR has no way to resynchronise), or not begin, or the page had
	// more lines than are decoded of one.
	Lost bool
}
