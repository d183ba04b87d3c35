package routing

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/store"
)

func open(t *testing.T) *store.Store {
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

func TestRule_Match(t *testing.T) {
	in := Incoming{Dialed: "5550100", Subaddress: "7", Caller: "+1 212 555 0199", Line: "east"}
	tests := []struct {
		name string
		rule Rule
		want bool
	}{
		{"default", Rule{}, true},
		{"dialed", Rule{Dialed: "555-0100"}, true},
		{"dialed otherwise", Rule{Dialed: "5550101"}, false},
		{"dialed in part", Rule{Dialed: "555"}, false},
		{"dialed prefix", Rule{Dialed: "555*"}, true},
		{"subaddress", Rule{Subaddress: "7"}, true},
		{"subaddress otherwise", Rule{Subaddress: "70"}, false},
		{"caller", Rule{Caller: "+12125550199"}, true},
		{"caller without plus", Rule{Caller: "12125550199"}, true},
		{"caller prefix", Rule{Caller: "+1212*"}, true},
		{"caller prefix otherwise", Rule{Caller: "+1213*"}, false},
		{"line", Rule{Line: "east"}, true},
		{"line otherwise", Rule{Line: "west"}, false},
		{"all", Rule{Dialed: "5550100", Subaddress: "7", Caller: "1212*", Line: "east"}, true},
		{"one of all otherwise", Rule{Dialed: "5550100", Subaddress: "7", Caller: "1212*", Line: "west"}, false},
	}
	for _, tt := range tests {
		if got := tt.rule.Match(in); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if got := tt.rule.Match(Incoming{}); got != (tt.name == "default") {
			t.Errorf("%s matches a call of which nothing is known: %v", tt.name, got)
		}
	}
}

func TestRecipients_FirstByPriorityThenTheMorePrecise(t *testing.T) {
	s := open(t)
	add := func(to string, r Rule) {
		t.Helper()
		r.To = []string{to + "@contoso.test"}
		if err := s.Update(func(tx *store.Tx) error { _, err := AddRoute(tx, r); return err }); err != nil {
			t.Fatal(err)
		}
	}
	add("rest", Rule{Priority: 9})
	add("sales", Rule{Dialed: "55501*"})
	add("ann", Rule{Dialed: "5550100"})
	add("ann-late", Rule{Dialed: "5550100"})
	add("longer", Rule{Dialed: "555019*"})
	add("lawyer", Rule{Priority: -1, Caller: "+1212*"})
	add("precise", Rule{Dialed: "5550100", Line: "east"})
	for _, tt := range []struct {
		want string
		in   Incoming
	}{
		{"ann", Incoming{Dialed: "5550100"}},
		{"precise", Incoming{Dialed: "5550100", Line: "east"}},
		{"sales", Incoming{Dialed: "5550142"}},
		{"longer", Incoming{Dialed: "5550199"}},
		{"lawyer", Incoming{Dialed: "5550100", Caller: "12125550000"}},
		{"rest", Incoming{}},
	} {
		err := s.View(func(tx *store.Tx) error {
			to, err := Recipients(tx, tt.in, nil)
			if !slices.Equal(to, []string{tt.want + "@contoso.test"}) {
				t.Errorf("%+v goes to %v, want %s", tt.in, to, tt.want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRoutes_AddRemove(t *testing.T) {
	s := open(t)
	to := []string{"a@x.test"}
	bad := []Rule{{}, {To: []string{"nobody"}}, {To: []string{"a@x.test\r\nBcc: b@x.test"}}, {To: []string{"@x.test"}}, {To: to, Dialed: "*"},
		{To: to, Dialed: "55*5"}, {To: to, Caller: "sales"}, {To: make([]string, 101)}}
	var r Rule
	err := s.Update(func(tx *store.Tx) (err error) {
		for _, b := range bad {
			if _, err := AddRoute(tx, b); !errors.Is(err, ErrRule) {
				t.Errorf("%+v: %v, want ErrRule", b, err)
			}
		}
		r, err = AddRoute(tx, Rule{Dialed: "5550100", To: to})
		return err
	})
	if err != nil || r.ID == "" {
		t.Fatal(r, err)
	}
	s.View(func(tx *store.Tx) error {
		if got, err := Recipients(tx, Incoming{Dialed: "1"}, []string{"rest@x.test"}); err != nil || got[0] != "rest@x.test" {
			t.Errorf("without a rule: %v, %v", got, err)
		}
		if table, err := Routes(tx); err != nil || len(table) != 1 || table[0].Default() {
			t.Errorf("%+v, %v", table, err)
		}
		return nil
	})
	if err := s.Update(func(tx *store.Tx) error { return RemoveRoute(tx, r.ID) }); err != nil {
		t.Error(err)
	}
	if err := s.Update(func(tx *store.Tx) error { return RemoveRoute(tx, r.ID) }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestDialTable_Test(t *testing.T) {
	table := DialTable{
		{ID: "1", Prefix: "1"}, {ID: "2", Prefix: "1900", Deny: true, Note: "premium rate."}, {ID: "3", Prefix: "+1"},
		{ID: "4", Prefix: "555"}, {ID: "5", Prefix: "555", Deny: true}, {ID: "6", Prefix: "5550100"},
	}
	for number, rule := range map[string]string{
		"12125550100": "1", "1 (900) 555-0100": "2", "1,900": "2", "+12125550100": "3", "+1900": "2", "+5550199": "5", "5550199": "5", "5550100": "6",
		"+49301234": "", "2": "", "": "", "fax": "",
	} {
		v := table.Test(number)
		got := ""
		if v.Rule != nil {
			got = v.Rule.ID
		}
		permitted := rule == "1" || rule == "3" || rule == "6"
		if got != rule || v.Permitted != permitted || !strings.HasSuffix(v.Why, ".") || strings.HasSuffix(v.Why, "..") {
			t.Errorf("Test(%q) = %+v by rule %q, want rule %q", number, v, got, rule)
		}
	}
	if v := table.Test("1900555"); !strings.Contains(v.Why, "premium rate") || !strings.Contains(v.Why, "denies") {
		t.Errorf("why: %q", v.Why)
	}
	if v := table.Test("1900555"); len(v.Fits) != 2 || v.Fits[0].ID != "2" || v.Fits[1].ID != "1" {
		t.Errorf("all that fit: %+v", v.Fits)
	}
	if v := (DialTable{{ID: "all"}}).Test("+49301234"); !v.Permitted {
		t.Errorf("the empty prefix: %+v", v)
	}
	if v := (DialTable{}).Test("5550100"); v.Permitted {
		t.Error("no rules permit")
	}
}

func TestDialRules_AddRemove(t *testing.T) {
	s := open(t)
	err := s.Update(func(tx *store.Tx) error {
		for _, p := range []string{"1-800", "x", "1+", "*"} {
			if _, err := AddDialRule(tx, DialRule{Prefix: p}); !errors.Is(err, ErrRule) {
				t.Errorf("prefix %q: %v, want ErrRule", p, err)
			}
		}
		for _, p := range []string{"55", "", "+1"} {
			if _, err := AddDialRule(tx, DialRule{Prefix: p}); err != nil {
				return err
			}
			if _, err := AddDialRule(tx, DialRule{Prefix: p, Note: "again"}); !errors.Is(err, ErrRule) {
				t.Errorf("prefix %q twice: %v, want ErrRule", p, err)
			}
		}
		for _, note := range []string{"two\nlines", "\xff", strings.Repeat("n", 201)} {
			if _, err := AddDialRule(tx, DialRule{Prefix: "7", Note: note}); !errors.Is(err, ErrRule) {
				t.Errorf("note %q: %v, want ErrRule", note, err)
			}
		}
		list, err := DialRules(tx)
		if err != nil || len(list) != 3 || list[0].Prefix != "" || list[2].Prefix != "55" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := RemoveDialRule(tx, list[0].ID); err != nil {
			return err
		}
		if err := RemoveDialRule(tx, list[0].ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("removed twice: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestParsePrefix(t *testing.T) {
	for pattern, want := range map[string]string{"*": "", "555*": "555", "555": "555", "+1": "+1", "+1*": "+1", "+*": "+"} {
		got, err := ParsePrefix(pattern)
		if err != nil || got != want {
			t.Errorf("ParsePrefix(%q) = %q, %v, want %q", pattern, got, err, want)
		}
		if again, err := ParsePrefix(DialRule{Prefix: got}.Pattern()); err != nil || again != got {
			t.Errorf("the pattern of %q: %q, %v", pattern, again, err)
		}
	}
	for _, pattern := range []string{"", "1-800", "1*2", "**", "1+", "++1", "x", "٥", " 1", strings.Repeat("1", 41)} {
		if got, err := ParsePrefix(pattern); !errors.Is(err, ErrRule) {
			t.Errorf("ParsePrefix(%q) = %q, %v, want ErrRule", pattern, got, err)
		}
	}
}

func TestTestDial_StoredRulesOnTopOfTheConfiguration(t *testing.T) {
	s := open(t)
	config, err := NewDialTable("dial", []string{"*"}, []string{"1900"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewDialTable("dial", []string{"*"}, []string{"1-900"}); !errors.Is(err, ErrRule) {
		t.Errorf("a bad pattern: %v", err)
	}
	test := func(number string) (v Verdict) {
		t.Helper()
		if err := s.View(func(tx *store.Tx) (err error) { v, err = TestDial(tx, config, number); return err }); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := test("1900555"); v.Permitted || v.Rule.ID != "dial.deny" {
		t.Errorf("the configuration alone: %+v", v)
	}
	var added DialRule
	err = s.Update(func(tx *store.Tx) (err error) {
		if added, err = AddDialRule(tx, DialRule{Prefix: "1900555", Note: "our bank"}); err != nil {
			return err
		}
		_, err = AddDialRule(tx, DialRule{Prefix: "", Deny: true})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if v := test("1900555"); !v.Permitted || v.Rule.ID != added.ID || v.Why != "Rule "+added.ID+" permits numbers that begin with 1900555: our bank." {
		t.Errorf("a longer prefix in the database: %+v", v)
	}
	if v := test("5550100"); v.Permitted || !v.Rule.Deny || len(v.Fits) != 2 {
		t.Errorf("a denial as long as the configuration's permit: %+v", v)
	}
}
