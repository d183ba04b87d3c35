package raster

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/tiff"
)

// childModes are what this test binary does as a child.
var childModes = map[string]func() int{
	"render": func() int { return ChildMain(context.Background(), os.Stdin, os.Stdout) },
	"hog":    func() int { return hog(readRequest(), 4<<20, 2*time.Millisecond) },
	"gulp":   func() int { return hog(readRequest(), 128<<20, 0) },
	"hang":   func() int { readRequest(); time.Sleep(time.Hour); return 0 },
	"spin": func() int {
		if err := readRequest().Limits.set(); err != nil {
			return 9
		}
		for {
			runtime.Gosched()
		}
	},
	"crash": func() int { readRequest(); panic("crash") },
	"babble": func() int {
		readRequest()
		for {
			if _, err := os.Stdout.WriteString(`{"Input":0}` + "\n"); err != nil {
				return 1
			}
		}
	},
	"probe": probe,
}

func readRequest() childRequest {
	var req childRequest
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&req); err != nil {
		panic(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(childReply{Input: new(int)})
	return req
}

// hog takes memory in steps until something stops it.
func hog(req childRequest, step int, pause time.Duration) int {
	if err := req.Limits.set(); err != nil {
		return 9
	}
	var all [][]byte
	for range 2048 / (step >> 20) {
		b := make([]byte, step)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		time.Sleep(pause)
	}
	runtime.KeepAlive(all)
	return 0
}

// probe confines itself and tries what a hostile document's code would.
func probe() int {
	req := readRequest()
	if err := req.Limits.set(); err != nil {
		return 9
	}
	locks, err := confine()
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 8
	}
	var could []string
	try := func(what string, err error) {
		if err == nil {
			could = append(could, what)
		}
	}
	_, err = os.Open("/etc/passwd")
	try("open", err)
	_, err = os.Create("/tmp/tipring-render-probe")
	try("create", err)
	_, err = net.Dial("udp", "127.0.0.1:9")
	try("socket", err)
	try("exec", exec.Command("/bin/true").Run())
	try("execve", syscall.Exec("/bin/true", []string{"true"}, nil))
	try("signal", syscall.Kill(os.Getppid(), syscall.Signal(0)))
	try("unlink", os.Remove("/tmp/tipring-render-nothing"))
	time.Sleep(20 * time.Millisecond) // the runtime itself goes on: timers, threads, garbage
	done := make(chan bool)
	for range 8 {
		go func() { runtime.LockOSThread(); runtime.GC(); done <- true }()
	}
	for range 8 {
		<-done
	}
	reply := childReply{Done: true, Confinement: locks, Error: &wireError{Code: "broken", What: strings.Join(could, ",")}}
	_ = json.NewEncoder(os.Stdout).Encode(childReply{Confinement: locks})
	_ = json.NewEncoder(os.Stdout).Encode(reply)
	return 0
}

func testChild(t *testing.T, mode string) Child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Child{Exe: exe, Args: []string{mode}, CacheDir: cacheDir, TimeLimit: time.Minute}
}

func outFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out.tif"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func inFile(t *testing.T, name string, data []byte) Input {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return Input{File: f, Name: name}
}

func readPages(t *testing.T, out *os.File) []imaging.Page {
	t.Helper()
	st, err := out.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := tiff.Open(out, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	var pages []imaging.Page
	for n := 1; n <= f.NumPages(); n++ {
		p, _, err := f.Decode(n)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	return pages
}

func TestChild_MixedJob(t *testing.T) {
	pdf := makePDF(595, 842, "BT /F 24 Tf 72 700 Td (Page one) Tj ET", "BT /F 24 Tf 72 700 Td (Page two) Tj ET")
	xlsx := []byte("PK\x03\x04\x14\x00\x00\x00\x08\x00aaaaaaaaaaaaaaaaxl/workbook.xml\x00\x01\x02")
	job := Job{Inputs: []Input{
		{Cover: &CoverFields{To: "Anna", From: "Bernd", Date: time.Now(), Subject: "Test", Text: "Hello"}},
		{Data: []byte("plain text body\n"), Name: "mail", MIME: "text/plain"},
		inFile(t, "two.pdf", pdf),
		inFile(t, "sums.xlsx", xlsx),
		inFile(t, "pic.png", encodePNG(t, grayPicture(400, 300))),
	}}
	job.Options.Fonts = t.TempDir() // read before the child gives up its rights, used thereafter
	if err := os.WriteFile(filepath.Join(job.Options.Fonts, "a.ttf"), dejavuTTF, 0o600); err != nil {
		t.Fatal(err)
	}
	job.Inputs[1].Data = []byte("plain text body, 漢 שלום\n")
	out := outFile(t)
	res, err := testChild(t, "render").Render(context.Background(), job, out)
	if err != nil {
		t.Fatalf("%v; %s", err, Detail(err))
	}
	var inputs []int
	for _, p := range res.Pages {
		inputs = append(inputs, p.Input)
	}
	if want := []int{0, 1, 2, 2, 4}; len(inputs) != len(want) || inputs[0] != 0 || inputs[3] != 2 || inputs[4] != 4 {
		t.Errorf("pages of inputs %v, want %v", inputs, want)
	}
	if len(res.Failed) != 1 || res.Failed[0].Input != 3 || !errors.Is(res.Failed[0].Err, ErrUnsupported) || !strings.Contains(res.Failed[0].Error(), "XLSX") {
		t.Errorf("failed: %v", res.Failed)
	}
	pages := readPages(t, out)
	if len(pages) != len(res.Pages) {
		t.Fatalf("%d pages in the file, %d in the result", len(pages), len(res.Pages))
	}
	direct := mustRender(t, docOf(pdf, "two.pdf"), Options{}, 2)
	if !pages[2].Equal(direct[0].Bitmap) || !pages[3].Equal(direct[1].Bitmap) {
		t.Error("the child's PDF pages differ from the ones rendered here")
	}
	var cover []*imaging.Page
	fields := *job.Inputs[0].Cover
	fields.Pages = 5
	if err := Cover(context.Background(), fields, Options{}, func(p *imaging.Page) error { cover = append(cover, p); return nil }); err != nil {
		t.Fatal(err)
	}
	if !pages[0].Equal(cover[0].Bitmap) {
		t.Error("the cover page does not say 5 pages")
	}
	t.Log("confinement:", res.Confinement)
}

// The largest pictures that are not refused must fit into the memory limit.
func TestChild_LargestPictures(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	rgb := image.NewNRGBA(image.Rect(0, 0, 5500, 7400)) // 4 octets a pixel: just under the limit
	for i := range rgb.Pix {
		rgb.Pix[i] = uint8(i>>9) | 3
	}
	job := Job{Inputs: []Input{inFile(t, "large.png", encodePNG(t, rgb)), inFile(t, "gray.png", encodePNG(t, image.NewGray(image.Rect(0, 0, 10000, 14000))))},
		Options: Options{Resolution: imaging.Res400}}
	res, err := testChild(t, "render").Render(context.Background(), job, outFile(t))
	if err != nil || len(res.Failed) > 0 || len(res.Pages) != 2 {
		t.Fatalf("%v, failed %v; %s", err, res.Failed, Detail(err))
	}
	t.Logf("at most %d MB", res.PeakMemory>>20)
}

// A PDF whose small stream unpacks to a huge picture stays inside the PDF engine's memory.
func TestChild_PDFBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const side = 16000 // 256 MB of grey, twice the cap
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	row := make([]byte, side)
	for range side {
		if _, err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := fmt.Sprintf("q 500 0 0 500 50 50 cm BI /W %d /H %d /CS /G /BPC 8 /F /Fl ID %s EI Q", side, side, z.String())
	job := Job{Inputs: []Input{inFile(t, "bomb.pdf", makePDF(595, 842, content)), {Data: []byte("next"), Name: "next.txt"}}}
	res, err := testChild(t, "render").Render(context.Background(), job, outFile(t))
	t.Logf("%v, failed %v, at most %d MB", err, res.Failed, res.PeakMemory>>20)
	if err != nil || res.PeakMemory > defaultMemory {
		t.Fatalf("%v; %s", err, Detail(err))
	}
	if n := len(res.Pages); n == 0 || res.Pages[n-1].Input != 1 {
		t.Errorf("the next document did not come: %+v", res.Pages)
	}
}

func TestRenderJob_GoesOnAfterAFailure(t *testing.T) {
	var heavy strings.Builder
	for range 200000 {
		heavy.WriteString("0 0 595 842 re f* ")
	}
	good := makePDF(595, 842, pdfBox)
	job := Job{Inputs: []Input{
		inFile(t, "heavy.pdf", makePDF(595, 842, heavy.String())),
		inFile(t, "good.pdf", good),
		{Name: "empty.txt"},
		{Cover: &CoverFields{To: "end", Pages: 2}},
	}, Options: Options{PageTime: 3 * time.Second, CacheDir: cacheDir}}
	out := outFile(t)
	res, err := RenderJob(context.Background(), job, out)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Failed) != 2 || !errors.Is(&res.Failed[0], ErrTimeout) || !errors.Is(&res.Failed[1], ErrEmpty) {
		t.Errorf("failed: %v", res.Failed)
	}
	pages := readPages(t, out)
	if len(pages) != 2 || len(res.Pages) != 2 || res.Pages[0].Input != 1 || res.Pages[1].Input != 3 {
		t.Errorf("%d pages, %+v", len(pages), res.Pages)
	}
}

func TestRenderJob_OutputFails(t *testing.T) {
	job := Job{Inputs: []Input{{Data: []byte("hello"), Name: "a.txt"}}}
	_, err := RenderJob(context.Background(), job, failingWriter{})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
	_, err = RenderJob(context.Background(), Job{}, io.Discard)
	wantErr(t, err, ErrEmpty)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestChild_OnlyFailures(t *testing.T) {
	enc, err := os.ReadFile("testdata/encrypted.pdf")
	if err != nil {
		t.Fatal(err)
	}
	job := Job{Inputs: []Input{{Cover: &CoverFields{To: "x"}}, inFile(t, "geheim.pdf", enc)}}
	res, err := testChild(t, "render").Render(context.Background(), job, outFile(t))
	wantErr(t, err, ErrEncrypted)
	var part *PartError
	if !errors.As(err, &part) || part.Input != 1 || part.Name != "geheim.pdf" || len(res.Failed) != 1 {
		t.Errorf("error %v, failed %v", err, res.Failed)
	}
}

func TestChild_TooManyPages(t *testing.T) {
	job := Job{Inputs: []Input{{Data: []byte(strings.Repeat("x\f", 20)), MIME: "text/plain"}}, Options: Options{MaxPages: 10}}
	_, err := testChild(t, "render").Render(context.Background(), job, outFile(t))
	wantErr(t, err, ErrTooManyPages)
}

func TestChild_Ends(t *testing.T) {
	for _, c := range []struct {
		mode string
		set  func(*Child)
		want error
	}{
		{"hog", func(c *Child) { c.MemoryLimit = 96 << 20 }, ErrMemory},
		{"gulp", func(c *Child) {}, ErrMemory},
		{"hang", func(c *Child) { c.TimeLimit = 300 * time.Millisecond }, ErrTimeout},
		{"crash", func(c *Child) {}, ErrBroken},
		{"babble", func(c *Child) {}, ErrBroken},
	} {
		t.Run(c.mode, func(t *testing.T) {
			child := testChild(t, c.mode)
			c.set(&child)
			_, err := child.Render(context.Background(), Job{Inputs: []Input{{Data: []byte("x"), Name: "part.txt"}}}, outFile(t))
			wantErr(t, err, c.want)
			var part *PartError
			if !errors.As(err, &part) || part.Name != "part.txt" {
				t.Errorf("error does not name the input: %v", err)
			}
			if Detail(err) == "" {
				t.Error("no detail for the log")
			}
		})
	}
}

func TestLimits_CPU(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("limits are for Linux")
	}
	cmd := exec.Command(testChild(t, "").Exe, "spin")
	cmd.Stdin = strings.NewReader(`{"Limits":{"Data":1000000000,"FileSize":1000,"CPUSeconds":1}}`)
	if err := cmd.Run(); err == nil || !killed(cmd.ProcessState) {
		t.Errorf("the spinning child ended with %v, want it killed", err)
	}
}

func TestChild_Canceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := testChild(t, "hang").Render(ctx, Job{Inputs: []Input{{Data: []byte("x")}}}, outFile(t))
	wantErr(t, err, context.Canceled)
}

func TestChild_Confined(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("confinement is for Linux")
	}
	res, err := testChild(t, "probe").Render(context.Background(), Job{Inputs: []Input{{Data: []byte("x")}}}, outFile(t))
	var f *Failure
	if !errors.As(err, &f) && !errors.Is(err, ErrBroken) {
		t.Fatalf("error %v; %s", err, Detail(err))
	}
	t.Log(Detail(err), res.Confinement)
	if !strings.Contains(strings.Join(res.Confinement, " "), "seccomp") {
		t.Skipf("no seccomp here: %v", res.Confinement)
	}
	if f != nil && f.What != "" {
		t.Errorf("the confined child could: %s", f.What)
	}
}

// A child whose parent is gone must not stay.
func TestChildMain_EndsWithItsParent(t *testing.T) {
	cmd := exec.Command(testChild(t, "").Exe, "render")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd.ExtraFiles = []*os.File{null}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Long enough a job not to be done before its parent goes.
	req := childRequest{Job: Job{Inputs: []Input{{Data: bytes.Repeat([]byte("word "), maxText/5), MIME: "text/plain"}}, Options: Options{MaxPages: 1 << 20}},
		Limits: limits{Data: 1 << 30, FileSize: 1 << 30, CPUSeconds: 60}}
	if err := json.NewEncoder(in).Encode(req); err != nil {
		t.Fatal(err)
	}
	in.Close()
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("the child ended with %v and said %.200s, want exit status 3", err, out.String())
	}
}

func TestChild_DamagedCache(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	child := testChild(t, "render")
	child.CacheDir = t.TempDir()
	// What wazero would look for is not known here: damage a copy of the whole cache.
	if err := testChild(t, "render").WarmCache(context.Background()); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(cacheDir, func(path string, d os.DirEntry, err error) error {
		rel, _ := filepath.Rel(cacheDir, path)
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(child.CacheDir, rel), 0o700))
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		head, err := io.ReadAll(io.LimitReader(in, 10000))
		return errors.Join(err, os.WriteFile(filepath.Join(child.CacheDir, rel), head, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	pdf := makePDF(595, 842, "BT /F 24 Tf 72 700 Td (Page) Tj ET")
	if _, err := child.Render(context.Background(), Job{Inputs: []Input{inFile(t, "a.pdf", pdf)}}, outFile(t)); err != nil {
		t.Fatalf("%v; %s", err, Detail(err))
	}
}
