package appliance

import (
	"context"
	"slices"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
)

// Mail implements [control.View].
func (a *Appliance) Mail(context.Context) ([]control.Mail, error) {
	list, err := a.q.Unsent()
	return a.mailViews(list), err
}

// SentMail implements [control.View].
func (a *Appliance) SentMail(_ context.Context, limit int) ([]control.Mail, error) {
	list, err := a.q.Outs(listLimit(limit))
	return a.mailViews(list), err
}

// MailItem implements [control.View].
func (a *Appliance) MailItem(_ context.Context, id string) (control.Mail, error) {
	o, err := a.q.Out(queue.OutID(id))
	if err != nil {
		return control.Mail{}, known(err)
	}
	log, err := a.q.OutLog(o.ID)
	m := a.mailView(o)
	for _, l := range log {
		m.Attempts = append(m.Attempts, control.MailAttempt{At: l.At, Seconds: l.Took.Seconds(), Outcome: l.Outcome, Reply: l.Reply, Remedy: l.Remedy, Transcript: l.Transcript})
	}
	return m, err
}

func (a *Appliance) mailViews(list []queue.Out) []control.Mail {
	out := make([]control.Mail, 0, len(list))
	for _, o := range list {
		out = append(out, a.mailView(o))
	}
	return out
}

func (a *Appliance) mailView(o queue.Out) control.Mail {
	return control.Mail{ID: string(o.ID), Kind: string(o.Kind), To: slices.Concat(o.To, o.Waiting), Done: o.Done, Subject: a.g.OutSubject(o), Tries: o.Attempts, Next: o.NotBefore,
		Held: o.State == queue.OutHeld, State: string(o.State), Text: o.LastReply, Created: o.Created, Ended: o.Ended}
}
