/* SPDX-License-Identifier: MIT */
/*
 * The command ring, host to firmware. A command is taken when the event ring has room for its reply, copied, and only
 * the copy is checked and obeyed. Commands are obeyed in order; a reply that waits for the engine may come late.
 */
#include "fw.h"

static struct {
	uint32_t head;
	bool complained;		/* about the host's index; once for each time it goes wrong */
} cmds;

union cmd {
	struct snpu_fw_cmd_head head;
	struct snpu_fw_cmd_PING ping;
	struct snpu_fw_cmd_QUEUE_CREATE create;
	struct snpu_fw_cmd_QUEUE_DESTROY destroy;
	struct snpu_fw_cmd_SET_LOG_LEVEL level;
	struct snpu_fw_cmd_CRASH crash;
	uint32_t word[SNPU_FW_MSG_SIZE / 4];
};

static struct snpu_fw_ring *cmd_ring(void)
{
	return ctl_at(SNPU_CTL_CMD_RING);
}

void cmd_init(void)
{
	cmds = (__typeof__(cmds)){ 0 };
	memset(cmd_ring(), 0, sizeof(struct snpu_fw_ring));
}

static int cmd_level(const struct snpu_fw_cmd_SET_LOG_LEVEL *cmd)
{
	if (cmd->pad || cmd->level >= LOG_LEVELS)
		return -FW_EINVAL;
	log_level_set(cmd->level);
	return 0;
}

static int cmd_crash(const struct snpu_fw_cmd_CRASH *cmd)
{
	if (cmd->pad || cmd->how > 2)
		return -FW_EINVAL;
	event_flush();			/* what was finished before is still told */
	crash_on_purpose(cmd->how);
}

/* *later: the reply will be given by whoever finishes the work. */
static int cmd_do(const union cmd *cmd, uint64_t *value, bool *later)
{
	if (cmd->head.pad)
		return -FW_EINVAL;
	switch (cmd->head.op) {
	case SNPU_FW_OP_PING:
		*value = cmd->ping.cookie;
		return 0;
	case SNPU_FW_OP_QUEUE_CREATE:
		return queue_create(&cmd->create);
	case SNPU_FW_OP_QUEUE_DESTROY:
		return queue_destroy(&cmd->destroy, later);
	case SNPU_FW_OP_SET_LOG_LEVEL:
		return cmd_level(&cmd->level);
	case SNPU_FW_OP_CRASH:
		return cmd_crash(&cmd->crash);
	default:
		return -FW_EOPNOTSUPP;
	}
}

static void cmd_one(const union cmd *cmd)
{
	uint64_t value = 0;
	bool later = false;
	int err = cmd_do(cmd, &value, &later);

	if (err)
		log_put(LOG_WARN, "command %lu (op %lu) refused: error %d", cmd->head.id, cmd->head.op, err);
	if (!later)
		event_reply(cmd->head.id, (uint32_t)err, value);
}

/* A tail further ahead than the ring is long says nothing about where the commands are: none is taken until it is right. */
static uint32_t cmd_waiting(void)
{
	uint32_t n = READ_ONCE(cmd_ring()->tail) - cmds.head;

	if (n <= SNPU_CMD_SLOTS) {
		cmds.complained = false;
		return n;
	}
	if (!cmds.complained) {
		cmds.complained = true;
		log_put(LOG_ERROR, "command ring: the host's tail is %lu ahead of head %lu in a ring of %d, ignored",
			n, cmds.head, SNPU_CMD_SLOTS);
	}
	return 0;
}

void cmd_run(void)
{
	union cmd cmd;

	for (uint32_t n = cmd_waiting(); n && event_reserve(); n--) {
		core_fence();		/* the entry is read after the index that announced it */
		memcpy(&cmd, ctl_at(SNPU_CTL_CMD_RING + SNPU_RING_ENTRIES + cmds.head % SNPU_CMD_SLOTS * SNPU_FW_MSG_SIZE),
		       sizeof(cmd));
		core_fence();
		WRITE_ONCE(cmd_ring()->head, ++cmds.head);
		cmd_one(&cmd);
	}
}
