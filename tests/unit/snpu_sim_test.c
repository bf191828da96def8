/* SPDX-License-Identifier: MIT */
/*
 * The program snpu-sim from outside: its command line, its sockets, and a card over the wire from configuration space to a job
 * of the real firmware on guest memory, as QEMU and the driver would use it. SNPU_SIM and FW_IMAGE name the files.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "snpu_fw_abi.h"
#include "snpu_isa.h"
#include "snpu_regs.h"
#include "tests/harness.h"
#include "tests/unit/vfu_client.h"

#define VRAM	(64u << 20)
#define RAM	(1u << 20)			/* guest memory, at IOVA 1 GiB */
#define IOVA	0x40000000ull

/* A started snpu-sim, its standard output and error, and a folder for its sockets. */
FIXTURE(sim) {
	char dir[64], sock[96];
	pid_t pid;
	int out;
	char text[8192];			/* what it has said */
	size_t len;
};

FIXTURE_SETUP(sim)
{
	snprintf(self->dir, sizeof(self->dir), P_tmpdir "/snpu-sim-" "XX" "XX" "XX");
	ASSERT_TRUE(mkdtemp(self->dir));
	snprintf(self->sock, sizeof(self->sock), "%s/card", self->dir);
}

static void spawn(struct sim *s, const char *const *args)
{
	const char *argv[16] = { SNPU_SIM };
	int p[2];

	for (unsigned int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	if (pipe(p))
		abort();
	s->len = 0;
	s->pid = fork();
	if (s->pid == 0) {
		dup2(p[1], 1);
		dup2(p[1], 2);
		close(p[0]);
		execv(SNPU_SIM, (char *const *)argv);
		_exit(127);
	}
	close(p[1]);
	s->out = p[0];
}
#define SPAWN(s_, ...) spawn(s_, (const char *const[]){ __VA_ARGS__, NULL })

/* Reads until the text appears (true), or the output ends or nothing comes for ten seconds. */
static bool says(struct sim *s, const char *what)
{
	for (;;) {
		struct pollfd p = { s->out, POLLIN, 0 };
		ssize_t n;

		s->text[s->len] = 0;
		if (what && strstr(s->text, what))
			return true;
		if (poll(&p, 1, 10000) <= 0)
			return false;
		n = read(s->out, s->text + s->len, sizeof(s->text) - 1 - s->len);
		if (n <= 0)
			return !what;
		s->len += (size_t)n;
	}
}

static int ends(struct sim *s)
{
	int st;

	says(s, NULL);
	if (s->pid <= 0 || waitpid(s->pid, &st, 0) != s->pid)
		return -1;
	close(s->out);
	s->pid = 0;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static int stop(struct sim *s, int sig)
{
	kill(s->pid, sig);
	return ends(s);
}

FIXTURE_TEARDOWN(sim)
{
	if (self->pid > 0)
		EXPECT_EQ(stop(self, SIGTERM), 0);
	unlink(self->sock);
	EXPECT_EQ(rmdir(self->dir), 0);		/* it leaves nothing behind */
}

/* --- the command line -------------------------------------------------------------------------------------------------- */
TEST_F(sim, several_cards)
{
	char path[128];

	SPAWN(self, "--socket", self->sock, "--count", "3", "--vram", "16M");
	for (unsigned int i = 0; i < 3; i++) {
		char line[160];

		snprintf(path, sizeof(path), "%s.%u", self->sock, i);
		snprintf(line, sizeof(line), "ready %s\n", path);
		ASSERT_TRUE(says(self, line));
		EXPECT_EQ(access(path, F_OK), 0);
	}
	EXPECT_EQ(stop(self, SIGINT), 0);
	EXPECT_NE(access(path, F_OK), 0);
}

TEST_F(sim, stale_and_busy_sockets)
{
	struct sim other = { 0 };

	SPAWN(self, "--socket", self->sock);
	ASSERT_TRUE(says(self, "ready"));
	snprintf(other.sock, sizeof(other.sock), "%s", self->sock);
	SPAWN(&other, "--socket", self->sock);
	EXPECT_EQ(ends(&other), 1);
	EXPECT_CONTAINS(other.text, "another process listens");
	EXPECT_EQ(stop(self, SIGKILL), 128 + SIGKILL);
	EXPECT_EQ(access(self->sock, F_OK), 0);	/* left behind: the next one takes it over */
	SPAWN(self, "--socket", self->sock);
	EXPECT_TRUE(says(self, "ready"));
}

TEST_F(sim, refusals)
{
	static const char *const bad[][2] = {
		{ "--vram", "3G" }, { "--vram", "8M" }, { "--vram", "-1" }, { "--vram", "1Gx" }, { "--vram", "" }, { "--count", "0" }, { "--count", "17" },
		{ "--count", "x" }, { "--irq", "intx" }, { "--doorbell", "no" }, { "--serial", "4294967295" }, { "--vram", "99999999999999999999" },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		SPAWN(self, "--socket", self->sock, bad[i][0], bad[i][1]);
		EXPECT_EQ(ends(self), 64);	/* EX_USAGE */
		EXPECT_CONTAINS(self->text, bad[i][0]);
		EXPECT_CONTAINS(self->text, "give");
	}
	SPAWN(self, "--verbose");
	EXPECT_EQ(ends(self), 64);
	EXPECT_CONTAINS(self->text, "--socket PATH is missing");
	SPAWN(self, "--socket", "/nowhere/at/all");
	EXPECT_EQ(ends(self), 1);
	EXPECT_CONTAINS(self->text, "cannot listen");
	SPAWN(self, "--help");
	EXPECT_EQ(ends(self), 0);
	EXPECT_CONTAINS(self->text, "--doorbell");
	SPAWN(self, "--version");
	EXPECT_EQ(ends(self), 0);
	EXPECT_CONTAINS(self->text, "snpu-sim");
}

/* --- over the wire ------------------------------------------------------------------------------------------------------- */
static struct client_reply reply;

static void attach(struct sim *s, struct client *c)
{
	*c = (struct client){ 0 };
	ASSERT_EQ(client_connect(c, s->sock), 0);
	ASSERT_EQ(client_version(c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &reply), 0);
	ASSERT_EQ(client_enable(c, &reply), 0);
}

static uint32_t rd(struct client *c, uint32_t reg)
{
	uint32_t v = 0;

	EXPECT_EQ(client_read(c, SNPU_BAR_REGS, reg, &v, 4, &reply), 0);
	return v;
}

static void wr(struct client *c, uint32_t reg, uint32_t v)
{
	EXPECT_EQ(client_write(c, SNPU_BAR_REGS, reg, &v, 4, &reply), 0);
}

/* Maps a BAR that the server lets clients map. */
static void *map_bar(struct client *c, uint32_t bar, size_t size)
{
	struct vfu_region_info q = { .argsz = sizeof(q), .index = bar };
	struct vfu_region_info *info = (void *)reply.data;
	void *p;

	if (client_call(c, VFU_GET_REGION_INFO, &q, sizeof(q), &reply) || info->size != size || !(info->flags & VFU_REGION_F_MMAP) || reply.fd < 0)
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, reply.fd, (off_t)info->offset);
	close(reply.fd);
	return p == MAP_FAILED ? NULL : p;
}

TEST_F(sim, identity_and_reconnection)
{
	struct client c;
	uint32_t id = 0, class_rev = 0, v = 0x5a5a5a5a;
	uint8_t *vram;

	SPAWN(self, "--socket", self->sock, "--vram", "64M", "--serial", "77", "--verbose");
	ASSERT_TRUE(says(self, "ready"));
	for (unsigned int i = 0; i < 3; i++) {
		attach(self, &c);
		EXPECT_EQ(client_read(&c, VFU_CONFIG_REGION, 0, &id, 4, &reply), 0);
		EXPECT_EQ(id, (uint32_t)SNPU_PCI_DEVICE << 16 | SNPU_PCI_VENDOR);
		EXPECT_EQ(client_read(&c, VFU_CONFIG_REGION, 8, &class_rev, 4, &reply), 0);
		EXPECT_EQ(class_rev >> 8, (uint32_t)SNPU_PCI_CLASS);
		EXPECT_EQ(rd(&c, SNPU_REG_ID), 0x55504e53u);
		EXPECT_EQ(rd(&c, SNPU_REG_SERIAL), 77u);
		EXPECT_EQ(rd(&c, SNPU_REG_VRAM_SIZE_LO), VRAM);
		vram = map_bar(&c, SNPU_BAR_VRAM, VRAM);
		ASSERT_TRUE(vram);
		EXPECT_EQ(vram[VRAM / 2], 0);	/* nothing of the client before */
		vram[VRAM / 2] = 0x5a;
		EXPECT_EQ(client_read(&c, SNPU_BAR_VRAM, VRAM / 2, &v, 4, &reply), 0);
		EXPECT_EQ(v, 0x5au);
		wr(&c, SNPU_REG_FW_SIZE, 4711);
		munmap(vram, VRAM);
		close(c.sock);
	}
	attach(self, &c);
	EXPECT_EQ(rd(&c, SNPU_REG_FW_SIZE), 0u);
	close(c.sock);
	EXPECT_TRUE(says(self, "client disconnected"));
}

TEST_F(sim, doorbells_trapped_or_mapped)
{
	struct client c;

	for (unsigned int mapped = 0; mapped < 2; mapped++) {
		void *p;

		SPAWN(self, "--socket", self->sock, "--vram", "64M", "--doorbell", mapped ? "mmap" : "trap", "--irq", mapped ? "msi" : "msix");
		ASSERT_TRUE(says(self, "ready"));
		attach(self, &c);
		p = map_bar(&c, SNPU_BAR_DOORBELL, SNPU_BAR_DOORBELL_SIZE);
		EXPECT_EQ(!!p, mapped);
		if (p)
			munmap(p, SNPU_BAR_DOORBELL_SIZE);

		struct vfu_irq_info q = { .argsz = sizeof(q), .index = mapped ? VFU_IRQ_MSI : VFU_IRQ_MSIX };

		ASSERT_EQ(client_call(&c, VFU_GET_IRQ_INFO, &q, sizeof(q), &reply), 0);
		EXPECT_EQ(((struct vfu_irq_info *)reply.data)->count, (uint32_t)SNPU_MSIX_VECTORS);
		close(c.sock);
		EXPECT_EQ(stop(self, SIGTERM), 0);
	}
}

/* Waits up to ten seconds for a condition. */
#define WAIT_FOR(cond) ({ int ms_ = 0; while (!(cond) && ms_++ < 10000) usleep(1000); ms_ <= 10000; })

static bool boot(struct client *c, uint8_t *ctl)
{
	const struct snpu_fw_header *h = (const void *)ctl;
	FILE *f = fopen(FW_IMAGE, "rb");
	size_t size = f ? fread(ctl + SNPU_CTL_IMAGE, 1, SNPU_FW_MAX_SIZE, f) : 0;

	if (f)
		fclose(f);
	if (!size)
		return false;
	wr(c, SNPU_REG_FW_OFFSET, SNPU_CTL_IMAGE);
	wr(c, SNPU_REG_FW_SIZE, (uint32_t)size);
	wr(c, SNPU_REG_BOOT, 1);
	EXPECT_TRUE(WAIT_FOR(__atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) == SNPU_FW_HEADER_MAGIC));
	EXPECT_EQ(rd(c, SNPU_REG_BOOT_STATUS), (uint32_t)SNPU_BOOT_RUNNING);
	return true;
}

/* Tables in guest memory: virtual 0x10000 = the first page of guest memory, where program and data are. */
static uint64_t tables(uint8_t *ram)
{
	for (unsigned int level = 3; level > 0; level--)
		*(uint64_t *)(ram + 0x10000 * level) = (IOVA + 0x10000 * (level - 1u) + (level == 1 ? 0x8000 : 0)) | SNPU_PTE_VALID;
	((uint64_t *)(ram + 0x8000))[16] = IOVA | SNPU_PTE_VALID | SNPU_PTE_LEAF | SNPU_PTE_READ | SNPU_PTE_WRITE;
	return (IOVA + 0x30000) | SNPU_PTE_VALID;
}

static void put_job(uint8_t *ctl, uint8_t *ram)
{
	struct snpu_pkt_FILL fill = { .hdr = { SNPU_OP_FILL, 0, sizeof(fill) / 4 }, .dst = { .addr = SNPU_REF_ADDR(SNPU_REGION_OUTPUT, 0) },
				      .words = 16, .value = 0xcafe };
	struct snpu_pkt_hdr end = { SNPU_OP_END, 0, 2 };
	struct snpu_job_desc *d = (void *)(ctl + SNPU_CTL_JOB(0, 0));

	memcpy(ram, &fill, sizeof(fill));
	memcpy(ram + sizeof(fill), &end, sizeof(end));
	memset(d, 0, sizeof(*d));
	d->seqno = 1;
	d->region[SNPU_REGION_PROGRAM] = (struct snpu_region_binding){ 0x10000, 0x100 };
	d->region[SNPU_REGION_OUTPUT] = (struct snpu_region_binding){ 0x10800, 0x100 };
}

TEST_F(sim, a_job_on_guest_memory)
{
	const struct snpu_fw_event_JOB_DONE *done;
	struct snpu_fw_cmd_QUEUE_CREATE create = { .head = { .id = 1, .op = SNPU_FW_OP_QUEUE_CREATE }, .asid = 1, .slots = 2 };
	struct snpu_fw_ring *cmds, *events;
	uint8_t *vram, *ctl, *ram;
	int fd = memfd_create("ram", MFD_CLOEXEC), irq = eventfd(0, EFD_CLOEXEC);
	uint32_t tail = 1;
	uint64_t count;
	struct client c;

	SPAWN(self, "--socket", self->sock, "--vram", "64M");
	ASSERT_TRUE(says(self, "ready"));
	attach(self, &c);
	ASSERT_EQ(ftruncate(fd, RAM), 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	vram = map_bar(&c, SNPU_BAR_VRAM, VRAM);
	ASSERT_TRUE(vram && ram != MAP_FAILED);
	ctl = vram + VRAM - SNPU_CTL_SIZE;
	ASSERT_EQ(client_map(&c, IOVA, RAM, VFU_DMA_F_READ | VFU_DMA_F_WRITE, fd, 0, &reply), 0);
	ASSERT_EQ(client_irqs(&c, VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACT_TRIGGER, VFU_IRQ_MSIX, 0, 1, NULL, 0, &irq, 1, &reply), 0);
	if (!boot(&c, ctl))
		SKIP("no firmware image: the cross compiler is missing");
	cmds = (void *)(ctl + SNPU_CTL_CMD_RING);
	events = (void *)(ctl + SNPU_CTL_EVENT_RING);
	create.pt_root = tables(ram);
	memcpy((uint8_t *)cmds + SNPU_RING_ENTRIES, &create, sizeof(create));
	__atomic_store_n(&cmds->tail, 1, __ATOMIC_RELEASE);
	wr(&c, SNPU_REG_CMD_DOORBELL, 0);
	ASSERT_TRUE(WAIT_FOR(__atomic_load_n(&events->tail, __ATOMIC_ACQUIRE) == 1));
	put_job(ctl, ram);
	ASSERT_EQ(client_write(&c, SNPU_BAR_DOORBELL, SNPU_DB_TAIL, &tail, 4, &reply), 0);
	ASSERT_TRUE(WAIT_FOR(__atomic_load_n(&events->tail, __ATOMIC_ACQUIRE) == 2));
	done = (void *)((uint8_t *)events + SNPU_RING_ENTRIES + SNPU_FW_MSG_SIZE);
	EXPECT_EQ(done->head.type, (uint32_t)SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(done->seqno, 1u);
	for (unsigned int i = 0; i < 16; i++)
		EXPECT_EQ(((uint32_t *)(ram + 0x800))[i], 0xcafeu);
	ASSERT_EQ(read(irq, &count, sizeof(count)), (ssize_t)sizeof(count));
	EXPECT_GE(count, 1u);
	close(c.sock);
}

TEST_HARNESS_MAIN
