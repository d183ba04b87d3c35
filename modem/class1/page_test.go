package class1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

var (
	v29  = t30.Modulation{Scheme: t30.V29, Rate: 9600}
	v27  = t30.Modulation{Scheme: t30.V27ter, Rate: 2400}
	v17s = t30.Modulation{Scheme: t30.V17, Rate: 14400, Short: true}
)

func TestFind_Codes(t *testing.T) {
	for _, tt := range []struct {
		m    t30.Modulation
		code int
	}{
		{v27, 24}, {v29, 96}, {v17s, 146},
		{t30.Modulation{Scheme: t30.V29, Rate: 7200, Short: true}, 72}, // no short training there
		{t30.Modulation{Scheme: t30.V17, Rate: 12000}, 121},
	} {
		if c, err := find(tt.m); err != nil || c.code != tt.code {
			t.Errorf("%v: %d, %v; want %d", tt.m, c.code, err, tt.code)
		}
	}
	if _, err := find(t30.Modulation{Scheme: t30.V29, Rate: 14400}); err == nil {
		t.Error("V.29 at 14400 found")
	}
}

func TestCapabilities(t *testing.T) {
	tests := []struct {
		name, tx, rx string
		schemes      t30.Schemes
		rate         int
	}{
		{"all", allCodes, allCodes, t30.Schemes(t30.V27ter | t30.V29 | t30.V17), 14400},
		{"bracketed", "(24,48,72,96)", "+FRM: (24,48,72,96)", t30.Schemes(t30.V27ter | t30.V29), 9600},
		{"ranges", "+FTM=(24-96)", "(24,48),(72-74)", t30.Schemes(t30.V27ter | t30.V29 | t30.V17), 7200},
		{"one direction lacks V.17", allCodes, "24,48,72,96", t30.Schemes(t30.V27ter | t30.V29), 9600},
		{"V.17 without short training", "24,48,73,97", "24,48,73,97", t30.Schemes(t30.V27ter), 4800},
		{"nonsense", "garbage 1-", "4800000000-5", 0, 0},
	}
	for _, tt := range tests {
		got := capabilities(parseCodes([]string{tt.tx}), parseCodes([]string{tt.rx}))
		if got.Schemes != tt.schemes || got.MaxRate != tt.rate || !got.ECM {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestSendTCF(t *testing.T) {
	zeros := strings.Repeat(" 00", 1800)
	tests := []struct {
		name, data string
		quirks     Quirks
		gap        time.Duration
	}{
		{"standard", zeros, Quirks{}, 0},
		{"late training, first octet lost", " ff" + zeros, Quirks{TCFDelay: 400 * time.Millisecond, LeadFF: true}, 400 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			script := "> AT+FTM=96\n< CONNECT\n>~" + tt.data + "\n2s\n< OK\n"
			onCall(t, Config{Quirks: tt.quirks}, script, func(t *testing.T, l t30.Line, _ *fake) {
				start := time.Now()
				if err := l.SendTCF(t.Context(), v29, 1500*time.Millisecond); err != nil {
					t.Error(err)
				}
				if got := time.Since(start); got != tt.gap+2*time.Second {
					t.Errorf("took %v", got)
				}
			})
		})
	}
}

// A port that swallows the whole page at once is still sending it for a long time.
func TestSendPage_WaitsForWhatThePortSwallowed(t *testing.T) {
	onCall(t, Config{}, "> AT+FTM=24\n< CONNECT\n>n 24000\n85s\n< OK\n", func(t *testing.T, l t30.Line, _ *fake) {
		if err := l.SendPage(t.Context(), v27, bytes.NewReader(make([]byte, 24000))); err != nil {
			t.Error(err)
		}
	})
}

// A modem that says CONNECT again, while we are slow or at the end, is still sending.
func TestSendPage_ConnectRepeated(t *testing.T) {
	script := "> AT+FTM=96\n< CONNECT\n>+ 4096\n< CONNECT\n>n 4096\n< CONNECT\n2s\n< OK\n"
	onCall(t, Config{}, script, func(t *testing.T, l t30.Line, _ *fake) {
		if err := l.SendPage(t.Context(), v29, &slowReader{n: 2}); err != nil {
			t.Error(err)
		}
	})
}

func TestSendPage_Faults(t *testing.T) {
	broken := errors.New("broken disk")
	t.Run("source", func(t *testing.T) {
		onCall(t, Config{}, "> AT+FTM=96\n< CONNECT\n>n 5\n1s\n< OK\n", func(t *testing.T, l t30.Line, _ *fake) {
			err := l.SendPage(t.Context(), v29, &failing{data: []byte("abcde"), err: broken})
			if !errors.Is(err, broken) {
				t.Error(err)
			}
		})
	})
	t.Run("on hook", func(t *testing.T) {
		onCall(t, Config{}, "> AT+FTM=96\n< ERROR\n", func(t *testing.T, l t30.Line, _ *fake) {
			if err := l.SendPage(t.Context(), v29, bytes.NewReader([]byte{1})); !errors.Is(err, t30.ErrHungUp) {
				t.Error(err)
			}
		})
	})
	t.Run("modem drops out", func(t *testing.T) {
		// While the source is slow with the second piece: not an octet of it may follow, for it would be taken for a command.
		onCall(t, Config{}, "> AT+FTM=96\n< CONNECT\n>+ 4096\n< NO CARRIER\n> ATH0\n< OK\n", func(t *testing.T, l t30.Line, _ *fake) {
			slow := &slowReader{n: 100}
			if err := l.SendPage(t.Context(), v29, slow); !errors.Is(err, t30.ErrHungUp) || slow.n != 98 {
				t.Error(err, slow.n)
			}
			if err := l.Hangup(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("stalled", func(t *testing.T) {
		onCall(t, Config{}, "> AT+FTM=96\n< CONNECT\n300s\n", func(t *testing.T, l t30.Line, _ *fake) {
			if err := l.SendPage(t.Context(), v29, bytes.NewReader(make([]byte, 1<<20))); !errors.Is(err, ErrStalled) {
				t.Error(err)
			}
		})
	})
}

// slowReader gives n pieces, one a second.
type slowReader struct{ n int }

func (s *slowReader) Read(p []byte) (int, error) {
	if s.n--; s.n < 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Second)
	clear(p)
	return len(p), nil
}

type failing struct {
	data []byte
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	n := copy(p, f.data)
	f.data = f.data[n:]
	if n == 0 {
		return 0, f.err
	}
	return n, nil
}

const frm = "> AT+FRM=146\n"

func TestReceivePage(t *testing.T) {
	const page = "< CONNECT\n<= 0a 01 10 10 10 1a 02 10 03\n< NO CARRIER\n"
	const want = "0a 01 10 10 10 02"
	tests := []struct {
		name, script, want string
		quirks             Quirks
		err                error
	}{
		{"plain", frm + "1s\n" + page, want, Quirks{}, nil},
		{"retry after NO CARRIER", frm + "100ms\n< NO CARRIER\n" + frm + page, want, Quirks{}, nil},
		{"two wrong carriers", frm + "< +FCERROR\n" + frm + "< +FCERROR\n" + frm + page, want, Quirks{}, nil},
		{"three wrong carriers", frm + "< +FCERROR\n" + frm + "< +FCERROR\n" + frm + "< +FCERROR\n", "", Quirks{}, t30.ErrV21},
		{"old ZyXEL", frm + "< ERROR\n" + frm + page, want, Quirks{ErrorIsWrongCarrier: true}, nil},
		{"on hook", frm + "< ERROR\n", "", Quirks{}, t30.ErrHungUp},
		{"hung up meanwhile", frm + "1s\n< NO CARRIER\n" + frm + "< ERROR\n", "", Quirks{}, t30.ErrHungUp},
		{"nothing comes", frm + "> CAN\n< OK\n", "", Quirks{}, t30.ErrTimeout},
		{"carrier breaks off without an end", frm + "< CONNECT\n<= 01\n> CAN\n< OK\n", "01", Quirks{}, t30.ErrCarrierLost},
		{"no result after the data", frm + "< CONNECT\n<= 01 10 03\n> CAN\n< OK\n", "01", Quirks{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onCall(t, Config{Quirks: tt.quirks}, tt.script, func(t *testing.T, l t30.Line, _ *fake) {
				var b bytes.Buffer
				err := l.ReceivePage(t.Context(), v17s, 6*time.Second, &b)
				if !errors.Is(err, tt.err) || !bytes.Equal(b.Bytes(), unhex(tt.want)) {
					t.Errorf("got % x, %v; want %s, %v", b.Bytes(), err, tt.want, tt.err)
				}
			})
		})
	}
}

func TestReceivePage_V21ByAdaptiveReception(t *testing.T) {
	script := frm + "1s\n< +FRH:3\n200ms\n< CONNECT\n1s\n<~ ff 13 2f\n< OK\n"
	onCall(t, Config{}, script, func(t *testing.T, l t30.Line, _ *fake) {
		if err := l.ReceivePage(t.Context(), v17s, 6*time.Second, &bytes.Buffer{}); !errors.Is(err, t30.ErrV21) {
			t.Fatal(err)
		}
		if f, err := l.ReceiveFrame(t.Context(), time.Second); err != nil || !bytes.Equal(f, unhex("ff 13 2f")) {
			t.Errorf("% x, %v", f, err)
		}
	})
}

func TestReceivePage_WriterFails(t *testing.T) {
	full := errors.New("disk full")
	onCall(t, Config{}, frm+"< CONNECT\n<= 01\n> CAN\n< OK\n> AT+FTH=3\n< CONNECT\n>~ ff 13 fb\n< OK\n", func(t *testing.T, l t30.Line, _ *fake) {
		if err := l.ReceivePage(t.Context(), v17s, time.Second, failingWriter{full}); !errors.Is(err, full) {
			t.Error(err)
		}
		if err := l.SendFrames(t.Context(), unhex("ff 13 fb")); err != nil { // the line is still good for DCN
			t.Error(err)
		}
	})
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// blockFrames is an ECM block of n frames and three RCPs.
func blockFrames(n int) []t30.Frame {
	var fs []t30.Frame
	for i := range n {
		fs = append(fs, append(t30.Frame{0xff, 0x03, 0x06, byte(i)}, bytes.Repeat([]byte{byte(i * 37)}, 256)...))
	}
	for range 3 {
		fs = append(fs, t30.Frame{0xff, 0x03, 0x86})
	}
	return fs
}

func TestSendBlock_IsHDLC(t *testing.T) {
	frames := blockFrames(5)
	var got []t30.Frame
	dec := hdlc.NewDecoder(300, func(f []byte, err error) {
		if err != nil {
			t.Error(err)
		}
		got = append(got, append(t30.Frame(nil), f...))
	})
	var raw []byte
	onCall(t, Config{Quirks: Quirks{LeadFF: true}}, "> AT+FTM=146\n< CONNECT\n>&\n1s\n< OK\n", func(t *testing.T, l t30.Line, fk *fake) {
		if err := l.SendBlock(t.Context(), v17s, frames); err != nil {
			t.Error(err)
		}
		raw = fk.captured
	})
	if len(raw) == 0 || raw[0] != 0xff {
		t.Fatal("no leading FF")
	}
	flags := 0
	for _, c := range raw[1:] {
		if c != 0x7e {
			break
		}
		flags++
	}
	if air := airTime(int64(flags), 14400); air < 200*time.Millisecond || air > 300*time.Millisecond {
		t.Errorf("%v of flags in front, T.4 A.3.1 wants 200 to 300 ms", air)
	}
	_, _ = dec.Write(raw[1:])
	if len(got) != len(frames) {
		t.Fatalf("%d frames, want %d", len(got), len(frames))
	}
	for i := range frames {
		if !bytes.Equal(got[i], frames[i]) {
			t.Errorf("frame %d differs", i)
		}
	}
}

func TestReceiveBlock(t *testing.T) {
	encode := func(fs []t30.Frame) string {
		var e hdlc.Encoder
		b := e.Flags(nil, 20)
		for _, f := range fs {
			b = e.Frame(b, f)
		}
		return hexLine(e.Flush(b))
	}
	all := blockFrames(3)
	bad := encode(all[:1]) + "\n<= 10 10 10 10 55\n"
	tests := []struct {
		name, script string
		want         int
		err          error
	}{
		{"whole", "< CONNECT\n<= " + encode(all) + "\n<= 10 03\n< NO CARRIER\n", 6, nil},
		{"end of carrier in place of RCP", "< CONNECT\n<= " + encode(all[:3]) + "\n<= 10 03\n< NO CARRIER\n", 3, t30.ErrCarrierLost},
		{"carrier never ends after RCP", "< CONNECT\n<= " + encode(all) + "\n> CAN\n< OK\n", 6, nil},
		{"spoilt end", "< CONNECT\n<= " + bad + "<= 10 03\n< NO CARRIER\n", 1, t30.ErrCarrierLost},
		{"cut off in the last flag", "< CONNECT\n<= " + strings.TrimSuffix(encode(all[:1]), "7e") + "\n<= 10 03\n< NO CARRIER\n", 1, t30.ErrCarrierLost},
		{"carrier lost", "< CONNECT\n<= " + encode(all[:2]) + "\n> CAN\n< OK\n", 2, t30.ErrCarrierLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onCall(t, Config{}, frm+tt.script, func(t *testing.T, l t30.Line, _ *fake) {
				got := 0
				err := l.ReceiveBlock(t.Context(), v17s, 6*time.Second, func(f t30.Frame) {
					if !bytes.Equal(f, all[got]) && !bytes.Equal(f, all[3]) {
						t.Errorf("frame %d: % x", got, f)
					}
					got++
				})
				if got != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("%d frames, %v; want %d, %v", got, err, tt.want, tt.err)
				}
			})
		})
	}
}

func hexLine(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		if c == 0x10 {
			s.WriteString("10")
		}
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func TestHangup_EndsWhatRuns(t *testing.T) {
	tests := []struct {
		name, script string
		run          func(context.Context, t30.Line) error
	}{
		{"receive frame", frh + "> CAN\n< OK\n> ATH0\n< OK\n", func(ctx context.Context, l t30.Line) error {
			_, err := l.ReceiveFrame(ctx, time.Hour)
			return err
		}},
		{"receive page", frm + "< CONNECT\n<= 00\n> CAN\n<= 10 03\n< OK\n> ATH0\n< OK\n", func(ctx context.Context, l t30.Line) error {
			return l.ReceivePage(ctx, v17s, time.Hour, &bytes.Buffer{})
		}},
		{"silence", "> CAN\n> AT\n< OK\n> ATH0\n< OK\n", func(ctx context.Context, l t30.Line) error { return l.Silence(ctx, time.Hour) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onCall(t, Config{}, tt.script, func(t *testing.T, l t30.Line, _ *fake) {
				done := make(chan error)
				go func() { done <- tt.run(context.Background(), l) }()
				time.Sleep(time.Second)
				start := time.Now()
				for range 2 {
					if err := l.Hangup(); err != nil {
						t.Error(err)
					}
				}
				if err := <-done; !errors.Is(err, ErrOnHook) {
					t.Errorf("method returned %v", err)
				}
				if time.Since(start) > time.Second {
					t.Errorf("took %v", time.Since(start))
				}
				if _, err := l.ReceiveFrame(t.Context(), time.Second); !errors.Is(err, ErrOnHook) {
					t.Errorf("after hang-up: %v", err)
				}
			})
		})
	}
}

func TestHangup_InASentPage(t *testing.T) {
	onCall(t, Config{}, "> AT+FTM=146\n< CONNECT\n2s\n", func(t *testing.T, l t30.Line, fk *fake) {
		done := make(chan error)
		go func() { done <- l.SendPage(context.Background(), v17s, bytes.NewReader(make([]byte, 1<<20))) }()
		time.Sleep(time.Second)
		hung := make(chan error)
		go func() { hung <- l.Hangup() }()
		if err := <-done; !errors.Is(err, ErrOnHook) {
			t.Error(err)
		}
		<-fk.done // from here on the fake reads commands: the page's rest is one that it answers OK
		if err := <-hung; err != nil {
			t.Error(err)
		}
	})
}

func TestHangup_DumbModemLosesDTR(t *testing.T) {
	onCall(t, Config{}, "> ATH0\n> AT\n< OK\n", func(t *testing.T, l t30.Line, fk *fake) {
		if err := l.Hangup(); err != nil {
			t.Error(err)
		}
		if fk.dtr.Load() != 1 {
			t.Errorf("DTR dropped %d times", fk.dtr.Load())
		}
	})
}

func TestMethod_ContextEndsIt(t *testing.T) {
	onCall(t, Config{}, frh+"> CAN\n< OK\n> ATH0\n< OK\n", func(t *testing.T, l t30.Line, _ *fake) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := l.ReceiveFrame(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := l.Silence(t.Context(), time.Second); !errors.Is(err, errInterrupted) {
			t.Error(err)
		}
		if err := l.Hangup(); err != nil {
			t.Error(err)
		}
	})
}
