package gateway

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
)

// allowance counts what each of many has had, in leaky buckets that empty evenly within an hour: a burst may have it all at once.
// It is refused before the 250: what was accepted is always told of.
type allowance struct {
	limit int // in an hour
	mu    sync.Mutex
	had   map[string]level
}

type level struct {
	n  float64
	at time.Time
}

// maxLevels bounds the memory for senders seen, some 1 MB.
const maxLevels = 8192

func newAllowance(limit int) *allowance { return &allowance{limit: limit, had: map[string]level{}} }

// take uses one up and tells whether there was one.
func (a *allowance) take(key string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.of(key, now)
	if l.n+1 > float64(a.limit) {
		return false
	}
	if _, known := a.had[key]; !known && len(a.had) >= maxLevels {
		a.forget(now)
	}
	l.n++
	a.had[key] = l
	return true
}

// giveBack undoes a take.
func (a *allowance) giveBack(key string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l, known := a.had[key]; known {
		l = a.of(key, now)
		l.n = max(0, l.n-1)
		a.had[key] = l
	}
}

// of is the level of now.
func (a *allowance) of(key string, now time.Time) level {
	l := a.had[key]
	if passed := now.Sub(l.at); passed > 0 {
		l.n = max(0, l.n-float64(a.limit)*passed.Hours())
	}
	l.at = now
	return l
}

// forget makes room: those that have their full allowance again are as good as unknown; if there are none, somebody is lucky.
func (a *allowance) forget(now time.Time) {
	for key := range a.had {
		if a.of(key, now).n == 0 {
			delete(a.had, key)
		}
	}
	for key := range a.had {
		if len(a.had) < maxLevels {
			return
		}
		delete(a.had, key)
	}
}

const (
	// DefaultMailsPerSender is Options.MailsPerSender when that is 0.
	DefaultMailsPerSender = 300
	// postmasterMails is how many mails to the postmaster are passed on to the operator in an hour.
	postmasterMails = 30
	postmasterKey   = "postmaster"
)

// allow refuses a mail when its sender, or the postmaster, has had enough for now. Otherwise the mail is counted, and undo takes
// that back.
func (s *spool) allow(who string) (undo func(), refused *smtpstack.Reply) {
	now, who := time.Now(), strings.ToLower(who)
	var taken []func()
	undo = func() {
		for _, f := range taken {
			f()
		}
	}
	for _, c := range []struct {
		a       *allowance
		key     string
		counts  bool
		refusal string
	}{
		{s.g.senders, who, s.faxes(), fmt.Sprintf("%s has sent %d mails to be faxed within an hour, which is the limit here; try again later", who, s.g.senders.limit)},
		{s.g.postmaster, postmasterKey, s.toPostmaster(), "the postmaster has much mail at the moment, try again later"},
	} {
		if !c.counts {
			continue
		}
		if !c.a.take(c.key, now) {
			undo()
			return nil, smtpstack.Refuse(450, "4.7.1", "%s", c.refusal)
		}
		taken = append(taken, func() { c.a.giveBack(c.key, now) })
	}
	return undo, nil
}

// postmasterRefusal is why a mail to the postmaster is not taken. It is passed on to the operator: what an appliance like this
// one wrote, or what has been around for long, would come back for ever where the operator of one is the postmaster of the other.
func postmasterRefusal(h message.Header) *smtpstack.Reply {
	switch v := message.CheckLoop(h, "unknown"); v.Rule {
	case "own", "received":
		return smtpstack.Refuse(554, "5.4.6", "%s The postmaster here is another address: write to a mailbox that people read.", v.Reason)
	}
	return nil
}

// toPostmaster tells whether the postmaster is among the recipients.
func (s *spool) toPostmaster() bool {
	for _, r := range s.env.To {
		if r.Postmaster {
			return true
		}
	}
	return false
}
