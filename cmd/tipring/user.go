package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tipring/tipring/appliance/control"
)

const userUsage = "user [list | allow WHO | deny WHO | member WHO | remove WHO | import FILE | export | lookup ADDRESS] [--to DIGITS] [--not-to DIGITS] [--hours TEXT] [--zone ZONE] " +
	"[--max-pages N] [--pages-per-day N] [--faxes-per-day N] [--group NAME] [--alias ADDRESS] [--name TEXT] [--note TEXT] [--replace] [--dry-run] [--fresh] [--data DIR] [--json]" +
	"\n  WHO: ann@contoso.com, contoso.com, group:NAME, or * for everyone; lists have commas"

// maxPeopleFile bounds a CSV file.
const maxPeopleFile = 16 << 20

func userMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, userUsage)
	given := personFlags(fs)
	replace := fs.Bool("replace", false, "import: take out the entries that the file does not name")
	fresh := fs.Bool("fresh", false, "lookup: ask the directories anew, not what is remembered")
	dry := fs.Bool("dry-run", false, "import: only say what would change")
	return runVerbs(ctx, s, fs, args, func(f *clientFlags) []verb {
		put := func(rules, deny bool) func(context.Context, control.Appliance, []string) error {
			return func(ctx context.Context, a control.Appliance, words []string) error {
				p := given()
				p.Kind, p.Name = who(words[0])
				p.Rules, p.Deny = rules, deny
				p, err := a.PutPerson(ctx, p)
				if err != nil {
					return err
				}
				return show(s, f, p, func(w io.Writer) { personRows(w, []control.Person{p}) })
			}
		}
		return []verb{
			{"list", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				list, err := a.People(ctx)
				if err != nil {
					return err
				}
				return show(s, f, list, func(w io.Writer) { personRows(w, list) })
			}},
			{"allow", 1, put(true, false)},
			{"deny", 1, put(true, true)},
			{"member", 1, put(false, false)},
			{"remove", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				kind, name := who(words[0])
				return a.RemovePerson(ctx, kind, name)
			}},
			{"import", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				csv, err := readBounded(words[0], maxPeopleFile)
				if err != nil {
					return err
				}
				n, err := a.ImportPeople(ctx, control.PeopleFile{CSV: csv, Replace: *replace, DryRun: *dry})
				if err != nil {
					return err
				}
				return show(s, f, n, func(w io.Writer) {
					fmt.Fprintf(w, "%d added, %d changed, %d removed, %d the same\n", n.Added, n.Changed, n.Removed, n.Same)
				})
			}},
			{"lookup", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				r, err := a.LookUp(ctx, words[0], *fresh)
				if err != nil {
					return err
				}
				return show(s, f, r, func(w io.Writer) { lookupRows(w, r) })
			}},
			{"export", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				file, err := a.ExportPeople(ctx)
				if err == nil {
					_, err = s.out.Write(file.CSV)
				}
				return err
			}},
		}
	})
}

// personFlags defines the flags of an entry and returns what reads them.
func personFlags(fs *flag.FlagSet) func() control.Person {
	to := fs.String("to", "", "first `digits` of the numbers permitted; default: all")
	notTo := fs.String("not-to", "", "first `digits` of the numbers denied")
	groups := fs.String("group", "", "groups of a user")
	aliases := fs.String("alias", "", "further mail `addresses`")
	var p control.Person
	fs.StringVar(&p.Hours, "hours", "", `when faxes are taken: "Mon-Fri 08:00-18:00"`)
	fs.StringVar(&p.Zone, "zone", "", "time zone of the hours")
	fs.StringVar(&p.Display, "name", "", "display name")
	fs.StringVar(&p.Note, "note", "", "for people")
	fs.IntVar(&p.MaxPages, "max-pages", 0, "pages of one fax; 0: no limit")
	fs.IntVar(&p.PagesPerDay, "pages-per-day", 0, "pages of a user's day; 0: no limit")
	fs.IntVar(&p.FaxesPerDay, "faxes-per-day", 0, "faxes of a user's day; 0: no limit")
	return func() control.Person {
		p.To, p.NotTo, p.Groups, p.Aliases = list(*to), list(*notTo), list(*groups), list(*aliases)
		return p
	}
}

// list reads words with commas between.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// who reads what an entry is about.
func who(s string) (kind, name string) {
	switch group, ok := strings.CutPrefix(s, "group:"); {
	case ok:
		return "group", group
	case s == "*":
		return "everyone", s
	case strings.Contains(strings.TrimPrefix(s, "@"), "@"):
		return "user", s
	}
	return "domain", strings.TrimPrefix(s, "@")
}

func personRows(w io.Writer, list []control.Person) {
	fmt.Fprintln(w, "KIND\tNAME\tGROUPS\tMAY FAX\tNOTE")
	for _, p := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Kind, p.Name, strings.Join(p.Groups, " "), mayFax(p), p.Note)
	}
}

// lookupRows says what each directory knows of an address.
func lookupRows(w io.Writer, r control.LookupResult) {
	if len(r.Mailboxes) > 0 {
		fmt.Fprintf(w, "Mail for %s goes to %s.\n", r.Address, strings.Join(r.Mailboxes, " "))
	} else {
		fmt.Fprintf(w, "No directory names a mailbox for %s.\n", r.Address)
	}
	for _, a := range r.Answers {
		switch {
		case a.Trouble != "":
			fmt.Fprintf(w, "%s: cannot be asked: %s\n", a.Source, a.Trouble)
			if a.Remedy != "" {
				fmt.Fprintf(w, "  what to do: %s\n", a.Remedy)
			}
		case !a.Known:
			fmt.Fprintf(w, "%s: does not know it\n", a.Source)
		default:
			kind := map[bool]string{false: "user", true: "group"}[a.Group]
			fmt.Fprintf(w, "%s: %s\n", a.Source, strings.TrimSpace(kind+" "+a.Address+" "+a.Name))
			fmt.Fprintf(w, "  mailboxes: %s\n", strings.Join(a.Mailboxes, " "))
			if !a.Group {
				fmt.Fprintf(w, "  groups: %s\n", strings.Join(a.Groups, ", "))
			}
		}
	}
}

// mayFax says in words what an entry permits.
func mayFax(p control.Person) string {
	switch {
	case !p.Rules:
		return "as others say"
	case p.Deny:
		return "no"
	}
	words := []string{"yes"}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if len(p.To) > 0 {
		add("to %s", strings.Join(p.To, " "))
	}
	if len(p.NotTo) > 0 {
		add("not to %s", strings.Join(p.NotTo, " "))
	}
	if p.Hours != "" {
		add("%s", strings.TrimSpace(p.Hours+" "+p.Zone))
	}
	for what, n := range map[string]int{"pages a fax": p.MaxPages, "pages a day": p.PagesPerDay, "faxes a day": p.FaxesPerDay} {
		if n > 0 {
			add("%d %s", n, what)
		}
	}
	return strings.Join(words, ", ")
}

// readBounded reads a file of at most n octets.
func readBounded(name string, n int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, n+1))
	if err == nil && int64(len(b)) > n {
		err = fmt.Errorf("%w: %s is larger than %d octets", control.ErrInvalid, name, n)
	}
	return b, err
}
