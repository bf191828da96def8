/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fixed-width types for everything in hw/, under the kernel's names, wherever it is compiled: host kernel, host
 * user, card firmware (bare metal, no <linux/types.h>). The card is little-endian; so is every supported host.
 */
#ifndef SNPU_TYPES_H
#define SNPU_TYPES_H

#if defined(__KERNEL__) || defined(__linux__)
#include <linux/types.h>
#else
#include <stdint.h>
typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
typedef int16_t __s16;
typedef int32_t __s32;
#endif

#ifdef __KERNEL__
#include <linux/build_bug.h>
#define SNPU_HW_ASSERT(cond, what) static_assert(cond, what)
#else
#define SNPU_HW_ASSERT(cond, what) _Static_assert(cond, what)
#endif

#endif
