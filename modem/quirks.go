package modem

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/modem/class1"
	"github.com/tipring/tipring/modem/class2"
	"github.com/tipring/tipring/modem/phone"
)

// ErrQuirk is returned by Quirks.Set for a name that no quirk has, or a value that does not fit it. The text says what would.
var ErrQuirk = errors.New("modem: quirk")

// Quirks is how a modem departs from the standards, by part of the driver. The zero value is a modem after the standards.
type Quirks struct {
	Phone  phone.Quirks  `quirk:"phone"`
	Class1 class1.Quirks `quirk:"class1"`
	Class2 class2.Quirks `quirk:"class2"`
}

// Limits of a quirk's value.
const (
	maxQuirkTime = 10 * time.Second
	maxQuirkText = 200 // characters of a command
	maxQuirkList = 16  // commands
)

// Set sets what table names and leaves the rest: "phone", "class1" and "class2" are tables of their own, whose keys are the quirks in
// snake_case (profiles.toml lists them). Times are written as "100ms". ErrQuirk; the other keys are set all the same.
func (q *Quirks) Set(table map[string]any) error {
	return setFields(reflect.ValueOf(q).Elem(), table, "")
}

// QuirkNames are the names that Set takes, "class1.command_gap".
func QuirkNames() []string {
	var names []string
	for group := range reflect.TypeFor[Quirks]().Fields() {
		for f := range group.Type.Fields() {
			names = append(names, group.Tag.Get("quirk")+"."+f.Tag.Get("quirk"))
		}
	}
	return names
}

func setFields(v reflect.Value, table map[string]any, path string) error {
	fields, values := map[string]reflect.Value{}, map[string]string{}
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		fields[tag.Get("quirk")], values[tag.Get("quirk")] = v.Field(i), tag.Get("values")
	}
	var all []error
	for _, key := range slices.Sorted(maps.Keys(table)) {
		f, ok := fields[key]
		if !ok || key == "" {
			all = append(all, fmt.Errorf("%w %q is not known: use %s", ErrQuirk, path+key, strings.Join(slices.Sorted(maps.Keys(fields)), ", ")))
			continue
		}
		if err := setField(f, table[key], path+key, values[key]); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// setField sets f; values are the texts it may have, with commas between, "": any.
func setField(f reflect.Value, value any, path, values string) error {
	bad := func(want string) error { return fmt.Errorf("%w %s = %v: use %s", ErrQuirk, path, value, want) }
	switch f.Interface().(type) {
	case bool:
		b, ok := value.(bool)
		if !ok {
			return bad("true or false")
		}
		f.SetBool(b)
	case time.Duration:
		s, _ := value.(string)
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 || d > maxQuirkTime {
			return bad(`a time of at most 10s, "100ms"`)
		}
		f.SetInt(int64(d))
	case int:
		n, ok := value.(int64)
		if !ok || n < 0 || n > 1<<16 {
			return bad("a number from 0 to 65536")
		}
		f.SetInt(n)
	case string:
		s, ok := value.(string)
		if !ok || values != "" && s != "" && !slices.Contains(strings.Split(values, ","), s) {
			return bad(strings.ReplaceAll(values, ",", " or "))
		}
		f.SetString(s)
	case []string:
		list, ok := value.([]any)
		cmds := make([]string, 0, len(list))
		for _, e := range list {
			s, isText := e.(string)
			ok = ok && isText && printable(s)
			cmds = append(cmds, s)
		}
		if !ok || len(list) > maxQuirkList {
			return bad(`a list of at most 16 commands without AT, ["&H1", "S91=8"]`)
		}
		f.Set(reflect.ValueOf(cmds))
	default:
		table, ok := value.(map[string]any)
		if !ok {
			return bad("a table")
		}
		return setFields(f, table, path+".")
	}
	return nil
}

// printable tells whether s can stand in an AT command line.
func printable(s string) bool {
	return len(s) <= maxQuirkText && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
