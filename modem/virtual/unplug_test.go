package virtual_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// noticeTime is how soon a pulled plug has to be an error to whoever uses the modem.
const noticeTime = 5 * time.Second

// pulledOffice is an office in which one modem loses its plug in a call of two pages.
type pulledOffice struct {
	*office
	class   string
	side    int    // 0: the sender's plug
	when    string // the command at which it is pulled
	mu      sync.Mutex
	at      [2][]string // of each modem: commands, results behind "<", and "page" for the end of one on the line
	pulled  time.Time
	doing   string // what the modem did whose plug was pulled
	reports [2]t30.Report
	errs    [2]error
	ended   [2]time.Time
	doc     *t30test.Document
	sink    *t30test.Sink
}

func newPulledOffice(t *testing.T, class string, side int) *pulledOffice {
	p := &pulledOffice{class: class, side: side, doc: t30test.NewDocument(5, 2, 60), sink: &t30test.Sink{}}
	p.office = &office{t: t}
	p.ex = virtual.NewExchange(virtual.Options{Trace: p.trace})
	for i, m := range []**modem.Modem{&p.caller, &p.callee} {
		p.vm[i] = p.ex.NewModem([]string{callerNumber, calleeNumber}[i], virtual.ModemOptions{CallerID: true, ECM: true,
			Classes: []string{"0", class}, Class2Habits: virtual.Class2Habits{ReversedReceive: class == "2"}})
		*m = openDriver(t, p.vm[i], class)
	}
	p.at = [2][]string{}
	return p
}

// story is that of the modem whose plug is pulled, from the time when it was set up.
func (p *pulledOffice) story() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.at[p.side])
}

// trace keeps what the modems were told, what they said and the pages between them.
func (p *pulledOffice) trace(e virtual.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	side := 0
	if e.Modem == calleeNumber {
		side = 1
	}
	switch {
	case e.Kind == virtual.EventCommand:
		p.at[side] = append(p.at[side], e.Text)
		if side == p.side && p.when != "" && strings.HasPrefix(e.Text, p.when) {
			p.when = ""
			go p.pull() // the exchange is locked
		}
	case e.Kind == virtual.EventResult:
		p.at[side] = append(p.at[side], "<"+e.Text)
	case e.Kind == virtual.EventSignal && e.Page > 0:
		p.at[0], p.at[1] = append(p.at[0], "page"), append(p.at[1], "page")
	}
}

// pull is called once; the modem may be in any state.
func (p *pulledOffice) pull() {
	p.pulled = time.Now()
	p.doing = doing(p.class, p.story())
	p.vm[p.side].Unplug()
}

// call makes the call; each side ends with what it noticed.
func (p *pulledOffice) call(noECM bool) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { p.ended[1] = time.Now() }()
		ring, err := p.callee.WaitCall(p.t.Context())
		if err != nil {
			p.errs[1] = err
			return
		}
		for n := 0; n < 2; n++ { // answers at the second ring
			if _, ok := <-ring.Rings(); !ok {
				p.errs[1] = p.callee.Err()
				return
			}
		}
		p.reports[1], p.errs[1] = ring.Answer(p.t.Context(), t30.AnswerFax, t30.Session{Sink: p.sink, NoECM: noECM})
	})
	wg.Go(func() {
		defer func() { p.ended[0] = time.Now() }()
		time.Sleep(2 * time.Second) // idle before it
		p.reports[0], p.errs[0] = p.caller.Call(p.t.Context(), calleeNumber, t30.Session{Send: t30test.Docs(p.doc), NoECM: noECM})
	})
	if p.side == 1 {
		// A caller whose callee vanished while it rang hears no end of it before its own time is over.
		wg.Wait()
		return
	}
	stop := time.AfterFunc(10*time.Minute, func() { p.callee.Close() }) // nobody called
	wg.Wait()
	stop.Stop()
}

// check holds what the two sides noticed against what happened.
func (p *pulledOffice) check() {
	t, side := p.t, p.side
	t.Helper()
	m := []*modem.Modem{p.caller, p.callee}[side]
	select {
	case <-m.Lost():
	default:
		t.Error("the driver does not know that its port is gone")
	}
	r, err := p.reports[side], p.errs[side]
	if late := p.ended[side].Sub(p.pulled); late > noticeTime {
		t.Errorf("%s: noticed after %v", p.doing, late)
	}
	// Everything was done, or the port's loss is an error.
	if done := r.OK() && len(p.doc.ConfirmedPages()) == 2; !done && !errors.Is(err, at.ErrPortLost) {
		t.Errorf("%s: error %v, report %v %q", p.doing, err, r.Code, r.Text)
	}
	if err != nil && r.Code != t30.CodeModem && r.Code != t30.CodeNone && !(r.OK() && r.Received == 2) { // a lost DCN changes nothing
		t.Errorf("%s: report %v %q, error %v", p.doing, r.Code, r.Text, err)
	}
	if err := p.errs[1-side]; err != nil && p.ended[1-side].Sub(p.pulled) < 5*time.Minute {
		t.Errorf("%s: error at the other side: %v", p.doing, err)
	}
	// What the sender takes for confirmed is kept, and nothing else counts.
	kept := p.sink.Kept()
	if n := len(p.doc.ConfirmedPages()); n > len(kept) || p.reports[0].Sent != n || p.reports[1].Received != len(kept) {
		t.Errorf("%s: %d pages confirmed, %d kept; reports %d and %d", p.doing, n, len(kept), p.reports[0].Sent, p.reports[1].Received)
	}
	for i, data := range kept {
		if string(data) != strings.TrimRight(string(p.doc.Pages[i].Data), "\x00") {
			t.Errorf("%s: page %d differs", p.doing, i+1)
		}
	}
}

// replug plugs it in again, and the next call is good.
func (p *pulledOffice) replug() {
	t := p.t
	t.Helper()
	for _, m := range []*modem.Modem{p.caller, p.callee} {
		if err := m.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	p.vm[p.side].Plug()
	time.Sleep(10 * time.Second) // the other side's line is free again
	f := &office{t: t, ex: p.ex, vm: p.vm}
	f.caller, f.callee = openDriver(t, p.vm[0], p.class), openDriver(t, p.vm[1], p.class)
	defer f.close()
	doc := t30test.NewDocument(6, 1, 40)
	if sent, _, kept := f.fax(doc, 0, true); !sent.OK() {
		t.Errorf("%s: the call after it: %v %q", p.doing, sent.Code, sent.Text)
	} else {
		samePages(t, doc, kept)
	}
}

// TestUnplug_AtAnyMoment: a modem's plug is pulled at moments all over a call: idle, ringing, dialing, answering, in every phase of sending
// and receiving, hanging up. Each time the user has an error within 5 s, the far end's call ends by itself, what was confirmed is
// kept, and with the plug in again the next call is good. That no goroutine is left the bubble sees to.
func TestUnplug_AtAnyMoment(t *testing.T) {
	const step = 1100 * time.Millisecond
	for _, class := range suiteClasses {
		for _, noECM := range []bool{true, false} {
			for side := range 2 {
				t.Run(fmt.Sprint("Class ", class, " side ", side, " ecm ", !noECM), func(t *testing.T) {
					seen := map[string]bool{}
					for after, over := time.Duration(0), false; !over; after += step {
						synctest.Test(t, func(t *testing.T) {
							p := newPulledOffice(t, class, side)
							time.AfterFunc(after, p.pull)
							p.call(noECM)
							if over = p.pulled.IsZero() || p.ended[side].Before(p.pulled); over {
								time.Sleep(after) // it is pulled yet
							} else {
								p.check()
								seen[p.doing] = true
							}
							p.replug()
							p.ex.Close()
						})
					}
					for _, w := range phases(class, side) {
						if !seen[w] {
							t.Errorf("no plug was pulled in %q, only in %v", w, seen)
						}
					}
				})
			}
		}
	}
}

// phases are those in which the plug has to have been pulled, as doing names them.
func phases(class string, side int) []string {
	switch {
	case class[0] == '2' && side == 0:
		return []string{"idle", "dialing", "phase B", "training", "page", "phase D"}
	case class[0] == '2':
		return []string{"idle", "answering", "phase B", "before a page", "page", "phase D"}
	case side == 0:
		return []string{"idle", "dialing", "V.21 out", "V.21 in", "TCF out", "page out"}
	}
	return []string{"idle", "answering", "V.21 out", "V.21 in", "TCF in", "page in"}
}

// TestUnplug_AtACommand: the same at the very moment of a command: nothing of its answer comes.
func TestUnplug_AtACommand(t *testing.T) {
	for _, c := range []struct {
		class   string
		side    int
		command string
	}{
		{"1", 0, "ATDT"}, {"1", 0, "ATH"}, {"1", 0, "AT+FTM"}, {"1", 0, "AT+FRH"}, {"1", 1, "ATA"}, {"1", 1, "ATH"}, {"1", 1, "AT+FTH"}, {"1", 1, "AT+FRM"},
		{"1.0", 0, "AT+FTM"}, {"1.0", 1, "AT+FRM"},
		{"2", 0, "AT+FLPL"}, {"2", 0, "ATDT"}, {"2", 0, "AT+FDIS"}, {"2", 0, "AT+FDT"}, {"2", 0, "AT+FET=0"}, {"2", 0, "AT+FET=2"}, {"2", 0, "ATH"},
		{"2", 1, "ATA"}, {"2", 1, "AT+FDR"}, {"2", 1, "ATH"},
		{"2.0", 0, "AT+FIS"}, {"2.0", 0, "AT+FDT"}, {"2.0", 0, "AT+FPS?"}, {"2.0", 0, "ATH"}, {"2.0", 1, "ATA"}, {"2.0", 1, "AT+FDR"},
		{"2.1", 0, "AT+FDT"}, {"2.1", 1, "AT+FDR"},
	} {
		t.Run(fmt.Sprint("Class ", c.class, " side ", c.side, " ", c.command), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPulledOffice(t, c.class, c.side)
				defer p.ex.Close()
				p.when = c.command
				p.call(false)
				synctest.Wait()
				if p.pulled.IsZero() {
					t.Fatal("that command was never given")
				}
				p.check()
				p.replug()
			})
		})
	}
}

// doing names what a modem of a class does that has this story.
func doing(class string, story []string) string {
	if class[0] == '2' {
		return doing2(story)
	}
	carriers, last := 0, "idle"
	for _, c := range story {
		switch {
		case strings.HasPrefix(c, "ATDT"):
			last = "dialing"
		case c == "ATA":
			last = "answering"
		case strings.HasPrefix(c, "AT+FTH="):
			last = "V.21 out"
		case strings.HasPrefix(c, "AT+FRH="):
			last = "V.21 in"
		case strings.HasPrefix(c, "AT+FTM="), strings.HasPrefix(c, "AT+FRM="):
			kind, way := "page", " out"
			if carriers++; carriers == 1 {
				kind = "TCF"
			}
			if c[4] == 'R' {
				way = " in"
			}
			last = kind + way
		}
	}
	return last
}

// doing2 is doing for the classes in which the modem runs T.30.
func doing2(story []string) string {
	last := "idle"
	for _, c := range story {
		for begin, what := range map[string]string{"ATDT": "dialing", "ATA": "answering", "<+FCO": "phase B", "AT+FDT": "training", "AT+FDR": "before a page",
			"<CONNECT": "page", "page": "phase D", "<+FHNG": "hanging up", "<+FHS": "hanging up"} {
			if strings.HasPrefix(c, begin) {
				last = what
			}
		}
	}
	return last
}
