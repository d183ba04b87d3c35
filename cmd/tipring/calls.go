package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
)

const callsUsage = "calls [list | show ID] [--limit N] [--trace] [--data DIR] [--json]"

func callsMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, callsUsage)
	limit := fs.Int("limit", 20, "list so many of the newest `calls`, at most 1000")
	trace := fs.Bool("trace", false, "show the whole transcript too: modem commands, frames, steps of the procedure")
	flags := addClientFlags(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	switch {
	case *limit < 1 || *limit > 1000:
		return usageError(s, fs, "--limit %d: 1 to 1000", *limit)
	case len(words) == 0 || len(words) == 1 && words[0] == "list":
		return withCalls(s, flags, func(v callsView) error {
			list, err := v.Calls(ctx, *limit)
			if err != nil {
				return err
			}
			return show(s, flags, list, func(w io.Writer) { callRows(w, list) })
		})
	case len(words) == 2 && words[0] == "show":
		return withCalls(s, flags, func(v callsView) error {
			c, err := v.CallRecord(ctx, words[1], *trace)
			if err != nil {
				return err
			}
			if flags.json {
				return show(s, flags, c, nil)
			}
			return printCall(s.out, c)
		})
	}
	return usageError(s, fs, "cannot do %q", words)
}

// callsView shows calls: a running appliance, or a data folder in which none runs.
type callsView interface {
	Calls(ctx context.Context, limit int) ([]control.CallRecord, error)
	CallRecord(ctx context.Context, id string, transcript bool) (control.CallRecord, error)
}

// folderCalls are the calls of a data folder that this process has open.
type folderCalls struct{ log queue.CallLog }

func (f folderCalls) Calls(_ context.Context, limit int) ([]control.CallRecord, error) {
	return appliance.CallRecords(f.log, limit)
}

func (f folderCalls) CallRecord(_ context.Context, id string, transcript bool) (control.CallRecord, error) {
	return appliance.CallRecord(f.log, id, transcript)
}

// withCalls runs f on the running appliance, or where none runs on the folder itself: one-off calls leave their records there.
func withCalls(s streams, flags *clientFlags, f func(callsView) error) int {
	c, err := control.Dial(flags.data)
	switch {
	case err == nil:
		defer c.Close()
		err = f(c)
	case errors.Is(err, control.ErrNotRunning) && store.Exists(flags.data):
		err = withFolder(flags.data, func(st *store.Store) error { return f(folderCalls{queue.NewCallLog(st)}) })
	}
	return clientStatus(s, flags, err)
}

// withFolder runs f with the data folder open, which no other process can use meanwhile.
func withFolder(dir string, f func(*store.Store) error) error {
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
}

// callNumber is how a list names the other side.
func callNumber(c control.CallRecord) string {
	if c.Number == "" {
		return c.RemoteID
	}
	return c.Number
}

func callRows(w io.Writer, list []control.CallRecord) {
	fmt.Fprintln(w, "ID\tAT\tLINE\tDIR\tNUMBER\tJOBS\tPAGES\tSECONDS\tRATE\t")
	for _, c := range list {
		rate := ""
		if c.RateBPS > 0 {
			rate = fmt.Sprintf("%s/%d", c.Modulation, c.RateBPS)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%.1f\t%s\t%s\n", c.ID, c.Start.Local().Format(time.DateTime), c.Line, c.Direction, callNumber(c),
			callJobs(c), c.Pages, c.Seconds, rate, c.Text)
	}
}

func countPages(n int) string {
	if n == 1 {
		return "1 page"
	}
	return fmt.Sprintf("%d pages", n)
}

// callJobs are the ids of the jobs that shared a call, of more than four the first three and how many more; show has them all.
func callJobs(c control.CallRecord) string {
	var ids []string
	for _, j := range c.Jobs {
		ids = append(ids, j.ID)
	}
	if n := len(ids) - 3; n > 1 {
		ids = append(ids[:3], fmt.Sprintf("+%d", n))
	}
	return strings.Join(ids, ",")
}

// callHead says in two lines what became of a call, and in one more for each of several jobs in it.
func callHead(c control.CallRecord) string {
	var b strings.Builder
	fmt.Fprintf(&b, "call %s, %s, ", c.ID, c.Start.Local().Format(time.DateTime))
	switch {
	case c.Direction == "out":
		fmt.Fprintf(&b, "to %s", c.Number)
	case c.Number != "":
		fmt.Fprintf(&b, "from %s", c.Number)
	default:
		b.WriteString("from an unknown number")
	}
	for _, x := range []struct{ name, value string }{{"line", c.Line}, {"job", c.JobID}, {"fax", c.FaxID}} {
		if x.value != "" {
			fmt.Fprintf(&b, ", %s %s", x.name, x.value)
		}
	}
	fmt.Fprintf(&b, "\n%s; %s in %.1f s", c.Text, countPages(c.Pages), c.Seconds)
	if c.RateBPS > 0 {
		fmt.Fprintf(&b, ", %s %d bit/s", c.Modulation, c.RateBPS)
	}
	if c.Coding != "" {
		fmt.Fprintf(&b, ", %s, %s", c.Coding, c.Resolution)
	}
	if c.ECM {
		b.WriteString(", error correction")
	}
	if c.RemoteID != "" {
		fmt.Fprintf(&b, ", far end %s", c.RemoteID)
	}
	b.WriteString("\n")
	if len(c.Jobs) > 1 {
		for _, j := range c.Jobs {
			fmt.Fprintf(&b, "job %s: %s; %s\n", j.ID, j.Text, countPages(j.Pages))
		}
	}
	return b.String()
}
