/* SPDX-License-Identifier: MIT */
/*
 * Makes folders with small language models of any shape, with random weights in one safetensors file, for what the models
 * in tests/data do not have. One test process, no locks.
 */
#ifndef SNPU_TESTS_LM_MAKE_H
#define SNPU_TESTS_LM_MAKE_H

#include <stdarg.h>

#include "tests/harness.h"

struct made {
	unsigned int vocab, hidden, layers, heads, kv, ffn, window;
	const char *attn_layers;		/* JSON; NULL: every second one slides */
	unsigned int rank;			/* of the gate's factors; 0: 16 */
	bool tied;				/* without lm_head */
	bool whole_gate;			/* one matrix, as spiking checkpoints have it, but [kv * d][rank] */
	float k;				/* 0: not said */
	uint32_t seed;				/* of the weights */
	/* while it is made */
	FILE *header, *data;
	uint64_t at;
};

static inline void made_tensor(struct made *m, unsigned int rows, unsigned int n, float scale, const char *fmt, ...)
{
	uint64_t count = (uint64_t)rows * (n ? n : 1);
	va_list ap;

	fprintf(m->header, "%c\"", m->at ? ',' : '{');
	va_start(ap, fmt);
	vfprintf(m->header, fmt, ap);
	va_end(ap);
	fprintf(m->header, "\":{\"dtype\":\"F32\",\"shape\":[%u", rows);
	if (n)
		fprintf(m->header, ",%u", n);
	fprintf(m->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)m->at, (unsigned long long)(m->at + 4 * count));
	m->at += 4 * count;
	for (uint64_t i = 0; i < count; i++) {
		float f;

		m->seed = m->seed * 1664525 + 1013904223;
		f = n ? scale * ((float)(m->seed >> 8) / 8388608.0f - 1.0f) : 1.0f;
		fwrite(&f, 4, 1, m->data);
	}
}

static inline void made_layer(struct made *m, unsigned int l, bool gla)
{
	unsigned int d = m->hidden / m->heads, kvd = m->kv * d, rank = m->rank ? m->rank : 16;
	static const char *const qkv[] = { "q", "k", "v" };
	float scale = 1.5f / __builtin_sqrtf((float)m->hidden);

	made_tensor(m, m->hidden, 0, 1, "model.layers.%u.attn_norm.weight", l);
	made_tensor(m, m->hidden, 0, 1, "model.layers.%u.mlp_norm.weight", l);
	for (unsigned int i = 0; i < 3; i++) {
		made_tensor(m, i ? kvd : m->hidden, m->hidden, scale, "model.layers.%u.attn.%s_proj.weight", l, qkv[i]);
		made_tensor(m, i ? kvd : m->hidden, 0, 1, "model.layers.%u.attn.%s_proj.bias", l, qkv[i]);
	}
	made_tensor(m, m->hidden, m->hidden, scale, "model.layers.%u.attn.o_proj.weight", l);
	if (gla && m->whole_gate) {
		made_tensor(m, kvd, rank, scale, "model.layers.%u.attn.gk_proj.weight", l);
		made_tensor(m, kvd, 0, 1, "model.layers.%u.attn.gk_proj.bias", l);
	} else if (gla) {
		made_tensor(m, rank, m->hidden, scale, "model.layers.%u.attn.gk_proj.0.weight", l);
		made_tensor(m, kvd, rank, 1, "model.layers.%u.attn.gk_proj.1.weight", l);
		made_tensor(m, kvd, 0, 1, "model.layers.%u.attn.gk_proj.1.bias", l);
	}
	if (gla)
		made_tensor(m, d, 0, 1, "model.layers.%u.attn.g_norm.weight", l);
	made_tensor(m, m->ffn, m->hidden, scale, "model.layers.%u.mlp.gate_proj.weight", l);
	made_tensor(m, m->ffn, m->hidden, scale, "model.layers.%u.mlp.up_proj.weight", l);
	made_tensor(m, m->hidden, m->ffn, 1.0f / __builtin_sqrtf((float)m->ffn), "model.layers.%u.mlp.down_proj.weight", l);
}

static inline void made_tensors(struct made *m)
{
	made_tensor(m, m->vocab, m->hidden, 1, "model.embeddings.weight");
	for (unsigned int l = 0; l < m->layers; l++) {
		char number[16];
		bool gla = l % 2 == 0;

		if (m->attn_layers) {		/* one digit a layer is enough here */
			snprintf(number, sizeof(number), "%u", l);
			gla = !strstr(m->attn_layers, number);
		}
		made_layer(m, l, gla);
	}
	made_tensor(m, m->hidden, 0, 1, "model.norm.weight");
	if (!m->tied)
		made_tensor(m, m->vocab, m->hidden, 0.2f, "lm_head.weight");
	fprintf(m->header, "}");
}

/* Header and data behind each other, as the format wants it. */
static inline bool made_join(const struct made *m, const char *dir, char *header, size_t size)
{
	char path[128], copy[65536];
	uint64_t length = (size + 7) / 8 * 8;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	f = fopen(path, "w");
	if (!f)
		return false;
	fwrite(&length, 8, 1, f);
	fprintf(f, "%-*s", (int)length, header);
	rewind(m->data);
	while ((n = fread(copy, 1, sizeof(copy), m->data)) > 0)
		fwrite(copy, 1, n, f);
	return fclose(f) == 0;
}

/* Writes the model to a new folder, whose name is static; NULL: failed. */
static inline char *made_model(struct made m)
{
	static char dir[32];
	char path[64], *header = NULL;
	size_t size = 0;
	bool ok;
	FILE *f;

	strcpy(dir, "/tmp/snpu-made-XXXXXX");
	if (!mkdtemp(dir))
		return NULL;
	m.header = open_memstream(&header, &size);
	m.data = tmpfile();
	if (!m.header || !m.data)
		return NULL;
	made_tensors(&m);
	fclose(m.header);
	ok = made_join(&m, dir, header, size);
	fclose(m.data);
	free(header);
	snprintf(path, sizeof(path), "%s/config.json", dir);
	f = fopen(path, "w");
	if (!f)
		return NULL;
	fprintf(f, "{\"model_type\":\"gla_swa\",\"vocab_size\":%u,\"hidden_size\":%u,\"num_hidden_layers\":%u,\"num_attention_heads\":%u,"
		   "\"num_key_value_heads\":%u,\"intermediate_size\":%u,\"sliding_window\":%u,\"tie_word_embeddings\":%s",
		m.vocab, m.hidden, m.layers, m.heads, m.kv, m.ffn, m.window, m.tied ? "true" : "false");
	if (m.attn_layers)
		fprintf(f, ",\"attn_layers\":%s", m.attn_layers);
	if (m.k != 0.0f)
		fprintf(f, ",\"dynamic_sfr\":%g", (double)m.k);
	fprintf(f, "}");
	return fclose(f) == 0 && ok ? dir : NULL;
}

static inline void remove_folder(const char *dir)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	if (system(command))
		printf("# %s stays\n", dir);
}

#endif
