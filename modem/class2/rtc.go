package class2

import "io"

// rtcCutter reads a page without the return to control at its end (T.4 4.1.4: six EOL, in MR with tag bits) and the fill behind that.
// Octets have the first bit on the line lowest.
type rtcCutter struct {
	r    io.Reader
	tail []byte // read, not handed out: the end of the page may be in it
	err  error
}

// rtcTail is more than six EOL with tag bits and fill to an octet take, each EOL padded to whole octets.
const rtcTail = 64

// Read implements [io.Reader].
func (c *rtcCutter) Read(p []byte) (int, error) {
	for c.err == nil && len(c.tail) <= rtcTail {
		buf := make([]byte, 4096)
		n, err := c.r.Read(buf)
		c.tail = append(c.tail, buf[:n]...)
		if c.err = err; err == io.EOF {
			c.tail = cutRTC(c.tail)
		}
	}
	n := len(c.tail)
	if c.err == nil {
		n -= rtcTail
	}
	n = copy(p, c.tail[:n])
	c.tail = c.tail[n:]
	if n == 0 && c.err != nil {
		return 0, c.err
	}
	return n, nil
}

// eolZeros is the number of zeros at least that begin an EOL (T.4 4.1.2).
const eolZeros = 11

// cutRTC takes the run of EOLs, two or more of them, and the zeros behind it off the end of b. The last octet left is filled with
// zeros.
func cutRTC(b []byte) []byte {
	bit := func(i int) bool { return b[i/8]>>(i%8)&1 != 0 }
	end := len(b) * 8
	for end > 0 && !bit(end-1) { // fill
		end--
	}
	cut, eols := end, 0
	for at := end; at > 0; {
		i := at // at the end of an EOL, or of its tag bit
		if !bit(i - 1) {
			i-- // tag bit 0
		}
		if i == 0 || !bit(i-1) {
			break
		}
		next, ok := beforeEOL(bit, i)
		if !ok && i > 1 && bit(i-2) { // that was a tag bit 1
			next, ok = beforeEOL(bit, i-1)
		}
		if !ok {
			break
		}
		eols++
		cut, at = next, next
	}
	if eols < 2 {
		return b
	}
	b = b[:(cut+7)/8]
	if cut%8 != 0 {
		b[len(b)-1] &= 1<<(cut%8) - 1
	}
	return b
}

// beforeEOL returns where the EOL begins whose one is the bit before i; no more zeros than an EOL has are taken, and fill up to an octet.
func beforeEOL(bit func(int) bool, i int) (start int, ok bool) {
	zeros := 0
	for i-1-zeros > 0 && zeros < eolZeros && !bit(i-2-zeros) {
		zeros++
	}
	return i - 1 - zeros, zeros == eolZeros
}
