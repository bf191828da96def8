/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the tokenizer share: the files of a folder, and the smallest tokenizer there is. A rig that cannot go on
 * says why and leaves what it could not make NULL.
 */
#ifndef SNPU_TESTS_TOKENIZER_RIG_H
#define SNPU_TESTS_TOKENIZER_RIG_H

#include "load/tokenizer.h"
#include "snpu/snpu.h"
#include "tests/unit/read_rig.h"

#define AUSTEN	"tests/data/spikingbrain/austen-3.7m"
#define QWEN2	"tests/data/spikingbrain/tokenizer-qwen2"
#define VECTORS	"tests/data/spikingbrain/dev-tokenizer"

TH_VAR char *rig_read_in(const char *dir, const char *name, size_t *size)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return rig_read(path, size);
}

/* big: folder of vocab.json and merges.txt, small: of the other two. */
TH_VAR struct snpu_tokenizer_files rig_files(const char *big, const char *small)
{
	struct snpu_tokenizer_files f = { 0 };

	f.vocab = rig_read_in(big, "vocab.json", &f.vocab_size);
	f.merges = rig_read_in(big, "merges.txt", &f.merges_size);
	f.added = rig_read_in(small, "added_tokens.json", &f.added_size);
	f.config = rig_read_in(small, "tokenizer_config.json", &f.config_size);
	return f;
}

TH_VAR void rig_files_free(struct snpu_tokenizer_files *f)
{
	free((char *)f->vocab);
	free((char *)f->merges);
	free((char *)f->added);
	free((char *)f->config);
}

TH_VAR struct snpu_tokenizer *rig_tokenizer(const char *big, const char *small)
{
	struct snpu_tokenizer_files f = rig_files(big, small);
	struct snpu_tokenizer *tok = NULL;

	if (f.vocab && f.merges && f.added && f.config && snpu_tokenizer_create(&f, &tok))
		printf("# %s: %s\n", big, snpu_last_error());
	rig_files_free(&f);
	return tok;
}

/* The bytes of ids, a zero behind them; NULL when one of them is no token. */
TH_VAR char *rig_decode(const struct snpu_tokenizer *tok, const uint32_t *ids, size_t n, size_t *size)
{
	char *mem = NULL;
	FILE *f = open_memstream(&mem, size);

	for (size_t i = 0; f && i < n; i++) {
		size_t len;
		const char *bytes = snpu_tokenizer_bytes(tok, ids[i], &len);

		if (!bytes) {
			fclose(f);
			free(mem);
			return NULL;
		}
		fwrite(bytes, 1, len, f);
	}
	if (f)
		fclose(f);
	return mem;
}

/* The k-th character of the alphabet that stands for bytes, in the order of GPT-2's ids, as UTF-8; *byte: what it stands for. */
TH_VAR const char *rig_letter(unsigned int k, uint8_t *byte)
{
	static char utf8[3];
	unsigned int n = 0, c = 0, other = 0;

	for (unsigned int pass = 0; pass < 2; pass++)
		for (unsigned int b = 0; b < 256; b++) {
			bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;

			if (printable == (pass == 0) && n++ == k) {
				*byte = (uint8_t)b;
				c = printable ? b : 256 + other;
			}
			other += pass && !printable;
		}
	if (c < 0x80)
		snprintf(utf8, sizeof(utf8), "%c", c);
	else
		snprintf(utf8, sizeof(utf8), "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
	return utf8;
}

/* vocab.json: `more`, then the bytes but `without` (-1: all). */
TH_VAR char *rig_vocab(int without, const char *more)
{
	char *mem = NULL;
	size_t size;
	FILE *f = open_memstream(&mem, &size);
	uint8_t byte;

	fprintf(f, "{%s", more);
	for (unsigned int k = 0; k < 256; k++) {
		const char *letter = rig_letter(k, &byte);

		if (byte != without)
			fprintf(f, "%s\"%s%s\": %u", ftell(f) > 1 ? ", " : "", *letter == '"' || *letter == '\\' ? "\\" : "", letter, k);
	}
	fputc('}', f);
	fclose(f);
	return mem;
}

#endif
