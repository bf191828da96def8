/* SPDX-License-Identifier: MIT */
/*
 * Reads networks of populations from HDF5 files (docs/populations.md). A client of snpu_net.h like any other: what is here is the file's layout;
 * what a network must be is checked there. Files may be damaged or hostile: what is read has a limit, and a name that means nothing is an error.
 */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/nir/h5.h"
#include "snpu/snpu_net.h"

#define FORMAT	"snpu-net"
#define VERSION	1

struct reader {
	struct h5x x;
	struct snpu_net *net;
};

/* --- pieces -------------------------------------------------------------------------------------------------------- */

/* 1: there is a dataset of that name, and it is read; 0: there is none. */
static int read_array(struct reader *r, const struct h5x_dir *dir, const char *name, struct h5x_array *a)
{
	uint64_t at;
	int found = h5x_dir_find(dir, name, &at), err;

	*a = (struct h5x_array){ 0 };
	if (found != 1)
		return found;
	err = h5x_read(&r->x, at, name, a);
	return err ? err : 1;
}

/* A single number; without it *out stays. */
static int read_number(struct reader *r, const struct h5x_dir *dir, const char *name, double *out)
{
	struct h5x_array a;
	int found = read_array(r, dir, name, &a), err = found < 0 ? found : 0;

	if (found == 1 && a.count != 1)
		err = snpu_fail(-EBADMSG, "'%s' must be one number, and has %llu", name, (unsigned long long)a.count);
	else if (found == 1)
		*out = a.floats ? a.f[0] : (double)a.i[0];
	h5x_array_free(&a);
	return err;
}

/* A whole number from 0 to `most`, which fits a double; without it *out stays. */
static int read_whole(struct reader *r, const struct h5x_dir *dir, const char *name, double most, uint64_t *out)
{
	double v = (double)*out;
	int err = read_number(r, dir, name, &v);

	if (!err && !(v >= 0 && v <= most && v == floor(v)))
		err = snpu_fail(-EBADMSG, "'%s' is %g; it must be a whole number from 0 to %.0f", name, v, most);
	if (!err)
		*out = (uint64_t)v;
	return err;
}

static int read_text(struct reader *r, const struct h5x_dir *dir, const char *name, char out[H5X_NAME])
{
	uint64_t at;
	int found = h5x_dir_find(dir, name, &at);

	if (!found)
		return snpu_fail(-EBADMSG, "there is no '%s'; check the program that wrote the file", name);
	return found < 0 ? found : h5x_read_string(&r->x, at, name, out);
}

/* A group inside of another: 1, 0 when there is none. h5x_dir_free() in any case. */
static int read_dir(struct reader *r, const struct h5x_dir *dir, const char *name, struct h5x_dir *out)
{
	uint64_t at;
	int found = h5x_dir_find(dir, name, &at), err;

	*out = (struct h5x_dir){ 0 };
	if (found != 1)
		return found;
	err = h5x_dir_read(&r->x, at, name, out);
	return err ? err : 1;
}

/* Nothing but these names, which end with NULL. */
static int only(const struct h5x_dir *dir, const char *const *names)
{
	for (unsigned i = 0; i < dir->n; i++) {
		unsigned k = 0;

		while (names[k] && strcmp(names[k], dir->link[i].name))
			k++;
		if (!names[k])
			return snpu_fail(-EBADMSG, "'%s' means nothing here; remove it, or check its spelling", dir->link[i].name);
	}
	return 0;
}

/* Numbers as double, which a.f holds afterwards. */
static int as_doubles(struct h5x_array *a)
{
	if (a->floats)
		return 0;
	a->f = malloc((a->count + 1) * sizeof(*a->f));
	if (!a->f)
		return snpu_fail(-ENOMEM, "no memory for %llu numbers", (unsigned long long)a->count);
	for (uint64_t i = 0; i < a->count; i++)
		a->f[i] = (double)a->i[i];
	a->floats = true;
	return 0;
}

/* Whole numbers from 0 to UINT32_MAX. free() *out. */
static int as_numbers(const struct h5x_array *a, const char *name, uint32_t **out)
{
	uint32_t *to;

	if (a->floats && a->count)
		return snpu_fail(-EBADMSG, "'%s' holds floats; it must be whole numbers", name);
	to = malloc((a->count + 1) * sizeof(*to));
	if (!to)
		return snpu_fail(-ENOMEM, "no memory for the %llu numbers of '%s'", (unsigned long long)a->count, name);
	for (uint64_t i = 0; i < a->count; i++) {
		if (a->i[i] < 0 || a->i[i] > UINT32_MAX) {
			free(to);
			return snpu_fail(-EBADMSG, "'%s' number %llu is %lld, which is no neuron", name, (unsigned long long)i, (long long)a->i[i]);
		}
		to[i] = (uint32_t)a->i[i];
	}
	*out = to;
	return 0;
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */

static int read_param(struct reader *r, const struct h5x_dir *params, unsigned pop, const char *name)
{
	struct h5x_array a;
	int found = read_array(r, params, name, &a), err = found < 0 ? found : as_doubles(&a);

	if (!err)
		err = snpu_net_set(r->net, pop, name, a.count, a.f);
	h5x_array_free(&a);
	return err;
}

static int read_params(struct reader *r, const struct h5x_dir *node, unsigned pop)
{
	struct h5x_dir params;
	int found = read_dir(r, node, "dynamics_params", &params), err = found < 0 ? found : 0;

	for (unsigned i = 0; i < params.n && !err; i++)
		err = read_param(r, &params, pop, params.link[i].name);
	h5x_dir_free(&params);
	return err;
}

static int read_spikes(struct reader *r, const struct h5x_dir *node, unsigned pop)
{
	static const char *const names[] = { "timestamps", "node_ids", NULL };
	struct h5x_array times = { 0 }, ids = { 0 };
	struct h5x_dir spikes;
	uint32_t *neuron = NULL;
	int found = read_dir(r, node, "spikes", &spikes), err = found < 0 ? found : only(&spikes, names);

	if (!err && found)
		found = read_array(r, &spikes, "timestamps", &times), err = found < 0 ? found : 0;
	if (!err && found)
		found = read_array(r, &spikes, "node_ids", &ids), err = found < 0 ? found : 0;
	if (!err && !found)
		err = snpu_fail(-EBADMSG, "it needs spikes/timestamps and spikes/node_ids; check the program that wrote the file");
	if (!err && times.count != ids.count)
		err = snpu_fail(-EBADMSG, "there are %llu timestamps and %llu node_ids; they belong together", (unsigned long long)times.count, (unsigned long long)ids.count);
	if (!err)
		err = as_doubles(&times);
	if (!err)
		err = as_numbers(&ids, "node_ids", &neuron);
	if (!err)
		err = snpu_net_set_spikes(r->net, pop, times.count, times.f, neuron);
	free(neuron);
	h5x_array_free(&times);
	h5x_array_free(&ids);
	h5x_dir_free(&spikes);
	return err;
}

static int read_node(struct reader *r, const char *name, const struct h5x_dir *node)
{
	static const char *const lif[] = { "size", "model", "dynamics_params", NULL }, *const spikes[] = { "size", "model", "spikes", NULL };
	char model[H5X_NAME];
	uint64_t n = 0;
	bool told;
	int pop, err = read_text(r, node, "model", model);

	if (!err)
		err = read_whole(r, node, "size", 4294967295.0, &n);
	if (err)
		return err;
	told = !strcmp(model, "spikes");
	if (!told && strcmp(model, "lif"))
		return snpu_fail(-EBADMSG, "its model '%.40s' does not exist; there are lif and spikes", model);
	err = only(node, told ? spikes : lif);
	if (err)
		return err;
	pop = snpu_net_add_population(r->net, name, told ? SNPU_NET_SPIKES : SNPU_NET_LIF, (uint32_t)n);
	if (pop < 0)
		return pop;
	return told ? read_spikes(r, node, (unsigned)pop) : read_params(r, node, (unsigned)pop);
}

/* --- edges --------------------------------------------------------------------------------------------------------- */

/* What both kinds of edges have: a number for all synapses, or (only with rows) one for each. */
struct edge {
	char source[H5X_NAME], target[H5X_NAME], receptor[H5X_NAME];
	int from, to;
	struct h5x_array weight, delay;
};

static int read_ends(struct reader *r, const struct h5x_dir *dir, struct edge *e)
{
	int err = read_text(r, dir, "source", e->source);

	if (!err)
		err = read_text(r, dir, "target", e->target);
	if (!err)
		err = read_text(r, dir, "receptor", e->receptor);
	if (!err && strcmp(e->receptor, "e") && strcmp(e->receptor, "i"))
		err = snpu_fail(-EBADMSG, "its receptor '%.40s' does not exist; there are e and i", e->receptor);
	if (err)
		return err;
	e->from = snpu_net_find(r->net, e->source);
	e->to = e->from < 0 ? e->from : snpu_net_find(r->net, e->target);
	if (e->to < 0)
		return -EBADMSG;
	err = read_array(r, dir, "syn_weight", &e->weight);
	if (err == 1)
		err = read_array(r, dir, "delay", &e->delay);
	else if (!err)
		err = snpu_fail(-EBADMSG, "there is no 'syn_weight'; give one number, or one for each synapse");
	if (err >= 0)
		err = as_doubles(&e->weight);
	return err ? err : as_doubles(&e->delay);
}

static int read_random(struct reader *r, const char *name, const struct h5x_dir *random, const struct edge *e)
{
	static const char *const names[] = { "probability", "seed", "source_first", "source_count", "target_first", "target_count", "delay_most", NULL };
	struct snpu_net_random c = { .sz = sizeof(c), .name = name, .source = (unsigned)e->from, .target = (unsigned)e->to,
				     .receptor = *e->receptor == 'e' ? SNPU_NET_E : SNPU_NET_I };
	struct { const char *name; uint32_t *to; } parts[] = {
		{ "source_first", &c.source_first }, { "source_count", &c.source_count }, { "target_first", &c.target_first }, { "target_count", &c.target_count },
	};
	int err = only(random, names);

	if (!err && (e->weight.count != 1 || e->delay.count > 1))
		err = snpu_fail(-EBADMSG, "synapses drawn by chance have one syn_weight and one delay");
	if (err)
		return err;
	c.weight = e->weight.f[0];
	c.delay = e->delay.count ? e->delay.f[0] : 0;
	err = read_number(r, random, "probability", &c.probability);
	if (!err)
		err = read_number(r, random, "delay_most", &c.delay_most);
	if (!err)
		err = read_whole(r, random, "seed", 0x1p53, &c.seed);
	for (unsigned i = 0; i < 4 && !err; i++) {
		uint64_t v = 0;

		err = read_whole(r, random, parts[i].name, SNPU_NET_NEURONS, &v);
		*parts[i].to = (uint32_t)v;
	}
	if (!err)
		err = snpu_net_add_random(r->net, &c);
	return err < 0 ? err : 0;
}

/* Floats of which there is one for each synapse; NULL when there is one for all. free() *out. */
static int each(const struct h5x_array *a, const char *name, uint64_t synapses, float **out)
{
	*out = NULL;
	if (a->count <= 1 && a->rank == 0)
		return 0;
	if (a->count != synapses)
		return snpu_fail(-EBADMSG, "'%s' has %llu numbers for %llu synapses; give one number, or one for each", name, (unsigned long long)a->count, (unsigned long long)synapses);
	*out = malloc((synapses + 1) * sizeof(**out));
	if (!*out)
		return snpu_fail(-ENOMEM, "no memory for %llu numbers", (unsigned long long)synapses);
	for (uint64_t i = 0; i < synapses; i++)
		(*out)[i] = (float)a->f[i];
	return 0;
}

static int add_rows(struct reader *r, const char *name, const struct edge *e, const struct h5x_array *rows, const struct h5x_array *columns)
{
	struct snpu_net_csr c = { .sz = sizeof(c), .name = name, .source = (unsigned)e->from, .target = (unsigned)e->to,
				  .receptor = *e->receptor == 'e' ? SNPU_NET_E : SNPU_NET_I };
	struct snpu_net_population_info info = { .sz = sizeof(info) };
	uint32_t *column = NULL;
	float *weights = NULL, *delays = NULL;
	int err = snpu_net_population(r->net, c.source, &info);

	if (!err && (rows->floats || rows->count != info.neurons + 1ull || rows->i[info.neurons] < 0 || (uint64_t)rows->i[info.neurons] != columns->count))
		err = snpu_fail(-EBADMSG, "'indptr' must have %llu whole numbers, one more than neurons in '%s', the last of them the %llu of 'indices'", info.neurons + 1ull, info.name,
				(unsigned long long)columns->count);
	if (!err)
		err = as_numbers(columns, "indices", &column);
	if (!err)
		err = each(&e->weight, "syn_weight", columns->count, &weights);
	if (!err)
		err = each(&e->delay, "delay", columns->count, &delays);
	if (!err) {
		/* A negative number is more than there are columns; rows that do not ascend are refused before a column is looked at. */
		for (uint64_t i = 0; i < rows->count && !err; i++)
			if (rows->i[i] < (i ? rows->i[i - 1] : 0) || (uint64_t)rows->i[i] > columns->count)
				err = snpu_fail(-EBADMSG, "'indptr' number %llu is %lld, out of order", (unsigned long long)i, (long long)rows->i[i]);
	}
	if (!err) {
		c.rows = (const uint64_t *)rows->i;
		c.columns = column;
		c.weights = weights;
		c.delays = delays;
		c.weight = weights ? 0 : e->weight.f[0];
		c.delay = delays || !e->delay.count ? 0 : e->delay.f[0];
		err = snpu_net_add_csr(r->net, &c);
	}
	free(column);
	free(weights);
	free(delays);
	return err < 0 ? err : 0;
}

static int read_rows(struct reader *r, const char *name, const struct h5x_dir *dir, const struct edge *e)
{
	struct h5x_array rows = { 0 }, columns = { 0 };
	int found = read_array(r, dir, "indptr", &rows), err = found < 0 ? found : 0;

	if (found == 1) {
		found = read_array(r, dir, "indices", &columns);
		err = found < 0 ? found : 0;
	}
	if (!err && !found)
		err = snpu_fail(-EBADMSG, "it has no synapses; give indptr and indices, or random");
	if (!err)
		err = add_rows(r, name, e, &rows, &columns);
	h5x_array_free(&rows);
	h5x_array_free(&columns);
	return err;
}

static int read_edge(struct reader *r, const char *name, const struct h5x_dir *dir)
{
	static const char *const rows[] = { "source", "target", "receptor", "syn_weight", "delay", "indptr", "indices", NULL };
	static const char *const chance[] = { "source", "target", "receptor", "syn_weight", "delay", "random", NULL };
	struct h5x_dir random;
	struct edge *e = calloc(1, sizeof(*e));
	int found = read_dir(r, dir, "random", &random), err = found < 0 ? found : 0;

	if (!e)
		err = snpu_fail(-ENOMEM, "no memory for an edge");
	if (!err)
		err = only(dir, found ? chance : rows);
	if (!err)
		err = read_ends(r, dir, e);
	if (!err)
		err = found ? read_random(r, name, &random, e) : read_rows(r, name, dir, e);
	h5x_dir_free(&random);
	if (e) {
		h5x_array_free(&e->weight);
		h5x_array_free(&e->delay);
	}
	free(e);
	return err;
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

/* Calls read() for each group in the group `name`. */
static int each_group(struct reader *r, const struct h5x_dir *file, const char *name, const char *what, int (*read)(struct reader *r, const char *name, const struct h5x_dir *dir))
{
	struct h5x_dir groups, group;
	int found = read_dir(r, file, name, &groups), err = found < 0 ? found : 0;

	for (unsigned i = 0; i < groups.n && !err; i++) {
		const char *part = groups.link[i].name;

		found = read_dir(r, &groups, part, &group);
		err = found < 0 ? found : read(r, part, &group);
		if (err)
			snpu_fail_in(err, "%s '%s'", what, part);
		h5x_dir_free(&group);
	}
	h5x_dir_free(&groups);
	return err;
}

static int check_format(struct reader *r, const struct h5x_dir *file)
{
	char format[H5X_NAME];
	int err = read_text(r, file, "format", format);

	if (err || strcmp(format, FORMAT))
		return snpu_fail(-EBADMSG, "it is an HDF5 file, but not a network of populations (no 'format' that is " FORMAT "); docs/populations.md tells what is in one");
	return 0;
}

static int check_version(struct reader *r, const struct h5x_dir *file)
{
	uint64_t version = 0;
	int err = read_whole(r, file, "version", 1e9, &version);

	if (!err && version != VERSION)
		err = snpu_fail(-ENOTSUP, "its version is %llu, this library reads %d; write it again", (unsigned long long)version, VERSION);
	return err;
}

static int read_file(struct reader *r, const struct h5x_dir *file, double dt)
{
	static const char *const names[] = { "format", "version", "dt", "steps", "nodes", "edges", NULL };
	uint64_t steps = 0;
	double own = 0;
	int err = check_format(r, file);

	if (!err)
		err = check_version(r, file);
	if (!err)
		err = only(file, names);
	if (!err)
		err = read_number(r, file, "dt", &own);
	if (!err)
		err = read_whole(r, file, "steps", 1e15, &steps);
	if (!err)
		err = snpu_net_create(dt != 0 ? dt : own, &r->net);
	if (!err)
		err = snpu_net_set_steps(r->net, steps);
	if (!err)
		err = each_group(r, file, "nodes", "population", read_node);
	return err ? err : each_group(r, file, "edges", "projection", read_edge);
}

int snpu_net_load_memory(const void *mem, size_t size, double dt, struct snpu_net **out)
{
	struct reader r = { 0 };
	struct h5x_dir file = { 0 };
	int err = h5x_open(&r.x, mem, size);

	if (!err)
		err = h5x_dir_read(&r.x, r.x.root, "/", &file);
	if (!err)
		err = read_file(&r, &file, dt);
	h5x_dir_free(&file);
	if (err) {
		snpu_net_free(r.net);
		return err;
	}
	*out = r.net;
	return 0;
}

int snpu_net_load(const char *path, double dt, struct snpu_net **out)
{
	void *mem;
	size_t size;
	int err = h5x_file_read(path, &mem, &size);

	if (err)
		return err;
	err = snpu_net_load_memory(mem, size, dt, out);
	free(mem);
	return err ? snpu_fail_in(err, "'%s'", path) : 0;
}

int snpu_net_is(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), is;
	struct reader r = { 0 };
	struct h5x_dir file = { 0 };
	struct stat st;
	void *mem;

	if (fd < 0)
		return 0;
	/* Mapped: of a large model only its first pages are read. */
	mem = fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (mem == MAP_FAILED)
		return 0;
	is = !h5x_open(&r.x, mem, (size_t)st.st_size) && !h5x_dir_read(&r.x, r.x.root, "/", &file) && !check_format(&r, &file);
	h5x_dir_free(&file);
	munmap(mem, (size_t)st.st_size);
	return is;
}
