package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/tipring/tipring/appliance/control"
)

const (
	routeUsage = "route [list | add MAILBOX... | remove ID | test] [--dialed DIGITS] [--caller DIGITS] [--data DIR] [--json]"
)

func routeMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, routeUsage)
	dialed := fs.String("dialed", "", "our number as dialed; a `*` at the end fits any rest")
	caller := fs.String("caller", "", "the caller's number, likewise")
	return runVerbs(ctx, s, fs, args, func(f *clientFlags) []verb {
		return []verb{
			{"list", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				list, err := a.Routes(ctx)
				if err != nil {
					return err
				}
				return show(s, f, list, func(w io.Writer) { routeRows(w, list) })
			}},
			{"add", -1, func(ctx context.Context, a control.Appliance, words []string) error {
				r, err := a.AddRoute(ctx, control.Route{Dialed: *dialed, Caller: *caller, To: words})
				if err != nil {
					return err
				}
				return show(s, f, r, func(w io.Writer) {
					routeRows(w, []control.Route{r})
					for _, warning := range r.Warnings {
						fmt.Fprintln(w, "warning:", warning)
					}
				})
			}},
			{"remove", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return a.RemoveRoute(ctx, words[0])
			}},
			{"test", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				r, err := a.TestRoute(ctx, *dialed, *caller)
				if err != nil {
					return err
				}
				return show(s, f, r, func(w io.Writer) {
					fmt.Fprintf(w, "%s: %s\n", strings.Join(r.To, " "), r.Reason)
					for _, d := range r.Mailboxes {
						if d.Trouble != "" {
							fmt.Fprintf(w, "%s: %s\n", d.Address, d.Trouble)
							continue
						}
						fmt.Fprintf(w, "%s (%s): %s\n", d.Address, d.Source, strings.Join(d.Mailboxes, " "))
					}
				})
			}},
		}
	})
}

func routeRows(w io.Writer, list []control.Route) {
	fmt.Fprintln(w, "ID\tDIALED\tCALLER\tTO")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.ID, r.Dialed, r.Caller, strings.Join(r.To, " "))
	}
}
