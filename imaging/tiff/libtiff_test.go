package tiff

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// peer runs one of libtiff's tools. Without it the test is skipped, unless TIPRING_PEERS=required.
func peer(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatalf("%s (Debian: libtiff-tools, imagemagick) is required", name)
		}
		t.Skipf("%s (Debian: libtiff-tools, imagemagick) is not here", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func save(t *testing.T, data []byte) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "*.tif")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func load(t *testing.T, path string) *File {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, data)
}

var peerPages = []imaging.Page{
	testPage(1728, 300, imaging.Fine), testPage(1, 1, imaging.Standard), testPage(2432, 101, imaging.Superfine),
	testPage(65, 64, imaging.Fine), testPage(3456, 33, imaging.R16), testPage(7296, 20, imaging.Res600),
}

// TestLibtiff_ReadsOurs: libtiff decodes our files to the same pels, says nothing against them, and codes to the same octets.
func TestLibtiff_ReadsOurs(t *testing.T) {
	for name, format := range testFormats {
		path := save(t, write(t, format, peerPages...))
		plain := filepath.Join(t.TempDir(), "plain.tif")
		if out := peer(t, "tiffcp", "-c", "none", path, plain); out != "" {
			t.Errorf("%s: tiffcp says %s", name, out)
		}
		if name != "jbig" { // which libtiff does not decode line by line
			if out := peer(t, "tiffcmp", "-t", path, plain); strings.Contains(out, "differ") {
				t.Errorf("%s: tiffcmp says %s", name, out)
			}
		}
		info := peer(t, "tiffinfo", "-D", path)
		if strings.Contains(strings.ToLower(info), "warning") || strings.Count(info, "Software: Tipring") != len(peerPages) ||
			!strings.Contains(info, "Resolution: 204, 196 pixels/inch") || !strings.Contains(info, "Page Number: 2-6") {
			t.Errorf("%s: tiffinfo says %s", name, info)
		}
		f := load(t, plain)
		for i, want := range peerPages {
			got, _, err := f.Decode(i + 1)
			if err != nil || !got.Equal(want.Bitmap) {
				t.Errorf("%s page %d: libtiff reads other pels (%v)", name, i+1, err)
			}
		}
	}
}

// TestLibtiff_SameOctets: with one strip and the same options libtiff codes to the same octets.
func TestLibtiff_SameOctets(t *testing.T) {
	for option, format := range map[string]t4.Format{
		"g3:1d":      t4.File(imaging.MH, imaging.Fine),
		"g3:2d":      t4.File(imaging.MR, imaging.Fine),
		"g3:1d:fill": testFormats["mh aligned"],
		"g3:2d:fill": testFormats["mr aligned"],
		"g4":         t4.File(imaging.MMR, imaging.Fine),
	} {
		page := testPage(1728, 300, imaging.Fine)
		ours := write(t, format, page)
		theirs := filepath.Join(t.TempDir(), "out.tif")
		peer(t, "tiffcp", "-c", option, "-r", "300", save(t, write(t, t4.File(imaging.MH, imaging.Fine), page)), theirs)
		a, err1 := open(t, ours).Raw(1)
		b, err2 := load(t, theirs).Raw(1)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s: %d octets, libtiff has %d", option, len(a.Data), len(b.Data))
		}
	}
}

// TestLibtiff_OursReadsTheirs reads what libtiff writes, in all its variants.
func TestLibtiff_OursReadsTheirs(t *testing.T) {
	src := save(t, write(t, t4.File(imaging.MMR, imaging.Fine), peerPages...))
	for _, c := range []string{"none", "packbits", "g3:1d", "g3:2d", "g3:1d:fill", "g3:2d:fill", "g4", "lzw", "zip", "jbig"} {
		for _, args := range [][]string{
			{}, {"-f", "lsb2msb"}, {"-f", "msb2lsb"}, {"-B"}, {"-L", "-r", "7"}, {"-B", "-f", "lsb2msb", "-r", "16"},
			{"-8"}, {"-8", "-B", "-r", "9"}, {"-t", "-w", "64", "-l", "32"}, {"-8", "-t", "-w", "144", "-l", "16"}, {"-B", "-f", "lsb2msb", "-t", "-w", "1008", "-l", "80"},
		} {
			if c == "jbig" && slices.ContainsFunc(args, func(a string) bool { return a == "-r" || a == "-t" }) {
				continue // libtiff writes it in one strip only
			}
			out := filepath.Join(t.TempDir(), "out.tif")
			peer(t, "tiffcp", append(append([]string{"-c", c}, args...), src, out)...)
			f := load(t, out)
			if f.NumPages() != len(peerPages) || f.Rest() != nil {
				t.Fatalf("%s %v: %d pages, %v", c, args, f.NumPages(), f.Rest())
			}
			for i, want := range peerPages {
				got, q, err := f.Decode(i + 1)
				if err != nil || q.BadLines > 0 || q.Lines != want.Height || !got.Equal(want.Bitmap) || got.Resolution != want.Resolution {
					t.Errorf("%s %v page %d: %+v, %v, %v", c, args, i+1, got.Resolution, q, err)
				}
			}
		}
	}
}

// TestLibtiff_Tags reads what tiffset changes.
func TestLibtiff_Tags(t *testing.T) {
	page := testPage(1728, 60, imaging.Standard)
	data := write(t, t4.File(imaging.MMR, imaging.Fine), page)
	path := save(t, data)
	peer(t, "tiffset", "-s", "282", "80.0", path)
	peer(t, "tiffset", "-s", "283", "38.5", path)
	peer(t, "tiffset", "-s", "296", "3", path)
	peer(t, "tiffset", "-s", "262", "1", path)
	got, _, err := load(t, path).Decode(1)
	if err != nil || got.Resolution != imaging.Standard {
		t.Errorf("80 x 38.5 per cm: %v, %v", got.Resolution, err)
	}
	if got.Invert(); !got.Equal(page.Bitmap) {
		t.Error("MinIsBlack is not inverted")
	}
}

// TestFax2tiff_ReadsTheLine gives fax2tiff our line data, RTC and all.
func TestFax2tiff_ReadsTheLine(t *testing.T) {
	page := testPage(1728, 200, imaging.Fine)
	for option, c := range map[string]imaging.Coding{"-1": imaging.MH, "-2": imaging.MR, "-4": imaging.MMR} {
		format := t4.Line(c, imaging.Fine)
		format.MinLineBits = 288
		data, err := t4.Append(nil, page.Bitmap, format)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		raw, out := filepath.Join(dir, "raw"), filepath.Join(dir, "out.tif")
		if err := os.WriteFile(raw, data, 0o600); err != nil {
			t.Fatal(err)
		}
		peer(t, "fax2tiff", option, "-L", "-X", strconv.Itoa(page.Width), "-o", out, raw)
		got, _, err := load(t, out).Decode(1)
		if err != nil || !bytes.HasPrefix(got.Packed(), page.Packed()) {
			t.Errorf("%v: fax2tiff reads %d lines, others (%v)", c, got.Height, err)
		}
	}
}
