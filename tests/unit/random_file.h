/* SPDX-License-Identifier: MIT */
/* Random networks as .nir files that libhdf5 writes, in memory, and what the loader makes of them. For one thread. */
#ifndef SNPU_TESTS_RANDOM_FILE_H
#define SNPU_TESTS_RANDOM_FILE_H

#include "hdf5_rig.h"
#include "random_net.h"

TH_VAR void net_put_array(hid_t at, const char *name, int rank, const hsize_t *dims, const float *v)
{
	double d[NET_VECTOR * NET_SIZE];
	hsize_t count = 1;

	for (int i = 0; i < rank; i++)
		count *= dims[i];
	for (hsize_t i = 0; i < count; i++)
		d[i] = v[i];
	put_numbers(at, name, H5T_IEEE_F32LE, rank, dims, d, NULL);
}

TH_VAR int net_dims(struct net_shape s, hsize_t dims[3])
{
	dims[0] = (hsize_t)s.c;
	dims[1] = (hsize_t)(s.rank == 2 ? s.w : s.h);
	dims[2] = (hsize_t)s.w;
	return s.rank;
}

/* Whole numbers: a vector, or with count 0 a scalar. */
TH_VAR void net_put_ints(hid_t at, const char *name, int count, const int *v)
{
	hsize_t n = (hsize_t)count;
	double d[3];

	for (int i = 0; i < (count ? count : 1); i++)
		d[i] = v[i];
	put_numbers(at, name, H5T_STD_I64LE, count > 0, &n, d, NULL);
}

TH_VAR void net_put_shape(hid_t g, const char *name, struct net_shape s)
{
	hsize_t dims[3];
	int rank = net_dims(s, dims), v[3] = { (int)dims[0], (int)dims[1], (int)dims[2] };

	net_put_ints(g, name, rank, v);
}

/* A pair of a window; of a sequence the one for columns, as a scalar. */
TH_VAR void net_put_pair(hid_t g, const struct net_node *node, const char *name, const int v[2])
{
	net_put_ints(g, name, node->type == NET_CONV1D ? 0 : 2, node->type == NET_CONV1D ? &v[1] : v);
}

TH_VAR void net_put_window(hid_t g, const struct net_node *node)
{
	const struct net_window *w = &node->window;
	bool conv = node->type == NET_CONV1D || node->type == NET_CONV2D;
	hsize_t dims[4] = { (hsize_t)node->shape.c, (hsize_t)(node->in.c / w->groups), (hsize_t)w->kernel[0], (hsize_t)w->kernel[1] };
	int image[2] = { node->in.h, node->in.w };

	net_put_pair(g, node, "stride", w->stride);
	if (w->padding)
		put_string(g, "padding", w->padding, false);
	else
		net_put_pair(g, node, "padding", w->pad);
	if (!conv) {
		net_put_pair(g, node, "kernel_size", w->kernel);
		return;
	}
	net_put_pair(g, node, "dilation", w->dilation);
	net_put_ints(g, "groups", 0, &w->groups);
	if (w->tells)
		net_put_pair(g, node, "input_shape", image);
	net_put_array(g, "bias", 1, dims, node->bias);
	if (node->type == NET_CONV1D)
		dims[2] = dims[3];
	net_put_array(g, "weight", node->type == NET_CONV1D ? 3 : 4, dims, node->weight);
}

/* What is not one number for each element. */
TH_VAR void net_put_fields(hid_t g, const struct net_node *node)
{
	hsize_t dims[2] = { (hsize_t)node->n, (hsize_t)node->n_in };

	switch (node->type) {
	case NET_INPUT:
	case NET_OUTPUT:
		net_put_shape(g, "shape", node->shape);
		break;
	case NET_AFFINE:
		net_put_array(g, "bias", 1, dims, node->bias);
		net_put_array(g, "weight", 2, dims, node->weight);
		break;
	case NET_LINEAR:
		net_put_array(g, "weight", 2, dims, node->weight);
		break;
	case NET_FLATTEN:
		net_put_ints(g, "start_dim", 0, &node->axis[0]);
		net_put_ints(g, "end_dim", 0, &node->axis[1]);
		net_put_shape(g, "input_type", node->in);
		break;
	case NET_CONV1D:
	case NET_CONV2D:
	case NET_SUMPOOL:
	case NET_AVGPOOL:
		net_put_window(g, node);
		break;
	default:
		break;
	}
}

TH_VAR void net_put_node(struct build *b, const struct net_node *node)
{
	static const char *const names[] = { "tau", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset", "scale", "delay" };
	const struct net_kind *kind = &net_kinds[node->type];
	const char *slash = strchr(node->name, '/');
	hid_t g = put_node(b, slash ? slash + 1 : node->name, kind->name);
	hsize_t dims[3];
	int rank = net_dims(node->shape, dims);

	net_put_fields(g, node);
	for (int p = 0; p < NET_PARAMS; p++) {
		const char *name = p == NET_TAU && kind->params >> NET_TAU_SYN & 1 ? "tau_mem" : p == NET_V_TH && node->type == NET_THRESHOLD ? "threshold" : names[p];

		if (kind->params >> p & 1)
			net_put_array(g, name, rank, dims, node->param[p]);
	}
	H5Gclose(g);
}

/* What node i is called in graph `nested` (0: the outer one), as an end of an edge. */
TH_VAR const char *net_end(const struct net *net, int i, int nested, char *room)
{
	const char *slash = strchr(net->node[i].name, '/');

	snprintf(room, 24, "%s", nested || !slash ? slash ? slash + 1 : net->node[i].name : net->node[i].name);
	if (!nested && slash)
		*strchr(room, '/') = 0;		/* the whole graph */
	return room;
}

/* The edges of a graph: of a nested one those inside and those from and to its ends, of the outer one all others. */
TH_VAR void net_put_edges(const struct net *net, hid_t at, int nested)
{
	static char room[2 * NET_EDGES][24];
	const char *ends[2 * NET_EDGES];
	unsigned n = 0;

	for (int e = 0; e < net->n_edges; e++) {
		const struct net_edge *edge = &net->edge[e];
		bool inside = net->node[edge->from].nested && net->node[edge->from].nested == net->node[edge->to].nested;

		if (nested ? !inside || net->node[edge->from].nested != nested : inside)
			continue;
		ends[2 * n] = net_end(net, edge->from, nested, room[2 * n]);
		ends[2 * n + 1] = net_end(net, edge->to, nested, room[2 * n + 1]);
		n++;
	}
	if (nested) {
		ends[2 * n] = "in";
		ends[2 * n + 1] = net_end(net, net->nested_in[nested], nested, room[2 * n]);
		n++;
		ends[2 * n] = net_end(net, net->nested_out[nested], nested, room[2 * n]);
		ends[2 * n + 1] = "out";
		n++;
	}
	put_edges(at, n, ends, false);
}

TH_VAR void net_put_nested(const struct net *net, struct build *b, int nested)
{
	struct build inner = { 0 };
	char name[12];
	hid_t g, end;

	snprintf(name, sizeof(name), "g%d", nested);
	g = put_node(b, name, "NIRGraph");
	inner.nodes = H5Gcreate2(g, "nodes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	for (int i = 0; i < net->n_nodes; i++)
		if (net->node[i].nested == nested)
			net_put_node(&inner, &net->node[i]);
	for (int out = 0; out < 2; out++) {
		end = put_node(&inner, out ? "out" : "in", out ? "Output" : "Input");
		net_put_shape(end, "shape", net->node[net->nested_in[nested]].shape);
		H5Gclose(end);
	}
	net_put_edges(net, g, nested);
	H5Gclose(inner.nodes);
	H5Gclose(g);
}

/* The file's bytes; the caller frees them. */
TH_VAR void *net_file(const struct net *net, size_t *size)
{
	struct build b;

	build_open(&b, false);
	put_string(b.node, "type", "NIRGraph", false);
	for (int i = 0; i < net->n_nodes; i++)
		if (!net->node[i].nested)
			net_put_node(&b, &net->node[i]);
	for (int g = 1; g <= net->n_nested; g++)
		net_put_nested(net, &b, g);
	net_put_edges(net, b.node, 0);
	return build_close(&b, size);
}

#endif
