// SPDX-License-Identifier: MIT
/*
 * Finds SNPU cards with libpci and asks sysfs for what libpci does not know: the accel node that belongs to a card, who
 * may open it, its IOMMU group, its sensors. libpci ends the process on an error unless its error handler leaves by longjmp, so
 * everything between setjmp and cleanup is kept in the one function that scans.
 */
#include "pci.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pci/pci.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snpu_regs.h"

#define SYSFS_PCI	"/sys/bus/pci/devices"

static jmp_buf pci_failed;

static void on_pci_error(char *fmt, ...) __attribute__((noreturn));
static void on_pci_error(char *fmt, ...)
{
	(void)fmt;
	longjmp(pci_failed, 1);
}

static void on_pci_message(char *fmt, ...)
{
	(void)fmt;
}

/* Last component of the link SYSFS_PCI/<bus id>/<name>, "" when there is none. */
static void link_name(const char *bus_id, const char *name, char *out, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	out[0] = 0;
	snprintf(path, sizeof(path), SYSFS_PCI "/%s/%s", bus_id, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = 0;
	const char *slash = strrchr(target, '/');

	snprintf(out, size, "%.*s", (int)size - 1, slash ? slash + 1 : target);
}

/* A number in SYSFS_PCI/<bus id>/<name>, -1 when there is none. */
static int64_t number_in(const char *bus_id, const char *name)
{
	char path[PATH_MAX];
	long long n;

	snprintf(path, sizeof(path), SYSFS_PCI "/%s/%s", bus_id, name);
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	if (fscanf(f, "%lld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static bool asleep(const char *bus_id)
{
	char path[PATH_MAX], word[16] = "";

	snprintf(path, sizeof(path), SYSFS_PCI "/%s/power/runtime_status", bus_id);
	FILE *f = fopen(path, "r");

	if (f && fscanf(f, "%15s", word) != 1)
		word[0] = 0;
	if (f)
		fclose(f);
	return !strcmp(word, "suspended");
}

/* hwmon/hwmon<a number>/<name>. */
static int64_t sensor(const struct snpu_pci_card *c, const char *monitor, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "hwmon/%.20s/%.20s", monitor, name);
	return number_in(c->bus_id, path);
}

static void sensors_fill(struct snpu_pci_card *c)
{
	char path[PATH_MAX];
	const struct dirent *e;

	c->temp_mc = c->power_uw = c->energy_uj = -1;
	c->asleep = asleep(c->bus_id);
	c->busy_us = number_in(c->bus_id, "busy_time_us");
	snprintf(path, sizeof(path), SYSFS_PCI "/%s/hwmon", c->bus_id);
	DIR *dir = opendir(path);

	while (dir && (e = readdir(dir))) {
		if (strncmp(e->d_name, "hwmon", 5))
			continue;
		c->temp_mc = sensor(c, e->d_name, "temp1_input");
		c->power_uw = sensor(c, e->d_name, "power1_average");
		c->energy_uj = sensor(c, e->d_name, "energy1_input");
	}
	if (dir)
		closedir(dir);
}

static void node_permissions(struct snpu_pci_card *c)
{
	static const char bits[] = "rwxrwxrwx";
	struct stat st;

	if (stat(c->node, &st) < 0)
		return;
	c->mode[0] = S_ISCHR(st.st_mode) ? 'c' : '-';
	for (int i = 0; i < 9; i++)
		c->mode[1 + i] = (st.st_mode >> (8 - i)) & 1 ? bits[i] : '-';
	const struct passwd *user = getpwuid(st.st_uid);
	char uid[16], gid[16];

	snprintf(uid, sizeof(uid), "%u", st.st_uid);
	snprintf(gid, sizeof(gid), "%u", st.st_gid);
	const struct group *group = getgrgid(st.st_gid);

	snprintf(c->owner, sizeof(c->owner), "%.32s:%.32s", user ? user->pw_name : uid, group ? group->gr_name : gid);
	c->accessible = access(c->node, R_OK | W_OK) == 0;
}

static void node_find(struct snpu_pci_card *c)
{
	char path[PATH_MAX];
	const struct dirent *e;

	snprintf(path, sizeof(path), SYSFS_PCI "/%s/accel", c->bus_id);
	DIR *dir = opendir(path);

	while (dir && (e = readdir(dir)))
		if (strncmp(e->d_name, "accel", 5) == 0)
			snprintf(c->node, sizeof(c->node), "/dev/accel/%.32s", e->d_name);
	if (dir)
		closedir(dir);
	if (c->node[0])
		node_permissions(c);
}

static void card_fill(struct snpu_pci_card *c, struct pci_dev *d)
{
	char number[16];

	memset(c, 0, sizeof(*c));
	snprintf(c->bus_id, sizeof(c->bus_id), "%04x:%02x:%02x.%d", (unsigned int)d->domain, d->bus, d->dev, d->func);
	c->vendor = d->vendor_id;
	c->device = d->device_id;
	c->revision = pci_read_byte(d, PCI_REVISION_ID);
	c->subvendor = pci_read_word(d, PCI_SUBSYSTEM_VENDOR_ID);
	c->subdevice = pci_read_word(d, PCI_SUBSYSTEM_ID);
	for (int i = 0; i < SNPU_PCI_BARS; i++)
		c->bar_size[i] = d->size[i];
	link_name(c->bus_id, "driver", c->driver, sizeof(c->driver));
	link_name(c->bus_id, "iommu_group", number, sizeof(number));
	c->iommu_group = number[0] ? atoi(number) : -1;
	c->numa_node = (int)number_in(c->bus_id, "numa_node");
	sensors_fill(c);
	node_find(c);
}

static int by_bus_id(const void *a, const void *b)
{
	return strcmp(((const struct snpu_pci_card *)a)->bus_id, ((const struct snpu_pci_card *)b)->bus_id);
}

int snpu_pci_cards(struct snpu_pci_card **cards)
{
	/* volatile: read after a longjmp. */
	struct snpu_pci_card *volatile found = NULL;
	struct pci_access *volatile access_ = NULL;
	volatile int n = 0;

	if (access(SYSFS_PCI, R_OK) < 0)
		return -ENOSYS;
	if (setjmp(pci_failed)) {
		free(found);
		return -EIO;
	}
	access_ = pci_alloc();
	access_->error = on_pci_error;
	access_->warning = on_pci_message;
	access_->debug = on_pci_message;
	access_->method = PCI_ACCESS_SYS_BUS_PCI;
	pci_init(access_);
	pci_scan_bus(access_);
	for (struct pci_dev *d = access_->devices; d; d = d->next) {
		pci_fill_info(d, PCI_FILL_IDENT | PCI_FILL_BASES | PCI_FILL_SIZES);
		if (d->vendor_id != SNPU_PCI_VENDOR || d->device_id != SNPU_PCI_DEVICE)
			continue;
		void *grown = realloc(found, (size_t)(n + 1) * sizeof(*found));

		if (!grown)
			longjmp(pci_failed, 1);
		found = grown;
		card_fill(&found[n], d);
		n = n + 1;
	}
	pci_cleanup(access_);
	if (n)
		qsort(found, (size_t)n, sizeof(*found), by_bus_id);
	*cards = found;
	return n;
}
