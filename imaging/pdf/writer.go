package pdf

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
)

var (
	// ErrFormat is returned when a page cannot be stored: no width, no lines, or a coding that PDF does not have.
	ErrFormat = errors.New("pdf: format not supported")
	// ErrNoPage is returned when a file without pages is closed.
	ErrNoPage = errors.New("pdf: no page")
)

// Meta is what a file says of itself.
type Meta struct {
	Title    string
	Producer string    // "" is Tipring
	Time     time.Time // creation date; zero: none
}

// Numbers of the objects that every file has; each page has three more.
const (
	objCatalog = 1 + iota
	objPages
	objInfo
	objFirstPage
)

// Writer writes a PDF file page by page.
type Writer struct {
	w       io.Writer
	m       Meta
	err     error
	off     int64   // written so far
	offsets []int64 // of each object, by number
	pages   int
	sum     hash.Hash // of all that was written, for the file's ID
}

// NewWriter returns a writer to w. Nothing is written before the first page.
func NewWriter(w io.Writer, m Meta) *Writer {
	if m.Producer == "" {
		m.Producer = "Tipring"
	}
	return &Writer{w: w, m: m, offsets: make([]int64, objFirstPage), sum: sha256.New()}
}

// AddPage codes a page as MMR and adds it.
func (w *Writer) AddPage(p imaging.Page) error {
	if w.err != nil {
		return w.err
	}
	f := t4.File(imaging.MMR, p.Resolution)
	data, err := t4.Append(nil, p.Bitmap, f)
	if err != nil {
		return fmt.Errorf("pdf: page %d: %w", w.pages+1, err)
	}
	return w.AddCoded(t4.Coded{Width: p.Width, Height: p.Height, Resolution: p.Resolution, Format: f, Data: data})
}

// AddCoded adds a page with its data as it is coded; least significant bit first is turned around. A page without a resolution
// is shown as fine. Data with bad lines is shown differently by different readers: code those pages anew. JBIG is coded anew as MMR: PDF
// has JBIG2 only. ErrFormat if the page has no pels or a coding that is not of T.4, T.6 or T.82.
func (w *Writer) AddCoded(c t4.Coded) error {
	if w.err != nil {
		return w.err
	}
	c, err := recode(c)
	if err != nil {
		return fmt.Errorf("pdf: page %d: %w", w.pages+1, err)
	}
	params, err := decodeParms(c)
	if err != nil {
		return fmt.Errorf("pdf: page %d: %w", w.pages+1, err)
	}
	if w.pages == 0 {
		w.printf("%%PDF-1.4\n%%\xe2\xe3\xcf\xd3\n")
	}
	data := c.Data
	if c.Format.Order == t4.LSBFirst {
		data = make([]byte, len(c.Data))
		for i, b := range c.Data {
			data[i] = bits.Reverse8(b)
		}
	}
	page := objFirstPage + 3*w.pages
	width, height := pageSize(c)
	w.begin(page)
	w.printf("<</Type/Page/Parent %d 0 R/MediaBox[0 0 %s %s]/Contents %d 0 R"+
		"/Resources<</ProcSet[/PDF/ImageB]/XObject<</F %d 0 R>>>>>>\nendobj\n", objPages, width, height, page+1, page+2)
	content := fmt.Sprintf("q %s 0 0 %s 0 0 cm /F Do Q\n", width, height)
	w.begin(page + 1)
	w.printf("<</Length %d>>\nstream\n%sendstream\nendobj\n", len(content), content)
	w.begin(page + 2)
	w.printf("<</Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 1/ColorSpace/DeviceGray"+
		"/Filter/CCITTFaxDecode/DecodeParms<<%s>>/Length %d>>\nstream\n", c.Width, c.Height, params, len(data))
	w.write(data)
	w.printf("\nendstream\nendobj\n")
	w.pages++
	return w.err
}

// recode returns c, or what PDF can hold in place of it.
func recode(c t4.Coded) (t4.Coded, error) {
	if c.Format.Coding != imaging.JBIG || c.Width < 1 || c.Width > jbig.MaxWidth || c.Height < 1 || c.Height > jbig.MaxLines {
		return c, nil
	}
	b, q, err := jbig.Decode(c.Data, c.Width, c.Height)
	if err != nil {
		return c, err
	}
	if q.Lines == 0 {
		return c, fmt.Errorf("%w: no line of JBIG data decodes", ErrFormat)
	}
	c.Height, c.Format = b.Height, t4.File(imaging.MMR, c.Resolution)
	c.Data, err = t4.Append(nil, b, c.Format)
	return c, err
}

// Close writes the page tree, the metadata and the table of objects. It does not close the writer below. ErrNoPage if no page was
// added.
func (w *Writer) Close() error {
	if w.err == nil && w.pages == 0 {
		return ErrNoPage
	}
	w.begin(objCatalog)
	w.printf("<</Type/Catalog/Pages %d 0 R>>\nendobj\n", objPages)
	w.begin(objPages)
	w.printf("<</Type/Pages/Count %d/Kids[", w.pages)
	for i := range w.pages {
		w.printf("%d 0 R\n", objFirstPage+3*i)
	}
	w.printf("]>>\nendobj\n")
	w.begin(objInfo)
	w.printf("<</Producer%s", text(w.m.Producer))
	if w.m.Title != "" {
		w.printf("/Title%s", text(w.m.Title))
	}
	if !w.m.Time.IsZero() {
		w.printf("/CreationDate(%s)", date(w.m.Time))
	}
	w.printf(">>\nendobj\n")
	w.trailer()
	err := w.err
	if w.err == nil {
		w.err = errors.New("pdf: writer is closed")
	}
	return err
}

func (w *Writer) trailer() {
	id := w.sum.Sum(nil)[:16]
	xref := w.off
	w.printf("xref\n0 %d\n0000000000 65535 f \n", len(w.offsets))
	for _, off := range w.offsets[1:] {
		w.printf("%010d 00000 n \n", off)
	}
	w.printf("trailer\n<</Size %d/Root %d 0 R/Info %d 0 R/ID[<%x><%x>]>>\nstartxref\n%d\n%%%%EOF\n",
		len(w.offsets), objCatalog, objInfo, id, id, xref)
}

// begin starts object n.
func (w *Writer) begin(n int) {
	for len(w.offsets) <= n {
		w.offsets = append(w.offsets, 0)
	}
	w.offsets[n] = w.off
	w.printf("%d 0 obj\n", n)
}

func (w *Writer) printf(format string, args ...any) { w.write(fmt.Appendf(nil, format, args...)) }

func (w *Writer) write(p []byte) {
	if w.err != nil {
		return
	}
	w.sum.Write(p)
	n, err := w.w.Write(p)
	w.off += int64(n)
	if err != nil {
		w.err = fmt.Errorf("pdf: writing: %w", err)
	}
}

// decodeParms returns the parameters of CCITTFaxDecode (ISO 32000-1 7.4.6) that differ from their defaults.
func decodeParms(c t4.Coded) (string, error) {
	f := c.Format
	if c.Width < 1 || c.Width > t4.MaxWidth || c.Height < 1 {
		return "", fmt.Errorf("%w: %d x %d pels", ErrFormat, c.Width, c.Height)
	}
	var s strings.Builder
	eol := f.EOL
	switch f.Coding {
	case imaging.MMR:
		s.WriteString("/K -1")
		eol = false
	case imaging.MR:
		fmt.Fprintf(&s, "/K %d", max(f.K, 2)) // any positive K: lines say by themselves what they are
		eol = true
	case imaging.MH:
		s.WriteString("/K 0")
	default:
		return "", fmt.Errorf("%w: coding %v", ErrFormat, f.Coding)
	}
	fmt.Fprintf(&s, "/Columns %d/Rows %d", c.Width, c.Height)
	if eol {
		s.WriteString("/EndOfLine true")
	}
	if f.AlignLines && !eol {
		s.WriteString("/EncodedByteAlign true")
	}
	s.WriteString("/EndOfBlock false") // Rows counts, whether there is RTC or EOFB or not
	if c.Inverted {
		s.WriteString("/BlackIs1 true")
	}
	return s.String(), nil
}

// pageSize returns a page's width and height in points of 1/72 inch.
func pageSize(c t4.Coded) (width, height string) {
	r := c.Resolution
	if r.X <= 0 || r.Y <= 0 {
		r = imaging.Fine
	}
	x, y := r.DPI()
	return points(float64(c.Width) * 72 / x), points(float64(c.Height) * 72 / y)
}

func points(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 3, 64), "0"), ".")
}

// text returns a text string object in UTF-16 (ISO 32000-1 7.9.2.2), in hexadecimal: nothing needs escaping.
func text(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteString(">")
	return b.String()
}

// date returns a date string (ISO 32000-1 7.9.4).
func date(t time.Time) string {
	s := t.Format("D:20060102150405-07'00'")
	if strings.HasSuffix(s, "+00'00'") {
		return strings.TrimSuffix(s, "+00'00'") + "Z"
	}
	return s
}
