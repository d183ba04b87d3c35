package tiff

import "github.com/tipring/tipring/imaging"

// upright turns a stored page as TIFF's Orientation says it is to be shown.
func upright(p imaging.Page, orientation int) imaging.Page {
	if orientation <= 1 {
		return p
	}
	src := p.Bitmap
	w, h, res := src.Width, src.Height, p.Resolution
	if orientation >= 5 {
		w, h = h, w
		res.X, res.Y = res.Y, res.X
	}
	out := imaging.New(w, h)
	for y := range src.Height {
		for x := range src.Width {
			if !src.Black(x, y) {
				continue
			}
			// Which side of the page a stored line's begin and the first line are at (TIFF 6.0 page 36).
			switch rx, ry := src.Width-1-x, src.Height-1-y; orientation {
			case 2: // top right
				out.SetBlack(rx, y)
			case 3: // bottom right: upside down
				out.SetBlack(rx, ry)
			case 4: // bottom left
				out.SetBlack(x, ry)
			case 5: // left top
				out.SetBlack(y, x)
			case 6: // right top: turn clockwise
				out.SetBlack(ry, x)
			case 7: // right bottom
				out.SetBlack(ry, rx)
			case 8: // left bottom: turn anticlockwise
				out.SetBlack(y, rx)
			}
		}
	}
	return imaging.Page{Bitmap: out, Resolution: res}
}
