/* SPDX-License-Identifier: MIT */
/*
 * What is quoted of the spikes in a language model: shares, averages, four notions of sparsity and ideal energy, each a formula
 * on the library's sums. docs/models.md explains them; the SpikingBrain report's own numbers stand beside ours.
 */
#ifndef SNPU_TOOLS_SPIKE_STATS_H
#define SNPU_TOOLS_SPIKE_STATS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "snpu/snpu_lm.h"

struct snpu_spike_stat {
	const char *name;			/* "S_zero" */
	const char *what;
	bool share;				/* shown as percent */
	double report;				/* of the 7B model in its report, NaN: not given */
	double (*value)(const struct snpu_lm_spike_sums *s);	/* NaN where there is nothing to divide by */
};
#define SNPU_SPIKE_STATS	10
extern const struct snpu_spike_stat snpu_spike_stats[SNPU_SPIKE_STATS];

/* By name; NaN when there is no such statistic. */
double snpu_spike_stat(const struct snpu_lm_spike_sums *s, const char *name);

/* Joules for `s->macs` multiplications: ideal by the report's formula, and dense ones. */
double snpu_spike_energy_ideal(const struct snpu_lm_spike_sums *s);
double snpu_spike_energy_int8(const struct snpu_lm_spike_sums *s);
double snpu_spike_energy_fp16(const struct snpu_lm_spike_sums *s);

struct snpu_spike_report {
	const struct snpu_lm_spike_sums *executed, *distinct;	/* SNPU_LM_EXECUTED, SNPU_LM_DISTINCT */
	double card_joules;			/* the card's counter ENERGY, of everything it did; 0: no card took part */
	double card_arithmetic_joules;		/* its ENERGY_IDEAL */
	bool simulated;				/* the card is a model */
	unsigned int columns;			/* of the screen; 0: as many as it takes */
};

/* At most 22 lines. */
void snpu_spike_report_print(FILE *f, const struct snpu_spike_report *r);
/* "executed" and "distinct" with sums and statistics, "report", "energy"; null is what cannot be known. */
json_t *snpu_spike_report_json(const struct snpu_spike_report *r);

#endif
