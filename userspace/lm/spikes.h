/* SPDX-License-Identifier: MIT */
/* Sums of spike statistics over the spike lists that spiking linear layers take; what is made of them is the tools' business. */
#ifndef SNPU_LM_SPIKES_H
#define SNPU_LM_SPIKES_H

#include <stdint.h>

#include "snpu/snpu_lm.h"
#include "snpu_isa.h"

/* Adds one list of `count` entries and n channels that is taken by layers with `outputs` outputs in all, as one distinct input. */
void snpu_lm_spikes_add(struct snpu_lm_spike_sums *sums, const struct snpu_spike *entries, uint32_t count, uint32_t n, uint64_t outputs);

/*
 * Adds the sums of another input that `consumers` layers take: 1 keeps it distinct, the number of layers makes it what was
 * executed. Work (synops, macs, bit_synops) already counts all outputs and is added once.
 */
void snpu_lm_spikes_merge(struct snpu_lm_spike_sums *sums, const struct snpu_lm_spike_sums *input, uint32_t consumers);

#endif
