/* SPDX-License-Identifier: MIT */
/*
 * Reads the files of a byte-level BPE tokenizer in Hugging Face form into the tables of struct snpu_tokenizer: vocab.json,
 * merges.txt, added_tokens.json, tokenizer_config.json. Nothing in them is trusted: every id, name and merge is checked here, so
 * that encoding need not. Threads share nothing.
 *
 * In vocab.json and merges.txt a token is written with one character for each byte: printable Latin-1 stands for itself, the
 * other 68 bytes are U+0100 to U+0143, in order.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "load/tokenizer_priv.h"

#define MAX_FILE	(64u << 20)		/* bytes; the largest vocabularies have 10 MB */
#define MAX_IDS		(1u << 20)		/* bounds the tables, whatever id a file names */
#define MAX_TOKEN	1024u			/* bytes as written */

struct added {
	const char *text;			/* in the JSON */
	size_t len;
	uint32_t id;
};

struct parse {
	struct snpu_tokenizer *tok;
	json_t *vocab, *added_json, *config;
	uint32_t n_vocab;
	struct added *added;			/* [n_added], room for all that the files name */
	size_t n_added;
	size_t pool_used;
};

#define DAMAGED(fmt, ...)	snpu_fail(-EBADMSG, fmt "; copy the file again" __VA_OPT__(,) __VA_ARGS__)

static int parse_json(const char *name, const char *text, size_t size, json_t **json)
{
	json_error_t e;

	if (size > MAX_FILE)
		return DAMAGED("%s has %zu bytes, more than %u that a tokenizer may have", name, size, MAX_FILE);
	*json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
	if (!*json)
		return json_error_code(&e) == json_error_out_of_memory ? snpu_fail(-ENOMEM, "no memory to read %s; end other programs", name) :
		       DAMAGED("%s is damaged in line %d: %s", name, e.line, e.text);
	return json_is_object(*json) ? 0 : DAMAGED("%s is no JSON object", name);
}

/* --- vocab.json -------------------------------------------------------------------------------------------------- */

/* The byte that a character stands for, -1 when it stands for none. */
static int byte_of(unsigned int c)
{
	if (c > 0x20 && c < 0x100 && (c < 0x7f || c > 0xa0) && c != 0xad)
		return (int)c;
	if (c < 0x100 || c > 0x143)
		return -1;
	c -= 0x100;
	return c <= 0x20 ? (int)c : c <= 0x42 ? (int)(0x7f + c - 0x21) : 0xad;
}

/* A token as written to its bytes, which are no more; false when a character stands for no byte. */
static bool spell(const char *text, size_t len, char *out, uint32_t *n)
{
	*n = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned int c = (uint8_t)text[i];
		int b;

		if (c >= 0xc2 && c <= 0xc5 && i + 1 < len && ((uint8_t)text[i + 1] & 0xc0) == 0x80)
			c = (c & 0x1f) << 6 | ((uint8_t)text[++i] & 0x3f);
		else if (c >= 0x80)
			return false;
		b = byte_of(c);
		if (b < 0)
			return false;
		out[(*n)++] = (char)b;
	}
	return true;
}

/* Entries are checked and counted first: the tables get their sizes from that. */
static int check_vocab(struct parse *p, size_t *bytes)
{
	const char *key;
	json_t *id;

	if (json_object_size(p->vocab) > MAX_IDS)
		return DAMAGED("vocab.json has %zu tokens, more than %u", json_object_size(p->vocab), MAX_IDS);
	p->n_vocab = (uint32_t)json_object_size(p->vocab);
	json_object_foreach(p->vocab, key, id) {
		size_t len = strlen(key);

		if (!len || len > MAX_TOKEN)
			return DAMAGED("a token of vocab.json has %zu bytes, 1 to %u are possible", len, MAX_TOKEN);
		if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= p->n_vocab)
			return DAMAGED("token '%s' of vocab.json has an id outside of 0 to %u, its number of tokens less one", key, p->n_vocab - 1);
		*bytes += len;
	}
	return 0;
}

static int fill_vocab(struct parse *p)
{
	struct snpu_tokenizer *t = p->tok;
	const char *key;
	json_t *value;

	memset(t->byte_id, 0xff, sizeof(t->byte_id));
	json_object_foreach(p->vocab, key, value) {
		uint32_t id = (uint32_t)json_integer_value(value);
		struct snpu_token *token = &t->token[id];

		if (token->len)
			return DAMAGED("two tokens of vocab.json have id %u, one is '%s'", id, key);
		token->off = (uint32_t)p->pool_used;
		if (!spell(key, strlen(key), t->pool + token->off, &token->len))
			return snpu_fail(-ENOTSUP, "token '%s' of vocab.json is not written in characters for bytes; only byte-level BPE is supported",
					 key);
		p->pool_used += token->len;
		if (token->len == 1)
			t->byte_id[*snpu_token_bytes(t, id)] = id;
	}
	for (unsigned int b = 0; b < 256; b++)
		if (t->byte_id[b] == SNPU_NO_ID)
			return snpu_fail(-ENOTSUP, "vocab.json has no token for byte 0x%02x; only byte-level BPE, which has one for each, is supported",
					 b);
	return 0;
}

/* --- added tokens ------------------------------------------------------------------------------------------------ */

static int add(struct parse *p, const char *file, const char *text, long long id)
{
	size_t len = strlen(text);

	if (!len || len > MAX_TOKEN)
		return DAMAGED("an added token of %s has %zu bytes, 1 to %u are possible", file, len, MAX_TOKEN);
	if (id < 0 || id >= MAX_IDS)
		return DAMAGED("added token '%s' of %s has id %lld, 0 to %u are possible", text, file, id, MAX_IDS - 1);
	p->added[p->n_added++] = (struct added){ text, len, (uint32_t)id };
	return 0;
}

/* {"<|im_end|>": 151645, ...} */
static int read_added(struct parse *p)
{
	const char *key;
	json_t *id;
	int err = 0;

	json_object_foreach(p->added_json, key, id) {
		err = json_is_integer(id) ? add(p, "added_tokens.json", key, json_integer_value(id)) :
		      DAMAGED("added token '%s' of added_tokens.json has an id that is no integer", key);
		if (err)
			return err;
	}
	return 0;
}

/* {"151645": {"content": "<|im_end|>", ...}, ...} */
static int read_decoder(struct parse *p, json_t *decoder)
{
	static const char *const trims[] = { "lstrip", "rstrip", "single_word" };
	const char *key;
	json_t *token;

	json_object_foreach(decoder, key, token) {
		const char *text = json_string_value(json_object_get(token, "content"));
		size_t digits = strspn(key, "0123456789");
		int err;

		if (!digits || digits > 7 || key[digits])
			return DAMAGED("added_tokens_decoder of tokenizer_config.json has '%s' for an id", key);
		if (!text)
			return DAMAGED("added token %s of tokenizer_config.json has no content", key);
		for (unsigned int i = 0; i < 3; i++)
			if (json_is_true(json_object_get(token, trims[i])))
				return snpu_fail(-ENOTSUP, "added token '%s' has %s set, which is not supported; use the tokenizer of a SpikingBrain model",
						 text, trims[i]);
		err = add(p, "tokenizer_config.json", text, atol(key));
		if (err)
			return err;
	}
	return 0;
}

/* What in tokenizer_config.json would make it another tokenizer. Keys that Qwen2's does not look at are not looked at. */
static int check_config(struct parse *p)
{
	static const char *const flags[] = { "add_prefix_space", "split_special_tokens" };
	json_t *class = json_object_get(p->config, "tokenizer_class"), *decoder = json_object_get(p->config, "added_tokens_decoder");
	const char *name = json_string_value(class);

	if (class && (!name || (strcmp(name, "Qwen2Tokenizer") && strcmp(name, "Qwen2TokenizerFast"))))
		return snpu_fail(-ENOTSUP, "the tokenizer is a '%s', only Qwen2Tokenizer is supported; use the files of a SpikingBrain model",
				 name ? name : "?");
	for (unsigned int i = 0; i < 2; i++)
		if (json_is_true(json_object_get(p->config, flags[i])))
			return snpu_fail(-ENOTSUP, "tokenizer_config.json has %s set, which is not supported; use the files of a SpikingBrain model",
					 flags[i]);
	if (decoder && !json_is_object(decoder))
		return DAMAGED("added_tokens_decoder of tokenizer_config.json is no object");
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct added *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct added *)a)->text, ((const struct added *)b)->text);
}

/* Both files usually name the same tokens; one of each stays. */
static int unite_added(struct parse *p)
{
	size_t n = 0;

	if (p->n_added)
		qsort(p->added, p->n_added, sizeof(*p->added), by_id);
	for (size_t i = 0; i < p->n_added; i++) {
		if (n && p->added[n - 1].id == p->added[i].id) {
			if (strcmp(p->added[n - 1].text, p->added[i].text))
				return DAMAGED("added tokens '%s' and '%s' have the same id %u", p->added[n - 1].text, p->added[i].text, p->added[i].id);
			continue;
		}
		p->added[n++] = p->added[i];
	}
	p->n_added = n;
	if (n)
		qsort(p->added, n, sizeof(*p->added), by_text);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(p->added[i - 1].text, p->added[i].text))
			return DAMAGED("added token '%s' has two ids, %u and %u", p->added[i].text, p->added[i - 1].id, p->added[i].id);
	return 0;
}

static int gather_added(struct parse *p)
{
	json_t *decoder = json_object_get(p->config, "added_tokens_decoder");
	size_t most = json_object_size(p->added_json) + json_object_size(decoder);
	int err;

	p->added = calloc(most ? most : 1, sizeof(*p->added));
	if (!p->added)
		return snpu_fail(-ENOMEM, "no memory for %zu added tokens; end other programs", most);
	err = read_added(p);
	if (!err)
		err = read_decoder(p, decoder);
	return err ? err : unite_added(p);
}

static int fill_added(struct parse *p)
{
	struct snpu_tokenizer *t = p->tok;

	for (size_t i = 0; i < p->n_added; i++) {
		const struct added *a = &p->added[i];
		struct snpu_token *token = &t->token[a->id];

		if (token->len && (token->len != a->len || memcmp(snpu_token_bytes(t, a->id), a->text, a->len)))
			return DAMAGED("added token '%s' has id %u, which is another token in vocab.json", a->text, a->id);
		if (!token->len) {
			*token = (struct snpu_token){ (uint32_t)p->pool_used, (uint32_t)a->len };
			memcpy(t->pool + token->off, a->text, a->len);
			p->pool_used += a->len;
		}
		t->added[t->n_added++] = a->id;
		t->added_starts[(uint8_t)*a->text] = true;
	}
	return 0;
}

/* ChatML: the template says so, or there is none and the tokens are there. */
static bool is_chatml(struct parse *p)
{
	static const char *const marks[] = { "<|im_start|>", "<|im_end|>" };
	json_t *template = json_object_get(p->config, "chat_template");
	unsigned int found = 0;

	for (unsigned int m = 0; m < 2; m++) {
		if (json_is_string(template))
			found += strstr(json_string_value(template), marks[m]) != NULL;
		for (size_t i = 0; !template && i < p->n_added; i++)
			found += !strcmp(p->added[i].text, marks[m]);
	}
	return found == 2;
}

/* --- merges.txt -------------------------------------------------------------------------------------------------- */

/* Id of a token as written; the vocabulary was checked. */
static uint32_t id_of(struct parse *p, const char *text, size_t len)
{
	json_t *id = json_object_getn(p->vocab, text, len);

	return id ? (uint32_t)json_integer_value(id) : SNPU_NO_ID;
}

/* "LEFT RIGHT" of the vocabulary, whose concatenation is a token, too: a merge makes a longer token, so merging ends. */
static int read_merge(struct parse *p, const char *line, size_t len, size_t number, struct snpu_merge *m)
{
	const char *space = memchr(line, ' ', len);
	size_t left = space ? (size_t)(space - line) : 0, right = space ? len - left - 1 : 0;
	char both[2 * MAX_TOKEN];

	if (!left || !right || memchr(space + 1, ' ', right))
		return DAMAGED("line %zu of merges.txt is not two tokens with a space between", number);
	if (left > MAX_TOKEN || right > MAX_TOKEN)
		return DAMAGED("line %zu of merges.txt has a token of more than %u bytes", number, MAX_TOKEN);
	memcpy(both, line, left);
	memcpy(both + left, space + 1, right);
	m->left = id_of(p, line, left);
	m->right = id_of(p, space + 1, right);
	m->id = id_of(p, both, left + right);
	if (m->left == SNPU_NO_ID || m->right == SNPU_NO_ID || m->id == SNPU_NO_ID)
		return DAMAGED("line %zu of merges.txt, '%.*s', has or makes a token that vocab.json does not have", number, (int)len, line);
	return 0;
}

static int by_pair(const void *a, const void *b)
{
	const struct snpu_merge *x = a, *y = b;

	if (x->left != y->left)
		return x->left < y->left ? -1 : 1;
	return x->right < y->right ? -1 : x->right > y->right;
}

static int sort_merges(struct snpu_tokenizer *t, uint32_t n)
{
	if (n)
		qsort(t->merge, n, sizeof(*t->merge), by_pair);
	for (uint32_t i = 1; i < n; i++)
		if (!by_pair(&t->merge[i - 1], &t->merge[i]))
			return DAMAGED("merges %u and %u of merges.txt are the same pair of tokens", t->merge[i - 1].rank + 1, t->merge[i].rank + 1);
	for (uint32_t i = 0; i < n; i++)
		t->first[t->merge[i].left + 1]++;
	for (uint32_t id = 0; id < t->n; id++)
		t->first[id + 1] += t->first[id];
	return 0;
}

static int fill_merges(struct parse *p, const char *text, size_t size)
{
	struct snpu_tokenizer *t = p->tok;
	const char *end = text + size, *stop;
	size_t lines = 1, number = 1;
	uint32_t n = 0;

	if (size > MAX_FILE)
		return DAMAGED("merges.txt has %zu bytes, more than %u that a tokenizer may have", size, MAX_FILE);
	for (const char *s = text; s < end && (s = memchr(s, '\n', (size_t)(end - s))); s++)
		lines++;
	if (lines > MAX_IDS)
		return DAMAGED("merges.txt has %zu lines, more than %u", lines, MAX_IDS);
	t->merge = calloc(lines, sizeof(*t->merge));
	t->first = calloc((size_t)t->n + 1, sizeof(*t->first));
	if (!t->merge || !t->first)
		return snpu_fail(-ENOMEM, "no memory for %zu merges; end other programs", lines);
	for (const char *line = text; line < end; line = stop + 1, number++) {
		size_t len;
		int err;

		stop = memchr(line, '\n', (size_t)(end - line));
		stop = stop ? stop : end;
		len = (size_t)(stop - line);
		len -= len && line[len - 1] == '\r';
		if (!len || (number == 1 && len >= 8 && !memcmp(line, "#version", 8)))
			continue;
		err = read_merge(p, line, len, number, &t->merge[n]);
		if (err)
			return err;
		t->merge[n].rank = n;
		n++;
	}
	return sort_merges(t, n);
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static int make_tables(struct parse *p, size_t bytes)
{
	struct snpu_tokenizer *t = p->tok;

	t->n = p->n_vocab;
	for (size_t i = 0; i < p->n_added; i++) {
		bytes += p->added[i].len;
		if (p->added[i].id >= t->n)
			t->n = p->added[i].id + 1;
	}
	t->token = calloc(t->n ? t->n : 1, sizeof(*t->token));
	t->pool = malloc(bytes ? bytes : 1);
	t->added = calloc(p->n_added ? p->n_added : 1, sizeof(*t->added));
	return t->token && t->pool && t->added ? 0 : snpu_fail(-ENOMEM, "no memory for %u tokens; end other programs", t->n);
}

static int parse(struct parse *p, const struct snpu_tokenizer_files *f)
{
	size_t bytes = 0;
	int err = parse_json("vocab.json", f->vocab, f->vocab_size, &p->vocab);

	if (!err && f->added)
		err = parse_json("added_tokens.json", f->added, f->added_size, &p->added_json);
	if (!err && f->config)
		err = parse_json("tokenizer_config.json", f->config, f->config_size, &p->config);
	if (!err)
		err = check_config(p);
	if (!err)
		err = check_vocab(p, &bytes);
	if (!err)
		err = gather_added(p);
	if (!err)
		err = make_tables(p, bytes);
	if (!err)
		err = fill_vocab(p);
	if (!err)
		err = fill_added(p);
	if (!err)
		err = fill_merges(p, f->merges, f->merges_size);
	p->tok->chatml = !err && is_chatml(p);
	return err;
}

int snpu_tokenizer_parse(const struct snpu_tokenizer_files *f, struct snpu_tokenizer *tok)
{
	struct parse p = { .tok = tok };
	int err;

	if (!f->vocab || !f->merges)
		return snpu_fail(-ENOTSUP, "the tokenizer has no %s; only byte-level BPE with vocab.json and merges.txt is supported",
				 f->vocab ? "merges.txt" : "vocab.json");
	err = parse(&p, f);
	free(p.added);
	json_decref(p.vocab);
	json_decref(p.added_json);
	json_decref(p.config);
	return err;
}
