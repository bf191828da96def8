/* SPDX-License-Identifier: MIT */
/*
 * The command set as a table, expanded from hw/snpu_isa.def: for code that treats all packets alike (the builder's
 * and the CPU backend's checks, the disassembler). Constant data, no locks.
 */
#ifndef SNPU_CORE_PACKET_H
#define SNPU_CORE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "snpu_isa.h"
#include "snpu_job.h"

#define SNPU_PKT_MAX_ARGS	20
#define SNPU_PKT_MAX_REFS	6
#define SNPU_PKT_MAX_BYTES	136

enum snpu_arg_kind { SNPU_ARG_REF, SNPU_ARG_U32, SNPU_ARG_U64 };

struct snpu_arg_desc {
	const char *name;
	uint8_t kind;				/* enum snpu_arg_kind */
	uint8_t access;				/* REF: enum snpu_access bits */
	uint16_t elem;				/* REF: bytes of an element */
	uint16_t offset;			/* in the packet, bytes */
	uint32_t min, max;			/* U32 */
};

struct snpu_pkt_desc {
	const char *name;
	uint8_t opcode;
	uint8_t flags;				/* those that may be set */
	uint16_t bytes;				/* of the whole packet */
	uint16_t used;				/* of it without the padding word at the end, which must be zero */
	uint16_t n_args;
	struct snpu_arg_desc arg[SNPU_PKT_MAX_ARGS];
	/* Elements that each REF covers, by argument index; 0: it must be the zero reference. `pkt` is a complete packet. */
	void (*counts)(const void *pkt, uint64_t count[SNPU_PKT_MAX_ARGS]);
};

/* NULL when the opcode is not defined. */
const struct snpu_pkt_desc *snpu_pkt_desc(unsigned int opcode);

/* A bit for each opcode, as in snpu_device_info, for backends that execute all of them. */
void snpu_pkt_opcodes(uint64_t opcodes[4]);

/* Are these header flags defined for the packet? (The mask alone would allow the undefined reset mode 3.) */
bool snpu_pkt_flags_ok(const struct snpu_pkt_desc *desc, unsigned int flags);

/* Elementwise packets: a written operand may lie exactly on one that is only read. */
bool snpu_pkt_elementwise(const struct snpu_pkt_desc *desc);

/* "INPUT", or NULL for a number that is no region. */
const char *snpu_region_name(unsigned int region);
/* May packets write to the region? May they name it at all? */
bool snpu_region_writable(unsigned int region);
bool snpu_region_nameable(unsigned int region);
/* The sentence for a fault code, never NULL. */
const char *snpu_fault_text(unsigned int code);

#endif
