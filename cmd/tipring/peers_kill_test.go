//go:build peers

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// The kill tests: two appliances on two virtual modems (or one on softline), one faxing to the other, either of them killed
// without warning at random moments and started again. Every page carries its job and number as a pattern of blocks, so
// that what arrived can be told page by page.

const markPages = 3

// markedFax writes a fax of markPages pages, each with its job and number as 16 + 8 blocks.
func markedFax(t *testing.T, job int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), fmt.Sprintf("job%d.tif", job))
	if err := os.WriteFile(name, markedPages(t, job, markPages), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// markedPages is a TIFF of such pages.
func markedPages(t *testing.T, job, pages int) []byte {
	f := new(bytes.Buffer)
	w := tiff.NewWriter(f, tiff.Meta{})
	for n := 1; n <= pages; n++ {
		b := imaging.New(1728, 1100)
		drawMark(b, job<<8|n)
		if err := w.AddPage(imaging.Page{Bitmap: b, Resolution: imaging.Fine}, t4.File(imaging.MMR, imaging.Fine)); err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	return f.Bytes()
}

// A mark is a black bar of 40 rows, then 24 cells of 64 x 64 pels, most significant bit first.
func drawMark(b *imaging.Bitmap, mark int) {
	for y := 400; y < 440; y++ {
		for x := 96; x < 96+24*64; x++ {
			b.SetBlack(x, y)
		}
	}
	for bit := range 24 {
		if mark>>(23-bit)&1 == 0 {
			continue
		}
		for y := 500; y < 564; y++ {
			for x := 96 + bit*64; x < 96+bit*64+64; x++ {
				b.SetBlack(x, y)
			}
		}
	}
}

// readMark finds the bar and reads the cells below it; job 0 when there is none.
func readMark(p pbm) (job, page int) {
	black := func(x, y int) bool { return y < p.h && p.rows[y*((p.w+7)/8)+x/8]>>(7-x%8)&1 == 1 }
	for y := 0; y < p.h; y++ {
		if !black(100, y) || !black(864, y) || !black(96+24*64-4, y) {
			continue
		}
		mark := 0
		for bit := range 24 {
			mark <<= 1
			if black(96+bit*64+32, y+132) {
				mark |= 1
			}
		}
		return mark >> 8, mark & 255
	}
	return 0, 0
}

// exchange is `tipring line`: virtual modems behind ptys, in a process of its own that no kill touches.
func exchange(t *testing.T, speed string) (ttys []string) {
	t.Helper()
	dir := t.TempDir()
	start(t, tipringBin, "line", "--modems", "2", "--dir", dir, "--speed", speed, "--log", filepath.Join(dir, "line.log"))
	ttys = []string{filepath.Join(dir, "ttyF0"), filepath.Join(dir, "ttyF1")}
	for _, tty := range ttys {
		waitFor(t, 10*time.Second, tty, func() bool { _, err := os.Lstat(tty); return err == nil })
	}
	return ttys
}

// killRun is one run of the kill test.
type killRun struct {
	t          *testing.T
	tx, rx     *box
	txSink     *sink
	rxSink     *sink
	submitted  int          // mails handed over, or tried to
	accepted   map[int]bool // of these, by number: those that got their 250
	snapshots  []snapshot
	interrupts int
}

// snapshot is what the sender's database said right after a restart: no page up to Confirmed may arrive after At.
type snapshot struct {
	at        time.Time
	subject   string
	confirmed int
}

func TestKill_NothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	runKills(t, killCount)
}

func runKills(t *testing.T, kills int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	ttys := exchange(t, "20")
	k := &killRun{t: t, txSink: newSink(t), rxSink: newSink(t), accepted: map[int]bool{}}
	k.tx = newBox(t, ttys[0], k.txSink.addr, killConfig)
	k.rx = newBox(t, ttys[1], k.rxSink.addr, killConfig)
	k.tx.start()
	k.rx.start()
	for k.interrupts < kills {
		switch {
		case len(k.accepted) < 2 || len(activeJobs(k.tx.jobs())) == 0:
			k.submit()
		case rnd.IntN(3) == 0: // a kill while the mail comes in
			done := k.submitting()
			time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
			k.killOne(k.tx, done)
			continue
		}
		// A fax takes some 4 s at this speed: half of the kills hit its way, the others leave it time to come to an end.
		time.Sleep(time.Duration(rnd.IntN([]int{2500, 9000}[rnd.IntN(2)])) * time.Millisecond)
		k.killOne([]*box{k.tx, k.tx, k.rx}[rnd.IntN(3)], nil)
	}
	k.finish()
}

// killConfig makes waits short and leaves out the cover page, so that a fax's pages are the attachment's.
const killConfig = `
[cover]
body = false
[retry]
busy_tries = 20
busy_intervals = ["1s"]
no_answer_tries = 20
failed_tries = 20
interval = "1s"
`

func activeJobs(jobs []control.Job) (active []control.Job) {
	for _, j := range jobs {
		if !j.State.Final() {
			active = append(active, j)
		}
	}
	return active
}

// killOne kills one of the two and starts it again, once a submission that runs (nil: none) has noticed.
func (k *killRun) killOne(victim *box, submission <-chan struct{}) {
	k.t.Helper()
	victim.kill()
	k.interrupts++
	if submission != nil {
		<-submission
	}
	victim.start()
	if victim == k.tx {
		k.snapshot()
	}
}

// submitting hands over the next mail; when it is done, accepted knows whether it got its 250.
func (k *killRun) submitting() (done chan struct{}) {
	k.t.Helper()
	k.submitted++
	job, file := k.submitted, markedFax(k.t, k.submitted)
	done = make(chan struct{})
	go func() {
		defer close(done)
		_, ok := k.tx.swaks("--to", "5550101@fax.example.org", "--header", fmt.Sprintf("Subject: job-%d.", job), "--body", "see attachment",
			"--attach-type", "image/tiff", "--attach", "@"+file)
		if ok {
			k.accepted[job] = true
		}
	}()
	return done
}

func (k *killRun) submit() {
	k.t.Helper()
	if <-k.submitting(); !k.accepted[k.submitted] {
		k.t.Fatalf("mail %d was not taken", k.submitted)
	}
}

func (k *killRun) snapshot() {
	k.t.Helper()
	waitFor(k.t, 20*time.Second, "queue after a restart", func() bool { return len(k.tx.jobs()) >= len(k.accepted) })
	now := time.Now()
	for _, j := range k.tx.jobs() {
		k.snapshots = append(k.snapshots, snapshot{now, j.Subject, j.Confirmed})
	}
}

// finish lets everything come to its end and counts.
func (k *killRun) finish() {
	t := k.t
	t.Helper()
	confirmed := map[int]int{} // pages by job
	for _, j := range k.drain(3 * time.Minute) {
		confirmed[jobNumber(j.Subject)] = j.Confirmed
	}
	k.checkNotices()
	arrived := k.arrivals()
	for job, n := range confirmed {
		for page := 1; page <= n; page++ {
			if len(arrived[[2]int{job, page}]) == 0 {
				t.Errorf("job %d page %d was confirmed but is nowhere on the receiver", job, page)
			}
		}
	}
	doubled := 0
	for _, at := range arrived {
		doubled += len(at) - 1
	}
	t.Logf("%d pages arrived twice (confirmation not recorded when the kill came)", doubled)
	for _, s := range k.snapshots {
		for page := 1; page <= s.confirmed; page++ {
			for _, at := range arrived[[2]int{jobNumber(s.subject), page}] {
				if at.After(s.at) {
					t.Errorf("%s page %d was recorded as confirmed at %v and arrived again at %v", s.subject, page, s.at, at)
				}
			}
		}
	}
}

func jobNumber(subject string) (n int) {
	fmt.Sscanf(subject, "job-%d.", &n)
	return n
}

// checkNotices wants exactly one final notice per accepted mail, and never two for any.
func (k *killRun) checkNotices() {
	k.t.Helper()
	count := func() map[int]map[string]bool {
		got := map[int]map[string]bool{}
		for _, m := range noticesOf(k.txSink.mails()) {
			i := strings.Index(m.subject()+m.text, "job-")
			if i < 0 {
				k.t.Errorf("a notice about no job: %s", m.subject())
				continue
			}
			n := jobNumber((m.subject() + m.text)[i:])
			if got[n] == nil {
				got[n] = map[string]bool{}
			}
			got[n][m.header.Get("Message-ID")] = true
		}
		return got
	}
	waitFor(k.t, time.Minute, "all notices", func() bool {
		got := count()
		for n := range k.accepted {
			if len(got[n]) == 0 {
				return false
			}
		}
		return true
	})
	time.Sleep(2 * time.Second)
	for n, ids := range count() {
		if len(ids) != 1 {
			k.t.Errorf("job %d has %d different notices", n, len(ids))
		}
	}
}

// arrivals reads all pages off the receiving appliance: job and page to the times they came.
func (k *killRun) arrivals() map[[2]int][]time.Time {
	t := k.t
	t.Helper()
	out, err := exec.Command(tipringBin, "faxes", "list", "--json", "--data", k.rx.data).Output()
	if err != nil {
		t.Fatalf("faxes list: %v", err)
	}
	var faxes []control.Fax
	if err := json.Unmarshal(out, &faxes); err != nil {
		t.Fatal(err)
	}
	arrived := map[[2]int][]time.Time{}
	dir := t.TempDir()
	for _, f := range faxes {
		if f.Pages == 0 {
			continue
		}
		name := filepath.Join(dir, f.ID+".tif")
		if out, err := exec.Command(tipringBin, "faxes", "get", f.ID, name, "--data", k.rx.data).CombinedOutput(); err != nil {
			t.Errorf("faxes get %s: %v %s", f.ID, err, out)
			continue
		}
		for _, p := range libtiffPages(t, name) {
			job, page := readMark(p)
			if job == 0 {
				t.Logf("a page of fax %s has no mark (cut short: %v)", f.ID, f.Damaged)
				continue
			}
			arrived[[2]int{job, page}] = append(arrived[[2]int{job, page}], f.At)
		}
	}
	return arrived
}
