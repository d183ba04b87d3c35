package verify

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// zone is what the tests' DNS server knows: the records of a name in lower case with the final dot.
type zone map[string]*zoneName

type zoneName struct {
	records []dns.RR
	timeout bool     // what is not there is not answered
	fail    bool     // SERVFAIL
	late    []dns.RR // answers for what neither records nor timeout settle
}

func (z zone) at(name string) *zoneName {
	name = strings.ToLower(dns.Fqdn(name))
	if z[name] == nil {
		z[name] = new(zoneName)
	}
	return z[name]
}

func (z zone) txt(name string, strs ...string) {
	z.at(name).records = append(z.at(name).records, txtRecord(name, strs))
}

func txtRecord(name string, strs []string) dns.RR {
	var cut []string
	for _, s := range strs {
		for ; len(s) > 200; s = s[200:] {
			cut = append(cut, escapeTXT(s[:200]))
		}
		cut = append(cut, escapeTXT(s))
	}
	return &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: cut}
}

// octets is a name of which no character has a meaning of its own, as the server will be asked for it.
func octets(name string) string {
	return strings.NewReplacer(`\`, `\\`, " ", `\ `, "@", `\@`, "'", `\'`).Replace(name)
}

func escapeTXT(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

func (z zone) addr(name string, ips ...string) {
	name = octets(name)
	for _, s := range ips {
		h := dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}
		ip := net.ParseIP(s)
		var rr dns.RR = &dns.A{Hdr: h, A: ip}
		if strings.Contains(s, ":") {
			h.Rrtype = dns.TypeAAAA
			rr = &dns.AAAA{Hdr: h, AAAA: ip}
		}
		z.at(name).records = append(z.at(name).records, rr)
	}
}

func (z zone) mx(name string, pref uint16, host string) {
	z.at(name).records = append(z.at(name).records,
		&dns.MX{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 60}, Preference: pref, Mx: dns.Fqdn(host)})
}

func (z zone) ptr(name, host string) {
	if ip, err := netip.ParseAddr(name); err == nil {
		name, _ = dns.ReverseAddr(ip.String())
	}
	z.at(name).records = append(z.at(name).records,
		&dns.PTR{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 60}, Ptr: dns.Fqdn(host)})
}

func (z zone) cname(name, target string) {
	z.at(name).records = append(z.at(name).records,
		&dns.CNAME{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: dns.Fqdn(target)})
}

// answer fills in a reply; false is silence.
func (z zone) answer(q dns.Question, m *dns.Msg) bool {
	name := strings.ToLower(q.Name)
	for range 9 {
		n := z[name]
		if n == nil {
			if !slices.ContainsFunc(mapKeys(z), func(k string) bool { return strings.HasSuffix(k, "."+name) }) {
				m.Rcode = dns.RcodeNameError
			}
			return true
		}
		next, found := "", false
		for _, rr := range n.records {
			if rr.Header().Rrtype == q.Qtype {
				m.Answer = append(m.Answer, rr)
				found = true
			} else if c, ok := rr.(*dns.CNAME); ok {
				m.Answer = append(m.Answer, rr)
				next = strings.ToLower(c.Target)
			}
		}
		switch {
		case found:
			return true
		case n.timeout:
			return false
		case n.fail:
			m.Rcode = dns.RcodeServerFailure
			return true
		case next == "":
			for _, rr := range n.late {
				if rr.Header().Rrtype == q.Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
			return true
		}
		name = next
	}
	return true
}

func mapKeys(z zone) (list []string) {
	for k := range z {
		list = append(list, k)
	}
	return list
}

// serve answers from a zone on a loopback port, over UDP and TCP. The zone must not change any more.
func serve(t *testing.T, z zone) string {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	var err error
	for range 20 { // the same port must be free for both
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if !z.answer(q.Question[0], m) {
			return
		}
		if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
			size := dns.MinMsgSize
			if o := q.IsEdns0(); o != nil {
				size = int(o.UDPSize())
			}
			m.Truncate(size)
		}
		w.WriteMsg(m)
	})
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() { s.ActivateAndServe() })
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return pc.LocalAddr().String()
}

func clientOf(t *testing.T, addr string) *resolve.Client {
	t.Helper()
	c, err := resolve.New(resolve.Config{Servers: []string{addr}, Timeout: 700 * time.Millisecond, Rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
