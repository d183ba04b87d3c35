package gateway

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/smtpstack/message"
)

// Caller is the best name that a received fax has for who sent it.
func Caller(f queue.Fax) string {
	switch {
	case f.RemoteID != "" && f.Caller != "" && f.RemoteID != f.Caller:
		return f.RemoteID + " (called from " + f.Caller + ")"
	case f.RemoteID != "":
		return f.RemoteID
	case f.Caller != "":
		return f.Caller
	}
	return "an unknown number"
}

// faxMail writes the mail with a received fax, or with a part of one.
func (g *Gateway) faxMail(_ context.Context, o queue.Out) (message.Outgoing, error) {
	f, err := g.q.Fax(o.Fax)
	if err != nil {
		return message.Outgoing{}, err
	}
	d, err := deliveryOf(o)
	if err != nil {
		return message.Outgoing{}, err
	}
	m := g.mail(o)
	m.Generated = true
	m.Fax = &message.Fax{Pages: len(f.Pages), Caller: f.Caller, CallerName: f.CallerName, CallID: string(f.Call)}
	if isPart(d) {
		m.Fax.Pages = d.Last - d.First + 1
	}
	if m.Fax.Caller == "" {
		m.Fax.Caller = f.RemoteID
	}
	name, err := g.document(f)
	if err != nil && !errors.Is(err, call.ErrNoPages) {
		return m, err
	}
	lost := err != nil
	m.Subject = faxSubject(f, d)
	m.Extra = []message.Field{{Name: "X-Tipring-Fax", Value: string(f.ID)}}
	var picture []byte
	switch {
	case lost:
		g.alarms.Raise("fax-unreadable/"+string(f.ID), "No page of the received fax "+string(f.ID)+" can be shown.",
			"Ask "+Caller(f)+" to send it again. The data as received is kept.")
	case g.bare(d):
	default:
		m.Attachments = []message.File{g.attachment(f, name, d)}
		if d.Part == "" {
			picture = g.picture(name)
		}
	}
	l := g.faxLetter(f, d, lost)
	if len(o.Unknown) > 0 {
		l.Paragraphs = append([]string{"Nobody knows the address " + strings.Join(o.Unknown, ", ") + ", for which this fax was meant as well. Please see that it gets there."}, l.Paragraphs...)
	}
	g.setLetter(&m, l, picture)
	return m, nil
}

// bare tells whether a mail about a fax goes without its pages.
func (g *Gateway) bare(d queue.Delivery) bool { return g.o.NoContent || d.Withheld }

func faxSubject(f queue.Fax, d queue.Delivery) string {
	s := "Fax from " + Caller(f) + ", " + pages(len(f.Pages))
	if isPart(d) {
		s += ", part " + d.Part
	}
	if f.State == queue.FaxPartial {
		s += ", incomplete"
	}
	return s
}

func (g *Gateway) attachment(f queue.Fax, document string, d queue.Delivery) message.File {
	base := "fax-" + f.Started.Local().Format("20060102-150405")
	if isPart(d) {
		base += fmt.Sprintf("-pages-%d-%d", d.First, d.Last)
	}
	file := message.File{Name: base + ".pdf", Type: "application/pdf", Open: func() (io.ReadCloser, error) { return g.openPart(document, d, pdfOf(f, d)) }}
	if g.o.FaxType == control.TIFF {
		file.Name, file.Type = base+".tif", "image/tiff"
		file.Open = func() (io.ReadCloser, error) { return g.openPart(document, d, writeTIFF) }
		if d.Part == "" {
			file.Open = func() (io.ReadCloser, error) { return g.st.OpenFile(document) }
		}
	}
	return file
}

// faxLetter says what came, and what is wrong with it.
func (g *Gateway) faxLetter(f queue.Fax, d queue.Delivery, lost bool) message.Letter {
	l := message.Letter{Title: faxSubject(f, d), Paragraphs: []string{fmt.Sprintf("A fax of %s came from %s.", pages(len(f.Pages)), Caller(f))}}
	add := func(tone message.Tone, s string) {
		l.Paragraphs, l.Tone = append(l.Paragraphs, s), tone
	}
	switch {
	case lost:
		add(message.Bad, "None of its pages can be shown: they were damaged on the line. Please ask the sender to send it again.")
	case f.State == queue.FaxPartial:
		why := ""
		if f.Text != "" {
			why = " (" + f.Text + ")"
		}
		add(message.Warning, "THE FAX IS INCOMPLETE: the call ended before the sender's machine was done"+why+". Pages may be missing, and the last one may be cut off. Please ask the sender to send it again.")
	}
	if bad := badPages(f); bad != "" && !lost {
		add(message.Warning, "Lines were damaged on the telephone line and repaired on "+bad+". Please check whether everything can be read.")
	}
	if !lost {
		l.Paragraphs = append(l.Paragraphs, g.whereIsIt(f, d)...)
	}
	facts := factList{}
	facts.add("From", f.RemoteID)
	facts.add("Caller", strings.TrimSpace(f.Caller+" "+f.CallerName))
	facts.add("To", f.Dialed)
	facts.add("Subaddress", f.Subaddress)
	facts.add("Line", f.Line)
	facts.add("Pages", fmt.Sprint(len(f.Pages)))
	if isPart(d) {
		facts.add("This mail", pageRange(d)+", part "+d.Part)
	}
	facts.add("Received", f.Started.Local().Format(timeFormat))
	facts.add("Fax", string(f.ID))
	l.Facts = facts
	return l
}

// whereIsIt tells what of a fax is not in the mail, and where it is.
func (g *Gateway) whereIsIt(f queue.Fax, d queue.Delivery) []string {
	fetch := fmt.Sprintf(" is on the status page of the fax appliance %s under %s and stays there until it is fetched.", g.o.Hostname, f.ID)
	switch {
	case g.o.NoContent:
		return []string{"For privacy the fax is not in this mail. It" + fetch}
	case d.Withheld:
		return []string{fmt.Sprintf("%s is too large for a mail and is not in this one, not even in a coarser resolution. The fax", upper(pageRange(d))) + fetch}
	case d.Coarse > 0:
		return []string{fmt.Sprintf("%s is too large for a mail: it is attached in a coarser resolution, and small print may not be legible. The fax as it came", upper(pageRange(d))) + fetch}
	case isPart(d):
		return []string{fmt.Sprintf("The fax is too large for one mail. This is part %s, with %s; the other parts come in mails of their own.", d.Part, pageRange(d))}
	}
	return nil
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// pageRange is "page 3" or "pages 3 to 7".
func pageRange(d queue.Delivery) string {
	if d.First == d.Last {
		return fmt.Sprintf("page %d", d.First)
	}
	return fmt.Sprintf("pages %d to %d", d.First, d.Last)
}

// badPages names the pages on which lines were damaged.
func badPages(f queue.Fax) string {
	var list []string
	for i, p := range f.Pages {
		if p.BadLines > 0 {
			list = append(list, fmt.Sprint(i+1))
		}
	}
	switch len(list) {
	case 0:
		return ""
	case 1:
		return "page " + list[0]
	}
	return "pages " + strings.Join(list, ", ")
}

// assembling keeps two from making the same document at once.
var assembling sync.Mutex

// document returns the spool file with all pages of a received fax as TIFF, made when it is first asked for.
func (g *Gateway) document(f queue.Fax) (string, error) {
	if f.Document != "" {
		return f.Document, nil
	}
	if f.State == queue.FaxReceiving {
		return "", fmt.Errorf("%w: fax %s is being received", control.ErrConflict, f.ID)
	}
	assembling.Lock()
	defer assembling.Unlock()
	if now, err := g.q.Fax(f.ID); err != nil || now.Document != "" {
		return now.Document, err
	}
	list := make([]call.Page, len(f.Pages))
	for i, p := range f.Pages {
		list[i] = call.Page(p)
	}
	name, a, err := call.AssembleSpool(g.st, list, tiff.Meta{Time: f.Started})
	if err != nil {
		return "", fmt.Errorf("gateway: fax %s: %w", f.ID, err)
	}
	if a.Lost > 0 {
		g.o.Log.Error("pages of a received fax cannot be shown", "fax", f.ID, "lost", a.Lost, "shown", a.Pages)
		g.alarms.Raise("fax-pages/"+string(f.ID), fmt.Sprintf("%s of the received fax %s cannot be shown.", pages(a.Lost), f.ID),
			"Ask "+Caller(f)+" to send it again.")
	}
	return name, g.q.SetFaxDocument(f.ID, name)
}

// OpenFax opens a received fax as one file. The caller closes it.
func (g *Gateway) OpenFax(id queue.FaxID, as control.FileType) (io.ReadCloser, error) {
	f, err := g.q.Fax(id)
	if err != nil {
		return nil, err
	}
	name, err := g.document(f)
	if err != nil {
		return nil, err
	}
	var r io.ReadCloser
	switch as {
	case control.TIFF:
		r, err = g.st.OpenFile(name)
	case control.PDF, "":
		r, err = g.openPart(name, queue.Delivery{}, pdfOf(f, queue.Delivery{}))
	default:
		err = fmt.Errorf("%w: file type %q", control.ErrInvalid, as)
	}
	if err != nil || f.Told.IsZero() || !f.Delivered.IsZero() {
		return r, err
	}
	return &fetch{ReadCloser: r, done: func() error { return g.q.FetchedFax(id) }}, nil
}

// fetch tells when a file was read to its end.
type fetch struct {
	io.ReadCloser
	done func() error
}

func (f *fetch) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if err == io.EOF && f.done != nil {
		if derr := f.done(); derr != nil {
			return n, derr
		}
		f.done = nil
	}
	return n, err
}

func (g *Gateway) openTIFF(document string) (*os.File, *tiff.File, error) {
	f, err := g.st.OpenFile(document)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var t *tiff.File
		if t, err = tiff.Open(f, info.Size()); err == nil {
			return f, t, nil
		}
	}
	return nil, nil, errors.Join(err, f.Close())
}

// drawing bounds the memory that pictures for the status page take at once.
var drawing sync.Mutex

// OpenPage draws page n (from 1) of a received fax as PNG, at most width pixels across; 0 is full size.
func (g *Gateway) OpenPage(id queue.FaxID, n, width int) (io.ReadCloser, error) {
	fax, err := g.q.Fax(id)
	if err != nil {
		return nil, err
	}
	name, err := g.document(fax)
	if err != nil {
		return nil, err
	}
	f, t, err := g.openTIFF(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if n < 1 || n > t.NumPages() {
		return nil, fmt.Errorf("%w: page %d of %d", control.ErrNotFound, n, t.NumPages())
	}
	drawing.Lock()
	defer drawing.Unlock()
	page, _, err := t.Decode(n)
	if err != nil {
		return nil, err
	}
	return drawPNG(page, width)
}

func drawPNG(page imaging.Page, width int) (io.ReadCloser, error) {
	if width <= 0 || width > page.Width {
		width = page.Width
	}
	img := imaging.Thumbnail(page.Bitmap, page.Resolution, width)
	r, w := io.Pipe()
	go func() { w.CloseWithError((&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(w, img)) }()
	return r, nil
}
