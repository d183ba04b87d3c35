package t30

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// sender is what a call knows of the documents that it sends.
type sender struct {
	docs Documents
	src  PageSource // the current one, nil: none
	next PageSource // the one after it, known while its last page is on the line
	over bool       // docs has no more

	n       int    // page of src being sent, from 1
	total   int    // pages sent in the call, for the ECM page counter
	last    bool   // page n is src's last
	resends int    // of page n after RTN
	part    Report // of src: Sent, SentPoor, Refused
	doubt   bool   // page n was the last and its confirmation is open
	before  bool   // page n was the last, its confirmation was left open and it goes out again
	onLine  bool   // a page was on the line
	givenUp bool   // a page was given up with EOR
	fumbles fumbles

	ladder []Modulation // rates in common
	rung   int
	trains int // trainings that failed
	tries  int // DCS without an answer
	now    settings
	long   bool // the next page carrier needs long training

	format PageFormat
	limit  PageLimit // that format and data were opened with
	data   io.ReadCloser
	rd     *bufio.Reader
	octets int64
	told   bool // src knows that page n is out
	began  time.Time
	ahead  *lookahead
	follow FCF // MPS, EOM or EOP after page n
	poor   bool

	ecm ecmSend
}

// lookahead opens page n (or, when there is none, the next document) while page n-1 is on the line.
type lookahead struct {
	n      int
	limit  PageLimit
	done   chan struct{}
	format PageFormat
	data   io.ReadCloser
	err    error      // io.EOF: no such page
	next   PageSource // the next document, nil: none
	docErr error
}

// unknown tells whether the far end may have the last page although it did not say so.
func (t *sender) unknown() bool { return t.doubt || t.before }

// modulation is the rate in use.
func (t *sender) modulation() Modulation { return t.ladder[t.rung] }

// lower goes to the next lower rate and tells whether there was one.
func (t *sender) lower() bool {
	if t.rung+1 >= len(t.ladder) {
		return false
	}
	t.rung++
	return true
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
	c.startDocument(src)
	return true, nil
}

func (c *call) startDocument(src PageSource) {
	t := &c.tx
	t.src, t.next, t.n, t.resends, t.last, t.before = src, nil, 1, 0, false, false
	t.part = Report{}
}

// openPage makes page n's data ready to be sent from its beginning within limit.
func (c *call) openPage(limit PageLimit) error {
	t := &c.tx
	if t.data != nil && t.limit.same(limit) {
		return nil
	}
	c.closePage()
	if a := t.ahead; a != nil && a.n == t.n {
		<-a.done
		t.ahead = nil
		if a.err == nil && a.limit.same(limit) {
			t.format, t.data, t.limit = a.format, a.data, limit
			t.rd = bufio.NewReaderSize(t.data, 4096)
			return nil
		}
		a.drop(nil)
	}
	f, data, err := openWithin(c.ctx, t.src, t.n, limit)
	if err != nil {
		return err
	}
	t.format, t.data, t.limit = f, data, limit
	t.rd = bufio.NewReaderSize(data, 4096)
	return nil
}

// openWithin opens a page and holds its format against limit. The length announced is the greatest that both can:
// pages of different lengths then need no new DCS.
func openWithin(ctx context.Context, src PageSource, n int, limit PageLimit) (PageFormat, io.ReadCloser, error) {
	f, data, err := src.Page(ctx, n, limit)
	if err != nil {
		return f, nil, err
	}
	if !limit.allows(f) {
		data.Close()
		return f, nil, fmt.Errorf("t30: page %d has a format beyond the limit: %+v", n, f)
	}
	f.Length = limit.Length
	return f, data, nil
}

// same tells whether a page coded for l serves for o too: with ECM nothing depends on the rate.
func (l PageLimit) same(o PageLimit) bool {
	if l.ECM && o.ECM {
		o.Rate = l.Rate
	}
	return l == o
}

func (c *call) closePage() {
	if c.tx.data != nil {
		c.tx.data.Close()
		c.tx.data, c.tx.rd = nil, nil
	}
}

// lookAhead starts to find out what follows page n.
func (c *call) lookAhead() {
	t := &c.tx
	if t.ahead != nil {
		return // found out before: page n is sent again
	}
	a := &lookahead{n: t.n + 1, limit: c.pageLimit(t.n+1, t.limit.Rate), done: make(chan struct{})}
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
func (a *lookahead) drop(end func(PageSource)) {
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
			t.follow = FcfMPS
			if a.format != t.format {
				t.follow = FcfEOM
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
	t.follow = FcfEOP
	if t.next != nil || c.polls() {
		t.follow = FcfEOM
	}
	return nil
}

// polls tells whether the far end's document is still to be fetched, and is there.
func (c *call) polls() bool { return c.s.Poll != nil && c.caller && c.far.CanPoll && !c.rx.polled }

// endDocument tells the current document how it ended.
func (c *call) endDocument(code Code, text string) {
	t := &c.tx
	if t.src == nil {
		return
	}
	r := c.rep
	r.Code, r.Text, r.Received = code, text, 0
	r.Sent, r.SentPoor, r.Refused = t.part.Sent, t.part.SentPoor, t.part.Refused
	r.Unknown, r.Trouble = t.unknown(), t.trouble(code)
	r.Remote, r.End = c.far, time.Now()
	src := t.src
	t.src = nil
	if err := src.End(r); err != nil {
		c.trace(LayerCall, Note, "document's end not recorded: %v", err)
		c.fault(err)
	}
}

// close ends what is open when the call is over.
func (t *sender) close(c *call) {
	c.closePage()
	endUnsent := func(s PageSource) {
		r := c.rep
		r.Sent, r.SentPoor, r.Refused, r.Received, r.Unknown = 0, 0, 0, 0, false
		if r.Code == CodeOK {
			r.Code, r.Text = CodeProtocol, "call ended before this document"
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
	if code == CodeOK {
		code, text = CodeProtocol, "call ended inside this document"
	}
	c.endDocument(code, text)
	if t.next != nil {
		endUnsent(t.next)
		t.next = nil
	}
}
