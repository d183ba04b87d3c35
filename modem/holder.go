package modem

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is a process that has a port open.
type Holder struct {
	PID     int
	Command string // its command line, at most 200 characters; "" if it cannot be read
}

// HolderOf finds the process that has the port at path open, as far as we may look; false: none is seen.
func HolderOf(path string) (Holder, bool) { return holderOf("/proc", path) }

func holderOf(proc, path string) (Holder, bool) {
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Holder{}, false
	}
	open, err := filepath.Glob(filepath.Join(proc, "[0-9]*/fd/*"))
	if err != nil {
		return Holder{}, false
	}
	for _, fd := range open {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(fd))))
		if to, err2 := os.Readlink(fd); err != nil || err2 != nil || to != device || pid == os.Getpid() {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline")) // it may have ended
		words := strings.ToValidUTF8(string(bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))), "?")
		return Holder{pid, words[:min(len(words), 200)]}, true
	}
	return Holder{}, false
}
