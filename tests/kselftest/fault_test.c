// SPDX-License-Identifier: MIT
/*
 * Faults and isolation: a fault is reported precisely and stops one queue, no context can reach another's memory or
 * what was unmapped, and a client that is killed or leaves in mid-job takes nothing with it.
 */
#include "kself.h"

FIXTURE(fault) { struct ctx c, other; };
FIXTURE_SETUP(fault)
{
	(void)variant;
	ASSERT_EQ(ctx_open(&self->c), 0);
	ASSERT_EQ(ctx_open(&self->other), 0);
}
FIXTURE_TEARDOWN(fault)
{
	/* Whatever happened to the first context, the other one works. */
	if (!th_failed)
		EXPECT_EQ(run_fill(&self->other, 0xfeed), 1);
	close(self->c.fd);
	close(self->other.fd);
}

/* Reads a word at VA of the context through region INPUT; returns how the job ended. */
static int peek(struct ctx *c, uint64_t va)
{
	struct prog p = prog_at(c, 0);
	struct job j;

	EMIT(&p, NOP, );
	EMIT(&p, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0), .words = 16);
	EMIT(&p, END, );
	job_init(&j, c, 0);
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_INPUT, 0, va, PAGE };
	j.job.regions.count = 3;
	return run(c, &j);
}

/* The fault of the context's queue must be CODE at VA. */
static void expect_fault(struct ctx *c, uint32_t code, uint64_t va, uint32_t access)
{
	struct drm_snpu_queue_state st;
	struct job j;

	ASSERT_EQ(queue_state(c->fd, c->queue, &st), 0);
	EXPECT_EQ(st.flags, DRM_SNPU_QUEUE_FAULTED);
	EXPECT_EQ(st.fault_code, code);
	EXPECT_EQ(st.fault_va, va);
	EXPECT_EQ(st.fault_access, access);
	EXPECT_EQ(st.fault_job, st.submitted);
	job_init(&j, c, 0);
	EXPECT_EQ(submit(c, &j), -ECANCELED);
}

TEST_F(fault, an_unmapped_address)
{
	EXPECT_EQ(peek(&self->c, 0x7000000000), -EFAULT);
	expect_fault(&self->c, SNPU_FAULT_MMU_UNMAPPED, 0x7000000000, SNPU_ACCESS_READ);
	struct drm_snpu_queue_state st;

	ASSERT_EQ(queue_state(self->c.fd, self->c.queue, &st), 0);
	EXPECT_EQ(st.fault_pc, sizeof(struct snpu_pkt_NOP));
	EXPECT_EQ(st.fault_packet & 0xff, SNPU_OP_COPY);
	EXPECT_EQ(st.fault_operand, 0);
	EXPECT_EQ(st.completed, 0);
}

TEST_F(fault, a_read_only_mapping)
{
	struct prog p = prog_at(&self->c, 0);
	struct job j;

	ASSERT_EQ(vm_map(self->c.fd, self->c.vm, self->c.out.handle, 0, self->c.out.va, self->c.out.size, DRM_SNPU_VM_BIND_READ), 0);
	EMIT(&p, FILL, .dst = REF(OUTPUT, 64), .words = 4, .value = 1);
	EMIT(&p, END, );
	job_init(&j, &self->c, 0);
	EXPECT_EQ(run(&self->c, &j), -EFAULT);
	expect_fault(&self->c, SNPU_FAULT_MMU_WRITE, self->c.out.va + 64, SNPU_ACCESS_WRITE);
	EXPECT_EQ(((volatile uint32_t *)self->c.out.map)[16], 0);
}

TEST_F(fault, a_write_only_mapping)
{
	ASSERT_EQ(vm_map(self->c.fd, self->c.vm, self->c.out.handle, 0, 0x60000000, PAGE, DRM_SNPU_VM_BIND_WRITE), 0);
	EXPECT_EQ(peek(&self->c, 0x60000000), -EFAULT);
	expect_fault(&self->c, SNPU_FAULT_MMU_READ, 0x60000000, SNPU_ACCESS_READ);
}

TEST_F(fault, an_undefined_packet)
{
	struct prog p = prog_at(&self->c, 0);
	struct job j;

	EMIT(&p, NOP, );
	((struct snpu_pkt_hdr *)p.start)->opcode = 0xee;
	EMIT(&p, END, );
	job_init(&j, &self->c, 0);
	EXPECT_EQ(run(&self->c, &j), -EFAULT);
	expect_fault(&self->c, SNPU_FAULT_BAD_OPCODE, 0, SNPU_ACCESS_NONE);
}

TEST_F(fault, a_program_without_an_end)
{
	struct job j;

	/* The code is zero: NOPs to its last byte. */
	job_init(&j, &self->c, 0);
	for (uint32_t i = 0; i < self->c.code.size / 8; i++)
		((uint64_t *)self->c.code.map)[i] = 2 << 16;
	EXPECT_EQ(run(&self->c, &j), -EFAULT);
	expect_fault(&self->c, SNPU_FAULT_OVERRUN, 0, SNPU_ACCESS_NONE);
}

TEST_F(fault, later_jobs_are_cancelled)
{
	uint32_t h[3];
	struct drm_snpu_job jobs[3];
	struct job j[3];
	struct prog p = prog_at(&self->c, 0);

	EMIT(&p, FILL, .dst = REF(OUTPUT, 0), .words = 1, .value = 1);
	EMIT(&p, END, );
	for (int i = 0; i < 3; i++) {
		h[i] = syncobj(self->c.fd);
		job_init(&j[i], &self->c, 0);
		job_sync(&j[i], DRM_SNPU_SYNC_SIGNAL, h[i], 0);
		if (i == 1)
			j[i].regions[1].va = 0x7000000000;
		jobs[i] = j[i].job;
	}
	ASSERT_EQ(submit_jobs(self->c.fd, self->c.queue, jobs, 3), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(sync_wait(self->c.fd, h[i]), 0);
	EXPECT_EQ(sync_status(self->c.fd, h[0]), 1);
	EXPECT_EQ(sync_status(self->c.fd, h[1]), -EFAULT);
	EXPECT_EQ(sync_status(self->c.fd, h[2]), -ECANCELED);
}

TEST_F(fault, another_queue_goes_on_meanwhile)
{
	uint32_t done = syncobj(self->other.fd);
	struct prog p = prog_at(&self->other, 0);
	struct job j;

	/* Long enough to be on the card while the other queue faults. */
	EMIT(&p, LOOP, .count = 2000000);
	EMIT(&p, NEXT, );
	EMIT(&p, FILL, .dst = REF(OUTPUT, 0), .words = 1, .value = 0x600d);
	EMIT(&p, END, );
	job_init(&j, &self->other, 0);
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, done, 0);
	ASSERT_EQ(submit(&self->other, &j), 0);
	EXPECT_EQ(peek(&self->c, 0x7000000000), -EFAULT);
	ASSERT_EQ(sync_wait(self->other.fd, done), 0);
	EXPECT_EQ(sync_status(self->other.fd, done), 1);
	EXPECT_EQ(*(volatile uint32_t *)self->other.out.map, 0x600d);
}

TEST_F(fault, a_new_queue_of_the_same_vm_works)
{
	EXPECT_EQ(peek(&self->c, 0x7000000000), -EFAULT);
	ASSERT_EQ(queue_destroy(self->c.fd, self->c.queue), 0);
	ASSERT_EQ(queue_create(self->c.fd, self->c.vm, DRM_SNPU_PRIORITY_NORMAL, &self->c.queue), 0);
	EXPECT_EQ(run_fill(&self->c, 0xabcd), 1);
}

/* --- isolation --- */
TEST_F(fault, one_context_cannot_read_another)
{
	struct buf secret;
	const uint64_t va = 0x500000000;

	for (uint32_t flags = 0; flags <= DRM_SNPU_BO_DEVICE; flags++) {
		ASSERT_EQ(buf_new(&self->other, PAGE, flags, &secret), 0);
		memset(secret.map, 0x5e, PAGE);
		ASSERT_EQ(vm_map(self->other.fd, self->other.vm, secret.handle, 0, va, PAGE, BIND_RW), 0);
		ASSERT_EQ(peek(&self->other, va), 1);			/* its owner can, and so warms every cache */
		EXPECT_EQ(*(volatile uint32_t *)self->other.out.map, 0x5e5e5e5e);
		EXPECT_EQ(peek(&self->c, va), -EFAULT);
		EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, 0);
		ASSERT_EQ(queue_destroy(self->c.fd, self->c.queue), 0);
		ASSERT_EQ(queue_create(self->c.fd, self->c.vm, DRM_SNPU_PRIORITY_NORMAL, &self->c.queue), 0);
	}
}

TEST_F(fault, one_address_is_two_buffers_in_two_contexts)
{
	struct buf a, b;
	const uint64_t va = 0x500000000;

	ASSERT_EQ(buf_new(&self->c, PAGE, 0, &a), 0);
	ASSERT_EQ(buf_new(&self->other, PAGE, 0, &b), 0);
	memset(a.map, 0xaa, PAGE);
	memset(b.map, 0xbb, PAGE);
	ASSERT_EQ(vm_map(self->c.fd, self->c.vm, a.handle, 0, va, PAGE, BIND_RW), 0);
	ASSERT_EQ(vm_map(self->other.fd, self->other.vm, b.handle, 0, va, PAGE, BIND_RW), 0);
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(peek(&self->c, va), 1);
		ASSERT_EQ(peek(&self->other, va), 1);
		EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, 0xaaaaaaaa);
		EXPECT_EQ(*(volatile uint32_t *)self->other.out.map, 0xbbbbbbbb);
	}
}

TEST_F(fault, what_was_unmapped_is_gone)
{
	struct buf b;
	const uint64_t va = 0x500000000;

	ASSERT_EQ(buf_new(&self->c, 4 * PAGE, 0, &b), 0);
	ASSERT_EQ(vm_map(self->c.fd, self->c.vm, b.handle, 0, va, 4 * PAGE, BIND_RW), 0);
	ASSERT_EQ(peek(&self->c, va), 1);
	ASSERT_EQ(vm_unmap(self->c.fd, self->c.vm, va + PAGE, PAGE), 0);
	EXPECT_EQ(peek(&self->c, va), 1);				/* its neighbours stay */
	EXPECT_EQ(peek(&self->c, va + 2 * PAGE), 1);
	EXPECT_EQ(peek(&self->c, va + PAGE), -EFAULT);
	expect_fault(&self->c, SNPU_FAULT_MMU_UNMAPPED, va + PAGE, SNPU_ACCESS_READ);
}

TEST_F(fault, a_mapping_is_replaced)
{
	struct buf a, b;
	const uint64_t va = 0x500000000;

	ASSERT_EQ(buf_new(&self->c, 4 * PAGE, 0, &a), 0);
	ASSERT_EQ(buf_new(&self->c, 4 * PAGE, DRM_SNPU_BO_DEVICE, &b), 0);
	memset(a.map, 0x11, 4 * PAGE);
	memset(b.map, 0x22, 4 * PAGE);
	ASSERT_EQ(vm_map(self->c.fd, self->c.vm, a.handle, 0, va, 4 * PAGE, BIND_RW), 0);
	ASSERT_EQ(peek(&self->c, va + PAGE), 1);
	ASSERT_EQ(vm_map(self->c.fd, self->c.vm, b.handle, 0, va + PAGE, 2 * PAGE, BIND_RW), 0);
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(peek(&self->c, va + (uint64_t)i * PAGE), 1);
		EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, i == 1 || i == 2 ? 0x22222222 : 0x11111111);
	}
}

TEST_F(fault, a_closed_buffer_stays_mapped_until_it_is_unmapped)
{
	struct buf b;

	ASSERT_EQ(buf_new(&self->c, PAGE, 0, &b), 0);
	memset(b.map, 0x33, PAGE);
	ASSERT_EQ(drmCloseBufferHandle(self->c.fd, b.handle), 0);
	ASSERT_EQ(peek(&self->c, b.va), 1);
	EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, 0x33333333);
	ASSERT_EQ(vm_unmap(self->c.fd, self->c.vm, b.va, PAGE), 0);
	EXPECT_EQ(peek(&self->c, b.va), -EFAULT);
}

TEST_F(fault, large_pages_hold_every_byte)
{
	const uint64_t size = 5 << 20;
	struct prog p;
	struct buf b;
	struct job j;

	for (uint32_t flags = 0; flags <= DRM_SNPU_BO_DEVICE; flags++) {
		ASSERT_EQ(buf_new(&self->c, size, flags, &b), 0);
		p = prog_at(&self->c, 0);
		EMIT(&p, FILL, .dst = REF(OUTPUT, 0), .words = (uint32_t)(size / 4), .value = 0x01020304 + flags);
		EMIT(&p, END, );
		job_init(&j, &self->c, 0);
		j.regions[1].va = b.va;
		j.regions[1].size = size;
		ASSERT_EQ(run(&self->c, &j), 1);
		for (uint64_t i = 0; i < size / 4; i += 251)
			ASSERT_EQ(((volatile uint32_t *)b.map)[i], 0x01020304 + flags);
	}
}

/* --- leaving in mid-job --- */
TEST_F(fault, destroying_a_queue_stops_its_job)
{
	uint32_t h[2] = { syncobj(self->c.fd), syncobj(self->c.fd) };
	struct prog p = prog_at(&self->c, 0);
	struct job j;

	prog_spin(&p);
	for (int i = 0; i < 2; i++) {
		job_init(&j, &self->c, 0);
		job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h[i], 0);
		ASSERT_EQ(submit(&self->c, &j), 0);
	}
	usleep(100000);
	EXPECT_EQ(sync_status(self->c.fd, h[0]), 0);
	ASSERT_EQ(queue_destroy(self->c.fd, self->c.queue), 0);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(sync_wait(self->c.fd, h[i]), 0);
		EXPECT_EQ(sync_status(self->c.fd, h[i]), -ECANCELED);
	}
}

TEST_F(fault, a_killed_client_in_mid_job)
{
	for (int round = 0; round < 5; round++) {
		int ready[2];
		char go;

		ASSERT_EQ(pipe(ready), 0);
		pid_t pid = fork();

		if (!pid) {
			struct ctx c;
			struct job j;

			if (ctx_open(&c))
				_exit(2);
			struct prog p = prog_at(&c, 0);

			prog_spin(&p);
			job_init(&j, &c, 0);
			if (submit(&c, &j) || write(ready[1], "r", 1) != 1)
				_exit(3);
			for (;;)
				pause();
		}
		close(ready[1]);
		ASSERT_EQ(read(ready[0], &go, 1), 1);
		close(ready[0]);
		usleep(20000);
		kill(pid, SIGKILL);
		ASSERT_EQ(waitpid(pid, NULL, 0), pid);
		ASSERT_EQ(run_fill(&self->c, (uint32_t)round + 1), 1);
	}
}

TEST_F(fault, a_spinning_neighbour_does_not_starve_anyone)
{
	struct prog p = prog_at(&self->other, 0);
	struct job j;

	prog_spin(&p);
	job_init(&j, &self->other, 0);
	ASSERT_EQ(submit(&self->other, &j), 0);
	for (uint32_t i = 1; i <= 20; i++)
		ASSERT_EQ(run_fill(&self->c, i), 1);
	ASSERT_EQ(queue_destroy(self->other.fd, self->other.queue), 0);
	ASSERT_EQ(queue_create(self->other.fd, self->other.vm, DRM_SNPU_PRIORITY_NORMAL, &self->other.queue), 0);
}

TEST_HARNESS_MAIN
