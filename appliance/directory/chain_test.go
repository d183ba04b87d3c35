package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/directorytest"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack/token"
)

// The tokens of the mail side serve Graph too.
var _ TokenSource = (*token.Source)(nil)

// scripted is a source that a test switches.
type scripted struct {
	name  string
	known map[string]Member
	down  atomic.Bool
	slow  time.Duration
	asked atomic.Int32
}

func (s *scripted) Name() string { return s.name }

func (s *scripted) Member(ctx context.Context, address string) (Member, error) {
	s.asked.Add(1)
	if err := sleep(ctx, s.slow); err != nil {
		return Member{}, &Failure{Source: s.name, Err: err}
	}
	if s.down.Load() {
		return Member{}, &Failure{Source: s.name, Err: errors.New("no answer")}
	}
	m, ok := s.known[address]
	if !ok {
		return m, fmt.Errorf("%w: %s", ErrUnknown, address)
	}
	m.Source = s.name
	return m, nil
}

func (s *scripted) Lookup(ctx context.Context, address string) (Result, error) {
	m, err := s.Member(ctx, address)
	return Result{Address: m.Address, Mailboxes: []string{m.Address}, Source: s.name}, err
}

func person(address string, groups ...string) Member { return Member{Address: address, Groups: groups} }

func TestChain_FirstThatKnowsAnswers(t *testing.T) {
	d := put(t, Options{}, Entry{Kind: User, Name: "ann@x.test", Groups: []string{"Table"}})
	ad := &scripted{name: "ad", known: map[string]Member{"ann@x.test": person("other@x.test", "AD"), "bob@x.test": person("bob@x.test", "AD", "Both")}}
	cloud := &scripted{name: "cloud", known: map[string]Member{"bob@x.test": person("bob@cloud.test", "Cloud", "both"), "eve@x.test": person("eve@x.test")}}
	callout := RecipientsOnly("callout", &scripted{name: "callout", known: map[string]Member{"list@x.test": person("list@x.test")}})
	c := NewChain(d.st, d.Table(), ad, cloud, callout)
	for address, want := range map[string]string{"ANN@x.test": "ann@x.test table", "bob@x.test": "bob@x.test ad", "eve@x.test": "eve@x.test cloud", "list@x.test": "list@x.test callout"} {
		if got, err := c.Lookup(t.Context(), address); err != nil || got.Mailboxes[0]+" "+got.Source != want {
			t.Errorf("%s: %+v, %v, want %s", address, got, err, want)
		}
	}
	for _, address := range []string{"nobody@x.test", "no address"} {
		if _, err := c.Lookup(t.Context(), address); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnknown", address, err)
		}
		if _, err := c.Member(t.Context(), address); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s as a sender: %v, want ErrUnknown", address, err)
		}
	}
	m, err := c.Member(t.Context(), "Bob@x.test")
	if err != nil || m.Address != "bob@x.test" || m.Source != "ad, cloud" || !slices.Equal(m.Groups, []string{"AD", "Both", "Cloud"}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := c.Member(t.Context(), "ann@x.test"); err != nil || m.Address != "ann@x.test" || !slices.Equal(m.Groups, []string{"Table", "AD"}) {
		t.Errorf("%+v, %v", m, err)
	}
	// One that cannot be asked: who is known elsewhere is found, nobody becomes unknown, and no group is missed.
	ad.down.Store(true)
	if got, err := c.Lookup(t.Context(), "eve@x.test"); err != nil || got.Source != "cloud" {
		t.Errorf("known to the second: %+v, %v", got, err)
	}
	if _, err := c.Lookup(t.Context(), "new@x.test"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("known to nobody who can be asked: %v", err)
	}
	if _, err := c.Member(t.Context(), "fred@x.test"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("groups: %v", err)
	}
}

func TestChain_Remembers(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name    string
		address string
		down    bool
		after   time.Duration
		asks    bool
		want    error // nil: found
	}{
		{"fresh", "ann@x.test", false, 6 * day, false, nil},
		{"no longer fresh", "ann@x.test", false, 8 * day, true, nil},
		{"not fresh, cannot be asked", "ann@x.test", true, 30 * day, true, nil},
		{"too old, cannot be asked", "ann@x.test", true, 32 * day, true, ErrUnavailable},
		{"fresh refusal", "new@x.test", false, 2 * time.Hour, false, ErrUnknown},
		{"made in the meantime", "new@x.test", false, 4 * time.Hour, true, nil},
		{"refusal, cannot be asked", "new@x.test", true, 2 * day, true, ErrUnknown},
		{"old refusal, cannot be asked", "new@x.test", true, 4 * day, true, ErrUnavailable},
		{"the clock went back", "ann@x.test", true, -time.Hour, true, ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := openStore(t)
				s := &scripted{name: "ad", known: map[string]Member{"ann@x.test": person("ann@x.test")}}
				first := NewChain(st, s)
				first.Lookup(t.Context(), tt.address)
				if tt.after < 0 { // as if it had been asked later than now
					c := first.recipients
					a, _, _ := c.load("ad " + tt.address)
					a.At = time.Now().Add(-tt.after)
					if err := c.save("ad "+tt.address, a); err != nil {
						t.Fatal(err)
					}
				} else {
					time.Sleep(tt.after)
				}
				s.known["new@x.test"] = person("new@x.test")
				s.down.Store(tt.down)
				asked := s.asked.Load()
				_, err := NewChain(st, s).Lookup(t.Context(), tt.address) // another run of the program
				if !errors.Is(err, tt.want) || s.asked.Load() > asked != tt.asks {
					t.Errorf("%v, want %v; asked: %v, want %v", err, tt.want, s.asked.Load() > asked, tt.asks)
				}
			})
		})
	}
}

func TestChain_Forget(t *testing.T) {
	s := &scripted{name: "ad", known: map[string]Member{"ann@x.test": person("ann@x.test", "Fax")}}
	c := NewChain(openStore(t), s)
	ask := func() (error, error) {
		_, err1 := c.Lookup(t.Context(), "ann@x.test")
		_, err2 := c.Member(t.Context(), "ann@x.test")
		return err1, err2
	}
	ask()
	delete(s.known, "ann@x.test")
	if err1, err2 := ask(); err1 != nil || err2 != nil {
		t.Errorf("not remembered: %v, %v", err1, err2)
	}
	if err := c.Forget("Ann@X.test"); err != nil {
		t.Fatal(err)
	}
	if err1, err2 := ask(); !errors.Is(err1, ErrUnknown) || !errors.Is(err2, ErrUnknown) {
		t.Errorf("not forgotten: %v, %v", err1, err2)
	}
}

// TestChain_ManyAtOnce: those who want the same share one question, and the source has few at a time.
func TestChain_ManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{name: "ad", known: map[string]Member{}, slow: time.Second}
		c := NewChain(openStore(t), s)
		for i := range 16 {
			address := fmt.Sprintf("u%d@x.test", i)
			s.known[address] = person(address)
		}
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 64 {
			address := fmt.Sprintf("u%d@x.test", i%16)
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if i == 0 { // who asked first hangs up
					cancel()
				}
				if _, err := c.Lookup(ctx, address); err != nil && i != 0 {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if asked, took := s.asked.Load(), time.Since(began); asked != 16 || took != 16/maxAsking*time.Second {
			t.Errorf("%d questions in %v", asked, took)
		}
	})
}

func TestCache_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{name: "ad", known: map[string]Member{}}
		c := NewChain(openStore(t), s)
		c.recipients.max = 20
		for i := range 100 {
			c.Lookup(t.Context(), fmt.Sprintf("u%d@x.test", i))
			time.Sleep(time.Second)
		}
		c.recipients.st.View(func(tx *store.Tx) error {
			if n := c.recipients.table.Len(tx); n > 20 || n < 15 {
				t.Errorf("%d answers are remembered", n)
			}
			if !c.recipients.table.Has(tx, "ad u99@x.test") || c.recipients.table.Has(tx, "ad u50@x.test") {
				t.Error("not the oldest went")
			}
			return nil
		})
	})
}

// TestMay_GroupOfActiveDirectory is the whole way: a sender's group stands in a directory that slapd serves.
func TestMay_GroupOfActiveDirectory(t *testing.T) {
	s := directorytest.StartSlapd(t, directorytest.Contoso())
	ad := ldapSource(t, LDAPConfig{Servers: []string{"ldaps://" + s.Secure}, TLS: s.Trust(), BindDN: directorytest.BindDN, Password: directorytest.Password})
	st := openStore(t)
	d := New(st, Options{Zone: time.UTC, Members: NewChain(st, ad)})
	for _, e := range []Entry{
		{Kind: Group, Name: "grp-sales", Permission: &Permission{To: []string{"+49*"}}},
		{Kind: Group, Name: "many007", Permission: &Permission{Deny: true}},
	} {
		if _, err := d.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, down := range []bool{false, true} { // what is remembered is enough for a while
		for who, want := range map[string]string{
			"a.smith@contoso.test": "true group grp-sales", "bob@contoso.test": "false group many007", "nobody@contoso.test": "false ",
		} {
			dec, err := d.May(t.Context(), who, "+4930123", 1, monday)
			if got := fmt.Sprint(dec.Allowed, " ", dec.Rule); err != nil || got != want {
				t.Errorf("%s, down %v: %s, %v, want %s\n%s", who, down, got, err, want, strings.Join(dec.Steps, "\n"))
			}
		}
		s.Stop()
	}
	if _, err := d.May(t.Context(), "joerg@contoso.test", "+4930123", 1, monday); !errors.Is(err, ErrUnavailable) {
		t.Errorf("never asked for before: %v", err)
	}
}

// ownMemory is a Lookup that keeps its answers itself.
type ownMemory struct{ *scripted }

func (ownMemory) Remembers() {}

func TestChain_AsksEachTimeWhatRemembersByItself(t *testing.T) {
	for remembers, want := range map[bool]int32{true: 3, false: 1} {
		s := &scripted{name: "callout", known: map[string]Member{"ann@x.test": person("ann@x.test")}}
		var l Lookup = s
		if remembers {
			l = ownMemory{s}
		}
		c := NewChain(openStore(t), RecipientsOnly("callout", l))
		for range 3 {
			if _, err := c.Lookup(t.Context(), "ann@x.test"); err != nil {
				t.Error(err)
			}
		}
		if n := s.asked.Load(); n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
}
