/* SPDX-License-Identifier: MIT */
/*
 * The boot ROM: judges a firmware image and puts it into the management core's memory. A pure function of its
 * arguments; the caller copies the image out of device memory first, because the host could change it meanwhile.
 */
#ifndef SNPU_SIM_BOOT_H
#define SNPU_SIM_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "snpu_regs.h"

/*
 * Checks image (size bytes, as staged; size <= SNPU_FW_MAX_SIZE) in this order: MAGIC, HEADER (its size, flags, image_size,
 * section count, unused entries), ABI, SECTION (each lies in the image behind the header and in the TCM), HASH, ENTRY (inside
 * the bytes of a loaded section), ROLLBACK (security_version is at least min_security). On success the TCM holds the sections and zeroes, and *entry the first instruction's
 * address; otherwise the TCM is untouched.
 */
enum snpu_boot_error boot_load(const void *image, size_t size, uint32_t min_security, uint8_t *tcm, uint32_t *entry)
	__attribute__((warn_unused_result));

#endif
