/* SPDX-License-Identifier: MIT */
/* Events as time steps: which step, which cell of it, and what became of each event. Pure functions. */
#include "load/events/events.h"

#include <math.h>
#include <string.h>

#define DT_MAX		1e9			/* seconds */

static int options(const struct snpu_bin_opts *opts, struct snpu_bin_opts *o)
{
	*o = (struct snpu_bin_opts){ 0 };
	if (!opts || opts->sz > sizeof(*o))
		return snpu_fail(-EINVAL, "snpu_bin_opts.sz is %zu, at most %zu is known; build against the library that is used", opts ? opts->sz : 0, sizeof(*o));
	memcpy(o, opts, opts->sz);
	o->downscale = o->downscale ? o->downscale : 1;
	if (!(o->dt >= 1e-9 && o->dt <= DT_MAX))
		return snpu_fail(-EINVAL, "events cannot be binned to steps of %g s; give a time from 1 ns on, such as 1e-3", o->dt);
	if (o->polarity > SNPU_POLARITY_SIGNED || o->start > SNPU_BIN_START_ZERO)
		return snpu_fail(-EINVAL, "events cannot be binned by polarity %u from %u on; use enum snpu_polarity and enum snpu_bin_start", (unsigned)o->polarity,
				 (unsigned)o->start);
	return 0;
}

/* Without its events: the shape of a step. */
static int shape(const struct snpu_events *ev, const struct snpu_bin_opts *o, struct snpu_bins *b)
{
	bool part = o->crop[2] || o->crop[3] || o->crop[0] || o->crop[1];
	uint32_t width = part ? o->crop[2] : ev->width, height = part ? o->crop[3] : ev->height;

	*b = (struct snpu_bins){ .dt = (uint64_t)llrint(o->dt * 1e9) };
	if (part && (!width || !height || !snpu_range_ok(o->crop[0], width, ev->width) || !snpu_range_ok(o->crop[1], height, ev->height)))
		return snpu_fail(-EINVAL, "the part from %u,%u of %u x %u pixels is not within the %u x %u of the sensor", o->crop[0], o->crop[1], width, height, ev->width,
				 ev->height);
	b->channels = ev->polarities > 1 && o->polarity == SNPU_POLARITY_SEPARATE ? 2 : 1;
	b->width = width / o->downscale;
	b->height = ev->height == 1 ? height : height / o->downscale;
	if (!b->width || !b->height)
		return snpu_fail(-EINVAL, "nothing is left of %u x %u pixels when %u become one%s", width, height, o->downscale, ev->count || ev->sized ? "" : "; there are no events, so give the sensor's size");
	return 0;
}

int64_t snpu_events_place(const struct snpu_event *e, const struct snpu_bin_opts *o, const struct snpu_bins *b, float *value)
{
	uint32_t d = o->downscale ? o->downscale : 1, x = e->x - o->crop[0], y = (uint32_t)e->y - o->crop[1];

	if (e->x < o->crop[0] || e->y < o->crop[1])
		return -1;
	x /= d;
	y = b->height == 1 && (!o->crop[3] || o->crop[3] == 1) && !y ? 0 : y / d;
	if (x >= b->width || y >= b->height)
		return -1;
	*value = o->polarity == SNPU_POLARITY_SIGNED && !e->p ? -e->value : e->value;
	return (int64_t)(((uint64_t)(b->channels == 2 ? e->p : 0) * b->height + y) * b->width + x);
}

/* The step of a time; those of a wider type that are outside of 64 bits are outside of any run. */
static __int128 step_of(const struct snpu_events *ev, const struct snpu_bins *b, int64_t t, int64_t begin)
{
	__int128 ns = ((__int128)t - begin) * 1000 - (ev->step_ends ? 1 : 0), dt = b->dt;

	return ns >= 0 ? ns / dt : -1 - (-1 - ns) / dt;
}

/* Where step 0 of a sample begins, us. */
static int64_t begin_of(const struct snpu_events *ev, const struct snpu_bin_opts *o, uint64_t sample)
{
	int64_t begin = INT64_MAX;

	if (o->start == SNPU_BIN_START_ZERO ||
	    (o->start == SNPU_BIN_START_DEFAULT && (ev->format == SNPU_EVENTS_HDF5 || ev->format == SNPU_EVENTS_NIRDATA)))
		return 0;
	for (uint64_t i = ev->first[sample]; i < ev->first[sample + 1]; i++)
		begin = ev->event[i].t < begin ? ev->event[i].t : begin;
	return ev->first[sample] < ev->first[sample + 1] ? begin : 0;
}

static int count_steps(const struct snpu_events *ev, const struct snpu_bin_opts *o, struct snpu_bins *b)
{
	__int128 most = 0;

	if (!o->steps && ev->duration > 0)
		most = ((__int128)ev->duration * 1000 + b->dt / 2) / b->dt - 1;	/* as NIR rounds it */
	for (uint64_t s = 0; s < ev->samples && !o->steps && ev->duration <= 0; s++) {
		int64_t begin = begin_of(ev, o, s);

		for (uint64_t i = ev->first[s]; i < ev->first[s + 1]; i++) {
			__int128 step = step_of(ev, b, ev->event[i].t, begin);

			most = step > most ? step : most;
		}
	}
	if (most >= UINT32_MAX)
		return snpu_fail(-E2BIG, "the events reach over more than 2^32 steps of %g s; take longer steps, or fewer with --steps", o->dt);
	b->samples = ev->samples;
	b->steps = o->steps ? o->steps : most < 0 ? 1 : (uint64_t)most + 1;
	return 0;
}

int snpu_events_bins(const struct snpu_events *ev, const struct snpu_bin_opts *opts, struct snpu_bins *bins)
{
	struct snpu_bin_opts o;
	int err = options(opts, &o);

	if (!err)
		err = shape(ev, &o, bins);
	if (!err)
		err = count_steps(ev, &o, bins);
	return err;
}

static void clip(struct snpu_array *a, struct snpu_bins *b)
{
	float *v = a->data;

	for (uint64_t i = 0; i < a->count; i++)
		if (v[i] > 1 || v[i] < -1) {
			v[i] = v[i] > 0 ? 1 : -1;
			b->clipped++;
		}
}

static void bin_sample(const struct snpu_events *ev, const struct snpu_bin_opts *o, uint64_t sample, float *to, struct snpu_bins *b)
{
	uint64_t cells = (uint64_t)b->channels * b->height * b->width;
	int64_t begin = begin_of(ev, o, sample);

	for (uint64_t i = ev->first[sample]; i < ev->first[sample + 1]; i++) {
		const struct snpu_event *e = &ev->event[i];
		__int128 step = step_of(ev, b, e->t, begin);
		float value = 0;
		int64_t cell = snpu_events_place(e, o, b, &value);

		b->before += step < 0;
		b->after += step >= 0 && step >= b->steps;
		b->cropped += step >= 0 && step < b->steps && cell < 0;
		if (step < 0 || step >= b->steps || cell < 0)
			continue;
		b->binned++;
		to[(uint64_t)step * cells + (uint64_t)cell] += value;
	}
}

int snpu_events_bin(const struct snpu_events *ev, const struct snpu_bin_opts *opts, struct snpu_array *out, struct snpu_bins *bins)
{
	struct snpu_bins b;
	struct snpu_bin_opts o;
	uint64_t axes[5], cells;
	bool flat;
	int err = options(opts, &o);

	if (!err)
		err = snpu_events_bins(ev, opts, &b);
	if (err)
		return err;
	flat = b.channels == 1 && b.height == 1 && ev->height == 1;
	axes[0] = b.samples;
	axes[1] = b.steps;
	axes[2] = flat ? b.width : b.channels;
	axes[3] = b.height;
	axes[4] = b.width;
	err = snpu_array_create(SNPU_F32, flat ? 3 : 5, axes, out);
	if (err)
		return snpu_fail_in(err, "%llu samples of %llu steps", (unsigned long long)b.samples, (unsigned long long)b.steps);
	cells = (uint64_t)b.channels * b.height * b.width;
	for (uint64_t s = 0; s < b.samples; s++)
		bin_sample(ev, &o, s, (float *)out->data + s * b.steps * cells, &b);
	if (o.clip)
		clip(out, &b);
	if (bins)
		*bins = b;
	return 0;
}
