// Package imagingtest is for the tests of the codecs: pages of all kinds, and the C programs of testdata/bench, with which libtiff,
// spandsp and jbigkit code and decode. No program imports it.
package imagingtest
