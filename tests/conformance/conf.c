/* SPDX-License-Identifier: MIT */
/* The rig of conf.h. */
#include <math.h>

#include "conf.h"

static const bool writable[SNPU_REGION_COUNT] = {
#define REGION(name, index, writable_, doc) [index] = writable_,
	SNPU_REGIONS(REGION)
#undef REGION
};

static int open_regions(struct conf *c, uint32_t bo_flags)
{
	int err = 0;

	for (unsigned int r = 0; r < SNPU_REGION_COUNT && !err; r++) {
		uint64_t size = r == SNPU_REGION_PROGRAM ? CONF_PROGRAM : CONF_SIZE;
		void *map = NULL;

		err = snpu_bo_create(c->dev, size, bo_flags, &c->bo[r]);
		if (!err)
			err = snpu_bo_map(c->bo[r], &map);
		c->mem[r] = map;
		if (!err)
			err = snpu_vm_bind(c->vm, c->bo[r], 0, CONF_VA(r), size, SNPU_BIND_READ | (writable[r] ? SNPU_BIND_WRITE : 0));
	}
	return err;
}

int conf_open(struct conf *c, const struct conf_variant *v)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts), .cpu_isa = v->isa };
	struct snpu_device_info info = { .sz = sizeof(info) };
	int err = snpu_device_open(v->device, &opts, &c->dev);

	snpu_prog_init(&c->prog);
	c->profile_slots = CONF_SLOTS;
	if (err)
		return err == -ENODEV || err == -ENOTSUP ? 1 : err;
	err = snpu_device_info(c->dev, &info);
	if (!strcmp(info.isa, "avx512-emu"))
		printf("# AVX-512 source compiled against SIMDe: this CPU has no AVX-512\n");
	if (!err)
		err = snpu_vm_create(c->dev, &c->vm);
	if (!err)
		err = open_regions(c, v->bo_flags);
	return err ? err : conf_queue(c, 0, &c->queue);
}

void conf_close(struct conf *c)
{
	snpu_prog_free(&c->prog);
	snpu_queue_free(c->queue);
	for (unsigned int r = 0; r < SNPU_REGION_COUNT; r++)
		snpu_bo_free(c->bo[r]);
	snpu_vm_free(c->vm);
	snpu_device_close(c->dev);
}

int conf_queue(struct conf *c, uint32_t flags, struct snpu_queue **queue)
{
	struct snpu_queue_opts opts = { .sz = sizeof(opts), .flags = flags | (getenv("CONF_FENCES") ? SNPU_QUEUE_FENCES : 0) };

	return snpu_queue_create(c->vm, &opts, queue);
}

int conf_requeue(struct conf *c)
{
	snpu_queue_free(c->queue);
	c->queue = NULL;
	return conf_queue(c, 0, &c->queue);
}

uint32_t conf_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;		/* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(z ^ z >> 31);
}

float conf_float(uint64_t *seed, bool edges)
{
	static const float special[] = { 0.0f, -0.0f, 1.0f, -1.0f, 1e-45f, -1e-40f, 1.17549435e-38f, 3.4028235e38f, -3.4028235e38f,
					 INFINITY, -INFINITY, 0.1f };
	uint32_t r = conf_random(seed);

	if (edges && r % 4 == 0)
		return special[r / 4 % (sizeof(special) / sizeof(special[0]))];
	return ((float)(conf_random(seed) % 20001) - 10000.0f) / 4096.0f;
}

bool conf_same(float a, float b)
{
	return (a != a && b != b) || !memcmp(&a, &b, sizeof(a));
}

bool conf_equal(const float *got, const float *want, uint32_t n, const char *what)
{
	for (uint32_t i = 0; i < n; i++)
		if (!conf_same(got[i], want[i])) {
			printf("# %s: element %u of %u is %a, must be %a\n", what, i, n, (double)got[i], (double)want[i]);
			return false;
		}
	return true;
}

int conf_run_raw(struct conf *c)
{
	struct snpu_job_region region[SNPU_REGION_COUNT];
	struct snpu_job job = { .sz = sizeof(job), .regions = region, .n_regions = SNPU_REGION_COUNT, .profile_slots = c->profile_slots };
	struct snpu_fence *fence;
	int err;

	for (unsigned int r = 0; r < SNPU_REGION_COUNT; r++)
		region[r] = (struct snpu_job_region){ .index = r, .va = CONF_VA(r), .size = r ? CONF_SIZE : CONF_PROGRAM };
	err = snpu_submit(c->queue, &job, &fence);
	if (err)
		return err;
	err = snpu_fence_wait(fence, 30000000000);
	snpu_fence_free(fence);
	c->status.sz = sizeof(c->status);
	return snpu_queue_status(c->queue, &c->status) ? -EINVAL : err;
}

int conf_run(struct conf *c)
{
	int err = snpu_prog_end(&c->prog);

	if (err) {
		printf("# the program cannot be built: %s\n", snpu_last_error());
		return err;
	}
	if (c->prog.size > CONF_PROGRAM)
		return -E2BIG;
	memcpy(c->mem[SNPU_REGION_PROGRAM], c->prog.data, c->prog.size);
	snpu_prog_free(&c->prog);
	return conf_run_raw(c);
}

uint64_t conf_count(struct conf *c, unsigned int slot, unsigned int counter)
{
	uint64_t v;

	memcpy(&v, c->mem[SNPU_REGION_PROFILE] + (slot * SNPU_COUNTER_COUNT + counter) * sizeof(v), sizeof(v));
	return v;
}
