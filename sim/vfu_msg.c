// SPDX-License-Identifier: MIT
/*
 * What each message of a vfio-user client means, and what is refused and why. One row of the command table holds a
 * message's name, length and number of descriptors, so a handler sees only messages of the right shape. Runs in the
 * socket thread. Replies are put together in vfu.tx and sent by vfu.c; interrupt delivery is in vfu_irq.c, guest memory in
 * dma.c, configuration space in pci.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/vfu_priv.h"

/* Keeps the reason of a refusal for the log and passes the errno on. */
int vfu_refuse(struct vfu *v, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, ap);
	va_end(ap);
	return -err;
}

static void *out(struct vfu *v, struct vfu_msg *m, const void *data, size_t len)
{
	memcpy(v->tx + m->out_len, data, len);
	m->out_len += len;
	return v->tx;
}

/* --- device state ---------------------------------------------------------------------------------------------- */

/* A function that may not master the bus can neither do DMA nor send message signalled interrupts. */
void vfu_gate(struct vfu *v)
{
	bool open = pci_func_bus_master(&v->pci) && pci_func_power(&v->pci) == PCI_D0;

	dma_set_enabled(v->dma, open);
	vfu_irqs_gate(&v->irq, open);
}

void vfu_reset_device(struct vfu *v, enum vfu_reset why)
{
	pci_func_reset(&v->pci);
	vfu_gate(v);
	v->cfg.ops->reset(v->cfg.priv, why);
	/* After the device is quiet: what it raised on the way is gone too. */
	vfu_irqs_reset(&v->irq, why == VFU_RESET_DISCONNECT);
}

void vfu_maps_changed(struct vfu *v)
{
	if (v->cfg.ops->dma_changed)
		v->cfg.ops->dma_changed(v->cfg.priv);
}

static int config_write(struct vfu *v, uint64_t off, const void *buf, size_t len)
{
	int ev = pci_func_write(&v->pci, off, buf, len);

	if (ev < 0)
		return ev;
	if (ev & PCI_EV_FLR) {
		vfu_reset_device(v, VFU_RESET_FLR);
		return 0;
	}
	if (ev & (PCI_EV_POWER | PCI_EV_COMMAND))
		vfu_gate(v);
	if (ev & PCI_EV_POWER && v->cfg.ops->power)
		v->cfg.ops->power(v->cfg.priv, pci_func_power(&v->pci));
	return 0;
}

/* --- VERSION --------------------------------------------------------------------------------------------------- */

/* Takes a positive whole number out of the client's capabilities; absent leaves *val. */
static int cap_number(struct vfu *v, json_t *caps, const char *name, uint32_t *val)
{
	json_t *j = json_object_get(caps, name);
	json_int_t n;

	if (!j)
		return 0;
	n = json_integer_value(j);
	if (!json_is_integer(j) || n < 0)
		return vfu_refuse(v, EINVAL, "capability %s is not a whole number", name);
	*val = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
	return 0;
}

/* The reply names only capabilities that the client named; for the others both sides use the defaults of the protocol. */
static json_t *reply_caps(json_t *asked)
{
	json_t *caps = json_object();

	if (json_object_get(asked, "max_msg_fds"))
		json_object_set_new(caps, "max_msg_fds", json_integer(VFU_MAX_FDS));
	if (json_object_get(asked, "max_data_xfer_size"))
		json_object_set_new(caps, "max_data_xfer_size", json_integer(VFU_MAX_XFER));
	if (json_object_get(asked, "max_dma_maps"))
		json_object_set_new(caps, "max_dma_maps", json_integer(VFU_MAX_MAPS));
	if (json_object_get(asked, "pgsizes"))
		json_object_set_new(caps, "pgsizes", json_integer(DMA_PAGE));
	if (json_is_true(json_object_get(asked, "write_multiple")))
		json_object_set_new(caps, "write_multiple", json_true());
	return json_pack("{s:o}", "capabilities", caps);
}

static int agree(struct vfu *v, struct vfu_msg *m, json_t *root)
{
	json_t *asked = json_object_get(root, "capabilities"), *reply;
	uint32_t fds = 1, xfer = VFU_MAX_XFER, ignored;
	const struct vfu_version ver = { 0, 0 };
	char *text;
	int err;

	if (!json_is_object(root) || (asked && !json_is_object(asked)))
		return vfu_refuse(v, EINVAL, "version data or its capabilities are not a JSON object");
	err = cap_number(v, asked, "max_msg_fds", &fds);
	err = err ? err : cap_number(v, asked, "max_data_xfer_size", &xfer);
	err = err ? err : cap_number(v, asked, "max_dma_maps", &ignored);
	err = err ? err : cap_number(v, asked, "pgsizes", &ignored);
	if (err)
		return err;
	if (!xfer)
		return vfu_refuse(v, EINVAL, "max_data_xfer_size is 0");
	reply = reply_caps(asked);
	text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	if (!text)
		return vfu_refuse(v, ENOMEM, "no memory for the version reply");
	out(v, m, &ver, sizeof(ver));
	out(v, m, text, strlen(text) + 1);
	free(text);
	v->link.peer_fds = fds;
	v->link.peer_xfer = xfer;
	return 0;
}

static int do_version(struct vfu *v, struct vfu_msg *m)
{
	const char *text = (const char *)m->data + sizeof(struct vfu_version);
	size_t len = m->len - sizeof(struct vfu_version);
	struct vfu_version ver;
	json_t *root;
	int err;

	memcpy(&ver, m->data, sizeof(ver));
	if (v->link.up)
		return vfu_refuse(v, EINVAL, "version sent twice");
	if (ver.major) {
		m->hang_up = true;
		return vfu_refuse(v, EINVAL, "client speaks version %u.%u, this server 0.0", ver.major, ver.minor);
	}
	if (len && text[len - 1])
		return vfu_refuse(v, EINVAL, "version data do not end with NUL");
	root = len ? json_loadb(text, len - 1, JSON_REJECT_DUPLICATES, NULL) : json_object();
	if (!root)
		return vfu_refuse(v, EINVAL, "version data are not JSON");
	err = agree(v, m, root);
	json_decref(root);
	if (err)
		return err;
	m->agreed = true;
	return 0;
}

/* --- DMA maps -------------------------------------------------------------------------------------------------- */

static int do_dma_map(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_dma_map r;
	int fd = m->nfds ? m->fds[0] : -1, err;

	memcpy(&r, m->data, sizeof(r));
	if (r.argsz < sizeof(r))
		return vfu_refuse(v, EINVAL, "argsz %u, at least %zu needed", r.argsz, sizeof(r));
	if (fd < 0 && r.offset)
		return vfu_refuse(v, EINVAL, "offset 0x%llx without a descriptor", (unsigned long long)r.offset);
	/* The wire's flags are dma.h's. */
	static_assert(VFU_DMA_F_READ == DMA_READABLE && VFU_DMA_F_WRITE == DMA_WRITABLE, "flags differ");
	err = dma_map(v->dma, r.addr, r.size, r.flags, fd, r.offset);
	if (err)
		return vfu_refuse(v, -err, "IOVA 0x%llx size 0x%llx flags 0x%x offset 0x%llx %s a descriptor",
			      (unsigned long long)r.addr, (unsigned long long)r.size, r.flags, (unsigned long long)r.offset,
			      fd < 0 ? "without" : "with");
	vfu_maps_changed(v);
	return 0;
}

static int do_dma_unmap(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_dma_unmap r;
	uint64_t removed;
	int err = 0;

	memcpy(&r, m->data, sizeof(r));
	if (r.argsz < sizeof(r) || (r.flags & ~VFU_UNMAP_F_ALL))
		return vfu_refuse(v, EINVAL, "argsz %u, flags 0x%x", r.argsz, r.flags);
	if (r.flags & VFU_UNMAP_F_ALL && (r.addr || r.size))
		return vfu_refuse(v, EINVAL, "a range given with the flag for all");
	if (r.flags & VFU_UNMAP_F_ALL)
		removed = dma_unmap_all(v->dma);
	else
		err = dma_unmap(v->dma, r.addr, r.size, &removed);
	if (err)
		return vfu_refuse(v, -err, "IOVA 0x%llx size 0x%llx", (unsigned long long)r.addr, (unsigned long long)r.size);
	if (removed)
		vfu_maps_changed(v);
	/* Nothing there is no error: some IOMMU models in QEMU unmap what they never mapped. */
	r.argsz = sizeof(r);
	r.size = removed;
	out(v, m, &r, sizeof(r));
	return 0;
}

/* --- information ----------------------------------------------------------------------------------------------- */

static int do_info(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_info r;

	memcpy(&r, m->data, sizeof(r));
	if (r.argsz < sizeof(r) || r.flags || r.num_regions || r.num_irqs)
		return vfu_refuse(v, EINVAL, "argsz %u, or a field that must be 0 is not", r.argsz);
	r = (struct vfu_info){ sizeof(r), VFU_INFO_F_RESET | VFU_INFO_F_PCI, VFU_NUM_REGIONS, VFU_NUM_IRQS };
	out(v, m, &r, sizeof(r));
	return 0;
}

static uint64_t region_size(const struct vfu *v, uint32_t region)
{
	return region <= VFU_BAR5_REGION ? v->cfg.pci.bar[region].size : region == VFU_CONFIG_REGION ? PCI_FUNC_SPACE : 0;
}

static int do_region_info(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_sparse_cap cap = { VFU_CAP_SPARSE_MMAP, 1, 0, 0, 0 };
	const struct vfu_region *bar;
	struct vfu_region_info r;
	uint32_t room;

	memcpy(&r, m->data, sizeof(r));
	if (r.argsz < sizeof(r) || r.flags || r.cap_offset || r.size || r.offset)
		return vfu_refuse(v, EINVAL, "argsz %u, or a field that must be 0 is not", r.argsz);
	if (r.index >= VFU_NUM_REGIONS)
		return vfu_refuse(v, EINVAL, "region %u of %u", r.index, VFU_NUM_REGIONS);
	room = r.argsz;
	r.argsz = sizeof(r);
	r.size = region_size(v, r.index);
	r.flags = r.size ? VFU_REGION_F_READ | VFU_REGION_F_WRITE : 0;
	bar = r.index <= VFU_BAR5_REGION ? &v->cfg.region[r.index] : NULL;
	if (bar && bar->mem && bar->fd >= 0 && v->link.peer_fds) {
		r.flags |= VFU_REGION_F_MMAP;
		r.offset = bar->fd_offset;
		m->out_fd = bar->fd;
		cap.nr_areas = bar->nareas;
	}
	if (cap.nr_areas) {
		/* Too little room: the client learns what is needed. QEMU wants the flag and the offset there even so. */
		r.flags |= VFU_REGION_F_CAPS;
		r.cap_offset = sizeof(r);
		r.argsz += (uint32_t)(sizeof(cap) + cap.nr_areas * sizeof(struct vfu_sparse_area));
	}
	out(v, m, &r, sizeof(r));
	if (room < r.argsz) {
		m->out_fd = -1;
	} else if (cap.nr_areas) {
		static_assert(sizeof(struct vfu_area) == sizeof(struct vfu_sparse_area), "areas go out as they are");
		out(v, m, &cap, sizeof(cap));
		out(v, m, bar->areas, cap.nr_areas * sizeof(struct vfu_sparse_area));
	}
	return 0;
}

static int do_region_io_fds(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_io_fds r;

	memcpy(&r, m->data, sizeof(r));
	if (r.argsz < sizeof(r) || r.flags || r.count || r.index >= VFU_NUM_REGIONS)
		return vfu_refuse(v, EINVAL, "argsz %u, region %u, or a field that must be 0 is not", r.argsz, r.index);
	return vfu_refuse(v, EOPNOTSUPP, "region %u offers no descriptors for accesses", r.index);
}

static int do_irq_info(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_irq_info r;

	memcpy(&r, m->data, sizeof(r));
	if (r.argsz < sizeof(r) || r.flags || r.count)
		return vfu_refuse(v, EINVAL, "argsz %u, or a field that must be 0 is not", r.argsz);
	if (r.index >= VFU_NUM_IRQS)
		return vfu_refuse(v, EINVAL, "interrupt type %u of %u", r.index, VFU_NUM_IRQS);
	r.argsz = sizeof(r);
	r.count = r.index == v->irq.index ? v->irq.n : 0;
	r.flags = r.count ? VFU_IRQ_F_EVENTFD | VFU_IRQ_F_MASKABLE : 0;
	out(v, m, &r, sizeof(r));
	return 0;
}

/* --- SET_IRQS -------------------------------------------------------------------------------------------------- */

/* Writing to anything but an eventfd could block the thread that raises an interrupt. */
static bool is_eventfd(int fd)
{
	char path[40], what[40];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, what, sizeof(what) - 1);
	if (n < 0)
		return false;
	what[n] = 0;
	return !strcmp(what, "anon_inode:[eventfd]") && !fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int set_irq_fds(struct vfu *v, struct vfu_msg *m, const struct vfu_irq_set *r)
{
	if ((r->flags & VFU_IRQ_ACT_MASK_ALL) != VFU_IRQ_ACT_TRIGGER)
		return vfu_refuse(v, EINVAL, "flags 0x%x: descriptors are for triggering only", r->flags);
	if (m->nfds && m->nfds != r->count)
		return vfu_refuse(v, EINVAL, "%u descriptors for %u vectors", m->nfds, r->count);
	for (unsigned int i = 0; i < m->nfds; i++)
		if (!is_eventfd(m->fds[i]))
			return vfu_refuse(v, EINVAL, "descriptor for vector %u is not an eventfd", r->start + i);
	vfu_irqs_set_fds(&v->irq, r->start, r->count, m->nfds ? m->fds : NULL);
	return 0;
}

static int check_irq_flags(struct vfu *v, const struct vfu_msg *m, const struct vfu_irq_set *r)
{
	uint32_t data = r->flags & VFU_IRQ_DATA_MASK, act = r->flags & VFU_IRQ_ACT_MASK_ALL;
	size_t body = m->len - sizeof(*r);

	if (r->flags != (data | act) || __builtin_popcount(data) != 1 || __builtin_popcount(act) != 1)
		return vfu_refuse(v, EINVAL, "flags 0x%x: one kind of data and one action needed", r->flags);
	if (r->argsz != m->len || body != (data == VFU_IRQ_DATA_BOOL ? r->count : 0))
		return vfu_refuse(v, EINVAL, "argsz %u, %zu bytes of data for %u vectors", r->argsz, body, r->count);
	if (m->nfds && data != VFU_IRQ_DATA_EVENTFD)
		return vfu_refuse(v, EINVAL, "%u descriptors with flags 0x%x", m->nfds, r->flags);
	return 0;
}

static int do_set_irqs(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_irq_set r;
	unsigned int n;
	int err;

	memcpy(&r, m->data, sizeof(r));
	err = check_irq_flags(v, m, &r);
	if (err)
		return err;
	if (r.index >= VFU_NUM_IRQS)
		return vfu_refuse(v, EINVAL, "interrupt type %u of %u", r.index, VFU_NUM_IRQS);
	n = r.index == v->irq.index ? v->irq.n : 0;
	if (!r.count && !r.start && r.flags == (VFU_IRQ_DATA_NONE | VFU_IRQ_ACT_TRIGGER)) {
		/* Switches the type off, and forgets what was pending and masked with it. */
		if (n)
			vfu_irqs_reset(&v->irq, true);
		return 0;
	}
	if (!r.count || r.start >= n || r.count > n - r.start)
		return vfu_refuse(v, EINVAL, "vectors %u+%u of %u, interrupt type %u", r.start, r.count, n, r.index);
	if (r.flags & VFU_IRQ_DATA_EVENTFD)
		return set_irq_fds(v, m, &r);
	vfu_irqs_act(&v->irq, r.start, r.count, r.flags & VFU_IRQ_DATA_BOOL ? m->data + sizeof(r) : NULL,
		     r.flags & VFU_IRQ_ACT_MASK_ALL);
	return 0;
}

/* --- region access --------------------------------------------------------------------------------------------- */

/* Memory that the guest may read at the same time: accesses of register size must not be torn. */
static void mem_copy(void *dst, const void *src, size_t len)
{
	uintptr_t both = (uintptr_t)dst | (uintptr_t)src;

	if (len == 8 && !(both % 8))
		*(volatile uint64_t *)dst = *(const volatile uint64_t *)src;
	else if (len == 4 && !(both % 4))
		*(volatile uint32_t *)dst = *(const volatile uint32_t *)src;
	else if (len == 2 && !(both % 2))
		*(volatile uint16_t *)dst = *(const volatile uint16_t *)src;
	else
		memcpy(dst, src, len);
}

/* The MSI-X table is the client's own; the pending bits are ours. True: the access was one of these. */
static bool msix_access(struct vfu *v, uint32_t bar, uint64_t off, uint8_t *rd, size_t len)
{
	const struct pci_config *c = &v->cfg.pci;
	uint64_t pba_len = (c->nvec + 63ull) / 64 * 8;

	if (c->irq_mode != PCI_IRQ_MSIX || bar != c->msix_bar)
		return false;
	if (off >= c->msix_pba_off && off - c->msix_pba_off < pba_len) {
		if (rd)
			vfu_irqs_pba(&v->irq, off - c->msix_pba_off, rd, len);
		return true;
	}
	if (off >= c->msix_table_off && off - c->msix_table_off < c->nvec * 16ull) {
		if (rd)
			memset(rd, 0, len);
		return true;
	}
	return false;
}

/* rd or wr is the data, the other NULL. The range has been checked. */
static int bar_access(struct vfu *v, uint32_t bar, uint64_t off, uint8_t *rd, const uint8_t *wr, size_t len)
{
	const struct vfu_region *r = &v->cfg.region[bar];

	if (pci_func_power(&v->pci) != PCI_D0) {
		/* In D3hot a function answers nothing but configuration accesses. */
		if (rd)
			memset(rd, 0xff, len);
		return 0;
	}
	if (msix_access(v, bar, off, rd, len))
		return 0;
	if (r->mem && rd)
		mem_copy(rd, (uint8_t *)r->mem + off, len);
	else if (r->mem)
		mem_copy((uint8_t *)r->mem + off, wr, len);
	else if (rd)
		return v->cfg.ops->read(v->cfg.priv, bar, off, rd, len);
	else
		return v->cfg.ops->write(v->cfg.priv, bar, off, wr, len);
	return 0;
}

static int check_range(struct vfu *v, uint32_t region, uint64_t off, uint32_t count)
{
	uint64_t size;

	if (region >= VFU_NUM_REGIONS)
		return vfu_refuse(v, EINVAL, "region %u of %u", region, VFU_NUM_REGIONS);
	size = region_size(v, region);
	if (!count || count > VFU_MAX_XFER || off > size || count > size - off)
		return vfu_refuse(v, EINVAL, "region %u offset 0x%llx count %u, size 0x%llx", region, (unsigned long long)off, count,
			      (unsigned long long)size);
	if (region <= VFU_BAR5_REGION && !v->cfg.region[region].mem && (count > 8 || (count & (count - 1)) || off % count))
		return vfu_refuse(v, EINVAL, "BAR%u offset 0x%llx: %u bytes are not an aligned access of 1, 2, 4 or 8", region,
				  (unsigned long long)off, count);
	return 0;
}

static int do_region_read(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_rw r;
	uint8_t *to = v->tx + sizeof(r);
	int err;

	memcpy(&r, m->data, sizeof(r));
	err = check_range(v, r.region, r.offset, r.count);
	if (err)
		return err;
	out(v, m, &r, sizeof(r));
	m->out_len += r.count;
	if (r.region == VFU_CONFIG_REGION)
		return pci_func_read(&v->pci, r.offset, to, r.count);
	return bar_access(v, r.region, r.offset, to, NULL, r.count);
}

static int region_write(struct vfu *v, uint32_t region, uint64_t off, const uint8_t *data, uint32_t count)
{
	if (region == VFU_CONFIG_REGION)
		return config_write(v, off, data, count);
	return bar_access(v, region, off, NULL, data, count);
}

static int do_region_write(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_rw r;
	int err;

	memcpy(&r, m->data, sizeof(r));
	err = check_range(v, r.region, r.offset, r.count);
	if (err)
		return err;
	if (m->len - sizeof(r) != r.count)
		return vfu_refuse(v, EINVAL, "count %u with %zu bytes of data", r.count, m->len - sizeof(r));
	out(v, m, &r, sizeof(r));
	return region_write(v, r.region, r.offset, m->data + sizeof(r), r.count);
}

static int do_write_multi(struct vfu *v, struct vfu_msg *m)
{
	size_t n = (m->len - sizeof(struct vfu_write_multi)) / sizeof(struct vfu_write_one);
	const uint8_t *at = m->data + sizeof(struct vfu_write_multi);
	struct vfu_write_multi head;
	struct vfu_write_one w;
	int err = 0;

	memcpy(&head, m->data, sizeof(head));
	if (!n || head.wr_cnt != n || (m->len - sizeof(head)) % sizeof(w))
		return vfu_refuse(v, EINVAL, "%llu writes in %zu bytes", (unsigned long long)head.wr_cnt, m->len);
	/* All are checked before the first is done, so that a bad message does nothing. */
	for (size_t i = 0; i < n && !err; i++) {
		memcpy(&w, at + i * sizeof(w), sizeof(w));
		err = check_range(v, w.region, w.offset, w.count);
		if (!err && w.count > sizeof(w.data))
			err = vfu_refuse(v, EINVAL, "write %zu has %u bytes, at most 8 fit", i, w.count);
	}
	for (size_t i = 0; i < n && !err; i++) {
		memcpy(&w, at + i * sizeof(w), sizeof(w));
		err = region_write(v, w.region, w.offset, w.data, w.count);
	}
	out(v, m, &head, sizeof(head));
	return err;
}

static int do_reset(struct vfu *v, struct vfu_msg *m)
{
	vfu_reset_device(v, VFU_RESET_DEVICE);
	return 0;
}

static int do_unsupported(struct vfu *v, struct vfu_msg *m)
{
	return vfu_refuse(v, EOPNOTSUPP, "not offered by this server");
}

static int do_wrong_way(struct vfu *v, struct vfu_msg *m)
{
	return vfu_refuse(v, EINVAL, "a request that only servers send");
}

/* --- dispatch -------------------------------------------------------------------------------------------------- */

#define ANY VFU_RX_SIZE

static const struct command {
	const char *name;
	int (*fn)(struct vfu *v, struct vfu_msg *m);
	size_t min, max;		/* bytes after the header */
	unsigned int fds;		/* descriptors at most */
} commands[] = {
	[VFU_VERSION]		= { "VERSION", do_version, sizeof(struct vfu_version), ANY, 0 },
	[VFU_DMA_MAP]		= { "DMA_MAP", do_dma_map, sizeof(struct vfu_dma_map), sizeof(struct vfu_dma_map), 1 },
	[VFU_DMA_UNMAP]		= { "DMA_UNMAP", do_dma_unmap, sizeof(struct vfu_dma_unmap), sizeof(struct vfu_dma_unmap), 0 },
	[VFU_GET_INFO]		= { "DEVICE_GET_INFO", do_info, sizeof(struct vfu_info), sizeof(struct vfu_info), 0 },
	[VFU_GET_REGION_INFO]	= { "DEVICE_GET_REGION_INFO", do_region_info, sizeof(struct vfu_region_info), sizeof(struct vfu_region_info), 0 },
	[VFU_GET_REGION_IO_FDS]	= { "DEVICE_GET_REGION_IO_FDS", do_region_io_fds, sizeof(struct vfu_io_fds), sizeof(struct vfu_io_fds), 0 },
	[VFU_GET_IRQ_INFO]	= { "DEVICE_GET_IRQ_INFO", do_irq_info, sizeof(struct vfu_irq_info), sizeof(struct vfu_irq_info), 0 },
	[VFU_SET_IRQS]		= { "DEVICE_SET_IRQS", do_set_irqs, sizeof(struct vfu_irq_set), ANY, VFU_MAX_FDS },
	[VFU_REGION_READ]	= { "REGION_READ", do_region_read, sizeof(struct vfu_rw), sizeof(struct vfu_rw), 0 },
	[VFU_REGION_WRITE]	= { "REGION_WRITE", do_region_write, sizeof(struct vfu_rw), ANY, 0 },
	[VFU_DMA_READ]		= { "DMA_READ", do_wrong_way, 0, ANY, 0 },
	[VFU_DMA_WRITE]		= { "DMA_WRITE", do_wrong_way, 0, ANY, 0 },
	[VFU_DEVICE_RESET]	= { "DEVICE_RESET", do_reset, 0, 0, 0 },
	[VFU_REGION_WRITE_MULTI] = { "REGION_WRITE_MULTI", do_write_multi, sizeof(struct vfu_write_multi), ANY, 0 },
	[VFU_DEVICE_FEATURE]	= { "DEVICE_FEATURE", do_unsupported, 0, ANY, 0 },
	[VFU_MIG_DATA_READ]	= { "MIG_DATA_READ", do_unsupported, 0, ANY, 0 },
	[VFU_MIG_DATA_WRITE]	= { "MIG_DATA_WRITE", do_unsupported, 0, ANY, 0 },
};

static const struct command *command_of(uint16_t cmd)
{
	if (cmd >= sizeof(commands) / sizeof(commands[0]) || !commands[cmd].fn)
		return NULL;
	return &commands[cmd];
}

int vfu_run(struct vfu *v, struct vfu_msg *m)
{
	const struct command *c = command_of(m->hdr.cmd);

	if (m->hdr.flags & ~VFU_F_NO_REPLY)
		return vfu_refuse(v, EINVAL, "flags 0x%x", m->hdr.flags);
	if (!c)
		return vfu_refuse(v, ENOSYS, "there is no such command");
	if (!v->link.up && m->hdr.cmd != VFU_VERSION)
		return vfu_refuse(v, EINVAL, "sent before the version was agreed on");
	if (m->len < c->min || m->len > c->max)
		return vfu_refuse(v, EINVAL, "%zu bytes after the header, %zu needed", m->len, c->min);
	if (m->nfds > c->fds || v->link.fds_lost)
		return vfu_refuse(v, EINVAL, "%u descriptors%s, at most %u allowed", m->nfds, v->link.fds_lost ? " and more" : "", c->fds);
	return c->fn(v, m);
}

const char *vfu_command_name(uint16_t cmd)
{
	const struct command *c = command_of(cmd);

	return c ? c->name : "unknown";
}
