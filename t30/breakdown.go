package t30

import (
	"cmp"
	"slices"
	"time"
)

// PartName names what a part of a call's time went into.
type PartName string

// The parts of a call's time, in the order in which a table shows them.
const (
	PartDial     PartName = "dialing and answer"
	PartAnswer   PartName = "answering, CED"
	PartPreamble PartName = "V.21 preamble"
	PartFrames   PartName = "V.21 frames"
	PartControl  PartName = "control channel frames" // of V.34
	PartTraining PartName = "training"
	PartTCF      PartName = "TCF"
	PartData     PartName = "page data"
	PartFraming  PartName = "ECM framing"
	PartPause    PartName = "pause"         // between V.21 and another modulation
	PartThinking PartName = "thinking"      // beyond the pause, before a side's signal begins
	PartWaiting  PartName = "no signal"     // waited in vain
	PartSpoilt   PartName = "spoilt signal" // received, but not to be read
	PartModem    PartName = "modem latency" // in our sending and silence beyond what the signal itself takes, and late ends of received carriers
	PartHangup   PartName = "hang-up"
	PartRest     PartName = "unexplained" // not measured: a Terminal without spans
)

// parts has the order of the table, and the clause that makes a part unavoidable.
var parts = []struct {
	name   PartName
	clause string
}{
	{PartDial, ""},
	{PartAnswer, "T.30 4: 1.8 s of silence, CED of 2.6 s"},
	{PartPreamble, "T.30 5.3.1: 1 s - 15 %"},
	{PartFrames, "T.30 5: bits / 300"},
	{PartControl, "T.30 F.3.1.3: bits / rate"},
	{PartTraining, "V.27ter 2.5, V.29 8, V.17 5"},
	{PartTCF, "T.30 5.3.6.1.3: 1.5 s - 10 %"},
	{PartData, "octets x 8 / rate"},
	{PartFraming, "T.4 A.3: 200 ms of flags, and bits / rate"},
	{PartPause, "T.30 5 notes 3 and 4: 75 ms - 20 ms"},
	{PartThinking, ""}, {PartWaiting, ""}, {PartSpoilt, ""}, {PartModem, ""}, {PartHangup, ""}, {PartRest, ""},
}

// Part is the sum of one kind of time over a call, on one side's account.
type Part struct {
	Name   PartName      `json:"name"`
	Dir    Dir           `json:"dir"`    // Out: ours; In: the far end's; Note: neither's (the exchange, the ringing)
	Time   time.Duration `json:"time"`   // measured; the times of all parts add up to the call's
	Least  time.Duration `json:"least"`  // never measured: the clause's minimum, or bits / rate. Nothing for what is sent again
	Clause string        `json:"clause"` // what makes Least unavoidable, "" if nothing does
}

// Breakdown says where each second of a call went, from Report.Start to Report.End: ours first, then the far end's, then
// nobody's, each in the order of the constants. The times add up exactly; what no span covers is [PartRest].
func Breakdown(r Report) []Part {
	var sum []Share
	total := r.End.Sub(r.Start)
	for _, s := range r.Spans {
		for _, sh := range s.Shares {
			sum = addShare(sum, sh)
			total -= sh.Time
		}
	}
	if total != 0 {
		sum = addShare(sum, Share{Part: PartRest, Dir: Note, Time: total})
	}
	order := map[PartName]int{}
	for i, p := range parts {
		order[p.name] = i
	}
	side := map[Dir]int{Out: 0, In: 1, Note: 2}
	slices.SortStableFunc(sum, func(a, b Share) int {
		return cmp.Or(cmp.Compare(side[a.Dir], side[b.Dir]), cmp.Compare(order[a.Part], order[b.Part]))
	})
	var out []Part
	for _, s := range sum {
		if s.Time == 0 && s.Least == 0 {
			continue
		}
		p := Part{Name: s.Part, Dir: s.Dir, Time: s.Time, Least: s.Least}
		if s.Least > 0 {
			p.Clause = parts[order[s.Part]].clause
		}
		out = append(out, p)
	}
	return out
}

// SumParts adds the parts of one side up: Out, In or Note; "" of all.
func SumParts(list []Part, d Dir) (measured, least time.Duration) {
	for _, p := range list {
		if d == "" || p.Dir == d {
			measured += p.Time
			least += p.Least
		}
	}
	return measured, least
}
