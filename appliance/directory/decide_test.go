package directory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// staticMembers is a directory outside: address to member. An address "down@..." cannot be asked for.
type staticMembers map[string]Member

func (s staticMembers) Member(_ context.Context, address string) (Member, error) {
	if strings.HasPrefix(address, "down@") {
		return Member{}, &Failure{Source: "ad", Err: errors.New("no answer")}
	}
	m, ok := s[address]
	if !ok {
		return m, fmt.Errorf("%w: %s", ErrUnknown, address)
	}
	return m, nil
}

var monday = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func TestMay(t *testing.T) {
	in := func(groups ...string) []string { return groups }
	yes := func(p Permission) *Permission { return &p }
	no := &Permission{Deny: true}
	office, _ := ParseHours("Mon-Fri 08:00-18:00")
	d := put(t, Options{Members: staticMembers{
		"ext@contoso.test":      {Address: "ext@contoso.test", Groups: in("CN-Fax"), Source: "ad"},
		"old@contoso.test":      {Address: "ann@contoso.test", Groups: in("Blocked"), Source: "ad"},
		"mailgroup@other.test":  {Address: "mailgroup@other.test", Groups: in("export-list@contoso.test"), Source: "ad"},
		"primary@contoso.test":  {Address: "x@intern.test", Source: "ad"},
		"sales@contoso.test":    {Address: "sales@contoso.test", Groups: in("Fax"), Source: "ad"},
		"both-ways@remote.test": {Address: "both-ways@remote.test", Groups: in("Sales", "Export"), Source: "ad"},
	}},
		Entry{Kind: User, Name: "ann@contoso.test", Aliases: []string{"a.smith@contoso.test"}, Groups: in("Blocked"), Permission: yes(Permission{To: []string{"+49*"}})},
		Entry{Kind: User, Name: "bob@contoso.test", Groups: in("Sales")},
		Entry{Kind: User, Name: "eve@contoso.test", Groups: in("Sales", "Blocked")},
		Entry{Kind: User, Name: "exp@contoso.test", Groups: in("Sales", "Export")},
		Entry{Kind: User, Name: "none@contoso.test", Groups: in("No such group")},
		Entry{Kind: User, Name: "never@contoso.test", Permission: no},
		Entry{Kind: User, Name: "day@contoso.test", Permission: yes(Permission{Hours: office})},
		Entry{Kind: User, Name: "tokyo@contoso.test", Permission: yes(Permission{Hours: office, Zone: "Asia/Tokyo"})},
		Entry{Kind: User, Name: "short@contoso.test", Permission: yes(Permission{MaxPages: 5})},
		Entry{Kind: Group, Name: "Sales", Permission: yes(Permission{To: []string{"555*", "+49*"}, NotTo: []string{"5559*", "+4419*"}, MaxPages: 10})},
		Entry{Kind: Group, Name: "Export", Aliases: []string{"export-list@contoso.test"}, Permission: yes(Permission{To: []string{"+49*", "+44*", "5559*", "55*"}, MaxPages: 3})},
		Entry{Kind: Group, Name: "Blocked", Permission: no},
		Entry{Kind: Group, Name: "cn-fax", Permission: yes(Permission{})},
		Entry{Kind: Domain, Name: "contoso.test", Permission: yes(Permission{To: []string{"1*"}})},
		Entry{Kind: Domain, Name: "intern.test", Permission: no},
		Entry{Kind: Everyone, Permission: yes(Permission{To: []string{"800*"}})},
	)
	night := monday.Add(10 * time.Hour)
	tests := []struct {
		who, number string
		pages       int
		at          time.Time
		rule        string // "-": refused without one
		allowed     bool
	}{
		{"ann@contoso.test", "+49301234", 1, monday, "user ann@contoso.test", true},     // the user's own counts, whatever the group denies
		{"A.Smith@Contoso.test", "+49301234", 1, monday, "user ann@contoso.test", true}, // by alias
		{"old@contoso.test", "+49301234", 1, monday, "user ann@contoso.test", true},     // by an address that only the directory outside knows
		{"ann@contoso.test", "5550100", 1, monday, "user ann@contoso.test", false},      // not among the destinations
		{"bob@contoso.test", "5550100", 10, monday, "group Sales", true},                //
		{"bob@contoso.test", "5550100", 11, monday, "group Sales", false},               // pages
		{"bob@contoso.test", "5559100", 1, monday, "group Sales", false},                // denied by a longer prefix
		{"bob@contoso.test", "1555", 1, monday, "group Sales", false},                   // the domain does not count beside a group
		{"eve@contoso.test", "5550100", 1, monday, "group Blocked", false},              // a denial wins among groups
		{"exp@contoso.test", "+44301234", 1, monday, "group Export", true},              // destinations of groups add up
		{"exp@contoso.test", "+44191234", 1, monday, "group Sales", false},              // by the longest prefix
		{"exp@contoso.test", "5559100", 1, monday, "group Sales", false},                // a denial wins a tie
		{"exp@contoso.test", "5550100", 9, monday, "group Sales", true},                 // the longer prefix brings its own limits
		{"exp@contoso.test", "+49301234", 3, monday, "group Export", true},              // both permit by the same prefix
		{"exp@contoso.test", "+49301234", 4, monday, "group Export", false},             // then the stricter limit counts
		{"both-ways@remote.test", "+49301234", 4, monday, "group Export", false},        // the same groups from outside
		{"none@contoso.test", "1555", 1, monday, "domain contoso.test", true},           //
		{"stranger@contoso.test", "1555", 1, monday, "domain contoso.test", true},       //
		{"stranger@sub.contoso.test", "1555", 1, monday, "everyone", false},             // a subdomain is another domain
		{"stranger@sub.contoso.test", "800555", 1, monday, "everyone", true},            //
		{"primary@contoso.test", "1555", 1, monday, "domain intern.test", false},        // both domains are equals
		{"ext@contoso.test", "99", 999, monday, "group cn-fax", true},                   // a group from outside, no limits
		{"mailgroup@other.test", "+4430", 1, monday, "group Export", true},              // a group by its address
		{"never@contoso.test", "1555", 1, monday, "user never@contoso.test", false},     //
		{"day@contoso.test", "1555", 1, monday, "user day@contoso.test", true},          //
		{"day@contoso.test", "1555", 1, night, "user day@contoso.test", false},          // 22:00
		{"tokyo@contoso.test", "1555", 1, monday, "user tokyo@contoso.test", false},     // 21:00 there
		{"tokyo@contoso.test", "1555", 1, monday.Add(-11 * time.Hour), "user tokyo@contoso.test", true},
		{"short@contoso.test", "1555", 0, monday, "user short@contoso.test", true}, // pages not known yet
		{"no address", "1555", 1, monday, "-", false},
		{"", "1555", 1, monday, "-", false},
		{"short@contoso.test", "fax", 1, monday, "user short@contoso.test", false},
	}
	for _, tt := range tests {
		dec, err := d.May(t.Context(), tt.who, tt.number, tt.pages, tt.at)
		if err != nil {
			t.Errorf("%s to %s: %v", tt.who, tt.number, err)
			continue
		}
		rule := dec.Rule
		if rule == "" {
			rule = "-"
		}
		if dec.Allowed != tt.allowed || rule != tt.rule || !strings.HasSuffix(dec.Reason, ".") {
			t.Errorf("%s to %s, %d pages, %v: %v by %s, want %v by %s: %s\n%s", tt.who, tt.number, tt.pages, tt.at, dec.Allowed, rule, tt.allowed, tt.rule,
				dec.Reason, strings.Join(dec.Steps, "\n"))
		}
		if hours := strings.Contains(dec.Reason, "only at these times"); dec.Temporary != hours {
			t.Errorf("%s: temporary %v: %s", tt.who, dec.Temporary, dec.Reason)
		}
	}
	if _, err := d.May(t.Context(), "down@contoso.test", "1555", 1, monday); !errors.Is(err, ErrUnavailable) {
		t.Errorf("groups cannot be asked for: %v, want ErrUnavailable", err)
	}
	if dec, err := put(t, Options{}).May(t.Context(), "ann@contoso.test", "1", 1, monday); err != nil || dec.Allowed {
		t.Errorf("without any permission: %+v, %v", dec, err)
	}
}

func TestExplain_TellsTheWay(t *testing.T) {
	d := put(t, Options{}, Entry{Kind: User, Name: "ann@x.test", Aliases: []string{"a@x.test"}, Groups: []string{"Sales"}},
		Entry{Kind: Group, Name: "Sales", Permission: &Permission{NotTo: []string{"1900*"}, FaxesPerDay: 3}})
	dec, err := d.Explain(t.Context(), "a@x.test", "1800", monday)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a@x.test is an address of ann@x.test (table).", "Groups: Sales.", "What decides: group Sales.", "group Sales permits numbers *.",
		"group Sales: 0 of 3 faxes of the day are used."}
	if got := strings.Join(dec.Steps, "\n"); got != strings.Join(want, "\n") || !dec.Allowed {
		t.Errorf("%+v", dec)
	}
}

func limited(t testing.TB) *Directory {
	return put(t, Options{}, Entry{Kind: User, Name: "ann@x.test", Aliases: []string{"a@x.test"}, Permission: &Permission{FaxesPerDay: 3, PagesPerDay: 10, NotTo: []string{"1900*"}}})
}

func TestReserve(t *testing.T) {
	d := limited(t)
	steps := []struct {
		job       string
		pages     int
		number    string
		at        time.Duration
		allowed   bool
		temporary bool
		faxes     int // afterwards
		used      int
	}{
		{"j1", 4, "1", 0, true, false, 1, 4},
		{"j1", 4, "1", time.Hour, true, false, 1, 4},       // asked again after a crash
		{"j2", 7, "1", 0, false, true, 1, 4},               // more pages than are left
		{"j2", 6, "1", 0, true, false, 2, 10},              //
		{"j3", 1, "1", 0, false, true, 2, 10},              // used up
		{"j3", 11, "1", 0, false, false, 2, 10},            // more than a day has: not tomorrow either
		{"j2", 5, "1", 0, true, false, 2, 9},               // rendered again
		{"j2", 50, "1", 0, false, false, 1, 4},             // refused: nothing is left of it
		{"j4", 1, "1", 0, true, false, 2, 5},               //
		{"j4", 1, "1900", 0, false, false, 1, 4},           // another number, denied
		{"j5", 1, "1", 12 * time.Hour, true, false, 1, 1},  // midnight
		{"j1", 4, "1", 13 * time.Hour, true, false, 1, 1},  // counted on its own day
		{"j6", 1, "1", 11 * time.Hour, true, false, 2, 2},  // the clock went back over midnight: no second allowance
		{"j7", 1, "1", 400 * time.Hour, true, false, 1, 1}, //
		{"j8", 1, "1", 12 * time.Hour, true, false, 1, 1},  // far back: the clock was wrong
	}
	for i, s := range steps {
		dec, err := d.Reserve(t.Context(), s.job, "a@x.test", s.number, s.pages, monday.Add(s.at))
		if err != nil || dec.Allowed != s.allowed || dec.Temporary != s.temporary || dec.Rule != "user ann@x.test" {
			t.Fatalf("step %d: %+v, %v", i, dec, err)
		}
		if faxes, pages, err := d.Used("a@x.test", monday.Add(s.at)); err != nil || faxes != s.faxes || pages != s.used {
			t.Fatalf("step %d: %d faxes and %d pages used, want %d and %d (%v)", i, faxes, pages, s.faxes, s.used, err)
		}
	}
	if dec, err := d.May(t.Context(), "ann@x.test", "1", 10, monday.Add(12*time.Hour)); err != nil || dec.Allowed || !dec.Temporary {
		t.Errorf("May looks at the day too: %+v, %v", dec, err)
	}
	if err := d.Release("j1"); err != nil { // of another day
		t.Fatal(err)
	}
	if faxes, pages, _ := d.Used("ann@x.test", monday.Add(12*time.Hour)); faxes != 1 || pages != 1 {
		t.Errorf("another day's job released: %d faxes, %d pages", faxes, pages)
	}
	for range 2 {
		if err := d.Release("j8"); err != nil {
			t.Fatal(err)
		}
		if faxes, pages, _ := d.Used("ann@x.test", monday.Add(12*time.Hour)); faxes != 0 || pages != 0 {
			t.Errorf("released: %d faxes, %d pages", faxes, pages)
		}
	}
}

func TestReserve_AtOnce(t *testing.T) {
	d := limited(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := map[string]int{}
	for i := range 24 {
		job := fmt.Sprintf("job %d", i%8) // each is asked for three times at once
		wg.Go(func() {
			dec, err := d.Reserve(t.Context(), job, "ann@x.test", "1", 2, monday)
			if err != nil {
				t.Error(err)
			}
			if dec.Allowed {
				mu.Lock()
				allowed[job]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if faxes, pages, _ := d.Used("ann@x.test", monday); len(allowed) != 3 || faxes != 3 || pages != 6 {
		t.Errorf("%v allowed; %d faxes, %d pages used", allowed, faxes, pages)
	}
}

// TestReserve_Kill kills a process at random moments and asks again for the same jobs: none counts twice, none is lost.
func TestReserve_Kill(t *testing.T) {
	dir := os.Getenv("DIRECTORY_TEST_KILL")
	child := dir != ""
	if !child {
		dir = t.TempDir()
	}
	const jobs = 60
	run := func(st *store.Store, said func(int)) error {
		d := New(st, Options{Zone: time.UTC})
		if _, err := d.Put(Entry{Kind: Everyone, Permission: &Permission{FaxesPerDay: jobs, PagesPerDay: 3 * jobs}}); err != nil {
			return err
		}
		for i := range jobs {
			dec, err := d.Reserve(context.Background(), fmt.Sprintf("%06d", i), "ann@x.test", "1", 3, monday)
			if err != nil || !dec.Allowed {
				return fmt.Errorf("job %d: %+v, %w", i, dec, err)
			}
			said(i)
		}
		return nil
	}
	if child {
		st, err := store.Open(dir, store.Options{Reserve: -1, LockTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := run(st, func(i int) { fmt.Println("reserved", i) }); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, after := range []int{1, 25, 26, 44} { // kills lie somewhere after so many jobs
		cmd := exec.Command(os.Args[0], "-test.run=^TestReserve_Kill$")
		cmd.Env = append(os.Environ(), "DIRECTORY_TEST_KILL="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range after {
			if !lines.Scan() || !strings.HasPrefix(lines.Text(), "reserved") {
				t.Errorf("the child says %q", lines.Text())
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	st, err := store.Open(dir, store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := run(st, func(int) {}); err != nil {
		t.Fatal(err)
	}
	if faxes, pages, err := New(st, Options{Zone: time.UTC}).Used("ann@x.test", monday); faxes != jobs || pages != 3*jobs || err != nil {
		t.Errorf("%d faxes, %d pages are counted for %d jobs of 3 pages (%v)", faxes, pages, jobs, err)
	}
	if err := st.Check(); err != nil {
		t.Error(err)
	}
}

func TestReserve_Prunes(t *testing.T) {
	d := put(t, Options{}, Entry{Kind: Everyone, Permission: &Permission{}})
	const most = 100
	d.maxReservations = most
	reserve := func(job, who string, at time.Time) {
		t.Helper()
		if dec, err := d.Reserve(t.Context(), job, who, "1", 1, at); err != nil || !dec.Allowed {
			t.Fatal(dec, err)
		}
	}
	for i := range 5 {
		reserve(fmt.Sprintf("job %d", i), fmt.Sprintf("u%d@x.test", i), monday.AddDate(0, 0, 10*i))
	}
	count := func() (jobs, users int) {
		d.st.View(func(tx *store.Tx) error {
			jobs, users = reservations.Len(tx), uses.Len(tx)
			return nil
		})
		return jobs, users
	}
	if jobs, users := count(); jobs != 4 || users != 4 {
		t.Errorf("after 40 days %d jobs and %d users are kept", jobs, users)
	}
	// A full table: the next one drops the oldest tenth.
	err := d.st.Update(func(tx *store.Tx) error {
		for i := range most {
			if err := reservations.Put(tx, fmt.Sprintf("m%07d", i), reservation{User: "u@x.test", Day: "2026-12-12", Pages: 1}); err != nil {
				return err
			}
		}
		return keepings.Put(tx, keepingKey, keeping{Pruned: "2026-12-12", Count: most})
	})
	if err != nil {
		t.Fatal(err)
	}
	reserve("z", "u@x.test", monday.AddDate(0, 0, 40))
	if jobs, _ := count(); jobs != most-most/10+1 {
		t.Errorf("%d reservations in a full table", jobs)
	}
	d.st.View(func(tx *store.Tx) error {
		if !reservations.Has(tx, "z") || reservations.Has(tx, "job 3") || reservations.Has(tx, "m0000001") || !reservations.Has(tx, fmt.Sprintf("m%07d", most-1)) {
			t.Error("not the oldest went")
		}
		return nil
	})
}
