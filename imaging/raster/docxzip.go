package raster

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// A Word document is a ZIP archive of XML parts (ECMA-376 part 2). All of it comes from strangers: these bounds hold
// before anything is unpacked, and while it is.
const (
	maxZipEntries  = 4096
	maxZipList     = 1 << 20  // octets of the archive's directory
	maxZipRatio    = 300      // unpacked octets for each stored one, beyond the first MB
	maxXML         = 24 << 20 // octets of one XML part, unpacked
	maxXMLDepth    = 160
	maxXMLElements = 400_000 // held at a time
)

const docxName = "Word document"

// docxPackage is an open DOCX.
type docxPackage struct{ files map[string]*zip.File }

// openDOCX reads the archive's directory. Errors are ErrBroken, ErrTooLarge and ErrUnsupported, which names what it is.
func openDOCX(doc Document) (*docxPackage, error) {
	if err := checkZip(doc); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(doc.R, doc.Size)
	if err != nil {
		return nil, broken(docxName, err)
	}
	p := &docxPackage{files: make(map[string]*zip.File, len(z.File))}
	for _, f := range z.File {
		p.files[strings.ToLower(strings.TrimPrefix(f.Name, "/"))] = f
	}
	switch {
	case p.files["word/vbaproject.bin"] != nil:
		return nil, fail(ErrUnsupported, "Word document with macros (DOCM)")
	case p.files["word/document.xml"] == nil:
		return nil, fail(ErrBroken, docxName)
	case p.files["word/document.xml"].Flags&1 != 0:
		return nil, ErrEncrypted
	}
	return p, nil
}

// checkZip finds the end record (APPNOTE 4.3.16) and refuses a directory that is too large to be read.
func checkZip(doc Document) error {
	buf := make([]byte, min(doc.Size, 22+1<<16))
	if _, err := doc.R.ReadAt(buf, doc.Size-int64(len(buf))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("raster: read the document: %w", err)
	}
	i := bytes.LastIndex(buf, []byte("PK\x05\x06"))
	if i < 0 || len(buf)-i < 22 {
		return fail(ErrBroken, docxName)
	}
	end := buf[i:]
	entries, size := binary.LittleEndian.Uint16(end[10:]), binary.LittleEndian.Uint32(end[12:])
	if entries > maxZipEntries || size > maxZipList { // 0xffff and 0xffffffff stand for ZIP64
		return fail(ErrTooLarge, fmt.Sprintf("%s of more than %d parts", docxName, maxZipEntries))
	}
	return nil
}

// read unpacks one part, at most limit octets. A part that is missing is nil.
func (p *docxPackage) read(name string, limit int64) ([]byte, error) {
	f := p.files[strings.ToLower(name)]
	if f == nil {
		return nil, nil
	}
	most := min(limit, 1<<20+maxZipRatio*int64(f.CompressedSize64))
	rd, err := f.Open()
	if err != nil {
		return nil, broken(docxName, err)
	}
	defer rd.Close()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(rd, most+1))
	switch {
	case n > most:
		return nil, fail(ErrTooLarge, docxName+" that unpacks to too much")
	case err != nil:
		return nil, broken(docxName, err)
	}
	return b.Bytes(), nil
}

// xmlNode is an XML element; names are without their namespace: Word's two namespaces differ in nothing else.
type xmlNode struct {
	name  string
	attrs []xml.Attr
	text  string
	kids  []*xmlNode
}

// attr returns an attribute's value by its local name; a nil node has none.
func (n *xmlNode) attr(name string) string {
	if n != nil {
		for _, a := range n.attrs {
			if a.Name.Local == name {
				return a.Value
			}
		}
	}
	return ""
}

// kid returns the element at the end of a path of names, nil if there is none.
func (n *xmlNode) kid(names ...string) *xmlNode {
	for _, name := range names {
		if n == nil {
			return nil
		}
		var found *xmlNode
		for _, k := range n.kids {
			if k.name == name {
				found = k
				break
			}
		}
		n = found
	}
	return n
}

// find returns the first element of that name below n, n included.
func (n *xmlNode) find(name string) *xmlNode {
	if n == nil || n.name == name {
		return n
	}
	for _, k := range n.kids {
		if f := k.find(name); f != nil {
			return f
		}
	}
	return nil
}

// xmlReader reads elements within the bounds.
type xmlReader struct {
	dec  *xml.Decoder
	left int // elements that may still be held
}

func newXMLReader(data []byte) *xmlReader {
	dec := xml.NewDecoder(bytes.NewReader(data))
	dec.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("xml: charset %q", charset) // UTF-8 it is: ECMA-376 part 2, 8.1.4 (UTF-16 nobody writes)
	}
	return &xmlReader{dec: dec}
}

// element reads the rest of an element that has just begun.
func (x *xmlReader) element(start xml.StartElement, depth int) (*xmlNode, error) {
	if depth > maxXMLDepth {
		return nil, fail(ErrBroken, docxName+" nested too deep")
	}
	if x.left--; x.left < 0 {
		return nil, fail(ErrTooLarge, docxName+" with a very large table")
	}
	n := &xmlNode{name: start.Name.Local, attrs: append([]xml.Attr(nil), start.Attr...)}
	for {
		tok, err := x.dec.Token()
		if err != nil {
			return nil, broken(docxName, err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			k, err := x.element(t, depth+1)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, k)
		case xml.CharData:
			n.text += string(t)
		case xml.EndElement:
			return n, nil
		}
	}
}

// each calls f with each element right inside the first element named in; one is held at a time.
func (x *xmlReader) each(in string, f func(*xmlNode) error) error {
	inside := false
	for {
		tok, err := x.dec.Token()
		if errors.Is(err, io.EOF) && inside {
			return nil
		}
		if err != nil {
			return broken(docxName, err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if !inside {
				inside = t.Name.Local == in
				continue
			}
			x.left = maxXMLElements
			n, err := x.element(t, 0)
			if err != nil {
				return err
			}
			if err := f(n); err != nil {
				return err
			}
		case xml.EndElement:
			if inside && t.Name.Local == in {
				return nil
			}
		}
	}
}

// tree reads a whole part; nil if it is missing.
func (p *docxPackage) tree(name string) (*xmlNode, error) {
	data, err := p.read(name, maxXML/4)
	if err != nil || data == nil {
		return nil, err
	}
	x := newXMLReader(data)
	x.left = maxXMLElements
	for {
		tok, err := x.dec.Token()
		if err != nil {
			return nil, broken(docxName, err)
		}
		if t, ok := tok.(xml.StartElement); ok {
			return x.element(t, 0)
		}
	}
}

// relations returns the targets of a part's relationships (ECMA-376 part 2, 9) inside the package.
func (p *docxPackage) relations(part string) (map[string]string, error) {
	dir, file := path.Split(part)
	tree, err := p.tree(dir + "_rels/" + file + ".rels")
	if err != nil || tree == nil {
		return nil, err
	}
	rels := make(map[string]string, len(tree.kids))
	for _, k := range tree.kids {
		if k.attr("TargetMode") == "External" {
			continue
		}
		target := k.attr("Target")
		if !strings.HasPrefix(target, "/") {
			target = path.Join(dir, target)
		}
		rels[k.attr("Id")] = strings.TrimPrefix(path.Clean(target), "/")
	}
	return rels, nil
}
