package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

var (
	// errStepFailed is returned when a step of a connector's test failed.
	errStepFailed = errors.New("the connector does not work yet: see the steps that failed")
	// errNotSignedIn is returned when a sign-in was declined, or its code was not used in time.
	errNotSignedIn = errors.New("nobody has signed in")
)

// testConnector walks a connector and shows each step.
func testConnector(ctx context.Context, a control.Appliance, s streams, f *clientFlags, q control.ConnectorQuestion) error {
	res, err := a.TestConnector(ctx, q)
	if err != nil {
		return err
	}
	if err := show(s, f, res, func(w io.Writer) {
		for _, step := range res.Steps {
			stepRows(w, step)
		}
	}); err != nil {
		return err
	}
	if !res.OK {
		return errStepFailed
	}
	return nil
}

func stepRows(w io.Writer, s control.ConnectorStep) {
	fmt.Fprintf(w, "%-8s %s: %s\n", s.State, s.Name, s.Found)
	for _, d := range s.Details {
		fmt.Fprintf(w, "         | %s\n", d)
	}
	for _, part := range []struct{ label, text string }{{"to do", s.Remedy}, {"DNS", s.Record}, {"PowerShell", s.PowerShell}} {
		if part.text != "" {
			fmt.Fprintf(w, "         %s: %s\n", part.label, part.text)
		}
	}
}

// signInPoll is how often the appliance is asked whether somebody has signed in.
const signInPoll = time.Second

// signInConnector shows address and code, and waits until somebody has used them.
func signInConnector(ctx context.Context, a control.Appliance, s streams, f *clientFlags, name string) error {
	now, err := a.SignIn(ctx, name)
	if err != nil {
		return err
	}
	if now.State == control.SignInWaiting && !f.json {
		fmt.Fprintf(s.out, "Open %s in any browser, type the code %s and sign in as %s, before %s.\n", now.URL, now.Code, now.Mailbox, now.Expires.Local().Format("15:04"))
	}
	for now.State == control.SignInWaiting {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(signInPoll):
		}
		if now, err = a.SignInState(ctx, name); err != nil {
			return err
		}
	}
	if now.State != control.SignInDone {
		return fmt.Errorf("%w: %s", errNotSignedIn, now.Text)
	}
	return show(s, f, now, func(w io.Writer) { fmt.Fprintf(w, "Signed in as %s.\n", now.Mailbox) })
}
