package modem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/modem/at"
)

// ErrNoModem is returned by Open and New when nothing on the port answers as a modem. The text says what was heard.
var ErrNoModem = errors.New("modem: no modem answers")

const (
	syncWait  = 700 * time.Millisecond
	syncTries = 3
	syncDTR   = 700 * time.Millisecond // DTR off before the last try: longer than any modem's S25
	queryWait = 2 * time.Second
	// syncTime bounds the search for a modem on a port, whatever is at its other end: then it is ErrNoModem.
	syncTime = 12 * time.Second
	// maxIdentity bounds one identity text, in octets.
	maxIdentity = 400
)

// Identity is what a modem tells of itself, and what was made of it.
type Identity struct {
	Manufacturer string   // +FMI?, of a modem of Class 2 +FMFR?
	Model        string   // +FMM?, +FMDL?
	Revision     string   // +FMR?, +FREV?
	Info         []string // ATI, ATI3, ATI6, +GMI?
	USB          string   // vendor and product, "0572:1340"; "" if it is no USB device
	Classes      []string // +FCLASS=?: "0", "1", "1.0", "2", "2.0", "2.1", ...
	Profile      string   // the quirk profile taken for it
	Title        string   // the family of modems it is for
	Class        string   // the service class it is used in
	Why          string   // why this class, a sentence
}

// HasClass tells whether the modem offers a service class ("1", "2.0").
func (id Identity) HasClass(class string) bool {
	for _, c := range id.Classes {
		if c == class {
			return true
		}
	}
	return false
}

// String is the identity in one line.
func (id Identity) String() string {
	parts := append([]string{id.Manufacturer, id.Model, id.Revision}, id.Info...)
	var used []string
	for _, s := range parts {
		if s != "" {
			used = append(used, s)
		}
	}
	return strings.Join(used, " ")
}

// identify finds a modem on the channel and asks who it is.
func identify(ctx context.Context, ch *at.Channel) (Identity, error) {
	var id Identity
	if err := synchronize(ctx, ch); err != nil {
		return id, err
	}
	a := asker{ch: ch}
	for _, cmd := range []string{"ATI", "ATI3", "ATI6"} {
		a.info(ctx, &id, cmd)
	}
	id.Manufacturer, id.Model, id.Revision = a.one(ctx, "AT+FMI?"), a.one(ctx, "AT+FMM?"), a.one(ctx, "AT+FMR?")
	if id.Manufacturer == "" {
		id.Manufacturer, id.Model, id.Revision = a.one(ctx, "AT+FMFR?"), a.one(ctx, "AT+FMDL?"), a.one(ctx, "AT+FREV?")
	}
	if id.Manufacturer == "" {
		a.info(ctx, &id, "AT+GMI?")
	}
	id.Classes = parseClasses(a.ask(ctx, "AT+FCLASS=?"))
	if a.err != nil {
		return id, fmt.Errorf("modem: identify: %w", a.err)
	}
	return id, nil
}

// asker puts questions that a modem need not know; its first error ends them.
type asker struct {
	ch   *at.Channel
	dumb bool // the last question was not answered at all
	err  error
}

func (a *asker) ask(ctx context.Context, cmd string) []string {
	if a.err != nil {
		return nil
	}
	r, err := a.ch.Command(ctx, cmd, queryWait)
	if errors.Is(err, at.ErrNoReply) && !a.dumb { // it answers AT, but not this
		a.dumb = true
		return nil
	}
	if a.err = err; err != nil || r.Code != at.OK {
		return nil
	}
	a.dumb = false
	return r.Info
}

func (a *asker) one(ctx context.Context, cmd string) string {
	text := strings.Join(a.ask(ctx, cmd), " ")
	if len(text) > maxIdentity {
		text = strings.ToValidUTF8(text[:maxIdentity], "")
	}
	return unprefixed(text)
}

func (a *asker) info(ctx context.Context, id *Identity, cmd string) {
	if s := a.one(ctx, cmd); s != "" {
		id.Info = append(id.Info, s)
	}
}

// synchronize gets an OK out of the modem whatever state it was left in. A port without a modem takes it 12 s at most.
func synchronize(ctx context.Context, ch *at.Channel) error {
	limited, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	var heard []string
	taken := true // the port takes what is written to it
	for i := range syncTries {
		if err := rouse(limited, ch, i); err != nil && limited.Err() == nil {
			return fmt.Errorf("modem: %w", err)
		}
		r, err := ch.Command(limited, "ATQ0V1E0", syncWait)
		if err == nil && r.Code == at.OK {
			return nil
		}
		heard = append(heard, r.Info...)
		switch {
		case err == nil:
			heard = append(heard, r.Text)
		case limited.Err() != nil && ctx.Err() == nil:
			taken = false
		case !errors.Is(err, at.ErrNoReply):
			return fmt.Errorf("modem: %w", err)
		}
	}
	switch n := ch.Received(); {
	case !taken:
		return fmt.Errorf("%w: the port takes no data (flow control holds it)", ErrNoModem)
	case n == 0:
		return fmt.Errorf("%w: nothing heard in answer to AT", ErrNoModem)
	case len(heard) == 0:
		return fmt.Errorf("%w: %d octets heard, but no line: wrong speed or no modem", ErrNoModem, n)
	default:
		return fmt.Errorf("%w: heard %.80q instead of OK", ErrNoModem, strings.Join(heard, " | "))
	}
}

// rouse is what goes before another try: the end of a page or frame of a program that died, then circuit 108, which puts a modem
// out of any state that it is still aware of (AT&D2).
func rouse(ctx context.Context, ch *at.Channel, try int) error {
	if try == 0 {
		return nil
	}
	ch.Purge()
	if try < syncTries-1 {
		return ch.EndData(ctx)
	}
	if err := ch.SetDTR(false); err != nil {
		return err
	}
	select {
	case <-time.After(syncDTR):
	case <-ctx.Done():
	}
	return ch.SetDTR(true)
}

// unprefixed takes "+FMI:", or "+FMFR=" as early MultiTech have it, and quotation marks off an answer.
func unprefixed(s string) string {
	if i := strings.IndexAny(s, ":="); i > 0 && s[0] == '+' {
		s = s[i+1:]
	}
	return strings.Trim(s, "\" ")
}

// parseClasses reads the answer to +FCLASS=?: "0,1,1.0", "(0,1,2)", "+FCLASS: (0-2)".
func parseClasses(lines []string) []string {
	var classes []string
	for _, s := range lines {
		for _, f := range strings.FieldsFunc(unprefixed(s), func(r rune) bool { return strings.ContainsRune("(),; \t\"", r) }) {
			if lo, hi, ok := strings.Cut(f, "-"); ok && len(lo) == 1 && len(hi) == 1 {
				for c := lo[0]; c <= hi[0] && c >= '0' && c <= '9'; c++ {
					classes = append(classes, string(c))
				}
				continue
			}
			if strings.Trim(f, "0123456789.") == "" && len(classes) < 16 {
				classes = append(classes, f)
			}
		}
	}
	return classes
}
