package queue

import (
	"math/rand/v2"
	"time"

	"github.com/tipring/tipring/t30"
)

// Class groups the ways an attempt can end by what is to be done next.
type Class string

const (
	ClassOK         Class = "ok"
	ClassBusy       Class = "busy"
	ClassNoAnswer   Class = "no answer"
	ClassNoNumber   Class = "no such number"
	ClassNoDialTone Class = "no dial tone"   // nothing was dialed: the line's fault, spends no tries
	ClassLineInUse  Class = "line in use"    // nothing was dialed: somebody telephones on the line, spends no tries
	ClassGlare      Class = "glare"          // a call came in first, nothing was dialed: spends no tries
	ClassModemWait  Class = "modem waits"    // the modem's own redial block: nothing was dialed
	ClassNoFax      Class = "no fax"         // a person or a machine that is no fax answered
	ClassCannot     Class = "cannot receive" // out of paper, memory full: often passes
	ClassRefused    Class = "refused"        // does not pass: no common format, wrong password
	ClassFailure    Class = "failure"        // training or protocol: again, slower, from the failed page
	ClassSource     Class = "source"         // our document cannot be read
	ClassFault      Class = "fault"          // our modem, port or disk: spends no tries, but has a bound
	ClassRestart    Class = "restart"        // the program stopped during the call
	ClassCanceled   Class = "canceled"       // we ended the call for another reason than the job's
)

// ClassOf tells the class of a sending attempt that ended with c.
func ClassOf(c t30.Code) Class {
	switch c {
	case t30.CodeOK:
		return ClassOK
	case t30.CodeBusy:
		return ClassBusy
	case t30.CodeNoAnswer, t30.CodeNoCarrier, t30.CodeCallAborted:
		return ClassNoAnswer
	case t30.CodeNotInService:
		return ClassNoNumber
	case t30.CodeNoDialTone, t30.CodeNoLine:
		return ClassNoDialTone
	case t30.CodeLineInUse:
		return ClassLineInUse
	case t30.CodeGlare:
		return ClassGlare
	case t30.CodeBlacklisted:
		return ClassModemWait
	case t30.CodeNoFax, t30.CodeVoice, t30.CodeData:
		return ClassNoFax
	case t30.CodeCannotReceive, t30.CodeReceiverBusy:
		return ClassCannot
	case t30.CodeIncompatible, t30.CodePassword, t30.CodeNothingToPoll, t30.CodeRefused:
		return ClassRefused
	case t30.CodeSource:
		return ClassSource
	case t30.CodeModem, t30.CodeSink:
		return ClassFault
	case t30.CodeCanceled:
		return ClassCanceled
	case t30.CodeNone:
		return ClassRestart
	}
	return ClassFailure
}

// Retry is what one class of failure is worth.
type Retry struct {
	Tries int             // attempts in all that may end so, without progress in between; 0: as 1
	After []time.Duration // pause after the first, second, ... of them; the last stands for all further ones
}

// Policy says what to do after a failed attempt. The dial rule of the country comes on top: the stricter wins.
type Policy struct {
	Retries map[Class]Retry
	// MaxCalls bounds the calls of one job over all classes, progress or not; attempts that were not dialed do not count.
	MaxCalls int
	// Slower are the rates (bit/s) that the second, third, ... attempt after a training or protocol failure is limited to.
	Slower []int
	// Spread is the share of a pause after busy and no answer that is added to it at most, at random: two machines that call
	// each other at once would else meet each time.
	Spread float64
	// Emergency are the numbers that are never dialed, as digits.
	Emergency []string
}

// DefaultPolicy is the field's practice: busy 5 tries at 3, 5, 10 and 20 minutes; no answer 2; answered by no fax 1
// more; a number not in service none; training or protocol failure 2 more, each slower.
func DefaultPolicy() Policy {
	m := time.Minute
	return Policy{
		Retries: map[Class]Retry{
			ClassBusy:       {5, []time.Duration{3 * m, 5 * m, 10 * m, 20 * m}},
			ClassNoAnswer:   {2, []time.Duration{10 * m}},
			ClassNoNumber:   {1, nil},
			ClassNoDialTone: {200, []time.Duration{m, 2 * m, 5 * m, 10 * m}},
			ClassLineInUse:  {1000, []time.Duration{m}},
			ClassGlare:      {100, []time.Duration{10 * time.Second}},
			ClassModemWait:  {30, []time.Duration{5 * m}},
			ClassNoFax:      {2, []time.Duration{5 * m}},
			ClassCannot:     {3, []time.Duration{5 * m, 15 * m}},
			ClassRefused:    {1, nil},
			ClassFailure:    {3, []time.Duration{m, 3 * m}},
			ClassSource:     {1, nil},
			ClassFault:      {50, []time.Duration{10 * time.Second, 30 * time.Second, m, 5 * m, 10 * m}},
			ClassRestart:    {20, []time.Duration{5 * time.Second}},
			ClassCanceled:   {100, []time.Duration{5 * time.Second}},
		},
		MaxCalls:  100,
		Slower:    []int{9600, 4800},
		Spread:    0.5,
		Emergency: []string{"000", "110", "111", "112", "113", "115", "117", "118", "119", "911", "933", "999"},
	}
}

func (p Policy) isZero() bool { return p.Retries == nil }

// Faster returns the policy with all pauses divided by n: for a demo line that runs faster than time.
func (p Policy) Faster(n int) Policy {
	fast := map[Class]Retry{}
	for c, r := range p.Retries {
		after := make([]time.Duration, len(r.After))
		for i, d := range r.After {
			after[i] = d / time.Duration(max(n, 1))
		}
		fast[c] = Retry{r.Tries, after}
	}
	p.Retries = fast
	return p
}

// Decision is what comes after an attempt.
type Decision struct {
	Final bool          // no further attempt
	After time.Duration // else: the least pause before it
	Hint  Hint          // else: what to do otherwise
}

// Decide tells what to do after the tries-th attempt (from 1) that ended with code without progress in between; last
// is the hint that attempt had.
func (p Policy) Decide(code t30.Code, tries int, last Hint) Decision {
	c := ClassOf(code)
	r := p.Retries[c]
	if tries >= max(r.Tries, 1) {
		return Decision{Final: true}
	}
	d := Decision{Hint: last}
	if len(r.After) > 0 {
		d.After = r.After[min(max(tries, 1), len(r.After))-1]
	}
	if c == ClassFailure {
		d.Hint = p.slower(code, tries, last)
	}
	return d
}

// spread is a pause after code with its random part.
func (p Policy) spread(code t30.Code, after time.Duration) time.Duration {
	if c := ClassOf(code); c != ClassBusy && c != ClassNoAnswer {
		return after
	}
	return after + time.Duration(rand.Float64()*p.Spread*float64(after))
}

// slower lowers the rate step by step; error correction that gave up twice is left off, for it would only give up again.
func (p Policy) slower(code t30.Code, tries int, h Hint) Hint {
	if len(p.Slower) > 0 {
		rate := p.Slower[min(max(tries, 1), len(p.Slower))-1]
		if h.MaxRate == 0 || rate < h.MaxRate {
			h.MaxRate = rate
		}
	}
	if code == t30.CodeECMGivenUp && tries > 1 {
		h.NoECM = true
	}
	return h
}

// Explain says in a sentence for people how a call that ended with c went wrong.
func Explain(c t30.Code) string {
	if s, ok := sentences[c]; ok {
		return s
	}
	return "The transmission failed: " + c.String() + "."
}

var sentences = map[t30.Code]string{
	t30.CodeNone:          "Our fax system stopped during the call.",
	t30.CodeOK:            "All pages were received.",
	t30.CodeBusy:          "The number was busy.",
	t30.CodeNoAnswer:      "Nobody answered.",
	t30.CodeNoCarrier:     "The call was not answered by a fax machine.",
	t30.CodeNoDialTone:    "Our telephone line has no dial tone.",
	t30.CodeNotInService:  "The telephone company says that this number is not in service.",
	t30.CodeBlacklisted:   "The modem does not dial this number again yet.",
	t30.CodeGlare:         "A call came in on the line at the same moment.",
	t30.CodeCallAborted:   "Nobody answered in time.",
	t30.CodeNoLine:        "Our telephone line is dead; its cord may be out.",
	t30.CodeLineInUse:     "Our telephone line was in use by a telephone.",
	t30.CodeNoFax:         "The call was answered, but not by a fax machine.",
	t30.CodeVoice:         "A person answered, not a fax machine.",
	t30.CodeData:          "A data modem called.",
	t30.CodeHungUpB:       "The other side hung up before the first page.",
	t30.CodeCannotReceive: "The other fax machine cannot receive now; it may be out of paper or its memory may be full.",
	t30.CodeIncompatible:  "The other fax machine accepts no format that we can send.",
	t30.CodeTraining:      "The telephone connection was too bad to send at any speed.",
	t30.CodeDCNInB:        "The other fax machine ended the call before the first page.",
	t30.CodeNoReplyDCS:    "The other fax machine stopped answering before the first page.",
	t30.CodePassword:      "The other fax machine did not accept the password or subaddress.",
	t30.CodeHungUpC:       "The call was cut off while a page was being sent.",
	t30.CodeNoReplyPage:   "The other fax machine did not confirm the page.",
	t30.CodeDCNAfterPage:  "The other fax machine ended the call without confirming the page.",
	t30.CodePageRefused:   "The other fax machine could not read the page, although it was sent several times.",
	t30.CodeECMGivenUp:    "The telephone connection was too bad: the page still had errors after many repeats.",
	t30.CodeReceiverBusy:  "The other fax machine was not ready to go on for too long.",
	t30.CodeProtocol:      "The other fax machine sent answers that make no sense.",
	t30.CodeInterrupted:   "Somebody at the other side interrupted the transmission.",
	t30.CodeModem:         "Our modem failed.",
	t30.CodeSource:        "The document cannot be read.",
	t30.CodeCanceled:      "The fax was canceled.",
}
