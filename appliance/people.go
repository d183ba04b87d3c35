package appliance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack/verify"
)

// People implements [control.People].
func (a *Appliance) People(context.Context) ([]control.Person, error) {
	list, err := a.people.List()
	out := []control.Person{}
	for _, e := range list {
		out = append(out, personView(e))
	}
	return out, err
}

func personView(e directory.Entry) control.Person {
	p := control.Person{Kind: string(e.Kind), Name: e.Name, Aliases: e.Aliases, Display: e.Display, Groups: e.Groups, Note: e.Note}
	if r := e.Permission; r != nil {
		hours, _ := r.Hours.MarshalText() // never fails
		p.Rules, p.Deny, p.To, p.NotTo, p.Hours, p.Zone = true, r.Deny, r.To, r.NotTo, string(hours), r.Zone
		p.MaxPages, p.PagesPerDay, p.FaxesPerDay = r.MaxPages, r.PagesPerDay, r.FaxesPerDay
	}
	return p
}

// PutPerson implements [control.People].
func (a *Appliance) PutPerson(_ context.Context, p control.Person) (control.Person, error) {
	e := directory.Entry{Kind: directory.Kind(p.Kind), Name: p.Name, Aliases: p.Aliases, Display: p.Display, Groups: p.Groups, Note: p.Note}
	if p.Rules {
		hours, err := directory.ParseHours(p.Hours)
		if err != nil {
			return p, invalid(err)
		}
		e.Permission = &directory.Permission{Deny: p.Deny, To: p.To, NotTo: p.NotTo, Hours: hours, Zone: p.Zone,
			MaxPages: p.MaxPages, PagesPerDay: p.PagesPerDay, FaxesPerDay: p.FaxesPerDay}
	}
	e, err := a.people.Put(e)
	return personView(e), invalid(err)
}

// invalid marks what the directory or a rule table refuses as the asker's fault.
func invalid(err error) error {
	if errors.Is(err, directory.ErrEntry) || errors.Is(err, routing.ErrRule) {
		return fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	return known(err)
}

// RemovePerson implements [control.People].
func (a *Appliance) RemovePerson(_ context.Context, kind, name string) error {
	return invalid(a.people.Delete(directory.Kind(kind), name))
}

// ImportPeople implements [control.People].
func (a *Appliance) ImportPeople(_ context.Context, f control.PeopleFile) (control.PeopleChange, error) {
	n, err := a.people.Import(bytes.NewReader(f.CSV), directory.ImportOptions{Replace: f.Replace, DryRun: f.DryRun})
	var wrong *directory.ImportError
	if errors.As(err, &wrong) {
		err = fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	return control.PeopleChange(n), err
}

// ExportPeople implements [control.People].
func (a *Appliance) ExportPeople(context.Context) (control.PeopleFile, error) {
	var b bytes.Buffer
	err := a.people.Export(&b, ',', false)
	return control.PeopleFile{CSV: b.Bytes()}, err
}

// TestPermission implements [control.People].
func (a *Appliance) TestPermission(ctx context.Context, who, number string) (control.PermissionResult, error) {
	n, err := queue.NormalizeNumber(number)
	if err != nil {
		return control.PermissionResult{}, fmt.Errorf("%w: %q: %w", control.ErrInvalid, number, err)
	}
	if active, err := a.people.Active(); err != nil || !active {
		return control.PermissionResult{Allowed: true, Reason: "No entry of the directory has a permission: every sender that a connector takes may fax."}, err
	}
	d, err := a.people.Explain(ctx, who, n, time.Now())
	if errors.Is(err, directory.ErrUnavailable) {
		return control.PermissionResult{Reason: "Nobody can tell at the moment; mail is answered \"try again later\": " + oneLine(err), Steps: remedies(err)}, nil
	}
	return control.PermissionResult{Allowed: d.Allowed, Reason: d.Reason, Rule: d.Rule, Steps: d.Steps}, invalid(err)
}

// CheckSender implements [control.People].
func (a *Appliance) CheckSender(ctx context.Context, q control.SenderQuestion) (control.SenderResult, error) {
	check := a.checks[q.Connector]
	if check == nil {
		return control.SenderResult{}, fmt.Errorf("%w: no receive connector %q demands proof of its senders", control.ErrNotFound, q.Connector)
	}
	ip, err := netip.ParseAddr(q.Client)
	if err != nil {
		return control.SenderResult{}, fmt.Errorf("%w: %q is no IP address", control.ErrInvalid, q.Client)
	}
	d, no, err := check.Check(ctx, verify.Client{Addr: ip, Helo: q.Helo, MailFrom: q.From}, bytes.NewReader(q.Message))
	res := control.SenderResult{Taken: err == nil && no == nil, Proofs: d.Lines()}
	if no != nil {
		res.Reply = no.String()
	}
	return res, err
}

// DialRules implements [control.Rules].
func (a *Appliance) DialRules(context.Context) ([]control.DialRule, error) {
	out := []control.DialRule{}
	for _, r := range a.dialTable {
		out = append(out, ruleView(r))
	}
	err := a.st.View(func(tx *store.Tx) error {
		list, err := routing.DialRules(tx)
		for _, r := range list {
			out = append(out, ruleView(r))
		}
		return err
	})
	return out, err
}

func ruleView(r routing.DialRule) control.DialRule {
	return control.DialRule{ID: r.ID, Pattern: r.Pattern(), Deny: r.Deny, Note: r.Note}
}

// AddDialRule implements [control.Rules].
func (a *Appliance) AddDialRule(_ context.Context, r control.DialRule) (control.DialRule, error) {
	prefix, err := routing.ParsePrefix(r.Pattern)
	if err != nil {
		return r, invalid(err)
	}
	rule := routing.DialRule{Prefix: prefix, Deny: r.Deny, Note: r.Note}
	err = a.st.Update(func(tx *store.Tx) error {
		rule, err = routing.AddDialRule(tx, rule)
		return err
	})
	return ruleView(rule), invalid(err)
}

// RemoveDialRule implements [control.Rules].
func (a *Appliance) RemoveDialRule(_ context.Context, id string) error {
	return known(a.st.Update(func(tx *store.Tx) error { return routing.RemoveDialRule(tx, id) }))
}

// DKIMRecords implements [control.People].
func (a *Appliance) DKIMRecords(context.Context) ([]control.TXTRecord, error) {
	out := []control.TXTRecord{}
	keys, err := a.cfg.dkimKeys()
	for _, k := range keys {
		name, text, err := k.Record()
		if err != nil {
			return nil, err
		}
		out = append(out, control.TXTRecord{Name: name, Text: text})
	}
	return out, err
}
