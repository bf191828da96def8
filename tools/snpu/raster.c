// SPDX-License-Identifier: MIT
/*
 * Draws panels of activity as one SVG: time to the right, neurons downwards, one panel a record, a common time axis.
 * Spikes that fit are ticks; more neurons or steps than pixels are binned into five shades, values into nine colours, and
 * the panel says so. Beside each panel are its neurons' counts, above a large one the spikes of each step. All of a shade
 * is one path, so that a picture stays small. Pure but for the stream.
 */
#include "raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "svg.h"
#include "text.h"

#define WIDTH		960
#define LEFT		64			/* of the panels, pixels */
#define PLOT		740			/* width of the panels */
#define SIDE		(LEFT + PLOT + 14)	/* where the counts begin */
#define SIDE_WIDTH	96
#define STRIP		30			/* height of the spikes of each step */
#define HEAD		34			/* of a panel: its title */
#define FEW		16			/* neurons that get a label and a number each */
#define ROWS_MAX	320			/* more neurons are binned */
#define COLUMNS_MAX	740
#define SHADES		5

static const char *const accents[] = { "#3457d5", "#e8630a", "#0f8a6c", "#a03cb5", "#b8860b", "#c2264b" };
#define ACCENTS	(sizeof(accents) / sizeof(accents[0]))
/* Values from negative to positive; the middle one is not drawn. */
static const char *const diverging[2 * SHADES - 1] = {
	"#1f4e8c", "#3f79b9", "#7fadd6", "#c4dcee", "", "#fbd9c0", "#f3a97c", "#dd6f3f", "#a93c14",
};
static const char *const shade_opacity[SHADES] = { "0.45", "0.6", "0.75", "0.9", "1" };

/* A panel brought to the size of the picture. */
struct grid {
	uint32_t rows, columns;
	float *value;				/* [rows][columns] spikes, or the mean of values */
	float most;				/* largest magnitude */
	bool spikes, binned;
	double y, row_height, column_width;	/* pixels */
};

bool snpu_panel_is_spikes(const struct snpu_panel *p)
{
	for (uint64_t i = 0; i < p->steps * p->neurons; i++)
		if (p->value[i] < 0 || p->value[i] != floorf(p->value[i]) || p->value[i] > 65535)
			return false;
	return true;
}

double snpu_panel_sum(const struct snpu_panel *p, int64_t neuron)
{
	double sum = 0;

	for (uint64_t t = 0; t < p->steps; t++)
		for (uint64_t n = neuron < 0 ? 0 : (uint64_t)neuron; n < (neuron < 0 ? p->neurons : (uint64_t)neuron + 1); n++)
			sum += neuron < 0 ? fabs((double)p->value[t * p->neurons + n]) : (double)p->value[t * p->neurons + n];
	return sum;
}

/* --- grids ---------------------------------------------------------------------------------------------------- */

static bool grid_make(struct grid *g, const struct snpu_panel *p)
{
	memset(g, 0, sizeof(*g));
	g->spikes = snpu_panel_is_spikes(p);
	g->rows = (uint32_t)(p->neurons < ROWS_MAX ? p->neurons : ROWS_MAX);
	g->columns = (uint32_t)(p->steps < COLUMNS_MAX ? p->steps : COLUMNS_MAX);
	g->binned = g->rows < p->neurons || g->columns < p->steps;
	g->value = calloc((size_t)g->rows * g->columns, sizeof(*g->value));
	if (!g->value)
		return false;
	double cell = g->spikes ? 1 : (double)p->neurons / g->rows * ((double)p->steps / g->columns);

	for (uint64_t t = 0; t < p->steps; t++)
		for (uint64_t n = 0; n < p->neurons; n++) {
			float v = p->value[t * p->neurons + n];

			if (isfinite(v))
				g->value[n * g->rows / p->neurons * g->columns + t * g->columns / p->steps] += (float)(v / cell);
		}
	for (size_t i = 0; i < (size_t)g->rows * g->columns; i++)
		g->most = fmaxf(g->most, fabsf(g->value[i]));
	g->row_height = p->neurons <= FEW ? 20 : g->rows >= 160 ? 300.0 / g->rows : g->rows >= 64 ? 240.0 / g->rows : 192.0 / g->rows;
	g->column_width = (double)PLOT / g->columns;
	return true;
}

static bool has_strip(const struct snpu_panel *p, const struct grid *g)
{
	return g->spikes && p->neurons > FEW;
}

static double panel_height(const struct snpu_panel *p, const struct grid *g)
{
	return HEAD + (has_strip(p, g) ? STRIP + 6 : 0) + g->rows * g->row_height;
}

/* Shade of a cell: 0 not drawn; spikes 1..SHADES; values 1..2*SHADES-1 with SHADES for zero. */
static int cell_shade(const struct grid *g, float v)
{
	if (g->spikes)
		return v <= 0 ? 0 : g->most <= 1 ? SHADES : 1 + (int)(v / g->most * (SHADES - 0.01f));
	return g->most > 0 ? SHADES + (int)lroundf(v / g->most * (SHADES - 1)) : SHADES;
}

/* --- marks ---------------------------------------------------------------------------------------------------- */

/* Ticks with air around them, where each cell is a neuron and a step. */
static void ticks(FILE *f, const struct grid *g, int shade)
{
	double gap = g->row_height >= 8 ? g->row_height * 0.18 : fmin(0, (g->row_height - 2) / 2);

	for (uint32_t r = 0; r < g->rows; r++)
		for (uint32_t c = 0; c < g->columns; c++)
			if (cell_shade(g, g->value[(size_t)r * g->columns + c]) == shade)
				fprintf(f, "M%.1f %.1fv%.1f", LEFT + (c + 0.5) * g->column_width, g->y + r * g->row_height + gap, g->row_height - 2 * gap);
}

/* Cells of one shade, neighbours of a row joined. */
static void cells(FILE *f, const struct grid *g, int shade)
{
	for (uint32_t r = 0; r < g->rows; r++)
		for (uint32_t c = 0, from; c < g->columns; c++) {
			for (from = c; c < g->columns && cell_shade(g, g->value[(size_t)r * g->columns + c]) == shade;)
				c++;
			if (c > from)
				fprintf(f, "M%.1f %.1fh%.1f", LEFT + from * g->column_width, g->y + (r + 0.5) * g->row_height, (c - from) * g->column_width);
		}
}

static void marks(FILE *f, const struct grid *g, const char *accent)
{
	bool tick = g->spikes && g->column_width >= 1.5;

	for (int s = 1; s <= (g->spikes ? SHADES : 2 * SHADES - 1); s++) {
		if (!g->spikes && s == SHADES)
			continue;
		fprintf(f, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%.2f\"", g->spikes ? accent : diverging[s - 1],
			tick ? fmin(5, fmax(fmin(1.6, g->column_width * 0.6), g->column_width * 0.22)) : g->row_height * (g->row_height >= 8 ? 0.8 : 1.02));
		if (g->spikes)
			fprintf(f, " stroke-opacity=\"%s\"", shade_opacity[s - 1]);
		fprintf(f, "%s d=\"M0 0", tick && g->row_height >= 8 ? " stroke-linecap=\"round\"" : "");
		(tick ? ticks : cells)(f, g, s);
		fputs("\"/>\n", f);
	}
}

/* --- around the panel ----------------------------------------------------------------------------------------- */

/* Horizontal bars with the count of each neuron (few), or the outline of them all. */
static void side(FILE *f, const struct snpu_panel *p, const struct grid *g, const char *accent)
{
	double most = 0, sum;
	char text[48];

	if (!g->spikes) {
		snpu_svg_text(f, SIDE, g->y + 12, "start", "small", "blue < 0 < orange");
		fprintf(f, "<text x=\"%d\" y=\"%.1f\" class=\"small\">full colour at ±%.3g</text>\n", SIDE, g->y + 28, (double)g->most);
		return;
	}
	for (uint64_t n = 0; n < p->neurons; n++)
		most = fmax(most, snpu_panel_sum(p, (int64_t)n));
	if (p->neurons > FEW) {
		fprintf(f, "<path fill=\"%s\" fill-opacity=\"0.55\" d=\"M%d %.1f", accent, SIDE, g->y);
		for (uint64_t n = 0; n < p->neurons; n++) {
			double y = g->rows * g->row_height / (double)p->neurons;

			sum = snpu_panel_sum(p, (int64_t)n);
			fprintf(f, "H%.1fv%.2f", SIDE + (most > 0 ? sum / most * SIDE_WIDTH : 0), y);
		}
		fprintf(f, "H%dZ\"/>\n", SIDE);
		snprintf(text, sizeof(text), "up to %.0f each", most);
		snpu_svg_text(f, SIDE, g->y - 6, "start", "small", text);
		return;
	}
	for (uint64_t n = 0; n < p->neurons; n++) {
		bool winner = p->winner == (int64_t)n;
		double y = g->y + n * g->row_height, length;

		sum = snpu_panel_sum(p, (int64_t)n);
		length = most > 0 ? sum / most * (SIDE_WIDTH - 26) : 0;
		fprintf(f, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\" fill=\"%s\" fill-opacity=\"%s\"/>\n", SIDE, y + 4,
			fmax(length, 1.5), g->row_height - 8, winner || p->winner < 0 ? accent : "#aab2bf", winner ? "1" : "0.55");
		fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%.0f</text>\n", SIDE + fmax(length, 1.5) + 6, y + g->row_height / 2 + 4, winner ? "strong" : "small", sum);
	}
}

/* Spikes of each step, as steps above the panel. */
static void strip(FILE *f, const struct grid *g, const char *accent)
{
	double base = g->y - 6, most = 0, width = g->column_width;
	double *sum = calloc(g->columns, sizeof(*sum));

	if (!sum)
		return;			/* decoration only */
	for (uint32_t r = 0; r < g->rows; r++)
		for (uint32_t c = 0; c < g->columns; c++)
			sum[c] += (double)g->value[(size_t)r * g->columns + c];
	for (uint32_t c = 0; c < g->columns; c++)
		most = fmax(most, sum[c]);
	fprintf(f, "<path fill=\"%s\" fill-opacity=\"0.22\" d=\"M%d %.1f", accent, LEFT, base);
	for (uint32_t c = 0; c < g->columns; c++)
		fprintf(f, "V%.1fh%.2f", base - (most > 0 ? sum[c] / most * (STRIP - 4) : 0), width);
	fprintf(f, "V%.1fZ\"/>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" class=\"small\">%.0f</text>\n", base, LEFT - 8, base - STRIP + 17, most);
	free(sum);
}

static void neuron_axis(FILE *f, const struct snpu_panel *p, const struct grid *g)
{
	double height = g->rows * g->row_height, each = height / (double)p->neurons;
	double distance = p->neurons <= FEW ? 1 : fmax(1, snpu_svg_tick((double)p->neurons, 6));
	char text[32];

	for (double n = 0; n < (double)p->neurons; n += distance) {
		snprintf(text, sizeof(text), "%.0f", n);
		snpu_svg_text(f, LEFT - 8, g->y + (n + 0.5) * each + 4, "end", p->winner == (int64_t)n && p->neurons <= FEW ? "strong" : "small", text);
		if (p->neurons > FEW)
			fprintf(f, "<path class=\"line\" d=\"M%d %.1fh4\"/>\n", LEFT - 5, g->y + (n + 0.5) * each);
		else if (n > 0)
			fprintf(f, "<path class=\"line\" d=\"M%d %.1fh%d\"/>\n", LEFT, g->y + n * each, PLOT);
	}
	fprintf(f, "<text transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\" class=\"small\">neuron</text>\n", g->y + height / 2);
}

static void heading(FILE *f, const struct snpu_panel *p, const struct grid *g, double top, double dt, const char *accent)
{
	char facts[160], rate[48] = "", binned[64] = "";
	double sum = snpu_panel_sum(p, -1), hertz = dt > 0 ? sum / ((double)p->neurons * (double)p->steps * dt) : 0;

	if (dt > 0)
		snprintf(rate, sizeof(rate), hertz < 999.5 ? " · mean rate %.3g Hz" : " · mean rate %.0f Hz", hertz);
	if (g->binned)
		snprintf(binned, sizeof(binned), " · binned to %u×%u cells", g->rows, g->columns);
	if (g->spikes)
		snprintf(facts, sizeof(facts), "%s neurons · %s spikes%s%s", snpu_text_count(SNPU_TEXT, (double)p->neurons), snpu_text_count(SNPU_TEXT, sum), rate, binned);
	else
		snprintf(facts, sizeof(facts), "%s neurons · values%s", snpu_text_count(SNPU_TEXT, (double)p->neurons), binned);
	fprintf(f, "<text x=\"%d\" y=\"%.1f\"><tspan class=\"name\" fill=\"%s\">", LEFT, top + 20, accent);
	snpu_svg_put(f, p->name);
	fputs("</tspan><tspan dx=\"10\" class=\"small\">", f);
	snpu_svg_put(f, facts);
	fputs("</tspan></text>\n", f);
	if (g->spikes)
		snpu_svg_text(f, SIDE, top + 20, "start", "small", "spikes");
}

static void time_axis(FILE *f, const struct snpu_picture *pic, double top, double bottom)
{
	double steps = (double)pic->panel[0].steps, scale = pic->dt > 0 ? pic->dt : 1, range = steps * scale;
	const char *unit = "time (steps)";
	char text[32];

	if (pic->dt > 0) {
		unit = range < 1e-3 ? "time (µs)" : range < 1 ? "time (ms)" : "time (s)";
		scale *= range < 1e-3 ? 1e6 : range < 1 ? 1e3 : 1;
		range = steps * scale;
	}
	double distance = snpu_svg_tick(range, 10);

	for (unsigned int i = 0; i * distance <= range * 1.0001; i++) {
		double x = LEFT + i * distance / range * PLOT;

		fprintf(f, "<path class=\"line\" d=\"M%.1f %.1fV%.1f\"/>\n", x, top, bottom + 5);
		snprintf(text, sizeof(text), "%g", i * distance);
		snpu_svg_text(f, x, bottom + 20, "middle", "small", text);
	}
	snpu_svg_text(f, LEFT + PLOT / 2.0, bottom + 40, "middle", "small", unit);
}

static void panel_draw(FILE *f, const struct snpu_panel *p, struct grid *g, double top, double dt, const char *accent)
{
	double height = g->rows * g->row_height;

	heading(f, p, g, top, dt, accent);
	if (p->winner >= 0 && p->neurons <= FEW)
		fprintf(f, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\" fill-opacity=\"0.1\"/>\n", LEFT, g->y + (double)p->winner * g->row_height,
			PLOT, g->row_height, accent);
	neuron_axis(f, p, g);
	if (has_strip(p, g))
		strip(f, g, accent);
	marks(f, g, accent);
	fprintf(f, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"none\" stroke=\"" SNPU_SVG_FRAME "\"/>\n", LEFT, g->y, PLOT, height);
	side(f, p, g, accent);
}

void snpu_raster_svg(FILE *f, const struct snpu_picture *pic)
{
	struct grid *g = calloc(pic->panels + 1, sizeof(*g));
	double y = 74, bottom = 0;
	bool ok = g && pic->panels;

	for (unsigned int i = 0; ok && i < pic->panels; i++) {
		ok = grid_make(&g[i], &pic->panel[i]);
		g[i].y = y + panel_height(&pic->panel[i], &g[i]) - g[i].rows * g[i].row_height;
		bottom = y + panel_height(&pic->panel[i], &g[i]);
		y = bottom + 12;
	}
	double height = bottom + 56;

	snpu_svg_begin(f, WIDTH, height, pic->title);
	snpu_svg_text(f, LEFT, 36, "start", "title", pic->title);
	snpu_svg_text(f, LEFT, 58, "start", "small", pic->subtitle);
	if (ok)
		time_axis(f, pic, 74 + HEAD, bottom);
	for (unsigned int i = 0; ok && i < pic->panels; i++)
		panel_draw(f, &pic->panel[i], &g[i], g[i].y - (panel_height(&pic->panel[i], &g[i]) - g[i].rows * g[i].row_height), pic->dt, accents[i % ACCENTS]);
	snpu_svg_end(f);
	for (unsigned int i = 0; g && i < pic->panels; i++)
		free(g[i].value);
	free(g);
}
