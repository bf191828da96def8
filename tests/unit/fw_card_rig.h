/* SPDX-License-Identifier: MIT */
/*
 * The shipped firmware on the simulated card, driven through the BARs as a driver does. One card a test; page tables,
 * programs and rings lie in device memory. Included by the tests of it; the interrupts are the card's.
 */
#ifndef SNPU_TESTS_FW_CARD_RIG_H
#define SNPU_TESTS_FW_CARD_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "firmware/version.h"
#include "sim/card.h"
#include "snpu_core.h"
#include "snpu_fw_abi.h"
#include "snpu_isa.h"
#include "snpu_regs.h"
#include "tests/harness.h"

#define GOOD		FW_DIR "/snpu/snpu-fw-1.bin"
#define VRAM		CARD_VRAM_MIN
#define TABLES		0x100000u	/* page tables, in device memory */
#define PROGRAMS	0x200000u	/* 2 MiB of programs, in device memory */
#define PROGRAM_VA	0x40000000ull
#define FOREVER		0xffffffffu	/* iterations: hours */

FIXTURE(host) {
	struct card *card;
	uint8_t *vram, *ctl;
	struct snpu_fw_header *header;
	struct snpu_fw_ring *cmds, *events;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned int irqs[SNPU_MSIX_VECTORS];
	uint32_t last_id;
	size_t prog;			/* bytes of programs so far */
};

static inline void irq(void *ctx, unsigned int vector)
{
	struct host *self = ctx;

	pthread_mutex_lock(&self->lock);
	self->irqs[vector]++;
	pthread_cond_signal(&self->wake);
	pthread_mutex_unlock(&self->lock);
}

static inline int no_host_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	return -EFAULT;
}

static inline int no_host_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	return -EFAULT;
}

static inline uint32_t reg_read(struct host *self, enum snpu_reg reg)
{
	uint32_t v = 0;

	card_bar_read(self->card, SNPU_BAR_REGS, reg, &v, sizeof(v));
	return v;
}

static inline void reg_write(struct host *self, enum snpu_reg reg, uint32_t v)
{
	card_bar_write(self->card, SNPU_BAR_REGS, reg, &v, sizeof(v));
}

/* Stages an image and boots it; the enum snpu_boot_error, NONE when the firmware runs. */
static inline uint32_t boot(struct host *self, const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t size = f ? fread(self->ctl + SNPU_CTL_IMAGE, 1, SNPU_FW_MAX_SIZE, f) : 0;
	uint32_t status;

	if (f)
		fclose(f);
	self->header->magic = 0;
	reg_write(self, SNPU_REG_FW_OFFSET, SNPU_CTL_IMAGE);
	reg_write(self, SNPU_REG_FW_SIZE, (uint32_t)size);
	reg_write(self, SNPU_REG_BOOT, 1);
	do {
		usleep(200);
		status = reg_read(self, SNPU_REG_BOOT_STATUS);
	} while (SNPU_GET(status, BOOT_STATUS, STATE) < SNPU_BOOT_RUNNING);
	return SNPU_GET(status, BOOT_STATUS, STATE) == SNPU_BOOT_FAILED ? SNPU_GET(status, BOOT_STATUS, ERROR) : SNPU_BOOT_ERR_NONE;
}

static inline bool ready(struct host *self)
{
	if (boot(self, GOOD) != SNPU_BOOT_ERR_NONE)
		return false;
	while (__atomic_load_n(&self->header->magic, __ATOMIC_ACQUIRE) != SNPU_FW_HEADER_MAGIC)
		usleep(200);
	return self->header->state == SNPU_FW_READY;
}

static inline void *table(struct host *self, unsigned int n)
{
	return self->vram + TABLES + n * 4096u;
}

FIXTURE_SETUP(host)
{
	struct card_config cfg = { .vram_size = VRAM, .ctx = self, .irq = irq, .host_read = no_host_read, .host_write = no_host_write };
	const uint64_t dir = SNPU_PTE_VALID | SNPU_PTE_DEVICE;
	uint64_t size;

	(void)variant;
	pthread_mutex_init(&self->lock, NULL);
	pthread_cond_init(&self->wake, NULL);
	ASSERT_EQ(card_create(&cfg, &self->card), 0);
	self->vram = card_bar_mem(self->card, SNPU_BAR_VRAM, &size, &(int){ 0 });
	self->ctl = self->vram + reg_read(self, SNPU_REG_CTL_OFFSET_LO);
	self->header = (void *)(self->ctl + SNPU_CTL_HEADER);
	self->cmds = (void *)(self->ctl + SNPU_CTL_CMD_RING);
	self->events = (void *)(self->ctl + SNPU_CTL_EVENT_RING);
	((uint64_t *)table(self, 0))[PROGRAM_VA >> 39] = (TABLES + 4096) | dir;
	((uint64_t *)table(self, 1))[PROGRAM_VA >> 30 & 511] = (TABLES + 8192) | dir;
	((uint64_t *)table(self, 2))[PROGRAM_VA >> 21 & 511] = PROGRAMS | dir | SNPU_PTE_LEAF | SNPU_PTE_READ;
}

FIXTURE_TEARDOWN(host)
{
	if (self->card)
		card_destroy(self->card);
}

/* The next event, however long it takes; the harness has a time limit. */
static inline const void *event(struct host *self)
{
	const void *e = self->ctl + SNPU_CTL_EVENT_RING + SNPU_RING_ENTRIES + self->events->head % SNPU_EVENT_SLOTS * SNPU_FW_MSG_SIZE;
	static __thread uint8_t copy[SNPU_FW_MSG_SIZE];

	pthread_mutex_lock(&self->lock);
	while (__atomic_load_n(&self->events->tail, __ATOMIC_ACQUIRE) == self->events->head)
		pthread_cond_wait(&self->wake, &self->lock);
	pthread_mutex_unlock(&self->lock);
	memcpy(copy, e, sizeof(copy));
	__atomic_store_n(&self->events->head, self->events->head + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&self->header->event_waiting, __ATOMIC_SEQ_CST))
		reg_write(self, SNPU_REG_CMD_DOORBELL, 1);
	return copy;
}

static inline uint32_t send(struct host *self, uint32_t op, void *cmd, size_t size)
{
	struct snpu_fw_cmd_head *head = cmd;

	head->id = ++self->last_id;
	head->op = op;
	memcpy(self->ctl + SNPU_CTL_CMD_RING + SNPU_RING_ENTRIES + self->cmds->tail % SNPU_CMD_SLOTS * SNPU_FW_MSG_SIZE, cmd, size);
	__atomic_store_n(&self->cmds->tail, self->cmds->tail + 1, __ATOMIC_RELEASE);
	reg_write(self, SNPU_REG_CMD_DOORBELL, 1);
	return self->last_id;
}

/* Sends a command when no other event is due, and gives its status; ~0 when something else came. */
static inline uint32_t call(struct host *self, uint32_t op, void *cmd, size_t size)
{
	uint32_t id = send(self, op, cmd, size);
	const struct snpu_fw_event_REPLY *reply = event(self);

	return reply->head.type == SNPU_FW_EVENT_REPLY && reply->id == id ? reply->status : ~0u;
}

static inline uint32_t create(struct host *self, uint32_t queue, uint32_t priority)
{
	struct snpu_fw_cmd_QUEUE_CREATE cmd = { .pt_root = TABLES | SNPU_PTE_VALID | SNPU_PTE_DEVICE, .queue = queue,
						.priority = priority, .asid = 1 + queue, .slots = SNPU_RING_SLOTS };

	return call(self, SNPU_FW_OP_QUEUE_CREATE, &cmd, sizeof(cmd));
}

static inline uint32_t destroy(struct host *self, uint32_t queue)
{
	struct snpu_fw_cmd_QUEUE_DESTROY cmd = { .queue = queue };

	return call(self, SNPU_FW_OP_QUEUE_DESTROY, &cmd, sizeof(cmd));
}

/* LOOP n { NOP } END, or with n = 0 just END; its entry. */
static inline uint32_t program(struct host *self, uint32_t n)
{
	uint8_t *at = self->vram + PROGRAMS + self->prog;
	uint32_t entry = (uint32_t)self->prog;
	struct snpu_pkt_LOOP loop = { .hdr = { .opcode = SNPU_OP_LOOP, .words = sizeof(loop) / 4 }, .count = n };
	struct snpu_pkt_NOP nop = { .hdr = { .opcode = SNPU_OP_NOP, .words = sizeof(nop) / 4 } };
	struct snpu_pkt_NEXT next = { .hdr = { .opcode = SNPU_OP_NEXT, .words = sizeof(next) / 4 } };
	struct snpu_pkt_END end = { .hdr = { .opcode = SNPU_OP_END, .words = sizeof(end) / 4 } };

	if (n) {
		memcpy(at, &loop, sizeof(loop));
		memcpy(at += sizeof(loop), &nop, sizeof(nop));
		memcpy(at += sizeof(nop), &next, sizeof(next));
		at += sizeof(next);
	}
	memcpy(at, &end, sizeof(end));
	self->prog = (size_t)(at + sizeof(end) - self->vram) - PROGRAMS;
	return entry;
}

static inline struct snpu_queue_ctx *queue(struct host *self, uint32_t q)
{
	return (void *)(self->ctl + SNPU_CTL_QUEUE(q));
}

/* Puts a job into the ring without ringing. */
static inline void put(struct host *self, uint32_t q, uint32_t tail, uint32_t entry)
{
	struct snpu_job_desc desc = { .seqno = tail + 1, .entry = entry };

	desc.region[SNPU_REGION_PROGRAM] = (struct snpu_region_binding){ PROGRAM_VA, 2 << 20 };
	memcpy(self->ctl + SNPU_CTL_JOB(q, tail % SNPU_RING_SLOTS), &desc, sizeof(desc));
}

static inline void ring(struct host *self, uint32_t q, uint32_t tail)
{
	card_bar_write(self->card, SNPU_BAR_DOORBELL, q * SNPU_DOORBELL_STRIDE + SNPU_DB_TAIL, &tail, sizeof(tail));
}

static inline void submit(struct host *self, uint32_t q, uint32_t entry)
{
	uint32_t tail = queue(self, q)->tail;

	put(self, q, tail, entry);
	ring(self, q, tail + 1);
}

static inline void wait_running(struct host *self, uint32_t q)
{
	while (__atomic_load_n(&self->header->running_queue, __ATOMIC_ACQUIRE) != q)
		usleep(200);
}

#endif
