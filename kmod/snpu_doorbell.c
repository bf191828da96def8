// SPDX-License-Identifier: GPL-2.0-only
/*
 * The doorbell page of a user queue is a GEM object over one page of BAR 4. A mapping is filled by
 * a fault and taken away whenever its page must not be rung: when the queue ends (before its slot
 * is given to another), when the card is reset, and when nobody rings it any more, so that the card
 * may sleep. After the queue's end a mapping shows an ordinary page of its own.
 *
 * Faults come with the mmap lock held and allocate, so nothing here runs where fences wait.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_doorbell.h"
#include "snpu_gem.h"
#include "snpu_queue.h"
#include "snpu_trace.h"
#include "snpu_uqueue.h"

/* So long without a job before mappings are taken away. */
#define SNPU_DOORBELL_IDLE	msecs_to_jiffies(500)

static struct snpu_doorbell *to_snpu_doorbell(struct drm_gem_object *obj)
{
	return container_of(obj, struct snpu_doorbell, base);
}

static struct snpu_doorbell_state *snpu_doorbell_state(struct snpu_doorbell *doorbell)
{
	return &to_snpu(doorbell->base.dev)->doorbell;
}

/* --- mappings --------------------------------------------------------------------------------- */

static void snpu_doorbell_unmap(struct snpu_doorbell *doorbell)
{
	lockdep_assert_held(&snpu_doorbell_state(doorbell)->lock);

	drm_vma_node_unmap(&doorbell->base.vma_node, doorbell->base.dev->anon_inode->i_mapping);
}

/* When it returns, no mapping reaches the card until the next fault finds that it may. */
void snpu_doorbell_zap(struct snpu_doorbell *doorbell)
{
	mutex_lock(&snpu_doorbell_state(doorbell)->lock);
	snpu_doorbell_unmap(doorbell);
	mutex_unlock(&snpu_doorbell_state(doorbell)->lock);
}

static void snpu_doorbells_wake(struct snpu_doorbell_state *doorbells)
{
	lockdep_assert_held(&doorbells->lock);

	if (doorbells->awake)
		return;
	snpu_pm_get(container_of(doorbells, struct snpu_device, doorbell));
	WRITE_ONCE(doorbells->awake, true);
	queue_delayed_work(snpu_wq, &doorbells->idle_work, SNPU_DOORBELL_IDLE);
}

/* False: the queue is not on the card. The caller is inside snpu_device_enter(). */
static bool snpu_doorbell_map(struct snpu_doorbell *doorbell, struct vm_fault *vmf, vm_fault_t *ret)
{
	struct snpu_doorbell_state *doorbells = snpu_doorbell_state(doorbell);
	struct snpu_device *snpu = to_snpu(doorbell->base.dev);
	u32 slot;
	bool on;

	/*
	 * A reset ends before the page comes back. Not held on to: mapping allocates, and resets
	 * must not wait for that.
	 */
	down_read(&snpu->reset.sem);
	up_read(&snpu->reset.sem);

	mutex_lock(&doorbells->lock);
	on = snpu_queue_rings(doorbell->queue, &slot);
	if (on) {
		phys_addr_t phys = pci_resource_start(to_pci_dev(snpu->drm.dev),
						      SNPU_BAR_DOORBELL);

		snpu_doorbells_wake(doorbells);
		atomic_inc(&doorbells->faults);
		trace_snpu_doorbell_map(doorbell->queue, slot);
		*ret = vmf_insert_pfn(vmf->vma, vmf->address & PAGE_MASK,
				      PHYS_PFN(phys + (phys_addr_t)slot * SNPU_DOORBELL_STRIDE));
	}
	mutex_unlock(&doorbells->lock);
	if (on)
		snpu_watchdog_arm(snpu);
	return on;
}

static vm_fault_t snpu_doorbell_fault(struct vm_fault *vmf)
{
	struct snpu_doorbell *doorbell = to_snpu_doorbell(vmf->vma->vm_private_data);
	struct snpu_device *snpu = to_snpu(doorbell->base.dev);
	vm_fault_t ret = VM_FAULT_NOPAGE;
	bool mapped = false;
	int idx;

	if (snpu_device_enter(snpu, &idx)) {
		mapped = !snpu_pm_map_begin(snpu);
		if (!mapped) {
			mapped = snpu_doorbell_map(doorbell, vmf, &ret);
			snpu_pm_map_end(snpu);
		}
		snpu_device_exit(snpu, idx);
	}
	if (!mapped)
		ret = snpu_gem_fault_dummy(vmf, &snpu_doorbell_state(doorbell)->lock,
					   &doorbell->dummy);
	return ret;
}

/* One page stays one page. */
static int snpu_doorbell_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static const struct vm_operations_struct snpu_doorbell_vm_ops = {
	.fault = snpu_doorbell_fault,
	.may_split = snpu_doorbell_may_split,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

/* Not inherited: a child would ring for its parent. */
static int snpu_doorbell_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return 0;
}

static struct dma_buf *snpu_doorbell_export(struct drm_gem_object *obj, int flags)
{
	return ERR_PTR(-EOPNOTSUPP);
}

/* --- life ------------------------------------------------------------------------------------- */

static void snpu_doorbell_free(struct drm_gem_object *obj)
{
	struct snpu_doorbell *doorbell = to_snpu_doorbell(obj);

	drm_gem_object_release(obj);
	if (doorbell->dummy)
		__free_page(doorbell->dummy);
	snpu_queue_put(doorbell->queue);
	kfree(doorbell);
}

static const struct drm_gem_object_funcs snpu_doorbell_funcs = {
	.free = snpu_doorbell_free,
	.export = snpu_doorbell_export,
	.mmap = snpu_doorbell_mmap,
	.vm_ops = &snpu_doorbell_vm_ops,
};

struct snpu_doorbell *snpu_doorbell_create(struct snpu_queue *queue)
{
	struct snpu_doorbell *doorbell = kzalloc(sizeof(*doorbell), GFP_KERNEL_ACCOUNT);
	int err;

	if (!doorbell)
		return ERR_PTR(-ENOMEM);
	doorbell->queue = snpu_queue_get(queue);
	doorbell->base.funcs = &snpu_doorbell_funcs;
	drm_gem_private_object_init(&queue->snpu->drm, &doorbell->base, PAGE_SIZE);
	err = drm_gem_create_mmap_offset(&doorbell->base);
	if (err) {
		drm_gem_object_put(&doorbell->base);
		return ERR_PTR(err);
	}
	return doorbell;
}

/* --- nobody rings any more -------------------------------------------------------------------- */

static void snpu_doorbells_unmap(struct snpu_device *snpu)
{
	u32 slot;

	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		struct snpu_queue *queue = snpu_queue_at(snpu, slot);

		if (!queue)
			continue;
		/* One that is being torn down may have lost its doorbell. */
		if (queue->doorbell && snpu_queue_use(queue)) {
			snpu_doorbell_unmap(queue->doorbell);
			snpu_queue_unuse(queue);
		}
		snpu_queue_put(queue);
	}
}

/*
 * Takes every mapping away, then looks whether somebody rang at the last moment: what was rung has
 * reached the card when DOORBELL_SYNC was read.
 */
static bool snpu_doorbells_sleep(struct snpu_device *snpu)
{
	snpu_doorbells_unmap(snpu);
	snpu_read(snpu, SNPU_REG_DOORBELL_SYNC);
	return !snpu_uqueue_work(snpu, NULL);
}

static void snpu_doorbells_idle_work(struct work_struct *work)
{
	struct snpu_device *snpu = container_of(work, struct snpu_device,
						doorbell.idle_work.work);
	struct snpu_doorbell_state *doorbells = &snpu->doorbell;
	u64 jobs;
	int idx;

	if (!snpu_device_enter(snpu, &idx))
		return;
	mutex_lock(&doorbells->lock);
	if (!snpu_uqueue_work(snpu, &jobs) && jobs == doorbells->jobs)
		WRITE_ONCE(doorbells->awake, !snpu_doorbells_sleep(snpu));
	doorbells->jobs = jobs;
	if (doorbells->awake)
		queue_delayed_work(snpu_wq, &doorbells->idle_work, SNPU_DOORBELL_IDLE);
	else
		snpu_pm_put(snpu);
	mutex_unlock(&doorbells->lock);
	snpu_device_exit(snpu, idx);
}

/*
 * Takes every mapping away; the caller made sure that none comes back. Whether somebody still rings
 * is looked at again after snpu_doorbells_resume().
 */
void snpu_doorbells_pause(struct snpu_device *snpu)
{
	disable_delayed_work_sync(&snpu->doorbell.idle_work);
	mutex_lock(&snpu->doorbell.lock);
	snpu_doorbells_unmap(snpu);
	mutex_unlock(&snpu->doorbell.lock);
}

void snpu_doorbells_resume(struct snpu_device *snpu)
{
	enable_delayed_work(&snpu->doorbell.idle_work);
	if (READ_ONCE(snpu->doorbell.awake))
		queue_delayed_work(snpu_wq, &snpu->doorbell.idle_work, SNPU_DOORBELL_IDLE);
}

/* After this nothing is mapped and nothing runs; drm_dev_unplug() took the mappings away. */
void snpu_doorbells_fini(struct snpu_device *snpu)
{
	disable_delayed_work_sync(&snpu->doorbell.idle_work);
	if (snpu->doorbell.awake)
		snpu_pm_put(snpu);
}

int snpu_doorbells_init(struct snpu_device *snpu)
{
	INIT_DELAYED_WORK(&snpu->doorbell.idle_work, snpu_doorbells_idle_work);
	return drmm_mutex_init(&snpu->drm, &snpu->doorbell.lock);
}
