package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/modem/at"
)

// Options say what a recording tells.
type Options struct {
	Pages   bool     // page data too; without it a reception cannot be played beyond its first page
	Numbers bool     // telephone numbers and names in clear; passwords never are
	About   []string // lines for people at the beginning
}

const (
	maxWritten = 64 << 20               // octets of a recording; what comes later is not recorded
	maxTCF     = 8 << 10                // octets of a training check: 1.5 s of 33600 bit/s are 6300
	maxFrame   = 4 << 10                // octets of a frame with its shielding
	textOctets = 64                     // more octets than these that are no text are page data, whatever they seem to belong to
	dataStep   = 500 * time.Millisecond // of page data in one line
	dataLine   = 4096                   // octets of page data in one line
)

// Recorder writes a recording. Its methods are safe for concurrent use.
type Recorder struct {
	o Options

	mu      sync.Mutex
	w       io.Writer
	err     error
	began   time.Time
	last    time.Duration
	written int
	full    bool

	command string // the last command, in capitals
	class1  bool
	v34     bool   // +F34: was reported: from CONNECT on there are no lines, and no commands but after DLE EOT
	line    []byte // what came of a line
	out, in flow
}

// NewRecorder begins a recording on w. The first error of w ends it and is what Err returns.
func NewRecorder(w io.Writer, o Options) *Recorder {
	r := &Recorder{o: o, w: w, began: time.Now()}
	head := magic
	if o.Pages {
		head += withPages
	}
	r.write(head)
	for _, s := range o.About {
		r.write("# " + strings.NewReplacer("\r", " ", "\n", " ").Replace(s))
	}
	return r
}

// Err returns the first error of the writer.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return fmt.Errorf("recording: %w", r.err)
	}
	return nil
}

// Step notes what our side does next, for who plays the recording: a word, and v in JSON; nil: nothing.
func (r *Recorder) Step(word string, v any) error {
	text := word
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("recording: step %s: %w", word, err)
		}
		text += " " + string(b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text() // data phases go on
	r.event(Event{Kind: Step, Text: text, Any: -1})
	return nil
}

// Port returns p with everything that goes over it recorded. Purge is p's, if it has one.
func (r *Recorder) Port(p at.Port) at.Port { return &recorded{Port: p, r: r} }

type recorded struct {
	at.Port
	r *Recorder
}

// Write implements [at.Port].
func (p *recorded) Write(b []byte) (int, error) {
	n, err := p.Port.Write(b)
	if n > 0 {
		p.r.sent(b[:n])
	}
	return n, err
}

// Read implements [at.Port].
func (p *recorded) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b)
	if n > 0 {
		p.r.received(b[:n])
	}
	return n, err
}

// SetDTR implements [at.Port].
func (p *recorded) SetDTR(on bool) error {
	text := "dtr off"
	if on {
		text = "dtr on"
	}
	p.r.control(text)
	return p.Port.SetDTR(on)
}

// Purge implements [at.Purger].
func (p *recorded) Purge() error {
	pp, ok := p.Port.(at.Purger)
	if !ok {
		return nil
	}
	p.r.control("purge")
	return pp.Purge()
}

// Close implements [at.Port].
func (p *recorded) Close() error {
	err := p.Port.Close()
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.r.flush()
	return err
}

func (r *Recorder) control(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush()
	r.event(Event{Kind: Control, Text: text, Any: -1})
}

// write puts out one line.
func (r *Recorder) write(line string) {
	if r.err != nil || r.full {
		return
	}
	if r.written += len(line) + 1; r.written > maxWritten {
		r.full = true
		line = "# the recording is full: what came later is not in it"
	}
	_, r.err = io.WriteString(r.w, line+"\n")
}

// event puts out an event of now.
func (r *Recorder) event(e Event) {
	e.At = max(r.last, time.Since(r.began).Round(time.Millisecond))
	r.last = e.At
	r.write(e.String())
}

// flush puts out what is gathered in both directions.
func (r *Recorder) flush() {
	r.text()
	r.out.end(r, ToModem)
	r.in.end(r, FromModem)
}

// sent takes what went to the modem.
func (r *Recorder) sent(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.in.on && len(b) > 0 && !r.in.frame && r.in.n == 0 && len(b) == 1 {
		// DC1 or DC2, which lets a Class 2 modem send its page.
		r.event(Event{Kind: ToModem, Data: b, Any: -1})
		return
	}
	r.text()
	r.in.end(r, FromModem)
	if r.v34 = r.v34 && !isCommand(b); r.v34 {
		r.event(unread(ToModem, b))
		return
	}
	for len(b) > 0 {
		if r.out.on {
			n, over := r.out.take(b, true)
			b = b[n:]
			switch {
			case over:
				r.out.end(r, ToModem)
			case !r.o.Pages:
				r.out.bound()
			}
			continue
		}
		r.command1(b)
		return
	}
}

// isCommand tells whether a write is a command line.
func isCommand(b []byte) bool {
	return isText(b) && strings.HasPrefix(strings.ToUpper(string(b)), "AT")
}

// unread is an event of octets of which only the number and a sum are told.
func unread(k Kind, b []byte) Event {
	sum := sha256.Sum256(b)
	return Event{Kind: k, Page: len(b), SHA: hex.EncodeToString(sum[:]), Any: -1}
}

// command1 takes a write outside of data phases.
func (r *Recorder) command1(b []byte) {
	if isCommand(b) {
		r.command = strings.TrimSpace(strings.ToUpper(string(b)))
		switch {
		case strings.HasPrefix(r.command, "AT+FCLASS=1"):
			r.class1 = true
		case strings.HasPrefix(r.command, "AT+FCLASS=") && !strings.HasPrefix(r.command, "AT+FCLASS=?"):
			r.class1 = false
		}
		r.event(Event{Kind: ToModem, Data: blotText(b, r.o.Numbers), Any: -1})
		return
	}
	r.loose(ToModem, b)
}

// loose puts out octets that belong to no data phase we know of.
func (r *Recorder) loose(k Kind, b []byte) {
	if len(b) > textOctets && !isText(b) && !r.o.Pages {
		r.event(unread(k, b))
		return
	}
	if isText(b) {
		b = blotText(b, r.o.Numbers)
	}
	r.event(Event{Kind: k, Data: b, Any: -1})
}

// received takes what came from the modem.
func (r *Recorder) received(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(b) > 0 {
		if r.v34 {
			r.event(unread(FromModem, b))
			return
		}
		if r.in.on {
			n, over := r.in.take(b, false)
			b = b[n:]
			switch {
			case over:
				r.in.end(r, FromModem)
			case !r.o.Pages:
				r.in.bound()
			case r.o.Pages && !r.in.frame && (r.in.n >= dataLine || time.Since(r.began)-r.in.since > dataStep):
				r.in.part(r)
			}
			continue
		}
		n := r.answer(b)
		b = b[n:]
	}
	if len(r.line) > 0 && !r.in.on {
		r.text()
	}
}

// answer takes text up to the end of a line, and notices where a data phase begins; it returns how many octets.
func (r *Recorder) answer(b []byte) int {
	for i, c := range b {
		r.line = append(r.line, c)
		if c == '\n' && len(r.line) > 2 || len(r.line) >= maxFrame {
			if r.begins(string(r.line)) {
				r.text()
				return i + 1
			}
		}
	}
	return len(b)
}

// begins notices the beginning of a data phase in the text since the last event.
func (r *Recorder) begins(text string) bool {
	lines := strings.FieldsFunc(text, func(c rune) bool { return c == '\r' || c == '\n' })
	if len(lines) == 0 {
		return false
	}
	code, _ := at.ParseLine(lines[len(lines)-1])
	if code == at.FRH3 {
		r.command = "AT+FRH=3" // what follows is a frame
	}
	if strings.HasPrefix(strings.ToUpper(lines[len(lines)-1]), "+F34:") && !strings.HasPrefix(r.command, "AT+F34") {
		r.text()
		r.write("# V.34: what goes over the port from here on is told by its length alone, until the next command")
		r.v34 = true
		return true
	}
	if code != at.Connect {
		if code.Final() {
			r.out.end(r, ToModem) // the modem has left the data phase
		}
		return false
	}
	is := func(prefix string) bool { return strings.HasPrefix(r.command, prefix) }
	now := time.Since(r.began)
	switch {
	case is("AT+FTH") || r.class1 && is("ATA"):
		r.out = flow{on: true, frame: true, since: now}
	case is("AT+FTM") || is("AT+FDT"):
		r.out = flow{on: true, since: now}
	case is("AT+FRH") || r.class1 && is("ATD"):
		r.in = flow{on: true, frame: true, since: now}
	case is("AT+FRM") || is("AT+FDR"):
		r.in = flow{on: true, since: now}
	default:
		return false
	}
	return true
}

// text puts out the text that came.
func (r *Recorder) text() {
	if len(r.line) > 0 {
		b := r.line
		r.line = nil
		r.loose(FromModem, b)
	}
}
