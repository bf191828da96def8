// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probe and remove: PCI, BARs, interrupts, and the order in which the parts of the driver come and
 * go. Resources of the device are managed by devres; what open files may still use after remove()
 * is managed by the DRM device and goes with its last reference.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/sizes.h>
#include <linux/string_helpers.h>

#include "snpu_debugfs.h"
#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_fw.h"
#include "snpu_gem.h"
#include "snpu_hwmon.h"
#include "snpu_pause.h"
#include "snpu_pmu.h"
#include "snpu_queue.h"
#include "snpu_sysfs.h"
#include "snpu_vm.h"

/* --- access ----------------------------------------------------------------------------------- */

/*
 * True: until snpu_device_exit() the card is there, and awake; a pause may begin all the same
 * (snpu_pm_begin()). Process context, and not where fences wait: it may have to wake the card.
 */
bool snpu_device_enter(struct snpu_device *snpu, int *idx)
{
	if (!drm_dev_enter(&snpu->drm, idx))
		return false;
	if (pm_runtime_resume_and_get(snpu->drm.dev) >= 0)
		return true;
	drm_dev_exit(*idx);
	return false;
}

/* The same in any context, but false while the card sleeps. */
bool snpu_device_enter_awake(struct snpu_device *snpu, int *idx)
{
	int awake;

	if (!drm_dev_enter(&snpu->drm, idx))
		return false;
	awake = pm_runtime_get_if_active(snpu->drm.dev);
	if (awake < 0)	/* it cannot sleep */
		pm_runtime_get_noresume(snpu->drm.dev);
	if (!awake)
		drm_dev_exit(*idx);
	return awake;
}

void snpu_device_exit(struct snpu_device *snpu, int idx)
{
	snpu_pm_put(snpu);
	drm_dev_exit(idx);
}

/* --- interrupts ------------------------------------------------------------------------------- */

/*
 * Vector 0: events. With one vector for both causes, an interrupt that brings no event may be an
 * error; asking the card would cost a register read for each interrupt, so the watchdog does.
 */
static irqreturn_t snpu_irq_event(int irq, void *data)
{
	struct snpu_device *snpu = data;
	int idx;

	if (!drm_dev_enter(&snpu->drm, &idx))
		return IRQ_HANDLED;
	if (!snpu_mbox_poll(snpu) && snpu->irqs == 1)
		snpu_watchdog_kick(snpu);
	drm_dev_exit(idx);
	return IRQ_HANDLED;
}

static irqreturn_t snpu_irq_error(int irq, void *data)
{
	snpu_watchdog_kick(data);
	return IRQ_HANDLED;
}

/* Two vectors of MSI-X, or one of MSI. */
static int snpu_irq_init(struct snpu_device *snpu)
{
	static const irq_handler_t handlers[SNPU_MSIX_VECTORS] = { snpu_irq_event, snpu_irq_error };
	struct pci_dev *pdev = to_pci_dev(snpu->drm.dev);
	int n, i, err;

	n = pci_alloc_irq_vectors(pdev, 1, SNPU_MSIX_VECTORS, PCI_IRQ_MSIX | PCI_IRQ_MSI);
	if (n < 0) {
		drm_err(&snpu->drm, "no MSI-X or MSI vector to be had, error %d; check that the machine allows MSI\n",
			n);
		return n;
	}
	snpu->irqs = n;
	snpu->msix = pdev->msix_enabled;
	for (i = 0; i < n; i++) {
		err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, i), handlers[i], 0, "snpu",
				       snpu);
		if (err)
			return err;
	}
	return 0;
}

/* --- hardware --------------------------------------------------------------------------------- */

static int snpu_device_dma_init(struct snpu_device *snpu)
{
	struct device *dev = snpu->drm.dev;
	int err;

	/* What an entry of the page tables can hold. */
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(fls64(SNPU_PTE_ADDR_MASK)));
	if (err) {
		drm_err(&snpu->drm, "the machine gives no DMA addresses the card can use, error %d; check its IOMMU\n",
			err);
		return err;
	}
	dma_set_max_seg_size(dev, UINT_MAX);
	return 0;
}

static int snpu_device_identify(struct snpu_device *snpu)
{
	u32 id = snpu_read(snpu, SNPU_REG_ID);

	snpu->hw_version = snpu_read(snpu, SNPU_REG_HW_VERSION);
	if (id != (u32)SNPU_RESETVAL_ID ||
	    SNPU_GET(snpu->hw_version, HW_VERSION, MAJOR) !=
	    SNPU_GET((u32)SNPU_RESETVAL_HW_VERSION, HW_VERSION, MAJOR)) {
		drm_err(&snpu->drm, "card with id %#x and version %#x is not known; use a newer driver\n",
			id, snpu->hw_version);
		return -ENODEV;
	}
	snpu->caps = snpu_read(snpu, SNPU_REG_CAPS);
	snpu->clock_khz = snpu_read(snpu, SNPU_REG_CLOCK_KHZ);
	snpu->serial = snpu_read(snpu, SNPU_REG_SERIAL);
	return 0;
}

/* Device memory as the card describes it, which must fit BAR2: [buffers][control area]. */
static int snpu_device_map_vram(struct snpu_device *snpu)
{
	struct pci_dev *pdev = to_pci_dev(snpu->drm.dev);
	u64 total = snpu_read64(snpu, SNPU_REG_VRAM_SIZE_LO, SNPU_REG_VRAM_SIZE_HI);
	u64 ctl = snpu_read64(snpu, SNPU_REG_CTL_OFFSET_LO, SNPU_REG_CTL_OFFSET_HI);
	u64 bar = pci_resource_len(pdev, SNPU_BAR_VRAM);
	u32 ctl_size = snpu_read(snpu, SNPU_REG_CTL_SIZE);

	if (total > bar || ctl > total || ctl_size < SNPU_CTL_SIZE || ctl_size > total - ctl ||
	    !ctl || !IS_ALIGNED(ctl, SZ_4K)) {
		drm_err(&snpu->drm, "control area [%#llx, +%#x) does not fit %#llx bytes of memory in a BAR of %#llx; the card is faulty\n",
			ctl, ctl_size, total, bar);
		return -ENODEV;
	}
	snpu->vram.size = ctl;
	snpu->vram.phys = pci_resource_start(pdev, SNPU_BAR_VRAM);
	/* Two mappings: one address must not be mapped with two cache attributes. */
	snpu->vram.map = devm_ioremap_wc(&pdev->dev, snpu->vram.phys, snpu->vram.size);
	snpu->ctl = devm_ioremap(&pdev->dev, snpu->vram.phys + ctl, SNPU_CTL_SIZE);
	return snpu->vram.map && snpu->ctl ? 0 : -ENOMEM;
}

static int snpu_device_check_bar(struct snpu_device *snpu, int bar, u64 size)
{
	u64 len = pci_resource_len(to_pci_dev(snpu->drm.dev), bar);

	if (len >= size)
		return 0;
	drm_err(&snpu->drm, "BAR %d has %#llx bytes of at least %#llx; the machine gave it no room, see the PCI messages above\n",
		bar, len, size);
	return -ENODEV;
}

static int snpu_device_map(struct snpu_device *snpu)
{
	struct pci_dev *pdev = to_pci_dev(snpu->drm.dev);
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = snpu_device_check_bar(snpu, SNPU_BAR_REGS, SNPU_BAR_REGS_SIZE);
	err = err ?: snpu_device_check_bar(snpu, SNPU_BAR_VRAM, SNPU_CTL_SIZE);
	err = err ?: snpu_device_check_bar(snpu, SNPU_BAR_DOORBELL, SNPU_BAR_DOORBELL_SIZE);
	if (err)
		return err;
	err = pcim_request_all_regions(pdev, "snpu");
	if (err)
		return err;
	snpu->regs = pcim_iomap(pdev, SNPU_BAR_REGS, SNPU_BAR_REGS_SIZE);
	snpu->doorbells = pcim_iomap(pdev, SNPU_BAR_DOORBELL, SNPU_BAR_DOORBELL_SIZE);
	if (!snpu->regs || !snpu->doorbells)
		return -ENOMEM;
	err = snpu_device_identify(snpu);
	return err ?: snpu_device_map_vram(snpu);
}

/* --- software --------------------------------------------------------------------------------- */

static void snpu_device_release(struct drm_device *drm, void *data)
{
	struct snpu_device *snpu = data;

	destroy_workqueue(snpu->sched_wq);
	ida_destroy(&snpu->asids);
	xa_destroy(&snpu->users);
}

/*
 * Not needed to work: without it host memory is in small pages more often. But 7.3 returns 0 also
 * when it could not mount, and the error it leaves would be that of every buffer.
 */
static int snpu_device_want_huge_pages(struct snpu_device *snpu)
{
	int err = drm_gem_huge_mnt_create(&snpu->drm, "within_size");

	if (err)
		drm_dbg(&snpu->drm, "no huge pages for buffers, error %d\n", err);
	return PTR_ERR_OR_ZERO(drm_gem_get_huge_mnt(&snpu->drm));
}

static int snpu_device_soft_init(struct snpu_device *snpu)
{
	int err;

	/* First: what snpu_device_stop() needs, whichever step fails. */
	snpu_mbox_init(snpu);
	snpu_watchdog_init(snpu);
	snpu_counters_init(snpu);
	snpu_coredump_init(snpu);
	snpu_fw_init(snpu);
	err = snpu_pm_init(snpu);
	err = snpu_doorbells_init(snpu) ?: err;
	err = snpu_reset_init(snpu) ?: err;
	if (err)
		return err;
	INIT_LIST_HEAD(&snpu->objects.bos);
	INIT_LIST_HEAD(&snpu->objects.vms);
	spin_lock_init(&snpu->queues_lock);
	ida_init(&snpu->asids);
	xa_init(&snpu->users);
	snpu->sched_wq = alloc_workqueue("snpu-sched", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!snpu->sched_wq)
		return -ENOMEM;
	err = drmm_add_action_or_reset(&snpu->drm, snpu_device_release, snpu);
	if (err)
		return err;
	err = snpu_device_want_huge_pages(snpu);
	if (err)
		return err;
	err = drmm_mutex_init(&snpu->drm, &snpu->objects.lock);
	if (err)
		return err;
	return drmm_mutex_init(&snpu->drm, &snpu->mmu_lock);
}

/* Whenever firmware has begun to run. */
void snpu_device_announce(struct snpu_device *snpu)
{
	char build[sizeof_field(struct snpu_fw_header, build)], memory[16];
	u32 v = snpu->fw_version;

	memcpy_fromio(build, snpu_fw_header(snpu)->build, sizeof(build));
	build[sizeof(build) - 1] = 0;
	string_get_size(snpu->vram.size, 1, STRING_UNITS_2, memory, sizeof(memory));
	drm_info(&snpu->drm, "firmware %u.%u.%u (%s), ABI %u.%u, %s, %s device memory, %u queues, %u MSI%s vector%s%s\n",
		 v >> 16, v >> 8 & 0xff, v & 0xff, build, snpu->fw_abi >> 16, snpu->fw_abi & 0xffff,
		 snpu->fw.blob->signer ? "signed" : "NOT SIGNED", memory, snpu->num_queues,
		 snpu->irqs, snpu->msix ? "-X" : "", str_plural(snpu->irqs),
		 SNPU_GET(snpu->caps, CAPS, SIMULATED) ? ", a simulated card" : "");
}

/* Everything that talks to the card, in order. */
static int snpu_device_start(struct snpu_device *snpu)
{
	int err;

	err = snpu_device_soft_init(snpu);
	if (err)
		return err;
	err = snpu_device_map(snpu);
	if (err)
		return err;
	err = snpu_device_dma_init(snpu);
	if (err)
		return err;
	err = snpu_vram_init(snpu);
	if (err)
		return err;
	/* A card that was left running must be quiet before it may interrupt. */
	snpu_fw_stop(snpu);
	err = snpu_irq_init(snpu);
	if (err)
		return err;
	err = snpu_reset_save_config(snpu);
	if (err)
		return err;
	return snpu_fw_probe(snpu);
}

/* Quiet for good: no work of ours runs, and the card does nothing. */
static void snpu_device_stop(struct snpu_device *snpu)
{
	snpu_fw_fini(snpu);
	snpu_doorbells_fini(snpu);
	snpu_watchdog_fini(snpu);
	snpu_reset_fini(snpu);
	snpu_coredump_fini(snpu);
	snpu_mbox_abort(snpu, -ENODEV);
	if (snpu->ctl)
		snpu_fw_stop(snpu);
}

static int snpu_device_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct snpu_device *snpu;
	int err;

	snpu = devm_drm_dev_alloc(&pdev->dev, &snpu_drm_driver, struct snpu_device, drm);
	if (IS_ERR(snpu))
		return PTR_ERR(snpu);
	pci_set_drvdata(pdev, snpu);

	err = snpu_device_start(snpu);
	if (err)
		goto err_stop;
	snpu_debugfs_init(snpu);
	err = drm_dev_register(&snpu->drm, 0);
	if (err)
		goto err_stop;
	snpu_hwmon_init(snpu);
	snpu_pmu_init(snpu);
	snpu_pm_start(snpu);
	return 0;

err_stop:
	snpu_device_stop(snpu);
	return err;
}

/*
 * Files may be open, jobs running, calls waiting. The calls are woken first, so that
 * drm_dev_unplug() does not wait for them for long. After it nobody enters, and mappings of device
 * memory are gone. Then the card is stopped, every fence signalled, and every DMA mapping undone,
 * while the device is still bound.
 */
static void snpu_device_remove(struct pci_dev *pdev)
{
	struct snpu_device *snpu = pci_get_drvdata(pdev);

	snpu_pm_fini(snpu);
	snpu_pmu_fini(snpu);
	snpu_queues_refresh(snpu);
	snpu_mbox_abort(snpu, -ENODEV);
	drm_dev_unplug(&snpu->drm);
	snpu_device_stop(snpu);
	down_write(&snpu->reset.sem);
	snpu_reset_lose_queues(snpu, -ENODEV);
	up_write(&snpu->reset.sem);
	snpu_vm_unmap_all(snpu);
	snpu_bo_unmap_all(snpu);
	snpu_debugfs_fini(snpu);
}

/* Before a reboot or a new kernel: no DMA into memory that has another owner then. */
static void snpu_device_shutdown(struct pci_dev *pdev)
{
	snpu_device_remove(pdev);
}

static const struct pci_device_id snpu_device_ids[] = {
	{ PCI_DEVICE(SNPU_PCI_VENDOR, SNPU_PCI_DEVICE) },
	{}
};
MODULE_DEVICE_TABLE(pci, snpu_device_ids);

struct pci_driver snpu_pci_driver = {
	.name = "snpu",
	.id_table = snpu_device_ids,
	.probe = snpu_device_probe,
	.remove = snpu_device_remove,
	.shutdown = snpu_device_shutdown,
	.dev_groups = snpu_dev_groups,
	.err_handler = &snpu_bus_error_handlers,
	.driver.pm = pm_ptr(&snpu_pm_ops),
};
