package raster

import (
	"encoding/binary"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// bigTIFF is a BigTIFF of one page in one strip; bits per sample other than 1 make it grey.
func bigTIFF(t *testing.T, p imaging.Page, bitsPerSample uint64) []byte {
	t.Helper()
	data, err := t4.Append(nil, p.Bitmap, t4.File(imaging.MMR, p.Resolution))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	entries := [][2]uint64{{256, uint64(p.Width)}, {257, uint64(p.Height)}, {258, bitsPerSample}, {259, 4}, {262, 0}, {273, 16}, {279, uint64(len(data))},
		{282, uint64(p.Resolution.X)}, {283, uint64(p.Resolution.Y)}}
	out := append(le.AppendUint64([]byte("II+\x00\x08\x00\x00\x00"), uint64(16+len(data))), data...)
	out = le.AppendUint64(out, uint64(len(entries)))
	for _, e := range entries {
		out = le.AppendUint16(le.AppendUint16(out, uint16(e[0])), 16) // LONG8
		out = le.AppendUint64(le.AppendUint64(out, 1), e[1])
	}
	return le.AppendUint64(out, 0)
}

func TestTIFF_Big(t *testing.T) {
	in := faxPage(1728, 700, imaging.Fine, 1)
	if got := mustRender(t, docOf(bigTIFF(t, in, 1), ""), Options{}, 1)[0]; !got.Equal(in.Bitmap) || got.Resolution != imaging.Fine {
		t.Error("the page changed")
	}
	err := RenderDocument(t.Context(), docOf(bigTIFF(t, in, 8), ""), Options{}, func(*imaging.Page) error { return nil })
	wantErr(t, err, ErrUnsupported)
}
