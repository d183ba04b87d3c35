package exchange

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// auth is the sign-in of client submission. Only LOGIN and XOAUTH2 are offered, as at the real service.
func (s *session) auth(arg string) {
	mech, initial, given := strings.Cut(arg, " ")
	switch {
	case s.svc != Submission:
		s.say("504 5.7.4 Unrecognized authentication type")
	case s.tls == nil:
		s.apply(RuleTLSRequired)
	case s.box != nil:
		s.say("503 5.5.2 Already authenticated")
	case strings.EqualFold(mech, "LOGIN"):
		s.login(initial, given)
	case strings.EqualFold(mech, "XOAUTH2"):
		s.xoauth2(initial, given)
	default:
		s.say("504 5.7.4 Unrecognized authentication type")
	}
}

// ask sends a challenge and reads the answer.
func (s *session) ask(challenge string) (string, bool) {
	s.say("334 " + challenge)
	if s.w.Flush() != nil {
		s.quit = true
		return "", false
	}
	raw, err := s.r.ReadSlice('\n')
	if err != nil {
		s.quit = true
		return "", false
	}
	line := strings.TrimRight(string(raw), "\r\n")
	if line == "*" {
		s.say("501 5.7.0 Authentication cancelled")
		return "", false
	}
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		s.say("501 5.5.2 Cannot base64-decode")
		return "", false
	}
	return string(b), true
}

func (s *session) login(initial string, given bool) {
	user := ""
	ok := true
	if given {
		b, err := base64.StdEncoding.DecodeString(initial)
		user, ok = string(b), err == nil
	} else {
		user, ok = s.ask(base64.StdEncoding.EncodeToString([]byte("Username:")))
	}
	if !ok {
		return
	}
	password, ok := s.ask(base64.StdEncoding.EncodeToString([]byte("Password:")))
	if !ok {
		return
	}
	s.p.mu.Lock()
	t, _ := s.p.world.domain(domainOf(user))
	rule := RuleBadAuth
	var box *Mailbox
	if t != nil {
		box = t.box(user)
		switch {
		case !t.BasicAuth:
			rule = RuleBasicAuthOff
		case box != nil && box.Password != "" && box.Password == password:
			rule = ""
		}
	}
	s.p.mu.Unlock()
	s.signedIn(t, box, rule)
}

// xoauth2 has the dance of the SASL mechanism: a refused token is answered by a challenge with an error object, which the
// client answers by an empty line, and only then comes the refusal.
func (s *session) xoauth2(initial string, given bool) {
	if !given {
		var ok bool
		if initial, ok = s.ask(""); !ok {
			return
		}
	} else {
		b, err := base64.StdEncoding.DecodeString(initial)
		if err != nil {
			s.say("501 5.5.2 Cannot base64-decode")
			return
		}
		initial = string(b)
	}
	user, bearer, ok := parseXOAUTH2(initial)
	s.p.mu.Lock()
	var t *Tenant
	var box *Mailbox
	if ok {
		t, box = s.p.authorise(user, bearer)
	}
	s.p.mu.Unlock()
	if box == nil {
		text, _ := json.Marshal(map[string]string{"status": "400", "schemes": "Bearer", "scope": outlookAudience + "/"})
		if _, ok := s.ask(base64.StdEncoding.EncodeToString(text)); ok {
			s.apply(RuleBadAuth, s.hostname())
		}
		return
	}
	s.signedIn(t, box, "")
}

// parseXOAUTH2 reads "user=" user ^A "auth=Bearer " token ^A ^A.
func parseXOAUTH2(s string) (user, bearer string, ok bool) {
	parts := strings.Split(s, "\x01")
	if len(parts) != 4 || parts[2] != "" || parts[3] != "" {
		return "", "", false
	}
	user, ok1 := strings.CutPrefix(parts[0], "user=")
	bearer, ok2 := strings.CutPrefix(parts[1], "auth=Bearer ")
	return user, bearer, ok1 && ok2 && user != "" && bearer != ""
}

// signedIn ends the sign-in: by a refusal, or by the checks that follow the proof of identity.
func (s *session) signedIn(t *Tenant, box *Mailbox, rule Rule) {
	s.p.mu.Lock()
	if rule == "" {
		switch {
		case t.SMTPAuthDisabled || box.SMTPAuthDisabled:
			rule = RuleAuthDisabled
		case s.p.counts.connections[box.Address] >= maxConnections:
			rule = RuleConnections
		default:
			s.p.counts.connections[box.Address]++
			s.tenant, s.box = t, box
		}
	}
	s.p.mu.Unlock()
	if rule == RuleBadAuth {
		s.apply(rule, s.hostname())
		return
	}
	if rule != "" {
		s.apply(rule)
		return
	}
	s.say("235 2.7.0 Authentication successful")
}

// mailSubmission judges MAIL FROM on port 587.
func (s *session) mailSubmission(from string) (Rule, []any) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	switch {
	case s.tls == nil:
		return RuleTLSRequired, nil
	case s.box == nil:
		return RuleNoAuth, nil
	case !s.maySendAs(from):
		return RuleSendAs, nil
	case s.tenant.Blocked:
		return RuleTenantBlocked, nil
	case within(s.p.world.Refused, s.ip):
		return RuleBlockedRange, nil
	}
	return "", nil
}

func (s *session) maySendAs(address string) bool {
	return strings.EqualFold(address, s.box.Address) || containsFold(s.box.SendAs, address)
}

// rcptSubmission judges RCPT TO on port 587.
func (s *session) rcptSubmission(to string) (Rule, []any) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if len(s.to) >= maxRecipients {
		return RuleRcptLimit, nil
	}
	if since(s.p.counts.recipients, s.box.Address, 24*time.Hour) >= s.dailyLimit() {
		return RuleDailyLimit, nil
	}
	t, domain := s.p.world.domain(domainOf(to))
	if t == nil {
		return "", nil
	}
	return s.recipient(t, domain, to, t == s.tenant)
}

func (s *session) dailyLimit() int { return cmp.Or(s.box.RecipientsPerDay, recipientsADay) }

// judgeSubmission looks at the From line and at the day's quota.
func (s *session) judgeSubmission(from string) (Rule, []any) {
	switch {
	case !s.maySendAs(from):
		return RuleSendAsFrom, []any{s.box.Address}
	case since(s.p.counts.recipients, s.box.Address, 24*time.Hour)+len(s.to) > s.dailyLimit():
		return RuleDailyQuota, nil
	}
	return "", nil
}
