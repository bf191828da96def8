/* SPDX-License-Identifier: MIT */
/*
 * What happens to text before bytes are merged: it becomes valid UTF-8 in normal form C and is cut into pieces by Qwen2's pattern.
 * Both take time linear in the text, whatever it is. Threads share only the compiled pattern, which is constant.
 */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "load/tokenizer_priv.h"

int snpu_buf_room(struct snpu_buf *b, size_t more, size_t size)
{
	size_t cap = b->cap + b->cap / 2;
	void *p;

	if (more <= b->cap - b->n)
		return 0;
	if (cap < b->n + more)
		cap = b->n + more;
	p = realloc(b->p, cap * size);
	if (!p)
		return snpu_fail(-ENOMEM, "no memory to tokenize text (%zu bytes wanted); give it in smaller parts", cap * size);
	b->p = p;
	b->cap = cap;
	return 0;
}

/*
 * One character; bytes that are none give U+FFFD for each longest part that could have begun one, as Python's errors="replace"
 * does. Returns the bytes it took.
 */
static size_t decode(const uint8_t *s, size_t n, int32_t *c)
{
	size_t more = *s >= 0xc2 && *s <= 0xdf ? 1 : *s >= 0xe0 && *s <= 0xef ? 2 : *s >= 0xf0 && *s <= 0xf4 ? 3 : 0, i;
	uint8_t lo = *s == 0xe0 ? 0xa0 : *s == 0xf0 ? 0x90 : 0x80;	/* no overlong forms, */
	uint8_t hi = *s == 0xed ? 0x9f : *s == 0xf4 ? 0x8f : 0xbf;	/* surrogates or what is past U+10FFFF */
	int32_t v = more ? *s & (0x3f >> more) : *s < 0x80 ? *s : 0xfffd;

	for (i = 1; i <= more; i++, lo = 0x80, hi = 0xbf) {
		if (i == n || s[i] < lo || s[i] > hi) {
			v = 0xfffd;
			break;
		}
		v = v << 6 | (s[i] & 0x3f);
	}
	*c = v;
	return i;
}

static unsigned int class_of(int32_t c)
{
	return (unsigned int)utf8proc_get_property(c)->combining_class & 255;
}

/* Stable sort of n marks by their combining class. utf8proc's own takes quadratic time, and a text may be nothing but marks. */
static void sort_marks(int32_t *c, size_t n, int32_t *sorted)
{
	size_t at[257] = { 0 };

	for (size_t i = 0; i < n; i++)
		at[class_of(c[i]) + 1]++;
	for (unsigned int k = 1; k < 257; k++)
		at[k] += at[k - 1];
	for (size_t i = 0; i < n; i++)
		sorted[at[class_of(c[i])]++] = c[i];
	memcpy(c, sorted, n * sizeof(*c));
}

static void order_marks(int32_t *c, size_t n, int32_t *sorted)
{
	for (size_t i = 0; i < n;) {
		size_t begin = i;
		unsigned int k, last = 0;
		bool ordered = true;

		for (; i < n && (k = class_of(c[i])) != 0; i++, last = k)
			ordered = ordered && last <= k;
		if (!ordered)
			sort_marks(c + begin, i - begin, sorted);
		if (i == begin)
			i++;
	}
}

/* Appends the normal form of a stretch of text, which must begin and end where nothing combines. */
static int normalize(struct snpu_nfc *nfc, const uint8_t *s, size_t len)
{
	enum { MOST = 32 };			/* characters one character may decompose into; four in Unicode */
	const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
	utf8proc_ssize_t n;
	int err;

	nfc->chars.n = nfc->sorted.n = 0;
	for (size_t at = 0; at < len;) {
		int32_t c, *to;
		int boundclass = 0;

		err = snpu_buf_room(&nfc->chars, MOST, sizeof(int32_t));
		if (err)
			return err;
		at += decode(s + at, len - at, &c);
		to = (int32_t *)nfc->chars.p + nfc->chars.n;
		n = utf8proc_decompose_char(c, to, MOST, how, &boundclass);
		if (n < 0 || n > MOST)
			return snpu_fail(-EIO, "utf8proc cannot decompose U+%04X (%zd); use another version of it", (unsigned int)c, n);
		nfc->chars.n += (size_t)n;
	}
	err = snpu_buf_room(&nfc->sorted, nfc->chars.n, sizeof(int32_t));
	if (err)
		return err;
	order_marks(nfc->chars.p, nfc->chars.n, nfc->sorted.p);
	n = utf8proc_normalize_utf32(nfc->chars.p, (utf8proc_ssize_t)nfc->chars.n, how);
	if (n < 0)
		return snpu_fail(-EIO, "utf8proc cannot compose text (%zd); use another version of it", n);
	err = snpu_buf_room(&nfc->out, 4 * (size_t)n, 1);
	for (utf8proc_ssize_t i = 0; !err && i < n; i++)
		nfc->out.n += (size_t)utf8proc_encode_char(((int32_t *)nfc->chars.p)[i], (uint8_t *)nfc->out.p + nfc->out.n);
	return err;
}

int snpu_nfc(struct snpu_nfc *nfc, const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;

	nfc->out.n = 0;
	for (size_t at = 0, end; at < len; at = end) {
		/* ASCII is in normal form; only the last character before another may combine with what follows. */
		size_t plain = at;
		int err = 0;

		while (plain < len && s[plain] < 0x80)
			plain++;
		for (end = plain; end < len && s[end] >= 0x80; end++)
			;
		if (plain > at && plain < len)
			plain--;
		err = snpu_buf_room(&nfc->out, plain - at, 1);
		if (err)
			return err;
		if (plain > at)
			memcpy((char *)nfc->out.p + nfc->out.n, text + at, plain - at);
		nfc->out.n += plain - at;
		if (end > plain)
			err = normalize(nfc, s + plain, end - plain);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Qwen2's pattern, where \s is written out: the property White_Space. PCRE2's \s has U+180E as well. It begins where the last
 * match ended, and one of its branches always matches.
 */
#define WS	"\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
static const char qwen2[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
	"|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
	"|\\p{N}"
	"| ?[^" WS "\\p{L}\\p{N}]+[\\r\\n]*"
	"|[" WS "]*[\\r\\n]+"
	"|[" WS "]+(?![^" WS "])"
	"|[" WS "]+";

int snpu_pattern_compile(pcre2_code **pattern)
{
	PCRE2_SIZE at;
	int code;

	*pattern = pcre2_compile((PCRE2_SPTR)qwen2, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &at, NULL);
	if (!*pattern)
		return snpu_fail(code == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -ENOTSUP,
				 "PCRE2 does not compile the pattern that cuts text (error %d at %zu); install a version with Unicode", code, at);
	/* Where there is no JIT the pattern is interpreted: slower, the same pieces. */
	(void)pcre2_jit_compile(*pattern, PCRE2_JIT_COMPLETE);
	return 0;
}

int snpu_pieces_init(struct snpu_pieces *p, const pcre2_code *pattern)
{
	p->pattern = pattern;
	p->match = pcre2_match_data_create(1, NULL);
	p->limits = pcre2_match_context_create(NULL);
	if (!p->match || !p->limits)
		return snpu_fail(-ENOMEM, "no memory to match a pattern; end other programs");
	/* The pattern needs one step for each character it gives back, and no stack; these end what cannot be. */
	pcre2_set_depth_limit(p->limits, 1000);
	pcre2_set_heap_limit(p->limits, 1024);		/* KiB */
	return 0;
}

void snpu_pieces_done(struct snpu_pieces *p)
{
	pcre2_match_data_free(p->match);
	pcre2_match_context_free(p->limits);
}

int snpu_pieces_next(struct snpu_pieces *p, const char *text, size_t len, size_t at, size_t *end)
{
	int rc;

	pcre2_set_match_limit(p->limits, len - at < 100000000 ? (uint32_t)(4 * (len - at) + 1000) : UINT32_MAX);
	rc = pcre2_match(p->pattern, (PCRE2_SPTR)text, len, at, PCRE2_NO_UTF_CHECK, p->match, p->limits);
	if (rc > 0)
		*end = pcre2_get_ovector_pointer(p->match)[1];
	if (rc <= 0 || *end <= at)
		return snpu_fail(rc == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -E2BIG,
				 "PCRE2 gives up cutting text at byte %zu (error %d); give it in smaller parts", at, rc);
	return 0;
}
