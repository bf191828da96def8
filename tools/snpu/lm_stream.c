// SPDX-License-Identifier: MIT
/*
 * Bytes of tokens as text: a token may end inside a character, and a model may make bytes that are no text. What goes out is always
 * UTF-8, a character as soon as it is whole. Caller's thread.
 */
#include "lm.h"

#include <stdlib.h>
#include <string.h>

static void give(struct snpu_lm_stream *s, const void *bytes, size_t n)
{
	char *grown = realloc(s->text, s->size + n + 1);

	if (s->out)
		fwrite(bytes, 1, n, s->out);
	if (!grown)
		return;				/* what is on the screen stays right */
	s->text = grown;
	memcpy(s->text + s->size, bytes, n);
	s->size += n;
	s->text[s->size] = 0;
}

/* Bytes of the character that begins so; 0: none does. */
static unsigned int length_of(unsigned char lead)
{
	return lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

/* May `b` follow the bytes that are there? Neither overlong forms nor surrogates nor what is past U+10FFFF. */
static bool follows(const struct snpu_lm_stream *s, unsigned char b)
{
	unsigned char lead = s->tail[0], min = 0x80, max = 0xbf;

	if (s->n_tail == 1) {
		min = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : min;
		max = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : max;
	}
	return b >= min && b <= max;
}

void snpu_lm_stream_end(struct snpu_lm_stream *s)
{
	if (s->n_tail)
		give(s, "\xef\xbf\xbd", 3);
	s->n_tail = 0;
	if (s->out)
		fflush(s->out);
}

static void put_byte(struct snpu_lm_stream *s, unsigned char b)
{
	if (s->n_tail && !follows(s, b)) {
		give(s, "\xef\xbf\xbd", 3);
		s->n_tail = 0;
	}
	if (!s->n_tail && !length_of(b)) {
		give(s, "\xef\xbf\xbd", 3);
		return;
	}
	s->tail[s->n_tail++] = b;
	if (s->n_tail == length_of(s->tail[0])) {
		give(s, s->tail, s->n_tail);
		s->n_tail = 0;
	}
}

void snpu_lm_stream_put(struct snpu_lm_stream *s, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_byte(s, (unsigned char)bytes[i]);
	if (s->out)
		fflush(s->out);
}

void snpu_lm_stream_free(struct snpu_lm_stream *s)
{
	free(s->text);
	memset(s, 0, sizeof(*s));
}

char *snpu_lm_token_text(const struct snpu_lm *lm, uint32_t id)
{
	struct snpu_lm_stream s = { 0 };
	size_t n = 0;
	const char *bytes = snpu_lm_token(lm, id, &n);

	snpu_lm_stream_put(&s, bytes ? bytes : "", bytes ? n : 0);
	snpu_lm_stream_end(&s);
	return s.text ? s.text : strdup("");
}
