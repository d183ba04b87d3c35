package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// lookup returns the records of one type, from the cache or a server.
func (c *Client) lookup(ctx context.Context, name string, qtype uint16) ([]dns.RR, error) {
	a, err := c.answer(ctx, name, qtype)
	return a.records, err
}

// answer is lookup with all that was learned; the error is the answer's own, or ErrTemporary.
func (c *Client) answer(ctx context.Context, name string, qtype uint16) (answer, error) {
	what := dns.TypeToString[qtype] + " " + shorten(name)
	name, ok := wireName(name)
	if !ok {
		return answer{}, fmt.Errorf("resolve: %s: %w", what, ErrBadName)
	}
	key := cacheKey{name: name, qtype: qtype}
	if a, ok := c.cache.get(key, time.Now()); ok {
		return a, wrap(what, a.err)
	}
	servers, err := c.serverList()
	if err != nil {
		return answer{}, wrap(what, err)
	}
	var last error
	for range c.cfg.Rounds {
		for _, server := range servers {
			a, err := c.ask(ctx, server, key)
			if err == nil {
				c.cache.put(key, a, time.Now())
				return a, wrap(what, a.err)
			}
			if ctx.Err() != nil {
				return answer{}, fmt.Errorf("resolve: %s: %w: %w", what, ErrTemporary, ctx.Err())
			}
			last = err
		}
	}
	return answer{}, fmt.Errorf("resolve: %s: %w: %w", what, ErrTemporary, last)
}

// wireName is a name as answers will have it: lower case, the final dot, and escaped what the presentation format escapes,
// like the "@" that a macro of SPF puts into a name. Blanks must come escaped, else they are somebody's mistake.
func wireName(name string) (string, bool) {
	if name == "" || strings.ContainsAny(strings.ReplaceAll(name, `\ `, ""), " \t\r\n\x00") {
		return "", false
	}
	wire := make([]byte, 256)
	if _, err := dns.PackDomainName(dns.Fqdn(name), wire, 0, nil, false); err != nil {
		return "", false
	}
	name, _, err := dns.UnpackDomainName(wire, 0)
	return strings.ToLower(name), err == nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("resolve: %s: %w", what, err)
}

func shorten(s string) string {
	if len(s) > 255 {
		return s[:64] + "..."
	}
	return s
}

// errAnswer is returned when a server's answer settles nothing.
var errAnswer = errors.New("unusable answer")

// ask puts one question to one server, over TCP when the answer does not fit a datagram.
func (c *Client) ask(ctx context.Context, server string, key cacheKey) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	q := new(dns.Msg)
	q.SetQuestion(key.name, key.qtype)
	q.SetEdns0(udpSize, false)
	q.AuthenticatedData = true // RFC 6840 5.7: asks for the AD bit, without the signatures
	r, err := exchange(ctx, "udp", server, q)
	if err == nil && r.Truncated {
		r, err = exchange(ctx, "tcp", server, q)
	}
	if err != nil {
		return answer{}, fmt.Errorf("server %s: %w", server, err)
	}
	secure := c.authentic(server, r)
	switch r.Rcode {
	case dns.RcodeSuccess:
		records, owner, ttl := pick(r, key)
		if len(records) == 0 {
			return answer{err: ErrNoData, owner: owner, secure: secure, ttl: negativeTTL(r)}, nil
		}
		return answer{records: records, owner: owner, secure: secure, ttl: min(max(ttl, minTTL), maxTTL)}, nil
	case dns.RcodeNameError:
		return answer{err: ErrNXDomain, owner: key.name, secure: secure, ttl: negativeTTL(r)}, nil
	}
	return answer{}, fmt.Errorf("server %s: %w: %s", server, errAnswer, dns.RcodeToString[r.Rcode])
}

// authentic tells whether an answer has the AD bit of a server whose word counts. Over a network anybody on the path could
// have set it (RFC 4035 4.9.3).
func (c *Client) authentic(server string, r *dns.Msg) bool {
	ap, err := netip.ParseAddrPort(server)
	return r.AuthenticatedData && !c.cfg.NoAD && (c.cfg.TrustAD || err == nil && ap.Addr().Unmap().IsLoopback())
}

// exchange is one query and its answer; a cancelled context ends it at once. Datagrams that answer something else are
// skipped, as an attacker may send them faster than the server.
func exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	client := dns.Client{Net: network, UDPSize: udpSize}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		conn.SetDeadline(d)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.WriteMsg(q); err != nil {
		return nil, err
	}
	for range 16 {
		r, err := conn.ReadMsg()
		var netErr interface{ Timeout() bool }
		if err != nil && (r == nil || network != "udp" || errors.As(err, &netErr)) {
			return nil, err
		}
		if err == nil && answers(r, q) {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%w: 16 datagrams that answer something else", errAnswer)
}

func answers(r, q *dns.Msg) bool {
	return r.Response && r.Id == q.Id && len(r.Question) == 1 &&
		strings.EqualFold(r.Question[0].Name, q.Question[0].Name) &&
		r.Question[0].Qtype == q.Question[0].Qtype && r.Question[0].Qclass == dns.ClassINET
}

// pick takes the records of the asked type, following the CNAMEs of the answer, the name they stand at, and their
// shortest TTL.
func pick(r *dns.Msg, key cacheKey) ([]dns.RR, string, time.Duration) {
	owner, ttl := key.name, uint32(maxTTL/time.Second)
	for range maxChain {
		var records []dns.RR
		next := ""
		for _, rr := range r.Answer {
			h := rr.Header()
			if !strings.EqualFold(h.Name, owner) || h.Class != dns.ClassINET {
				continue
			}
			if h.Rrtype == key.qtype && len(records) < maxRecords {
				records = append(records, rr)
				ttl = min(ttl, h.Ttl)
			} else if cname, ok := rr.(*dns.CNAME); ok {
				next = cname.Target
				ttl = min(ttl, h.Ttl)
			}
		}
		if len(records) > 0 || next == "" {
			return records, owner, time.Duration(ttl) * time.Second
		}
		owner = next
	}
	return nil, owner, 0
}

// negativeTTL is the time a "no" is kept (RFC 2308 5).
func negativeTTL(r *dns.Msg) time.Duration {
	for _, rr := range r.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl := time.Duration(min(soa.Minttl, soa.Hdr.Ttl)) * time.Second
			return min(max(ttl, minTTL), maxNegativeTTL)
		}
	}
	return minTTL
}
