/* SPDX-License-Identifier: MIT */
/*
 * A network that sees events as they arrive on stdin, in steps of 1 ms. usage: event-stream MODEL.nir [nmnist] < STREAM
 */
#include <snpu/snpu_events.h>
#include <snpu/snpu_model.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DT_US	1000
static struct snpu_session *session;
static struct snpu_array step;			/* float32 [1][cells] */
static uint64_t now;				/* steps that have been run */

static int run_step(void)
{
	struct snpu_input in = { .array = &step };
	struct snpu_record out;
	struct snpu_result *r;
	int err = snpu_session_continue(session, &in, 1, &r);

	if (err || snpu_result_record(r, 0, &out))
		return -1;
	for (uint64_t i = 0; i < out.array->count; i++)
		if (((float *)out.array->data)[i] != 0)
			printf("%llu ms: output %llu\n", (unsigned long long)now, (unsigned long long)i);
	snpu_result_free(r);
	memset(step.data, 0, step.count * sizeof(float));
	now++;
	return 0;
}

/* Events in order: one of a later step completes those before it. */
static int take(const struct snpu_events *ev, const struct snpu_bin_opts *o, int64_t *begin)
{
	struct snpu_bins b;
	int err = ev->count ? snpu_events_bins(ev, o, &b) : 0;

	if (ev->count && !err && !step.data)
		err = snpu_array_create(SNPU_F32, 2, (uint64_t[]){ 1, (uint64_t)b.channels * b.height * b.width }, &step);
	for (uint64_t i = 0; i < ev->count && !err; i++) {
		const struct snpu_event *e = &ev->event[i];
		int64_t cell;
		float value;

		*begin = *begin < 0 ? e->t : *begin;
		while (!err && e->t >= *begin + (int64_t)(now + 1) * DT_US)
			err = run_step();
		cell = snpu_events_place(e, o, &b, &value);
		if (cell >= 0 && e->t >= *begin + (int64_t)now * DT_US)
			((float *)step.data)[cell] += value;
	}
	return err;
}

int main(int argc, char **argv)
{
	struct snpu_events_opts eo = { .sz = sizeof(eo), .format = argc > 2 ? SNPU_EVENTS_NMNIST : SNPU_EVENTS_AUTO };
	struct snpu_session_opts so = { .sz = sizeof(so), .dt = DT_US * 1e-6 };
	struct snpu_bin_opts bo = { .sz = sizeof(bo), .dt = DT_US * 1e-6 };
	struct snpu_event_reader *r = NULL;
	struct snpu_model *m = NULL;
	int64_t begin = -1;
	char buf[4096];
	ssize_t n;
	int err = argc < 2 || snpu_model_load_nir(argv[1], &m) || snpu_session_create(m, &so, &session) || snpu_event_reader_create(&eo, &r);

	while (!err && (n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		err = snpu_event_reader_push(r, buf, (size_t)n) || take(snpu_event_reader_events(r), &bo, &begin);
		snpu_event_reader_forget(r, UINT64_MAX);
	}
	if (err || snpu_event_reader_finish(r) || (step.data && run_step()))
		err = fprintf(stderr, "%s\n", argc < 2 ? "which model?" : snpu_last_error());
	snpu_event_reader_free(r);
	snpu_session_free(session);
	snpu_model_free(m);
	return err != 0;
}
