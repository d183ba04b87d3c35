package gateway

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// A fax as PDF says who sent it and when, and a part of one goes on with the page numbers.
func TestPDFOf(t *testing.T) {
	f := queue.Fax{NewFax: queue.NewFax{RemoteID: "Clinic <&>", Started: time.Date(2026, 11, 23, 4, 5, 6, 0, time.Local)}, Pages: make([]queue.FaxPage, 9)}
	given := false
	next := func() (t4.Coded, error) {
		if given {
			return t4.Coded{}, io.EOF
		}
		given = true
		b := imaging.New(1728, 10)
		data, err := t4.Append(nil, b, t4.File(imaging.MMR, imaging.Fine))
		return t4.Coded{Width: b.Width, Height: b.Height, Resolution: imaging.Fine, Format: t4.File(imaging.MMR, imaging.Fine), Data: data}, err
	}
	var out strings.Builder
	if err := pdfOf(f, queue.Delivery{First: 4, Last: 4, Part: "2/3"})(&out, next); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Fax from Clinic &lt;&amp;&gt;, 9 pages, part 2/3", "/St 4", "/CreationDate(D:20261123040506"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in the file", want)
		}
	}
}
