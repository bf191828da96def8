// SPDX-License-Identifier: MIT
/*
 * Activity in braille characters, 2 by 4 dots each. Up to FEW neurons get a line of their own, with their count and a bar;
 * more share a line by four. Pure but for the stream.
 */
#include "raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define FEW	12				/* neurons that get a line each */
#define BAR	20				/* length of the longest bar, characters */

struct canvas {
	uint32_t width, height;			/* characters */
	uint8_t *dots;				/* [height][width], bits as in U+2800 */
};

static void dot(struct canvas *c, uint64_t x, uint64_t y)
{
	static const uint8_t bit[4][2] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };

	if (x / 2 < c->width && y / 4 < c->height)
		c->dots[y / 4 * c->width + x / 2] |= bit[y % 4][x % 2];
}

static void put_line(FILE *f, const struct canvas *c, uint32_t y)
{
	for (uint32_t x = 0; x < c->width; x++) {
		uint8_t d = c->dots[y * c->width + x];

		fprintf(f, "\xe2%c%c", 0xa0 | d >> 6, 0x80 | (d & 0x3f));
	}
}

/* A dot for each neuron and step (or bin of steps) that is active: fired, or for values lies above zero. */
static void draw(struct canvas *c, const struct snpu_panel *p, uint64_t neurons, uint32_t per_neuron)
{
	uint64_t wide = c->width * 2ull, stretch = p->steps ? wide / p->steps : 1;

	for (uint64_t t = 0; t < p->steps; t++)
		for (uint64_t n = 0; n < neurons; n++)
			if (p->value[t * p->neurons + n] > 0)
				for (uint32_t k = 0; k < per_neuron; k++)
					dot(c, stretch ? t * stretch : t * wide / p->steps, n * per_neuron + k);
}

static void bar(FILE *f, double sum, double most)
{
	int n = most > 0 ? (int)lround(sum / most * BAR) : 0;

	for (int i = 0; i < n; i++)
		fputs(i ? "█" : " █", f);
}

void snpu_raster_terminal(FILE *f, const struct snpu_panel *p, double dt, unsigned int columns, unsigned int lines)
{
	bool few = p->neurons <= FEW && p->neurons <= lines, spikes = snpu_panel_is_spikes(p);
	uint64_t shown = few || p->neurons <= lines * 4ull ? p->neurons : lines * 4ull;
	uint32_t room = columns > SNPU_LABEL + 6 + BAR + 8 + 20 ? columns - SNPU_LABEL - 6 - BAR - 8 : 20;
	uint32_t width = (uint32_t)(p->steps >= room ? room : p->steps * (room / p->steps > 2 ? 2 : room / p->steps));
	struct canvas c = { width, (uint32_t)(few ? shown : (shown + 3) / 4), NULL };
	double most = 0;

	c.dots = calloc(c.width, c.height);
	if (!c.dots)
		return;			/* a decoration; what it shows is in the answer and in --record, too */
	draw(&c, p, shown, few ? 4 : 1);
	fprintf(f, "%-*s%s", SNPU_LABEL, p->name, snpu_text_width(p->name) < SNPU_LABEL ? "" : "  ");
	if (p->sample >= 0)
		fprintf(f, "sample %lld  ", (long long)p->sample);
	fprintf(f, "neurons 0..%llu of %llu  %s, %llu steps%s%s\n", (unsigned long long)shown - 1, (unsigned long long)p->neurons,
		spikes ? "spikes" : "values above zero", (unsigned long long)p->steps, dt > 0 ? " of " : "", dt > 0 ? snpu_text_seconds(SNPU_TEXT, dt) : "");
	for (uint64_t n = 0; few && n < shown; n++)
		most = fmax(most, snpu_panel_sum(p, (int64_t)n));
	for (uint32_t y = 0; y < c.height; y++) {
		fprintf(f, "%*u ", SNPU_LABEL + 3, few ? y : y * 4);
		put_line(f, &c, y);
		if (few && spikes) {
			fprintf(f, "  %4.0f", snpu_panel_sum(p, y));
			bar(f, snpu_panel_sum(p, y), most);
		}
		fputc('\n', f);
	}
	free(c.dots);
}
