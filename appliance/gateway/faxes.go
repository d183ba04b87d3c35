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
	"github.com/tipring/tipring/imaging/pdf"
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

// faxMail writes the mail with a received fax.
func (g *Gateway) faxMail(_ context.Context, o queue.Out) (message.Outgoing, error) {
	f, err := g.q.Fax(o.Fax)
	if err != nil {
		return message.Outgoing{}, err
	}
	m := g.mail(o)
	m.Generated = true
	m.Fax = &message.Fax{Pages: len(f.Pages), Caller: f.Caller}
	if m.Fax.Caller == "" {
		m.Fax.Caller = f.RemoteID
	}
	name, err := g.document(f)
	if err != nil && !errors.Is(err, call.ErrNoPages) {
		return m, err
	}
	lost := err != nil
	m.Subject = faxSubject(f)
	m.Text = faxText(f, lost)
	if len(o.Unknown) > 0 {
		m.Text = "Nobody knows the address " + strings.Join(o.Unknown, ", ") + ", for which this fax was meant as well. Please see that it gets there.\n\n" + m.Text
	}
	m.Extra = []message.Field{{Name: "X-Tipring-Fax", Value: string(f.ID)}}
	if lost {
		g.alarms.Raise("fax-unreadable/"+string(f.ID), "No page of the received fax "+string(f.ID)+" can be shown.",
			"Ask "+Caller(f)+" to send it again. The data as received is kept.")
		return m, nil
	}
	m.Attachments = []message.File{g.attachment(f, name)}
	return m, nil
}

func faxSubject(f queue.Fax) string {
	s := "Fax from " + Caller(f) + ", " + pages(len(f.Pages))
	if f.State == queue.FaxPartial {
		s += ", incomplete"
	}
	return s
}

func (g *Gateway) attachment(f queue.Fax, document string) message.File {
	base := "fax-" + f.Started.Local().Format("20060102-150405")
	if g.o.FaxType == control.TIFF {
		return message.File{Name: base + ".tif", Type: "image/tiff", Open: func() (io.ReadCloser, error) { return g.st.OpenFile(document) }}
	}
	return message.File{Name: base + ".pdf", Type: "application/pdf", Open: func() (io.ReadCloser, error) { return g.openPDF(document) }}
}

func faxText(f queue.Fax, lost bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "A fax of %s came from %s.\n", pages(len(f.Pages)), Caller(f))
	switch {
	case lost:
		b.WriteString("\nNone of its pages can be shown: they were damaged on the line. Please ask the sender to send it again.\n")
	case f.State == queue.FaxPartial:
		b.WriteString("\nTHE FAX IS INCOMPLETE: the call ended before the sender's machine was done")
		if f.Text != "" {
			b.WriteString(" (" + f.Text + ")")
		}
		b.WriteString(". Pages may be missing, and the last one may be cut off. Please ask the sender to send it again.\n")
	}
	if bad := badPages(f); bad != "" && !lost {
		fmt.Fprintf(&b, "\nLines were damaged on the telephone line and repaired on %s. Please check whether everything can be read.\n", bad)
	}
	b.WriteString("\n")
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-14s %s\n", name+":", value)
		}
	}
	line("From", f.RemoteID)
	line("Caller", strings.TrimSpace(f.Caller+" "+f.CallerName))
	line("To", f.Dialed)
	line("Subaddress", f.Subaddress)
	line("Line", f.Line)
	line("Pages", fmt.Sprint(len(f.Pages)))
	line("Received", f.Started.Local().Format(timeFormat))
	line("Fax", string(f.ID))
	return b.String()
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
	switch as {
	case control.TIFF:
		return g.st.OpenFile(name)
	case control.PDF, "":
		return g.openPDF(name)
	}
	return nil, fmt.Errorf("%w: file type %q", control.ErrInvalid, as)
}

// openPDF reads a document of the spool as PDF, the coded pages carried over as they are.
func (g *Gateway) openPDF(document string) (io.ReadCloser, error) {
	f, t, err := g.openTIFF(document)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		defer f.Close()
		w.CloseWithError(writePDF(w, t))
	}()
	return r, nil
}

func writePDF(w io.Writer, t *tiff.File) error {
	out := pdf.NewWriter(w, pdf.Meta{})
	for n := 1; n <= t.NumPages(); n++ {
		coded, err := t.Raw(n)
		if err != nil {
			return err
		}
		if err := out.AddCoded(coded); err != nil {
			return err
		}
	}
	return out.Close()
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
