package class1

import (
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
)

// A transcript is kept and shown: passwords are not in it, either way.
func TestTranscript_HidesPasswords(t *testing.T) {
	for _, fcf := range []string{"c1", "a2"} { // PWD, SID
		script := "> AT+FTH=3\n< CONNECT\n>~ ff 03 " + fcf + " 31 32 33\n< CONNECT\n>~ ff 13 81\n< OK\n" + frh + "< CONNECT\n<~ ff 03 " + fcf + " 31 32 33\n< OK\n"
		onCall(t, Config{}, script, func(t *testing.T, l t30.Line, _ *fake) {
			var log []string
			l.(*line).ch.SetTrace(func(e t30.Event) { log = append(log, e.Text) })
			if err := l.SendFrames(t.Context(), unhex("ff 03 "+fcf+" 31 32 33"), unhex("ff 13 81")); err != nil {
				t.Error(err)
			}
			if _, err := l.ReceiveFrame(t.Context(), time.Second); err != nil {
				t.Error(err)
			}
			l.(*line).ch.SetTrace(nil)
			text := strings.Join(log, "\n")
			if strings.Contains(text, "31 32 33") || strings.Count(text, "frame ff 03 "+fcf) != 2 || !strings.Contains(text, "frame ff 13 81") {
				t.Errorf("transcript:\n%s", text)
			}
		})
	}
}
