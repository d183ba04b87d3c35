package receive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Server serves one receive connector.
type Server struct {
	cfg     Config
	backend Backend

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	perIP     map[netip.Prefix]int
	wg        sync.WaitGroup
}

// New returns a server for the connector.
func New(cfg Config, b Backend) (*Server, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	return &Server{
		cfg: cfg, backend: b,
		listeners: make(map[net.Listener]struct{}),
		sessions:  make(map[*session]struct{}),
		perIP:     make(map[netip.Prefix]int),
	}, nil
}

// Serve accepts connections until the context ends, Shutdown or Close is called (ErrServerClosed), or the listener
// fails for good. It closes the listener. The context is that of every call to the backend.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		l.Close()
		return ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	defer l.Close()
	pause := 5 * time.Millisecond
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			s.accept(ctx, conn)
		case s.isClosing():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("receive: accept: %w", err)
		default: // out of descriptors, a connection gone before accept: these pass
			s.cfg.Trace(Event{At: time.Now(), Connector: s.cfg.Name, Dir: "!", Text: "accept: " + err.Error()})
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
		}
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// accept starts a session unless a limit is reached.
func (s *Server) accept(ctx context.Context, conn net.Conn) {
	ip := clientAddr(conn)
	key := limitKey(ip)
	sess := newSession(s, conn, ip)
	s.mu.Lock()
	refusal := ""
	switch {
	case s.closing:
		refusal = "421 4.3.2 shutting down"
	case len(s.sessions) >= s.cfg.MaxConns:
		refusal = "421 4.7.0 too many connections, try again later"
	case s.perIP[key] >= s.cfg.MaxConnsPerIP:
		refusal = "421 4.7.0 too many connections from your address, try again later"
	default:
		s.sessions[sess] = struct{}{}
		s.perIP[key]++
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if refusal != "" {
		sess.trace("!", refusal)
		// The refusal fits any send buffer; a client that does not take it at once is cut off.
		conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		fmt.Fprintf(conn, "%s\r\n", refusal)
		conn.Close()
		return
	}
	go func() {
		defer s.wg.Done()
		defer s.release(sess, key)
		sess.serve(ctx)
	}()
}

func (s *Server) release(sess *session, key netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
	if s.perIP[key]--; s.perIP[key] <= 0 {
		delete(s.perIP, key)
	}
}

// Shutdown stops accepting, lets sessions finish the message they are in and waits for them; when the context ends it
// cuts the rest off and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, sess := range s.stopListening() {
		sess.wakeIdle()
	}
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.Close()
		return ctx.Err()
	}
}

// Close stops accepting and cuts all connections. Messages not yet committed are aborted.
func (s *Server) Close() error {
	for _, sess := range s.stopListening() {
		sess.cut()
	}
	return nil
}

func (s *Server) stopListening() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for l := range s.listeners {
		l.Close()
	}
	clear(s.listeners)
	list := make([]*session, 0, len(s.sessions))
	for sess := range s.sessions {
		list = append(list, sess)
	}
	return list
}

// clientAddr is the peer's address; a connection without one (tests, Unix sockets) is the loopback.
func clientAddr(conn net.Conn) netip.Addr {
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// limitKey is what one party holds: an IPv4 address, an IPv6 /64.
func limitKey(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}
