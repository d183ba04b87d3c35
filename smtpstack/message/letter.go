package message

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"unicode/utf8"

	"github.com/tipring/tipring/smtpstack"
)

// Letter is what a mail of ours says, for people: the same words become the text and the HTML. Everything in it may
// come from strangers.
type Letter struct {
	Title      string
	Tone       Tone
	Paragraphs []string
	Facts      []Fact   // the table below them
	Picture    *Picture // the fax's first page; nil where the content must not be shown in the mail
	Footer     string
	Language   string // BCP 47 tag of the words, "" is "en"
}

// Tone colours the title.
type Tone int8

// The tones of a letter.
const (
	Neutral Tone = iota
	Good
	Warning
	Bad
)

// Fact is one line of the table.
type Fact struct{ Name, Value string }

// Picture is an inline picture: Outgoing.Inline has its file under the same ContentID.
type Picture struct {
	ContentID string // from [Outgoing.ContentID]
	Alt       string // in words
	Width     int    // pixels on the screen; 0 is the picture's own
}

// Text is the letter as plain text.
func (l Letter) Text() string {
	blocks := make([]string, 0, len(l.Paragraphs)+3)
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			blocks = append(blocks, s)
		}
	}
	add(l.Title)
	for _, p := range l.Paragraphs {
		add(p)
	}
	add(factText(l.Facts))
	add(l.Footer)
	return strings.Join(blocks, "\n\n") + "\n"
}

// factText is the table, its second column aligned.
func factText(facts []Fact) string {
	wide := 0
	for _, f := range facts {
		wide = max(wide, min(utf8.RuneCountInString(f.Name), 30))
	}
	var b strings.Builder
	for _, f := range facts {
		fmt.Fprintf(&b, "%-*s %s\n", wide+1, f.Name+":", f.Value)
	}
	return b.String()
}

// LetterTemplate makes HTML of a Letter; nil is the built-in one. It is an html/template that sees the fields of
// Letter, with .Color (of the tone) and .Picture.Source (for src=) added.
type LetterTemplate struct{ t *template.Template }

//go:embed letter.html
var letterHTML string

var builtinLetter = template.Must(template.New("letter").Parse(letterHTML))

// maxLetter bounds the HTML of one letter, in octets.
const maxLetter = 1 << 20

// ErrLetter is returned when a letter's template cannot be read or filled, or makes more than 1 MiB.
var ErrLetter = errors.New("letter template")

// ParseLetterTemplate reads a template and tries it on a letter that has everything, and on one that has nothing.
func ParseLetterTemplate(src string) (*LetterTemplate, error) {
	t, err := template.New("letter").Parse(src)
	if err != nil {
		return nil, fmt.Errorf("message: %w: %w", ErrLetter, err)
	}
	lt := &LetterTemplate{t}
	full := Letter{Title: "t", Paragraphs: []string{"p"}, Facts: []Fact{{"n", "v"}}, Picture: &Picture{ContentID: "a@b", Alt: "x", Width: 1}, Footer: "f", Language: "en"}
	for _, l := range []Letter{full, {}} {
		if _, err := lt.Render(l); err != nil {
			return nil, err
		}
	}
	return lt, nil
}

type letterData struct {
	Letter
	Color   template.CSS
	Picture *pictureData
}

type pictureData struct {
	Picture
	Source template.URL
}

var toneColors = map[Tone]template.CSS{Neutral: "#2b579a", Good: "#107c10", Warning: "#c77700", Bad: "#c50f1f"}

// Render is the letter as one HTML page. All that the letter says is escaped for the place where it stands.
func (t *LetterTemplate) Render(l Letter) (string, error) {
	tmpl := builtinLetter
	if t != nil {
		tmpl = t.t
	}
	data := letterData{Letter: l, Color: toneColors[l.Tone]}
	if p := l.Picture; p != nil {
		if !isContentID(p.ContentID) {
			return "", fmt.Errorf("message: %w: Content-ID %.80q", ErrLetter, p.ContentID)
		}
		data.Picture = &pictureData{*p, template.URL("cid:" + p.ContentID)} // html/template knows no cid: and would take it out
	}
	w := &limitedBuffer{left: maxLetter}
	if err := tmpl.Execute(w, data); err != nil {
		return "", fmt.Errorf("message: %w: %w", ErrLetter, err)
	}
	return w.String(), nil
}

// SetLetter makes the letter the mail's text and HTML. page is the picture of the fax's first page, shown at width
// pixels, or nil where the content must not be in the mail (then leave out the attachments too); l.Picture is set by it.
// When the template fails (ErrLetter) the mail has its text alone, and can go.
// What the letter says becomes one line each: nothing in a value can look like another line of the letter.
func (o *Outgoing) SetLetter(t *LetterTemplate, l Letter, page *File, alt string, width int) error {
	l = l.oneLined()
	l.Picture, o.Inline, o.Text, o.HTML = nil, nil, l.Text(), ""
	if page != nil {
		inline := *page
		inline.ContentID = o.ContentID("page1")
		o.Inline = []File{inline}
		l.Picture = &Picture{ContentID: inline.ContentID, Alt: alt, Width: width}
	}
	html, err := t.Render(l)
	if err != nil {
		o.Inline = nil
		return err
	}
	o.HTML = html
	return nil
}

// maxWords bounds one title, paragraph or value, in characters.
const maxWords = 2000

// oneLined is the letter without line breaks, control characters and marks that turn the direction of writing (U+202A to
// U+202E, U+2066 to U+2069), which would let a stranger's words pose as ours.
func (l Letter) oneLined() Letter {
	clean := func(s string) string {
		s = strings.Map(func(r rune) rune {
			if r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029 {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(s, "\uFFFD"))
		s = strings.TrimSpace(smtpstack.OneLine(s))
		if r := []rune(s); len(r) > maxWords {
			s = string(r[:maxWords]) + "..."
		}
		return s
	}
	l.Title, l.Footer = clean(l.Title), clean(l.Footer)
	paragraphs, facts := make([]string, len(l.Paragraphs)), make([]Fact, len(l.Facts))
	for i, p := range l.Paragraphs {
		paragraphs[i] = clean(p)
	}
	for i, f := range l.Facts {
		facts[i] = Fact{clean(f.Name), clean(f.Value)}
	}
	l.Paragraphs, l.Facts = paragraphs, facts
	return l
}

type limitedBuffer struct {
	bytes.Buffer
	left int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("more than %d octets", maxLetter)
	}
	return b.Buffer.Write(p)
}
