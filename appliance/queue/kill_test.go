package queue

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

const (
	killRuns     = 25
	killNumbers  = 4
	killJobPages = 3
)

// TestKill runs the queue in a process of its own that works at random and is killed at random moments, then opens
// its data and looks whether the promises hold. The process says on its standard output what it has been told is
// durable.
func TestKill(t *testing.T) {
	if dir := os.Getenv("QUEUE_TEST_WORK"); dir != "" {
		seed, _ := strconv.ParseUint(os.Getenv("QUEUE_TEST_SEED"), 10, 64)
		work(t, dir, rand.New(rand.NewPCG(seed, 0)))
		return
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(7, 7))
	know := knowledge{jobs: map[string]int{}, mails: map[string]bool{}, faxes: map[string]int{}, final: map[string]string{}}
	for run := range killRuns {
		know.read(t, runAndKill(t, dir, run, time.Duration(20+rnd.IntN(150))*time.Millisecond))
		know.verify(t, dir)
		if t.Failed() {
			t.Fatalf("after kill %d", run)
		}
	}
	if len(know.jobs) < killRuns || len(know.faxes) < killRuns/2 || len(know.final) < killRuns/2 {
		t.Errorf("the worker did too little: %d jobs, %d faxes, %d final", len(know.jobs), len(know.faxes), len(know.final))
	}
	know.finish(t, dir)
}

// killOptions tell in between too what has ended of a mail.
func killOptions() Options {
	o := routed()
	o.ReportAfter = 30 * time.Millisecond
	return o
}

// runAndKill returns what the worker said until it was killed. The time runs from its first word.
func runAndKill(t *testing.T, dir string, seed int, after time.Duration) string {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "QUEUE_TEST_WORK="+dir, "QUEUE_TEST_SEED="+strconv.Itoa(seed))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	in := bufio.NewReader(out)
	first, err := in.ReadString('\n')
	must(t, err)
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	rest, _ := io.ReadAll(in)
	cmd.Wait()
	return first + string(rest)
}

// knowledge is what the workers were told is durable.
type knowledge struct {
	jobs  map[string]int    // id: pages confirmed
	mails map[string]bool   // accepted
	faxes map[string]int    // id: pages confirmed by us
	final map[string]string // job id: final state
}

func (k *knowledge) read(t *testing.T, said string) {
	lines := strings.Split(said, "\n")
	for _, line := range lines[:len(lines)-1] { // the last is empty or was cut off
		f := strings.Fields(line)
		if strings.HasPrefix(line, "--- FAIL") {
			t.Errorf("the worker failed: %s", said)
		}
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "mail":
			k.mails[f[1]] = true
		case "job", "page":
			k.jobs[f[1]], _ = strconv.Atoi(f[2])
		case "final":
			k.final[f[1]] = f[2]
		case "fax":
			k.faxes[f[1]], _ = strconv.Atoi(f[2])
		case "FAIL":
			t.Errorf("worker: %s", line)
		}
	}
}

func (k *knowledge) verify(t *testing.T, dir string) {
	q, rec := openAt(t, dir, killOptions())
	defer q.st.Close()
	check(t, q)
	for _, f := range rec.Files {
		if f.Missing {
			t.Errorf("lost: %v", f)
		}
	}
	for id := range k.mails {
		if _, err := q.Mail(MailID(id)); err != nil {
			t.Errorf("accepted mail lost: %v", err)
		}
	}
	for id, pages := range k.jobs {
		j, err := q.Job(JobID(id))
		if err != nil || len(j.Done) < pages {
			t.Errorf("job %s has %d pages confirmed, %d were; %v", id, len(j.Done), pages, err)
		}
		if want, ok := k.final[id]; ok && string(j.State) != want {
			t.Errorf("job %s was %s and is %s", id, want, j.State)
		}
	}
	k.verifyNotices(t, q)
	for id, pages := range k.faxes {
		f, err := q.Fax(FaxID(id))
		if err != nil || len(f.Pages) < pages || f.State == FaxReceiving {
			t.Errorf("fax %s: %d pages, %s, %v; %d pages were confirmed", id, len(f.Pages), f.State, err, pages)
		}
		for _, p := range f.Pages {
			if _, err := q.st.ReadFile(p.File, 100); err != nil {
				t.Errorf("fax %s: %v", id, err)
			}
		}
	}
}

// verifyNotices: each ended job has one notice, or may still wait for the others of its mail; no other has any; each ended
// fax has one delivery.
func (k *knowledge) verifyNotices(t *testing.T, q *Queue) {
	all, err := q.Outs(0)
	must(t, err)
	notices, deliveries := map[JobID]int{}, map[FaxID]int{}
	for _, o := range all {
		switch o.Kind {
		case KindNotice:
			notices[o.Job]++
		case KindSummary:
			for _, id := range o.Jobs {
				notices[id]++
			}
		case KindFax:
			deliveries[o.Fax]++
		}
	}
	jobs, err := q.Jobs(0)
	must(t, err)
	calling := map[string]bool{}
	open := map[MailID]bool{} // with a job not yet over
	for _, j := range jobs {
		open[j.Mail] = open[j.Mail] || !j.State.Final()
	}
	for _, j := range jobs {
		want := 0
		if j.State.Final() && !open[j.Mail] {
			want = 1
		}
		if n := notices[j.ID]; n != want && !(n == 1 && j.State.Final()) || (j.Notice != "") != (n > 0) {
			t.Errorf("job %s is %s, has %d notices and names %q; mail open: %v", j.ID, j.State, n, j.Notice, open[j.Mail])
		}
		if j.State == Calling || calling[j.Number] {
			t.Errorf("job %s is still calling after the restart", j.ID)
		}
		if j.State == Sent && len(j.Done) != j.Pages || j.State.Final() && j.State != Sent && len(j.Done) == j.Pages {
			t.Errorf("job %s is %s with %d of %d pages", j.ID, j.State, len(j.Done), j.Pages)
		}
		if got := slices.Compact(j.Arrived()); len(got) != len(j.Done) {
			t.Errorf("job %s has a page confirmed twice: %v", j.ID, j.Arrived())
		}
	}
	list, err := q.Faxes(0)
	must(t, err)
	for _, f := range list {
		if deliveries[f.ID] != 1 {
			t.Errorf("fax %s, %s, has %d deliveries", f.ID, f.State, deliveries[f.ID])
		}
	}
}

// finish lets all jobs come to their end without a kill.
func (k *knowledge) finish(t *testing.T, dir string) {
	q, _ := openAt(t, dir, killOptions())
	for {
		j, ok, err := q.NextJob(time.Now().Add(time.Second), "east")
		must(t, err)
		if !ok {
			break
		}
		for _, n := range j.Pending() {
			sendPage(t, q, j.ID, n)
		}
		end(t, q, j.ID, t30.CodeOK)
	}
	if left, err := q.ActiveJobs(); err != nil || len(left) != 0 {
		t.Errorf("%d jobs are left, %v", len(left), err)
	}
	if at, err := q.NextReportAt(time.Now()); err != nil || !at.IsZero() {
		t.Errorf("a mail is not told of: %v, %v", at, err)
	}
	if all, err := q.Outs(0); err != nil || !slices.ContainsFunc(all, func(o Out) bool { return len(o.Jobs) > 1 }) {
		t.Errorf("no notice of several jobs, %v", err)
	}
	k.verifyNotices(t, q)
}

// work does random things until it is killed: two lines, a mail server and an incoming call.
func work(t *testing.T, dir string, rnd *rand.Rand) {
	q, _ := openAt(t, dir, killOptions())
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	say("open x")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		_, err := q.ReportDue(time.Now())
		must(t, err)
		switch rnd.IntN(4) {
		case 0:
			workMail(t, q, rnd, say)
		case 1, 2:
			workJob(t, q, rnd, say)
		case 3:
			workFax(t, q, rnd, say)
		}
	}
}

func workMail(t *testing.T, q *Queue, rnd *rand.Rand, say func(string, ...any)) {
	var wg sync.WaitGroup
	for range 1 + rnd.IntN(4) { // they share transactions
		wg.Go(func() {
			file, err := q.st.WriteFile(store.Mails, []byte("mail"))
			if err != nil {
				t.Error(err)
				return
			}
			id, err := q.AcceptMail(Envelope{From: "ann@contoso.test"}, file)
			if err != nil {
				t.Error(err)
				return
			}
			say("mail %s", id)
		})
	}
	wg.Wait()
	list, err := q.PendingMails(0)
	must(t, err)
	for _, m := range list {
		doc, err := q.st.WriteFile(store.Documents, []byte("tiff"))
		must(t, err)
		var list []NewJob
		for range 1 + rnd.IntN(3) {
			number := fmt.Sprintf("555010%d", rnd.IntN(killNumbers))
			list = append(list, NewJob{Sender: m.From, Number: number, Document: doc, Pages: killJobPages})
		}
		ids, err := q.ExpandMail(m.ID, Expansion{Jobs: list})
		must(t, err)
		for _, id := range ids {
			say("job %s 0", id)
		}
	}
}

func workJob(t *testing.T, q *Queue, rnd *rand.Rand, say func(string, ...any)) {
	j, ok, err := q.NextJob(time.Now().Add(time.Second), "east")
	must(t, err)
	if !ok {
		return
	}
	workPages(t, q, j, rnd, say)
	// Others may ride in the same call.
	riders := []JobID{}
	for rnd.IntN(2) > 0 {
		r, ok, err := q.JoinCall(time.Now().Add(time.Second), j.ID, Hint{})
		must(t, err)
		if !ok {
			break
		}
		riders = append(riders, r.ID)
		if rnd.IntN(3) == 0 {
			must(t, q.GiveBack(r.ID))
			riders = riders[:len(riders)-1]
			break
		}
		workPages(t, q, r, rnd, say)
	}
	for _, id := range append(riders, j.ID) {
		code := []t30.Code{t30.CodeOK, t30.CodeHungUpC, t30.CodeBusy, t30.CodeNotInService}[rnd.IntN(4)]
		if j := end(t, q, id, code); j.State.Final() {
			say("final %s %s", id, j.State)
		}
	}
}

// workPages has some pages of a job go out; each is confirmed or refused.
func workPages(t *testing.T, q *Queue, j Job, rnd *rand.Rand, say func(string, ...any)) {
	if left := j.Pending(); len(left) != j.Pages-len(j.Done) || left[0] != j.LastAttempt().FirstPage {
		say("FAIL job %s begins at page %d with %v left and %d confirmed", j.ID, j.LastAttempt().FirstPage, left, len(j.Done))
	}
	done := len(j.Done)
	for _, n := range j.Pending() {
		switch rnd.IntN(6) {
		case 0:
			return
		case 1:
			must(t, q.PageStarted(j.ID, n))
			must(t, q.PageSent(j.ID, n))
			must(t, q.RefusePage(j.ID, n, t30.PageResult{}))
		default:
			sendPage(t, q, j.ID, n)
			done++
			say("page %s %d", j.ID, done)
		}
	}
}

func workFax(t *testing.T, q *Queue, rnd *rand.Rand, say func(string, ...any)) {
	r := q.Reception(NewFax{Line: "west", Dialed: "0100"})
	for n := 1; n <= 1+rnd.IntN(3); n++ {
		f, err := q.st.Create(store.Pages)
		must(t, err)
		f.Write([]byte("coded"))
		must(t, f.Publish())
		must(t, r.PutPage(t30.Remote{}, n, FaxPage{File: f.Name(), Confirmed: true}))
		say("fax %s %d", r.ID(), n)
		must(t, f.Close())
	}
	_, _, err := r.Finish(FaxEnd{Complete: true})
	must(t, err)
}
