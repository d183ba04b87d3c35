package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/appliance"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
)

const numbersUsage = "numbers [list | forget NUMBER] [--data DIR] [--json]"

// numbersMain shows and clears what is remembered of numbers, also in a folder where no appliance runs: the --data of
// one-off sends.
func numbersMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, numbersUsage)
	flags := addClientFlags(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	var do func(n control.Numbers) error
	switch {
	case len(words) == 0, len(words) == 1 && words[0] == "list":
		do = func(n control.Numbers) error {
			list, err := n.Remembered(ctx)
			if err != nil {
				return err
			}
			return show(s, flags, list, func(w io.Writer) { numberRows(w, list) })
		}
	case len(words) == 2 && words[0] == "forget":
		do = func(n control.Numbers) error { return n.Forget(ctx, words[1]) }
	default:
		return usageError(s, fs, "cannot do %q", words)
	}
	if c, err := control.Dial(flags.data); !errors.Is(err, control.ErrNotRunning) {
		if err == nil {
			defer c.Close()
			err = do(c)
		}
		return clientStatus(s, flags, err)
	}
	if !store.Exists(flags.data) {
		return clientStatus(s, flags, control.ErrNotRunning)
	}
	return clientStatus(s, flags, withFolder(flags.data, func(st *store.Store) error { return do(storedNumbers{queue.NewMemory(st)}) }))
}

func numberRows(w io.Writer, list []control.Number) {
	fmt.Fprintln(w, "NUMBER\tCALLS BEGIN\tSINCE\tLAST CALL\t")
	for _, n := range list {
		begins, since := n.Begins, ""
		if begins == "" {
			begins = "at the best"
		}
		if n.Alone {
			begins += ", one document a call"
		}
		if !n.Since.IsZero() {
			since = n.Since.Local().Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Number, begins, since, n.Last.Local().Format(time.DateTime))
	}
}

// storedNumbers is the memory of a folder where no appliance runs.
type storedNumbers struct{ m *queue.Memory }

// Remembered implements [control.Numbers].
func (s storedNumbers) Remembered(context.Context) ([]control.Number, error) {
	return appliance.RememberedNumbers(s.m, time.Now())
}

// Forget implements [control.Numbers].
func (s storedNumbers) Forget(_ context.Context, number string) error {
	err := s.m.Forget(number)
	if errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w: nothing is remembered of %s", control.ErrNotFound, number)
	}
	return err
}
