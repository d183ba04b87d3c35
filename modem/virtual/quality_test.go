package virtual_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// spoiltPage is whitePage with bits behind the end of some of its 200 lines.
func spoiltPage(bad int) *t30test.Document {
	s := ""
	for i := range 200 {
		s += eolBits + "010011011" + "00110101" // 1728 white
		if i%2 == 1 && i/2 < bad {
			s += "1111"
		}
	}
	f := t30.PageFormat{Resolution: t30.Standard, Width: t30.WidthA4, Coding: t30.MH}
	return &t30test.Document{Pages: []t30test.Page{{Format: f, Data: lineBits(s + strings.Repeat(eolBits, 6))}}}
}

// TestQuality_WhoJudges: the modem's copy quality check and our decoder disagree about a page. Ours counts, unless the line trusts the modem.
func TestQuality_WhoJudges(t *testing.T) {
	for _, c := range []struct {
		name      string
		spoilt    int // of the page's 200 lines, as the modem sees it
		judge     func(int, []byte) t30.Quality
		ours, its t30.Verdict
	}{
		{"both call it good", 0, allGood, t30.Good, t30.Good},
		{"the modem calls it bad", 20, allGood, t30.Good, t30.BadKept},
		{"the modem calls it poor", 8, allGood, t30.Good, t30.Poor},
		{"we call it bad", 0, lies, t30.BadKept, t30.Good},
		{"both call it bad", 20, lies, t30.BadKept, t30.BadKept},
	} {
		for _, class := range []string{"2", "2.0", "2.1"} {
			for _, trust := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, Class %s, trusted %v", c.name, class, trust), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := switchOff{class: class, quirk: "class2.trust_quality", on: trust,
							change: func(o *virtual.ModemOptions) { o.ChecksCopy, o.ReversedReceive = true, class == "2" }}
						b, err := s.newBench(t, "class2.1", false)
						if err != nil {
							t.Fatal(err)
						}
						defer b.close()
						want := c.ours
						if trust {
							want = c.its
						}
						doc := spoiltPage(c.spoilt)
						call := b.call(true, doc, t30.AnswerFax, c.judge)
						t.Log(b.log)
						verdict := call.sink.Pages()[0].Verdict // after RTN a second one is begun
						taken := want != t30.BadKept
						if verdict != want || call.sent.OK() != taken || (call.sent.SentPoor > 0) != (want == t30.Poor) || (call.got.Received == 1) != taken {
							t.Errorf("verdict %v, want %v; sent %+v, received %d", verdict, want, call.sent.Code, call.got.Received)
						}
					})
				})
			}
		}
	}
}
