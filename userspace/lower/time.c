/* SPDX-License-Identifier: MIT */
/*
 * The time step of a session: where it comes from, and what is said about it. It is never guessed; docs/nir.md has the
 * order. One thread.
 */
#include "lower/semantics.h"

#include <math.h>

struct decide {
	const struct snpu_model *m;
	const struct snpu_session_opts *opts;
	struct snpu_arena *a;
	struct snpu_semantics *s;
	const struct snpu_dialect_row *dialect;
	double inferred;			/* seconds, 0: the gains tell nothing */
};

#define NOTE(d, kind, source, rule, node, ...)	snpu_semantics_note((d)->s, (d)->a, SNPU_NOTE_##kind, source, rule, node, __VA_ARGS__)

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

static int take(struct decide *d, double dt, const char *source)
{
	d->s->dt = dt;
	d->s->dt_source = source;
	return 0;
}

static int from_option(struct decide *d)
{
	double dt = d->opts->dt;
	int err;

	if (!(dt > 0.0) || !isfinite(dt))
		return snpu_fail(-EINVAL, "a time step of %g s is not possible; give a positive one", dt);
	take(d, dt, "option");
	err = NOTE(d, INFO, "option", "dt-option", "", "time step %g s", dt);
	if (!err && d->m->dt > 0.0 && !near(dt, d->m->dt, 1e-4))
		err = NOTE(d, WARNING, "option", "dt-differs", "", "the file's metadata says %g s, %g s was given", d->m->dt, dt);
	else if (!err && d->inferred > 0.0 && !near(dt, d->inferred, 1e-3))
		err = NOTE(d, WARNING, "option", "dt-differs", "", "the gains fit a time step of %g s, %g s was given", d->inferred, dt);
	return err;
}

static int from_metadata(struct decide *d)
{
	bool fits = d->inferred > 0.0 && near(d->inferred, d->m->dt, 1e-3);
	int err = NOTE(d, INFO, "file", "dt-metadata", "", "time step %g s from the file's metadata%s", d->m->dt, fits ? "; the gains fit it" : "");

	take(d, d->m->dt, "metadata");
	if (!err && d->inferred > 0.0 && !fits)
		err = NOTE(d, WARNING, "file", "dt-differs", "", "the gains fit a time step of %g s, the file's metadata says %g s", d->inferred, d->m->dt);
	return err;
}

static int unknown(struct decide *d, double tau)
{
	double rockpool = snpu_dt_infer_rockpool(d->m);

	if (rockpool > 0.0)
		return snpu_fail(-EINVAL, "the model does not tell its time step, though its gains fit one of %g s as Rockpool exports it; give it with --dt %g (option dt)",
				 rockpool, rockpool);
	if (tau >= 2.0)
		return snpu_fail(-EINVAL, "the model does not tell its time step; its smallest time constant is %g, which looks like a number of steps: then give --dt 1 (option dt)", tau);
	return snpu_fail(-EINVAL, "the model does not tell its time step, and its gains do not fit any; give the one it was trained with, for example --dt 1e-3 (option dt, seconds; its smallest time constant is %g s), or the framework with --dialect (option dialect)", tau);
}

/* IF and I with r * dt, in a dialect that has a dt. */
static bool gain_needs_dt(const struct decide *d)
{
	for (unsigned i = 0; i < d->m->n_nodes; i++)
		for (int p = 0; p < SNPU_KIND_PARAMS && d->m->nodes[i].kind->param[p].name; p++)
			if (d->m->nodes[i].kind->param[p].role == SNPU_ROLE_GAIN)
				return d->s->gain == SNPU_GAIN_R_DT && d->dialect->dt > 0.0;
	return false;
}

/* 1: nothing tells, and there is nothing for which it is needed. */
static int find(struct decide *d, double tau)
{
	const char *name = d->dialect->name;

	if (d->opts->dt != 0.0)
		return from_option(d);
	if (d->dialect->dt_always && !isinf(tau)) {
		take(d, d->dialect->dt, "dialect");
		return NOTE(d, INFO, "dialect", "dt-dialect", "", "time step %g: time constants are numbers of steps, as %s reads them", d->s->dt, name);
	}
	if (d->m->dt > 0.0)
		return from_metadata(d);
	if (d->inferred > 0.0) {
		take(d, d->inferred, "inferred");
		return NOTE(d, ASSUMED, "default", "dt-inferred", "", "time step %g s: with it every gain is %s", d->inferred,
			    d->s->dialect == SNPU_DIALECT_ROCKPOOL && near(d->inferred, snpu_dt_infer_rockpool(d->m), 1e-6)
				    ? "as Rockpool exports it" : "tau/dt, as exporters write it");
	}
	if (isinf(tau) && !gain_needs_dt(d))
		return 1;
	if (d->dialect->dt > 0.0) {
		take(d, d->dialect->dt, "dialect");
		return NOTE(d, ASSUMED, "dialect", "dt-dialect", "", "time step %g s, what %s takes when it is told nothing", d->s->dt, name);
	}
	return isinf(tau) ? 1 : unknown(d, tau);		/* without a time constant, whoever needs it says so */
}

int snpu_semantics_time(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_arena *a, struct snpu_semantics *s)
{
	struct decide d = { .m = m, .opts = opts, .a = a, .s = s, .dialect = snpu_dialect_row(s->dialect), .inferred = snpu_dt_infer(m) };
	const struct snpu_node *node = NULL;
	const char *param = NULL;
	double tau = smallest_tau(m, &node, &param);
	bool longer;
	int err;

	s->dt_source = "";
	if (s->dialect == SNPU_DIALECT_ROCKPOOL && snpu_dt_infer_rockpool(m) > 0.0)
		d.inferred = snpu_dt_infer_rockpool(m);
	err = find(&d, tau);
	if (err || isinf(tau))
		return err < 0 ? err : 0;
	longer = (float)s->dt > (float)tau;	/* both as k is computed: rounded to float32 */
	if (longer && s->integrator == SNPU_INTEGRATOR_EULER)
		return snpu_fail(-EINVAL, "the time step of %g s is longer than %s = %g s of node '%s', where the Euler step is not stable; give a shorter --dt (option dt), or --integrator exp",
				 s->dt, param, tau, node->name);
	if (longer)
		return NOTE(&d, WARNING, "file", "tau-below-step", node->name, "%s is %g of a time step: the neuron forgets almost all in each", param, tau / s->dt);
	if (tau >= 2.0 && s->dt != 1.0)
		return NOTE(&d, WARNING, "file", "tau-in-steps", node->name, "%s is %g s; if it means steps, the time step must be 1", param, tau);
	return 0;
}
