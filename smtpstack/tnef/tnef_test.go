package tnef

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// keep is an OpenFunc that keeps contents as the attachments' tags.
func keep(a *Attachment) (io.WriteCloser, error) {
	b := new(bytes.Buffer)
	a.Tag = b
	return nopCloser{b}, nil
}

func contentOf(a Attachment) string {
	if b, ok := a.Tag.(*bytes.Buffer); ok {
		return b.String()
	}
	return ""
}

func sample() []byte {
	inner := newWriter()
	inner.attr(1, attMsgProps, props(uni(propSubject, "Inner"), uni(propBody, "inner words")))
	inner.file("IN.TXT", "inner.txt", []byte("in"))
	w := newWriter()
	w.attr(1, attMessageClass, []byte("IPM.Microsoft Mail.Note\x00"))
	w.attr(1, attSubject, []byte("Gr\xfc\xdfe\x00"))
	w.attr(1, attBody, []byte("plain \x80\x00"))
	w.attr(1, attMsgProps, props(
		uni(0x8005, "a named one"), prop{0x0E06, 0x0040, make([]byte, 8)}, prop{0x0E1B, typeBool, []byte{1, 0}},
		i4(propCpid, 65001), bin(propHTML, []byte("<p>gr\xc3\xbc\xc3\x9fe</p>")), uni(propSenderName, "Jane Doe"),
		bin(propRTF, compressRTF(`{\rtf1\ansi\ansicpg1252\pard hello w\'f6rld\par}`))))
	w.file("REPORT~1.PDF", "Report für Jane.pdf", bytes.Repeat([]byte("%PDF\x00\xff"), 2000), str8(propMimeTag, "application/pdf"))
	w.file("LOGO.PNG", "logo.png", []byte("\x89PNG"), str8(propContentID, "<logo@x>"), i4(propAttachFlags, 4))
	w.object("Inner", iidMessage, inner.Bytes())
	w.object("Sheet", []byte{0x0B, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46}, []byte("\xd0\xcf\x11\xe0"))
	w.file("EMPTY.TXT", "empty.txt", nil)
	return w.Bytes()
}

func TestDecode(t *testing.T) {
	m, err := Decode(bytes.NewReader(sample()), Limits{}, keep)
	if err != nil {
		t.Fatal(err)
	}
	if m.Class != "IPM.Microsoft Mail.Note" || m.Subject != "Grüße" || m.Text != "plain €" || m.HTML != "<p>grüße</p>" || m.RTF != "hello wörld" || m.From != "Jane Doe" || m.Cut {
		t.Errorf("%+v", m)
	}
	if len(m.Attachments) != 5 {
		t.Fatalf("%d attachments: %+v", len(m.Attachments), m.Attachments)
	}
	type att struct {
		name, typ, cid  string
		size            int64
		inline, object  bool
		message, broken bool
	}
	for i, want := range []att{
		{"Report für Jane.pdf", "application/pdf", "", 12000, false, false, false, false},
		{"logo.png", "", "logo@x", 4, true, false, false, false},
		{"Inner", "", "", 0, false, false, true, false},
		{"Sheet", "", "", 4, false, true, false, false},
		{"empty.txt", "", "", 0, false, false, false, false},
	} {
		a := m.Attachments[i]
		if got := (att{a.Name, a.Type, a.ContentID, a.Size, a.Inline, a.Object, a.Message != nil, a.Damaged}); got != want {
			t.Errorf("attachment %d: %+v, want %+v", i, got, want)
		}
	}
	if got := contentOf(m.Attachments[0]); got != strings.Repeat("%PDF\x00\xff", 2000) {
		t.Errorf("content of %d octets", len(got))
	}
	if contentOf(m.Attachments[3]) != "\xd0\xcf\x11\xe0" {
		t.Error("object")
	}
	inner := m.Attachments[2].Message
	if inner.Subject != "Inner" || inner.Text != "inner words" || len(inner.Attachments) != 1 || contentOf(inner.Attachments[0]) != "in" {
		t.Errorf("embedded %+v", inner)
	}
}

func TestDecode_DataAmongProperties(t *testing.T) {
	w := newWriter()
	w.attr(2, attAttachRendData, make([]byte, 14))
	w.attr(2, attAttachment, props(uni(propLongName, "a.txt"), bin(propAttachData, []byte("content"))))
	m, err := Decode(bytes.NewReader(w.Bytes()), Limits{}, keep)
	if err != nil || len(m.Attachments) != 1 || contentOf(m.Attachments[0]) != "content" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestDecode_CutAnywhere: whatever is missing at the end, nothing comes out whole that is not.
func TestDecode_CutAnywhere(t *testing.T) {
	all := sample()
	for n := range len(all) {
		if n > 700 && n < len(all)-600 && n%97 != 0 {
			continue
		}
		m, err := Decode(bytes.NewReader(all[:n]), Limits{}, keep)
		if n < 4 && !errors.Is(err, ErrFormat) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		for _, a := range m.Attachments {
			if a.Name == "Report für Jane.pdf" && a.Size != 12000 && !a.Damaged {
				t.Fatalf("cut at %d: %+v", n, a)
			}
			if a.Name == "REPORT~1.PDF" && a.Size != 12000 && a.Size > 0 && !a.Damaged {
				t.Fatalf("cut at %d: %+v", n, a)
			}
		}
		if err == nil {
			// Only between two attributes can a stream end without anybody seeing it.
			if again, err := Decode(bytes.NewReader(append(append([]byte(nil), all[:n]...), 1)), Limits{}, keep); !errors.Is(err, ErrDamaged) {
				t.Fatalf("cut at %d: %+v, %v", n, again, err)
			}
		}
	}
}

func TestDecode_Damage(t *testing.T) {
	flip := func(find string, change byte) []byte {
		b := sample()
		b[bytes.Index(b, []byte(find))] ^= change
		return b
	}
	m, err := Decode(bytes.NewReader(flip("%PDF", 1)), Limits{}, keep)
	if err != nil || !m.Attachments[0].Damaged || m.Attachments[1].Damaged {
		t.Errorf("wrong checksum: %v, %+v", err, m.Attachments)
	}
	w := newWriter()
	w.attr(1, attMsgProps, []byte{200, 0, 0, 0, 0x1F, 0, 0, 0x10, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F})
	w.file("A.TXT", "a.txt", []byte("still here"))
	m, err = Decode(bytes.NewReader(w.Bytes()), Limits{}, keep)
	if !errors.Is(err, ErrDamaged) || len(m.Attachments) != 1 || contentOf(m.Attachments[0]) != "still here" || m.Attachments[0].Damaged {
		t.Errorf("damaged properties: %v, %+v", err, m)
	}
}

var errDisk = errors.New("disk full")

type failing struct{ onClose bool }

func (f failing) Write(b []byte) (int, error) {
	if f.onClose {
		return len(b), nil
	}
	return 0, errDisk
}
func (f failing) Close() error { return errDisk }

func TestDecode_ErrorsOfTheCaller(t *testing.T) {
	for _, open := range []OpenFunc{
		func(*Attachment) (io.WriteCloser, error) { return nil, errDisk },
		func(*Attachment) (io.WriteCloser, error) { return failing{}, nil },
		func(*Attachment) (io.WriteCloser, error) { return failing{onClose: true}, nil },
	} {
		if _, err := Decode(bytes.NewReader(sample()), Limits{}, open); !errors.Is(err, errDisk) {
			t.Errorf("%v", err)
		}
	}
	for _, n := range []int{0, 3, 8, 20, 100, 1000, 5000} {
		r := io.MultiReader(bytes.NewReader(sample()[:n]), iotest{})
		if _, err := Decode(r, Limits{}, keep); !errors.Is(err, errDisk) {
			t.Errorf("read error at %d: %v", n, err)
		}
	}
	if m, err := Decode(bytes.NewReader(sample()), Limits{}, nil); err != nil || m.Attachments[0].Size != 12000 {
		t.Errorf("nobody wants the contents: %v", err)
	}
}

type iotest struct{}

func (iotest) Read([]byte) (int, error) { return 0, errDisk }

func TestDecode_Limits(t *testing.T) {
	nested := newWriter().Bytes()
	for range 8 {
		w := newWriter()
		w.object("x", iidMessage, nested)
		nested = w.Bytes()
	}
	many := newWriter()
	for range 30 {
		many.file("A", "a", nil)
	}
	multi := newWriter() // four thousand million values of nothing
	multi.attr(1, attMsgProps, append([]byte{1, 0, 0, 0, 0x02, 0x11, 0, 0x10, 0xFF, 0xFF, 0xFF, 0xFF}, make([]byte, 40000)...))
	long := newWriter()
	long.attr(1, attMsgProps, props(uni(propBody, strings.Repeat("x", 5000)), bin(propRTF, compressRTF(strings.Repeat("x", 90000)))))
	for name, tt := range map[string]struct {
		in     []byte
		limits Limits
		want   error
	}{
		"depth":       {nested, Limits{Depth: 7}, ErrLimit},
		"depth fits":  {nested, Limits{Depth: 8}, nil},
		"attachments": {many.Bytes(), Limits{Attachments: 29}, ErrLimit},
		"just enough": {many.Bytes(), Limits{Attachments: 30}, nil},
		"properties":  {many.Bytes(), Limits{Properties: 50}, ErrLimit},
		"multiple":    {multi.Bytes(), Limits{Properties: 2000}, ErrLimit},
	} {
		if _, err := Decode(bytes.NewReader(tt.in), tt.limits, keep); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	m, err := Decode(bytes.NewReader(long.Bytes()), Limits{Text: 1000}, keep)
	if err != nil || !m.Cut || len(m.Text) != 500 || len(m.RTF) > 1000 {
		t.Errorf("%v, cut %v, %d, %d", err, m.Cut, len(m.Text), len(m.RTF))
	}
}

// TestPeer_TNEF: Debian's tnef program takes the same files out of what the tests' writer makes.
func TestPeer_TNEF(t *testing.T) {
	prog, err := exec.LookPath("tnef")
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal("tnef is not installed")
		}
		t.Skip("tnef is not installed")
	}
	w := newWriter()
	want := map[string]string{}
	for i, name := range []string{"fax.tif", "letter.pdf", "empty.txt", "table.csv"} {
		data := strings.Repeat(name+"\x00\xff", i*3000)
		w.file(strings.ToUpper(name), name, []byte(data), str8(propMimeTag, "application/octet-stream"))
		want[name] = data
	}
	rtf := `{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\pard ` + strings.Repeat(`hello hello world\par `, 300) + `}`
	w.attr(1, attMsgProps, props(bin(propRTF, compressRTF(rtf))))
	dir := t.TempDir()
	path := filepath.Join(dir, "winmail.dat")
	if err := os.WriteFile(path, w.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(prog, "--save-body", "--directory", dir, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m, err := Decode(bytes.NewReader(w.Bytes()), Limits{}, keep)
	if err != nil || len(m.Attachments) != len(want) {
		t.Fatalf("%v, %+v", err, m)
	}
	for _, a := range m.Attachments {
		theirs, err := os.ReadFile(filepath.Join(dir, a.Name))
		if err != nil || string(theirs) != contentOf(a) || string(theirs) != want[a.Name] {
			t.Errorf("%s: %v, theirs %d octets, ours %d", a.Name, err, len(theirs), a.Size)
		}
	}
	theirs, err := os.ReadFile(filepath.Join(dir, "message.rtf"))
	if ours, cut := decompress(compressRTF(rtf), 1<<20); err != nil || cut || !bytes.Equal(theirs, ours) || string(ours) != rtf {
		t.Errorf("%v: their RTF has %d octets, ours %d, cut %v", err, len(theirs), len(ours), cut)
	}
}

func FuzzDecode(f *testing.F) {
	small := newWriter()
	small.attr(1, attMsgProps, props(uni(propBody, "x"), bin(propRTF, compressRTF("{\\rtf1 x}")), uni(0x8001, "n")))
	small.file("A", "b", []byte("c"), i4(propAttachFlags, 4))
	small.object("m", iidMessage, newWriter().Bytes())
	f.Add(small.Bytes())
	f.Add(newWriter().Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		total := 0
		limits := Limits{Text: 2000, Attachments: 10, Depth: 3, Properties: 500}
		m, _ := Decode(bytes.NewReader(in), limits, func(a *Attachment) (io.WriteCloser, error) {
			total++
			return keep(a)
		})
		if m == nil || total > limits.Attachments {
			t.Fatalf("%v, %d attachments", m, total)
		}
		checkMessage(t, m, len(in), 0)
	})
}

func checkMessage(t *testing.T, m *Message, size, depth int) {
	if depth > 3 || len(m.Text) > 6000 || len(m.HTML) > 6000 || len(m.RTF) > 8000 {
		t.Fatalf("depth %d, %d, %d, %d", depth, len(m.Text), len(m.HTML), len(m.RTF))
	}
	for _, a := range m.Attachments {
		if a.Size > int64(size) || len(contentOf(a)) > size {
			t.Fatalf("%d octets out of %d", a.Size, size)
		}
		if a.Message != nil {
			checkMessage(t, a.Message, size, depth+1)
		}
	}
}
