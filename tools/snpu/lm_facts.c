// SPDX-License-Identifier: MIT
/*
 * What there is to tell about a language model and what was done with it, as a JSON tree. docs/man/snpu-generate.1 lists the keys,
 * which are stable.
 */
#include "lm.h"

#include <math.h>
#include <string.h>

#include "device.h"
#include "snpu_job.h"
#include "spike_stats.h"
#include "text.h"

static const char *const forms[] = { "auto", "float", "spike" };

static json_t *whole(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *token(uint32_t id)
{
	return id == UINT32_MAX ? json_null() : json_integer(id);
}

json_t *snpu_lm_facts_ids(const uint32_t *ids, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(ids[i]));
	return list;
}

void snpu_lm_facts_model(struct snpu_lm_cli *c)
{
	const struct snpu_lm_info *m = &c->model;
	json_t *warnings = json_array(), *o;

	for (unsigned int i = 0; snpu_lm_warning(c->lm, i); i++)
		json_array_append_new(warnings, snpu_cli_string(snpu_lm_warning(c->lm, i)));
	o = json_pack("{s:o, s:o, s:s, s:s, s:s, s:o}", "file", snpu_cli_string(c->opts->model), "name", snpu_cli_string(m->name), "arch", m->arch, "form",
		      forms[m->form % 3], "down", forms[m->down % 3], "k", m->form == SNPU_LM_SPIKE ? json_real((double)m->k) : json_null());
	const struct { const char *key; uint64_t value; } numbers[] = {
		{ "vocab", m->vocab }, { "hidden", m->hidden }, { "layers", m->layers }, { "gla_layers", m->gla_layers }, { "swa_layers", m->swa_layers },
		{ "heads", m->heads }, { "kv_heads", m->kv_heads }, { "head_dim", m->head_dim }, { "ffn", m->ffn }, { "window", m->window },
		{ "parameters", m->parameters }, { "weight_bytes", m->weight_bytes }, { "residual", m->residual }, { "state_bytes", m->state_bytes },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_set_new(o, numbers[i].key, whole(numbers[i].value));
	json_object_set_new(o, "tied", json_boolean(m->tied));
	json_object_set_new(o, "tokenizer", json_boolean(m->has_tokenizer));
	json_object_set_new(o, "bos", token(m->bos));
	json_object_set_new(o, "eos", token(m->eos));
	json_object_set_new(o, "eot", token(m->eot));
	json_object_set_new(o, "converted", json_boolean(m->mapped));
	json_object_set_new(o, "warnings", warnings);
	json_object_set_new(c->facts, "model", o);
}

static json_t *placement(const struct snpu_lm_cli *c)
{
	struct snpu_lm_place p = { .sz = sizeof(p) };
	json_t *rows = json_array();

	for (unsigned int i = 0; snpu_lm_ctx_place(c->ctx, i, &p) == 0; i++)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:s}", "part", p.part, "device", p.device, "bytes", whole(p.bytes), "why", p.why));
	return rows;
}

void snpu_lm_facts_devices(struct snpu_lm_cli *c)
{
	static const char *const windows[] = { "w1", "w", "hf" };
	const struct snpu_lm_ctx_opts *o = &c->opts->ctx;
	json_t *devices = json_array();

	for (unsigned int i = 0; i <= c->n_devices; i++)
		json_array_append_new(devices, snpu_device_facts(&c->info[i]));
	if (c->note[0])
		json_object_set_new(json_array_get(devices, 0), "note", snpu_cli_string(c->note));
	json_object_set(c->facts, "device", json_array_get(devices, 0));
	json_object_set_new(c->facts, "devices", devices);
	json_object_set_new(c->facts, "options", json_pack("{s:s, s:i, s:b, s:b}", "window", windows[o->window % 3], "chunk", o->chunk, "bit_serial", o->bit_serial,
							   "require_device", o->require_device));
	json_object_set_new(c->facts, "placement", placement(c));
}

static double per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

void snpu_lm_facts_timing(struct snpu_lm_cli *c, const struct snpu_lm_timing *t)
{
	double prompt = (double)t->prompt, evals = (double)t->evals;
	json_t *o = json_pack("{s:f, s:o, s:f, s:f, s:f}", "load_ms", 1e3 * c->load_seconds, "prompt_tokens", whole(t->prompt), "prompt_ms", 1e3 * t->prompt_seconds,
			      "prompt_ms_per_token", 1e3 * per(t->prompt_seconds, prompt), "prompt_tokens_per_second", per(prompt, t->prompt_seconds));

	json_object_set_new(o, "eval_tokens", whole(t->evals));
	json_object_set_new(o, "eval_ms", json_real(1e3 * t->eval_seconds));
	json_object_set_new(o, "eval_ms_per_token", json_real(1e3 * per(t->eval_seconds, evals)));
	json_object_set_new(o, "eval_tokens_per_second", json_real(per(evals, t->eval_seconds)));
	json_object_set_new(o, "first_token_ms", t->made ? json_real(1e3 * t->first_seconds) : json_null());
	json_object_set_new(o, "total_ms", json_real(1e3 * (snpu_clock() - c->start)));
	json_object_set_new(c->facts, "timing", o);
}

/* --- profile -------------------------------------------------------------------------------------------------- */

static json_t *counters(const uint64_t *counter)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < SNPU_COUNTER_COUNT; i++)
		json_object_set_new(o, snpu_counter_name(i), whole(counter[i]));
	return o;
}

static json_t *layer_spikes(const struct snpu_lm_cli *c, unsigned int layer)
{
	struct snpu_lm_spike_sums s;
	json_t *o;

	if (layer >= c->model.layers || snpu_lm_ctx_spikes(c->ctx, layer, NULL, SNPU_LM_EXECUTED, &s))
		return json_null();
	o = json_pack("{s:o, s:o, s:o, s:o, s:o}", "channels", whole(s.channels), "macs", whole(s.macs), "synops", whole(s.synops), "bit_synops", whole(s.bit_synops),
		      "max", whole(s.max));
	for (unsigned int i = 0; i < SNPU_SPIKE_STATS; i++) {
		double v = snpu_spike_stats[i].value(&s);

		json_object_set_new(o, snpu_spike_stats[i].name, isfinite(v) ? json_real(v) : json_null());
	}
	return o;
}

/* Which of the devices a part is on; the last is the CPU. */
static unsigned int device_of(const struct snpu_lm_cli *c, const struct snpu_lm_place *p)
{
	unsigned int d = 0;

	while (d < c->n_devices && strcmp(c->info[d].name, p->device))
		d++;
	return d;
}

/* Rows, and sums of each device: cycles and energies of two devices mean different things. */
static json_t *profile(const struct snpu_lm_cli *c, uint64_t total[][SNPU_COUNTER_COUNT])
{
	struct snpu_lm_place p = { .sz = sizeof(p) };
	uint64_t counter[SNPU_COUNTER_COUNT];
	json_t *rows = json_array(), *row;
	size_t i;

	for (unsigned int part = 0; snpu_lm_ctx_place(c->ctx, part, &p) == 0 && snpu_lm_ctx_counters(c->ctx, part, counter) == 0; part++) {
		unsigned int d = device_of(c, &p);
		int gla = part ? snpu_lm_layer_is_gla(c->lm, part - 1) : -1;

		for (unsigned int k = 0; k < SNPU_COUNTER_COUNT; k++)
			total[d][k] += counter[k];
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:o, s:o}", "part", p.part, "kind", gla < 0 ? "" : gla ? "gla" : "swa", "device", p.device,
						      "spikes", layer_spikes(c, part ? part - 1 : UINT32_MAX), "counters", counters(counter)));
	}
	json_array_foreach(rows, i, row) {
		double all = 0, mine = snpu_fact_number(row, "counters.CYCLES");

		for (unsigned int d = 0; d <= c->n_devices; d++)
			if (strcmp(c->info[d].name, snpu_fact_text(row, "device")) == 0)
				all = (double)total[d][SNPU_COUNTER_CYCLES];
		json_object_set_new(row, "share", all > 0 ? json_real(mine / all) : json_null());
	}
	return rows;
}

void snpu_lm_report(const struct snpu_lm_cli *c, struct snpu_spike_report *r, struct snpu_lm_spike_sums sums[2])
{
	struct snpu_lm_place p = { .sz = sizeof(p) };
	uint64_t counter[SNPU_COUNTER_COUNT];

	*r = (struct snpu_spike_report){ .executed = &sums[0], .distinct = &sums[1], .simulated = true };
	for (int i = 0; i < 2; i++)
		if (snpu_lm_ctx_spikes(c->ctx, ~0u, NULL, i ? SNPU_LM_DISTINCT : SNPU_LM_EXECUTED, &sums[i]))
			memset(&sums[i], 0, sizeof(sums[i]));	/* no spiking layer */
	for (unsigned int part = 0; snpu_lm_ctx_place(c->ctx, part, &p) == 0 && snpu_lm_ctx_counters(c->ctx, part, counter) == 0; part++) {
		unsigned int d = device_of(c, &p);

		if (d == c->n_devices)
			continue;
		r->card_joules += 1e-15 * (double)counter[SNPU_COUNTER_ENERGY];
		r->card_arithmetic_joules += 1e-15 * (double)counter[SNPU_COUNTER_ENERGY_IDEAL];
		r->simulated &= c->info[d].kind != SNPU_KIND_SILICON;
	}
}

static void profile_facts(struct snpu_lm_cli *c)
{
	uint64_t total[SNPU_LM_DEVICES + 1][SNPU_COUNTER_COUNT] = { { 0 } };
	struct snpu_lm_spike_sums sums[2];
	struct snpu_spike_report r;
	json_t *devices = json_array(), *report;

	json_object_set_new(c->facts, "layers", profile(c, total));
	for (unsigned int d = 0; d <= c->n_devices; d++)
		if (total[d][SNPU_COUNTER_PACKETS])
			json_array_append_new(devices, json_pack("{s:s, s:o}", "device", c->info[d].name, "counters", counters(total[d])));
	json_object_set_new(c->facts, "counters", devices);
	snpu_lm_report(c, &r, sums);
	report = snpu_spike_report_json(&r);
	json_object_set(c->facts, "energy", json_object_get(report, "energy"));
	json_object_del(report, "energy");
	json_object_set_new(c->facts, "spikes", report);
}

void snpu_lm_facts_after(struct snpu_lm_cli *c)
{
	json_t *fallbacks = json_array();

	for (unsigned int i = 0; snpu_lm_ctx_fallback(c->ctx, i); i++)
		json_array_append_new(fallbacks, snpu_cli_string(snpu_lm_ctx_fallback(c->ctx, i)));
	if (json_array_size(fallbacks))
		json_object_set_new(c->facts, "placement", placement(c));
	json_object_set_new(c->facts, "fallbacks", fallbacks);
	if (c->opts->ctx.profile)
		profile_facts(c);
}
