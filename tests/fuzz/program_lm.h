/* SPDX-License-Identifier: MIT */
/* A part of program_fuzz.c: packets of language models that only together get past the checks. */
/* Numbers that are rows, then the rows. */
static uint32_t make_gather(uint8_t *at)
{
	struct snpu_pkt_FILL *fill = (void *)at;
	uint32_t bytes = make_packet(at, SNPU_OP_FILL), gathered = make_packet(at + bytes, SNPU_OP_GATHER);
	struct snpu_pkt_GATHER *gather = (void *)(at + bytes);

	fill->dst = gather->index = place(SNPU_REGION_SCRATCH, 7 * PLACE);
	fill->words = gather->rows;
	fill->value = below(gather->table_rows + (chance(10) ? 1 : 0));
	return bytes + gathered;
}

/* Lists that ENCODE has just made, for SPMV. */
static uint32_t make_spmv(uint8_t *at)
{
	struct snpu_pkt_ENCODE *encode = (void *)at;
	uint32_t bytes = make_packet(at, SNPU_OP_ENCODE), cells;
	struct snpu_pkt_SPMV *spmv = (void *)(at + bytes);

	bytes += make_packet(at + bytes, SNPU_OP_SPMV);
	if (spmv->groups == 1 && chance(50))
		spmv->n_out += 64;
	cells = spmv->groups * SNPU_TILES(spmv->n_out);
	encode->n = spmv->groups * SNPU_GROUP;
	encode->rows = spmv->rows;
	encode->x = place(SNPU_REGION_INPUT, PLACE * below(7));
	encode->spikes = spmv->spikes = place(SNPU_REGION_SCRATCH, 3 * PLACE);
	spmv->weights = place(SNPU_REGION_WEIGHTS, cells == 1 ? 64 * below(8) : 0);
	spmv->out = place(SNPU_REGION_OUTPUT, PLACE * below(4));
	spmv->residual = (struct snpu_ref){ 0 };
	spmv->n_residual = 0;
	if (spmv->hdr.flags & SNPU_SPMV_RESIDUAL) {
		spmv->residual = place(SNPU_REGION_CONST, RESIDUAL(cells));
		spmv->n_residual = RESIDUALS;
	}
	return bytes;
}

/* One position of a window: keys and values appended, queries encoded when they must be, attended. */
static uint32_t make_window(uint8_t *at)
{
	struct snpu_pkt_KV_APPEND *append = (void *)at;
	struct snpu_pkt_ENCODE *encode;
	struct snpu_pkt_SWA *swa;
	uint32_t bytes = make_packet(at, SNPU_OP_KV_APPEND);

	encode = (void *)(at + bytes);
	if (append->hdr.flags & SNPU_KV_INT8)
		bytes += make_packet(at + bytes, SNPU_OP_ENCODE);
	swa = (void *)(at + bytes);
	bytes += make_packet(at + bytes, SNPU_OP_SWA);
	swa->hdr.flags = append->hdr.flags;
	swa->kv = append->kv;
	swa->d = append->d;
	swa->slots = append->slots;
	append->cache = swa->cache = place(SNPU_REGION_TRACE, PLACE * below(2));
	append->k = place(SNPU_REGION_INPUT, 0);
	append->v = place(SNPU_REGION_CONST, 0);
	swa->q = place(SNPU_REGION_INPUT, PLACE);
	swa->out = place(SNPU_REGION_OUTPUT, PLACE);
	if (append->hdr.flags & SNPU_KV_INT8) {
		encode->x = swa->q;
		encode->rows = swa->kv * swa->group;
		encode->n = swa->d;
		encode->spikes = swa->q = place(SNPU_REGION_SCRATCH, 5 * PLACE);
	}
	return bytes;
}
