/* SPDX-License-Identifier: MIT */
/*
 * The parts of `snpu run`: options (run_options.c), the run itself (run.c), what there is to tell about it as facts
 * (run_facts.c, answer.c), and those facts on a screen (run_view.c). Networks of populations have parts of their own (net_run.c,
 * net_view.c). The screen reads nothing but the facts, so that
 * --json has everything that people see.
 */
#ifndef SNPU_TOOLS_RUN_H
#define SNPU_TOOLS_RUN_H

#include <jansson.h>

#include <snpu/snpu.h>
#include <snpu/snpu_model.h>

#include "cli.h"
#include "feed.h"
#include "meaning.h"
#include "snpu_job.h"

#define SNPU_RUN_LIST	32			/* names in --nodes, rules in --place, files in --expect */

struct snpu_run_opts {
	const char *model, *device, *record, *raster, *rates;
	struct snpu_feed_opts feed;
	char *nodes[SNPU_RUN_LIST];
	unsigned int n_nodes;
	struct snpu_place_rule place[SNPU_RUN_LIST];
	unsigned int n_place;
	const char *expect[SNPU_RUN_LIST];	/* [NODE=]FILE:ARRAY */
	unsigned int n_expect;
	double tolerance;			/* for expect */
	struct snpu_meaning meaning;
	bool require_device, json, quiet;
	bool net;				/* the model is a network of populations */
};

/* What a stream keeps of all its calls: then `result` is only the last one's. */
struct snpu_run_kept {
	unsigned int n;				/* records; 0: not a stream */
	struct snpu_array *array;		/* [n] float32 [1][step][...] */
	struct snpu_record *record;		/* [n] */
	char **name;				/* [n] */
	uint64_t (*counter)[SNPU_COUNTER_COUNT];	/* [rows of the profile] */
	struct snpu_run_stats stats;
	json_t *fallbacks;
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
	struct snpu_run_kept kept;
	bool input_binary;			/* every number of the inputs was -1, 0 or 1 */
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
/* Records, rows of the profile and statistics of the run, also of a stream. false past the end. */
bool snpu_run_record_at(const struct snpu_run *run, unsigned int index, struct snpu_record *out);
bool snpu_run_profile_at(const struct snpu_run *run, unsigned int index, struct snpu_profile_row *out);
void snpu_run_stats(const struct snpu_run *run, struct snpu_run_stats *out);
/* run_metrics.c: NeuroBench's metrics of the run. */
json_t *snpu_run_metrics(const struct snpu_run *run);
/* run_stream.c: everything of --stream between the model and the summary; `create` makes the session. */
enum snpu_exit snpu_run_stream(struct snpu_run *run, enum snpu_exit (*create)(struct snpu_run *));
void snpu_run_kept_free(struct snpu_run *run);
/* {"PACKETS": n, ...} of a row of counters. */
json_t *snpu_run_counters(const uint64_t *counter, unsigned int n);
/* The record called `name`; NULL: the first output. false when there is none. */
bool snpu_run_record(const struct snpu_run *run, const char *name, struct snpu_record *out);

void snpu_run_view_before(const struct snpu_run *run);
void snpu_run_view_after(const struct snpu_run *run);
/* The table of "profile" and the card's totals. */
void snpu_run_view_profile(const struct snpu_run *run, FILE *f);

/* picture.c: --record and --raster. The first finds out before the run whether they could be written. */
enum snpu_exit snpu_run_check_outputs(const struct snpu_run_opts *o);
enum snpu_exit snpu_run_write_record(struct snpu_run *run);
enum snpu_exit snpu_run_write_raster(struct snpu_run *run);
struct snpu_picture;
enum snpu_exit snpu_run_write_pictures(struct snpu_run *run, const struct snpu_picture *picture);

/* net_run.c: a network of populations, from its file to its answer. */
enum snpu_exit snpu_run_net(struct snpu_run *run);
/* net_view.c: it on one screen, before and after; `panel`: spikes to draw, NULL: none. */
struct snpu_panel;
void snpu_run_net_view_before(const struct snpu_run *run);
void snpu_run_net_view_after(const struct snpu_run *run, const struct snpu_panel *panel);

#endif
