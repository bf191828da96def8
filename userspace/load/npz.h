/* SPDX-License-Identifier: MIT */
/* What the readers of events need of .npz files beyond snpu_array.h. An archive belongs to one thread. */
#ifndef SNPU_LOAD_NPZ_H
#define SNPU_LOAD_NPZ_H

#include "core/fail.h"
#include "snpu/snpu_array.h"

/* The bytes of the .npy file called `name`; free() *mem. Errors as snpu_npz_read(). */
SNPU_SHARED int snpu_npz_bytes(struct snpu_npz *z, const char *name, void **mem, size_t *size) SNPU_MUST_CHECK;

#endif
