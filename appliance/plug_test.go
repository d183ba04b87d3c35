package appliance

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// plugBox is a machine's folders of devices, with virtual modems on ptys plugged into it.
type plugBox struct {
	t     *testing.T
	ports modem.Ports
	ex    *virtual.Exchange
}

func newPlugBox(t *testing.T) *plugBox {
	t.Helper()
	root := t.TempDir()
	b := &plugBox{t: t, ports: modem.Ports{Sys: filepath.Join(root, "sys"), Dev: filepath.Join(root, "dev")}, ex: virtual.NewExchange(virtual.Options{})}
	t.Cleanup(func() { b.ex.Close() })
	for _, dir := range []string{filepath.Join(b.ports.Sys, "class/tty"), b.ports.Dev} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *plugBox) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.ports.Sys, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+"\n"), 0o600)); err != nil {
		b.t.Fatal(err)
	}
}

// plug puts a USB stick into the socket at place; it becomes tty, and dte is behind it (nil: it answers nothing). What it returns pulls it.
func (b *plugBox) plug(place, tty, serial string, dte io.ReadWriter) (unplug func()) {
	b.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		b.t.Fatal(err)
	}
	slave.Close()
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	node := slave.Name()
	master.Close()
	plug := os.NewFile(uintptr(fd), node)
	dir, iface := "devices/usb1/"+place, place+":1.0"
	for attr, text := range map[string]string{"idVendor": "0572", "idProduct": "1340", "serial": serial, "busnum": "1", "devnum": "9", iface + "/bInterfaceClass": "02"} {
		b.write(dir+"/"+attr, text)
	}
	class, bus := filepath.Join(b.ports.Sys, "class/tty", tty), filepath.Join(b.ports.Sys, "bus/usb/devices")
	if err := errors.Join(os.MkdirAll(class, 0o755), os.MkdirAll(bus, 0o755), os.Symlink(filepath.Join(b.ports.Sys, dir, iface), class+"/device"),
		os.Symlink(filepath.Join(b.ports.Sys, dir), filepath.Join(bus, place)), os.Symlink(node, filepath.Join(b.ports.Dev, tty))); err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	go bridge(plug, dte, done)
	if dte != nil {
		go func() { _, _ = io.Copy(plug, dte) }()
	}
	return func() {
		close(done)
		if err := errors.Join(os.RemoveAll(class), os.RemoveAll(filepath.Join(b.ports.Sys, dir)), os.Remove(filepath.Join(bus, place)), os.Remove(filepath.Join(b.ports.Dev, tty)), plug.Close()); err != nil {
			b.t.Error(err)
		}
	}
}

// bridge brings what the host writes to the modem.
func bridge(plug *os.File, dte io.ReadWriter, done chan struct{}) {
	buf := make([]byte, 512)
	for {
		n, err := plug.Read(buf)
		if n > 0 && dte != nil {
			_, _ = dte.Write(buf[:n])
		}
		if errors.Is(err, unix.EIO) { // nobody has it open now
			err = nil
			time.Sleep(5 * time.Millisecond)
		}
		select {
		case <-done:
			return
		default:
		}
		if err != nil {
			return
		}
	}
}

// stick is a virtual modem for plug, as it is after power-on.
func (b *plugBox) stick() io.ReadWriter {
	b.t.Helper()
	o, err := virtual.Personality("generic")
	if err != nil {
		b.t.Fatal(err)
	}
	dte, err := b.ex.NewModem("5550100", o).Open()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { dte.Close() })
	return dte
}

func (r *rig) lineState(name string) (state control.LineState, text string) {
	r.t.Helper()
	s, err := r.app.Status(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range s.Lines {
		if l.Name == name {
			return l.State, l.Error
		}
	}
	r.t.Fatalf("no line %s", name)
	return "", ""
}

func (r *rig) waitLine(name string, want control.LineState) {
	r.t.Helper()
	eventually(r.t, "line "+name+" is "+string(want), func() bool { s, _ := r.lineState(name); return s == want })
}

func (r *rig) alarmed(code string) bool {
	r.t.Helper()
	s, err := r.app.Status(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range s.Alarms {
		if a.Code == code {
			return true
		}
	}
	return false
}

// onPorts puts the rig's lines on ports of b.
func (r *rig) onPorts(b *plugBox, devices ...string) {
	r.deps.Open, r.deps.Ports = nil, b.ports
	for i, d := range devices {
		r.cfg.Lines[i].Device = d
	}
}

// long makes pauses between openings so long that only what is plugged in can end them.
func long(t *testing.T) {
	was := openPauses
	openPauses = []time.Duration{time.Hour}
	t.Cleanup(func() { openPauses = was })
}

// An automatic line takes the first modem that is plugged in and keeps it, whatever name the port has after the next plugging-in; a line
// with a device of its own has that and no other.
func TestRun_HotPlug(t *testing.T) { // not parallel: the pauses are everybody's
	long(t)
	b := newPlugBox(t)
	r := newRig(t, 1)
	r.onPorts(b, autoDevice, "usb:0572:1340:B")
	r.start()
	eventually(t, "nothing is found", func() bool { _, text := r.lineState("one"); return strings.Contains(text, errNoFreeModem.Error()) })
	unplugB := b.plug("1-2", "ttyACM0", "B", b.stick())
	r.waitLine("two", control.LineIdle)
	unplugA := b.plug("1-1", "ttyACM1", "A", b.stick())
	r.waitLine("one", control.LineIdle)
	if s, _ := r.lineState("two"); s != control.LineIdle {
		t.Errorf("line two is %s", s)
	}

	unplugA()
	r.waitLine("one", control.LineOpening)
	unplugB()
	r.waitLine("two", control.LineOpening)
	b.plug("1-3", "ttyACM0", "C", b.stick()) // not its own: left alone for now
	b.plug("1-4", "ttyACM7", "A", b.stick())
	r.waitLine("one", control.LineIdle)
	if own, err := r.app.lines[0].ports.remembered("one"); err != nil || own != "usb:0572:1340:A" {
		t.Errorf("remembered %q %v", own, err)
	}
	r.app.lines[0].ports.mu.Lock()
	path := r.app.lines[0].ports.using["one"]
	r.app.lines[0].ports.mu.Unlock()
	if filepath.Base(path) != "ttyACM7" {
		t.Errorf("line one is on %s", path)
	}
	b.plug("1-5", "ttyACM3", "B", b.stick())
	r.waitLine("two", control.LineIdle)

	r.stop() // and over a restart
	r.start()
	r.waitLine("one", control.LineIdle)
	r.waitLine("two", control.LineIdle)
}

// A modem that is there but answers nothing is reset by its USB plug, and the line comes back.
func TestRun_WedgedModemIsReset(t *testing.T) {
	t.Parallel()
	b := newPlugBox(t)
	revived := make(chan struct{})
	resets := make(chan string, 10)
	var unplug func()
	b.ports.ResetUSB = func(node string) error { // it comes back as a new device
		unplug()
		b.plug("1-1", "ttyACM4", "A", b.stick())
		close(revived)
		resets <- node
		return nil
	}
	unplug = b.plug("1-1", "ttyACM0", "A", nil)
	r := newRig(t, 1)
	r.onPorts(b, "usb-path:1-1", "usb:0572:1340:none")
	r.start()
	eventually(t, "reset", func() bool { return len(resets) > 0 })
	if node := <-resets; node != filepath.Join(b.ports.Dev, "bus/usb/001/009") {
		t.Errorf("%s was reset", node)
	}
	<-revived
	r.waitLine("one", control.LineIdle)
	eventually(t, "no alarm", func() bool { return !r.alarmed("line-lost/one") })
	if len(resets) > 0 {
		t.Error("it was reset again")
	}
}

// A port with something that is no modem, and one that is in use, are passed over; what is no modem is left in peace then.
func TestPortBook_PassesOverWhatIsNoModem(t *testing.T) {
	t.Parallel()
	b := newPlugBox(t)
	b.plug("1-1", "ttyACM0", "GPS", nil)
	busy := b.stick()
	b.plug("1-2", "ttyACM1", "BUSY", busy)
	held, err := modem.OpenPort(filepath.Join(b.ports.Dev, "ttyACM1"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	b.plug("1-3", "ttyACM2", "FAX", b.stick())
	r := newRig(t, 1)
	r.onPorts(b, autoDevice, "usb:0572:1340:none")
	r.start()
	r.waitLine("one", control.LineIdle)
	book := r.app.lines[0].ports
	if own, err := book.remembered("one"); err != nil || own != "usb:0572:1340:FAX" {
		t.Errorf("%q %v", own, err)
	}
	ports, err := b.ports.List()
	if err != nil {
		t.Fatal(err)
	}
	free, err := book.free("another", ports)
	if err != nil || len(free) != 1 || free[0].Serial != "BUSY" {
		t.Errorf("free for others: %+v %v", free, err)
	}
}

// faulty is a terminal whose modem fails as soon as it is used.
type faulty struct{ t30.Terminal }

var errFaulty = errors.New("modem said nonsense")

func (faulty) WaitCall(context.Context) (t30.Incoming, error) { return nil, errFaulty }

// A modem that opens but fails in its work is taken out of service with an alarm, and is back by itself; the alarm goes with the first call
// that is none of its faults, not with the next opening.
func TestRun_FaultyModemOutOfService(t *testing.T) { // not parallel: the pauses are everybody's
	was := faultPauses
	faultPauses = []time.Duration{0, 0, 2 * time.Second}
	t.Cleanup(func() { faultPauses = was })
	r := newRig(t, 12)
	opened := 0
	good := r.deps.Open
	r.deps.Open = func(ctx context.Context, c LineConfig) (t30.Terminal, io.Closer, error) {
		term, closer, err := good(ctx, c)
		if c.Name == "one" {
			if opened++; opened <= faultAlarm {
				return faulty{term}, closer, err
			}
		}
		return term, closer, err
	}
	r.start()
	r.waitLine("one", control.LineOut)
	if _, text := r.lineState("one"); !strings.Contains(text, "nonsense") || !r.alarmed("modem-faulty/one") {
		t.Errorf("line says %q, alarm %t", text, r.alarmed("modem-faulty/one"))
	}
	r.waitLine("one", control.LineIdle)
	if !r.alarmed("modem-faulty/one") {
		t.Error("the alarm went with the opening")
	}
	if err := r.mail("after", longText(1), demoReceiver); err != nil {
		t.Fatal(err)
	}
	r.waitState("after", demoReceiver, queue.Sent)
	eventually(t, "no alarm", func() bool { return !r.alarmed("modem-faulty/one") })
}
