/* SPDX-License-Identifier: MIT */
/*
 * Opening language models: what config.json may say and what is refused, how weights become codes, checkpoints that lack or add
 * tensors, converted files that were damaged, options and calls that make no sense. Folders are made in /tmp from the small
 * models in tests/data.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lm/lm.h"
#include "tests/e2e/lm_make.h"
#include "tests/e2e/lm_rig.h"

/* --- config.json -------------------------------------------------------------------------------------------------------- */

#define GOOD	"\"model_type\":\"gla_swa\",\"vocab_size\":512,\"hidden_size\":128,\"num_hidden_layers\":4,\"num_attention_heads\":4," \
		"\"num_key_value_heads\":2,\"intermediate_size\":256,\"sliding_window\":8"

static int parse(const char *text, struct lm_config *c)
{
	int err = lm_config_parse(text, strlen(text), c);

	if (err && strlen(snpu_last_error()) < 20)
		printf("# a short sentence: %s\n", snpu_last_error());
	return err;
}

TEST(config_defaults)
{
	struct lm_config c;

	ASSERT_EQ(parse("{" GOOD "}", &c), 0);
	EXPECT_EQ(c.d, 32);
	EXPECT_EQ(c.gla[0] && !c.gla[1] && c.gla[2] && !c.gla[3], 1);	/* odd layers slide */
	EXPECT_TRUE(c.eps == 1e-6f && c.k == 3.0f && !c.tied);
	EXPECT_EQ(c.bos, LM_NO_TOKEN);
	ASSERT_EQ(parse("{" GOOD ",\"attn_layers\":[0,2],\"dynamic_sfr\":2.5,\"tie_word_embeddings\":true,\"eos_token_id\":[7,8]}", &c), 0);
	EXPECT_EQ(!c.gla[0] && c.gla[1] && !c.gla[2] && c.gla[3], 1);
	EXPECT_TRUE(c.k == 2.5f && c.tied && c.eos == 7);
}

/* The configuration as text is what a converted file holds. */
TEST(config_there_and_back)
{
	struct lm_config a, b;
	json_t *json;
	char *text;

	ASSERT_EQ(parse("{" GOOD ",\"attn_layers\":[],\"rope_theta\":12345.5,\"norm_eps\":1e-5,\"bos_token_id\":3}", &a), 0);
	json = lm_config_json(&a);
	text = json_dumps(json, 0);
	ASSERT_EQ(parse(text, &b), 0);
	EXPECT_EQ(memcmp(&a, &b, sizeof(a)), 0);
	free(text);
	json_decref(json);
}

TEST(config_refused)
{
	static const struct {
		const char *text, *says;
		int err;
	} bad[] = {
		{ "", "damaged", -EBADMSG },
		{ "[1]", "damaged", -EBADMSG },
		{ "{" GOOD, "damaged", -EBADMSG },
		{ "{" GOOD ",\"vocab_size\":1}", "damaged", -EBADMSG },		/* twice */
		{ "{}", "model_type", -ENOTSUP },
		{ "{\"model_type\":\"llama\"}", "llama", -ENOTSUP },
		{ "{\"model_type\":\"gla_swa\"}", "vocab_size", -EBADMSG },
		{ "{" GOOD ",\"hidden_act\":\"gelu\"}", "gelu", -ENOTSUP },
		{ "{" GOOD ",\"use_short_conv\":true}", "use_short_conv", -ENOTSUP },
		{ "{" GOOD ",\"attn_layers\":[4]}", "attn_layers", -EBADMSG },
		{ "{" GOOD ",\"attn_layers\":[-1]}", "attn_layers", -EBADMSG },
		{ "{" GOOD ",\"attn_layers\":{}}", "attn_layers", -EBADMSG },
		{ "{" GOOD ",\"quant_weight_group_size\":64}", "quant_weight_group_size", -ENOTSUP },
		{ "{" GOOD ",\"dynamic_sfr\":0}", "dynamic_sfr", -EBADMSG },
		{ "{" GOOD ",\"dynamic_sfr\":1e9}", "dynamic_sfr", -EBADMSG },
		{ "{" GOOD ",\"norm_eps\":\"small\"}", "norm_eps", -EBADMSG },
		{ "{" GOOD ",\"eos_token_id\":-5}", "eos_token_id", -EBADMSG },
		{ "{" GOOD ",\"eos_token_id\":[-5]}", "eos_token_id", -EBADMSG },
		{ "{" GOOD ",\"eos_token_id\":[4294967303,7]}", "eos_token_id", -EBADMSG },
		{ "{" GOOD ",\"bos_token_id\":[[7]]}", "bos_token_id", -EBADMSG },
	};
	struct lm_config c;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(parse(bad[i].text, &c), bad[i].err);
		if (!strstr(snpu_last_error(), bad[i].says))
			TH_FAILMSG("'%s' does not speak of %s: %s", bad[i].text, bad[i].says, snpu_last_error());
	}
}

/* Sizes out of this world are refused before anything is computed from them. */
TEST(config_absurd_sizes)
{
	static const char *const keys[] = { "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
					    "intermediate_size", "sliding_window" };
	static const char *const values[] = { "0", "-1", "4294967296", "9223372036854775807", "1e30", "1.5", "\"8\"", "true", "[8]", "99999999999999999999" };

	for (unsigned int k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
		for (unsigned int v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			struct lm_config c;
			char text[512] = "{\"x\":0", *at;
			const char *good = "," GOOD "}";

			strcat(text, good);
			at = strstr(text, keys[k]);
			ASSERT_TRUE(at != NULL);
			at[0] = 'X';		/* another name: then the key is missing ... */
			EXPECT_EQ(parse(text, &c), -EBADMSG);
			sprintf(text + strlen(text) - 1, ",\"%s\":%s}", keys[k], values[v]);
			EXPECT_EQ(parse(text, &c), -EBADMSG);	/* ... or it says this */
		}
}

/* --- codes ---------------------------------------------------------------------------------------------------------------- */

/* Integer code of a weight as it lies in an image, residual included. */
static int32_t code_of(const struct snpu_lm *lm, const struct lm_part *p, const struct lm_linear *l, uint32_t o, uint32_t c)
{
	const uint8_t *base = lm->image + p->offset;
	uint32_t tile = o / SNPU_TILE, groups = l->n_in / SNPU_GROUP, cell = tile * groups + c / SNPU_GROUP;
	const uint32_t *index = (const uint32_t *)(base + l->residual);
	const struct snpu_residual *r = (const void *)(index + (size_t)SNPU_TILES(l->n_out) * groups + 1);
	int32_t code = ((const int8_t *)(base + l->weights))[((size_t)tile * l->n_in + c) * SNPU_TILE + o % SNPU_TILE];

	for (uint32_t i = l->n_residual ? index[cell] : 0; l->n_residual && i < index[cell + 1]; i++)
		if (r[i].channel == c % SNPU_GROUP && r[i].output == o % SNPU_TILE)
			code += r[i].code;
	return code;
}

TEST(codes_are_the_originals)
{
	static const char *const folders[] = { "dev-w8-a", "dev-w8-b", "dev-w8-clip" };
	unsigned int compared = 0;

	for (unsigned int f = 0; f < 3; f++) {
		struct golden g;
		struct snpu_lm *lm;
		char path[128];

		golden_open(&g, folders[f]);
		snprintf(path, sizeof(path), LM_DATA "%s", folders[f]);
		ASSERT_EQ(snpu_lm_open(path, NULL, &lm), 0);
		for (unsigned int id = 0; id < LM_LINEARS; id++) {
			const struct snpu_ckpt_tensor *want = golden_find(&g, "wq.0.%s", lm_linear_name(id));
			const struct lm_part *p = &lm->part[1];
			const struct lm_linear *l = &p->linear[id];
			unsigned int differ = 0;

			if (!want || !l->spike)
				continue;
			ASSERT_EQ(want->count, (uint64_t)l->n_out * l->n_in);
			for (uint32_t o = 0; o < l->n_out; o++)
				for (uint32_t c = 0; c < l->n_in; c++)
					differ += code_of(lm, p, l, o, c) != golden_int(want, (uint64_t)o * l->n_in + c);
			EXPECT_EQ(differ, 0u);
			compared++;
		}
		EXPECT_EQ(lm->residual > 0, f == 2);
		snpu_lm_free(lm);
		golden_close(&g);
	}
	EXPECT_GE(compared, 8u);
}

/*
 * A float checkpoint in the spiking form is the spiking checkpoint that the training script made of it: the same codes and
 * scales, except the gate, whose product the script rounded to bf16 before it quantised it.
 */
TEST(codes_of_a_float_checkpoint)
{
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = SNPU_LM_SPIKE, .down = SNPU_LM_DOWN_SPIKE };
	struct snpu_lm *a, *b;
	unsigned int compared = 0;

	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m", &o, &a), 0);
	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m-w8aspike", &o, &b), 0);
	for (unsigned int p = 1; p <= a->cfg.layers; p++) {
		const uint8_t *in_a = a->image + a->part[p].offset, *in_b = b->image + b->part[p].offset;

		for (unsigned int id = 0; id < LM_LINEARS; id++) {
			const struct lm_linear *l = &a->part[p].linear[id], *m = &b->part[p].linear[id];

			if (!l->n_out || id == LM_GK)
				continue;
			ASSERT_EQ(lm_weight_bytes(l), lm_weight_bytes(m));
			EXPECT_EQ(memcmp(in_a + l->weights, in_b + m->weights, lm_weight_bytes(l)), 0);
			EXPECT_EQ(memcmp(in_a + l->scales, in_b + m->scales, lm_scale_bytes(l)), 0);
			compared++;
		}
	}
	EXPECT_EQ(compared, 4 * 7u);
	EXPECT_EQ(a->residual, 0u);
	snpu_lm_free(a);
	snpu_lm_free(b);
}

/* Far-out codes take several entries and come back whole; a scale must be positive. */
TEST(codes_far_out)
{
	static float w[SNPU_TILE * SNPU_GROUP];
	float scales[SNPU_TILE];
	static int8_t codes[SNPU_GROUP * SNPU_TILE];
	float out[SNPU_TILE];
	uint32_t index[1];
	struct lm_quant q = { .n_in = SNPU_GROUP, .n_out = SNPU_TILE, .codes = codes, .scales = out };
	int64_t sum = 0;

	q.index = malloc(sizeof(index));
	for (unsigned int i = 0; i < SNPU_TILE; i++)
		scales[i] = 0.5f;
	w[3 * SNPU_GROUP + 7] = -100000.0f;	/* -200000 */
	w[4 * SNPU_GROUP + 8] = 64.25f;		/* 128.5 to even: 128 */
	ASSERT_EQ(lm_quant_tile(&q, 0, w, scales, SNPU_TILE), 0);
	for (size_t i = 0; i < q.n_residual; i++)
		if (q.residual[i].channel == 7 && q.residual[i].output == 3)
			sum += q.residual[i].code;
	EXPECT_EQ(sum + codes[7 * SNPU_TILE + 3], -200000);
	EXPECT_EQ(codes[8 * SNPU_TILE + 4], 127);
	EXPECT_EQ(q.residual[q.n_residual - 1].code, 1);
	EXPECT_EQ(q.max_code, 200000u);
	w[0] = 1e9f;
	EXPECT_EQ(lm_quant_tile(&q, 0, w, scales, SNPU_TILE), -ERANGE);
	w[0] = NAN;
	EXPECT_EQ(lm_quant_tile(&q, 0, w, scales, SNPU_TILE), -EBADMSG);
	w[0] = 0;
	for (unsigned int k = 0; k < 3; k++) {
		scales[5] = k == 0 ? 0.0f : k == 1 ? -1.0f : NAN;
		EXPECT_EQ(lm_quant_tile(&q, 0, w, scales, SNPU_TILE), -EBADMSG);
	}
	lm_quant_free(&q);
}

/* Refined scales never make the weighted error greater, and for a lonely outlier they make it less. */
TEST(scales_refined)
{
	float w[SNPU_GROUP], weight[SNPU_GROUP];

	for (unsigned int i = 0; i < SNPU_GROUP; i++) {
		w[i] = (float)((i * 37) % 101) / 101.0f - 0.5f;
		weight[i] = 1.0f;
	}
	EXPECT_TRUE(lm_scale_refined(w, weight) <= lm_scale_max(w));
	w[5] = 0.6f;
	weight[5] = 1e-6f;
	EXPECT_TRUE(lm_scale_refined(w, weight) < lm_scale_max(w));
	memset(w, 0, sizeof(w));
	EXPECT_TRUE(lm_scale_max(w) == 1.0f);
	w[5] = 1e-44f;				/* a denormal whose 127th part is 0 */
	EXPECT_TRUE(lm_scale_max(w) == 1.0f);
}

/* --- folders --------------------------------------------------------------------------------------------------------------- */

static char *copy_folder(const char *folder)
{
	static char dir[] = "/tmp/snpu-lm-test-XXXXXX";
	char command[512];

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return NULL;
	snprintf(command, sizeof(command), "cp " LM_DATA "%s/* %s/", folder, dir);
	return system(command) ? NULL : dir;
}

/* Renames a tensor in a safetensors header by overwriting one letter of its name. */
static void rename_tensor(const char *dir, const char *name, char to)
{
	char path[128], *mem, *at;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	fd = open(path, O_RDWR);
	fstat(fd, &st);
	mem = malloc((size_t)st.st_size);
	if (read(fd, mem, (size_t)st.st_size) == st.st_size) {
		at = memmem(mem, (size_t)st.st_size, name, strlen(name));
		if (at && pwrite(fd, &to, 1, at - mem + (long)strlen(name) - 1) != 1)
			printf("# not written\n");
	}
	free(mem);
	close(fd);
}

TEST(tensors_missing_and_left_over)
{
	char *dir = copy_folder("dev-7b-a");
	struct snpu_lm *lm;

	ASSERT_TRUE(dir != NULL);
	rename_tensor(dir, "model.layers.2.mlp.up_proj.weight", 'X');
	ASSERT_EQ(snpu_lm_open(dir, NULL, &lm), -EBADMSG);
	EXPECT_TRUE(strstr(snpu_last_error(), "model.layers.2.mlp.up_proj.weight") != NULL);
	remove_folder(dir);

	dir = copy_folder("dev-7b-a");
	rename_tensor(dir, "model.layers.0.attn.g_norm.weight", 'X');
	rename_tensor(dir, "model.layers.1.attn.o_proj.weight", 'X');
	ASSERT_EQ(snpu_lm_open(dir, NULL, &lm), -EBADMSG);
	EXPECT_TRUE(strstr(snpu_last_error(), "2 tensors are missing") != NULL);
	remove_folder(dir);
}

TEST(unknown_tensors_are_warned_of)
{
	char *dir, command[256];
	struct snpu_lm *lm;

	/* a W8ASpike checkpoint has scales for down_proj, which the authors' form does not use: known, no warning */
	ASSERT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", NULL, &lm), 0);
	EXPECT_TRUE(snpu_lm_warning(lm, 0) == NULL);
	snpu_lm_free(lm);

	/* with the last layer taken out of the configuration, its tensors are nobody's */
	dir = copy_folder("dev-7b-a");
	ASSERT_TRUE(dir != NULL);
	snprintf(command, sizeof(command), "sed -i -z 's/1,\\n *3\\n/1\\n/; s/\"num_hidden_layers\": 4/\"num_hidden_layers\": 3/' %s/config.json", dir);
	ASSERT_EQ(system(command), 0);
	ASSERT_EQ(snpu_lm_open(dir, NULL, &lm), 0);
	ASSERT_TRUE(snpu_lm_warning(lm, 0) != NULL);
	EXPECT_CONTAINS(snpu_lm_warning(lm, 0), "model.layers.3.");
	snpu_lm_free(lm);
	remove_folder(dir);
}

TEST(config_and_weights_of_different_models)
{
	char *dir = copy_folder("dev-7b-a"), command[256];
	struct snpu_lm *lm;

	snprintf(command, sizeof(command), "sed -i 's/\"vocab_size\": 512/\"vocab_size\": 511/' %s/config.json", dir);
	ASSERT_EQ(system(command), 0);
	EXPECT_EQ(snpu_lm_open(dir, NULL, &lm), -EBADMSG);
	EXPECT_TRUE(strstr(snpu_last_error(), "model.embeddings.weight") != NULL);
	remove_folder(dir);
}

/* The gate of the float form has two factors of rank 16; one matrix in their place is no gate, whatever its shape. */
TEST(gates_of_another_form)
{
	struct made m = { .vocab = 40, .hidden = 128, .layers = 1, .heads = 4, .kv = 2, .ffn = 64, .window = 8, .whole_gate = true };
	struct snpu_lm_open_opts spike = { .sz = sizeof(spike), .form = SNPU_LM_SPIKE };
	struct snpu_lm *lm;
	char *dir = made_model(m);

	ASSERT_TRUE(dir != NULL);
	EXPECT_EQ(snpu_lm_open(dir, NULL, &lm), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "gk_proj.0.weight");
	remove_folder(dir);
	m.whole_gate = false;
	m.rank = 32;
	dir = made_model(m);
	ASSERT_TRUE(dir != NULL);
	EXPECT_EQ(snpu_lm_open(dir, NULL, &lm), -ENOTSUP);
	EXPECT_CONTAINS(snpu_last_error(), "rank 32");
	EXPECT_EQ(snpu_lm_open(dir, &spike, &lm), -ENOTSUP);
	remove_folder(dir);
}

/* Scales are no parameters, neither those that are used nor down_proj's, which are not. */
TEST(parameters_are_counted)
{
	struct snpu_lm_info info = { .sz = sizeof(info) };
	uint64_t attention = 2 * 128 * 128 + 128 + 2 * (64 * 128 + 64), layer = attention + 3 * 256 * 128 + 2 * 128;
	uint64_t gate = 64 * 128 + 64 + 32;
	struct snpu_lm_open_opts o = { .sz = sizeof(o) };

	for (; o.down <= SNPU_LM_DOWN_SPIKE; o.down++) {
		struct snpu_lm *lm;

		ASSERT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", &o, &lm), 0);
		ASSERT_EQ(snpu_lm_info(lm, &info), 0);
		EXPECT_EQ(info.parameters, 2ull * info.vocab * 128 + 128 + 4 * layer + 2 * gate);
		snpu_lm_free(lm);
	}
}

TEST(paths_that_are_no_models)
{
	struct snpu_lm *lm;

	EXPECT_EQ(snpu_lm_open("/nonexistent", NULL, &lm), -ENOENT);
	EXPECT_EQ(snpu_lm_open("/tmp", NULL, &lm), -ENOENT);
	EXPECT_EQ(snpu_lm_open("Makefile", NULL, &lm), -EBADMSG);
	EXPECT_EQ(snpu_lm_convert("Makefile", NULL, "/tmp/x.snpu"), -ENOENT);
	EXPECT_EQ(snpu_lm_convert(LM_DATA "dev-7b-a", NULL, "/nonexistent/x.snpu"), -ENOENT);
	EXPECT_EQ(access("/tmp/x.snpu", F_OK) | access("/tmp/x.snpu.part", F_OK), -1);
}

TEST(forms_a_checkpoint_cannot_have)
{
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = SNPU_LM_FLOAT };
	struct snpu_lm *lm;

	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", &o, &lm), -ENOTSUP);
	o.form = 3;
	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-7b-a", &o, &lm), -EINVAL);
	o = (struct snpu_lm_open_opts){ .sz = sizeof(o), .k = -1.0f };
	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", &o, &lm), -EINVAL);
	o = (struct snpu_lm_open_opts){ .sz = sizeof(o), .calibration = "/nonexistent" };
	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-7b-a", &o, &lm), -EINVAL);		/* the float form needs none */
	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", &o, &lm), -EINVAL);		/* this one has its scales */
	o.form = SNPU_LM_SPIKE;
	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-7b-a", &o, &lm), -ENOENT);
	o = (struct snpu_lm_open_opts){ .sz = sizeof(o), .down = SNPU_LM_DOWN_SPIKE };
	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-7b-a", &o, &lm), -EINVAL);		/* nothing spikes in the float form */
}

/* Bytes of private writable memory, which RLIMIT_DATA is about. */
static unsigned long data_bytes(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmData: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib << 10;
}

/* An image takes the memory that it needs, not what it could have become. */
TEST(memory_that_is_not_needed)
{
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = SNPU_LM_SPIKE };
	struct rlimit limit = { .rlim_max = RLIM_INFINITY };
	struct snpu_lm *lm;

#ifdef __SANITIZE_ADDRESS__
	SKIP("the sanitizer takes terabytes");
#endif
	limit.rlim_cur = data_bytes() + (24ul << 20);	/* the image has 4 MB; with every code a residual it would have 40 */
	ASSERT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m", &o, &lm), 0);
	snpu_lm_free(lm);
	limit.rlim_cur = data_bytes() + (1ul << 20);
	ASSERT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
	EXPECT_EQ(snpu_lm_open(LM_DATA "austen-3.7m", &o, &lm), -ENOMEM);
}

static int stop(void *arg, const char *what, uint64_t done, uint64_t total)
{
	unsigned int *calls = arg;

	EXPECT_LE(done, total);
	return ++*calls > 5;
}

static int last_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	EXPECT_LE(done, total);
	*(uint64_t *)arg = done;
	return 0;
}

/* Also when a matrix is packed twice. */
TEST(progress_ends_at_the_total)
{
	struct made m = { .vocab = 40, .hidden = 128, .layers = 2, .heads = 4, .kv = 2, .ffn = 64, .window = 8, .tied = true };
	uint64_t done = 0;
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .progress = last_progress, .progress_arg = &done };
	struct snpu_lm_info info = { .sz = sizeof(info) };
	char *dir = made_model(m);
	struct snpu_lm *lm;

	ASSERT_TRUE(dir != NULL);
	ASSERT_EQ(snpu_lm_open(dir, &o, &lm), 0);
	ASSERT_EQ(snpu_lm_info(lm, &info), 0);
	EXPECT_EQ(info.tied, 1);
	EXPECT_EQ(done, 4 * (info.parameters + 40 * 128));
	EXPECT_TRUE(snpu_lm_warning(lm, 0) == NULL);
	snpu_lm_free(lm);
	remove_folder(dir);
}

TEST(opening_can_be_stopped)
{
	unsigned int calls = 0;
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .progress = stop, .progress_arg = &calls };
	struct snpu_lm *lm;

	EXPECT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", &o, &lm), -ECANCELED);
	EXPECT_EQ(calls, 6u);
	calls = 0;
	EXPECT_EQ(snpu_lm_convert(LM_DATA "dev-w8-a", &o, "/tmp/snpu-stopped.snpu"), -ECANCELED);
	EXPECT_EQ(access("/tmp/snpu-stopped.snpu.part", F_OK), -1);
}

/* Nothing is overwritten but converted models, and nothing is left behind. */
TEST(conversions_hurt_nobody)
{
	char *dir = copy_folder("dev-w8-clip"), out[128], part[160];
	struct stat before, after;
	struct rlimit limit;
	struct snpu_lm *lm;

	ASSERT_TRUE(dir != NULL);
	EXPECT_EQ(snpu_lm_convert(dir, NULL, dir), -EEXIST);
	snprintf(out, sizeof(out), "%s/model.safetensors", dir);
	ASSERT_EQ(stat(out, &before), 0);
	EXPECT_EQ(snpu_lm_convert(dir, NULL, out), -EEXIST);		/* one of its own files */
	ASSERT_EQ(stat(out, &after), 0);
	EXPECT_EQ(before.st_ino, after.st_ino);
	EXPECT_EQ(snpu_lm_convert(dir, NULL, "/dev/null"), -EEXIST);
	/* the name that the file has until it is complete is taken: by another conversion, or by a link of somebody else */
	snprintf(out, sizeof(out), "%s/x.snpu", dir);
	snprintf(part, sizeof(part), "%s.part", out);
	ASSERT_EQ(symlink("model.safetensors", part), 0);
	EXPECT_EQ(snpu_lm_convert(dir, NULL, out), -EEXIST);
	EXPECT_EQ(snpu_lm_open(dir, NULL, &lm), 0);
	snpu_lm_free(lm);
	unlink(part);
	/* no room */
	ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 100000;
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	EXPECT_EQ(snpu_lm_convert(dir, NULL, out), -EFBIG);
	EXPECT_EQ(access(out, F_OK) & access(part, F_OK), -1);
	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/* a converted model is replaced by a newer one */
	ASSERT_EQ(snpu_lm_convert(dir, NULL, out), 0);
	EXPECT_EQ(snpu_lm_convert(dir, NULL, out), 0);
	EXPECT_EQ(access(part, F_OK), -1);
	remove_folder(dir);
}

/* A name of any bytes, and one that is cut inside a character. */
TEST(names_that_are_no_text)
{
	static const struct {
		const char *name, *then;
	} cases[] = {
		{ "caf\xe9", "caf" }, { "\xe9", "" }, { "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "x123456789012345678901234567890123456789012345678901234567890\xe6\x96\x87\xe6\x96\x87",
		  "x123456789012345678901234567890123456789012345678901234567890" },
	};
	struct made m = { .vocab = 40, .hidden = 128, .layers = 1, .heads = 4, .kv = 2, .ffn = 64, .window = 8 };

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snpu_lm_info info = { .sz = sizeof(info) };
		char dir[160], file[64] = "/tmp/snpu-name.snpu", *made = made_model(m);
		struct snpu_lm *lm;

		ASSERT_TRUE(made != NULL);
		snprintf(dir, sizeof(dir), "/tmp/%s", cases[i].name);
		ASSERT_EQ(rename(made, dir), 0);
		ASSERT_EQ(snpu_lm_convert(dir, NULL, file), 0);
		ASSERT_EQ(snpu_lm_open(file, NULL, &lm), 0);
		ASSERT_EQ(snpu_lm_info(lm, &info), 0);
		EXPECT_STREQ(info.name, cases[i].then);
		snpu_lm_free(lm);
		unlink(file);
		remove_folder(dir);
	}
}

/* Calibrated scales: another model, in the same form, whose text it has seen. */
TEST_TIMEOUT(calibration, 300)
{
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = SNPU_LM_SPIKE, .down = SNPU_LM_DOWN_SPIKE };
	struct snpu_lm *plain, *refined;
	FILE *f = fopen("/tmp/snpu-calibration.txt", "w");
	unsigned int differ = 0;

	ASSERT_TRUE(f != NULL);
	for (int i = 0; i < 600000; i++)		/* more than a tokenizer takes at once */
		fputs("It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. ", f);
	fclose(f);
	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m", &o, &plain), 0);
	o.calibration = "/tmp/snpu-calibration.txt";
	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m", &o, &refined), 0);
	ASSERT_EQ(plain->image_size, refined->image_size);
	for (unsigned int p = 1; p <= plain->cfg.layers; p++)
		for (unsigned int id = 0; id < LM_LINEARS; id++) {
			const struct lm_linear *l = &plain->part[p].linear[id];
			const float *a = (const float *)(plain->image + plain->part[p].offset + l->scales),
				    *b = (const float *)(refined->image + plain->part[p].offset + l->scales);

			for (uint64_t i = 0; l->spike && i < lm_scale_bytes(l) / 4; i++) {
				differ += a[i] != b[i];
				if (b[i] > a[i] || b[i] < 0.79f * a[i])
					TH_FAILMSG("scale %g became %g", (double)a[i], (double)b[i]);
			}
		}
	EXPECT_GT(differ, 1000u);
	snpu_lm_free(plain);
	snpu_lm_free(refined);
	unlink("/tmp/snpu-calibration.txt");
}

/* --- converted files --------------------------------------------------------------------------------------------------------- */

static int open_spoiled(const char *good, size_t cut, long at, uint8_t flip)
{
	char command[256];
	struct snpu_lm *lm = NULL;
	uint8_t b = 0;
	int fd, err;

	snprintf(command, sizeof(command), "cp %s %s.bad", good, good);
	if (system(command))
		return 0;
	snprintf(command, sizeof(command), "%s.bad", good);
	fd = open(command, O_RDWR);
	if (at >= 0 && pread(fd, &b, 1, at) == 1) {
		b ^= flip;
		if (pwrite(fd, &b, 1, at) != 1)
			printf("# not written\n");
	}
	if (cut && ftruncate(fd, (off_t)cut))
		printf("# not cut\n");
	close(fd);
	err = snpu_lm_open(command, NULL, &lm);
	snpu_lm_free(lm);
	unlink(command);
	return err;
}

TEST(converted_files_damaged)
{
	char file[] = "/tmp/snpu-lm-XXXXXX";
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = SNPU_LM_FLOAT };
	struct snpu_lm *lm;
	struct stat st;
	int fd = mkstemp(file);

	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(snpu_lm_convert(LM_DATA "dev-w8-clip", NULL, file), 0);
	ASSERT_EQ(stat(file, &st), 0);
	EXPECT_EQ(open_spoiled(file, 100, -1, 0), -EBADMSG);
	EXPECT_EQ(open_spoiled(file, (size_t)st.st_size - 1, -1, 0), -EBADMSG);
	EXPECT_EQ(open_spoiled(file, 0, 0, 1), -EBADMSG);		/* magic */
	EXPECT_EQ(open_spoiled(file, 0, 8, 2), -ENOTSUP);		/* version */
	for (long at = 16; at < 56; at++)				/* every byte of the places and sizes */
		EXPECT_EQ(open_spoiled(file, 0, at, 0x40), -EBADMSG);
	EXPECT_EQ(open_spoiled(file, 0, (long)st.st_size - 1, 0x20), -EBADMSG);	/* the description's last brace */
	EXPECT_EQ(snpu_lm_open(file, &o, &lm), -EINVAL);		/* converted to another form */
	unlink(file);
}

/* Another k for a converted file, but none with which its codes leave 32-bit sums. */
TEST(converted_files_with_another_k)
{
	struct made m = { .vocab = 40, .hidden = 128, .layers = 1, .heads = 4, .kv = 2, .ffn = 32768, .window = 8, .k = 0.5f };
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = SNPU_LM_SPIKE, .down = SNPU_LM_DOWN_SPIKE }, k = { .sz = sizeof(k), .k = 500.0f };
	struct snpu_lm_info info = { .sz = sizeof(info) };
	char *dir = made_model(m), file[64];
	struct snpu_lm *lm;

	ASSERT_TRUE(dir != NULL);
	snprintf(file, sizeof(file), "%s/x.snpu", dir);
	ASSERT_EQ(snpu_lm_convert(dir, &o, file), 0);
	ASSERT_EQ(snpu_lm_open(file, &k, &lm), 0);
	ASSERT_EQ(snpu_lm_info(lm, &info), 0);
	EXPECT_TRUE(info.k == 500.0f);
	snpu_lm_free(lm);
	k.k = 520.0f;				/* 32768 channels, codes up to 127 */
	EXPECT_EQ(snpu_lm_open(file, &k, &lm), -ERANGE);
	o.k = 520.0f;
	EXPECT_EQ(snpu_lm_open(dir, &o, &lm), -ERANGE);
	k.k = NAN;
	EXPECT_EQ(snpu_lm_open(file, &k, &lm), -EINVAL);
	remove_folder(dir);
}

/* --- contexts ------------------------------------------------------------------------------------------------------------------ */

TEST(calls_that_make_no_sense)
{
	struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .window = 3 };
	uint32_t ids[] = { 1, 2, 512 };
	struct snpu_lm_spike_sums sums;
	struct snpu_lm_ctx *ctx;
	uint32_t *encoded;
	struct snpu_lm *lm;
	uint64_t counters[64];
	size_t n;

	ASSERT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", NULL, &lm), 0);
	EXPECT_EQ(snpu_lm_encode(lm, "x", 1, 0, &encoded, &n), -ENOTSUP);	/* no tokenizer */
	EXPECT_EQ(snpu_lm_ctx_create(lm, &o, &ctx), -EINVAL);
	o = (struct snpu_lm_ctx_opts){ .sz = sizeof(o), .require_device = 1 };
	EXPECT_EQ(snpu_lm_ctx_create(lm, &o, &ctx), -ENOSPC);
	ASSERT_EQ(snpu_lm_ctx_create(lm, NULL, &ctx), 0);
	EXPECT_EQ(snpu_lm_eval(ctx, ids, 0, SNPU_LM_LAST, NULL), -EINVAL);
	EXPECT_EQ(snpu_lm_eval(ctx, ids, 3, SNPU_LM_LAST, NULL), -EINVAL);
	EXPECT_TRUE(strstr(snpu_last_error(), "token 2 is 512") != NULL);
	EXPECT_EQ(snpu_lm_ctx_position(ctx), 0u);
	EXPECT_EQ(snpu_lm_ctx_spikes(ctx, ~0u, NULL, SNPU_LM_EXECUTED, &sums), -EINVAL);	/* not profiled */
	EXPECT_EQ(snpu_lm_ctx_counters(ctx, 0, counters), -EINVAL);
	EXPECT_EQ(snpu_lm_state_save(ctx, counters, 8), -EINVAL);
	snpu_lm_free(NULL);
	snpu_lm_ctx_free(NULL);
	snpu_lm_ctx_free(ctx);
	snpu_lm_free(lm);
}

/* The counts of a profile are those that the sparsity statistics of the golden data were made from; mean |s| is k. */
TEST(profile_of_a_prompt)
{
	struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .profile = 1 };
	struct snpu_lm_spike_sums sums, one;
	uint64_t counters[64], all[64];
	struct snpu_lm_ctx *ctx;
	struct snpu_lm *lm;
	struct golden g;
	uint32_t *ids;
	size_t n;

	golden_open(&g, "dev-w8-a");
	ids = golden_ids(&g, "long", "input_ids", &n);
	ASSERT_EQ(snpu_lm_open(LM_DATA "dev-w8-a", NULL, &lm), 0);
	ASSERT_EQ(snpu_lm_ctx_create(lm, &o, &ctx), 0);
	ASSERT_EQ(snpu_lm_eval(ctx, ids, n, SNPU_LM_NONE, NULL), 0);
	ASSERT_EQ(snpu_lm_ctx_spikes(ctx, ~0u, NULL, SNPU_LM_EXECUTED, &sums), 0);
	/* 2 GLA layers with q, k, v, gk, o, gate, up and 2 sliding-window layers without gk, 128 channels each */
	EXPECT_EQ(sums.channels, n * 128 * (2 * 7 + 2 * 6));
	/* sparsity.json of this folder, without_down_proj: zero_share 0.117, avg_spikes_per_channel 1.275, share_le7 0.9375 */
	EXPECT_TRUE(fabs(1.0 - (double)sums.active / (double)sums.channels - 0.117) < 0.0006);
	EXPECT_TRUE(fabs((double)sums.spikes / (double)sums.channels - 1.275) < 0.0006);
	EXPECT_TRUE(fabs((double)sums.le7 / (double)sums.channels - 0.9375) < 0.00006);
	EXPECT_TRUE(fabs((double)sums.magnitude / (double)sums.channels - 3.0) < 0.05);
	ASSERT_EQ(snpu_lm_ctx_spikes(ctx, 2, "o_proj", SNPU_LM_DISTINCT, &one), 0);
	EXPECT_EQ(one.channels, n * 128);
	EXPECT_EQ(one.macs, n * 128 * 128);
	EXPECT_EQ(snpu_lm_ctx_spikes(ctx, 2, "down_proj", SNPU_LM_DISTINCT, &one), -ENOENT);
	/* the device counted the same synaptic operations in the linear layers, and those of the attention's keys besides */
	ASSERT_EQ(snpu_lm_ctx_counters(ctx, ~0u, all), 0);
	ASSERT_EQ(snpu_lm_ctx_counters(ctx, 1, counters), 0);
	ASSERT_EQ(snpu_lm_ctx_spikes(ctx, 0, NULL, SNPU_LM_EXECUTED, &one), 0);
	for (unsigned int c = 0; c < snpu_counters(); c++)
		if (!strcmp(snpu_counter_name(c), "SYNOPS")) {
			EXPECT_EQ(counters[c], one.synops);
			EXPECT_GT(all[c], sums.synops);
		}
	snpu_lm_ctx_free(ctx);
	snpu_lm_free(lm);
	free(ids);
	golden_close(&g);
}

TEST_HARNESS_MAIN
