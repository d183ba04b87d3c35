package pdf

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// parsed is a file as the tests read it: strictly, by offsets and lengths, sharing nothing with the writer.
type parsed struct {
	t       testing.TB
	data    []byte
	objects map[int]string // of each object what stands between obj and endobj, or stream
	streams map[int][]byte
	pages   []parsedPage
	info    map[string]string // texts, decoded; the date as it stands
	xmp     string
}

type parsedPage struct {
	width, height float64 // points
	picture       string  // dictionary
	data          []byte
}

var (
	trailerRE = regexp.MustCompile(`^trailer\n<</Size (\d+)/Root 1 0 R/Info (\d+) 0 R/ID\[<([0-9a-f]{32})><([0-9a-f]{32})>\]>>\nstartxref\n(\d+)\n%%EOF\n$`)
	endRE     = regexp.MustCompile(`>>()\n(?:endobj|stream)\n`)
	lengthRE  = regexp.MustCompile(`/Length (\d+)>>$`)
	infoRE    = regexp.MustCompile(`/(Title|Author|Producer)<FEFF((?:[0-9A-F]{4})*)>|/CreationDate\((D:\d{14}(?:Z|[+-]\d\d'\d\d'))\)`)
	pageRE    = regexp.MustCompile(`^<</Type/Page/Parent (\d+) 0 R/MediaBox\[0 0 ([0-9.]+) ([0-9.]+)\]/Contents (\d+) 0 R/Resources<</ProcSet\[/PDF/ImageB\]/XObject<</F (\d+) 0 R>>>>>>$`)
	nodeRE    = regexp.MustCompile(`^<</Type/Pages/(?:Parent (\d+) 0 R/)?Count (\d+)/Kids\[((?:\d+ 0 R\n)+)\]>>$`)
	catalogRE = regexp.MustCompile(`^<</Type/Catalog/Pages (\d+) 0 R/Metadata (\d+) 0 R/OutputIntents\[(\d+) 0 R\]/PageLabels<</Nums\[0<</S/D/St (\d+)>>\]>>>>$`)
	intentRE  = regexp.MustCompile(`/DestOutputProfile (\d+) 0 R>>$`)
	pictureRE = regexp.MustCompile(`^<</Type/XObject/Subtype/Image/Width (\d+)/Height (\d+)/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/CCITTFaxDecode` +
		`/DecodeParms<</K (-1|\d+)/Columns (\d+)/Rows (\d+)(/EndOfLine true)?(/EncodedByteAlign true)?/EndOfBlock false(/BlackIs1 true)?>>/Length \d+>>$`)
)

// parse reads a file and fails the test where anything in it is not as it should be.
func parse(t testing.TB, data []byte) *parsed {
	t.Helper()
	p := &parsed{t: t, data: data, objects: map[int]string{}, streams: map[int][]byte{}, info: map[string]string{}}
	if !bytes.HasPrefix(data, []byte("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")) {
		t.Fatalf("header: %q", data[:min(len(data), 20)])
	}
	at := bytes.LastIndex(data, []byte("trailer\n"))
	if at < 0 {
		t.Fatal("no trailer")
	}
	m := trailerRE.FindSubmatch(data[at:])
	if m == nil || !bytes.Equal(m[3], m[4]) {
		t.Fatalf("trailer: %q", data[at:])
	}
	p.table(p.int(m[1]), p.int(m[5]), at)
	catalog := p.match(catalogRE, 1)
	p.document(p.int(catalog[2]), p.int(m[2]))
	p.nodes(p.int(catalog[1]))
	profile := p.streams[p.int(p.match(intentRE, p.int(catalog[3]))[1])]
	if len(profile) < 128 || string(profile[12:24]) != "mntrGRAYXYZ " || int(profile[3])+int(profile[2])<<8 != len(profile) {
		t.Fatalf("profile: %q", profile)
	}
	return p
}

func (p *parsed) int(b []byte) int {
	p.t.Helper()
	n, err := strconv.Atoi(string(b))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// match is what the expression finds in object n.
func (p *parsed) match(re *regexp.Regexp, n int) [][]byte {
	p.t.Helper()
	m := re.FindSubmatch([]byte(p.objects[n]))
	if m == nil {
		p.t.Fatalf("object %d: %q is not %s", n, p.objects[n], re)
	}
	return m
}

// table reads all objects: each begins where the table says, and the next, or the table, where it ends.
func (p *parsed) table(size, at, end int) {
	p.t.Helper()
	head := fmt.Appendf(nil, "xref\n0 %d\n0000000000 65535 f \n", size)
	if at < 0 || at > len(p.data) || !bytes.HasPrefix(p.data[at:], head) || at+len(head)+20*(size-1) != end {
		p.t.Fatalf("no table of %d objects at %d", size, at)
	}
	starts := map[int]bool{at: true}
	offset := make([]int, size)
	for i := 1; i < size; i++ {
		line := string(p.data[at+len(head)+20*(i-1):][:20])
		if line[10:] != " 00000 n \n" {
			p.t.Fatalf("entry %d: %q", i, line)
		}
		offset[i] = p.int([]byte(line[:10]))
		starts[offset[i]] = true
	}
	if len(starts) != size {
		p.t.Fatal("two objects in one place")
	}
	for i := 1; i < size; i++ {
		if next := p.object(i, offset[i], at); !starts[next] {
			p.t.Fatalf("object %d ends at %d, where nothing begins", i, next)
		}
	}
}

// object reads object n at an offset and returns where it ends.
func (p *parsed) object(n, at, limit int) int {
	p.t.Helper()
	begin := fmt.Sprintf("%d 0 obj\n", n)
	rest := p.data[at:limit]
	if !bytes.HasPrefix(rest, []byte(begin)) {
		p.t.Fatalf("object %d is not at %d", n, at)
	}
	rest = rest[len(begin):]
	size := endRE.FindSubmatchIndex(rest)
	if size == nil {
		p.t.Fatalf("object %d does not end", n)
	}
	p.objects[n] = string(rest[:size[2]])
	at += len(begin) + size[1]
	if rest = rest[size[1]:]; string(p.data[at-7:at]) == "endobj\n" {
		return at
	}
	length := p.int(p.match(lengthRE, n)[1])
	const end = "\nendstream\nendobj\n"
	if length > len(rest) || !bytes.HasPrefix(rest[length:], []byte(end)) {
		p.t.Fatalf("object %d: stream of %d octets does not end there", n, length)
	}
	p.streams[n] = rest[:length]
	return at + length + len(end)
}

// document reads the metadata: both say the same, and the packet is XML.
func (p *parsed) document(metadata, info int) {
	p.t.Helper()
	rest := p.objects[info]
	for _, m := range infoRE.FindAllStringSubmatch(rest, -1) {
		rest = strings.Replace(rest, m[0], "", 1)
		if m[1] == "" {
			p.info["CreationDate"] = m[3]
			continue
		}
		var units []uint16
		for i := 0; i < len(m[2]); i += 4 {
			u, _ := strconv.ParseUint(m[2][i:i+4], 16, 16)
			units = append(units, uint16(u))
		}
		p.info[m[1]] = string(utf16.Decode(units))
	}
	if rest != "<<>>" {
		p.t.Fatalf("info: %q", rest)
	}
	p.xmp = string(p.streams[metadata])
	d := xml.NewDecoder(strings.NewReader(p.xmp))
	texts := map[string]string{}
	var in []string
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			p.t.Fatalf("XMP: %v: %s", err, p.xmp)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			in = append(in, tok.Name.Local)
		case xml.EndElement:
			in = in[:len(in)-1]
		case xml.CharData:
			if len(in) > 0 && in[len(in)-1] == "li" {
				texts[in[len(in)-3]] += string(tok)
			} else if len(in) > 0 {
				texts[in[len(in)-1]] += string(tok)
			}
		}
	}
	for key, name := range map[string]string{"Title": "title", "Author": "creator", "Producer": "Producer"} {
		if p.info[key] != texts[name] {
			p.t.Fatalf("%s is %q in one place and %q in the other", key, p.info[key], texts[name])
		}
	}
	want := strings.NewReplacer("D:", "", "'", "", "-", "", ":", "", "T", "")
	if a, b := want.Replace(p.info["CreationDate"]), want.Replace(texts["CreateDate"]); a != b {
		p.t.Fatalf("date is %q in one place and %q in the other", a, b)
	}
}

// nodes walks the page tree.
func (p *parsed) nodes(root int) {
	p.t.Helper()
	top := p.match(nodeRE, root)
	count := 0
	kids := func(m [][]byte) (list []int) {
		for k := range strings.Lines(string(m[3])) {
			list = append(list, p.int([]byte(strings.TrimSuffix(k, " 0 R\n"))))
		}
		return list
	}
	for _, k := range kids(top) {
		node := p.match(nodeRE, k)
		if p.int(node[1]) != root {
			p.t.Fatalf("node %d has parent %s", k, node[1])
		}
		leaves := kids(node)
		if len(leaves) != p.int(node[2]) || len(leaves) > 8191 {
			p.t.Fatalf("node %d has %d kids, says %s", k, len(leaves), node[2])
		}
		count += len(leaves)
		for _, n := range leaves {
			p.pages = append(p.pages, p.page(n, k))
		}
	}
	if count != p.int(top[2]) || count == 0 {
		p.t.Fatalf("%d pages, the tree says %s", count, top[2])
	}
}

func (p *parsed) page(n, parent int) parsedPage {
	p.t.Helper()
	m := p.match(pageRE, n)
	if p.int(m[1]) != parent {
		p.t.Fatalf("page %d has parent %s", n, m[1])
	}
	w, err1 := strconv.ParseFloat(string(m[2]), 64)
	h, err2 := strconv.ParseFloat(string(m[3]), 64)
	if err1 != nil || err2 != nil || w < 3 || w > 14400 || h < 3 || h > 14400 {
		p.t.Fatalf("page of %s x %s points", m[2], m[3])
	}
	if got, want := string(p.streams[p.int(m[4])]), fmt.Sprintf("q %s 0 0 %s 0 0 cm /F Do Q", m[2], m[3]); got != want {
		p.t.Fatalf("contents: %q", got)
	}
	picture := p.int(m[5])
	size := p.match(pictureRE, picture)
	if !bytes.Equal(size[1], size[4]) || !bytes.Equal(size[2], size[5]) {
		p.t.Fatalf("picture: %s", p.objects[picture])
	}
	return parsedPage{w, h, p.objects[picture], p.streams[picture]}
}
