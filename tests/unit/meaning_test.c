/* SPDX-License-Identifier: MIT */
/*
 * What a network is decided to mean: every rule of docs/nir.md leaves a note with its kind and its source, strict mode names what it refuses
 * and what settles it, dialects are the rows of the page, and delays are where the page says.
 */
#include "backend/backend.h"
#include "model_rig.h"
#include "snpu_isa.h"

/* --- models that bring up one question each --- */

static struct snpu_model *one_second(void) { return rig_one_lif(3, 1, 0); }
static struct snpu_model *inferred(void) { return rig_one_lif(0.01f, 10, 0); }
static struct snpu_model *metadata(void) { return rig_one_lif(0.01f, 10, 1e-3); }
static struct snpu_model *contradiction(void) { return rig_one_lif(0.01f, 10, 2e-3); }
static struct snpu_model *untold(void) { return rig_one_lif(0.01f, 1, 0); }

static unsigned add_neuron(struct snpu_model *m, const char *name, const char *type, float threshold, bool all)
{
	static const char *const names[] = { "tau_syn", "tau_mem", "r", "v_leak" };
	unsigned node = rig_node(m, name, type);

	for (int i = 0; i < 4; i++)
		if (snpu_model_has_param(m, node, names[i]) == 1)
			rig_vector(m, node, names[i], 1, i < 2 ? 0.01f : i == 2);
	rig_vector(m, node, "v_threshold", 1, threshold);
	if (all && snpu_model_has_param(m, node, "w_in") == 1)
		rig_vector(m, node, "w_in", 1, 1);
	if (all)
		rig_vector(m, node, "v_reset", 1, 0);
	return node;
}

static struct snpu_model *neuron(const char *type, float threshold, bool all)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 2);
	add_neuron(m, "x", type, threshold, all);
	rig_end(m, "output", "Output", 2);
	return rig_done(m, "input>x x>output");
}

static struct snpu_model *one_if(void) { return neuron("IF", 1, true); }
static struct snpu_model *cuba(void) { return neuron("CubaLIF", 1, true); }
static struct snpu_model *bare_cuba(void) { return neuron("CubaLIF", 1, false); }
static struct snpu_model *stuck(void) { return neuron("IF", -0.5f, true); }

static struct snpu_model *low_threshold(void)
{
	struct snpu_model *m = rig_model();
	unsigned node;

	rig_end(m, "input", "Input", 2);
	node = add_neuron(m, "x", "IF", -0.5f, false);
	rig_vector(m, node, "v_reset", 1, -1);
	rig_end(m, "output", "Output", 2);
	return rig_done(m, "input>x x>output");
}

static struct snpu_model *useless(void)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 2);
	rig_lif(m, "lif", 0.01f, 10);
	rig_lif(m, "aside", 0.01f, 10);
	rig_end(m, "output", "Output", 2);
	return rig_done(m, "input>lif input>aside lif>output");
}

static struct snpu_model *recurrent(void)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 3);
	rig_linear(m, "w", 3, 3, 0.1f);
	rig_lif(m, "lif", 0.01f, 10);
	rig_linear(m, "rec", 3, 3, 0.1f);
	rig_end(m, "output", "Output", 3);
	return rig_done(m, "input>w w>lif lif>rec rec>lif lif>output");
}

/* No ends, an edge twice, a node for nothing. */
static struct snpu_model *odd(void)
{
	struct snpu_model *m = rig_model();

	rig_linear(m, "w", 3, 3, 0.1f);
	rig_lif(m, "lif", 0.01f, 10);
	return rig_done(m, "w>lif w>lif");
}

static struct snpu_model *wrong_shape(void)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 3);
	rig_linear(m, "w", 4, 3, 0.1f);
	rig_end(m, "output", "Output", 7);
	return rig_done(m, "input>w w>output");
}

static struct snpu_model *no_shape(void)
{
	struct snpu_model *m = rig_model();

	rig_node(m, "input", "Input");
	rig_linear(m, "w", 4, 3, 0.1f);
	rig_end(m, "output", "Output", 4);
	return rig_done(m, "input>w w>output");
}

/* Flatten counts the batch: start_dim 1 of [2][3] would leave it as it is, and the matrix has 6 columns. */
static struct snpu_model *old_flatten(void)
{
	struct snpu_model *m = rig_model();
	int64_t shape[2] = { 2, 3 };
	unsigned node = rig_node(m, "input", "Input");

	MUST(snpu_model_set_ints(m, node, "shape", 2, shape));
	rig_node(m, "flat", "Flatten");
	rig_linear(m, "w", 4, 6, 0.1f);
	rig_end(m, "output", "Output", 4);
	return rig_done(m, "input>flat flat>w w>output");
}

/* Windows of 2 by 2 over 4 by 4 at a stride of 1 make 9 values, and the matrix has 4 columns. */
static struct snpu_model *lost_stride(void)
{
	struct snpu_model *m = rig_model();
	int64_t shape[3] = { 1, 4, 4 };
	unsigned node = rig_node(m, "input", "Input");

	MUST(snpu_model_set_ints(m, node, "shape", 3, shape));
	rig_pool(m, "pool", "SumPool2d", 2, 1);
	rig_linear(m, "w", 3, 4, 0.1f);
	rig_end(m, "output", "Output", 3);
	return rig_done(m, "input>pool pool>w w>output");
}

static struct snpu_model *dangling(void)
{
	struct snpu_model *m = NULL;

	MUST(snpu_model_load_nir(DATA "rnn/braille_noDelay_bias_zero_subgraph.nir", &m));
	return m;
}

/* --- every rule ------------------------------------------------------------------------------------------------------ */

struct decision {
	const char *rule;
	struct snpu_model *(*model)(void);
	struct snpu_session_opts opts;
	enum snpu_note_kind kind;
	const char *source;			/* NULL: it does not matter */
};

static const struct decision decisions[] = {
	{ "dt-option", inferred, { .dt = 1e-3 }, SNPU_NOTE_INFO, "option" },
	{ "dt-metadata", metadata, { 0 }, SNPU_NOTE_INFO, "file" },
	{ "dt-inferred", inferred, { 0 }, SNPU_NOTE_ASSUMED, "default" },
	{ "dt-dialect", untold, { .dialect = SNPU_DIALECT_NORSE }, SNPU_NOTE_ASSUMED, "dialect" },
	{ "dt-dialect", inferred, { .dialect = SNPU_DIALECT_SINABS }, SNPU_NOTE_INFO, "dialect" },
	{ "dt-differs", contradiction, { 0 }, SNPU_NOTE_WARNING, NULL },
	{ "tau-in-steps", one_second, { .dt = 0.5 }, SNPU_NOTE_WARNING, NULL },
	{ "tau-below-step", inferred, { .dt = 1, .integrator = SNPU_INTEGRATOR_EXP }, SNPU_NOTE_WARNING, NULL },
	{ "integrator", inferred, { 0 }, SNPU_NOTE_ASSUMED, "default" },
	{ "integrator", inferred, { .integrator = SNPU_INTEGRATOR_EXP }, SNPU_NOTE_INFO, "option" },
	{ "integrator", metadata, { .dialect = SNPU_DIALECT_ROCKPOOL }, SNPU_NOTE_INFO, "dialect" },
	{ "cuba-current", cuba, { .dt = 1e-3 }, SNPU_NOTE_INFO, NULL },
	{ "reset", inferred, { 0 }, SNPU_NOTE_ASSUMED, "default" },
	{ "reset", inferred, { .dialect = SNPU_DIALECT_NIR }, SNPU_NOTE_INFO, "dialect" },
	{ "reset-time", inferred, { .reset_time = SNPU_RESET_NEXT_STEP }, SNPU_NOTE_INFO, "option" },
	{ "compare", inferred, { 0 }, SNPU_NOTE_INFO, "default" },
	{ "number", inferred, { .number = SNPU_NUMBER_INT8 }, SNPU_NOTE_INFO, "option" },
	{ "spikes-per-step", inferred, { .max_spikes = 4 }, SNPU_NOTE_INFO, "option" },
	{ "v-min", inferred, { .floor = SNPU_FLOOR_VALUE, .v_min = -1 }, SNPU_NOTE_INFO, "option" },
	{ "if-gain", one_if, { 0 }, SNPU_NOTE_ASSUMED, "default" },
	{ "if-gain", one_if, { .gain = SNPU_GAIN_R }, SNPU_NOTE_INFO, "option" },
	{ "if-gain", one_if, { .dt = 1 }, SNPU_NOTE_INFO, "file" },
	{ "raw-gain", inferred, { .gain = SNPU_GAIN_RAW }, SNPU_NOTE_INFO, "option" },
	{ "cycle-delay", recurrent, { 0 }, SNPU_NOTE_INFO, "file" },
	{ "cycle-delay", recurrent, { .dialect = SNPU_DIALECT_NORSE }, SNPU_NOTE_INFO, "dialect" },
	{ "transport-delay", recurrent, { .delay = SNPU_DELAY_SYNAPSE }, SNPU_NOTE_INFO, "option" },
	{ "edge-repaired", dangling, { 0 }, SNPU_NOTE_ASSUMED, NULL },
	{ "duplicate-edge", odd, { 0 }, SNPU_NOTE_WARNING, NULL },
	{ "v_reset-missing", bare_cuba, { .dt = 1e-3 }, SNPU_NOTE_ASSUMED, "default" },
	{ "w_in-missing", bare_cuba, { .dt = 1e-3 }, SNPU_NOTE_ASSUMED, "default" },
	{ "input-missing", odd, { 0 }, SNPU_NOTE_ASSUMED, NULL },
	{ "output-missing", odd, { 0 }, SNPU_NOTE_ASSUMED, NULL },
	{ "shape-missing", no_shape, { 0 }, SNPU_NOTE_ASSUMED, NULL },
	{ "shape-ignored", wrong_shape, { 0 }, SNPU_NOTE_WARNING, NULL },
	{ "flatten-batch", old_flatten, { 0 }, SNPU_NOTE_ASSUMED, NULL },
	{ "pool-stride", lost_stride, { 0 }, SNPU_NOTE_ASSUMED, NULL },
	{ "threshold-not-positive", low_threshold, { 0 }, SNPU_NOTE_WARNING, NULL },
	{ "reset-above-threshold", stuck, { 0 }, SNPU_NOTE_WARNING, NULL },
	{ "unused-node", useless, { 0 }, SNPU_NOTE_WARNING, NULL },
	{ "input-scale", inferred, { 0 }, SNPU_NOTE_INFO, NULL },
};

static const struct snpu_note *find_note(const struct snpu_session *s, const struct decision *d)
{
	const struct snpu_note *n;

	for (unsigned i = 0; (n = snpu_session_note(s, i)); i++)
		if (!strcmp(n->rule, d->rule) && n->kind == d->kind && (!d->source || !strcmp(n->source, d->source)))
			return n;
	return NULL;
}

TEST(every_rule_is_a_note_with_its_kind_and_source)
{
	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
		struct snpu_model *m = decisions[i].model();
		struct snpu_session_opts o = decisions[i].opts;
		struct snpu_session *s = rig_session(m, o);
		const char *said = "";

		if (!s || !find_note(s, &decisions[i]))
			TH_FAILMSG("%s: no such note (decision %zu)", decisions[i].rule, i);
		snpu_session_free(s);
		o.strict = true;
		if (decisions[i].kind == SNPU_NOTE_ASSUMED) {
			EXPECT_EQ(rig_refused(m, o), -EINVAL);
			said = snpu_last_error();
			EXPECT_CONTAINS(said, decisions[i].rule);
			EXPECT_CONTAINS(said, snpu_rule_find(decisions[i].rule)->settle);
		}
		snpu_model_free(m);
	}
}

/* Rules that only a file brings up are in nir_hostile_test.c. */
TEST(every_rule_is_decided_in_a_test)
{
	const struct snpu_rule *r;

	for (unsigned k = 0; (r = snpu_rule(k)); k++) {
		bool found = !strcmp(r->name, "field-ignored") || !strcmp(r->name, "metadata-dt");

		for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++)
			found |= !strcmp(decisions[i].rule, r->name);
		if (!found)
			TH_FAILMSG("%s: no decision in this test", r->name);
	}
	EXPECT_EQ(snpu_rule_find("no such rule"), NULL);
}

/* The first column of the table of rules in docs/nir.md has the rules, all of them, in the order of the list. */
TEST(rules_are_those_of_the_page)
{
	const struct snpu_rule *r = NULL;
	char line[4096], *at, *end;
	bool rules = false;
	unsigned k = 0;
	FILE *f = fopen("docs/nir.md", "r");

	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f)) {
		rules = line[0] == '#' ? !strcmp(line, "## Rules\n") : rules;
		if (!rules || line[0] != '|')
			continue;
		end = strchr(line + 1, '|');
		for (at = strchr(line, '`'); at && at < end; at = strchr(at, '`')) {
			char *stop = strchr(at + 1, '`');

			*stop = 0;
			r = snpu_rule(k++);
			EXPECT_STREQ(at + 1, r ? r->name : "(no more rules)");
			at = stop + 1;
		}
	}
	EXPECT_EQ(snpu_rule(k), NULL);
	fclose(f);
}

/* --- strict ---------------------------------------------------------------------------------------------------------- */

TEST(strict_is_content_with_options_or_a_dialect)
{
	struct snpu_model *m = inferred();
	struct snpu_session_opts o = { .strict = true };

	EXPECT_EQ(rig_refused(m, o), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "3 things had to be assumed, and strict mode refuses that: dt-inferred (--dt), integrator (--integrator), reset (--reset)");
	o.dialect = SNPU_DIALECT_NIR;
	EXPECT_EQ(rig_refused(m, o), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "1 thing had to be assumed, and strict mode refuses that: dt-inferred (--dt)");
	o.dt = 1e-3;
	EXPECT_EQ(rig_refused(m, o), 0);
	snpu_model_free(m);
}

TEST(options_that_cannot_be)
{
	struct snpu_model *m = inferred();

	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .dialect = (enum snpu_dialect)99 }), -EINVAL);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .delay = (enum snpu_delay)9 }), -EINVAL);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .floor = SNPU_FLOOR_VALUE, .v_min = NAN }), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "v_min");
	EXPECT_EQ(snpu_dialect_name(SNPU_DIALECT_DEFAULT), NULL);
	EXPECT_EQ(snpu_dialect_name((enum snpu_dialect)99), NULL);
	snpu_model_free(m);
}

/* --- dialects -------------------------------------------------------------------------------------------------------- */

static struct snpu_semantics_info meaning(const struct snpu_model *m, struct snpu_session_opts o)
{
	struct snpu_semantics_info s = { .sz = sizeof(s) };
	struct snpu_session *session = rig_session(m, o);

	if (session)
		MUST(snpu_session_semantics(session, &s));
	snpu_session_free(session);
	return s;
}

TEST(options_go_before_the_dialect)
{
	struct snpu_model *m = untold();
	struct snpu_semantics_info s = meaning(m, (struct snpu_session_opts){ .dialect = SNPU_DIALECT_SINABS, .reset = SNPU_RESET_DELTA, .max_spikes = 1, .dt = 1e-3 });

	EXPECT_EQ(s.reset, SNPU_RESET_DELTA);
	EXPECT_EQ(s.max_spikes, 1);
	EXPECT_EQ(s.compare, SNPU_COMPARE_GE);
	EXPECT_EQ(s.integrator, SNPU_INTEGRATOR_EXP);
	EXPECT_EQ(s.gain, SNPU_GAIN_RAW);
	EXPECT_TRUE(s.dt == 1e-3);
	EXPECT_STREQ(s.dt_source, "option");
	s = meaning(m, (struct snpu_session_opts){ .dialect = SNPU_DIALECT_SPYX, .delay = SNPU_DELAY_SPIKE, .dt = 1e-3 });
	EXPECT_EQ(s.delay, SNPU_DELAY_SPIKE);
	EXPECT_EQ(s.reset_time, SNPU_RESET_NEXT_STEP);
	s = meaning(m, (struct snpu_session_opts){ .dialect = SNPU_DIALECT_SNNTORCH });
	EXPECT_EQ(s.reset_time, SNPU_RESET_SAME_STEP);		/* both, but by value */
	EXPECT_TRUE(s.dt == 1e-4);
	EXPECT_STREQ(s.dt_source, "dialect");
	snpu_model_free(m);
}

/* SpikingJelly writes r = 1/dt of IF, and no dt: with the one that its importer takes the input of a step counts once. */
TEST(spikingjelly_counts_its_input_once)
{
	struct snpu_model *m = rig_model();
	struct snpu_session_opts o = { .dialect = SNPU_DIALECT_SPIKINGJELLY };
	struct snpu_session *s;
	const char *text = "";
	unsigned node;

	rig_end(m, "input", "Input", 2);
	node = add_neuron(m, "x", "IF", 1, false);
	rig_vector(m, node, "r", 1, 10000);
	rig_vector(m, node, "v_reset", 1, 0);
	rig_end(m, "output", "Output", 2);
	rig_edges(m, "input>x x>output");
	MUST(snpu_model_finish(m));
	EXPECT_TRUE(meaning(m, o).dt == 1e-4);
	s = rig_session(m, o);
	if (s)
		MUST(snpu_session_equation(s, node, &text));
	EXPECT_STREQ(text, "v += r x, r 1; fires at v >= 1, then v = 0");
	snpu_session_free(s);
	snpu_model_free(m);
}

/* The table of dialects in docs/nir.md against what a session decides. Columns behind the name are in this order. */
TEST(dialects_are_those_of_the_page)
{
	static const char *const integrators[] = { "", "euler", "exp" }, *const resets[] = { "", "value, ", "subtract, ", "delta, " };
	static const char *const delays[] = { "", "spike", "current", "neuron", "synapse" }, *const gains[] = { "", "r", "r-dt", "raw", "raw-decayed" };
	struct snpu_model *m = one_if();
	char line[1024], row[256], name[32];
	unsigned seen = 0;
	FILE *f = fopen("docs/nir.md", "r");

	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f)) {
		enum snpu_dialect d = SNPU_DIALECT_NIR;
		struct snpu_semantics_info s;

		if (sscanf(line, "| `%31[a-z]` |", name) != 1)
			continue;
		while (snpu_dialect_name(d) && strcmp(snpu_dialect_name(d), name))
			d++;
		if (!snpu_dialect_name(d))
			continue;
		seen++;
		/* By subtract, so that "both" is told from "same". */
		s = meaning(m, (struct snpu_session_opts){ .dialect = d, .dt = 1e-3 });
		snprintf(row, sizeof(row), "| %s | %s", integrators[s.integrator], resets[s.reset]);
		EXPECT_CONTAINS(line, row);
		s = meaning(m, (struct snpu_session_opts){ .dialect = d, .dt = 1e-3, .reset = SNPU_RESET_SUBTRACT });
		EXPECT_CONTAINS(line, s.reset_time == SNPU_RESET_NEXT_STEP ? ", next" : s.reset_time == SNPU_RESET_BOTH_STEPS ? ", both" : ", same");
		snprintf(row, sizeof(row), " | %s | %s | %s | %s | %s |", s.compare == SNPU_COMPARE_GE ? "ge" : "gt", s.max_spikes == 1 ? "1" : "any",
			 s.floor == SNPU_FLOOR_THRESHOLD ? "-threshold, of IF" : "none", gains[s.gain], delays[s.delay]);
		EXPECT_CONTAINS(line, row);
	}
	fclose(f);
	EXPECT_EQ(seen, 8);
	snpu_model_free(m);
}

/* --- delays ---------------------------------------------------------------------------------------------------------- */

/* The edges of the session that wait, as "lif>rec ". */
static const char *waiting(const struct snpu_model *m, enum snpu_delay delay, char *text)
{
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ .dt = 1e-3, .delay = delay });
	struct snpu_node_info from, to;
	struct snpu_edge_info e;

	*text = 0;
	for (unsigned i = 0; s && i < snpu_model_edge_count(m); i++)
		if (!snpu_session_edge(s, i, &e) && e.delayed && !snpu_model_node(m, e.from, &from) && !snpu_model_node(m, e.to, &to))
			sprintf(text + strlen(text), "%s>%s ", from.name, to.name);
	snpu_session_free(s);
	return text;
}

TEST(values_wait_where_the_option_says)
{
	struct snpu_model *m = recurrent();
	char text[256];

	EXPECT_STREQ(waiting(m, SNPU_DELAY_DEFAULT, text), "lif>rec ");
	EXPECT_STREQ(waiting(m, SNPU_DELAY_CURRENT, text), "rec>lif ");
	EXPECT_STREQ(waiting(m, SNPU_DELAY_NEURON, text), "lif>rec lif>output ");
	EXPECT_STREQ(waiting(m, SNPU_DELAY_SYNAPSE, text), "input>w lif>rec ");
	EXPECT_STREQ(waiting(m, SNPU_DELAY_SPIKE, text), "lif>rec ");		/* the model itself has not changed */
	snpu_model_free(m);
}

/* --- devices --------------------------------------------------------------------------------------------------------- */

/* A card of the contract before these ways of firing executes plain neurons, and the CPU the others. */
TEST(an_older_card_is_not_asked_for_what_it_cannot)
{
	struct snpu_model *m = inferred();
	struct snpu_session_opts o = { .n_devices = 1 };
	struct snpu_device *sim;
	struct snpu_session *s;

	MUST(snpu_device_open("sim", NULL, &sim));
	sim->info.hw_version = 1u << 16 | 2;
	o.devices = &sim;
	s = rig_session(m, o);
	EXPECT_EQ(snpu_session_placement(s, 1)->device, 0);
	snpu_session_free(s);
	o.dialect = SNPU_DIALECT_SINABS;
	o.dt = 1e-3;
	s = rig_session(m, o);
	EXPECT_EQ(snpu_session_placement(s, 1)->device, -1);
	EXPECT_CONTAINS(snpu_session_placement(s, 1)->reason, "of contract 1.2, does not fire as asked");
	snpu_session_free(s);
	snpu_device_close(sim);
	snpu_model_free(m);
}

/* --- equations ------------------------------------------------------------------------------------------------------- */

static void expect_equation(struct snpu_model *m, struct snpu_session_opts o, const char *node, const char *want)
{
	struct snpu_session *s = rig_session(m, o);
	const char *text = "";

	if (s)
		MUST(snpu_session_equation(s, (unsigned)snpu_model_find(m, node), &text));
	EXPECT_STREQ(text, want);
	if (s)
		EXPECT_EQ(snpu_session_equation(s, 99, &text), -ERANGE);
	snpu_session_free(s);
	snpu_model_free(m);
}

/* The first node's of a file with one. */
static void expect_equation_of(const char *file, const char *want)
{
	struct snpu_model *m;

	if (snpu_model_load_nir(file, &m))
		TH_FAILMSG("%s", snpu_last_error());
	else
		expect_equation(m, (struct snpu_session_opts){ .dt = 1e-3 }, "n0", want);
}

TEST(equations_say_what_is_computed)
{
	expect_equation(inferred(), (struct snpu_session_opts){ 0 }, "lif", "v += k (10 x - v), k 0.1; fires at v > 1, then v = 0");
	expect_equation(inferred(), (struct snpu_session_opts){ .dialect = SNPU_DIALECT_SINABS, .dt = 1e-3 }, "lif",
			"v = (1 - k) v + x, k 0.0951626; fires n = trunc(v / th) times at v >= 1, then v -= n th");
	expect_equation(one_if(), (struct snpu_session_opts){ .dialect = SNPU_DIALECT_SINABS }, "x",
			"v += r x, r 1; fires n = trunc(v / th) times at v >= 1, then v -= n th; v >= -th");
	expect_equation(cuba(), (struct snpu_session_opts){ .dialect = SNPU_DIALECT_ROCKPOOL, .dt = 1e-3, .max_spikes = 7 }, "x",
			"i = (1 - k_syn) (i + x), k_syn 0.0951626; v = (1 - k_mem) v + i, k_mem 0.0951626; fires n = trunc(v / th) times, at most 7, at v >= 1, then v -= n th");
	expect_equation(recurrent(), (struct snpu_session_opts){ .reset_time = SNPU_RESET_NEXT_STEP }, "rec", "3 x 3 weights");
	expect_equation(recurrent(), (struct snpu_session_opts){ 0 }, "output", "");
	expect_equation_of(DATA "prims/conv2d_s2p1.nir", "4 kernels of 2x3x3, stride 2x1, padding 1x2, plus the bias");
	expect_equation_of(DATA "prims/conv1d.nir", "3 kernels of 2x4, stride 2, padding 1, plus the bias");
	expect_equation_of(DATA "prims/sumpool.nir", "sum of 2x2, stride 2x2");
	expect_equation_of(DATA "prims/avgpool_pad.nir", "mean of 3x3, stride 2x2, padding 1x1");
	expect_equation_of(DATA "prims/delay.nir", "x of so many steps ago: 0..7");
}

TEST_HARNESS_MAIN
