// SPDX-License-Identifier: MIT
/* The options of a network's meaning; see meaning.h. Values are checked as far as they can be without the model. */
#include "meaning.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"

enum { OPT_DT = 0x400, OPT_DIALECT, OPT_INTEGRATOR, OPT_RESET, OPT_RESET_TIME, OPT_COMPARE, OPT_GAIN, OPT_MULTI, OPT_V_MIN, OPT_DELAY, OPT_NUMBER, OPT_STRICT };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What the model means:", 2 },
	{ "dialect", OPT_DIALECT, "NAME", 0, "as this framework runs it: nir, snntorch, norse, sinabs, rockpool, spikingjelly, spyx or lava; the options below say otherwise", 2 },
	{ "dt", OPT_DT, "TIME", 0, "time step: 1ms, 100us, 0.001 (default: from the file)", 2 },
	{ "integrator", OPT_INTEGRATOR, "euler|exp", 0, "how a step integrates the equation", 2 },
	{ "reset", OPT_RESET, "value|subtract|delta", 0, "what a spike does to the membrane", 2 },
	{ "reset-time", OPT_RESET_TIME, "same|next|both", 0, "in its step, in the next one, or both", 2 },
	{ "compare", OPT_COMPARE, "gt|ge", 0, "a neuron fires above its threshold, or also at it", 2 },
	{ "multi-spike", OPT_MULTI, "MAX", OPTION_ARG_OPTIONAL, "a neuron fires as often as its membrane holds the threshold, MAX times a step at most", 2 },
	{ "v-min", OPT_V_MIN, "none|-threshold|X", 0, "lowest membrane", 2 },
	{ "gain", OPT_GAIN, "r|r-dt|raw|raw-decayed", 0, "how IF and I (raw: all neurons) scale their input each step", 2 },
	{ "delay", OPT_DELAY, "spike|current|neuron|synapse", 0, "where a value waits for a step: in cycles behind the neuron or behind the weights; or always behind neurons, or before weights", 2 },
	{ "number", OPT_NUMBER, "f32|int8|int16|loihi24", 0, "what it is computed in: floats (default), or integers with weights of 8 or 16 bits; loihi24 with states of 24 bits, too", 2 },
	{ "strict", OPT_STRICT, NULL, 0, "an assumption is an error", 2 },
	{ 0 },
};

static const char *const names[][6] = {
	[SNPU_MEANING_INTEGRATOR] = { "default", "euler", "exp" },
	[SNPU_MEANING_RESET] = { "default", "value", "subtract", "delta" },
	[SNPU_MEANING_RESET_TIME] = { "default", "same", "next", "both" },
	[SNPU_MEANING_COMPARE] = { "default", "gt", "ge" },
	[SNPU_MEANING_GAIN] = { "default", "r", "r-dt", "raw", "raw-decayed" },
	[SNPU_MEANING_DELAY] = { "default", "spike", "current", "neuron", "synapse" },
	[SNPU_MEANING_NUMBER] = { "default", "f32", "int8", "int16", "loihi24" },
	[SNPU_MEANING_FLOOR] = { "default", "none", "value", "-threshold" },
};

const char *snpu_meaning_name(enum snpu_meaning_option option, unsigned int value)
{
	const char *name = value < sizeof(names[0]) / sizeof(names[0][0]) ? names[option][value] : NULL;

	return name ? name : "?";
}

static unsigned int choice(const struct argp_state *state, enum snpu_meaning_option option, const char *what, const char *arg)
{
	for (unsigned int i = 1; i < sizeof(names[0]) / sizeof(names[0][0]) && names[option][i]; i++)
		if (strcmp(arg, names[option][i]) == 0)
			return i;
	argp_error(state, "%s does not know '%s'; see --help", what, arg);
	return 0;
}

static enum snpu_dialect dialect(const struct argp_state *state, const char *arg)
{
	const char *name;

	for (unsigned int i = 1; (name = snpu_dialect_name((enum snpu_dialect)i)); i++)
		if (strcmp(arg, name) == 0)
			return (enum snpu_dialect)i;
	argp_error(state, "--dialect does not know '%s'; see --help", arg);
	return SNPU_DIALECT_DEFAULT;
}

static uint32_t spikes(const struct argp_state *state, const char *arg)
{
	char *end;

	if (!arg)
		return SNPU_SPIKES_ANY;
	errno = 0;
	unsigned long v = strtoul(arg, &end, 10);

	if (end == arg || *end || *arg < '0' || *arg > '9' || errno || !v || v > UINT32_MAX)
		argp_error(state, "--multi-spike takes a number of spikes, not '%s'", arg);
	return (uint32_t)v;
}

static void v_min(const struct argp_state *state, struct snpu_meaning *m, const char *arg)
{
	char *end;

	m->floor = strcmp(arg, "none") == 0 ? SNPU_FLOOR_NONE : strcmp(arg, "-threshold") == 0 ? SNPU_FLOOR_THRESHOLD : SNPU_FLOOR_VALUE;
	if (m->floor != SNPU_FLOOR_VALUE)
		return;
	m->v_min = strtod(arg, &end);
	if (end == arg || *end || !isfinite(m->v_min))
		argp_error(state, "--v-min takes none, -threshold or a number, not '%s'", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct snpu_meaning *m = state->input;

	switch (key) {
	case OPT_DT: m->dt = snpu_option_seconds(state, "--dt", arg); return 0;
	case OPT_DIALECT: m->dialect = dialect(state, arg); return 0;
	case OPT_INTEGRATOR: m->integrator = (enum snpu_integrator)choice(state, SNPU_MEANING_INTEGRATOR, "--integrator", arg); return 0;
	case OPT_RESET: m->reset = (enum snpu_reset)choice(state, SNPU_MEANING_RESET, "--reset", arg); return 0;
	case OPT_RESET_TIME: m->reset_time = (enum snpu_reset_time)choice(state, SNPU_MEANING_RESET_TIME, "--reset-time", arg); return 0;
	case OPT_COMPARE: m->compare = (enum snpu_compare)choice(state, SNPU_MEANING_COMPARE, "--compare", arg); return 0;
	case OPT_GAIN: m->gain = (enum snpu_gain)choice(state, SNPU_MEANING_GAIN, "--gain", arg); return 0;
	case OPT_DELAY: m->delay = (enum snpu_delay)choice(state, SNPU_MEANING_DELAY, "--delay", arg); return 0;
	case OPT_NUMBER: m->number = (enum snpu_number)choice(state, SNPU_MEANING_NUMBER, "--number", arg); return 0;
	case OPT_MULTI: m->max_spikes = spikes(state, arg); return 0;
	case OPT_V_MIN: v_min(state, m, arg); return 0;
	case OPT_STRICT: m->strict = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

const struct argp snpu_meaning_argp = { .options = options, .parser = parse };

void snpu_meaning_apply(const struct snpu_meaning *m, struct snpu_session_opts *opts)
{
	opts->dt = m->dt;
	opts->dialect = m->dialect;
	opts->integrator = m->integrator;
	opts->reset = m->reset;
	opts->reset_time = m->reset_time;
	opts->compare = m->compare;
	opts->gain = m->gain;
	opts->delay = m->delay;
	opts->max_spikes = m->max_spikes;
	opts->floor = m->floor;
	opts->v_min = m->v_min;
	opts->number = m->number;
	opts->strict = m->strict;
}

json_t *snpu_meaning_facts(const struct snpu_session *session)
{
	struct snpu_semantics_info s = { .sz = sizeof(s) };
	const char *dialect;
	json_t *facts;

	if (snpu_session_semantics(session, &s))
		return json_object();
	dialect = snpu_dialect_name(s.dialect);
	facts = json_pack("{s:f, s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "dt", s.dt, "dt_source", s.dt_source,
			  "dialect", dialect ? json_string(dialect) : json_null(), "integrator", snpu_meaning_name(SNPU_MEANING_INTEGRATOR, s.integrator),
			  "reset", snpu_meaning_name(SNPU_MEANING_RESET, s.reset), "reset_time", snpu_meaning_name(SNPU_MEANING_RESET_TIME, s.reset_time),
			  "compare", snpu_meaning_name(SNPU_MEANING_COMPARE, s.compare), "gain", snpu_meaning_name(SNPU_MEANING_GAIN, s.gain),
			  "delay", snpu_meaning_name(SNPU_MEANING_DELAY, s.delay), "max_spikes", (json_int_t)s.max_spikes,
			  "floor", snpu_meaning_name(SNPU_MEANING_FLOOR, s.floor), "number", snpu_meaning_name(SNPU_MEANING_NUMBER, s.number));
	if (s.floor == SNPU_FLOOR_VALUE)
		json_object_set_new(facts, "v_min", json_real(s.v_min));
	return facts;
}

json_t *snpu_meaning_notes(const struct snpu_session *session)
{
	static const char *const kinds[] = { "info", "assumed", "warning" };
	json_t *notes = json_array();
	const struct snpu_note *n;

	for (unsigned int i = 0; (n = snpu_session_note(session, i)); i++)
		json_array_append_new(notes, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", kinds[n->kind % 3], "rule", n->rule, "node", n->node, "text", n->text,
						       "source", n->source));
	return notes;
}
