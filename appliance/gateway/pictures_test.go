package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack/message"
)

func TestShowPictures(t *testing.T) {
	dir := t.TempDir()
	part := func(id string, size int, inline bool) message.Part {
		path := filepath.Join(dir, strings.ReplaceAll(id, "@", "-"))
		if err := os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		return message.Part{ContentID: id, Path: path, Inline: inline, Type: "image/png"}
	}
	parts := []message.Part{part("a1", 3, true), part("b@c", 3, true), part("big", maxShown+1, true), part("file", 3, false)}
	html := `<img src="cid:a1"><img src='cid:a10'><img src="cid:b%40c"><img src="cid:big"><img src="cid:file"><img src="http://x/cid:a1">`
	want := `<img src="data:image;base64,eHh4"><img src='cid:a10'><img src="data:image;base64,eHh4"><img src="cid:big"><img src="cid:file"><img src="http://x/cid:a1">`
	if got := showPictures(html, parts); got != want {
		t.Errorf("%s", got)
	}
	var many []message.Part
	text := ""
	for _, id := range strings.Fields("p q r s t u v w") {
		many = append(many, part(id, maxShown, true))
		text += `<img src="cid:` + id + `">`
	}
	if got := showPictures(text, many); len(got) > maxAllShown+len(text) || !strings.Contains(got, `"cid:w"`) || strings.Contains(got, `"cid:p"`) {
		t.Errorf("%d octets", len(got))
	}
}
