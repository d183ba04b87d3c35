package t30_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// refusing runs a call without ECM in which the receiver answers RTN to page i of the list (from 0) where bad tells so.
func refusing(t *testing.T, bad func(i int) bool, docs ...*t30test.Document) (outcome, *t30test.Sink) {
	t.Helper()
	sink := &t30test.Sink{Judge: func(i int, _ []byte) t30.Quality {
		if bad(i) {
			return badPage
		}
		return goodPage
	}}
	k := sending(t30test.Config{}, sink, docs...)
	k.caller.NoECM = true
	return k.run(t), sink
}

// wantDocument holds the pages that a document knows to be confirmed and refused, and its end, against what is wanted.
func wantDocument(t *testing.T, o outcome, d *t30test.Document, confirmed, refused []int, code t30.Code) {
	t.Helper()
	e := d.Ended()
	if !slices.Equal(d.ConfirmedPages(), confirmed) || !slices.Equal(d.RefusedPages(), refused) || len(e) != 1 || e[0].Code != code ||
		e[0].Sent != len(confirmed) || e[0].Refused != len(refused) || e[0].Unknown {
		o.dump(t)
		t.Errorf("confirmed %v, refused %v, ended %+v; want %v, %v, %v", d.ConfirmedPages(), d.RefusedPages(), e, confirmed, refused, code)
	}
}

func TestRTN_ToMPSThreeTimesThenTheNextPage(t *testing.T) {
	for _, to := range []struct {
		name    string
		pages   int
		bad     func(i int) bool
		conf    []int
		refused []int
		rate    int
	}{
		{"first of three", 3, func(i int) bool { return i < 3 }, []int{2, 3}, []int{1}, 9600},
		{"second of three", 3, func(i int) bool { return i >= 1 && i < 4 }, []int{1, 3}, []int{2}, 9600},
		{"first and second", 3, func(i int) bool { return i < 6 }, []int{3}, []int{1, 2}, 7200},
		{"all", 3, func(int) bool { return true }, nil, []int{1, 2, 3}, 7200},
	} {
		t.Run(to.name, func(t *testing.T) {
			doc := t30test.NewDocument(1, to.pages, 300)
			o, sink := refusing(t, to.bad, doc)
			wantDocument(t, o, doc, to.conf, to.refused, t30.CodePageRefused)
			if o.sent.Code != t30.CodePageRefused || o.sent.Refused != len(to.refused) || o.sent.Modulation.Rate != to.rate {
				t.Errorf("%v, %d refused, %v", o.sent.Code, o.sent.Refused, o.sent.Modulation)
			}
			if n := len(sink.Kept()); n != len(to.conf) {
				t.Errorf("%d pages kept as good, want %d", n, len(to.conf))
			}
		})
	}
}

func TestRTN_ToEOPEndsTheCall(t *testing.T) {
	doc := t30test.NewDocument(1, 2, 300)
	o, _ := refusing(t, func(i int) bool { return i == 1 }, doc)
	wantDocument(t, o, doc, []int{1}, []int{2}, t30.CodePageRefused)
	if o.sent.Code != t30.CodePageRefused || o.heard("refused -> dcs") || !o.heard("refused -> disconnect") {
		o.dump(t)
		t.Errorf("%v %s", o.sent.Code, o.sent.Text)
	}
}

func TestRTN_ToEOMEndsTheDocument(t *testing.T) {
	first, second := t30test.NewDocument(1, 1, 300), t30test.NewDocument(2, 1, 300)
	o, _ := refusing(t, func(i int) bool { return i == 0 }, first, second)
	wantDocument(t, o, first, nil, []int{1}, t30.CodePageRefused)
	wantDocument(t, o, second, []int{1}, nil, t30.CodeOK)
	if o.sent.Code != t30.CodePageRefused || o.sent.Sent != 1 || o.sent.Modulation.Rate != 12000 {
		t.Errorf("%+v", o.sent)
	}
}

func TestRTN_EOMInsideADocument(t *testing.T) {
	doc := t30test.NewDocument(1, 2, 300)
	doc.Pages[1].Format.Resolution = t30.Standard
	o, _ := refusing(t, func(i int) bool { return i < 3 }, doc)
	wantDocument(t, o, doc, []int{2}, []int{1}, t30.CodePageRefused)
}

func TestRTN_DocumentStops(t *testing.T) {
	for _, c := range []struct {
		err  error
		code t30.Code
	}{{t30.ErrStop, t30.CodePageRefused}, {errors.New("disk full"), t30.CodeSource}} {
		doc := t30test.NewDocument(1, 2, 300)
		doc.RefuseErr = c.err
		o, _ := refusing(t, func(int) bool { return true }, doc)
		if o.sent.Code != c.code || len(doc.ConfirmedPages()) != 0 || errors.Is(o.sentErr, c.err) != (c.code == t30.CodeSource) {
			o.dump(t)
			t.Errorf("%v: %v, %v", c.err, o.sent.Code, o.sentErr)
		}
	}
}
