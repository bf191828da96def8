/* SPDX-License-Identifier: MIT */
/*
 * What a time step means: dt, integrator, reset, comparison and gains, decided once for a session from options and
 * model, each decision with a note. The rules are those of docs/nir.md. One thread.
 */
#ifndef SNPU_LOWER_SEMANTICS_H
#define SNPU_LOWER_SEMANTICS_H

#include "graph/graph.h"

struct snpu_semantics {
	double dt;				/* seconds; 0: the model has no time constant */
	const char *dt_source;			/* "option", "metadata", "inferred", "" */
	enum snpu_reset reset;
	enum snpu_compare compare;
	double *gain;				/* [n_nodes] factor on r of IF and I; NAN: r counts as exactly 1 */
	/* The notes of these decisions. */
	struct snpu_note *notes;
	unsigned n_notes, cap_notes;
};

/* Fills `s` (zeroed); its memory is of `a`, except notes, which are free()d by snpu_semantics_free(). */
int snpu_semantics_decide(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_arena *a,
			  struct snpu_semantics *s) SNPU_MUST_CHECK;
void snpu_semantics_free(struct snpu_semantics *s);

/*
 * The time step that the gains tell: exporters that fold dt into the gain write r = tau / dt and w_in = tau_syn / dt. 0
 * when the model has none of it, or more than one answer, or one that no one would choose. From lower/infer.c
 */
double snpu_dt_infer(const struct snpu_model *m);
/* The same with Rockpool's gain, r = tau * exp(-dt / tau) / dt. Only good for a hint. */
double snpu_dt_infer_rockpool(const struct snpu_model *m);

#endif
