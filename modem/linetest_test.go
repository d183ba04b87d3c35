package modem

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/modem/recording"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// TestTestLine: with dial tone and without, while it rings, in each class; afterwards the modem is on hook, and what was recorded can be
// played.
func TestTestLine(t *testing.T) {
	for _, personality := range []string{"generic", "rockwell", "usr"} {
		for _, c := range []struct {
			name string
			do   func(vm, other *virtual.Modem, call func())
			want LineState
		}{
			{"dial tone", func(*virtual.Modem, *virtual.Modem, func()) {}, LineTone},
			{"cord out", func(vm, _ *virtual.Modem, _ func()) { vm.CutLine(true) }, LineSilent},
			{"ringing", func(_, _ *virtual.Modem, call func()) { call(); time.Sleep(5 * time.Second) }, LineRinging},
		} {
			t.Run(personality+" "+c.name, func(t *testing.T) {
				var file bytes.Buffer
				synctest.Test(t, func(t *testing.T) { testLine(t, personality, &file, c.do, c.want) })
				play(t, file.Bytes(), func(err error) { must(t, err) })
			})
		}
	}
}

func testLine(t *testing.T, personality string, file *bytes.Buffer, do func(vm, other *virtual.Modem, call func()), want LineState) {
	ex := virtual.NewExchange(virtual.Options{})
	defer ex.Close()
	p, err := virtual.Personality(personality)
	must(t, err)
	vm, other := ex.NewModem("5550142", p), ex.NewModem("5550143", virtual.ModemOptions{})
	port, err := vm.Open()
	must(t, err)
	m, err := New(t.Context(), port, Options{Line: phone.Config{Shared: true}, Record: recording.NewRecorder(file, recording.Options{})})
	must(t, err)
	defer m.Close()
	port2, err := other.Open()
	must(t, err)
	m2, err := New(t.Context(), port2, Options{})
	must(t, err)
	defer m2.Close()
	called := make(chan struct{})
	do(vm, other, func() {
		go func() {
			defer close(called)
			_, _ = m2.Call(t.Context(), "5550142", t30.Session{}) // nobody answers
		}()
	})
	began := time.Now()
	got, heard, err := m.TestLine(t.Context())
	must(t, err)
	if got != want {
		t.Errorf("%v (%q), want %v", got, heard, want)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	must(t, m.Close())
	if want == LineRinging {
		<-called
		if n := ex.Calls(); n != 1 {
			t.Errorf("%d calls: the ringing line was not left alone", n)
		}
		return
	}
	vm.CutLine(false)
	// On hook: the exchange can ring it.
	port, err = vm.Open()
	must(t, err)
	m, err = New(t.Context(), port, Options{})
	must(t, err)
	defer m.Close()
	ended := make(chan struct{})
	go func() { defer close(ended); _, _ = m2.Call(t.Context(), "5550142", t30.Session{}) }()
	in, err := m.WaitCall(t.Context())
	must(t, err)
	<-in.Rings()
	must(t, m2.Close())
	<-ended
}

func TestHolderOf(t *testing.T) {
	dir := t.TempDir()
	device := filepath.Join(dir, "ttyX")
	must(t, os.WriteFile(device, nil, 0o600))
	if h, ok := holderOf(dir, device); ok {
		t.Errorf("nobody has it open, but %+v", h)
	}
	fds := filepath.Join(dir, "4711", "fd")
	must(t, os.MkdirAll(fds, 0o755))
	must(t, os.Symlink(device, filepath.Join(fds, "5")))
	must(t, os.WriteFile(filepath.Join(dir, "4711", "cmdline"), []byte("tipring\x00serve\x00--config\x00/etc/t.toml\x00"), 0o600))
	link := filepath.Join(dir, "by-id")
	must(t, os.Symlink(device, link))
	if h, ok := holderOf(dir, link); !ok || h != (Holder{4711, "tipring serve --config /etc/t.toml"}) {
		t.Errorf("%+v, %v", h, ok)
	}
	// Our own descriptors do not count.
	own := filepath.Join(dir, strconv.Itoa(os.Getpid()), "fd")
	must(t, os.MkdirAll(own, 0o755))
	must(t, os.Remove(filepath.Join(fds, "5")))
	must(t, os.Symlink(device, filepath.Join(own, "5")))
	if h, ok := holderOf(dir, device); ok {
		t.Errorf("%+v", h)
	}
}
