package message

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// utf7 is RFC 2152, which old Outlook writes and no library reads.
var utf7 encoding.Encoding = utf7Encoding{}

type utf7Encoding struct{}

func (utf7Encoding) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: &utf7Decoder{}}
}

// NewEncoder: nobody should write it any more.
func (utf7Encoding) NewEncoder() *encoding.Encoder { return encoding.Nop.NewEncoder() }

// utf7Decoder goes octet by octet; between "+" and the end of the base64 it collects UTF-16 units.
type utf7Decoder struct {
	shifted bool
	first   bool // right behind the "+"
	bits    uint32
	nbits   int
	high    rune // first half of a surrogate pair
}

func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < 2*utf8.UTFMax { // a lone half and a letter
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += d.octet(dst[nDst:], src[nSrc])
		nSrc++
	}
	if atEOF && d.high != 0 {
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += d.loneHalf(dst[nDst:])
	}
	return nDst, nSrc, nil
}

func (d *utf7Decoder) octet(dst []byte, c byte) int {
	if !d.shifted {
		if c == '+' {
			*d = utf7Decoder{shifted: true, first: true}
			return 0
		}
		return utf8.EncodeRune(dst, asciiRune(c))
	}
	v := base64Value(c)
	first := d.first
	d.first = false
	if v < 0 {
		n := d.loneHalf(dst)
		d.shifted = false
		switch {
		case c == '-' && first:
			return n + utf8.EncodeRune(dst[n:], '+')
		case c == '-':
			return n
		}
		return n + utf8.EncodeRune(dst[n:], asciiRune(c))
	}
	d.bits, d.nbits = d.bits<<6|uint32(v), d.nbits+6
	if d.nbits < 16 {
		return 0
	}
	d.nbits -= 16
	unit := rune(uint16(d.bits >> d.nbits))
	return d.unit(dst, unit)
}

func (d *utf7Decoder) unit(dst []byte, unit rune) int {
	switch {
	case d.high != 0 && utf16.IsSurrogate(unit) && unit >= 0xDC00:
		r := utf16.DecodeRune(d.high, unit)
		d.high = 0
		return utf8.EncodeRune(dst, r)
	case utf16.IsSurrogate(unit) && unit < 0xDC00:
		n := d.loneHalf(dst)
		d.high = unit
		return n
	}
	n := d.loneHalf(dst)
	return n + utf8.EncodeRune(dst[n:], unit) // a lone second half becomes U+FFFD
}

func (d *utf7Decoder) loneHalf(dst []byte) int {
	if d.high == 0 {
		return 0
	}
	d.high = 0
	return utf8.EncodeRune(dst, utf8.RuneError)
}

func asciiRune(c byte) rune {
	if c >= utf8.RuneSelf {
		return utf8.RuneError
	}
	return rune(c)
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
