/* SPDX-License-Identifier: MIT */
/*
 * The state of a sample that goes on from call to call: every node's piece of STATE, in the order of the model's nodes, then what
 * segments keep of their inputs. A piece has the same size and bytes in every plan, so a state outlives its devices and can be
 * saved. Belongs to the session's thread.
 */
#include "sched/session.h"

#include <stdlib.h>
#include <string.h>

#define STATE_MAGIC	0x31455441544e5053ull	/* "SPNTATE1", little-endian */

struct state_header {
	uint64_t magic, model;			/* model: hash of what makes two states incompatible */
	uint64_t size, reserved;		/* bytes behind the header */
};

/* A node's slot, NULL when it executes nothing. */
static const struct snpu_slot *slot_of(const struct snpu_session *s, unsigned node, struct snpu_context **c)
{
	unsigned k = s->plan.segment_of[node];

	if (k == SNPU_NONE)
		return NULL;
	*c = s->contexts ? &s->contexts[k] : NULL;
	return &s->plan.segments[k].slots[s->plan.slot_of[node]];
}

/* Of inputs that are heard a step late. */
static uint64_t inputs_bytes(const struct snpu_session *s)
{
	uint64_t size = 0;

	for (unsigned k = 0; k < s->plan.n_segments; k++)
		size += s->plan.segments[k].imports_state_size;
	return size;
}

static uint64_t state_bytes(const struct snpu_session *s)
{
	struct snpu_context *c;
	uint64_t size = 0;

	for (unsigned i = 0; i < s->m->n_nodes; i++) {
		const struct snpu_slot *slot = slot_of(s, i, &c);

		size += slot ? slot->state_size : 0;
	}
	return size + inputs_bytes(s);
}

/* FNV-1a */
static uint64_t hashed(uint64_t hash, uint64_t number)
{
	for (unsigned b = 0; b < 8; b++)
		hash = (hash ^ (number >> b * 8 & 0xff)) * 0x100000001b3ull;
	return hash;
}

/* Of what the pieces are: rule of delays; number system, unless it is floats; type, size and bytes of each node; bytes of what is kept of inputs. */
static uint64_t model_hash(const struct snpu_session *s)
{
	uint64_t hash = hashed(0xcbf29ce484222325ull, s->sem.delay);
	struct snpu_context *c;

	if (snpu_number_is_q(&s->sem))
		hash = hashed(hash, s->sem.number);
	for (unsigned i = 0; i < s->m->n_nodes; i++) {
		const struct snpu_slot *slot = slot_of(s, i, &c);

		hash = hashed(hash, s->m->nodes[i].kind->id);
		hash = hashed(hash, s->m->nodes[i].size);
		hash = hashed(hash, slot ? slot->state_size : 0);
	}
	return hashed(hash, inputs_bytes(s));
}

int snpu_session_state_need(struct snpu_session *s)
{
	if (!s->state)
		s->state = calloc(1, state_bytes(s) + 1);
	return s->state ? 0 : snpu_fail(-ENOMEM, "no memory for the %llu bytes of a session's state", (unsigned long long)state_bytes(s));
}

static uint8_t *move_piece(const struct snpu_context *c, uint64_t at, uint64_t size, uint8_t *p, bool put)
{
	uint8_t *mem = size ? (uint8_t *)c->region[SNPU_REGION_STATE].map + at : NULL;

	if (size)
		memcpy(put ? mem : p, put ? p : mem, size);
	return p + size;
}

/* Copies all pieces to (put) or from the devices. */
static void move(struct snpu_session *s, bool put)
{
	uint8_t *p = s->state;

	for (unsigned i = 0; i < s->m->n_nodes; i++) {
		struct snpu_context *c = NULL;
		const struct snpu_slot *slot = slot_of(s, i, &c);

		if (slot)
			p = move_piece(c, slot->state_at, slot->state_size, p, put);
	}
	for (unsigned k = 0; k < s->plan.n_segments; k++)
		p = move_piece(&s->contexts[k], s->plan.segments[k].imports_state_at, s->plan.segments[k].imports_state_size, p, put);
}

void snpu_session_state_put(struct snpu_session *s)
{
	move(s, true);
}

void snpu_session_state_get(struct snpu_session *s)
{
	move(s, false);
}

uint64_t snpu_session_state_size(const struct snpu_session *s)
{
	return sizeof(struct state_header) + state_bytes(s);
}

int snpu_session_state_save(struct snpu_session *s, void *mem)
{
	struct state_header h = { .magic = STATE_MAGIC, .model = model_hash(s), .size = state_bytes(s) };
	int err = snpu_session_state_need(s);

	if (err)
		return err;
	memcpy(mem, &h, sizeof(h));
	memcpy((uint8_t *)mem + sizeof(h), s->state, h.size);
	return 0;
}

int snpu_session_state_load(struct snpu_session *s, const void *mem, uint64_t size)
{
	struct state_header h;
	int err = snpu_session_state_need(s);

	if (err)
		return err;
	if (!mem) {
		memset(s->state, 0, state_bytes(s));
		return 0;
	}
	if (size < sizeof(h))
		return snpu_fail(-EBADMSG, "a session's state has at least %zu bytes, this one %llu; save it again", sizeof(h), (unsigned long long)size);
	memcpy(&h, mem, sizeof(h));
	if (h.magic != STATE_MAGIC || h.size != size - sizeof(h))
		return snpu_fail(-EBADMSG, "these %llu bytes are no session's state, or cut off; save it again", (unsigned long long)size);
	if (h.model != model_hash(s) || h.size != state_bytes(s))
		return snpu_fail(-EINVAL, "the state is of a model with other nodes, or of another rule of delays; load it into a session of the model it was saved from");
	memcpy(s->state, (const uint8_t *)mem + sizeof(h), h.size);
	return 0;
}
