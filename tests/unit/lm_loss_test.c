/* SPDX-License-Identifier: MIT */
/*
 * Language models on devices that are lost, at any moment: while they are set up, while a program is made for them, between a
 * chunk and a look at the state, with other devices and other sequences beside; and without memory, at any allocation. What a sequence
 * comes to is always the same, or an error, after which it can go on.
 *
 * A lost device is a simulator that the linker's --wrap takes away: calls fail as the driver's do after an unplug, and what is
 * mapped of its memory reads as something else.
 */
#include <jansson.h>
#include <pthread.h>

#include "backend/backend.h"
#include "tests/e2e/lm_seq.h"

#define SMALL	{ .vocab = 70, .hidden = 128, .layers = 4, .heads = 4, .kv = 2, .ffn = 96, .window = 8 }
#define N	60u

/* --- taking devices away ------------------------------------------------------------------------------------------------------ */

#define MAPS	4096u

static struct fault {
	const struct snpu_device *dev;		/* which; NULL: none */
	int fences, creates;			/* calls that still succeed; -1: all */
	bool gone;
	bool keeps_memory;			/* for race detectors */
} fault[2];
static struct { const struct snpu_bo *bo; void *map; } maps[MAPS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct fault *fault_of(const struct snpu_device *dev)
{
	for (unsigned int i = 0; i < 2; i++)
		if (dev && fault[i].dev == dev)
			return &fault[i];
	return NULL;
}

/* Now: memory of the device that is mapped reads as something else. */
static void take_away(struct fault *f)
{
	f->gone = true;
	for (unsigned int i = 0; i < MAPS && !f->keeps_memory; i++)
		if (maps[i].bo && maps[i].bo->dev == f->dev && (maps[i].bo->flags & SNPU_BO_DEVICE))
			memset(maps[i].map, 0xff, maps[i].bo->size);
}

static int gone(const struct snpu_device *dev, int *left)
{
	struct fault *f = fault_of(dev);
	bool lost;

	if (!f)
		return 0;
	pthread_mutex_lock(&lock);
	if (!f->gone && left && *left >= 0 && (*left)-- == 0)
		take_away(f);
	lost = f->gone;
	pthread_mutex_unlock(&lock);
	return lost ? snpu_fail(-ENODEV, "the test took it away") : 0;
}

static int *fences_of(const struct snpu_device *dev)
{
	struct fault *f = fault_of(dev);

	return f ? &f->fences : NULL;
}

int __real_snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns);
int __wrap_snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns);
int __wrap_snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns)
{
	int err = __real_snpu_fence_wait(fence, timeout_ns), lost;

	if (err == -ETIMEDOUT)
		return err;
	lost = gone(fence->dev, fences_of(fence->dev));
	return lost ? lost : err;
}

int __real_snpu_device_info(struct snpu_device *device, struct snpu_device_info *info);
int __wrap_snpu_device_info(struct snpu_device *device, struct snpu_device_info *info);
int __wrap_snpu_device_info(struct snpu_device *device, struct snpu_device_info *info)
{
	int err = gone(device, NULL);

	return err ? err : __real_snpu_device_info(device, info);
}

int __real_snpu_bo_create(struct snpu_device *device, uint64_t size, uint32_t flags, struct snpu_bo **bo);
int __wrap_snpu_bo_create(struct snpu_device *device, uint64_t size, uint32_t flags, struct snpu_bo **bo);
int __wrap_snpu_bo_create(struct snpu_device *device, uint64_t size, uint32_t flags, struct snpu_bo **bo)
{
	struct fault *f = fault_of(device);
	int err = gone(device, f ? &f->creates : NULL);

	return err ? err : __real_snpu_bo_create(device, size, flags, bo);
}

int __real_snpu_bo_map(struct snpu_bo *bo, void **ptr);
int __wrap_snpu_bo_map(struct snpu_bo *bo, void **ptr);
int __wrap_snpu_bo_map(struct snpu_bo *bo, void **ptr)
{
	int err = __real_snpu_bo_map(bo, ptr);

	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < MAPS && !err; i++)
		if (!maps[i].bo) {
			maps[i].bo = bo;
			maps[i].map = *ptr;
			break;
		}
	pthread_mutex_unlock(&lock);
	return err;
}

void __real_snpu_bo_free(struct snpu_bo *bo);
void __wrap_snpu_bo_free(struct snpu_bo *bo);
void __wrap_snpu_bo_free(struct snpu_bo *bo)
{
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < MAPS; i++)
		if (maps[i].bo == bo)
			maps[i].bo = NULL;
	pthread_mutex_unlock(&lock);
	__real_snpu_bo_free(bo);
}

/* --- taking memory away -------------------------------------------------------------------------------------------------------- */

static __thread int allocations = -1;		/* of this thread that still succeed; -1: all. The one after them fails */
static __thread bool failed_one;

static bool refuse(void)
{
	if (allocations < 0 || allocations-- > 0)
		return false;
	failed_one = true;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return refuse() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
	return refuse() ? NULL : __real_realloc(old, size);
}

void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return refuse() ? NULL : __real_reallocarray(old, n, size);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	return refuse() ? NULL : __real_strdup(s);
}

/* --- the rig -------------------------------------------------------------------------------------------------------------------- */

static struct snpu_device *simulator(unsigned int i, uint64_t memory)
{
	struct snpu_device_opts o = { .sz = sizeof(o), .sim_memory = memory };
	struct snpu_device *dev = NULL;

	if (snpu_device_open("sim", &o, &dev))
		exit(TH_FAIL);
	fault[i] = (struct fault){ .dev = dev, .fences = -1, .creates = -1 };
	return dev;
}

static uint64_t used(struct snpu_device *dev)
{
	struct snpu_device_info info = { .sz = sizeof(info) };

	return __real_snpu_device_info(dev, &info) ? 0 : info.device_used;
}

static struct snpu_lm_ctx *context(const struct seq *s, struct snpu_lm_ctx_opts o)
{
	struct snpu_lm_ctx *ctx = NULL;

	o.sz = sizeof(o);
	if (snpu_lm_ctx_create(s->lm, &o, &ctx)) {
		printf("# %s\n", snpu_last_error());
		exit(TH_FAIL);
	}
	return ctx;
}

static unsigned int parts_on(struct snpu_lm_ctx *ctx, const char *device)
{
	struct snpu_lm_place place = { .sz = sizeof(place) };
	unsigned int n = 0;

	for (unsigned int i = 0; !snpu_lm_ctx_place(ctx, i, &place); i++)
		n += !strcmp(place.device, device);
	return n;
}

FIXTURE(loss) {
	struct seq s;
	struct snpu_device *dev[2];
};

FIXTURE_SETUP(loss)
{
	struct made m = SMALL;

	seq_made(&self->s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, N);
	self->dev[0] = simulator(0, 0);
	self->dev[1] = simulator(1, 0);
}

FIXTURE_TEARDOWN(loss)
{
	snpu_device_close(self->dev[0]);
	snpu_device_close(self->dev[1]);
	seq_close(&self->s);
}

/* --- one device ------------------------------------------------------------------------------------------------------------------ */

TEST_F(loss, while_it_is_set_up)
{
	for (int creates = 0; creates < 8; creates++) {
		struct snpu_device *sim = simulator(0, 0);
		struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .devices = &sim, .n_devices = 1, .require_device = 1 };
		struct snpu_lm_ctx *ctx;

		fault[0].creates = creates;
		ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1, .chunk = 7 });
		EXPECT_TRUE(seq_finish(&self->s, ctx, 20));
		snpu_lm_ctx_free(ctx);
		EXPECT_LT(snpu_lm_ctx_create(self->s.lm, &o, &ctx), 0);
		snpu_device_close(sim);
	}
}

/* The buffer of programs is made when the first one is, and again for longer ones. */
TEST_F(loss, while_a_program_is_made)
{
	struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = self->dev, .n_devices = 1 });

	fault[0].creates = 0;
	EXPECT_TRUE(seq_finish(&self->s, ctx, 11));
	EXPECT_TRUE(fault[0].gone);
	EXPECT_CONTAINS(snpu_lm_ctx_fallback(ctx, 0), "the test took it away");
	snpu_lm_ctx_free(ctx);
}

/* Nothing that is read from a lost device is taken for the state. */
TEST_F(loss, before_the_state_is_read)
{
	for (unsigned int at = 0; at <= N; at += 20) {
		struct snpu_device *sim = simulator(0, 0);
		struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1, .checkpoint = 16 }), *fork;

		if (at)
			ASSERT_EQ(snpu_lm_eval(ctx, self->s.ids, at, SNPU_LM_NONE, NULL), 0);
		take_away(&fault[0]);
		ASSERT_EQ(snpu_lm_ctx_fork(ctx, &fork), 0);
		EXPECT_EQ(parts_on(fork, "sim"), 0u);
		EXPECT_TRUE(at == N ? seq_ends(&self->s, fork, NULL) : seq_finish(&self->s, fork, 9));
		EXPECT_TRUE(at == N ? seq_ends(&self->s, ctx, NULL) : seq_finish(&self->s, ctx, 30));
		snpu_lm_ctx_free(ctx);
		snpu_lm_ctx_free(fork);
		snpu_device_close(sim);
	}
}

static int lose_it(void *arg, const struct snpu_lm_tap *tap)
{
	unsigned int *left = arg;

	if (--*left == 0)
		take_away(&fault[0]);
	return 0;
}

/* Lost when a chunk is done, before the copy is made from which to go on: an older copy must do. */
TEST_F(loss, before_the_copy_is_made)
{
	for (unsigned int chunk = 1; chunk < 10; chunk += 4) {
		static const char *const taps[] = { "layer_in.3" };
		struct snpu_device *sim = simulator(0, 0);
		unsigned int left = chunk;
		struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1, .checkpoint = 1, .chunk = 6,
											.tap = lose_it, .tap_arg = &left, .taps = taps, .n_taps = 1 });

		EXPECT_TRUE(seq_finish(&self->s, ctx, N));
		EXPECT_TRUE(fault[0].gone);
		snpu_lm_ctx_free(ctx);
		snpu_device_close(sim);
	}
}

/* Tokens that are computed again count once, and those of a chunk that failed do not count twice. */
TEST_F(loss, and_the_profile)
{
	struct snpu_lm_ctx_opts o = { .chunk = 6, .checkpoint = 15, .profile = 1 };
	struct snpu_lm_ctx *cpu = context(&self->s, o), *ctx;
	uint64_t want[64], got[64];
	struct snpu_lm_spike_sums a, b;

	ASSERT_EQ(snpu_lm_eval(cpu, self->s.ids, N, SNPU_LM_LAST, NULL), 0);
	o.devices = self->dev;
	o.n_devices = 2;
	ctx = context(&self->s, o);
	fault[0].fences = 4;
	fault[1].fences = 5;
	ASSERT_EQ(snpu_lm_eval(ctx, self->s.ids, N, SNPU_LM_LAST, NULL), 0);
	EXPECT_TRUE(fault[0].gone && fault[1].gone);
	for (unsigned int layer = 0; layer < 4; layer++) {
		ASSERT_EQ(snpu_lm_ctx_spikes(cpu, layer, NULL, SNPU_LM_EXECUTED, &a), 0);
		ASSERT_EQ(snpu_lm_ctx_spikes(ctx, layer, NULL, SNPU_LM_EXECUTED, &b), 0);
		EXPECT_EQ(memcmp(&a, &b, sizeof(a)), 0);
	}
	ASSERT_EQ(snpu_lm_ctx_counters(cpu, ~0u, want), 0);
	ASSERT_EQ(snpu_lm_ctx_counters(ctx, ~0u, got), 0);
	for (unsigned int c = 0; c < snpu_counters(); c++)
		if (snpu_counter_exact(c))
			EXPECT_EQ(got[c], want[c]);
	snpu_lm_ctx_free(cpu);
	snpu_lm_ctx_free(ctx);
}

/* An empty or another sequence begins on what is left. */
TEST_F(loss, before_a_reset_or_a_load)
{
	struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = self->dev, .n_devices = 2 });

	ASSERT_EQ(snpu_lm_eval(ctx, self->s.ids + 5, 7, SNPU_LM_NONE, NULL), 0);
	take_away(&fault[0]);
	ASSERT_EQ(snpu_lm_ctx_reset(ctx), 0);
	EXPECT_TRUE(seq_finish(&self->s, ctx, 25));
	ASSERT_EQ(snpu_lm_ctx_reset(ctx), 0);
	take_away(&fault[1]);
	ASSERT_EQ(snpu_lm_state_load(ctx, self->s.state, self->s.state_size), 0);
	EXPECT_TRUE(seq_ends(&self->s, ctx, NULL));
	EXPECT_EQ(snpu_lm_eval(ctx, self->s.ids, 3, SNPU_LM_NONE, NULL), 0);
	snpu_lm_ctx_free(ctx);
}

/* With require_device every later call says so, and no state is given out that is none. */
TEST_F(loss, of_a_required_device)
{
	uint8_t *state = calloc(1, self->s.state_size);
	struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = self->dev, .n_devices = 1, .require_device = 1, .chunk = 5 });

	fault[0].fences = 3;
	EXPECT_EQ(snpu_lm_eval(ctx, self->s.ids, N, SNPU_LM_NONE, NULL), -EREMOTEIO);
	EXPECT_EQ(snpu_lm_ctx_position(ctx), 15u);
	EXPECT_CONTAINS(snpu_last_error(), "the test took it away");
	EXPECT_EQ(snpu_lm_eval(ctx, self->s.ids, 1, SNPU_LM_NONE, NULL), -EREMOTEIO);
	EXPECT_EQ(snpu_lm_state_save(ctx, state, self->s.state_size), -EREMOTEIO);
	EXPECT_EQ(snpu_lm_ctx_fork(ctx, &ctx), -EREMOTEIO);
	EXPECT_EQ(snpu_lm_ctx_position(ctx), 15u);
	snpu_lm_ctx_free(ctx);
	free(state);
}

/* --- several --------------------------------------------------------------------------------------------------------------------- */

/* What one device had goes to the next one, also when that has no room to hold its own part twice, and not to the CPU. */
TEST(loss_to_the_next_device)
{
	struct made m = { .vocab = 70, .hidden = 128, .layers = 4, .heads = 4, .kv = 2, .ffn = 2048, .window = 8 };
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, N);
	for (int fences = 0; fences < 9; fences += 4) {
		/* 16 MiB are left alone by a placement; the model takes 7 of them */
		struct snpu_device *sim[2] = { simulator(0, 20 << 20), simulator(1, 24 << 20) };
		struct snpu_lm_ctx *ctx = context(&s, (struct snpu_lm_ctx_opts){ .devices = sim, .n_devices = 2, .chunk = 6, .checkpoint = 10 });

		EXPECT_TRUE(used(sim[0]) > 2 << 20 && used(sim[1]) > 2 << 20);
		fault[0].fences = fences;
		EXPECT_TRUE(seq_finish(&s, ctx, 17));
		EXPECT_TRUE(fault[0].gone);
		EXPECT_EQ(parts_on(ctx, "sim"), 6u);
		snpu_lm_ctx_free(ctx);
		EXPECT_EQ(used(sim[1]), 0u);
		snpu_device_close(sim[0]);
		snpu_device_close(sim[1]);
	}
	seq_close(&s);
}

TEST_F(loss, of_all_devices_one_after_the_other)
{
	struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = self->dev, .n_devices = 2, .chunk = 5, .checkpoint = 9 });

	fault[0].fences = 4;
	fault[1].fences = 6;			/* some of them are spent on computing again */
	EXPECT_TRUE(seq_finish(&self->s, ctx, N));
	EXPECT_TRUE(fault[0].gone && fault[1].gone);
	EXPECT_EQ(parts_on(ctx, "cpu"), 6u);
	snpu_lm_ctx_free(ctx);
}

/* The second device goes while the first one's work is set up there. */
TEST_F(loss, of_the_next_device_too)
{
	for (int creates = 0; creates < 6; creates++) {		/* weights, scratch, input, output, state, program */
		struct snpu_device *sim[2] = { simulator(0, 0), simulator(1, 0) };
		struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = sim, .n_devices = 2, .chunk = 5, .checkpoint = 9 });

		fault[0].fences = 4;
		fault[1].creates = creates;
		EXPECT_TRUE(seq_finish(&self->s, ctx, N));
		EXPECT_TRUE(fault[0].gone && fault[1].gone);
		snpu_lm_ctx_free(ctx);
		snpu_device_close(sim[0]);
		snpu_device_close(sim[1]);
	}
}

/* Sequences that shared a device's weights share them on the next one, too. */
TEST_F(loss, with_forks)
{
	struct snpu_lm_ctx *ctx[5];
	uint64_t one;

	ctx[0] = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = self->dev, .n_devices = 2 });
	for (unsigned int i = 1; i < 5; i++)
		ASSERT_EQ(snpu_lm_ctx_fork(ctx[0], &ctx[i]), 0);
	one = used(self->dev[0]);
	EXPECT_EQ(used(self->dev[1]), 0u);
	take_away(&fault[0]);
	for (unsigned int i = 0; i < 5; i++)
		EXPECT_TRUE(seq_finish(&self->s, ctx[i], 10 + i));
	EXPECT_LT(used(self->dev[1]), one + one / 4);		/* page tables may differ */
	for (unsigned int i = 0; i < 5; i++)
		snpu_lm_ctx_free(ctx[i]);
}

struct runner {
	const struct seq *s;
	struct snpu_lm_ctx *ctx;
	unsigned int call;
	bool same;
};

static void *run(void *arg)
{
	struct runner *r = arg;

	r->same = seq_finish(r->s, r->ctx, r->call);
	return NULL;
}

/* At the same time, on two threads; the device is lost in the middle. */
TEST_F(loss, with_forks_on_threads)
{
	for (int fences = 1; fences < 40; fences += 5) {
		struct snpu_device *sim = simulator(0, 0);
		struct runner r[2] = { { .s = &self->s, .call = 3 }, { .s = &self->s, .call = 4 } };
		pthread_t thread[2];

		r[0].ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1, .checkpoint = 8 });
		ASSERT_EQ(snpu_lm_ctx_fork(r[0].ctx, &r[1].ctx), 0);
		fault[0].fences = fences;
		fault[0].keeps_memory = true;
		for (unsigned int i = 0; i < 2; i++)
			ASSERT_EQ(pthread_create(&thread[i], NULL, run, &r[i]), 0);
		for (unsigned int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		EXPECT_TRUE(r[0].same && r[1].same);
		snpu_lm_ctx_free(r[0].ctx);
		snpu_lm_ctx_free(r[1].ctx);
		snpu_device_close(sim);
	}
}

/* --- room ------------------------------------------------------------------------------------------------------------------------ */

/* Forks until the device is full: an error, and those that are there go on. Their memory and addresses can be had again. */
TEST_F(loss, of_room_for_forks)
{
	struct snpu_device *sim = simulator(0, 22 << 20);
	struct snpu_lm_ctx *ctx = context(&self->s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1 }), *fork[4096];
	unsigned int n = 0;
	int err = 0;

	while (n < 4096 && !err) {
		err = snpu_lm_ctx_fork(ctx, &fork[n]);
		n += !err;
	}
	EXPECT_EQ(err, -ENOSPC);
	ASSERT_GT(n, 1u);
	EXPECT_TRUE(seq_finish(&self->s, ctx, 20));
	EXPECT_TRUE(seq_finish(&self->s, fork[n - 1], 20));
	EXPECT_EQ(parts_on(ctx, "cpu"), 0u);
	snpu_lm_ctx_free(fork[0]);
	EXPECT_EQ(snpu_lm_ctx_fork(ctx, &fork[0]), 0);
	for (unsigned int i = 0; i < n; i++)
		snpu_lm_ctx_free(fork[i]);
	snpu_lm_ctx_free(ctx);
	EXPECT_EQ(used(sim), 0u);
	snpu_device_close(sim);
}

/* Segments that do not touch each other have a scratch each; a device is not given more than it holds, and so not thrown out. */
TEST_F(loss, of_room_for_scratch)
{
	struct made m = { .vocab = 70, .hidden = 128, .layers = 9, .heads = 4, .kv = 2, .ffn = 512, .window = 8 };
	struct seq s;

	seq_made(&s, m, SNPU_LM_FLOAT, SNPU_LM_WINDOW_W1, N);
	for (uint64_t mib = 44; mib < 60; mib += 2) {		/* the scratch of 4096 tokens has 27 */
		struct snpu_device *sim = simulator(0, mib << 20);
		struct snpu_lm_ctx *ctx = context(&s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1, .chunk = 4096 });

		printf("# %llu MiB: %u parts on the simulator\n", (unsigned long long)mib, parts_on(ctx, "sim"));
		EXPECT_TRUE(mib < 48 || parts_on(ctx, "sim") > 0);
		EXPECT_TRUE(seq_finish(&s, ctx, N));
		snpu_lm_ctx_free(ctx);
		snpu_device_close(sim);
	}
	seq_close(&s);
}

/* --- no memory ------------------------------------------------------------------------------------------------------------------- */

static void *json_malloc(size_t size)
{
	return refuse() ? NULL : __real_malloc(size);
}

static int nothing(void *arg, const struct snpu_lm_tap *tap)
{
	return 0;
}

/* Each allocation of opening and of converting fails once. */
TEST_TIMEOUT(opening_without_memory, 300)
{
	struct made m = SMALL;
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = SNPU_LM_SPIKE, .down = SNPU_LM_DOWN_FLOAT };
	char *dir = made_model(m), out[64];
	unsigned int refused[2] = { 0 };

	ASSERT_TRUE(dir != NULL);
	json_set_alloc_funcs(json_malloc, free);
	snprintf(out, sizeof(out), "%s/x.snpu", dir);
	for (unsigned int convert = 0; convert < 2; convert++)
		for (int n = 0; n < 100000; n++) {
			struct snpu_lm *lm = NULL;
			int err;

			failed_one = false;
			allocations = n;
			err = convert ? snpu_lm_convert(dir, &o, out) : snpu_lm_open(dir, &o, &lm);
			allocations = -1;
			if (!failed_one) {
				EXPECT_EQ(err, 0);
				snpu_lm_free(lm);
				break;
			}
			refused[convert]++;
			if (err != -ENOMEM && err != -EBADMSG)	/* a JSON text that could not be read counts as damaged */
				TH_FAILMSG("allocation %d: %d, %s", n, err, err ? snpu_last_error() : "");
			snpu_lm_free(lm);
			if (convert)
				EXPECT_EQ(access(out, F_OK), -1);
		}
	printf("# %u and %u allocations failed\n", refused[0], refused[1]);
	EXPECT_TRUE(refused[0] > 50 && refused[1] > 50);
	remove_folder(dir);
}

/* One after the other, with two devices of which one is lost, taps, a profile and a fork: an error, or no consequence; then it goes on. */
TEST_F_TIMEOUT(loss, of_memory, 300)
{
	unsigned int refused = 0, errors = 0;

	for (int n = 0; n < 100000; n++) {
		struct snpu_device *sim[2] = { simulator(0, 0), simulator(1, 0) };
		struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .devices = sim, .n_devices = 2, .chunk = 8, .checkpoint = 12, .profile = 1, .tap = nothing };
		struct snpu_lm_ctx *ctx = NULL, *fork = NULL;
		int err;

		failed_one = false;
		allocations = n;
		fault[0].fences = 4;
		err = snpu_lm_ctx_create(self->s.lm, &o, &ctx);
		for (unsigned int at = 0; !err && at < N; at += 20)
			err = snpu_lm_eval(ctx, self->s.ids + at, 20, SNPU_LM_LAST, NULL);
		if (!err)
			err = snpu_lm_ctx_fork(ctx, &fork);
		allocations = -1;
		refused += failed_one;
		errors += err != 0;
		EXPECT_TRUE(err == 0 || err == -ENOMEM);
		if (ctx)
			EXPECT_TRUE(snpu_lm_ctx_position(ctx) == N ? seq_ends(&self->s, ctx, NULL) : seq_finish(&self->s, ctx, 20));
		if (fork)
			EXPECT_TRUE(seq_ends(&self->s, fork, NULL));
		snpu_lm_ctx_free(ctx);
		snpu_lm_ctx_free(fork);
		snpu_device_close(sim[0]);
		snpu_device_close(sim[1]);
		if (!failed_one)
			break;
	}
	printf("# %u allocations failed, %u of them with an error\n", refused, errors);
	EXPECT_GT(refused, 100u);
	EXPECT_GT(errors, 50u);
}

TEST_HARNESS_MAIN
