package raster

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_ARM

// The private calls (cacheflush, set_tls) are numbered from 0x0f0000 on.
var allowedHere = []uint32{
	unix.SYS_MMAP2, unix.SYS__LLSEEK, unix.SYS_FSTAT64, unix.SYS_FTRUNCATE64, unix.SYS_FCNTL64, unix.SYS_EPOLL_WAIT, unix.SYS_SIGRETURN,
	unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64, unix.SYS_FUTEX_TIME64, unix.SYS_TIMER_SETTIME64,
	0x0f0002, 0x0f0005,
}
