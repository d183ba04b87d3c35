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
	"testing"
)

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

var failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^\s+(Test\S+) \(\d+m?\d*s\)$|^panic: Fail in goroutine after (\S+) has completed`)

// failing runs tests and returns those that fail, the innermost ones.
func failing(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"test", "-count=1", "-vet=off", "-timeout=3m"}, args...)...).CombinedOutput()
	var names []string
	for _, m := range failLine.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1]+m[2]+m[3])
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

// TestMutate_SeededBugs makes one mistake at a time, in the driver or the virtual modem: a test must fail in which the two meet, where
// what they shared would cancel out, or for some bugs one of the package's own.
func TestMutate_SeededBugs(t *testing.T) {
	doc := "# Bugs seeded in driver and virtual modem\n\nWritten by `make mutate`; do not edit. Each mistake below is made in a copy of one file; the tests named fail. " +
		"Where driver and\nvirtual modem get along in spite of it, only the tests of one side are run.\n"
	whole := 0
	for _, s := range seedings {
		t.Run(s.title, func(t *testing.T) {
			rows := s.plant(t)
			if !slices.Contains(rows, "") {
				whole++
			}
			doc += fmt.Sprintf("\n## %s\n\n%s\n\n| mistake | where driver and virtual modem meet | in tests of one side alone |\n|---|---|---|\n%s",
				s.title, s.intro, strings.Join(rows, ""))
		})
	}
	if whole < len(seedings) {
		return // not all were tried
	}
	if err := os.WriteFile("../../docs/seeded-bugs.md", []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
}

// plant tries each bug of s; a row that is "" was not tried.
func (s seeding) plant(t *testing.T) []string {
	if bad := append(failing(t, s.met...), failing(t, s.alone...)...); len(bad) > 0 {
		t.Fatalf("without a bug: %v", bad)
	}
	rows := make([]string, len(s.bugs))
	t.Run("bug", func(t *testing.T) {
		for i, b := range s.bugs {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				o := "-overlay=" + bug{b.file, b.right, b.wrong}.overlay(t)
				met, alone := "", failing(t, append([]string{o}, s.alone...)...)
				if !b.unit {
					met = firsts(failing(t, append([]string{o}, s.met...)...))
				}
				rows[i] = fmt.Sprintf("| %s | %s | %s |\n", b.name, met, firsts(alone))
				if met == none || b.unit && len(alone) == 0 {
					t.Errorf("no test finds it: %s", rows[i])
				}
			})
		}
	})
	return rows
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

const none = "none"

func firsts(names []string) string {
	if len(names) == 0 {
		return none
	}
	out := strings.Join(names[:min(3, len(names))], ", ")
	if n := len(names) - 3; n > 0 {
		out += fmt.Sprintf(" and %d more", n)
	}
	return strings.ReplaceAll(out, "_", "\\_")
}
