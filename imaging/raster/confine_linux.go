package raster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempt is one way to start the child; locks names what it gives.
type attempt struct {
	proc  *syscall.SysProcAttr
	locks []string
}

// isolation lists the ways to start the child, best first: as root in empty namespaces, where the kernel lets us.
func isolation() []attempt {
	plain := attempt{proc: &syscall.SysProcAttr{}}
	if os.Geteuid() != 0 {
		return []attempt{plain}
	}
	return []attempt{{
		proc:  &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS},
		locks: []string{"network"},
	}, plain}
}

// behind is the child's nice value: calls on the line and mail coming in have the processor first.
const behind = 10

// startBehind starts a process that gives way to ours. Niceness is a thread's on Linux and inherited, so the thread that starts
// the process takes it on, and ends with its goroutine, which leaves it locked.
func startBehind(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, behind) // refused where we are nicer already
		started <- cmd.Start()
	}()
	return <-started
}

// set puts hard limits on this process. At the CPU limit the kernel kills it.
func (l limits) set() error {
	return errors.Join(setLimit(unix.RLIMIT_FSIZE, l.FileSize), setLimit(unix.RLIMIT_CPU, l.CPUSeconds),
		setLimit(unix.RLIMIT_NOFILE, 256), setLimit(unix.RLIMIT_CORE, 0))
}

// setData bounds the writable memory that may come on top of what this process has now: opening the PDF engine takes
// far more when its code has to be compiled first than when it comes from the cache, and that code is ours.
func (l limits) setData() error {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return fmt.Errorf("raster: own memory: %w", err)
	}
	fields := bytes.Fields(data)
	if len(fields) < 6 {
		return fmt.Errorf("raster: own memory: %q", data)
	}
	pages, err := strconv.ParseUint(string(fields[5]), 10, 40) // data and stack: proc(5)
	if err != nil {
		return fmt.Errorf("raster: own memory: %w", err)
	}
	return setLimit(unix.RLIMIT_DATA, pages*uint64(os.Getpagesize())+l.Data)
}

// setLimit sets a hard limit, but not above what we have: an ordinary user cannot raise one.
func setLimit(what int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(0, what, nil, &now); err != nil {
		return fmt.Errorf("raster: read limit %d: %w", what, err)
	}
	v := min(value, now.Max)
	if err := unix.Prlimit(0, what, &unix.Rlimit{Cur: v, Max: v}, nil); err != nil {
		return fmt.Errorf("raster: set limit %d: %w", what, err)
	}
	return nil
}

// confine gives up what rendering does not need: root, new privileges, and every system call but a few. It returns the
// names of the locks that hold; a kernel without seccomp gives fewer.
func confine() ([]string, error) {
	locks := []string{"limits"}
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := dropRoot(nobody); err != nil {
			return nil, err
		}
		locks = append(locks, "user")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("raster: no new privileges: %w", err)
	}
	filter := seccompFilter(os.Getpid())
	if filter == nil {
		return locks, nil
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// TSYNC puts the filter (and no new privileges) on all threads of the process.
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno == unix.ENOSYS || errno == unix.EINVAL {
		return locks, nil
	}
	if errno != 0 {
		return nil, fmt.Errorf("raster: system call filter: %w", errno)
	}
	if r != 0 {
		return nil, fmt.Errorf("raster: system call filter: thread %d does not take it", r)
	}
	return append(locks, "seccomp"), nil
}

// dropRoot becomes the user and group id, for good; without the right to do so it stays what it is.
func dropRoot(id int) error {
	if err := syscall.Setgroups(nil); err != nil && err != syscall.EPERM {
		return fmt.Errorf("raster: drop groups: %w", err)
	}
	if err := syscall.Setgid(id); err != nil && err != syscall.EINVAL {
		return fmt.Errorf("raster: drop the group: %w", err)
	}
	// EINVAL: a user namespace that does not map the id.
	if err := syscall.Setuid(id); err != nil && err != syscall.EINVAL {
		return fmt.Errorf("raster: drop root: %w", err)
	}
	return nil
}

// killed tells whether the process ended by SIGKILL.
func killed(s *os.ProcessState) bool {
	if s == nil {
		return false
	}
	ws, ok := s.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
}

// residentOctets returns a process's resident memory, 0 once it is gone.
func residentOctets(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
