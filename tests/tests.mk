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
	$(Q)tests/run-tap.sh tests/style/tree.sh tests/style/docs.sh "tests/style/manual.sh $(O)/hw/gen-manual"
CHECK += check-style

# check installs what it needs and then builds, because pkg-config answers are read when make starts. CHECK_VM are those of CHECK that
# start VMs.
.PHONY: check check-all
check:	## everything: set-up, host tests, driver builds, tests in the VM
	$(Q)tools/setup.sh
	$(Q)$(MAKE) --no-print-directory check-all
check-all:
	$(Q)tests/check.sh -n vm-needs $(CHECK_VM:%=-v %) $(CHECK)

# Self tests of the driver; they run in the VM against /dev/accel.
KSELF_BINS = $(addprefix $(O)/tests/kselftest/,ioctl_test sync_test fault_test fuzz_test user_test sched_test userptr_test prime_test memory_test \
	nth_test nth_probe_test load_test client kexec pmu)
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

# --- the driver -----------------------------------------------------------------------------------------------
# Kernels of the test bed the driver is built for and tested on.
KERNELS := 6.12 7.3
KMOD_SRCS := Kbuild $(wildcard kmod/* hw/*.h hw/*.def uapi/drm/*.h)
KMODS := $(KERNELS:%=$(O)/kmod/%/snpu.ko)
$(KMODS): $(O)/kmod/%/snpu.ko: $(KMOD_SRCS) tools/kbuild $(FW_CERT_DER)
	$(call say,KMOD,$*)
	$(Q)tools/kbuild --kernel $* --out $(@D) --cert $(FW_CERT_DER) --werror W=1
# For a test: built by somebody who has an own key for firmware, beside the one of the build.
KMOD_OWN := $(O)/kmod/own/snpu.ko
$(O)/keys/own/own.der: tests/kmod/doc-commands.sh | docs/firmware.md
	@mkdir -p $(@D)
	$(Q)cd $(@D) && $(CURDIR)/tests/kmod/doc-commands.sh own-key 2>$(notdir $@).log || { cat $(notdir $@).log; exit 1; }
$(O)/keys/both.der: $(FW_CERT_DER) $(O)/keys/own/own.der
	$(Q)cat $^ >$@
$(KMOD_OWN): $(KMOD_SRCS) tools/kbuild $(O)/keys/both.der
	$(call say,KMOD,own)
	$(Q)tools/kbuild --kernel 7.3 --out $(@D) --cert $(O)/keys/both.der --werror W=1
.PHONY: kmod check-kmod
kmod: $(KMODS)	## the driver, for each kernel of the test bed
check-kmod: $(KMODS)	## the driver: builds without a warning, style, static checks
	$(Q)tests/run-tap.sh "tests/kmod/lint.sh $(O) $(KERNELS)"
CHECK += check-kmod

# --- in the VM ------------------------------------------------------------------------------------------------
# What the card writes is compared with what every other backend writes here; AVX-512 where the CPU has it (elsewhere
# the conformance suite runs its emulated build).
VM_REFS = $(patsubst %,$(O)/vm/ref-%.json,sim scalar avx2 $(if $(shell grep -m1 -w avx512vl /proc/cpuinfo),avx512))
VM_DATA = tests/data/nir/mnist
VM_RUN  = $(SNPU_BIN) run $(VM_DATA)/mnist_lif.nir --input $(VM_DATA)/mnist_test1000.npz --json
VM_LM   = $(SNPU_BIN) generate tests/data/spikingbrain/austen-3.7m-w8aspike -p "Emma was" -n 60 --profile --json --dump-only logits
$(VM_REFS): $(O)/vm/ref-%.json: $(SNPU_BIN)
	$(call say,RUN,"reference on $*")
	@mkdir -p $(@D)
	$(Q)export SNPU_CPU=$(filter-out sim,$*); dev=--device=$(if $(filter sim,$*),sim,cpu); \
		$(VM_RUN) $$dev --samples 40 --nodes lif1,lif1.v,lif2,lif2.v --record $(@:.json=-v.npz) >/dev/null && \
		$(VM_LM) $$dev --dump $(@D)/lm-ref-$* >$(@D)/lm-$(@F) && $(VM_RUN) $$dev --record $(@:.json=.npz) >$@

# One boot each: kernel, IOMMU, cards, what runs, options of tools/vm. Every combination of the first three runs a network and a
# language model.
# Unplugging needs MSI, and a card small enough to find room again in the guest's address space.
VM_UNPLUG = --msi --vram 256M
VM_RUNS = "6.12 off 2 all" "6.12 strict 1 all $(VM_UNPLUG)" "7.3 strict 2 all" "7.3 off 1 all $(VM_UNPLUG)" \
	  "6.12 off 1 network" "6.12 pt 1 power --hotplug off" "6.12 pt 2 network" "6.12 strict 2 network" \
	  "7.3 off 2 network --switch --env SNPU_P2P=1" "7.3 pt 1 power --hotplug off" "7.3 pt 2 network" "7.3 strict 1 kexec"
.PHONY: check-vm
.PHONY: vm-needs
vm-needs: all $(EVENTS_DIR)/made $(KMODS) $(KMOD_OWN) $(KSELF_BINS) $(CONF_BINS) $(O)/tests/e2e/lm_same $(O)/tests/e2e/card_limits $(O)/tests/e2e/mnist_again \
		$(addprefix $(O)/tests/,e2e/nets_same e2e/mnist e2e/cnn unit/nir_golden_test unit/loihi_test) $(VM_REFS)
check-vm: vm-needs	## the driver and the card in a VM, on every kernel and IOMMU setting
	$(Q)for r in $(VM_RUNS); do set -- "$$@" "tests/vm/run.sh $(O) $$r"; done; tests/run-tap.sh "$$@"
CHECK_VM += check-vm

# The same four boots with everything on both kernels.
.PHONY: check-vm-long
check-vm-long:	## the driver and the card in a VM, with all that takes minutes on every kernel
	$(Q)VM_LONG=1 $(MAKE) --no-print-directory check-vm

# Every fault of the card and the firmware many times, and the table of docs/reliability.md.
RECOVER_TIMES ?= 20
.PHONY: bench-recover
bench-recover: all $(O)/kmod/7.3/snpu.ko $(KSELF_BINS) $(O)/tests/e2e/mnist_again	## faults on purpose, and what is lost (in the VM; takes minutes)
	$(Q)tools/vm --kernel 7.3 --cards 1 $(VM_UNPLUG) --sim $(O)/sim/snpu-sim --sim-arg=--faults --module $(O)/kmod/7.3/snpu.ko --firmware $(O)/firmware \
		--timeout 2400 -- tests/vm/recover_test.sh $(O) $(RECOVER_TIMES)
	$(Q)tools/vm --kernel 7.3 --cards 1 --hotplug off --sim $(O)/sim/snpu-sim --sim-arg=--faults --module $(O)/kmod/7.3/snpu.ko --firmware $(O)/firmware \
		--timeout 1500 -- tests/vm/power_test.sh $(O) $(RECOVER_TIMES)

# Everything that parses or executes what others wrote, again under ASan and UBSan, in a build tree of its own.
.PHONY: check-san
check-san:	## host tests and fuzzers under the address and undefined-behaviour sanitizers
	$(Q)$(MAKE) --no-print-directory SAN=1 CKPT_FUZZ_SECONDS=20 LM_FUZZ_SECONDS=20 TOKENIZER_FUZZ="-t 20" \
		check-unit check-firmware check-conformance check-programs check-model check-events check-images check-coredump check-ckpt check-tokenizer check-lm-files check-lm-golden
CHECK += check-san

# What a submission costs, in the VM with an emulated NVMe disk beside the card.
.PHONY: bench-submit
bench-submit: all $(O)/kmod/7.3/snpu.ko $(O)/tests/bench/submit	## round trip and rate of empty jobs, as ratios (in the VM)
	$(Q)tools/vm --kernel 7.3 --cards 1 --nvme 64M --sim-arg=--doorbell=mmap --sim $(O)/sim/snpu-sim --module $(O)/kmod/7.3/snpu.ko --firmware $(O)/firmware -- \
		$(O)/tests/bench/submit

# The test bed itself: boots, exit statuses, output, hot-plug, clean-up.
.PHONY: check-testbed
check-testbed: $(O)/sim/snpu-sim	## tools/vm does what its manual says
	$(Q)O=$(O) tests/run-tap.sh tests/e2e/vm_selftest.sh
CHECK_VM += check-testbed

# --- the debug kernel -----------------------------------------------------------------------------------------
# On demand: it takes a kernel's build once, and an hour. Each line is one boot: what runs, the seconds it may take.
SNPU_LOAD_SECONDS ?= 300
# Of each of four processes; a tenth of them with every detector.
SNPU_FUZZ_CALLS ?= 250000
export SNPU_LOAD_SECONDS
DEBUG_RUNS = "prove 300" "selftests 1500" "memory 1500" "observe 1500" "recover 1500" "power 1500" "sleep 900" "firmware 3000" "root 1500" "faults 3000" "probe 3000" \
	"module 1000" "load $$(($(SNPU_LOAD_SECONDS) + 900))" "fuzz 3600 --env SNPU_FUZZ_CALLS=$$(($(SNPU_FUZZ_CALLS) / 10))" "fuzz-long 7200"
DEBUG_COUNTS = $(foreach r,selftests memory observe recover power firmware root faults probe module load fuzz fuzz-long,$(O)/vm/debug-$(r)/gcov)
.PHONY: debug-kernel kmod-debug check-debug
debug-kernel:	## a kernel that watches memory, locks and DMA, below the cache (10 to 20 minutes, once)
	$(Q)tools/kernel-debug
kmod-debug: debug-kernel
	$(call say,KMOD,debug)
	$(Q)tools/kbuild --kernel debug --out $(O)/kmod/debug --werror W=1 GCOV_PROFILE=y
	$(Q)tools/kbuild --kernel debug --source tests/kmod/prove --out $(O)/kmod/prove
check-debug: all kmod-debug $(KSELF_BINS) $(O)/tests/e2e/card_limits $(O)/tests/e2e/mnist_again	## the driver on the debug kernel: faults, load, random calls, coverage
	$(Q)export SNPU_FUZZ_CALLS=$(SNPU_FUZZ_CALLS) SNPU_FUZZ_STOP=6000 SNPU_FUZZ_SECONDS=7000; V=1; export V; \
		for r in $(DEBUG_RUNS); do set -- "$$@" "tests/vm/debug.sh $(O) $$r"; done; \
		tests/run-tap.sh "tests/kmod/tree_test.sh $(O)" "$$@" "tests/kmod/coverage.py $(O)/kmod/debug $(DEBUG_COUNTS)"
