// SPDX-License-Identifier: MIT
/* Random mutations of valid vfio-user messages, always the same ones: 20 000 through the fuzz target. */
#include "tests/harness.h"

#include "sim/vfu_proto.h"
#include "tests/fuzz/vfu_fuzz.h"

#define CONNECTIONS	400
#define MESSAGES	50		/* a connection */

static uint64_t seed = 0x5eed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

/* A number as attackers like them: near 0, near a page, near a power of two, or anything. */
static uint64_t value(void)
{
	switch (rnd(5)) {
	case 0: return rnd(20);
	case 1: return rnd(20) * 4096ull;
	case 2: return (1ull << rnd(64)) - 1 + rnd(3);
	case 3: return UINT64_MAX - rnd(8192);
	default: return (uint64_t)rnd(UINT32_MAX) << 32 | rnd(UINT32_MAX);
	}
}

/* A message that is valid more often than not; returns its length. */
static size_t valid(uint8_t *buf, uint8_t *kind)
{
	static const uint8_t cmds[] = { 1, 2, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 12, 13, 15, 16, 17 };
	struct vfu_hdr h = { (uint16_t)rnd(65536), cmds[rnd(sizeof(cmds))], 0, rnd(4) ? 0 : VFU_F_NO_REPLY, 0 };
	static const uint8_t zero[64];
	size_t len = 0;
#define BODY(type, ...) do { type b_ = __VA_ARGS__; memcpy(buf + sizeof(h), &b_, len = sizeof(b_)); } while (0)

	switch (h.cmd) {
	case VFU_DMA_MAP:
		*kind = rnd(2) ? FUZZ_MEMFD : FUZZ_NO_FDS;
		BODY(struct vfu_dma_map, { 32, 1 + rnd(3), *kind ? rnd(8) * 4096ull : 0, rnd(64) * 4096ull, (1 + rnd(8)) * 4096ull });
		break;
	case VFU_DMA_UNMAP: BODY(struct vfu_dma_unmap, { 24, 0, rnd(64) * 4096ull, (1 + rnd(64)) * 4096ull }); break;
	case VFU_GET_INFO: BODY(struct vfu_info, { .argsz = 16 }); break;
	case VFU_GET_REGION_INFO: BODY(struct vfu_region_info, { .argsz = 32 + rnd(2) * 64, .index = rnd(10) }); break;
	case VFU_GET_REGION_IO_FDS: BODY(struct vfu_io_fds, { .argsz = 16 }); break;
	case VFU_GET_IRQ_INFO: BODY(struct vfu_irq_info, { .argsz = 16, .index = rnd(6) }); break;
	case VFU_SET_IRQS:
		*kind = rnd(2) ? FUZZ_EVENTFDS : FUZZ_NO_FDS;
		BODY(struct vfu_irq_set, { 20, *kind ? 0x24 : 1u | 8u << rnd(3), 2, 0, *kind ? 3 : rnd(4) });
		break;
	case VFU_REGION_READ: BODY(struct vfu_rw, { rnd(4096) * 8ull, rnd(9), rnd(3) ? 1u << rnd(4) : rnd(1 << 16) }); break;
	case VFU_REGION_WRITE:
		BODY(struct vfu_rw, { rnd(4096) * 8ull, rnd(9), 1u << rnd(4) });
		memcpy(&h.error_no, buf + sizeof(h) + 12, 4);
		len += h.error_no;
		h.error_no = 0;
		break;
	case VFU_REGION_WRITE_MULTI:
		BODY(struct vfu_write_multi, { 2 });
		for (int i = 0; i < 2; i++, len += sizeof(struct vfu_write_one)) {
			struct vfu_write_one w = { rnd(4096) * 8ull, rnd(9), 1u << rnd(4), { 0 } };

			memcpy(buf + sizeof(h) + len, &w, sizeof(w));
		}
		break;
	case VFU_DEVICE_RESET: break;
	default: memcpy(buf + sizeof(h), zero, len = rnd(64)); break;
	}
	h.size = (uint32_t)(sizeof(h) + len);
	memcpy(buf, &h, sizeof(h));
	return h.size;
}

static void mutate(uint8_t *buf, size_t len, uint8_t *kind)
{
	uint64_t v = value();
	size_t width = 1u << rnd(4), at = rnd((uint32_t)len);

	if (rnd(20) == 0)
		*kind = (uint8_t)rnd(FUZZ_KINDS);
	/* Lengths end a connection, so they are spoilt rarely. */
	if (at < 8 && rnd(20))
		at = 8;
	if (width > len - at)
		width = len - at;
	memcpy(buf + at, &v, width);
}

TEST_TIMEOUT(mutated_messages, 300)
{
	static uint8_t stream[MESSAGES * 300];

	for (unsigned int c = 0; c < CONNECTIONS; c++) {
		size_t n = 0;

		for (unsigned int m = 0; m < MESSAGES; m++) {
			uint8_t *rec = stream + n, kind = FUZZ_NO_FDS;
			size_t len = valid(rec + 3, &kind);

			for (uint32_t k = rnd(3); k; k--)
				mutate(rec + 3, len, &kind);
			rec[0] = kind;
			rec[1] = (uint8_t)len;
			rec[2] = (uint8_t)(len >> 8);
			n += 3 + len;
		}
		ASSERT_EQ(vfu_fuzz_message(stream, n), 0);
	}
}

TEST(noise)
{
	static uint8_t stream[4096];

	for (unsigned int c = 0; c < 200; c++) {
		for (size_t i = 0; i < sizeof(stream); i++)
			stream[i] = (uint8_t)rnd(256);
		ASSERT_EQ(vfu_fuzz_message(stream, rnd(sizeof(stream))), 0);
	}
}

TEST_HARNESS_MAIN
