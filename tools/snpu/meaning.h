/* SPDX-License-Identifier: MIT */
/*
 * What a network means: the options that several commands share, one argp child, and their names on a screen and in JSON.
 * The library decides what is not given.
 */
#ifndef SNPU_TOOLS_MEANING_H
#define SNPU_TOOLS_MEANING_H

#include <argp.h>
#include <jansson.h>

#include <snpu/snpu_model.h>

struct snpu_meaning {
	double dt;				/* seconds; 0: not given */
	enum snpu_dialect dialect;
	enum snpu_integrator integrator;
	enum snpu_reset reset;
	enum snpu_reset_time reset_time;
	enum snpu_compare compare;
	enum snpu_gain gain;
	enum snpu_delay delay;
	uint32_t max_spikes;
	enum snpu_number number;
	enum snpu_floor floor;
	double v_min;
	bool strict;
};

/* The options as a child; its input is a zeroed struct snpu_meaning. */
extern const struct argp snpu_meaning_argp;
/* Puts them into a session's options. */
void snpu_meaning_apply(const struct snpu_meaning *m, struct snpu_session_opts *opts);

/* The name of a value on the command line: snpu_meaning_name(SNPU_MEANING_RESET, SNPU_RESET_VALUE) is "value". "default" for 0. */
enum snpu_meaning_option {
	SNPU_MEANING_INTEGRATOR, SNPU_MEANING_RESET, SNPU_MEANING_RESET_TIME, SNPU_MEANING_COMPARE, SNPU_MEANING_GAIN, SNPU_MEANING_DELAY, SNPU_MEANING_FLOOR,
	SNPU_MEANING_NUMBER,
};
const char *snpu_meaning_name(enum snpu_meaning_option option, unsigned int value);
/* {"dt", "dt_source", "dialect", "integrator", ...} of what a session decided. */
json_t *snpu_meaning_facts(const struct snpu_session *session);
/* [{"kind", "rule", "node", "text", "source"}] */
json_t *snpu_meaning_notes(const struct snpu_session *session);

#endif
