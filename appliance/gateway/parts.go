package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/pdf"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
)

// A fax whose mail would be larger than the next server takes goes in several mails, divided between pages. A page that is
// too large by itself goes in a coarser resolution, and what is too large even then is told of and stays to be fetched.

const (
	// letterRoom is kept for a mail's header, words and the file's own structure, in octets; the picture is counted apart.
	letterRoom = 24 << 10
	// pageRoom is what a page takes in the file beside its data.
	pageRoom = 1 << 10
	// maxCoarse is how often a page's resolution is halved at most: 204 dpi becomes 51.
	maxCoarse = 2
)

// deliveryOf reads what of a fax an outbox item carries.
func deliveryOf(o queue.Out) (queue.Delivery, error) {
	var d queue.Delivery
	if err := json.Unmarshal(o.Payload, &d); err != nil {
		return d, fmt.Errorf("gateway: delivery %s: %w", o.ID, err)
	}
	return d, nil
}

// sizeLimit is how large a mail with a fax may be, in octets; 0: as large as it is.
func (g *Gateway) sizeLimit(d queue.Delivery) int64 {
	if d.Limit > 0 && (g.o.MaxMail == 0 || d.Limit < g.o.MaxMail) {
		return d.Limit
	}
	return g.o.MaxMail
}

// tooLarge tells whether a server refused a mail for its size (RFC 1870 6.1, RFC 3463 X.3.4 and X.2.3).
func tooLarge(r send.Result) bool {
	e := r.Reply.Enhanced
	return r.Class == smtpstack.Permanent && (e == "5.3.4" || e == "5.2.3" || e == "" && r.Reply.Code == 552)
}

// partBefore divides a mail that is larger than the next server is known to take, before it is sent.
func (g *Gateway) partBefore(o queue.Out, size int64) (parted bool, err error) {
	if o.Kind != queue.KindFax {
		return false, nil
	}
	d, err := deliveryOf(o)
	if err != nil {
		return false, err
	}
	limit := g.sizeLimit(d)
	if limit <= 0 || size <= limit {
		return false, nil
	}
	parts, err := g.split(o, o.To, size, limit)
	if err != nil || len(parts) == 0 {
		return false, err
	}
	g.o.Log.Info("fax is too large for one mail and is divided", "out", o.ID, "octets", size, "limit", limit, "parts", len(parts))
	err = g.q.SettleOut(o.ID, nil, func(x *queue.Out) error {
		x.Parted, x.To = append(x.Parted, o.To...), nil
		x.LastReply = fmt.Sprintf("the mail has %d octets of at most %d: sent in %d parts", size, limit, len(parts))
		if x.State = queue.OutSplit; len(x.Waiting) > 0 {
			x.State, x.NotBefore = queue.OutPending, time.Now().Add(backoff(o.Attempts))
		}
		return nil
	}, parts...)
	return err == nil, err
}

// part finds the recipients whose servers refuse a mail for its size, and makes parts for them; rest are the other results. A mail
// that cannot be divided stays refused.
func (g *Gateway) part(o queue.Out, results []send.Result, size int64) (rest []send.Result, parts []queue.NewOut, why string) {
	var to []string
	var limit int64
	for _, r := range results {
		if !tooLarge(r) {
			rest = append(rest, r)
			continue
		}
		to, why = append(to, r.To), r.Text()
		if r.MaxSize > 0 && (limit == 0 || r.MaxSize < limit) {
			limit = r.MaxSize
		}
	}
	parts, err := g.split(o, to, size, limit)
	if err != nil {
		g.o.Log.Error("divide mail", "out", o.ID, "err", err)
	}
	if err != nil || len(parts) == 0 {
		return results, nil, ""
	}
	g.o.Log.Info("fax is too large for the mail server and is divided", "out", o.ID, "octets", size, "parts", len(parts), "reply", why)
	return rest, parts, fmt.Sprintf("%s: sent in %d parts", why, len(parts))
}

// isBare tells whether an item's mail does not hold the fax as it came.
func (g *Gateway) isBare(o queue.Out) bool {
	if o.Kind != queue.KindFax {
		return false
	}
	d, err := deliveryOf(o)
	return err == nil && (g.bare(d) || d.Coarse > 0)
}

// split returns the parts that take the place of an item whose mail of size octets is too large, for the recipients to.
// limit is what is known of how large it may be, 0: only that it was too large. It returns none when there is nothing to divide:
// another kind of mail, or one that holds no page.
func (g *Gateway) split(o queue.Out, to []string, size, limit int64) ([]queue.NewOut, error) {
	if o.Kind != queue.KindFax || len(to) == 0 {
		return nil, nil
	}
	d, err := deliveryOf(o)
	if err != nil || g.bare(d) {
		return nil, err
	}
	f, err := g.q.Fax(o.Fax)
	if err != nil {
		return nil, err
	}
	name, err := g.document(f)
	if err != nil {
		return nil, err
	}
	file, t, err := g.openTIFF(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if d.First == 0 {
		d.First, d.Last = 1, t.NumPages()
	}
	var list []queue.Delivery
	if limit > 0 && limit < size {
		d.Limit = limit
		list, err = divide(t, d, capacity(limit))
	} else {
		list = halve(d)
	}
	if err != nil {
		return nil, err
	}
	return partsOf(o, d, list, to), nil
}

// capacity is how many octets of a file fit into a mail: base64 makes 57 into 78 (RFC 2045 6.8).
func capacity(limit int64) int64 { return (limit - letterRoom) / 78 * 57 }

// halve divides a delivery of which nothing is known but that it is too large.
func halve(d queue.Delivery) []queue.Delivery {
	switch {
	case d.First < d.Last:
		a, b := d, d
		a.Last = (d.First + d.Last) / 2
		b.First = a.Last + 1
		return []queue.Delivery{a, b}
	case d.Part == "": // without the picture it may fit
	case d.Coarse < maxCoarse:
		d.Coarse++
	default:
		d.Coarse, d.Withheld = 0, true
	}
	return []queue.Delivery{d}
}

// divide groups the pages of a delivery so that each group's data fits into room octets. What cannot be divided becomes
// coarser than it was, or is withheld.
func divide(t *tiff.File, d queue.Delivery, room int64) ([]queue.Delivery, error) {
	if d.First == d.Last && d.Part != "" { // it was thought to fit
		d.Coarse++
		p, err := smaller(t, d, room)
		return []queue.Delivery{p}, err
	}
	var list []queue.Delivery
	sum := room + 1
	for n := d.First; n <= d.Last; n++ {
		coded, err := t.Raw(n)
		if err != nil {
			return nil, err
		}
		size := int64(len(coded.Data)) + pageRoom
		p := d
		p.First, p.Last = n, n
		switch {
		case size > room:
			p.Coarse = 1
			if p, err = smaller(t, p, room); err != nil {
				return nil, err
			}
			sum = room + 1 // the next page begins a part
			list = append(list, p)
		case sum+size > room:
			sum = size
			list = append(list, p)
		default:
			sum += size
			list[len(list)-1].Last = n
		}
	}
	if len(list) == 1 && d.Part != "" && d.First < d.Last {
		return halve(d), nil // the estimate says it fits, and it did not
	}
	return list, nil
}

// smaller makes one page so coarse that it fits, from d.Coarse on, or withholds it.
func smaller(t *tiff.File, d queue.Delivery, room int64) (queue.Delivery, error) {
	for ; d.Coarse <= maxCoarse; d.Coarse++ {
		coded, err := coarsePage(t, d.First, d.Coarse)
		if err != nil {
			return d, err
		}
		if int64(len(coded.Data))+pageRoom <= room {
			return d, nil
		}
	}
	d.Coarse, d.Withheld = 0, true
	return d, nil
}

// onePart is the part of a fax that is not divided, only made smaller: its mail shows no picture.
const onePart = "1 of 1"

// isPart tells whether a delivery is one of several of its fax.
func isPart(d queue.Delivery) bool { return d.Part != "" && d.Part != onePart }

// partsOf makes the outbox items; a part that is divided again keeps its name and gets a second one.
func partsOf(o queue.Out, whole queue.Delivery, list []queue.Delivery, to []string) []queue.NewOut {
	parts := make([]queue.NewOut, len(list))
	for i, d := range list {
		d.Part = fmt.Sprintf("%d of %d", i+1, len(list))
		switch {
		case whole.Part != "" && len(list) == 1:
			d.Part = whole.Part
		case whole.Part != "":
			d.Part = whole.Part + ", " + d.Part
		}
		parts[i] = queue.NewOut{Kind: queue.KindFax, To: to, Fax: o.Fax, Route: o.Route, Unknown: o.Unknown, Payload: d}
	}
	return parts
}

// coarsePage codes page n with its resolution halved times times.
func coarsePage(t *tiff.File, n, times int) (t4.Coded, error) {
	page, _, err := t.Decode(n)
	if err != nil {
		return t4.Coded{}, err
	}
	if page.Resolution == (imaging.Resolution{}) {
		page.Resolution = imaging.Fine
	}
	to := imaging.Resolution{X: max(page.Resolution.X>>times, 1), Y: max(page.Resolution.Y>>times, 1)}
	small := imaging.Rescale(page, to, max(page.Width>>times, 1))
	format := t4.File(imaging.MMR, to)
	data, err := t4.Append(nil, small.Bitmap, format)
	return t4.Coded{Width: small.Width, Height: small.Height, Resolution: to, Format: format, Data: data}, err
}

// watchUnfetched raises an alarm about faxes that mails only told of and nobody has fetched in the time that delivered ones are
// kept (0: for good); they are never deleted by themselves.
func (g *Gateway) watchUnfetched(now time.Time, keep time.Duration) error {
	list, err := g.q.Faxes(0)
	if err != nil {
		return err
	}
	n := 0
	for _, f := range list {
		if keep > 0 && f.Delivered.IsZero() && !f.Told.IsZero() && f.Told.Before(now.Add(-keep)) {
			n++
		}
	}
	if n == 0 {
		g.alarms.Clear("faxes-unfetched")
		return nil
	}
	g.alarms.Raise("faxes-unfetched", faxes(n)+" that our mail told of, without the pages, nobody has fetched yet.",
		"Fetch what is still wanted on the status page or with tipring faxes get, and delete the rest: undelivered faxes are never deleted by themselves and fill the disk.")
	return nil
}

// pageFile writes some pages into one file, page by page as next gives them until io.EOF.
type pageFile func(w io.Writer, next func() (t4.Coded, error)) error

// openPart reads the pages of a document that a delivery carries (zero: all) as one file.
func (g *Gateway) openPart(document string, d queue.Delivery, write pageFile) (io.ReadCloser, error) {
	f, t, err := g.openTIFF(document)
	if err != nil {
		return nil, err
	}
	if d.First == 0 {
		d.First, d.Last = 1, t.NumPages()
	}
	n := d.First - 1
	next := func() (t4.Coded, error) {
		if n++; n > d.Last {
			return t4.Coded{}, io.EOF
		}
		if d.Coarse > 0 {
			return coarsePage(t, n, d.Coarse)
		}
		return t.Raw(n)
	}
	r, w := io.Pipe()
	go func() {
		defer f.Close()
		w.CloseWithError(write(w, next))
	}()
	return r, nil
}

// adder is a file being written, of any kind.
type adder interface {
	AddCoded(t4.Coded) error
	Close() error
}

// pdfOf writes pages of a fax as a PDF that says which fax it is, its pages numbered as in the whole fax.
func pdfOf(f queue.Fax, d queue.Delivery) pageFile {
	meta := pdf.Meta{Title: faxSubject(f, d), Author: Caller(f), Time: f.Started.Local(), FirstPage: d.First}
	return func(w io.Writer, next func() (t4.Coded, error)) error { return addAll(pdf.NewWriter(w, meta), next) }
}

func writeTIFF(w io.Writer, next func() (t4.Coded, error)) error {
	return addAll(tiff.NewWriter(w, tiff.Meta{}), next)
}

func addAll(out adder, next func() (t4.Coded, error)) error {
	for {
		coded, err := next()
		if err == io.EOF {
			return out.Close()
		}
		if err == nil {
			err = out.AddCoded(coded)
		}
		if err != nil {
			return err
		}
	}
}
