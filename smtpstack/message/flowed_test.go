package message

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestUnflow(t *testing.T) {
	tests := []struct {
		name, in, want string
		delsp          bool
	}{
		{"a paragraph", "one \ntwo \nthree\nfour\n", "one two three\nfour\n", false},
		{"empty lines", "one\n\ntwo\n", "one\n\ntwo\n", false},
		{"stuffed", " From here\n >not quoted\n  indented\n", "From here\n>not quoted\n indented\n", false},
		{"quotes join", "> one \n> two\n> three\nmine\n", "> one two\n> three\nmine\n", false},
		{"depths do not join", "> one \n>> two \nmine\n", "> one \n>> two \nmine\n", false},
		{"signature", "text \n-- \nJane\n", "text \n-- \nJane\n", false},
		{"without the space", "你 \n好 \n!\n", "你好!\n", true},
		{"no end", "one \ntwo", "one two", false},
		{"ends flowing", "one \n", "one \n", false},
		{"only a space", " \n", "\n", false},
		{"nothing", "", "", false},
	}
	for _, tt := range tests {
		if got := unflow(tt.in, tt.delsp); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	m, _ := parse(t, "From: a@b\nContent-Type: text/plain; Format=Flowed; charset=utf-8; delsp=yes\nContent-Transfer-Encoding: quoted-printable\n\nlong=20\nword\n")
	if m.Body[0].Text != "longword\n" {
		t.Errorf("%q", m.Body[0].Text)
	}
	m, _ = parse(t, "From: a@b\n\nas \nit \nis\n")
	if m.Body[0].Text != "as \nit \nis\n" {
		t.Errorf("not flowed: %q", m.Body[0].Text)
	}
}

// FuzzUnflow: only white space and line ends change.
func FuzzUnflow(f *testing.F) {
	f.Add("> a \n>> b \n-- \n c", true)
	f.Fuzz(func(t *testing.T, s string, delsp bool) {
		if !utf8.ValidString(s) {
			return // bodyText has made it valid before
		}
		letters := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == ' ' || r == '\n' || r == '>' {
					return -1
				}
				return r
			}, s)
		}
		if got := unflow(s, delsp); letters(got) != letters(s) || len(got) > 2*len(s)+2 {
			t.Errorf("%q became %q", s, got)
		}
	})
}
