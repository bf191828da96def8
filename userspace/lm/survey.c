/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint against what the model needs: its form, every tensor with its shape, what is missing (all names at once) and
 * what nobody needs. Runs before the first byte is packed.
 */
#include "lm/lm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct survey {
	struct snpu_lm *lm;
	const struct snpu_ckpt *ckpt;
	uint8_t *seen;				/* by tensor */
	size_t n;
	unsigned int missing;
	char names[320];			/* the first that are missing */
	int err;
};

static void miss(struct survey *s, const char *name)
{
	size_t at = strlen(s->names);

	if (s->missing++ < 4)
		snprintf(s->names + at, sizeof(s->names) - at, "%s%s", at ? ", " : "", name);
}

static void want(struct survey *s, const char *name, uint64_t rows, uint64_t n, bool optional)
{
	const struct snpu_ckpt_tensor *t = snpu_ckpt_find(s->ckpt, name);
	bool fits;

	if (s->err)
		return;
	if (!t) {
		if (!optional)
			miss(s, name);
		return;
	}
	fits = t->count == rows * n && t->rank >= 1 && t->shape[0] == rows;
	if (!fits || t->type == SNPU_TENSOR_OTHER)
		s->err = snpu_fail(-EBADMSG, "tensor %s: %s; the model's config.json and its weights do not belong together", name,
				   fits ? "its numbers are no floating-point numbers" : "its shape is not what config.json says");
	s->seen[t - snpu_ckpt_tensor(s->ckpt, 0)] = 1;
	if (!strstr(name, ".weight_quantizer.scales"))
		s->lm->parameters += t->count;
}

static const char *name_of(char *buf, size_t size, uint32_t layer, const char *what)
{
	snprintf(buf, size, "model.layers.%u.%s", layer, what);
	return buf;
}

/* The gate's two factors: always in the float form, and when a spiking model is made from a float checkpoint. */
static bool want_factors(struct survey *s, uint32_t layer, const struct lm_linear *l)
{
	char name[128];
	const struct snpu_ckpt_tensor *first = snpu_ckpt_find(s->ckpt, name_of(name, sizeof(name), layer, "attn.gk_proj.0.weight"));

	if (!first && l->spike)
		return false;
	if (first && first->rank == 2 && first->shape[0] != LM_GATE_RANK && first->shape[1] == s->lm->cfg.hidden && !s->err)
		s->err = snpu_fail(-ENOTSUP, "tensor %s: a gate of rank %llu; only rank %u, the original's, is supported", name,
				   (unsigned long long)first->shape[0], LM_GATE_RANK);
	want(s, name, LM_GATE_RANK, s->lm->cfg.hidden, false);
	want(s, name_of(name, sizeof(name), layer, "attn.gk_proj.1.weight"), l->n_out, LM_GATE_RANK, false);
	want(s, name_of(name, sizeof(name), layer, "attn.gk_proj.1.bias"), l->n_out, 1, false);
	return true;
}

static void want_linear(struct survey *s, uint32_t layer, enum lm_linear_id id, const struct lm_linear *l, bool scales)
{
	char name[128], what[96];
	const char *dir = lm_linear_in_attn(id) ? "attn" : "mlp", *base = lm_linear_name(id);

	if (id == LM_GK0 || (id == LM_GK && want_factors(s, layer, l)))
		return;
	snprintf(what, sizeof(what), "%s.%s.weight", dir, base);
	want(s, name_of(name, sizeof(name), layer, what), l->n_out, l->n_in, false);
	snprintf(what, sizeof(what), "%s.%s.bias", dir, base);
	if (l->bias)
		want(s, name_of(name, sizeof(name), layer, what), l->n_out, 1, false);
	snprintf(what, sizeof(what), "%s.%s.weight_quantizer.scales", dir, base);
	if (scales && l->n_in % SNPU_GROUP == 0)
		want(s, name_of(name, sizeof(name), layer, what), l->n_out, l->n_in / SNPU_GROUP, !l->spike);
}

static void want_layer(struct survey *s, uint32_t layer, bool scales)
{
	const struct lm_config *c = &s->lm->cfg;
	struct lm_part part;
	char name[128];

	lm_part_shape(s->lm, layer + 1, &part);
	want(s, name_of(name, sizeof(name), layer, "attn_norm.weight"), c->hidden, 1, false);
	want(s, name_of(name, sizeof(name), layer, "mlp_norm.weight"), c->hidden, 1, false);
	if (c->gla[layer])
		want(s, name_of(name, sizeof(name), layer, "attn.g_norm.weight"), c->d, 1, false);
	for (unsigned int id = 0; id < LM_LINEARS; id++)
		if (part.linear[id].n_out)
			want_linear(s, layer, id, &part.linear[id], scales);
}

static int has_scales(const struct snpu_ckpt *ckpt)
{
	const struct snpu_ckpt_tensor *t;

	for (size_t i = 0; (t = snpu_ckpt_tensor(ckpt, i)); i++)
		if (strstr(t->name, ".weight_quantizer.scales"))
			return 1;
	return 0;
}

int lm_take_k(struct snpu_lm *lm, const struct snpu_lm_open_opts *o)
{
	if (o->k != 0.0f && !(o->k >= 1e-3f && o->k <= 1e3f))
		return snpu_fail(-EINVAL, "a firing rate k of %g; use a number from 0.001 to 1000", (double)o->k);
	if (o->k != 0.0f)
		lm->cfg.k = o->k;
	return 0;
}

static int choose_form(struct snpu_lm *lm, const struct snpu_lm_open_opts *o, bool scales)
{
	lm->form = o->form ? o->form : scales ? SNPU_LM_SPIKE : SNPU_LM_FLOAT;
	lm->down = o->down ? o->down : SNPU_LM_DOWN_FLOAT;
	if (lm->form > SNPU_LM_SPIKE || lm->down > SNPU_LM_DOWN_SPIKE)
		return snpu_fail(-EINVAL, "form %u or down %u is not one of the choices", o->form, o->down);
	if (lm->form == SNPU_LM_FLOAT && lm->down == SNPU_LM_DOWN_SPIKE)
		return snpu_fail(-EINVAL, "down_proj takes spikes only in the spiking form; ask for that, too");
	if (o->calibration && (scales || lm->form == SNPU_LM_FLOAT))
		return snpu_fail(-EINVAL, "a calibration text is for scales that are made from float weights; %s",
				 scales ? "this checkpoint has its own, leave the text out" : "ask for the spiking form, or leave the text out");
	if (lm->form == SNPU_LM_FLOAT && scales)
		return snpu_fail(-ENOTSUP, "the checkpoint is a spiking one (W8ASpike), whose gate exists in that form only; leave the form to it");
	if (lm->form == SNPU_LM_SPIKE && (lm->cfg.hidden % SNPU_GROUP || (lm->down == SNPU_LM_DOWN_SPIKE && lm->cfg.ffn % SNPU_GROUP)))
		return snpu_fail(-ENOTSUP, "hidden size %u or feed-forward size %u is no multiple of %u, as groups of scales need it; run the float form",
				 lm->cfg.hidden, lm->cfg.ffn, SNPU_GROUP);
	return lm_take_k(lm, o);
}

static int warn_unused(struct survey *s)
{
	const char *first = NULL;
	unsigned int unused = 0;

	for (size_t i = 0; i < s->n; i++) {
		const char *name = snpu_ckpt_tensor(s->ckpt, i)->name;

		if (s->seen[i] || (s->lm->cfg.tied && !strcmp(name, "lm_head.weight")))
			continue;
		first = first ? first : name;
		unused++;
	}
	return unused ? lm_warn(s->lm, "%u tensors are not used by this model, the first is %s", unused, first) : 0;
}

int lm_pack_survey(struct snpu_lm *lm, const struct snpu_ckpt *ckpt, const struct snpu_lm_open_opts *opts)
{
	struct survey s = { .lm = lm, .ckpt = ckpt };
	bool scales = has_scales(ckpt);
	int err = choose_form(lm, opts, scales);

	if (err)
		return err;
	while (snpu_ckpt_tensor(ckpt, s.n))
		s.n++;
	s.seen = calloc(s.n + 1, 1);
	if (!s.seen)
		return snpu_fail(-ENOMEM, "no memory for a list of %zu tensors", s.n);
	want(&s, "model.embeddings.weight", lm->cfg.vocab, lm->cfg.hidden, false);
	for (uint32_t l = 0; l < lm->cfg.layers; l++)
		want_layer(&s, l, scales);
	want(&s, "model.norm.weight", lm->cfg.hidden, 1, false);
	if (!lm->cfg.tied)
		want(&s, "lm_head.weight", lm->cfg.vocab, lm->cfg.hidden, false);
	err = s.err;
	if (!err && s.missing)
		err = snpu_fail(-EBADMSG, "%u tensors are missing: %s%s; a shard was not downloaded, or config.json is another model's", s.missing, s.names,
				s.missing > 4 ? ", ..." : "");
	if (!err)
		err = warn_unused(&s);
	free(s.seen);
	return err;
}
