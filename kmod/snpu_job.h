/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A job: one descriptor for the card, and what the scheduler needs to bring it there.
 */
#ifndef SNPU_JOB_H_KMOD
#define SNPU_JOB_H_KMOD

#include "snpu_compat.h"
#include "snpu_fw_abi.h"

struct snpu_fence;
struct snpu_queue;

/**
 * struct snpu_job - A job between SUBMIT and the end of its finished fence.
 */
struct snpu_job {
	/** @base: Scheduler's part. */
	struct drm_sched_job base;
	/** @queue: Used by the job. */
	struct snpu_queue *queue;
	/** @fence: Allocated with the job, because run_job() may not. */
	struct snpu_fence *fence;
	/** @armed: @fence was initialised. */
	bool armed;
	/** @desc: As the card will read it; its number is filled in when it is pushed. */
	struct snpu_job_desc desc;
};

extern const struct drm_sched_backend_ops snpu_job_ops;

struct snpu_job *snpu_job_create(struct snpu_queue *queue, u64 client_id);
void snpu_job_destroy(struct snpu_job *job);
void snpu_job_arm(struct snpu_job *job);

#endif
