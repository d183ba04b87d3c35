package appliance

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
)

// testLog writes the log into the test's, until the test ends.
func testLog(t *testing.T) *slog.Logger {
	w := &logWriter{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = true
	})
	return slog.New(slog.NewTextHandler(w, nil))
}

type logWriter struct {
	mu    sync.Mutex
	t     *testing.T
	ended bool
}

func (w *logWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.t.Log(string(bytes.TrimSpace(b)))
	}
	return len(b), nil
}
