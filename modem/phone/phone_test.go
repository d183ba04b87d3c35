package phone

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
)

func setup(t *testing.T, cfg Config, answers map[string]string) (*Line, *fake) {
	t.Helper()
	l, f := newLine(t, cfg, answers)
	if err := l.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, f
}

func TestSetup_Country(t *testing.T) {
	for _, tt := range []struct {
		name, country, now, answer string
		set                        string // command expected
		warn                       string
	}{
		{"set", "DE", "+GCI: B5\nOK", "OK", "+GCI=42", ""},
		{"is so already", "de", "+GCI: 42\nOK", "OK", "", ""},
		{"refused", "FR", "+GCI: B5\nOK", "ERROR", "+GCI=3D", "refuses country FR"},
		{"asking is refused, setting is not", "GB", "ERROR", "OK", "+GCI=B4", ""},
		{"by code", "#FD", "ERROR", "OK", "+GCI=FD", ""},
		{"unknown", "XX", "+GCI: B5\nOK", "OK", "", "no code"},
		{"not asked for", "", "+GCI: B5\nOK", "OK", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := map[string]string{"+GCI?": tt.now}
				if tt.set != "" {
					answers[tt.set] = tt.answer
				}
				l, f := setup(t, Config{Country: tt.country}, answers)
				if err := l.Setup(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, cmd := range f.sent {
					if strings.HasPrefix(cmd, "+GCI=") && cmd != tt.set {
						t.Errorf("sent %s", cmd)
					}
				}
				if tt.set != "" && (f.has(tt.set) != 1 || f.index(tt.set) > f.index("X4")) {
					t.Errorf("%s sent %d times, once expected and before the S registers: %v", tt.set, f.has(tt.set), f.sent)
				}
				w := l.Warnings()
				if tt.warn == "" && len(w) != 0 || tt.warn != "" && (len(w) != 1 || !strings.Contains(w[0], tt.warn)) {
					t.Errorf("warnings %q", w)
				}
			})
		})
	}
}

func TestSetup_DialTone(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string
	}{{Config{}, "X4"}, {Config{BlindDial: true}, "X3"}, {Config{BlindDial: true, Shared: true}, "X4"}} {
		synctest.Test(t, func(t *testing.T) {
			if _, f := setup(t, tt.cfg, nil); f.has(tt.want) != 1 {
				t.Errorf("%+v: %v", tt.cfg, f.sent)
			}
		})
	}
}

// A modem that had to be hung up by DTR is reset before its next use.
func TestDropDTR_ResetsBeforeTheNextUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := setup(t, Config{}, nil)
		if err := l.DropDTR(t.Context()); err != nil {
			t.Fatal(err)
		}
		go f.say("RING")
		if _, err := l.WaitRing(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := f.has("Z"); n != 2 {
			t.Errorf("ATZ sent %d times, want 2: %v", n, f.sent)
		}
	})
}

// Each list of reports is asked until one is accepted, and only that one is sent at later setups.
func TestSetup_Reports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := setup(t, Config{Patterns: true, Shared: true, Quirks: Quirks{LineStatus: []string{"%V2"}}},
			map[string]string{"+VCID=1": "ERROR", "#CID=1": "OK", "+VDR=1,0": "ERROR", "-SDR=7": "ERROR"})
		if err := l.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		for cmd, want := range map[string]int{"+VCID=1": 1, "#CID=1": 2, "%CCID=1": 0, "+VDR=1,0": 1, "-SDR=7": 1, "%V2": 2, "-STE=1": 0, "Z": 1} {
			if n := f.has(cmd); n != want {
				t.Errorf("%s sent %d times, want %d", cmd, n, want)
			}
		}
	})
}

func TestDial_LineFaults(t *testing.T) {
	for result, code := range map[string]t30.Code{
		"NO LINE": t30.CodeNoLine, "LINE IN USE": t30.CodeLineInUse, "LINE-IN-USE": t30.CodeLineInUse, "PARALLEL PHONE": t30.CodeLineInUse,
		"NO DIAL TONE": t30.CodeNoDialTone, "VOICE": t30.CodeVoice, "BUSY": t30.CodeBusy, "BLACKLISTED": t30.CodeBlacklisted, "DELAYED 00:10:00": t30.CodeBlacklisted,
	} {
		synctest.Test(t, func(t *testing.T) {
			l, f := newLine(t, Config{}, map[string]string{"DT5550100": result})
			var ce *t30.CallError
			if err := l.Dial(t.Context(), "555-0100"); !errors.As(err, &ce) || ce.Code != code || ce.Text != result {
				t.Errorf("%s: %v", result, err)
			}
			if f.has("H0") != 1 || l.Taken() {
				t.Errorf("%s: left off hook or taken: %v", result, f.sent)
			}
		})
	}
}

// A call that came in just before is not dialed into; what rang a minute ago is over.
func TestDial_GlareBeforeDialing(t *testing.T) {
	for _, tt := range []struct {
		since  time.Duration
		dialed int
	}{{time.Second, 0}, {time.Minute, 1}} {
		synctest.Test(t, func(t *testing.T) {
			l, f := setup(t, Config{}, map[string]string{"DT1": "CONNECT"})
			f.say("RING")
			time.Sleep(tt.since)
			if err := l.Dial(t.Context(), "1"); errors.Is(err, t30.ErrRinging) != (tt.dialed == 0) || f.has("DT1") != tt.dialed {
				t.Errorf("%v after a ring: %v, %v", tt.since, err, f.sent)
			}
		})
	}
}

// A call that comes in while another is dialed is the next one that rings, with what was told of it.
func TestDial_GlareKeepsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := newLine(t, Config{}, map[string]string{"DT1": "NMBR = 5550123\nRING"})
		if err := l.Dial(t.Context(), "1"); !errors.Is(err, t30.ErrRinging) {
			t.Fatal(err)
		}
		if f.has("H0") != 1 {
			t.Errorf("left off hook: %v", f.sent)
		}
		r, err := l.WaitRing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ring := <-r.Rings(); ring.Caller != "5550123" {
			t.Errorf("%+v", ring)
		}
	})
}

// A caller ID of a call that never rang is not taken for that of the next one.
func TestWaitRing_OldCallerID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := setup(t, Config{}, nil)
		go func() {
			f.say("NMBR = 5550123")
			time.Sleep(time.Minute)
			f.say("RING")
		}()
		r, err := l.WaitRing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ring := <-r.Rings(); ring.Caller != "" {
			t.Errorf("%+v", ring)
		}
	})
}
