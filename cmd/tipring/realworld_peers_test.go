//go:build peers && soak

package main

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// letterPS is a page of text with a rule and a grey tint, as a program prints it.
const letterPS = `%!PS
/Helvetica findfont 14 scalefont setfont
60 760 moveto (Delivery note 4711) show
1 1 24 { dup 22 mul 740 exch sub 60 exch moveto pop (The quick brown fox jumps over the lazy dog, twice a day.) show } for
0.8 setgray 60 100 200 60 rectfill 0 setgray 60 90 moveto 480 0 rlineto stroke
showpage
`

// mailBodies are words in scripts that mails come in.
var mailBodies = map[string]string{
	"arabic":  "السلام عليكم، مرفق طيه الفاتورة رقم 4711 بمبلغ 1250 ريال.",
	"hebrew":  "שלום רב, מצורפת החשבונית מס' 4711 על סך 1250 ש\"ח.",
	"greek":   "Αγαπητοί συνεργάτες, σας αποστέλλουμε το τιμολόγιο 4711.",
	"russian": "Уважаемые коллеги, направляем вам счёт № 4711.",
	"chinese": "尊敬的客户：随函附上第4711号发票，请于十一月三十日之前付款。",
	"thai":    "เรียน ท่านลูกค้า ขอส่งใบแจ้งหนี้เลขที่ 4711 จำนวนเงิน 1,250 บาท",
}

// phoneCommand is a photo of a page on a dark table: in perspective, the light from one side, a little out of focus, noisy.
const phoneCommand = "convert gs.png -resize '1500x1941!' \\( -size 1500x1941 gradient:white-gray60 \\) -compose multiply -composite -virtual-pixel background -background gray25 " +
	"-distort Perspective '0,0 40,30 1500,0 1470,10 0,1941 8,1925 1500,1941 1492,1915' -blur 0x0.7 -attenuate 0.2 +noise Gaussian -quality 85 "

// inputMaker makes one file with another people's program.
type inputMaker struct {
	file    string // made by it
	pages   int
	command string // for the shell, in the folder
}

var inputMakers = []inputMaker{
	{"gs.pdf", 1, "gs -q -sDEVICE=pdfwrite -o gs.pdf letter.ps"},
	{"gs-g3.tif", 1, "gs -q -sDEVICE=tiffg3 -r204x196 -o gs-g3.tif letter.ps"},
	{"gs-g32d.tif", 1, "gs -q -sDEVICE=tiffg32d -r204x98 -o gs-g32d.tif letter.ps"},
	{"gs-g4.tif", 1, "gs -q -sDEVICE=tiffg4 -r300 -o gs-g4.tif letter.ps"},
	{"gs-gray.tif", 1, "gs -q -sDEVICE=tiffgray -r150 -o gs-gray.tif letter.ps"},
	{"gs.png", 1, "gs -q -sDEVICE=png16m -r150 -o gs.png letter.ps"},
	{"gs.jpg", 1, "gs -q -sDEVICE=jpeg -r150 -o gs.jpg letter.ps"},
	{"cp-none.tif", 1, "tiffcp -c none gs-g4.tif cp-none.tif"},
	{"cp-packbits.tif", 1, "tiffcp -c packbits gs-g4.tif cp-packbits.tif"},
	{"cp-lzw.tif", 1, "tiffcp -c lzw gs-g4.tif cp-lzw.tif"},
	{"cp-zip.tif", 1, "tiffcp -c zip gs-g4.tif cp-zip.tif"},
	{"cp-g31d.tif", 1, "tiffcp -c g3:1d gs-g4.tif cp-g31d.tif"},
	{"cp-g32d.tif", 1, "tiffcp -c g3:2d gs-g4.tif cp-g32d.tif"},
	{"cp-g3fill.tif", 1, "tiffcp -c g3:2d:fill gs-g4.tif cp-g3fill.tif"},
	{"cp-lsb.tif", 1, "tiffcp -f lsb2msb -c g4 gs-g4.tif cp-lsb.tif"},
	{"cp-big.tif", 1, "tiffcp -B -c g4 gs-g4.tif cp-big.tif"},
	{"cp-strips.tif", 1, "tiffcp -r 8 -c g4 gs-g4.tif cp-strips.tif"},
	{"cp-g31dfill.tif", 1, "tiffcp -c g3:1d:fill -f lsb2msb gs-g4.tif cp-g31dfill.tif"},
	{"cp-jbig.tif", 1, "tiffcp -c jbig gs-g4.tif cp-jbig.tif"},
	{"cp-tiles.tif", 1, "tiffcp -t -w 256 -l 256 -c g4 gs-g4.tif cp-tiles.tif"},
	{"cp-bigtiles.tif", 1, "tiffcp -8 -t -w 256 -l 256 -c g4 gs-g4.tif cp-bigtiles.tif"},
	{"cp-bigtiff.tif", 1, "tiffcp -8 -B -r 8 -c g4 gs-g4.tif cp-bigtiff.tif"},
	{"cp-gray-lzw2.tif", 1, "tiffcp -c lzw:2 gs-gray.tif cp-gray-lzw2.tif"},
	{"cp-gray-zip2.tif", 1, "tiffcp -B -c zip:2 -t -w 256 -l 256 gs-gray.tif cp-gray-zip2.tif"},
	{"cp-gray-packbits.tif", 1, "tiffcp -c packbits gs-gray.tif cp-gray-packbits.tif"},
	{"cp-jpeg.tif", 1, "tiffcp -r 16 -c jpeg:r:90 gs-gray.tif cp-jpeg.tif"},
	{"gs-rgb.tif", 1, "gs -q -sDEVICE=tiff24nc -r150 -o gs-rgb.tif letter.ps"},
	{"cp-rgb-jpeg.tif", 1, "tiffcp -8 -t -w 256 -l 256 -c jpeg:90 gs-rgb.tif cp-rgb-jpeg.tif"},
	{"cp-rgb-lzw2.tif", 1, "tiffcp -c lzw:2 -r 40 gs-rgb.tif cp-rgb-lzw2.tif"},
	{"cp-turned.tif", 1, "tiffcp -c g4 gs-g4.tif cp-turned.tif && tiffset -s 274 6 cp-turned.tif"},
	{"cp-two.tif", 2, "tiffcp gs-g3.tif gs-g4.tif cp-two.tif"},
	{"fax2tiff.tif", 1, "gs -q -sDEVICE=faxg3 -r204x196 -o fax.g3 letter.ps && fax2tiff -M -o fax2tiff.tif fax.g3"},
	{"fax2tiff-2d.tif", 1, "gs -q -sDEVICE=faxg32d -r204x98 -o fax.g32 letter.ps && fax2tiff -M -2 -s -o fax2tiff-2d.tif fax.g32"},
	{"fax2tiff-g4.tif", 1, "gs -q -sDEVICE=faxg4 -r204x196 -o fax.g4 letter.ps && fax2tiff -M -4 -8 -o fax2tiff-g4.tif fax.g4"},
	{"tiff2pdf.pdf", 2, "tiff2pdf -o tiff2pdf.pdf cp-two.tif"},
	{"im.gif", 1, "convert gs.png im.gif"},
	{"im.bmp", 1, "convert gs.png im.bmp"},
	{"im-rle.bmp", 1, "convert gs.png -colors 64 -type Palette -compress RLE im-rle.bmp"},
	{"im.webp", 1, "convert gs.png im.webp"},
	{"im-palette.png", 1, "convert gs.png -colors 16 -type Palette im-palette.png"},
	{"im-alpha.png", 1, "convert gs.png -transparent white im-alpha.png"},
	{"im-cmyk.jpg", 1, "convert gs.png -colorspace CMYK im-cmyk.jpg"},
	{"im-phone.jpg", 1, phoneCommand + "im-phone.jpg"},
	{"im-exif.jpg", 1, phoneCommand + "-rotate -90 im-exif.jpg && exiftool -q -overwrite_original -n -Orientation=6 im-exif.jpg"},
	{"lo.docx", 1, "soffice --headless -env:UserInstallation=file://$PWD/lo --infilter='HTML (StarWriter)' --convert-to 'docx:MS Word 2007 XML' page.html && mv page.docx lo.docx"},
	{"lo.pdf", 1, "soffice --headless -env:UserInstallation=file://$PWD/lo --convert-to pdf lo.docx"},
	{"chromium.pdf", 1, "chromium --headless --no-sandbox --disable-gpu --user-data-dir=$PWD/chromium --print-to-pdf=chromium.pdf page.html 2>/dev/null"},
}

// refusedMakers make what is refused by its name.
var refusedMakers = []struct{ file, command, name string }{
	{"letter.ps", "true", "PostScript"},
	{"lo.odt", "soffice --headless -env:UserInstallation=file://$PWD/lo --convert-to odt lo.docx", "OpenDocument"},
	{"lo.rtf", "soffice --headless -env:UserInstallation=file://$PWD/lo --convert-to rtf lo.docx", "RTF"},
	{"lo.doc", "soffice --headless -env:UserInstallation=file://$PWD/lo --convert-to doc lo.docx", "old Microsoft Office"},
	{"im.psd", "convert gs.png im.psd", "Photoshop"},
	{"locked.pdf", "qpdf --encrypt a b 256 -- gs.pdf locked.pdf", "protected by a password"},
}

const pageHTML = `<html><head><meta charset="utf-8"></head><body><h1>Invoice 4711</h1><p>Dear customer, <b>please pay</b> soon.</p>
<table border="1"><tr><th>Item</th><th>Price</th></tr><tr><td>Pump</td><td>1,280.00</td></tr></table><ul><li>one</li><li>two</li></ul></body></html>`

// Files made by other people's programs become pages with ink on them. TIPRING_REALWORLD names a folder to keep the pages in, to
// be looked at.
func TestPeers_RealWorldInputs(t *testing.T) {
	t.Parallel()
	need(t, "gs", "tiffcp", "fax2tiff", "tiff2pdf", "tiffset", "convert", "exiftool", "soffice", "chromium", "qpdf")
	dir := t.TempDir()
	out := os.Getenv("TIPRING_REALWORLD")
	if out == "" {
		out = t.TempDir()
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("letter.ps", letterPS)
	write("page.html", pageHTML)
	for _, m := range inputMakers {
		cmd := exec.Command("sh", "-c", m.command)
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", m.command, err, said)
			continue
		}
		converts(t, filepath.Join(dir, m.file), out, m.pages)
	}
	for _, m := range refusedMakers {
		cmd := exec.Command("sh", "-c", m.command)
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", m.command, err, said)
			continue
		}
		_, said, status := tipring(t, time.Minute, "convert", "-o", filepath.Join(out, "refused.png"), filepath.Join(dir, m.file))
		if status != exitUsage || !strings.Contains(said, m.name) {
			t.Errorf("%s: status %d: %s", m.file, status, said)
		}
	}
	fonts := chineseFont(t)
	for name, text := range mailBodies {
		write("mail-"+name+".html", `<html><head><meta charset="utf-8"></head><body><p>`+text+"</p></body></html>")
		write("mail-"+name+".txt", text+"\n")
		for _, file := range []string{"mail-" + name + ".html", "mail-" + name + ".txt"} {
			if name != "chinese" {
				converts(t, filepath.Join(dir, file), out, 1)
				continue
			}
			_, said, status := tipring(t, time.Minute, "convert", "-o", filepath.Join(out, "refused.png"), filepath.Join(dir, file))
			if status != exitUsage || !strings.Contains(said, "no font") || !strings.Contains(said, "Chinese") {
				t.Errorf("%s without a font: status %d: %s", file, status, said)
			}
			converts(t, filepath.Join(dir, file), out, 1, "--fonts", fonts)
		}
	}
}

// chineseFont makes a folder with a font that has Chinese characters (Debian's fonts-wqy-microhei).
func chineseFont(t *testing.T) string {
	t.Helper()
	const font = "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"
	dir := t.TempDir()
	if err := os.Symlink(font, filepath.Join(dir, filepath.Base(font))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(font); err != nil {
		t.Errorf("%v: please install fonts-wqy-microhei", err)
	}
	return dir
}

// converts makes PNGs of a file and checks their number and that each has some ink, and not too much.
func converts(t *testing.T, file, out string, pages int, options ...string) {
	t.Helper()
	name := filepath.Join(out, strings.ReplaceAll(filepath.Base(file), ".", "-")+".png")
	args := append(append([]string{"convert", "-o", name}, options...), file)
	if _, said, status := tipring(t, time.Minute, args...); status != exitOK {
		t.Errorf("%s: %s", filepath.Base(file), said)
		return
	}
	for n := 1; n <= pages; n++ {
		if share := inkOf(t, pngName(name, n)); share < 0.05 || share > 30 {
			t.Errorf("%s, page %d: %.2f %% ink", filepath.Base(file), n, share)
		}
	}
	if _, err := os.Stat(pngName(name, pages+1)); err == nil {
		t.Errorf("%s: more than %d pages", filepath.Base(file), pages)
	}
}

// inkOf returns a picture's blackness in per cent.
func inkOf(t *testing.T, name string) float64 {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Error(err)
		return 0
	}
	g, ok := img.(*image.Gray)
	if !ok {
		t.Error(fmt.Errorf("%s is a %T", name, img))
		return 0
	}
	sum := 0
	for _, v := range g.Pix {
		sum += 255 - int(v)
	}
	return float64(sum) * 100 / 255 / float64(len(g.Pix))
}
