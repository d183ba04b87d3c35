package class2

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/at"
)

// fake is a scripted modem. One line of a script is one step:
//
//	> AT+FDT        the host sends this line ("CAN": the octet 0x18, "DC1", "DC2")
//	>~ ATH0         the host sends a line that ends so, page data before it, which is kept in pages as it is
//	>& 03           the host sends data that ends with DLE and this octet; kept in pages, without shielding
//	< CONNECT       the modem says this
//	<= 00 10 10     the modem sends these octets as they are
//	150ms           nothing happens for so long
//	x               the port is lost
//
// Commands that only set something are answered OK in between, or as answers says, and stand in no script.
type fake struct {
	t       *testing.T
	conn    net.Conn
	in      *bufio.Reader
	pages   [][]byte
	set     []string          // setting commands
	answers map[string]string // to setting commands, in place of OK: "ERROR", or information before OK
	ready   chan struct{}     // New is done
	isReady atomic.Bool
	done    chan struct{}
	dtr     atomic.Int32 // times DTR was dropped
	lost    bool
}

var settings = []string{"ATZ", "ATE", "ATS", "ATX", "AT&", "ATM", "AT+IFC", "AT+VCID", "AT#CID", "AT+FCLASS", "AT+FBO", "AT+FCQ", "AT+FPHCTO",
	"AT+FCT", "AT+FNR", "AT+FIE", "AT+FLO", "AT+FPP", "AT+FDCC", "AT+FCC", "AT+FLI", "AT+FCR", "AT+FLP", "AT+FSP", "AT+FCIG", "AT+FPI", "AT+FAP",
	"AT+FSA", "AT+FPA", "AT+FPW", "AT+FAA", "AT+FAE", "AT+VGT", "AT+GCI", "ATL"}

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

var rangesOf = map[string]string{
	"2":   "AT+FDCC=?/(0,1),(0-5),(0-2),(0-2),(0,1,3),(0-2),(0),(0-7)",
	"2.0": "AT+FCC=?/(00-7F),(0-5),(0-2),(0-2),(0,1,3),(0,1),(0),(0-7),(0)",
	"2.1": "AT+FCC=?/(00-7F),(0-D),(0-2),(0-2),(0,1,3),(0,1),(0),(0-7),(0)",
}

// newModem starts a fake with a script and the driver on it. Everything ends with the test, which fails if the script was not played
// to its end. answers: "command/answer" of setting commands.
func newModem(t *testing.T, cfg Config, script string, answers ...string) (*Modem, *fake) {
	t.Helper()
	host, modem := net.Pipe()
	f := &fake{t: t, conn: modem, in: bufio.NewReader(modem), done: make(chan struct{}), ready: make(chan struct{}),
		answers: map[string]string{"AT+FAP=?": "(0,1),(0,1),(0,1)"}}
	for _, a := range append([]string{rangesOf[cfg.Class]}, answers...) {
		cmd, answer, _ := strings.Cut(a, "/")
		f.answers[cmd] = answer
	}
	ch := at.NewChannel(pipePort{host, f}, nil)
	go f.play(script)
	m, err := New(t.Context(), ch, cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.isReady.Store(true)
	close(f.ready)
	t.Cleanup(func() {
		select {
		case <-f.done:
		case <-time.After(time.Hour):
			t.Error("the script was not played to its end")
		}
		ch.Close()
		modem.Close()
	})
	return m, f
}

func (f *fake) play(script string) {
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
		got, err := f.in.ReadString('\r')
		data, ok := strings.CutSuffix(got, arg+"\r")
		if err == nil && !ok {
			err = fmt.Errorf("host sent %q", got)
		}
		f.pages = append(f.pages, []byte(data))
		return err
	case ">&":
		end, err := strconv.ParseUint(arg, 16, 8)
		if err != nil {
			return err
		}
		page, err := f.data(byte(end))
		f.pages = append(f.pages, page)
		return err
	case "<":
		f.untilReady()
		return f.say(arg)
	case "<=":
		return f.send(octets)
	case "x":
		f.lost = true
		return f.conn.Close()
	}
	d, err := time.ParseDuration(step)
	f.untilReady()
	time.Sleep(d)
	return err
}

// untilReady answers New's settings.
func (f *fake) untilReady() {
	if f.isReady.Load() {
		return
	}
	got := make(chan struct{})
	go func() {
		select {
		case <-f.ready:
			f.conn.SetReadDeadline(time.Unix(1, 0))
		case <-got:
		}
	}()
	cmd, err := f.command()
	close(got)
	f.conn.SetReadDeadline(time.Time{})
	if err == nil {
		f.t.Errorf("host sent %q before the script began", cmd)
		return
	}
	<-f.ready
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
		if name, ok := map[byte]string{0x18: "CAN", 0x11: "DC1", 0x12: "DC2"}[c]; ok && len(line) == 0 {
			return name, nil
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
		f.set = append(f.set, s)
		switch a := f.answers[s]; a {
		case "", "OK":
			f.say("OK")
		case "ERROR":
			f.say(a)
		default:
			f.say(a)
			f.say("OK")
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

// data reads shielded octets up to DLE and end.
func (f *fake) data(end byte) ([]byte, error) {
	var b []byte
	for {
		c, err := f.in.ReadByte()
		if err != nil {
			return b, err
		}
		if c == 0x10 {
			if c, err = f.in.ReadByte(); err != nil || c == end {
				return b, err
			}
			if c != 0x10 {
				return b, fmt.Errorf("the data ended with DLE %02x", c)
			}
		}
		b = append(b, c)
	}
}

// was tells whether the host sent a setting.
func (f *fake) was(cmd string) bool {
	for _, s := range f.set {
		if s == cmd {
			return true
		}
	}
	return false
}
