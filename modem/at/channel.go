package at

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tipring/tipring/t30"
)

const (
	readSize   = 4096
	maxUnread  = 256 << 10 // octets kept for a slow reader; then the modem is held by flow control
	maxPending = 32        // unsolicited lines kept
	maxIdle    = 100       // reads without an octet or error before the port is taken for broken
)

// Channel is the AT channel over one [Port]. A reader and a writer goroutine serve the port until it is lost or closed.
// Apart from Close, Purge, SetDTR, SetTrace, Lost, Err and Received, its methods are for one goroutine at a time.
type Channel struct {
	port  Port
	trace atomic.Pointer[func(t30.Event)]

	writes chan writeRequest
	more   chan struct{} // something arrived
	room   chan struct{} // something was taken
	gone   chan struct{} // closed when the port is lost
	heard  atomic.Int64

	mu     sync.Mutex
	in     []chunk
	unread int
	lost   error

	// Of the one goroutine that uses the channel:
	cur     chunk // being read
	scan    scanner
	pending []Line // unsolicited lines that came in between
	sent    string // the command whose echo may come
	gap     time.Duration
	ended   time.Time // of the last command: its result
}

type chunk struct {
	at time.Time
	b  []byte
}

type writeRequest struct {
	b    []byte
	done chan error
}

// NewChannel starts a channel on p and owns p from then on. trace gets every line in both directions; nil: nobody.
func NewChannel(p Port, trace func(t30.Event)) *Channel {
	c := &Channel{
		port:   p,
		writes: make(chan writeRequest),
		more:   make(chan struct{}, 1),
		room:   make(chan struct{}, 1),
		gone:   make(chan struct{}),
	}
	c.SetTrace(trace)
	go c.readLoop()
	go c.writeLoop()
	return c
}

// SetTrace sets who gets the transcript from now on; nil: nobody. f must not block.
func (c *Channel) SetTrace(f func(t30.Event)) {
	if f == nil {
		f = func(t30.Event) {}
	}
	c.trace.Store(&f)
}

// SetGap makes each command wait until d after the result before it.
func (c *Channel) SetGap(d time.Duration) { c.gap = d }

// Note puts a remark into the transcript.
func (c *Channel) Note(format string, args ...any) { c.event(t30.Note, fmt.Sprintf(format, args...)) }

func (c *Channel) event(d t30.Dir, text string) {
	(*c.trace.Load())(t30.Event{At: time.Now(), Layer: t30.LayerAT, Dir: d, Text: hidden(text)})
}

// SetDTR raises or drops DTR.
func (c *Channel) SetDTR(on bool) error {
	c.Note("DTR %t", on)
	if err := c.port.SetDTR(on); err != nil {
		return fmt.Errorf("at: set DTR: %w", err)
	}
	return nil
}

// Purge discards what waits to be sent to the modem, as far as the port can.
func (c *Channel) Purge() {
	if p, ok := c.port.(Purger); ok {
		if err := p.Purge(); err != nil {
			c.Note("purge: %v", err)
		}
	}
}

// Close closes the port. Running and later calls return [ErrPortLost].
func (c *Channel) Close() error {
	c.lose(os.ErrClosed)
	return c.port.Close()
}

// Lost is closed when the port is lost or closed.
func (c *Channel) Lost() <-chan struct{} { return c.gone }

// Received is how many octets came from the port since the channel began.
func (c *Channel) Received() int64 { return c.heard.Load() }

// Err returns why the port was lost, nil if it was not.
func (c *Channel) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

func (c *Channel) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = fmt.Errorf("%w: %w", ErrPortLost, err)
		close(c.gone)
	}
}

func (c *Channel) readLoop() {
	buf := make([]byte, readSize)
	for idle := 0; ; {
		n, err := c.port.Read(buf)
		if n > 0 {
			idle = 0
			c.heard.Add(int64(n))
			if !c.deliver(chunk{time.Now(), append([]byte(nil), buf[:n]...)}) {
				return
			}
		} else if idle++; idle > maxIdle && err == nil {
			err = io.ErrNoProgress
		}
		if err != nil {
			c.lose(err)
			return
		}
	}
}

// deliver queues ch for the user, waiting for room; false if the port was lost meanwhile.
func (c *Channel) deliver(ch chunk) bool {
	for {
		c.mu.Lock()
		if c.unread < maxUnread {
			c.in = append(c.in, ch)
			c.unread += len(ch.b)
			c.mu.Unlock()
			signal(c.more)
			return true
		}
		c.mu.Unlock()
		select {
		case <-c.room:
		case <-c.gone:
			return false
		}
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (c *Channel) writeLoop() {
	for {
		select {
		case r := <-c.writes:
			for len(r.b) > 0 {
				n, err := c.port.Write(r.b)
				if err == nil && n == 0 {
					err = io.ErrShortWrite
				}
				if err != nil {
					c.lose(err)
					break
				}
				r.b = r.b[n:]
			}
			r.done <- c.Err()
		case <-c.gone:
			return
		}
	}
}

// write hands b to the port. It returns when the port has taken it all, or at once when ctx ends or the port is lost; a
// write abandoned so goes on by itself until the port takes it.
func (c *Channel) write(ctx context.Context, b []byte) error {
	r := writeRequest{append([]byte(nil), b...), make(chan error, 1)}
	select {
	case c.writes <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.gone:
		return c.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.gone:
		return c.Err()
	}
}

// fill makes c.cur hold octets, waiting until the time given; the zero time means without limit. What came later than that does not
// count: a port that never falls silent (a receiver of satellite positions, a console) ends no wait.
func (c *Channel) fill(ctx context.Context, until time.Time) error {
	var expired <-chan time.Time
	for {
		if c.take() {
			if !until.IsZero() && c.cur.at.After(until) {
				return ErrNoReply
			}
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if expired == nil && !until.IsZero() {
			t := time.NewTimer(time.Until(until))
			defer t.Stop()
			expired = t.C
		}
		select {
		case <-c.more:
		case <-ctx.Done():
			return ctx.Err()
		case <-expired:
			return ErrNoReply
		case <-c.gone:
			if c.take() { // what came before the loss still counts
				continue
			}
			return c.Err()
		}
	}
}

// takeBefore is take for what came until now at the latest, so that a loop over it ends on a port that never falls silent.
func (c *Channel) takeBefore(now time.Time) bool { return c.take() && !c.cur.at.After(now) }

// take moves to the next chunk when the current one is used up; false if there is none.
func (c *Channel) take() bool {
	if len(c.cur.b) > 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) == 0 {
		return false
	}
	c.cur = c.in[0]
	c.in[0] = chunk{}
	c.in = c.in[1:]
	c.unread -= len(c.cur.b)
	signal(c.room)
	return true
}
