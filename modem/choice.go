package modem

import (
	"fmt"
	"slices"
	"strings"
)

// classOrder are the service classes that we drive, the best first.
var classOrder = []string{"1", "1.0", "2.1", "2.0", "2"}

// Classes are the values of Options.Class, beside "" and "auto".
func Classes() []string { return slices.Clone(classOrder) }

// merits say why a class is used; the profile and the circumstances may add to them.
var merits = map[string]string{
	"1":   "Tipring does T.30 itself, with error correction, polling, and every page safe on disk before it is confirmed",
	"1.0": "Tipring does T.30 itself, as in Class 1",
	"2.1": "the modem does T.30",
	"2.0": "the modem does T.30",
	"2":   "the modem does T.30",
}

// choice is one class to try with a modem, and the sentence that explains it.
type choice struct{ class, why string }

// attempt is a choice to try, with V.34 fax or without.
type attempt struct {
	choice
	v34 bool
}

// attempts puts Class 1.0 with V.34 before the choices where V.34 is on. want is the user's class: another one rules V.34 out.
func attempts(choices []choice, v34 bool, want string) []attempt {
	var list []attempt
	if v34 && (want == "" || want == "auto" || want == "1.0") {
		why := "Class 1.0: V.34 fax takes this class, and is on (v34 = true); not yet tried on hardware."
		list = append(list, attempt{choice{"1.0", why}, true})
	}
	for _, c := range choices {
		list = append(list, attempt{choice: c})
	}
	return list
}

// choose lists the classes to try with a modem, the best first. want is the user's; "" or "auto": none. A modem that tells no
// classes at all may have any; where nothing tells that it is a modem but OK, only those in which it must know its modulations.
func choose(id Identity, p Profile, want string) []choice {
	if want != "" && want != "auto" {
		return []choice{{want, fmt.Sprintf("Class %s, as configured: %s.", want, merits[want])}}
	}
	order := p.Prefer
	if len(order) == 0 {
		order = classOrder
	}
	var list []choice
	for _, c := range order {
		told := len(id.Classes) == 0 && (id.String() != "" || strings.HasPrefix(c, "1")) || id.HasClass(c)
		if !told && !slices.Contains(p.Hidden, c) {
			continue
		}
		why := fmt.Sprintf("Class %s: %s", c, merits[c])
		if p.Why != "" && c == order[0] {
			why += "; " + p.Why
		}
		if !told {
			why += "; the modem has it, although it does not say so"
		}
		if len(id.Classes) == 0 {
			why += "; the modem does not say which classes it has"
		}
		list = append(list, choice{c, why + "."})
	}
	return list
}

// butRefused adds to an explanation the better classes that the modem refused.
func (c choice) butRefused(refused []string) string {
	if len(refused) == 0 {
		return c.why
	}
	verb := "comes"
	if len(refused) > 1 {
		verb = "come"
	}
	return fmt.Sprintf("%s It refused Class %s, which %s first.", c.why, strings.Join(refused, " and Class "), verb)
}
