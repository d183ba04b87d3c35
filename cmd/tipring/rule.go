package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/tipring/tipring/appliance/control"
)

const ruleUsage = "rule [list | add PATTERN | remove ID | test NUMBER] [--deny] [--note TEXT] [--user WHO] [--data DIR] [--json]"

func ruleMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, ruleUsage)
	deny := fs.Bool("deny", false, "the rule denies the numbers instead of permitting them")
	note := fs.String("note", "", "why, for people; shown when the rule denies")
	who := fs.String("user", "", "test: may this sender, by mail `address`, fax to the number?")
	return runVerbs(ctx, s, fs, args, func(f *clientFlags) []verb {
		return []verb{
			{"list", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
				list, err := a.DialRules(ctx)
				if err != nil {
					return err
				}
				return show(s, f, list, func(w io.Writer) { ruleRows(w, list) })
			}},
			{"add", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				r, err := a.AddDialRule(ctx, control.DialRule{Pattern: words[0], Deny: *deny, Note: *note})
				if err != nil {
					return err
				}
				return show(s, f, r, func(w io.Writer) { ruleRows(w, []control.DialRule{r}) })
			}},
			{"remove", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return a.RemoveDialRule(ctx, words[0])
			}},
			{"test", 1, func(ctx context.Context, a control.Appliance, words []string) error {
				return testRule(ctx, a, s, f, words[0], *who)
			}},
		}
	})
}

func ruleRows(w io.Writer, list []control.DialRule) {
	fmt.Fprintln(w, "ID\tNUMBERS\t\tNOTE")
	for _, r := range list {
		what := "permitted"
		if r.Deny {
			what = "denied"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.ID, r.Pattern, what, r.Note)
	}
}

// testRule says whether a number may be dialed, and whether who may fax to it.
func testRule(ctx context.Context, a control.Appliance, s streams, f *clientFlags, number, who string) error {
	type answer struct {
		control.RuleResult
		Sender *control.PermissionResult `json:"sender,omitempty"`
	}
	var out answer
	var err error
	if out.RuleResult, err = a.TestRule(ctx, number); err != nil {
		return err
	}
	if who != "" {
		p, err := a.TestPermission(ctx, who, number)
		if err != nil {
			return err
		}
		out.Sender = &p
	}
	return show(s, f, out, func(w io.Writer) {
		verdict := map[bool]string{true: "may be dialed", false: "may not be dialed"}
		fmt.Fprintf(w, "%s %s: %s\n", out.Number, verdict[out.Allowed], out.Reason)
		if p := out.Sender; p != nil {
			may := map[bool]string{true: "may fax there", false: "may not fax there"}
			fmt.Fprintf(w, "%s %s: %s\n%s\n", who, may[p.Allowed], p.Reason, strings.Join(p.Steps, "\n"))
		}
	})
}
