/* The judges of imaging/t4: libtiff and spandsp decode what they are given, and code pages themselves.
 *
 *   judge FILE        FILE: room for a temporary file
 *
 * Requests on standard input, each a line of eight words and as many octets as the last says:
 *
 *   decode|encode libtiff|spandsp mh|rle|mr|mmr WIDTH HEIGHT lsb|msb OPTION OCTETS
 *
 * The octets are coded data, or packed rows, 1 is black. The order is that of the coded data's bits; with spandsp always lsb.
 * OPTION, when coding: libtiff: the lines per inch, which decide MR's K, negative: each EOL ends with an octet; spandsp: the least bits of a
 * line. The answer is a line of three numbers and as many octets as the last says: lines, complaints, octets. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <spandsp.h>

struct memory { uint8_t *p; size_t n, cap, at; };

static int complaints;
static const char *file;

static void append(struct memory *m, const void *b, size_t n) {
	if (m->at + n > m->cap) {
		m->cap = 2 * (m->at + n) + 65536;
		m->p = realloc(m->p, m->cap);
		if (!m->p) exit(1);
	}
	memcpy(m->p + m->at, b, n);
	m->at += n;
	if (m->at > m->n) m->n = m->at;
}
static tmsize_t mread(thandle_t h, void *b, tmsize_t n) {
	struct memory *m = h;
	if (m->at >= m->n) return 0;
	if ((size_t)n > m->n - m->at) n = m->n - m->at;
	memcpy(b, m->p + m->at, n);
	m->at += n;
	return n;
}
static tmsize_t mwrite(thandle_t h, void *b, tmsize_t n) { append(h, b, n); return n; }
static toff_t mseek(thandle_t h, toff_t o, int w) {
	struct memory *m = h;
	m->at = w == SEEK_SET ? o : w == SEEK_CUR ? m->at + o : m->n + o;
	return m->at;
}
static int mclose(thandle_t h) { (void)h; return 0; }
static toff_t msize(thandle_t h) { return ((struct memory *)h)->n; }

static void complain(const char *module, const char *fmt, va_list ap) {
	complaints++;
	fprintf(stderr, "%s: ", module ? module : "libtiff");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

struct request { char what[16], judge[16], coding[16], order[16]; uint32_t width, height; int option; size_t octets; };

static TIFF *open_memory(struct memory *m, const char *mode) {
	m->at = 0;
	TIFF *t = TIFFClientOpen("memory", mode, m, mread, mwrite, mseek, mclose, msize, NULL, NULL);
	if (!t) exit(1);
	return t;
}

static void set_fields(TIFF *t, const struct request *q) {
	double lines = q->option ? abs(q->option) : 196;
	TIFFSetField(t, TIFFTAG_IMAGEWIDTH, q->width);
	TIFFSetField(t, TIFFTAG_IMAGELENGTH, q->height);
	TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 1);
	TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
	TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, q->height);
	TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
	TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
	TIFFSetField(t, TIFFTAG_XRESOLUTION, 204.0);
	TIFFSetField(t, TIFFTAG_YRESOLUTION, lines);
	TIFFSetField(t, TIFFTAG_FILLORDER, strcmp(q->order, "lsb") ? FILLORDER_MSB2LSB : FILLORDER_LSB2MSB);
}

static void set_coding(TIFF *t, const struct request *q) {
	if (!strcmp(q->coding, "mmr")) {
		TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX4);
	} else if (!strcmp(q->coding, "rle")) {
		TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_CCITTRLE);
	} else {
		uint32_t options = strcmp(q->coding, "mr") ? 0 : GROUP3OPT_2DENCODING;
		if (q->option < 0) options |= GROUP3OPT_FILLBITS;
		TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX3);
		TIFFSetField(t, TIFFTAG_GROUP3OPTIONS, options);
	}
}

static int tiff_decode(const struct request *q, uint8_t *data, struct memory *out) {
	struct memory m = {0};
	TIFF *t = open_memory(&m, "w");
	set_fields(t, q);
	set_coding(t, q);
	if (TIFFWriteRawStrip(t, 0, data, q->octets) < 0) exit(1);
	TIFFClose(t);
	t = open_memory(&m, "r");
	size_t stride = (q->width + 7) / 8;
	uint8_t *row = malloc(stride + 1);
	uint32_t y;
	for (y = 0; y < q->height && TIFFReadScanline(t, row, y, 0) >= 0; y++) append(out, row, stride);
	TIFFClose(t);
	free(row);
	free(m.p);
	return y;
}

static void tiff_encode(const struct request *q, uint8_t *rows, struct memory *out) {
	struct memory m = {0};
	TIFF *t = open_memory(&m, "w");
	set_fields(t, q);
	set_coding(t, q);
	if (TIFFWriteEncodedStrip(t, 0, rows, q->octets) < 0) exit(1);
	TIFFClose(t);
	t = open_memory(&m, "r");
	tmsize_t n = TIFFRawStripSize(t, 0);
	uint8_t *b = malloc(n + 1);
	if (TIFFReadRawStrip(t, 0, b, n) != n) exit(1);
	append(out, b, n);
	TIFFClose(t);
	free(b);
	free(m.p);
}

static int encoding(const char *coding) {
	return !strcmp(coding, "mh") ? T4_COMPRESSION_ITU_T4_1D : !strcmp(coding, "mr") ? T4_COMPRESSION_ITU_T4_2D : T4_COMPRESSION_ITU_T6;
}

static int rows_out;
static int row_out(void *to, const uint8_t *row, size_t n) {
	if (row && n) {
		append(to, row, n);
		rows_out++;
	}
	return 0;
}

static int span_decode(const struct request *q, uint8_t *data, struct memory *out) {
	t4_rx_state_t *s = t4_rx_init(NULL, file, T4_COMPRESSION_ITU_T6);
	t4_stats_t stats;
	if (!s) exit(1);
	rows_out = 0;
	t4_rx_set_row_write_handler(s, row_out, out);
	t4_rx_set_rx_encoding(s, encoding(q->coding));
	t4_rx_set_image_width(s, q->width);
	t4_rx_start_page(s);
	t4_rx_put_chunk(s, data, q->octets);
	t4_rx_end_page(s);
	t4_rx_get_transfer_statistics(s, &stats);
	complaints += stats.bad_rows;
	t4_rx_free(s);
	return rows_out;
}

static void span_encode(const struct request *q, uint8_t *rows, struct memory *out) {
	TIFF *t = TIFFOpen(file, "w");
	struct request r = *q;
	r.option = 0;
	if (!t) exit(1);
	set_fields(t, &r);
	TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX4);
	if (TIFFWriteEncodedStrip(t, 0, rows, q->octets) < 0) exit(1);
	TIFFClose(t);
	t4_tx_state_t *s = t4_tx_init(NULL, file, -1, -1);
	if (!s) exit(1);
	t4_tx_set_tx_encoding(s, encoding(q->coding));
	t4_tx_set_min_bits_per_row(s, q->option);
	if (t4_tx_start_page(s)) exit(1);
	uint8_t b[4096];
	for (int n; (n = t4_tx_get_chunk(s, b, sizeof b)) > 0;) {
		append(out, b, n);
		if (n < (int)sizeof b) break;
	}
	t4_tx_end_page(s);
	t4_tx_free(s);
}

int main(int argc, char **argv) {
	struct request q;
	if (argc != 2) return 2;
	file = argv[1];
	TIFFSetErrorHandler(complain);
	TIFFSetWarningHandler(complain);
	while (scanf("%15s %15s %15s %u %u %15s %d %zu", q.what, q.judge, q.coding, &q.width, &q.height, q.order, &q.option, &q.octets) == 8) {
		uint8_t *data = malloc(q.octets + 1);
		struct memory out = {0};
		int lines = q.height, libtiff = !strcmp(q.judge, "libtiff");
		getchar(); /* the line's end */
		if (!data || fread(data, 1, q.octets, stdin) != q.octets) return 1;
		complaints = 0;
		if (!strcmp(q.what, "encode")) (libtiff ? tiff_encode : span_encode)(&q, data, &out);
		else lines = (libtiff ? tiff_decode : span_decode)(&q, data, &out);
		printf("%d %d %zu\n", lines, complaints, out.n);
		fwrite(out.p, 1, out.n, stdout);
		fflush(stdout);
		free(data);
		free(out.p);
	}
	return 0;
}
