package at

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
)

// modemEnd is a channel and the modem's end of its port.
func modemEnd(t *testing.T, trace func(t30.Event)) (*Channel, net.Conn) {
	host, modem := net.Pipe()
	c := NewChannel(noDTR{host}, trace)
	t.Cleanup(func() { c.Close(); modem.Close() })
	return c, modem
}

type noDTR struct{ net.Conn }

func (noDTR) SetDTR(bool) error { return nil }

func TestAwaitXON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := modemEnd(t, nil)
		say := func(s string) { go modem.Write([]byte(s)) }
		say("\r\n\x11OK\r\n")
		if _, got, err := c.AwaitXON(t.Context(), time.Second); !got || err != nil {
			t.Fatal(got, err)
		}
		if l, err := c.NextLine(t.Context(), time.Second); err != nil || l.Code != OK { // what follows XON is left
			t.Fatal(l, err)
		}
		say("\r\n+FHNG:27\r\n\x11")
		if l, got, err := c.AwaitXON(t.Context(), time.Second); got || err != nil || l.Text != "+FHNG:27" {
			t.Fatal(l, got, err)
		}
		if _, got, err := c.AwaitXON(t.Context(), time.Second); !got || err != nil {
			t.Fatal(got, err)
		}
		if _, _, err := c.AwaitXON(t.Context(), time.Second); !errors.Is(err, ErrNoReply) {
			t.Fatal(err)
		}
	})
}

func TestArrivedAndCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := modemEnd(t, nil)
		if l, ok := c.Arrived(); ok {
			t.Fatal(l)
		}
		go modem.Write([]byte("\r\n+FPTS:1\r\n\x18\r\nOK\r\n"))
		synctest.Wait()
		for _, want := range []string{"+FPTS:1", "OK"} {
			if l, ok := c.Arrived(); !ok || l.Text != want {
				t.Errorf("%q, want %q", l.Text, want)
			}
		}
		if c.Cancels() != 1 {
			t.Errorf("%d CAN", c.Cancels())
		}
	})
}

// A password stands in no transcript and no error.
func TestPasswordsAreHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		c, modem := modemEnd(t, func(e t30.Event) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, e.Text)
		})
		go func() {
			buf := make([]byte, 100)
			modem.Read(buf)
			modem.Write([]byte("\r\n+FPW: \"4711\"\r\n\r\nERROR\r\n"))
			modem.Read(buf)
		}()
		_, err := c.Do(t.Context(), "AT+FPW=\"4711\"", time.Second)
		_, err2 := c.Command(t.Context(), "AT+fpw=\"4711\"", time.Second)
		mu.Lock()
		defer mu.Unlock()
		if all := strings.Join(log, " ") + err.Error() + err2.Error(); strings.Contains(all, "4711") || !strings.Contains(all, "+FPW:(hidden)") {
			t.Error(all)
		}
		if s := hidden("AT+FPW=?"); s != "AT+FPW=?" {
			t.Error(s)
		}
	})
}
