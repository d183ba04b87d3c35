package raster

import (
	"context"
	"regexp"
	"strconv"
	"strings"
)

// docx renders a Word document: paragraphs, headings, lists, tables and pictures in their order. Where text runs around
// pictures or stands in columns it follows one below the other. Letterheads are printed once, at the top; what stands in
// page footers, and notes, at the end.
func (r *renderer) docx(ctx context.Context, doc Document) error {
	pkg, err := openDOCX(doc)
	if err != nil {
		return err
	}
	d := &docxWalker{pkg: pkg, f: r.flow(ctx)}
	data, err := d.open()
	if err != nil {
		return err
	}
	head, foot := pageParts(data)
	steps := []func() error{
		func() error { return d.pagePart(head) },
		func() error { return newXMLReader(data).each("body", func(n *xmlNode) error { return d.block(n, 0) }) },
		func() error { return d.footnotes() },
		func() error { return d.pagePart(foot) },
		d.f.breakPage,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// docxWalker prints a document's blocks.
type docxWalker struct {
	pkg     *docxPackage
	f       *flow
	styles  *docxStyles
	numbers *docxNumbers
	rels    map[string]string // of the part that is being printed
	notes   []string          // ids of the footnotes met
	after   float64           // mm below the last paragraph
	ruled   bool              // the last block was a ruled row
	paging  bool              // in a page's header or footer: paragraphs with page numbers are left out
}

const documentPart = "word/document.xml"

// open reads the parts that the others refer to, and the document's own octets.
func (d *docxWalker) open() ([]byte, error) {
	data, err := d.pkg.read(documentPart, maxXML)
	if err != nil {
		return nil, err
	}
	styles, err := d.pkg.tree("word/styles.xml")
	if err != nil {
		return nil, err
	}
	numbers, err := d.pkg.tree("word/numbering.xml")
	if err != nil {
		return nil, err
	}
	d.styles, d.numbers = newDOCXStyles(styles), newDOCXNumbers(numbers)
	d.rels, err = d.pkg.relations(documentPart)
	return data, err
}

var pageReference = regexp.MustCompile(`<\w+:(header|footer)Reference\s[^<>]*>`)
var attribute = regexp.MustCompile(`(\w+)="([^"]*)"`)

// pageParts returns the relationships of the page header and footer of the document's first page (17.10).
func pageParts(data []byte) (head, foot string) {
	first := regexp.MustCompile(`<\w+:titlePg\s*/>`).Match(data)
	for _, m := range pageReference.FindAllSubmatch(data, 30) {
		kind, id := "", ""
		for _, a := range attribute.FindAllSubmatch(m[0], 10) {
			switch string(a[1]) {
			case "type":
				kind = string(a[2])
			case "id":
				id = string(a[2])
			}
		}
		if kind != "default" && !(first && kind == "first") {
			continue
		}
		into := &head
		if string(m[1]) == "footer" {
			into = &foot
		}
		if *into == "" || kind == "first" {
			*into = id
		}
	}
	return head, foot
}

// pagePart prints a page header or footer.
func (d *docxWalker) pagePart(id string) error {
	part := d.rels[id]
	if id == "" || part == "" {
		return nil
	}
	tree, err := d.pkg.tree(part)
	if err != nil || tree == nil {
		return err
	}
	saved := d.rels
	defer func() { d.rels, d.paging = saved, false }()
	if d.rels, err = d.pkg.relations(part); err != nil {
		return err
	}
	d.paging = true
	for _, k := range tree.kids {
		if err := d.block(k, 0); err != nil {
			return err
		}
	}
	return nil
}

// footnotes prints the notes that the text refers to, numbered in their order.
func (d *docxWalker) footnotes() error {
	if len(d.notes) == 0 {
		return nil
	}
	tree, err := d.pkg.tree("word/footnotes.xml")
	if err != nil || tree == nil {
		return err
	}
	d.f.gap(4)
	if err := d.f.rule(0.2); err != nil {
		return err
	}
	for i, id := range d.notes {
		for _, k := range tree.kids {
			if k.attr("id") != id {
				continue
			}
			st := style{face: regular, pt: 9}
			spans := append([]span{{"[" + strconv.Itoa(i+1) + "] ", st}}, d.flat(k, 0)...)
			if err := d.f.paragraph(paragraph{spans: spans, before: 0.5}); err != nil {
				return err
			}
		}
	}
	return nil
}

// block prints a paragraph, a table, or what holds these.
func (d *docxWalker) block(n *xmlNode, depth int) error {
	if err := d.f.ctx.Err(); err != nil {
		return ctxError(err)
	}
	switch n.name {
	case "p":
		return d.paragraph(n)
	case "tbl":
		return d.table(n, depth)
	case "sdt", "sdtContent", "customXml", "ins", "moveTo", "body", "txbxContent", "smartTag":
		for _, k := range n.kids {
			if err := d.block(k, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *docxWalker) paragraph(n *xmlNode) error {
	if d.paging && pageNumbered(n) {
		return nil
	}
	para, run := d.styles.paragraph(n.kid("pPr"))
	if para.pageBreak {
		if err := d.f.breakPage(); err != nil {
			return err
		}
	}
	p := paragraph{indent: para.indent, before: max(d.after, para.before), align: para.align}
	d.after, d.ruled = para.after, false
	if para.numID != "" && para.numID != "0" {
		hang, indent := d.numbers.next(para.numID, para.level)
		if p.hang = hang; hang != "" {
			if !para.ownIndent {
				p.indent = indent
			}
			p.indent = max(p.indent, 6)
		}
	}
	c := &runs{d: d, p: p, base: run}
	c.inside(n)
	return c.end(true)
}

// pageNumbered tells whether a paragraph has a field for a page number in it.
func pageNumbered(n *xmlNode) bool {
	if n.name == "pgNum" || n.name == "instrText" && strings.Contains(n.text, "PAGE") || n.name == "fldSimple" && strings.Contains(n.attr("instr"), "PAGE") {
		return true
	}
	for _, k := range n.kids {
		if pageNumbered(k) {
			return true
		}
	}
	return false
}

// runs collects a paragraph's text. Pictures and page breaks divide it.
type runs struct {
	d     *docxWalker
	p     paragraph
	base  runProps
	flat  bool // collect only: no page break, no picture
	err   error
	boxes []*xmlNode // text boxes, printed after the paragraph
}

// end prints what was collected; an empty paragraph is a blank line.
func (c *runs) end(last bool) error {
	if c.err != nil {
		return c.err
	}
	if len(c.p.spans) > 0 || last && c.p.hang != "" {
		c.err = c.d.f.paragraph(c.p)
		c.p.before, c.p.hang = 0, ""
	} else if last {
		c.d.f.gap(c.p.before + c.base.style().pt*mmPerPt)
	}
	c.p.spans = nil
	for _, b := range c.boxes {
		if c.err == nil && last {
			c.err = c.d.block(b, 0)
		}
	}
	return c.err
}

func (c *runs) inside(n *xmlNode) {
	for _, k := range n.kids {
		if c.err != nil {
			return
		}
		switch k.name {
		case "r":
			c.run(k)
		case "hyperlink", "ins", "moveTo", "smartTag", "sdt", "sdtContent", "fldSimple", "customXml", "dir", "bdo", "oMath", "oMathPara", "sSup", "sSub",
			"sup", "sub", "e", "f", "num", "den", "d", "rad", "deg", "nary", "func", "fName":
			c.inside(k)
		case "AlternateContent":
			if k := k.kid("Choice"); k != nil {
				c.inside(k)
			}
		}
	}
}

func (c *runs) run(n *xmlNode) {
	props := c.d.styles.runStyle(c.base, n.kid("rPr"))
	if props.hidden {
		return
	}
	c.content(n, props)
}

// content adds what stands in a run (17.3.3).
func (c *runs) content(n *xmlNode, props runProps) {
	for _, k := range n.kids {
		switch k.name {
		case "t":
			c.add(k.text, props)
		case "tab", "ptab":
			c.add("\t", props)
		case "cr":
			c.add("\n", props)
		case "br":
			c.lineBreak(k, props)
		case "noBreakHyphen":
			c.add("-", props)
		case "sym":
			c.add(symbol(k.attr("char")), props)
		case "footnoteReference":
			c.d.notes = append(c.d.notes, k.attr("id"))
			c.add("["+strconv.Itoa(len(c.d.notes))+"]", props)
		case "drawing", "pict", "object":
			c.drawing(k)
		case "AlternateContent":
			if k := k.kid("Choice"); k != nil {
				c.content(k, props)
			}
		}
	}
}

func (c *runs) lineBreak(n *xmlNode, props runProps) {
	if n.attr("type") != "page" || c.flat {
		c.add("\n", props)
		return
	}
	if c.err = c.end(false); c.err == nil {
		c.err = c.d.f.breakPage()
	}
}

func (c *runs) add(text string, props runProps) {
	if text != "\t" && text != "\n" {
		text = strings.NewReplacer("\t", " ", "\n", " ").Replace(cleanText(text))
	}
	if props.caps {
		text = strings.ToUpper(text)
	}
	if text != "" {
		c.p.spans = append(c.p.spans, span{text, props.style()})
	}
}

// symbol is a character of a symbol font, given in hexadecimal; most stand in the private use area.
func symbol(hex string) string {
	v, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || v < 0x20 || v >= 0xe000 && v < 0xf900 || v > 0x10ffff {
		return "•"
	}
	return string(rune(v))
}

// drawing prints a picture, or keeps a text box for later.
func (c *runs) drawing(n *xmlNode) {
	if box := n.find("txbxContent"); box != nil {
		if c.flat {
			c.p.spans = append(c.p.spans, c.d.flat(box, 1)...)
		} else {
			c.boxes = append(c.boxes, box)
		}
		return
	}
	id := n.find("blip").attr("embed")
	if id == "" {
		id = n.find("imagedata").attr("id")
	}
	if id == "" || c.flat {
		return
	}
	if c.err = c.end(false); c.err == nil {
		c.err = c.d.picture(id, n, c.p.align)
	}
}

// picture prints the picture behind a relationship, of the size that the drawing around it says.
func (d *docxWalker) picture(id string, drawing *xmlNode, a align) error {
	data, err := d.pkg.read(d.rels[id], maxEmbedded)
	if err != nil {
		return err
	}
	sc, ok := d.f.embedded(data)
	if !ok {
		return d.f.paragraph(paragraph{spans: []span{{"[picture]", style{face: regular, pt: bodyPt}}}, align: a})
	}
	wmm, hmm := sc.size(0, 0)
	extent := drawing.find("extent")
	cx, err1 := strconv.ParseFloat(extent.attr("cx"), 64)
	cy, err2 := strconv.ParseFloat(extent.attr("cy"), 64)
	if err1 == nil && err2 == nil && cx > 0 && cy > 0 {
		wmm, hmm = cx*mmPerEMU, cy*mmPerEMU
	}
	d.f.gap(1)
	return d.f.picture(sc, wmm, hmm, a)
}
