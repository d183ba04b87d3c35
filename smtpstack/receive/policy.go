package receive

import (
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/srs"
)

// policy says whom this connector takes mail for, and from whom. The order matters: nobody learns of addresses before
// the network is allowed.
func (s *session) policy(env smtpstack.Envelope, path string) (smtpstack.Recipient, *smtpstack.Reply) {
	none := smtpstack.Recipient{}
	if !s.allowed {
		return none, smtpstack.Refuse(550, "5.7.1", "your address %s is not in the networks that may send here", s.ip)
	}
	if s.isPostmaster(path) {
		return smtpstack.Recipient{Address: path, Postmaster: true}, nil
	}
	if !isPrintable(path) && !env.UTF8 {
		return none, smtpstack.Refuse(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8")
	}
	local, domain, err := smtpstack.SplitAddress(path)
	if err != nil {
		return none, smtpstack.Refuse(553, "5.1.3", "%v", err)
	}
	if r, no, ours := s.returned(env, path); ours {
		return r, no
	}
	if !slices.Contains(s.cfg.FaxDomains, asciiDomain(domain)) {
		return s.relayRecipient(env, path, local, domain)
	}
	if env.NullSender() {
		return none, smtpstack.Refuse(550, "5.7.1", "bounces and automatic replies are not faxed")
	}
	if !s.senderAllowed(env.From) {
		return none, smtpstack.Refuse(550, "5.7.1", "sender %.100s may not send faxes here", env.From)
	}
	fax, err := smtpstack.ParseFaxAddress(local)
	if err != nil {
		return none, smtpstack.Refuse(550, "5.1.3", "bad fax number: %v", err)
	}
	return smtpstack.Recipient{Address: path, Fax: fax}, nil
}

// isPostmaster: RFC 5321 4.5.1, with our own domains or none.
func (s *session) isPostmaster(path string) bool {
	local, domain, found := strings.Cut(path, "@")
	if !strings.EqualFold(local, "postmaster") {
		return false
	}
	domain = asciiDomain(strings.TrimSuffix(domain, "."))
	return !found || strings.EqualFold(domain, s.cfg.Hostname) || domain == s.cfg.ReturnDomain || slices.Contains(s.cfg.FaxDomains, domain)
}

// senderAllowed holds MAIL FROM against the list. Of one that a forwarder rewrote (SRS) it is the sender named in it who
// counts: forwarding through a domain that is listed makes nobody one of its people. Who rewrote it has to be listed by its
// domain as well: else anybody could write such an address in a domain of his own, in which SPF holds, and be whom he likes.
func (s *session) senderAllowed(from string) bool {
	if original, ok := srs.Original(from); ok {
		return s.senderListed(original) && s.domainListed(from)
	}
	return s.senderListed(from)
}

// domainListed tells whether the domain of an address is listed as a whole.
func (s *session) domainListed(address string) bool {
	_, domain, err := smtpstack.SplitAddress(address)
	domain = asciiDomain(strings.TrimSuffix(domain, "."))
	return err == nil && slices.ContainsFunc(s.cfg.Senders, func(rule string) bool { return rule == "*" || rule == domain })
}

// senderListed holds an address against the list as it stands.
func (s *session) senderListed(from string) bool {
	_, domain, err := smtpstack.SplitAddress(from)
	if err != nil {
		return false
	}
	from = strings.ToLower(from[:strings.LastIndexByte(from, '@')+1]) + asciiDomain(domain)
	domain = asciiDomain(strings.TrimSuffix(domain, "."))
	return slices.ContainsFunc(s.cfg.Senders, func(rule string) bool {
		return rule == "*" || rule == domain || rule == from
	})
}
