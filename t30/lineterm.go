package t30

import (
	"context"
	"errors"
	"time"
)

// Originate runs s as the calling station over a Line that has just been answered, and hangs up. The far end's first
// frame is waited for within T1.
func Originate(ctx context.Context, l Line, s Session) (Report, error) {
	return originate(ctx, l, s, time.Now())
}

func originate(ctx context.Context, l Line, s Session, start time.Time) (Report, error) {
	c := newCall(ctx, l, s)
	c.rep.Start = start
	c.caller, c.tx.docs = true, s.Send
	rep, err := c.run(placeIdentify)
	rep.offHook(start, KindDial)
	return rep, err
}

// Answer runs s as the called station over a Line on which CED has just been sent, and hangs up.
func Answer(ctx context.Context, l Line, s Session) (Report, error) {
	return newCall(ctx, l, s).run(placeOffer)
}

// NewTerminal runs T.30 over a Phone.
func NewTerminal(p Phone) Terminal { return &lineTerminal{phone: p} }

type lineTerminal struct{ phone Phone }

func (t *lineTerminal) Capabilities() Capabilities { return t.phone.Capabilities() }

// Call implements Terminal.
func (t *lineTerminal) Call(ctx context.Context, number string, s Session) (Report, error) {
	start := time.Now()
	l, v34, err := t.dial(ctx, number, s)
	if err != nil {
		rep, err := notConnected(ctx, start, KindDial, err)
		if v34 && (rep.Code == CodeNoCarrier || rep.Code == CodeNoFax) {
			rep.Trouble = TroubleV34
		}
		return rep, err
	}
	return originate(ctx, l, s, start)
}

// WaitCall implements Terminal.
func (t *lineTerminal) WaitCall(ctx context.Context) (Incoming, error) {
	r, err := t.phone.WaitRing(ctx)
	if err != nil {
		return nil, err
	}
	return &lineIncoming{r}, nil
}

type lineIncoming struct{ Ringing }

// Answer implements Incoming.
func (i *lineIncoming) Answer(ctx context.Context, m AnswerMode, s Session) (Report, error) {
	start := time.Now()
	l, err := i.answer(ctx, m, s)
	if err != nil {
		return notConnected(ctx, start, KindAnswer, err)
	}
	rep, err := Answer(ctx, l, s)
	rep.offHook(start, KindAnswer)
	return rep, err
}

// notConnected reports a call that came to no Line.
func notConnected(ctx context.Context, start time.Time, k Kind, err error) (Report, error) {
	rep := Report{Start: start, End: time.Now(), Text: err.Error()}
	rep.offHook(start, k)
	var refused *CallError
	switch {
	case ctx.Err() != nil:
		rep.Code = CodeCanceled
		return rep, context.Cause(ctx)
	case errors.As(err, &refused):
		rep.Code, rep.Text = refused.Code, refused.Text
		return rep, nil
	case errors.Is(err, ErrRinging):
		rep.Code = CodeGlare
	case errors.Is(err, ErrVoice):
		rep.Code = CodeVoice
	case errors.Is(err, ErrData):
		rep.Code = CodeData
	default:
		rep.Code = CodeModem
	}
	return rep, err
}
