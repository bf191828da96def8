/* SPDX-License-Identifier: MIT */
/* A bar on the terminal for work that takes longer than people notice. One at a time, caller's thread. */
#ifndef SNPU_TOOLS_PROGRESS_H
#define SNPU_TOOLS_PROGRESS_H

#include <stdbool.h>

struct snpu_progress {
	const char *label;			/* at most 8 characters */
	bool on;				/* stderr is a terminal and somebody wants to see it */
	bool shown;
	double start, last;			/* seconds of snpu_clock() */
};

double snpu_clock(void);			/* seconds, of use for differences only */

void snpu_progress_start(struct snpu_progress *p, const char *label, bool wanted);
/* `text`: at most 20 characters, "3/10 samples". */
void snpu_progress_show(struct snpu_progress *p, double done, double all, const char *text);
/* Takes the bar off the screen. Allowed on a zeroed structure. */
void snpu_progress_end(struct snpu_progress *p);

#endif
