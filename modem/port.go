package modem

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"

	"github.com/tipring/tipring/modem/at"
)

// ErrPortBusy is returned by OpenPort and Open when another process, or another part of this one, has the port open.
var ErrPortBusy = errors.New("modem: port is in use")

// bitRate is the speed between host and modem. Modems with a USB plug ignore it, the others find it out (autobaud).
const bitRate = 115200

// OpenPort opens the serial port or pty at path: 115200 bit/s, 8 data bits, no parity, RTS/CTS, DTR on, for us alone.
// Unplugging it makes reads and writes fail. [ErrPortBusy].
func OpenPort(path string) (at.Port, error) {
	p, err := openPort(path)
	if err != nil {
		return nil, fmt.Errorf("modem: open %s: %w", path, err)
	}
	return p, nil
}

// serialPort reads through go.bug.st/serial and writes through a descriptor of its own. That library has no RTS/CTS, hides
// its descriptor, and its Write cannot be interrupted once CTS is off; the second one is under the runtime's poller, so
// that Close ends a blocked Write. It is opened first, since serial.Open locks others out (TIOCEXCL).
type serialPort struct {
	serial.Port
	file  *os.File
	close sync.Once
	err   error
}

func openPort(path string) (*serialPort, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, unix.EBUSY) {
			return nil, ErrPortBusy
		}
		return nil, err
	}
	p := &serialPort{file: f}
	// TIOCEXCL does not keep out root, which the appliance is.
	err = p.control(func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrPortBusy
		}
		return nil, err
	}
	if p.Port, err = serial.Open(path, &serial.Mode{BaudRate: bitRate}); err != nil {
		f.Close()
		var pe *serial.PortError
		if errors.As(err, &pe) && pe.Code() == serial.PortBusy {
			return nil, ErrPortBusy
		}
		return nil, err
	}
	if err := p.hardwareFlow(); err != nil {
		p.Close()
		return nil, err
	}
	if err := p.SetDTR(true); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// control runs f on the writing descriptor, which stays open meanwhile.
func (p *serialPort) control(f func(fd int) error) error {
	rc, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := rc.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}

// hardwareFlow turns RTS/CTS on. serial.Open and every SetMode turn it off.
func (p *serialPort) hardwareFlow() error {
	return p.control(func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return fmt.Errorf("get termios: %w", err)
		}
		t.Cflag |= unix.CRTSCTS
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
			return fmt.Errorf("set RTS/CTS: %w", err)
		}
		return nil
	})
}

// SetMode implements [serial.Port].
func (p *serialPort) SetMode(m *serial.Mode) error {
	if err := p.Port.SetMode(m); err != nil {
		return err
	}
	return p.hardwareFlow()
}

// Write implements [at.Port].
func (p *serialPort) Write(b []byte) (int, error) { return p.file.Write(b) }

// SetDTR implements [at.Port]. A pty has no modem lines.
func (p *serialPort) SetDTR(on bool) error {
	req := uint(unix.TIOCMBIC)
	if on {
		req = unix.TIOCMBIS
	}
	err := p.control(func(fd int) error { return unix.IoctlSetPointerInt(fd, req, unix.TIOCM_DTR) })
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// Purge implements [at.Purger].
func (p *serialPort) Purge() error {
	return p.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) })
}

// Close implements [at.Port]. What is still unsent is discarded: a modem that holds CTS off would make the kernel
// wait for it, 30 s by default.
func (p *serialPort) Close() error {
	p.close.Do(func() {
		_ = p.Purge() // fails on a port that is gone, which is fine
		p.err = errors.Join(p.file.Close(), p.Port.Close())
	})
	return p.err
}
