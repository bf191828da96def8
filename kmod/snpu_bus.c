// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the bus does to the card without asking the driver: resets through sysfs, and recovery from
 * errors of the link (Documentation/PCI/pci-error-recovery.rst). The PCI core calls under the
 * device's lock, so that the card is not removed meanwhile.
 *
 * A reset that was announced loses nothing. After an error on the bus nobody knows which transfer
 * it hit, so the job on the engine is cut off: it ends with -EIO, and never with a wrong result.
 */
#include <drm/drm_print.h>
#include <linux/pm_runtime.h>

#include "snpu_device.h"
#include "snpu_pause.h"

/* --- resets ----------------------------------------------------------------------------------- */

static void snpu_bus_reset_prepare(struct pci_dev *pdev)
{
	struct snpu_device *snpu = pci_get_drvdata(pdev);

	/* Nothing can be refused here; a card that does not wake or rest is reset all the same. */
	pm_runtime_get_sync(&pdev->dev);
	snpu_pause_begin(snpu, SNPU_RESET_SOFT);
	drm_info(&snpu->drm, "the card is about to be reset by the bus; its queues wait\n");
}

static void snpu_bus_reset_done(struct pci_dev *pdev)
{
	struct snpu_device *snpu = pci_get_drvdata(pdev);

	snpu_pause_end(snpu);
	snpu_pm_put(snpu);
}

/* --- errors ----------------------------------------------------------------------------------- */

static void snpu_bus_error_begin(struct snpu_device *snpu, enum snpu_reset_rung how)
{
	if (snpu->pm.bus_error)
		return;
	snpu->pm.bus_error = true;
	snpu_pm_get(snpu);
	snpu_pause_begin(snpu, how);
}

static pci_ers_result_t snpu_bus_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct snpu_device *snpu = pci_get_drvdata(pdev);

	switch (state) {
	case pci_channel_io_normal:
		drm_err(&snpu->drm, "the bus reports an error that is not fatal; the job on the engine is cut off\n");
		snpu_bus_error_begin(snpu, SNPU_RESET_FULL);
		return PCI_ERS_RESULT_CAN_RECOVER;
	case pci_channel_io_frozen:
		drm_err(&snpu->drm, "the bus reports a fatal error; the card waits for a reset of its link\n");
		snpu_bus_error_begin(snpu, SNPU_RESET_RUNGS);
		return PCI_ERS_RESULT_NEED_RESET;
	default:
		drm_err(&snpu->drm, "the bus gave the card up; its queues are lost; unbind and bind the driver\n");
		snpu_bus_error_begin(snpu, SNPU_RESET_RUNGS);
		snpu_reset_give_up(snpu);
		return PCI_ERS_RESULT_DISCONNECT;
	}
}

static pci_ers_result_t snpu_bus_mmio_enabled(struct pci_dev *pdev)
{
	return PCI_ERS_RESULT_RECOVERED;
}

/* The link was reset, and with it the card. Its memory and what it did are there. */
static pci_ers_result_t snpu_bus_slot_reset(struct pci_dev *pdev)
{
	struct snpu_device *snpu = pci_get_drvdata(pdev);

	if (!pci_device_is_present(pdev) || snpu_reset_restore_config(snpu))
		return PCI_ERS_RESULT_DISCONNECT;
	return snpu_pause_collect(snpu) ? PCI_ERS_RESULT_DISCONNECT : PCI_ERS_RESULT_RECOVERED;
}

static void snpu_bus_resume(struct pci_dev *pdev)
{
	struct snpu_device *snpu = pci_get_drvdata(pdev);

	if (!snpu->pm.bus_error)
		return;
	snpu->pm.bus_error = false;
	snpu_pause_end(snpu);
	snpu_pm_put(snpu);
	drm_info(&snpu->drm, "the card goes on after an error of the bus\n");
}

const struct pci_error_handlers snpu_bus_error_handlers = {
	.error_detected = snpu_bus_error_detected,
	.mmio_enabled = snpu_bus_mmio_enabled,
	.slot_reset = snpu_bus_slot_reset,
	.resume = snpu_bus_resume,
	.reset_prepare = snpu_bus_reset_prepare,
	.reset_done = snpu_bus_reset_done,
};
