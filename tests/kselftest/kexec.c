// SPDX-License-Identifier: MIT
/*
 * Starts another kernel in place of the running one, with everything as it is: what kexec(8) does. And tells in what state a card
 * is that no driver has touched yet:
 *	kexec KERNEL INITRD COMMAND-LINE
 *	kexec state RESOURCE0		"core 0 engine 0": CORE_STATE (0: halted), and whether a job is on the engine
 */
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "snpu_regs.h"

static int state(const char *path)
{
	int fd = open(path, O_RDONLY);
	const volatile uint32_t *regs = mmap(NULL, SNPU_BAR_REGS_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	if (fd < 0 || regs == MAP_FAILED) {
		perror(path);
		return 1;
	}
	printf("core %u engine %u\n", regs[SNPU_REG_CORE_STATE / 4], SNPU_GET(regs[SNPU_REG_RESET_STATUS / 4], RESET_STATUS, ENGINE_BUSY));
	return 0;
}

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc == 3 && !strcmp(argv[1], "state"))
		return state(argv[2]);
	if (argc != 4) {
		fputs("usage: kexec KERNEL INITRD COMMAND-LINE | kexec state RESOURCE0\n", stderr);
		return 2;
	}
	kernel = open(argv[1], O_RDONLY);
	initrd = open(argv[2], O_RDONLY);
	if (kernel < 0 || initrd < 0 || syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0ul)) {
		perror("kexec: kexec_file_load");
		return 1;
	}
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	perror("kexec: reboot");
	return 1;
}
