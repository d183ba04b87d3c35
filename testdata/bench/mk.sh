#!/bin/sh
# Make pages.tif: eight fine pages, 1728 x 2291 pels at 204 x 196, as Group 4 TIFF. Needs ghostscript.
cd "$(dirname "$0")" && gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=tiffg4 -r204x196 -g1728x2291 -sOutputFile=pages.tif pages.ps
