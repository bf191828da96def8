/* SPDX-License-Identifier: MIT */
/*
 * The program builder (bytes, growth, every refusal), the packet table against the packets' structures, and the
 * disassembler on good, damaged and cut programs.
 */
#include <stddef.h>

#include "core/disasm.h"
#include "core/program.h"
#include "snpu/snpu.h"
#include "tests/harness.h"

FIXTURE(prog) { struct snpu_prog p; };
FIXTURE_SETUP(prog) { snpu_prog_init(&self->p); }
FIXTURE_TEARDOWN(prog) { snpu_prog_free(&self->p); }

/* --- the table ------------------------------------------------------------------------------------------------ */

TEST(table_has_every_packet_and_its_layout)
{
	unsigned int n = 0;

	for (unsigned int op = 0; op < 256; op++)
		n += snpu_pkt_desc(op) != NULL;
#define PKT(NAME, opcode_, flags_, args, doc)				\
	ASSERT_NE(snpu_pkt_desc(opcode_), NULL);			\
	EXPECT_STREQ(snpu_pkt_desc(opcode_)->name, #NAME);		\
	EXPECT_EQ(snpu_pkt_desc(opcode_)->bytes, sizeof(struct snpu_pkt_##NAME));	\
	n--;
#include "snpu_isa.def"
	EXPECT_EQ(n, 0);
	EXPECT_EQ(snpu_pkt_desc(256), NULL);
	EXPECT_EQ(snpu_pkt_desc(SNPU_OP_LINEAR)->n_args, 6);
	EXPECT_EQ(snpu_pkt_desc(SNPU_OP_LINEAR)->arg[4].offset, offsetof(struct snpu_pkt_LINEAR, n_in));
	EXPECT_EQ(snpu_pkt_desc(SNPU_OP_LINEAR)->used, 8 + 4 * 16 + 8);
	EXPECT_EQ(snpu_pkt_desc(SNPU_OP_COPY)->used, sizeof(struct snpu_pkt_COPY) - 4);
}

TEST(counts_of_operands)
{
	struct snpu_pkt_LINEAR l = { .n_in = 100, .n_out = 65, .hdr.flags = SNPU_LINEAR_BIAS };
	struct snpu_pkt_CUBALIF c = { .n = 10 };
	uint64_t count[SNPU_PKT_MAX_ARGS];

	snpu_pkt_desc(SNPU_OP_LINEAR)->counts(&l, count);
	EXPECT_EQ(count[0], 202);
	EXPECT_EQ(count[1], 200);
	EXPECT_EQ(count[2], 65);
	EXPECT_EQ(count[3], 65);
	snpu_pkt_desc(SNPU_OP_CUBALIF)->counts(&c, count);
	EXPECT_EQ(count[1], 20);
	EXPECT_EQ(count[2], 70);
	l.n_in = l.n_out = SNPU_MAX_N;		/* does not wrap */
	snpu_pkt_desc(SNPU_OP_LINEAR)->counts(&l, count);
	EXPECT_EQ(count[1], (1ull << 18) * (1ull << 24));
}

TEST(regions_faults_counters)
{
	EXPECT_STREQ(snpu_region_name(SNPU_REGION_WEIGHTS), "WEIGHTS");
	EXPECT_EQ(snpu_region_name(SNPU_REGION_COUNT), NULL);
	EXPECT_TRUE(snpu_region_writable(SNPU_REGION_STATE));
	EXPECT_FALSE(snpu_region_writable(SNPU_REGION_INPUT));
	EXPECT_FALSE(snpu_region_nameable(SNPU_REGION_PROFILE));
	for (unsigned int c = 0; c < SNPU_FAULT_COUNT; c++)
		EXPECT_NE(snpu_fault_text(c)[0], 0);
	EXPECT_CONTAINS(snpu_fault_text(12345), "does not know");
	EXPECT_EQ(snpu_counters(), SNPU_COUNTER_COUNT);
	EXPECT_STREQ(snpu_counter_name(SNPU_COUNTER_SYNOPS), "SYNOPS");
	EXPECT_STREQ(snpu_counter_unit(SNPU_COUNTER_CYCLES), "cycles");
	EXPECT_EQ(snpu_counter_exact(SNPU_COUNTER_SYNOPS), 1);
	EXPECT_EQ(snpu_counter_exact(SNPU_COUNTER_CYCLES), 0);
	EXPECT_EQ(snpu_counter_name(SNPU_COUNTER_COUNT), NULL);
}

/* --- the builder ---------------------------------------------------------------------------------------------- */

TEST_F(prog, bytes)
{
	const struct snpu_pkt_FILL *f;
	const struct snpu_pkt_hdr *end;

	self->p.slot = 9;
	EXPECT_EQ(snpu_emit(&self->p, FILL, .dst = snpu_ref_steps(SNPU_REGION_OUTPUT, 64, 4, 8), .words = 3, .value = 7), 0);
	EXPECT_EQ(snpu_prog_end(&self->p), 0);
	ASSERT_EQ(self->p.size, sizeof(*f) + 8);
	f = (const void *)self->p.data;
	EXPECT_EQ(f->hdr.opcode, 0x11);
	EXPECT_EQ(f->hdr.words, sizeof(*f) / 4);
	EXPECT_EQ(f->hdr.slot, 9);
	EXPECT_EQ(f->dst.addr, 0x0500000000000040ull);
	EXPECT_EQ(f->dst.stride[0], 4);
	EXPECT_EQ(f->dst.stride[1], 8);
	EXPECT_EQ(f->words, 3);
	EXPECT_EQ(f->value, 7);
	end = (const void *)(self->p.data + sizeof(*f));
	EXPECT_EQ(end->opcode, SNPU_OP_END);
}

TEST_F(prog, padding_is_zero)
{
	struct snpu_pkt_COPY c;

	memset(&c, 0xff, sizeof(c));
	c = (struct snpu_pkt_COPY){ .src = snpu_ref(SNPU_REGION_INPUT, 0), .dst = snpu_ref(SNPU_REGION_OUTPUT, 0), .words = 1 };
	((uint32_t *)&c)[sizeof(c) / 4 - 1] = 0xffffffffu;
	c.hdr.pad = 3;
	EXPECT_EQ(snpu_prog_append(&self->p, SNPU_OP_COPY, &c), 0);
	EXPECT_EQ(((const uint32_t *)self->p.data)[sizeof(c) / 4 - 1], 0);
	EXPECT_EQ(((const struct snpu_pkt_hdr *)self->p.data)->pad, 0);
}

TEST_F(prog, grows)
{
	for (int i = 0; i < 100000; i++)
		ASSERT_EQ(snpu_emit(&self->p, NOP), 0);
	EXPECT_EQ(self->p.size, 800000);
	for (int i = 0; i < 100000; i++)
		ASSERT_EQ(self->p.data[8 * i + 2], 2);
}

TEST_F(prog, refusals_stick)
{
	struct snpu_pkt_NOP nop = { 0 };

#define REFUSE(text, ...) do {								\
	snpu_prog_free(&self->p);							\
	EXPECT_EQ(snpu_emit(&self->p, __VA_ARGS__), -EINVAL);				\
	EXPECT_CONTAINS(snpu_last_error(), text);					\
	EXPECT_EQ(snpu_emit(&self->p, NOP), -EINVAL);					\
	EXPECT_EQ(snpu_prog_end(&self->p), -EINVAL);					\
	EXPECT_EQ(self->p.size, 0);							\
} while (0)
	struct snpu_ref in = snpu_ref(SNPU_REGION_INPUT, 0), out = snpu_ref(SNPU_REGION_OUTPUT, 0), w = snpu_ref(SNPU_REGION_WEIGHTS, 0);

	REFUSE("words is 0", FILL, .dst = out, .words = 0);
	REFUSE("words is 16777217", FILL, .dst = out, .words = SNPU_MAX_N + 1);
	REFUSE("read-only", FILL, .dst = in, .words = 1);
	REFUSE("region 8", FILL, .dst = snpu_ref(SNPU_REGION_PROFILE, 0), .words = 1);
	REFUSE("region 77", FILL, .dst = snpu_ref(77, 0), .words = 1);
	REFUSE("cannot use", FILL, .dst = { .addr = out.addr | 1ull << 48 }, .words = 1);
	REFUSE("not a multiple of 4", FILL, .dst = snpu_ref(SNPU_REGION_OUTPUT, 2), .words = 1);
	REFUSE("not a multiple of 4", FILL, .dst = snpu_ref_step(SNPU_REGION_OUTPUT, 0, 2), .words = 1);
	REFUSE("not a multiple of 8", SIGNAL, .dst = snpu_ref(SNPU_REGION_OUTPUT, 4));
	REFUSE("not a multiple of 256", LINEAR, .ev = in, .weights = snpu_ref(SNPU_REGION_WEIGHTS, 64), .out = out, .n_in = 1, .n_out = 1);
	REFUSE("bias must be the zero reference", LINEAR, .ev = in, .weights = w, .bias = in, .out = out, .n_in = 1, .n_out = 1);
	REFUSE("state must be the zero reference", THRESHOLD, .x = in, .state = out, .param = in, .out = out, .n = 1);
	REFUSE("flags 0x3", LIF, .hdr.flags = 3, .x = in, .state = out, .param = in, .out = out, .n = 1);
	REFUSE("flags 0x1", NOP, .hdr.flags = 1);
	REFUSE("count is 0", LOOP, .count = 0);
	REFUSE("no loop is open", NEXT);
	snpu_prog_free(&self->p);
	EXPECT_EQ(snpu_prog_append(&self->p, 0xff, &nop), -EINVAL);
	snpu_prog_free(&self->p);
	EXPECT_EQ(snpu_emit(&self->p, LOOP, .count = 1), 0);
	EXPECT_EQ(snpu_emit(&self->p, LOOP, .count = 1), 0);
	EXPECT_EQ(snpu_emit(&self->p, LOOP, .count = 1), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "2 loops are open");
	snpu_prog_free(&self->p);
	EXPECT_EQ(snpu_emit(&self->p, LOOP, .count = 1), 0);
	EXPECT_EQ(snpu_prog_end(&self->p), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "still open");
}

TEST_F(prog, too_long)
{
	int err = 0;

	while (!err && self->p.size <= 257ull << 20)
		err = snpu_emit(&self->p, LINEAR, .ev = snpu_ref(SNPU_REGION_INPUT, 0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0),
				.out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n_in = 1, .n_out = 1);
	EXPECT_EQ(err, -E2BIG);
}

/* --- the disassembler ----------------------------------------------------------------------------------------- */

TEST_F(prog, disassembles)
{
	static const char *const want[] = {
		"LOOP count=25",
		"EVPACK x=INPUT+0x0{3136} ev=SCRATCH+0x100 n=784",
		"LINEAR.bias [2] ev=SCRATCH+0x100 weights=WEIGHTS+0x0 bias=CONST+0x40 out=SCRATCH+0x0 n_in=784 n_out=10",
		"LINEAR [2] ev=SCRATCH+0x100 weights=WEIGHTS+0x0 bias=- out=SCRATCH+0x0 n_in=784 n_out=10",
		"LIF.subtract.ge [2] x=SCRATCH+0x0 state=STATE+0x0 param=CONST+0x80 out=OUTPUT+0x0{40,1000} n=10",
		"THRESHOLD x=INPUT+0x0 state=- param=CONST+0x0 out=OUTPUT+0x0 n=1",
		"GATHER.bf16 index=INPUT+0x0 table=WEIGHTS+0x0 out=SCRATCH+0x0 table_rows=9 n=3 rows=2",
		"ENCODE x=SCRATCH+0x0 spikes=SCRATCH+0x1000 n=128 rows=2 k=3.5",
		"SPMV.bitserial.residual.bias spikes=SCRATCH+0x1000 weights=WEIGHTS+0x0 scales=WEIGHTS+0x0 residual=WEIGHTS+0x0 "
			"bias=CONST+0x40 out=SCRATCH+0x0 groups=1 n_out=65 rows=2 n_residual=7",
		"MATMUL.bf16.bias x=INPUT+0x0 weights=WEIGHTS+0x0 bias=CONST+0x40 out=SCRATCH+0x0 n_in=3 n_out=4 rows=1",
		"RMSNORM x=INPUT+0x0 weight=CONST+0x40 out=SCRATCH+0x0 n=3 rows=4 eps=9.99999997e-07",
		"KV_APPEND.int8 k=INPUT+0x0 v=INPUT+0x0 position=INPUT+0x0 cache=STATE+0x0 kv=1 d=2 slots=3",
		"SWA q=INPUT+0x0 cache=CONST+0x40 position=INPUT+0x0 out=SCRATCH+0x0 kv=1 group=2 d=3 slots=4 window=5",
		"NEXT", "SIGNAL dst=TRACE+0x8 value=0xffffffffffffffff", "END",
	};
	struct snpu_ref ev = snpu_ref(SNPU_REGION_SCRATCH, 256), w = snpu_ref(SNPU_REGION_WEIGHTS, 0), s = snpu_ref(SNPU_REGION_SCRATCH, 0);
	struct snpu_ref in = snpu_ref(SNPU_REGION_INPUT, 0), c = snpu_ref(SNPU_REGION_CONST, 64), spikes = snpu_ref(SNPU_REGION_SCRATCH, 4096);
	uint64_t pc = 0;
	char text[256];

	snpu_emit(&self->p, LOOP, .count = 25);
	snpu_emit(&self->p, EVPACK, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 3136), .ev = ev, .n = 784);
	self->p.slot = 2;
	snpu_emit(&self->p, LINEAR, .hdr.flags = SNPU_LINEAR_BIAS, .ev = ev, .weights = w, .bias = snpu_ref(SNPU_REGION_CONST, 64), .out = s,
		  .n_in = 784, .n_out = 10);
	snpu_emit(&self->p, LINEAR, .ev = ev, .weights = w, .out = s, .n_in = 784, .n_out = 10);
	snpu_emit(&self->p, LIF, .hdr.flags = SNPU_NEURON_GE | SNPU_NEURON_RESET_SUBTRACT, .x = s, .state = snpu_ref(SNPU_REGION_STATE, 0),
		  .param = snpu_ref(SNPU_REGION_CONST, 128), .out = snpu_ref_steps(SNPU_REGION_OUTPUT, 0, 40, 1000), .n = 10);
	self->p.slot = 0;
	snpu_emit(&self->p, THRESHOLD, .x = snpu_ref(SNPU_REGION_INPUT, 0), .param = snpu_ref(SNPU_REGION_CONST, 0),
		  .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = 1);
	snpu_emit(&self->p, GATHER, .hdr.flags = SNPU_WEIGHTS_BF16, .index = in, .table = w, .out = s, .table_rows = 9, .n = 3, .rows = 2);
	snpu_emit(&self->p, ENCODE, .x = s, .spikes = spikes, .n = 128, .rows = 2, .k = 0x40600000);
	snpu_emit(&self->p, SPMV, .hdr.flags = SNPU_SPMV_BIAS | SNPU_SPMV_RESIDUAL | SNPU_SPMV_BIT_SERIAL, .spikes = spikes, .weights = w,
		  .scales = w, .residual = w, .bias = c, .out = s, .groups = 1, .n_out = 65, .rows = 2, .n_residual = 7);
	snpu_emit(&self->p, MATMUL, .hdr.flags = SNPU_WEIGHTS_BF16 | SNPU_MATMUL_BIAS, .x = in, .weights = w, .bias = c, .out = s, .n_in = 3,
		  .n_out = 4, .rows = 1);
	snpu_emit(&self->p, RMSNORM, .x = in, .weight = c, .out = s, .n = 3, .rows = 4, .eps = 0x358637bd);
	snpu_emit(&self->p, KV_APPEND, .hdr.flags = SNPU_KV_INT8, .k = in, .v = in, .position = in, .cache = snpu_ref(SNPU_REGION_STATE, 0),
		  .kv = 1, .d = 2, .slots = 3);
	snpu_emit(&self->p, SWA, .q = in, .cache = c, .position = in, .out = s, .kv = 1, .group = 2, .d = 3, .slots = 4, .window = 5);
	snpu_emit(&self->p, NEXT);
	snpu_emit(&self->p, SIGNAL, .dst = snpu_ref(SNPU_REGION_TRACE, 8), .value = UINT64_MAX);
	ASSERT_EQ(snpu_prog_end(&self->p), 0);
	for (unsigned int i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		ASSERT_EQ(snpu_disasm(self->p.data, self->p.size, pc, text, sizeof(text), &pc), 0);
		EXPECT_STREQ(text, want[i]);
	}
	EXPECT_EQ(pc, self->p.size);
	EXPECT_EQ(snpu_disasm(self->p.data, self->p.size, pc, text, sizeof(text), &pc), -ERANGE);
}

TEST(disassembles_what_is_no_packet)
{
	uint8_t bytes[104] = { 0xee, 1, 2, 3, 4, 5, 6, 7 };
	struct snpu_pkt_LIF lif = { { SNPU_OP_LIF, 0, sizeof(lif) / 4, 0, 0 } };
	uint64_t next;
	char text[256];

	ASSERT_EQ(snpu_disasm(bytes, 8, 0, text, sizeof(text), &next), 0);
	EXPECT_STREQ(text, "data ee 01 02 03 04 05 06 07  ; opcode not defined");
	EXPECT_EQ(next, 8);
	ASSERT_EQ(snpu_disasm(bytes, 3, 0, text, sizeof(text), &next), 0);
	EXPECT_CONTAINS(text, "ends inside a packet's header");
	EXPECT_EQ(next, 3);
	memcpy(bytes, &lif, sizeof(lif));
	ASSERT_EQ(snpu_disasm(bytes, sizeof(lif) - 8, 0, text, sizeof(text), &next), 0);
	EXPECT_CONTAINS(text, "the program ends inside it");
	EXPECT_EQ(next, 8);
	bytes[2]++;
	ASSERT_EQ(snpu_disasm(bytes, sizeof(lif), 0, text, sizeof(text), &next), 0);
	EXPECT_CONTAINS(text, "LIF of");
	bytes[2]--;
	bytes[1] = 0xff;
	bytes[8 + 6] = 1;			/* a reserved bit of x */
	ASSERT_EQ(snpu_disasm(bytes, sizeof(lif), 0, text, sizeof(text), &next), 0);
	EXPECT_CONTAINS(text, "!reserved bits");
	EXPECT_CONTAINS(text, "n=0!not 1 to 16777216");
	EXPECT_CONTAINS(text, "flags 0xff");
	EXPECT_EQ(snpu_disasm(NULL, 8, 0, text, sizeof(text), &next), -EINVAL);
	EXPECT_EQ(snpu_disasm(bytes, 8, 0, text, 0, &next), -EINVAL);
}

/* Any bytes, any offset, any buffer: terminated text and progress. */
TEST(disassembles_anything)
{
	uint8_t bytes[256];
	char text[400];
	uint64_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		uint64_t size = 1 + (unsigned int)rand() % sizeof(bytes), pc = 0, next;
		size_t len = 1 + (unsigned int)rand() % (sizeof(text) - 1);

		for (unsigned int i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)((seed = seed * 6364136223846793005ull + 1) >> 56);
		bytes[0] = (uint8_t)(0x50 + round % 8);
		bytes[2] = snpu_pkt_desc(bytes[0]) ? (uint8_t)(snpu_pkt_desc(bytes[0])->bytes / 4) : 2;
		bytes[3] = 0;
		for (; pc < size; pc = next) {
			memset(text, 'x', sizeof(text));
			ASSERT_EQ(snpu_disasm(bytes, size, pc, text, len, &next), 0);
			ASSERT_LT(strnlen(text, len), len);
			ASSERT_EQ(text[len], 'x');
			ASSERT_GT(next, pc);
		}
	}
}

TEST(describes_faults)
{
	struct snpu_queue_status st = { .fault_code = SNPU_FAULT_MMU_WRITE, .fault_job = 7, .fault_va = 0x1234000, .fault_access = SNPU_ACCESS_WRITE,
					.fault_pc = 0x40, .fault_packet = SNPU_OP_ADD, .fault_operand = 2, .fault_loop = { 3, 4 } };
	char text[512], tiny[10];

	snpu_fault_describe(&st, NULL, 0, text, sizeof(text));
	EXPECT_STREQ(text, "job 7 faulted: the address is mapped but not writable (write of address 0x1234000), program offset 0x40, "
			   "loop iteration 3 (next loop: 4), operand 2 (out) of ADD");
	snpu_fault_describe(&st, NULL, 0, tiny, sizeof(tiny));
	EXPECT_STREQ(tiny, "job 7 fau");
	st = (struct snpu_queue_status){ .fault_code = SNPU_FAULT_BAD_DESC, .fault_job = 1, .fault_operand = ~0u };
	snpu_fault_describe(&st, NULL, 0, text, sizeof(text));
	EXPECT_STREQ(text, "job 1 faulted: the job descriptor is malformed");
}

TEST_HARNESS_MAIN
