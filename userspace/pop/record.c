/* SPDX-License-Identifier: MIT */
/* What goes in and what comes out of a submission: lists of given spikes into INPUT; logs and states from OUTPUT. Run's thread. */
#include "pop/pop.h"

#include <stdlib.h>
#include <string.h>

int pop_records_begin(struct snpu_net_run *run, uint64_t steps)
{
	int err = 0;

	for (unsigned i = 0; i < run->n_records && !err; i++) {
		struct pop_record *r = &run->record[i];
		const uint64_t shape[2] = { steps, run->net->pop[r->pop].n };

		r->count = 0;
		if (r->state < 0)
			continue;
		snpu_array_free(&r->values);
		err = snpu_array_create(SNPU_F32, 2, shape, &r->values);
		if (err)
			snpu_fail_in(err, "record '%s' of %llu steps; record fewer steps a call", r->name, (unsigned long long)steps);
	}
	return err;
}

void pop_records_free(struct snpu_net_run *run)
{
	for (unsigned i = 0; i < run->n_records; i++) {
		snpu_array_free(&run->record[i].values);
		free(run->record[i].step);
		free(run->record[i].neuron);
	}
}

static int spikes_room(struct pop_record *r, uint64_t more)
{
	uint64_t want = r->count + more, capacity = want > 2 * r->capacity ? want : 2 * r->capacity;
	uint64_t *step;
	uint32_t *neuron;

	if (want <= r->capacity)
		return 0;
	step = reallocarray(r->step, capacity, sizeof(*step));
	if (step)
		r->step = step;
	neuron = step ? reallocarray(r->neuron, capacity, sizeof(*neuron)) : NULL;
	if (!neuron)
		return snpu_fail(-ENOMEM, "record '%s': no memory for %llu spikes; record fewer steps a call", r->name, (unsigned long long)want);
	r->neuron = neuron;
	r->capacity = capacity;
	return 0;
}

/* The log has room for every neuron in every step, so what does not fit is a card that does not keep to its contract. */
static int take_spikes(struct snpu_net_run *run, struct pop_record *r, uint32_t steps)
{
	const struct snpu_log *log = (const void *)((const uint8_t *)run->region[SNPU_REGION_OUTPUT].map + r->at);
	const struct snpu_log_entry *entry = (const void *)(log + 1);
	uint32_t count = log->count, n = run->net->pop[r->pop].n;
	int err;

	if (log->step != steps || count > (uint64_t)steps * n)
		return snpu_fail(-EIO, "record '%s': the device logged %u spikes in %u steps, of %u neurons in %u; run it on another one", r->name, count, log->step, n, steps);
	err = spikes_room(r, count);
	for (uint32_t i = 0; i < count && !err; i++) {
		if (entry[i].step >= steps || entry[i].channel >= n)
			return snpu_fail(-EIO, "record '%s': the device logged a spike of neuron %u in step %u, of %u in %u; run it on another one", r->name, entry[i].channel,
					 entry[i].step, n, steps);
		r->step[r->count] = run->step + entry[i].step;
		r->neuron[r->count++] = entry[i].channel;
	}
	return err;
}

int pop_records_take(struct snpu_net_run *run, uint32_t steps)
{
	int err = 0;

	for (unsigned i = 0; i < run->n_records && !err; i++) {
		struct pop_record *r = &run->record[i];

		if (r->state < 0)
			err = take_spikes(run, r, steps);
		else
			memcpy((uint8_t *)r->values.data + (run->step - run->first) * r->step_bytes,
			       (const uint8_t *)run->region[SNPU_REGION_OUTPUT].map + r->at, steps * r->step_bytes);
	}
	return err;
}

/* First spike at `step` or later. */
static uint64_t spike_at(const struct pop_population *p, uint64_t step)
{
	uint64_t lo = 0, hi = p->n_spikes;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (p->step[mid] < step)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void pop_inputs_put(struct snpu_net_run *run, uint32_t steps)
{
	for (unsigned i = 0; i < run->net->n_pops; i++) {
		const struct pop_population *p = &run->net->pop[i];
		uint8_t *to = (uint8_t *)run->region[SNPU_REGION_INPUT].map + run->place[i].events;
		uint64_t at = spike_at(p, run->step);

		for (uint32_t t = 0; t < steps && p->model == SNPU_NET_SPIKES; t++, to += run->place[i].stride) {
			struct snpu_events *list = (void *)to;
			struct snpu_event *e = (void *)(list + 1);

			*list = (struct snpu_events){ 0 };
			for (; at < p->n_spikes && p->step[at] == run->step + t; at++)
				e[list->count++] = (struct snpu_event){ p->neuron[at], 1.0f };
		}
	}
}
