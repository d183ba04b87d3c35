package t30test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tipring/tipring/t30"
)

// errDiskFull is what a device with disk=full gets for its pages.
var errDiskFull = errors.New("t30test: no space left")

// Device is the fax terminal under test as a script sets it up: a session to be run, and what its ends hold. It is good for
// one run.
type Device struct {
	Session   t30.Session
	Sink      *Sink
	Documents []*Document

	pages []Page         // of all documents, in order
	sent  map[int][]byte // the tester's pages, as sent last
}

// Device sets up the device under test.
func (s *Script) Device() *Device {
	spec := s.device
	limit, err := limits(spec)
	if err != nil {
		panic(err) // ParseScript has taken it
	}
	d := &Device{Sink: &Sink{WantRTC: true, SyncDelay: spec.store, FinishDelay: spec.store}, sent: map[int][]byte{}}
	if spec.full {
		d.Sink.WriteErr, d.Sink.SyncErr, d.Sink.FinishErr = errDiskFull, errDiskFull, errDiskFull
	}
	d.Session = t30.Session{
		Me: t30.Station{ID: spec.id, Subaddress: spec.sub, Password: spec.sid}, Limit: limit, NoECM: spec.noECM,
		NeedPassword: spec.need,
	}
	if !spec.noReceive {
		d.Session.Sink = d.Sink
	}
	if spec.poll {
		d.Session.Poll = &t30.Poll{Selective: spec.sep, Password: spec.pwd}
	}
	for i, doc := range spec.docs {
		f, err := pageFormat(doc.format)
		if err != nil {
			panic(err)
		}
		one := &Document{}
		for n := range doc.pages {
			one.Pages = append(one.Pages, Page{Format: f, Data: MakePage(uint64(i*100+n+1), doc.lines)})
		}
		d.Documents, d.pages = append(d.Documents, one), append(d.pages, one.Pages...)
	}
	if len(d.Documents) > 0 {
		d.Session.Send = Docs(d.Documents...)
	}
	return d
}

// setNames are the words for a device's limits.
var (
	schemeNames     = map[string]t30.Scheme{"v27ter": t30.V27ter, "v29": t30.V29, "v17": t30.V17}
	codingNames     = map[string]t30.Coding{"MH": t30.MH, "MR": t30.MR, "MMR": t30.MMR, "JBIG": t30.JBIG}
	widthNames      = map[string]t30.Width{"A4": t30.WidthA4, "B4": t30.WidthB4, "A3": t30.WidthA3}
	resolutionNames = map[string]t30.Resolution{
		"standard": t30.Standard, "fine": t30.Fine, "superfine": t30.Superfine, "R16": t30.R16,
		"200": t30.Res200, "300": t30.Res300, "400": t30.Res400, "600": t30.Res600,
	}
)

// setOf joins words of a table to a set.
func setOf[T ~uint8 | ~uint16](words []string, table map[string]T) (set T, err error) {
	for _, w := range words {
		v, ok := table[w]
		if !ok {
			return 0, fmt.Errorf("%q is not known here", w)
		}
		set |= v
	}
	return set, nil
}

// limits makes the session's limits.
func limits(d deviceSpec) (c t30.Capabilities, err error) {
	c.MaxRate = d.rate
	schemes, e1 := setOf(d.schemes, schemeNames)
	codings, e2 := setOf(d.codings, codingNames)
	resolutions, e3 := setOf(d.resolutions, resolutionNames)
	widths, e4 := setOf(d.widths, widthNames)
	c.Schemes, c.Codings, c.Resolutions, c.Widths = t30.Schemes(schemes), t30.Codings(codings), t30.Resolutions(resolutions), t30.Widths(widths)
	return c, errors.Join(e1, e2, e3, e4)
}

// pageFormat is the format of a document's pages: standard MH A4 unless words say otherwise.
func pageFormat(words []string) (t30.PageFormat, error) {
	f := t30.PageFormat{Resolution: t30.Standard, Width: t30.WidthA4, Coding: t30.MH}
	for _, w := range words {
		if r, ok := resolutionNames[w]; ok {
			f.Resolution = r
		} else if c, ok := codingNames[w]; ok {
			f.Coding = c
		} else if x, ok := widthNames[w]; ok {
			f.Width = x
		} else {
			return f, fmt.Errorf("a document has no %q", w)
		}
	}
	return f, nil
}

// maxCode is above all outcome codes.
const maxCode = 100

// knownOutcome tells whether text names an outcome.
func knownOutcome(text string) bool {
	for c := range t30.Code(maxCode) {
		if s := c.String(); s == text && !strings.HasPrefix(s, "code ") {
			return true
		}
	}
	return false
}

// Judge holds the report of a call that was played against the script's = lines.
func (s *Script) Judge(rep t30.Report, d *Device) error {
	var errs []error
	for _, w := range s.wants {
		if seen := w.judge(rep, d); seen != "" {
			errs = append(errs, fmt.Errorf("%s:%d: expected %q, seen: %s", s.Name, w.line, w.text, seen))
		}
	}
	return errors.Join(errs...)
}

// judge says what was seen in place of what was wanted, "" if it was.
func (w want) judge(rep t30.Report, d *Device) string {
	switch w.what {
	case "outcome":
		plain, not := strings.CutPrefix(w.arg, "not ")
		if (rep.Code.String() == plain) == not {
			return fmt.Sprintf("%v (%s)", rep.Code, rep.Text)
		}
	case "received":
		return w.judgeReceived(rep, d)
	case "sent":
		return w.judgeSent(rep, d)
	case "format":
		return w.judgeFormat(rep)
	case "modulation":
		if got := rep.Modulation.String(); got != w.arg {
			return got
		}
	case "remote":
		r := rep.Remote
		if got := map[string]string{"id": r.ID, "sub": r.Subaddress, "sep": r.Selective, "pwd": r.Password}[w.key]; got != w.arg {
			return fmt.Sprintf("%q", got)
		}
	}
	return ""
}

// judgeFormat holds the last page's format against the words; its length is not judged.
func (w want) judgeFormat(rep t30.Report) string {
	want, err := pageFormat(w.words)
	if err != nil {
		return err.Error()
	}
	got := rep.Format
	want.Length = got.Length
	if got != want {
		return fmt.Sprintf("%v %v %v", got.Resolution, got.Coding, got.Width)
	}
	return ""
}

func (w want) judgeReceived(rep t30.Report, d *Device) string {
	kept := d.Sink.Kept()
	if len(kept) != len(w.list) || rep.Received != len(w.list) {
		return fmt.Sprintf("%d pages kept, %d reported", len(kept), rep.Received)
	}
	for i, n := range w.list {
		if want := bytes.TrimRight(d.sent[n], "\x00"); !bytes.Equal(kept[i], want) {
			return fmt.Sprintf("page %d kept with %d octets, not as it was sent with %d", n, len(kept[i]), len(want))
		}
	}
	return ""
}

func (w want) judgeSent(rep t30.Report, d *Device) string {
	var got []int
	at := 0
	for _, doc := range d.Documents {
		for _, n := range doc.ConfirmedPages() {
			got = append(got, at+n)
		}
		at += len(doc.Pages)
	}
	if len(got) != len(w.list) || rep.Sent != len(w.list) {
		return fmt.Sprintf("pages %v confirmed, %d reported", got, rep.Sent)
	}
	for i, n := range w.list {
		if got[i] != n {
			return fmt.Sprintf("pages %v confirmed", got)
		}
	}
	return ""
}
