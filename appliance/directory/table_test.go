package directory

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// openStore opens a store that is checked and closed after the test.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Check(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// put makes a directory of entries; days are those of UTC.
func put(t testing.TB, o Options, list ...Entry) *Directory {
	t.Helper()
	o.Zone = time.UTC
	d := New(openStore(t), o)
	for _, e := range list {
		if _, err := d.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestHours(t *testing.T) {
	at := func(s string) time.Time { // a week of which the 2nd is a Monday
		v, err := time.Parse("2006-01-02 15:04", "2026-11-0"+s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	tests := []struct {
		text, as string // as: what it is written as; "" the same
		in, out  []string
	}{
		{text: "", in: []string{"2 00:00", "7 23:59"}},
		{text: "Mon-Fri 08:00-18:00", in: []string{"2 08:00", "6 17:59"}, out: []string{"2 07:59", "6 18:00", "7 12:00", "8 12:00"}},
		{text: "mon-fri 8:00-18:00 ; SAT 09:00-12:00", as: "Mon-Fri 08:00-18:00, Sat 09:00-12:00", in: []string{"7 09:00"}, out: []string{"7 12:00"}},
		{text: "Sat-Mon 22:00-06:00", in: []string{"7 22:00", "8 05:59", "3 05:00", "2 22:30", "8 03:00"}, out: []string{"7 05:00", "3 06:00", "3 22:00"}},
		{text: "00:00-24:00", in: []string{"2 00:00", "2 23:59"}},
		{text: "20:00-24:00", in: []string{"2 23:59"}, out: []string{"3 00:00"}},
		{text: "22:00-06:00", in: []string{"2 05:00", "2 23:00"}, out: []string{"2 06:00", "2 21:59"}},
		{text: "Sun 01:00-02:00", in: []string{"8 01:00"}, out: []string{"7 01:00"}},
		{text: "Fri-Thu 01:00-02:00", as: "01:00-02:00", in: []string{"8 01:00"}},
	}
	for _, tt := range tests {
		h, err := ParseHours(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		want := tt.text
		if tt.as != "" {
			want = tt.as
		}
		if h.String() != want {
			t.Errorf("%q is written %q, want %q", tt.text, h, want)
		}
		if again, err := ParseHours(h.String()); err != nil || again.String() != h.String() {
			t.Errorf("%q became %q, %v", h, again, err)
		}
		for _, s := range tt.in {
			if !h.Contains(at(s)) {
				t.Errorf("%q has not %s", tt.text, s)
			}
		}
		for _, s := range tt.out {
			if h.Contains(at(s)) {
				t.Errorf("%q has %s", tt.text, s)
			}
		}
	}
	for _, bad := range []string{"Mon", "8-18", "Mon 08:00", "Mon 08:00-08:00", "Mon 24:00-08:00", "Mon 08:60-09:00", "Mon 25:00-26:00", "Mon 08:00-24:01",
		"Fun 08:00-09:00", "Mon-Fun 08:00-09:00", "Mon 008:00-09:00", "Mon 8:0-9:00", "x", "Mon Tue 08:00-09:00", "Mon -8:00-9:00", strings.Repeat("1:00-2:00,", 33)} {
		if h, err := ParseHours(bad); !errors.Is(err, ErrEntry) {
			t.Errorf("ParseHours(%q) = %v, %v, want ErrEntry", bad, h, err)
		}
	}
}

func FuzzParseHours(f *testing.F) {
	for _, s := range []string{"Mon-Fri 08:00-18:00, Sat 09:00-12:00", "22:00-6:00", "Sat-Mon 0:00-24:00", ";,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHours(s)
		if err != nil {
			return
		}
		again, err := ParseHours(h.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", s, h, err)
		}
		for m := 0; m < 7*dayLength; m += 7 {
			at := time.Date(2026, 11, 1, 0, m, 0, 0, time.UTC)
			if h.Contains(at) != again.Contains(at) {
				t.Fatalf("%q became %q, which differs at %v", s, h, at)
			}
		}
	})
}

var someEntries = []Entry{
	{Kind: User, Name: "Ann@Contoso.test", Aliases: []string{"a.smith@contoso.test"}, Display: "Ann Smith", Groups: []string{"Sales", "sales", "Export"},
		Permission: &Permission{To: []string{"+49", "555*"}, NotTo: []string{"1900"}, MaxPages: 20, PagesPerDay: 100, FaxesPerDay: 10, Zone: "Europe/Berlin",
			Hours: Hours{{Days: 1<<time.Monday | 1<<time.Wednesday, From: 480, Until: 1080}}}, Note: "since 2020"},
	{Kind: User, Name: "bob@contoso.test", Display: "Bob 't Hooft", Groups: []string{"sales"}, Note: "'t is Bob"},
	{Kind: Group, Name: "Sales", Aliases: []string{"sales@contoso.test"}, Permission: &Permission{}},
	{Kind: Domain, Name: "Contoso.TEST", Permission: &Permission{Deny: true}},
	{Kind: Everyone, Note: "=1+1"},
}

func TestTable_PutGetListDelete(t *testing.T) {
	d := put(t, Options{}, someEntries...)
	e, err := d.Get(User, "A.Smith@CONTOSO.test")
	if err != nil || e.Name != "ann@contoso.test" || !slices.Equal(e.Groups, []string{"Export", "Sales"}) || !slices.Equal(e.Permission.To, []string{"+49*", "555*"}) {
		t.Errorf("by alias: %+v, %v", e, err)
	}
	list, err := d.List()
	if err != nil || len(list) != 5 || list[0].Ref() != "domain contoso.test" || list[4].Ref() != "user bob@contoso.test" {
		t.Errorf("%+v, %v", list, err)
	}
	if users, err := d.List(User); err != nil || len(users) != 2 {
		t.Errorf("%+v, %v", users, err)
	}
	for _, taken := range []Entry{
		{Kind: User, Name: "a.smith@contoso.test"}, {Kind: User, Name: "new@contoso.test", Aliases: []string{"bob@contoso.test"}},
		{Kind: User, Name: "new@contoso.test", Aliases: []string{"sales@contoso.test"}}, {Kind: Group, Name: "G", Aliases: []string{"ann@contoso.test"}},
	} {
		if _, err := d.Put(taken); !errors.Is(err, ErrEntry) {
			t.Errorf("%+v: %v, want ErrEntry", taken, err)
		}
	}
	if _, err := d.Put(Entry{Kind: User, Name: "ann@contoso.test"}); err != nil {
		t.Error(err)
	}
	if _, err := d.Put(Entry{Kind: User, Name: "a.smith@contoso.test"}); err != nil {
		t.Errorf("an alias that was given up: %v", err)
	}
	for _, want := range []error{nil, ErrNotFound} {
		if err := d.Delete(Group, "sales"); !errors.Is(err, want) {
			t.Errorf("Delete: %v, want %v", err, want)
		}
	}
	if _, err := d.Put(Entry{Kind: User, Name: "sales@contoso.test"}); err != nil {
		t.Errorf("an address of a deleted group: %v", err)
	}
	if active, err := d.Active(); err != nil || !active {
		t.Error("not active", err)
	}
	if err := d.Delete(Domain, "contoso.test"); err != nil {
		t.Error(err)
	}
	if active, err := d.Active(); err != nil || active {
		t.Error("active without a permission", err)
	}
}

func TestPut_Nonsense(t *testing.T) {
	d := put(t, Options{})
	user := func(e Entry) Entry { e.Kind, e.Name = User, "a@b.test"; return e }
	perm := func(p Permission) Entry { return user(Entry{Permission: &p}) }
	for _, e := range []Entry{
		{}, {Kind: "robot", Name: "x"}, {Kind: User, Name: "ann"}, {Kind: User, Name: `"a b"@c.test`}, {Kind: User, Name: `"a|b"@c.test`}, {Kind: User, Name: `"a@b"@c.test`},
		{Kind: Group}, {Kind: Group, Name: "a|b"}, {Kind: Group, Name: "a\nb"}, {Kind: Group, Name: strings.Repeat("g", 257)}, {Kind: Group, Name: "\xff"},
		{Kind: Domain, Name: "a b"}, {Kind: Domain, Name: ""}, {Kind: Domain, Name: "x@y.test"}, {Kind: Everyone, Name: "all"},
		{Kind: Domain, Name: "b.test", Aliases: []string{"a@b.test"}}, {Kind: Group, Name: "g", Groups: []string{"h"}},
		user(Entry{Aliases: []string{"x"}}), user(Entry{Groups: []string{""}}), user(Entry{Display: "two\nlines"}), user(Entry{Note: strings.Repeat("n", 257)}),
		user(Entry{Groups: make([]string, 201)}), user(Entry{Aliases: make([]string, 201)}),
		perm(Permission{Deny: true, MaxPages: 1}), perm(Permission{Deny: true, Zone: "UTC"}), perm(Permission{To: []string{"1-800"}}), perm(Permission{NotTo: []string{""}}),
		perm(Permission{Zone: "Mars/Base"}), perm(Permission{Zone: "Local"}), perm(Permission{Zone: "../etc/passwd"}), perm(Permission{MaxPages: -1}),
		perm(Permission{FaxesPerDay: 1<<20 + 1}), perm(Permission{To: make([]string, 501)}),
	} {
		if got, err := d.Put(e); !errors.Is(err, ErrEntry) {
			t.Errorf("Put(%+v) = %+v, %v, want ErrEntry", e, got, err)
		}
	}
	if list, _ := d.List(); len(list) != 0 {
		t.Errorf("something was stored: %+v", list)
	}
}

func TestTableSource(t *testing.T) {
	d := put(t, Options{}, someEntries...)
	s := d.Table()
	for address, want := range map[string]Result{
		"A.SMITH@contoso.test": {Address: "ann@contoso.test", Name: "Ann Smith", Mailboxes: []string{"ann@contoso.test"}, Source: "table"},
		"sales@contoso.test":   {Address: "sales@contoso.test", Name: "Sales", Group: true, Mailboxes: []string{"ann@contoso.test", "bob@contoso.test"}, Source: "table"},
	} {
		if got, err := s.Lookup(t.Context(), address); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Lookup(%s) = %+v, %v", address, got, err)
		}
	}
	if m, err := s.Member(t.Context(), "a.smith@contoso.test"); err != nil || m.Address != "ann@contoso.test" || !slices.Equal(m.Groups, []string{"Export", "Sales"}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, address := range []string{"nobody@contoso.test", "no address", ""} {
		if _, err := s.Lookup(t.Context(), address); !errors.Is(err, ErrUnknown) {
			t.Errorf("Lookup(%q): %v, want ErrUnknown", address, err)
		}
	}
	if _, err := s.Member(t.Context(), "sales@contoso.test"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a group sends: %v", err)
	}
}

func TestCSV_ExportImportsToTheSame(t *testing.T) {
	d := put(t, Options{}, someEntries...)
	want, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, comma := range ",;\t" {
		for _, bom := range []bool{false, true} {
			var file bytes.Buffer
			if err := d.Export(&file, comma, bom); err != nil {
				t.Fatal(err)
			}
			text := file.String()
			if strings.HasPrefix(text, utf8BOM) != bom || strings.Count(text, "\n") != strings.Count(text, "\r\n") || strings.Contains(text, string(comma)+"+49") {
				t.Errorf("written as %q", text)
			}
			if res, err := d.Import(strings.NewReader(text), ImportOptions{Replace: true}); err != nil || res != (ImportResult{Same: 5}) {
				t.Errorf("into the same table: %+v, %v", res, err)
			}
			fresh := put(t, Options{}, Entry{Kind: User, Name: "gone@x.test", Aliases: []string{"sales@contoso.test"}})
			if res, err := fresh.Import(strings.NewReader(text), ImportOptions{Replace: true}); err != nil || res != (ImportResult{Added: 5, Removed: 1}) {
				t.Errorf("into another table: %+v, %v", res, err)
			}
			if got, _ := fresh.List(); !reflect.DeepEqual(got, want) {
				t.Errorf("%q became %+v", text, got)
			}
		}
	}
}

func TestCSV_Import(t *testing.T) {
	d := put(t, Options{}, someEntries...)
	// Excel's way: BOM, sep=, semicolons, columns in another order, an empty line, values on lines of their own.
	file := utf8BOM + "sep=;\r\nName;Kind;Groups;Aliases\r\n" +
		"bob@contoso.test;user;\"Sales\nIT\";a.smith@contoso.test|b@contoso.test\r\n;;;\r\nann@contoso.test;USER;'=Odd;\r\nIT;group;;it@contoso.test\r\n"
	for _, dry := range []bool{true, false} {
		if res, err := d.Import(strings.NewReader(file), ImportOptions{DryRun: dry}); err != nil || res != (ImportResult{Added: 1, Changed: 2, Same: 3}) {
			t.Fatalf("%+v, %v", res, err)
		}
		bob, err := d.Get(User, "a.smith@contoso.test")
		if moved := bob.Name == "bob@contoso.test"; moved == dry || err != nil {
			t.Errorf("dry %v, the alias's owner is %+v, %v", dry, bob, err)
		}
	}
	ann, err := d.Get(User, "ann@contoso.test")
	if err != nil || ann.Permission == nil || ann.Permission.MaxPages != 20 || ann.Display != "Ann Smith" || !slices.Equal(ann.Groups, []string{"=Odd"}) || ann.Aliases != nil {
		t.Errorf("what has no column was lost, or what has one stayed: %+v, %v", ann, err)
	}
	if res, err := d.Import(strings.NewReader("kind,name,fax\nuser,ann@contoso.test,\n"), ImportOptions{}); err != nil || res.Changed != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if ann, _ = d.Get(User, "ann@contoso.test"); ann.Permission != nil {
		t.Errorf("an empty fax cell leaves %+v", ann.Permission)
	}
}

func TestCSV_ImportMovesAndChanges(t *testing.T) {
	d := put(t, Options{}, someEntries...)
	// One alias goes to the name before, another to the name behind.
	for _, file := range []string{"kind,name,aliases\nuser,ann@contoso.test,\nuser,bob@contoso.test,a.smith@contoso.test\n",
		"kind,name,aliases\nuser,ann@contoso.test,a.smith@contoso.test\nuser,bob@contoso.test,\n"} {
		if res, err := d.Import(strings.NewReader(file), ImportOptions{}); err != nil || res.Changed != 2 {
			t.Fatal(res, err)
		}
		want := "ann@contoso.test"
		if strings.Contains(file, "bob@contoso.test,a.") {
			want = "bob@contoso.test"
		}
		if e, err := d.Get(User, "a.smith@contoso.test"); err != nil || e.Name != want {
			t.Errorf("the alias belongs to %q, %v, want %s", e.Name, err, want)
		}
	}
	if res, err := d.Import(strings.NewReader("kind,name,fax,max_pages\nuser,ann@contoso.test,yes,7\n"), ImportOptions{}); err != nil || res.Changed != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if e, _ := d.Get(User, "ann@contoso.test"); e.Permission.MaxPages != 7 || e.Permission.PagesPerDay != 100 || len(e.Permission.To) != 2 {
		t.Errorf("%+v", e.Permission)
	}
}

func TestCSV_AllFaultsWithTheirLines(t *testing.T) {
	d := put(t, Options{}, someEntries...)
	before, _ := d.List()
	head := "kind,name,aliases,fax,to,max_pages\n"
	tests := []struct {
		name, file string
		lines      []int
	}{
		{"empty", "", []int{1}},
		{"columns", "kind,nome,kind\n", []int{1, 1, 1}},
		{"UTF-16", "\xff\xfek\x00", []int{1}},
		{"Windows-1252", "kind,name,display_name\nuser,a@b.test,M\xfcller\nuser,b@b.test,J\xf6rg\n", []int{2, 3}},
		{"null", "kind,name\nuser,a\x00@b.test\n", []int{2}},
		{"all kinds of errors", head + "user,x,,,,\nuser,ok@b.test,,yes,+49*,5\nuser,y@b.test,,maybe,,\nuser,z@b.test,,yes,1-2,\nuser,w@b.test,,,555,\nuser,v@b.test,,yes,,-1\nuser,short\n", []int{2, 4, 5, 6, 7, 8}},
		{"twice", head + "user,a@b.test,,,,\nuser,A@B.test,,,,\n", []int{3}},
		{"address taken in the file", head + "user,a@b.test,x@b.test,,,\nuser,c@b.test,x@b.test,,,\n", []int{3}},
		{"address taken in the table", head + "user,new@b.test,bob@contoso.test,,,\n", []int{2}},
		{"after a row on two lines", head + "user,a@b.test,\"x@b.test\ny@b.test\",,,\nrobot,q,,,,\n", []int{4}},
		{"open quote", head + "user,a@b.test,\"x@b.test,,,\nuser,b@b.test,,,,\n", []int{2}},
		{"sep= counts as a line", "sep=,\n" + head + "robot,q,,,,\n", []int{3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.Import(strings.NewReader(tt.file), ImportOptions{Replace: strings.Contains(tt.name, "in the file")})
			var bad *ImportError
			if !errors.As(err, &bad) || !errors.Is(err, ErrEntry) {
				t.Fatalf("%v, want an *ImportError", err)
			}
			var lines []int
			for _, f := range bad.Faults {
				lines = append(lines, f.Line)
			}
			if !slices.Equal(lines, tt.lines) {
				t.Errorf("faults in lines %v, want %v: %v", lines, tt.lines, err)
			}
		})
	}
	many := "kind,name\n" + strings.Repeat("robot,x\n", 1000)
	var bad *ImportError
	if _, err := d.Import(strings.NewReader(many), ImportOptions{}); !errors.As(err, &bad) || len(bad.Faults) != maxFaults+1 {
		t.Errorf("a thousand faults: %v", err)
	}
	if _, err := d.Import(strings.NewReader(strings.Repeat("x", maxCSV+1)), ImportOptions{}); !errors.As(err, &bad) {
		t.Errorf("a file without end: %v", err)
	}
	if after, _ := d.List(); !reflect.DeepEqual(before, after) {
		t.Error("a file with faults changed something")
	}
}

func FuzzReadRows(f *testing.F) {
	f.Add([]byte("kind,name,aliases\nuser,a@b.test,\"c@b.test|d@b.test\"\n"))
	f.Add([]byte(utf8BOM + "sep=;\r\nkind;name;fax;to;hours\r\ngroup;G;yes;+49*;Mon 08:00-12:00\r\n"))
	f.Add([]byte("\xff\xfek\x00"))
	f.Add([]byte("kind\tname\n\"user\t"))
	f.Fuzz(func(t *testing.T, data []byte) {
		faults := &ImportError{}
		rows := readRows(data, faults)
		m := merge{faults: faults, old: map[string]Entry{}, now: map[string]Entry{}, lines: map[string]int{}}
		m.apply(rows, true)
		m.checkAddresses()
		for _, f := range faults.Faults {
			if f.Line < 1 || f.Line > bytes.Count(data, []byte("\n"))+2 {
				t.Errorf("line %d of %q: %v", f.Line, data, f.Err)
			}
		}
		for _, e := range m.now {
			again, err := e.canonical()
			if err != nil || !same(e, again) {
				t.Errorf("%+v is not canonical: %+v, %v", e, again, err)
			}
			for _, c := range columns {
				if cell := c.show(e); unguard(guard(cell)) != cell {
					t.Errorf("cell %q is read back as %q", cell, unguard(guard(cell)))
				}
			}
		}
	})
}

func ExampleImportError() {
	err := &ImportError{}
	err.add(3, "fax is yes, no or empty, not %q", "maybe")
	fmt.Println(err)
	// Output:
	// directory: import: faults in 1 places, nothing was imported
	// line 3: fax is yes, no or empty, not "maybe"
}
