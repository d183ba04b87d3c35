package receive

import (
	"net"
	"sync"
)

// conversation is the connection one go-smtp server sees. Closing it ends the conversation, not the connection: after
// STARTTLS another follows on the same wire.
type conversation struct {
	net.Conn // addresses
	wire     *wire
	once     sync.Once
	closed   chan struct{}
}

func (c *conversation) Read(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
		return c.wire.Read(b)
	}
}

func (c *conversation) Write(b []byte) (int, error) { return c.wire.Write(b) }

func (c *conversation) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// oneListener accepts one conversation and then waits for its end.
type oneListener struct {
	conn  *conversation
	taken bool
}

func (l *oneListener) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.conn.closed
	return nil, net.ErrClosed
}

func (l *oneListener) Close() error   { return l.conn.Close() }
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }
