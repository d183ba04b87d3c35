package tiff

import (
	"errors"

	"github.com/tipring/tipring/imaging"
)

// tiles decodes all tiles into b, a band of them at a time. ErrTruncated if some are not whole: what is missing is white. A line with a
// bad tile is bad.
func (s *stripReader) tiles(b *imaging.Bitmap) (damage error) {
	p := s.p
	empty, white := make([]uint64, b.Stride), p.white((p.TileWidth+63)/64)
	white[len(white)-1] &= ^uint64(0) << (-uint(p.TileWidth) & 63)
	t := newStripReader(s.f, p, p.TileWidth, nil)
	for top := 0; top < p.Height; top += p.RowsPerStrip {
		rows := min(p.RowsPerStrip, p.Height-top)
		for range rows {
			b.AppendRow(empty)
		}
		bad, longest := 0, 0
		for column := range p.across {
			x, y := column*p.TileWidth, 0
			t.q.Lines, t.q.BadLines, t.q.LongestBad = 0, 0, 0
			t.emit = func(row []uint64) {
				if y < rows {
					overlay(b.Row(top+y), x, b.Width, row)
				}
				y++
			}
			err := t.piece(top/p.RowsPerStrip*p.across+column, rows)
			if err != nil && !errors.Is(err, ErrTruncated) {
				return err
			}
			if damage == nil {
				damage = err
			}
			missing := max(rows-y, 0)
			for range missing {
				t.emit(white)
			}
			bad, longest = max(bad, min(t.q.BadLines+missing, rows)), max(longest, min(max(t.q.LongestBad, missing), rows))
		}
		s.q.Lines += rows
		s.q.BadLines += bad
		s.q.LongestBad = max(s.q.LongestBad, longest)
	}
	s.q.Ended, s.q.Lost = t.q.Ended, t.q.Lost
	return damage
}

// overlay puts the pels of row from pel x of dst on, which is 0 there and ends after width pels.
func overlay(dst []uint64, x, width int, row []uint64) {
	i, shift := x>>6, uint(x)&63
	for _, w := range row {
		if i < len(dst) {
			dst[i] |= w >> shift
		}
		if i++; i < len(dst) && shift > 0 {
			dst[i] |= w << (64 - shift)
		}
	}
	if over := width & 63; over > 0 {
		dst[len(dst)-1] &= ^uint64(0) << (64 - over)
	}
}
