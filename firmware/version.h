/* SPDX-License-Identifier: MIT */
/*
 * The firmware's version, once: the firmware reports it to the host, mkfw writes it into the image. The major number
 * grows when the contract in hw/snpu_fw_abi.h does (SNPU_FW_ABI_MAJOR), the others with the code.
 */
#ifndef FW_VERSION_H
#define FW_VERSION_H

#define FW_VERSION_MAJOR	1
#define FW_VERSION_MINOR	0
#define FW_VERSION_PATCH	0
#define FW_VERSION		(FW_VERSION_MAJOR << 16 | FW_VERSION_MINOR << 8 | FW_VERSION_PATCH)

#define FW_BUILD_BYTES		12	/* of the linker's build id that are shown, two hex digits each */

#endif
