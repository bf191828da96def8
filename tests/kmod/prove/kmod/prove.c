// SPDX-License-Identifier: MIT
/*
 * One mistake of each kind, so that a kernel's log without complaints means something: loading this
 * with what=NAME makes the mistake and fails. tests/vm/prove.sh looks for the complaint.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/timer.h>

static char *what = "";
module_param(what, charp, 0);

static void prove_use_after_free(void)
{
	volatile char *p = kmalloc(64, GFP_KERNEL);

	kfree((void *)p);
	pr_info("prove: %d\n", p[5]);
}

static void prove_out_of_bounds(void)
{
	volatile char *p = kmalloc(64, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	p[64] = 1;
	kfree((void *)p);
}

static void prove_leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		volatile char *p = kmalloc(1000 + i, GFP_KERNEL);

		p[0] = 1;
	}
}

static void prove_lock_order(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

static void prove_atomic_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	msleep(1);
	spin_unlock(&lock);
}

static void prove_undefined(void)
{
	volatile int shift = 40;

	pr_info("prove: %d\n", 1 << shift);
}

/* Gives back what was never mapped. */
static void prove_dma(void)
{
	struct pci_dev *pdev = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, NULL);

	if (!pdev)
		return;
	dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(48));
	dma_unmap_single(&pdev->dev, 0x123000, 4096, DMA_TO_DEVICE);
	pci_dev_put(pdev);
}

static void prove_timer_fn(struct timer_list *timer)
{
}

/* Frees a timer that runs. */
static void prove_object(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	timer_setup(timer, prove_timer_fn, 0);
	mod_timer(timer, jiffies + HZ);
	kfree(timer);
}

static int __init prove_init(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} mistakes[] = {
		{ "use-after-free", prove_use_after_free }, { "out-of-bounds", prove_out_of_bounds },
		{ "leak", prove_leak }, { "lock-order", prove_lock_order },
		{ "atomic-sleep", prove_atomic_sleep }, { "undefined", prove_undefined },
		{ "dma", prove_dma }, { "object", prove_object },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++)
		if (!strcmp(mistakes[i].name, what))
			mistakes[i].fn();
	return -ECANCELED;
}
module_init(prove_init);

MODULE_DESCRIPTION("Mistakes made on purpose");
MODULE_LICENSE("Dual MIT/GPL");
