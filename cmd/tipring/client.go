package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/tipring/tipring/appliance/control"
)

// defaultData is where the appliance keeps its database, unless --data or TIPRING_DATA says otherwise.
const defaultData = "/var/lib/tipring"

// clientFlags are those of every command that speaks to the running appliance.
type clientFlags struct {
	data string
	json bool
}

func addClientFlags(fs *flag.FlagSet) *clientFlags {
	c := &clientFlags{}
	data := os.Getenv("TIPRING_DATA")
	if data == "" {
		data = defaultData
	}
	fs.StringVar(&c.data, "data", data, "data `folder` of the running appliance (or TIPRING_DATA)")
	fs.BoolVar(&c.json, "json", false, "print JSON")
	return c
}

// withAppliance runs f with a connection to the running appliance and turns its error into an exit status.
func withAppliance(s streams, flags *clientFlags, f func(a control.Appliance) error) int {
	c, err := control.Dial(flags.data)
	if err == nil {
		defer c.Close()
		err = f(c)
	}
	return clientStatus(s, flags, err)
}

// clientStatus prints err and returns the exit status for it.
func clientStatus(s streams, flags *clientFlags, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, control.ErrNotRunning):
		fmt.Fprintf(s.err, "tipring: no appliance runs in %s; start `tipring serve`, or name its folder with --data\n", flags.data)
		return exitLocal
	case errors.Is(err, control.ErrInvalid), errors.Is(err, control.ErrNotFound), errors.Is(err, control.ErrConflict):
		fmt.Fprintln(s.err, "tipring:", err)
		return exitUsage
	case errors.Is(err, errStepFailed), errors.Is(err, errNotSignedIn):
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLine
	}
	fmt.Fprintln(s.err, "tipring:", err)
	return exitLocal
}

// show prints v as JSON, or as the table that rows writes.
func show(s streams, flags *clientFlags, v any, rows func(w io.Writer)) error {
	if flags.json {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	rows(w)
	return w.Flush()
}

// verb is one action of a command such as "queue": list, show, cancel.
type verb struct {
	name  string
	words int // words it takes
	run   func(ctx context.Context, a control.Appliance, words []string) error
}

// runVerbs parses args, picks the verb (the first one without a word) and runs it against the appliance.
func runVerbs(ctx context.Context, s streams, fs *flag.FlagSet, args []string, verbs func(*clientFlags) []verb) int {
	flags := addClientFlags(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	list := verbs(flags)
	if len(words) == 0 {
		words = []string{list[0].name}
	}
	for _, v := range list {
		if v.name == words[0] && (v.words == len(words)-1 || v.words < 0 && len(words) > 1) {
			return withAppliance(s, flags, func(a control.Appliance) error { return v.run(ctx, a, words[1:]) })
		}
	}
	return usageError(s, fs, "cannot do %q", words)
}
