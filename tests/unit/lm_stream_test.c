/* SPDX-License-Identifier: MIT */
/* Text of tokens as it is shown: whole characters as soon as they are there, and U+FFFD for what is none. */
#include <stdlib.h>
#include <string.h>

#include "lm.h"
#include "tests/harness.h"

const char *snpu_lm_token(const struct snpu_lm *lm, uint32_t id, size_t *len)
{
	static const char *const token[] = { "a", "\xc3", "\xa4" };

	(void)lm;
	*len = id < 3 ? 1 : 0;
	return id < 3 ? token[id] : NULL;
}

/* Text after the bytes came one by one, and at the end. */
static bool gives(const char *bytes, size_t n, const char *want)
{
	struct snpu_lm_stream s = { 0 };
	bool same;

	for (size_t i = 0; i < n; i++)
		snpu_lm_stream_put(&s, bytes + i, 1);
	snpu_lm_stream_end(&s);
	same = s.text && s.size == strlen(want) && memcmp(s.text, want, s.size) == 0;
	if (!same)
		printf("# got %s, wanted %s\n", s.text ? s.text : "(nothing)", want);
	snpu_lm_stream_free(&s);
	return same;
}

#define BAD	"\xef\xbf\xbd"

TEST(a_character_comes_when_it_is_whole)
{
	static const char text[] = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
	static const size_t whole[] = { 0, 2, 2, 2, 5, 5, 5, 5, 9 };
	struct snpu_lm_stream s = { 0 };

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		snpu_lm_stream_put(&s, text + i, 1);
		EXPECT_EQ(s.size, whole[i]);
	}
	EXPECT_EQ(memcmp(s.text, text, 9), 0);
	snpu_lm_stream_free(&s);
}

TEST(what_is_no_text_is_replaced)
{
	EXPECT_TRUE(gives("a\xc3", 2, "a" BAD));
	EXPECT_TRUE(gives("\xc3" "a", 2, BAD "a"));
	EXPECT_TRUE(gives("\x80", 1, BAD));
	EXPECT_TRUE(gives("\xc0\xaf", 2, BAD BAD));			/* overlong */
	EXPECT_TRUE(gives("\xe0\x80\x80", 3, BAD BAD BAD));
	EXPECT_TRUE(gives("\xed\xa0\x80", 3, BAD BAD BAD));		/* a surrogate */
	EXPECT_TRUE(gives("\xf4\x90\x80\x80", 4, BAD BAD BAD BAD));	/* past U+10FFFF */
	EXPECT_TRUE(gives("\xf0\x9f\x98" "a", 4, BAD "a"));
	EXPECT_TRUE(gives("\xff\xfe", 2, BAD BAD));
}

TEST(several_bytes_at_once_and_to_a_stream)
{
	char *mem = NULL;
	size_t size;
	struct snpu_lm_stream s = { .out = open_memstream(&mem, &size) };

	snpu_lm_stream_put(&s, "x\xe2\x82", 3);
	EXPECT_EQ(size, 1u);
	snpu_lm_stream_put(&s, "\xac.", 2);
	EXPECT_EQ(size, 5u);
	EXPECT_EQ(strcmp(mem, "x\xe2\x82\xac."), 0);
	fclose(s.out);
	snpu_lm_stream_free(&s);
	free(mem);
}

TEST(one_token_alone)
{
	static const char *const want[] = { "a", BAD, BAD, "" };

	for (uint32_t id = 0; id < 4; id++) {
		char *text = snpu_lm_token_text(NULL, id);

		ASSERT_TRUE(text != NULL);
		EXPECT_EQ(strcmp(text, want[id]), 0);
		free(text);
	}
}

TEST_HARNESS_MAIN
