package queue

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// spanLine is one line of a transcript's file that is no event.
type spanLine struct {
	Span *t30.Span `json:"span"`
}

// writeTranscript puts the spans of a call, then its events as far as maxTranscript goes, into a spool file.
func (l CallLog) writeTranscript(spans []t30.Span, events []t30.Event) (name string, size int64, err error) {
	f, err := l.st.Create(store.Transcripts)
	if err != nil {
		return "", 0, err
	}
	w := bufio.NewWriter(f)
	put := func(v any) (bool, error) {
		line, err := json.Marshal(v)
		if err != nil || size+int64(len(line))+1 > maxTranscript {
			return false, err
		}
		size += int64(len(line)) + 1
		w.Write(append(line, '\n')) // the error is Flush's
		return true, nil
	}
	more := true
	for i := 0; i < len(spans) && more && err == nil; i++ {
		more, err = put(spanLine{&spans[i]})
	}
	for i := 0; i < len(events) && more && err == nil; i++ {
		more, err = put(events[i])
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		return "", 0, errors.Join(err, f.Abort())
	}
	return f.Name(), size, f.Commit()
}

// Details reads what a call's transcript holds; nothing when it has none any more. Errors: ErrNotFound when its file is gone.
func (l CallLog) Details(c Call) (spans []t30.Span, events []t30.Event, err error) {
	if c.Transcript == "" {
		return nil, nil, nil
	}
	f, err := l.st.OpenFile(c.Transcript)
	if err != nil {
		return nil, nil, wrap("transcript", err)
	}
	defer f.Close()
	return readTranscript(io.LimitReader(f, maxTranscript))
}

// readTranscript reads JSON lines of spans and events.
func readTranscript(r io.Reader) (spans []t30.Span, events []t30.Event, err error) {
	for d := json.NewDecoder(r); ; {
		var line struct {
			spanLine
			t30.Event
		}
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF):
			return spans, events, nil
		case err != nil:
			return spans, events, wrap("transcript", err)
		case line.Span != nil:
			spans = append(spans, *line.Span)
		default:
			events = append(events, line.Event)
		}
	}
}
