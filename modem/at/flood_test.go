package at

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// pipeEnd is a port from which nothing comes by itself.
type pipeEnd struct{ io.ReadCloser }

func (pipeEnd) Write(p []byte) (int, error) { return len(p), nil }
func (pipeEnd) SetDTR(bool) error           { return nil }

// A port that never falls silent has always another chunk. What comes after the end of a wait does not belong to it, and dropping what
// has come drops no more than that; else neither would ever end.
func TestChannel_PortThatNeverFallsSilent(t *testing.T) {
	r, _ := io.Pipe()
	c := NewChannel(pipeEnd{r}, nil)
	defer c.Close()
	later := chunk{time.Now().Add(time.Hour), []byte("$GPGGA\r\nOK\r\n")}
	c.in, c.unread = []chunk{later}, len(later.b)
	if _, err := c.Result(t.Context(), 20*time.Millisecond); !errors.Is(err, ErrNoReply) {
		t.Errorf("a wait took what came after its end: %v", err)
	}
	if err := c.drain(); err != nil || len(c.cur.b) != len(later.b) {
		t.Errorf("%v, %d octets left of what is still to come", err, len(c.cur.b))
	}
	if _, ok := c.Early(); ok {
		t.Error("a result of the future")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.NextLine(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("with lines at hand a cancelled wait goes on: %v", err)
	}
}
