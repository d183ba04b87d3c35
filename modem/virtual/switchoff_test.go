package virtual_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/modem/virtual"
)

// switchOff is one work-around of the drivers, and a call with a modem that has the habit: it goes well, and without the work-around it
// does not, or takes longer.
type switchOff struct {
	name string
	// fact is the line of FACTS.md, "Fax modems: what goes wrong in the field", that has the habit; from is who else knows of it.
	fact, from string
	habits     []string // fields of virtual.ModemOptions that the call shows
	// personalities that it is tried with; nil: all that have the first of habits.
	personalities []string
	change        func(*virtual.ModemOptions) // what no personality has
	class         string                      // of the modem with the habit

	// The work-around: a key of profiles.toml, with what switches it on where no profile does, and off.
	quirk   string
	on, off any
	// Or one that the driver has for every modem: the mistake that takes it out. make mutate makes it.
	bug *bug

	line   phone.Config
	faults virtual.Faults
	far    virtual.ModemOptions // the other modem
	in     string               // its class; "": 1
	ecm    bool
	pages  func() []byte // page data of such a call; nil: any
	try    func(*bench) bool
	most   time.Duration // that the call may take; 0: any
}

// Mistakes are made in copies of these files.
const (
	class1Frames = "../class1/frames.go"
	class1Page   = "../class1/page.go"
	class2Send   = "../class2/send.go"
	class2Modem  = "../class2/modem.go"
	modemOpen    = "../modem.go"
)

// switchOffs is the table of habits.
var switchOffs = []switchOff{
	// What all classes share.
	{name: "early CONNECT",
		fact:   `+FTM says CONNECT before training ends: wait 400 ms before TCF (Lucent, Intel, iaxmodem)`,
		habits: []string{"EarlyConnect"}, class: "1", quirk: "class1.tcf_delay", off: "0s"},
	{name: "deaf after a result",
		fact:   `Si2417/2435: 100 ms after each state change`,
		habits: []string{"DeafAfterResult"}, class: "1", quirk: "phone.command_gap", off: "0s"},
	{name: "Class 1 forces software flow control",
		fact:   `USR: entering Class 1 forces XON/XOFF (send AT&H1 again)`,
		habits: []string{"ForcesXonXoff", "RTSCommand"}, class: "1", quirk: "phone.after_class", off: []any{}},
	{name: "software flow control is stored",
		fact:   `Lucent breaks XON/XOFF: RTS/CTS by default`,
		habits: []string{"StartsXonXoff", "BreaksXonXoff"}, class: "1", quirk: "phone.flow_control", off: []any{}},
	{name: "hardware flow control by a command of its own",
		from:   `HylaFAX's prototypes of MultiTech and ZyXEL`,
		habits: []string{"RTSCommand"}, personalities: []string{"multitech-early", "zyxel"}, class: "2",
		change: func(o *virtual.ModemOptions) { o.StartsXonXoff = true }, quirk: "phone.flow_control", off: []any{"+IFC=2,2", "&K3"}},
	{name: "caller ID by a command of its own",
		from:   `issue 6: +VCID, #CID`,
		habits: []string{"CallerIDCommand"}, personalities: plain, class: "1",
		change: func(o *virtual.ModemOptions) { o.CallerID, o.CallerIDCommand = true, "#CID" },
		quirk:  "phone.caller_id", off: []any{"+VCID=1"}, try: tellsCaller},
	{name: "distinctive rings by a command",
		from:   `V.253 +VDR, Rockwell's -SDR`,
		habits: []string{"PatternCommand"}, personalities: plain, class: "1",
		change: func(o *virtual.ModemOptions) {
			o.Patterns, o.PatternCommand = map[string][]string{callerNumber: {"RING B"}}, "-SDR"
		},
		line: phone.Config{Patterns: true}, quirk: "phone.distinctive_ring", off: []any{"+VDR=1,0"}, try: tellsPattern},
	{name: "telephone on its line",
		from:   `issue 6: never grab a line in use; Silicon Labs %V2`,
		habits: []string{"LineStatus"}, class: "1", line: phone.Config{Shared: true}, quirk: "phone.line_status", off: []any{}, try: seesTelephone},
	{name: "behind a PBX",
		fact:   `Behind a PBX: debounce registers +FS1 +FRY=2 S91=8 and the like, per modem`,
		habits: []string{"PBXFilter"}, personalities: plain, class: "1", change: func(o *virtual.ModemOptions) { o.PBXFilter = true },
		quirk: "phone.init", on: []any{"S91=8"}, off: []any{}},
	{name: "identity by Class 2 only",
		from:   `Rockwell's and MultiTech's manuals: +FMFR?, +FMDL?, +FREV?`,
		habits: []string{"OldIdentity"}, class: "2", change: func(o *virtual.ModemOptions) { o.Info = map[int]string{0: "OK", 3: "OK", 6: "OK"} },
		bug: &bug{file: "../identity.go", right: `a.one(ctx, "AT+FMFR?"), a.one(ctx, "AT+FMDL?"), a.one(ctx, "AT+FREV?")`, wrong: `"", "", ""`}},
	{name: "Class 1.0 is not named",
		fact:   `Si2417/2435: leaves 1.0 out of +FCLASS=?`,
		habits: []string{"Hides"}, personalities: []string{"si2435"}, quirk: "hidden", class: "1.0",
		change: func(o *virtual.ModemOptions) { o.Classes = []string{"0", "1.0"} }},
	{name: "Class 1 is not named",
		from:   `ZyXEL's U-336S manual: S57.4`,
		habits: []string{"Hides"}, personalities: []string{"zyxel"}, quirk: "hidden", class: "1"},
	{name: "a class is named and refused",
		fact:   `Conexant CX93010/CX93001 USB sticks: some have no Class 2`,
		habits: []string{"NamesButRefuses"}, personalities: plain, class: "2",
		change: func(o *virtual.ModemOptions) {
			o.Classes, o.NamesButRefuses, o.ReversedReceive = []string{"0", "2"}, []string{"1"}, true
		},
		bug: &bug{file: modemOpen, right: "case !errors.Is(err, ErrNoFaxClass):", wrong: "case err != nil:"}},

	// Class 1.
	{name: "first octet spoilt",
		fact:   `send one 0xFF before TCF and before ECM data`,
		habits: []string{"SpoiltFirst"}, class: "1", quirk: "class1.lead_ff", off: false,
		far: virtual.ModemOptions{Classes: []string{"0", "2"}, Class2Habits: virtual.Class2Habits{StrictTCF: true, ReversedReceive: true}}, in: "2"},
	{name: "+FRS resets it",
		fact:   `USR: resets on +FRS (use host delays)`,
		habits: []string{"ResetOnFRS"}, class: "1", quirk: "class1.host_silence", off: false},
	{name: "ERROR for a wrong carrier",
		fact:   `Old ZyXEL says ERROR for a wrong carrier`,
		habits: []string{"WrongCarrierIsError"}, class: "1", quirk: "class1.error_is_wrong_carrier", off: false, faults: spoiltFrames},
	{name: "+FAR=1 that says nothing",
		fact:   `+FAR=1 lets Conexant and iaxmodem switch by themselves`,
		habits: []string{"SilentFAR"}, personalities: plain, class: "1", change: func(o *virtual.ModemOptions) { o.SilentFAR = true },
		quirk: "class1.no_far", on: true, off: false, faults: spoiltFrames},
	{name: "DLE not doubled",
		fact:   `some modems do not double DLE`,
		habits: []string{"BareDLE"}, personalities: plain, class: "1", change: func(o *virtual.ModemOptions) { o.BareDLE = true },
		quirk: "class1.bare_dle", on: true, off: false, pages: looseDLE},
	{name: "no FCS",
		from:   `HylaFAX believes the result code unless told to check`,
		habits: []string{"NoFCS"}, personalities: plain, class: "1", change: func(o *virtual.ModemOptions) { o.NoFCS = true },
		quirk: "class1.no_fcs", on: true, off: false},
	{name: "+FRH ends after 30 s",
		fact:   `Si2417/2435: +FRH ends by itself after 30 s with OK`,
		habits: []string{"ListenLimit"}, class: "1", try: hearsLate,
		bug: &bug{file: class1Frames, right: "gap := repeatGap\n\t\tswitch r.Code {", wrong: "gap := repeatGap\n\t\tswitch r.Code {\n\t\tcase at.OK:\n\t\t\treturn t30.ErrTimeout"}},
	{name: "false starts",
		fact:   `"CONNECT, then NO CARRIER" is a false start: repeat (Lucent/Agere, MultiTech)`,
		habits: []string{"FalseStarts"}, class: "1", change: func(o *virtual.ModemOptions) { o.FalseStarts = 2 },
		bug: &bug{file: class1Frames, right: "case endsInResult(raw):", wrong: "case false && endsInResult(raw):"}, most: 110 * time.Second},
	{name: "no +FAR",
		fact:   `+FRM: on +FCERROR retry twice, then try +FRH=3`,
		habits: []string{"RefuseFAR"}, class: "1", faults: spoiltFrames, most: 5 * time.Minute,
		bug: &bug{file: class1Page, right: "if wrong++; wrong >= wrongTries {", wrong: "if wrong++; wrong >= 1<<20 {"}},

	// Class 2, 2.0 and 2.1.
	{name: "DC2 starts a page",
		fact:   `receive trigger DC1 (Rockwell, some MultiTech: DC2)`,
		habits: []string{"Trigger"}, class: "2", quirk: "class2.trigger", off: "dc1"},
	{name: "DC2 starts a page of Class 2.0",
		fact:          `receive trigger of 2.0 and 2.1: DC2`,
		personalities: []string{"class2.0", "multitech"}, class: "2.0", quirk: "class2.trigger", off: "dc1"},
	{name: "received bits reversed",
		fact:   `Received bits are reversed on Rockwell but not on early MultiTech`,
		habits: []string{"ReversedReceive"}, class: "2", quirk: "class2.received_bits", off: "direct"},
	{name: "received bits direct",
		fact:          `Received bits are reversed on Rockwell but not on early MultiTech`,
		personalities: []string{"multitech-early"}, class: "2", quirk: "class2.received_bits", off: "reversed"},
	{name: "no XON comes",
		fact:   `XON before sending: wait for it`,
		habits: []string{"NoXON"}, personalities: []string{"class2"}, class: "2", change: func(o *virtual.ModemOptions) { o.NoXON = true },
		quirk: "class2.no_xon", on: true, off: false},
	{name: "hexadecimal parameters",
		fact:   `some give capabilities in hex`,
		habits: []string{"Hex"}, personalities: []string{"class2"}, class: "2", change: func(o *virtual.ModemOptions) { o.Hex = true },
		quirk: "class2.hex", on: true, off: false},
	{name: "MMR is corrupt",
		fact:   `some 2.0 firmware corrupts MMR`,
		habits: []string{"CorruptMMR"}, personalities: []string{"class2.0"}, class: "2.0", change: func(o *virtual.ModemOptions) { o.CorruptMMR = true },
		quirk: "class2.no_mmr", on: true, off: false, ecm: true},
	{name: "ECM is never confirmed",
		from:   `HylaFAX's notes on Supra`,
		habits: []string{"DeadECM"}, personalities: []string{"class2"}, class: "2",
		change: func(o *virtual.ModemOptions) { o.ECM, o.DeadECM = true, true }, quirk: "class2.no_ecm", on: true, off: false, ecm: true},
	{name: "DLE not doubled in Class 2.0",
		fact:   `some modems do not double DLE`,
		habits: []string{"BareDLE"}, personalities: []string{"class2.0"}, class: "2.0",
		change: func(o *virtual.ModemOptions) { o.BareDLE = true }, quirk: "class2.bare_dle", on: true, off: false, pages: looseDLE},
	{name: "RTC is left out",
		fact:   `USR 2.0 leaves RTC out`,
		habits: []string{"NoRTC"}, class: "2.0", quirk: "class2.no_rtc", off: true, try: sendsRTC},
	{name: "copy quality lies",
		fact:          `+FCQ may lie`,
		personalities: []string{"class2"}, class: "2", quirk: "class2.trust_quality", off: true, try: judgesPages},
	{name: "+FPS is not known",
		fact:   `page status: +FPS`,
		habits: []string{"NoPPR"}, personalities: []string{"class2.0"}, class: "2.0", change: func(o *virtual.ModemOptions) { o.NoPPR = true },
		bug: &bug{file: class2Send, right: "case errors.Is(err, at.ErrNoReply):\n\tcase err != nil:", wrong: "case errors.Is(err, at.ErrNoReply):\n\tcase r.Code == at.Error:\n\t\treturn at.ErrCommand\n\tcase err != nil:"}},
	{name: "+FAA only inside the class",
		fact:   `+FAA only inside Class 2`,
		habits: []string{"AdaptInClass"}, personalities: []string{"class2"}, class: "2",
		change: func(o *virtual.ModemOptions) { o.AdaptInClass = true }, try: answersAdaptively,
		bug: &bug{file: class2Modem, right: "_, err := m.phone.FirstOf(ctx, m.d.adaptive[how]...)",
			wrong: "if err := m.phone.Try(ctx, \"+FCLASS=0\"); err != nil {\n\t\treturn err\n\t}\n\t_, err := m.phone.FirstOf(ctx, m.d.adaptive[how]...)"}},
}

// plain is a modem without a habit.
var plain = []string{"generic"}

// spoiltFrames is a line on which now and then a command comes again where a carrier was expected.
var spoiltFrames = virtual.Faults{ControlBER: 3e-3, Seed: 1}

// exempt are habits that need no work-around, and why.
var exempt = map[string]string{
	"OKAtCarrierEnd": "an OK at the end of the carrier is the better one: TestSilence_FlagTail of class1 has the other",
	"StrictTCF":      "a far end's, of the call with a spoilt first octet",
	"Report":         "forms of caller ID: TestCallInfo of phone", "ReportFirst": "TestTelephone of the package", "Patterns": "what PatternCommand turns on",
	"Countries": "a setting", "DTMF": "a trunk's", "Blacklist": "a result code, TestDial_Results of phone", "RedialPause": "the same", "Adaptive": "an ability", "ChecksCopy": "the same, TestQuality_WhoJudges", "HearsVoice": "the same, TestSuite_Outcomes", "TellsRinging": "the same",
}

// habitFields are the fields of virtual.ModemOptions that are habits.
func habitFields() (names []string) {
	for _, t := range []reflect.Type{
		reflect.TypeFor[virtual.SerialHabits](), reflect.TypeFor[virtual.Class1Habits](), reflect.TypeFor[virtual.Class2Habits](), reflect.TypeFor[virtual.LineHabits](),
	} {
		for f := range t.Fields() {
			names = append(names, f.Name)
		}
	}
	return append(names, "ListenLimit", "FalseStarts", "RefuseFAR", "OKAtCarrierEnd", "OldIdentity")
}

// has tells whether a modem has a habit.
func has(o virtual.ModemOptions, habit string) bool {
	return !reflect.ValueOf(o).FieldByName(habit).IsZero()
}

// with are the personalities that s is tried with.
func (s switchOff) with(t *testing.T) []string {
	t.Helper()
	if s.personalities != nil {
		return s.personalities
	}
	var names []string
	for _, name := range virtual.Personalities() {
		o, err := virtual.Personality(name)
		if err != nil {
			t.Fatal(err)
		}
		if has(o, s.habits[0]) && (s.class == "" || o.Classes == nil || slices.Contains(o.Classes, s.class)) {
			names = append(names, name)
		}
	}
	return names
}

// TestSwitchOff: each work-around makes a call go well that is lost without it, or takes longer.
func TestSwitchOff(t *testing.T) {
	for _, s := range switchOffs {
		for _, name := range s.with(t) {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ok, took := s.run(t, name, false)
					if !ok || s.most > 0 && took > s.most {
						t.Fatalf("with the work-around: %v after %v", ok, took)
					}
					if s.bug != nil {
						return // make mutate
					}
					if off, longer := s.run(t, name, true); off && longer <= took {
						t.Errorf("without it nothing is worse: the habit or the work-around does nothing (%v, %v)", took, longer)
					}
				})
			})
		}
	}
}

// TestSwitchOff_Complete: every quirk of the drivers has its call, and every habit of every personality; the mistakes can be made.
func TestSwitchOff_Complete(t *testing.T) {
	quirks, habits := map[string]bool{}, map[string]bool{}
	for _, s := range switchOffs {
		quirks[s.quirk] = true
		names := s.with(t)
		if len(names) == 0 || (s.quirk == "") == (s.bug == nil) || (s.fact == "") == (s.from == "") {
			t.Errorf("%s: personalities %v, quirk %q, mistake %v, fact %q%q", s.name, names, s.quirk, s.bug, s.fact, s.from)
		}
		for _, h := range s.habits {
			for _, name := range names {
				habits[h], habits[name+" "+h] = true, true
			}
		}
		if s.bug != nil {
			s.bug.apply(t)
		}
	}
	for _, q := range append(modem.QuirkNames(), "hidden") {
		if !quirks[q] {
			t.Errorf("quirk %s: no call shows what it is good for", q)
		}
	}
	for _, h := range habitFields() {
		if !habits[h] && exempt[h] == "" {
			t.Errorf("habit %s: no call needs a work-around for it", h)
		}
		for _, name := range virtual.Personalities() {
			if o, _ := virtual.Personality(name); has(o, h) && !habits[name+" "+h] && exempt[h] == "" {
				t.Errorf("%s has the habit %s: no call with it needs the work-around", name, h)
			}
		}
	}
}

// run makes the call on an exchange of its own, without the work-around if off.
func (s switchOff) run(t *testing.T, name string, off bool) (ok bool, took time.Duration) {
	t.Helper()
	b, err := s.newBench(t, name, off)
	if err != nil {
		t.Logf("off %v: %v", off, err)
		return false, 0
	}
	defer b.close()
	start := time.Now()
	try := s.try
	if try == nil {
		try = bothWays
	}
	ok = try(b)
	took = time.Since(start)
	t.Logf("off %v: %v after %v; %s", off, ok, took, strings.Join(b.log, "; "))
	return ok, took
}

// options are how the driver opens the modem with the habit.
func (s switchOff) options(name string, off bool) modem.Options {
	o := modem.Options{Class: s.class, Line: s.line}
	if name == "iaxmodem" { // its identity is spandsp's
		o.Profile = name
	}
	if s.quirk == "hidden" {
		if o.Class = ""; off {
			o.Profile = "generic"
		}
		return o
	}
	if s.bug != nil && s.class == "2" && s.habits[0] == "NamesButRefuses" {
		o.Class = ""
	}
	v := s.on
	if off {
		v = s.off
	}
	if table, key, is := strings.Cut(s.quirk, "."); is && v != nil {
		o.Quirks = map[string]any{table: map[string]any{key: v}}
	}
	return o
}
