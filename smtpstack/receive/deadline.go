package receive

import (
	"net"
	"sync"
	"time"
)

// deadlineConn sets a deadline for each read and write, so that data may take long but silence may not. While idle
// (waiting for a command) a shutdown may interrupt it.
type deadlineConn struct {
	net.Conn
	write time.Duration
	end   time.Time // of the whole connection

	mu          sync.Mutex
	read        time.Duration // for the next reads
	phaseEnd    time.Time     // of all reads of this phase
	idle        bool
	interrupted bool
}

func (c *deadlineConn) beginIdle(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = true
	c.read, c.phaseEnd = d, time.Now().Add(d) // a command dripped in slowly has no longer
	return !c.interrupted
}

func (c *deadlineConn) endIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = false
}

// beginData allows d between two pieces and total for all.
func (c *deadlineConn) beginData(d, total time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.phaseEnd = d, time.Now().Add(total)
}

func (c *deadlineConn) interruptIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	if c.idle {
		c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *deadlineConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	d := time.Now().Add(c.read)
	for _, limit := range []time.Time{c.phaseEnd, c.end} {
		if limit.Before(d) {
			d = limit
		}
	}
	if c.idle && c.interrupted {
		d = time.Unix(1, 0)
	}
	c.Conn.SetReadDeadline(d)
	c.mu.Unlock()
	return c.Conn.Read(b)
}

func (c *deadlineConn) Write(b []byte) (int, error) {
	c.Conn.SetWriteDeadline(time.Now().Add(c.write))
	return c.Conn.Write(b)
}

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing: crypto/tls must not undo ours.
func (c *deadlineConn) SetDeadline(time.Time) error      { return nil }
func (c *deadlineConn) SetReadDeadline(time.Time) error  { return nil }
func (c *deadlineConn) SetWriteDeadline(time.Time) error { return nil }
