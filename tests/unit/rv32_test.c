// SPDX-License-Identifier: MIT
/*
 * The management core, instruction by instruction, against the tables of rv32_cases.h; the test assembler against GNU
 * as; and a compiled program against numbers the host works out. Traps, CSRs and interrupts: rv32_trap_test.c.
 */
#include "tests/unit/rv32_cases.h"
#include "tests/unit/rv32_listing.h"
#include "tests/unit/rv32_machine.h"
#include "tests/unit/rv32_program.h"

#define ARRAY_LEN(a_) (sizeof(a_) / sizeof((a_)[0]))

static uint32_t with_regs(uint32_t insn, unsigned int rd, unsigned int rs1, unsigned int rs2)
{
	return insn | rd << 7 | rs1 << 15 | rs2 << 20;
}

/* Everything but rd is as it was: registers, memory around the code word, no trap taken. */
static void expect_only(struct machine *m, const char *name, unsigned int rd, uint32_t want, const uint32_t *before)
{
	for (unsigned int r = 0; r < 32; r++) {
		uint32_t value = r == rd && r ? want : before[r];

		if (m->cpu.x[r] != value)
			TH_FAILMSG("%s: x%u is %08x, expected %08x", name, r, m->cpu.x[r], value);
	}
	EXPECT_EQ(machine_csr(m, RV32_CSR_MCAUSE), 0);
	EXPECT_EQ(m->loads + m->stores, 0);
}

static void check_rr(const struct rr_case *c, unsigned int rd, unsigned int rs1, unsigned int rs2)
{
	struct machine m;
	uint32_t before[32];

	ASSERT_TRUE(machine_init(&m));
	m.cpu.x[rs1] = c->a;
	m.cpu.x[rs2] = c->b;
	memcpy(before, m.cpu.x, sizeof(before));
	machine_exec(&m, with_regs(c->insn, rd, rs1, rs2));
	expect_only(&m, c->name, rd, c->want, before);
	EXPECT_EQ(m.cpu.pc, CODE + 4);
	EXPECT_EQ(m.cpu.steps, 1);
}

TEST(register_register)
{
	for (unsigned int i = 0; i < ARRAY_LEN(rr_cases); i++) {
		const struct rr_case *c = &rr_cases[i];

		check_rr(c, 5, 6, 7);
		check_rr(c, 31, 30, 1);
		check_rr(c, 6, 6, 7);		/* rd = rs1 */
		check_rr(c, 7, 6, 7);		/* rd = rs2 */
		check_rr(c, 0, 6, 7);		/* the result is dropped */
		if (c->a == c->b)
			check_rr(c, 5, 6, 6);
		if (c->b == 0)
			check_rr(c, 5, 6, 0);
		if (c->a == 0)
			check_rr(c, 5, 0, 7);
	}
}

static void check_ri(const struct ri_case *c, unsigned int rd, unsigned int rs1)
{
	struct machine m;
	uint32_t before[32];

	ASSERT_TRUE(machine_init(&m));
	m.cpu.x[rs1] = c->a;
	memcpy(before, m.cpu.x, sizeof(before));
	machine_exec(&m, with_regs(c->insn, rd, rs1, 0));
	expect_only(&m, c->name, rd, c->want, before);
	EXPECT_EQ(m.cpu.pc, CODE + 4);
}

TEST(register_immediate)
{
	for (unsigned int i = 0; i < ARRAY_LEN(ri_cases); i++) {
		check_ri(&ri_cases[i], 5, 6);
		check_ri(&ri_cases[i], 30, 31);
		check_ri(&ri_cases[i], 6, 6);
		check_ri(&ri_cases[i], 0, 6);
		if (ri_cases[i].a == 0)
			check_ri(&ri_cases[i], 5, 0);
	}
}

TEST(upper_immediates)
{
	static const struct { uint32_t insn, pc, want; } cases[] = {
		{ LUI(5, 0x12345), CODE, 0x12345000 }, { LUI(5, 0xfffff), CODE, 0xfffff000 }, { LUI(5, 0x80000), CODE, MIN }, { LUI(5, 0), CODE, 0 },
		{ AUIPC(5, 0), CODE, CODE }, { AUIPC(5, 1), 0x1ffc, 0x2ffc }, { AUIPC(5, 0xfffff), CODE, 0 }, { AUIPC(5, 0xffffe), 0x1004, 0xfffff004 },
		{ AUIPC(5, 0x80000), 0x8, 0x80000008 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		struct machine m;

		ASSERT_TRUE(machine_init(&m));
		m.cpu.pc = cases[i].pc;
		machine_exec(&m, cases[i].insn);
		EXPECT_EQ(m.cpu.x[5], cases[i].want);
		EXPECT_EQ(m.cpu.pc, cases[i].pc + 4);
		machine_exec(&m, cases[i].insn & ~(31u << 7));
		EXPECT_EQ(m.cpu.x[0], 0);
	}
}

static void check_load(const struct load_case *c, uint32_t tcm_base, unsigned int rd)
{
	struct machine m;
	uint32_t before[32];

	ASSERT_TRUE(machine_init_at(&m, tcm_base));
	machine_poke(&m, DATA, LOAD_WORD0);
	machine_poke(&m, DATA + 4, LOAD_WORD1);
	m.cpu.x[6] = tcm_base + DATA + (uint32_t)c->base;
	memcpy(before, m.cpu.x, sizeof(before));
	machine_exec(&m, with_regs(c->insn, rd, 6, 0));
	expect_only(&m, c->name, rd, c->want, before);
	EXPECT_EQ(m.cpu.pc, tcm_base + CODE + 4);
	EXPECT_EQ(machine_peek(&m, DATA), LOAD_WORD0);
}

TEST(loads)
{
	for (unsigned int i = 0; i < ARRAY_LEN(load_cases); i++) {
		check_load(&load_cases[i], 0, 5);
		check_load(&load_cases[i], 0, 0);
		check_load(&load_cases[i], 0, 6);
		check_load(&load_cases[i], 0xffff0000, 5);	/* the TCM ends at 2^32 */
	}
}

TEST(stores)
{
	for (unsigned int i = 0; i < ARRAY_LEN(store_cases); i++) {
		const struct store_case *c = &store_cases[i];
		struct machine m;
		uint32_t before[32];

		ASSERT_TRUE(machine_init(&m));
		for (int w = -5; w < 6; w++)
			machine_poke(&m, (uint32_t)(DATA + 4 * w), 0x55555555);
		m.cpu.x[6] = (uint32_t)(DATA + c->base);
		m.cpu.x[7] = 0x89abcdef;
		memcpy(before, m.cpu.x, sizeof(before));
		machine_exec(&m, with_regs(c->insn, 0, 6, 7));
		expect_only(&m, c->name, 0, 0, before);
		if (machine_peek(&m, DATA) != c->want0 || machine_peek(&m, DATA + 4) != c->want1)
			TH_FAILMSG("%s: memory is %08x %08x, expected %08x %08x", c->name, machine_peek(&m, DATA), machine_peek(&m, DATA + 4), c->want0, c->want1);
		for (int w = -5; w < 6; w++)
			if (w < 0 || w > 1)
				EXPECT_EQ(machine_peek(&m, (uint32_t)(DATA + 4 * w)), 0x55555555);
		EXPECT_EQ(m.cpu.pc, CODE + 4);
	}
}

TEST(first_and_last_word_of_the_tcm)
{
	struct machine m;

	ASSERT_TRUE(machine_init(&m));
	m.cpu.x[6] = TCM_SIZE;
	m.cpu.x[7] = 0x11223344;
	machine_exec(&m, SW(7, -4, 6));
	machine_exec(&m, SB(7, 0, 0));
	machine_exec(&m, LBU(5, -1, 6));
	EXPECT_EQ(machine_peek(&m, TCM_SIZE - 4), 0x11223344);
	EXPECT_EQ(machine_peek(&m, 0), 0x44);
	EXPECT_EQ(m.cpu.x[5], 0x11);
	EXPECT_EQ(m.loads + m.stores, 0);
	m.cpu.pc = TCM_SIZE - 4;
	machine_exec(&m, JAL(1, -8));
	EXPECT_EQ(m.cpu.pc, TCM_SIZE - 12);
	EXPECT_EQ(m.cpu.x[1], TCM_SIZE);
	EXPECT_TRUE(machine_guards_whole(&m));
}

TEST(branches)
{
	for (unsigned int i = 0; i < ARRAY_LEN(branch_cases); i++) {
		const struct branch_case *c = &branch_cases[i];
		struct machine m;
		uint32_t before[32];

		ASSERT_TRUE(machine_init(&m));
		m.cpu.x[6] = c->a;
		m.cpu.x[7] = c->b;
		memcpy(before, m.cpu.x, sizeof(before));
		machine_exec(&m, c->insn);
		expect_only(&m, c->name, 0, 0, before);
		if (m.cpu.pc != CODE + (uint32_t)c->moved)
			TH_FAILMSG("%s: pc is %08x, expected %08x", c->name, m.cpu.pc, CODE + (uint32_t)c->moved);
	}
}

TEST(jumps)
{
	static const struct { uint32_t insn, x6, pc, link; unsigned int rd; } cases[] = {
		{ JAL(5, 8), 0, CODE + 8, CODE + 4, 5 }, { JAL(5, -0x1000), 0, 0, CODE + 4, 5 }, { JAL(0, 0x7fc), 0, CODE + 0x7fc, 0, 0 },
		{ JAL(5, 0x800), 0, CODE + 0x800, CODE + 4, 5 }, { JAL(5, 0xffffc), 0, CODE + 0xffffc, CODE + 4, 5 }, { JAL(5, -0x100000), 0, 0xfff01000, CODE + 4, 5 },
		{ JALR(5, 6, 0), 0x2000, 0x2000, CODE + 4, 5 }, { JALR(5, 6, -4), 0x2000, 0x1ffc, CODE + 4, 5 }, { JALR(5, 6, 1), 0x2000, 0x2000, CODE + 4, 5 },
		{ JALR(5, 6, 0), 0x2001, 0x2000, CODE + 4, 5 }, { JALR(5, 6, 2047), 0x2001, 0x2800, CODE + 4, 5 }, { JALR(5, 6, -2048), 0x2800, 0x2000, CODE + 4, 5 },
		{ JALR(6, 6, 8), 0x2000, 0x2008, CODE + 4, 6 },	/* the target is taken before rd is written */
		{ JALR(0, 6, 0), 0x2000, 0x2000, 0, 0 }, { JALR(5, 6, 4), 0xfffffffc, 0, CODE + 4, 5 }, { JALR(5, 0, 16), 0, 16, CODE + 4, 5 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		struct machine m;

		ASSERT_TRUE(machine_init(&m));
		m.cpu.x[6] = cases[i].x6;
		machine_exec(&m, cases[i].insn);
		EXPECT_EQ(m.cpu.pc, cases[i].pc);
		EXPECT_EQ(m.cpu.x[cases[i].rd], cases[i].link);
		EXPECT_EQ(machine_csr(&m, RV32_CSR_MCAUSE), 0);
	}
}

/* The reserved fields of FENCE and FENCE.I are to be ignored; neither changes anything. */
TEST(fences)
{
	static const uint32_t insns[] = { FENCE(0, 15, 15), FENCE(8, 3, 3), FENCE(0, 0, 0), FMT_I(-1, 31, 0, 31, 0x0f), FENCE_I, FMT_I(-1, 31, 1, 31, 0x0f) };

	for (unsigned int i = 0; i < ARRAY_LEN(insns); i++) {
		struct machine m;
		uint32_t before[32];

		ASSERT_TRUE(machine_init(&m));
		memcpy(before, m.cpu.x, sizeof(before));
		machine_exec(&m, insns[i]);
		expect_only(&m, "fence", 0, 0, before);
		EXPECT_EQ(m.cpu.pc, CODE + 4);
	}
}

TEST(a_stored_instruction_is_the_next_one_run)
{
	struct machine m;

	ASSERT_TRUE(machine_init(&m));
	m.cpu.x[6] = CODE + 8;
	m.cpu.x[7] = ADDI(5, 0, 77);
	machine_poke(&m, CODE, SW(7, 0, 6));
	machine_poke(&m, CODE + 4, FENCE_I);
	machine_poke(&m, CODE + 8, ADDI(5, 0, 1));
	EXPECT_EQ(rv32_run(&m.cpu, 3), RV32_STOP_BUDGET);
	EXPECT_EQ(m.cpu.x[5], 77);
}

/* --- the bus ------------------------------------------------------------------------------------------------ */

TEST(bus_loads_and_stores)
{
	static const struct { uint32_t insn; unsigned int width; uint32_t want; } loads[] = {
		{ LB(5, 0, 6), 1, 0xffffff98 }, { LBU(5, 0, 6), 1, 0x98 }, { LH(5, 0, 6), 2, 0xffffba98 }, { LHU(5, 0, 6), 2, 0xba98 }, { LW(5, 0, 6), 4, 0xfedcba98 },
	}, stores[] = {
		{ SB(7, 0, 6), 1, 0xef }, { SH(7, 0, 6), 2, 0xcdef }, { SW(7, 0, 6), 4, 0x89abcdef },
	};
	struct machine m;

	ASSERT_TRUE(machine_init(&m));
	m.answer = 0xfedcba98;
	m.cpu.x[6] = 0x40000010;
	m.cpu.x[7] = 0x89abcdef;
	for (unsigned int i = 0; i < ARRAY_LEN(loads); i++) {
		machine_exec(&m, loads[i].insn);
		EXPECT_EQ(m.cpu.x[5], loads[i].want);
		EXPECT_EQ(m.width, loads[i].width);
		EXPECT_EQ(m.addr, 0x40000010);
		EXPECT_EQ(m.loads, i + 1);
	}
	for (unsigned int i = 0; i < ARRAY_LEN(stores); i++) {
		machine_exec(&m, stores[i].insn);
		EXPECT_EQ(m.value, stores[i].want);
		EXPECT_EQ(m.width, stores[i].width);
		EXPECT_EQ(m.stores, i + 1);
	}
	/* A load to x0 still happens: devices have side effects. */
	machine_exec(&m, LW(0, 0, 6));
	EXPECT_EQ(m.loads, ARRAY_LEN(loads) + 1);
	EXPECT_EQ(m.cpu.x[0], 0);
	/* One byte past the TCM is the bus, and so is one before it. */
	m.cpu.x[6] = TCM_SIZE;
	machine_exec(&m, SB(7, 0, 6));
	EXPECT_EQ(m.addr, TCM_SIZE);
	machine_exec(&m, LW(5, 0, 6));
	EXPECT_EQ(m.cpu.x[5], m.answer);
	machine_exec(&m, SB(7, -1, 0));
	EXPECT_EQ(m.addr, 0xffffffff);
	machine_exec(&m, LW(5, -4, 0));
	EXPECT_EQ(m.addr, 0xfffffffc);
	EXPECT_EQ(m.cpu.x[5], m.answer);
	EXPECT_TRUE(machine_guards_whole(&m));
}

TEST(init_refuses_bad_memory)
{
	static uint8_t mem[64];
	const struct rv32_bus no_load = { NULL, machine_store }, no_store = { machine_load, NULL };
	const struct rv32_config bad[] = {
		{ NULL, 0, 64, &machine_bus, NULL }, { mem, 0, 0, &machine_bus, NULL }, { mem, 0, 62, &machine_bus, NULL }, { mem, 2, 64, &machine_bus, NULL },
		{ mem, 0xffffffc4, 64, &machine_bus, NULL }, { mem, 0, 64, NULL, NULL }, { mem, 0, 64, &no_load, NULL }, { mem, 0, 64, &no_store, NULL },
	};
	const struct rv32_config good = { mem, 0xffffffc0, 64, &machine_bus, NULL };
	struct rv32 cpu;

	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_EQ(rv32_init(&cpu, &bad[i]), -EINVAL);
	ASSERT_EQ(rv32_init(&cpu, &good), 0);
	EXPECT_EQ(cpu.pc, 0xffffffc0);
	EXPECT_EQ(rv32_reset(&cpu, 0xffffffc2), -EINVAL);
	EXPECT_EQ(cpu.pc, 0xffffffc0);
}

/* --- the tools ---------------------------------------------------------------------------------------------- */

static bool write_listing(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return false;
	fputs(".option norelax\n", f);
	for (unsigned int i = 0; i < ARRAY_LEN(rv32_listing); i++)
		fprintf(f, "%s\n", rv32_listing[i].text);
	return fclose(f) == 0;
}

/* Assembles dir/a.s to dir/a.bin; its size in bytes, or -1. */
static int assemble(const char *dir)
{
	char cmd[512], path[64];

	snprintf(cmd, sizeof(cmd), "cd %s && riscv64-unknown-elf-as -march=rv32im_zicsr_zifencei -mabi=ilp32 a.s -o a.o &&"
		 " riscv64-unknown-elf-objcopy -O binary -j .text a.o a.bin", dir);
	snprintf(path, sizeof(path), "%s/a.bin", dir);

	FILE *f = system(cmd) == 0 ? fopen(path, "rb") : NULL;
	int size = -1;

	if (f && fseek(f, 0, SEEK_END) == 0)
		size = (int)ftell(f);
	if (f)
		fclose(f);
	return size;
}

static void compare_words(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t b[4];

	ASSERT_TRUE(f);
	for (unsigned int i = 0; i < ARRAY_LEN(rv32_listing) && fread(b, 1, 4, f) == 4; i++) {
		uint32_t word = b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;

		if (word != rv32_listing[i].word)
			TH_FAILMSG("%s: as makes %08x, the test assembler %08x", rv32_listing[i].text, word, rv32_listing[i].word);
	}
	fclose(f);
}

TEST(encoders_equal_gnu_as)
{
	char dir[] = "/tmp/rv32." "XX" "XX" "XX", path[64], cmd[64];

	if (system("command -v riscv64-unknown-elf-as >/dev/null"))
		SKIP("riscv64-unknown-elf-as is not installed (package binutils-riscv64-unknown-elf)");
	ASSERT_TRUE(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.s", dir);
	EXPECT_TRUE(write_listing(path));
	EXPECT_EQ(assemble(dir), 4 * ARRAY_LEN(rv32_listing));
	snprintf(path, sizeof(path), "%s/a.bin", dir);
	compare_words(path);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	EXPECT_EQ(system(cmd), 0);
}

asm(".pushsection .rodata\n"
    "program_image: .incbin \"" RV32_PROGRAM_IMAGE "\"\n"
    "program_image_end: .byte 0\n"
    ".popsection");
extern const uint8_t program_image[], program_image_end[];

static uint32_t program_out[PROGRAM_RESULTS];

static void program_collect(struct machine *m)
{
	if (m->width == 4 && m->addr - PROGRAM_OUT < sizeof(program_out))
		program_out[(m->addr - PROGRAM_OUT) / 4] = m->value;
}

TEST(a_compiled_program_gives_the_hosts_numbers)
{
	size_t size = (size_t)(program_image_end - program_image);
	uint32_t want[PROGRAM_RESULTS];
	struct machine m;

	if (!size)
		SKIP("built without riscv64-unknown-elf-gcc (package gcc-riscv64-unknown-elf)");
	program_run(want);
	ASSERT_TRUE(machine_init(&m));
	ASSERT_LT(size, 0x8000);
	memcpy(machine_tcm(&m) + CODE, program_image, size);
	m.on_store = program_collect;
	EXPECT_EQ(rv32_run(&m.cpu, 100000000), RV32_STOP_WFI);
	EXPECT_EQ(m.cpu.exceptions, 0);
	EXPECT_EQ(m.stores, PROGRAM_RESULTS);
	for (int i = 0; i < PROGRAM_RESULTS; i++)
		EXPECT_EQ(program_out[i], want[i]);
	EXPECT_EQ(want[1], 0);		/* sorted */
	EXPECT_GT(m.cpu.steps, 500000);	/* it did the work itself */
	EXPECT_TRUE(machine_guards_whole(&m));
}

TEST_HARNESS_MAIN
