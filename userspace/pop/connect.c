/* SPDX-License-Identifier: MIT */
/*
 * Projections: from compressed rows or from chance into rows of segments (hw/snpu_isa.h), at the end of the network's image. A row is put in
 * order of delay, then of block of targets, and keeps the caller's order inside. A call that fails leaves the image as long as it was.
 */
#include "pop/pop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE		4096ull
#define IMAGE_LEAST	(1ull << 20)		/* bytes */
#define HUGE		(2ull << 20)

/* --- the image ----------------------------------------------------------------------------------------------------- */

/* Room for `bytes` more. What a mapping has not touched costs nothing, so it doubles. */
static int image_room(struct snpu_net *net, uint64_t bytes)
{
	uint64_t want, capacity = net->image_capacity ? net->image_capacity : IMAGE_LEAST;
	uint8_t *mem;

	if (!snpu_add(net->image_size, bytes, &want) || want > 1ull << 46)
		return snpu_fail(-E2BIG, "network: its synapses take more than 64 TiB; make it smaller");
	if (want <= net->image_capacity)
		return 0;
	while (capacity < want)
		capacity *= 2;
	mem = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return snpu_fail(-ENOMEM, "network: no memory for %llu MiB of synapses; make it smaller", (unsigned long long)(capacity >> 20));
	if (capacity >= HUGE)
		madvise(mem, capacity, MADV_HUGEPAGE);	/* rows are read in the order of spikes: page walks count */
	if (net->image) {
		memcpy(mem, net->image, net->image_size);
		munmap(net->image, net->image_capacity);
	}
	net->image = mem;
	net->image_capacity = capacity;
	return 0;
}

/* --- packing ------------------------------------------------------------------------------------------------------- */

struct packer {
	struct snpu_net *net;
	struct pop_projection p;
	uint64_t before;			/* bytes of the image */
	uint32_t row;				/* rows so far */
	uint64_t *key;				/* [key_room]: delay, block, number in the row */
	uint64_t key_room;
};

/* One row. delay: steps - 1. */
struct row {
	uint64_t n;
	const uint32_t *target;			/* [n] */
	const uint32_t *delay;			/* [n] */
	const float *weight;			/* [n] or NULL */
};

static int packer_begin(struct packer *k, struct snpu_net *net, const struct pop_projection *p, const char *name)
{
	int err = pop_check_name(net, "projection", name);

	*k = (struct packer){ .net = net, .p = *p, .before = net->image_size };
	if (err)
		return err;
	if (p->source >= net->n_pops || p->target >= net->n_pops)
		return snpu_fail(-ERANGE, "projection '%s': from population %u to %u, but there are %u", name, p->source, p->target, net->n_pops);
	if (net->pop[p->target].model != SNPU_NET_LIF)
		return snpu_fail(-EINVAL, "projection '%s': its target '%s' fires as it is told; connect to a SNPU_NET_LIF population", name, net->pop[p->target].name);
	if (p->receptor != SNPU_NET_E && p->receptor != SNPU_NET_I)
		return snpu_fail(-EINVAL, "projection '%s': receptor %d does not exist; use SNPU_NET_E or SNPU_NET_I", name, (int)p->receptor);
	if (!p->weights && (!isfinite(p->weight) || fabs(p->weight) > 3.4e38))
		return snpu_fail(-EINVAL, "projection '%s': its weight is %g; it must be a float32", name, p->weight);
	err = snpu_vec_room(&net->proj, &net->cap_projs, net->n_projs, POP_PARTS, sizeof(*p), "projections");
	if (!err)
		err = image_room(net, 2 * POP_ALIGN + 4 * (net->pop[p->source].n + 1ull));
	if (err)
		return err;
	k->p.name = snpu_arena_strdup(&net->arena, name);
	k->p.rows = (net->image_size + POP_ALIGN - 1) / POP_ALIGN * POP_ALIGN;
	k->p.data = (k->p.rows + 4 * (net->pop[p->source].n + 1ull) + POP_ALIGN - 1) / POP_ALIGN * POP_ALIGN;
	k->p.least = SNPU_NET_STEPS_MAX;
	net->image_size = k->p.data;
	return k->p.name ? 0 : -ENOMEM;
}

static int by_key(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int make_keys(struct packer *k, const struct row *r)
{
	bool sorted = true;

	if (r->n > k->key_room) {
		uint64_t *key = reallocarray(k->key, r->n, sizeof(*key));

		if (!key)
			return snpu_fail(-ENOMEM, "projection '%s': no memory to sort a row of %llu synapses", k->p.name, (unsigned long long)r->n);
		k->key = key;
		k->key_room = r->n;
	}
	for (uint64_t i = 0; i < r->n; i++) {
		k->key[i] = (uint64_t)r->delay[i] << 48 | (uint64_t)(r->target[i] / SNPU_SEGMENT_TARGETS) << 40 | i;
		sorted &= !i || k->key[i] > k->key[i - 1];
	}
	if (!sorted)
		qsort(k->key, r->n, sizeof(*k->key), by_key);
	return 0;
}

/* The synapses [from, from + count) of the sorted row, which have one delay and one block. */
static void put_segment(struct packer *k, const struct row *r, uint64_t from, uint32_t count)
{
	uint32_t *words = (uint32_t *)(k->net->image + k->p.data) + k->p.words, *weight = words + 1 + (count + 1) / 2;
	uint16_t *target = (uint16_t *)(words + 1);
	uint32_t block = (uint32_t)(k->key[from] >> 40 & 0xff), delay = (uint32_t)(k->key[from] >> 48);

	words[0] = SNPU_SEGMENT(delay, block, count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = k->key[from + i] & 0xffffffffffull;

		target[i] = (uint16_t)r->target[at];	/* modulo SNPU_SEGMENT_TARGETS */
		if (r->weight)
			memcpy(&weight[i], &r->weight[at], sizeof(*weight));
	}
	k->p.words += SNPU_SEGMENT_WORDS(count, r->weight != NULL);
	k->p.least = delay + 1 < k->p.least ? delay + 1 : k->p.least;
	k->p.most = delay + 1 > k->p.most ? delay + 1 : k->p.most;
}

static int put_row(struct packer *k, const struct row *r)
{
	uint32_t *rows;
	int err = image_room(k->net, 4 * r->n * SNPU_SEGMENT_WORDS(1, true));	/* each synapse alone */

	if (!err)
		err = make_keys(k, r);
	if (err)
		return err;
	rows = (uint32_t *)(k->net->image + k->p.rows);
	rows[k->row++] = (uint32_t)k->p.words;
	for (uint64_t at = 0, count; at < r->n; at += count) {
		for (count = 1; at + count < r->n && count < SNPU_SEGMENT_MOST && k->key[at + count] >> 40 == k->key[at] >> 40; count++)
			;
		put_segment(k, r, at, (uint32_t)count);
	}
	if (k->p.words > UINT32_MAX)
		return snpu_fail(-E2BIG, "projection '%s': its synapses take more than 16 GiB; make several projections of it", k->p.name);
	rows[k->row] = (uint32_t)k->p.words;
	k->p.synapses += r->n;
	k->net->image_size = k->p.data + 4 * k->p.words;
	return 0;
}

/* Number of the projection, or the error. */
static int packer_end(struct packer *k, int err)
{
	free(k->key);
	if (err) {
		k->net->image_size = k->before;
		return err;
	}
	if (!k->p.synapses)
		k->p.least = k->p.most = 1;
	k->net->proj[k->net->n_projs] = k->p;
	return (int)k->net->n_projs++;
}

/* --- compressed rows ------------------------------------------------------------------------------------------------ */

static int csr_delays(struct packer *k, const struct snpu_net_csr *c, uint64_t from, uint64_t n, uint32_t *delay)
{
	int err = 0;

	for (uint64_t i = 0; i < n && !err; i++) {
		err = pop_steps(k->net, c->delays ? (double)c->delays[from + i] : c->delay, SNPU_NET_STEPS_MAX, "a delay", &delay[i]);
		delay[i] -= !err && delay[i];
	}
	return err;
}

static int csr_check(const struct packer *k, const struct snpu_net_csr *c, uint64_t from, uint64_t n)
{
	uint32_t targets = k->net->pop[k->p.target].n;

	for (uint64_t i = from; i < from + n; i++) {
		if (c->columns[i] >= targets)
			return snpu_fail(-EINVAL, "synapse %llu goes to neuron %u, there are %u", (unsigned long long)i, c->columns[i], targets);
		if (c->weights && !isfinite(c->weights[i]))
			return snpu_fail(-EINVAL, "the weight of synapse %llu is not finite", (unsigned long long)i);
	}
	return 0;
}

static int csr_row(struct packer *k, const struct snpu_net_csr *c, uint32_t row, uint32_t **delay, uint64_t *room)
{
	uint64_t from = c->rows[row], n;
	int err = 0;

	if (c->rows[row + 1] < from || (row == 0 && from))
		return snpu_fail(-EINVAL, "projection '%s': row %u ends before it begins, or the first does not begin at 0", k->p.name, row);
	n = c->rows[row + 1] - from;
	if (n > 1ull << 36)
		return snpu_fail(-E2BIG, "projection '%s': row %u has %llu synapses; make several projections of it", k->p.name, row, (unsigned long long)n);
	if (n > *room) {
		uint32_t *grown = reallocarray(*delay, n, sizeof(*grown));

		if (!grown)
			return snpu_fail(-ENOMEM, "projection '%s': no memory for a row of %llu synapses", k->p.name, (unsigned long long)n);
		*delay = grown;
		*room = n;
	}
	err = csr_check(k, c, from, n);
	if (!err)
		err = csr_delays(k, c, from, n, *delay);
	if (err)
		return snpu_fail_in(err, "projection '%s', row %u", k->p.name, row);
	return put_row(k, &(struct row){ n, c->columns + from, *delay, c->weights ? c->weights + from : NULL });
}

int snpu_net_add_csr(struct snpu_net *net, const struct snpu_net_csr *csr)
{
	struct snpu_net_csr c;
	struct packer k = { 0 };
	uint32_t *delay = NULL;
	uint64_t room = 0;
	int err = snpu_opts_in(&c, sizeof(c), csr, "snpu_net_csr");

	if (err)
		return err;
	if (!c.rows)
		return snpu_fail(-EINVAL, "projection '%s': it has no rows; give where each source's synapses begin", c.name ? c.name : "");
	err = packer_begin(&k, net, &(struct pop_projection){ .source = c.source, .target = c.target, .receptor = c.receptor, .weights = c.weights != NULL,
							      .weight = c.weights ? 0 : c.weight }, c.name);
	for (uint32_t row = 0; !err && row < net->pop[c.source].n; row++)
		err = csr_row(&k, &c, row, &delay, &room);
	free(delay);
	return packer_end(&k, err);
}

/* --- chance --------------------------------------------------------------------------------------------------------- */

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* log(x) of 0 < x <= 1 by additions, multiplications and one division, so that it is the same on every machine; to about 1e-15. */
static double log_of(double x)
{
	static const double c[] = { 1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19 };
	uint64_t bits;
	int exponent;
	double m, s, z, sum = 0;

	memcpy(&bits, &x, sizeof(bits));
	exponent = (int)(bits >> 52) - 1023;
	bits = (bits & 0xfffffffffffffull) | 1023ull << 52;
	memcpy(&m, &bits, sizeof(m));		/* 1 to 2 */
	if (m > 1.4142135623730951) {
		m /= 2;
		exponent++;
	}
	s = (m - 1) / (m + 1);			/* below 0.172 */
	z = s * s;
	for (unsigned int j = sizeof(c) / sizeof(c[0]); j--;)
		sum = sum * z + c[j];
	return 2 * s * sum + exponent * 0.6931471805599453;
}

struct chance {
	uint32_t source_first, source_end, target_first, target_end;
	uint32_t least, span;			/* steps of delay - 1, and how many there are */
	double log_miss;			/* log(1 - probability); 0: all pairs */
	uint32_t *target, *delay;		/* [targets] */
};

/* Targets of a source: how many are passed over follows from one number, for any probability. */
static uint64_t draw_row(const struct chance *c, uint64_t seed, uint32_t source)
{
	uint64_t state = seed, n = 0;
	double at = c->target_first;

	state = splitmix(&state) ^ source * 0xd1342543de82ef95ull;
	for (;; at++) {
		if (c->log_miss < 0)
			at += floor(log_of((double)((splitmix(&state) >> 11) + 1) * 0x1p-53) / c->log_miss);
		if (at >= c->target_end)
			return n;
		c->target[n] = (uint32_t)at;
		c->delay[n++] = c->least + (c->span > 1 ? (uint32_t)((splitmix(&state) >> 32) * c->span >> 32) : 0);
	}
}

static int chance_part(const char *what, const char *name, uint32_t n, uint32_t first, uint32_t count, uint32_t *end)
{
	if (first >= n || count > n - first)
		return snpu_fail(-EINVAL, "projection '%s': %s %u to %llu of %u neurons; name a part of the population", name, what, first, (unsigned long long)first + count, n);
	*end = count ? first + count : n;
	return 0;
}

/* A small file can ask for any number of synapses. */
static int chance_size(const struct snpu_net_random *r, const struct chance *c)
{
	double synapses = r->probability * (c->source_end - c->source_first) * (double)(c->target_end - c->target_first), bytes = 2 * synapses;

	if (bytes > 4.0 * UINT32_MAX)
		return snpu_fail(-E2BIG, "projection '%s': about %.3g synapses take more than 16 GiB; make several projections of it", r->name, synapses);
	if (bytes > (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE))
		return snpu_fail(-ENOMEM, "projection '%s': about %.3g synapses take %.0f GiB, more than this machine has; make it smaller", r->name, synapses, bytes / 0x1p30);
	return 0;
}

static int chance_make(struct packer *k, const struct snpu_net_random *r, struct chance *c)
{
	const struct pop_population *source = &k->net->pop[r->source], *target = &k->net->pop[r->target];
	uint32_t most = 0;
	int err = chance_part("sources", r->name, source->n, r->source_first, r->source_count, &c->source_end);

	if (!err)
		err = chance_part("targets", r->name, target->n, r->target_first, r->target_count, &c->target_end);
	if (!err && !(r->probability > 0 && r->probability <= 1))
		err = snpu_fail(-EINVAL, "projection '%s': its probability is %g; use more than 0 and at most 1", r->name, r->probability);
	if (!err)
		err = pop_steps(k->net, r->delay, SNPU_NET_STEPS_MAX, "the delay", &c->least);
	if (!err)
		err = pop_steps(k->net, r->delay_most, SNPU_NET_STEPS_MAX, "the greatest delay", &most);
	if (err)
		return err;
	c->least -= c->least ? 1 : 0;
	most -= most ? 1 : 0;
	c->span = most > c->least ? most - c->least + 1 : 1;
	c->source_first = r->source_first;
	c->target_first = r->target_first;
	err = chance_size(r, c);
	if (err)
		return err;
	c->log_miss = r->probability < 1 ? log_of(1 - r->probability) : 0;
	if (r->probability < 1 && c->log_miss == 0)
		return snpu_fail(-EINVAL, "projection '%s': its probability %g is too small to draw from", r->name, r->probability);
	c->target = malloc((c->target_end - c->target_first) * sizeof(*c->target));
	c->delay = malloc((c->target_end - c->target_first) * sizeof(*c->delay));
	return c->target && c->delay ? 0 : snpu_fail(-ENOMEM, "projection '%s': no memory for a row", r->name);
}

int snpu_net_add_random(struct snpu_net *net, const struct snpu_net_random *random)
{
	struct snpu_net_random r;
	struct chance c = { 0 };
	struct packer k = { 0 };
	int err = snpu_opts_in(&r, sizeof(r), random, "snpu_net_random");

	if (err)
		return err;
	err = packer_begin(&k, net, &(struct pop_projection){ .source = r.source, .target = r.target, .receptor = r.receptor, .weight = r.weight }, r.name);
	if (!err)
		err = chance_make(&k, &r, &c);
	for (uint32_t row = 0; !err && row < net->pop[r.source].n; row++) {
		bool in = row >= c.source_first && row < c.source_end;

		err = put_row(&k, &(struct row){ in ? draw_row(&c, r.seed, row) : 0, c.target, c.delay, NULL });
	}
	free(c.target);
	free(c.delay);
	return packer_end(&k, err);
}
