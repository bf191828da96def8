# SPDX-License-Identifier: MIT
# The card's firmware. $(O)/firmware can stand where /lib/firmware does: the driver asks for snpu/snpu-fw-1.bin and its
# signature beside it. Below bad/ there is such a folder for each way an image can be wrong, below other/ one for each that
# another build could have made; both for tests, and signed like the real one.

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
FW_ABI_NOW := $(shell sed -n 's/^.define SNPU_FW_ABI_MINOR[[:space:]]*\([0-9]*\).*/\1/p' hw/snpu_fw_abi.h)
FW_ABI_NEXT := $(shell echo $$(($(FW_ABI_NOW) + 1)))
FW_OTHER    = security-0 security-2 minor-0 minor-$(FW_ABI_NEXT)
FW_OTHERS   = $(FW_OTHER:%=$(FW_DIR)/other/%/snpu/snpu-fw-1.bin)
FW_IMAGES   = $(FW_IMAGE) $(FW_BADS) $(FW_OTHERS)
FW_SRCS     = start.S core.c lib.c fmt.c log.c time.c event.c cmd.c queue.c sched.c trap.c
FW_OBJS     = $(FW_SRCS:%=$(FW_DIR)/rv32/%.o)

.PHONY: firmware
firmware: $(FW_IMAGES) $(FW_IMAGES:%=%.p7s)	## the card's firmware, signed with FW_KEY and FW_CERT (default: a development key)
ALL += firmware

# Without -g: the build id is the linker's hash of its output, and paths would be part of it.
$(FW_DIR)/rv32/%.o: firmware/%
	$(call say,FWCC,$<)
	@mkdir -p $(@D)
	$(Q)$(FW_CROSS)gcc $(FW_CFLAGS) -MMD -MP -c $< -o $@

# As if built for another minor version of the ABI.
.SECONDARY: $(foreach m,0 $(FW_ABI_NEXT),$(FW_DIR)/rv32/core.minor-$(m).o $(FW_DIR)/snpu-fw.minor-$(m).elf)
$(FW_DIR)/rv32/core.minor-%.o: firmware/core.c
	@mkdir -p $(@D)
	$(Q)$(FW_CROSS)gcc $(FW_CFLAGS) -DFW_ABI_MINOR=$* -MMD -MP -c $< -o $@

$(FW_DIR)/snpu-fw.elf: $(FW_OBJS) $(FW_DIR)/rv32/main.c.o firmware/snpu-fw.lds
	$(call say,FWLD,$(@F))
	$(Q)$(FW_CROSS)gcc $(FW_CFLAGS) $(FW_LDFLAGS) $(filter %.o,$^) -o $@

$(FW_DIR)/snpu-fw.minor-%.elf: $(FW_DIR)/rv32/core.minor-%.o $(filter-out %/core.c.o,$(FW_OBJS)) $(FW_DIR)/rv32/main.c.o firmware/snpu-fw.lds
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

$(FW_DIR)/other/security-%/snpu/snpu-fw-1.bin: $(FW_DIR)/snpu-fw.elf $(FW_DIR)/mkfw
	@mkdir -p $(@D)
	$(Q)$(FW_DIR)/mkfw --security $* $< $@

$(FW_DIR)/other/minor-%/snpu/snpu-fw-1.bin: $(FW_DIR)/snpu-fw.minor-%.elf $(FW_DIR)/mkfw
	@mkdir -p $(@D)
	$(Q)$(FW_DIR)/mkfw --minor $* $< $@

# --- signing: a detached PKCS#7 signature beside the image, see docs/firmware.md ----------------------------------
# The driver is built with the certificate (FW_CERT_DER). Who releases gives both files, PEM; everybody else gets a key of
# their own once per build tree. Outside of $(FW_DIR), so that a key is never installed with the firmware.
FW_DEV  := $(O)/keys/fw-dev
FW_KEY  ?= $(FW_DEV).key
FW_CERT ?= $(FW_DEV).crt
FW_CERT_DER := $(O)/keys/fw-cert.der

$(FW_DEV).key $(FW_DEV).crt &:
	$(call say,KEY,$(FW_DEV).key)
	@mkdir -p $(@D)
	$(Q)umask 077; openssl req -new -x509 -newkey rsa:3072 -nodes -sha256 -days 36500 -keyout $(FW_DEV).key -out $(FW_DEV).crt \
		-subj "/CN=snpu firmware, development key, not for release" 2>$(FW_DEV).log || { cat $(FW_DEV).log >&2; exit 1; }

# Compared, so that another FW_CERT is noticed whatever its date is.
.PHONY: fw-cert-check
$(FW_CERT_DER): $(FW_CERT) fw-cert-check
	@mkdir -p $(@D)
	$(Q)openssl x509 -in $(FW_CERT) -outform DER -out $@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(FW_DIR)/%.bin.p7s: $(FW_DIR)/%.bin $(FW_CERT_DER) $(FW_KEY)
	$(Q)openssl smime -sign -binary -noattr -nocerts -md sha256 -in $< -signer $(FW_CERT) -inkey $(FW_KEY) -outform DER -out $@

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
$(O)/tests/unit/fw_image_test: | $(FW_IMAGES)

UNIT_TESTS   += fw_card fw_keep
fw_card_OBJS  = $(addprefix sim/,card.o card_regs.o card_doorbell.o card_engine.o card_sensors.o core.o boot.o rv32.o) $(ENGINE_OBJS)
fw_keep_OBJS  = $(fw_card_OBJS)
fw_card_LIBS  = -lnettle -lm
fw_keep_LIBS  = $(fw_card_LIBS)
CFLAGS_tests/unit/fw_card_test.o  = -DFW_DIR='"$(abspath $(FW_DIR))"'
CFLAGS_tests/unit/fw_keep_test.o  = -DFW_DIR='"$(abspath $(FW_DIR))"'
$(O)/tests/unit/fw_card_test $(O)/tests/unit/fw_keep_test: | $(FW_IMAGE) $(FW_BADS)

# Damaged images, the same ones every time, for driver and ROM. FIRMWARE_FUZZ_CASES=1000000 for a longer look.
FIRMWARE_FUZZ := $(O)/tests/fuzz/firmware_fuzz
CFLAGS_tests/fuzz/firmware_fuzz.o = -DFW_DIR='"$(abspath $(FW_DIR))"'
$(FIRMWARE_FUZZ): $(addprefix $(O)/,tests/fuzz/firmware_fuzz.o kmod/snpu_fw_image.o sim/boot.o) | $(FW_IMAGE)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) -lnettle -o $@
.PHONY: check-firmware
check-firmware: $(FIRMWARE_FUZZ)	## damaged firmware images, as driver and boot ROM see them
	$(Q)tests/run-tap.sh $(FIRMWARE_FUZZ)
CHECK += check-firmware
