package message

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// describe is what Parse made of a mail, for people to read.
func describe(m *Message, f *files) string {
	var b strings.Builder
	fmt.Fprintf(&b, "subject %q\nmessage-id %q\n", m.Subject, m.MessageID)
	if m.From != nil {
		fmt.Fprintf(&b, "from %q <%s>\n", m.From.Name, m.From.Address)
	}
	v := CheckLoop(m.Header, "sender@example.com")
	fmt.Fprintf(&b, "loop fax=%v answer=%v rule=%q\n", v.Fax, v.Answer, v.Rule)
	for _, t := range m.Body {
		fmt.Fprintf(&b, "text html=%v forwarded=%d %q\n", t.HTML, t.Forwarded, t.Text)
	}
	for i, a := range m.Attachments {
		fmt.Fprintf(&b, "attachment %q %s size=%d inline=%v damaged=%v profile=%q unsupported=%q sha256=%x\n", a.Name, a.Type, a.Size, a.Inline, a.Damaged,
			a.FaxProfile, a.Unsupported, sha256.Sum256(f.content[i].Bytes()))
	}
	for _, s := range m.Omitted() {
		fmt.Fprintf(&b, "omitted %s\n", s)
	}
	for _, s := range m.Notes {
		fmt.Fprintf(&b, "note %s\n", s)
	}
	if p, ok := m.FaxImage(); ok {
		fmt.Fprintf(&b, "fax image %s\n", p.Name)
	}
	return b.String()
}

func TestFixtures(t *testing.T) {
	list, err := filepath.Glob("testdata/mail/*.eml")
	if err != nil || len(list) < 12 {
		t.Fatalf("%d fixtures, %v", len(list), err)
	}
	for _, name := range list {
		mail, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f := &files{}
		m, err := Parse(bytes.NewReader(bytes.ReplaceAll(mail, []byte("\n"), []byte("\r\n"))), Limits{}, f.open)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden := strings.TrimSuffix(name, ".eml") + ".golden"
		got := describe(m, f)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%s: %v\ngot\n%swant\n%s", name, err, got, want)
		}
	}
}
