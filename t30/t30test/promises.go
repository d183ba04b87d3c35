package t30test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tipring/tipring/t30"
)

// Passage is one direction of a call that is over: what was to be sent, what was kept, and what both ends say of it.
type Passage struct {
	Docs      []*Document
	Sink      *Sink
	Sent, Got t30.Report // of the sender and of the receiver
	ECM       bool
	// Again is how often, by the sender's transcript, a page was sent again because phase B came in place of its answer: only so
	// many may have been kept twice.
	Again int
}

// PhaseBAgain counts in a sender's transcript, one event a line, the commands after a page that were answered with phase B: Again.
func PhaseBAgain(transcript []string) (n int) {
	for _, l := range transcript {
		for _, from := range []string{"post", "partial", "not-ready"} {
			if strings.HasSuffix(l, from+" -> choose") {
				n++
			}
		}
	}
	return n
}

// pageID names a page: document from 0, page from 1.
type pageID struct{ doc, page int }

// Limits of copy quality that the engine confirms pages within, without ECM. T.30 leaves them to the receiver.
const (
	goodPercent, goodRun = 3, 8
	poorPercent, poorRun = 10, 64
)

// Broken returns how the passage breaks the promises, nothing if it keeps them. Whatever the line was like: a page kept as good
// is, with ECM, equal to the octet, else whole and within the limits of copy quality; a page confirmed is kept, in its turn
// and once; both ends' counts are those of the pages; each document ended once and says what became of it.
func (p Passage) Broken() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	kept := p.identify(bad)
	if len(kept) != p.Got.Received {
		bad("%d pages kept, the receiver's report says %d", len(kept), p.Got.Received)
	}
	at, doubled := map[pageID]int{}, 0 // where it was kept
	for i, id := range kept {
		if _, twice := at[id]; twice {
			if doubled++; doubled > p.Again {
				bad("%v was kept twice", id)
			}
		}
		at[id] = i
	}
	last, confirmed := -1, 0
	for d, doc := range p.Docs {
		pages := doc.ConfirmedPages()
		for _, n := range pages {
			id := pageID{d, n}
			i, ok := at[id]
			switch {
			case !ok:
				bad("%v was confirmed and is lost", id)
			case i < last:
				bad("%v was kept out of turn", id)
			}
			last = max(last, i)
		}
		confirmed += len(pages)
		_, whole := at[pageID{d, len(doc.Pages)}]
		p.checkEnd(bad, d, doc, whole)
	}
	if p.Sent.Sent != confirmed {
		bad("%d pages confirmed, the sender's report says %d", confirmed, p.Sent.Sent)
	}
	if len(kept) > confirmed+1+p.Again {
		bad("%d pages kept, %d confirmed", len(kept), confirmed)
	}
	for i, r := range p.Sink.Pages() {
		if !r.Done {
			bad("page %d of the sink was never finished", i)
		}
	}
	return errs
}

func (id pageID) String() string { return fmt.Sprintf("page %d of document %d", id.page, id.doc) }

// checkEnd holds a document's end against its pages; lastKept tells that its last page is kept.
func (p Passage) checkEnd(bad func(string, ...any), d int, doc *Document, lastKept bool) {
	ends, sent, refused := doc.Ended(), doc.ConfirmedPages(), doc.RefusedPages()
	if len(ends) == 0 {
		if len(sent)+len(refused) > 0 {
			bad("document %d has pages %v confirmed, %v refused and no end", d, sent, refused)
		}
		return
	}
	if len(ends) > 1 {
		bad("document %d ended %d times", d, len(ends))
	}
	e := ends[0]
	if (e.Code == t30.CodeOK) != (len(sent) == len(doc.Pages)) || e.Sent != len(sent) || e.Refused != len(refused) {
		bad("document %d of %d pages: %v confirmed, %v refused, its report says %v, %d and %d", d, len(doc.Pages), sent, refused, e.Code, e.Sent, e.Refused)
	}
	if len(refused) > 0 && len(sent)+len(refused) == len(doc.Pages) && e.Code != t30.CodePageRefused && e.Code != t30.CodeECMGivenUp {
		bad("document %d has refused pages and ended %v", d, e.Code)
	}
	through := append(sent, refused...)
	slices.Sort(through)
	for i, n := range through {
		if n != i+1 {
			bad("document %d: pages %v are through", d, through)
			break
		}
	}
	if lastKept && !slices.Contains(sent, len(doc.Pages)) && !e.Unknown {
		bad("document %d is there whole, its sender knows nothing of that and says %v", d, e.Code)
	}
	if e.Unknown && e.Code == t30.CodeOK {
		bad("document %d ended well, but unknown", d)
	}
	if p.Sent.Code == t30.CodeOK && e.Code != t30.CodeOK && e.Code != t30.CodePageRefused && e.Code != t30.CodeECMGivenUp {
		bad("the call ended well, document %d %v", d, e.Code)
	}
}

// identify finds out which pages were kept as good or poor, and holds each against what was sent.
func (p Passage) identify(bad func(string, ...any)) (ids []pageID) {
	for i, r := range p.Sink.Pages() {
		if !r.Done || r.Verdict != t30.Good && r.Verdict != t30.Poor {
			continue
		}
		data := bytes.TrimRight(r.Data, "\x00")
		best, id, extra := t30.Quality{}, pageID{-1, -1}, 0
		for d, doc := range p.Docs {
			for n, page := range doc.Pages {
				orig := bytes.TrimRight(page.Data, "\x00")
				if q := compare(orig, cutFill(page.fill, data, len(orig))); id.doc < 0 || q.BadLines*best.Lines < best.BadLines*q.Lines {
					best, id, extra = q, pageID{d, n + 1}, len(cutFill(page.fill, data, len(orig)))-len(orig)
				}
			}
		}
		percent, run := goodPercent, goodRun
		if r.Verdict == t30.Poor {
			percent, run = poorPercent, poorRun
		}
		switch {
		case id.doc < 0:
			bad("page %d was kept, but none was sent", i)
			continue
		case p.ECM && (best.BadLines > 0 || extra != 0):
			bad("%v was kept as good with ECM, but differs: %+v", id, best)
		case extra != 0, best.BadLines*100 > best.Lines*percent, best.LongestBad > run:
			bad("%v was kept as %v with %d octets of %d, %+v", id, r.Verdict, len(data), len(data)-extra, best)
		}
		ids = append(ids, id)
	}
	return ids
}

// cutFill cuts off what stands behind size octets where it may be fill, spoilt or not: it is no part of the image.
func cutFill(fill int, data []byte, size int) []byte {
	if behind := len(data) - size; behind > 0 && behind <= fill {
		return data[:size]
	}
	return data
}

// compare counts the lines of MakePage that differ.
func compare(want, got []byte) (q t30.Quality) {
	run := 0
	for at := 0; at < max(len(want), len(got)); at += lineOctets {
		q.Lines++
		a, b := want[min(at, len(want)):min(at+lineOctets, len(want))], got[min(at, len(got)):min(at+lineOctets, len(got))]
		if bytes.Equal(a, b) {
			run = 0
			continue
		}
		q.BadLines++
		run++
		q.LongestBad = max(q.LongestBad, run)
	}
	return q
}
