/* SPDX-License-Identifier: MIT */
/*
 * N-MNIST and N-Caltech101 (Orchard et al., 2015): 5 bytes an event: x, y, then big-endian polarity (1 bit) and time (23 bits, us).
 * An event at y = 240 is none: the recorder's clock ran over, and all that follows is 2^13 us later.
 */
#include "load/events/events.h"

#define RECORD		5
#define OVERFLOW_Y	240
#define OVERFLOW_US	(1 << 13)
#define SIDE		34			/* pixels of N-MNIST */

int snpu_nmnist_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int err = 0;

	snpu_event_size(r, SIDE, SIDE);
	for (; size - *used >= RECORD && !err; *used += RECORD) {
		const uint8_t *p = mem + *used;

		if (p[1] == OVERFLOW_Y) {
			r->overflow += OVERFLOW_US;
			r->ev.other++;
			continue;
		}
		err = snpu_event_add(r, r->overflow + ((p[2] & 0x7f) << 16 | p[3] << 8 | p[4]), p[0], p[1], p[2] >> 7, 1);
	}
	return err;
}
