package appliance

import (
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/t30"
)

const (
	tailEvents = 12  // of the transcript in each status
	keptEvents = 500 // of the transcript of the running or last call
)

// liveLine is what a line shows of itself. Its setters are called from the line's worker and the engine's goroutines
// and never block.
type liveLine struct {
	mu   sync.Mutex
	line control.Line
	tail []t30.Event
}

func newLiveLine(c LineConfig) *liveLine {
	return &liveLine{line: control.Line{Name: c.Name, Device: c.Device, Number: c.Number, Send: c.Send, Receive: c.Receive,
		State: control.LineOpening, Since: time.Now()}}
}

// set changes the state; text says why a line is opening or stopped.
func (l *liveLine) set(s control.LineState, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line.State != s {
		l.line.State, l.line.Since = s, time.Now()
	}
	l.line.Error = text
}

// begin starts a call.
func (l *liveLine) begin(s control.LineState, c control.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Start = time.Now()
	l.line.State, l.line.Since, l.line.Error, l.line.Call = s, c.Start, "", &c
	l.tail = nil
}

// end closes the call with its report.
func (l *liveLine) end(code t30.Code, text string, r t30.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.line.Call; c != nil {
		c.End, c.Code, c.Text, c.Phase = time.Now(), int(code), text, "ended"
		c.Confirmed = r.Sent + r.Received
		describe(c, r)
		l.line.Last = c
	}
	l.line.Call = nil
	l.line.State, l.line.Since = control.LineIdle, time.Now()
}

func describe(c *control.Call, r t30.Report) {
	if r.Remote.ID != "" {
		c.RemoteID = r.Remote.ID
	}
	if r.Modulation.Rate > 0 {
		c.Modulation, c.RateBPS = r.Modulation.Scheme.String(), r.Modulation.Rate
	}
	c.ECM = r.ECM
}

// trace takes an event of the transcript.
func (l *liveLine) trace(e t30.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) >= keptEvents {
		l.tail = append(l.tail[:0:0], l.tail[keptEvents/2:]...)
	}
	l.tail = append(l.tail, e)
	if c := l.line.Call; c != nil {
		if p := phase(e); p != "" {
			c.Phase = p
		}
	}
}

// phase says in words what an event of the engine means for a bystander; "" for nothing new.
func phase(e t30.Event) string {
	if e.Layer != t30.LayerFrame {
		return ""
	}
	word, _, _ := strings.Cut(e.Text, " ")
	switch word {
	case "DIS", "DTC":
		return "agreeing on the format"
	case "DCS", "FTT":
		return "training"
	case "CFR":
		return "training went well, the page follows"
	case "EOP", "MPS", "EOM", "PPS", "PPS-EOP", "PPS-MPS", "PPS-EOM", "PPS-NULL":
		return "confirming the page"
	case "PPR", "RTN":
		return "repeating what was damaged"
	case "DCN":
		return "hanging up"
	}
	return ""
}

// page takes the progress of a page.
func (l *liveLine) page(p call.Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.line.Call
	if c == nil {
		return
	}
	c.Page, c.Pages, c.Rows, c.Octets, c.ECM = p.Page, p.Pages, p.Lines, p.Octets, p.ECM
	if p.Done {
		c.Phase = "page ended"
	} else {
		c.Phase = map[string]string{"in": "receiving a page", "out": "sending a page"}[c.Direction]
	}
}

// update changes the running call.
func (l *liveLine) update(f func(*control.Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line.Call != nil {
		f(l.line.Call)
	}
}

// view returns a copy for the status.
func (l *liveLine) view() control.Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.line
	if v.Call != nil {
		c := *v.Call
		c.Transcript = events(lastWithout(l.tail, t30.LayerAT, tailEvents))
		v.Call = &c
	}
	if v.Last != nil {
		c := *v.Last
		v.Last = &c
	}
	return v
}

// lastWithout returns the last n events of other layers: modem commands tell a bystander nothing.
func lastWithout(list []t30.Event, layer t30.Layer, n int) []t30.Event {
	out := make([]t30.Event, n)
	at := n
	for i := len(list) - 1; i >= 0 && at > 0; i-- {
		if list[i].Layer != layer {
			at--
			out[at] = list[i]
		}
	}
	return out[at:]
}

// transcript returns the events of the running or last call.
func (l *liveLine) transcript() []control.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return events(l.tail)
}

func events(list []t30.Event) []control.Event {
	out := make([]control.Event, len(list))
	for i, e := range list {
		out[i] = control.Event{At: e.At, Layer: string(e.Layer), Dir: string(e.Dir), Text: e.Text}
	}
	return out
}
