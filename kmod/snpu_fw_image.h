/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver asks of a firmware image before it gives it to a card.
 */
#ifndef SNPU_FW_IMAGE_H
#define SNPU_FW_IMAGE_H

#include <linux/types.h>

/**
 * struct snpu_fw_problem - Why an image is refused: "@what is @is, must be @rule@want".
 */
struct snpu_fw_problem {
	/** @what: What is wrong. */
	const char *what;
	/** @is: Its value. */
	__u64 is;
	/** @rule: How it must relate to @want; "": be equal. */
	const char *rule;
	/** @want: What it must be. */
	__u64 want;
};

int snpu_fw_image_check(const void *data, __u64 size, struct snpu_fw_problem *problem);

#endif
