package t4

import (
	"fmt"
	"strings"

	"github.com/tipring/tipring/imaging"
)

// The twin: T.4 and T.6 as the text has them, one pel and one bit at a time, with strings of '0' and '1'. It shares only the
// code word tables, which libtiff checks (imaging/tiff), with what it checks.

func naiveRun(color, n int) string {
	words, s := &whiteWords, ""
	if color == 1 {
		words = &blackWords
	}
	for n >= 2560 {
		s += longWords[12]
		n -= 2560
	}
	if n >= 1792 {
		s += longWords[(n-1792)/64]
	} else if n >= 64 {
		s += words[63+n/64]
	}
	return s + words[n%64]
}

func naiveLine(b *imaging.Bitmap, y int) []int {
	line := make([]int, b.Width)
	if y < 0 {
		return line
	}
	for x := range line {
		line[x] = int(b.ColorIndexAt(x, y))
	}
	return line
}

// nextChange returns the first changing element right of a0 whose new colour is not color; T.4 4.2.1.1.
func nextChange(line []int, a0, color int) int {
	for x := a0 + 1; x < len(line); x++ {
		before := 0
		if x > 0 {
			before = line[x-1]
		}
		if line[x] != before && line[x] != color {
			return x
		}
	}
	return len(line)
}

func endOfRun(line []int, x, color int) int {
	for x < len(line) && line[x] == color {
		x++
	}
	return x
}

func naive1D(line []int) string {
	s := ""
	for x, color := 0, 0; x < len(line); color ^= 1 {
		end := endOfRun(line, x, color)
		s += naiveRun(color, end-x)
		x = end
	}
	return s
}

func naive2D(line, ref []int) string {
	s := ""
	for a0, color := -1, 0; a0 < len(line); {
		a1 := endOfRun(line, max(a0, 0), color)
		b1 := nextChange(ref, a0, color)
		b2 := endOfRun(ref, b1, 1-color)
		switch d := a1 - b1; {
		case b2 < a1:
			s += "0001"
			a0 = b2
		case d >= -3 && d <= 3:
			s += map[int]string{0: "1", 1: "011", 2: "000011", 3: "0000011", -1: "010", -2: "000010", -3: "0000010"}[d]
			a0, color = a1, 1-color
		default:
			a2 := endOfRun(line, a1, 1-color)
			s += "001" + naiveRun(color, a1-max(a0, 0)) + naiveRun(1-color, a2-a1)
			a0 = a2
		}
	}
	return s
}

func pad(s string, to int) string { return s + strings.Repeat("0", (to-len(s)%to)%to) }

// naiveEncode codes b as f says, into zeros and ones.
func naiveEncode(b *imaging.Bitmap, f Format) string {
	s, _ := naiveLines(b, f)
	return s
}

// naiveLines is naiveEncode; it tells also where each line begins, with its EOL.
func naiveLines(b *imaging.Bitmap, f Format) (s string, starts []int) {
	var out strings.Builder
	const eol = "000000000001"
	for y := range b.Height {
		starts = append(starts, out.Len())
		line, ref := naiveLine(b, y), naiveLine(b, y-1)
		oneDim := f.Coding == imaging.MH || f.Coding == imaging.MR && y%f.K == 0
		data := naive1D(line)
		if !oneDim {
			data = naive2D(line, ref)
		}
		lead := ""
		if f.EOL {
			lead = eol
			if f.AlignEOL {
				lead = strings.Repeat("0", (16-(out.Len()+12)%8)%8) + eol
			}
		}
		if f.Coding == imaging.MR {
			lead += map[bool]string{true: "1", false: "0"}[oneDim]
		}
		if n := f.MinLineBits - len(lead+data); n > 0 {
			data += strings.Repeat("0", n)
		}
		out.WriteString(lead + data)
		if f.AlignLines {
			out.WriteString(strings.Repeat("0", (8-out.Len()%8)%8))
		}
	}
	s = out.String()
	if f.End {
		if f.AlignEOL {
			s += strings.Repeat("0", (16-(len(s)+12)%8)%8)
		}
		switch f.Coding {
		case imaging.MH:
			s += strings.Repeat(eol, 6)
		case imaging.MR:
			s += strings.Repeat(eol+"1", 6)
		case imaging.MMR:
			s += eol + eol
		}
	}
	return pad(s, 8), starts
}

// octets packs zeros and ones.
func octets(s string, o BitOrder) []byte {
	out := make([]byte, len(s)/8)
	for i, c := range s {
		if c == '1' {
			if o == MSBFirst {
				out[i/8] |= 0x80 >> (i % 8)
			} else {
				out[i/8] |= 1 << (i % 8)
			}
		}
	}
	return out
}

// naiveTake takes the code word that s begins with.
func naiveTake(s string, words map[string]int) (value int, rest string, err error) {
	for n := 1; n <= 13 && n <= len(s); n++ {
		if v, ok := words[s[:n]]; ok {
			return v, s[n:], nil
		}
	}
	return 0, s, fmt.Errorf("no code word: %.13s", s)
}

var naiveRuns = func() (m [2]map[string]int) {
	for c, words := range [2][91]string{whiteWords, blackWords} {
		m[c] = map[string]int{}
		for i, w := range words {
			m[c][w] = i
			if i > 63 {
				m[c][w] = (i - 63) * 64
			}
		}
		for i, w := range longWords {
			m[c][w] = 1792 + 64*i
		}
	}
	return m
}()

func naiveTakeRun(s string, color int) (n int, rest string, err error) {
	for {
		v, r, err := naiveTake(s, naiveRuns[color])
		if err != nil {
			return 0, s, err
		}
		n, s = n+v, r
		if v < 64 {
			return n, s, nil
		}
	}
}

// naiveDecodeMMR decodes lines of T.6 until EOFB or anything else that is no line.
func naiveDecodeMMR(s string, width int) [][]int {
	var lines [][]int
	modes := map[string]int{"0001": 10, "001": 11, "1": 0, "011": 1, "000011": 2, "0000011": 3, "010": -1, "000010": -2, "0000010": -3, "0000001111": 12}
	for ref := make([]int, width); ; ref = lines[len(lines)-1] {
		line := make([]int, width)
		set := func(from, to, color int) bool {
			if to < max(from, 0) || to > width {
				return false
			}
			for x := max(from, 0); x < to; x++ {
				line[x] = color
			}
			return true
		}
		for a0, color := -1, 0; a0 < width; {
			m, rest, err := naiveTake(s, modes)
			if err != nil {
				return lines
			}
			s = rest
			b1 := nextChange(ref, a0, color)
			ok := true
			switch m {
			case 10:
				b2 := endOfRun(ref, b1, 1-color)
				ok = set(a0, b2, color)
				a0 = b2
			case 11:
				x := max(a0, 0)
				for i := range 2 {
					n, rest, err := naiveTakeRun(s, color^i)
					if err != nil {
						return lines
					}
					s = rest
					ok = ok && set(x, x+n, color^i)
					x += n
				}
				a0 = x
			case 12:
				x, next, rest, err := naiveTakePels(s, line, max(a0, 0))
				if err != nil {
					return lines
				}
				if s, color = rest, next; x > 0 {
					a0 = x
				}
			default:
				ok = set(a0, b1+m, color)
				a0, color = b1+m, 1-color
			}
			if !ok {
				return lines
			}
		}
		lines = append(lines, line)
	}
}

// naiveTakePels takes what uncompressed mode codes into line, from x on, and returns where it ends and the colour behind.
func naiveTakePels(s string, line []int, x int) (to, next int, rest string, err error) {
	for {
		zeros := strings.IndexByte(s, '1')
		switch {
		case x == len(line) && zeros != 6:
			return x, 0, s, nil
		case zeros < 0 || zeros > 10 || zeros > 5 && zeros+1 == len(s):
			return x, 0, s, fmt.Errorf("no code word: %.13s", s)
		}
		s = s[zeros+1:]
		pels := []int{0, 0, 0, 0, 1}[4-min(zeros, 4):]
		if zeros == 5 {
			pels = []int{0, 0, 0, 0, 0}
		} else if zeros > 5 {
			pels = make([]int, zeros-6)
		}
		if x+len(pels) > len(line) {
			return x, 0, s, fmt.Errorf("pels beyond the line")
		}
		for i, p := range pels {
			line[x+i] = p
		}
		if x += len(pels); zeros > 5 {
			return x, int(s[0] - '0'), s[1:], nil
		}
	}
}
