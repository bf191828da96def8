/* SPDX-License-Identifier: MIT */
/* The parts of `snpu explain`: what was decided (explain.c), what other readings would change (readings.c), on a screen (explain_view.c). */
#ifndef SNPU_TOOLS_EXPLAIN_H
#define SNPU_TOOLS_EXPLAIN_H

#include "feed.h"
#include "meaning.h"

struct snpu_explain {
	const char *file, *device_name;
	struct snpu_meaning meaning;
	struct snpu_feed_opts feed_opts;
	bool alternatives, json;
	struct snpu_model *model;
	struct snpu_device *device;
	struct snpu_session *session;		/* as asked for */
	json_t *facts;
};

/* Runs the model as asked for and in every other reading; adds the fact "alternatives". Prints what is wrong. */
enum snpu_exit snpu_explain_readings(struct snpu_explain *e);
void snpu_explain_view(const json_t *facts);

#endif
