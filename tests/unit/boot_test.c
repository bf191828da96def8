/* SPDX-License-Identifier: MIT */
/*
 * The boot ROM: what it accepts, every code it refuses with, the order of its checks, and that a refused image leaves
 * nothing behind. The first half calls it directly, the second through the card's registers.
 */
#include <stddef.h>

#include "sim/boot.h"
#include "tests/harness.h"
#include "tests/unit/card_asm.h"
#include "tests/unit/card_rig.h"

struct image {
	struct snpu_fw_image h;
	uint32_t code[16];
	uint32_t data[8];
};

/* Two sections: code at 0x100 with 64 bytes of zeroes behind it, data at the end of the TCM. Not signed. */
static void make(struct image *img)
{
	memset(img, 0, sizeof(*img));
	img->h = (struct snpu_fw_image){
		.magic = SNPU_FW_MAGIC, .header_size = sizeof(img->h), .abi_major = SNPU_FW_ABI_MAJOR, .image_size = sizeof(*img),
		.entry = 0x104, .sections = 2,
		.section = { { offsetof(struct image, code), sizeof(img->code), 0x100, sizeof(img->code) + 64 },
			     { offsetof(struct image, data), sizeof(img->data), SNPU_CORE_TCM_SIZE - 32, 32 } },
	};
	for (unsigned int i = 0; i < 16; i++)
		img->code[i] = 0x1000 + i;
	for (unsigned int i = 0; i < 8; i++)
		img->data[i] = 0x2000 + i;
}

FIXTURE(rom) { struct image img; uint8_t *tcm; uint32_t entry; };
FIXTURE_SETUP(rom)
{
	make(&self->img);
	self->tcm = malloc(SNPU_CORE_TCM_SIZE);
	memset(self->tcm, 0xaa, SNPU_CORE_TCM_SIZE);
}
FIXTURE_TEARDOWN(rom) { free(self->tcm); }

TEST_F(rom, loads)
{
	uint32_t word;

	card_rig_sign(&self->img, sizeof(self->img));
	EXPECT_EQ(boot_load(&self->img, sizeof(self->img), 0, self->tcm, &self->entry), SNPU_BOOT_ERR_NONE);
	EXPECT_EQ(self->entry, 0x104u);
	for (unsigned int at = 0; at < SNPU_CORE_TCM_SIZE; at += 4) {
		uint32_t want = at >= 0x100 && at < 0x140 ? 0x1000 + (at - 0x100) / 4 :
				at >= SNPU_CORE_TCM_SIZE - 32 ? 0x2000 + (at - (SNPU_CORE_TCM_SIZE - 32)) / 4 : 0;

		memcpy(&word, self->tcm + at, 4);
		ASSERT_EQ(word, want);
	}
}

/* One change at a time, signed afterwards unless the signature is the matter. */
#define REFUSES(code_, change) do {									\
	make(&self->img);										\
	change;												\
	card_rig_sign(&self->img, sizeof(self->img));							\
	EXPECT_EQ(boot_load(&self->img, sizeof(self->img), 0, self->tcm, &self->entry), SNPU_BOOT_ERR_##code_);	\
	EXPECT_EQ(self->tcm[0x100], 0xaa);								\
} while (0)

TEST_F(rom, magic_and_header)
{
	struct snpu_fw_image *h = &self->img.h;

	REFUSES(MAGIC, h->magic ^= 1);
	REFUSES(HEADER, h->header_size += 8);
	REFUSES(HEADER, h->header_size -= 8);
	REFUSES(HEADER, h->image_size += 8);
	REFUSES(HEADER, h->image_size -= 8);
	REFUSES(HEADER, h->flags = 1);
	REFUSES(HEADER, h->sections = 0);
	REFUSES(HEADER, h->sections = SNPU_FW_MAX_SECTIONS + 1);
	REFUSES(HEADER, h->section[7].mem_size = 1);
	REFUSES(HEADER, memset(h->build, 'x', sizeof(h->build)));
	for (size_t size = 0; size < sizeof(*h); size++)
		EXPECT_EQ(boot_load(h, size, 0, self->tcm, &self->entry), size < 8 ? SNPU_BOOT_ERR_MAGIC : SNPU_BOOT_ERR_HEADER);
}

TEST_F(rom, abi)
{
	REFUSES(ABI, self->img.h.abi_major++);
	REFUSES(ABI, self->img.h.abi_major--);
	make(&self->img);
	self->img.h.abi_minor = 77;			/* additions are no reason to refuse */
	card_rig_sign(&self->img, sizeof(self->img));
	EXPECT_EQ(boot_load(&self->img, sizeof(self->img), 0, self->tcm, &self->entry), SNPU_BOOT_ERR_NONE);
}

TEST_F(rom, sections)
{
	struct snpu_fw_section *s = self->img.h.section;

	REFUSES(SECTION, s[0].offset += 4);
	REFUSES(SECTION, s[0].offset = 0);		/* inside the header */
	REFUSES(SECTION, s[0].offset = sizeof(self->img) + 8);
	REFUSES(SECTION, s[1].size += 4);
	REFUSES(SECTION, s[1].size = 0xffffffff);
	REFUSES(SECTION, s[0].offset = 0xfffffff8);
	REFUSES(SECTION, s[0].load = 0x102);
	REFUSES(SECTION, s[0].mem_size = sizeof(self->img.code) - 4);
	REFUSES(SECTION, s[0].mem_size = SNPU_CORE_TCM_SIZE);
	REFUSES(SECTION, s[1].load += 4);
	REFUSES(SECTION, s[0].load = SNPU_CORE_REGS);
	REFUSES(SECTION, (s[0].load = 0xfffffffc, s[0].mem_size = 0xffffffff));
}

TEST_F(rom, hash)
{
	for (size_t at = sizeof(self->img.h.magic); at < sizeof(self->img); at += 13) {
		make(&self->img);
		card_rig_sign(&self->img, sizeof(self->img));
		((uint8_t *)&self->img)[at] ^= 0x10;
		EXPECT_NE(boot_load(&self->img, sizeof(self->img), 0, self->tcm, &self->entry), SNPU_BOOT_ERR_NONE);
	}
	make(&self->img);
	card_rig_sign(&self->img, sizeof(self->img));
	self->img.data[7] ^= 1;
	EXPECT_EQ(boot_load(&self->img, sizeof(self->img), 0, self->tcm, &self->entry), SNPU_BOOT_ERR_HASH);
	EXPECT_EQ(self->tcm[0x100], 0xaa);
}

TEST_F(rom, entry)
{
	REFUSES(ENTRY, self->img.h.entry = 0xfc);
	REFUSES(ENTRY, self->img.h.entry = 0x140);	/* in the zeroes, not in what was loaded */
	REFUSES(ENTRY, self->img.h.entry = 0x102);
	REFUSES(ENTRY, self->img.h.entry = SNPU_CORE_CTL);
}

/* An image with everything wrong is refused for one thing after the other as they are put right. */
TEST_F(rom, order)
{
	struct snpu_fw_image *h = &self->img.h;

	h->magic = 0;
	h->flags = 1;
	h->abi_major = 9;
	h->section[0].load = 1;
	h->entry = 3;
#define NOW(code_) EXPECT_EQ(boot_load(h, sizeof(self->img), 7, self->tcm, &self->entry), SNPU_BOOT_ERR_##code_)
	NOW(MAGIC);
	h->magic = SNPU_FW_MAGIC;
	NOW(HEADER);
	h->flags = 0;
	NOW(ABI);
	h->abi_major = SNPU_FW_ABI_MAJOR;
	NOW(SECTION);
	h->section[0].load = 0x100;
	NOW(HASH);
	card_rig_sign(h, sizeof(self->img));
	NOW(ENTRY);
	h->entry = 0x100;
	card_rig_sign(h, sizeof(self->img));
	NOW(ROLLBACK);
	h->security_version = 7;
	card_rig_sign(h, sizeof(self->img));
	NOW(NONE);
#undef NOW
}

/* --- through the registers ------------------------------------------------------------------------------------------ */
FIXTURE(boot) { struct card_rig r; };
FIXTURE_SETUP(boot) { card_rig_init(&self->r, false); }
FIXTURE_TEARDOWN(boot) { card_rig_free(&self->r); }

static uint32_t failed(enum snpu_boot_error error)
{
	return SNPU_BOOT_FAILED | (uint32_t)error << 8;
}

static uint32_t start(struct card_rig *r, uint32_t offset, uint32_t size)
{
	wr(r, SNPU_REG_FW_OFFSET, offset);
	wr(r, SNPU_REG_FW_SIZE, size);
	wr(r, SNPU_REG_BOOT, 1);
	(void)WAIT_FOR(SNPU_GET(rd(r, SNPU_REG_BOOT_STATUS), BOOT_STATUS, STATE) != SNPU_BOOT_LOADING);
	return rd(r, SNPU_REG_BOOT_STATUS);
}

TEST_F(boot, range)
{
	struct card_rig *r = &self->r;

	EXPECT_EQ(start(r, SNPU_CTL_SIZE, 8), failed(SNPU_BOOT_ERR_RANGE));
	EXPECT_EQ(start(r, SNPU_CTL_SIZE - 8, 16), failed(SNPU_BOOT_ERR_RANGE));
	EXPECT_EQ(start(r, 4, 256), failed(SNPU_BOOT_ERR_RANGE));
	EXPECT_EQ(start(r, 0xfffffff8, 256), failed(SNPU_BOOT_ERR_RANGE));
	EXPECT_EQ(start(r, 8, 0xfffffff8), failed(SNPU_BOOT_ERR_RANGE));
	EXPECT_EQ(start(r, 0, SNPU_FW_MAX_SIZE + 1), failed(SNPU_BOOT_ERR_RANGE));
	EXPECT_EQ(start(r, SNPU_CTL_SIZE, 0), failed(SNPU_BOOT_ERR_MAGIC));	/* nothing, inside the area */
	EXPECT_EQ(start(r, 0, 0), failed(SNPU_BOOT_ERR_MAGIC));
	EXPECT_EQ(rd(r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_HALTED);
}

/* A failed boot can be tried again without a reset; a running core cannot be booted over. */
TEST_F(boot, again)
{
	struct card_rig *r = &self->r;
	const uint32_t code[] = { CARD_PROLOGUE, ADDI(5, 0, 7), SW(5, 0, 30), WFI, JAL(0, -4) };

	EXPECT_EQ(start(r, 0, 4096), failed(SNPU_BOOT_ERR_MAGIC));
	ASSERT_EQ(card_rig_boot_code(r, code, sizeof(code) / 4), (uint32_t)SNPU_BOOT_RUNNING);
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_CORE_STATE) == SNPU_CORE_WAITING));
	EXPECT_EQ(*(uint32_t *)(r->ctl + CARD_PAGE), 7u);
	*(uint32_t *)(r->ctl + CARD_PAGE) = 0;
	EXPECT_EQ(start(r, 0, 0), (uint32_t)SNPU_BOOT_RUNNING);
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	wr(r, SNPU_REG_BOOT, 2);			/* only 1 boots */
	EXPECT_EQ(rd(r, SNPU_REG_BOOT_STATUS), (uint32_t)SNPU_BOOT_IDLE);
	EXPECT_EQ(*(uint32_t *)(r->ctl + CARD_PAGE), 0u);
}

/* The minimum only grows, outlives every reset, and ends with the power. */
TEST_F(boot, rollback)
{
	struct card_rig *r = &self->r;
	const uint32_t code[] = { CARD_PROLOGUE, WFI, JAL(0, -4) };
	uint8_t image[4096];
	size_t size = card_rig_image(image, code, sizeof(code) / 4);

	((struct snpu_fw_image *)image)->security_version = 3;
	card_rig_sign(image, size);
	wr(r, SNPU_REG_FW_MIN_SECURITY, 4);
	wr(r, SNPU_REG_FW_MIN_SECURITY, 2);
	EXPECT_EQ(rd(r, SNPU_REG_FW_MIN_SECURITY), 4u);
	EXPECT_EQ(card_rig_boot(r, image, size), failed(SNPU_BOOT_ERR_ROLLBACK));
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	card_reset(r->card, CARD_RESET_FUNCTION);
	EXPECT_EQ(rd(r, SNPU_REG_FW_MIN_SECURITY), 4u);
	EXPECT_EQ(card_rig_boot(r, image, size), failed(SNPU_BOOT_ERR_ROLLBACK));
	EXPECT_EQ(rd(r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_HALTED);
	card_reset(r->card, CARD_RESET_POWER);
	EXPECT_EQ(rd(r, SNPU_REG_FW_MIN_SECURITY), 0u);
	wr(r, SNPU_REG_FW_MIN_SECURITY, 3);
	EXPECT_EQ(card_rig_boot(r, image, size), (uint32_t)SNPU_BOOT_RUNNING);
}

TEST_HARNESS_MAIN
