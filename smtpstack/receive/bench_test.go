//go:build bench

package receive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

// disk is a Backend that does what a mail server must before it says 250, and no more: the message in a file of its own,
// synced, renamed, its folder synced.
type disk struct {
	dir string
	n   atomic.Int64
}

func (d *disk) Recipient(context.Context, smtpstack.Envelope, smtpstack.Recipient) error { return nil }

func (d *disk) Begin(_ context.Context, env smtpstack.Envelope) (Spool, error) {
	f, err := os.Create(filepath.Join(d.dir, "new-"+env.ID))
	return &diskSpool{d, f, env.ID}, err
}

type diskSpool struct {
	d  *disk
	f  *os.File
	id string
}

func (s *diskSpool) Write(b []byte) (int, error) { return s.f.Write(b) }
func (s *diskSpool) Abort()                      { s.f.Close(); os.Remove(s.f.Name()) }

func (s *diskSpool) Commit(context.Context) (string, error) {
	err := errors.Join(s.f.Sync(), s.f.Close(), os.Rename(s.f.Name(), filepath.Join(s.d.dir, s.id)))
	if err == nil {
		var dir *os.File
		if dir, err = os.Open(s.d.dir); err == nil {
			err = errors.Join(dir.Sync(), dir.Close())
		}
	}
	s.d.n.Add(1)
	return s.id, err
}

// TestBench_SMTPSource runs the same smtp-source (50 kB, 20 sessions) against Postfix, which puts each message into its
// hold queue and does nothing more with it, and against this server, in turns, and prints messages per second and their
// ratio. TIPRING_BENCH_MESSAGES is how many per turn, default 400. It asserts only that all arrived.
//
//	go test -tags bench -run TestBench -v ./smtpstack/receive
func TestBench_SMTPSource(t *testing.T) {
	source := smtptest.Program(t, "smtp-source")
	count := 400
	if s := os.Getenv("TIPRING_BENCH_MESSAGES"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	other := smtptest.FreeAddr(t)
	smtptest.StartPostfix(t, []string{smtptest.Smtpd(other)}, "mynetworks = 127.0.0.0/8", "smtpd_relay_restrictions = permit_mynetworks, reject",
		"smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit_mynetworks, reject",
		"smtpd_client_connection_count_limit = 0", "default_process_limit = 100")
	dir, err := os.MkdirTemp("", "tipring-bench-") // on the file system of Postfix's queue
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cfg := testConfig()
	cfg.MaxConnsPerIP = 50
	cfg.Limits = Limits{ConnsPerMinute: -1, MessagesPerMinute: -1, RecipientsPerHour: -1}
	b := &disk{dir: dir}
	_, ours := start(t, cfg, b)
	run := func(addr string) float64 {
		began := time.Now()
		out, err := exec.Command(source, "-s", "20", "-m", fmt.Sprint(count), "-l", "50000", "-f", "jane@example.com", "-t", "15551234567@fax.example.com", addr).CombinedOutput()
		if err != nil {
			t.Fatalf("smtp-source %s: %v\n%s", addr, err, out)
		}
		return float64(count) / time.Since(began).Seconds()
	}
	const rounds = 3
	var sum [2]float64
	for i := range rounds {
		p, o := run(other), run(ours)
		t.Logf("round %d: Postfix %.0f messages/s, ours %.0f, ratio %.2f", i+1, p, o, o/p)
		sum[0] += p
		sum[1] += o
	}
	t.Logf("mean: Postfix %.0f messages/s, ours %.0f, ratio %.2f", sum[0]/rounds, sum[1]/rounds, sum[1]/sum[0])
	if got := b.n.Load(); got != int64(rounds*count) {
		t.Errorf("%d messages of %d", got, rounds*count)
	}
}
