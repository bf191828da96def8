/* SPDX-License-Identifier: MIT */
/* Spike statistics of a list and of many. Pure functions on the caller's sums, no locks. See spikes.h. */
#include "lm/spikes.h"

static uint64_t ones(uint32_t v)
{
	return (uint64_t)__builtin_popcount(v);
}

void snpu_lm_spikes_add(struct snpu_lm_spike_sums *sums, const struct snpu_spike *entries, uint32_t count, uint32_t n, uint64_t outputs)
{
	uint64_t active = 0, spikes = 0;

	for (uint32_t i = 0; i < count; i++) {
		int32_t s = entries[i].count;
		uint32_t m = s < 0 ? -(uint32_t)s : (uint32_t)s;
		uint32_t length = m ? 32 - (uint32_t)__builtin_clz(m) : 0;

		active += m != 0;
		spikes += ones(m);
		sums->low3 += ones(m & 7);
		sums->le7 += m <= 7;
		sums->le7_spikes += m <= 7 ? ones(m) : 0;
		sums->gt16 += m > 16;
		sums->steps += length > 3 ? length : 3;
		sums->magnitude += m;
		if (m > sums->max)
			sums->max = m;
	}
	/* Channels that are not in the list have a count of 0. */
	sums->le7 += n - count;
	sums->steps += 3ull * (n - count);
	sums->channels += n;
	sums->active += active;
	sums->spikes += spikes;
	sums->synops += count * outputs;
	sums->macs += n * outputs;
	sums->bit_synops += spikes * outputs;
}

void snpu_lm_spikes_merge(struct snpu_lm_spike_sums *sums, const struct snpu_lm_spike_sums *input, uint32_t consumers)
{
	sums->channels += input->channels * consumers;
	sums->active += input->active * consumers;
	sums->spikes += input->spikes * consumers;
	sums->low3 += input->low3 * consumers;
	sums->le7 += input->le7 * consumers;
	sums->le7_spikes += input->le7_spikes * consumers;
	sums->gt16 += input->gt16 * consumers;
	sums->steps += input->steps * consumers;
	sums->magnitude += input->magnitude * consumers;
	if (consumers && input->max > sums->max)
		sums->max = input->max;
	sums->synops += input->synops;
	sums->macs += input->macs;
	sums->bit_synops += input->bit_synops;
}
