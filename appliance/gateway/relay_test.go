package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
)

// withRelay permits the connector "lan" to pass on mail of contoso.com.
func withRelay(change func(*Options, *Relay)) func(*Options) {
	return func(o *Options) {
		r := &Relay{Senders: []string{"contoso.com"}, Own: []string{"contoso.com"}}
		o.From, o.Fallback = "fax@contoso.com", "it@contoso.com"
		if change != nil {
			change(o, r)
		}
		o.Relays = map[string]*Relay{"lan": r}
	}
}

// hand hands a mail in at the connector "lan"; recipients with a fax number are faxed.
func (b *bench) hand(mail, from, user string, to ...string) (queue.MailID, error) {
	b.t.Helper()
	ctx := context.Background()
	env := smtpstack.Envelope{From: from, Connector: "lan", Client: netip.MustParseAddr("192.168.1.7"), Helo: "printer", User: user, Received: time.Now()}
	for _, a := range to {
		a, notify, _ := strings.Cut(a, " NOTIFY=")
		r := smtpstack.Recipient{Address: a, Forward: a, OriginalRecipient: "rfc822;" + a}
		r.Notify, _ = smtpstack.ParseNotify(notify)
		if strings.HasSuffix(a, "@fax.example") {
			r.Forward = ""
			r.Fax, _ = smtpstack.ParseFaxAddress(strings.TrimSuffix(a, "@fax.example"))
		}
		if err := b.g.Backend().Recipient(ctx, env, r); err != nil {
			return "", err
		}
		env.To = append(env.To, r)
	}
	s, err := b.g.Backend().Begin(ctx, env)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(s, "Received: from printer\r\n by box.example (Tipring) with SMTP; now\r\n"+strings.ReplaceAll(mail, "\n", "\r\n")); err != nil {
		return "", err
	}
	id, err := s.Commit(ctx)
	return queue.MailID(id), err
}

const scan = "From: Scanner <scan@contoso.com>\nTo: ann@contoso.com\nSubject: A scan\nX-Auto-Response-Suppress: OOF\n\nSee attached.\n"

// spooled counts the mails on disk.
func (b *bench) spooled() int {
	b.t.Helper()
	n := 0
	for _, m := range b.allMails() {
		if m.File == "" {
			continue
		}
		f, err := b.st.OpenFile(m.File)
		if err != nil {
			b.t.Errorf("mail %s: %v", m.ID, err)
			continue
		}
		f.Close()
		n++
	}
	return n
}

func (b *bench) allMails() []queue.Mail {
	var list []queue.Mail
	err := b.st.View(func(tx *store.Tx) error {
		return store.NewTable[queue.Mail]("mails").Each(tx, func(_ string, m queue.Mail) error { list = append(list, m); return nil })
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func TestRelay_PassesMailOn(t *testing.T) {
	b := newBench(t, withRelay(nil))
	if _, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com", "bob@contoso.com"); err != nil {
		t.Fatal(err)
	}
	if b.spooled() != 1 {
		t.Fatal("not on disk")
	}
	b.work()
	if len(b.mails) != 1 || strings.Join(b.mails[0].to, " ") != "ann@contoso.com bob@contoso.com" || b.mails[0].from != "scan@contoso.com" {
		t.Fatalf("%+v", b.mails)
	}
	m, _ := b.mails[0].parsed(t)
	if m.Subject != "A scan" || m.From.Address != "scan@contoso.com" || !strings.HasSuffix(m.MessageID, ".relay@box.example>") || m.Date.IsZero() || message.ReceivedCount(m.Header) != 1 {
		t.Errorf("%s", b.mails[0].text)
	}
	if b.spooled() != 0 {
		t.Error("the file is still there after the delivery")
	}
	if found, err := b.st.Sweep(func(*store.Tx, func(string)) error { return nil }, store.Mails); err != nil || len(found) != 0 {
		t.Errorf("left in the spool: %v, %v", found, err)
	}
	if dsn := b.mails[0].dsn; dsn == nil || dsn.Original["ann@contoso.com"] != "ann@contoso.com" {
		t.Errorf("DSN %+v", dsn)
	}
}

// The mailbox that submits takes the device's place; the device is answered all the same.
func TestRelay_AsAnotherMailbox(t *testing.T) {
	b := newBench(t, withRelay(func(_ *Options, r *Relay) { r.From = "relay@contoso.com" }))
	if _, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com"); err != nil {
		t.Fatal(err)
	}
	b.work()
	wantWords(t, b.mails[0].text, "From: \"Scanner\"\r\n <relay@contoso.com>", "Reply-To: \"Scanner\"\r\n <scan@contoso.com>")
	if b.mails[0].from != "relay@contoso.com" {
		t.Errorf("MAIL FROM %s", b.mails[0].from)
	}
}

// One mail to a fax number and a mailbox is both; its file stays as long as the fax needs it.
func TestRelay_FaxAndMailbox(t *testing.T) {
	b := newBench(t, withRelay(nil))
	if _, err := b.hand(scan, "scan@contoso.com", "", "5550100@fax.example", "ann@contoso.com"); err != nil {
		t.Fatal(err)
	}
	b.work()
	if jobs := b.allJobs(); len(jobs) != 1 || jobs[0].Number != "5550100" || len(b.mails) != 1 || b.mails[0].to[0] != "ann@contoso.com" || b.spooled() != 1 {
		t.Errorf("%d jobs, %d mails, %d files", len(b.allJobs()), len(b.mails), b.spooled())
	}
}

func TestRelay_Refusals(t *testing.T) {
	for name, c := range map[string]struct{ mail, want string }{
		"From of somebody else":     {"From: boss@example.net\n\nx\n", "550 5.7.1 boss@example.net in From"},
		"From hidden behind":        {"From: scan@contoso.com\nFrom: boss@example.net\n\nx\n", "554 5.6.0"},
		"From with a space":         {"From : boss@example.net\n\nx\n", "550 5.7.1"},
		"two addresses in From":     {"From: scan@contoso.com, boss@example.net\n\nx\n", "550 5.6.0"},
		"Sender of somebody else":   {"From: scan@contoso.com\nSender: boss@example.net\n\nx\n", "550 5.7.1 boss@example.net in Sender"},
		"made by an appliance":      {message.LoopField + ": other\nFrom: scan@contoso.com\n\nx\n", "554 5.4.6"},
		"has been here":             {"Received: from x\n by y; then\nReceived: from z by BOX.example\n (Tipring) with ESMTPS; then\nFrom: scan@contoso.com\n\nx\n", "554 5.4.6"},
		"has been everywhere":       {strings.Repeat("Received: from x by y; then\n", message.MaxReceived) + "From: scan@contoso.com\n\nx\n", "554 5.4.6"},
		"nested beyond all measure": {"From: scan@contoso.com\n" + strings.Repeat("Content-Type: message/rfc822\n\n", 30), "554 5.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, withRelay(nil))
			_, err := b.hand(c.mail, "scan@contoso.com", "", "ann@contoso.com")
			var r *smtpstack.Reply
			if !errors.As(err, &r) || !strings.HasPrefix(r.String(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			b.work()
			if found, err := b.st.Sweep(func(*store.Tx, func(string)) error { return nil }, store.Mails); err != nil || len(found)+len(b.mails) != 0 {
				t.Errorf("left in the spool: %v, %v", found, err)
			}
		})
	}
	b := newBench(t, nil)
	if _, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com"); err == nil {
		t.Error("a connector that relays nothing has relayed")
	}
}

// A recipient that does not exist is told to the sender and to the operators, once; the others get the mail.
func TestRelay_ReportsWhatIsRefused(t *testing.T) {
	unknown := smtpstack.Reply{Code: 550, Enhanced: "5.1.10", Text: "RESOLVER.ADR.RecipientNotFound"}
	for name, c := range map[string]struct {
		to      []string
		mail    string
		refused []string
		report  string // to whom; "" no report
	}{
		"one of two":       {[]string{"ann@contoso.com", "gone@contoso.com"}, scan, []string{"gone@contoso.com"}, "scan@contoso.com it@contoso.com"},
		"the only one":     {[]string{"gone@contoso.com"}, scan, []string{"gone@contoso.com"}, "scan@contoso.com it@contoso.com"},
		"the sender":       {[]string{"scan@contoso.com"}, scan, []string{"scan@contoso.com"}, "it@contoso.com"},
		"of a machine":     {[]string{"gone@contoso.com"}, "Auto-Submitted: auto-generated\n" + scan, []string{"gone@contoso.com"}, "it@contoso.com"},
		"no report wanted": {[]string{"gone@contoso.com NOTIFY=NEVER"}, scan, []string{"gone@contoso.com"}, "it@contoso.com"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, withRelay(nil))
			for _, a := range c.refused {
				b.replies[a] = []smtpstack.Reply{unknown}
			}
			if _, err := b.hand(c.mail, "scan@contoso.com", "", c.to...); err != nil {
				t.Fatal(err)
			}
			b.work()
			var reports []sent
			for _, m := range b.mails {
				if strings.Contains(m.text, "multipart/report") {
					reports = append(reports, m)
				}
			}
			if len(reports) != 1 || strings.Join(reports[0].to, " ") != c.report || len(b.mails) != len(c.to)-len(c.refused)+1 {
				t.Fatalf("%d reports, %d mails: %+v", len(reports), len(b.mails), b.mails)
			}
			wantWords(t, reports[0].text, "Final-Recipient: rfc822; "+c.refused[0], "Status: 5.1.10", "Action: failed", "Auto-Submitted: auto-replied", "Subject: A scan", "Reporting-MTA: dns; box.example")
			if b.spooled() != 0 {
				t.Error("the file is still there")
			}
		})
	}
}

// Without an operators' mailbox an alarm tells; a message that no server takes is reported as a whole.
func TestRelay_RefusedForGoodWithoutFallback(t *testing.T) {
	b := newBench(t, withRelay(func(o *Options, _ *Relay) { o.Fallback = "" }))
	b.replies["ann@contoso.com"] = []smtpstack.Reply{{Code: 552, Enhanced: "5.3.4", Text: "too large"}}
	if _, err := b.hand("Auto-Submitted: auto-generated\n"+scan, "scan@contoso.com", "", "ann@contoso.com"); err != nil {
		t.Fatal(err)
	}
	b.work()
	if list := b.g.alarms.List(); len(b.mails) != 0 || len(list) != 1 || list[0].Code != "relay-refused/lan" || !strings.Contains(list[0].Text, "too large") {
		t.Errorf("%d mails, alarms %+v", len(b.mails), list)
	}
	if left, _ := b.q.Unsent(); len(left) != 0 {
		t.Errorf("unsent: %+v", left)
	}
}

// A wrong configuration holds the mail and its file; put right, it goes out once.
func TestRelay_HeldForTheConfiguration(t *testing.T) {
	b := newBench(t, withRelay(nil))
	b.replies["ann@contoso.com"] = []smtpstack.Reply{{Code: 550, Enhanced: "5.7.60", Text: "SendAsDenied"}}
	if _, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com", "bob@contoso.com"); err != nil {
		t.Fatal(err)
	}
	b.work()
	held, _ := b.q.Unsent()
	if len(held) != 1 || held[0].State != queue.OutHeld || len(held[0].To) != 1 || b.spooled() != 1 || len(b.g.alarms.List()) == 0 {
		t.Fatalf("%+v, %d files", held, b.spooled())
	}
	if err := b.q.Purge(time.Now().Add(1000*time.Hour), queue.Retention{Jobs: time.Hour}); err != nil || b.spooled() != 1 {
		t.Fatalf("purged while it is held: %v", err)
	}
	if _, err := b.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.mails) != 2 || b.mails[1].to[0] != "ann@contoso.com" || b.spooled() != 0 {
		t.Errorf("%+v", b.mails)
	}
	if err := b.q.Purge(time.Now().Add(1000*time.Hour), queue.Retention{Jobs: time.Hour}); err != nil || len(b.allMails()) != 0 {
		t.Errorf("the mail's record stays: %v", err)
	}
}

// After five days without an answer its sender is told.
func TestRelay_Expires(t *testing.T) {
	b := newBench(t, withRelay(nil))
	b.replies["ann@contoso.com"] = []smtpstack.Reply{{Code: 451, Enhanced: "4.3.0", Text: "later"}, {Code: 552, Enhanced: "5.2.2", Text: "mailbox full"}}
	if _, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com"); err != nil {
		t.Fatal(err)
	}
	b.work()
	left, _ := b.q.Unsent()
	if len(left) != 1 || left[0].State != queue.OutPending {
		t.Fatalf("%+v", left)
	}
	if err := b.q.UpdateOut(left[0].ID, func(o *queue.Out) error {
		o.Created, o.NotBefore = time.Now().Add(-relayLifetime), time.Time{}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	wantWords(t, b.mails[0].text, "Status: 4.4.7", "mailbox full")
}

// A crash anywhere between the 250 and the delivery neither loses nor doubles the mail.
func TestRelay_Crashes(t *testing.T) {
	b := newBench(t, withRelay(nil))
	id, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com")
	if err != nil {
		t.Fatal(err)
	}
	reopen := func() {
		dir := b.st.Dir()
		b.st.Close()
		b.open(dir, withRelay(nil))
	}
	reopen() // before it is expanded
	m, err := b.q.Mail(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.expand(m); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.expand(m); err != nil {
		t.Fatal(err)
	}
	reopen() // between
	if _, ok, err := b.q.NextOut(time.Now()); err != nil || !ok {
		t.Fatal("not in the outbox")
	}
	reopen() // during an attempt
	if b.spooled() != 1 {
		t.Fatal("the file is gone")
	}
	b.work()
	reopen()
	b.work()
	if len(b.mails) != 1 {
		t.Errorf("%d mails", len(b.mails))
	}
}

// Mail to be passed on waits for a mail server, and does not take the faxes' disk meanwhile.
func TestRelay_Backlog(t *testing.T) {
	b := newBench(t, withRelay(nil))
	b.g.maxRelays = 3
	for range b.g.maxRelays {
		if _, err := b.q.AddOut(queue.NewOut{Kind: queue.KindRelay, To: []string{"a@contoso.com"}, Mail: b.acceptNothing()}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com")
	var r *smtpstack.Reply
	if !errors.As(err, &r) || r.Code != 452 {
		t.Errorf("%v", err)
	}
	if _, err := b.hand(scan, "scan@contoso.com", "", "5550100@fax.example"); err != nil {
		t.Errorf("a fax: %v", err)
	}
}

func (b *bench) acceptNothing() queue.MailID {
	id, err := b.q.AcceptMail(queue.Envelope{Size: 1, Meta: []byte("[]")}, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

func testDKIMKey(t *testing.T, domain string) *message.DKIMKey {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	key, err := message.ParseDKIMKey(domain, "fax1", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Only mail from the key's domain is signed with it.
func TestRelay_Signature(t *testing.T) {
	b := newBench(t, withRelay(func(o *Options, r *Relay) {
		o.DKIM, r.Senders = []*message.DKIMKey{testDKIMKey(t, "contoso.com")}, []string{"contoso.com", "example.net"}
	}))
	for from, want := range map[string]int{"scan@contoso.com": 1, "alerts@example.net": 0} {
		b.mails = nil
		if _, err := b.hand(strings.Replace(scan, "scan@contoso.com", from, 1), from, "", "ann@contoso.com"); err != nil {
			t.Fatal(err)
		}
		b.work()
		if n := strings.Count(b.mails[0].text, "DKIM-Signature:"); n != want {
			t.Errorf("from %s: %d signatures", from, n)
		}
	}
}

// A device that has signed in sends as its own addresses only, and is proof for these.
func TestDevices_SendAsTheirOwn(t *testing.T) {
	b := newBench(t, withRelay(nil))
	b.g.o.Devices = directory.NewDevices(b.st)
	if _, err := b.g.o.Devices.Put(directory.Device{Name: "Floor3", Senders: []string{"scan@contoso.com"}}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.hand(scan, "scan@contoso.com", "floor3", "ann@contoso.com"); err != nil {
		t.Error(err)
	}
	for name, do := range map[string]func() error{
		"MAIL FROM": func() error { _, err := b.hand(scan, "boss@contoso.com", "floor3", "ann@contoso.com"); return err },
		"From": func() error {
			_, err := b.hand(strings.Replace(scan, "scan@", "boss@", 1), "scan@contoso.com", "floor3", "ann@contoso.com")
			return err
		},
		"taken out": func() error { _, err := b.hand(scan, "scan@contoso.com", "floor4", "ann@contoso.com"); return err },
		"fax":       func() error { _, err := b.hand(scan, "boss@contoso.com", "floor3", "5550100@fax.example"); return err },
	} {
		var r *smtpstack.Reply
		if err := do(); !errors.As(err, &r) || r.Code != 550 {
			t.Errorf("%s: %v", name, err)
		}
	}
	who, err := b.g.deviceProves(smtpstack.Envelope{User: "floor3", Connector: "lan"}, "scan@contoso.com")
	if err != nil || who.address != "scan@contoso.com" || !strings.Contains(string(who.verdict), "floor3 signed in") {
		t.Errorf("%+v, %v", who, err)
	}
}

// What no server will ever take is given up by hand, and its sender told; nothing else can be.
func TestRelay_GivenUp(t *testing.T) {
	b := newBench(t, withRelay(nil))
	b.replies["ann@contoso.com"] = []smtpstack.Reply{{Code: 550, Enhanced: "5.7.1", Text: "looks like spam"}}
	if _, err := b.hand(scan, "scan@contoso.com", "", "ann@contoso.com"); err != nil {
		t.Fatal(err)
	}
	b.work()
	held, _ := b.q.Unsent()
	if len(held) != 1 || held[0].State != queue.OutHeld {
		t.Fatalf("%+v", held)
	}
	if err := b.g.GiveUp(held[0].ID); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.mails) != 1 || b.spooled() != 0 || len(b.g.alarms.List()) != 0 {
		t.Fatalf("%d mails, %d files, alarms %+v", len(b.mails), b.spooled(), b.g.alarms.List())
	}
	wantWords(t, b.mails[0].text, "given up by an operator", "looks like spam", "Action: failed")
	if err := b.g.GiveUp(held[0].ID); !errors.Is(err, queue.ErrState) {
		t.Errorf("twice: %v", err)
	}
	b.replies["it@contoso.com"] = []smtpstack.Reply{{Code: 451, Text: "later"}}
	if err := b.q.AddAlarm("x", queue.Alarm{Subject: "x"}); err != nil {
		t.Fatal(err)
	}
	other, _ := b.q.Unsent()
	if err := b.g.GiveUp(other[0].ID); !errors.Is(err, queue.ErrState) {
		t.Errorf("an alarm: %v", err)
	}
	if err := b.g.GiveUp("none"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("no mail: %v", err)
	}
}
