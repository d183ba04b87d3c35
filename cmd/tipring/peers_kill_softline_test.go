//go:build peers

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
)

// TestKill_OnARealModem kills serve at random moments of calls through a spandsp modem to a spandsp fax machine.
func TestKill_OnARealModem(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	dir := t.TempDir()
	line := startSoftline(t, "fax:answer,out="+filepath.Join(dir, "got%d.tif"), "--calls", "0")
	k := &killRun{t: t, txSink: newSink(t), accepted: map[int]bool{}}
	k.tx = newBox(t, line.pty, k.txSink.addr, killConfig)
	k.tx.start()
	type mark struct{ job, confirmed, calls int }
	var marks []mark
	for k.interrupts < softlineKillCount {
		if len(activeJobs(k.tx.jobs())) == 0 {
			k.submit()
		}
		time.Sleep(time.Duration(2000+rnd.IntN(45000)) * time.Millisecond) // a call takes some 50 s
		k.tx.kill()
		calls := len(line.events("dial"))
		k.interrupts++
		k.tx.start()
		waitFor(t, 20*time.Second, "queue after a restart", func() bool { return len(k.tx.jobs()) == len(k.accepted) })
		for _, j := range k.tx.jobs() {
			marks = append(marks, mark{jobNumber(j.Subject), j.Confirmed, calls})
		}
	}
	jobs := k.drain(5 * time.Minute)
	k.checkNotices()
	arrived := callsOfPages(t, dir)
	doubled := 0
	for _, j := range jobs {
		for page := 1; page <= j.Confirmed; page++ {
			calls := arrived[[2]int{jobNumber(j.Subject), page}]
			if len(calls) == 0 {
				t.Errorf("%s page %d was confirmed but never arrived", j.Subject, page)
			}
			doubled += max(len(calls)-1, 0)
		}
	}
	t.Logf("%d pages arrived twice (confirmation not recorded when the kill came)", doubled)
	for _, m := range marks {
		for page := 1; page <= m.confirmed; page++ {
			for _, call := range arrived[[2]int{m.job, page}] {
				if call > m.calls {
					t.Errorf("job %d page %d was recorded as confirmed before call %d and arrived again in call %d", m.job, page, m.calls+1, call)
				}
			}
		}
	}
}

// callsOfPages reads the far machine's files, one per call: job and page to the calls they came in.
func callsOfPages(t *testing.T, dir string) map[[2]int][]int {
	t.Helper()
	arrived := map[[2]int][]int{}
	for call := 1; call < 200; call++ {
		name := filepath.Join(dir, fmt.Sprintf("got%d.tif", call))
		if i, err := os.Stat(name); err != nil || i.Size() == 0 {
			continue
		}
		for _, p := range libtiffPages(t, name) {
			if job, page := readMark(p); job != 0 {
				arrived[[2]int{job, page}] = append(arrived[[2]int{job, page}], call)
			}
		}
	}
	return arrived
}

// drain waits until every accepted mail's job has ended, and holds their states against the number of mails.
func (k *killRun) drain(d time.Duration) []control.Job {
	t := k.t
	t.Helper()
	waitFor(t, d, "end of all jobs", func() bool {
		jobs := k.tx.jobs()
		time.Sleep(300 * time.Millisecond)
		return len(jobs) >= len(k.accepted) && len(activeJobs(jobs)) == 0
	})
	jobs, states, ended := k.tx.jobs(), map[control.JobState]int{}, map[int]int{}
	for _, j := range jobs {
		states[j.State]++
		if j.State == control.JobSent || j.State == control.JobUnknown {
			ended[jobNumber(j.Subject)]++
			continue
		}
		t.Logf("job %s (%s) ended as %s: %s", j.ID, j.Subject, j.State, j.Text)
	}
	t.Logf("%d kills, %d mails tried, %d accepted, jobs: %v", k.interrupts, k.submitted, len(k.accepted), states)
	for n := range k.accepted {
		if ended[n] != 1 {
			t.Errorf("mail %d was accepted and has %d jobs that ended as sent or unknown", n, ended[n])
		}
	}
	return jobs
}
