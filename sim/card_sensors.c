/* SPDX-License-Identifier: MIT */
/*
 * The model behind the sensors; its words are in docs/cost-model.md, its numbers are here once, with their reason.
 *
 * [A] an assumption of this model, chosen to be of the right size; nothing was measured.
 */
#include "sim/card_sensors.h"

/* Femtojoules are microwatts times nanoseconds, so neither needs a factor. */
enum {
	STATIC_UW = 1500000,		/* [A] link of 8 lanes 0.8 W, refresh of the memory 0.2 W, core, clocks and regulators 0.5 W */
	AMBIENT_MC = 35000,		/* [A] air inside a case */
	KELVIN_PER_WATT = 8,		/* [A] a passive heat sink of a low card */
	FJ_PER_UJ = 1000000000,
};

#define SECOND		1000000000ull	/* ns */
#define POWER_TAU	(1 * SECOND)	/* what SENSOR_POWER averages over */
#define THERMAL_TAU	(60 * SECOND)	/* [A] 7.5 J/K, about 8 g of aluminium, through KELVIN_PER_WATT */
#define LONGEST_STEP	(1000 * SECOND)	/* so that the energy of a step fits 64 bits */

/* exp(-x), x >= 0, to 0.05 % at 1 and always between 0 and 1: ten squarings instead of a library. */
static double decay(double x)
{
	double y = 1 / (1 + x / 1024);

	for (int i = 0; i < 10; i++)
		y *= y;
	return y;
}

static double towards(double from, double to, uint64_t ns, uint64_t tau)
{
	return to + (from - to) * decay((double)ns / (double)tau);
}

static double steady_temp(double power_uw)
{
	return AMBIENT_MC + power_uw / 1000 * KELVIN_PER_WATT;
}

void sensors_init(struct card_sensors *s, uint64_t now_ns)
{
	*s = (struct card_sensors){ .at_ns = now_ns, .power_uw = STATIC_UW, .temp_mc = steady_temp(STATIC_UW) };
}

static void step(struct card_sensors *s, uint64_t ns, uint64_t engine_fj)
{
	double power = STATIC_UW + (double)engine_fj / (double)ns;

	s->rest_fj += engine_fj % FJ_PER_UJ + ns * STATIC_UW;
	s->energy_uj += engine_fj / FJ_PER_UJ + s->rest_fj / FJ_PER_UJ;
	s->rest_fj %= FJ_PER_UJ;
	s->power_uw = towards(s->power_uw, power, ns, POWER_TAU);
	s->temp_mc = towards(s->temp_mc, steady_temp(power), ns, THERMAL_TAU);
	s->at_ns += ns;
}

void sensors_advance(struct card_sensors *s, uint64_t now_ns, uint64_t engine_fj)
{
	while (s->at_ns < now_ns) {
		uint64_t left = now_ns - s->at_ns, ns = left < LONGEST_STEP ? left : LONGEST_STEP;
		uint64_t fj = engine_fj - s->engine_fj;

		if (ns < left)
			fj = (uint64_t)((double)fj * (double)ns / (double)left);
		step(s, ns, fj);
		s->engine_fj += fj;
	}
}

void sensors_engine_cleared(struct card_sensors *s)
{
	s->engine_fj = 0;
}

int32_t sensors_temp(const struct card_sensors *s)
{
	return (int32_t)s->temp_mc;
}

uint32_t sensors_power(const struct card_sensors *s)
{
	return (uint32_t)s->power_uw;
}
