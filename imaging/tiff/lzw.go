package tiff

import (
	"bufio"
	"fmt"
	"io"
)

// Codes of TIFF's LZW (TIFF 6.0 section 13).
const (
	lzwClear    = 256
	lzwEnd      = 257
	lzwFirst    = 258
	lzwMaxCodes = 4096
)

// lzwReader decodes TIFF's LZW: most significant bit first, codes of 9 to 12 bits, each length given up one code early.
type lzwReader struct {
	r     *bufio.Reader
	acc   uint32
	n     uint // valid bits in acc, right-aligned
	width uint // bits of the next code
	next  int  // the code that the next string gets
	last  int  // the code before, -1 behind a clear code

	// A code's string is its prefix's string and its last byte.
	prefix [lzwMaxCodes]uint16
	suffix [lzwMaxCodes]byte
	out    []byte // bytes decoded, last first
}

func newLZWReader(r io.Reader) *lzwReader {
	l := &lzwReader{r: bufio.NewReader(r), out: make([]byte, 0, lzwMaxCodes)}
	for i := range lzwClear {
		l.suffix[i] = byte(i)
	}
	l.clear()
	return l
}

func (l *lzwReader) clear() { l.width, l.next, l.last = 9, lzwFirst, -1 }

func (l *lzwReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		for len(l.out) > 0 && n < len(p) {
			p[n] = l.out[len(l.out)-1]
			l.out = l.out[:len(l.out)-1]
			n++
		}
		if n == len(p) {
			break
		}
		if err := l.decode(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// decode puts the next code's string into out.
func (l *lzwReader) decode() error {
	for l.n < l.width {
		b, err := l.r.ReadByte()
		if err != nil {
			return err
		}
		l.acc, l.n = l.acc<<8|uint32(b), l.n+8
	}
	l.n -= l.width
	code := int(l.acc >> l.n & (1<<l.width - 1))
	switch {
	case code == lzwClear:
		l.clear()
		return nil
	case code == lzwEnd:
		return io.EOF
	case code > l.next || code == l.next && l.last < 0 || code >= lzwFirst && l.last < 0:
		return fmt.Errorf("%w: lzw code %d before %d", ErrMalformed, code, l.next)
	}
	l.expand(code)
	if l.last >= 0 && l.next < lzwMaxCodes {
		l.prefix[l.next], l.suffix[l.next] = uint16(l.last), l.out[len(l.out)-1]
		l.next++
	}
	if l.next >= 1<<l.width-1 && l.width < 12 {
		l.width++
	}
	l.last = code
	return nil
}

// expand puts a code's string into out. The code that comes next is the last string and its own first byte.
func (l *lzwReader) expand(code int) {
	from := code
	if code == l.next {
		l.out = append(l.out, 0)
		from = l.last
	}
	for ; from >= lzwFirst; from = int(l.prefix[from]) {
		l.out = append(l.out, l.suffix[from])
	}
	l.out = append(l.out, byte(from))
	if code == l.next {
		l.out[0] = byte(from)
	}
}
