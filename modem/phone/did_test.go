package phone

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
)

func TestAnswer_DTMF(t *testing.T) {
	for _, tt := range []struct {
		name, events, want string
		answers            map[string]string
		most               time.Duration // until ATA
	}{
		{"digits", "\x104\x107\x101\x101", "4711", nil, time.Second},
		{"begin and end of each told", "\x10/\x104\x10~\x10/\x107\x10~\x10/\x101\x10~\x10/\x101\x10~", "4711", nil, time.Second},
		{"fewer", "\x104\x107", "47", nil, nextDigit + time.Second},
		{"none", "", "", nil, firstDigit + time.Second},
		{"a fax calls", "\x104\x10c", "4", nil, time.Second},
		{"more than asked for", "\x104\x107\x101\x101\x109", "4711", nil, time.Second},
		{"no voice mode", "", "", map[string]string{"+FCLASS=8": "ERROR"}, time.Second},
		{"no answer in voice mode", "", "", map[string]string{"+VLS=1": "ERROR"}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := map[string]string{"A": "CONNECT"}
				for k, v := range tt.answers {
					answers[k] = v
				}
				if tt.answers["+VLS=1"] == "" {
					answers["+VLS=1"] = "OK\n" + tt.events
				}
				l, f := setup(t, Config{DTMFDigits: 4}, answers)
				go f.say("RING")
				r, err := l.WaitRing(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if err := r.Answer(t.Context(), t30.AnswerFax); err != nil {
					t.Fatal(err)
				}
				if r.Dialed() != tt.want || time.Since(begun) > tt.most || f.index("A") < f.index("+FCLASS=1") {
					t.Errorf("digits %q after %v: %v", r.Dialed(), time.Since(begun), f.sent)
				}
				if (len(l.Warnings()) == 1) != (tt.answers != nil) {
					t.Errorf("warnings %q", l.Warnings())
				}
			})
		})
	}
}

// Events without end do not keep a caller waiting.
func TestAnswer_DTMFIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := setup(t, Config{DTMFDigits: 4}, map[string]string{"A": "CONNECT"})
		done := make(chan struct{})
		defer close(done)
		go func() {
			f.say("RING")
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Second):
					_, _ = f.conn.Write([]byte("\x10s"))
				}
			}
		}()
		r, err := l.WaitRing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := r.Answer(t.Context(), t30.AnswerFax); err != nil || time.Since(begun) > allDigits+time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}
