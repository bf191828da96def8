/* SPDX-License-Identifier: MIT */
/*
 * The sensors' model with a clock that the test turns: what is conserved, what it comes to rest at, how fast, and that
 * neither how often one looks nor a counter that is cleared changes any of it.
 */
#include <math.h>

#include "sim/card_sensors.h"
#include "tests/harness.h"

#define S		1000000000ull
#define STATIC_W	1.5
#define AMBIENT		35.0
#define K_PER_W		8.0
#define IDLE_MC		((int32_t)((AMBIENT + K_PER_W * STATIC_W) * 1000))

/* Femtojoules that a number of watts are in a number of seconds. */
static uint64_t fj(double watts, double seconds)
{
	return (uint64_t)(watts * seconds * 1e15);
}

FIXTURE(sensors) { struct card_sensors s; };
FIXTURE_SETUP(sensors) { sensors_init(&self->s, 7 * S); }
FIXTURE_TEARDOWN(sensors) { (void)self; }

TEST_F(sensors, idle_for_a_month)
{
	struct card_sensors *s = &self->s;

	EXPECT_EQ(sensors_temp(s), IDLE_MC);
	sensors_advance(s, (7 + 30 * 86400) * S, 0);
	EXPECT_EQ(sensors_temp(s), IDLE_MC);
	EXPECT_EQ(sensors_power(s), 1500000);
	EXPECT_EQ(s->energy_uj, 30ull * 86400 * 1500000);
}

TEST_F(sensors, a_load_comes_to_rest)
{
	struct card_sensors *s = &self->s;

	for (int t = 1; t <= 1000; t++)
		sensors_advance(s, (7 + t) * S, fj(2, t));
	EXPECT_LT(fabs(sensors_power(s) - 3.5e6), 2);
	EXPECT_LT(fabs(sensors_temp(s) - (AMBIENT + K_PER_W * 3.5) * 1000), 2);
	EXPECT_EQ(s->energy_uj, 3500000000ull);
}

/* After one time constant 63 % of the way are gone: 1 s for the average of the power, 60 s for the temperature. */
TEST_F(sensors, time_constants)
{
	struct card_sensors *s = &self->s;

	sensors_advance(s, 8 * S, fj(2, 1));
	EXPECT_LT(fabs((sensors_power(s) - 1.5e6) / 2e6 - (1 - exp(-1))), 0.001);
	sensors_advance(s, 67 * S, fj(2, 60));
	EXPECT_LT(fabs((sensors_temp(s) - IDLE_MC) / (2000 * K_PER_W) - (1 - exp(-1))), 0.001);
	sensors_advance(s, 127 * S, fj(2, 60));				/* and falls again */
	EXPECT_LT(fabs((sensors_temp(s) - IDLE_MC) / (2000 * K_PER_W) - (1 - exp(-1)) * exp(-1)), 0.001);
	EXPECT_EQ(s->energy_uj, 120ull * 1500000 + 120000000);
}

/* The same load looked at once, and a thousand times. */
TEST_F(sensors, looking_changes_nothing)
{
	struct card_sensors *s = &self->s, often = self->s;

	sensors_advance(s, 10 * S, fj(3, 3));
	for (uint64_t i = 1; i <= 1000; i++)
		sensors_advance(&often, 7 * S + i * 3 * S / 1000, fj(3, 3 * (double)i / 1000));
	EXPECT_LT(fabs((double)sensors_temp(&often) - sensors_temp(s)), 2);
	EXPECT_LT(fabs((double)sensors_power(&often) - sensors_power(s)), 20000);
	EXPECT_EQ(often.energy_uj, s->energy_uj);
	sensors_advance(s, 10 * S, fj(4, 3));				/* no time has passed: what was counted is not lost */
	sensors_advance(s, 11 * S, fj(4, 3));
	EXPECT_EQ(s->energy_uj, 4ull * 1500000 + 12000000);
}

TEST_F(sensors, energy_goes_on_when_the_counter_is_cleared)
{
	struct card_sensors *s = &self->s;
	uint64_t before;

	sensors_advance(s, 8 * S, fj(5, 1));
	before = s->energy_uj;
	sensors_engine_cleared(s);
	sensors_advance(s, 9 * S, fj(1, 1));
	EXPECT_EQ(s->energy_uj, before + 1500000 + 1000000);
}

/* Hours of a job without anybody looking are not taken for one moment of lightning. */
TEST_F(sensors, a_long_run)
{
	struct card_sensors *s = &self->s;

	sensors_advance(s, 7 * S + 10000 * S + 1, fj(1, 10000));
	EXPECT_LT(fabs(sensors_power(s) - 2.5e6), 1e5);
	EXPECT_LT(fabs((double)s->energy_uj - 2.5e10), 2);
}

TEST_HARNESS_MAIN
