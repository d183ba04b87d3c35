package modem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrCannotReset is returned by Reset for a modem that cannot be reset from here: not on USB, on a plug with other ports, or the
// kernel does not let us. Only its power switch is left.
var ErrCannotReset = errors.New("modem: its port cannot be reset")

const (
	usbdevfsReset = 0x5514 // USBDEVFS_RESET, _IO('U', 20)
	authorizeLow  = time.Second
)

// Reset resets the USB device behind the port that device names, as if it were unplugged and plugged in again: by USBDEVFS_RESET, or
// where the kernel has that not, by taking its authorization away for a second. how says which. The port may have another name
// afterwards. Nobody may have it open. ErrCannotReset, ErrNoPort, ErrDevice.
func (s Ports) Reset(ctx context.Context, device string) (how string, err error) {
	p, err := s.Find(device)
	if err != nil {
		return "", err
	}
	if p.USBPath == "" {
		return "", fmt.Errorf("%w: it is not on USB", ErrCannotReset)
	}
	ports, err := s.List()
	if err != nil {
		return "", err
	}
	for _, o := range ports {
		if o.USBPath == p.USBPath && o.Interface != p.Interface { // a reset would end the calls of the others
			return "", fmt.Errorf("%w: %s is on the same plug", ErrCannotReset, o.Path)
		}
	}
	folder := s.sys("bus/usb/devices", p.USBPath)
	node, err := s.usbNode(folder)
	if err == nil {
		reset := s.ResetUSB
		if reset == nil {
			reset = resetNode
		}
		if err = reset(node); err == nil {
			return "USB reset", nil
		}
	}
	if err2 := reauthorize(ctx, folder); err2 != nil {
		return "", fmt.Errorf("%w: %w", ErrCannotReset, errors.Join(err, err2))
	}
	return "USB authorization withdrawn and given", nil
}

// usbNode is the device file of the USB device in folder.
func (s Ports) usbNode(folder string) (string, error) {
	bus, err := strconv.ParseUint(readAttr(filepath.Join(folder, "busnum")), 10, 16)
	if err != nil {
		return "", fmt.Errorf("bus number: %w", err)
	}
	dev, err := strconv.ParseUint(readAttr(filepath.Join(folder, "devnum")), 10, 16)
	if err != nil {
		return "", fmt.Errorf("device number: %w", err)
	}
	return s.dev(fmt.Sprintf("bus/usb/%03d/%03d", bus, dev)), nil
}

func resetNode(node string) error {
	fd, err := unix.Open(node, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", node, err)
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, usbdevfsReset, 0); err != nil && !errors.Is(err, unix.ENODEV) { // ENODEV: it came back as a new one
		return fmt.Errorf("reset %s: %w", node, err)
	}
	return nil
}

// reauthorize takes the device off the bus and lets it back.
func reauthorize(ctx context.Context, folder string) error {
	attr := filepath.Join(folder, "authorized")
	write := func(s string) error {
		f, err := os.OpenFile(attr, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(s)
		return errors.Join(err, f.Close())
	}
	if err := write("0"); err != nil {
		return err
	}
	select {
	case <-time.After(authorizeLow):
	case <-ctx.Done(): // it must not stay without
	}
	return write("1")
}
