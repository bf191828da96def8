/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint as users download it: a folder in Hugging Face form, or its parts. Names tensors and says where they lie in
 * mapped files; nothing is copied or converted here. safetensors.c and torch.c parse one file each from memory (so that they
 * can be fuzzed), ckpt.c opens a folder: single files, shards with their index, either format. tensor.c has what one tensor
 * and a list of them need, file.c maps files. A file must not be cut short by others while it is mapped.
 *
 * A checkpoint that was opened is constant; any thread may read it.
 */
#ifndef SNPU_LOAD_CKPT_H
#define SNPU_LOAD_CKPT_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"
#include "snpu/snpu_array.h"

enum snpu_tensor_type { SNPU_TENSOR_F32, SNPU_TENSOR_F16, SNPU_TENSOR_BF16, SNPU_TENSOR_F64, SNPU_TENSOR_OTHER };

/* Row-major, little-endian, without holes. */
struct snpu_ckpt_tensor {
	char *name;
	enum snpu_tensor_type type;		/* OTHER: integers, booleans, float8; only named, never read */
	unsigned rank;
	uint64_t shape[SNPU_MAX_RANK];
	uint64_t count;				/* elements, product of shape */
	const void *data;			/* in a mapped file, aligned to nothing */
	uint64_t bytes;
};

struct snpu_tensor_list {
	struct snpu_ckpt_tensor *tensor;		/* [n] */
	size_t n, cap;
};

/* Appends a copy of `t` (and of its name). -ENOMEM. */
int snpu_tensor_list_add(struct snpu_tensor_list *list, const struct snpu_ckpt_tensor *t) SNPU_MUST_CHECK;
void snpu_tensor_list_free(struct snpu_tensor_list *list);

/*
 * Sets count and bytes from shape and the bytes of an element. -EBADMSG when the product of the axes that are not zero does
 * not fit into 64 bits, so that the order of axes does not matter.
 */
int snpu_tensor_measure(struct snpu_ckpt_tensor *t, uint64_t element) SNPU_MUST_CHECK;

/*
 * Appends the tensors of one file in memory. Data pointers point into `mem`. -EBADMSG: damaged or hostile; the sentence names
 * the tensor or the place. What was appended before an error stays in the list.
 */
int snpu_safetensors_parse(const void *mem, size_t size, struct snpu_tensor_list *list) SNPU_MUST_CHECK;
int snpu_torch_parse(const void *mem, size_t size, struct snpu_tensor_list *list) SNPU_MUST_CHECK;

struct snpu_ckpt;

/*
 * Opens a folder: model.safetensors, model.safetensors.index.json, pytorch_model.bin or pytorch_model.bin.index.json, in this
 * order. -ENOENT none of them or a shard is missing, -EBADMSG, -ENOMEM.
 */
int snpu_ckpt_open(const char *dir, struct snpu_ckpt **ckpt) SNPU_MUST_CHECK;
void snpu_ckpt_close(struct snpu_ckpt *ckpt);
/* Tensor number i, or NULL past the last (they lie in one array); by name, or NULL. */
const struct snpu_ckpt_tensor *snpu_ckpt_tensor(const struct snpu_ckpt *ckpt, size_t i);
const struct snpu_ckpt_tensor *snpu_ckpt_find(const struct snpu_ckpt *ckpt, const char *name);
/* The tensor is not needed any more: its pages may go. */
void snpu_ckpt_drop(const struct snpu_ckpt *ckpt, const struct snpu_ckpt_tensor *t);

/* Converts elements [first, first + n) to float32, exactly except for F64 (rounded). -ENOTSUP for OTHER, -ERANGE past the end. */
int snpu_tensor_f32(const struct snpu_ckpt_tensor *t, uint64_t first, uint64_t n, float *out) SNPU_MUST_CHECK;

/*
 * A whole file in memory, mapped read-only; `size` 0 is an error of -EBADMSG. max: refuse larger ones with -EFBIG before anything
 * is allocated (0: no limit). -ENOENT, -EACCES and the like when it cannot be opened, -EINVAL when it is no regular file.
 */
int snpu_file_map(const char *path, uint64_t max, const void **mem, size_t *size) SNPU_MUST_CHECK;
void snpu_file_unmap(const void *mem, size_t size);

#endif
