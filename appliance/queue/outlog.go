package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// OutAttempt is one attempt to hand an outbox item on, as it is kept for people: who was spoken to, what was said.
type OutAttempt struct {
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took"`
	Outcome    string        `json:"outcome"` // "delivered", "waits", "held"
	Reply      string        `json:"reply"`   // of the server, or the error
	Remedy     string        `json:"remedy,omitempty"`
	Transcript []string      `json:"transcript,omitempty"` // line by line; secrets and the mail itself are left out
}

// The bounds of what is kept of an item's attempts.
const (
	maxOutAttempts   = 5                   // the newest
	maxOutTranscript = 16 << 10            // octets of one transcript
	maxOutLine       = 500                 // octets of one line
	outLogLife       = 30 * 24 * time.Hour // of an item that is done, or as long as the item is kept
)

// outLogs are the attempts of an outbox item by its id, oldest first.
var (
	outLogs    = store.NewTable[[]OutAttempt]("outbox attempts")
	outLogsRaw = store.NewTable[json.RawMessage]("outbox attempts") // the same, for a look at the ids only
)

// OutLog returns the newest attempts of an outbox item, oldest first; none when none is kept.
func (q *Queue) OutLog(id OutID) ([]OutAttempt, error) {
	var list []OutAttempt
	err := q.view("outbox attempts", func(tx *store.Tx) (err error) {
		list, err = outLogs.Get(tx, string(id))
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return list, err
}

func addOutAttempt(tx *store.Tx, id OutID, a OutAttempt) error {
	list, err := outLogs.Get(tx, string(id))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	a.Transcript = shortTranscript(a.Transcript)
	list = append(list, a)
	return outLogs.Put(tx, string(id), list[max(0, len(list)-maxOutAttempts):])
}

// shortTranscript keeps a transcript within its bounds: its beginning and its end say most.
func shortTranscript(lines []string) []string {
	cut := func(s string) string {
		if len(s) > maxOutLine {
			return strings.ToValidUTF8(s[:maxOutLine], "") + "..."
		}
		return s
	}
	var head, tail []string
	left := maxOutTranscript
	for i, j := 0, len(lines)-1; i <= j; {
		a, b := cut(lines[i]), cut(lines[j])
		if i == j {
			b = ""
		}
		if left -= len(a) + len(b); left < 0 {
			head = append(head, fmt.Sprintf("... %d lines left out", j-i+1))
			break
		}
		head = append(head, a)
		if i != j {
			tail = append(tail, b)
		}
		i, j = i+1, j-1
	}
	for i := len(tail) - 1; i >= 0; i-- {
		head = append(head, tail[i])
	}
	return head
}

// purgeOutLogs takes out the attempts of items that are done for long, or gone.
func purgeOutLogs(tx *store.Tx, now time.Time) error {
	var old []string
	err := outLogsRaw.Each(tx, func(id string, _ json.RawMessage) error {
		o, err := outs.Get(tx, id)
		switch {
		case errors.Is(err, ErrNotFound) || err == nil && o.State.final() && o.Ended.Before(now.Add(-outLogLife)):
			old = append(old, id)
		case err != nil:
			return err
		}
		return nil
	})
	for _, id := range old {
		err = errors.Join(err, outLogs.Delete(tx, id))
	}
	return err
}
