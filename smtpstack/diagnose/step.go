// Package diagnose walks what a connector depends on, from DNS to a real message, one step after the other, and says for
// each what was found, what to change and with which PowerShell line of Exchange Online. A step that fails does not hide
// the later ones that do not depend on it.
package diagnose

import (
	"fmt"
	"strings"
)

// State is the outcome of a step.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // it works, or may, but should be put right
	Failed  State = "failed"
	NotRun  State = "not run" // what it depends on failed, or it does not apply: Found says which
)

// Step is one thing that was looked at.
type Step struct {
	Name       string
	State      State
	Found      string   // one sentence
	Details    []string // line by line: addresses, certificates, extensions
	Remedy     string   // what to change; "" when nothing needs to be
	PowerShell string   // the line for Exchange Online PowerShell that changes it, "" when there is none
	Record     string   // the DNS record that is missing, as it should be
}

// Bad tells whether any step failed.
func Bad(steps []Step) bool {
	for _, s := range steps {
		if s.State == Failed {
			return true
		}
	}
	return false
}

// walk gathers the steps.
type walk struct{ steps []Step }

func (w *walk) add(s Step) *Step {
	w.steps = append(w.steps, s)
	return &w.steps[len(w.steps)-1]
}

func (w *walk) ok(name, format string, args ...any) *Step {
	return w.add(Step{Name: name, State: OK, Found: fmt.Sprintf(format, args...)})
}

func (w *walk) notRun(name, why string) { w.add(Step{Name: name, State: NotRun, Found: why}) }

// state is that of the last step of a name.
func (w *walk) state(name string) State {
	for i := len(w.steps) - 1; i >= 0; i-- {
		if w.steps[i].Name == name {
			return w.steps[i].State
		}
	}
	return NotRun
}

// domainOf is the part of an address after the "@".
func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}
