package modem

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
	"go.bug.st/serial"
	"golang.org/x/sys/unix"

	"github.com/tipring/tipring/modem/at"
)

// openPty returns the master of a pty and its other end as a port.
func openPty(t *testing.T) (*os.File, string) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no ptys here: %v", err)
	}
	path := slave.Name()
	slave.Close()
	t.Cleanup(func() { master.Close() })
	return master, path
}

func TestOpenPort_Pty(t *testing.T) {
	master, path := openPty(t)
	p, err := OpenPort(path)
	must(t, err)
	defer p.Close()
	must(t, p.SetDTR(false)) // a pty has no DTR: no error
	must(t, p.SetDTR(true))

	sp := p.(*serialPort)
	for _, when := range []string{"after opening", "after SetMode"} {
		must(t, sp.control(func(fd int) error {
			ts, err := unix.IoctlGetTermios(fd, unix.TCGETS)
			if err == nil && ts.Cflag&unix.CRTSCTS == 0 {
				t.Errorf("no RTS/CTS %s", when)
			}
			return err
		}))
		must(t, sp.SetMode(&serial.Mode{BaudRate: 57600}))
	}
	all := make([]byte, 256) // all octets pass unchanged
	for i := range all {
		all[i] = byte(i)
	}
	got := make([]byte, 256)
	_, err = p.Write(all)
	must(t, err)
	_, err = io.ReadFull(master, got)
	must(t, err)
	if string(got) != string(all) {
		t.Errorf("to the modem: % x", got)
	}
	_, err = master.Write(all)
	must(t, err)
	_, err = io.ReadFull(p, got)
	must(t, err)
	if string(got) != string(all) {
		t.Errorf("from the modem: % x", got)
	}
}

func TestOpenPort_Errors(t *testing.T) {
	_, path := openPty(t)
	p, err := OpenPort(path)
	must(t, err)
	defer p.Close()
	if _, err := OpenPort(path); !errors.Is(err, ErrPortBusy) {
		t.Errorf("second open: %v", err)
	}
	if _, err := OpenPort(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	must(t, os.WriteFile(plain, nil, 0o600))
	if _, err := OpenPort(plain); err == nil {
		t.Error("a plain file is no port")
	}
	must(t, p.Close())
	must(t, p.Close())
	p, err = OpenPort(path)
	must(t, err) // free again
	p.Close()
}

// A modem that holds CTS off, or a pty that nobody reads, blocks writes; closing must end them, and unplugging too.
func TestPort_BlockedWriteEnds(t *testing.T) {
	for name, end := range map[string]func(at.Port, *os.File) error{
		"close":  func(p at.Port, _ *os.File) error { return p.Close() },
		"unplug": func(_ at.Port, master *os.File) error { return master.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			master, path := openPty(t)
			p, err := OpenPort(path)
			must(t, err)
			defer p.Close()
			wrote, read := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := p.Write(make([]byte, 1<<20))
				wrote <- err
			}()
			go func() {
				_, err := p.Read(make([]byte, 1))
				read <- err
			}()
			time.Sleep(50 * time.Millisecond)
			must(t, end(p, master))
			for what, c := range map[string]chan error{"write": wrote, "read": read} {
				select {
				case err := <-c:
					if err == nil {
						t.Errorf("%s ended without an error", what)
					}
				case <-time.After(5 * time.Second):
					t.Fatalf("%s hangs", what)
				}
			}
		})
	}
}

func TestPort_PurgeDiscardsTheUnsent(t *testing.T) {
	master, path := openPty(t)
	p, err := OpenPort(path)
	must(t, err)
	defer p.Close()
	go func() { _, _ = p.Write(make([]byte, 1<<20)) }() // blocks when the pty is full
	time.Sleep(50 * time.Millisecond)
	fd := int(master.Fd())
	queued := func() int {
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		must(t, err)
		return n
	}
	before := queued()
	_ = p.(*serialPort).file.SetWriteDeadline(time.Now()) // ends the writer
	time.Sleep(10 * time.Millisecond)
	must(t, p.(at.Purger).Purge())
	got, buf := 0, make([]byte, 1<<16)
	must(t, unix.SetNonblock(fd, true))
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 {
			if !errors.Is(err, unix.EAGAIN) {
				t.Error(err)
			}
			break
		}
		got += n
		time.Sleep(time.Millisecond) // the kernel moves the rest up
	}
	if got > before+4096 { // without the purge some 20 kB come
		t.Errorf("%d octets come after the purge, %d were in the master's own buffer", got, before)
	}
}

type pipePort struct{ net.Conn }

func (pipePort) SetDTR(bool) error { return nil }

func TestNew_NoModem(t *testing.T) {
	tests := []struct {
		name, answer string // to anything
		says         string
	}{
		{"silent port", "", "nothing heard"},
		{"echo only", "\x00echo", "nothing heard|no line|heard"},
		{"wrong speed", "\x80\xfe\x00\xf8", "no line"},
		{"a console", "\r\nlogin: \r\nPassword: \r\n", "login:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host, far := net.Pipe()
				go func() {
					buf := make([]byte, 64)
					for {
						n, err := far.Read(buf)
						if err != nil {
							return
						}
						out := []byte(tt.answer)
						if tt.answer == "\x00echo" {
							out = buf[:n]
						}
						if _, err := far.Write(out); err != nil {
							return
						}
					}
				}()
				start := time.Now()
				_, err := New(t.Context(), pipePort{host}, Options{})
				if !errors.Is(err, ErrNoModem) {
					t.Fatal(err)
				}
				ok := false
				for _, s := range strings.Split(tt.says, "|") {
					ok = ok || strings.Contains(err.Error(), s)
				}
				if !ok {
					t.Errorf("%v does not say %q", err, tt.says)
				}
				if time.Since(start) > 10*time.Second {
					t.Errorf("took %v", time.Since(start))
				}
				far.Close()
			})
		})
	}
}

func TestParseClasses(t *testing.T) {
	for in, want := range map[string]string{
		"0,1,1.0": "0 1 1.0", "(0,1,2,2.0,8)": "0 1 2 2.0 8", "+FCLASS: (0-2)": "0 1 2", "0, 1 ,2.1": "0 1 2.1", "ERR": "",
		"0-9-9,-,1": "1", "+FCLASS=0,1,2": "0 1 2",
	} {
		if got := strings.Join(parseClasses([]string{in}), " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestList(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
	}
	link := func(path, target string) {
		path = filepath.Join(root, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.Symlink(target, path))
	}
	write("devices/usb1/1-1/idVendor", "0572")
	write("devices/usb1/1-1/idProduct", "1340")
	write("devices/usb1/1-1/manufacturer", "Conexant")
	write("devices/usb1/1-1/product", "USB Modem")
	write("devices/usb1/1-1/serial", "24680246")
	write("devices/usb1/1-1/1-1:1.0/bInterfaceClass", "02")
	write("devices/pnp/00:01/id", "PNP0501")
	link("class/tty/ttyACM0/device", filepath.Join(root, "devices/usb1/1-1/1-1:1.0"))
	write("class/tty/ttyS0/type", "4")
	link("class/tty/ttyS0/device", filepath.Join(root, "devices/pnp/00:01"))
	write("class/tty/ttyS1/type", "0") // no UART there
	link("class/tty/ttyS1/device", filepath.Join(root, "devices/pnp/00:01"))
	write("class/tty/tty1/dev", "4:1")
	link("dev/serial/by-id/usb-Conexant_USB_Modem_24680246-if00", "../../ttyACM0")

	got, err := Ports{Sys: root, Dev: filepath.Join(root, "dev")}.List()
	must(t, err)
	want := []PortInfo{
		{Path: filepath.Join(root, "dev/ttyACM0"), ByID: filepath.Join(root, "dev/serial/by-id/usb-Conexant_USB_Modem_24680246-if00"),
			USB: "0572:1340", Serial: "24680246", Name: "Conexant USB Modem", USBPath: "1-1", Interface: "1.0"},
		{Path: filepath.Join(root, "dev/ttyS0")},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got[i], want[i])
		}
	}
}
