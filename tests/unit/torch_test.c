/* SPDX-License-Identifier: MIT */
/*
 * PyTorch's files, built here from raw operations of pickle and records of zip: what is read, and every way in which a file is
 * refused: other names, damaged pickles, tables that are none, archives that lie.
 */
#include "tests/unit/ckpt_rig.h"

static const struct torch_tensor matrix = { "m", .elements = 16, .first = 2, .rank = 2, .shape = { 2, 5 }, .stride = { 5, 1 } };

/* Bytes that make_torch() wraps; `bytes` may hold zeroes. */
static int parse_pickle(const void *bytes, size_t n)
{
	struct buf pickle = { 0 }, file;
	int err;

	put(&pickle, bytes, n);
	file = make_torch(&pickle);
	err = parse_only(snpu_torch_parse, file.mem, file.n);
	free(file.mem);
	free(pickle.mem);
	return err;
}

/* A table with one tensor. */
static struct buf table_of(const struct torch_tensor *t)
{
	struct buf b = { 0 };

	put_text(&b, PROTO2 "}");
	pk_tensor(&b, t);
	put_text(&b, "s.");
	return b;
}

static int parse_tensor(const struct torch_tensor *t)
{
	struct buf b = table_of(t);
	int err = parse_pickle(b.mem, b.n);

	free(b.mem);
	return err;
}

TEST(one_tensor)
{
	struct buf b = table_of(&matrix), file = make_torch(&b);
	struct snpu_tensor_list list = { 0 };
	const struct snpu_ckpt_tensor *t;

	ASSERT_EQ(snpu_torch_parse(file.mem, file.n, &list), 0);
	ASSERT_EQ(list.n, 1);
	t = &list.tensor[0];
	EXPECT_STREQ(t->name, "m");
	EXPECT_EQ(t->type, SNPU_TENSOR_F32);
	EXPECT_EQ(t->rank, 2);
	EXPECT_EQ(t->shape[0], 2);
	EXPECT_EQ(t->shape[1], 5);
	EXPECT_EQ(t->count, 10);
	EXPECT_EQ(t->bytes, 40);
	/* Two elements of four bytes into a storage that counts up, inside the file. */
	EXPECT_TRUE((const uint8_t *)t->data > file.mem && (const uint8_t *)t->data + t->bytes < file.mem + file.n);
	EXPECT_EQ(((const uint8_t *)t->data)[0], 8);
	EXPECT_EQ(((const uint8_t *)t->data)[39], 47);
	snpu_tensor_list_free(&list);
	free(file.mem);
	free(b.mem);
}

/* What state_dict() gives: an OrderedDict with an attribute, filled in one batch; two names for one storage. */
TEST(state_dict)
{
	static const struct torch_tensor a = { "a", .elements = 16, .rank = 1, .shape = { 16 }, .stride = { 1 } },
		tied = { "b.tied", .elements = 16, .rank = 2, .shape = { 4, 4 }, .stride = { 4, 1 } };
	struct snpu_tensor_list list = { 0 };
	struct buf b = { 0 }, file;

	put_text(&b, PROTO2 ORDERED_DICT ")R(");
	pk_tensor(&b, &a);
	pk_tensor(&b, &tied);
	put_text(&b, "u}");
	pk_str(&b, "_metadata");
	put_text(&b, ORDERED_DICT ")R");
	pk_str(&b, "");
	put_text(&b, "}");
	pk_str(&b, "version");
	put_text(&b, "K\x01sssb.");
	file = make_torch(&b);
	ASSERT_EQ(snpu_torch_parse(file.mem, file.n, &list), 0);
	ASSERT_EQ(list.n, 2);
	EXPECT_STREQ(list.tensor[1].name, "b.tied");
	EXPECT_TRUE(list.tensor[0].data == list.tensor[1].data);
	snpu_tensor_list_free(&list);
	free(file.mem);
	free(b.mem);
}

/* Protocols 4 and 5 frame the pickle, count what they keep, and take names from the stack. */
TEST(protocol_4)
{
	static const char pickle[] = "\x80\x04\x95\xb1\0\0\0\0\0\0\0}\x94\x8c\x06weight\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94"
		"((\x8c\x07storage\x94\x8c\x05torch\x94\x8c\x0bHalfStorage\x94\x93\x94\x8c\x01" "1\x94\x8c\x03" "cpu\x94K\x0ct\x94QK\x00K\x03K\x04\x86\x94"
		"K\x04K\x01\x86\x94\x89\x8c\x0b" "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94t\x94R\x94s.";
	struct buf b = { 0 }, file;
	struct snpu_tensor_list list = { 0 };

	put(&b, pickle, sizeof(pickle) - 1);
	b.mem[3] = (uint8_t)(b.n - 11);
	file = make_torch(&b);
	EXPECT_EQ(snpu_torch_parse(file.mem, file.n, &list), 0);
	ASSERT_EQ(list.n, 1);
	EXPECT_STREQ(list.tensor[0].name, "weight");
	EXPECT_EQ(list.tensor[0].type, SNPU_TENSOR_F16);
	EXPECT_EQ(list.tensor[0].shape[0], 3);
	EXPECT_EQ(list.tensor[0].shape[1], 4);
	snpu_tensor_list_free(&list);
	free(file.mem);
	/* A frame that is longer than the pickle. */
	b.mem[3]++;
	EXPECT_EQ(parse_pickle(b.mem, b.n), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "frame");
	free(b.mem);
}

TEST(every_storage)
{
	static const struct {
		const char *name;
		unsigned bytes;
		enum snpu_tensor_type type;
	} types[] = {
		{ "FloatStorage", 4, SNPU_TENSOR_F32 }, { "HalfStorage", 2, SNPU_TENSOR_F16 }, { "BFloat16Storage", 2, SNPU_TENSOR_BF16 },
		{ "DoubleStorage", 8, SNPU_TENSOR_F64 }, { "LongStorage", 8, SNPU_TENSOR_OTHER }, { "IntStorage", 4, SNPU_TENSOR_OTHER },
		{ "ShortStorage", 2, SNPU_TENSOR_OTHER }, { "CharStorage", 1, SNPU_TENSOR_OTHER }, { "ByteStorage", 1, SNPU_TENSOR_OTHER },
		{ "BoolStorage", 1, SNPU_TENSOR_OTHER },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct torch_tensor t = { "x", types[i].name, .elements = 64 / types[i].bytes, .rank = 1, .shape = { 2 }, .stride = { 1 } };
		struct buf b = table_of(&t), file = make_torch(&b);
		struct snpu_tensor_list list = { 0 };

		ASSERT_EQ(snpu_torch_parse(file.mem, file.n, &list), 0);
		EXPECT_EQ(list.tensor[0].type, types[i].type);
		EXPECT_EQ(list.tensor[0].bytes, 2 * types[i].bytes);
		snpu_tensor_list_free(&list);
		free(file.mem);
		free(b.mem);
		t.elements++;
		EXPECT_EQ(parse_tensor(&t), -EBADMSG);
	}
}

TEST(shapes)
{
	/* A number; nothing; any stride along an axis of one; the last elements of a storage; eight axes; an empty storage. */
	static const struct torch_tensor good[] = {
		{ "x", .elements = 16, .first = 15 },
		{ "x", .elements = 16, .first = 16, .rank = 2, .shape = { 3, 0 }, .stride = { 7, 7 } },
		{ "x", .elements = 16, .rank = 3, .shape = { 1, 4, 1 }, .stride = { -5, 1, 99 } },
		{ "x", .elements = 16, .first = 4, .rank = 2, .shape = { 3, 4 }, .stride = { 4, 1 } },
		{ "x", .elements = 16, .rank = 8, .shape = { 1, 1, 1, 1, 1, 1, 1, 1 }, .stride = { 1, 1, 1, 1, 1, 1, 1, 1 } },
		{ "x", .key = "2", .rank = 1, .shape = { 0 }, .stride = { 1 } },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		EXPECT_EQ(parse_tensor(&good[i]), 0);
		if (th_failed)
			printf("# %s\n", snpu_last_error());
	}
}

/* --- refusals: tensors --------------------------------------------------------------------------------------------- */

FIXTURE(refuse_tensor) { int unused; };
FIXTURE_VARIANT(refuse_tensor) {
	struct torch_tensor t;
	const char *says;
};
FIXTURE_SETUP(refuse_tensor) { }
FIXTURE_TEARDOWN(refuse_tensor) { }
#define TENSOR(name, says_, ...) FIXTURE_VARIANT_ADD(refuse_tensor, name) { .t = { "x", __VA_ARGS__ }, .says = says_ }

TENSOR(transposed, "not stored row by row", .elements = 16, .rank = 2, .shape = { 4, 3 }, .stride = { 1, 4 });
TENSOR(with_holes, "not stored row by row", .elements = 16, .rank = 1, .shape = { 4 }, .stride = { 2 });
TENSOR(expanded, "not stored row by row", .elements = 16, .rank = 1, .shape = { 4 }, .stride = { 0 });
TENSOR(backwards, "not stored row by row", .elements = 16, .first = 8, .rank = 1, .shape = { 4 }, .stride = { -1 });
TENSOR(one_stride_too_few, "its shape", .elements = 16, .rank = 2, .strides = 1, .shape = { 4, 4 }, .stride = { 4 });
TENSOR(one_stride_too_many, "its shape", .elements = 16, .rank = 1, .strides = 2, .shape = { 4 }, .stride = { 1, 1 });
TENSOR(axis_negative, "an axis of its shape", .elements = 16, .rank = 2, .shape = { -2, -2 }, .stride = { -2, 1 });
TENSOR(nine_axes, "9 axes", .elements = 16, .rank = 9, .shape = { 1, 1, 1, 1, 1, 1, 1, 1, 1 });
TENSOR(product_wraps_to_zero, "more bytes than memory", .elements = 16, .rank = 2, .shape = { 1ll << 32, 1ll << 32 }, .stride = { 1ll << 32, 1 });
TENSOR(product_wraps_beside_an_empty_axis, "more bytes than memory", .elements = 16, .rank = 3, .shape = { 1ll << 32, 1ll << 32, 0 });
TENSOR(bytes_wrap_to_zero, "more bytes than memory", .elements = 16, .rank = 1, .shape = { 1ll << 62 }, .stride = { 1 });
TENSOR(larger_than_its_storage, "in a storage of 64", .elements = 16, .rank = 1, .shape = { 17 }, .stride = { 1 });
TENSOR(past_its_storage, "in a storage of 64", .elements = 16, .first = 13, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(begins_past_its_storage, "in a storage of 64", .elements = 16, .first = 17, .rank = 1, .shape = { 0 }, .stride = { 1 });
TENSOR(begins_where_sums_wrap, "in a storage of 64", .elements = 16, .first = INT64_MAX, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(begins_before_its_storage, "its shape", .elements = 16, .first = -1, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_larger_than_its_entry, "claims 17 elements", .elements = 17, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_smaller_than_its_entry, "claims 15 elements", .elements = 15, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_that_wraps, "elements of 4", .elements = (1ll << 62) + 16, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_negative, "its storage", .elements = -16, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_missing, "'data/7', which the file does not have", .key = "7", .elements = 16, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_elsewhere, "which the file does not have", .key = "../data/0", .elements = 16, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_with_a_long_name, "its storage", .key = "0000000000000000000000000000000000000000000000000000000000000000", .elements = 16, .rank = 1,
       .shape = { 4 }, .stride = { 1 });
TENSOR(storage_of_an_unknown_type, "'torch.QInt8Storage' is not allowed", "QInt8Storage", .elements = 64, .rank = 1, .shape = { 4 }, .stride = { 1 });
TENSOR(storage_of_a_complex_type, "'torch.ComplexFloatStorage' is not allowed", "ComplexFloatStorage", .elements = 8, .rank = 1, .shape = { 4 },
       .stride = { 1 });

TEST_F(refuse_tensor, parse)
{
	EXPECT_EQ(parse_tensor(&variant->t), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), variant->says);
}

/* --- refusals: pickles --------------------------------------------------------------------------------------------- */

FIXTURE(refuse_pickle) { int unused; };
FIXTURE_VARIANT(refuse_pickle) {
	const char *bytes;
	size_t n;
	const char *says;
};
FIXTURE_SETUP(refuse_pickle) { }
FIXTURE_TEARDOWN(refuse_pickle) { }
#define PICKLE(name, bytes_, says_) FIXTURE_VARIANT_ADD(refuse_pickle, name) { .bytes = bytes_, .n = sizeof(bytes_) - 1, .says = says_ }

/* Other names, in every way in which a pickle can name something. */
PICKLE(os_system, PROTO2 "cos\nsystem\nX\4\0\0\0true\x85R.", "'os.system' is not allowed in a checkpoint");
PICKLE(posix_system, PROTO2 "cposix\nsystem\n.", "'posix.system' is not allowed");
PICKLE(builtins_eval, PROTO2 "c__builtin__\neval\n.", "'__builtin__.eval' is not allowed");
PICKLE(name_from_the_stack, "\x80\x04\x8c\2os\x8c\6system\x93\x8c\4true\x85R.", "'os.system' is not allowed");
PICKLE(name_with_dots, "\x80\x04\x8c\5torch\x8c\x14_utils.os.system.foo\x93.", "'torch._utils.os.system.foo' is not allowed");
PICKLE(dots_in_the_other_part, PROTO2 "ctorch\n_utils._rebuild_tensor_v2\n.", "'torch._utils._rebuild_tensor_v2' is not allowed");
PICKLE(name_with_a_tail, PROTO2 "ccollections\nOrderedDict2\n.", "'collections.OrderedDict2' is not allowed");
PICKLE(name_cut_short, PROTO2 "ccollections\nOrdered\n.", "'collections.Ordered' is not allowed");
PICKLE(name_with_a_zero, "\x80\x04\x8c\x0b" "collections\x8c\x0cOrderedDict\0\x93.", "is not allowed");
PICKLE(empty_name, PROTO2 "c\n\n.", "'.' is not allowed");
PICKLE(rebuild_parameter, PROTO2 "ctorch._utils\n_rebuild_parameter\n.", "'torch._utils._rebuild_parameter' is not allowed");
PICKLE(name_is_a_number, "\x80\x04K\1\x8c\6system\x93.", "a name is no string");
PICKLE(name_of_one_line, PROTO2 "cos.system\n", "a name is cut off");
PICKLE(name_without_an_end, PROTO2 "cos", "a name is cut off");
PICKLE(instance, PROTO2 "(ios\nsystem\n.", "operation 0x69");
PICKLE(object, PROTO2 "(cos\nsystem\no.", "'os.system' is not allowed");
PICKLE(object_of_an_allowed_name, PROTO2 "(" ORDERED_DICT "o.", "operation 0x6f");
PICKLE(new_object, PROTO2 ORDERED_DICT ")\x81.", "operation 0x81");
PICKLE(extension, PROTO2 "\x82\1.", "operation 0x82");
PICKLE(text_person, PROTO2 "Pstorage\n.", "operation 0x50");
PICKLE(old_int, PROTO2 "I1\n.", "operation 0x49");
PICKLE(list, PROTO2 "].", "operation 0x5d");
PICKLE(bytes, "\x80\x04" "C\1a.", "operation 0x43");
PICKLE(call_of_a_storage_type, PROTO2 "ctorch\nFloatStorage\n)R.", "'torch.FloatStorage' must not be called");
PICKLE(call_of_a_dictionary_with_items, PROTO2 ORDERED_DICT "K\1\x85R.", "'collections.OrderedDict' must not be called");
PICKLE(call_of_a_number, PROTO2 "K\1)R.", "calls what is no function");
PICKLE(call_of_a_call, PROTO2 REBUILD_V2 ")R)R.", "calls what is no function");
PICKLE(call_with_a_dictionary, PROTO2 REBUILD_V2 "}R.", "calls what is no function");

/* Damaged ones. */
PICKLE(nothing, "", "cut off");
PICKLE(no_protocol, "}.", "does not begin with a protocol");
PICKLE(protocol_0, "\x80\0}.", "has protocol 0");
PICKLE(protocol_1, "\x80\1}.", "has protocol 1");
PICKLE(protocol_6, "\x80\6}.", "has protocol 6");
PICKLE(protocol_twice, PROTO2 PROTO2 "}.", "at byte 2");
PICKLE(no_stop, PROTO2 "}", "cut off");
PICKLE(operand_cut_off, PROTO2 "J\1\2\3", "cut off");
PICKLE(stop_on_nothing, PROTO2 ".", "ends too early");
PICKLE(stop_on_two, PROTO2 "}}.", "ends too early");
PICKLE(stop_on_a_mark, PROTO2 "(.", "ends too early");
PICKLE(more_behind_the_stop, PROTO2 "}..", "ends too early");
PICKLE(long_of_9_bytes, PROTO2 "\x8a\x09\1\2\3\4\5\6\7\x08\x09.", "number of more than 64 bits");
PICKLE(long_cut_off, PROTO2 "\x8a\x08.", "cut off");
PICKLE(string_cut_off, PROTO2 "X\4\0\0\0abc", "a string is cut off");
PICKLE(string_of_4_gib, PROTO2 "X\xff\xff\xff\xff.", "a string is cut off");
PICKLE(string_of_16_eib, "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "a string is cut off");
PICKLE(string_not_utf8, PROTO2 "X\2\0\0\0\xc3(.", "not UTF-8");
PICKLE(string_of_half_a_pair, PROTO2 "X\3\0\0\0\xed\xa0\x80.", "not UTF-8");
PICKLE(get_of_nothing, PROTO2 "h\0.", "what it has not kept");
PICKLE(get_far_away, PROTO2 "j\xff\xff\xff\xff.", "what it has not kept");
PICKLE(put_of_nothing, PROTO2 "q\0.", "what is not there");
PICKLE(put_of_a_mark, PROTO2 "(q\0.", "what is not there");
PICKLE(put_far_away, PROTO2 "}r\xff\xff\xff\xff.", "out of order");
PICKLE(tuple_without_a_mark, PROTO2 "K\1t.", "a mark is missing");
PICKLE(tuple_of_too_few, PROTO2 "K\1\x86.", "missing values");
PICKLE(tuple_over_a_mark, PROTO2 "K\1(K\1\x86.", "missing values");
PICKLE(outside_of_nothing, PROTO2 "Q.", "nothing describes");
PICKLE(outside_of_a_mark, PROTO2 "(Q.", "nothing describes");
PICKLE(items_without_a_mark, PROTO2 "}K\1K\1u.", "a mark is missing");
PICKLE(items_without_a_dictionary, PROTO2 "(K\1K\1u.", "is not complete");
PICKLE(items_of_a_mark, PROTO2 "((K\1K\1u.", "no dictionary");
PICKLE(items_of_a_tuple, PROTO2 ")(K\1K\1u.", "no dictionary");
PICKLE(items_of_odd_number, PROTO2 "}(K\1K\1K\1u.", "is not complete");
PICKLE(item_of_nothing, PROTO2 "K\1K\1s.", "is not complete");
PICKLE(item_over_a_mark, PROTO2 "}(K\1s.", "is not complete");
PICKLE(attributes_of_a_tuple, PROTO2 ")}b.", "attributes of what has none");
PICKLE(attributes_from_a_tuple, PROTO2 "})b.", "attributes of what has none");
PICKLE(attributes_of_nothing, PROTO2 "}b.", "attributes of what has none");

/* Tables that are none. */
PICKLE(table_is_a_number, PROTO2 "K\1.", "no table of tensors");
PICKLE(key_is_a_number, PROTO2 "}K\1K\1s.", "no name");
PICKLE(key_has_a_zero, PROTO2 "}X\2\0\0\0a\0K\1s.", "no name");
PICKLE(entry_is_a_number, PROTO2 "}X\1\0\0\0aK\1s.", "entry 'a' of the file is no tensor");
PICKLE(entry_is_the_table, PROTO2 "}q\0X\1\0\0\0ah\0s.", "entry 'a' of the file is no tensor");
PICKLE(entry_is_a_dictionary, PROTO2 "}X\5\0\0\0model}s.", "entry 'model' of the file is no tensor");
PICKLE(tensor_of_no_arguments, PROTO2 "}X\1\0\0\0a" REBUILD_V2 ")Rs.", "its shape");
PICKLE(tensor_of_five_arguments, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(NK\0))NtRs.", "its shape");
PICKLE(tensor_of_eight_arguments, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(NK\0))NNNNtRs.", "its shape");
PICKLE(shape_is_a_number, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(NK\0K\1)NNtRs.", "its shape");
PICKLE(strides_are_a_number, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(NK\0)K\1NNtRs.", "its shape");
PICKLE(first_element_is_true, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(N\x88))NNtRs.", "its shape");
PICKLE(first_element_is_a_short_minus_one, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(N\x8a\1\xff))NNtRs.", "its shape");
PICKLE(first_element_is_a_long_zero, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(N\x8a\0))NNtRs.", "no storage");
PICKLE(storage_is_none, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(NK\0))NNtRs.", "no storage");
PICKLE(storage_is_described_by_a_number, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "(K\1QK\0))NNtRs.", "its storage");
PICKLE(storage_is_described_by_itself, PROTO2 "}X\1\0\0\0a" REBUILD_V2 "()QQK\0))NNtRs.", "its storage");
#define STORAGE(what, type) PROTO2 "}X\1\0\0\0a" REBUILD_V2 "((X\7\0\0\0" what type "X\1\0\0\0" "0X\3\0\0\0cpuK\x10tQK\0))NNtRs."
PICKLE(storage_is_a_module, STORAGE("modules", "ctorch\nFloatStorage\n"), "its storage");
PICKLE(storage_type_is_a_dictionary, STORAGE("storage", ORDERED_DICT), "its storage");
PICKLE(storage_type_is_a_string, STORAGE("storage", "X\1\0\0\0a"), "its storage");

TEST_F(refuse_pickle, parse)
{
	EXPECT_EQ(parse_pickle(variant->bytes, variant->n), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), variant->says);
}

/* The macros above would say no to anything if this were wrong. */
TEST(the_same_storage_right)
{
	static const char good[] = STORAGE("storage", "ctorch\nFloatStorage\n");

	EXPECT_EQ(parse_pickle(good, sizeof(good) - 1), 0);
}

TEST(refuse_name_twice)
{
	struct buf b = { 0 };

	/* The same string, kept: a million of these would be a small file and a large list. */
	put_text(&b, PROTO2 "}X");
	put_le(&b, 1, 4);
	put_text(&b, "mq");
	put_le(&b, 0, 1);
	put_text(&b, REBUILD_V2 "(");
	pk_storage(&b, &matrix);
	put_text(&b, "K");
	put_le(&b, 0, 1);
	put_text(&b, "))\x89}tRq\x01sh");
	put_le(&b, 0, 1);
	put_text(&b, "h\x01s.");
	EXPECT_EQ(parse_pickle(b.mem, b.n), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "'m' is there twice");
	free(b.mem);
}

static int parse_many(const char *head, const char *what, size_t n, const char *tail)
{
	struct buf b = { 0 };
	int err;

	put_text(&b, head);
	for (size_t i = 0; i < n; i++)
		put_text(&b, what);
	put_text(&b, tail);
	err = parse_pickle(b.mem, b.n);
	free(b.mem);
	return err;
}

TEST(refuse_a_deep_stack)
{
	EXPECT_EQ(parse_many(PROTO2, "(", 1u << 20, "."), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "wait on its stack");
	EXPECT_EQ(parse_many(PROTO2, "N", 1u << 20, "."), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "wait on its stack");
}

/* Deep in itself, not on the stack. Nothing here may walk down. */
TEST(refuse_a_deep_tuple)
{
	EXPECT_EQ(parse_many(PROTO2 ")", "\x85", 1u << 20, "."), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "no table of tensors");
}

TEST(refuse_many_values)
{
	EXPECT_EQ(parse_many(PROTO2 "N", "\x85", (1u << 22) + 1, "."), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "more than 4 million values");
	EXPECT_EQ(parse_many(PROTO2, "NNNNNNNNNNNNNNNN", 1u << 20, "."), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "at most 16777216 are read");
}

/* --- refusals: archives -------------------------------------------------------------------------------------------- */

/* `matrix` in an archive of three entries, the way `how` says; the second is called `second`. */
static struct buf archive(const struct zip_how *how, const char *second, unsigned flags, unsigned method)
{
	struct buf b = table_of(&matrix), file;
	uint8_t data[64] = { 0 };
	struct zip_entry e[] = { { "x/data.pkl", b.mem, b.n }, { second, "little", 6 }, { "x/data/0", data, 64, flags, method } };

	file = make_zip(e, 3, how);
	free(b.mem);
	return file;
}

TEST(unusual_archives)
{
	static const struct zip_how how[] = { { 0 }, { .zip64 = true }, { .comment = "written by hand" } };

	for (unsigned i = 0; i < 3; i++) {
		struct buf b = archive(&how[i], "x/byteorder", 0x0800, 0);

		EXPECT_EQ(parse_only(snpu_torch_parse, b.mem, b.n), 0);
		free(b.mem);
	}
}

FIXTURE(refuse_archive) { int unused; };
FIXTURE_VARIANT(refuse_archive) {
	struct zip_how how;
	const char *second;
	unsigned flags, method;
	const char *says;
};
FIXTURE_SETUP(refuse_archive) { }
FIXTURE_TEARDOWN(refuse_archive) { }
#define ARCHIVE(name, says_, ...) FIXTURE_VARIANT_ADD(refuse_archive, name) { .says = says_, __VA_ARGS__ }

ARCHIVE(compressed, "'x/data/0' of the zip archive is compressed", .method = 8);
ARCHIVE(two_sizes, "'x/b' of the zip archive is compressed", .how = { .packed_more = 1 });
ARCHIVE(encrypted, "'x/data/0' of the zip archive is compressed or encrypted", .flags = 1);
ARCHIVE(entry_twice, "two entries of one name", .second = "x/data/0");
ARCHIVE(entry_over_the_directory, "size of an entry", .how = { .grow = 300 });
ARCHIVE(entry_of_2_gib, "size of an entry", .how = { .grow = 0x7fffff00 });
ARCHIVE(other_name_in_front_of_the_data, "size of an entry", .how = { .other_local_name = true });
ARCHIVE(nothing_in_front_of_the_data, "header of an entry", .how = { .bad_local = true });
ARCHIVE(more_entries_than_there_are, "its directory", .how = { .entries_more = 1 });
ARCHIVE(entry_past_the_end, "place of an entry", .how = { .move = 1ull << 20 });
ARCHIVE(entry_where_pointers_wrap, "place of an entry", .how = { .zip64 = true, .move = 1ull << 63 });
ARCHIVE(many_more_entries, "place of its directory", .how = { .entries_more = 65000 });
ARCHIVE(four_billion_entries, "place of its directory", .how = { .entries_more = 0xfffffff0, .zip64 = true });
ARCHIVE(directory_past_the_end, "place of its directory", .how = { .at_more = 1 });
ARCHIVE(large_sizes_missing, "a size of 4 GiB", .how = { .zip64 = true, .no_extra = true });
ARCHIVE(folder_without_a_table, "data.pkl is missing", .second = "a/data.pkl2");

TEST_F(refuse_archive, parse)
{
	struct buf b = archive(&variant->how, variant->second ? variant->second : "x/b", variant->flags, variant->method);

	EXPECT_EQ(parse_only(snpu_torch_parse, b.mem, b.n), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), variant->says);
	free(b.mem);
}

TEST(refuse_big_endian)
{
	static const struct zip_how plain;
	static const struct zip_entry e[] = { { "x/data.pkl", PROTO2 "}.", 4 }, { "x/byteorder", "big", 3 } };
	struct buf b = make_zip(e, 1, &plain);

	EXPECT_EQ(parse_only(snpu_torch_parse, b.mem, b.n), 0);
	free(b.mem);
	b = make_zip(e, 2, &plain);
	EXPECT_EQ(parse_only(snpu_torch_parse, b.mem, b.n), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "big-endian");
	free(b.mem);
}

TEST(refuse_other_files)
{
	static const struct zip_how plain;
	static const struct zip_entry flat = { "data.pkl", PROTO2 "}.", 4 };
	struct buf b = make_zip(&flat, 1, &plain);

	EXPECT_EQ(parse_only(snpu_torch_parse, b.mem, b.n), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "data.pkl is missing");
	free(b.mem);
	b = make_zip(&flat, 0, &plain);
	EXPECT_EQ(parse_only(snpu_torch_parse, b.mem, b.n), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "data.pkl is missing");
	free(b.mem);
	EXPECT_EQ(parse_only(snpu_torch_parse, PROTO2 "\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "PyTorch before 1.6");
	EXPECT_EQ(parse_only(snpu_torch_parse, "version https://git-lfs", 23), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "no zip archive");
	EXPECT_EQ(parse_only(snpu_torch_parse, "", 0), -EBADMSG);
}

TEST(refuse_cut_off_anywhere)
{
	static const struct zip_how how[] = { { 0 }, { .zip64 = true } };

	for (unsigned i = 0; i < 2; i++) {
		struct buf b = archive(&how[i], "x/byteorder", 0, 0);

		for (size_t n = 0; n < b.n; n++)
			ASSERT_EQ(parse_only(snpu_torch_parse, b.mem, n), -EBADMSG);
		EXPECT_EQ(parse_only(snpu_torch_parse, b.mem, b.n), 0);
		free(b.mem);
	}
}

/* Every prefix of a pickle in a whole archive. */
TEST(refuse_a_pickle_cut_off_anywhere)
{
	struct buf b = table_of(&matrix);

	for (size_t n = 0; n < b.n; n++)
		ASSERT_EQ(parse_pickle(b.mem, n), -EBADMSG);
	EXPECT_EQ(parse_pickle(b.mem, b.n), 0);
	free(b.mem);
}

TEST_HARNESS_MAIN
