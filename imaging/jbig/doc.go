// Package jbig codes and decodes bi-level pages as fax has them by ITU-T T.85: T.82 (JBIG1) with a single resolution layer and
// a single plane, progressive by stripes.
//
// Coding: Append takes a whole page, Encoder one line at a time. What a Format
// does not say is as T.85's basic set has it: stripes of 128 lines, typical prediction, the three-line template.
//
// Decoding never fails: Decode takes a whole page; a Decoder takes the data as it arrives and emits each line as soon as
// its data is there. T.82's code has no redundancy, so any data decodes to something: what is measured is whether a stripe's
// lines used up just the data that it has. A stripe where they do not is damaged as a whole: its lines are counted as bad, and emitted
// as they are. A strictly periodic pattern may look so too, about one stripe in some hundreds. The next stripe is sound again if the
// statistics began anew with it (SDRST), which encoders seldom do; else it is judged likewise. T.30 uses this coding only with error
// correction.
//
// Inside, a line is a row of words. Where the template sees nothing but white and the line stays white, the arithmetic coder
// goes ahead by as many pels at once as its register has room for: the same result as pel by pel.
package jbig
