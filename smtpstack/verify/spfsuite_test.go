package verify

import (
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// suite is one document of the SPF test suites in the module's testdata (OpenSPF's format).
type suite struct {
	Description string
	Tests       map[string]struct {
		Helo, Host, MailFrom string
		Result               texts
	}
	ZoneData map[string][]map[string]yaml.Node `yaml:"zonedata"`
}

// texts is one string or a list of them.
type texts []string

func (x *texts) UnmarshalYAML(n *yaml.Node) error {
	var one string
	if n.Kind == yaml.ScalarNode && n.Decode(&one) == nil {
		*x = texts{one}
		return nil
	}
	return n.Decode((*[]string)(x))
}

func readSuites(t *testing.T, name string) []suite {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []suite
	for d := yaml.NewDecoder(f); ; {
		var s suite
		if err := d.Decode(&s); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
}

func (s suite) zone(t *testing.T) zone {
	t.Helper()
	z := zone{}
	for name, records := range s.ZoneData {
		n := z.at(octets(name))
		none := false
		for _, r := range records {
			for kind, value := range r {
				var list texts
				if kind != "MX" {
					if err := value.Decode(&list); err != nil {
						t.Fatal(err)
					}
				}
				switch kind {
				case "A", "AAAA":
					z.addr(name, list...)
				case "TXT":
					if none = list[0] == "NONE"; !none {
						z.txt(name, list...)
					}
				case "SPF": // of the times of type 99: stands in for TXT where there is none
					n.late = append(n.late, txtRecord(name, list))
				case "PTR":
					z.ptr(name, list[0])
				case "CNAME":
					z.cname(name, list[0])
				case "MX":
					var mx []yaml.Node
					var pref uint16
					var host string
					if value.Decode(&mx) != nil || mx[0].Decode(&pref) != nil || mx[1].Decode(&host) != nil {
						t.Fatalf("MX of %s", name)
					}
					z.mx(name, pref, host)
				case "TIMEOUT":
					n.timeout = true
				case "SERVFAIL":
					n.fail = true
				case "CNAMELOOP":
					z.cname(name, name)
				default:
					t.Fatalf("%s has a record of kind %s", name, kind)
				}
			}
		}
		if none {
			n.late = nil
		}
	}
	return z
}

// suiteCases is how many cases the suites of the module's version have, so that none gets lost.
var suiteCases = map[string]int{"rfc7208-tests.yml": 203, "rfc4408-tests.yml": 191, "blitirispf-tests.yml": 83, "pyspf-tests.yml": 16}

// runSuite plays every case of a suite, none skipped, through a DNS server and our resolver. known lists the cases of
// which our result is another than the suite's, with it.
func runSuite(t *testing.T, file string, known map[string]Result) {
	t.Parallel()
	cases := 0
	for _, s := range readSuites(t, file) {
		cases += len(s.Tests)
		t.Run(s.Description, func(t *testing.T) {
			t.Parallel()
			r := clientOf(t, serve(t, s.zone(t)))
			for name, c := range s.Tests {
				ip, err := netip.ParseAddr(c.Host)
				if err != nil {
					t.Fatal(err)
				}
				local, domain := "", c.Helo
				if at := strings.LastIndexByte(c.MailFrom, '@'); at >= 0 {
					local, domain = c.MailFrom[:at], c.MailFrom[at+1:]
				}
				got, why := checkHost(t.Context(), r, ip, c.Helo, local, domain)
				if other, ok := known[name]; ok {
					if got != other || slices.Contains(c.Result, string(got)) {
						t.Errorf("%s: %s (%v), not %s any more: take it out of the list", name, got, why, other)
					}
				} else if !slices.Contains(c.Result, string(got)) {
					t.Errorf("%s: %s (%v), want %v", name, got, why, c.Result)
				}
			}
		})
	}
	if cases != suiteCases[file] {
		t.Errorf("%s has %d cases, not %d", file, cases, suiteCases[file])
	}
}

func TestSPF_RFC7208Suite(t *testing.T) { runSuite(t, "rfc7208-tests.yml", nil) }

// The older suite's cases are as good: RFC 7208 changed none of their results that are left in it.
func TestSPF_RFC4408Suite(t *testing.T) { runSuite(t, "rfc4408-tests.yml", nil) }

// The module's own cases. Some have names of one label in their records, which RFC 7208 7.1 forbids (a domain-spec ends in
// a dot and a top-level domain) and the module allows; an empty part of a local part gets lost in the module.
func TestSPF_ModuleSuite(t *testing.T) {
	runSuite(t, "blitirispf-tests.yml", map[string]Result{
		"resolution-with-10-lookups": PermError, "lookup-limit-at-10": PermError, "lookup-limit-at-10-matches": PermError,
		"void-limit-at-2": PermError, "mx-resolution-10-terms": PermError, "macro-empty-parts": Pass,
	})
}

// Two cases are about an extension of pyspf, "default=", which is an unknown modifier to RFC 7208.
func TestSPF_PySPFSuite(t *testing.T) {
	runSuite(t, "pyspf-tests.yml", map[string]Result{"default-modifier": Neutral, "default-modifier-harsh": Neutral})
}
