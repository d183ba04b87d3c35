package appliance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// Two appliances of one line each call each other at once, again and again, at all distances from the same moment to a few
// seconds apart: into the busy tone, into the line's seizure, into the ringing. Every fax arrives exactly once.
func TestLine_Glare(t *testing.T) {
	const rounds = 24
	telephony(t, func(ctx context.Context, t *testing.T, ex *virtual.Exchange) {
		one, two := newBox(t), newBox(t)
		both := only("one", true, true)
		both.Rings = 2
		one.start(ctx, ex.NewModem("5550101", virtual.ModemOptions{}), both)
		two.start(ctx, ex.NewModem("5550102", virtual.ModemOptions{}), both)
		time.Sleep(time.Minute)
		rng := rand.New(rand.NewPCG(1, 2))
		codes := map[t30.Code]int{}
		for round := range rounds {
			a := addDoc(t, one.q, "5550102", 1)
			apart := rng.IntN(3500)
			if round%3 == 0 {
				apart = 3250 + rng.IntN(450) // dial tone, seven digits, a second: then the line is seized, 400 ms before it rings
			}
			time.Sleep(time.Duration(apart) * time.Millisecond)
			b := addDoc(t, two.q, "5550101", 1)
			one.sent(a)
			two.sent(b)
			for _, j := range []queue.Job{one.job(a), two.job(b)} {
				for _, at := range j.Attempts {
					codes[at.Code]++
				}
			}
			time.Sleep(time.Minute)
		}
		for _, b := range []*box{one, two} {
			list, err := b.q.Faxes(0)
			if err != nil || len(list) != rounds {
				t.Errorf("%d faxes received, %d were sent, %v", len(list), rounds, err)
			}
			for _, f := range list {
				if f.State != queue.FaxComplete || len(f.Pages) != 1 {
					t.Errorf("fax %+v", f)
				}
			}
			if len(b.alarms.List()) != 0 {
				t.Errorf("alarms %+v", b.alarms.List())
			}
		}
		told := fmt.Sprint(codes)
		t.Log(told)
		for _, c := range []t30.Code{t30.CodeBusy, t30.CodeNoDialTone} {
			if codes[c] == 0 {
				t.Errorf("no attempt ended with %v: %s", c, told)
			}
		}
	})
}
