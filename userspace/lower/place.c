/* SPDX-License-Identifier: MIT */
/*
 * Placement: every node gets a device and a reason. The first device that lives takes all it can; what it cannot execute
 * or hold goes to the next, at last to the CPU. Nodes of a cycle stay together, because a value that goes round within a
 * step cannot cross between devices. One thread.
 */
#include <string.h>

#include "kernels/kernels.h"
#include "lower/plan.h"

bool snpu_node_executes(const struct snpu_model *m, const struct snpu_node *n)
{
	return snpu_node_computes(n) || n->n_in > 1 || (n->n_in == 1 && m->edges[n->in[0]].delayed);
}

static bool target_executes(const struct snpu_target *t, unsigned opcode)
{
	return t->info.opcodes[opcode / 64] >> (opcode % 64) & 1;
}

/* Bytes of device memory that a node takes for good. */
static uint64_t node_bytes(const struct snpu_lowering *l, const struct snpu_node *n)
{
	return snpu_pack_weight_bytes(l, n) + snpu_pack_const_bytes(l, n) + snpu_pack_state_bytes(l, n);
}

/* "" when the target can take the node beside `used` bytes of others, else why not. NULL: no memory. */
static const char *obstacle(const struct snpu_lowering *l, struct snpu_plan *plan, int target, const struct snpu_node *n, uint64_t used)
{
	const struct snpu_target *t = &l->targets[target];
	uint64_t need = node_bytes(l, n), free_bytes = t->info.device_total - t->info.device_used;
	unsigned ops[] = { snpu_lower_opcode(l, snpu_node_opcode(n)), SNPU_OP_EVPACK, SNPU_OP_DELAY_PUSH, snpu_lower_opcode(l, SNPU_OP_ADD) };
	bool needs[] = { snpu_node_computes(n), snpu_node_takes_events(n), snpu_node_is(n, SNPU_KIND_ID_DELAY), n->n_in > 1 };

	if (t->dead)
		return snpu_arena_printf(&plan->arena, "%s failed", t->info.name);
	if (t->info.kind == SNPU_KIND_CPU)
		return "";
	for (int i = 0; i < 4; i++)
		if (needs[i] && !target_executes(t, ops[i]))
			return snpu_arena_printf(&plan->arena, "%s does not execute %s", t->info.name, snpu_pkt_desc(ops[i])->name);
	if (snpu_semantics_flags(l->sem, n->kind) & SNPU_NEURON_FLAGS_1_3 && t->info.hw_version < (1u << 16 | 3))
		return snpu_arena_printf(&plan->arena, "%s, of contract 1.%u, does not fire as asked", t->info.name, t->info.hw_version & 0xffff);
	if (t->info.device_total && (need > free_bytes || used > free_bytes - need))
		return snpu_arena_printf(&plan->arena, "needs %llu KiB, %s has %llu KiB left", (unsigned long long)(need + 1023) / 1024,
					 t->info.name, (unsigned long long)(used < free_bytes ? free_bytes - used : 0) / 1024);
	return "";
}

/* Why the CPU has a node, and how it computes a convolution. NULL: no memory. */
static const char *on_cpu(const struct snpu_lowering *l, struct snpu_plan *plan, const struct snpu_node *n)
{
	bool scalar = !strcmp(l->targets[l->n_targets - 1].info.isa, "scalar");

	if (snpu_node_opcode(n) == SNPU_OP_CONV && !scalar && !l->quant)
		return snpu_arena_printf(&plan->arena, "%s: by events, dense from %u %% active on", l->n_targets == 1 ? "no device was given" : "the CPU",
					 snpu_conv_dense_percent(n->window.c_out));
	return l->n_targets == 1 ? "no device was given; the CPU executes everything" : "the CPU executes everything";
}

/* Why the first target takes the node: what it executes for it, and where there is device memory that it has room. NULL: no memory. */
static const char *first_choice(const struct snpu_lowering *l, struct snpu_plan *plan, const struct snpu_node *n)
{
	const struct snpu_target *t = &l->targets[0];
	unsigned long long kib = (node_bytes(l, n) + 1023) / 1024;
	unsigned opcode = snpu_node_computes(n) ? snpu_node_opcode(n) : n->n_in > 1 ? SNPU_OP_ADD : SNPU_OP_COPY;
	const char *op = snpu_pkt_desc(snpu_lower_opcode(l, opcode))->name;

	if (l->n_targets == 1 || t->info.kind == SNPU_KIND_CPU)
		return on_cpu(l, plan, n);
	if (!t->info.device_total || !kib)
		return snpu_arena_printf(&plan->arena, "first choice: executes %s", op);
	return snpu_arena_printf(&plan->arena, "first choice: executes %s, %llu KiB fit", op, kib);
}

static const struct snpu_place_rule *rule_for(const struct snpu_lowering *l, const char *name)
{
	for (unsigned i = 0; i < l->opts->n_place; i++)
		if (!strcmp(l->opts->place[i].node, name))
			return &l->opts->place[i];
	return NULL;
}

static int check_rules(const struct snpu_lowering *l)
{
	for (unsigned i = 0; i < l->opts->n_place; i++) {
		const struct snpu_place_rule *r = &l->opts->place[i];
		int node = snpu_model_find(l->m, r->node);

		if (node < 0)
			return snpu_fail(-ENOENT, "a placement names the node '%s', which the model does not have; see its list of nodes", r->node);
		if (r->device < -1 || r->device >= (int)l->opts->n_devices)
			return snpu_fail(-EINVAL, "the placement of node '%s' names device %d, there are %u; use -1 for the CPU", r->node, r->device,
					 l->opts->n_devices);
	}
	return 0;
}

/* Can all of component c go to `target`? *why: "" or the first obstacle, *who: the node that has it. */
static int component_fits(const struct snpu_lowering *l, struct snpu_plan *plan, unsigned c, int target, uint64_t used, const char **why,
			  unsigned *who)
{
	*why = "";
	for (unsigned i = 0; i < l->m->n_nodes; i++) {
		const struct snpu_node *n = &l->m->nodes[i];

		if (n->component != c || !snpu_node_executes(l->m, n))
			continue;
		*why = obstacle(l, plan, target, n, used);
		*who = i;
		if (!*why)
			return -ENOMEM;
		if (**why)
			return 0;
		used += node_bytes(l, n);
	}
	return 0;
}

/* A rule for one node of a cycle holds for all of it. */
static int component_rule(const struct snpu_lowering *l, unsigned c, const struct snpu_place_rule **rule)
{
	*rule = NULL;
	for (unsigned i = 0; i < l->m->n_nodes; i++) {
		const struct snpu_place_rule *r = l->m->nodes[i].component == c ? rule_for(l, l->m->nodes[i].name) : NULL;

		if (r && *rule && r->device != (*rule)->device)
			return snpu_fail(-EINVAL, "nodes '%s' and '%s' are in one cycle and cannot be placed on different devices", (*rule)->node, r->node);
		if (r)
			*rule = r;
	}
	return 0;
}

/* reason: why not on the first target, for which node `who` is the cause; "": it is the first target. */
static int assign(const struct snpu_lowering *l, struct snpu_plan *plan, unsigned c, int target, const char *reason, unsigned who, bool forced,
		  uint64_t *used)
{
	for (unsigned i = 0; i < l->m->n_nodes; i++) {
		const struct snpu_node *n = &l->m->nodes[i];
		const char *why = reason;

		if (n->component != c || !snpu_node_executes(l->m, n))
			continue;
		if (!*reason)
			why = first_choice(l, plan, n);
		else if (!forced && i != who)
			why = snpu_arena_printf(&plan->arena, "in a cycle with '%s': %s", l->m->nodes[who].name, reason);
		if (!why)
			return -ENOMEM;
		plan->place[i] = (struct snpu_node_place){ target, why, forced };
		used[target] += node_bytes(l, n);
	}
	return 0;
}

static int place_component(const struct snpu_lowering *l, struct snpu_plan *plan, unsigned c, uint64_t *used)
{
	int cpu = (int)l->n_targets - 1, err;
	const struct snpu_place_rule *rule;
	const char *first = "", *why = "";
	unsigned who = 0, first_who = 0;

	err = component_rule(l, c, &rule);
	if (err)
		return err;
	if (rule) {
		int target = rule->device < 0 ? cpu : rule->device;

		err = component_fits(l, plan, c, target, used[target], &why, &who);
		if (!err && *why && !l->targets[target].dead)
			err = snpu_fail(-ENOTSUP, "node '%s' cannot be placed as asked: %s", l->m->nodes[who].name, why);
		if (err)
			return err;
		if (!*why)
			return assign(l, plan, c, target, "asked for", who, true, used);
	}
	for (int t = 0; t <= cpu; t++) {
		err = component_fits(l, plan, c, t, used[t], &why, &who);
		if (err)
			return err;
		if (!*why)
			return assign(l, plan, c, t, first, first_who, false, used);
		if (!*first) {
			first = why;
			first_who = who;
		}
	}
	return snpu_fail(-EIO, "no device is left to run node '%s' on: %s", l->m->nodes[first_who].name, first);
}

int snpu_plan_place(const struct snpu_lowering *l, struct snpu_plan *plan)
{
	uint64_t *used = snpu_arena_alloc(&plan->arena, l->n_targets, sizeof(*used));
	int err = check_rules(l);

	plan->place = snpu_arena_alloc(&plan->arena, l->m->n_nodes, sizeof(*plan->place));
	if (!used || !plan->place)
		return -ENOMEM;
	for (unsigned i = 0; i < l->m->n_nodes; i++)
		plan->place[i] = (struct snpu_node_place){ SNPU_ON_NOTHING, "executes nothing, only passes on", false };
	for (unsigned c = 0; c < l->m->n_components && !err; c++)
		err = place_component(l, plan, c, used);
	for (unsigned i = 0; i < l->m->n_nodes && !err; i++) {
		int t = plan->place[i].target;

		if (l->opts->require_device && t >= 0 && l->targets[t].info.kind == SNPU_KIND_CPU)
			err = snpu_fail(-ENODEV, "node '%s' would run on the CPU (%s), and a device is required; leave that requirement out to allow it",
					l->m->nodes[i].name, plan->place[i].reason);
	}
	return err;
}
