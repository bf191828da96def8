/* SPDX-License-Identifier: MIT */
/*
 * How the frameworks that read NIR run it, as the options that a session has: docs/nir.md tells where each comes from. And
 * what an option is, once it is not given. Constant data and pure functions, any thread.
 */
#include <math.h>

#include "lower/semantics.h"

static const struct snpu_dialect_row dialects[] = {
	[SNPU_DIALECT_NIR] = { "nir", SNPU_INTEGRATOR_EULER, SNPU_RESET_VALUE, SNPU_RESET_SAME_STEP, SNPU_COMPARE_GT, SNPU_GAIN_R_DT,
			       SNPU_DELAY_SPIKE, SNPU_FLOOR_NONE, false, false, 1, 0.0, false },
	[SNPU_DIALECT_SNNTORCH] = { "snntorch", SNPU_INTEGRATOR_EULER, SNPU_RESET_VALUE, SNPU_RESET_BOTH_STEPS, SNPU_COMPARE_GT, SNPU_GAIN_R,
				    SNPU_DELAY_SPIKE, SNPU_FLOOR_NONE, false, false, 1, 1e-4, false },
	[SNPU_DIALECT_NORSE] = { "norse", SNPU_INTEGRATOR_EULER, SNPU_RESET_VALUE, SNPU_RESET_SAME_STEP, SNPU_COMPARE_GT, SNPU_GAIN_R,
				 SNPU_DELAY_CURRENT, SNPU_FLOOR_NONE, false, false, 1, 1e-3, false },
	[SNPU_DIALECT_SINABS] = { "sinabs", SNPU_INTEGRATOR_EXP, SNPU_RESET_SUBTRACT, SNPU_RESET_SAME_STEP, SNPU_COMPARE_GE, SNPU_GAIN_RAW,
				  SNPU_DELAY_SPIKE, SNPU_FLOOR_THRESHOLD, true, false, SNPU_SPIKES_ANY, 1.0, true },
	[SNPU_DIALECT_ROCKPOOL] = { "rockpool", SNPU_INTEGRATOR_EXP, SNPU_RESET_SUBTRACT, SNPU_RESET_SAME_STEP, SNPU_COMPARE_GE, SNPU_GAIN_RAW_DECAYED,
				    SNPU_DELAY_SPIKE, SNPU_FLOOR_NONE, false, false, SNPU_SPIKES_ANY, 0.0, false },
	[SNPU_DIALECT_SPIKINGJELLY] = { "spikingjelly", SNPU_INTEGRATOR_EULER, SNPU_RESET_VALUE, SNPU_RESET_SAME_STEP, SNPU_COMPARE_GE, SNPU_GAIN_R_DT,
					SNPU_DELAY_SPIKE, SNPU_FLOOR_NONE, false, false, 1, 1e-4, false },
	[SNPU_DIALECT_SPYX] = { "spyx", SNPU_INTEGRATOR_EULER, SNPU_RESET_SUBTRACT, SNPU_RESET_NEXT_STEP, SNPU_COMPARE_GT, SNPU_GAIN_R,
				SNPU_DELAY_NEURON, SNPU_FLOOR_NONE, false, true, 1, 1.0, false },
	[SNPU_DIALECT_LAVA] = { "lava", SNPU_INTEGRATOR_EULER, SNPU_RESET_VALUE, SNPU_RESET_SAME_STEP, SNPU_COMPARE_GT, SNPU_GAIN_R,
				SNPU_DELAY_SYNAPSE, SNPU_FLOOR_NONE, false, false, 1, 1e-4, false },
};

static const struct snpu_dialect_row nobody = {
	NULL, SNPU_INTEGRATOR_EULER, SNPU_RESET_VALUE, SNPU_RESET_SAME_STEP, SNPU_COMPARE_GT, SNPU_GAIN_DEFAULT,
	SNPU_DELAY_SPIKE, SNPU_FLOOR_NONE, false, false, 1, 0.0, false,
};

const struct snpu_dialect_row *snpu_dialect_row(enum snpu_dialect dialect)
{
	return dialect ? &dialects[dialect] : &nobody;
}

const char *snpu_dialect_name(enum snpu_dialect dialect)
{
	return dialect && (size_t)dialect < sizeof(dialects) / sizeof(dialects[0]) ? dialects[dialect].name : NULL;
}

int snpu_semantics_choose(const struct snpu_session_opts *o, struct snpu_semantics *s)
{
	const struct snpu_dialect_row *row;

	if ((unsigned)o->dialect > SNPU_DIALECT_LAVA || (unsigned)o->integrator > SNPU_INTEGRATOR_EXP || (unsigned)o->reset > SNPU_RESET_DELTA ||
	    (unsigned)o->reset_time > SNPU_RESET_BOTH_STEPS || (unsigned)o->compare > SNPU_COMPARE_GE || (unsigned)o->gain > SNPU_GAIN_RAW_DECAYED ||
	    (unsigned)o->delay > SNPU_DELAY_SYNAPSE || (unsigned)o->floor > SNPU_FLOOR_THRESHOLD || (unsigned)o->number > SNPU_NUMBER_LOIHI24)
		return snpu_fail(-EINVAL, "an option has an unknown value; use the enums of snpu_model.h");
	if (o->floor == SNPU_FLOOR_VALUE && !isfinite((float)o->v_min))
		return snpu_fail(-EINVAL, "a lowest membrane of %g is not possible; give a finite number (option v_min)", o->v_min);
	row = snpu_dialect_row(o->dialect);
	s->dialect = o->dialect;
	s->number = o->number ? o->number : SNPU_NUMBER_F32;
	s->integrator = o->integrator ? o->integrator : row->integrator;
	s->reset = o->reset ? o->reset : row->reset;
	s->reset_time = o->reset_time ? o->reset_time : row->reset_time;
	/* A membrane at v_reset does not fire, so the second of both resets finds nothing. */
	if (s->reset_time == SNPU_RESET_BOTH_STEPS && s->reset == SNPU_RESET_VALUE)
		s->reset_time = SNPU_RESET_SAME_STEP;
	s->compare = o->compare ? o->compare : row->compare;
	s->gain = o->gain ? o->gain : row->gain;
	s->delay = o->delay ? o->delay : row->delay;
	s->max_spikes = o->max_spikes ? o->max_spikes : row->max_spikes;
	s->floor = o->floor ? o->floor : row->floor;
	s->floor_if_only = !o->floor && row->floor_if_only;
	s->cuba_same_step = !o->reset_time && row->cuba_same_step;
	s->v_min = s->floor == SNPU_FLOOR_VALUE ? o->v_min : 0.0;
	return 0;
}
