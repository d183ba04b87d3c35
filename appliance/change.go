package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/appliance/store"
)

// Submit implements [control.Control].
func (a *Appliance) Submit(ctx context.Context, s control.Submission) (control.Job, error) {
	id, err := a.g.Submit(s)
	if err != nil {
		return control.Job{}, err
	}
	return a.Job(ctx, string(id))
}

// CancelJob implements [control.Control]. A job on the line ends with its call.
func (a *Appliance) CancelJob(_ context.Context, id string) error {
	return known(a.g.Cancel(queue.JobID(id), "The fax was canceled by an operator."))
}

// RetryJob implements [control.Control].
func (a *Appliance) RetryJob(_ context.Context, id string) error {
	return known(a.q.RetryJob(queue.JobID(id)))
}

// DeleteFax implements [control.Control].
func (a *Appliance) DeleteFax(_ context.Context, id string, force bool) error {
	f, err := a.q.Fax(queue.FaxID(id))
	if err != nil {
		return known(err)
	}
	if f.Delivered.IsZero() && !force {
		return fmt.Errorf("%w: fax %s is not delivered yet", control.ErrConflict, id)
	}
	return known(a.q.DeleteFax(f.ID))
}

// GiveUpMail implements [control.Control].
func (a *Appliance) GiveUpMail(_ context.Context, id string) error {
	return known(a.g.GiveUp(queue.OutID(id)))
}

// RetryMail implements [control.Control].
func (a *Appliance) RetryMail(context.Context) error {
	_, err := a.q.ReleaseOuts()
	return err
}

// Routes implements [control.Control].
func (a *Appliance) Routes(context.Context) ([]control.Route, error) {
	out := []control.Route{}
	err := a.st.View(func(tx *store.Tx) error {
		table, err := routing.Routes(tx)
		for _, r := range table {
			out = append(out, routeView(r))
		}
		return err
	})
	return out, err
}

func routeView(r routing.Rule) control.Route {
	return control.Route{ID: r.ID, Dialed: r.Dialed, Caller: r.Caller, To: r.To}
}

// AddRoute implements [control.Control].
func (a *Appliance) AddRoute(ctx context.Context, r control.Route) (control.Route, error) {
	warnings, err := a.checkRecipients(ctx, r.To)
	if err != nil {
		return r, err
	}
	var rule routing.Rule
	err = a.st.Update(func(tx *store.Tx) (err error) {
		rule, err = routing.AddRoute(tx, routing.Rule{Dialed: r.Dialed, Caller: r.Caller, To: r.To})
		return err
	})
	if errors.Is(err, routing.ErrRule) {
		err = fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	r = routeView(rule)
	r.Warnings = warnings
	return r, known(err)
}

// RemoveRoute implements [control.Control].
func (a *Appliance) RemoveRoute(_ context.Context, id string) error {
	var to []string
	err := a.st.Update(func(tx *store.Tx) error {
		table, err := routing.Routes(tx)
		if i := slices.IndexFunc(table, func(r routing.Rule) bool { return r.ID == id }); i >= 0 {
			to = table[i].To
		}
		return errors.Join(err, routing.RemoveRoute(tx, id))
	})
	if err == nil {
		for _, address := range to {
			a.alarms.Clear(gateway.RecipientAlarm + address) // when another route has it, it comes again
		}
	}
	return known(err)
}

// TestRule implements [control.Control].
func (a *Appliance) TestRule(_ context.Context, number string) (control.RuleResult, error) {
	n, err := queue.NormalizeNumber(number)
	if err != nil {
		return control.RuleResult{}, fmt.Errorf("%w: %q: %w", control.ErrInvalid, number, err)
	}
	return a.g.Permit(n)
}

// TestRoute implements [control.Control].
func (a *Appliance) TestRoute(ctx context.Context, dialed, caller string) (control.RouteResult, error) {
	res := control.RouteResult{To: a.cfg.Routes.Default, Reason: "No route fits: the default of the configuration."}
	err := a.st.View(func(tx *store.Tx) error {
		table, err := routing.Routes(tx)
		if r, ok := table.Find(routing.Incoming{Dialed: dialed, Caller: caller}); ok {
			res.To, res.Reason = r.To, "Route "+r.ID+" fits."
		}
		return err
	})
	if err == nil {
		res.Mailboxes = a.destinations(ctx, res.To)
	}
	return res, err
}

// ClearAlarm implements [control.Control].
func (a *Appliance) ClearAlarm(_ context.Context, code string) error {
	if !a.alarms.Clear(code) {
		return fmt.Errorf("%w: alarm %q", control.ErrNotFound, code)
	}
	return nil
}
