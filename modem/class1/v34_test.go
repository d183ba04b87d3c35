package class1

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
	"github.com/tipring/tipring/t30/t30test"
)

// Dialogues of T.31 Annex B after what HylaFAX expects of a modem and what Dialogic's DIVA driver, a modem made in software, gives: no modem of
// metal has been asked.

var v34Config = Config{Class: "1.0", V34: true}

// setUp is how a modem is asked for V.34, and told of it before a call.
const (
	askV34  = "> AT+F34=?\n< +F34: (0-14),(0-14),(0-2),(0-14),(0-14)\n< OK\n"
	wantV34 = "> AT+A8E=1,1\n< OK\n> AT+F34=14,1,2\n< OK\n"
	dialV34 = wantV34 + "> ATDT5550100\n< +F34:14,2\n< CONNECT\n<= 10 6d 10 7d 10 6f\n"
)

// script makes dialogue steps of frames with their check sequence.
func fromModem(f t30.Frame) string {
	return "<= " + hex.EncodeToString(at.Shield(nil, hdlc.AppendFCS(bytes.Clone(f)))) + "1003\n"
}

func toModem(f t30.Frame) string { return ">~ " + hex.EncodeToString(f) + "\n" }

func coded(n byte) t30.Frame {
	return t30.NewFrame(t30.FcfFCD, false, false, append([]byte{n}, bytes.Repeat([]byte{0x10, 0x5a, 0x11, 0x13}, 64)...)...)
}

var rcpFrame = t30.NewFrame(t30.FcfRCP, false, false)

func dialOK(t *testing.T, p *Phone) t30.V34Line {
	t.Helper()
	l, err := p.Dial(t.Context(), "5550100")
	if err != nil {
		t.Fatal(err)
	}
	v, ok := l.(t30.V34Line)
	if !ok {
		t.Fatalf("the line is a %T", l)
	}
	return v
}

// TestV34_SendDialogue: a sender's whole session.
func TestV34_SendDialogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dis := t30.NewFrame(t30.FcfDIS, false, true, 0x20, 0xee, 0x78)
		dcs := t30.NewFrame(t30.FcfDCS, true, true, 0, 0x42, 0x78)
		mcf := t30.NewFrame(t30.FcfMCF, false, true)
		p, _ := newPhone(t, v34Config, askV34+dialV34+
			fromModem(dis)+toModem(dcs)+
			">= 10 6b\n300ms\n<= 10 6b 10 7c\n"+ // the line has become worse: 31200
			toModem(coded(0))+toModem(rcpFrame)+toModem(rcpFrame)+toModem(rcpFrame)+
			">= 10 6d\n300ms\n<= 10 6d 10 7c 10 6e\n"+
			fromModem(mcf)+
			">= 00 10 04\n<= 10 04\n< OK\n> ATH0\n< OK")
		l := dialOK(t, p)
		if a, b := l.V34(); a != 33600 || b != 2400 {
			t.Errorf("rates %d and %d", a, b)
		}
		if f, err := l.ReceiveFrame(t.Context(), time.Second); err != nil || !bytes.Equal(f, dis) {
			t.Errorf("%v, %v", f, err)
		}
		if err := l.SendFrames(t.Context(), dcs); err != nil {
			t.Error(err)
		}
		if err := l.SendBlock(t.Context(), t30.Modulation{}, []t30.Frame{coded(0), rcpFrame, rcpFrame, rcpFrame}); err != nil {
			t.Error(err)
		}
		if a, b := l.V34(); a != 31200 || b != 1200 {
			t.Errorf("rates %d and %d", a, b)
		}
		if f, err := l.ReceiveFrame(t.Context(), time.Second); err != nil || !bytes.Equal(f, mcf) {
			t.Errorf("%v, %v", f, err)
		}
		if err := l.Hangup(); err != nil {
			t.Error(err)
		}
	})
}

// TestV34_ReceiveDialogue: a receiver's, with a spoilt frame, which some modems end with DLE ETX as well, and codes of a retrain.
func TestV34_ReceiveDialogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfr := t30.NewFrame(t30.FcfCFR, false, true)
		pps := t30.NewFrame(t30.FcfPPS, true, true, 0x2f, 0, 0, 1)
		p, _ := newPhone(t, v34Config, askV34+"< RING\n"+wantV34+"> ATA\n< +F34: 12, 1\n< CONNECT\n<= 10 6d 10 7b 10 6e\n"+
			toModem(cfr)+"<= 10 6b 10 7b\n"+fromModem(coded(0))+"<= ff 03 06 01 00 00 10 07 10 03\n"+fromModem(rcpFrame)+fromModem(rcpFrame)+
			"<= 10 6d 10 7b 10 6e\n<= 10 69\n2s\n<= 10 6d 10 79 10 6e\n"+fromModem(pps)+
			">= 00 10 04\n< OK\n> ATH0\n< OK") // a modem that answers DLE EOT with OK alone
		r, err := p.WaitRing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		line, err := r.Answer(t.Context(), t30.AnswerFax)
		if err != nil {
			t.Fatal(err)
		}
		l := line.(t30.V34Line)
		if err := l.SendFrames(t.Context(), cfr); err != nil {
			t.Error(err)
		}
		var got []t30.Frame
		err = l.ReceiveBlock(t.Context(), t30.Modulation{}, 5*time.Second, func(f t30.Frame) { got = append(got, bytes.Clone(f)) })
		if err != nil || len(got) != 3 || !bytes.Equal(got[0], coded(0)) || got[1].FCF() != t30.FcfRCP {
			t.Errorf("%d frames, %v", len(got), err)
		}
		if f, err := l.ReceiveFrame(t.Context(), 6*time.Second); err != nil || !bytes.Equal(f, pps) {
			t.Errorf("%v, %v", f, err)
		}
		if a, b := l.V34(); a != 24000 || b != 1200 {
			t.Errorf("rates %d and %d after the retrain", a, b)
		}
		if err := l.Hangup(); err != nil {
			t.Error(err)
		}
	})
}

// TestV34_NewRateDialogue: the codes by which a lower rate is asked for.
func TestV34_NewRateDialogue(t *testing.T) {
	for _, c := range []struct{ now, ask string }{{"7d", "7b"}, {"73", "71"}, {"72", "71"}, {"71", "71"}, {"70", "70"}} {
		t.Run(c.now, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPhone(t, v34Config, askV34+dialV34+">= 10 6b\n<= 10 6b 10 "+c.now+"\n>= 10 "+c.ask+" 10 6c\n"+toModem(rcpFrame)+">= 10 6d\n<= 10 6d 10 70 10 6f\n"+
					">= 10 6b\n<= 10 6b 10 70\n"+toModem(rcpFrame)+">= 10 6d\n<= 10 6d 10 70 10 6f\n>= 00 10 04\n<= 10 04\n< OK")
				l := dialOK(t, p)
				l.Slower()
				for range 2 {
					if err := l.SendBlock(t.Context(), t30.Modulation{}, []t30.Frame{rcpFrame}); err != nil {
						t.Error(err)
					}
				}
				if err := l.Hangup(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestV34_Troubles: what else a modem may say, and what it means.
func TestV34_Troubles(t *testing.T) {
	receive := func(l t30.V34Line, ctx context.Context) error {
		f, err := l.ReceiveFrame(ctx, 3*time.Second)
		if err == nil && f.FCF() != t30.FcfDCS {
			return fmt.Errorf("frame %v", f)
		}
		return err
	}
	block := func(l t30.V34Line, ctx context.Context) error {
		return l.ReceiveBlock(ctx, t30.Modulation{}, 3*time.Second, func(t30.Frame) {})
	}
	send := func(l t30.V34Line, ctx context.Context) error {
		return l.SendBlock(ctx, t30.Modulation{}, []t30.Frame{coded(0), rcpFrame})
	}
	dcs := fromModem(t30.NewFrame(t30.FcfDCS, true, true, 0, 0x42, 0x78))
	over := ">= 00 10 04\n<= 10 04\n< OK\n"
	for name, c := range map[string]struct {
		script string
		do     func(t30.V34Line, context.Context) error
		want   error
		end    string
	}{
		"nothing":                           {"4s\n", receive, t30.ErrTimeout, over},
		"spoilt frame":                      {"<= ff 13 84 00 00 10 07\n", receive, t30.ErrFCS, over},
		"right check, called spoilt":        {strings.Replace(dcs, "1003\n", "1007\n", 1), receive, t30.ErrFCS, over},
		"wrong check that the modem passed": {"<= ff 13 84 00 00 10 03\n", receive, t30.ErrFCS, over},
		"half a frame, and the rest later":  {"2900ms\n<= ff 13\n500ms\n<= 84 00 00 10 07\n", receive, t30.ErrFCS, over},
		"a frame without an end":            {strings.Repeat("<= "+strings.Repeat("55", 100)+"\n", 20) + "<= 10 03\n", receive, t30.ErrFCS, over},
		"end":                               {"<= 10 04\n< OK\n", receive, t30.ErrHungUp, ""},
		"end with NO CARRIER":               {"<= 10 04\n< NO CARRIER\n", receive, t30.ErrHungUp, ""},
		"no carrier without an end":         {"< NO CARRIER\n", receive, t30.ErrHungUp, ""},
		"a code of no table":                {"<= 10 41 10 7e 10 6a\n4s\n", receive, t30.ErrTimeout, over},
		"a block where a command was due":   {"<= 10 6b 10 7d\n" + fromModem(coded(0)) + "<= 10 6d 10 7d 10 6f\n" + dcs, receive, nil, over},
		"no block":                          {"4s\n", block, t30.ErrTimeout, over},
		"a command in place of a block":     {dcs, block, t30.ErrV21, over},
		"a spoilt one":                      {"<= ff 13 10 07\n", block, t30.ErrV21, over},
		"a block without RCP":               {"<= 10 6b 10 7d\n" + fromModem(coded(0)) + "<= 10 6d 10 7d 10 6f\n", block, t30.ErrCarrierLost, over},
		"a block that stops":                {"<= 10 6b 10 7d\n" + fromModem(coded(0)) + "20s\n", block, t30.ErrCarrierLost, over},
		"end in a block":                    {"<= 10 6b 10 7d\n" + fromModem(coded(0)) + "<= 10 04\n< OK\n", block, t30.ErrHungUp, ""},
		"no change to the primary channel":  {">= 10 6b\n20s\n", send, t30.ErrHungUp, over},
		"the channel is retrained instead": {">= 10 6b\n<= 10 69\n2s\n<= 10 6d 10 7c 10 6f\n>= 10 6b\n<= 10 6b 10 7c\n" + toModem(coded(0)) + toModem(rcpFrame) +
			">= 10 6d\n<= 10 6d 10 7c 10 6f\n", send, nil, over},
		"again and again":     {strings.Repeat(">= 10 6b\n<= 10 69 10 6d 10 7c 10 6f\n", 3), send, t30.ErrHungUp, over},
		"no control channel":  {">= 10 6b\n<= 10 6b 10 7d\n" + toModem(coded(0)) + toModem(rcpFrame) + ">= 10 6d\n20s\n", send, t30.ErrHungUp, over},
		"no rate is told":     {">= 10 6b\n<= 10 6b\n" + toModem(coded(0)) + toModem(rcpFrame) + ">= 10 6d\n<= 10 6d\n", send, nil, over},
		"dumb at the end":     {"4s\n", receive, t30.ErrTimeout, ">= 00 10 04\n10s\n"},
		"end when we end too": {"4s\n<= 10 04\n< NO CARRIER\n", receive, t30.ErrTimeout, ">= 00 10 04\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, f := newPhone(t, v34Config, askV34+dialV34+c.script+c.end)
				l := dialOK(t, p)
				if err := c.do(l, t.Context()); !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("%v, want %v", err, c.want)
				}
				if err := l.Hangup(); err != nil {
					t.Error(err)
				}
				if strings.HasPrefix(name, "dumb") != (f.dtr.Load() > 0) {
					t.Errorf("DTR was dropped %d times", f.dtr.Load())
				}
			})
		})
	}
}

// TestV34_EarlyFrame: a command that came in place of a block is what the next ReceiveFrame returns, also with the rates left out.
func TestV34_EarlyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dcs := t30.NewFrame(t30.FcfDCS, true, true, 0, 0x42, 0x78)
		mcf := t30.NewFrame(t30.FcfMCF, false, true)
		p, _ := newPhone(t, v34Config, askV34+dialV34+fromModem(dcs)+">= 10 6b\n<= 10 6b\n"+toModem(rcpFrame)+">= 10 6d\n<= 10 6d\n"+fromModem(mcf)+">= 00 10 04\n<= 10 04\n< OK")
		l := dialOK(t, p)
		if err := l.ReceiveBlock(t.Context(), t30.Modulation{}, time.Second, nil); !errors.Is(err, t30.ErrV21) {
			t.Error(err)
		}
		if f, err := l.ReceiveFrame(t.Context(), time.Second); err != nil || !bytes.Equal(f, dcs) {
			t.Errorf("%v, %v", f, err)
		}
		if err := l.SendBlock(t.Context(), t30.Modulation{}, []t30.Frame{rcpFrame}); err != nil {
			t.Error(err)
		}
		if f, err := l.ReceiveFrame(t.Context(), time.Second); err != nil || !bytes.Equal(f, mcf) {
			t.Errorf("%v, %v", f, err)
		}
		if err := l.Hangup(); err != nil {
			t.Error(err)
		}
	})
}

// TestV34_Off: V.34 off in Class 1.0 turns V.8 off; a call without V.34 on a modem that has it likewise; a modem that does V.34 all the same is
// followed.
func TestV34_Off(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPhone(t, Config{Class: "1.0"}, "> ATDT5550100\n< +F34:14,1\n< CONNECT\n<= 10 6d 10 7d 10 6e\n>= 00 10 04\n<= 10 04\n< OK")
		l := dialOK(t, p)
		if err := l.Hangup(); err != nil {
			t.Error(err)
		}
		if p.Capabilities().Schemes.Has(t30.V34) || f.noV8.Load() != 2 {
			t.Errorf("V.34 is off: %v; V.8 was turned off %d times", p.Capabilities().Schemes, f.noV8.Load())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p, f := newPhone(t, v34Config, askV34+"> ATDT5550100\n< CONNECT\n> CAN\n< OK")
		l, err := p.DialPlain(t.Context(), "5550100")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := l.(t30.V34Line); ok {
			t.Error("a call without V.34 is one")
		}
		if err := l.Hangup(); err != nil || f.noV8.Load() != 1 {
			t.Errorf("%v; V.8 was turned off %d times", err, f.noV8.Load())
		}
	})
}

// TestV34_NotOffered: what a modem says that has no V.34.
func TestV34_NotOffered(t *testing.T) {
	for _, answer := range []string{"< ERROR", "< OK", "< +F34: (0)\n< OK", "4s"} {
		synctest.Test(t, func(t *testing.T) {
			host, modem := net.Pipe()
			f := &fake{t: t, conn: modem, answers: map[string]string{"AT+FTM=?": allCodes, "AT+FRM=?": allCodes}, done: make(chan struct{})}
			f.in = bufio.NewReader(modem)
			ch := at.NewChannel(pipePort{host, f}, nil)
			go f.play("> AT+F34=?\n" + answer)
			if _, err := New(t.Context(), ch, v34Config); !errors.Is(err, ErrNoV34) {
				t.Errorf("%q: %v", answer, err)
			}
			<-f.done
			ch.Close()
			modem.Close()
		})
	}
}

func TestParseF34(t *testing.T) {
	for text, want := range map[string]v34Rates{
		"+F34:14,1": {33600, 1200}, "+F34: 1,2": {2400, 2400}, "+f34:12,2,1": {28800, 2400}, "+F34:0,1": {}, "+F34:15,1": {}, "+F34:14,3": {}, "+F34:14": {},
		"+F34:": {}, "+F34:x,y": {}, "CONNECT": {}, "": {}, "+F34:99999999999999999999,1": {},
	} {
		if got, ok := parseF34(text); got != want || ok != (want != v34Rates{}) {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
}

// v34Port is a port behind which a modem is set up at once, and says in a call over V.34 what fuzz input has it say: something for each write of the
// host, and more by itself.
type v34Port struct {
	*madModem
	line []byte
	told bool // +F34:
	turn sync.Mutex
}

func (p *v34Port) SetDTR(bool) error { return nil }

// Write implements io.Writer for the host.
func (p *v34Port) Write(b []byte) (int, error) {
	if p.told {
		p.next()
		return len(b), nil
	}
	for _, c := range b {
		if p.line = append(p.line, c); c != '\r' {
			continue
		}
		cmd := string(p.line)
		p.line = nil
		switch {
		case strings.HasPrefix(cmd, "AT+FTM=?"), strings.HasPrefix(cmd, "AT+FRM=?"):
			p.say([]byte("\r\n" + allCodes + "\r\n\r\nOK\r\n"))
		case strings.HasPrefix(cmd, "AT+F34=?"):
			p.say([]byte("\r\n+F34: (0-14),(0-14)\r\n\r\nOK\r\n"))
		case strings.HasPrefix(cmd, "ATD"), strings.HasPrefix(cmd, "ATA"):
			p.told = true
			p.say([]byte("\r\n+F34:14,2\r\n\r\nCONNECT\r\n\x10\x6d\x10\x7d\x10\x6f"))
			p.next()
		default:
			p.say([]byte("\r\nOK\r\n"))
		}
	}
	return len(b), nil
}

// v34Says are what one octet of the input stands for, beside codes and octets as they are.
var v34Says = []t30.Frame{
	t30.NewFrame(t30.FcfDIS, false, true, 0x20, 0xee, 0x78), t30.NewFrame(t30.FcfDCS, true, true, 0, 0x42, 0x78), t30.NewFrame(t30.FcfCFR, false, true),
	t30.NewFrame(t30.FcfMCF, false, true), t30.NewFrame(t30.FcfPPR, false, true, bytes.Repeat([]byte{0xff}, 32)...), t30.NewFrame(t30.FcfPPS, true, true, 0x2f, 0, 0, 0),
	t30.NewFrame(t30.FcfEOR, true, true, 0x2f), t30.NewFrame(t30.FcfCTC, true, true, 0, 0x10), t30.NewFrame(t30.FcfRNR, false, true), t30.NewFrame(t30.FcfDCN, true, true),
	t30.NewFrame(t30.FcfFTT, false, true), t30.NewFrame(t30.FcfDTC, false, true, 0x20, 0xee, 0x78), rcpFrame, coded(0), coded(1), t30.NewFrame(t30.FcfERR, false, true),
}

// next says up to eight things.
func (p *v34Port) next() {
	p.turn.Lock()
	defer p.turn.Unlock()
	var b []byte
	for n := 0; n < 8 && len(p.in) > 0; n++ {
		c := p.in[0]
		p.in = p.in[1:]
		switch {
		case int(c) < len(v34Says):
			b = append(at.Shield(b, hdlc.AppendFCS(bytes.Clone(v34Says[c]))), 0x10, 0x03)
		case c < 0x20:
			b = append(at.Shield(b, v34Says[c&15]), 0x10, 0x07)
		case c < 0x40: // later
			time.AfterFunc(time.Duration(c-0x20)*300*time.Millisecond, func() { p.say(b) })
			if c&1 != 0 {
				time.AfterFunc(time.Duration(c)*time.Second, p.next)
			}
			return
		case c >= 0x80:
			b = append(b, c)
		case c == 0x40:
			b = append(b, "\r\nNO CARRIER\r\n"...)
		default:
			b = append(b, 0x10, c)
		}
	}
	p.say(b)
}

// FuzzV34 has a modem say anything in a call over V.34: the call ends, in bounded time, with an outcome; a page is confirmed or received only as the
// frames said.
func FuzzV34(f *testing.F) {
	f.Add(true, []byte{0, 2, 0x6b, 0x7d, 0x6d, 0x7d, 0x6f, 3})
	f.Add(true, []byte{0, 2, 0x69, 0x6d, 0x6b, 0x7c, 0x25, 0x6d, 4, 0x6b, 0x70, 0x6d, 3})
	f.Add(false, []byte{1, 0x6b, 0x7d, 13, 12, 0x6d, 5, 9})
	f.Add(false, []byte{1, 0x6b, 0x7d, 0x1d, 14, 12, 0x6d, 5, 0x6b, 0x7d, 13, 12, 0x6d, 5, 9, 0x04, 0x40})
	f.Fuzz(func(t *testing.T, send bool, in []byte) {
		if len(in) > 1000 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			port := &v34Port{madModem: newMadModem(in)}
			ch := at.NewChannel(port, nil)
			defer ch.Close()
			p, err := New(t.Context(), ch, Config{Class: "1.0", V34: true, Quirks: Quirks{NoFCS: len(in)%7 == 0}})
			if err != nil {
				t.Fatal(err)
			}
			l, err := p.Dial(t.Context(), "5550100")
			if err != nil {
				t.Fatal(err)
			}
			doc, sink := t30test.NewDocument(1, 1, 60), &t30test.Sink{}
			start := time.Now()
			var rep t30.Report
			if send {
				rep, err = t30.Originate(t.Context(), l, t30.Session{Send: t30test.Docs(doc)})
			} else {
				rep, err = t30.Answer(t.Context(), l, t30.Session{Sink: sink})
			}
			if took := time.Since(start); took > 2*time.Hour || rep.Code == t30.CodeNone {
				t.Errorf("%v %q after %v", rep.Code, rep.Text, took)
			}
			if err != nil && rep.OK() || rep.Sent != len(doc.ConfirmedPages()) || rep.Sent > 0 && !bytes.Contains(in, []byte{3}) {
				t.Errorf("%v, %d sent, %d confirmed, %v", rep.Code, rep.Sent, len(doc.ConfirmedPages()), err)
			}
			if n := len(sink.Kept()); n < rep.Received {
				t.Errorf("%d received, %d kept", rep.Received, n)
			}
			if _, err := l.ReceiveFrame(t.Context(), time.Second); !errors.Is(err, ErrOnHook) {
				t.Errorf("after the call: %v", err)
			}
		})
	})
}
