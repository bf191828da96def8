/* SPDX-License-Identifier: MIT */
/*
 * Networks of many neurons: populations, and projections between them as sparse connections with delays. Build one by calls, or load a
 * file (docs/populations.md), then run it on a device. A part of libsnpu; loading files is in libsnpu-nir.
 *
 * Threads: one thread at a time builds a network; a run belongs to one thread at a time, all but snpu_net_run_cancel(). Several runs of one
 * network may run side by side. Functions that can fail return a negative errno and keep one sentence for snpu_last_error(); any
 * of them can also give -ENOMEM. Functions that free accept NULL. Options structures begin with their size; a zeroed field means the default.
 */
#include <snpu/snpu.h>

#ifndef SNPU_NET_H
#define SNPU_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <snpu/snpu_array.h>

#ifdef __cplusplus
extern "C" {
#endif

struct snpu_net;
struct snpu_net_run;

#define SNPU_NET_NEURONS	(1u << 24)	/* in a population, at most */
#define SNPU_NET_STEPS_MAX	65536u		/* of a delay */

/* --- building ------------------------------------------------------------------------------------------------------ */

/** @dt: the time step in seconds. Everything else in seconds is turned into steps of it at once. -EINVAL. */
SNPU_API int snpu_net_create(double dt, struct snpu_net **out) SNPU_CHECKED;
SNPU_API void snpu_net_free(struct snpu_net *net);		/* runs made from it stay usable */

/**
 * Loads a file of docs/populations.md; @dt replaces the file's when it is not 0. -ENOENT and others of open(2), -EBADMSG damaged or
 * no such file, -EINVAL a network that cannot be. In libsnpu-nir.
 */
SNPU_API int snpu_net_load(const char *path, double dt, struct snpu_net **out) SNPU_CHECKED;
/** The same from the bytes of a file; @mem is not needed afterwards. */
SNPU_API int snpu_net_load_memory(const void *mem, size_t size, double dt, struct snpu_net **out) SNPU_CHECKED;
/** 1: the file says that it is such a network; 0: it does not, or cannot be read. In libsnpu-nir. */
SNPU_API int snpu_net_is(const char *path);

enum snpu_net_model {
	SNPU_NET_LIF,			/* leaky integrate and fire, two exponential currents, refractory time */
	SNPU_NET_SPIKES,		/* fires when it was told to */
};

/**
 * snpu_net_add_population - @n neurons, all alike but for their parameters. Returns its number, from 0 in the order of the calls; -EEXIST,
 * -EINVAL, -E2BIG, -EBUSY once a run was made from the network.
 */
SNPU_API int snpu_net_add_population(struct snpu_net *net, const char *name, enum snpu_net_model model, uint32_t n) SNPU_CHECKED;
/**
 * snpu_net_set - A parameter of a SNPU_NET_LIF population: @count is 1, for all neurons, or the number of neurons.
 * tau_m, tau_e, tau_i: time constants, seconds. v_rest, v_threshold, v_reset: any unit, the same for all. These six must be given. r: what a
 * current is multiplied by (1); i_const: a constant current (0); refractory: shortest time from one spike to the next, seconds (0). At the
 * start: v (v_rest), e and i (0). -ENOENT no such parameter, -EINVAL a value that is not finite or cannot be, -ERANGE no such population, -EBUSY.
 */
SNPU_API int snpu_net_set(struct snpu_net *net, unsigned population, const char *param, uint64_t count, const double *values) SNPU_CHECKED;
/** Spikes of a SNPU_NET_SPIKES population, in any order: step floor(time / dt + 1e-6). Of several in one step one counts. -EINVAL, -ERANGE, -EBUSY. */
SNPU_API int snpu_net_set_spikes(struct snpu_net *net, unsigned population, uint64_t count, const double *times, const uint32_t *neurons) SNPU_CHECKED;

/** What a spike adds its weight to. */
enum snpu_net_receptor { SNPU_NET_E, SNPU_NET_I };

/**
 * struct snpu_net_csr - Synapses by source, in compressed rows. A spike in step t arrives in step t + rint(delay / dt), at least one. Synapses of one
 * source that arrive in the same step are added up in their order in the row.
 */
struct snpu_net_csr {
	size_t sz;			/* sizeof(struct snpu_net_csr) */
	const char *name;
	unsigned source, target;	/* populations; the target is SNPU_NET_LIF */
	enum snpu_net_receptor receptor;
	const uint64_t *rows;		/* [neurons of source + 1] where each row begins in columns; the first is 0 */
	const uint32_t *columns;	/* [rows[neurons of source]] target neurons */
	double weight;			/* of all synapses, when weights is NULL */
	const float *weights;		/* [as columns] or NULL */
	double delay;			/* of all synapses, seconds, when delays is NULL; 0: one step */
	const float *delays;		/* [as columns] seconds, or NULL */
};
/** Copies the synapses, packed. Returns the projection's number. -EEXIST, -EINVAL, -ERANGE, -E2BIG, -EBUSY. */
SNPU_API int snpu_net_add_csr(struct snpu_net *net, const struct snpu_net_csr *csr) SNPU_CHECKED;

/**
 * struct snpu_net_random - Each pair of a source and a target is connected once with a probability, the same pairs for the same seed on every
 * machine. Delays are drawn evenly from the steps between the two.
 */
struct snpu_net_random {
	size_t sz;			/* sizeof(struct snpu_net_random) */
	const char *name;
	unsigned source, target;
	enum snpu_net_receptor receptor;
	uint32_t source_first, source_count;	/* part of the source population; count 0: from first to its end */
	uint32_t target_first, target_count;
	double probability;		/* above 0, at most 1 */
	uint64_t seed;
	double weight;
	double delay, delay_most;	/* seconds; 0: one step; delay_most 0: all have the delay */
};
SNPU_API int snpu_net_add_random(struct snpu_net *net, const struct snpu_net_random *random) SNPU_CHECKED;

struct snpu_net_population_info {
	size_t sz;
	const char *name;		/* as long as the network lives */
	enum snpu_net_model model;
	uint32_t neurons;
	uint64_t spikes;		/* given to SNPU_NET_SPIKES */
};
struct snpu_net_projection_info {
	size_t sz;
	const char *name;
	unsigned source, target;
	enum snpu_net_receptor receptor;
	uint64_t synapses;
	uint64_t bytes;			/* packed, with the table of rows */
	uint32_t delay_least, delay_most;	/* steps */
	bool weights;			/* each synapse has its own */
	double weight;			/* else of all */
};
SNPU_API double snpu_net_dt(const struct snpu_net *net);
SNPU_API unsigned snpu_net_population_count(const struct snpu_net *net);
SNPU_API unsigned snpu_net_projection_count(const struct snpu_net *net);
/** Fill as much as their size says. -ERANGE past the end, -EINVAL. */
SNPU_API int snpu_net_population(const struct snpu_net *net, unsigned index, struct snpu_net_population_info *out) SNPU_CHECKED;
SNPU_API int snpu_net_projection(const struct snpu_net *net, unsigned index, struct snpu_net_projection_info *out) SNPU_CHECKED;
/** Number of the population of that name, -ENOENT. */
SNPU_API int snpu_net_find(const struct snpu_net *net, const char *name);
/** Steps that whoever wrote the file wants it to run; 0: not said. */
SNPU_API uint64_t snpu_net_steps(const struct snpu_net *net);
SNPU_API int snpu_net_set_steps(struct snpu_net *net, uint64_t steps) SNPU_CHECKED;

/* --- running ------------------------------------------------------------------------------------------------------- */

struct snpu_net_run_opts {
	size_t sz;			/* sizeof(struct snpu_net_run_opts) */
	struct snpu_device *device;	/* borrowed, must outlive the run; NULL: the CPU */
	bool require_device;		/* when it fails, do not go on on the CPU */
	/* What to keep: "POP" its spikes; "POP.v", "POP.e", "POP.i" of all its neurons, after the step. */
	const char *const *records;
	unsigned n_records;
	uint32_t chunk_steps;		/* steps a submission; 0: chosen by memory */
	int (*progress)(void *arg, uint64_t done, uint64_t steps);	/* not 0: stop, -ECANCELED */
	void *progress_arg;
};
/** Puts the network on the device, at step 0. The same network gives the same bits on every device. -EINVAL, -ENOENT a record, -ENOSPC, -ENOTSUP, -ENODEV. */
SNPU_API int snpu_net_run_create(struct snpu_net *net, const struct snpu_net_run_opts *opts, struct snpu_net_run **out) SNPU_CHECKED;
SNPU_API void snpu_net_run_free(struct snpu_net_run *run);
/**
 * Runs the next steps. Records and statistics are of this call. Cutting a run into calls changes nothing. -ECANCELED, -E2BIG records that do not fit,
 * -EREMOTEIO the device failed and is required. After an error the run can only be freed.
 */
SNPU_API int snpu_net_run_steps(struct snpu_net_run *run, uint64_t steps) SNPU_CHECKED;
/** Makes the call that is executing, or the next one, stop after its chunk. Allowed from any thread and from signal handlers. */
SNPU_API void snpu_net_run_cancel(struct snpu_net_run *run);

/** struct snpu_net_spikes - By step, then by neuron; the arrays are the run's until its next call. */
struct snpu_net_spikes {
	uint64_t count;
	const uint64_t *step;		/* [count] from the start of the run */
	const uint32_t *neuron;		/* [count] */
};
/** -ENOENT: it was not recorded. */
SNPU_API int snpu_net_run_spikes(const struct snpu_net_run *run, const char *population, struct snpu_net_spikes *out) SNPU_CHECKED;
/** "POP.v" as float32 [steps][neurons]; the array belongs to the run. -ENOENT. */
SNPU_API int snpu_net_run_values(const struct snpu_net_run *run, const char *record, const struct snpu_array **out) SNPU_CHECKED;

struct snpu_net_stats {
	size_t sz;
	uint64_t first, steps;		/* the steps of the call */
	uint64_t jobs;			/* submissions */
	uint64_t updates;		/* of neurons */
	uint64_t spikes;		/* of all SNPU_NET_LIF populations */
	uint64_t synapses;		/* synaptic events: spikes times the synapses they went to */
	uint64_t wall_ns, host_ns;	/* all of it; outside of jobs */
};
SNPU_API int snpu_net_run_stats(const struct snpu_net_run *run, struct snpu_net_stats *out) SNPU_CHECKED;

/** struct snpu_net_row - What one part of each step did in the call; @counter is indexed by enum snpu_counter (hw/snpu_job.h). */
struct snpu_net_row {
	const char *name;		/* of a population or projection; "" for the control packets */
	bool projection;
	const uint64_t *counter;
	unsigned n_counters;
};
/** Control packets, then populations, then projections. -ERANGE past the end. */
SNPU_API int snpu_net_run_row(const struct snpu_net_run *run, unsigned index, struct snpu_net_row *out) SNPU_CHECKED;
/** Which device failed how, and that the CPU went on; NULL: none did. */
SNPU_API const char *snpu_net_run_fallback(const struct snpu_net_run *run);
/** The device that executes now: of the options, or the CPU. */
SNPU_API int snpu_net_run_device(const struct snpu_net_run *run, struct snpu_device_info *out) SNPU_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
