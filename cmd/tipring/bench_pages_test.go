//go:build peers && bench

package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// make bench-pages: the same ten documents made pages by us and by ghostscript's tiffg4, called as HylaFAX's pdf2fax calls it. The
// tables and the pictures side by side go to docs/page-quality.md.

// quality is one document by both.
type quality struct {
	name, what   string
	crop         image.Rectangle // of the page, in mm, that shows the difference
	turned       bool            // landscape: turned upright to be read
	text         bool            // has words that count
	octets       [2]int          // coded, by us and by ghostscript
	wide         int             // ghostscript's at the width that HylaFAX asks for
	cpu          [2]float64      // seconds
	memory       [2]int64
	wrong, chars [2]int // of the characters to be read
}

var qualityDocuments = []quality{
	{name: "01-letter", what: "letter, text in a PDF", crop: image.Rect(15, 15, 95, 50), text: true},
	{name: "02-invoice", what: "invoice with light shading, pale small print and a stamp", crop: image.Rect(18, 118, 98, 153), text: true},
	{name: "03-form", what: "form with grey fields, hairlines and 5.5 pt labels", crop: image.Rect(15, 95, 95, 130), text: true},
	{name: "04-word", what: "Word document with logo, coloured table and a picture of a screen", crop: image.Rect(20, 105, 100, 140), text: true},
	{name: "05-scan", what: "scan of the letter: shaded, grainy, askew", crop: image.Rect(15, 5, 95, 40), text: true},
	{name: "06-photo", what: "colour photo across the page", crop: image.Rect(50, 25, 130, 85)},
	{name: "07-newspaper", what: "newspaper: 8 pt columns, photo, shaded box", crop: image.Rect(12, 85, 92, 130), text: true},
	{name: "08-slides", what: "slide: light on dark, gradient, coloured chart", crop: image.Rect(60, 165, 140, 215), turned: true, text: true},
	{name: "09-drawing", what: "engineering drawing: 0.1 mm lines, hatching", crop: image.Rect(5, 180, 85, 225), turned: true}, // tesseract finds no lines of words between the drawn ones,
	{name: "10-note", what: "colour scan of a note: handwriting, stamp, ruled lines", crop: image.Rect(50, 40, 130, 85), text: true},
}

const (
	us, ghost  = 0, 1
	cpuRounds  = 3 // each: the median counts
	ratioAtMax = 0.7
)

func TestPagesAgainstGhostscript(t *testing.T) {
	need(t, "gs", "soffice", "chromium", "convert", "qpdf", "pdftotext", "tesseract", "python3")
	dir := t.TempDir()
	if out, err := exec.Command(repoFile(t, "testdata/bench/documents/mk.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("make the documents: %v\n%s", err, out)
	}
	measure(t, 1, tipringBin, "convert", "-o", filepath.Join(dir, "warm.tif"), filepath.Join(dir, "01-letter.pdf")) // the engine is compiled once
	list := slices.Clone(qualityDocuments)
	for i := range list {
		q := &list[i]
		q.convert(t, dir)
		if q.text {
			q.read(t, dir)
		}
		t.Logf("%s: %d octets, %d; %d of %d characters wrong, %d", q.name, q.octets[us], q.octets[ghost], q.wrong[us], q.chars[us], q.wrong[ghost])
	}
	fax := faxOfAll(t, dir)
	pictures(t, list, dir)
	report := qualityReport(t, list, fax)
	if err := os.WriteFile(repoFile(t, "docs/page-quality.md"), []byte(report), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + report)
	judgeQuality(t, list)
}

// used is what a command took.
type used struct {
	Status int
	CPU    float64 // seconds, user and system
	Memory int64   // octets
}

// measure runs a command and returns the median of its CPU time and the most of its memory.
func measure(t *testing.T, rounds int, command ...string) used {
	t.Helper()
	var cpu []float64
	var most int64
	for range rounds {
		out, err := exec.Command("python3", append([]string{repoFile(t, "testdata/bench/measure.py")}, command...)...).Output()
		var u used
		if err == nil {
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			err = json.Unmarshal([]byte(lines[len(lines)-1]), &u)
		}
		if err != nil || u.Status != 0 {
			t.Fatalf("%v: status %d, %v\n%s", command, u.Status, err, out)
		}
		cpu, most = append(cpu, u.CPU), max(most, u.Memory)
	}
	slices.Sort(cpu)
	return used{CPU: cpu[len(cpu)/2], Memory: most}
}

// bothCommands returns how we and ghostscript make pages of a file. HylaFAX asks for 209.10 dpi on A4, so that the paper's 210 mm and not
// the scan line's 215 are 1728 pels: then its pages are stretched by 2.5 %. At 204 they are as wide as ours.
func bothCommands(in, ours, theirs, dpi string) [2][]string {
	return [2][]string{
		{tipringBin, "convert", "-o", ours, "--resolution", "fine", "--coding", "mmr", in},
		{"gs", "-q", "-sDEVICE=tiffg4", "-dNOPAUSE", "-dSAFER=true", "-sPAPERSIZE=a4", "-dFIXEDMEDIA", "-P-", "-dMaxStripSize=0", "-dBATCH",
			"-r" + dpi + "x196", "-sOutputFile=" + theirs, in},
	}
}

func (q *quality) files(dir string) [2]string {
	return [2]string{filepath.Join(dir, q.name+"-tipring.tif"), filepath.Join(dir, q.name+"-gs.tif")}
}

func (q *quality) convert(t *testing.T, dir string) {
	files := q.files(dir)
	in := filepath.Join(dir, q.name+".pdf")
	for who, command := range bothCommands(in, files[us], files[ghost], "204") {
		u := measure(t, cpuRounds, command...)
		q.cpu[who], q.memory[who] = u.CPU, u.Memory
		var pages int
		if q.octets[who], pages = stripOctets(t, files[who]); pages != 1 {
			t.Errorf("%s: %d pages", files[who], pages)
		}
	}
	wide := filepath.Join(dir, q.name+"-wide.tif")
	measure(t, 1, bothCommands(in, "", wide, "209.10")[ghost]...)
	q.wide, _ = stripOctets(t, wide)
}

// stripOctets returns the coded octets of all pages of a TIFF.
func stripOctets(t *testing.T, name string) (octets, pages int) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tf, err := openTIFF(f)
	if err != nil {
		t.Fatal(name, err)
	}
	for n := 1; n <= tf.NumPages(); n++ {
		c, err := tf.Raw(n)
		if err != nil {
			t.Fatal(name, err)
		}
		octets += len(c.Data)
	}
	return octets, tf.NumPages()
}

// read has tesseract read both pages and counts wrong characters.
func (q *quality) read(t *testing.T, dir string) {
	want, err := os.ReadFile(filepath.Join(dir, q.name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	for who, file := range q.files(dir) {
		upright := filepath.Join(dir, "ocr.png")
		args := []string{file, "-colorspace", "Gray", "-filter", "Triangle", "-resize", "200%x208.16%"} // square pels
		if q.turned {
			args = append(args, "-rotate", "-90")
		}
		if out, err := exec.Command("convert", append(args, upright)...).CombinedOutput(); err != nil {
			t.Fatalf("convert: %v %s", err, out)
		}
		cmd := exec.Command("tesseract", upright, "-", "--dpi", "408", "--psm", "3", "-l", "eng")
		cmd.Env = append(os.Environ(), "OMP_THREAD_LIMIT=1")
		got, err := cmd.Output()
		if err != nil {
			t.Fatal("tesseract:", err)
		}
		q.wrong[who], q.chars[who] = misread(string(want), string(got))
	}
}

// misread returns how many characters of the wanted words are wrong, whatever the order in which the words were read: words that were
// read right are taken out, each of the others is held against the nearest that is left.
func misread(want, got string) (wrong, all int) {
	left := map[string]int{}
	for _, w := range strings.Fields(got) {
		left[w]++
	}
	var missing []string
	for _, w := range strings.Fields(want) {
		all += len([]rune(w))
		if left[w] > 0 {
			left[w]--
		} else {
			missing = append(missing, w)
		}
	}
	for _, w := range missing {
		best, least := "", len([]rune(w))
		for g, n := range left {
			if n < 1 {
				continue
			}
			if d := distance([]rune(w), []rune(g)); d < least || d == least && best != "" && g < best {
				best, least = g, d
			}
		}
		if best != "" {
			left[best]--
		}
		wrong += least
	}
	return wrong, all
}

// distance is Levenshtein's.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// faxOfAll is one fax of all ten documents, three times over.
func faxOfAll(t *testing.T, dir string) (u [2]used) {
	in := filepath.Join(dir, "thirty.pdf")
	args := []string{"--empty", "--pages"}
	for range 3 {
		for _, q := range qualityDocuments {
			args = append(args, filepath.Join(dir, q.name+".pdf"))
		}
	}
	if out, err := exec.Command("qpdf", append(args, "--", in)...).CombinedOutput(); err != nil {
		t.Fatalf("qpdf: %v %s", err, out)
	}
	for who, command := range bothCommands(in, filepath.Join(dir, "thirty-tipring.tif"), filepath.Join(dir, "thirty-gs.tif"), "204") {
		u[who] = measure(t, 1, command...)
	}
	return u
}

// pictures writes a part of each page, ours at the left, for the eye.
func pictures(t *testing.T, list []quality, dir string) {
	to := repoFile(t, "docs/page-quality")
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, q := range list {
		files := q.files(dir)
		a, b := cutOut(t, files[us], q.crop, 3.0), cutOut(t, files[ghost], q.crop, 0)
		gap := 12
		both := imaging.New(a.Width+gap+b.Width, max(a.Height, b.Height))
		for y := range both.Height {
			for x := range both.Width {
				if x < a.Width && y < a.Height && a.Black(x, y) || x >= a.Width+gap && y < b.Height && b.Black(x-a.Width-gap, y) {
					both.SetBlack(x, y)
				}
			}
		}
		f, err := os.Create(filepath.Join(to, q.name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		enc := png.Encoder{CompressionLevel: png.BestCompression}
		if err := enc.Encode(f, both); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// cutOut cuts a part, in mm of the paper, out of a page whose paper begins at left mm.
func cutOut(t *testing.T, name string, mm image.Rectangle, left float64) *imaging.Bitmap {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tf, err := openTIFF(f)
	if err != nil {
		t.Fatal(name, err)
	}
	var p imaging.Page
	if p, _, err = tf.Decode(1); err != nil {
		t.Fatal(name, err)
	}
	x, y := 204/25.4, 196/25.4
	return p.Bitmap.Crop(image.Rect(int((float64(mm.Min.X)+left)*x), int(float64(mm.Min.Y)*y), int((float64(mm.Max.X)+left)*x), int(float64(mm.Max.Y)*y)))
}

func (q *quality) rate(who int) float64 { return 100 * float64(q.wrong[who]) / float64(q.chars[who]) }

func qualityReport(t *testing.T, list []quality, fax [2]used) string {
	var s strings.Builder
	version, err := exec.Command("gs", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&s, "# Page quality\n\nWritten by `make bench-pages`; do not edit. The same ten documents (`testdata/bench/documents`, one page each) made fax pages by "+
		"`tipring convert` and by ghostscript %s with the device and the options of HylaFAX's `pdf2fax`: fine resolution, MMR.\n\n", strings.TrimSpace(string(version)))
	s.WriteString("Octets are the coded strips'. CPU seconds are user and system time of one process for one document, start-up included, the median of three runs; " +
		"memory is the most of them. Wrong: characters that tesseract reads wrong or not at all, per cent of those on the page, the same enlargement for both.\n\n" +
		"| document | octets, ours | gs | ratio | wrong %, ours | gs | CPU s, ours | gs | MB, ours | gs |\n|---|---|---|---|---|---|---|---|---|---|\n")
	var octets [2]int
	var cpu [2]float64
	var memory [2]int64
	wide := 0
	for _, q := range list {
		read := "– | –"
		if q.text {
			read = fmt.Sprintf("%.1f | %.1f", q.rate(us), q.rate(ghost))
		}
		fmt.Fprintf(&s, "| %s: %s | %d | %d | %.2f | %s | %.2f | %.2f | %d | %d |\n", q.name[3:], q.what, q.octets[us], q.octets[ghost],
			float64(q.octets[us])/float64(q.octets[ghost]), read, q.cpu[us], q.cpu[ghost], q.memory[us]>>20, q.memory[ghost]>>20)
		wide += q.wide
		for who := range 2 {
			octets[who] += q.octets[who]
			cpu[who] += q.cpu[who]
			memory[who] = max(memory[who], q.memory[who])
		}
	}
	ratio := float64(octets[us]) / float64(octets[ghost])
	fmt.Fprintf(&s, "| **all** | %d | %d | **%.2f** | | | %.2f | %.2f | %d | %d |\n\n", octets[us], octets[ghost], ratio, cpu[us], cpu[ghost], memory[us]>>20, memory[ghost]>>20)
	s.WriteString("Ghostscript's pages here are as wide as ours (204 dpi). HylaFAX itself asks for 209.10 dpi on A4 and so stretches them by 2.5 %: ")
	fmt.Fprintf(&s, "%d octets then.\n\n", wide)
	fmt.Fprintf(&s, "Pages per CPU second: one process a page, %.1f by us, %.1f by ghostscript; one fax of thirty pages (all ten, three times), %.1f by us in %d MB, %.1f by ghostscript in %d MB. "+
		"Ghostscript is a native program, our PDF engine runs in a sandbox of WebAssembly: it is slower and larger, and a document that breaks it breaks nothing else.\n\n",
		10/cpu[us], 10/cpu[ghost], 30/fax[us].CPU, fax[us].Memory>>20, 30/fax[ghost].CPU, fax[ghost].Memory>>20)
	s.WriteString("What is left out on purpose: tints lighter than 85 % of the paper's grey become white, dark ones of graphics black. The words on them stay, and so do pale words and hairlines, which " +
		"ghostscript's screen dissolves into dots. Photos have somewhat coarser dots here than there.\n\n## Side by side\n\nOurs at the left, ghostscript's at the right, pel by pel.\n")
	for _, q := range list {
		fmt.Fprintf(&s, "\n%s:\n\n![%s](page-quality/%s.png)\n", q.what, q.name[3:], q.name)
	}
	return s.String()
}

func judgeQuality(t *testing.T, list []quality) {
	var octets, wrong, chars [2]int
	for _, q := range list {
		for who := range 2 {
			octets[who] += q.octets[who]
			wrong[who] += q.wrong[who]
			chars[who] += q.chars[who]
		}
		const margin = 1.5 // per cent: a word or two
		if q.text && q.rate(us) > q.rate(ghost)+margin {
			t.Errorf("%s: %.1f %% of the characters are misread, of ghostscript's page %.1f %%", q.name, q.rate(us), q.rate(ghost))
		}
	}
	ratio := float64(octets[us]) / float64(octets[ghost])
	fmt.Printf("ratio bytes %.2f\n", ratio)
	fmt.Printf("misread %.2f %% of %d characters, ghostscript's pages %.2f %%\n", 100*float64(wrong[us])/float64(chars[us]), chars[us], 100*float64(wrong[ghost])/float64(chars[ghost]))
	if ratio > ratioAtMax {
		t.Errorf("our pages have %.2f times ghostscript's octets, want %.1f at most", ratio, ratioAtMax)
	}
	if wrong[us] > wrong[ghost] {
		t.Error("our pages are harder to read")
	}
}
