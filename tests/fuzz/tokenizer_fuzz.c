/* SPDX-License-Identifier: MIT */
/*
 * Damaged vocabularies, merges and configurations, and any bytes as text. A damaged file must give an error with a sentence or
 * a tokenizer that still has the laws of one: ids decode to the normal form of the text, and encode to themselves again. A crash,
 * a leak (under a sanitizer) or a case of more than ten seconds fails.
 *
 *	tokenizer_fuzz [-t seconds] [-s seed] [-c case]		prints TAP, one test for each of two processes with seeds of their own
 *
 * A case depends on its number and the seed alone; how many there are depends on the time. -c does one case of both seeds.
 */
#include <sys/mman.h>
#include <time.h>

#include "tests/fuzz/roll.h"
#include "tests/unit/tokenizer_rig.h"

#define PROCESSES	2u
#define CASE_S		10u

/* What happened in a process, seen by its parent also after a crash. */
struct tally {
	uint64_t at;				/* case at work */
	uint64_t made, refused, texts, bad;
};

#define BAD(...) do { printf("# case %llu: ", (unsigned long long)t->at); printf(__VA_ARGS__); putchar('\n'); t->bad++; } while (0)

/* --- text -------------------------------------------------------------------------------------------------------- */

static const char *const atoms[] = {
	"the", " of", "ing", "E", " ", "  ", "\n", "\r\n", "\t", "0", "42", "'s", "'LL", "!!", ".", "_", "\u00e9", "e\u0301", "\u212b",
	"s\u0307\u0323", "\u0301", "\u0316", "\u0344", "\uac00", "\u1100\u1161", "\u11a8", "\u4e2d\u6587", "\u00a0", "\u2028",
	"\u180e", "\U0001f600", "\U0001d15e", "\xe2\x82", "\xff", "\xf0\x9f", "\xc3", "\xed\xa0\x80", "<|im_start|>", "<|im_end|>", "<|im_", "<|endoftext|", "\x7f",
};

/* Of its exact size, so that a sanitizer sees a byte too far. */
static char *any_text(size_t *size)
{
	uint32_t kind = roll(4), n = roll(8) ? roll(200) : roll(20000), one = roll(sizeof(atoms) / sizeof(atoms[0]));
	char *text, *exact;
	FILE *f = open_memstream(&text, size);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t atom = kind == 2 && roll(50) ? one : roll(sizeof(atoms) / sizeof(atoms[0]));

		if (kind == 0)
			fputc((int)roll(256), f);
		else if (kind == 1)
			fputc(roll(8) ? 0x80 + (int)roll(0x74) : (int)roll(0x80), f);	/* much that is nearly UTF-8 */
		else
			fputs(atoms[atom], f);
	}
	fclose(f);
	exact = malloc(*size ? *size : 1);
	memcpy(exact, text, *size);
	free(text);
	return exact;
}

static void laws(struct tally *t, const struct snpu_tokenizer *tok)
{
	size_t size, n, m, back_size;
	char *text = any_text(&size), *back;
	uint32_t *ids = NULL, *again = NULL;

	if (snpu_tokenizer_encode(tok, text, size, 0, &ids, &n)) {
		BAD("no ids for a text of %zu bytes: %s", size, snpu_last_error());
		free(text);
		return;
	}
	back = rig_decode(tok, ids, n, &back_size);
	if (!back || snpu_tokenizer_encode(tok, back, back_size, 0, &again, &m) || m != n || memcmp(ids, again, n * sizeof(*ids)))
		BAD("%zu ids do not decode to what gives them again", n);
	free(back);
	free(again);
	free(ids);
	if (snpu_tokenizer_encode(tok, text, size, 1, &ids, &n)) {
		BAD("no ids with added tokens: %s", snpu_last_error());
	} else {
		back = rig_decode(tok, ids, n, &back_size);
		if (!back)
			BAD("an id that is no token");
		free(back);
		free(ids);
	}
	free(text);
	t->texts++;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

/* What files are made of: numbers at borders, names, nothing. */
static const char *const words[] = {
	"0", "-1", "255", "256", "1023", "1024", "1048575", "1048576", "4294967295", "4294967296", "18446744073709551616", "1e3",
	"true", "null", "\"\"", "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800", " ", "\n", "\r\n",
	"\u0120", "\u0143", "\u0144", "\u4e2d", "\xff", "a", "t h",
	"content", "tokenizer_class", "lstrip\": true, \"", "added_tokens_decoder",
};

/* One change at any place; returns the new size. mem has room for twice `size` and a word. */
static size_t spoil(char *mem, size_t size)
{
	size_t at = roll((uint32_t)size + 1), n = roll(16), from;
	const char *word = words[roll(sizeof(words) / sizeof(words[0]))];

	n = n < size - at ? n : size - at;
	switch (roll(6)) {
	case 0:						/* a bit */
		if (at < size)
			mem[at] ^= (char)(1u << roll(8));
		return size;
	case 1:						/* less, perhaps by a line */
		n = roll(2) ? n : strcspn(mem + at, "\n") + 1;
		n = n < size - at ? n : size - at;
		memmove(mem + at, mem + at + n, size - at - n);
		return size - n;
	case 2:						/* something over something */
		memmove(mem + at + strlen(word), mem + at + n, size - at - n);
		memcpy(mem + at, word, strlen(word));
		return size - n + strlen(word);
	case 3:						/* a part twice, perhaps a line */
		from = roll((uint32_t)size + 1);
		n = roll(2) ? n : strcspn(mem + from, "\n") + 1;
		n = n < size - from ? n : size - from;
		word = strndup(mem + from, n);
		n = strlen(word);
		memmove(mem + at + n, mem + at, size - at);
		memcpy(mem + at, word, n);
		free((char *)word);
		return size + n;
	case 4:						/* parts exchanged */
		from = roll((uint32_t)size + 1);
		for (size_t i = 0; i < n && from + i < size; i++) {
			char c = mem[at + i];

			mem[at + i] = mem[from + i];
			mem[from + i] = c;
		}
		return size;
	default:					/* no end */
		return roll(4) ? size : at;
	}
}

/* A copy of its exact size, with some changes to it if so wanted. */
static void copy(const char **text, size_t *size, bool change)
{
	char *mem = calloc(2 * *size + 4096, 1), *exact;
	size_t n = *size;

	memcpy(mem, *text, n);
	for (uint32_t k = change ? 1 + roll(3) : 0; k && 2 * n < 2 * *size + 2048; k--) {
		n = spoil(mem, n);
		mem[n] = 0;
	}
	exact = malloc(n ? n : 1);
	memcpy(exact, mem, n);
	free(mem);
	*text = exact;
	*size = n;
}

static void one_case(struct tally *t, const struct snpu_tokenizer_files *good, const struct snpu_tokenizer *tok)
{
	struct snpu_tokenizer_files bad = *good;
	struct snpu_tokenizer *made;
	uint32_t which = roll(5);
	int err;

	if (roll(3) == 0) {
		laws(t, tok);
		return;
	}
	copy(&bad.vocab, &bad.vocab_size, which == 0);
	copy(&bad.merges, &bad.merges_size, which == 1 || which == 4);
	copy(&bad.added, &bad.added_size, which == 2);
	copy(&bad.config, &bad.config_size, which == 3);
	err = snpu_tokenizer_create(&bad, &made);
	rig_files_free(&bad);
	if (!err) {
		t->made++;
		laws(t, made);
		snpu_tokenizer_free(made);
	} else {
		t->refused++;
		if ((err != -EBADMSG && err != -ENOTSUP) || !snpu_last_error()[0])
			BAD("error %d, '%s'", err, snpu_last_error());
	}
}

/* --- processes --------------------------------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int run(struct tally *t, uint64_t seed, double seconds, long only)
{
	struct snpu_tokenizer_files good = rig_files(AUSTEN, AUSTEN);
	struct snpu_tokenizer *tok = rig_tokenizer(AUSTEN, AUSTEN);
	double end = now() + seconds;

	if (!tok)
		return 1;
	for (t->at = only < 0 ? 0 : (uint64_t)only; only >= 0 ? t->at == (uint64_t)only : now() < end; t->at++) {
		rng = seed << 40 ^ t->at;
		alarm(CASE_S);
		one_case(t, &good, tok);
	}
	alarm(0);
	snpu_tokenizer_free(tok);
	rig_files_free(&good);
	/* Some damage goes unseen, most does not; when only one of them happens, this tests nothing. */
	if (only < 0 && (!t->made || !t->refused || !t->texts))
		BAD("no case of one kind");
	return t->bad != 0;
}

int main(int argc, char **argv)
{
	struct tally *tally = mmap(NULL, PROCESSES * sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long long seed = 1;
	double seconds = 10;
	pid_t pid[PROCESSES];
	long only = -1;
	int opt, failed = 0;

	while ((opt = getopt(argc, argv, "t:s:c:")) != -1) {
		if (opt == '?')
			return 2;
		if (opt == 't')
			seconds = atof(optarg);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			only = atol(optarg);
	}
	if (tally == MAP_FAILED)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("TAP version 13");
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			exit(run(&tally[i], seed + i, seconds, only));
	}
	for (unsigned int i = 0; i < PROCESSES; i++) {
		const struct tally *t = &tally[i];
		int st = -1;

		if (pid[i] > 0 && waitpid(pid[i], &st, 0) == pid[i] && st)
			printf("# seed %llu, case %llu: %s %d\n", seed + i, (unsigned long long)t->at, WIFSIGNALED(st) ? "signal" : "status",
			       WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st));
		failed += st != 0;
		printf("# seed %llu: %llu cases, %llu files taken, %llu refused, %llu texts\n", seed + i, (unsigned long long)t->at,
		       (unsigned long long)t->made, (unsigned long long)t->refused, (unsigned long long)t->texts);
		printf("%sok %u seed %llu\n", st ? "not " : "", i + 1, seed + i);
	}
	printf("1..%u\n", PROCESSES);
	return failed != 0;
}
