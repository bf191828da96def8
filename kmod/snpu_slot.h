/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A queue's place on the card.
 */
#ifndef SNPU_SLOT_H
#define SNPU_SLOT_H

#include <linux/types.h>

struct snpu_queue;
struct work_struct;

int snpu_slot_take(struct snpu_queue *queue);
void snpu_slot_give(struct snpu_queue *queue);
int snpu_slot_load(struct snpu_queue *queue, u32 flags);
void snpu_slot_unload(struct snpu_queue *queue);
void snpu_slot_release_work(struct work_struct *work);
void snpu_slot_zap_work(struct work_struct *work);

void snpu_slot_kill(struct snpu_queue *queue, u32 flag, int error);
void snpu_slot_lost(struct snpu_queue *queue, int error);
void snpu_slot_freeze(struct snpu_queue *queue);
int snpu_slot_thaw(struct snpu_queue *queue, bool reset);

#endif
