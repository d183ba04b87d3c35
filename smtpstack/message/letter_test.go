package message

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func letter(o *Outgoing) Letter {
	return Letter{Title: "Fax from +49 30 1", Tone: Good, Paragraphs: []string{"2 pages arrived.", "Have a look."},
		Facts: []Fact{{"Caller", "+49 30 1"}, {"Pages", "2"}}, Picture: &Picture{ContentID: o.ContentID("page1"), Alt: "Page 1", Width: 600}, Footer: "fax.example.com"}
}

func TestLetter_Text(t *testing.T) {
	want := "Fax from +49 30 1\n\n2 pages arrived.\n\nHave a look.\n\nCaller: +49 30 1\nPages:  2\n\nfax.example.com\n"
	if got := letter(outgoing()).Text(); got != want {
		t.Errorf("%q", got)
	}
}

// TestWriteTo_Letter writes the whole thing and reads it back: text, HTML, picture, document.
func TestWriteTo_Letter(t *testing.T) {
	o := outgoing()
	o.Fax = &Fax{Pages: 2, Caller: "+49 30 1", CallerName: "Müller", CallID: "call-7"}
	l := letter(o)
	if err := o.SetLetter(nil, l, &File{Name: "page1.png", Type: "image/png", Open: content("\x89PNG")}, "Page 1", 600); err != nil {
		t.Fatal(err)
	}
	page := o.HTML
	o.Attachments = []File{{Name: "fax.tif", Type: "image/tiff", Open: content("II*")}}
	wire := write(t, o)
	f := &files{}
	m, err := Parse(strings.NewReader(wire), Limits{}, f.open)
	if err != nil || len(m.Notes) != 0 {
		t.Fatalf("%v, %q", err, m.Notes)
	}
	if text, all := m.PlainText(); text != l.Text() || !all {
		t.Errorf("text %q", text)
	}
	if len(m.Attachments) != 2 || !m.Attachments[0].Inline || m.Attachments[0].ContentID != "page1.job-42.notice@fax.example.com" || m.Attachments[1].Inline {
		t.Errorf("attachments %+v", m.Attachments)
	}
	for name, want := range map[string]string{"Content-Class": "fax", "X-Faxnumberofpages": "2", "X-Callingtelephonenumber": "+49 30 1",
		"X-Voicemessagesendername": "Müller", "X-Callid": "call-7", "X-Attachmentorder": "fax.tif"} {
		if got := m.Header.Text(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if !strings.Contains(page, `src="cid:page1.job-42.notice@fax.example.com"`) || !strings.Contains(wire, `multipart/related; type="text/html"`) {
		t.Errorf("the picture is not shown: %s", page)
	}
}

// TestLetter_Private: without the picture and the document nothing of the fax is in the mail.
func TestLetter_Private(t *testing.T) {
	o := outgoing()
	if err := o.SetLetter(nil, letter(o), nil, "", 0); err != nil || strings.Contains(o.HTML, "<img") || strings.Contains(o.HTML, "cid:") || len(o.Inline) != 0 {
		t.Errorf("%v: %s", err, o.HTML)
	}
	if wire := write(t, o); strings.Contains(wire, "related") || strings.Contains(wire, "image/") {
		t.Errorf("%s", wire)
	}
}

// TestLetter_NoHTMLInjection: whatever a stranger puts in, the page has the same elements, and no attribute of theirs.
func TestLetter_NoHTMLInjection(t *testing.T) {
	shape := func(l Letter) string {
		page, err := (*LetterTemplate)(nil).Render(l)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for z := html.NewTokenizer(strings.NewReader(page)); ; {
			switch z.Next() {
			case html.ErrorToken:
				return b.String()
			case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken, html.CommentToken:
				tok := z.Token()
				b.WriteString(tok.Type.String() + " " + tok.Data)
				for _, a := range tok.Attr {
					b.WriteString(" " + a.Key)
				}
				b.WriteByte('\n')
			}
		}
	}
	want := shape(letter(outgoing()))
	for _, evil := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onload='x`, `{{.Title}}`, `</td></table>`, "<!--", `javascript:alert(1)`, "\x00<b>", "&lt;<a href=//evil>"} {
		l := letter(outgoing())
		l.Title, l.Footer, l.Paragraphs, l.Picture.Alt, l.Language = evil, evil, []string{evil, evil}, evil, evil
		l.Facts = []Fact{{evil, evil}, {evil, evil}}
		if got := shape(l); got != want {
			t.Errorf("%q changed the page:\n%s", evil, got)
		}
	}
}

func TestLetterTemplate(t *testing.T) {
	lt, err := ParseLetterTemplate(`<p>{{.Title}} {{.Color}}{{range .Facts}}<i>{{.Name}}{{end}}{{with .Picture}}<img src="{{.Source}}">{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := lt.Render(Letter{Title: "<b>"}); err != nil || page != "<p>&lt;b&gt; #2b579a" {
		t.Errorf("%q, %v", page, err)
	}
	for _, src := range []string{"{{", "{{.Nobody}}", "{{.Picture.Source}}", "{{range .Facts}}{{.Nobody}}{{end}}", `{{printf "%2000000d" 1}}`, `<a href="{{if .Title}}'{{end}}>`} {
		if _, err := ParseLetterTemplate(src); !errors.Is(err, ErrLetter) {
			t.Errorf("%q: %v", src, err)
		}
	}
	if _, err := lt.Render(Letter{Picture: &Picture{ContentID: `x" onerror="y@z`}}); !errors.Is(err, ErrLetter) {
		t.Errorf("Content-ID: %v", err)
	}
}

func TestWriteTo_RefusesRich(t *testing.T) {
	for name, change := range map[string]func(*Outgoing){
		"Content-ID":    func(o *Outgoing) { o.Inline[0].ContentID = "a@b>\r\nBcc: x" },
		"second From":   func(o *Outgoing) { o.Extra = []Field{{"from", "x@y"}} },
		"Bcc":           func(o *Outgoing) { o.Extra = []Field{{"Bcc", "x@y"}} },
		"Content-Type":  func(o *Outgoing) { o.Extra = []Field{{"Content-type", "text/html"}} },
		"own loop mark": func(o *Outgoing) { o.Extra = []Field{{"X-Tipring-Loop", "x"}} },
	} {
		o := outgoing()
		o.HTML = "<p>"
		o.Inline = []File{{Name: "x.png", Type: "image/png", ContentID: o.ContentID("x"), Open: content("x")}}
		change(o)
		if _, err := o.WriteTo(io.Discard); !errors.Is(err, ErrField) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPeer_PythonStructure: the email package of Python finds the text, the HTML, its picture and the document, each in its place.
func TestPeer_PythonStructure(t *testing.T) {
	python := debianPython(t, "email", "python3")
	o := outgoing()
	l := letter(o)
	page, err := (*LetterTemplate)(nil).Render(l)
	if err != nil {
		t.Fatal(err)
	}
	o.Text, o.HTML = l.Text(), page
	o.Inline = []File{{Name: "page1.png", Type: "image/png", ContentID: l.Picture.ContentID, Open: content("\x89PNG")}}
	o.Attachments = []File{{Name: "fax.pdf", Type: "application/pdf", Open: content("%PDF")}}
	cmd := exec.Command(python, "-c", `
import sys, email, email.policy
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
assert not any(p.defects for p in m.walk()), [p.defects for p in m.walk()]
print([p.get_content_type() for p in m.walk()])
print(m.get_body(("plain",)).get_content().split("\n")[0], m.get_body(("html",)).get_content().startswith("<!DOCTYPE html>"))
print([a.get_filename() for a in m.iter_attachments()], [p["Content-ID"] for p in m.walk() if p["Content-ID"]])
`)
	cmd.Stdin = strings.NewReader(write(t, o))
	out, err := cmd.CombinedOutput()
	want := `['multipart/mixed', 'multipart/alternative', 'text/plain', 'multipart/related', 'text/html', 'image/png', 'application/pdf']
Fax from +49 30 1 True
['fax.pdf'] ['<page1.job-42.notice@fax.example.com>']
`
	if err != nil || string(out) != want {
		t.Errorf("%v: got\n%swant\n%s", err, out, want)
	}
}

// tagCount counts what a browser would take for an element or a comment.
func tagCount(t *testing.T, l Letter) (n int) {
	page, err := (*LetterTemplate)(nil).Render(l)
	if err != nil {
		t.Fatal(err)
	}
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return n
		case html.StartTagToken, html.SelfClosingTagToken, html.CommentToken:
			n++
		}
	}
}

func FuzzLetter(f *testing.F) {
	f.Add("title", "<p>\"", "a'b")
	f.Fuzz(func(t *testing.T, title, para, value string) {
		if len(title)+len(para)+len(value) > 5000 {
			return
		}
		l := Letter{Title: title, Paragraphs: []string{para}, Facts: []Fact{{value, value}}, Picture: &Picture{ContentID: "a@b", Alt: value}}
		plain := Letter{Title: "t", Paragraphs: []string{"p"}, Facts: []Fact{{"n", "v"}}, Picture: &Picture{ContentID: "a@b", Alt: "x"}}
		if got, want := tagCount(t, l), tagCount(t, plain); got != want {
			t.Errorf("%d tags instead of %d from %+v", got, want, l)
		}
	})
}
