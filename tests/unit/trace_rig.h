/* SPDX-License-Identifier: MIT */
/* One LIF neuron as eleven platforms recorded it (tests/data/nir/lif): with which options the library is each of them. */
#ifndef SNPU_TESTS_TRACE_RIG_H
#define SNPU_TESTS_TRACE_RIG_H

#include "nir_rig.h"

#define TRACE_STEPS	1000

struct trace {
	const char *platform;
	struct snpu_session_opts opts;
	const char *nir;
	double v_scale;				/* what their membrane is multiplied by, to be in the file's units */
	double tolerance;			/* of the membrane, relative to the threshold of 0.1; 0: not compared */
	unsigned v_steps;			/* steps whose membranes are compared */
};

/* A dialect's own time step is not that of the recordings, 0.1 ms, so it is given; snnTorch's and Lava's is. */
TH_VAR const struct trace traces[] = {
	{ "norse", { .dialect = SNPU_DIALECT_NORSE, .dt = 1e-4 }, "lif_norse", 1, 1e-6, TRACE_STEPS },
	{ "snntorch", { .dialect = SNPU_DIALECT_SNNTORCH }, "lif_norse", 0.04, 1e-6, TRACE_STEPS },
	{ "spinnaker2", { .dt = 1e-4 }, "lif_norse", 0.04, 5e-4, TRACE_STEPS },
	{ "lava_cpu_float", { .dialect = SNPU_DIALECT_LAVA }, "lif_norse", 1, 1e-6, TRACE_STEPS },
	{ "nengo", { .dt = 1e-4, .integrator = SNPU_INTEGRATOR_EXP }, "lif_norse", 0.1, 1e-6, TRACE_STEPS },
	/* It resets within the step, at the time of the spike, so membranes are the same only up to the first. */
	{ "exact", { .dt = 1e-4, .integrator = SNPU_INTEGRATOR_EXP }, "lif_norse", 1, 1e-6, 460 },
	{ "sinabs", { .dialect = SNPU_DIALECT_SINABS, .dt = 1e-4 }, "lif_norse", 1, 1e-6, TRACE_STEPS },
	{ "rockpool", { .dialect = SNPU_DIALECT_ROCKPOOL }, "lif_rockpool", 1, 1e-6, TRACE_STEPS },
	{ "spyx", { .dialect = SNPU_DIALECT_SPYX, .dt = 1e-4 }, "lif_norse", 1, 1e-6, TRACE_STEPS },
	/* Integers: the float neuron fires in the same steps. */
	{ "lava_cpu_fixed", { .dialect = SNPU_DIALECT_LAVA }, "lif_norse", 1, 0, 0 },
	{ "lava_loihi_fixed", { .dialect = SNPU_DIALECT_LAVA }, "lif_norse", 1, 0, 0 },
};

/* Input, membrane, spike in each line. */
TH_VAR bool read_trace(const struct trace *t, float *x, float *v, float *z)
{
	char path[128];
	double a, b, c;
	FILE *f;
	int n = 0;

	snprintf(path, sizeof(path), DATA "lif/lif_%s.csv", t->platform);
	f = fopen(path, "r");
	while (f && n < TRACE_STEPS && fscanf(f, "%lf,%lf,%lf", &a, &b, &c) == 3) {
		x[n] = (float)a;
		v[n] = (float)(b * t->v_scale);
		z[n++] = (float)c;
	}
	if (f)
		fclose(f);
	return n == TRACE_STEPS;
}

#endif
