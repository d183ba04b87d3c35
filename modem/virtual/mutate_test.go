//go:build mutate

package virtual_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var bugs = []bug{
	{"driver doubles no DLE", "../at/dle.go", "if c == dle {\n\t\t\tdst = append(dst, dle)", "if c == dle && false {\n\t\t\tdst = append(dst, dle)", false},
	{"driver drops a doubled DLE", "../at/dle.go", "case dle:\n\t\t\tput(dle)", "case dle:", false},
	{"driver takes DLE ETX for data", "../at/dle.go", "case etx:\n\t\t\treturn nd, ns, End", "case etx:\n\t\t\tput(etx)", false},
	{"driver knows no CONNECT", "../at/line.go", `"CONNECT": Connect,`, ``, false},
	{"driver takes NO CARRIER for OK", "../at/line.go", `"NO CARRIER": NoCarrier`, `"NO CARRIER": OK`, false},
	{"driver ignores +FCERROR", "../at/line.go", `"+FCERROR": FCError, `, ``, true},
	{"driver's FCS polynomial", "../../t30/hdlc/hdlc.go", "r>>1 ^ 0x8408", "r>>1 ^ 0x8404", false},
	{"driver's FCS high octet first", "../../t30/hdlc/encoder.go", "dst = e.stuffed(dst, byte(f))\n\tdst = e.stuffed(dst, byte(f>>8))", "dst = e.stuffed(dst, byte(f>>8))\n\tdst = e.stuffed(dst, byte(f))", false},
	{"driver inserts a zero after six ones", "../../t30/hdlc/encoder.go", "e.ones == 5", "e.ones == 6", false},
	{"driver's bit order in ECM", "../../t30/hdlc/encoder.go", "bit := uint32(c & 1)\n\t\tc >>= 1", "bit := uint32(c >> 7)\n\t\tc <<= 1", false},
	{"driver's deframer takes out no zero", "../../t30/hdlc/decoder.go", "case ones == 5: // inserted zero", "case ones == 5:\n\t\td.push(0)", false},
	{"modem doubles no DLE", "shield.go", "out = append(out, dle, dle)\n\t\t}\n\t}\n\treturn out\n}", "out = append(out, dle)\n\t\t}\n\t}\n\treturn out\n}", false},
	{"modem drops a doubled DLE", "shield.go", "case b == dle:\n\t\treturn append(out, dle), false", "case b == dle:\n\t\treturn out, false", false},
	{"modem's FCS polynomial", "hdlc.go", "r>>1 ^ 0x8408", "r>>1 ^ 0x8404", false},
	{"modem's FCS is not inverted", "hdlc.go", "return ^r", "return r", false},
	{"modem inserts a zero after six ones", "hdlc.go", "if ones == 5 {\n\t\t\t\tp.bit(false)", "if ones == 6 {\n\t\t\t\tp.bit(false)", false},
	{"modem's deframer takes out no zero", "hdlc.go", "stuffed := d.ones == 5", "stuffed := d.ones == 9", false},
	{"modem's bit order", "hdlc.go", "func (d *deframer) push(b byte) {\n\tfor i := range 8 {\n\t\td.bit(b >> i & 1)", "func (d *deframer) push(b byte) {\n\tfor i := range 8 {\n\t\td.bit(b >> (7 - i) & 1)", false},
	{"modem reads numbers wrong", "command.go", "n = n*10 + int(d-'0')", "n = n*8 + int(d-'0')", false},
	{"modem knows no extended commands", "command.go", "case '+', '#', '*', '$', '-':", "case '#', '*', '$', '-':", false},
	{"modem says +FCERROR for no carrier", "modem.go", `{"+FCERROR", "+F4"}`, `{"+FCERR", "+F4"}`, true},
}

// overlay writes b's copy and the file for -overlay.
func (b bug) overlay(t *testing.T) string {
	t.Helper()
	mistaken := b.apply(t)
	dir := t.TempDir()
	abs, err := filepath.Abs(b.file)
	if err != nil {
		t.Fatal(err)
	}
	copied, list := filepath.Join(dir, filepath.Base(b.file)), filepath.Join(dir, "overlay.json")
	j, err := json.Marshal(map[string]any{"Replace": map[string]string{abs: copied}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{copied: mistaken, list: string(j)} {
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

var failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^\s+(Test\S+) \(\d+m?\d*s\)$`)

// failing runs tests and returns those that fail, the innermost ones.
func failing(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"test", "-count=1", "-timeout=3m"}, args...)...).CombinedOutput()
	var names []string
	for _, m := range failLine.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1]+m[2])
	}
	if err != nil && len(names) == 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(a string) bool {
		return slices.ContainsFunc(names, func(b string) bool { return strings.HasPrefix(b, a+"/") })
	})
}

// cross are the tests in which driver and virtual modem meet; own are those of each side alone.
var (
	cross = []string{"-run", "^TestDriver_EveryRate|^TestDriver_LineFaults|^TestDriver_Drops", "."}
	own   = []string{"-skip", "^TestDriver|^TestConformance|^Fuzz", ".", "../at", "../phone", "../class1", "../../t30/hdlc"}
)

// TestMutate_SeededBugs makes one mistake at a time in one of the two sides. Were a parser, DLE or HDLC shared, it would cancel out
// where they meet; so a test in which they meet must fail.
func TestMutate_SeededBugs(t *testing.T) {
	if bad := append(failing(t, cross...), failing(t, own...)...); len(bad) > 0 {
		t.Fatalf("without a bug: %v", bad)
	}
	var mu sync.Mutex
	rows := make([]string, len(bugs))
	t.Run("bug", func(t *testing.T) {
		for i, b := range bugs {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				o := "-overlay=" + b.overlay(t)
				met, alone := failing(t, append([]string{o}, cross...)...), failing(t, append([]string{o}, own...)...)
				mu.Lock()
				rows[i] = fmt.Sprintf("| %s | %s | %s |\n", b.name, firsts(met), firsts(alone))
				mu.Unlock()
				if len(met) == 0 && !b.unit || len(met)+len(alone) == 0 {
					t.Errorf("no test finds it: %s", rows[i])
				}
			})
		}
	})
	if slices.Contains(rows, "") {
		return // not all were tried
	}
	doc := "# Bugs seeded in driver and virtual modem\n\nWritten by `make mutate`; do not edit. The Class 1 driver and the virtual modem that tests it share no command parser, DLE or " +
		"HDLC code.\nEach mistake below is made in a copy of one of the two; the tests named fail. Had they shared the code, it would cancel out where they meet.\n\n" +
		"| mistake | where driver and virtual modem meet | in tests of one side alone |\n|---|---|---|\n" + strings.Join(rows, "")
	if err := os.WriteFile("../../docs/seeded-bugs.md", []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
}

// mistake takes a work-around out of the driver: its quirk is not heeded, or what no quirk switches off is gone.
func (s switchOff) mistake() bug {
	switch {
	case s.bug != nil:
		return *s.bug
	case s.quirk == "hidden":
		return bug{file: "../choice.go", right: "!slices.Contains(p.Hidden, c)", wrong: "!slices.Contains(p.Prefer, c)"}
	}
	setField := "func setField(f reflect.Value, value any, path, values string) error {\n"
	return bug{file: "../quirks.go", right: setField, wrong: setField + fmt.Sprintf("\tif path == %q {\n\t\treturn nil\n\t}\n", s.quirk)}
}

// TestMutate_WorkArounds takes each work-around out in turn: its call must fail.
func TestMutate_WorkArounds(t *testing.T) {
	rows := make([]string, len(switchOffs))
	for i, s := range switchOffs {
		t.Run(s.name, func(t *testing.T) {
			run := "^TestSwitchOff$/^" + regexp.QuoteMeta(strings.ReplaceAll(s.name, " ", "_")) + "$"
			met := failing(t, "-overlay="+s.mistake().overlay(t), "-run", run, ".")
			if len(met) != len(s.with(t)) {
				t.Fatalf("without the work-around %d of its calls fail, not %d: %v", len(met), len(s.with(t)), met)
			}
			what := "the driver always"
			if s.quirk != "" {
				what = "`" + s.quirk + "`"
			}
			fact := s.fact
			if fact == "" {
				fact = "(" + s.from + ")"
			}
			rows[i] = fmt.Sprintf("| %s | %s | %s | %s | %s |\n", s.name, fact, strings.Join(s.habits, ", "), what, strings.Join(s.with(t), ", "))
		})
	}
	if t.Failed() || slices.Contains(rows, "") {
		return // not all were tried
	}
	doc := "# Habits of modems, and what works around them\n\nWritten by `make mutate`; do not edit. Each line is a case of `TestSwitchOff` in `modem/virtual`: a call with a virtual " +
		"modem that has the habit goes well.\nIt was made again without the work-around, and failed: a test fails as soon as the driver loses it. The quirks are those of " +
		"`modem/profiles.toml`.\n\n| habit | what was gathered of it | of the virtual modem | worked around by | tried with |\n|---|---|---|---|---|\n" + strings.Join(rows, "")
	if err := os.WriteFile("../../docs/modem-habits.md", []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
}

func firsts(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	out := strings.Join(names[:min(3, len(names))], ", ")
	if n := len(names) - 3; n > 0 {
		out += fmt.Sprintf(" and %d more", n)
	}
	return strings.ReplaceAll(out, "_", "\\_")
}
