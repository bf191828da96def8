/* SPDX-License-Identifier: MIT */
/*
 * Events of cameras, cochleas and simulators: reading files and streams of them, and turning them into time steps. A part of
 * libsnpu-nir, with the file readers. docs/events.md has the formats byte by byte, and what is decided when a file does not say.
 * Every function is thread-safe as long as two threads do not use the same object. Functions that can fail return a negative
 * errno and keep one sentence for snpu_last_error(); any of them can also give -ENOMEM. Files are strangers': nothing in them is trusted.
 * Options structures begin with their size; a zeroed field (or a NULL structure) means the default.
 */
#include <snpu/snpu_array.h>

#ifndef SNPU_EVENTS_H
#define SNPU_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum snpu_events_format {
	SNPU_EVENTS_AUTO,		/* by the first bytes, then by the file's name */
	SNPU_EVENTS_NMNIST,		/* N-MNIST, N-Caltech101: 5 bytes an event. Has no mark of its own: name it, or .bin, .bs2 */
	SNPU_EVENTS_AEDAT3,		/* AEDAT 3.1 */
	SNPU_EVENTS_AEDAT4,		/* AEDAT 4.0 */
	SNPU_EVENTS_EVT2,		/* Prophesee RAW in EVT 2.0, */
	SNPU_EVENTS_EVT21,		/* EVT 2.1 */
	SNPU_EVENTS_EVT3,		/* and EVT 3.0 */
	SNPU_EVENTS_DAT,		/* Prophesee DAT */
	SNPU_EVENTS_HDF5,		/* spikes/times, spikes/units, labels: the layout of SHD and SSC */
	SNPU_EVENTS_NUMPY,		/* .npy or .npz: records or columns t, x, y, p */
	SNPU_EVENTS_NIRDATA,		/* NIRGraphData: EventData or ValuedEventData */
	SNPU_EVENTS_FORMAT_COUNT
};

/** struct snpu_event - Something happened at a pixel or channel. */
struct snpu_event {
	int64_t t;			/* microseconds */
	uint32_t x;			/* column, or the channel of a source without pixels */
	uint16_t y;			/* row, 0 of a source without pixels */
	uint8_t p;			/* polarity: 1 brighter, 0 darker; 0 of a source without */
	float value;			/* how often or how much: 1, except of ValuedEventData */
};

/** struct snpu_events - Events of one or more samples, in the order of the file. */
struct snpu_events {
	enum snpu_events_format format;
	uint32_t width, height;		/* pixels: x < width, y < height; height 1: channels. 0 when there is neither a size nor an event */
	unsigned polarities;		/* 1 or 2: p < polarities */
	bool sized;			/* the size is the file's, the format's or the caller's; else it is greatest address + 1 */
	bool step_ends;			/* an event at t belongs to the step that ends at t (NIRGraphData), not to that which begins there */
	uint64_t samples;		/* at least 1 */
	uint64_t *first;		/* [samples + 1] index of a sample's first event; first[samples] is count */
	uint64_t count;
	struct snpu_event *event;	/* [count] */
	int64_t *labels;		/* [samples], NULL: none in the file */
	int64_t duration;		/* of a sample, microseconds, when the file says so; else 0 */
	/* Nothing is lost in silence: */
	uint64_t out_of_range;		/* events left out because their address is not on the sensor, or their time is no number */
	uint64_t out_of_order;		/* events that are earlier than the one before; they are kept */
	uint64_t untimed;		/* events left out because no time came before them */
	uint64_t other;			/* records left out that are no pixel events: triggers, frames, invalid or padding */
};

struct snpu_events_opts {
	size_t sz;			/* sizeof(struct snpu_events_opts) */
	enum snpu_events_format format;
	uint32_t width, height;		/* of the sensor; 0: what the file or the format says */
	uint64_t first, last;		/* samples [first, last) of a file with many; last 0: to the end */
	const char *node;		/* NIRGraphData: whose events; NULL: the only one */
};

/** "evt3" and so on, for SNPU_EVENTS_AUTO "auto"; NULL past the end. */
SNPU_API const char *snpu_events_format_name(enum snpu_events_format format);
/** The format of a file by its first bytes, -ENOENT when they tell none. HDF5 files need all their bytes, others 64. */
SNPU_API int snpu_events_format_of(const void *mem, size_t size);

/**
 * snpu_events_parse - Read the bytes of a file. -EBADMSG damaged, -EINVAL a format or sample that is not there, -ENOTSUP a variant
 * that is not read, -ENOENT when no format fits.
 */
SNPU_API int snpu_events_parse(const void *mem, size_t size, const struct snpu_events_opts *opts, struct snpu_events **out) SNPU_CHECKED;
/** The same of a file; its name helps to find the format. Errors of open(2) too. */
SNPU_API int snpu_events_open(const char *path, const struct snpu_events_opts *opts, struct snpu_events **out) SNPU_CHECKED;
SNPU_API void snpu_events_free(struct snpu_events *ev);

/* --- as they arrive ----------------------------------------------------------------------------------------------- */

/** struct snpu_event_reader - Reads a stream in pieces of any size. Formats: N-MNIST, AEDAT, RAW, DAT. */
struct snpu_event_reader;
/** -EINVAL for a format that is not read in pieces. SNPU_EVENTS_AUTO decides by the first 64 bytes. */
SNPU_API int snpu_event_reader_create(const struct snpu_events_opts *opts, struct snpu_event_reader **out) SNPU_CHECKED;
/** The next bytes. Errors as snpu_events_parse(); after one the reader can only be freed. */
SNPU_API int snpu_event_reader_push(struct snpu_event_reader *r, const void *mem, size_t size) SNPU_CHECKED;
/** The stream is over. -EBADMSG when it ends within a record or header. */
SNPU_API int snpu_event_reader_finish(struct snpu_event_reader *r) SNPU_CHECKED;
/** What was read and not yet forgotten, one sample; counters and sizes are of the whole stream. Valid until the next call. */
SNPU_API const struct snpu_events *snpu_event_reader_events(const struct snpu_event_reader *r);
/** Forgets the first @count events. */
SNPU_API void snpu_event_reader_forget(struct snpu_event_reader *r, uint64_t count);
SNPU_API void snpu_event_reader_free(struct snpu_event_reader *r);

/* --- time steps --------------------------------------------------------------------------------------------------- */

enum snpu_polarity {
	SNPU_POLARITY_SEPARATE,		/* a channel for each polarity: [p][y][x] */
	SNPU_POLARITY_MERGED,		/* both count: [y][x] */
	SNPU_POLARITY_SIGNED,		/* brighter counts +, darker -: [y][x] */
};

enum snpu_bin_start {
	SNPU_BIN_START_DEFAULT,		/* zero for SHD and NIRGraphData, which have a beginning; else the first event */
	SNPU_BIN_START_FIRST,		/* step 0 begins at the sample's earliest event */
	SNPU_BIN_START_ZERO,		/* step 0 begins at time 0 */
};

struct snpu_bin_opts {
	size_t sz;			/* sizeof(struct snpu_bin_opts) */
	double dt;			/* of a step, seconds; at least a nanosecond, needed */
	uint64_t steps;			/* 0: up to the last event, or as long as the file says */
	enum snpu_bin_start start;
	enum snpu_polarity polarity;
	uint32_t crop[4];		/* x, y, width, height of the part to keep, in pixels; all 0: everything */
	uint32_t downscale;		/* so many pixels squared become one; 0 and 1: as they are. What does not fill a pixel is left out */
	bool clip;			/* at most one spike (or -1) for each pixel and step, instead of a count */
};

/** struct snpu_bins - The form of the steps, and what became of the events: binned + before + after + cropped is all of them. */
struct snpu_bins {
	uint64_t samples, steps;
	uint32_t channels, height, width;
	uint64_t dt;			/* nanoseconds */
	uint64_t binned;		/* events that are in a step */
	uint64_t before, after;		/* left out: earlier than step 0, later than the last step */
	uint64_t cropped;		/* left out: outside of the part to keep */
	uint64_t clipped;		/* pixel steps whose count was cut to one */
};

/**
 * snpu_events_bin - Events as time steps. Step k is [k dt, (k + 1) dt) from its beginning on; with step_ends (k dt, (k + 1) dt].
 * @out: float32 [sample][step][channel][y][x], or [sample][step][x] of a source without pixels and polarity. @bins may be NULL.
 * -EINVAL an option that does not fit, -E2BIG more than memory can address.
 */
SNPU_API int snpu_events_bin(const struct snpu_events *ev, const struct snpu_bin_opts *opts, struct snpu_array *out, struct snpu_bins *bins) SNPU_CHECKED;
/**
 * snpu_events_bins - The form alone, and in @bins->channels, height, width the shape of a step. samples and steps are 0 without @ev's events.
 */
SNPU_API int snpu_events_bins(const struct snpu_events *ev, const struct snpu_bin_opts *opts, struct snpu_bins *bins) SNPU_CHECKED;
/** Where an event is in a step [channel][y][x]: its index, or -1 when it is not in the part to keep. *@value: what it adds there. */
SNPU_API int64_t snpu_events_place(const struct snpu_event *e, const struct snpu_bin_opts *opts, const struct snpu_bins *bins, float *value);

/* --- NIRGraphData: recordings of a network's nodes ----------------------------------------------------------------- */

enum snpu_nirdata_type { SNPU_NIRDATA_GRID, SNPU_NIRDATA_EVENTS, SNPU_NIRDATA_VALUED };

/** struct snpu_observable - One recording. A node of a nested graph is "outer/inner". */
struct snpu_observable {
	const char *node, *name;	/* "lif1", "spikes" */
	enum snpu_nirdata_type type;
	double dt;			/* of a step, seconds; of events 0 */
	const struct snpu_array *array;	/* grid: [sample][step][neuron ...]; written as bool when all is 0 or 1 */
	const struct snpu_events *events; /* events: x is the neuron */
};

struct snpu_nirdata;
/** Reads all of a NIRGraphData file; @mem is not needed afterwards. -EBADMSG, -ENOTSUP. */
SNPU_API int snpu_nirdata_parse(const void *mem, size_t size, struct snpu_nirdata **out) SNPU_CHECKED;
SNPU_API unsigned snpu_nirdata_count(const struct snpu_nirdata *d);
/** Observables by node, then by name. -ERANGE past the end. Valid as long as @d. */
SNPU_API int snpu_nirdata_get(const struct snpu_nirdata *d, unsigned index, struct snpu_observable *out) SNPU_CHECKED;
SNPU_API void snpu_nirdata_free(struct snpu_nirdata *d);
/** Writes a file; it appears under @path when it is complete. -EINVAL names that are empty, twice there or clash; -EIO and others of open(2). */
SNPU_API int snpu_nirdata_write(const char *path, const struct snpu_observable *list, unsigned count) SNPU_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
