package call

import (
	"testing"

	"github.com/tipring/tipring/t30"
)

// published counts how often a page had to wait for the disk.
type published struct {
	memory
	n int
}

func (p *published) Create() (File, error) { return p, nil }
func (p *published) Publish() error        { p.n++; return nil }

// A page that Sync made durable while its last command was on the line does not wait for the disk again.
func TestSink_FinishAfterSyncIsQuick(t *testing.T) {
	for _, late := range []bool{false, true} {
		keep := &published{}
		sink := NewSink(keep, nil)
		w, err := sink.BeginPage(t.Context(), t30.Remote{}, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR})
		if err != nil {
			t.Fatal(err)
		}
		want := 1
		write := func() {
			if _, err := w.Write([]byte{0xff, 0xff, 0x01}); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if err := w.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if late {
			write()
			want = 2
		}
		if err := w.Finish(t.Context(), t30.Good); err != nil {
			t.Fatal(err)
		}
		if p := sink.Pages(); keep.n != want || len(p) != 1 || !p[0].Confirmed {
			t.Errorf("late data %v: published %d times, want %d; pages %+v", late, keep.n, want, p)
		}
	}
}
