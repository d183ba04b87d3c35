package modem

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// box is a machine's folders of devices, for tests.
type box struct {
	t    *testing.T
	root string
	Ports
}

func newBox(t *testing.T) *box {
	b := &box{t: t, root: t.TempDir()}
	b.Ports = Ports{Sys: filepath.Join(b.root, "sys"), Dev: filepath.Join(b.root, "dev")}
	must(t, os.MkdirAll(filepath.Join(b.Sys, "class/tty"), 0o755))
	must(t, os.MkdirAll(b.Dev, 0o755))
	return b
}

func (b *box) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.Sys, path)
	must(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(b.t, os.WriteFile(path, []byte(text+"\n"), 0o600))
}

// plug puts a USB modem with a port tty into the socket at place; node is what /dev/tty is ("": a file).
func (b *box) plug(place, iface, tty, vendor, product, serial, node string) {
	b.t.Helper()
	dir := "devices/usb1/" + place
	b.write(dir+"/idVendor", vendor)
	b.write(dir+"/idProduct", product)
	b.write(dir+"/busnum", "1")
	b.write(dir+"/devnum", "7")
	b.write(dir+"/authorized", "1")
	if serial != "" {
		b.write(dir+"/serial", serial)
	}
	b.write(dir+"/"+place+":"+iface+"/bInterfaceClass", "02")
	must(b.t, os.MkdirAll(filepath.Join(b.Sys, "class/tty", tty), 0o755))
	must(b.t, os.Symlink(filepath.Join(b.Sys, dir, place+":"+iface), filepath.Join(b.Sys, "class/tty", tty, "device")))
	if node == "" {
		must(b.t, os.WriteFile(filepath.Join(b.Dev, tty), nil, 0o600))
	} else {
		must(b.t, os.Symlink(node, filepath.Join(b.Dev, tty)))
	}
}

func (b *box) unplug(place, tty string) {
	b.t.Helper()
	must(b.t, os.RemoveAll(filepath.Join(b.Sys, "devices/usb1", place)))
	must(b.t, os.RemoveAll(filepath.Join(b.Sys, "class/tty", tty)))
	must(b.t, os.Remove(filepath.Join(b.Dev, tty)))
}

func TestFind_KeepsItsNameOverReplugging(t *testing.T) {
	b := newBox(t)
	b.plug("1-1", "1.0", "ttyACM0", "0572", "1340", "24680246", "")
	b.plug("1-2.3", "1.0", "ttyACM1", "0BAF", "0303", "", "")
	ports, err := b.List()
	must(t, err)
	if len(ports) != 2 {
		t.Fatalf("%+v", ports)
	}
	first, second := ports[0].Device(ports), ports[1].Device(ports)
	if first != "usb:0572:1340:24680246" || second != "usb-path:1-2.3" {
		t.Fatalf("%q, %q", first, second)
	}
	was := b.Presence(first)
	b.unplug("1-1", "ttyACM0")
	if _, err := b.Find(first); !errors.Is(err, ErrNoPort) || b.Presence(first) != "" {
		t.Errorf("unplugged, but %v", err)
	}
	b.unplug("1-2.3", "ttyACM1")
	b.plug("1-2.3", "1.0", "ttyACM0", "0baf", "0303", "", "") // the other one takes its name
	b.plug("1-4", "1.0", "ttyACM5", "0572", "1340", "24680246", "")
	for device, want := range map[string]string{
		first: "ttyACM5", second: "ttyACM0", "usb:0572:1340": "ttyACM5", "usb:0baf:0303": "ttyACM0", "usb-path:1-4": "ttyACM5",
		"usb-path:1-4:1.0": "ttyACM5", filepath.Join(b.Dev, "ttyACM5"): "ttyACM5",
	} {
		if p, err := b.Find(device); err != nil || filepath.Base(p.Path) != want {
			t.Errorf("%s is %s, want %s (%v)", device, p.Path, want, err)
		}
	}
	if now := b.Presence(first); now == "" || now == was {
		t.Errorf("presence %q then, %q now", was, now)
	}
	for _, device := range []string{"usb:0572:1340:other", "usb:0572:1341", "usb-path:1-1", "usb-path:1-4:1.1", "/nowhere/ttyS0"} {
		if _, err := b.Find(device); !errors.Is(err, ErrNoPort) {
			t.Errorf("%s: %v", device, err)
		}
	}
}

// Two sticks of one make with the same serial number, and an adapter with four ports, are told apart by their place.
func TestDevice_Twins(t *testing.T) {
	b := newBox(t)
	b.plug("1-1", "1.0", "ttyACM0", "0572", "1340", "24680246", "")
	b.plug("1-2", "1.0", "ttyACM1", "0572", "1340", "24680246", "")
	b.plug("1-3", "1.0", "ttyUSB0", "0403", "6011", "FT1", "")
	b.plug("1-3", "1.1", "ttyUSB1", "0403", "6011", "FT1", "")
	ports, err := b.List()
	must(t, err)
	seen := map[string]bool{}
	for _, p := range ports {
		d := p.Device(ports)
		if seen[d] || CheckDevice(d) != nil {
			t.Errorf("%s has the name %s", p.Path, d)
		}
		seen[d] = true
		if again, err := b.Find(d); err != nil || again.Path != p.Path {
			t.Errorf("%s is found as %s (%v)", p.Path, again.Path, err)
		}
	}
	if !seen["usb-path:1-2"] || !seen["usb:0403:6011:FT1:1.1"] {
		t.Errorf("%v", seen)
	}
}

func TestList_Console(t *testing.T) {
	b := newBox(t)
	b.write("devices/pnp/00:01/id", "PNP0501")
	for _, tty := range []string{"ttyS0", "ttyS1"} {
		b.write("class/tty/"+tty+"/type", "4")
		must(t, os.Symlink(filepath.Join(b.Sys, "devices/pnp/00:01"), filepath.Join(b.Sys, "class/tty", tty, "device")))
	}
	b.write("class/tty/console/active", "tty0 ttyS0")
	ports, err := b.List()
	must(t, err)
	if len(ports) != 2 || !ports[0].Console || ports[1].Console || ports[1].Device(ports) != ports[1].Path {
		t.Errorf("%+v", ports)
	}
}

func TestCheckDevice(t *testing.T) {
	for _, ok := range []string{"/dev/ttyS0", "usb:0572:1340", "usb:0572:1340:A-1", "usb:0403:6011:FT1:1.3", "usb-path:1-1", "usb-path:2-1.2.3:1.0"} {
		must(t, CheckDevice(ok))
	}
	for _, bad := range []string{"", "ttyS0", "usb:", "usb:572:1340", "usb:0572:1340:a/b", "usb:0572:134g", "usb-path:", "usb-path:1", "usb-path:../x", "auto", strings.Repeat("usb:", 9)} {
		if err := CheckDevice(bad); !errors.Is(err, ErrDevice) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
