package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

const queueUsage = "queue [list | show ID | cancel ID | retry ID | mail [ID] | retry-mail | give-up-mail ID] [--all] [--data DIR] [--json]"

func queueMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, queueUsage)
	all := fs.Bool("all", false, "list ended jobs too; with mail: delivered mail too")
	return runVerbs(ctx, s, fs, args, func(f *clientFlags) []verb {
		return []verb{
			{"list", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				jobs, err := a.Jobs(ctx, control.JobFilter{Active: !*all})
				if err != nil {
					return err
				}
				return show(s, f, jobs, func(w io.Writer) { jobRows(w, jobs) })
			}},
			{"show", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				j, err := a.Job(ctx, words[0])
				if err != nil {
					return err
				}
				return show(s, f, j, func(w io.Writer) { jobDetail(w, j) })
			}},
			{"cancel", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return a.CancelJob(ctx, words[0])
			}},
			{"retry", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return a.RetryJob(ctx, words[0])
			}},
			{"mail", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				list := a.Mail
				if *all {
					list = func(ctx context.Context) ([]control.Mail, error) { return a.SentMail(ctx, 0) }
				}
				mail, err := list(ctx)
				if err != nil {
					return err
				}
				return show(s, f, mail, func(w io.Writer) { mailRows(w, mail) })
			}},
			{"mail", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				m, err := a.MailItem(ctx, words[0])
				if err != nil {
					return err
				}
				return show(s, f, m, func(w io.Writer) { mailDetail(w, m) })
			}},
			{"give-up-mail", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return a.GiveUpMail(ctx, words[0])
			}},
			{"retry-mail", 0, func(ctx context.Context, a control.Appliance, _ []string) error { return a.RetryMail(ctx) }},
		}
	})
}

func jobRows(w io.Writer, jobs []control.Job) {
	fmt.Fprintln(w, "ID\tTO\tSTATE\tPAGES\tCALLS\tNEXT\tFROM\t")
	for _, j := range jobs {
		next := ""
		if !j.State.Final() && !j.Next.IsZero() {
			next = j.Next.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%d\t%s\t%s\t%s\n", j.ID, j.Number, j.State, j.Confirmed, j.Pages, j.Tries, next, j.From, j.Text)
	}
}

func jobDetail(w io.Writer, j control.Job) {
	jobRows(w, []control.Job{j})
	for _, a := range j.Attempts {
		fmt.Fprintf(w, "call %s\t%s\t%s\t%s\t%d pages\t%s\t%s\n", a.CallID, a.Start.Local().Format(time.DateTime), a.Line, a.RemoteID, a.Pages, a.Modulation, a.Text)
	}
	for _, p := range j.Proofs {
		fmt.Fprintf(w, "sender\t%s\n", p)
	}
}

func mailRows(w io.Writer, mail []control.Mail) {
	fmt.Fprintln(w, "ID\tKIND\tTO\tTRIES\tSTATE\tSUBJECT\t")
	for _, m := range mail {
		fmt.Fprintf(w, "%s\t%s\t%v\t%d\t%s\t%s\t%s\n", m.ID, m.Kind, append(slices.Clone(m.To), m.Done...), m.Tries, m.State, m.Subject, m.Text)
	}
}

// mailDetail shows one message with what was said in each attempt that is kept.
func mailDetail(w io.Writer, m control.Mail) {
	mailRows(w, []control.Mail{m})
	for _, a := range m.Attempts {
		fmt.Fprintf(w, "\n%s, %.1f s: %s: %s\n", a.At.Local().Format(time.DateTime), a.Seconds, a.Outcome, a.Reply)
		if a.Remedy != "" {
			fmt.Fprintln(w, "What to do:", a.Remedy)
		}
		for _, line := range a.Transcript {
			fmt.Fprintln(w, "   ", line)
		}
	}
}
