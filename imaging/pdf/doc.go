// Package pdf writes fax pages to PDF files. Coded data is carried over as it is, since PDF's CCITTFaxDecode filter reads T.4 and
// T.6; each page has its true size, also at resolutions with oblong pels (204 x 98). Files are PDF/A-1b (ISO 19005-1). A Writer streams: it needs no
// seeking and keeps no page. The same pages give the same octets.
package pdf
