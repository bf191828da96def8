// SPDX-License-Identifier: GPL-2.0-only
/*
 * A PMU for each card, which counts for the whole system and does not sample. Its callbacks run
 * with interrupts off, so they take what can be read from there; an event that is open costs
 * nothing until somebody reads it.
 *
 * An event holds the card it was opened on, not the PMU's: once that is gone, it keeps its last
 * count. Newer kernels take a PMU away while its events are open. On older ones that frees what
 * the events still use, so there a PMU stays until the module goes, which open events prevent, and
 * is used again for the next card in its place; events cannot be opened in between.
 */
#include <drm/drm_print.h>
#include <linux/perf_event.h>

#include "snpu_counters.h"
#include "snpu_device.h"
#include "snpu_pmu.h"

/**
 * enum snpu_pmu_event - What perf's attr.config can be.
 */
enum snpu_pmu_event {
	/** @SNPU_PMU_BUSY: Time on the engine. */
	SNPU_PMU_BUSY,
	/** @SNPU_PMU_JOBS: Jobs that ended. */
	SNPU_PMU_JOBS,
	/** @SNPU_PMU_COUNTER: The engine's first counter; the others follow, see snpu_total. */
	SNPU_PMU_COUNTER = 0x10,
	/** @SNPU_PMU_END: What there is not any more. */
	SNPU_PMU_END = SNPU_PMU_COUNTER + SNPU_TOTALS
};

/**
 * struct snpu_pmu - The PMU of a place on the bus.
 */
struct snpu_pmu {
	/** @base: What perf knows. */
	struct pmu base;
	/** @link: In snpu_pmus. */
	struct list_head link;
	/** @snpu: The card there, NULL: it is gone. Protected by snpu_pmus_lock. */
	struct snpu_device *snpu;
	/** @name: snpu_ and the address with underscores, as perf's syntax wants it. */
	char name[32];
};

static LIST_HEAD(snpu_pmus);
static DEFINE_SPINLOCK(snpu_pmus_lock);	/* protects snpu_pmus and &snpu_pmu.snpu */

/* --- events ----------------------------------------------------------------------------------- */

static u64 snpu_pmu_value(const struct perf_event *event)
{
	struct snpu_device *snpu = event->pmu_private;

	switch (event->attr.config) {
	case SNPU_PMU_BUSY:
		return snpu_counters_busy(snpu);
	case SNPU_PMU_JOBS:
		return atomic64_read(&snpu->jobs_done);
	default:
		return snpu_counters_get(snpu, event->attr.config - SNPU_PMU_COUNTER);
	}
}

static void snpu_pmu_destroy(struct perf_event *event)
{
	struct snpu_device *snpu = event->pmu_private;

	drm_dev_put(&snpu->drm);
}

static int snpu_pmu_event_init(struct perf_event *event)
{
	struct snpu_pmu *pmu = container_of(event->pmu, struct snpu_pmu, base);
	const struct perf_event_attr *attr = &event->attr;
	struct snpu_device *snpu;

	if (attr->type != event->pmu->type)
		return -ENOENT;
	if (is_sampling_event(event) || has_branch_stack(event) || event->cpu < 0)
		return -EINVAL;
	if (attr->config >= SNPU_PMU_END || attr->config1 || attr->config2 ||
	    (attr->config > SNPU_PMU_JOBS && attr->config < SNPU_PMU_COUNTER))
		return -EINVAL;

	spin_lock(&snpu_pmus_lock);
	snpu = pmu->snpu;
	if (snpu)
		drm_dev_get(&snpu->drm);
	spin_unlock(&snpu_pmus_lock);
	if (!snpu)
		return -ENODEV;
	event->pmu_private = snpu;
	event->destroy = snpu_pmu_destroy;
	return 0;
}

static void snpu_pmu_read(struct perf_event *event)
{
	u64 now = snpu_pmu_value(event);

	local64_add(now - local64_xchg(&event->hw.prev_count, now), &event->count);
}

static void snpu_pmu_start(struct perf_event *event, int flags)
{
	local64_set(&event->hw.prev_count, snpu_pmu_value(event));
	event->hw.state = 0;
}

static void snpu_pmu_stop(struct perf_event *event, int flags)
{
	if ((flags & PERF_EF_UPDATE) && !(event->hw.state & PERF_HES_STOPPED))
		snpu_pmu_read(event);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

static int snpu_pmu_add(struct perf_event *event, int flags)
{
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		snpu_pmu_start(event, flags);
	return 0;
}

static void snpu_pmu_del(struct perf_event *event, int flags)
{
	snpu_pmu_stop(event, PERF_EF_UPDATE);
}

/* --- names ------------------------------------------------------------------------------------ */

PMU_FORMAT_ATTR(event, "config:0-7");

static struct attribute *snpu_pmu_format_attrs[] = {
	&format_attr_event.attr,
	NULL
};

static const struct attribute_group snpu_pmu_format_group = {
	.name = "format",
	.attrs = snpu_pmu_format_attrs,
};

static ssize_t snpu_pmu_event_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "event=%#llx\n",
			  container_of(attr, struct perf_pmu_events_attr, attr)->id);
}

#define SNPU_PMU_EVENT(_name, _id)	PMU_EVENT_ATTR_ID(_name, snpu_pmu_event_show, _id)
#define SNPU_PMU_COUNT(_name, _counter)							\
	SNPU_PMU_EVENT(_name, SNPU_PMU_COUNTER + SNPU_COUNTER_##_counter)
#define SNPU_PMU_TEXT(_name, _text)							\
	(&((struct perf_pmu_events_attr[]) { {						\
		.attr = __ATTR(_name, 0444, perf_event_sysfs_show, NULL),		\
		.event_str = _text,							\
	} })[0].attr.attr)

/* A unit, with the factor that leads to it, where an event is not a plain count of its name. */
static struct attribute *snpu_pmu_event_attrs[] = {
	SNPU_PMU_EVENT(busy, SNPU_PMU_BUSY),
	SNPU_PMU_TEXT(busy.unit, "ns"),
	SNPU_PMU_TEXT(busy.scale, "1"),
	SNPU_PMU_EVENT(jobs, SNPU_PMU_JOBS),
	SNPU_PMU_COUNT(packets, PACKETS),
	SNPU_PMU_COUNT(events, EVENTS),
	SNPU_PMU_COUNT(spikes, SPIKES),
	SNPU_PMU_COUNT(synops, SYNOPS),
	SNPU_PMU_COUNT(skipped, SKIPPED),
	SNPU_PMU_COUNT(updates, UPDATES),
	SNPU_PMU_COUNT(cycles, CYCLES),
	SNPU_PMU_EVENT(stalls, SNPU_PMU_COUNTER + SNPU_TOTAL_STALLS),
	SNPU_PMU_COUNT(tlb_misses, TLB_MISSES),
	SNPU_PMU_COUNT(vram_read, VRAM_RD),
	SNPU_PMU_TEXT(vram_read.unit, "bytes"),
	SNPU_PMU_TEXT(vram_read.scale, "1"),
	SNPU_PMU_COUNT(vram_write, VRAM_WR),
	SNPU_PMU_TEXT(vram_write.unit, "bytes"),
	SNPU_PMU_TEXT(vram_write.scale, "1"),
	SNPU_PMU_COUNT(host_read, HOST_RD),
	SNPU_PMU_TEXT(host_read.unit, "bytes"),
	SNPU_PMU_TEXT(host_read.scale, "1"),
	SNPU_PMU_COUNT(host_write, HOST_WR),
	SNPU_PMU_TEXT(host_write.unit, "bytes"),
	SNPU_PMU_TEXT(host_write.scale, "1"),
	SNPU_PMU_COUNT(energy_ideal, ENERGY_IDEAL),
	SNPU_PMU_TEXT(energy_ideal.unit, "Joules"),
	SNPU_PMU_TEXT(energy_ideal.scale, "1e-15"),
	SNPU_PMU_COUNT(energy, ENERGY),
	SNPU_PMU_TEXT(energy.unit, "Joules"),
	SNPU_PMU_TEXT(energy.scale, "1e-15"),
	NULL
};

static const struct attribute_group snpu_pmu_event_group = {
	.name = "events",
	.attrs = snpu_pmu_event_attrs,
};

static const struct attribute_group *snpu_pmu_groups[] = {
	&snpu_pmu_format_group,
	&snpu_pmu_event_group,
	NULL
};

/* --- life ------------------------------------------------------------------------------------- */

static struct snpu_pmu *snpu_pmu_register(const char *name)
{
	struct snpu_pmu *pmu = kzalloc_obj(*pmu);
	int err;

	if (!pmu)
		return ERR_PTR(-ENOMEM);
	strscpy(pmu->name, name, sizeof(pmu->name));
	pmu->base = (struct pmu) {
		.module = THIS_MODULE,
		.attr_groups = snpu_pmu_groups,
		.scope = PERF_PMU_SCOPE_SYS_WIDE,
		.capabilities = PERF_PMU_CAP_NO_EXCLUDE,
		.task_ctx_nr = perf_invalid_context,
		.event_init = snpu_pmu_event_init,
		.add = snpu_pmu_add,
		.del = snpu_pmu_del,
		.start = snpu_pmu_start,
		.stop = snpu_pmu_stop,
		.read = snpu_pmu_read,
	};
	err = perf_pmu_register(&pmu->base, pmu->name, -1);
	if (err) {
		kfree(pmu);
		return ERR_PTR(err);
	}
	spin_lock(&snpu_pmus_lock);
	list_add(&pmu->link, &snpu_pmus);
	spin_unlock(&snpu_pmus_lock);
	return pmu;
}

static void snpu_pmu_unregister(struct snpu_pmu *pmu)
{
	spin_lock(&snpu_pmus_lock);
	list_del(&pmu->link);
	spin_unlock(&snpu_pmus_lock);
	perf_pmu_unregister(&pmu->base);
	kfree(pmu);
}

static struct snpu_pmu *snpu_pmu_find(const char *name)
{
	struct snpu_pmu *pmu, *found = NULL;

	spin_lock(&snpu_pmus_lock);
	list_for_each_entry(pmu, &snpu_pmus, link)
		if (!strcmp(pmu->name, name))
			found = pmu;
	spin_unlock(&snpu_pmus_lock);
	return found;
}

static void snpu_pmu_attach(struct snpu_pmu *pmu, struct snpu_device *snpu)
{
	spin_lock(&snpu_pmus_lock);
	pmu->snpu = snpu;
	spin_unlock(&snpu_pmus_lock);
}

/* For probe. A card works without it. */
void snpu_pmu_init(struct snpu_device *snpu)
{
	struct snpu_pmu *pmu;
	char name[32];

	snprintf(name, sizeof(name), "snpu_%s", dev_name(snpu->drm.dev));
	strreplace(name, ':', '_');
	pmu = snpu_pmu_find(name) ?: snpu_pmu_register(name);
	if (IS_ERR(pmu)) {
		drm_warn(&snpu->drm, "no perf events, error %pe\n", pmu);
		return;
	}
	snpu_pmu_attach(pmu, snpu);
	snpu->pmu = pmu;
}

/* For remove(). */
void snpu_pmu_fini(struct snpu_device *snpu)
{
	if (!snpu->pmu)
		return;
	snpu_pmu_attach(snpu->pmu, NULL);
	if (!SNPU_PMU_STAYS)
		snpu_pmu_unregister(snpu->pmu);
	snpu->pmu = NULL;
}

/* The module goes: no card is left, nor an event. */
void snpu_pmu_exit(void)
{
	struct snpu_pmu *pmu, *next;

	list_for_each_entry_safe(pmu, next, &snpu_pmus, link)
		snpu_pmu_unregister(pmu);
}
