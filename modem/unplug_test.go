package modem

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tipring/tipring/modem/at"
)

// plainModem answers n commands on the master of a pty, or until that is closed: enough to be opened in a class.
func plainModem(master *os.File, class string, n int) {
	answers := map[string]string{"AT+FCLASS=?": "0," + class, "AT+FTM=?": "24,48,72,96", "AT+FRM=?": "24,48,72,96", "AT+FDCC=?": "(0,1),(0-5),(0-2),(0-2),(0,1),(0),(0),(0-7)"}
	for r := bufio.NewReader(master); ; n-- {
		cmd, err := r.ReadString('\r')
		for cmd == "" && errors.Is(err, unix.EIO) { // nobody has the other end open yet
			time.Sleep(100 * time.Microsecond)
			cmd, err = r.ReadString('\r')
		}
		if err != nil || n == 0 {
			return
		}
		reply := "\r\nOK\r\n"
		if a := answers[cmd[:len(cmd)-1]]; a != "" {
			reply = "\r\n" + a + "\r\n" + reply
		}
		if _, err := io.WriteString(master, reply); err != nil {
			return
		}
	}
}

// openPlug is openPty with a master whose Close ends a Read on it, as a plug's does.
func openPlug(t *testing.T) (*os.File, string) {
	t.Helper()
	master, path := openPty(t)
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	must(t, unix.SetNonblock(fd, true))
	must(t, master.Close())
	plug := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { plug.Close() })
	return plug, path
}

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestUnplug_ThousandTimes: a modem is plugged in, opened, waited on and pulled a thousand times, in Class 1 and in Class 2: nothing is left of it.
func TestUnplug_ThousandTimes(t *testing.T) {
	cycle := func(class string) {
		master, path := openPlug(t)
		answered := make(chan struct{})
		go func() { plainModem(master, class, -1); close(answered) }()
		m, err := Open(t.Context(), path, Options{Class: class})
		must(t, err)
		waited := make(chan error, 1)
		go func() {
			_, err := m.WaitCall(context.Background())
			waited <- err
		}()
		must(t, master.Close())
		select {
		case err = <-waited:
		case <-time.After(noticeTime):
			t.Fatal("a pulled modem is waited on")
		}
		if !errors.Is(err, at.ErrPortLost) {
			t.Fatal(err)
		}
		_ = m.Close() // the port is gone
		<-answered
	}
	classes := []string{"1", "2"}
	for _, class := range classes { // what is made once and stays
		cycle(class)
	}
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for n := range 1000 {
		cycle(classes[n%len(classes)])
	}
	for range 100 { // what has ended may need a moment to be gone
		if runtime.NumGoroutine() <= goroutines && openFiles(t) <= files {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines became %d:\n%s", goroutines, n, buf[:runtime.Stack(buf, true)])
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d descriptors became %d", files, n)
	}
}

// noticeTime is how soon a pulled plug has to be an error.
const noticeTime = 5 * time.Second

// TestUnplug_InEachCommand: the plug is pulled while the modem is being opened, after each number of its answers.
func TestUnplug_InEachCommand(t *testing.T) {
	for n := 0; ; n++ {
		master, path := openPlug(t)
		go func() {
			plainModem(master, "1", n)
			master.Close()
		}()
		start := time.Now()
		m, err := Open(t.Context(), path, Options{})
		if err == nil {
			m.Close()
			if n < 8 {
				t.Errorf("opened after %d answers", n)
			}
			return
		}
		if !errors.Is(err, at.ErrPortLost) {
			t.Errorf("after %d answers: %v", n, err)
		}
		if d := time.Since(start); d > noticeTime {
			t.Errorf("after %d answers: an error only after %v", n, d)
		}
		if n > 200 {
			t.Fatal("never opened")
		}
	}
}
