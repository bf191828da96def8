// SPDX-License-Identifier: MIT
/*
 * Rates over time: for each panel the mean of its neurons in windows of some steps, as a curve in an SVG and as a line of braille for
 * the terminal. Spikes become Hz where a step has a length, else spikes a step; values stay values. Pure but for the stream.
 */
#include "raster.h"

#include <math.h>
#include <stdlib.h>

#include "svg.h"
#include "text.h"

#define WIDTH		960
#define LEFT		84
#define PLOT		800
#define HEIGHT		110			/* of a panel's curve */
#define HEAD		34
#define WINDOWS		160			/* most of a curve */

static const char *const accents[] = { "#3457d5", "#e8630a", "#0f8a6c", "#a03cb5", "#b8860b", "#c2264b" };

/* A panel's curve. */
struct curve {
	uint64_t windows, width;		/* width: steps of a window */
	double *value;				/* [windows] */
	double low, high;
	bool spikes;
};

static bool curve_make(struct curve *c, const struct snpu_panel *p, double dt, uint64_t most)
{
	double scale;

	c->spikes = snpu_panel_is_spikes(p);
	c->width = (p->steps + most - 1) / most;
	c->windows = (p->steps + c->width - 1) / c->width;
	c->value = calloc(c->windows, sizeof(*c->value));
	c->low = c->high = 0;
	if (!c->value)
		return false;
	for (uint64_t w = 0; w < c->windows; w++) {
		uint64_t from = w * c->width, to = from + c->width < p->steps ? from + c->width : p->steps;

		for (uint64_t i = from * p->neurons; i < to * p->neurons; i++)
			c->value[w] += isfinite(p->value[i]) ? (double)p->value[i] : 0;
		scale = (double)p->neurons * (double)(to - from) * (c->spikes && dt > 0 ? dt : 1);
		c->value[w] /= scale;
		c->low = fmin(c->low, c->value[w]);
		c->high = fmax(c->high, c->value[w]);
	}
	return true;
}

static const char *unit_of(const struct curve *c, double dt)
{
	return !c->spikes ? "" : dt > 0 ? " Hz" : " a step";
}

static void curve_draw(FILE *f, const struct snpu_panel *p, const struct curve *c, double top, double dt, const char *accent)
{
	double range = c->high > c->low ? c->high - c->low : 1, base = top + HEAD + HEIGHT, each = (double)PLOT / (double)p->steps, zero = base + c->low / range * HEIGHT, sum = 0;
	char text[160];

	for (uint64_t w = 0; w < c->windows; w++)
		sum += c->value[w];
	snprintf(text, sizeof(text), "mean of %s neurons in windows of %s · %.3g%s on average", snpu_text_count(SNPU_TEXT, (double)p->neurons),
		 snpu_text_of(SNPU_TEXT, (double)c->width, "step"), sum / (double)c->windows, unit_of(c, dt));
	fprintf(f, "<text x=\"%d\" y=\"%.1f\"><tspan class=\"name\" fill=\"%s\">", LEFT, top + 20, accent);
	snpu_svg_put(f, p->name);
	fputs("</tspan><tspan dx=\"10\" class=\"small\">", f);
	snpu_svg_put(f, text);
	fprintf(f, "</tspan></text>\n<path fill=\"%s\" fill-opacity=\"0.18\" stroke=\"%s\" stroke-width=\"1.4\" d=\"M%d %.1f", accent, accent, LEFT, zero);
	for (uint64_t w = 0; w < c->windows; w++) {
		uint64_t to = (w + 1) * c->width < p->steps ? (w + 1) * c->width : p->steps;

		fprintf(f, "V%.1fH%.1f", zero - c->value[w] / range * HEIGHT, LEFT + (double)to * each);
	}
	fprintf(f, "V%.1fZ\"/>\n<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"" SNPU_SVG_FRAME "\"/>\n", zero, LEFT, base - HEIGHT, PLOT, HEIGHT);
	snprintf(text, sizeof(text), "%.3g%s", c->high, unit_of(c, dt));
	snpu_svg_text(f, LEFT - 8, base - HEIGHT + 10, "end", "small", text);
	snprintf(text, sizeof(text), "%.3g", c->low);
	snpu_svg_text(f, LEFT - 8, base, "end", "small", text);
}

void snpu_rates_svg(FILE *f, const struct snpu_picture *pic)
{
	double height = 74 + pic->panels * (HEAD + HEIGHT + 16.0) + 40, steps = pic->panels ? (double)pic->panel[0].steps : 0;
	double length = pic->dt > 0 ? steps * pic->dt * 1e3 : steps, distance = snpu_svg_tick(length > 0 ? length : 1, 10);
	char text[32];

	snpu_svg_begin(f, WIDTH, height, pic->title);
	snpu_svg_text(f, LEFT, 36, "start", "title", pic->title);
	snpu_svg_text(f, LEFT, 58, "start", "small", pic->subtitle);
	for (unsigned int i = 0; i < pic->panels; i++) {
		struct curve c;

		if (curve_make(&c, &pic->panel[i], pic->dt, WINDOWS))
			curve_draw(f, &pic->panel[i], &c, 74 + i * (HEAD + HEIGHT + 16.0), pic->dt, accents[i % (sizeof(accents) / sizeof(accents[0]))]);
		free(c.value);
	}
	for (unsigned int i = 0; i * distance <= length * 1.0001 && length > 0; i++) {
		snprintf(text, sizeof(text), "%g", i * distance);
		snpu_svg_text(f, LEFT + i * distance / length * PLOT, height - 34, "middle", "small", text);
	}
	snpu_svg_text(f, LEFT + PLOT / 2.0, height - 14, "middle", "small", pic->dt > 0 ? "time (ms)" : "time (steps)");
	snpu_svg_end(f);
}

void snpu_rates_terminal(FILE *f, const struct snpu_panel *p, double dt, unsigned int columns)
{
	/* Bars of 0 to 4 dots, two to a character. */
	static const uint8_t left[] = { 0, 0x40, 0x44, 0x46, 0x47 }, right[] = { 0, 0x80, 0xa0, 0xb0, 0xb8 };
	struct curve c;

	if (!p->steps || !p->neurons || !curve_make(&c, p, dt, (columns > 60 ? columns - 40 : 20) * 2ull))
		return;
	if (c.spikes && c.high > 0) {
		fprintf(f, "%*s ", SNPU_LABEL + 3, "rate");
		for (uint64_t w = 0; w < c.windows; w += 2) {
			unsigned int a = (unsigned int)ceil(c.value[w] / c.high * 4), b = w + 1 < c.windows ? (unsigned int)ceil(c.value[w + 1] / c.high * 4) : 0;
			uint8_t d = left[a] | right[b];

			fprintf(f, "\xe2%c%c", 0xa0 | d >> 6, 0x80 | (d & 0x3f));
		}
		fprintf(f, "  up to %.3g%s\n", c.high, unit_of(&c, dt));
	}
	free(c.value);
}
