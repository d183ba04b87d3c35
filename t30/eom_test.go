package t30_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// Documents of different formats in one call: EOM between them, a DCS of its own for each, the rate that training has fallen back to is
// kept, and the ECM page counter goes on (T.30 5.3.6.1.6, A.4.3).
func TestEOM_ChangeOfMode(t *testing.T) {
	formats := []t30.PageFormat{
		{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR},
		{Resolution: t30.Standard, Width: t30.WidthB4, Coding: t30.MR},
		{Resolution: t30.Superfine, Width: t30.WidthA3, Coding: t30.MH},
	}
	for _, ecm := range []bool{false, true} {
		var docs []*t30test.Document
		for i, f := range formats {
			d := t30test.NewDocument(uint64(i+1), 2, 300)
			for n := range d.Pages {
				d.Pages[n].Format = f
			}
			docs = append(docs, d)
		}
		sink := &t30test.Sink{}
		k := sending(t30test.Config{MaxRate: 12000}, sink, docs...)
		k.caller.NoECM = !ecm
		o := k.run(t)
		wantOK(t, o)
		wantPages(t, o, sink, docs...)
		for i, d := range docs {
			want := formats[i]
			if !ecm && want.Coding == t30.MMR {
				want.Coding = t30.MH
			}
			e := d.Ended()[0]
			want.Length = e.Format.Length // the longest that both can
			if e.Format != want || e.Modulation.Rate != 12000 || e.ECM != ecm {
				t.Errorf("document %d: %+v at %v, ecm %v; want %+v", i+1, e.Format, e.Modulation, e.ECM, want)
			}
			for _, p := range sink.Pages()[2*i : 2*i+2] {
				if p.Format.Resolution != want.Resolution || p.Format.Width != want.Width || p.Format.Coding != want.Coding {
					t.Errorf("document %d arrived as %+v, want %+v", i+1, p.Format, want)
				}
			}
		}
		var commands []string
		for _, l := range o.callerLog {
			if _, cmd, ok := strings.Cut(l, "> frame "); ok && !strings.HasPrefix(cmd, "TSI") {
				commands = append(commands, strings.Join(strings.Fields(cmd)[:min(3, len(strings.Fields(cmd)))], " "))
			}
		}
		want := []string{"DCS v17/14400 mh", "DCS v17/12000 mh", "MPS", "EOM", "DCS v17/12000 mr", "MPS", "EOM", "DCS v17/12000 mh", "MPS", "EOP", "DCN"}
		if ecm {
			want = []string{"DCS v17/14400 mmr", "DCS v17/12000 mmr", "PPS-MPS page 0", "PPS-EOM page 1", "DCS v17/12000 mr", "PPS-MPS page 2", "PPS-EOM page 3",
				"DCS v17/12000 mh", "PPS-MPS page 4", "PPS-EOP page 5", "DCN"}
		}
		if !slices.Equal(commands, want) {
			t.Errorf("ecm %v: %q, want %q", ecm, commands, want)
		}
	}
}
