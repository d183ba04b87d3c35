package receive

import (
	"errors"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/srs"
)

// Returns undoes sender addresses that were rewritten here (SRS): [srs.Ring].
type Returns interface {
	// Reverse is the address to which what bounces to a rewritten one goes on. Errors: srs.ErrNotSRS of an address that is
	// ordinary, others of one that must not be served.
	Reverse(address string) (string, error)
}

// returned takes bounces to senders whose mail was sent on from here. Only those: whatever has a sender of its own is no
// bounce, and with our hash and its day nobody can use the addresses to send mail through us to whom they like.
func (s *session) returned(env smtpstack.Envelope, path string) (r smtpstack.Recipient, no *smtpstack.Reply, ours bool) {
	if s.cfg.Returns == nil {
		return r, nil, false
	}
	sender, err := s.cfg.Returns.Reverse(path)
	switch {
	case errors.Is(err, srs.ErrNotSRS):
		return r, nil, false
	case errors.Is(err, srs.ErrExpired):
		return r, smtpstack.Refuse(550, "5.1.6", "this address was for bounces of one mail and is not good any more"), true
	case err != nil:
		return r, smtpstack.Refuse(550, "5.1.1", "no such address"), true
	case !env.NullSender():
		return r, smtpstack.Refuse(550, "5.7.1", "this address takes bounces only"), true
	}
	return smtpstack.Recipient{Address: path, Forward: sender}, nil, true
}
