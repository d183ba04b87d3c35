package pdf

import (
	"bytes"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
)

// FuzzWriter: whatever data a page has, of whatever size it says it is, and whatever is said of the file: it is well-formed, its pages
// are found, their data is as it was, and what is no page is refused without harm to the others.
func FuzzWriter(f *testing.F) {
	page := testPage(200, 30, imaging.Fine)
	for i, format := range formats {
		data, err := t4.Append(nil, page.Bitmap, format)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "Fax von Jürgen", "+1 555 0100", int64(1763823900), -5*3600, 200, 30, 204, 196, uint8(format.Coding), uint8(i*17), 1)
	}
	data, err := jbig.Append(nil, page.Bitmap, jbig.Page(0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, "<&>]]>\x00\xff\ufeff\ufffe", "(\\)", int64(-1), 3601, 200, 30, 300, 300, uint8(imaging.JBIG), uint8(0), 7)
	f.Add([]byte("\nendstream\nendobj\nxref\ntrailer\n%%EOF"), "\u202e😀\ud7ff", "\n", int64(253402300799), 1<<20, 65535, 65535, 10, 10000, uint8(0), uint8(255), -1)
	f.Fuzz(func(t *testing.T, data []byte, title, author string, unix int64, zone, width, height, x, y int, coding, flags uint8, first int) {
		if width*height > 1<<18 && coding == uint8(imaging.JBIG) {
			return // allowed, but slow
		}
		c := t4.Coded{Width: width, Height: height, Resolution: imaging.Resolution{X: x, Y: y}, Inverted: flags&1 != 0, Data: data,
			Format: t4.Format{Coding: imaging.Coding(coding), Order: t4.BitOrder(flags >> 1 & 1), EOL: flags&4 != 0, AlignLines: flags&8 != 0, K: int(flags >> 4)}}
		var buf bytes.Buffer
		w := NewWriter(&buf, Meta{Title: title, Author: author, Producer: author, Time: time.Unix(unix, 0).In(time.FixedZone("", zone)), FirstPage: first})
		added := 0
		for range 2 {
			if w.AddCoded(c) == nil {
				added++
			}
		}
		if err := w.AddPage(page); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		pages := parse(t, buf.Bytes()).pages
		if len(pages) != added+1 {
			t.Fatalf("%d pages of %d", len(pages), added+1)
		}
		if added > 0 && c.Format.Coding != imaging.JBIG && !bytes.Equal(pages[1].data, msbFirst(c)) {
			t.Fatal("the data was changed")
		}
		last := pages[len(pages)-1]
		b, q, err := t4.Decode(last.data, page.Width, page.Height, t4.File(imaging.MMR, page.Resolution))
		if err != nil || q.BadLines != 0 || !b.Equal(page.Bitmap) {
			t.Fatalf("the last page is another: %+v, %v", q, err)
		}
	})
}
