package receive

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// postfix is an instance of Postfix of a test's own: other queue, other configuration, no port but the given one.
type postfix struct {
	t   *testing.T
	dir string
}

const postfixMaster = `
%s
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix starts an instance; listen is "" or the address of its smtpd, settings are lines of main.cf.
func startPostfix(t *testing.T, listen string, settings ...string) *postfix {
	t.Helper()
	prog := peer(t, "postfix")
	if os.Getuid() != 0 {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal("Postfix starts as root only")
		}
		t.Skip("Postfix starts as root only")
	}
	dir, err := os.MkdirTemp("", "tipring-postfix-") // t.TempDir is closed to Postfix's own user
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t, dir}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"conf", "spool", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	main := append([]string{
		"compatibility_level = 3.6", "queue_directory = " + dir + "/spool", "data_directory = " + dir + "/data", "mail_owner = postfix",
		"myhostname = peer.test", "mydestination =", "alias_maps =", "alias_database =", "local_recipient_maps =", "inet_interfaces = loopback-only", "inet_protocols = ipv4",
		"smtp_dns_support_level = disabled", "maillog_file = " + dir + "/log", "maillog_file_prefixes = " + dir, "smtputf8_enable = no",
	}, settings...)
	if listen != "" {
		listen += " inet n - n - - smtpd"
	}
	p.write("conf/main.cf", strings.Join(main, "\n")+"\n")
	p.write("conf/master.cf", fmt.Sprintf(postfixMaster, listen))
	if out, err := exec.Command("chown", "-R", "postfix", dir+"/data").CombinedOutput(); err != nil {
		t.Fatalf("chown: %v %s", err, out)
	}
	if out, err := exec.Command(prog, "-c", dir+"/conf", "start").CombinedOutput(); err != nil {
		t.Fatalf("postfix start: %v\n%s\n%s", err, out, p.log())
	}
	t.Cleanup(func() {
		if out, err := exec.Command(prog, "-c", dir+"/conf", "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
		}
	})
	return p
}

func (p *postfix) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *postfix) log() string {
	b, _ := os.ReadFile(p.dir + "/log")
	return string(b)
}

// sendmail hands a mail to the instance.
func (p *postfix) sendmail(mail string, args ...string) {
	p.t.Helper()
	cmd := exec.Command(peer(p.t, "sendmail"), append([]string{"-C", p.dir + "/conf"}, args...)...)
	cmd.Stdin = strings.NewReader(mail)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("sendmail %v: %v\n%s", args, err, out)
	}
}

// waitFor waits for a number of messages.
func (b *memory) waitFor(t *testing.T, n int, explain func() string) []taken {
	t.Helper()
	for range 600 {
		if got := b.all(); len(got) >= n {
			return got
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%d messages of %d\n%s", len(b.all()), n, explain())
	return nil
}

// TestPeer_PostfixSends: Postfix as the sending server, in the clear, with TLS and with a client certificate; it
// pipelines by itself, and passes DSN parameters on.
func TestPeer_PostfixSends(t *testing.T) {
	peer(t, "postfix")
	ca := newAuthority(t)
	server, serverPool := selfSigned(t, "fax.test")
	_ = serverPool
	backends := map[string]*memory{}
	routes, policies := "", ""
	for _, how := range []string{"plain", "tls", "mutual", "closed"} {
		cfg := testConfig()
		cfg.FaxDomains = []string{how + ".test"}
		switch how {
		case "tls":
			cfg.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
			cfg.RequireTLS = true
		case "mutual":
			cfg.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
			cfg.ClientCert = &ClientCert{Roots: ca.pool, Names: []string{"*.protection.test"}, Required: true}
		case "closed":
			cfg.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
			cfg.ClientCert = &ClientCert{Roots: ca.pool, Names: []string{"other.test"}, Required: true}
		}
		backends[how] = &memory{}
		_, addr := start(t, cfg, backends[how])
		host, port, _ := net.SplitHostPort(addr)
		hop := "[" + host + "]:" + port
		routes += how + ".test smtp:" + hop + "\n"
		if how != "plain" {
			policies += hop + " secure match=fax.test\n"
		}
	}
	certs := t.TempDir()
	pemFile(t, certs+"/client.pem", ca.issue(nil, "out1.protection.test"))
	pemFile(t, certs+"/server.pem", server)
	p := startPostfix(t, "", "smtp_tls_security_level = may", "smtp_tls_CAfile = "+certs+"/server.pem",
		"smtp_tls_cert_file = "+certs+"/client.pem", "smtp_tls_key_file = "+certs+"/client.pem", "smtp_tls_loglevel = 1",
		"transport_maps = texthash:"+certs+"/routes", "smtp_tls_policy_maps = texthash:"+certs+"/policies")
	for name, content := range map[string]string{"routes": routes, "policies": policies} {
		if err := os.WriteFile(filepath.Join(certs, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const mail = "From: jane@example.com\nSubject: order\n\n.\n..dots\nend\n"
	for how := range backends {
		p.sendmail(mail, "-i", "-f", "jane@example.com", "-N", "failure,delay", "-V", "QQ+314", "-R", "hdrs", "15551234@"+how+".test", "+4930123@"+how+".test")
	}
	for how, b := range backends {
		if how == "closed" {
			continue
		}
		m := b.waitFor(t, 1, p.log)[0]
		e := m.env
		if e.Helo != "peer.test" || e.From != "jane@example.com" || len(e.To) != 2 || !strings.HasSuffix(m.data, "\r\n\r\n.\r\n..dots\r\nend\r\n") {
			t.Errorf("%s: %+v\n%s", how, e, m.data)
		}
		if e.Return != "HDRS" || e.EnvelopeID != "QQ+314" || e.To[0].Notify.String() != "FAILURE,DELAY" || !strings.HasPrefix(e.To[0].OriginalRecipient, "rfc822;") {
			t.Errorf("%s: DSN %q %q %v %q", how, e.Return, e.EnvelopeID, e.To[0].Notify, e.To[0].OriginalRecipient)
		}
		if (e.TLS != nil) != (how != "plain") || (e.ClientName == "*.protection.test") != (how == "mutual") {
			t.Errorf("%s: TLS %v, name %q", how, e.TLS != nil, e.ClientName)
		}
		if o, ok := origin([]byte(m.data), nil); !ok || o.Helo != "peer.test" || o.Client.String() != "127.0.0.1" {
			t.Errorf("%s: our own Received field reads as %+v", how, o)
		}
	}
	for i := 0; !strings.Contains(p.log(), "554 5.7.0 this server takes mail only from clients with a TLS certificate"); i++ {
		if i == 400 {
			t.Fatalf("the refusal did not reach Postfix:\n%s", p.log())
		}
		time.Sleep(25 * time.Millisecond)
	}
	if len(backends["closed"].all()) != 0 {
		t.Error("taken without the required name")
	}
}
