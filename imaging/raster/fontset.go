package raster

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
)

//go:embed fonts/DejaVuSans-subset.ttf
var dejavuTTF []byte

//go:embed fonts/DejaVuSans-Bold-subset.ttf
var dejavuBoldTTF []byte

//go:embed fonts/Waree-subset.ttf
var thaiTTF []byte

// embeddedFonts are asked, in this order, for what the Go fonts lack: regular, bold, Thai.
var embeddedFonts = sync.OnceValue(func() [3]*font.Font {
	var fonts [3]*font.Font
	for i, ttf := range [3][]byte{dejavuTTF, dejavuBoldTTF, thaiTTF} {
		f, err := loadFont(bytes.NewReader(ttf))
		if err != nil {
			panic("raster: an embedded font does not parse: " + err.Error())
		}
		fonts[i] = f
	}
	return fonts
})

// loadFont reads a font, or the first of a collection.
func loadFont(r opentype.Resource) (*font.Font, error) {
	loaders, err := opentype.NewLoaders(r)
	if err != nil {
		return nil, err
	}
	if len(loaders) == 0 {
		return nil, errors.New("an empty font collection")
	}
	return font.NewFont(loaders[0])
}

// Bounds of the folder of further fonts.
const (
	maxFonts     = 32
	maxFontBytes = 96 << 20 // octets of all together
)

// fontSet has the fonts of a folder, open but unread until a character asks for them.
type fontSet struct {
	files  []*os.File
	loaded []*font.Font // of files, in their order, as far as they were needed
}

// openFonts opens the fonts in dir (.ttf, .otf, .ttc), by name; "" is no folder. A folder or a font that cannot be opened is an
// error: whoever named it must know.
func openFonts(dir string) (*fontSet, error) {
	s := &fontSet{}
	if dir == "" {
		return s, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("raster: fonts: %w", err)
	}
	total := int64(0)
	for _, e := range entries {
		if !slices.Contains([]string{".ttf", ".otf", ".ttc"}, strings.ToLower(filepath.Ext(e.Name()))) {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			s.close()
			return nil, fmt.Errorf("raster: fonts: %w", err)
		}
		s.files = append(s.files, f)
		info, err := f.Stat()
		if err == nil {
			total += info.Size()
		}
		if err != nil || !info.Mode().IsRegular() || len(s.files) > maxFonts || total > maxFontBytes {
			s.close()
			return nil, fmt.Errorf("raster: fonts: %s: at most %d fonts of %d MB together", dir, maxFonts, maxFontBytes>>20)
		}
	}
	return s, nil
}

// font returns font i of the folder, nil when there are no more. One that does not parse has no characters.
func (s *fontSet) font(i int) (f *font.Font, ok bool) {
	if s == nil || i >= len(s.files) {
		return nil, false
	}
	for len(s.loaded) <= i {
		s.loaded = append(s.loaded, parseFontFile(s.files[len(s.loaded)]))
	}
	return s.loaded[i], true
}

// parseFontFile guards against a font that crashes its parser.
func parseFontFile(r opentype.Resource) (f *font.Font) {
	defer func() {
		if recover() != nil {
			f = nil
		}
	}()
	f, err := loadFont(r)
	if err != nil {
		return nil
	}
	return f
}

func (s *fontSet) close() {
	if s == nil {
		return
	}
	for _, f := range s.files {
		f.Close()
	}
	s.files = nil
}
