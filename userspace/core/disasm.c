/* SPDX-License-Identifier: MIT */
/*
 * Program bytes to text, one packet at a time, for `snpu disasm` and for fault messages. Takes any bytes: what is no
 * packet is shown as data with the reason. Pure functions, any thread.
 *
 *	LINEAR.bias [2] ev=SCRATCH+0x0 weights=WEIGHTS+0x0 bias=CONST+0x0 out=SCRATCH+0x40 n_in=784 n_out=10
 *	EVPACK x=INPUT+0x0 {3136} ev=SCRATCH+0x0 n=784		{step a loop iteration, step of the next loop}
 */
#include "core/disasm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/fail.h"
#include "core/packet.h"
#include "snpu/snpu.h"

struct text {
	char *buf;
	size_t len, at;				/* at <= len - 1 */
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->at + 1 >= t->len)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->at, t->len - t->at, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->at = (size_t)n < t->len - t->at ? t->at + (size_t)n : t->len - 1;
}

static void put_flags(struct text *t, const struct snpu_pkt_desc *d, unsigned int flags)
{
	static const char *const reset[] = { "reset", "subtract", "delta", "reset3" };
	static const struct {
		uint8_t opcode, flag;
		const char *text;
	} named[] = {
		{ SNPU_OP_LINEAR, SNPU_LINEAR_BIAS, "bias" },
		{ SNPU_OP_CONV, SNPU_CONV_BIAS, "bias" },
		{ SNPU_OP_POOL, SNPU_POOL_AVG, "avg" },
		{ SNPU_OP_SPARSE, SNPU_SPARSE_WEIGHTS, "weights" },
		{ SNPU_OP_LIFEXP, SNPU_LIFEXP_SHARED, "shared" },
		{ SNPU_OP_LIFEXP, SNPU_NEURON_GE, "ge" },
		{ SNPU_OP_GATHER, SNPU_WEIGHTS_BF16, "bf16" },
		{ SNPU_OP_SPMV, SNPU_SPMV_BIT_SERIAL, "bitserial" },
		{ SNPU_OP_SPMV, SNPU_SPMV_RESIDUAL, "residual" },
		{ SNPU_OP_SPMV, SNPU_SPMV_BIAS, "bias" },
		{ SNPU_OP_MATMUL, SNPU_WEIGHTS_BF16, "bf16" },
		{ SNPU_OP_MATMUL, SNPU_MATMUL_BIAS, "bias" },
		{ SNPU_OP_KV_APPEND, SNPU_KV_INT8, "int8" },
		{ SNPU_OP_SWA, SNPU_KV_INT8, "int8" },
	};
	static const struct { uint8_t flag; const char *text; } more[] = {
		{ SNPU_NEURON_MULTI, "multi" }, { SNPU_NEURON_LATE, "late" }, { SNPU_NEURON_NOW, "now" }, { SNPU_NEURON_FLOOR, "floor" },
	};
	bool neuron = d->opcode >= SNPU_OP_THRESHOLD && d->opcode <= SNPU_OP_CUBALIF;

	for (unsigned int i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (named[i].opcode == d->opcode && (flags & named[i].flag))
			put(t, ".%s", named[i].text);
	if (!neuron)
		return;
	if (d->flags & SNPU_NEURON_RESET_MASK)
		put(t, ".%s", reset[flags & SNPU_NEURON_RESET_MASK]);
	if (flags & d->flags & SNPU_NEURON_GE)
		put(t, ".ge");
	for (unsigned int i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (flags & d->flags & more[i].flag)
			put(t, ".%s", more[i].text);
}

static void put_ref(struct text *t, const struct snpu_ref *ref)
{
	const char *region = snpu_region_name(SNPU_REF_REGION(ref));

	if (!ref->addr && !ref->stride[0] && !ref->stride[1]) {
		put(t, "-");		/* "none", or the first bytes of PROGRAM, which no compiler means */
		return;
	}
	if (region)
		put(t, "%s+0x%llx", region, (unsigned long long)SNPU_REF_OFFSET(ref));
	else
		put(t, "region%u+0x%llx", SNPU_REF_REGION(ref), (unsigned long long)SNPU_REF_OFFSET(ref));
	if (ref->stride[1])
		put(t, "{%u,%u}", ref->stride[0], ref->stride[1]);
	else if (ref->stride[0])
		put(t, "{%u}", ref->stride[0]);
	if (SNPU_REF_RESERVED(ref))
		put(t, "!reserved bits");
}

/* Numbers that are floats: the firing rate of ENCODE, epsilon of RMSNORM, the weight of SPARSE. */
static bool is_float(const struct snpu_pkt_desc *d, unsigned int arg)
{
	return (d->opcode == SNPU_OP_SPARSE && arg == 9) || (d->opcode == SNPU_OP_ENCODE && arg == 4) || (d->opcode == SNPU_OP_RMSNORM && arg == 5);
}

static void put_args(struct text *t, const struct snpu_pkt_desc *d, const uint8_t *pkt)
{
	for (unsigned int i = 0; i < d->n_args; i++) {
		const struct snpu_arg_desc *arg = &d->arg[i];
		struct snpu_ref ref;
		uint64_t u64;
		uint32_t u32;
		float f32;

		put(t, " %s=", arg->name);
		if (arg->kind == SNPU_ARG_REF) {
			memcpy(&ref, pkt + arg->offset, sizeof(ref));
			put_ref(t, &ref);
		} else if (arg->kind == SNPU_ARG_U64) {
			memcpy(&u64, pkt + arg->offset, sizeof(u64));
			put(t, "%#llx", (unsigned long long)u64);
		} else {
			memcpy(&u32, pkt + arg->offset, sizeof(u32));
			memcpy(&f32, pkt + arg->offset, sizeof(f32));
			if (is_float(d, i))
				put(t, "%.9g", (double)f32);
			else
				put(t, "%u", u32);
			if (u32 < arg->min || u32 > arg->max)
				put(t, "!not %u to %u", arg->min, arg->max);
		}
	}
}

static void put_data(struct text *t, const uint8_t *bytes, uint64_t n, const char *why)
{
	put(t, "data");
	for (uint64_t i = 0; i < n; i++)
		put(t, " %02x", bytes[i]);
	put(t, "  ; %s", why);
}

/* Bytes that the text covers. */
static uint64_t disasm(struct text *t, const uint8_t *at, uint64_t left)
{
	const struct snpu_pkt_desc *d;
	struct snpu_pkt_hdr hdr;
	uint64_t head = left < sizeof(hdr) ? left : sizeof(hdr);

	if (left < sizeof(hdr)) {
		put_data(t, at, head, "the program ends inside a packet's header");
		return head;
	}
	memcpy(&hdr, at, sizeof(hdr));
	d = snpu_pkt_desc(hdr.opcode);
	if (!d) {
		put_data(t, at, head, "opcode not defined");
		return head;
	}
	if (hdr.words * 4u != d->bytes || left < d->bytes) {
		char why[96];

		snprintf(why, sizeof(why), hdr.words * 4u != d->bytes ? "%s of %u words instead of %u" :
			 "%s of %u words, and the program ends inside it", d->name, hdr.words, d->bytes / 4u);
		put_data(t, at, head, why);
		return head;
	}
	put(t, "%s", d->name);
	put_flags(t, d, hdr.flags);
	if (hdr.slot)
		put(t, " [%u]", hdr.slot);
	put_args(t, d, at);
	if (!snpu_pkt_flags_ok(d, hdr.flags) || hdr.pad)
		put(t, "  ; flags %#x, pad %#x not defined", hdr.flags, hdr.pad);
	return d->bytes;
}

int snpu_disasm(const void *program, uint64_t size, uint64_t pc, char *text, size_t len, uint64_t *next)
{
	struct text t = { text, len, 0 };
	uint64_t covered;

	if (!program || !text || !len)
		return snpu_fail(-EINVAL, "disasm: program and text must not be NULL, nor the text's length 0");
	if (pc >= size)
		return snpu_fail(-ERANGE, "disasm: offset %#llx is not before the program's end %#llx", (unsigned long long)pc,
				 (unsigned long long)size);
	text[0] = 0;
	covered = disasm(&t, (const uint8_t *)program + pc, size - pc);
	if (next)
		*next = pc + covered;
	return 0;
}

void snpu_fault_describe(const struct snpu_queue_status *st, const void *at_pc, uint64_t size, char *text, size_t len)
{
	struct text t = { text, len, 0 };
	const struct snpu_pkt_desc *d = snpu_pkt_desc(st->fault_packet & 0xff);
	char packet[512];

	text[0] = 0;
	put(&t, "job %llu faulted: %s", (unsigned long long)st->fault_job, snpu_fault_text(st->fault_code));
	if (st->fault_access)
		put(&t, " (%s of address %#llx)", st->fault_access == SNPU_ACCESS_WRITE ? "write" : "read",
		    (unsigned long long)st->fault_va);
	if (st->fault_code == SNPU_FAULT_BAD_DESC)
		return;
	put(&t, ", program offset %#llx", (unsigned long long)st->fault_pc);
	if (st->fault_loop[0] || st->fault_loop[1])
		put(&t, ", loop iteration %u (next loop: %u)", st->fault_loop[0], st->fault_loop[1]);
	if (d && st->fault_operand < d->n_args)
		put(&t, ", operand %u (%s)", st->fault_operand, d->arg[st->fault_operand].name);
	if (at_pc && !snpu_disasm(at_pc, size, 0, packet, sizeof(packet), NULL))
		put(&t, ": %s", packet);
	else if (d && st->fault_packet)
		put(&t, " of %s", d->name);
}
