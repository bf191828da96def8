/* SPDX-License-Identifier: MIT */
/*
 * The stack machine of pickle.h, written from the description of the operations in Python's documentation (pickletools). Each operation
 * is a byte, an operand of fixed length, and what the operand announces. There is no recursion; whatever grows is bounded
 * by the size of the pickle, which has a limit. Threads share nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "load/pickle.h"

#define MAX_PICKLE	(16u << 20)	/* bytes; a tensor takes about 100 */
#define MAX_VALUES	(1u << 22)
#define MAX_STACK	65536u		/* dictionaries are written in batches of 1000 */
#define MARK		UINT32_MAX	/* on the stack, no number of a value */

struct machine {
	struct pickle *p;
	const uint8_t *mem;
	size_t size, at, op_at;		/* op_at: where the operation began, for errors */
	const struct pickle_global *allowed;
	size_t n_allowed;
	uint32_t *memo;			/* [n_memo] */
	size_t n_memo, cap_memo;
	uint32_t depth;
	bool stopped;
	uint32_t stack[MAX_STACK];
};

static int damaged(const struct machine *m, const char *what)
{
	return snpu_fail(-EBADMSG, "the pickle is damaged at byte %zu (%s); copy the file again", m->op_at, what);
}

/* Room for `need` more elements. */
static int grow(void *array, size_t n, size_t need, size_t *cap, size_t element)
{
	void *old, *more;
	size_t to = *cap ? *cap : 256;

	if (n + need <= *cap)
		return 0;
	while (to < n + need)
		to *= 2;
	memcpy(&old, array, sizeof(old));
	more = reallocarray(old, to, element);
	if (!more)
		return snpu_fail(-ENOMEM, "no memory for the %zu values of a pickle", to);
	memcpy(array, &more, sizeof(more));
	*cap = to;
	return 0;
}

static const uint8_t *take(struct machine *m, uint64_t n)
{
	const uint8_t *p = m->mem + m->at;

	if (!snpu_range_ok(m->at, n, m->size))
		return NULL;
	m->at += n;
	return p;
}

/* --- the stack ---------------------------------------------------------------------------------------------------- */

static int push_number(struct machine *m, uint32_t number)
{
	if (m->depth == MAX_STACK)
		return damaged(m, "more than 65536 values wait on its stack");
	m->stack[m->depth++] = number;
	return 0;
}

static int push(struct machine *m, struct pickle_value v)
{
	int err = grow(&m->p->value, m->p->n, 1, &m->p->cap, sizeof(v));

	if (err)
		return err;
	if (m->p->n == MAX_VALUES)
		return damaged(m, "it has more than 4 million values");
	m->p->value[m->p->n] = v;
	return push_number(m, (uint32_t)m->p->n++);
}

static int push_kind(struct machine *m, enum pickle_kind kind, int64_t i)
{
	return push(m, (struct pickle_value){ .kind = kind, .i = i });
}

/* The `n` values on top of the stack, the deepest first, NULL when a mark or the bottom is among them. They stay there. */
static const uint32_t *top(const struct machine *m, uint32_t n)
{
	if (n > m->depth)
		return NULL;
	for (uint32_t i = m->depth - n; i < m->depth; i++)
		if (m->stack[i] == MARK)
			return NULL;
	return &m->stack[m->depth - n];
}

/* How many values lie above the last mark. */
static bool above_mark(const struct machine *m, uint32_t *n)
{
	for (*n = 0; *n < m->depth; ++*n)
		if (m->stack[m->depth - 1 - *n] == MARK)
			return true;
	return false;
}

static struct pickle_value *value(const struct machine *m, uint32_t number)
{
	return &m->p->value[number];
}

/* --- operations: `n` is the operand -------------------------------------------------------------------------------- */

static int op_proto(struct machine *m, uint8_t op, uint64_t n)
{
	if (m->op_at || n < 2 || n > 5)
		return snpu_fail(-EBADMSG, "the pickle has protocol %llu at byte %zu, protocols 2 to 5 are read; save the file again with torch.save()",
				 (unsigned long long)n, m->op_at);
	return 0;
}

static int op_frame(struct machine *m, uint8_t op, uint64_t n)
{
	return snpu_range_ok(m->at, n, m->size) ? 0 : damaged(m, "a frame is cut off");
}

static int op_constant(struct machine *m, uint8_t op, uint64_t n)
{
	if (op == 'N')
		return push_kind(m, PICKLE_NONE, 0);
	return push_kind(m, PICKLE_BOOL, op == 0x88);
}

static int op_int(struct machine *m, uint8_t op, uint64_t n)
{
	return push_kind(m, PICKLE_INT, op == 'J' ? (int32_t)(uint32_t)n : (int64_t)n);
}

/* Little-endian two's complement of `n` bytes. */
static int op_long(struct machine *m, uint8_t op, uint64_t n)
{
	const uint8_t *p = take(m, n);
	uint64_t v = 0;

	if (!p || n > 8)
		return damaged(m, "a number of more than 64 bits, or cut off");
	for (uint64_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * i;
	if (n && n < 8 && p[n - 1] & 0x80)
		v |= ~0ull << 8 * n;
	return push_kind(m, PICKLE_INT, (int64_t)v);
}

static int op_string(struct machine *m, uint8_t op, uint64_t n)
{
	const uint8_t *p = take(m, n);

	if (!p)
		return damaged(m, "a string is cut off");
	for (uint64_t i = 0; i < n;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used = utf8proc_iterate(p + i, (utf8proc_ssize_t)(n - i), &c);

		if (used <= 0)
			return damaged(m, "a string is not UTF-8");
		i += (uint64_t)used;
	}
	return push(m, (struct pickle_value){ .kind = PICKLE_STR, .str = { (const char *)p, n } });
}

static int op_mark(struct machine *m, uint8_t op, uint64_t n)
{
	return push_number(m, MARK);
}

static int op_dict(struct machine *m, uint8_t op, uint64_t n)
{
	return push_kind(m, PICKLE_DICT, 0);
}

/* Puts the `n` values on top into a tuple, in place of them and `marks` marks. */
static int make_tuple(struct machine *m, uint32_t n, uint32_t marks)
{
	const uint32_t *from = top(m, n);
	struct pickle *p = m->p;
	uint32_t first = (uint32_t)p->n_items;
	int err;

	if (!from)
		return damaged(m, "a tuple of missing values");
	err = grow(&p->item, p->n_items, n, &p->cap_items, sizeof(*p->item));
	if (err)
		return err;
	if (n)
		memcpy(p->item + first, from, n * sizeof(*from));
	p->n_items += n;
	m->depth -= n + marks;
	return push(m, (struct pickle_value){ .kind = PICKLE_TUPLE, .tuple = { first, n } });
}

static int op_tuple(struct machine *m, uint8_t op, uint64_t n)
{
	uint32_t items;

	if (op == ')')
		return make_tuple(m, 0, 0);
	if (op != 't')
		return make_tuple(m, op - 0x84u, 0);		/* TUPLE1 to TUPLE3 */
	return above_mark(m, &items) ? make_tuple(m, items, 1) : damaged(m, "a mark is missing");
}

static int op_put(struct machine *m, uint8_t op, uint64_t n)
{
	const uint32_t *from = top(m, 1);
	int err;

	if (op == 0x94)
		n = m->n_memo;					/* MEMOIZE */
	/* Writers number them as they come. */
	if (!from || n > m->n_memo)
		return damaged(m, "it keeps what is not there, or out of order");
	if (n == m->n_memo) {
		err = grow(&m->memo, m->n_memo, 1, &m->cap_memo, sizeof(*m->memo));
		if (err)
			return err;
		m->n_memo++;
	}
	m->memo[n] = *from;
	return 0;
}

static int op_get(struct machine *m, uint8_t op, uint64_t n)
{
	return n < m->n_memo ? push_number(m, m->memo[n]) : damaged(m, "it uses what it has not kept");
}

static int push_global(struct machine *m, const char *module, size_t module_len, const char *name, size_t name_len)
{
	for (size_t i = 0; i < m->n_allowed; i++) {
		const struct pickle_global *g = &m->allowed[i];

		if (strlen(g->module) == module_len && strlen(g->name) == name_len && !memcmp(g->module, module, module_len) &&
		    !memcmp(g->name, name, name_len))
			return push_kind(m, PICKLE_GLOBAL, (int64_t)i);
	}
	return snpu_fail(-EBADMSG, "'%.*s.%.*s' is not allowed in a checkpoint; nothing was executed, get the checkpoint as safetensors or from someone you trust",
			 (int)(module_len < 200 ? module_len : 200), module, (int)(name_len < 200 ? name_len : 200), name);
}

/* Two lines: module and name. */
static int op_global(struct machine *m, uint8_t op, uint64_t n)
{
	const char *module = (const char *)m->mem + m->at, *name;
	const char *end = memchr(module, '\n', m->size - m->at);

	if (!end)
		return damaged(m, "a name is cut off");
	name = end + 1;
	end = memchr(name, '\n', m->size - (size_t)(name - (const char *)m->mem));
	if (!end)
		return damaged(m, "a name is cut off");
	m->at = (size_t)(end + 1 - (const char *)m->mem);
	return push_global(m, module, (size_t)(name - 1 - module), name, (size_t)(end - name));
}

static int op_stack_global(struct machine *m, uint8_t op, uint64_t n)
{
	const uint32_t *from = top(m, 2);
	const struct pickle_value *module, *name;

	if (!from || value(m, from[0])->kind != PICKLE_STR || value(m, from[1])->kind != PICKLE_STR)
		return damaged(m, "a name is no string");
	module = value(m, from[0]);
	name = value(m, from[1]);
	m->depth -= 2;
	return push_global(m, module->str.s, module->str.len, name->str.s, name->str.len);
}

static int op_reduce(struct machine *m, uint8_t op, uint64_t n)
{
	const uint32_t *from = top(m, 2);
	const struct pickle_global *g;
	uint32_t global, arg;

	if (!from || value(m, from[0])->kind != PICKLE_GLOBAL || value(m, from[1])->kind != PICKLE_TUPLE)
		return damaged(m, "it calls what is no function");
	global = from[0];
	arg = from[1];
	g = &m->allowed[value(m, global)->i];
	m->depth -= 2;
	if (g->use == PICKLE_DICT_TYPE && !value(m, arg)->tuple.n)
		return push_kind(m, PICKLE_DICT, 0);
	if (g->use != PICKLE_FUNCTION)
		return snpu_fail(-EBADMSG, "'%s.%s' must not be called like this in a checkpoint; save the file again with torch.save()", g->module, g->name);
	return push(m, (struct pickle_value){ .kind = PICKLE_CALL, .call = { global, arg } });
}

static int op_persistent(struct machine *m, uint8_t op, uint64_t n)
{
	const uint32_t *from = top(m, 1);
	uint32_t arg;

	if (!from)
		return damaged(m, "nothing describes what lies outside");
	arg = *from;
	m->depth--;
	return push(m, (struct pickle_value){ .kind = PICKLE_PERSISTENT, .call = { .arg = arg } });
}

static int op_set(struct machine *m, uint8_t op, uint64_t n)
{
	struct pickle *p = m->p;
	uint32_t items = 2, marks = op == 'u';
	const uint32_t *from;
	int err;

	if (marks && !above_mark(m, &items))
		return damaged(m, "a mark is missing");
	if (items % 2 || items + marks >= m->depth || !top(m, items))
		return damaged(m, "an entry of a dictionary is not complete");
	from = &m->stack[m->depth - items - marks - 1];
	if (*from == MARK || value(m, *from)->kind != PICKLE_DICT)
		return damaged(m, "an entry is put into what is no dictionary");
	err = grow(&p->pair, p->n_pairs, items / 2, &p->cap_pairs, sizeof(*p->pair));
	for (uint32_t i = 0; i < items && !err; i += 2)
		p->pair[p->n_pairs++] = (struct pickle_pair){ *from, from[1 + marks + i], from[2 + marks + i] };
	m->depth -= items + marks;
	return err;
}

/* Attributes of a dictionary (PyTorch's _metadata: versions of its modules). They mean nothing for tensors. */
static int op_build(struct machine *m, uint8_t op, uint64_t n)
{
	const uint32_t *from = top(m, 2);

	if (!from || value(m, from[0])->kind != PICKLE_DICT || value(m, from[1])->kind != PICKLE_DICT)
		return damaged(m, "attributes of what has none");
	m->depth--;
	return 0;
}

static int op_stop(struct machine *m, uint8_t op, uint64_t n)
{
	if (m->depth != 1 || !top(m, 1) || m->at != m->size)
		return damaged(m, "it ends too early");
	m->p->root = m->stack[0];
	m->stopped = true;
	return 0;
}

static const struct {
	uint8_t operand;		/* bytes */
	int (*run)(struct machine *m, uint8_t op, uint64_t n);
} ops[256] = {
	[0x80] = { 1, op_proto },	[0x95] = { 8, op_frame },	['.'] = { 0, op_stop },
	['N'] = { 0, op_constant },	[0x88] = { 0, op_constant },	[0x89] = { 0, op_constant },
	['J'] = { 4, op_int },		['K'] = { 1, op_int },		['M'] = { 2, op_int },		[0x8a] = { 1, op_long },
	['X'] = { 4, op_string },	[0x8c] = { 1, op_string },	[0x8d] = { 8, op_string },
	['('] = { 0, op_mark },		['t'] = { 0, op_tuple },	[')'] = { 0, op_tuple },
	[0x85] = { 0, op_tuple },	[0x86] = { 0, op_tuple },	[0x87] = { 0, op_tuple },
	['q'] = { 1, op_put },		['r'] = { 4, op_put },		[0x94] = { 0, op_put },
	['h'] = { 1, op_get },		['j'] = { 4, op_get },
	['c'] = { 0, op_global },	[0x93] = { 0, op_stack_global }, ['R'] = { 0, op_reduce },	['Q'] = { 0, op_persistent },
	['}'] = { 0, op_dict },		['s'] = { 0, op_set },		['u'] = { 0, op_set },		['b'] = { 0, op_build },
};

static int step(struct machine *m)
{
	const uint8_t *p = take(m, 1), *operand;
	uint64_t n = 0;
	uint8_t op;

	m->op_at = m->at - !!p;
	if (!p)
		return damaged(m, "it is cut off");
	op = *p;
	if (!m->op_at && op != 0x80)
		return damaged(m, "it does not begin with a protocol");
	if (!ops[op].run)
		return snpu_fail(-EBADMSG, "the pickle has operation 0x%02x at byte %zu, which no table of tensors needs; save the file again with torch.save()",
				 op, m->op_at);
	operand = take(m, ops[op].operand);
	if (!operand)
		return damaged(m, "it is cut off");
	for (unsigned i = 0; i < ops[op].operand; i++)
		n |= (uint64_t)operand[i] << 8 * i;
	return ops[op].run(m, op, n);
}

int snpu_pickle_load(const void *mem, size_t size, const struct pickle_global *allowed, size_t n_allowed, struct pickle *p)
{
	struct machine *m;
	int err = 0;

	*p = (struct pickle){ 0 };
	if (size > MAX_PICKLE)
		return snpu_fail(-EBADMSG, "the pickle has %zu bytes, at most %u are read; save the model in more files", size, MAX_PICKLE);
	m = malloc(sizeof(*m));
	if (!m)
		return snpu_fail(-ENOMEM, "no memory to read a pickle");
	/* The stack needs no zeroes. */
	memset(m, 0, offsetof(struct machine, stack));
	m->p = p;
	m->mem = mem;
	m->size = size;
	m->allowed = allowed;
	m->n_allowed = n_allowed;
	while (!err && !m->stopped)
		err = step(m);
	free(m->memo);
	free(m);
	if (err)
		snpu_pickle_free(p);
	return err;
}

void snpu_pickle_free(struct pickle *p)
{
	free(p->value);
	free(p->item);
	free(p->pair);
	*p = (struct pickle){ 0 };
}

struct pickle_value *snpu_pickle_item(const struct pickle *p, const struct pickle_value *v, uint32_t i)
{
	return v->kind == PICKLE_TUPLE && i < v->tuple.n ? &p->value[p->item[v->tuple.first + i]] : NULL;
}
