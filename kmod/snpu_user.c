// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits. A card has a fixed number of address spaces and queues, so that one user could take them
 * from all others, by mistake as well. Each user can have half of them; who has CAP_SYS_RESOURCE,
 * all. They are counted when they are taken from the card and until they are given back, which may
 * be a moment after the call that destroyed them, and belong to whoever opened the file.
 *
 * Everything is under the lock of &snpu_device.users, which is never held for long: fences wait for
 * queues to be given back.
 */
#include <drm/snpu_accel.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_user.h"

/* What the card has. */
static u32 snpu_user_total(struct snpu_device *snpu, enum snpu_item item)
{
	return item == SNPU_ITEM_VM ? SNPU_ASIDS - 1 : READ_ONCE(snpu->num_queues);
}

/* What the caller can have. */
static u32 snpu_user_max(struct snpu_device *snpu, enum snpu_item item)
{
	u32 total = snpu_user_total(snpu, item);

	return capable(CAP_SYS_RESOURCE) ? total : max(total / 2, 1u);
}

/* The caller, with a reference. */
struct snpu_user *snpu_user_open(struct snpu_device *snpu)
{
	struct snpu_user *new = kzalloc_obj(*new), *user;

	if (!new)
		return ERR_PTR(-ENOMEM);
	kref_init(&new->refs);
	new->snpu = snpu;
	new->uid = __kuid_val(current_uid());
	xa_lock(&snpu->users);
	user = __xa_cmpxchg(&snpu->users, new->uid, NULL, new, GFP_KERNEL);
	if (!user) {
		user = new;
		new = NULL;
	} else if (xa_is_err(user)) {
		user = ERR_PTR(xa_err(user));
	} else {
		kref_get(&user->refs);
	}
	xa_unlock(&snpu->users);
	kfree(new);
	return user;
}

struct snpu_user *snpu_user_get(struct snpu_user *user)
{
	kref_get(&user->refs);
	return user;
}

static void snpu_user_release(struct kref *refs)
	__releases(&user->snpu->users.xa_lock)
{
	struct snpu_user *user = container_of(refs, struct snpu_user, refs);
	struct snpu_device *snpu = user->snpu;

	__xa_erase(&snpu->users, user->uid);
	xa_unlock(&snpu->users);
	kfree(user);
}

void snpu_user_put(struct snpu_user *user)
{
	kref_put_lock(&user->refs, snpu_user_release, &user->snpu->users.xa_lock);
}

/* -EDQUOT: the user has no more to get. Whether the card has is up to who takes it from there. */
int snpu_user_charge(struct snpu_user *user, enum snpu_item item)
{
	struct snpu_device *snpu = user->snpu;
	u32 max = snpu_user_max(snpu, item);
	int err = -EDQUOT;

	xa_lock(&snpu->users);
	if (user->used[item] < max || max == snpu_user_total(snpu, item)) {
		user->used[item]++;
		snpu->used[item]++;
		err = 0;
	}
	xa_unlock(&snpu->users);
	return err;
}

void snpu_user_uncharge(struct snpu_user *user, enum snpu_item item)
{
	struct snpu_device *snpu = user->snpu;

	xa_lock(&snpu->users);
	user->used[item]--;
	snpu->used[item]--;
	xa_unlock(&snpu->users);
}

void snpu_user_limits(struct snpu_user *user, struct drm_snpu_query_limits *limits)
{
	struct snpu_device *snpu = user->snpu;

	*limits = (struct drm_snpu_query_limits){
		.vms_max = snpu_user_max(snpu, SNPU_ITEM_VM),
		.vms_total = snpu_user_total(snpu, SNPU_ITEM_VM),
		.queues_max = snpu_user_max(snpu, SNPU_ITEM_QUEUE),
		.queues_total = snpu_user_total(snpu, SNPU_ITEM_QUEUE),
	};
	xa_lock(&snpu->users);
	limits->vms_used = user->used[SNPU_ITEM_VM];
	limits->vms_free = limits->vms_total - snpu->used[SNPU_ITEM_VM];
	limits->queues_used = user->used[SNPU_ITEM_QUEUE];
	limits->queues_free = limits->queues_total - snpu->used[SNPU_ITEM_QUEUE];
	xa_unlock(&snpu->users);
}
