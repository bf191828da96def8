# SPDX-License-Identifier: MIT
# The test programs. A unit test is tests/unit/NAME_test.c; it is listed with
#     UNIT_TESTS += NAME        NAME_OBJS = objects or archives it links        NAME_LIBS = -l flags
# in the .mk of the folder it tests. Every test program prints TAP; tests/run-tap.sh runs them and counts.

UNIT_TESTS += uapi
CFLAGS_tests/unit/uapi_test.o := $(shell $(PKG_CONFIG) --cflags libdrm)

UNIT_BINS = $(UNIT_TESTS:%=$(O)/tests/unit/%_test)

.SECONDEXPANSION:
$(UNIT_BINS): $(O)/tests/unit/%_test: $(O)/tests/unit/%_test.o $$(addprefix $(O)/,$$($$*_OBJS))
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $($*_LIBS) -o $@

.PHONY: check-unit
check-unit: $(UNIT_BINS)	## unit tests on the host
	$(Q)tests/run-tap.sh $(UNIT_BINS)
CHECK += check-unit

.PHONY: check-style
check-style: $(O)/hw/gen-manual	## rules of the tree, manual against hw/
	$(Q)tests/run-tap.sh tests/style/tree.sh "tests/style/manual.sh $(O)/hw/gen-manual"
CHECK += check-style

# check installs what it needs and then builds, because pkg-config answers are read when make starts.
.PHONY: check check-all
check:	## everything: set-up, host tests, driver builds, tests in the VM
	$(Q)tools/setup.sh
	$(Q)$(MAKE) --no-print-directory check-all
check-all:
	$(Q)tests/check.sh $(CHECK)

# Self tests of the driver; they run in the VM against /dev/accel.
KSELF_BINS = $(addprefix $(O)/tests/kselftest/,ioctl_test sync_test fault_test)
$(KSELF_BINS:%=%.o): ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags libdrm)
$(KSELF_BINS): %: %.o
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(shell $(PKG_CONFIG) --libs libdrm) -o $@
.PHONY: kselftests
kselftests: $(KSELF_BINS)

# Benches print; they assert nothing. bench/submit runs in the VM.
$(O)/tests/bench/submit.o: ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags libdrm)
$(O)/tests/bench/submit: $(O)/tests/bench/submit.o
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(shell $(PKG_CONFIG) --libs libdrm) -o $@
