package smtptest

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Zone is a DNS zone and how it is spoilt. SOA, NS and the name server's address are added.
type Zone struct {
	Apex    string   // like "signed.test."
	Records []string // in master-file form, names with the final dot
	Plain   bool     // not signed, and no trust anchor for it: insecure
	// Signatures by "name TYPE", like "mx.signed.test. A" or "mx.signed.test. NSEC" (what is said not to be there).
	Forged  []string // that do not fit the records
	Expired []string // that ended a month ago
}

// sets are the records by name and type.
func (z Zone) sets(t testing.TB) map[string]map[uint16][]dns.RR {
	t.Helper()
	sets, ns := map[string]map[uint16][]dns.RR{}, "ns."+strings.TrimPrefix(z.Apex, ".")
	for _, s := range append(z.Records, z.Apex+" 60 IN SOA "+ns+" "+ns+" 1 60 60 600 60", z.Apex+" 60 IN NS "+ns, ns+" 60 IN A 127.0.0.1") {
		r, err := dns.NewRR(s)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		h := r.Header()
		if sets[h.Name] == nil {
			sets[h.Name] = map[uint16][]dns.RR{}
		}
		sets[h.Name][h.Rrtype] = append(sets[h.Name][h.Rrtype], r)
	}
	return sets
}

// file returns the zone's master file and its trust anchor: one fresh key signs everything, NSEC records say what is not
// there (RFC 4034 4).
func (z Zone) file(t testing.TB) (text, anchor string) {
	t.Helper()
	sets := z.sets(t)
	var out strings.Builder
	if z.Plain {
		for _, set := range sets {
			for _, rs := range set {
				for _, r := range rs {
					fmt.Fprintln(&out, r)
				}
			}
		}
		return out.String(), ""
	}
	key := &dns.DNSKEY{Hdr: dns.RR_Header{Name: z.Apex, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	sets[z.Apex][dns.TypeDNSKEY] = []dns.RR{key}
	names := canonicalOrder(sets)
	for i, n := range names {
		types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
		for q := range sets[n] {
			types = append(types, q)
		}
		slices.Sort(types)
		sets[n][dns.TypeNSEC] = []dns.RR{&dns.NSEC{Hdr: dns.RR_Header{Name: n, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 60},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: types}}
		for _, set := range sets[n] {
			for _, r := range set {
				fmt.Fprintln(&out, r)
			}
			fmt.Fprintln(&out, z.sign(t, key, private.(crypto.Signer), set))
		}
	}
	return out.String(), key.String()
}

// canonicalOrder is that of RFC 4034 6.1.
func canonicalOrder(sets map[string]map[uint16][]dns.RR) (names []string) {
	for n := range sets {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
		slices.Reverse(x)
		slices.Reverse(y)
		return slices.Compare(x, y)
	})
	return names
}

func (z Zone) sign(t testing.TB, key *dns.DNSKEY, private crypto.Signer, set []dns.RR) *dns.RRSIG {
	t.Helper()
	what := set[0].Header().Name + " " + dns.TypeToString[set[0].Header().Rrtype]
	from, to := -time.Hour, 24*time.Hour
	if slices.Contains(z.Expired, what) {
		from, to = -60*24*time.Hour, -30*24*time.Hour // unbound forgives a day
	}
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Ttl: 60}, Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: z.Apex,
		Inception: uint32(time.Now().Add(from).Unix()), Expiration: uint32(time.Now().Add(to).Unix())}
	if err := sig.Sign(private, set); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(z.Forged, what) {
		raw, err := base64.StdEncoding.DecodeString(sig.Signature)
		if err != nil {
			t.Fatal(err)
		}
		raw[10] ^= 1
		sig.Signature = base64.StdEncoding.EncodeToString(raw)
	}
	return sig
}

// StartUnbound starts unbound on a loopback address as a validating resolver of these zones and nothing else, and returns
// when it answers.
func StartUnbound(t testing.TB, addr string, zones ...Zone) {
	t.Helper()
	prog, dir := Program(t, "unbound"), t.TempDir()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`server:
  interface: %s
  port: %s
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  directory: "%s"
  access-control: 127.0.0.0/8 allow
  module-config: "validator iterator"
  local-zone: "test." nodefault
  local-zone: "ready.test." static
  local-data: 'ready.test. 60 IN TXT "yes"'
`, host, port, dir)
	auth := ""
	zones = append(zones, Zone{Apex: "."}) // else it would look for the world's root servers
	for i, z := range zones {
		text, anchor := z.file(t)
		name := fmt.Sprintf("%d.zone", i)
		write(t, filepath.Join(dir, name), text, 0o600)
		if anchor != "" {
			conf += "  trust-anchor: '" + anchor + "'\n"
		} else {
			conf += "  domain-insecure: '" + z.Apex + "'\n"
		}
		auth += fmt.Sprintf("auth-zone:\n  name: %q\n  zonefile: %q\n  for-downstream: no\n  for-upstream: yes\n", z.Apex, name)
	}
	file := filepath.Join(dir, "unbound.conf")
	write(t, file, conf+auth+"remote-control:\n  control-enable: no\n", 0o600)
	AwaitDNS(t, addr, run(t, "", prog, "-d", "-c", file).String)
}

// AwaitDNS waits until a server answers for "ready.test".
func AwaitDNS(t testing.TB, addr string, explain func() string) {
	t.Helper()
	client := &dns.Client{Timeout: time.Second}
	await(t, "DNS server on "+addr, func() bool {
		q := new(dns.Msg)
		q.SetQuestion("ready.test.", dns.TypeTXT)
		r, _, err := client.Exchange(q, addr)
		return err == nil && len(r.Answer) == 1
	}, explain)
}

// StartDNS starts a DNS server of any kind, which must answer for "ready.test", and returns when it does.
func StartDNS(t testing.TB, addr, prog string, args ...string) {
	t.Helper()
	AwaitDNS(t, addr, run(t, "", prog, args...).String)
}

// LoopbackIP returns a loopback address whose ports 25 and 53 are free, for programs that cannot be told another. It needs
// root.
func LoopbackIP(t testing.TB) string {
	t.Helper()
	needRoot(t, "a server on port 25 or 53")
	for i := range 200 {
		ip := fmt.Sprintf("127.53.%d.%d", os.Getpid()%256, 1+i)
		mail, err := net.Listen("tcp", ip+":25")
		if err != nil {
			continue
		}
		mail.Close()
		if names, err := net.ListenPacket("udp", ip+":53"); err == nil {
			names.Close()
			return ip
		}
	}
	t.Fatal("no loopback address with free ports 25 and 53")
	return ""
}
