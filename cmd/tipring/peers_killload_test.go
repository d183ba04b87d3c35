//go:build peers

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
)

// The kill test under load: sessions hand in mails without a pause and try again what was not acknowledged, as mail servers do;
// three lines fax them to a second appliance; serve is killed again and again. In the end each mail that had its 250 is counted
// by its Message-ID: one final notice, and its page at the far end once.

const (
	loadSessions = 4
	loadLines    = 3
)

// manyMails lets one sender send as many as the test likes.
const manyMails = "[limits]\nmails_per_sender = 1000000\n"

// loadRun is one run.
type loadRun struct {
	t      *testing.T
	tx, rx *box
	inbox  *inbox // notices

	mu       sync.Mutex
	next     int
	acked    map[int]bool
	attempts int
	stopping bool

	coming chan struct{} // told, if somebody listens, that a mail is handed in
}

func TestKill_UnderLoad(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("TIPRING_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TIPRING_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	l := startLoad(t)
	var sessions sync.WaitGroup
	for range loadSessions {
		sessions.Go(l.session)
	}
	victims := map[*box]int{}
	for range loadKillCount {
		time.Sleep(time.Duration(50+rnd.IntN([]int{700, 4000}[rnd.IntN(2)])) * time.Millisecond)
		if rnd.IntN(2) == 0 { // while a mail comes in: most of these last some milliseconds
			l.waitMail(5 * time.Second)
			time.Sleep(time.Duration(rnd.IntN(12_000)) * time.Microsecond)
		}
		victim := l.tx
		if rnd.IntN(8) == 0 {
			victim = l.rx
		}
		victim.kill()
		victim.start()
		victims[victim]++
	}
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	sessions.Wait()
	t.Logf("killed the sender %d times, the receiver %d times; %d mails acknowledged in %d attempts", victims[l.tx], victims[l.rx], len(l.acked), l.attempts)
	l.finish()
}

// startLoad starts two appliances of three lines each.
func startLoad(t *testing.T) *loadRun {
	t.Helper()
	dir := t.TempDir()
	start(t, tipringBin, "line", "--modems", strconv.Itoa(2*loadLines), "--dir", dir, "--speed", "20", "--log", filepath.Join(dir, "line.log"))
	tty := func(i int) string { return filepath.Join(dir, "ttyF"+strconv.Itoa(i)) }
	for i := range 2 * loadLines {
		waitFor(t, 10*time.Second, tty(i), func() bool { _, err := os.Lstat(tty(i)); return err == nil })
	}
	more := func(from int, number string) (s string) {
		for i := 1; i < loadLines; i++ {
			s += fmt.Sprintf("[[line]]\nname = \"line%d\"\ndevice = %q\nnumber = \"%s%d\"\nheader = \"Box Clinic\"\n", i, tty(from+i), number, i)
		}
		return s
	}
	txSink := newSink(t)
	l := &loadRun{t: t, inbox: &inbox{dir: txSink.dir, seen: map[string]sunk{}}, acked: map[int]bool{}, coming: make(chan struct{})}
	l.tx = newBox(t, tty(0), txSink.addr, killConfig+manyMails+more(0, "555012"))
	l.rx = newBox(t, tty(loadLines), newSink(t).addr, killConfig+more(loadLines, "555013"))
	l.rx.start()
	l.tx.start()
	return l
}

// session hands in one mail after another until it is to stop; a mail begun is tried until it is acknowledged.
func (l *loadRun) session() {
	for {
		for l.backlog() >= loadBacklog {
			time.Sleep(100 * time.Millisecond)
			if l.stopped() {
				return
			}
		}
		l.mu.Lock()
		l.next++
		n, stop := l.next, l.stopping
		l.mu.Unlock()
		if stop {
			return
		}
		text := l.letter(n)
		for try := 0; ; try++ {
			l.mu.Lock()
			l.attempts++
			l.mu.Unlock()
			select {
			case l.coming <- struct{}{}:
			default:
			}
			err := handIn(l.tx.smtp, "anna@example.org", fmt.Sprintf("%d@fax.example.org", firstNumber+loadLines+n%loadLines), text)
			if err == nil {
				break
			}
			if try == 600 {
				l.t.Errorf("mail %d is never taken: %v", n, err)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		l.mu.Lock()
		l.acked[n] = true
		l.mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
	}
}

// waitMail returns when a session begins to hand in a mail.
func (l *loadRun) waitMail(d time.Duration) {
	select {
	case <-l.coming:
	case <-time.After(d):
	}
}

func (l *loadRun) stopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

// backlog is how many acknowledged mails have no notice yet.
func (l *loadRun) backlog() int {
	told := len(l.inbox.notices(l.t))
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked) - told
}

// letter is a mail whose one page has its number on it.
func (l *loadRun) letter(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: anna@example.org\r\nTo: fax\r\nSubject: job-%d.\r\nMessage-ID: <job-%d@kill.example>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: image/tiff; name=job.tif\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n", n, n)
	text := base64.StdEncoding.EncodeToString(markedPages(l.t, n, 1))
	for ; len(text) > 76; text = text[76:] {
		b.WriteString(text[:76] + "\r\n")
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

// handIn returns nil when the mail got its 250.
func handIn(addr, from, to string, text []byte) error {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	c, err := smtp.NewClient(conn, "mail.example.org")
	if err != nil {
		return err
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.Close()
}

// inbox reads a sink's mails, each once.
type inbox struct {
	dir  string
	mu   sync.Mutex
	seen map[string]sunk // by file
}

func (i *inbox) mails(t *testing.T) map[string]sunk {
	i.mu.Lock()
	defer i.mu.Unlock()
	names, _ := filepath.Glob(filepath.Join(i.dir, "m.*"))
	for _, n := range names {
		if _, ok := i.seen[n]; ok {
			continue
		}
		b, err := os.ReadFile(n)
		if err != nil {
			t.Error(err)
			continue
		}
		if m, ok := parseMail(t, b); ok && !cutShort(m, b) {
			i.seen[n] = m
		}
	}
	return maps.Clone(i.seen)
}

// cutShort tells of a mail that was not whole when its sender was killed, or is still being written: our mails end in a boundary.
func cutShort(m sunk, b []byte) bool {
	_, boundary, ok := strings.Cut(m.header.Get("Content-Type"), "boundary=")
	return ok && !bytes.Contains(b, []byte("--"+strings.Trim(boundary, `"`)+"--"))
}

// notice is all final notices about one mail.
type notice struct {
	ids     map[string]int // by their own Message-ID: how often each came
	outcome string
}

// notices are the final notices by the number of the mail they answer.
func (i *inbox) notices(t *testing.T) map[int]*notice {
	all := map[int]*notice{}
	for _, m := range i.mails(t) {
		var n int
		if _, err := fmt.Sscanf(m.header.Get("In-Reply-To"), "<job-%d@kill.example>", &n); err != nil {
			continue // an alarm
		}
		if all[n] == nil {
			all[n] = &notice{ids: map[string]int{}}
		}
		all[n].ids[m.header.Get("Message-ID")]++
		all[n].outcome = m.header.Get("X-Tipring-Outcome")
	}
	return all
}

// finish waits for the end of all and counts.
func (l *loadRun) finish() {
	t := l.t
	t.Helper()
	waitFor(t, 15*time.Minute, "a notice about every mail", func() bool {
		time.Sleep(500 * time.Millisecond)
		return l.backlog() == 0
	})
	time.Sleep(5 * time.Second) // a second notice must not come
	whole, partial := l.received()
	outcomes, resent := map[string]int{}, 0
	notices := l.inbox.notices(t)
	for n := range l.acked {
		c := notices[n]
		if c == nil {
			t.Errorf("mail %d was acknowledged and has no notice", n)
			continue
		}
		outcomes[c.outcome]++
		if len(c.ids) != 1 {
			t.Errorf("mail %d has %d final notices", n, len(c.ids))
		}
		for _, times := range c.ids {
			resent += times - 1
		}
		switch {
		case c.outcome == string(queue.Sent) && whole[n]+partial[n] == 0:
			t.Errorf("mail %d was reported as sent, and no page of it arrived", n)
		case whole[n] > 1:
			t.Errorf("mail %d arrived %d times (%s)", n, whole[n], c.outcome)
		}
		if c.outcome == string(queue.Failed) && whole[n] > 0 {
			t.Errorf("mail %d arrived and was reported as failed", n)
		}
	}
	for n := range notices {
		if !l.acked[n] {
			t.Errorf("a notice about mail %d, which was not acknowledged", n)
		}
	}
	t.Logf("acknowledged %d = sent %d + failed %d + outcome unknown %d; %d notices handed over twice under the same Message-ID", len(l.acked),
		outcomes[string(queue.Sent)], outcomes[string(queue.Failed)], outcomes[string(queue.Unknown)], resent)
	if sum := outcomes[string(queue.Sent)] + outcomes[string(queue.Failed)] + outcomes[string(queue.Unknown)]; sum != len(l.acked) {
		t.Errorf("outcomes: %v", outcomes)
	}
	l.checkDatabase()
}

// received counts each mail's page on the receiving appliance: in whole faxes, and in those that were cut short.
func (l *loadRun) received() (whole, partial map[int]int) {
	t := l.t
	t.Helper()
	whole, partial = map[int]int{}, map[int]int{}
	c, err := control.Dial(l.rx.data)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	faxes, err := c.Faxes(context.Background(), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range faxes {
		if f.Pages == 0 {
			continue
		}
		name := filepath.Join(dir, f.ID+".tif")
		if out, _, status := tipring(t, 20*time.Second, "faxes", "get", f.ID, name, "--data", l.rx.data); status != exitOK {
			t.Errorf("faxes get %s: %s", f.ID, out)
			continue
		}
		pages := libtiffPages(t, name)
		for i, p := range pages {
			switch job, _ := readMark(p); {
			case job == 0: // only the first lines came
			case f.Damaged && i == len(pages)-1: // of the pages before it each was followed by another
				partial[job]++
			default:
				whole[job]++
			}
		}
	}
	t.Logf("%d faxes received: pages of %d mails in whole ones, of %d in ones cut short", len(faxes), len(whole), len(partial))
	return whole, partial
}

// checkDatabase looks into the sender's data folder: nothing is left on its way, and there is one job for each mail.
func (l *loadRun) checkDatabase() {
	t := l.t
	t.Helper()
	l.tx.kill()
	st, err := store.Open(l.tx.data, store.Options{LockTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Check(); err != nil {
		t.Errorf("database: %v", err)
	}
	q, rec, err := queue.Open(st, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rec.Files {
		if f.Missing {
			t.Errorf("%v", f)
		}
	}
	jobs, err := q.Jobs(0)
	if err != nil {
		t.Fatal(err)
	}
	per := map[string]int{}
	for _, j := range jobs {
		per[j.MessageID]++
		if !j.State.Final() {
			t.Errorf("job %s is %s", j.ID, j.State)
		}
	}
	for id, n := range per {
		if n != 1 {
			t.Errorf("%s has %d jobs", id, n)
		}
	}
	if len(per) != len(l.acked) {
		t.Errorf("jobs for %d mails, %d were acknowledged", len(per), len(l.acked))
	}
	if left, err := q.Unsent(); err != nil || len(left) != 0 {
		t.Errorf("%d mails left in the outbox, %v", len(left), err)
	}
}
