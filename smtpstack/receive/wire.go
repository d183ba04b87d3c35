package receive

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// wire stands between the socket and go-smtp, above TLS, so that its cures hold there too. It gives go-smtp one command
// line at a time, so that at each Read the last command is answered; it reads messages itself, and go-smtp sees but their
// end; and it looks at all replies. Only go-smtp's goroutine for the conversation uses it.
type wire struct {
	session *session
	cfg     *Config
	conn    *deadlineConn
	tls     *tls.Conn // nil before STARTTLS
	r       *bufio.Reader
	w       *bufio.Writer

	pending []byte // for go-smtp, before anything else is read
	phase   phase
	verb    string // of the last command go-smtp got
	replied bool   // the first line of its answer is out
	reply   []byte // unfinished line from go-smtp
	helo    string // and esmtp: of the last HELO or EHLO
	esmtp   bool
	errors  int

	resumed     bool // STARTTLS has begun another conversation
	clientName  string
	user        string // signed in
	hideUnknown bool   // what is no command may be a secret
	mailParams  mailParams
	rcptParams  rcptParams

	over bool // nothing is read or said any more

	lineStart bool   // DATA: a line begins
	budget    int64  // DATA: octets until we hang up
	body      body   // the message under way
	held      string // BDAT: command that ended the message before its last chunk
	whole     bool   // the message has come to its end
}

// phase is what the client's octets are.
type phase int

const (
	commands phase = iota
	data           // after 354, to the dot
	chunk          // after BDAT, as many as it said
)

var (
	errBareLF   = errors.New("command line ends without CR")
	errLongLine = errors.New("command line too long")
	// errFlood is returned when a client goes on sending long after the limit.
	errFlood = errors.New("data does not end")
	// errHangUp is returned when the last reply was the last word.
	errHangUp = errors.New("connection ended by us")
)

func newWire(s *session, conn *deadlineConn) *wire {
	return &wire{session: s, cfg: s.cfg, conn: conn, r: bufio.NewReaderSize(conn, 16<<10), w: bufio.NewWriter(conn)}
}

// Read gives go-smtp what it may see of what the client says.
func (w *wire) Read(b []byte) (n int, err error) {
	defer func() { // go-smtp catches panics of its own calls, not of ours
		if p := recover(); p != nil {
			w.session.trace("!", smtpstack.OneLine(fmt.Sprintf("panic: %.2000v", p)))
			w.say(smtpstack.Refuse(421, "4.3.0", "internal error"))
			n, err = 0, w.hangUp(errHangUp)
		}
	}()
	if w.over {
		return 0, io.EOF
	}
	if len(w.pending) == 0 {
		switch {
		case w.body != nil: // Data is through with it
			err = w.body.drop()
			w.pending, w.body = []byte(".\r\n"), nil
		default:
			w.pending, err = w.nextCommand()
		}
	}
	if err != nil {
		return 0, w.hangUp(err)
	}
	n = copy(b, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

// hangUp says why the connection ends, and ends it for go-smtp: quietly where it waits for a command, as go-smtp would
// say something of its own, but with an error inside a message.
func (w *wire) hangUp(err error) error {
	if errors.Is(err, errStartTLS) {
		return io.EOF
	}
	inMessage := w.phase != commands
	w.goodbye(err, inMessage)
	_ = w.w.Flush()
	w.over, w.phase = true, commands
	if inMessage {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

func (w *wire) goodbye(err error, inMessage bool) {
	if inMessage {
		w.session.trace("!", "message broken off: "+err.Error())
	}
	switch {
	case errors.Is(err, errHangUp):
	case errors.Is(err, errFlood):
		w.say(w.cfg.tooLarge())
	case inMessage:
		w.say(smtpstack.Refuse(421, "4.4.2", "message not complete"))
	case errors.Is(err, errLongLine):
		w.say(smtpstack.Refuse(500, "5.5.2", "line too long"))
	case errors.Is(err, errBareLF):
		w.say(smtpstack.Refuse(500, "5.5.2", "lines end in CR LF"))
	case w.session.srv.isClosing():
		w.say(smtpstack.Refuse(421, "4.3.2", "shutting down"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.say(smtpstack.Refuse(421, "4.4.2", "timeout"))
	case !errors.Is(err, io.EOF):
		w.session.trace("!", err.Error())
	}
}

// nextCommand reads command lines until one is for go-smtp.
func (w *wire) nextCommand() ([]byte, error) {
	for {
		line := w.held
		if w.held = ""; line == "" {
			var err error
			if line, err = w.readCommand(); err != nil {
				return nil, err
			}
		}
		w.whole, w.replied = false, false
		line, err := w.command(line)
		if err != nil {
			return nil, err
		}
		if line != "" {
			return []byte(line + "\r\n"), nil
		}
	}
}

// readCommand reads a command line, unless there were too many errors.
func (w *wire) readCommand() (string, error) {
	if w.errors > maxErrors {
		w.say(smtpstack.Refuse(421, "4.7.0", "too many errors"))
		return "", errHangUp
	}
	line, err := w.readLine()
	if err == nil {
		w.session.trace("<", w.redact(line))
	}
	return line, err
}

// readLine reads a line. Replies are sent first unless the client has more commands under way (PIPELINING).
func (w *wire) readLine() (string, error) {
	if err := w.flushBeforeWait(); err != nil {
		return "", err
	}
	if !w.conn.beginIdle(w.patience(w.cfg.CommandTimeout)) || w.session.srv.isClosing() {
		return "", ErrServerClosed
	}
	defer w.conn.endIdle()
	line, err := w.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || err == nil && len(line) > maxCommandLine:
		return "", errLongLine
	case err != nil:
		return "", err
	case !bytes.HasSuffix(line, crlf):
		return "", errBareLF
	}
	return string(line[:len(line)-2]), nil
}

func (w *wire) flushBeforeWait() error {
	if w.r.Buffered() > 0 {
		return nil
	}
	return w.w.Flush()
}

// beginData is called when go-smtp has said 354.
func (w *wire) beginData() {
	w.phase, w.lineStart, w.body = data, true, text{w}
	w.budget = w.floodLimit()
	w.beginReading()
	_ = w.w.Flush() // whatever has come already; an error stays in the writer
}

func (w *wire) beginReading() {
	w.conn.beginData(w.patience(w.cfg.ReadTimeout), w.cfg.DataTimeout)
}

// patience is how long to wait for a client: a tenth, when so many are connected that others may find no place.
func (w *wire) patience(d time.Duration) time.Duration {
	if w.session.srv.crowded() {
		return min(d, max(d/10, 10*time.Second))
	}
	return d
}

// floodLimit is how much of a message is read: beyond the limit for its size the client may go on for as much again,
// to hear the reason.
func (w *wire) floodLimit() int64 { return 2*w.cfg.MaxSize + 1<<20 }

// close ends the connection politely.
func (w *wire) close() {
	_ = w.w.Flush()
	if w.tls != nil {
		_ = w.tls.CloseWrite()
	}
}
