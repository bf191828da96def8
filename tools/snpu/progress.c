// SPDX-License-Identifier: MIT
/* The progress bar of all commands, on stderr. It appears after half a second and never stops anything. */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define BAR	40				/* columns */

double snpu_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void snpu_progress_start(struct snpu_progress *p, const char *label, bool wanted)
{
	*p = (struct snpu_progress){ .label = label, .on = wanted && isatty(STDERR_FILENO), .start = snpu_clock() };
}

void snpu_progress_show(struct snpu_progress *p, double done, double all, const char *text)
{
	double now = snpu_clock();
	int filled = all > 0 && done < all ? (int)(done * BAR / all) : BAR;

	if (!p->on || now - p->start < 0.5 || now - p->last < 0.05)
		return;
	p->last = now;
	p->shown = true;
	fprintf(stderr, "\r%-9s", p->label);
	for (int i = 0; i < BAR; i++)
		fputs(i < filled ? (snpu_screen_utf8() ? "█" : "#") : (snpu_screen_utf8() ? "·" : "."), stderr);
	fprintf(stderr, "  %-20s %.0f s", text, now - p->start);
}

void snpu_progress_end(struct snpu_progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r%79s\r", "");
	p->shown = false;
}
