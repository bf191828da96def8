/* SPDX-License-Identifier: MIT */
/*
 * Damaged firmware images, the same ones in every run, for the two that judge them: the driver (kmod/snpu_fw_image.c) and the
 * card's boot ROM (sim/boot.c). Neither may read past the image's end or write outside the core's memory (the sanitizers and a
 * guard see it); the ROM is the stricter one, so what it takes the driver must take; and a refusal has a reason.
 *
 * FIRMWARE_FUZZ_CASES sets how many. With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "kmod/snpu_fw_image.h"
#include "sim/boot.h"
#include "snpu_core.h"
#include "snpu_fw_abi.h"
#include "tests/fuzz/roll.h"
#include "tests/harness.h"

#define GUARD	64u

static uint8_t tcm[SNPU_CORE_TCM_SIZE + GUARD];

/* What the driver says (0 or not) and what the ROM does; the image is in memory of its own, of its own size. */
static int judge(const uint8_t *data, size_t size, uint32_t min_security, enum snpu_boot_error *rom)
{
	struct snpu_fw_problem p = { 0 };
	uint32_t entry = ~0u;
	int err = snpu_fw_image_check(data, size, &p);

	memset(tcm + SNPU_CORE_TCM_SIZE, 0x5a, GUARD);
	*rom = boot_load(data, size, min_security, tcm, &entry);
	for (unsigned int i = 0; i < GUARD; i++)
		if (tcm[SNPU_CORE_TCM_SIZE + i] != 0x5a)
			abort();
	if (err ? !p.what || !p.rule : p.what != NULL)
		abort();
	for (uint32_t i = 0; !err && i < ((const struct snpu_fw_image *)data)->sections; i++) {
		const struct snpu_fw_section *s = &((const struct snpu_fw_image *)data)->section[i];

		if (i >= SNPU_FW_MAX_SECTIONS || (uint64_t)s->offset + s->size > size)
			abort();
	}
	if (!*rom && (err || entry % 4 || entry >= SNPU_CORE_TCM_SIZE || ((const struct snpu_fw_image *)data)->security_version < min_security))
		abort();
	return err;
}

static void mend_hash(uint8_t *data, size_t size)
{
	struct snpu_fw_image *h = (struct snpu_fw_image *)data;
	struct sha256_ctx sha;

	if (size < sizeof(*h))
		return;
	memset(h->sha256, 0, sizeof(h->sha256));
	sha256_init(&sha);
	sha256_update(&sha, size, data);
	sha256_digest(&sha, sizeof(h->sha256), h->sha256);
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum snpu_boot_error rom;
	uint8_t *copy;

	if (size > SNPU_FW_MAX_SIZE)
		return 0;
	copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	mend_hash(copy, size);
	judge(copy, size, 1, &rom);
	free(copy);
	return 0;
}
#else

/* One field or one byte of the header becomes something else, mostly something near a limit. */
static void spoil(uint8_t *data, size_t size)
{
	static const uint32_t favourites[] = { 0, 1, 4, 7, 8, 9, 0x100, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff,
					       sizeof(struct snpu_fw_image), SNPU_CORE_TCM_SIZE, SNPU_CORE_TCM_SIZE - 4, SNPU_FW_MAX_SIZE };
	const uint32_t words = sizeof(struct snpu_fw_image) / 4;
	uint32_t v, at = roll(words) * 4;

	if (at + 4 > size)
		return;
	memcpy(&v, data + at, 4);
	switch (roll(4)) {
	case 0:
		v = favourites[roll(sizeof(favourites) / 4)];
		break;
	case 1:
		v = (uint32_t)size + roll(17) - 8;
		break;
	case 2:
		v += roll(17) - 8;
		break;
	default:
		v ^= 1u << roll(32);
	}
	memcpy(data + at, &v, 4);
}

TEST_TIMEOUT(damaged, 300)
{
	const char *cases = getenv("FIRMWARE_FUZZ_CASES");
	unsigned int n = cases ? (unsigned int)strtoul(cases, NULL, 10) : 100000, seen[SNPU_BOOT_ERR_ROLLBACK + 1] = { 0 }, only_rom = 0;
	uint8_t *good = malloc(SNPU_FW_MAX_SIZE), *bad;
	FILE *f = fopen(FW_DIR "/snpu/snpu-fw-1.bin", "rb");
	enum snpu_boot_error rom;
	size_t size, left;

	ASSERT_TRUE(f && good);
	size = fread(good, 1, SNPU_FW_MAX_SIZE, f);
	fclose(f);
	ASSERT_EQ(judge(good, size, 1, &rom), 0);
	ASSERT_EQ(rom, SNPU_BOOT_ERR_NONE);
	for (unsigned int i = 0; i < n; i++) {
		left = roll(8) ? size : roll((uint32_t)size);
		bad = malloc(left ? left : 1);
		ASSERT_TRUE(bad);
		memcpy(bad, good, left);
		for (uint32_t k = 1 + roll(3); k; k--)
			spoil(bad, left);
		if (roll(8))
			mend_hash(bad, left);
		only_rom += !judge(bad, left, roll(3), &rom) && rom;
		seen[rom]++;
		free(bad);
	}
	free(good);
	for (unsigned int e = 0; e <= SNPU_BOOT_ERR_ROLLBACK; e++)	/* else the damage was too mild or too harsh */
		EXPECT_TRUE(seen[e] || e == SNPU_BOOT_ERR_RANGE);
	EXPECT_TRUE(only_rom);
}

TEST_HARNESS_MAIN
#endif
