package jbig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// jbigkit runs one of jbigkit's tools. Without it the test is skipped, unless TIPRING_PEERS=required.
func jbigkit(t *testing.T, name string, in []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatalf("%s (Debian: jbigkit-bin) is required", name)
		}
		t.Skipf("%s (Debian: jbigkit-bin) is not here", name)
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(from, in, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, append(args, from, to)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func pbm(b *imaging.Bitmap) []byte {
	return append(fmt.Appendf(nil, "P4\n%d %d\n", b.Width, b.Height), b.Packed()...)
}

// kitOptions are pbmtojbg85's for a format.
func kitOptions(f Format) []string {
	options := 0
	if f.TwoLine {
		options |= optTwoLine
	}
	if !f.NoTypical {
		options |= optTypical
	}
	args := []string{"-p", strconv.Itoa(options), "-m", strconv.Itoa(f.MX)}
	if f.StripeLines > 0 {
		args = append(args, "-s", strconv.Itoa(f.StripeLines))
	}
	if f.Comment != "" {
		args = append(args, "-C", f.Comment)
	}
	return args
}

// TestJbigkit_SameOctets codes to the octets that jbigkit's T.85 encoder codes to, and each reads the other's.
func TestJbigkit_SameOctets(t *testing.T) {
	for name, b := range testPages() {
		for option, f := range testFormats() {
			if f.Reset {
				continue // pbmtojbg85 cannot
			}
			theirs := jbigkit(t, "pbmtojbg85", pbm(b), kitOptions(f)...)
			if f.StripeLines == 0 {
				f.StripeLines = int(theirs[12])<<24 | int(theirs[13])<<16 | int(theirs[14])<<8 | int(theirs[15])
			}
			ours, err := Append(nil, b, f)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("%s, %s: %d octets, jbigkit has %d\n%x\n%x", name, option, len(ours), len(theirs), ours[:min(60, len(ours))], theirs[:min(60, len(theirs))])
			}
			got, q, err := Decode(theirs, 0, 0)
			if err != nil || !got.Equal(b) || q != (imaging.Quality{Lines: b.Height, Ended: true}) {
				t.Errorf("%s, %s: jbigkit's: %+v, %v", name, option, q, err)
			}
		}
	}
}

// TestJbigkit_AnyWidth: pages of random widths in stripes of random L0 are coded to jbigkit's octets, and where the height is said at the
// end jbigkit reads them.
func TestJbigkit_AnyWidth(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 85))
	for range 60 {
		b := randomPage(r, 1+r.IntN(1+r.IntN(7296)), 1+r.IntN(40))
		f := Format{StripeLines: 1 + r.IntN(1+r.IntN(b.Height+20)), TwoLine: r.IntN(2) == 0, NoTypical: r.IntN(3) == 0, MX: r.IntN(2) * r.IntN(MaxMX+1)}
		ours, err := Append(nil, b, f)
		if err != nil {
			t.Fatal(err)
		}
		if theirs := jbigkit(t, "pbmtojbg85", pbm(b), kitOptions(f)...); !bytes.Equal(ours, theirs) {
			t.Errorf("%d x %d, %+v: %d octets, jbigkit has %d", b.Width, b.Height, f, len(ours), len(theirs))
		}
		if got := jbigkit(t, "jbgtopbm85", stream(t, b, f)); !bytes.Equal(got, kitPBM(b)) {
			t.Errorf("%d x %d, %+v: jbigkit reads other pels where the height comes last", b.Width, b.Height, f)
		}
	}
}

// TestJbigkit_ReadsOurs decodes what its T.85 encoder cannot make: stripes with fresh statistics, and heights known at the end only.
func TestJbigkit_ReadsOurs(t *testing.T) {
	for name, b := range testPages() {
		for option, f := range testFormats() {
			data, err := Append(nil, b, f)
			if err != nil {
				t.Fatal(err)
			}
			if got := jbigkit(t, "jbgtopbm85", data); f.Reset && !bytes.Equal(got, kitPBM(b)) {
				t.Errorf("%s, %s: jbigkit reads other pels", name, option)
			}
			if got := jbigkit(t, "jbgtopbm85", stream(t, b, f)); !bytes.Equal(got, kitPBM(b)) {
				t.Errorf("%s, %s: jbigkit reads other pels where the height comes last", name, option)
			}
		}
	}
}

// kitPBM is a page as jbgtopbm85 writes it: with room for a height that it learns at the end.
func kitPBM(b *imaging.Bitmap) []byte {
	return append(fmt.Appendf(nil, "P4\n%10d\n%10d\n", b.Width, b.Height), b.Packed()...)
}

// stream codes line by line and says the height at the end.
func stream(t *testing.T, b *imaging.Bitmap, f Format) []byte {
	t.Helper()
	var buf bytes.Buffer
	e, err := NewEncoder(&buf, b.Width, f)
	if err != nil {
		t.Fatal(err)
	}
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestJbigkit_OursReadsItsFull reads what its encoder for all of T.82 makes: moves of the adaptive pixel inside a stripe, SDRST, a height
// said at the end, two bits of order that mean nothing with one layer.
func TestJbigkit_OursReadsItsFull(t *testing.T) {
	moved := false
	for name, b := range testPages() {
		for _, args := range [][]string{
			{"-q"}, {"-f"}, {"-q", "-r", "-s", "40"}, {"-q", "-c", "-s", "33"}, {"-q", "-p", "64"}, {"-q", "-p", "72", "-m", "127"},
			{"-q", "-m", "0"}, {"-q", "-s", "2", "-Y", "90000"}, {"-q", "-Y", "90000"}, {"-q", "-C", "hello"},
		} {
			data := jbigkit(t, "pbmtojbg", pbm(b), args...)
			moved = moved || bytes.Contains(data, []byte{escape, markerATMove, 0, 0, 0, 2})
			got, q, err := Decode(data, 0, 0)
			if err != nil || !got.Equal(b) || q != (imaging.Quality{Lines: b.Height, Ended: true}) {
				t.Errorf("%s, pbmtojbg %v: %+v, %v", name, args, q, err)
			}
		}
		for _, after := range []int{1, b.Height / 2, b.Height - 1} {
			if after < 1 || after >= b.Height {
				continue
			}
			data := jbigkit(t, "pbmtojbg85", pbm(b), "-Y", strconv.Itoa(b.Height+500), strconv.Itoa(after))
			got, q, err := Decode(data, 0, 0)
			if err != nil || !got.Equal(b) || q != (imaging.Quality{Lines: b.Height, Ended: true}) {
				t.Errorf("%s, NEWLEN after line %d: %+v, %v", name, after, q, err)
			}
		}
	}
	if !moved {
		t.Error("no adaptive pixel moved inside a stripe")
	}
}
