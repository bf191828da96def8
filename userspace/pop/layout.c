/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a run lies in its regions, and what is there before the first step: parameters of the neurons, computed in double and
 * rounded once (docs/numerics.md, LIFEXP), and their state. Run's thread.
 */
#include "pop/pop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BUDGET		(32ull << 20)		/* bytes of INPUT and OUTPUT that a submission may need for its steps */
#define UPDATES		(1ull << 28)		/* neuron updates of a submission: some tenths of a second */
#define STEPS		4096u			/* of a submission */

static uint64_t take(uint64_t *size, uint64_t bytes)
{
	uint64_t at = *size;

	*size = (at + bytes + POP_ALIGN - 1) / POP_ALIGN * POP_ALIGN;
	return at;
}

static uint64_t list_bytes(uint64_t n)
{
	return 4 * SNPU_EVENTS_WORDS(n);
}

static void place_neurons(struct snpu_net_run *run, unsigned index)
{
	const struct snpu_net *net = run->net;
	struct pop_place *at = &run->place[index];
	uint32_t n = net->pop[index].n;

	at->shared = pop_is_shared(&net->pop[index]);
	at->param = take(&run->const_size, 4ull * SNPU_LIFEXP_PARAMS * (at->shared ? 1 : n));
	at->state = take(&run->state_size, 16ull * n);
	at->events = take(&run->scratch_size, list_bytes(n));
	for (unsigned r = 0; r < POP_RECEPTORS; r++) {
		at->slots[r] = 1;
		for (unsigned i = 0; i < net->n_projs; i++)
			if (net->proj[i].target == index && net->proj[i].receptor == r && net->proj[i].most > at->slots[r])
				at->slots[r] = net->proj[i].most;
		if (at->slots[r] == 1)
			continue;
		at->position[r] = take(&run->state_size, 4);
		at->ring[r] = take(&run->state_size, 4ull * at->slots[r] * n);
	}
}

/* Steps of a submission: what they bring and leave must fit, and none should take so long that nobody can stop it. */
static void choose_chunk(struct snpu_net_run *run)
{
	uint64_t bytes = 0, neurons = 1, most = run->opts.chunk_steps ? run->opts.chunk_steps : STEPS, room = SNPU_MAX_N;

	for (unsigned i = 0; i < run->net->n_pops; i++) {
		bytes += run->place[i].stride;
		neurons += run->net->pop[i].n;
	}
	for (unsigned i = 0; i < run->n_records; i++) {
		const struct pop_record *r = &run->record[i];

		bytes += r->step_bytes;
		if (r->state < 0 && SNPU_MAX_N / run->net->pop[r->pop].n < room)
			room = SNPU_MAX_N / run->net->pop[r->pop].n;	/* entries of a log */
	}
	most = most < UPDATES / neurons ? most : UPDATES / neurons;
	most = !bytes || most < BUDGET / bytes ? most : BUDGET / bytes;
	most = most < room ? most : room;
	run->chunk = most ? (uint32_t)most : 1;
}

int pop_layout(struct snpu_net_run *run)
{
	const struct snpu_net *net = run->net;

	run->place = snpu_arena_alloc(&run->arena, net->n_pops, sizeof(*run->place));
	if (!run->place)
		return -ENOMEM;
	for (unsigned i = 0; i < net->n_pops; i++) {
		if (net->pop[i].model == SNPU_NET_LIF)
			place_neurons(run, i);
		else
			run->place[i].stride = (uint32_t)list_bytes(net->pop[i].most);
	}
	run->rows = 1 + net->n_pops + net->n_projs;
	choose_chunk(run);
	return 0;
}

void pop_layout_io(struct snpu_net_run *run, uint32_t steps, uint64_t *input, uint64_t *output)
{
	*input = *output = 0;
	for (unsigned i = 0; i < run->net->n_pops; i++)
		if (run->net->pop[i].model == SNPU_NET_SPIKES)	/* a reference covers room for all channels, also that of the last step */
			run->place[i].events = take(input, (steps - 1ull) * run->place[i].stride + list_bytes(run->net->pop[i].n));
	for (unsigned i = 0; i < run->n_records; i++)
		run->record[i].at = take(output, sizeof(struct snpu_log) + steps * run->record[i].step_bytes);
}

int pop_add_record(struct snpu_net_run *run, const char *name)
{
	static const char *const states[] = { "v", "e", "i" };
	struct pop_record *r = &run->record[run->n_records];
	const char *dot = strchr(name, '.');
	char pop[300];
	int index, state = -1;

	snprintf(pop, sizeof(pop), "%.*s", dot ? (int)(dot - name < 299 ? dot - name : 299) : 299, name);
	index = snpu_net_find(run->net, pop);
	for (int k = 0; dot && k < 3; k++)
		if (!strcmp(dot + 1, states[k]))
			state = k;
	if (index < 0)
		return snpu_fail_in(index, "record '%s'", name);
	if (dot && (state < 0 || run->net->pop[index].model != SNPU_NET_LIF))
		return snpu_fail(-ENOENT, "record '%s': population '%s' has no '%s'; %s", name, pop, dot + 1,
				 run->net->pop[index].model == SNPU_NET_LIF ? "there are .v, .e and .i" : "it has nothing but its spikes");
	*r = (struct pop_record){ .name = snpu_arena_strdup(&run->arena, name), .pop = (unsigned)index, .state = state };
	r->step_bytes = (state < 0 ? sizeof(struct snpu_log_entry) : sizeof(float)) * (uint64_t)run->net->pop[index].n;
	if (!r->name)
		return -ENOMEM;
	run->n_records++;
	return 0;
}

/* --- what is there at step 0 --------------------------------------------------------------------------------------- */

/* What a current that decays with tau adds to v in a step. */
static double gain(double dt, double tau_m, double tau, double r)
{
	double x = dt / tau_m - dt / tau;

	return r * dt / tau_m * exp(-dt / tau_m) * (x == 0 ? 1 : expm1(x) / x);
}

static void neuron_params(const struct snpu_net *net, const struct pop_population *p, uint32_t k, double out[SNPU_LIFEXP_PARAMS])
{
	double dt = net->dt, tau_m = pop_value(p, POP_TAU_M, k), tau_e = pop_value(p, POP_TAU_E, k), tau_i = pop_value(p, POP_TAU_I, k), r = pop_value(p, POP_R, k);
	double hold = rint(pop_value(p, POP_REFRACTORY, k) / dt);

	out[0] = (pop_value(p, POP_V_REST, k) + r * pop_value(p, POP_I_CONST, k)) * -expm1(-dt / tau_m);
	out[1] = exp(-dt / tau_m);
	out[2] = gain(dt, tau_m, tau_e, r);
	out[3] = gain(dt, tau_m, tau_i, r);
	out[4] = exp(-dt / tau_e);
	out[5] = exp(-dt / tau_i);
	out[6] = pop_value(p, POP_V_THRESHOLD, k);
	out[7] = pop_value(p, POP_V_RESET, k);
	out[8] = hold > 0 ? hold - 1 : 0;	/* it may fire again so many steps after the spike, not one later */
}

static int store(float *to, double value, const struct pop_population *p, uint32_t neuron)
{
	*to = (float)value;
	return isfinite(*to) ? 0 : snpu_fail(-ERANGE, "population '%s', neuron %u: a parameter of its equation is %g, which is no float32; change its parameters",
					     p->name, neuron, value);
}

static int fill_population(const struct snpu_net_run *run, unsigned index, uint8_t *constants, uint8_t *state)
{
	const struct pop_population *p = &run->net->pop[index];
	const struct pop_place *at = &run->place[index];
	float *param = (float *)(constants + at->param), *s = (float *)(state + at->state);
	uint32_t sets = at->shared ? 1 : p->n;
	int err = 0;

	for (uint32_t k = 0; k < sets && !err; k++) {
		double value[SNPU_LIFEXP_PARAMS];

		neuron_params(run->net, p, k, value);
		for (unsigned q = 0; q < SNPU_LIFEXP_PARAMS && !err; q++)
			err = store(&param[(uint64_t)q * sets + k], value[q], p, k);
	}
	for (uint32_t k = 0; k < p->n && !err; k++)
		for (unsigned q = 0; q < 3 && !err; q++)
			err = store(&s[(uint64_t)q * p->n + k], pop_value(p, (enum pop_param)(POP_V + q), k), p, k);
	return err;
}

int pop_fill(const struct snpu_net_run *run, uint8_t *constants, uint8_t *state)
{
	int err = 0;

	for (unsigned i = 0; i < run->net->n_pops && !err; i++)
		if (run->net->pop[i].model == SNPU_NET_LIF)
			err = fill_population(run, i, constants, state);
	return err;
}
