package send

import (
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// transaction is MAIL, RCPT for each recipient, DATA; it sets the results.
func (c *conn) transaction(rcpts []int) {
	d := c.d
	if limit, err := strconv.ParseInt(c.ext["SIZE"], 10, 64); err == nil && limit > 0 && d.msg.Size > limit {
		d.setAll(rcpts, Result{Class: smtpstack.Permanent, Host: c.host.name,
			Reply: *smtpstack.Refuse(552, "5.3.4", "the mail has %d octets, the server takes at most %d", d.msg.Size, limit)})
		return
	}
	mail := "MAIL FROM:<" + d.from + ">"
	if _, ok := c.ext["SIZE"]; ok && d.msg.Size > 0 {
		mail += " SIZE=" + strconv.FormatInt(d.msg.Size, 10)
	}
	r, _, err := c.command(mail)
	if err != nil || r.Code != 250 {
		d.setAll(rcpts, c.result(r, err))
		return
	}
	accepted := c.recipients(rcpts)
	if len(accepted) == 0 {
		return
	}
	c.nc.phase(d.s.cfg.Timeouts.DataStart)
	r, _, err = c.command("DATA")
	if err != nil || r.Code != 354 {
		d.setAll(accepted, c.result(r, err))
		return
	}
	d.setAll(accepted, c.data())
}

// recipients says RCPT for each and returns those the server took.
func (c *conn) recipients(rcpts []int) []int {
	var accepted []int
	for n, i := range rcpts {
		r, _, err := c.command("RCPT TO:<" + c.d.to[i] + ">")
		if err != nil {
			c.d.setAll(rcpts[n:], c.result(r, err))
			c.d.setAll(accepted, c.result(r, err))
			return nil
		}
		if r.Code == 250 || r.Code == 251 {
			accepted = append(accepted, i)
			continue
		}
		c.d.set(i, c.result(r, nil))
	}
	return accepted
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

// mailReader reads the mail until the context ends and keeps the failure to read.
type mailReader struct {
	c   *conn
	r   io.Reader
	err error
}

func (m *mailReader) Read(b []byte) (n int, err error) {
	if err = m.c.ctx.Err(); err == nil {
		n, err = m.r.Read(b)
	}
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
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
		return Result{Class: smtpstack.Temporary, Host: c.host.name, Err: err}
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
