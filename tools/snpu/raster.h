/* SPDX-License-Identifier: MIT */
/* Pictures of recorded activity: neurons by time, as SVG and as braille for the terminal. */
#ifndef SNPU_TOOLS_RASTER_H
#define SNPU_TOOLS_RASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct snpu_panel {
	const char *name;			/* of the record: "lif1", "lif1.v" */
	const float *value;			/* [steps][neurons] */
	uint64_t steps, neurons;
	int64_t winner;				/* neuron to point out, -1: none */
	int64_t sample;				/* terminal: which of several samples it is, -1: there is only one */
};

struct snpu_picture {
	const char *title, *subtitle;
	double dt;				/* seconds a step; 0: steps have no length, the axis counts them */
	const struct snpu_panel *panel;		/* [panels], from top to bottom, all with the same steps */
	unsigned int panels;
};

/* Whole numbers only: a count of spikes for each neuron and step. Otherwise it is drawn as a map of values. */
bool snpu_panel_is_spikes(const struct snpu_panel *p);
/* Spikes of one neuron; sum of absolute values of all when `neuron` is -1. */
double snpu_panel_sum(const struct snpu_panel *p, int64_t neuron);

void snpu_raster_svg(FILE *f, const struct snpu_picture *picture);
/* At most `lines` lines of braille, `columns` wide; a few neurons get a line each, with their count. */
void snpu_raster_terminal(FILE *f, const struct snpu_panel *p, double dt, unsigned int columns, unsigned int lines);

/* rates.c: the mean rate of each panel's neurons over time, as SVG, and of one as a line of braille. */
void snpu_rates_svg(FILE *f, const struct snpu_picture *picture);
void snpu_rates_terminal(FILE *f, const struct snpu_panel *p, double dt, unsigned int columns);

#endif
