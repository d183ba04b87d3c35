package appliance

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/store"
)

// recipientServer is a mail server that keeps whom it was asked for.
type recipientServer struct {
	mu    sync.Mutex
	says  map[string]*smtp.SMTPError // to recipients; else they are taken
	asked []string
	mails int
}

func (s *recipientServer) NewSession(*smtp.Conn) (smtp.Session, error) { return s, nil }
func (*recipientServer) Reset()                                        {}
func (*recipientServer) Logout() error                                 { return nil }
func (*recipientServer) Mail(string, *smtp.MailOptions) error          { return nil }
func (s *recipientServer) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, to)
	if no := s.says[to]; no != nil {
		return no
	}
	return nil
}
func (s *recipientServer) Data(r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails++
	_, err := io.Copy(io.Discard, r)
	return err
}

func (s *recipientServer) set(address string, no *smtp.SMTPError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[address] = no
}

func (s *recipientServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func startRecipientServer(t *testing.T) (*recipientServer, string) {
	t.Helper()
	s := &recipientServer{says: map[string]*smtp.SMTPError{
		"gone@contoso.test": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"},
		"late@contoso.test": {Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"},
	}}
	srv := smtp.NewServer(s)
	srv.Domain = "mx.contoso.test"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return s, l.Addr().String()
}

// The mail server that would get the fax says who exists. It is asked once; what gives no clear answer is not unknown; and
// what turned out otherwise is asked anew.
func TestCallout_ThroughTheChain(t *testing.T) {
	server, addr := startRecipientServer(t)
	st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	cfg := demoConfig(DemoOptions{}.withDefaults(), t.TempDir(), addr)
	cfg.Recipients.Verify = []string{askTable, askCallout}
	alarms, err := gateway.OpenAlarms(st, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &Appliance{cfg: cfg, st: st, alarms: alarms}
	router, err := a.openSenders(nil)
	if err != nil {
		t.Fatal(err)
	}
	a.openLookups(nil, router)
	look := func(address, want string) {
		t.Helper()
		res, err := a.recipients.Lookup(t.Context(), address)
		got := strings.Join(res.Mailboxes, " ")
		switch {
		case errors.Is(err, directory.ErrUnavailable):
			got = "later"
		case errors.Is(err, directory.ErrUnknown):
			got = "unknown"
		case err != nil:
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	for range 3 {
		look("ann@contoso.test", "ann@contoso.test")
		look("gone@contoso.test", "unknown")
	}
	if n := server.count(); n != 2 {
		t.Errorf("the server was asked %d times for two addresses", n)
	}
	look("late@contoso.test", "later")
	server.set("late@contoso.test", nil)
	look("late@contoso.test", "late@contoso.test")

	server.set("ann@contoso.test", server.says["gone@contoso.test"])
	look("ann@contoso.test", "ann@contoso.test")
	if err := (recipientLookup{a}).Forget("Ann@contoso.test"); err != nil {
		t.Fatal(err)
	}
	look("ann@contoso.test", "unknown")
	if server.mails != 0 {
		t.Error("a callout sent a mail")
	}
}
