/* SPDX-License-Identifier: MIT */
/*
 * The smallest network: one leaky integrate-and-fire neuron, built by calls, that gets a constant input and fires every few
 * steps. Runs on a card if there is one, else on the CPU.
 *
 *	cc hello-spike.c $(pkg-config --cflags --libs libsnpu) -o hello-spike && ./hello-spike [DEVICE]
 */
#include <snpu/snpu.h>
#include <snpu/snpu_model.h>
#include <stdio.h>

#define STEPS	60

static int build(struct snpu_model **model)
{
	const float tau = 0.01f, r = 1, v_leak = 0, v_threshold = 1, v_reset = 0;	/* tau in seconds */
	const int64_t one = 1;
	struct snpu_model *m;

	if (snpu_model_create(&m))
		return -1;
	int in = snpu_model_add_node(m, "input", "Input");
	int lif = snpu_model_add_node(m, "lif", "LIF");
	int out = snpu_model_add_node(m, "output", "Output");

	*model = m;
	return in < 0 || lif < 0 || out < 0 || snpu_model_set_ints(m, (unsigned)in, "shape", 1, &one) ||
	       snpu_model_set_ints(m, (unsigned)out, "shape", 1, &one) || snpu_model_set_param(m, (unsigned)lif, "tau", 0, NULL, &tau) ||
	       snpu_model_set_param(m, (unsigned)lif, "r", 0, NULL, &r) || snpu_model_set_param(m, (unsigned)lif, "v_leak", 0, NULL, &v_leak) ||
	       snpu_model_set_param(m, (unsigned)lif, "v_threshold", 0, NULL, &v_threshold) ||
	       snpu_model_set_param(m, (unsigned)lif, "v_reset", 0, NULL, &v_reset) || snpu_model_add_edge(m, (unsigned)in, (unsigned)lif) ||
	       snpu_model_add_edge(m, (unsigned)lif, (unsigned)out) || snpu_model_finish(m);
}

static int run(struct snpu_device *device, const struct snpu_model *model)
{
	float current[STEPS];				/* [step][1] */
	struct snpu_array array = { .dtype = SNPU_F32, .rank = 2, .shape = { STEPS, 1 }, .count = STEPS, .data = current };
	struct snpu_input input = { .array = &array };
	struct snpu_session_opts opts = { .sz = sizeof(opts), .devices = &device, .n_devices = 1, .dt = 0.001 };
	struct snpu_session *session = NULL;
	struct snpu_result *result = NULL;
	struct snpu_record record;
	int err;

	for (int t = 0; t < STEPS; t++)
		current[t] = 1.5f;
	err = snpu_session_create(model, &opts, &session);
	if (!err)
		err = snpu_session_run(session, &input, 1, &result);
	if (!err)
		err = snpu_result_record(result, 0, &record);
	for (int t = 0; !err && t < STEPS; t++)
		putchar(((const float *)record.array->data)[t] > 0 ? '|' : '.');
	puts("");
	snpu_result_free(result);
	snpu_session_free(session);
	return err;
}

int main(int argc, char **argv)
{
	struct snpu_device *device = NULL;
	struct snpu_model *model = NULL;
	int err = snpu_device_open(argc > 1 ? argv[1] : "auto", NULL, &device) || build(&model) || run(device, model);

	if (err)
		fprintf(stderr, "hello-spike: %s\n", snpu_last_error());
	snpu_model_free(model);
	snpu_device_close(device);
	return err ? 1 : 0;
}
