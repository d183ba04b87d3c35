package send

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// TestClientCertificate_Refused: a server that demands a certificate which we lack, or does not know the issuer of ours, says so
// by an alert: with TLS 1.2 in the handshake, with 1.3 after it. That is for somebody to mend where the connector names the server.
func TestClientCertificate_Refused(t *testing.T) {
	ca, unknown := smtptest.NewAuthority(t, "Known"), smtptest.NewAuthority(t, "Unknown")
	server := ca.Issue("mail.test")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool, MaxVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				go func(nc net.Conn) { io.Copy(io.Discard, nc); nc.Close() }(nc)
			}
		}()
		for _, tt := range []struct {
			name, host string
			show       []tls.Certificate
			want       smtpstack.Class
			remedy     string
		}{
			{"none", "mail.test", nil, smtpstack.Configuration, "demands a TLS client certificate"},
			{"unknown issuer", "mail.test", []tls.Certificate{unknown.Issue("fax.test")}, smtpstack.Configuration, "does not take this connector's TLS client certificate"},
			{"a stranger's server", "", nil, smtpstack.Temporary, ""},
		} {
			cfg := Config{Hostname: "fax.test", Host: tt.host, TLS: Implicit, TLSConfig: &tls.Config{RootCAs: ca.Pool, Certificates: tt.show}, Dial: dialTCP(l.Addr().String())}
			fake := &resolve.Fake{MXs: map[string][]resolve.MX{"dest.test": {{Host: "mail.test", Preference: 1}}},
				Addrs: map[string][]netip.Addr{"mail.test": {netip.MustParseAddr("127.0.0.1")}}}
			s, err := New(cfg, fake)
			if err != nil {
				t.Fatal(err)
			}
			r := s.Deliver(t.Context(), message("a@dest.test")).Results[0]
			if r.Class != tt.want || !strings.Contains(r.Remedy, tt.remedy) {
				t.Errorf("%s, %s: %+v", tls.VersionName(version), tt.name, r)
			}
		}
	}
}
