package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tipring/tipring/appliance/control"
)

// printCall prints a call for somebody who knows T.30: what both sides sent, then where each second went.
func printCall(out io.Writer, c control.CallRecord) error {
	w := bufio.NewWriter(out)
	fmt.Fprint(w, callHead(c))
	if len(c.Signals) == 0 {
		fmt.Fprintln(w, "\nNothing was kept of this call but its outcome.")
		printTranscript(w, c)
		return w.Flush()
	}
	fmt.Fprintln(w, "\n    FROM    TAKES   > ours  < the far end's and the wait for it  - neither's")
	for _, s := range c.Signals {
		fmt.Fprintf(w, "%8.3f %8.3f %s %s\n", s.At, s.Seconds, s.Dir, s.Describe())
	}
	printParts(w, c)
	printTranscript(w, c)
	return w.Flush()
}

// printParts prints the table of seconds: side by side, the largest part first.
func printParts(w io.Writer, c control.CallRecord) {
	fmt.Fprintf(w, "\n%-24s %9s %9s %9s\n", "WHERE THE SECONDS WENT", "SECONDS", "AT LEAST", "BEYOND")
	row := func(name string, seconds, least float64, clause string) {
		over := fmt.Sprintf("%9.3f", max(0, seconds-least))
		if seconds < least-0.0005 {
			over = fmt.Sprintf("%9s", "-")
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-24s %9.3f %9.3f %s  %s", name, seconds, least, over, clause), " "))
	}
	total, least := 0.0, 0.0
	for _, side := range []struct {
		side control.Side
		name string
	}{{control.Ours, "ours"}, {control.Theirs, "the far end's"}, {control.Nobody, "neither's"}} {
		list := partsOf(c, side.side)
		if len(list) == 0 {
			continue
		}
		sum, sumLeast := 0.0, 0.0
		for _, p := range list {
			sum += p.Seconds
			sumLeast += p.Least
		}
		row(side.name, sum, sumLeast, "")
		for _, p := range list {
			row("  "+p.Name, p.Seconds, p.Least, p.Clause)
		}
		total += sum
		least += sumLeast
	}
	row("the call", total, least, "")
	if total < least-0.0005 {
		fmt.Fprintln(w, "This line ran faster than a telephone line.")
	}
}

// partsOf are one side's parts, the largest first.
func partsOf(c control.CallRecord, side control.Side) []control.Part {
	var list []control.Part
	for _, p := range c.Parts {
		if p.Side == side {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b control.Part) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return list
}

func printTranscript(w io.Writer, c control.CallRecord) {
	if len(c.Transcript) == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, e := range c.Transcript {
		fmt.Fprintf(w, "%8.3f %-5s %s %s\n", e.At.Sub(c.Start).Seconds(), e.Layer, e.Dir, e.Text)
	}
}
