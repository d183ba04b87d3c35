package receive

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// crowd connects clients with addresses of their own to one server, over pipes, in virtual time.
type crowd struct {
	t   *testing.T
	srv *Server
}

func newCrowd(t *testing.T, cfg Config, b Backend) *crowd {
	cfg.Networks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	srv, err := New(cfg, b)
	if err != nil {
		t.Fatal(err)
	}
	return &crowd{t, srv}
}

func (c *crowd) connect(ip string) *client {
	nc, server := net.Pipe()
	c.srv.accept(context.Background(), pipeFrom{server, ip})
	c.t.Cleanup(func() { nc.Close() })
	return &client{t: c.t, nc: nc, r: bufio.NewReader(nc)}
}

type pipeFrom struct {
	net.Conn
	ip string
}

func (p pipeFrom) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(p.ip), 1))
}

func (c *client) quit() {
	c.t.Helper()
	c.cmd("QUIT", "221")
	c.closed()
}

func TestLimits_ConnsPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Limits.ConnsPerMinute = 3
		cr := newCrowd(t, cfg, &memory{})
		try := func(ip, want string) {
			t.Helper()
			c := cr.connect(ip)
			c.expect(want)
			if strings.HasPrefix(want, "220") {
				c.quit()
			} else {
				c.closed()
			}
		}
		for range 3 {
			try("192.0.2.1", "220 ")
			try("2001:db8::1", "220 ")
		}
		try("192.0.2.1", "421 4.7.0 too many connections in a minute")
		try("2001:db8::2", "421 4.7.0") // the same /64
		try("192.0.2.2", "220 ")
		time.Sleep(20 * time.Second) // a third of the minute, one of three
		try("192.0.2.1", "220 ")
		try("192.0.2.1", "421 4.7.0")
		time.Sleep(time.Hour)
		for i := range 12 { // the network's share: four times as many
			try(fmt.Sprintf("198.51.100.%d", i), "220 ")
		}
		try("198.51.100.100", "421 4.7.0")
		try("198.51.101.100", "220 ")
	})
}

func TestLimits_ConnsPerNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxConnsPerIP = 2
		cr := newCrowd(t, cfg, &memory{})
		var open []*client
		for i := range 8 {
			c := cr.connect(fmt.Sprintf("192.0.2.%d", i/2))
			c.expect("220 ")
			open = append(open, c)
		}
		// Nobody reads the refusal on this pipe, which has no buffer: the server does not wait for that.
		began := time.Now()
		cr.connect("192.0.2.99").closed()
		if d := time.Since(began); d > time.Second {
			t.Errorf("the refusal took %v", d)
		}
		other := cr.connect("198.51.100.1")
		other.expect("220 ")
		for _, c := range append(open, other) {
			c.quit()
		}
		synctest.Wait()
		again := cr.connect("192.0.2.99")
		again.expect("220 ")
		again.quit()
		synctest.Wait()
		if len(cr.srv.perIP) != 0 || len(cr.srv.sessions) != 0 {
			t.Errorf("left over: %v", cr.srv.perIP)
		}
	})
}

func TestLimits_MessagesAndRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Limits = Limits{MessagesPerMinute: 2, RecipientsPerHour: 5}
		b := &memory{}
		cr := newCrowd(t, cfg, b)
		c := cr.connect("192.0.2.1")
		c.expect("220 ")
		c.cmd("EHLO x", "250 ")
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		c.cmd("RCPT TO:<1@fax.example.com>", "250")
		c.cmd("RCPT TO:<2@elsewhere.test>", "550") // not counted
		c.cmd("RSET", "250")
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		for range 4 {
			c.cmd("RCPT TO:<1@fax.example.com>", "250")
		}
		c.cmd("RCPT TO:<1@fax.example.com>", "450 4.7.1 too many recipients")
		c.cmd("DATA", "354") // those taken are taken
		c.send(".\r\n")
		c.expect("250")
		c.cmd("MAIL FROM:<jane@example.com>", "450 4.7.1 too many messages")
		time.Sleep(30 * time.Second)
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		c.cmd("RCPT TO:<1@fax.example.com>", "450 4.7.1")
		time.Sleep(4 * time.Minute)
		c.cmd("RSET", "250")
		time.Sleep(4 * time.Minute)
		c.cmd("RSET", "250")
		time.Sleep(4 * time.Minute)
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		c.cmd("RCPT TO:<1@fax.example.com>", "250")
		c.quit()
	})
}

// TestLimits_Errors: who does nothing but err is sent away, and when he comes back as well, until some time has passed.
func TestLimits_Errors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Limits.ErrorsPerHour = 30
		cr := newCrowd(t, cfg, &memory{})
		c := cr.connect("192.0.2.1")
		c.expect("220 ")
		for range maxErrors + 1 {
			c.cmd("NONSENSE", "500")
		}
		c.expect("421 4.7.0 too many errors")
		c.closed()
		c = cr.connect("192.0.2.1")
		c.expect("220 ")
		for range 30 - (maxErrors + 1) {
			c.cmd("NONSENSE", "500")
		}
		c.cmd("NONSENSE", "500")
		c.expect("421 4.7.0")
		c.closed()
		c = cr.connect("192.0.2.1")
		c.expect("421 4.7.0 too many errors, try again later")
		c.closed()
		c = cr.connect("192.0.2.2")
		c.expect("220 ")
		c.quit()
		time.Sleep(10 * time.Minute)
		c = cr.connect("192.0.2.1")
		c.expect("220 ")
		c.quit()
	})
}

func TestLimits_None(t *testing.T) {
	cfg := testConfig()
	cfg.Limits = Limits{ConnsPerMinute: -1, MessagesPerMinute: -1, RecipientsPerHour: -1, ErrorsPerHour: -1, FailedSignInsPerHour: -1}
	srv, err := New(cfg, &memory{})
	if err != nil {
		t.Fatal(err)
	}
	sess := &session{srv: srv, cfg: &srv.cfg, ip: netip.MustParseAddr("192.0.2.1")}
	for range 1000 {
		if !sess.spend(newConn, srv.cfg.Limits.ConnsPerMinute, time.Minute) || sess.spent(newConn, srv.cfg.Limits.ConnsPerMinute, time.Minute) {
			t.Fatal("limited all the same")
		}
	}
	if len(srv.meter.buckets) != 0 {
		t.Error("counted though nothing is limited")
	}
}

func TestMeter_Bounded(t *testing.T) {
	m := newMeter(100)
	key := func(i int) meterKey {
		return meterKey{newConn, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)}
	}
	for i := range 10_000 {
		m.take(key(i), 5, time.Minute)
		m.take(key(0), 5, time.Minute) // one who is always there is not forgotten
	}
	if len(m.buckets) != 100 || m.order.Len() != 100 {
		t.Errorf("%d buckets, %d in order", len(m.buckets), m.order.Len())
	}
	if m.has(key(0), 5, time.Minute) || !m.has(key(9_000), 5, time.Minute) || m.used(key(9_999), 5, time.Minute) != 1 {
		t.Error("the wrong ones were forgotten")
	}
}

// TestCrowded_LessPatience: when most places are taken, the silent ones are sent away sooner.
func TestCrowded_LessPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxConns = 10
		cr := newCrowd(t, cfg, &memory{})
		began := time.Now()
		var open []*client
		for i := range 9 {
			c := cr.connect(fmt.Sprintf("10.%d.0.1", i))
			c.expect("220 ")
			synctest.Wait()
			open = append(open, c)
		}
		// The ninth found the place crowded when its wait began; the first did not.
		open[8].expect("421 4.4.2 timeout")
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("crowded: after %v", d)
		}
		open[8].closed()
		open[0].expect("421 4.4.2 timeout")
		if d := time.Since(began); d != 5*time.Minute {
			t.Errorf("with places left: after %v", d)
		}
		for _, c := range open[1:8] {
			c.expect("421")
		}
	})
}

// TestLimits_SharedHosts: errors that one customer of a provider provokes do not keep the others out.
func TestLimits_SharedHosts(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.ErrorsPerHour = 5
	set := &loopbackSet{}
	set.open.Store(true)
	cfg.Networks, cfg.NetworkSets = nil, []NetworkSet{set}
	_, addr := start(t, cfg, &memory{})
	for range 3 {
		c := dial(t, addr)
		c.expect("220 ")
		for range maxErrors + 1 { // this connection's limit holds
			c.cmd("NONSENSE", "500")
		}
		c.expect("421 4.7.0 too many errors")
		c.closed()
	}
}
