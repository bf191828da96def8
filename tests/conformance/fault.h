/* SPDX-License-Identifier: MIT */
/* For tests of faults: programs that the builder would refuse, address spaces with holes, and the whole fault record. */
#ifndef SNPU_TESTS_FAULT_H
#define SNPU_TESTS_FAULT_H

#include "conf.h"

#define NOWHERE	(~0u)				/* operand: the packet itself */

/* Bytes of the last packet in the program region that the builder would refuse, changed after it was built. */
static inline void *packet(struct conf *c, uint64_t pc)
{
	return c->mem[SNPU_REGION_PROGRAM] + pc;
}

static inline int build(struct conf *c)
{
	int err = snpu_prog_end(&c->prog);

	if (!err)
		memcpy(c->mem[SNPU_REGION_PROGRAM], c->prog.data, c->prog.size);
	snpu_prog_free(&c->prog);
	return err;
}

struct want {
	uint32_t code;
	uint64_t pc;
	uint32_t operand;
	uint64_t va;
	uint32_t access;
	uint32_t loop[2];
};

#define EXPECT_FAULT(c, ...) do {						\
	const struct want w_ = { __VA_ARGS__ };					\
	uint32_t word_;								\
	ASSERT_EQ(conf_run_raw(c), -EFAULT);					\
	EXPECT_EQ((c)->status.flags, SNPU_QUEUE_STOPPED_FAULT);			\
	EXPECT_EQ((c)->status.fault_code, w_.code);				\
	EXPECT_EQ((c)->status.fault_pc, w_.pc);					\
	EXPECT_EQ((c)->status.fault_operand, w_.operand);			\
	EXPECT_EQ((c)->status.fault_va, w_.va);					\
	EXPECT_EQ((c)->status.fault_access, w_.access);				\
	EXPECT_EQ((c)->status.fault_loop[0], w_.loop[0]);			\
	EXPECT_EQ((c)->status.fault_loop[1], w_.loop[1]);			\
	memcpy(&word_, packet(c, w_.pc < CONF_PROGRAM ? w_.pc : 0), 4);		\
	EXPECT_EQ((c)->status.fault_packet, w_.pc < CONF_PROGRAM ? word_ : 0);	\
	EXPECT_EQ((c)->status.fault_job, 1);					\
	EXPECT_CONTAINS((c)->status.text, "faulted");				\
	ASSERT_EQ(conf_requeue(c), 0);						\
} while (0)

/* Binds bytes of a region as the rig did, with other rights; 0: not at all. */
static inline int bind(struct conf *c, unsigned int region, uint64_t from, uint64_t bytes, uint32_t flags)
{
	return flags ? snpu_vm_bind(c->vm, c->bo[region], from, CONF_VA(region) + from, bytes, flags) :
	       snpu_vm_unbind(c->vm, CONF_VA(region) + from, bytes);
}

#endif
