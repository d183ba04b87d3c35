package modem

import "path/filepath"

// usbOf is the USB vendor and product of the port at path, "" if it is none.
func usbOf(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	device, err := filepath.EvalSymlinks(filepath.Join(sysTTY, filepath.Base(real), "device"))
	if err != nil {
		return ""
	}
	var p PortInfo
	p.addUSB(device)
	return p.USB
}
