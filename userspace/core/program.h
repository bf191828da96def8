/* SPDX-License-Identifier: MIT */
/*
 * The program builder: appends packets to a growable buffer and checks everything about them that does not depend on
 * the regions' sizes at run time. One emit function a packet, expanded from hw/snpu_isa.def:
 *
 *	struct snpu_prog p;
 *	snpu_prog_init(&p);
 *	snpu_emit(&p, LOOP, .count = steps);
 *	p.slot = 3;						rows of the profile for what follows
 *	snpu_emit(&p, EVPACK, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 4 * n), .ev = snpu_ref(SNPU_REGION_SCRATCH, 0), .n = n);
 *	snpu_emit(&p, LIF, .hdr.flags = SNPU_NEURON_GE, .x = ..., .state = ..., .param = ..., .out = ..., .n = n);
 *	snpu_emit(&p, NEXT);
 *	err = snpu_prog_end(&p);				END, and the first error of all calls
 *
 * Errors stick: after one, emit functions do nothing and return it again, so that only the last call must be checked.
 * A program belongs to one thread.
 */
#ifndef SNPU_CORE_PROGRAM_H
#define SNPU_CORE_PROGRAM_H

#include <stdint.h>

#include "core/fail.h"
#include "core/packet.h"

struct snpu_prog {
	uint8_t *data;				/* [size], the packets */
	uint64_t size, capacity;		/* bytes */
	uint64_t loop[SNPU_LOOP_DEPTH];		/* offsets of the open LOOP packets, for messages */
	unsigned int depth;			/* open loops */
	uint16_t slot;				/* profile row of the packets to come; set by the caller */
	int err;				/* first error, sticky */
};

void snpu_prog_init(struct snpu_prog *prog);
void snpu_prog_free(struct snpu_prog *prog);

/*
 * Fills in opcode, length and slot of `pkt`, checks flags, operand ranges, regions, alignment and loop nesting, appends.
 * -EINVAL, -ENOMEM, -E2BIG (over 256 MiB).
 */
int snpu_prog_append(struct snpu_prog *prog, unsigned int opcode, void *pkt);

/* Appends END. Returns the first error of the program, 0 when it is complete. */
int snpu_prog_end(struct snpu_prog *prog) SNPU_MUST_CHECK;

#define PKT(NAME, opcode_, flags_, args, doc)							\
	static inline int snpu_emit_##NAME(struct snpu_prog *prog, struct snpu_pkt_##NAME pkt)	\
	{											\
		return snpu_prog_append(prog, SNPU_OP_##NAME, &pkt);				\
	}
#include "snpu_isa.def"

#define snpu_emit(prog, NAME, ...) snpu_emit_##NAME((prog), (struct snpu_pkt_##NAME){ __VA_ARGS__ })

/* References: fixed; moving by `step` bytes an iteration of the innermost loop; and by `outer` of the next one too. */
static inline struct snpu_ref snpu_ref(unsigned int region, uint64_t offset)
{
	return (struct snpu_ref){ .addr = SNPU_REF_ADDR((uint64_t)region, offset) };
}

static inline struct snpu_ref snpu_ref_step(unsigned int region, uint64_t offset, uint32_t step)
{
	return (struct snpu_ref){ .addr = SNPU_REF_ADDR((uint64_t)region, offset), .stride = { step } };
}

static inline struct snpu_ref snpu_ref_steps(unsigned int region, uint64_t offset, uint32_t step, uint32_t outer)
{
	return (struct snpu_ref){ .addr = SNPU_REF_ADDR((uint64_t)region, offset), .stride = { step, outer } };
}

#endif
