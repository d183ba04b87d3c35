package raster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/tipring/tipring/imaging"
)

// CoverFields are what stands on a cover page. Empty fields are left out.
type CoverFields struct {
	To, ToNumber     string
	From, FromNumber string
	Date             time.Time // printed in its own location; JSON keeps its offset
	Pages            int       // of the whole fax, this one included; 0: RenderJob counts them
	Subject          string
	Text             string // the mail's plain text
	HTML             string // the mail's HTML; Text goes before it
}

// CoverDesign is how cover pages look. The zero value is the built-in one in English.
type CoverDesign struct {
	Language string // of the labels, dates and counts: en, de, fr, es or nl; "": en
	// Template is HTML with fields as {{to}}; "": the built-in one, [CoverTemplate]. Fields are to, from, date, pages,
	// subject, and label.to, label.from and so on, and label.fax. An element with data-if="subject" is left out when that field is empty; one with
	// data-field="text" takes the mail's text, <img data-field="logo"> the logo. At most 256 kB.
	Template string
	Logo     []byte // PNG, JPEG, GIF, BMP or WebP, at most 2 MB; nil: none
}

const (
	maxTemplate = 256 << 10
	maxLogo     = 2 << 20
	logoWide    = 80.0 // mm: a logo without a size of its own is made to fit
	logoHigh    = 22.0
)

// CoverTemplate is the built-in cover page.
const CoverTemplate = `<img data-field="logo">
<h1 style="font-size:40pt">{{label.fax}}</h1>
<hr size="3">
<table>
<tr data-if="to"><th width="17%">{{label.to}}</th><td>{{to}}</td></tr>
<tr data-if="from"><th width="17%">{{label.from}}</th><td>{{from}}</td></tr>
<tr data-if="date"><th width="17%">{{label.date}}</th><td>{{date}}</td></tr>
<tr data-if="pages"><th width="17%">{{label.pages}}</th><td>{{pages}}</td></tr>
<tr data-if="subject"><th width="17%">{{label.subject}}</th><td>{{subject}}</td></tr>
</table>
<hr size="3">
<div data-field="text"></div>
`

// coverLanguage is what the built-in words of a cover page are in one language.
type coverLanguage struct {
	fax, to, from, date, pages, subject string
	included                            string // after the number of pages
	day                                 string // a layout of day, month and year: D, M and Y stand for them
	at                                  string // before the time of day
	hour                                string // after it
	months                              []string
}

// CoverLanguages are the languages of cover pages.
var CoverLanguages = []string{"en", "de", "fr", "es", "nl"}

var coverLanguages = map[string]coverLanguage{
	"en": {"Fax", "To", "From", "Date", "Pages", "Subject", " (this one included)", "D M Y", ", ", "",
		[]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}},
	"de": {"Telefax", "An", "Von", "Datum", "Seiten", "Betreff", " (einschließlich dieser)", "D. M Y", ", ", " Uhr",
		[]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}},
	"fr": {"Télécopie", "À", "De", "Date", "Pages", "Objet", " (celle-ci comprise)", "D M Y", " à ", "",
		[]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}},
	"es": {"Fax", "Para", "De", "Fecha", "Páginas", "Asunto", " (incluida esta)", "D de M de Y", ", ", "",
		[]string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"}},
	"nl": {"Fax", "Aan", "Van", "Datum", "Pagina’s", "Onderwerp", " (inclusief deze)", "D M Y", ", ", " uur",
		[]string{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"}},
}

// formatDate writes a time as the language does; "" for the zero time.
func (l coverLanguage) formatDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	day := strconv.Itoa(t.Day())
	if t.Day() == 1 && l.fax == "Télécopie" {
		day = "1er"
	}
	var b strings.Builder
	for _, r := range l.day {
		switch r {
		case 'D':
			b.WriteString(day)
		case 'M':
			b.WriteString(l.months[t.Month()-1])
		case 'Y':
			b.WriteString(strconv.Itoa(t.Year()))
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + l.at + t.Format("15:04") + l.hour
}

func (l coverLanguage) formatPages(n int) string {
	switch {
	case n <= 0:
		return ""
	case n == 1:
		return "1"
	}
	return strconv.Itoa(n) + l.included
}

// coverValues returns every field that a template may name.
func coverValues(c CoverFields, l coverLanguage) map[string]string {
	return map[string]string{
		"to": joinFields(c.To, c.ToNumber), "from": joinFields(c.From, c.FromNumber), "date": l.formatDate(c.Date),
		"pages": l.formatPages(c.Pages), "subject": headerClean(c.Subject),
		"label.fax": l.fax, "label.to": l.to, "label.from": l.from, "label.date": l.date, "label.pages": l.pages, "label.subject": l.subject,
	}
}

var placeholder = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)

// Check tells what is wrong with a design, in words for who configures it.
func (d CoverDesign) Check() error {
	lang, ok := coverLanguages[d.language()]
	if !ok {
		return fmt.Errorf("cover: language %q: use %s", d.Language, strings.Join(CoverLanguages, ", "))
	}
	if len(d.Template) > maxTemplate {
		return fmt.Errorf("cover: the template has %d kB: at most %d", len(d.Template)>>10, maxTemplate>>10)
	}
	known := coverValues(CoverFields{}, lang)
	for _, m := range placeholder.FindAllStringSubmatch(d.Template, -1) {
		if _, ok := known[m[1]]; !ok {
			return fmt.Errorf("cover: the template has {{%s}}: the fields are %s", m[1], strings.Join(fieldNames(known), ", "))
		}
	}
	if d.Logo == nil {
		return nil
	}
	if _, ok := d.logo(); !ok {
		return errors.New("cover: the logo cannot be read: use a PNG, JPEG or GIF of at most 2 MB")
	}
	return nil
}

func fieldNames(known map[string]string) []string {
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (d CoverDesign) language() string {
	if d.Language == "" {
		return "en"
	}
	return strings.ToLower(d.Language)
}

func (d CoverDesign) logo() (scan, bool) {
	if len(d.Logo) == 0 || len(d.Logo) > maxLogo {
		return scan{}, false
	}
	kind, _ := Detect(d.Logo[:min(len(d.Logo), sniffLen)], "", "")
	sc, err := decodePicture(Document{R: bytes.NewReader(d.Logo), Size: int64(len(d.Logo))}, kind)
	return sc, err == nil
}

// Cover makes a cover page, and further pages if the text needs them.
func Cover(ctx context.Context, c CoverFields, opt Options, emit func(*imaging.Page) error) error {
	opt, err := opt.withDefaults()
	if err != nil {
		return err
	}
	fonts, err := openFonts(opt.Fonts)
	if err != nil {
		return err
	}
	r := &renderer{opt: opt, sheet: newSheet(opt), emit: emit, fonts: fonts}
	defer r.close()
	return r.cover(ctx, c)
}

// coverPage is a cover page that is being laid out: its template's walker asks it for the fields.
type coverPage struct {
	fields CoverFields
	design CoverDesign
	values map[string]string
}

func (r *renderer) cover(ctx context.Context, c CoverFields) error {
	if len(c.Text)+len(c.HTML) > maxText {
		return fail(ErrTooLarge, "the mail's text")
	}
	p := &coverPage{fields: c, design: r.opt.Cover}
	lang, ok := coverLanguages[p.design.language()]
	if !ok {
		lang = coverLanguages["en"]
	}
	p.values = coverValues(c, lang)
	src := p.design.Template
	if src == "" {
		src = CoverTemplate
	}
	root, err := html.Parse(strings.NewReader(cleanText(src)))
	if err != nil {
		return broken("cover template", err)
	}
	r.legible = legibility{unjudged: true} // a name or subject in boxes spoils no fax
	f := r.flow(ctx)
	w := &htmlWalker{f: f, st: style{face: regular, pt: bodyPt}, cover: p}
	w.walk(root, 0)
	w.end(0)
	if w.err != nil {
		return w.err
	}
	if err := f.breakPage(); err != nil {
		return err
	}
	return r.legible.fault()
}

// fill puts the fields' values into a template's text. Values are text here already: nothing in them is markup.
func (p *coverPage) fill(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(m string) string {
		return p.values[placeholder.FindStringSubmatch(m)[1]]
	})
}

// omits tells whether an element goes because its field is empty.
func (p *coverPage) omits(n *html.Node) bool {
	name := attr(n, "data-if")
	return name != "" && p.values[name] == ""
}

// field prints what an element with data-field stands for; false if it is none.
func (w *htmlWalker) field(n *html.Node) bool {
	name := attr(n, "data-field")
	switch {
	case name == "text":
		w.end(0)
		if w.err == nil {
			w.f.gap(w.before + 3)
			w.before = 0
			w.f.r.legible.unjudged = false
			w.err = w.f.coverText(w.cover.fields)
			w.f.r.legible.unjudged = true
		}
	case name == "logo" && n.DataAtom == atom.Img:
		w.end(1)
		sc, ok := w.cover.design.logo()
		if !ok || w.err != nil {
			return true
		}
		wmm, hmm := sc.size(cssPixels(attr(n, "width")), cssPixels(attr(n, "height")))
		if attr(n, "width") == "" && attr(n, "height") == "" {
			scale := min(logoWide/wmm, logoHigh/hmm)
			wmm, hmm = wmm*scale, hmm*scale
		}
		w.err = w.f.picture(sc, wmm, hmm, w.align)
		w.before = 2
	default:
		return false
	}
	return true
}

// coverText prints the mail's text in the proportional font.
func (f *flow) coverText(c CoverFields) error {
	if strings.TrimSpace(c.Text) != "" {
		return f.plainText(strings.Trim(cleanText(c.Text), "\n"), style{face: regular, pt: bodyPt})
	}
	if strings.TrimSpace(c.HTML) != "" {
		return f.html(c.HTML)
	}
	return nil
}

func joinFields(name, number string) string {
	name, number = headerClean(name), headerClean(number)
	if name == "" || number == "" || name == number {
		return name + strings.TrimPrefix(number, name)
	}
	return name + ", " + number
}
