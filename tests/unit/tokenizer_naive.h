/* SPDX-License-Identifier: MIT */
/*
 * A tokenizer as slow and as simple as can be, to compare with: it works on characters that stand for bytes, looks every pair up
 * in the text of merges.txt, and walks the branches of the pattern by hand. Shares no code with the library. Text is UTF-8 in
 * normal form C.
 */
#ifndef SNPU_TESTS_TOKENIZER_NAIVE_H
#define SNPU_TESTS_TOKENIZER_NAIVE_H

#include <jansson.h>
#include <utf8proc.h>

#include "tests/unit/tokenizer_rig.h"

struct naive {
	json_t *vocab;
	char **merge;				/* "LEFT RIGHT", by rank */
	unsigned int n_merges;
	char letter[256][3];			/* what each byte is written as */
};

TH_VAR void naive_load(struct naive *nv, const char *vocab, const char *merges)
{
	char *text = strdup(merges), *save = NULL;

	nv->vocab = json_loads(vocab, 0, NULL);
	nv->merge = calloc(strlen(merges) + 1, sizeof(*nv->merge));
	nv->n_merges = 0;
	for (unsigned int k = 0; k < 256; k++) {
		uint8_t byte;
		const char *letter = rig_letter(k, &byte);

		strcpy(nv->letter[byte], letter);
	}
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "#version", 8))
			nv->merge[nv->n_merges++] = strdup(line);
	free(text);
}

TH_VAR void naive_free(struct naive *nv)
{
	for (unsigned int i = 0; i < nv->n_merges; i++)
		free(nv->merge[i]);
	free(nv->merge);
	json_decref(nv->vocab);
}

static bool naive_l(int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

static bool naive_n(int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

static bool naive_s(int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return (c >= 9 && c <= 13) || c == 0x85 || (k >= UTF8PROC_CATEGORY_ZS && k <= UTF8PROC_CATEGORY_ZP);
}

static bool naive_nl(int32_t c)
{
	return c == '\r' || c == '\n';
}

static size_t naive_contraction(const int32_t *c, size_t n)
{
	static const char *const ends[] = { "s", "t", "re", "ve", "m", "ll", "d" };

	for (unsigned int e = 0; e < 7 && *c == '\''; e++) {
		size_t i = 0;

		for (; ends[e][i] && i + 1 < n; i++)
			if ((c[i + 1] == 0x17f ? 's' : c[i + 1] < 128 ? c[i + 1] | 0x20 : c[i + 1]) != ends[e][i])
				break;
		if (!ends[e][i])
			return i + 1;
	}
	return 0;
}

/* Characters of the piece that n > 0 characters begin with. */
TH_VAR size_t naive_piece(const int32_t *c, size_t n)
{
	size_t i = naive_contraction(c, n), spaces = 0, newline = 0;

	if (i)
		return i;
	i = !naive_nl(*c) && !naive_l(*c) && !naive_n(*c);
	if (i < n && naive_l(c[i])) {
		while (i < n && naive_l(c[i]))
			i++;
		return i;
	}
	if (naive_n(*c))
		return 1;
	i = *c == ' ';
	if (i < n && !naive_s(c[i]) && !naive_l(c[i]) && !naive_n(c[i])) {
		while (i < n && !naive_s(c[i]) && !naive_l(c[i]) && !naive_n(c[i]))
			i++;
		while (i < n && naive_nl(c[i]))
			i++;
		return i;
	}
	for (; spaces < n && naive_s(c[spaces]); spaces++)
		if (naive_nl(c[spaces]))
			newline = spaces + 1;
	return newline ? newline : spaces == n || spaces == 1 ? spaces : spaces - 1;
}

/* Merges one piece and appends its ids; false when there is no room or a token is missing. */
TH_VAR bool naive_merge(const struct naive *nv, const uint8_t *piece, size_t n, uint32_t *ids, size_t *n_ids, size_t room)
{
	static char word[512][1024];

	if (n > 512)
		return false;
	for (size_t i = 0; i < n; i++)
		strcpy(word[i], nv->letter[piece[i]]);
	for (;;) {
		unsigned int best = nv->n_merges;
		size_t at = 0;
		char pair[2100];

		for (size_t i = 0; i + 1 < n; i++) {
			stpcpy(stpcpy(stpcpy(pair, word[i]), " "), word[i + 1]);
			for (unsigned int m = 0; m < best; m++)
				if (!strcmp(nv->merge[m], pair)) {
					best = m;
					at = i;
				}
		}
		if (best == nv->n_merges)
			break;
		snprintf(word[at] + strlen(word[at]), 512, "%s", strchr(nv->merge[best], ' ') + 1);
		memmove(word[at + 1], word[at + 2], (n - at - 2) * sizeof(word[0]));
		n--;
	}
	for (size_t i = 0; i < n; i++) {
		json_t *id = json_object_get(nv->vocab, word[i]);

		if (!id || *n_ids == room)
			return false;
		ids[(*n_ids)++] = (uint32_t)json_integer_value(id);
	}
	return true;
}

TH_VAR bool naive_encode(const struct naive *nv, const char *text, uint32_t *ids, size_t *n_ids, size_t room)
{
	size_t len = strlen(text), n = 0;
	int32_t *c = calloc(len + 1, sizeof(*c));
	size_t *off = calloc(len + 1, sizeof(*off));
	bool ok = true;

	*n_ids = 0;
	for (size_t at = 0; at < len; n++) {
		off[n] = at;
		at += (size_t)utf8proc_iterate((const uint8_t *)text + at, -1, &c[n]);
	}
	off[n] = len;
	for (size_t i = 0, k; ok && i < n; i += k) {
		k = naive_piece(c + i, n - i);
		ok = naive_merge(nv, (const uint8_t *)text + off[i], off[i + k] - off[i], ids, n_ids, room);
	}
	free(c);
	free(off);
	return ok;
}

#endif
