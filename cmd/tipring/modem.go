package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/t30"
)

const modemUsage = "modem list | probe DEV | test DEV [--class C] [--profile P] [--init AT] [--trace] " + recordUsage + " [--json]" +
	"\n  probe: what the modem is and how it would be used; test: also whether it can fax and there is dial tone (off hook for a moment)"

func modemMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, modemUsage)
	c := &callFlags{record: addRecordFlags(fs)}
	fs.StringVar(&c.init, "init", "", "`commands` of your own for the modem, without AT")
	fs.StringVar(&c.class, "class", "auto", "service `class` of the modem: auto, "+strings.Join(modem.Classes(), ", "))
	fs.StringVar(&c.profile, "profile", "auto", "quirk `profile` of the modem: auto, "+strings.Join(modem.ProfileNames(), ", "))
	fs.BoolVar(&c.json, "json", false, "print JSON")
	fs.BoolVar(&c.trace, "trace", false, "print what goes over the port to standard error")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	if len(words) == 1 && words[0] == "list" {
		return modemList(s, c)
	}
	if len(words) != 2 || words[0] != "probe" && words[0] != "test" {
		return usageError(s, fs, "modem list, modem probe DEV, or modem test DEV")
	}
	c.modem = words[1]
	if err := c.check(); err != nil {
		return usageError(s, fs, "%v", err)
	}
	defer c.record.close(s)
	if words[0] == "probe" {
		return modemProbe(ctx, s, c)
	}
	return modemTest(ctx, s, c)
}

func modemList(s streams, c *callFlags) int {
	ports, err := modem.List()
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	return printTable(s, c, ports, func(w io.Writer) {
		fmt.Fprintln(w, "PORT\tUSB\tSERIAL\tNAME\tSTABLE PATH")
		for _, p := range ports {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Path, p.USB, p.Serial, p.Name, p.ByID)
		}
	})
}

// probed is what `modem probe` tells.
type probed struct {
	Identity    modem.Identity `json:"identity"`
	MaxRate     int            `json:"max_rate_bps"`
	Modulations []string       `json:"modulations"` // V.27ter, V.29, V.17
	ECM         bool           `json:"ecm"`
	V34         *bool          `json:"v34,omitempty"` // V.34 fax is offered; not yet tried on hardware, and off unless v34 = true. nil: not asked
	FlowControl string         `json:"flow_control"`  // the command that the modem took; "": none
	CallerID    string         `json:"caller_id"`     // likewise
	Warnings    []string       `json:"warnings,omitempty"`
}

// accepted takes from the transcript of a modem's set-up which commands were accepted.
type accepted struct {
	last           string
	flow, callerID string
	then           func(t30.Event)
}

// Beginnings of the commands for flow control and caller ID in all profiles.
var (
	flowCommands   = []string{"AT+IFC=", "AT&K", "AT&H", "AT&E", "AT\\Q"}
	callerCommands = []string{"AT+VCID=", "AT#CID=", "AT%CCID=", "AT#CC", "AT*ID", "AT#CLS", "AT+CLIP"}
)

func (a *accepted) event(e t30.Event) {
	if a.then != nil {
		a.then(e)
	}
	if e.Layer != t30.LayerAT {
		return
	}
	begins := func(list []string) bool {
		for _, p := range list {
			if strings.HasPrefix(a.last, p) {
				return true
			}
		}
		return false
	}
	switch {
	case e.Dir == t30.Out:
		a.last = e.Text
	case e.Dir != t30.In || e.Text != "OK":
	case begins(flowCommands):
		a.flow = a.last
	case begins(callerCommands):
		a.callerID = a.last
	}
}

// openProbed opens the modem and asks what is known of it.
func openProbed(ctx context.Context, s streams, c *callFlags, shared bool) (*modem.Modem, probed, error) {
	a := &accepted{then: c.tracer(s.err)}
	o := c.options(a.event)
	o.Line.Shared = shared
	var err error
	if o.Record, err = c.record.open(c.modem); err != nil {
		return nil, probed{}, err
	}
	m, err := modem.Open(ctx, c.modem, o)
	if err != nil {
		return nil, probed{}, err
	}
	caps := m.Capabilities()
	p := probed{Identity: m.Identity(), MaxRate: caps.MaxRate, ECM: caps.ECM, FlowControl: a.flow, CallerID: a.callerID, Warnings: m.Warnings(), Modulations: []string{}}
	for _, scheme := range []t30.Scheme{t30.V27ter, t30.V29, t30.V17} {
		if caps.Schemes.Has(scheme) {
			p.Modulations = append(p.Modulations, scheme.String())
		}
	}
	return m, p, nil
}

// v34Row is what `modem probe` tells of V.34.
func (p probed) v34Row() string {
	switch {
	case p.V34 == nil:
		return ""
	case !*p.V34:
		return "not offered by the modem"
	}
	return "offered by the modem (+F34); off unless v34 = true in [[line]], and not yet tried on hardware"
}

func modemProbe(ctx context.Context, s streams, c *callFlags) int {
	m, p, err := openProbed(ctx, s, c, false)
	if err != nil {
		fmt.Fprintf(s.err, "tipring: %v\n%s\n", err, remedyOf(c.modem, err))
		return exitLocal
	}
	v34, err := m.OffersV34(ctx)
	if err = errors.Join(err, m.Close()); err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
	}
	p.V34 = &v34
	return printTable(s, c, p, p.rows)
}

func (p probed) rows(w io.Writer) {
	id := p.Identity
	orNone := func(s string) string {
		if s == "" {
			return "none that it takes"
		}
		return s
	}
	for _, r := range [][2]string{
		{"maker", id.Manufacturer}, {"model", id.Model}, {"revision", id.Revision}, {"more", strings.Join(id.Info, " | ")}, {"usb", id.USB},
		{"classes", strings.Join(id.Classes, " ")}, {"used in", id.Why}, {"profile", id.Profile + ": " + id.Title},
		{"modulations", strings.Join(p.Modulations, " ")}, {"fastest", fmt.Sprint(p.MaxRate, " bit/s")}, {"error correction", map[bool]string{true: "yes", false: "no"}[p.ECM]},
		{"V.34 fax", p.v34Row()},
		{"flow control", orNone(p.FlowControl)}, {"caller ID", orNone(p.CallerID)},
	} {
		if r[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", r[0], r[1])
		}
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(w, "warning\t%s\n", warning)
	}
}

// remedyOf is what to do about a modem that could not be opened.
func remedyOf(path string, err error) string {
	switch {
	case errors.Is(err, modem.ErrPortBusy):
		h, ok := modem.HolderOf(path)
		switch {
		case !ok:
			return "Another program uses the port: stop it, or try again when its call is over."
		case strings.Contains(h.Command, "tipring") && strings.Contains(h.Command, " serve"):
			return fmt.Sprintf("The running appliance (process %d: %s) uses the port. Its status page and `tipring calls list --data DIR` say how the line is; "+
				"to test the modem by hand, stop the appliance first.", h.PID, h.Command)
		}
		return fmt.Sprintf("Process %d (%s) uses the port: stop it, or try again when its call is over.", h.PID, h.Command)
	case errors.Is(err, modem.ErrNoModem):
		return "Check that this is the modem's port (`tipring modem list`) and that the modem has power; unplug it, wait ten seconds, plug it in again."
	case errors.Is(err, modem.ErrNoFaxClass):
		return "This modem is for data or voice only: use one with fax Class 1, 2, 2.0 or 2.1."
	}
	return "`tipring modem list` shows the ports of this machine."
}

func printTable(s streams, c *callFlags, v any, rows func(io.Writer)) int {
	if c.json {
		if err := json.NewEncoder(s.out).Encode(v); err != nil {
			return exitLocal
		}
		return exitOK
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	rows(w)
	if err := w.Flush(); err != nil {
		return exitLocal
	}
	return exitOK
}
