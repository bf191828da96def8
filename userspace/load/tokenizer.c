/* SPDX-License-Identifier: MIT */
/*
 * The tokenizer as others see it. Encoding takes these steps, in this order:
 *
 *	added tokens are cut out of the text (the leftmost, of those the longest), when they are wanted
 *	bytes that are no UTF-8 become U+FFFD, the rest takes normal form C		pretokenize.c
 *	Qwen2's pattern cuts it into pieces: words, digits, marks, spaces		pretokenize.c
 *	the bytes of each piece are merged by rank					bpe.c
 *
 * No token is put in front, no space either. Constant after creation; what an encoding needs is its own.
 */
#include <stdlib.h>
#include <string.h>

#include "load/tokenizer_priv.h"

#define MAX_TEXT	(64u << 20)		/* bytes; positions fit in 32 bits after normalisation, too */

int snpu_tokenizer_create(const struct snpu_tokenizer_files *files, struct snpu_tokenizer **tok)
{
	struct snpu_tokenizer *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return snpu_fail(-ENOMEM, "no memory for a tokenizer; end other programs");
	err = snpu_tokenizer_parse(files, t);
	if (!err)
		err = snpu_pattern_compile(&t->pattern);
	if (err)
		snpu_tokenizer_free(t);
	else
		*tok = t;
	return err;
}

void snpu_tokenizer_free(struct snpu_tokenizer *tok)
{
	if (!tok)
		return;
	pcre2_code_free(tok->pattern);
	free(tok->token);
	free(tok->pool);
	free(tok->merge);
	free(tok->first);
	free(tok->added);
	free(tok);
}

uint32_t snpu_tokenizer_size(const struct snpu_tokenizer *tok)
{
	return tok->n;
}

int snpu_tokenizer_chatml(const struct snpu_tokenizer *tok)
{
	return tok->chatml;
}

const char *snpu_tokenizer_bytes(const struct snpu_tokenizer *tok, uint32_t id, size_t *len)
{
	*len = id < tok->n ? tok->token[id].len : 0;
	return *len ? tok->pool + tok->token[id].off : NULL;
}

uint32_t snpu_tokenizer_find(const struct snpu_tokenizer *tok, const char *text)
{
	size_t len = strlen(text);

	/* Rarely asked for, so there is no table. From the end, where the added tokens are. */
	for (uint32_t id = tok->n; len && id-- > 0;)
		if (tok->token[id].len == len && !memcmp(snpu_token_bytes(tok, id), text, len))
			return id;
	return SNPU_NO_ID;
}

/* --- added tokens in a text -------------------------------------------------------------------------------------- */

/* The first of the added tokens [lo, hi), which are longer than `at` and in order there, whose byte at `at` is not below `c`. */
static uint32_t bound(const struct snpu_tokenizer *tok, uint32_t lo, uint32_t hi, size_t at, unsigned int c)
{
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (snpu_token_bytes(tok, tok->added[mid])[at] < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Length of the longest added token that the text begins with, 0 when there is none. */
static size_t match_added(const struct snpu_tokenizer *tok, const uint8_t *text, size_t len, uint32_t *id)
{
	uint32_t lo = 0, hi = tok->n_added;
	size_t best = 0;

	for (size_t at = 0; at < len; at++) {
		lo = bound(tok, lo, hi, at, text[at]);
		hi = bound(tok, lo, hi, at, text[at] + 1u);
		if (lo < hi && tok->token[tok->added[lo]].len == at + 1) {
			best = at + 1;
			*id = tok->added[lo++];
		}
		if (lo == hi)
			break;
	}
	return best;
}

/* Where the next added token begins (len: nowhere), its id and length. */
static size_t next_added(const struct snpu_tokenizer *tok, const uint8_t *text, size_t len, size_t at, uint32_t *id, size_t *size)
{
	for (*size = 0; at < len; at++)
		if (tok->added_starts[text[at]] && (*size = match_added(tok, text + at, len - at, id)) != 0)
			break;
	return at;
}

/* --- encoding ---------------------------------------------------------------------------------------------------- */

struct encoding {
	const struct snpu_tokenizer *tok;
	struct snpu_nfc nfc;
	struct snpu_pieces pieces;
	struct snpu_bpe bpe;
	struct snpu_buf ids;			/* uint32_t */
};

static int encode_plain(struct encoding *e, const char *text, size_t len)
{
	int err = snpu_nfc(&e->nfc, text, len);

	for (size_t at = 0, end; !err && at < e->nfc.out.n; at = end) {
		err = snpu_pieces_next(&e->pieces, e->nfc.out.p, e->nfc.out.n, at, &end);
		if (!err)
			err = snpu_bpe(e->tok, &e->bpe, (uint8_t *)e->nfc.out.p + at, end - at, &e->ids);
	}
	return err;
}

static int encode_all(struct encoding *e, const char *text, size_t len, bool special)
{
	int err = 0;

	for (size_t at = 0, end, size = 0; !err && at < len; at = end + size) {
		uint32_t id = SNPU_NO_ID;

		end = special ? next_added(e->tok, (const uint8_t *)text, len, at, &id, &size) : len;
		err = encode_plain(e, text + at, end - at);
		if (!err && size)
			err = snpu_buf_room(&e->ids, 1, sizeof(uint32_t));
		if (!err && size)
			((uint32_t *)e->ids.p)[e->ids.n++] = id;
	}
	return err;
}

int snpu_tokenizer_encode(const struct snpu_tokenizer *tok, const char *text, size_t len, int special, uint32_t **ids, size_t *n)
{
	struct encoding e = { .tok = tok };
	int err;

	if (len > MAX_TEXT)
		return snpu_fail(-E2BIG, "a text of %zu bytes is too long to encode, %u are possible; give it in parts", len, MAX_TEXT);
	err = snpu_pieces_init(&e.pieces, tok->pattern);
	if (!err)
		err = encode_all(&e, text, len, special);
	if (!err)
		err = snpu_buf_room(&e.ids, 1, sizeof(uint32_t));	/* an address also for no ids */
	snpu_pieces_done(&e.pieces);
	free(e.nfc.out.p);
	free(e.nfc.chars.p);
	free(e.nfc.sorted.p);
	free(e.bpe.link.p);
	free(e.bpe.heap.p);
	if (err) {
		free(e.ids.p);
		return err;
	}
	*ids = e.ids.p;
	*n = e.ids.n;
	return 0;
}
