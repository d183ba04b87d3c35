package recording

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

// script is a port whose modem says what it is told to.
type script struct {
	in  []string // one for each Read
	dtr []bool
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.in[0])
	s.in = s.in[1:]
	return n, nil
}
func (s *script) Write(b []byte) (int, error) { return len(b), nil }
func (s *script) SetDTR(on bool) error        { s.dtr = append(s.dtr, on); return nil }
func (s *script) Close() error                { return nil }

// record plays a dialogue: ">" to the modem, "<" from it.
func record(t *testing.T, o Options, dialogue ...string) string {
	t.Helper()
	var file bytes.Buffer
	r := NewRecorder(&file, o)
	s := &script{}
	p := r.Port(s)
	buf := make([]byte, 1<<20)
	for _, d := range dialogue {
		if d[0] == '>' {
			if _, err := p.Write([]byte(d[1:])); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s.in = append(s.in, d[1:])
		if _, err := p.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.Close(), r.Err()); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(strings.NewReader(file.String())); err != nil {
		t.Fatalf("%v\n%s", err, file.String())
	}
	return file.String()
}

// frame is a frame as a Class 1 modem delivers it.
func frame(fcf t30.FCF, final bool, fif string) string {
	return string(at.Shield(nil, hdlc.AppendFCS(t30.NewFrame(fcf, false, final, []byte(fif)...)))) + "\x10\x03"
}

func TestRecorder_BlotsOut(t *testing.T) {
	page := strings.Repeat("page!", 500)
	for _, c := range []struct {
		name     string
		dialogue []string
		want     []string // in the recording
		never    []string
		always   bool // never in it, even with numbers
	}{
		{"a dialed number", []string{">ATDT0W,5550142\r"}, []string{`"ATDT0W,0000042\r"`}, []string{"5550142"}, false},
		{"caller ID", []string{"<\r\nRING\r\n\r\nDATE = 1122\r\nNMBR = 5550142\r\nNAME = JOE\r\n"}, []string{"RING", "NMBR = 0000042", "NAME = xxx"}, []string{"5550142", "JOE"}, false},
		{"reports of Class 2", []string{"<\r\n+FTSI: \"  5550142\"\r\n\r\n+FDCS: 1,5,0,2\r\n"}, []string{`+FTSI: \"  0000042\"`, "+FDCS: 1,5,0,2"}, []string{"5550142"}, false},
		{"our own number", []string{">AT+FLI=\"5550142\"\r"}, []string{`AT+FLI=\"0000042\"`}, []string{"5550142"}, false},
		{"a password", []string{">AT+FPW=\"4711\"\r"}, []string{`AT+FPW=\"0000\"`}, []string{"4711"}, true},
		{"a received identification", []string{">AT+FCLASS=1\r", "<\r\nOK\r\n", ">AT+FRH=3\r", "<\r\nCONNECT\r\n" + frame(t30.FcfTSI, false, "2410555") + "\r\nOK\r\n"},
			[]string{"ff 03 42 30*7", `"\r\nOK\r\n"`}, []string{"32 34 31 30"}, false},
		{"a received password", []string{">AT+FRH=3\r", "<\r\nCONNECT\r\n" + frame(t30.FcfSID, false, "1174")}, []string{"30*4"}, []string{"31 31 37 34"}, true},
		{"our own identification", []string{">AT+FTH=3\r", "<\r\nCONNECT\r\n", ">\xff\x03\x432410555\x10\x03"}, []string{"ff 03 43 .. 10 03"}, []string{"32 34 31 30"}, false},
		{"a page sent", []string{">AT+FTM=96\r", "<\r\nCONNECT\r\n", ">" + page, ">" + page + "\x10\x03", "<\r\nOK\r\n"}, []string{"> page 5002 "}, []string{"page!", "70 61 67 65 21"}, false},
		{"a page received", []string{">AT+FDR\r", "<\r\n+FCFR\r\n\r\nCONNECT\r\n", ">\x12", "<" + page, "<" + page + "\x10\x03\r\n+FET: 2\r\n\r\nOK\r\n"},
			[]string{"> 12", "< page 5002 ", "+FET: 2"}, []string{"page!", "70 61 67 65 21"}, false},
		{"data that nobody announced", []string{"<" + strings.Repeat("\x80\x81\x82", 100)}, []string{"< page 300 "}, []string{"80 81 82"}, false},
		{"a page that never ends", []string{">AT+FRM=96\r", "<\r\nCONNECT\r\n", "<" + strings.Repeat(page, 20), ">\x18", "<\r\nOK\r\n"}, []string{"< page 50000 ", "> 18", "OK"}, []string{"page!"}, false},
		{"a training check is told", []string{">AT+FRM=96\r", "<\r\nCONNECT\r\n" + strings.Repeat("\x00", 1800) + "\x7f\x10\x03\r\nNO CARRIER\r\n"}, []string{"00*1800 7f 10 03", "NO CARRIER"}, nil, false},
		{"a modem that leaves the page", []string{">AT+FTM=96\r", "<\r\nCONNECT\r\n", ">" + page, "<\r\nNO CARRIER\r\n", ">AT+FRH=3\r"}, []string{"> page 2500 ", "NO CARRIER", "AT+FRH=3"}, []string{"page!"}, false},
		{"V.21 in place of a page", []string{">AT+FRM=96\r", "<\r\n+FRH:3\r\n\r\nCONNECT\r\n" + frame(t30.FcfEOP, true, "")}, []string{"ff 13 2e"}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := record(t, Options{}, c.dialogue...)
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("no %s in it", w)
				}
			}
			for _, w := range c.never {
				if strings.Contains(got, w) {
					t.Errorf("%s is in it", w)
				}
				full := record(t, Options{Numbers: true, Pages: true}, c.dialogue...)
				if told := strings.Contains(full, w); told && c.always {
					t.Errorf("%s is in it when asked for", w)
				}
			}
			if t.Failed() {
				t.Log(got)
			}
		})
	}
	if full := record(t, Options{Numbers: true}, ">ATDT5550142\r"); !strings.Contains(full, "ATDT5550142") {
		t.Errorf("number not told when asked for:\n%s", full)
	}
}

// A blotted frame is a good frame still, and a bad one a bad one.
func TestBlotReceived_KeepsTheCheck(t *testing.T) {
	good := []byte(frame(t30.FcfTSI, false, "2410555"))
	bad := bytes.Clone(good)
	bad[5] ^= 1
	for _, raw := range [][]byte{good, bad} {
		out := blotReceived(raw, false)
		body := make([]byte, len(out))
		var d at.Decoder
		n, _, mark := d.Decode(body, out)
		if mark != at.End || hdlc.Good(body[:n]) != (&raw[0] == &good[0]) {
			t.Errorf("% x became % x", raw, out)
		}
	}
}

type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

func TestRecorder_WriterFails(t *testing.T) {
	r := NewRecorder(&failing{after: 2}, Options{})
	p := r.Port(&script{})
	for range 5 { // the call goes on
		if _, err := p.Write([]byte("AT\r")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Err(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestParse_Refuses(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "no events"},
		{"hello\n", "line 1"},
		{"tipring recording 1\n", "no events"},
		{"tipring recording 1\n0.0 > \"AT\\r\"\n0.5 ? x\n", "line 3: sign"},
		{"tipring recording 1\n\n# x\nx > 00\n", "line 4: time"},
		{"tipring recording 1\n1.0 > 00\n0.9 > 00\n", "before the line above"},
		{"tipring recording 1\n1.0 > 0\n", "octet"},
		{"tipring recording 1\n1.0 > 00*0\n", "octet"},
		{"tipring recording 1\n1.0 > 00*99999999\n", "more than"},
		{"tipring recording 1\n1.0 < 00 ..\n", ".."},
		{"tipring recording 1\n1.0 > .. 00 ..\n", ".."},
		{"tipring recording 1\n1.0 > \"\n", "text"},
		{"tipring recording 1\n1.0 > page 0 00\n", "page"},
		{"tipring recording 1\n1.0 > page 9 00\n", "SHA"},
		{"tipring recording 1\n1.0 ! explode\n", "no such thing"},
		{"tipring recording 1\n1e99 > 00\n", "time"},
		{"tipring recording 1\nNaN > 00\n", "time"},
	} {
		if _, err := Parse(strings.NewReader(c.text)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.text, err, c.says)
		}
	}
}

const sample = "tipring recording 1 pages\n# about\n0.000 = open {}\n0.010 > \"AT\\r\"\n0.030 < \"\\r\\nOK\\r\\n\"\n1.000 ! dtr off\n1.500 ! dtr on\n2.000 > ff 03 43 .. 10 03\n" +
	"2.100 < 00*9 41 41 ff\n3.000 ! purge\n4.000 < page 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n"

// FuzzParse: whatever the file is, reading it ends; what was read is the same when it is written and read again.
func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("tipring recording 1\n1 > 00*65536 .. 00*3\n2 < \"\\x00\\xff\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		rec, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		head := magic
		if rec.Pages {
			head += withPages
		}
		lines := []string{head}
		for _, e := range rec.Events {
			lines = append(lines, e.String())
		}
		again, err := Parse(strings.NewReader(strings.Join(lines, "\n")))
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
		}
		for i := range rec.Events {
			a, b := rec.Events[i], again.Events[i]
			a.Line, b.Line = 0, 0
			if !reflect.DeepEqual(a, b) {
				t.Errorf("%+v became %+v", a, b)
			}
		}
	})
}

// TestPlayer_Keeps: order and delays are those of the recording, whatever the pieces in which the driver writes.
func TestPlayer_Keeps(t *testing.T) {
	rec, err := Parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p := NewPlayer(rec)
		port := p.Port()
		defer port.Close()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		read := func(want string, after time.Duration) {
			t.Helper()
			began, buf := time.Now(), make([]byte, len(want))
			_, err := io.ReadFull(port, buf)
			must(err)
			if string(buf) != want || time.Since(began) != after {
				t.Errorf("%q after %v, want %q after %v", buf, time.Since(began), want, after)
			}
		}
		time.Sleep(time.Minute) // nobody hurries the driver
		for _, b := range []string{"A", "T", "\r"} {
			_, err := port.Write([]byte(b))
			must(err)
		}
		read("\r\nOK\r\n", 20*time.Millisecond)
		must(port.SetDTR(false))
		must(port.SetDTR(true))
		_, err := port.Write([]byte("\xff\x03\x43anything\x10\x10at all\x10\x03"))
		must(err)
		read("\x00\x00\x00\x00\x00\x00\x00\x00\x00AA\xff", 100*time.Millisecond)
		must(port.(at.Purger).Purge())
		if _, err := port.Read(make([]byte, 1)); !errors.Is(err, ErrNoPages) {
			t.Error(err)
		}
		if !errors.Is(p.Err(), ErrNoPages) || len(p.Rest()) != 1 {
			t.Error(p.Err(), p.Rest())
		}
	})
}

// TestPlayer_NeverHangs: a driver that does nothing of what was recorded is told so.
func TestPlayer_NeverHangs(t *testing.T) {
	rec, err := Parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(at.Port) error{
		"another command": func(p at.Port) error { _, err := p.Write([]byte("ATZ\r")); return err },
		"DTR":             func(p at.Port) error { return p.SetDTR(false) },
		"too much": func(p at.Port) error {
			_, err := p.Write([]byte("AT\rAT\r"))
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := NewPlayer(rec)
			p.Strict = true
			port := p.Port()
			defer port.Close()
			var d *Divergence
			if err := do(port); !errors.As(err, &d) || d.Line == 0 {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := port.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: the port is open still", name)
			}
		})
	}
}

// TestPlayer_SetupMayChange: set-up commands may come and go, those that act may not.
func TestPlayer_SetupMayChange(t *testing.T) {
	const text = "tipring recording 1\n0.0 > \"ATZ\\r\"\n0.1 < \"\\r\\nOK\\r\\n\"\n0.2 > \"AT+FCT=FF\\r\"\n0.3 < \"\\r\\nERROR\\r\\n\"\n" +
		"0.4 > \"AT+FCC=1\\r\"\n0.5 < \"\\r\\nOK\\r\\n\"\n1.0 > \"ATDT0\\r\"\n2.0 < \"\\r\\nBUSY\\r\\n\"\n"
	rec, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		commands string // each with its answer's first letters
		fails    bool
	}{
		{"as recorded", "ATZ OK, AT+FCT=FF ERROR, AT+FCC=1 OK, ATDT0 BUSY", false},
		{"less", "ATZ OK, ATDT0 BUSY", false},
		{"none", "ATDT0 BUSY", false},
		{"another value", "ATZ OK, AT+FCT=30 ERROR, AT+FCC=2 OK, ATDT0 BUSY", false},
		{"more", "ATZ OK, AT+NEW=1 ERROR, AT+FCC=1 OK, AT+FCC=? ERROR, ATDT0 BUSY", false},
		{"again", "ATZ OK, AT+FCC=1 OK, ATZ OK, ATDT0 BUSY", false},
		{"another number", "ATZ OK, ATDT1 BUSY", true},
		{"no dialing", "ATZ OK, ATA BUSY", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := NewPlayer(rec)
			port := p.Port()
			defer port.Close()
			for _, pair := range strings.Split(c.commands, ", ") {
				command, want, _ := strings.Cut(pair, " ")
				if _, err := port.Write([]byte(command + "\r")); err != nil {
					break
				}
				buf := make([]byte, 100)
				n, err := port.Read(buf)
				if got := strings.TrimSpace(string(buf[:n])); err != nil || got != want {
					t.Errorf("%s: %s answered with %q, want %q", c.name, command, got, want)
				}
			}
			var d *Divergence
			if err := p.Err(); errors.As(err, &d) != c.fails || !c.fails && len(p.Rest()) > 0 {
				t.Errorf("%s: %v, left %v", c.name, err, p.Rest())
			}
		})
	}
}

// TestRecorder_V34: a call over V.34 has no commands that would tell what its octets are. Nothing of it is told but how many they were.
func TestRecorder_V34(t *testing.T) {
	tsi := "\xff\x03\x43 0010555 1+"
	for _, whole := range []bool{false, true} {
		begin := []string{"<\r\n+F34:14,1\r\n", "<\r\nCONNECT\r\n", "<\x10\x6d\x10\x7d\x10\x6e" + tsi}
		if whole {
			begin = []string{"<\r\n+F34:14,1\r\n\r\nCONNECT\r\n\x10\x6d\x10\x7d\x10\x6e" + tsi}
		}
		dialogue := append([]string{">AT+FCLASS=1.0\r", "<\r\nOK\r\n", ">AT+F34=?\r", "<\r\n+F34: (0-14),(0-14)\r\n\r\nOK\r\n", ">ATDT5550100\r"}, begin...)
		dialogue = append(dialogue, ">"+tsi+"\x10\x03", ">a page\x10\x03", "<"+tsi+"\x10\x03", ">\x10\x04", "<\x10\x04\r\nOK\r\n", ">ATH0\r", "<\r\nOK\r\n")
		got := record(t, Options{}, dialogue...)
		for _, never := range []string{"0010555", "a page", "5550100", "555 1+"} {
			if strings.Contains(got, never) {
				t.Errorf("%q is in the recording:\n%s", never, got)
			}
		}
		for _, want := range []string{"(0-14)", "+F34:14,1", "# V.34", "ATH0"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in the recording:\n%s", want, got)
			}
		}
		if last := got[strings.LastIndex(got, "ATH0"):]; !strings.Contains(last, "OK") {
			t.Errorf("the end:\n%s", last)
		}
	}
}
