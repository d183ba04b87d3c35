package exchange

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"time"
)

// Service is one of the service's two SMTP faces.
type Service int

// The services.
const (
	EOP        Service = iota // mail exchanger, port 25
	Submission                // client submission, port 587
)

// The names in the servers' certificates and greetings.
const (
	EOPHost        = "contoso-com.mail.protection.outlook.com"
	SubmissionHost = "smtp.office365.com"
	LoginHost      = "login.microsoftonline.com"
)

// Message is one accepted mail.
type Message struct {
	Service   Service
	At        time.Time
	From      string
	MailParam string // parameters of MAIL, as given
	To        []string
	RcptParam []string // parallel to To
	Connector string   // inbound connector that matched, "" for anonymous mail
	Mailbox   string   // signed-in mailbox of a submission
	TLS       bool
	Data      []byte
	// Delayed: over 30 messages a minute, so the service would hold it back ("carried over to the following minutes").
	Delayed bool
}

// Peer is the running service. It is safe for concurrent use.
type Peer struct {
	world World
	pki   *pki
	key   []byte // with which its tokens are signed

	mu       sync.Mutex
	messages []Message
	broken   map[Rule]int
	counts   *counts
	tokens   *tokens

	servers sync.WaitGroup
	closers []func()
}

// New makes the service of a world. It listens nowhere yet: see [Peer.Listen] and [Peer.Dial].
func New(w World) (*Peer, error) {
	keys, err := newPKI(EOPHost, SubmissionHost, LoginHost)
	if err != nil {
		return nil, err
	}
	p := &Peer{world: w, pki: keys, key: make([]byte, 32), broken: make(map[Rule]int), counts: newCounts(), tokens: newTokens()}
	if _, err := rand.Read(p.key); err != nil {
		return nil, err
	}
	return p, nil
}

// Change edits the world between two dialogues, as an administrator would.
func (p *Peer) Change(f func(*World)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.world)
}

// Roots is the certificate authority the peer's servers and the test's clients have in common.
func (p *Peer) Roots() *x509.CertPool { return p.pki.roots }

// Listen serves on a free port of a loopback address until Close.
func (p *Peer) Listen(s Service) (addr string, err error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("exchange: %w", err)
	}
	p.mu.Lock()
	p.closers = append(p.closers, func() { l.Close() })
	p.mu.Unlock()
	p.servers.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			ip := netip.Addr{}
			if ap, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
				ip = ap.Addr().Unmap()
			}
			p.servers.Go(func() { p.Serve(nc, s, ip) })
		}
	})
	return l.Addr().String(), nil
}

// Dial opens a connection inside the process, for tests in virtual time; from is the client's address.
func (p *Peer) Dial(s Service, from netip.Addr) net.Conn {
	client, server := net.Pipe()
	p.servers.Go(func() { p.Serve(newBuffered(server), s, from) })
	return client
}

// Serve has one dialogue and closes the connection.
func (p *Peer) Serve(nc net.Conn, svc Service, from netip.Addr) {
	p.mu.Lock()
	if real, ok := p.world.ClientAddr[from]; ok {
		from = real
	}
	p.mu.Unlock()
	s := newSession(p, nc, svc, from)
	defer s.end()
	s.serve()
}

// Transport answers HTTPS requests to the token endpoint inside the process.
func (p *Peer) Transport() http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme != "https" || r.URL.Host != LoginHost {
			return nil, fmt.Errorf("exchange: nothing answers at %s", r.URL.Host)
		}
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		w := httptest.NewRecorder()
		p.TokenHandler().ServeHTTP(w, r)
		return w.Result(), nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Messages returns the accepted mails so far.
func (p *Peer) Messages() []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Message(nil), p.messages...)
}

// Applied says how often a rule has answered.
func (p *Peer) Applied(r Rule) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken[r]
}

// Close stops the listeners and waits for the dialogues to end.
func (p *Peer) Close() {
	p.mu.Lock()
	closers := p.closers
	p.closers = nil
	p.mu.Unlock()
	for _, f := range closers {
		f()
	}
	p.servers.Wait()
}

// buffered is a pipe's end whose writes never wait for the other side, as a socket's do not.
type buffered struct {
	net.Conn
	mu     sync.Mutex
	wake   chan struct{}
	queue  []byte
	closed bool
	idle   chan struct{}
}

func newBuffered(nc net.Conn) *buffered {
	b := &buffered{Conn: nc, wake: make(chan struct{}, 1), idle: make(chan struct{})}
	go b.drain()
	return b
}

func (b *buffered) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	b.queue = append(b.queue, data...)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return len(data), nil
}

func (b *buffered) drain() {
	defer close(b.idle)
	defer b.Conn.Close()
	for range b.wake {
		for {
			b.mu.Lock()
			data, closed := b.queue, b.closed
			b.queue = nil
			b.mu.Unlock()
			if len(data) == 0 {
				if closed {
					return
				}
				break
			}
			if _, err := b.Conn.Write(data); err != nil {
				return
			}
		}
	}
}

// SetWriteDeadline does nothing: a write never blocks. The deadline in the past that crypto/tls sets behind its closing alert would take
// away what is still on its way out.
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline bounds reads only.
func (b *buffered) SetDeadline(t time.Time) error { return b.Conn.SetReadDeadline(t) }

// Close lets what was written go out first.
func (b *buffered) Close() error {
	b.mu.Lock()
	already := b.closed
	b.closed = true
	select {
	case b.wake <- struct{}{}:
	default:
	}
	b.mu.Unlock()
	if already {
		return nil
	}
	b.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	<-b.idle
	return nil
}

// serverTLS is the configuration of a service: it asks for a client certificate and takes old versions too, to refuse them
// in SMTP (4.7.66).
func (p *Peer) serverTLS(svc Service) *tls.Config {
	cert := p.pki.servers[EOPHost]
	if svc == Submission {
		cert = p.pki.servers[SubmissionHost]
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS10,
		CipherSuites: append(suites(tls.CipherSuites()), suites(tls.InsecureCipherSuites())...)}
}

func suites(list []*tls.CipherSuite) []uint16 {
	var ids []uint16
	for _, s := range list {
		ids = append(ids, s.ID)
	}
	return ids
}

// certNames are the names of a client certificate, if its chain as sent leads to a trusted root.
func (p *Peer) certNames(st *tls.ConnectionState) []string {
	names, err := p.pki.verifyClient(st.PeerCertificates)
	if err != nil {
		return nil
	}
	return names
}

var errNoCertificate = errors.New("no certificate")
