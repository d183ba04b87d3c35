package receive

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// relayRecipient judges a recipient outside the fax domains: mail that a device of one's own hands in to be passed on.
// Everybody else hears that relaying is denied.
func (s *session) relayRecipient(env smtpstack.Envelope, path, local, domain string) (smtpstack.Recipient, *smtpstack.Reply) {
	none := smtpstack.Recipient{}
	mayRelay := s.allowed && !s.shared && !containsAddr(s.cfg.TrustedRelays, s.ip)
	switch {
	case !mayRelay || !relayDomain(s.cfg.RelayTo, domain):
		return none, smtpstack.Refuse(550, "5.7.1", "relaying denied: %.100s is not a fax domain here", domain)
	case strings.EqualFold(domain, s.cfg.Hostname):
		return none, smtpstack.Refuse(550, "5.4.6", "relaying denied: %.100s is this host", domain)
	case env.NullSender():
		return none, smtpstack.Refuse(550, "5.7.1", "bounces and automatic replies are not relayed")
	case !isPrintable(path) || !isPrintable(env.From): // SMTPUTF8 itself is no harm: the header is coded on the way
		return none, smtpstack.Refuse(553, "5.6.7", "mail for or from international addresses is not relayed")
	case slices.Contains(s.cfg.Senders, "*") && s.wire.user == "", !s.senderListed(env.From):
		return none, smtpstack.Refuse(550, "5.7.1", "sender %.100s may not relay here", env.From)
	case !plainLocal(local):
		// Percent hack, bang path, an address within quotes: another host could read a route in it (RFC 5321 F.2, RFC 1123 5.2.16).
		return none, smtpstack.Refuse(553, "5.1.3", "the user part %.64s is not plain", local)
	}
	address := local + "@" + domain
	return smtpstack.Recipient{Address: path, Forward: address}, nil
}

// relayDomain tells whether mail for the domain is passed on. A name is only like itself: an address literal, a name of one label
// and one beyond ASCII are never meant by "*".
func relayDomain(list []string, domain string) bool {
	if !hostName(domain) {
		return false
	}
	return slices.ContainsFunc(list, func(rule string) bool {
		under, wild := strings.CutPrefix(rule, "*.")
		switch {
		case rule == "*":
			return strings.Contains(domain, ".")
		case wild:
			return strings.HasSuffix(domain, "."+under)
		}
		return rule == domain
	})
}

// hostName is a name by RFC 1123 2.1, as SplitAddress leaves it: in lower case.
func hostName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	last := s[strings.LastIndexByte(s, '.')+1:]
	return len(s) <= 253 && strings.Trim(last, "0123456789") != ""
}

// plainLocal is a dot-atom (RFC 5322 3.2.3) without the characters that once were routes.
func plainLocal(s string) bool {
	for word := range strings.SplitSeq(s, ".") {
		if word == "" {
			return false
		}
	}
	return len(s) <= 64 && s[0] != '-' && s[0] != '|' && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"[]%!`, r)
	})
}

// checkRelay refuses settings with which strangers could relay.
func (c *Config) checkRelay() error {
	if len(c.RelayTo) == 0 {
		return nil
	}
	switch {
	case len(c.NetworkSets) > 0:
		return errors.New("relaying is for networks of one's own, not for a provider's")
	case len(c.TrustedRelays) > 0:
		return errors.New("relaying is for devices that connect themselves, not for what edge servers pass on")
	case slices.Contains(c.Senders, "*") && !c.RequireAuth:
		return errors.New("relaying needs listed senders or a sign-in")
	}
	for _, n := range c.Networks {
		if !OwnNetwork(n) {
			return fmt.Errorf("relaying is not for the network %s: it is public and more than one host", n)
		}
	}
	for _, rule := range c.RelayTo {
		if name := strings.TrimPrefix(rule, "*."); rule != "*" && !hostName(asciiDomain(strings.TrimSuffix(name, "."))) {
			return fmt.Errorf("%q is no domain to relay to", rule)
		}
	}
	return nil
}

// ownRanges are the ranges of addresses that are nobody's on the Internet.
var ownRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), // RFC 1918
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), // RFC 1122, 3927, 6598
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), // RFC 4193, 4291
}

// OwnNetwork tells whether a network can be one's own LAN: a private range or a part of one, or a single host.
func OwnNetwork(n netip.Prefix) bool {
	if n.IsSingleIP() && !n.Addr().IsUnspecified() {
		return true
	}
	return slices.ContainsFunc(ownRanges, func(r netip.Prefix) bool { return r.Bits() <= n.Bits() && r.Contains(n.Addr()) })
}
