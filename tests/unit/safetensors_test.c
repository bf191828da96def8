/* SPDX-License-Identifier: MIT */
/* safetensors files, built here: what is read, and every way in which a file is refused. */
#include "tests/unit/ckpt_rig.h"

#define GOOD	"{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}," \
		"\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]}}"
/* One tensor `x`. */
#define ONE(dtype, shape, at)	"{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" at "}}"
#define TWO(at_a, at_b)		"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" at_a "}," \
				"\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" at_b "}}"

static int parse_text(const char *header, size_t data)
{
	struct buf b = make_safetensors(header, data);
	int err = parse_only(snpu_safetensors_parse, b.mem, b.n);

	free(b.mem);
	return err;
}

TEST(two_tensors)
{
	struct buf b = make_safetensors(GOOD, 32);
	struct snpu_tensor_list list = { 0 };
	const struct snpu_ckpt_tensor *t;

	ASSERT_EQ(snpu_safetensors_parse(b.mem, b.n, &list), 0);
	ASSERT_EQ(list.n, 2);
	t = &list.tensor[0];
	EXPECT_STREQ(t->name, "a");
	EXPECT_EQ(t->type, SNPU_TENSOR_F32);
	EXPECT_EQ(t->rank, 2);
	EXPECT_EQ(t->shape[0], 2);
	EXPECT_EQ(t->shape[1], 3);
	EXPECT_EQ(t->count, 6);
	EXPECT_EQ(t->bytes, 24);
	EXPECT_TRUE(t->data == b.mem + b.n - 32);
	t = &list.tensor[1];
	EXPECT_STREQ(t->name, "b");
	EXPECT_EQ(t->type, SNPU_TENSOR_BF16);
	EXPECT_EQ(t->count, 4);
	EXPECT_TRUE(t->data == b.mem + b.n - 8);
	snpu_tensor_list_free(&list);
	EXPECT_EQ(list.n, 0);
	free(b.mem);
}

TEST(appends)
{
	struct buf b = make_safetensors(GOOD, 32);
	struct snpu_tensor_list list = { 0 };

	for (unsigned i = 1; i <= 50; i++) {
		ASSERT_EQ(snpu_safetensors_parse(b.mem, b.n, &list), 0);
		EXPECT_EQ(list.n, 2 * i);
	}
	EXPECT_STREQ(list.tensor[99].name, "b");
	snpu_tensor_list_free(&list);
	free(b.mem);
}

/* As some writers put them: in another order, spaces behind the header, fields nobody knows. */
TEST(order_and_spaces_do_not_matter)
{
	EXPECT_EQ(parse_text(TWO("[4,8]", "[0,4]") "     ", 8), 0);
	EXPECT_EQ(parse_text("{\"x\":{\"new\":[],\"data_offsets\":[0,4],\"shape\":[4],\"dtype\":\"U8\"}}", 4), 0);
	EXPECT_EQ(parse_text("{}", 0), 0);
	EXPECT_EQ(parse_text("{\"__metadata__\":{}}", 0), 0);
}

TEST(numbers_and_empty_tensors)
{
	struct buf b = make_safetensors("{\"n\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
					"\"e\":{\"dtype\":\"F32\",\"shape\":[3,0,4611686018427387904],\"data_offsets\":[4,4]},"
					"\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8);
	struct snpu_tensor_list list = { 0 };
	float f;

	/* 3 * 2^62 * 4 does not fit, whatever stands beside it; 2^59 would. */
	EXPECT_EQ(snpu_safetensors_parse(b.mem, b.n, &list), -EBADMSG);
	snpu_tensor_list_free(&list);
	free(b.mem);
	b = make_safetensors("{\"n\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
			     "\"e\":{\"dtype\":\"F32\",\"shape\":[3,0,576460752303423488],\"data_offsets\":[4,4]},"
			     "\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8);
	ASSERT_EQ(snpu_safetensors_parse(b.mem, b.n, &list), 0);
	EXPECT_EQ(list.tensor[0].rank, 0);
	EXPECT_EQ(list.tensor[0].count, 1);
	EXPECT_EQ(list.tensor[1].count, 0);
	EXPECT_EQ(list.tensor[1].bytes, 0);
	EXPECT_EQ(list.tensor[1].rank, 3);
	EXPECT_EQ(snpu_tensor_f32(&list.tensor[1], 0, 0, &f), 0);
	EXPECT_EQ(snpu_tensor_f32(&list.tensor[1], 0, 1, &f), -ERANGE);
	snpu_tensor_list_free(&list);
	free(b.mem);
}

TEST(every_element_type)
{
	static const struct {
		const char *name;
		unsigned bytes;
		enum snpu_tensor_type type;
	} types[] = {
		{ "F32", 4, SNPU_TENSOR_F32 }, { "F16", 2, SNPU_TENSOR_F16 }, { "BF16", 2, SNPU_TENSOR_BF16 }, { "F64", 8, SNPU_TENSOR_F64 },
		{ "BOOL", 1, SNPU_TENSOR_OTHER }, { "U8", 1, SNPU_TENSOR_OTHER }, { "I8", 1, SNPU_TENSOR_OTHER }, { "U16", 2, SNPU_TENSOR_OTHER },
		{ "I16", 2, SNPU_TENSOR_OTHER }, { "U32", 4, SNPU_TENSOR_OTHER }, { "I32", 4, SNPU_TENSOR_OTHER }, { "U64", 8, SNPU_TENSOR_OTHER },
		{ "I64", 8, SNPU_TENSOR_OTHER }, { "F8_E4M3", 1, SNPU_TENSOR_OTHER }, { "F8_E5M2", 1, SNPU_TENSOR_OTHER },
		{ "F8_E8M0", 1, SNPU_TENSOR_OTHER },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct snpu_tensor_list list = { 0 };
		char header[128];
		struct buf b;

		snprintf(header, sizeof(header), ONE("\"%s\"", "[3]", "[0,%u]"), types[i].name, 3 * types[i].bytes);
		b = make_safetensors(header, 3 * types[i].bytes);
		ASSERT_EQ(snpu_safetensors_parse(b.mem, b.n, &list), 0);
		EXPECT_EQ(list.tensor[0].type, types[i].type);
		EXPECT_EQ(list.tensor[0].bytes, 3 * types[i].bytes);
		snpu_tensor_list_free(&list);
		free(b.mem);
		/* One byte less: sizes are checked for all of them. */
		snprintf(header, sizeof(header), ONE("\"%s\"", "[3]", "[0,%u]"), types[i].name, 3 * types[i].bytes - 1);
		EXPECT_EQ(parse_text(header, 3 * types[i].bytes - 1), -EBADMSG);
		EXPECT_CONTAINS(snpu_last_error(), "its shape wants");
	}
}

/* --- refusals ------------------------------------------------------------------------------------------------------ */

FIXTURE(refuse) { int unused; };
FIXTURE_VARIANT(refuse) {
	const char *header;
	size_t data;
	const char *says;
};
FIXTURE_SETUP(refuse) { }
FIXTURE_TEARDOWN(refuse) { }
#define REFUSE(name, ...) FIXTURE_VARIANT_ADD(refuse, name) { __VA_ARGS__ }

REFUSE(empty_header, "", 32, "is no safetensors file");
REFUSE(header_is_an_array, "[]", 0, "is no safetensors file");
REFUSE(header_begins_with_a_space, " {}", 0, "is no safetensors file");
REFUSE(header_is_not_json, "{\"a\":", 0, "damaged at byte");
REFUSE(more_behind_the_header, "{}{}", 0, "damaged at byte");
REFUSE(zero_in_a_name, "{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "damaged at byte");
REFUSE(name_is_not_utf8, "{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "damaged at byte");
REFUSE(tensor_twice, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
       2, "duplicate");
REFUSE(field_twice, "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "duplicate");
REFUSE(metadata_twice, "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate");
REFUSE(tensor_is_a_number, "{\"a\":1}", 0, "'a' lacks");
REFUSE(no_dtype, "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "'a' lacks");
REFUSE(no_shape, "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "'a' lacks");
REFUSE(no_offsets, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "'a' lacks");
REFUSE(dtype_unknown, ONE("\"F4\"", "[2]", "[0,1]"), 1, "unknown element type 'F4'");
REFUSE(dtype_in_small_letters, ONE("\"f32\"", "[1]", "[0,4]"), 4, "unknown element type 'f32'");
REFUSE(dtype_is_a_number, ONE("32", "[1]", "[0,4]"), 4, "'x' lacks");
REFUSE(shape_is_a_number, ONE("\"U8\"", "4", "[0,4]"), 4, "'x' lacks");
REFUSE(axis_negative, ONE("\"U8\"", "[2,-2]", "[0,4]"), 4, "axis 1 of tensor 'x'");
REFUSE(axis_is_a_fraction, ONE("\"U8\"", "[4.0]", "[0,4]"), 4, "axis 0 of tensor 'x'");
REFUSE(axis_is_true, ONE("\"U8\"", "[true]", "[0,1]"), 1, "axis 0 of tensor 'x'");
REFUSE(axis_of_64_bits, ONE("\"U8\"", "[18446744073709551616]", "[0,0]"), 0, "damaged at byte");
REFUSE(nine_axes, ONE("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, "9 axes");
REFUSE(product_overflows, ONE("\"U8\"", "[4611686018427387904,5]", "[0,4]"), 4, "more bytes than memory has");
REFUSE(product_wraps_to_zero, ONE("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0, "more bytes than memory has");
REFUSE(product_wraps_before_an_empty_axis, ONE("\"U8\"", "[4294967296,4294967296,0]", "[0,0]"), 0, "more bytes than memory has");
REFUSE(product_wraps_behind_an_empty_axis, ONE("\"U8\"", "[0,4294967296,4294967296]", "[0,0]"), 0, "more bytes than memory has");
REFUSE(bytes_wrap_to_zero, ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "more bytes than memory has");
REFUSE(one_offset, ONE("\"U8\"", "[4]", "[4]"), 4, "are no range");
REFUSE(three_offsets, ONE("\"U8\"", "[4]", "[0,4,4]"), 4, "are no range");
REFUSE(offsets_are_no_array, ONE("\"U8\"", "[4]", "4"), 4, "'x' lacks");
REFUSE(offsets_backwards, ONE("\"U8\"", "[4]", "[4,0]"), 4, "are no range");
REFUSE(offset_negative, ONE("\"U8\"", "[4]", "[-4,0]"), 4, "are no range");
REFUSE(offset_is_a_string, ONE("\"U8\"", "[4]", "[0,\"4\"]"), 4, "are no range");
REFUSE(past_the_end, ONE("\"U8\"", "[5]", "[0,5]"), 4, "cut off");
REFUSE(far_past_the_end, ONE("\"U8\"", "[5]", "[9223372036854775802,9223372036854775807]"), 4, "cut off");
REFUSE(span_too_small, ONE("\"F32\"", "[2]", "[0,4]"), 4, "has 4 bytes, its shape wants 8");
REFUSE(span_too_large, ONE("\"F32\"", "[1]", "[0,8]"), 8, "has 8 bytes, its shape wants 4");
REFUSE(empty_with_bytes, ONE("\"F32\"", "[0]", "[0,4]"), 4, "has 4 bytes, its shape wants 0");
REFUSE(gap_at_the_start, TWO("[1,5]", "[5,9]"), 9, "bytes 0 to 1 before tensor 'a'");
REFUSE(gap_between, TWO("[0,4]", "[5,9]"), 9, "bytes 4 to 5 before tensor 'b'");
REFUSE(gap_at_the_end, TWO("[0,4]", "[4,8]"), 9, "last 1 bytes");
REFUSE(overlap, TWO("[0,4]", "[3,7]"), 7, "'a' and 'b' overlap");
REFUSE(same_place, TWO("[0,4]", "[0,4]"), 4, "overlap");
REFUSE(empty_inside_another, "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]}}",
       4, "'a' and 'e' overlap");
REFUSE(data_without_tensors, "{}", 1, "last 1 bytes");
REFUSE(metadata_is_an_array, "{\"__metadata__\":[]}", 0, "__metadata__ of the header is no object");
REFUSE(metadata_has_a_number, "{\"__metadata__\":{\"a\":\"b\",\"n\":1}}", 0, "'n' in __metadata__ is no string");
REFUSE(metadata_is_nested, "{\"__metadata__\":{\"n\":{}}}", 0, "'n' in __metadata__ is no string");

TEST_F(refuse, parse)
{
	EXPECT_EQ(parse_text(variant->header, variant->data), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), variant->says);
}

TEST(refuse_header_longer_than_the_file)
{
	struct buf b = make_safetensors(GOOD, 32);

	for (uint64_t more = 1; more; more <<= 1) {
		uint64_t len = b.n - 8 + more;

		memcpy(b.mem, &len, 8);
		ASSERT_EQ(parse_only(snpu_safetensors_parse, b.mem, b.n), -EBADMSG);
		ASSERT_CONTAINS(snpu_last_error(), "is no safetensors file");
	}
	free(b.mem);
}

/* A good header but for its length. */
TEST(refuse_header_over_100_mb)
{
	size_t head = (100u << 20) + 1;
	uint8_t *mem = malloc(8 + head);
	struct snpu_tensor_list list = { 0 };

	ASSERT_TRUE(mem);
	memset(mem, ' ', 8 + head);
	memcpy(mem + 8, "{}", 2);
	memcpy(mem, &(uint64_t){ head }, 8);
	EXPECT_EQ(snpu_safetensors_parse(mem, 8 + head, &list), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "a header of 104857601 bytes");
	memcpy(mem, &(uint64_t){ head - 1 }, 8);
	EXPECT_EQ(snpu_safetensors_parse(mem, 8 + head - 1, &list), 0);
	free(mem);
}

TEST(refuse_deep_nesting)
{
	struct buf b = { 0 };

	put_text(&b, "{\"a\":");
	for (unsigned i = 0; i < 1u << 20; i++)
		put_text(&b, "[");
	put_le(&b, 0, 1);
	EXPECT_EQ(parse_text((const char *)b.mem, 0), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "depth");
	free(b.mem);
}

TEST(refuse_cut_off_anywhere)
{
	struct buf b = make_safetensors(GOOD, 32);

	for (size_t n = 0; n < b.n; n++)
		ASSERT_EQ(parse_only(snpu_safetensors_parse, b.mem, n), -EBADMSG);
	EXPECT_EQ(parse_only(snpu_safetensors_parse, b.mem, b.n), 0);
	put_le(&b, 0, 1);
	EXPECT_EQ(parse_only(snpu_safetensors_parse, b.mem, b.n), -EBADMSG);
	free(b.mem);
}

TEST_HARNESS_MAIN
