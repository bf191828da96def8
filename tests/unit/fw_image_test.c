/* SPDX-License-Identifier: MIT */
/*
 * The firmware image as it is shipped, run on the bench from outside as a host would drive it: boot, a job, a full
 * event ring, crashes, a hostile host. And what mkfw makes and refuses.
 */
#include <nettle/sha2.h>
#include <stdlib.h>

#include "firmware/version.h"
#include "fw_bus.h"
#include "tests/harness.h"

#define GOOD		FW_DIR "/snpu/snpu-fw-1.bin"
#define STEPS		1000000u	/* instructions that any answer takes at the very most */

FIXTURE(fw) {
	struct fw_bus *bus;
	struct snpu_fw_image head;
	struct snpu_fw_header *header;
	struct snpu_fw_ring *cmds, *events;
};

static void *ctl(struct fw_bus *bus, uint32_t offset)
{
	return bus->ctl + offset;
}

FIXTURE_SETUP(fw)
{
	(void)variant;
	self->bus = malloc(sizeof(*self->bus));
	ASSERT_TRUE(self->bus);
	ASSERT_TRUE(fw_bus_load(self->bus, GOOD, &self->head));
	self->header = ctl(self->bus, SNPU_CTL_HEADER);
	self->cmds = ctl(self->bus, SNPU_CTL_CMD_RING);
	self->events = ctl(self->bus, SNPU_CTL_EVENT_RING);
	memset(self->bus->ctl, 0x5a, sizeof(self->bus->ctl));	/* device memory is not clean at boot */
	self->header->magic = 0;
	ASSERT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
	ASSERT_EQ(self->header->magic, SNPU_FW_HEADER_MAGIC);
}

FIXTURE_TEARDOWN(fw)
{
	free(self->bus);
}

static void send(struct fw *self, uint32_t id, uint32_t op, void *cmd, size_t size)
{
	struct snpu_fw_cmd_head *head = cmd;

	head->id = id;
	head->op = op;
	memcpy(ctl(self->bus, SNPU_CTL_CMD_RING + SNPU_RING_ENTRIES + self->cmds->tail % SNPU_CMD_SLOTS * SNPU_FW_MSG_SIZE), cmd, size);
	self->cmds->tail++;
	fw_bus_cmd_ring(self->bus);
}

/* Takes the next event, NULL when there is none. */
static const void *event(struct fw *self)
{
	if (self->events->head == self->events->tail)
		return NULL;
	return ctl(self->bus, SNPU_CTL_EVENT_RING + SNPU_RING_ENTRIES + self->events->head++ % SNPU_EVENT_SLOTS * SNPU_FW_MSG_SIZE);
}

static bool ping_answered(struct fw *self, uint64_t cookie)
{
	struct snpu_fw_cmd_PING ping = { .cookie = cookie };
	const struct snpu_fw_event_REPLY *reply;

	send(self, 77, SNPU_FW_OP_PING, &ping, sizeof(ping));
	if (fw_bus_run(self->bus, STEPS) != RV32_STOP_WFI)
		return false;
	while ((reply = event(self)))
		if (reply->head.type == SNPU_FW_EVENT_REPLY && reply->id == 77)
			return reply->value == cookie && reply->status == 0;
	return false;
}

TEST_F(fw, boot)
{
	char line[160];

	EXPECT_EQ(self->bus->ready_state, SNPU_FW_READY);	/* the magic came last */
	EXPECT_EQ(self->header->abi_major, SNPU_FW_ABI_MAJOR);
	EXPECT_EQ(self->header->abi_minor, FW_ABI_MINOR);
	EXPECT_EQ(self->header->version, FW_VERSION);
	EXPECT_EQ(self->header->queues, SNPU_QUEUES);
	EXPECT_EQ(self->header->running_queue, ~0u);
	EXPECT_EQ(self->header->heartbeat, 0);
	EXPECT_EQ(self->bus->fw_version, FW_VERSION);
	EXPECT_STREQ(self->header->build, self->head.build);
	EXPECT_EQ(self->cmds->head | self->cmds->tail | self->events->head | self->events->tail, 0);
	EXPECT_EQ(((struct snpu_queue_ctx *)ctl(self->bus, SNPU_CTL_QUEUE(63)))->state, SNPU_QUEUE_FREE);
	EXPECT_NE(((struct snpu_fw_crash *)ctl(self->bus, SNPU_CTL_CRASH))->magic, SNPU_FW_CRASH_MAGIC);
	snprintf(line, sizeof(line), "I snpu firmware %d.%d.%d, ABI %d.%d, build %s, 64 queues\n", FW_VERSION_MAJOR, FW_VERSION_MINOR,
		 FW_VERSION_PATCH, SNPU_FW_ABI_MAJOR, SNPU_FW_ABI_MINOR, self->head.build);
	struct snpu_fw_log *log = ctl(self->bus, SNPU_CTL_LOG);

	log->data[log->written] = 0;
	EXPECT_CONTAINS(log->data, line);
}

/* Asleep is asleep: no instruction is tried until something happens, and then few. */
TEST_F(fw, sleeps)
{
	uint64_t steps = self->bus->cpu.steps;

	EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
	EXPECT_EQ(self->bus->cpu.steps, steps);
	for (uint64_t beat = 1; beat <= 3; beat++) {
		fw_bus_time_add(self->bus, SNPU_HEARTBEAT_US);
		EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
		EXPECT_EQ(self->header->heartbeat, beat);
	}
	EXPECT_LT(self->bus->cpu.steps - steps, 3000);
}

static bool create(struct fw *self, uint32_t queue)
{
	struct snpu_fw_cmd_QUEUE_CREATE cmd = { .pt_root = 0x1000 | SNPU_PTE_VALID, .queue = queue, .priority = queue % 4, .asid = 9, .slots = 8 };
	const struct snpu_fw_event_REPLY *reply;

	send(self, 5, SNPU_FW_OP_QUEUE_CREATE, &cmd, sizeof(cmd));
	if (fw_bus_run(self->bus, STEPS) != RV32_STOP_WFI)
		return false;
	reply = event(self);
	return reply && reply->head.type == SNPU_FW_EVENT_REPLY && reply->id == 5 && !reply->status;
}

static void push(struct fw *self, uint32_t queue)
{
	struct snpu_queue_ctx *ctx = ctl(self->bus, SNPU_CTL_QUEUE(queue));
	struct snpu_job_desc *desc = ctl(self->bus, SNPU_CTL_JOB(queue, ctx->tail % 8));

	memset(desc, 0, sizeof(*desc));
	desc->seqno = ++ctx->tail;
	fw_bus_ring(self->bus, queue);
}

TEST_F(fw, job)
{
	const struct snpu_fw_event_JOB_DONE *done;

	ASSERT_TRUE(create(self, 33));
	for (uint32_t i = 1; i <= 20; i++) {
		fw_bus_time_add(self->bus, 1000);
		push(self, 33);
		EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
		EXPECT_TRUE(self->bus->eng.busy);
		EXPECT_EQ(self->bus->eng.queue, 33);
		EXPECT_EQ(self->bus->eng.desc, SNPU_CTL_JOB(33, (i - 1) % 8));
		EXPECT_EQ(self->header->running_queue, 33);
		EXPECT_EQ(self->header->running_since_us, self->bus->time_us);
		EXPECT_EQ(self->header->busy_ns, (i - 1) * 250000);
		fw_bus_time_add(self->bus, 250);
		self->bus->host_irqs = 0;
		fw_bus_engine_stop(self->bus, SNPU_ENG_DONE);
		EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
		EXPECT_EQ(self->bus->host_irqs, 1);
		done = event(self);
		ASSERT_TRUE(done);
		EXPECT_EQ(done->head.type, SNPU_FW_EVENT_JOB_DONE);
		EXPECT_EQ(done->seqno, i);
		EXPECT_EQ(self->header->running_queue, ~0u);
		EXPECT_EQ(self->header->busy_ns, i * 250000);
	}
}

/* From tail to engine, and from the engine's end to the host's interrupt: instructions, the cost of a submission. */
TEST_F(fw, cost)
{
	uint64_t steps;

	ASSERT_TRUE(create(self, 0));
	push(self, 0);
	steps = self->bus->cpu.steps;
	EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
	printf("# %u instructions from the doorbell to the engine\n", (unsigned int)(self->bus->cpu.steps - steps));
	fw_bus_engine_stop(self->bus, SNPU_ENG_DONE);
	steps = self->bus->cpu.steps;
	EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
	printf("# %u instructions from the engine's end to sleep\n", (unsigned int)(self->bus->cpu.steps - steps));
	EXPECT_EQ(self->events->tail, 2);
}

static void crash(struct fw *self, uint32_t how)
{
	struct snpu_fw_cmd_CRASH cmd = { .how = how };

	send(self, 6, SNPU_FW_OP_CRASH, &cmd, sizeof(cmd));
	(void)fw_bus_run(self->bus, STEPS);
}

/* The host makes room just before event_waiting is set, so it does not ring: the firmware has to look once more. */
TEST_F(fw, event_room_race)
{
	struct snpu_fw_cmd_PING ping = { 0 };
	uint64_t end;

	while (self->events->tail < SNPU_EVENT_SLOTS) {
		send(self, 1, SNPU_FW_OP_PING, &ping, sizeof(ping));
		ASSERT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
	}
	send(self, 2, SNPU_FW_OP_PING, &ping, sizeof(ping));
	end = self->bus->cpu.steps + STEPS;
	while (!self->header->event_waiting && self->bus->cpu.steps < end)
		(void)rv32_run(&self->bus->cpu, 1);
	ASSERT_EQ(self->header->event_waiting, 1);
	self->events->head = self->events->tail;
	EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
	EXPECT_EQ(self->events->tail, SNPU_EVENT_SLOTS + 1);
	EXPECT_EQ(self->header->event_waiting, 0);
}

/* What was finished before a crash in the same pass is told with its interrupt. */
TEST_F(fw, crash_after_reply)
{
	struct snpu_fw_cmd_PING ping = { 0 };

	send(self, 1, SNPU_FW_OP_PING, &ping, sizeof(ping));
	crash(self, 0);
	EXPECT_TRUE(self->bus->crashed);
	EXPECT_EQ(self->events->tail, 1);
	EXPECT_EQ(self->bus->host_irqs, 1);
}

TEST_F(fw, crash_assertion)
{
	const struct snpu_fw_crash *record = ctl(self->bus, SNPU_CTL_CRASH);

	fw_bus_time_add(self->bus, 123);
	crash(self, 0);
	EXPECT_TRUE(self->bus->crashed);
	EXPECT_EQ(record->magic, SNPU_FW_CRASH_MAGIC);
	EXPECT_EQ(record->cause, ~0u);
	EXPECT_EQ(record->time_us, 123);
	EXPECT_STREQ(record->message, "crash asked for by the host");
	EXPECT_EQ(self->header->state, SNPU_FW_CRASHED);
	EXPECT_EQ(record->x[0], 0);
	EXPECT_LT(record->x[2], 0x1000);		/* the stack of the code that crashed, not the crash's own */
	EXPECT_GT(record->x[2], 0);
	EXPECT_EQ(self->events->tail, 0);		/* no reply */
}

TEST_F(fw, crash_illegal_instruction)
{
	const struct snpu_fw_crash *record = ctl(self->bus, SNPU_CTL_CRASH);
	uint32_t word;

	crash(self, 1);
	EXPECT_TRUE(self->bus->crashed);
	EXPECT_EQ(record->magic, SNPU_FW_CRASH_MAGIC);
	EXPECT_EQ(record->cause, RV32_CAUSE_ILLEGAL);
	ASSERT_LT(record->pc, SNPU_CORE_TCM_SIZE - 3);
	memcpy(&word, self->bus->tcm + record->pc, sizeof(word));
	EXPECT_EQ(word, 0);
	EXPECT_CONTAINS(record->message, "illegal instruction at pc ");
	EXPECT_EQ(self->header->state, SNPU_FW_CRASHED);
}

TEST_F(fw, crash_endless_loop)
{
	crash(self, 2);
	EXPECT_FALSE(self->bus->crashed);
	fw_bus_time_add(self->bus, 10 * SNPU_HEARTBEAT_US);
	EXPECT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_BUDGET);
	EXPECT_EQ(self->header->heartbeat, 0);		/* which is how the host finds out */
	EXPECT_EQ(self->header->state, SNPU_FW_READY);
}

/* A wild pointer of the firmware's own: here its stack pointer, as after an overflow. */
TEST_F(fw, crash_stack_overflow)
{
	const struct snpu_fw_crash *record = ctl(self->bus, SNPU_CTL_CRASH);

	self->bus->cpu.x[2] = 8;
	fw_bus_time_add(self->bus, SNPU_HEARTBEAT_US);
	(void)fw_bus_run(self->bus, STEPS);
	EXPECT_TRUE(self->bus->crashed);
	EXPECT_EQ(record->magic, SNPU_FW_CRASH_MAGIC);
	EXPECT_EQ(record->cause, RV32_CAUSE_STORE_ACCESS);
	EXPECT_GT(record->value, 0xffff0000u);		/* below the lowest address */
}

/* A crash while the crash is being written: the core stops, no half record passes for a whole one. */
TEST_F(fw, crash_twice)
{
	const struct snpu_fw_crash *record = ctl(self->bus, SNPU_CTL_CRASH);
	struct snpu_fw_cmd_CRASH cmd = { .how = 1 };
	uint64_t end = self->bus->cpu.steps + STEPS;

	send(self, 6, SNPU_FW_OP_CRASH, &cmd, sizeof(cmd));
	while (self->header->state != SNPU_FW_CRASHED && self->bus->cpu.mcause == 0 && self->bus->cpu.steps < end)
		(void)rv32_run(&self->bus->cpu, 1);
	ASSERT_EQ(self->bus->cpu.mcause, RV32_CAUSE_ILLEGAL);
	(void)rv32_run(&self->bus->cpu, 60);		/* the registers are saved, the record is not written */
	self->bus->cpu.pc = 2;
	(void)fw_bus_run(self->bus, STEPS);
	EXPECT_TRUE(self->bus->crashed);
	EXPECT_NE(record->magic, SNPU_FW_CRASH_MAGIC);
}

static uint32_t rnd(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33) ^ (uint32_t)(*seed >> 60);
}

/* One thing that a host could do wrong, or right. */
static void host_random(struct fw *self, uint64_t *seed)
{
	struct snpu_queue_ctx *ctx = ctl(self->bus, SNPU_CTL_QUEUE(rnd(seed) % 4));
	uint32_t *message = ctl(self->bus, SNPU_CTL_CMD_RING + SNPU_RING_ENTRIES + self->cmds->tail % SNPU_CMD_SLOTS * SNPU_FW_MSG_SIZE);

	struct snpu_fw_cmd_QUEUE_DESTROY destroy = { .queue = rnd(seed) % 5 };

	switch (rnd(seed) % 12) {
	case 0:
		self->cmds->tail = self->cmds->head + (rnd(seed) % 3 ? rnd(seed) % 4 : rnd(seed));
		break;
	case 1:
		for (unsigned int i = 0; i < SNPU_FW_MSG_SIZE / 4; i++)
			message[i] = rnd(seed) % 4 ? rnd(seed) % 8 : rnd(seed);
		message[1] = rnd(seed) % 5;		/* all but CRASH */
		message[2] = message[3] = 0;
		self->cmds->tail++;
		break;
	case 2:
		self->events->head = rnd(seed) % 3 ? self->events->tail : rnd(seed);
		break;
	case 3:
		memset(ctx, (int)rnd(seed), sizeof(*ctx));
		break;
	case 4:
		ctx->tail = rnd(seed) % 3 ? ctx->head + rnd(seed) % 8 : rnd(seed);
		break;
	case 5:
		(void)create(self, rnd(seed) % 4);	/* refused as often as not */
		break;
	case 6:
		send(self, rnd(seed), SNPU_FW_OP_QUEUE_DESTROY, &destroy, sizeof(destroy));
		break;
	case 7:
	case 8:
	case 9:
		push(self, rnd(seed) % 4);
		break;
	default:
		fw_bus_time_add(self->bus, rnd(seed) % 200000);
	}
	for (uint32_t i = rnd(seed) % 3; i; i--)
		fw_bus_ring(self->bus, rnd(seed) % 64);
	fw_bus_cmd_ring(self->bus);
}

static void engine_random(struct fw_bus *bus, uint64_t *seed)
{
	enum snpu_eng_result result = rnd(seed) % 4 ? SNPU_ENG_DONE : SNPU_ENG_FAULT;

	if (!bus->eng.busy || rnd(seed) % 2)
		return;
	if (bus->eng.cmd == SNPU_ENG_PREEMPT && rnd(seed) % 2)
		result = SNPU_ENG_PREEMPTED;
	if (bus->eng.cmd == SNPU_ENG_ABORT)
		result = SNPU_ENG_ABORTED;
	fw_bus_engine_stop(bus, result);
}

/* Garbage in everything the host can write, for a long time: the firmware neither crashes nor spins, and is well again after. */
TEST_F(fw, hostile_host)
{
	unsigned int commands[5] = { 0 };
	uint64_t seed = 1;

	for (unsigned int i = 0; i < 50000; i++) {
		host_random(self, &seed);
		engine_random(self->bus, &seed);
		commands[self->bus->eng.cmd]++;
		ASSERT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
		ASSERT_FALSE(self->bus->crashed);
	}
	for (unsigned int c = SNPU_ENG_START; c <= SNPU_ENG_ABORT; c++)
		EXPECT_GT(commands[c], 100);		/* it did get that far */
	self->cmds->tail = self->cmds->head;
	for (unsigned int i = 0; i < 1000; i++) {
		self->events->head = self->events->tail;
		fw_bus_cmd_ring(self->bus);
		ASSERT_EQ(fw_bus_run(self->bus, STEPS), RV32_STOP_WFI);
		engine_random(self->bus, &seed);
	}
	EXPECT_TRUE(ping_answered(self, 0x1122334455667788ull));
}

/* --- mkfw ------------------------------------------------------------------------------------------------------- */
static uint8_t *slurp(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(SNPU_FW_MAX_SIZE);

	*size = f && data ? fread(data, 1, SNPU_FW_MAX_SIZE, f) : 0;
	if (f)
		fclose(f);
	return data;
}

static bool hash_ok(uint8_t *data, size_t size)
{
	struct snpu_fw_image *head = (void *)data;
	uint8_t want[SHA256_DIGEST_SIZE], got[SHA256_DIGEST_SIZE];
	struct sha256_ctx sha;

	memcpy(want, head->sha256, sizeof(want));
	memset(head->sha256, 0, sizeof(head->sha256));
	sha256_init(&sha);
	sha256_update(&sha, size, data);
	sha256_digest(&sha, sizeof(got), got);
	memcpy(head->sha256, want, sizeof(want));
	return !memcmp(want, got, sizeof(want));
}

TEST(image_is_well_formed)
{
	size_t size;
	uint8_t *data = slurp(GOOD, &size);
	const struct snpu_fw_image *head = (void *)data;
	bool entry = false;

	ASSERT_GE(size, sizeof(*head));
	EXPECT_EQ(head->magic, SNPU_FW_MAGIC);
	EXPECT_EQ(memcmp(data, "1SNPSUFW", 8), 0);
	EXPECT_EQ(head->header_size, sizeof(*head));
	EXPECT_EQ(head->image_size, size);
	EXPECT_EQ(head->version, FW_VERSION);
	EXPECT_EQ(head->flags, 0);
	EXPECT_EQ(head->security_version, FW_SECURITY_VERSION);
	EXPECT_EQ(head->abi_minor, FW_ABI_MINOR);
	EXPECT_EQ(strlen(head->build), 2 * FW_BUILD_BYTES);
	EXPECT_TRUE(hash_ok(data, size));
	ASSERT_LE(head->sections, SNPU_FW_MAX_SECTIONS);
	for (uint32_t i = 0; i < head->sections; i++) {
		const struct snpu_fw_section *s = &head->section[i];

		EXPECT_EQ(s->offset % 8 | s->load % 4, 0);
		EXPECT_TRUE(s->offset <= size && s->size <= size - s->offset);
		EXPECT_LE(s->size, s->mem_size);
		EXPECT_TRUE(s->load <= SNPU_CORE_TCM_SIZE && s->mem_size <= SNPU_CORE_TCM_SIZE - s->load);
		entry |= head->entry - s->load < s->size;
	}
	EXPECT_TRUE(entry);
	free(data);
}

FIXTURE(bad) {
	size_t good_size, size;
	uint8_t *good, *data;
};
FIXTURE_VARIANT(bad) { const char *how; size_t from, to; bool hash; };
#define FIELD_OF(f) offsetof(struct snpu_fw_image, f), offsetof(struct snpu_fw_image, f) + sizeof(((struct snpu_fw_image *)0)->f)
FIXTURE_VARIANT_ADD(bad, magic) { "magic", FIELD_OF(magic), true };
FIXTURE_VARIANT_ADD(bad, header) { "header", FIELD_OF(header_size), true };
FIXTURE_VARIANT_ADD(bad, major) { "major", FIELD_OF(abi_major), true };
FIXTURE_VARIANT_ADD(bad, section) { "section", FIELD_OF(section), true };
FIXTURE_VARIANT_ADD(bad, entry) { "entry", FIELD_OF(entry), true };
FIXTURE_VARIANT_ADD(bad, size) { "size", 0, 0, false };
FIXTURE_VARIANT_ADD(bad, hash) { "hash", 0, 0, false };

FIXTURE_SETUP(bad)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/bad/%s/snpu/snpu-fw-1.bin", FW_DIR, variant->how);
	self->good = slurp(GOOD, &self->good_size);
	self->data = slurp(path, &self->size);
	ASSERT_GE(self->size, sizeof(struct snpu_fw_image));
}

FIXTURE_TEARDOWN(bad)
{
	free(self->good);
	free(self->data);
}

/* Each differs from the good one in the field it is named for (and the hash made right), so that one check alone can refuse it. */
TEST_F(bad, image_has_one_damage)
{
	size_t differs = 0, sha = offsetof(struct snpu_fw_image, sha256), min = self->size < self->good_size ? self->size : self->good_size;

	for (size_t i = 0; i < min; i++) {
		if (self->good[i] == self->data[i] || i - sha < 32)
			continue;
		differs++;
		if (strcmp(variant->how, "hash"))
			EXPECT_TRUE(i >= variant->from && i < variant->to);
	}
	EXPECT_EQ(differs > 0, strcmp(variant->how, "size") != 0);
	EXPECT_EQ(self->size < self->good_size, !strcmp(variant->how, "size"));
	EXPECT_EQ(hash_ok(self->data, self->size), variant->hash);
}

/* Runs mkfw on a changed copy of the firmware's ELF file; its exit status, and what it said in `said`. */
static int mkfw(const char *from, size_t at, const void *patch, size_t n, size_t cut, char *said, size_t size)
{
	char in[] = "/tmp/mkfw-XXXXXX", cmd[4096 * 2];
	size_t len;
	uint8_t *data = slurp(from, &len);
	int fd = mkstemp(in), st = -1;
	FILE *p;

	if (at + n <= len)
		memcpy(data + at, patch, n);
	said[0] = 0;
	len = cut && cut < len ? cut : len;
	if (fd >= 0 && write(fd, data, len) == (ssize_t)len) {
		snprintf(cmd, sizeof(cmd), FW_DIR "/mkfw %s %s.out 2>&1", in, in);
		p = popen(cmd, "r");
		if (p) {
			said[fread(said, 1, size - 1, p)] = 0;
			st = pclose(p);
		}
		snprintf(cmd, sizeof(cmd), "%s.out", in);
		if (!st) {
			uint8_t *again, *good;
			size_t a, g;

			again = slurp(cmd, &a);
			good = slurp(GOOD, &g);
			st = a == g && !memcmp(again, good, a) ? 0 : 999;
			free(again);
			free(good);
		}
		unlink(cmd);
		unlink(in);
	}
	free(data);
	if (fd >= 0)
		close(fd);
	return st;
}

TEST(mkfw_is_reproducible)
{
	char said[256];

	EXPECT_EQ(mkfw(FW_DIR "/snpu-fw.elf", 0, "", 0, 0, said, sizeof(said)), 0);
	EXPECT_STREQ(said, "");
}

TEST(mkfw_refuses)
{
	static const struct {
		size_t at;
		uint8_t patch[4];
		size_t n, cut;
		const char *says;
	} bad[] = {	/* offsets of struct Elf32_Ehdr (52 bytes) and of the first Elf32_Phdr after it */
		{ 0, { 'X' }, 1, 0, "not an ELF file" },
		{ 0, { 0 }, 0, 20, "ends before its header" },
		{ 0, { 0 }, 0, 60, "ends before its program headers" },
		{ 4, { 2 }, 1, 0, "not for a 32-bit" },
		{ 5, { 2 }, 1, 0, "not for a 32-bit" },
		{ 18, { 62 }, 1, 0, "not for a 32-bit" },
		{ 16, { 1 }, 1, 0, "not a linked program" },
		{ 24, { 0, 0, 0, 0x10 }, 4, 0, "entry point 0x10000000 is not in the code" },
		{ 24, { 2, 0x10, 0, 0 }, 4, 0, "entry point 0x1002" },
		{ 36, { 1 }, 1, 0, "compressed instructions" },
		{ 28, { 0xff, 0xff, 0xff, 0xff }, 4, 0, "ends before its program headers" },
		{ 52 + 4, { 0, 0, 0, 0x7f }, 4, 0, "ends before its segment" },
		{ 52 + 12, { 0, 0, 4, 0 }, 4, 0, "outside the core's memory" },
		{ 52 + 12, { 0, 0xf0, 3, 0 }, 4, 0, "outside the core's memory" },
		{ 52 + 12, { 2, 0x10, 0, 0 }, 4, 0, "not a multiple of 4" },
		{ 52 + 20, { 4, 0, 0, 0 }, 4, 0, "bytes in the file" },
	};
	char said[512];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_NE(mkfw(FW_DIR "/snpu-fw.elf", bad[i].at, bad[i].patch, bad[i].n, bad[i].cut, said, sizeof(said)), 0);
		EXPECT_CONTAINS(said, bad[i].says);
	}
}

TEST_HARNESS_MAIN
