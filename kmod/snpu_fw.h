/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The firmware image and how it gets to run.
 */
#ifndef SNPU_FW_H
#define SNPU_FW_H

#include <linux/mutex.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

struct snpu_device;

#define SNPU_FW_NEXT	"install the firmware of this driver, then write 1 to the card's fw_reload"

/**
 * struct snpu_fw_blob - An image that was found good. Never changes.
 */
struct snpu_fw_blob {
	/** @name: The file it came from, below /lib/firmware. */
	char name[32];
	/** @signer: By whom it is signed, NULL: by nobody known. Lives as long as the module. */
	const char *signer;
	/** @security: Its security version. */
	u32 security;
	/** @size: Bytes in @data. */
	size_t size;
	/** @data: The bytes that were verified, and no others are ever given to the card. */
	u8 data[] __counted_by(size) __aligned(8);
};

/**
 * struct snpu_fw - The firmware of a card.
 */
struct snpu_fw {
	/** @lock: One load at a time; protects @next, @result and @min_security. */
	struct mutex lock;
	/**
	 * @blob: The image that is booted, also by a reset, which has no time to ask user space.
	 * NULL: the card has no firmware. reset.sem
	 */
	struct snpu_fw_blob *blob;
	/** @work: Boots @next instead of @blob, on the ordered workqueue of resets. */
	struct work_struct work;
	/** @next: In: the image for @work. Out: the one of the two that is not used. */
	struct snpu_fw_blob *next;
	/** @result: How @work ended. */
	int result;
	/** @min_security: The largest security version of signed firmware that the card ran. */
	u32 min_security;
};

/**
 * enum snpu_fw_feature - What firmware can do since some minor version of its ABI.
 */
enum snpu_fw_feature {
	/** @SNPU_FW_KEEP: Queues go on where another firmware left them. */
	SNPU_FW_KEEP,
	/** @SNPU_FW_USER: Queues whose ring lies in their context's memory. */
	SNPU_FW_USER,
};

int snpu_fw_error(struct snpu_device *snpu);
bool snpu_fw_has(struct snpu_device *snpu, enum snpu_fw_feature feature);
int snpu_fw_boot(struct snpu_device *snpu);
int snpu_fw_start(struct snpu_device *snpu);
int snpu_fw_stop(struct snpu_device *snpu);
int snpu_fw_halt(struct snpu_device *snpu);
bool snpu_fw_keeps(struct snpu_device *snpu);

void snpu_fw_init(struct snpu_device *snpu);
int snpu_fw_probe(struct snpu_device *snpu);
void snpu_fw_fini(struct snpu_device *snpu);
void snpu_fw_module_exit(void);

extern const struct attribute_group snpu_fw_group;

#endif
