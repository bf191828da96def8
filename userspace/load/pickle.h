/* SPDX-License-Identifier: MIT */
/*
 * Python's pickle, as far as PyTorch needs it to write a table of tensors: read into a tree of values. A pickle is a program
 * that may call any function of Python; here nothing is executed. A name that the caller does not allow is refused, a call of
 * one that it does becomes a value that says so. Protocols 2 to 5.
 *
 * Values refer to each other by number, and may be shared: walk only as deep as you know the tree to be. Constant after
 * loading but for `seen`.
 */
#ifndef SNPU_LOAD_PICKLE_H
#define SNPU_LOAD_PICKLE_H

#include "core/fail.h"

enum pickle_kind {
	PICKLE_NONE, PICKLE_BOOL, PICKLE_INT, PICKLE_STR, PICKLE_TUPLE, PICKLE_DICT,
	PICKLE_GLOBAL,			/* a name */
	PICKLE_CALL,			/* of a name, with a tuple of arguments */
	PICKLE_PERSISTENT,		/* something outside of the pickle, that its argument describes */
};

/* What a name stands for. */
enum pickle_use {
	PICKLE_TYPE,			/* only named */
	PICKLE_FUNCTION,		/* may be called */
	PICKLE_DICT_TYPE,		/* may be called without arguments: an empty dictionary */
};

struct pickle_global {
	const char *module, *name;
	enum pickle_use use;
};

struct pickle_value {
	enum pickle_kind kind;
	bool seen;			/* false; for the reader of the tree */
	union {
		int64_t i;		/* BOOL, INT; GLOBAL: number in the caller's table */
		struct {
			const char *s;	/* in the pickle, UTF-8, not terminated */
			size_t len;
		} str;
		struct {
			uint32_t first, n;	/* item[first, first + n) */
		} tuple;
		struct {
			uint32_t global, arg;	/* arg: a TUPLE; PERSISTENT: any, and no global */
		} call;
	};
};

/* An entry of a dictionary; numbers of values. */
struct pickle_pair {
	uint32_t dict, key, value;
};

struct pickle {
	struct pickle_value *value;	/* [n] */
	uint32_t *item;			/* [n_items] value numbers, of all tuples */
	struct pickle_pair *pair;	/* [n_pairs] of all dictionaries, as they were added */
	size_t n, n_items, n_pairs, cap, cap_items, cap_pairs;
	uint32_t root;
};

/* `mem` must stay as long as the values. -EBADMSG: damaged, or hostile, or more than a table of tensors needs; -ENOMEM. */
int snpu_pickle_load(const void *mem, size_t size, const struct pickle_global *allowed, size_t n_allowed, struct pickle *p) SNPU_MUST_CHECK;
void snpu_pickle_free(struct pickle *p);
/* Item `i` of a tuple, NULL past its end or when `v` is none. */
struct pickle_value *snpu_pickle_item(const struct pickle *p, const struct pickle_value *v, uint32_t i);

#endif
