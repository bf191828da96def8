/* SPDX-License-Identifier: MIT */
/*
 * Packets of networks of many neurons. SPARSE as the card does it: the rows of the listed sources come one after the other into
 * the buffer and are judged there; then each synapse reads, adds to and writes one element of the ring. TAKE, LOG and LIFEXP go
 * in pieces of up to 1024 elements. Engine's thread; bits as docs/numerics.md.
 */
#include <string.h>

#include "sim/engine.h"

static int ring_slot(struct snpu_engine *e, unsigned int arg, uint32_t slots, uint32_t *position)
{
	int r = 0;

	*position = 0;
	if (slots > 1)
		r = engine_arg_read(e, arg, 0, position, sizeof(*position));
	return !r && *position >= slots ? engine_bad_data(e, SNPU_FAULT_BAD_INDEX, arg, 0) : r;
}

/* --- SPARSE ------------------------------------------------------------------------------------------------------- */

enum { SPARSE_EV, SPARSE_ROWS, SPARSE_DATA, SPARSE_POSITION, SPARSE_RING };

struct bounds {
	uint32_t begin, end;			/* words of the operand */
};

struct sparse {
	const struct snpu_pkt_SPARSE *p;
	bool weights;
	struct bounds *row;			/* [entries] */
	uint32_t *data;				/* [words] the listed rows, one after the other */
	uint64_t words;
	uint32_t position;
	uint64_t synapses;
};

static uint16_t target_of(const uint32_t *segment, uint32_t k)
{
	uint16_t t;

	memcpy(&t, (const uint8_t *)(segment + 1) + 2 * k, sizeof(t));
	return t;
}

static uint32_t weight_of(const struct sparse *s, const uint32_t *segment, uint32_t k)
{
	return s->weights ? segment[1 + (SNPU_SEGMENT_COUNT(segment[0]) + 1) / 2 + k] : s->p->weight;
}

/* `at`: of the segment in data, words; left: words of the row from it on. */
static int judge_segment(struct snpu_engine *e, const struct sparse *s, const uint32_t *segment, uint64_t at, uint64_t left)
{
	uint32_t count = SNPU_SEGMENT_COUNT(*segment), first = SNPU_SEGMENT_BLOCK(*segment) * SNPU_SEGMENT_TARGETS;

	if (SNPU_SEGMENT_DELAY(*segment) >= s->p->slots || first >= s->p->n_out || SNPU_SEGMENT_WORDS(count, s->weights) > left)
		return engine_bad_data(e, SNPU_FAULT_BAD_INDEX, SPARSE_DATA, 4 * at);
	for (uint32_t k = 0; k < count; k++)
		if (first + target_of(segment, k) >= s->p->n_out)
			return engine_bad_data(e, SNPU_FAULT_BAD_INDEX, SPARSE_DATA, 4 * at + 4 + 2 * k);
	return 0;
}

static int fetch_bounds(struct snpu_engine *e, struct sparse *s, uint32_t source, struct bounds *row)
{
	int r = engine_arg_read(e, SPARSE_ROWS, 4ull * source, row, sizeof(*row));

	if (r)
		return r;
	if (row->begin > row->end || row->end > s->p->words)
		return engine_bad_data(e, SNPU_FAULT_BAD_INDEX, SPARSE_ROWS, 4ull * source);
	s->words += row->end - row->begin;
	return 0;
}

/* `at`: where the row goes in the buffer, words. */
static int fetch_row(struct snpu_engine *e, struct sparse *s, struct bounds row, uint64_t at)
{
	int r = row.end > row.begin ? engine_arg_read(e, SPARSE_DATA, 4ull * row.begin, s->data + at, 4ull * (row.end - row.begin)) : 0;

	for (uint64_t k = row.begin, n; !r && k < row.end; k += n) {
		const uint32_t *segment = s->data + at + (k - row.begin);

		r = judge_segment(e, s, segment, k, row.end - k);
		n = SNPU_SEGMENT_WORDS(SNPU_SEGMENT_COUNT(*segment), s->weights);
		s->synapses += SNPU_SEGMENT_COUNT(*segment);
	}
	return r;
}

static int fetch_rows(struct snpu_engine *e, struct sparse *s, uint32_t count)
{
	uint64_t at = 0;
	int r = engine_room(e, ENGINE_BUF_STARTS, count + 1ull, sizeof(*s->row), &s->row);

	for (uint32_t k = 0; !r && k < count; k++)
		r = fetch_bounds(e, s, e->events[k].channel, &s->row[k]);
	if (!r)
		r = engine_room(e, ENGINE_BUF_X, s->words + 1, sizeof(*s->data), &s->data);
	for (uint32_t k = 0; !r && k < count; k++) {
		r = fetch_row(e, s, s->row[k], at);
		at += s->row[k].end - s->row[k].begin;
	}
	return r;
}

/* The ring was translated in full, so only an abort can stop this. */
static int add_segment(struct snpu_engine *e, const struct sparse *s, const uint32_t *segment, float value)
{
	uint64_t slot = ((uint64_t)s->position + SNPU_SEGMENT_DELAY(*segment)) % s->p->slots;
	uint64_t first = slot * s->p->n_out + SNPU_SEGMENT_BLOCK(*segment) * SNPU_SEGMENT_TARGETS;

	for (uint32_t k = 0; k < SNPU_SEGMENT_COUNT(*segment); k++) {
		uint64_t off = 4 * (first + target_of(segment, k));
		uint32_t bits = weight_of(s, segment, k);
		float sum, w;
		int r = engine_arg_read(e, SPARSE_RING, off, &sum, sizeof(sum));

		memcpy(&w, &bits, sizeof(w));
		sum = sum + (w * value);
		if (!r)
			r = engine_arg_write(e, SPARSE_RING, off, &sum, sizeof(sum));
		if (r)
			return r;
	}
	return 0;
}

static int add_rows(struct snpu_engine *e, const struct sparse *s, uint32_t count)
{
	uint64_t at = 0;

	for (uint32_t k = 0; k < count; k++) {
		for (uint64_t end = at + (s->row[k].end - s->row[k].begin); at < end;) {
			int r = add_segment(e, s, s->data + at, e->events[k].value);

			if (r)
				return r;
			at += SNPU_SEGMENT_WORDS(SNPU_SEGMENT_COUNT(s->data[at]), s->weights);
		}
	}
	return 0;
}

int engine_exec_SPARSE(struct snpu_engine *e, const struct snpu_pkt_SPARSE *p)
{
	struct sparse s = { .p = p, .weights = p->hdr.flags & SNPU_SPARSE_WEIGHTS };
	uint64_t ring = 4ull * p->slots * p->n_out;
	uint32_t count;
	int r = engine_read_events(e, p->n_in, &count);

	if (!r)
		r = fetch_rows(e, &s, count);
	if (!r)
		r = ring_slot(e, SPARSE_POSITION, p->slots, &s.position);
	if (!r)
		r = engine_arg_probe(e, SPARSE_RING, 0, ring, SNPU_ACCESS_READ);
	if (!r)
		r = engine_arg_probe(e, SPARSE_RING, 0, ring, SNPU_ACCESS_WRITE);
	if (!r)
		r = add_rows(e, &s, count);
	if (r)
		return r;
	e->work.events += count;
	e->work.synops += s.synapses;
	e->work.skipped += (p->words - s.words) / 16;
	e->work.fmul += s.synapses;
	e->work.fadd += s.synapses;
	e->work.lanes_busy += s.synapses;
	return 0;
}

/* --- TAKE, LOG ---------------------------------------------------------------------------------------------------- */

int engine_exec_TAKE(struct snpu_engine *e, const struct snpu_pkt_TAKE *p)
{
	enum { POSITION, RING, X };
	float *in = e->lane[0], *x = e->lane[1];
	uint32_t position;
	int r = ring_slot(e, POSITION, p->slots, &position);

	for (uint32_t first = 0, n; !r && first < p->n; first += n) {
		uint64_t at = 4 * ((uint64_t)position * p->n + first);

		n = engine_min(p->n - first, ENGINE_LANES);
		r = engine_arg_read(e, RING, at, in, 4ull * n);
		if (!r)
			r = engine_arg_read(e, X, 4ull * first, x, 4ull * n);
		for (uint32_t i = 0; i < n; i++)
			x[i] = x[i] + in[i];
		memset(in, 0, 4 * n);
		if (!r)
			r = engine_arg_write(e, RING, at, in, 4ull * n);
		if (!r)
			r = engine_arg_write(e, X, 4ull * first, x, 4ull * n);
	}
	e->work.fadd += p->n;
	e->work.lanes_busy += SNPU_TILES((uint64_t)p->n);
	position = (position + 1) % p->slots;
	return r || p->slots == 1 ? r : engine_arg_write(e, POSITION, 0, &position, sizeof(position));
}

int engine_exec_LOG(struct snpu_engine *e, const struct snpu_pkt_LOG *p)
{
	enum { EV, LOG };
	uint64_t size = 4 * SNPU_LOG_WORDS(p->room), stored;
	struct snpu_log_entry *entry;
	struct snpu_log head;
	uint32_t count;
	int r = engine_read_events(e, p->n, &count);

	if (!r)
		r = engine_arg_probe(e, LOG, 0, size, SNPU_ACCESS_READ);
	if (!r)
		r = engine_arg_probe(e, LOG, 0, size, SNPU_ACCESS_WRITE);
	if (!r)
		r = engine_arg_read(e, LOG, 0, &head, sizeof(head));
	if (!r)
		r = engine_room(e, ENGINE_BUF_X, count + 1ull, sizeof(*entry), &entry);
	if (r)
		return r;
	for (uint32_t k = 0; k < count; k++)
		entry[k] = (struct snpu_log_entry){ head.step, e->events[k].channel };
	stored = head.count < p->room ? engine_min(p->room - head.count, count) : 0;
	if (stored)
		r = engine_arg_write(e, LOG, sizeof(head) + (uint64_t)head.count * sizeof(*entry), entry, stored * sizeof(*entry));
	head.count += count;
	head.step++;
	e->work.sorted += count;
	return r ? r : engine_arg_write(e, LOG, 0, &head, sizeof(head));
}

/* --- LIFEXP ------------------------------------------------------------------------------------------------------- */

enum { LIFEXP_STATE, LIFEXP_PARAM, LIFEXP_EV };
enum { V, E, I, HOLD, STATES };
enum { DRIVE, K_V, K_E, K_I, DECAY_E, DECAY_I, V_THRESHOLD, V_RESET, REFRACTORY };

/* lane[0..3] states, lane[4..12] parameters; with SHARED only their first elements. */
static int load_neurons(struct snpu_engine *e, const struct snpu_pkt_LIFEXP *p, uint32_t first, uint32_t n)
{
	bool shared = p->hdr.flags & SNPU_LIFEXP_SHARED;
	int r = 0;

	for (uint64_t s = 0; !r && s < STATES; s++)
		r = engine_arg_read(e, LIFEXP_STATE, 4 * (s * p->n + first), e->lane[s], 4ull * n);
	for (uint64_t q = 0; !r && q < SNPU_LIFEXP_PARAMS; q++)
		r = engine_arg_read(e, LIFEXP_PARAM, shared ? 4 * q : 4 * (q * p->n + first), e->lane[STATES + q], shared ? 4 : 4ull * n);
	return r;
}

static bool update(struct snpu_engine *e, uint32_t i, uint8_t flags)
{
	float *v = &e->lane[V][i], *exc = &e->lane[E][i], *inh = &e->lane[I][i], *hold = &e->lane[HOLD][i];
	uint32_t k = flags & SNPU_LIFEXP_SHARED ? 0 : i;
#define PARAM(name)	e->lane[STATES + (name)][k]
	float u = ((PARAM(DRIVE) + (PARAM(K_V) * *v)) + (PARAM(K_E) * *exc)) + (PARAM(K_I) * *inh);
	bool held = *hold > 0.0f;
	bool z = !held && (flags & SNPU_NEURON_GE ? u >= PARAM(V_THRESHOLD) : u > PARAM(V_THRESHOLD));

	*exc = PARAM(DECAY_E) * *exc;
	*inh = PARAM(DECAY_I) * *inh;
	*v = z ? PARAM(V_RESET) : held ? *v : u;
	*hold = z ? PARAM(REFRACTORY) : held ? *hold - 1.0f : *hold;
#undef PARAM
	return z;
}

/* Every operand has been translated, so a state that is written is not written in vain. */
int engine_exec_LIFEXP(struct snpu_engine *e, const struct snpu_pkt_LIFEXP *p)
{
	struct snpu_events head = { 0 };
	int r = 0;

	for (uint32_t first = 0, n; !r && first < p->n; first += n) {
		struct snpu_event fired[ENGINE_LANES];
		uint32_t count = 0;

		n = engine_min(p->n - first, ENGINE_LANES);
		r = load_neurons(e, p, first, n);
		for (uint32_t i = 0; !r && i < n; i++)
			if (update(e, i, p->hdr.flags))
				fired[count++] = (struct snpu_event){ first + i, 1.0f };
		for (uint64_t s = 0; !r && s < STATES; s++)
			r = engine_arg_write(e, LIFEXP_STATE, 4 * (s * p->n + first), e->lane[s], 4ull * n);
		if (!r && count)
			r = engine_arg_write(e, LIFEXP_EV, sizeof(head) + head.count * sizeof(fired[0]), fired, count * sizeof(fired[0]));
		head.count += count;
	}
	e->work.spikes += head.count;
	e->work.updates += p->n;
	e->work.fadd += 4ull * p->n;
	e->work.fmul += 5ull * p->n;
	e->work.fcmp += 2ull * p->n;
	e->work.lanes_busy += 11 * SNPU_TILES((uint64_t)p->n);
	e->work.scanned += p->n;
	e->work.sorted += head.count;
	return r ? r : engine_arg_write(e, LIFEXP_EV, 0, &head, sizeof(head));
}
