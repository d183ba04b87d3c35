package modem

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// PortInfo is one serial port of this machine.
type PortInfo struct {
	Path      string // /dev/ttyACM0
	ByID      string // /dev/serial/by-id/...: stays the same over replugging; "" if there is none
	USB       string // vendor and product, "0572:1340"; "" if it is no USB device
	Serial    string // USB serial number, may be empty
	Name      string // maker and product as the device tells them, may be empty
	USBPath   string // the plug's place among the hubs, "1-1.2"; "" if it is no USB device
	Interface string // of the USB device, "1.0"
	Console   bool   // the system's own console is on it
}

// Ports is where serial ports are looked for. The zero value is this machine; tests have folders of their own.
type Ports struct {
	Sys string // "" is /sys
	Dev string // "" is /dev

	// ResetUSB resets the device with this device file; nil: the kernel does (USBDEVFS_RESET).
	ResetUSB func(node string) error
}

func (s Ports) sys(parts ...string) string {
	return filepath.Join(append([]string{orElse(s.Sys, "/sys")}, parts...)...)
}
func (s Ports) dev(parts ...string) string {
	return filepath.Join(append([]string{orElse(s.Dev, "/dev")}, parts...)...)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// portNames are the device names behind which a modem can be. Not go.bug.st/serial's list: that opens every ttyS
// port to look, which turns RTS/CTS off under a running call.
var portNames = regexp.MustCompile(`^(ttyS|ttyHS|ttyUSB|ttyACM|ttyAMA|rfcomm|ttyO|ttymxc|ttySC)[0-9]{1,3}$`)

// List returns the serial ports of this machine without opening them, USB devices first.
func List() ([]PortInfo, error) { return Ports{}.List() }

// List returns the serial ports without opening them, USB devices first.
func (s Ports) List() ([]PortInfo, error) {
	entries, err := os.ReadDir(s.sys("class/tty"))
	if err != nil {
		return nil, fmt.Errorf("modem: list ports: %w", err)
	}
	ids := byID(s.dev("serial/by-id"))
	consoles := strings.Fields(readAttr(s.sys("class/tty/console/active")))
	var ports []PortInfo
	for _, e := range entries {
		name := e.Name()
		if !portNames.MatchString(name) || readAttr(s.sys("class/tty", name, "type")) == "0" { // 0: no such UART
			continue
		}
		device, err := filepath.EvalSymlinks(s.sys("class/tty", name, "device"))
		if err != nil {
			continue // a pty-like entry, or pulled just now
		}
		p := PortInfo{Path: s.dev(name), ByID: ids[name], Console: slices.Contains(consoles, name)}
		p.addUSB(device)
		ports = append(ports, p)
	}
	slices.SortStableFunc(ports, func(a, b PortInfo) int {
		if (a.USB != "") != (b.USB != "") {
			if a.USB != "" {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Path, b.Path)
	})
	return ports, nil
}

// addUSB looks for the USB device that device is part of: the interface's parent, at most a few folders up.
func (p *PortInfo) addUSB(device string) {
	iface := ""
	for range 4 {
		if vid := readAttr(filepath.Join(device, "idVendor")); vid != "" {
			p.USB = strings.ToLower(vid + ":" + readAttr(filepath.Join(device, "idProduct")))
			p.Serial = readAttr(filepath.Join(device, "serial"))
			p.Name = strings.TrimSpace(readAttr(filepath.Join(device, "manufacturer")) + " " + readAttr(filepath.Join(device, "product")))
			p.USBPath = filepath.Base(device)
			_, p.Interface, _ = strings.Cut(iface, ":")
			return
		}
		iface, device = filepath.Base(device), filepath.Dir(device)
	}
}

func readAttr(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	s, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(s)
}

// byID maps device names to their lasting names.
func byID(dir string) map[string]string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no USB serial device is plugged in
	}
	m := map[string]string{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if target, err := os.Readlink(path); err == nil {
			m[filepath.Base(target)] = path
		}
	}
	return m
}
