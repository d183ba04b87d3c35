package modem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What can be behind a serial port besides a modem. None of them may hold Open up: ErrNoModem or ErrNoFaxClass within the time that
// their documentation gives, and the port is free again.
func TestOpen_PortsWithoutAModem(t *testing.T) {
	for _, c := range []struct {
		name   string
		device func(t *testing.T, master *os.File, path string)
		want   error
		says   string
	}{
		{"nobody there", func(_ *testing.T, master *os.File, _ string) { _, _ = io.Copy(io.Discard, master) }, ErrNoModem, "nothing heard"},
		{"echo", func(_ *testing.T, master *os.File, _ string) { _, _ = io.Copy(master, master) }, ErrNoModem, "no line"},
		{"satellite positions at full speed", func(_ *testing.T, master *os.File, _ string) {
			go func() { _, _ = io.Copy(io.Discard, master) }()
			flood(master, "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n")
		}, ErrNoModem, "GPGGA"},
		{"octets without an end of line", func(_ *testing.T, master *os.File, _ string) {
			go func() { _, _ = io.Copy(io.Discard, master) }()
			flood(master, "\x80\x00\xfe\x55")
		}, ErrNoModem, "octets heard, but no line"},
		{"flow control holds it", func(t *testing.T, master *os.File, path string) {
			f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
			must(t, err)
			must(t, unix.IoctlSetInt(int(f.Fd()), unix.TCXONC, unix.TCOOFF))
			f.Close()
			_, _ = io.Copy(io.Discard, master) // until the end of the test
		}, ErrNoModem, "takes no data"},
		{"a console", answering("\r\nlogin: ", "\r\nPassword: "), ErrNoModem, "login:"},
		{"OK to everything", answering("\r\nOK\r\n"), ErrNoFaxClass, "no modulation"},
		{"a data modem", func(_ *testing.T, master *os.File, _ string) {
			serveLines(master, func(line string, i int) string {
				switch {
				case strings.HasPrefix(line, "AT+FCLASS"):
					return "\r\nERROR\r\n"
				case strings.HasPrefix(line, "AT+"):
					return "\r\nERROR\r\n"
				}
				return "\r\nOK\r\n"
			})
		}, ErrNoFaxClass, "+FCLASS=1"},
		{"ERROR to everything", answering("\r\nERROR\r\n"), ErrNoModem, "ERROR"},
		{"answers AT and falls silent", func(_ *testing.T, master *os.File, _ string) {
			serveLines(master, func(_ string, i int) string { return []string{"\r\nOK\r\n", ""}[min(i, 1)] })
		}, nil, "no reply"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			master, path := openPty(t)
			master = pollable(t, master)
			keep, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0) // else the master is hung up between two openings
			must(t, err)
			defer keep.Close()
			done := make(chan struct{})
			go func() { c.device(t, master, path); close(done) }()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // far beyond what is promised
			defer cancel()
			start := time.Now()
			m, err := Open(ctx, path, Options{})
			if err == nil {
				m.Close()
				t.Fatal("it was taken for a fax modem")
			}
			t.Logf("%.1f s: %v", time.Since(start).Seconds(), err)
			if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v that says %q", err, c.want, c.says)
			}
			if ctx.Err() != nil {
				t.Error("it never came to an end by itself")
			}
			p, err := OpenPort(path) // nobody holds it any more
			must(t, err)
			must(t, p.Close())
			keep.Close()
			master.Close()
			<-done
		})
	}
}

// pollable is f such that Close ends its reads and writes.
func pollable(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.Dup(int(f.Fd()))
	must(t, err)
	must(t, f.Close())
	must(t, unix.SetNonblock(fd, true))
	return os.NewFile(uintptr(fd), f.Name())
}

// flood writes text as fast as it is taken, until the master is closed.
func flood(master *os.File, text string) {
	b := bytes.Repeat([]byte(text), 4096/len(text)+1)
	for {
		if _, err := master.Write(b); err != nil {
			return
		}
	}
}

// answering gives these answers to lines, in turn.
func answering(answers ...string) func(*testing.T, *os.File, string) {
	return func(_ *testing.T, master *os.File, _ string) {
		serveLines(master, func(_ string, i int) string { return answers[i%len(answers)] })
	}
}

// serveLines gives each line, or other piece that comes at once, to answer with its number, until the master is closed.
func serveLines(master *os.File, answer func(line string, i int) string) {
	buf := make([]byte, 512)
	for i := 0; ; i++ {
		n, err := master.Read(buf)
		if err != nil {
			return
		}
		if _, err := master.WriteString(answer(string(buf[:n]), i)); err != nil {
			return
		}
	}
}
