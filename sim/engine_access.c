/* SPDX-License-Identifier: MIT */
/*
 * Every byte the engine reads or writes: translate, check the memory behind, move, account. Before each access it
 * looks whether translations have to be dropped or the job given up, so both take effect within one access, however
 * long the packet. Knows nothing about packets beyond the addresses of their operands. Also the kernels' buffers.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/engine.h"

#define BURST	64u				/* bytes */

static uint64_t bursts(uint64_t pa, uint64_t len)
{
	return (pa + len - 1) / BURST - pa / BURST + 1;
}

static void account(struct engine_work *w, bool device, enum snpu_access access, uint64_t pa, uint64_t len)
{
	uint64_t n = bursts(pa, len);

	if (device)
		w->vram_bursts += n;
	else
		w->host_bursts += n;
	if (access == SNPU_ACCESS_READ)
		*(device ? &w->vram_rd : &w->host_rd) += device ? n * BURST : len;
	else
		*(device ? &w->vram_wr : &w->host_wr) += len;
}

static bool in_device(const struct snpu_engine *e, uint64_t pa, uint64_t len)
{
	return pa <= e->mem.device_size && len <= e->mem.device_size - pa;
}

int engine_read_pte(void *engine, bool device, uint64_t pa, uint64_t *pte)
{
	struct snpu_engine *e = engine;

	account(&e->work, device, SNPU_ACCESS_READ, pa, sizeof(*pte));
	if (!device) {
		e->work.pte_host++;
		return e->mem.host_read(e->mem.ctx, pa, pte, sizeof(*pte));
	}
	e->work.pte_device++;
	if (!in_device(e, pa, sizeof(*pte)))
		return -1;
	*pte = __atomic_load_n((const uint64_t *)((const uint8_t *)e->mem.device + pa), __ATOMIC_RELAXED);
	return 0;
}

static int access_fault(struct snpu_engine *e, enum snpu_fault_code code, uint64_t va, enum snpu_access access)
{
	e->fault.va = va;
	e->fault.access = access;
	return code;
}

/* Translates the start of [va, va + len) and cuts len to what can be moved in one go. */
static int begin(struct snpu_engine *e, uint64_t va, uint64_t *len, enum snpu_access access, struct mmu_addr *at)
{
	if (atomic_load_explicit(&e->request, memory_order_relaxed) & ENGINE_ABORT)
		return ENGINE_STOP;
	if (mmu_behind(&e->mmu))
		mmu_catch_up(&e->mmu);

	uint64_t walks = e->mmu.walks;
	enum snpu_fault_code f = mmu_translate(&e->mmu, e->asid, e->pt_root, va, access, at);

	e->work.walks += e->mmu.walks - walks;
	if (f)
		return access_fault(e, f, va, access);
	if (*len > at->left)
		*len = at->left;
	if (*len > ENGINE_PIECE)
		*len = ENGINE_PIECE;
	if (at->device && !in_device(e, at->pa, *len))
		return access_fault(e, SNPU_FAULT_BUS, va, access);
	return 0;
}

static int move(struct snpu_engine *e, uint64_t va, void *buf, uint64_t len, enum snpu_access access)
{
	bool out = access == SNPU_ACCESS_WRITE;

	for (uint64_t n; len; va += n, buf = (uint8_t *)buf + n, len -= n) {
		struct mmu_addr at;
		int r;

		n = len;
		r = begin(e, va, &n, access, &at);
		if (r)
			return r;
		if (at.device) {
			uint8_t *dev = (uint8_t *)e->mem.device + at.pa;

			memcpy(out ? dev : buf, out ? buf : dev, n);
		} else if (out ? e->mem.host_write(e->mem.ctx, at.pa, buf, n) : e->mem.host_read(e->mem.ctx, at.pa, buf, n)) {
			return access_fault(e, SNPU_FAULT_BUS, va, access);
		}
		account(&e->work, at.device, access, at.pa, n);
	}
	return 0;
}

int engine_read(struct snpu_engine *e, uint64_t va, void *buf, uint64_t len)
{
	return move(e, va, buf, len, SNPU_ACCESS_READ);
}

int engine_write(struct snpu_engine *e, uint64_t va, const void *buf, uint64_t len)
{
	return move(e, va, (void *)buf, len, SNPU_ACCESS_WRITE);	/* not written through with ACCESS_WRITE */
}

static int arg_move(struct snpu_engine *e, unsigned int arg, uint64_t off, void *buf, uint64_t len, enum snpu_access access)
{
	int r = move(e, e->args.arg[arg].va + off, buf, len, access);

	if (r > 0)
		e->fault.operand = arg;
	return r;
}

int engine_arg_read(struct snpu_engine *e, unsigned int arg, uint64_t off, void *buf, uint64_t len)
{
	return arg_move(e, arg, off, buf, len, SNPU_ACCESS_READ);
}

int engine_arg_write(struct snpu_engine *e, unsigned int arg, uint64_t off, const void *buf, uint64_t len)
{
	return arg_move(e, arg, off, (void *)buf, len, SNPU_ACCESS_WRITE);
}

int engine_arg_probe(struct snpu_engine *e, unsigned int arg, uint64_t off, uint64_t len, enum snpu_access access)
{
	uint64_t va = e->args.arg[arg].va + off;

	for (uint64_t n; len; va += n, len -= n) {
		struct mmu_addr at;
		int r;

		n = len;
		r = begin(e, va, &n, access, &at);
		if (r > 0)
			e->fault.operand = arg;
		if (r)
			return r;
	}
	return 0;
}

int engine_arg_view(struct snpu_engine *e, unsigned int arg, uint64_t off, uint64_t len, void *tmp, const void **p)
{
	uint64_t va = e->args.arg[arg].va + off, n = len;
	struct mmu_addr at;
	int r = begin(e, va, &n, SNPU_ACCESS_READ, &at);

	if (r > 0)
		e->fault.operand = arg;
	if (r)
		return r;
	if (!at.device || n < len) {
		*p = tmp;
		return engine_arg_read(e, arg, off, tmp, len);
	}
	account(&e->work, true, SNPU_ACCESS_READ, at.pa, n);
	*p = (const uint8_t *)e->mem.device + at.pa;
	return 0;
}

int engine_room(struct snpu_engine *e, enum engine_buffer which, uint64_t n, size_t elem, void *at)
{
	size_t have = e->buf[which].bytes, want;
	void *p = e->buf[which].p;

	if (__builtin_mul_overflow(n, elem, &want))
		return engine_fault(e, SNPU_FAULT_BUS, ENGINE_NO_OPERAND);
	if (want > have) {
		want = want > have + have / 2 ? want : have + have / 2;		/* some ask again and again */
		p = realloc(p, want);
		if (!p)
			return engine_fault(e, SNPU_FAULT_BUS, ENGINE_NO_OPERAND);
		e->buf[which].p = p;
		e->buf[which].bytes = want;
	}
	memcpy(at, &p, sizeof(p));
	return 0;
}
