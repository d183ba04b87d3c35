package class1

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30/hdlc"
)

// fake is a scripted modem. One line of a script is one step:
//
//	> AT+FRH=3     the host sends this line ("CAN": the octet 0x18)
//	>~ ff 13 84    the host sends these octets, shielded, and DLE ETX
//	>&             the host sends octets and DLE ETX, kept in captured
//	>n 2700        the host sends so many octets and DLE ETX
//	>= 10 6b       the host sends these octets as they are
//	>+ 4096        the host sends so many octets of data that goes on
//	< CONNECT      the modem says this
//	<~ ff 13 84    the modem sends a frame: octets, FCS, DLE ETX
//	<= 00 10 10    the modem sends these octets as they are
//	150ms          nothing happens for so long
//
// Commands that only set something are answered OK in between and stand in no script.
type fake struct {
	t        *testing.T
	conn     net.Conn
	in       *bufio.Reader
	captured []byte
	ready    bool              // New is done
	answers  map[string]string // of setting commands, in place of OK
	done     chan struct{}
	dtr      atomic.Int32 // times DTR was dropped
	noV8     atomic.Int32 // times V.8 was turned off
}

var settings = []string{"ATZ", "ATE", "ATS", "ATX", "AT&", "ATM", "AT+IFC", "AT+FCLASS", "AT+FAR", "AT+FAE", "AT+VCID", "AT#CID", "AT+FTM=?", "AT+FRM=?", "ATL", "AT+A8E=0"}

const allCodes = "24,48,72,73,74,96,97,98,121,122,145,146"

type pipePort struct {
	net.Conn
	f *fake
}

func (p pipePort) SetDTR(on bool) error {
	if !on {
		p.f.dtr.Add(1)
	}
	return nil
}

// newPhone starts a fake with a script and the phone on it. Everything ends with the test, which fails if the script was
// not played to its end.
func newPhone(t *testing.T, cfg Config, script string) (*Phone, *fake) {
	t.Helper()
	host, modem := net.Pipe()
	f := &fake{t: t, conn: modem, in: bufio.NewReader(modem), done: make(chan struct{}),
		answers: map[string]string{"AT+FTM=?": allCodes, "AT+FRM=?": allCodes}}
	ch := at.NewChannel(pipePort{host, f}, nil)
	go f.play(script)
	p, err := New(t.Context(), ch, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-f.done:
		case <-time.After(time.Hour):
			t.Error("the script was not played to its end")
		}
		ch.Close()
		modem.Close()
	})
	return p, f
}

func (f *fake) play(script string) {
	if _, err := f.command(); err != nil { // the settings of New
		f.t.Error(err)
	}
	for i, step := range strings.Split(strings.TrimSpace(script), "\n") {
		step = strings.TrimSpace(step)
		if step == "" {
			continue
		}
		if err := f.step(step); err != nil {
			f.t.Errorf("script step %d %q: %v", i+1, step, err)
			f.conn.Close()
			break
		}
	}
	close(f.done)
	for { // the rest of the test may hang up and set things
		if _, err := f.command(); err != nil {
			return
		}
		f.say("OK")
	}
}

func (f *fake) step(step string) error {
	op, arg, _ := strings.Cut(step, " ")
	octets, _ := hex.DecodeString(strings.ReplaceAll(arg, " ", ""))
	switch op {
	case ">":
		got, err := f.command()
		if err == nil && got != arg {
			err = fmt.Errorf("host sent %q", got)
		}
		return err
	case ">~":
		got, err := f.data()
		if err == nil && string(got) != string(octets) {
			err = fmt.Errorf("host sent % x", got)
		}
		return err
	case ">&":
		var err error
		f.captured, err = f.data()
		return err
	case ">n":
		got, err := f.data()
		if err == nil && strconv.Itoa(len(got)) != arg {
			err = fmt.Errorf("host sent %d octets", len(got))
		}
		return err
	case ">=":
		got := make([]byte, len(octets))
		_, err := io.ReadFull(f.in, got)
		if err == nil && string(got) != string(octets) {
			err = fmt.Errorf("host sent % x", got)
		}
		return err
	case ">+":
		n, err := strconv.ParseInt(arg, 10, 64)
		if err == nil {
			_, err = io.CopyN(io.Discard, f.in, n)
		}
		return err
	case "<":
		return f.say(arg)
	case "<~":
		return f.send(append(at.Shield(nil, hdlc.AppendFCS(octets)), 0x10, 0x03))
	case "<=":
		return f.send(octets)
	}
	d, err := time.ParseDuration(step)
	time.Sleep(d)
	return err
}

func (f *fake) say(s string) error { return f.send([]byte("\r\n" + s + "\r\n")) }

func (f *fake) send(b []byte) error {
	_, err := f.conn.Write(b)
	return err
}

// command reads the next command that is no setting, answering those.
func (f *fake) command() (string, error) {
	var line []byte
	for {
		c, err := f.in.ReadByte()
		if err != nil {
			return "", err
		}
		if c == 0x18 && len(line) == 0 {
			return "CAN", nil
		}
		if c != '\r' {
			line = append(line, c)
			continue
		}
		s := string(line)
		line = line[:0]
		if !isSetting(s) {
			return s, nil
		}
		if s == "AT+A8E=0,0" {
			f.noV8.Add(1)
		}
		switch a := f.answers[s]; a {
		case "", "OK":
			f.say("OK")
		case "ERROR":
			f.say(a)
		default:
			f.say(a)
			f.say("OK")
		}
		if s == "AT+FRM=?" && !f.ready {
			f.ready = true
			return "", nil
		}
	}
}

func isSetting(s string) bool {
	for _, p := range settings {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// data reads shielded octets up to DLE ETX.
func (f *fake) data() ([]byte, error) {
	var b []byte
	for {
		c, err := f.in.ReadByte()
		if err != nil {
			return b, err
		}
		if c == 0x10 {
			if c, err = f.in.ReadByte(); err != nil || c == 0x03 {
				return b, err
			}
		}
		b = append(b, c)
	}
}
