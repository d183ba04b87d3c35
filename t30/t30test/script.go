package t30test

import (
	"fmt"
	"time"
)

// Script is one conformance case: what a tester sends and what the device under test must answer, and when. Its
// language is described in testdata/t30/README.md.
type Script struct {
	Name    string // of the case, "MRGN01"
	Title   string
	Clause  string // where the recommendation asks for it
	Answers bool   // the tester calls the device; otherwise the device calls

	device deviceSpec
	steps  []step
	wants  []want
}

// Annex tells whether the case is one of TSB-85 / ITU-T T.24, whose names are four letters and a number; other scripts
// are named by clause.
func (s *Script) Annex() bool {
	if len(s.Name) < 6 {
		return false
	}
	for i := range 6 {
		c := s.Name[i]
		if letter := c >= 'A' && c <= 'Z'; i < 4 && !letter || i >= 4 && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// deviceSpec is how the device under test is set up.
type deviceSpec struct {
	id                       string
	rate                     int
	schemes                  []string
	codings                  []string
	resolutions              []string
	widths                   []string
	noECM, poll, noReceive   bool
	full                     bool
	store                    time.Duration
	sep, pwd, sub, sid, need string
	docs                     []docSpec
}

// docSpec is one document of the device.
type docSpec struct {
	pages, lines int
	format       []string
}

// action is what a step does.
type action int

const (
	sendFrames action = iota
	sendTCF
	sendPage
	sendBlock
	sendEcho // the device's last frames come back to it
	sendTone
	sendSilence // the tester is silent, and so must the device be
	sendWait
	sendHangup
	hearFrames
	hearTCF
	hearPage
	hearBlock
	hearTone
	hearNothing
	hearOnHook
	whenever // from here on: an answer to a signal of the device that may come in between
)

// hears tells whether the step waits for the device.
func (a action) hears() bool { return a >= hearFrames && a != whenever }

// window is a span of time; the zero value is none given.
type window struct {
	from, to time.Duration
	set      bool
}

func (w window) String() string { return fmt.Sprintf("%v to %v", w.from, w.to) }

// has tells whether d is in the window widened by grain.
func (w window) has(d, grain time.Duration) bool { return d >= w.from-grain && d <= w.to+grain }

// step is one line of a script.
type step struct {
	line   int
	text   string // as written
	do     action
	frames [][]frameSpec // sent or heard; heard: alternatives
	reply  []frameSpec   // of whenever; nil: none
	image  imageSpec
	tone   SignalKind

	after         time.Duration // sent: since the last signal's end
	lead          time.Duration // sent: preamble
	length        time.Duration // of a tone, TCF, silence
	within, gap   window
	tone2, preamb window // heard: length of a tone or TCF; preamble
}

// imageSpec is the carrier of a step.
type imageSpec struct {
	mod       modulation
	page      int   // from 1; 0: the next one
	block     int   // from 0; -1: the next one
	list      []int // frames of a block
	size      int   // octets of data in a frame
	rcp       int
	bad       []int   // frames with a wrong FCS
	badLines  float64 // share of lines spoilt
	lines     int
	fill      time.Duration
	empty     bool
	noRTC     bool
	any       bool
	content   string // of a TCF
	errors    float64
	untrained bool
	cut       float64
	hangup    float64
}

// want is one line about the end of the call.
type want struct {
	line int
	text string
	what string // outcome, received, sent, remote, format, modulation
	arg  string // outcome's text, remote's value
	key  string // remote's field
	// words of a page's format
	words []string
	list  []int
}
