/* SPDX-License-Identifier: MIT */
/* The fuzz target of the vfio-user server, also used by tests/unit/vfu_fuzz_test.c. */
#ifndef SNPU_TESTS_VFU_FUZZ_H
#define SNPU_TESTS_VFU_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* What a record brings along besides bytes. */
enum vfu_fuzz_fds { FUZZ_NO_FDS, FUZZ_MEMFD, FUZZ_EVENTFDS, FUZZ_PIPE, FUZZ_TOO_MANY, FUZZ_KINDS };

/*
 * Gives a server one connection: the version, then the records in data: one byte (modulo FUZZ_KINDS) for the descriptors,
 * two bytes of length, that many bytes sent in one go. Then the client hangs up. Aborts when anything of it is left
 * behind: a map, a descriptor, a device not reset, or a server that does not answer the next client. Returns 0.
 */
int vfu_fuzz_message(const uint8_t *data, size_t size);

#endif
