/* SPDX-License-Identifier: MIT */
/* The printf and the memory functions. Expected texts are written down, not computed. */
#include "test.h"

static bool same(const char *want, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool same(const char *want, const char *fmt, ...)
{
	char buf[128];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = fmt_vprint(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return n == strlen(want) && !memcmp(buf, want, n + 1);
}

static void fmt_numbers(void)
{
	EXPECT(same("0 7 4294967295", "%u %u %u", 0u, 7u, ~0u));
	EXPECT(same("-2147483648 -1 2147483647", "%d %d %d", (int)0x80000000, -1, 0x7fffffff));
	EXPECT(same("0 deadbeef", "%x %x", 0u, 0xdeadbeefu));
	EXPECT(same("18446744073709551615 ffffffffffffffff", "%llu %llx", ~0ull, ~0ull));
	EXPECT(same("-9223372036854775808", "%lld", (long long)0x8000000000000000ull));
	EXPECT(same("4294967296 10000000000 65536", "%llu %llu %lu", 1ull << 32, 10000000000ull, 65536ul));
	EXPECT(same("1234567890123456789", "%llu", 1234567890123456789ull));
	EXPECT(same("   42|00042|-0042|  -42|123456", "%5u|%05u|%05d|%5d|%3u", 42u, 42u, -42, -42, 123456u));
}

static void fmt_strings(void)
{
	char no_such[] = "%q %", *volatile null = NULL;

	EXPECT(same("a bc %", "%c %s %%", 'a', "bc"));
	EXPECT(same("   ab|abc", "%5s|%2s", "ab", "abc"));
	EXPECT(same("(null)", "%s", null));
	EXPECT(same("", "%s", ""));
	EXPECT(same("%q %", no_such, 1));
}

static void fmt_bounded(void)
{
	char buf[8] = "zzzzzzz";

	EXPECT_EQ(fmt_print(buf, 4, "%s", "abcdef"), 3);
	EXPECT(!memcmp(buf, "abc\0zzz", 8));
	EXPECT_EQ(fmt_print(buf, 1, "%llu", ~0ull), 0);
	EXPECT(!memcmp(buf, "\0bc\0zzz", 8));
	buf[0] = 'k';
	EXPECT_EQ(fmt_print(buf, 0, "%99u", 1u), 0);
	EXPECT(buf[0] == 'k');
	EXPECT_EQ(fmt_print(buf, sizeof(buf), "%99u", 1u), 7);
	EXPECT(!memcmp(buf, "       ", 8));
}

/* Every pairing of alignments, with guards on both sides. */
static void lib_memory(void)
{
	uint8_t src[24], dst[24];

	for (uint32_t i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)(i + 1);
	for (uint32_t a = 0; a < 4; a++)
		for (uint32_t b = 0; b < 4; b++)
			for (uint32_t n = 0; n <= 17; n++) {
				memset(dst, 0xee, sizeof(dst));
				memcpy(dst + a + 1, src + b, n);
				EXPECT(!memcmp(dst + a + 1, src + b, n));
				EXPECT(dst[a] == 0xee && dst[a + 1 + n] == 0xee);
				memset(dst + a + 1, 0x5a, n);
				for (uint32_t i = 0; i < n; i++)
					EXPECT_EQ(dst[a + 1 + i], 0x5a);
				EXPECT(dst[a] == 0xee && dst[a + 1 + n] == 0xee);
			}
	EXPECT(memcmp("abc", "abd", 3) < 0);
	EXPECT(memcmp("\xff", "\x01", 1) > 0);
	EXPECT(memcmp("abc", "abd", 2) == 0);
}

static void lib_bits(void)
{
	for (uint32_t i = 0; i < 32; i++) {
		EXPECT_EQ(bit_lowest(1u << i), i);
		EXPECT_EQ(bit_lowest(~0u << i), i);
	}
}

const struct test fmt_tests[] = {
	{ "fmt: numbers", fmt_numbers },
	{ "fmt: strings and what it does not know", fmt_strings },
	{ "fmt: never past the buffer", fmt_bounded },
	{ "lib: memcpy, memset, memcmp at every alignment", lib_memory },
	{ "lib: lowest bit", lib_bits },
	{ 0 },
};
