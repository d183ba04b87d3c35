package modem

import (
	"context"
	"sync"

	"github.com/tipring/tipring/t30"
)

// Capabilities implements [t30.Terminal].
func (m *Modem) Capabilities() t30.Capabilities { return m.term.Capabilities() }

// oneByOne makes f, which may be nil, be called once at a time: the engine lets a pause run beside its own work, and the port's
// lines come from there.
func oneByOne(f func(t30.Event)) func(t30.Event) {
	if f == nil {
		return nil
	}
	var mu sync.Mutex
	return func(e t30.Event) {
		mu.Lock()
		defer mu.Unlock()
		f(e)
	}
}

// Call implements [t30.Terminal]. The session's transcript has the AT lines too.
func (m *Modem) Call(ctx context.Context, number string, s t30.Session) (t30.Report, error) {
	s.Trace = oneByOne(s.Trace)
	defer m.follow(s.Trace)()
	r, err := m.term.Call(ctx, number, m.record.session(StepCall, number, 0, s))
	m.record.ended(r, err)
	return r, err
}

// WaitCall implements [t30.Terminal].
func (m *Modem) WaitCall(ctx context.Context) (t30.Incoming, error) {
	m.record.step(StepWait, nil)
	in, err := m.term.WaitCall(ctx)
	if err != nil {
		return nil, err
	}
	return incoming{in, m}, nil
}

// follow gives the port's lines to f as well, until the function it returns is called.
func (m *Modem) follow(f func(t30.Event)) func() {
	if f == nil {
		return func() {}
	}
	m.ch.SetTrace(func(e t30.Event) {
		if m.trace != nil {
			m.trace(e)
		}
		f(e)
	})
	return func() { m.ch.SetTrace(m.trace) }
}

type incoming struct {
	t30.Incoming
	m *Modem
}

// Answer implements [t30.Incoming].
func (in incoming) Answer(ctx context.Context, mode t30.AnswerMode, s t30.Session) (t30.Report, error) {
	s.Trace = oneByOne(s.Trace)
	defer in.m.follow(s.Trace)()
	r, err := in.Incoming.Answer(ctx, mode, in.m.record.session(StepAnswer, "", mode, s))
	in.m.record.ended(r, err)
	return r, err
}
