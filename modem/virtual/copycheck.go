package virtual

import "strings"

// What a modem's firmware has to know of T.4 to check the lines of a page of MH or MR (+FCQ=1). It is told of lines, not of pictures.

// codeWords are T.4's code words of runs as text: white 0 to 63, then 64, 128 ... 1728; black likewise; then 1792 ... 2560 of both (Tables 2, 3a, 3b).
const (
	whiteWords = "00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 101010 101011 0100111 0001100 0001000 " +
		"0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 00000011 00011010 00011011 00010010 00010011 00010100 00010101 00010110 " +
		"00010111 00101000 00101001 00101010 00101011 00101100 00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 00100100 " +
		"00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 00110011 00110100 " +
		"11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 011010010 011010011 011010100 011010101 " +
		"011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 010011010 011000 010011011"
	blackWords = "0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000 0000010111 0000011000 0000001000 " +
		"00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 00000011000 000011001010 000011001011 000011001100 000011001101 000001101000 " +
		"000001101001 000001101010 000001101011 000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 000001101101 " +
		"000011011010 000011011011 000001010100 000001010101 000001010110 000001010111 000001100100 000001100101 000001010010 000001010011 000000100100 " +
		"000000110111 000000111000 000000100111 000000101000 000001011000 000001011001 000000101011 000000101100 000001011010 000001100110 000001100111 " +
		"0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 0000001101101 0000001001010 0000001001011 " +
		"0000001001100 0000001001101 0000001110010 0000001110011 0000001110100 0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 " +
		"0000001010100 0000001010101 0000001011010 0000001011011 0000001100100 0000001100101"
	longWords = " 00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 000000010111 000000011100 000000011101 " +
		"000000011110 000000011111"
	// modeWords: pass, horizontal, vertical by -3 to 3 (Table 4).
	modeWords = "0001 001 0000010 000010 010 1 011 000011 0000011"
)

const (
	modePass = iota
	modeHorizontal
	modeVertical0 = 5
)

// wordIndex are code words, each with a one in front, and their places in the list.
func wordIndex(list string) map[int]int {
	m := map[int]int{}
	for i, w := range strings.Fields(list) {
		k := 1
		for _, c := range w {
			k = k<<1 | int(c-'0')
		}
		m[k] = i
	}
	return m
}

var (
	runs  = [2]map[int]int{wordIndex(whiteWords + longWords), wordIndex(blackWords + longWords)}
	modes = wordIndex(modeWords)
)

// longestWord is that of a code word, in bits.
const longestWord = 13

// pageBits reads a page, the first bit of an octet lowest.
type pageBits struct {
	b   []byte
	pos int
	end int // of the line
}

func (p *pageBits) at(i int) int { return int(p.b[i/8] >> (i % 8) & 1) }

// word reads a code word of a list; ok is false for none before the line's end.
func (p *pageBits) word(list map[int]int) (place int, ok bool) {
	k := 1
	for n := 0; n < longestWord && p.pos < p.end; n++ {
		k = k<<1 | p.at(p.pos)
		p.pos++
		if place, ok = list[k]; ok {
			return place, true
		}
	}
	return 0, false
}

// run reads one run: make-up codes and a terminating one.
func (p *pageBits) run(colour int) (n int, ok bool) {
	for {
		i, ok := p.word(runs[colour])
		if !ok {
			return 0, false
		}
		if i < 64 {
			return n + i, true
		}
		n += (i - 63) * 64
	}
}

// line1D reads a line of MH as the places at which the colour changes, from white.
func (p *pageBits) line1D(width int) (changes []int, ok bool) {
	for at, colour := 0, 0; at < width; colour ^= 1 {
		n, ok := p.run(colour)
		if at += n; !ok || at > width {
			return nil, false
		}
		changes = append(changes, at)
	}
	return changes, true
}

// line2D reads a line of MR whose reference line is ref (T.4 4.2.1.3).
func (p *pageBits) line2D(ref []int, width int) (changes []int, ok bool) {
	a0, colour := -1, 0
	for max(a0, 0) < width {
		b1, b2 := width, width
		for i := colour; i < len(ref); i += 2 { // those to the colour opposite
			if ref[i] > a0 {
				if b1 = ref[i]; i+1 < len(ref) {
					b2 = ref[i+1]
				}
				break
			}
		}
		switch mode, ok := p.word(modes); {
		case !ok:
			return nil, false
		case mode == modePass:
			a0 = b2
		case mode == modeHorizontal:
			n1, ok1 := p.run(colour)
			n2, ok2 := p.run(colour ^ 1)
			a1 := max(a0, 0) + n1
			if a0 = a1 + n2; !ok1 || !ok2 || a0 > width {
				return nil, false
			}
			changes = append(changes, a1, a0)
		default:
			a1 := b1 + mode - modeVertical0
			if a1 < max(a0, 0) || a1 > width {
				return nil, false
			}
			a0, colour, changes = a1, colour^1, append(changes, a1)
		}
	}
	return changes, true
}

// copyQuality is what +FPTS tells of a received page: lines, bad ones, and the most bad ones in a row.
type copyQuality struct{ lines, bad, longest int }

// checkCopy checks the lines of a page.
func checkCopy(page []byte, mr bool, width int) (q copyQuality) {
	p := &pageBits{b: page}
	var ref []int
	run, have := 0, p.nextLine()
	for have {
		oneD := true
		if mr && p.pos < p.end {
			oneD = p.at(p.pos) == 1
			p.pos++
		}
		line := *p
		have = p.nextLine()
		if line.blank() { // return to control
			continue
		}
		ok := oneD || ref != nil
		var changes []int
		if oneD {
			changes, ok = line.line1D(width)
		} else if ok {
			changes, ok = line.line2D(ref, width)
		}
		ok = ok && line.blank() // fill
		q.lines++
		if ref = nil; ok {
			ref, run = changes, 0
			continue
		}
		q.bad++
		run++
		q.longest = max(q.longest, run)
	}
	return q
}

// blank tells whether nothing but zeros is left of the line.
func (p *pageBits) blank() bool {
	for i := p.pos; i < p.end; i++ {
		if p.at(i) == 1 {
			return false
		}
	}
	return true
}

// nextLine goes behind the next EOL and finds the end of the line there: before the EOL that follows.
func (p *pageBits) nextLine() bool {
	zeros, found := 0, false
	for p.pos = p.end; p.pos < len(p.b)*8; p.pos++ {
		if p.at(p.pos) == 0 {
			zeros++
			continue
		}
		if zeros >= 11 {
			p.pos, found = p.pos+1, true
			break
		}
		zeros = 0
	}
	zeros = 0
	for p.end = p.pos; p.end < len(p.b)*8; p.end++ {
		if p.at(p.end) == 0 {
			zeros++
			continue
		}
		if zeros >= 11 {
			p.end -= 11 // zeros before these are fill, or the end of a code word
			return found
		}
		zeros = 0
	}
	return found
}

// verdict is the answer to the page: MCF, RTN for one bad line in badMul or badLin in a row, RTP for half as many.
func (q copyQuality) verdict(badMul, badLin int) int {
	switch {
	case q.bad*badMul > q.lines, badLin > 0 && q.longest >= badLin:
		return 2
	case q.bad*badMul*2 > q.lines:
		return 3
	}
	return 1
}
