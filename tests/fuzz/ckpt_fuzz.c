/* SPDX-License-Identifier: MIT */
/*
 * Damaged checkpoints: bytes flipped, overwritten, cut off, put elsewhere, the same ones in every run. Each must give an error
 * with a sentence or tensors whose every byte lies inside the file; a crash, a leak (under a sanitizer) or a hang fails. Seeds
 * are built here, and small, so that damage hits what is parsed.
 *
 * CKPT_FUZZ_SECONDS sets how long each kind of file is looked at; without it, 20000 cases. After a crash, the number that was
 * printed last is the first case of its batch. With -DLIBFUZZER it is an entry point for libFuzzer instead: the first byte chooses.
 */
#include <time.h>

#include "tests/fuzz/roll.h"
#include "tests/unit/ckpt_rig.h"

#define CASES	20000u		/* without CKPT_FUZZ_SECONDS */
#define BATCH	4096u

/* Every tensor lies in the file, and every element can be read. */
static bool use(const struct snpu_tensor_list *list, const uint8_t *mem, size_t size)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct snpu_ckpt_tensor *t = &list->tensor[i];
		const uint8_t *p = t->data;
		volatile uint8_t last;
		float out;

		if (p < mem || p > mem + size || t->bytes > (size_t)(mem + size - p) || t->count > t->bytes || t->rank > SNPU_MAX_RANK)
			return false;
		if (t->bytes)
			last = p[t->bytes - 1];
		(void)last;
		for (uint64_t k = 0; k < t->count; k++)
			if (snpu_tensor_f32(t, k, 1, &out) && t->type != SNPU_TENSOR_OTHER)
				return false;
		if (!snpu_tensor_f32(t, t->count, 1, &out))
			return false;
	}
	return true;
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snpu_tensor_list list = { 0 };

	if (size && !(data[0] & 1 ? snpu_torch_parse : snpu_safetensors_parse)(data + 1, size - 1, &list) && !use(&list, data, size))
		abort();
	snpu_tensor_list_free(&list);
	return 0;
}
#else

/* What means something to one of the parsers: sizes, digits and brackets of JSON, operations of a pickle. */
static const uint8_t favourites[] = "\x00\x01\x7f\x80\xff\x10{}[]\",:019-e ()tRQcXKJMqhrjbsu.N\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95";

static void spoil(uint8_t *p, size_t size)
{
	uint8_t value = favourites[roll(sizeof(favourites) - 1)];
	size_t at = roll((uint32_t)size), n = 1 + roll(8);

	switch (roll(5)) {
	case 0:
		p[at] ^= (uint8_t)(1u << roll(8));
		break;
	case 1:
		p[at] = value;
		break;
	case 2:
		memset(p + at, value, n < size - at ? n : size - at);
		break;
	case 3:			/* one less or more: sizes that almost fit */
		p[at] += (uint8_t)(roll(2) ? 1 : 255);
		break;
	default:
		n = 1u << roll(8);
		if (n <= size && at <= size - n)
			memmove(p + at, p + roll((uint32_t)(size - n + 1)), n);
	}
}

struct fuzz {
	struct buf good[4];
	unsigned n, seed;
	unsigned read, refused;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Calls one() with damaged copies until time or cases are over. */
static void run(struct fuzz *f, void (*one)(struct fuzz *f, const uint8_t *bad, size_t n))
{
	const char *env = getenv("CKPT_FUZZ_SECONDS");
	double end = env ? now_s() + atof(env) : 0.0;
	unsigned i = 0;

	for (; env ? now_s() < end : i < CASES; i++) {
		const struct buf *good = &f->good[i % f->n];
		uint8_t *bad = malloc(good->n);
		size_t n = good->n;

		if (i % BATCH == 0)
			printf("# from case %u of seed %u\n", i, f->seed);
		rng = (uint64_t)f->seed << 32 | (i + 1) * 2654435761u;
		memcpy(bad, good->mem, n);
		for (unsigned k = 1 + roll(4); k; k--)
			spoil(bad, n);
		if (roll(16) == 0) {
			n = roll((uint32_t)n);
			bad = realloc(bad, n ? n : 1);
		}
		one(f, bad, n);
		free(bad);
		if (th_failed) {
			printf("# case %u of seed %u: %s\n", i, f->seed, snpu_last_error());
			break;
		}
	}
	printf("# %u cases: %u read, %u refused\n", i, f->read, f->refused);
	/* Damage to weights goes unseen, damage to structure does not: both must happen, or this tests nothing. */
	EXPECT_GT(f->read, i / 1000);
	EXPECT_GT(f->refused, i / 10);
	for (unsigned k = 0; k < f->n; k++)
		free(f->good[k].mem);
}

static void parse(struct fuzz *f, parse_fn fn, const uint8_t *bad, size_t n)
{
	struct snpu_tensor_list list = { 0 };
	int err;

	(void)snpu_fail(0, "%s", "");
	err = fn(bad, n, &list);
	if (!err)
		EXPECT_TRUE(use(&list, bad, n));
	else if (err != -EBADMSG || !snpu_last_error()[0])
		TH_FAILMSG("error %d without a sentence", err);
	f->read += !err;
	f->refused += !!err;
	snpu_tensor_list_free(&list);
}

static void one_safetensors(struct fuzz *f, const uint8_t *bad, size_t n)
{
	parse(f, snpu_safetensors_parse, bad, n);
}

static void one_torch(struct fuzz *f, const uint8_t *bad, size_t n)
{
	parse(f, snpu_torch_parse, bad, n);
}

TEST_TIMEOUT(safetensors, 7200)
{
	struct fuzz f = { .seed = 1, .n = 3 };

	f.good[0] = make_safetensors("{\"__metadata__\":{\"format\":\"pt\"},\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
				     "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]}}", 32);
	f.good[1] = make_safetensors("{\"x\":{\"dtype\":\"F16\",\"shape\":[1,2,1],\"data_offsets\":[4,8]},\"e\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[4,4]},"
				     "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]}}    ", 16);
	f.good[2] = make_safetensors("{\"z\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 9);
	run(&f, one_safetensors);
}

/* Three tables in archives of the least size: both protocols, and 64-bit sizes. */
static void make_torch_seeds(struct fuzz *f)
{
	static const struct zip_how how[] = { { 0 }, { .zip64 = true }, { .comment = "c" } };
	static const struct torch_tensor a = { "w", .elements = 16, .first = 2, .rank = 2, .shape = { 2, 5 }, .stride = { 5, 1 } },
		b = { "b", "BFloat16Storage", "1", .elements = 12, .rank = 1, .shape = { 12 }, .stride = { 1 } };
	static const char protocol4[] = "\x80\x04}\x94(\x8c\x01w\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94((\x8c\x07storage\x94\x8c\x05torch\x94"
		"\x8c\x0bHalfStorage\x94\x93\x94\x8c\x01" "1\x94\x8c\x03" "cpu\x94K\x0ct\x94QK\x00K\x03K\x04\x86\x94K\x04K\x01\x86\x94\x89}t\x94R\x94u.";
	uint8_t data[64];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(17 * i);
	for (unsigned i = 0; i < 3; i++) {
		struct buf pickle = { 0 };
		struct zip_entry e[] = { { "x/data.pkl" }, { "x/data/0", data, 64 }, { "x/data/1", data, 24 }, { "x/byteorder", "little", 6 } };

		if (i < 2) {
			put_text(&pickle, i ? PROTO2 "}(" : PROTO2 ORDERED_DICT ")Rq");
			if (!i) {
				put_le(&pickle, 0, 1);
				put_text(&pickle, "(");
			}
			pk_tensor(&pickle, &a);
			pk_tensor(&pickle, &b);
			put_text(&pickle, i ? "u." : "u}b.");
		} else {
			put(&pickle, protocol4, sizeof(protocol4) - 1);
		}
		e[0].data = pickle.mem;
		e[0].n = pickle.n;
		f->good[i] = make_zip(e, 4, &how[i]);
		free(pickle.mem);
	}
	f->n = 3;
}

TEST_TIMEOUT(torch, 7200)
{
	struct fuzz f = { .seed = 2 };

	make_torch_seeds(&f);
	for (unsigned i = 0; i < f.n; i++)
		ASSERT_EQ(parse_only(snpu_torch_parse, f.good[i].mem, f.good[i].n), 0);
	run(&f, one_torch);
}

/* --- the index, through a folder ----------------------------------------------------------------------------------- */

static struct folder folder;

static void one_index(struct fuzz *f, const uint8_t *bad, size_t n)
{
	const struct snpu_ckpt_tensor *t;
	struct snpu_ckpt *c;
	int err;

	ASSERT_TRUE(folder_put(&folder, "model.safetensors.index.json", bad, n));
	(void)snpu_fail(0, "%s", "");
	err = snpu_ckpt_open(folder.path, &c);
	f->read += !err;
	f->refused += !!err;
	if (err) {
		if ((err != -EBADMSG && err != -ENOENT && err != -EINVAL) || !snpu_last_error()[0])
			TH_FAILMSG("error %d without a sentence", err);
		return;
	}
	for (size_t i = 0; (t = snpu_ckpt_tensor(c, i)); i++) {
		EXPECT_TRUE(snpu_ckpt_find(c, t->name) == t);
		snpu_ckpt_drop(c, t);
	}
	snpu_ckpt_close(c);
}

TEST_TIMEOUT(shards, 7200)
{
	static const char *const shards[] = { "1", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "2",
					      "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}" };
	struct fuzz f = { .seed = 3, .n = 1 };

	ASSERT_TRUE(folder_create(&folder));
	for (unsigned i = 0; i < 4; i += 2) {
		struct buf b = make_safetensors(shards[i + 1], 1);

		EXPECT_TRUE(folder_put(&folder, shards[i], b.mem, b.n));
		free(b.mem);
	}
	put_text(&f.good[0], "{\"metadata\":{\"total_size\":2},\"weight_map\":{\"a\":\"1\",\"b\":\"2\"}}  ");
	run(&f, one_index);
	folder_remove(&folder);
}

TEST_HARNESS_MAIN
#endif
