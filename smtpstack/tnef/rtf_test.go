package tnef

import (
	"encoding/hex"
	"strings"
	"testing"
)

// TestDecompress_Standard are the two examples of [MS-OXRTFCP] 4.
func TestDecompress_Standard(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0", "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"},
		{"1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0", "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"},
	} {
		in, err := hex.DecodeString(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if got, cut := decompress(in, 1000); string(got) != tt.want || cut {
			t.Errorf("%q, cut %v, want %q", got, cut, tt.want)
		}
		if got, cut := decompress(in, 10); string(got) != tt.want[:10] || !cut {
			t.Errorf("first ten: %q, cut %v", got, cut)
		}
		in[len(in)-5] ^= 1
		if _, cut := decompress(in, 1000); !cut {
			t.Error("a wrong checksum was not seen")
		}
	}
}

func TestDecompress_Others(t *testing.T) {
	long := strings.Repeat("abcdefgh ijklm {\\par nopq} ", 700) + "\x00\xff"
	if got, cut := decompress(compressRTF(long), 1<<20); string(got) != long || cut {
		t.Errorf("%d octets of %d, cut %v", len(got), len(long), cut)
	}
	if got, cut := decompress(rtfHeader(rtfUncompressed, 5, []byte("{\\rtf"), 0), 100); string(got) != "{\\rtf" || cut {
		t.Errorf("uncompressed: %q, %v", got, cut)
	}
	for name, in := range map[string][]byte{"short": make([]byte, 15), "unknown": rtfHeader(7, 1, []byte("x"), 0),
		"claims more": rtfHeader(rtfUncompressed, 50, []byte("x"), 0), "no end": compressRTF("hello world, hello")[:30]} {
		if _, cut := decompress(in, 100); !cut {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestRTFText(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{\rtf1\ansi hello\par world}`, "hello\nworld"},
		{`{\rtf1\ansi{\fonttbl{\f0\fnil Arial;}}{\colortbl ;\red0;}\f0\fs20 a\b b\b0  c}`, "ab c"},
		{`{\rtf1\ansi\ansicpg1251 \'cf\'f0}`, "Пр"},
		{`{\rtf1\ansi\ansicpg932 \'82\'a0}`, "あ"},
		{`{\rtf1\uc1 gr\u252?\u223\'3fe}`, "grüße"},
		{`{\rtf1\uc2 \u8364??x{\uc0\u65 }\u66??}`, "€xAB"},
		{`{\rtf1 \u-10179?\u-8704?}`, "😀"},
		{`{\rtf1 a\tab b\line\{c\}\\ \~d\_e}`, "a\tb\n{c}\\ \u00a0d\u2011e"},
		{`{\rtf1{\*\generator secret;}{\*\unknown x}{\info{\author y}}shown}`, "shown"},
		{"{\\rtf1{\\pict\\bin4 {{}}x}after}", "after"},
		{"{\\rtf1 one\r\ntwo}", "onetwo"},
		{`{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 Hello{\*\htmltag72 </p>}\htmlrtf\par}\htmlrtf0 }`, "Hello"},
		{`{\rtf1 unclosed {\b group`, "unclosed group"},
		{`}}}{\rtf1 x}`, "x"},
		{`\`, ""}, {`\'`, ""}, {`\'f`, ""}, {`{\rtf1\u}`, ""}, {`\bin99999999999 x`, ""},
	}
	for _, tt := range tests {
		if got := rtfText([]byte(tt.in), 1000); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := rtfText([]byte(strings.Repeat("{", 10000)+"deep"+strings.Repeat("}", 10000)+"out"), 1000); got != "deepout" {
		t.Errorf("deep groups: %q", got)
	}
}

func FuzzRTF(f *testing.F) {
	f.Add([]byte(`{\rtf1\ansi\ansicpg932 \'82\'a0\u8364?{\*\x y}\bin3 abc\par}`))
	f.Add(compressRTF("hello hello hello"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if rtf, _ := decompress(in, 3000); len(rtf) > 3000 {
			t.Fatalf("%d octets", len(rtf))
		}
		if s := rtfText(in, 1000); len(s) > 3*len(in)+1000 {
			t.Fatalf("%d octets of text out of %d", len(s), len(in))
		}
	})
}
