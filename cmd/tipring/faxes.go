package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

const faxesUsage = "faxes [list | show ID | get ID FILE.tif|.pdf | delete ID] [--force] [--data DIR] [--json]"

func faxesMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, faxesUsage)
	force := fs.Bool("force", false, "delete even what was never delivered")
	return runVerbs(ctx, s, fs, args, func(f *clientFlags) []verb {
		return []verb{
			{"list", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				list, err := a.Faxes(ctx, 100)
				if err != nil {
					return err
				}
				return show(s, f, list, func(w io.Writer) { faxRows(w, list) })
			}},
			{"show", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				fax, err := a.Fax(ctx, words[0])
				if err != nil {
					return err
				}
				return show(s, f, fax, func(w io.Writer) { faxRows(w, []control.Fax{fax}) })
			}},
			{"get", 2, func(ctx context.Context, a control.Appliance, words []string) error {
				return getFax(ctx, a, words[0], words[1])
			}},
			{"delete", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return a.DeleteFax(ctx, words[0], *force)
			}},
		}
	})
}

func faxRows(w io.Writer, list []control.Fax) {
	fmt.Fprintln(w, "ID\tAT\tFROM\tLINE\tPAGES\tDELIVERED\tTO\t")
	for _, x := range list {
		from := x.RemoteID
		if from == "" {
			from = x.Caller
		}
		note := ""
		if x.Damaged {
			note = "damaged: " + x.Text
		}
		if x.Fetch {
			note = strings.TrimSpace("to be fetched: tipring faxes get " + x.ID + " FILE  " + note)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%v\t%s\t%s\n", x.ID, x.At.Local().Format(time.DateTime), from, x.Line, x.Pages, x.Delivered, strings.Join(x.To, ","), note)
	}
}

// getFax copies a received fax into a file that must not exist yet; a broken copy is removed.
func getFax(ctx context.Context, a control.Appliance, id, name string) error {
	as := map[string]control.FileType{".tif": control.TIFF, ".tiff": control.TIFF, ".pdf": control.PDF}[strings.ToLower(filepath.Ext(name))]
	if as == "" {
		return fmt.Errorf("%w: %s should end in .tif or .pdf", control.ErrInvalid, name)
	}
	in, err := a.OpenFax(ctx, id, as)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}
