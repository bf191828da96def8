/* SPDX-License-Identifier: MIT */
/* Pictures of spike trains: one mark for each spike in the colour of its sign, valid SVG, and honesty about what is left out. */
#include "coding_raster.h"
#include "output.h"
#include "tests/harness.h"

/* The SVG as text; free it. NULL on an error. */
static char *draw(const struct snpu_coding_raster *r, int *err)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	*err = snpu_coding_raster_svg(f, r);
	fclose(f);
	if (*err) {
		EXPECT_EQ(size, 0);		/* nothing was written */
		free(text);
		return NULL;
	}
	return text;
}

/* Does an independent program take it? */
static bool valid(const char *svg)
{
	FILE *p = popen("rsvg-convert >/dev/null", "w");

	return p && fputs(svg, p) >= 0 && pclose(p) == 0;
}

/* Marks in the path of one sign. */
static unsigned int marks(const char *svg, const char *class)
{
	unsigned int n = 0;
	char start[64];

	snprintf(start, sizeof(start), "<path class=\"%s\"", class);
	for (const char *p = strstr(svg, start); p && *p != '/'; p++)
		n += *p == 'M';
	return n;
}

static void count_signs(const int8_t *spikes, size_t n, unsigned int *plus, unsigned int *minus)
{
	*plus = *minus = 0;
	for (size_t i = 0; i < n; i++) {
		*plus += spikes[i] == 1;
		*minus += spikes[i] == -1;
	}
}

/* [4][6]: silent channels, a silent token, both signs, one outlier. */
static const int32_t small[] = {
	0, 3, -1, 0, 7, -12,
	0, 0, 0, 0, 0, 0,
	0, -2, 5, 1, -7, 20,
	0, 1, 1, -1, 0, 4,
};

TEST(one_mark_for_each_spike)
{
	static const char *const words[] = { "Emma", " wa<s>", "\n", " \xc3\xa9&\"\x01\xff" };

	for (unsigned int c = 0; c <= SNPU_CODING_TWOS_COMPLEMENT; c++) {
		struct snpu_coding_raster r = { .title = "layer 3 <o_proj>", .subtitle = c & 1 ? "a & b" : NULL, .coding = c, .counts = small, .tokens = 4, .channels = 6,
						.text = c & 1 ? words : NULL };
		bool sign = c != SNPU_CODING_BINARY && c != SNPU_CODING_BITWISE;
		unsigned int steps = 0, plus, minus;
		int32_t counts[24];
		int8_t spikes[24 * 20];
		char T[32];
		int err;

		for (int i = 0; i < 24; i++)
			counts[i] = sign ? small[i] : abs(small[i]);
		ASSERT_EQ(snpu_coding_steps(c, counts, 24, &steps), 0);
		ASSERT_LE(steps, 20);
		ASSERT_EQ(snpu_coding_encode(c, counts, 24, steps, spikes), 0);
		count_signs(spikes, 24 * steps, &plus, &minus);
		char *svg = draw(&r, &err);

		ASSERT_TRUE(svg);
		EXPECT_EQ(marks(svg, "plus"), plus);
		EXPECT_EQ(marks(svg, "minus"), minus);
		EXPECT_TRUE(valid(svg));
		snprintf(T, sizeof(T), "T = %u step", steps);
		EXPECT_CONTAINS(svg, T);
		EXPECT_CONTAINS(svg, snpu_coding_name(c));
		EXPECT_EQ(!strstr(svg, "without its sign"), sign);
		EXPECT_TRUE(!strstr(svg, "shown:"));
		snprintf(T, sizeof(T), "firing rate %.1f %%", 100.0 * (plus + minus) / (24 * steps));
		EXPECT_CONTAINS(svg, T);
		free(svg);
	}
}

TEST(what_has_no_room_is_said)
{
	enum { TOKENS = 300, CHANNELS = 3584 };
	int32_t *counts = calloc(TOKENS * CHANNELS, sizeof(*counts));
	struct snpu_coding_raster r = { .title = "wide", .coding = SNPU_CODING_BITWISE_BIDIRECTIONAL, .counts = counts, .tokens = TOKENS, .channels = CHANNELS };
	int err;

	for (int i = 0; i < TOKENS * CHANNELS; i++)
		counts[i] = i * 2654435761u % 15 - 7;
	char *svg = draw(&r, &err);

	ASSERT_TRUE(svg);
	EXPECT_TRUE(valid(svg));
	EXPECT_CONTAINS(svg, "channels 0 to 255 of 3 584");
	EXPECT_CONTAINS(svg, "of 300,");
	free(svg);
	counts[0] = 5000;				/* one outlier makes a unary code long */
	r.coding = SNPU_CODING_TERNARY;
	svg = draw(&r, &err);
	ASSERT_TRUE(svg);
	EXPECT_TRUE(valid(svg));
	EXPECT_CONTAINS(svg, "tokens 0 to 0 of 300");
	EXPECT_CONTAINS(svg, "steps, the numbers");
	free(svg);
	counts[0] = 65537;
	EXPECT_TRUE(!draw(&r, &err));
	EXPECT_EQ(err, -E2BIG);
	free(counts);
}

TEST(silence_and_single_counts)
{
	static const int32_t zeros[6], one = -1;

	for (unsigned int c = 0; c <= SNPU_CODING_TWOS_COMPLEMENT; c++)
		for (int single = 0; single < 2; single++) {
			struct snpu_coding_raster r = { .title = "", .coding = c, .counts = single ? &one : zeros, .tokens = single ? 1 : 2, .channels = single ? 1 : 3 };
			int err;
			char *svg = draw(&r, &err);

			ASSERT_TRUE(svg);
			EXPECT_TRUE(valid(svg));
			EXPECT_EQ(marks(svg, "plus") + marks(svg, "minus"), single ? c == SNPU_CODING_TWOS_COMPLEMENT ? 2 : 1 : 0);
			free(svg);
		}
}

TEST(mistakes)
{
	static const int32_t least = INT32_MIN;
	struct snpu_coding_raster r = { .title = "", .counts = &least, .tokens = 1, .channels = 1 };
	int err;

	EXPECT_TRUE(!draw(&r, &err));
	EXPECT_EQ(err, -ERANGE);
	r.coding = (enum snpu_coding)7;
	EXPECT_TRUE(!draw(&r, &err));
	EXPECT_EQ(err, -EINVAL);
	r.coding = SNPU_CODING_TERNARY;
	EXPECT_TRUE(!draw(&r, &err));
	EXPECT_EQ(err, -E2BIG);
	r.tokens = 0;
	EXPECT_TRUE(!draw(&r, &err));
	EXPECT_EQ(err, -EINVAL);
	r.tokens = UINT64_MAX / 2;
	r.channels = 3;
	EXPECT_TRUE(!draw(&r, &err));
	EXPECT_EQ(err, -EINVAL);
}

/* A picture appears when it is complete, and a failed one leaves what was there. */
TEST(files)
{
	struct snpu_coding_raster r = { .title = "x", .coding = SNPU_CODING_TERNARY, .counts = small, .tokens = 4, .channels = 6 };
	char dir[] = "/tmp/raster-XXXXXX", path[64], part[80];

	ASSERT_TRUE(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.svg", dir);
	snprintf(part, sizeof(part), "%s.part", path);
	EXPECT_EQ(snpu_output_file(path, snpu_coding_raster_svg, &r), 0);
	r.tokens = 0;
	EXPECT_EQ(snpu_output_file(path, snpu_coding_raster_svg, &r), -EINVAL);
	EXPECT_EQ(access(path, R_OK), 0);
	EXPECT_NE(access(part, F_OK), 0);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(rmdir(dir), 0);
	EXPECT_EQ(snpu_output_file(path, snpu_coding_raster_svg, &r), -ENOENT);
}

TEST_HARNESS_MAIN
