/* SPDX-License-Identifier: MIT */
/*
 * Spike counts as spike trains and back, in Int2Spike's five codings. The unary ones (BINARY, TERNARY) need as many steps as
 * the greatest count, the others one step a bit, the most significant first. Pure functions, any thread.
 */
#include "core/fail.h"
#include "snpu/snpu_lm.h"

static const struct coding {
	const char *name;
	bool sign;				/* negative counts have a code */
	bool negative;				/* and it has steps of -1 */
	bool unary;
} codings[] = {
	[SNPU_CODING_BINARY] = { "binary", false, false, true },
	[SNPU_CODING_TERNARY] = { "ternary", true, true, true },
	[SNPU_CODING_BITWISE] = { "bitwise", false, false, false },
	[SNPU_CODING_BITWISE_BIDIRECTIONAL] = { "bitwise-bidirectional", true, true, false },
	[SNPU_CODING_TWOS_COMPLEMENT] = { "twos-complement", true, false, false },
};
#define CODINGS	(sizeof(codings) / sizeof(codings[0]))

const char *snpu_coding_name(enum snpu_coding coding)
{
	return (unsigned int)coding < CODINGS ? codings[coding].name : NULL;
}

static int64_t magnitude(int32_t s)
{
	return s < 0 ? -(int64_t)s : s;
}

static unsigned int bits(int64_t v)
{
	return v ? 64 - (unsigned int)__builtin_clzll((uint64_t)v) : 0;
}

static int check(enum snpu_coding coding, size_t n, unsigned int steps)
{
	uint64_t size;

	if ((unsigned int)coding >= CODINGS)
		return snpu_fail(-EINVAL, "there is no spike coding %u; take one of enum snpu_coding", (unsigned int)coding);
	if (!snpu_mul(n, steps, &size) || size > SIZE_MAX / 2)
		return snpu_fail(-EINVAL, "%zu counts in %u steps do not fit into memory; take fewer", n, steps);
	return 0;
}

static int fail_sign(enum snpu_coding coding, const int32_t *counts, size_t i)
{
	return snpu_fail(-ERANGE, "count %zu is %d, and coding %s has no sign; take ternary, bitwise-bidirectional or twos-complement",
			 i, counts[i], codings[coding].name);
}

int snpu_coding_steps(enum snpu_coding coding, const int32_t *counts, size_t n, unsigned int *steps)
{
	int err = check(coding, n, 1);
	int64_t most = 0;
	unsigned int t;

	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (counts[i] < 0 && !codings[coding].sign)
			return fail_sign(coding, counts, i);
		if (magnitude(counts[i]) > most)
			most = magnitude(counts[i]);
	}
	t = bits(most);
	if (codings[coding].unary)
		t = (unsigned int)most;
	else if (coding == SNPU_CODING_TWOS_COMPLEMENT)
		t = t ? t + 1 : 2;	/* also for -2^b, which would fit into one less: as Int2Spike has it */
	else if (!t)
		t = 1;
	*steps = t;
	return 0;
}

/* --- encoding ------------------------------------------------------------------------------------------------- */

static bool fits(enum snpu_coding coding, int32_t s, unsigned int steps)
{
	if (codings[coding].unary)
		return magnitude(s) <= steps;
	if (coding == SNPU_CODING_TWOS_COMPLEMENT)
		return steps && bits(s < 0 ? ~(int64_t)s : s) < steps;
	return bits(magnitude(s)) <= steps;
}

static int8_t spike(enum snpu_coding coding, int32_t s, unsigned int step, unsigned int steps)
{
	int64_t v = coding == SNPU_CODING_TWOS_COMPLEMENT ? s : magnitude(s);
	unsigned int bit = steps - 1 - step;
	int fires = codings[coding].unary ? step < v : v >> (bit < 63 ? bit : 63) & 1;

	return (int8_t)(s < 0 && codings[coding].negative ? -fires : fires);
}

int snpu_coding_encode(enum snpu_coding coding, const int32_t *counts, size_t n, unsigned int steps, int8_t *spikes)
{
	int err = check(coding, n, steps);

	for (size_t i = 0; !err && i < n; i++) {
		if (counts[i] < 0 && !codings[coding].sign)
			return fail_sign(coding, counts, i);
		if (!fits(coding, counts[i], steps))
			return snpu_fail(-ERANGE, "count %zu is %d, which has no %s code of %u steps; take as many as snpu_coding_steps() says",
					 i, counts[i], codings[coding].name, steps);
	}
	for (unsigned int t = 0; !err && t < steps; t++)
		for (size_t i = 0; i < n; i++)
			spikes[t * n + i] = spike(coding, counts[i], t, steps);
	return err;
}

/* --- decoding ------------------------------------------------------------------------------------------------- */

/* Horner's rule; a sum of bits that has left 32 bits never comes back, a unary one may. */
static int decode_one(enum snpu_coding coding, const int8_t *spikes, size_t n, unsigned int steps, size_t i, int32_t *count)
{
	int64_t sum = 0;

	for (unsigned int t = 0; t < steps; t++) {
		int8_t s = spikes[t * n + i];

		if (s > 1 || s < (codings[coding].negative ? -1 : 0))
			return snpu_fail(-EINVAL, "step %u of channel %zu is %d, which is no spike of coding %s", t, i, s, codings[coding].name);
		if (coding == SNPU_CODING_TWOS_COMPLEMENT && t == 0)
			s = (int8_t)-s;
		sum = codings[coding].unary ? sum + s : 2 * sum + s;
		if (!codings[coding].unary && sum != (int32_t)sum)
			break;
	}
	if (sum != (int32_t)sum)
		return snpu_fail(-ERANGE, "the spikes of channel %zu add up to more than 32 bits; they are no counts of this library", i);
	*count = (int32_t)sum;
	return 0;
}

int snpu_coding_decode(enum snpu_coding coding, const int8_t *spikes, size_t n, unsigned int steps, int32_t *counts)
{
	int err = check(coding, n, steps);
	int32_t count;

	for (size_t i = 0; !err && i < n; i++)		/* all before the first is written */
		err = decode_one(coding, spikes, n, steps, i, &count);
	for (size_t i = 0; !err && i < n; i++)
		err = decode_one(coding, spikes, n, steps, i, &counts[i]);
	return err;
}
