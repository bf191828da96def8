/* SPDX-License-Identifier: MIT */
/*
 * The tokenizer against what two other implementations gave for Qwen2's vocabulary, against a naive one on random text, and
 * against files and texts that are meant to break it; the chat template against what Jinja made of it.
 */
#include "load/chat.h"
#include "tests/unit/tokenizer_naive.h"

/* Splitmix64. */
static uint32_t below(uint64_t *rng, uint32_t n)
{
	uint64_t z = *rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

static bool same(const uint32_t *a, size_t n, const uint32_t *b, size_t m)
{
	return n == m && !memcmp(a, b, n * sizeof(*a));
}

/* --- what others gave -------------------------------------------------------------------------------------------- */

static json_t *vectors(const char *name)
{
	size_t size = 0;
	char *text = rig_read_in(VECTORS, name, &size);
	json_t *j = text ? json_loadb(text, size, JSON_ALLOW_NUL, NULL) : NULL;

	free(text);
	return j;
}

static bool ids_are(const json_t *want, const uint32_t *ids, size_t n)
{
	if (json_array_size(want) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (json_integer_value(json_array_get(want, i)) != ids[i])
			return false;
	return true;
}

static void compare(const struct snpu_tokenizer *tok, const char *name, size_t count)
{
	json_t *all = vectors(name), *v;
	size_t i;

	ASSERT_EQ(json_array_size(all), count);
	json_array_foreach(all, i, v) {
		json_t *text = json_object_get(v, "text"), *decoded = json_object_get(v, "decoded");
		size_t n, size;
		uint32_t *ids;
		char *back;

		ASSERT_EQ(snpu_tokenizer_encode(tok, json_string_value(text), json_string_length(text), 1, &ids, &n), 0);
		if (!ids_are(json_object_get(v, "ids"), ids, n))
			TH_FAILMSG("%s %zu, '%s': other ids", name, i, json_string_value(text));
		back = rig_decode(tok, ids, n, &size);
		ASSERT_TRUE(back);
		EXPECT_TRUE(size == json_string_length(decoded) && !memcmp(back, json_string_value(decoded), size));
		free(back);
		free(ids);
	}
	json_decref(all);
}

TEST(vectors_of_qwen2)
{
	struct snpu_tokenizer *tok = rig_tokenizer(QWEN2_UNPACKED, QWEN2);

	ASSERT_TRUE(tok);
	compare(tok, "vectors.json", 136);
	EXPECT_EQ(snpu_tokenizer_size(tok), 151665);
	EXPECT_EQ(snpu_tokenizer_find(tok, "<|endoftext|>"), 151643);
	EXPECT_EQ(snpu_tokenizer_find(tok, "<|im_end|>"), 151645);
	EXPECT_EQ(snpu_tokenizer_find(tok, "Hello"), 9707);
	EXPECT_EQ(snpu_tokenizer_find(tok, " world"), 1879);
	EXPECT_EQ(snpu_tokenizer_find(tok, "<|im_end"), UINT32_MAX);
	EXPECT_EQ(snpu_tokenizer_find(tok, ""), UINT32_MAX);
	EXPECT_EQ(snpu_tokenizer_chatml(tok), 1);
	snpu_tokenizer_free(tok);
}

TEST(vectors_of_a_small_vocabulary)
{
	struct snpu_tokenizer *tok = rig_tokenizer(AUSTEN, AUSTEN);

	ASSERT_TRUE(tok);
	compare(tok, "austen.json", 7);
	EXPECT_EQ(snpu_tokenizer_size(tok), 1024);
	EXPECT_EQ(snpu_tokenizer_chatml(tok), 1);		/* no template, but the tokens */
	snpu_tokenizer_free(tok);
}

/* Is it valid, in normal form C, and one piece? */
static bool is_piece(const char *bytes, size_t len)
{
	char *text = strndup(bytes, len);
	uint8_t *nfc = strlen(text) == len ? utf8proc_NFC((uint8_t *)text) : NULL;
	bool piece = nfc && !strcmp(text, (char *)nfc);
	int32_t c[1024];
	size_t n = 0;

	for (size_t at = 0; piece && at < len; n++)
		at += (size_t)utf8proc_iterate((uint8_t *)text + at, -1, &c[n]);
	piece = piece && naive_piece(c, n) == n;
	free(text);
	free(nfc);
	return piece;
}

/* Merges reach every token of the vocabulary. */
TEST(every_token_that_is_a_piece_merges_to_itself)
{
	struct snpu_tokenizer *tok = rig_tokenizer(QWEN2_UNPACKED, QWEN2);
	uint32_t pieces = 0;

	ASSERT_TRUE(tok);
	for (uint32_t id = 0; id < 151643; id++) {
		size_t len, n;
		const char *bytes = snpu_tokenizer_bytes(tok, id, &len);
		uint32_t *ids;

		ASSERT_TRUE(bytes && len);
		if (!is_piece(bytes, len))
			continue;
		pieces++;
		ASSERT_EQ(snpu_tokenizer_encode(tok, bytes, len, 0, &ids, &n), 0);
		if (!same(ids, n, &id, 1))
			TH_FAILMSG("token %u '%.*s' becomes %zu tokens", id, (int)len, bytes, n);
		free(ids);
	}
	EXPECT_GT(pieces, 148000);
	snpu_tokenizer_free(tok);
}

TEST(chats)
{
	struct snpu_tokenizer *tok = rig_tokenizer(QWEN2_UNPACKED, QWEN2);
	json_t *all = vectors("chat.json"), *chat, *m;
	struct snpu_lm_message messages[4];
	size_t i, k;

	ASSERT_TRUE(tok);
	ASSERT_EQ(json_array_size(all), 4);
	json_array_foreach(all, i, chat) {
		uint32_t *ids;
		size_t n;
		char *text;

		ASSERT_LE(json_array_size(json_object_get(chat, "messages")), 4);
		json_array_foreach(json_object_get(chat, "messages"), k, m) {
			messages[k].role = json_string_value(json_object_get(m, "role"));
			messages[k].text = json_string_value(json_object_get(m, "content"));
		}
		ASSERT_EQ(snpu_chat_format(messages, k, json_is_true(json_object_get(chat, "add_generation_prompt")), &text), 0);
		EXPECT_STREQ(text, json_string_value(json_object_get(chat, "text")));
		ASSERT_EQ(snpu_tokenizer_encode(tok, text, strlen(text), 1, &ids, &n), 0);
		EXPECT_TRUE(ids_are(json_object_get(chat, "ids"), ids, n));
		free(ids);
		free(text);
	}
	json_decref(all);
	snpu_tokenizer_free(tok);
}

#define SYSTEM	"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
static void chat_is(const struct snpu_lm_message *m, size_t n, int generate, const char *want)
{
	char *text = NULL;

	ASSERT_EQ(snpu_chat_format(m, n, generate, &text), 0);
	EXPECT_STREQ(text, want);
	free(text);
}

/* As Jinja renders the template. */
TEST(chat_roles)
{
	const struct snpu_lm_message tools[] = { { "user", "q" }, { "tool", "1" }, { "tool", "2" }, { "assistant", "a" }, { "tool", "3" } },
				     odd[] = { { "user", "q" }, { "system", "s" }, { "critic", "x" }, { "assistant", "" } };

	chat_is(tools, 5, 0, SYSTEM "<|im_start|>user\nq<|im_end|>\n<|im_start|>user\n<tool_response>\n1\n</tool_response>\n"
		"<tool_response>\n2\n</tool_response><|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"
		"<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n");
	chat_is(tools + 4, 1, 1, SYSTEM "<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n<|im_start|>assistant\n");
	chat_is(odd, 4, 1, SYSTEM "<|im_start|>user\nq<|im_end|>\n<|im_start|>system\ns<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n"
		"<|im_start|>assistant\n");
	chat_is(odd + 1, 1, 0, "<|im_start|>system\ns<|im_end|>\n");
	chat_is(odd + 2, 1, 0, SYSTEM);
}

TEST(chat_refusals)
{
	const struct snpu_lm_message none[] = { { "user", "q" }, { "user", NULL }, { NULL, "q" } };
	char *text;

	EXPECT_EQ(snpu_chat_format(none, 0, 1, &text), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "no messages");
	EXPECT_EQ(snpu_chat_format(none, 2, 1, &text), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "message 1 of a chat has no text");
	EXPECT_EQ(snpu_chat_format(none, 3, 1, &text), -EINVAL);
	EXPECT_EQ(snpu_chat_format(none + 2, 1, 1, &text), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "message 0 of a chat has no role");
}

/* --- random text ------------------------------------------------------------------------------------------------- */

/* What text is made of; several have another normal form, and some that look like spaces or letters are none. */
static const char *const atoms[] = {
	"a", "e", "t", "th", "the", "ing", " of", " and", "E", "S", " ", " ", "  ", "\n", "\r\n", "\r", "\t", "\v", "0", "1", "42", "'s", "'S",
	"'ll", "'Re", "'\u017f", "'", "\u2019t", ".", ",", "!!", "...", "(", "_", "-", "\"", "\u00e9", "e\u0301", "A\u030a", "\u212b",
	"\u1e69", "s\u0323\u0307", "s\u0307\u0323", "\u0301", "\u0316", "\u0344", "\u0958", "\uac00", "\u1100\u1161", "\u11a8", "\u4e2d\u6587",
	"\u304b\u3099", "\u00bd", "\u0664", "\u2167", "\u00a0", "\xc2\x85", "\u2003", "\u2028", "\u3000", "\u180e", "\u200b", "\ufeff",
	"\u200d", "\U0001f600", "\U00020000", "\U0001d15e", "\u00ad", "\x01", "\x7f", "\u0130", "\u00df", "\ufb01", "\U0010ffff", "\ufffd",
};

static size_t random_text(uint64_t *rng, char *text)
{
	*text = 0;
	for (uint32_t n = below(rng, 24); n; n--)
		strcat(text, atoms[below(rng, sizeof(atoms) / sizeof(atoms[0]))]);
	return strlen(text);
}

static void against_naive(struct snpu_tokenizer *tok, const struct naive *nv, uint64_t rng)
{
	char text[512];
	uint32_t want[512];

	for (unsigned int i = 0; i < 3000; i++) {
		size_t len = random_text(&rng, text), n, m;
		char *nfc = (char *)utf8proc_NFC((const uint8_t *)text);
		uint32_t *ids;

		ASSERT_EQ(snpu_tokenizer_encode(tok, text, len, 0, &ids, &n), 0);
		ASSERT_TRUE(naive_encode(nv, nfc, want, &m, 512));
		if (!same(ids, n, want, m)) {
			TH_FAILMSG("text %u, '%s': other ids than the naive tokenizer's", i, text);
			return;
		}
		free(nfc);
		free(ids);
	}
}

TEST_TIMEOUT(random_text_as_the_naive_tokenizer, 300)
{
	struct snpu_tokenizer_files f = rig_files(AUSTEN, AUSTEN);
	struct snpu_tokenizer *tok;
	struct naive nv;

	ASSERT_EQ(snpu_tokenizer_create(&f, &tok), 0);
	naive_load(&nv, f.vocab, f.merges);
	ASSERT_EQ(nv.n_merges, 765);
	against_naive(tok, &nv, 1);
	naive_free(&nv);
	rig_files_free(&f);
	snpu_tokenizer_free(tok);
}

/* Merges in an order that no training gives: a rank may be lower than those of the merges that make its parts. */
TEST_TIMEOUT(merges_in_random_order_as_the_naive_tokenizer, 300)
{
	struct snpu_tokenizer_files f = rig_files(AUSTEN, AUSTEN);
	uint64_t rng = 7;

	for (unsigned int round = 0; round < 4; round++) {
		struct naive nv;
		struct snpu_tokenizer *tok;
		char *merges = NULL;
		size_t size;
		FILE *m = open_memstream(&merges, &size);

		naive_load(&nv, f.vocab, f.merges);
		for (unsigned int i = nv.n_merges; i > 1; i--) {
			unsigned int k = below(&rng, i);
			char *swap = nv.merge[k];

			nv.merge[k] = nv.merge[i - 1];
			nv.merge[i - 1] = swap;
		}
		for (unsigned int i = 0; i < nv.n_merges; i++)
			fprintf(m, "%s\n", nv.merge[i]);
		fclose(m);
		struct snpu_tokenizer_files shuffled = { f.vocab, f.vocab_size, merges, size };

		ASSERT_EQ(snpu_tokenizer_create(&shuffled, &tok), 0);
		against_naive(tok, &nv, round);
		snpu_tokenizer_free(tok);
		naive_free(&nv);
		free(merges);
	}
	rig_files_free(&f);
}

TEST_TIMEOUT(round_trip_is_normal_form_c, 120)
{
	struct snpu_tokenizer *tok = rig_tokenizer(AUSTEN, AUSTEN);
	uint64_t rng = 3;

	ASSERT_TRUE(tok);
	for (unsigned int i = 0; i < 20000; i++) {
		char text[512] = "", *back;
		size_t len = 0, n, size;
		uint32_t *ids;
		uint8_t *nfc;

		/* Any characters, assigned or not, with more from the blocks where things combine. */
		for (uint32_t k = below(&rng, 40); k; k--) {
			uint32_t pick = below(&rng, 6), c = pick == 0 ? below(&rng, 0x110000) : pick == 1 ? 0x300 + below(&rng, 0x70) :
					    pick == 2 ? 0x1100 + below(&rng, 0x100) : pick == 3 ? below(&rng, 0x80) : below(&rng, 0x2000);

			c = c == 0 || (c >= 0xd800 && c < 0xe000) ? 'x' : c;
			len += (size_t)utf8proc_encode_char((int32_t)c, (uint8_t *)text + len);
		}
		nfc = utf8proc_NFC((const uint8_t *)text);
		ASSERT_EQ(snpu_tokenizer_encode(tok, text, len, 1, &ids, &n), 0);
		back = rig_decode(tok, ids, n, &size);
		ASSERT_STREQ(back, (char *)nfc);
		free(back);
		free(nfc);
		free(ids);
	}
	snpu_tokenizer_free(tok);
}

/* --- bytes that are no text, and much of the same ---------------------------------------------------------------- */

static void equal_texts(struct snpu_tokenizer *tok, const char *a, size_t len, const char *b)
{
	uint32_t *ids, *want;
	size_t n, m;

	ASSERT_EQ(snpu_tokenizer_encode(tok, a, len, 0, &ids, &n), 0);
	ASSERT_EQ(snpu_tokenizer_encode(tok, b, strlen(b), 0, &want, &m), 0);
	if (!same(ids, n, want, m))
		TH_FAILMSG("a text of %zu bytes is not read as '%s'", len, b);
	free(ids);
	free(want);
}

/* As Python's bytes.decode("utf-8", "replace") reads them. */
TEST(bytes_that_are_no_utf8)
{
	static const struct { const char *bytes, *text; } cases[] = {
		{ "\xff", "\ufffd" }, { "a\xc3", "a\ufffd" }, { "\xe2\x82", "\ufffd" }, { "\xe2\x82" "A", "\ufffdA" },
		{ "\xf0\x9f\x98", "\ufffd" }, { "\xf0\x9f\x98\xf0\x9f\x98\x80", "\ufffd\U0001f600" }, { "\xed\xa0\x80", "\ufffd\ufffd\ufffd" },
		{ "\xc0\x80", "\ufffd\ufffd" }, { "\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd" }, { "\xf0\x80\x80", "\ufffd\ufffd\ufffd" },
		{ "\xe0\x9f\xbf", "\ufffd\ufffd\ufffd" }, { "\x80\xbf", "\ufffd\ufffd" }, { "e\xcc", "e\ufffd" },
		{ "\xf8\x88\x80\x80\x80", "\ufffd\ufffd\ufffd\ufffd\ufffd" }, { "\xf4\x8f\xbf\xbf", "\U0010ffff" }, { "\xee\x80\x80", "\ue000" },
	};
	struct snpu_tokenizer *tok = rig_tokenizer(AUSTEN, AUSTEN);
	uint32_t *ids;
	size_t n, size;
	char *back;

	ASSERT_TRUE(tok);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		equal_texts(tok, cases[i].bytes, strlen(cases[i].bytes), cases[i].text);
	ASSERT_EQ(snpu_tokenizer_encode(tok, "a\0b", 3, 1, &ids, &n), 0);
	back = rig_decode(tok, ids, n, &size);
	EXPECT_TRUE(size == 3 && !memcmp(back, "a\0b", 3));
	free(back);
	free(ids);
	snpu_tokenizer_free(tok);
}

/* A million bytes of one kind are one piece or as many as there can be; time that grows with the square would not end. */
static void much_of(struct snpu_tokenizer *tok, const char *unit, const char *tail)
{
	size_t each = strlen(unit), count = (1u << 20) / each, len = count * each, n, size;
	char *text = malloc(len + strlen(tail) + 1), *back;
	uint32_t *ids;
	uint8_t *nfc;

	for (size_t i = 0; i < count; i++)
		memcpy(text + i * each, unit, each);
	strcpy(text + len, tail);
	ASSERT_EQ(snpu_tokenizer_encode(tok, text, len + strlen(tail), 1, &ids, &n), 0);
	back = rig_decode(tok, ids, n, &size);
	if (strcmp(unit, "\u0301\u0316")) {			/* utf8proc's own sort would not end */
		nfc = utf8proc_NFC((uint8_t *)text);
		EXPECT_TRUE(!strcmp(back, (char *)nfc));
		free(nfc);
	} else {
		EXPECT_TRUE(!strncmp(back, "\u0316\u0316\u0316", 6) && !strcmp(back + size - 4, "\u0301\u0301"));
	}
	free(back);
	free(ids);
	free(text);
}

TEST_TIMEOUT(a_million_bytes_of_one_kind, 120)
{
	static const char *const units[] = { "a", "the", " ", "\n", " \n", "\r", "1", "!", "'s", " a", "\u4e2d", "\u3000", "\u0301",
					     "\u0301\u0316", "\U0001d15e", "<|im_end|>", "<|im_", "<", "\x01" };
	struct snpu_tokenizer *tok = rig_tokenizer(AUSTEN, AUSTEN);

	ASSERT_TRUE(tok);
	for (unsigned int i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		much_of(tok, units[i], "");
		if (strcmp(units[i], "\u0301\u0316"))
			much_of(tok, units[i], "b");
	}
	snpu_tokenizer_free(tok);
}

TEST(text_that_is_too_long)
{
	struct snpu_tokenizer *tok = rig_tokenizer(AUSTEN, AUSTEN);
	uint32_t *ids;
	size_t n;

	ASSERT_TRUE(tok);
	EXPECT_EQ(snpu_tokenizer_encode(tok, "", (64u << 20) + 1, 1, &ids, &n), -E2BIG);	/* before it looks at it */
	EXPECT_CONTAINS(snpu_last_error(), "67108865 bytes");
	ASSERT_EQ(snpu_tokenizer_encode(tok, NULL, 0, 1, &ids, &n), 0);
	EXPECT_TRUE(ids && n == 0);
	free(ids);
	snpu_tokenizer_free(tok);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

/* The smallest tokenizer there is, and one change to it. NULL: as it is. */
static struct snpu_tokenizer *tok;
static int with(int without, const char *vocab, const char *merges, const char *added, const char *config)
{
	char *v = rig_vocab(without, vocab ? vocab : "\"ab\": 256, \"abc\": 257");
	struct snpu_tokenizer_files f = { v, strlen(v), merges ? merges : "#version: 0.2\na b\nab c\n" };
	int err;

	f.merges_size = strlen(f.merges);
	f.added = added;
	f.added_size = added ? strlen(added) : 0;
	f.config = config;
	f.config_size = config ? strlen(config) : 0;
	snpu_tokenizer_free(tok);
	tok = NULL;
	err = snpu_tokenizer_create(&f, &tok);
	free(v);
	return err;
}

#define REFUSES(err, why, ...) do { EXPECT_EQ(with(__VA_ARGS__), err); EXPECT_CONTAINS(snpu_last_error(), why); } while (0)

static void ids_of(const char *text, int special, size_t count, const uint32_t *want)
{
	uint32_t *ids;
	size_t n;

	ASSERT_TRUE(tok);
	ASSERT_EQ(snpu_tokenizer_encode(tok, text, strlen(text), special, &ids, &n), 0);
	if (!same(ids, n, want, count))
		TH_FAILMSG("'%s': %zu ids, the first is %u", text, n, n ? ids[0] : 0);
	free(ids);
}
#define IDS(text, special, ...) ids_of(text, special, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

#define A	('a' - '!')			/* ids of bytes, in GPT-2's order */

TEST(the_smallest_tokenizer)
{
	size_t len;

	ASSERT_EQ(with(-1, NULL, NULL, NULL, NULL), 0);
	IDS("abc", 1, 257);
	IDS("abcab", 1, 257, 256);
	IDS("aabbc", 1, A, 256, A + 1, A + 2);
	EXPECT_EQ(snpu_tokenizer_size(tok), 258);
	EXPECT_STREQ(snpu_tokenizer_bytes(tok, A, &len) ? "is" : "none", "is");
	EXPECT_EQ(len, 1);
	EXPECT_TRUE(!snpu_tokenizer_bytes(tok, 258, &len) && len == 0);
	EXPECT_TRUE(!snpu_tokenizer_bytes(tok, UINT32_MAX, &len));
	EXPECT_EQ(snpu_tokenizer_chatml(tok), 0);
	ASSERT_EQ(with(-1, NULL, "a b\r\n\r\nab c", NULL, NULL), 0);		/* no version, other line ends, no last one */
	IDS("abc", 1, 257);
	ASSERT_EQ(with(-1, NULL, "", NULL, NULL), 0);
	IDS("ab", 1, A, A + 1);
	snpu_tokenizer_free(tok);
	snpu_tokenizer_free(NULL);
}

TEST(added_tokens)
{
	const char *config = "{\"added_tokens_decoder\": {\"300\": {\"content\": \"<x>\"}, \"301\": {\"content\": \"<x><y>\", \"special\": false},"
			     "\"302\": {\"content\": \"\u4e2d\"}, \"256\": {\"content\": \"ab\"}}}";
	size_t len;

	ASSERT_EQ(with(-1, NULL, NULL, "{\"<x>\": 300, \"<x\": 299}", config), 0);
	EXPECT_EQ(snpu_tokenizer_size(tok), 303);
	EXPECT_TRUE(!snpu_tokenizer_bytes(tok, 298, &len) && snpu_tokenizer_bytes(tok, 299, &len) && len == 2);
	IDS("<x>", 1, 300);
	IDS("<x><y>", 1, 301);						/* the longest */
	IDS("<x><x", 1, 300, 299);
	IDS("<x><z", 1, 300, '<' - '!', 'z' - '!');
	IDS("a<xa", 1, A, 299, A);
	IDS("a\u4e2d" "a", 1, A, 302, A);
	IDS("abc", 1, 256, A + 2);					/* before merges are looked at */
	IDS("<x>", 0, '<' - '!', 'x' - '!', '>' - '!');
	IDS("abc", 0, 257);
	EXPECT_EQ(snpu_tokenizer_find(tok, "<x>"), 300);
	EXPECT_EQ(snpu_tokenizer_find(tok, "abc"), 257);
	snpu_tokenizer_free(tok);
}

TEST(chatml_is_recognised)
{
	ASSERT_EQ(with(-1, NULL, NULL, "{\"<|im_start|>\": 300, \"<|im_end|>\": 301}", NULL), 0);
	EXPECT_EQ(snpu_tokenizer_chatml(tok), 1);
	ASSERT_EQ(with(-1, NULL, NULL, "{\"<|im_start|>\": 300}", NULL), 0);
	EXPECT_EQ(snpu_tokenizer_chatml(tok), 0);
	ASSERT_EQ(with(-1, NULL, NULL, "{\"<|im_start|>\": 300, \"<|im_end|>\": 301}", "{\"chat_template\": \"[INST]\"}"), 0);
	EXPECT_EQ(snpu_tokenizer_chatml(tok), 0);
	ASSERT_EQ(with(-1, NULL, NULL, NULL, "{\"chat_template\": \"<|im_start|> .. <|im_end|>\"}"), 0);
	EXPECT_EQ(snpu_tokenizer_chatml(tok), 1);
	snpu_tokenizer_free(tok);
}

TEST(refuses_files_that_are_missing)
{
	struct snpu_tokenizer_files f = { "{}", 2, NULL };

	EXPECT_EQ(snpu_tokenizer_create(&f, &tok), -ENOTSUP);
	EXPECT_CONTAINS(snpu_last_error(), "no merges.txt");
	f = (struct snpu_tokenizer_files){ .merges = "", .merges_size = 0 };
	EXPECT_EQ(snpu_tokenizer_create(&f, &tok), -ENOTSUP);
	EXPECT_CONTAINS(snpu_last_error(), "no vocab.json");
}

TEST(refuses_files_that_are_huge)
{
	struct snpu_tokenizer_files f = { "{}", (64u << 20) + 1, "", 0 };
	char *v = rig_vocab(-1, "\"ab\": 256");

	EXPECT_EQ(snpu_tokenizer_create(&f, &tok), -EBADMSG);		/* before it looks at it */
	EXPECT_CONTAINS(snpu_last_error(), "vocab.json has 67108865 bytes");
	f = (struct snpu_tokenizer_files){ v, strlen(v), "", (64u << 20) + 1 };
	EXPECT_EQ(snpu_tokenizer_create(&f, &tok), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "merges.txt has 67108865 bytes");
	free(v);
	v = calloc(1, (1u << 20) + 2);
	memset(v, '\n', (1u << 20) + 1);
	REFUSES(-EBADMSG, "lines, more than 1048576", -1, NULL, v, NULL, NULL);
	free(v);
}

TEST(refuses_json_that_is_damaged)
{
	static const char *const texts[] = { "", "{", "[]", "7", "{\"a\": 0", "{\"a\" 0}", "{\"a\": 0,}",
					     "{\"a\": 0, \"a\": 0}", "{\"a\": 0} x", "{\"\\ud800\": 0}",
					     "{\"\xff\": 0}", "{\"a\\u0000\": 0}", "{\"a\": 99999999999999999999}", "{\"a\": nul}" };
	struct snpu_tokenizer_files f = { .merges = "", .merges_size = 0 };
	char *deep = malloc(1000001);

	memset(deep, '[', 1000000);
	memcpy(deep, "{\"a\":", 5);
	deep[1000000] = 0;
	for (unsigned int i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : deep;

		f.vocab = text;
		f.vocab_size = strlen(text);
		EXPECT_EQ(snpu_tokenizer_create(&f, &tok), -EBADMSG);
		EXPECT_CONTAINS(snpu_last_error(), "vocab.json");
		REFUSES(-EBADMSG, "added_tokens.json", -1, NULL, NULL, text, NULL);
		REFUSES(-EBADMSG, "tokenizer_config.json", -1, NULL, NULL, NULL, text);
	}
	free(deep);
}

TEST(refuses_ids_that_are_no_permutation)
{
	REFUSES(-EBADMSG, "two tokens of vocab.json have id 65", -1, "\"ab\": 65, \"abc\": 257", NULL, NULL, NULL);
	REFUSES(-EBADMSG, "token 'abc' of vocab.json has an id outside of 0 to 257", -1, "\"ab\": 256, \"abc\": 258", NULL, NULL, NULL);
	REFUSES(-EBADMSG, "outside of 0 to 257", -1, "\"ab\": 256, \"abc\": 4294967296", NULL, NULL, NULL);
	REFUSES(-EBADMSG, "outside of 0 to 257", -1, "\"ab\": 256, \"abc\": -1", NULL, NULL, NULL);
	REFUSES(-EBADMSG, "outside of 0 to 257", -1, "\"ab\": 256, \"abc\": 257.0", NULL, NULL, NULL);
	REFUSES(-EBADMSG, "outside of 0 to 257", -1, "\"ab\": 256, \"abc\": \"257\"", NULL, NULL, NULL);
	REFUSES(-EBADMSG, "outside of 0 to 257", -1, "\"ab\": 256, \"abc\": {}", NULL, NULL, NULL);
}

TEST(refuses_tokens_that_are_none)
{
	char big[1100];

	REFUSES(-EBADMSG, "has 0 bytes", -1, "\"\": 256", "", NULL, NULL);
	memset(big, 'a', sizeof(big));
	big[0] = big[1026] = '"';
	strcpy(big + 1027, ": 256");
	REFUSES(-EBADMSG, "has 1025 bytes, 1 to 1024", -1, big, "", NULL, NULL);
	big[1025] = '"';
	strcpy(big + 1026, ": 256");
	EXPECT_EQ(with(-1, big, "", NULL, NULL), 0);
	snpu_tokenizer_free(tok);
}

TEST(refuses_another_kind_of_vocabulary)
{
	tok = NULL;
	REFUSES(-ENOTSUP, "not written in characters for bytes", -1, "\"a b\": 256", "", NULL, NULL);
	REFUSES(-ENOTSUP, "not written in characters for bytes", -1, "\"\u2581the\": 256", "", NULL, NULL);
	REFUSES(-ENOTSUP, "not written in characters for bytes", -1, "\"\u0144\": 256", "", NULL, NULL);
	REFUSES(-ENOTSUP, "not written in characters for bytes", -1, "\"\u00ad\": 256", "", NULL, NULL);
	REFUSES(-ENOTSUP, "not written in characters for bytes", -1, "\"\\u007f\": 256", "", NULL, NULL);
	for (int byte = 0; byte < 256; byte++) {
		char more[16], why[64];
		unsigned int k = 0;
		uint8_t b;

		while (rig_letter(k, &b), b != byte)
			k++;
		snprintf(more, sizeof(more), "\"ab\": %u", k);		/* in its place */
		snprintf(why, sizeof(why), "no token for byte 0x%02x", (unsigned int)byte);
		REFUSES(-ENOTSUP, why, byte, more, "", NULL, NULL);
	}
}

TEST(refuses_merges_that_are_none)
{
	REFUSES(-EBADMSG, "line 2 of merges.txt is not two tokens", -1, NULL, "a b\nabc\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 2 of merges.txt is not two tokens", -1, NULL, "a b\n ab\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 2 of merges.txt is not two tokens", -1, NULL, "a b\nab \n", NULL, NULL);
	REFUSES(-EBADMSG, "line 1 of merges.txt is not two tokens", -1, NULL, " \n", NULL, NULL);
	REFUSES(-EBADMSG, "line 1 of merges.txt is not two tokens", -1, NULL, "a b c\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 1 of merges.txt is not two tokens", -1, NULL, "a  b\n", NULL, NULL);
}

TEST(refuses_merges_of_unknown_tokens)
{
	char big[1100];

	REFUSES(-EBADMSG, "line 2 of merges.txt, 'zz c', has or makes a token", -1, NULL, "a b\nzz c\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 1 of merges.txt, 'c zz'", -1, NULL, "c zz\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 2 of merges.txt, '#version: 0.2'", -1, NULL, "a b\n#version: 0.2\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 1 of merges.txt, 'b a'", -1, NULL, "b a\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 1 of merges.txt, 'a \xff'", -1, NULL, "a \xff\n", NULL, NULL);
	REFUSES(-EBADMSG, "line 1 of merges.txt, 'a \xe4\xb8'", -1, NULL, "a \xe4\xb8\n", NULL, NULL);
	memset(big, 'a', sizeof(big));
	big[1] = ' ';
	strcpy(big + 1027, "\n");
	REFUSES(-EBADMSG, "line 1 of merges.txt has a token of more than 1024 bytes", -1, NULL, big, NULL, NULL);
}

/* A merge whose result is one of its parts would never end; it cannot be written, because the result is both parts together. */
TEST(refuses_merges_in_a_circle)
{
	REFUSES(-EBADMSG, "'ab ab'", -1, NULL, "a b\nab ab\n", NULL, NULL);
	REFUSES(-EBADMSG, "merges 1 and 3 of merges.txt are the same pair", -1, NULL, "a b\nab c\na b\n", NULL, NULL);
	ASSERT_EQ(with(-1, "\"aa\": 256, \"aaa\": 257", "aa a\na aa\na a\n", NULL, NULL), 0);	/* two ways to one token are none */
	IDS("aaa", 1, 257);
	IDS("aaaaa", 1, 257, 256);
	snpu_tokenizer_free(tok);
}

TEST(refuses_added_tokens_that_are_none)
{
	char big[1100];

	REFUSES(-EBADMSG, "an added token of added_tokens.json has 0 bytes", -1, NULL, NULL, "{\"\": 300}", NULL);
	REFUSES(-EBADMSG, "an id that is no integer", -1, NULL, NULL, "{\"<x>\": \"300\"}", NULL);
	REFUSES(-EBADMSG, "has id 1048576, 0 to 1048575", -1, NULL, NULL, "{\"<x>\": 1048576}", NULL);
	REFUSES(-EBADMSG, "has id -1,", -1, NULL, NULL, "{\"<x>\": -1}", NULL);
	REFUSES(-EBADMSG, "has id 9223372036854775807,", -1, NULL, NULL, "{\"<x>\": 9223372036854775807}", NULL);
	memset(big, 'a', sizeof(big));
	memcpy(big, "{\"", 2);
	strcpy(big + 1027, "\": 300}");
	REFUSES(-EBADMSG, "has 1025 bytes", -1, NULL, NULL, big, NULL);
}

TEST(refuses_added_tokens_that_contradict)
{
#define DECODER(id, text) "{\"added_tokens_decoder\": {\"" id "\": {\"content\": \"" text "\"}}}"
	REFUSES(-EBADMSG, "have the same id 300", -1, NULL, NULL, "{\"<x>\": 300, \"<y>\": 300}", NULL);
	REFUSES(-EBADMSG, "have the same id 300", -1, NULL, NULL, "{\"<x>\": 300}", DECODER("300", "<y>"));
	REFUSES(-EBADMSG, "'<x>' has two ids, 300 and 301", -1, NULL, NULL, "{\"<x>\": 300}", DECODER("301", "<x>"));
	REFUSES(-EBADMSG, "'<x>' has id 257, which is another token in vocab.json", -1, NULL, NULL, "{\"<x>\": 257}", NULL);
}

TEST(refuses_a_config_that_is_none)
{
	REFUSES(-EBADMSG, "added_tokens_decoder of tokenizer_config.json is no object", -1, NULL, NULL, NULL, "{\"added_tokens_decoder\": []}");
	REFUSES(-EBADMSG, "has 'x' for an id", -1, NULL, NULL, NULL, DECODER("x", "<x>"));
	REFUSES(-EBADMSG, "has '' for an id", -1, NULL, NULL, NULL, DECODER("", "<x>"));
	REFUSES(-EBADMSG, "has '-1' for an id", -1, NULL, NULL, NULL, DECODER("-1", "<x>"));
	REFUSES(-EBADMSG, "has '4294967596' for an id", -1, NULL, NULL, NULL, DECODER("4294967596", "<x>"));
	REFUSES(-EBADMSG, "has id 9999999,", -1, NULL, NULL, NULL, DECODER("9999999", "<x>"));
	REFUSES(-EBADMSG, "token 300 of tokenizer_config.json has no content", -1, NULL, NULL, NULL, "{\"added_tokens_decoder\": {\"300\": {}}}");
	REFUSES(-EBADMSG, "has no content", -1, NULL, NULL, NULL, "{\"added_tokens_decoder\": {\"300\": 7}}");
	REFUSES(-EBADMSG, "has no content", -1, NULL, NULL, NULL, "{\"added_tokens_decoder\": {\"300\": {\"content\": 7}}}");
}

TEST(refuses_another_kind_of_tokenizer)
{
	REFUSES(-ENOTSUP, "the tokenizer is a 'LlamaTokenizer'", -1, NULL, NULL, NULL, "{\"tokenizer_class\": \"LlamaTokenizer\"}");
	REFUSES(-ENOTSUP, "the tokenizer is a '?'", -1, NULL, NULL, NULL, "{\"tokenizer_class\": 7}");
	REFUSES(-ENOTSUP, "add_prefix_space", -1, NULL, NULL, NULL, "{\"add_prefix_space\": true}");
	REFUSES(-ENOTSUP, "split_special_tokens", -1, NULL, NULL, NULL, "{\"split_special_tokens\": true}");
#define FLAG(name) "{\"added_tokens_decoder\": {\"300\": {\"content\": \"<x>\", \"" name "\": true}}}"
	REFUSES(-ENOTSUP, "'<x>' has lstrip set", -1, NULL, NULL, NULL, FLAG("lstrip"));
	REFUSES(-ENOTSUP, "'<x>' has rstrip set", -1, NULL, NULL, NULL, FLAG("rstrip"));
	REFUSES(-ENOTSUP, "'<x>' has single_word set", -1, NULL, NULL, NULL, FLAG("single_word"));
	EXPECT_EQ(with(-1, NULL, NULL, NULL, "{\"tokenizer_class\": \"Qwen2TokenizerFast\", \"add_prefix_space\": false}"), 0);
	EXPECT_EQ(with(-1, NULL, NULL, NULL, FLAG("normalized")), 0);
	snpu_tokenizer_free(tok);
}

TEST_HARNESS_MAIN
