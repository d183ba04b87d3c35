package class1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

// madModem is a port behind which a modem made of fuzz input answers: each command line, abort and end of data gets the next
// piece of the input, whatever it was.
type madModem struct {
	mu     sync.Mutex
	in     []byte
	closed bool
	out    []byte
	wake   chan struct{}
	dle    bool
	wrote  int
}

func newMadModem(in []byte) *madModem { return &madModem{in: in, wake: make(chan struct{}, 1)} }

// answers are the words that one octet of the input stands for.
var answers = []string{
	"\r\nOK\r\n", "\r\nCONNECT\r\n", "\r\nERROR\r\n", "\r\nNO CARRIER\r\n", "\r\n+FCERROR\r\n", "\r\n+FRH:3\r\n", "\r\nRING\r\n", "\r\nBUSY\r\n",
	"\x10\x03", "\x10\x10", "\x10\x1a", "\x10\x07", "\x10\x51", "\xff\x13\x80", "\xff\x03\x40", "\r\nNMBR = 5550100\r\n",
	"\r\nRINGING\r\n", "\r\nNO ANSWER\r\n", "\r\nFAX\r\n", "\r\nDATA\r\n", "\x7e\x7e\x7e", "\x00\x00\x00\x00", "\r\nCONN", "ECT\r\n",
}

// frames come shielded, with FCS, DLE ETX and result, and as an ECM carrier.
var answerFrames = []t30.Frame{
	t30.NewFrame(t30.FcfMCF, false, true), t30.NewFrame(t30.FcfDIS, false, true, 0, 0x0e, 0xf0),
	t30.NewFrame(t30.FcfCSI, false, false, []byte("0100555 94+          ")...),
	t30.NewFrame(t30.FcfPPR, false, true, bytes.Repeat([]byte{0x10}, 32)...),
}

// piece makes the answer to one line of the host: four bits of length, two of delay, one that chains the next to it.
func (m *madModem) piece() (wait time.Duration, b []byte) {
	if len(m.in) == 0 {
		return 0, nil
	}
	n := int(m.in[0] & 15)
	wait = []time.Duration{0, 50 * time.Millisecond, 300 * time.Millisecond, 4 * time.Second}[m.in[0]>>4&3]
	m.in = m.in[1:]
	for range n {
		if len(m.in) == 0 {
			break
		}
		c := m.in[0]
		m.in = m.in[1:]
		switch {
		case int(c) < len(answers):
			b = append(b, answers[c]...)
		case c < 0x20:
			f := answerFrames[c&3]
			b = append(at.Shield(append(b, "\r\nCONNECT\r\n"...), hdlc.AppendFCS(bytes.Clone(f))), 0x10, 0x03)
			b = append(b, "\r\nOK\r\n"...)
		case c < 0x24: // an ECM carrier
			var e hdlc.Encoder
			line := e.Flags(nil, 4)
			for i := range int(c&3) * 3 {
				line = e.Frame(line, t30.NewFrame(t30.FcfFCD, false, false, append([]byte{byte(i)}, make([]byte, 256)...)...))
			}
			line = e.Frame(line, t30.NewFrame(t30.FcfRCP, false, false))
			b = append(at.Shield(append(b, "\r\nCONNECT\r\n"...), e.Flush(line)), 0x10, 0x03)
			b = append(b, "\r\nNO CARRIER\r\n"...)
		case c == 0x24 && len(m.in) > 0: // much of one octet
			b = append(b, bytes.Repeat(m.in[:1], 3000)...)
		case c == 0x25:
			b = append(b, "\r\n24,48,72,73,74,96,97,98,121,122,145,146\r\n\r\nOK\r\n"...)
		default:
			b = append(b, c)
		}
	}
	return wait, b
}

func (m *madModem) say(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = append(m.out, b...)
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Write implements io.Writer for the host.
func (m *madModem) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, os.ErrClosed
	}
	m.wrote += len(p)
	for _, c := range p {
		end := c == '\r' || c == can || m.dle && c == 0x03
		m.dle = c == 0x10 && !m.dle
		if !end {
			continue
		}
		m.answer()
	}
	return len(p), nil
}

// answer says the next piece, and those chained to it.
func (m *madModem) answer() {
	for after, more := time.Duration(0), true; more && len(m.in) > 0; {
		more = m.in[0]&0x40 != 0
		wait, b := m.piece()
		if after += wait; after > 0 {
			time.AfterFunc(after, func() { m.say(b) })
			continue
		}
		m.out = append(m.out, b...)
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

const can = 0x18

// Read implements io.Reader for the host.
func (m *madModem) Read(p []byte) (int, error) {
	for {
		m.mu.Lock()
		n := copy(p, m.out)
		m.out = m.out[n:]
		closed := m.closed
		m.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case closed:
			return 0, os.ErrClosed
		}
		<-m.wake
	}
}

// Close implements io.Closer.
func (m *madModem) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return nil
}

// SetDTR implements at.Port.
func (m *madModem) SetDTR(bool) error { return nil }

// goodSetup answers what New asks.
var goodSetup = bytes.Repeat([]byte{1, 0x25}, 13)

// FuzzAnswers drives a modem that answers anything at any time. Each method comes back in bounded time, and what it gives is
// within its bounds.
func FuzzAnswers(f *testing.F) {
	const connectFrame = 0x18
	for methods := range 8 {
		m := []byte{byte(methods), byte(methods + 1), byte(methods + 3), 0, 2}
		f.Add(m, []byte{1, connectFrame, 1, 1, 1, 0, 1, connectFrame + 1, 1, 1, 1, 0})
		f.Add(m, []byte{1, 1, 3, 4, 4, 5, 2, 1, 0x22, 1, 1, 1, 0x21})
		f.Add(m, []byte{5, 1, 13, 8, 0, 3, 0x13, 1, 22, 0x32, 23, 13, 1, 3, 0x24, 0x10, 3})
	}
	// No answer to our call, then two rings with caller ID, and our answer.
	f.Add([]byte{0x40, 0, 2}, []byte{1, 17, 1 | 0x40, 0, 0x40 | 0x32, 6, 15, 0x32, 6, 15, 1, 1, 1, connectFrame})
	f.Add([]byte{0x41}, []byte{0x40 | 1, 16, 0x31, 3, 1 | 0x40, 0, 0x32, 6, 15, 1, 0, 1, 18, 1, connectFrame})
	f.Add([]byte{0x40}, []byte{1, 7, 1 | 0x40, 0, 0x32, 6, 6, 1, 3})
	f.Fuzz(func(t *testing.T, methods, in []byte) {
		if len(in) > 2000 || len(methods) > 12 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			m := newMadModem(append(bytes.Clone(goodSetup), in...))
			ch := at.NewChannel(m, nil)
			defer ch.Close()
			if len(methods) > 0 && methods[0]&0x80 != 0 {
				m.in = in // not even the set-up is sane
			}
			bounded := limited(t)
			var p *Phone
			bounded("new", 3*time.Minute, func() {
				p, _ = New(t.Context(), ch, Config{Quirks: Quirks{NoFCS: len(in)%7 == 0, BareDLE: len(in)%5 == 0}})
			})
			if p == nil {
				return
			}
			m.mu.Lock()
			m.in = bytes.Repeat([]byte{1, 0}, 10) // the set-up before ATD
			if len(methods) == 0 || methods[0]&0x40 == 0 {
				m.in = append(m.in, 1, 1) // CONNECT
			}
			m.in = append(m.in, in...)
			m.mu.Unlock()
			fuzzPhone(t, p, methods, bounded)
		})
	})
}

// limited returns what runs f and wants it back within a time on the line.
func limited(t *testing.T) func(name string, most time.Duration, f func()) {
	return func(name string, most time.Duration, f func()) {
		start := time.Now()
		f()
		if took := time.Since(start); took > most {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// fuzzPhone works a call by the methods that the octets choose.
func fuzzPhone(t *testing.T, p *Phone, methods []byte, bounded func(string, time.Duration, func())) {
	var l t30.Line
	var err error
	ctx := t.Context()
	bounded("dial", 5*time.Minute, func() { l, err = p.Dial(ctx, "5550100") })
	if err != nil {
		if l != nil {
			t.Error("a line and an error")
		}
		bounded("wait for a ring", 11*time.Minute, func() {
			rctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
			defer cancel()
			r, err := p.WaitRing(rctx)
			if err != nil {
				return
			}
			if l, err = r.Answer(rctx, t30.AnswerMode(len(methods)&1)); err != nil {
				l = nil
			}
		})
	}
	if l == nil {
		return
	}
	v29, v17 := t30.Modulation{Scheme: t30.V29, Rate: 9600}, t30.Modulation{Scheme: t30.V17, Rate: 14400, Short: true}
	fcd := t30.NewFrame(t30.FcfFCD, false, false, append([]byte{0}, make([]byte, 256)...)...)
	for _, b := range methods {
		switch b & 7 {
		case 0, 1:
			bounded("receive frame", 2*time.Minute, func() {
				f, err := l.ReceiveFrame(ctx, 7*time.Second)
				if err == nil && (len(f) < hdlc.MinFrame || len(f) > maxFrame+256) {
					t.Errorf("frame of %d octets", len(f))
				}
			})
		case 2:
			bounded("send frames", 2*time.Minute, func() {
				err = l.SendFrames(ctx, answerFrames[2], answerFrames[0])
			})
		case 3:
			bounded("receive page", 5*time.Minute, func() { err = l.ReceivePage(ctx, v29, 7*time.Second, io.Discard) })
		case 4:
			bounded("receive block", 5*time.Minute, func() {
				err = l.ReceiveBlock(ctx, v17, 7*time.Second, func(f t30.Frame) {
					if len(f) < hdlc.MinFrame || len(f) > 4+256+2 {
						t.Errorf("block frame of %d octets", len(f))
					}
				})
			})
		case 5:
			bounded("send page", 10*time.Minute, func() { err = l.SendPage(ctx, v29, bytes.NewReader(make([]byte, 9000))) })
		case 6:
			bounded("send block", 10*time.Minute, func() {
				err = l.SendBlock(ctx, v17, []t30.Frame{fcd, t30.NewFrame(t30.FcfRCP, false, false)})
			})
		case 7:
			bounded("send TCF", 5*time.Minute, func() { err = l.SendTCF(ctx, v29, 1500*time.Millisecond) })
		}
		if errors.Is(err, ErrOnHook) {
			t.Errorf("on hook without Hangup: %v", err)
		}
	}
	bounded("silence", time.Minute, func() { _ = l.Silence(ctx, 75*time.Millisecond) })
	bounded("hang up", 2*time.Minute, func() { _ = l.Hangup() })
	if _, err := l.ReceiveFrame(ctx, time.Second); !errors.Is(err, ErrOnHook) {
		t.Errorf("after Hangup: %v", err)
	}
}
