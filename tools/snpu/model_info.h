/* SPDX-License-Identifier: MIT */
/* The part of `snpu info` that looks at a model's file instead of a device. */
#ifndef SNPU_TOOLS_MODEL_INFO_H
#define SNPU_TOOLS_MODEL_INFO_H

#include "cli.h"

#include <snpu/snpu_model.h>

/* Does the name mean a model and not a device? */
bool snpu_model_file(const char *name);
/* Loads a .nir file or one of `snpu quantize`, by its first bytes. 0 or a negative errno; the library's last error says why. */
int snpu_model_load_file(const char *file, struct snpu_model **model);
/* Loads the file and prints what is in it. */
enum snpu_exit snpu_model_info(const char *file, bool json);

#endif
