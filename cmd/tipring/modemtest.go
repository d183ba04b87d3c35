package main

import (
	"context"
	"fmt"
	"io"

	"github.com/tipring/tipring/modem"
)

// finding is one sentence of `modem test`, with the remedy if it is bad news.
type finding struct {
	What   string `json:"what"` // modem, fax, line, caller_id, flow_control
	OK     bool   `json:"ok"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// tested is what `modem test` tells.
type tested struct {
	Modem    *probed   `json:"modem,omitempty"`
	Line     string    `json:"line,omitempty"` // dial tone, no dial tone, no line, in use, ringing, busy tone, unclear
	Findings []finding `json:"findings"`
}

// modemTest says in plain words whether modem and line are good for fax. The line is only a warning's matter for who has just no dial
// tone: exit status 1.
func modemTest(ctx context.Context, s streams, c *callFlags) int {
	var t tested
	m, p, err := openProbed(ctx, s, c, true)
	if err != nil {
		t.Findings = append(t.Findings, finding{What: "modem", Text: err.Error(), Remedy: remedyOf(c.modem, err)})
		return t.print(s, c, exitLocal)
	}
	t.Modem = &p
	t.Findings = append(t.Findings, p.findings()...)
	state, heard, err := m.TestLine(ctx)
	if closeErr := m.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Findings = append(t.Findings, finding{What: "modem", Text: "The modem failed in the line test: " + err.Error(),
			Remedy: "Unplug the modem, wait ten seconds, plug it in again; if it stays so, send a file of --record to whoever helps you."})
		return t.print(s, c, exitLocal)
	}
	t.Line = state.String()
	t.Findings = append(t.Findings, lineFinding(state, heard))
	status := exitOK
	for _, f := range t.Findings {
		if !f.OK && (f.What == "line" || f.What == "fax") {
			status = exitLine
		}
	}
	return t.print(s, c, status)
}

// findings are those about the modem itself.
func (p *probed) findings() []finding {
	id := p.Identity
	list := []finding{{What: "modem", OK: true, Text: fmt.Sprintf("A modem answers: %s (profile %s).", id, id.Profile)}}
	fax := finding{What: "fax", OK: true, Text: fmt.Sprintf("It can fax, with up to %d bit/s. %s", p.MaxRate, id.Why)}
	if p.MaxRate < 9600 {
		fax.OK, fax.Remedy = false, "It is slow: calls take long and cost much. Use a modem with V.17 (14400 bit/s)."
	}
	list = append(list, fax)
	flow := finding{What: "flow_control", OK: p.FlowControl != "", Text: "Hardware flow control: " + p.FlowControl + "."}
	if !flow.OK {
		flow.Text, flow.Remedy = "The modem takes no command for hardware flow control.", "Pages may run dry or overflow. Set the right command with --init (init = in [[line]]); its manual names it."
	}
	caller := finding{What: "caller_id", OK: p.CallerID != "", Text: "Caller ID: " + p.CallerID + "."}
	if !caller.OK {
		caller.Text, caller.Remedy = "The modem takes no command for caller ID.", "Faxes arrive without the caller's number. If its manual names a command, set it in [line.quirks]."
	}
	list = append(list, flow, caller)
	for _, w := range p.Warnings {
		list = append(list, finding{What: "modem", Text: w})
	}
	return list
}

// lineFinding says what the line test means.
func lineFinding(state modem.LineState, heard string) finding {
	f := finding{What: "line"}
	switch state {
	case modem.LineTone:
		f.OK, f.Text = true, "There is dial tone: the line is good for calls."
	case modem.LineSilent:
		f.Text = "There is no dial tone."
		f.Remedy = "Check the telephone cord, at the modem's LINE socket (not PHONE) and at the wall; try the wall socket with a telephone. Behind some exchanges there is none: then set dial_tone = \"blind\" in [[line]]."
	case modem.LineNone:
		f.Text, f.Remedy = "There is no telephone line at the modem: no voltage.", "Plug the cord into the modem's LINE socket and into the wall; try the wall socket with a telephone."
	case modem.LineInUse:
		f.Text, f.Remedy = "A telephone on this line is in use: the modem stayed on hook.", "Try again when the call is over; if nobody is calling, a telephone is off its hook."
	case modem.LineRinging:
		f.Text, f.Remedy = "A call is coming in: the modem stayed on hook.", "Answer it or let it ring out, then try again."
	case modem.LineCongested:
		f.Text, f.Remedy = "There is busy tone in place of dial tone.", "The exchange takes no call now: try again; if it stays so, ask the telephone company or whoever runs the PBX."
	default:
		f.Text = fmt.Sprintf("Whether there is dial tone could not be found out: the modem said %q.", heard)
		f.Remedy = "Send a test fax instead: `tipring send --modem DEV --to NUMBER FILE`."
	}
	return f
}

// print prints the findings and returns status, or exitLocal when that fails.
func (t *tested) print(s streams, c *callFlags, status int) int {
	if rc := printTable(s, c, t, func(w io.Writer) {
		for _, f := range t.Findings {
			mark := "ok"
			if !f.OK {
				mark = "!!"
			}
			fmt.Fprintf(w, "%s\t%s\n", mark, f.Text)
			if f.Remedy != "" {
				fmt.Fprintf(w, "\t%s\n", f.Remedy)
			}
		}
	}); rc != exitOK {
		return rc
	}
	return status
}
