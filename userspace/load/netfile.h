/* SPDX-License-Identifier: MIT */
/*
 * Networks in files of our own, as `snpu quantize` writes them: docs/nir.md has the format. netfile.c reads, netfile_write.c writes. One thread.
 */
#ifndef SNPU_LOAD_NETFILE_H
#define SNPU_LOAD_NETFILE_H

#include <jansson.h>

#include "graph/graph.h"

#define SNPU_NETFILE_MAGIC	"SNPUNET1"
#define SNPU_NETFILE_ALIGN	64u		/* of the data in the file, bytes */

struct snpu_netfile_head {
	char magic[8];
	uint64_t json_bytes, data_bytes;	/* little-endian */
};

/* Options that a file keeps, as they are in struct snpu_session_opts; each is a number in the file. dt and v_min are real ones. */
#define SNPU_NETFILE_OPTIONS(X)								\
	X(number, SNPU_NUMBER_LOIHI24) X(dialect, SNPU_DIALECT_LAVA) X(integrator, SNPU_INTEGRATOR_EXP) X(reset, SNPU_RESET_DELTA)	\
	X(reset_time, SNPU_RESET_BOTH_STEPS) X(compare, SNPU_COMPARE_GE) X(gain, SNPU_GAIN_RAW_DECAYED) X(delay, SNPU_DELAY_SYNAPSE)	\
	X(floor, SNPU_FLOOR_THRESHOLD)

#endif
