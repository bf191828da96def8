// SPDX-License-Identifier: MIT
/*
 * Images as arrays of grey values: PNG through libpng's simplified interface, PGM (plain and raw, 8 and 16 bits) here.
 * Works on memory and returns sentences, so that it can be tested and fuzzed without files. Pure but for allocation.
 */
#include "bundle.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_SIDE_MAX	16384u			/* pixels; bounds what a file can make us allocate */
#define PIXELS_A_BYTE	(8 * 1100u)		/* 8 in a byte, and deflate cannot shrink by more than 1032 */

bool snpu_image_is(const void *mem, size_t size)
{
	const char *m = mem;

	return (size >= 8 && png_sig_cmp(mem, 0, 8) == 0) || (size >= 3 && m[0] == 'P' && (m[1] == '2' || m[1] == '5') &&
							      (m[2] == '\n' || m[2] == ' ' || m[2] == '\r' || m[2] == '\t'));
}

/* --- PNG ------------------------------------------------------------------------------------------------------ */

/* [height][width][3] -> [3][height][width] */
static void planes(const uint8_t *rgb, size_t pixels, uint8_t *out)
{
	for (size_t i = 0; i < pixels; i++)
		for (size_t c = 0; c < 3; c++)
			out[c * pixels + i] = rgb[i * 3 + c];
}

static const char *png_decode(png_image *png, uint64_t elements, struct snpu_array *out)
{
	size_t pixels = (size_t)png->width * png->height;
	bool rgb = (png->format & PNG_FORMAT_FLAG_COLOR) && elements == pixels * 3;
	uint64_t shape[3] = { 3, png->height, png->width };
	png_color black = { 0, 0, 0 };
	const char *problem = NULL;

	png->format = rgb ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
	uint8_t *buf = malloc(PNG_IMAGE_SIZE(*png));

	if (!buf || snpu_array_create(SNPU_U8, rgb ? 3 : 2, rgb ? shape : shape + 1, out))
		problem = "not enough memory";
	else if (!png_image_finish_read(png, &black, buf, 0, NULL)) {
		problem = "the PNG data is damaged";
		snpu_array_free(out);
	} else if (rgb)
		planes(buf, pixels, out->data);
	else
		memcpy(out->data, buf, pixels);
	free(buf);
	return problem;
}

static const char *png_parse(const void *mem, size_t size, uint64_t elements, struct snpu_array *out)
{
	png_image png = { .version = PNG_IMAGE_VERSION };
	const char *problem;

	if (!png_image_begin_read_from_memory(&png, mem, size))
		return "the PNG header is damaged";
	if (png.width > IMAGE_SIDE_MAX || png.height > IMAGE_SIDE_MAX)
		problem = "it is larger than 16384 pixels on a side";
	else if ((uint64_t)png.width * png.height / PIXELS_A_BYTE > size)
		problem = "its header claims more pixels than its data can hold";
	else
		problem = png_decode(&png, elements, out);
	png_image_free(&png);
	return problem;
}

/* --- PGM ------------------------------------------------------------------------------------------------------ */

struct pgm {
	const uint8_t *p, *end;
};

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* The next decimal number behind blanks and comments; -1 when there is none or it is over 65535. */
static long pgm_number(struct pgm *s)
{
	long n = -1;

	while (s->p < s->end && (is_space(*s->p) || *s->p == '#'))
		if (*s->p++ == '#')
			while (s->p < s->end && *s->p != '\n')
				s->p++;
	while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
		n = (n < 0 ? 0 : n) * 10 + (*s->p++ - '0');
		if (n > 65535)
			return -1;
	}
	return n;
}

/* One sample in 0..max, -1 at the end of the data. */
static long pgm_sample(struct pgm *s, bool plain, long max)
{
	long v;

	if (plain)
		return pgm_number(s);
	if (s->end - s->p < (max > 255 ? 2 : 1))
		return -1;
	v = *s->p++;
	return max > 255 ? v << 8 | *s->p++ : v;
}

static const char *pgm_parse(const void *mem, size_t size, struct snpu_array *out)
{
	struct pgm s = { (const uint8_t *)mem + 2, (const uint8_t *)mem + size };
	bool plain = ((const char *)mem)[1] == '2';
	long width = pgm_number(&s), height = pgm_number(&s), max = pgm_number(&s);
	uint64_t shape[2] = { (uint64_t)height, (uint64_t)width };

	if (width < 1 || height < 1 || max < 1 || (uint32_t)width > IMAGE_SIDE_MAX || (uint32_t)height > IMAGE_SIDE_MAX)
		return "its PGM header needs a width and a height of 1 to 16384 and a maximum of 1 to 65535";
	if (!plain && (s.p >= s.end || !is_space(*s.p++)))
		return "there is no blank after its PGM header";
	/* A sample takes at least one byte: refuse before allocating. */
	if ((uint64_t)(s.end - s.p) < (uint64_t)width * (uint64_t)height)
		return "its PGM data ends early";
	if (snpu_array_create(SNPU_U8, 2, shape, out))
		return "not enough memory";
	for (uint64_t i = 0; i < out->count; i++) {
		long v = pgm_sample(&s, plain, max);

		if (v < 0 || v > max) {
			snpu_array_free(out);
			return v < 0 ? "its PGM data ends early" : "a PGM sample is over the maximum of its header";
		}
		((uint8_t *)out->data)[i] = (uint8_t)((v * 255 + max / 2) / max);
	}
	return NULL;
}

const char *snpu_image_parse(const void *mem, size_t size, uint64_t elements, struct snpu_array *out)
{
	return ((const char *)mem)[0] == 'P' ? pgm_parse(mem, size, out) : png_parse(mem, size, elements, out);
}
