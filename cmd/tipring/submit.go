package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tipring/tipring/appliance/control"
)

const submitUsage = "submit --to NUMBER [--from MAILBOX] [--subject TEXT] [--text TEXT] [--data DIR] [--json] FILE..."

func submitMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, submitUsage)
	var sub control.Submission
	fs.StringVar(&sub.To, "to", "", "`number` to fax to")
	fs.StringVar(&sub.From, "from", "", "`mailbox` that gets the final notice")
	fs.StringVar(&sub.Subject, "subject", "", "shown in queue and notice")
	fs.StringVar(&sub.Text, "text", "", "cover `text` before the files")
	flags := addClientFlags(fs)
	names, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	if sub.To == "" || len(names) == 0 && sub.Text == "" {
		return usageError(s, fs, "submit needs --to and at least one file")
	}
	if sub.Files, err = readSubmission(names); err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitUsage
	}
	return withAppliance(s, flags, func(a control.Appliance) error {
		j, err := a.Submit(ctx, sub)
		if err != nil {
			return err
		}
		return show(s, flags, j, func(w io.Writer) {
			fmt.Fprintf(w, "job %s to %s is accepted; `tipring queue show %s` tells how it fares\n", j.ID, j.Number, j.ID)
		})
	})
}

func readSubmission(names []string) ([]control.SubmissionFile, error) {
	var files []control.SubmissionFile
	left := int64(control.MaxSubmission)
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil {
			return nil, err
		}
		if left -= info.Size(); !info.Mode().IsRegular() || left < 0 {
			return nil, fmt.Errorf("%s: a submission is made of plain files, %d MB together at most", n, control.MaxSubmission>>20)
		}
		b, err := os.ReadFile(n)
		if err != nil {
			return nil, err
		}
		files = append(files, control.SubmissionFile{Name: filepath.Base(n), Data: b})
	}
	return files, nil
}
