#!/bin/sh
# Make letter3.tif: three light fine pages, 1728 x 2291 pels at 204 x 196, as Group 4 TIFF. Needs ghostscript and libtiff-tools.
set -e
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
page() { # page TITLE FONT SIZE LINES
    echo "/$2 findfont 24 scalefont setfont 60 770 moveto ($1) show /$2 findfont $3 scalefont setfont"
    y=720 n=1
    while [ $n -le "$4" ]; do
        echo "60 $y moveto (Line $n of this page: 4711 sheets went out before noon, and 0815 came back.) show"
        y=$((y-24)); n=$((n+1))
    done
}
{ echo '%!PS'; echo '<< /PageSize [612 841.68] >> setpagedevice'
  page 'Test letter, page one' Times-Roman 12 12
  echo '2 setlinewidth 50 60 512 740 rectstroke showpage'
  page 'Test letter, page two' Helvetica 11 6
  echo '60 100 480 380 rectclip 0 12 480 { 60 add 100 moveto 300 400 rlineto stroke } for initclip showpage'
  page 'Test letter, page three' Courier 10 10
  echo '300 250 120 0 360 arc stroke 300 250 60 0 360 arc fill showpage'
} > "$tmp/p.ps"
gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=tiffg4 -r204x196 -g1728x2291 -sOutputFile=letter3.tif "$tmp/p.ps"
# invoice.pdf: one text page.
printf '%%!PS\n/Helvetica findfont 20 scalefont setfont 72 720 moveto (Invoice 4711) show 72 680 moveto (Total: 42.00) show showpage\n' > "$tmp/i.ps"
gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=pdfwrite -sOutputFile=invoice.pdf "$tmp/i.ps"
# strip.tif: the top of page one, for calls at 2400 bit/s.
tiffcp letter3.tif,0 "$tmp/one.tif"
tifftopnm "$tmp/one.tif" 2>/dev/null | pnmcut -left 0 -width 1728 -top 100 -height 400 | pnmtotiff -none -miniswhite >"$tmp/strip.tif" 2>/dev/null
tiffset -s 282 204 "$tmp/strip.tif"; tiffset -s 283 196 "$tmp/strip.tif"; tiffset -s 296 2 "$tmp/strip.tif"
tiffcp -c g4 -r 10000 "$tmp/strip.tif" strip.tif
