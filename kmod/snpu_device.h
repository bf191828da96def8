/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One card: its BARs, its interrupts, and the parts of the driver that exist once a card. Probe and
 * remove run under the device lock; everything that touches the card in between does so inside
 * drm_dev_enter(), so that after drm_dev_unplug() nothing does.
 *
 * Locks, outermost first:
 *
 *	mmap lock, reservation locks > pm.lock	(whoever wakes the card)
 *	fw.lock (loading firmware)
 *	  pm.lock (pauses)
 *	    reset.sem (read: firmware commands; write: reset, pause, new firmware)
 *	      snpu_queue.hw_lock, mmu_lock
 *	vm.lock > reservation locks > snpu_mmu.lock > mmu_lock
 *	mmap lock, pm.lock > pm.maps > doorbell.lock, vram.lock	(not where fences wait)
 *	objects.lock > bo.lock > reservation locks
 *	mbox.event_lock > queues_lock > queue.lock > fence locks, counters.lock	(interrupts off)
 *
 * Fences are signalled under reset.sem and hw_lock, so no memory is allocated under them.
 */
#ifndef SNPU_DEVICE_H
#define SNPU_DEVICE_H

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <linux/gpu_buddy.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/xarray.h>

#include "snpu_compat.h"
#include "snpu_coredump.h"
#include "snpu_counters.h"
#include "snpu_doorbell.h"
#include "snpu_fw.h"
#include "snpu_fw_abi.h"
#include "snpu_mbox.h"
#include "snpu_pm.h"
#include "snpu_regs.h"
#include "snpu_reset.h"
#include "snpu_user.h"
#include "snpu_watchdog.h"

struct snpu_pmu;
struct snpu_queue;

/*
 * What VM_BIND accepts. The first 64 KiB stay unmapped so that a null pointer in a program faults.
 */
#define SNPU_VA_START	0x10000ull
#define SNPU_VA_END	BIT_ULL(SNPU_VA_BITS)

/**
 * struct snpu_vram - Device memory that buffers are made of.
 */
struct snpu_vram {
	/** @lock: Protects @mm and @bos. */
	struct mutex lock;
	/** @mm: Allocator over [0, @size). */
	struct gpu_buddy mm;
	/** @bos: Buffers that have some of it: &struct snpu_bo.vram_link. */
	struct list_head bos;
	/** @size: Bytes; the control area behind them is not included. */
	u64 size;
	/** @phys: CPU physical address of the first byte. */
	phys_addr_t phys;
	/** @map: Write-combining kernel mapping, for clearing. */
	void __iomem *map;
};

/**
 * struct snpu_objects - What is alive, for remove() to find and for tests to count.
 */
struct snpu_objects {
	/** @lock: Protects @bos and @vms. */
	struct mutex lock;
	/** @bos: All buffers: &struct snpu_bo.link. */
	struct list_head bos;
	/** @vms: All address spaces: &struct snpu_vm.link. */
	struct list_head vms;
	/** @n_bos: Length of @bos. */
	atomic_t n_bos;
	/** @n_vms: Length of @vms. */
	atomic_t n_vms;
	/** @n_queues: Queues that were not torn down yet. */
	atomic_t n_queues;
	/** @n_jobs: Jobs that the scheduler has not freed yet. */
	atomic_t n_jobs;
};

/**
 * struct snpu_device - A card.
 */
struct snpu_device {
	/** @drm: DRM device; its reference count is the card's. */
	struct drm_device drm;
	/** @regs: BAR0. */
	void __iomem *regs;
	/** @doorbells: BAR4, one page a queue. */
	void __iomem *doorbells;
	/** @ctl: Control area in device memory, uncached. */
	void __iomem *ctl;
	/** @irqs: Interrupt vectors in use, 1 or 2. */
	unsigned int irqs;
	/** @msix: The vectors are MSI-X, not MSI. */
	bool msix;
	/** @hw_version: HW_VERSION register. */
	u32 hw_version;
	/** @caps: CAPS register. */
	u32 caps;
	/** @clock_khz: Engine clock in kHz. */
	u32 clock_khz;
	/** @serial: Serial number. */
	u32 serial;

	/** @fw: The firmware image. */
	struct snpu_fw fw;
	/** @fw_version: Version that the running firmware reported; 0: none runs. */
	u32 fw_version;
	/** @fw_abi: Negotiated ABI, major << 16 | minor; 0 without firmware. */
	u32 fw_abi;
	/**
	 * @num_queues: Queues that card, firmware and contract have in common; 0 without firmware.
	 */
	u32 num_queues;

	/** @vram: Device memory. */
	struct snpu_vram vram;
	/** @mbox: Commands to and events from the firmware. */
	struct snpu_mbox mbox;
	/** @reset: Recovery. */
	struct snpu_reset reset;
	/** @pm: Sleep, and resets that others do. */
	struct snpu_pm pm;
	/** @watchdog: Hang detection. */
	struct snpu_watchdog watchdog;
	/** @coredump: What is kept of a failure. */
	struct snpu_coredump coredump;
	/** @doorbell: Doorbell pages that processes have mapped. */
	struct snpu_doorbell_state doorbell;
	/** @counters: The engine's counters. */
	struct snpu_counters counters;
	/** @pmu: PMU of its place, NULL: there is none. */
	struct snpu_pmu *pmu;
	/** @objects: What is alive. */
	struct snpu_objects objects;

	/** @users: &struct snpu_user by user id. Its lock protects them and @used. */
	struct xarray users;
	/** @used: How many of each enum snpu_item all users have. */
	u32 used[SNPU_ITEMS];

	/** @asids: Address-space numbers in use. */
	struct ida asids;
	/** @mmu_lock: Serialises invalidations, which the card reports as one. */
	struct mutex mmu_lock;

	/** @queues_lock: Protects @queues. */
	spinlock_t queues_lock;
	/** @queues: Queue of each hardware slot. A slot holds a user of its queue. */
	struct snpu_queue *queues[SNPU_QUEUES];
	/** @sched_wq: Where the schedulers of all queues run jobs. */
	struct workqueue_struct *sched_wq;

	/** @jobs_done: Jobs finished, whatever their result. */
	atomic64_t jobs_done;
};

static inline struct snpu_device *to_snpu(struct drm_device *drm)
{
	return container_of(drm, struct snpu_device, drm);
}

bool snpu_device_enter(struct snpu_device *snpu, int *idx);
bool snpu_device_enter_awake(struct snpu_device *snpu, int *idx);
void snpu_device_exit(struct snpu_device *snpu, int idx);

/* Registers. The caller is inside drm_dev_enter(), or in probe or remove. */
static inline u32 snpu_read(struct snpu_device *snpu, u32 reg)
{
	return readl(snpu->regs + reg);
}

static inline void snpu_write(struct snpu_device *snpu, u32 reg, u32 value)
{
	writel(value, snpu->regs + reg);
}

/* Structures in the control area. */
static inline struct snpu_fw_header __iomem *snpu_fw_header(struct snpu_device *snpu)
{
	return snpu->ctl + SNPU_CTL_HEADER;
}

static inline struct snpu_queue_ctx __iomem *snpu_queue_ctx(struct snpu_device *snpu, u32 queue)
{
	return snpu->ctl + SNPU_CTL_QUEUE(queue);
}

void snpu_device_announce(struct snpu_device *snpu);

extern struct pci_driver snpu_pci_driver;
/* Tears queues down after their last job; outlives every card. */
extern struct workqueue_struct *snpu_wq;

#endif
