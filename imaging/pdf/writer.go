package pdf

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"strings"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
)

var (
	// ErrFormat is returned when a page cannot be stored: no width, no lines, too many of them, or a coding that is no fax coding.
	ErrFormat = errors.New("pdf: format not supported")
	// ErrNoPage is returned when a file without pages is closed.
	ErrNoPage = errors.New("pdf: no page")
)

// Numbers of the objects that every file has. The others follow as they come: each page has three, each group of pages one.
const (
	objCatalog = 1 + iota
	objPages
	objInfo
	objMetadata
	objIntent
	objProfile
	objFirst
)

// groupPages is how many pages a node of the page tree has at most: an array may have 8191 elements (ISO 19005-1 6.1.12), and
// readers find a page of thousands sooner.
const groupPages = 500

// group is a node of the page tree.
type group struct {
	object int
	kids   []int
}

// Writer writes a PDF file page by page.
type Writer struct {
	w       io.Writer
	m       Meta
	err     error
	off     int64   // written so far
	offsets []int64 // of each object, by number; 0: not written yet
	pages   int
	groups  []group
	sum     hash.Hash // of all that was written, for the file's ID
}

// NewWriter returns a writer to w. Nothing is written before the first page.
func NewWriter(w io.Writer, m Meta) *Writer {
	return &Writer{w: w, m: m.clean(), offsets: make([]int64, objFirst), sum: sha256.New()}
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
// has JBIG2 only. ErrFormat if the page has no pels, more lines than t4.MaxLines, or a coding that is not of T.4, T.6 or T.82.
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
	if len(w.groups) == 0 || len(w.groups[len(w.groups)-1].kids) == groupPages {
		w.groups = append(w.groups, group{object: w.object()})
	}
	g := &w.groups[len(w.groups)-1]
	page, contents, picture := w.object(), w.object(), w.object()
	g.kids = append(g.kids, page)
	width, height := pageSize(c)
	w.begin(page)
	w.printf("<</Type/Page/Parent %d 0 R/MediaBox[0 0 %s %s]/Contents %d 0 R"+
		"/Resources<</ProcSet[/PDF/ImageB]/XObject<</F %d 0 R>>>>>>\nendobj\n", g.object, width, height, contents, picture)
	w.stream(contents, "", []byte("q "+width+" 0 0 "+height+" 0 0 cm /F Do Q"))
	w.stream(picture, fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 1/ColorSpace/DeviceGray"+
		"/Filter/CCITTFaxDecode/DecodeParms<<%s>>", c.Width, c.Height, params), msbFirst(c))
	w.pages++
	return w.err
}

func msbFirst(c t4.Coded) []byte {
	if c.Format.Order != t4.LSBFirst {
		return c.Data
	}
	data := make([]byte, len(c.Data))
	for i, b := range c.Data {
		data[i] = bits.Reverse8(b)
	}
	return data
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
	w.tree()
	w.begin(objInfo)
	w.printf("%s\nendobj\n", w.m.info())
	w.stream(objMetadata, "/Type/Metadata/Subtype/XML", w.m.xmp())
	w.begin(objIntent)
	w.printf("<</Type/OutputIntent/S/GTS_PDFA1/OutputConditionIdentifier(Black and white)/Info(Black and white)/DestOutputProfile %d 0 R>>\nendobj\n", objProfile)
	w.stream(objProfile, "/N 1", greyProfile())
	w.trailer()
	err := w.err
	if w.err == nil {
		w.err = errors.New("pdf: writer is closed")
	}
	return err
}

// tree writes the catalog and the page tree.
func (w *Writer) tree() {
	w.begin(objCatalog)
	w.printf("<</Type/Catalog/Pages %d 0 R/Metadata %d 0 R/OutputIntents[%d 0 R]/PageLabels<</Nums[0<</S/D/St %d>>]>>>>\nendobj\n",
		objPages, objMetadata, objIntent, w.m.FirstPage)
	w.begin(objPages)
	w.printf("<</Type/Pages/Count %d/Kids[", w.pages)
	for _, g := range w.groups {
		w.printf("%d 0 R\n", g.object)
	}
	w.printf("]>>\nendobj\n")
	for _, g := range w.groups {
		w.begin(g.object)
		w.printf("<</Type/Pages/Parent %d 0 R/Count %d/Kids[", objPages, len(g.kids))
		for _, k := range g.kids {
			w.printf("%d 0 R\n", k)
		}
		w.printf("]>>\nendobj\n")
	}
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

// object returns the number of a new object.
func (w *Writer) object() int {
	w.offsets = append(w.offsets, 0)
	return len(w.offsets) - 1
}

// begin starts object n.
func (w *Writer) begin(n int) {
	w.offsets[n] = w.off
	w.printf("%d 0 obj\n", n)
}

// stream writes object n, a stream with these entries in its dictionary.
func (w *Writer) stream(n int, entries string, data []byte) {
	w.begin(n)
	w.printf("<<%s/Length %d>>\nstream\n", entries, len(data))
	w.write(data)
	w.printf("\nendstream\nendobj\n")
}

func (w *Writer) printf(format string, args ...any) { w.write(fmt.Appendf(nil, format, args...)) }

func (w *Writer) write(p []byte) {
	if w.err != nil {
		return
	}
	w.sum.Write(p)
	n, err := w.w.Write(p)
	w.off += int64(n)
	if err == nil && w.off > maxFile {
		err = fmt.Errorf("%w: file over 10 GB", ErrFormat)
	}
	if err != nil {
		w.err = fmt.Errorf("pdf: writing: %w", err)
	}
}

// maxFile is how far the ten digits of an offset go.
const maxFile = 9_999_999_999

// decodeParms returns the parameters of CCITTFaxDecode (ISO 32000-1 7.4.6) that differ from their defaults.
func decodeParms(c t4.Coded) (string, error) {
	f := c.Format
	if c.Width < 1 || c.Width > t4.MaxWidth || c.Height < 1 || c.Height > t4.MaxLines {
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
