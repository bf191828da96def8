/* SPDX-License-Identifier: MIT */
/*
 * Models and runs: load or build a network, see what had to be assumed, place it on devices, run it, read what came
 * out. A part of libsnpu; loading .nir files is in libsnpu-nir.
 *
 * Threads: a model does not change after snpu_model_finish(); then any number of threads may use it. A session belongs to one
 * thread at a time, all but snpu_session_cancel(). A result does not change: any number of threads may read it.
 * Functions that can fail return a negative errno and keep one sentence for snpu_last_error(); any of them can also give
 * -ENOMEM. Functions that free accept NULL; everywhere else handles and pointers must be valid, unless it says otherwise.
 * Options structures begin with their size; a zeroed field (or a NULL structure) means the default.
 */
#include <snpu/snpu.h>

#ifndef SNPU_MODEL_H
#define SNPU_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <snpu/snpu_array.h>

#ifdef __cplusplus
extern "C" {
#endif

struct snpu_model;
struct snpu_session;
struct snpu_result;

/* --- notes: what the library decided because the file or the caller did not -------------------------------------- */

enum snpu_note_kind {
	SNPU_NOTE_INFO,			/* follows from the file or from an option */
	SNPU_NOTE_ASSUMED,		/* taken without evidence in the file: strict mode refuses it */
	SNPU_NOTE_WARNING,		/* legal, but probably not meant */
};

/**
 * struct snpu_note - One decision. @rule is a stable name for programs ("dt-inferred", "v_reset-missing", ...);
 * snpu_rule_find() and docs/nir.md describe it. @node is "" when it concerns the whole model. @text is a sentence for people. @source is
 * where the decision came from: "option", "dialect", "file", or "default" when nobody said anything.
 */
struct snpu_note {
	enum snpu_note_kind kind;
	const char *rule;
	const char *node;
	const char *text;
	const char *source;
};

/** struct snpu_rule - A rule by which the library decides. @decides: what, in a few words. @settle: the option that decides it, or "the file". */
struct snpu_rule {
	const char *name;
	const char *decides;
	const char *settle;
};
/** The rules of docs/nir.md in its order; NULL past the end. Any thread. */
SNPU_API const struct snpu_rule *snpu_rule(unsigned index);
/** The rule of that name, NULL. Any thread. */
SNPU_API const struct snpu_rule *snpu_rule_find(const char *name);

/* --- models ------------------------------------------------------------------------------------------------------ */

/** Loads a .nir file. -ENOENT and others of open(2), -EBADMSG damaged or not NIR, -EINVAL a network that cannot be. In libsnpu-nir. */
SNPU_API int snpu_model_load_nir(const char *path, struct snpu_model **out) SNPU_CHECKED;
/** The same from the bytes of a file; @mem is not needed afterwards. */
SNPU_API int snpu_model_load_nir_memory(const void *mem, size_t size, struct snpu_model **out) SNPU_CHECKED;
/** A network as `snpu quantize` writes it (docs/nir.md), with the options of a session that the file keeps; a session's own go before. As above, in libsnpu. */
SNPU_API int snpu_model_load_snpu(const char *path, struct snpu_model **out) SNPU_CHECKED;
SNPU_API int snpu_model_load_snpu_memory(const void *mem, size_t size, struct snpu_model **out) SNPU_CHECKED;
SNPU_API void snpu_model_free(struct snpu_model *m);	/* sessions made from it stay usable */

struct snpu_node_info {
	const char *name;		/* "fc1"; a node of a nested graph is "outer/inner" */
	const char *type;		/* NIR's name of it: "LIF" */
	unsigned rank;
	uint64_t shape[SNPU_MAX_RANK];	/* of its output, computed */
	uint64_t size;			/* elements of the output */
	uint64_t weights;		/* numbers in its weight matrix, or matrices, or kernels */
	uint64_t zero_weights;		/* of these, how many are 0 */
	uint64_t parameters;		/* all numbers stored for it */
	bool compute;			/* executes something; false for Input, Output and Flatten */
	bool neuron;			/* has a membrane potential: can be recorded as "name.v" */
	bool synaptic;			/* CubaLI, CubaLIF: also "name.i" */
};

struct snpu_edge_info {
	unsigned from, to;		/* node numbers */
	bool delayed;			/* carries the value of the step before: it closes a cycle */
};

/* Nodes are numbered from 0 in the order in which they were added, edges likewise. */
SNPU_API unsigned snpu_model_node_count(const struct snpu_model *m);
/** Describes a node; rank, shape and size are 0 before snpu_model_finish(). -ERANGE past the end. The strings live as long as the model. */
SNPU_API int snpu_model_node(const struct snpu_model *m, unsigned node, struct snpu_node_info *out) SNPU_CHECKED;
/** Number of the node called @name, -ENOENT. */
SNPU_API int snpu_model_find(const struct snpu_model *m, const char *name);
SNPU_API unsigned snpu_model_edge_count(const struct snpu_model *m);
/** Describes an edge. -ERANGE past the end. */
SNPU_API int snpu_model_edge(const struct snpu_model *m, unsigned edge, struct snpu_edge_info *out) SNPU_CHECKED;
/* Where data enters and leaves: Input nodes that nothing feeds, Output nodes that feed nothing. 0 before snpu_model_finish(). */
SNPU_API unsigned snpu_model_input_count(const struct snpu_model *m);
SNPU_API int snpu_model_input(const struct snpu_model *m, unsigned index);	/* node number, -ERANGE */
SNPU_API unsigned snpu_model_output_count(const struct snpu_model *m);
SNPU_API int snpu_model_output(const struct snpu_model *m, unsigned index);	/* node number, -ERANGE */
SNPU_API unsigned snpu_model_note_count(const struct snpu_model *m);
/** NULL past the end. The notes of a finished model live as long as it does. */
SNPU_API const struct snpu_note *snpu_model_note(const struct snpu_model *m, unsigned index);
/** What the author wrote beside the network, as text: "T", "encoding", "dt", ... NULL when there is no such entry. */
SNPU_API const char *snpu_model_metadata(const struct snpu_model *m, const char *key);
/** Where it came from: "NIR 1.0.7", "NIR" when the file has no version, "" when it was built by calls. */
SNPU_API const char *snpu_model_format(const struct snpu_model *m);

/*
 * Building one by calls; the NIR loader uses nothing else. Between create and finish one thread uses the model. An
 * error leaves the model as it was before the call, but after an error of snpu_model_finish() it can only be freed. After
 * snpu_model_finish() all of them give -EBUSY. Strings and numbers are copied.
 */
SNPU_API int snpu_model_create(struct snpu_model **out) SNPU_CHECKED;
/**
 * snpu_model_add_node - @name is UTF-8 without control characters, 1 to 1024 bytes. Node number, -EEXIST,
 * -EINVAL for a type that NIR does not have.
 */
SNPU_API int snpu_model_add_node(struct snpu_model *m, const char *name, const char *type) SNPU_CHECKED;
/**
 * snpu_model_set_param - A parameter by NIR's name of it ("weight", "tau", ...). @data is [shape] in C order, time constants in
 * seconds; @rank 0 is a scalar. -EINVAL for a name the type does not have, an empty shape or values that are not finite,
 * -E2BIG for more than SNPU_MAX_RANK axes, -ERANGE no such node.
 */
SNPU_API int snpu_model_set_param(struct snpu_model *m, unsigned node, const char *param, unsigned rank, const uint64_t *shape,
			 const float *data) SNPU_CHECKED;
/**
 * Integer parameters: "shape" of Input and Output; "start_dim", "end_dim", "input_type" of Flatten; "stride", "padding", "dilation", "groups",
 * "input_shape" of Conv1d and Conv2d and "kernel_size", "stride", "padding" of the pools, one value or one for each axis (rows, columns).
 * @values is [count]. -ERANGE, -E2BIG, -EINVAL.
 */
SNPU_API int snpu_model_set_ints(struct snpu_model *m, unsigned node, const char *param, unsigned count, const int64_t *values) SNPU_CHECKED;
/** "padding" of Conv1d and Conv2d as torch names it: "same" or "valid". -ERANGE, -EINVAL. */
SNPU_API int snpu_model_set_text(struct snpu_model *m, unsigned node, const char *param, const char *text) SNPU_CHECKED;
/** 1 when the node's type has a parameter of that name for snpu_model_set_param(), 2 for snpu_model_set_ints(), 3 for that or snpu_model_set_text(), else 0. */
SNPU_API int snpu_model_has_param(const struct snpu_model *m, unsigned node, const char *param);
/** An edge; @from's output is added to @to's input, in the order of the calls. A second one between the same nodes is dropped with a note. -ERANGE, -E2BIG. */
SNPU_API int snpu_model_add_edge(struct snpu_model *m, unsigned from, unsigned to) SNPU_CHECKED;
/** dt that the model's author wrote down, in seconds. -EINVAL when it is not positive and finite. */
SNPU_API int snpu_model_set_dt(struct snpu_model *m, double dt) SNPU_CHECKED;
/** For snpu_model_metadata() and snpu_model_format(). */
SNPU_API int snpu_model_set_metadata(struct snpu_model *m, const char *key, const char *text) SNPU_CHECKED;
SNPU_API int snpu_model_set_format(struct snpu_model *m, const char *format) SNPU_CHECKED;
/** @rule, @node and @fmt as struct snpu_note has them. -E2BIG after 16384. */
SNPU_API int snpu_model_add_note(struct snpu_model *m, enum snpu_note_kind kind, const char *rule, const char *node,
			const char *fmt, ...) __attribute__((format(printf, 5, 6))) SNPU_CHECKED;
/** Checks everything, computes shapes, cuts cycles, orders. -EINVAL, -ENOTSUP, -E2BIG, with the node's name in the sentence. */
SNPU_API int snpu_model_finish(struct snpu_model *m) SNPU_CHECKED;

/* --- sessions: a model on devices -------------------------------------------------------------------------------- */

enum snpu_reset { SNPU_RESET_DEFAULT, SNPU_RESET_VALUE, SNPU_RESET_SUBTRACT, SNPU_RESET_DELTA };
enum snpu_compare { SNPU_COMPARE_DEFAULT, SNPU_COMPARE_GT, SNPU_COMPARE_GE };
enum snpu_integrator { SNPU_INTEGRATOR_DEFAULT, SNPU_INTEGRATOR_EULER, SNPU_INTEGRATOR_EXP };
/**
 * How a neuron scales the input of a step. Of IF and I: by the rule if-gain of docs/nir.md, by r, or by r * dt (the equation as written). RAW, of
 * all neurons: the input is added to the membrane (or, times w_in, to the current) as it is; RAW_DECAYED: to the current before that decays.
 */
enum snpu_gain { SNPU_GAIN_DEFAULT, SNPU_GAIN_R, SNPU_GAIN_R_DT, SNPU_GAIN_RAW, SNPU_GAIN_RAW_DECAYED };
/**
 * When a spike resets the membrane: in its own step; in the next, behind that step's update; or in both, where what one of them did too
 * much is made good (snnTorch with reset by subtraction; with SNPU_RESET_VALUE it is the same as SAME).
 */
enum snpu_reset_time { SNPU_RESET_TIME_DEFAULT, SNPU_RESET_SAME_STEP, SNPU_RESET_NEXT_STEP, SNPU_RESET_BOTH_STEPS };
/**
 * Where a value waits for one step: SPIKE, in each cycle, what leaves its neuron (a recurrent bias acts from step 0); CURRENT, in each cycle,
 * the edge that closes it (it brings nothing at step 0); NEURON, whatever leaves a neuron that fires; SYNAPSE, whatever enters a weight matrix.
 * With the last two a network runs on one device.
 */
enum snpu_delay { SNPU_DELAY_DEFAULT, SNPU_DELAY_SPIKE, SNPU_DELAY_CURRENT, SNPU_DELAY_NEURON, SNPU_DELAY_SYNAPSE };
/** Does the membrane have a lowest value: no, the number v_min, or minus the threshold of each neuron. */
enum snpu_floor { SNPU_FLOOR_DEFAULT, SNPU_FLOOR_NONE, SNPU_FLOOR_VALUE, SNPU_FLOOR_THRESHOLD };
/**
 * What a network is computed in: binary32; or integers, with weights of 8 or 16 bits and states of 32 that saturate; LOIHI24: with weights of 8 bits,
 * states of 24 and decays of 12, as Intel's Loihi has it. Inputs must then be whole numbers; records are what the integers are worth.
 */
enum snpu_number { SNPU_NUMBER_DEFAULT, SNPU_NUMBER_F32, SNPU_NUMBER_INT8, SNPU_NUMBER_INT16, SNPU_NUMBER_LOIHI24 };
/** What all these options are when they are not given: as a framework runs the models that it exports. docs/nir.md has the table. */
enum snpu_dialect {
	SNPU_DIALECT_DEFAULT, SNPU_DIALECT_NIR, SNPU_DIALECT_SNNTORCH, SNPU_DIALECT_NORSE, SNPU_DIALECT_SINABS, SNPU_DIALECT_ROCKPOOL,
	SNPU_DIALECT_SPIKINGJELLY, SNPU_DIALECT_SPYX, SNPU_DIALECT_LAVA,
};
/** "snntorch"; NULL past the end and for SNPU_DIALECT_DEFAULT. Any thread. */
SNPU_API const char *snpu_dialect_name(enum snpu_dialect dialect);

#define SNPU_SPIKES_ANY	UINT32_MAX	/* as many spikes a step as the membrane is worth; 2^24 at most, what float32 counts */

/** struct snpu_place_rule - Force a node onto a device: @device is an index into the options' devices, or -1 for the CPU. */
struct snpu_place_rule {
	const char *node;
	int device;
};

/** Called from within snpu_session_run() when samples are complete. Return nonzero to stop: the run then fails with -ECANCELED. */
typedef int (*snpu_progress_fn)(void *arg, uint64_t samples_done, uint64_t samples);

struct snpu_session_opts {
	size_t sz;			/* sizeof(struct snpu_session_opts) */
	/*
	 * Devices in the order of preference; borrowed, must outlive the session. The first executes whatever it can;
	 * when it fails in mid-run the next one goes on. The CPU is always the last resort and need not be listed.
	 */
	struct snpu_device *const *devices;
	unsigned n_devices;
	bool require_device;		/* a compute node that would run on the CPU, or a fallback, is an error */
	bool strict;			/* an assumption is an error */
	double dt;			/* time step in seconds; 0: from the model */
	enum snpu_reset reset;
	enum snpu_compare compare;
	enum snpu_integrator integrator;
	enum snpu_gain gain;
	const struct snpu_place_rule *place;
	unsigned n_place;
	/* What to keep beside the output nodes: "NODE", "NODE.v" (membrane after reset), "NODE.i" (synaptic current). */
	const char *const *records;
	unsigned n_records;
	uint64_t chunk_samples;		/* samples per submission; 0: chosen by memory and progress */
	snpu_progress_fn progress;
	void *progress_arg;
	enum snpu_dialect dialect;	/* what dt, the four options behind it and those below are when they are 0 */
	uint32_t max_spikes;		/* of a neuron in a step: 0: the dialect's, else one; more than one: trunc(v / v_threshold) */
	enum snpu_reset_time reset_time;
	enum snpu_delay delay;
	enum snpu_floor floor;
	double v_min;			/* with SNPU_FLOOR_VALUE */
	enum snpu_number number;	/* default: F32 */
};

struct snpu_placement {
	const char *node;
	const char *type;
	int device;			/* index into the options' devices; -1: CPU; -2: nothing to execute */
	/*
	 * Why it is there, for people; never "". "first choice: executes LIF, 5 KiB fit"; elsewhere what the first device lacks:
	 * "needs 4096 KiB, card0 has 2044 KiB left", "card0 does not execute LIF", "card0 failed"; "asked for" by a place rule.
	 */
	const char *reason;
	bool forced;			/* by a place rule */
};

/**
 * Decides time step, semantics and placement, packs the weights and puts them on the devices. The model stays usable and
 * may be freed. -EINVAL an option, an assumption in strict mode or a time step that does not fit; -ENOENT a node that the model
 * does not have; -ENOTSUP; -ENODEV a device is required and cannot execute a node, or the card is gone; -ENOSPC its memory is full.
 */
SNPU_API int snpu_session_create(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_session **out) SNPU_CHECKED;
SNPU_API void snpu_session_free(struct snpu_session *s);

/** The model's notes, then those of this session (time step, reset, ...). NULL past the end. */
SNPU_API unsigned snpu_session_note_count(const struct snpu_session *s);
SNPU_API const struct snpu_note *snpu_session_note(const struct snpu_session *s, unsigned index);
/** One for each node, in the order of execution; NULL past the end. Valid until the session runs (a device may fail) or is freed. */
SNPU_API unsigned snpu_session_placement_count(const struct snpu_session *s);
SNPU_API const struct snpu_placement *snpu_session_placement(const struct snpu_session *s, unsigned index);

struct snpu_session_info {
	double dt;			/* seconds */
	const char *dt_source;		/* "option", "metadata", "inferred" or "dialect"; "" when the model has no time constant */
	enum snpu_reset reset;
	enum snpu_compare compare;
	unsigned segments;		/* runs of nodes on one device */
	unsigned crossings;		/* edges between devices */
	uint64_t weight_bytes;		/* packed */
	uint64_t program_bytes;		/* of all segments, for one submission */
};
SNPU_API void snpu_session_info(const struct snpu_session *s, struct snpu_session_info *out);

/** struct snpu_quant_info - How a node became integers. */
struct snpu_quant_info {
	size_t sz;			/* sizeof(struct snpu_quant_info) */
	uint64_t weights;		/* numbers in its matrix or kernels */
	double weight_sqnr;		/* their signal to quantisation noise, dB; INFINITY: exact. 0 without weights */
	unsigned shift;			/* fractional bits of what they give */
	double scale_min, scale_max;	/* of its weights: a weight of 1 is so many units */
	int32_t threshold_min, threshold_max;	/* of neurons that fire, units */
	double state_max;		/* where its states saturate, units; 0: it has none */
	double tau_error;		/* the greatest relative error of a time constant by the rounding of its decay; INFINITY: it never decays */
	const double *unit_v;		/* [size] what a unit of its membrane is worth; NULL: it has none. Lives as long as the session */
	const double *unit_i;
};
/** How node @node of a session in integers became that. -ERANGE; -EINVAL: the session is in floats. */
SNPU_API int snpu_session_quant(const struct snpu_session *s, unsigned node, struct snpu_quant_info *out) SNPU_CHECKED;
/**
 * Writes the model of a session in integers to a file for snpu_model_load_snpu(), with the session's options of meaning. A session made from it is the same bit for
 * bit; that is tried before anything is written. -EINVAL: the session is in floats; errors of open(2) and write(2).
 */
SNPU_API int snpu_session_save_model(const struct snpu_session *s, const char *path) SNPU_CHECKED;

/** struct snpu_semantics_info - What was decided, no field on its default; gain: DEFAULT when it was decided node by node. */
struct snpu_semantics_info {
	size_t sz;			/* sizeof(struct snpu_semantics_info) */
	double dt;			/* seconds; 0: the model has no time constant */
	const char *dt_source;		/* as snpu_session_info, or "dialect" */
	enum snpu_dialect dialect;	/* as given */
	enum snpu_integrator integrator;
	enum snpu_reset reset;
	enum snpu_reset_time reset_time;
	enum snpu_compare compare;
	enum snpu_gain gain;
	enum snpu_delay delay;
	enum snpu_floor floor;
	double v_min;
	uint32_t max_spikes;
	enum snpu_number number;
};
/** Fills as much of @out as its size says. -EINVAL when it has no size. */
SNPU_API int snpu_session_semantics(const struct snpu_session *s, struct snpu_semantics_info *out) SNPU_CHECKED;
/**
 * What node @node computes in a step, as one line for people: "v += k (v_leak + r x - v), k 0.04; fires at v > 0.1; then v = 0". "" for
 * nodes that only pass on. -ERANGE. Valid until the next call or the end of the session.
 */
SNPU_API int snpu_session_equation(struct snpu_session *s, unsigned node, const char **text) SNPU_CHECKED;
/** snpu_model_edge() with the delays of this session. -ERANGE past the end. */
SNPU_API int snpu_session_edge(const struct snpu_session *s, unsigned edge, struct snpu_edge_info *out) SNPU_CHECKED;

struct snpu_segment_info {
	int device;			/* as struct snpu_placement */
	unsigned n_nodes;
	const char *const *nodes;	/* [n_nodes] names, in the order of execution; profile slot i + 1 is node i */
};
/** Segments in the order in which they run. -ERANGE past the end. Valid until the next call, the next run or the end of the session. */
SNPU_API int snpu_session_segment(struct snpu_session *s, unsigned index, struct snpu_segment_info *out) SNPU_CHECKED;
/** The program of a segment for @samples samples of @steps steps, as it would be submitted: @size bytes, free() them. -ERANGE, -EINVAL, -E2BIG. */
SNPU_API int snpu_session_program(struct snpu_session *s, unsigned segment, uint64_t samples, uint64_t steps, void **program, uint64_t *size) SNPU_CHECKED;

enum snpu_encoder {
	SNPU_ENCODE_NONE,		/* the array is [sample][step][node shape] or [step][node shape] */
	SNPU_ENCODE_IMAGE,		/* the array is uint8 [sample][node shape] (any shape of the same size): snpu_encode_image() */
	SNPU_ENCODE_RATE,		/* likewise: snpu_encode_rate(), sample k with the seed plus k */
	SNPU_ENCODE_LATENCY,		/* likewise: snpu_encode_latency() */
};

/** struct snpu_input - The input of one Input node. Numbers are converted to float32; they must be finite. */
struct snpu_input {
	const char *node;		/* NULL: the only Input node */
	const struct snpu_array *array;	/* borrowed for the call */
	enum snpu_encoder encoder;
	uint32_t steps;			/* with an encoder: time steps */
	uint64_t seed;			/* of SNPU_ENCODE_RATE */
};

/**
 * snpu_session_run - Run all samples from cleared state; same input, same bits, whatever the devices.
 * -EINVAL for arrays that do not fit, -ECANCELED, -EREMOTEIO when a device failed and require_device is set.
 */
SNPU_API int snpu_session_run(struct snpu_session *s, const struct snpu_input *inputs, unsigned n_inputs, struct snpu_result **out) SNPU_CHECKED;
/**
 * snpu_session_continue - The next steps of one sample: starts from the state in which the call before ended, the first from cleared
 * state. Steps in any cutting give the same bits and counters as all of them at once, also when a device fails between or in them.
 * snpu_session_run() neither uses nor changes that state. Errors as there, and -EINVAL for more than one sample; after an error the
 * state is that of before the call. A result is of the steps of its call.
 */
SNPU_API int snpu_session_continue(struct snpu_session *s, const struct snpu_input *inputs, unsigned n_inputs, struct snpu_result **out) SNPU_CHECKED;
/** Bytes that snpu_session_state_save() writes; depends on the model and its rule of delays, not on devices. */
SNPU_API uint64_t snpu_session_state_size(const struct snpu_session *s);
/** Copies the state to @mem, snpu_session_state_size() bytes: membranes, currents, rings of delays, and what waits for the next step. */
SNPU_API int snpu_session_state_save(struct snpu_session *s, void *mem) SNPU_CHECKED;
/**
 * snpu_session_state_load - Go on from a saved state, also of another session, process or device. @mem NULL: from cleared state.
 * -EBADMSG when it is not a state or cut off, -EINVAL when it belongs to another model or rule of delays.
 */
SNPU_API int snpu_session_state_load(struct snpu_session *s, const void *mem, uint64_t size) SNPU_CHECKED;
/** Makes the run that is executing stop after its current chunk. Allowed from any thread and from signal handlers. */
SNPU_API void snpu_session_cancel(struct snpu_session *s);

/* --- results ------------------------------------------------------------------------------------------------------ */

SNPU_API void snpu_result_free(struct snpu_result *r);

struct snpu_record {
	const char *name;		/* as asked for: "output", "lif1", "lif1.v" */
	bool output;			/* one of the model's outputs */
	const struct snpu_array *array;	/* float32 [sample][step][node shape] */
};
/** The records in the order outputs, then the options' records. The array belongs to the result. -ERANGE past the end. */
SNPU_API unsigned snpu_result_record_count(const struct snpu_result *r);
SNPU_API int snpu_result_record(const struct snpu_result *r, unsigned index, struct snpu_record *out) SNPU_CHECKED;

/** struct snpu_profile_row - Counters of one node, summed over the run. @counter is indexed by enum snpu_counter (hw/snpu_job.h). */
struct snpu_profile_row {
	const char *node;		/* "" for the control packets */
	int device;			/* as struct snpu_placement */
	const uint64_t *counter;
	unsigned n_counters;
};
/** A row for each node that executes, in the order of execution, and one for the control packets. -ERANGE past the end. */
SNPU_API unsigned snpu_result_profile_count(const struct snpu_result *r);
SNPU_API int snpu_result_profile(const struct snpu_result *r, unsigned index, struct snpu_profile_row *out) SNPU_CHECKED;

/** Of the convolutions of a row, one a step, those that the CPU computed window by window because many inputs were active. 0 past the end. */
SNPU_API uint64_t snpu_result_dense(const struct snpu_result *r, unsigned index);

struct snpu_run_stats {
	uint64_t samples;
	uint64_t steps;			/* of one sample */
	uint64_t chunks;
	uint64_t jobs;			/* submissions */
	uint64_t retries;		/* chunks done again after a fault */
	uint64_t fallback_samples;	/* samples that ran on another device than planned */
	uint64_t dropped_events;	/* float32 runs have nowhere to drop or clamp: these are counted, and are 0 */
	uint64_t clamped_values;
	uint64_t wall_ns;		/* whole run, ns */
	uint64_t host_ns;		/* of it, outside of jobs: encoding, copying; ns */
};
SNPU_API void snpu_result_stats(const struct snpu_result *r, struct snpu_run_stats *out);
/** One line for each fallback: which device failed how, and who went on. NULL past the end. */
SNPU_API const char *snpu_result_fallback(const struct snpu_result *r, unsigned index);

#ifdef __cplusplus
}
#endif
#endif
