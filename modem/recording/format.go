package recording

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ErrFormat is returned by Parse for a file that is no recording. The text names the line.
var ErrFormat = errors.New("recording: not a recording")

const (
	magic     = "tipring recording 1"
	withPages = " pages"

	maxLine   = 1 << 20  // octets of a line
	maxEvents = 1 << 20  // events of a recording
	maxOctets = 64 << 20 // octets of all events together
	maxTime   = 48 * time.Hour
)

// Kind is what an [Event] is.
type Kind byte

const (
	ToModem   Kind = '>'
	FromModem Kind = '<'
	Control   Kind = '!' // Text: "dtr on", "dtr off", "purge"
	Step      Kind = '=' // Text: a word for what our side does next, and its particulars
)

// Event is one line of a recording.
type Event struct {
	Line int           // in the file, from 1
	At   time.Duration // since the recording began, whole milliseconds
	Kind Kind
	Text string // of Control and Step

	Data []byte // the octets
	Any  int    // place in Data where octets are missing that are not told; -1: none are
	Page int    // octets of page data that was left out, DLE ETX included; then Data is empty
	SHA  string // of that page data, hex
}

// Recording is a parsed recording.
type Recording struct {
	Pages  bool // page data is in it
	Events []Event
}

// Step is the next step of the recording: the word and its particulars.
func (e Event) Step() (word, particulars string) {
	word, particulars, _ = strings.Cut(e.Text, " ")
	return word, particulars
}

// Parse reads a recording. [ErrFormat].
func Parse(r io.Reader) (*Recording, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	rec, octets := &Recording{}, 0
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if n == 1 {
			head, pages := strings.CutSuffix(line, withPages)
			if head != magic {
				return nil, fmt.Errorf("%w: line 1 is not %q", ErrFormat, magic)
			}
			rec.Pages = pages
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		e, err := parseEvent(line, maxOctets-octets)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
		case len(rec.Events) >= maxEvents:
			return nil, fmt.Errorf("%w: line %d: more than %d events", ErrFormat, n, maxEvents)
		case len(rec.Events) > 0 && e.At < rec.Events[len(rec.Events)-1].At:
			return nil, fmt.Errorf("%w: line %d: before the line above it", ErrFormat, n)
		}
		e.Line = n
		octets += len(e.Data)
		rec.Events = append(rec.Events, e)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	if len(rec.Events) == 0 {
		return nil, fmt.Errorf("%w: no events", ErrFormat)
	}
	return rec, nil
}

// parseEvent reads one line; it may hold as many octets as room says.
func parseEvent(line string, room int) (Event, error) {
	e := Event{Any: -1}
	at, rest, ok := strings.Cut(strings.TrimLeft(line, " "), " ")
	if !ok || len(rest) < 2 || rest[1] != ' ' {
		return e, errors.New("want: seconds, a sign, an event")
	}
	secs, err := strconv.ParseFloat(at, 64)
	if err != nil || !(secs >= 0 && secs <= maxTime.Seconds()) {
		return e, fmt.Errorf("time %q", at)
	}
	e.At = time.Duration(secs*1000+0.5) * time.Millisecond
	e.Kind = Kind(rest[0])
	rest = rest[2:]
	switch e.Kind {
	case Step:
		e.Text = rest
	case Control:
		switch e.Text = rest; rest {
		case "dtr on", "dtr off", "purge":
		default:
			return e, fmt.Errorf("no such thing as %q", rest)
		}
	case ToModem, FromModem:
		err = e.parseData(rest, room)
	default:
		err = fmt.Errorf("sign %q", e.Kind)
	}
	return e, err
}

func (e *Event) parseData(s string, room int) error {
	if page, ok := strings.CutPrefix(s, "page "); ok {
		n, sum, _ := strings.Cut(page, " ")
		var err error
		if e.Page, err = strconv.Atoi(n); err != nil || e.Page < 1 || e.Page > maxOctets {
			return fmt.Errorf("page of %q octets", n)
		}
		if b, err := hex.DecodeString(sum); err != nil || len(b) != 32 {
			return fmt.Errorf("no SHA-256: %q", sum)
		}
		e.SHA = strings.ToLower(sum)
		return nil
	}
	if strings.HasPrefix(s, `"`) {
		text, err := strconv.Unquote(s)
		if err != nil || text == "" || len(text) > room {
			return fmt.Errorf("text %.40s", s)
		}
		e.Data = []byte(text)
		return nil
	}
	for _, f := range strings.Fields(s) {
		if f == ".." {
			if e.Any >= 0 || e.Kind == FromModem {
				return errors.New("..: once, and in what goes to the modem")
			}
			e.Any = len(e.Data)
			continue
		}
		octet, times, many := strings.Cut(f, "*")
		n := 1
		if many {
			var err error
			if n, err = strconv.Atoi(times); err != nil || n < 1 {
				return fmt.Errorf("octet %q", f)
			}
		}
		b, err := hex.DecodeString(octet)
		if err != nil || len(b) != 1 {
			return fmt.Errorf("octet %q", f)
		}
		if n > room-len(e.Data) {
			return fmt.Errorf("more than %d octets", maxOctets)
		}
		e.Data = append(e.Data, bytes.Repeat(b, n)...)
	}
	if len(e.Data) == 0 {
		return errors.New("no octets")
	}
	return nil
}

// String is the event as a line of a recording, without its end.
func (e Event) String() string {
	return fmt.Sprintf("%9.3f %c %s", e.At.Seconds(), e.Kind, e.what())
}

func (e Event) what() string {
	switch {
	case e.Kind == Step || e.Kind == Control:
		return e.Text
	case e.Page > 0:
		return fmt.Sprintf("page %d %s", e.Page, e.SHA)
	case e.Any < 0 && isText(e.Data):
		return quote(e.Data)
	}
	return hexOctets(e.Data, e.Any)
}

// isText tells whether octets are better read as text.
func isText(b []byte) bool {
	plain := 0
	for _, c := range b {
		if c == 0 || c > '~' {
			return false
		}
		if c >= ' ' && c <= '~' || c == '\r' || c == '\n' {
			plain++
		}
	}
	return plain > 0 && plain*5 >= len(b)*4
}

// quote quotes octets as a Go string: each that is not printable ASCII as \r, \n or \x.. .
func quote(b []byte) string {
	var s strings.Builder
	s.WriteByte('"')
	for _, c := range b {
		switch {
		case c == '\r':
			s.WriteString(`\r`)
		case c == '\n':
			s.WriteString(`\n`)
		case c == '"' || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c >= ' ' && c <= '~':
			s.WriteByte(c)
		default:
			fmt.Fprintf(&s, `\x%02x`, c)
		}
	}
	s.WriteByte('"')
	return s.String()
}

// hexOctets writes octets in hex, equal ones together; ".." stands before the octet at missing.
func hexOctets(b []byte, missing int) string {
	var s strings.Builder
	word := func(w string) {
		if s.Len() > 0 {
			s.WriteByte(' ')
		}
		s.WriteString(w)
	}
	for i := 0; i < len(b); {
		if i == missing {
			word("..")
		}
		n := 1
		for i+n < len(b) && b[i+n] == b[i] && i+n != missing {
			n++
		}
		if n > 3 {
			word(fmt.Sprintf("%02x*%d", b[i], n))
			i += n
			continue
		}
		word(fmt.Sprintf("%02x", b[i]))
		i++
	}
	if missing == len(b) {
		word("..")
	}
	return s.String()
}
