/* SPDX-License-Identifier: MIT */
/*
 * The engine's own exponential, cosine, sine, rounding and interleaved sum: how near they are to the true functions, and
 * what docs/numerics.md says about their corners.
 */
#include <math.h>

#include "sim/engine_math.h"
#include "tests/harness.h"

TEST(exp64_is_near)
{
	long double worst = 0;

	for (int i = -7000000; i <= 7000000; i++) {
		double x = i * 1e-4 + 1e-7;
		long double want = expl(x), error;

		if (x < -700 || x > 700)
			continue;
		error = fabsl((engine_exp64(x) - want) / want);
		worst = error > worst ? error : worst;
	}
	printf("# worst relative error 2^%.1f\n", log2((double)worst));
	EXPECT_TRUE(worst < 0x1p-41L);
}

TEST(exp64_corners)
{
	EXPECT_TRUE(engine_exp64(0.0) == 1.0);
	EXPECT_TRUE(engine_exp64(-0.0) == 1.0);
	EXPECT_TRUE(engine_exp64(5e-324) == 1.0);
	EXPECT_TRUE(isnan(engine_exp64(NAN)));
	EXPECT_TRUE(engine_exp64(INFINITY) == engine_exp64(700.0));
	EXPECT_TRUE(engine_exp64(701.0) == engine_exp64(700.0));
	EXPECT_TRUE(engine_exp64(-INFINITY) == engine_exp64(-700.0));
	EXPECT_TRUE((float)engine_exp64(-700.0) == 0.0f);
	EXPECT_TRUE(isfinite(engine_exp64(700.0)));
}

/* Distance in units of the last place of the true value. */
static double ulps(float got, double want)
{
	float nearest = fabsf((float)want);

	return fabs(got - want) / (nextafterf(nearest, INFINITY) - nearest);
}

static double worst_angle(float a)
{
	float c, s;
	double in_c, in_s;

	engine_cos_sin(a, &c, &s);
	in_c = ulps(c, cos((double)a));
	in_s = ulps(s, sin((double)a));
	return in_c > in_s ? in_c : in_s;
}

TEST(cos_sin_are_near)
{
	uint32_t seed = 1;
	double worst = 0;

	for (int i = 0; i < 3000000; i++) {
		/* All sizes up to 2^28, evenly in the exponent; both signs. */
		float a = ldexpf(1.0f + (float)(seed >> 9) * 0x1p-23f, (int)(seed % 53) - 25) * (seed & 256 ? -1.0f : 1.0f), w;

		seed = seed * 1664525u + 1013904223u;
		w = (float)worst_angle(a);
		worst = w > worst ? w : worst;
	}
	/* Near multiples of a quarter turn, where all but the last digits cancel. */
	for (uint32_t k = 1; k < 100000000; k += 997) {
		float near = (float)(k * 1.5707963267948966), w;

		for (unsigned int i = 0; i < 3; i++, near = nextafterf(near, INFINITY)) {
			w = (float)worst_angle(near);
			worst = w > worst ? w : worst;
		}
	}
	printf("# worst error %.3f ulp\n", worst);
	EXPECT_TRUE(worst <= 1.0);
}

TEST(cos_sin_corners)
{
	static const float bad[] = { NAN, INFINITY, -INFINITY, 0x1.000002p40f, -0x1p41f };
	float c, s;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c = s = 0.0f;
		engine_cos_sin(bad[i], &c, &s);
		EXPECT_TRUE(isnan(c) && isnan(s));
	}
	engine_cos_sin(-0x1p40f, &c, &s);
	EXPECT_TRUE(isfinite(c) && isfinite(s));
	engine_cos_sin(0.0f, &c, &s);
	EXPECT_TRUE(c == 1.0f && s == 0.0f && !signbit(s));
	engine_cos_sin(1e-45f, &c, &s);
	EXPECT_TRUE(c == 1.0f && s == 1e-45f);
	/* Each quarter once. */
	engine_cos_sin(2.0f, &c, &s);
	EXPECT_TRUE(c < 0 && s > 0);
	engine_cos_sin(4.0f, &c, &s);
	EXPECT_TRUE(c < 0 && s < 0);
	engine_cos_sin(-1.0f, &c, &s);
	EXPECT_TRUE(c > 0 && s < 0);
}

TEST(rounding)
{
	static const struct { float x; int32_t want; } cases[] = {
		{ 0.5f, 0 }, { 1.5f, 2 }, { 2.5f, 2 }, { -0.5f, 0 }, { -1.5f, -2 }, { -2.5f, -2 }, { 0.49999997f, 0 }, { 0.50000006f, 1 },
		{ 8388607.5f, 8388608 }, { 8388609.0f, 8388609 }, { 1e30f, 1 << 30 }, { -1e30f, -(1 << 30) }, { INFINITY, 1 << 30 },
		{ -INFINITY, -(1 << 30) }, { NAN, 0 }, { 0x1p30f, 1 << 30 }, { -0.0f, 0 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		EXPECT_EQ(engine_round(cases[i].x, -0x1p30f, 0x1p30f), cases[i].want);
	EXPECT_EQ(engine_round(127.5f, -128.0f, 127.0f), 127);
	EXPECT_EQ(engine_round(-128.7f, -128.0f, 127.0f), -128);
	EXPECT_TRUE(engine_limit(0.0f, 1e-5f, 1e4f) == 1e-5f);
	EXPECT_TRUE(engine_limit(INFINITY, 1e-5f, 1e4f) == 1e4f);
	EXPECT_TRUE(isnan(engine_limit(NAN, 1e-5f, 1e4f)));
}

/* 1e16 + 1 is 1e16 in binary64: where the ones go shows the order of additions. */
TEST(sum16_order)
{
	double a[SUM16] = { 0 };
	float f[SUM16] = { 0 };

	a[0] = 1e16;
	a[8] = 1;			/* added to a[0] first, and lost */
	a[4] = 1;			/* with a[12]: 2, which is not lost */
	a[12] = 1;
	EXPECT_TRUE(engine_sum16(a) == 1e16 + 2);
	f[1] = 0x1p24f;
	f[9] = 1;
	f[5] = 1;
	f[13] = 1;
	EXPECT_TRUE(engine_sum16f(f) == 0x1p24f + 2);
	EXPECT_TRUE(engine_bf16(0x3f80) == 1.0f);
	EXPECT_TRUE(engine_bf16(0xc049) == -3.140625f);
}

TEST_HARNESS_MAIN
