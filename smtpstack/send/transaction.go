package send

import (
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// maxPipeline is how many commands go out before their replies are read (RFC 2920 3.1): replies to so many fit any
// socket's buffers, so neither side waits for the other to read.
const maxPipeline = 50

// transaction is MAIL, RCPT for each recipient, DATA; it sets the results.
func (c *conn) transaction(rcpts []int) {
	d := c.d
	if limit, err := strconv.ParseInt(c.ext["SIZE"], 10, 64); err == nil && limit > 0 && d.msg.Size > limit {
		d.setAll(rcpts, Result{Class: smtpstack.Permanent, Host: c.host.name, MaxSize: limit,
			Reply: *smtpstack.Refuse(552, "5.3.4", "the mail has %d octets, the server takes at most %d", d.msg.Size, limit)})
		return
	}
	rcpts, utf8 := c.international(rcpts)
	if len(rcpts) == 0 {
		return
	}
	accepted := c.envelope(rcpts, utf8)
	if len(accepted) == 0 {
		return
	}
	c.nc.phase(d.s.cfg.Timeouts.DataStart)
	r, _, err := c.command("DATA")
	if err != nil || r.Code != 354 {
		d.setAll(accepted, c.result(r, err))
		return
	}
	d.setAll(accepted, c.data())
}

// international leaves out recipients whose address a server without SMTPUTF8 cannot take (RFC 6531 3.2), and says
// whether this transaction needs the extension.
func (c *conn) international(rcpts []int) (left []int, need bool) {
	d := c.d
	if _, offered := c.ext["SMTPUTF8"]; offered {
		need = d.msg.UTF8 || !isASCII(d.from)
		for _, i := range rcpts {
			need = need || !isASCII(d.to[i])
		}
		return rcpts, need
	}
	if !isASCII(d.from) {
		d.setAll(rcpts, Result{Class: smtpstack.Configuration, Host: c.host.name, Remedy: "The server takes no international addresses: give notices and faxes a sender address in ASCII.",
			Reply: *smtpstack.Refuse(553, "5.6.7", "the sender's address needs SMTPUTF8, which the server lacks")})
		return nil, false
	}
	if d.msg.UTF8 {
		d.setAll(rcpts, Result{Class: smtpstack.Permanent, Host: c.host.name,
			Reply: *smtpstack.Refuse(554, "5.6.7", "the mail needs SMTPUTF8, which the server lacks")})
		return nil, false
	}
	for _, i := range rcpts {
		if isASCII(d.to[i]) {
			left = append(left, i)
			continue
		}
		d.set(i, Result{Class: smtpstack.BadRecipient, Host: c.host.name,
			Reply: *smtpstack.Refuse(553, "5.6.7", "the address needs SMTPUTF8, which the server lacks")})
	}
	return left, false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// envelope says MAIL and RCPT for each, many at once where the server allows, and returns the recipients it took. DATA is
// not sent along: the mail only goes out when it is known for whom.
func (c *conn) envelope(rcpts []int, utf8 bool) (accepted []int) {
	d := c.d
	commands := []string{c.mailCommand(utf8)}
	for _, i := range rcpts {
		commands = append(commands, "RCPT TO:<"+d.to[i]+">"+c.rcptParameters(i))
	}
	atOnce := 1
	if _, ok := c.ext["PIPELINING"]; ok {
		atOnce = maxPipeline
	}
	lost := func(from int, err error) []int { // the dialogue broke at command number from
		d.setAll(rcpts[max(0, from-1):], c.result(smtpstack.Reply{}, err))
		d.setAll(accepted, c.result(smtpstack.Reply{}, err))
		return nil
	}
	for first := 0; first < len(commands); first += atOnce {
		group := commands[first:min(first+atOnce, len(commands))]
		if err := c.send(group); err != nil {
			return lost(first, err)
		}
		refused := false
		for n := range group {
			r, _, err := c.reply()
			if err != nil {
				if refused {
					return nil
				}
				return lost(first+n, err)
			}
			switch i := first + n - 1; {
			case refused: // what was pipelined behind a refused MAIL
			case i < 0 && r.Code != 250:
				d.setAll(rcpts, c.senderRefused(r))
				refused = true
			case i < 0:
			case r.Code == 250 || r.Code == 251:
				accepted = append(accepted, rcpts[i])
			default:
				d.set(rcpts[i], c.result(r, nil))
			}
		}
		if refused {
			return nil
		}
	}
	return accepted
}

// senderRefused is the result of a refused MAIL. It is never about the recipients, whatever the code.
func (c *conn) senderRefused(r smtpstack.Reply) Result {
	res := c.result(r, nil)
	if res.Class == smtpstack.BadRecipient {
		res.Class, res.Remedy = smtpstack.Configuration, "The server refuses the sender's address: correct the sender address of notices and received faxes, or check that the server accepts mail from this host."
	}
	return res
}

// send writes commands without waiting for replies.
func (c *conn) send(commands []string) error {
	for _, line := range commands {
		c.d.trace(">", "%s", line)
		if err := c.queue(line); err != nil {
			return err
		}
	}
	return c.flush()
}

func (c *conn) mailCommand(utf8 bool) string {
	d := c.d
	mail := "MAIL FROM:<" + d.from + ">"
	if _, ok := c.ext["SIZE"]; ok && d.msg.Size > 0 {
		mail += " SIZE=" + strconv.FormatInt(d.msg.Size, 10)
	}
	if utf8 {
		if _, ok := c.ext["8BITMIME"]; ok {
			mail += " BODY=8BITMIME" // RFC 6531 3.6 demands the extension beside SMTPUTF8
		}
		mail += " SMTPUTF8"
	}
	if _, ok := c.ext["DSN"]; ok && d.msg.DSN != nil {
		mail += d.msg.DSN.mailParameters()
	}
	return mail
}

func (c *conn) rcptParameters(i int) string {
	if _, ok := c.ext["DSN"]; !ok || c.d.msg.DSN == nil {
		return ""
	}
	return c.d.msg.DSN.rcptParameters(c.d.msg.To[i])
}

// data sends the mail and reads the verdict. A mail that cannot be read to its end is broken off without the final
// dot, so the server drops it.
func (c *conn) data() Result {
	t := &c.d.s.cfg.Timeouts
	c.nc.phase(t.DataBlock)
	src, err := c.d.msg.Open()
	if err != nil {
		c.nc.Close()
		return c.result(smtpstack.Reply{}, fmt.Errorf("send: open the mail: %w", err))
	}
	defer src.Close()
	tw := textproto.NewWriter(c.w)
	dot := tw.DotWriter()
	in := &mailReader{c: c, r: src}
	n, err := io.Copy(dot, in)
	c.d.trace(">", "(%d octets of mail)", n)
	if err != nil {
		var r smtpstack.Reply
		if in.err == nil { // the server hung up: it may have said why
			r, _ = c.lastWords()
		}
		c.nc.Close()
		if r.Code >= 400 {
			return c.result(r, nil)
		}
		return c.result(smtpstack.Reply{}, fmt.Errorf("send: data: %w", err))
	}
	err = dot.Close() // flushes too
	if err == nil {
		c.nc.phase(t.DataEnd)
		var r smtpstack.Reply
		if r, err = c.readReply(); err == nil {
			return c.verdict(r)
		}
	} else if r, rerr := c.lastWords(); rerr == nil && r.Code >= 400 {
		return c.result(r, nil)
	}
	res := c.result(smtpstack.Reply{}, err)
	res.Unconfirmed = true
	return res
}

// mailReader reads the mail until the context ends and keeps the failure to read. Its lines end in LF, of which the dot
// writer makes CRLF: a CR alone, which RFC 5321 2.3.8 forbids and which servers take in different ways, ends a line too.
type mailReader struct {
	c   *conn
	r   io.Reader
	cr  bool // a CR was read and not yet given on
	err error
}

func (m *mailReader) Read(b []byte) (n int, err error) {
	room := 0 // for the line end that a CR held back may become
	if m.cr {
		room = 1
	}
	if len(b) <= room {
		return 0, io.ErrShortBuffer
	}
	if err = m.c.ctx.Err(); err == nil {
		n, err = m.r.Read(b[room:])
	}
	if err != nil && err != io.EOF {
		m.err = err
	}
	out := 0
	for _, c := range b[room : room+n] {
		if m.cr && c != '\n' {
			b[out], out = '\n', out+1
		}
		if m.cr = c == '\r'; !m.cr {
			b[out], out = c, out+1
		}
	}
	if m.cr && err == io.EOF && out < len(b) {
		b[out], out, m.cr = '\n', out+1, false
	}
	return out, err
}

// lastWords reads what a server said before it stopped taking data.
func (c *conn) lastWords() (smtpstack.Reply, error) {
	c.nc.phase(2 * time.Second)
	return c.readReply()
}

// result is what a reply or an error in place of the command's success means. Only the final dot can deliver: any
// other 2xx or 3xx that was not expected is the server's confusion, and temporary.
func (c *conn) result(r smtpstack.Reply, err error) Result {
	if err != nil {
		c.dead = true
		err = c.because(err)
		c.d.trace("!", "%v", err)
		return c.d.resultOf(err, c.host)
	}
	res := Result{Reply: r, Host: c.host.name, Class: smtpstack.Temporary}
	if r.Code >= 400 {
		res.Class = smtpstack.Classify(r.Code, r.Enhanced, r.Text)
		res.Remedy = smtpstack.Remedy(r.Code, r.Enhanced, r.Text)
	}
	return res
}

// verdict is what the reply to the final dot means.
func (c *conn) verdict(r smtpstack.Reply) Result {
	res := c.result(r, nil)
	if r.Code/100 == 2 {
		res.Class = smtpstack.Delivered
	}
	return res
}
