// SPDX-License-Identifier: MIT
/*
 * The vfio-user server over a socket, message by message: what each answers, and that whatever is malformed is refused
 * with the right errno and leaves a server that still works. Life of connections: vfu_life_test.c.
 */
#include "tests/harness.h"

#include "tests/unit/vfu_device.h"

#define PG 4096ull
#define EFD_TRIGGER	(VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACT_TRIGGER)
#define RW		(VFU_DMA_F_READ | VFU_DMA_F_WRITE)

FIXTURE(wire) {
	struct rig rig;
	struct client *c;
	struct client_reply r;
	int fds;			/* open descriptors before the test's own */
};

FIXTURE_SETUP(wire)
{
	self->c = &self->rig.c;
	ASSERT_TRUE(rig_make(&self->rig, NULL));
	ASSERT_TRUE(rig_connect(&self->rig));
	ASSERT_EQ(client_version(self->c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), 0);
	self->fds = count_fds();
}

/* After anything at all the server answers, and no descriptor is left behind. */
static void still_fine(struct wire *self)
{
	struct vfu_info info;

	ASSERT_EQ(client_info(self->c, &self->r), 0);
	ASSERT_EQ(self->r.len, sizeof(info));
	memcpy(&info, self->r.data, sizeof(info));
	EXPECT_EQ(info.num_regions, 9);
	EXPECT_EQ(info.num_irqs, 5);
	EXPECT_EQ(info.flags, VFU_INFO_F_PCI | VFU_INFO_F_RESET);
	EXPECT_EQ(count_fds(), self->fds);
}

FIXTURE_TEARDOWN(wire)
{
	if (self->rig.running)
		still_fine(self);
	rig_free(&self->rig);
}

static int call(struct wire *self, uint16_t cmd, const void *data, size_t len)
{
	return client_call(self->c, cmd, data, len, &self->r);
}

/* --- VERSION --------------------------------------------------------------------------------------------------- */

FIXTURE(hello) {
	struct rig rig;
	struct client_reply r;
};

FIXTURE_SETUP(hello)
{
	ASSERT_TRUE(rig_make(&self->rig, NULL));
	ASSERT_TRUE(rig_connect(&self->rig));
}

FIXTURE_TEARDOWN(hello)
{
	rig_free(&self->rig);
}

TEST_F(hello, capabilities_are_a_subset_of_the_clients)
{
	static const char some[] = "{\"capabilities\":{\"pgsizes\":4096,\"new_thing\":1}}";
	const char *text = (const char *)self->r.data + sizeof(struct vfu_version);

	ASSERT_EQ(client_version(&self->rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), 0);
	EXPECT_EQ(self->r.data[self->r.len - 1], 0);
	EXPECT_CONTAINS(text, "\"max_msg_fds\":16");
	EXPECT_CONTAINS(text, "\"max_data_xfer_size\":1048576");
	EXPECT_CONTAINS(text, "\"pgsizes\":4096");
	EXPECT_CONTAINS(text, "\"max_dma_maps\":65535");
	EXPECT_CONTAINS(text, "\"write_multiple\":true");
	rig_join(&self->rig);
	ASSERT_TRUE(rig_connect(&self->rig));
	ASSERT_EQ(client_version(&self->rig.c, 0, some, sizeof(some), &self->r), 0);
	EXPECT_STREQ(text, "{\"capabilities\":{\"pgsizes\":4096}}");
}

TEST_F(hello, version_data_are_optional)
{
	ASSERT_EQ(client_version(&self->rig.c, 0, "", 0, &self->r), 0);
	EXPECT_EQ(client_info(&self->rig.c, &self->r), 0);
}

TEST_F(hello, commands_before_version_are_refused)
{
	EXPECT_EQ(client_info(&self->rig.c, &self->r), EINVAL);
	EXPECT_EQ(client_map(&self->rig.c, 0, PG, RW, -1, 0, &self->r), EINVAL);
	EXPECT_EQ(client_call(&self->rig.c, VFU_DEVICE_RESET, NULL, 0, &self->r), EINVAL);
	EXPECT_EQ(self->rig.dev.resets[VFU_RESET_DEVICE], 0);
	ASSERT_EQ(client_version(&self->rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), 0);
	EXPECT_EQ(client_info(&self->rig.c, &self->r), 0);
}

TEST_F(hello, bad_version_data_are_refused)
{
#define TEXT(s) s, sizeof(s)
	static const struct { const char *text; size_t len; } bad[] = {
		{ TEXT("{\"capabilities\":{\"max_msg_fds\":8") },	/* cut short */
		{ TEXT("hello") }, { TEXT("") }, { TEXT("[1,2]") }, { TEXT("{} {}") }, { TEXT("\xff\xfe{}") },
		{ TEXT("{\"capabilities\":[]}") }, { TEXT("{\"capabilities\":7}") },
		{ TEXT("{\"capabilities\":{\"max_msg_fds\":\"8\"}}") },
		{ TEXT("{\"capabilities\":{\"max_msg_fds\":-1}}") },
		{ TEXT("{\"capabilities\":{\"max_msg_fds\":1.5}}") },
		{ TEXT("{\"capabilities\":{\"max_data_xfer_size\":0}}") },
		{ TEXT("{\"capabilities\":{\"max_data_xfer_size\":99999999999999999999999}}") },
		{ TEXT("{\"capabilities\":{\"pgsizes\":null}}") },
		{ TEXT("{\"capabilities\":{\"pgsizes\":1,\"pgsizes\":2}}") },
		{ "{}", 2 },						/* no NUL */
		{ TEXT("{}\0{}") },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(client_version(&self->rig.c, 0, bad[i].text, bad[i].len, &self->r), EINVAL);
		if (th_failed)
			printf("# case %zu: %s\n", i, bad[i].text);
	}
	EXPECT_EQ(client_call(&self->rig.c, VFU_VERSION, "\0\0", 2, &self->r), EINVAL);
	/* None of them counts as the version. */
	EXPECT_EQ(client_info(&self->rig.c, &self->r), EINVAL);
	ASSERT_EQ(client_version(&self->rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), 0);
	EXPECT_EQ(client_version(&self->rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), EINVAL);
	EXPECT_EQ(client_info(&self->rig.c, &self->r), 0);
}

TEST_F(hello, another_major_version_ends_the_connection)
{
	EXPECT_EQ(client_version(&self->rig.c, 1, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), EINVAL);
	EXPECT_EQ(client_recv(&self->rig.c, &self->r), -EPIPE);
	rig_join(&self->rig);
	EXPECT_EQ(self->rig.result, -EPROTO);
	EXPECT_EQ(self->rig.dev.connects, 0);
}

/* --- header ---------------------------------------------------------------------------------------------------- */

TEST_F(wire, bad_headers)
{
	struct vfu_info q = { .argsz = sizeof(q) };

	for (uint32_t bit = 0; bit < 32; bit++) {
		uint32_t flags = 1u << bit;

		if (flags == VFU_F_NO_REPLY || flags == VFU_F_REPLY)
			continue;
		ASSERT_EQ(client_send(self->c, VFU_GET_INFO, flags, &q, sizeof(q), NULL, 0), 0);
		ASSERT_EQ(client_recv(self->c, &self->r), 0);
		EXPECT_EQ(self->r.hdr.flags, VFU_F_REPLY | VFU_F_ERROR);
		EXPECT_EQ(self->r.hdr.error_no, EINVAL);
	}
	/* An answer to nothing is dropped; the next reply is that of the next command. */
	ASSERT_EQ(client_send(self->c, VFU_DMA_READ, VFU_F_REPLY, &q, sizeof(q), NULL, 0), 0);
	still_fine(self);
}

TEST_F(wire, unknown_and_unsupported_commands)
{
	static const uint16_t unknown[] = { 0, 14, 19, 20, 1000, 0xffff };
	struct vfu_io_fds q = { .argsz = sizeof(q) };
	uint8_t junk[64] = { 0 };

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		EXPECT_EQ(call(self, unknown[i], junk, sizeof(junk)), ENOSYS);
	EXPECT_EQ(call(self, VFU_DEVICE_FEATURE, junk, sizeof(junk)), EOPNOTSUPP);
	EXPECT_EQ(call(self, VFU_MIG_DATA_READ, junk, 8), EOPNOTSUPP);
	EXPECT_EQ(call(self, VFU_MIG_DATA_WRITE, junk, 8), EOPNOTSUPP);
	EXPECT_EQ(call(self, VFU_DMA_READ, junk, 16), EINVAL);
	EXPECT_EQ(call(self, VFU_DMA_WRITE, junk, 32), EINVAL);
	EXPECT_EQ(call(self, VFU_GET_REGION_IO_FDS, &q, sizeof(q)), EOPNOTSUPP);
	q.index = 9;
	EXPECT_EQ(call(self, VFU_GET_REGION_IO_FDS, &q, sizeof(q)), EINVAL);
	q = (struct vfu_io_fds){ .argsz = 15 };
	EXPECT_EQ(call(self, VFU_GET_REGION_IO_FDS, &q, sizeof(q)), EINVAL);
}

TEST_F(wire, every_command_refuses_other_lengths)
{
	static const struct { uint16_t cmd; size_t len; bool longer_too; } row[] = {
		{ VFU_DMA_MAP, 32, true }, { VFU_DMA_UNMAP, 24, true }, { VFU_GET_INFO, 16, true },
		{ VFU_GET_REGION_INFO, 32, true }, { VFU_GET_REGION_IO_FDS, 16, true }, { VFU_GET_IRQ_INFO, 16, true },
		{ VFU_SET_IRQS, 20, true }, { VFU_REGION_READ, 16, true }, { VFU_REGION_WRITE, 16, true },
		{ VFU_REGION_WRITE_MULTI, 32, true }, { VFU_DEVICE_RESET, 0, true }, { VFU_VERSION, 4, false },
	};
	uint8_t msg[256] = { 0 };

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		for (size_t len = 0; len < row[i].len; len += len < 8 ? 1 : 3)
			EXPECT_EQ(call(self, row[i].cmd, msg, len), EINVAL);
		if (row[i].longer_too)
			EXPECT_EQ(call(self, row[i].cmd, msg, row[i].len + 1), EINVAL);
		if (row[i].longer_too)
			EXPECT_EQ(call(self, row[i].cmd, msg, 200), EINVAL);
	}
	EXPECT_EQ(self->rig.dev.resets[VFU_RESET_DEVICE], 0);
}

/* A length that cannot be ruins the stream: told, then left. */
static void bad_length(struct wire *self, uint32_t size, int expect)
{
	struct vfu_hdr h = { 77, VFU_GET_INFO, size, 0, 0 };

	ASSERT_EQ(client_raw(self->c, &h, sizeof(h), NULL, 0), 0);
	ASSERT_EQ(client_recv(self->c, &self->r), 0);
	EXPECT_EQ(self->r.hdr.error_no, expect);
	EXPECT_EQ(self->r.hdr.id, 77);
	EXPECT_EQ(client_recv(self->c, &self->r), -EPIPE);
	rig_join(&self->rig);
	EXPECT_EQ(self->rig.result, -EPROTO);
	/* The next client is served as if nothing had been. */
	ASSERT_TRUE(rig_connect(&self->rig));
	ASSERT_EQ(client_version(self->c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &self->r), 0);
}

TEST_F(wire, size_0) { bad_length(self, 0, EINVAL); }
TEST_F(wire, size_15) { bad_length(self, 15, EINVAL); }
TEST_F(wire, size_over_the_limit) { bad_length(self, 16 + 64 + VFU_MAX_XFER + 1, EMSGSIZE); }
TEST_F(wire, size_4_gib) { bad_length(self, UINT32_MAX, EMSGSIZE); }

/* --- DMA maps -------------------------------------------------------------------------------------------------- */

static size_t maps(struct wire *self)
{
	struct dma_stats st;

	dma_get_stats(vfu_dma(self->rig.v), &st);
	return st.maps;
}

TEST_F(wire, maps_come_and_go)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint64_t word = 0x1122334455667788ull, back = 0;
	struct vfu_dma_unmap un;

	ASSERT_EQ(ftruncate(fd, 16 * PG), 0);
	ASSERT_EQ(client_map(self->c, 0x10000, 4 * PG, RW, fd, 4 * PG, &self->r), 0);
	EXPECT_EQ(self->r.full, 0);
	EXPECT_EQ(self->rig.dev.dma_changes, 1);
	/* Not before the driver lets the function master the bus. */
	EXPECT_EQ(dma_write(vfu_dma(self->rig.v), 0x10008, &word, 8, NULL), -EPERM);
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	EXPECT_EQ(dma_write(vfu_dma(self->rig.v), 0x10008, &word, 8, NULL), 0);
	EXPECT_EQ(pread(fd, &back, 8, 4 * PG + 8), 8);
	EXPECT_EQ(back, word);
	ASSERT_EQ(client_unmap(self->c, 0x10000, 4 * PG, 0, &self->r), 0);
	ASSERT_EQ(self->r.full, sizeof(un));
	memcpy(&un, self->r.data, sizeof(un));
	EXPECT_EQ(un.addr, 0x10000);
	EXPECT_EQ(un.size, 4 * PG);
	EXPECT_EQ(maps(self), 0);
	/* Nothing there: success, size 0. */
	ASSERT_EQ(client_unmap(self->c, 0x10000, 4 * PG, 0, &self->r), 0);
	memcpy(&un, self->r.data, sizeof(un));
	EXPECT_EQ(un.size, 0);
	EXPECT_EQ(self->rig.dev.dma_changes, 2);
	for (uint64_t i = 0; i < 8; i++)
		ASSERT_EQ(client_map(self->c, i * 2 * PG, PG, RW, i & 1 ? fd : -1, i & 1 ? i * PG : 0, &self->r), 0);
	ASSERT_EQ(client_unmap(self->c, 0, 0, VFU_UNMAP_F_ALL, &self->r), 0);
	memcpy(&un, self->r.data, sizeof(un));
	EXPECT_EQ(un.size, 8 * PG);
	EXPECT_EQ(maps(self), 0);
	close(fd);
}

TEST_F(wire, bad_maps)
{
	int fd = memfd_create("guest", MFD_CLOEXEC), two[2] = { fd, fd }, many[20], pipefd[2];
	struct vfu_dma_map q = { sizeof(q), RW, 0, 0, PG };
	struct client_reply *r = &self->r;

	ASSERT_EQ(ftruncate(fd, 16 * PG), 0);
	ASSERT_EQ(pipe(pipefd), 0);
	for (int i = 0; i < 20; i++)
		many[i] = fd;
	EXPECT_EQ(client_map(self->c, 0, 0, RW, fd, 0, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 0, 17 * PG, RW, fd, 0, r), EINVAL);		/* file too small */
	EXPECT_EQ(client_map(self->c, 0, PG, RW, fd, 16 * PG, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 0, PG, RW, fd, UINT64_MAX - PG + 1, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 0, PG, RW, fd, 1, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 1, PG, RW, fd, 0, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 0, PG + 1, RW, fd, 0, r), EINVAL);
	EXPECT_EQ(client_map(self->c, UINT64_MAX - PG + 1, 2 * PG, RW, fd, 0, r), EINVAL);	/* wraps */
	EXPECT_EQ(client_map(self->c, 2 * PG, UINT64_MAX - PG + 1, RW, -1, 0, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 0, PG, 0, fd, 0, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 0, PG, RW | 4, fd, 0, r), EINVAL);
	EXPECT_EQ(client_map(self->c, 0, PG, RW, -1, PG, r), EINVAL);			/* offset, no descriptor */
	EXPECT_EQ(client_map(self->c, 0, PG, RW, pipefd[0], 0, r), EINVAL);		/* not a file */
	EXPECT_EQ(client_call_fds(self->c, VFU_DMA_MAP, &q, sizeof(q), two, 2, r), EINVAL);
	EXPECT_EQ(client_call_fds(self->c, VFU_DMA_MAP, &q, sizeof(q), many, 20, r), EINVAL);
	q.argsz = sizeof(q) - 1;
	EXPECT_EQ(client_call(self->c, VFU_DMA_MAP, &q, sizeof(q), r), EINVAL);
	EXPECT_EQ(maps(self), 0);
	ASSERT_EQ(client_map(self->c, 4 * PG, 4 * PG, RW, fd, 0, r), 0);
	EXPECT_EQ(client_map(self->c, 4 * PG, 4 * PG, RW, fd, 0, r), EEXIST);
	EXPECT_EQ(client_map(self->c, 7 * PG, PG, RW, -1, 0, r), EEXIST);
	EXPECT_EQ(client_unmap(self->c, 4 * PG, PG, 0, r), EINVAL);			/* would cut it */
	EXPECT_EQ(client_unmap(self->c, 4 * PG, 0, 0, r), EINVAL);
	EXPECT_EQ(client_unmap(self->c, 1, PG, 0, r), EINVAL);
	EXPECT_EQ(client_unmap(self->c, UINT64_MAX - PG + 1, 2 * PG, 0, r), EINVAL);
	EXPECT_EQ(client_unmap(self->c, 0, PG, VFU_UNMAP_F_ALL, r), EINVAL);
	EXPECT_EQ(client_unmap(self->c, 0, PG, VFU_UNMAP_F_DIRTY, r), EINVAL);
	EXPECT_EQ(client_unmap(self->c, 0, PG, 0x80, r), EINVAL);
	EXPECT_EQ(maps(self), 1);
	close(fd);
	close(pipefd[0]);
	close(pipefd[1]);
}

TEST_F(wire, descriptors_nobody_asked_for_are_closed)
{
	struct vfu_info q = { .argsz = sizeof(q) };
	int fds[3] = { 0, 1, 2 }, many[20] = { 0 };

	EXPECT_EQ(client_call_fds(self->c, VFU_GET_INFO, &q, sizeof(q), fds, 3, &self->r), EINVAL);
	EXPECT_EQ(client_call_fds(self->c, VFU_GET_INFO, &q, sizeof(q), many, 20, &self->r), EINVAL);
	EXPECT_EQ(client_call_fds(self->c, VFU_DEVICE_RESET, NULL, 0, fds, 1, &self->r), EINVAL);
	/* With an answer, and with a command that wants no reply. */
	ASSERT_EQ(client_send(self->c, VFU_DMA_READ, VFU_F_REPLY, &q, sizeof(q), fds, 3), 0);
	ASSERT_EQ(client_send(self->c, VFU_GET_INFO, VFU_F_NO_REPLY, &q, sizeof(q), fds, 3), 0);
}

/* Three messages in one stretch of bytes, a descriptor with the second: it must not go to another. */
TEST_F(wire, descriptors_belong_to_their_message)
{
	struct { struct vfu_hdr h; struct vfu_dma_map m; } map = {
		{ 1, VFU_DMA_MAP, sizeof(map), 0, 0 }, { sizeof(map.m), RW, PG, 0x40000, PG },
	};
	struct { struct vfu_hdr h; struct vfu_info i; } info = { { 2, VFU_GET_INFO, sizeof(info), 0, 0 }, { .argsz = 16 } };
	int fd = memfd_create("guest", MFD_CLOEXEC);

	ASSERT_EQ(ftruncate(fd, 2 * PG), 0);
	for (int round = 0; round < 50; round++) {
		ASSERT_EQ(client_raw(self->c, &info, sizeof(info), NULL, 0), 0);
		ASSERT_EQ(client_raw(self->c, &map, sizeof(map), &fd, 1), 0);
		ASSERT_EQ(client_raw(self->c, &info, sizeof(info), NULL, 0), 0);
		for (int i = 0; i < 3; i++) {
			ASSERT_EQ(client_recv(self->c, &self->r), 0);
			EXPECT_EQ(self->r.hdr.flags, VFU_F_REPLY);
			EXPECT_EQ(self->r.hdr.id, i == 1 ? 1 : 2);
		}
		ASSERT_EQ(client_unmap(self->c, 0x40000, PG, 0, &self->r), 0);
	}
	close(fd);
}

/* A message may come in any number of pieces, with its descriptor at the first. */
TEST_F(wire, messages_in_pieces)
{
	struct { struct vfu_hdr h; struct vfu_dma_map m; } map = {
		{ 1, VFU_DMA_MAP, sizeof(map), 0, 0 }, { sizeof(map.m), RW, 0, 0x40000, PG },
	};
	int fd = memfd_create("guest", MFD_CLOEXEC);
	const uint8_t *p = (const uint8_t *)&map;

	ASSERT_EQ(ftruncate(fd, 2 * PG), 0);
	for (size_t i = 0; i < sizeof(map); i++) {
		ASSERT_EQ(client_raw(self->c, p + i, 1, &fd, i == 0), 0);
		if (i % 5 == 0)
			usleep(1000);
	}
	ASSERT_EQ(client_recv(self->c, &self->r), 0);
	EXPECT_EQ(self->r.hdr.flags, VFU_F_REPLY);
	EXPECT_EQ(maps(self), 1);
	close(fd);
}

/* --- information ----------------------------------------------------------------------------------------------- */

static int region_info(struct wire *self, uint32_t index, uint32_t argsz, struct vfu_region_info *out)
{
	struct vfu_region_info q = { .argsz = argsz, .index = index };
	int err = call(self, VFU_GET_REGION_INFO, &q, sizeof(q));

	if (!err)
		memcpy(out, self->r.data, sizeof(*out));
	return err;
}

TEST_F(wire, regions)
{
	static const uint64_t size[9] = { DEV_BAR0_SIZE, 0, DEV_BAR2_SIZE, 0, DEV_BAR4_SIZE, 0, 0, 4096, 0 };
	struct vfu_region_info i;
	uint32_t word = 0xabcd1234;
	void *p;

	for (uint32_t k = 0; k < 9; k++) {
		ASSERT_EQ(region_info(self, k, 32, &i), 0);
		EXPECT_EQ(i.index, k);
		EXPECT_EQ(i.size, size[k]);
		EXPECT_EQ(i.flags & 3, size[k] ? 3 : 0);
		EXPECT_EQ(!!(i.flags & VFU_REGION_F_MMAP), k == 2 || k == 4);
		EXPECT_EQ(!!(i.flags & VFU_REGION_F_CAPS), k == 4);
		EXPECT_EQ(self->r.fd >= 0, k == 2);
		if (k != 2)
			continue;
		p = mmap(NULL, DEV_BAR2_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->r.fd, (off_t)i.offset);
		ASSERT_TRUE(p != MAP_FAILED);
		memcpy((uint8_t *)p + 64, &word, 4);
		EXPECT_EQ(memcmp(self->rig.dev.bar2 + 64, &word, 4), 0);
		munmap(p, DEV_BAR2_SIZE);
		close(self->r.fd);
	}
}

TEST_F(wire, sparse_areas_need_room)
{
	struct vfu_sparse_area a[2];
	struct vfu_region_info i;
	struct vfu_sparse_cap cap;

	/* Too little: everything but the list, and no descriptor; QEMU insists on flag and offset. */
	for (uint32_t argsz = 32; argsz < 80; argsz += 8) {
		ASSERT_EQ(region_info(self, 4, argsz, &i), 0);
		EXPECT_EQ(i.argsz, 80);
		EXPECT_EQ(i.cap_offset, 32);
		EXPECT_TRUE(i.flags & VFU_REGION_F_CAPS);
		EXPECT_EQ(self->r.full, 32);
		EXPECT_EQ(self->r.fd, -1);
	}
	ASSERT_EQ(region_info(self, 4, 80, &i), 0);
	EXPECT_EQ(i.argsz, 80);
	ASSERT_EQ(self->r.full, 80);
	EXPECT_GE(self->r.fd, 0);
	close(self->r.fd);
	memcpy(&cap, self->r.data + i.cap_offset, sizeof(cap));
	memcpy(a, self->r.data + i.cap_offset + sizeof(cap), sizeof(a));
	EXPECT_EQ(cap.id, VFU_CAP_SPARSE_MMAP);
	EXPECT_EQ(cap.version, 1);
	EXPECT_EQ(cap.next, 0);
	EXPECT_EQ(cap.nr_areas, 2);
	EXPECT_EQ(a[0].offset, 0x1000);
	EXPECT_EQ(a[0].size, 0x1000);
	EXPECT_EQ(a[1].offset, 0x4000);
	EXPECT_EQ(a[1].size, 0x4000);
}

TEST_F(wire, bad_questions)
{
	struct vfu_region_info i, q;
	struct vfu_irq_info iq = { .argsz = 15 };
	struct vfu_info dq = { .argsz = 15 };

	EXPECT_EQ(region_info(self, 2, 31, &i), EINVAL);
	EXPECT_EQ(region_info(self, 2, 0, &i), EINVAL);
	EXPECT_EQ(region_info(self, 9, 32, &i), EINVAL);
	EXPECT_EQ(region_info(self, UINT32_MAX, 32, &i), EINVAL);
	q = (struct vfu_region_info){ .argsz = 32, .flags = 1 };
	EXPECT_EQ(call(self, VFU_GET_REGION_INFO, &q, sizeof(q)), EINVAL);
	q = (struct vfu_region_info){ .argsz = 32, .size = 1 };
	EXPECT_EQ(call(self, VFU_GET_REGION_INFO, &q, sizeof(q)), EINVAL);
	EXPECT_EQ(call(self, VFU_GET_INFO, &dq, sizeof(dq)), EINVAL);
	dq = (struct vfu_info){ .argsz = 16, .num_irqs = 1 };
	EXPECT_EQ(call(self, VFU_GET_INFO, &dq, sizeof(dq)), EINVAL);
	EXPECT_EQ(call(self, VFU_GET_IRQ_INFO, &iq, sizeof(iq)), EINVAL);
	iq = (struct vfu_irq_info){ .argsz = 16, .index = 5 };
	EXPECT_EQ(call(self, VFU_GET_IRQ_INFO, &iq, sizeof(iq)), EINVAL);
	iq = (struct vfu_irq_info){ .argsz = 16, .count = 5 };
	EXPECT_EQ(call(self, VFU_GET_IRQ_INFO, &iq, sizeof(iq)), EINVAL);
}

TEST_F(wire, interrupt_types)
{
	for (uint32_t k = 0; k < 5; k++) {
		struct vfu_irq_info q = { .argsz = 16, .index = k };

		ASSERT_EQ(call(self, VFU_GET_IRQ_INFO, &q, sizeof(q)), 0);
		memcpy(&q, self->r.data, sizeof(q));
		EXPECT_EQ(q.index, k);
		/* None of type ERR: QEMU would stop the machine on one. */
		EXPECT_EQ(q.count, k == VFU_IRQ_MSIX ? DEV_VECTORS : 0);
		EXPECT_EQ(q.flags, k == VFU_IRQ_MSIX ? VFU_IRQ_F_EVENTFD | VFU_IRQ_F_MASKABLE : 0);
	}
}

/* --- region access --------------------------------------------------------------------------------------------- */

TEST_F(wire, registers_and_memory)
{
	static uint8_t big[VFU_MAX_XFER - 64];
	uint64_t v = 0x8877665544332211ull, back = 0;

	for (uint32_t len = 1; len <= 8; len *= 2) {
		ASSERT_EQ(client_write(self->c, 0, 64 + len, &v, len, &self->r), 0);
		back = 0;
		ASSERT_EQ(client_read(self->c, 0, 64 + len, &back, len, &self->r), 0);
		EXPECT_EQ(back, len == 8 ? v : v & ((1ull << 8 * len) - 1));
	}
	EXPECT_EQ(self->rig.dev.writes, 4);
	ASSERT_EQ(client_write(self->c, 2, 0x100, &v, 8, &self->r), 0);
	EXPECT_EQ(memcmp(self->rig.dev.bar2 + 0x100, &v, 8), 0);
	/* Odd places and bulk are for memory. */
	ASSERT_EQ(client_read(self->c, 2, 0x103, &back, 3, &self->r), 0);
	EXPECT_EQ(back & 0xffffff, 0x665544);
	memset(big, 0x3c, sizeof(big));
	ASSERT_EQ(client_write(self->c, 2, 64, big, sizeof(big), &self->r), 0);
	EXPECT_EQ(self->rig.dev.bar2[64], 0x3c);
	EXPECT_EQ(self->rig.dev.bar2[DEV_BAR2_SIZE - 1], 0x3c);
	ASSERT_EQ(client_read(self->c, 2, 0, big, VFU_MAX_XFER, &self->r), 0);
	EXPECT_EQ(self->r.full, 16 + VFU_MAX_XFER);
}

TEST_F(wire, bad_accesses)
{
	static const struct { uint32_t region; uint64_t off; uint32_t len; int err; } row[] = {
		{ 0, 0, 0, EINVAL }, { 0, 0, 3, EINVAL }, { 0, 0, 16, EINVAL }, { 0, 2, 4, EINVAL }, { 0, 4, 8, EINVAL },
		{ 0, DEV_BAR0_SIZE, 1, EINVAL }, { 0, DEV_BAR0_SIZE - 1, 2, EINVAL }, { 0, DEV_BAR0_SIZE - 2, 4, EINVAL },
		{ 0, UINT64_MAX, 1, EINVAL }, { 0, UINT64_MAX - 3, 8, EINVAL },
		{ 2, DEV_BAR2_SIZE - 4, 8, EINVAL }, { 2, 1, 1u << 20, EINVAL }, { 2, UINT64_MAX - 7, 16, EINVAL },
		{ 1, 0, 4, EINVAL }, { 6, 0, 4, EINVAL }, { 8, 0, 4, EINVAL }, { 9, 0, 4, EINVAL }, { UINT32_MAX, 0, 4, EINVAL },
		{ 7, 4095, 2, EINVAL }, { 7, 4096, 1, EINVAL },
		{ 0, DEV_BAD_REG, 4, EIO },
	};
	struct vfu_rw q = { 0, 2, VFU_MAX_XFER + 1 };
	uint8_t data[64] = { 0 };

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct vfu_rw rd = { row[i].off, row[i].region, row[i].len };

		EXPECT_EQ(call(self, VFU_REGION_READ, &rd, sizeof(rd)), row[i].err);
		if (row[i].len <= sizeof(data))
			EXPECT_EQ(client_write(self->c, row[i].region, row[i].off, data, row[i].len, &self->r), row[i].err);
		if (th_failed)
			printf("# up to case %zu\n", i);
	}
	EXPECT_EQ(call(self, VFU_REGION_READ, &q, sizeof(q)), EINVAL);
	q.count = UINT32_MAX;
	EXPECT_EQ(call(self, VFU_REGION_READ, &q, sizeof(q)), EINVAL);
	/* The count and the bytes that follow must agree. */
	q = (struct vfu_rw){ 0, 0, 4 };
	memcpy(data, &q, sizeof(q));
	EXPECT_EQ(call(self, VFU_REGION_WRITE, data, sizeof(q) + 3), EINVAL);
	EXPECT_EQ(call(self, VFU_REGION_WRITE, data, sizeof(q) + 5), EINVAL);
	EXPECT_EQ(call(self, VFU_REGION_WRITE, data, sizeof(q)), EINVAL);
	EXPECT_EQ(self->rig.dev.writes, 0);
	EXPECT_CONTAINS(self->rig.dev.last_log, "REGION_WRITE");
}

TEST_F(wire, posted_writes_are_done_in_order_without_reply)
{
	struct { struct vfu_rw rw; uint32_t v; } m = { { 8, 0, 4 }, 0 };
	uint32_t back = 0;

	for (m.v = 1; m.v <= 100; m.v++)
		ASSERT_EQ(client_send(self->c, VFU_REGION_WRITE, VFU_F_NO_REPLY, &m, 20, NULL, 0), 0);
	/* A refused one is silent too. */
	m.rw.region = 9;
	ASSERT_EQ(client_send(self->c, VFU_REGION_WRITE, VFU_F_NO_REPLY, &m, 20, NULL, 0), 0);
	ASSERT_EQ(client_read(self->c, 0, 8, &back, 4, &self->r), 0);
	EXPECT_EQ(back, 100);
	EXPECT_EQ(self->rig.dev.writes, 100);
}

TEST_F(wire, several_writes_in_one_message)
{
	struct { struct vfu_write_multi h; struct vfu_write_one w[3]; } m = {
		{ 3 }, { { 0, 0, 4, { 1, 2, 3, 4 } }, { 8, 0, 8, { 5, 6, 7, 8, 9 } }, { 0x200, 2, 3, { 0xa, 0xb, 0xc, 0xd } } },
	};
	uint64_t n;

	ASSERT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), 0);
	ASSERT_EQ(self->r.full, 8);
	memcpy(&n, self->r.data, 8);
	EXPECT_EQ(n, 3);
	EXPECT_EQ(self->rig.dev.bar0[3], 4);
	EXPECT_EQ(self->rig.dev.bar0[12], 9);
	EXPECT_EQ(self->rig.dev.bar2[0x202], 0xc);
	EXPECT_EQ(self->rig.dev.bar2[0x203], 0);
	/* One bad write: none is done. */
	memset(self->rig.dev.bar0, 0, 64);
	m.w[2].count = 9;
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), EINVAL);
	m.w[2].count = 0;
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), EINVAL);
	m.w[2] = (struct vfu_write_one){ DEV_BAR2_SIZE, 2, 1, { 0 } };
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), EINVAL);
	m.w[2] = (struct vfu_write_one){ 0, 9, 1, { 0 } };
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), EINVAL);
	m.w[2] = (struct vfu_write_one){ 2, 0, 4, { 0 } };
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), EINVAL);
	m.h.wr_cnt = 2;
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), EINVAL);
	m.h.wr_cnt = UINT64_MAX / 24 + 4;
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), EINVAL);
	m.h.wr_cnt = 0;
	EXPECT_EQ(call(self, VFU_REGION_WRITE_MULTI, &m, 8), EINVAL);
	EXPECT_EQ(self->rig.dev.bar0[3], 0);
}

TEST_F(wire, configuration_space)
{
	uint32_t id = 0;
	uint8_t all[4096];

	ASSERT_EQ(client_read(self->c, 7, 0, &id, 4, &self->r), 0);
	EXPECT_EQ(id, 0x10f51af4);
	ASSERT_EQ(client_read(self->c, 7, 0, all, sizeof(all), &self->r), 0);
	EXPECT_EQ(all[0x0b], 0x12);
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	EXPECT_TRUE(pci_func_bus_master(vfu_pci(self->rig.v)));
}

/* --- reset and power ------------------------------------------------------------------------------------------- */

static unsigned int cap(struct wire *self, uint8_t id)
{
	uint8_t all[256];

	if (client_read(self->c, 7, 0, all, sizeof(all), &self->r))
		return 0;
	for (unsigned int at = all[0x34], hops = 0; at && hops < 48; at = all[at + 1], hops++)
		if (all[at] == id)
			return at;
	return 0;
}

TEST_F(wire, resets_are_told_apart)
{
	struct device *d = &self->rig.dev;
	uint16_t devctl = 0;
	uint32_t v = 7;
	unsigned int pcie = cap(self, 0x10);

	ASSERT_NE(pcie, 0);
	ASSERT_EQ(client_write(self->c, 0, 0, &v, 4, &self->r), 0);
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	ASSERT_EQ(call(self, VFU_DEVICE_RESET, NULL, 0), 0);
	EXPECT_EQ(self->r.full, 0);
	EXPECT_EQ(d->resets[VFU_RESET_DEVICE], 1);
	EXPECT_EQ(d->bar0[0], 0);
	EXPECT_FALSE(pci_func_bus_master(vfu_pci(self->rig.v)));
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	ASSERT_EQ(client_read(self->c, 7, pcie + 8, &devctl, 2, &self->r), 0);
	devctl |= 0x8000;
	ASSERT_EQ(client_write(self->c, 7, pcie + 8, &devctl, 2, &self->r), 0);
	EXPECT_EQ(d->resets[VFU_RESET_FLR], 1);
	EXPECT_EQ(d->resets[VFU_RESET_DEVICE], 1);
	EXPECT_FALSE(pci_func_bus_master(vfu_pci(self->rig.v)));
	EXPECT_EQ(d->resets[VFU_RESET_DISCONNECT], 0);
}

TEST_F(wire, nothing_answers_in_d3hot)
{
	unsigned int pm = cap(self, 0x01);
	uint32_t v = 5, back = 0;
	uint16_t d3 = 3, d0 = 0;

	ASSERT_NE(pm, 0);
	ASSERT_EQ(client_enable(self->c, &self->r), 0);
	ASSERT_EQ(client_write(self->c, 0, 0, &v, 4, &self->r), 0);
	ASSERT_EQ(client_write(self->c, 7, pm + 4, &d3, 2, &self->r), 0);
	EXPECT_EQ(self->rig.dev.power, PCI_D3HOT);
	v = 6;
	EXPECT_EQ(client_write(self->c, 0, 0, &v, 4, &self->r), 0);
	EXPECT_EQ(client_read(self->c, 0, 0, &back, 4, &self->r), 0);
	EXPECT_EQ(back, 0xffffffff);
	EXPECT_EQ(dma_read(vfu_dma(self->rig.v), 0, &back, 4, NULL), -EPERM);
	ASSERT_EQ(client_write(self->c, 7, pm + 4, &d0, 2, &self->r), 0);
	EXPECT_EQ(self->rig.dev.power, PCI_D0);
	EXPECT_EQ(client_read(self->c, 0, 0, &back, 4, &self->r), 0);
	EXPECT_EQ(back, 5);
}

TEST_HARNESS_MAIN
