/* SPDX-License-Identifier: MIT */
/*
 * What a time step means: dt, integrator, reset, comparison, gains, delays, decided once for a session from options and
 * model, each decision with a note. The rules are those of docs/nir.md. One thread.
 */
#ifndef SNPU_LOWER_SEMANTICS_H
#define SNPU_LOWER_SEMANTICS_H

#include "graph/graph.h"

#define SNPU_SPIKES_MOST	(1u << 24)	/* in a step: the greatest whole number up to which float32 has all */

/* What a dialect (or, in the row of nobody, NIR's text) chooses where no option does. */
struct snpu_dialect_row {
	const char *name;
	enum snpu_integrator integrator;
	enum snpu_reset reset;
	enum snpu_reset_time reset_time;
	enum snpu_compare compare;
	enum snpu_gain gain;
	enum snpu_delay delay;
	enum snpu_floor floor;
	bool floor_if_only;			/* the floor is for IF alone */
	bool cuba_same_step;			/* whatever reset_time is for others, CubaLIF is reset in the step of its spike */
	uint32_t max_spikes;
	double dt;				/* seconds, what its importer takes; 0: none */
	bool dt_always;				/* ... whatever the file says: its time constants are numbers of steps */
};
const struct snpu_dialect_row *snpu_dialect_row(enum snpu_dialect dialect);

struct snpu_semantics {
	double dt;				/* seconds; 0: the model has no time constant */
	const char *dt_source;			/* "option", "metadata", "inferred", "dialect", "" */
	enum snpu_dialect dialect;
	enum snpu_integrator integrator;
	enum snpu_reset reset;
	enum snpu_reset_time reset_time;
	enum snpu_compare compare;
	enum snpu_gain gain;			/* DEFAULT: node by node */
	enum snpu_delay delay;
	enum snpu_number number;
	enum snpu_floor floor;
	bool floor_if_only, cuba_same_step;	/* as in the row */
	double v_min;				/* with SNPU_FLOOR_VALUE */
	uint32_t max_spikes;
	double *if_gain;			/* [n_nodes] factor on r of IF and I; NAN: r counts as exactly 1 */
	/* The model's notes, without those about delays that do not hold here, then the notes of these decisions. */
	struct snpu_note *notes;
	unsigned n_notes, cap_notes;
};

/* Checks the options and fills in what they, the dialect and NIR's text choose without looking at a model. dialect.c */
int snpu_semantics_choose(const struct snpu_session_opts *opts, struct snpu_semantics *s) SNPU_MUST_CHECK;
/* Fills `s` (zeroed); its memory is of `a`, except notes, which are free()d by snpu_semantics_free(). */
int snpu_semantics_decide(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_arena *a,
			  struct snpu_semantics *s) SNPU_MUST_CHECK;
/* Adds the notes of `view`, the model as its delays are. */
int snpu_semantics_note_delays(const struct snpu_model *view, struct snpu_arena *a, struct snpu_semantics *s) SNPU_MUST_CHECK;
void snpu_semantics_free(struct snpu_semantics *s);

/* Decides dt: time.c. */
int snpu_semantics_time(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_arena *a, struct snpu_semantics *s) SNPU_MUST_CHECK;
/* Adds a note that came from `source`. semantics.c */
int snpu_semantics_note(struct snpu_semantics *s, struct snpu_arena *a, enum snpu_note_kind kind, const char *source, const char *rule, const char *node,
			const char *fmt, ...) __attribute__((format(printf, 7, 8))) SNPU_MUST_CHECK;

/* Flags of the packet of such a neuron. */
uint8_t snpu_semantics_flags(const struct snpu_semantics *s, const struct snpu_kind *kind);
/* k of a time constant, as docs/numerics.md has it. */
float snpu_semantics_k(const struct snpu_semantics *s, float tau);
/* A delay in steps, a whole number. delay.c */
float snpu_semantics_steps(const struct snpu_semantics *s, float delay);
/* A node's equation for people, of `a`. NULL: no memory. equation.c */
const char *snpu_semantics_equation(const struct snpu_semantics *s, const struct snpu_model *m, unsigned node, struct snpu_arena *a);

/*
 * The time step that the gains tell: exporters that fold dt into the gain write r = tau / dt and w_in = tau_syn / dt. 0
 * when the model has none of it, or more than one answer, or one that no one would choose. From lower/infer.c
 */
double snpu_dt_infer(const struct snpu_model *m);
/* The same with Rockpool's gain, r = tau * exp(-dt / tau) / dt. Only good for a hint, or when it is known to be Rockpool's. */
double snpu_dt_infer_rockpool(const struct snpu_model *m);

#endif
