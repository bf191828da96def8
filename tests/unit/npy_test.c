/* SPDX-License-Identifier: MIT */
/* .npy and .npz files: what NumPy writes, what we write, what is damaged. And the image encoder. */
#include <math.h>

#include "nir_rig.h"

/* A .npy file with this dictionary and `bytes` bytes of elements counting up from 0. */
static size_t make_npy(uint8_t *p, int version, const char *dict, size_t bytes)
{
	size_t at = version == 1 ? 10 : 12, len = strlen(dict);

	memcpy(p, "\x93NUMPY", 6);
	p[6] = (uint8_t)version;
	p[7] = 0;
	p[8] = (uint8_t)len;
	p[9] = (uint8_t)(len >> 8);
	if (version != 1)
		p[10] = p[11] = 0;
	memcpy(p + at, dict, len);
	for (size_t i = 0; i < bytes; i++)
		p[at + len + i] = (uint8_t)i;
	return at + len + bytes;
}

static int parse(int version, const char *dict, size_t bytes, struct snpu_array *a)
{
	static uint8_t file[8192];

	return snpu_npy_parse(file, make_npy(file, version, dict, bytes), a);
}

TEST(plain_files_of_all_versions)
{
	for (int version = 1; version <= 3; version++) {
		struct snpu_array a;

		ASSERT_EQ(parse(version, "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }\n", 12, &a), 0);
		EXPECT_EQ(a.dtype, SNPU_U16);
		EXPECT_EQ(a.rank, 2);
		EXPECT_EQ(a.shape[0], 2);
		EXPECT_EQ(a.shape[1], 3);
		EXPECT_EQ(((uint16_t *)a.data)[5], 0x0b0a);
		snpu_array_free(&a);
	}
}


TEST(element_types)
{
	EXPECT_STREQ(snpu_dtype_name(SNPU_F32), "float32");
	EXPECT_STREQ(snpu_dtype_name(SNPU_BOOL), "bool");
	EXPECT_STREQ(snpu_dtype_name(SNPU_DTYPE_COUNT), "?");
	EXPECT_EQ(snpu_dtype_size(SNPU_I64), 8);
	EXPECT_EQ(snpu_dtype_size(SNPU_DTYPE_COUNT), 0);
	snpu_array_free(NULL);
}

TEST(fortran_order_becomes_c_order)
{
	struct snpu_array a;
	static const uint8_t want[6] = { 0, 2, 4, 1, 3, 5 };

	ASSERT_EQ(parse(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", 6, &a), 0);
	EXPECT_EQ(memcmp(a.data, want, 6), 0);
	snpu_array_free(&a);
}

TEST(scalars_and_empty_arrays)
{
	struct snpu_array a;

	ASSERT_EQ(parse(1, "{'descr': '<f8', 'fortran_order': False, 'shape': ()}", 8, &a), 0);
	EXPECT_EQ(a.rank, 0);
	EXPECT_EQ(a.count, 1);
	snpu_array_free(&a);
	ASSERT_EQ(parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7)}", 0, &a), 0);
	EXPECT_EQ(a.count, 0);
	snpu_array_free(&a);
}

TEST(damaged_headers_are_refused)
{
	static const struct { const char *dict; int err; const char *says; } cases[] = {
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)}", -EBADMSG, "cut off" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", -EBADMSG, "wants more" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", -EBADMSG, "shape" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", -EBADMSG, "shape" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", -EBADMSG, "shape" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (2", -EBADMSG, "shape" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", -E2BIG, "axes" },
		{ "{'descr': '<f4', 'fortran_order': False}", -EBADMSG, "shape" },
		{ "{'descr': '<f4', 'shape': (1,)}", -EBADMSG, "fortran_order" },
		{ "{'fortran_order': False, 'shape': (1,)}", -EBADMSG, "descr" },
		{ "{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", -ENOTSUP, ">f4" },
		{ "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", -ENOTSUP, "|O" },
		{ "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", -ENOTSUP, "records" },
		{ "", -EBADMSG, "header" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snpu_array a;

		EXPECT_EQ(parse(1, cases[i].dict, 16, &a), cases[i].err);
		EXPECT_CONTAINS(snpu_last_error(), cases[i].says);
	}
}

TEST(every_prefix_of_a_file_is_refused)
{
	uint8_t file[512];
	size_t size = make_npy(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 16);

	for (size_t n = 0; n < size; n++) {
		/* A copy of just that size, so that a sanitizer sees a read behind it. */
		uint8_t *cut = malloc(n ? n : 1);
		struct snpu_array a;

		memcpy(cut, file, n);
		EXPECT_NE(snpu_npy_parse(cut, n, &a), 0);
		free(cut);
	}
}

TEST(what_is_written_can_be_read)
{
	for (int t = 0; t < SNPU_DTYPE_COUNT; t++) {
		uint64_t shape[3] = { 2, 1, 5 };
		struct snpu_array a, b;
		size_t size;
		void *mem;

		ASSERT_EQ(snpu_array_create((enum snpu_dtype)t, 3, shape, &a), 0);
		for (size_t i = 0; i < 10 * snpu_dtype_size(a.dtype); i++)
			((uint8_t *)a.data)[i] = (uint8_t)(i * 7 + 1);
		ASSERT_EQ(snpu_npy_format(&a, &mem, &size), 0);
		EXPECT_EQ(((uint8_t *)mem)[8] % 64, 64 - 10);
		ASSERT_EQ(snpu_npy_parse(mem, size, &b), 0);
		EXPECT_EQ(b.dtype, a.dtype);
		EXPECT_EQ(b.rank, 3);
		EXPECT_EQ(b.shape[2], 5);
		EXPECT_EQ(memcmp(a.data, b.data, 10 * snpu_dtype_size(a.dtype)), 0);
		free(mem);
		snpu_array_free(&a);
		snpu_array_free(&b);
	}
}

TEST(archives_of_numpy_are_read)
{
	struct snpu_array images, labels, other;

	ASSERT_TRUE(rig_npz(DATA "mnist/mnist_test1000.npz", "images", &images));
	EXPECT_EQ(images.dtype, SNPU_U8);
	EXPECT_EQ(images.rank, 3);
	EXPECT_EQ(images.count, 784000);
	ASSERT_TRUE(rig_npz(DATA "mnist/mnist_test1000.npz", "labels", &labels));
	EXPECT_EQ(labels.count, 1000);
	EXPECT_FALSE(rig_npz(DATA "mnist/mnist_test1000.npz", "nothing", &other));
	EXPECT_CONTAINS(snpu_last_error(), "no array 'nothing'");
	snpu_array_free(&images);
	snpu_array_free(&labels);
}

static void write_two(const char *path)
{
	float x[3] = { 1, 2, 3 };
	uint8_t y = 9;
	struct snpu_array arrays[2] = {
		{ .dtype = SNPU_F32, .rank = 1, .shape = { 3 }, .count = 3, .data = x },
		{ .dtype = SNPU_U8, .count = 1, .data = &y },
	};
	const char *names[2] = { "a/b.v", "y" };

	ASSERT_EQ(snpu_npz_write(path, 2, names, arrays), 0);
	names[1] = "a/b.v";
	EXPECT_EQ(snpu_npz_write(path, 2, names, arrays), -EINVAL);
	EXPECT_EQ(snpu_npz_write("/no/such/folder/x.npz", 1, names, arrays), -EIO);
}

TEST(archives_are_written_the_same_every_time)
{
	char path[] = "/tmp/snpu-npz-XXXXXX", again[sizeof(path) + 8];
	size_t n1, n2;
	struct snpu_array a;
	void *p1, *p2;
	int fd = mkstemp(path);

	ASSERT_GE(fd, 0);
	close(fd);
	snprintf(again, sizeof(again), "%s.again", path);
	write_two(path);
	write_two(again);
	p1 = rig_read(path, &n1);
	p2 = rig_read(again, &n2);
	ASSERT_TRUE(p1 && p2);
	EXPECT_EQ(n1, n2);
	EXPECT_EQ(memcmp(p1, p2, n1), 0);
	ASSERT_TRUE(rig_npz(path, "a/b.v", &a));
	EXPECT_EQ(((float *)a.data)[2], 3);
	snpu_array_free(&a);
	free(p1);
	free(p2);
	unlink(path);
	unlink(again);
}

/* Flips and cuts of a real archive: an error or an array, never more. */
TEST(damaged_archives)
{
	size_t size;
	uint8_t *good = rig_read(DATA "prims/linear.npz", &size), *bad;
	uint32_t rng = 1, refused = 0;

	ASSERT_TRUE(good);
	bad = malloc(size);
	for (int i = 0; i < 2000; i++) {
		struct snpu_npz *z;
		size_t n = size;

		memcpy(bad, good, size);
		for (int k = 0; k < 1 + i % 3; k++) {
			rng = rng * 1664525 + 1013904223;
			bad[(rng >> 8) % size] ^= (uint8_t)(1 << (rng >> 29));
		}
		if (i % 4 == 0)
			n = (rng >> 8) % size;
		if (snpu_npz_open(bad, n, &z)) {
			refused++;
			continue;
		}
		for (unsigned k = 0; k < snpu_npz_count(z); k++) {
			struct snpu_array a;

			if (snpu_npz_read(z, snpu_npz_name(z, k), &a))
				refused++;
			else
				snpu_array_free(&a);
		}
		snpu_npz_close(z);
	}
	EXPECT_GT(refused, 1000);
	free(good);
	free(bad);
}

/* Worked out by hand: pixel 255 adds 127 a step; (151 * 1) & 255 = 151, 151 + 127 = 278 fires and leaves 22. */
TEST(the_encoder_diffuses_errors)
{
	static const uint8_t pixels[3] = { 255, 255, 0 };
	static const float want[4][3] = { { 0, 1, 0 }, { 0, 0, 0 }, { 1, 1, 0 }, { 0, 0, 0 } };
	float spikes[4][3];

	snpu_encode_image(pixels, 3, 4, &spikes[0][0]);
	for (int t = 0; t < 4; t++)
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(spikes[t][i], want[t][i]);
}

TEST(conversion_to_float)
{
	int16_t v[3] = { -2, 0, 32767 };
	struct snpu_array a = { .dtype = SNPU_I16, .rank = 1, .shape = { 3 }, .count = 3, .data = v };
	float f[3];

	ASSERT_EQ(snpu_array_to_f32(&a, 0, 3, f), 0);
	EXPECT_EQ(f[0], -2);
	EXPECT_EQ(f[2], 32767);
	EXPECT_EQ(snpu_array_to_f32(&a, 2, 2, f), -ERANGE);
	EXPECT_EQ(snpu_array_to_f32(&a, UINT64_MAX, 2, f), -ERANGE);
}

/* splitmix64 of seed 0 begins with e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f (its authors' test vector). */
TEST(rate_by_chance)
{
	uint8_t pixels[3] = { 0xe3, 255, 0 }, grey[512];
	float spikes[6], *many = malloc(2 * 200 * 512 * sizeof(*many));
	double sum = 0;

	snpu_encode_rate(pixels, 3, 2, 0, spikes);
	/* e220a839 of 2^32 is 225.24 of 255: a pixel of 227 fires, one of 225 does not. */
	EXPECT_TRUE(spikes[0] == 1 && spikes[1] == 1 && spikes[2] == 0 && spikes[4] == 1 && spikes[5] == 0);
	pixels[0] = 225;
	snpu_encode_rate(pixels, 3, 1, 0, spikes);
	EXPECT_TRUE(spikes[0] == 0);
	/* 06c45d18 is 6.75: the third pixel fires from 7 on. */
	for (int p = 6; p < 8; p++) {
		pixels[2] = (uint8_t)p;
		snpu_encode_rate(pixels, 3, 1, 0, spikes);
		EXPECT_TRUE(spikes[2] == (p == 7));
	}
	memset(grey, 64, sizeof(grey));
	snpu_encode_rate(grey, 512, 200, 5, many);
	snpu_encode_rate(grey, 512, 200, 6, many + 200 * 512);
	for (int i = 0; i < 200 * 512; i++)
		sum += (double)many[i];
	EXPECT_TRUE(fabs(sum / (200 * 512) - 64 / 255.0) < 0.005);
	EXPECT_NE(memcmp(many, many + 200 * 512, 200 * 512 * sizeof(*many)), 0);
	free(many);
}

TEST(latency_of_a_pixel)
{
	uint8_t pixels[4] = { 255, 128, 1, 0 };
	float spikes[10 * 4];

	snpu_encode_latency(pixels, 4, 10, spikes);
	for (int t = 0; t < 10; t++)
		for (int i = 0; i < 4; i++)
			EXPECT_TRUE(spikes[t * 4 + i] == ((i == 0 && t == 0) || (i == 1 && t == 4) || (i == 2 && t == 8)));
	snpu_encode_latency(pixels, 4, 1, spikes);
	EXPECT_TRUE(spikes[0] == 1 && spikes[1] == 1 && spikes[2] == 1 && spikes[3] == 0);
}

TEST_HARNESS_MAIN
