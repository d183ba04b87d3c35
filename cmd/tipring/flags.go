package main

import (
	"errors"
	"flag"
	"fmt"
)

// errUsage marks an error in how a command was called; it has been printed.
var errUsage = errors.New("wrong usage")

// newFlags returns a flag set for the command with this usage line. Flags may stand before and behind file names.
func newFlags(s streams, usage string) *flag.FlagSet {
	fs := flag.NewFlagSet("tipring", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() {
		fmt.Fprintln(s.err, "usage: tipring", usage)
		fs.PrintDefaults()
	}
	return fs
}

// parse parses args and returns the words that are no flags. "--" ends the flags.
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var words []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, errUsage
		}
		rest := fs.Args()
		if len(rest) == 0 {
			return words, nil
		}
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			return append(words, rest...), nil
		}
		words = append(words, rest[0])
		args = rest[1:]
	}
}

// usageError prints what is wrong with a call and returns the exit status for it.
func usageError(s streams, fs *flag.FlagSet, format string, a ...any) int {
	fmt.Fprintf(s.err, "tipring: "+format+"\n", a...)
	fs.Usage()
	return exitUsage
}
