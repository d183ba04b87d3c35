package t30test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

// lineOctets is the length of one line of a page made by MakePage: data and a check of two octets.
const lineOctets = 32

// MakePage makes page data of n lines that a Sink can judge: each line carries a check. No image coding is in it.
func MakePage(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0x9a6e))
	var out []byte
	for range n {
		line := make([]byte, lineOctets-2, lineOctets)
		for i := range line {
			line[i] = byte(rng.Uint32())
		}
		out = append(out, hdlc.AppendFCS(line)...)
	}
	return out
}

// MakeRTC makes what stands for a return to control (T.4 4.1.4) at the end of a page of MakePage: one more line.
func MakeRTC() []byte {
	return hdlc.AppendFCS(append(bytes.Repeat([]byte{0, 0x80}, lineOctets/2-2), "RT"...))
}

// judge counts the lines of MakePage whose check is wrong. Zeros at the end are fill.
func judge(data []byte) (q t30.Quality) {
	run := 0
	for ; len(data) > 0; data = data[min(lineOctets, len(data)):] {
		line := data[:min(lineOctets, len(data))]
		if len(bytes.Trim(line, "\x00")) == 0 {
			continue
		}
		q.Lines++
		if len(line) == lineOctets && hdlc.Good(line) {
			run = 0
			continue
		}
		q.BadLines++
		run++
		q.LongestBad = max(q.LongestBad, run)
	}
	return q
}

// Page is one page to send.
type Page struct {
	Format t30.PageFormat
	Data   []byte
	Err    error // given in place of the page

	fill int // octets of fill that were sent behind Data at most
}

// Document is a document in memory. Its page data is the same in each coding; only the format follows the limit.
type Document struct {
	Pages []Page
	// ConfirmErr is what Confirmed returns.
	ConfirmErr error
	// RefuseErr is what Refused returns.
	RefuseErr error

	mu        sync.Mutex
	confirmed []int
	results   []t30.PageResult
	refused   []int
	out       int // page told to be out last
	opened    int
	ended     []t30.Report
}

// NewDocument makes a document of n pages of MakePage, each of lines lines.
func NewDocument(seed uint64, n, lines int) *Document {
	d := &Document{}
	for i := range n {
		d.Pages = append(d.Pages, Page{
			Format: t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR},
			Data:   MakePage(seed*1000+uint64(i), lines),
		})
	}
	return d
}

// Page implements t30.PageSource.
func (d *Document) Page(_ context.Context, n int, limit t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	if n < 1 || n > len(d.Pages) {
		return t30.PageFormat{}, nil, io.EOF
	}
	p := d.Pages[n-1]
	if p.Err != nil {
		return t30.PageFormat{}, nil, p.Err
	}
	f := p.Format
	if !limit.Codings.Has(f.Coding) {
		f.Coding = t30.MH
	}
	if !limit.Resolutions.Has(f.Resolution) {
		f.Resolution = t30.Standard
	}
	if !limit.Widths.Has(f.Width) {
		f.Width = t30.WidthA4
	}
	f.Length = min(f.Length, limit.Length)
	data := p.Data
	if fill := int(limit.MinPage.Seconds()*float64(limit.Rate)/8) - len(data); fill > 0 {
		data = append(bytes.Clone(data), make([]byte, fill)...)
		d.Pages[n-1].fill = max(p.fill, fill)
	}
	return f, io.NopCloser(bytes.NewReader(data)), nil
}

// Sent implements t30.PageSource.
func (d *Document) Sent(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = n
	return nil
}

// Confirmed implements t30.PageSource.
func (d *Document) Confirmed(n int, r t30.PageResult) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ConfirmErr != nil {
		return d.ConfirmErr
	}
	if d.out != n {
		return fmt.Errorf("t30test: page %d confirmed, but page %d was the last told to be out", n, d.out)
	}
	d.confirmed = append(d.confirmed, n)
	d.results = append(d.results, r)
	return nil
}

// End implements t30.PageSource.
func (d *Document) End(r t30.Report) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = append(d.ended, r)
	return nil
}

// Refused implements t30.PageSource.
func (d *Document) Refused(n int, _ t30.PageResult) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.RefuseErr != nil && !errors.Is(d.RefuseErr, t30.ErrStop) {
		return d.RefuseErr
	}
	if d.out != n {
		return fmt.Errorf("t30test: page %d refused, but page %d was the last told to be out", n, d.out)
	}
	d.refused = append(d.refused, n)
	return d.RefuseErr
}

// RefusedPages returns the pages refused, in order.
func (d *Document) RefusedPages() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int(nil), d.refused...)
}

// ConfirmedPages returns the pages confirmed, in order.
func (d *Document) ConfirmedPages() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int(nil), d.confirmed...)
}

// Results returns how the pages were confirmed.
func (d *Document) Results() []t30.PageResult {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]t30.PageResult(nil), d.results...)
}

// Ended returns the reports of End; there should be one.
func (d *Document) Ended() []t30.Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]t30.Report(nil), d.ended...)
}

// Documents is a t30.Documents over some documents.
type Documents struct {
	mu   sync.Mutex
	docs []*Document
}

// Docs yields each of docs once.
func Docs(docs ...*Document) *Documents { return &Documents{docs: docs} }

// Next implements t30.Documents.
func (d *Documents) Next(context.Context, t30.Remote) (t30.PageSource, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.docs) == 0 {
		return nil, io.EOF
	}
	next := d.docs[0]
	d.docs = d.docs[1:]
	return next, nil
}
