package virtual

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseLine(t *testing.T) {
	for _, c := range []struct {
		line string
		want []command
		ok   bool
	}{
		{"", nil, true},
		{"E0V1Q0", []command{{"E", 0, "0"}, {"V", 0, "1"}, {"Q", 0, "0"}}, true},
		{"e0 v1 &d2", []command{{"E", 0, "0"}, {"V", 0, "1"}, {"&D", 0, "2"}}, true},
		{"S7=60S0?S8", []command{{"S7", '=', "60"}, {"S0", '?', ""}, {"S8", 0, ""}}, true},
		{"+FCLASS=1;+FTH = 3", []command{{"+FCLASS", '=', "1"}, {"+FTH", '=', "3"}}, true},
		{"+FCLASS=?", []command{{"+FCLASS", 't', ""}}, true},
		{"+fclass?;S7=1", []command{{"+FCLASS", '?', ""}, {"S7", '=', "1"}}, true},
		{"#CID=1", []command{{"#CID", '=', "1"}}, true},
		{"M0L1DT 555-0100;", []command{{"M", 0, "0"}, {"L", 0, "1"}, {"D", 0, "T 555-0100;"}}, true},
		{"O?", []command{{"O", '?', ""}}, true},
		{`\N3%C0`, []command{{`\N`, 0, "3"}, {"%C", 0, "0"}}, true},
		{"E0?", []command{{"E", 0, "0"}}, false},
		{"E0=", []command{{"E", 0, "0"}}, false},
		{"&", nil, false},
		{"S=1", nil, false},
		{"S1234=1", nil, false},
		{"+", nil, false},
		{"+FCLASS?1", nil, false},
		{"7", nil, false},
	} {
		got, ok := parseLine(c.line)
		if ok != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("parseLine(%q) = %v, %v; want %v, %v", c.line, got, ok, c.want, c.ok)
		}
	}
}

func TestCommands(t *testing.T) {
	const (
		ok  = "\r\nOK\r\n"
		bad = "\r\nERROR\r\n"
	)
	for _, c := range []struct{ send, want string }{
		{"AT\r", ok},
		{"at\r", ok},
		{"aAT\r", ok},
		{"xyz\rAT\r", ok},
		{"ATX9\r", bad},
		{"ATE0X9V0\r", bad}, // nothing after the error
		{"ATQ1\rAT\rATQ0\r", ok},
		{"ATV0\r", "0\r"},
		{"ATV0\rATX9\rATV1\r", "0\r4\r" + ok},
		{"AT\r\nAT\r\n", ok + ok},
		{"AX\bT\r", ""},
		{"ATX9\b4\r", ok},
		{"ATI3\r", "\r\nTipring Virtual Fax Modem\r\n" + ok},
		{"AT+FMI?\r", "\r\nTipring\r\n" + ok},
		{"AT+FMM?;+FMR?\r", "\r\nVirtual Fax Modem\r\n\r\n1.0\r\n" + ok},
		{"AT+FCLASS=?\r", "\r\n0,1,1.0\r\n" + ok},
		{"AT+FCLASS?\r", "\r\n0\r\n" + ok},
		{"AT+FCLASS=1.0;+FCLASS?\r", "\r\n1.0\r\n" + ok},
		{"AT+FCLASS=2\r", bad},
		{"AT+FTM=?\r", "\r\n24,48,72,73,74,96,97,98,121,122,145,146\r\n" + ok},
		{"AT+FTH=?;+FRH=?\r", "\r\n3\r\n\r\n3\r\n" + ok},
		{"AT+FTS=?\r", "\r\n0-255\r\n" + ok},
		{"AT+FCLASS=1;+FAR=1;+FAR?\r", "\r\n1\r\n" + ok},
		{"AT+FAR=?\r", "\r\n(0-1)\r\n" + ok},
		{"AT+FCLASS=1;+FTM=96\r", bad}, // on hook
		{"AT+FCLASS=1;+FTS=8\r", bad},
		{"AT+FCLASS=1;+FRH=3\r", bad},
		{"ATH1+FTS=8\r", bad}, // Class 0
		{"AT+FCLASS=1H1+FTS=8\r", bad},
		{"AT+FCLASS=1;H1+FTS=8\r", ok},
		{"AT+FCLASS=1;H1+FTM=3\r", bad},
		{"AT+FCLASS=1;H1+FTM=97x\r", bad},
		{"AT+FCLASS=1;H1+FRS=256\r", bad},
		{"AT+FTH=3\r", bad}, // class 0
		{"AT+NONSENSE\r", bad},
		{"ATS0=3S0?\r", "\r\n003\r\n" + ok},
		{"ATS0=256\r", bad},
		{"ATO\r", bad},
		{"ATA\r", "\r\nNO CARRIER\r\n"},
		{"AT&F&C1&D2&K3\\N3%C0M0L1Z\r", "\r\nOK\r\n"},
		{"AT" + strings.Repeat("E0", maxLine) + "\r", bad},
		{"ATI0\rA/", "\r\nTipring\r\n" + ok + "\r\nTipring\r\n" + ok},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, a, _, done := pair(t, Options{})
			defer done()
			a.cmd("ATZ", "OK")
			a.cmd("ATE0", "OK")
			a.send(c.send)
			time.Sleep(5 * time.Second)
			a.mu.Lock()
			defer a.mu.Unlock()
			if got := string(a.buf); got != c.want {
				t.Errorf("%q: got %q, want %q", c.send, got, c.want)
			}
		})
	}
}

func TestEcho_AndSerialPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := NewExchange(Options{})
		d := openDTE(t, ex.NewModem("1", ModemOptions{Baud: 300}))
		defer d.close()
		start := time.Now()
		d.send("ATE1I3\r")
		d.until("ATE1I3\r\r\nTipring Virtual Fax Modem\r\n\r\nOK\r\n", time.Minute)
		n := len("ATE1I3\r") + len("ATE1I3\r\r\nTipring Virtual Fax Modem\r\n\r\nOK\r\n")
		if took, want := time.Since(start), time.Duration(n)*time.Second/30; took < want-want/10 || took > want+want/10 {
			t.Errorf("%d octets at 300 bit/s took %v, want about %v", n, took, want)
		}
	})
}

func TestPort_OpenCloseUnplug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := NewExchange(Options{})
		m := ex.NewModem("1", ModemOptions{})
		a := openDTE(t, m)
		if _, err := m.Open(); err != ErrOpen {
			t.Errorf("second open: %v", err)
		}
		a.cmd("ATS0=1", "OK")
		a.close()
		if _, err := a.port.Write([]byte("AT")); err == nil {
			t.Error("write to a closed port")
		}
		if err := a.port.SetDTR(false); err == nil {
			t.Error("SetDTR on a closed port")
		}
		b := openDTE(t, m)
		if s := b.cmd("ATS0?", "OK"); !strings.Contains(s, "001") {
			t.Errorf("settings lost at closing: %q", s)
		}
		m.Unplug()
		<-b.gone
		if _, err := b.port.Read(make([]byte, 1)); err != ErrUnplugged {
			t.Errorf("read: %v", err)
		}
		if _, err := m.Open(); err != ErrUnplugged {
			t.Errorf("open: %v", err)
		}
		m.Plug()
		c := openDTE(t, m)
		c.cmd("AT", "OK")
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
		<-c.gone
		if _, err := m.Open(); err == nil {
			t.Error("open on a closed exchange")
		}
	})
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"", "E0V1", "S7=60", "+FCLASS=1;+FTH=3", "DT555,0100;", "&D2%C0\\N3", "+FCLASS=?", "#CID=1", "S", "+;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cmds, _ := parseLine(s)
		if len(cmds) > len(s) {
			t.Fatalf("%d commands in %d octets", len(cmds), len(s))
		}
		for _, c := range cmds {
			if c.name == "" {
				t.Fatalf("%q: command without a name", s)
			}
			if n := c.num(0); n < -1 || n > 1<<20 {
				t.Fatalf("%q: number %d", s, n)
			}
		}
	})
}

// FuzzDTE throws octets at a modem in the state the first octet chooses; it must stay alive and take commands again.
func FuzzDTE(f *testing.F) {
	for state := range byte(7) {
		f.Add(append([]byte{state}, "AT+FCLASS=1\r\x10\x03ATE1\rATD5550101\rxAT+FTH=3\r\xff\x13\x10\x03"...))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 || len(in) > 4096 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			_, a, b, done := pair(t, Options{})
			defer done()
			if in[0]%7 > 0 {
				connectPair(a, b)
				a.send([]string{"AT+FTM=96\r", "AT+FTH=3\r", "AT+FRM=96\r", "AT+FRH=3\r", "AT+FRS=20\r", "AT+FTS=20\r"}[in[0]%7-1])
			}
			a.send(string(in[1:]))
			time.Sleep(5 * time.Minute) // every state that waits for the DTE has ended
			if err := a.port.SetDTR(false); err != nil {
				t.Fatal(err)
			}
			if err := a.port.SetDTR(true); err != nil {
				t.Fatal(err)
			}
			a.send("\rAT&F\r") // with S3 changed even this is no command line: then only a new opening helps
			time.Sleep(time.Second)
			a.close()
			a.m().reset()
			c := openDTE(t, a.m())
			c.cmd("ATE0", "OK")
			c.close()
		})
	})
}

// m is the modem behind the port.
func (d *dte) m() *Modem { return d.port.(*Port).m }
