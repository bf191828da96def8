/* SPDX-License-Identifier: MIT */
/*
 * A card on a workbench: 16 MiB of device memory, 4 MiB of "guest memory" at DMA address 0, interrupts counted, and the
 * host's side of boot, command ring, event ring and queues. Header only. Waiting is by looking every millisecond,
 * up to ten seconds; a test that waits in vain fails.
 */
#ifndef SNPU_TESTS_CARD_RIG_H
#define SNPU_TESTS_CARD_RIG_H

#include <errno.h>
#include <nettle/sha2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/card.h"
#include "snpu_core.h"
#include "snpu_fw_abi.h"
#include "snpu_isa.h"
#include "snpu_regs.h"

#define CARD_VRAM	(16u << 20)
#define CARD_CTL	(CARD_VRAM - SNPU_CTL_SIZE)
#define CARD_HOST	(4u << 20)

struct card_rig {
	struct card *card;
	uint8_t *vram, *ctl;
	uint8_t *host;				/* [CARD_HOST] */
	atomic_uint irqs[SNPU_MSIX_VECTORS];
	atomic_uint host_stall;			/* 1: host reads wait until it is 0 */
	atomic_uint host_reads;
	uint32_t cmd_id;
};

static inline void card_rig_irq(void *ctx, unsigned int vector)
{
	atomic_fetch_add(&((struct card_rig *)ctx)->irqs[vector], 1);
}

static inline void card_rig_pause(void)
{
	nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

static inline int card_rig_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct card_rig *r = ctx;

	atomic_fetch_add(&r->host_reads, 1);
	while (atomic_load(&r->host_stall))
		card_rig_pause();
	if (addr > CARD_HOST || len > CARD_HOST - addr)
		return -EFAULT;
	memcpy(buf, r->host + addr, len);
	return 0;
}

static inline int card_rig_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct card_rig *r = ctx;

	if (addr > CARD_HOST || len > CARD_HOST - addr)
		return -EFAULT;
	memcpy(r->host + addr, buf, len);
	return 0;
}

static inline void card_rig_init(struct card_rig *r, bool doorbell_mmap)
{
	struct card_config cfg = { .vram_size = CARD_VRAM, .serial = 4711, .doorbell_mmap = doorbell_mmap, .ctx = r,
				   .irq = card_rig_irq, .host_read = card_rig_read, .host_write = card_rig_write };
	uint64_t size;
	int fd;

	memset(r, 0, sizeof(*r));
	r->host = calloc(1, CARD_HOST);
	if (!r->host || card_create(&cfg, &r->card))
		abort();
	r->vram = card_bar_mem(r->card, SNPU_BAR_VRAM, &size, &fd);
	r->ctl = r->vram + CARD_CTL;
}

static inline void card_rig_free(struct card_rig *r)
{
	atomic_store(&r->host_stall, 0);
	card_destroy(r->card);
	free(r->host);
}

static inline uint32_t rd(struct card_rig *r, uint32_t reg)
{
	uint32_t v;

	card_bar_read(r->card, SNPU_BAR_REGS, reg, &v, 4);
	return v;
}

static inline void wr(struct card_rig *r, uint32_t reg, uint32_t v)
{
	card_bar_write(r->card, SNPU_BAR_REGS, reg, &v, 4);
}

/* Waits until the condition holds; evaluates to whether it came to hold. */
#define WAIT_FOR(cond) ({								\
	int ms_ = 0;									\
	while (!(cond) && ms_++ < 10000)						\
		card_rig_pause();							\
	ms_ <= 10000;									\
})

/* --- boot ------------------------------------------------------------------------------------------------------ */
static inline void card_rig_sign(void *image, size_t size)
{
	struct snpu_fw_image *h = image;
	struct sha256_ctx ctx;

	memset(h->sha256, 0, sizeof(h->sha256));
	sha256_init(&ctx);
	sha256_update(&ctx, size, image);
	sha256_digest(&ctx, sizeof(h->sha256), h->sha256);
}

/* An image of one section at TCM 0 that is also the entry; returns its size. room: at least 256 + 4 * words bytes. */
static inline size_t card_rig_image(void *room, const uint32_t *code, size_t words)
{
	struct snpu_fw_image h = { .magic = SNPU_FW_MAGIC, .header_size = sizeof(h), .abi_major = SNPU_FW_ABI_MAJOR,
				   .abi_minor = SNPU_FW_ABI_MINOR, .version = 0x010203, .sections = 1,
				   .section = { { sizeof(h), (uint32_t)words * 4, 0, 0x1000 } } };

	h.image_size = (uint32_t)(sizeof(h) + words * 4);
	memcpy(room, &h, sizeof(h));
	memcpy((uint8_t *)room + sizeof(h), code, words * 4);
	card_rig_sign(room, h.image_size);
	return h.image_size;
}

/* Stages and starts; returns BOOT_STATUS once it is final. */
static inline uint32_t card_rig_boot(struct card_rig *r, const void *image, size_t size)
{
	memcpy(r->ctl + SNPU_CTL_IMAGE, image, size);
	wr(r, SNPU_REG_FW_OFFSET, SNPU_CTL_IMAGE);
	wr(r, SNPU_REG_FW_SIZE, (uint32_t)size);
	wr(r, SNPU_REG_BOOT, 1);
	(void)WAIT_FOR(SNPU_GET(rd(r, SNPU_REG_BOOT_STATUS), BOOT_STATUS, STATE) != SNPU_BOOT_LOADING);
	return rd(r, SNPU_REG_BOOT_STATUS);
}

static inline uint32_t card_rig_boot_code(struct card_rig *r, const uint32_t *code, size_t words)
{
	uint8_t image[4096];

	return card_rig_boot(r, image, card_rig_image(image, code, words));
}

/* --- rings ------------------------------------------------------------------------------------------------------- */
static inline struct snpu_fw_ring *card_rig_ring(struct card_rig *r, uint32_t off)
{
	return (struct snpu_fw_ring *)(r->ctl + off);
}

/* Sends a command (a struct snpu_fw_cmd_*); returns its id. */
static inline uint32_t card_rig_send(struct card_rig *r, uint32_t op, void *cmd, size_t size)
{
	struct snpu_fw_ring *ring = card_rig_ring(r, SNPU_CTL_CMD_RING);
	uint32_t tail = ring->tail;
	struct snpu_fw_cmd_head *head = cmd;

	head->id = ++r->cmd_id;
	head->op = op;
	memcpy((uint8_t *)ring + SNPU_RING_ENTRIES + tail % SNPU_CMD_SLOTS * SNPU_FW_MSG_SIZE, cmd, size);
	__atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
	wr(r, SNPU_REG_CMD_DOORBELL, 1);
	return head->id;
}

/* Takes the next event into ev[SNPU_FW_MSG_SIZE]; false when none came. */
static inline bool card_rig_event(struct card_rig *r, void *ev)
{
	struct snpu_fw_ring *ring = card_rig_ring(r, SNPU_CTL_EVENT_RING);

	if (!WAIT_FOR(__atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) != ring->head))
		return false;
	memcpy(ev, (uint8_t *)ring + SNPU_RING_ENTRIES + ring->head % SNPU_EVENT_SLOTS * SNPU_FW_MSG_SIZE, SNPU_FW_MSG_SIZE);
	__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Sends and takes the reply; returns its status, or 1 when something else or nothing came. */
static inline int32_t card_rig_command(struct card_rig *r, uint32_t op, void *cmd, size_t size, uint64_t *value)
{
	union { struct snpu_fw_event_REPLY reply; uint8_t bytes[SNPU_FW_MSG_SIZE]; } ev;
	uint32_t id = card_rig_send(r, op, cmd, size);

	if (!card_rig_event(r, &ev) || ev.reply.head.type != SNPU_FW_EVENT_REPLY || ev.reply.id != id)
		return 1;
	if (value)
		*value = ev.reply.value;
	return (int32_t)ev.reply.status;
}

/* --- queues ------------------------------------------------------------------------------------------------------ */
static inline struct snpu_queue_ctx *card_rig_queue(struct card_rig *r, unsigned int q)
{
	return (struct snpu_queue_ctx *)(r->ctl + SNPU_CTL_QUEUE(q));
}

static inline void card_rig_ring_doorbell(struct card_rig *r, unsigned int q, uint32_t tail)
{
	uint64_t size;
	int fd;
	uint8_t *mem = card_bar_mem(r->card, SNPU_BAR_DOORBELL, &size, &fd);

	if (mem)
		__atomic_store_n((uint32_t *)(mem + q * SNPU_DOORBELL_STRIDE + SNPU_DB_TAIL), tail, __ATOMIC_RELEASE);
	else
		card_bar_write(r->card, SNPU_BAR_DOORBELL, q * SNPU_DOORBELL_STRIDE + SNPU_DB_TAIL, &tail, 4);
}

/* One 2 MiB page: virtual address 2 MiB = device memory 2 MiB. Tables at 1 MiB. Returns the root. */
static inline uint64_t card_rig_tables(struct card_rig *r)
{
	for (unsigned int level = 3; level > 0; level--) {
		uint64_t *table = (uint64_t *)(r->vram + (1u << 20) + (3 - level) * 4096);

		memset(table, 0, 4096);
		if (level == 1)
			table[1] = (2u << 20) | SNPU_PTE_VALID | SNPU_PTE_LEAF | SNPU_PTE_DEVICE | SNPU_PTE_READ | SNPU_PTE_WRITE;
		else
			table[0] = ((1u << 20) + (4 - level) * 4096) | SNPU_PTE_VALID | SNPU_PTE_DEVICE;
	}
	return (1u << 20) | SNPU_PTE_VALID | SNPU_PTE_DEVICE;
}

#endif
