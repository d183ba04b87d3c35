package virtual

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// dte is a tiny hand-written driver: the other side of the serial port.
type dte struct {
	t     testing.TB
	port  DTE
	mu    sync.Mutex
	buf   []byte
	reads []string // of the port, one by one
	more  chan struct{}
	gone  chan struct{}
}

func openDTE(t testing.TB, m *Modem) *dte {
	t.Helper()
	p, err := m.Open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	d := &dte{t: t, port: p, more: make(chan struct{}, 1), gone: make(chan struct{})}
	go func() {
		defer close(d.gone)
		b := make([]byte, 512)
		for {
			n, err := p.Read(b)
			d.mu.Lock()
			d.buf = append(d.buf, b[:n]...)
			d.reads = append(d.reads, string(b[:n]))
			d.mu.Unlock()
			select {
			case d.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return d
}

func (d *dte) close() {
	d.t.Helper()
	if err := d.port.Close(); err != nil {
		d.t.Errorf("close: %v", err)
	}
	<-d.gone
}

func (d *dte) send(s string) {
	d.t.Helper()
	if _, err := d.port.Write([]byte(s)); err != nil {
		d.t.Fatalf("write %q: %v", s, err)
	}
}

// sendStopping sends in small pieces and keeps to XON/XOFF.
func (d *dte) sendStopping(s string) {
	d.t.Helper()
	for len(s) > 0 {
		d.mu.Lock()
		held := bytes.LastIndexByte(d.buf, xof) > bytes.LastIndexByte(d.buf, xon)
		d.mu.Unlock()
		if held {
			time.Sleep(time.Millisecond)
			continue
		}
		n := min(len(s), 64)
		d.send(s[:n])
		s = s[n:]
	}
}

// until returns everything up to and with want.
func (d *dte) until(want string, wait time.Duration) string {
	d.t.Helper()
	s, ok := d.tryUntil(want, wait)
	if !ok {
		d.t.Fatalf("no %q within %v; got %q", want, wait, s)
	}
	return s
}

func (d *dte) tryUntil(want string, wait time.Duration) (string, bool) {
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		d.mu.Lock()
		if i := bytes.Index(d.buf, []byte(want)); i >= 0 {
			s := string(d.buf[:i+len(want)])
			d.buf = d.buf[i+len(want):]
			d.mu.Unlock()
			return s, true
		}
		rest := string(d.buf)
		d.mu.Unlock()
		select {
		case <-d.more:
		case <-end.C:
			return rest, false
		}
	}
}

// quiet fails if anything comes within wait.
func (d *dte) quiet(wait time.Duration) {
	d.t.Helper()
	time.Sleep(wait)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.buf) > 0 {
		d.t.Fatalf("want nothing, got %q", d.buf)
	}
}

// cmd sends a command line and returns what came up to the result code want, without it.
func (d *dte) cmd(line, want string) string {
	d.t.Helper()
	d.send(line + "\r")
	s := d.until("\r\n"+want+"\r\n", 3*time.Minute)
	return strings.TrimSuffix(s, "\r\n"+want+"\r\n")
}

// result waits for a result code.
func (d *dte) result(want string) {
	d.t.Helper()
	if s := d.until("\r\n"+want+"\r\n", 3*time.Minute); s != "\r\n"+want+"\r\n" {
		d.t.Fatalf("before %s came %q", want, s)
	}
}

// data reads to DLE ETX and returns it without shielding.
func (d *dte) data() []byte {
	d.t.Helper()
	var out []byte
	for {
		s := d.until("\x10", time.Hour)
		out = append(out, s[:len(s)-1]...)
		switch c := d.one(); c {
		case 0x10:
			out = append(out, 0x10)
		case 0x1A:
			out = append(out, 0x10, 0x10)
		case 0x03:
			return out
		default:
			d.t.Fatalf("DLE %02x in data", c)
		}
	}
}

func (d *dte) one() byte {
	d.t.Helper()
	for range 100 {
		d.mu.Lock()
		if len(d.buf) > 0 {
			b := d.buf[0]
			d.buf = d.buf[1:]
			d.mu.Unlock()
			return b
		}
		d.mu.Unlock()
		select {
		case <-d.more:
		case <-time.After(time.Minute):
		}
	}
	d.t.Fatal("nothing after DLE")
	return 0
}

// shielded is data and DLE ETX as a DTE sends it.
func shielded(data []byte) string {
	return string(bytes.ReplaceAll(data, []byte{0x10}, []byte{0x10, 0x10})) + "\x10\x03"
}

// sendFrames sends frames by +FTH=3 after its CONNECT.
func (d *dte) sendFrames(frames ...string) {
	d.t.Helper()
	for i, f := range frames {
		d.send(shielded([]byte(f)))
		if i < len(frames)-1 {
			d.result("CONNECT")
		} else {
			d.result("OK")
		}
	}
}

// recvFrame gives the frame after a CONNECT, its FCS checked by a second implementation.
func (d *dte) recvFrame() string {
	d.t.Helper()
	b := d.data()
	d.result("OK")
	if len(b) < 3 {
		d.t.Fatalf("frame of %d octets", len(b))
	}
	n := len(b) - 2
	if want := naiveFCS(b[:n]); want != [2]byte{b[n], b[n+1]} {
		d.t.Fatalf("frame % x: FCS want % x", b, want)
	}
	return string(b[:n])
}

// naiveFCS divides bit by bit, as T.30 5.3.7 words it.
func naiveFCS(b []byte) [2]byte {
	reg := uint16(0xFFFF)
	for _, c := range b {
		for i := range 8 {
			in := uint16(c>>i&1) ^ reg>>15
			reg <<= 1
			if in != 0 {
				reg ^= 0x1021
			}
		}
	}
	reg = ^reg
	var out [2]byte // sent high bit first, packed least significant first
	for i := range 16 {
		out[i/8] |= byte(reg>>(15-i)&1) << (i % 8)
	}
	return out
}

// pair is two modems on an exchange, each with an open port in Class 1 without echo.
func pair(t testing.TB, o Options) (ex *Exchange, a, b *dte, done func()) {
	t.Helper()
	ex = NewExchange(o)
	a = openDTE(t, ex.NewModem("5550100", ModemOptions{CallerID: true}))
	b = openDTE(t, ex.NewModem("5550101", ModemOptions{CallerID: true}))
	for _, d := range []*dte{a, b} {
		d.cmd("ATE0", "OK")
		d.cmd("AT+FCLASS=1", "OK")
	}
	return ex, a, b, func() {
		a.close()
		b.close()
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
	}
}

const (
	frameNSF = "\xff\x03\x20\x10\x10\x7e\xff\xff"
	frameCSI = "\xff\x03\x40\x30\x31\x32\x33"
	frameDIS = "\xff\x13\x80\x00\xce\xf4\x80\x00"
	frameTSI = "\xff\x03\xc2\x30\x31"
	frameDCS = "\xff\x13\xc1\x00\x46\x48\x10\x03"
	frameCFR = "\xff\x13\x21"
	frameEOP = "\xff\x13\x2f"
	frameMCF = "\xff\x13\x8c"
)

// connectPair makes a call b and plays phase B up to the DCS.
func connectPair(a, b *dte) {
	a.t.Helper()
	a.send("ATDT5550101\r")
	b.result("RING")
	b.send("ATA\r")
	b.result("CONNECT")
	b.sendFrames(frameCSI, frameDIS)
	a.result("CONNECT")
	if f := a.recvFrame(); f != frameCSI {
		a.t.Fatalf("first frame % x", f)
	}
	a.cmd("AT+FRH=3", "CONNECT")
	if f := a.recvFrame(); f != frameDIS {
		a.t.Fatalf("second frame % x", f)
	}
}
