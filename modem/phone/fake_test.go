package phone

import (
	"bufio"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// fake is a modem that answers commands from a table, OK by default, and keeps a list of them.
type fake struct {
	conn    net.Conn
	answers map[string]string // command without AT: lines, the last one the result

	mu   sync.Mutex
	sent []string
}

type pipePort struct{ net.Conn }

func (pipePort) SetDTR(bool) error { return nil }

// newLine starts a fake and the line on it; a call is there at CONNECT.
func newLine(t *testing.T, cfg Config, answers map[string]string) (*Line, *fake) {
	t.Helper()
	host, modem := net.Pipe()
	f := &fake{conn: modem, answers: answers}
	go f.serve()
	ch := at.NewChannel(pipePort{host}, nil)
	var l *Line
	l = New(ch, cfg, Class{
		Enter:   func(ctx context.Context) error { return l.EnterClass(ctx, "1") },
		Prepare: func(context.Context, t30.AnswerMode) error { return nil },
		Judge:   func(r at.Line) (bool, error) { return r.Code == at.Connect, nil },
	})
	t.Cleanup(func() { ch.Close(); modem.Close() })
	return l, f
}

func (f *fake) serve() {
	r := bufio.NewReader(f.conn)
	for {
		line, err := r.ReadString('\r')
		if err != nil {
			return
		}
		cmd := strings.TrimPrefix(strings.Trim(line, "\r\x18"), "AT")
		f.mu.Lock()
		f.sent = append(f.sent, cmd)
		answer, ok := f.answers[cmd]
		f.mu.Unlock()
		if !ok {
			answer = "OK"
		}
		f.say(answer)
	}
}

func (f *fake) say(lines string) {
	_, _ = f.conn.Write([]byte("\r\n" + strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n")) // fails when the test is over
}

// has tells how often a command was sent.
func (f *fake) has(cmd string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sent {
		if s == cmd {
			n++
		}
	}
	return n
}

func (f *fake) index(cmd string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Index(f.sent, cmd)
}
