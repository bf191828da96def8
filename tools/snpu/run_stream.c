// SPDX-License-Identifier: MIT
/*
 * `snpu run --stream`: events are read as they arrive, a step is run as soon as a later event shows that it is complete, and the
 * session keeps the network's state between steps. Time is that of the events. What comes for a step that is complete is late: counted,
 * and left out. Ends with the stream, after --steps, or by Ctrl-C; then the summary comes as of any run.
 */
#include "run.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "source.h"
#include "text.h"

#define CHUNK		256			/* steps that are run at once, when so many are complete */
#define KEEP_BYTES	(512ull << 20)		/* of recorded arrays; the oldest steps go first */
#define READ_BYTES	(64u << 10)
#define OCTAVES		40			/* of the histogram of latencies, from 1 ns on */
#define PARTS		16			/* of an octave */

struct latencies {
	uint64_t count[OCTAVES * PARTS], n;
	double worst;				/* seconds */
};

struct stream {
	struct snpu_run *run;
	int fd;
	struct snpu_event_reader *reader;
	struct snpu_events_plan plan;
	struct snpu_bins bins;
	struct snpu_node_info node;
	struct snpu_event *pending;		/* of steps that are not complete */
	uint64_t n_pending, pending_capacity;
	bool begun;
	int64_t begin, newest;			/* of step 0; latest event; us */
	uint64_t step;				/* the next one to run */
	uint64_t late;
	double arrived, started;		/* clock of the latest bytes, of the first */
	struct latencies latency;
	struct snpu_progress progress;
	const char *ended;
};

static volatile int stop;

static void on_interrupt(int signal)
{
	(void)signal;
	stop = 1;
}

/* --- latencies ------------------------------------------------------------------------------------------------ */

static void latency_add(struct latencies *l, double seconds)
{
	double octave = log2(fmax(seconds * 1e9, 1)) * PARTS;
	unsigned int i = octave < OCTAVES * PARTS - 1 ? (unsigned int)octave : OCTAVES * PARTS - 1;

	l->count[i]++;
	l->n++;
	l->worst = fmax(l->worst, seconds);
}

/* Nanoseconds that `share` of them do not exceed, 4 % too much at most. */
static double latency_of(const struct latencies *l, double share)
{
	uint64_t seen = 0, want = (uint64_t)ceil(share * (double)l->n);

	for (unsigned int i = 0; i < OCTAVES * PARTS && l->n; i++) {
		seen += l->count[i];
		if (seen >= want)
			return fmin(exp2((i + 1.0) / PARTS), l->worst * 1e9);
	}
	return 0;
}

/* --- what is kept of many calls --------------------------------------------------------------------------------- */

/* Appends steps to a record [1][steps][...]; `most`: how many are kept, the last ones. */
static bool keep_record(struct snpu_array *to, const struct snpu_array *from, uint64_t most)
{
	uint64_t each = from->count / from->shape[1] * sizeof(float), have = to->data ? to->shape[1] : 0, add = from->shape[1], drop = 0;
	char *data;

	if (have + add > most)
		drop = have + add - most < have ? have + add - most : have;
	if (drop)
		memmove(to->data, (char *)to->data + drop * each, (have - drop) * each);
	have -= drop;
	data = realloc(to->data, (have + add) * each + 1);
	if (!data)
		return false;
	memcpy(data + have * each, from->data, add * each);
	*to = *from;
	to->data = data;
	to->shape[1] = have + add;
	to->count = (have + add) * each / sizeof(float);
	return true;
}

static bool keep_records(struct snpu_run *run)
{
	unsigned int n = snpu_result_record_count(run->result);
	uint64_t each = 4, most;
	struct snpu_record r;

	if (!run->kept.array) {
		run->kept.array = calloc(n + 1, sizeof(*run->kept.array));
		run->kept.record = calloc(n + 1, sizeof(*run->kept.record));
		run->kept.name = calloc(n + 1, sizeof(*run->kept.name));
	}
	if (!run->kept.array || !run->kept.record || !run->kept.name)
		return false;
	for (unsigned int i = 0; i < n; i++)
		each += snpu_result_record(run->result, i, &r) ? 0 : r.array->count / r.array->shape[1] * 4;
	most = KEEP_BYTES / each + CHUNK;
	for (unsigned int i = 0; i < n; i++) {
		if (snpu_result_record(run->result, i, &r) || !keep_record(&run->kept.array[i], r.array, most))
			return false;
		if (!run->kept.name[i])
			run->kept.name[i] = strdup(r.name);
		run->kept.record[i] = (struct snpu_record){ run->kept.name[i] ? run->kept.name[i] : "", r.output, &run->kept.array[i] };
	}
	run->kept.n = n;
	return true;
}

static bool keep_counters(struct snpu_run *run)
{
	unsigned int n = snpu_result_profile_count(run->result);
	struct snpu_profile_row row;
	struct snpu_run_stats s, *all = &run->kept.stats;

	if (!run->kept.counter)
		run->kept.counter = calloc(n + 1, sizeof(*run->kept.counter));
	for (unsigned int i = 0; run->kept.counter && i < n; i++)
		for (unsigned int c = 0; snpu_result_profile(run->result, i, &row) == 0 && c < row.n_counters && c < SNPU_COUNTER_COUNT; c++)
			run->kept.counter[i][c] += row.counter[c];
	snpu_result_stats(run->result, &s);
	all->samples = 1;
	all->steps += s.steps;
	all->chunks += s.chunks;
	all->jobs += s.jobs;
	all->retries += s.retries;
	all->fallback_samples |= s.fallback_samples;
	all->wall_ns += s.wall_ns;
	all->host_ns += s.host_ns;
	for (unsigned int i = 0; snpu_result_fallback(run->result, i); i++)
		if (!json_array_size(run->kept.fallbacks) || i)
			json_array_append_new(run->kept.fallbacks, json_string(snpu_result_fallback(run->result, i)));
	return run->kept.counter;
}

/* --- steps ------------------------------------------------------------------------------------------------------ */

static void follow(const struct stream *s, uint64_t steps)
{
	struct snpu_record r;
	uint64_t n;

	if (!s->run->opts->feed.events.follow || s->run->opts->json || s->run->opts->quiet || snpu_result_record(s->run->result, 0, &r))
		return;
	n = r.array->count / steps;
	for (uint64_t t = 0; t < steps; t++) {
		bool any = false;

		for (uint64_t i = 0; i < n; i++) {
			float v = ((const float *)r.array->data)[t * n + i];

			if (v == 0)
				continue;
			if (!any)
				printf("%.6f s ", (double)(s->step + t) * s->plan.opts.dt);
			printf(" %llu:%g", (unsigned long long)i, (double)v);
			any = true;
		}
		if (any)
			putchar('\n');
	}
	fflush(stdout);
}

/* Events of steps [s->step, + steps) into the array; the others stay. */
static void take_events(struct stream *s, uint64_t steps, float *to)
{
	uint64_t left = 0, cells = s->plan.per_step;

	for (uint64_t i = 0; i < s->n_pending; i++) {
		const struct snpu_event *e = &s->pending[i];
		uint64_t step = (uint64_t)((__int128)(e->t - s->begin) * 1000 / s->bins.dt);
		float value;
		int64_t cell;

		if (step >= s->step + steps) {
			s->pending[left++] = *e;
			continue;
		}
		cell = snpu_events_place(e, &s->plan.opts, &s->bins, &value);
		s->bins.cropped += cell < 0;
		s->bins.binned += cell >= 0;
		if (cell >= 0)
			to[(step - s->step) * cells + (uint64_t)cell] += value;
	}
	s->n_pending = left;
	for (uint64_t i = 0; i < steps * cells && s->plan.opts.clip; i++)
		if (to[i] > 1 || to[i] < -1) {
			to[i] = to[i] > 0 ? 1 : -1;
			s->bins.clipped++;
		}
}

static enum snpu_exit run_steps(struct stream *s, uint64_t steps)
{
	uint64_t shape[2] = { steps, s->plan.per_step };
	struct snpu_array a;
	struct snpu_input in = { .node = s->node.name, .array = &a };
	int err;

	if (snpu_array_create(SNPU_F32, 2, shape, &a))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	take_events(s, steps, a.data);
	for (uint64_t i = 0; i < a.count && s->run->input_binary; i++)
		s->run->input_binary = fabsf(((float *)a.data)[i]) == 1 || ((float *)a.data)[i] == 0;
	snpu_result_free(s->run->result);
	s->run->result = NULL;
	err = snpu_session_continue(s->run->session, &in, 1, &s->run->result);
	snpu_array_free(&a);
	if (err)
		return snpu_cli_fail_library(err == -ENODEV || err == -EREMOTEIO ? SNPU_EXIT_NO_DEVICE : SNPU_EXIT_FAILURE, NULL);
	for (uint64_t i = 0; i < steps; i++)
		latency_add(&s->latency, snpu_clock() - s->arrived);
	follow(s, steps);
	s->step += steps;
	if (!keep_records(s->run) || !keep_counters(s->run))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "record fewer nodes", "not enough memory for what %llu steps recorded", (unsigned long long)s->step);
	return SNPU_EXIT_OK;
}

/* Runs steps up to `end`, in pieces that can be interrupted. */
static enum snpu_exit run_until(struct stream *s, uint64_t end)
{
	uint64_t most = s->run->opts->feed.steps;
	enum snpu_exit st = SNPU_EXIT_OK;
	char text[32];

	if (most && end >= most) {
		end = most;
		s->ended = "steps";
	}
	while (s->step < end && !stop && !st) {
		st = run_steps(s, end - s->step < CHUNK ? end - s->step : CHUNK);
		snprintf(text, sizeof(text), "%llu steps", (unsigned long long)s->step);
		snpu_progress_show(&s->progress, 1, 1, text);
	}
	return st;
}

/* Steps that no event can come for any more, but late ones. */
static uint64_t complete(const struct stream *s)
{
	__int128 ns = ((__int128)s->newest - s->begin) * 1000 - (__int128)(s->run->opts->feed.events.late * 1e9);

	return !s->begun || ns < 0 ? 0 : ns / s->bins.dt < UINT32_MAX ? (uint64_t)(ns / s->bins.dt) : UINT32_MAX;
}

/*
 * What has been read becomes pending events. Late is what belongs to a step that an event before it completed: so it does not
 * depend on how the bytes come, and neither do the results.
 */
static bool take_read(struct stream *s)
{
	const struct snpu_events *ev = snpu_event_reader_events(s->reader);

	if (s->n_pending + ev->count > s->pending_capacity) {
		uint64_t capacity = (s->n_pending + ev->count) * 2;
		struct snpu_event *p = reallocarray(s->pending, capacity, sizeof(*p));

		if (!p)
			return false;
		s->pending = p;
		s->pending_capacity = capacity;
	}
	for (uint64_t i = 0; i < ev->count; i++) {
		const struct snpu_event *e = &ev->event[i];
		__int128 ns;

		if (!s->begun)
			s->begin = s->newest = s->plan.opts.start == SNPU_BIN_START_ZERO ? 0 : e->t;
		s->begun = true;
		ns = ((__int128)e->t - s->begin) * 1000;
		if (ns < 0)
			s->bins.before++;
		else if (ns / s->bins.dt < complete(s))
			s->late++;
		else if (ns / s->bins.dt >= UINT32_MAX)
			s->bins.after++;
		else
			s->pending[s->n_pending++] = *e;
		s->newest = e->t > s->newest ? e->t : s->newest;
	}
	snpu_event_reader_forget(s->reader, ev->count);
	return true;
}

/* Reads once. *n: bytes, 0 at the end. */
static enum snpu_exit read_more(struct stream *s, long *n)
{
	static char buf[READ_BYTES];
	int err;

	*n = snpu_source_read(s->fd, buf, sizeof(buf), &stop);
	s->arrived = snpu_clock();
	if (*n < 0)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "start it again", "the stream broke off after %llu steps: %s", (unsigned long long)s->step, strerror((int)-*n));
	err = *n ? snpu_event_reader_push(s->reader, buf, (size_t)*n) : stop ? 0 : snpu_event_reader_finish(s->reader);
	return err ? snpu_cli_fail(SNPU_EXIT_FAILURE, "--input-format says what comes", "%s", snpu_last_error()) : SNPU_EXIT_OK;
}

static enum snpu_exit run_all(struct stream *s)
{
	enum snpu_exit st = SNPU_EXIT_OK;
	long n = 1;

	while (!st && !stop && !s->ended) {
		if (!take_read(s))
			return snpu_cli_fail(SNPU_EXIT_FAILURE, "a smaller --late keeps fewer", "not enough memory for %llu pending events", (unsigned long long)s->n_pending);
		st = run_until(s, complete(s));
		if (!st && !s->ended && n)
			st = read_more(s, &n);
		if (!st && !n && !stop && !s->ended && take_read(s)) {
			uint64_t end = s->begun ? (uint64_t)(((__int128)s->newest - s->begin) * 1000 / s->bins.dt) + 1 : 0;

			st = run_until(s, end);
			s->ended = s->ended ? s->ended : "end of stream";
		}
	}
	return st;
}

/* --- before and after ------------------------------------------------------------------------------------------- */

/* Until the sensor's size is known, or events are there without one. */
static enum snpu_exit read_beginning(struct stream *s)
{
	const struct snpu_events *ev = snpu_event_reader_events(s->reader);
	enum snpu_exit st = SNPU_EXIT_OK;
	long n = 1;

	while (!st && n && !stop && !ev->sized && !ev->count)
		st = read_more(s, &n);
	if (st || stop || ev->sized)
		return st ? st : stop ? snpu_cli_fail(SNPU_EXIT_INTERRUPTED, NULL, "interrupted before the first event") : SNPU_EXIT_OK;
	return snpu_cli_fail(SNPU_EXIT_FAILURE, "--sensor WxH", "the stream does not say how large the sensor is%s", ev->count ? "" : ", and ended without an event");
}

static enum snpu_exit prepare(struct stream *s)
{
	const struct snpu_run_opts *o = s->run->opts;
	struct snpu_events_opts eo = { .sz = sizeof(eo), .format = o->feed.events.format, .width = o->feed.events.width, .height = o->feed.events.height };
	enum snpu_exit st;

	if (snpu_model_input_count(s->run->model) != 1)
		return snpu_cli_fail(SNPU_EXIT_USAGE, "use the library: snpu_session_continue()", "--stream feeds a model with one Input node, and this one has %u",
				     snpu_model_input_count(s->run->model));
	if (snpu_model_node(s->run->model, (unsigned int)snpu_model_input(s->run->model, 0), &s->node) || snpu_event_reader_create(&eo, &s->reader))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	st = snpu_source_open(o->feed.events.stream, &s->fd);
	if (!st)
		st = read_beginning(s);
	if (!st)
		st = snpu_events_plan(&o->feed.events, snpu_event_reader_events(s->reader), s->run->model, &s->node, o->feed.dt, o->feed.events.stream, &s->plan);
	if (!st && snpu_events_bins(snpu_event_reader_events(s->reader), &s->plan.opts, &s->bins))
		st = snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	return st;
}

/* The facts of the only input; again at the end, with what became of the events. */
static void tell_input(struct stream *s)
{
	json_t *in = json_pack("{s:s, s:o, s:s, s:s, s:[], s:s, s:o}", "node", s->node.name, "file", snpu_cli_string(s->run->opts->feed.events.stream), "array", "", "dtype", "", "shape",
			       "encoding", "events", "events", snpu_events_facts(snpu_event_reader_events(s->reader), &s->plan, &s->bins));

	s->bins.steps = s->step;
	if (!s->run->feed.facts)
		s->run->feed.facts = json_array();
	json_array_clear(s->run->feed.facts);
	json_array_append_new(s->run->feed.facts, in);
	s->run->feed.samples = 1;
	s->run->feed.steps = s->step;
}

static void tell_stream(struct stream *s)
{
	struct snpu_run *run = s->run;
	double events = (double)(s->bins.binned + s->bins.before + s->bins.after + s->bins.cropped + s->late + s->n_pending), seconds = snpu_clock() - s->started;

	tell_input(s);
	json_object_set_new(json_object_get(run->facts, "time"), "steps", json_integer((json_int_t)s->step));
	json_object_set_new(run->facts, "stream", json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "ended", s->ended ? s->ended : "interrupted", "steps",
							    (json_int_t)s->step, "late", (json_int_t)s->late, "pending", (json_int_t)s->n_pending, "kept_steps",
							    (json_int_t)(run->kept.n ? run->kept.array[0].shape[1] : 0), "events", (json_int_t)events, "seconds", seconds,
							    "latency_median_ns", latency_of(&s->latency, 0.5), "latency_p99_ns", latency_of(&s->latency, 0.99), "latency_max_ns",
							    s->latency.worst * 1e9));
}

enum snpu_exit snpu_run_stream(struct snpu_run *run, enum snpu_exit (*create)(struct snpu_run *))
{
	struct stream s = { .run = run, .fd = -1, .started = snpu_clock() };
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND }, old;
	enum snpu_exit st;

	run->kept.fallbacks = json_array();
	run->input_binary = true;
	sigaction(SIGINT, &action, &old);
	signal(SIGPIPE, SIG_IGN);
	st = prepare(&s);
	if (!st)
		st = create(run);
	if (!st) {
		tell_input(&s);
		snpu_run_facts_before(run);
		if (!run->opts->json && !run->opts->quiet)
			snpu_run_view_before(run);
		snpu_progress_start(&s.progress, "stream", !run->opts->quiet && !run->opts->feed.events.follow);
		st = run_all(&s);
		snpu_progress_end(&s.progress);
	}
	sigaction(SIGINT, &old, NULL);
	if (!st && !s.step)
		st = snpu_cli_fail(stop ? SNPU_EXIT_INTERRUPTED : SNPU_EXIT_FAILURE, NULL, "no step was complete: %llu events came", (unsigned long long)(s.n_pending + s.bins.before));
	if (!st)
		tell_stream(&s);
	if (s.fd >= 0)
		close(s.fd);
	snpu_event_reader_free(s.reader);
	free(s.pending);
	return st;
}

void snpu_run_kept_free(struct snpu_run *run)
{
	for (unsigned int i = 0; run->kept.array && run->kept.name && i < run->kept.n; i++) {
		snpu_array_free(&run->kept.array[i]);
		free(run->kept.name[i]);
	}
	free(run->kept.array);
	free(run->kept.record);
	free(run->kept.name);
	free(run->kept.counter);
	json_decref(run->kept.fallbacks);
	run->kept.array = NULL;
}
