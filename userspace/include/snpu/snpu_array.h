/* SPDX-License-Identifier: MIT */
/*
 * Arrays in memory, NumPy's .npy and .npz files, and the encoder that turns images into spikes. A part of libsnpu.
 * Every function is thread-safe as long as two threads do not change the same object. Functions that can fail return
 * a negative errno and keep one sentence for snpu_last_error(). Files come in as memory, so that a caller decides how
 * they are read.
 */
#include <snpu/snpu.h>

#ifndef SNPU_ARRAY_H
#define SNPU_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SNPU_MAX_RANK	8

enum snpu_dtype {
	SNPU_BOOL, SNPU_U8, SNPU_I8, SNPU_U16, SNPU_I16, SNPU_U32, SNPU_I32, SNPU_U64, SNPU_I64, SNPU_F32, SNPU_F64,
	SNPU_DTYPE_COUNT
};

/** struct snpu_array - Numbers in C order (last index fastest), little-endian, rank 0 for a single number. */
struct snpu_array {
	enum snpu_dtype dtype;
	unsigned rank;
	uint64_t shape[SNPU_MAX_RANK];
	uint64_t count;			/* elements: product of shape, 1 for rank 0 */
	void *data;			/* count elements; may be NULL when count is 0 */
};

/** Bytes of one element. */
SNPU_API size_t snpu_dtype_size(enum snpu_dtype dtype);
/** Name as NumPy spells it: "uint8", "float32", ... */
SNPU_API const char *snpu_dtype_name(enum snpu_dtype dtype);

/**
 * snpu_array_create - An array of zeros.
 * -E2BIG when the size does not fit into memory addresses or rank is over SNPU_MAX_RANK, -ENOMEM.
 */
SNPU_API int snpu_array_create(enum snpu_dtype dtype, unsigned rank, const uint64_t *shape, struct snpu_array *out) SNPU_CHECKED;
/** Frees the data and zeroes the structure. Allowed on NULL and on a zeroed structure. */
SNPU_API void snpu_array_free(struct snpu_array *a);
/** Writes count elements from @first on to @out, converted to float32 (rounded to nearest). -ERANGE past the end. */
SNPU_API int snpu_array_to_f32(const struct snpu_array *a, uint64_t first, uint64_t count, float *out) SNPU_CHECKED;

/**
 * snpu_npy_parse - Read an array from the bytes of a .npy file, versions 1.0 to 3.0.
 * Fortran order is turned into C order; bool, integer, float32 and float64 of little-endian byte order are taken.
 * -EBADMSG when it is not a .npy file or damaged, -ENOTSUP for another element type, -ENOMEM.
 */
SNPU_API int snpu_npy_parse(const void *mem, size_t size, struct snpu_array *out) SNPU_CHECKED;
/** The bytes of a .npy file (version 1.0) for an array; free() them. */
SNPU_API int snpu_npy_format(const struct snpu_array *a, void **mem, size_t *size) SNPU_CHECKED;

/** struct snpu_npz - An archive of named arrays, read. */
struct snpu_npz;
/** @mem must stay until snpu_npz_close(). -EBADMSG when it is not a .npz file. */
SNPU_API int snpu_npz_open(const void *mem, size_t size, struct snpu_npz **out) SNPU_CHECKED;
SNPU_API void snpu_npz_close(struct snpu_npz *z);
SNPU_API unsigned snpu_npz_count(const struct snpu_npz *z);
/** Name of array @index, without ".npy"; NULL past the end. Valid until the archive is closed. */
SNPU_API const char *snpu_npz_name(const struct snpu_npz *z, unsigned index);
/** Reads the array called @name. -ENOENT when there is none, otherwise as snpu_npy_parse(). */
SNPU_API int snpu_npz_read(struct snpu_npz *z, const char *name, struct snpu_array *out) SNPU_CHECKED;

/**
 * snpu_npz_write - Write a .npz file with @count arrays, compressed, under their names. Same arrays, same bytes.
 * The file appears under @path when it is complete. -EIO with the reason, -EINVAL for a name that is empty or twice there.
 */
SNPU_API int snpu_npz_write(const char *path, unsigned count, const char *const *names, const struct snpu_array *arrays) SNPU_CHECKED;

/**
 * snpu_encode_image - Spikes of @n pixels for @steps time steps, by integer error diffusion:
 * acc0[i] = (151 * i) & 255; in each step acc += pixel >> 1, spike = acc >> 8, acc &= 255.
 * A pixel of value p fires about (p >> 1) / 256 times a step. @spikes: [steps][n], 0.0 or 1.0.
 */
SNPU_API void snpu_encode_image(const uint8_t *pixels, size_t n, uint32_t steps, float *spikes);

/**
 * snpu_encode_rate - Spikes by chance, the same ones for the same @seed on every machine: in each step a pixel of value p fires with
 * probability p / 255. The chance of pixel i in step t is hash(seed, t * n + i), by splitmix64. @spikes: [steps][n], 0.0 or 1.0.
 */
SNPU_API void snpu_encode_rate(const uint8_t *pixels, size_t n, uint32_t steps, uint64_t seed, float *spikes);

/**
 * snpu_encode_latency - One spike a pixel, the earlier the brighter it is: in step (255 - p) * (steps - 1) / 255, rounded down; none of
 * a pixel of value 0. @spikes: [steps][n], 0.0 or 1.0.
 */
SNPU_API void snpu_encode_latency(const uint8_t *pixels, size_t n, uint32_t steps, float *spikes);

#ifdef __cplusplus
}
#endif
#endif
