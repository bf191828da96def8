/* SPDX-License-Identifier: MIT */
/*
 * What a time step means, decided once for a session: see semantics.h and docs/nir.md. NIR fixes a differential equation;
 * everything else is decided here, and every decision leaves a note. The time step itself is in time.c. One thread.
 */
#include "lower/quant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "snpu_isa.h"

struct decide {
	const struct snpu_model *m;
	const struct snpu_session_opts *opts;
	struct snpu_arena *a;
	struct snpu_semantics *s;
};

int snpu_semantics_note(struct snpu_semantics *s, struct snpu_arena *a, enum snpu_note_kind kind, const char *source, const char *rule, const char *node,
			const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = snpu_note_add(a, &s->notes, &s->n_notes, &s->cap_notes, kind, rule, node, fmt, ap);
	va_end(ap);
	if (!err)
		s->notes[s->n_notes - 1].source = source;
	return err;
}

/* Where a choice came from, as a note's source and as the end of its sentence. */
struct origin {
	enum snpu_note_kind kind;
	const char *source, *says;
};

/* given: by an option; otherwise: of a note when nobody chose, with the end of its sentence. */
static struct origin origin_of(struct decide *d, bool given, enum snpu_note_kind otherwise, const char *says)
{
	if (given)
		return (struct origin){ SNPU_NOTE_INFO, "option", "" };
	if (d->s->dialect)
		return (struct origin){ SNPU_NOTE_INFO, "dialect", "" };
	return (struct origin){ otherwise, "default", says };
}

#define NOTE(d, o, rule, node, fmt, ...)	\
	snpu_semantics_note((d)->s, (d)->a, (o).kind, (o).source, rule, node, fmt "%s", ##__VA_ARGS__, (o).says)

/* What there is to decide in this model. */
struct has {
	bool tau, cuba, fires, resets, gain;
};

static struct has look(const struct snpu_model *m)
{
	struct has has = { 0 };

	for (unsigned i = 0; i < m->n_nodes; i++) {
		const struct snpu_kind *k = m->nodes[i].kind;

		has.tau |= snpu_kind_param(k, "v_leak") >= 0;
		has.cuba |= snpu_kind_param(k, "tau_syn") >= 0;
		has.fires |= !!(k->flags & SNPU_KIND_FIRES);
		has.resets |= k->flags & SNPU_KIND_FIRES && k->states;
	}
	return has;
}

static int note_reset(struct decide *d)
{
	static const char *const what[] = {
		[SNPU_RESET_VALUE] = "v = v_reset", [SNPU_RESET_SUBTRACT] = "v = v - v_threshold", [SNPU_RESET_DELTA] = "v = v - (v_threshold - v_reset)",
	};
	static const char *const when[] = {
		[SNPU_RESET_SAME_STEP] = "in the step of the spike", [SNPU_RESET_NEXT_STEP] = "in the step after the spike, behind its update",
		[SNPU_RESET_BOTH_STEPS] = "once more in the step after the spike where v is still above the threshold, which is made good then",
	};
	struct origin o = origin_of(d, d->opts->reset, SNPU_NOTE_ASSUMED, "; the file does not tell how it was trained");
	int err = NOTE(d, o, "reset", "", "a neuron that fires is reset by %s", what[d->s->reset]);

	if (err)
		return err;
	o = origin_of(d, d->opts->reset_time, SNPU_NOTE_INFO, "");
	return NOTE(d, o, "reset-time", "", "it is reset %s%s", when[d->s->reset_time], d->s->cuba_same_step ? "; a CubaLIF in the step of its spike" : "");
}

static int note_spikes(struct decide *d)
{
	struct origin o = origin_of(d, d->opts->max_spikes, SNPU_NOTE_INFO, "");
	const char *only = d->s->floor_if_only ? " of IF" : "";
	int err;

	if (d->s->max_spikes == 1)
		err = NOTE(d, o, "spikes-per-step", "", "a neuron fires at most once a step");
	else if (d->s->max_spikes >= SNPU_SPIKES_MOST)
		err = NOTE(d, o, "spikes-per-step", "", "a neuron fires trunc(v / v_threshold) times a step");
	else
		err = NOTE(d, o, "spikes-per-step", "", "a neuron fires trunc(v / v_threshold) times a step, %u at most", d->s->max_spikes);
	if (err)
		return err;
	o = origin_of(d, d->opts->floor, SNPU_NOTE_INFO, "");
	if (d->s->floor == SNPU_FLOOR_VALUE)
		return NOTE(d, o, "v-min", "", "no membrane is below %g", d->s->v_min);
	if (d->s->floor == SNPU_FLOOR_THRESHOLD)
		return NOTE(d, o, "v-min", "", "no membrane%s is below minus its threshold", only);
	return NOTE(d, o, "v-min", "", "membranes have no lowest value");
}

static int note_number(struct decide *d)
{
	static const char *const what[] = {
		[SNPU_NUMBER_INT8] = "weights of 8 bits, states of 32, decays of 16", [SNPU_NUMBER_INT16] = "weights of 16 bits, states of 32, decays of 16",
		[SNPU_NUMBER_LOIHI24] = "weights of 8 bits, states of 24, decays of 12",
	};

	if (!snpu_number_is_q(d->s))
		return 0;
	return snpu_semantics_note(d->s, d->a, SNPU_NOTE_INFO, "option", "number", "", "in integers: %s; a result is what its integer is worth", what[d->s->number]);
}

static int note_neurons(struct decide *d)
{
	struct has has = look(d->m);
	struct origin o = origin_of(d, d->opts->integrator, SNPU_NOTE_ASSUMED, "; the file does not tell");
	bool raw = d->s->gain == SNPU_GAIN_RAW || d->s->gain == SNPU_GAIN_RAW_DECAYED;
	int err = 0;

	if (has.tau)
		err = NOTE(d, o, "integrator", "", "%s", d->s->integrator == SNPU_INTEGRATOR_EXP ? "exponential: exact for an input that is held for the step" : "forward Euler");
	if (!err && has.cuba)
		err = snpu_semantics_note(d->s, d->a, SNPU_NOTE_INFO, "default", "cuba-current", "", "the current of this step drives the membrane of this step");
	if (!err && has.resets)
		err = note_reset(d);
	o = origin_of(d, d->opts->compare, SNPU_NOTE_INFO, "");
	if (!err && has.fires)
		err = NOTE(d, o, "compare", "", "a neuron fires at v %s v_threshold", d->s->compare == SNPU_COMPARE_GT ? ">" : ">=");
	if (!err && has.resets)
		err = note_spikes(d);
	o = origin_of(d, d->opts->gain, SNPU_NOTE_INFO, "");
	if (!err && has.tau && raw)
		err = NOTE(d, o, "raw-gain", "", "the input of a step is added as it is, whatever r says%s",
			   d->s->gain == SNPU_GAIN_RAW_DECAYED ? ", to currents before they decay" : "");
	if (!err)
		err = snpu_semantics_note(d->s, d->a, SNPU_NOTE_INFO, "default", "input-scale", "", "the input of a step is taken as it is: a spike is the number 1, not 1/dt");
	return err;
}

/* Exporters disagree on whether IF and I multiply their input by dt: the rule if-gain. */
static int decide_gain(struct decide *d, unsigned i, const struct snpu_tensor *r)
{
	const char *name = d->m->nodes[i].name;
	struct origin o = origin_of(d, d->opts->gain, SNPU_NOTE_ASSUMED, ", the equation as NIR writes it");
	double dt = d->s->dt;
	bool one = true, per_dt = dt > 0.0;

	for (uint64_t k = 0; k < r->count; k++) {
		one &= r->data[k] == 1.0f;
		per_dt = per_dt && fabs(r->data[k] * dt - 1.0) <= 1e-3;
	}
	d->s->if_gain[i] = 1.0;
	if (d->s->gain == SNPU_GAIN_R)
		return NOTE(d, o, "if-gain", name, "the input of a step is multiplied by r");
	if (d->s->gain == SNPU_GAIN_RAW || d->s->gain == SNPU_GAIN_RAW_DECAYED) {
		d->s->if_gain[i] = NAN;
		return NOTE(d, o, "if-gain", name, "the input of a step counts once, whatever r says");
	}
	if (d->s->gain == SNPU_GAIN_DEFAULT && per_dt) {
		d->s->if_gain[i] = NAN;
		return snpu_semantics_note(d->s, d->a, SNPU_NOTE_INFO, "file", "if-gain", name, "r is 1/dt, so the input of a step counts once");
	}
	if (d->s->gain == SNPU_GAIN_DEFAULT && one)
		return snpu_semantics_note(d->s, d->a, SNPU_NOTE_ASSUMED, "default", "if-gain", name,
					   "r is 1: taken to mean that the input of a step counts once, not dt times");
	if (!(dt > 0.0))
		return snpu_fail(-EINVAL, "node '%s' multiplies its input by r * dt, and the model does not tell its time step; give it with --dt (option dt, seconds), or choose the gain r",
				 name);
	d->s->if_gain[i] = per_dt && !d->opts->gain ? NAN : dt;
	return NOTE(d, o, "if-gain", name, "the input of a step is multiplied by r * dt");
}

/* The model's notes; where other values wait than it says, not those about them. */
static int copy_notes(struct decide *d)
{
	for (unsigned i = 0; i < d->m->n_notes; i++) {
		const struct snpu_note *n = &d->m->notes[i];
		int err;

		if (d->s->delay != SNPU_DELAY_SPIKE && !strcmp(n->rule, "cycle-delay"))
			continue;
		err = snpu_vec_room(&d->s->notes, &d->s->cap_notes, d->s->n_notes, 2 * SNPU_MODEL_NOTES, sizeof(*n), "notes");
		if (err)
			return err;
		d->s->notes[d->s->n_notes++] = *n;	/* its strings are the model's, which the session holds */
	}
	return 0;
}

int snpu_semantics_decide(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_arena *a, struct snpu_semantics *s)
{
	struct decide d = { m, opts, a, s };
	int err = snpu_semantics_choose(opts, s);

	s->if_gain = snpu_arena_alloc(a, m->n_nodes, sizeof(*s->if_gain));
	if (!err && !s->if_gain)
		return -ENOMEM;
	if (!err)
		err = copy_notes(&d);
	if (!err)
		err = snpu_semantics_time(m, opts, a, s);
	if (!err)
		err = note_number(&d);
	if (!err)
		err = note_neurons(&d);
	for (unsigned i = 0; i < m->n_nodes && !err; i++)
		for (int p = 0; p < SNPU_KIND_PARAMS && m->nodes[i].kind->param[p].name && !err; p++)
			if (m->nodes[i].kind->param[p].role == SNPU_ROLE_GAIN)
				err = decide_gain(&d, i, &m->nodes[i].param[p]);
	return err;
}

int snpu_semantics_note_delays(const struct snpu_model *view, struct snpu_arena *a, struct snpu_semantics *s)
{
	const char *from = s->delay == SNPU_DELAY_NEURON ? "what leaves a neuron that fires" : "what enters a weight matrix";
	const char *source = snpu_dialect_row(s->dialect)->delay == s->delay ? "dialect" : "option";
	int err = 0;

	if (s->delay == SNPU_DELAY_SPIKE)
		return 0;
	if (s->delay != SNPU_DELAY_CURRENT)
		return snpu_semantics_note(s, a, SNPU_NOTE_INFO, source, "transport-delay", "", "%s arrives a step later", from);
	for (unsigned e = 0; e < view->n_edges && !err; e++)
		if (view->edges[e].delayed)
			err = snpu_semantics_note(s, a, SNPU_NOTE_INFO, source, "cycle-delay", view->nodes[view->edges[e].from].name,
						  "closes a cycle: '%s' sees its output of the step before, nothing at step 0",
						  view->nodes[view->edges[e].to].name);
	return err;
}

void snpu_semantics_free(struct snpu_semantics *s)
{
	free(s->notes);
	s->notes = NULL;
}

/* --- what it means for a packet ----------------------------------------------------------------------------------- */

uint8_t snpu_semantics_flags(const struct snpu_semantics *s, const struct snpu_kind *kind)
{
	static const uint8_t resets[] = {
		[SNPU_RESET_VALUE] = SNPU_NEURON_RESET_VALUE,
		[SNPU_RESET_SUBTRACT] = SNPU_NEURON_RESET_SUBTRACT,
		[SNPU_RESET_DELTA] = SNPU_NEURON_RESET_DELTA,
	};
	static const uint8_t times[] = {
		[SNPU_RESET_NEXT_STEP] = SNPU_NEURON_LATE,
		[SNPU_RESET_BOTH_STEPS] = SNPU_NEURON_LATE | SNPU_NEURON_NOW,
	};
	uint8_t flags = 0;

	if (!(kind->flags & SNPU_KIND_FIRES))
		return 0;
	if (s->compare == SNPU_COMPARE_GE)
		flags |= SNPU_NEURON_GE;
	if (!kind->states)
		return flags;
	flags |= resets[s->reset];
	if (!s->cuba_same_step || kind->id != SNPU_KIND_ID_CUBALIF)
		flags |= times[s->reset_time];
	if (s->max_spikes > 1)
		flags |= SNPU_NEURON_MULTI;
	if (s->floor != SNPU_FLOOR_NONE && (!s->floor_if_only || kind->id == SNPU_KIND_ID_IF))
		flags |= SNPU_NEURON_FLOOR;
	return flags;
}

float snpu_semantics_k(const struct snpu_semantics *s, float tau)
{
	if (s->integrator == SNPU_INTEGRATOR_EXP)
		return (float)-expm1(-s->dt / (double)tau);
	return (float)s->dt / tau;	/* of two float32 numbers, as docs/numerics.md has it */
}
