/* SPDX-License-Identifier: MIT */
/*
 * What the tests of models share: running a model on a device, comparing arrays. Functions that
 * cannot go on say why and give NULL or false; the caller asserts.
 */
#ifndef SNPU_TESTS_NIR_RIG_H
#define SNPU_TESTS_NIR_RIG_H

#include <math.h>

#include "file_rig.h"
#include "snpu/snpu_model.h"

#define DATA	"tests/data/nir/"

/* Opens "cpu", "cpu-scalar", "cpu-avx2", "cpu-avx512" or "sim"; NULL with *why when this machine cannot. */
TH_VAR struct snpu_device *rig_device(const char *name, const char **why)
{
	static const char *const isas[] = { "cpu", "cpu-scalar", "cpu-avx2", "cpu-avx512" };
	struct snpu_device_opts o = { .sz = sizeof(o) };
	struct snpu_device *dev = NULL;

	for (uint32_t i = 0; i < 4; i++)
		if (!strcmp(name, isas[i]))
			o.cpu_isa = i;
	*why = snpu_device_open(strncmp(name, "cpu", 3) ? name : "cpu", &o, &dev) ? snpu_last_error() : "";
	return dev;
}

/* Loads, runs, gives the result back. dev NULL: the CPU. */
TH_VAR struct snpu_result *rig_run(const char *path, struct snpu_device *dev, const struct snpu_session_opts *opts, const struct snpu_input *in,
				   unsigned n_in)
{
	struct snpu_session_opts o = *opts;
	struct snpu_model *m = NULL;
	struct snpu_session *s = NULL;
	struct snpu_result *r = NULL;

	o.sz = sizeof(o);
	if (dev) {
		o.devices = &dev;
		o.n_devices = 1;
	}
	if (snpu_model_load_nir(path, &m) || snpu_session_create(m, &o, &s) || snpu_session_run(s, in, n_in, &r))
		printf("# %s: %s\n", path, snpu_last_error());
	snpu_session_free(s);
	snpu_model_free(m);
	return r;
}

/* The array of a record, NULL when there is none. */
TH_VAR const struct snpu_array *rig_record(const struct snpu_result *r, const char *name)
{
	struct snpu_record rec;

	for (unsigned i = 0; r && i < snpu_result_record_count(r); i++)
		if (!snpu_result_record(r, i, &rec) && !strcmp(rec.name, name))
			return rec.array;
	return NULL;
}

/* Elements that differ by more than `tolerance` times the largest expected magnitude (at least 1). ~0: not comparable. */
TH_VAR uint64_t rig_differences(const struct snpu_array *got, const struct snpu_array *want, double tolerance)
{
	float *a = rig_f32(got), *b = rig_f32(want);
	double top = 1.0, worst = 0.0;
	uint64_t n = 0;

	if (!a || !b || got->count != want->count) {
		printf("# %llu elements, %llu expected\n", (unsigned long long)got->count, (unsigned long long)want->count);
		free(a);
		free(b);
		return ~0ull;
	}
	for (uint64_t i = 0; i < got->count; i++)
		top = fabs((double)b[i]) > top ? fabs((double)b[i]) : top;
	for (uint64_t i = 0; i < got->count; i++) {
		double d = fabs((double)a[i] - (double)b[i]);

		worst = d > worst ? d : worst;
		n += !(d <= tolerance * top);
	}
	if (n)
		printf("# %llu of %llu elements differ, by at most %g\n", (unsigned long long)n, (unsigned long long)got->count, worst);
	free(a);
	free(b);
	return n;
}

/* Same records, same bits? */
TH_VAR bool rig_same(const struct snpu_result *a, const struct snpu_result *b)
{
	struct snpu_record x, y;

	if (!a || !b || snpu_result_record_count(a) != snpu_result_record_count(b))
		return false;
	for (unsigned i = 0; i < snpu_result_record_count(a); i++) {
		if (snpu_result_record(a, i, &x) || snpu_result_record(b, i, &y) || strcmp(x.name, y.name) || x.array->count != y.array->count)
			return false;
		if (memcmp(x.array->data, y.array->data, x.array->count * 4)) {
			printf("# record '%s' differs\n", x.name);
			return false;
		}
	}
	return true;
}

/* A counter of a node, by name of both. */
TH_VAR uint64_t rig_counter(const struct snpu_result *r, const char *node, const char *counter)
{
	struct snpu_profile_row row;

	for (unsigned i = 0; i < snpu_result_profile_count(r); i++)
		for (unsigned c = 0; !snpu_result_profile(r, i, &row) && !strcmp(row.node, node) && c < row.n_counters; c++)
			if (!strcmp(snpu_counter_name(c), counter))
				return row.counter[c];
	return ~0ull;
}

/* All counters that the law fixes, of all nodes. */
TH_VAR bool rig_same_counters(const struct snpu_result *a, const struct snpu_result *b)
{
	struct snpu_profile_row x, y;

	if (snpu_result_profile_count(a) != snpu_result_profile_count(b))
		return false;
	for (unsigned i = 0; i < snpu_result_profile_count(a); i++) {
		if (snpu_result_profile(a, i, &x) || snpu_result_profile(b, i, &y) || strcmp(x.node, y.node))
			return false;
		for (unsigned c = 0; c < x.n_counters; c++)
			if (snpu_counter_exact(c) && x.counter[c] != y.counter[c]) {
				printf("# node '%s', %s: %llu and %llu\n", x.node, snpu_counter_name(c), (unsigned long long)x.counter[c],
				       (unsigned long long)y.counter[c]);
				return false;
			}
	}
	return true;
}

/* The first note with this rule among a model's (s NULL) or a session's, NULL. */
TH_VAR const struct snpu_note *rig_note(const struct snpu_model *m, const struct snpu_session *s, const char *rule)
{
	const struct snpu_note *n;

	for (unsigned i = 0; (n = s ? snpu_session_note(s, i) : snpu_model_note(m, i)); i++)
		if (!strcmp(n->rule, rule))
			return n;
	return NULL;
}

#endif
