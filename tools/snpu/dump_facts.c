// SPDX-License-Identifier: MIT
/*
 * A dump as facts: each number by its name in hw/, addresses in hexadecimal text (JSON's numbers end at 2^53).
 */
#include "dump.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <snpu/snpu.h>

#include "cli.h"
#include "snpu_regs.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define PACKETS		4u		/* of the program, from the faulting one on */

struct named {
	uint32_t value;
	const char *name, *text;
};

static const struct named faults[] = {
#define FAULT(name, value, text) { value, #name, text },
	SNPU_FAULTS(FAULT)
#undef FAULT
};

static const struct named reasons[] = {
#define REASON(name, value, text) { value, #name, text },
	SNPU_DUMP_REASONS(REASON)
#undef REASON
};

static const struct named events[] = {
#define EVENT(name, value, text) { value, #name, text },
	SNPU_DUMP_EVENTS(EVENT)
#undef EVENT
};

static const struct named registers[] = {
#define REG(name, offset, access, reset, doc) { offset, #name, "" },
#include "snpu_regs.def"
};

static const char *const counters[] = {
#define COUNTER(name, unit, exact, doc) #name,
#include "snpu_counters.def"
};

static struct named named(const struct named *list, size_t n, uint32_t value)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].value == value)
			return list[i];
	return (struct named){ value, "UNKNOWN", "this program does not know what that means" };
}
#define NAMED(list, value)	named(list, COUNT(list), value)

static json_t *hex(uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v);
	return json_string(text);
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)(v > INT64_MAX ? INT64_MAX : v));
}

/* A text of a fixed field, which may lack its end. */
static json_t *text_of(const char *s, size_t size)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%.*s", (int)size, s);
	return snpu_cli_string(copy);
}

static json_t *version(uint32_t v, bool three)
{
	char text[48];

	if (three)
		snprintf(text, sizeof(text), "%u.%u.%u", v >> 16, v >> 8 & 0xff, v & 0xff);
	else
		snprintf(text, sizeof(text), "%u.%u", v >> 16, v & 0xffff);
	return json_string(text);
}

/* --- parts ----------------------------------------------------------------------------------------------------- */
static json_t *time_text(uint64_t ns)
{
	time_t s = (time_t)(ns / 1000000000u);
	char text[48] = "";
	struct tm tm;

	if (gmtime_r(&s, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static void header_facts(const struct snpu_dump *d, json_t *facts)
{
	const struct snpu_dump_header *h = &d->header;
	struct named reason = NAMED(reasons, h->reason);

	json_object_set_new(facts, "reason", json_string(reason.name));
	json_object_set_new(facts, "reason_text", json_string(reason.text));
	json_object_set_new(facts, "text", text_of(h->text, sizeof(h->text)));
	json_object_set_new(facts, "time", time_text(h->time_ns));
	json_object_set_new(facts, "boot_ns", number(h->boot_ns));
	json_object_set_new(facts, "device", text_of(h->device, sizeof(h->device)));
	json_object_set_new(facts, "kernel", text_of(h->kernel, sizeof(h->kernel)));
	json_object_set_new(facts, "serial", number(h->serial));
	json_object_set_new(facts, "hw_version", version(h->hw_version, false));
	json_object_set_new(facts, "fw_version", version(h->fw_version, true));
	json_object_set_new(facts, "fw_abi", version(h->fw_abi, false));
	json_object_set_new(facts, "resets", number(h->resets));
	json_object_set_new(facts, "dropped", number(h->dropped));
	json_object_set_new(facts, "queue", h->queue == SNPU_DUMP_NOBODY ? json_null() : number(h->queue));
}

static json_t *firmware_facts(const struct snpu_dump *d)
{
	struct snpu_fw_header h;

	if (!snpu_dump_get(d, SNPU_DUMP_FW_HEADER, 0, &h, sizeof(h)))
		return json_null();
	return json_pack("{s:b, s:s, s:o, s:o, s:o}", "ready", h.magic == SNPU_FW_HEADER_MAGIC,
			 "state", h.state == SNPU_FW_READY ? "ready" : h.state == SNPU_FW_CRASHED ? "crashed" : "starting",
			 "build", text_of(h.build, sizeof(h.build)), "heartbeat", number(h.heartbeat),
			 "running_queue", h.running_queue == ~0u ? json_null() : number(h.running_queue));
}

static json_t *crash_facts(const struct snpu_dump *d)
{
	struct snpu_fw_crash c;
	json_t *x = json_array();

	if (!snpu_dump_get(d, SNPU_DUMP_CRASH, 0, &c, sizeof(c)) || c.magic != SNPU_FW_CRASH_MAGIC) {
		json_decref(x);
		return json_null();
	}
	for (unsigned int i = 0; i < COUNT(c.x); i++)
		json_array_append_new(x, hex(c.x[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "message", text_of(c.message, sizeof(c.message)), "cause", hex(c.cause), "pc", hex(c.pc),
			 "value", hex(c.value), "time_us", number(c.time_us), "x", x);
}

static json_t *register_facts(const struct snpu_dump *d)
{
	json_t *all = json_object();
	struct snpu_dump_register r;

	for (uint32_t i = 0; snpu_dump_get(d, SNPU_DUMP_REGISTERS, i, &r, sizeof(r)); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s", NAMED(registers, r.offset).name);
		if (!strcmp(name, "UNKNOWN"))
			snprintf(name, sizeof(name), "0x%03x", r.offset);
		json_object_set_new(all, name, hex(r.value));
	}
	return all;
}

static json_t *fault_facts(const struct snpu_fault *f)
{
	static const char *const access[] = { "none", "read", "write" };
	struct named code = NAMED(faults, f->code);

	if (!f->code)
		return json_null();
	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:[o, o]}", "code", code.name, "text", code.text, "job", number(f->seqno), "access",
			 f->access < COUNT(access) ? access[f->access] : "?", "va", hex(f->va), "pc", hex(f->pc), "packet", hex(f->packet),
			 "operand", f->operand == ~0u ? json_null() : number(f->operand), "loop", number(f->loop_index[0]), number(f->loop_index[1]));
}

static json_t *flag_facts(uint32_t flags)
{
	json_t *list = json_array();

	if (flags & SNPU_DUMP_QUEUE_FAULTED)
		json_array_append_new(list, json_string("FAULTED"));
	if (flags & SNPU_DUMP_QUEUE_TIMEDOUT)
		json_array_append_new(list, json_string("TIMEDOUT"));
	if (flags & SNPU_DUMP_QUEUE_LOST)
		json_array_append_new(list, json_string("LOST"));
	return list;
}

/* Queue number i as the card sees it. */
static json_t *context_facts(const struct snpu_dump *d, uint32_t i)
{
	static const char *const state[] = { "free", "ready", "faulted" };
	struct snpu_dump_context c;
	json_t *sums, *card;

	if (!snpu_dump_get(d, SNPU_DUMP_CONTEXTS, i, &c, sizeof(c)))
		return json_null();
	sums = json_object();
	for (unsigned int k = 0; k < COUNT(counters); k++)
		json_object_set_new(sums, counters[k], number(c.ctx.counter[k]));
	card = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "state", c.ctx.state < COUNT(state) ? state[c.ctx.state] : "?",
			 "asid", number(c.ctx.asid), "pt_root", hex(c.ctx.pt_root), "head", number(c.ctx.head), "tail", number(c.ctx.tail),
			 "seqno_done", number(c.ctx.seqno_done), "progress", number(c.ctx.progress), "counters", sums);
	json_object_set_new(card, "started", number(c.ctx.eng_started));
	json_object_set_new(card, "ended", number(c.ctx.eng_done));
	json_object_set_new(card, "saved_pc", c.ctx.saved.valid ? hex(c.ctx.saved.pc) : json_null());
	json_object_set_new(card, "fault", fault_facts(&c.ctx.fault));
	return card;
}

static json_t *job_facts(const struct snpu_dump *d, uint32_t i, uint64_t base)
{
	static const char *const names[SNPU_REGION_SLOTS] = {
#define REGION(name, index, writable, doc) [index] = #name,
		SNPU_REGIONS(REGION)
#undef REGION
	};
	struct snpu_dump_job j;
	json_t *regions;

	if (!snpu_dump_get(d, SNPU_DUMP_JOBS, i, &j, sizeof(j)) || !j.desc.seqno)
		return json_null();
	regions = json_object();
	for (unsigned int k = 0; k < SNPU_REGION_SLOTS; k++)
		if (names[k] && j.desc.region[k].size)
			json_object_set_new(regions, names[k], json_pack("{s:o, s:o}", "va", hex(j.desc.region[k].va), "size", number(j.desc.region[k].size)));
	return json_pack("{s:o, s:o, s:o, s:o}", "number", number(j.desc.seqno + base), "entry", hex(j.desc.entry), "profile_slots",
			 number(j.desc.profile_slots), "regions", regions);
}

static json_t *queue_facts(const struct snpu_dump *d)
{
	json_t *all = json_array();
	struct snpu_dump_queue q;
	bool found = false;		/* the number of one that was destroyed may have a new owner, who comes later */

	for (uint32_t i = 0; snpu_dump_get(d, SNPU_DUMP_QUEUES, i, &q, sizeof(q)); i++) {
		json_t *row = json_pack("{s:o, s:o, s:b, s:o, s:i, s:o, s:o}", "queue", number(q.queue), "name", text_of(q.name, sizeof(q.name)),
					"guilty", !found && q.queue == d->header.queue, "flags", flag_facts(q.flags), "error", q.stop_error,
					"priority", number(q.priority), "resets", number(q.resets));

		found |= q.queue == d->header.queue;
		json_object_set_new(row, "submitted", number(q.submitted));
		json_object_set_new(row, "pushed", number(q.pushed));
		json_object_set_new(row, "retired", number(q.retired));
		json_object_set_new(row, "completed", number(q.completed));
		json_object_set_new(row, "busy_ns", number(q.busy_ns));
		json_object_set_new(row, "cycles", number(q.cycles));
		json_object_set_new(row, "fault", fault_facts(&q.fault));
		json_object_set_new(row, "job", job_facts(d, i, q.base));
		json_object_set_new(row, "card", context_facts(d, i));
		json_array_append_new(all, row);
	}
	return all;
}

static json_t *table_facts(const struct snpu_dump *d)
{
	const struct snpu_dump_section *s = &d->head[SNPU_DUMP_TABLES];
	json_t *entries = json_array();
	uint64_t e;

	if (!s->count) {
		json_decref(entries);
		return json_null();
	}
	for (uint32_t i = 0; i < s->arg && snpu_dump_get(d, SNPU_DUMP_TABLES, i, &e, sizeof(e)); i++)
		json_array_append_new(entries, hex(e));
	return json_pack("{s:o, s:o}", "va", hex(s->va), "entries", entries);
}

/* The packet at the guilty queue's fault, and those after it. */
static json_t *program_facts(const struct snpu_dump *d)
{
	const struct snpu_dump_section *s = &d->head[SNPU_DUMP_PROGRAM];
	struct snpu_dump_queue q = { 0 };
	json_t *rows = json_array();
	char text[1024];
	uint64_t pc, next, bytes = (uint64_t)s->count * s->stride;

	for (uint32_t i = 0; snpu_dump_get(d, SNPU_DUMP_QUEUES, i, &q, sizeof(q)) && q.queue != s->arg; i++)
		;
	pc = q.fault.pc - s->va;
	for (unsigned int i = 0; bytes && q.fault.pc >= s->va && pc < bytes && i < PACKETS; i++, pc = next) {
		if (snpu_disasm(d->data[SNPU_DUMP_PROGRAM], bytes, pc, text, sizeof(text), &next) || next <= pc)
			break;
		json_array_append_new(rows, json_pack("{s:o, s:s}", "pc", hex(s->va + pc), "text", text));
	}
	return rows;
}

static json_t *trace_facts(const struct snpu_dump *d)
{
	json_t *all = json_array();
	struct snpu_dump_event e;

	for (uint32_t i = 0; snpu_dump_get(d, SNPU_DUMP_TRACE, i, &e, sizeof(e)); i++)
		json_array_append_new(all, json_pack("{s:o, s:s, s:s, s:o, s:o}", "boot_ns", number(e.boot_ns), "event", NAMED(events, e.type).name, "text",
						     NAMED(events, e.type).text, "queue", e.queue == SNPU_DUMP_NOBODY ? json_null() : number(e.queue),
						     "job", number(e.job)));
	return all;
}

static json_t *log_facts(const struct snpu_dump *d)
{
	const struct snpu_dump_section *s = &d->head[SNPU_DUMP_LOG];
	uint64_t bytes = (uint64_t)s->count * s->stride;
	json_t *lines = json_array();
	const char *at = d->data[SNPU_DUMP_LOG], *end = at + bytes;

	while (bytes && at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		eol = eol ? eol : end;
		json_array_append_new(lines, text_of(at, (size_t)(eol - at) < 255 ? (size_t)(eol - at) : 255));
		at = eol + 1;
	}
	return lines;
}

json_t *snpu_dump_facts(const struct snpu_dump *d)
{
	json_t *facts = json_object();

	header_facts(d, facts);
	json_object_set_new(facts, "firmware", firmware_facts(d));
	json_object_set_new(facts, "crash", crash_facts(d));
	json_object_set_new(facts, "registers", register_facts(d));
	json_object_set_new(facts, "queues", queue_facts(d));
	json_object_set_new(facts, "tables", table_facts(d));
	json_object_set_new(facts, "program", program_facts(d));
	json_object_set_new(facts, "trace", trace_facts(d));
	json_object_set_new(facts, "log", log_facts(d));
	return facts;
}
