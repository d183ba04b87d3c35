package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/tipring/tipring/modem"
)

const modemUsage = "modem list | probe DEV [--trace] [--json]"

func modemMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, modemUsage)
	c := &callFlags{}
	fs.BoolVar(&c.json, "json", false, "print JSON")
	fs.BoolVar(&c.trace, "trace", false, "print what goes over the port to standard error")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	switch {
	case len(words) == 1 && words[0] == "list":
		return modemList(s, c)
	case len(words) == 2 && words[0] == "probe":
		return modemProbe(ctx, s, c, words[1])
	}
	return usageError(s, fs, "modem list, or modem probe DEV")
}

func modemList(s streams, c *callFlags) int {
	ports, err := modem.List()
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	return printTable(s, c, ports, func(w io.Writer) {
		fmt.Fprintln(w, "PORT\tUSB\tSERIAL\tNAME\tSTABLE PATH")
		for _, p := range ports {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Path, p.USB, p.Serial, p.Name, p.ByID)
		}
	})
}

func modemProbe(ctx context.Context, s streams, c *callFlags, path string) int {
	m, err := modem.Open(ctx, path, modem.Options{Trace: c.tracer(s.err)})
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	id, caps := m.Identity(), m.Capabilities()
	if err := m.Close(); err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
	}
	return printTable(s, c, map[string]any{"identity": id, "max_rate_bps": caps.MaxRate}, func(w io.Writer) {
		fmt.Fprintf(w, "maker\t%s\nmodel\t%s\nrevision\t%s\nclasses\t%v\nprofile\t%s\nfastest\t%d bit/s\n",
			id.Manufacturer, id.Model, id.Revision, id.Classes, id.Profile, caps.MaxRate)
	})
}

func printTable(s streams, c *callFlags, v any, rows func(io.Writer)) int {
	if c.json {
		if err := json.NewEncoder(s.out).Encode(v); err != nil {
			return exitLocal
		}
		return exitOK
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	rows(w)
	if err := w.Flush(); err != nil {
		return exitLocal
	}
	return exitOK
}
