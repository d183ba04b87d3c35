package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging/raster"
)

func TestRenderOptions(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		more  string
		fault string // "": none
	}{
		{"[cover]\ntemplate = \"" + file("good.html", "<p>{{to}}</p>") + "\"\nlanguage = \"nl\"\n", ""},
		{"[cover]\ntemplate = \"" + file("bad.html", "<p>{{name}}</p>") + "\"\n", "the fields are"},
		{"[cover]\ntemplate = \"" + dir + "/none.html\"\n", "cover.template"},
		{"[cover]\nlogo = \"" + file("logo.png", "x") + "\"\n", "logo cannot be read"},
		{"[cover]\nlogo = \"" + file("empty.png", "") + "\"\n", "cover.logo"},
		{"[render]\nfonts = \"" + dir + "/fonts\"\n", "render.fonts"},
		{"[render]\nfonts = \"" + file("a.ttf", "x") + "\"\n", "is no folder"},
		{"[render]\nfonts = \"" + dir + "\"\n", ""},
	} {
		cfg, err := Parse([]byte(least + c.more))
		if err != nil {
			t.Fatal(err)
		}
		_, err = cfg.renderOptions()
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v, want %q", c.more, err, c.fault)
		}
	}
}

func TestPaper_OfACountry(t *testing.T) {
	for _, c := range []struct {
		country, paper string
		want           raster.Paper
	}{{"US", "", raster.Letter}, {"DE", "", raster.A4}, {"CA", "a4", raster.A4}, {"DE", "letter", raster.Letter}} {
		cfg := Config{Dial: DialConfig{Country: c.country}, Render: RenderConfig{Paper: c.paper}}
		if got := cfg.paper(); got != c.want {
			t.Errorf("%s, %q: %v", c.country, c.paper, got)
		}
	}
}
