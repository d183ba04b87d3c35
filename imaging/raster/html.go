package raster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// html renders a mail's or file's HTML as plain blocks: paragraphs, headings, lists, preformatted text, table rows.
// Nothing is loaded from elsewhere, no script runs; pictures show their alternative text.
func (r *renderer) html(ctx context.Context, doc Document) error {
	if doc.Size > maxText {
		return fail(ErrTooLarge, fmt.Sprintf("%d MB of text", doc.Size>>20))
	}
	data, err := readAll(doc)
	if err != nil {
		return err
	}
	name := doc.Charset
	if name == "" { // the <meta> element, else what decodeText makes of it
		if _, found, sure := charset.DetermineEncoding(data, "text/html"); sure {
			name = found
		}
	}
	f := r.flow(ctx)
	if err := f.html(decodeText(data, name)); err != nil {
		return err
	}
	return f.breakPage()
}

// html lays out HTML source on the flow.
func (f *flow) html(src string) error {
	root, err := html.Parse(strings.NewReader(cleanText(src)))
	if err != nil {
		return broken("HTML", err)
	}
	w := &htmlWalker{f: f, st: style{face: regular, pt: bodyPt}}
	w.walk(root, 0)
	w.end(0)
	return w.err
}

// maxDepth bounds the recursion; what is nested deeper is left out.
const maxDepth = 400

// htmlWalker turns the node tree into paragraphs.
type htmlWalker struct {
	f      *flow
	err    error
	st     style
	pre    bool
	indent float64 // mm
	hang   string  // waits for the next paragraph
	before float64 // mm of space above the next paragraph
	spans  []span
	lists  []int // open lists: the number of the last item, -1 for bullets
	align  align
	cover  *coverPage // of which this is the template; nil for all else
}

// text adds character data to the paragraph, white space collapsed unless preformatted.
func (w *htmlWalker) text(s string) {
	if w.cover != nil {
		s = w.cover.fill(s)
	}
	if w.pre {
		w.spans = append(w.spans, span{expandTabsAll(s), w.st})
		return
	}
	var b strings.Builder
	space := len(w.spans) == 0 || strings.HasSuffix(w.spans[len(w.spans)-1].text, " ") || strings.HasSuffix(w.spans[len(w.spans)-1].text, "\n")
	for _, r := range s {
		if r == ' ' || r == '\n' || r == '\t' || r == '\f' {
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		}
		b.WriteRune(r)
		space = false
	}
	if b.Len() > 0 {
		w.spans = append(w.spans, span{b.String(), w.st})
	}
}

func expandTabsAll(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = expandTabs(lines[i])
	}
	return strings.Join(lines, "\n")
}

// end closes the paragraph and prints it; after is the space below it in mm.
func (w *htmlWalker) end(after float64) {
	defer func() { w.before = max(w.before, after) }()
	printed := false
	for _, s := range w.spans {
		printed = printed || strings.TrimSpace(strings.ReplaceAll(s.text, "\u00a0", " ")) != ""
	}
	if !printed || w.err != nil {
		w.spans = w.spans[:0]
		return
	}
	w.err = w.f.paragraph(paragraph{spans: w.spans, before: w.before, indent: w.indent, hang: w.hang, keep: w.pre, align: w.align})
	w.spans, w.before, w.hang = w.spans[:0], 0, ""
}

func (w *htmlWalker) children(n *html.Node, depth int) {
	for c := n.FirstChild; c != nil && w.err == nil; c = c.NextSibling {
		w.walk(c, depth+1)
	}
}

func (w *htmlWalker) walk(n *html.Node, depth int) {
	if depth > maxDepth || w.err != nil {
		return
	}
	if w.err = ctxError(w.f.ctx.Err()); w.err != nil {
		return
	}
	switch n.Type {
	case html.TextNode:
		w.text(n.Data)
	case html.ElementNode:
		w.element(n, depth)
	case html.DocumentNode:
		w.children(n, depth)
	}
}

func (w *htmlWalker) element(n *html.Node, depth int) {
	if hidden(n) || w.cover != nil && (w.cover.omits(n) || w.field(n)) {
		return
	}
	saved := *w
	restore := func() {
		w.st, w.pre, w.indent, w.lists, w.align = saved.st, saved.pre, saved.indent, saved.lists, saved.align
	}
	switch n.DataAtom {
	case atom.Br:
		w.spans = append(w.spans, span{"\n", w.st})
	case atom.Hr:
		w.end(2)
		w.f.gap(2)
		if w.err == nil {
			w.err = w.f.rule(max(0.3, min(3, cssPixels(attr(n, "size"))*mmPerCSSPel)))
		}
		w.before = 2
	case atom.Img:
		w.img(n)
	case atom.B, atom.Strong, atom.Th:
		w.st.face = bold
		w.children(n, depth)
		restore()
	case atom.I, atom.Em, atom.Cite:
		if w.st.face == regular {
			w.st.face = italic
		}
		w.children(n, depth)
		restore()
	case atom.U, atom.A:
		w.st.underline = true
		w.children(n, depth)
		restore()
	case atom.Code, atom.Tt, atom.Kbd, atom.Samp:
		w.st = style{face: mono, pt: monoPt}
		w.children(n, depth)
		restore()
	case atom.Li:
		w.item(n, depth)
		restore()
	case atom.Tr:
		w.row(n, depth)
		restore()
	default:
		space, block := w.block(n)
		if !block {
			w.children(n, depth)
			return
		}
		saved.end(0) // saved shares the spans collected so far
		w.spans, w.err, w.before, w.hang = w.spans[:0], saved.err, max(saved.before, space), saved.hang
		if a := alignOf(n); a != alignStart {
			w.align = a
		}
		w.children(n, depth)
		w.end(space)
		restore()
	}
}

// block sets the style inside a block element and tells its space above and below in mm.
func (w *htmlWalker) block(n *html.Node) (space float64, ok bool) {
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		sizes := map[atom.Atom]float64{atom.H1: 20, atom.H2: 16, atom.H3: 13, atom.H4: bodyPt, atom.H5: bodyPt, atom.H6: bodyPt}
		w.st = style{face: bold, pt: headingSize(n, sizes[n.DataAtom])}
		return 3, true
	case atom.P, atom.Dl, atom.Table, atom.Figure, atom.Fieldset:
		return 2.5, true
	case atom.Pre, atom.Listing, atom.Textarea:
		w.pre, w.st = true, style{face: mono, pt: monoPt}
		return 2.5, true
	case atom.Blockquote, atom.Dd:
		w.indent += 8
		return 1.5, true
	case atom.Ul, atom.Menu:
		w.lists = append(w.lists[:len(w.lists):len(w.lists)], -1)
		w.indent += 8
		return 1.5, true
	case atom.Ol:
		w.lists = append(w.lists[:len(w.lists):len(w.lists)], 0)
		w.indent += 8
		return 1.5, true
	case atom.Div, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Main, atom.Nav, atom.Aside, atom.Address, atom.Center,
		atom.Body, atom.Html, atom.Dt, atom.Td, atom.Tbody, atom.Thead, atom.Tfoot, atom.Caption, atom.Form, atom.Details, atom.Summary,
		atom.Figcaption, atom.Option:
		return 0, true
	}
	return 0, false
}

// img prints a picture that stands in the document itself (RFC 2397); any other shows its alternative text.
func (w *htmlWalker) img(n *html.Node) {
	sc, ok := w.f.dataPicture(attr(n, "src"))
	if !ok {
		if alt := strings.TrimSpace(attr(n, "alt")); alt != "" {
			w.text("[" + alt + "]")
		}
		return
	}
	wmm, hmm := sc.size(cssPixels(attr(n, "width")), cssPixels(attr(n, "height")))
	if wmm < 3 && hmm < 3 { // a counting pixel
		return
	}
	w.end(1)
	if w.err == nil {
		w.f.gap(1)
		w.err = w.f.picture(sc, wmm, hmm, w.align)
		w.before = 1
	}
}

// cssPixels reads a width or height attribute; 0 if it has none in pixels.
func cssPixels(s string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(s), "px"), 64)
	if err != nil || !(n > 0 && n < 1e5) {
		return 0
	}
	return n
}

func (w *htmlWalker) item(n *html.Node, depth int) {
	w.end(0.5)
	w.hang = "•"
	if last := len(w.lists) - 1; last >= 0 && w.lists[last] >= 0 {
		w.lists[last]++
		w.hang = fmt.Sprintf("%d.", w.lists[last])
	}
	w.children(n, depth)
	w.end(0.5)
	w.hang = ""
}

// row prints a table row: side by side if it is a row of data, one after another if it is page layout.
func (w *htmlWalker) row(n *html.Node, depth int) {
	w.end(0.5)
	var cells []cell
	data, filled := true, 0
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom != atom.Td && c.DataAtom != atom.Th || hidden(c) || w.cover != nil && w.cover.omits(c) {
			continue
		}
		in := htmlWalker{f: w.f, st: w.st, cover: w.cover}
		if c.DataAtom == atom.Th {
			in.st.face = bold
		}
		data = data && in.inline(c, depth+1)
		length := 0
		for _, s := range in.spans {
			length += len(strings.TrimSpace(s.text))
		}
		if length > 0 {
			filled++
		}
		data = data && length < 400
		cells = append(cells, cell{spans: in.spans, share: percent(attr(c, "width")), align: alignOf(c)})
	}
	if !data || filled < 2 || len(cells) > 10 {
		w.children(n, depth)
		w.end(0.5)
		return
	}
	shareRest(cells)
	ruled, first := tableRow(n)
	if first || !ruled {
		w.f.gap(w.before)
	}
	w.err = w.f.row(cells, ruled, first)
	w.before = 0.5
}

// tableRow tells whether a row's table asks for rules (border="1"), and whether the row is its first.
func tableRow(n *html.Node) (ruled, first bool) {
	first = true
	for e := n; e != nil && e.DataAtom != atom.Table; e = e.Parent {
		for before := e.PrevSibling; before != nil; before = before.PrevSibling {
			first = first && before.Type != html.ElementNode
		}
		if e.Parent != nil && e.Parent.DataAtom == atom.Table {
			b := attr(e.Parent, "border")
			ruled = b != "" && b != "0"
		}
	}
	return ruled, first
}

// inline collects a cell's text if it has no blocks but paragraphs in it; false if it has.
func (w *htmlWalker) inline(n *html.Node, depth int) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if depth > maxDepth {
			return false
		}
		switch {
		case c.Type == html.TextNode:
			w.text(c.Data)
		case c.Type != html.ElementNode || hidden(c):
		case c.DataAtom == atom.Table || c.DataAtom == atom.Ul || c.DataAtom == atom.Ol || c.DataAtom == atom.Pre || c.DataAtom == atom.Hr:
			return false
		case c.DataAtom == atom.Br:
			w.spans = append(w.spans, span{"\n", w.st})
		default:
			st := w.st
			if c.DataAtom == atom.B || c.DataAtom == atom.Strong {
				w.st.face = bold
			}
			_, block := (&htmlWalker{}).block(c)
			if block && len(w.spans) > 0 {
				w.spans = append(w.spans, span{"\n", w.st})
			}
			if !w.inline(c, depth+1) {
				return false
			}
			w.st = st
		}
	}
	return true
}

// headingSize returns the size of a heading that asks for one in points.
func headingSize(n *html.Node, pt float64) float64 {
	css := strings.ToLower(strings.Join(strings.Fields(attr(n, "style")), ""))
	if _, after, ok := strings.Cut(css, "font-size:"); ok {
		number, _, isPt := strings.Cut(after, "pt")
		if v, err := strconv.ParseFloat(number, 64); isPt && err == nil && v >= 8 && v <= 72 {
			return v
		}
	}
	return pt
}

// percent reads a width like "20%" as a share of a row, 0 if it is none.
func percent(s string) float64 {
	number, ok := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v >= 5 && v <= 95) {
		return 0
	}
	return v
}

// shareRest gives the cells without a width equal parts of what the others leave, or all cells if that is too little.
func shareRest(cells []cell) {
	used, without := 0.0, 0
	for _, c := range cells {
		used += c.share
		if c.share == 0 {
			without++
		}
	}
	if without == 0 {
		return
	}
	rest := (100 - used) / float64(without)
	for i := range cells {
		if rest < 5 {
			cells[i].share = 1
		} else if cells[i].share == 0 {
			cells[i].share = rest
		}
	}
}

// alignOf returns where an element asks its text to stand.
func alignOf(n *html.Node) align {
	css := strings.ToLower(strings.Join(strings.Fields(attr(n, "style")), ""))
	a := strings.ToLower(attr(n, "align"))
	switch {
	case a == "center", strings.Contains(css, "text-align:center"), n.DataAtom == atom.Center:
		return alignCenter
	case a == "right", strings.Contains(css, "text-align:right"), strings.Contains(css, "text-align:end"):
		return alignEnd
	}
	return alignStart
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// hidden tells whether an element is not for reading: scripts, styles, what the mail itself hides (preview texts).
func hidden(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Noscript, atom.Iframe, atom.Object, atom.Embed, atom.Svg, atom.Math,
		atom.Video, atom.Audio, atom.Canvas, atom.Select:
		return true
	}
	css := strings.ToLower(strings.Join(strings.Fields(attr(n, "style")), ""))
	return strings.Contains(css, "display:none") || strings.Contains(css, "visibility:hidden") || strings.Contains(css, "mso-hide:all")
}
