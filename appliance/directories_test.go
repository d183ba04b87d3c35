package appliance

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/directorytest"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
)

// secretFile is a file with a secret, as the configuration names it.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (r *rig) permit(group string, p directory.Permission) {
	r.t.Helper()
	if _, err := r.app.people.Put(directory.Entry{Kind: directory.Group, Name: group, Permission: &p}); err != nil {
		r.t.Fatal(err)
	}
}

// alarm returns the alarm of a code.
func (r *rig) alarm(code string) (control.Alarm, bool) {
	for _, a := range r.app.alarms.List() {
		if a.Code == code {
			return a, true
		}
	}
	return control.Alarm{}, false
}

// asks hands in a mail and returns the reply's beginning; "" is taken.
func (r *rig) asks(from, number string) string {
	err := submit(r.app.SMTPAddrs()[0], from, []string{number + "@" + demoFax}, letterFrom(from, "ask-"+strings.ReplaceAll(from, "@", "-")))
	if err == nil {
		return ""
	}
	code, _, _ := strings.Cut(err.Error(), " ")
	return code
}

// boxes is a mail server that keeps who got faxes.
type boxes struct {
	mu  sync.Mutex
	got []string
}

func (b *boxes) deliver(_ context.Context, m send.Message) (rep send.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := m.Open()
	if err != nil {
		return rep
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	for _, to := range m.To {
		if strings.Contains(string(text), "X-Tipring-Fax:") {
			b.got = append(b.got, to)
		}
		rep.Results = append(rep.Results, send.Result{To: to, Class: smtpstack.Delivered, Reply: smtpstack.Reply{Code: 250}})
	}
	return rep
}

func (b *boxes) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.got)
	slices.Sort(list)
	return list
}

func slapdConfig(t *testing.T, s *directorytest.Slapd, password string) DirectoryConfig {
	return DirectoryConfig{Name: "ad", Kind: "ldap", Servers: []string{"ldap://" + s.Plain}, StartTLS: true, CAFile: s.CAFile,
		BindDN: directorytest.BindDN, PasswordFile: secretFile(t, password), BaseDN: "dc=contoso,dc=test", Timeout: Duration(10 * time.Second)}
}

// The whole appliance beside a directory like Active Directory: who may fax is decided by its groups, and what is received
// goes to the mailboxes behind its addresses, over StartTLS.
func TestRun_ActiveDirectory(t *testing.T) {
	t.Parallel()
	s := directorytest.StartSlapd(t, directorytest.Contoso())
	var mail boxes
	r := newRig(t, 12)
	r.deps.Deliver = mail.deliver
	r.cfg.Directories = []DirectoryConfig{slapdConfig(t, s, directorytest.Password)}
	r.cfg.Recipients.Verify = []string{askDirectory}
	r.cfg.Routes.Default = []string{"a.smith@contoso.test", "circle@contoso.test", "gone@contoso.test"}
	r.start()
	r.permit("Sales", directory.Permission{NotTo: []string{"1900*"}})

	for _, c := range []struct{ from, number, want string }{
		{"a.smith@contoso.test", demoReceiver, ""}, // an alias of one in the group
		{"bob@contoso.test", "1900555", "550"},     // in a group of the group, where it must not
		{"squatter@contoso.test", demoReceiver, "550"},
		{"nobody@contoso.test", demoReceiver, "550"},
	} {
		if got := r.asks(c.from, c.number); got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.from, c.number, got, c.want)
		}
	}
	j := r.waitState("ask-a.smith-contoso.test", demoReceiver, queue.Sent)
	if faxes, _, err := r.app.people.Used("ann.smith@contoso.test", time.Now()); err != nil || faxes != 1 || j.Sender != "a.smith@contoso.test" {
		t.Errorf("%d faxes counted for the alias's owner, %v", faxes, err)
	}
	eventually(t, "the fax is mailed", func() bool {
		list, err := r.app.q.Faxes(1)
		return err == nil && len(list) == 1 && !list[0].Delivered.IsZero()
	})
	want := []string{"ann.smith@contoso.test", "bob@contoso.test", "joerg@contoso.test", demoMailbox}
	if got := mail.all(); !slices.Equal(got, want) {
		t.Errorf("the fax went to %q, want each mailbox once, and the fallback for who is gone: %q", got, want)
	}
	if a, ok := r.alarm("recipient/gone@contoso.test"); !ok || !strings.Contains(a.Text, "routes.default") {
		t.Errorf("alarms: %+v", r.app.alarms.List())
	}
	r.lookUpContoso()
	r.slapdStops(s)
}

// lookUpContoso is what commands say about addresses.
func (r *rig) lookUpContoso() {
	t, ctx := r.t, r.t.Context()
	res, err := r.app.LookUp(ctx, "a.smith@contoso.test", true)
	if err != nil || !slices.Equal(res.Mailboxes, []string{"ann.smith@contoso.test"}) || len(res.Answers) != 2 || res.Answers[0].Known || !slices.Contains(res.Answers[1].Groups, "GRP-Sales") {
		t.Errorf("%+v, %v", res, err)
	}
	route, err := r.app.TestRoute(ctx, "", "")
	if err != nil || len(route.Mailboxes) != 3 || len(route.Mailboxes[1].Mailboxes) != 3 || !strings.Contains(route.Mailboxes[2].Trouble, demoMailbox) {
		t.Errorf("%+v, %v", route, err)
	}
	if _, err := r.app.AddRoute(ctx, control.Route{Dialed: "1", To: []string{"nobody@contoso.test"}}); err == nil || !strings.Contains(err.Error(), "nobody knows") {
		t.Errorf("a route to an address that nobody knows: %v", err)
	}
	if added, err := r.app.AddRoute(ctx, control.Route{Dialed: "1", To: []string{"empty@contoso.test", "bob@contoso.test"}}); err != nil || len(added.Warnings) != 1 {
		t.Errorf("%+v, %v", added, err)
	}
}

// slapdStops shows what an outage does, and that it ends by itself.
func (r *rig) slapdStops(s *directorytest.Slapd) {
	t := r.t
	s.Stop()
	if got := r.asks("joerg@contoso.test", demoBusy); got != "451" {
		t.Errorf("a sender whose groups nobody can tell now: %q, want 451", got)
	}
	if got := r.asks("a.smith@contoso.test", "1900555"); got != "550" {
		t.Errorf("a sender whose groups are remembered: %q, want 550", got)
	}
	if a, ok := r.alarm("directory/ad"); !ok || a.Remedy == "" {
		t.Errorf("alarms: %+v", r.app.alarms.List())
	}
	if res, err := r.app.LookUp(t.Context(), "twin1@contoso.test", false); err != nil || res.Answers[1].Trouble == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if p, err := r.app.TestPermission(t.Context(), "twin1@contoso.test", "5550199"); err != nil || p.Allowed || !strings.Contains(p.Reason, "try again later") {
		t.Errorf("%+v, %v", p, err)
	}
	s.Start()
	eventually(t, "the directory is asked again", func() bool { return r.asks("joerg@contoso.test", demoBusy) == "" })
	eventually(t, "the alarm ends by itself", func() bool { _, on := r.alarm("directory/ad"); return !on })
}

func TestRun_ActiveDirectoryRefusesThePassword(t *testing.T) {
	t.Parallel()
	s := directorytest.StartSlapd(t, directorytest.Contoso())
	r := newRig(t, 12)
	r.cfg.Directories = []DirectoryConfig{slapdConfig(t, s, "wrong password of the fax account")}
	r.start()
	eventually(t, "the alarm comes at the start, before anybody faxes", func() bool { _, on := r.alarm("directory/ad"); return on })
	if a, _ := r.alarm("directory/ad"); !strings.Contains(a.Remedy, "bind DN or password") || strings.Contains(a.Text+a.Remedy, "wrong password of") {
		t.Errorf("%+v", a)
	}
	r.permit("Sales", directory.Permission{})
	if got := r.asks("a.smith@contoso.test", demoReceiver); got != "451" {
		t.Errorf("%q, want 451: a wrong configuration bounces nothing", got)
	}
	if res, err := r.app.LookUp(t.Context(), "a.smith@contoso.test", false); err != nil || !strings.Contains(res.Answers[1].Remedy, "bind DN or password") {
		t.Errorf("%+v, %v", res, err)
	}
}

func tenantRig(t *testing.T, secret string) (*rig, *directorytest.Tenant) {
	t.Helper()
	g := directorytest.NewTenant()
	g.Add("user", "u1", "Ann Smith", "ann@contoso.test", "SMTP:Ann.Smith@contoso.test", "smtp:a.smith@contoso.test")
	g.Add("user", "u2", "Bob", "bob@contoso.test", "SMTP:bob@contoso.test")
	g.Add("group", "g1", "Sales", "sales@contoso.test", "SMTP:sales@contoso.test")
	g.Members["g1"] = []string{"u1"}
	r := newRig(t, 12)
	r.deps.HTTP = &http.Client{Transport: g}
	r.cfg.Directories = []DirectoryConfig{{Name: "m365", Kind: "graph", Tenant: "contoso.test", ClientID: directorytest.ClientID,
		PasswordFile: secretFile(t, secret), Base: directorytest.Base, Authority: directorytest.Authority}}
	r.cfg.Recipients.Verify = []string{askTable, askDirectory}
	r.start()
	r.permit("Sales", directory.Permission{})
	return r, g
}

// may tells whether a sender may fax; an answer that nobody can give is "later".
func (r *rig) may(who string) string {
	r.t.Helper()
	p, err := r.app.TestPermission(r.t.Context(), who, "5550199")
	switch {
	case err != nil:
		r.t.Fatal(err)
	case p.Allowed:
		return "yes"
	case strings.Contains(p.Reason, "try again later"):
		return "later"
	}
	return "no"
}

// The tenant's directory by the configuration: token, groups, mailboxes, and each way it fails.
func TestRun_Graph(t *testing.T) {
	t.Parallel()
	r, g := tenantRig(t, directorytest.ClientSecret)
	if a, b := r.may("a.smith@contoso.test"), r.may("bob@contoso.test"); a != "yes" || b != "no" {
		t.Errorf("ann %s, bob %s", a, b)
	}
	if d, err := r.app.TestRoute(t.Context(), "", ""); err != nil || len(d.Mailboxes) != 1 || d.Mailboxes[0].Trouble == "" {
		t.Errorf("%+v, %v", d, err)
	}
	box := func(want string) {
		t.Helper()
		eventually(t, "m365: "+want, func() bool {
			res, err := r.app.LookUp(t.Context(), "a.smith@contoso.test", true)
			if err != nil {
				t.Fatal(err)
			}
			one := res.Answers[1]
			return strings.Contains(strings.Join(res.Mailboxes, " ")+" "+one.Trouble+" "+one.Remedy, want)
		})
	}
	box("ann.smith@contoso.test")
	g.Change(func(g *directorytest.Tenant) { g.Expire() })
	box("ann.smith@contoso.test") // with a new token
	if a, on := r.alarm("directory/m365"); on {
		t.Errorf("an expired token is nobody's business: %+v", a)
	}

	g.Change(func(g *directorytest.Tenant) { g.Rights["User.Read.All"] = false })
	box("User.Read.All")
	eventually(t, "the alarm names the permission", func() bool {
		a, on := r.alarm("directory/m365")
		return on && strings.Contains(a.Remedy, "User.Read.All")
	})
	if got := r.asks("bob@contoso.test", demoReceiver); got != "550" {
		t.Errorf("who is remembered: %q, want 550", got)
	}
	if got := r.asks("carl@contoso.test", demoReceiver); got != "451" {
		t.Errorf("who is not: %q, want 451", got)
	}
	g.Change(func(g *directorytest.Tenant) { g.Rights["User.Read.All"] = true })
	box("ann.smith@contoso.test")
	eventually(t, "the alarm ends by itself", func() bool { _, on := r.alarm("directory/m365"); return !on })

	g.Change(func(g *directorytest.Tenant) { g.Budget, g.Window = 1, 10*time.Minute })
	box("wait")
	if r.may("dora@contoso.test") != "later" {
		t.Error("a throttled tenant does not say that somebody may not fax")
	}
	if _, on := r.alarm("directory/m365"); !on {
		t.Error("no alarm while the tenant is not to be asked")
	}
}

func TestRun_GraphRefusesTheSecret(t *testing.T) {
	t.Parallel()
	r, _ := tenantRig(t, "not the application's secret")
	eventually(t, "the alarm comes at the start", func() bool {
		a, on := r.alarm("directory/m365")
		return on && strings.Contains(a.Remedy, "client secret is wrong") && !strings.Contains(a.Text, "not the application's secret")
	})
	if r.may("a.smith@contoso.test") != "later" {
		t.Error("nobody can tell, and yet somebody does")
	}
}
