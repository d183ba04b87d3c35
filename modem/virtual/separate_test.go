package virtual_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imported lists our own packages that a package's files import, tests left out.
func imported(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	var out []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if own, ok := strings.CutPrefix(path, "github.com/tipring/tipring/"); ok {
				out = append(out, own)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestModem_SharesNothingWithTheDriver: commands, DLE shielding and HDLC of the virtual modem are its own, and the driver's are the
// driver's. A mistake made once cannot hide on both sides; TestMutate_SeededBugs shows that none does.
func TestModem_SharesNothingWithTheDriver(t *testing.T) {
	for dir, never := range map[string][]string{
		".":              {"modem", "modem/at", "modem/phone", "modem/class1", "modem/class2", "t30/hdlc"},
		"..":             {"modem/virtual", "t30/t30test"},
		"../at":          {"modem/virtual", "t30/t30test"},
		"../phone":       {"modem/virtual", "t30/t30test"},
		"../class1":      {"modem/virtual", "t30/t30test"},
		"../class2":      {"modem/virtual", "t30/t30test"},
		"../../t30/hdlc": {"modem/virtual", "modem", "modem/at", "modem/phone", "modem/class1", "t30", "t30/t30test"},
	} {
		got := imported(t, dir)
		for _, n := range never {
			if slices.Contains(got, n) {
				t.Errorf("%s imports %s", dir, n)
			}
		}
	}
	// By way of t30test no HDLC of a line comes in: only its pages and sinks know t30/hdlc, as a check sum.
	files, err := filepath.Glob("../../t30/t30test/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range []string{"hdlc.Encoder", "hdlc.NewDecoder", "hdlc.Decoder"} {
			if strings.Contains(string(src), use) {
				t.Errorf("%s has %s: the virtual modem imports this package", name, use)
			}
		}
	}
}
