package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tipring/tipring"

// mayImport is the house's import table (ARCHITECTURE.md, "Packages"): package to the packages of our own that it may
// import. "x/..." is x and all below it. Lower rows never import higher ones.
var mayImport = map[string][]string{
	"imaging":             {},
	"imaging/t4":          {"imaging"},
	"imaging/jbig":        {"imaging"},
	"imaging/tiff":        {"imaging", "imaging/t4", "imaging/jbig"},
	"imaging/pdf":         {"imaging/..."},
	"imaging/raster":      {"imaging/..."},
	"imaging/imagingtest": {"imaging", "imaging/tiff"},
	"t30/hdlc":            {},
	"t30":                 {"t30/hdlc"},
	"t30/t30test":         {"t30", "t30/hdlc"},
	"modem/at":            {"t30"},
	"modem/phone":         {"modem/at", "t30"},
	"modem/class1":        {"modem/at", "modem/phone", "t30", "t30/hdlc"},
	"modem/class2":        {"modem/at", "modem/phone", "t30"},
	"modem/virtual":       {"t30", "t30/t30test"},
	"modem/recording":     {"modem/at", "t30", "t30/hdlc"},
	"modem":               {"modem/at", "modem/phone", "modem/class1", "modem/class2", "modem/recording", "t30"},
	"smtpstack":           {},
	"smtpstack/resolve":   {"smtpstack"},
	"smtpstack/verify":    {"smtpstack", "smtpstack/resolve"},
	"smtpstack/srs":       {"smtpstack"},
	"smtpstack/tnef":      {},
	"smtpstack/message":   {"smtpstack", "smtpstack/tnef"},
	"smtpstack/receive":   {"smtpstack/..."},
	"smtpstack/acme":      {"smtpstack"},
	"smtpstack/send":      {"smtpstack/..."},
	"smtpstack/token":     {"smtpstack"},
	"smtpstack/exchange":  {"smtpstack"},
	"smtpstack/smtptest":  {},
	"smtpstack/diagnose":  {"smtpstack/..."},
	"appliance/store":     {},
	"appliance/queue":     {"appliance/store", "t30"},
	"appliance/routing":   {"appliance/store"},
	"appliance/directory": {"appliance/store", "appliance/routing", "smtpstack"},
	"appliance/call":      {"appliance/store", "t30", "modem", "imaging/..."},
	"appliance/control":   {},
	"appliance/web":       {"appliance/control"},
	"appliance/gotenberg": {"imaging/raster"},
	"appliance/gateway":   {"appliance/store", "appliance/gotenberg", "appliance/queue", "appliance/routing", "appliance/directory", "appliance/call", "appliance/control", "t30", "imaging/...", "smtpstack/..."},
	"appliance":           {"..."},
	"cmd/tipring":         {"appliance/...", "modem/...", "imaging/...", "t30/...", "smtpstack/..."},

	"appliance/directorytest": {"smtpstack/smtptest"},
}

// thirdParty lists every module from outside and the packages that use it. What only tests use is not here: go-sasl,
// creack/pty and pebble.
var thirdParty = map[string][]string{
	"go.bug.st/serial":                 {"modem"},
	"golang.org/x/sys":                 {"modem", "imaging/raster", "imaging/imagingtest", "cmd/tipring"},
	"golang.org/x/image":               {"imaging/raster"},
	"golang.org/x/net":                 {"imaging/raster", "smtpstack/message", "smtpstack/receive", "smtpstack/send", "smtpstack/verify"},
	"golang.org/x/text":                {"imaging/raster", "smtpstack/message", "smtpstack/tnef"},
	"github.com/klippa-app/go-pdfium":  {"imaging/raster"},
	"github.com/go-text/typesetting":   {"imaging/raster"},
	"github.com/tetratelabs/wazero":    {"imaging/raster"},
	"github.com/emersion/go-smtp":      {"smtpstack/receive", "appliance"},
	"github.com/emersion/go-message":   {"smtpstack/message"},
	"golang.org/x/oauth2":              {"smtpstack/token"},
	"github.com/emersion/go-msgauth":   {"smtpstack/verify", "smtpstack/message"},
	"blitiri.com.ar/go/spf":            {"smtpstack/verify"},
	"github.com/miekg/dns":             {"smtpstack/resolve", "smtpstack/smtptest"},
	"github.com/pires/go-proxyproto":   {"smtpstack/receive"},
	"github.com/go-ldap/ldap/v3":       {"appliance/directory"},
	"github.com/go-asn1-ber/asn1-ber":  {"appliance/directory"},
	"golang.org/x/crypto":              {"appliance/directory"},
	"golang.org/x/sync":                {"appliance/directory"},
	"github.com/caddyserver/certmagic": {"smtpstack/acme"},
	"github.com/libdns/rfc2136":        {"smtpstack/acme"},
	"go.uber.org/zap":                  {"smtpstack/acme"},
	"go.etcd.io/bbolt":                 {"appliance/store"},
	"github.com/pelletier/go-toml/v2":  {"appliance", "modem"},
}

type listedPackage struct {
	ImportPath, Name                   string
	Standard                           bool
	Imports, TestImports, XTestImports []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func allowed(list []string, pkg string) bool {
	return slices.ContainsFunc(list, func(a string) bool {
		base, tree := strings.CutSuffix(a, "...")
		base = strings.TrimSuffix(base, "/")
		return a == pkg || tree && (base == "" || pkg == base || strings.HasPrefix(pkg, base+"/"))
	})
}

// TestImports_FollowTheTable walks the imports of every package.
func TestImports_FollowTheTable(t *testing.T) {
	pkgs := listPackages(t)
	if len(pkgs) < 10 {
		t.Fatalf("go list found only %d packages", len(pkgs))
	}
	used := map[string]bool{} // module and package
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		list, known := mayImport[name]
		if !known {
			t.Errorf("package %s is not in the import table", name)
			continue
		}
		for _, imp := range p.Imports {
			if own, ok := strings.CutPrefix(imp, module+"/"); ok {
				if !allowed(list, own) {
					t.Errorf("%s imports %s, which the table does not allow", name, own)
				}
				continue
			}
			used[thirdPartyModule(imp)+" in "+name] = true
			if mod := thirdPartyModule(imp); mod != "" && !allowed(thirdParty[mod], name) {
				t.Errorf("%s uses %s, which the list of third-party modules does not allow", name, mod)
			} else if mod == "" && strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("%s uses %s, which is not in the list of third-party modules", name, imp)
			}
		}
	}
	for mod, list := range thirdParty {
		for _, name := range list {
			if !used[mod+" in "+name] {
				t.Errorf("%s does not use %s any more: take it out of the list", name, mod)
			}
		}
	}
}

func thirdPartyModule(imp string) string {
	for mod := range thirdParty {
		if imp == mod || strings.HasPrefix(imp, mod+"/") {
			return mod
		}
	}
	return ""
}

// TestImports_TableKnowsRightFromWrong keeps the matcher itself honest.
func TestImports_TableKnowsRightFromWrong(t *testing.T) {
	for _, c := range []struct {
		list []string
		pkg  string
		want bool
	}{
		{[]string{"imaging"}, "imaging/t4", false},
		{[]string{"imaging/..."}, "imaging/t4", true},
		{[]string{"imaging/..."}, "imaging", true},
		{[]string{"..."}, "t30", true},
		{nil, "t30", false},
	} {
		if got := allowed(c.list, c.pkg); got != c.want {
			t.Errorf("allowed(%v, %s) = %v", c.list, c.pkg, got)
		}
	}
}
