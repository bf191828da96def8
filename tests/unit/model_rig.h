/* SPDX-License-Identifier: MIT */
/* Small models built by calls, for the tests of graph, lower and sched. A call that must work fails the test if it does not. */
#ifndef SNPU_TESTS_MODEL_RIG_H
#define SNPU_TESTS_MODEL_RIG_H

#include "nir_rig.h"

#define MUST(call_) do { if (call_) TH_FAILMSG("%s: %s", #call_, snpu_last_error()); } while (0)

TH_VAR struct snpu_model *rig_model(void)
{
	struct snpu_model *m = NULL;

	MUST(snpu_model_create(&m));
	return m;
}

TH_VAR unsigned rig_node(struct snpu_model *m, const char *name, const char *type)
{
	int n = snpu_model_add_node(m, name, type);

	if (n < 0)
		TH_FAILMSG("%s", snpu_last_error());
	return n < 0 ? 0 : (unsigned)n;
}

TH_VAR void rig_vector(struct snpu_model *m, unsigned node, const char *param, uint64_t n, float value)
{
	float v[256];

	for (uint64_t i = 0; i < n; i++)
		v[i] = value;
	MUST(snpu_model_set_param(m, node, param, n > 1 ? 1 : 0, &n, v));
}

/* An Input or Output of n elements. */
TH_VAR unsigned rig_end(struct snpu_model *m, const char *name, const char *type, int64_t n)
{
	unsigned node = rig_node(m, name, type);

	MUST(snpu_model_set_ints(m, node, "shape", 1, &n));
	return node;
}

/* A matrix with weight[o][c] = scale * (1 + o + 2 * c). */
TH_VAR unsigned rig_linear(struct snpu_model *m, const char *name, uint64_t rows, uint64_t columns, float scale)
{
	unsigned node = rig_node(m, name, "Linear");
	uint64_t shape[2] = { rows, columns };
	float *w = malloc(rows * columns * sizeof(*w));

	for (uint64_t i = 0; i < rows * columns; i++)
		w[i] = scale * (float)(1 + i / columns + 2 * (i % columns));
	MUST(snpu_model_set_param(m, node, "weight", 2, shape, w));
	free(w);
	return node;
}

/* Scalar parameters; the shape comes from the input. */
TH_VAR unsigned rig_lif(struct snpu_model *m, const char *name, float tau, float r)
{
	unsigned node = rig_node(m, name, "LIF");

	rig_vector(m, node, "tau", 1, tau);
	rig_vector(m, node, "r", 1, r);
	rig_vector(m, node, "v_leak", 1, 0);
	rig_vector(m, node, "v_threshold", 1, 1);
	rig_vector(m, node, "v_reset", 1, 0);
	return node;
}

/* Edges between nodes by name, "a>b b>c". */
TH_VAR void rig_edges(struct snpu_model *m, const char *edges)
{
	char copy[512], *save, *e;

	snprintf(copy, sizeof(copy), "%s", edges);
	for (e = strtok_r(copy, " ", &save); e; e = strtok_r(NULL, " ", &save)) {
		char *to = strchr(e, '>');

		*to++ = 0;
		MUST(snpu_model_add_edge(m, (unsigned)snpu_model_find(m, e), (unsigned)snpu_model_find(m, to)));
	}
}

/* A Delay of these seconds for all n elements. */
TH_VAR unsigned rig_delay(struct snpu_model *m, const char *name, uint64_t n, float seconds)
{
	unsigned node = rig_node(m, name, "Delay");

	rig_vector(m, node, "delay", n, seconds);
	return node;
}

/* A SumPool2d or AvgPool2d with a square window, without padding. */
TH_VAR unsigned rig_pool(struct snpu_model *m, const char *name, const char *type, int64_t window, int64_t stride)
{
	unsigned node = rig_node(m, name, type);
	int64_t zero = 0;

	MUST(snpu_model_set_ints(m, node, "kernel_size", 1, &window));
	MUST(snpu_model_set_ints(m, node, "stride", 1, &stride));
	MUST(snpu_model_set_ints(m, node, "padding", 1, &zero));
	return node;
}

/* The edges, and the model is finished. */
TH_VAR struct snpu_model *rig_done(struct snpu_model *m, const char *edges)
{
	rig_edges(m, edges);
	MUST(snpu_model_finish(m));
	return m;
}

/* input(2) -> LIF with this tau and r -> output. dt 0: the model does not tell. */
TH_VAR struct snpu_model *rig_one_lif(float tau, float r, double dt)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 2);
	rig_lif(m, "lif", tau, r);
	rig_end(m, "output", "Output", 2);
	if (dt)
		MUST(snpu_model_set_dt(m, dt));
	return rig_done(m, "input>lif lif>output");
}

/* input(n) -> lin(n x n) -> lif -> output, tau 10 ms, r 10. Finished. */
TH_VAR struct snpu_model *rig_chain(int64_t n)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", n);
	rig_linear(m, "lin", (uint64_t)n, (uint64_t)n, 0.1f);
	rig_lif(m, "lif", 0.01f, 10);
	rig_end(m, "output", "Output", n);
	return rig_done(m, "input>lin lin>lif lif>output");
}

/* float32 [samples][steps][n], a pattern of zeros and ones. */
TH_VAR struct snpu_array rig_spikes(uint64_t samples, uint64_t steps, uint64_t n)
{
	struct snpu_array a = { 0 };
	uint64_t shape[3] = { samples, steps, n };

	MUST(snpu_array_create(SNPU_F32, 3, shape, &a));
	for (uint64_t i = 0; i < a.count; i++)
		((float *)a.data)[i] = (i * 2654435761u >> 7 & 3) == 0;
	return a;
}

TH_VAR struct snpu_session *rig_session(const struct snpu_model *m, struct snpu_session_opts o)
{
	struct snpu_session *s = NULL;

	o.sz = sizeof(o);
	MUST(snpu_session_create(m, &o, &s));
	return s;
}

/* The error of creating a session with these options. */
TH_VAR int rig_refused(const struct snpu_model *m, struct snpu_session_opts o)
{
	struct snpu_session *s = NULL;
	int err;

	o.sz = sizeof(o);
	err = snpu_session_create(m, &o, &s);
	snpu_session_free(s);
	return err;
}

#endif
