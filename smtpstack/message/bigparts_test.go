package message

import (
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestParse_WrappedLargeSmallMemory: attachments inside winmail.dat and inside an opaque signature stream too.
func TestParse_WrappedLargeSmallMemory(t *testing.T) {
	const line, lines = "0123456789abcdef\r\n", 1 << 20
	const size = len(line) * lines
	le := binary.LittleEndian
	dat := string(le.AppendUint16(le.AppendUint32(nil, 0x223E9F78), 1)) + "\x02" + string(le.AppendUint32(le.AppendUint32(nil, 0x0006800F), uint32(size)))
	inner := "Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	total := size + len(inner)
	signed := "\x30\x80" + oidSigned + "\xA0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80" + oidData + "\xA0\x80\x24\x80\x04\x84" + string(binary.BigEndian.AppendUint32(nil, uint32(total))) + inner
	sum := 0
	for _, c := range []byte(line) {
		sum += int(c)
	}
	for name, tt := range map[string]struct{ kind, head, tail string }{
		"winmail.dat": {"application/ms-tnef", dat, string(le.AppendUint16(nil, uint16(sum*lines)))},
		"signed":      {"application/pkcs7-mime", signed, strings.Repeat("\x00\x00", 3) + "\x31\x00" + strings.Repeat("\x00\x00", 3)},
	} {
		head := "From: a@b\r\nContent-Type: " + tt.kind + "\r\nContent-Transfer-Encoding: binary\r\n\r\n" + tt.head
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		w := &heapWatch{r: io.MultiReader(strings.NewReader(head), &repeater{line: line, left: lines}, strings.NewReader(tt.tail))}
		c := &counter{}
		m, err := Parse(w, Limits{}, func(*Part) (io.WriteCloser, error) { return c, nil })
		if err != nil || len(m.Attachments) != 1 || m.Attachments[0].Damaged || c.n != int64(size) || len(m.Notes) != 0 {
			t.Errorf("%s: %v, %d octets of %d, %+v", name, err, c.n, size, m)
		}
		if w.high == 0 || w.high > before.HeapAlloc+16<<20 {
			t.Errorf("%s: the heap went from %d to %d for %d octets", name, before.HeapAlloc, w.high, w.n)
		}
	}
}
