// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands and events. A command is written by whoever needs it and answered by a REPLY event with
 * its id; events are taken in the interrupt handler, because finishing a job is a few loads and a
 * fence. What the firmware writes is read once and checked: a ring index that cannot be, or an
 * event about something that does not exist, must not take the host along. Both rings live in
 * device memory, whose reads cost no round trip on a card that is near; registers are not read
 * here.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <linux/completion.h>
#include <linux/delay.h>

#include "snpu_device.h"
#include "snpu_mbox.h"
#include "snpu_queue.h"

/**
 * struct snpu_mbox_waiter - A caller of snpu_mbox_call(), on its stack; protected by mbox.lock.
 */
struct snpu_mbox_waiter {
	/** @link: In mbox.waiters. */
	struct list_head link;
	/** @done: Completed by the reply, or by snpu_mbox_abort(). */
	struct completion done;
	/** @id: Of the command, and of its reply. */
	u32 id;
	/** @status: What the call returns. */
	int status;
	/** @value: What the firmware answered. */
	u64 value;
};

/**
 * union snpu_mbox_event - An event, copied out of the ring.
 */
union snpu_mbox_event {
	/** @head: Tells which of the following it is. */
	struct snpu_fw_event_head head;
	/** @reply: Answers a command. */
	struct snpu_fw_event_REPLY reply;
	/** @done: A job has finished. */
	struct snpu_fw_event_JOB_DONE done;
	/** @fault: A job has faulted. */
	struct snpu_fw_event_JOB_FAULT fault;
	/** @bytes: The whole message. */
	u8 bytes[SNPU_FW_MSG_SIZE];
};

static struct snpu_fw_ring __iomem *snpu_mbox_ring(struct snpu_device *snpu, u32 offset)
{
	return snpu->ctl + offset;
}

static void __iomem *snpu_mbox_slot(struct snpu_device *snpu, u32 ring, u32 slot)
{
	return snpu->ctl + ring + SNPU_RING_ENTRIES + slot * SNPU_FW_MSG_SIZE;
}

void snpu_mbox_init(struct snpu_device *snpu)
{
	struct snpu_mbox *mbox = &snpu->mbox;

	spin_lock_init(&mbox->lock);
	spin_lock_init(&mbox->event_lock);
	INIT_LIST_HEAD(&mbox->waiters);
	mbox->error = -EIO;
}

/*
 * Forgets what the last firmware left and accepts commands. The core is halted; interrupts that are
 * still under way find an empty ring.
 */
void snpu_mbox_start(struct snpu_device *snpu)
{
	struct snpu_mbox *mbox = &snpu->mbox;
	unsigned long flags;

	spin_lock_irqsave(&mbox->event_lock, flags);
	memset_io(snpu_mbox_ring(snpu, SNPU_CTL_EVENT_RING), 0, sizeof(struct snpu_fw_ring));
	mbox->event_head = 0;
	spin_unlock_irqrestore(&mbox->event_lock, flags);

	spin_lock_irqsave(&mbox->lock, flags);
	memset_io(snpu_mbox_ring(snpu, SNPU_CTL_CMD_RING), 0, sizeof(struct snpu_fw_ring));
	mbox->cmd_tail = 0;
	if (mbox->error != -ENODEV)	/* remove() waits for the reset that boots this firmware */
		mbox->error = 0;
	spin_unlock_irqrestore(&mbox->lock, flags);
}

/* Refuses commands from now on; those that wait return @error at once. */
void snpu_mbox_abort(struct snpu_device *snpu, int error)
{
	struct snpu_mbox *mbox = &snpu->mbox;
	struct snpu_mbox_waiter *w;
	unsigned long flags;

	spin_lock_irqsave(&mbox->lock, flags);
	if (mbox->error != -ENODEV)	/* for good */
		mbox->error = error;
	list_for_each_entry(w, &mbox->waiters, link) {
		w->status = mbox->error;
		complete(&w->done);
	}
	spin_unlock_irqrestore(&mbox->lock, flags);
}

/* -EAGAIN: the ring is full. @w may be NULL for a command without a reply. */
static int snpu_mbox_put(struct snpu_device *snpu, struct snpu_fw_cmd_head *cmd, size_t size,
			 struct snpu_mbox_waiter *w)
{
	struct snpu_fw_ring __iomem *ring = snpu_mbox_ring(snpu, SNPU_CTL_CMD_RING);
	struct snpu_mbox *mbox = &snpu->mbox;
	u8 msg[SNPU_FW_MSG_SIZE] = {};
	u32 used;

	lockdep_assert_held(&mbox->lock);

	if (mbox->error)
		return mbox->error;
	used = mbox->cmd_tail - readl(&ring->head);
	if (used > SNPU_CMD_SLOTS)
		return -EPROTO;
	if (used == SNPU_CMD_SLOTS)
		return -EAGAIN;

	cmd->id = mbox->next_id++;
	memcpy(msg, cmd, size);
	memcpy_toio(snpu_mbox_slot(snpu, SNPU_CTL_CMD_RING, mbox->cmd_tail % SNPU_CMD_SLOTS), msg,
		    sizeof(msg));
	if (w) {
		w->id = cmd->id;
		list_add_tail(&w->link, &mbox->waiters);
	}
	wmb();	/* the entry before the index that announces it */
	writel(++mbox->cmd_tail, &ring->tail);
	return 0;
}

static int snpu_mbox_put_wait(struct snpu_device *snpu, struct snpu_fw_cmd_head *cmd, size_t size,
			      struct snpu_mbox_waiter *w)
{
	unsigned long end = jiffies + msecs_to_jiffies(SNPU_MBOX_TIMEOUT_MS);
	int err;

	for (;;) {
		spin_lock_irq(&snpu->mbox.lock);
		err = snpu_mbox_put(snpu, cmd, size, w);
		spin_unlock_irq(&snpu->mbox.lock);
		if (err != -EAGAIN)
			break;
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		usleep_range(1000, 2000);
	}
	if (!err) {
		wmb();	/* the index before the doorbell */
		snpu_write(snpu, SNPU_REG_CMD_DOORBELL, 1);
	}
	return err;
}

/*
 * Sends a command and waits for its reply. The caller is inside drm_dev_enter(). Returns the
 * firmware's errno, -ETIMEDOUT when there was no reply, or what snpu_mbox_abort() gave.
 */
int snpu_mbox_call(struct snpu_device *snpu, struct snpu_fw_cmd_head *cmd, size_t size, u64 *value)
{
	struct snpu_mbox_waiter w = { .status = -ETIMEDOUT };
	struct snpu_mbox *mbox = &snpu->mbox;
	int err;

	init_completion(&w.done);
	err = snpu_mbox_put_wait(snpu, cmd, size, &w);
	if (err)
		return err;

	wait_for_completion_timeout(&w.done, msecs_to_jiffies(SNPU_MBOX_TIMEOUT_MS));
	spin_lock_irq(&mbox->lock);
	list_del(&w.link);
	spin_unlock_irq(&mbox->lock);
	if (value)
		*value = w.value;
	return w.status;
}

/* For CRASH, which gives no reply. */
void snpu_mbox_send(struct snpu_device *snpu, struct snpu_fw_cmd_head *cmd, size_t size)
{
	snpu_mbox_put_wait(snpu, cmd, size, NULL);
}

/* What the firmware may say; other numbers have a meaning of their own here. */
static int snpu_mbox_status(u32 status)
{
	switch ((int)status) {
	case 0:
	case -EINVAL:
	case -EBUSY:
	case -ENOENT:
	case -EOPNOTSUPP:
		return status;
	case -EIO:	/* of a job; the driver's own is of the card */
		return -EREMOTEIO;
	default:
		return -EPROTO;
	}
}

static bool snpu_mbox_reply(struct snpu_device *snpu, const struct snpu_fw_event_REPLY *reply)
{
	struct snpu_mbox *mbox = &snpu->mbox;
	struct snpu_mbox_waiter *w;
	bool found = false;

	spin_lock(&mbox->lock);
	list_for_each_entry(w, &mbox->waiters, link) {
		if (w->id != reply->id || completion_done(&w->done))
			continue;
		w->status = snpu_mbox_status(reply->status);
		w->value = reply->value;
		complete(&w->done);
		found = true;
		break;
	}
	spin_unlock(&mbox->lock);
	return found;
}

static bool snpu_mbox_dispatch(struct snpu_device *snpu, const union snpu_mbox_event *ev)
{
	switch (ev->head.type) {
	case SNPU_FW_EVENT_REPLY:
		return snpu_mbox_reply(snpu, &ev->reply);
	case SNPU_FW_EVENT_JOB_DONE:
		return snpu_queue_job_done(snpu, &ev->done);
	case SNPU_FW_EVENT_JOB_FAULT:
		return snpu_queue_job_fault(snpu, &ev->fault);
	default:
		return false;
	}
}

/* Events taken, or -EPROTO. */
static int snpu_mbox_take(struct snpu_device *snpu)
{
	struct snpu_fw_ring __iomem *ring = snpu_mbox_ring(snpu, SNPU_CTL_EVENT_RING);
	struct snpu_mbox *mbox = &snpu->mbox;
	u32 head = mbox->event_head, tail = readl(&ring->tail), n = tail - head;
	union snpu_mbox_event ev;
	void __iomem *slot;

	lockdep_assert_held(&mbox->event_lock);

	if (!n)
		return 0;
	if (n > SNPU_EVENT_SLOTS)
		return -EPROTO;
	rmb();	/* the index before the entries it announced */
	for (; head != tail; head++) {
		slot = snpu_mbox_slot(snpu, SNPU_CTL_EVENT_RING, head % SNPU_EVENT_SLOTS);
		memcpy_fromio(&ev, slot, sizeof(ev));
		if (!snpu_mbox_dispatch(snpu, &ev)) {
			mbox->bad_events++;
			drm_dbg(&snpu->drm, "event %u of type %u dropped: nobody waits for it\n",
				head, ev.head.type);
		}
	}
	mbox->event_head = head;
	writel(head, &ring->head);
	mb();	/* the index before asking whether the firmware waits for it */
	if (readl(&snpu_fw_header(snpu)->event_waiting))
		snpu_write(snpu, SNPU_REG_CMD_DOORBELL, 1);
	return n;
}

/*
 * Takes all events there are; true when there were any. Called by the interrupt handler, and by the
 * watchdog in case an interrupt was lost. The caller is inside drm_dev_enter().
 */
bool snpu_mbox_poll(struct snpu_device *snpu)
{
	struct snpu_mbox *mbox = &snpu->mbox;
	unsigned long flags;
	int n = 0;

	spin_lock_irqsave(&mbox->event_lock, flags);
	if (!READ_ONCE(mbox->error))
		n = snpu_mbox_take(snpu);
	spin_unlock_irqrestore(&mbox->event_lock, flags);
	if (n < 0)
		snpu_reset_schedule(snpu, "the firmware's event index is out of range");
	return n > 0;
}

/* The last events of a firmware that was halted. What it did not tell, its queues' contexts do. */
void snpu_mbox_drain(struct snpu_device *snpu)
{
	struct snpu_mbox *mbox = &snpu->mbox;
	unsigned long flags;

	spin_lock_irqsave(&mbox->event_lock, flags);
	snpu_mbox_take(snpu);
	spin_unlock_irqrestore(&mbox->event_lock, flags);
}
