/* SPDX-License-Identifier: MIT */
/* A picture of the spike trains of one layer's input in a language model: tokens and their steps by channels. */
#ifndef SNPU_TOOLS_CODING_RASTER_H
#define SNPU_TOOLS_CODING_RASTER_H

#include <stdint.h>
#include <stdio.h>

#include "snpu/snpu_lm.h"

struct snpu_coding_raster {
	const char *title;			/* "layer 3 o_proj" */
	const char *subtitle;			/* the model and the like; may be NULL */
	enum snpu_coding coding;		/* those without sign show |s|, and the picture says so */
	const int32_t *counts;			/* [tokens][channels] */
	uint64_t tokens, channels;		/* at least 1; what does not fit is left out, and the picture says so */
	const char *const *text;		/* [tokens] the tokens as text, or NULL: they are numbered */
};

/*
 * Writes the SVG of a struct snpu_coding_raster; with an error nothing was written. To be given to snpu_output_file().
 * -E2BIG: so unary a coding needs more than 65 536 steps here, a bitwise one is better. -EINVAL: no counts, no such coding. -ERANGE: a count
 * of -2^31 in a coding without sign. -ENOMEM.
 */
int snpu_coding_raster_svg(FILE *f, const void *coding_raster);

#endif
