/* SPDX-License-Identifier: MIT */
/*
 * Running language models where it is uncommon: shapes that no released model has, sizes at the limits of packets, programs of
 * many lengths, evaluations that taps or other threads stop, what is seen on the way whatever runs where, positions at
 * their end, states of other models, and the calls around text.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/e2e/lm_rig.h"
#include "tests/e2e/lm_seq.h"

#define SMALL	{ .vocab = 70, .hidden = 128, .layers = 4, .heads = 4, .kv = 2, .ffn = 96, .window = 8 }

static struct snpu_device *simulator(uint64_t memory)
{
	struct snpu_device_opts o = { .sz = sizeof(o), .sim_memory = memory };
	struct snpu_device *dev = NULL;

	if (snpu_device_open("sim", &o, &dev))
		printf("# %s\n", snpu_last_error());
	return dev;
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

static bool runs_equal(const struct seq *s, struct snpu_lm_ctx_opts o, unsigned int call)
{
	struct snpu_lm_ctx *ctx = context(s, o);
	bool same = seq_finish(s, ctx, call);

	snpu_lm_ctx_free(ctx);
	return same;
}

/* --- shapes ---------------------------------------------------------------------------------------------------------------- */

/* Smallest heads, as many key-value heads as heads, layers of one kind only, odd sizes, a window longer than the text. */
TEST(shapes_nobody_has)
{
	static const struct made shapes[] = {
		{ .vocab = 1, .hidden = 2, .layers = 2, .heads = 1, .kv = 1, .ffn = 1, .window = 1 },
		{ .vocab = 65, .hidden = 12, .layers = 3, .heads = 6, .kv = 6, .ffn = 5, .window = 3 },
		{ .vocab = 63, .hidden = 30, .layers = 2, .heads = 3, .kv = 1, .ffn = 33, .window = 1000, .attn_layers = "[]" },
		{ .vocab = 200, .hidden = 48, .layers = 2, .heads = 2, .kv = 2, .ffn = 17, .window = 5, .attn_layers = "[0,1]", .tied = true },
		{ .vocab = 130, .hidden = 128, .layers = 2, .heads = 64, .kv = 64, .ffn = 3, .window = 4 },
		{ .vocab = 64, .hidden = 128, .layers = 2, .heads = 64, .kv = 1, .ffn = 128, .window = 4, .attn_layers = "[0,1]" },
	};

	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (uint32_t form = SNPU_LM_FLOAT; form <= SNPU_LM_SPIKE; form++) {
			struct snpu_device *sim;
			struct seq s;

			if (form == SNPU_LM_SPIKE && shapes[i].hidden % 128)
				continue;
			sim = simulator(0);
			seq_made(&s, shapes[i], form, SNPU_LM_WINDOW_W1, 40);
			EXPECT_TRUE(runs_equal(&s, (struct snpu_lm_ctx_opts){ .chunk = 7 }, 40));
			EXPECT_TRUE(runs_equal(&s, (struct snpu_lm_ctx_opts){ .threads = 2, .profile = 1 }, 1));
			EXPECT_TRUE(runs_equal(&s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1, .require_device = 1 }, 11));
			seq_close(&s);
			snpu_device_close(sim);
		}
	}
}

/* Chunks become shorter where a packet could not hold so many rows. */
TEST_TIMEOUT(chunks_fit_into_packets, 200)
{
	static const struct made wide = { .vocab = 9, .hidden = 2, .layers = 1, .heads = 1, .kv = 1, .ffn = 1 << 20, .window = 4 },
				 many = { .vocab = 9, .hidden = 512, .layers = 2, .heads = 256, .kv = 1, .ffn = 64, .window = 4 },
				 words = { .vocab = 1 << 22, .hidden = 2, .layers = 1, .heads = 1, .kv = 1, .ffn = 4, .window = 4 };
	struct snpu_lm_ctx *ctx;
	float *logits;
	struct seq s;

	seq_made(&s, wide, SNPU_LM_FLOAT, SNPU_LM_WINDOW_W1, 40);
	EXPECT_TRUE(runs_equal(&s, (struct snpu_lm_ctx_opts){ .chunk = 4096 }, 40));
	EXPECT_TRUE(runs_equal(&s, (struct snpu_lm_ctx_opts){ .chunk = 1 }, 40));
	seq_close(&s);
	seq_made(&s, many, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 300);
	EXPECT_TRUE(runs_equal(&s, (struct snpu_lm_ctx_opts){ .chunk = 4096 }, 300));
	seq_close(&s);
	seq_made(&s, words, SNPU_LM_FLOAT, SNPU_LM_WINDOW_W1, 4);
	logits = calloc(4, 4ull << 22);
	ctx = context(&s, (struct snpu_lm_ctx_opts){ 0 });
	EXPECT_EQ(snpu_lm_eval(ctx, s.ids, 4, SNPU_LM_ALL, logits), 0);
	snpu_lm_ctx_free(ctx);
	EXPECT_EQ(memcmp(logits + (3ull << 22), s.logits, 4ull << 22), 0);
	free(logits);
	seq_close(&s);
}

/* The buffer of programs is filled and begun anew, in any order of lengths. */
TEST(programs_of_many_lengths)
{
	for (unsigned int layers = 1; layers <= 6; layers++) {
		struct made m = SMALL;
		struct snpu_lm_ctx *ctx;
		struct seq s;

		m.layers = layers;
		seq_made(&s, m, SNPU_LM_FLOAT, SNPU_LM_WINDOW_HF, 300);
		ctx = context(&s, (struct snpu_lm_ctx_opts){ .window = SNPU_LM_WINDOW_W1 });
		for (unsigned int at = 0, i = 0; at < 250; i++) {
			unsigned int n = 1 + i * 5 % 9;

			ASSERT_EQ(snpu_lm_eval(ctx, s.ids + at, n, i % 11 ? SNPU_LM_LAST : SNPU_LM_NONE, NULL), 0);
			at += n;
		}
		EXPECT_TRUE(seq_finish(&s, ctx, 13));
		snpu_lm_ctx_free(ctx);
		seq_close(&s);
	}
}

/* --- stopping ---------------------------------------------------------------------------------------------------------------- */

struct stopper {
	struct snpu_lm_ctx *ctx;		/* to be cancelled; NULL: the tap's result stops */
	unsigned int calls, stop_at;
	uint64_t tokens;			/* of a tap that has one row a token */
};

static int stop_at_call(void *arg, const struct snpu_lm_tap *tap)
{
	struct stopper *s = arg;

	if (!strcmp(tap->name, "layer_in.0"))
		s->tokens += tap->array.shape[0];
	if (++s->calls != s->stop_at)
		return 0;
	if (!s->ctx)
		return 1;
	snpu_lm_ctx_cancel(s->ctx);
	return 0;
}

/* Whatever tap stops an evaluation, the position says how far it came, and going on from there gives the same. */
TEST(taps_that_stop)
{
	struct made m = SMALL;
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 50);
	for (unsigned int at = 1; at < 400; at += 7) {
		struct stopper stop = { .stop_at = at };
		struct snpu_lm_ctx *ctx = context(&s, (struct snpu_lm_ctx_opts){ .chunk = 6, .tap = stop_at_call, .tap_arg = &stop });

		EXPECT_EQ(snpu_lm_eval(ctx, s.ids, s.n, SNPU_LM_NONE, NULL), -ECANCELED);
		EXPECT_EQ(stop.calls, at);
		EXPECT_TRUE(snpu_lm_ctx_position(ctx) % 6 == 0 || snpu_lm_ctx_position(ctx) == s.n);
		EXPECT_GT(snpu_lm_ctx_position(ctx), 0u);
		if (snpu_lm_ctx_position(ctx) == s.n)
			EXPECT_TRUE(seq_ends(&s, ctx, NULL));
		else
			EXPECT_TRUE(seq_finish(&s, ctx, 17));
		EXPECT_EQ(stop.tokens, s.n);		/* each token was seen once */
		snpu_lm_ctx_free(ctx);
	}
	seq_close(&s);
}

TEST(cancelled_in_a_tap)
{
	struct made m = SMALL;
	struct stopper stop = { .stop_at = 100 };
	struct seq s;

	seq_made(&s, m, SNPU_LM_FLOAT, SNPU_LM_WINDOW_W1, 50);
	stop.ctx = context(&s, (struct snpu_lm_ctx_opts){ .chunk = 6, .tap = stop_at_call, .tap_arg = &stop });
	EXPECT_EQ(snpu_lm_eval(stop.ctx, s.ids, s.n, SNPU_LM_NONE, NULL), -ECANCELED);
	EXPECT_EQ(snpu_lm_ctx_position(stop.ctx) % 6, 0u);
	EXPECT_LT(snpu_lm_ctx_position(stop.ctx), s.n);
	EXPECT_CONTAINS(snpu_last_error(), "cancelled");
	EXPECT_TRUE(seq_finish(&s, stop.ctx, 50));
	snpu_lm_ctx_free(stop.ctx);
	seq_close(&s);
}

struct canceller {
	struct snpu_lm_ctx *ctx;
	atomic_bool running;
};

static void *keep_cancelling(void *arg)
{
	struct canceller *c = arg;

	while (atomic_load(&c->running)) {
		snpu_lm_ctx_cancel(c->ctx);
		usleep(200);
	}
	return NULL;
}

TEST(cancelled_by_another_thread)
{
	struct made m = SMALL;
	struct canceller c = { .running = true };
	unsigned int cancelled = 0;
	pthread_t thread;
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 400);
	c.ctx = context(&s, (struct snpu_lm_ctx_opts){ .chunk = 2 });
	ASSERT_EQ(pthread_create(&thread, NULL, keep_cancelling, &c), 0);
	while (snpu_lm_ctx_position(c.ctx) < s.n) {
		uint64_t at = snpu_lm_ctx_position(c.ctx);
		int err = snpu_lm_eval(c.ctx, s.ids + at, s.n - at, SNPU_LM_NONE, NULL);

		EXPECT_TRUE(err == 0 || err == -ECANCELED);
		cancelled += err == -ECANCELED;
	}
	atomic_store(&c.running, false);
	pthread_join(thread, NULL);
	EXPECT_GT(cancelled, 0u);
	EXPECT_TRUE(seq_ends(&s, c.ctx, NULL));
	snpu_lm_ctx_free(c.ctx);
	seq_close(&s);
}

/* --- windows ----------------------------------------------------------------------------------------------------------------- */

/* As the original does it: W + 1 keys in the first call, W later; also after a state was loaded, forked, or an evaluation cancelled. */
TEST(window_of_later_calls)
{
	struct made m = SMALL;
	struct stopper stop = { .stop_at = 60 };
	struct snpu_lm_ctx *a, *b, *fork;
	uint8_t *state, *wide;
	uint64_t size;
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 60);
	a = context(&s, (struct snpu_lm_ctx_opts){ .window = SNPU_LM_WINDOW_HF });
	ASSERT_EQ(snpu_lm_eval(a, s.ids, 30, SNPU_LM_NONE, NULL), 0);
	state = seq_state(a, &size);
	b = context(&s, (struct snpu_lm_ctx_opts){ .window = SNPU_LM_WINDOW_HF });
	ASSERT_EQ(snpu_lm_state_load(b, state, size), 0);
	ASSERT_EQ(snpu_lm_ctx_fork(b, &fork), 0);
	ASSERT_EQ(snpu_lm_eval(a, s.ids + 30, 30, SNPU_LM_NONE, NULL), 0);
	wide = s.state;
	s.state = seq_state(a, &size);
	EXPECT_NE(memcmp(s.state, wide, size), 0);
	for (unsigned int at = 30; at < 60; at += 6)
		ASSERT_EQ(snpu_lm_eval(b, s.ids + at, 6, SNPU_LM_NONE, NULL), 0);
	EXPECT_TRUE(seq_ends(&s, b, NULL));
	ASSERT_EQ(snpu_lm_eval(fork, s.ids + 30, 30, SNPU_LM_NONE, NULL), 0);
	EXPECT_TRUE(seq_ends(&s, fork, NULL));
	ASSERT_EQ(snpu_lm_ctx_reset(b), 0);		/* now its next call is the first one */
	ASSERT_EQ(snpu_lm_eval(b, s.ids, 60, SNPU_LM_NONE, NULL), 0);
	free(s.state);
	s.state = wide;
	EXPECT_TRUE(seq_ends(&s, b, NULL));
	snpu_lm_ctx_free(b);
	/* a first call that was cancelled and goes on is still the first */
	b = context(&s, (struct snpu_lm_ctx_opts){ .window = SNPU_LM_WINDOW_HF, .chunk = 9, .tap = stop_at_call, .tap_arg = &stop });
	EXPECT_EQ(snpu_lm_eval(b, s.ids, 60, SNPU_LM_NONE, NULL), -ECANCELED);
	EXPECT_TRUE(seq_finish(&s, b, 60));
	snpu_lm_ctx_free(a);
	snpu_lm_ctx_free(b);
	snpu_lm_ctx_free(fork);
	free(state);
	seq_close(&s);
}

/* --- what is seen ------------------------------------------------------------------------------------------------------------- */

struct seen {
	struct kept kept;
	unsigned int wrong_layer;
};

static int see(void *arg, const struct snpu_lm_tap *tap)
{
	struct seen *s = arg;
	const char *number = strpbrk(tap->name, "0123456789");

	s->wrong_layer += tap->layer != (number ? (unsigned int)atoi(number) : ~0u);
	return kept_add(&s->kept, tap);
}

/* Parts on the CPU say why: no device was given, or it was, and then what stands behind it in the list is not asked. */
TEST(places_say_why)
{
	struct made m = SMALL;
	struct snpu_lm_place place = { .sz = sizeof(place) };
	struct snpu_device *list[2] = { NULL, simulator(0) };
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 2);
	ASSERT_EQ(snpu_device_open("cpu", NULL, &list[0]), 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct snpu_lm_ctx *ctx = context(&s, (struct snpu_lm_ctx_opts){ .devices = list, .n_devices = i });

		for (unsigned int part = 0; part < m.layers + 2; part++) {
			ASSERT_EQ(snpu_lm_ctx_place(ctx, part, &place), 0);
			EXPECT_STREQ(place.device, "cpu");
			EXPECT_STREQ(place.why, i && part > 1 && part <= m.layers ? "stays with the layer before it" : i ? "cpu was asked for" : "no card was given");
		}
		EXPECT_EQ(snpu_lm_ctx_place(ctx, m.layers + 2, &place), -ENOENT);
		snpu_lm_ctx_free(ctx);
	}
	snpu_device_close(list[0]);
	snpu_device_close(list[1]);
	seq_close(&s);
}

/* Arrays and spikes are the same wherever the parts run, also when nobody asks for logits; the head's counters stay at what it did. */
TEST(the_same_is_seen_everywhere)
{
	struct made m = { .vocab = 4200, .hidden = 128, .layers = 2, .heads = 4, .kv = 2, .ffn = 96, .window = 8 };
	struct snpu_device *sim = simulator(18ull << 20);	/* the head does not fit */
	struct snpu_lm_place place = { .sz = sizeof(place) };
	struct seen seen[2] = { 0 };
	uint64_t packets[2][64];
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 20);
	for (unsigned int i = 0; i < 2; i++) {
		struct snpu_lm_ctx *ctx = context(&s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = i, .chunk = 4, .profile = 1, .tap = see,
										 .tap_arg = &seen[i] });

		ASSERT_EQ(snpu_lm_eval(ctx, s.ids, 11, SNPU_LM_NONE, NULL), 0);
		ASSERT_EQ(snpu_lm_eval(ctx, s.ids + 11, 9, SNPU_LM_LAST, NULL), 0);
		ASSERT_EQ(snpu_lm_ctx_place(ctx, 1, &place), 0);
		EXPECT_STREQ(place.device, i ? "sim" : "cpu");
		ASSERT_EQ(snpu_lm_ctx_place(ctx, 3, &place), 0);
		EXPECT_STREQ(place.device, "cpu");
		ASSERT_EQ(snpu_lm_ctx_counters(ctx, 3, packets[i]), 0);
		snpu_lm_ctx_free(ctx);
	}
	EXPECT_EQ(seen[0].kept.n, seen[1].kept.n);
	EXPECT_EQ(seen[0].wrong_layer + seen[1].wrong_layer, 0u);
	for (size_t i = 0; i < seen[0].kept.n; i++) {
		const struct kept_tap *a = &seen[0].kept.tap[i], *b = kept_find(&seen[1].kept, a->name);

		if (!b || a->count != b->count || memcmp(a->words, b->words, 4 * a->count))
			TH_FAILMSG("%s is not the same", a->name);
	}
	for (unsigned int c = 0; c < snpu_counters(); c++)
		if (!strcmp(snpu_counter_name(c), "PACKETS"))
			EXPECT_EQ(packets[1][c], packets[0][c] + 6);	/* on its own, a COPY more for each of 6 chunks */
	kept_free(&seen[0].kept);
	kept_free(&seen[1].kept);
	snpu_device_close(sim);
	seq_close(&s);
}

/* Without taps a head of its own does not run when nobody wants logits, and is not counted again for what it did before. */
TEST(counters_of_a_head_alone)
{
	struct made m = { .vocab = 4200, .hidden = 128, .layers = 2, .heads = 4, .kv = 2, .ffn = 96, .window = 8 };
	struct snpu_device *sim = simulator(18ull << 20);
	uint64_t before[64], after[64];
	struct snpu_lm_ctx *ctx;
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 20);
	ctx = context(&s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1, .profile = 1 });
	ASSERT_EQ(snpu_lm_eval(ctx, s.ids, 4, SNPU_LM_LAST, NULL), 0);
	ASSERT_EQ(snpu_lm_ctx_counters(ctx, 3, before), 0);
	ASSERT_EQ(snpu_lm_eval(ctx, s.ids + 4, 4, SNPU_LM_NONE, NULL), 0);
	ASSERT_EQ(snpu_lm_ctx_counters(ctx, 3, after), 0);
	EXPECT_EQ(memcmp(before, after, snpu_counters() * sizeof(before[0])), 0);
	EXPECT_EQ(snpu_lm_ctx_counters(ctx, 4, after), -ENOENT);
	snpu_lm_ctx_free(ctx);
	snpu_device_close(sim);
	seq_close(&s);
}

/* Names and patterns: each array only when it was asked for. */
TEST(patterns_of_taps)
{
	static const struct {
		const char *pattern;
		unsigned int arrays;
		const char *one;
	} cases[] = {
		{ "lin.*.vth", 4 * 3, "lin.3.gate_proj.vth" }, { "lin.1.q_proj.count", 1, "lin.1.q_proj.count" }, { "attn.*.q_vth", 2, "attn.3.q_vth" },
		{ "lin.0.?_proj.vth", 2, "lin.0.o_proj.vth" }, { "final_*", 2, "final_prenorm" }, { "logits", 1, "logits" }, { "gla_state.*", 2, "gla_state.0" },
		{ "kv_v.*", 2, "kv_v.3" }, { "nothing", 0, NULL },
	};
	struct made m = SMALL;
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 10);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kept kept = { 0 };
		struct snpu_lm_ctx *ctx = context(&s, (struct snpu_lm_ctx_opts){ .tap = kept_add, .tap_arg = &kept, .taps = &cases[i].pattern, .n_taps = 1 });

		ASSERT_EQ(snpu_lm_eval(ctx, s.ids, 10, SNPU_LM_LAST, NULL), 0);
		EXPECT_EQ(kept.n, cases[i].arrays);
		EXPECT_TRUE(!cases[i].one || kept_find(&kept, cases[i].one));
		kept_free(&kept);
		snpu_lm_ctx_free(ctx);
	}
	seq_close(&s);
}

/* --- states ------------------------------------------------------------------------------------------------------------------- */

TEST(states_of_other_models)
{
	struct made m = SMALL, other = SMALL;
	struct snpu_lm_ctx *ctx;
	struct seq s, o;

	other.seed = 7;				/* the same numbers in config.json, other weights */
	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 20);
	seq_made(&o, other, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 20);
	ctx = context(&o, (struct snpu_lm_ctx_opts){ 0 });
	EXPECT_EQ(snpu_lm_state_load(ctx, s.state, s.state_size), -EBADMSG);
	EXPECT_TRUE(seq_finish(&o, ctx, 20));
	EXPECT_EQ(snpu_lm_state_load(ctx, o.state, o.state_size), 0);
	snpu_lm_ctx_free(ctx);
	seq_close(&s);
	seq_close(&o);
}

/* Up to the last position, on every device alike, and no further. */
TEST(positions_end)
{
	struct made m = SMALL;
	struct snpu_device *sim = simulator(0);
	struct snpu_lm_ctx *cpu, *dev;
	uint64_t last = UINT32_MAX - 12ull, size;
	float logits[2][70];
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 20);
	cpu = context(&s, (struct snpu_lm_ctx_opts){ 0 });
	dev = context(&s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1 });
	memcpy(s.state + 16, &last, sizeof(last));		/* the header's position */
	ASSERT_EQ(snpu_lm_state_load(cpu, s.state, s.state_size), 0);
	ASSERT_EQ(snpu_lm_state_load(dev, s.state, s.state_size), 0);
	EXPECT_EQ(snpu_lm_eval(cpu, s.ids, 13, SNPU_LM_NONE, NULL), -EOVERFLOW);
	ASSERT_EQ(snpu_lm_eval(cpu, s.ids, 12, SNPU_LM_LAST, logits[0]), 0);
	ASSERT_EQ(snpu_lm_eval(dev, s.ids, 12, SNPU_LM_LAST, logits[1]), 0);
	EXPECT_EQ(memcmp(logits[0], logits[1], sizeof(logits[0])), 0);
	EXPECT_TRUE(isfinite(logits[0][0]));
	EXPECT_EQ(snpu_lm_ctx_position(cpu), UINT32_MAX);
	EXPECT_EQ(snpu_lm_eval(cpu, s.ids, 1, SNPU_LM_NONE, NULL), -EOVERFLOW);
	free(s.state);
	s.state = seq_state(cpu, &size);
	EXPECT_TRUE(seq_ends(&s, dev, NULL));
	last = 1ull << 32;
	memcpy(s.state + 16, &last, sizeof(last));
	EXPECT_EQ(snpu_lm_state_load(cpu, s.state, s.state_size), -EBADMSG);
	snpu_lm_ctx_free(cpu);
	snpu_lm_ctx_free(dev);
	snpu_device_close(sim);
	seq_close(&s);
}

TEST(options_that_make_no_sense)
{
	struct made m = SMALL;
	struct snpu_device *devices[2] = { simulator(0), NULL };
	const char *taps[] = { "logits", NULL };
	const struct snpu_lm_ctx_opts bad[] = {
		{ .devices = devices, .n_devices = 2 }, { .devices = devices, .n_devices = UINT32_MAX }, { .n_devices = 1 }, { .bit_serial = 2 },
		{ .tap = see, .taps = taps, .n_taps = 2 }, { .tap = see, .taps = taps, .n_taps = UINT32_MAX }, { .taps = taps, .n_taps = 1 },
	};
	struct snpu_lm_ctx *ctx;
	struct seq s;

	seq_made(&s, m, SNPU_LM_FLOAT, SNPU_LM_WINDOW_W1, 3);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct snpu_lm_ctx_opts o = bad[i];

		o.sz = sizeof(o);
		EXPECT_EQ(snpu_lm_ctx_create(s.lm, &o, &ctx), -EINVAL);
	}
	snpu_device_close(devices[0]);
	seq_close(&s);
}

/* Handles may be freed in any order. */
TEST(models_freed_before_their_contexts)
{
	struct made m = SMALL;
	struct snpu_device *sim = simulator(0);
	struct snpu_lm_ctx *ctx, *fork;
	struct seq s;

	seq_made(&s, m, SNPU_LM_SPIKE, SNPU_LM_WINDOW_W1, 30);
	ctx = context(&s, (struct snpu_lm_ctx_opts){ .devices = &sim, .n_devices = 1 });
	snpu_lm_free(s.lm);
	snpu_device_close(sim);
	s.lm = NULL;
	ASSERT_EQ(snpu_lm_eval(ctx, s.ids, 11, SNPU_LM_NONE, NULL), 0);
	ASSERT_EQ(snpu_lm_ctx_fork(ctx, &fork), 0);
	snpu_lm_ctx_free(ctx);
	EXPECT_TRUE(seq_finish(&s, fork, 4));
	snpu_lm_ctx_free(fork);
	seq_close(&s);
}

/* --- text --------------------------------------------------------------------------------------------------------------------- */

TEST(text_there_and_back)
{
	static const char text[] = "Emma Woodhouse, handsome, clever, and rich \xe2\x80\x94 <|im_end|>";
	char back[sizeof(text)] = "";
	struct snpu_lm_info info = { .sz = sizeof(info) };
	uint32_t *ids, *special;
	size_t n, m, len, at = 0;
	struct snpu_lm *lm;

	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m", NULL, &lm), 0);
	ASSERT_EQ(snpu_lm_info(lm, &info), 0);
	ASSERT_EQ(snpu_lm_encode(lm, text, strlen(text), 0, &ids, &n), 0);
	for (size_t i = 0; i < n; i++) {
		const char *bytes = snpu_lm_token(lm, ids[i], &len);

		ASSERT_TRUE(bytes && at + len < sizeof(back));
		EXPECT_LT(ids[i], info.eot);		/* plain text has no special tokens */
		memcpy(back + at, bytes, len);
		at += len;
	}
	EXPECT_STREQ(back, text);
	ASSERT_EQ(snpu_lm_encode(lm, text, strlen(text), SNPU_LM_TEXT_SPECIAL, &special, &m), 0);
	EXPECT_LT(m, n);
	EXPECT_EQ(special[m - 1], info.eot);
	EXPECT_EQ(snpu_lm_encode(lm, text, strlen(text), 2, &special, &m), -EINVAL);
	EXPECT_TRUE(snpu_lm_token(lm, info.vocab, &len) == NULL && !len);
	EXPECT_TRUE(snpu_lm_token(lm, UINT32_MAX, &len) == NULL && !len);
	snpu_lm_ids_free(ids);
	snpu_lm_ids_free(special);
	snpu_lm_ids_free(NULL);
	snpu_lm_free(lm);
}

TEST(chat)
{
	const struct snpu_lm_message one = { "user", "Who is Emma?" },
				     two[] = { { "system", "Be brief." }, { "user", "Who?" }, { "assistant", "She." } };
	struct snpu_lm *lm;
	char *text;

	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m", NULL, &lm), 0);
	ASSERT_EQ(snpu_lm_chat(lm, &one, 1, 1, &text), 0);
	EXPECT_STREQ(text, "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nWho is Emma?<|im_end|>\n<|im_start|>assistant\n");
	snpu_lm_text_free(text);
	ASSERT_EQ(snpu_lm_chat(lm, two, 3, 0, &text), 0);
	EXPECT_STREQ(text, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nShe.<|im_end|>\n");
	snpu_lm_text_free(text);
	snpu_lm_text_free(NULL);
	snpu_lm_free(lm);
	ASSERT_EQ(snpu_lm_open(LM_DATA "dev-7b-a", NULL, &lm), 0);
	EXPECT_EQ(snpu_lm_chat(lm, &one, 1, 1, &text), -ENOTSUP);	/* no tokenizer, so no template */
	snpu_lm_free(lm);
}

TEST(kinds_of_layers)
{
	struct snpu_lm *lm;

	ASSERT_EQ(snpu_lm_open(LM_DATA "dev-7b-b", NULL, &lm), 0);	/* attn_layers [0, 2] */
	EXPECT_EQ(snpu_lm_layer_is_gla(lm, 0), 0);
	EXPECT_EQ(snpu_lm_layer_is_gla(lm, 1), 1);
	EXPECT_EQ(snpu_lm_layer_is_gla(lm, 2), 0);
	EXPECT_EQ(snpu_lm_layer_is_gla(lm, 3), -1);
	EXPECT_EQ(snpu_lm_layer_is_gla(lm, UINT32_MAX), -1);
	snpu_lm_free(lm);
}

TEST_HARNESS_MAIN
