package exchange

import (
	"bytes"
	"cmp"
	"net/mail"
	"net/netip"
	"strings"
	"time"
)

// mailEOP judges MAIL FROM on port 25: the client's address, then whose mail it is.
func (s *session) mailEOP(from string) (Rule, []any) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	w := &s.p.world
	if !strings.Contains(s.helo, ".") || strings.EqualFold(s.helo, "localhost.localdomain") || strings.HasSuffix(strings.ToLower(s.helo), ".outlook.com") {
		return RuleBadHelo, nil // not a full name, or the service's own
	}
	s.attribute(w, from)
	anonymous := s.connector == nil
	switch {
	case within(w.Banned, s.ip):
		return RuleBannedIP, []any{s.ip}
	case !anonymous && s.connector.RequireTLS && s.tls == nil:
		return RuleTLSRequired, nil
	case !anonymous && s.tenant.Blocked:
		return RuleTenantBlocked, nil
	case !anonymous && within(w.Refused, s.ip):
		return RuleBlockedRange, nil
	case anonymous && within(w.Suspicious, s.ip):
		return RuleReputation, nil
	case anonymous && within(w.Unknown, s.ip):
		return RuleNewIP, nil
	case anonymous && s.ip.Is6() && w.PTR[s.ip] == "":
		return RuleIPv6PTR, []any{s.ip}
	case anonymous && s.ip.Is6() && !within(w.Senders[domainOf(from)].SPF, s.ip):
		return RuleIPv6SPF, []any{s.ip}
	}
	if anonymous {
		if since(s.p.counts.anonymous, s.ip.String(), time.Minute) >= cmp.Or(w.AnonymousPerMinute, 100) {
			return RuleBusy, []any{s.ip}
		}
		count(s.p.counts.anonymous, s.ip.String(), 1)
	}
	return "", nil
}

// attribute finds the inbound connector, and so the tenant: by the certificate's name where its domain or MAIL FROM's is
// accepted, or by the address where MAIL FROM's domain is accepted.
func (s *session) attribute(w *World, from string) {
	s.connector, s.tenant = nil, nil
	for i := range w.Tenants {
		t := &w.Tenants[i]
		for j := range t.Inbound {
			c := &t.Inbound[j]
			if s.certMatches(t, c, from) || within(c.IPs, s.ip) && from != "" && t.accepts(domainOf(from)) {
				s.connector, s.tenant = c, t
				return
			}
		}
	}
}

func (s *session) certMatches(t *Tenant, c *Connector, from string) bool {
	if c.CertDomain == "" {
		return false
	}
	for _, name := range s.cert {
		if !matchesName(c.CertDomain, name) {
			continue
		}
		if from != "" && t.accepts(domainOf(from)) {
			return true
		}
		for d := strings.ToLower(name); d != ""; _, d, _ = strings.Cut(d, ".") {
			if t.accepts(d) {
				return true
			}
		}
	}
	return false
}

// rcptEOP judges RCPT TO on port 25.
func (s *session) rcptEOP(to string) (Rule, []any) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if len(s.to) >= maxRcptChunk {
		return RuleRcptChunk, nil
	}
	t, domain := s.p.world.domain(domainOf(to))
	if t == nil {
		if s.connector != nil {
			return "", nil // relayed to the Internet
		}
		return RuleRelay, nil
	}
	inside := s.connector != nil && s.tenant == t
	switch {
	case !inside && t.RequireSenderTLS && s.tls == nil:
		return RuleTLSRequired, nil
	case !inside && t.RejectDirectSend && s.from != "" && t.accepts(domainOf(s.from)):
		return RuleDirectSend, nil
	case !inside && t.SignedInOnly:
		return RuleTransportRule, nil
	}
	return s.recipient(t, domain, to, inside)
}

// recipient looks a recipient up and asks whether it takes this mail.
func (s *session) recipient(t *Tenant, domain *Domain, to string, inside bool) (Rule, []any) {
	box := t.box(to)
	if box == nil && domain.OnPrem != nil {
		for _, a := range domain.OnPrem {
			if strings.EqualFold(a, to) {
				return "", nil
			}
		}
		return RuleUnknownOnPrem, nil
	}
	switch {
	case box == nil && inside:
		return RuleUnknownMailbox, []any{to}
	case box == nil:
		return RuleUnknownEdge, nil
	case box.SignedIn && !inside:
		return map[Kind]Rule{UserMailbox: RuleMailboxAuth, Group: RuleGroupAuth, Contact: RuleContactAuth}[box.Kind], nil
	case len(box.AllowedFrom) > 0 && !containsFold(box.AllowedFrom, s.from):
		return RuleGroupSender, nil
	}
	c := s.p.counts
	key := strings.ToLower(to)
	hourly := cmp.Or(box.HourlyLimit, receivePerHour)
	switch {
	case box.Quota > 0 && c.stored[key]+s.size > box.Quota:
		return RuleMailboxFull, nil
	case since(c.fromSender, to+" "+s.from, time.Hour) >= cmp.Or(box.SenderLimit, hourly/3):
		return RuleReceiveSender, nil
	case since(c.received, to, time.Hour) >= hourly:
		return RuleReceiveRate, nil
	case box.Busy > 0 && c.delivering[key] >= box.Busy:
		return RuleDelivery, nil
	}
	if box.Busy > 0 {
		c.delivering[key]++
		s.busy = append(s.busy, key)
	}
	return "", nil
}

func containsFold(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(l, s) {
			return true
		}
	}
	return false
}

// judge looks at the message itself, after DATA.
func (s *session) judge(data []byte) (Rule, []any) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	m, err := mail.ReadMessage(bytes.NewReader(append(bytes.Clone(head), "\r\n\r\n"...)))
	if err != nil || len(m.Header["From"]) != 1 {
		return RuleFromLine, nil
	}
	list, err := mail.ParseAddressList(m.Header.Get("From"))
	if err != nil || len(list) != 1 {
		return RuleFromLine, nil
	}
	if len(m.Header["Received"]) > maxHops {
		return RuleHops, nil
	}
	if s.svc == Submission {
		return s.judgeSubmission(list[0].Address)
	}
	if d := domainOf(list[0].Address); s.connector == nil && s.p.world.Senders[d].Reject && !s.passesDMARC(d) {
		return RuleDMARC, []any{d}
	}
	return "", nil
}

// passesDMARC is SPF with relaxed alignment; DKIM signatures are not looked at.
func (s *session) passesDMARC(domain string) bool {
	by := domainOf(s.from)
	aligned := by == domain || strings.HasSuffix(by, "."+domain) || strings.HasSuffix(domain, "."+by)
	return aligned && s.ip != (netip.Addr{}) && within(s.p.world.Senders[by].SPF, s.ip)
}
