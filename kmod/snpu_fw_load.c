// SPDX-License-Identifier: GPL-2.0-only
/*
 * Getting firmware: finding the file, verifying it, and putting it into the card in place of what
 * ran there, in probe and whenever somebody writes to fw_reload. Without firmware the card stays
 * bound, and all that goes is what needs no firmware.
 *
 * Files are read and verified by whoever asks, under fw.lock, and may take as long as they like.
 * The card is touched in a work on the workqueue of resets, so that resets and the watchdog are out
 * of the way; it allocates nothing, because fences wait for that workqueue.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/device.h>
#include <linux/dma-fence.h>
#include <linux/firmware.h>
#include <linux/module.h>
#include <linux/xarray.h>

#include "snpu_device.h"
#include "snpu_fw.h"
#include "snpu_fw_image.h"
#include "snpu_fw_sig.h"

#define SNPU_FW_SIG_MAX		SZ_64K

MODULE_FIRMWARE(SNPU_FW_NAME);
MODULE_FIRMWARE(SNPU_FW_NAME ".p7s");

/* fw.min_security of each card by its serial number: a card may come back without its memory. */
static DEFINE_XARRAY(snpu_fw_min_security);

/* --- finding and verifying -------------------------------------------------------------------- */

/*
 * The name of the n-th file to try; false: there are no more. Any minor version of the ABI will do,
 * so the name without one comes first, and is mostly all that is looked for: some kernels log every
 * name that is not there. Then those with a minor version, from the driver's down.
 */
static bool snpu_fw_file(u32 n, char *name, size_t size)
{
	if (!n)
		strscpy(name, SNPU_FW_NAME, size);
	else if (n <= SNPU_FW_ABI_MINOR + 1)
		snprintf(name, size, "snpu/snpu-fw-%u.%u.bin", SNPU_FW_ABI_MAJOR,
			 SNPU_FW_ABI_MINOR + 1 - n);
	return n <= SNPU_FW_ABI_MINOR + 1;
}

static int snpu_fw_find(struct snpu_device *snpu, const struct firmware **fw, char *name,
			size_t size)
{
	char tried[160] = "";
	int err = -ENOENT;
	size_t len = 0;
	u32 n;

	for (n = 0; err == -ENOENT && snpu_fw_file(n, name, size); n++) {
		err = firmware_request_nowarn(fw, name, snpu->drm.dev);
		len += scnprintf(tried + len, sizeof(tried) - len, "%s%s", n ? ", " : "", name);
	}
	if (err)
		drm_err(&snpu->drm, "no firmware: %s cannot be read, error %d; %s\n",
			tried, err, SNPU_FW_NEXT);
	return err;
}

/* Over what will run, not over what was read: the blob is a copy that nobody else can change. */
static int snpu_fw_signature(struct snpu_device *snpu, struct snpu_fw_blob *blob)
{
	char name[sizeof(blob->name) + 4];
	const struct firmware *sig;
	const char *signer;
	int err;

	snprintf(name, sizeof(name), "%s.p7s", blob->name);
	err = firmware_request_nowarn(&sig, name, snpu->drm.dev);
	if (err)
		return err == -ENOENT ? -ENODATA : err;
	err = -EFBIG;
	if (sig->size <= SNPU_FW_SIG_MAX)
		err = snpu_fw_sig_verify(blob->data, blob->size, sig, &signer);
	release_firmware(sig);
	if (!err)
		blob->signer = signer;
	return err;
}

static int snpu_fw_verify(struct snpu_device *snpu, struct snpu_fw_blob *blob)
{
	int err = snpu_fw_signature(snpu, blob);
	const char *why, *also = "";
	bool foreign = true;

	switch (err) {
	case 0:
		return 0;
	case -ENODATA:
		why = "it is not signed, there is no such file with .p7s";
		break;
	case -ENOKEY:
		why = "it is signed with a key that is not trusted here";
		break;
	case -ENOPKG:
		why = "this kernel does not know the algorithm of its signature";
		break;
	default:
		why = "its signature is bad, or cannot be read";
		foreign = false;
	}
	if (foreign && snpu_fw_sig_optional())
		return 0;
	if (foreign && snpu_fw_sig_warns())
		also = ", and fw_sig=warn is not obeyed while the kernel is locked down";
	drm_err(&snpu->drm, "firmware %s: %s (error %d)%s; %s\n", blob->name, why, err, also,
		SNPU_FW_NEXT);
	return err;
}

static int snpu_fw_check(struct snpu_device *snpu, struct snpu_fw_blob *blob)
{
	struct snpu_fw_problem p;
	int err;

	err = snpu_fw_image_check(blob->data, blob->size, &p);
	if (err) {
		drm_err(&snpu->drm, "firmware %s: %s is %#llx, must be %s%#llx; %s\n",
			blob->name, p.what, p.is, p.rule, p.want, SNPU_FW_NEXT);
		return err;
	}
	blob->security = ((const struct snpu_fw_image *)blob->data)->security_version;
	if (blob->security < snpu->fw.min_security) {
		drm_err(&snpu->drm, "firmware %s: its security version is %u, and the card has run %u; %s\n",
			blob->name, blob->security, snpu->fw.min_security, SNPU_FW_NEXT);
		return -EPERM;
	}
	return 0;
}

/* A copy of the file. */
static struct snpu_fw_blob *snpu_fw_read(struct snpu_device *snpu)
{
	char name[sizeof_field(struct snpu_fw_blob, name)];
	struct snpu_fw_blob *blob = NULL;
	const struct firmware *fw;
	int err;

	err = snpu_fw_find(snpu, &fw, name, sizeof(name));
	if (err)
		return ERR_PTR(err);
	if (fw->size > SNPU_FW_MAX_SIZE) {
		drm_err(&snpu->drm, "firmware %s: the size of the file is %#zx, must be at most %#x; %s\n",
			name, fw->size, SNPU_FW_MAX_SIZE, SNPU_FW_NEXT);
		err = -EINVAL;
	} else {
		blob = kvzalloc(struct_size(blob, data, fw->size), GFP_KERNEL);
		if (!blob)
			err = -ENOMEM;
	}
	if (blob) {
		blob->size = fw->size;
		memcpy(blob->data, fw->data, fw->size);
		strscpy(blob->name, name);
	}
	release_firmware(fw);
	return blob ?: ERR_PTR(err);
}

static struct snpu_fw_blob *snpu_fw_load(struct snpu_device *snpu)
{
	struct snpu_fw_blob *blob = snpu_fw_read(snpu);
	int err;

	if (IS_ERR(blob))
		return blob;
	err = snpu_fw_verify(snpu, blob);
	err = err ?: snpu_fw_check(snpu, blob);
	if (!err)
		return blob;
	kvfree(blob);
	return ERR_PTR(err);
}

/* --- putting it into the card ----------------------------------------------------------------- */

static bool snpu_fw_in_use(struct snpu_device *snpu)
{
	bool used;

	spin_lock_irq(&snpu->queues_lock);
	used = memchr_inv(snpu->queues, 0, sizeof(snpu->queues));
	spin_unlock_irq(&snpu->queues_lock);
	return used;
}

/* The card is quiet and takes no commands. */
static void snpu_fw_give_up(struct snpu_device *snpu)
{
	snpu_mbox_abort(snpu, -EIO);
	snpu_fw_stop(snpu);
	if (snpu->fw.blob) {
		snpu->reset.broken = true;
		return;
	}
	WRITE_ONCE(snpu->fw_version, 0);
	WRITE_ONCE(snpu->fw_abi, 0);
	WRITE_ONCE(snpu->num_queues, 0);
}

/* Boots fw.next. When that fails, what ran before is booted again, and fw.next stays. */
static int snpu_fw_switch(struct snpu_device *snpu)
{
	struct snpu_fw *fw = &snpu->fw;
	int err;

	lockdep_assert_held_write(&snpu->reset.sem);

	if (snpu_fw_in_use(snpu))
		return -EBUSY;
	swap(fw->blob, fw->next);
	err = snpu_fw_boot(snpu);
	if (!err) {
		snpu->reset.broken = false;
		return 0;
	}
	swap(fw->blob, fw->next);
	if (snpu_fw_boot(snpu))
		snpu_fw_give_up(snpu);
	return err;
}

static void snpu_fw_work(struct work_struct *work)
{
	struct snpu_device *snpu = container_of(work, struct snpu_device, fw.work);
	bool cookie = dma_fence_begin_signalling();
	struct snpu_fw *fw = &snpu->fw;
	int idx;

	/* Looked at twice: who has a queue may hold the lock for long. */
	if (snpu_fw_in_use(snpu)) {
		fw->result = -EBUSY;
	} else if (drm_dev_enter(&snpu->drm, &idx)) {
		down_write(&snpu->reset.sem);
		if (snpu->pm.away)	/* somebody else resets it */
			fw->result = -EBUSY;
		else if (pci_device_is_present(to_pci_dev(snpu->drm.dev)))
			fw->result = snpu_fw_switch(snpu);
		up_write(&snpu->reset.sem);
		if (!fw->result)
			snpu_device_announce(snpu);
		snpu_watchdog_restart(snpu);
		drm_dev_exit(idx);
	}
	dma_fence_end_signalling(cookie);
}

static int snpu_fw_reload_locked(struct snpu_device *snpu)
{
	struct snpu_fw *fw = &snpu->fw;
	struct snpu_fw_blob *next;

	lockdep_assert_held(&fw->lock);

	next = snpu_fw_load(snpu);
	if (IS_ERR(next))
		return PTR_ERR(next);
	fw->next = next;
	fw->result = -ENODEV;	/* when the work does not run, because the card is going away */
	queue_work(snpu->reset.wq, &fw->work);
	flush_work(&fw->work);
	kvfree(fw->next);
	fw->next = NULL;
	/* What an unsigned image says of itself is only a claim. */
	if (!fw->result && fw->blob->signer) {
		fw->min_security = fw->blob->security;
		xa_store(&snpu_fw_min_security, snpu->serial, xa_mk_value(fw->min_security),
			 GFP_KERNEL);
	}
	return fw->result;
}

static int snpu_fw_reload(struct snpu_device *snpu)
{
	int idx, err;

	if (!snpu_device_enter(snpu, &idx))
		return -ENODEV;
	err = mutex_lock_interruptible(&snpu->fw.lock);
	if (!err) {
		err = snpu_fw_reload_locked(snpu);
		mutex_unlock(&snpu->fw.lock);
	}
	snpu_device_exit(snpu, idx);
	return err;
}

/* --- life ------------------------------------------------------------------------------------- */

static void snpu_fw_release(struct drm_device *drm, void *data)
{
	struct snpu_fw *fw = data;

	kvfree(fw->blob);
	mutex_destroy(&fw->lock);
}

void snpu_fw_init(struct snpu_device *snpu)
{
	mutex_init(&snpu->fw.lock);
	INIT_WORK(&snpu->fw.work, snpu_fw_work);
}

/*
 * The first load, in probe. Firmware that is missing or no good leaves the card without, which is
 * no error; a card that does not work is.
 */
int snpu_fw_probe(struct snpu_device *snpu)
{
	void *known = xa_load(&snpu_fw_min_security, snpu->serial);
	struct snpu_fw *fw = &snpu->fw;
	int err;

	fw->min_security = max_t(u32, known ? xa_to_value(known) : 0,
				 snpu_read(snpu, SNPU_REG_FW_MIN_SECURITY));
	/* Makes room, too: storing another value later cannot fail. */
	err = xa_err(xa_store(&snpu_fw_min_security, snpu->serial, xa_mk_value(fw->min_security),
			      GFP_KERNEL));
	if (err)
		return err;
	err = drmm_add_action_or_reset(&snpu->drm, snpu_fw_release, fw);
	if (err)
		return err;
	err = snpu_fw_reload(snpu);
	return err == -ENODEV || err == -ENOMEM || err == -ETIMEDOUT || err == -EINTR ? err : 0;
}

/* After this the firmware stays as it is. */
void snpu_fw_fini(struct snpu_device *snpu)
{
	disable_work_sync(&snpu->fw.work);
}

void snpu_fw_module_exit(void)
{
	xa_destroy(&snpu_fw_min_security);
}

/* --- sysfs ------------------------------------------------------------------------------------ */

static ssize_t fw_signature_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct snpu_device *snpu = dev_get_drvdata(dev);
	const char *signer = NULL;
	bool none;

	down_read(&snpu->reset.sem);
	none = !snpu->fw.blob;
	if (!none)
		signer = snpu->fw.blob->signer;
	up_read(&snpu->reset.sem);
	if (signer)
		return sysfs_emit(buf, "ok:%s\n", signer);
	return sysfs_emit(buf, none ? "none\n" : "unsigned\n");
}
static DEVICE_ATTR_RO(fw_signature);

static ssize_t fw_reload_store(struct device *dev, struct device_attribute *attr, const char *buf,
			       size_t count)
{
	struct snpu_device *snpu = dev_get_drvdata(dev);
	bool yes;
	int err;

	err = kstrtobool(buf, &yes);
	if (!err && !yes)
		err = -EINVAL;
	err = err ?: snpu_fw_reload(snpu);
	return err ?: count;
}
static DEVICE_ATTR_WO(fw_reload);

static struct attribute *snpu_fw_attrs[] = {
	&dev_attr_fw_signature.attr,
	&dev_attr_fw_reload.attr,
	NULL
};

const struct attribute_group snpu_fw_group = {
	.attrs = snpu_fw_attrs,
};
