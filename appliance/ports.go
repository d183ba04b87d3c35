package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/t30"
)

// autoDevice is a line's device that takes the first free fax modem there is.
const autoDevice = "auto"

// virtualDevice begins the devices of the demo, which are no ports.
const virtualDevice = "virtual "

const (
	// strangerWait is how long an automatic line's own modem may be away before the line takes another one.
	strangerWait = time.Minute
	// rejectedTime is how long a port that had no fax modem is left in peace, unless something else is plugged in there.
	rejectedTime = 10 * time.Minute
)

// linePort is the modem that an automatic line has taken.
type linePort struct {
	Device string    `json:"device"` // as modem.Ports.Find takes it
	Since  time.Time `json:"since"`
}

var linePorts = store.NewTable[linePort]("line ports")

// errNoFreeModem is returned when an automatic line finds nothing.
var errNoFreeModem = errors.New("no free fax modem is plugged in")

// portBook knows which line has which port.
type portBook struct {
	ports modem.Ports
	st    *store.Store
	lines []LineConfig
	log   *slog.Logger

	search sync.Mutex // one line at a time looks for a modem

	mu       sync.Mutex
	using    map[string]string    // line to port path
	missing  map[string]time.Time // line to when its modem was first found away
	rejected map[string]time.Time // presence of a port without a fax modem
}

func newPortBook(ports modem.Ports, st *store.Store, lines []LineConfig, log *slog.Logger) *portBook {
	return &portBook{ports: ports, st: st, lines: lines, log: log, using: map[string]string{}, missing: map[string]time.Time{}, rejected: map[string]time.Time{}}
}

// open is an [OpenFunc].
func (b *portBook) open(ctx context.Context, c LineConfig) (t30.Terminal, io.Closer, error) {
	if c.Device != autoDevice {
		return b.openAt(ctx, c, c.Device)
	}
	own, err := b.remembered(c.Name)
	if err != nil {
		return nil, nil, err
	}
	if own != "" {
		t, closer, err := b.openAt(ctx, c, own)
		if !errors.Is(err, modem.ErrNoPort) {
			b.found(c.Name)
			return t, closer, err
		}
		if !b.awayLong(c.Name) {
			return nil, nil, err
		}
	}
	return b.openAny(ctx, c)
}

// openAt opens the modem that device names.
func (b *portBook) openAt(ctx context.Context, c LineConfig, device string) (t30.Terminal, io.Closer, error) {
	p, err := b.ports.Find(device)
	if err != nil {
		return nil, nil, err
	}
	m, err := b.ports.Open(ctx, p.Path, c.modemOptions())
	if err != nil {
		return nil, nil, err
	}
	b.use(c.Name, p.Path)
	id := m.Identity()
	b.log.Info("modem", "line", c.Name, "port", p.Path, "is", id.String(), "profile", id.Profile, "class", id.Class, "why", id.Why)
	return m, &portInUse{m, b, c.Name}, nil
}

// portInUse gives the port back with Close.
type portInUse struct {
	*modem.Modem
	book *portBook
	line string
}

func (p *portInUse) Close() error {
	defer p.book.use(p.line, "")
	return p.Modem.Close()
}

// openAny takes the first free fax modem, USB before others, and remembers it for the line.
func (b *portBook) openAny(ctx context.Context, c LineConfig) (t30.Terminal, io.Closer, error) {
	b.search.Lock()
	defer b.search.Unlock()
	ports, err := b.ports.List()
	if err != nil {
		return nil, nil, err
	}
	free, err := b.free(c.Name, ports)
	if err != nil {
		return nil, nil, err
	}
	var tried []string
	for _, p := range free {
		t, closer, err := b.openAt(ctx, c, p.Path)
		switch {
		case err == nil:
			device := p.Device(ports)
			b.log.Info("this line's modem from now on", "line", c.Name, "device", device)
			b.found(c.Name)
			return t, closer, b.st.Update(func(tx *store.Tx) error { return linePorts.Put(tx, c.Name, linePort{device, time.Now()}) })
		case ctx.Err() != nil:
			return nil, nil, err
		case errors.Is(err, modem.ErrNoModem) || errors.Is(err, modem.ErrNoFaxClass):
			b.reject(p)
		}
		tried = append(tried, fmt.Sprintf("%s: %v", p.Path, err))
	}
	if len(tried) == 0 {
		return nil, nil, errNoFreeModem
	}
	return nil, nil, fmt.Errorf("%w: %s", errNoFreeModem, strings.Join(tried, "; "))
}

// free are the ports that line may try: no system console, none of another line, none that had no modem just now.
func (b *portBook) free(line string, ports []modem.PortInfo) ([]modem.PortInfo, error) {
	others := map[string]bool{}
	for _, l := range b.lines {
		device := l.Device
		if device == autoDevice {
			var err error
			if device, err = b.remembered(l.Name); err != nil {
				return nil, err
			}
		}
		if l.Name == line || device == "" {
			continue
		}
		if p, err := b.ports.Find(device); err == nil {
			others[b.ports.Presence(p.Path)] = true
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for l, path := range b.using {
		if l != line {
			others[b.ports.Presence(path)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ports), func(p modem.PortInfo) bool {
		here := b.ports.Presence(p.Path)
		at, was := b.rejected[here]
		return p.Console || here == "" || others[here] || was && time.Since(at) < rejectedTime
	}), nil
}

func (b *portBook) reject(p modem.PortInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, at := range b.rejected {
		if time.Since(at) > rejectedTime {
			delete(b.rejected, k)
		}
	}
	b.rejected[b.ports.Presence(p.Path)] = time.Now()
}

func (b *portBook) remembered(line string) (device string, err error) {
	err = b.st.View(func(tx *store.Tx) error {
		p, err := linePorts.Get(tx, line)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		device = p.Device
		return err
	})
	return device, err
}

func (b *portBook) use(line, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if path == "" {
		delete(b.using, line)
	} else {
		b.using[line] = path
	}
}

func (b *portBook) found(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.missing, line)
}

// awayLong notes that a line's own modem is away, and tells whether it has been for long.
func (b *portBook) awayLong(line string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.missing[line].IsZero() {
		b.missing[line] = time.Now()
	}
	return time.Since(b.missing[line]) >= strangerWait
}

// presence tells what is plugged in that the line could open, "" for nothing: when it changes, opening is worth a try. It opens nothing.
func (b *portBook) presence(c LineConfig) string {
	device := c.Device
	if device == autoDevice {
		own, err := b.remembered(c.Name)
		if err != nil {
			return ""
		}
		if device = own; own == "" || b.ports.Presence(own) == "" && b.awayLong(c.Name) {
			return b.presenceOfFree(c.Name)
		}
	}
	return b.ports.Presence(device)
}

func (b *portBook) presenceOfFree(line string) string {
	ports, err := b.ports.List()
	if err != nil {
		return ""
	}
	free, err := b.free(line, ports)
	if err != nil {
		return ""
	}
	var all []string
	for _, p := range free {
		all = append(all, b.ports.Presence(p.Path))
	}
	return strings.Join(all, ", ")
}

// reset resets the modem of a line that answers nothing, as far as the kernel lets us. Nobody may have it open.
func (b *portBook) reset(ctx context.Context, c LineConfig) (how string, err error) {
	device := c.Device
	if device == autoDevice {
		if device, err = b.remembered(c.Name); err != nil {
			return "", err
		}
		if device == "" {
			return "", errNoFreeModem
		}
	}
	return b.ports.Reset(ctx, device)
}
