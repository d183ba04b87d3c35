package t30

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// scriptedV34 is a line over V.34 whose far end says what a script has it say, in its time, and that keeps what we send.
type scriptedV34 struct {
	hear   []any // Frame: on the control channel; []Frame: a block
	sent   []Frame
	blocks [][]Frame
	slower int
	plain  bool // anything of a call without V.34 was done
	over   bool
}

func (l *scriptedV34) Capabilities() Capabilities {
	return Capabilities{Schemes: Schemes(V27ter | V29 | V17 | V34), MaxRate: 14400, ECM: true}
}
func (l *scriptedV34) V34() (int, int) { return 31200, 1200 }
func (l *scriptedV34) Slower()         { l.slower++ }

func (l *scriptedV34) SendFrames(_ context.Context, frames ...Frame) error {
	l.sent = append(l.sent, frames...)
	time.Sleep(100 * time.Millisecond)
	return nil
}

func (l *scriptedV34) ReceiveFrame(_ context.Context, wait time.Duration) (Frame, error) {
	if len(l.hear) == 0 {
		time.Sleep(wait)
		return nil, ErrTimeout
	}
	f, ok := l.hear[0].(Frame)
	if !ok {
		time.Sleep(wait)
		return nil, ErrTimeout
	}
	l.hear = l.hear[1:]
	time.Sleep(100 * time.Millisecond)
	if f == nil {
		return nil, ErrFCS
	}
	return f, nil
}

func (l *scriptedV34) SendBlock(_ context.Context, m Modulation, frames []Frame) error {
	l.plain = l.plain || m != Modulation{Scheme: V34, Rate: 31200}
	l.blocks = append(l.blocks, slices.Clone(frames))
	time.Sleep(time.Second)
	return nil
}

func (l *scriptedV34) ReceiveBlock(_ context.Context, m Modulation, wait time.Duration, f func(Frame)) error {
	l.plain = l.plain || m != Modulation{Scheme: V34, Rate: 31200}
	if len(l.hear) == 0 {
		time.Sleep(wait)
		return ErrTimeout
	}
	block, ok := l.hear[0].([]Frame)
	if !ok {
		return ErrV21
	}
	l.hear = l.hear[1:]
	time.Sleep(time.Second)
	for _, b := range block {
		f(b)
	}
	return nil
}

func (l *scriptedV34) SendTCF(context.Context, Modulation, time.Duration) error {
	l.plain = true
	return nil
}

func (l *scriptedV34) SendPage(context.Context, Modulation, io.Reader) error {
	l.plain = true
	return nil
}

func (l *scriptedV34) ReceivePage(context.Context, Modulation, time.Duration, io.Writer) error {
	l.plain = true
	return ErrTimeout
}

// Silence is for the end only: the modem turns the line round.
func (l *scriptedV34) Silence(_ context.Context, d time.Duration) error {
	l.plain = l.plain || d != afterDCN
	time.Sleep(d)
	return nil
}
func (l *scriptedV34) Hangup() error { l.over = true; return nil }

// fcfs are the fields of what was sent.
func (l *scriptedV34) fcfs() (list []FCF) {
	for _, f := range l.sent {
		list = append(list, f.FCF())
	}
	return list
}

// onePage is a document of one page of n octets.
type onePage struct {
	n         int
	given     bool
	confirmed int
}

func (d *onePage) Next(context.Context, Remote) (PageSource, error) {
	if d.given {
		return nil, io.EOF
	}
	d.given = true
	return d, nil
}

func (d *onePage) Page(_ context.Context, n int, _ PageLimit) (PageFormat, io.ReadCloser, error) {
	if n > 1 {
		return PageFormat{}, nil, io.EOF
	}
	return PageFormat{Resolution: Standard, Width: WidthA4, Coding: MH}, io.NopCloser(bytes.NewReader(bytes.Repeat([]byte{0x5a}, d.n))), nil
}
func (d *onePage) Sent(int) error                                                    { return nil }
func (d *onePage) Confirmed(int, PageResult) error                                   { d.confirmed++; return nil }
func (d *onePage) Refused(int, PageResult) error                                     { return nil }
func (d *onePage) End(Report) error                                                  { return nil }
func (d *onePage) BeginPage(context.Context, Remote, PageFormat) (PageWriter, error) { return d, nil }
func (d *onePage) Write(b []byte) (int, error)                                       { d.n += len(b); return len(b), nil }
func (d *onePage) Sync(context.Context) error                                        { return nil }
func (d *onePage) Quality() Quality                                                  { return Quality{Lines: 1} }
func (d *onePage) Finish(context.Context, Verdict) error                             { return nil }

// Frames of a far end. Its DIS says neither error correction nor V.8, and its DCS names a rate that is none, as the field has it.
var (
	v34DIS = NewFrame(FcfDIS, false, true, 0, 0x02|0x2c, 0xf0)
	v34DCS = NewFrame(FcfDCS, true, true, 0, 0x42|0x10, 0x70)
	v34FCD = func(n byte) Frame { return NewFrame(FcfFCD, false, false, append([]byte{n}, make([]byte, 256)...)...) }
	v34RCP = NewFrame(FcfRCP, false, false)
)

func all(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }

// TestV34_Sender: what a sender does otherwise in T.30 Annex F.
func TestV34_Sender(t *testing.T) {
	answer := func(f FCF, fif ...byte) Frame { return NewFrame(f, false, true, fif...) }
	ppr := answer(FcfPPR, all(32)...)
	for _, c := range []struct {
		name   string
		hear   []any
		want   []FCF
		blocks int
		slower int
		code   Code
	}{
		{"plain", []any{answer(FcfCFR), answer(FcfMCF)}, []FCF{FcfDCS, FcfPPS, FcfDCN}, 1, 0, CodeOK},
		{"CFR lost", []any{Frame(nil), answer(FcfDIS, v34DIS[3:]...), answer(FcfCFR), answer(FcfMCF)}, []FCF{FcfDCS, FcfDCS, FcfPPS, FcfDCN}, 1, 0, CodeOK},
		{"PPR once", []any{answer(FcfCFR), ppr, answer(FcfMCF)}, []FCF{FcfDCS, FcfPPS, FcfPPS, FcfDCN}, 2, 1, CodeOK},
		{"a few frames missing", []any{answer(FcfCFR), answer(FcfPPR, 1), answer(FcfMCF)}, []FCF{FcfDCS, FcfPPS, FcfPPS, FcfDCN}, 2, 0, CodeOK},
		{"four PPR", []any{answer(FcfCFR), ppr, ppr, ppr, ppr, answer(FcfERR)}, []FCF{FcfDCS, FcfPPS, FcfPPS, FcfPPS, FcfPPS, FcfEOR, FcfDCN}, 4, 2, CodeECMGivenUp},
		{"not ready", []any{answer(FcfCFR), answer(FcfRNR), answer(FcfRNR), answer(FcfMCF)}, []FCF{FcfDCS, FcfPPS, FcfRR, FcfRR, FcfDCN}, 1, 0, CodeOK},
		{"FTT, which is not used", []any{answer(FcfFTT), answer(FcfFTT), answer(FcfFTT)}, []FCF{FcfDCS, FcfDCS, FcfDCS, FcfDCN}, 0, 0, CodeTraining},
		{"no answer", nil, []FCF{FcfDCS, FcfDCS, FcfDCS, FcfDCN}, 0, 0, CodeNoReplyDCS},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, doc := &scriptedV34{hear: append([]any{v34DIS}, c.hear...)}, &onePage{n: 3000}
				rep, err := Originate(t.Context(), l, Session{Send: doc, NoECM: true}) // no choice in V.34
				if err != nil || rep.Code != c.code || l.plain || !l.over || !rep.ECM || l.slower != c.slower || len(l.blocks) != c.blocks {
					t.Errorf("%v %q, %v; plain %v, %d blocks, slower %d", rep.Code, rep.Text, err, l.plain, len(l.blocks), l.slower)
				}
				if got := l.fcfs(); !slices.Equal(got, c.want) {
					t.Fatalf("sent %v, want %v", got, c.want)
				}
				if f := fif(l.sent[0].FIF()); f.rateBits() != 0 || !f.bit(bitECM) || f.bit(bitV8) || f.scanBits() != 0b111 {
					t.Errorf("DCS %x", []byte(f))
				}
				want := map[Code]Trouble{CodeOK: 0}
				if tr, ok := want[c.code]; !ok && rep.Trouble != TroubleV34 || ok && rep.Trouble != tr {
					t.Errorf("trouble %v", rep.Trouble)
				}
				if c.blocks > 0 && (rep.Modulation != Modulation{Scheme: V34, Rate: 31200}) {
					t.Errorf("modulation %v", rep.Modulation)
				}
			})
		})
	}
}

// TestV34_Receiver: what a receiver does otherwise.
func TestV34_Receiver(t *testing.T) {
	command := func(f FCF, fif ...byte) Frame { return NewFrame(f, true, true, fif...) }
	block := []Frame{v34FCD(0), v34FCD(1), v34RCP, v34RCP, v34RCP}
	eop := command(FcfPPS, byte(FcfEOP), 0, 0, 1)
	dcn := command(FcfDCN)
	for _, c := range []struct {
		name string
		hear []any
		want []FCF
		code Code
		n    int
	}{
		{"plain", []any{v34DCS, block, eop, dcn}, []FCF{FcfDIS, FcfCFR, FcfMCF}, CodeOK, 512},
		{"DCS again: CFR was lost", []any{v34DCS, v34DCS, block, eop, dcn}, []FCF{FcfDIS, FcfCFR, FcfCFR, FcfMCF}, CodeOK, 512},
		{"a frame missing", []any{v34DCS, block[1:], eop, block[:3], eop, dcn}, []FCF{FcfDIS, FcfCFR, FcfPPR, FcfMCF}, CodeOK, 512},
		{"a spoilt command", []any{v34DCS, block, Frame(nil), eop, dcn}, []FCF{FcfDIS, FcfCFR, FcfMCF}, CodeOK, 512},
		{"PPS again: MCF was lost", []any{v34DCS, block, eop, eop, dcn}, []FCF{FcfDIS, FcfCFR, FcfMCF, FcfMCF}, CodeOK, 512},
		{"CTC, which is not used", []any{v34DCS, block[1:], eop, command(FcfCTC, 0, 0x10), block[:3], eop, dcn}, []FCF{FcfDIS, FcfCFR, FcfPPR, FcfCTR, FcfMCF}, CodeOK, 512},
		{"no block", []any{v34DCS}, []FCF{FcfDIS, FcfCFR}, CodeNoPostMessage, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, page := &scriptedV34{hear: c.hear}, &onePage{}
				rep, err := Answer(t.Context(), l, Session{Sink: page, Send: &onePage{}, NoECM: true})
				if err != nil || rep.Code != c.code || l.plain || !l.over || rep.Trouble != 0 || page.n != c.n || rep.OK() && (!rep.ECM || rep.Received != 1) {
					t.Errorf("%v %q, %v; plain %v, %d octets, %d received", rep.Code, rep.Text, err, l.plain, page.n, rep.Received)
				}
				if got := l.fcfs(); !slices.Equal(got, c.want) {
					t.Errorf("sent %v, want %v", got, c.want)
				}
				// Turnaround polling is not to be had: no document is offered.
				if f := fif(l.sent[0].FIF()); !f.bit(bitV8) || !f.bit(bitECM) || f.bit(bitPollDocument) || f.rateBits() != 0b1011 {
					t.Errorf("DIS %x", []byte(f))
				}
			})
		})
	}
}

// TestV34_Refused: a sender whose document is not taken hears DCN at once; there is no training check to wait for.
func TestV34_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := &scriptedV34{hear: []any{v34DCS}}, time.Now()
		rep, err := Answer(t.Context(), l, Session{})
		if err != nil || rep.Code != CodeRefused || !slices.Equal(l.fcfs(), []FCF{FcfDIS, FcfDCN}) || l.plain || time.Since(start) > 2*time.Second {
			t.Errorf("%v %q, %v, %v after %v", rep.Code, rep.Text, err, l.fcfs(), time.Since(start))
		}
	})
}

// TestV34_PlainCall: a line that could do V.34, in a call without: DIS does not say V.8, and nothing else changes.
func TestV34_PlainCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &scriptedV34{}
		rep, _ := Answer(t.Context(), struct{ Line }{l}, Session{Sink: &onePage{}})
		if f := fif(l.sent[0].FIF()); rep.OK() || f.bit(bitV8) {
			t.Errorf("DIS %x", []byte(f))
		}
	})
}

func TestSession_MayV34(t *testing.T) {
	for _, c := range []struct {
		s            Session
		call, answer bool
	}{
		{Session{}, true, true}, {Session{Send: &onePage{}}, true, false}, {Session{Poll: &Poll{}}, false, false}, {Session{NoECM: true}, false, false},
		{Session{Limit: Capabilities{MaxRate: 14400}}, false, false}, {Session{Limit: Capabilities{MaxRate: 33600}}, true, true},
		{Session{Limit: Capabilities{Schemes: Schemes(V17 | V29)}}, false, false}, {Session{Limit: Capabilities{Schemes: Schemes(V17 | V34)}}, true, true},
	} {
		if a, b := c.s.mayV34(false), c.s.mayV34(true); a != c.call || b != c.answer {
			t.Errorf("%+v: call %v, answer %v", c.s, a, b)
		}
	}
}
