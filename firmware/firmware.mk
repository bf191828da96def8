# SPDX-License-Identifier: MIT
# The card's firmware. $(O)/firmware can stand where /lib/firmware does: the driver asks for snpu/snpu-fw-1.bin. Below
# $(O)/firmware/bad there is such a folder for each way an image can be wrong, for tests.

FW_CROSS   ?= riscv64-unknown-elf-
FW_CFLAGS   = -std=gnu11 -march=rv32im_zicsr -mabi=ilp32 -mcmodel=medany -msmall-data-limit=0 -Os -ffreestanding \
	      -fno-strict-aliasing -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections -Wall -Wextra -Wshadow \
	      -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Ihw -Ifirmware
FW_LDFLAGS  = -nostdlib -nostartfiles -static -Wl,--gc-sections -Wl,--build-id=sha1 -Wl,--fatal-warnings -Wl,--no-warn-rwx-segments \
	      -T firmware/snpu-fw.lds

FW_DIR      = $(O)/firmware
FW_IMAGE    = $(FW_DIR)/snpu/snpu-fw-1.bin
FW_BAD      = magic header major section entry size hash
FW_BADS     = $(FW_BAD:%=$(FW_DIR)/bad/%/snpu/snpu-fw-1.bin)
FW_SRCS     = start.S core.c lib.c fmt.c log.c time.c event.c cmd.c queue.c sched.c trap.c
FW_OBJS     = $(FW_SRCS:%=$(FW_DIR)/rv32/%.o)

.PHONY: firmware
firmware: $(FW_IMAGE) $(FW_BADS)	## the card's firmware
ALL += firmware

# Without -g: the build id is the linker's hash of its output, and paths would be part of it.
$(FW_DIR)/rv32/%.o: firmware/%
	$(call say,FWCC,$<)
	@mkdir -p $(@D)
	$(Q)$(FW_CROSS)gcc $(FW_CFLAGS) -MMD -MP -c $< -o $@

$(FW_DIR)/snpu-fw.elf: $(FW_OBJS) $(FW_DIR)/rv32/main.c.o firmware/snpu-fw.lds
	$(call say,FWLD,$(@F))
	$(Q)$(FW_CROSS)gcc $(FW_CFLAGS) $(FW_LDFLAGS) $(filter %.o,$^) -o $@

$(FW_DIR)/mkfw: $(FW_DIR)/mkfw.o
	$(call say,LD,$(@F))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) -lnettle -o $@

$(FW_IMAGE): $(FW_DIR)/snpu-fw.elf $(FW_DIR)/mkfw
	$(call say,FW,$(@F))
	@mkdir -p $(@D)
	$(Q)$(FW_DIR)/mkfw $< $@

$(FW_BADS): $(FW_DIR)/bad/%/snpu/snpu-fw-1.bin: $(FW_DIR)/snpu-fw.elf $(FW_DIR)/mkfw
	@mkdir -p $(@D)
	$(Q)$(FW_DIR)/mkfw --corrupt $* $< $@

# --- tests: firmware/tests runs on the core, with everything of the firmware but its loop ------------------------
FW_TEST_OBJS = $(patsubst firmware/%.c,$(FW_DIR)/rv32/%.c.o,$(wildcard firmware/tests/*.c))
FW_TEST_BIN  = $(FW_DIR)/fw-test.bin

$(FW_DIR)/fw-test.elf: $(FW_OBJS) $(FW_TEST_OBJS) firmware/snpu-fw.lds
	$(call say,FWLD,$(@F))
	$(Q)$(FW_CROSS)gcc $(FW_CFLAGS) $(FW_LDFLAGS) $(filter %.o,$^) -o $@

$(FW_TEST_BIN): $(FW_DIR)/fw-test.elf $(FW_DIR)/mkfw
	$(Q)$(FW_DIR)/mkfw $< $@

UNIT_TESTS   += fw_core fw_image
fw_core_OBJS  = tests/unit/fw_bus.o sim/rv32.o
fw_image_OBJS = tests/unit/fw_bus.o sim/rv32.o
fw_image_LIBS = -lnettle
CFLAGS_tests/unit/fw_core_test.o  = -DFW_DIR='"$(abspath $(FW_DIR))"'
CFLAGS_tests/unit/fw_image_test.o = -DFW_DIR='"$(abspath $(FW_DIR))"'
$(O)/tests/unit/fw_core_test: | $(FW_TEST_BIN)
$(O)/tests/unit/fw_image_test: | $(FW_IMAGE) $(FW_BADS)

UNIT_TESTS   += fw_card
fw_card_OBJS  = $(addprefix sim/,card.o card_regs.o card_doorbell.o card_engine.o core.o boot.o rv32.o) $(ENGINE_OBJS)
fw_card_LIBS  = -lnettle -lm
CFLAGS_tests/unit/fw_card_test.o  = -DFW_DIR='"$(abspath $(FW_DIR))"'
$(O)/tests/unit/fw_card_test: | $(FW_IMAGE) $(FW_BADS)
