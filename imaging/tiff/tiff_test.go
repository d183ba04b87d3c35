package tiff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// testPage returns a page with letter-like blobs, rules and dust.
func testPage(width, height int, res imaging.Resolution) imaging.Page {
	r := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	b := imaging.New(width, height)
	for range max(width*height/400, 1) {
		x0, y0, w, h := r.IntN(width), r.IntN(height), 1+r.IntN(9), 1+r.IntN(12)
		for y := y0; y < min(y0+h, height); y++ {
			for x := x0; x < min(x0+w, width); x++ {
				b.SetBlack(x, y)
			}
		}
	}
	for x := range width {
		b.SetBlack(x, height/2)
	}
	return imaging.Page{Bitmap: b, Resolution: res}
}

var testFormats = map[string]t4.Format{
	"mh":         t4.File(imaging.MH, imaging.Fine),
	"mr":         t4.File(imaging.MR, imaging.Fine),
	"mmr":        t4.File(imaging.MMR, imaging.Fine),
	"jbig":       t4.File(imaging.JBIG, imaging.Fine),
	"mh aligned": {Coding: imaging.MH, EOL: true, AlignEOL: true},
	"mr aligned": {Coding: imaging.MR, AlignEOL: true, K: 4},
	"mh rle":     {Coding: imaging.MH, AlignLines: true},
	"mh line":    t4.Line(imaging.MH, imaging.Fine),
	"mr line":    {Coding: imaging.MR, End: true, Order: t4.LSBFirst, MinLineBits: 300, K: 2},
	"mmr line":   t4.Line(imaging.MMR, imaging.Fine),
	"rle lsb":    {Coding: imaging.MH, AlignLines: true, Order: t4.LSBFirst},
}

func mustCode(t testing.TB, p imaging.Page, c imaging.Coding) []byte {
	t.Helper()
	data, err := new(Writer).code(p.Bitmap, t4.File(c, p.Resolution))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// write returns a file with these pages.
func write(t testing.TB, f t4.Format, pages ...imaging.Page) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, Meta{Pages: len(pages)})
	for _, p := range pages {
		if err := w.AddPage(p, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func open(t testing.TB, data []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWriter_RoundTrip(t *testing.T) {
	pages := []imaging.Page{
		testPage(1728, 120, imaging.Standard), testPage(1, 1, imaging.Fine), testPage(2432, 77, imaging.Superfine),
		testPage(3456, 50, imaging.R16), testPage(333, 3, imaging.Resolution{}), testPage(2592, 40, imaging.Res300),
	}
	for name, format := range testFormats {
		data := write(t, format, pages...)
		if again := write(t, format, pages...); !bytes.Equal(data, again) {
			t.Errorf("%s: not deterministic", name)
		}
		f := open(t, data)
		if f.NumPages() != len(pages) || f.Rest() != nil {
			t.Fatalf("%s: %d pages, %v", name, f.NumPages(), f.Rest())
		}
		for i, want := range pages {
			got, q, err := f.Decode(i + 1)
			if err != nil || !got.Equal(want.Bitmap) || q.BadLines != 0 || q.Lines != want.Height {
				t.Errorf("%s page %d: %+v, %v", name, i+1, q, err)
			}
			if got.Resolution != want.Resolution {
				t.Errorf("%s page %d: resolution %v", name, i+1, got.Resolution)
			}
			info := f.Info(i + 1)
			if info.Width != want.Width || info.Height != want.Height || info.Number != i+1 || info.Total != len(pages) ||
				info.Strips != 1 || info.Format.Coding != format.Coding || info.Format.Order != format.Order {
				t.Errorf("%s page %d: %+v", name, i+1, info)
			}
		}
	}
}

func TestRaw_IntoAnotherFile(t *testing.T) {
	page := testPage(1728, 90, imaging.Fine)
	for name, format := range testFormats {
		c, err := open(t, write(t, format, page)).Raw(1)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := new(Writer).code(page.Bitmap, format)
		if !bytes.Equal(c.Data, want) {
			t.Errorf("%s: data changed", name)
		}
		c.Quality = &imaging.Quality{Lines: 90, BadLines: 7, LongestBad: 3}
		c.Inverted = true
		var buf bytes.Buffer
		w := NewWriter(&buf, Meta{Software: "test", Time: time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)})
		if err := w.AddCoded(c); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f := open(t, buf.Bytes())
		got, _, err := f.Decode(1)
		if err != nil {
			t.Fatal(err)
		}
		if got.Invert(); !got.Equal(page.Bitmap) {
			t.Errorf("%s: not the inverse page", name)
		}
		if q := f.Info(1).Quality; q == nil || q.BadLines != 7 || q.LongestBad != 3 {
			t.Errorf("%s: quality %+v", name, q)
		}
		if !bytes.Contains(buf.Bytes(), []byte("2026:11:22 16:00:00\x00")) || !bytes.Contains(buf.Bytes(), []byte("test\x00")) {
			t.Errorf("%s: date or software is missing", name)
		}
	}
}

func TestWriter_Errors(t *testing.T) {
	w := NewWriter(io.Discard, Meta{})
	if err := w.Close(); !errors.Is(err, ErrNoPage) {
		t.Errorf("no page: %v", err)
	}
	p := testPage(100, 10, imaging.Fine)
	if err := w.AddPage(p, t4.Format{Coding: imaging.MH}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("MH without EOLs: %v", err)
	}
	if err := w.AddPage(p, t4.Format{Coding: 9}); !errors.Is(err, t4.ErrFormat) {
		t.Errorf("no coding: %v", err)
	}
	other := t4.Coded{Width: 100, Height: 11, Format: t4.Format{Coding: imaging.JBIG}}
	for _, other.Data = range [][]byte{nil, mustCode(t, p, imaging.JBIG)} {
		if err := w.AddCoded(other); !errors.Is(err, ErrUnsupported) {
			t.Errorf("JBIG of another size: %v", err)
		}
	}
	if err := w.AddCoded(t4.Coded{Width: 10}); !errors.Is(err, ErrMalformed) {
		t.Errorf("no lines: %v", err)
	}
	full := errors.New("disk full")
	pr, pw := io.Pipe()
	pr.CloseWithError(full)
	w = NewWriter(pw, Meta{})
	if err := w.AddPage(p, t4.File(imaging.MMR, imaging.Fine)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

// TestOpen_Truncated cuts a file everywhere: what is whole is read, and the error names the next page.
func TestOpen_Truncated(t *testing.T) {
	pages := []imaging.Page{testPage(200, 30, imaging.Fine), testPage(300, 20, imaging.Fine), testPage(100, 40, imaging.Fine)}
	data := write(t, t4.File(imaging.MR, imaging.Fine), pages...)
	last := 0
	for n := range data {
		f, err := Open(bytes.NewReader(data[:n]), int64(n))
		if n < 8 {
			if !errors.Is(err, ErrNotTIFF) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			continue
		}
		var pe *PageError
		whole := 0
		if err == nil {
			whole = f.NumPages()
			err = f.Rest()
		}
		if whole < last || whole == len(pages) && err != nil {
			t.Fatalf("%d bytes: %d pages, before %d", n, whole, last)
		}
		if last = whole; whole == len(pages) {
			continue // cut in the last directory's values
		}
		if !errors.Is(err, ErrTruncated) || !errors.As(err, &pe) || pe.Page != whole+1 {
			t.Fatalf("%d bytes, %d pages: %v", n, whole, err)
		}
		for i := range max(whole-1, 0) { // the last one's resolution may be cut off
			if got, _, err := f.Decode(i + 1); err != nil || !got.Equal(pages[i].Bitmap) {
				t.Fatalf("%d bytes, page %d: %v", n, i+1, err)
			}
		}
		if whole > 0 {
			if _, _, err := f.Decode(whole + 1); !errors.Is(err, ErrTruncated) {
				t.Fatalf("page %d: %v", whole+1, err)
			}
		}
	}
	if _, _, err := open(t, data).Decode(4); !errors.Is(err, ErrNoPage) {
		t.Errorf("page 4 of 3: %v", err)
	}
}

// patch sets the value of a tag in the first directory of a file that Writer wrote.
func patch(t testing.TB, data []byte, tag uint16, count uint32, value uint32) []byte {
	t.Helper()
	data = bytes.Clone(data)
	dir := data[binary.LittleEndian.Uint32(data[4:]):]
	for i := range int(binary.LittleEndian.Uint16(dir)) {
		e := dir[2+12*i:]
		if binary.LittleEndian.Uint16(e) != tag {
			continue
		}
		binary.LittleEndian.PutUint32(e[4:], count)
		binary.LittleEndian.PutUint32(e[8:], value)
		return data
	}
	t.Fatalf("no tag %d", tag)
	return nil
}

func TestDecode_Refuses(t *testing.T) {
	good := write(t, t4.File(imaging.MMR, imaging.Fine), testPage(200, 30, imaging.Fine))
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"grey", patch(t, good, tagBitsPerSample, 1, 8), ErrNotBilevel},
		{"colour", patch(t, good, tagSamplesPerPixel, 1, 3), ErrNotBilevel},
		{"palette", patch(t, good, tagPhotometric, 1, 3), ErrNotBilevel},
		{"jpeg", patch(t, good, tagCompression, 1, 7), ErrUnsupported},
		{"not lzw", patch(t, good, tagCompression, 1, 5), ErrMalformed},
		{"not deflate", patch(t, good, tagCompression, 1, 8), ErrMalformed},
		{"no width", patch(t, good, tagImageWidth, 1, 0), ErrMalformed},
		{"wide", patch(t, good, tagImageWidth, 1, 70000), ErrTooLarge},
		{"50,000 x 50,000", patch(t, patch(t, good, tagImageWidth, 1, 50000), tagImageLength, 1, 50000), ErrTooLarge},
		{"absurd", patch(t, patch(t, good, tagImageWidth, 1, 1<<32-1), tagImageLength, 1, 1<<32-1), ErrTooLarge},
		{"missing strips", patch(t, good, tagRowsPerStrip, 1, 1), ErrMalformed},
		{"strips elsewhere", patch(t, patch(t, good, tagRowsPerStrip, 1, 10), tagStripOffsets, 100, 1<<31), ErrMalformed},
		{"no strip", patch(t, good, tagStripOffsets, 0, 8), ErrMalformed},
		{"strip behind the end", patch(t, good, tagStripOffsets, 1, 1<<30), ErrTruncated},
	} {
		_, _, err := open(t, c.data).Decode(1)
		var pe *PageError
		if !errors.Is(err, c.want) || !errors.As(err, &pe) || pe.Page != 1 {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if info := open(t, c.data).Info(1); c.want != ErrTruncated && info.Compression != LZW && info.Compression != Deflate && !errors.Is(info.Err, c.want) {
			t.Errorf("%s: Info says %v", c.name, info.Err)
		}
	}
}

// TestDecode_UncompressedMode: a page that may use it is read, but not handed on as it stands.
func TestDecode_UncompressedMode(t *testing.T) {
	page := testPage(200, 30, imaging.Fine)
	for tag, f := range map[uint16]t4.Format{tagT4Options: t4.File(imaging.MH, imaging.Fine), tagT6Options: t4.File(imaging.MMR, imaging.Fine)} {
		file := open(t, patch(t, write(t, f, page), tag, 1, t4Uncompressed))
		if got, q, err := file.Decode(1); err != nil || q.BadLines != 0 || !got.Equal(page.Bitmap) {
			t.Errorf("%v: %+v, %v", f.Coding, q, err)
		}
		if _, err := file.Raw(1); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v: Raw: %v", f.Coding, err)
		}
	}
}

func TestDecode_ShortStrip(t *testing.T) {
	page := testPage(200, 300, imaging.Fine)
	data := write(t, t4.File(imaging.MMR, imaging.Fine), page)
	f := open(t, patch(t, data, tagStripByteCounts, 1, 1<<20))
	got, q, err := f.Decode(1)
	if !errors.Is(err, ErrTruncated) || !got.Equal(page.Bitmap) || q.BadLines != 0 {
		t.Errorf("size beyond the end: %+v, %v", q, err)
	}
	f = open(t, patch(t, data, tagStripByteCounts, 1, 300))
	got, q, err = f.Decode(1)
	if err != nil || got.Height != 300 || q.Lines != 300 || q.BadLines < 10 || q.BadLines > 290 {
		t.Errorf("data cut: %+v, %v", q, err)
	}
	for y := range 300 - q.BadLines {
		for x := range 200 {
			if got.Black(x, y) != page.Black(x, y) {
				t.Fatalf("pel %d, %d", x, y)
			}
		}
	}
}

func TestOpen_HostileChains(t *testing.T) {
	dir := func(next uint32) []byte { // one entry, ImageWidth
		b := []byte{1, 0, 0, 1, 4, 0, 1, 0, 0, 0, 9, 0, 0, 0}
		return binary.LittleEndian.AppendUint32(b, next)
	}
	header := []byte("II*\x00\x08\x00\x00\x00")
	loop := append(header, dir(8)...)
	f := open(t, loop)
	if f.NumPages() != 1 || !errors.Is(f.Rest(), ErrMalformed) {
		t.Errorf("circle: %d pages, %v", f.NumPages(), f.Rest())
	}
	many := bytes.Clone(header)
	for i := range maxPages + 5 {
		many = append(many, dir(uint32(8+18*(i+1)))...)
	}
	if f := open(t, many); f.NumPages() != maxPages || !errors.Is(f.Rest(), ErrTooLarge) {
		t.Errorf("many: %d pages, %v", f.NumPages(), f.Rest())
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":        {nil, ErrNotTIFF},
		"text":         {[]byte("hello, world"), ErrNotTIFF},
		"bigtiff cut":  {[]byte("II+\x00\x08\x00\x00\x00"), ErrTruncated},
		"bigger tiff":  {[]byte("II+\x00\x10\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00"), ErrMalformed},
		"bigtiff far":  {[]byte("MM\x00+\x00\x08\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"), ErrTruncated},
		"most entries": {[]byte("II+\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"), ErrMalformed},
		"no directory": {[]byte("II*\x00\x00\x00\x00\x00"), ErrMalformed},
		"far away":     {[]byte("MM\x00*\xff\xff\xff\xff"), ErrTruncated},
		"0 entries":    {append(bytes.Clone(header), 0, 0), ErrMalformed},
	} {
		if _, err := Open(bytes.NewReader(c.data), int64(len(c.data))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDecode_OverlappingStrips has thousands of strips that each begin with the same megabyte of fill.
func TestDecode_OverlappingStrips(t *testing.T) {
	const strips, fill = 20000, 1 << 20
	le := binary.LittleEndian
	data := append([]byte("II*\x00\x00\x00\x00\x00"), make([]byte, fill)...)
	offsets := uint32(len(data))
	for range strips {
		data = le.AppendUint32(data, 8)
	}
	le.PutUint32(data[4:], uint32(len(data)))
	d := dirBuilder{}
	d.long(tagImageWidth, 64)
	d.long(tagImageLength, strips)
	d.short(tagCompression, uint16(Fax3))
	d.entry(tagStripOffsets, typeLong, strips, le.AppendUint32(nil, offsets))
	d.long(tagRowsPerStrip, 1)
	data = append(data, d.bytes(uint32(len(data)))...)
	if _, _, err := open(t, data).Decode(1); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestDecode_Orientation(t *testing.T) {
	p := testPage(70, 31, imaging.Standard)
	data := write(t, t4.File(imaging.MMR, imaging.Fine), p)
	for o := 1; o <= 8; o++ {
		got, _, err := open(t, patch(t, data, tagOrientation, 1, uint32(o))).Decode(1)
		if err != nil {
			t.Fatal(err)
		}
		// What TIFF 6.0 says of the stored line 0 and the stored column 0.
		lines := [...]string{1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}
		columns := [...]string{1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}
		at := func(x, y int) (int, int) {
			px, py := place(got.Bitmap, lines[o], y)
			qx, qy := place(got.Bitmap, columns[o], x)
			return max(px, qx), max(py, qy)
		}
		for y := range p.Height {
			for x := range p.Width {
				gx, gy := at(x, y)
				if got.Black(gx, gy) != p.Black(x, y) {
					t.Fatalf("orientation %d: pel %d, %d", o, x, y)
				}
			}
		}
		want := imaging.Standard
		if o >= 5 {
			want.X, want.Y = want.Y, want.X
		}
		if got.Resolution != want {
			t.Errorf("orientation %d: resolution %v", o, got.Resolution)
		}
	}
}

// place returns the x or y that is d away from a side of b; the other is -1.
func place(b *imaging.Bitmap, side string, d int) (x, y int) {
	switch side {
	case "left":
		return d, -1
	case "right":
		return b.Width - 1 - d, -1
	case "top":
		return -1, d
	}
	return -1, b.Height - 1 - d
}
