package raster

import (
	"context"
	"fmt"
	"strings"
	"time"

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

func (r *renderer) cover(ctx context.Context, c CoverFields) error {
	f := r.flow(ctx)
	steps := []func() error{
		func() error { return f.paragraph(paragraph{spans: []span{{"Fax", style{face: bold, pt: 40}}}}) },
		func() error { f.gap(2); return f.rule(0.8) },
		func() error { f.gap(4); return f.coverFields(c) },
		func() error { f.gap(3); return f.rule(0.8) },
		func() error { f.gap(6); return f.coverText(c) },
		f.breakPage,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (f *flow) coverFields(c CoverFields) error {
	rows := []struct{ label, value string }{
		{"To", joinFields(c.To, c.ToNumber)},
		{"From", joinFields(c.From, c.FromNumber)},
		{"Date", ""},
		{"Pages", ""},
		{"Subject", coverClean(c.Subject)},
	}
	if !c.Date.IsZero() {
		rows[2].value = c.Date.Format("2 January 2006, 15:04")
	}
	if c.Pages > 0 {
		rows[3].value = fmt.Sprintf("%d (this one included)", c.Pages)
		if c.Pages == 1 {
			rows[3].value = "1"
		}
	}
	label, value := style{face: bold, pt: 12}, style{face: regular, pt: 12}
	for _, row := range rows {
		if row.value == "" {
			continue
		}
		if err := f.row([]cell{{spans: []span{{row.label + ":", label}}, share: 1}, {spans: []span{{row.value, value}}, share: 5}}, false, false); err != nil {
			return err
		}
		f.gap(1.5)
	}
	return nil
}

// coverText prints the mail's text in the proportional font.
func (f *flow) coverText(c CoverFields) error {
	text := c.Text
	if len(text)+len(c.HTML) > maxText {
		return fail(ErrTooLarge, "the mail's text")
	}
	if strings.TrimSpace(text) != "" {
		return f.plainText(strings.Trim(cleanText(text), "\n"), style{face: regular, pt: bodyPt})
	}
	if strings.TrimSpace(c.HTML) != "" {
		return f.html(c.HTML)
	}
	return nil
}

func joinFields(name, number string) string {
	name, number = coverClean(name), coverClean(number)
	if name == "" || number == "" || name == number {
		return name + strings.TrimPrefix(number, name)
	}
	return name + ", " + number
}

// coverClean makes one line of a field and bounds its length.
func coverClean(s string) string { return headerClean(s) }
