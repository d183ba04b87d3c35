package at

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	maxCommand = 240 // octets in one command line
	maxInfo    = 64  // information lines kept of one reply
)

// Reply is what the modem answered to one command.
type Reply struct {
	Line          // the final result
	Info []string // the lines before it
}

// Command sends one command line ("AT+FRH=3", without the CR) and returns the modem's final result, which may be ERROR.
// within bounds the wait, [ErrNoReply] when it ends; the context's error when ctx ends. Anything still unread from before
// is dropped, apart from RING and caller ID lines, which NextLine delivers later.
func (c *Channel) Command(ctx context.Context, cmd string, within time.Duration) (Reply, error) {
	if err := c.Send(ctx, cmd); err != nil {
		return Reply{}, err
	}
	r, err := c.Result(ctx, within)
	if err != nil {
		return r, fmt.Errorf("%s: %w", hidden(cmd), err)
	}
	return r, nil
}

// Do is Command for commands that have to be answered OK; ERROR becomes [ErrCommand].
func (c *Channel) Do(ctx context.Context, cmd string, within time.Duration) (Reply, error) {
	r, err := c.Command(ctx, cmd, within)
	if err == nil && r.Code != OK {
		err = fmt.Errorf("%s: %w (%s)", hidden(cmd), ErrCommand, r.Text)
	}
	return r, err
}

// sendWait bounds the time until the modem has taken a command line: one that holds CTS off for longer is gone or hung.
const sendWait = 5 * time.Second

// Send sends one command line without waiting for an answer. [ErrNoReply] when the modem does not take it within 5 s.
func (c *Channel) Send(ctx context.Context, cmd string) error {
	if len(cmd) > maxCommand {
		return ErrTooLong
	}
	if err := c.leaveAlone(ctx); err != nil {
		return err
	}
	if err := c.drain(); err != nil {
		return err
	}
	c.event(">", cmd)
	c.sent = cmd
	limited, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	err := c.write(limited, []byte(cmd+"\r"))
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = ErrNoReply
	}
	if err != nil {
		return fmt.Errorf("%s: %w", hidden(cmd), err)
	}
	return nil
}

// leaveAlone waits out the gap after the last result.
func (c *Channel) leaveAlone(ctx context.Context) error {
	left := time.Until(c.ended.Add(c.gap))
	if c.gap == 0 || left <= 0 {
		return nil
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.gone:
		return c.Err()
	}
}

// Result waits for the next final result.
func (c *Channel) Result(ctx context.Context, within time.Duration) (Reply, error) {
	var r Reply
	until := time.Now().Add(within)
	for {
		l, err := c.line(ctx, until)
		if err != nil {
			return r, err
		}
		switch {
		case l.Code.Unsolicited():
			c.keep(l)
		case l.Code.Final():
			r.Line = l
			return r, nil
		case len(r.Info) < maxInfo:
			r.Info = append(r.Info, l.Text)
		}
	}
}

// NextLine returns the next line of any kind, unsolicited ones from before first. within <= 0: wait until ctx ends.
func (c *Channel) NextLine(ctx context.Context, within time.Duration) (Line, error) {
	if len(c.pending) > 0 {
		l := c.pending[0]
		c.pending = c.pending[1:]
		return l, nil
	}
	var until time.Time
	if within > 0 {
		until = time.Now().Add(within)
	}
	return c.line(ctx, until)
}

// Unsolicited returns the RING and caller ID lines that are waiting for NextLine, newest last.
func (c *Channel) Unsolicited() ([]Line, error) {
	if err := c.drain(); err != nil {
		return nil, err
	}
	return c.pending, nil
}

func (c *Channel) keep(l Line) {
	if len(c.pending) >= maxPending {
		c.pending = c.pending[1:]
	}
	c.pending = append(c.pending, l)
}

// Early returns a final result that has come already, without waiting: in a data phase towards the modem it means that
// the modem has left it.
func (c *Channel) Early() (Line, bool) {
	for now := time.Now(); c.takeBefore(now); {
		l, ok := c.scanLine()
		switch {
		case ok && l.Code.Unsolicited():
			c.keep(l)
		case ok && l.Code.Final():
			return l, true
		}
	}
	return Line{}, false
}

// Arrived returns the next line that has come already, of any kind, without waiting.
func (c *Channel) Arrived() (Line, bool) {
	for c.take() {
		if l, ok := c.scanLine(); ok {
			return l, true
		}
	}
	return Line{}, false
}

// Cancels is how many CAN characters have come outside of data: a Class 2 modem asks by one to be sent no more.
func (c *Channel) Cancels() int { return c.scan.cans }

// drain takes what has already arrived: unsolicited lines are kept, late results dropped.
func (c *Channel) drain() error {
	for now := time.Now(); c.takeBefore(now); {
		l, ok := c.scanLine()
		if ok && l.Code.Unsolicited() {
			c.keep(l)
		}
	}
	return c.Err()
}

// line returns the next line that is not the echo of the last command.
func (c *Channel) line(ctx context.Context, until time.Time) (Line, error) {
	for {
		if err := ctx.Err(); err != nil { // also while lines come and come
			return Line{}, err
		}
		if err := c.fill(ctx, until); err != nil {
			return Line{}, err
		}
		if l, ok := c.scanLine(); ok {
			return l, nil
		}
	}
}

// scanLine scans the current chunk for one line.
func (c *Channel) scanLine() (Line, bool) {
	n, text, ok := c.scan.scan(c.cur.b)
	c.cur.b = c.cur.b[n:]
	if !ok {
		return Line{}, false
	}
	code, text := ParseLine(text)
	if text == "" || c.sent != "" && strings.EqualFold(text, c.sent) {
		return Line{}, false // garbage only, or an echo
	}
	c.event("<", text)
	if code.Final() {
		c.ended = c.cur.at
	}
	return Line{c.cur.at, code, text}, true
}

const (
	abortWait  = 200 * time.Millisecond // for the OK to CAN
	promptWait = 3 * time.Second        // for the OK to AT: modems take 500 ms at most; one that stood still for a moment costs no call
	lateWait   = 100 * time.Millisecond // for results that crossed
)

// Abort leaves a receive or a wait for a carrier: CAN, and if no OK comes in 200 ms, AT and 3 s more. Late results
// (a CONNECT that crossed, a second OK) are eaten. [ErrNoReply] if the modem stays dumb.
func (c *Channel) Abort(ctx context.Context) error {
	c.event(">", "CAN")
	if err := c.write(ctx, []byte{can}); err != nil {
		return err
	}
	switch err := c.awaitOK(ctx, abortWait); {
	case err == nil:
		return nil
	case !errors.Is(err, ErrNoReply):
		return err
	}
	if err := c.Send(ctx, "AT"); err != nil {
		return err
	}
	if err := c.awaitOK(ctx, promptWait); err != nil {
		return fmt.Errorf("at: abort: %w", err)
	}
	// The OK may have been the late one to CAN: let the other come before the next command.
	if err := c.awaitOK(ctx, lateWait); err != nil && !errors.Is(err, ErrNoReply) {
		return err
	}
	return nil
}

// awaitOK waits for OK and passes over everything else.
func (c *Channel) awaitOK(ctx context.Context, within time.Duration) error {
	until := time.Now().Add(within)
	for {
		l, err := c.line(ctx, until)
		if err != nil {
			return err
		}
		if l.Code.Unsolicited() {
			c.keep(l)
		}
		if l.Code == OK {
			return nil
		}
	}
}
