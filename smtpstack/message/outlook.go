package message

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/tipring/tipring/smtpstack/tnef"
)

// isTNEF tells Outlook's winmail.dat, which some gateways send under another type.
func isTNEF(t, name string) bool {
	return t == "application/ms-tnef" || t == "application/vnd.ms-tnef" || strings.EqualFold(name, "winmail.dat") && t == "application/octet-stream"
}

// winmail unpacks a TNEF part: its files become attachments like any others. Its body repeats the one beside it most
// of the time, so it counts only where the message has no other words.
func (p *parser) winmail(whole Part, r io.Reader, at place) ([]Text, error) {
	u := &unpacker{p: p, at: at}
	m, err := tnef.Decode(r, tnef.Limits{Text: max(p.textLeft, 1), Attachments: max(p.limits.Parts-p.parts, 1), Depth: max(p.limits.Depth-at.depth, 1)}, u.open)
	if err != nil {
		if fatal := p.partError(err); fatal != nil {
			return nil, fatal
		}
		if u.err != nil {
			return nil, u.err
		}
		if errors.Is(err, tnef.ErrLimit) {
			return nil, fmt.Errorf("%w: in %s", ErrTooManyParts, whole.Name)
		}
		// What came out stays; that something may be missing must not go unnoticed.
		p.note("Outlook's own format (%s) is damaged.", whole.Name)
		whole.Damaged, whole.Unsupported = true, "Outlook's own format (winmail.dat), damaged"
		if err := p.attachment(whole, strings.NewReader("")); err != nil {
			return nil, err
		}
	}
	texts, err := u.message(m, at.forwarded, false)
	if err == nil {
		err = drain(r)
		err = p.drainError(err)
	}
	return texts, err
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// unpacker makes Parts of the attachments in a TNEF stream.
type unpacker struct {
	p   *parser
	at  place
	err error // of the caller's OpenFunc
}

func (u *unpacker) open(a *tnef.Attachment) (io.WriteCloser, error) {
	part := u.part(a)
	a.Tag = part
	if u.p.open == nil {
		return nil, nil
	}
	w, err := u.p.open(part)
	if err != nil {
		u.err = fmt.Errorf("attachment %d: %w", part.Index, err)
		return nil, u.err
	}
	if w == nil {
		return nil, nil
	}
	return markingCloser{markingWriter{w}, w}, nil
}

type markingCloser struct {
	markingWriter
	c io.Closer
}

func (m markingCloser) Close() error {
	if err := m.c.Close(); err != nil {
		return &writeError{err}
	}
	return nil
}

func (u *unpacker) part(a *tnef.Attachment) *Part {
	part := &Part{Index: u.p.parts}
	u.p.parts++
	u.describe(part, a)
	return part
}

// describe fills in what is known of an attachment; its long name and type may come late.
func (u *unpacker) describe(part *Part, a *tnef.Attachment) {
	part.Type = strings.ToLower(a.Type)
	if !plainType.MatchString(part.Type) {
		part.Type = typeByName(a.Name)
	}
	part.Name = cleanFileName(a.Name, part.Type, part.Index)
	part.ContentID, part.Size, part.Damaged = a.ContentID, a.Size, a.Damaged
	part.Inline = a.Inline && strings.HasPrefix(part.Type, "image/")
	if part.Unsupported = unsupported(part.Type); a.Object {
		part.Unsupported = "an object of another program in Outlook's own format"
	}
}

// typesByExtension are the types of documents people attach: a table of our own, since an appliance's system has none.
var typesByExtension = map[string]string{
	".pdf": "application/pdf", ".tif": "image/tiff", ".tiff": "image/tiff", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
	".gif": "image/gif", ".bmp": "image/bmp", ".heic": "image/heic", ".webp": "image/webp", ".svg": "image/svg+xml",
	".txt": "text/plain", ".csv": "text/csv", ".htm": "text/html", ".html": "text/html", ".ics": "text/calendar", ".vcf": "text/vcard",
	".eml": "message/rfc822", ".msg": "application/vnd.ms-outlook", ".rtf": "application/rtf", ".zip": "application/zip",
	".doc": "application/msword", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xls": "application/vnd.ms-excel", ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".ppt": "application/vnd.ms-powerpoint", ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".odt": "application/vnd.oasis.opendocument.text", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
}

// typeByName is the media type that a file's name promises.
func typeByName(name string) string {
	if t := typesByExtension[strings.ToLower(path.Ext(name))]; t != "" {
		return t
	}
	return "application/octet-stream"
}

// message puts a TNEF message's attachments and words into the Message. An embedded one counts as forwarded.
func (u *unpacker) message(m *tnef.Message, forwarded int, embedded bool) ([]Text, error) {
	p := u.p
	if m.Cut {
		p.note("The text is longer than %d bytes and was cut.", p.limits.TextBytes)
	}
	if strings.HasPrefix(strings.ToLower(m.Class), "ipm.schedule.") || strings.HasPrefix(strings.ToLower(m.Class), "ipm.microsoft schedule.") {
		p.note("The mail is a meeting request: only its text can be faxed, not the appointment.")
	}
	if m.HTML != "" {
		p.noteCids(m.HTML)
		p.htmlCut = p.htmlCut || m.Cut
	}
	var texts []Text
	if embedded {
		texts = append(texts, p.forwardedHead([]Field{{"From", m.From}, {"Subject", m.Subject}}, forwarded)...)
	}
	if t := u.words(m, forwarded); t.Text != "" {
		t.fallback = !embedded
		texts = append(texts, t)
	}
	for i := range m.Attachments {
		a := &m.Attachments[i]
		if a.Message != nil {
			inner, err := u.message(a.Message, forwarded+1, true)
			if err != nil {
				return nil, err
			}
			texts = append(texts, inner...)
			continue
		}
		part, ok := a.Tag.(*Part)
		if !ok { // it had no content: let the caller know of it all the same
			part = u.part(a)
			w, err := u.place(part)
			if err != nil {
				return nil, err
			}
			if w != nil {
				if err := w.Close(); err != nil {
					return nil, fmt.Errorf("attachment %d: %w", part.Index, err)
				}
			}
		}
		u.describe(part, a)
		p.msg.Attachments = append(p.msg.Attachments, *part)
	}
	return texts, nil
}

func (u *unpacker) place(part *Part) (io.WriteCloser, error) {
	if u.p.open == nil {
		return nil, nil
	}
	w, err := u.p.open(part)
	if err != nil {
		return nil, fmt.Errorf("attachment %d: %w", part.Index, err)
	}
	return w, nil
}

// words chooses between the forms of a body: plain text, HTML, the words of the RTF.
func (u *unpacker) words(m *tnef.Message, forwarded int) Text {
	t := Text{Forwarded: forwarded}
	switch {
	case strings.TrimSpace(m.Text) != "":
		t.Text = m.Text
	case strings.TrimSpace(m.HTML) != "":
		t.Text, t.HTML = m.HTML, true
	default:
		t.Text = m.RTF
	}
	t.Text = u.p.takeText(strings.ReplaceAll(strings.ReplaceAll(t.Text, "\r\n", "\n"), "\r", "\n"))
	return t
}

// withoutFallbacks drops the bodies of winmail.dat where the same message has other words.
func withoutFallbacks(list []Text) []Text {
	words := map[int]bool{}
	for _, t := range list {
		if !t.fallback && strings.TrimSpace(t.Text) != "" {
			words[t.Forwarded] = true
		}
	}
	kept := list[:0]
	for _, t := range list {
		if !t.fallback || !words[t.Forwarded] {
			t.fallback = false
			kept = append(kept, t)
		}
	}
	return kept
}
