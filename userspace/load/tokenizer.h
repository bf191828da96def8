/* SPDX-License-Identifier: MIT */
/*
 * Byte-level BPE as Qwen2 uses it: added tokens, NFC, the pre-tokenizer's pattern, bytes, merges by rank. Parses from memory; the
 * files' text is only read while it is created. The pattern and the order of steps are in tokenizer.c; docs/models.md tells what
 * of the original's files is used.
 *
 * A tokenizer is constant after creation; any thread may use it.
 */
#ifndef SNPU_LOAD_TOKENIZER_H
#define SNPU_LOAD_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

struct snpu_tokenizer;

/* The files of a model folder; a NULL text means the file is absent (vocab and merges are required). */
struct snpu_tokenizer_files {
	const char *vocab;			/* vocab.json */
	size_t vocab_size;
	const char *merges;			/* merges.txt */
	size_t merges_size;
	const char *added;			/* added_tokens.json */
	size_t added_size;
	const char *config;			/* tokenizer_config.json: class, added_tokens_decoder, chat_template (only recognised, not executed) */
	size_t config_size;
};

/* -EBADMSG: damaged or hostile; -ENOTSUP a tokenizer of another kind; -ENOMEM. */
int snpu_tokenizer_create(const struct snpu_tokenizer_files *files, struct snpu_tokenizer **tok) SNPU_MUST_CHECK;
void snpu_tokenizer_free(struct snpu_tokenizer *tok);

/* Highest id plus one. */
uint32_t snpu_tokenizer_size(const struct snpu_tokenizer *tok);

/* 1: chats are ChatML, as chat.h writes them: the chat template says so, or there is none and the tokenizer has its tokens. */
int snpu_tokenizer_chatml(const struct snpu_tokenizer *tok);

/*
 * Text to ids; *ids is allocated, free() it. Text is UTF-8; where it is not, each longest part that could have begun a character
 * is taken as U+FFFD, like Python's errors="replace" does. Added tokens in the text become their ids when `special`; otherwise
 * they are plain text. -ENOMEM, -E2BIG: more than 64 MiB.
 */
int snpu_tokenizer_encode(const struct snpu_tokenizer *tok, const char *text, size_t len, int special, uint32_t **ids,
			  size_t *n) SNPU_MUST_CHECK;

/* The bytes of one id (not necessarily whole characters); NULL and 0 when there is no such id. Valid as long as the tokenizer. */
const char *snpu_tokenizer_bytes(const struct snpu_tokenizer *tok, uint32_t id, size_t *len);

/* Id of a token by its text ("<|im_end|>"), or UINT32_MAX. */
uint32_t snpu_tokenizer_find(const struct snpu_tokenizer *tok, const char *text);

#endif
