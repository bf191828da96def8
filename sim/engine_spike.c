/* SPDX-License-Identifier: MIT */
/*
 * Spike lists: made from vectors (ENCODE), read and judged, and multiplied by int8 codes (SPMV) as the card's array does
 * it: tile by tile of 64 outputs, group by group of channels; a weight burst is fetched once for all the lists that have its
 * channel, and not at all when none has. Engine's thread; results as docs/numerics.md.
 */
#include <string.h>

#include "sim/engine.h"
#include "sim/engine_math.h"

#define LIST_BYTES(n)	(4 * SNPU_EVENTS_WORDS(n))
#define FIRST_ENTRY	sizeof(struct snpu_spikes)

/* --- ENCODE -------------------------------------------------------------------------------------------------- */
enum { ENCODE_X, ENCODE_SPIKES };

static float threshold(const float *x, uint32_t n, float k)
{
	double a[SUM16] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		a[i % SUM16] = a[i % SUM16] + __builtin_fabs((double)x[i]);
	return engine_limit((float)((engine_sum16(a) / n) / k), 1e-5f, 1e4f);
}

static int encode(struct snpu_engine *e, uint32_t n, float k, uint64_t list, const float *x)
{
	struct snpu_spikes head = { .vth = threshold(x, n, k) };
	struct snpu_spike out[ENGINE_LANES];
	int r = 0;

	for (uint32_t i = 0; !r && i < n;) {
		uint32_t end = i + engine_min(n - i, ENGINE_LANES), found = 0;

		for (; i < end; i++) {
			out[found] = (struct snpu_spike){ i, engine_round(x[i] / head.vth, -0x1p30f, 0x1p30f) };
			found += out[found].count != 0;
		}
		r = engine_arg_write(e, ENCODE_SPIKES, list + FIRST_ENTRY + head.count * sizeof(out[0]), out, found * sizeof(out[0]));
		head.count += found;
	}
	e->work.spikes += head.count;
	return r ? r : engine_arg_write(e, ENCODE_SPIKES, list, &head, sizeof(head));
}

int engine_exec_ENCODE(struct snpu_engine *e, const struct snpu_pkt_ENCODE *p)
{
	uint64_t all = (uint64_t)p->rows * p->n;
	float *x, k;				/* [n] */
	int r = engine_room(e, ENGINE_BUF_X, p->n, sizeof(*x), &x);

	memcpy(&k, &p->k, sizeof(k));
	for (uint32_t row = 0; !r && row < p->rows; row++) {
		r = engine_arg_read(e, ENCODE_X, 4ull * row * p->n, x, 4ull * p->n);
		if (!r)
			r = encode(e, p->n, k, row * LIST_BYTES(p->n), x);
	}
	cost_float(&e->work, (struct engine_work){ .fadd = 2 * all, .fcmp = all, .fdiv = all + 4ull * p->rows });
	e->work.scanned += all;
	e->work.sorted += e->work.spikes;
	return r;
}

/* --- reading lists ------------------------------------------------------------------------------------------- */
static uint32_t size_of(int32_t count)
{
	return count < 0 ? 0u - (uint32_t)count : (uint32_t)count;
}

int engine_read_spikes(struct snpu_engine *e, uint64_t row, uint32_t n, uint64_t at, struct engine_list *list,
		       struct snpu_spike **spikes)
{
	uint64_t off = row * LIST_BYTES(n), next = 0;	/* lowest channel that may come */
	const struct snpu_spike *s;
	struct snpu_spikes head;
	uint32_t all = 0;
	int r = engine_arg_read(e, 0, off, &head, sizeof(head));

	if (r)
		return r;
	if (head.count > n)
		return engine_bad_data(e, SNPU_FAULT_BAD_EVENTS, 0, off);
	r = engine_room(e, ENGINE_BUF_SPIKES, at + head.count, sizeof(**spikes), spikes);
	if (!r)
		r = engine_arg_read(e, 0, off + FIRST_ENTRY, *spikes + at, head.count * sizeof(**spikes));
	if (r)
		return r;
	*list = (struct engine_list){ head.count, head.vth, at };
	s = *spikes + at;
	for (uint32_t i = 0; i < head.count; i++) {
		if (s[i].channel >= n || s[i].channel < next)
			return engine_bad_data(e, SNPU_FAULT_BAD_EVENTS, 0, off + FIRST_ENTRY + i * sizeof(*s));
		next = s[i].channel + 1ull;
		all |= size_of(s[i].count);
		list->ones += (unsigned int)__builtin_popcount(size_of(s[i].count));
	}
	list->planes = all ? 32 - (unsigned int)__builtin_clz(all) : 0;
	return 0;
}

/* --- SPMV ---------------------------------------------------------------------------------------------------- */
enum { SPIKES, WEIGHTS, SCALES, RESIDUAL, BIAS, OUT };

/* A channel of one of the lists. */
struct hit {
	uint32_t row;				/* of the block */
	int32_t count;
};

/* A few of the packet's lists, as many as the card holds. */
struct spmv {
	const struct snpu_pkt_SPMV *p;
	uint32_t n;				/* channels */
	uint32_t first, rows;			/* lists [first, first + rows) */
	uint32_t entries;			/* of all of them */
	unsigned int planes;			/* of the longest */
	struct engine_list *list;		/* [rows] */
	struct snpu_spike *spikes;		/* [entries] list after list */
	struct hit *hit;			/* [entries] channel after channel */
	uint32_t *start;			/* [n + 1] where a channel's hits begin */
	uint32_t (*acc)[SNPU_TILE];		/* [rows] of the group being worked on, modulo 2^32 */
	float (*sum)[SNPU_TILE];		/* [rows] over the groups */
};

/* Reads lists from `first` on until the card is full or there are no more. */
static int load_block(struct snpu_engine *e, struct spmv *s, uint32_t first)
{
	s->first = first;
	s->rows = s->entries = s->planes = 0;
	for (; first < s->p->rows && s->entries < ENGINE_BLOCK; first++) {
		struct engine_list *l = &s->list[s->rows];
		int r = engine_read_spikes(e, first, s->n, s->entries, l, &s->spikes);

		if (r)
			return r;
		s->entries += l->count;
		s->planes = l->planes > s->planes ? l->planes : s->planes;
		s->rows++;
	}
	return 0;
}

/* Sorts the block's entries by channel. */
static int sort_block(struct snpu_engine *e, struct spmv *s)
{
	uint32_t *start;			/* one later at first, so that filling moves it to its place */
	int r = engine_room(e, ENGINE_BUF_STARTS, s->n + 2ull, sizeof(*start), &start);

	if (!r)
		r = engine_room(e, ENGINE_BUF_HITS, s->entries, sizeof(*s->hit), &s->hit);
	if (r)
		return r;
	memset(start, 0, (s->n + 2ull) * sizeof(*start));
	for (uint32_t i = 0; i < s->entries; i++)
		start[s->spikes[i].channel + 2]++;
	for (uint32_t c = 0; c < s->n; c++)
		start[c + 2] += start[c + 1];
	for (uint32_t row = 0; row < s->rows; row++)
		for (uint64_t i = s->list[row].first; i < s->list[row].first + s->list[row].count; i++)
			s->hit[start[s->spikes[i].channel + 1]++] = (struct hit){ row, s->spikes[i].count };
	s->start = start;
	return 0;
}

static int judge_index(struct snpu_engine *e, const struct snpu_pkt_SPMV *p, uint64_t words)
{
	uint32_t last = 0;

	for (uint64_t i = 0, n; i < words; i += n) {
		uint32_t index[ENGINE_LANES];
		int r;

		n = engine_min(words - i, ENGINE_LANES);
		r = engine_arg_read(e, RESIDUAL, 4 * i, index, 4 * n);
		if (r)
			return r;
		for (uint64_t k = 0; k < n; k++) {
			bool bad = index[k] < last || index[k] > p->n_residual || (i + k == 0 && index[k]) ||
				   (i + k == words - 1 && index[k] != p->n_residual);

			if (bad)
				return engine_bad_data(e, SNPU_FAULT_BAD_INDEX, RESIDUAL, 4 * (i + k));
			last = index[k];
		}
	}
	return 0;
}

static int judge_residual(struct snpu_engine *e, const struct snpu_pkt_SPMV *p)
{
	uint64_t words = (uint64_t)SNPU_TILES(p->n_out) * p->groups + 1;
	int r = judge_index(e, p, words);

	for (uint64_t i = 0, n; !r && i < p->n_residual; i += n) {
		struct snpu_residual x[ENGINE_LANES];

		n = engine_min(p->n_residual - i, ENGINE_LANES);
		r = engine_arg_read(e, RESIDUAL, 4 * (words + i), x, 4 * n);
		for (uint64_t k = 0; !r && k < n; k++)
			if (x[k].channel >= SNPU_GROUP || x[k].output >= SNPU_TILE)
				r = engine_bad_data(e, SNPU_FAULT_BAD_INDEX, RESIDUAL, 4 * (words + i + k));
	}
	return r;
}

/* --- one group of channels on one tile of outputs --- */
static void multiply(uint32_t *restrict acc, const int8_t *restrict code, int32_t count)
{
	for (unsigned int o = 0; o < SNPU_TILE; o++)
		acc[o] += (uint32_t)count * (uint32_t)code[o];
}

/* Of the lists that have this bit in their count of the channel: plus or minus the code. */
static void add_plane(const struct spmv *s, const int8_t *code, uint32_t from, uint32_t to, unsigned int plane)
{
	for (uint32_t k = from; k < to; k++) {
		uint32_t *restrict acc = s->acc[s->hit[k].row];
		uint32_t flip = s->hit[k].count < 0 ? ~0u : 0;		/* -x is ~x + 1 */

		if (size_of(s->hit[k].count) >> plane & 1)
			for (unsigned int o = 0; o < SNPU_TILE; o++)
				acc[o] += ((uint32_t)code[o] ^ flip) - flip;
	}
}

/* Bit plane after bit plane, from the most significant; the group's bursts are on the card. */
static void add_planes(const struct spmv *s, uint32_t channel, int8_t (*code)[SNPU_TILE])
{
	const uint32_t *start = s->start + channel;

	for (unsigned int plane = s->planes; plane-- > 0;) {
		for (uint32_t row = 0; row < s->rows; row++)
			for (unsigned int o = 0; o < SNPU_TILE; o++)
				s->acc[row][o] += s->acc[row][o];
		for (unsigned int c = 0; c < SNPU_GROUP; c++)
			add_plane(s, code[c], start[c], start[c + 1], plane);
	}
}

static int add_group(struct snpu_engine *e, const struct spmv *s, uint32_t tile, uint32_t group)
{
	uint32_t channel = group * SNPU_GROUP;
	const uint32_t *start = s->start + channel;
	uint64_t base = ((uint64_t)tile * s->n + channel) * SNPU_TILE;
	bool serial = s->p->hdr.flags & SNPU_SPMV_BIT_SERIAL;
	int8_t code[SNPU_GROUP][SNPU_TILE];

	if (start[0] == start[SNPU_GROUP])
		return 0;
	for (unsigned int c = 0; c < SNPU_GROUP; c++) {
		const void *burst;
		int r;

		if (start[c] == start[c + 1])
			continue;
		r = engine_arg_view(e, WEIGHTS, base + c * SNPU_TILE, SNPU_TILE, e->lane[0], &burst);
		if (r)
			return r;
		if (serial)
			memcpy(code[c], burst, SNPU_TILE);
		for (uint32_t k = start[c]; !serial && k < start[c + 1]; k++)
			multiply(s->acc[s->hit[k].row], burst, s->hit[k].count);
	}
	if (serial)
		add_planes(s, channel, code);
	return 0;
}

/* count * code by additions alone. */
static uint32_t serial_product(int32_t count, int32_t code)
{
	uint32_t size = size_of(count), product = 0;

	for (int plane = 31; plane >= 0; plane--) {
		product += product;
		if (size >> plane & 1)
			product += count < 0 ? 0u - (uint32_t)code : (uint32_t)code;
	}
	return product;
}

/* The residual was judged; what somebody changed since then must still not lead outside. */
static int add_residual(struct snpu_engine *e, const struct spmv *s, uint32_t tile, uint32_t group)
{
	const struct snpu_pkt_SPMV *p = s->p;
	uint64_t words = (uint64_t)SNPU_TILES(p->n_out) * p->groups + 1;
	bool serial = p->hdr.flags & SNPU_SPMV_BIT_SERIAL;
	uint32_t index[2], n;
	int r = engine_arg_read(e, RESIDUAL, 4 * ((uint64_t)tile * p->groups + group), index, sizeof(index));

	for (uint32_t i = index[0]; !r && i < index[1] && i < p->n_residual; i += n) {
		const struct snpu_residual *x;
		const void *v;

		n = engine_min((index[1] < p->n_residual ? index[1] : p->n_residual) - i, ENGINE_LANES);
		r = engine_arg_view(e, RESIDUAL, 4 * (words + i), 4ull * n, e->lane[3], &v);
		x = v;
		for (uint32_t j = 0; !r && j < n; j++) {
			const uint32_t *start = s->start + group * SNPU_GROUP + x[j].channel % SNPU_GROUP;

			for (uint32_t k = start[0]; k < start[1]; k++) {
				const struct hit *h = &s->hit[k];

				s->acc[h->row][x[j].output % SNPU_TILE] += serial ? serial_product(h->count, x[j].code) :
									   (uint32_t)h->count * (uint32_t)x[j].code;
				e->work.iadd32 += serial ? (unsigned int)__builtin_popcount(size_of(h->count)) : 1;
				e->work.imul8 += serial ? 0 : 2;
			}
			e->work.synops += start[1] - start[0];
			e->work.lanes_busy += start[1] - start[0];
		}
	}
	return r;
}

static int flush_group(struct snpu_engine *e, const struct spmv *s, uint32_t tile, uint32_t group)
{
	const void *v;
	const float *scale;			/* [64] */
	int r = engine_arg_view(e, SCALES, ((uint64_t)tile * s->p->groups + group) * SNPU_TILE * 4, SNPU_TILE * 4, e->lane[1], &v);

	if (r)
		return r;
	scale = v;
	for (uint32_t row = 0; row < s->rows; row++) {
		float *restrict sum = s->sum[row];
		uint32_t *restrict acc = s->acc[row];

		for (unsigned int o = 0; o < SNPU_TILE; o++) {
			sum[o] = sum[o] + (scale[o] * (float)(int32_t)acc[o]);
			acc[o] = 0;
		}
	}
	return 0;
}

/* --- the whole product --- */
static int spmv_tile(struct snpu_engine *e, const struct spmv *s, uint32_t tile)
{
	const struct snpu_pkt_SPMV *p = s->p;
	uint32_t first = tile * SNPU_TILE, n = engine_min(p->n_out - first, SNPU_TILE);
	bool biased = p->hdr.flags & SNPU_SPMV_BIAS;
	const float *bias = e->lane[2];
	int r = biased ? engine_arg_read(e, BIAS, 4ull * first, e->lane[2], 4ull * n) : 0;

	memset(s->acc, 0, s->rows * sizeof(*s->acc));
	memset(s->sum, 0, s->rows * sizeof(*s->sum));
	for (uint32_t g = 0; !r && g < p->groups; g++) {
		r = add_group(e, s, tile, g);
		if (!r && (p->hdr.flags & SNPU_SPMV_RESIDUAL))
			r = add_residual(e, s, tile, g);
		if (!r)
			r = flush_group(e, s, tile, g);
	}
	for (uint32_t row = 0; !r && row < s->rows; row++) {
		float *y = s->sum[row];

		for (uint32_t o = 0; o < n; o++) {
			y[o] = s->list[row].vth * y[o];
			if (biased)
				y[o] = y[o] + bias[o];
		}
		r = engine_arg_write(e, OUT, 4 * ((uint64_t)(s->first + row) * p->n_out + first), y, 4ull * n);
	}
	return r;
}

static void count_block(struct engine_work *w, const struct spmv *s)
{
	uint64_t n_out = s->p->n_out, tiles = SNPU_TILES(n_out), groups = s->p->groups;
	bool serial = s->p->hdr.flags & SNPU_SPMV_BIT_SERIAL;
	uint64_t uses = 0, fetched = 0;		/* of bursts, each tile */

	for (uint32_t c = 0; c < s->n; c++)
		fetched += s->start[c + 1] > s->start[c];
	for (uint32_t row = 0; row < s->rows; row++) {
		const struct engine_list *l = &s->list[row];

		w->events += l->count;
		w->synops += l->count * n_out;
		w->skipped += (uint64_t)(s->n - l->count) * tiles;
		w->iadd8 += serial ? l->ones * n_out : 0;
		w->imul8 += serial ? 0 : l->count * n_out;
		w->iadd32 += serial ? 0 : l->count * n_out;
		w->fmul += (groups + 1) * n_out;
		w->fadd += (groups + (s->p->hdr.flags & SNPU_SPMV_BIAS ? 1 : 0)) * n_out;
		w->lanes_busy += tiles * (groups + 1 + (serial ? l->ones + groups * l->planes : l->count));
		uses += serial ? l->ones : l->count;
	}
	w->reuses += uses > fetched ? tiles * (uses - fetched) : 0;
}

static int multiply_block(struct snpu_engine *e, struct spmv *s)
{
	int r = sort_block(e, s);

	if (!r)
		r = engine_room(e, ENGINE_BUF_ACC, s->rows, sizeof(*s->acc), &s->acc);
	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, s->rows, sizeof(*s->sum), &s->sum);
	for (uint32_t tile = 0; !r && tile < SNPU_TILES(s->p->n_out); tile++)
		r = spmv_tile(e, s, tile);
	if (!r)
		count_block(&e->work, s);
	return r;
}

/* All lists are judged before the first output is stored; those that did not stay on the card are read again. */
int engine_exec_SPMV(struct snpu_engine *e, const struct snpu_pkt_SPMV *p)
{
	struct spmv s = { .p = p, .n = p->groups * SNPU_GROUP };
	bool whole;
	int r = engine_room(e, ENGINE_BUF_LISTS, p->rows, sizeof(*s.list), &s.list);

	for (uint32_t row = 0; !r && row < p->rows; row += s.rows)
		r = load_block(e, &s, row);
	if (!r && (p->hdr.flags & SNPU_SPMV_RESIDUAL))
		r = judge_residual(e, p);
	whole = s.rows == p->rows;
	for (uint32_t row = 0; !r && row < p->rows; row += s.rows) {
		r = whole ? 0 : load_block(e, &s, row);
		if (!r)
			r = multiply_block(e, &s);
	}
	return r;
}
