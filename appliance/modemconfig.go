package appliance

import (
	"errors"
	"strings"

	"github.com/tipring/tipring/modem"
)

// ModemConfig is how a line's modem is used where the automatic choice is not the best.
type ModemConfig struct {
	Init    string `toml:"init"`    // the administrator's own commands, without AT, sent before +FCLASS at every call
	Class   string `toml:"class"`   // service class: auto, 1, 1.0, 2, 2.0, 2.1
	Profile string `toml:"profile"` // quirk profile: auto, or a name that tipring modem probe shows
	V34     bool   `toml:"v34"`     // calls may be of V.34 (33600 bit/s) with a modem that has it in Class 1.0. Not yet tried on hardware
	// Quirks differ from the profile's: tables by part of the driver, as modem.Quirks.Set takes them.
	Quirks map[string]any `toml:"quirks"`
}

// modemDefaults are those of keys that are left out.
func (c *ModemConfig) modemDefaults() {
	if c.Class == "" {
		c.Class = "auto"
	}
	if c.Profile == "" {
		c.Profile = "auto"
	}
}

const maxInit = 200

func (c ModemConfig) validate(v *faults, at string) {
	v.need(len(c.Init) <= maxInit && strings.Trim(c.Init, " \t") == c.Init && !strings.ContainsFunc(c.Init, func(r rune) bool { return r < ' ' || r > '~' }),
		"%s: init: use at most %d printable characters, the commands without AT: \"S91=8&K3\"", at, maxInit)
	v.need(c.Class == "" || oneOf(c.Class, append(modem.Classes(), "auto")...), "%s: class %q: use auto, %s", at, c.Class, strings.Join(modem.Classes(), ", "))
	v.need(c.Profile == "" || oneOf(c.Profile, append(modem.ProfileNames(), "auto")...), "%s: profile %q: use auto, %s", at, c.Profile, strings.Join(modem.ProfileNames(), ", "))
	v.need(!c.V34 || oneOf(c.Class, "", "auto", "1.0"), "%s: v34 = true takes class 1.0: leave class out, or set it to \"1.0\"", at)
	if err := new(modem.Quirks).Set(c.Quirks); err != nil {
		for _, err := range split(err) {
			v.need(false, "%s: quirks: %v", at, err)
		}
	}
}

// split takes joined errors apart.
func split(err error) []error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		if _, wraps := e.(interface{ Unwrap() []error }); wraps {
			all = append(all, split(e)...)
			continue
		}
		all = append(all, e)
	}
	return all
}

// modemOptions are all of a line's for its modem.
func (c LineConfig) modemOptions() modem.Options {
	line := c.phone()
	line.Init = c.Init
	return modem.Options{Line: line, Class: c.Class, Profile: c.Profile, Quirks: c.Quirks, V34: c.V34}
}
