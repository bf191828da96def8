/* SPDX-License-Identifier: MIT */
/*
 * What a time step means, decided once for a session: see semantics.h and docs/nir.md. NIR fixes a differential equation;
 * everything else is decided here, and every decision leaves a note. One thread.
 */
#include "lower/semantics.h"

#include <math.h>
#include <stdlib.h>

struct decide {
	const struct snpu_model *m;
	const struct snpu_session_opts *opts;
	struct snpu_arena *a;
	struct snpu_semantics *s;
};

static int note(struct decide *d, enum snpu_note_kind kind, const char *rule, const char *node, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static int note(struct decide *d, enum snpu_note_kind kind, const char *rule, const char *node, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = snpu_note_add(d->a, &d->s->notes, &d->s->n_notes, &d->s->cap_notes, kind, rule, node, fmt, ap);
	va_end(ap);
	return err;
}

/* The smallest time constant of the model, and whose it is. INFINITY without any. */
static double smallest_tau(const struct snpu_model *m, const struct snpu_node **node, const char **param)
{
	double low = INFINITY;

	for (unsigned i = 0; i < m->n_nodes; i++) {
		const struct snpu_node *n = &m->nodes[i];

		for (int p = 0; p < SNPU_KIND_PARAMS && n->kind->param[p].name; p++)
			for (uint64_t k = 0; n->kind->param[p].role == SNPU_ROLE_TAU && k < n->param[p].count; k++)
				if (n->param[p].data[k] < low) {
					low = n->param[p].data[k];
					*node = n;
					*param = n->kind->param[p].name;
				}
	}
	return low;
}

static bool near(double a, double b, double relative)
{
	return fabs(a - b) <= relative * fabs(b);
}

static int dt_from_option(struct decide *d, double inferred)
{
	double dt = d->opts->dt;
	int err;

	if (!(dt > 0.0) || !isfinite(dt))
		return snpu_fail(-EINVAL, "a time step of %g s is not possible; give a positive one", dt);
	d->s->dt = dt;
	d->s->dt_source = "option";
	err = note(d, SNPU_NOTE_INFO, "dt-option", "", "time step %g s as given", dt);
	if (!err && d->m->dt > 0.0 && !near(dt, d->m->dt, 1e-4))
		err = note(d, SNPU_NOTE_WARNING, "dt-differs", "", "the file's metadata says %g s, %g s was given", d->m->dt, dt);
	else if (!err && inferred > 0.0 && !near(dt, inferred, 1e-3))
		err = note(d, SNPU_NOTE_WARNING, "dt-differs", "", "the gains fit a time step of %g s, %g s was given", inferred, dt);
	return err;
}

static int dt_unknown(struct decide *d, double tau)
{
	double rockpool = snpu_dt_infer_rockpool(d->m);

	if (rockpool > 0.0)
		return snpu_fail(-EINVAL, "the model does not tell its time step, though its gains fit one of %g s as Rockpool exports it; give it with --dt %g (option dt)",
				 rockpool, rockpool);
	if (tau >= 2.0)
		return snpu_fail(-EINVAL, "the model does not tell its time step; its smallest time constant is %g, which looks like a number of steps: then give --dt 1 (option dt)", tau);
	return snpu_fail(-EINVAL, "the model does not tell its time step, and its gains do not fit any; give the one it was trained with, for example --dt 1e-3 (option dt, seconds; its smallest time constant is %g s)", tau);
}

static int decide_dt(struct decide *d)
{
	const struct snpu_node *node = NULL;
	const char *param = NULL;
	double inferred = snpu_dt_infer(d->m), tau = smallest_tau(d->m, &node, &param);
	int err;

	d->s->dt_source = "";
	if (d->opts->dt != 0.0) {
		err = dt_from_option(d, inferred);
	} else if (d->m->dt > 0.0) {
		d->s->dt = d->m->dt;
		d->s->dt_source = "metadata";
		err = note(d, SNPU_NOTE_INFO, "dt-metadata", "", "time step %g s from the file's metadata%s", d->s->dt,
			   inferred > 0.0 && near(inferred, d->s->dt, 1e-3) ? "; the gains fit it" : "");
		if (!err && inferred > 0.0 && !near(inferred, d->s->dt, 1e-3))
			err = note(d, SNPU_NOTE_WARNING, "dt-differs", "", "the gains fit a time step of %g s, the file's metadata says %g s",
				   inferred, d->s->dt);
	} else if (inferred > 0.0) {
		d->s->dt = inferred;
		d->s->dt_source = "inferred";
		err = note(d, SNPU_NOTE_ASSUMED, "dt-inferred", "", "time step %g s: with it every gain is tau/dt, as exporters write it", inferred);
	} else {
		return isinf(tau) ? 0 : dt_unknown(d, tau);
	}
	if (err || isinf(tau))
		return err;
	/* Both as the gain is computed: rounded to float32. */
	if ((float)d->s->dt > (float)tau)
		return snpu_fail(-EINVAL, "the time step of %g s is longer than %s = %g s of node '%s', where the Euler step is not stable; give a shorter --dt (option dt)",
				 d->s->dt, param, tau, node->name);
	if (tau >= 2.0)
		return note(d, SNPU_NOTE_WARNING, "tau-in-steps", node->name, "%s is %g s; if it means steps, the time step must be 1", param, tau);
	return 0;
}

static const char *reset_text(enum snpu_reset reset)
{
	return reset == SNPU_RESET_VALUE ? "v = v_reset" : reset == SNPU_RESET_SUBTRACT ? "v = v - v_threshold" : "v = v - (v_threshold - v_reset)";
}

static int decide_neurons(struct decide *d)
{
	const struct snpu_session_opts *o = d->opts;
	bool compares = false, resets = false, integrates = false;
	int err = 0;

	if (o->integrator == SNPU_INTEGRATOR_EXP)
		return snpu_fail(-ENOTSUP, "the exponential integrator is not supported yet (docs/not-yet.md); use euler");
	if ((unsigned)o->integrator > SNPU_INTEGRATOR_EXP || (unsigned)o->reset > SNPU_RESET_DELTA || (unsigned)o->compare > SNPU_COMPARE_GE ||
	    (unsigned)o->gain > SNPU_GAIN_R_DT)
		return snpu_fail(-EINVAL, "an option has an unknown value; use the enums of snpu_model.h");
	for (unsigned i = 0; i < d->m->n_nodes; i++) {
		const struct snpu_kind *k = d->m->nodes[i].kind;

		compares |= !!(k->flags & SNPU_KIND_FIRES);
		resets |= k->flags & SNPU_KIND_FIRES && k->states;
		integrates |= k->states && snpu_kind_param(k, "v_leak") >= 0;
	}
	d->s->reset = o->reset ? o->reset : SNPU_RESET_VALUE;
	d->s->compare = o->compare ? o->compare : SNPU_COMPARE_GT;
	if (integrates)
		err = note(d, o->integrator ? SNPU_NOTE_INFO : SNPU_NOTE_ASSUMED, "integrator", "", "forward Euler%s", o->integrator ? " as given" : "; the file does not tell");
	if (!err && resets)
		err = note(d, o->reset ? SNPU_NOTE_INFO : SNPU_NOTE_ASSUMED, "reset", "", "a neuron that fires is reset by %s%s", reset_text(d->s->reset),
			   o->reset ? " as given" : "; the file does not tell how it was trained");
	if (!err && compares)
		err = note(d, SNPU_NOTE_INFO, "compare", "", "a neuron fires at v %s v_threshold%s", d->s->compare == SNPU_COMPARE_GT ? ">" : ">=",
			   o->compare ? " as given" : ", as NIR defines it");
	return err;
}

/* Rule 6: exporters disagree on whether IF and I multiply their input by dt. */
static int decide_gain(struct decide *d, unsigned i, const struct snpu_tensor *r)
{
	const char *name = d->m->nodes[i].name;
	enum snpu_gain gain = d->opts->gain;
	double dt = d->s->dt;
	bool one = true, per_dt = dt > 0.0;

	for (uint64_t k = 0; k < r->count; k++) {
		one &= r->data[k] == 1.0f;
		per_dt = per_dt && fabs(r->data[k] * dt - 1.0) <= 1e-3;
	}
	d->s->gain[i] = 1.0;
	if (gain == SNPU_GAIN_R)
		return note(d, SNPU_NOTE_INFO, "if-gain", name, "the input of a step is multiplied by r, as given");
	if (gain == SNPU_GAIN_DEFAULT && per_dt) {
		d->s->gain[i] = NAN;
		return note(d, SNPU_NOTE_INFO, "if-gain", name, "r is 1/dt, so the input of a step counts once");
	}
	if (gain == SNPU_GAIN_DEFAULT && one)
		return note(d, SNPU_NOTE_ASSUMED, "if-gain", name, "r is 1: taken to mean that the input of a step counts once, not dt times");
	if (!(dt > 0.0))
		return snpu_fail(-EINVAL, "node '%s' multiplies its input by r * dt, and the model does not tell its time step; give it with --dt (option dt, seconds), or choose the gain r",
				 name);
	d->s->gain[i] = dt;
	return note(d, gain ? SNPU_NOTE_INFO : SNPU_NOTE_ASSUMED, "if-gain", name, "the input of a step is multiplied by r * dt%s",
		    gain ? ", as given" : ", the equation as NIR writes it");
}

int snpu_semantics_decide(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_arena *a, struct snpu_semantics *s)
{
	struct decide d = { m, opts, a, s };
	int err;

	s->gain = snpu_arena_alloc(a, m->n_nodes, sizeof(*s->gain));
	if (!s->gain)
		return -ENOMEM;
	err = decide_dt(&d);
	if (!err)
		err = decide_neurons(&d);
	for (unsigned i = 0; i < m->n_nodes && !err; i++)
		for (int p = 0; p < SNPU_KIND_PARAMS && m->nodes[i].kind->param[p].name && !err; p++)
			if (m->nodes[i].kind->param[p].role == SNPU_ROLE_GAIN)
				err = decide_gain(&d, i, &m->nodes[i].param[p]);
	return err;
}

void snpu_semantics_free(struct snpu_semantics *s)
{
	free(s->notes);
	s->notes = NULL;
}
