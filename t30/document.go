package t30

import (
	"context"
	"errors"
	"io"
	"time"
)

// Documents yields one document after another (EOM between them) until io.EOF: several jobs can share a call.
type Documents interface {
	// Next returns the next document for this far end; io.EOF: no more.
	Next(ctx context.Context, far Remote) (PageSource, error)
}

// ErrStop is returned by PageSource.Refused when the document is not to go on without the refused page: the call ends with DCN.
var ErrStop = errors.New("t30: no further page without this one")

// PageSource is one document. It is repeatable: RTN, PPR and fall-back read a page again in the format now agreed;
// page n+1 may be opened (and coded ahead) while n is on the line. Pages count from 1 within the call: a job that
// resumes starts its first unconfirmed page as page 1 of the source.
type PageSource interface {
	// Page opens page n in a format within limit and returns that format with the coded data. The engine compares
	// formats: one that differs from the page before is announced with EOM and a new DCS. io.EOF: no page n.
	Page(ctx context.Context, n int, limit PageLimit) (PageFormat, io.ReadCloser, error)
	// Sent tells that all of page n is out and its post-message command follows: from here until Confirmed it cannot be
	// known, after a crash, whether the far end has the page. It returns once that is durable; again for a page that is
	// sent again.
	Sent(n int) error
	// Confirmed tells that the far end confirmed page n. It returns once that is durable; only then does the engine
	// start the next page.
	Confirmed(n int, r PageResult) error
	// Refused tells that page n went out and was refused (RTN) as often as it is tried in one call: the far end has it not, or
	// only a spoilt copy of it. It returns once that is durable. The call goes on with page n+1 if its post-message command was
	// MPS or EOM; [ErrStop] ends it instead. The document then ends with CodePageRefused, whatever becomes of its other pages.
	Refused(n int, r PageResult) error
	// End tells how the document ended, once for every source that Next returned.
	End(r Report) error
}

// PageLimit is what a page may be coded for: sets, from which the source takes the best for its page.
type PageLimit struct {
	Codings     Codings
	Resolutions Resolutions
	Widths      Widths
	Length      Length
	ECM         bool
	// MinScanLine is the least time of one coded line at Rate (T.30 Table 2 bits 21-23); shorter lines get fill.
	// 0 with ECM. MinScanLineFine is that at 7.7 line/mm and finer, at most MinScanLine.
	MinScanLine     time.Duration
	MinScanLineFine time.Duration
	// MinPage is the least time of the whole page at Rate; a shorter one gets fill, never more than 5 s a line (T.4 4.1.3). 0 with ECM.
	MinPage time.Duration
	Rate    int // bit/s
}

// MinScan is the least time of one coded line at Rate of a page in format f.
func (l PageLimit) MinScan(f PageFormat) time.Duration {
	if f.Resolution == Standard {
		return l.MinScanLine
	}
	return l.MinScanLineFine
}

// PageResult tells how a page was confirmed or refused.
type PageResult struct {
	Poor    bool // confirmed with RTP: received, poor quality
	Retries int  // transmissions beyond the first
	Octets  int64
	Seconds float64
}

// PageSink takes received pages.
type PageSink interface {
	// BeginPage starts a page in format f, before its data is on the line.
	BeginPage(ctx context.Context, far Remote, f PageFormat) (PageWriter, error)
}

// PageWriter takes one page's coded data, octets least significant bit first as they came off the line. With ECM the
// blocks come in order and free of errors. One goroutine writes; Sync may run beside the engine, but never beside
// Write or Finish.
type PageWriter interface {
	io.Writer
	// Sync makes all that was written durable: before the MCF of each ECM block. It runs beside the engine, which
	// answers RNR meanwhile (T5).
	Sync(ctx context.Context) error
	// Quality judges what was written so far: decides MCF, RTP or RTN of a page without ECM.
	Quality() Quality
	// Finish ends the page. For Good, Poor and BadKept it returns once the page is durable, and only then is the
	// page confirmed to the far end. It is called exactly once.
	Finish(ctx context.Context, v Verdict) error
}

// Quality is what the decoder found in a page.
type Quality struct {
	Lines      int  // image lines decoded
	BadLines   int  // of these, lines that did not decode to the page's width
	LongestBad int  // longest run of consecutive bad lines
	NoRTC      bool // no return to control (T.4 4.1.4) came yet: the page may be cut off. false if not known
}

// Verdict is what the engine decided about a received page.
type Verdict int

const (
	Good    Verdict = iota // MCF
	Poor                   // RTP: kept, retrain
	BadKept                // RTN, but kept: shown as damaged if no better copy follows
	Partial                // the call ended inside the page: what came is kept, unconfirmed
	Discard                // nothing usable came
)
