/* The rival of make bench-codec: libtiff codes and decodes the pages that it is given, in memory, on command.
 *
 *   codec PAGE...        each file: width and height as 32-bit little-endian numbers, then packed rows, 1 is black
 *
 * It answers each line "encode|decode mh|mr|mmr PAGE TIMES" (PAGE from 0) with the nanoseconds that TIMES runs took and the
 * size of the coded page. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tiffio.h>

struct memory { uint8_t *p; size_t n, cap, at; };

static tmsize_t mread(thandle_t h, void *b, tmsize_t n) {
	struct memory *m = h;
	if (m->at >= m->n) return 0;
	if ((size_t)n > m->n - m->at) n = m->n - m->at;
	memcpy(b, m->p + m->at, n);
	m->at += n;
	return n;
}
static tmsize_t mwrite(thandle_t h, void *b, tmsize_t n) {
	struct memory *m = h;
	if (m->at + n > m->cap) {
		m->cap = 2 * (m->at + n) + 65536;
		m->p = realloc(m->p, m->cap);
	}
	memcpy(m->p + m->at, b, n);
	m->at += n;
	if (m->at > m->n) m->n = m->at;
	return n;
}
static toff_t mseek(thandle_t h, toff_t o, int w) {
	struct memory *m = h;
	m->at = w == SEEK_SET ? o : w == SEEK_CUR ? m->at + o : m->n + o;
	return m->at;
}
static int mclose(thandle_t h) { (void)h; return 0; }
static toff_t msize(thandle_t h) { return ((struct memory *)h)->n; }
static int mmapp(thandle_t h, void **b, toff_t *n) { struct memory *m = h; *b = m->p; *n = m->n; return 1; }
static void munmapp(thandle_t h, void *b, toff_t n) { (void)h; (void)b; (void)n; }

struct page { uint32_t width, height; uint8_t *rows; size_t size; struct memory coded[3]; size_t bytes[3]; };
static struct page pages[64];
static uint8_t *out;

static TIFF *open_memory(struct memory *m, const char *mode) {
	TIFF *t = TIFFClientOpen("memory", mode, m, mread, mwrite, mseek, mclose, msize, mmapp, munmapp);
	if (!t) exit(1);
	return t;
}

static void encode(struct page *p, int c) {
	struct memory *m = &p->coded[c];
	m->n = m->at = 0;
	TIFF *t = open_memory(m, "w");
	TIFFSetField(t, TIFFTAG_IMAGEWIDTH, p->width);
	TIFFSetField(t, TIFFTAG_IMAGELENGTH, p->height);
	TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 1);
	TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
	TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, p->height);
	TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
	TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
	TIFFSetField(t, TIFFTAG_XRESOLUTION, 204.0);
	TIFFSetField(t, TIFFTAG_YRESOLUTION, 196.0);
	TIFFSetField(t, TIFFTAG_COMPRESSION, c == 2 ? COMPRESSION_CCITTFAX4 : COMPRESSION_CCITTFAX3);
	if (c == 1) TIFFSetField(t, TIFFTAG_GROUP3OPTIONS, (uint32_t)GROUP3OPT_2DENCODING);
	if (TIFFWriteEncodedStrip(t, 0, p->rows, p->size) < 0) exit(1);
	TIFFFlushData(t);
	p->bytes[c] = TIFFRawStripSize(t, 0);
	TIFFClose(t);
}

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
	int n = argc - 1;
	size_t most = 0;
	for (int i = 0; i < n && i < 64; i++) {
		FILE *f = fopen(argv[i + 1], "rb");
		struct page *p = &pages[i];
		if (!f || fread(&p->width, 4, 1, f) != 1 || fread(&p->height, 4, 1, f) != 1) return 1;
		p->size = (size_t)((p->width + 7) / 8) * p->height;
		p->rows = malloc(p->size);
		if (fread(p->rows, 1, p->size, f) != p->size) return 1;
		fclose(f);
		if (p->size > most) most = p->size;
	}
	out = malloc(most);
	char what[16], coding[16];
	int page, times;
	while (scanf("%15s %15s %d %d", what, coding, &page, &times) == 4) {
		int c = !strcmp(coding, "mh") ? 0 : !strcmp(coding, "mr") ? 1 : 2;
		if (page < 0 || page >= n) return 1;
		struct page *p = &pages[page];
		if (!p->bytes[c]) encode(p, c);
		int64_t start;
		if (!strcmp(what, "encode")) {
			encode(p, c); /* warms the caches: not counted */
			start = now();
			for (int i = 0; i < times; i++) encode(p, c);
			start = now() - start;
		} else {
			p->coded[c].at = 0;
			TIFF *t = open_memory(&p->coded[c], "r");
			if (TIFFReadEncodedStrip(t, 0, out, p->size) < 0) return 1; /* not counted */
			start = now();
			for (int i = 0; i < times; i++)
				if (TIFFReadEncodedStrip(t, 0, out, p->size) < 0) return 1;
			start = now() - start;
			TIFFClose(t);
			if (memcmp(out, p->rows, p->size)) { fprintf(stderr, "page %d differs\n", page); return 1; }
		}
		printf("%lld %zu\n", (long long)start, p->bytes[c]);
		fflush(stdout);
	}
	return 0;
}
