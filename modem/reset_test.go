package modem

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// usbDevices makes /sys/bus/usb/devices of what is plugged in.
func (b *box) usbDevices() {
	b.t.Helper()
	must(b.t, os.MkdirAll(filepath.Join(b.Sys, "bus/usb/devices"), 0o755))
	entries, err := os.ReadDir(filepath.Join(b.Sys, "devices/usb1"))
	must(b.t, err)
	for _, e := range entries {
		must(b.t, os.Symlink(filepath.Join(b.Sys, "devices/usb1", e.Name()), filepath.Join(b.Sys, "bus/usb/devices", e.Name())))
	}
}

func TestReset(t *testing.T) {
	b := newBox(t)
	b.plug("1-1", "1.0", "ttyACM0", "0572", "1340", "A", "")
	b.plug("1-3", "1.0", "ttyUSB0", "0403", "6011", "FT1", "")
	b.plug("1-3", "1.1", "ttyUSB1", "0403", "6011", "FT1", "")
	b.usbDevices()
	authorized := filepath.Join(b.Sys, "devices/usb1/1-1/authorized")
	var nodes []string
	fault := error(nil)
	b.ResetUSB = func(node string) error { nodes = append(nodes, node); return fault }

	how, err := b.Reset(t.Context(), "usb:0572:1340:A")
	if err != nil || how != "USB reset" || len(nodes) != 1 || nodes[0] != filepath.Join(b.Dev, "bus/usb/001/007") {
		t.Errorf("%q %v, nodes %v", how, err, nodes)
	}
	for _, fault = range []error{unix.ENOTTY, unix.EPERM, unix.ENOENT} { // the kernel will not: the other way
		must(t, os.WriteFile(authorized, nil, 0o600))
		if how, err = b.Reset(t.Context(), "usb-path:1-1"); err != nil || !strings.Contains(how, "authorization") || readAttr(authorized) != "1" {
			t.Errorf("%v: %q %v, authorized %q", fault, how, err, readAttr(authorized))
		}
	}
	must(t, os.Remove(authorized)) // nor that
	if _, err = b.Reset(t.Context(), "usb:0572:1340"); !errors.Is(err, ErrCannotReset) || !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
	b.ResetUSB = nil // the real one: there is no such device file
	if _, err = b.Reset(t.Context(), "usb:0572:1340"); !errors.Is(err, ErrCannotReset) {
		t.Error(err)
	}
	must(t, os.MkdirAll(filepath.Join(b.Dev, "bus/usb/001"), 0o755)) // or it is no USB device at all: ENOTTY
	must(t, os.WriteFile(filepath.Join(b.Dev, "bus/usb/001/007"), nil, 0o600))
	if _, err = b.Reset(t.Context(), "usb:0572:1340"); !errors.Is(err, ErrCannotReset) || !errors.Is(err, unix.ENOTTY) {
		t.Error(err)
	}
	nodes = nil
	b.ResetUSB = func(node string) error { nodes = append(nodes, node); return nil }
	if _, err := b.Reset(t.Context(), "usb:0403:6011:FT1:1.1"); !errors.Is(err, ErrCannotReset) || len(nodes) > 0 {
		t.Errorf("another port is on the same plug: %v, %v", err, nodes)
	}
	if _, err := b.Reset(t.Context(), filepath.Join(b.Dev, "ttyACM0")); err != nil || len(nodes) != 1 {
		t.Errorf("by its path: %v %v", err, nodes)
	}
	must(t, os.WriteFile(filepath.Join(b.Dev, "ttyS0"), nil, 0o600))
	if _, err := b.Reset(t.Context(), filepath.Join(b.Dev, "ttyS0")); !errors.Is(err, ErrCannotReset) {
		t.Error(err)
	}
	if _, err := b.Reset(t.Context(), "usb:0572:9999"); !errors.Is(err, ErrNoPort) {
		t.Error(err)
	}
}
