/* SPDX-License-Identifier: MIT */
/* What goes into a model: arrays for its Input nodes, and the labels that belong to them. */
#ifndef SNPU_TOOLS_FEED_H
#define SNPU_TOOLS_FEED_H

#include <jansson.h>

#include <snpu/snpu.h>
#include <snpu/snpu_model.h>

#include "bundle.h"
#include "events.h"

#define SNPU_FEED_INPUTS	16		/* Input nodes */
#define SNPU_FEED_STEPS_MAX	100000000	/* time steps of a sample that people can ask for */

enum snpu_feed_encode { SNPU_FEED_AUTO, SNPU_FEED_DIFFUSION, SNPU_FEED_RATE, SNPU_FEED_LATENCY, SNPU_FEED_NONE };

struct snpu_feed_opts {
	char **files;				/* [n_files] "FILE" or "NODE=FILE", the list is the caller's to free; several images become samples */
	unsigned int n_files;
	const char *labels;			/* a file, or the name of an array in the input's file; NULL: "labels" if it is there */
	enum snpu_feed_encode encode;
	uint32_t steps;				/* for images; 0: what the model's file says */
	uint64_t first, last;			/* samples [first, last) of the files; last UINT64_MAX: to the end */
	struct snpu_events_args events;		/* of event files and streams */
	double dt;				/* --dt, seconds; 0: not given */
};

struct snpu_feed {
	struct snpu_input input[SNPU_FEED_INPUTS];
	struct snpu_array view[SNPU_FEED_INPUTS];	/* the samples chosen, in `owned` */
	struct snpu_array owned[SNPU_FEED_INPUTS];
	unsigned int n_inputs;
	uint64_t first, samples, steps;
	int64_t *labels;			/* [samples]; NULL: none */
	json_t *facts;				/* [{"node", "source", "dtype", "shape", "encoding", "events"}] */
};

/* Time steps that the model's file asks for in metadata/T; 0 when it says nothing, or nothing possible. */
uint64_t snpu_feed_model_steps(const struct snpu_model *model);

/* One more file, which an option named; for an argp parser. */
void snpu_feed_add(struct snpu_feed_opts *opts, char *file, const struct argp_state *state, const char *option);

/* Reads the files. Prints what is wrong. `f` is to be closed in any case. */
enum snpu_exit snpu_feed_open(struct snpu_feed *f, const struct snpu_model *model, const struct snpu_feed_opts *opts);
/* Allowed on a zeroed structure. */
void snpu_feed_close(struct snpu_feed *f);

#endif
