/* SPDX-License-Identifier: MIT */
/*
 * Differential fuzzing of programs: random ones, well-formed, nearly well-formed and damaged, run on the scalar CPU
 * backend and on every other backend of this machine. Memory, exact counters and fault records must be the same.
 *
 *	program_fuzz [-n programs] [-s seed]		prints TAP; a failure names the seed of its program
 *
 * Address spaces are randomly full of holes, read-only pages and buffers in pieces. NaN equals NaN: a payload is not part of
 * the law. So tame programs take integers and bf16 (positions, tables, caches of codes) only from where no packet puts a NaN, and a program
 * computes with floats or with integers, whose bits can be those of any NaN.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/packet.h"
#include "snpu/snpu.h"

#define REGIONS		SNPU_REGION_COUNT
#define SIZE		16384u			/* bytes of each region */
#define PAGES		(SIZE / 4096)
#define VA(r)		(0x200000000ull + (uint64_t)(r) * 0x100000)
#define SLOTS		8u

#define PLACE		2048u			/* bytes; more than any operand of a tame packet but weights */

static uint64_t rng;

static uint32_t rnd(void)
{
	uint64_t z = rng += 0x9e3779b97f4a7c15ull;		/* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(z ^ z >> 31);
}

static uint32_t below(uint32_t n)
{
	return rnd() % n;
}

/* Any word that is no NaN, whose payload others would carry on in their own way. */
static uint32_t any_word(void)
{
	uint32_t w = rnd();

	return (w & 0x7f800000) == 0x7f800000 ? w & ~0x00800000u : w;
}

static bool chance(uint32_t percent)
{
	return below(100) < percent;
}

/* --- what is run --------------------------------------------------------------------------------------------- */

/* Everything that a run depends on; every device gets the same. */
struct program {
	uint8_t mem[REGIONS][SIZE];		/* contents before */
	uint8_t flags[REGIONS][PAGES];		/* SNPU_BIND_* of each page; 0: a hole */
	uint8_t page[REGIONS][PAGES];		/* which page of the buffer is bound there */
	uint32_t entry, slots;
	uint64_t size[REGIONS];			/* of the regions in the job; 0: not bound */
	uint64_t shift[REGIONS];		/* of the region's start in its bindings, multiple of 64 */
};

static struct program prog;

static float value(void)
{
	static const float special[] = { 0.0f, -0.0f, 1.0f, 1e-45f, -1e-39f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY };

	if (chance(40))
		return 0.0f;
	if (chance(10))
		return special[below(sizeof(special) / sizeof(special[0]))];
	return ((float)below(4001) - 2000.0f) / 512.0f;
}

/* A valid event list somewhere, or one that is damaged. */
static void make_list(uint8_t *at, uint32_t n)
{
	uint32_t *w = (uint32_t *)at, count = 0;

	for (uint32_t c = 0; c < n; c++)
		if (chance(30)) {
			float v = value();

			w[2 + 2 * count] = c;
			memcpy(&w[3 + 2 * count++], &v, 4);
		}
	w[0] = count;
	w[1] = 0;
	if (chance(5))
		w[below(2 + 2 * (count + 1))] = below(2) ? below(2 * n) : any_word();
}

/* Residuals of SPMV for one and two cells, mostly all right. */
#define RESIDUAL(cells)	(0x3000u + 0x200u * (cells))	/* in CONST */
#define RESIDUALS	12u

static void make_residual(uint32_t cells)
{
	uint32_t *index = (uint32_t *)(prog.mem[SNPU_REGION_CONST] + RESIDUAL(cells));
	struct snpu_residual *entry = (void *)(index + cells + 1);

	index[0] = 0;
	index[cells - 1] = cells > 1 ? below(RESIDUALS + 1) : 0;
	index[cells] = RESIDUALS;
	for (uint32_t i = 0; i < RESIDUALS; i++)
		entry[i] = (struct snpu_residual){ (uint8_t)below(SNPU_GROUP), (uint8_t)below(SNPU_TILE), (int16_t)(any_word() >> 16) };
	if (chance(5))
		index[below(cells + 1 + RESIDUALS)] = any_word();
}

/* Delays below DELAYS, mostly, and a ring that is at position 0. */
#define DELAYS		5u
#define DELAY_NUMBERS	0x2f00u			/* in CONST */

static void make_delays(void)
{
	uint32_t *delay = (uint32_t *)(prog.mem[SNPU_REGION_CONST] + DELAY_NUMBERS), zero = 0;

	for (uint32_t i = 0; i < 40; i++)
		delay[i] = below(DELAYS) + (chance(1) ? DELAYS : 0);
	memcpy(prog.mem[SNPU_REGION_TRACE] + 2 * PLACE, &zero, 4);
}

static void make_nets(void);		/* program_net.h */

static void make_memory(void)
{
	for (unsigned int r = 0; r < REGIONS; r++)
		for (uint32_t i = 0; i < SIZE / 4; i++) {
			float v = value();

			memcpy(&prog.mem[r][4 * i], &v, 4);
		}
	memset(prog.mem[SNPU_REGION_PROFILE], 0, SIZE);
	make_residual(1);
	make_residual(2);
	make_delays();
	make_nets();
	for (unsigned int i = 0; i < 8; i++)
		make_list(prog.mem[chance(50) ? SNPU_REGION_INPUT : SNPU_REGION_SCRATCH] + 1024 * below(8), 1 + below(100));
}

static void make_bindings(void)
{
	bool torn = chance(40);

	for (unsigned int r = 0; r < REGIONS; r++) {
		uint8_t usual = SNPU_BIND_READ | (snpu_region_writable(r) ? SNPU_BIND_WRITE : 0);

		prog.size[r] = r && chance(2) ? 0 : chance(10) ? SIZE - 64 * below(32) : SIZE;
		prog.shift[r] = chance(5) ? 64 * below(16) : 0;
		prog.size[r] -= prog.size[r] ? prog.shift[r] : 0;
		for (unsigned int p = 0; p < PAGES; p++) {
			prog.flags[r][p] = torn && chance(8) ? (uint8_t)below(4) : usual;
			prog.page[r][p] = (uint8_t)p;
		}
		if (torn && chance(30)) {
			unsigned int a = below(PAGES), b = below(PAGES);

			prog.page[r][a] = (uint8_t)b;
			prog.page[r][b] = (uint8_t)a;
		}
	}
}

/* --- programs ------------------------------------------------------------------------------------------------ */

/* A tame program has no mistakes made on purpose, so that it gets far: operands lie in places of their own. */
static bool tame;

static uint32_t small_n(void)
{
	if (tame)
		return 1 + below(40);
	return chance(3) ? 0 : chance(60) ? 1 + below(40) : chance(90) ? 1 + below(300) : 1 + below(3000);
}

/* The numbers of a packet of images or of language models: at most these, so that operands fit; 0: none or a float. */
static const struct {
	uint8_t opcode, most[16];
} lm_sizes[] = {
	{ SNPU_OP_CONV, { 2, 2, 17, 4, 5, 4, 5, 3, 3, 3, 3, 2, 2, 3, 3 } }, { SNPU_OP_POOL, { 4, 5, 6, 4, 5, 3, 3, 3, 3, 3, 3 } },
	{ SNPU_OP_QCONV, { 2, 2, 17, 4, 5, 4, 5, 3, 3, 3, 3, 2, 2, 3, 3, 15 } }, { SNPU_OP_QPOOL, { 4, 5, 6, 4, 5, 3, 3, 3, 3, 3, 3 } },
	{ SNPU_OP_QLINEAR, { 20, 70, 15 } }, { SNPU_OP_DELAY_PUSH, { 30, 6 } }, { SNPU_OP_DELAY_PULL, { 30, 6 } },
	{ SNPU_OP_SPARSE, { 20, 30, 4, 100, 0 } }, { SNPU_OP_TAKE, { 30, 4 } },
	{ SNPU_OP_LOG, { 30, 20 } },
	{ SNPU_OP_GATHER, { 12, 20, 8 } }, { SNPU_OP_ENCODE, { 60, 3, 0 } }, { SNPU_OP_SPMV, { 2, 64, 2, 0 } }, { SNPU_OP_MATMUL, { 20, 24, 4 } },
	{ SNPU_OP_RMSNORM, { 40, 10, 0 } }, { SNPU_OP_ROPE, { 10, 4, 4 } }, { SNPU_OP_GLA_STEP, { 2, 3, 12, 4 } },
	{ SNPU_OP_KV_APPEND, { 3, 10, 8 } }, { SNPU_OP_SWA, { 3, 3, 10, 8, 10 } }, { SNPU_OP_ARGMAX, { 40, 10 } },
};

/* 32-bit number j of a packet, operand i. */
static uint32_t number(unsigned int opcode, unsigned int i, unsigned int j)
{
	static const float rates[] = { 3.0f, 1e-6f, 0.5f };
	uint32_t bits;

	if (opcode == SNPU_OP_LOOP)
		return 1 + below(5);
	if (opcode == SNPU_OP_FILL && i == 2)
		return any_word();
	for (unsigned int s = 0; s < sizeof(lm_sizes) / sizeof(lm_sizes[0]); s++) {
		if (lm_sizes[s].opcode != opcode || (!tame && chance(20)))
			continue;
		if (lm_sizes[s].most[j])
			return 1 + below(lm_sizes[s].most[j]);
		memcpy(&bits, &rates[below(3)], 4);
		return opcode == SNPU_OP_SPMV ? (tame ? 0 : RESIDUALS) : chance(80) ? bits : rnd();
	}
	return small_n();
}

static struct snpu_ref tame_ref(const struct snpu_arg_desc *arg, unsigned int index)
{
	static const uint8_t read[] = { SNPU_REGION_INPUT, SNPU_REGION_CONST, SNPU_REGION_SCRATCH, SNPU_REGION_STATE, SNPU_REGION_OUTPUT },
			     write[] = { SNPU_REGION_OUTPUT, SNPU_REGION_SCRATCH, SNPU_REGION_STATE };
	bool constant = !strcmp(arg->name, "position") || !strcmp(arg->name, "table") || !strcmp(arg->name, "weights");
	uint64_t region = arg->access & SNPU_ACCESS_WRITE ? write[below(sizeof(write))] : read[below(constant ? 2 : sizeof(read))];
	struct snpu_ref ref = { .addr = SNPU_REF_ADDR(region, (uint64_t)PLACE * ((index + 4 * below(2)) % 8)) };

	if (arg->elem >= 64)
		return (struct snpu_ref){ .addr = SNPU_REF_ADDR((uint64_t)SNPU_REGION_WEIGHTS, 256ull * below(8)) };
	if (chance(40))
		ref.stride[0] = (arg->elem < 4 ? 4 : arg->elem) * below(10);
	if (chance(20))
		ref.stride[1] = (arg->elem < 4 ? 4 : arg->elem) * below(10);
	return ref;
}

static struct snpu_ref random_ref(const struct snpu_arg_desc *arg, unsigned int index)
{
	static const uint8_t read[] = { SNPU_REGION_INPUT, SNPU_REGION_CONST, SNPU_REGION_WEIGHTS, SNPU_REGION_SCRATCH, SNPU_REGION_STATE },
			     write[] = { SNPU_REGION_OUTPUT, SNPU_REGION_SCRATCH, SNPU_REGION_STATE, SNPU_REGION_TRACE };
	uint32_t align = arg->elem < 4 ? 4 : arg->elem;
	uint64_t region = arg->access & SNPU_ACCESS_WRITE ? write[below(sizeof(write))] : read[below(sizeof(read))];
	struct snpu_ref ref;
	uint32_t off = chance(50) ? 1024 * below(8) : below(SIZE / 2);

	if (tame)
		return tame_ref(arg, index);
	if (chance(2))
		region = below(12);
	ref = (struct snpu_ref){ .addr = SNPU_REF_ADDR(region, chance(98) ? off / align * align : off) };
	if (chance(30))
		ref.stride[0] = chance(90) ? align * below(20) : rnd();
	if (chance(10))
		ref.stride[1] = chance(90) ? align * below(20) : rnd();
	if (chance(1))
		ref.addr |= 1ull << (48 + below(8));
	return ref;
}

/* A packet at `at`; returns its bytes. n ties the numbers of one packet to what its lists hold. */
static uint32_t make_packet(uint8_t *at, unsigned int opcode)
{
	const struct snpu_pkt_desc *d = snpu_pkt_desc(opcode);
	struct snpu_pkt_hdr hdr = { .opcode = (uint8_t)opcode, .words = d->bytes / 4, .slot = (uint16_t)(tame || chance(99) ? below(SLOTS) : below(20)) };
	uint64_t count[SNPU_PKT_MAX_ARGS];
	unsigned int numbers = 0;

	memset(at, 0, d->bytes);
	if (d->flags && chance(60))
		hdr.flags = (uint8_t)(rnd() & d->flags);
	if ((hdr.flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_MASK && tame)
		hdr.flags &= (uint8_t)~1u;
	if (!tame && chance(1))
		hdr.flags |= (uint8_t)(1 << below(8));
	memcpy(at, &hdr, sizeof(hdr));
	for (unsigned int i = 0; i < d->n_args; i++) {
		const struct snpu_arg_desc *arg = &d->arg[i];
		uint64_t v64 = any_word();
		uint32_t v;

		if (arg->kind == SNPU_ARG_U32) {
			v = number(opcode, i, numbers++);
			memcpy(at + arg->offset, &v, 4);
		} else if (arg->kind == SNPU_ARG_U64) {
			memcpy(at + arg->offset, &v64, 8);
		}
	}
	d->counts(at, count);
	for (unsigned int i = 0; i < d->n_args; i++) {
		struct snpu_ref ref = random_ref(&d->arg[i], i);

		if (d->arg[i].kind == SNPU_ARG_REF && (count[i] || (!tame && chance(2))))
			memcpy(at + d->arg[i].offset, &ref, sizeof(ref));
		if (i && d->arg[i].kind == SNPU_ARG_REF && snpu_pkt_elementwise(d) && !tame && chance(15))	/* in place */
			memcpy(at + d->arg[i].offset, at + d->arg[0].offset, sizeof(ref));
	}
	return d->bytes;
}

/* A list that EVPACK has just made, for LINEAR or EVUNPACK. */
static uint32_t make_pair(uint8_t *at)
{
	struct snpu_pkt_EVPACK *pack = (void *)at;
	uint32_t bytes = make_packet(at, SNPU_OP_EVPACK);

	pack->ev = (struct snpu_ref){ .addr = SNPU_REF_ADDR((uint64_t)SNPU_REGION_SCRATCH, 3 * PLACE) };
	pack->n = 1 + below(30);
	if (chance(70)) {
		struct snpu_pkt_LINEAR *linear = (void *)(at + bytes);

		bytes += make_packet(at + bytes, SNPU_OP_LINEAR);
		linear->ev = pack->ev;
		linear->n_in = pack->n;
		linear->n_out = pack->n < 10 && chance(40) ? 1 + below(300) : 1 + below(64);
		linear->out.addr = SNPU_REF_ADDR((uint64_t)SNPU_REGION_OUTPUT, PLACE * below(4));
	} else {
		struct snpu_pkt_EVUNPACK *unpack = (void *)(at + bytes);

		bytes += make_packet(at + bytes, SNPU_OP_EVUNPACK);
		unpack->ev = pack->ev;
		unpack->n = pack->n + below(3);
	}
	return bytes;
}

static struct snpu_ref place(unsigned int region, uint64_t offset)
{
	return (struct snpu_ref){ .addr = SNPU_REF_ADDR((uint64_t)region, offset) };
}

/* An image, mostly sparse, as a list; then a layer over it. */
static uint32_t make_image(uint8_t *at)
{
	struct snpu_pkt_EVPACK *pack = (void *)at;
	uint32_t bytes = make_packet(at, SNPU_OP_EVPACK);
	struct snpu_pkt_CONV *conv = (void *)(at + bytes);
	struct snpu_pkt_POOL *pool = (void *)(at + bytes);

	pack->ev = place(SNPU_REGION_SCRATCH, 3 * PLACE);
	if (chance(70)) {
		bytes += make_packet(at + bytes, SNPU_OP_CONV);
		if (chance(30)) {		/* enough windows for the dense way */
			conv->groups = 1;
			conv->out_h = 4;
			conv->out_w = 5;
		}
		if (tame)
			conv->kernel_h = conv->c_out > 16 ? 1 : conv->kernel_h;	/* WEIGHTS is small */
		conv->ev = pack->ev;
		conv->weights = place(SNPU_REGION_WEIGHTS, 0);
		conv->out = place(SNPU_REGION_OUTPUT, PLACE * below(4));
		pack->n = conv->groups * conv->c_in * conv->h * conv->w;
	} else {
		bytes += make_packet(at + bytes, SNPU_OP_POOL);
		pool->ev = pack->ev;
		pool->out = place(SNPU_REGION_OUTPUT, PLACE * below(4));
		pack->n = pool->channels * pool->h * pool->w;
	}
	return bytes;
}

/* The same of integers: a layer over what EVPACK has made of any words. */
static uint32_t make_quant(uint8_t *at)
{
	struct snpu_pkt_EVPACK *pack = (void *)at;
	uint32_t bytes = make_packet(at, SNPU_OP_EVPACK);
	struct snpu_pkt_QLINEAR *linear = (void *)(at + bytes);
	struct snpu_pkt_QCONV *conv = (void *)(at + bytes);
	struct snpu_pkt_QPOOL *pool = (void *)(at + bytes);

	pack->ev = place(SNPU_REGION_SCRATCH, 3 * PLACE);
	switch (below(3)) {
	case 0:
		bytes += make_packet(at + bytes, SNPU_OP_QLINEAR);
		linear->ev = pack->ev;
		linear->weights = place(SNPU_REGION_WEIGHTS, 0);
		linear->out = place(SNPU_REGION_OUTPUT, PLACE * below(4));
		pack->n = linear->n_in;
		break;
	case 1:
		bytes += make_packet(at + bytes, SNPU_OP_QCONV);
		conv->ev = pack->ev;
		conv->weights = place(SNPU_REGION_WEIGHTS, 0);
		conv->out = place(SNPU_REGION_OUTPUT, PLACE * below(4));
		pack->n = conv->groups * conv->c_in * conv->h * conv->w;
		break;
	default:
		bytes += make_packet(at + bytes, SNPU_OP_QPOOL);
		pool->ev = pack->ev;
		pool->out = place(SNPU_REGION_OUTPUT, PLACE * below(4));
		pack->n = pool->channels * pool->h * pool->w;
	}
	return bytes;
}

/* A ring and who pushes into it and pulls from it, in either order. */
static uint32_t make_delay(uint8_t *at)
{
	bool late = chance(40);
	uint32_t bytes = make_packet(at, late ? SNPU_OP_DELAY_PULL : SNPU_OP_DELAY_PUSH), more = make_packet(at + bytes, late ? SNPU_OP_DELAY_PUSH : SNPU_OP_DELAY_PULL);
	struct snpu_pkt_DELAY_PUSH *push = (void *)(at + (late ? bytes : 0));
	struct snpu_pkt_DELAY_PULL *pull = (void *)(at + (late ? 0 : bytes));

	pull->n = push->n;
	pull->slots = push->slots = chance(80) ? DELAYS : push->slots;
	push->ring = pull->ring = place(SNPU_REGION_TRACE, 2 * PLACE);
	pull->delay = place(SNPU_REGION_CONST, DELAY_NUMBERS);
	return bytes + more;
}

#include "program_lm.h"
#include "program_net.h"

/* Computes with integers alone. */
static bool of_integers(unsigned int op)
{
	return (op >= SNPU_OP_QLINEAR && op <= SNPU_OP_QPOOL) || (op >= SNPU_OP_QADD && op <= SNPU_OP_QCUBALIF);
}

/* Does not care what the bits it moves mean. */
static bool of_anything(unsigned int op)
{
	return op < SNPU_OP_GATHER || op == SNPU_OP_EVPACK || op == SNPU_OP_EVUNPACK || op == SNPU_OP_DELAY_PUSH || op == SNPU_OP_DELAY_PULL;
}

/* Packets that only together get past the checks. */
static uint32_t make_group(uint8_t *at, bool integers)
{
	if (integers)
		return chance(70) ? make_quant(at) : make_delay(at);
	switch (below(14)) {
	case 12:
	case 13: return make_step(at);
	case 5:
	case 6:
	case 7:	 return make_image(at);
	case 8:	 return make_delay(at);
	case 0:	 return make_gather(at);
	case 1:
	case 2:	 return make_spmv(at);
	case 3:
	case 4:	 return make_window(at);
	default: return make_pair(at);
	}
}

/* Those that make no sense alone. */
static bool needs_group(unsigned int op)
{
	return op == SNPU_OP_LINEAR || op == SNPU_OP_EVUNPACK || (op >= SNPU_OP_CONV && op <= SNPU_OP_LOG) || op == SNPU_OP_GATHER || op == SNPU_OP_SPMV ||
	       op == SNPU_OP_KV_APPEND || op == SNPU_OP_SWA;
}

static void make_program(void)
{
	static const uint8_t common[] = { SNPU_OP_EVPACK, SNPU_OP_LIF, SNPU_OP_LINEAR, SNPU_OP_LIF, SNPU_OP_CUBALIF, SNPU_OP_COPY,
					  SNPU_OP_ENCODE, SNPU_OP_SPMV, SNPU_OP_GLA_STEP, SNPU_OP_SWA };
	bool integers = chance(25);
	uint8_t ops[64], n_ops = 0, *p = prog.mem[SNPU_REGION_PROGRAM];
	uint32_t at = 0, depth = 0, packets = 1 + below(24);

	tame = chance(60);
	for (unsigned int op = 0x04; op < 256; op++)		/* all but NOP, END, LOOP and NEXT */
		if (snpu_pkt_desc(op) && op != SNPU_OP_TIMESTAMP && !(tame && needs_group(op)) && (of_anything(op) || integers == of_integers(op)))
			ops[n_ops++] = (uint8_t)op;
	for (uint32_t i = 0; i < packets; i++) {
		if (chance(12) && (depth < SNPU_LOOP_DEPTH || (!tame && chance(3)))) {
			at += make_packet(p + at, SNPU_OP_LOOP);
			depth++;
		} else if (chance(15) && (depth || (!tame && chance(3)))) {
			at += make_packet(p + at, SNPU_OP_NEXT);
			depth -= depth ? 1 : 0;
		} else if (tame && chance(40)) {
			at += make_group(p + at, integers);
		} else {
			at += make_packet(p + at, !tame && !integers && chance(50) ? common[below(sizeof(common))] : ops[below(n_ops)]);
		}
	}
	while (depth-- && (tame || chance(98)))
		at += make_packet(p + at, SNPU_OP_NEXT);
	if (tame || chance(99))
		at += make_packet(p + at, SNPU_OP_END);
	if (!tame && chance(25))				/* damage */
		for (uint32_t i = 1 + below(3); i--;)
			p[below(at)] ^= (uint8_t)(1 << below(8));
	prog.entry = tame || chance(98) ? 0 : 8 * below(at / 8 + 1);
	prog.slots = chance(70) ? SLOTS : 0;
}

/* --- devices ------------------------------------------------------------------------------------------------- */

struct target {
	const char *name;
	struct snpu_device *dev;
	struct snpu_bo *bo[REGIONS];
	uint8_t *mem[REGIONS];
	/* after a run */
	int result;
	int64_t ns;				/* it took */
	struct snpu_queue_status status;
};

static struct target targets[8];
static unsigned int n_targets;

static void must(int err, const char *what)
{
	if (err) {
		printf("Bail out! %s: %s\n", what, snpu_last_error());
		exit(1);
	}
}

static void open_target(const char *name, const char *device, uint32_t isa, uint32_t bo_flags)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts), .cpu_isa = isa };
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct target *t = &targets[n_targets];
	int err = snpu_device_open(device, &opts, &t->dev);

	if (err) {
		printf("# %s is not here: %s\n", name, snpu_last_error());
		return;
	}
	must(snpu_device_info(t->dev, &info), "info");
	printf("# target %s: %s\n", name, info.description);
	for (unsigned int r = 0; r < REGIONS; r++) {
		void *map;

		must(snpu_bo_create(t->dev, SIZE, bo_flags, &t->bo[r]), "buffer");
		must(snpu_bo_map(t->bo[r], &map), "map");
		t->mem[r] = map;
	}
	t->name = name;
	n_targets++;
}

static void close_targets(void)
{
	for (unsigned int i = 0; i < n_targets; i++) {
		for (unsigned int r = 0; r < REGIONS; r++)
			snpu_bo_free(targets[i].bo[r]);
		snpu_device_close(targets[i].dev);
	}
}

static struct snpu_vm *make_vm(struct target *t)
{
	struct snpu_vm *vm;

	must(snpu_vm_create(t->dev, &vm), "vm");
	for (unsigned int r = 0; r < REGIONS; r++)
		for (unsigned int p = 0, n; p < PAGES; p += n) {
			/* In one piece as far as it goes, so that both the fast and the slow ways are taken. */
			for (n = 1; p + n < PAGES && prog.flags[r][p + n] == prog.flags[r][p] && prog.page[r][p + n] == prog.page[r][p] + n; n++)
				;
			if (prog.flags[r][p])
				must(snpu_vm_bind(vm, t->bo[r], prog.page[r][p] * 4096ull, VA(r) + p * 4096ull, n * 4096ull, prog.flags[r][p]), "bind");
		}
	return vm;
}

static void run(struct target *t)
{
	struct snpu_job_region region[REGIONS];
	struct snpu_job job = { .sz = sizeof(job), .regions = region, .entry = prog.entry,
				.profile_slots = prog.size[SNPU_REGION_PROFILE] ? prog.slots : 0 };
	struct snpu_vm *vm = make_vm(t);
	struct snpu_queue *queue;
	struct snpu_fence *fence;

	for (unsigned int r = 0; r < REGIONS; r++) {
		memcpy(t->mem[r], prog.mem[r], SIZE);
		if (prog.size[r])
			region[job.n_regions++] = (struct snpu_job_region){ .index = r, .va = VA(r) + prog.shift[r], .size = prog.size[r] };
	}
	must(snpu_queue_create(vm, NULL, &queue), "queue");
	t->ns = snpu_now_ns();
	must(snpu_submit(queue, &job, &fence), "submit");
	t->result = snpu_fence_wait(fence, 1000000000);		/* a damaged LOOP may run for ever */
	t->ns = snpu_now_ns() - t->ns;
	t->status.sz = sizeof(t->status);
	if (t->result == -ETIMEDOUT) {
		snpu_queue_free(queue);
	} else {
		must(snpu_queue_status(queue, &t->status), "status");
		snpu_queue_free(queue);
	}
	snpu_fence_free(fence);
	snpu_vm_free(vm);
}

/* --- comparing ----------------------------------------------------------------------------------------------- */

static bool same_word(const uint8_t *a, const uint8_t *b)
{
	float x, y;

	memcpy(&x, a, 4);
	memcpy(&y, b, 4);
	return !memcmp(a, b, 4) || (isnan(x) && isnan(y));
}

static bool same_memory(const struct target *a, const struct target *b)
{
	for (unsigned int r = 0; r < REGIONS; r++) {
		if (r == SNPU_REGION_PROFILE || !memcmp(a->mem[r], b->mem[r], SIZE))
			continue;
		for (uint32_t i = 0; i < SIZE; i += 4)
			if (!same_word(a->mem[r] + i, b->mem[r] + i)) {
				printf("# %s+%#x: %s has %08x, %s has %08x\n", snpu_region_name(r), i, a->name, *(uint32_t *)(a->mem[r] + i),
				       b->name, *(uint32_t *)(b->mem[r] + i));
				return false;
			}
	}
	return true;
}

/* Pages of the profile may be bound in another order; both sides have the same order, so rows need not be found. */
static bool same_counters(const struct target *a, const struct target *b)
{
	const uint64_t *x = (const void *)a->mem[SNPU_REGION_PROFILE], *y = (const void *)b->mem[SNPU_REGION_PROFILE];

	if (prog.shift[SNPU_REGION_PROFILE] || prog.page[SNPU_REGION_PROFILE][0])
		return true;
	for (unsigned int i = 0; i < SLOTS * SNPU_COUNTER_COUNT; i++)
		if (snpu_counter_exact(i % SNPU_COUNTER_COUNT) && x[i] != y[i]) {
			printf("# row %u %s: %s has %llu, %s has %llu\n", i / SNPU_COUNTER_COUNT, snpu_counter_name(i % SNPU_COUNTER_COUNT),
			       a->name, (unsigned long long)x[i], b->name, (unsigned long long)y[i]);
			return false;
		}
	return true;
}

static bool same_fault(const struct target *a, const struct target *b)
{
	const struct snpu_queue_status *x = &a->status, *y = &b->status;

	if (x->flags == y->flags && x->fault_code == y->fault_code && x->fault_job == y->fault_job && x->fault_va == y->fault_va &&
	    x->fault_pc == y->fault_pc && x->fault_packet == y->fault_packet && x->fault_operand == y->fault_operand &&
	    x->fault_access == y->fault_access && !memcmp(x->fault_loop, y->fault_loop, sizeof(x->fault_loop)))
		return true;
	printf("# %s: code %u va %#llx operand %d: %s\n# %s: code %u va %#llx operand %d: %s\n", a->name, x->fault_code,
	       (unsigned long long)x->fault_va, (int)x->fault_operand, x->text, b->name, y->fault_code, (unsigned long long)y->fault_va,
	       (int)y->fault_operand, y->text);
	return false;
}

#define LONG	10000000			/* ns; who needs that for a program may need a second for the same program elsewhere */

static bool same(const struct target *a, const struct target *b)
{
	if ((a->result == -ETIMEDOUT && b->ns > LONG) || (b->result == -ETIMEDOUT && a->ns > LONG))
		return true;
	if (a->result != b->result) {
		printf("# %s: %d %s\n# %s: %d %s\n", a->name, a->result, a->status.text, b->name, b->result, b->status.text);
		return false;
	}
	return same_fault(a, b) && same_memory(a, b) && same_counters(a, b);
}

static void open_all(void)
{
	open_target("scalar", "cpu", SNPU_CPU_SCALAR, 0);
	open_target("avx2", "cpu", SNPU_CPU_AVX2, 0);
	open_target("avx512", "cpu", SNPU_CPU_AVX512, 0);
	open_target("sim", "sim", 0, SNPU_BO_DEVICE);
	open_target("card", "card", 0, SNPU_BO_DEVICE);
}

static unsigned int run_one(void)
{
	unsigned int bad = 0;

	for (unsigned int i = 0; i < n_targets; i++)
		run(&targets[i]);
	for (unsigned int i = 1; i < n_targets; i++)
		bad += !same(&targets[0], &targets[i]);
	return bad;
}

static void dump(void)
{
	uint64_t pc = 0;
	char text[512];

	while (pc < SIZE && !snpu_disasm(prog.mem[SNPU_REGION_PROGRAM], SIZE, pc, text, sizeof(text), &pc)) {
		printf("#   %s\n", text);
		if (!strncmp(text, "END", 3))
			break;
	}
}

int main(int argc, char **argv)
{
	unsigned long n = 2000, bad = 0, outcome[SNPU_FAULT_COUNT] = { 0 }, endless = 0;
	uint64_t seed = 1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "-n"))
			n = strtoul(argv[i + 1], NULL, 0);
		if (!strcmp(argv[i], "-s"))
			seed = strtoull(argv[i + 1], NULL, 0);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n# seeds %llu to %llu\n", (unsigned long long)seed, (unsigned long long)(seed + n - 1));
	open_all();
	for (unsigned long i = 0; i < n && bad < 10; i++) {
		rng = (seed + i) * 0x100000001b3ull;
		make_memory();
		make_bindings();
		make_program();
		if (run_one()) {
			printf("# program -s %llu -n 1 differs:\n", (unsigned long long)(seed + i));
			dump();
			bad++;
		}
		if (targets[0].result == -ETIMEDOUT)
			endless++;
		else
			outcome[targets[0].status.fault_code < SNPU_FAULT_COUNT ? targets[0].status.fault_code : 0]++;
	}
	for (unsigned int c = 0; c < SNPU_FAULT_COUNT; c++)
		if (outcome[c])
			printf("# %6lu: %s\n", outcome[c], snpu_fault_text(c));
	printf("# %6lu: stopped after a second\n", endless);
	close_targets();
	printf("%s 1 %lu random programs are the same on %u targets\n", bad ? "not ok" : "ok", n, n_targets);
	printf("%s 2 there was something to compare\n1..2\n", n_targets > 1 ? "ok" : "not ok");
	return bad || n_targets < 2;
}
