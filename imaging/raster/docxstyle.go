package raster

import (
	"math"
	"strconv"
	"strings"
)

const (
	mmPerTwip  = 25.4 / 1440
	mmPerEMU   = 25.4 / 914400
	styleDepth = 20 // styles based on each other
)

// runProps is how a run looks: what ECMA-376 part 1, 17.3.2 calls run properties, as far as a fax shows them.
type runProps struct {
	bold, italic, underline, strike, caps, hidden, mono bool
	pt                                                  float64
}

// style chooses the face. Bold wins over italic: on a fax it is what one sees.
func (p runProps) style() style {
	st := style{face: regular, pt: min(48, max(6, p.pt)), underline: p.underline}
	switch {
	case p.mono && p.bold:
		st.face = monoBold
	case p.mono:
		st.face = mono
	case p.bold:
		st.face = bold
	case p.italic:
		st.face = italic
	}
	return st
}

// on reads a toggle property (17.17.4): its mere presence means yes.
func on(n *xmlNode) bool {
	switch n.attr("val") {
	case "0", "false", "off", "none":
		return false
	}
	return true
}

// apply puts the properties of an rPr element over p.
func (p runProps) apply(rPr *xmlNode) runProps {
	if rPr == nil {
		return p
	}
	for _, k := range rPr.kids {
		switch k.name {
		case "b":
			p.bold = on(k)
		case "i":
			p.italic = on(k)
		case "u":
			p.underline = on(k)
		case "strike", "dstrike":
			p.strike = on(k)
		case "caps", "smallCaps":
			p.caps = on(k)
		case "vanish", "webHidden":
			p.hidden = on(k)
		case "sz":
			if v, err := strconv.ParseFloat(k.attr("val"), 64); err == nil && v > 0 && v < 4000 {
				p.pt = v / 2
			}
		case "rFonts":
			f := strings.ToLower(k.attr("ascii"))
			p.mono = strings.Contains(f, "mono") || strings.Contains(f, "courier") || strings.Contains(f, "consolas")
		}
	}
	return p
}

// paraProps is how a paragraph stands (17.3.1).
type paraProps struct {
	align         align
	indent        float64 // mm
	before, after float64 // mm
	pageBreak     bool
	numID         string // numbering instance; "" or "0": none
	level         int    // 0 to 8
	ownIndent     bool   // set by the paragraph or its style, so that it goes before the list's
}

func twips(s string) (mm float64, ok bool) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) {
		return 0, false
	}
	return min(200, max(-200, v*mmPerTwip)), true
}

// apply puts the properties of a pPr element over p.
func (p paraProps) apply(pPr *xmlNode) paraProps {
	if pPr == nil {
		return p
	}
	for _, k := range pPr.kids {
		switch k.name {
		case "jc":
			p.align = map[string]align{"center": alignCenter, "right": alignEnd, "end": alignEnd}[k.attr("val")]
		case "ind":
			for _, side := range []string{"left", "start"} {
				if v, ok := twips(k.attr(side)); ok {
					p.indent, p.ownIndent = max(0, v), true
				}
			}
		case "spacing":
			if v, ok := twips(k.attr("before")); ok {
				p.before = min(20, max(0, v))
			}
			if v, ok := twips(k.attr("after")); ok {
				p.after = min(20, max(0, v))
			}
		case "pageBreakBefore":
			p.pageBreak = on(k)
		case "numPr":
			if n := k.kid("numId"); n != nil {
				p.numID = n.attr("val")
			}
			if l, err := strconv.Atoi(k.kid("ilvl").attr("val")); err == nil {
				p.level = min(8, max(0, l))
			}
		}
	}
	return p
}

// docxStyles are the styles of a document (17.7).
type docxStyles struct {
	byID     map[string]*xmlNode
	standard string // the paragraph style of paragraphs that name none
	run      runProps
	para     paraProps
}

func newDOCXStyles(tree *xmlNode) *docxStyles {
	s := &docxStyles{byID: map[string]*xmlNode{}, run: runProps{pt: 10}}
	if tree == nil {
		return s
	}
	s.run = s.run.apply(tree.kid("docDefaults", "rPrDefault", "rPr"))
	s.para = s.para.apply(tree.kid("docDefaults", "pPrDefault", "pPr"))
	for _, k := range tree.kids {
		if k.name != "style" {
			continue
		}
		s.byID[k.attr("styleId")] = k
		if k.attr("type") == "paragraph" && (k.attr("default") == "1" || k.attr("default") == "true") {
			s.standard = k.attr("styleId")
		}
	}
	return s
}

// chain returns a style and those that it is based on, the base first.
func (s *docxStyles) chain(id string) []*xmlNode {
	var chain []*xmlNode
	for n := s.byID[id]; n != nil && len(chain) < styleDepth; n = s.byID[n.kid("basedOn").attr("val")] {
		chain = append([]*xmlNode{n}, chain...)
	}
	return chain
}

// paragraph returns the properties of a paragraph and of its runs before their own.
func (s *docxStyles) paragraph(pPr *xmlNode) (paraProps, runProps) {
	id := pPr.kid("pStyle").attr("val")
	if s.byID[id] == nil {
		id = s.standard
	}
	para, run := s.para, s.run
	for _, st := range s.chain(id) {
		para, run = para.apply(st.kid("pPr")), run.apply(st.kid("rPr"))
	}
	return para.apply(pPr), run
}

// runStyle returns a run's properties over those of its paragraph.
func (s *docxStyles) runStyle(base runProps, rPr *xmlNode) runProps {
	for _, st := range s.chain(rPr.kid("rStyle").attr("val")) {
		base = base.apply(st.kid("rPr"))
	}
	return base.apply(rPr)
}

// docxNumbers numbers lists (17.9).
type docxNumbers struct {
	levels map[string][]*xmlNode // by numbering instance
	list   map[string]string     // instance to the abstract list whose counters it shares
	count  map[string]*[9]int
}

func newDOCXNumbers(tree *xmlNode) *docxNumbers {
	d := &docxNumbers{levels: map[string][]*xmlNode{}, list: map[string]string{}, count: map[string]*[9]int{}}
	if tree == nil {
		return d
	}
	abstract := map[string][]*xmlNode{}
	for _, k := range tree.kids {
		if k.name != "abstractNum" {
			continue
		}
		levels := make([]*xmlNode, 9)
		for _, l := range k.kids {
			if i, err := strconv.Atoi(l.attr("ilvl")); err == nil && l.name == "lvl" && i >= 0 && i < 9 {
				levels[i] = l
			}
		}
		abstract[k.attr("abstractNumId")] = levels
	}
	for _, k := range tree.kids {
		if k.name == "num" {
			list := k.kid("abstractNumId").attr("val")
			if k.kid("lvlOverride") != nil { // begins anew
				list += " " + k.attr("numId")
			}
			d.list[k.attr("numId")] = list
			d.levels[k.attr("numId")] = abstract[k.kid("abstractNumId").attr("val")]
		}
	}
	return d
}

// next counts one paragraph of a list and returns what stands before it, and the level's indent in mm.
func (d *docxNumbers) next(numID string, level int) (hang string, indent float64) {
	levels := d.levels[numID]
	indent = float64(level+1) * 6
	if levels == nil || levels[level] == nil {
		return "•", indent
	}
	for _, side := range []string{"left", "start"} {
		if v, ok := twips(levels[level].kid("pPr", "ind").attr(side)); ok && v > 0 {
			indent = v
		}
	}
	counts := d.count[d.list[numID]]
	if counts == nil {
		counts = new([9]int)
		d.count[d.list[numID]] = counts
	}
	counts[level]++
	clear(counts[level+1:])
	text := levels[level].kid("lvlText").attr("val")
	if levels[level].kid("numFmt").attr("val") == "bullet" {
		return bullet(text), indent
	}
	for l := range 9 {
		if holder := "%" + strconv.Itoa(l+1); strings.Contains(text, holder) && levels[l] != nil {
			text = strings.ReplaceAll(text, holder, counted(levels[l], max(1, counts[l])))
		}
	}
	return headerClean(text), indent
}

// counted formats the n-th number of a level.
func counted(level *xmlNode, n int) string {
	if start, err := strconv.Atoi(level.kid("start").attr("val")); err == nil && start >= 0 && start < 1e6 {
		n += start - 1
	}
	n = min(n, 1e6)
	switch level.kid("numFmt").attr("val") {
	case "none":
		return ""
	case "lowerLetter", "upperLetter":
		s := strings.Repeat(string(rune('a'+(n+25)%26)), min(8, (n+25)/26))
		if level.kid("numFmt").attr("val") == "upperLetter" {
			s = strings.ToUpper(s)
		}
		return s
	case "lowerRoman":
		return strings.ToLower(roman(n))
	case "upperRoman":
		return roman(n)
	case "decimalZero":
		if n < 10 {
			return "0" + strconv.Itoa(n)
		}
	}
	return strconv.Itoa(n)
}

func roman(n int) string {
	if n <= 0 || n >= 4000 {
		return strconv.Itoa(n)
	}
	var b strings.Builder
	for _, d := range []struct {
		value int
		sign  string
	}{{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
		for ; n >= d.value; n -= d.value {
			b.WriteString(d.sign)
		}
	}
	return b.String()
}

// bullet maps the signs of Word's symbol fonts, which stand in the private use area, to ones that any font has.
func bullet(text string) string {
	switch text = headerClean(text); {
	case text == "o":
		return "o"
	case text == "-" || text == "–":
		return "–"
	}
	return "•"
}
