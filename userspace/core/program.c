/* SPDX-License-Identifier: MIT */
/*
 * The program builder of program.h. It refuses what every device would refuse whatever the regions' sizes are, so that
 * a mistake of the compiler is found where it is made. Sizes, overlaps and memory are the device's to check.
 */
#include "core/program.h"

#include <stdlib.h>
#include <string.h>

#define PROGRAM_MAX	(256ull << 20)		/* bytes: far above any real program, far below what breaks offsets */

void snpu_prog_init(struct snpu_prog *prog)
{
	memset(prog, 0, sizeof(*prog));
}

void snpu_prog_free(struct snpu_prog *prog)
{
	free(prog->data);
	snpu_prog_init(prog);
}

static int grow(struct snpu_prog *prog, uint64_t bytes)
{
	uint64_t want = prog->size + bytes, cap = prog->capacity ? prog->capacity : 4096;
	uint8_t *data;

	if (want > PROGRAM_MAX)
		return snpu_fail(-E2BIG, "program: longer than %llu bytes; use loops or split the model",
				 (unsigned long long)PROGRAM_MAX);
	if (want <= prog->capacity)
		return 0;
	while (cap < want)
		cap *= 2;
	data = realloc(prog->data, cap);
	if (!data)
		return snpu_fail(-ENOMEM, "program: no memory for %llu bytes of packets", (unsigned long long)cap);
	prog->data = data;
	prog->capacity = cap;
	return 0;
}

static int check_ref(const struct snpu_prog *prog, const struct snpu_pkt_desc *d, unsigned int i, const void *pkt, uint64_t count)
{
	const struct snpu_ref *ref = (const void *)((const uint8_t *)pkt + d->arg[i].offset);
	const struct snpu_arg_desc *arg = &d->arg[i];
	unsigned int region = SNPU_REF_REGION(ref), align = arg->elem < 4 ? 4 : arg->elem;

	if (!count) {
		if (ref->addr || ref->stride[0] || ref->stride[1])
			return snpu_fail(-EINVAL, "program: %s at %#llx: operand %s must be the zero reference here", d->name,
					 (unsigned long long)prog->size, arg->name);
		return 0;
	}
	if (SNPU_REF_RESERVED(ref) || !snpu_region_nameable(region))
		return snpu_fail(-EINVAL, "program: %s at %#llx: operand %s names region %u, which packets cannot use", d->name,
				 (unsigned long long)prog->size, arg->name, region);
	if ((arg->access & SNPU_ACCESS_WRITE) && !snpu_region_writable(region))
		return snpu_fail(-EINVAL, "program: %s at %#llx: operand %s writes to region %s, which is read-only", d->name,
				 (unsigned long long)prog->size, arg->name, snpu_region_name(region));
	if (SNPU_REF_OFFSET(ref) % align || ref->stride[0] % align || ref->stride[1] % align)
		return snpu_fail(-EINVAL, "program: %s at %#llx: operand %s (offset %#llx, strides %u and %u) is not a multiple of %u",
				 d->name, (unsigned long long)prog->size, arg->name, (unsigned long long)SNPU_REF_OFFSET(ref),
				 ref->stride[0], ref->stride[1], align);
	return 0;
}

static int check_args(const struct snpu_prog *prog, const struct snpu_pkt_desc *d, const void *pkt)
{
	uint64_t count[SNPU_PKT_MAX_ARGS];
	int err = 0;

	if (!snpu_pkt_flags_ok(d, ((const struct snpu_pkt_hdr *)pkt)->flags))
		return snpu_fail(-EINVAL, "program: %s at %#llx: flags %#x are not defined for it", d->name,
				 (unsigned long long)prog->size, ((const struct snpu_pkt_hdr *)pkt)->flags);
	for (unsigned int i = 0; i < d->n_args; i++) {
		uint32_t v;

		if (d->arg[i].kind != SNPU_ARG_U32)
			continue;
		memcpy(&v, (const uint8_t *)pkt + d->arg[i].offset, sizeof(v));
		if (v < d->arg[i].min || v > d->arg[i].max)
			return snpu_fail(-EINVAL, "program: %s at %#llx: %s is %u, must be %u to %u", d->name,
					 (unsigned long long)prog->size, d->arg[i].name, v, d->arg[i].min, d->arg[i].max);
	}
	d->counts(pkt, count);
	for (unsigned int i = 0; i < d->n_args && !err; i++)
		if (d->arg[i].kind == SNPU_ARG_REF)
			err = check_ref(prog, d, i, pkt, count[i]);
	return err;
}

static int check_nesting(const struct snpu_prog *prog, unsigned int opcode)
{
	unsigned long long at = prog->size;

	if (opcode == SNPU_OP_LOOP && prog->depth == SNPU_LOOP_DEPTH)
		return snpu_fail(-EINVAL, "program: LOOP at %#llx: %d loops are open already, the most there can be", at, SNPU_LOOP_DEPTH);
	if (opcode == SNPU_OP_NEXT && !prog->depth)
		return snpu_fail(-EINVAL, "program: NEXT at %#llx: no loop is open", at);
	if (opcode == SNPU_OP_END && prog->depth)
		return snpu_fail(-EINVAL, "program: END at %#llx: the loop at %#llx is still open", at,
				 (unsigned long long)prog->loop[prog->depth - 1]);
	return 0;
}

int snpu_prog_append(struct snpu_prog *prog, unsigned int opcode, void *pkt)
{
	const struct snpu_pkt_desc *d = snpu_pkt_desc(opcode);
	struct snpu_pkt_hdr *hdr = pkt;

	if (prog->err)
		return prog->err;
	if (!d)
		return prog->err = snpu_fail(-EINVAL, "program: opcode %#x is not defined", opcode);
	hdr->opcode = (uint8_t)opcode;
	hdr->words = d->bytes / 4;
	hdr->slot = prog->slot;
	hdr->pad = 0;
	memset((uint8_t *)pkt + d->used, 0, (size_t)d->bytes - d->used);
	prog->err = check_args(prog, d, pkt);
	if (!prog->err)
		prog->err = check_nesting(prog, opcode);
	if (!prog->err)
		prog->err = grow(prog, d->bytes);
	if (prog->err)
		return prog->err;
	if (opcode == SNPU_OP_LOOP)
		prog->loop[prog->depth++] = prog->size;
	if (opcode == SNPU_OP_NEXT)
		prog->depth--;
	memcpy(prog->data + prog->size, pkt, d->bytes);
	prog->size += d->bytes;
	return 0;
}

int snpu_prog_end(struct snpu_prog *prog)
{
	return snpu_emit(prog, END);
}
