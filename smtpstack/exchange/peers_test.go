package exchange

import (
	"bytes"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

const (
	box     = "fax@contoso.com"
	basic   = "old@legacy.example"
	appID   = "app-1"
	secret  = "value-of-secret"
	tenant  = "contoso-id"
	outside = "a@elsewhere.example"
)

func world() World {
	return World{Tenants: []Tenant{
		{ID: tenant, Domains: []Domain{{Name: "contoso.com"}}, Boxes: []Mailbox{{Address: box, Password: "pw", Apps: []string{appID}}}, Apps: []App{{ID: appID, Secret: secret, SendAsApp: true}}},
		{ID: "legacy-id", Domains: []Domain{{Name: "legacy.example"}}, Boxes: []Mailbox{{Address: basic, Password: "pw"}}, BasicAuth: true},
	}}
}

func newPeer(t *testing.T) *Peer {
	t.Helper()
	p, err := New(world())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestPeer_Swaks: another client finds the same service: LOGIN where the tenant allows it, the recipients' rules on port 25.
func TestPeer_Swaks(t *testing.T) {
	swaks := smtptest.Swaks(t)
	p := newPeer(t)
	submission, err := p.Listen(Submission)
	if err != nil {
		t.Fatal(err)
	}
	eop, err := p.Listen(EOP)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--server", submission, "-tls", "-a", "LOGIN", "-au", basic, "-ap", "pw", "-f", basic, "-t", outside}, "250 2.6.0"},
		{[]string{"--server", submission, "-tls", "-a", "LOGIN", "-au", basic, "-ap", "no", "-f", basic, "-t", outside}, "535 5.7.3"},
		{[]string{"--server", submission, "-tls", "-a", "LOGIN", "-au", box, "-ap", "pw", "-f", box, "-t", outside}, "550 5.7.30"},
		{[]string{"--server", submission, "-tls", "-f", box, "-t", outside}, "530 5.7.57"},
		{[]string{"--server", submission, "-f", box, "-t", outside}, "451 5.7.3 STARTTLS"},
		{[]string{"--server", eop, "-f", "x@example.net", "-t", box}, "250 2.6.0"},
		{[]string{"--server", eop, "-f", "x@example.net", "-t", "nobody@contoso.com"}, "550 5.4.1"},
		{[]string{"--server", eop, "-f", box, "-t", outside}, "550 5.7.64"},
	} {
		out, _ := exec.Command(swaks, append([]string{"--ehlo", "box.example.net", "--h-From", tt.args[len(tt.args)-3]}, tt.args...)...).CombinedOutput()
		if !strings.Contains(string(out), tt.want) {
			t.Errorf("%v: no %q in\n%s", tt.args, tt.want, out)
		}
	}
	if n := len(p.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

const pythonClient = `
import base64, json, smtplib, ssl, sys, urllib.parse, urllib.request, urllib.error
token_url, submission, box, client, secret = sys.argv[1:]
ctx = ssl._create_unverified_context()
def token(secret, scope):
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": scope}).encode()
    try:
        return json.load(urllib.request.urlopen(token_url, body, context=ctx))["access_token"]
    except urllib.error.HTTPError as e:
        print("token", e.code, json.load(e)["error"])
def attempt(bearer):
    host, port = submission.rsplit(":", 1)
    s = smtplib.SMTP(host, int(port), local_hostname="box.example.net")
    s.starttls(context=ctx)
    s.ehlo()
    challenges = []
    def answer(challenge=None):
        if challenge is None:
            return None
        challenges.append(challenge)
        return "user=%s\x01auth=Bearer %s\x01\x01" % (box, bearer) if len(challenges) == 1 else ""
    try:
        print("auth", s.auth("XOAUTH2", answer)[0])
        s.sendmail(box, ["a@elsewhere.example"], "From: %s\r\n\r\nhi\r\n" % box)
        print("sent")
    except smtplib.SMTPResponseException as e:
        print("refused", e.smtp_code, e.smtp_error.decode().split(" ")[0], json.loads(challenges[-1])["status"] if len(challenges) > 1 else "")
    s.close()
good = token(secret, "https://outlook.office365.com/.default")
print("length", len(good) > 2048)
attempt(good)
attempt(good[:-4] + "AAAA")
attempt(token(secret, "https://graph.microsoft.com/.default"))
token("wrong", "https://outlook.office365.com/.default")
token(secret, "https://outlook.office.com/SMTP.Send")
`

// TestPeer_Python: Python's urllib and smtplib get a token and have the XOAUTH2 dance.
func TestPeer_Python(t *testing.T) {
	python := smtptest.Program(t, "python3")
	p := newPeer(t)
	submission, err := p.Listen(Submission)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewTLSServer(p.TokenHandler())
	defer web.Close()
	var stderr bytes.Buffer
	cmd := exec.Command(python, "-c", pythonClient, web.URL+"/"+tenant+"/oauth2/v2.0/token", submission, box, appID, secret)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	want := "length True\nauth 235\nsent\nrefused 535 5.7.3 400\nrefused 535 5.7.3 400\ntoken 401 invalid_client\ntoken 400 invalid_scope\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\n%s", err, out, stderr.String())
	}
}
