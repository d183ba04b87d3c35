package class1

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

func TestDial_Results(t *testing.T) {
	tests := []struct {
		script string
		code   t30.Code
	}{
		{"5s\n< BUSY\n", t30.CodeBusy},
		{"5s\n< NO DIALTONE\n", t30.CodeNoDialTone},
		{"5s\n< NO DIAL TONE\n", t30.CodeNoDialTone},
		{"55s\n< NO ANSWER\n> ATH0\n< OK\n", t30.CodeNoAnswer},
		{"60s\n< NO CARRIER\n", t30.CodeNoCarrier},
		{"5s\n< RINGING\n5s\n< RINGING\n3s\n< NO CARRIER\n> ATH0\n< OK\n", t30.CodeNoAnswer},
		{"5s\n< RINGING\n55s\n< NO CARRIER\n> ATH0\n< OK\n", t30.CodeNoFax},
		{"< ERROR\n", t30.CodeModem},
		{"< BLACKLISTED\n", t30.CodeBlacklisted},
		{"< DELAYED 00:12:00\n", t30.CodeBlacklisted},
		{"9s\n< VCON\n", t30.CodeVoice},
		{"9s\n< +FCERROR\n", t30.CodeNoFax},
		{"> CAN\n< NO CARRIER\n> AT\n< OK\n> ATH0\n< OK\n", t30.CodeNoCarrier}, // the modem never says anything: nobody, or no fax
	}
	for _, tt := range tests {
		t.Run(tt.code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPhone(t, Config{}, "> ATDT01234567\n"+tt.script)
				start := time.Now()
				_, err := p.Dial(t.Context(), "+0 (123) 45-67")
				var ce *t30.CallError
				if !errors.As(err, &ce) || ce.Code != tt.code {
					t.Fatalf("got %v, want %v", err, tt.code)
				}
				if d := time.Since(start); d > 67*time.Second {
					t.Errorf("took %v", d)
				}
				if p.phone.Taken() {
					t.Error("the phone stays taken")
				}
			})
		})
	}
}

func TestDial_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPhone(t, Config{Line: phone.Config{Pulse: true}}, "> ATDP1,2\n3s\n> CAN\n< NO CARRIER\n> AT\n< OK\n> ATH0\n< OK\n")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := p.Dial(ctx, "1,2"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestDial_Glare(t *testing.T) {
	for name, script := range map[string]string{
		"before dialing": "< RING\n1s\n",
		"while dialing":  "1s\n> ATDT1\n< RING\n> CAN\n< OK\n> ATH0\n< OK\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPhone(t, Config{}, script)
				time.Sleep(500 * time.Millisecond)
				if _, err := p.Dial(t.Context(), "1"); !errors.Is(err, t30.ErrRinging) {
					t.Error(err)
				}
			})
		})
	}
}

func TestDial_OldRingIsNoGlare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPhone(t, Config{}, "< RING\n> ATDT1\n< CONNECT\n")
		time.Sleep(time.Minute)
		if _, err := p.Dial(t.Context(), "1"); err != nil {
			t.Error(err)
		}
	})
}

func TestNew_RefusesWhatIsNoFaxModem(t *testing.T) {
	for cmd, answer := range map[string]string{"AT+FCLASS=1": "ERROR", "AT+FTM=?": "ERROR"} {
		synctest.Test(t, func(t *testing.T) {
			p, f := newPhone(t, Config{}, "")
			<-f.done
			f.answers[cmd] = answer
			if _, err := New(t.Context(), p.ch, Config{}); !errors.Is(err, ErrNotClass1) {
				t.Errorf("%s refused: %v", cmd, err)
			}
		})
	}
}

// waitRing waits for the next ring in a test.
func waitRing(t *testing.T, p *Phone) t30.Ringing {
	t.Helper()
	r, err := p.WaitRing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWaitRing_CallerID(t *testing.T) {
	const id = "< DATE = 1122\n< TIME = 1605\n< NMBR = 5550123\n< NAME = J. DOE\n< NDID = 4711\n"
	tests := []struct {
		name, script string
		want         []t30.Ring // without At
	}{
		{"before the ring", id + "< RING\n", []t30.Ring{{Caller: "5550123", Name: "J. DOE", Dialed: "4711"}}},
		{"after the first ring", "< RING\n1s\n" + id + "4s\n< RING\n", []t30.Ring{{}, {Caller: "5550123", Name: "J. DOE", Dialed: "4711"}}},
		{"withheld", "< NMBR = P\n< NAME = O\n< RING\n", []t30.Ring{{NoCaller: phone.Withheld}}},
		{"pattern", "< RING A\n4s\n< RING A\n", []t30.Ring{{Pattern: "A"}, {Pattern: "A"}}},
		{"cadence", "< DRON=8\n< DROF=4\n< RING\n", []t30.Ring{{Pattern: "DRON=8/DROF=4"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPhone(t, Config{}, "1m\n"+tt.script)
				r := waitRing(t, p)
				var got []t30.Ring
				for ring := range r.Rings() {
					if ring.At.IsZero() {
						t.Error("no time")
					}
					ring.At = time.Time{}
					got = append(got, ring)
				}
				if len(got) != len(tt.want) {
					t.Fatalf("%d rings, want %d", len(got), len(tt.want))
				}
				for i := range got {
					if got[i] != tt.want[i] {
						t.Errorf("ring %d: %+v, want %+v", i+1, got[i], tt.want[i])
					}
				}
				// The ringing has stopped: too late to answer, and the phone is free.
				var ce *t30.CallError
				if _, err := r.Answer(t.Context(), t30.AnswerFax); !errors.As(err, &ce) || ce.Code != t30.CodeNoCarrier {
					t.Error(err)
				}
				if p.phone.Taken() {
					t.Error("the phone stays taken")
				}
			})
		})
	}
}

// After ATA the modem is in the state of +FTH=3: the first signal needs no command.
func TestAnswer_SendsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPhone(t, Config{}, "< RING\n> ATA\n4s\n< CONNECT\n>~ ff 13 80\n1s\n< OK\n"+frh+"< CONNECT\n<~ ff 13 83\n< OK\n")
		l, err := waitRing(t, p).Answer(t.Context(), t30.AnswerFax)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.SendFrames(t.Context(), unhex("ff 13 80")); err != nil {
			t.Error(err)
		}
		if _, err := l.ReceiveFrame(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestAnswer_Outcomes(t *testing.T) {
	tests := []struct {
		name, script string
		mode         t30.AnswerMode
		is           error
		code         t30.Code
	}{
		{"caller gone", "> ATA\n60s\n< NO CARRIER\n", t30.AnswerFax, nil, t30.CodeNoCarrier},
		{"nothing to answer", "> ATA\n< ERROR\n", t30.AnswerFax, nil, t30.CodeModem},
		{"voice", "> ATA\n9s\n< VOICE\n> CAN\n< OK\n> ATH0\n< OK\n", t30.AnswerAdaptive, t30.ErrVoice, 0},
		{"data", "> ATA\n9s\n< DATA\n< CONNECT 9600\n> CAN\n< OK\n> ATH0\n< OK\n", t30.AnswerAdaptive, t30.ErrData, 0},
		{"dumb", "> ATA\n> CAN\n< OK\n> ATH0\n< OK\n", t30.AnswerFax, nil, t30.CodeNoCarrier},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPhone(t, Config{}, "< RING\n"+tt.script)
				_, err := waitRing(t, p).Answer(t.Context(), tt.mode)
				var ce *t30.CallError
				if tt.is != nil && !errors.Is(err, tt.is) || tt.is == nil && (!errors.As(err, &ce) || ce.Code != tt.code) {
					t.Error(err)
				}
				if p.phone.Taken() {
					t.Error("the phone stays taken")
				}
			})
		})
	}
}

// An ignored call is not reported again, and nothing is dialed into it.
func TestIgnore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPhone(t, Config{}, "< RING\n5s\n< RING\n5s\n< RING\n5m\n< RING A\n")
		if err := waitRing(t, p).Ignore(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Dial(ctx, "1"); err == nil {
			t.Error("dialed")
		}
		r := waitRing(t, p)
		if ring := <-r.Rings(); ring.Pattern != "A" {
			t.Errorf("the same call again: %+v", ring)
		}
	})
}

func TestWaitRing_PortLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPhone(t, Config{}, "1m\n")
		go func() { <-f.done; f.conn.Close() }()
		if _, err := p.WaitRing(t.Context()); !errors.Is(err, at.ErrPortLost) {
			t.Error(err)
		}
	})
}

func TestRinging_PortLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPhone(t, Config{}, "< RING\n1s\n")
		r := waitRing(t, p)
		<-f.done
		f.conn.Close()
		for range r.Rings() { // must end
		}
		if _, err := r.Answer(t.Context(), t30.AnswerFax); !errors.Is(err, at.ErrPortLost) {
			t.Error(err)
		}
	})
}
