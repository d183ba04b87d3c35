package appliance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/smtpstack/token"
)

// signIn is the sign-in of a connector by device code. Its worker alone runs it.
type signIn struct {
	need chan struct{} // holds one when mail needs a person
	ask  chan struct{} // holds one when somebody asks for a code

	mu      sync.Mutex
	now     control.SignIn
	ended   int           // how many have ended
	changed chan struct{} // closed and replaced when now changes
}

func (s *signIn) begin(c SendConfig) {
	s.need, s.ask, s.changed = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	s.now = control.SignIn{Connector: c.Name, Mailbox: c.Username, State: control.SignInNone}
}

func (s *signIn) state() control.SignIn {
	now, _, _ := s.watch()
	return now
}

// watch returns the state, how many sign-ins have ended, and what is closed when the state changes.
func (s *signIn) watch() (now control.SignIn, ended int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.ended, s.changed
}

// set changes the state.
func (s *signIn) set(f func(*control.SignIn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.now)
	close(s.changed)
	s.changed = make(chan struct{})
}

// signal puts one into a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// drain takes it out.
func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// watchedToken is a token source that tells when its refresh token is no good.
type watchedToken struct {
	*token.Device
	signIn *signIn
}

// Token implements send.TokenSource.
func (w *watchedToken) Token(ctx context.Context) (string, error) {
	t, err := w.Device.Token(ctx)
	if needsPerson(err) {
		signal(w.signIn.need)
	}
	return t, err
}

// refused is the token endpoint's refusal that somebody has to see to; nil: there is none.
func refused(err error) *token.Error {
	var refusal *token.Error
	if errors.As(err, &refusal) && refusal.Remedy() != "" {
		return refusal
	}
	return nil
}

// needsPerson tells whether an error goes away when somebody signs in.
func needsPerson(err error) bool {
	var refusal *token.Error
	return errors.Is(err, token.ErrSignIn) || errors.As(err, &refusal) && refusal.Code == "invalid_grant"
}

// signInCheck is how often a refresh token is tried, so that one that was revoked is noticed before mail is, and one that is
// seldom used does not expire.
const signInCheck = 12 * time.Hour

// signInAgain is the wait after a sign-in that could not begin for want of network.
const signInAgain = 5 * time.Minute

const signInAlarmPrefix = "mail-sign-in/"

func signInAlarm(name string) string { return signInAlarmPrefix + name }

// watchSignIns looks after the connectors that a person signs in for.
func (a *Appliance) watchSignIns(ctx context.Context) {
	for _, c := range a.connectors {
		if c.device != nil {
			a.sup.start(ctx, "sign-in "+c.cfg.Name, func(ctx context.Context) error { return a.watchSignIn(ctx, c) })
		}
	}
}

// watchSignIn begins a sign-in by itself when one is needed; when its code expires, the next is asked for by command.
func (a *Appliance) watchSignIn(ctx context.Context, c *connector) error {
	for {
		wait := signInCheck
		if _, err := c.device.Token(ctx); err == nil {
			c.signIn.set(func(s *control.SignIn) { s.State = control.SignInDone })
			a.alarms.Clear(signInAlarm(c.cfg.Name))
		} else if refusal := refused(err); refusal != nil && !needsPerson(err) {
			a.alarms.Raise(signInAlarm(c.cfg.Name), fmt.Sprintf("The token endpoint refuses the send connector %s: %s; mail waits.", c.cfg.Name, oneLine(err)), refusal.Remedy())
		} else if needsPerson(err) && c.signIn.state().State != control.SignInFailed {
			if a.runSignIn(ctx, c); c.signIn.state().State == control.SignInDone {
				continue
			}
		}
		if c.signIn.state().State == control.SignInNone {
			wait = signInAgain
		}
		drain(c.signIn.need)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.signIn.need:
		case <-time.After(wait):
		case <-c.signIn.ask:
			a.runSignIn(ctx, c)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// runSignIn shows a code and waits for a person to use it.
func (a *Appliance) runSignIn(ctx context.Context, c *connector) {
	name := c.cfg.Name
	err := c.device.SignIn(ctx, func(p token.Prompt) {
		c.signIn.set(func(n *control.SignIn) {
			n.State, n.URL, n.Code, n.Expires, n.Text = control.SignInWaiting, p.URL, p.Code, p.Expires, ""
		})
		a.alarms.Raise(signInAlarm(name), fmt.Sprintf("The send connector %s needs somebody to sign in as %s; till then mail waits.", name, c.cfg.Username),
			fmt.Sprintf("Open %s in any browser, type the code %s and sign in as %s, before %s. A new code: tipring connector sign-in %s.", p.URL, p.Code, c.cfg.Username, p.Expires.Local().Format("15:04"), name))
	})
	drain(c.signIn.ask)
	a.endSignIn(ctx, c, err)
}

// endSignIn lets held mail go, or says what is wrong.
func (a *Appliance) endSignIn(ctx context.Context, c *connector, err error) {
	name := c.cfg.Name
	c.signIn.set(func(n *control.SignIn) {
		n.URL, n.Code, n.State, n.Text = "", "", control.SignInDone, ""
		c.signIn.ended++
		if err != nil {
			n.State, n.Text = control.SignInNone, oneLine(err)
			if refusal := refused(err); refusal != nil {
				n.State, n.Text = control.SignInFailed, n.Text+". "+refusal.Remedy()
			}
		}
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.log.Warn("sign-in", "connector", name, "err", err)
		a.alarms.Raise(signInAlarm(name), fmt.Sprintf("Nobody has signed in for the send connector %s; mail waits. %s", name, c.signIn.state().Text),
			fmt.Sprintf("Get a new code with \"tipring connector sign-in %s\", and sign in as %s.", name, c.cfg.Username))
	default:
		a.log.Info("signed in", "connector", name)
		a.alarms.Clear(signInAlarm(name))
		if _, err := a.q.ReleaseHeld(name); err != nil {
			a.log.Error("held mail", "err", err)
		}
	}
}

// SignIn implements [control.Connectors].
func (a *Appliance) SignIn(ctx context.Context, name string) (control.SignIn, error) {
	c, err := a.deviceConnector(name)
	if err != nil {
		return control.SignIn{}, err
	}
	_, before, _ := c.signIn.watch()
	for {
		now, ended, changed := c.signIn.watch()
		if now.State == control.SignInWaiting || ended > before {
			return now, nil
		}
		signal(c.signIn.ask)
		select {
		case <-changed:
		case <-ctx.Done():
			return control.SignIn{}, ctx.Err()
		}
	}
}

// SignInState implements [control.Connectors].
func (a *Appliance) SignInState(_ context.Context, name string) (control.SignIn, error) {
	c, err := a.deviceConnector(name)
	if err != nil {
		return control.SignIn{}, err
	}
	return c.signIn.state(), nil
}

func (a *Appliance) deviceConnector(name string) (*connector, error) {
	c := a.connector(name)
	switch {
	case c == nil:
		return nil, fmt.Errorf("%w: send connector %q", control.ErrNotFound, name)
	case c.device == nil:
		return nil, fmt.Errorf("%w: send connector %q does not sign in by device code (oauth = \"device\")", control.ErrConflict, name)
	}
	return c, nil
}
