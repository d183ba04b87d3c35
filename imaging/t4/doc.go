// Package t4 codes and decodes fax pages: T.4 one-dimensional (MH) and two-dimensional (MR), T.6 (MMR).
//
// A Format says how the coded lines are put together: on the telephone line (EOL, fill, RTC, least significant bit first)
// or in a file (TIFF compressions 2, 3 and 4, PDF's CCITTFaxDecode). Line and File give the usual ones.
//
// Coding: Append and Encode take a whole page, Encoder one line at a time, NewReader codes while it is read.
//
// Decoding never fails: a line that does not decode to the page's width is replaced and counted in a Quality. Decode takes
// a whole page; a Decoder takes the data as it arrives and needs no more memory than a few lines. After a bad line, MH and
// MR go on behind the next EOL; MR lines that refer to a bad line are bad too. MMR has nothing to go on from.
//
// Inside, a line is a list of the positions where the colour changes: found with leading-zero counts a word at a time,
// walked by the coders, painted a word at a time. The code words are looked up by their next 13 (or 7) bits. Nothing is
// allocated per line.
package t4
