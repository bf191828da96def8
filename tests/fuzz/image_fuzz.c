/* SPDX-License-Identifier: MIT */
/*
 * Damaged images: good ones of every form that tools/snpu/image.c reads, spoiled in the same ways in every run. Each must give
 * a sentence or an array of what its header says; a crash, a leak (under a sanitizer) or a hang fails.
 *
 * IMAGE_FUZZ_CASES sets how many an image gets. With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/roll.h"
#include "tests/harness.h"
#include "tools/snpu/bundle.h"

/* As the command does it: only what looks like an image is parsed. 1: an array came out. */
static int read_image(const uint8_t *data, size_t size, uint64_t elements, const char **problem)
{
	struct snpu_array a = { 0 };
	uint64_t sum = 0;

	*problem = "it is no image";
	if (!snpu_image_is(data, size))
		return 0;
	*problem = snpu_image_parse(data, size, elements, &a);
	if (*problem)
		return 0;
	for (uint64_t i = 0; i < a.count; i++)		/* every element is there */
		sum += ((const uint8_t *)a.data)[i];
	if (a.dtype != SNPU_U8 || a.rank < 2 || a.rank > 3 || !a.count || sum > 255 * a.count)
		abort();
	snpu_array_free(&a);
	return 1;
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *problem;

	read_image(data, size, 3 * 8 * 6, &problem);
	return 0;
}
#else

#define WIDTH	8
#define HEIGHT	6

/* A PNG of noise; format: PNG_FORMAT_*. */
static size_t make_png(uint32_t format, uint8_t *to, size_t room)
{
	png_image png = { .version = PNG_IMAGE_VERSION, .width = WIDTH, .height = HEIGHT, .format = format };
	uint8_t pixels[WIDTH * HEIGHT * 8];
	png_alloc_size_t size = room;

	for (size_t i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)roll(256);
	return png_image_write_to_memory(&png, to, &size, 0, pixels, 0, NULL) ? size : 0;
}

/* A PGM of noise; plain or raw, with 8 or 16 bits. */
static size_t make_pgm(bool plain, unsigned int max, uint8_t *to, size_t room)
{
	size_t n = (size_t)snprintf((char *)to, room, "P%c # noise\n%d %d\n%u\n", plain ? '2' : '5', WIDTH, HEIGHT, max);

	for (unsigned int i = 0; i < WIDTH * HEIGHT; i++) {
		unsigned int v = roll(max + 1);

		if (plain)
			n += (size_t)snprintf((char *)to + n, room - n, "%u ", v);
		else if (max > 255)
			to[n++] = (uint8_t)(v >> 8);
		if (!plain)
			to[n++] = (uint8_t)v;
	}
	return n;
}

static size_t make(unsigned int kind, uint8_t *to, size_t room)
{
	static const uint32_t formats[] = { PNG_FORMAT_GRAY, PNG_FORMAT_RGB, PNG_FORMAT_RGBA, PNG_FORMAT_LINEAR_Y, PNG_FORMAT_GA };

	return kind < 5 ? make_png(formats[kind], to, room) : make_pgm(kind & 1, kind < 7 ? 255 : 65535, to, room);
}
#define KINDS	9

/* libpng checks this before anything else, so damage must often come with the right one. */
static void mend_checksums(uint8_t *p, size_t size)
{
	for (size_t at = 8; at + 12 <= size;) {
		uint32_t len = (uint32_t)p[at] << 24 | p[at + 1] << 16 | p[at + 2] << 8 | p[at + 3], crc = ~0u;

		if (len > size - at - 12)
			return;
		for (size_t i = at + 4; i < at + 8 + len; i++) {
			crc ^= p[i];
			for (int b = 0; b < 8; b++)
				crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
		}
		for (int b = 0; b < 4; b++)
			p[at + 8 + len + b] = (uint8_t)(~crc >> (24 - 8 * b));
		at += 12 + len;
	}
}

static size_t spoil(uint8_t *p, size_t size, bool png)
{
	static const uint8_t favourites[] = { 0x00, 0xff, 0x7f, 0x80, 0x01, ' ', '0', '9', '-', '#', '\n' };

	for (uint32_t n = 1 + roll(3); n; n--) {
		size_t at = roll(2) ? roll((uint32_t)size) : roll(size < 40 ? (uint32_t)size : 40);

		if (roll(2))
			p[at] ^= (uint8_t)(1u << roll(8));
		else
			p[at] = favourites[roll(sizeof(favourites))];
	}
	if (png && roll(4))
		mend_checksums(p, size);
	return roll(4) ? size : roll((uint32_t)size + 1);
}

static void fuzz(unsigned int kind)
{
	const char *cases = getenv("IMAGE_FUZZ_CASES"), *problem;
	uint8_t good[8192], *bad;
	unsigned int n = cases ? (unsigned int)strtoul(cases, NULL, 10) : 3000, read = 0, refused = 0;
	size_t size;

	rng = 0x9e3779b97f4a7c15ull + kind;
	size = make(kind, good, sizeof(good));
	ASSERT_TRUE(size);
	ASSERT_TRUE(read_image(good, size, WIDTH * HEIGHT, &problem));
	for (unsigned int i = 0; i < n; i++) {
		uint64_t elements = roll(2) ? 3 * WIDTH * HEIGHT : WIDTH * HEIGHT;
		size_t left;

		bad = malloc(size);		/* of its own, so that a sanitizer sees a step past its end */
		memcpy(bad, good, size);
		left = spoil(bad, size, kind < 5);
		bad = realloc(bad, left ? left : 1);
		ASSERT_TRUE(bad);
		if (read_image(bad, left, elements, &problem)) {
			read++;
		} else {
			refused++;
			EXPECT_TRUE(problem && problem[0]);
		}
		free(bad);
	}
	EXPECT_TRUE(read && refused);		/* else the damage was too mild or too harsh to test anything */
}

TEST_TIMEOUT(png, 300)
{
	for (unsigned int kind = 0; kind < 5; kind++)
		fuzz(kind);
}

TEST_TIMEOUT(pgm, 300)
{
	for (unsigned int kind = 5; kind < KINDS; kind++)
		fuzz(kind);
}

/* A small file must not make the reader take much memory. */
TEST(a_header_that_promises_too_much)
{
	uint8_t png[8192];
	const char *problem;
	size_t size = make_png(PNG_FORMAT_GRAY, png, sizeof(png));

	ASSERT_TRUE(size);
	png[16 + 2] = png[20 + 2] = 0x40;	/* 16 384 by 16 384 pixels */
	png[16 + 3] = png[20 + 3] = 0;
	mend_checksums(png, size);
	EXPECT_FALSE(read_image(png, size, 0, &problem));
	EXPECT_CONTAINS(problem, "more pixels than its data can hold");
}

TEST_HARNESS_MAIN
#endif
