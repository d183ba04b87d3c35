package appliance

import (
	"context"
	"errors"
	"io"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/imaging/raster"
)

// renderHere renders without a child process: the test's binary has no render command.
func renderHere(ctx context.Context, job raster.Job, out *os.File) (raster.Result, error) {
	return raster.RenderJob(ctx, job, out)
}

// syncBuffer is a strings.Builder for two goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startDemo runs the demo at high speed until the test ends.
func startDemo(t *testing.T, data string) (*Appliance, *syncBuffer, func() error) {
	t.Helper()
	out := &syncBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan *Appliance, 1)
	done := make(chan error, 1)
	go func() {
		done <- Demo(ctx, DemoOptions{Data: data, SMTPAddr: "127.0.0.1:0", WebAddr: "127.0.0.1:0", Speed: 20, Out: out, Version: "test",
			Log: testLog(t), Render: renderHere, Ready: func(a *Appliance) { ready <- a }})
	}()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Demo: %v", err)
		}
	})
	select {
	case a := <-ready:
		return a, out, stop
	case err := <-done:
		done <- err
		t.Fatalf("Demo: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("the demo does not start")
	}
	return nil, nil, nil
}

// patience is how long a test waits for what has to happen: only a failure takes so long, however busy the machine is.
const patience = 3 * time.Minute

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}

func mailsIn(t *testing.T, dir string) []*mail.Message {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
	var list []*mail.Message
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

func TestDemo_FaxesItself(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	a, out, stop := startDemo(t, data)
	eventually(t, "received", func() bool { return strings.Contains(out.String(), "received: fax") })
	for _, want := range []string{"smtp://" + a.SMTPAddrs()[0], "http://" + a.WebAddr(), filepath.Join(data, "outbox"), "swaks --server", "tipring submit --data " + data} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in what the demo prints:\n%s", want, out)
		}
	}
	eventually(t, "two mails in the outbox", func() bool { return len(mailsIn(t, filepath.Join(data, "outbox"))) == 2 })
	ctx := context.Background()
	c, err := control.Dial(data)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	faxes, err := c.Faxes(ctx, 10)
	if err != nil || len(faxes) != 1 || faxes[0].Pages != 1 || !faxes[0].Delivered || faxes[0].RemoteID != demoSender || faxes[0].Damaged {
		t.Fatalf("faxes: %+v, %v", faxes, err)
	}
	for _, as := range []control.FileType{control.PDF, control.TIFF} {
		rc, err := c.OpenFax(ctx, faxes[0].ID, as)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		rc.Close()
		if err != nil || len(b) < 1000 || !strings.HasPrefix(string(b), map[control.FileType]string{control.PDF: "%PDF", control.TIFF: "II*"}[as]) {
			t.Errorf("%s: %d octets, %v", as, len(b), err)
		}
	}
	rc, err := c.OpenPage(ctx, faxes[0].ID, 1, 300)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(rc)
	rc.Close()
	if !strings.HasPrefix(string(b), "\x89PNG") {
		t.Errorf("page picture: %d octets", len(b))
	}
	if _, err := c.OpenPage(ctx, faxes[0].ID, 2, 300); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("page 2 of 1: %v", err)
	}
	s, err := c.Status(ctx)
	if err != nil || s.Counters.Sent != 1 || s.Counters.Received != 1 || s.Counters.MailWaiting != 0 || len(s.Alarms) != 0 || len(s.Lines) != 2 {
		t.Errorf("status: %+v, %v", s, err)
	}
	if s.Lines[0].Last == nil || s.Lines[0].Last.Confirmed != 1 || s.Lines[0].Last.Code != 1 {
		t.Errorf("line one's last call: %+v", s.Lines[0].Last)
	}
	if ev, err := c.Transcript(ctx, "one"); err != nil || len(ev) == 0 {
		t.Errorf("transcript: %d events, %v", len(ev), err)
	}
	if err := stop(); err != nil {
		t.Errorf("Demo: %v", err)
	}
	if _, err := control.Dial(data); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}

func TestDemo_PortInUseNamesThePort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	for name, o := range map[string]DemoOptions{"receive \"demo\": listen": {SMTPAddr: addr, WebAddr: "127.0.0.1:0"}, "web.listen": {SMTPAddr: "127.0.0.1:0", WebAddr: addr}} {
		err := Demo(context.Background(), o)
		if !errors.Is(err, ErrPortInUse) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "tipring-demo-*")); len(left) > 0 {
		for _, dir := range left {
			if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) < 5*time.Second {
				t.Errorf("left behind: %s", dir)
			}
		}
	}
}
