/* SPDX-License-Identifier: MIT */
/* A fault in words. snpu_disasm() itself is in snpu.h. Pure functions, any thread. */
#ifndef SNPU_CORE_DISASM_H
#define SNPU_CORE_DISASM_H

#include <stddef.h>
#include <stdint.h>

struct snpu_queue_status;

/*
 * Writes what the fault members of `status` say, with the packet when `at_pc`, the program's bytes from the fault's offset
 * on (`size` of them), is not NULL. Always zero-terminated, cut at len > 0.
 */
void snpu_fault_describe(const struct snpu_queue_status *status, const void *at_pc, uint64_t size, char *text, size_t len);

#endif
