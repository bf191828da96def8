/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The engine's counters as perf events.
 */
#ifndef SNPU_PMU_H
#define SNPU_PMU_H

struct snpu_device;

#ifdef CONFIG_PERF_EVENTS
void snpu_pmu_init(struct snpu_device *snpu);
void snpu_pmu_fini(struct snpu_device *snpu);
void snpu_pmu_exit(void);
#else
static inline void snpu_pmu_init(struct snpu_device *snpu)
{
}

static inline void snpu_pmu_fini(struct snpu_device *snpu)
{
}

static inline void snpu_pmu_exit(void)
{
}
#endif

#endif
