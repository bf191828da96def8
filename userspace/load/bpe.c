/* SPDX-License-Identifier: MIT */
/*
 * Byte pair encoding of one piece of text: starts with the token of each byte, and as long as two neighbours have a merge, does
 * the one of lowest rank, the leftmost among equals. A linked list of tokens and a heap of candidates, so that n bytes take
 * n log n steps however long the piece is. Pure functions; threads share only the constant tables.
 */
#include <stdlib.h>

#include "load/tokenizer_priv.h"

/* A token of the piece, named by the position of its first byte. */
struct link {
	uint32_t id, prev, next;		/* next: the piece's length at the last token */
	uint32_t rank, merged;			/* of the merge with the next token; rank NO_ID: none, or this token is gone */
};

static const struct snpu_merge *find(const struct snpu_tokenizer *tok, uint32_t left, uint32_t right)
{
	uint32_t lo = tok->first[left], hi = tok->first[left + 1], end = hi;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (tok->merge[mid].right < right)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < end && tok->merge[lo].right == right ? &tok->merge[lo] : NULL;
}

/* Candidates are rank << 32 | position. One whose pair has changed stays in the heap and is found out when it comes up. */
static void push(struct snpu_buf *heap, uint64_t key)
{
	uint64_t *h = heap->p;
	size_t i = heap->n++;

	for (; i && h[(i - 1) / 2] > key; i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = key;
}

static uint64_t pop(struct snpu_buf *heap)
{
	uint64_t *h = heap->p, top = h[0], last = h[--heap->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < heap->n) {
		if (child + 1 < heap->n && h[child + 1] < h[child])
			child++;
		if (h[child] >= last)
			break;
		h[i] = h[child];
		i = child;
	}
	h[i] = last;
	return top;
}

/* Looks up the merge of the token at `i` with the one behind it. */
static void offer(const struct snpu_tokenizer *tok, struct snpu_bpe *w, uint32_t i, uint32_t n)
{
	struct link *l = w->link.p;
	const struct snpu_merge *m = l[i].next < n ? find(tok, l[i].id, l[l[i].next].id) : NULL;

	l[i].rank = m ? m->rank : SNPU_NO_ID;
	if (!m)
		return;
	l[i].merged = m->id;
	push(&w->heap, (uint64_t)m->rank << 32 | i);
}

int snpu_bpe(const struct snpu_tokenizer *tok, struct snpu_bpe *w, const uint8_t *piece, size_t n, struct snpu_buf *ids)
{
	struct link *l;
	int err = snpu_buf_room(ids, n, sizeof(uint32_t));

	/* n - 1 candidates at first; a merge takes one out and puts two in, and there are fewer than n. */
	w->link.n = w->heap.n = 0;
	if (!err)
		err = snpu_buf_room(&w->link, n, sizeof(struct link));
	if (!err)
		err = snpu_buf_room(&w->heap, 2 * n, sizeof(uint64_t));
	if (err)
		return err;
	l = w->link.p;
	for (uint32_t i = 0; i < n; i++)
		l[i] = (struct link){ .id = tok->byte_id[piece[i]], .prev = i ? i - 1 : SNPU_NO_ID, .next = i + 1, .rank = SNPU_NO_ID };
	for (uint32_t i = 0; i < n; i++)
		offer(tok, w, i, (uint32_t)n);
	while (w->heap.n) {
		uint64_t key = pop(&w->heap);
		uint32_t i = (uint32_t)key, gone = l[i].next;

		if (l[i].rank != key >> 32)
			continue;
		l[i].id = l[i].merged;
		l[i].next = l[gone].next;
		l[gone].rank = SNPU_NO_ID;
		if (l[i].next < n)
			l[l[i].next].prev = i;
		offer(tok, w, i, (uint32_t)n);
		if (l[i].prev != SNPU_NO_ID)
			offer(tok, w, l[i].prev, (uint32_t)n);
	}
	for (uint32_t i = 0; i < n; i = l[i].next)
		((uint32_t *)ids->p)[ids->n++] = l[i].id;
	return 0;
}
