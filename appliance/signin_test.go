package appliance

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// The certificate of one's own server proves the tenant, as a device's sign-in does; another's, though its authority is the same, does not,
// and From must be listed all the same.
func TestRun_TenantByCertificateOrSignIn(t *testing.T) {
	t.Parallel()
	authority, err := exchange.New(exchange.World{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(authority.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, 12)
	c := &r.cfg.Receive[0]
	c.Senders, c.Require, c.TenantNames, c.ClientCA, c.Auth = []string{"example.org"}, []string{"tenant"}, []string{"edge.example.org"}, ca, true
	r.deps.Resolver, r.cfg.Lines = &resolve.Fake{}, nil // nothing is dialed
	r.start()
	d, err := r.app.PutDevice(t.Context(), control.Device{Name: "app", Senders: []string{"anna@example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	addr, to := r.app.SMTPAddrs()[0], []string{demoReceiver + "@" + demoFax}
	for _, c := range []struct{ name, certificate, from, want string }{
		{"own", "edge.example.org", "anna@example.org", ""},
		{"none", "", "anna@example.org", `550 "5.7.1`},
		{"other", "edge.example.net", "anna@example.org", `550 "5.7.1`},
		{"unlisted", "edge.example.org", "boss@fabrikam.com", `550 "5.7.1`},
	} {
		tc := &tls.Config{InsecureSkipVerify: true}
		if c.certificate != "" {
			cert, err := authority.ClientCertificate(c.certificate)
			if err != nil {
				t.Fatal(err)
			}
			tc.Certificates = []tls.Certificate{cert}
		}
		err := submitTLS(addr, tc, nil, c.from, to, letterFrom(c.from, c.name))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := submitAs(addr, "app", d.Password, "anna@example.org", to[0], letterFrom("anna@example.org", "signed-in")); err != nil {
		t.Errorf("signed in: %v", err)
	}
	for name, from := range map[string]string{"another": "carl@example.org", "forged": "boss@fabrikam.com"} {
		if err := submitAs(addr, "app", d.Password, "anna@example.org", to[0], letterFrom(from, name)); err == nil || !strings.HasPrefix(err.Error(), `550 "5.7.1`) {
			t.Errorf("signed in, From of %s: %v", from, err)
		}
	}
	for subject, proof := range map[string]string{"own": "certificate of edge.example.org", "signed-in": "the device app signed in"} {
		eventually(t, "job "+subject, func() bool { return r.job(subject, demoReceiver).ID != "" })
		shown, err := r.app.Job(t.Context(), string(r.job(subject, demoReceiver).ID))
		if err != nil || !strings.Contains(strings.Join(shown.Proofs, "\n"), proof) {
			t.Errorf("%s: %q is not in %q, %v", subject, proof, shown.Proofs, err)
		}
	}
}
