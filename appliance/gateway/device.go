package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/verify"
)

// device is who signed in; nil: nobody, or one who was taken out since, which is said.
func (g *Gateway) device(env smtpstack.Envelope) (*directory.Device, error) {
	if env.User == "" {
		return nil, nil
	}
	if g.o.Devices == nil {
		return nil, smtpstack.Refuse(550, "5.7.1", "nobody signs in here")
	}
	d, err := g.o.Devices.Get(env.User)
	if errors.Is(err, store.ErrNotFound) {
		return nil, smtpstack.Refuse(550, "5.7.1", "%.64s may not send here any more", env.User)
	}
	return &d, err
}

// deviceMay holds an address that a signed-in device sends as against its list; nil when nobody has signed in.
func (g *Gateway) deviceMay(env smtpstack.Envelope, address string) error {
	d, err := g.device(env)
	if err != nil || d == nil || among(d.Senders, address) {
		return err
	}
	g.o.Log.Info("device refused", "connector", env.Connector, "client", env.Client, "device", d.Name, "from", address)
	return smtpstack.Refuse(550, "5.7.1", "%.64s may not send as %.100s", d.Name, address)
}

// deviceProves takes a sign-in for proof that a mail is from an address of the device's: it is worth more than what DNS says.
func (g *Gateway) deviceProves(env smtpstack.Envelope, from string) (who sender, err error) {
	if err := g.deviceMay(env, from); err != nil {
		return who, err
	}
	domain := strings.ToLower(from[strings.LastIndexByte(from, '@')+1:])
	d := verify.Verdict{At: env.Received, Client: env.Client, Helo: env.Helo, MailFrom: env.From, From: from, FromDomain: domain, HasMessage: true,
		Tenant: verify.Finding{Result: verify.Pass, Domain: domain, Reason: "the device " + env.User + " signed in, which may send as " + from}}
	who.address = from
	if who.verdict, err = json.Marshal(d); err != nil {
		return who, fmt.Errorf("gateway: sender: %w", err)
	}
	return who, nil
}
