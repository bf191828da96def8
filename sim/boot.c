/* SPDX-License-Identifier: MIT */
/*
 * The boot ROM, see boot.h. An image is refused for the first thing that is wrong with it, so that the driver can say
 * which; nothing of it is used before everything was found good.
 */
#include <nettle/sha2.h>
#include <stdbool.h>
#include <string.h>

#include "sim/boot.h"
#include "snpu_core.h"
#include "snpu_fw_abi.h"

static bool header_ok(const struct snpu_fw_image *h, size_t size)
{
	static const struct snpu_fw_section none;

	if (h->header_size != sizeof(*h) || h->image_size != size || h->flags || !h->sections ||
	    h->sections > SNPU_FW_MAX_SECTIONS || h->build[sizeof(h->build) - 1])
		return false;
	for (unsigned int i = h->sections; i < SNPU_FW_MAX_SECTIONS; i++)
		if (memcmp(&h->section[i], &none, sizeof(none)))
			return false;
	return true;
}

static bool section_ok(const struct snpu_fw_section *s, size_t size)
{
	return s->offset % 8 == 0 && s->offset >= sizeof(struct snpu_fw_image) && s->offset <= size &&
	       s->size <= size - s->offset && s->load % 4 == 0 && s->size <= s->mem_size &&
	       s->load - SNPU_CORE_TCM <= SNPU_CORE_TCM_SIZE &&
	       s->mem_size <= SNPU_CORE_TCM_SIZE - (s->load - SNPU_CORE_TCM);
}

static bool hash_ok(const struct snpu_fw_image *h, const uint8_t *image, size_t size)
{
	static const uint8_t zero[sizeof(h->sha256)];
	const size_t at = offsetof(struct snpu_fw_image, sha256), after = at + sizeof(h->sha256);
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, at, image);
	sha256_update(&ctx, sizeof(zero), zero);
	sha256_update(&ctx, size - after, image + after);
	sha256_digest(&ctx, sizeof(digest), digest);
	return !memcmp(digest, h->sha256, sizeof(digest));
}

static bool entry_ok(const struct snpu_fw_image *h)
{
	for (unsigned int i = 0; i < h->sections; i++) {
		const struct snpu_fw_section *s = &h->section[i];

		if (h->entry >= s->load && s->size >= 4 && h->entry - s->load <= s->size - 4)
			return h->entry % 4 == 0;
	}
	return false;
}

enum snpu_boot_error boot_load(const void *image, size_t size, uint32_t min_security, uint8_t *tcm, uint32_t *entry)
{
	struct snpu_fw_image h;

	if (size < sizeof(h.magic))
		return SNPU_BOOT_ERR_MAGIC;
	memset(&h, 0, sizeof(h));
	memcpy(&h, image, size < sizeof(h) ? size : sizeof(h));
	if (h.magic != SNPU_FW_MAGIC)
		return SNPU_BOOT_ERR_MAGIC;
	if (size < sizeof(h) || !header_ok(&h, size))
		return SNPU_BOOT_ERR_HEADER;
	if (h.abi_major != SNPU_FW_ABI_MAJOR)
		return SNPU_BOOT_ERR_ABI;
	for (unsigned int i = 0; i < h.sections; i++)
		if (!section_ok(&h.section[i], size))
			return SNPU_BOOT_ERR_SECTION;
	if (!hash_ok(&h, image, size))
		return SNPU_BOOT_ERR_HASH;
	if (!entry_ok(&h))
		return SNPU_BOOT_ERR_ENTRY;
	if (h.security_version < min_security)
		return SNPU_BOOT_ERR_ROLLBACK;
	memset(tcm, 0, SNPU_CORE_TCM_SIZE);
	for (unsigned int i = 0; i < h.sections; i++)
		memcpy(tcm + (h.section[i].load - SNPU_CORE_TCM), (const uint8_t *)image + h.section[i].offset, h.section[i].size);
	*entry = h.entry;
	return SNPU_BOOT_ERR_NONE;
}
