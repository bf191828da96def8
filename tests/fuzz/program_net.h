/* SPDX-License-Identifier: MIT */
/*
 * A part of program_fuzz.c: packets of networks of many neurons, which only get past the checks with rows, a ring and a log that
 * fit together.
 */
/* Two small networks of SPARSE in CONST, with and without weights, mostly all right; a ring that is at position 0, an empty log. */
#define NET_IN		20u
#define NET_OUT		30u
#define NET_SLOTS	3u
#define NET_ROWS(weights)	((weights) ? 0x3600u : 0x2400u)
#define NET_DATA(weights)	(NET_ROWS(weights) + 0x100u)
#define NET_WORDS	280u
#define NET_RING	(5 * PLACE)		/* in TRACE: the position, then the ring */
#define NET_LOG		(6 * PLACE)		/* in TRACE */
#define NET_ROOM	12u

static void make_net(bool weights)
{
	uint32_t *rows = (uint32_t *)(prog.mem[SNPU_REGION_CONST] + NET_ROWS(weights)), *data = (uint32_t *)(prog.mem[SNPU_REGION_CONST] + NET_DATA(weights));
	uint32_t at = 0;

	for (uint32_t c = 0; c < NET_IN; c++) {
		rows[c] = at;
		for (uint32_t segments = below(3), count; segments; segments--, at += SNPU_SEGMENT_WORDS(count, weights)) {
			uint16_t *target = (uint16_t *)(data + at + 1);

			count = 1 + below(3);
			data[at] = SNPU_SEGMENT(below(NET_SLOTS), 0, count);
			for (uint32_t k = 0; k < count; k++)
				target[k] = (uint16_t)below(NET_OUT);
		}
	}
	rows[NET_IN] = at;
	if (chance(4))
		data[below(at + 1)] = any_word();
	if (chance(2))
		rows[below(NET_IN + 1)] = below(2) ? below(NET_WORDS + 2) : any_word();
}

static void make_nets(void)
{
	make_net(false);
	make_net(true);
	memset(prog.mem[SNPU_REGION_TRACE] + NET_RING, 0, 4);
	memset(prog.mem[SNPU_REGION_TRACE] + NET_LOG, 0, 8);
}

/* Neurons that fire, or a list of any values; then their synapses, what arrives, a log. */
static uint32_t make_step(uint8_t *at)
{
	bool neurons = chance(60), weights = chance(50);
	uint32_t bytes = make_packet(at, neurons ? SNPU_OP_LIFEXP : SNPU_OP_EVPACK);
	struct snpu_ref ring = place(SNPU_REGION_TRACE, NET_RING + 64), position = place(SNPU_REGION_TRACE, NET_RING), ev = place(SNPU_REGION_SCRATCH, 6 * PLACE);

	if (neurons) {
		struct snpu_pkt_LIFEXP *p = (void *)at;

		p->ev = ev;
		p->n = NET_IN;
	} else {
		struct snpu_pkt_EVPACK *p = (void *)at;

		p->ev = ev;
		p->n = NET_IN;
	}
	if (chance(80)) {
		struct snpu_pkt_SPARSE *p = (void *)(at + bytes);

		bytes += make_packet(at + bytes, SNPU_OP_SPARSE);
		*p = (struct snpu_pkt_SPARSE){ .hdr = p->hdr, .ev = ev, .rows = place(SNPU_REGION_CONST, NET_ROWS(weights)), .data = place(SNPU_REGION_CONST, NET_DATA(weights)),
					       .position = position, .ring = ring, .n_in = NET_IN, .n_out = NET_OUT, .slots = NET_SLOTS, .words = NET_WORDS,
					       .weight = any_word() };
		p->hdr.flags = weights ? SNPU_SPARSE_WEIGHTS : 0;
	}
	if (chance(60)) {
		struct snpu_pkt_TAKE *p = (void *)(at + bytes);

		bytes += make_packet(at + bytes, SNPU_OP_TAKE);
		*p = (struct snpu_pkt_TAKE){ .hdr = p->hdr, .position = position, .ring = ring, .x = place(SNPU_REGION_OUTPUT, PLACE * below(4)), .n = NET_OUT,
					     .slots = NET_SLOTS };
	}
	if (chance(60)) {
		struct snpu_pkt_LOG *p = (void *)(at + bytes);

		bytes += make_packet(at + bytes, SNPU_OP_LOG);
		*p = (struct snpu_pkt_LOG){ .hdr = p->hdr, .ev = ev, .log = place(SNPU_REGION_TRACE, NET_LOG), .n = NET_IN, .room = NET_ROOM };
	}
	return bytes;
}
