package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
)

func testPage(width, height int, res imaging.Resolution) imaging.Page {
	r := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	b := imaging.New(width, height)
	for range width * height / 400 {
		x0, y0, w, h := r.IntN(width), r.IntN(height), 1+r.IntN(9), 1+r.IntN(12)
		for y := y0; y < min(y0+h, height); y++ {
			for x := x0; x < min(x0+w, width); x++ {
				b.SetBlack(x, y)
			}
		}
	}
	return imaging.Page{Bitmap: b, Resolution: res}
}

// codedOf codes a page as MMR.
func codedOf(t *testing.T, p imaging.Page) t4.Coded {
	t.Helper()
	f := t4.File(imaging.MMR, p.Resolution)
	data, err := t4.Append(nil, p.Bitmap, f)
	if err != nil {
		t.Fatal(err)
	}
	return t4.Coded{Width: p.Width, Height: p.Height, Resolution: p.Resolution, Format: f, Data: data}
}

var formats = []t4.Format{
	t4.File(imaging.MH, imaging.Fine), t4.File(imaging.MR, imaging.Fine), t4.File(imaging.MMR, imaging.Fine),
	t4.Line(imaging.MH, imaging.Fine), t4.Line(imaging.MR, imaging.Standard), t4.Line(imaging.MMR, imaging.Fine),
	{Coding: imaging.MH, AlignLines: true}, {Coding: imaging.MH}, {Coding: imaging.MMR, AlignLines: true, End: true},
	{Coding: imaging.MH, EOL: true, AlignEOL: true, MinLineBits: 300, End: true}, {Coding: imaging.MR, AlignEOL: true, K: 4},
}

var meta = Meta{Title: "Fax von Jürgen (№ 7) 😀", Time: time.Date(2026, 11, 22, 16, 5, 0, 0, time.FixedZone("", -5*3600))}

// build returns a file with one page in each of the formats.
func build(t *testing.T, pages []imaging.Page) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, meta)
	for i, p := range pages {
		f := formats[i%len(formats)]
		data, err := t4.Append(nil, p.Bitmap, f)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.AddCoded(t4.Coded{Width: p.Width, Height: p.Height, Resolution: p.Resolution, Format: f, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func testPages() []imaging.Page {
	res := []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Superfine, imaging.Res300}
	var pages []imaging.Page
	for i := range formats {
		pages = append(pages, testPage(1728-5*i, 100+3*i, res[i%len(res)]))
	}
	return pages
}

func TestWriter_Deterministic(t *testing.T) {
	a, b := build(t, testPages()), build(t, testPages())
	if !bytes.Equal(a, b) {
		t.Error("the same pages give other octets")
	}
	if !bytes.Contains(a, []byte("/CreationDate(D:20261122160500-05'00')")) {
		t.Error("no creation date")
	}
	if got := date(meta.Time.UTC()); got != "D:20261122210500Z" {
		t.Errorf("UTC: %s", got)
	}
	if got := date(meta.Time.In(time.FixedZone("", -12600))); got != "D:20261122173500-03'30'" {
		t.Errorf("Newfoundland: %s", got)
	}
}

// TestWriter_Table finds each object where the table says it is.
func TestWriter_Table(t *testing.T) {
	data := build(t, testPages())
	tail := string(data[bytes.LastIndex(data, []byte("startxref\n"))+10:])
	at, err := strconv.Atoi(strings.Fields(tail)[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data[at:]), "\n")
	n, err := strconv.Atoi(strings.Fields(lines[1])[1])
	if err != nil || n != objFirst+1+3*len(formats) {
		t.Fatalf("%d objects, %v", n, err)
	}
	for i := 1; i < n; i++ {
		off, err := strconv.Atoi(lines[2+i][:10])
		if err != nil || !bytes.HasPrefix(data[off:], fmt.Appendf(nil, "%d 0 obj\n", i)) {
			t.Errorf("object %d is not at %d (%v)", i, off, err)
		}
		if len(lines[2+i]) != 19 {
			t.Errorf("entry %d is not 20 bytes", i)
		}
	}
}

func TestWriter_CarriesDataOver(t *testing.T) {
	p := testPage(1728, 50, imaging.Fine)
	f := t4.File(imaging.MR, imaging.Fine)
	coded, _ := t4.Append(nil, p.Bitmap, f)
	f.Order = t4.LSBFirst
	lsb, _ := t4.Append(nil, p.Bitmap, f)
	var buf bytes.Buffer
	w := NewWriter(&buf, Meta{})
	if err := w.AddCoded(t4.Coded{Width: 1728, Height: 50, Format: f, Data: lsb}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(buf.Bytes(), coded) {
		t.Error("the data was changed")
	}
	if !bytes.Contains(buf.Bytes(), []byte("/MediaBox[0 0 612.283 18.407]")) { // fine, for want of a resolution
		t.Errorf("page size: %s", buf.Bytes()[:200])
	}
}

// TestWriter_RecodesJBIG: PDF has no T.82.
func TestWriter_RecodesJBIG(t *testing.T) {
	p := testPage(1728, 90, imaging.Fine)
	data, err := jbig.Append(nil, p.Bitmap, jbig.Page(0))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := NewWriter(&buf, Meta{})
	if err := w.AddCoded(t4.Coded{Width: 1728, Height: 90, Resolution: imaging.Fine, Format: t4.Format{Coding: imaging.JBIG}, Data: data}); err != nil {
		t.Fatal(err)
	}
	mmr, err := t4.Append(nil, p.Bitmap, t4.File(imaging.MMR, imaging.Fine))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(buf.Bytes(), mmr) || !bytes.Contains(buf.Bytes(), []byte("/K -1/Columns 1728/Rows 90")) {
		t.Error("it is not the page in MMR")
	}
}

func TestWriter_Errors(t *testing.T) {
	w := NewWriter(io.Discard, Meta{})
	if err := w.Close(); !errors.Is(err, ErrNoPage) {
		t.Errorf("no page: %v", err)
	}
	for _, c := range []t4.Coded{{}, {Width: 1728}, {Width: 1728, Height: 1, Format: t4.Format{Coding: imaging.JBIG}}, {Width: 1 << 20, Height: 1}} {
		if err := w.AddCoded(c); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	full := errors.New("disk full")
	pr, pw := io.Pipe()
	pr.CloseWithError(full)
	w = NewWriter(pw, Meta{})
	if err := w.AddPage(testPage(100, 10, imaging.Fine)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

// peer runs another program. Without it the test is skipped, unless TIPRING_PEERS=required.
func peer(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatalf("%s is required (Debian: poppler-utils, qpdf, ghostscript, mupdf-tools)", name)
		}
		t.Skipf("%s is not here (Debian: poppler-utils, qpdf, ghostscript, mupdf-tools)", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestQpdf_Check(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fax.pdf")
	if err := os.WriteFile(path, build(t, testPages()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := peer(t, "qpdf", "--check", path); !strings.Contains(out, "No syntax or stream encoding errors") {
		t.Errorf("qpdf says %s", out)
	}
}

// TestPoppler_SamePels extracts the pictures of all formats with poppler, and looks at sizes and metadata.
func TestPoppler_SamePels(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fax.pdf")
	pages := testPages()
	if err := os.WriteFile(path, build(t, pages), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := peer(t, "pdfimages", path, filepath.Join(dir, "p")); out != "" {
		t.Errorf("pdfimages says %s", out)
	}
	for i, want := range pages {
		got := readPBM(t, filepath.Join(dir, fmt.Sprintf("p-%03d.pbm", i)))
		if !got.Equal(want.Bitmap) {
			t.Errorf("%+v: poppler reads other pels", formats[i])
		}
	}
	list := strings.Split(strings.TrimSpace(peer(t, "pdfimages", "-list", path)), "\n")[2:]
	for i, want := range []string{"203 98", "203 196", "203 391", "300 300"} {
		if f := strings.Fields(list[i]); strings.Join(f[12:14], " ") != want || f[8] != "ccitt" {
			t.Errorf("page %d: %s, want %s", i+1, list[i], want)
		}
	}
	info := peer(t, "pdfinfo", "-isodates", path)
	for _, want := range []string{meta.Title, "Tipring", "2026-11-22T16:05:00-05"} {
		if !strings.Contains(info, want) {
			t.Errorf("pdfinfo has no %s: %s", want, info)
		}
	}
}

// TestPoppler_Renders draws a page: black is black, and inverted data too.
func TestPoppler_Renders(t *testing.T) {
	for _, inverted := range []bool{false, true} {
		p := testPage(1800, 400, imaging.Fine) // whole points
		shown := p.Crop(p.Bounds())
		if inverted {
			shown.Invert()
		}
		f := t4.File(imaging.MMR, imaging.Fine)
		data, _ := t4.Append(nil, p.Bitmap, f)
		var buf bytes.Buffer
		w := NewWriter(&buf, Meta{})
		if err := w.AddCoded(t4.Coded{Width: 1800, Height: 400, Resolution: imaging.Res200, Format: f, Inverted: inverted, Data: data}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "fax.pdf")
		if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		peer(t, "pdftoppm", "-mono", "-r", "200", path, filepath.Join(dir, "r"))
		names, _ := filepath.Glob(filepath.Join(dir, "r-*.pbm"))
		if len(names) != 1 {
			t.Fatalf("pages: %v", names)
		}
		// poppler resamples even at the page's own resolution: edges move by a pel.
		got, differ := readPBM(t, names[0]), 0
		for y := range shown.Height {
			for x := range shown.Width {
				if got.ColorIndexAt(x, y) != shown.ColorIndexAt(x, y) {
					differ++
				}
			}
		}
		if got.Width != 1800 || got.Height != 400 || differ > 1800*400/20 {
			t.Errorf("inverted %v: drawn otherwise, %d x %d, %d pels differ", inverted, got.Width, got.Height, differ)
		}
	}
}

func readPBM(t *testing.T, path string) *imaging.Bitmap {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var w, h int
	size := regexp.MustCompile(`^P4\n(?:#.*\n)?`).ReplaceAll(data[:min(len(data), 200)], nil)
	if _, err := fmt.Fscanf(bytes.NewReader(size), "%d %d\n", &w, &h); err != nil {
		t.Fatal(err)
	}
	n := (w + 7) / 8 * h
	b, err := imaging.FromPacked(w, h, data[len(data)-n:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}
