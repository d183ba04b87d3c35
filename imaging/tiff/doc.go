// Package tiff reads and writes multi-page bi-level TIFF files, above all those of fax (RFC 3949 profiles S, F and J).
//
// It reads TIFF and BigTIFF in both byte orders, both fill orders and photometric interpretations, any number of strips or tiles, resolutions in
// inches and centimetres, all orientations; uncompressed, PackBits, LZW, Deflate, and the fax codings: compression 2 (MH in whole octets a line), 3
// (MH and MR, with or without aligned EOLs), 4 (MMR) and 34661 or 9 (JBIG, with its octets in either order). Grey and coloured pages are ErrNotBilevel.
//
// Open reads the directories only; Decode reads one page's data in small pieces. A damaged line is replaced and counted; a
// truncated file still yields its whole pages, and errors that say which page is damaged. Every size from the file is bounded.
//
// A Writer streams: it needs no seeking and keeps one coded page. The same pages give the same octets.
package tiff
