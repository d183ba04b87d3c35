package modem

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// softline starts a real soft modem on a pty with a real fax machine at the other end of its line, at four times the speed
// of life. It is built by make test; without it the test is skipped, unless TIPRING_PEERS=required.
func softline(t *testing.T, modemOptions, far string, options ...string) (pty string, process *os.Process) {
	t.Helper()
	bin := "../testdata/softline/softline"
	if _, err := os.Stat(bin); err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal(err)
		}
		t.Skip("softline is not built")
	}
	dir := t.TempDir()
	pty = filepath.Join(dir, "tty")
	args := append([]string{"--speed", "4", "--calls", "1", "--max-time", "60", "--linger", "1", "--log", filepath.Join(dir, "log")}, options...)
	cmd := exec.Command(bin, append(args, "modem:"+pty+modemOptions, far)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("softline's log ends:\n%s", log[max(0, len(log)-4000):])
		}
	})
	for range 100 {
		if _, err := os.Stat(pty); err == nil {
			return pty, cmd.Process
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("softline opens no port")
	return "", nil
}

func open(t *testing.T, pty string) *Modem {
	t.Helper()
	m, err := Open(t.Context(), pty, Options{Trace: func(e t30.Event) { t.Logf("%s %s %s", e.At.Format("05.000"), e.Dir, e.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// signal receives the frames of one V.21 signal.
func signal(t *testing.T, l t30.Line) (fs []t30.Frame) {
	t.Helper()
	for {
		f, err := l.ReceiveFrame(t.Context(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if fs = append(fs, f); f.Final() {
			return fs
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var long14400 = t30.Modulation{Scheme: t30.V17, Rate: 14400}

func TestSoftline_CallTrainAndHangUp(t *testing.T) {
	pty, _ := softline(t, "", "fax:answer,out="+filepath.Join(t.TempDir(), "o.tif"))
	m := open(t, pty)
	if id := m.Identity(); !id.HasClass("1") || id.Profile != "spandsp" {
		t.Errorf("identity %+v", id)
	}
	if c := m.Capabilities(); c.MaxRate != 14400 || !c.Schemes.Has(t30.V17) || !c.ECM {
		t.Errorf("capabilities %+v", c)
	}
	l, err := m.Phone().Dial(t.Context(), "555-0100")
	must(t, err)
	if fs := signal(t, l); fs[len(fs)-1][2] != 0x80 { // DIS
		t.Errorf("no DIS: % x", fs)
	}
	must(t, l.Silence(t.Context(), 75*time.Millisecond))
	// DCS: V.17 14400, fine, A4, unlimited length.
	must(t, l.SendFrames(t.Context(), t30.Frame{0xff, 0x13, 0x83, 0x00, 0x62, 0x28, 0x00}))
	must(t, l.Silence(t.Context(), 75*time.Millisecond))
	must(t, l.SendTCF(t.Context(), long14400, 1500*time.Millisecond))
	if fs := signal(t, l); fs[0][2] != 0x84 { // CFR
		t.Errorf("no CFR: % x", fs)
	}
	must(t, l.Hangup())
	if _, err := m.ch.Do(t.Context(), "AT", time.Second); err != nil { // it takes commands again
		t.Error(err)
	}
}

func TestSoftline_AnswerAndReceiveTCF(t *testing.T) {
	page, err := filepath.Abs("../testdata/softline/pages/text.tif")
	must(t, err)
	pty, process := softline(t, ",nmbr=5551234,name=JOE,cid=before", "fax:call,delay=4,in="+page)
	m := open(t, pty)
	r, err := m.Phone().WaitRing(t.Context())
	must(t, err)
	if ring := <-r.Rings(); ring.Caller != "5551234" || ring.Name != "JOE" {
		t.Errorf("%+v", ring)
	}
	l, err := r.Answer(t.Context(), t30.AnswerFax)
	must(t, err)
	// DIS: V.17, fine, unlimited length, no ECM.
	must(t, l.SendFrames(t.Context(), t30.Frame{0xff, 0x13, 0x80, 0x00, 0xee, 0xf8, 0x00}))
	fs := signal(t, l)
	if fs[len(fs)-1][2] != 0x83 {
		t.Fatalf("no DCS: % x", fs)
	}
	var tcf bytes.Buffer
	must(t, l.ReceivePage(t.Context(), long14400, 3*time.Second, &tcf))
	if n := bytes.Count(tcf.Bytes(), []byte{0}); n < 2600 || n > 2800 {
		t.Errorf("TCF of %d octets, %d zeros", tcf.Len(), n)
	}
	// The port is pulled in the middle of what comes next.
	time.AfterFunc(200*time.Millisecond, func() { _ = process.Kill() })
	start := time.Now()
	if _, err := l.ReceiveFrame(t.Context(), time.Minute); !errors.Is(err, at.ErrPortLost) {
		t.Error(err)
	}
	if err := l.Hangup(); !errors.Is(err, at.ErrPortLost) {
		t.Error(err)
	}
	<-m.Lost()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}
