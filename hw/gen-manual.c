// SPDX-License-Identifier: MIT
/*
 * Prints the tables of the programmer's manual from the lists in hw/. Run on the host at build time: `make docs/hardware.md`
 * replaces the text between the markers `<!-- table NAME -->` and `<!-- end -->` in docs/hardware.md with what
 * `gen-manual NAME` prints, and tests/style/manual.sh fails when they differ. It knows the lists and Markdown,
 * nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "snpu_core.h"
#include "snpu_fw_abi.h"
#include "snpu_isa.h"
#include "snpu_regs.h"

static void field_row(const char *name, int hi, int lo, const char *doc)
{
	if (hi == lo)
		printf("| | `.%s` | bit %d | | %s |\n", name, lo, doc);
	else
		printf("| | `.%s` | bits %d:%d | | %s |\n", name, hi, lo, doc);
}

static void table_registers(void)
{
	puts("| offset | register | access | reset | meaning |\n|---|---|---|---|---|");
#define REG(name, offset, access, reset, doc) \
	printf("| 0x%03x | `" #name "` | " #access " | 0x%08x | %s |\n", (unsigned int)(offset), (unsigned int)(reset), doc);
#define FIELD(reg, name, hi, lo, doc) field_row(#name, hi, lo, doc);
#include "snpu_regs.def"
}

static void table_doorbell(void)
{
	puts("| offset | register | access | meaning |\n|---|---|---|---|");
#define DBREG(name, offset, access, doc) printf("| 0x%03x | `" #name "` | " #access " | %s |\n", (unsigned int)(offset), doc);
#include "snpu_regs.def"
}

static void table_core(void)
{
	puts("| offset | register | access | meaning |\n|---|---|---|---|");
#define COREREG(name, offset, access, doc) printf("| 0x%02x | `" #name "` | " #access " | %s |\n", (unsigned int)(offset), doc);
#include "snpu_core.def"
}

static void table_counters(void)
{
	int i = 0;

	puts("| index | counter | unit | same on every backend | meaning |\n|---|---|---|---|---|");
#define COUNTER(name, unit, exact, doc) printf("| %d | `" #name "` | %s | %s | %s |\n", i++, unit, (exact) ? "yes" : "no", doc);
#include "snpu_counters.def"
}

static void table_regions(void)
{
	puts("| index | region | packets may | holds |\n|---|---|---|---|");
#define REGION(name, index, writable, doc) \
	printf("| %d | `" #name "` | %s | %s |\n", index, (writable) ? "read, write" : "read", doc);
	SNPU_REGIONS(REGION)
#undef REGION
}

static void table_faults(void)
{
	puts("| code | fault | meaning |\n|---|---|---|");
#define FAULT(name, value, text) printf("| %d | `" #name "` | %s |\n", value, text);
	SNPU_FAULTS(FAULT)
#undef FAULT
}

static void table_boot_errors(void)
{
	puts("| code | error | meaning |\n|---|---|---|");
#define BOOT_ERROR(name, value, text) printf("| %d | `" #name "` | %s |\n", value, text);
	SNPU_BOOT_ERRORS(BOOT_ERROR)
#undef BOOT_ERROR
}

/* The count expressions are C over the packet p; people read them without the syntax. */
static void print_count(const char *expr)
{
	for (const char *c = expr; *c;) {
		if (!strncmp(c, "p->", 3))
			c += 3;
		else if (!strncmp(c, "(__u64)", 7))
			c += 7;
		else if (!strncmp(c, "ull ", 4))
			c += 3;
		else
			putchar(*c++);
	}
}

static void arg_ref(const char *name, const char *access, int elem, const char *count, const char *doc)
{
	printf("| `%s` | ref, %s | ", name, access);
	print_count(count);
	printf(" x %d bytes | %s |\n", elem, doc);
}

static void arg_u32(const char *name, unsigned long long min, unsigned long long max, const char *doc)
{
	printf("| `%s` | u32 | %llu .. %llu | %s |\n", name, min, max, doc);
}

static void packet_head(const char *name, int opcode, int flags, int words, const char *doc)
{
	printf("\n### %s (0x%02x)\n\n%s\n\n%d words", name, (unsigned int)opcode, doc, words);
	if (flags)
		printf(", flags 0x%02x", (unsigned int)flags);
	puts(".");
}

static void table_packets(void)
{
#define ARG_REF(name, access, elem, count, doc) arg_ref(#name, #access, elem, #count, doc);
#define ARG_U32(name, min, max, doc) arg_u32(#name, min, max, doc);
#define ARG_U64(name, doc) printf("| `" #name "` | u64 | any | %s |\n", doc);
#define PKT(NAME, opcode, flags, args, doc)						\
	packet_head(#NAME, opcode, flags, (int)sizeof(struct snpu_pkt_##NAME) / 4, doc);	\
	if (sizeof(struct snpu_pkt_##NAME) > sizeof(struct snpu_pkt_hdr)) {		\
		puts("\n| operand | kind | extent or range | meaning |\n|---|---|---|---|");	\
		args									\
	}
#include "snpu_isa.def"
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64
}

static void table_messages(void)
{
#define F32(name, doc) printf("| `" #name "` | u32 | %s |\n", doc);
#define F64(name, doc) printf("| `" #name "` | u64 | %s |\n", doc);
#define FW_CMD(NAME, op, fields, doc)							\
	printf("\n### Command " #NAME " (%d)\n\n%s\n\n| field | type | meaning |\n|---|---|---|\n", op, doc);	\
	fields
#define FW_EVENT(NAME, type, fields, doc)						\
	printf("\n### Event " #NAME " (%d)\n\n%s\n\n| field | type | meaning |\n|---|---|---|\n", type, doc);	\
	fields
#include "snpu_fw.def"
#undef F32
#undef F64
}

static const struct {
	const char *name;
	void (*print)(void);
} tables[] = {
	{ "registers", table_registers }, { "doorbell", table_doorbell },     { "core", table_core },
	{ "counters", table_counters },	  { "regions", table_regions },	      { "faults", table_faults },
	{ "packets", table_packets },	  { "messages", table_messages },     { "boot-errors", table_boot_errors },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (!strcmp(argv[1], tables[i].name)) {
			tables[i].print();
			return 0;
		}
	}
	fprintf(stderr, "usage: gen-manual TABLE, one of:");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		fprintf(stderr, " %s", tables[i].name);
	fputc('\n', stderr);
	return 2;
}
