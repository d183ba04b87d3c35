package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/tiff"
)

// TestSend_JBIG: over two virtual modems, where both ends are told to take JBIG and have error correction; else the next coding.
func TestSend_JBIG(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	name, want := testTIFF(t, 1728, 1100, imaging.Fine)
	for _, c := range []struct{ send, receive, coding string }{
		{"--coding jbig", "--coding jbig", "jbig"},
		{"--coding jbig", "", "mmr"},
		{"", "--coding jbig", "mmr"},
		{"--coding jbig --no-ecm", "--coding jbig", "mr"},
	} {
		sent, got := p.call("--out "+t.TempDir()+" "+c.receive, sendMain, "--header none "+c.send+" "+name)
		if sent.status != exitOK || got.status != exitOK || sent.Coding != c.coding || got.Coding != c.coding {
			t.Fatalf("%+v: %+v\n%+v", c, sent, got)
		}
		if page := onePage(t, got); !page.Equal(want) {
			t.Errorf("%+v: another page arrived", c)
		}
	}
}

// TestConvert_JBIG writes JBIG, inspect tells of it, and a PDF made of it has MMR.
func TestConvert_JBIG(t *testing.T) {
	name, want := testTIFF(t, 1728, 500, imaging.Fine)
	out := filepath.Join(t.TempDir(), "out.tif")
	run := func(command []string, status int) string {
		t.Helper()
		var said, errs bytes.Buffer
		f := convertMain
		if command[0] == "inspect" {
			f = inspectMain
		}
		if got := f(t.Context(), command[1:], streams{nil, &said, &errs}); got != status {
			t.Fatalf("%v: %d, %s", command, got, errs.String())
		}
		return said.String()
	}
	run([]string{"convert", "-o", out, "--coding", "jbig", name}, exitOK)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tiff.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := f.Decode(1); err != nil || !got.Equal(want) || f.Info(1).Compression != tiff.JBIG {
		t.Errorf("%v, %v", f.Info(1).Compression, err)
	}
	if said := run([]string{"inspect", out}, exitOK); !bytes.Contains([]byte(said), []byte("jbig")) {
		t.Errorf("inspect says %s", said)
	}
	pdf := filepath.Join(t.TempDir(), "out.pdf")
	run([]string{"convert", "-o", pdf, "--coding", "jbig", out}, exitOK)
	if data, err := os.ReadFile(pdf); err != nil || !bytes.Contains(data, []byte("/K -1")) {
		t.Errorf("no MMR in the PDF (%v)", err)
	}
	run([]string{"convert", "-o", out, "--coding", "jbig2", name}, exitUsage)
	for coding := range codings {
		run([]string{"convert", "-o", out, "--coding", coding, name}, exitOK)
		if said := run([]string{"inspect", "--json", out}, exitOK); !strings.Contains(said, `"coding":"`+coding+`"`) {
			t.Errorf("%s: inspect says %s", coding, said)
		}
	}
}
