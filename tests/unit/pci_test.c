// SPDX-License-Identifier: MIT
/* Configuration space: what software finds in it, which bits change, which writes are events, and bad descriptions. */
#include "tests/harness.h"

#include <linux/pci_regs.h>

#include "sim/pci.h"

static const struct pci_config card = {
	.vendor = 0x1af4, .device = 0x10f5, .subsys_vendor = 0x1af4, .subsys = 0x0001, .revision = 1, .class_code = 0x120000,
	.bar = { [0] = { .size = 0x10000 }, [2] = { .size = 1ull << 32, .wide = true, .prefetch = true }, [4] = { .size = 0x40000 } },
	.irq_mode = PCI_IRQ_MSIX, .nvec = 3, .msix_bar = 0, .msix_table_off = 0x8000, .msix_pba_off = 0xc000,
	.serial = 0x0102030405060708ull,
};

static struct pci_func f;

static uint32_t rd(unsigned int off, size_t len)
{
	uint32_t v = 0;

	return pci_func_read(&f, off, &v, len) ? 0xdeaddead : v;
}

static int wr(unsigned int off, uint32_t v, size_t len)
{
	return pci_func_write(&f, off, &v, len);
}

/* The place of a capability, found as software finds it: along the list. */
static unsigned int find_cap(uint8_t id)
{
	unsigned int at = rd(PCI_CAPABILITY_LIST, 1);

	for (int hops = 0; at && hops < 48; hops++, at = rd(at + PCI_CAP_LIST_NEXT, 1))
		if (rd(at, 1) == id)
			return at;
	return 0;
}

static unsigned int find_ext(uint16_t id)
{
	unsigned int at = 0x100;

	for (int hops = 0; at && hops < 48; hops++, at = PCI_EXT_CAP_NEXT(rd(at, 4)))
		if (PCI_EXT_CAP_ID(rd(at, 4)) == id)
			return at;
	return 0;
}

TEST(identity)
{
	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	EXPECT_EQ(rd(0, 4), 0x10f51af4);
	EXPECT_EQ(rd(PCI_CLASS_REVISION, 4), 0x12000001);
	EXPECT_EQ(rd(PCI_SUBSYSTEM_VENDOR_ID, 4), 0x00011af4);
	EXPECT_EQ(rd(PCI_HEADER_TYPE, 1), 0);
	EXPECT_EQ(rd(PCI_INTERRUPT_PIN, 1), 0);
	EXPECT_TRUE(rd(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	EXPECT_EQ(wr(0, 0xffffffff, 4), 0);
	EXPECT_EQ(wr(PCI_CLASS_REVISION, 0, 4), 0);
	EXPECT_EQ(rd(0, 4), 0x10f51af4);
	EXPECT_EQ(rd(PCI_CLASS_REVISION, 4), 0x12000001);
}

TEST(bars_measure_right)
{
	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	for (unsigned int i = 0; i < 6; i++)
		wr(PCI_BASE_ADDRESS_0 + 4 * i, 0xffffffff, 4);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_0, 4), 0xffff0000);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_1, 4), 0);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_2, 4), 0x0000000c);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_3, 4), 0xffffffff);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_4, 4), 0xfffc0000);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_5, 4), 0);
	EXPECT_EQ(wr(PCI_BASE_ADDRESS_2, 0, 4), 0);
	EXPECT_EQ(wr(PCI_BASE_ADDRESS_3, 0x12, 4), 0);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_2, 4), 0xc);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_3, 4), 0x12);
}

TEST(capabilities_with_msix)
{
	unsigned int c;

	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	c = find_cap(PCI_CAP_ID_MSIX);
	ASSERT_NE(c, 0);
	EXPECT_EQ(rd(c + PCI_MSIX_FLAGS, 2), 2);
	EXPECT_EQ(rd(c + PCI_MSIX_TABLE, 4), 0x8000);
	EXPECT_EQ(rd(c + PCI_MSIX_PBA, 4), 0xc000);
	EXPECT_EQ(wr(c + PCI_MSIX_FLAGS, 0xffff, 2), 0);
	EXPECT_EQ(rd(c + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | 2);
	EXPECT_EQ(find_cap(PCI_CAP_ID_MSI), 0);
	c = find_cap(PCI_CAP_ID_EXP);
	ASSERT_NE(c, 0);
	EXPECT_EQ((rd(c + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_TYPE) >> 4, PCI_EXP_TYPE_ENDPOINT);
	EXPECT_TRUE(rd(c + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	c = find_ext(PCI_EXT_CAP_ID_DSN);
	ASSERT_NE(c, 0);
	EXPECT_EQ(rd(c + 4, 4), 0x05060708);
	EXPECT_EQ(rd(c + 8, 4), 0x01020304);
	EXPECT_NE(find_ext(PCI_EXT_CAP_ID_ERR), 0);
}

TEST(capabilities_with_msi)
{
	struct pci_config cfg = card;
	unsigned int c;

	cfg.irq_mode = PCI_IRQ_MSI;
	cfg.nvec = 4;
	cfg.serial = 0;
	ASSERT_EQ(pci_func_init(&f, &cfg, NULL), 0);
	c = find_cap(PCI_CAP_ID_MSI);
	ASSERT_NE(c, 0);
	EXPECT_EQ(rd(c + PCI_MSI_FLAGS, 2), PCI_MSI_FLAGS_64BIT | 2 << 1);
	wr(c + PCI_MSI_FLAGS, 0xffff, 2);
	EXPECT_EQ(rd(c + PCI_MSI_FLAGS, 2), PCI_MSI_FLAGS_64BIT | 2 << 1 | PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(find_cap(PCI_CAP_ID_MSIX), 0);
	EXPECT_EQ(find_ext(PCI_EXT_CAP_ID_DSN), 0);
	cfg.irq_mode = PCI_IRQ_NONE;
	ASSERT_EQ(pci_func_init(&f, &cfg, NULL), 0);
	EXPECT_EQ(find_cap(PCI_CAP_ID_MSI), 0);
	EXPECT_NE(find_cap(PCI_CAP_ID_PM), 0);
}

TEST(power_states)
{
	unsigned int c;

	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	c = find_cap(PCI_CAP_ID_PM);
	ASSERT_NE(c, 0);
	EXPECT_EQ(pci_func_power(&f), PCI_D0);
	EXPECT_EQ(wr(c + PCI_PM_CTRL, 3, 2), PCI_EV_POWER);
	EXPECT_EQ(pci_func_power(&f), PCI_D3HOT);
	EXPECT_EQ(rd(c + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET | 3);
	EXPECT_EQ(wr(c + PCI_PM_CTRL, 3, 2), 0);
	/* D1 is not there: nothing changes. */
	EXPECT_EQ(wr(c + PCI_PM_CTRL, 1, 1), 0);
	EXPECT_EQ(pci_func_power(&f), PCI_D3HOT);
	EXPECT_EQ(wr(c + PCI_PM_CTRL, 0, 2), PCI_EV_POWER);
	EXPECT_EQ(pci_func_power(&f), PCI_D0);
}

TEST(function_level_reset_is_an_event)
{
	unsigned int c;

	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	c = find_cap(PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	EXPECT_EQ(wr(c, rd(c, 2) | PCI_EXP_DEVCTL_BCR_FLR, 2), PCI_EV_FLR);
	EXPECT_EQ(rd(c, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	EXPECT_EQ(wr(c, rd(c, 2), 2), 0);
	EXPECT_EQ(wr(c + 1, 0x80, 1), PCI_EV_FLR);
	EXPECT_EQ(wr(c, rd(c, 4) | PCI_EXP_DEVCTL_BCR_FLR, 4), PCI_EV_FLR);
	/* The neighbour's bit 15 is not it. */
	EXPECT_EQ(wr(c + 2, 0x8000, 2), 0);
	wr(PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	wr(PCI_BASE_ADDRESS_0, 0xfe000000, 4);
	pci_func_reset(&f);
	EXPECT_EQ(rd(PCI_COMMAND, 2), 0);
	EXPECT_EQ(rd(PCI_BASE_ADDRESS_0, 4), 0);
	EXPECT_FALSE(pci_func_bus_master(&f));
}

TEST(command_register)
{
	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	EXPECT_FALSE(pci_func_bus_master(&f));
	EXPECT_EQ(wr(PCI_COMMAND, 0xffff, 2), PCI_EV_COMMAND);
	/* No I/O space, no special cycles: those bits stay 0. */
	EXPECT_EQ(rd(PCI_COMMAND, 2), 0x546);
	EXPECT_TRUE(pci_func_bus_master(&f));
	EXPECT_EQ(wr(PCI_COMMAND, 0x2, 2), PCI_EV_COMMAND);
	EXPECT_FALSE(pci_func_bus_master(&f));
}

TEST(write_one_to_clear)
{
	unsigned int c;

	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	c = find_ext(PCI_EXT_CAP_ID_ERR) + PCI_ERR_UNCOR_STATUS;
	/* As if the function had detected them. */
	f.val[c + 2] = 0x14;
	EXPECT_EQ(wr(c, 0x00040000, 4), 0);
	EXPECT_EQ(rd(c, 4), 0x00100000);
	EXPECT_EQ(wr(c, 0, 4), 0);
	EXPECT_EQ(rd(c, 4), 0x00100000);
}

TEST(outside_is_refused)
{
	uint8_t buf[8192];

	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	EXPECT_EQ(pci_func_read(&f, 0, buf, 4096), 0);
	EXPECT_EQ(pci_func_read(&f, 4095, buf, 1), 0);
	EXPECT_EQ(pci_func_read(&f, 4096, buf, 1), -EINVAL);
	EXPECT_EQ(pci_func_read(&f, 4095, buf, 2), -EINVAL);
	EXPECT_EQ(pci_func_write(&f, 1, buf, 4096), -EINVAL);
	EXPECT_EQ(pci_func_read(&f, UINT64_MAX, buf, 2), -EINVAL);
}

TEST(bad_descriptions)
{
	struct pci_config c;
	const char *why;

#define BAD(change, word) do { c = card; change; why = NULL; EXPECT_EQ(pci_func_init(&f, &c, &why), -EINVAL); EXPECT_CONTAINS(why, word); } while (0)
	BAD(c.bar[0].size = 0x10001, "power of two");
	BAD(c.bar[0].size = 64, "power of two");
	BAD(c.bar[3].size = 4096, "upper half");
	BAD(c.bar[2].wide = false, "64 bits");
	BAD((c.bar[4].size = 0, c.bar[5] = c.bar[2]), "upper half");
	BAD(c.nvec = 0, "at least one");
	BAD(c.nvec = 2049, "2048");
	BAD(c.msix_bar = 6, "no BAR");
	BAD(c.msix_bar = 1, "past the end");
	BAD(c.msix_table_off = 0xfff8, "past the end");
	BAD(c.msix_pba_off = 0x10000, "past the end");
	BAD(c.msix_table_off = 4, "aligned");
	BAD(c.msix_pba_off = 0x8028, "overlap");
	BAD((c.irq_mode = PCI_IRQ_MSI, c.nvec = 3), "1, 2, 4 or 8");
	BAD((c.irq_mode = PCI_IRQ_MSI, c.nvec = 16), "1, 2, 4 or 8");
	BAD(c.class_code = 0x1000000, "class");
	c = card;
	c.msix_pba_off = 0x8030;
	EXPECT_EQ(pci_func_init(&f, &c, NULL), 0);
}

/* An independent reader: what lspci makes of a dump of the space. */
TEST(lspci_agrees)
{
	char path[] = "/tmp/snpu-pci-XXXXXX", cmd[128], text[8192];
	size_t n;
	FILE *p;

	if (system("command -v lspci >/dev/null"))
		SKIP("lspci (package pciutils) is not installed");
	ASSERT_EQ(pci_func_init(&f, &card, NULL), 0);
	close(mkstemp(path));
	p = fopen(path, "w");
	fprintf(p, "01:00.0 x\n");
	for (unsigned int i = 0; i < PCI_FUNC_SPACE; i += 16) {
		fprintf(p, "%03x:", i);
		for (unsigned int k = 0; k < 16; k++)
			fprintf(p, " %02x", f.val[i + k]);
		fputc('\n', p);
	}
	fclose(p);
	snprintf(cmd, sizeof(cmd), "lspci -vvv -n -F %s 2>&1", path);
	p = popen(cmd, "r");
	n = fread(text, 1, sizeof(text) - 1, p);
	text[n] = 0;
	EXPECT_EQ(pclose(p), 0);
	unlink(path);
	EXPECT_CONTAINS(text, "01:00.0 1200: 1af4:10f5 (rev 01)");
	EXPECT_CONTAINS(text, "Subsystem: 1af4:0001");
	EXPECT_CONTAINS(text, "Power Management version 3");
	EXPECT_CONTAINS(text, "NoSoftRst+");
	EXPECT_CONTAINS(text, "Express (v2) Endpoint");
	EXPECT_CONTAINS(text, "FLReset+");
	EXPECT_CONTAINS(text, "Speed 16GT/s, Width x8");
	EXPECT_CONTAINS(text, "MSI-X: Enable- Count=3 Masked-");
	EXPECT_CONTAINS(text, "Vector table: BAR=0 offset=00008000");
	EXPECT_CONTAINS(text, "PBA: BAR=0 offset=0000c000");
	EXPECT_CONTAINS(text, "[100 v2] Advanced Error Reporting");
	EXPECT_CONTAINS(text, "Device Serial Number 01-02-03-04-05-06-07-08");
	EXPECT_TRUE(!strstr(text, "Unknown") && !strstr(text, "broken") && !strstr(text, "chain"));
}

TEST_HARNESS_MAIN
