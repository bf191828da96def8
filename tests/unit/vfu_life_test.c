// SPDX-License-Identifier: MIT
/*
 * The vfio-user server over time: interrupts, requests to the client, clients that come, leave, die, or come second,
 * and what must not be left behind. Single messages: vfu_test.c.
 */
#include "tests/harness.h"

#include <poll.h>
#include <sys/stat.h>

#include "tests/unit/vfu_device.h"

#define PG 4096ull
#define RW		(VFU_DMA_F_READ | VFU_DMA_F_WRITE)
#define FD_TRIGGER	(VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACT_TRIGGER)
#define ALL_OFF		(VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_TRIGGER)

FIXTURE(irq) {
	struct rig rig;
	struct client *c;
	struct client_reply r;
	int ev[4];
	int fds;
};

FIXTURE_SETUP(irq)
{
	self->c = &self->rig.c;
	ASSERT_TRUE(rig_make(&self->rig, NULL));
	ASSERT_TRUE(rig_connect(&self->rig));
	ASSERT_EQ(client_version(self->c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), 0);
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	for (int i = 0; i < 4; i++)
		self->ev[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->fds = count_fds();
}

FIXTURE_TEARDOWN(irq)
{
	rig_free(&self->rig);
	for (int i = 0; i < 4; i++)
		close(self->ev[i]);
}

/* How often a vector has been signalled since the last look. */
static unsigned int seen(struct irq *self, unsigned int i)
{
	uint64_t n = 0;

	return read(self->ev[i], &n, sizeof(n)) == sizeof(n) ? (unsigned int)n : 0;
}

static int set(struct irq *self, uint32_t flags, uint32_t start, uint32_t count, unsigned int nfds)
{
	return client_irqs(self->c, flags, VFU_IRQ_MSIX, start, count, NULL, 0, self->ev + start, nfds, &self->r);
}

static uint64_t pending(struct irq *self)
{
	uint64_t bits = ~0ull;

	return client_read(self->c, 0, DEV_PBA, &bits, 8, &self->r) ? ~0ull : bits;
}

TEST_F(irq, vectors_reach_their_eventfds)
{
	ASSERT_EQ(set(self, FD_TRIGGER, 0, 3, 3), 0);
	for (unsigned int i = 0; i < 3; i++) {
		vfu_irq(self->rig.v, i);
		for (unsigned int k = 0; k < 3; k++)
			EXPECT_EQ(seen(self, k), k == i);
	}
	vfu_irq(self->rig.v, 3);
	vfu_irq(self->rig.v, UINT32_MAX);
	EXPECT_EQ(count_fds(), self->fds + 3);
	/* A new descriptor replaces the old one. */
	ASSERT_EQ(set(self, FD_TRIGGER, 1, 1, 1), 0);
	EXPECT_EQ(count_fds(), self->fds + 3);
	/* None given: taken away. */
	ASSERT_EQ(set(self, FD_TRIGGER, 1, 2, 0), 0);
	EXPECT_EQ(count_fds(), self->fds + 1);
	ASSERT_EQ(set(self, ALL_OFF, 0, 0, 0), 0);
	EXPECT_EQ(count_fds(), self->fds);
	vfu_irq(self->rig.v, 0);
	EXPECT_EQ(seen(self, 0), 0);
}

TEST_F(irq, pending_until_a_descriptor_comes)
{
	vfu_irq(self->rig.v, 2);
	vfu_irq(self->rig.v, 2);
	EXPECT_EQ(pending(self), 4);
	ASSERT_EQ(set(self, FD_TRIGGER, 2, 1, 1), 0);
	EXPECT_EQ(seen(self, 2), 1);
	EXPECT_EQ(pending(self), 0);
	/* Switching off forgets what is pending. */
	ASSERT_EQ(set(self, FD_TRIGGER, 2, 1, 0), 0);
	vfu_irq(self->rig.v, 2);
	EXPECT_EQ(pending(self), 4);
	ASSERT_EQ(set(self, ALL_OFF, 0, 0, 0), 0);
	EXPECT_EQ(pending(self), 0);
}

TEST_F(irq, masks)
{
	const uint8_t which[3] = { 1, 0, 1 };

	ASSERT_EQ(set(self, FD_TRIGGER, 0, 3, 3), 0);
	ASSERT_EQ(client_irqs(self->c, VFU_IRQ_DATA_BOOL | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 3, which, 3, NULL, 0, &self->r), 0);
	for (unsigned int i = 0; i < 3; i++)
		vfu_irq(self->rig.v, i);
	EXPECT_EQ(seen(self, 0), 0);
	EXPECT_EQ(seen(self, 1), 1);
	EXPECT_EQ(pending(self), 5);
	ASSERT_EQ(set(self, VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_UNMASK, 0, 1, 0), 0);
	EXPECT_EQ(seen(self, 0), 1);
	EXPECT_EQ(pending(self), 4);
	ASSERT_EQ(set(self, VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_UNMASK, 0, 3, 0), 0);
	EXPECT_EQ(seen(self, 2), 1);
	ASSERT_EQ(set(self, VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_MASK, 1, 1, 0), 0);
	vfu_irq(self->rig.v, 1);
	/* The client's own triggers follow the same rule. */
	ASSERT_EQ(client_irqs(self->c, VFU_IRQ_DATA_BOOL | VFU_IRQ_ACT_TRIGGER, VFU_IRQ_MSIX, 0, 3, which, 3, NULL, 0, &self->r), 0);
	EXPECT_EQ(seen(self, 0), 1);
	EXPECT_EQ(seen(self, 1), 0);
	EXPECT_EQ(seen(self, 2), 1);
	/* A reset clears masks and what is pending, and keeps descriptors. */
	ASSERT_EQ(client_call(self->c, VFU_DEVICE_RESET, NULL, 0, &self->r), 0);
	EXPECT_EQ(pending(self), 0);
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	EXPECT_EQ(seen(self, 1), 0);
	vfu_irq(self->rig.v, 1);
	EXPECT_EQ(seen(self, 1), 1);
}

TEST_F(irq, no_interrupt_without_bus_mastering)
{
	const uint16_t off = 0x2;

	ASSERT_EQ(set(self, FD_TRIGGER, 0, 1, 1), 0);
	ASSERT_EQ(client_write(self->c, 7, 4, &off, 2, &self->r), 0);
	vfu_irq(self->rig.v, 0);
	EXPECT_EQ(seen(self, 0), 0);
	EXPECT_EQ(pending(self), 1);
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	EXPECT_EQ(seen(self, 0), 1);
}

TEST_F(irq, bad_requests)
{
	static const struct { uint32_t flags, index, start, count, data, nfds; } bad[] = {
		{ FD_TRIGGER, VFU_IRQ_MSIX, 0, 4, 0, 4 },			/* past the end */
		{ FD_TRIGGER, VFU_IRQ_MSIX, 3, 1, 0, 1 },
		{ FD_TRIGGER, VFU_IRQ_MSIX, UINT32_MAX, 2, 0, 2 },
		{ FD_TRIGGER, VFU_IRQ_MSIX, 0, 0, 0, 0 },
		{ FD_TRIGGER, VFU_IRQ_MSIX, 0, 3, 0, 2 },			/* neither none nor all */
		{ FD_TRIGGER, VFU_IRQ_MSIX, 0, 1, 0, 2 },
		{ FD_TRIGGER, VFU_IRQ_MSIX, 0, 1, 4, 1 },			/* data nobody asked for */
		{ FD_TRIGGER, VFU_IRQ_MSI, 0, 1, 0, 1 },			/* not of this type */
		{ FD_TRIGGER, VFU_IRQ_INTX, 0, 1, 0, 1 },
		{ FD_TRIGGER, VFU_IRQ_ERR, 0, 1, 0, 1 },
		{ FD_TRIGGER, 5, 0, 1, 0, 1 },
		{ FD_TRIGGER, UINT32_MAX, 0, 1, 0, 1 },
		{ VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 1, 0, 1 },
		{ VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACT_UNMASK, VFU_IRQ_MSIX, 0, 1, 0, 1 },
		{ VFU_IRQ_DATA_EVENTFD, VFU_IRQ_MSIX, 0, 1, 0, 1 },
		{ VFU_IRQ_ACT_TRIGGER, VFU_IRQ_MSIX, 0, 1, 0, 0 },
		{ FD_TRIGGER | VFU_IRQ_DATA_NONE, VFU_IRQ_MSIX, 0, 1, 0, 1 },
		{ FD_TRIGGER | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 1, 0, 1 },
		{ FD_TRIGGER | 0x40, VFU_IRQ_MSIX, 0, 1, 0, 1 },
		{ ALL_OFF, VFU_IRQ_MSIX, 0, 1, 0, 1 },				/* descriptors nobody asked for */
		{ ALL_OFF, VFU_IRQ_MSIX, 1, 0, 0, 0 },
		{ VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 0, 0, 0 },
		{ VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 4, 0, 0 },
		{ VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 1, 1, 0 },
		{ VFU_IRQ_DATA_BOOL | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 3, 2, 0 },	/* data too short, too long */
		{ VFU_IRQ_DATA_BOOL | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 3, 4, 0 },
		{ VFU_IRQ_DATA_BOOL | VFU_IRQ_ACT_MASK, VFU_IRQ_MSIX, 0, 0, 0, 0 },
	};
	const uint8_t data[8] = { 1, 1, 1, 1 };
	struct vfu_irq_set q = { 19, ALL_OFF, VFU_IRQ_MSIX, 0, 0 };
	int file = memfd_create("no eventfd", MFD_CLOEXEC);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(client_irqs(self->c, bad[i].flags, bad[i].index, bad[i].start, bad[i].count, data, bad[i].data, self->ev,
				      bad[i].nfds, &self->r), EINVAL);
		if (th_failed)
			printf("# up to case %zu\n", i);
	}
	EXPECT_EQ(client_call(self->c, VFU_SET_IRQS, &q, sizeof(q), &self->r), EINVAL);
	q.argsz = 21;
	EXPECT_EQ(client_call(self->c, VFU_SET_IRQS, &q, sizeof(q), &self->r), EINVAL);
	EXPECT_EQ(client_irqs(self->c, FD_TRIGGER, VFU_IRQ_MSIX, 0, 1, NULL, 0, &file, 1, &self->r), EINVAL);
	close(file);
	EXPECT_EQ(client_info(self->c, &self->r), 0);
	EXPECT_EQ(count_fds(), self->fds);
}

/* The counter of an eventfd can be full; whoever raises the interrupt must not hang in it. */
TEST_F(irq, a_full_eventfd_blocks_nobody)
{
	uint64_t full = UINT64_MAX - 1;

	self->ev[3] = eventfd(0, EFD_CLOEXEC);
	ASSERT_EQ(client_irqs(self->c, FD_TRIGGER, VFU_IRQ_MSIX, 0, 1, NULL, 0, &self->ev[3], 1, &self->r), 0);
	ASSERT_EQ(write(self->ev[3], &full, 8), 8);
	vfu_irq(self->rig.v, 0);
	EXPECT_EQ(client_info(self->c, &self->r), 0);
}

struct raiser {
	struct vfu *v;
	atomic_bool stop;
};

static void *raise_all(void *arg)
{
	struct raiser *r = arg;

	for (unsigned int i = 0; !r->stop; i++)
		vfu_irq(r->v, i % DEV_VECTORS);
	return NULL;
}

TEST_F(irq, raised_from_threads_while_being_reconfigured)
{
	struct raiser r = { .v = self->rig.v };
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&t[i], NULL, raise_all, &r), 0);
	for (int i = 0; i < 300; i++) {
		ASSERT_EQ(set(self, FD_TRIGGER, 0, 3, 3), 0);
		ASSERT_EQ(set(self, VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_MASK, 0, 2, 0), 0);
		ASSERT_EQ(set(self, VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_UNMASK, 0, 2, 0), 0);
		ASSERT_EQ(set(self, ALL_OFF, 0, 0, 0), 0);
	}
	r.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_GT(seen(self, i), 0);
	EXPECT_EQ(count_fds(), self->fds);
}

TEST(msi_with_fewer_vectors_than_offered)
{
	static struct rig rig;
	static struct client_reply r;
	struct vfu_config cfg = device_config(&rig.dev);
	struct vfu_irq_info info = { .argsz = 16, .index = VFU_IRQ_MSI };
	int ev[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	uint64_t n;

	cfg.pci.irq_mode = PCI_IRQ_MSI;
	cfg.pci.nvec = 4;
	ASSERT_TRUE(rig_make(&rig, &cfg));
	ASSERT_TRUE(rig_connect(&rig));
	ASSERT_EQ(client_version(&rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &r), 0);
	ASSERT_EQ(client_enable(&rig.c, &r), 0);
	ASSERT_EQ(client_call(&rig.c, VFU_GET_IRQ_INFO, &info, sizeof(info), &r), 0);
	memcpy(&info, r.data, sizeof(info));
	EXPECT_EQ(info.count, 4);
	vfu_irq(rig.v, 3);
	ASSERT_EQ(client_irqs(&rig.c, FD_TRIGGER, VFU_IRQ_MSI, 0, 2, NULL, 0, ev, 2, &r), 0);
	/* 3 was pending and goes to 3 mod 2. */
	EXPECT_EQ(read(ev[1], &n, 8), 8);
	vfu_irq(rig.v, 2);
	EXPECT_EQ(read(ev[0], &n, 8), 8);
	/* There is no table in BAR0 then: those offsets are registers. */
	n = 5;
	ASSERT_EQ(client_write(&rig.c, 0, DEV_TABLE, &n, 8, &r), 0);
	EXPECT_EQ(rig.dev.bar0[DEV_TABLE], 5);
	rig_free(&rig);
	close(ev[0]);
	close(ev[1]);
}

TEST_F(irq, the_table_is_the_clients)
{
	uint64_t v = 0x1234, back = 1;

	EXPECT_EQ(client_write(self->c, 0, DEV_TABLE + 40, &v, 8, &self->r), 0);
	EXPECT_EQ(client_write(self->c, 0, DEV_PBA, &v, 8, &self->r), 0);
	EXPECT_EQ(client_read(self->c, 0, DEV_TABLE + 40, &back, 8, &self->r), 0);
	EXPECT_EQ(back, 0);
	EXPECT_EQ(pending(self), 0);
	EXPECT_EQ(self->rig.dev.writes, 0);
	EXPECT_EQ(client_write(self->c, 0, DEV_TABLE + 48, &v, 8, &self->r), 0);
	EXPECT_EQ(self->rig.dev.writes, 1);
}

/* --- requests to the client ------------------------------------------------------------------------------------ */

struct ask {
	struct vfu *v;
	bool write;
	uint64_t iova, fault;
	uint8_t buf[64];
	size_t len;
	int result;
	pthread_t thread;
};

static void *ask_main(void *arg)
{
	struct ask *a = arg;

	a->result = a->write ? dma_write(vfu_dma(a->v), a->iova, a->buf, a->len, &a->fault) :
			       dma_read(vfu_dma(a->v), a->iova, a->buf, a->len, &a->fault);
	return NULL;
}

static bool ask_start(struct irq *self, struct ask *a, bool write, uint64_t iova, size_t len)
{
	a->v = self->rig.v;
	a->write = write;
	a->iova = iova;
	a->len = len;
	return !pthread_create(&a->thread, NULL, ask_main, a);
}

/* Takes the server's request off the socket into self->r. */
static bool next_request(struct irq *self, uint16_t cmd, struct vfu_dma_rw *rw)
{
	if (client_recv(self->c, &self->r) || self->r.hdr.cmd != cmd || self->r.hdr.flags || self->r.len < sizeof(*rw))
		return false;
	memcpy(rw, self->r.data, sizeof(*rw));
	return true;
}

static int answer(struct irq *self, uint16_t id, uint16_t cmd, uint32_t flags, const void *data, size_t len)
{
	uint8_t msg[256];
	struct vfu_hdr h = { id, cmd, (uint32_t)(sizeof(h) + len), VFU_F_REPLY | flags, flags ? 19 : 0 };

	memcpy(msg, &h, sizeof(h));
	if (len)
		memcpy(msg + sizeof(h), data, len);
	return client_raw(self->c, msg, sizeof(h) + len, NULL, 0);
}

TEST_F(irq, memory_without_descriptor_is_asked_for)
{
	struct { struct vfu_dma_rw rw; uint8_t data[16]; } msg = { .data = "from the client" };
	struct ask a;

	ASSERT_EQ(client_map(self->c, 0x8000, PG, RW, -1, 0, &self->r), 0);
	ASSERT_TRUE(ask_start(self, &a, false, 0x8010, 16));
	ASSERT_TRUE(next_request(self, VFU_DMA_READ, &msg.rw));
	EXPECT_EQ(msg.rw.addr, 0x8010);
	EXPECT_EQ(msg.rw.count, 16);
	/* Commands go on meanwhile. */
	uint16_t id = self->r.hdr.id;
	EXPECT_EQ(client_info(self->c, &self->r), 0);
	ASSERT_EQ(answer(self, id, VFU_DMA_READ, 0, &msg, sizeof(msg)), 0);
	pthread_join(a.thread, NULL);
	EXPECT_EQ(a.result, 0);
	EXPECT_STREQ((char *)a.buf, "from the client");

	memcpy(a.buf, "from the server", 16);
	ASSERT_TRUE(ask_start(self, &a, true, 0x8020, 16));
	ASSERT_TRUE(next_request(self, VFU_DMA_WRITE, &msg.rw));
	EXPECT_EQ(self->r.len, sizeof(msg.rw) + 16);
	EXPECT_STREQ((char *)self->r.data + sizeof(msg.rw), "from the server");
	ASSERT_EQ(answer(self, self->r.hdr.id, VFU_DMA_WRITE, 0, &msg.rw, sizeof(msg.rw)), 0);
	pthread_join(a.thread, NULL);
	EXPECT_EQ(a.result, 0);
}

TEST_F(irq, an_address_without_map_is_the_clients_to_refuse)
{
	struct vfu_dma_rw rw;
	struct ask a;

	ASSERT_TRUE(ask_start(self, &a, true, 0xdead000, 4));
	ASSERT_TRUE(next_request(self, VFU_DMA_WRITE, &rw));
	EXPECT_EQ(rw.addr, 0xdead000);
	ASSERT_EQ(answer(self, self->r.hdr.id, VFU_DMA_WRITE, VFU_F_ERROR, NULL, 0), 0);
	pthread_join(a.thread, NULL);
	EXPECT_EQ(a.result, -EFAULT);
	EXPECT_EQ(a.fault, 0xdead000);
}

TEST_F(irq, answers_are_matched_by_id)
{
	struct { struct vfu_dma_rw rw; uint32_t data; } msg[2];
	struct ask a[2];
	uint16_t id[2];

	for (int i = 0; i < 2; i++) {
		ASSERT_TRUE(ask_start(self, &a[i], false, 0x1000u + 16u * (unsigned int)i, 4));
		ASSERT_TRUE(next_request(self, VFU_DMA_READ, &msg[i].rw));
		id[i] = self->r.hdr.id;
		msg[i].data = 100u + (uint32_t)i;
	}
	EXPECT_NE(id[0], id[1]);
	/* An answer nobody waits for, then the two in the other order. */
	ASSERT_EQ(answer(self, (uint16_t)(id[1] + 100), VFU_DMA_READ, 0, &msg[0], 20), 0);
	for (int i = 1; i >= 0; i--)
		ASSERT_EQ(answer(self, id[i], VFU_DMA_READ, 0, &msg[i], 20), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(a[i].thread, NULL);
		EXPECT_EQ(a[i].result, 0);
		EXPECT_EQ(a[i].buf[0], 100 + i);
	}
}

TEST_F(irq, wrong_answers)
{
	static const struct { uint16_t cmd; uint64_t addr, count; size_t len; } bad[] = {
		{ VFU_DMA_WRITE, 0x1000, 8, 24 }, { VFU_DMA_READ, 0x1008, 8, 24 }, { VFU_DMA_READ, 0x1000, 4, 24 },
		{ VFU_DMA_READ, 0x1000, 8, 23 }, { VFU_DMA_READ, 0x1000, 8, 32 }, { VFU_DMA_READ, 0x1000, 8, 16 },
		{ VFU_DMA_READ, 0x1000, 8, 0 }, { VFU_DMA_READ, 0x1000, UINT64_MAX, 24 },
	};
	struct { struct vfu_dma_rw rw; uint8_t data[16]; } msg = { { 0 } };
	struct ask a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ASSERT_TRUE(ask_start(self, &a, false, 0x1000, 8));
		ASSERT_TRUE(next_request(self, VFU_DMA_READ, &msg.rw));
		msg.rw = (struct vfu_dma_rw){ bad[i].addr, bad[i].count };
		ASSERT_EQ(answer(self, self->r.hdr.id, bad[i].cmd, 0, &msg, bad[i].len), 0);
		pthread_join(a.thread, NULL);
		EXPECT_EQ(a.result, -EPROTO);
	}
	EXPECT_EQ(client_info(self->c, &self->r), 0);
}

TEST_F(irq, a_client_that_does_not_answer)
{
	struct { struct vfu_dma_rw rw; uint64_t data; } late;
	struct ask a;

	ASSERT_TRUE(ask_start(self, &a, false, 0x1000, 8));
	ASSERT_TRUE(next_request(self, VFU_DMA_READ, &late.rw));
	pthread_join(a.thread, NULL);
	EXPECT_EQ(a.result, -ETIMEDOUT);
	/* Too late: dropped, and the buffer of the one who waited is not touched. */
	ASSERT_EQ(answer(self, self->r.hdr.id, VFU_DMA_READ, 0, &late, sizeof(late)), 0);
	EXPECT_EQ(client_info(self->c, &self->r), 0);
	/* Gone while somebody waits. */
	ASSERT_TRUE(ask_start(self, &a, false, 0x1000, 8));
	ASSERT_TRUE(next_request(self, VFU_DMA_READ, &late.rw));
	rig_join(&self->rig);
	pthread_join(a.thread, NULL);
	EXPECT_TRUE(a.result == -ENOTCONN || a.result == -ETIMEDOUT);
	EXPECT_EQ(vfu_dma_request(self->rig.v, false, 0, a.buf, 4), -ENOTCONN);
}

static int read_does_dma(void *priv, unsigned int bar, uint64_t off, void *buf, size_t len)
{
	struct rig *r = (struct rig *)priv;	/* dev is the first member */
	int err = vfu_dma_request(r->v, false, 0x1000, buf, len);

	memcpy(buf, &err, len);
	return 0;
}

TEST(dma_requests_in_the_socket_thread_are_refused)
{
	static struct rig rig;
	static struct client_reply r;
	struct vfu_device_ops ops = device_ops;
	struct vfu_config cfg = device_config(&rig.dev);
	int32_t err = 0;

	ops.read = read_does_dma;
	cfg.ops = &ops;
	ASSERT_TRUE(rig_make(&rig, &cfg));
	ASSERT_TRUE(rig_connect(&rig));
	ASSERT_EQ(client_version(&rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &r), 0);
	ASSERT_EQ(client_read(&rig.c, 0, 0, &err, 4, &r), 0);
	EXPECT_EQ(err, -EDEADLK);
	rig_free(&rig);
}

/* --- clients come and go --------------------------------------------------------------------------------------- */

FIXTURE(life) {
	struct device dev;
	struct vfu *v;
	struct client c;
	struct client_reply r;
	char path[64];
	pthread_t thread;
	int result;
	int fds;
};

static void *serve_main(void *arg)
{
	struct life *l = arg;

	l->result = vfu_serve(l->v);
	return NULL;
}

FIXTURE_SETUP(life)
{
	struct vfu_config cfg = device_config(&self->dev);
	char err[128];

	snprintf(self->path, sizeof(self->path), "/tmp/snpu-vfu-%d.sock", (int)getpid());
	self->v = vfu_create(&cfg, err, sizeof(err));
	ASSERT_TRUE(self->v != NULL);
	ASSERT_EQ(vfu_listen(self->v, self->path), 0);
	ASSERT_EQ(pthread_create(&self->thread, NULL, serve_main, self), 0);
	self->fds = count_fds();
}

FIXTURE_TEARDOWN(life)
{
	struct stat st;

	vfu_stop(self->v);
	pthread_join(self->thread, NULL);
	EXPECT_EQ(self->result, 0);
	vfu_destroy(self->v);
	EXPECT_NE(stat(self->path, &st), 0);
	device_free(&self->dev);
}

static bool hello(struct life *self)
{
	return !client_connect(&self->c, self->path) &&
	       !client_version(&self->c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r);
}

/* Waits for what the server does after a client has gone. */
static bool reset_count(struct life *self, unsigned int n)
{
	for (int i = 0; i < 20000 && self->dev.resets[VFU_RESET_DISCONNECT] != n; i++)
		usleep(1000);
	return self->dev.resets[VFU_RESET_DISCONNECT] == n;
}

TEST_F(life, a_client_leaves_nothing_behind)
{
	struct stat st;

	ASSERT_EQ(stat(self->path, &st), 0);
	EXPECT_EQ(st.st_mode & 0777, 0600);
	for (unsigned int round = 1; round <= 20; round++) {
		int fd = memfd_create("guest", MFD_CLOEXEC), ev[3];
		struct dma_stats ds;
		uint32_t v = round;

		for (int i = 0; i < 3; i++)
			ev[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_EQ(ftruncate(fd, 8 * PG), 0);
		ASSERT_TRUE(hello(self));
		for (uint64_t i = 0; i < 8; i++)
			ASSERT_EQ(client_map(&self->c, i * PG, PG, RW, fd, i * PG, &self->r), 0);
		ASSERT_EQ(client_irqs(&self->c, FD_TRIGGER, VFU_IRQ_MSIX, 0, 3, NULL, 0, ev, 3, &self->r), 0);
		ASSERT_EQ(client_enable(&self->c, &self->r), 0);
		ASSERT_EQ(client_write(&self->c, 0, 0, &v, 4, &self->r), 0);
		/* Every other client dies in the middle of a message, with a descriptor on the way. */
		if (round % 2)
			ASSERT_EQ(client_raw(&self->c, "\1\0\2\0\60\0\0\0", 8, &fd, 1), 0);
		close(self->c.sock);
		ASSERT_TRUE(reset_count(self, round));
		dma_get_stats(vfu_dma(self->v), &ds);
		EXPECT_EQ(ds.maps, 0);
		EXPECT_EQ(ds.files, 0);
		EXPECT_EQ(self->dev.bar0[0], 0);
		EXPECT_EQ(self->dev.disconnects, round);
		EXPECT_FALSE(pci_func_bus_master(vfu_pci(self->v)));
		vfu_irq(self->v, 0);
		close(fd);
		for (int i = 0; i < 3; i++)
			close(ev[i]);
		EXPECT_EQ(count_fds(), self->fds);
	}
}

TEST_F(life, a_second_client_is_turned_away)
{
	struct client second = { 0 };
	struct vfu_stats st;

	ASSERT_TRUE(hello(self));
	ASSERT_EQ(client_connect(&second, self->path), 0);
	EXPECT_EQ(client_recv(&second, &self->r), -EPIPE);
	close(second.sock);
	EXPECT_EQ(client_info(&self->c, &self->r), 0);
	vfu_get_stats(self->v, &st);
	EXPECT_EQ(st.turned_away, 1);
	EXPECT_EQ(st.clients, 1);
	/* Out and in again without a pause is no second client. */
	for (int i = 0; i < 200; i++) {
		close(self->c.sock);
		ASSERT_TRUE(hello(self));
	}
	vfu_get_stats(self->v, &st);
	EXPECT_EQ(st.turned_away, 1);
	close(self->c.sock);
}

TEST_F(life, stop_with_a_client_connected)
{
	ASSERT_TRUE(hello(self));
	vfu_stop(self->v);
	EXPECT_EQ(client_recv(&self->c, &self->r), -EPIPE);
	close(self->c.sock);
}

/* A client that sends and never reads: the server must still stop. */
TEST_F(life, stop_with_a_client_that_does_not_read)
{
	struct vfu_rw q = { 0, 2, 1u << 20 };
	struct vfu_stats st;

	ASSERT_TRUE(hello(self));
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(client_send(&self->c, VFU_REGION_READ, 0, &q, sizeof(q), NULL, 0), 0);
	do {
		usleep(1000);
		vfu_get_stats(self->v, &st);
	} while (st.messages < 2);
	vfu_stop(self->v);
	pthread_join(self->thread, NULL);
	ASSERT_EQ(pthread_create(&self->thread, NULL, serve_main, self), 0);
	close(self->c.sock);
}

TEST_F(life, socket_files)
{
	struct vfu_config cfg = device_config(&self->dev);
	char err[128], path[80], longpath[200];
	struct vfu *v = vfu_create(&cfg, err, sizeof(err));
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s;

	/* Somebody listens. */
	EXPECT_EQ(vfu_listen(v, self->path), -EADDRINUSE);
	/* Something else is there: not touched. */
	snprintf(path, sizeof(path), "%s.x", self->path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	EXPECT_EQ(vfu_listen(v, path), -EADDRINUSE);
	EXPECT_EQ(unlink(path), 0);
	/* Left over from a server that was killed: replaced. */
	strcpy(a.sun_path, path);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	close(s);
	EXPECT_EQ(vfu_serve(v), -EBADF);
	EXPECT_EQ(vfu_listen(v, path), 0);
	EXPECT_EQ(vfu_listen(v, path), -EALREADY);
	vfu_destroy(v);
	EXPECT_NE(access(path, F_OK), 0);
	v = vfu_create(&cfg, err, sizeof(err));
	memset(longpath, 'x', sizeof(longpath));
	longpath[199] = 0;
	EXPECT_EQ(vfu_listen(v, longpath), -ENAMETOOLONG);
	EXPECT_EQ(vfu_listen(v, ""), -ENAMETOOLONG);
	EXPECT_EQ(vfu_listen(v, "/nonexistent/x"), -ENOENT);
	vfu_destroy(v);
}

TEST(bad_descriptions_are_explained)
{
	static struct device d;
	struct vfu_config good = device_config(&d), c;
	char err[128];

#define BAD(change, word) do { c = good; change; EXPECT_TRUE(!vfu_create(&c, err, sizeof(err))); EXPECT_CONTAINS(err, word); } while (0)
	struct vfu_device_ops ops = device_ops;

	ops.reset = NULL;
	BAD(c.ops = &ops, "functions");
	BAD(c.ops = NULL, "functions");
	BAD(c.pci.msix_bar = 2, "trapped");
	BAD(c.pci.bar[0].size = 3, "power of two");
	BAD(c.pci.nvec = UINT32_MAX, "2048");
	BAD(c.region[4].areas[0].size = 100, "whole pages");
	BAD(c.region[4].areas[1].offset = DEV_BAR4_SIZE, "outside");
	BAD(c.region[4].areas[1].size = 0, "empty");
	BAD(c.region[4].nareas = VFU_MAX_AREAS + 1, "too many");
	BAD(c.region[2].fd_offset = 12, "inside a page");
	device_free(&d);
}

TEST_HARNESS_MAIN
