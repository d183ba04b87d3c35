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
	queryWait = 2 * time.Second
	// maxIdentity bounds one identity text, in octets.
	maxIdentity = 400
)

// Identity is what a modem tells of itself.
type Identity struct {
	Manufacturer string   // +FMI?
	Model        string   // +FMM?
	Revision     string   // +FMR?
	Info         []string // ATI, ATI3
	Classes      []string // +FCLASS=?: "0", "1", "1.0", "2", "2.0", "2.1", ...
	Profile      string   // the quirk profile taken for it
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
	var err error
	ask := func(cmd string) []string {
		if err != nil {
			return nil
		}
		var r at.Reply
		r, err = ch.Command(ctx, cmd, queryWait)
		if errors.Is(err, at.ErrNoReply) { // answers AT, but not this
			err = nil
			return nil
		}
		if r.Code != at.OK {
			return nil
		}
		return r.Info
	}
	one := func(cmd string) string {
		text := strings.Join(ask(cmd), " ")
		if len(text) > maxIdentity {
			text = strings.ToValidUTF8(text[:maxIdentity], "")
		}
		return unprefixed(text)
	}
	for _, cmd := range []string{"ATI", "ATI3"} {
		if s := one(cmd); s != "" {
			id.Info = append(id.Info, s)
		}
	}
	id.Manufacturer, id.Model, id.Revision = one("AT+FMI?"), one("AT+FMM?"), one("AT+FMR?")
	id.Classes = parseClasses(ask("AT+FCLASS=?"))
	if err != nil {
		return id, fmt.Errorf("modem: identify: %w", err)
	}
	return id, nil
}

// synchronize gets an OK out of the modem whatever state it was left in.
func synchronize(ctx context.Context, ch *at.Channel) error {
	var heard []string
	for i := range syncTries {
		if i > 0 { // perhaps it sends a page, or a frame, of a program that died
			if err := ch.EndData(ctx); err != nil {
				return fmt.Errorf("modem: %w", err)
			}
		}
		r, err := ch.Command(ctx, "ATQ0V1E0", syncWait)
		if err == nil && r.Code == at.OK {
			return nil
		}
		heard = append(heard, r.Info...)
		if err == nil {
			heard = append(heard, r.Text)
		} else if !errors.Is(err, at.ErrNoReply) {
			return fmt.Errorf("modem: %w", err)
		}
	}
	switch n := ch.Received(); {
	case n == 0:
		return fmt.Errorf("%w: nothing heard in answer to AT", ErrNoModem)
	case len(heard) == 0:
		return fmt.Errorf("%w: %d octets heard, but no line: wrong speed or no modem", ErrNoModem, n)
	default:
		return fmt.Errorf("%w: heard %.80q instead of OK", ErrNoModem, strings.Join(heard, " | "))
	}
}

// unprefixed takes "+FMI:" and quotation marks off an answer.
func unprefixed(s string) string {
	if strings.HasPrefix(s, "+") {
		if _, after, ok := strings.Cut(s, ":"); ok {
			s = after
		}
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
