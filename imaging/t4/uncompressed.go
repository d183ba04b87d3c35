package t4

import "math/bits"

// Uncompressed mode (T.4 table 5, T.6 table 4): an extension code leads into it, then pels stand as they are, until an exit code. We
// never code it nor say that we take it; files may have it all the same.
const (
	extension2D  = 0b0000001      // the code of mode extension, three bits to follow
	entry2D      = 0b0000001111   // extension, uncompressed mode
	entry1D      = 0b000000001111 // in place of a run
	entry2DBits  = 10
	entry1DBits  = 12
	whitesOnly   = 5  // this many 0 bits and a 1: as many white pels; fewer: white pels and a black one
	exitZeros    = 6  // 0 bits of the exit code without pels; each one more is a white pel
	maxExitZeros = 10 // then a 1 and the tag bit: the colour of the next run
)

// atEntry1D tells whether a code word leads into uncompressed mode where a run should stand.
func (d *Decoder) atEntry1D() bool {
	d.br.need()
	return d.br.acc>>(64-entry1DBits) == entry1D && d.br.n >= entry1DBits
}

// uncompressed reads pels from x on, in the run that ends with change i, until an exit code, and returns where the next run begins and
// its change's index. The entry code has been taken. Where the line's last pel is followed by no exit code, it has ended too.
func (d *Decoder) uncompressed(x int32, i int) (int32, int, lineResult) {
	r, width := &d.br, int32(d.width)
	to := func(color int) {
		if i&1 != color {
			i = change(d.cur, i, x)
		}
	}
	for {
		r.need()
		z := bits.LeadingZeros64(r.acc)
		if x == width && z != exitZeros && (d.final || r.n > min(z, exitZeros)) {
			return x, i, lineOK
		}
		if z > maxExitZeros {
			if r.n <= maxExitZeros {
				return x, i, d.failed(runCut)
			}
			return x, i, lineBad
		}
		exit, white := z >= exitZeros, z
		if exit {
			white -= exitZeros
			z++
		}
		tag := int(r.acc >> (63 - z) & 1)
		if r.skip(z + 1); r.n < 0 {
			return x, i, d.failed(runCut)
		}
		if white > 0 {
			to(0)
			x += int32(white)
		}
		switch {
		case x > width, x == width && !exit && white < whitesOnly:
			return x, i, lineBad
		case exit && x < width:
			to(tag)
			return x, i, lineOK
		case exit:
			return x, i, lineOK
		case white < whitesOnly:
			to(1)
			x++
		}
	}
}
