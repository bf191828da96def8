/* SPDX-License-Identifier: MIT */
/* Every network file in tests/data: what loads, with which notes, and what is refused, for which reason. */
#include "nir_rig.h"

struct expectation {
	const char *file;
	int err;
	const char *says;			/* in the error sentence; or rules of notes that must be there, separated by spaces */
};

static const struct expectation files[] = {
	{ "lif/lif_norse.nir", 0, "v_reset-missing" },
	{ "lif/lif_rockpool.nir", 0, "v_reset-missing shape-ignored" },
	{ "lif/two_lif_neurons.nir", 0, "v_reset-missing" },
	{ "mnist/mnist_lif.nir", 0, "" },
	{ "rnn/braille_noDelay_bias_zero.nir", 0, "cycle-delay v_reset-missing" },
	{ "rnn/braille_noDelay_bias_zero_subgraph.nir", 0, "edge-repaired cycle-delay" },
	{ "rnn/braille_noDelay_noBias_subtract.nir", 0, "cycle-delay" },
	{ "rnn/braille_noDelay_noBias_subtract_subgraph.nir", 0, "edge-repaired cycle-delay" },
	{ "misc/hist_047410e9_braille.nir", 0, "cycle-delay" },
	{ "misc/hist_111b0a44_braille.nir", 0, "w_in-missing" },
	{ "misc/hist_11a0ee4a_braille_zero.nir", 0, "cycle-delay" },
	{ "misc/hist_19004303_braille_flattened.nir", 0, "w_in-missing" },
	{ "misc/hist_2b0feb3d_lif_norse.nir", 0, "v_reset-missing" },
	{ "misc/hist_3a3afb6f_lif_norse.nir", 0, "v_reset-missing" },
	{ "misc/hist_3cbddd23_braille_subtract.nir", 0, "cycle-delay" },
	{ "misc/hist_50b2fc28_braille_v2.nir", -EBADMSG, "name the node 'lif1', which does not exist" },
	{ "misc/hist_64a0b954_braille_v2a.nir", 0, "w_in-missing" },
	{ "misc/hist_77b4a802_braille_subgraph.nir", 0, "shape-ignored w_in-missing" },
	{ "misc/hist_82d89d42_braille.nir", 0, "cycle-delay" },
	{ "misc/hist_a7c67c3a_braille.nir", -EBADMSG, "name the node 'lif1', which does not exist" },
	{ "misc/hist_aee771e1_braille_subtract_subgraph.nir", 0, "edge-repaired" },
	/* What it calls the recurrent weights of lif1 (16 neurons) is a layer from 16 to 63; lif1's own are not in it. */
	{ "misc/hist_c381ba29_braille.nir", -EINVAL, "node 'fc2' takes 63 inputs, 'lif1' gives 16" },
	{ "misc/hist_c5db44fe_braille_zero_subgraph.nir", 0, "edge-repaired" },
	{ "misc/hist_c777885b_braille_v2.nir", -EBADMSG, "name the node 'lif1', which does not exist" },
	{ "misc/hist_f4edd0a1_braille.nir", -EBADMSG, "name the node 'lif1', which does not exist" },
	{ "misc/hist_232ebad8_scnn_mnist.nir", 0, "v_reset-missing" },
	{ "misc/hist_669fbfad_scnn_mnist.nir", 0, "flatten-batch v_reset-missing" },
	{ "misc/hist_9122dac0_scnn_mnist.nir", 0, "flatten-batch v_reset-missing" },
	/* Its pools have a stride of 1, and what follows has the size that a stride of 2 gives. */
	{ "misc/hist_ac9b3878_scnn_mnist.nir", 0, "pool-stride flatten-batch v_reset-missing" },
	{ "misc/hist_e1117a1e_scnn_mnist.nir", 0, "flatten-batch v_reset-missing" },
	{ "misc/hist_e5ac8325_scnn_mnist.nir", 0, "flatten-batch v_reset-missing" },
	{ "prims/conv1d.nir", 0, "" },
	{ "prims/conv2d_basic.nir", 0, "" },
	{ "prims/conv2d_groups.nir", 0, "" },
	{ "prims/conv2d_rect.nir", 0, "" },
	{ "prims/conv2d_same.nir", 0, "" },
	{ "prims/conv2d_valid.nir", 0, "" },
	{ "prims/avgpool_pad.nir", 0, "" },
	{ "prims/sumpool.nir", 0, "" },
	{ "prims/delay.nir", 0, "" },
};

static void check_notes(const struct snpu_model *m, const char *file, const char *rules)
{
	char copy[128], *save, *rule;

	snprintf(copy, sizeof(copy), "%s", rules);
	for (rule = strtok_r(copy, " ", &save); rule; rule = strtok_r(NULL, " ", &save))
		if (!rig_note(m, NULL, rule))
			TH_FAILMSG("%s: no note '%s'", file, rule);
	if (!rules[0] && snpu_model_note_count(m))
		TH_FAILMSG("%s: unexpected note '%s'", file, snpu_model_note(m, 0)->rule);
}

TEST(every_file_loads_or_says_why_not)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[256];
		struct snpu_model *m;
		int err;

		snprintf(path, sizeof(path), DATA "%s", files[i].file);
		err = snpu_model_load_nir(path, &m);
		if (err != files[i].err)
			TH_FAILMSG("%s: %d, expected %d: %s", files[i].file, err, files[i].err, snpu_last_error());
		if (err) {
			EXPECT_CONTAINS(snpu_last_error(), files[i].says);
			EXPECT_CONTAINS(snpu_last_error(), path);
		} else {
			check_notes(m, files[i].file, files[i].says);
			snpu_model_free(m);
		}
	}
}

TEST(mnist_looks_as_it_was_trained)
{
	struct snpu_model *m;
	struct snpu_node_info n;
	struct snpu_edge_info e;

	ASSERT_EQ(snpu_model_load_nir(DATA "mnist/mnist_lif.nir", &m), 0);
	EXPECT_STREQ(snpu_model_format(m), "NIR 1.0.7");
	EXPECT_STREQ(snpu_model_metadata(m, "T"), "25");
	EXPECT_STREQ(snpu_model_metadata(m, "dt"), "0.001");
	EXPECT_CONTAINS(snpu_model_metadata(m, "encoding"), "acc0=(151*i)&255");
	EXPECT_EQ(snpu_model_metadata(m, "nothing"), NULL);
	EXPECT_EQ(snpu_model_node_count(m), 6);
	EXPECT_EQ(snpu_model_edge_count(m), 5);
	EXPECT_EQ(snpu_model_input_count(m), 1);
	ASSERT_EQ(snpu_model_node(m, (unsigned)snpu_model_find(m, "fc1"), &n), 0);
	EXPECT_STREQ(n.type, "Affine");
	EXPECT_EQ(n.size, 256);
	EXPECT_EQ(n.weights, 784 * 256);
	EXPECT_EQ(n.parameters, 784 * 256 + 256);
	EXPECT_FALSE(n.neuron);
	ASSERT_EQ(snpu_model_node(m, (unsigned)snpu_model_find(m, "lif2"), &n), 0);
	EXPECT_TRUE(n.neuron);
	EXPECT_FALSE(n.synaptic);
	EXPECT_EQ(snpu_model_node(m, 6, &n), -ERANGE);
	EXPECT_EQ(snpu_model_edge(m, 5, &e), -ERANGE);
	EXPECT_EQ(snpu_model_find(m, "fc3"), -ENOENT);
	snpu_model_free(m);
}

/* The delay of a cycle is on the edge that leaves the neuron, in flat and in nested files. */
TEST(cycles_are_cut_behind_the_neuron)
{
	static const char *const cases[][3] = {
		{ DATA "rnn/braille_noDelay_bias_zero.nir", "lif1.lif", "lif1.w_rec" },
		{ DATA "rnn/braille_noDelay_bias_zero_subgraph.nir", "lif1/lif1", "lif1/lin" },
		{ DATA "prims/two_lif_loop.nir", "l2", "w21" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snpu_model *m;
		struct snpu_edge_info e;
		unsigned delayed = 0;

		ASSERT_EQ(snpu_model_load_nir(cases[i][0], &m), 0);
		for (unsigned k = 0; !snpu_model_edge(m, k, &e) && k < snpu_model_edge_count(m); k++) {
			if (!e.delayed)
				continue;
			delayed++;
			EXPECT_EQ((int)e.from, snpu_model_find(m, cases[i][1]));
			EXPECT_EQ((int)e.to, snpu_model_find(m, cases[i][2]));
		}
		EXPECT_EQ(delayed, 1);
		snpu_model_free(m);
	}
}

TEST(files_that_are_no_models)
{
	struct snpu_model *m;

	EXPECT_EQ(snpu_model_load_nir("/no/such/file.nir", &m), -ENOENT);
	EXPECT_CONTAINS(snpu_last_error(), "/no/such/file.nir");
	EXPECT_EQ(snpu_model_load_nir("/dev/null", &m), -EINVAL);
	EXPECT_EQ(snpu_model_load_nir(DATA, &m), -EINVAL);
	EXPECT_EQ(snpu_model_load_nir(DATA "mnist/mnist_test1000.npz", &m), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "zip archive");
	EXPECT_EQ(snpu_model_load_nir(DATA "rnn/ds_test_0_input.npy", &m), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "not an HDF5 file");
	EXPECT_EQ(snpu_model_load_nir_memory("", 0, &m), -EBADMSG);
}

/* No length of a file may crash, and none that lacks something may load. */
TEST_TIMEOUT(every_prefix_is_refused, 300)
{
	size_t size;
	uint8_t *good = rig_read(DATA "misc/hist_3a3afb6f_lif_norse.nir", &size);
	struct snpu_model *m;

	ASSERT_TRUE(good);
	ASSERT_EQ(snpu_model_load_nir_memory(good, size, &m), 0);
	snpu_model_free(m);
	for (size_t n = 0; n < size; n += n < 4096 ? 1 : 61) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, good, n);
		if (snpu_model_load_nir_memory(cut, n, &m) == 0) {
			/* Files end with unused space: what is left must be all of it. */
			EXPECT_EQ(snpu_model_node_count(m), 3);
			snpu_model_free(m);
		} else {
			EXPECT_NE(snpu_last_error()[0], 0);
		}
		free(cut);
	}
	free(good);
}

TEST_HARNESS_MAIN
