/* SPDX-License-Identifier: MIT */
/*
 * Temperature, power and energy of the card: a small model that is fed with the time and with the engine's ENERGY
 * counter. docs/cost-model.md explains it. No threads, no clock of its own: the owner calls it under the card's lock.
 */
#ifndef SNPU_SIM_CARD_SENSORS_H
#define SNPU_SIM_CARD_SENSORS_H

#include <stdint.h>

struct card_sensors {
	uint64_t at_ns;				/* everything below is as of this moment */
	uint64_t engine_fj;			/* the engine's counter then */
	uint64_t energy_uj, rest_fj;		/* taken since power-up; rest below a microjoule */
	double power_uw;			/* moving average */
	double temp_mc;				/* thousandths of a degree */
};

/* A card that has been on and idle for long; energy starts at 0. */
void sensors_init(struct card_sensors *s, uint64_t now_ns);

/* Up to now. Between two calls the engine is taken to have spent its energy evenly. */
void sensors_advance(struct card_sensors *s, uint64_t now_ns, uint64_t engine_fj);

/* The engine's counter starts again at 0. */
void sensors_engine_cleared(struct card_sensors *s);

int32_t sensors_temp(const struct card_sensors *s);
uint32_t sensors_power(const struct card_sensors *s);

#endif
