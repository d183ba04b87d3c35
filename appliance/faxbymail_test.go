package appliance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"testing"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// A fax by mail (T.37) arrives at the other end pel by pel, below the header line.
func TestRun_FaxByMailKeepsEveryPel(t *testing.T) {
	t.Parallel()
	var want []*imaging.Bitmap
	var file bytes.Buffer
	w := tiff.NewWriter(&file, tiff.Meta{})
	for page := range 2 {
		b := imaging.New(1728, 300)
		for y := range 300 {
			for x := (y * (7 + page)) % 31; x < 1728; x += 29 + y%17 {
				b.SetBlack(x, y)
			}
		}
		want = append(want, b)
		if err := w.AddPage(imaging.Page{Bitmap: b, Resolution: imaging.Fine}, t4.File(imaging.MH, imaging.Fine)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, 12)
	r.start()
	text := fmt.Sprintf("From: anna@example.org\r\nTo: %s@%s\r\nSubject: scan\r\nMessage-ID: <scan@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: image/tiff; application=faxbw\r\nContent-Transfer-Encoding: base64\r\n\r\n",
		demoReceiver, demoFax)
	coded := base64.StdEncoding.EncodeToString(file.Bytes())
	for ; len(coded) > 76; coded = coded[76:] {
		text += coded[:76] + "\r\n"
	}
	if err := submit(r.app.SMTPAddrs()[0], "anna@example.org", []string{demoReceiver + "@" + demoFax}, text+coded+"\r\n"); err != nil {
		t.Fatal(err)
	}
	if j := r.waitState("scan", demoReceiver, queue.Sent); j.Pages != len(want) {
		t.Fatalf("%d pages", j.Pages)
	}
	var fax queue.Fax
	eventually(t, "received fax", func() bool {
		list, err := r.app.q.Faxes(1)
		if err != nil || len(list) != 1 || list[0].Document == "" {
			return false
		}
		fax = list[0]
		return true
	})
	data, err := r.app.st.ReadFile(fax.Document, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tiff.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil || got.NumPages() != len(want) {
		t.Fatalf("%v, %v", got, err)
	}
	for i, b := range want {
		p, _, err := got.Decode(i + 1)
		if err != nil {
			t.Fatal(err)
		}
		header := p.Height - b.Height
		if header < 10 || !p.Crop(image.Rect(0, header, p.Width, p.Height)).Equal(b) {
			t.Errorf("page %d: %d x %d, not the pels that were mailed below its header line", i+1, p.Width, p.Height)
		}
	}
}
