package appliance

import (
	"fmt"
	"time"

	"github.com/tipring/tipring/t30"
)

// A line on which nothing can be dialed rests before it takes another job, which is another line's meanwhile: the job spends
// no try. Whatever proves that the line lives, a call either way, ends that.
var (
	// deadRests are the pauses after the first, second, ... time without dial tone or line.
	deadRests = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
	inUseRest = time.Minute
)

const (
	// deadAlarm is how many times in a row without dial tone are an operator's business: a single time may be a call that
	// came in at that moment. No line at all is one at once.
	deadAlarm = 2
	// inUseAlarm is how many minutes on end a shared line may be in use.
	inUseAlarm = 60
)

// health is what the calls tell of a telephone line. It belongs to the line's worker.
type health struct {
	dead, inUse int       // outcomes in a row
	rest        time.Time // no job before
}

// lineCode is the code of a call's end as the line has it: on a shared line that has no dial tone somebody telephones.
func (c PhoneConfig) lineCode(code t30.Code) t30.Code {
	if code == t30.CodeNoDialTone && c.Shared {
		return t30.CodeLineInUse
	}
	return code
}

// dialed notes what a call we made says of the telephone line.
func (l *line) dialed(code t30.Code) {
	now := time.Now()
	switch code {
	case t30.CodeNoDialTone, t30.CodeNoLine:
		l.health.dead++
		l.health.rest = now.Add(deadRests[min(l.health.dead, len(deadRests))-1])
		if code == t30.CodeNoLine {
			l.alarms.Raise("no-line/"+l.cfg.Name, fmt.Sprintf("Line %s is dead: the modem finds no telephone line.", l.cfg.Name),
				"Check the cord between the modem and the wall socket. The line is tried again by itself; other lines send meanwhile.")
		} else if l.health.dead >= deadAlarm {
			l.alarms.Raise("no-dial-tone/"+l.cfg.Name, fmt.Sprintf("Line %s has no dial tone.", l.cfg.Name),
				"Check the telephone cable, and with a telephone whether there is a dial tone. Behind a PBX without one set dial_tone = \"blind\". "+
					"The line is tried again by itself; other lines send meanwhile.")
		}
	case t30.CodeLineInUse:
		l.health.inUse++
		l.health.rest = now.Add(inUseRest)
		if l.health.inUse >= inUseAlarm {
			l.alarms.Raise("line-in-use/"+l.cfg.Name, fmt.Sprintf("Line %s is in use by a telephone, or dead, for an hour.", l.cfg.Name),
				"See whether a handset on the same line is off its hook, and whether there is a dial tone.")
		}
	case t30.CodeModem, t30.CodeSource, t30.CodeSink, t30.CodeCanceled, t30.CodeGlare, t30.CodeBlacklisted, t30.CodeNone:
		// Say nothing of the line.
	default:
		l.alive()
	}
}

// alive ends all rest: the exchange was heard.
func (l *line) alive() {
	l.health = health{}
	for _, code := range []string{"no-line/", "no-dial-tone/", "line-in-use/"} {
		l.alarms.Clear(code + l.cfg.Name)
	}
}
