/* SPDX-License-Identifier: MIT */
/*
 * A network on a device, step after step. A call is cut into submissions of at most `chunk` steps, which change nothing. A device that can be lost
 * leaves a copy of its state behind after each; when it fails, the CPU goes on from there with the same bits. Run's thread, but for cancel.
 */
#include "pop/pop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

/* --- on a device --------------------------------------------------------------------------------------------------- */

static bool executes(const struct snpu_device_info *info)
{
	static const uint8_t ops[] = { SNPU_OP_SPARSE, SNPU_OP_TAKE, SNPU_OP_LOG, SNPU_OP_LIFEXP };

	for (unsigned i = 0; i < sizeof(ops); i++)
		if (!(info->opcodes[ops[i] / 64] >> ops[i] % 64 & 1))
			return false;
	return true;
}

static int choose_target(struct snpu_net_run *run, struct snpu_device *device)
{
	int err = device ? 0 : snpu_device_open("cpu", NULL, &run->own);

	run->target = (struct snpu_target){ .dev = device ? device : run->own, .info.sz = sizeof(run->target.info) };
	if (!err)
		err = snpu_device_info(run->target.dev, &run->target.info);
	if (!err && !executes(&run->target.info))
		err = snpu_fail(-ENOTSUP, "%s does not execute sparse connections (its contract is %u.%u, they came with 1.4); use --device cpu", run->target.info.name,
				run->target.info.hw_version >> 16, run->target.info.hw_version & 0xffff);
	return err;
}

/* Queues first: when they are gone, no device touches the buffers. */
static void leave_device(struct snpu_net_run *run)
{
	snpu_queue_free(run->lane.queue);
	run->lane.queue = NULL;
	for (unsigned r = 0; r < SNPU_REGION_COUNT; r++)
		snpu_region_free(&run->region[r]);
	snpu_lane_close(&run->lane);
	snpu_device_close(run->own);
	run->own = NULL;
	run->program_steps = 0;
}

static int put_synapses(struct snpu_net_run *run)
{
	struct snpu_region_mem *r = &run->region[SNPU_REGION_WEIGHTS];
	struct snpu_net *net = run->net;
	int err;

	if (!net->image_size)
		return 0;
	if (run->target.info.kind == SNPU_KIND_CPU)
		return snpu_region_wrap(&run->target, &run->lane, r, net->image, net->image_size);
	err = snpu_region_need(&run->target, &run->lane, r, net->image_size, SNPU_BO_DEVICE);
	if (!err)
		memcpy(r->map, net->image, net->image_size);
	return err;
}

/* Onto the target: from step 0, or from the saved state. */
static int enter_device(struct snpu_net_run *run)
{
	static const struct { uint8_t region; bool device; } kinds[] = {
		{ SNPU_REGION_CONST, true }, { SNPU_REGION_STATE, true }, { SNPU_REGION_SCRATCH, true }, { SNPU_REGION_PROFILE, false },
	};
	const uint64_t sizes[] = { run->const_size, run->state_size, run->scratch_size, run->rows * sizeof(*run->counter) };
	int err = snpu_lane_open(&run->target, &run->lane);

	for (unsigned i = 0; i < 4 && !err; i++)
		err = snpu_region_need(&run->target, &run->lane, &run->region[kinds[i].region], sizes[i], kinds[i].device ? SNPU_BO_DEVICE : 0);
	if (!err)
		err = put_synapses(run);
	if (!err && run->const_size)
		err = pop_fill(run, run->region[SNPU_REGION_CONST].map, run->region[SNPU_REGION_STATE].map);
	if (!err && run->step && run->saved)
		memcpy(run->region[SNPU_REGION_STATE].map, run->saved, run->state_size);
	return err;
}

/* --- making one ----------------------------------------------------------------------------------------------------- */

/* The state of step 0 is always to be had again; later ones are copied, unless they lie in this process's memory anyway. */
static int make_saved(struct snpu_net_run *run)
{
	if (run->target.info.kind == SNPU_KIND_CPU || run->opts.require_device)
		return 0;
	run->saved = malloc(run->state_size + 1);
	return run->saved ? 0 : snpu_fail(-ENOMEM, "run: no memory for a copy of %llu MiB of state", (unsigned long long)(run->state_size >> 20));
}

static int make_run(struct snpu_net_run *run)
{
	int err = choose_target(run, run->opts.device);

	run->record = snpu_arena_alloc(&run->arena, run->opts.n_records, sizeof(*run->record));
	if (!err && !run->record)
		err = -ENOMEM;
	for (unsigned i = 0; i < run->opts.n_records && !err; i++)
		err = pop_add_record(run, run->opts.records[i]);
	if (!err)
		err = pop_layout(run);
	if (!err) {
		run->counter = snpu_arena_alloc(&run->arena, run->rows, sizeof(*run->counter));
		err = run->counter ? make_saved(run) : -ENOMEM;
	}
	return err ? err : enter_device(run);
}

static int check_net(const struct snpu_net *net)
{
	static const char *const names[] = { "tau_m", "tau_e", "tau_i", "v_rest", "v_threshold", "v_reset" };

	if (!net->n_pops)
		return snpu_fail(-EINVAL, "network: it has no populations; add one");
	for (unsigned i = 0; i < net->n_pops; i++)
		for (unsigned k = 0; net->pop[i].model == SNPU_NET_LIF && k < 6; k++)
			if (!net->pop[i].param[k].count)
				return snpu_fail(-EINVAL, "population '%s': %s is not given; set it", net->pop[i].name, names[k]);
	return 0;
}

int snpu_net_run_create(struct snpu_net *net, const struct snpu_net_run_opts *opts, struct snpu_net_run **out)
{
	struct snpu_net_run_opts o;
	struct snpu_net_run *run;
	int err = snpu_opts_in(&o, sizeof(o), opts, "snpu_net_run_opts");

	if (!err)
		err = check_net(net);
	if (err)
		return err;
	run = calloc(1, sizeof(*run));
	if (!run)
		return snpu_fail(-ENOMEM, "run: no memory for it");
	net->busy = true;
	pop_net_get(net);
	run->net = net;
	run->opts = o;
	err = make_run(run);
	if (err) {
		snpu_net_run_free(run);
		return err;
	}
	*out = run;
	return 0;
}

void snpu_net_run_free(struct snpu_net_run *run)
{
	if (!run)
		return;
	leave_device(run);
	if (run->record)
		pop_records_free(run);
	free(run->saved);
	free(run->fallback);
	snpu_net_free(run->net);
	snpu_arena_free(&run->arena);
	free(run);
}

void snpu_net_run_cancel(struct snpu_net_run *run)
{
	atomic_store(&run->cancel, 1);
}

/* --- steps ---------------------------------------------------------------------------------------------------------- */

/* The program of so many steps, and memory for what goes in and comes out. */
static int prepare(struct snpu_net_run *run, uint32_t steps)
{
	struct snpu_prog prog;
	uint64_t input, output;
	int err;

	if (run->program_steps == steps)
		return 0;
	run->program_steps = 0;
	pop_layout_io(run, steps, &input, &output);
	snpu_prog_init(&prog);
	err = pop_emit(run, steps, &prog);
	if (!err)
		err = snpu_region_need(&run->target, &run->lane, &run->region[SNPU_REGION_INPUT], input, 0);
	if (!err)
		err = snpu_region_need(&run->target, &run->lane, &run->region[SNPU_REGION_OUTPUT], output, 0);
	if (!err)
		err = snpu_region_need(&run->target, &run->lane, &run->region[SNPU_REGION_PROGRAM], prog.size, 0);
	if (!err) {
		memcpy(run->region[SNPU_REGION_PROGRAM].map, prog.data, prog.size);
		run->program_steps = steps;
	}
	snpu_prog_free(&prog);
	return err;
}

static int submit(struct snpu_net_run *run, uint32_t steps, char *why, size_t size)
{
	int64_t start;
	int err = prepare(run, steps);

	if (err) {
		snprintf(why, size, "%s", snpu_last_error());
		return err;
	}
	pop_inputs_put(run, steps);
	memset(run->region[SNPU_REGION_PROFILE].map, 0, run->rows * sizeof(*run->counter));
	run->stats.jobs++;
	start = snpu_now_ns();
	err = snpu_lane_run(&run->target, &run->lane, run->region, 0, run->rows, &run->cancel, why, size);
	run->stats.host_ns -= (uint64_t)(snpu_now_ns() - start);	/* the call's time is added when it ends */
	return err;
}

/* The CPU takes over after `why`. */
static int fall_back(struct snpu_net_run *run, int err, const char *why)
{
	char *text;

	if (run->target.info.kind == SNPU_KIND_CPU)
		return snpu_fail(err, "%s", why);
	if (run->opts.require_device)
		return snpu_fail(-EREMOTEIO, "%s, and the device is required", why);
	if (asprintf(&text, "%s; the CPU goes on from step %llu", why, (unsigned long long)run->step) < 0)
		return snpu_fail(-ENOMEM, "run: no memory to go on");
	free(run->fallback);
	run->fallback = text;
	leave_device(run);
	err = choose_target(run, NULL);
	return err ? err : enter_device(run);
}

static void count(struct snpu_net_run *run)
{
	const uint64_t (*row)[SNPU_COUNTER_COUNT] = run->region[SNPU_REGION_PROFILE].map;

	for (uint32_t r = 0; r < run->rows; r++)
		for (unsigned c = 0; c < SNPU_COUNTER_COUNT; c++)
			run->counter[r][c] += row[r][c];
}

static int chunk(struct snpu_net_run *run, uint32_t steps)
{
	char why[640] = "";
	int err = submit(run, steps, why, sizeof(why));

	if (err == -ECANCELED)
		return err;
	if (err) {
		err = fall_back(run, err, why);
		if (!err)
			err = submit(run, steps, why, sizeof(why));
		if (err)
			return err == -ECANCELED ? err : snpu_fail(err, "%s", why[0] ? why : "the CPU cannot go on");
	}
	err = pop_records_take(run, steps);
	if (err)
		return err;
	count(run);
	run->step += steps;
	run->stats.steps += steps;
	if (run->saved && !run->own)
		memcpy(run->saved, run->region[SNPU_REGION_STATE].map, run->state_size);
	return 0;
}

static void sum_up(struct snpu_net_run *run)
{
	for (uint32_t r = 0; r < run->rows; r++) {
		run->stats.updates += run->counter[r][SNPU_COUNTER_UPDATES];
		run->stats.spikes += run->counter[r][SNPU_COUNTER_SPIKES];
		run->stats.synapses += run->counter[r][SNPU_COUNTER_SYNOPS];
	}
}

int snpu_net_run_steps(struct snpu_net_run *run, uint64_t steps)
{
	int64_t start = snpu_now_ns();
	int err;

	if (run->failed)
		return snpu_fail(-EINVAL, "run: it failed at step %llu; make another one", (unsigned long long)run->step);
	run->first = run->step;
	run->stats = (struct snpu_net_stats){ .sz = sizeof(run->stats), .first = run->step };
	memset(run->counter, 0, run->rows * sizeof(*run->counter));
	err = pop_records_begin(run, steps);
	for (uint64_t left = steps, n; left && !err; left -= n) {
		n = left < run->chunk ? left : run->chunk;
		err = chunk(run, (uint32_t)n);
		if (!err && ((run->opts.progress && run->opts.progress(run->opts.progress_arg, steps - left + n, steps)) || atomic_load(&run->cancel)))
			err = snpu_fail(-ECANCELED, "the run was cancelled");
	}
	atomic_store(&run->cancel, 0);
	run->stats.wall_ns = (uint64_t)(snpu_now_ns() - start);
	run->stats.host_ns += run->stats.wall_ns;
	sum_up(run);
	run->failed = err != 0;
	return err;
}

/* --- what came out --------------------------------------------------------------------------------------------------- */

int snpu_net_run_spikes(const struct snpu_net_run *run, const char *population, struct snpu_net_spikes *out)
{
	for (unsigned i = 0; i < run->n_records; i++)
		if (run->record[i].state < 0 && !strcmp(run->record[i].name, population)) {
			*out = (struct snpu_net_spikes){ run->record[i].count, run->record[i].step, run->record[i].neuron };
			return 0;
		}
	return snpu_fail(-ENOENT, "spikes of '%s' were not recorded; name it in the records", population);
}

int snpu_net_run_values(const struct snpu_net_run *run, const char *record, const struct snpu_array **out)
{
	for (unsigned i = 0; i < run->n_records; i++)
		if (run->record[i].state >= 0 && !strcmp(run->record[i].name, record)) {
			*out = &run->record[i].values;
			return 0;
		}
	return snpu_fail(-ENOENT, "'%s' was not recorded; name it in the records", record);
}

int snpu_net_run_stats(const struct snpu_net_run *run, struct snpu_net_stats *out)
{
	return snpu_opts_out(out, &run->stats, sizeof(run->stats), "snpu_net_stats");
}

int snpu_net_run_row(const struct snpu_net_run *run, unsigned index, struct snpu_net_row *out)
{
	unsigned pops = run->net->n_pops;

	if (index >= run->rows)
		return snpu_fail(-ERANGE, "run: there is no row %u, only %u", index, run->rows);
	*out = (struct snpu_net_row){ .name = !index ? "" : index <= pops ? run->net->pop[index - 1].name : run->net->proj[index - 1 - pops].name,
				      .projection = index > pops, .counter = run->counter[index], .n_counters = SNPU_COUNTER_COUNT };
	return 0;
}

const char *snpu_net_run_fallback(const struct snpu_net_run *run)
{
	return run->fallback;
}

int snpu_net_run_device(const struct snpu_net_run *run, struct snpu_device_info *out)
{
	return snpu_opts_out(out, &run->target.info, sizeof(run->target.info), "snpu_device_info");
}
