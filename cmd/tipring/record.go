package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/recording"
	"github.com/tipring/tipring/t30"
)

// recordFlags are those of commands that write down what goes over the port: the support file.
type recordFlags struct {
	name           string
	pages, numbers bool

	file *os.File
	rec  *recording.Recorder
}

func addRecordFlags(fs *flag.FlagSet) *recordFlags {
	r := &recordFlags{}
	fs.StringVar(&r.name, "record", "", "write all that goes over the port into this `file`, for whoever helps you with your modem: no page data, numbers blotted out, no passwords")
	fs.BoolVar(&r.pages, "with-pages", false, "with --record: page data too")
	fs.BoolVar(&r.numbers, "numbers", false, "with --record: telephone numbers in clear")
	return r
}

// open begins the recording of a port; nil without --record.
func (r *recordFlags) open(port string) (*recording.Recorder, error) {
	if r == nil || r.name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(r.name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	r.file = f
	r.rec = recording.NewRecorder(f, recording.Options{Pages: r.pages, Numbers: r.numbers, About: aboutPort(port)})
	return r.rec, nil
}

// close ends the recording and says where it is.
func (r *recordFlags) close(s streams) {
	if r == nil || r.rec == nil {
		return
	}
	err := r.rec.Err()
	if err2 := r.file.Close(); err == nil {
		err = err2
	}
	if err != nil {
		fmt.Fprintln(s.err, "tipring: --record:", err)
		return
	}
	fmt.Fprintln(s.err, "tipring: recorded in", r.name)
}

// openModem opens the modem of send and receive.
func (c *callFlags) openModem(ctx context.Context, trace func(t30.Event)) (*modem.Modem, error) {
	o := c.options(trace)
	var err error
	if o.Record, err = c.record.open(c.modem); err != nil {
		return nil, err
	}
	return modem.Open(ctx, c.modem, o)
}

// aboutPort is what whoever helps wants to know of program, machine and port.
func aboutPort(port string) []string {
	var u unix.Utsname
	kernel := "unknown"
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	about := []string{"tipring " + version + ", " + kernel + " " + runtime.GOARCH + ", " + time.Now().UTC().Format(time.DateOnly)}
	device, err := filepath.EvalSymlinks(port)
	if err != nil {
		device = port
	}
	line := "port " + device
	if ports, err := modem.List(); err == nil {
		for _, p := range ports {
			if p.Path == device && p.USB != "" {
				line += ", usb " + p.USB + " " + p.Name
			}
		}
	}
	if driver, err := filepath.EvalSymlinks(filepath.Join("/sys/class/tty", filepath.Base(device), "device/driver")); err == nil {
		line += ", driver " + filepath.Base(driver)
	}
	return append(about, line)
}

// recordUsage is the part of a usage line.
const recordUsage = "[--record FILE [--with-pages] [--numbers]]"
