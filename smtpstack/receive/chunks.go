package receive

import (
	"io"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/smtpstack"
)

// chunks is a message that comes by BDAT (RFC 3030 2), as a reader. go-smtp never sees BDAT, for in its own the end of
// the connection ends the last chunk, so that a cut-off message is taken for a whole one; what became of a message that
// was reset can be told to the client as the next one's result; and what follows a size it cannot read it takes for
// commands. It is told DATA at the first chunk, Data reads the chunks from here, and in the end go-smtp reads a dot.
type chunks struct {
	w    *wire
	size int64 // octets of the chunk
	left int64 // of it still to come
	last bool
}

// bdat is called for a message's first chunk.
func (w *wire) bdat(arg string) (string, error) {
	c := &chunks{w: w}
	if err := c.announce(arg); err != nil {
		return "", err
	}
	refusal := smtpstack.Refuse(503, "5.5.1", "no recipient was taken")
	if w.session.hasRecipients() {
		refusal = w.session.open()
	}
	if refusal != nil {
		if err := c.drop(); err != nil {
			return "", err
		}
		w.say(refusal)
		return "", nil
	}
	w.verb, w.body = "BDAT", c
	return "DATA", nil
}

// announce reads a chunk's announcement. When its length is not known or absurd, what follows cannot be told from
// commands or is not worth reading: the connection ends.
func (c *chunks) announce(arg string) error {
	f := words(arg)
	last := len(f) == 2 && strings.EqualFold(f[1], "LAST")
	size, err := strconv.ParseUint(strings.Join(f[:min(1, len(f))], ""), 10, 63)
	switch {
	case err != nil || len(f) > 2 || len(f) == 2 && !last:
		c.w.say(smtpstack.Refuse(501, "5.5.4", "the form is BDAT size [LAST]"))
		return errHangUp
	case int64(size) > c.w.floodLimit():
		c.w.say(c.w.cfg.tooLarge())
		return errHangUp
	}
	c.size, c.left, c.last = int64(size), int64(size), last
	c.w.phase = chunk
	c.w.beginReading()
	return nil
}

func (c *chunks) copyTo(out io.Writer) error {
	_, err := io.Copy(out, c)
	return err
}

// Read reads the message over its chunks.
func (c *chunks) Read(b []byte) (int, error) {
	for c.left == 0 {
		c.w.phase = commands
		if c.last {
			c.w.whole = true
			return 0, io.EOF
		}
		c.w.say(smtpstack.Refuse(250, "2.0.0", "%d octets taken", c.size))
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := octets{c}.Read(b)
	if err != nil {
		_ = c.w.hangUp(err)
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads commands up to the next chunk. A command that ends the message is held until go-smtp has heard of it.
func (c *chunks) next() error {
	for {
		line, err := c.w.readCommand()
		if err != nil {
			_ = c.w.hangUp(err)
			return smtp.ErrDataReset
		}
		switch verb, arg := splitCommand(line); verb {
		case "BDAT":
			if err := c.announce(arg); err != nil {
				_ = c.w.hangUp(err)
				return smtp.ErrDataReset
			}
			return nil
		case "NOOP":
			c.w.say(smtpstack.Refuse(250, "2.0.0", "ok"))
		case "EHLO", "HELO":
			if _, refusal := helloName(arg); refusal != nil { // and the message goes on (RFC 5321 4.1.4)
				c.w.say(refusal)
				continue
			}
			c.w.held = line
			return smtp.ErrDataReset
		case "RSET", "QUIT":
			c.w.held = line
			return smtp.ErrDataReset
		default:
			c.w.say(smtpstack.Refuse(503, "5.5.1", "a message is under way, BDAT comes next"))
		}
	}
}

// drop reads what Data left of the chunk.
func (c *chunks) drop() error {
	if _, err := io.Copy(io.Discard, octets{c}); err != nil {
		return err
	}
	c.w.phase = commands
	return nil
}

// octets reads one chunk.
type octets struct{ *chunks }

func (o octets) Read(b []byte) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	if err := o.w.flushBeforeWait(); err != nil {
		return 0, err
	}
	n, err := o.w.r.Read(b[:min(int64(len(b)), o.left)])
	o.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
