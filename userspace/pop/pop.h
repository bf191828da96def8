/* SPDX-License-Identifier: MIT */
/*
 * Networks of many neurons as the library holds them (net.c builds populations, connect.c projections), and a run of one (layout.c says where
 * everything lies, emit.c writes the program, run.c runs it, record.c keeps what comes out). A projection is packed into rows of segments
 * (hw/snpu_isa.h) by the call that adds it, into one image that becomes the WEIGHTS region as it is: on the CPU it is used in place.
 *
 * A network belongs to one thread until the first run is made from it; then it does not change. A run belongs to one thread.
 */
#ifndef SNPU_POP_POP_H
#define SNPU_POP_POP_H

#include <stdatomic.h>

#include "core/fail.h"
#include "core/program.h"
#include "graph/arena.h"
#include "sched/lane.h"
#include "snpu/snpu_net.h"

#define POP_PARTS	4096u			/* populations, and projections, of a network */
#define POP_ALIGN	256ull			/* of everything in a region */
#define POP_RECEPTORS	2u

/* The parameters of SNPU_NET_LIF, in the order of the names in net.c. */
enum pop_param {
	POP_TAU_M, POP_TAU_E, POP_TAU_I, POP_V_REST, POP_V_THRESHOLD, POP_V_RESET, POP_R, POP_I_CONST, POP_REFRACTORY, POP_V, POP_E, POP_I,
	POP_PARAMS
};

struct pop_values {
	uint64_t count;				/* 0: not given; 1: of all; else of each */
	const double *value;
};

struct pop_population {
	const char *name;
	enum snpu_net_model model;
	uint32_t n;
	struct pop_values param[POP_PARAMS];
	/* SNPU_NET_SPIKES, by step and then neuron: */
	uint64_t n_spikes;
	uint64_t *step;				/* [n_spikes] */
	uint32_t *neuron;			/* [n_spikes] */
	uint32_t most;				/* of a step */
};

struct pop_projection {
	const char *name;
	unsigned source, target;
	enum snpu_net_receptor receptor;
	bool weights;
	double weight;
	uint64_t synapses, words;
	uint32_t least, most;			/* steps of delay, 1 and more */
	uint64_t rows, data;			/* bytes in the image */
};

struct snpu_net {
	struct snpu_arena arena;
	atomic_uint refs;			/* the handle and the runs */
	double dt;				/* seconds */
	uint64_t steps;				/* the author's wish; 0: none */
	bool busy;				/* a run was made: nothing changes any more */
	struct pop_population *pop;
	struct pop_projection *proj;
	unsigned n_pops, n_projs, cap_pops, cap_projs;
	uint8_t *image;				/* [image_size] of a mapping of whole pages */
	uint64_t image_size, image_capacity;	/* bytes */
};

/* net.c: the neuron's value of a parameter. */
double pop_value(const struct pop_population *p, enum pop_param param, uint32_t neuron);
/* All neurons have the same values of the first POP_V parameters. */
bool pop_is_shared(const struct pop_population *p);
/* A name that is not there yet, and a network that may change. `what`: "population". */
int pop_check_name(const struct snpu_net *net, const char *what, const char *name) SNPU_MUST_CHECK;
/* Steps of a time in seconds, -EINVAL when it is not 0 to `most` of them. `what` is for the message. */
int pop_steps(const struct snpu_net *net, double seconds, uint32_t most, const char *what, uint32_t *steps) SNPU_MUST_CHECK;
void pop_net_get(struct snpu_net *net);

/* Where a population's things lie, bytes. */
struct pop_place {
	bool shared;				/* its parameters are one set */
	uint64_t param;				/* CONST */
	uint64_t state;				/* STATE: f32 [4][n] */
	uint32_t slots[POP_RECEPTORS];		/* 1: what arrives is added to the state, there is no ring */
	uint64_t position[POP_RECEPTORS], ring[POP_RECEPTORS];	/* STATE */
	uint64_t events;			/* SCRATCH: what LIFEXP writes; INPUT: of the first step */
	uint32_t stride;			/* INPUT: from one step's list to the next */
};

/* Something that is kept: the spikes of a population, or a row of its state. */
struct pop_record {
	const char *name;
	unsigned pop;
	int state;				/* -1: spikes, 0 v, 1 e, 2 i */
	uint64_t at;				/* OUTPUT */
	uint64_t step_bytes;			/* that a step takes there */
	struct snpu_array values;		/* float32 [steps][n] */
	uint64_t *step;				/* [count] */
	uint32_t *neuron;			/* [count] */
	uint64_t count, capacity;
};

struct snpu_net_run {
	struct snpu_arena arena;
	struct snpu_net *net;
	struct snpu_net_run_opts opts;
	struct snpu_device *own;		/* the CPU, when it was opened here */
	struct snpu_target target;
	struct snpu_lane lane;
	struct snpu_region_mem region[SNPU_REGION_COUNT];
	atomic_int cancel;

	struct pop_place *place;		/* [populations] */
	uint64_t const_size, state_size, scratch_size;
	uint32_t rows;				/* of the profile */
	struct pop_record *record;
	unsigned n_records;
	uint32_t chunk;				/* steps of a submission, at most */

	uint32_t program_steps;			/* of the program that is on the device; 0: none */
	uint64_t step;				/* done since the run was made */
	uint64_t first;				/* step at which the last call began */
	uint8_t *saved;				/* [state_size] the state after `step` steps, of a device that can be lost; NULL on the CPU */
	uint64_t (*counter)[SNPU_COUNTER_COUNT];	/* [rows] of the last call */
	struct snpu_net_stats stats;
	char *fallback;
	bool failed;
};

/* layout.c */
int pop_layout(struct snpu_net_run *run) SNPU_MUST_CHECK;
int pop_add_record(struct snpu_net_run *run, const char *name) SNPU_MUST_CHECK;
/* Writes CONST and the STATE of step 0, both zeroed; -ERANGE when a parameter is no float32. */
int pop_fill(const struct snpu_net_run *run, uint8_t *constants, uint8_t *state) SNPU_MUST_CHECK;
/* Lays out OUTPUT and INPUT for `steps` steps. */
void pop_layout_io(struct snpu_net_run *run, uint32_t steps, uint64_t *input, uint64_t *output);

/* emit.c */
int pop_emit(const struct snpu_net_run *run, uint32_t steps, struct snpu_prog *prog) SNPU_MUST_CHECK;

/* record.c: empties what was kept; takes what `steps` steps left in OUTPUT; puts the spikes of `steps` steps into INPUT. */
int pop_records_begin(struct snpu_net_run *run, uint64_t steps) SNPU_MUST_CHECK;
int pop_records_take(struct snpu_net_run *run, uint32_t steps) SNPU_MUST_CHECK;
void pop_records_free(struct snpu_net_run *run);
void pop_inputs_put(struct snpu_net_run *run, uint32_t steps);

#endif
