// SPDX-License-Identifier: GPL-2.0-only
/*
 * Booting firmware, from an image that was found good (snpu_fw_load) to a firmware that answers. It
 * is the same for a new image and in a reset, and nothing is allocated, because fences wait for it.
 * Each way to fail has one line in the log: what, the numbers, and what to do next.
 */
#include <drm/drm_print.h>
#include <linux/delay.h>
#include <linux/iopoll.h>

#include "snpu_device.h"
#include "snpu_fw.h"
#include "snpu_mmu.h"

#define SNPU_FW_TIMEOUT_MS	10000
#define SNPU_FW_HALT_MS		2000

/* The minor version of the ABI that a feature came with. */
static const u16 snpu_fw_since[] = {
	[SNPU_FW_KEEP] = 1,
	[SNPU_FW_USER] = 1,
};

/* Whether the firmware that runs can do it. */
bool snpu_fw_has(struct snpu_device *snpu, enum snpu_fw_feature feature)
{
	u32 abi = READ_ONCE(snpu->fw_abi);

	return abi && (abi & 0xffff) >= snpu_fw_since[feature];
}

/*
 * 0 when the card takes queues. -ENOPKG: it has no firmware; -EIO: the last reset failed. Under
 * reset.sem the answer stays true.
 */
int snpu_fw_error(struct snpu_device *snpu)
{
	if (!READ_ONCE(snpu->fw.blob))
		return -ENOPKG;
	return READ_ONCE(snpu->reset.broken) ? -EIO : 0;
}

static const char *snpu_fw_boot_error(u32 error)
{
#define BOOT_ERROR(name, value, text) \
	[value] = #name ": " text,
	static const char * const texts[] = { SNPU_BOOT_ERRORS(BOOT_ERROR) };
#undef BOOT_ERROR

	return error < ARRAY_SIZE(texts) ? texts[error] : "unknown error";
}

/*
 * Stops the engine at once and halts the core. Whatever it returns, the card is cut off from the
 * memory of the machine afterwards; 0: it has ended its last access by itself.
 */
int snpu_fw_stop(struct snpu_device *snpu)
{
	int err;

	snpu_counters_save(snpu);
	snpu_write(snpu, SNPU_REG_RESET, SNPU_RESET_KEY);
	snpu_write(snpu, SNPU_REG_MMU_INVALIDATE, SNPU_MMU_INVALIDATE_ALL_MASK);
	err = snpu_mmu_wait_idle(snpu);
	snpu_counters_restart(snpu);
	pci_clear_master(to_pci_dev(snpu->drm.dev));
	return err;
}

/* Queues can go on under another firmware than the one they began with. */
bool snpu_fw_keeps(struct snpu_device *snpu)
{
	return SNPU_GET(snpu->hw_version, HW_VERSION, MINOR) >= 2 &&
	       snpu_fw_has(snpu, SNPU_FW_KEEP);
}

/*
 * Halts the core and lets the engine save its job at the next packet boundary. 0: it is idle, and
 * the card is cut off from the memory of the machine.
 */
int snpu_fw_halt(struct snpu_device *snpu)
{
	u32 status;
	int err;

	snpu_write(snpu, SNPU_REG_RESET, SNPU_RESET_SOFT_KEY);
	err = readx_poll_timeout(readl, snpu->regs + SNPU_REG_RESET_STATUS, status,
				 !SNPU_GET(status, RESET_STATUS, ENGINE_BUSY), 500,
				 SNPU_FW_HALT_MS * USEC_PER_MSEC);
	if (err)
		return err;
	snpu_counters_save(snpu);
	snpu_counters_go_on(snpu);
	pci_clear_master(to_pci_dev(snpu->drm.dev));
	return 0;
}

static void snpu_fw_stage(struct snpu_device *snpu)
{
	const struct snpu_fw_blob *blob = snpu->fw.blob;

	memset_io(snpu_fw_header(snpu), 0, sizeof(struct snpu_fw_header));
	memset_io(snpu->ctl + SNPU_CTL_CRASH, 0, sizeof(struct snpu_fw_crash));
	memcpy_toio(snpu->ctl + SNPU_CTL_IMAGE, blob->data, blob->size);
	wmb();	/* the image before the register that makes the ROM read it */
	snpu_write(snpu, SNPU_REG_FW_OFFSET, SNPU_CTL_IMAGE);
	snpu_write(snpu, SNPU_REG_FW_SIZE, blob->size);
	snpu_write(snpu, SNPU_REG_BOOT, 1);
}

static int snpu_fw_wait_rom(struct snpu_device *snpu)
{
	unsigned long end = jiffies + msecs_to_jiffies(SNPU_FW_TIMEOUT_MS);
	u32 status, state;
	bool late;

	do {
		late = time_after(jiffies, end);
		status = snpu_read(snpu, SNPU_REG_BOOT_STATUS);
		state = SNPU_GET(status, BOOT_STATUS, STATE);
		if (status == U32_MAX)
			return -ENODEV;
		if (state == SNPU_BOOT_RUNNING)
			return 0;
		if (state == SNPU_BOOT_FAILED) {
			status = SNPU_GET(status, BOOT_STATUS, ERROR);
			drm_err(&snpu->drm,
				"firmware %s: the boot ROM refused it: %s (error %u, %zu bytes); %s\n",
				snpu->fw.blob->name, snpu_fw_boot_error(status), status,
				snpu->fw.blob->size, SNPU_FW_NEXT);
			return -EINVAL;
		}
		usleep_range(500, 1000);
	} while (!late);
	drm_err(&snpu->drm, "the boot ROM did not finish in %u ms (status %#x); power the card off and on\n",
		SNPU_FW_TIMEOUT_MS, status);
	return -ETIMEDOUT;
}

static int snpu_fw_wait_ready(struct snpu_device *snpu)
{
	unsigned long end = jiffies + msecs_to_jiffies(SNPU_FW_TIMEOUT_MS);
	struct snpu_fw_header __iomem *header = snpu_fw_header(snpu);
	bool late;

	do {
		late = time_after(jiffies, end);
		if (readl(&header->magic) == SNPU_FW_HEADER_MAGIC &&
		    readl(&header->state) == SNPU_FW_READY)
			return 0;
		usleep_range(500, 1000);
	} while (!late);
	drm_err(&snpu->drm, "firmware %s was not ready in %u ms (core state %u, pc %#x); %s\n",
		snpu->fw.blob->name, SNPU_FW_TIMEOUT_MS, snpu_read(snpu, SNPU_REG_CORE_STATE),
		snpu_read(snpu, SNPU_REG_CORE_PC), SNPU_FW_NEXT);
	return -EPROTO;
}

static int snpu_fw_negotiate(struct snpu_device *snpu)
{
	struct snpu_fw_header __iomem *header = snpu_fw_header(snpu);
	u32 major = readw(&header->abi_major), minor = readw(&header->abi_minor);
	u32 queues = readl(&header->queues);

	queues = min3(queues, SNPU_GET(snpu->caps, CAPS, QUEUES), (u32)SNPU_QUEUES);
	if (major != SNPU_FW_ABI_MAJOR || !queues) {
		drm_err(&snpu->drm, "firmware %s runs with ABI %u.%u and %u queues, must be %u.x and 1 or more; %s\n",
			snpu->fw.blob->name, major, minor, queues, SNPU_FW_ABI_MAJOR, SNPU_FW_NEXT);
		return -EPROTO;
	}
	WRITE_ONCE(snpu->fw_abi, major << 16 | min_t(u32, minor, SNPU_FW_ABI_MINOR));
	WRITE_ONCE(snpu->fw_version, readl(&header->version));
	WRITE_ONCE(snpu->num_queues, queues);
	return 0;
}

/* One command there and back, which also shows that interrupts arrive. */
static int snpu_fw_ping(struct snpu_device *snpu)
{
	struct snpu_fw_cmd_PING cmd = { .head.op = SNPU_FW_OP_PING, .cookie = SNPU_FW_MAGIC };
	u64 value = 0;
	int err;

	err = snpu_mbox_call(snpu, &cmd.head, sizeof(cmd), &value);
	if (err == -ENODEV || (!err && value == cmd.cookie))
		return err;
	if (err == -ETIMEDOUT && snpu_mbox_poll(snpu)) {
		drm_err(&snpu->drm, "firmware answered, but no interrupt came (%u vectors, MSI%s); check the machine's interrupt routing\n",
			snpu->irqs, snpu->msix ? "-X" : "");
		return err;
	}
	drm_err(&snpu->drm, "firmware %s did not answer a ping (error %d, value %#llx); %s\n",
		snpu->fw.blob->name, err, value, SNPU_FW_NEXT);
	return -EPROTO;
}

/*
 * From a halted core and an idle engine to a firmware that answers. -ETIMEDOUT and -ENODEV are
 * about the card, other errors about the firmware; -ENOPKG, without a message: there is none.
 */
int snpu_fw_start(struct snpu_device *snpu)
{
	const struct snpu_fw_blob *blob = snpu->fw.blob;
	int err;

	if (!blob)
		return -ENOPKG;
	/* Page tables may have changed since the engine last looked. */
	snpu_write(snpu, SNPU_REG_MMU_INVALIDATE, SNPU_MMU_INVALIDATE_ALL_MASK);
	pci_set_master(to_pci_dev(snpu->drm.dev));
	snpu_mbox_start(snpu);
	snpu_fw_stage(snpu);
	err = snpu_fw_wait_rom(snpu);
	if (!err)
		err = snpu_fw_wait_ready(snpu);
	if (!err)
		err = snpu_fw_negotiate(snpu);
	err = err ?: snpu_fw_ping(snpu);
	/* It works; from now on, until its power goes, the card refuses older ones by itself. */
	if (!err && blob->signer)
		snpu_write(snpu, SNPU_REG_FW_MIN_SECURITY, blob->security);
	return err;
}

/* The same from whatever state. */
int snpu_fw_boot(struct snpu_device *snpu)
{
	int err;

	err = snpu_fw_stop(snpu);
	if (err) {
		drm_err(&snpu->drm, "the card does not come to rest, error %d; power it off and on\n",
			err);
		return err;
	}
	return snpu_fw_start(snpu);
}
