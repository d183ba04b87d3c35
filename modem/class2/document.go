package class2

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/t30"
)

// sender is what a call knows of the documents that it sends.
type sender struct {
	docs t30.Documents
	src  t30.PageSource // the current one, nil: none
	next t30.PageSource // the one after it, known while its last page is on the line
	over bool           // docs has no more

	n       int        // page of src being sent, from 1
	last    bool       // page n is src's last
	resends int        // of page n after RTN
	poor    bool       // page n was confirmed with RTP
	part    t30.Report // of src: Sent, SentPoor, Refused
	doubt   bool       // page n was the last and its confirmation is open
	onLine  bool       // a page was on the line
	ecm     bool       // with error correction

	br     int    // highest rate to ask for
	wanted params // what the DCS was asked to be
	fresh  bool   // a DCS is due
	format t30.PageFormat
	limit  t30.PageLimit // that format and data were opened with
	data   io.ReadCloser
	rd     *bufio.Reader
	octets int64
	began  time.Time
	ahead  *lookahead
	follow post // MPS, EOM or EOP after page n
}

// lookahead opens page n (or, when there is none, the next document) while page n-1 is on the line.
type lookahead struct {
	n      int
	limit  t30.PageLimit
	done   chan struct{}
	format t30.PageFormat
	data   io.ReadCloser
	err    error          // io.EOF: no such page
	next   t30.PageSource // the next document, nil: none
	docErr error
}

// beginDocument makes sure that there is a document to send; false: there is none.
func (c *call) beginDocument() (bool, error) {
	t := &c.tx
	if t.src != nil {
		return true, nil
	}
	if t.docs == nil || t.over {
		return false, nil
	}
	src, err := t.docs.Next(c.ctx, c.far)
	if errors.Is(err, io.EOF) {
		t.over = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t.start(src)
	return true, nil
}

func (t *sender) start(src t30.PageSource) {
	t.src, t.next, t.n, t.resends, t.last = src, nil, 1, 0, false
	t.part = t30.Report{}
}

// openPage makes page n's data ready to be sent from its beginning within limit.
func (c *call) openPage(limit t30.PageLimit) error {
	t := &c.tx
	if t.data != nil && t.limit.Same(limit) {
		return nil
	}
	t.closePage()
	f, data, err := t.fromAhead(limit)
	if data == nil && err == nil {
		f, data, err = openWithin(c.ctx, t.src, t.n, limit)
	}
	if err != nil {
		return err
	}
	t.format, t.data, t.limit = f, data, limit
	t.rd = bufio.NewReaderSize(data, 4096)
	return nil
}

// fromAhead is page n if it was opened ahead within the same limit.
func (t *sender) fromAhead(limit t30.PageLimit) (f t30.PageFormat, data io.ReadCloser, err error) {
	a := t.ahead
	if a == nil || a.n != t.n {
		return f, nil, nil
	}
	<-a.done
	t.ahead = nil
	if a.err == nil && a.limit.Same(limit) {
		return a.format, a.data, nil
	}
	a.drop(nil)
	return f, nil, nil
}

// openWithin opens a page and holds its format against limit. The length announced is the greatest that both can: pages of different
// lengths then need no new DCS.
func openWithin(ctx context.Context, src t30.PageSource, n int, limit t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	f, data, err := src.Page(ctx, n, limit)
	if err != nil {
		return f, nil, err
	}
	if !limit.Allows(f) {
		data.Close()
		return f, nil, fmt.Errorf("class2: page %d has a format beyond the limit: %+v", n, f)
	}
	f.Length = limit.Length
	return f, data, nil
}

func (t *sender) closePage() {
	if t.data != nil {
		t.data.Close()
		t.data, t.rd = nil, nil
	}
}

// lookAhead starts to find out what follows page n.
func (c *call) lookAhead() {
	t := &c.tx
	if t.ahead != nil {
		return // found out before: page n is sent again
	}
	a := &lookahead{n: t.n + 1, limit: c.agreed(t.n + 1), done: make(chan struct{})}
	t.ahead = a
	ctx, src, docs, known, far := c.ctx, t.src, t.docs, t.next != nil || t.over, c.far
	go func() {
		defer close(a.done)
		a.format, a.data, a.err = openWithin(ctx, src, a.n, a.limit)
		if errors.Is(a.err, io.EOF) && !known {
			if a.next, a.docErr = docs.Next(ctx, far); a.docErr != nil {
				a.next = nil
			}
		}
	}()
}

// drop closes what a lookahead found and nobody took.
func (a *lookahead) drop(end func(t30.PageSource)) {
	<-a.done
	if a.err == nil && a.data != nil {
		a.data.Close()
	}
	if a.next != nil && end != nil {
		end(a.next)
	}
}

// decideFollow chooses the post-message command of page n from what follows it (T.30 5.3.6.1.6).
func (c *call) decideFollow() error {
	t := &c.tx
	t.last = false
	if a := t.ahead; a != nil {
		<-a.done
		switch {
		case a.err == nil:
			t.follow = postMPS
			if a.format != t.format {
				t.follow = postEOM
			}
			return nil
		case !errors.Is(a.err, io.EOF):
			return a.err
		}
		switch {
		case a.next != nil:
			t.next = a.next
		case errors.Is(a.docErr, io.EOF):
			t.over = true
		case a.docErr != nil:
			return a.docErr
		}
		t.ahead = nil
	}
	t.last = true
	t.follow = postEOP
	if t.next != nil || c.s.Poll != nil && c.caller && c.far.CanPoll && !c.rx.asked && !c.plan.noPoll {
		t.follow = postEOM
	}
	return nil
}

// pageOver makes the next page, or the next document's first, page n.
func (c *call) pageOver() {
	t := &c.tx
	t.poor, t.resends = false, 0
	t.n++
	t.closePage()
	if !t.last {
		return
	}
	code, text := t30.CodeOK, ""
	if t.part.Refused > 0 {
		code, text = t30.CodePageRefused, fmt.Sprintf("RTN to %d of its pages", t.part.Refused)
	}
	c.endDocument(code, text)
	if t.next != nil {
		t.start(t.next)
	}
}

// endDocument tells the current document how it ended.
func (c *call) endDocument(code t30.Code, text string) {
	t := &c.tx
	if t.src == nil {
		return
	}
	r := c.rep
	r.Code, r.Text, r.Received = code, text, 0
	r.Sent, r.SentPoor, r.Refused = t.part.Sent, t.part.SentPoor, t.part.Refused
	r.Unknown, r.Trouble = t.doubt, c.trouble()
	r.Remote, r.End = c.far, time.Now()
	src := t.src
	t.src = nil
	if err := src.End(r); err != nil {
		c.trace(t30.LayerCall, t30.Note, "document's end not recorded: %v", err)
		c.fault(err)
	}
}

// close ends what is open when the call is over.
func (t *sender) close(c *call) {
	t.closePage()
	endUnsent := func(s t30.PageSource) {
		r := c.rep
		r.Sent, r.SentPoor, r.Refused, r.Received, r.Unknown = 0, 0, 0, 0, false
		if r.Code == t30.CodeOK {
			r.Code, r.Text = t30.CodeProtocol, "call ended before this document"
		}
		if err := s.End(r); err != nil {
			c.fault(err)
		}
	}
	if t.ahead != nil {
		t.ahead.drop(endUnsent)
		t.ahead = nil
	}
	code, text := c.rep.Code, c.rep.Text
	if code == t30.CodeOK {
		code, text = t30.CodeProtocol, "call ended inside this document"
	}
	c.endDocument(code, text)
	if t.next != nil {
		endUnsent(t.next)
		t.next = nil
	}
}
