package raster

import (
	"strconv"
	"strings"
)

const (
	maxColumns    = 63 // of a Word table
	maxTableDepth = 8  // tables in tables; deeper ones lose their rows
)

// table prints a table row by row (17.4). Pictures in a row's cells stand above it.
func (d *docxWalker) table(n *xmlNode, depth int) error {
	ruled := d.tableRuled(n)
	grid := gridOf(n)
	d.f.gap(max(d.after, 1))
	d.after = 0
	for i, tr := range rowsOf(n, 0) {
		if err := d.f.ctx.Err(); err != nil {
			return ctxError(err)
		}
		if err := d.cellPictures(tr); err != nil {
			return err
		}
		cells := d.cells(tr, grid, depth)
		if len(cells) == 0 {
			continue
		}
		if err := d.f.row(cells, ruled, i == 0); err != nil {
			return err
		}
		if !ruled {
			d.f.gap(0.5)
		}
	}
	d.after = 1.5
	return nil
}

// rowsOf returns a table's rows, also those in content controls.
func rowsOf(n *xmlNode, depth int) (rows []*xmlNode) {
	for _, k := range n.kids {
		switch {
		case k.name == "tr":
			rows = append(rows, k)
		case depth < 4 && (k.name == "sdt" || k.name == "sdtContent" || k.name == "customXml" || k.name == "ins"):
			rows = append(rows, rowsOf(k, depth+1)...)
		}
	}
	return rows
}

// gridOf returns the widths of a table's columns, in proportion.
func gridOf(n *xmlNode) []float64 {
	var grid []float64
	if g := n.kid("tblGrid"); g != nil {
		for _, k := range g.kids {
			if w, err := strconv.ParseFloat(k.attr("w"), 64); err == nil && k.name == "gridCol" && w >= 0 && w < 1e6 {
				grid = append(grid, max(w, 1))
			}
		}
	}
	return grid[:min(len(grid), maxColumns)]
}

func cellsOf(n *xmlNode, depth int) (cells []*xmlNode) {
	for _, k := range n.kids {
		switch {
		case k.name == "tc":
			cells = append(cells, k)
		case depth < 4 && (k.name == "sdt" || k.name == "sdtContent" || k.name == "customXml"):
			cells = append(cells, cellsOf(k, depth+1)...)
		}
	}
	return cells[:min(len(cells), maxColumns)]
}

func (d *docxWalker) cells(tr *xmlNode, grid []float64, depth int) []cell {
	var out []cell
	at := 0
	for _, tc := range cellsOf(tr, 0) {
		c := cell{spans: d.flat(tc, depth+1), share: 0}
		if p := tc.find("p"); p != nil {
			para, _ := d.styles.paragraph(p.kid("pPr"))
			c.align = para.align
		}
		columns, err := strconv.Atoi(tc.kid("tcPr", "gridSpan").attr("val"))
		if err != nil || columns < 1 {
			columns = 1
		}
		for range min(columns, maxColumns) {
			if at < len(grid) {
				c.share += grid[at]
			}
			at++
		}
		if m := tc.kid("tcPr", "vMerge"); m != nil && m.attr("val") != "restart" {
			c.spans = nil
		}
		out = append(out, c)
	}
	for i := range out {
		if out[i].share == 0 || len(grid) == 0 { // no grid, or more cells than it has columns
			for j := range out {
				out[j].share = 1
			}
			break
		}
		if len(out[i].spans) == 0 { // an empty cell is a line high
			out[i].spans = []span{{"\n", d.styles.run.style()}}
		}
	}
	return out
}

// flat returns a cell's or note's text, its paragraphs as lines.
func (d *docxWalker) flat(n *xmlNode, depth int) []span {
	c := &runs{d: d, flat: true}
	d.flatInto(c, n, depth)
	for len(c.p.spans) > 0 && c.p.spans[len(c.p.spans)-1].text == "\n" {
		c.p.spans = c.p.spans[:len(c.p.spans)-1]
	}
	return c.p.spans
}

func (d *docxWalker) flatInto(c *runs, n *xmlNode, depth int) {
	for _, k := range n.kids {
		switch k.name {
		case "p":
			para, run := d.styles.paragraph(k.kid("pPr"))
			c.base = run
			if para.numID != "" && para.numID != "0" {
				hang, _ := d.numbers.next(para.numID, para.level)
				c.add(hang+" ", run)
			}
			c.inside(k)
			c.add("\n", run)
		case "tr", "tc", "tbl", "sdt", "sdtContent", "customXml", "ins", "txbxContent":
			if k.name == "tbl" {
				depth++
			}
			if depth <= maxTableDepth {
				d.flatInto(c, k, depth)
			}
		}
	}
}

// cellPictures prints the pictures of a row.
func (d *docxWalker) cellPictures(n *xmlNode) error {
	if n.name == "AlternateContent" {
		n = n.kid("Choice")
	}
	if n == nil {
		return nil
	}
	if n.name == "drawing" || n.name == "pict" {
		id := n.find("blip").attr("embed")
		if id == "" {
			id = n.find("imagedata").attr("id")
		}
		if id != "" {
			return d.picture(id, n, alignStart)
		}
		return nil
	}
	for _, k := range n.kids {
		if err := d.cellPictures(k); err != nil {
			return err
		}
	}
	return nil
}

// tableRuled tells whether a table has lines between its cells: its own borders, its style's, or its cells'.
func (d *docxWalker) tableRuled(n *xmlNode) bool {
	if b := n.kid("tblPr", "tblBorders"); b != nil {
		return bordered(b)
	}
	for _, st := range d.styles.chain(n.kid("tblPr", "tblStyle").attr("val")) {
		if bordered(st.kid("tblPr", "tblBorders")) {
			return true
		}
	}
	for _, tr := range rowsOf(n, 0) {
		for _, tc := range cellsOf(tr, 0) {
			if b := tc.kid("tcPr", "tcBorders"); b != nil {
				return bordered(b)
			}
		}
	}
	return false
}

func bordered(n *xmlNode) bool {
	if n == nil {
		return false
	}
	lines := 0
	for _, k := range n.kids {
		if v := k.attr("val"); v != "" && v != "none" && v != "nil" && !strings.HasPrefix(v, "inset") {
			lines++
		}
	}
	return lines >= 2
}
