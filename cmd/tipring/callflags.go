package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

// callFlags are those that send and receive share.
type callFlags struct {
	modem    string
	id       string
	maxRate  int
	noECM    bool
	password string
	json     bool
	trace    bool

	init, class, profile string
	v34                  bool
	record               *recordFlags
}

func addCallFlags(fs *flag.FlagSet) *callFlags {
	c := &callFlags{}
	fs.StringVar(&c.modem, "modem", "", "serial `port` of the modem")
	fs.StringVar(&c.id, "id", "", "our `number` as the far end sees it (CSI, TSI): up to 20 digits, + and spaces")
	fs.IntVar(&c.maxRate, "max-rate", 0, "highest `rate` in bit/s, 0: as the modem can")
	fs.BoolVar(&c.noECM, "no-ecm", false, "do without error correction")
	fs.StringVar(&c.password, "password", "", "T.30 password (PWD)")
	fs.StringVar(&c.init, "init", "", "`commands` of your own for the modem, without AT")
	fs.StringVar(&c.class, "class", "auto", "service `class` of the modem: auto, "+strings.Join(modem.Classes(), ", "))
	fs.StringVar(&c.profile, "profile", "auto", "quirk `profile` of the modem: auto, "+strings.Join(modem.ProfileNames(), ", "))
	fs.BoolVar(&c.v34, "v34", false, "use V.34 fax (33600 bit/s) where modem and far end have it; not yet tried on hardware")
	c.record = addRecordFlags(fs)
	fs.BoolVar(&c.json, "json", false, "print one JSON object per call")
	fs.BoolVar(&c.trace, "trace", false, "print the transcript to standard error")
	return c
}

// maxStationID is the length of CSI, CIG and TSI (T.30 5.3.6.2.4).
const maxStationID = 20

func (c *callFlags) check() error {
	if c.modem == "" {
		return errors.New("--modem is missing")
	}
	if len(c.id) > maxStationID || strings.Trim(c.id, "+0123456789 ") != "" {
		return fmt.Errorf("--id %q: up to %d digits, + and spaces", c.id, maxStationID)
	}
	if c.class != "auto" && !slices.Contains(modem.Classes(), c.class) {
		return fmt.Errorf("--class %q: use auto, %s", c.class, strings.Join(modem.Classes(), ", "))
	}
	if c.profile != "auto" && !slices.Contains(modem.ProfileNames(), c.profile) {
		return fmt.Errorf("--profile %q: use auto, %s", c.profile, strings.Join(modem.ProfileNames(), ", "))
	}
	if c.v34 && c.class != "auto" && c.class != "1.0" {
		return fmt.Errorf("--v34 takes Class 1.0, not --class %s", c.class)
	}
	switch c.maxRate {
	case 0, 2400, 4800, 7200, 9600, 12000, 14400:
		return nil
	}
	return fmt.Errorf("--max-rate %d: no fax rate", c.maxRate)
}

// options are the modem's.
func (c *callFlags) options(trace func(t30.Event)) modem.Options {
	return modem.Options{Line: phone.Config{Init: c.init}, Class: c.class, Profile: c.profile, V34: c.v34, Trace: trace}
}

// tracer prints events with --trace, nil without.
func (c *callFlags) tracer(w io.Writer) func(t30.Event) {
	if !c.trace {
		return nil
	}
	return func(e t30.Event) {
		fmt.Fprintf(w, "%s %s %s %s\n", e.At.Format("15:04:05.000"), e.Layer, e.Dir, e.Text)
	}
}

// callResult is the JSON object of one call (DESIGN.md's contract of send and receive).
type callResult struct {
	Outcome    string   `json:"outcome"` // sent, received, partial, failed
	Code       int      `json:"code"`    // t30.Code
	Text       string   `json:"text"`
	Pages      int      `json:"pages"` // confirmed
	Modulation string   `json:"modulation"`
	Rate       int      `json:"rate_bps"`
	ECM        bool     `json:"ecm"`
	Coding     string   `json:"coding"`
	Resolution string   `json:"resolution"`
	RemoteID   string   `json:"remote_id"`
	Subaddress string   `json:"subaddress,omitempty"` // SUB that the sender gave
	Selective  string   `json:"selective,omitempty"`  // SEP that the poller gave
	NSF        string   `json:"nsf,omitempty"`        // the far end's non-standard facilities, hex: T.35 country and maker first
	Seconds    float64  `json:"seconds"`              // off hook
	Files      []string `json:"files"`
	Begun      string   `json:"begun,omitempty"` // how the call began otherwise than at the best, as remembered of the number
}

// resultOf fills in what a report tells of both directions.
func resultOf(r t30.Report) callResult {
	c := callResult{Code: int(r.Code), Text: r.Code.String(), Rate: r.Modulation.Rate, ECM: r.ECM, RemoteID: strings.TrimSpace(r.Remote.ID),
		Files: []string{}}
	c.Subaddress, c.Selective = strings.TrimSpace(r.Remote.Subaddress), strings.TrimSpace(r.Remote.Selective)
	c.NSF = hex.EncodeToString(r.Remote.NSF)
	if r.Text != "" && r.Code != t30.CodeOK {
		c.Text += ": " + r.Text
	}
	if r.SentPoor > 0 {
		c.Text += fmt.Sprintf("; %d of %d pages were confirmed in poor quality only (RTP)", r.SentPoor, r.Sent)
	}
	if r.Modulation.Scheme != 0 {
		c.Modulation = r.Modulation.Scheme.String()
	}
	if r.Format.Coding != 0 {
		c.Coding, c.Resolution = r.Format.Coding.String(), r.Format.Resolution.String()
	}
	if !r.Start.IsZero() && !r.End.IsZero() {
		c.Seconds = r.End.Sub(r.Start).Round(10 * time.Millisecond).Seconds()
	}
	return c
}

func (c callResult) print(w io.Writer, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(w).Encode(c) // nothing better to do about a closed standard output
		return
	}
	fmt.Fprintf(w, "%s: %d pages, %s", c.Outcome, c.Pages, c.Text)
	if c.Rate > 0 {
		fmt.Fprintf(w, " (%s %d bit/s, %s, %s", c.Modulation, c.Rate, c.Coding, c.Resolution)
		if c.ECM {
			fmt.Fprint(w, ", error correction")
		}
		fmt.Fprint(w, ")")
	}
	if c.RemoteID != "" {
		fmt.Fprintf(w, ", far end %s", c.RemoteID)
	}
	if c.Begun != "" {
		fmt.Fprintf(w, ", %s", c.Begun)
	}
	fmt.Fprintln(w)
	for _, f := range c.Files {
		fmt.Fprintln(w, f)
	}
}

// status is the exit status of a call that ended without a fault of ours.
func (c callResult) status() int {
	if c.Outcome == "sent" || c.Outcome == "received" {
		return exitOK
	}
	return exitLine
}
