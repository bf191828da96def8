/* SPDX-License-Identifier: MIT */
/*
 * The parts of `snpu run`: options (run_options.c), the run itself (run.c), what there is to tell about it as facts
 * (run_facts.c, answer.c), and those facts on a screen (run_view.c). The screen reads nothing but the facts, so that
 * --json has everything that people see.
 */
#ifndef SNPU_TOOLS_RUN_H
#define SNPU_TOOLS_RUN_H

#include <jansson.h>

#include <snpu/snpu.h>
#include <snpu/snpu_model.h>

#include "cli.h"
#include "feed.h"

#define SNPU_RUN_LIST	32			/* names in --nodes, rules in --place, files in --expect */

struct snpu_run_opts {
	const char *model, *device, *record, *raster;
	struct snpu_feed_opts feed;
	char **files;				/* [feed.n_files], owned */
	char *nodes[SNPU_RUN_LIST];
	unsigned int n_nodes;
	struct snpu_place_rule place[SNPU_RUN_LIST];
	unsigned int n_place;
	const char *expect[SNPU_RUN_LIST];	/* [NODE=]FILE:ARRAY */
	unsigned int n_expect;
	double tolerance;			/* for expect */
	double dt;				/* seconds; 0: from the model */
	enum snpu_reset reset;
	enum snpu_compare compare;
	enum snpu_integrator integrator;
	enum snpu_gain gain;
	bool require_device, strict, json, quiet;
};

/* Everything of one run. The facts grow as it proceeds. */
struct snpu_run {
	const struct snpu_run_opts *opts;
	struct snpu_device *device;
	struct snpu_device_info info;
	struct snpu_model *model;
	struct snpu_session *session;
	struct snpu_result *result;
	struct snpu_feed feed;
	json_t *facts;
};

void snpu_run_parse(struct snpu_run_opts *o, int argc, char **argv);

/* Facts before and after the run. */
void snpu_run_facts_before(struct snpu_run *run);
void snpu_run_facts_after(struct snpu_run *run);
/* "card0", "cpu" for a placement's or profile row's device number. */
const char *snpu_run_device_name(const struct snpu_run *run, int device);

/* answer.c: classes and counts of the first output node, against labels and against expected arrays. */
enum snpu_exit snpu_run_answer(struct snpu_run *run);
/* NODE of "[NODE=]FILE:ARRAY", "" when there is none. */
void snpu_run_expect_node(const char *arg, char *node, size_t size);
/* The record called `name`; NULL: the first output. false when there is none. */
bool snpu_run_record(const struct snpu_run *run, const char *name, struct snpu_record *out);

void snpu_run_view_before(const struct snpu_run *run);
void snpu_run_view_after(const struct snpu_run *run);

/* picture.c: --record and --raster. The first finds out before the run whether they could be written. */
enum snpu_exit snpu_run_check_outputs(const struct snpu_run_opts *o);
enum snpu_exit snpu_run_write_record(struct snpu_run *run);
enum snpu_exit snpu_run_write_raster(struct snpu_run *run);

#endif
