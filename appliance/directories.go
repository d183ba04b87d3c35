package appliance

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/token"
)

// DirectoryConfig is a directory of people beside the table: whose groups a sender belongs to, and which mailbox an
// address stands for.
type DirectoryConfig struct {
	Name string `toml:"name"` // for alarms and `tipring user lookup`
	Kind string `toml:"kind"` // ldap (Active Directory, OpenLDAP) or graph (Microsoft 365)

	// Of LDAP.
	Servers     []string `toml:"servers"`      // ldap://host or ldaps://host each, asked in this order until one answers
	StartTLS    bool     `toml:"starttls"`     // encrypt ldap://; without it and ldaps:// no password is sent
	CAFile      string   `toml:"ca_file"`      // PEM file of the authorities that sign the servers' certificates; empty: the system's
	BindDN      string   `toml:"bind_dn"`      // account that may read users and groups, with Active Directory also as user@domain; empty: anonymous
	BaseDN      string   `toml:"base_dn"`      // users and groups are searched below it
	GroupMember string   `toml:"group_member"` // attribute of groups that lists members; empty: member
	Timeout     Duration `toml:"timeout"`      // of a server's connection and of each answer; 0: 5 s

	// Of Graph. The application needs User.Read.All and GroupMember.Read.All.
	Tenant         string `toml:"tenant"`          // directory ID or a domain of the organisation
	ClientID       string `toml:"client_id"`       // application ID of the app registration
	Certificate    string `toml:"certificate"`     // PEM file: the application proves itself by a certificate; empty: by a secret
	CertificateKey string `toml:"certificate_key"` // PEM file
	Base           string `toml:"base"`            // address of Graph; empty: https://graph.microsoft.com/v1.0
	Authority      string `toml:"authority"`       // where tokens come from; empty: https://login.microsoftonline.com

	PasswordFile string `toml:"password_file"` // ldap: of bind_dn; graph: the client secret
}

// RecipientsConfig says how the addresses of routes are looked up before a received fax is mailed to them.
type RecipientsConfig struct {
	Verify []string `toml:"verify"` // who is asked, in this order: table, directory, callout; none: nobody
	Wait   Duration `toml:"wait"`   // how long a fax waits for who cannot be asked; then it is mailed to the address as it stands
}

const (
	askTable     = "table"
	askDirectory = "directory"
	askCallout   = "callout"
)

func (c Config) validateDirectories(v *faults) {
	names := map[string]bool{askTable: true, askCallout: true}
	for i, d := range c.Directories {
		at := fmt.Sprintf("directory %q", d.Name)
		if d.Name == "" {
			at = fmt.Sprintf("[[directory]] number %d", i+1)
		}
		v.need(d.Name != "" && strings.Trim(strings.ToLower(d.Name), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" && len(d.Name) <= 40,
			"%s: name: give it one of letters, digits and -, at most 40 octets", at)
		v.need(!names[d.Name], "%s: the name is taken; choose another", at)
		names[d.Name] = true
		switch d.Kind {
		case "ldap":
			d.validateLDAP(v, at)
		case "graph":
			d.validateGraph(v, at)
		default:
			v.need(false, "%s: kind: %q: use ldap or graph", at, d.Kind)
		}
	}
	seen := map[string]bool{}
	for _, who := range c.Recipients.Verify {
		v.need(oneOf(who, askTable, askDirectory, askCallout), "recipients.verify: %q: use table, directory or callout", who)
		v.need(!seen[who], "recipients.verify: %q stands there twice", who)
		v.need(who != askDirectory || len(c.Directories) > 0, "recipients.verify: \"directory\" needs a [[directory]]")
		seen[who] = true
	}
	v.need(time.Duration(c.Recipients.Wait) <= 24*time.Hour, "recipients.wait: use at most 24h: a fax must not wait longer for a directory")
}

func (d DirectoryConfig) validateLDAP(v *faults, at string) {
	v.need(d.Tenant+d.ClientID+d.Certificate+d.CertificateKey+d.Base+d.Authority == "", "%s: tenant, client_id, certificate, base and authority are for kind = \"graph\"", at)
	v.need((d.BindDN == "") == (d.PasswordFile == ""), "%s: bind_dn and password_file belong together", at)
	v.need(time.Duration(d.Timeout) <= 20*time.Second, "%s: timeout: use at most 20s: a mail server waits for the answer", at)
	c := d.ldap(nil, "")
	if d.BindDN != "" {
		c.Password = "x" // it is not read yet
	}
	if _, err := directory.NewLDAP(c); err != nil {
		v.need(false, "%s", strings.TrimPrefix(err.Error(), "directory: "))
	}
}

func (d DirectoryConfig) ldap(roots *x509.CertPool, password string) directory.LDAPConfig {
	c := directory.LDAPConfig{Name: d.Name, Servers: d.Servers, StartTLS: d.StartTLS, BindDN: d.BindDN, Password: password, BaseDN: d.BaseDN,
		GroupMember: d.GroupMember, Timeout: time.Duration(d.Timeout)}
	if roots != nil {
		c.TLS = &tls.Config{RootCAs: roots}
	}
	return c
}

func (d DirectoryConfig) validateGraph(v *faults, at string) {
	v.need(len(d.Servers) == 0 && !d.StartTLS && d.CAFile+d.BindDN+d.BaseDN+d.GroupMember == "" && d.Timeout == 0,
		"%s: servers, starttls, ca_file, bind_dn, base_dn, group_member and timeout are for kind = \"ldap\"", at)
	v.need(d.Tenant != "" && d.ClientID != "", "%s: kind = \"graph\" needs tenant and client_id", at)
	v.need((d.Certificate == "") == (d.CertificateKey == ""), "%s: certificate and certificate_key belong together", at)
	v.need((d.Certificate == "") != (d.PasswordFile == ""), "%s: name either password_file (with the client secret) or certificate and certificate_key", at)
	for key, address := range map[string]string{"base": d.Base, "authority": d.Authority} {
		v.need(address == "" || strings.HasPrefix(address, "https://"), "%s: %s: %q: write an address that begins with https://", at, key, address)
	}
}

// source makes the directory. Nothing is connected to yet.
func (d DirectoryConfig) source(client *http.Client) (directory.Source, error) {
	secret, err := readSecret(d.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("password_file: %w", err)
	}
	if d.Kind == "ldap" {
		roots, err := readRoots(d.CAFile)
		if err != nil {
			return nil, err
		}
		return directory.NewLDAP(d.ldap(roots, secret))
	}
	app := token.Config{Tenant: d.Tenant, ClientID: d.ClientID, Authority: d.Authority, Scopes: []string{graphScope(d.Base)}, HTTP: client}
	var tokens *token.Source
	if d.Certificate == "" {
		tokens, err = token.ClientSecret(app, secret)
	} else {
		var own tls.Certificate
		if own, err = tls.LoadX509KeyPair(d.Certificate, d.CertificateKey); err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		tokens, err = token.ClientCertificate(app, own)
	}
	if err != nil {
		return nil, err
	}
	return directory.NewGraph(directory.GraphConfig{Name: d.Name, Base: d.Base, Tokens: tokens, Client: client})
}

// graphScope asks for what the application was granted at the Graph of its cloud ("Microsoft Graph national cloud deployments").
func graphScope(base string) string {
	base = cmp.Or(base, "https://graph.microsoft.com/v1.0")
	host, _, _ := strings.Cut(strings.TrimPrefix(base, "https://"), "/")
	return "https://" + host + "/.default"
}

// readSecret reads a file with one secret; "" for no file.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := string(bytes.TrimRight(b, "\r\n"))
	if secret == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return secret, nil
}

// readRoots reads authorities; nil for no file.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("certificates of authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificates of authorities: %s has no certificate in PEM", file)
	}
	return roots, nil
}

// openDirectories makes the directories and what asks them. router is for callouts.
func (a *Appliance) openDirectories(router *send.Router) error {
	var sources []directory.Source
	for _, d := range a.cfg.Directories {
		s, err := d.source(a.d.HTTP)
		if err != nil {
			return fmt.Errorf("directory %q: %w", d.Name, err)
		}
		w := directory.Watch(s, a.directoryReport(d.Name))
		a.watched, sources = append(a.watched, w), append(sources, w)
	}
	a.clearOldDirectories()
	a.openLookups(sources, router)
	return nil
}

// openLookups makes what asks the directories.
func (a *Appliance) openLookups(sources []directory.Source, router *send.Router) {
	o := directory.Options{}
	if len(sources) > 0 {
		// Without the table, which the Directory asks by itself: as a source it would answer for people of other directories.
		o.Members = directory.NewChain(a.st, sources...)
	}
	a.people = directory.New(a.st, o)
	all := append([]directory.Source{a.people.Table()}, sources...)
	var verify []directory.Source
	for _, who := range a.cfg.Recipients.Verify {
		switch who {
		case askTable:
			verify = append(verify, a.people.Table())
		case askDirectory:
			verify = append(verify, sources...)
		case askCallout:
			a.callout = newCallout(a.cfg, router, sendMemory{a.st})
			s := directory.RecipientsOnly(askCallout, a.callout)
			verify, all = append(verify, s), append(all, s)
		}
	}
	if len(verify) > 0 {
		a.recipients = directory.NewChain(a.st, verify...)
	}
	a.lookup = directory.NewChain(a.st, all...)
}

// directoryReport raises and clears a directory's alarm.
func (a *Appliance) directoryReport(name string) func(error) {
	code := directoryAlarm + name
	return func(err error) {
		if err == nil {
			if a.alarms.Clear(code) {
				a.log.Info("directory answers again", "directory", name)
			}
			return
		}
		remedy := directory.Remedy(err)
		if remedy == "" {
			remedy = "Check that it is up and reachable from here."
		}
		why := strings.ReplaceAll(oneLine(err), "directory: "+name+": ", "")
		a.alarms.Raise(code, fmt.Sprintf("The directory %s cannot be asked: %s.", name, why),
			remedy+" It is asked again by itself; faxes of senders whose groups are not known wait.")
	}
}

const directoryAlarm = "directory/"

// clearOldDirectories clears the alarms of directories that are no longer configured.
func (a *Appliance) clearOldDirectories() {
	for _, al := range a.alarms.List() {
		name, ok := strings.CutPrefix(al.Code, directoryAlarm)
		for _, d := range a.cfg.Directories {
			ok = ok && d.Name != name
		}
		if ok {
			a.alarms.Clear(al.Code)
		}
	}
}

// watchDirectories starts the workers that ask the directories when nobody else does.
func (a *Appliance) watchDirectories(ctx context.Context) {
	for _, w := range a.watched {
		a.sup.start(ctx, "directory "+w.Name(), func(ctx context.Context) error { return w.Run(ctx, a.cfg.Mail.From) })
	}
}
