/* SPDX-License-Identifier: MIT */
/* The time step as a model's gains tell it. Pure functions of a finished model; see semantics.h. */
#include <math.h>

#include "lower/semantics.h"

#define SPREAD	1e-4	/* relative, what float32 and the exporters' own arithmetic make of one number */

struct estimate {
	double low, high;			/* of all estimates, seconds */
	double tau_low, tau_high;		/* of the time constants behind them */
	unsigned long long n;
	bool bad;				/* one that is no time step for its neuron */
};

typedef double (*estimate_fn)(double tau, double gain);

static double from_euler(double tau, double gain)
{
	return tau / gain;
}

/* Solves gain = tau * exp(-dt / tau) / dt for dt by fixed-point iteration; it contracts for dt < tau. */
static double from_rockpool(double tau, double gain)
{
	double dt = tau / gain;

	for (int i = 0; i < 100; i++)
		dt = tau * exp(-dt / tau) / gain;
	return dt;
}

static void add_pairs(struct estimate *e, const struct snpu_node *n, const char *tau_name, const char *gain_name, estimate_fn fn)
{
	const struct snpu_tensor *tau = snpu_node_param(n, tau_name), *gain = snpu_node_param(n, gain_name);
	uint64_t count;

	if (!tau || !gain)
		return;
	count = tau->count > gain->count ? tau->count : gain->count;
	for (uint64_t i = 0; i < count; i++) {
		double t = tau->data[tau->count == count ? i : 0], dt = fn(t, gain->data[gain->count == count ? i : 0]);

		/* A gain of 1 or less says that dt was not folded in. */
		if (!(dt > 0.0) || dt > t * (1.0 - 1e-3))
			e->bad = true;
		e->low = !e->n || dt < e->low ? dt : e->low;
		e->high = !e->n || dt > e->high ? dt : e->high;
		e->tau_low = !e->n || t < e->tau_low ? t : e->tau_low;
		e->tau_high = !e->n || t > e->tau_high ? t : e->tau_high;
		e->n++;
	}
}

/* The number with the fewest digits within the spread of the estimates; digits: how many it took, 0: more than six. */
static double round_number(const struct estimate *e, int *digits)
{
	double middle = (e->low + e->high) / 2, unit = pow(10.0, floor(log10(middle)));

	for (*digits = 1; *digits <= 6; ++*digits, unit /= 10.0) {
		/* Divide by the inverse of a small unit: that gives the double nearest to the decimal number. */
		double steps = rint(middle / unit), r = unit < 1.0 ? steps / rint(1.0 / unit) : steps * unit;

		if (fabs(r - e->low) <= SPREAD * middle && fabs(r - e->high) <= SPREAD * middle)
			return r;
	}
	*digits = 0;
	return middle;
}

static double conclude(const struct estimate *e)
{
	double dt;
	int digits;

	if (!e->n || e->bad || e->high - e->low > SPREAD * e->high)
		return 0.0;
	dt = round_number(e, &digits);
	/* One time constant alone gives one answer whatever its gain means; then only a number people choose counts. */
	if (e->tau_high - e->tau_low <= SPREAD * e->tau_high && (digits < 1 || digits > 2))
		return 0.0;
	return dt;
}

static double infer(const struct snpu_model *m, estimate_fn fn)
{
	struct estimate membrane = { 0 }, synapse = { 0 };
	double a, b;

	for (unsigned i = 0; i < m->n_nodes; i++) {
		const struct snpu_node *n = &m->nodes[i];

		add_pairs(&membrane, n, "tau", "r", fn);
		add_pairs(&membrane, n, "tau_mem", "r", fn);
		add_pairs(&synapse, n, "tau_syn", "w_in", fn);
	}
	a = conclude(&membrane);
	b = conclude(&synapse);
	if (a > 0.0 && b > 0.0 && fabs(a - b) > SPREAD * a)
		return 0.0;
	return a > 0.0 ? a : b;
}

double snpu_dt_infer(const struct snpu_model *m)
{
	return infer(m, from_euler);
}

double snpu_dt_infer_rockpool(const struct snpu_model *m)
{
	return infer(m, from_rockpool);
}
