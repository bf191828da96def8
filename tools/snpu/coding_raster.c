// SPDX-License-Identifier: MIT
/*
 * Draws spike trains as one SVG: to the right the tokens and in each its time steps, downwards the channels, a mark for each
 * spike in the colour of its sign. Above are the spikes of each step, beside it those of each channel. Channels, tokens and steps
 * that have no room are left out, which the picture says; the numbers in words are of all. All marks of a sign are one path.
 * Pure but for the stream.
 */
#include "coding_raster.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "svg.h"
#include "text.h"

#define LEFT		72			/* of the raster, pixels */
#define PLOT		980			/* its width, at most */
#define PLOT_MIN	560			/* of the picture beside the margins, for its words */
#define SIDE_GAP	14
#define SIDE_WIDTH	96
#define STRIP		64			/* height of the spikes of each step */
#define COLUMN_MIN	2.0
#define COLUMN_MAX	16.0
#define CHANNELS_MAX	256
#define STEPS_MAX	65536
#define WORTHS_MAX	14			/* bits whose worth is spelled out */
#define PLUS		"#3457d5"
#define MINUS		"#e8630a"

struct drawing {
	const struct snpu_coding_raster *r;
	bool sign, negative;			/* counts keep their sign; steps of -1 exist */
	unsigned int all_steps;			/* of a token */
	uint32_t tokens, channels, steps;	/* that are shown */
	int32_t *counts;			/* [r->tokens][r->channels] as they are encoded */
	int8_t *spikes;				/* [tokens][all_steps][channels] */
	double spike_sum;			/* of all tokens and channels */
	double column, gap, row;		/* pixels */
	double top, width, height;		/* of the raster */
	double below;				/* height of the tokens' names under it */
	char note[400];				/* what is left out */
};

static bool unary(enum snpu_coding c)
{
	return c == SNPU_CODING_BINARY || c == SNPU_CODING_TERNARY;
}

static int8_t at(const struct drawing *d, uint32_t token, uint32_t step, uint32_t channel)
{
	return d->spikes[((size_t)token * d->all_steps + step) * d->channels + channel];
}

static double column_x(const struct drawing *d, uint32_t token, uint32_t step)
{
	return LEFT + d->gap / 2 + token * (d->steps * d->column + d->gap) + step * d->column;
}

/* --- what is shown --------------------------------------------------------------------------------------------- */

/* Spikes in the code of one count. */
static double spikes_of(const struct drawing *d, int32_t s)
{
	uint32_t m = s < 0 ? -(uint32_t)s : (uint32_t)s;

	if (unary(d->r->coding))
		return m;
	if (d->r->coding == SNPU_CODING_TWOS_COMPLEMENT && s < 0)
		return d->all_steps - (double)__builtin_popcount(~(uint32_t)s);
	return __builtin_popcount(m);
}

static void layout(struct drawing *d)
{
	const struct snpu_coding_raster *r = d->r;
	double room;

	d->channels = (uint32_t)(r->channels < CHANNELS_MAX ? r->channels : CHANNELS_MAX);
	d->row = d->channels <= 32 ? 14 : d->channels <= 64 ? 9 : d->channels <= 128 ? 5 : 704.0 / d->channels;
	d->steps = d->all_steps ? d->all_steps : 1;
	if (d->steps > PLOT / COLUMN_MIN - 2)
		d->steps = (uint32_t)(PLOT / COLUMN_MIN) - 2;
	room = PLOT / (d->steps * COLUMN_MIN + COLUMN_MIN);
	d->tokens = (uint32_t)(r->tokens < room ? (double)r->tokens : room);
	d->column = fmin(COLUMN_MAX, PLOT / (d->tokens * (d->steps + 1.0)));
	d->gap = fmin(d->column, 8);
	d->width = d->tokens * (d->steps * d->column + d->gap);
	d->height = d->channels * d->row;
}

static int encode(struct drawing *d)
{
	const struct snpu_coding_raster *r = d->r;
	int32_t line[CHANNELS_MAX];
	int err = 0;

	d->spikes = calloc((size_t)d->tokens * (d->all_steps + 1), d->channels);
	if (!d->spikes)
		return -ENOMEM;
	for (uint32_t t = 0; !err && t < d->tokens; t++) {
		memcpy(line, &d->counts[t * r->channels], d->channels * sizeof(*line));
		err = snpu_coding_encode(r->coding, line, d->channels, d->all_steps, &d->spikes[(size_t)t * d->all_steps * d->channels]);
	}
	return err;
}

static int prepare(struct drawing *d)
{
	const struct snpu_coding_raster *r = d->r;
	uint64_t n, bytes;
	int err;

	if (!r->tokens || !r->channels || __builtin_mul_overflow(r->tokens, r->channels, &n) || __builtin_mul_overflow(n, sizeof(*d->counts), &bytes))
		return -EINVAL;
	d->negative = r->coding == SNPU_CODING_TERNARY || r->coding == SNPU_CODING_BITWISE_BIDIRECTIONAL;
	d->sign = d->negative || r->coding == SNPU_CODING_TWOS_COMPLEMENT;
	d->counts = malloc(bytes);
	if (!d->counts)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++)
		d->counts[i] = r->counts[i] < 0 && r->counts[i] > INT32_MIN && !d->sign ? -r->counts[i] : r->counts[i];
	err = snpu_coding_steps(r->coding, d->counts, n, &d->all_steps);
	if (!err && d->all_steps > STEPS_MAX)
		err = -E2BIG;
	if (err)
		return err;
	for (uint64_t i = 0; i < n; i++)
		d->spike_sum += spikes_of(d, d->counts[i]);
	layout(d);
	return encode(d);
}

/* --- words ----------------------------------------------------------------------------------------------------- */

static double put_swatch(FILE *f, double x, double y, const char *colour, const char *text)
{
	fprintf(f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" rx=\"2\" fill=\"%s\"/>\n", x, y - 10, colour);
	snpu_svg_text(f, x + 17, y, "start", "", text);
	return x + 17 + 7 * snpu_text_width(text) + 22;
}

/* "-16 8 4 2 1": what the steps of a token are worth. */
static void worths(const struct drawing *d, char *text, size_t size)
{
	size_t n;

	if (unary(d->r->coding)) {
		snprintf(text, size, "each step of a token is worth 1");
		return;
	}
	n = (size_t)snprintf(text, size, "the steps of a token are worth");
	for (unsigned int t = 0; t < d->all_steps; t++) {
		unsigned int bit = d->all_steps - 1 - t;

		if (d->all_steps > WORTHS_MAX && t == 3)
			n += (size_t)snprintf(text + n, size - n, " …");
		if (d->all_steps <= WORTHS_MAX || t < 3 || bit < 3)
			n += (size_t)snprintf(text + n, size - n, " %s%llu", d->r->coding == SNPU_CODING_TWOS_COMPLEMENT && t == 0 ? "−" : "", 1ull << bit);
	}
}

static void legend(FILE *f, const struct drawing *d, double y)
{
	char text[400];
	double x = LEFT;

	x = put_swatch(f, x, y, PLUS, d->negative ? "spike +1" : "spike");
	if (d->negative)
		x = put_swatch(f, x, y, MINUS, "spike −1");
	worths(d, text, sizeof(text));
	snpu_svg_text(f, x, y, "start", "small", text);
}

/* What is not to be seen; "" when all is. */
static void left_out(struct drawing *d)
{
	const struct snpu_coding_raster *r = d->r;
	char part[3][96] = { "", "", "" };

	if (d->channels < r->channels)
		snprintf(part[0], sizeof(part[0]), "channels 0 to %u of %s, ", d->channels - 1, snpu_text_count(SNPU_TEXT, (double)r->channels));
	if (d->tokens < r->tokens)
		snprintf(part[1], sizeof(part[1]), "tokens 0 to %u of %s, ", d->tokens - 1, snpu_text_count(SNPU_TEXT, (double)r->tokens));
	if (d->steps < d->all_steps)
		snprintf(part[2], sizeof(part[2]), "the first %u of %s steps, ", d->steps, snpu_text_count(SNPU_TEXT, d->all_steps));
	if (part[0][0] || part[1][0] || part[2][0])
		snprintf(d->note, sizeof(d->note), "shown: %s%s%sthe numbers above are of all", part[0], part[1], part[2]);
}

static void heading(FILE *f, const struct drawing *d)
{
	const struct snpu_coding_raster *r = d->r;
	double n = (double)r->tokens * (double)r->channels, y = 36;
	char text[500];

	snpu_svg_text(f, LEFT, y, "start", "title", r->title);
	if (r->subtitle)
		snpu_svg_text(f, LEFT, y += 22, "start", "small", r->subtitle);
	snprintf(text, sizeof(text), "%s code%s · T = %s · firing rate %.1f %% · %.2f spikes a channel", snpu_coding_name(r->coding),
		 d->sign ? "" : " of |s|, without its sign", snpu_text_of(SNPU_TEXT, d->all_steps, "step"),
		 d->all_steps ? 100 * d->spike_sum / n / d->all_steps : 0, d->spike_sum / n);
	snpu_svg_text(f, LEFT, y += 22, "start", "", text);
	legend(f, d, y += 24);
	if (d->note[0])
		snpu_svg_text(f, LEFT, y + 22, "start", "small", d->note);
}

/* Height of all that stands above the strip. */
static double head(const struct drawing *d)
{
	return 104 + (d->r->subtitle ? 22 : 0) + (d->note[0] ? 22 : 0);
}

/* --- axes ------------------------------------------------------------------------------------------------------ */

static void channel_axis(FILE *f, const struct drawing *d)
{
	double distance = fmax(1, snpu_svg_tick(d->channels, d->channels <= 16 ? 16 : 8));
	char text[32];

	for (double c = 0; c < d->channels; c += distance) {
		double y = d->top + (c + 0.5) * d->row;

		snprintf(text, sizeof(text), "%.0f", c);
		snpu_svg_text(f, LEFT - 9, y + 4, "end", "small", text);
		fprintf(f, "<path class=\"line\" d=\"M%d %.1fh5\"/>\n", LEFT - 6, y);
	}
	fprintf(f, "<text transform=\"translate(24 %.1f) rotate(-90)\" text-anchor=\"middle\" class=\"small\">channel</text>\n", d->top + d->height / 2);
}

/* A token's text without the blank before it, at most 14 bytes, with ends of lines to be seen. */
static void token_text(const char *from, char *text, size_t size)
{
	size_t n = 0;

	if (from[0] == ' ' && from[1])
		from++;
	for (; *from && n < 14 && n + 4 < size; from++)
		n += (size_t)snprintf(text + n, size - n, *from == '\n' ? "↵" : *from == ' ' ? "␣" : "%c", *from);
	while (*from && n && (*from & 0xc0) == 0x80)	/* not within a character */
		from--, n--;
	text[n] = 0;
	if (*from)
		strcpy(text + n, "…");
}

/* Tokens have names where there is room, and then these need height: slanted letters of 7 pixels at most. */
static double below(const struct drawing *d)
{
	unsigned int longest = 0;
	char text[64];

	if (!d->r->text || d->width / d->tokens < 11)
		return 0;
	for (uint32_t t = 0; t < d->tokens; t++) {
		token_text(d->r->text[t], text, sizeof(text));
		longest = snpu_text_width(text) > longest ? snpu_text_width(text) : longest;
	}
	return 6.2 * longest + 4;
}

static void token_axis(FILE *f, const struct drawing *d)
{
	double pitch = d->width / d->tokens, bottom = d->top + d->height;
	bool words = d->below > 0;
	double distance = words ? 1 : fmax(1, snpu_svg_tick(d->tokens, (unsigned int)fmax(1, fmin(16, d->width / 40))));
	char text[64];

	for (double t = 0; t < d->tokens; t += distance) {
		double x = LEFT + (t + 0.5) * pitch;

		fprintf(f, "<path class=\"line\" d=\"M%.1f %.1fv5\"/>\n", x, bottom);
		if (words) {
			token_text(d->r->text[(uint64_t)t], text, sizeof(text));
			fprintf(f, "<text transform=\"translate(%.1f %.1f) rotate(-60)\" text-anchor=\"end\">", x + 4, bottom + 14);
			snpu_svg_put(f, text);
			fputs("</text>\n", f);
		} else {
			snprintf(text, sizeof(text), "%.0f", t);
			snpu_svg_text(f, x, bottom + 19, "middle", "small", text);
		}
	}
	snprintf(text, sizeof(text), d->steps > 1 ? "token (%u steps each)" : "token", d->steps);
	snpu_svg_text(f, LEFT + d->width / 2, bottom + d->below + 40, "middle", "small", text);
}

/* Every other token on grey. */
static void bands(FILE *f, const struct drawing *d)
{
	fputs("<path fill=\"#f4f6f9\" d=\"M0 0", f);
	for (uint32_t t = 1; t < d->tokens; t += 2)
		fprintf(f, "M%.2f %.1fh%.2fv%.1fh%.2fz", column_x(d, t, 0) - d->gap / 2, d->top, d->width / d->tokens, d->height, -d->width / d->tokens);
	fputs("\"/>\n", f);
}

/* --- spikes ---------------------------------------------------------------------------------------------------- */

/* The class is for those who count marks. */
static void marks(FILE *f, const struct drawing *d, int sign)
{
	fprintf(f, "<path class=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%.2f\" d=\"", sign > 0 ? "plus" : "minus", sign > 0 ? PLUS : MINUS, d->row * 0.8);
	for (uint32_t t = 0; t < d->tokens; t++)
		for (uint32_t s = 0; s < d->steps && s < d->all_steps; s++)
			for (uint32_t c = 0; c < d->channels; c++)
				if (at(d, t, s, c) == sign)
					fprintf(f, "M%.1f %.1fh%.1f", column_x(d, t, s) + d->column * 0.07, d->top + (c + 0.5) * d->row, d->column * 0.86);
	fputs("\"/>\n", f);
}

static uint32_t step_sum(const struct drawing *d, uint32_t t, uint32_t s, int sign)
{
	uint32_t sum = 0;

	for (uint32_t c = 0; s < d->all_steps && c < d->channels; c++)
		sum += at(d, t, s, c) == sign;
	return sum;
}

/* Spikes of each step: upwards those of +1, downwards those of -1. */
static void strip(FILE *f, const struct drawing *d)
{
	double bottom = d->top - 10, base = d->negative ? bottom - STRIP / 2.0 : bottom, reach = base - (bottom - STRIP);
	uint32_t most = 1;
	char text[32];

	for (int sign = -1; sign <= 1; sign += 2)
		for (uint32_t t = 0; t < d->tokens; t++)
			for (uint32_t s = 0; s < d->steps; s++)
				most = step_sum(d, t, s, sign) > most ? step_sum(d, t, s, sign) : most;
	for (int sign = 1; sign >= (d->negative ? -1 : 1); sign -= 2) {
		fprintf(f, "<path fill=\"%s\" fill-opacity=\"0.75\" d=\"M0 0", sign > 0 ? PLUS : MINUS);
		for (uint32_t t = 0; t < d->tokens; t++)
			for (uint32_t s = 0; s < d->steps; s++) {
				double y = step_sum(d, t, s, sign) * reach / most;

				if (y > 0)
					fprintf(f, "M%.1f %.1fv%.2fh%.1fv%.2fz", column_x(d, t, s) + d->column * 0.07, base, -sign * y, d->column * 0.86, sign * y);
			}
		fputs("\"/>\n", f);
	}
	fprintf(f, "<path stroke=\"" SNPU_SVG_FRAME "\" d=\"M%d %.1fh%.1f\"/>\n", LEFT, base, d->width);
	snprintf(text, sizeof(text), "%u", most);
	snpu_svg_text(f, LEFT - 9, bottom - STRIP + 10, "end", "small", text);
	snpu_svg_text(f, LEFT + d->width + SIDE_GAP, bottom - STRIP / 2.0 + 4, "start", "small", "spikes of each step");
}

/* Spikes of each channel, both signs end to end. */
static void side(FILE *f, const struct drawing *d)
{
	uint32_t most = 1, sum[2][CHANNELS_MAX] = { { 0 } };
	double x = LEFT + d->width + SIDE_GAP;
	char text[64];

	for (uint32_t t = 0; t < d->tokens; t++)
		for (uint32_t s = 0; s < d->steps && s < d->all_steps; s++)
			for (uint32_t c = 0; c < d->channels; c++)
				if (at(d, t, s, c))
					sum[at(d, t, s, c) < 0][c]++;
	for (uint32_t c = 0; c < d->channels; c++)
		most = sum[0][c] + sum[1][c] > most ? sum[0][c] + sum[1][c] : most;
	for (int negative = 0; negative <= d->negative; negative++) {
		fprintf(f, "<path stroke=\"%s\" stroke-opacity=\"0.75\" stroke-width=\"%.2f\" d=\"M0 0", negative ? MINUS : PLUS, d->row * 0.8);
		for (uint32_t c = 0; c < d->channels; c++)
			if (sum[negative][c])
				fprintf(f, "M%.1f %.1fh%.1f", x + (negative ? sum[0][c] : 0) * (double)SIDE_WIDTH / most, d->top + (c + 0.5) * d->row,
					sum[negative][c] * (double)SIDE_WIDTH / most);
		fputs("\"/>\n", f);
	}
	snpu_svg_text(f, x, d->top + d->height + 19, "start", "small", "spikes of each channel,");
	snprintf(text, sizeof(text), "up to %u", most);
	snpu_svg_text(f, x, d->top + d->height + 35, "start", "small", text);
}

int snpu_coding_raster_svg(FILE *f, const void *coding_raster)
{
	struct drawing d = { .r = coding_raster };
	int err = prepare(&d);

	if (!err) {
		char title[200];

		left_out(&d);
		d.below = below(&d);
		d.top = head(&d) + STRIP + 10;
		snprintf(title, sizeof(title), "%s: spikes", d.r->title);
		snpu_svg_begin(f, LEFT + fmax(d.width, PLOT_MIN) + SIDE_GAP + SIDE_WIDTH + 52, d.top + d.height + d.below + 56, title);
		heading(f, &d);
		bands(f, &d);
		strip(f, &d);
		marks(f, &d, 1);
		if (d.negative)
			marks(f, &d, -1);
		fprintf(f, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" stroke=\"" SNPU_SVG_FRAME "\"/>\n", LEFT, d.top, d.width, d.height);
		channel_axis(f, &d);
		token_axis(f, &d);
		side(f, &d);
		snpu_svg_end(f);
	}
	free(d.counts);
	free(d.spikes);
	return err;
}
