package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A template that cannot be used is an error at the start that names the file.
func TestLetterTemplate(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // in the error; "": none
	}{
		"good":      {`<p>{{.Title}}</p>{{with .Picture}}<img src="{{.Source}}">{{end}}`, ""},
		"broken":    {`{{.Title`, "mail.letter"},
		"unknown":   {`{{.Nobody}}`, "mail.letter"},
		"too large": {strings.Repeat("x", maxLetterFile+1), "larger than"},
		"missing":   {"", "mail.letter"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "letter.html")
			if c.text != "" {
				if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cfg := Default()
			cfg.Mail.Letter = file
			lt, err := cfg.letterTemplate()
			if c.want == "" && (err != nil || lt == nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file)) {
				t.Errorf("%v, %v", lt, err)
			}
		})
	}
	if lt, err := Default().letterTemplate(); lt != nil || err != nil {
		t.Errorf("without a file: %v, %v", lt, err)
	}
}
