/* SPDX-License-Identifier: MIT */
/*
 * The firmware's version, once: the firmware reports it to the host, mkfw writes it into the image. The major number
 * grows when the contract in hw/snpu_fw_abi.h does (SNPU_FW_ABI_MAJOR), the others with the code.
 */
#ifndef FW_VERSION_H
#define FW_VERSION_H

#define FW_VERSION_MAJOR	1
#define FW_VERSION_MINOR	1
#define FW_VERSION_PATCH	0
#define FW_VERSION		(FW_VERSION_MAJOR << 16 | FW_VERSION_MINOR << 8 | FW_VERSION_PATCH)

/* The ABI minor version that is reported; the build makes images with others to test what a driver makes of them. */
#ifndef FW_ABI_MINOR
#define FW_ABI_MINOR		SNPU_FW_ABI_MINOR
#endif

/*
 * Grows when older images must not run any more: once a card has run this one, it and the driver refuse those with a
 * smaller number.
 */
#define FW_SECURITY_VERSION	1

#define FW_BUILD_BYTES		12	/* of the linker's build id that are shown, two hex digits each */

#endif
