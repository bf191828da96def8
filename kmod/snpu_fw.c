// SPDX-License-Identifier: GPL-2.0-only
/*
 * Firmware. The driver checks that the image is one it may talk to and that its tables stay inside
 * the file; the card's boot ROM checks the hash and the core's memory. Each way to fail has one
 * line in the log: what, the numbers, and what to do next. Booting is the same in probe and in a
 * reset, where nothing may be allocated.
 */
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/delay.h>
#include <linux/firmware.h>

#include "snpu_device.h"
#include "snpu_fw.h"
#include "snpu_mmu.h"

#define SNPU_FW_TIMEOUT_MS	10000
#define SNPU_FW_NEXT		"install the snpu firmware that belongs to this driver"

MODULE_FIRMWARE(SNPU_FW_NAME);

static const char *snpu_fw_boot_error(u32 error)
{
#define BOOT_ERROR(name, value, text) \
	[value] = #name ": " text,
	static const char * const texts[] = { SNPU_BOOT_ERRORS(BOOT_ERROR) };
#undef BOOT_ERROR

	return error < ARRAY_SIZE(texts) ? texts[error] : "unknown error";
}

static int snpu_fw_bad(struct snpu_device *snpu, const char *what, u64 is, const char *rule,
		       u64 want)
{
	drm_err(&snpu->drm, "firmware %s: %s is %#llx, must be %s%#llx; %s\n", SNPU_FW_NAME,
		what, is, rule, want, SNPU_FW_NEXT);
	return -EINVAL;
}

static int snpu_fw_check_sections(struct snpu_device *snpu, const struct snpu_fw_image *image)
{
	u32 i;

	if (!image->sections || image->sections > SNPU_FW_MAX_SECTIONS)
		return snpu_fw_bad(snpu, "the number of sections", image->sections,
				   "1 to ", SNPU_FW_MAX_SECTIONS);
	for (i = 0; i < image->sections; i++) {
		const struct snpu_fw_section *s = &image->section[i];

		if (s->offset < sizeof(*image) || s->offset > image->image_size ||
		    s->size > image->image_size - s->offset)
			return snpu_fw_bad(snpu, "the end of a section", (u64)s->offset + s->size,
					   "at most ", image->image_size);
		if (s->mem_size < s->size)
			return snpu_fw_bad(snpu, "a section's size in memory", s->mem_size,
					   "at least ", s->size);
	}
	return 0;
}

static int snpu_fw_check(struct snpu_device *snpu, const struct firmware *fw)
{
	const struct snpu_fw_image *image = (const void *)fw->data;

	if (fw->size < sizeof(*image))
		return snpu_fw_bad(snpu, "the size of the file", fw->size, "at least ",
				   sizeof(*image));
	if (fw->size > SNPU_FW_MAX_SIZE)
		return snpu_fw_bad(snpu, "the size of the file", fw->size, "at most ",
				   SNPU_FW_MAX_SIZE);
	if (image->magic != SNPU_FW_MAGIC)
		return snpu_fw_bad(snpu, "the magic", image->magic, "", SNPU_FW_MAGIC);
	if (image->abi_major != SNPU_FW_ABI_MAJOR)
		return snpu_fw_bad(snpu, "the ABI's major version", image->abi_major,
				   "", SNPU_FW_ABI_MAJOR);
	if (image->header_size != sizeof(*image))
		return snpu_fw_bad(snpu, "the size of the header", image->header_size,
				   "", sizeof(*image));
	if (image->image_size != fw->size)
		return snpu_fw_bad(snpu, "the size of the file", fw->size, "",
				   image->image_size);
	if (image->flags || image->pad)
		return snpu_fw_bad(snpu, "a reserved field", image->flags | image->pad, "",
				   0);
	return snpu_fw_check_sections(snpu, image);
}

static void snpu_fw_release(struct drm_device *drm, void *data)
{
	release_firmware(data);
}

/* Gets the image and keeps it for as long as the card. */
int snpu_fw_load(struct snpu_device *snpu)
{
	int err;

	err = firmware_request_nowarn(&snpu->fw, SNPU_FW_NAME, snpu->drm.dev);
	if (err) {
		drm_err(&snpu->drm, "firmware %s cannot be read, error %d; install it below /lib/firmware\n",
			SNPU_FW_NAME, err);
		return err;
	}
	err = drmm_add_action_or_reset(&snpu->drm, snpu_fw_release, (void *)snpu->fw);
	return err ?: snpu_fw_check(snpu, snpu->fw);
}

/*
 * Stops the engine at once and halts the core. Whatever it returns, the card is cut off from the
 * memory of the machine afterwards; 0: it has ended its last access by itself.
 */
int snpu_fw_stop(struct snpu_device *snpu)
{
	int err;

	snpu_write(snpu, SNPU_REG_RESET, SNPU_RESET_KEY);
	snpu_write(snpu, SNPU_REG_MMU_INVALIDATE, SNPU_MMU_INVALIDATE_ALL_MASK);
	err = snpu_mmu_wait_idle(snpu);
	pci_clear_master(to_pci_dev(snpu->drm.dev));
	return err;
}

static void snpu_fw_stage(struct snpu_device *snpu)
{
	memset_io(snpu_fw_header(snpu), 0, sizeof(struct snpu_fw_header));
	memset_io(snpu->ctl + SNPU_CTL_CRASH, 0, sizeof(struct snpu_fw_crash));
	memcpy_toio(snpu->ctl + SNPU_CTL_IMAGE, snpu->fw->data, snpu->fw->size);
	wmb();	/* the image before the register that makes the ROM read it */
	snpu_write(snpu, SNPU_REG_FW_OFFSET, SNPU_CTL_IMAGE);
	snpu_write(snpu, SNPU_REG_FW_SIZE, snpu->fw->size);
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
		if (state == SNPU_BOOT_RUNNING)
			return 0;
		if (state == SNPU_BOOT_FAILED) {
			status = SNPU_GET(status, BOOT_STATUS, ERROR);
			drm_err(&snpu->drm,
				"firmware %s: the boot ROM refused it: %s (error %u, %zu bytes); %s\n",
				SNPU_FW_NAME, snpu_fw_boot_error(status), status, snpu->fw->size,
				SNPU_FW_NEXT);
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
		SNPU_FW_NAME, SNPU_FW_TIMEOUT_MS, snpu_read(snpu, SNPU_REG_CORE_STATE),
		snpu_read(snpu, SNPU_REG_CORE_PC), SNPU_FW_NEXT);
	return -ETIMEDOUT;
}

static int snpu_fw_negotiate(struct snpu_device *snpu)
{
	struct snpu_fw_header __iomem *header = snpu_fw_header(snpu);
	u32 major = readw(&header->abi_major), minor = readw(&header->abi_minor);
	u32 queues = readl(&header->queues);

	if (major != SNPU_FW_ABI_MAJOR)
		return snpu_fw_bad(snpu, "the running ABI's major version", major,
				   "", SNPU_FW_ABI_MAJOR);
	snpu->fw_abi = major << 16 | min_t(u32, minor, SNPU_FW_ABI_MINOR);
	snpu->fw_version = readl(&header->version);
	snpu->num_queues = min3(queues, SNPU_GET(snpu->caps, CAPS, QUEUES), (u32)SNPU_QUEUES);
	if (!snpu->num_queues)
		return snpu_fw_bad(snpu, "the number of queues", queues, "",
				   SNPU_QUEUES);
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
	if (err == -ETIMEDOUT && snpu_mbox_poll(snpu))
		drm_err(&snpu->drm, "firmware answered, but no interrupt came (%u vectors, MSI%s); check the machine's interrupt routing\n",
			snpu->irqs, snpu->msix ? "-X" : "");
	else
		drm_err(&snpu->drm, "firmware %s did not answer a ping (error %d, value %#llx); %s\n",
			SNPU_FW_NAME, err, value, SNPU_FW_NEXT);
	return err ?: -EIO;
}

/* From whatever state to a firmware that answers. */
int snpu_fw_boot(struct snpu_device *snpu)
{
	int err;

	err = snpu_fw_stop(snpu);
	if (err) {
		drm_err(&snpu->drm, "the card does not come to rest, error %d; power it off and on\n",
			err);
		return err;
	}
	pci_set_master(to_pci_dev(snpu->drm.dev));
	snpu_mbox_start(snpu);
	snpu_fw_stage(snpu);
	err = snpu_fw_wait_rom(snpu);
	if (!err)
		err = snpu_fw_wait_ready(snpu);
	if (!err)
		err = snpu_fw_negotiate(snpu);
	return err ?: snpu_fw_ping(snpu);
}
