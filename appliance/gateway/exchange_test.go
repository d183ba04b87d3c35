package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/token"
)

// What the outbox does with each reply of an Exchange Online that refuses by its own rules. Days pass in virtual time.

var (
	boxIP  = netip.MustParseAddr("203.0.113.7")  // of the inbound connector
	homeIP = netip.MustParseAddr("198.51.100.9") // of no connector
	sixIP  = netip.MustParseAddr("2001:db8::7")
)

const (
	faxBox = "fax@contoso.com"
	jane   = "jane@contoso.com"
	ops    = "ops@contoso.com" // the fallback mailbox
	appID  = "f00d-app"
)

func contoso() exchange.World {
	return exchange.World{Tenants: []exchange.Tenant{{ID: "contoso",
		Domains: []exchange.Domain{{Name: "contoso.com"}, {Name: "old.contoso.com", OnPrem: []string{"ann@old.contoso.com"}}},
		Boxes: []exchange.Mailbox{{Address: faxBox, Password: "passw0rd", Apps: []string{appID}}, {Address: jane}, {Address: ops},
			{Address: "all@contoso.com", Kind: exchange.Group, SignedIn: true}, {Address: "boss@contoso.com", SignedIn: true},
			{Address: "partner@contoso.com", Kind: exchange.Contact, SignedIn: true}, {Address: "board@contoso.com", Kind: exchange.Group, AllowedFrom: []string{jane}},
			{Address: "full@contoso.com", Quota: 10}, {Address: "slow@contoso.com", HourlyLimit: 1, SenderLimit: 5},
			{Address: "spammed@contoso.com", HourlyLimit: 10, SenderLimit: 1}, {Address: "busy@contoso.com", Busy: 1}},
		Apps:    []exchange.App{{ID: appID, Secret: "s3cr3t", SendAsApp: true}},
		Inbound: []exchange.Connector{{Name: "fax", IPs: []netip.Prefix{host(boxIP)}}}}}}
}

func host(ip netip.Addr) netip.Prefix { return netip.PrefixFrom(ip, ip.BitLen()) }

// office is a bench whose mail goes to a tenant of the test peer.
type office struct {
	*bench
	peer *exchange.Peer

	lock  sync.Mutex
	way   *send.Sender
	alter func(*send.Message) // the mail on its way
}

func newOffice(t *testing.T) *office {
	t.Helper()
	p, err := exchange.New(contoso())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	o := &office{peer: p}
	o.take(o.connector(boxIP))
	o.bench = newBench(t, func(opt *Options) {
		opt.From, opt.Fallback = faxBox, ops
		opt.Deliver = func(ctx context.Context, m send.Message) send.Report {
			o.lock.Lock()
			way, alter := o.way, o.alter
			o.lock.Unlock()
			if alter != nil {
				alter(&m)
			}
			return way.Deliver(ctx, m)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = o.g.Deliver(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return o
}

// connector is the send connector to the tenant's mail exchanger.
func (o *office) connector(from netip.Addr) send.Config {
	return send.Config{Name: "fax", Hostname: "box.contoso.com", Host: exchange.EOPHost, TLS: send.Required, TLSConfig: &tls.Config{RootCAs: o.peer.Roots()},
		Dial: func(context.Context, string, string) (net.Conn, error) { return o.peer.Dial(exchange.EOP, from), nil }}
}

// submission is that for client submission with a token.
func (o *office) submission() send.Config {
	src, err := token.ClientSecret(token.Config{Tenant: "contoso", ClientID: appID, HTTP: &http.Client{Transport: o.peer.Transport()}}, "s3cr3t")
	if err != nil {
		panic(err)
	}
	c := o.connector(homeIP)
	c.Host, c.Auth = exchange.SubmissionHost+":587", send.NewXOAUTH2(faxBox, src)
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		return o.peer.Dial(exchange.Submission, homeIP), nil
	}
	return c
}

func (o *office) take(c send.Config) {
	s, err := send.New(c, nil)
	if err != nil {
		panic(err)
	}
	o.lock.Lock()
	defer o.lock.Unlock()
	o.way = s
}

func (o *office) change(alter func(*send.Message)) {
	o.lock.Lock()
	defer o.lock.Unlock()
	o.alter = alter
}

// tenant changes the tenant, world the rest.
func (o *office) tenant(f func(*exchange.Tenant)) {
	o.peer.Change(func(w *exchange.World) { f(&w.Tenants[0]) })
}
func (o *office) world(f func(*exchange.World)) { o.peer.Change(f) }

// anonymous mail comes from nowhere the tenant knows.
func (o *office) anonymous() { o.take(o.connector(homeIP)) }

func (o *office) submit(f func(*send.Config)) {
	c := o.submission()
	if f != nil {
		f(&c)
	}
	o.take(c)
}

// content puts text before each mail.
func (o *office) content(text func() io.Reader) {
	o.change(func(m *send.Message) {
		open := m.Open
		m.Size, m.Open = 0, func() (io.ReadCloser, error) {
			r, err := open()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{io.MultiReader(text(), r), r}, nil
		}
	})
}

// repair puts everything right.
func (o *office) repair() {
	o.change(nil)
	o.take(o.connector(boxIP))
	o.peer.Change(func(w *exchange.World) { *w = contoso() })
}

// notice makes a notice for an address.
func (o *office) notice(to string) {
	o.t.Helper()
	j, err := o.q.AddJob(queue.NewJob{Sender: to, Number: "5550100", Subject: "Plan"})
	if err == nil {
		err = o.q.FailJob(j.ID, "The reason.")
	}
	if err != nil {
		o.t.Fatal(err)
	}
	synctest.Wait()
}

// pass lets time pass.
func (o *office) pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

// delivered are the recipients of the notices that the tenant took.
func (o *office) delivered() (to []string) {
	for _, m := range o.peer.Messages() {
		if strings.Contains(string(m.Data), "Plan") {
			to = append(to, m.To...)
		}
	}
	return to
}

// reaction of the outbox to a reply.
type reaction string

const (
	taken    reaction = "delivered"
	held     reaction = "held, alarm with the remedy, tried again slowly"
	refused  reaction = "held, alarm, by hand"
	retried  reaction = "retried within the hour"
	late     reaction = "retried hours later"
	fallback reaction = "fallback mailbox"
	stuck    reaction = "held, alarm: the fallback mailbox is refused too"
)

type scene struct {
	to     string // "" is jane
	do     func(*office)
	want   reaction
	remedy string // words of the alarm's remedy
}

// busyLines keeps connections of the mailbox, or deliveries to the recipient, open for some minutes.
func (o *office) busyLines(n int, c send.Config, to string) {
	for range n {
		s, err := send.New(c, nil)
		if err != nil {
			panic(err)
		}
		go s.Deliver(o.t.Context(), send.Message{From: faxBox, To: []string{to}, Open: func() (io.ReadCloser, error) {
			time.Sleep(2 * time.Minute)
			return io.NopCloser(strings.NewReader("From: " + faxBox + "\r\n\r\nx\r\n")), nil
		}})
	}
	synctest.Wait()
}

// before delivers another mail first.
func (o *office) before(to string) {
	o.busyLines(1, o.connector(boxIP), to)
	time.Sleep(3 * time.Minute)
}

// scenes are by the rule that must answer.
func scenes() map[exchange.Rule]scene {
	world := func(f func(*exchange.World)) func(*office) {
		return func(o *office) { o.anonymous(); o.world(f) }
	}
	tenant := func(f func(*exchange.Tenant)) func(*office) { return func(o *office) { o.tenant(f) } }
	submit := func(f func(*exchange.Tenant)) func(*office) {
		return func(o *office) { o.submit(nil); o.tenant(f) }
	}
	home := []netip.Prefix{host(homeIP)}
	six := func(f func(*exchange.World)) func(*office) {
		return func(o *office) { o.take(o.connector(sixIP)); o.world(f) }
	}
	text := func(s string) func(*office) {
		return func(o *office) { o.content(func() io.Reader { return strings.NewReader(s) }) }
	}
	return map[exchange.Rule]scene{
		exchange.RuleAccepted: {want: taken},

		exchange.RuleBadHelo:       {want: held, remedy: "full DNS name", do: func(o *office) { c := o.connector(boxIP); c.Hostname = "box"; o.take(c) }},
		exchange.RuleTLSRequired:   {want: held, remedy: "TLS to required", do: func(o *office) { o.submit(func(c *send.Config) { c.TLS, c.Auth = send.NoTLS, nil }) }},
		exchange.RuleBannedIP:      {want: held, remedy: "delist portal", do: world(func(w *exchange.World) { w.Banned = home })},
		exchange.RuleBlockedRange:  {want: held, remedy: "client submission", do: func(o *office) { o.submit(nil); o.world(func(w *exchange.World) { w.Refused = home }) }},
		exchange.RuleIPv6PTR:       {want: held, remedy: "PTR", do: six(func(*exchange.World) {})},
		exchange.RuleIPv6SPF:       {want: held, remedy: "SPF or DKIM", do: six(func(w *exchange.World) { w.PTR = map[netip.Addr]string{sixIP: "box.contoso.com"} })},
		exchange.RuleTenantBlocked: {want: held, remedy: "restriction", do: tenant(func(t *exchange.Tenant) { t.Blocked = true })},
		exchange.RuleNoAuth:        {want: held, remedy: "New-InboundConnector", do: func(o *office) { o.submit(func(c *send.Config) { c.Auth = nil }) }},
		exchange.RuleBadAuth:       {want: held, remedy: "Set-CASMailbox", do: submit(func(t *exchange.Tenant) { t.Apps[0].SendAsApp = false })},
		exchange.RuleAuthDisabled:  {want: held, remedy: "Set-TransportConfig", do: submit(func(t *exchange.Tenant) { t.SMTPAuthDisabled = true })},
		exchange.RuleBasicAuthOff: {want: held, remedy: "OAuth", do: func(o *office) {
			o.submit(func(c *send.Config) { c.Auth = send.Plain{Username: faxBox, Password: "passw0rd"} })
		}},
		exchange.RuleSendAs:     {want: held, remedy: "Add-RecipientPermission", do: func(o *office) { o.submit(nil); o.change(func(m *send.Message) { m.From = "scan@contoso.com" }) }},
		exchange.RuleSendAsFrom: {want: held, remedy: "Add-RecipientPermission", do: func(o *office) { o.submit(nil); text("From: ceo@contoso.com\r\n\r\n")(o) }},
		exchange.RuleRelay:      {to: "a@elsewhere.example", want: held, remedy: "TlsSenderCertificateName", do: (*office).anonymous},
		exchange.RuleDirectSend: {want: held, remedy: "Set-OrganizationConfig -RejectDirectSend $false", do: func(o *office) {
			o.anonymous()
			o.tenant(func(t *exchange.Tenant) { t.RejectDirectSend = true })
		}},
		exchange.RuleDMARC:    {want: held, remedy: "DKIM", do: world(func(w *exchange.World) { w.Senders = map[string]exchange.Published{"contoso.com": {Reject: true}} })},
		exchange.RuleFromLine: {want: held, remedy: "one valid address", do: text("From: a@contoso.com, b@contoso.com\r\n\r\n")},

		exchange.RuleBusy: {want: retried, do: func(o *office) {
			o.world(func(w *exchange.World) { w.AnonymousPerMinute = 1 })
			o.busyLines(1, o.connector(homeIP), jane)
			o.anonymous()
		}},
		exchange.RuleReputation:  {want: retried, do: world(func(w *exchange.World) { w.Suspicious = home })},
		exchange.RuleNewIP:       {want: retried, do: world(func(w *exchange.World) { w.Unknown = home })},
		exchange.RuleConnections: {want: retried, do: func(o *office) { o.submit(nil); o.busyLines(3, o.submission(), jane) }},
		exchange.RuleDelivery:    {to: "busy@contoso.com", want: retried, do: func(o *office) { o.busyLines(1, o.connector(boxIP), "busy@contoso.com") }},

		exchange.RuleDailyLimit: {want: late, do: func(o *office) {
			o.submit(nil)
			o.tenant(func(t *exchange.Tenant) { t.Boxes[0].RecipientsPerDay = 1 })
			o.busyLines(1, o.submission(), jane)
			time.Sleep(3 * time.Minute)
		}},
		exchange.RuleMailboxFull:   {to: "full@contoso.com", want: late},
		exchange.RuleReceiveRate:   {to: "slow@contoso.com", want: late, do: func(o *office) { o.before("slow@contoso.com") }},
		exchange.RuleReceiveSender: {to: "spammed@contoso.com", want: late, do: func(o *office) { o.before("spammed@contoso.com") }},

		exchange.RuleUnknownEdge:    {to: "nobody@contoso.com", want: fallback, do: (*office).anonymous},
		exchange.RuleUnknownMailbox: {to: "nobody@contoso.com", want: fallback},
		exchange.RuleUnknownOnPrem:  {to: "nobody@old.contoso.com", want: fallback},
		exchange.RuleGroupSender:    {to: "board@contoso.com", want: fallback},
		exchange.RuleGroupAuth:      {to: "all@contoso.com", want: fallback, do: (*office).anonymous},
		exchange.RuleMailboxAuth:    {to: "boss@contoso.com", want: fallback, do: (*office).anonymous},
		exchange.RuleContactAuth:    {to: "partner@contoso.com", want: fallback, do: (*office).anonymous},
		exchange.RuleTransportRule: {want: stuck, remedy: "mailbox that exists", do: func(o *office) {
			o.anonymous()
			o.tenant(func(t *exchange.Tenant) { t.SignedInOnly = true })
		}},

		exchange.RuleHops: {want: refused, remedy: "retry-mail", do: text(strings.Repeat("Received: from x by y\r\n", 21))},
		exchange.RuleSize: {want: refused, remedy: "retry-mail", do: func(o *office) {
			o.content(func() io.Reader {
				return io.LimitReader(&endless{text: "X-Padding: " + strings.Repeat("x", 900) + "\r\n"}, 36<<20+1)
			})
		}},
	}
}

type endless struct {
	text string
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// elsewhere are the rules that a notice to one person cannot break: those of many recipients have a test of their own, the
// last two our client never provokes (it speaks TLS 1.2 and later, and no bare LF leaves it), and they are fed in.
var elsewhere = []exchange.Rule{exchange.RuleGreeting, exchange.RuleRcptChunk, exchange.RuleRcptLimit, exchange.RuleDailyQuota, exchange.RuleOldTLS, exchange.RuleBareLF}

// Every rule of the peer, its reaction, and that the mail gets out once when things are right again.
func TestExchange_EveryRule(t *testing.T) {
	all := scenes()
	for rule := range exchange.Table() {
		if _, ok := all[rule]; !ok && !slices.Contains(elsewhere, rule) {
			t.Errorf("no scene for %q", rule)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(all)) {
		c := all[rule]
		if c.to == "" {
			c.to = jane
		}
		t.Run(string(rule), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				if c.do != nil {
					c.do(o)
				}
				o.notice(c.to)
				if o.peer.Applied(rule) == 0 {
					t.Errorf("the peer never said %q", rule)
				}
				o.check(c)
			})
		})
	}
}

// check asserts the reaction, and what follows when everything is right again.
func (o *office) check(c scene) {
	t := o.t
	t.Helper()
	left := o.unsent()
	switch c.want {
	case taken, fallback:
		to := c.to
		if c.want == fallback {
			to = ops
		}
		if got := o.delivered(); len(left) != 0 || len(got) != 1 || got[0] != to {
			t.Errorf("delivered to %v, left %+v", got, left)
		}
		return
	case held, refused, stuck:
		o.wantHeld(c, left)
	case retried, late:
		if len(left) != 1 || left[0].State != queue.OutPending || len(o.g.alarms.List()) != 0 {
			t.Fatalf("outbox %+v, alarms %+v", left, o.g.alarms.List())
		}
		if wait := time.Until(left[0].NotBefore); wait < 30*time.Second || c.want == late && wait < time.Hour || c.want == retried && wait > time.Hour {
			t.Errorf("tried again in %v", wait)
		}
	}
	if log, err := o.q.OutLog(left[0].ID); err != nil || len(log) == 0 || len(log[0].Transcript) == 0 || !strings.Contains(log[0].Reply, ": ") {
		t.Errorf("log %+v, %v", log, err)
	}
	o.repair()
	if c.to == "full@contoso.com" {
		o.tenant(func(t *exchange.Tenant) { t.Boxes[7].Quota = 0 })
	}
	o.pass(31 * time.Minute)
	byHand := c.want == refused || c.want == stuck
	if byHand && len(o.delivered()) != 0 {
		t.Errorf("went out without anybody's doing: %v", o.delivered())
	}
	if byHand {
		if _, err := o.q.ReleaseOuts(); err != nil {
			t.Fatal(err)
		}
	}
	o.pass(3 * time.Hour)
	if c.want == stuck {
		c.to = ops // the mail had moved there
	}
	if got := o.delivered(); len(got) != 1 || got[0] != c.to || len(o.unsent()) != 0 {
		t.Errorf("after the repair: delivered to %v, outbox %+v", got, o.unsent())
	}
	if list := o.g.alarms.List(); len(list) != 0 {
		t.Errorf("alarms left: %+v", list)
	}
}

func (o *office) wantHeld(c scene, left []queue.Out) {
	o.t.Helper()
	if len(left) != 1 || left[0].State != queue.OutHeld || len(o.delivered()) != 0 {
		o.t.Fatalf("delivered %v, outbox %+v", o.delivered(), left)
	}
	code := map[reaction]string{held: "mail-held", refused: "mail-refused", stuck: "mail-recipient"}[c.want]
	if list := o.g.alarms.List(); len(list) != 1 || !strings.HasPrefix(list[0].Code, code) || !strings.Contains(list[0].Remedy, c.remedy) {
		o.t.Errorf("alarms %+v", list)
	}
	before := left[0].Attempts
	o.pass(65 * time.Minute)
	want := before
	if c.want == held {
		want += 2 // every half hour
	}
	if left = o.unsent(); len(left) != 1 || left[0].State != queue.OutHeld || left[0].Attempts != want {
		o.t.Errorf("an hour later: %+v, want %d attempts", left, want)
	}
}

// Of more recipients than the service takes at once each gets the mail once.
func TestExchange_SplitAmongTransactions(t *testing.T) {
	for rule, n := range map[exchange.Rule]int{exchange.RuleRcptChunk: 250, exchange.RuleRcptLimit: 501} {
		t.Run(string(rule), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				c := o.connector(boxIP)
				if rule == exchange.RuleRcptLimit {
					c = o.submission()
				}
				c.MaxRecipients = 1000
				o.take(c)
				o.everybody(n)
				got := map[string]int{}
				for _, to := range o.delivered() {
					got[to]++
				}
				if o.peer.Applied(rule) == 0 || len(got) != n || len(o.unsent()) != 0 {
					t.Errorf("%d of %d served, outbox %+v", len(got), n, o.unsent())
				}
				for to, times := range got {
					if times != 1 {
						t.Errorf("%s got it %d times", to, times)
					}
				}
			})
		})
	}
}

// everybody sends one mail to n people.
func (o *office) everybody(n int) {
	o.t.Helper()
	var to []string
	for i := range n {
		to = append(to, fmt.Sprintf("r%d@elsewhere.example", i))
	}
	if _, err := o.q.AddOut(queue.NewOut{Kind: queue.KindAlarm, To: to, Payload: queue.Alarm{Subject: "Plan", Text: "x"}}); err != nil {
		o.t.Fatal(err)
	}
	synctest.Wait()
}

// The service counts the recipients of the day when it has the mail: nobody gets it today, all get it tomorrow.
func TestExchange_QuotaOfTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.submit(nil)
		o.tenant(func(t *exchange.Tenant) { t.Boxes[0].RecipientsPerDay = 2 })
		o.busyLines(1, o.submission(), jane)
		time.Sleep(3 * time.Minute)
		o.everybody(2)
		if left := o.unsent(); o.peer.Applied(exchange.RuleDailyQuota) == 0 || len(left) != 1 || time.Until(left[0].NotBefore) < time.Hour || len(left[0].To) != 2 {
			t.Fatalf("outbox %+v", left)
		}
		o.pass(27 * time.Hour)
		if got := o.delivered(); len(got) != 2 || len(o.unsent()) != 0 {
			t.Errorf("delivered %v, outbox %+v", got, o.unsent())
		}
	})
}

// Replies that our client never provokes, as if it had.
func TestExchange_RepliesFedIn(t *testing.T) {
	for rule, state := range map[exchange.Rule]string{exchange.RuleOldTLS: "mail-held", exchange.RuleBareLF: "mail-refused"} {
		b := newBench(t, nil)
		b.replies["anna@example.org"] = []smtpstack.Reply{*exchange.Table()[rule].Reply()}
		b.failedJob()
		b.work()
		if left := b.unsent(); len(left) != 1 || left[0].State != queue.OutHeld || !b.alarmed(state) {
			t.Errorf("%s: %+v, %+v", rule, left, b.g.alarms.List())
		}
	}
}

// One of the held mails is tried for all; when it is delivered all go, each once, in the order they came.
func TestExchange_HeldMailGoesOutOnceTheTenantIsPutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.anonymous()
		o.tenant(func(t *exchange.Tenant) { t.RejectDirectSend = true })
		for range 5 {
			o.notice(jane)
		}
		refusals := o.peer.Applied(exchange.RuleDirectSend)
		o.pass(4*time.Hour + time.Minute)
		if n := o.peer.Applied(exchange.RuleDirectSend) - refusals; n != 8 {
			t.Errorf("%d tries in four hours, want one every half hour", n)
		}
		most := 0
		for _, left := range o.unsent() {
			most = max(most, left.Attempts)
		}
		if most != 3 || len(o.delivered()) != 0 {
			t.Errorf("delivered %v, %d attempts for one mail, want them in turn", o.delivered(), most)
		}
		o.repair()
		o.pass(31 * time.Minute)
		if got := o.delivered(); len(got) != 5 || len(o.unsent()) != 0 || len(o.g.alarms.List()) != 0 {
			t.Errorf("delivered %v, outbox %+v, alarms %+v", got, o.unsent(), o.g.alarms.List())
		}
	})
}

// A mail that cannot go for a reason of its own keeps no other waiting, and other mail's success does not hurry it for ever.
func TestExchange_PoisonMailHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.anonymous()
		o.notice("a@elsewhere.example") // relay is denied
		for range 10 {
			o.notice(jane) // Direct Send is not
			o.pass(time.Minute)
		}
		left := o.unsent()
		if got := o.delivered(); len(got) != 10 || len(left) != 1 || left[0].State != queue.OutHeld || left[0].Attempts > 11 {
			t.Errorf("delivered %v, outbox %+v", got, left)
		}
		if !o.alarmed("mail-held") {
			t.Error("the alarm is gone while a mail is held")
		}
	})
}
