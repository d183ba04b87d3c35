package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/control"
)

// lan is a connector for devices, with more keys.
func lan(keys string) string {
	return least + "[[receive]]\nname = \"lan\"\nlisten = [\"127.0.0.1:2526\"]\n" + keys + "\n"
}

func TestParse_FaultsOfDevices(t *testing.T) {
	const ours = "senders = [\"scan@example.com\"]\nnetworks = [\"192.168.0.0/16\"]\n"
	tests := []struct{ name, text, want string }{
		{"relay for the Internet", lan("senders = [\"a@b.c\"]\nnetworks = [\"0.0.0.0/0\"]\nrelay_to = [\"*\"]"), `"0.0.0.0/0": strangers could relay; list private networks`},
		{"relay for the Internet of IPv6", lan("senders = [\"a@b.c\"]\nnetworks = [\"::/0\"]\nrelay_to = [\"*\"]"), `"::/0": strangers could relay`},
		{"relay for a public network", lan("senders = [\"a@b.c\"]\nnetworks = [\"192.0.2.0/24\"]\nrelay_to = [\"*\"]"), `strangers could relay`},
		{"relay for all of Microsoft", lan("senders = [\"a@b.c\"]\nnetworks = [\"exchange-online\"]\nrelay_to = [\"*\"]"), `"exchange-online": strangers could relay`},
		{"relay for everybody", lan("senders = [\"*\"]\nrelay_to = [\"example.com\"]"), `relay_to: senders = ["*"]: list the devices' addresses`},
		{"relay behind an edge server", lan(ours + "relay_to = [\"example.com\"]\ntrusted_relays = [\"192.168.0.0/16\"]"), "make a [[receive]] of its own"},
		{"relay with proof", lan(ours + "relay_to = [\"example.com\"]\nrequire = [\"spf\"]"), "make a [[receive]] of its own"},
		{"relay to no domain", lan(ours + "relay_to = [\"@example.com\"]"), `relay_to: "@example.com": use example.com`},
		{"relay via nobody", lan(ours + "relay_to = [\"example.com\"]\nrelay_via = \"cloud\""), `relay_via: no [[send]] has the name "cloud"`},
		{"relay from nobody", lan(ours + "relay_to = [\"example.com\"]\nrelay_from = \"relay\""), `relay_from: "relay": use "keep"`},
		{"relay keys without a relay", lan(ours + "relay_from = \"relay@example.com\""), "relay_via and relay_from need relay_to"},
		{"require_auth without auth", lan(ours + "require_auth = true"), "require_auth needs auth = true"},
		{"auth_in_clear without auth", lan(ours + "auth_in_clear = [\"192.168.0.0/16\"]"), "auth_in_clear needs auth = true"},
		{"auth in clear for the Internet", lan(ours + "auth = true\nauth_in_clear = [\"0.0.0.0/0\"]"), "passwords could be read on the way"},
		{"auth in clear of no network", lan(ours + "auth = true\nauth_in_clear = [\"lan\"]"), `auth_in_clear: "lan" is no prefix`},
		{"tenant_names without the proof", lan(ours + "tenant_names = [\"fax.example.com\"]"), `tenant_names needs require = ["tenant"]`},
		{"everybody's certificate for the tenant", lan(ours + "require = [\"tenant\"]\ntenant_names = [\"mail.protection.outlook.com\"]"), "proves no tenant"},
		{"tenant_names of no host", lan(ours + "require = [\"tenant\"]\ntenant_names = [\"*.example.com\"]"), `tenant_names: "*.example.com" is no host name`},
		{"client_ca for nothing", lan(ours + "client_ca = \"ca.pem\""), "client_ca needs client_names or tenant_names"},
		{"limit below 0", lan(ours + "messages_per_minute = -1"), "messages_per_minute = -1: use 1 to 1000000"},
		{"connections without end", lan(ours + "connections = 100000"), "use 1 to 2000"},
		{"timeout of no time", lan(ours + "command_timeout = \"1s\""), "command_timeout = 1s: use 5s to 24h"},
		{"acme and files", lan(ours + "acme = true\ntls_cert = \"c\"\ntls_key = \"k\""), "acme and tls_cert: use one of them"},
		{"acme not agreed", lan(ours+"acme = true") + "[acme]\nhttp = \":80\"\n", "acme.agreed"},
		{"acme by no way", lan(ours+"acme = true") + "[acme]\nagreed = true\n", "acme: set http"},
		{"acme by two ways", lan(ours+"acme = true") + "[acme]\nagreed = true\nhttp = \":80\"\ndns_server = \"127.0.0.1:53\"\ndns_key_name = \"k\"\ndns_key_file = \"f\"\n", "acme: set http"},
		{"acme without a key", lan(ours+"acme = true") + "[acme]\nagreed = true\ndns_server = \"127.0.0.1:53\"\n", "needs dns_key_name and dns_key_file"},
		{"acme in clear", lan(ours+"acme = true") + "[acme]\nagreed = true\nhttp = \":80\"\ndirectory = \"http://ca.example\"\n", "use an https:// address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	for _, good := range []string{
		lan(ours + "relay_to = [\"example.com\", \"*.example.net\"]\nrelay_from = \"relay@example.com\""),
		lan("senders = [\"*\"]\nnetworks = [\"10.0.0.0/8\", \"192.0.2.7/32\"]\nrelay_to = [\"*\"]\nauth = true\nrequire_auth = true\nauth_in_clear = [\"10.0.0.0/8\"]"),
		lan(ours + "require = [\"tenant|dkim\"]\ntenant_names = [\"edge.example.com\"]\nclient_ca = \"ca.pem\""),
		lan(ours+"acme = true") + "[acme]\nagreed = true\nhttp = \":80\"\n",
	} {
		if _, err := Parse([]byte(good)); err != nil {
			t.Errorf("%v in\n%s", err, good)
		}
	}
}

// A connector for devices takes less of each than one for mail servers, unless the file says otherwise.
func TestParse_LimitsOfDevices(t *testing.T) {
	c, err := Parse([]byte(lan("senders = [\"a@b.c\"]\nrelay_to = [\"example.com\"]\nerrors_per_hour = 7")))
	if err != nil {
		t.Fatal(err)
	}
	in, lan := c.Receive[0].ReceiveLimits, c.Receive[1].ReceiveLimits
	if in.MessagesPerMinute != 600 || lan.MessagesPerMinute != relayMessagesPerMinute || lan.RecipientsPerHour != relayRecipientsPerHour || lan.ErrorsPerHour != 7 {
		t.Errorf("%+v, %+v", in, lan)
	}
}

// A printer on the LAN: it signs in, its mail is passed on by the running appliance, and its password is nowhere.
func TestRun_DeviceRelays(t *testing.T) {
	r := newRig(t, 12)
	r.cfg.Lines = nil
	r.cfg.Receive = append(r.cfg.Receive, ReceiveConfig{Name: "lan", Listen: []string{"127.0.0.1:0"}, Networks: []string{"127.0.0.0/8"}, Senders: []string{"*"},
		SignInConfig: SignInConfig{Auth: true, RequireAuth: true}, RelayConfig: RelayConfig{RelayTo: []string{"example.org"}}})
	r.cfg.applyConnectorDefaults()
	r.start()
	d, err := r.app.PutDevice(t.Context(), control.Device{Name: "Floor3", Senders: []string{"scan@example.org"}})
	if err != nil || len(d.Password) < 20 {
		t.Fatalf("%+v, %v", d, err)
	}
	addr := r.app.SMTPAddrs()[1]
	text := "From: scan@example.org\r\nSubject: a scan\r\n\r\nx\r\n"
	if err := submit(addr, "scan@example.org", []string{"ann@example.org"}, text); err == nil || !strings.Contains(err.Error(), "530") {
		t.Errorf("without a sign-in: %v", err)
	}
	if err := submitAs(addr, "floor3", "wrong password", "scan@example.org", "ann@example.org", text); err == nil || !strings.Contains(err.Error(), "535") {
		t.Errorf("wrong password: %v", err)
	}
	if err := submitAs(addr, "floor3", d.Password, "boss@example.org", "ann@example.org", text); err == nil || !strings.Contains(err.Error(), "floor3 may not send as boss@example.org") {
		t.Errorf("as somebody else: %v", err)
	}
	if err := submitAs(addr, "FLOOR3", d.Password, "scan@example.org", "ann@example.net", text); err == nil || !strings.Contains(err.Error(), "relaying denied") {
		t.Errorf("elsewhere: %v", err)
	}
	if err := submitAs(addr, "Floor3", d.Password, "scan@example.org", "ann@example.org", text); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mail is passed on", func() bool { return r.with("Subject: a scan", ".relay@") == 1 })
	if list, err := r.app.Devices(t.Context()); err != nil || len(list) != 1 || list[0].Password != "" || list[0].Name != "floor3" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := r.app.RemoveDevice(t.Context(), "floor3"); err != nil {
		t.Error(err)
	}
	r.stop()
	db, err := os.ReadFile(filepath.Join(r.cfg.Data, "tipring.db"))
	if err != nil || strings.Contains(string(db), d.Password) {
		t.Errorf("the password is in the database: %v", err)
	}
}
