package modem

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// ErrProfile is returned by Open and New for a profile that is not in the table.
var ErrProfile = errors.New("modem: no such profile")

// Profile is what is known of one family of modems: one entry of profiles.toml, which says what each field means.
type Profile struct {
	Name     string         `toml:"name"`
	Title    string         `toml:"title"`
	Identity []string       `toml:"identity"`
	USB      []string       `toml:"usb"`
	Port     []string       `toml:"port"`
	Prefer   []string       `toml:"prefer"`
	Hidden   []string       `toml:"hidden"`
	Why      string         `toml:"why"`
	Phone    map[string]any `toml:"phone"`
	Class1   map[string]any `toml:"class1"`
	Class2   map[string]any `toml:"class2"`
	Quirks   Quirks         `toml:"-"` // the tables, read
}

//go:embed profiles.toml
var profilesFile []byte

// Profiles returns the table in the order in which it is tried; the last one takes every modem.
var Profiles = sync.OnceValue(func() []Profile {
	all, err := parseProfiles(profilesFile)
	if err != nil {
		panic(err) // a test reads the file
	}
	return all
})

// parseProfiles reads the table, strictly.
func parseProfiles(text []byte) ([]Profile, error) {
	var file struct {
		Profiles []Profile `toml:"profile"`
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&file); err != nil {
		return nil, fmt.Errorf("modem: profiles: %w", err)
	}
	seen := map[string]bool{}
	for i := range file.Profiles {
		p := &file.Profiles[i]
		switch {
		case p.Name == "" || seen[p.Name]:
			return nil, fmt.Errorf("modem: profiles: number %d has no name of its own: %q", i+1, p.Name)
		case p.Title == "" || len(p.Identity)+len(p.USB)+len(p.Port) == 0:
			return nil, fmt.Errorf("modem: profile %s: title, or what it is known by, is missing", p.Name)
		}
		seen[p.Name] = true
		if err := p.Quirks.Set(map[string]any{"phone": p.Phone, "class1": p.Class1, "class2": p.Class2}); err != nil {
			return nil, fmt.Errorf("modem: profile %s: %w", p.Name, err)
		}
		for _, c := range slices.Concat(p.Prefer, p.Hidden) {
			if !slices.Contains(classOrder, c) {
				return nil, fmt.Errorf("modem: profile %s: class %q: use %s", p.Name, c, strings.Join(classOrder, ", "))
			}
		}
	}
	if len(file.Profiles) == 0 {
		return nil, errors.New("modem: profiles: there is none")
	}
	return file.Profiles, nil
}

// profileFor picks the profile of a modem on the port at path: by the port's name and what the modem says, then by its USB plug, else
// the last one of the table. name is one chosen by hand; "" or "auto": none. ErrProfile.
func profileFor(id Identity, path, name string) (Profile, error) {
	table := Profiles()
	if name != "" && name != "auto" {
		i := slices.IndexFunc(table, func(p Profile) bool { return p.Name == name })
		if i < 0 {
			return Profile{}, fmt.Errorf("%w: %q: use auto or one of %s", ErrProfile, name, strings.Join(ProfileNames(), ", "))
		}
		return table[i], nil
	}
	last := len(table) - 1
	for _, fits := range []func(Profile) bool{
		func(p Profile) bool { return p.fitsPort(path) || p.fitsIdentity(id) },
		func(p Profile) bool { return p.fitsUSB(id.USB) },
	} {
		if i := slices.IndexFunc(table[:last], fits); i >= 0 {
			return table[i], nil
		}
	}
	return table[last], nil
}

// ProfileNames are the names in the table.
func ProfileNames() []string {
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
	}
	return names
}

func (p Profile) fitsIdentity(id Identity) bool {
	answers := append([]string{id.Manufacturer, id.Model, id.Revision}, id.Info...)
	return slices.ContainsFunc(p.Identity, func(want string) bool {
		return slices.ContainsFunc(answers, func(a string) bool {
			a = strings.ToLower(a)
			if whole, ok := strings.CutPrefix(want, "="); ok {
				return a == whole
			}
			return want != "" && strings.Contains(a, want)
		})
	})
}

func (p Profile) fitsPort(path string) bool {
	name := filepath.Base(path)
	return slices.ContainsFunc(p.Port, func(want string) bool { return strings.HasPrefix(name, want) })
}

func (p Profile) fitsUSB(usb string) bool {
	return usb != "" && slices.ContainsFunc(p.USB, func(want string) bool { return usb == want || strings.HasPrefix(usb, want+":") })
}
