/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user wire format, version 0.0, as the published specification gives it (QEMU: docs/interop/vfio-user.rst).
 * Layouts and numbers only; who may send what, and the limits this server sets, are in vfu.h. All fields are in the
 * byte order of the host; all structures are packed by construction, and the assertions below hold them to it.
 */
#ifndef SNPU_SIM_VFU_PROTO_H
#define SNPU_SIM_VFU_PROTO_H

#include <assert.h>
#include <stdint.h>

enum vfu_command {
	VFU_VERSION		= 1,
	VFU_DMA_MAP		= 2,
	VFU_DMA_UNMAP		= 3,
	VFU_GET_INFO		= 4,
	VFU_GET_REGION_INFO	= 5,
	VFU_GET_REGION_IO_FDS	= 6,
	VFU_GET_IRQ_INFO	= 7,
	VFU_SET_IRQS		= 8,
	VFU_REGION_READ		= 9,
	VFU_REGION_WRITE	= 10,
	VFU_DMA_READ		= 11,	/* server to client */
	VFU_DMA_WRITE		= 12,	/* server to client */
	VFU_DEVICE_RESET	= 13,
	VFU_REGION_WRITE_MULTI	= 15,
	VFU_DEVICE_FEATURE	= 16,
	VFU_MIG_DATA_READ	= 17,
	VFU_MIG_DATA_WRITE	= 18,
};

#define VFU_F_TYPE	0xfu		/* mask of the type field */
#define VFU_F_COMMAND	0x0u
#define VFU_F_REPLY	0x1u
#define VFU_F_NO_REPLY	0x10u		/* in a command: send no reply, not even an error */
#define VFU_F_ERROR	0x20u		/* in a reply: error_no is valid and nothing follows the header */

/* Every message begins with this. `size` counts the header too. */
struct vfu_hdr {
	uint16_t id;			/* chosen by the sender, echoed in the reply */
	uint16_t cmd;
	uint32_t size;			/* bytes */
	uint32_t flags;
	uint32_t error_no;
};

struct vfu_version {			/* then JSON text with its terminating NUL, optional */
	uint16_t major, minor;
};

#define VFU_DMA_F_READ	0x1u		/* the device may read */
#define VFU_DMA_F_WRITE	0x2u		/* the device may write */
struct vfu_dma_map {
	uint32_t argsz, flags;
	uint64_t offset;		/* bytes into the file descriptor that came along */
	uint64_t addr, size;		/* IOVA, bytes */
};

#define VFU_UNMAP_F_DIRTY 0x1u		/* dirty bitmap wanted (migration) */
#define VFU_UNMAP_F_ALL	0x2u		/* forget every map; addr and size are 0 */
struct vfu_dma_unmap {
	uint32_t argsz, flags;
	uint64_t addr, size;
};

#define VFU_INFO_F_RESET 0x1u
#define VFU_INFO_F_PCI	0x2u
struct vfu_info {
	uint32_t argsz, flags, num_regions, num_irqs;
};

#define VFU_REGION_F_READ	0x1u
#define VFU_REGION_F_WRITE	0x2u
#define VFU_REGION_F_MMAP	0x4u
#define VFU_REGION_F_CAPS	0x8u
struct vfu_region_info {
	uint32_t argsz, flags, index;
	uint32_t cap_offset;		/* from the start of this structure to the first capability */
	uint64_t size, offset;		/* offset: to be added to an area's own when mapping the descriptor */
};

#define VFU_CAP_SPARSE_MMAP	1u
struct vfu_sparse_cap {
	uint16_t id, version;
	uint32_t next;
	uint32_t nr_areas, reserved;
	/* then nr_areas times struct vfu_sparse_area */
};
struct vfu_sparse_area {
	uint64_t offset, size;
};

struct vfu_io_fds {
	uint32_t argsz, flags, index, count;
};

#define VFU_IRQ_F_EVENTFD	0x1u
#define VFU_IRQ_F_MASKABLE	0x2u
#define VFU_IRQ_F_AUTOMASKED	0x4u
#define VFU_IRQ_F_NORESIZE	0x8u
struct vfu_irq_info {
	uint32_t argsz, flags, index, count;
};

#define VFU_IRQ_DATA_NONE	0x01u
#define VFU_IRQ_DATA_BOOL	0x02u	/* count bytes follow the structure */
#define VFU_IRQ_DATA_EVENTFD	0x04u	/* count descriptors came along, or none: take away what is set */
#define VFU_IRQ_DATA_MASK	0x07u
#define VFU_IRQ_ACT_MASK	0x08u
#define VFU_IRQ_ACT_UNMASK	0x10u
#define VFU_IRQ_ACT_TRIGGER	0x20u
#define VFU_IRQ_ACT_MASK_ALL	0x38u
struct vfu_irq_set {
	uint32_t argsz, flags, index, start, count;
};

/* REGION_READ, REGION_WRITE; data follow in a write and in the reply to a read. */
struct vfu_rw {
	uint64_t offset;
	uint32_t region, count;
};

/* DMA_READ, DMA_WRITE; data follow in a write and in the reply to a read. */
struct vfu_dma_rw {
	uint64_t addr, count;
};

struct vfu_write_multi {		/* then wr_cnt times struct vfu_write_one */
	uint64_t wr_cnt;
};
struct vfu_write_one {
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[8];		/* the first `count` bytes */
};

/* Indices that VFIO gives to the regions and interrupts of a PCI function. */
enum vfu_region_index { VFU_BAR0_REGION, VFU_BAR5_REGION = 5, VFU_ROM_REGION, VFU_CONFIG_REGION, VFU_VGA_REGION, VFU_NUM_REGIONS };
enum vfu_irq_index { VFU_IRQ_INTX, VFU_IRQ_MSI, VFU_IRQ_MSIX, VFU_IRQ_ERR, VFU_IRQ_REQ, VFU_NUM_IRQS };

static_assert(sizeof(struct vfu_hdr) == 16, "wire format");
static_assert(sizeof(struct vfu_version) == 4, "wire format");
static_assert(sizeof(struct vfu_dma_map) == 32, "wire format");
static_assert(sizeof(struct vfu_dma_unmap) == 24, "wire format");
static_assert(sizeof(struct vfu_info) == 16, "wire format");
static_assert(sizeof(struct vfu_region_info) == 32, "wire format");
static_assert(sizeof(struct vfu_sparse_cap) == 16, "wire format");
static_assert(sizeof(struct vfu_sparse_area) == 16, "wire format");
static_assert(sizeof(struct vfu_io_fds) == 16, "wire format");
static_assert(sizeof(struct vfu_irq_info) == 16, "wire format");
static_assert(sizeof(struct vfu_irq_set) == 20, "wire format");
static_assert(sizeof(struct vfu_rw) == 16, "wire format");
static_assert(sizeof(struct vfu_dma_rw) == 16, "wire format");
static_assert(sizeof(struct vfu_write_one) == 24, "wire format");

#endif
