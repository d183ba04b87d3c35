package imagingtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
)

// Program is a C program of testdata/bench that answers requests.
type Program struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Reader
}

// Start compiles testdata/bench/NAME.c with these libraries and runs it until the test ends. Where there is no compiler, or a library is
// missing, the test is skipped, unless TIPRING_PEERS=required.
func Start(t testing.TB, name string, args []string, libs ...string) *Program {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("cc", append([]string{"-O2", "-o", bin, filepath.Join(benchDir, name+".c")}, libs...)...).CombinedOutput()
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatalf("gcc, libtiff-dev, libspandsp-dev and libjbig-dev are required: %v\n%s", err, out)
		}
		t.Skipf("gcc, libtiff-dev, libspandsp-dev or libjbig-dev is not here: %v", err)
	}
	cmd := exec.Command(bin, args...)
	cmd.Stderr = os.Stderr
	p := &Program{t: t}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(stdout)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.in.Close(); _ = cmd.Wait() })
	return p
}

// Time asks a rival (codec.c, jbig.c) to do something so many times, after once that is not counted, and returns the time of one and the
// size of the coded page.
func (p *Program) Time(times int, request ...any) (time.Duration, int) {
	p.t.Helper()
	fmt.Fprintln(p.in, append(request, times)...)
	var ns int64
	var size int
	if _, err := fmt.Fscan(p.out, &ns, &size); err != nil {
		p.t.Fatal("the rival: ", err)
	}
	return time.Duration(ns / int64(times)), size
}

// ask sends a request with data to judge.c and returns its answer.
func (p *Program) ask(data []byte, request ...any) (lines, complaints int, answer []byte) {
	p.t.Helper()
	fmt.Fprintln(p.in, append(request, len(data))...)
	if _, err := p.in.Write(data); err != nil {
		p.t.Fatal("the judge: ", err)
	}
	var n int
	if _, err := fmt.Fscanf(p.out, "%d %d %d\n", &lines, &complaints, &n); err != nil {
		p.t.Fatalf("the judge, asked %v: %v", request, err)
	}
	answer = make([]byte, n)
	if _, err := io.ReadFull(p.out, answer); err != nil {
		p.t.Fatal("the judge: ", err)
	}
	return lines, complaints, answer
}

// Judge is libtiff and spandsp.
type Judge struct{ *Program }

// StartJudge compiles and runs testdata/bench/judge.c, as Start does.
func StartJudge(t testing.TB) Judge {
	t.Helper()
	return Judge{Start(t, "judge", []string{filepath.Join(t.TempDir(), "page.tif")}, "-lspandsp", "-ltiff", "-lm")}
}

// Decode has "libtiff" or "spandsp" decode a page, coded "mh", "rle" (MH, each line in whole octets), "mr" or "mmr", with its first bit in an octet
// being the least significant one if lsb; spandsp knows no other. The error says what it complained of.
func (j Judge) Decode(judge, coding string, data []byte, width, height int, lsb bool) (*imaging.Bitmap, error) {
	j.t.Helper()
	lines, complaints, rows := j.ask(data, "decode", judge, coding, width, height, order(lsb), 0)
	b, err := imaging.FromPacked(width, lines, rows)
	if err == nil && complaints > 0 {
		err = fmt.Errorf("%s has %d complaints", judge, complaints)
	}
	return b, err
}

// Encode has a judge code a page. option: for libtiff the lines per inch, which decide MR's K; negative: each EOL ends with an octet. For
// spandsp the fewest bits of a line.
func (j Judge) Encode(judge, coding string, b *imaging.Bitmap, lsb bool, option int) []byte {
	j.t.Helper()
	_, complaints, data := j.ask(b.Packed(), "encode", judge, coding, b.Width, b.Height, order(lsb), option)
	if complaints > 0 {
		j.t.Errorf("%s has %d complaints", judge, complaints)
	}
	return data
}

func order(lsb bool) string {
	if lsb {
		return "lsb"
	}
	return "msb"
}

// Files writes pages as the rivals read them, and returns their names.
func Files(t testing.TB, pages []*imaging.Bitmap) (names []string) {
	t.Helper()
	dir := t.TempDir()
	for i, p := range pages {
		name := filepath.Join(dir, fmt.Sprint(i))
		b := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(p.Width)), uint32(p.Height))
		if err := os.WriteFile(name, bytes.Join([][]byte{b, p.Packed()}, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// Tool runs a program of a Debian package on data, with the names of an input and an output file behind args, and returns what it wrote. Where it is
// missing the test is skipped, unless TIPRING_PEERS=required.
func Tool(t testing.TB, deb, name string, in []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatalf("%s (Debian: %s) is required", name, deb)
		}
		t.Skipf("%s (Debian: %s) is not here", name, deb)
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(from, in, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, append(args, from, to)...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
