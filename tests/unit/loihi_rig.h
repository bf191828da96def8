/* SPDX-License-Identifier: MIT */
/* Networks of Loihi's neurons, built by calls: the one neuron that ran on the chip, and the recurrent network of tests/data/nir/loihi24. */
#ifndef SNPU_TESTS_LOIHI_RIG_H
#define SNPU_TESTS_LOIHI_RIG_H

#include "model_rig.h"

#define LOIHI_DT	1e-3
#define TRACE		DATA "loihi24/trace.npz"

/* n neurons whose current and membrane lose i_decay and v_decay of 4096 in a step, to which inputs are added as they are. */
TH_VAR void add_cuba(struct snpu_model *m, const char *name, uint64_t n, double i_decay, double v_decay, const float *threshold, const float *leak)
{
	unsigned node = rig_node(m, name, "CubaLIF");
	float zero[64] = { 0 };

	rig_vector(m, node, "tau_syn", n, (float)(LOIHI_DT * 4096 / i_decay));
	rig_vector(m, node, "w_in", n, (float)(4096 / i_decay));
	rig_vector(m, node, "tau_mem", n, (float)(LOIHI_DT * 4096 / v_decay));
	rig_vector(m, node, "r", n, (float)(4096 / v_decay));
	rig_vector(m, node, "v_reset", n, 0);
	MUST(snpu_model_set_param(m, node, "v_leak", n > 1 ? 1 : 0, &n, leak ? leak : zero));
	MUST(snpu_model_set_param(m, node, "v_threshold", n > 1 ? 1 : 0, &n, threshold));
}

TH_VAR void add_matrix(struct snpu_model *m, const char *name, uint64_t rows, uint64_t columns, const float *weight)
{
	MUST(snpu_model_set_param(m, rig_node(m, name, "Linear"), "weight", 2, (uint64_t[]){ rows, columns }, weight));
}

/* The neuron that ran on the chip, with a decay of 163, a weight of 10 and a threshold of 25. */
TH_VAR struct snpu_model *neuron_model(void)
{
	const float ten = 10, threshold = 25, zero = 0, r_gain = 4096.0f / 163, tau = (float)(LOIHI_DT * 4096 / 163);
	struct snpu_model *m = rig_model();
	unsigned node;

	rig_end(m, "input", "Input", 1);
	add_matrix(m, "w", 1, 1, &ten);
	node = rig_node(m, "lif", "LIF");
	MUST(snpu_model_set_param(m, node, "tau", 0, NULL, &tau));
	MUST(snpu_model_set_param(m, node, "r", 0, NULL, &r_gain));
	MUST(snpu_model_set_param(m, node, "v_leak", 0, NULL, &zero));
	MUST(snpu_model_set_param(m, node, "v_threshold", 0, NULL, &threshold));
	MUST(snpu_model_set_param(m, node, "v_reset", 0, NULL, &zero));
	rig_end(m, "output", "Output", 1);
	rig_edges(m, "input>w w>lif lif>output");
	MUST(snpu_model_finish(m));
	return m;
}

#define TRACE_IN	40u
#define TRACE_LENGTH	240u			/* steps */

TH_VAR float *trace_array(const char *name, uint64_t count)
{
	struct snpu_array a;
	float *f = NULL;

	if (rig_npz(TRACE, name, &a) && a.count == count)
		f = rig_f32(&a);
	if (!f)
		TH_FAILMSG("%s has no %s of %llu elements", TRACE, name, (unsigned long long)count);
	snpu_array_free(&a);
	return f;
}

TH_VAR struct snpu_model *trace_model(void)
{
	struct snpu_model *m = rig_model();
	float *w1 = trace_array("w1", 16 * 40), *back = trace_array("wr", 16 * 16), *w2 = trace_array("w2", 4 * 16);
	float *th1 = trace_array("th1", 16), *th2 = trace_array("th2", 4), *leak = trace_array("b1", 16);

	for (unsigned i = 0; i < 16; i++)
		leak[i] *= 0.5f;		/* of which a step adds a 32nd, in units of a 64th */
	rig_end(m, "input", "Input", 40);
	add_matrix(m, "w1", 16, 40, w1);
	add_cuba(m, "hidden", 16, 1024, 128, th1, leak);
	add_matrix(m, "back", 16, 16, back);
	add_matrix(m, "w2", 4, 16, w2);
	add_cuba(m, "out", 4, 1024, 128, th2, NULL);
	rig_end(m, "output", "Output", 4);
	rig_edges(m, "input>w1 w1>hidden hidden>back back>hidden hidden>w2 w2>out out>output");
	MUST(snpu_model_finish(m));
	free(w1);
	free(back);
	free(w2);
	free(th1);
	free(th2);
	free(leak);
	return m;
}

#endif
