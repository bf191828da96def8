/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each user has of a card's address spaces and queues.
 */
#ifndef SNPU_USER_H
#define SNPU_USER_H

#include <linux/kref.h>
#include <linux/types.h>

struct drm_snpu_query_limits;
struct snpu_device;

/**
 * enum snpu_item - What is counted.
 */
enum snpu_item {
	/** @SNPU_ITEM_VM: Address spaces. */
	SNPU_ITEM_VM,
	/** @SNPU_ITEM_QUEUE: Queues. */
	SNPU_ITEM_QUEUE,
	/** @SNPU_ITEMS: Number of kinds. */
	SNPU_ITEMS,
};

/**
 * struct snpu_user - A user of a card, while something of the card is open or in use.
 *
 * Everything here is under the lock of &snpu_device.users.
 */
struct snpu_user {
	/** @refs: Open files and address spaces. */
	struct kref refs;
	/** @snpu: Card. */
	struct snpu_device *snpu;
	/** @uid: Who, in the kernel's own numbers. */
	u32 uid;
	/** @used: How many of each. */
	u32 used[SNPU_ITEMS];
};

struct snpu_user *snpu_user_open(struct snpu_device *snpu);
struct snpu_user *snpu_user_get(struct snpu_user *user);
void snpu_user_put(struct snpu_user *user);
int snpu_user_charge(struct snpu_user *user, enum snpu_item item);
void snpu_user_uncharge(struct snpu_user *user, enum snpu_item item);
void snpu_user_limits(struct snpu_user *user, struct drm_snpu_query_limits *limits);

#endif
