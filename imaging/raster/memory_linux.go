package raster

import "golang.org/x/sys/unix"

// mapMemory returns n zeroed octets outside the Go heap, nil if the system refuses.
func mapMemory(n int) []byte {
	m, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return m
}

func unmapMemory(m []byte) {
	if m != nil {
		_ = unix.Munmap(m) // cannot fail for a mapping of ours
	}
}
