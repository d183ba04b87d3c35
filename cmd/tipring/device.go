package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

const deviceUsage = "device [list | add NAME --sender LIST | remove NAME] [--stdin] [--note TEXT] [--data DIR] [--json]" +
	"\n  a printer or scanner that signs in at a [[receive]] with auth = true; LIST: addresses and domains it may send as, * for all of its connector's." +
	"\n  The password is made up and shown once, or with --stdin read from standard input"

func deviceMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, deviceUsage)
	senders := fs.String("sender", "", "`addresses` and domains the device may send as, with commas between")
	note := fs.String("note", "", "for people")
	stdin := fs.Bool("stdin", false, "read the password from standard input")
	return runVerbs(ctx, s, fs, args, func(f *clientFlags) []verb {
		return []verb{
			{"list", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				all, err := a.Devices(ctx)
				if err != nil {
					return err
				}
				return show(s, f, all, func(w io.Writer) { deviceRows(w, all) })
			}},
			{"add", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				d := control.Device{Name: words[0], Senders: list(*senders), Note: *note}
				if *stdin {
					b, err := io.ReadAll(io.LimitReader(s.in, 1024))
					if err != nil {
						return fmt.Errorf("password: %w", err)
					}
					if d.Password = strings.TrimRight(string(b), "\r\n"); d.Password == "" {
						return fmt.Errorf("%w: no password on standard input", control.ErrInvalid)
					}
				}
				d, err := a.PutDevice(ctx, d)
				if err != nil {
					return err
				}
				return show(s, f, d, func(w io.Writer) {
					fmt.Fprintf(w, "user\t%s\n", d.Name)
					if d.Password != "" {
						fmt.Fprintf(w, "password\t%s\t(it is not shown again)\n", d.Password)
					}
				})
			}},
			{"remove", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return a.RemoveDevice(ctx, words[0])
			}},
		}
	})
}

func deviceRows(w io.Writer, all []control.Device) {
	fmt.Fprintln(w, "NAME\tMAY SEND AS\tSINCE\tNOTE")
	for _, d := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Name, strings.Join(d.Senders, " "), d.Created.Local().Format(time.DateOnly), d.Note)
	}
}
