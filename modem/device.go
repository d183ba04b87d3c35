package modem

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// ErrNoPort is returned by Find when no port that the device names is there now.
	ErrNoPort = errors.New("modem: no such port is plugged in")
	// ErrDevice is returned by Find and CheckDevice for a text that names no device.
	ErrDevice = errors.New("modem: not a device")
)

// Forms in which a device can be named.
const (
	usbPrefix     = "usb:"      // usb:0572:1340, usb:0572:1340:SERIAL, usb:0403:6011:SERIAL:1.3
	usbPathPrefix = "usb-path:" // usb-path:1-1.2, usb-path:1-1.2:1.3
)

var (
	usbForm     = regexp.MustCompile(`^[0-9a-f]{4}:[0-9a-f]{4}(:[^:/\s]*(:[0-9]{1,3}\.[0-9]{1,3})?)?$`)
	usbPathForm = regexp.MustCompile(`^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}(:[0-9]{1,3}\.[0-9]{1,3})?$`)
)

// CheckDevice tells whether device is written as Find wants it: a path from the root, "usb:VVVV:PPPP" with vendor and product in
// hexadecimal, and perhaps ":SERIAL" and the interface ":1.0" where one plug has several ports, or "usb-path:1-1.2" for whatever
// is plugged in there, perhaps with the interface. ErrDevice.
func CheckDevice(device string) error {
	ok := filepath.IsAbs(device)
	if rest, found := strings.CutPrefix(device, usbPrefix); found {
		ok = usbForm.MatchString(rest)
	} else if rest, found := strings.CutPrefix(device, usbPathPrefix); found {
		ok = usbPathForm.MatchString(rest)
	}
	if !ok {
		return fmt.Errorf("%w: %q: use a path (/dev/serial/by-id/...), usb:0572:1340 or usb:0572:1340:SERIAL, or usb-path:1-1.2", ErrDevice, device)
	}
	return nil
}

// Find returns the port that device names now. A USB modem keeps its name over replugging whatever ttyACM it becomes. ErrNoPort,
// ErrDevice.
func (s Ports) Find(device string) (PortInfo, error) {
	if err := CheckDevice(device); err != nil {
		return PortInfo{}, err
	}
	if filepath.IsAbs(device) {
		real, err := filepath.EvalSymlinks(device)
		if err != nil {
			return PortInfo{}, fmt.Errorf("%w: %w", ErrNoPort, err)
		}
		return s.info(device, real), nil
	}
	ports, err := s.List()
	if err != nil {
		return PortInfo{}, err
	}
	if i := slices.IndexFunc(ports, func(p PortInfo) bool { return p.is(device) }); i >= 0 {
		return ports[i], nil
	}
	return PortInfo{}, fmt.Errorf("%w: %s", ErrNoPort, device)
}

// info is what is known of the port at path, whose own name is real.
func (s Ports) info(path, real string) PortInfo {
	p := PortInfo{Path: path}
	if device, err := filepath.EvalSymlinks(s.sys("class/tty", filepath.Base(real), "device")); err == nil {
		p.addUSB(device)
	}
	return p
}

// is tells whether device names this port.
func (p PortInfo) is(device string) bool {
	if rest, ok := strings.CutPrefix(device, usbPathPrefix); ok {
		path, iface, _ := strings.Cut(rest, ":")
		return p.USBPath == path && (iface == "" || iface == p.Interface)
	}
	f := append(strings.SplitN(strings.TrimPrefix(device, usbPrefix), ":", 4), "", "")
	return p.USB == f[0]+":"+f[1] && (f[2] == "" || f[2] == p.Serial) && (f[3] == "" || f[3] == p.Interface)
}

// Device is the name by which Find knows the port after it was replugged: its USB serial number, or its place where it has none or another
// device among ports claims the same. What is no USB device has its path.
func (p PortInfo) Device(ports []PortInfo) string {
	if p.USB == "" {
		return p.Path
	}
	iface, twin := "", p.Serial == "" || strings.ContainsAny(p.Serial, ":/ \t")
	for _, o := range ports {
		switch {
		case o.Path == p.Path:
		case o.USBPath == p.USBPath:
			iface = ":" + p.Interface // one plug with several ports
		case o.USB == p.USB && o.Serial == p.Serial:
			twin = true
		}
	}
	if twin {
		return usbPathPrefix + p.USBPath + iface
	}
	return usbPrefix + p.USB + ":" + p.Serial + iface
}

// Presence tells one plugging-in of the port that device names from another, "" while there is none. It opens nothing.
func (s Ports) Presence(device string) string {
	p, err := s.Find(device)
	if err != nil {
		return ""
	}
	return p.presence()
}

func (p PortInfo) presence() string {
	real, err := filepath.EvalSymlinks(p.Path)
	if err != nil {
		return ""
	}
	var st, link unix.Stat_t
	if err := errors.Join(unix.Stat(real, &st), unix.Lstat(p.Path, &link)); err != nil {
		return ""
	}
	sec, nsec := link.Ctim.Unix()
	return fmt.Sprintf("%s %d %d %d %d.%09d", real, st.Ino, st.Rdev, link.Ino, sec, nsec) // each plugging-in makes a new node
}
