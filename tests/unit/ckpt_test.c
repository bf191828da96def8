/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints as folders: those that PyTorch and safetensors wrote, in all forms; folders that do not fit together; conversion
 * to float32; files that are mapped and dropped.
 */
#include <math.h>
#include <sys/stat.h>

#include "tests/unit/ckpt_rig.h"

/* --- what others wrote --------------------------------------------------------------------------------------------- */

/* Each tensor is found under its name, and inside its file's sizes. */
static size_t check_all(const struct snpu_ckpt *c)
{
	static const unsigned bytes[] = { 4, 2, 2, 8 };
	const struct snpu_ckpt_tensor *t;
	size_t n = 0;

	for (; (t = snpu_ckpt_tensor(c, n)); n++) {
		uint64_t count = 1;

		EXPECT_TRUE(snpu_ckpt_find(c, t->name) == t);
		for (unsigned i = 0; i < t->rank; i++)
			count *= t->shape[i];
		EXPECT_EQ(t->count, count);
		if (t->type != SNPU_TENSOR_OTHER)
			EXPECT_EQ(t->bytes, count * bytes[t->type]);
	}
	EXPECT_TRUE(!snpu_ckpt_tensor(c, n));
	return n;
}

static void check_shape(const struct snpu_ckpt *c, const char *name, uint64_t rows, uint64_t columns)
{
	const struct snpu_ckpt_tensor *t = snpu_ckpt_find(c, name);

	ASSERT_TRUE(t);
	EXPECT_EQ(t->type, SNPU_TENSOR_BF16);
	EXPECT_EQ(t->rank, columns ? 2 : 1);
	EXPECT_EQ(t->shape[0], rows);
	EXPECT_EQ(t->shape[1], columns);
}

TEST(one_file)
{
	struct snpu_ckpt *c;

	ASSERT_EQ(snpu_ckpt_open(DATA "dev-7b-a", &c), 0);
	EXPECT_EQ(check_all(c), 59);
	check_shape(c, "model.embeddings.weight", 512, 128);
	check_shape(c, "lm_head.weight", 512, 128);
	check_shape(c, "model.layers.0.attn.gk_proj.0.weight", 16, 128);
	check_shape(c, "model.layers.3.mlp.down_proj.weight", 128, 256);
	check_shape(c, "model.norm.weight", 128, 0);
	EXPECT_TRUE(!snpu_ckpt_find(c, "model.norm"));
	EXPECT_TRUE(!snpu_ckpt_find(c, "model.norm.weight2"));
	EXPECT_TRUE(!snpu_ckpt_find(c, ""));
	EXPECT_TRUE(!snpu_ckpt_find(c, "__metadata__"));
	snpu_ckpt_close(c);
}

TEST(two_shards)
{
	struct snpu_ckpt *c;

	ASSERT_EQ(snpu_ckpt_open(DATA "dev-7b-b", &c), 0);
	EXPECT_EQ(check_all(c), 43);
	check_shape(c, "model.embeddings.weight", 300, 128);	/* in the first */
	check_shape(c, "model.layers.2.mlp.down_proj.weight", 128, 300);
	check_shape(c, "lm_head.weight", 300, 128);
	snpu_ckpt_close(c);
}

/* The same weights as PyTorch saves them: same names, shapes, bytes. */
TEST(torch_equals_safetensors)
{
	struct snpu_ckpt *a, *bin;
	const struct snpu_ckpt_tensor *t;

	ASSERT_EQ(snpu_ckpt_open(DATA "dev-7b-a", &a), 0);
	ASSERT_EQ(snpu_ckpt_open(DATA "dev-7b-bin", &bin), 0);
	EXPECT_EQ(check_all(bin), 59);
	for (size_t i = 0; (t = snpu_ckpt_tensor(a, i)); i++) {
		const struct snpu_ckpt_tensor *u = snpu_ckpt_find(bin, t->name);

		if (!u || u->type != t->type || u->rank != t->rank || memcmp(u->shape, t->shape, sizeof(t->shape)) || u->count != t->count ||
		    u->bytes != t->bytes || memcmp(u->data, t->data, t->bytes))
			TH_FAILMSG("%s is missing or differs", t->name);
	}
	snpu_ckpt_close(bin);
	snpu_ckpt_close(a);
}

/* Small files are quickly read at every length; these have 1.4 MB, so the lengths where something begins, and some between. */
TEST(torch_cut_off)
{
	const void *mem;
	size_t size;

	ASSERT_EQ(snpu_file_map(DATA "dev-7b-bin/pytorch_model-00002-of-00002.bin", 0, &mem, &size), 0);
	for (size_t n = 0; n < size; n += n < 4096 || n + 4096 > size ? 1 : 8191)
		if (parse_only(snpu_torch_parse, mem, n) != -EBADMSG)
			TH_FAILMSG("%zu bytes were read", n);
	EXPECT_EQ(parse_only(snpu_torch_parse, mem, size), 0);
	snpu_file_unmap(mem, size);
}

/* --- folders ------------------------------------------------------------------------------------------------------- */

#define TENSOR(name, at, end)	"\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" at "," end "]}"
#define INDEX			"model.safetensors.index.json"

FIXTURE(checkpoint) {
	struct folder f;
	struct snpu_ckpt *c;
};
FIXTURE_SETUP(checkpoint) { ASSERT_TRUE(folder_create(&self->f)); }
FIXTURE_TEARDOWN(checkpoint)
{
	snpu_ckpt_close(self->c);
	folder_remove(&self->f);
}


static void add_tensors(const struct folder *f, const char *name, const char *header, size_t data)
{
	struct buf b = make_safetensors(header, data);

	EXPECT_TRUE(folder_put(f, name, b.mem, b.n));
	free(b.mem);
}

static void add_torch(const struct folder *f, const char *name, const char *tensor)
{
	const struct torch_tensor t = { tensor, .elements = 16, .rank = 1, .shape = { 16 }, .stride = { 1 } };
	struct buf b = { 0 }, file;

	put_text(&b, PROTO2 "}");
	pk_tensor(&b, &t);
	put_text(&b, "s.");
	file = make_torch(&b);
	EXPECT_TRUE(folder_put(f, name, file.mem, file.n));
	free(file.mem);
	free(b.mem);
}

static void add_text(const struct folder *f, const char *name, const char *text)
{
	EXPECT_TRUE(folder_put(f, name, text, strlen(text)));
}

/* The first name of the first file says which form was taken. */
static const char *first_name(struct checkpoint *self)
{
	snpu_ckpt_close(self->c);
	self->c = NULL;
	if (snpu_ckpt_open(self->f.path, &self->c))
		return snpu_last_error();
	return snpu_ckpt_tensor(self->c, 0)->name;
}

TEST_F(checkpoint, forms_in_order)
{
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -ENOENT);
	EXPECT_CONTAINS(snpu_last_error(), "no model.safetensors");
	add_torch(&self->f, "shard.bin", "torch shard");
	add_text(&self->f, "pytorch_model.bin.index.json", "{\"weight_map\":{\"torch shard\":\"shard.bin\"}}");
	EXPECT_STREQ(first_name(self), "torch shard");
	add_torch(&self->f, "pytorch_model.bin", "torch");
	EXPECT_STREQ(first_name(self), "torch");
	add_tensors(&self->f, "shard", "{" TENSOR("shard", "0", "4") "}", 4);
	add_text(&self->f, INDEX, "{\"weight_map\":{\"shard\":\"shard\"}}");
	EXPECT_STREQ(first_name(self), "shard");
	add_tensors(&self->f, "model.safetensors", "{" TENSOR("single", "0", "4") "}", 4);
	EXPECT_STREQ(first_name(self), "single");
}

/* Tensors that the index does not know are there all the same, as in the original. */
TEST_F(checkpoint, more_than_the_index_knows)
{
	add_tensors(&self->f, "1", "{" TENSOR("a", "0", "4") "," TENSOR("extra", "4", "8") "}", 8);
	add_tensors(&self->f, "2", "{" TENSOR("b", "0", "4") "}", 4);
	add_text(&self->f, INDEX, "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"b\":\"2\",\"a\":\"1\"}}");
	ASSERT_EQ(snpu_ckpt_open(self->f.path, &self->c), 0);
	EXPECT_EQ(check_all(self->c), 3);
	EXPECT_TRUE(snpu_ckpt_find(self->c, "extra"));
}

TEST_F(checkpoint, shard_missing)
{
	add_tensors(&self->f, "1", "{" TENSOR("a", "0", "4") "}", 4);
	add_text(&self->f, INDEX, "{\"weight_map\":{\"a\":\"1\",\"b\":\"2\"}}");
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -ENOENT);
	EXPECT_CONTAINS(snpu_last_error(), "/2'");
}

TEST_F(checkpoint, tensor_in_two_shards)
{
	add_tensors(&self->f, "1", "{" TENSOR("a", "0", "4") "}", 4);
	add_tensors(&self->f, "2", "{" TENSOR("b", "0", "4") "," TENSOR("a", "4", "8") "}", 8);
	add_text(&self->f, INDEX, "{\"weight_map\":{\"a\":\"1\",\"b\":\"2\"}}");
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "tensor 'a' is there twice, in '1' and '2'");
}

TEST_F(checkpoint, tensor_twice_in_a_torch_file)
{
	const struct torch_tensor t = { "m", .elements = 16, .rank = 1, .shape = { 16 }, .stride = { 1 } };
	struct buf b = { 0 }, file;

	put_text(&b, PROTO2 "}(");
	pk_tensor(&b, &t);
	pk_tensor(&b, &t);
	put_text(&b, "u.");
	file = make_torch(&b);
	EXPECT_TRUE(folder_put(&self->f, "pytorch_model.bin", file.mem, file.n));
	free(file.mem);
	free(b.mem);
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "tensor 'm' is there twice");
}

TEST_F(checkpoint, tensor_in_another_shard)
{
	add_tensors(&self->f, "1", "{" TENSOR("a", "0", "4") "}", 4);
	add_tensors(&self->f, "2", "{" TENSOR("b", "0", "4") "}", 4);
	add_text(&self->f, INDEX, "{\"weight_map\":{\"a\":\"2\",\"b\":\"1\"}}");
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "tensor 'a' should be in '2'");
}

TEST_F(checkpoint, tensor_of_the_index_nowhere)
{
	add_tensors(&self->f, "1", "{" TENSOR("a", "0", "4") "}", 4);
	add_text(&self->f, INDEX, "{\"weight_map\":{\"a\":\"1\",\"b\":\"1\"}}");
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "tensor 'b' should be in '1'");
}

/* A damaged shard is an error that names it, and the ones before it are let go. */
TEST_F(checkpoint, shard_damaged)
{
	add_tensors(&self->f, "1", "{" TENSOR("a", "0", "4") "}", 4);
	add_tensors(&self->f, "2", "{" TENSOR("b", "0", "4") "}", 3);
	add_text(&self->f, INDEX, "{\"weight_map\":{\"a\":\"1\",\"b\":\"2\"}}");
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "/2': tensor 'b'");
}

FIXTURE(refuse_index) { struct folder f; };
FIXTURE_VARIANT(refuse_index) { const char *text, *says; };
FIXTURE_SETUP(refuse_index) { ASSERT_TRUE(folder_create(&self->f)); }
FIXTURE_TEARDOWN(refuse_index) { folder_remove(&self->f); }
#define REFUSE(name, ...) FIXTURE_VARIANT_ADD(refuse_index, name) { __VA_ARGS__ }

REFUSE(not_json, "{\"weight_map\":", "damaged in line 1");
REFUSE(array, "[]", "no weight_map");
REFUSE(without_a_map, "{\"metadata\":{}}", "no weight_map");
REFUSE(map_is_an_array, "{\"weight_map\":[\"1\"]}", "no weight_map");
REFUSE(map_is_empty, "{\"weight_map\":{}}", "no weight_map");
REFUSE(map_twice, "{\"weight_map\":{},\"weight_map\":{\"a\":\"1\"}}", "duplicate");
REFUSE(tensor_twice, "{\"weight_map\":{\"a\":\"1\",\"a\":\"1\"}}", "duplicate");
REFUSE(shard_is_a_number, "{\"weight_map\":{\"a\":1}}", "no name of a file beside it");
REFUSE(shard_without_a_name, "{\"weight_map\":{\"a\":\"\"}}", "no name of a file beside it");
REFUSE(absolute_path, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "'/etc/passwd', which is no name of a file beside it");
REFUSE(path_upwards, "{\"weight_map\":{\"a\":\"../1\"}}", "no name of a file beside it");
REFUSE(path_downwards, "{\"weight_map\":{\"a\":\"1/1\"}}", "no name of a file beside it");
REFUSE(shard_is_the_folder, "{\"weight_map\":{\"a\":\".\"}}", "no name of a file beside it");
REFUSE(shard_is_the_folder_above, "{\"weight_map\":{\"a\":\"..\"}}", "no name of a file beside it");

TEST_F(refuse_index, open)
{
	struct snpu_ckpt *c;

	add_tensors(&self->f, "1", "{" TENSOR("a", "0", "4") "}", 4);
	add_text(&self->f, INDEX, variant->text);
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &c), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), variant->says);
	EXPECT_CONTAINS(snpu_last_error(), INDEX);
}

/* Half a minute at the very most: whatever is quadratic takes longer. */
TEST_TIMEOUT(many_tensors, 30)
{
	const unsigned n = 200000;
	struct buf header = { 0 };
	struct folder f;
	struct snpu_ckpt *c;
	char text[128];

	ASSERT_TRUE(folder_create(&f));
	put_text(&header, "{");
	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%s\"t%u\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%u,%u]}", i ? "," : "", i * 7919u % n, 4 * i, 4 * i + 4);
		put_text(&header, text);
	}
	put(&header, "}", 2);
	add_tensors(&f, "model.safetensors", (const char *)header.mem, 4 * n);
	free(header.mem);
	ASSERT_EQ(snpu_ckpt_open(f.path, &c), 0);
	EXPECT_EQ(check_all(c), n);
	snpu_ckpt_close(c);
	folder_remove(&f);
}

/* --- mapped files -------------------------------------------------------------------------------------------------- */

static long file_pages_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "RssFile: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

/* Two tensors of 32 MiB; what is dropped leaves memory, the other stays, both can be read again. */
TEST(dropped_pages_go)
{
	static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[8388608],\"data_offsets\":[0,33554432]},"
				     "\"b\":{\"dtype\":\"F32\",\"shape\":[8388608],\"data_offsets\":[33554432,67108864]}}";
	struct buf b = make_safetensors(header, 64u << 20);
	const struct snpu_ckpt_tensor *t[2];
	struct folder f;
	struct snpu_ckpt *c;
	uint64_t sum = 0;
	long before, full;

	ASSERT_TRUE(folder_create(&f));
	EXPECT_TRUE(folder_put(&f, "model.safetensors", b.mem, b.n));
	ASSERT_EQ(snpu_ckpt_open(f.path, &c), 0);
	t[0] = snpu_ckpt_find(c, "a");
	t[1] = snpu_ckpt_find(c, "b");
	before = file_pages_kb();
	for (unsigned i = 0; i < 2; i++)
		for (uint64_t k = 0; k < t[i]->bytes; k += 1024)
			sum += ((const uint8_t *)t[i]->data)[k];
	EXPECT_NE(sum, 1);
	full = file_pages_kb();
	EXPECT_GT(full - before, 60 << 10);
	snpu_ckpt_drop(c, t[0]);
	EXPECT_LT(file_pages_kb() - before, 34 << 10);
	EXPECT_GT(file_pages_kb() - before, 28 << 10);
	EXPECT_TRUE(!memcmp(t[0]->data, b.mem + b.n - (64 << 20), 32 << 20));
	EXPECT_TRUE(!memcmp(t[1]->data, b.mem + b.n - (32 << 20), 32 << 20));
	free(b.mem);
	snpu_ckpt_close(c);
	folder_remove(&f);
}

TEST_F(checkpoint, files)
{
	const void *mem;
	char path[128];
	size_t size;

	snprintf(path, sizeof(path), "%s/file", self->f.path);
	EXPECT_EQ(snpu_file_map(path, 0, &mem, &size), -ENOENT);
	EXPECT_CONTAINS(snpu_last_error(), path);
	add_text(&self->f, "file", "");
	EXPECT_EQ(snpu_file_map(path, 0, &mem, &size), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "is empty");
	add_text(&self->f, "file", "12345");
	EXPECT_EQ(snpu_file_map(path, 4, &mem, &size), -EFBIG);
	EXPECT_CONTAINS(snpu_last_error(), "has 5 bytes, at most 4");
	ASSERT_EQ(snpu_file_map(path, 5, &mem, &size), 0);
	EXPECT_EQ(size, 5);
	EXPECT_TRUE(!memcmp(mem, "12345", 5));
	snpu_file_unmap(mem, size);
	EXPECT_EQ(snpu_file_map(self->f.path, 0, &mem, &size), -EINVAL);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(mkfifo(path, 0600), 0);
	EXPECT_EQ(snpu_file_map(path, 0, &mem, &size), -EINVAL);
}

TEST_F(checkpoint, model_is_a_folder)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/model.safetensors", self->f.path);
	ASSERT_EQ(mkdir(path, 0700), 0);
	EXPECT_EQ(snpu_ckpt_open(self->f.path, &self->c), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "no regular file");
}

/* --- to float32 ---------------------------------------------------------------------------------------------------- */

static uint32_t bits_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

/* The value of a half: from its definition, by ldexp. */
static float half(unsigned h)
{
	int e = h >> 10 & 31, m = h & 0x3ff;
	double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

	if (e == 31)
		v = m ? NAN : INFINITY;
	return (float)(h & 0x8000 ? -v : v);
}

/* All 65536 of both kinds, one byte off any alignment. */
TEST(every_16_bit_float)
{
	uint8_t *mem = malloc(1 + 131072);
	float *out = malloc(65536 * sizeof(*out));
	struct snpu_ckpt_tensor t = { .name = (char[]){ "t" }, .type = SNPU_TENSOR_F16, .count = 65536, .data = mem + 1 };

	ASSERT_TRUE(mem && out);
	for (unsigned i = 0; i < 65536; i++)
		memcpy(mem + 1 + 2 * i, &(uint16_t){ (uint16_t)i }, 2);
	ASSERT_EQ(snpu_tensor_f32(&t, 0, 65536, out), 0);
	for (unsigned i = 0; i < 65536; i++)
		if (isnan(half(i)) ? !isnan(out[i]) || bits_of(out[i]) >> 31 != i >> 15 : bits_of(out[i]) != bits_of(half(i)))
			TH_FAILMSG("half 0x%04x became %g", i, (double)out[i]);
	t.type = SNPU_TENSOR_BF16;
	ASSERT_EQ(snpu_tensor_f32(&t, 0, 65536, out), 0);
	for (unsigned i = 0; i < 65536; i++)
		EXPECT_EQ(bits_of(out[i]), i << 16);
	/* A piece of it. */
	ASSERT_EQ(snpu_tensor_f32(&t, 0x3f80, 2, out), 0);
	EXPECT_TRUE(out[0] == 1.0f && out[1] == 1.0078125f);
	EXPECT_EQ(bits_of(out[2]), 2 << 16);
	free(out);
	free(mem);
}

TEST(floats_and_doubles)
{
	static const float f[] = { 1.5f, -0.0f, 0x1p-149f, 3.4e38f, NAN, -INFINITY };
	static const double d[] = { 1.0, -0.0, 1.0 + 0x1p-24, 1.0 + 3 * 0x1p-24, 0.1, 0x1p-150, 0x1.8p-150, 1e300, -1e300 };
	static const float rounded[] = { 1.0f, -0.0f, 1.0f, 1.0f + 0x1p-22f, 0.1f, 0.0f, 0x1p-149f, INFINITY, -INFINITY };
	uint8_t mem[1 + sizeof(d)];
	struct snpu_ckpt_tensor t = { .name = (char[]){ "t" }, .type = SNPU_TENSOR_F32, .count = 6, .data = mem + 1 };
	float out[9];

	memcpy(mem + 1, f, sizeof(f));
	ASSERT_EQ(snpu_tensor_f32(&t, 0, 6, out), 0);
	EXPECT_TRUE(!memcmp(out, f, sizeof(f)));
	ASSERT_EQ(snpu_tensor_f32(&t, 2, 1, out), 0);
	EXPECT_TRUE(out[0] == f[2]);
	memcpy(mem + 1, d, sizeof(d));
	t.type = SNPU_TENSOR_F64;
	t.count = 9;
	ASSERT_EQ(snpu_tensor_f32(&t, 0, 9, out), 0);
	for (unsigned i = 0; i < 9; i++)
		EXPECT_EQ(bits_of(out[i]), bits_of(rounded[i]));
	ASSERT_EQ(snpu_tensor_f32(&t, 4, 1, out), 0);
	EXPECT_TRUE(out[0] == 0.1f);
}

TEST(ranges_and_other_types)
{
	uint8_t mem[8] = { 0 };
	struct snpu_ckpt_tensor t = { .name = (char[]){ "weight" }, .type = SNPU_TENSOR_F32, .count = 2, .data = mem };
	float out[2];

	EXPECT_EQ(snpu_tensor_f32(&t, 0, 2, out), 0);
	EXPECT_EQ(snpu_tensor_f32(&t, 2, 0, out), 0);
	EXPECT_EQ(snpu_tensor_f32(&t, 0, 3, out), -ERANGE);
	EXPECT_EQ(snpu_tensor_f32(&t, 2, 1, out), -ERANGE);
	EXPECT_EQ(snpu_tensor_f32(&t, 3, 0, out), -ERANGE);
	EXPECT_EQ(snpu_tensor_f32(&t, UINT64_MAX, 2, out), -ERANGE);
	EXPECT_EQ(snpu_tensor_f32(&t, 1, UINT64_MAX, out), -ERANGE);
	EXPECT_CONTAINS(snpu_last_error(), "'weight'");
	t.type = SNPU_TENSOR_OTHER;
	EXPECT_EQ(snpu_tensor_f32(&t, 0, 1, out), -ENOTSUP);
	EXPECT_CONTAINS(snpu_last_error(), "'weight'");
}

TEST_HARNESS_MAIN
