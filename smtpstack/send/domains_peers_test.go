package send

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// domainPeers are a Postfix that is the mail exchanger of all domains, unbound with what the domains publish, and
// posttls-finger, which asks the same unbound.
type domainPeers struct {
	postfix     *smtptest.Postfix
	sunk        string // folder of smtp-sink, to which Postfix hands everything on
	port, clear string // of Postfix: with TLS, and without
	dns         string // unbound
	finger      *smtptest.Finger
	ca          *smtptest.Authority
	policies    *httptest.Server // the domains' MTA-STS policies
}

// domainCase is one domain and what must come of mail to it.
type domainCase struct {
	name   string // its first label
	zone   string // default "dane.test."
	tlsa   string // at the exchanger
	exp    string // TYPE whose signature has expired: of the domain (MX) or of the exchanger
	forged string // likewise: does not fit
	port   string // default that with TLS
	mx     string // its exchanger's host name, default "mx." and the domain
	policy string // MTA-STS policy; "": none

	want   smtpstack.Class // 0: smtpstack.Delivered
	words  string          // in the result's text or the transcript
	finger string          // in the words of posttls-finger, "": it is not asked
}

func (c domainCase) domain() string {
	zone := c.zone
	if zone == "" {
		zone = "dane.test."
	}
	return c.name + "." + zone
}

func (c domainCase) host() string {
	if c.mx != "" {
		return c.mx
	}
	return "mx." + c.domain()
}

func (c domainCase) from() string { return "fax@" + strings.TrimSuffix(c.domain(), ".") }

// tlsaName is where the exchanger's records are.
func (c domainCase) tlsaName() string { return "_" + c.port + "._tcp." + c.host() }

func startDomainPeers(t *testing.T, cases func(p *domainPeers, cert tls.Certificate) []domainCase) (*domainPeers, []domainCase) {
	p := &domainPeers{ca: smtptest.NewAuthority(t, "Test Authority"), clear: smtptest.FreeAddr(t)}
	with := smtptest.FreeAddr(t)
	p.port = smtptest.Port(with)
	cert := p.ca.Issue("mx.dane.test", "mx.ta.dane.test", "mx.enforced.sts.test", "mx.testing.sts.test")
	list := cases(p, cert)
	signed, plain := smtptest.Zone{Apex: "dane.test."}, smtptest.Zone{Apex: "plain.test.", Plain: true}
	sts := smtptest.Zone{Apex: "sts.test.", Plain: true}
	zones := map[string]*smtptest.Zone{"": &signed, "dane.test.": &signed, "plain.test.": &plain, "sts.test.": &sts}
	policies := map[string]string{}
	for i := range list {
		c := &list[i]
		if c.port == "" {
			c.port = p.port
		}
		c.publish(zones[c.zone])
		policies["mta-sts."+strings.TrimSuffix(c.domain(), ".")] = c.policy
	}
	p.startDNS(t, signed, plain, sts)
	hop, dir := sink(t)
	p.sunk = dir
	pem := smtptest.PEMFile(t, cert)
	host, port, _ := net.SplitHostPort(hop)
	p.postfix = smtptest.StartPostfix(t, []string{smtptest.Smtpd(with, "smtpd_tls_security_level=may"), smtptest.Smtpd(p.clear, "smtpd_tls_security_level=none")},
		"smtpd_tls_cert_file = "+pem, "smtpd_tls_key_file = "+pem, "smtpd_tls_received_header = yes", "relayhost = ["+host+"]:"+port)
	p.policies = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, policies[r.Host])
	}))
	p.policies.TLS = &tls.Config{Certificates: []tls.Certificate{p.ca.Issue("mta-sts.enforced.sts.test", "mta-sts.wrong.sts.test", "mta-sts.unlisted.sts.test", "mta-sts.testing.sts.test", "mta-sts.clear.sts.test")}}
	p.policies.StartTLS()
	t.Cleanup(p.policies.Close)
	return p, list
}

// publish puts the case's records into its zone.
func (c domainCase) publish(z *smtptest.Zone) {
	domain, host := c.domain(), c.host()
	z.Records = append(z.Records, domain+" 60 IN MX 10 "+host, host+" 60 IN A 127.0.0.1")
	if c.tlsa != "" {
		for _, r := range strings.Split(c.tlsa, "\n") {
			z.Records = append(z.Records, c.tlsaName()+" 60 IN TLSA "+r)
		}
	}
	if c.policy != "" {
		z.Records = append(z.Records, "_mta-sts."+domain+` 60 IN TXT "v=STSv1; id=1"`)
	}
	at := map[string]string{"MX": domain + " MX", "A": host + " A", "TLSA": c.tlsaName() + " TLSA", "NSEC": host + " NSEC"}
	if c.exp != "" {
		z.Expired = append(z.Expired, at[c.exp])
	}
	if c.forged != "" {
		z.Forged = append(z.Forged, at[c.forged])
	}
}

func (p *domainPeers) startDNS(t *testing.T, zones ...smtptest.Zone) {
	ip := smtptest.LoopbackIP(t)
	p.dns = ip + ":53"
	smtptest.StartUnbound(t, p.dns, zones...)
	p.finger = smtptest.NewFinger(t, ip)
}

// deliver sends a mail to the case's domain through a connector for direct delivery.
func (p *domainPeers) deliver(t *testing.T, c domainCase) Report {
	r, err := resolve.New(resolve.Config{Servers: []string{p.dns}})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.ca.Pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, p.policies.Listener.Addr().String())
		}}}
	port := 0
	fmt.Sscan(c.port, &port)
	s, err := New(Config{Hostname: "fax.test", Port: port, DANE: true, STS: NewSTS(client), TLSConfig: &tls.Config{RootCAs: p.ca.Pool}}, r)
	if err != nil {
		t.Fatal(err)
	}
	m := message("a@" + strings.TrimSuffix(c.domain(), "."))
	m.From = c.from()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return s.Deliver(ctx, m)
}

// arrived returns the file in which smtp-sink has the mail of a sender, "" for none.
func (p *domainPeers) arrived(from string) string {
	files, _ := filepath.Glob(filepath.Join(p.sunk, "mail.*"))
	for _, f := range files {
		if raw, err := os.ReadFile(f); err == nil && strings.Contains(string(raw), "X-Mail-Args: <"+from+">") {
			return string(raw)
		}
	}
	return ""
}

// check sends one mail and looks at what came of it: in our report, at Postfix, and in what Postfix's own client thinks.
func (p *domainPeers) check(t *testing.T, c domainCase) {
	rep := p.deliver(t, c)
	r, said := rep.Results[0], transcript(rep)
	want := c.want
	if want == 0 {
		want = smtpstack.Delivered
	}
	if r.Class != want || !strings.Contains(r.Text()+"\n"+said, c.words) {
		t.Errorf("%v, want %v with %q: %s\n%s", r.Class, want, c.words, r.Text(), said)
	}
	from := c.from()
	if want != smtpstack.Delivered {
		if strings.Contains(said, "> MAIL") || strings.Contains(p.postfix.Log(), "from=<"+from+">") {
			t.Errorf("the mail left the house\n%s", said)
		}
	} else {
		got := ""
		for end := time.Now().Add(time.Minute); got == "" && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			got = p.arrived(from)
		}
		if !strings.Contains(got, "(using TLSv1.3 with cipher") || !strings.HasSuffix(got, "\n.dot\n..\nend\n\n") {
			t.Errorf("arrived as %q\n%s", got, p.postfix.Log())
		}
	}
	if c.finger == "" {
		return
	}
	if opinion := p.finger.Ask("-c", "-l", "dane", "-T", "20", strings.TrimSuffix(c.domain(), ".")+":"+c.port); !strings.Contains(opinion, c.finger) {
		t.Errorf("posttls-finger does not say %q:\n%s", c.finger, opinion)
	}
}

// TestPeer_ProtectedDomains: what domains publish about the protection of their mail exchangers (DANE, MTA-STS), from unbound
// with zones signed here to a real Postfix; posttls-finger is asked about the same zones in the same run.
func TestPeer_ProtectedDomains(t *testing.T) {
	smtptest.Program(t, "postfix")
	p, cases := startDomainPeers(t, func(p *domainPeers, cert tls.Certificate) []domainCase {
		key, whole, issuer := sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo), sha256.Sum256(cert.Leaf.Raw), sha256.Sum256(p.ca.Cert.Raw)
		ee, full, ta, wrong := fmt.Sprintf("3 1 1 %x", key), fmt.Sprintf("3 0 1 %x", whole), fmt.Sprintf("2 0 1 %x", issuer), fmt.Sprintf("3 1 1 %x", sha256.Sum256(nil))
		const verified, untrusted, again = "Verified TLS connection", "Untrusted TLS connection", "try again"
		const byDANE, demands = "certificate verified by DANE", "DANE demands protection of"
		clearPort := smtptest.Port(p.clear)
		policy := func(mode, mx string) string {
			return "version: STSv1\nmode: " + mode + "\nmx: " + mx + "\nmax_age: 86400\n"
		}
		return []domainCase{
			{name: "ee", tlsa: ee, words: byDANE, finger: verified},
			{name: "full", tlsa: full, words: byDANE, finger: verified},
			{name: "ta", tlsa: ta, words: byDANE, finger: verified},
			{name: "rollover", tlsa: wrong + "\n" + ee, words: byDANE, finger: verified},
			{name: "ta-name", tlsa: ta, want: smtpstack.Temporary, words: demands, finger: untrusted}, // the certificate has another name
			{name: "wrong", tlsa: wrong, want: smtpstack.Temporary, words: demands, finger: untrusted},
			{name: "pkix", tlsa: "1" + ee[1:], words: "certificate not verified", finger: untrusted}, // unusable: RFC 7672 3.1.3
			{name: "none", words: "certificate not verified", finger: untrusted},
			{name: "stripped", tlsa: ee, port: clearPort, want: smtpstack.Temporary, words: demands},
			{name: "old-mx", tlsa: ee, exp: "MX", want: smtpstack.Temporary, words: "SERVFAIL", finger: again},
			{name: "old-a", tlsa: ee, exp: "A", want: smtpstack.Temporary, words: "SERVFAIL", finger: again},
			{name: "old-tlsa", tlsa: ee, exp: "TLSA", want: smtpstack.Temporary, words: "SERVFAIL", finger: again},
			{name: "forged-mx", tlsa: ee, forged: "MX", want: smtpstack.Temporary, words: "SERVFAIL", finger: again},
			{name: "forged-tlsa", tlsa: ee, forged: "TLSA", want: smtpstack.Temporary, words: "SERVFAIL", finger: again},
			{name: "forged-denial", forged: "NSEC", want: smtpstack.Temporary, words: "SERVFAIL", finger: again}, // "no TLSA" cannot be believed
			{name: "good", zone: "plain.test.", tlsa: ee, words: "certificate not verified", finger: untrusted},  // unsigned zone: as good as no records
			{name: "bad", zone: "plain.test.", tlsa: wrong, words: "certificate not verified", finger: untrusted},

			{name: "enforced", zone: "sts.test.", policy: policy("enforce", "mx.enforced.sts.test"), words: "certificate verified"},
			{name: "wrong", zone: "sts.test.", policy: policy("enforce", "*.wrong.sts.test"), want: smtpstack.Temporary, words: "MTA-STS demands protection of mx.wrong.sts.test"},
			{name: "unlisted", zone: "sts.test.", policy: policy("enforce", "other.sts.test"), want: smtpstack.Temporary, words: "lists none of its mail exchangers"},
			{name: "clear", zone: "sts.test.", policy: policy("enforce", "mx.clear.sts.test"), port: clearPort, want: smtpstack.Temporary, words: "MTA-STS demands protection of mx.clear.sts.test"},
			{name: "testing", zone: "sts.test.", policy: policy("testing", "other.sts.test"), words: "does not list mx.testing.sts.test"},
		}
	})
	for _, c := range cases {
		t.Run(c.domain(), func(t *testing.T) { t.Parallel(); p.check(t, c) })
	}
}
