package resolve

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Config of a Client. The zero value asks the servers of /etc/resolv.conf.
type Config struct {
	Servers    []string      // "address" or "address:port" (53); empty: the nameservers of ResolvConf
	ResolvConf string        // default /etc/resolv.conf; read again when it changes
	Timeout    time.Duration // for one try at one server, default 3 s
	Rounds     int           // how often the list of servers is gone through, default 2
	CacheSize  int           // most cached answers, default 4096
	// TrustAD believes the AD bit of every server, like resolv.conf's option trust-ad. Without it only a server on a
	// loopback address is believed, as its answers cannot be changed on the way. A validating resolver elsewhere needs a
	// path nobody can tamper with (RFC 4035 4.9.3, RFC 7672 2.2).
	TrustAD bool
	// NoAD believes no server's AD bit, also not on a loopback address: it may be a forwarder that does not validate.
	NoAD bool
}

// The bounds of what the cache believes.
const (
	maxTTL         = time.Hour       // a longer TTL is cut, so that a change is seen within the hour
	minTTL         = 5 * time.Second // a shorter one is raised: one message asks the same thing several times
	maxNegativeTTL = 5 * time.Minute // RFC 2308 5 allows hours; a missing record is often being added right now
	maxRecords     = 100             // records taken of one answer
	maxChain       = 8               // CNAMEs followed in one answer
	udpSize        = 1232            // EDNS0 buffer that fits any path without fragments
)

// Client is a Resolver that asks recursive servers. It is safe for concurrent use.
type Client struct {
	cfg   Config
	cache *cache

	mu      sync.Mutex
	servers []string
	confMod time.Time
}

// New returns a Client. It fails when a configured server is no address, never because DNS is down.
func New(cfg Config) (*Client, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	cfg.Rounds = cmp.Or(cfg.Rounds, 2)
	cfg.CacheSize = cmp.Or(cfg.CacheSize, 4096)
	cfg.ResolvConf = cmp.Or(cfg.ResolvConf, "/etc/resolv.conf")
	c := &Client{cfg: cfg, cache: newCache(cfg.CacheSize)}
	for _, s := range cfg.Servers {
		addr, err := serverAddr(s, "53")
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, addr)
	}
	return c, nil
}

// serverAddr adds the port; names are not allowed, as nobody could resolve them.
func serverAddr(s, port string) (string, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.String(), nil
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return "", fmt.Errorf("resolve: DNS server %q is not an IP address", s)
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// serverList returns the servers to ask now. DHCP rewrites resolv.conf while we run.
func (c *Client) serverList() ([]string, error) {
	if len(c.cfg.Servers) > 0 {
		return c.servers, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st, err := os.Stat(c.cfg.ResolvConf)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	if st.ModTime().Equal(c.confMod) && len(c.servers) > 0 {
		return c.servers, nil
	}
	conf, err := dns.ClientConfigFromFile(c.cfg.ResolvConf)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	var list []string
	for _, s := range conf.Servers {
		if a, err := serverAddr(s, conf.Port); err == nil {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no nameserver in %s", ErrTemporary, c.cfg.ResolvConf)
	}
	c.servers, c.confMod = list, st.ModTime()
	return list, nil
}

// MX implements Resolver.
func (c *Client) MX(ctx context.Context, domain string) ([]MX, error) {
	list, _, err := c.MXAuthentic(ctx, domain)
	return list, err
}

// MXAuthentic implements Resolver.
func (c *Client) MXAuthentic(ctx context.Context, domain string) ([]MX, bool, error) {
	a, err := c.answer(ctx, domain, dns.TypeMX)
	if err != nil {
		return nil, a.secure, err
	}
	var list []MX
	for _, rr := range a.records {
		if mx, ok := rr.(*dns.MX); ok {
			list = append(list, MX{Host: canonical(mx.Mx), Preference: mx.Preference})
		}
	}
	if len(list) == 1 && list[0].Host == "" {
		return nil, a.secure, fmt.Errorf("resolve: MX %s: %w", domain, ErrNullMX)
	}
	list = slices.DeleteFunc(list, func(m MX) bool { return m.Host == "" })
	slices.SortStableFunc(list, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
	return list, a.secure, nil
}

// TXT implements Resolver.
func (c *Client) TXT(ctx context.Context, name string) ([]string, error) {
	rrs, err := c.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, rr := range rrs {
		if t, ok := rr.(*dns.TXT); ok {
			list = append(list, unescape(strings.Join(t.Txt, "")))
		}
	}
	return list, nil
}

// PTR implements Resolver.
func (c *Client) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	name, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return nil, fmt.Errorf("resolve: PTR: %w", ErrBadName)
	}
	rrs, err := c.lookup(ctx, name, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, rr := range rrs {
		if p, ok := rr.(*dns.PTR); ok {
			list = append(list, canonical(p.Ptr))
		}
	}
	return list, nil
}

func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// unescape undoes the presentation format miekg/dns keeps strings in: \DDD and \X.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) && isDigits(s[i+1:i+4]) {
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
			continue
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
