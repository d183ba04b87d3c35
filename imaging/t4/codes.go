package t4

import "slices"

// code is one code word: its bits, right-aligned, and their number.
type code struct {
	bits uint16
	n    uint8
}

// word reads a code word written as zeros and ones.
func word(s string) code {
	var c code
	for _, r := range s {
		c.bits = c.bits<<1 | uint16(r-'0')
		c.n++
	}
	return c
}

// whiteWords are the code words of white runs (T.4 tables 2 and 3a): 0 to 63, then 64, 128 ... 1728.
var whiteWords = [64 + 27]string{
	"00110101", "000111", "0111", "1000", "1011", "1100", "1110", "1111",
	"10011", "10100", "00111", "01000", "001000", "000011", "110100", "110101",
	"101010", "101011", "0100111", "0001100", "0001000", "0010111", "0000011", "0000100",
	"0101000", "0101011", "0010011", "0100100", "0011000", "00000010", "00000011", "00011010",
	"00011011", "00010010", "00010011", "00010100", "00010101", "00010110", "00010111", "00101000",
	"00101001", "00101010", "00101011", "00101100", "00101101", "00000100", "00000101", "00001010",
	"00001011", "01010010", "01010011", "01010100", "01010101", "00100100", "00100101", "01011000",
	"01011001", "01011010", "01011011", "01001010", "01001011", "00110010", "00110011", "00110100",

	"11011", "10010", "010111", "0110111", "00110110", "00110111", "01100100", "01100101",
	"01101000", "01100111", "011001100", "011001101", "011010010", "011010011", "011010100", "011010101",
	"011010110", "011010111", "011011000", "011011001", "011011010", "011011011", "010011000", "010011001",
	"010011010", "011000", "010011011",
}

// blackWords are the code words of black runs (T.4 tables 2 and 3a): 0 to 63, then 64, 128 ... 1728.
var blackWords = [64 + 27]string{
	"0000110111", "010", "11", "10", "011", "0011", "0010", "00011",
	"000101", "000100", "0000100", "0000101", "0000111", "00000100", "00000111", "000011000",
	"0000010111", "0000011000", "0000001000", "00001100111", "00001101000", "00001101100", "00000110111", "00000101000",
	"00000010111", "00000011000", "000011001010", "000011001011", "000011001100", "000011001101", "000001101000", "000001101001",
	"000001101010", "000001101011", "000011010010", "000011010011", "000011010100", "000011010101", "000011010110", "000011010111",
	"000001101100", "000001101101", "000011011010", "000011011011", "000001010100", "000001010101", "000001010110", "000001010111",
	"000001100100", "000001100101", "000001010010", "000001010011", "000000100100", "000000110111", "000000111000", "000000100111",
	"000000101000", "000001011000", "000001011001", "000000101011", "000000101100", "000001011010", "000001100110", "000001100111",

	"0000001111", "000011001000", "000011001001", "000001011011", "000000110011", "000000110100", "000000110101", "0000001101100",
	"0000001101101", "0000001001010", "0000001001011", "0000001001100", "0000001001101", "0000001110010", "0000001110011", "0000001110100",
	"0000001110101", "0000001110110", "0000001110111", "0000001010010", "0000001010011", "0000001010100", "0000001010101", "0000001011010",
	"0000001011011", "0000001100100", "0000001100101",
}

// longWords are the make-up code words of both colours (T.4 table 3b): 1792, 1856 ... 2560.
var longWords = [13]string{
	"00000001000", "00000001100", "00000001101", "000000010010", "000000010011", "000000010100", "000000010101",
	"000000010110", "000000010111", "000000011100", "000000011101", "000000011110", "000000011111",
}

const (
	maxMakeup = 2560
	eolBits   = 12 // eleven 0 and a 1 (T.4 4.1.2)
)

// Modes of a two-dimensional line (T.4 table 4, T.6 table 1).
const (
	modePass = iota
	modeHorizontal
	modeVertical // with the distance of a1 from b1
	modeBad      // no mode: EOL, an extension, or damage
)

var (
	passCode       = word("0001")
	horizontalCode = word("001")
	// verticalCodes: a1 three to the left of b1 ... above ... three to the right.
	verticalCodes = [7]code{
		word("0000010"), word("000010"), word("010"), word("1"), word("011"), word("000011"), word("0000011"),
	}
)

// maxRun is the longest run that one make-up code word and a terminating one say.
const maxRun = maxMakeup + 63

// packed is a code word, or a run's two, in the encoder's tables: the bits over six for their number, by which a shift of 64 bits takes
// it as it is.
type packed uint32

func pack(bits uint32, n uint8) packed { return packed(bits<<6 | uint32(n)) }

func (p packed) word() uint64 { return uint64(p >> 6) }
func (p packed) bits() uint   { return uint(p & 63) }

// then is p with q behind it.
func (p packed) then(q packed) (bits uint64, n uint) {
	return p.word()<<q.bits() | q.word(), (p + q).bits()
}

// What a looked-up code word is.
const (
	runBad    = iota // no code word; EOL too
	runTerm          // ends the run
	runMakeup        // the run goes on
)

// runEntry is what the next 13 bits begin with.
type runEntry struct {
	run  uint16
	n    uint8 // bits of the code word
	kind uint8
}

// modeEntry is what the next 7 bits of a two-dimensional line begin with.
type modeEntry struct {
	mode  uint8
	n     uint8
	delta int8
}

// lookEntry is what the next lookBits bits begin with: one or two whole runs, or a make-up code word. From the lowest bit on: 6 bits for
// the bits taken, by which a shift of 64 bits takes them as they are; 2 for how many runs end, of which the lower stands once more at
// lookBits, as what the colour changes by in an index into looks. Between is room for the sum of four looks. Above are 6 bits for the pels of the second run and 13 for those
// of the first, which are lookOther, beyond any line, when the bits begin with anything else. The table has to stay in the
// processor's first cache.
type lookEntry uint32

const (
	lookOther = 1<<13 - 1
	lookBlack = 1 << lookBits // in an index into looks: the first run is black
	maxSecond = 63
)

func (e lookEntry) first() int32  { return int32(e >> 19) }
func (e lookEntry) second() int32 { return int32(e >> 13 & maxSecond) }
func (e lookEntry) bits() uint    { return uint(e & 63) }
func (e lookEntry) ends() int     { return int(e >> 6 & 3) }

func newLookEntry(first, second, bits, ends int) lookEntry {
	return lookEntry(first<<19 | second<<13 | ends&1<<lookBits | ends<<6 | bits)
}

// lookAt is what acc begins with where change i ends the first run.
func lookAt(i int, acc uint64) lookEntry { return looks[uint64(i&1)<<lookBits|acc>>(64-lookBits)] }

// stepEntry is what the next modeBits bits of a two-dimensional line begin with, if it is mode vertical or pass: where the next a0 is, at
// ref[b+pass]+delta. From the lowest bit on: 6 bits for the bits taken, as in lookEntry, 1 for pass, the rest is delta; noStep, which
// leads nowhere, stands for anything else.
type stepEntry int32

const noStep = -1 << 20

func newStep(delta, pass, bits int) stepEntry { return stepEntry(delta<<7 | pass<<6 | bits) }

func (e stepEntry) delta() int32 { return int32(e >> 7) }
func (e stepEntry) pass() int    { return int(e >> 6 & 1) }
func (e stepEntry) bits() uint   { return uint(e & 63) }

const (
	runBits  = 13
	modeBits = 7
	lookBits = 12
)

// Index 0 is white, 1 black.
var (
	wholeRuns  [2][maxRun + 1]packed // a run's code words
	vertical   [7]packed             // as verticalCodes
	decodeRuns [2][1 << runBits]runEntry
	decodeMode [1 << modeBits]modeEntry
	looks      [2 << lookBits]lookEntry // by the first run's colour, then the bits
	steps      [1 << modeBits]stepEntry
)

func init() {
	for color, words := range [2]*[64 + 27]string{&whiteWords, &blackWords} {
		for i, s := range words[:64] {
			wholeRuns[color][i] = pack(uint32(word(s).bits), word(s).n)
			enterRun(color, word(s), i, runTerm)
		}
		for i, s := range slices.Concat(words[64:], longWords[:]) {
			m := word(s)
			enterRun(color, m, (i+1)*64, runMakeup)
			for k := range 64 {
				t := word(words[k])
				wholeRuns[color][(i+1)*64+k] = pack(uint32(m.bits)<<t.n|uint32(t.bits), m.n+t.n)
			}
		}
	}
	for i, c := range verticalCodes {
		vertical[i] = pack(uint32(c.bits), c.n)
	}
	for i := range decodeMode {
		decodeMode[i].mode = modeBad
	}
	enterMode(passCode, modePass, 0)
	enterMode(horizontalCode, modeHorizontal, 0)
	for i, c := range verticalCodes {
		enterMode(c, modeVertical, int8(i-3))
	}
	for color := range 2 {
		for i := range 1 << lookBits {
			looks[color<<lookBits|i] = look(color, i)
		}
	}
	for i, m := range decodeMode {
		switch m.mode {
		case modeVertical:
			steps[i] = newStep(int(m.delta), 0, int(m.n))
		case modePass:
			steps[i] = newStep(0, 1, int(m.n))
		default:
			steps[i] = newStep(noStep, 0, 0)
		}
	}
}

// look finds out what the bits of v begin with.
func look(color, v int) lookEntry {
	var runs [2]int
	at := 0
	for k := range runs {
		for {
			e := decodeRuns[color^k][v<<at<<(runBits-lookBits)&(1<<runBits-1)]
			if at += int(e.n); e.kind == runBad || at > lookBits {
				return lookEntryOf(decodeRuns[color][v<<(runBits-lookBits)])
			}
			runs[k] += int(e.run)
			if e.kind == runTerm {
				break
			}
		}
	}
	if runs[0] == 0 || runs[1] == 0 || runs[1] > maxSecond {
		return lookEntryOf(decodeRuns[color][v<<(runBits-lookBits)])
	}
	return newLookEntry(runs[0], runs[1], at, 2)
}

func lookEntryOf(e runEntry) lookEntry {
	switch {
	case e.n > lookBits, e.kind == runBad:
		return newLookEntry(lookOther, 0, 0, 0)
	case e.kind == runMakeup:
		return newLookEntry(int(e.run), 0, int(e.n), 0)
	}
	return newLookEntry(int(e.run), 0, int(e.n), 1)
}

func enterRun(color int, c code, run int, kind uint8) {
	free := runBits - int(c.n)
	for i := range 1 << free {
		decodeRuns[color][int(c.bits)<<free|i] = runEntry{uint16(run), c.n, kind}
	}
}

func enterMode(c code, mode uint8, delta int8) {
	free := modeBits - int(c.n)
	for i := range 1 << free {
		decodeMode[int(c.bits)<<free|i] = modeEntry{mode, c.n, delta}
	}
}
