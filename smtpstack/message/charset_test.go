package message

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzCharset: whatever the label, valid UTF-8 comes out, the same octet by octet as at once.
func FuzzCharset(f *testing.F) {
	f.Add("utf-7", "Hi +AOk- +2D3eAA- 1+-1 +2D0", true)
	f.Add("x", "\xe9", false)
	f.Add("utf-16", "\xff\xfeh\x00", false)
	f.Add("iso-2022-jp", "\x1b$B$\"\x1b(B", true)
	f.Fuzz(func(t *testing.T, name, in string, html bool) {
		kind := "text/plain"
		if html {
			kind = "text/html"
		}
		decode := func(r io.Reader) string {
			b, err := io.ReadAll((&parser{msg: &Message{}}).decodeCharset(name, kind, false, r))
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			return string(b)
		}
		whole := decode(strings.NewReader(in))
		if !utf8.ValidString(whole) {
			t.Errorf("%q: %q gives %q", name, in, whole)
		}
		if len(in) < 2000 {
			if single := decode(iotest.OneByteReader(strings.NewReader(in))); single != whole {
				t.Errorf("%q: %q, octet by octet %q", name, whole, single)
			}
		}
	})
}
