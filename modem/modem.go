// Package modem finds fax modems, opens them and makes each a [t30.Terminal], whatever its service class.
package modem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/class1"
	"github.com/tipring/tipring/modem/class2"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/modem/recording"
	"github.com/tipring/tipring/t30"
)

// openTime bounds probing and setting up a modem, reset included.
const openTime = 45 * time.Second

// ErrNoFaxClass is returned by Open and New for a modem that offers no service class we can use.
var ErrNoFaxClass = errors.New("modem: no usable fax service class")

// Options is how to use a modem. The zero value is fine.
type Options struct {
	Line    phone.Config        // how to use the telephone line; Quirks are the profile's
	Class   string              // service class, one of [Classes]; "" or "auto": the best that the modem has
	Profile string              // quirk profile, one of [ProfileNames]; "" or "auto": the one that fits
	V34     bool                // calls may be of V.34 (33600 bit/s), with a modem that has it in Class 1.0. Not yet tried on hardware
	Quirks  map[string]any      // quirks that differ from the profile's, as [Quirks.Set] takes them
	Trace   func(t30.Event)     // the transcript of all that goes over the port, calls or not, one event at a time; must not block
	Record  *recording.Recorder // takes all that goes over the port and what our side does; nil: nobody
}

// Modem is one opened modem, a [t30.Terminal].
type Modem struct {
	ch       *at.Channel
	id       Identity
	phone    t30.Phone // nil where the modem does T.30 itself (Class 2, 2.0, 2.1)
	term     t30.Terminal
	warnings func() []string
	trace    func(t30.Event)
	record   *callRecorder
	noV34    bool // V.34 was asked for, and the modem has it not
}

// Open opens the port that device names, a path or as [Ports.Find] takes it, and the modem on it. Errors of [Ports.Open].
// It ends within 45 s; that a port has no modem at all is known within 12 s.
func Open(ctx context.Context, device string, o Options) (*Modem, error) {
	return Ports{}.Open(ctx, device, o)
}

// Open opens the port that device names, as Find takes it, and the modem on it. Errors of Find, ErrPortBusy, ErrNoModem, ErrNoFaxClass,
// ErrProfile, ErrQuirk, at.ErrPortLost.
func (s Ports) Open(ctx context.Context, device string, o Options) (*Modem, error) {
	info := PortInfo{Path: device}
	if CheckDevice(device) == nil { // a path from here is fine as well
		var err error
		if info, err = s.Find(device); err != nil {
			return nil, err
		}
	}
	p, err := OpenPort(info.Path)
	if err != nil {
		return nil, err
	}
	m, err := start(ctx, p, info, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", info.Path, err)
	}
	return m, nil
}

// New identifies the modem on port and sets it up. It owns port, and closes it on failure. It ends within 45 s.
func New(ctx context.Context, port at.Port, o Options) (*Modem, error) {
	return start(ctx, port, PortInfo{}, o)
}

func start(ctx context.Context, port at.Port, info PortInfo, o Options) (*Modem, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	trace := oneByOne(o.Trace)
	m := &Modem{trace: trace}
	if o.Record != nil {
		m.record, port = &callRecorder{o.Record}, o.Record.Port(port)
		m.record.step(StepOpen, openStep(o))
	}
	m.ch = at.NewChannel(port, trace)
	if err := m.open(ctx, info, o); err != nil {
		_ = m.ch.Close() // the first error says why
		return nil, err
	}
	return m, nil
}

func (m *Modem) open(ctx context.Context, info PortInfo, o Options) error {
	var err error
	if m.id, err = identify(ctx, m.ch); err != nil {
		return err
	}
	m.id.USB = info.USB
	p, err := profileFor(m.id, info.Path, o.Profile)
	if err != nil {
		return err
	}
	m.id.Profile, m.id.Title = p.Name, p.Title
	q := p.Quirks
	if err := q.Set(o.Quirks); err != nil {
		return err
	}
	classes := choose(m.id, p, o.Class)
	if len(classes) == 0 {
		return fmt.Errorf("%w: it has %v", ErrNoFaxClass, m.id.Classes)
	}
	var refused []string
	var all error
	for _, c := range attempts(classes, o.V34, o.Class) {
		switch err := m.openClass(ctx, c, q, o); {
		case errors.Is(err, class1.ErrNoV34):
		case err == nil:
			m.id.Class, m.id.Why, m.noV34 = c.class, c.butRefused(refused), o.V34 && !c.v34
			m.record.step(StepOpened, m.id)
			return nil
		case !errors.Is(err, ErrNoFaxClass):
			return err
		default:
			refused, all = append(refused, c.class), errors.Join(all, err)
		}
	}
	return all
}

// openClass sets the modem up in a class. ErrNoFaxClass when it refuses.
func (m *Modem) openClass(ctx context.Context, c attempt, q Quirks, o Options) error {
	line := o.Line
	line.Quirks = q.Phone
	switch c.class {
	case "1", "1.0":
		p, err := class1.New(ctx, m.ch, class1.Config{Class: c.class, Quirks: q.Class1, Line: line, V34: c.v34})
		if errors.Is(err, class1.ErrNotClass1) {
			err = fmt.Errorf("%w: %w", ErrNoFaxClass, err)
		}
		if err != nil {
			return err
		}
		m.phone, m.term, m.warnings = p, t30.NewTerminal(p), p.Warnings
	default:
		t, err := class2.New(ctx, m.ch, class2.Config{Class: c.class, Quirks: q.Class2, Line: line})
		if errors.Is(err, class2.ErrNotClass2) {
			err = fmt.Errorf("%w: %w", ErrNoFaxClass, err)
		}
		if err != nil {
			return err
		}
		m.term, m.warnings = t, t.Warnings
	}
	return nil
}

// OffersV34 asks the modem whether it has V.34 fax, in Class 1.0. No call may be going on.
func (m *Modem) OffersV34(ctx context.Context) (bool, error) {
	m.record.step(StepV34, nil)
	r, err := m.ch.Command(ctx, "AT+FCLASS=1.0", queryWait)
	if err != nil || r.Code != at.OK {
		return false, err
	}
	return class1.OffersV34(ctx, m.ch)
}

// Close hangs up if need be and gives the port back; running calls end.
func (m *Modem) Close() error { return m.ch.Close() }

// Warnings are sentences for people about settings that the modem does not take.
func (m *Modem) Warnings() []string {
	list := m.warnings()
	if m.noV34 {
		list = append(list, "v34 = true, but the modem offers no V.34 fax (+F34 in Class 1.0): calls go without")
	}
	return list
}

// Identity returns what the modem told of itself.
func (m *Modem) Identity() Identity { return m.id }

// Lost is closed when the port is gone: unplugged, failed or closed.
func (m *Modem) Lost() <-chan struct{} { return m.ch.Lost() }

// Err returns why the port is gone (at.ErrPortLost), nil while it is there.
func (m *Modem) Err() error { return m.ch.Err() }

// Phone returns the modem below T.30; nil in Class 2, 2.0 and 2.1, where T.30 is the modem's own.
func (m *Modem) Phone() t30.Phone { return m.phone }
