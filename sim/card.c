/* SPDX-License-Identifier: MIT */
/*
 * A card's life: memory, threads, reset, power, and the end. What it does in between is in card_regs.c, core.c,
 * card_engine.c and card_doorbell.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "sim/card_priv.h"

uint64_t card_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- memory -------------------------------------------------------------------------------------------------- */
/* Memory with a descriptor, so that a client can map it; pages exist only once they are touched. */
static void *memory(const char *name, uint64_t size, int *fd)
{
	void *p;

	*fd = memfd_create(name, MFD_CLOEXEC);
	if (*fd < 0)
		return NULL;
	if (ftruncate(*fd, (off_t)size))
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static int make_memory(struct card *c)
{
	c->vram = memory("snpu-vram", c->cfg.vram_size, &c->vram_fd);
	if (!c->vram)
		return -errno;
	c->ctl = c->vram + c->cfg.vram_size - SNPU_CTL_SIZE;
	if (c->cfg.doorbell_mmap) {
		c->doorbell = memory("snpu-doorbell", SNPU_BAR_DOORBELL_SIZE, &c->doorbell_fd);
		if (!c->doorbell)
			return -errno;
	}
	c->tcm = calloc(1, SNPU_CORE_TCM_SIZE);
	return c->tcm ? 0 : -ENOMEM;
}

void *card_bar_mem(struct card *c, unsigned int bar, uint64_t *size, int *fd)
{
	if (bar == SNPU_BAR_VRAM) {
		*size = c->cfg.vram_size;
		*fd = c->vram_fd;
		return c->vram;
	}
	if (bar != SNPU_BAR_DOORBELL || !c->doorbell)
		return NULL;
	*size = SNPU_BAR_DOORBELL_SIZE;
	*fd = c->doorbell_fd;
	return c->doorbell;
}

/* --- making and ending --------------------------------------------------------------------------------------- */
static int make_parts(struct card *c)
{
	struct rv32_config core = { .tcm = c->tcm, .tcm_base = SNPU_CORE_TCM, .tcm_size = SNPU_CORE_TCM_SIZE,
				    .bus = &core_bus, .bus_ctx = c };
	struct snpu_engine_mem mem = { .device = c->vram, .device_size = c->cfg.vram_size, .ctx = c->cfg.ctx,
				       .host_read = c->cfg.host_read, .host_write = c->cfg.host_write,
				       .clock_epoch_ns = c->epoch_ns };
	int r = rv32_init(&c->cpu, &core);

	return r ? r : snpu_engine_create(&mem, &c->engine);
}

static void make_locks(struct card *c)
{
	pthread_condattr_t mono;

	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_cond_init(&c->core_wake, &mono);
	pthread_cond_init(&c->engine_wake, &mono);
	pthread_cond_init(&c->engine_idle, &mono);
	pthread_cond_init(&c->doorbell_wake, &mono);
	pthread_condattr_destroy(&mono);
}

static int make_threads(struct card *c)
{
	struct { pthread_t *id; void *(*fn)(void *); } t[] = {
		{ &c->core_thread, core_thread }, { &c->engine_thread, card_engine_thread },
		{ &c->doorbell_thread, card_doorbell_thread },
	};
	unsigned int n = c->doorbell ? 3 : 2;

	for (; c->threads < n; c->threads++) {
		int r = pthread_create(t[c->threads].id, NULL, t[c->threads].fn, c);

		if (r)
			return -r;
	}
	return 0;
}

int card_create(const struct card_config *cfg, struct card **card)
{
	struct card *c;
	int r;

	if (cfg->vram_size < CARD_VRAM_MIN || cfg->vram_size > CARD_VRAM_MAX || (cfg->vram_size & (cfg->vram_size - 1)) ||
	    !cfg->irq || !cfg->host_read || !cfg->host_write)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	c->epoch_ns = card_now();
	c->vram_fd = c->doorbell_fd = -1;
	c->powered = true;
	sensors_init(&c->sensors, c->epoch_ns);
	make_locks(c);
	r = make_memory(c);
	if (!r)
		r = make_parts(c);
	if (!r) {
		core_reset(c);
		r = make_threads(c);
	}
	if (r) {
		card_destroy(c);
		return r;
	}
	*card = c;
	return 0;
}

static void end_threads(struct card *c)
{
	const pthread_t t[] = { c->core_thread, c->engine_thread, c->doorbell_thread };

	pthread_mutex_lock(&c->lock);
	c->quit = true;
	atomic_fetch_add(&c->epoch, 1);
	atomic_fetch_add(&c->core_resets, 1);
	if (c->engine)
		engine_reset(c);
	pthread_cond_broadcast(&c->core_wake);
	pthread_cond_broadcast(&c->engine_wake);
	pthread_cond_broadcast(&c->doorbell_wake);
	pthread_mutex_unlock(&c->lock);
	for (unsigned int i = 0; i < c->threads; i++)
		pthread_join(t[i], NULL);
}

void card_destroy(struct card *c)
{
	if (!c)
		return;
	end_threads(c);
	snpu_engine_destroy(c->engine);
	if (c->vram)
		munmap(c->vram, c->cfg.vram_size);
	if (c->doorbell)
		munmap(c->doorbell, SNPU_BAR_DOORBELL_SIZE);
	if (c->vram_fd >= 0)
		close(c->vram_fd);
	if (c->doorbell_fd >= 0)
		close(c->doorbell_fd);
	free(c->tcm);
	pthread_cond_destroy(&c->core_wake);
	pthread_cond_destroy(&c->engine_wake);
	pthread_cond_destroy(&c->engine_idle);
	pthread_cond_destroy(&c->doorbell_wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- reset and power ----------------------------------------------------------------------------------------- */
void card_reset_soft_locked(struct card *c)
{
	atomic_fetch_add(&c->core_resets, 1);
	c->irq = (struct card_irq){ 0 };
	engine_reset_soft(c);
	core_reset(c);
}

void card_reset_locked(struct card *c)
{
	atomic_fetch_add(&c->epoch, 1);
	atomic_fetch_add(&c->core_resets, 1);
	c->irq = (struct card_irq){ 0 };
	c->host = (struct card_host){ 0 };
	c->queues_exist = false;
	engine_reset(c);
	core_reset(c);
}

void card_reset(struct card *c, enum card_reset how)
{
	pthread_mutex_lock(&c->lock);
	if (c->fault.cold)
		how = CARD_RESET_POWER;
	c->fault.cold = false;
	c->powered = true;
	if (how == CARD_RESET_POWER)
		c->fw_min_security = 0;
	c->fault.dead = false;
	card_reset_locked(c);
	if (how == CARD_RESET_POWER)
		sensors_init(&c->sensors, card_now());
	pthread_mutex_unlock(&c->lock);
	card_engine_settle(c);
	/* Giving the pages back is also the fastest way to zero them; what others have mapped stays mapped. */
	if (how == CARD_RESET_POWER)
		fallocate(c->vram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)c->cfg.vram_size);
}

void card_power(struct card *c, bool on)
{
	pthread_mutex_lock(&c->lock);
	c->powered = on;
	pthread_mutex_unlock(&c->lock);
}
