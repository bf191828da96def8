/* SPDX-License-Identifier: MIT */
/* Recordings of an event camera, as tests/data/nir/cnn has them, for who runs the NIR paper's network on them. */
#ifndef SNPU_TESTS_CNN_DATA_H
#define SNPU_TESTS_CNN_DATA_H

#include "tests/unit/nir_rig.h"

#define STEPS		290
#define MODEL		DATA "cnn/cnn_sinabs.nir"
#define RECORDINGS	DATA "cnn/nmnist_5.npz"

/* The file's bins (sample, step, polarity, row, column, events) as frames, u8 [samples][290][2][34][34]. */
TH_VAR bool read_frames(const char *path, struct snpu_array *frames)
{
	struct snpu_array events, labels;
	uint64_t shape[5] = { 0, STEPS, 2, 34, 34 };
	const uint16_t *e;
	bool ok = rig_npz(path, "events", &events);

	ok = rig_npz(path, "labels", &labels) && ok;
	shape[0] = labels.count;
	ok = ok && !snpu_array_create(SNPU_U8, 5, shape, frames);
	e = events.data;
	for (uint64_t i = 0; ok && i < events.count / 6; i++, e += 6)
		((uint8_t *)frames->data)[(((e[0] * STEPS + e[1]) * 2ull + e[2]) * 34 + e[3]) * 34 + e[4]] = (uint8_t)e[5];
	snpu_array_free(&events);
	snpu_array_free(&labels);
	return ok;
}

#endif
