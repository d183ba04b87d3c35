package appliance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

func only(name string, send, receive bool) LineConfig {
	return LineConfig{Name: name, Send: send, Receive: receive, Rings: 1, Resolution: "400", Coding: "mmr"}
}

// A dead line costs a job nothing: another dials it at once. It alarms, is tried again, and the alarm ends with the first call.
func TestLine_NoDialTone(t *testing.T) {
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		b, far := newBox(t), newBox(t)
		far.start(ctx, ex.NewModem("5550199", virtual.ModemOptions{}), only("far", false, true))
		one, two := only("one", true, false), only("two", true, false)
		two.Hunt = 1
		b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{}), one)
		b.start(ctx, ex.NewModem("5550102", virtual.ModemOptions{}), two)
		b.vms["one"].CutLine(true)
		time.Sleep(time.Minute)

		begun := time.Now()
		id := addDoc(t, b.q, "5550199", 1)
		b.sent(id)
		j := b.job(id)
		same(t, "lines", usedLines(j), "one", "two")
		if took := time.Since(begun); took > 3*time.Minute || len(j.Tries) > 1 || j.Tries[queue.ClassNoDialTone] > 1 {
			t.Errorf("sent after %v, tries %v", took, j.Tries)
		}
		if b.alarm("no-dial-tone/one") {
			t.Error("alarm after a single time")
		}
		// Now the dead one alone, then none.
		for range 2 {
			time.Sleep(20 * time.Minute)
			b.sent(addDoc(t, b.q, "5550199", 1))
		}
		if !b.alarm("no-dial-tone/one") {
			t.Error("no alarm")
		}
		b.vms["one"].CutLine(false)
		time.Sleep(20 * time.Minute)
		id = addDoc(t, b.q, "5550199", 1)
		b.sent(id)
		same(t, "lines after it was mended", usedLines(b.job(id)), "one")
		if len(b.alarms.List()) != 0 {
			t.Errorf("alarms %+v", b.alarms.List())
		}
	})
}

// NO LINE alarms at once, by its own name.
func TestLine_NoLine(t *testing.T) {
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		b := newBox(t)
		c := only("one", true, true)
		c.Shared = true
		b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{LineHabits: virtual.LineHabits{LineStatus: "LINE IN USE"}}), c)
		b.vms["one"].CutLine(true)
		id := addDoc(t, b.q, "5550199", 1)
		b.await("alarm", func() bool { return b.alarm("no-line/one") })
		j := b.job(id)
		if a := j.LastAttempt(); a.Code != t30.CodeNoLine || !a.Undialed {
			t.Errorf("%+v", a)
		}
	})
}

// On a shared line nothing is ever dialed into somebody's call, whether the modem can tell or not; the job waits without
// spending a try and goes when the handset is back.
func TestLine_Shared(t *testing.T) {
	for _, habits := range []virtual.LineHabits{{}, {LineStatus: "LINE-IN-USE"}} {
		t.Run(habits.LineStatus, func(t *testing.T) {
			telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
				b, far := newBox(t), newBox(t)
				far.start(ctx, ex.NewModem("5550199", virtual.ModemOptions{}), only("far", false, true))
				c := only("one", true, true)
				c.Shared = true
				b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{LineHabits: habits}), c)
				b.vms["one"].LiftTelephone(true)
				time.Sleep(time.Minute)
				id := addDoc(t, b.q, "5550199", 1)
				time.Sleep(30*time.Minute + 20*time.Second)
				j := b.job(id)
				if n := j.Tries[queue.ClassLineInUse]; n < 20 || n > 31 || j.Calls() != 0 || len(j.Tries) != 1 {
					t.Errorf("in 30 minutes: tries %v, %d calls", j.Tries, j.Calls())
				}
				if len(b.alarms.List()) != 0 {
					t.Errorf("alarms %+v", b.alarms.List())
				}
				b.vms["one"].LiftTelephone(false)
				b.sent(id)
				if n := b.vms["one"].Stats().Grabs; n != 0 {
					t.Errorf("dialed into a call %d times", n)
				}
			})
		})
	}
}

// A line that only receives never dials, one that only sends never answers.
func TestLine_OneWay(t *testing.T) {
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		b, far := newBox(t), newBox(t)
		b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{}), only("receives", false, true))
		far.start(ctx, ex.NewModem("5550199", virtual.ModemOptions{}), only("sends", true, false))
		id := addDoc(t, b.q, "5550199", 1)
		unanswered := addDoc(t, far.q, "5550101", 1)
		far.sent(unanswered)
		if j := b.job(id); j.State != queue.Waiting || len(j.Attempts) != 0 {
			t.Errorf("a line that does not send: %+v", j)
		}
		b.start(ctx, ex.NewModem("5550102", virtual.ModemOptions{}), only("sends", true, false))
		b.await("the end", func() bool { return b.job(id).State.Final() })
		j := b.job(id)
		if j.Code != t30.CodeNoAnswer && j.Code != t30.CodeNoCarrier {
			t.Errorf("called a line that does not receive: %+v", j)
		}
		for _, l := range usedLines(j) {
			if l != "sends" {
				t.Errorf("dialed by %s", l)
			}
		}
		if got := far.received(); len(got) != 0 {
			t.Errorf("answered: %q", got)
		}
	})
}

// Idle lines call in hunting order; jobs that come together go out on all of them.
func TestLine_Hunting(t *testing.T) {
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		b, far := newBox(t), newBox(t)
		for i := range 3 {
			c := only(fmt.Sprint("line ", 3-i), true, false)
			c.Hunt = 3 - i
			b.start(ctx, ex.NewModem(fmt.Sprint(5550101+i), virtual.ModemOptions{}), c)
			far.start(ctx, ex.NewModem(fmt.Sprint(5550191+i), virtual.ModemOptions{}), only(fmt.Sprint("far ", i), false, true))
		}
		time.Sleep(time.Minute)
		for range 3 {
			id := addDoc(t, b.q, "5550191", 1)
			b.sent(id)
			same(t, "one job", usedLines(b.job(id)), "line 1")
			time.Sleep(time.Minute)
		}
		var ids []queue.JobID
		for i := range 3 {
			ids = append(ids, addDoc(t, b.q, fmt.Sprint(5550191+i), 1))
		}
		begun, used := time.Now(), map[string]bool{}
		for _, id := range ids {
			b.sent(id)
			used[usedLines(b.job(id))[0]] = true
		}
		if len(used) != 3 || time.Since(begun) > 2*time.Minute {
			t.Errorf("three jobs by %v in %v", used, time.Since(begun))
		}
	})
}

// Two numbers on a line, told apart by their rings, and a third that is a person's.
func TestLine_DistinctiveRing(t *testing.T) {
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		b, far := newBox(t), newBox(t)
		c := only("one", false, true)
		c.Ringing = []RingConfig{{Pattern: "B", Number: "5550102"}, {Pattern: "8-4-8", Number: "5550103"}, {Pattern: "D", Ignore: true}}
		b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{Numbers: []string{"5550102", "5550103", "5550104"}, LineHabits: virtual.LineHabits{
			Patterns: map[string][]string{"5550102": {"RING B"}, "5550103": {"DRON=9", "DROF=4", "DRON=7"}, "5550104": {"RING D"}}}}), c)
		far.start(ctx, ex.NewModem("5550199", virtual.ModemOptions{}), only("far", true, false))
		for _, n := range []string{"5550101", "5550102", "5550103"} {
			far.sent(addDoc(t, far.q, n, 1))
		}
		same(t, "dialed", b.received(), "5550103", "5550102", "5550101")
		id := addDoc(t, far.q, "5550104", 1)
		far.await("the end", func() bool { return far.job(id).State.Final() })
		if j := far.job(id); j.State != queue.Failed || len(b.received()) != 3 {
			t.Errorf("a person's number was answered: %s", j.State)
		}
	})
}

// DID: what the trunk tells before or after the first ring goes before the line's number.
func TestLine_DialedDigits(t *testing.T) {
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		b, far := newBox(t), newBox(t)
		c := only("one", false, true)
		c.Rings = 2
		b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{Numbers: []string{"5550155"}, CallerID: true, DialedDigits: true}), c)
		far.start(ctx, ex.NewModem("5550199", virtual.ModemOptions{}), only("far", true, false))
		far.sent(addDoc(t, far.q, "5550155", 1))
		same(t, "dialed", b.received(), "5550155")
	})
}

// DID by DTMF: the digits come after the answer, whatever the class. A modem that cannot hear them leaves it at the line's number.
func TestLine_DialedByDTMF(t *testing.T) {
	for _, tt := range []struct {
		class  string
		digits int
		want   string
	}{{"1", 4, "0155"}, {"2.0", 4, "0155"}, {"1", 0, "5550101"}} {
		t.Run(fmt.Sprint("class ", tt.class, ", hears ", tt.digits), func(t *testing.T) {
			telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
				b, far := newBox(t), newBox(t)
				c := only("one", false, true)
				c.DIDDigits = 4
				b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{Numbers: []string{"5550155"}, Classes: []string{"0", tt.class}, LineHabits: virtual.LineHabits{DTMF: tt.digits}}), c)
				far.start(ctx, ex.NewModem("5550199", virtual.ModemOptions{}), only("far", true, false))
				for range 2 {
					far.sent(addDoc(t, far.q, "5550155", 1))
				}
				same(t, "dialed", b.received(), tt.want, tt.want)
			})
		})
	}
}

// A data call that an adaptive answer finds is a call with an outcome of its own, no failure, and the line goes on.
func TestLine_AdaptiveAnswer(t *testing.T) {
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		b, far := newBox(t), newBox(t)
		c := only("one", false, true)
		c.Answer = "adaptive"
		b.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{LineHabits: virtual.LineHabits{Adaptive: true}}), c)
		data := ex.NewModem("5550198", virtual.ModemOptions{})
		port, err := data.Open()
		if err != nil {
			t.Fatal(err)
		}
		go func() { // reads what its modem says
			buf := make([]byte, 100)
			for err := error(nil); err == nil; {
				_, err = port.Read(buf)
			}
		}()
		time.Sleep(time.Minute)
		if _, err := port.Write([]byte("ATS7=30DT5550101\r")); err != nil {
			t.Fatal(err)
		}
		var last queue.Call
		b.await("a call record", func() bool {
			list, err := b.q.Calls(1)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) > 0 {
				last = list[0]
			}
			return len(list) > 0
		})
		if last.Code != t30.CodeData || last.Outgoing {
			t.Errorf("%+v", last)
		}
		far.start(ctx, ex.NewModem("5550199", virtual.ModemOptions{}), only("far", true, false))
		far.sent(addDoc(t, far.q, "5550101", 1))
		if len(b.received()) != 1 || len(b.alarms.List()) != 0 {
			t.Errorf("%d faxes, alarms %v", len(b.received()), b.alarms.List())
		}
		port.Close()
	})
}
