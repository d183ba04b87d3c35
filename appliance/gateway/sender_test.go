package gateway

import (
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/smtpstack/srs"
)

// Where MAIL FROM's word is taken, it is that of the sender whom a forwarder rewrote: permissions and notices are his.
func TestSender_RewrittenOnesAreUndone(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Senders = map[string][]string{"in": {"example.org"}} })
	b.connector = "in"
	people := directory.New(b.st, directory.Options{})
	b.g.o.People = people
	for _, who := range []string{"anna@example.org", "forwarder@contoso.test"} {
		if _, err := people.Put(directory.Entry{Kind: directory.User, Name: who, Permission: &directory.Permission{Deny: who[0] == 'f'}}); err != nil {
			t.Fatal(err)
		}
	}
	letter := func(id, from string) string {
		return strings.Replace(simple(id, id, "hello"), "Anna <anna@example.org>", from, 1)
	}
	for i, c := range []struct{ mailFrom, from, want string }{
		{"SRS0=aaaa=AA=example.org=anna@contoso.test", "anna@example.org", "anna@example.org"},
		{"SRS1=aaaa=one.test==bbbb=AA=example.org=anna@contoso.test", "x@example.net", "anna@example.org"},
		{"forwarder+SRS=44ldt=IX=example.org=anna@contoso.test", "anna@example.org", "anna@example.org"},
		{"SRS0=aaaa=AA=example.org=carl@contoso.test", "anna@example.org", ""},
		{"bounces+SRS=44ldt=IX@contoso.test", "Anna <anna@example.org>", "anna@example.org"},
		{"bounces+SRS=44ldt=IX@contoso.test", "forwarder@contoso.test", ""},
		{"bounces+SRS=44ldt=IX@contoso.test", "nobody", ""},
		{"forwarder@contoso.test", "anna@example.org", ""},
	} {
		id, err := b.post(letter(string(rune('a'+i)), c.from), c.mailFrom, "5550100@fax.example")
		if (err == nil) != (c.want != "") {
			t.Errorf("%s from %s: %v", c.mailFrom, c.from, err)
		}
		if err != nil {
			continue
		}
		if m, err := b.q.Mail(id); err != nil || m.Sender != c.want || m.From != c.mailFrom {
			t.Errorf("%s: sender %q, %v", c.mailFrom, m.Sender, err)
		}
	}
	b.work()
	for _, j := range b.allJobs() {
		if j.Sender != "anna@example.org" {
			t.Errorf("the notice goes to %s", j.Sender)
		}
	}
}

func TestForwardedSender(t *testing.T) {
	b := newBench(t, nil)
	if got, err := b.g.ForwardedSender("scanner@example.org"); err != nil || got != "scanner@example.org" {
		t.Errorf("without SRS: %q, %v", got, err)
	}
	ring, err := srs.OpenRing(srs.Config{Domain: "bounce.example.net"}, nil, func([]srs.Key) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	b.g.o.SRS = ring
	got, err := b.g.ForwardedSender("scanner@example.org")
	if err != nil || !strings.HasPrefix(got, "SRS0=") || !strings.HasSuffix(got, "=example.org=scanner@bounce.example.net") {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := b.g.ForwardedSender(""); err != nil || got != "" {
		t.Errorf("the null sender: %q, %v", got, err)
	}
}
