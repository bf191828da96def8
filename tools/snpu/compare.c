// SPDX-License-Identifier: MIT
/*
 * `snpu compare`: do two files hold the same arrays? Bit for bit unless a tolerance is given. For each array the number of
 * elements that differ, the largest difference, and where the first one is.
 */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <snpu/snpu.h>

#include "bundle.h"
#include "text.h"

struct options {
	const char *path[2];
	double tolerance;			/* largest difference that still counts as equal; < 0: bit for bit */
	bool json, quiet;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;

	switch (key) {
	case 't':
		o->tolerance = strtod(arg, &end);
		if (*end || end == arg || !(o->tolerance >= 0))
			argp_error(state, "--tolerance takes a number of at least 0, not '%s'", arg);
		return 0;
	case 'j':
		o->json = true;
		snpu_cli_json(true);
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num >= 2)
			argp_error(state, "two files are compared, and '%s' is a third", arg);
		o->path[state->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < 2)
			argp_error(state, "two files are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option argp_options[] = {
	{ "tolerance", 't', "X", 0, "numbers may differ by X; without it every bit must be equal", 0 },
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ "quiet", 'q', NULL, 0, "print nothing, only set the exit status", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = argp_options, .parser = parse, .args_doc = "A.npz B.npz",
	.doc = "Compares the arrays of two .npz or .npy files.\vExit status: 0 equal, 4 different, 1 a file cannot be read, 2 wrong usage.",
};

/* Exact for all integers below 2^53, and every 64-bit difference beyond is still seen bit for bit. */
static double element(const struct snpu_array *a, uint64_t i)
{
	switch (a->dtype) {
	case SNPU_BOOL: case SNPU_U8: return ((const uint8_t *)a->data)[i];
	case SNPU_I8: return ((const int8_t *)a->data)[i];
	case SNPU_U16: return ((const uint16_t *)a->data)[i];
	case SNPU_I16: return ((const int16_t *)a->data)[i];
	case SNPU_U32: return ((const uint32_t *)a->data)[i];
	case SNPU_I32: return ((const int32_t *)a->data)[i];
	case SNPU_U64: return (double)((const uint64_t *)a->data)[i];
	case SNPU_I64: return (double)((const int64_t *)a->data)[i];
	case SNPU_F32: return (double)((const float *)a->data)[i];
	case SNPU_F64: return ((const double *)a->data)[i];
	default: return NAN;
	}
}

static bool equal(const struct snpu_array *a, const struct snpu_array *b, uint64_t i, double tolerance)
{
	size_t size = snpu_dtype_size(a->dtype);

	if (tolerance < 0)
		return a->dtype == b->dtype && memcmp((const char *)a->data + i * size, (const char *)b->data + i * size, size) == 0;
	double x = element(a, i), y = element(b, i);

	return x == y || fabs(x - y) <= tolerance || (isnan(x) && isnan(y));
}

/* "[3][0][17]" of element i */
static json_t *position(const struct snpu_array *a, uint64_t i)
{
	json_t *at = json_array();

	for (unsigned int axis = a->rank; axis-- > 0; i /= a->shape[axis])
		json_array_insert_new(at, 0, json_integer((json_int_t)(i % a->shape[axis])));
	return at;
}

static bool same_shape(const struct snpu_array *a, const struct snpu_array *b)
{
	return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof(a->shape[0])) == 0;
}

static json_t *compare_arrays(const char *name, const struct snpu_array *a, const struct snpu_array *b, double tolerance)
{
	json_t *row = json_pack("{s:o, s:s, s:s, s:s, s:I, s:I, s:f, s:n}", "name", snpu_cli_string(name), "shape", snpu_array_shape(a), "dtype", snpu_dtype_name(a->dtype),
				"verdict", "equal", "elements", (json_int_t)a->count, "different", (json_int_t)0, "largest", 0.0, "first");
	uint64_t different = 0;
	double largest = 0;

	if (!same_shape(a, b) || (tolerance < 0 && a->dtype != b->dtype)) {
		json_object_set_new(row, "verdict", json_string(same_shape(a, b) ? "other type" : "other shape"));
		json_object_set_new(row, "other", json_sprintf("%s %s", snpu_dtype_name(b->dtype), snpu_array_shape(b)));
		json_object_set_new(row, "different", json_integer((json_int_t)a->count));
		return row;
	}
	for (uint64_t i = 0; i < a->count; i++) {
		if (equal(a, b, i, tolerance))
			continue;
		if (!different++)
			json_object_set_new(row, "first", position(a, i));
		double d = fabs(element(a, i) - element(b, i));

		if (d > largest || (isnan(d) && largest < HUGE_VAL))
			largest = isnan(d) ? HUGE_VAL : d;
	}
	if (different) {
		json_object_set_new(row, "verdict", json_string("DIFFERENT"));
		json_object_set_new(row, "different", json_integer((json_int_t)different));
		json_object_set_new(row, "largest", json_real(isinf(largest) ? 1.7976931348623157e308 : largest));
	}
	return row;
}

static enum snpu_exit compare_all(struct snpu_bundle b[2], double tolerance, json_t *rows)
{
	struct snpu_array x, y;
	enum snpu_exit st = SNPU_EXIT_OK;
	bool single = !b[0].npz && !b[1].npz;

	for (unsigned int i = 0; i < snpu_bundle_count(&b[0]) && !st; i++) {
		const char *name = snpu_bundle_name(&b[0], i);

		if (!single && !snpu_bundle_has(&b[1], name)) {
			json_array_append_new(rows, json_pack("{s:o, s:s}", "name", snpu_cli_string(name), "verdict", "only in the first"));
			continue;
		}
		st = snpu_bundle_read(&b[0], name, 0, &x);
		if (st)
			break;
		st = snpu_bundle_read(&b[1], name, 0, &y);
		if (!st) {
			json_array_append_new(rows, compare_arrays(name, &x, &y, tolerance));
			snpu_array_free(&y);
		}
		snpu_array_free(&x);
	}
	for (unsigned int i = 0; i < snpu_bundle_count(&b[1]) && !st && !single; i++)
		if (!snpu_bundle_has(&b[0], snpu_bundle_name(&b[1], i)))
			json_array_append_new(rows, json_pack("{s:o, s:s}", "name", snpu_cli_string(snpu_bundle_name(&b[1], i)), "verdict", "only in the second"));
	return st;
}

static const char *row_detail(const json_t *row, char *buf, size_t size)
{
	const json_t *first = snpu_fact(row, "first");
	size_t n;

	if (snpu_fact_text(row, "other")[0]) {
		snprintf(buf, size, "the second is %s", snpu_fact_text(row, "other"));
	} else if (json_is_array(first)) {
		n = (size_t)snprintf(buf, size, "%.0f differ, by up to %g, first at ", snpu_fact_number(row, "different"), snpu_fact_number(row, "largest"));
		for (size_t i = 0; i < json_array_size(first) && n < size; i++)
			n += (size_t)snprintf(buf + n, size - n, "[%lld]", (long long)json_integer_value(json_array_get(first, i)));
	} else {
		buf[0] = 0;
	}
	return buf;
}

/* A file of a single array has no names: its own stands for the array. */
static const char *row_name(const json_t *row, const struct options *o)
{
	const char *name = snpu_fact_text(row, "name"), *slash = strrchr(o->path[0], '/');

	return *name ? name : slash ? slash + 1 : o->path[0];
}

static void print_text(const json_t *facts, const struct options *o)
{
	FILE *f = snpu_screen_begin();
	struct snpu_table t = { .align = "<<>><<" };
	char detail[256];
	json_t *row;
	size_t i;

	SNPU_ROW(&t, "array", "type", "shape", "elements", "", "");
	json_array_foreach(snpu_fact(facts, "arrays"), i, row)
		SNPU_ROW(&t, row_name(row, o), snpu_fact_text(row, "dtype"), snpu_fact_text(row, "shape"),
			 snpu_fact(row, "elements") ? snpu_text_count(SNPU_TEXT, snpu_fact_number(row, "elements")) : "", snpu_fact_text(row, "verdict"), row_detail(row, detail, sizeof(detail)));
	fprintf(f, "%-*s%s  with  %s\n", SNPU_LABEL, "compare", o->path[0], o->path[1]);
	snpu_table_print(&t, f, "");
	fprintf(f, "%-*s%s%s\n", SNPU_LABEL, "result", json_is_true(snpu_fact(facts, "equal")) ? "equal" : "DIFFERENT",
		o->tolerance < 0 ? ", compared bit for bit" : ", compared with a tolerance");
	snpu_screen_end();
}

enum snpu_exit snpu_cmd_compare(int argc, char **argv)
{
	struct options o = { .tolerance = -1 };
	struct snpu_bundle b[2] = { 0 };
	json_t *rows = json_array(), *facts, *row;
	enum snpu_exit st;
	bool same = true;
	size_t i;

	snpu_cli_parse(&argp, argc, argv, &o);
	st = snpu_bundle_open(&b[0], o.path[0]);
	if (!st)
		st = snpu_bundle_open(&b[1], o.path[1]);
	if (!st)
		st = compare_all(b, o.tolerance, rows);
	snpu_bundle_close(&b[0]);
	snpu_bundle_close(&b[1]);
	if (st) {
		json_decref(rows);
		return st;
	}
	json_array_foreach(rows, i, row)
		same &= strcmp(snpu_fact_text(row, "verdict"), "equal") == 0;
	facts = snpu_cli_facts();
	json_object_set_new(facts, "files", json_pack("[o, o]", snpu_cli_string(o.path[0]), snpu_cli_string(o.path[1])));
	json_object_set_new(facts, "tolerance", o.tolerance < 0 ? json_null() : json_real(o.tolerance));
	json_object_set_new(facts, "equal", json_boolean(same));
	json_object_set_new(facts, "arrays", rows);
	if (!o.quiet && !o.json)
		print_text(facts, &o);
	if (o.json)
		snpu_cli_print_json(facts);
	else
		json_decref(facts);
	return same ? SNPU_EXIT_OK : SNPU_EXIT_DIFFERENT;
}
