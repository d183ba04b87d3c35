package raster

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"

	"github.com/tipring/tipring/imaging/tiff"
)

// jpegTIFF renders page n of a TIFF whose strips or tiles are JPEG pictures.
func (r *renderer) jpegTIFF(ctx context.Context, f *tiff.File, n int) error {
	p, err := f.JPEG(n)
	if err != nil {
		return tiffError(err)
	}
	head := pictureInfo{w: p.Width, h: p.Height, perPix: 1}
	if err := head.check(); err != nil {
		return err
	}
	page := image.NewGray(image.Rect(0, 0, p.Width, p.Height))
	for i := range page.Pix {
		page.Pix[i] = 255
	}
	for i := range p.Pieces {
		x, y := p.At(i)
		if err := jpegPiece(page, p, i, x, y); err != nil {
			return err
		}
	}
	return r.image(ctx, tiffScan(page, f.Info(n)))
}

// jpegPiece decodes one strip or tile into the page.
func jpegPiece(page *image.Gray, p *tiff.JPEGPage, i, x, y int) error {
	data, err := p.Piece(i)
	if err != nil {
		return tiffError(err)
	}
	doc := Document{R: bytes.NewReader(data), Size: int64(len(data))}
	info, err := pictureHeader(doc, TypeJPEG)
	if err != nil {
		return err
	}
	if info.w > p.PieceWidth || info.h > p.PieceHeight+15 { // the last lines of a strip may be fill
		return fail(ErrBroken, "TIFF")
	}
	info.perPix += float64(len(page.Pix)) / float64(max(1, info.w*info.h)) // which is there too
	if err := info.check(); err != nil {
		return err
	}
	sc, err := decodePicture(doc, TypeJPEG)
	if err != nil {
		return err
	}
	at := image.Rect(x, y, x+p.PieceWidth, y+p.PieceHeight)
	draw.Draw(page, at, sc.img, sc.img.Bounds().Min, draw.Src)
	if p.Inverted() {
		for yy := y; yy < min(at.Max.Y, page.Rect.Max.Y); yy++ {
			for xx := x; xx < min(at.Max.X, page.Rect.Max.X); xx++ {
				page.SetGray(xx, yy, color.Gray{Y: 255 - page.GrayAt(xx, yy).Y})
			}
		}
	}
	return nil
}
