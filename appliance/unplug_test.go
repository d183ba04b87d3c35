package appliance

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// lineOn is a line with queue and gateway of its own, working on a virtual modem.
func lineOn(t *testing.T, name string, vm *virtual.Modem) *line {
	l := batchLine(t)
	alarms, err := gateway.OpenAlarms(l.q.Store(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l.cfg = lineDefaults()
	l.cfg.Name, l.cfg.Device, l.cfg.StationID, l.cfg.Number = name, "virtual "+name, vm.Number(), vm.Number()
	l.live, l.alarms, l.offers = newLiveLine(l.cfg), alarms, &offers{alarms: alarms, log: l.log, ready: map[int]readyOffer{}}
	l.g = gateway.New(l.q, alarms, gateway.Options{Log: l.log})
	l.open = func(ctx context.Context, _ LineConfig) (t30.Terminal, io.Closer, error) {
		port, err := vm.Open()
		if err != nil {
			return nil, nil, err
		}
		m, err := modem.New(ctx, port, modem.Options{})
		if err != nil {
			return nil, nil, err
		}
		return m, m, nil
	}
	return l
}

// TestUnplug_LineComesBack: two lines, a fax of three pages between them, and at some moment of it the plug of one modem is out for 20 s.
// The line says so within 5 s, the job waits and goes on at the first page that was not confirmed, the pages that came are kept
// as a fax, and the line is back when the plug is.
func TestUnplug_LineComesBack(t *testing.T) {
	for k := range 10 {
		side, after := k%2, time.Duration(k)*6*time.Second+time.Second
		t.Run(fmt.Sprint("side ", side, " after ", after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))) // a bubble begins in 2000: no clock to dial by
				pullPlug(t, side, after, k%4 > 1)
			})
		})
	}
}

func pullPlug(t *testing.T, side int, after time.Duration, noECM bool) {
	ex := virtual.NewExchange(virtual.Options{})
	defer ex.Close()
	vm := [2]*virtual.Modem{ex.NewModem("5550100", virtual.ModemOptions{}), ex.NewModem("5550101", virtual.ModemOptions{})}
	lines := [2]*line{lineOn(t, "one", vm[0]), lineOn(t, "two", vm[1])}
	lines[0].cfg.NoECM = noECM
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, len(lines))
	for _, l := range lines {
		go func() { ended <- l.run(ctx) }()
	}
	defer func() {
		cancel()
		for range lines {
			<-ended
		}
	}()
	time.Sleep(10 * time.Second)
	state := func(l *line) control.LineState { return l.live.view().State }
	if state(lines[0]) != control.LineIdle || state(lines[1]) != control.LineIdle {
		t.Fatalf("lines are %s and %s", state(lines[0]), state(lines[1]))
	}
	id := addDoc(t, lines[0].q, "5550101", 3)
	time.Sleep(after)
	vm[side].Unplug()
	time.Sleep(5 * time.Second)
	if s := state(lines[side]); s != control.LineOpening {
		t.Errorf("5 s after the plug is out the line is %s", s)
	}
	before := jobOf(t, lines[0], id)
	if side == 0 && before.State != queue.Waiting {
		t.Errorf("the job is %s", before.State)
	}
	time.Sleep(15 * time.Second)
	vm[side].Plug()
	time.Sleep(time.Minute)
	if s := state(lines[side]); s == control.LineOpening {
		t.Errorf("a minute after the plug is in again the line is %s", s)
	}
	j := jobOf(t, lines[0], id)
	for range 600 {
		if j.State.Final() {
			break
		}
		time.Sleep(time.Minute)
		j = jobOf(t, lines[0], id)
	}
	if j.State != queue.Sent || len(j.Done) != 3 {
		t.Errorf("the job is %s, %d pages: %s", j.State, len(j.Done), j.Text)
	}
	if first := j.Attempts[len(j.Attempts)-1].FirstPage; len(before.Done) < 3 && first != len(before.Done)+1 {
		t.Errorf("%d pages were confirmed, the last attempt began at page %d", len(before.Done), first)
	}
	// Whatever was confirmed is in a fax at the other side.
	faxes, err := lines[1].q.Faxes(0)
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for _, f := range faxes {
		pages += len(f.Pages)
	}
	if pages < 3 || pages > 4 { // one may have come whose confirmation did not
		t.Errorf("%d pages in %d faxes", pages, len(faxes))
	}
	if outs, err := lines[1].q.Outs(0); err != nil || len(outs) < len(faxes) {
		t.Errorf("%d faxes, %d deliveries, %v", len(faxes), len(outs), err)
	}
}

func jobOf(t *testing.T, l *line, id queue.JobID) queue.Job {
	t.Helper()
	j, err := l.q.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
