package tiff

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tipring/tipring/imaging"
)

func FuzzOpen(f *testing.F) {
	for _, format := range testFormats {
		f.Add(write(f, format, testPage(100, 20, imaging.Fine), testPage(65, 7, imaging.Standard)))
	}
	plain := write(f, testFormats["mmr"], testPage(60, 9, imaging.Fine))
	for _, c := range []Compression{None, PackBits, LZW, Deflate} {
		f.Add(patch(f, plain, tagCompression, 1, uint32(c)))
	}
	small := testPage(60, 40, imaging.Fine)
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		f.Add(tiled(f, order, small, 16, 16, None, 0))
		f.Add(tiled(f, order, small, 48, 32, Fax4, imaging.MMR))
		f.Add(tiled(f, order, small, 32, 16, JBIG, imaging.JBIG))
		f.Add(bigTIFF(order, pageFields(small, None), tagStripOffsets, tagStripByteCounts, small.Packed()))
	}
	f.Add(bigTIFF(binary.BigEndian, pageFields(small, JPEG, field{tagBitsPerSample, []uint64{8}}, field{tagPhotometric, []uint64{6}}, field{tagRowsPerStrip, []uint64{20}}),
		tagStripOffsets, tagStripByteCounts, []byte("\xff\xd8\xff\xd9"), []byte("\xff\xd8")))
	f.Add([]byte("MM\x00*\x00\x00\x00\x08\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for n := 1; n <= min(file.NumPages(), 5); n++ {
			if j, err := file.JPEG(n); err == nil {
				if piece, err := j.Piece(j.Pieces - 1); err == nil && len(piece) > len(data)+maxTables {
					t.Fatal("more JPEG data than the file has")
				}
			}
			info := file.Info(n)
			if info.Width*info.Height > 1<<24 {
				continue // allowed, but slow
			}
			page, q, err := file.Decode(n)
			if page.Bitmap == nil {
				if err == nil {
					t.Fatal("neither page nor error")
				}
				continue
			}
			if page.Width*page.Height != info.Width*info.Height || q.BadLines > q.Lines || q.LongestBad > q.BadLines {
				t.Fatalf("%d x %d, %+v, want %d x %d", page.Width, page.Height, q, info.Width, info.Height)
			}
			if raw, err := file.Raw(n); err == nil && int64(len(raw.Data)) > int64(len(data)) {
				t.Fatal("more coded data than the file has")
			}
		}
	})
}
