// SPDX-License-Identifier: MIT
/*
 * The configuration space of a PCI Express endpoint function (see pci.h). Layouts come from the PCI and PCI Express
 * base specifications through <linux/pci_regs.h>, which names them. The space is three byte arrays: the value, which bits
 * a write changes, and which bits a written 1 clears; a write is that rule for each byte and then a look at the few
 * registers where a change means something. Lives in the thread that serves the socket; no locks.
 */
#include "sim/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#define STATE_POWER	0x3u		/* bits of pci_func.state */
#define STATE_MASTER	0x4u

/* Places of the capabilities: fixed, so that a dump is easy to read. */
#define AT_PM		0x40u
#define AT_MSI		0x50u
#define AT_PCIE		0x60u
#define AT_MSIX		0xa0u
#define AT_AER		0x100u
#define AT_DSN		0x150u

#define MSIX_ENTRY	16u		/* bytes of one table entry */

static void set16(uint8_t *p, unsigned int off, uint32_t v)
{
	p[off] = (uint8_t)v;
	p[off + 1] = (uint8_t)(v >> 8);
}

static void set32(uint8_t *p, unsigned int off, uint32_t v)
{
	set16(p, off, v);
	set16(p, off + 2, v >> 16);
}

static uint32_t get16(const uint8_t *p, unsigned int off)
{
	return p[off] | (uint32_t)p[off + 1] << 8;
}

/* --- building -------------------------------------------------------------------------------------------------- */

static const char *check_bars(const struct pci_config *c)
{
	for (unsigned int i = 0; i < PCI_FUNC_BARS; i++) {
		const struct pci_bar *b = &c->bar[i];

		if (!b->size)
			continue;
		if (b->size < 128 || (b->size & (b->size - 1)))
			return "a BAR's size is not a power of two of at least 128 bytes";
		if (b->wide && (i + 1 == PCI_FUNC_BARS || c->bar[i + 1].size))
			return "a 64-bit BAR's upper half is in use or does not exist";
		if (!b->wide && b->size > 1u << 31)
			return "a BAR over 2 GiB must be 64 bits wide";
	}
	return NULL;
}

static const char *check_irqs(const struct pci_config *c)
{
	uint64_t bar, table = (uint64_t)c->nvec * MSIX_ENTRY, pba = ((uint64_t)c->nvec + 63) / 64 * 8;

	if (c->irq_mode == PCI_IRQ_NONE)
		return NULL;
	if (!c->nvec)
		return "an interrupt capability needs at least one vector";
	if (c->irq_mode == PCI_IRQ_MSI)
		return c->nvec <= PCI_FUNC_MAX_MSI && !(c->nvec & (c->nvec - 1)) ? NULL : "MSI takes 1, 2, 4 or 8 vectors";
	if (c->nvec > PCI_FUNC_MAX_MSIX || c->msix_bar >= PCI_FUNC_BARS)
		return "MSI-X has more than 2048 vectors or names no BAR";
	bar = c->bar[c->msix_bar].size;
	if (c->msix_table_off % 8 || c->msix_pba_off % 8)
		return "the MSI-X table or pending bits are not aligned to 8 bytes";
	if (c->msix_table_off > bar || table > bar - c->msix_table_off || c->msix_pba_off > bar || pba > bar - c->msix_pba_off)
		return "the MSI-X table or pending bits reach past the end of their BAR";
	if (c->msix_table_off < c->msix_pba_off + pba && c->msix_pba_off < c->msix_table_off + table)
		return "the MSI-X table and pending bits overlap";
	return NULL;
}

static void build_header(struct pci_func *f)
{
	const struct pci_config *c = &f->cfg;

	set16(f->val, PCI_VENDOR_ID, c->vendor);
	set16(f->val, PCI_DEVICE_ID, c->device);
	set16(f->rw, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
	      PCI_COMMAND_INTX_DISABLE);
	set16(f->val, PCI_STATUS, PCI_STATUS_CAP_LIST);
	set16(f->w1c, PCI_STATUS, PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
	      PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY);
	set32(f->val, PCI_CLASS_REVISION, c->class_code << 8 | c->revision);
	f->rw[PCI_CACHE_LINE_SIZE] = 0xff;
	f->rw[PCI_INTERRUPT_LINE] = 0xff;
	set16(f->val, PCI_SUBSYSTEM_VENDOR_ID, c->subsys_vendor);
	set16(f->val, PCI_SUBSYSTEM_ID, c->subsys);
	for (unsigned int i = 0; i < PCI_FUNC_BARS; i++) {
		const struct pci_bar *b = &c->bar[i];
		unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;

		if (!b->size)
			continue;
		set32(f->val, at, (b->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) | (b->prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
		/* Address bits below the size stay 0: that is how software measures a BAR. */
		set32(f->rw, at, (uint32_t)~(b->size - 1));
		if (b->wide)
			set32(f->rw, at + 4, (uint32_t)(~(b->size - 1) >> 32));
	}
}

/* Appends a capability to the list; *tail is the place of the last pointer. */
static void link_cap(struct pci_func *f, unsigned int *tail, unsigned int at, uint8_t id)
{
	f->val[*tail] = (uint8_t)at;
	f->val[at + PCI_CAP_LIST_ID] = id;
	*tail = at + PCI_CAP_LIST_NEXT;
}

static void build_pm(struct pci_func *f)
{
	/* Version 3, no PME. No_Soft_Reset: leaving D3hot keeps the state, so drivers need not start again. */
	set16(f->val, f->pm + PCI_PM_PMC, 3);
	set16(f->val, f->pm + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	set16(f->rw, f->pm + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
}

static void build_pcie(struct pci_func *f)
{
	unsigned int at = f->pcie;

	set16(f->val, at + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	/* 256-byte payloads, extended tags, role-based error reporting, function level reset. */
	set32(f->val, at + PCI_EXP_DEVCAP, 1 | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	set16(f->val, at + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_EXT_TAG | PCI_EXP_DEVCTL_NOSNOOP_EN |
	      PCI_EXP_DEVCTL_READRQ_512B);
	/* Bit 15 (initiate function level reset) is not writable: it is an event and reads as 0. */
	set16(f->rw, at + PCI_EXP_DEVCTL, 0x7fff & ~(PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_AUX_PME));
	set16(f->w1c, at + PCI_EXP_DEVSTA, PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD);
	/* 16 GT/s x8, up. */
	set32(f->val, at + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_16_0GB | 8 << 4 | PCI_EXP_LNKCAP_ASPM_L1);
	set16(f->rw, at + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
	set16(f->val, at + PCI_EXP_LNKSTA, PCI_EXP_LNKCAP_SLS_16_0GB | 8 << 4);
	set32(f->val, at + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_COMP_TMOUT_DIS);
	set16(f->rw, at + PCI_EXP_DEVCTL2, PCI_EXP_DEVCTL2_COMP_TMOUT_DIS);
	set32(f->val, at + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB | PCI_EXP_LNKCAP2_SLS_8_0GB |
	      PCI_EXP_LNKCAP2_SLS_16_0GB);
	set16(f->val, at + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS_16_0GT);
	set16(f->rw, at + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS);
}

static void build_msi(struct pci_func *f)
{
	unsigned int order = (unsigned int)__builtin_ctz(f->cfg.nvec);

	set16(f->val, f->msi + PCI_MSI_FLAGS, order << 1 | PCI_MSI_FLAGS_64BIT);
	set16(f->rw, f->msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	set32(f->rw, f->msi + PCI_MSI_ADDRESS_LO, 0xfffffffc);
	set32(f->rw, f->msi + PCI_MSI_ADDRESS_HI, 0xffffffff);
	set16(f->rw, f->msi + PCI_MSI_DATA_64, 0xffff);
}

static void build_msix(struct pci_func *f)
{
	set16(f->val, f->msix + PCI_MSIX_FLAGS, f->cfg.nvec - 1);
	set16(f->rw, f->msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	set32(f->val, f->msix + PCI_MSIX_TABLE, f->cfg.msix_table_off | f->cfg.msix_bar);
	set32(f->val, f->msix + PCI_MSIX_PBA, f->cfg.msix_pba_off | f->cfg.msix_bar);
}

static void build_ext(struct pci_func *f)
{
	const uint32_t uncor = PCI_ERR_UNC_DLP | PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_COMP_TIME |
			       PCI_ERR_UNC_COMP_ABORT | PCI_ERR_UNC_UNX_COMP | PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP |
			       PCI_ERR_UNC_ECRC | PCI_ERR_UNC_UNSUP | PCI_ERR_UNC_INTN;
	const uint32_t cor = PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP | PCI_ERR_COR_REP_ROLL |
			     PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL;

	f->aer = AT_AER;
	f->dsn = f->cfg.serial ? AT_DSN : 0;
	set32(f->val, f->aer, PCI_EXT_CAP_ID_ERR | 2u << 16 | (uint32_t)f->dsn << 20);
	set32(f->w1c, f->aer + PCI_ERR_UNCOR_STATUS, uncor);
	set32(f->rw, f->aer + PCI_ERR_UNCOR_MASK, uncor);
	set32(f->val, f->aer + PCI_ERR_UNCOR_MASK, PCI_ERR_UNC_INTN);
	set32(f->rw, f->aer + PCI_ERR_UNCOR_SEVER, uncor);
	set32(f->val, f->aer + PCI_ERR_UNCOR_SEVER, PCI_ERR_UNC_DLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_RX_OVER |
	      PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_INTN);
	set32(f->w1c, f->aer + PCI_ERR_COR_STATUS, cor);
	set32(f->rw, f->aer + PCI_ERR_COR_MASK, cor);
	set32(f->val, f->aer + PCI_ERR_COR_MASK, PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL);
	if (!f->dsn)
		return;
	set32(f->val, f->dsn, PCI_EXT_CAP_ID_DSN | 1u << 16);
	set32(f->val, f->dsn + 4, (uint32_t)f->cfg.serial);
	set32(f->val, f->dsn + 8, (uint32_t)(f->cfg.serial >> 32));
}

static void build(struct pci_func *f)
{
	unsigned int tail = PCI_CAPABILITY_LIST;

	memset(f->val, 0, sizeof(f->val));
	memset(f->rw, 0, sizeof(f->rw));
	memset(f->w1c, 0, sizeof(f->w1c));
	build_header(f);
	f->pm = AT_PM;
	link_cap(f, &tail, f->pm, PCI_CAP_ID_PM);
	build_pm(f);
	f->pcie = AT_PCIE;
	link_cap(f, &tail, f->pcie, PCI_CAP_ID_EXP);
	build_pcie(f);
	f->msi = f->msix = 0;
	if (f->cfg.irq_mode == PCI_IRQ_MSI) {
		f->msi = AT_MSI;
		link_cap(f, &tail, f->msi, PCI_CAP_ID_MSI);
		build_msi(f);
	} else if (f->cfg.irq_mode == PCI_IRQ_MSIX) {
		f->msix = AT_MSIX;
		link_cap(f, &tail, f->msix, PCI_CAP_ID_MSIX);
		build_msix(f);
	}
	build_ext(f);
	atomic_store(&f->state, PCI_D0);
}

int pci_func_init(struct pci_func *f, const struct pci_config *cfg, const char **why)
{
	const char *bad = check_bars(cfg);

	if (!bad)
		bad = check_irqs(cfg);
	if (!bad && cfg->class_code >> 24)
		bad = "the class code has more than 24 bits";
	if (why)
		*why = bad;
	if (bad)
		return -EINVAL;
	f->cfg = *cfg;
	build(f);
	return 0;
}

/* --- access ---------------------------------------------------------------------------------------------------- */

static bool inside(uint64_t off, size_t len)
{
	return off <= PCI_FUNC_SPACE && len <= PCI_FUNC_SPACE - off;
}

int pci_func_read(const struct pci_func *f, uint64_t off, void *buf, size_t len)
{
	if (!inside(off, len))
		return -EINVAL;
	memcpy(buf, f->val + off, len);
	return 0;
}

/* The written byte at place `at` of the space, 0 when the write does not reach it. */
static uint8_t written(uint64_t off, const uint8_t *buf, size_t len, unsigned int at)
{
	return at >= off && at - off < len ? buf[at - off] : 0;
}

static unsigned int update_state(struct pci_func *f, unsigned int old_command)
{
	unsigned int command = get16(f->val, PCI_COMMAND);
	unsigned int power = get16(f->val, f->pm + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK;
	unsigned int old = atomic_load(&f->state), events = 0;

	/* D1 and D2 are not implemented: a write of them is completed and changes nothing. */
	if (power != PCI_D0 && power != PCI_D3HOT) {
		power = old & STATE_POWER;
		f->val[f->pm + PCI_PM_CTRL] = (uint8_t)((f->val[f->pm + PCI_PM_CTRL] & ~PCI_PM_CTRL_STATE_MASK) | power);
	}
	if (power != (old & STATE_POWER))
		events |= PCI_EV_POWER;
	if (command != old_command)
		events |= PCI_EV_COMMAND;
	atomic_store(&f->state, power | (command & PCI_COMMAND_MASTER ? STATE_MASTER : 0));
	return events;
}

int pci_func_write(struct pci_func *f, uint64_t off, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	unsigned int old_command = get16(f->val, PCI_COMMAND), events;

	if (!inside(off, len))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		uint8_t *v = &f->val[off + i], rw = f->rw[off + i], clear = p[i] & f->w1c[off + i];

		*v = (uint8_t)(((*v & ~rw) | (p[i] & rw)) & ~clear);
	}
	events = update_state(f, old_command);
	if (written(off, p, len, f->pcie + PCI_EXP_DEVCTL + 1u) & PCI_EXP_DEVCTL_BCR_FLR >> 8)
		events |= PCI_EV_FLR;
	return (int)events;
}

void pci_func_reset(struct pci_func *f)
{
	build(f);
}

enum pci_power pci_func_power(const struct pci_func *f)
{
	return atomic_load(&f->state) & STATE_POWER;
}

bool pci_func_bus_master(const struct pci_func *f)
{
	return atomic_load(&f->state) & STATE_MASTER;
}
