package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fake remembers what it was asked and answers from fixed values.
type fake struct {
	calls []string
	err   error
	sub   Submission
}

func (f *fake) note(format string, args ...any) error {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

var moment = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

func (f *fake) Status(context.Context) (Status, error) {
	return Status{Version: "v1", Now: moment, Lines: []Line{{Name: "east", State: LineInCall, Call: &Call{Page: 2, Rows: 77}}}}, f.note("status")
}
func (f *fake) Jobs(_ context.Context, q JobFilter) ([]Job, error) {
	return []Job{{ID: "0k3j", State: JobWaiting}}, f.note("jobs %v %d", q.Active, q.Limit)
}
func (f *fake) Job(_ context.Context, id string) (Job, error) {
	return Job{ID: id}, f.note("job %s", id)
}
func (f *fake) Faxes(_ context.Context, limit int) ([]Fax, error) {
	return nil, f.note("faxes %d", limit)
}
func (f *fake) Fax(_ context.Context, id string) (Fax, error) {
	return Fax{ID: id}, f.note("fax %s", id)
}
func (f *fake) Mail(context.Context) ([]Mail, error) { return []Mail{{Held: true}}, f.note("mail") }
func (f *fake) MailItem(_ context.Context, id string) (Mail, error) {
	return Mail{ID: id, Attempts: []MailAttempt{{Reply: "550", Transcript: []string{"> EHLO"}}}}, f.note("mail %s", id)
}
func (f *fake) SentMail(_ context.Context, limit int) ([]Mail, error) {
	return []Mail{{State: "done"}}, f.note("mails %d", limit)
}
func (f *fake) OpenFax(_ context.Context, id string, as FileType) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("%PDF " + string(as))), f.note("open %s %s", id, as)
}
func (f *fake) OpenPage(_ context.Context, id string, n, width int) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte{1, 2, 3})), f.note("page %s %d %d", id, n, width)
}
func (f *fake) Transcript(_ context.Context, line string) ([]Event, error) {
	return []Event{{At: moment, Layer: "frame", Dir: ">", Text: "DIS"}}, f.note("transcript %s", line)
}
func (f *fake) Calls(_ context.Context, limit int) ([]CallRecord, error) {
	return []CallRecord{{ID: "7", Direction: "out", Start: moment, Seconds: 26.4}}, f.note("calls %d", limit)
}
func (f *fake) CallRecord(_ context.Context, id string, transcript bool) (CallRecord, error) {
	return CallRecord{ID: id, Signals: []Signal{{Dir: ">", Kind: "tcf"}}, Parts: []Part{{Name: "TCF", Side: Ours}}}, f.note("call %s %v", id, transcript)
}
func (f *fake) Submit(_ context.Context, s Submission) (Job, error) {
	f.sub = s
	return Job{ID: "9", Number: s.To}, f.note("submit")
}
func (f *fake) CancelJob(_ context.Context, id string) error { return f.note("cancel %s", id) }
func (f *fake) RetryJob(_ context.Context, id string) error  { return f.note("retry %s", id) }
func (f *fake) DeleteFax(_ context.Context, id string, force bool) error {
	return f.note("delete %s %v", id, force)
}
func (f *fake) GiveUpMail(_ context.Context, id string) error { return f.note("giveup %s", id) }
func (f *fake) RetryMail(context.Context) error               { return f.note("retrymail") }
func (f *fake) Routes(context.Context) ([]Route, error) {
	return []Route{{ID: "1", To: []string{"a@b"}}}, f.note("routes")
}
func (f *fake) AddRoute(_ context.Context, r Route) (Route, error) {
	r.ID = "4"
	return r, f.note("addroute %s", r.Dialed)
}
func (f *fake) RemoveRoute(_ context.Context, id string) error { return f.note("rmroute %s", id) }
func (f *fake) TestRule(_ context.Context, n string) (RuleResult, error) {
	return RuleResult{Number: n, Allowed: true}, f.note("rule %s", n)
}
func (f *fake) TestRoute(_ context.Context, d, c string) (RouteResult, error) {
	return RouteResult{Reason: "default"}, f.note("route %s %s", d, c)
}
func (f *fake) Remembered(context.Context) ([]Number, error) {
	return []Number{{Number: "5550100", NoECM: true, Since: moment, Last: moment}}, f.note("remembered")
}
func (f *fake) Forget(_ context.Context, number string) error { return f.note("forget %s", number) }
func (f *fake) People(context.Context) ([]Person, error) {
	return []Person{{Kind: "user", Name: "a@b"}}, f.note("people")
}
func (f *fake) PutPerson(_ context.Context, p Person) (Person, error) {
	return p, f.note("putperson %s %s %d", p.Kind, p.Name, p.MaxPages)
}
func (f *fake) RemovePerson(_ context.Context, kind, name string) error {
	return f.note("rmperson %s %s", kind, name)
}
func (f *fake) ImportPeople(_ context.Context, p PeopleFile) (PeopleChange, error) {
	return PeopleChange{Added: 1, Same: 2}, f.note("import %q %v %v", p.CSV, p.Replace, p.DryRun)
}
func (f *fake) ExportPeople(context.Context) (PeopleFile, error) {
	return PeopleFile{CSV: []byte{1, 255}}, f.note("export")
}
func (f *fake) TestPermission(_ context.Context, who, number string) (PermissionResult, error) {
	return PermissionResult{Reason: "no", Steps: []string{"a", "b"}}, f.note("may %s %s", who, number)
}
func (f *fake) LookUp(_ context.Context, address string, fresh bool) (LookupResult, error) {
	return LookupResult{Address: address, Answers: []LookupAnswer{{Source: "ad", Known: true}}}, f.note("lookup %s %v", address, fresh)
}
func (f *fake) CheckSender(_ context.Context, q SenderQuestion) (SenderResult, error) {
	return SenderResult{Taken: true, Proofs: []string{"spf: pass"}}, f.note("sender %s %s %s %s %q", q.Connector, q.Client, q.Helo, q.From, q.Message)
}
func (f *fake) DKIMRecords(context.Context) ([]TXTRecord, error) {
	return []TXTRecord{{Name: "s._domainkey.b", Text: "v=DKIM1"}}, f.note("dkim")
}
func (f *fake) TestConnector(_ context.Context, q ConnectorQuestion) (ConnectorTest, error) {
	return ConnectorTest{Connector: q.Name, Steps: []ConnectorStep{{Name: "SPF", Record: "v=spf1"}}}, f.note("test %s %s %s", q.Name, q.To, q.Address)
}
func (f *fake) Refusals(context.Context) ([]Refusal, error) {
	return []Refusal{{Client: "192.0.2.1", Reply: "550 no"}}, f.note("refusals")
}
func (f *fake) SignIn(_ context.Context, name string) (SignIn, error) {
	return SignIn{Connector: name, Code: "ABC"}, f.note("signin %s", name)
}
func (f *fake) SignInState(_ context.Context, name string) (SignIn, error) {
	return SignIn{Connector: name, State: SignInDone}, f.note("signed in %s", name)
}
func (f *fake) DialRules(context.Context) ([]DialRule, error) {
	return []DialRule{{ID: "dial.allow", Pattern: "*"}}, f.note("rules")
}
func (f *fake) AddDialRule(_ context.Context, r DialRule) (DialRule, error) {
	r.ID = "5"
	return r, f.note("addrule %s %v", r.Pattern, r.Deny)
}
func (f *fake) RemoveDialRule(_ context.Context, id string) error { return f.note("rmrule %s", id) }
func (f *fake) Devices(context.Context) ([]Device, error) {
	return []Device{{Name: "scan"}}, f.note("devices")
}
func (f *fake) PutDevice(_ context.Context, d Device) (Device, error) {
	return Device{Name: d.Name, Password: "made up"}, f.note("device %s %v %s", d.Name, d.Senders, d.Password)
}
func (f *fake) RemoveDevice(_ context.Context, name string) error { return f.note("rmdevice %s", name) }
func (f *fake) ClearAlarm(_ context.Context, code string) error   { return f.note("clear %s", code) }

// start serves f in a fresh folder and returns a client.
func start(t *testing.T, f *fake) (*Client, string) {
	t.Helper()
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, f) }()
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, SocketName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("socket left behind: %v", err)
		}
	})
	return c, dir
}

func TestClient_EveryCallReachesTheAppliance(t *testing.T) {
	f := &fake{}
	c, _ := start(t, f)
	ctx := context.Background()
	read := func(rc io.ReadCloser, err error) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		defer rc.Close()
		return io.ReadAll(rc)
	}
	steps := []struct {
		call string
		do   func() (any, error)
		want any
	}{
		{"status", func() (any, error) { return c.Status(ctx) }, func() Status { s, _ := (&fake{}).Status(ctx); return s }()},
		{"jobs true 7", func() (any, error) { return c.Jobs(ctx, JobFilter{Active: true, Limit: 7}) }, []Job{{ID: "0k3j", State: JobWaiting}}},
		{"job 3", func() (any, error) { return c.Job(ctx, "3") }, Job{ID: "3"}},
		{"faxes 5", func() (any, error) { return c.Faxes(ctx, 5) }, []Fax(nil)},
		{"fax 6", func() (any, error) { return c.Fax(ctx, "6") }, Fax{ID: "6"}},
		{"test out a@b.c 192.0.2.1", func() (any, error) {
			return c.TestConnector(ctx, ConnectorQuestion{Name: "out", To: "a@b.c", Address: "192.0.2.1"})
		}, ConnectorTest{Connector: "out", Steps: []ConnectorStep{{Name: "SPF", Record: "v=spf1"}}}},
		{"refusals", func() (any, error) { return c.Refusals(ctx) }, []Refusal{{Client: "192.0.2.1", Reply: "550 no"}}},
		{"signin out", func() (any, error) { return c.SignIn(ctx, "out") }, SignIn{Connector: "out", Code: "ABC"}},
		{"signed in out", func() (any, error) { return c.SignInState(ctx, "out") }, SignIn{Connector: "out", State: SignInDone}},
		{"mail", func() (any, error) { return c.Mail(ctx) }, []Mail{{Held: true}}},
		{"mail 0k3j", func() (any, error) { return c.MailItem(ctx, "0k3j") }, Mail{ID: "0k3j", Attempts: []MailAttempt{{Reply: "550", Transcript: []string{"> EHLO"}}}}},
		{"mails 7", func() (any, error) { return c.SentMail(ctx, 7) }, []Mail{{State: "done"}}},
		{"open 6 pdf", func() (any, error) { return read(c.OpenFax(ctx, "6", PDF)) }, []byte("%PDF pdf")},
		{"page 6 2 300", func() (any, error) { return read(c.OpenPage(ctx, "6", 2, 300)) }, []byte{1, 2, 3}},
		{"transcript my line", func() (any, error) { return c.Transcript(ctx, "my line") }, []Event{{At: moment, Layer: "frame", Dir: ">", Text: "DIS"}}},
		{"calls 9", func() (any, error) { return c.Calls(ctx, 9) }, []CallRecord{{ID: "7", Direction: "out", Start: moment, Seconds: 26.4}}},
		{"call 7 true", func() (any, error) { return c.CallRecord(ctx, "7", true) },
			CallRecord{ID: "7", Signals: []Signal{{Dir: ">", Kind: "tcf"}}, Parts: []Part{{Name: "TCF", Side: Ours}}}},
		{"submit", func() (any, error) {
			return c.Submit(ctx, Submission{To: "+1 555", Files: []SubmissionFile{{Name: "a.pdf", Data: []byte{0, 255}}}})
		}, Job{ID: "9", Number: "+1 555"}},
		{"cancel 3", func() (any, error) { return nil, c.CancelJob(ctx, "3") }, nil},
		{"retry 3", func() (any, error) { return nil, c.RetryJob(ctx, "3") }, nil},
		{"delete 6 true", func() (any, error) { return nil, c.DeleteFax(ctx, "6", true) }, nil},
		{"giveup 7", func() (any, error) { return nil, c.GiveUpMail(ctx, "7") }, nil},
		{"retrymail", func() (any, error) { return nil, c.RetryMail(ctx) }, nil},
		{"routes", func() (any, error) { return c.Routes(ctx) }, []Route{{ID: "1", To: []string{"a@b"}}}},
		{"addroute 555*", func() (any, error) { return c.AddRoute(ctx, Route{Dialed: "555*"}) }, Route{ID: "4", Dialed: "555*"}},
		{"rmroute 4", func() (any, error) { return nil, c.RemoveRoute(ctx, "4") }, nil},
		{"rule +1&2", func() (any, error) { return c.TestRule(ctx, "+1&2") }, RuleResult{Number: "+1&2", Allowed: true}},
		{"route 1 2", func() (any, error) { return c.TestRoute(ctx, "1", "2") }, RouteResult{Reason: "default"}},
		{"remembered", func() (any, error) { return c.Remembered(ctx) }, []Number{{Number: "5550100", NoECM: true, Since: moment, Last: moment}}},
		{"forget +1 555", func() (any, error) { return nil, c.Forget(ctx, "+1 555") }, nil},
		{"people", func() (any, error) { return c.People(ctx) }, []Person{{Kind: "user", Name: "a@b"}}},
		{"putperson user a@b 7", func() (any, error) { return c.PutPerson(ctx, Person{Kind: "user", Name: "a@b", MaxPages: 7}) }, Person{Kind: "user", Name: "a@b", MaxPages: 7}},
		{"rmperson group R&D", func() (any, error) { return nil, c.RemovePerson(ctx, "group", "R&D") }, nil},
		{`import "\xff;" true true`, func() (any, error) {
			return c.ImportPeople(ctx, PeopleFile{CSV: []byte{255, ';'}, Replace: true, DryRun: true})
		}, PeopleChange{Added: 1, Same: 2}},
		{"export", func() (any, error) { return c.ExportPeople(ctx) }, PeopleFile{CSV: []byte{1, 255}}},
		{"may a@b +1&2", func() (any, error) { return c.TestPermission(ctx, "a@b", "+1&2") }, PermissionResult{Reason: "no", Steps: []string{"a", "b"}}},
		{`sender mx ::1 h a@b "x"`, func() (any, error) {
			return c.CheckSender(ctx, SenderQuestion{Connector: "mx", Client: "::1", Helo: "h", From: "a@b", Message: []byte("x")})
		}, SenderResult{Taken: true, Proofs: []string{"spf: pass"}}},
		{"lookup a@b true", func() (any, error) { return c.LookUp(ctx, "a@b", true) },
			LookupResult{Address: "a@b", Answers: []LookupAnswer{{Source: "ad", Known: true}}}},
		{"dkim", func() (any, error) { return c.DKIMRecords(ctx) }, []TXTRecord{{Name: "s._domainkey.b", Text: "v=DKIM1"}}},
		{"rules", func() (any, error) { return c.DialRules(ctx) }, []DialRule{{ID: "dial.allow", Pattern: "*"}}},
		{"addrule 555* true", func() (any, error) { return c.AddDialRule(ctx, DialRule{Pattern: "555*", Deny: true}) }, DialRule{ID: "5", Pattern: "555*", Deny: true}},
		{"rmrule 5", func() (any, error) { return nil, c.RemoveDialRule(ctx, "5") }, nil},
		{"devices", func() (any, error) { return c.Devices(ctx) }, []Device{{Name: "scan"}}},
		{"device scan [a@b.c] secret", func() (any, error) {
			return c.PutDevice(ctx, Device{Name: "scan", Senders: []string{"a@b.c"}, Password: "secret"})
		}, Device{Name: "scan", Password: "made up"}},
		{"rmdevice scan", func() (any, error) { return nil, c.RemoveDevice(ctx, "scan") }, nil},
		{"clear line-lost/a b", func() (any, error) { return nil, c.ClearAlarm(ctx, "line-lost/a b") }, nil},
	}
	for i, s := range steps {
		got, err := s.do()
		if err != nil {
			t.Errorf("%s: %v", s.call, err)
			continue
		}
		if !reflect.DeepEqual(got, s.want) {
			t.Errorf("%s: got %#v, want %#v", s.call, got, s.want)
		}
		if len(f.calls) != i+1 || f.calls[i] != s.call {
			t.Fatalf("appliance was asked %q, want %q last", f.calls, s.call)
		}
	}
	if len(f.sub.Files) != 1 || !bytes.Equal(f.sub.Files[0].Data, []byte{0, 255}) {
		t.Errorf("submission arrived as %+v", f.sub)
	}
}

func TestClient_ErrorsKeepTheirKind(t *testing.T) {
	for _, kind := range []error{ErrNotFound, ErrInvalid, ErrConflict, errors.New("disk on fire")} {
		f := &fake{err: fmt.Errorf("job 3: %w", kind)}
		c, _ := start(t, f)
		_, err := c.Job(context.Background(), "3")
		if err == nil || err.Error() != f.err.Error() {
			t.Errorf("got %v, want %v", err, f.err)
		}
		for _, known := range []error{ErrNotFound, ErrInvalid, ErrConflict} {
			if errors.Is(err, known) != (kind == known) {
				t.Errorf("errors.Is(%v, %v) = %v", err, known, !(kind == known))
			}
		}
	}
}

func TestHandler_BadRequestsAreInvalid(t *testing.T) {
	f := &fake{}
	c, _ := start(t, f)
	ctx := context.Background()
	for _, path := range []string{"/jobs/X", "/jobs?limit=-1", "/faxes/1/pages/x", "/faxes/1+1", "/calls/X", "/calls?limit=x"} {
		u, q, _ := strings.Cut(path, "?")
		query := map[string][]string{}
		if k, v, ok := strings.Cut(q, "="); ok {
			query[k] = []string{v}
		}
		if err := c.do(ctx, "GET", u, query); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := call[Job](ctx, c, "POST", "/jobs", nil, map[string]any{"nonsense": 1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown key: %v", err)
	}
	if len(f.calls) != 0 {
		t.Errorf("the appliance was asked %q", f.calls)
	}
}

func TestListen_ReplacesStaleSocketOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SocketName)
	if _, err := Dial(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("empty folder: %v", err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close() // as kill -9 leaves it
	if _, err := Dial(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stale socket: %v", err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatalf("stale socket was not replaced: %v", err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode().Perm())
	}
	if _, err := Listen(dir); err == nil {
		t.Error("a living appliance's socket was taken over")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".sock*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
