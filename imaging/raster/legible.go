package raster

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// A character that no font here has is shown as a box. A few of these (an emoji, a rare sign) leave a text readable, and
// its sender is told which. A text that boxes make unreadable is refused: nobody would know before the recipient complains.
const (
	// boxRun letters without a shown one between them are a sentence or an address, so somebody's words.
	boxRun = 10
	// One letter in 50 is more than the names and loan words in a text of another writing, once there are a few.
	boxShare, boxFew = 50, 5
	// One letter in 4 is too much of the shortest text.
	boxQuarter = 4
	// maxBoxed bounds the characters that a note names.
	maxBoxed = 12
)

// legibility is what of one document's text could be shown.
type legibility struct {
	letters, boxes int // letters and digits of the text, and those shown as boxes
	run, longest   int // boxes without a shown letter between them
	scripts        map[string]int
	boxed          []rune // the first characters shown as boxes, each once
	more           bool   // there are more of them
	unjudged       bool   // what comes now is no reason to refuse the document: a cover page's fields
}

// see takes in a piece of printed text.
func (l *legibility) see(t *typesetter, st style, text string) {
	for _, r := range text {
		p, ok := plain(r)
		if !ok || p == ' ' {
			continue
		}
		lacks := p >= 0x80 && t.lacks(st.face, p)
		if lacks {
			l.name(p)
		}
		if l.unjudged || !unicode.IsLetter(p) && !unicode.IsDigit(p) {
			continue
		}
		l.letters++
		if !lacks {
			l.run = 0
			continue
		}
		l.boxes++
		l.run++
		l.longest = max(l.longest, l.run)
		if l.scripts == nil {
			l.scripts = map[string]int{}
		}
		l.scripts[scriptOf(p)]++
	}
}

func (l *legibility) name(r rune) {
	switch {
	case !unicode.IsGraphic(r) || slices.Contains(l.boxed, r):
	case len(l.boxed) < maxBoxed:
		l.boxed = append(l.boxed, r)
	default:
		l.more = true
	}
}

// fault returns ErrNoFont if too much of the text is boxes.
func (l *legibility) fault() error {
	if l.longest >= boxRun || l.boxes >= boxFew && l.boxes*boxShare > l.letters || l.boxes > 0 && l.boxes*boxQuarter >= l.letters {
		return fail(ErrNoFont, l.script())
	}
	return nil
}

// script returns the writing that most of the boxes are of.
func (l *legibility) script() string {
	return slices.MaxFunc(slices.Sorted(maps.Keys(l.scripts)), func(a, b string) int { return cmp.Compare(l.scripts[a], l.scripts[b]) })
}

// note names the characters that are boxes, for the document's sender; "" if there are none.
func (l *legibility) note() string {
	if len(l.boxed) == 0 {
		return ""
	}
	var list []string
	for _, r := range l.boxed {
		list = append(list, string(r))
	}
	s := strings.Join(list, " ")
	if l.more {
		s += " and others"
	}
	return s
}

const eastAsianName = "Chinese, Japanese or Korean"

// eastAsian are the scripts that one font for these has.
var eastAsian = []string{"Han", "Hiragana", "Katakana", "Hangul", "Bopomofo"}

// scriptOf returns the name of a letter's script (Unicode's, with spaces).
func scriptOf(r rune) string {
	for _, name := range eastAsian {
		if unicode.Is(unicode.Scripts[name], r) {
			return eastAsianName
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unicode.Scripts)) {
		if name != "Common" && name != "Inherited" && unicode.Is(unicode.Scripts[name], r) {
			return strings.ReplaceAll(name, "_", " ")
		}
	}
	return "rare signs"
}

// lacks tells whether no font has r, which is what plain made of it.
func (t *typesetter) lacks(face faceID, r rune) bool {
	key := coverKey{face, r}
	lacks, known := t.boxed[key]
	if known {
		return lacks
	}
	if len(t.boxed) >= maxGlyphs {
		clear(t.boxed)
	}
	st := style{face: face, pt: bodyPt}
	if t.complexRune(face, r) || isMark(r) {
		lacks = t.shape(st, string(r), isRTL(r)).boxes > 0
	} else {
		lacks = t.glyph(st, r).box
	}
	t.boxed[key] = lacks
	return lacks
}
