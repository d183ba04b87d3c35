#!/bin/sh
# Make the ten documents of `make bench-pages` in the folder named: each a PDF of one page, and what is to be read on it as .txt.
# Needs ghostscript, LibreOffice, Chromium, ImageMagick, qpdf and poppler-utils. The noise of the scans is seeded.
set -e
src=$(cd "$(dirname "$0")" && pwd)
out=$1
for f in Purisa:fonts-tlwg-purisa-ttf "Liberation Serif:fonts-liberation"; do
    fc-list | grep -q "${f%%:*}" || { echo "Debian package ${f##*:} is missing"; exit 1; }
done
mkdir -p "$out" && cd "$out"
cp "$src"/*.html "$src"/*.jpg .
chrome() { chromium --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/chromium" --hide-scrollbars "$@" >/dev/null 2>&1; }
print() { chrome --no-pdf-header-footer --print-to-pdf="$2" "file://$PWD/$1"; }
office() { soffice --headless -env:UserInstallation="file://$PWD/office" "$@" >/dev/null 2>&1; }
distill() { gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=pdfwrite -sOutputFile="$2" "$1"; }
# wrap JPEG PDF: the picture fills an A4 page, as scanners write it.
wrap() {
    set -- "$1" "$2" $(identify -format '%w %h %[channels]' "$1")
    case $5 in gray*) space=DeviceGray ;; *) space=DeviceRGB ;; esac
    size=$(wc -c <"$1")
    content='595 0 0 842 0 0 cm /P Do'
    {
        printf '%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n'
        printf '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</XObject<</P 5 0 R>>>>>>endobj\n'
        printf '4 0 obj<</Length %d>>stream\n%s\nendstream endobj\n' ${#content} "$content"
        printf '5 0 obj<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/%s/BitsPerComponent 8/Filter/DCTDecode/Length %d>>stream\n' "$3" "$4" "$space" "$size"
        cat "$1"
        printf '\nendstream endobj\ntrailer<</Size 6/Root 1 0 R>>\n'
    } >"$2.raw"
    qpdf --warning-exit-0 --deterministic-id "$2.raw" "$2" 2>/dev/null # puts the cross-reference table in
    rm "$2.raw"
}
paint() { gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE="$1" -r"$2" -dTextAlphaBits=4 -dGraphicsAlphaBits=4 -sOutputFile="$4" "$3"; }

office --writer --infilter='HTML (StarWriter)' --convert-to 'pdf:writer_pdf_Export' letter.html && mv letter.pdf 01-letter.pdf
print invoice.html 02-invoice.pdf
distill "$src/form.ps" 03-form.pdf
shot() { # NAME WIDTH HEIGHT: some versions take a title bar's height off the window
    chrome --window-size="$2,$(($3 + 200))" --screenshot=shot.png "file://$PWD/$1.html"
    convert shot.png -crop "$2x$3+0+0" +repage "$1.png"
}
shot logo 440 132
shot screen 600 312
office --infilter='HTML (StarWriter)' --convert-to 'docx:MS Word 2007 XML' word.html
office --convert-to pdf word.docx && mv word.pdf 04-word.pdf
# A text page on shaded paper, askew, grainy, as a cheap scanner has it: 200 dpi, grey.
paint pnggray 200 01-letter.pdf scan.png
convert scan.png -background white -rotate 0.6 -gravity center -extent 1654x2339 -level '0,100%' +level '18%,88%' \
    \( -size 1654x2339 gradient:'gray(100%)-gray(68%)' \) -compose Multiply -composite -blur 0x0.6 -seed 4711 -attenuate 0.35 +noise Gaussian \
    -colorspace Gray -quality 75 scan.jpg
wrap scan.jpg 05-scan.pdf
print photo.html 06-photo.pdf
print newspaper.html 07-newspaper.pdf
# Landscape pages are turned here: ghostscript, called as HylaFAX does, would cut them off.
print slides.html slides.pdf && qpdf --rotate=+90 slides.pdf 08-slides.pdf
distill "$src/drawing.ps" drawing.pdf && qpdf --rotate=+90 drawing.pdf 09-drawing.pdf
# A note with handwriting and a stamp, on yellowish paper, scanned in colour at 150 dpi.
print note.html note.pdf
paint png16m 150 note.pdf note.png
convert note.png -background '#fbf7ea' -rotate -0.8 -gravity center -extent 1240x1754 -blur 0x0.5 -seed 815 -attenuate 0.15 +noise Gaussian \
    \( -size 1240x1754 radial-gradient:'gray(100%)-gray(82%)' \) -compose Multiply -composite -quality 80 note.jpg
wrap note.jpg 10-note.pdf
for f in 0[1-9]-*.pdf; do pdftotext -raw "$f" "${f%.pdf}.txt"; done
cp 01-letter.txt 05-scan.txt
pdftotext -raw note.pdf 10-note.txt
