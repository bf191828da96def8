/* SPDX-License-Identifier: MIT */
/* Event files and streams as inputs: their options, how they become steps of an Input node, and what there is to tell about it. */
#ifndef SNPU_TOOLS_EVENTS_H
#define SNPU_TOOLS_EVENTS_H

#include <argp.h>
#include <jansson.h>

#include <snpu/snpu_events.h>
#include <snpu/snpu_model.h>

#include "cli.h"

/* The options of events. Zeroed: nothing was said. */
struct snpu_events_args {
	enum snpu_events_format format;
	uint32_t width, height;			/* of the sensor; 0: the file's */
	double dt;				/* --dt-bin, seconds */
	enum snpu_bin_start start;
	int polarity;				/* 0: what fits the node; else enum snpu_polarity + 1 */
	uint32_t crop[4], downscale;
	bool clip;
	uint64_t seed;				/* of --encode rate */
	const char *stream;			/* --stream SOURCE */
	double late;				/* --late, seconds */
	bool follow;
};

extern const struct argp snpu_events_argp;	/* its input is a struct snpu_events_args */

/* "1ms", "100us", "0.001": seconds. Leaves the process when `arg` is none. */
double snpu_option_seconds(const struct argp_state *state, const char *option, const char *arg);

/* How the events of a source become steps of a node. */
struct snpu_events_plan {
	struct snpu_bin_opts opts;
	const char *dt_source, *polarity_source;	/* "--dt-bin", "--dt", "model", "default"; "--polarity", "shape" */
	uint64_t per_step;			/* cells of a step, the node's size */
};

/* Is the file one of events, by what people said, its bytes and its name? */
bool snpu_events_wanted(const struct snpu_events_args *a, const char *path, const void *mem, size_t size);
/*
 * Several recordings as the samples of one: NULL, or why they cannot be. `out` has arrays of its own, snpu_events_unjoin() frees them, also
 * after an error.
 */
const char *snpu_events_join(const struct snpu_events *const *list, unsigned int n, struct snpu_events *out);
void snpu_events_unjoin(struct snpu_events *ev);
/*
 * Decides time step and polarity. `ev` has a size: its events', or that of a sensor. Prints what does not fit, with the option that
 * would. dt: --dt, 0 when it was not given.
 */
enum snpu_exit snpu_events_plan(const struct snpu_events_args *a, const struct snpu_events *ev, const struct snpu_model *model, const struct snpu_node_info *node, double dt,
				const char *file, struct snpu_events_plan *plan);
/* Facts of both: {"format", "width", ..., "binned", ...}. bins may be of a part so far. */
json_t *snpu_events_facts(const struct snpu_events *ev, const struct snpu_events_plan *plan, const struct snpu_bins *bins);
/* For people: how events become steps, and what became of them. */
void snpu_events_view_form(FILE *f, const json_t *events);
void snpu_events_view_counts(FILE *f, const json_t *events);

#endif
