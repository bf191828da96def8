/* SPDX-License-Identifier: MIT */
/* Building a network: populations, their parameters, spikes that are given. See pop.h for who may do what. */
#include "pop/pop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NAME_MAX_BYTES	256u

static const struct {
	const char *name;
	bool needed, positive;			/* a time constant */
	double deflt;
} params[POP_PARAMS] = {
	[POP_TAU_M] = { "tau_m", true, true, 0 }, [POP_TAU_E] = { "tau_e", true, true, 0 }, [POP_TAU_I] = { "tau_i", true, true, 0 },
	[POP_V_REST] = { "v_rest", true, false, 0 }, [POP_V_THRESHOLD] = { "v_threshold", true, false, 0 }, [POP_V_RESET] = { "v_reset", true, false, 0 },
	[POP_R] = { "r", false, false, 1 }, [POP_I_CONST] = { "i_const", false, false, 0 }, [POP_REFRACTORY] = { "refractory", false, false, 0 },
	[POP_V] = { "v", false, false, 0 }, [POP_E] = { "e", false, false, 0 }, [POP_I] = { "i", false, false, 0 },
};

int snpu_net_create(double dt, struct snpu_net **out)
{
	struct snpu_net *net;

	if (!(dt > 0) || !isfinite(dt))
		return snpu_fail(-EINVAL, "network: the time step is %g s; give a positive number of seconds", dt);
	net = calloc(1, sizeof(*net));
	if (!net)
		return snpu_fail(-ENOMEM, "network: no memory for it");
	atomic_init(&net->refs, 1);
	net->dt = dt;
	*out = net;
	return 0;
}

void pop_net_get(struct snpu_net *net)
{
	atomic_fetch_add(&net->refs, 1);
}

void snpu_net_free(struct snpu_net *net)
{
	if (!net || atomic_fetch_sub(&net->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < net->n_pops; i++) {
		free(net->pop[i].step);
		free(net->pop[i].neuron);
	}
	if (net->image)
		munmap(net->image, net->image_capacity);
	free(net->pop);
	free(net->proj);
	snpu_arena_free(&net->arena);
	free(net);
}

/* --- names and times ----------------------------------------------------------------------------------------------- */

int pop_check_name(const struct snpu_net *net, const char *what, const char *name)
{
	bool projection = !strcmp(what, "projection");

	if (net->busy)
		return snpu_fail(-EBUSY, "network: a run was made from it, so no %s can be added; build another network", what);
	if (!name || !*name || strlen(name) > NAME_MAX_BYTES || strpbrk(name, "./\n\t"))
		return snpu_fail(-EINVAL, "network: '%.40s' is no name for a %s; use 1 to %u bytes without dot, slash or control characters", name ? name : "", what,
				 NAME_MAX_BYTES);
	for (unsigned i = 0; i < (projection ? net->n_projs : net->n_pops); i++)
		if (!strcmp(projection ? net->proj[i].name : net->pop[i].name, name))
			return snpu_fail(-EEXIST, "network: there is a %s '%s' already; choose another name", what, name);
	return 0;
}

int pop_steps(const struct snpu_net *net, double seconds, uint32_t most, const char *what, uint32_t *steps)
{
	double k = rint(seconds / net->dt);

	if (!(k >= 0 && k <= most))
		return snpu_fail(-EINVAL, "%s is %g s, which is %g steps of %g s; use 0 to %u steps", what, seconds, k, net->dt, most);
	*steps = (uint32_t)k;
	return 0;
}

int snpu_net_add_population(struct snpu_net *net, const char *name, enum snpu_net_model model, uint32_t n)
{
	struct pop_population p = { .model = model, .n = n };
	int err = pop_check_name(net, "population", name);

	if (err)
		return err;
	if (model != SNPU_NET_LIF && model != SNPU_NET_SPIKES)
		return snpu_fail(-EINVAL, "population '%s': model %d does not exist; use SNPU_NET_LIF or SNPU_NET_SPIKES", name, (int)model);
	if (!n || n > SNPU_NET_NEURONS)
		return snpu_fail(n ? -E2BIG : -EINVAL, "population '%s': %u neurons; use 1 to %u", name, n, SNPU_NET_NEURONS);
	err = snpu_vec_room(&net->pop, &net->cap_pops, net->n_pops, POP_PARTS, sizeof(p), "populations");
	if (!err)
		p.name = snpu_arena_strdup(&net->arena, name);
	if (err || !p.name)
		return err ? err : -ENOMEM;
	net->pop[net->n_pops] = p;
	return (int)net->n_pops++;
}

static int population(struct snpu_net *net, unsigned index, enum snpu_net_model model, struct pop_population **out)
{
	if (net->busy)
		return snpu_fail(-EBUSY, "network: a run was made from it, so populations do not change; build another network");
	if (index >= net->n_pops)
		return snpu_fail(-ERANGE, "network: there is no population %u, only %u", index, net->n_pops);
	*out = &net->pop[index];
	if ((*out)->model != model)
		return snpu_fail(-EINVAL, "population '%s': it %s; add a population of the other model", (*out)->name,
				 model == SNPU_NET_LIF ? "fires as it is told and has no parameters" : "fires by itself and cannot be given spikes");
	return 0;
}

/* --- parameters ---------------------------------------------------------------------------------------------------- */

static int check_values(const struct snpu_net *net, const struct pop_population *p, unsigned param, uint64_t count, const double *values)
{
	for (uint64_t i = 0; i < count; i++) {
		uint32_t steps;
		int err = 0;

		if (!isfinite(values[i]) || (params[param].positive && values[i] <= 0))
			err = snpu_fail(-EINVAL, "%s is %g; it must be a%s number", params[param].name, values[i], params[param].positive ? " positive" : " finite");
		else if (param == POP_REFRACTORY)
			err = pop_steps(net, values[i], 1u << 24, params[param].name, &steps);
		if (err)
			return snpu_fail_in(err, "population '%s', neuron %llu", p->name, (unsigned long long)i);
	}
	return 0;
}

int snpu_net_set(struct snpu_net *net, unsigned index, const char *param, uint64_t count, const double *values)
{
	struct pop_population *p;
	double *copy;
	unsigned k = 0;
	int err = population(net, index, SNPU_NET_LIF, &p);

	if (err)
		return err;
	while (k < POP_PARAMS && strcmp(params[k].name, param))
		k++;
	if (k == POP_PARAMS)
		return snpu_fail(-ENOENT, "population '%s': there is no parameter '%s'; there are tau_m, tau_e, tau_i, v_rest, v_threshold, v_reset, r, i_const, refractory, v, e, i",
				 p->name, param);
	if (count != 1 && count != p->n)
		return snpu_fail(-EINVAL, "population '%s': %llu values of %s; give 1, or one for each of the %u neurons", p->name, (unsigned long long)count, param, p->n);
	err = check_values(net, p, k, count, values);
	if (err)
		return err;
	copy = snpu_arena_alloc(&net->arena, count, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, values, count * sizeof(*copy));
	p->param[k] = (struct pop_values){ count, copy };
	return 0;
}

double pop_value(const struct pop_population *p, enum pop_param param, uint32_t neuron)
{
	const struct pop_values *v = &p->param[param];

	if (!v->count)
		return param == POP_V ? pop_value(p, POP_V_REST, neuron) : params[param].deflt;
	return v->value[v->count == 1 ? 0 : neuron];
}

bool pop_is_shared(const struct pop_population *p)
{
	for (unsigned k = 0; k < POP_V; k++)
		if (p->param[k].count > 1)
			return false;
	return true;
}

/* --- spikes -------------------------------------------------------------------------------------------------------- */

struct spike {
	uint64_t step;
	uint32_t neuron;
};

static int by_time(const void *a, const void *b)
{
	const struct spike *x = a, *y = b;

	return x->step != y->step ? (x->step < y->step ? -1 : 1) : (x->neuron > y->neuron) - (x->neuron < y->neuron);
}

/* Sorted, twice the same once. */
static int keep_spikes(struct pop_population *p, struct spike *s, uint64_t count)
{
	uint64_t *step = malloc((count + 1) * sizeof(*step)), n = 0;
	uint32_t *neuron = malloc((count + 1) * sizeof(*neuron)), run = 0;

	if (!step || !neuron) {
		free(step);
		free(neuron);
		return snpu_fail(-ENOMEM, "population '%s': no memory for %llu spikes", p->name, (unsigned long long)count);
	}
	qsort(s, count, sizeof(*s), by_time);
	p->most = 0;
	for (uint64_t i = 0; i < count; i++) {
		if (i && !by_time(&s[i - 1], &s[i]))
			continue;
		run = n && step[n - 1] == s[i].step ? run + 1 : 1;
		p->most = run > p->most ? run : p->most;
		step[n] = s[i].step;
		neuron[n++] = s[i].neuron;
	}
	free(p->step);
	free(p->neuron);
	p->step = step;
	p->neuron = neuron;
	p->n_spikes = n;
	return 0;
}

int snpu_net_set_spikes(struct snpu_net *net, unsigned index, uint64_t count, const double *times, const uint32_t *neurons)
{
	struct pop_population *p;
	struct spike *s;
	int err = population(net, index, SNPU_NET_SPIKES, &p);

	if (err)
		return err;
	s = count < UINT64_MAX / sizeof(*s) / 2 ? malloc((count + 1) * sizeof(*s)) : NULL;
	if (!s)
		return snpu_fail(-ENOMEM, "population '%s': no memory for %llu spikes", p->name, (unsigned long long)count);
	for (uint64_t i = 0; i < count && !err; i++) {
		double step = floor(times[i] / net->dt + 1e-6);		/* a time that is a whole number of steps, as floats have it */

		if (!(step >= 0 && step < 0x1p52))
			err = snpu_fail(-EINVAL, "population '%s': spike %llu is at %g s; times begin at 0", p->name, (unsigned long long)i, times[i]);
		else if (neurons[i] >= p->n)
			err = snpu_fail(-EINVAL, "population '%s': spike %llu is of neuron %u, there are %u", p->name, (unsigned long long)i, neurons[i], p->n);
		else
			s[i] = (struct spike){ (uint64_t)step, neurons[i] };
	}
	if (!err)
		err = keep_spikes(p, s, count);
	free(s);
	return err;
}

/* --- looking at it ------------------------------------------------------------------------------------------------- */

double snpu_net_dt(const struct snpu_net *net) { return net->dt; }
unsigned snpu_net_population_count(const struct snpu_net *net) { return net->n_pops; }
unsigned snpu_net_projection_count(const struct snpu_net *net) { return net->n_projs; }
uint64_t snpu_net_steps(const struct snpu_net *net) { return net->steps; }

int snpu_net_set_steps(struct snpu_net *net, uint64_t steps)
{
	if (net->busy)
		return snpu_fail(-EBUSY, "network: a run was made from it, so it does not change; tell snpu_net_run_steps() how many");
	net->steps = steps;
	return 0;
}

int snpu_net_find(const struct snpu_net *net, const char *name)
{
	for (unsigned i = 0; i < net->n_pops; i++)
		if (!strcmp(net->pop[i].name, name))
			return (int)i;
	return snpu_fail(-ENOENT, "network: there is no population '%s'; look at those it has", name);
}

int snpu_net_population(const struct snpu_net *net, unsigned index, struct snpu_net_population_info *out)
{
	struct snpu_net_population_info info = { .sz = sizeof(info) };
	const struct pop_population *p;

	if (index >= net->n_pops)
		return snpu_fail(-ERANGE, "network: there is no population %u, only %u", index, net->n_pops);
	p = &net->pop[index];
	info.name = p->name;
	info.model = p->model;
	info.neurons = p->n;
	info.spikes = p->n_spikes;
	return snpu_opts_out(out, &info, sizeof(info), "snpu_net_population_info");
}

int snpu_net_projection(const struct snpu_net *net, unsigned index, struct snpu_net_projection_info *out)
{
	struct snpu_net_projection_info info = { .sz = sizeof(info) };
	const struct pop_projection *p;

	if (index >= net->n_projs)
		return snpu_fail(-ERANGE, "network: there is no projection %u, only %u", index, net->n_projs);
	p = &net->proj[index];
	info.name = p->name;
	info.source = p->source;
	info.target = p->target;
	info.receptor = p->receptor;
	info.synapses = p->synapses;
	info.bytes = 4 * (net->pop[p->source].n + 1ull + p->words);
	info.delay_least = p->least;
	info.delay_most = p->most;
	info.weights = p->weights;
	info.weight = p->weight;
	return snpu_opts_out(out, &info, sizeof(info), "snpu_net_projection_info");
}
