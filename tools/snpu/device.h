/* SPDX-License-Identifier: MIT */
/* Devices for all commands: names as people type them, facts for JSON, the line on the screen. */
#ifndef SNPU_TOOLS_DEVICE_H
#define SNPU_TOOLS_DEVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include <snpu/snpu.h>

#include "cli.h"

/*
 * Opens auto, card, card:N (or cardN), sim, cpu, null. Prints what is wrong and what to type next; then the status is
 * not SNPU_EXIT_OK. `require`: auto must not fall back to the CPU.
 */
enum snpu_exit snpu_device_choose(const char *name, bool require, struct snpu_device **device);

/* {"name", "kind", "simulated", ...}: everything of the structure, with versions as text and sizes in bytes. */
json_t *snpu_device_facts(const struct snpu_device_info *info);

/* "SIMULATED card": what executes, in the words that every report uses. */
const char *snpu_device_words(const json_t *device);
/* "card0  SIMULATED card, ..." as the first line of a report. `label` stands in the left column. */
void snpu_device_line(FILE *f, const char *label, const json_t *device);

#endif
