/* SPDX-License-Identifier: MIT */
/*
 * config.json of a SpikingBrain checkpoint. Every number is judged against a limit before anybody multiplies or allocates
 * with it, so that a hostile file costs nothing. Pure functions, any thread.
 */
#include "lm/lm.h"

#include <math.h>
#include <string.h>

#define CONFIG_MAX	(1u << 20)		/* bytes of a config.json: real ones have two thousand */

json_t *lm_json_parse(const char *text, size_t size, const char *what)
{
	json_error_t e;
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);

	if (!json)
		snpu_fail(-EBADMSG, "%s is damaged: line %d: %s; download it again", what, e.line, e.text);
	else if (!json_is_object(json))
		snpu_fail(-EBADMSG, "%s is damaged: it holds no object; download it again", what);
	if (json && !json_is_object(json)) {
		json_decref(json);
		json = NULL;
	}
	return json;
}

int lm_json_u64(const json_t *obj, const char *key, uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(obj, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
		return snpu_fail(-EBADMSG, "'%s' is not a whole number from 0 to %llu; the file is damaged or not for this program", key,
				 (unsigned long long)max);
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

int lm_json_u32(const json_t *obj, const char *key, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v = *out;
	int err = lm_json_u64(obj, key, max, &v);

	if (err)
		return err;
	if (v < min)
		return snpu_fail(-EBADMSG, "'%s' is missing or %llu; it must be a whole number from %u to %u", key, (unsigned long long)v, min, max);
	*out = (uint32_t)v;
	return 0;
}

static int get_float(const json_t *obj, const char *key, double min, double max, float *out)
{
	const json_t *v = json_object_get(obj, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v) || !(json_number_value(v) >= min && json_number_value(v) <= max))
		return snpu_fail(-EBADMSG, "'%s' is not a number from %g to %g; the file is damaged or not for this program", key, min, max);
	*out = (float)json_number_value(v);
	return 0;
}

static int get_sizes(const json_t *obj, struct lm_config *c)
{
	const struct {
		const char *key;
		uint32_t min, max;
		uint32_t *out;
	} list[] = {
		{ "vocab_size", 1, 1u << 22, &c->vocab },
		{ "hidden_size", 2, 1u << 16, &c->hidden },
		{ "num_hidden_layers", 1, LM_LAYERS_MAX, &c->layers },
		{ "num_attention_heads", 1, SNPU_MAX_HEADS, &c->heads },
		{ "num_key_value_heads", 1, SNPU_MAX_HEADS, &c->kv },
		{ "intermediate_size", 1, 1u << 20, &c->ffn },
		{ "sliding_window", 1, 1u << 20, &c->window },
	};

	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		int err = lm_json_u32(obj, list[i].key, list[i].min, list[i].max, list[i].out);

		if (err)
			return err;
	}
	if (c->hidden % c->heads || c->heads % c->kv)
		return snpu_fail(-EBADMSG, "hidden_size %u, num_attention_heads %u and num_key_value_heads %u do not divide; the file is damaged",
				 c->hidden, c->heads, c->kv);
	c->d = c->hidden / c->heads;
	if (c->d % 2 || c->d > SNPU_MAX_HEAD)
		return snpu_fail(-ENOTSUP, "attention heads of %u channels; only even numbers up to %u are supported", c->d, SNPU_MAX_HEAD);
	return 0;
}

/* attn_layers lists the sliding-window layers; without it they are the odd ones. */
static int get_layers(const json_t *obj, struct lm_config *c)
{
	const json_t *list = json_object_get(obj, "attn_layers"), *item;
	size_t i;

	for (uint32_t l = 0; l < c->layers; l++)
		c->gla[l] = list && !json_is_null(list) ? 1 : l % 2 == 0;
	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return snpu_fail(-EBADMSG, "'attn_layers' is no list; the file is damaged");
	json_array_foreach(list, i, item) {
		if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) >= c->layers)
			return snpu_fail(-EBADMSG, "'attn_layers'[%zu] is not a layer from 0 to %u; the file is damaged", i, c->layers - 1);
		c->gla[json_integer_value(item)] = 0;
	}
	return 0;
}

static int get_token(const json_t *obj, const char *key, uint32_t *out)
{
	const json_t *v = json_object_get(obj, key);

	*out = LM_NO_TOKEN;
	if (json_is_array(v))			/* several ends: the first */
		v = json_array_get(v, 0);
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= LM_NO_TOKEN)
		return snpu_fail(-EBADMSG, "'%s' is no token id; the file is damaged or not for this program", key);
	*out = (uint32_t)json_integer_value(v);
	return 0;
}

static int check_kind(const json_t *obj)
{
	const char *type = json_string_value(json_object_get(obj, "model_type")), *act = json_string_value(json_object_get(obj, "hidden_act"));

	if (!type || strcmp(type, "gla_swa"))
		return snpu_fail(-ENOTSUP, "model_type '%s': only gla_swa (SpikingBrain-7B and its W8ASpike form) can be run", type ? type : "(none)");
	if (act && strcmp(act, "swish") && strcmp(act, "silu"))
		return snpu_fail(-ENOTSUP, "hidden_act '%s': only swish can be run", act);
	if (json_is_true(json_object_get(obj, "use_short_conv")))
		return snpu_fail(-ENOTSUP, "use_short_conv: short convolutions are not supported");
	return 0;
}

static int from_object(const json_t *obj, struct lm_config *c)
{
	uint32_t group = SNPU_GROUP;
	int err = check_kind(obj);

	if (!err)
		err = get_sizes(obj, c);
	if (!err)
		err = get_layers(obj, c);
	c->eps = 1e-6f;
	c->rope_theta = 10000.0f;
	c->k = 3.0f;
	if (!err)
		err = get_float(obj, "norm_eps", 0.0, 1.0, &c->eps);
	if (!err)
		err = get_float(obj, "rope_theta", 1.0, 1e12, &c->rope_theta);
	if (!err)
		err = get_float(obj, "dynamic_sfr", 1e-3, 1e3, &c->k);
	if (!err)
		err = lm_json_u32(obj, "quant_weight_group_size", 1, 1u << 20, &group);
	if (!err && group != SNPU_GROUP)
		err = snpu_fail(-ENOTSUP, "quant_weight_group_size is %u; only %u is supported", group, SNPU_GROUP);
	c->tied = json_is_true(json_object_get(obj, "tie_word_embeddings"));
	if (!err)
		err = get_token(obj, "bos_token_id", &c->bos);
	return err ? err : get_token(obj, "eos_token_id", &c->eos);
}

int lm_config_read(const json_t *obj, struct lm_config *cfg)
{
	int err;

	memset(cfg, 0, sizeof(*cfg));
	err = from_object(obj, cfg);
	return err ? snpu_fail_in(err, "config.json") : 0;
}

int lm_config_parse(const char *text, size_t size, struct lm_config *cfg)
{
	json_t *obj;
	int err;

	if (size > CONFIG_MAX)
		return snpu_fail(-EBADMSG, "config.json has %zu bytes; more than %u cannot be right", size, CONFIG_MAX);
	obj = lm_json_parse(text, size, "config.json");
	if (!obj)
		return -EBADMSG;
	err = lm_config_read(obj, cfg);
	json_decref(obj);
	return err;
}

json_t *lm_config_json(const struct lm_config *c)
{
	json_t *swa = json_array(), *obj;
	bool ok = true;

	for (uint32_t l = 0; l < c->layers; l++)
		if (!c->gla[l] && json_array_append_new(swa, json_integer(l)))
			ok = false;
	obj = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:b, s:o}", "model_type", "gla_swa",
			"vocab_size", (json_int_t)c->vocab, "hidden_size", (json_int_t)c->hidden, "num_hidden_layers", (json_int_t)c->layers,
			"num_attention_heads", (json_int_t)c->heads, "num_key_value_heads", (json_int_t)c->kv,
			"intermediate_size", (json_int_t)c->ffn, "sliding_window", (json_int_t)c->window, "norm_eps", (double)c->eps,
			"rope_theta", (double)c->rope_theta, "dynamic_sfr", (double)c->k, "tie_word_embeddings", (int)c->tied,
			"attn_layers", swa);
	if (c->bos != LM_NO_TOKEN && json_object_set_new(obj, "bos_token_id", json_integer(c->bos)))
		ok = false;
	if (c->eos != LM_NO_TOKEN && json_object_set_new(obj, "eos_token_id", json_integer(c->eos)))
		ok = false;
	if (!ok) {
		json_decref(obj);
		obj = NULL;
	}
	return obj;
}
