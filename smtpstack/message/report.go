package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// Report is the machine-readable half of a report mail (RFC 6522): a [DeliveryReport] or a [Receipt].
type Report interface {
	kind() string           // the report-type parameter
	parts() ([]node, error) // behind the text for people
}

// Action is what became of a recipient (RFC 3464 2.3.3).
type Action string

// The actions of a delivery report.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"
	Expanded  Action = "expanded"
)

// OpenOriginal opens the mail that is reported on, from its first octet. Only its header is read, at most 64 KiB.
type OpenOriginal func() (io.ReadCloser, error)

// DeliveryReport is a delivery status notification (RFC 3464). It is sent with the null reverse-path, or where a
// submission server refuses that, from our own mailbox.
type DeliveryReport struct {
	ReportingMTA string    // host name of who reports
	EnvelopeID   string    // ENVID of the original's MAIL command (RFC 3461 4.4), decoded, or ""
	ReceivedFrom string    // host that gave us the mail, or ""
	Arrival      time.Time // when it came, or zero
	Recipients   []ReportedRecipient
	Original     OpenOriginal // header of the original as text/rfc822-headers; nil leaves it out
}

// ReportedRecipient is one recipient's lot.
type ReportedRecipient struct {
	Original    string // ORCPT, "rfc822;address", or ""
	Final       string // mail address as it was used
	Action      Action
	Status      string // enhanced status code, "5.1.1" (RFC 3463)
	RemoteMTA   string // host whose reply this is, or ""
	Diagnostic  string // an SMTP reply, or with FaxCode a fax outcome; or ""
	FaxCode     bool   // Diagnostic has type "x-fax" instead of "smtp"
	LastAttempt time.Time
	RetryUntil  time.Time // with Delayed
}

// Receipt is a message disposition notification (RFC 8098), made by a machine on the sender's demand; see
// [ReceiptAddress] for when it is allowed.
type Receipt struct {
	ReportingUA string // host name; "Tipring" is added as the product
	Recipient   string // mail address the original was for
	OriginalID  string // Message-ID of the original with angle brackets, or ""
	Disposition Disposition
	Error       string // in words, with the modifier "error"; or ""
	Original    OpenOriginal
}

// Disposition is what became of the mail (RFC 8098 3.2.6.2).
type Disposition string

// The dispositions a machine may state without anybody having looked.
const (
	Dispatched Disposition = "dispatched" // sent on, as a fax
	Processed  Disposition = "processed"  // handled without being shown to anybody
	Deleted    Disposition = "deleted"
)

// ErrReport is returned when a report lacks what its RFC demands or has a value that cannot be written.
var ErrReport = errors.New("report cannot be written")

func (*DeliveryReport) kind() string { return "delivery-status" }
func (*Receipt) kind() string        { return "disposition-notification" }

// fields collects the fields of a report's machine part: ASCII, one line each, at most 900 octets.
type fields struct{ strings.Builder }

func (f *fields) add(name, value string) {
	value = smtpstack.OneLine(value)
	value = strings.Map(func(r rune) rune {
		if r > 0x7e {
			return '?'
		}
		return r
	}, value)
	if value != "" {
		fmt.Fprintf(f, "%s: %s\r\n", name, value[:min(len(value), 900)])
	}
}

func (f *fields) typed(name, kind, value string) {
	if value = smtpstack.OneLine(value); value != "" {
		f.add(name, kind+"; "+value)
	}
}

func (f *fields) time(name string, t time.Time) {
	if !t.IsZero() {
		f.add(name, t.Format(time.RFC1123Z))
	}
}

var statusCode = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)

func (d *DeliveryReport) parts() ([]node, error) {
	if smtpstack.OneLine(d.ReportingMTA) == "" || len(d.Recipients) == 0 {
		return nil, fmt.Errorf("%w: no reporting host or no recipient", ErrReport)
	}
	var f fields
	f.add("Original-Envelope-Id", d.EnvelopeID)
	f.typed("Reporting-MTA", "dns", d.ReportingMTA)
	f.typed("Received-From-MTA", "dns", d.ReceivedFrom)
	f.time("Arrival-Date", d.Arrival)
	for _, r := range d.Recipients {
		f.WriteString("\r\n")
		if err := r.write(&f); err != nil {
			return nil, err
		}
	}
	return reportParts("message/delivery-status", f.String(), d.Original), nil
}

func (r ReportedRecipient) write(f *fields) error {
	switch r.Action {
	case Failed, Delayed, Delivered, Relayed, Expanded:
	default:
		return fmt.Errorf("%w: action %.40q", ErrReport, string(r.Action))
	}
	if !statusCode.MatchString(r.Status) || smtpstack.OneLine(r.Final) == "" {
		return fmt.Errorf("%w: status %.40q of recipient %.80q", ErrReport, r.Status, r.Final)
	}
	kind := "smtp"
	if r.FaxCode {
		kind = "x-fax"
	}
	f.add("Original-Recipient", r.Original)
	f.typed("Final-Recipient", "rfc822", r.Final)
	f.add("Action", string(r.Action))
	f.add("Status", r.Status)
	f.typed("Remote-MTA", "dns", r.RemoteMTA)
	f.typed("Diagnostic-Code", kind, r.Diagnostic)
	f.time("Last-Attempt-Date", r.LastAttempt)
	if r.Action == Delayed {
		f.time("Will-Retry-Until", r.RetryUntil)
	}
	return nil
}

func (r *Receipt) parts() ([]node, error) {
	switch r.Disposition {
	case Dispatched, Processed, Deleted:
	default:
		return nil, fmt.Errorf("%w: disposition %.40q", ErrReport, string(r.Disposition))
	}
	if smtpstack.OneLine(r.Recipient) == "" {
		return nil, fmt.Errorf("%w: no recipient", ErrReport)
	}
	var f fields
	f.add("Reporting-UA", r.ReportingUA+"; Tipring")
	f.typed("Final-Recipient", "rfc822", r.Recipient)
	f.add("Original-Message-ID", messageID.FindString(r.OriginalID))
	modifier := ""
	if smtpstack.OneLine(r.Error) != "" {
		modifier = "/error"
	}
	f.add("Disposition", "automatic-action/MDN-sent-automatically; "+string(r.Disposition)+modifier)
	f.add("Error", r.Error)
	return reportParts("message/disposition-notification", f.String(), r.Original), nil
}

func reportParts(mediaType, content string, original OpenOriginal) []node {
	list := []node{{leaf: func(w *bufio.Writer) error {
		_, err := fmt.Fprintf(w, "Content-Type: %s\r\n\r\n%s", mediaType, content)
		return err
	}}}
	if original != nil {
		list = append(list, node{leaf: func(w *bufio.Writer) error { return writeOriginal(w, original) }})
	}
	return list
}

const maxOriginal = 64 << 10

// writeOriginal writes the header of the original, never its content: that may be confidential, and the report goes to
// whoever claimed to be the sender. Quoted-printable is allowed for broken headers (RFC 6522 4), and theirs may be.
func writeOriginal(w *bufio.Writer, open OpenOriginal) error {
	r, err := open()
	if err != nil {
		return fmt.Errorf("original: %w", err)
	}
	defer r.Close()
	head, err := readHead(io.LimitReader(r, maxOriginal))
	if err != nil {
		return fmt.Errorf("original: %w", err)
	}
	if _, err := w.WriteString("Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"); err != nil {
		return err
	}
	return writeText(w, head)
}

// readHead reads up to the first empty line.
func readHead(r io.Reader) (string, error) {
	var b strings.Builder
	for br := bufio.NewReader(r); ; {
		line, err := br.ReadString('\n')
		if strings.TrimRight(line, "\r\n") == "" {
			if err == io.EOF {
				err = nil
			}
			return b.String(), err
		}
		b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// ErrNoReceipt is returned by ReceiptAddress when no receipt may be sent; the text says why.
var ErrNoReceipt = errors.New("no receipt may be sent")

// ReceiptAddress is where a receipt for this mail goes, when its sender asked for one and a machine may send it
// without asking anybody (RFC 8098 2.1): one address, the one the mail came from, and a mail that may be answered.
func ReceiptAddress(h Header, v LoopVerdict, returnPath string) (*mail.Address, error) {
	if !h.Has("Disposition-Notification-To") {
		return nil, fmt.Errorf("%w: none was asked for", ErrNoReceipt)
	}
	if !v.Answer {
		return nil, fmt.Errorf("%w: %s", ErrNoReceipt, v.Reason)
	}
	if len(h.Values("Disposition-Notification-To")) > 1 {
		return nil, fmt.Errorf("%w: the request stands there twice", ErrNoReceipt)
	}
	list, err := h.Addresses("Disposition-Notification-To")
	if err != nil || len(list) != 1 {
		return nil, fmt.Errorf("%w: not one address to send it to", ErrNoReceipt)
	}
	if !sameAddress(list[0].Address, returnPath) {
		return nil, fmt.Errorf("%w: it would go to somebody else than the sender", ErrNoReceipt)
	}
	if strings.Contains(strings.ToLower(h.Get("Disposition-Notification-Options")), "required") {
		return nil, fmt.Errorf("%w: it is asked for with options that are not known here", ErrNoReceipt)
	}
	return list[0], nil
}

// sameAddress: the local part is compared as it is (RFC 5321 2.4).
func sameAddress(a, b string) bool {
	al, ad, err := smtpstack.SplitAddress(a)
	if err != nil {
		return false
	}
	bl, bd, err := smtpstack.SplitAddress(b)
	return err == nil && al == bl && ad == bd
}
