package tiff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"math/bits"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
)

// field is a tag of a file in the making.
type field struct {
	tag    uint16
	values []uint64
}

// bigTIFF returns a BigTIFF of one directory; pieces is the data of its strips or tiles, whose offsets and sizes are under these tags.
func bigTIFF(order binary.AppendByteOrder, fields []field, offsets, counts uint16, pieces ...[]byte) []byte {
	mark := "II"
	if order == binary.AppendByteOrder(binary.BigEndian) {
		mark = "MM"
	}
	out := order.AppendUint16(order.AppendUint16(order.AppendUint16([]byte(mark), 43), 8), 0)
	var at, sizes, body []byte
	for _, p := range pieces {
		at = order.AppendUint64(at, uint64(16+len(body)))
		sizes = order.AppendUint64(sizes, uint64(len(p)))
		body = append(body, p...)
	}
	list := 16 + len(body)
	dir := list + len(at) + len(sizes)
	out = append(order.AppendUint64(out, uint64(dir)), body...)
	out = append(append(out, at...), sizes...)
	out = order.AppendUint64(out, uint64(len(fields)+2))
	entry := func(tag uint16, count, value uint64) {
		out = order.AppendUint16(order.AppendUint16(out, tag), typeLong8)
		out = order.AppendUint64(order.AppendUint64(out, count), value)
	}
	for _, f := range fields {
		entry(f.tag, 1, f.values[0])
	}
	if n := uint64(len(pieces)); n == 1 {
		entry(offsets, n, 16)
		entry(counts, n, uint64(len(pieces[0])))
	} else {
		entry(offsets, n, uint64(list))
		entry(counts, n, uint64(list+len(at)))
	}
	return order.AppendUint64(out, 0)
}

func pageFields(p imaging.Page, c Compression, more ...field) []field {
	return append([]field{
		{tagImageWidth, []uint64{uint64(p.Width)}}, {tagImageLength, []uint64{uint64(p.Height)}}, {tagCompression, []uint64{uint64(c)}},
		{tagXResolution, []uint64{204}}, {tagYResolution, []uint64{196}},
	}, more...)
}

// tiled returns p in tiles.
func tiled(t testing.TB, order binary.AppendByteOrder, p imaging.Page, w, h int, c Compression, coding imaging.Coding, more ...field) []byte {
	t.Helper()
	var tiles [][]byte
	for y := 0; y < p.Height; y += h {
		for x := 0; x < p.Width; x += w {
			tile := imaging.Page{Bitmap: p.Crop(image.Rect(x, y, x+w, y+h)), Resolution: p.Resolution}
			if c == None {
				tiles = append(tiles, tile.Packed())
			} else {
				tiles = append(tiles, mustCode(t, tile, coding))
			}
		}
	}
	more = append(more, field{tagTileWidth, []uint64{uint64(w)}}, field{tagTileLength, []uint64{uint64(h)}})
	return bigTIFF(order, pageFields(p, c, more...), tagTileOffsets, tagTileByteCounts, tiles...)
}

func TestDecode_BigTIFFTiles(t *testing.T) {
	p := testPage(333, 100, imaging.Fine)
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, size := range []image.Point{{16, 16}, {64, 32}, {80, 112}, {400, 48}, {333, 100}} {
			for c, coding := range map[Compression]imaging.Coding{None: 0, Fax4: imaging.MMR, Fax3: imaging.MH, JBIG: imaging.JBIG} {
				f := open(t, tiled(t, order, p, size.X, size.Y, c, coding))
				got, q, err := f.Decode(1)
				if err != nil || !got.Equal(p.Bitmap) || q.Lines != 100 || q.BadLines != 0 || got.Resolution != imaging.Fine {
					t.Errorf("%v %v %v: %+v, %v", order, size, c, q, err)
				}
				if _, err := f.Raw(1); !errors.Is(err, ErrUnsupported) {
					t.Errorf("Raw of tiles: %v", err)
				}
			}
		}
	}
}

// TestDecode_DamagedTiles: what is missing is white, also where white is 1, and its lines are counted once.
func TestDecode_DamagedTiles(t *testing.T) {
	p := testPage(200, 60, imaging.Fine)
	for photometric := range uint64(2) {
		data := tiled(t, binary.LittleEndian, p, 48, 32, None, 0, field{tagPhotometric, []uint64{photometric}})
		// The second tile of the first band, and the last of the second.
		for _, tile := range []int{1, 9} {
			binary.LittleEndian.PutUint64(data[len(data)-8-20*10-8-10*16+8*tile:], 1<<40)
		}
		got, q, err := open(t, data).Decode(1)
		if !errors.Is(err, ErrTruncated) || q.Lines != 60 || q.BadLines != 60 || q.LongestBad != 32 {
			t.Fatalf("%+v, %v", q, err)
		}
		want := p.Crop(p.Bounds())
		if photometric == 1 {
			want.Invert()
		}
		for y := range 60 {
			for x := range 200 {
				missing := y < 32 && x >= 48 && x < 96 || y >= 32 && x >= 192
				if got.Black(x, y) != (want.Black(x, y) && !missing) {
					t.Fatalf("photometric %d: pel %d, %d", photometric, x, y)
				}
			}
		}
	}
	for name, more := range map[string]field{"width": {tagTileWidth, []uint64{70000}}, "size": {tagTileLength, []uint64{1 << 33}}} {
		data := bigTIFF(binary.LittleEndian, pageFields(p, None, more, field{tagTileWidth, []uint64{60000}}, field{tagTileLength, []uint64{60000}}),
			tagTileOffsets, tagTileByteCounts, []byte{0})
		if _, _, err := open(t, data).Decode(1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDecode_JBIG reads what others make of it: RFC 3949's number, several strips, octets turned or not whatever FillOrder says, a height
// that comes last.
func TestDecode_JBIG(t *testing.T) {
	p := testPage(500, 90, imaging.Fine)
	whole := mustCode(t, p, imaging.JBIG)
	var streamed bytes.Buffer
	e, err := jbig.NewEncoder(&streamed, p.Width, jbig.Format{})
	if err != nil {
		t.Fatal(err)
	}
	for y := range p.Height {
		if err := e.EncodeLine(p.Row(y)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var strips [][]byte
	for y := 0; y < p.Height; y += 40 {
		strips = append(strips, mustCode(t, imaging.Page{Bitmap: p.Crop(image.Rect(0, y, 500, min(y+40, 90)))}, imaging.JBIG))
	}
	for name, pieces := range map[string][][]byte{"whole": {whole}, "streamed": {streamed.Bytes()}, "strips": strips} {
		for _, turned := range []bool{false, true} {
			for _, fill := range []uint64{1, 2} {
				for _, c := range []Compression{JBIG, T85} {
					fields := pageFields(p, c, field{tagFillOrder, []uint64{fill}}, field{tagRowsPerStrip, []uint64{90}})
					if name == "strips" {
						fields[len(fields)-1].values[0] = 40
					}
					data := make([][]byte, len(pieces))
					for i := range pieces {
						data[i] = bytes.Clone(pieces[i])
						for k := range data[i] {
							if turned {
								data[i][k] = bits.Reverse8(data[i][k])
							}
						}
					}
					f := open(t, bigTIFF(binary.BigEndian, fields, tagStripOffsets, tagStripByteCounts, data...))
					got, q, err := f.Decode(1)
					if err != nil || !got.Equal(p.Bitmap) || q.Lines != 90 || q.BadLines != 0 || !q.Ended {
						t.Errorf("%s, turned %v, FillOrder %d, %v: %+v, %v", name, turned, fill, c, q, err)
					}
					if raw, err := f.Raw(1); name != "strips" && (err != nil || !bytes.Equal(raw.Data, pieces[0]) || raw.Format != (t4.Format{Coding: imaging.JBIG})) {
						t.Errorf("%s, turned %v, FillOrder %d: Raw: %v", name, turned, fill, err)
					}
				}
			}
		}
	}
}

// TestImageMagick_ReadsOurs reads all formats, JBIG too.
func TestImageMagick_ReadsOurs(t *testing.T) {
	for name, format := range testFormats {
		page := testPage(1728, 200, imaging.Fine)
		out := filepath.Join(t.TempDir(), "out.tif")
		if said := peer(t, "convert", save(t, write(t, format, page)), "-compress", "none", out); strings.TrimSpace(said) != "" {
			t.Errorf("%s: convert says %s", name, said)
		}
		if got, _, err := load(t, out).Decode(1); err != nil || !got.Equal(page.Bitmap) {
			t.Errorf("%s: ImageMagick reads other pels (%v)", name, err)
		}
	}
}
