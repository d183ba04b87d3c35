//go:build mutate

package t30_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tipring/tipring/t30"
)

// The mutation check: the suite is built once over copies of the engine's files (go build -overlay) in which every transition can be
// taken out by the environment. A mutant's call ends where the transition would have been made, and its transcript still names it:
// only what tests want of the call's outcome can fail. `make mutate` runs it and writes docs/t30-transitions.md.

const (
	envEdge = "T30_MUTANT_EDGE" // "from -> to": no way leads over this edge
	envSite = "T30_MUTANT_SITE" // number of one place name in the code: that one way is gone
	report  = "../docs/t30-transitions.md"
)

// mutantCode goes beside the engine's files.
const mutantCode = `package t30

import (
	"os"
	"strconv"
)

var (
	mutantEdge    = os.Getenv("` + envEdge + `")
	mutantSite, _ = strconv.Atoi(os.Getenv("` + envSite + `"))
)

// mutantAt marks a place when it is chosen where the mutant has a hole.
func mutantAt(site int, p place) place {
	if site == mutantSite {
		return p + placeCount + 1
	}
	return p
}

// mutantStep takes the mark off; dead tells that the call ends here.
func mutantStep(from, next place) (to place, dead bool) {
	if next > placeCount {
		return next - placeCount - 1, true
	}
	return next, from.String()+" -> "+next.String() == mutantEdge
}
`

// site is one place name in the engine's code that makes a transition.
type site struct {
	n    int
	text string // function, place and which of them
}

// edit replaces part of a source.
type edit struct {
	from, to int
	text     string
}

// instrument makes the overlay's files in dir and returns the sites.
func instrument(t *testing.T, dir string) (overlay string, sites []site) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	replace, loops := map[string]string{}, 0
	put := func(name string, src []byte) {
		abs, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		replace[abs] = filepath.Join(dir, name)
		if err := os.WriteFile(replace[abs], src, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "place.go" {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		var edits []edit
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				edits = append(edits, loopEdits(fset, fn, &loops)...)
				edits = append(edits, siteEdits(fset, fn, &sites)...)
			}
		}
		if len(edits) > 0 {
			put(name, apply(src, edits))
		}
	}
	if loops != 2 {
		t.Fatalf("the engine's loop has another shape now: %d statements found, want 2", loops)
	}
	put("mutant.go", []byte(mutantCode))
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return overlay, sites
}

func apply(src []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, src[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, src[at:]...)
}

// loopEdits make the engine's loop end the call at a mutant's hole.
func loopEdits(fset *token.FileSet, fn *ast.FuncDecl, found *int) (out []edit) {
	if fn.Name.Name != "run" || fn.Recv == nil {
		return nil
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Lhs) != 1 {
			return true
		}
		from, to := fset.Position(a.Pos()).Offset, fset.Position(a.End()).Offset
		if call, ok := a.Rhs[0].(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "step" {
				out, *found = append(out, edit{from, to, "next, dead := mutantStep(p, c.step(p))"}), *found+1
			}
		}
		if id, ok := a.Rhs[0].(*ast.Ident); ok && id.Name == "next" {
			out, *found = append(out, edit{from, to, "p = next; if dead { p = placeEnd }"}), *found+1
		}
		return true
	})
	return out
}

// siteEdits mark every place name that a function returns or hands on, save the two ends, which are no listed edges.
func siteEdits(fset *token.FileSet, fn *ast.FuncDecl, sites *[]site) (out []edit) {
	seen := map[string]int{}
	mark := func(e ast.Expr) {
		id, ok := e.(*ast.Ident)
		if !ok || !strings.HasPrefix(id.Name, "place") || id.Name == "placeEnd" || id.Name == "placeDisconnect" || id.Obj != nil {
			return
		}
		seen[id.Name]++
		s := site{n: len(*sites) + 1, text: fmt.Sprintf("%s: %s", fn.Name.Name, id.Name)}
		if n := seen[id.Name]; n > 1 {
			s.text += fmt.Sprintf(" (%d)", n)
		}
		*sites = append(*sites, s)
		out = append(out, edit{fset.Position(id.Pos()).Offset, fset.Position(id.End()).Offset, fmt.Sprintf("mutantAt(%d, %s)", s.n, id.Name)})
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ReturnStmt:
			for _, e := range n.Results {
				mark(e)
			}
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "run" {
				return true // where a call begins is no transition
			}
			for _, e := range n.Args {
				mark(e)
			}
		case *ast.AssignStmt:
			for _, e := range n.Rhs {
				mark(e)
			}
		}
		return true
	})
	return out
}

// suite is the instrumented test binary.
type suite struct{ bin string }

func build(t *testing.T) (suite, []site) {
	t.Helper()
	dir := t.TempDir()
	overlay, sites := instrument(t, dir)
	s := suite{filepath.Join(dir, "t30.test")}
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", s.bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return s, sites
}

// Tests that try so much at random or in order that they find nearly everything do not count: a named case must want it.
const unnamed = "^(TestCall_RandomFaults|TestCall_HangUpAnywhere|TestCall_Canceled|Fuzz.*)$"

var failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^\s+(Test\S+) \(\d+m?\d*s\)$`)

// failing runs the suite with one mutant and returns the tests that fail, the innermost ones.
func (s suite) failing(t *testing.T, env ...string) []string {
	t.Helper()
	cmd := exec.Command(s.bin, "-test.skip", unnamed, "-test.timeout", "4m")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	var names []string
	for _, m := range failLine.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1]+m[2])
	}
	if err != nil && len(names) == 0 {
		t.Fatalf("%v: %v\n%s", env, err, out)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(a string) bool {
		return slices.ContainsFunc(names, func(b string) bool { return strings.HasPrefix(b, a+"/") })
	})
}

// short names at most three of the tests.
func short(names []string) string {
	if len(names) == 0 {
		return "**none**"
	}
	out := strings.Join(names[:min(3, len(names))], ", ")
	if n := len(names) - 3; n > 0 {
		out += fmt.Sprintf(" and %d more", n)
	}
	return strings.ReplaceAll(out, "_", "\\_")
}

func TestMutate_EveryTransition(t *testing.T) {
	s, sites := build(t)
	if bad := s.failing(t); len(bad) > 0 {
		t.Fatalf("without a mutant: %v", bad)
	}
	edges := t30.Edges()
	var mu sync.Mutex
	found := map[string][]string{}
	t.Run("mutant", func(t *testing.T) {
		try := func(name, env string) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				bad := s.failing(t, env)
				mu.Lock()
				found[name] = bad
				mu.Unlock()
				if len(bad) == 0 {
					t.Errorf("no test needs it")
				}
			})
		}
		for e := range edges {
			try(e, envEdge+"="+e)
		}
		for _, x := range sites {
			try(x.text, fmt.Sprintf("%s=%d", envSite, x.n))
		}
	})
	if len(found) < len(edges)+len(sites) {
		return // not all were tried
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Transitions of the T.30 engine\n\nWritten by `make mutate`; do not edit. The engine walks %d edges between the connectors of T.30's flow charts "+
		"(`t30/place.go`).\nEach is taken out in turn: the call then ends there without an outcome, while the transcript still names the transition. "+
		"The tests below fail for what they want of\nthe call's outcome; tests with random lines are left out.\n\n"+
		"| edge | clause | tests that fail without it |\n|---|---|---|\n", len(edges))
	for _, e := range sorted(edges) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", e, edges[e], short(found[e]))
	}
	fmt.Fprintf(&b, "\nThe same for each of the %d single statements that make a transition:\n\n| function and place | tests that fail without it |\n|---|---|\n", len(sites))
	for _, x := range sites {
		fmt.Fprintf(&b, "| %s | %s |\n", x.text, short(found[x.text]))
	}
	if err := os.MkdirAll(filepath.Dir(report), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(report, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sorted(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
