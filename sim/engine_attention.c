/* SPDX-License-Identifier: MIT */
/*
 * What a language model remembers: the state of gated linear attention and the ring of keys and values of a sliding
 * window. States and caches stay in memory, pieces of them pass by once for all the query heads that share them. Engine's
 * thread; formulas as docs/numerics.md.
 */
#include <math.h>
#include <string.h>

#include "sim/engine.h"
#include "sim/engine_math.h"

static float inverse_root(uint32_t d)
{
	return (float)(1.0 / __builtin_sqrt((double)d));
}

static float relu(float x)
{
	return x > 0.0f ? x : 0.0f;
}

/* --- GLA_STEP ------------------------------------------------------------------------------------------------ */
enum { GLA_Q, GLA_K, GLA_V, GLA_G, GLA_STATE, GLA_OUT };

static float gate(float g)
{
	double x = g;

	if (x < -40.0)
		return (float)engine_exp64(x / 16.0);
	x = 1.0 / (1.0 + engine_exp64(-x));
	for (unsigned int i = 0; i < 4; i++)
		x = __builtin_sqrt(x);
	return (float)x;
}

static int gla_update(struct snpu_engine *e, const struct snpu_pkt_GLA_STEP *p, uint64_t vector, float *restrict state)
{
	const float *k = e->lane[0], *v = e->lane[1], *g = e->lane[2];
	uint64_t bytes = 4ull * p->d;
	int r = engine_arg_read(e, GLA_K, vector * bytes, e->lane[0], bytes);

	if (!r)
		r = engine_arg_read(e, GLA_V, vector * bytes, e->lane[1], bytes);
	if (!r)
		r = engine_arg_read(e, GLA_G, vector * bytes, e->lane[2], bytes);
	for (uint32_t i = 0; !r && i < p->d; i++) {
		float a = gate(g[i]), key = relu(k[i]), *restrict s = state + (uint64_t)i * p->d;

		for (uint32_t j = 0; j < p->d; j++)
			s[j] = (a * s[j]) + (key * v[j]);
	}
	return r;
}

static int gla_query(struct snpu_engine *e, const struct snpu_pkt_GLA_STEP *p, uint64_t vector, const float *state)
{
	const float *q = e->lane[0], z = inverse_root(p->d);
	float *restrict out = e->lane[1];
	uint64_t bytes = 4ull * p->d;
	int r = engine_arg_read(e, GLA_Q, vector * bytes, e->lane[0], bytes);

	memset(out, 0, bytes);
	for (uint32_t i = 0; !r && i < p->d; i++) {
		const float *restrict s = state + (uint64_t)i * p->d;
		float query = relu(q[i]) * z;

		for (uint32_t j = 0; j < p->d; j++)
			out[j] = out[j] + (query * s[j]);
	}
	return r ? r : engine_arg_write(e, GLA_OUT, vector * bytes, out, bytes);
}

int engine_exec_GLA_STEP(struct snpu_engine *e, const struct snpu_pkt_GLA_STEP *p)
{
	uint64_t d2 = (uint64_t)p->d * p->d, heads = (uint64_t)p->rows * p->kv, queries = heads * p->group;
	float *state;				/* [d][d] of one head */
	int r = engine_room(e, ENGINE_BUF_X, d2, sizeof(*state), &state);

	for (uint32_t h = 0; !r && h < p->kv; h++) {
		r = engine_arg_read(e, GLA_STATE, 4 * h * d2, state, 4 * d2);
		for (uint32_t row = 0; !r && row < p->rows; row++) {
			uint64_t vector = (uint64_t)row * p->kv + h;

			r = gla_update(e, p, vector, state);
			for (uint32_t q = 0; !r && q < p->group; q++)
				r = gla_query(e, p, vector * p->group + q, state);
		}
		if (!r)
			r = engine_arg_write(e, GLA_STATE, 4 * h * d2, state, 4 * d2);
	}
	cost_float(&e->work, (struct engine_work){
		.fadd = heads * (2 * p->d + d2) + queries * d2, .fmul = heads * 2 * d2 + queries * (p->d + d2),
		.fcmp = (heads + queries) * p->d, .fdiv = heads * 10 * p->d, .fspecial = heads * p->d });
	e->work.updates += heads * d2;
	return r;
}

/* --- the cache: two halves, keys and values ------------------------------------------------------------------ */
struct cache {
	unsigned int arg;			/* operand */
	bool int8;
	uint32_t kv, slots, d;
};

static uint64_t code_size(const struct cache *c)
{
	return c->int8 ? 1 : 4;
}

/* Where the vector of a position lies, bytes; half 0: keys, 1: values. */
static uint64_t vector_at(const struct cache *c, unsigned int half, uint32_t head, uint32_t slot)
{
	return (((uint64_t)half * c->kv + head) * c->slots + slot) * c->d * code_size(c);
}

static uint64_t scale_at(const struct cache *c, unsigned int half, uint32_t head, uint32_t slot)
{
	return 4 * (SNPU_KV_CODE_WORDS(c->kv, c->slots, c->d) + ((uint64_t)half * c->kv + head) * c->slots + slot);
}

/* --- KV_APPEND ----------------------------------------------------------------------------------------------- */
static float quantise(const float *x, uint32_t n, int8_t *code)
{
	float m = 0.0f, scale;

	for (uint32_t i = 0; i < n; i++)
		m = __builtin_fabsf(x[i]) > m ? __builtin_fabsf(x[i]) : m;
	scale = engine_limit(m / 127.0f, 1e-5f, 1e4f);
	for (uint32_t i = 0; i < n; i++)
		code[i] = (int8_t)engine_round(x[i] / scale, -128.0f, 127.0f);
	return scale;
}

static int append(struct snpu_engine *e, const struct cache *c, unsigned int half, uint32_t head, uint32_t slot)
{
	int8_t code[SNPU_MAX_HEAD];
	float *x = e->lane[0], scale;
	int r = engine_arg_read(e, half, 4ull * head * c->d, x, 4ull * c->d);

	if (r)
		return r;
	if (!c->int8)
		return engine_arg_write(e, c->arg, vector_at(c, half, head, slot), x, 4ull * c->d);
	scale = quantise(x, c->d, code);
	r = engine_arg_write(e, c->arg, vector_at(c, half, head, slot), code, c->d);
	return r ? r : engine_arg_write(e, c->arg, scale_at(c, half, head, slot), &scale, sizeof(scale));
}

int engine_exec_KV_APPEND(struct snpu_engine *e, const struct snpu_pkt_KV_APPEND *p)
{
	enum { K, V, POSITION, CACHE };
	const struct cache c = { CACHE, p->hdr.flags & SNPU_KV_INT8, p->kv, p->slots, p->d };
	uint64_t n = 2ull * p->kv * p->d;
	uint32_t position;
	int r = engine_arg_read(e, POSITION, 0, &position, sizeof(position));

	for (unsigned int half = 0; half < 2; half++)
		for (uint32_t head = 0; !r && head < p->kv; head++)
			r = append(e, &c, half, head, position % p->slots);
	if (c.int8)
		cost_float(&e->work, (struct engine_work){ .fcmp = 2 * n, .fdiv = n + 2ull * p->kv });
	return r;
}

/* --- SWA ----------------------------------------------------------------------------------------------------- */
enum { SWA_Q, SWA_CACHE, SWA_POSITION, SWA_OUT };

#define PIECE	(4 * ENGINE_LANES)		/* binary32 values of the cache in one go, lanes 0 to 3; lane 4 is for scales */

/* The query heads of one key-value head, or as many of them as the card holds scores for. */
struct swa {
	const struct snpu_pkt_SWA *p;
	struct cache cache;
	uint32_t keys, oldest;			/* number, slot of the first */
	uint32_t head, first, heads;		/* key-value head, query heads [first, first + heads) */
	const struct engine_list *list;		/* [kv * group] with INT8 */
	const struct snpu_spike *spikes;
	float *q;				/* [heads][d], with INT8 their counts, int32 */
	float *score;				/* [heads][keys] */
	float *out;				/* [heads][d] */
};

/* Some of the keys, or of the values, in ascending position and without a break in memory. */
struct piece {
	uint32_t first, n;
	const void *codes;			/* [n][d] */
	const float *scale;			/* [n] with INT8 */
};

static int load_piece(struct snpu_engine *e, const struct swa *s, unsigned int half, struct piece *c)
{
	uint32_t slot = (s->oldest + c->first) % s->cache.slots;
	const void *scale = NULL;
	int r;

	c->n = engine_min(s->keys - c->first, s->cache.slots - slot);
	c->n = engine_min(c->n, s->cache.d < 4 ? ENGINE_LANES : PIECE / s->cache.d);
	r = engine_arg_view(e, SWA_CACHE, vector_at(&s->cache, half, s->head, slot), c->n * s->cache.d * code_size(&s->cache),
			    e->lane[0], &c->codes);
	if (!r && s->cache.int8)
		r = engine_arg_view(e, SWA_CACHE, scale_at(&s->cache, half, s->head, slot), 4ull * c->n, e->lane[4], &scale);
	c->scale = scale;
	return r;
}

static uint32_t dot_int8(const uint32_t *restrict count, const int8_t *restrict code, uint32_t d)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < d; i++)
		sum += count[i] * (uint32_t)code[i];
	return sum;
}

static float dot_f32(const float *restrict q, const float *restrict k, uint32_t d)
{
	float a[SUM16] = { 0 };
	uint32_t i = 0;

	for (; i + SUM16 <= d; i += SUM16)
		for (unsigned int l = 0; l < SUM16; l++)
			a[l] = a[l] + q[i + l] * k[i + l];
	for (unsigned int l = 0; i + l < d; l++)
		a[l] = a[l] + q[i + l] * k[i + l];
	return engine_sum16f(a);
}

static void score_piece(const struct swa *s, const struct piece *c)
{
	uint32_t d = s->cache.d;
	float z = inverse_root(d);

	for (uint32_t h = 0; h < s->heads; h++) {
		const float *q = s->q + (uint64_t)h * d;
		float *score = s->score + (uint64_t)h * s->keys + c->first;

		for (uint32_t i = 0; i < c->n; i++) {
			if (!s->cache.int8) {
				score[i] = dot_f32(q, (const float *)c->codes + (uint64_t)i * d, d) * z;
				continue;
			}

			uint32_t dot = dot_int8((const uint32_t *)q, (const int8_t *)c->codes + (uint64_t)i * d, d);

			score[i] = ((s->list[s->first + h].vth * c->scale[i]) * z) * (float)(int32_t)dot;
		}
	}
}

/* Turns scores into their exponentials; returns the sum of these. */
static float exponentials(float *score, uint32_t n)
{
	double a[SUM16] = { 0 };
	float m = -INFINITY;

	for (uint32_t i = 0; i < n; i++)
		m = score[i] > m ? score[i] : m;
	for (uint32_t i = 0; i < n; i++) {
		float below = score[i] - m;

		score[i] = (float)engine_exp64(below);
		a[i % SUM16] = a[i % SUM16] + (double)score[i];
	}
	return (float)engine_sum16(a);
}

static void weigh_piece(const struct swa *s, const struct piece *c)
{
	uint32_t d = s->cache.d;

	for (uint32_t h = 0; h < s->heads; h++) {
		const float *score = s->score + (uint64_t)h * s->keys + c->first;
		float *restrict out = s->out + (uint64_t)h * d;

		for (uint32_t i = 0; i < c->n; i++) {
			const int8_t *code = (const int8_t *)c->codes + (uint64_t)i * d;
			const float *v = (const float *)c->codes + (uint64_t)i * d;
			float w = s->cache.int8 ? score[i] * c->scale[i] : score[i];

			if (s->cache.int8)
				for (uint32_t j = 0; j < d; j++)
					out[j] = out[j] + (w * (float)code[j]);
			else
				for (uint32_t j = 0; j < d; j++)
					out[j] = out[j] + (w * v[j]);
		}
	}
}

static int load_queries(struct snpu_engine *e, const struct swa *s)
{
	uint32_t d = s->cache.d;

	if (!s->cache.int8)
		return engine_arg_read(e, SWA_Q, 4ull * s->first * d, s->q, 4ull * s->heads * d);
	memset(s->q, 0, 4ull * s->heads * d);
	for (uint32_t h = 0; h < s->heads; h++) {
		const struct engine_list *l = &s->list[s->first + h];

		for (const struct snpu_spike *k = s->spikes + l->first; k < s->spikes + l->first + l->count; k++)
			memcpy(s->q + (uint64_t)h * d + k->channel, &k->count, sizeof(k->count));
	}
	return 0;
}

static int attend(struct snpu_engine *e, const struct swa *s)
{
	uint32_t d = s->cache.d;
	struct piece c = { 0 };
	int r = load_queries(e, s);

	for (; !r && c.first < s->keys; c.first += c.n) {
		r = load_piece(e, s, 0, &c);
		if (!r)
			score_piece(s, &c);
	}
	if (r)
		return r;
	for (uint32_t h = 0; h < s->heads; h++)
		e->lane[5][h] = exponentials(s->score + (uint64_t)h * s->keys, s->keys);
	memset(s->out, 0, 4ull * s->heads * d);
	for (c.first = 0; !r && c.first < s->keys; c.first += c.n) {
		r = load_piece(e, s, 1, &c);
		if (!r)
			weigh_piece(s, &c);
	}
	for (uint32_t h = 0; h < s->heads; h++)
		for (uint32_t j = 0; j < d; j++)
			s->out[(uint64_t)h * d + j] = s->out[(uint64_t)h * d + j] / e->lane[5][h];
	return r ? r : engine_arg_write(e, SWA_OUT, 4ull * s->first * d, s->out, 4ull * s->heads * d);
}

/* All lists of the queries, so that they are judged before the first output is stored. */
static int swa_lists(struct snpu_engine *e, struct swa *s)
{
	uint32_t heads = s->p->kv * s->p->group;
	struct engine_list *list;
	struct snpu_spike *spikes = NULL;
	uint64_t at = 0;
	int r = engine_room(e, ENGINE_BUF_LISTS, heads, sizeof(*list), &list);

	for (uint32_t h = 0; !r && h < heads; h++) {
		r = engine_read_spikes(e, h, s->p->d, at, &list[h], &spikes);
		at += r ? 0 : list[h].count;
	}
	s->list = list;
	s->spikes = spikes;
	e->work.events += at;
	e->work.synops += at * s->keys;
	e->work.imul8 += at * s->keys;
	e->work.iadd32 += at * s->keys;
	e->work.lanes_busy += SNPU_TILES(at * s->keys);
	return r;
}

static void swa_cost(struct snpu_engine *e, const struct swa *s)
{
	const struct snpu_pkt_SWA *p = s->p;
	uint64_t heads = (uint64_t)p->kv * p->group, scores = heads * s->keys, int8 = s->cache.int8;

	/* Every score: scales, comparison, difference, exponential and its sum in binary64; then its value. */
	cost_float(&e->work, (struct engine_work){
		.fmul = scores * (int8 ? 4 : 1 + p->d) + scores * p->d, .fadd = scores * (3 + (int8 ? 0 : p->d)) + scores * p->d,
		.fcmp = scores, .fspecial = scores, .fdiv = heads * p->d });
}

int engine_exec_SWA(struct snpu_engine *e, const struct snpu_pkt_SWA *p)
{
	struct swa s = { .p = p, .cache = { SWA_CACHE, p->hdr.flags & SNPU_KV_INT8, p->kv, p->slots, p->d } };
	uint32_t position, block;
	int r = engine_arg_read(e, SWA_POSITION, 0, &position, sizeof(position));

	if (r)
		return r;
	s.keys = engine_min(position + 1ull, p->window < p->slots ? p->window : p->slots);
	s.oldest = (uint32_t)((position + 1ull - s.keys) % p->slots);
	block = engine_block(p->group, s.keys > p->d ? s.keys : p->d);
	if (s.cache.int8)
		r = swa_lists(e, &s);
	if (!r)
		r = engine_room(e, ENGINE_BUF_X, (uint64_t)block * p->d, sizeof(*s.q), &s.q);
	if (!r)
		r = engine_room(e, ENGINE_BUF_ACC, (uint64_t)block * s.keys, sizeof(*s.score), &s.score);
	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, (uint64_t)block * p->d, sizeof(*s.out), &s.out);
	for (s.head = 0; !r && s.head < p->kv; s.head++)
		for (uint32_t g = 0; !r && g < p->group; g += s.heads) {
			s.first = s.head * p->group + g;
			s.heads = engine_min(p->group - g, block);
			r = attend(e, &s);
		}
	swa_cost(e, &s);
	return r;
}
