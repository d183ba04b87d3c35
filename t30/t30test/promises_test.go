package t30test

import (
	"context"
	"strings"
	"testing"

	"github.com/tipring/tipring/t30"
)

// passage makes a passage of two documents of two pages, all sent and kept.
func passage() Passage {
	p := Passage{Docs: []*Document{NewDocument(1, 2, 100), NewDocument(2, 2, 100)}, Sink: &Sink{}}
	for _, d := range p.Docs {
		for n, page := range d.Pages {
			keep(p.Sink, page.Data, t30.Good)
			d.confirmed = append(d.confirmed, n+1)
		}
		d.ended = []t30.Report{{Code: t30.CodeOK, Sent: 2}}
	}
	p.Sent, p.Got = t30.Report{Code: t30.CodeOK, Sent: 4}, t30.Report{Code: t30.CodeOK, Received: 4}
	return p
}

func keep(s *Sink, data []byte, v t30.Verdict) {
	w, err := s.BeginPage(context.Background(), t30.Remote{}, t30.PageFormat{})
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Finish(context.Background(), v)
	}
	if err != nil {
		panic(err)
	}
}

// worse spoils one octet in each of the lines from to to of a page.
func worse(r *Received, from, to int) {
	for i := from; i < to; i++ {
		r.Data[i*lineOctets] ^= 0xff
	}
}

func TestPassage_Broken(t *testing.T) {
	for _, c := range []struct {
		name, want string // want "": nothing is broken
		spoil      func(p *Passage)
	}{
		{"all well", "", func(*Passage) {}},
		{"a wrong line with ECM", "differs", func(p *Passage) { p.ECM = true; worse(p.Sink.pages[1], 3, 4) }},
		{"a wrong line without", "", func(p *Passage) { worse(p.Sink.pages[1], 3, 4) }},
		{"many wrong lines", "was kept as", func(p *Passage) { worse(p.Sink.pages[1], 3, 7) }},
		{"many wrong lines, poor", "", func(p *Passage) { worse(p.Sink.pages[1], 3, 7); p.Sink.pages[1].Verdict = t30.Poor }},
		{"the end missing", "was kept as", func(p *Passage) { r := p.Sink.pages[3]; r.Data = r.Data[:len(r.Data)-1] }},
		{"lost", "page 2 of document 0 was confirmed and is lost", func(p *Passage) { p.Sink.pages[1].Verdict = t30.BadKept; p.Got.Received-- }},
		{"twice", "kept twice", func(p *Passage) {
			keep(p.Sink, p.Docs[1].Pages[1].Data, t30.Good)
			p.Got.Received++
		}},
		{"twice, and the sender knows why", "", func(p *Passage) {
			p.Sink.pages = append(p.Sink.pages, p.Sink.pages[3])
			p.Got.Received, p.Again = 5, 1
		}},
		{"out of turn", "out of turn", func(p *Passage) { s := p.Sink.pages; s[0], s[2] = s[2], s[0] }},
		{"receiver's count", "the receiver's report says 3", func(p *Passage) { p.Got.Received-- }},
		{"sender's count", "the sender's report says 3", func(p *Passage) { p.Sent.Sent-- }},
		{"never finished", "never finished", func(p *Passage) { p.Sink.pages[0].Done = false }},
		{"nobody's page", "none was sent", func(p *Passage) { p.Docs = nil; p.Sent.Sent, p.Got.Received = 0, 0 }},
		{"no end", "no end", func(p *Passage) { p.Docs[0].ended = nil }},
		{"two ends", "ended 2 times", func(p *Passage) { d := p.Docs[0]; d.ended = append(d.ended, d.ended[0]) }},
		{"wrong end", "its report says", func(p *Passage) { p.Docs[1].ended[0].Code = t30.CodeHungUpC }},
		{"not said to be unknown", "knows nothing", func(p *Passage) {
			d := p.Docs[1]
			d.confirmed, p.Sent, d.ended = d.confirmed[:1], t30.Report{Code: t30.CodeHungUpC, Sent: 3}, []t30.Report{{Code: t30.CodeHungUpC, Sent: 1}}
		}},
		{"said to be unknown", "", func(p *Passage) {
			d := p.Docs[1]
			d.confirmed, p.Sent, d.ended = d.confirmed[:1], t30.Report{Code: t30.CodeHungUpC, Sent: 3}, []t30.Report{{Code: t30.CodeHungUpC, Sent: 1, Unknown: true}}
		}},
		{"a page left out", "are through", func(p *Passage) {
			d := p.Docs[0]
			d.confirmed, d.ended = d.confirmed[1:], []t30.Report{{Code: t30.CodeHungUpC, Sent: 1}}
			p.Sent.Sent--
		}},
	} {
		p := passage()
		c.spoil(&p)
		errs, found := p.Broken(), c.want == ""
		for _, err := range errs {
			found = found || strings.Contains(err.Error(), c.want)
		}
		if !found || c.want == "" && len(errs) > 0 {
			t.Errorf("%s: %v, want %q", c.name, errs, c.want)
		}
	}
}
