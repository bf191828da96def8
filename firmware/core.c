/* SPDX-License-Identifier: MIT */
/*
 * Boot, and one pass of the loop: what the interrupt causes say, in an order that frees before it fills. Before the
 * header's magic is written the control area belongs to the firmware (but for the staged image); after it, each
 * index to its writer.
 */
#include "fw.h"
#include "version.h"

_Static_assert(FW_VERSION_MAJOR == SNPU_FW_ABI_MAJOR, "the image's name carries the ABI's major number");

/* The linker's build id: a hash of everything in the image (elf.h, NT_GNU_BUILD_ID; name "GNU" and 20 bytes). */
extern const struct {
	uint32_t name_size, size, type;
	char name[4];
	uint8_t id[20];
} build_id_note;

static void core_header(struct snpu_fw_header *h)
{
	memset(h, 0, sizeof(*h));
	h->abi_major = SNPU_FW_ABI_MAJOR;
	h->abi_minor = FW_ABI_MINOR;
	h->version = FW_VERSION;
	h->queues = SNPU_QUEUES;
	for (uint32_t i = 0; i < FW_BUILD_BYTES; i++)
		fmt_print(h->build + 2 * i, 3, "%02x", build_id_note.id[i]);
}

void core_boot(void)
{
	struct snpu_fw_header *h = FW_HEADER;
	struct snpu_fw_crash *crash = ctl_at(SNPU_CTL_CRASH);

	core_header(h);
	WRITE_ONCE(crash->magic, 0);
	core_write(SNPU_CORE_REG_FW_VERSION, FW_VERSION);
	log_init();
	event_init();
	cmd_init();
	sched_init();
	queue_init();
	time_init();
	log_put(LOG_INFO, "snpu firmware %d.%d.%d, ABI %d.%d, build %s, %d queues", FW_VERSION_MAJOR, FW_VERSION_MINOR,
		FW_VERSION_PATCH, SNPU_FW_ABI_MAJOR, FW_ABI_MINOR, h->build, SNPU_QUEUES);
	WRITE_ONCE(h->state, SNPU_FW_READY);
	core_fence();
	WRITE_ONCE(h->magic, SNPU_FW_HEADER_MAGIC);
}

/* The bits are cleared before the tails are read: a ring after that sets its bit again. */
static void core_doorbells(enum snpu_core_reg reg, uint32_t first)
{
	uint32_t bits = core_read(reg);

	if (!bits)
		return;
	core_write(reg, bits);
	core_fence();
	for (; bits; bits &= bits - 1)
		queue_rung(&queues[first + bit_lowest(bits)]);
}

void core_pass(void)
{
	uint32_t irq = core_read(SNPU_CORE_REG_IRQ_PENDING);

	if (irq & ~(uint32_t)SNPU_CORE_IRQ_DOORBELL)
		core_write(SNPU_CORE_REG_IRQ_CLEAR, irq & ~(uint32_t)SNPU_CORE_IRQ_DOORBELL);
	core_fence();
	if (irq & SNPU_CORE_IRQ_ENGINE)
		sched_engine_stopped();
	if (irq & SNPU_CORE_IRQ_DOORBELL) {
		core_doorbells(SNPU_CORE_REG_DB_PENDING_LO, 0);
		core_doorbells(SNPU_CORE_REG_DB_PENDING_HI, 32);
	}
	cmd_run();			/* whatever the cause: the last pass may have stopped for want of room */
	if (time_tick(time_us()))
		sched_progress();
	sched_run();
	event_flush();
}
