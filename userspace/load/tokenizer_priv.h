/* SPDX-License-Identifier: MIT */
/* What the parts of the tokenizer share: its tables, and the buffers of one encoding. Nothing here is seen outside load/. */
#ifndef SNPU_LOAD_TOKENIZER_PRIV_H
#define SNPU_LOAD_TOKENIZER_PRIV_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "load/tokenizer.h"

#define SNPU_NO_ID	UINT32_MAX

/* `left` and `right` side by side become `id`; the lowest rank goes first. */
struct snpu_merge {
	uint32_t left, right, rank, id;
};

struct snpu_tokenizer {
	uint32_t n;				/* highest id plus one */
	struct snpu_token {
		uint32_t off, len;		/* bytes in pool; len 0: no such token */
	} *token;				/* [n] */
	char *pool;
	uint32_t byte_id[256];			/* the token of each single byte */
	struct snpu_merge *merge;		/* by left, then right */
	uint32_t *first;			/* [n + 1]: merges of `left` are first[left] to first[left + 1] */
	uint32_t *added, n_added;		/* ids of added tokens, by their bytes */
	bool added_starts[256];			/* an added token begins with this byte */
	bool chatml;
	pcre2_code *pattern;
};

static inline const uint8_t *snpu_token_bytes(const struct snpu_tokenizer *tok, uint32_t id)
{
	return (const uint8_t *)tok->pool + tok->token[id].off;
}

/* vocab.c: fills all tables but the pattern. On error the caller frees what is there. */
int snpu_tokenizer_parse(const struct snpu_tokenizer_files *f, struct snpu_tokenizer *tok) SNPU_MUST_CHECK;

/* A vector that grows; memory of malloc. */
struct snpu_buf {
	void *p;
	size_t n, cap;				/* elements */
};
/* Room for `more` elements of `size` bytes behind the n that are there. -ENOMEM. */
int snpu_buf_room(struct snpu_buf *b, size_t more, size_t size) SNPU_MUST_CHECK;

/* pretokenize.c */
struct snpu_nfc {
	struct snpu_buf out;			/* char: UTF-8 in normal form C */
	struct snpu_buf chars, sorted;		/* int32_t: of the stretch at work */
};
/* Replaces what is in nfc->out. -ENOMEM. */
int snpu_nfc(struct snpu_nfc *nfc, const char *text, size_t len) SNPU_MUST_CHECK;

int snpu_pattern_compile(pcre2_code **pattern) SNPU_MUST_CHECK;
struct snpu_pieces {
	const pcre2_code *pattern;
	pcre2_match_data *match;
	pcre2_match_context *limits;
};
int snpu_pieces_init(struct snpu_pieces *p, const pcre2_code *pattern) SNPU_MUST_CHECK;
void snpu_pieces_done(struct snpu_pieces *p);
/* *end: where the piece that begins at `at` < len ends. Text is valid UTF-8. */
int snpu_pieces_next(struct snpu_pieces *p, const char *text, size_t len, size_t at, size_t *end) SNPU_MUST_CHECK;

/* bpe.c: memory for merging one piece, to be used again for the next. */
struct snpu_bpe {
	struct snpu_buf link, heap;
};
/* Appends the ids of a piece of text of fewer than 2^31 bytes, n > 0. -ENOMEM. */
int snpu_bpe(const struct snpu_tokenizer *tok, struct snpu_bpe *w, const uint8_t *piece, size_t n, struct snpu_buf *ids) SNPU_MUST_CHECK;

#endif
