/* SPDX-License-Identifier: MIT */
/*
 * Control packets: the loop stack, the end, and the two packets that tell the world how far the program is. The
 * operands were checked by engine_decode.c; the matching of loops is checked here. Engine's thread.
 */
#include <time.h>

#include "sim/engine.h"

int engine_exec_NOP(struct snpu_engine *e, const struct snpu_pkt_NOP *p)
{
	return 0;
}

int engine_exec_END(struct snpu_engine *e, const struct snpu_pkt_END *p)
{
	if (e->st.depth)
		return SNPU_FAULT_LOOP;
	e->ended = true;
	return 0;
}

int engine_exec_LOOP(struct snpu_engine *e, const struct snpu_pkt_LOOP *p)
{
	struct snpu_engine_state *s = &e->st;

	if (s->depth == SNPU_LOOP_DEPTH)
		return SNPU_FAULT_LOOP;
	s->loop_pc[s->depth] = e->next_pc;
	s->loop_count[s->depth] = p->count;
	s->loop_index[s->depth] = 0;
	s->depth++;
	return 0;
}

int engine_exec_NEXT(struct snpu_engine *e, const struct snpu_pkt_NEXT *p)
{
	struct snpu_engine_state *s = &e->st;

	if (!s->depth)
		return SNPU_FAULT_LOOP;

	unsigned int top = s->depth - 1;

	if (++s->loop_index[top] < s->loop_count[top])
		e->next_pc = s->loop_pc[top];
	else
		s->depth--;
	return 0;
}

int engine_exec_SIGNAL(struct snpu_engine *e, const struct snpu_pkt_SIGNAL *p)
{
	/* An aligned copy of 8 bytes is one store on every host this runs on. */
	atomic_thread_fence(memory_order_release);
	return engine_arg_write(e, 0, 0, &p->value, sizeof(p->value));
}

uint64_t engine_now(const struct snpu_engine *e)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec - e->mem.clock_epoch_ns;
}

int engine_exec_TIMESTAMP(struct snpu_engine *e, const struct snpu_pkt_TIMESTAMP *p)
{
	uint64_t ns = engine_now(e);

	return engine_arg_write(e, 0, 0, &ns, sizeof(ns));
}
