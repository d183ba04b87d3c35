package appliance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/verify"
)

// SignInConfig says how clients of a receive connector prove themselves, other than by their network.
type SignInConfig struct {
	Auth        bool     `toml:"auth"`          // devices of `tipring device` may sign in (AUTH PLAIN, LOGIN)
	RequireAuth bool     `toml:"require_auth"`  // no mail without a sign-in
	AuthInClear []string `toml:"auth_in_clear"` // CIDR prefixes of clients that may sign in without TLS
	TenantNames []string `toml:"tenant_names"`  // a client whose TLS certificate has one of these names is proven to be the tenant's
	ClientCA    string   `toml:"client_ca"`     // PEM file: who issues the clients' certificates; empty: the public authorities
}

func (r ReceiveConfig) validateSignIn(v *faults, at string) {
	v.need(r.Auth || !r.RequireAuth, "%s: require_auth needs auth = true", at)
	v.need(r.Auth || len(r.AuthInClear) == 0, "%s: auth_in_clear needs auth = true", at)
	for _, n := range r.AuthInClear {
		p, err := netip.ParsePrefix(n)
		v.need(err != nil || receive.OwnNetwork(p), "%s: auth_in_clear: %q: passwords could be read on the way; list private networks, or hosts one by one", at, n)
	}
	for _, n := range r.TenantNames {
		v.need(validHost(n), "%s: tenant_names: %q is no host name", at, n)
	}
	v.need(len(r.TenantNames) == 0 || r.needsTenant(), "%s: tenant_names needs require = [\"tenant\"]", at)
	v.need(r.ClientCA == "" || len(r.ClientNames)+len(r.TenantNames) > 0, "%s: client_ca needs client_names or tenant_names", at)
}

// needsTenant tells whether the connector asks for proof of the tenant, alone or among others.
func (r ReceiveConfig) needsTenant() bool {
	groups, err := verify.ParseRequire(r.Require)
	return err == nil && slices.ContainsFunc(groups, func(g []verify.Proof) bool { return slices.Contains(g, verify.ProofTenant) })
}

// clientCert is what the connector asks of clients' certificates; nil: nothing. The tenant's names come first: a certificate that has one
// is known by it.
func (r ReceiveConfig) clientCert() (*receive.ClientCert, error) {
	names := append(slices.Clone(r.TenantNames), r.ClientNames...)
	if len(names) == 0 {
		return nil, nil
	}
	roots, err := readRoots(r.ClientCA)
	return &receive.ClientCert{Names: names, Required: len(r.ClientNames) > 0, Roots: roots}, err
}

// authenticate checks the sign-in of a device.
func (a *Appliance) authenticate(ctx context.Context, user, password string, _ netip.Addr) error {
	err := a.devices.Verify(ctx, user, password)
	if errors.Is(err, directory.ErrPassword) {
		return receive.ErrBadCredentials
	}
	return err
}

// Devices implements [control.Devices].
func (a *Appliance) Devices(context.Context) ([]control.Device, error) {
	list, err := a.devices.List()
	out := []control.Device{}
	for _, d := range list {
		out = append(out, control.Device{Name: d.Name, Senders: d.Senders, Note: d.Note, Created: d.Created})
	}
	return out, err
}

// PutDevice implements [control.Devices].
func (a *Appliance) PutDevice(_ context.Context, d control.Device) (control.Device, error) {
	made := d.Password == ""
	password, err := a.devices.Put(directory.Device{Name: d.Name, Senders: d.Senders, Note: d.Note}, d.Password)
	if errors.Is(err, directory.ErrDevice) {
		err = fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	if d.Password = ""; err == nil && made {
		d.Password = password
	}
	return d, err
}

// RemoveDevice implements [control.Devices].
func (a *Appliance) RemoveDevice(_ context.Context, name string) error {
	return known(a.devices.Remove(name))
}
