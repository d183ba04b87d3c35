package at

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
)

type testPort struct{ net.Conn }

func (testPort) SetDTR(bool) error { return nil }

// open starts a channel in a bubble; the modem's side is read into a buffer and answered by the test.
func open(t *testing.T) (*Channel, net.Conn) {
	host, modem := net.Pipe()
	c := NewChannel(testPort{host}, nil)
	t.Cleanup(func() { c.Close(); modem.Close() })
	return c, modem
}

// serve answers each octet sequence ending in CR with the next of answers.
func serve(modem net.Conn, answers ...string) {
	buf := make([]byte, 1)
	for _, a := range answers {
		for buf[0] = 0; buf[0] != '\r'; {
			if _, err := modem.Read(buf); err != nil {
				return
			}
		}
		if _, err := io.WriteString(modem, a); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, modem)
}

func TestParseLine(t *testing.T) {
	for in, want := range map[string]Code{
		"OK": OK, "ok": OK, "\u00ff\u00feOK": OK, "ERROR": Error, "+CME ERROR: 4": Error, "CONNECT": Connect, "CONNECT 115200": Connect,
		"NO CARRIER": NoCarrier, "BUSY": Busy, "NO ANSWER": NoAnswer, "NO DIALTONE": NoDialTone, "NO DIAL TONE": NoDialTone,
		"+FCERROR": FCError, "+FRH:3": FRH3, "RING": Ring, "RING B": Ring, "RINGING": Ringback, "NMBR=1": CallerID,
		"NAME = A=B": CallerID, "0,1,1.0": Info, "CONNECTED": Info, "OKAY": Info, "": Info, "X=1": Info, "DELAYED 2": Blacklisted,
		"RING1": Ring, "RINGB": Ring, "RING;5550123": Ring, "RINGS": Info, "NO LINE": NoLine, "LINE-IN-USE": LineInUse, "LINE IN USE": LineInUse,
		"+CLIP: \"5550123\",129": CallerID, "CALLER NUMBER: 5550123": CallerID, "04 09 30 31 30 31 31 32 30 30 4F 1F": CallerID,
		"04093031303131323030 4F20": Info, "14400": Info, "DDN_NMBR = 1": CallerID, "MODEM NUMBER: 5": Info,
	} {
		if got, _ := ParseLine(in); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

func TestCommand(t *testing.T) {
	tests := []struct {
		name, answer string
		code         Code
		info         string
	}{
		{"verbose", "\r\nOK\r\n", OK, ""},
		{"echo", "AT+X=?\r\r\n1,2\r\n\r\nOK\r\n", OK, "1,2"},
		{"several lines", "\r\na\r\nb\r\n\r\nERROR\r\n", Error, "a|b"},
		{"RING in between", "\r\nRING\r\n\r\n1\r\nNMBR = 5\r\n\r\nOK\r\n", OK, "1"},
		{"garbage before", "\x80\xff\x00\r\nOK\r\n", OK, ""},
		{"LF only", "\nOK\n", OK, ""},
		{"endless line", "\r\n" + strings.Repeat("x", 5000) + "\r\nOK\r\n", OK, strings.Repeat("x", maxLine)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, modem := open(t)
				go serve(modem, tt.answer)
				r, err := c.Command(t.Context(), "AT+X=?", time.Second)
				if err != nil || r.Code != tt.code || strings.Join(r.Info, "|") != tt.info {
					t.Errorf("%+v, %v", r, err)
				}
			})
		})
	}
}

func TestCommand_KeepsRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := open(t)
		go serve(modem, "\r\nRING\r\n\r\nOK\r\n", "\r\nOK\r\n")
		if _, err := c.Do(t.Context(), "AT", time.Second); err != nil {
			t.Fatal(err)
		}
		if l, err := c.NextLine(t.Context(), 0); err != nil || l.Code != Ring {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

func TestCommand_LateResultIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := open(t)
		go func() {
			_, _ = io.WriteString(modem, "\r\nNO CARRIER\r\n")
			serve(modem, "\r\nOK\r\n")
		}()
		time.Sleep(time.Second)
		if r, err := c.Command(t.Context(), "AT", time.Second); err != nil || r.Code != OK {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestCommand_Errors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := open(t)
		go serve(modem, "", "", "\r\nERROR\r\n")
		start := time.Now()
		if _, err := c.Command(t.Context(), "AT", 3*time.Second); !errors.Is(err, ErrNoReply) || time.Since(start) != 3*time.Second {
			t.Error(err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Command(ctx, "AT", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := c.Do(t.Context(), "AT", time.Second); !errors.Is(err, ErrCommand) {
			t.Error(err)
		}
		if _, err := c.Command(t.Context(), "AT"+strings.Repeat("X", 300), time.Second); !errors.Is(err, ErrTooLong) {
			t.Error(err)
		}
	})
}

func TestChannel_PortLost(t *testing.T) {
	calls := map[string]func(*Channel) error{
		"command":  func(c *Channel) error { _, err := c.Command(context.Background(), "AT", time.Hour); return err },
		"result":   func(c *Channel) error { _, err := c.Result(context.Background(), time.Hour); return err },
		"nextline": func(c *Channel) error { _, err := c.NextLine(context.Background(), 0); return err },
		"write":    func(c *Channel) error { return c.WriteData(context.Background(), make([]byte, 1<<16)) },
		"read": func(c *Channel) error {
			_, _, err := c.ReadData(context.Background(), &Decoder{}, make([]byte, 9), time.Hour)
			return err
		},
	}
	for name, call := range calls {
		for _, byUs := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, modem := open(t)
					time.AfterFunc(time.Second, func() {
						if byUs {
							c.Close()
						} else {
							modem.Close()
						}
					})
					start := time.Now()
					if err := call(c); !errors.Is(err, ErrPortLost) || time.Since(start) != time.Second {
						t.Errorf("running: %v after %v", err, time.Since(start))
					}
					if err := call(c); !errors.Is(err, ErrPortLost) {
						t.Errorf("later: %v", err)
					}
					<-c.Lost()
				})
			})
		}
	}
}

// What came before the loss is still delivered.
func TestChannel_DataBeforeLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := open(t)
		go func() { _, _ = io.WriteString(modem, "\r\nNO CARRIER\r\n"); modem.Close() }()
		<-c.Lost()
		if r, err := c.Result(t.Context(), time.Second); err != nil || r.Code != NoCarrier {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

type countingPort struct {
	testPort
	sent int
}

func (p *countingPort) Read(b []byte) (int, error) { p.sent += len(b); return len(b), nil }

// A modem that sends without end while nobody reads is held, not stored.
func TestChannel_UnreadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, modem := net.Pipe()
		defer modem.Close()
		p := &countingPort{testPort: testPort{host}}
		c := NewChannel(p, nil)
		defer c.Close()
		synctest.Wait()
		if p.sent > maxUnread+2*readSize {
			t.Errorf("%d octets taken", p.sent)
		}
	})
}

func TestReadData_AfterConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := open(t)
		go serve(modem, "\r\nCONNECT\r\n\nab\x10\x10c\x10\x03\r\nNO CARRIER\r\n")
		if r, err := c.Command(t.Context(), "AT+FRM=96", time.Second); err != nil || r.Code != Connect {
			t.Fatal(r, err)
		}
		var got []byte
		var d Decoder
		for buf := make([]byte, 2); ; {
			n, m, err := c.ReadData(t.Context(), &d, buf, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
			if m == End {
				break
			}
		}
		if string(got) != "\nab\x10c" { // the first LF is CONNECT's, the second is data
			t.Errorf("%q", got)
		}
		if r, err := c.Result(t.Context(), time.Second); err != nil || r.Code != NoCarrier {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestChannel_Trace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, modem := open(t)
		var got []string
		c.SetTrace(func(e t30.Event) { got = append(got, string(e.Dir)+e.Text) })
		go serve(modem, "AT\r\r\nRING\r\nOK\r\n")
		if _, err := c.Do(t.Context(), "AT", time.Second); err != nil {
			t.Fatal(err)
		}
		if s := strings.Join(got, " "); s != ">AT <RING <OK" {
			t.Error(s)
		}
	})
}

func TestDecoder(t *testing.T) {
	tests := []struct {
		name, in, want string
		keep           bool
		mark           Mark
	}{
		{"plain", "abc\x10\x03", "abc", false, End},
		{"doubled", "a\x10\x10b\x10\x03", "a\x10b", false, End},
		{"DLE SUB", "a\x10\x1ab\x10\x03", "a\x10\x10b", false, End},
		{"shielded XON and XOFF", "\x10\x51\x10\x53\x10\x03", "\x11\x13", false, End},
		{"unknown pair dropped", "a\x10\x77b\x10\x03", "ab", false, End},
		{"unknown pair kept", "a\x10\x77b\x10\x03", "a\x10\x77b", true, End},
		{"bad FCS", "a\x10\x07", "a", false, BadFCS},
		{"cut in a pair", "a\x10", "a", false, NoMark},
	}
	for _, tt := range tests {
		for size := 1; size <= 8; size++ { // whatever the pieces are
			d := Decoder{KeepUnknown: tt.keep}
			got, mark := decodeAll(&d, []byte(tt.in), size)
			if string(got) != tt.want || mark != tt.mark {
				t.Errorf("%s, %d: %q %v", tt.name, size, got, mark)
			}
		}
	}
}

// decodeAll feeds src in pieces of size through a buffer of size, up to a mark.
func decodeAll(d *Decoder, src []byte, size int) ([]byte, Mark) {
	var out []byte
	buf := make([]byte, size)
	for {
		piece := src[:min(size, len(src))]
		nd, ns, m := d.Decode(buf, piece)
		out, src = append(out, buf[:nd]...), src[ns:]
		if m != NoMark || nd == 0 && len(src) == 0 {
			return out, m
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("a\x10\x10\x10\x1a\x10\x51\x10\x03rest"), 3, true)
	f.Add([]byte{0x10}, 1, false)
	f.Fuzz(func(t *testing.T, b []byte, size int, keep bool) {
		size = 1 + (size&0x7fffffff)%64
		out, _ := decodeAll(&Decoder{KeepUnknown: keep}, b, size)
		if len(out) > len(b) {
			t.Errorf("%d octets out of %d", len(out), len(b))
		}
		whole, _ := decodeAll(&Decoder{KeepUnknown: keep}, b, len(b)+1)
		if !bytes.Equal(out, whole) {
			t.Errorf("pieces give % x, the whole % x", out, whole)
		}
		shielded := append(Shield(nil, b), dle, etx)
		if back, m := decodeAll(&Decoder{KeepUnknown: keep}, shielded, size); m != End || !bytes.Equal(back, b) {
			t.Errorf("shielding does not come off: % x", back)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("\r\nOK\r\n\r\nRING A\r\nNMBR = 1\r\n+FCERROR\n\r\x00\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, single scanner
		var one []string
		for i := range b {
			if _, l, ok := single.scan(b[i : i+1]); ok {
				one = append(one, l)
			}
		}
		for len(b) > 0 {
			n, l, ok := whole.scan(b)
			if n == 0 {
				t.Fatal("no progress")
			}
			b = b[n:]
			if !ok {
				continue
			}
			if len(one) == 0 || one[0] != l {
				t.Fatalf("octet by octet %q, whole %q", one, l)
			}
			one = one[1:]
			if len([]rune(l)) > maxLine {
				t.Errorf("line of %d", len(l))
			}
			if code, text := ParseLine(l); code == Ring && !strings.HasPrefix(strings.ToUpper(text), "RING") {
				t.Errorf("ring %q", text)
			}
		}
	})
}
