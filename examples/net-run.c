/* SPDX-License-Identifier: MIT */
/*
 * Builds a small network by calls and prints who fires: ten cells in a ring, each excites the next after 5 ms, and a spike is given to the first.
 *
 *	cc net-run.c $(pkg-config --cflags --libs snpu) -o net-run
 */
#include <stdio.h>
#include <snpu/snpu.h>

#define CELLS	10

int main(void)
{
	static const struct { const char *name; double value; } params[] = {
		{ "tau_m", 10e-3 }, { "tau_e", 2e-3 }, { "tau_i", 2e-3 }, { "v_rest", 0 }, { "v_threshold", 1 }, { "v_reset", 0 }, { "refractory", 20e-3 },
	};
	uint64_t rows[CELLS + 1];
	uint32_t columns[CELLS], first = 0;
	double start = 0;
	const char *record = "ring";
	struct snpu_net_csr ring = { .sz = sizeof(ring), .name = "ring", .rows = rows, .columns = columns, .weight = 15, .delay = 5e-3 };
	struct snpu_net_csr kick = { .sz = sizeof(kick), .name = "kick", .source = 1, .rows = (const uint64_t[]){ 0, 1 }, .columns = &first, .weight = 15 };
	struct snpu_net_run_opts opts = { .sz = sizeof(opts), .records = &record, .n_records = 1 };
	struct snpu_net_spikes spikes;
	struct snpu_net *net = NULL;
	struct snpu_net_run *run = NULL;
	int err = snpu_net_create(1e-3, &net);

	for (unsigned int i = 0; i <= CELLS; i++)
		rows[i] = i;
	for (unsigned int i = 0; i < CELLS; i++)
		columns[i] = (i + 1) % CELLS;
	if (err >= 0)
		err = snpu_net_add_population(net, "ring", SNPU_NET_LIF, CELLS);
	for (unsigned int i = 0; err >= 0 && i < sizeof(params) / sizeof(params[0]); i++)
		err = snpu_net_set(net, 0, params[i].name, 1, &params[i].value);
	if (err >= 0)
		err = snpu_net_add_population(net, "kick", SNPU_NET_SPIKES, 1);
	if (err >= 0)
		err = snpu_net_set_spikes(net, 1, 1, &start, &first);
	if (err >= 0)
		err = snpu_net_add_csr(net, &ring);
	if (err >= 0)
		err = snpu_net_add_csr(net, &kick);
	if (err >= 0)
		err = snpu_net_run_create(net, &opts, &run);
	if (err >= 0)
		err = snpu_net_run_steps(run, 100);
	if (err >= 0)
		err = snpu_net_run_spikes(run, "ring", &spikes);
	for (uint64_t i = 0; err >= 0 && i < spikes.count; i++)
		printf("%3llu ms: cell %u\n", (unsigned long long)spikes.step[i], spikes.neuron[i]);
	if (err < 0)
		fprintf(stderr, "net-run: %s\n", snpu_last_error());
	snpu_net_run_free(run);
	snpu_net_free(net);
	return err < 0;
}
