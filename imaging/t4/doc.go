// Package t4 codes and decodes fax pages: T.4 one-dimensional (MH) and two-dimensional (MR), T.6 (MMR).
//
// A Format says how the coded lines are put together: on the telephone line (EOL, fill, RTC, least significant bit first)
// or in a file (TIFF compressions 2, 3 and 4, PDF's CCITTFaxDecode). Line and File give the usual ones.
//
// Coding: Append takes a whole page, Encoder one line at a time, PageEncoder one page after another and keeps its room.
//
// Decoding never fails: a line that does not decode to the page's width is replaced and counted in an imaging.Quality. Decode takes
// a whole page; a Decoder takes the data as it arrives and needs no more memory than a few lines. After a bad line, MH and
// MR go on behind the next EOL; MR lines that refer to a bad line are bad too. MMR has nothing to go on from.
//
// Inside, a line is a list of the positions where the colour changes: found a word at a time, walked by the coders, painted a
// word at a time. What decides the speed is how seldom the processor has to guess: a run's code words stand in one table, the decoder
// takes two runs with one look where they fit into 12 bits, pass and vertical mode are one step of arithmetic, and what
// may be too much is written rather than asked about. Nothing is allocated per line.
package t4
