package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConvert_TellsOfBoxes: a character that no font has is named, with its file; a text without such says nothing.
func TestConvert_TellsOfBoxes(t *testing.T) {
	for text, want := range map[string]string{
		"Please call Mr 王 back, Tuesday is fine for all of us.\n": "letter.txt: no font here has these characters, they stand as boxes on the pages: 王\n",
		"Please call Mr Wang back.\n":                             "",
	} {
		dir := t.TempDir()
		name, out := filepath.Join(dir, "letter.txt"), filepath.Join(dir, "out.tif")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var said, errs bytes.Buffer
		if got := convertMain(t.Context(), []string{"-o", out, name}, streams{nil, &said, &errs}); got != exitOK {
			t.Errorf("status %d, %s", got, errs.String())
		}
		if said := errs.String(); want == "" && said != "" || !strings.HasSuffix(said, want) {
			t.Errorf("%q, want %q", said, want)
		}
	}
}
