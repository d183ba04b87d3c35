package call

import (
	"bytes"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/t30"
)

// TestDocument_CodesJBIG: only where both ends have it and error correction, in stripes of 128 lines, which every T.85 receiver takes.
func TestDocument_CodesJBIG(t *testing.T) {
	page := textLike(1728, 1100, imaging.Fine, 1)
	d := NewDocument(DocumentOptions{Pages: PageList{page}})
	for _, ecm := range []bool{true, false} {
		limit := all(ecm)
		limit.Codings |= t30.Codings(t30.JBIG)
		f, data := read(t, d, 1, limit)
		if (f.Coding == t30.JBIG) != ecm {
			t.Fatalf("ECM %v: %v", ecm, f)
		}
		if !ecm {
			continue
		}
		h, err := jbig.ParseHeader(data)
		if err != nil || h.Width != 1728 || h.Height != 1100 || h.StripeLines != 128 || !h.Typical || h.Variable {
			t.Errorf("%+v, %v", h, err)
		}
		mmr := all(true)
		if _, dense := read(t, d, 1, mmr); len(data) >= len(dense) {
			t.Errorf("%d octets, %d as MMR", len(data), len(dense))
		}
	}
}

// TestSink_JBIG: a page whose height comes last is good; one that is cut off is not.
func TestSink_JBIG(t *testing.T) {
	page := textLike(1728, 500, imaging.Fine, 3)
	f := t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.JBIG}
	for _, cut := range []bool{false, true} {
		keep, err := NewFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		e, err := jbig.NewEncoder(&buf, 1728, jbig.Format{MX: 8})
		if err != nil {
			t.Fatal(err)
		}
		for y := range page.Height {
			if err := e.EncodeLine(page.Row(y)); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		data := buf.Bytes()
		if cut {
			data = data[:len(data)*2/3]
		}
		q := receive(t, NewSink(keep, nil), f, data, true, t30.Good)
		if q.BadLines != 0 || q.NoRTC != cut || !cut && q.Lines != 500 || q.Lines < 250 {
			t.Errorf("cut %v: %+v", cut, q)
		}
	}
}
