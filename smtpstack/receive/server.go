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
	perIP     map[netip.Prefix]int // connections by client and by network
	wg        sync.WaitGroup

	meter     *meter
	authSlots chan struct{}
	closed    chan struct{} // when closing
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
		meter:     newMeter(maxBuckets),
		authSlots: make(chan struct{}, authChecks),
		closed:    make(chan struct{}),
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

// accept starts a session if there is a place.
func (s *Server) accept(ctx context.Context, conn net.Conn) {
	ip := clientAddr(conn)
	sess := newSession(s, conn, ip)
	s.mu.Lock()
	refusal := ""
	switch {
	case s.closing:
		refusal = "421 4.3.2 shutting down"
	case len(s.cfg.Proxies) > 0 && !containsAddr(s.cfg.Proxies, ip):
		refusal = "554 5.7.1 this port is for our proxy"
	case len(s.sessions) >= s.cfg.MaxConns:
		refusal = "421 4.7.0 too many connections, try again later"
	case len(s.cfg.Proxies) == 0 && !s.count(sess): // behind a proxy its header must be read first
		refusal = tooManyConns
	default:
		s.sessions[sess] = struct{}{}
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if refusal != "" {
		sess.trace("!", refusal)
		// The refusal fits any send buffer; a client that does not take it at once is cut off.
		conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if !s.cfg.ImplicitTLS {
			fmt.Fprintf(conn, "%s\r\n", refusal)
		}
		conn.Close()
		return
	}
	go func() {
		defer s.wg.Done()
		defer s.release(sess)
		sess.serve(ctx)
	}()
}

const tooManyConns = "421 4.7.0 too many connections from your address, try again later"

// count gives the client a place unless it or its network has too many. The caller holds the lock.
func (s *Server) count(sess *session) bool {
	client, network := limitKey(sess.ip), networkOf(sess.ip)
	if s.perIP[client] >= s.cfg.MaxConnsPerIP || s.perIP[network] >= networkFactor*s.cfg.MaxConnsPerIP {
		return false
	}
	s.perIP[client]++
	s.perIP[network]++
	sess.counted = true
	return true
}

// admit says whether the client, who is known now, may begin; else the reply.
func (s *Server) admit(sess *session) (refusal string) {
	s.mu.Lock()
	ok := sess.counted || s.count(sess)
	s.mu.Unlock()
	switch l := &s.cfg.Limits; {
	case !ok:
		return tooManyConns
	case !sess.spend(newConn, l.ConnsPerMinute, time.Minute):
		return "421 4.7.0 too many connections in a minute, try again later"
	case sess.spent(badReply, l.ErrorsPerHour, time.Hour):
		return "421 4.7.0 too many errors, try again later"
	}
	return ""
}

// crowded tells whether most places are taken.
func (s *Server) crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.MaxConns >= 5 && len(s.sessions) > s.cfg.MaxConns*4/5
}

func (s *Server) release(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
	if !sess.counted {
		return
	}
	for _, key := range []netip.Prefix{limitKey(sess.ip), networkOf(sess.ip)} {
		if s.perIP[key]--; s.perIP[key] <= 0 {
			delete(s.perIP, key)
		}
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
	if !s.closing {
		close(s.closed)
	}
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
