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

// bug is a mistake to be made in a copy of one file (go test -overlay).
type bug struct {
	name, file, right, wrong string
	// unit is set where driver and virtual modem get along in spite of it, so that only the package's own tests find it.
	unit bool
}

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
	src, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), b.right); n != 1 {
		t.Fatalf("%s: the right code stands there %d times", b.file, n)
	}
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
	for name, data := range map[string]string{copied: strings.Replace(string(src), b.right, b.wrong, 1), list: string(j)} {
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
