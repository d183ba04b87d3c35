package virtual

import (
	"fmt"
	"maps"
	"slices"
)

// personality is a modem as the field knows it.
type personality struct {
	what string
	o    ModemOptions
}

// personalities are the modems by name. Each habit can be switched off in the options that Personality returns.
var personalities = map[string]personality{
	"generic": {"Class 1 and 1.0, by the book", ModemOptions{}},
	"class2":  {"Class 2 without error correction", ModemOptions{Classes: []string{"0", "1", "2"}}},
	"class2.0": {"Class 2.0 with error correction",
		ModemOptions{Classes: []string{"0", "1", "2.0"}, ECM: true}},
	"class2.1": {"Class 2.1 with error correction",
		ModemOptions{Classes: []string{"0", "1", "1.0", "2", "2.0", "2.1"}, ECM: true}},
	// Field: Rockwell starts the data of a received page at DC2 only, and reverses its bits.
	"rockwell": {"Rockwell RC144, Class 2", ModemOptions{
		Classes: []string{"0", "1", "2"}, Buffer: 1024,
		Maker: "ROCKWELL", Model: "RC144ACi", Revision: "V2.140", Info: map[int]string{0: "14400", 3: "V2.140-RC144ACi"},
		Class2Habits: Class2Habits{Trigger: dc2, ReversedReceive: true},
	}},
	// Field: U.S. Robotics in Class 2.0 leaves the return to control to the DTE.
	"usr": {"U.S. Robotics Courier, Class 2.0", ModemOptions{
		Classes: []string{"0", "1", "2.0"},
		Maker:   "U.S. Robotics, Inc.", Model: "Courier V.Everything", Revision: "7.3.14",
		Info:         map[int]string{0: "3366", 3: "USRobotics Courier V.Everything"},
		Class2Habits: Class2Habits{NoRTC: true},
	}},
	// Field: early MultiTech modems do not reverse the bits of a received page; some want DC2.
	"multitech": {"MultiTech MT5634, Class 2.1", ModemOptions{
		Classes: []string{"0", "1", "1.0", "2", "2.0", "2.1"}, ECM: true,
		Maker: "Multi-Tech Systems", Model: "MT5634ZBA-V92", Revision: "1.31",
		Info:         map[int]string{0: "56000", 3: "MultiTech MT5634ZBA"},
		Class2Habits: Class2Habits{Trigger: dc2},
	}},
}

// Personality returns the options of a modem that has the habits of a known one; Personalities tells the names.
func Personality(name string) (ModemOptions, error) {
	p, ok := personalities[name]
	if !ok {
		return ModemOptions{}, fmt.Errorf("virtual: no such personality %q (%v)", name, Personalities())
	}
	o := p.o
	o.Classes = slices.Clone(o.Classes)
	o.Info = maps.Clone(o.Info)
	return o, nil
}

// Personalities are the names that Personality knows, sorted.
func Personalities() []string { return slices.Sorted(maps.Keys(personalities)) }

// Describe tells in a few words what the personality is.
func Describe(name string) string { return personalities[name].what }
