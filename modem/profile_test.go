package modem

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What modems say of themselves, as their users and manuals report it.
func TestProfileFor(t *testing.T) {
	for _, c := range []struct {
		id   Identity
		path string
		want string
	}{
		{Identity{Manufacturer: "CONEXANT", Info: []string{"56000", "CX93001-EIS_V0.2002-V92"}, USB: "0572:1329"}, "", "conexant"},
		{Identity{Info: []string{"56000", "CX93010-2x"}}, "", "conexant"},
		{Identity{Info: []string{"56000"}, USB: "0572:1340"}, "", "conexant"}, // it says too little: its plug tells
		{Identity{USB: "0572:1340"}, "/dev/ttyACM3", "conexant"},
		{Identity{Manufacturer: "ROCKWELL", Model: "AC/V34"}, "", "rockwell"},
		{Identity{Info: []string{"LT V.92 Data+Fax Modem Version 8.22"}}, "", "lucent"},
		{Identity{Manufacturer: "Agere Systems", Model: "Agere"}, "", "lucent"},
		{Identity{Manufacturer: "Agere Systems", Model: "Mainpine Venus V.92"}, "", "mainpine"},
		{Identity{Manufacturer: "Multi-Tech Systems", Model: "MT5634ZBA", Info: []string{"LT V.90 1.0 MT5634ZBA-USB"}}, "", "multitech-5634"},
		{Identity{Manufacturer: "Multi-Tech Systems", Model: "MT9234ZBA"}, "", "multitech-9234"},
		{Identity{Info: []string{"5601", "U.S. Robotics 56K FAX USB V1.2.23"}, USB: "0baf:0303"}, "", "usr-5637"},
		{Identity{Info: []string{"5607", "USRobotics Courier V.Everything"}}, "", "usr-courier"},
		{Identity{Info: []string{"5601", "garbled"}}, "", "usr-courier"},
		{Identity{Info: []string{"F", "18F", "2435"}}, "", "silabs"},
		{Identity{Info: []string{"D", "18F", "2417"}}, "", "silabs"},
		{Identity{Info: []string{"24350"}}, "", "generic"}, // a number that only has it in it
		{Identity{Info: []string{"1496"}, Manufacturer: "ZyXEL"}, "", "zyxel"},
		{Identity{Info: []string{"Zoom V.90 USB"}}, "", "zoom-lucent"},
		{Identity{Info: []string{"56000"}, Manufacturer: "Zoom Telephonics"}, "", "zoom"},
		{Identity{USB: "0803:3095"}, "", "zoom"},
		{Identity{Info: []string{"T38FAX"}}, "", "t38modem"},
		{Identity{Model: "spandsp", Manufacturer: "www.soft-switch.org"}, "/dev/pts/4", "spandsp"},
		{Identity{Model: "spandsp", Manufacturer: "www.soft-switch.org"}, "/dev/ttyIAX0", "iaxmodem"},
		{Identity{Manufacturer: "Nobody", Model: "Nothing"}, "", "generic"},
		{Identity{}, "", "generic"},
	} {
		p, err := profileFor(c.id, c.path, "auto")
		if err != nil || p.Name != c.want {
			t.Errorf("%+v at %q: %s, want %s (%v)", c.id, c.path, p.Name, c.want, err)
		}
	}
	if p, err := profileFor(Identity{Model: "spandsp"}, "", "lucent"); err != nil || p.Name != "lucent" {
		t.Errorf("chosen by hand: %s, %v", p.Name, err)
	}
	if _, err := profileFor(Identity{}, "", "nonesuch"); !errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), "conexant") {
		t.Error(err)
	}
}

// The table's own words: every quirk is explained at its head, and nothing else is.
func TestProfiles_HeadExplainsEveryQuirk(t *testing.T) {
	head, _, _ := strings.Cut(string(profilesFile), "[[profile]]\nname")
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^#   ([a-z0-9]+\.[a-z_]+) +\S`).FindAllStringSubmatch(head, -1) {
		told = append(told, m[1])
	}
	names := QuirkNames()
	slices.Sort(told)
	slices.Sort(names)
	if !slices.Equal(told, names) {
		t.Errorf("the head of profiles.toml explains\n%v\nthe quirks are\n%v", told, names)
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".") {
			t.Errorf("a quirk of %s has no tag", n)
		}
	}
}

func TestParseProfiles_Strict(t *testing.T) {
	for text, says := range map[string]string{
		"":                                 "there is none",
		"[[profile]]\nname = \"a\"\n":      "known by",
		"[[profile]]\ntitle = \"a\"\n":     "no name",
		"[[profile]]\nname = \"a\"\nx = 1": "missing",
		`[[profile]]
name = "a"
title = "A"
identity = ["a"]
[profile.class1]
tcf_dalay = "1s"`: `"class1.tcf_dalay" is not known: use bare_dle`,
		`[[profile]]
name = "a"
title = "A"
identity = ["a"]
prefer = ["3"]`: `class "3"`,
		`[[profile]]
name = "a"
title = "A"
identity = ["a"]
[[profile]]
name = "a"
title = "A"
identity = ["a"]`: "no name of its own",
	} {
		if _, err := parseProfiles([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestQuirks_Set(t *testing.T) {
	var q Quirks
	q.Phone.Init, q.Class1.LeadFF = []string{"kept"}, true
	err := q.Set(map[string]any{
		"phone":  map[string]any{"after_class": []any{"&H1", "S91=8"}, "caller_id": []any{}, "command_gap": "100ms"},
		"class1": map[string]any{"tcf_delay": "0.4s", "no_far": true},
	})
	if err != nil || q.Class1.TCFDelay != 400*time.Millisecond || !q.Class1.NoFAR || !q.Class1.LeadFF || len(q.Phone.Init) != 1 ||
		!slices.Equal(q.Phone.AfterClass, []string{"&H1", "S91=8"}) || q.Phone.CallerID == nil || q.Phone.CommandGap != 100*time.Millisecond {
		t.Errorf("%+v %v", q, err)
	}
	for _, c := range []struct {
		group, key string
		value      any
		says       string
	}{
		{"class1", "no_far", "yes", "true or false"},
		{"class1", "no_far", int64(1), "true or false"},
		{"class1", "tcf_delay", int64(400), "100ms"},
		{"class1", "tcf_delay", "-1s", "100ms"},
		{"class1", "tcf_delay", "1h", "at most 10s"},
		{"class1", "colour", true, "not known: use bare_dle"},
		{"class1", "", true, "not known"},
		{"phone", "init", "S91=8", "a list"},
		{"phone", "init", []any{"S91=8", int64(1)}, "a list"},
		{"phone", "init", []any{"S91=8\rATD911"}, "a list"},
		{"phone", "init", []any{strings.Repeat("x", 300)}, "a list"},
		{"phone", "init", make([]any, 17), "at most 16"},
		{"class2", "trigger", "dc3", "dc1 or dc2"},
		{"class2", "trigger", true, "dc1 or dc2"},
		{"class3", "init", true, "not known"},
	} {
		before := q
		if err := q.Set(map[string]any{c.group: map[string]any{c.key: c.value}}); !errors.Is(err, ErrQuirk) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s.%s = %v: %v, want %q", c.group, c.key, c.value, err, c.says)
		}
		if !reflect.DeepEqual(q, before) {
			t.Errorf("%s.%s = %v was set", c.group, c.key, c.value)
		}
	}
	if err := q.Set(map[string]any{"class1": true}); !errors.Is(err, ErrQuirk) {
		t.Error(err)
	}
}

func TestChoose(t *testing.T) {
	plain := Profile{}
	for _, c := range []struct {
		name    string
		classes string
		p       Profile
		want    string // the user's
		order   string
		says    string // the first one's reason
	}{
		{"our own T.30 first", "0 1 2 2.0", plain, "", "1 2.0 2", "T.30 itself"},
		{"1.0 before a modem's T.30", "0 1.0 2.1", plain, "auto", "1.0 2.1", "as in Class 1"},
		{"only Class 2", "0 2", plain, "", "2", "the modem does T.30"},
		{"a data modem", "0 8", plain, "", "", ""},
		{"tells nothing", "", plain, "", "1 1.0", "does not say which"},
		{"as configured", "0 1 2.0", plain, "2.0", "2.0", "as configured"},
		{"as configured, though it is not named", "0 1", plain, "2", "2", "as configured"},
		{"a hidden class", "0 8", Profile{Hidden: []string{"1.0"}}, "", "1.0", "does not say so"},
		{"a profile's order", "0 1 2.0", Profile{Prefer: []string{"2.0", "1"}, Why: "its Class 1 is broken"}, "", "2.0 1", "Class 1 is broken"},
	} {
		var order []string
		list := choose(Identity{Classes: strings.Fields(c.classes)}, c.p, c.want)
		for _, x := range list {
			order = append(order, x.class)
		}
		if got := strings.Join(order, " "); got != c.order {
			t.Errorf("%s: %q, want %q", c.name, got, c.order)
			continue
		}
		if len(list) > 0 && !strings.Contains(list[0].why, c.says) {
			t.Errorf("%s: %q does not say %q", c.name, list[0].why, c.says)
		}
	}
	usr, err := profileFor(Identity{Info: []string{"5601"}}, "", "")
	must(t, err)
	if list := choose(Identity{Classes: []string{"0", "1", "2.0"}}, usr, ""); len(list) != 2 || !strings.Contains(list[0].why, "better than their Class 2.0") || strings.Contains(list[1].why, "better than") {
		t.Errorf("%+v", list)
	}
	if list := choose(Identity{Model: "X", Info: []string{"14400"}}, plain, ""); len(list) != 5 {
		t.Errorf("tells who it is, but no classes: %+v", list)
	}
	if why := (choice{"2", "Class 2: it does."}).butRefused([]string{"1", "1.0"}); why != "Class 2: it does. It refused Class 1 and Class 1.0, which come first." {
		t.Error(why)
	}
}
