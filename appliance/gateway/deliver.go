package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/send"
)

// DeliverFunc hands one mail on; see [send.Sender].
type DeliverFunc func(ctx context.Context, m send.Message) send.Report

const (
	quotaPause    = 2 * time.Hour // a full mailbox is emptied by people
	throttlePause = 5 * time.Minute
	// lateAfter is when a mail that is still on its way is an operator's business.
	lateAfter = time.Hour
)

// Deliver sends the outbox until ctx ends; several may run, so that a mail server that hangs does not keep the others' mail. Nothing in it is ever dropped: what is refused for good goes to the fallback
// mailbox, and what that refuses is held.
func (g *Gateway) Deliver(ctx context.Context) error {
	for {
		changed, now := g.q.Changed(), time.Now()
		o, ok, err := g.q.NextOut(now)
		if err == nil && !ok {
			o, ok, err = g.nextProbe()
		}
		if err != nil {
			return err
		}
		if ok {
			if err := g.deliver(ctx, o); err != nil {
				return err
			}
			continue
		}
		at, err := g.nextDelivery()
		if err != nil {
			return err
		}
		if err := g.q.Rest(ctx, time.Since(now)); err != nil {
			return err
		}
		if err := g.idle(ctx, changed, at); err != nil {
			return err
		}
	}
}

// deliver tries one item once and settles it.
func (g *Gateway) deliver(ctx context.Context, o queue.Out) error {
	o, ready, err := g.address(ctx, o)
	if err != nil || !ready {
		return err
	}
	path, err := g.compose(ctx, o)
	var open func() (io.ReadCloser, error)
	var size int64
	if err == nil {
		defer os.Remove(path)
		open, size, err = message.SignedFile(path, g.keysFor(o, path)...)
	}
	if err != nil {
		return g.cannotCompose(ctx, o, err)
	}
	if parted, err := g.partBefore(o, size); err != nil || parted {
		return err
	}
	began := time.Now()
	m, deliver := send.Message{From: g.o.From, To: o.To, Size: size, Open: open}, g.o.Deliver
	if o.Kind == queue.KindRelay {
		if deliver, err = g.relayed(o, &m); err != nil {
			return g.cannotCompose(ctx, o, err)
		}
	}
	rep := deliver(ctx, m)
	a := queue.OutAttempt{At: began, Took: time.Since(began)}
	for _, e := range rep.Transcript {
		a.Transcript = append(a.Transcript, e.String())
	}
	if o.Kind == queue.KindRelay {
		err = g.settleRelay(o, rep.Results, &a, ctx.Err() != nil)
	} else {
		err = g.settle(o, rep.Results, size, &a, ctx.Err() != nil)
	}
	if err != nil {
		return fmt.Errorf("gateway: outbox %s: %w", o.ID, err)
	}
	return ctx.Err()
}

// cannotCompose puts off a mail that could not be written.
func (g *Gateway) cannotCompose(ctx context.Context, o queue.Out, err error) error {
	if ctx.Err() != nil {
		return g.q.RetryOut(o.ID, time.Now(), "the program was stopped")
	}
	g.o.Log.Error("compose mail", "out", o.ID, "err", err)
	remedy := "The received fax itself may be damaged on disk; look at it on the status page."
	if o.Kind == queue.KindRelay {
		remedy = "The mail's file may be damaged or gone; ask its sender to send it again, and check the disk."
	}
	g.alarms.Raise("mail-compose/"+string(o.ID), fmt.Sprintf("The mail %s (%s) cannot be written: %v.", o.ID, o.Kind, err), remedy)
	return g.q.RetryOut(o.ID, time.Now().Add(backoff(o.Attempts)), err.Error())
}

// compose writes the mail to a working file, so that its size is known and a retry inside one delivery costs nothing.
func (g *Gateway) compose(ctx context.Context, o queue.Out) (path string, err error) {
	var m message.Outgoing
	write := func(w io.Writer) error { _, err := m.WriteTo(w); return err }
	switch o.Kind {
	case queue.KindNotice:
		m, err = g.noticeMail(o)
	case queue.KindSummary:
		m, err = g.summaryMail(o)
	case queue.KindReceipt:
		m, err = g.receiptMail(o)
	case queue.KindFax:
		m, err = g.faxMail(ctx, o)
	case queue.KindAlarm:
		m, err = g.alarmMail(o)
	case queue.KindReport:
		m, err = g.reportMail(o)
	case queue.KindRelay:
		write, err = g.relayMail(o)
	default:
		err = fmt.Errorf("gateway: outbox item of unknown kind %q", o.Kind)
	}
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Join(g.st.Dir(), "spool", "tmp"), "out")
	if err != nil {
		return "", err
	}
	if err = errors.Join(write(f), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// settle turns the servers' replies into what becomes of the item. Recipients that were served never are again.
func (g *Gateway) settle(o queue.Out, results []send.Result, size int64, a *queue.OutAttempt, stopped bool) error {
	results, parts, why := g.part(o, results, size)
	v := g.judge(results)
	moved, stuck := g.fallBack(v)
	if len(results) > 0 {
		g.note(o, v, stuck)
	}
	g.forgetRefused(o, v.refused)
	a.Reply, a.Remedy = v.text, v.remedy
	pause := max(v.pause, backoff(o.Attempts))
	if stopped || moved != "" && len(v.left) == 0 {
		pause = 0
	}
	err := g.q.SettleOut(o.ID, a, func(x *queue.Out) error {
		x.Done = append(x.Done, v.done...)
		x.LastReply, x.Bare = v.text, g.isBare(o)
		x.To = slices.Clone(v.left)
		if len(parts) > 0 {
			x.Parted = append(x.Parted, parts[0].To...)
		}
		if moved != "" && !slices.Contains(x.Done, moved) && !slices.Contains(x.Parted, moved) {
			x.To = addMissing(x.To, moved)
		}
		switch {
		case v.hold || v.refusedForGood || len(stuck) > 0:
			x.State, x.To = queue.OutHeld, addMissing(x.To, stuck...)
			x.HeldBy, x.HeldAt, a.Outcome = v.heldBy, time.Now(), "held"
		case len(x.To)+len(x.Waiting) == 0 && len(parts) > 0 && len(x.Done) == 0:
			x.State, x.LastReply = queue.OutSplit, why
			a.Reply, a.Outcome = why, "divided"
		case len(x.To)+len(x.Waiting) == 0:
			x.State, a.Outcome = queue.OutDone, "delivered"
		default:
			x.State, x.NotBefore, a.Outcome = queue.OutPending, time.Now().Add(pause), "waits"
		}
		return nil
	}, parts...)
	if err != nil {
		return err
	}
	return g.afterProbe(o, v)
}

// fallBack says who gets what the refused recipients do not take: the fallback mailbox, unless there is none or it is
// itself refused; then they are stuck.
func (g *Gateway) fallBack(v verdict) (moved string, stuck []string) {
	switch {
	case len(v.refused) == 0:
		return "", nil
	case g.o.Fallback == "", slices.ContainsFunc(v.refused, func(a string) bool { return strings.EqualFold(a, g.o.Fallback) }):
		return "", v.refused
	}
	return g.o.Fallback, nil
}

func addMissing(list []string, more ...string) []string {
	for _, a := range more {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// verdict is what the results of one attempt come to.
type verdict struct {
	done, left, refused []string
	hold                bool     // the configuration is to blame
	heldBy              string   // the connector whose configuration it is; "" unless hold
	worked              []string // connectors that delivered
	refusedForGood      bool     // the mail itself is refused: no mailbox will take it
	pause               time.Duration
	text, remedy        string // of the worst result
	class               smtpstack.Class
}

func (g *Gateway) judge(results []send.Result) verdict {
	var v verdict
	for _, r := range results {
		if r.Class == smtpstack.Delivered {
			v.done, v.worked = append(v.done, r.To), addMissing(v.worked, connectorOf(r))
			if v.text == "" {
				v.text = r.Text()
			}
			continue
		}
		v.text, v.class = r.Text(), r.Class
		switch r.Class {
		case smtpstack.BadRecipient:
			v.refused = append(v.refused, r.To)
			continue
		case smtpstack.Permanent:
			v.refusedForGood = true
		case smtpstack.Configuration:
			v.hold, v.heldBy, v.remedy = true, connectorOf(r), r.Remedy
		case smtpstack.Throttle:
			v.pause = max(v.pause, throttlePause)
		case smtpstack.Quota:
			v.pause = max(v.pause, quotaPause)
		}
		v.pause = max(v.pause, r.RetryAfter) // sooner has no chance: a limit of the day is used up
		v.left = append(v.left, r.To)
	}
	return v
}

// note tells the log and the operator what came of an attempt.
func (g *Gateway) note(o queue.Out, v verdict, stuck []string) {
	log := g.o.Log.With("out", o.ID, "kind", o.Kind, "attempt", o.Attempts)
	switch {
	case v.hold:
		log.Error("mail held", "reply", v.text)
		g.alarms.Raise("mail-held", "The mail server refuses our mail: "+v.text+". Notices, received faxes and mail passed on are held, none is lost.",
			v.remedy+testHint(v.heldBy)+" One of the held mails is tried every 30 minutes; once it is delivered the others follow by themselves. To try all of them now: tipring queue retry-mail.")
	case v.refusedForGood:
		log.Error("mail refused", "reply", v.text)
		g.alarms.Raise("mail-refused/"+string(o.ID), "The mail server refuses a mail for good: "+v.text+". The mail is held.",
			"Received faxes are on the status page. Release it with tipring queue retry-mail once the mail server takes it.")
	case len(stuck) > 0:
		log.Error("recipient refused", "reply", v.text)
		g.alarms.Raise("mail-recipient/"+string(o.ID), "A recipient of our mail does not exist: "+v.text+". The mail is held.",
			"Correct the route, or set send.fallback to a mailbox that exists, and release the mail: tipring queue retry-mail.")
	case len(v.refused) > 0:
		log.Warn("recipient refused, mail goes to the fallback mailbox", "reply", v.text)
	case len(v.left) > 0:
		log.Warn("mail not delivered yet", "reply", v.text)
		if time.Since(o.Created) > lateAfter {
			g.alarms.Raise("mail-late", "Mail is not delivered for more than an hour: "+v.text+".",
				"Check that the mail server is up and reachable from here. Delivery is tried again by itself.")
		}
	default:
		log.Info("mail delivered", "reply", v.text)
		g.alarms.Clear("mail-late")
		g.alarms.Clear("mail-refused/" + string(o.ID))
		g.alarms.Clear("mail-recipient/" + string(o.ID))
		g.alarms.Clear("mail-compose/" + string(o.ID))
	}
}
