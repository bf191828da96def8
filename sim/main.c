/* SPDX-License-Identifier: MIT */
/*
 * snpu-sim: serves simulated cards over vfio-user, one socket each. This file is the command line and the joint between
 * the PCI face (vfu.c) and the card (card.c); one thread a card serves its socket, the main thread waits for a signal.
 * Prints "ready PATH" on standard output for each socket that listens, and everything else on standard error.
 */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sim/card.h"
#include "sim/vfu.h"
#include "snpu_regs.h"

#define MAX_CARDS	16u

struct options {
	const char *socket;
	uint64_t vram;				/* bytes */
	unsigned int count;
	uint32_t serial;			/* of the first card; the others count up */
	bool msi, doorbell_mmap, verbose, faults;
};

struct served {
	const struct options *opt;
	char *path;
	struct card *card;
	struct vfu *vfu;
	pthread_t thread;
	bool started;
	_Atomic uint64_t dma_seen;		/* generation at the last look at the maps */
	atomic_bool warned;
};

static void say(const struct served *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct served *s, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "snpu-sim: %s: %s\n", s->path, line);
}

/* --- guest memory, from the engine's thread -------------------------------------------------------------------- */
/* Without a descriptor every access is a message, a thousand times slower: the user has forgotten an option of QEMU. */
static void look_at_maps(struct served *s)
{
	uint64_t generation = dma_generation(vfu_dma(s->vfu));
	struct dma_stats stats;

	if (generation == atomic_load_explicit(&s->dma_seen, memory_order_relaxed))
		return;
	atomic_store_explicit(&s->dma_seen, generation, memory_order_relaxed);
	dma_get_stats(vfu_dma(s->vfu), &stats);
	if (stats.files || !stats.maps_without_fd || atomic_exchange(&s->warned, true))
		return;
	say(s, "the guest's memory came without a file descriptor, so the card must ask QEMU for every byte of it; give QEMU "
	       "-object memory-backend-memfd,id=mem0,size=SIZE,share=on and -machine memory-backend=mem0");
}

static int host_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct served *s = ctx;

	look_at_maps(s);
	return dma_read(vfu_dma(s->vfu), addr, buf, len, NULL);
}

static int host_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct served *s = ctx;

	look_at_maps(s);
	return dma_write(vfu_dma(s->vfu), addr, buf, len, NULL);
}

static void irq(void *ctx, unsigned int vector)
{
	struct served *s = ctx;

	vfu_irq(s->vfu, vector);
}

/* --- what the PCI face asks of the card, in the socket thread --------------------------------------------------- */
static int bar_read(void *priv, unsigned int bar, uint64_t off, void *buf, size_t len)
{
	card_bar_read(((struct served *)priv)->card, bar, off, buf, len);
	return 0;
}

static int bar_write(void *priv, unsigned int bar, uint64_t off, const void *buf, size_t len)
{
	card_bar_write(((struct served *)priv)->card, bar, off, buf, len);
	return 0;
}

static void reset(void *priv, enum vfu_reset why)
{
	static const char *const name[] = { [VFU_RESET_DEVICE] = "bus reset", [VFU_RESET_FLR] = "function level reset",
					    [VFU_RESET_DISCONNECT] = "the client has gone: power cycle" };
	struct served *s = priv;

	if (s->opt->verbose)
		say(s, "%s", name[why]);
	/* What one client left in device memory is not for the next. */
	card_reset(s->card, why == VFU_RESET_DISCONNECT ? CARD_RESET_POWER : CARD_RESET_FUNCTION);
}

static void power(void *priv, enum pci_power state)
{
	struct served *s = priv;

	if (s->opt->verbose)
		say(s, "power state D%s", state == PCI_D0 ? "0" : "3hot");
	card_power(s->card, state == PCI_D0);
}

static void connected(void *priv, bool on)
{
	struct served *s = priv;

	if (s->opt->verbose)
		say(s, on ? "client connected" : "client disconnected");
	if (on)
		atomic_store(&s->warned, false);
}

static void log_line(void *priv, const char *line)
{
	say(priv, "%s", line);
}

static const struct vfu_device_ops ops = {
	.read = bar_read, .write = bar_write, .reset = reset, .power = power, .connected = connected, .log = log_line,
};

/* --- making and serving ------------------------------------------------------------------------------------------ */
static struct vfu_config describe(struct served *s, uint32_t serial)
{
	struct vfu_config c = {
		.pci = {
			.vendor = SNPU_PCI_VENDOR, .device = SNPU_PCI_DEVICE, .subsys_vendor = SNPU_PCI_VENDOR,
			.subsys = SNPU_PCI_DEVICE, .revision = 1, .class_code = SNPU_PCI_CLASS,
			.bar = { [SNPU_BAR_REGS] = { .size = SNPU_BAR_REGS_SIZE },
				 [SNPU_BAR_VRAM] = { .wide = true, .prefetch = true },
				 [SNPU_BAR_DOORBELL] = { .size = SNPU_BAR_DOORBELL_SIZE } },
			.irq_mode = s->opt->msi ? PCI_IRQ_MSI : PCI_IRQ_MSIX, .nvec = SNPU_MSIX_VECTORS,
			.msix_bar = SNPU_BAR_REGS, .msix_table_off = SNPU_MSIX_TABLE_OFFSET, .msix_pba_off = SNPU_MSIX_PBA_OFFSET,
			.serial = serial,
		},
		.ops = &ops, .priv = s,
	};

	for (unsigned int bar = 0; bar < PCI_FUNC_BARS; bar++) {
		uint64_t size;
		int fd = -1;

		c.region[bar].mem = card_bar_mem(s->card, bar, &size, &fd);
		c.region[bar].fd = fd;
	}
	c.pci.bar[SNPU_BAR_VRAM].size = s->opt->vram;
	return c;
}

static void *serve(void *arg)
{
	struct served *s = arg;
	int r = vfu_serve(s->vfu);

	if (r)
		say(s, "cannot accept clients any more: %s; restart snpu-sim", strerror(-r));
	return NULL;
}

static int make(struct served *s, const struct options *opt, unsigned int index)
{
	struct card_config card = { .vram_size = opt->vram, .serial = opt->serial + index, .doorbell_mmap = opt->doorbell_mmap,
				    .ctx = s, .irq = irq, .host_read = host_read, .host_write = host_write };
	char why[256];
	int r;

	s->opt = opt;
	if ((opt->count == 1 ? asprintf(&s->path, "%s", opt->socket) : asprintf(&s->path, "%s.%u", opt->socket, index)) < 0) {
		s->path = NULL;
		return -ENOMEM;
	}
	r = card_create(&card, &s->card);
	if (r) {
		say(s, "cannot make a card with %llu bytes of device memory: %s", (unsigned long long)opt->vram, strerror(-r));
		return r;
	}

	struct vfu_config cfg = describe(s, card.serial);

	s->vfu = vfu_create(&cfg, why, sizeof(why));
	if (!s->vfu) {
		say(s, "cannot describe the card: %s", why);
		return -EINVAL;
	}
	r = vfu_listen(s->vfu, s->path);
	if (r == -EADDRINUSE)
		say(s, "another process listens on this socket; choose another --socket or stop it");
	else if (r)
		say(s, "cannot listen: %s", strerror(-r));
	return r;
}

static int start(struct served *s)
{
	int r = pthread_create(&s->thread, NULL, serve, s);

	if (r) {
		say(s, "cannot start a thread: %s", strerror(r));
		return -r;
	}
	s->started = true;
	printf("ready %s\n", s->path);
	fflush(stdout);
	return 0;
}

static void end(struct served *s)
{
	if (s->started) {
		vfu_stop(s->vfu);
		pthread_join(s->thread, NULL);
	}
	card_destroy(s->card);			/* its threads use the PCI face, so they end first */
	if (s->vfu)
		vfu_destroy(s->vfu);
	free(s->path);
}

/* --- the command line --------------------------------------------------------------------------------------------- */
static bool parse_size(const char *text, uint64_t *size)
{
	char *end_of;
	unsigned int shift;

	errno = 0;
	*size = strtoull(text, &end_of, 0);
	shift = *end_of == 'K' ? 10 : *end_of == 'M' ? 20 : *end_of == 'G' ? 30 : *end_of == 'T' ? 40 : 0;
	if (errno || end_of == text || text[0] == '-' || end_of[shift != 0] || (*size << shift) >> shift != *size)
		return false;
	*size <<= shift;
	return true;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *n)
{
	char *end_of;

	errno = 0;
	*n = strtoull(text, &end_of, 0);
	return !errno && end_of != text && !*end_of && text[0] != '-' && *n <= max;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	uint64_t n;

	switch (key) {
	case 's':
		o->socket = arg;
		break;
	case 'm':
		if (!parse_size(arg, &o->vram) || o->vram < CARD_VRAM_MIN || o->vram > CARD_VRAM_MAX || (o->vram & (o->vram - 1)))
			argp_error(state, "--vram %s: give a power of two from 16M to 1T", arg);
		break;
	case 'n':
		if (!parse_number(arg, MAX_CARDS, &n) || !n)
			argp_error(state, "--count %s: give 1 to %u", arg, MAX_CARDS);
		o->count = (unsigned int)n;
		break;
	case 'S':
		if (!parse_number(arg, UINT32_MAX - MAX_CARDS, &n))
			argp_error(state, "--serial %s: give a number below 2^32 - %u", arg, MAX_CARDS);
		o->serial = (uint32_t)n;
		break;
	case 'i':
		if (strcmp(arg, "msix") && strcmp(arg, "msi"))
			argp_error(state, "--irq %s: give msix or msi", arg);
		o->msi = !strcmp(arg, "msi");
		break;
	case 'd':
		if (strcmp(arg, "trap") && strcmp(arg, "mmap"))
			argp_error(state, "--doorbell %s: give trap or mmap", arg);
		o->doorbell_mmap = !strcmp(arg, "mmap");
		break;
	case 'f':
		o->faults = true;
		break;
	case 'v':
		o->verbose = true;
		break;
	case ARGP_KEY_END:
		if (!o->socket)
			argp_error(state, "--socket PATH is missing: where should the card be served?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option argp_options[] = {
	{ "socket", 's', "PATH", 0, "UNIX socket to serve on; with --count above 1, PATH.0, PATH.1, ...", 0 },
	{ "vram", 'm', "SIZE", 0, "Device memory of each card, a power of two (default 1G; host memory is used as it is touched)", 0 },
	{ "count", 'n', "N", 0, "Number of cards (default 1)", 0 },
	{ "irq", 'i', "KIND", 0, "Interrupts the card offers: msix (default) or msi", 0 },
	{ "doorbell", 'd', "KIND", 0, "How doorbells reach the card: trap (default), or mmap, which is faster for the guest and "
				      "costs the host up to 15 % of a processor while queues exist", 0 },
	{ "serial", 'S', "N", 0, "Serial number of the first card (default 1); the others count up", 0 },
	{ "faults", 'f', NULL, 0, "Take faults on purpose from standard input, one a line, and say \"fault LINE\" when it is in force: "
				   "hang Q, stuck Q, boot N, dead, cold (see sim/card.h)", 0 },
	{ "verbose", 'v', NULL, 0, "Say when clients come and go, and what resets the card", 0 },
	{ 0 },
};

/* The tree is built with hidden symbols; this one has to be seen by the C library. */
__attribute__((visibility("default"))) const char *argp_program_version = "snpu-sim 1.0";

static const struct argp argp = {
	.options = argp_options, .parser = parse,
	.doc = "Serves simulated SNPU-1 cards to virtual machines over vfio-user. Ends on SIGTERM or SIGINT.",
};

/* --- until the end ------------------------------------------------------------------------------------------------ */
static void fault(const struct served *served, const struct options *opt, const char *line)
{
	int r = 0;

	for (unsigned int i = 0; i < opt->count && !r; i++)
		r = card_fault(served[i].card, line);
	printf("%s %s\n", r ? "no such fault:" : "fault", line);
	fflush(stdout);
}

/* What stands in whole lines is done; the rest stays for the next call. False: there will be no more. */
static bool faults_read(const struct served *served, const struct options *opt, char buf[128], size_t *len)
{
	ssize_t n = read(STDIN_FILENO, buf + *len, 127 - *len);
	char *end;

	if (n <= 0)
		return false;
	*len += (size_t)n;
	buf[*len] = 0;
	while ((end = strchr(buf, '\n'))) {
		*end = 0;
		fault(served, opt, buf);
		*len -= (size_t)(end + 1 - buf);
		memmove(buf, end + 1, *len + 1);
	}
	return *len < 127;
}

static void serve_until(const sigset_t *stop, const struct served *served, const struct options *opt)
{
	struct pollfd p[2] = { { signalfd(-1, stop, SFD_CLOEXEC), POLLIN, 0 }, { opt->faults ? STDIN_FILENO : -1, POLLIN, 0 } };
	char buf[128];
	size_t len = 0;

	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[0].revents)
			break;
		if (p[1].revents && !faults_read(served, opt, buf, &len))
			p[1].fd = -1;
	}
	close(p[0].fd);
}

int main(int argc, char **argv)
{
	struct options opt = { .vram = 1ull << 30, .count = 1, .serial = 1 };
	struct served served[MAX_CARDS] = { 0 };
	unsigned int made = 0;
	sigset_t stop;
	int r = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &opt);
	/* Blocked before any thread exists, so that only serve_until() sees them. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	while (!r && made < opt.count)
		r = make(&served[made], &opt, made), made++;
	for (unsigned int i = 0; !r && i < made; i++)
		r = start(&served[i]);
	if (!r)
		serve_until(&stop, served, &opt);
	for (unsigned int i = 0; i < made; i++)
		end(&served[i]);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
