/* SPDX-License-Identifier: MIT */
/*
 * Creating a session: options, semantics, devices, records, plan; and looking at what was decided. The order is that of the
 * questions a user has: what does the model mean, where does it run, does it fit.
 */
#include "sched/session.h"

#include <stdlib.h>
#include <string.h>

#include "load/netfile.h"

int snpu_session_device(const struct snpu_session *s, int target)
{
	return target == (int)s->n_targets - 1 ? -1 : target;
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static int copy_strings(struct snpu_arena *a, const char *const **list, unsigned n)
{
	const char **copy = snpu_arena_alloc(a, n, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		copy[i] = snpu_arena_strdup(a, (*list)[i]);
		if (!copy[i])
			return -ENOMEM;
	}
	*list = copy;
	return 0;
}

static int copy_options(struct snpu_session *s, const struct snpu_session_opts *opts)
{
	struct snpu_place_rule *rules;
	int err = snpu_opts_in(&s->opts, sizeof(s->opts), opts, "snpu_session_opts");

	if (err)
		return err;
	if ((s->opts.n_records && !s->opts.records) || (s->opts.n_place && !s->opts.place) || (s->opts.n_devices && !s->opts.devices))
		return snpu_fail(-EINVAL, "a list of the session's options has a length but no address");
	err = copy_strings(&s->arena, &s->opts.records, s->opts.n_records);
	if (err)
		return err;
	rules = snpu_arena_alloc(&s->arena, s->opts.n_place, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (unsigned i = 0; i < s->opts.n_place; i++) {
		rules[i] = s->opts.place[i];
		rules[i].node = snpu_arena_strdup(&s->arena, rules[i].node);
		if (!rules[i].node)
			return -ENOMEM;
	}
	s->opts.place = rules;
	return 0;
}

/* What the model's file says where nobody else does. */
static void use_preset(struct snpu_session *s)
{
	const struct snpu_session_opts *p = &s->model->preset;

	if (!s->model->has_preset)
		return;
	s->opts.v_min = s->opts.floor ? s->opts.v_min : p->v_min;
#define OPTION(name, most)	s->opts.name = s->opts.name ? s->opts.name : p->name;
	SNPU_NETFILE_OPTIONS(OPTION)
#undef OPTION
	s->opts.dt = s->opts.dt != 0.0 ? s->opts.dt : p->dt;
	s->opts.max_spikes = s->opts.max_spikes ? s->opts.max_spikes : p->max_spikes;
}

/* Notes of what the file chose, and not the session's caller, whose options are `given`, say so. */
static void tell_preset(struct snpu_session *s, const struct snpu_session_opts *given)
{
	const struct { const char *rule; bool given; } rules[] = {
		{ "number", given->number }, { "dt-option", given->dt != 0.0 }, { "integrator", given->integrator }, { "reset", given->reset },
		{ "reset-time", given->reset_time }, { "compare", given->compare }, { "spikes-per-step", given->max_spikes }, { "v-min", given->floor },
		{ "if-gain", given->gain }, { "raw-gain", given->gain }, { "cycle-delay", given->delay }, { "transport-delay", given->delay },
	};

	if (!s->model->has_preset)
		return;
	if (given->dt == 0.0 && !strcmp(s->sem.dt_source, "option"))
		s->sem.dt_source = "metadata";
	for (unsigned i = 0; i < s->sem.n_notes; i++)
		for (unsigned k = 0; k < sizeof(rules) / sizeof(rules[0]); k++)
			if (!rules[k].given && !strcmp(s->sem.notes[i].rule, rules[k].rule) && !strcmp(s->sem.notes[i].source, "option"))
				s->sem.notes[i].source = "file";
}

static bool assumed_before(const struct snpu_session *s, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (s->sem.notes[k].kind == SNPU_NOTE_ASSUMED && !strcmp(s->sem.notes[k].rule, s->sem.notes[i].rule))
			return true;
	return false;
}

/* Each rule once: "reset (--reset), v_reset-missing of 'lif1' (the file)". */
static int check_strict(struct snpu_session *s)
{
	const char *list = "";
	unsigned n = 0;

	for (unsigned i = 0; i < s->sem.n_notes && s->opts.strict; i++) {
		const struct snpu_note *note = &s->sem.notes[i];
		const struct snpu_rule *rule = snpu_rule_find(note->rule);

		if (note->kind != SNPU_NOTE_ASSUMED)
			continue;
		n++;
		if (assumed_before(s, i))
			continue;
		list = snpu_arena_printf(&s->arena, "%s%s%s%s%s%s (%s)", list, *list ? ", " : "", note->rule, *note->node ? " of '" : "", note->node,
					 *note->node ? "'" : "", rule ? rule->settle : "the file");
		if (!list)
			return -ENOMEM;
	}
	if (!n)
		return 0;
	return snpu_fail(-EINVAL, "%u thing%s had to be assumed, and strict mode refuses that: %s; settle each by the option in brackets or in the file, or all of the session's with --dialect (option dialect)",
			 n, n == 1 ? "" : "s", list);
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

static int describe(struct snpu_target *t)
{
	t->info = (struct snpu_device_info){ .sz = sizeof(t->info) };
	return snpu_device_info(t->dev, &t->info);
}

static int find_targets(struct snpu_session *s)
{
	unsigned n = s->opts.n_devices;
	int err = 0;

	s->n_targets = n + 1;
	s->targets = snpu_arena_alloc(&s->arena, n + 1, sizeof(*s->targets));
	s->lanes = snpu_arena_alloc(&s->arena, n + 1, sizeof(*s->lanes));
	if (!s->targets || !s->lanes)
		return -ENOMEM;
	err = snpu_device_open("cpu", NULL, &s->targets[n].dev);
	if (!err)
		err = describe(&s->targets[n]);
	for (unsigned i = 0; i < n && !err; i++) {
		s->targets[i].dev = s->opts.devices[i];
		err = describe(&s->targets[i]);
	}
	return err;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

/* "NODE", "NODE.v" or "NODE.i". Node names may contain dots, so the whole name is tried first. */
static int find_record(struct snpu_session *s, const char *name, struct snpu_wanted *w)
{
	size_t len = strlen(name);
	char *base;
	int node = snpu_model_find(s->m, name);

	*w = (struct snpu_wanted){ .name = name, .state = -1 };
	if (node < 0 && len > 2 && name[len - 2] == '.' && (name[len - 1] == 'v' || name[len - 1] == 'i')) {
		base = snpu_arena_printf(&s->arena, "%.*s", (int)(len - 2), name);
		if (!base)
			return -ENOMEM;
		node = snpu_model_find(s->m, base);
		w->state = name[len - 1] == 'i';
	}
	if (node < 0)
		return snpu_fail(-ENOENT, "'%s' was to be recorded, but the model has no such node; see its list of nodes", name);
	w->node = (unsigned)node;
	if (w->state >= (int)s->m->nodes[node].kind->states)
		return snpu_fail(-EINVAL, "'%s' was to be recorded, but a %s has no %s; v is of neurons, i of CubaLI and CubaLIF", name,
				 s->m->nodes[node].kind->name, w->state ? "synaptic current i" : "membrane potential v");
	return 0;
}

static bool is_wanted(const struct snpu_session *s, const char *name)
{
	for (unsigned i = 0; i < s->n_wanted; i++)
		if (!strcmp(s->wanted[i].name, name))
			return true;
	return false;
}

static int find_records(struct snpu_session *s)
{
	s->wanted = snpu_arena_alloc(&s->arena, s->m->n_outputs + s->opts.n_records, sizeof(*s->wanted));
	if (!s->wanted)
		return -ENOMEM;
	for (unsigned i = 0; i < s->m->n_outputs; i++)
		s->wanted[s->n_wanted++] = (struct snpu_wanted){
			.name = s->m->nodes[s->m->outputs[i]].name, .node = s->m->outputs[i], .state = -1, .output = true,
		};
	for (unsigned i = 0; i < s->opts.n_records; i++) {
		int err;

		if (is_wanted(s, s->opts.records[i]))
			continue;
		err = find_record(s, s->opts.records[i], &s->wanted[s->n_wanted]);
		if (err)
			return err;
		s->n_wanted++;
	}
	return 0;
}

/* --- the plan ----------------------------------------------------------------------------------------------------- */

int snpu_session_plan(struct snpu_session *s)
{
	int err;

	s->low = (struct snpu_lowering){
		.m = s->m, .sem = &s->sem, .quant = s->quant, .opts = &s->opts, .targets = s->targets, .n_targets = s->n_targets,
		.wanted = s->wanted, .n_wanted = s->n_wanted,
	};
	err = snpu_plan_make(&s->low, &s->plan);
	for (unsigned k = 0; k < s->m->n_nodes && !err; k++) {
		unsigned i = s->m->order[k];
		const struct snpu_node_place *p = &s->plan.place[i];

		s->placement[k] = (struct snpu_placement){
			.node = s->m->nodes[i].name, .type = s->m->nodes[i].kind->name,
			.device = p->target == SNPU_ON_NOTHING ? -2 : snpu_session_device(s, p->target),
			.reason = p->reason, .forced = p->forced,
		};
	}
	return err;
}

static int apply_delays(struct snpu_session *s)
{
	int err;

	if (s->sem.delay == SNPU_DELAY_SPIKE)
		return 0;
	err = snpu_graph_view(s->model, &s->arena, s->sem.delay, &s->view);
	if (err)
		return err;
	s->m = &s->view;
	return snpu_semantics_note_delays(s->m, &s->arena, &s->sem);
}

static int create(struct snpu_session *s, const struct snpu_session_opts *opts)
{
	unsigned failed;
	int err = copy_options(s, opts);
	struct snpu_session_opts given = s->opts;

	use_preset(s);
	if (!err)
		err = snpu_semantics_decide(s->m, &s->opts, &s->arena, &s->sem);
	if (!err)
		err = apply_delays(s);
	if (!err)
		tell_preset(s, &given);
	if (!err && snpu_number_is_q(&s->sem))
		err = snpu_quant_decide(s->m, &s->sem, &s->arena, &s->quant);
	if (!err)
		err = check_strict(s);
	if (!err)
		err = find_targets(s);
	if (!err)
		err = find_records(s);
	s->placement = snpu_arena_alloc(&s->arena, s->m->n_nodes, sizeof(*s->placement));
	s->segment_nodes = snpu_arena_alloc(&s->arena, s->m->n_nodes, sizeof(*s->segment_nodes));
	if (!err && (!s->placement || !s->segment_nodes))
		err = -ENOMEM;
	if (!err)
		err = snpu_session_plan(s);
	return err ? err : snpu_contexts_create(s, &failed);
}

int snpu_session_create(const struct snpu_model *m, const struct snpu_session_opts *opts, struct snpu_session **out)
{
	struct snpu_session *s;
	int err;

	if (!m->finished)
		return snpu_fail(-EINVAL, "the model is not finished; call snpu_model_finish() first");
	s = calloc(1, sizeof(*s));
	if (!s)
		return snpu_fail(-ENOMEM, "no memory for a session");
	s->model = s->m = (struct snpu_model *)m;
	snpu_model_get(s->model);
	err = create(s, opts);
	if (err) {
		snpu_session_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void snpu_session_free(struct snpu_session *s)
{
	if (!s)
		return;
	snpu_contexts_free(s);
	free(s->state);
	snpu_plan_free(&s->plan);
	snpu_semantics_free(&s->sem);
	if (s->targets)
		snpu_device_close(s->targets[s->n_targets - 1].dev);
	snpu_arena_free(&s->arena);
	snpu_arena_free(&s->said);
	snpu_model_free(s->model);
	free(s);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

unsigned snpu_session_note_count(const struct snpu_session *s)
{
	return s->sem.n_notes;
}

const struct snpu_note *snpu_session_note(const struct snpu_session *s, unsigned index)
{
	return index < s->sem.n_notes ? &s->sem.notes[index] : NULL;
}

unsigned snpu_session_placement_count(const struct snpu_session *s)
{
	return s->m->n_nodes;
}

const struct snpu_placement *snpu_session_placement(const struct snpu_session *s, unsigned index)
{
	return index < s->m->n_nodes ? &s->placement[index] : NULL;
}

void snpu_session_info(const struct snpu_session *s, struct snpu_session_info *out)
{
	*out = (struct snpu_session_info){
		.dt = s->sem.dt, .dt_source = s->sem.dt_source, .reset = s->sem.reset, .compare = s->sem.compare,
		.segments = s->plan.n_segments, .crossings = s->plan.crossings,
	};
	for (unsigned i = 0; i < s->plan.n_segments; i++) {
		struct snpu_prog prog;

		out->weight_bytes += s->plan.segments[i].weight_bytes;
		snpu_prog_init(&prog);
		if (!snpu_emit_segment(&s->low, &s->plan, &s->plan.segments[i], 1, 1, true, &prog))
			out->program_bytes += prog.size;
		snpu_prog_free(&prog);
	}
}

int snpu_session_semantics(const struct snpu_session *s, struct snpu_semantics_info *out)
{
	const struct snpu_semantics *sem = &s->sem;
	struct snpu_semantics_info all = {
		.sz = sizeof(all), .dt = sem->dt, .dt_source = sem->dt_source, .dialect = sem->dialect, .integrator = sem->integrator,
		.reset = sem->reset, .reset_time = sem->reset_time, .compare = sem->compare, .gain = sem->gain, .delay = sem->delay,
		.floor = sem->floor, .v_min = sem->v_min, .max_spikes = sem->max_spikes, .number = sem->number,
	};

	return snpu_opts_out(out, &all, sizeof(all), "snpu_semantics_info");
}

int snpu_session_quant(const struct snpu_session *s, unsigned node, struct snpu_quant_info *out)
{
	struct snpu_quant_info all = { .sz = sizeof(all) };
	int err;

	if (!s->quant)
		return snpu_fail(-EINVAL, "the session is in floats; create it with the option number to ask about integers");
	if (node >= s->m->n_nodes)
		return snpu_fail(-ERANGE, "node %u does not exist, the model has %u; count to snpu_model_node_count()", node, s->m->n_nodes);
	err = snpu_quant_info(&s->low, node, &all);
	return err ? err : snpu_opts_out(out, &all, sizeof(all), "snpu_quant_info");
}

int snpu_session_equation(struct snpu_session *s, unsigned node, const char **text)
{
	if (node >= s->m->n_nodes)
		return snpu_fail(-ERANGE, "node %u does not exist, the model has %u", node, s->m->n_nodes);
	snpu_arena_free(&s->said);
	s->said = (struct snpu_arena){ 0 };
	*text = snpu_semantics_equation(&s->sem, s->m, node, &s->said);
	return *text ? 0 : -ENOMEM;
}

int snpu_session_edge(const struct snpu_session *s, unsigned edge, struct snpu_edge_info *out)
{
	return snpu_model_edge(s->m, edge, out);
}

int snpu_session_segment(struct snpu_session *s, unsigned index, struct snpu_segment_info *out)
{
	const struct snpu_segment *seg;

	if (index >= s->plan.n_segments)
		return snpu_fail(-ERANGE, "segment %u does not exist, the session has %u", index, s->plan.n_segments);
	seg = &s->plan.segments[index];
	for (unsigned i = 0; i < seg->n_slots; i++)
		s->segment_nodes[i] = s->m->nodes[seg->slots[i].node].name;
	*out = (struct snpu_segment_info){ snpu_session_device(s, seg->target), seg->n_slots, s->segment_nodes };
	return 0;
}

int snpu_session_program(struct snpu_session *s, unsigned segment, uint64_t samples, uint64_t steps, void **program, uint64_t *size)
{
	struct snpu_prog prog;
	int err;

	if (segment >= s->plan.n_segments)
		return snpu_fail(-ERANGE, "segment %u does not exist, the session has %u", segment, s->plan.n_segments);
	snpu_prog_init(&prog);
	err = snpu_emit_segment(&s->low, &s->plan, &s->plan.segments[segment], samples, steps, true, &prog);
	if (err) {
		snpu_prog_free(&prog);
		return err;
	}
	*program = prog.data;		/* the caller's from here on */
	*size = prog.size;
	return 0;
}

void snpu_session_cancel(struct snpu_session *s)
{
	atomic_store(&s->cancel, 1);
}
