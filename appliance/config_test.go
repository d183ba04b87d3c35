package appliance

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestLoad_Example(t *testing.T) {
	c, err := Load("tipring.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Lines) != 1 || !c.Lines[0].Send || !c.Lines[0].Receive || c.Lines[0].Rings != 1 || c.Lines[0].StationID != c.Lines[0].Number {
		t.Errorf("line defaults: %+v", c.Lines)
	}
}

// The example's commented-out keys are the defaults, and no key of Config is missing from it.
func TestExample_DocumentsEveryKeyWithItsDefault(t *testing.T) {
	text, err := os.ReadFile("tipring.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`(?m)^#([a-z_]+ = )`).ReplaceAllString(string(text), "$1")
	for _, lack := range []string{`tls_cert = ""`, `station_id = "+1 425 555 0100"`} {
		if !strings.Contains(plain, lack) {
			t.Fatalf("%s is not in the example", lack)
		}
	}
	open, err := Parse([]byte(plain))
	if err != nil {
		t.Fatalf("with every key uncommented: %v", err)
	}
	short, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	short.Data, short.LogLevel = Default().Data, Default().LogLevel
	short.Retry.BusyIntervals, open.Retry.BusyIntervals = nil, nil
	if !reflect.DeepEqual(open, short) {
		t.Errorf("a commented-out key is not the default:\n%+v\n%+v", open, short)
	}
	for _, key := range keys(reflect.TypeFor[Config]()) {
		if !regexp.MustCompile(`(?m)^#?(\[+([a-z_]+\.)?)?` + key + `\b`).Match(text) {
			t.Errorf("key %s is not in the example", key)
		}
	}
}

func keys(t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if name == "-" {
			continue
		}
		all = append(all, name)
		ft := f.Type
		if ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct {
			all = append(all, keys(ft)...)
		}
	}
	return all
}

const least = `
hostname = "fax.example.com"
fax_domains = ["fax.example.com"]
[[receive]]
name = "in"
listen = ["127.0.0.1:2525"]
senders = ["*"]
[mail]
from = "fax@example.com"
[routes]
default = ["a@example.com"]
[dial]
allow = ["*"]
`

func TestParse_Faults(t *testing.T) {
	line := "[[line]]\nname = \"a\"\ndevice = \"/dev/x\"\nnumber = \"555\"\n"
	tests := []struct{ name, text, want string }{
		{"unknown key", least + "colour = 1\n", `line 14: unknown key "dial.colour"`},
		{"unknown table", least + "[fax]\nx = 1\n", `line 14: unknown key "fax`},
		{"two unknown keys", "a = 1\n" + least + "b = 1\n", `line 15: unknown key "dial.b"`},
		{"unknown key of a line", least + line + "speed = 1\n", `line 18: unknown key "line.speed"`},
		{"prefix", least + line + "prefix = \"9;\"\n", `line "a": prefix "9;"`},
		{"country of a line", least + line + "country = \"XX\"\n", `line "a": country "XX"`},
		{"dial tone", least + line + "dial_tone = \"never\"\n", "use wait or blind"},
		{"blind on a shared line", least + line + "dial_tone = \"blind\"\nshared = true\n", "leave dial_tone out"},
		{"answer", least + line + "answer = \"voice\"\n", "use fax or adaptive"},
		{"did", least + line + "did_digits = 21\n", "did_digits = 21: use 1 to 20"},
		{"hunt", least + line + "hunt = -1\n", "hunt = -1: use 0 to 100"},
		{"ring of no pattern", least + line + "[[line.ring]]\nnumber = \"1\"\n", `[[line.ring]] number 1: pattern ""`},
		{"ring for nobody", least + line + "[[line.ring]]\npattern = \"A\"\n", "or ignore = true"},
		{"ring twice", least + line + "[[line.ring]]\npattern = \"A\"\nignore = true\n[[line.ring]]\npattern = \"A\"\nignore = true\n", "is there twice"},
		{"syntax", least + "x = \n", "line 14"},
		{"wrong type", strings.Replace(least, "[[receive]]", "[[receive]]\nmax_size_mb = \"big\"", 1), "line 5"},
		{"time span", least + "[render]\ntimeout = \"soon\"\n", `"soon" is no time span`},
		{"negative time span", least + "[retention]\nsent = \"-1d\"\n", "is no number of days"},
		{"class", least + line + "class = \"3\"\n", `class "3": use auto, 1, 1.0, 2.1`},
		{"profile", least + line + "profile = \"hayes\"\n", `profile "hayes": use auto, iaxmodem`},
		{"init with a line end", least + line + "init = \"S91=8\\rD911\"\n", "init: use at most 200 printable"},
		{"quirk that is none", least + line + "quirks = { class1.tcf_dealy = \"1s\" }\n", `"class1.tcf_dealy" is not known: use bare_dle`},
		{"quirk's value", least + line + "[line.quirks]\nclass1.no_far = 1\nphone.init = \"x\"\n", "quirk phone.init = x: use a list"},
		{"no senders", strings.Replace(least, `senders = ["*"]`, "", 1), `receive "in": senders: nobody`},
		{"sender", strings.Replace(least, `["*"]`, `["a b"]`, 1), `receive "in": senders: "a b"`},
		{"network", strings.Replace(least, "[[receive]]", "[[receive]]\nnetworks = [\"10.0.0.1\"]", 1), `receive "in": networks: "10.0.0.1"`},
		{"tls half", strings.Replace(least, "[[receive]]", "[[receive]]\ntls_cert = \"x\"", 1), "belong together"},
		{"from", strings.Replace(least, "fax@example.com", "fax", 1), "mail.from"},
		{"password in clear", least + "[[send]]\nname = \"a\"\nhost = \"mx\"\nusername = \"u\"\npassword_file = \"p\"\n", "never goes in clear"},
		{"smart host", least + "[[send]]\nname = \"a\"\nhost = \"mx host\"\n", `send "a": host`},
		{"connector without a name", least + "[[receive]]\nlisten = [\"127.0.0.1:26\"]\nsenders = [\"*\"]\n", "[[receive]] number 2: give it a name"},
		{"connectors with one name", least + "[[send]]\nname = \"a\"\n[[send]]\nname = \"a\"\n", "the name is used twice"},
		{"connector that hears nobody", least + "[[receive]]\nname = \"b\"\nsenders = [\"*\"]\n", "listen is missing"},
		{"route to no connector", least + "[[send_route]]\ndomain = \"example.net\"\nconnector = \"b\"\n", `no [[send]] has the name "b"`},
		{"oauth without a tenant", least + "[[send]]\nname = \"a\"\nhost = \"smtp.office365.com:587\"\ntls = \"required\"\nusername = \"fax@contoso.com\"\npassword_file = \"p\"\noauth = \"secret\"\n", "needs username (the mailbox), tenant and client_id"},
		{"host and mx_of", least + "[[send]]\nname = \"a\"\nhost = \"x\"\nmx_of = \"contoso.com\"\n", "host and mx_of: use one"},
		{"mx_of nothing", least + "[[send]]\nname = \"a\"\nmx_of = \"a b\"\n", `mx_of: "a b"`},
		{"fallback for nobody", least + "[[send]]\nname = \"a\"\nfallback = \"b\"\n[[send]]\nname = \"b\"\n", "fallback_domains belong together"},
		{"fallback to itself", least + "[[send]]\nname = \"a\"\nfallback = \"a\"\nfallback_domains = [\"contoso.com\"]\n", "no other [[send]]"},
		{"fallback for no domain", least + "[[send]]\nname = \"a\"\nfallback = \"b\"\nfallback_domains = [\"*\"]\n[[send]]\nname = \"b\"\n", `fallback_domains: "*"`},
		{"TLS of no kind", least + "[[send]]\nname = \"a\"\ntls_for = { \"bank.example\" = \"always\" }\n", `bank.example: "always"`},
		{"TLS for a smart host's domain", least + "[[send]]\nname = \"a\"\nhost = \"x\"\ntls_for = { \"bank.example\" = \"required\" }\n", "tls_for is for delivery by MX"},
		{"route to a host without port", least + "[[send_route]]\ndomain = \"example.net\"\nhost = \"mx.example.net\"\n", "use host:port"},
		{"route two ways", least + "[[send_route]]\ndomain = \"example.net\"\nhost = \"x:25\"\nconnector = \"mx\"\n", "name a connector, or a host"},
		{"DNS server by name", least + "[dns]\nservers = [\"dns.example\"]\n", "write an IP address"},
		{"validating far away", least + "[dns]\nservers = [\"192.0.2.1\"]\nvalidating = true\n", "has to be on this box"},
		{"validating nobody", least + "[dns]\nvalidating = true\n", "name the validating resolver"},
		{"device code without a mailbox", least + "[[send]]\nname = \"a\"\noauth = \"device\"\n", "oauth needs username"},
		{"oauth of no kind", least + "[[send]]\nname = \"a\"\noauth = \"token\"\n", `oauth: "token"`},
		{"certificate in clear", least + "[[send]]\nname = \"a\"\ncertificate = \"c\"\ncertificate_key = \"k\"\n", "certificate needs tls"},
		{"proof of no kind", strings.Replace(least, "[[receive]]", "[[receive]]\nrequire = [\"word\"]", 1), "word"},
		{"tenant of everyone", strings.Replace(least, "[[receive]]", "[[receive]]\nrequire = [\"tenant\"]", 1), `receive "in": verify`},
		{"proxy", strings.Replace(least, "[[receive]]", "[[receive]]\nproxies = [\"exchange-online\"]", 1), `proxies: "exchange-online"`},
		{"route of no domain", least + "[[send_route]]\ndomain = \"*\"\nconnector = \"mx\"\n", `domain "*"`},
		{"directory of no kind", least + "[[directory]]\nname = \"ad\"\nkind = \"nis\"\n", `directory "ad": kind: "nis": use ldap or graph`},
		{"directory without a base", least + "[[directory]]\nname = \"ad\"\nkind = \"ldap\"\nservers = [\"ldap://dc\"]\n", "write one like DC=contoso,DC=com"},
		{"password in clear to LDAP", least + "[[directory]]\nname = \"ad\"\nkind = \"ldap\"\nservers = [\"ldap://dc\"]\nbase_dn = \"DC=x\"\nbind_dn = \"CN=a\"\npassword_file = \"p\"\n", "use ldaps:// or StartTLS"},
		{"bind DN alone", least + "[[directory]]\nname = \"ad\"\nkind = \"ldap\"\nservers = [\"ldaps://dc\"]\nbase_dn = \"DC=x\"\nbind_dn = \"CN=a\"\n", "bind_dn and password_file belong together"},
		{"graph without a secret", least + "[[directory]]\nname = \"m365\"\nkind = \"graph\"\ntenant = \"t\"\nclient_id = \"c\"\n", "name either password_file"},
		{"graph in clear", least + "[[directory]]\nname = \"m365\"\nkind = \"graph\"\ntenant = \"t\"\nclient_id = \"c\"\npassword_file = \"p\"\nbase = \"http://x\"\n", "begins with https://"},
		{"directory named like a source", least + "[[directory]]\nname = \"callout\"\nkind = \"graph\"\n", "the name is taken"},
		{"verified by nobody", least + "[recipients]\nverify = [\"directory\"]\n", "needs a [[directory]]"},
		{"verified by whom", least + "[recipients]\nverify = [\"dns\"]\n", "use table, directory or callout"},
		{"waits for days", least + "[recipients]\nwait = \"2d\"\n", "recipients.wait: use at most 24h"},
		{"SRS without a domain name", least + "[srs]\ndomain = \"a b\"\n", "srs.domain"},
		{"SRS for a moment", least + "[srs]\nmax_age = \"1h\"\n", "srs.max_age: use 1d to 100d"},
		{"two lines one name", least + line + line, "the name is used twice"},
		{"no device", least + "[[line]]\nname = \"a\"\nnumber = \"5\"\n", "device is missing"},
		{"station", least + line + "station_id = \"fax\"\n", "station_id"},
		{"rings", least + line + "rings = 0\n", "rings = 0"},
		{"idle line", least + line + "send = false\nreceive = false\n", "neither send nor receive"},
		{"rate", least + line + "max_rate = 33600\n", "no fax rate"},
		{"V.34 in Class 2", least + line + "v34 = true\nclass = \"2\"\n", "v34 = true takes class 1.0"},
		{"V.34 at V.17's rate", least + line + "v34 = true\nmax_rate = 14400\n", "v34 = true would never be used"},
		{"V.34 without error correction", least + line + "v34 = true\nno_ecm = true\n", "v34 = true would never be used"},
		{"finest resolution", least + line + "resolution = \"1200\"\n", "resolution \"1200\""},
		{"coding", least + line + "coding = \"jbig2\"\n", "use mh, mr, mmr or jbig"},
		{"offer without a file", least + line + "[[offer]]\nselective = \"1\"\n", "file is missing"},
		{"offer by name", least + line + "[[offer]]\nfile = \"a.pdf\"\nselective = \"prices\"\n", "up to 20 digits"},
		{"offers with one address", least + line + "[[offer]]\nfile = \"a.pdf\"\n[[offer]]\nfile = \"b.pdf\"\n", "another document"},
		{"no default route", strings.Replace(least, `default = ["a@example.com"]`, "", 1) + line, "routes.default"},
		{"nothing to dial", strings.Replace(least, `allow = ["*"]`, "", 1) + line, "dial.allow"},
		{"pattern", least + "deny = [\"x\"]\n", `pattern "x"`},
		{"web open to all", least + "[web]\nlisten = \"0.0.0.0:80\"\n", "no sign-in"},
		{"paper", least + "[render]\npaper = \"a3\"\n", "render.paper: \"a3\": use a4"},
		{"photos", least + "[render]\nphotos = \"nice\"\n", "use screen or diffusion"},
		{"language", least + "[cover]\nlanguage = \"la\"\n", "use en, de, fr, es, nl"},
		{"memory", least + "[render]\nmemory_mb = 1\n", "render.memory_mb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	if _, err := Parse([]byte(least + line)); err != nil {
		t.Errorf("the table's base is not valid itself: %v", err)
	}
}

func TestLoad_NamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.toml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("unknown key: %v", err)
	}
}

func TestDuration_Text(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "0s": 0} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
		out, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again Duration
		if err := again.UnmarshalText(out); err != nil || again != d {
			t.Errorf("%s came back as %s: %v", text, out, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(least))
	f.Add([]byte("[[line]]\nname = 1\n"))
	f.Add([]byte("line = 1\n"))
	f.Add([]byte("line = []\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err == nil && c.Validate() != nil {
			t.Error("Parse let an invalid configuration through")
		}
	})
}

// The configurations in docs/microsoft-365.md are taken as they stand there.
func TestDocs_Microsoft365(t *testing.T) {
	text, err := os.ReadFile("../docs/microsoft-365.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(text), "```toml\n")[1:] {
		example, _, _ := strings.Cut(part, "```")
		if _, err := Parse([]byte("[mail]\nfrom = \"fax@contoso.com\"\n" + example)); err != nil {
			t.Errorf("%v:\n%s", err, example)
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d examples", n)
	}
}

// Rings of a line with a telephone leave people time, unless they are given.
func TestParse_SharedLine(t *testing.T) {
	line := "[[line]]\nname = \"a\"\ndevice = \"/dev/x\"\nnumber = \"555\"\nshared = true\n"
	for extra, want := range map[string]int{"": sharedRings, "rings = 2\n": 2} {
		if c, err := Parse([]byte(least + line + extra)); err != nil || c.Lines[0].Rings != want {
			t.Errorf("%q: %v", extra, err)
		}
	}
}

func TestPhoneConfig_Prefix(t *testing.T) {
	for own, want := range map[string]string{"": "9,", "none": "", "0w": "0w"} {
		if got := (PhoneConfig{Prefix: own}).dialPrefix("9,"); got != want {
			t.Errorf("%q: %q", own, got)
		}
	}
}

// TestConfig_V34: off unless it is asked for, since no hardware has tried it.
func TestConfig_V34(t *testing.T) {
	const line = "[[line]]\nname = \"a\"\ndevice = \"/dev/ttyACM0\"\nnumber = \"5\"\n"
	for text, want := range map[string]bool{"": false, "v34 = false\n": false, "v34 = true\n": true, "v34 = true\nclass = \"1.0\"\n": true} {
		c, err := Parse([]byte(least + line + text))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Lines[0].modemOptions().V34; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
