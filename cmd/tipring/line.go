package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tipring/tipring/modem/virtual"
)

const lineUsage = "line [--modems N | --modem NUMBER:PERSONALITY ...] [--dir DIR] [--speed X] [--script NUMBER=OUTCOME,...] [--log FILE] [--json]"

// firstNumber is the number of the first modem; the others follow.
const firstNumber = 5550100

// maxLineModems bounds --modems.
const maxLineModems = 64

// lineOptions are the flags of `tipring line`.
type lineOptions struct {
	modems  int
	kinds   []lineModem // in place of modems
	dir     string
	speed   float64
	delay   time.Duration
	faults  virtual.Faults
	scripts map[string][]virtual.Outcome
	log     string
	json    bool
}

// lineModem is one modem asked for with --modem.
type lineModem struct {
	number string
	opts   virtual.ModemOptions
}

// addModem takes one --modem.
func (o *lineOptions) addModem(v string) error {
	number, name, ok := strings.Cut(v, ":")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
		return errors.New("want NUMBER:PERSONALITY, as in 5550100:rockwell")
	}
	opts, err := virtual.Personality(name)
	if err != nil {
		return err
	}
	for _, m := range o.kinds {
		if m.number == number {
			return fmt.Errorf("two modems on %s", number)
		}
	}
	o.kinds = append(o.kinds, lineModem{number, opts})
	return nil
}

// list are the modems to run.
func (o *lineOptions) list() []lineModem {
	list := o.kinds
	if len(list) == 0 {
		for i := range o.modems {
			list = append(list, lineModem{number: strconv.Itoa(firstNumber + i)})
		}
	}
	return list
}

// personalities is the usage of --modem.
func personalities() string {
	var b strings.Builder
	for _, name := range virtual.Personalities() {
		fmt.Fprintf(&b, "\n  %-10s %s", name, virtual.Describe(name))
	}
	return b.String()
}

// lineMain runs virtual modems behind ptys until ctx ends. Opening a pty raises DTR, closing it hangs up.
func lineMain(ctx context.Context, args []string, s streams) int {
	o := lineOptions{scripts: map[string][]virtual.Outcome{}}
	fs := newFlags(s, lineUsage)
	fs.IntVar(&o.modems, "modems", 2, "number of modems, 1 to 64")
	fs.Func("modem", "a modem by number and personality, as in 5550100:rockwell; may repeat, in place of --modems:"+personalities(), o.addModem)
	fs.StringVar(&o.dir, "dir", "", "folder for symbolic links ttyF0, ttyF1, ... to the ptys (default: none)")
	fs.Float64Var(&o.speed, "speed", 1, "seconds of line time in one second, up to 100")
	fs.DurationVar(&o.delay, "delay", 0, "one-way delay of the line, up to 1 s")
	fs.Uint64Var(&o.faults.Seed, "seed", 0, "seed of the line's faults")
	fs.Float64Var(&o.faults.BER, "ber", 0, "bit error rate of page carriers, 0 to 0.5")
	fs.IntVar(&o.faults.TrainRate, "train-rate", 0, "highest rate the line carries, bit/s (default: all)")
	fs.IntVar(&o.faults.DropPage, "drop-page", 0, "drop the line at the start of this page of every call (default: never)")
	fs.StringVar(&o.log, "log", "", "write the exchange's events to this file, one JSON object a line")
	fs.BoolVar(&o.json, "json", false, "print the modems as JSON lines")
	fs.Func("script", "what becomes of calls to a number, may repeat: NUMBER=ok,busy,noanswer,nodialtone,voice,notinservice", o.addScript)
	words, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage
	case len(words) > 0:
		return usageError(s, fs, "line takes no arguments")
	case len(o.kinds) > maxLineModems:
		return usageError(s, fs, "at most %d modems", maxLineModems)
	case o.modems < 1 || o.modems > maxLineModems:
		return usageError(s, fs, "--modems must be 1 to %d", maxLineModems)
	case !(o.speed > 0 && o.speed <= 100):
		return usageError(s, fs, "--speed must be over 0 and up to 100")
	case !(o.faults.BER >= 0 && o.faults.BER <= 0.5):
		return usageError(s, fs, "--ber must be 0 to 0.5")
	case o.delay < 0 || o.delay > time.Second:
		return usageError(s, fs, "--delay must be 0 to 1s")
	case o.faults.TrainRate < 0 || o.faults.DropPage < 0:
		return usageError(s, fs, "--train-rate and --drop-page cannot be negative")
	}
	if err := runLine(ctx, o, s.out); err != nil {
		fmt.Fprintf(s.err, "tipring: line: %v\n", err)
		return exitLocal
	}
	return exitOK
}

// addScript takes one --script.
func (o *lineOptions) addScript(v string) error {
	number, list, ok := strings.Cut(v, "=")
	if !ok || !strings.ContainsAny(number, "0123456789") {
		return errors.New("want NUMBER=OUTCOME, or several outcomes separated by commas")
	}
	for _, name := range strings.Split(list, ",") {
		out, err := virtual.ParseOutcome(name)
		if err != nil {
			return err
		}
		o.scripts[number] = append(o.scripts[number], out)
	}
	return nil
}

// runLine serves the modems until ctx ends.
func runLine(ctx context.Context, o lineOptions, out io.Writer) (err error) {
	vo := virtual.Options{Speed: o.speed, Delay: o.delay, Faults: o.faults}
	if o.log != "" {
		l, err := openEventLog(o.log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.close()) }()
		vo.Trace = l.add
	}
	ex := virtual.NewExchange(vo)
	defer ex.Close()
	for number, outcomes := range o.scripts {
		ex.Script(number, outcomes...)
	}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer wg.Wait()
	defer stop()
	for i, lm := range o.list() {
		p, err := openPty()
		if err != nil {
			return err
		}
		device := p.name
		if o.dir != "" {
			device = filepath.Join(o.dir, "ttyF"+strconv.Itoa(i))
			if err := linkPty(p.name, device); err != nil {
				p.close()
				return err
			}
			defer unlinkPty(p.name, device)
		}
		lm.opts.CallerID = true
		m := ex.NewModem(lm.number, lm.opts)
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer p.close()
			p.serve(ctx, m)
		}()
		if o.json {
			err = json.NewEncoder(out).Encode(map[string]string{"number": lm.number, "device": device})
		} else {
			_, err = fmt.Fprintln(out, lm.number, device)
		}
		if err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// linkPty makes the symbolic link, in place of one that an earlier run left behind.
func linkPty(pty, link string) error {
	if st, err := os.Lstat(link); err == nil && st.Mode()&os.ModeSymlink != 0 {
		if err := os.Remove(link); err != nil {
			return err
		}
	}
	return os.Symlink(pty, link)
}

// unlinkPty removes the link unless another run has put its own there.
func unlinkPty(pty, link string) {
	if to, err := os.Readlink(link); err == nil && to == pty {
		_ = os.Remove(link) // a link left behind does no harm: the next run replaces it
	}
}

// eventLog writes events beside the exchange, which must not wait for a disk.
type eventLog struct {
	f    *os.File
	c    chan virtual.Event
	done chan error
	lost int
}

func openEventLog(name string) (*eventLog, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	l := &eventLog{f: f, c: make(chan virtual.Event, 4096), done: make(chan error, 1)}
	go func() {
		var first error
		enc := json.NewEncoder(f)
		for e := range l.c {
			if err := enc.Encode(e); err != nil && first == nil {
				first = err
			}
		}
		l.done <- first
	}()
	return l, nil
}

// add is called by the exchange, one event at a time.
func (l *eventLog) add(e virtual.Event) {
	select {
	case l.c <- e:
	default:
		l.lost++
	}
}

// close is called after the exchange was closed.
func (l *eventLog) close() error {
	close(l.c)
	err := errors.Join(<-l.done, l.f.Close())
	if l.lost > 0 {
		err = errors.Join(err, fmt.Errorf("%s: %d events lost", l.f.Name(), l.lost))
	}
	return err
}

// pty is the master of a pty whose slave stands for a serial port.
type pty struct {
	fd   int
	name string // of the slave
}

// ptyPoll is how often a pty is asked whether its slave is open: there is no event for it.
const ptyPoll = 20 * time.Millisecond

// openPty opens a pty in raw mode. Its slave has been opened and closed once, so that the master tells by POLLHUP
// whether it is open.
func openPty() (*pty, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	p := &pty{fd: fd}
	if err := p.prepare(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *pty) prepare() error {
	if err := unix.IoctlSetPointerInt(p.fd, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlock pty: %w", err)
	}
	n, err := unix.IoctlGetInt(p.fd, unix.TIOCGPTN)
	if err != nil {
		return fmt.Errorf("name of pty: %w", err)
	}
	p.name = "/dev/pts/" + strconv.Itoa(n)
	t, err := unix.IoctlGetTermios(p.fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("pty settings: %w", err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(p.fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("pty settings: %w", err)
	}
	slave, err := unix.Open(p.name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", p.name, err)
	}
	return unix.Close(slave)
}

func (p *pty) close() { _ = unix.Close(p.fd) } // nothing is written that could be lost

// poll waits up to d for events on the master and returns those that came.
func (p *pty) poll(events int16, d time.Duration) int16 {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: events}}
	if _, err := unix.Poll(fds, int(d.Milliseconds())); err != nil {
		return 0 // EINTR: asked again
	}
	return fds[0].Revents
}

// open tells whether somebody has the slave open.
func (p *pty) open() bool { return p.poll(0, 0)&unix.POLLHUP == 0 }

// serve connects the pty with m whenever somebody has its slave open, until ctx ends.
func (p *pty) serve(ctx context.Context, m *virtual.Modem) {
	tick := time.NewTicker(ptyPoll)
	defer tick.Stop()
	for ctx.Err() == nil {
		if p.open() {
			if port, err := m.Open(); err == nil {
				p.session(ctx, port, tick.C)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// session is one opening of the slave.
func (p *pty) session(ctx context.Context, port virtual.DTE, tick <-chan time.Time) {
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(2)
	go func() { defer wg.Done(); p.fromDTE(port, ended) }()
	go func() { defer wg.Done(); p.toDTE(port, ended) }()
	dtr := true
	for ctx.Err() == nil && p.open() {
		if on, err := p.dtr(); err == nil && on != dtr {
			dtr = on
			if port.SetDTR(dtr) != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
		case <-tick:
		}
	}
	close(ended)
	port.Close()
	wg.Wait()
	// What this opener wrote or left unread is not for the next one.
	_ = unix.IoctlSetInt(p.fd, unix.TCFLSH, unix.TCIOFLUSH)
}

// dtr tells whether the slave's opener has DTR on. Software that knows no other way drops it by setting the speed to 0.
func (p *pty) dtr() (on bool, err error) {
	t, err := unix.IoctlGetTermios(p.fd, unix.TCGETS)
	if err != nil {
		return false, err
	}
	return t.Cflag&unix.CBAUD != unix.B0, nil
}

// fromDTE carries what the slave's opener writes to the modem.
func (p *pty) fromDTE(port virtual.DTE, ended <-chan struct{}) {
	b := make([]byte, 256) // little: what is read here is beyond the opener's flush
	for !isClosed(ended) {
		if p.poll(unix.POLLIN, 5*ptyPoll)&unix.POLLIN == 0 {
			time.Sleep(time.Millisecond) // POLLHUP: the slave was closed, the session ends soon
			continue
		}
		n, err := unix.Read(p.fd, b)
		if n <= 0 || err != nil {
			continue
		}
		// DTR may have been raised since session last looked, 10 ms before this command (HylaFAX).
		if on, err := p.dtr(); err == nil && on && port.SetDTR(true) != nil {
			return
		}
		if _, err := port.Write(b[:n]); err != nil {
			return
		}
	}
}

// toDTE carries what the modem sends.
func (p *pty) toDTE(port io.Reader, ended <-chan struct{}) {
	b := make([]byte, 1024)
	for {
		n, err := port.Read(b)
		if err != nil {
			return
		}
		for rest := b[:n]; len(rest) > 0; {
			k, err := unix.Write(p.fd, rest)
			if k > 0 {
				rest = rest[k:]
				continue
			}
			if isClosed(ended) || err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
				return
			}
			p.poll(unix.POLLOUT, ptyPoll)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
