package tiff

import (
	"bufio"
	"errors"
	"io"
)

// unpacker decodes PackBits (TIFF 6.0 section 9).
type unpacker struct {
	r       *bufio.Reader
	literal int // bytes to copy
	repeat  int // times to repeat value
	value   byte
}

func newUnpacker(r io.Reader) *unpacker { return &unpacker{r: bufio.NewReader(r)} }

func (u *unpacker) Read(p []byte) (int, error) {
	for n := range p {
		b, err := u.next()
		if err != nil {
			if n > 0 && errors.Is(err, io.EOF) {
				return n, nil
			}
			return n, err
		}
		p[n] = b
	}
	return len(p), nil
}

func (u *unpacker) next() (byte, error) {
	for {
		if u.repeat > 0 {
			u.repeat--
			return u.value, nil
		}
		if u.literal > 0 {
			u.literal--
			return u.r.ReadByte()
		}
		c, err := u.r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch n := int8(c); {
		case n >= 0:
			u.literal = int(n) + 1
		case n != -128: // that one is nothing
			if u.value, err = u.r.ReadByte(); err != nil {
				return 0, err
			}
			u.repeat = 1 - int(n)
		}
	}
}
