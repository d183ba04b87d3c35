package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

const connectorUsage = "connector test NAME [--to MAILBOX] [--address IP] | sign-in NAME | log | dkim | check-sender FILE --connector NAME --client IP [--helo NAME] [--from ADDRESS] [--data DIR] [--json]"

// connectorMain walks a connector, signs one in, asks a receive connector what it makes of a message's sender, and prints what
// our mail's signature needs in DNS.
func connectorMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, connectorUsage)
	var q control.SenderQuestion
	fs.StringVar(&q.Connector, "connector", "", "`name` of the receive connector")
	fs.StringVar(&q.Client, "client", "", "IP address of the host that sent the message")
	fs.StringVar(&q.Helo, "helo", "", "what it said in EHLO")
	fs.StringVar(&q.From, "from", "", "MAIL FROM; empty: the null sender")
	var test control.ConnectorQuestion
	fs.StringVar(&test.To, "to", "", "`mailbox` for the test message; default: mail.fallback")
	fs.StringVar(&test.Address, "address", "", "our `IP` address as the Internet sees it; default: found out where possible")
	return runVerbs(ctx, s, fs, args, func(f *clientFlags) []verb {
		return []verb{{"test", 1, func(ctx context.Context, a control.Appliance, words []string) error {
			test.Name = words[0]
			return testConnector(ctx, a, s, f, test)
		}}, {"sign-in", 1, func(ctx context.Context, a control.Appliance, words []string) error {
			return signInConnector(ctx, a, s, f, words[0])
		}}, {"log", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
			list, err := a.Refusals(ctx)
			if err != nil {
				return err
			}
			return show(s, f, list, func(w io.Writer) {
				for _, r := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.At.Local().Format(time.DateTime), r.Connector, r.Client, r.Reply, r.Command)
				}
			})
		}}, {"dkim", 0, func(ctx context.Context, a control.Appliance, _ []string) error {
			list, err := a.DKIMRecords(ctx)
			if err != nil {
				return err
			}
			return show(s, f, list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "our mail is not signed: set mail.dkim_key")
				}
				for _, r := range list {
					fmt.Fprintf(w, "%s TXT \"%s\"\n", r.Name, r.Text)
				}
			})
		}}, {"check-sender", 1, func(ctx context.Context, a control.Appliance, words []string) error {
			var err error
			if q.Message, err = readBounded(words[0], control.MaxSubmission); err != nil {
				return err
			}
			r, err := a.CheckSender(ctx, q)
			if err != nil {
				return err
			}
			return show(s, f, r, func(w io.Writer) {
				verdict := "taken"
				if !r.Taken {
					verdict = "refused: " + r.Reply
				}
				fmt.Fprintf(w, "%s\n%s\n", verdict, strings.Join(r.Proofs, "\n"))
			})
		}}}
	})
}
