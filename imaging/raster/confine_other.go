//go:build !linux

package raster

import (
	"os"
	"os/exec"
	"syscall"
)

// The appliance runs on Linux. Elsewhere, for development, the child has its time limit only.

type attempt struct {
	proc  *syscall.SysProcAttr
	locks []string
}

func isolation() []attempt { return []attempt{{}} }

func startBehind(cmd *exec.Cmd) error { return cmd.Start() }

func (l limits) set() error { return nil }

func (l limits) setData() error { return nil }

func confine() ([]string, error) { return []string{}, nil }

func killed(*os.ProcessState) bool { return false }

func residentOctets(int) int64 { return 0 }
