package class1

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

// onCall runs f on an answered call in virtual time; the modem plays script after the dialing.
func onCall(t *testing.T, cfg Config, script string, f func(t *testing.T, l t30.Line, fk *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, fk := newPhone(t, cfg, "> ATDT1\n< CONNECT\n<~ ff c8 fb\n< OK\n"+script)
		l, err := p.Dial(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		// The first frame ends the state after ATD.
		if fr, err := l.ReceiveFrame(t.Context(), time.Second); err != nil || !bytes.Equal(fr, unhex("ff c8 fb")) {
			t.Fatalf("first frame % x, %v", fr, err)
		}
		f(t, l, fk)
	})
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const frh = "> AT+FRH=3\n"

func TestReceiveFrame(t *testing.T) {
	const mcf = "< CONNECT\n<~ ff 13 8c\n< OK\n"
	tests := []struct {
		name   string
		script string
		quirks Quirks
		want   string
		err    error
	}{
		{"plain", frh + "1s\n" + mcf, Quirks{}, "ff 13 8c", nil},
		{"repeat after FCERROR", frh + "< +FCERROR\n" + frh + mcf, Quirks{}, "ff 13 8c", nil},
		{"repeat after OK", frh + "1s\n< OK\n" + frh + mcf, Quirks{}, "ff 13 8c", nil},
		{"repeat after NO CARRIER", frh + "1s\n< NO CARRIER\n" + frh + mcf, Quirks{}, "ff 13 8c", nil},
		{"false start", frh + "< CONNECT\n200ms\n< NO CARRIER\n" + frh + mcf, Quirks{}, "ff 13 8c", nil},
		{"empty frame", frh + "< CONNECT\n<= 10 03\n< OK\n" + frh + mcf, Quirks{}, "ff 13 8c", nil},
		{"repeated CONNECT", frh + "< CONNECT\n< CONNECT\n< CONNECT\n<~ ff 13 8c\n< OK\n", Quirks{}, "ff 13 8c", nil},
		{"garbage in front", frh + "< CONNECT\n<= 7e 7e 00\n<~ ff 13 8c\n< OK\n", Quirks{}, "ff 13 8c", nil},
		{"DLE in frame", frh + "< CONNECT\n<~ ff 03 20 10 03 10\n< OK\n", Quirks{}, "ff 03 20 10 03 10", nil},
		{"DLE not doubled", frh + "< CONNECT\n<= ff 03 20 10 77 aa bb 10 03\n< OK\n", Quirks{BareDLE: true, NoFCS: true}, "ff 03 20 10 77", nil},
		{"on hook", frh + "< ERROR\n", Quirks{}, "", t30.ErrHungUp},
		{"hung up while listening", frh + "1s\n< NO CARRIER\n" + frh + "< ERROR\n", Quirks{}, "", t30.ErrHungUp},
		{"modem finds FCS wrong", frh + "< CONNECT\n<= ff 13 8c 00 00 10 03\n< ERROR\n", Quirks{}, "", t30.ErrFCS},
		{"only the host finds FCS wrong", frh + "< CONNECT\n<= ff 13 8c 00 00 10 03\n< OK\n", Quirks{}, "", t30.ErrFCS},
		{"Class 1.0 bad FCS", frh + "< CONNECT\n<= ff 13 8c 00 00 10 07 10 03\n< OK\n", Quirks{NoFCS: true}, "", t30.ErrFCS},
		{"Class 1.0 bad FCS, no ETX", frh + "< CONNECT\n<= ff 13 8c 00 00 10 07\n< ERROR\n", Quirks{}, "", t30.ErrFCS},
		{"modem without FCS", frh + "< CONNECT\n<= ff 13 8c 00 00 10 03\n< OK\n", Quirks{NoFCS: true}, "ff 13 8c", nil},
		{"cut off in a frame", frh + "< CONNECT\n<= ff 13\n> CAN\n< OK\n", Quirks{}, "", t30.ErrCarrierLost},
		{"nothing comes", frh + "6s\n> CAN\n100ms\n< OK\n", Quirks{}, "", t30.ErrTimeout},
		{"dumb to CAN", frh + "> CAN\n> AT\n300ms\n< OK\n", Quirks{}, "", t30.ErrTimeout},
		{"stands still for 2 s", frh + "> CAN\n> AT\n2s\n< OK\n< OK\n", Quirks{}, "", t30.ErrTimeout},
		{"dumb for good", frh + "> CAN\n> AT\n4s\n< OK\n", Quirks{}, "", at.ErrNoReply},
		{"CONNECT crosses CAN", frh + "> CAN\n50ms\n< CONNECT\n< OK\n", Quirks{}, "", t30.ErrTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onCall(t, Config{Quirks: tt.quirks}, tt.script, func(t *testing.T, l t30.Line, _ *fake) {
				got, err := l.ReceiveFrame(t.Context(), 6*time.Second)
				if !errors.Is(err, tt.err) || !bytes.Equal(got, unhex(tt.want)) {
					t.Errorf("got % x, %v; want %s, %v", got, err, tt.want, tt.err)
				}
			})
		})
	}
}

func TestReceiveFrame_NeverEndingFrameIsBounded(t *testing.T) {
	script := frh + "< CONNECT\n" + strings.Repeat("<= "+strings.Repeat("ff", 200)+"\n1s\n", 6) + "> CAN\n< OK\n"
	onCall(t, Config{}, script, func(t *testing.T, l t30.Line, _ *fake) {
		if _, err := l.ReceiveFrame(t.Context(), time.Second); !errors.Is(err, t30.ErrCarrierLost) {
			t.Error(err)
		}
	})
}

func TestReceiveFrame_SignalOfSeveralFrames(t *testing.T) {
	script := frh + "< CONNECT\n<~ ff 03 40 01\n< OK\n" + frh + "< CONNECT\n<~ ff 13 80 02\n300ms\n< OK\n"
	onCall(t, Config{}, script, func(t *testing.T, l t30.Line, _ *fake) {
		for _, want := range []string{"ff 03 40 01", "ff 13 80 02"} {
			got, err := l.ReceiveFrame(t.Context(), time.Second)
			if err != nil || !bytes.Equal(got, unhex(want)) {
				t.Errorf("got % x, %v; want %s", got, err, want)
			}
		}
	})
}

// A frame whose flags began in time may end later.
func TestReceiveFrame_WaitBoundsTheBeginning(t *testing.T) {
	onCall(t, Config{}, frh+"900ms\n< CONNECT\n3s\n<~ ff 13 8c\n< OK\n", func(t *testing.T, l t30.Line, _ *fake) {
		if _, err := l.ReceiveFrame(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
	})
}

// A modem that says OK in the moment of the closing flag has not waited for the end of the carrier: we do, by +FRS.
func TestSilence_AfterAnEarlyOK(t *testing.T) {
	const frame = frh + "< CONNECT\n<~ ff 13 8c\n"
	for _, tt := range []struct {
		name, script string
		quirks       Quirks
		took         time.Duration
		err          error
	}{
		{"early", frame + "< OK\n> AT+FRS=5\n150ms\n< OK\n", Quirks{}, 150 * time.Millisecond, nil},
		{"with the carrier's end", frame + "40ms\n< OK\n", Quirks{}, 55 * time.Millisecond, nil},
		{"no +FRS", frame + "< OK\n", Quirks{HostSilence: true}, 55 * time.Millisecond, nil},
		{"flags without end", frame + "< OK\n> AT+FRS=5\n> CAN\n< OK\n", Quirks{}, 450 * time.Millisecond, nil},
		{"line gone", frame + "< OK\n> AT+FRS=5\n10ms\n< ERROR\n", Quirks{}, 10 * time.Millisecond, t30.ErrHungUp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onCall(t, Config{Quirks: tt.quirks}, tt.script, func(t *testing.T, l t30.Line, _ *fake) {
				if _, err := l.ReceiveFrame(t.Context(), time.Second); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if err := l.Silence(t.Context(), 55*time.Millisecond); !errors.Is(err, tt.err) || time.Since(start) != tt.took {
					t.Errorf("%v after %v, want %v after %v", err, time.Since(start), tt.err, tt.took)
				}
			})
		})
	}
}

func TestReceiveFrame_LateResultIsNotTheNextCommands(t *testing.T) {
	script := frh + "> CAN\n> AT\n< OK\n90ms\n< OK\n" + "> AT+FTH=3\n80ms\n< ERROR\n"
	onCall(t, Config{}, script, func(t *testing.T, l t30.Line, _ *fake) {
		if _, err := l.ReceiveFrame(t.Context(), time.Second); !errors.Is(err, t30.ErrTimeout) {
			t.Fatal(err)
		}
		start := time.Now()
		err := l.SendFrames(t.Context(), t30.NewFrame(t30.FcfMCF, false, true))
		if !errors.Is(err, t30.ErrHungUp) || time.Since(start) != 80*time.Millisecond {
			t.Errorf("command ended after %v with %v: a late OK was taken for its own", time.Since(start), err)
		}
	})
}

// After a reception nothing of ours is on the line that the modem would have to wait for.
func TestSilence_AfterReceptionByOurClock(t *testing.T) {
	onCall(t, Config{}, frh+"> CAN\n< OK\n"+spoken+"> AT+FTS=8\n80ms\n< OK\n", func(t *testing.T, l t30.Line, _ *fake) {
		if _, err := l.ReceiveFrame(t.Context(), time.Second); !errors.Is(err, t30.ErrTimeout) {
			t.Fatal(err)
		}
		start := time.Now()
		if err := l.Silence(t.Context(), 55*time.Millisecond); err != nil || time.Since(start) != 55*time.Millisecond {
			t.Errorf("after a reception: %v with %v", time.Since(start), err)
		}
		speak(t, l)
		start = time.Now()
		if err := l.Silence(t.Context(), 80*time.Millisecond); err != nil || time.Since(start) != 80*time.Millisecond {
			t.Errorf("after a transmission: %v with %v", time.Since(start), err)
		}
	})
}

func TestSendFrames(t *testing.T) {
	tests := []struct {
		name, script string
		err          error
	}{
		{"two frames", "> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n1s\n< CONNECT\n>~ ff 13 83\n500ms\n< OK\n", nil},
		{"CONNECT repeated", "> AT+FTH=3\n< CONNECT\n800ms\n< CONNECT\n>~ ff 03 40 10 03\n1s\n< CONNECT\n>~ ff 13 83\n500ms\n< OK\n", nil},
		{"CONNECT repeated for good", "> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n< CONNECT\n>~ ff 13 83\n< CONNECT\n1s\n< CONNECT\n", at.ErrNoReply},
		{"on hook", "> AT+FTH=3\n< ERROR\n", t30.ErrHungUp},
		{"carrier ends between frames", "> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n6s\n< OK\n> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n1s\n< CONNECT\n>~ ff 13 83\n500ms\n< OK\n", nil},
		{"carrier ends between frames again", "> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n6s\n< OK\n> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n6s\n< OK\n", errEndedEarly},
		{"hung up between", "> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n1s\n< NO CARRIER\n", t30.ErrHungUp},
		{"dumb modem", "> AT+FTH=3\n< CONNECT\n>~ ff 03 40 10 03\n1s\n", at.ErrNoReply},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onCall(t, Config{}, tt.script, func(t *testing.T, l t30.Line, _ *fake) {
				err := l.SendFrames(t.Context(), unhex("ff 03 40 10 03"), unhex("ff 13 83"))
				if !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
			})
		})
	}
}

func TestSendFrames_RefusesWrongFinalBits(t *testing.T) {
	onCall(t, Config{}, "", func(t *testing.T, l t30.Line, _ *fake) {
		for _, frames := range [][]t30.Frame{
			{unhex("ff 03 40")}, {unhex("ff 13 40"), unhex("ff 13 83")}, {unhex("ff 13")},
		} {
			if err := l.SendFrames(t.Context(), frames...); err == nil {
				t.Errorf("% x accepted", frames)
			}
		}
	})
}

func TestQuiet(t *testing.T) {
	for _, c := range []struct {
		name, script string
		quirks       Quirks
		want         bool
	}{
		{"silence", "> AT+FRS=10\n100ms\n< OK\n", Quirks{}, true},
		{"a carrier", "> AT+FRS=10\n400ms\n> CAN\n< OK\n", Quirks{}, false},
		{"refused", "> AT+FRS=10\n< ERROR\n", Quirks{}, false},
		{"not to be asked", "", Quirks{HostSilence: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			onCall(t, Config{Quirks: c.quirks}, c.script, func(t *testing.T, l t30.Line, _ *fake) {
				if got, err := l.(t30.Listener).Quiet(t.Context()); got != c.want || err != nil {
					t.Error(got, err)
				}
			})
		})
	}
}

// spoken is an MCF that we send: afterwards the modem knows best when the line is quiet.
const spoken = "> AT+FTH=3\n< CONNECT\n>~ ff 13 8c\n1s\n< OK\n"

func speak(t *testing.T, l t30.Line) {
	t.Helper()
	if err := l.SendFrames(t.Context(), t30.NewFrame(t30.FcfMCF, false, true)); err != nil {
		t.Fatal(err)
	}
}

func TestCommandGap(t *testing.T) {
	// Silence is by our clock: +FTS would cost a gap of its own. What is left of the gap goes before the next command.
	script := strings.Repeat("> AT+FTH=3\n< CONNECT\n>~ ff 13 83\n< OK\n", 2)
	onCall(t, Config{Line: phone.Config{Quirks: phone.Quirks{CommandGap: 100 * time.Millisecond}}}, script, func(t *testing.T, l t30.Line, _ *fake) {
		start := time.Now()
		if err := l.Silence(t.Context(), 75*time.Millisecond); err != nil || time.Since(start) != 75*time.Millisecond {
			t.Error(time.Since(start), err)
		}
		if err := l.SendFrames(t.Context(), unhex("ff 13 83")); err != nil {
			t.Error(err)
		}
		start = time.Now() // its OK
		if err := l.Silence(t.Context(), 75*time.Millisecond); err != nil || time.Since(start) != 75*time.Millisecond {
			t.Error(time.Since(start), err)
		}
		if err := l.SendFrames(t.Context(), unhex("ff 13 83")); err != nil || time.Since(start) != 100*time.Millisecond {
			t.Error(time.Since(start), err)
		}
	})
}

func TestSilence(t *testing.T) {
	tests := []struct {
		name, script string
		quirks       Quirks
		d            time.Duration
		err          error
	}{
		{"by the modem", "> AT+FTS=8\n80ms\n< OK\n", Quirks{}, 80 * time.Millisecond, nil},
		{"the rest by the host", "> AT+FTS=5\n50ms\n< OK\n", Quirks{}, 57 * time.Millisecond, nil},
		{"by the host", "", Quirks{HostSilence: true}, 80 * time.Millisecond, nil},
		{"longer than +FTS goes", "", Quirks{}, 6 * time.Second, nil},
		{"on hook", "> AT+FTS=1\n10ms\n< ERROR\n", Quirks{}, 10 * time.Millisecond, t30.ErrHungUp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onCall(t, Config{Quirks: tt.quirks}, spoken+tt.script, func(t *testing.T, l t30.Line, _ *fake) {
				speak(t, l)
				start := time.Now()
				if err := l.Silence(t.Context(), tt.d); !errors.Is(err, tt.err) || time.Since(start) != tt.d {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

func TestLine_PortLost(t *testing.T) {
	calls := map[string]func(context.Context, t30.Line) error{
		"receive frame": func(ctx context.Context, l t30.Line) error {
			_, err := l.ReceiveFrame(ctx, time.Minute)
			return err
		},
		"send frames": func(ctx context.Context, l t30.Line) error { return l.SendFrames(ctx, unhex("ff 13 83")) },
		"send page": func(ctx context.Context, l t30.Line) error {
			return l.SendPage(ctx, v29, bytes.NewReader(make([]byte, 9)))
		},
		"receive page": func(ctx context.Context, l t30.Line) error {
			return l.ReceivePage(ctx, v29, time.Minute, &bytes.Buffer{})
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			onCall(t, Config{}, "", func(t *testing.T, l t30.Line, fk *fake) {
				<-fk.done
				fk.conn.Close()
				start := time.Now()
				if err := call(t.Context(), l); !errors.Is(err, at.ErrPortLost) {
					t.Errorf("got %v", err)
				}
				if err := l.Hangup(); !errors.Is(err, at.ErrPortLost) {
					t.Errorf("hangup: %v", err)
				}
				if time.Since(start) != 0 {
					t.Errorf("took %v", time.Since(start))
				}
			})
		})
	}
}
