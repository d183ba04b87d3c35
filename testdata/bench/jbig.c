/* The rival of imaging/jbig: jbigkit's T.85 library codes and decodes the pages that it is given, in memory, on command.
 *
 *   jbig PAGE...        each file: width and height as 32-bit little-endian numbers, then packed rows, 1 is black
 *
 * It answers each line "encode|decode PAGE TIMES" (PAGE from 0) with the nanoseconds that TIMES runs took and the size of the
 * coded page. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <jbig85.h>

struct page { uint32_t width, height; uint8_t *rows; size_t stride, size; uint8_t *coded; size_t bytes, cap; };
static struct page pages[64];
static uint8_t *out, line_buffer[3 * 8192];

static void coded_out(unsigned char *start, size_t len, void *file) {
	struct page *p = file;
	if (p->bytes + len > p->cap) {
		p->cap = 2 * (p->bytes + len) + 65536;
		p->coded = realloc(p->coded, p->cap);
	}
	memcpy(p->coded + p->bytes, start, len);
	p->bytes += len;
}

static int row_out(const struct jbg85_dec_state *s, unsigned char *start, size_t len, unsigned long y, void *file) {
	(void)s; (void)file;
	memcpy(out + y * len, start, len);
	return 0;
}

static void encode(struct page *p) {
	struct jbg85_enc_state s;
	p->bytes = 0;
	jbg85_enc_init(&s, p->width, p->height, coded_out, p);
	jbg85_enc_options(&s, JBG_TPBON, 128, 8);
	for (uint32_t y = 0; y < p->height; y++) {
		uint8_t *row = p->rows + y * p->stride;
		jbg85_enc_lineout(&s, row, row - p->stride, row - 2 * p->stride);
	}
}

static void decode(struct page *p) {
	struct jbg85_dec_state s;
	size_t used;
	jbg85_dec_init(&s, line_buffer, sizeof line_buffer, row_out, 0);
	int r = jbg85_dec_in(&s, p->coded, p->bytes, &used);
	if (r != JBG_EOK) { fprintf(stderr, "jbg85_dec_in: %s\n", jbg85_strerror(r)); exit(1); }
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
		p->stride = (p->width + 7) / 8;
		p->size = p->stride * p->height;
		p->rows = calloc(1, p->size + 2 * p->stride);
		p->rows += 2 * p->stride; /* the encoder looks at two lines above the first */
		if (fread(p->rows, 1, p->size, f) != p->size) return 1;
		fclose(f);
		if (p->size > most) most = p->size;
	}
	out = malloc(most);
	char what[16];
	int page, times;
	while (scanf("%15s %d %d", what, &page, &times) == 3) {
		if (page < 0 || page >= n) return 1;
		struct page *p = &pages[page];
		if (!p->bytes) encode(p);
		int64_t start = 0;
		for (int i = -1; i < times; i++) { /* the first warms the caches and is not counted */
			if (!i) start = now();
			if (!strcmp(what, "encode")) encode(p);
			else decode(p);
		}
		start = now() - start;
		if (strcmp(what, "encode") && memcmp(out, p->rows, p->size)) { fprintf(stderr, "page %d differs\n", page); return 1; }
		printf("%lld %zu\n", (long long)start, p->bytes);
		fflush(stdout);
	}
	return 0;
}
