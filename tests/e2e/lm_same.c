/* SPDX-License-Identifier: MIT */
/*
 * The same bits, whatever executes a language model: scalar, AVX2 and AVX-512, one and two threads, the card's engine, bit plane
 * by bit plane, layers spread over devices, any cutting of the text into calls and chunks, states that were saved, loaded and
 * forked, and devices that are lost on the way; where there is a card, also that card, through its driver. Each is compared with one thread of scalar code: logits of every position
 * and the whole state, byte for byte.
 *
 * Devices are lost by wrapping snpu_fence_wait (the linker's --wrap): the library cannot tell it from a real loss.
 */
#include "tests/e2e/lm_rig.h"
#include "tests/unit/fail_rig.h"

/* Jobs that were submitted to anything. */
static unsigned int jobs;

int __real_snpu_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence);
int __wrap_snpu_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence);
int __wrap_snpu_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence)
{
	jobs++;
	return __real_snpu_submit(queue, job, fence);
}

#define TOKENS	150u				/* more than every window, and no multiple of a chunk */

FIXTURE(same) {
	struct snpu_lm *lm;
	uint32_t vocab;
	uint32_t ids[TOKENS];
	float *want;				/* [TOKENS][vocab] */
	uint8_t *state;
	uint64_t state_size;
};

FIXTURE_VARIANT(same) {
	const char *folder;
	uint32_t form, down;
};

FIXTURE_VARIANT_ADD(same, bf16_a) { "dev-7b-a", 0, 0 };
FIXTURE_VARIANT_ADD(same, bf16_b) { "dev-7b-b", 0, 0 };
FIXTURE_VARIANT_ADD(same, torch) { "dev-7b-bin", 0, 0 };
FIXTURE_VARIANT_ADD(same, quantised) { "dev-7b-a", SNPU_LM_SPIKE, SNPU_LM_DOWN_SPIKE };
FIXTURE_VARIANT_ADD(same, w8_a) { "dev-w8-a", 0, 0 };
FIXTURE_VARIANT_ADD(same, w8_b) { "dev-w8-b", 0, SNPU_LM_DOWN_SPIKE };
FIXTURE_VARIANT_ADD(same, w8_clip) { "dev-w8-clip", 0, SNPU_LM_DOWN_SPIKE };
FIXTURE_VARIANT_ADD(same, english) { "austen-3.7m", 0, 0 };
FIXTURE_VARIANT_ADD(same, english_w8) { "austen-3.7m-w8aspike", 0, 0 };

/* Logits of all positions in calls of `call` tokens; [n][vocab], free() them. */
static float *logits_of(struct same *self, struct snpu_lm_ctx *ctx, unsigned int from, unsigned int n, unsigned int call)
{
	float *out = calloc((size_t)n * self->vocab, 4);

	for (unsigned int at = 0; at < n; at += call) {
		unsigned int part = n - at < call ? n - at : call;

		if (snpu_lm_eval(ctx, self->ids + from + at, part, SNPU_LM_ALL, out + (size_t)at * self->vocab)) {
			printf("# %s\n", snpu_last_error());
			free(out);
			return NULL;
		}
	}
	return out;
}

static uint8_t *state_of(struct snpu_lm_ctx *ctx, uint64_t *size)
{
	uint8_t *buf;

	*size = snpu_lm_state_size(ctx);
	buf = calloc(1, *size);
	if (snpu_lm_state_save(ctx, buf, *size))
		printf("# %s\n", snpu_last_error());
	return buf;
}

FIXTURE_SETUP(same)
{
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = variant->form, .down = variant->down };
	struct snpu_lm_ctx_opts c = { .sz = sizeof(c), .threads = 1, .cpu_isa = SNPU_CPU_SCALAR, .chunk = 16 };
	struct snpu_lm_info info = { .sz = sizeof(info) };
	struct snpu_lm_ctx *ctx;
	char path[128];
	uint32_t seed = 12345;

	snprintf(path, sizeof(path), LM_DATA "%s", variant->folder);
	if (snpu_lm_open(path, &o, &self->lm) || snpu_lm_info(self->lm, &info) || snpu_lm_ctx_create(self->lm, &c, &ctx))
		TH_FAILMSG("%s", snpu_last_error());
	self->vocab = info.vocab;
	for (unsigned int i = 0; i < TOKENS; i++) {
		seed = seed * 1664525 + 1013904223;
		self->ids[i] = (seed >> 8) % info.vocab;
	}
	self->want = logits_of(self, ctx, 0, TOKENS, TOKENS);
	self->state = state_of(ctx, &self->state_size);
	snpu_lm_ctx_free(ctx);
	if (!self->want)
		TH_FAILMSG("no reference");
}

FIXTURE_TEARDOWN(same)
{
	free(self->want);
	free(self->state);
	snpu_lm_free(self->lm);
}

/* Evaluates everything in calls of `call` tokens and compares logits and state. */
static bool equals(struct same *self, struct snpu_lm_ctx *ctx, unsigned int call, const char *what)
{
	uint64_t size;
	float *got = logits_of(self, ctx, 0, TOKENS, call);
	uint8_t *state = state_of(ctx, &size);
	bool same = got && !memcmp(got, self->want, (size_t)TOKENS * self->vocab * 4) && size == self->state_size && !memcmp(state, self->state, size);

	for (size_t i = 0; got && !same && i < (size_t)TOKENS * self->vocab; i++) {
		if (memcmp(&got[i], &self->want[i], 4)) {
			printf("# %s: token %zu, logit %zu is %.9g instead of %.9g\n", what, i / self->vocab, i % self->vocab, (double)got[i], (double)self->want[i]);
			break;
		}
	}
	free(state);
	free(got);
	return same;
}

static bool runs_equal(struct same *self, struct snpu_lm_ctx_opts o, unsigned int call, const char *what)
{
	struct snpu_lm_ctx *ctx;
	bool same;

	o.sz = sizeof(o);
	if (snpu_lm_ctx_create(self->lm, &o, &ctx)) {
		printf("# %s: %s\n", what, snpu_last_error());
		return false;
	}
	same = equals(self, ctx, call, what);
	snpu_lm_ctx_free(ctx);
	return same;
}

TEST_F(same, every_instruction_set_and_number_of_threads)
{
	static const uint32_t isas[] = { SNPU_CPU_SCALAR, SNPU_CPU_AVX2, SNPU_CPU_AVX512 };

	for (unsigned int i = 0; i < 3; i++)
		for (uint32_t threads = 1; threads <= 2; threads++) {
			char what[48];

			snprintf(what, sizeof(what), "isa %u, %u threads", isas[i], threads);
			EXPECT_TRUE(runs_equal(self, (struct snpu_lm_ctx_opts){ .cpu_isa = isas[i], .threads = threads }, TOKENS, what));
		}
}

TEST_F(same, any_calls_and_chunks)
{
	static const struct {
		unsigned int call;
		uint32_t chunk;
	} cuts[] = { { 1, 0 }, { TOKENS, 1 }, { TOKENS, 7 }, { 37, 64 }, { 3, 2 }, { TOKENS, 4096 } };

	for (unsigned int i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		char what[48];

		snprintf(what, sizeof(what), "calls of %u, chunks of %u", cuts[i].call, cuts[i].chunk);
		EXPECT_TRUE(runs_equal(self, (struct snpu_lm_ctx_opts){ .chunk = cuts[i].chunk }, cuts[i].call, what));
	}
}

static struct snpu_device *simulator(uint64_t memory)
{
	struct snpu_device_opts o = { .sz = sizeof(o), .sim_memory = memory };
	struct snpu_device *dev = NULL;

	if (snpu_device_open("sim", &o, &dev))
		printf("# %s\n", snpu_last_error());
	return dev;
}

TEST_F(same, the_cards_engine)
{
	struct snpu_device *sim = simulator(0);
	struct snpu_lm_ctx_opts o = { .devices = &sim, .n_devices = 1, .require_device = 1 };

	ASSERT_TRUE(sim != NULL);
	EXPECT_TRUE(runs_equal(self, o, TOKENS, "sim"));
	o.chunk = 5;
	o.bit_serial = 1;
	EXPECT_TRUE(runs_equal(self, o, TOKENS, "sim, bit-serial, chunks of 5"));
	snpu_device_close(sim);
}

/* All layers, the embedding and the head on one device: one job a token, one job a chunk of a prompt. */
TEST_F(same, one_submission_a_step)
{
	struct snpu_device *sim = simulator(0);
	struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .devices = &sim, .n_devices = 1, .require_device = 1, .chunk = 32 };
	struct snpu_lm_ctx *ctx;

	ASSERT_EQ(snpu_lm_ctx_create(self->lm, &o, &ctx), 0);
	jobs = 0;
	ASSERT_EQ(snpu_lm_eval(ctx, self->ids, 100, SNPU_LM_LAST, NULL), 0);
	EXPECT_EQ(jobs, 4u);
	jobs = 0;
	for (unsigned int i = 0; i < 10; i++)
		ASSERT_EQ(snpu_lm_eval(ctx, self->ids + i, 1, SNPU_LM_LAST, NULL), 0);
	EXPECT_EQ(jobs, 10u);
	snpu_lm_ctx_free(ctx);
	snpu_device_close(sim);
}

enum { ON_FIRST = 1, ON_OTHER = 2, ON_CPU = 4 };

/* The same bits wherever parts find room; returns where they found it. */
static unsigned int spreads_over(struct same *self, struct snpu_device *const *devices, unsigned int n)
{
	struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .devices = devices, .n_devices = n, .chunk = 4 };
	struct snpu_lm_info info = { .sz = sizeof(info) };
	struct snpu_lm_place place = { .sz = sizeof(place) };
	unsigned int places = 0, where = 0;
	struct snpu_lm_ctx *ctx;

	if (snpu_lm_info(self->lm, &info) || snpu_lm_ctx_create(self->lm, &o, &ctx)) {
		TH_FAILMSG("%s", snpu_last_error());
		return 0;
	}
	for (; !snpu_lm_ctx_place(ctx, places, &place); places++) {
		where |= !strcmp(place.device, "cpu") ? ON_CPU : !strcmp(place.device, devices[0]->info.name) ? ON_FIRST : ON_OTHER;
		EXPECT_GT(strlen(place.why), 10u);
		printf("# %s on %s: %s\n", place.part, place.device, place.why);
	}
	EXPECT_EQ(places, info.layers + 2);
	EXPECT_TRUE(equals(self, ctx, TOKENS, "spread"));
	EXPECT_TRUE(!snpu_lm_ctx_fallback(ctx, 0));
	snpu_lm_ctx_free(ctx);
	return where;
}

#define LITTLE	(18ull << 20)			/* device memory: 2 MiB more than what a placement leaves alone */

static bool is_large(const struct same *self)
{
	struct snpu_lm_info info = { .sz = sizeof(info) };

	return !snpu_lm_info(self->lm, &info) && info.weight_bytes >= 4u << 20;
}

/* Devices too small for everything: some parts on them, some on the CPU. */
TEST_F(same, spread_over_devices)
{
	struct snpu_device *sim[2] = { simulator(LITTLE), simulator(LITTLE) };
	unsigned int where;

	ASSERT_TRUE(sim[0] && sim[1]);
	where = spreads_over(self, sim, 2);
	EXPECT_TRUE(where & ON_FIRST);
	EXPECT_TRUE(where & ON_CPU || !is_large(self));
	snpu_device_close(sim[0]);
	snpu_device_close(sim[1]);
}

/* The CPU goes half the way and the device, in a fork of its context, the rest; then the CPU has its state back. */
static void moves_between(struct same *self, struct snpu_device *device)
{
	struct snpu_lm_ctx_opts cpu = { .sz = sizeof(cpu) }, dev = { .sz = sizeof(dev), .devices = &device, .n_devices = 1, .require_device = 1 };
	struct snpu_lm_ctx *a, *b, *fork;
	uint64_t size, half = TOKENS / 2;
	uint8_t *state, *end;
	float *logits;

	ASSERT_EQ(snpu_lm_ctx_create(self->lm, &cpu, &a), 0);
	ASSERT_EQ(snpu_lm_ctx_create(self->lm, &dev, &b), 0);
	free(logits_of(self, a, 0, (unsigned int)half, 10));
	state = state_of(a, &size);
	/* a bad state changes nothing */
	state[9] ^= 1;
	EXPECT_EQ(snpu_lm_state_load(b, state, size), -EBADMSG);
	state[9] ^= 1;
	EXPECT_EQ(snpu_lm_state_load(b, state, size - 1), -EBADMSG);
	ASSERT_EQ(snpu_lm_state_load(b, state, size), 0);
	ASSERT_EQ(snpu_lm_ctx_fork(b, &fork), 0);
	/* the original goes another way; the fork does not notice */
	free(logits_of(self, b, 0, 20, 20));
	logits = logits_of(self, fork, (unsigned int)half, (unsigned int)(TOKENS - half), 9);
	end = state_of(fork, &size);
	EXPECT_EQ(snpu_lm_ctx_position(fork), TOKENS);
	EXPECT_TRUE(logits && !memcmp(logits, self->want + half * self->vocab, (TOKENS - half) * self->vocab * 4));
	EXPECT_EQ(memcmp(end, self->state, size), 0);
	ASSERT_EQ(snpu_lm_state_load(a, end, size), 0);
	free(state);
	state = state_of(a, &size);
	EXPECT_EQ(memcmp(state, self->state, size), 0);
	free(logits);
	free(end);
	free(state);
	ASSERT_EQ(snpu_lm_ctx_reset(b), 0);
	EXPECT_TRUE(equals(self, b, TOKENS, "after a reset"));
	snpu_lm_ctx_free(a);
	snpu_lm_ctx_free(b);
	snpu_lm_ctx_free(fork);
}

TEST_F(same, saved_loaded_and_forked)
{
	struct snpu_device *sim = simulator(0);

	ASSERT_TRUE(sim != NULL);
	moves_between(self, sim);
	snpu_device_close(sim);
}

/* Somebody else's buffer leaves so little of a card that it is too small for everything. */
static struct snpu_bo *fill(struct snpu_device *card)
{
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_bo *bo = NULL;
	int err = snpu_device_info(card, &info);

	/* what earlier contexts had is free a moment after they are gone */
	for (unsigned int i = 0; i < 100 && !err && info.device_used; i++) {
		usleep(100000);
		err = snpu_device_info(card, &info);
	}
	EXPECT_EQ(info.device_used, 0u);
	if (err || snpu_bo_create(card, info.device_total - LITTLE, SNPU_BO_DEVICE, &bo))
		TH_FAILMSG("%s", snpu_last_error());
	return bo;
}

/* One test for all of it, because the reference takes longer than the card. */
TEST_F_TIMEOUT(same, on_the_card, 300)
{
	struct snpu_device *card[2] = { NULL, NULL };
	struct snpu_lm_ctx_opts o = { .devices = card, .n_devices = 1, .require_device = 1 };
	unsigned int cards = 1, where;
	struct snpu_bo *bo;

	if (snpu_device_open("card0", NULL, &card[0]) == -ENODEV)
		SKIP("%s", snpu_last_error());
	ASSERT_TRUE(card[0] != NULL);
	cards += !snpu_device_open("card1", NULL, &card[1]);
	EXPECT_TRUE(runs_equal(self, o, TOKENS, "card"));
	o.chunk = 5;
	o.bit_serial = 1;
	EXPECT_TRUE(runs_equal(self, o, 37, "card, bit-serial, calls of 37, chunks of 5"));
	moves_between(self, card[0]);
	if (is_large(self)) {
		bo = fill(card[0]);
		where = spreads_over(self, card, cards);
		EXPECT_EQ(where, ON_FIRST | (cards > 1 ? ON_OTHER : ON_CPU));
		snpu_bo_free(bo);
	}
	snpu_device_close(card[1]);
	snpu_device_close(card[0]);
}

TEST_F(same, devices_lost_on_the_way)
{
	for (int after = 0; after < 60; after += after < 3 ? 1 : 13) {
		struct snpu_device *sim = simulator(0);
		struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .devices = &sim, .n_devices = 1, .chunk = 5, .checkpoint = 24 };
		struct snpu_lm_ctx *ctx;

		ASSERT_EQ(snpu_lm_ctx_create(self->lm, &o, &ctx), 0);
		fail_after = after;
		fail_error = -ENODEV;
		EXPECT_TRUE(equals(self, ctx, 11, "after a loss"));
		EXPECT_TRUE((snpu_lm_ctx_fallback(ctx, 0) != NULL) == (fail_after == 0));
		if (!after)
			printf("# %s\n", snpu_lm_ctx_fallback(ctx, 0) ? snpu_lm_ctx_fallback(ctx, 0) : "no fallback");
		EXPECT_TRUE(snpu_lm_ctx_fallback(ctx, 1) == NULL);
		fail_after = -1;
		snpu_lm_ctx_free(ctx);
		snpu_device_close(sim);
	}
}

/* With require_device a loss is an error, and what was evaluated before stays. */
TEST_F(same, a_required_device_is_lost)
{
	struct snpu_device *sim = simulator(0);
	struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .devices = &sim, .n_devices = 1, .require_device = 1 };
	struct snpu_lm_ctx *ctx;

	ASSERT_EQ(snpu_lm_ctx_create(self->lm, &o, &ctx), 0);
	ASSERT_EQ(snpu_lm_eval(ctx, self->ids, 3, SNPU_LM_NONE, NULL), 0);
	fail_after = 0;
	fail_error = -ENODEV;
	EXPECT_EQ(snpu_lm_eval(ctx, self->ids, 3, SNPU_LM_NONE, NULL), -EREMOTEIO);
	EXPECT_EQ(snpu_lm_ctx_position(ctx), 3u);
	EXPECT_TRUE(strstr(snpu_last_error(), "the test says so") != NULL);
	fail_after = -1;
	snpu_lm_ctx_free(ctx);
	snpu_device_close(sim);
}

/* A converted file is the same model, and so is one that was opened with other options at run time. */
TEST_F(same, converted)
{
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = variant->form, .down = variant->down };
	struct snpu_lm_info a = { .sz = sizeof(a) }, b = { .sz = sizeof(b) };
	struct snpu_lm *mapped;
	char path[128], file[] = "/tmp/snpu-lm-XXXXXX";
	struct same other = *self;
	int fd = mkstemp(file);

	ASSERT_GE(fd, 0);
	close(fd);
	snprintf(path, sizeof(path), LM_DATA "%s", variant->folder);
	ASSERT_EQ(snpu_lm_convert(path, &o, file), 0);
	ASSERT_EQ(snpu_lm_open(file, NULL, &mapped), 0);
	ASSERT_EQ(snpu_lm_info(self->lm, &a), 0);
	ASSERT_EQ(snpu_lm_info(mapped, &b), 0);
	EXPECT_EQ(b.mapped, 1);
	EXPECT_EQ(a.parameters, b.parameters);
	EXPECT_EQ(a.weight_bytes, b.weight_bytes);
	EXPECT_EQ(a.residual, b.residual);
	EXPECT_STREQ(a.name, b.name);
	other.lm = mapped;
	EXPECT_TRUE(runs_equal(&other, (struct snpu_lm_ctx_opts){ 0 }, TOKENS, "converted"));
	snpu_lm_free(mapped);
	unlink(file);
}

TEST_HARNESS_MAIN
